//! Tables with keys of every kind, read range by range by several readers at once.

use walbrook::config::Postgres as Settings;
use walbrook::postgres::{ChunkReader, ChunkRequest, Key};

use super::{LIMIT, LIMITS, Row, Scene, Table, rows, shared, sorted, walk};
use crate::support::postgres::{Options, Postgres};
use crate::support::run;

/// Rows of each table: enough pages for ranges.
const ROWS: i64 = 9000;
const RANGES: u32 = 5;

/// A kind of key: the columns, what is in them for row `n`, the key, and how it is one.
struct Family {
    name: &'static str,
    columns: &'static str,
    values: &'static str,
    key: &'static [&'static str],
    index: &'static str,
}

const fn family(
    name: &'static str,
    columns: &'static str,
    values: &'static str,
    key: &'static [&'static str],
) -> Family {
    Family { name, columns, values, key, index: "" }
}

const FAMILIES: &[Family] = &[
    family("bigint", "a bigint", "n::bigint * n * n - 500", &["a"]),
    family("smallint", "a smallint", "n - 5000", &["a"]),
    family(
        "several",
        "b text, a int, c bool",
        "'x' || n % 90, n / 180, n % 180 < 90",
        &["a", "b", "c"],
    ),
    family(
        "odd_text",
        "a text",
        r#"chr(33 + n % 90) || E'''\\\n\t\"' || chr(200 + n) || n"#,
        &["a"],
    ),
    family("icu", r#"a text COLLATE "en-x-icu""#, "chr(33 + n % 90) || md5(n::text)", &["a"]),
    family("alike", "a text COLLATE nobody_cares", "chr(65 + n % 60) || n", &["a"]),
    family("uuid", "a uuid", "md5(n::text)::uuid", &["a"]),
    family("date", "a date", "date '4000-01-01 BC' + n * 300", &["a"]),
    family(
        "timestamptz",
        "a timestamptz",
        "timestamptz '0044-03-15 BC' + n * interval '1 day 1.000001 s'",
        &["a"],
    ),
    family(
        "time_of_day",
        "a timetz, b timestamp",
        "time '00:00' + n * interval '1 s', 'infinity'",
        &["a", "b"],
    ),
    family("bytea", "a bytea", "decode(md5(n::text), 'hex')", &["a"]),
    family(
        "numeric",
        "a numeric",
        "CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' ELSE (n - 4000)::numeric ^ 9 / 7.000 END",
        &["a"],
    ),
    family(
        "float",
        "a float8",
        "CASE n WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE (n - 4000) / 7.0::float8 END",
        &["a"],
    ),
    family("feeling", "a mood, b int", "(enum_range(NULL::mood))[1 + n % 3], n", &["a", "b"]),
    family("domain", "a code", "CASE WHEN n % 2 = 0 THEN 'old' ELSE 'X' END || n", &["a"]),
    family(
        "blanks",
        "a char(9), b varchar(8), c name, d \"char\"",
        "n % 7, n % 11, n, 'c'",
        &["a", "b", "c", "d"],
    ),
    family("bits", "a bit(5), b varbit, c int", "n::bit(5), (n % 9)::bit(4), n", &["a", "b", "c"]),
    family("inet", "a inet, b cidr", "inet '10.0.0.0' + n, '10.0.0.0/8'", &["a", "b"]),
    family("interval", "a interval", "n * interval '1 month -7 days 1.5 s'", &["a"]),
    family(
        "nested",
        "a int[], b int4range, c pair",
        "ARRAY[n % 5, NULL, n], int4range(n, n + 3), ROW(n, 'a ''\"\\ b')::pair",
        &["a", "b", "c"],
    ),
    family("careless", "a citext", "chr(65 + n % 60) || n", &["a"]),
    Family {
        name: "descending",
        columns: "a int NOT NULL, b text NOT NULL",
        values: "n / 3, n",
        key: &["a", "b"],
        index: "(a DESC, b)",
    },
    Family {
        name: "other_collation",
        columns: "a text COLLATE nobody_cares NOT NULL",
        values: "CASE WHEN n % 2 = 0 THEN 'a' ELSE 'A' END || n / 2",
        key: &["a"],
        index: r#"(a COLLATE "C")"#,
    },
];

const TYPES: &str = "
CREATE EXTENSION citext;
CREATE COLLATION nobody_cares (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE mood AS ENUM ('sad', 'it''s \"calm\"', 'glad');
CREATE TYPE pair AS (x int, y text);
CREATE DOMAIN code AS text;
CREATE PUBLICATION walbrook FOR ALL TABLES;";

#[test]
fn each_row_comes_once_whatever_the_key() {
    run(LIMIT * 2, async {
        let scene = Scene::new(shared(), TYPES).await;
        for family in FAMILIES {
            let table = make(&scene, family).await;
            let mut reader = scene.reader().await;
            let ranges = reader.ranges(&table.named(), RANGES).await.unwrap();
            let name = family.name;
            assert_eq!(ranges.splits.len(), RANGES as usize - 1, "{name}");
            assert!(
                (ROWS / 2..ROWS * 2).contains(&(ranges.rows as i64)),
                "{name}: {}",
                ranges.rows
            );
            let parts = read_ranges(&scene.settings, &table, &ranges.splits).await;
            for part in &parts {
                assert!(ROWS / 20 < part.len() as i64, "{name}: a range of {} rows", part.len());
            }
            let found = sorted(parts.concat());
            let expect = scene.select(&format!("SELECT * FROM {name}")).await;
            assert!(found == sorted(expect), "{name}");
        }
    });
}

/// Each range by a reader of its own, at the same time; in text form.
async fn read_ranges(settings: &Settings, table: &Table, splits: &[Key]) -> Vec<Vec<Row>> {
    let bounds: Vec<_> = splits.iter().cloned().map(Some).collect();
    let ends = bounds.iter().cloned().chain([None]);
    let begins = [None].into_iter().chain(bounds.iter().cloned());
    let reading = begins.zip(ends).map(|(after, to)| {
        let (settings, table) = (settings.clone(), table.clone());
        tokio::spawn(async move {
            let mut reader = ChunkReader::connect(&settings, LIMITS).await.unwrap();
            let (after, to) = (after.as_ref(), to.as_ref());
            let range =
                ChunkRequest { after, to, rows_max: 700, is_binary: false, ..table.whole() };
            let rows = walk(&mut reader, range, |chunk| assert!(chunk.count <= 700)).await;
            reader.close().await;
            rows.unwrap()
        })
    });
    let mut parts = Vec::new();
    for part in reading.collect::<Vec<_>>() {
        parts.push(part.await.unwrap());
    }
    parts
}

async fn make(scene: &Scene, family: &Family) -> Table {
    let Family { name, columns, values, key, index } = family;
    let rows = format!("SELECT {values}, repeat('-', 50) FROM generate_series(1, {ROWS}) AS n");
    let how = match *index {
        "" => format!("ALTER TABLE {name} ADD PRIMARY KEY ({})", key.join(", ")),
        index => format!(
            "CREATE UNIQUE INDEX {name}_key ON {name} {index};
             ALTER TABLE {name} REPLICA IDENTITY USING INDEX {name}_key"
        ),
    };
    scene
        .run(&format!(
            "CREATE TABLE {name} ({columns}, filler text); INSERT INTO {name} {rows}; {how}"
        ))
        .await;
    if *name == "domain" {
        // Rows that no longer pass.
        scene.run("ALTER DOMAIN code ADD CONSTRAINT new CHECK (VALUE LIKE 'X%') NOT VALID").await;
    }
    scene.table(name, key).await
}

#[test]
fn keys_of_a_database_without_an_encoding_come_back() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let create = "CREATE DATABASE raw ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0";
        server.execute("postgres", create).await;
        let setup = r"CREATE TABLE word (a text PRIMARY KEY);
            SET client_encoding = 'SQL_ASCII';
            INSERT INTO word VALUES (E'caf\351'), (E'caf\352'), (E'back\\slash'), ('plain'), (E'\303\251');
            CREATE PUBLICATION walbrook FOR TABLE word;";
        let scene = Scene::on(&server, "raw", setup).await;
        let table = scene.table("word", &["a"]).await;
        for is_binary in [true, false] {
            let mut reader = scene.reader().await;
            let range = ChunkRequest { rows_max: 1, is_binary, ..table.whole() };
            let mut keys = Vec::new();
            let found = walk(&mut reader, range, |chunk| {
                keys.extend(chunk.last.clone().map(|key| key.0.concat()));
            });
            let found: Vec<_> = found.await.unwrap().concat().into_iter().flatten().collect();
            let expect: [&[u8]; 5] =
                [br"back\slash", b"caf\xe9", b"caf\xea", b"plain", b"\xc3\xa9"];
            assert_eq!(found, expect);
            let expect = [r"back\\slash", r"caf\351", r"caf\352", "plain", r"\303\251"];
            assert_eq!(keys, expect);
        }
    });
}

