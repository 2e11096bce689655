//! The second proof: walbrook is killed again and again while it reads tables that are written to, and
//! at the end `walbrook verify` and a reader that shares no code with it (`tests/clients/select/snapshot.py`)
//! hold the topics against the tables.
//!
//! `WALBROOK_SEED` repeats a run's draws.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use tokio_postgres::Client;

use super::{INITIAL, TEST_LIMIT, is_complete};
use crate::support::flow::{self, LIMIT, drained};
use crate::support::stack::{Space, installed, shared};
use crate::support::walbrook::{Walbrook, command};
use crate::support::{process, run};

/// What differs between the runs of the test.
#[derive(Debug)]
struct Scale {
    /// Of each table but the one without a key.
    rows: u32,
    /// Of the one without a key: they lie in one batch.
    keyless: u32,
    batch: &'static str,
    /// Lines of [snapshot], which keep it from being over too soon.
    pace: &'static str,
    /// So often it is killed before all tables are read, at least.
    kills_min: usize,
    lives_max: usize,
    /// Up to so long after it streams walbrook is ended.
    life_ms: u64,
    /// Each life may last so much longer than the one before: on a crowded machine the first chunk of
    /// a life may take as long as the first lives last.
    longer_ms: u64,
    /// For all that is left at the end.
    drain: Duration,
    limit: Duration,
}

static SHORT: Scale = Scale {
    rows: 6000,
    keyless: 300,
    batch: "target_records = 300\nmax_records = 1200",
    pace: "rows_per_second = 1500",
    kills_min: 2,
    lives_max: 60,
    life_ms: 2000,
    longer_ms: 250,
    drain: LIMIT,
    limit: TEST_LIMIT,
};

/// 10 M rows in all.
static LONG: Scale = Scale {
    rows: 2_500_000,
    keyless: 9_000,
    batch: "",
    pace: "rows_per_second = 40000",
    kills_min: 30,
    lives_max: 400,
    life_ms: 4_000,
    longer_ms: 20,
    drain: Duration::from_secs(1800),
    limit: Duration::from_secs(3 * 3600),
};

/// Skewed keys and values out of line; keys of text and uuid; one that is truncated now and then;
/// partitions; no key at all.
const TABLES: [&str; 5] = ["skewed", "pair", "emptied", "part", KEYLESS];

const KEYLESS: &str = "keyless";

/// One value in 50 is large, so that the long run's disk holds them.
const DDL: &str = "
CREATE TABLE skewed (id bigint PRIMARY KEY, v int, toast text);
ALTER TABLE skewed ALTER toast SET STORAGE EXTERNAL;
INSERT INTO skewed SELECT CASE WHEN i % 50 = 0 THEN i::bigint * 1000000007 ELSE i END, i,
    repeat(i::text, CASE WHEN i % 50 < 2 THEN 700 ELSE 2 END) FROM generate_series(1, ROWS) i;
CREATE TABLE pair (a text, b uuid, v int, toast text, PRIMARY KEY (a, b));
ALTER TABLE pair ALTER toast SET STORAGE EXTERNAL;
INSERT INTO pair SELECT 'É' || i % 5, md5(i::text)::uuid, i,
    repeat(i::text, CASE WHEN i % 50 < 2 THEN 700 ELSE 2 END) FROM generate_series(1, ROWS) i;
CREATE TABLE emptied (id int PRIMARY KEY, v int);
INSERT INTO emptied SELECT i, i FROM generate_series(1, ROWS) i;
CREATE TABLE part (id int, v int, PRIMARY KEY (id)) PARTITION BY HASH (id);
CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part SELECT i, i FROM generate_series(1, ROWS) i;
CREATE TABLE keyless (v int, note text);
ALTER TABLE keyless REPLICA IDENTITY FULL;
INSERT INTO keyless SELECT i % 100, 'n' || i % 100 FROM generate_series(1, KEYLESS) i;
CREATE TABLE truth (xid text NOT NULL);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO truth VALUES (pg_current_xact_id()::text);
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON skewed FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON pair FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON emptied FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON part FOR EACH ROW EXECUTE FUNCTION note();
CREATE PUBLICATION walbrook FOR TABLE skewed, pair, emptied, part, keyless
    WITH (publish_via_partition_root = true);
