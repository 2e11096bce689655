//! What a chunk has of a table is what the stream has of it: shape, columns, rows, bytes.

use walbrook::edges::Transport;
use walbrook::position::Lsn;
use walbrook::postgres::{ChunkReader, ChunkRequest, Start};
use walbrook::wal::{Frame, Message, Relation};

use super::super::walsender;
use super::{LIMIT, Scene, Table, shared};
use crate::support::postgres::{Options, Postgres};
use crate::support::{run, unique};

/// A table's relation, and its inserted rows as the stream carries them, in rising order.
type Streamed = (Option<Relation>, Vec<Vec<u8>>);

/// What the stream says of inserts since the slot was made, up to the last commit of now.
async fn streamed(scene: &Scene, slot: &str, table: &Table, is_binary: bool) -> Streamed {
    let (relation_id, publications) = (table.relation, &table.publications);
    let last = unique("last");
    scene.run(&format!("SELECT pg_logical_emit_message(true, '{last}', '')")).await;
    let start = Start { slot, lsn: Lsn::ZERO, publications, is_binary, has_messages: true };
    let client = walsender(&scene.settings).await.unwrap();
    let mut stream = client.start_replication(start).await.unwrap();
    let (mut found, mut rows) = (None, Vec::new());
    'reading: loop {
        while let Some(frame) = stream.next_frame().unwrap() {
            let Frame::XLogData { body, .. } = Frame::parse(frame).unwrap() else { continue };
            match Message::parse(body).unwrap() {
                Message::Relation(body) if body.to_owned().id == relation_id => {
                    found = Some(body.to_owned());
                }
                // The tag, the relation and the tag of the new row come before it.
                Message::Insert { relation, .. } if relation == relation_id => {
                    rows.push(body[6..].to_vec());
                }
                Message::Message { prefix, .. } if prefix == last => break 'reading,
                _ => {}
            }
        }
        stream.fill().await.unwrap();
    }
    stream.close().await;
    rows.sort();
    (found, rows)
}

/// The same of a chunk.
async fn read(reader: &mut ChunkReader, table: &Table, is_binary: bool) -> Streamed {
    let chunk = reader.read(&ChunkRequest { is_binary, ..table.whole() }).await.unwrap();
    let mut tuples = walbrook::wal::Tuples::new(&chunk.rows);
    let (mut rows, mut begin) = (Vec::new(), 0);
    while let Some(tuple) = tuples.next() {
        tuple.unwrap();
        rows.push(chunk.rows[begin..tuples.offset()].to_vec());
        begin = tuples.offset();
    }
    rows.sort();
    (Some(chunk.relation), rows)
}

async fn slot(scene: &Scene) -> String {
    let slot = unique("slot");
    walsender(&scene.settings).await.unwrap().create_slot(&slot, false).await.unwrap();
    slot
}

#[test]
fn values_of_many_types_are_the_bytes_of_the_stream() {
    run(LIMIT, async {
        let scene = Scene::new(shared(), TYPES).await;
        let slot = slot(&scene).await;
        scene.run(VALUES).await;
        let table = scene.table("thing", &["id"]).await;
        let mut reader = scene.reader().await;
        for is_binary in [true, false] {
            let (relation, rows) = streamed(&scene, &slot, &table, is_binary).await;
            assert_eq!(rows.len(), 3);
            assert_eq!(read(&mut reader, &table, is_binary).await, (relation, rows), "{is_binary}");
        }
        walsender(&scene.settings).await.unwrap().drop_slot(&slot).await.unwrap();
    });
}