/// Where no index of the whole table sees to it, partitions may have rows of one key.
#[test]
fn rows_of_one_key_in_several_partitions_come_together() {
    run(LIMIT, async {
        let scene = Scene::new(
            shared(),
            "CREATE TABLE root (id int, place int) PARTITION BY LIST (place);
             CREATE TABLE one PARTITION OF root (PRIMARY KEY (id)) FOR VALUES IN (1);
             CREATE TABLE two PARTITION OF root (PRIMARY KEY (id)) FOR VALUES IN (2);
             INSERT INTO root SELECT n / 2, 1 + n % 2 FROM generate_series(2, 99) AS n;
             CREATE PUBLICATION walbrook FOR TABLE root WITH (publish_via_partition_root)",
        )
        .await;
        let table = scene.table("root", &["id"]).await;
        let mut reader = scene.reader().await;
        for (rows_max, bytes_max) in [(1, usize::MAX), (7, usize::MAX), (99, 1)] {
            let range = ChunkRequest { rows_max, bytes_max, is_binary: false, ..table.whole() };
            let found = walk(&mut reader, range, |chunk| assert_eq!(chunk.count % 2, 0)).await;
            let expect = scene.select("SELECT * FROM root").await;
            assert_eq!(sorted(found.unwrap()), sorted(expect), "{rows_max} {bytes_max}");
        }
    });
}

