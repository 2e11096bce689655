//! Debezium's JDBC sink makes a second PostgreSQL the same as the first, table by table.

use std::time::Duration;

use tokio_postgres::Client;

use super::page;
use super::scene::abort;
use crate::support::connect::{Connect, Format, Sink};
use crate::support::flow::{Flow, query};
use crate::support::postgres::{self, Postgres};
use crate::support::stack::{Space, installed, shared};
use crate::support::until_async;

/// What the pipeline and its sink are told, and what comes of it.
pub(super) struct Setting {
    pub(super) format: Format,
    /// Sections and lines of walbrook's configuration.
    pub(super) changes: &'static [(&'static str, &'static str)],
    /// What the row of `odd` becomes: a numeric without a scale, and an interval.
    pub(super) odd: [&'static str; 2],
}

/// Avro, as walbrook writes it by default.
pub(super) const AVRO: Setting =
    Setting { format: Format::Avro, changes: &[], odd: ["-1.2345678901234567e+19", "682:30:00"] };

/// JSON with schemas, and texts for what the sink has no type for.
pub(super) const JSON: Setting = Setting {
    format: Format::Json { schemas: true },
    changes: &[
        ("tables", "value_format = \"json_schemas\""),
        ("values", "decimal = \"string\"\ninterval = \"string\""),
    ],
    odd: ["-12345678901234567890.123456789", "P0Y1M-2DT0H0M0S"],
};

/// The second database becomes the first, by changes with new columns, new keys, deletes and truncates.
pub(super) async fn follows(setting: &Setting) {
    let stack = shared();
    let space = Space::new(&stack.postgres, "sink").await;
    stack.postgres.execute(&space.database, TABLES).await;
    // A TRUNCATE is one record, in one partition.
    let changes = [&[("topics", "partitions = 1")], setting.changes].concat();
    let mut flow = Flow::start_on(stack, space, &changes).await;
    flow.execute(FIRST).await;
    let copies = copies().await;
    let mut connect = start(&flow, &copies, setting.format);
    change(&flow).await;
    flow.drain().await;
    abort(stack, &[&flow.topic("public.item")]);
    flow.execute("INSERT INTO item (id, name) VALUES (5000, 'last')").await;
    flow.drain().await;
    let copy = copies.client(COPY).await;
    for table in ["item", "line"] {
        becomes_same(&flow, &copy, table, &mut connect).await;
    }
    // Without read_committed a row is there of which only a transaction that was aborted has a record.
    has(&copies.client(DIRTY).await, "SELECT 1 FROM item WHERE id = 0", &mut connect).await;
    has(&copy, "SELECT 1 FROM odd", &mut connect).await;
    let odd = query(&copy, "SELECT free::text, span::text FROM odd").await;
    assert_eq!(odd, [setting.odd]);
    let types = query(&copy, "SELECT pg_typeof(mood), pg_typeof(doc) FROM item LIMIT 1").await;
    assert_eq!(types, [["text", "json"]]);
    let folder = installed("sink");
    let (_, version) = folder.to_str().unwrap().rsplit_once("sink-").unwrap();
    page::record_version("jdbc-sink", format!("debezium-connector-jdbc {version}"));
}

/// Random changes; `WALBROOK_SEED` repeats a run's draws.
async fn change(flow: &Flow<'_>) {
    let seed = std::env::var("WALBROOK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("WALBROOK_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for at in 0..ROUNDS {
        let round = random.u32(0..10_000).to_string();
        let changes = CHANGES.replace("{round}", &round).replace("{at}", &at.to_string());
        flow.execute(&changes).await;
        for (_, statements) in MORE.iter().filter(|(round, _)| *round == at) {
            flow.execute(statements).await;
        }
    }
}

/// With Avro's own representation the task fails at an interval, and nothing of its batch is written.
pub(super) async fn fails_at_avros_own_intervals() {
    let stack = shared();
    let space = Space::new(&stack.postgres, "sink").await;
    stack.postgres.execute(&space.database, TABLES).await;
    let changes = [("values", "representation = \"avro\"")];
    let mut flow = Flow::start_on(stack, space, &changes).await;
    flow.execute(FIRST).await;
    flow.drain().await;
    let copies = copies().await;
    let mut connect = start(&flow, &copies, Format::Avro);
    let words = "Failed to resolve column type for schema: STRUCT (walbrook.Interval)";
    until_async(
        LIMIT,
        words,
        async || {
            if connect.has_logged(words) { Ok(()) } else { Err(connect.log()) }
        },
    )
    .await;
}

/// The old row of a delete has no defaults, so a column that is first met there is added without one.
pub(super) async fn adds_a_column_by_a_delete() {
    let stack = shared();
    let space = Space::new(&stack.postgres, "sink").await;
    let table = "CREATE TABLE note (id bigint PRIMARY KEY, name text NOT NULL);
                 CREATE PUBLICATION walbrook FOR TABLE note";
    stack.postgres.execute(&space.database, table).await;
    let mut flow = Flow::start_on(stack, space, &[]).await;
    flow.execute("INSERT INTO note VALUES (1, 'old'), (2, 'gone')").await;
    flow.drain().await;
    let copies = copies().await;
    let row = format!("{COMMITTED}{ROW}");
    let sinks = [(COPY, row.as_str()), (DIRTY, COMMITTED)];
    let mut connect = start_with(&flow, &copies, Format::Avro, sinks);
    let databases = [copies.client(COPY).await, copies.client(DIRTY).await];
    for database in &databases {
        has(database, "SELECT 1 FROM note WHERE id = 2", &mut connect).await;
    }
    let change =
        "ALTER TABLE note ADD state text NOT NULL DEFAULT 'new'; DELETE FROM note WHERE id = 2";
    flow.execute(change).await;
    let has_column =
        "SELECT 1 FROM pg_attribute WHERE attrelid = 'note'::regclass AND attname = 'state'";
    for database in &databases {
        has(database, has_column, &mut connect).await;
    }
    for (database, expect) in databases.iter().zip(["new", "(null)"]) {
        let found = query(database, "SELECT state FROM note WHERE id = 1").await;
        assert_eq!(found, [[expect]]);
    }
    flow.stop();
}

/// A second server, with a database for each sink.
async fn copies() -> Postgres {
    let copies = Postgres::start(&postgres::Options::default());
    for database in [COPY, DIRTY] {
        copies.execute("postgres", &format!("CREATE DATABASE {database}")).await;
    }
    copies
}

/// Two sinks: one that reads committed records, and one as it is installed.
fn start(flow: &Flow<'_>, postgres: &Postgres, format: Format) -> Connect {
    start_with(flow, postgres, format, [(COPY, COMMITTED), (DIRTY, "")])
}

/// Two sinks with more properties each.
fn start_with(
    flow: &Flow<'_>,
    postgres: &Postgres,
    format: Format,
    sinks: [(&str, &str); 2],
) -> Connect {
    let prefix = &flow.space.prefix;
    let sinks = sinks.map(|(name, properties)| Sink {
        name,
        postgres,
        database: name,
        prefix,
        format,
        properties,
    });
    Connect::start_sinks(flow.stack, &sinks)
}

async fn becomes_same(flow: &Flow<'_>, copy: &Client, table: &str, connect: &mut Connect) {
    let names = columns(&flow.client, table).await;
    let expect = query(&flow.client, &rows(table, &names)).await;
    assert!(!expect.is_empty());
    until_async(LIMIT, &format!("{table} is the same"), async || {
        let log = connect.log();
        let found = columns(copy, table).await;
        if found != names {
            return Err(format!("columns {found:?}, of {names:?}\n{log}"));
        }
        let found = query(copy, &rows(table, &names)).await;
        let differs = expect.iter().zip(&found).find(|(expect, found)| expect != found);
        let counts = format!("{} rows, of {}", found.len(), expect.len());
        if expect == found { Ok(()) } else { Err(format!("{counts}: {differs:?}\n{log}")) }
    })
    .await;
}

/// Waits until a query has a row.
async fn has(client: &Client, query: &str, connect: &mut Connect) {
    until_async(LIMIT, query, async || match client.query(query, &[]).await {
        Ok(rows) if !rows.is_empty() => Ok(()),
        found => Err(format!("{found:?}\n{}", connect.log())),
    })
    .await;
}

/// The names of a table's columns, sorted.
async fn columns(client: &Client, table: &str) -> Vec<String> {
    let names = "SELECT attname FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
        WHERE relname = $1 AND 0 < attnum AND NOT attisdropped ORDER BY attname";
    let rows = client.query(names, &[&table]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// All of a table, as text.
fn rows(table: &str, columns: &[String]) -> String {
    let columns: Vec<_> = columns.iter().map(|name| format!("{name}::text")).collect();
    format!("SELECT {0} FROM {table} ORDER BY {0}", columns.join(", "))
}

const COMMITTED: &str = "consumer.override.isolation.level=read_committed\n";

/// The row without its envelope, and of a delete the key alone.
const ROW: &str = "transforms=row,table\n\
    transforms.row.type=io.debezium.transforms.ExtractNewRecordState\n\
    transforms.row.delete.tombstone.handling.mode=tombstone\n";

const COPY: &str = "copy";
const DIRTY: &str = "dirty";
const ROUNDS: u32 = 12;

const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TABLE item (
        id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12, 2), ratio double precision,
        flag boolean, day date, moment timestamp, zoned timestamptz, clock time, data bytea, number uuid,
        doc jsonb, mood mood, tags text[]
    );
    CREATE TABLE line (
        item bigint, at integer, quantity integer NOT NULL, PRIMARY KEY (item, at)
    );
    CREATE TABLE odd (id bigint PRIMARY KEY, free numeric, span interval);
    CREATE PUBLICATION walbrook FOR TABLE item, line, odd;
";

/// A row that is gone; the transaction that is aborted has its record, too.
const FIRST: &str = "
    INSERT INTO item (id, name) VALUES (0, 'gone');
    DELETE FROM item;
    INSERT INTO odd VALUES (1, -12345678901234567890.123456789, '1 mon -2 days');
";

const CHANGES: &str = "
    INSERT INTO item (id, name, amount, ratio, flag, day, moment, zoned, clock, data, number, doc, mood, tags)
        SELECT i, format('%s of %s', i, {round}), i / 7.0, i / 3.0::float8, i % 2 = 0,
            '2024-02-28'::date + i, '1969-12-31 23:00'::timestamp + i * interval '17.000003 minutes',
            '2024-10-27 00:00+00'::timestamptz + i * interval '7 minutes',
            '00:00:00.000001'::time + i * interval '3 minutes', decode(lpad(to_hex(i), 4, '0'), 'hex'),
            md5(i::text)::uuid, jsonb_build_object('round', {round}, 'i', i), 'happy', ARRAY[i::text, '']
        FROM generate_series(1, 60) AS i WHERE (i * 7 + {round}) % 5 < 2
        ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, doc = EXCLUDED.doc, amount = NULL;
    INSERT INTO line SELECT i, {round} % 4, i + {round} FROM generate_series(1, 60) AS i
        WHERE (i * 3 + {round}) % 4 = 0 ON CONFLICT (item, at) DO UPDATE SET quantity = EXCLUDED.quantity;
    UPDATE item SET id = id + 1000 + 100 * {at} WHERE id = 1 + {round} % 60;
    DELETE FROM item WHERE (id + {round}) % 11 = 0;
    DELETE FROM line WHERE (item + {round}) % 13 = 0;
";

/// After which round what else happens.
const MORE: &[(u32, &str)] = &[
    (2, "ALTER TABLE item ADD note text; UPDATE item SET note = 'noted' WHERE id % 3 = 0"),
    (4, "TRUNCATE line"),
    (
        6,
        "ALTER TABLE item ADD stock integer NOT NULL DEFAULT 5; UPDATE item SET stock = 6 WHERE id % 4 = 0",
    ),
    (8, "TRUNCATE item, line; INSERT INTO line VALUES (1, 1, 1)"),
];

const LIMIT: Duration = Duration::from_secs(120);