const TYPES: &str = "
CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a int, b mood);
CREATE DOMAIN price AS numeric(12, 2) CHECK (0 <= VALUE);
CREATE DOMAIN prices AS price[];
CREATE TABLE thing (
    id bigint PRIMARY KEY, a smallint, b int, c real, d float8, e numeric, f numeric(9, 3), g money,
    h bool, i text, j varchar(5), k char(5), l name, m \"char\", n bytea, o date, p time, q timetz,
    r timestamp(2), s timestamptz, t interval, u uuid, v json, w jsonb, x xml, y inet, z cidr,
    aa macaddr, ab bit(3), ac varbit, ad point, ae polygon, af tsvector, ag int[], ah text[][],
    ai int4range, aj nummultirange, ak mood, al pair, am price, an prices, ao citext, ap hstore,
    aq oid, ar regclass, \"as\" xid8, at pg_lsn, au aclitem, av jsonpath, aw mood[], ax tid);
CREATE PUBLICATION walbrook FOR TABLE thing;";

const VALUES: &str = r#"
INSERT INTO thing (id) VALUES (-1);
INSERT INTO thing VALUES (
    1, -2, 3, 0.1, 1e-300, 'NaN', 123456.789, '-1.50', true, E'\n\t"''\\ ü', 'abc', 'a b', 'a name', 'c',
    '\x00ff', '4713-01-01 BC', '24:00', '12:00+03:30', '2024-02-29 12:00:00.55', 'infinity',
    '1 year -2 days 3.000004 s', '00000000-0000-0000-0000-00000000000f', '{"a": [1, null]}', '{"a":1.50}',
    '<a>x</a>', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '101', '10', '(1,-0)',
    '((0,0),(1,1))', 'fat:2A & cat', '{1,NULL,3}', '{{a,"b,c"},{NULL,"\\"}}', '[1,5)', '{[1,2),(3,]}', 'glad',
    '(7,sad)', 1.5, '{1,2.25}', 'CiTeXt', 'a=>1, b=>NULL', 4294967295, 'thing', '18446744073709551615',
    '16/B374D848', 'postgres=r/postgres', '$.a', '{glad,sad}', '(1,2)');
INSERT INTO thing (id, i, n, w) SELECT 2, string_agg(md5(n::text), ''), decode(string_agg(md5(n::text), ''), 'hex'),
    jsonb_object_agg(n, n) FROM generate_series(1, 3000) AS n;"#;

/// A table as it is to be read: setup, publications, table, key.
struct Shape {
    /// The version from which on it is known.
    since: u32,
    publications: &'static [&'static str],
    table: &'static str,
    key: &'static [&'static str],
    /// How many of the rows are published.
    rows: usize,
}

const fn shape(
    since: u32,
    publications: &'static [&'static str],
    table: &'static str,
    key: &'static [&'static str],
    rows: usize,
) -> Shape {
    Shape { since, publications, table, key, rows }
}

