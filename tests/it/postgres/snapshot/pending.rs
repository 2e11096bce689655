//! Rows of outboxes in the snapshot of a slot: what commits before its consistent point, and no more.

use walbrook::edges::Class;
use walbrook::postgres::{Catalog, ChunkError, ImportedReader, PendingChunk, SERVER_VERSION_MIN};
use walbrook::wal::Tuples;

use super::super::walsender;
use super::{LIMIT, Scene, row, sorted};
use crate::support::postgres::{Options, Postgres};
use crate::support::run;

const SETUP: &str = "
CREATE TABLE plain (id int PRIMARY KEY, note text);
INSERT INTO plain SELECT n, 'before' FROM generate_series(9, 1, -1) AS n;
CREATE TABLE parted (id int, part int, PRIMARY KEY (part, id)) PARTITION BY LIST (part);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
INSERT INTO parted VALUES (1, 2), (2, 1), (3, 1);
CREATE TABLE emptied (id int PRIMARY KEY);
INSERT INTO emptied VALUES (1);
CREATE TABLE renamed (id int PRIMARY KEY);
CREATE PUBLICATION walbrook FOR TABLE plain, parted, emptied, renamed;";

fn rows(chunk: &PendingChunk) -> Vec<String> {
    let rows: Vec<_> = Tuples::new(&chunk.rows).map(|tuple| row(tuple.unwrap())).collect();
    assert_eq!(rows.len(), chunk.count as usize);
    let ordered: Vec<_> = rows.into_iter().flat_map(|row| sorted(vec![row])).collect();
    ordered
}

#[test]
fn rows_are_read_in_the_snapshot_of_the_slot_whatever_comes_after() {
    run(LIMIT, async {
        for version in [SERVER_VERSION_MIN, 17] {
            let server = Postgres::start(&Options { version, ..Options::default() });
            let scene = Scene::on(&server, "postgres", SETUP).await;
            let catalog = Catalog::connect(&scene.settings).await.unwrap();
            let mut reader = ImportedReader::connect(&scene.settings, &catalog).await.unwrap();
            let mut client = walsender(&scene.settings).await.unwrap();
            let exported = client.create_slot_exporting("made", true).await.unwrap();
            reader.import(&exported.snapshot).await.unwrap();
            // Who has taken the snapshot keeps it.
            client.close().await;
            scene
                .run(
                    "INSERT INTO plain VALUES (10, 'after'); DELETE FROM plain WHERE id = 1;
                     UPDATE plain SET note = 'after';
                     CREATE TABLE parted_3 PARTITION OF parted FOR VALUES IN (3);
                     INSERT INTO parted VALUES (4, 3);
                     TRUNCATE emptied; INSERT INTO emptied VALUES (2);
                     ALTER TABLE renamed RENAME TO other; CREATE TABLE renamed (id int);",
                )
                .await;
            let publications = ["walbrook".to_owned()];
            let parts = reader.parts(&publications, "public", "parted").await.unwrap();
            let names: Vec<_> = parts.iter().map(|part| part.table.as_str()).collect();
            assert_eq!(names, ["parted_1", "parted_2"]);
            assert!(parts.iter().all(|part| part.key == ["part", "id"]));
            let room = (100, 1 << 20);
            let mut table = scene.table("plain", &["id"]).await;
            table.condition = Some("note = 'before' -- as it was".to_owned());
            assert_eq!(reader.count(&table.named()).await.unwrap(), 9);
            let chunk = reader.pending(table.named(), room, false).await.unwrap().unwrap();
            let wanted: Vec<_> = (1..10).map(|id| format!("{id}|before")).collect();
            assert_eq!(rows(&chunk), wanted, "in the order of the key");
            let just = reader.pending(table.named(), (9, 1 << 20), false).await.unwrap();
            assert_eq!(just.unwrap().count, 9);
            for room in [(8, 1 << 20), (0, 1 << 20), (100, 100), (100, 10)] {
                let read = reader.pending(table.named(), room, false).await.unwrap();
                assert!(read.is_none(), "{room:?}");
                reader.forget().await.unwrap();
            }
            let table = scene.table("parted_1", &["part", "id"]).await;
            let chunk = reader.pending(table.named(), room, false).await.unwrap().unwrap();
            assert_eq!(rows(&chunk), ["2|1", "3|1"]);
            let table = scene.table("emptied", &["id"]).await;
            let error = reader.pending(table.named(), room, false).await.unwrap_err();
            assert!(matches!(error, ChunkError::Changed { .. }), "{error}");
            assert_eq!(error.class(), Class::Retry);
            let table = scene.table("other", &["id"]).await;
            let error = reader.pending(table.named(), room, false).await.unwrap_err();
            assert!(matches!(error, ChunkError::Changed { .. }), "{error}");
            reader.close().await;
        }
    });
}
