//! How a table is divided into ranges: evenly, and without reading it.

use std::time::{Duration, Instant};

use walbrook::postgres::ChunkRequest;

use super::{LIMIT, Scene, shared, walk};
use crate::support::run;

#[test]
fn a_large_table_is_planned_at_once() {
    run(LIMIT, async {
        let scene = Scene::new(
            shared(),
            "CREATE TABLE large (id bigint NOT NULL, note text);
             INSERT INTO large SELECT n::bigint * CASE WHEN n < 1900000 THEN 1 ELSE 1000000 END, 'some text of a row'
             FROM generate_series(1, 2000000) AS n;
             ALTER TABLE large ADD PRIMARY KEY (id);
             CREATE PUBLICATION walbrook FOR ALL TABLES",
        )
        .await;
        let table = scene.table("large", &["id"]).await;
        let mut reader = scene.reader().await;
        for is_analyzed in [false, true] {
            if is_analyzed {
                scene.run("ANALYZE large").await;
            }
            let mut plan = async || {
                let begin = Instant::now();
                let ranges = reader.ranges(&table.named(), 16).await.unwrap();
                (ranges, begin.elapsed())
            };
            let ((ranges, first), (again, second)) = (plan().await, plan().await);
            assert_eq!(again, ranges);
            let took = first.min(second);
            assert!(took < Duration::from_secs(1), "{took:?}");
            assert!((1_800_000..2_200_000).contains(&ranges.rows), "{}", ranges.rows);
            assert_eq!(ranges.splits.len(), 15);
            let bounds: Vec<_> = ranges.splits.iter().map(|key| key.0[0].as_str()).collect();
            let counts = format!(
                "SELECT min(count), max(count) FROM (
                     SELECT count(*) FROM large
                     GROUP BY width_bucket(id - 1, ARRAY[{}]::int8[])) AS range",
                bounds.join(", ")
            );
            let row = scene.client.query_one(&counts, &[]).await.unwrap();
            let (least, most): (i64, i64) = (row.get(0), row.get(1));
            assert!(60_000 < least && most < 220_000, "ranges of {least} to {most}");
        }
        let last = reader.ranges(&table.named(), 16).await.unwrap().splits.pop().unwrap();
        let range = ChunkRequest { after: Some(&last), rows_max: 50_000, ..table.whole() };
        let rows = walk(&mut reader, range, |_| ()).await.unwrap();
        let query = format!("SELECT count(*) FROM large WHERE {} < id", last.0[0]);
        assert_eq!(rows.len() as i64, scene.number(&query).await);
    });
}

#[test]
fn small_and_empty_tables_are_one_range() {
    run(LIMIT, async {
        let scene = Scene::new(
            shared(),
            "CREATE TABLE small (id int PRIMARY KEY);
             INSERT INTO small SELECT generate_series(1, 500);
             CREATE TABLE nothing (id int PRIMARY KEY);
             CREATE TABLE root (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
             CREATE TABLE low PARTITION OF root FOR VALUES FROM (0) TO (20000);
             CREATE TABLE high PARTITION OF root FOR VALUES FROM (20000) TO (40000);
             INSERT INTO root SELECT n, repeat('x', 100) FROM generate_series(0, 39999) AS n;
             CREATE PUBLICATION walbrook FOR ALL TABLES WITH (publish_via_partition_root)",
        )
        .await;
        let mut reader = scene.reader().await;
        for (name, count, rows, splits) in [
            ("small", 8, 500, 0),
            ("nothing", 8, 0, 0),
            ("root", 8, 40_000, 7),
            ("root", 1, 40_000, 0),
        ] {
            let table = scene.table(name, &["id"]).await;
            let ranges = reader.ranges(&table.named(), count).await.unwrap();
            assert!(
                (rows * 8 / 10..=rows * 12 / 10).contains(&ranges.rows),
                "{name}: {}",
                ranges.rows
            );
            assert_eq!(ranges.splits.len(), splits, "{name}");
        }
    });
}