ANALYZE";

const WRITERS: u64 = 2;

#[test]
fn nothing_is_lost_doubled_or_overwritten_while_it_is_killed() {
    killed(&SHORT);
}

/// `tests/run snapshot`.
mod campaign {
    #[test]
    fn ten_million_rows() {
        super::killed(&super::LONG);
    }
}

fn killed(scale: &'static Scale) {
    run(scale.limit, async {
        let seed = std::env::var("WALBROOK_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("WALBROOK_SEED={seed}");
        let mut rng = Rng::with_seed(seed);
        let stack = shared();
        let space = Space::new(&stack.postgres, "snapshot_kill").await;
        let ddl = DDL.replace("ROWS", &scale.rows.to_string());
        let ddl = ddl.replace("KEYLESS", &scale.keyless.to_string());
        stack.postgres.execute(&space.database, &ddl).await;
        for table in TABLES {
            // Those that delete by time are not compared.
            let topic = format!("{}.public.{table}", space.prefix);
            stack.kafka.create_topic(&topic, 3, &[("retention.ms", "-1")]).await;
        }
        let pace = ("snapshot", scale.pace);
        let config = flow::config(stack, &space, &[INITIAL, pace, ("batch", scale.batch)]);
        // What commits before there is a slot is in no transaction of the stream.
        let made = command(&config, &["slot", "create"]);
        assert!(made.status.success(), "{made:?}");
        let is_over = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            let client = stack.postgres.client(&space.database).await;
            let rng = Rng::with_seed(seed ^ (number + 1));
            writers.push(tokio::spawn(write(client, rng, scale.rows, Arc::clone(&is_over))));
        }
        lives(&config, &mut rng, scale);
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&stack.postgres, &mut walbrook).await;
        is_over.store(true, Ordering::Relaxed);
        for writer in writers {
            println!("{} transactions", writer.await.unwrap());
        }
        if let Err(complaint) = drained(&stack.postgres, &space, scale.drain).await {
            panic!("{complaint}\n{}", walbrook.tail());
        }
        verify(&config);
        println!("{}", read_by_a_stranger(&space));
        assert!(walbrook.stop(LIMIT).success());
    });
}

/// Starts and ends walbrook until all tables are read.
fn lives(config: &str, rng: &mut Rng, scale: &Scale) {
    let mut complete = [false; TABLES.len()];
    let mut kills = 0;
    for life in 0..scale.lives_max {
        let mut walbrook = Walbrook::spawn(config);
        walbrook.wait_for_message(LIMIT, "streaming");
        let longer = u64::try_from(life).unwrap_or(0) * scale.longer_ms;
        let lasts = Duration::from_millis(rng.u64(..scale.life_ms + longer));
        std::thread::sleep(lasts);
        let is_killed = rng.u8(..3) != 0;
        if is_killed {
            walbrook.kill();
        } else {
            walbrook.stop(LIMIT);
        }
        let lines = walbrook.log();
        let lines: Vec<_> =
            lines.iter().map(|line| serde_json::from_str(line).unwrap_or_default()).collect();
        for (table, is_done) in TABLES.iter().zip(&mut complete) {
            let name = format!("public.{table}");
            *is_done |= lines.iter().any(|line| is_complete(line, &name));
        }
        println!("life of {lasts:?}, killed: {is_killed}, read: {complete:?}");
        if complete.iter().all(|is_done| *is_done) {
            assert!(scale.kills_min <= kills, "{kills} kills are too few");
            return;
        }
        kills += usize::from(is_killed);
    }
    panic!("after {} lives: {complete:?}", scale.lives_max);
}