const SHAPES: &[Shape] = &[
    shape(14, &["plain"], "item", &["b", "a"], 10),
    shape(14, &["plain"], "parent", &["id"], 10),
    shape(14, &["plain"], "child", &["id"], 10),
    shape(14, &["plain"], "indexed", &["code"], 10),
    shape(14, &["plain"], "everything", &["id"], 10),
    shape(14, &["plain"], r#""Odd ""schema"""."it's""#, &["sel\"ect"], 10),
    shape(14, &["leaves"], "low", &["id"], 10),
    shape(14, &["leaves"], "high", &["id"], 10),
    shape(14, &["root"], "part", &["id"], 20),
    shape(14, &["root", "leaves"], "part", &["id"], 20),
    shape(15, &["columns"], "item", &["b", "a"], 10),
    shape(15, &["columns"], "part", &["id"], 20),
    shape(15, &["few"], "item", &["b", "a"], 3),
    shape(15, &["few", "others"], "item", &["b", "a"], 5),
    shape(15, &["few", "plain"], "item", &["b", "a"], 10),
    shape(15, &["few", "in_schema"], "item", &["b", "a"], 10),
    shape(15, &["few_of_root"], "part", &["id"], 5),
    shape(15, &["few_of_leaves"], "low", &["id"], 4),
    shape(15, &["few_of_leaves"], "high", &["id"], 10),
    shape(18, &["generated"], "item", &["b", "a"], 10),
];

#[test]
fn shape_and_rows_are_what_publications_publish() {
    run(LIMIT * 2, async {
        for version in [14, 15, 17, 18] {
            let server = Postgres::start(&Options { version, ..Options::default() });
            let parts = [(14, SETUP), (15, SETUP_15), (18, SETUP_18)];
            let known = parts.iter().filter(|(since, _)| *since <= version);
            let setup: String = known.map(|(_, setup)| *setup).collect();
            let scene = Scene::on(&server, "postgres", &setup).await;
            let slot = slot(&scene).await;
            scene.run(ROWS).await;
            // One for all: what it asks anew for each chunk is of that chunk's table.
            let mut reader = scene.reader().await;
            for shape in SHAPES.iter().filter(|shape| shape.since <= version) {
                let mut table = scene.table(shape.table, shape.key).await;
                table.publications = shape.publications.iter().map(|&it| it.to_owned()).collect();
                for is_binary in [true, false] {
                    let expect = streamed(&scene, &slot, &table, is_binary).await;
                    let found = read(&mut reader, &table, is_binary).await;
                    let case = (shape.table, shape.publications, version);
                    assert_eq!(expect.1.len(), shape.rows, "{case:?}");
                    assert_eq!(found, expect, "{case:?}");
                }
            }
        }
    });
}

/// A partition that is not logged is in no stream.
const SETUP: &str = r#"
CREATE TABLE item (
    gone int, a int, note text, b int, twice int GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (b, a));
ALTER TABLE item DROP COLUMN gone;
CREATE TABLE parent (id int PRIMARY KEY, a text);
CREATE TABLE child (PRIMARY KEY (id), more int) INHERITS (parent);
CREATE TABLE indexed (id int, code varchar(9) NOT NULL);
CREATE UNIQUE INDEX indexed_code ON indexed (code) INCLUDE (id);
ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_code;
CREATE TABLE everything (id int PRIMARY KEY, a numeric(9, 2));
ALTER TABLE everything REPLICA IDENTITY FULL;
CREATE SCHEMA "Odd ""schema""";
CREATE TABLE "Odd ""schema"""."it's" ("sel""ect" int PRIMARY KEY, "from" text);
CREATE TABLE part (id int PRIMARY KEY, a text, b int) PARTITION BY RANGE (id);
CREATE TABLE low (b int, a text, gone int, id int NOT NULL);
ALTER TABLE low DROP COLUMN gone;
ALTER TABLE part ATTACH PARTITION low FOR VALUES FROM (0) TO (10);
CREATE TABLE high PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE UNLOGGED TABLE unlogged PARTITION OF part FOR VALUES FROM (20) TO (30);
CREATE PUBLICATION plain FOR TABLE item, parent, indexed, everything, "Odd ""schema"""."it's";
CREATE PUBLICATION leaves FOR TABLE part;
CREATE PUBLICATION root FOR TABLE part WITH (publish_via_partition_root);
"#;

const SETUP_15: &str = r#"

CREATE PUBLICATION columns FOR TABLE item (note, b, a), part (id, b) WITH (publish_via_partition_root);
CREATE PUBLICATION few FOR TABLE item WHERE (a < 4 AND note <> E'it''s \\');
CREATE PUBLICATION others FOR TABLE item WHERE (b = 40 OR b = 50 OR a = 1);
CREATE PUBLICATION in_schema FOR TABLES IN SCHEMA public;
CREATE PUBLICATION few_of_root FOR TABLE part WHERE (id IN (1, 2, 3, 15, 19, 25)) WITH (publish_via_partition_root);
CREATE PUBLICATION few_of_leaves FOR TABLE part, low WHERE (id <= 3);
"#;

const SETUP_18: &str = "
CREATE PUBLICATION generated FOR TABLE item WITH (publish_generated_columns = stored);
";

const ROWS: &str = r#"
INSERT INTO item (a, b, note) SELECT n, n * 10, nullif('note ' || n, 'note 7') FROM generate_series(1, 10) n;
INSERT INTO parent SELECT n, 'parent' FROM generate_series(1, 10) n;
INSERT INTO child SELECT n, 'child', n FROM generate_series(6, 15) n;
INSERT INTO indexed SELECT n, 'it''s ' || n FROM generate_series(1, 10) n;
INSERT INTO everything SELECT n, n / 7.0 FROM generate_series(1, 10) n;
INSERT INTO "Odd ""schema"""."it's" SELECT n, 'x' FROM generate_series(1, 10) n;
INSERT INTO part SELECT n, 'x' || n, n * n FROM generate_series(0, 29) n;
"#;