#[test]
fn a_chunk_is_no_larger_than_asked_for() {
    run(LIMIT, async {
        let scene = Scene::new(
            shared(),
            "CREATE TABLE wide (id int PRIMARY KEY, data text);
             ALTER TABLE wide ALTER data SET STORAGE EXTERNAL;
             INSERT INTO wide SELECT n, repeat('x', CASE WHEN n % 50 = 0 THEN 300000 ELSE n END)
             FROM generate_series(1, 300) AS n;
             CREATE PUBLICATION walbrook FOR ALL TABLES",
        )
        .await;
        let table = scene.table("wide", &["id"]).await;
        let expect = sorted(scene.select("SELECT * FROM wide").await);
        let mut reader = scene.reader().await;
        for bytes_max in [1, 1000, 100_000, 1_000_000, usize::MAX] {
            let range = ChunkRequest { bytes_max, is_binary: false, ..table.whole() };
            let mut chunks = 0;
            let found = walk(&mut reader, range, |chunk| {
                assert!(chunk.rows.len() <= bytes_max || chunk.count == 1);
                assert!(chunk.is_last || bytes_max < chunk.rows.len() + 300_100);
                chunks += 1;
            });
            assert!(sorted(found.await.unwrap()) == expect, "{bytes_max}");
            assert_eq!(chunks == 1, bytes_max == usize::MAX);
        }
        let nothing = Table { condition: Some("false -- none".to_owned()), ..table };
        let chunk = reader.read(&nothing.whole()).await.unwrap();
        assert_eq!((chunk.count, chunk.is_last, chunk.last), (0, true, None));
        assert!(chunk.rows.is_empty());
    });
}

#[test]
fn a_range_is_between_two_keys_and_a_condition_is_one_more() {
    run(LIMIT, async {
        let scene = Scene::new(
            shared(),
            "CREATE TABLE item (a int, b int, PRIMARY KEY (b, a));
             INSERT INTO item SELECT a, b FROM generate_series(1, 9) a, generate_series(1, 9) b;
             CREATE PUBLICATION walbrook FOR ALL TABLES",
        )
        .await;
        let mut table = scene.table("item", &["b", "a"]).await;
        table.condition = Some("a <> 2 OR false -- it's a comment".to_owned());
        let mut reader = scene.reader().await;
        let key = |b: &str, a: &str| Key(vec![b.to_owned(), a.to_owned()]);
        let (after, to) = (key("3", "8"), key("5", "3"));
        let request =
            ChunkRequest { after: Some(&after), to: Some(&to), is_binary: false, ..table.whole() };
        let chunk = reader.read(&request).await.unwrap();
        let found: Vec<_> = rows(&chunk).concat().into_iter().flatten().collect();
        let expect: [&[u8]; 22] = [
            b"9", b"3", b"1", b"4", b"3", b"4", b"4", b"4", b"5", b"4", b"6", b"4", b"7", b"4",
            b"8", b"4", b"9", b"4", b"1", b"5", b"3", b"5",
        ];
        assert_eq!(found, expect);
        assert_eq!((chunk.is_last, chunk.last), (true, Some(to.clone())));
        let exactly = ChunkRequest { rows_max: 11, ..request };
        assert!(reader.read(&exactly).await.unwrap().is_last);
        let fewer = ChunkRequest { rows_max: 10, ..request };
        assert!(!reader.read(&fewer).await.unwrap().is_last);
    });
}