/// The topics beside the tables, by `walbrook verify`; not the one without a key, nor what the last
/// record of a row leaves out since it did not change.
fn verify(config: &str) {
    let keyed = TABLES.map(|table| format!("public.{table}"));
    let keyed = keyed.iter().filter(|table| !table.ends_with(KEYLESS));
    let tables = keyed.flat_map(|name| ["--table", name.as_str()]);
    // All keys at once.
    let memory = ["verify", "--json", "--memory", "2048"];
    let output = command(config, &memory.into_iter().chain(tables).collect::<Vec<_>>());
    assert!(matches!(output.status.code(), Some(0 | 9)), "{}{}", output.stdout, output.stderr);
    let told: Value = serde_json::from_str(&output.stdout).unwrap();
    let told = told["tables"].as_array().unwrap();
    assert_eq!(told.len(), TABLES.len() - 1, "{told:?}");
    for table in told {
        println!("{table}");
        assert!(table["alike"].as_u64().is_some(), "it was not compared: {table}");
        for what in ["different", "missing", "extra", "changing"] {
            assert_eq!(table[what], 0, "{what}: {table}");
        }
    }
}

/// The topics beside the tables, by Python and fastavro.
fn read_by_a_stranger(space: &Space) -> String {
    let stack = shared();
    let (socket, port) = (stack.postgres.socket_folder().display(), stack.postgres.port());
    let dsn = format!("host={socket} port={port} dbname={} user=postgres", space.database);
    let mut python = Command::new(installed("python"));
    python.arg(format!("{}/tests/clients/select/snapshot.py", env!("CARGO_MANIFEST_DIR")));
    python.args(["--bootstrap", &stack.kafka.bootstrap(), "--registry", &stack.registry.url()]);
    python.args(["--dsn", &dsn, "--prefix", &space.prefix]);
    python.args(["--tables", &TABLES.join(","), "--keyless", KEYLESS]);
    process::run(python)
}

/// Transactions of up to four statements, some of which are rolled back; returns how many there were.
async fn write(client: Client, mut rng: Rng, rows: u32, is_over: Arc<AtomicBool>) -> u64 {
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let statements: String = (0..rng.u8(1..5)).map(|_| statement(&mut rng, rows)).collect();
        let end = if rng.u8(..8) == 0 { "ROLLBACK" } else { "COMMIT" };
        // Keys may clash, and writers may wait for each other.
        if client.batch_execute(&format!("BEGIN; {statements} {end}")).await.is_err() {
            client.batch_execute("ROLLBACK").await.unwrap();
        }
        count += 1;
        tokio::time::sleep(Duration::from_millis(rng.u64(..30))).await;
    }
    count
}

fn statement(rng: &mut Rng, rows: u32) -> String {
    let (v, id) = (rng.u32(..), rng.u32(1..rows));
    let (v, other) = (v / 2, rows * 2 + rng.u32(..200_000));
    let pair = format!("a = 'É' || {id} % 5 AND b = md5('{id}')::uuid");
    match rng.u8(..17) {
        0 | 1 => format!("UPDATE skewed SET v = {v} WHERE id = {id};"),
        2 => format!("UPDATE skewed SET id = {other}, v = {v} WHERE id = {id};"),
        3 => format!("DELETE FROM skewed WHERE id = {id};"),
        4 => format!(
            "INSERT INTO skewed VALUES ({id}, {v}, repeat('n', 2500)) ON CONFLICT (id) DO UPDATE SET toast = EXCLUDED.toast;"
        ),
        5 | 6 => format!("UPDATE pair SET v = {v} WHERE {pair};"),
        7 => format!("UPDATE pair SET a = 'z{v}' WHERE {pair};"),
        8 => format!("DELETE FROM pair WHERE {pair};"),
        9 if rng.u8(..30) == 0 => "TRUNCATE emptied;".to_owned(),
        9 | 10 => format!(
            "INSERT INTO emptied VALUES ({id}, {v}) ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;"
        ),
        11 => format!("UPDATE part SET id = {other} WHERE id = {id};"),
        12 => format!("UPDATE part SET v = {v} WHERE id = {id};"),
        13 => format!("INSERT INTO keyless VALUES ({v}, 'new');"),
        14 => format!("UPDATE keyless SET v = {v} WHERE v = {id} % 100;"),
        15 => format!("DELETE FROM keyless WHERE v = {v} % 100 AND note = 'n' || {v} % 90;"),
        _ => format!("DELETE FROM emptied WHERE id = {id};"),
    }
}
