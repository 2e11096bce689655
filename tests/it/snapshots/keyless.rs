//! Tables without a key: the stream of each begins with its rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use tokio_postgres::Client;

use super::fold::{is_table, unchanged};
use super::{FORMAT, INITIAL, TEST_LIMIT, is_complete};
use crate::support::flow::{self, Flow, LIMIT, position, said};
use crate::support::records;
use crate::support::run;
use crate::support::stack::{Space, Stack, shared};
use crate::support::walbrook::command;

const DDL: &str = "
CREATE PUBLICATION walbrook FOR ALL TABLES WITH (publish_via_partition_root = true);
CREATE TABLE keyed (id bigserial PRIMARY KEY, v int);
CREATE TABLE bare (a int, b text, toast text);
ALTER TABLE bare ALTER toast SET STORAGE EXTERNAL;
ALTER TABLE bare REPLICA IDENTITY FULL;
INSERT INTO bare SELECT i % 20, 'row', CASE WHEN i % 10 = 0 THEN repeat('t', 2500) END
FROM generate_series(1, 600) i;
CREATE TABLE part (a int, b text) PARTITION BY HASH (a);
CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
ALTER TABLE part_0 REPLICA IDENTITY FULL;
ALTER TABLE part_1 REPLICA IDENTITY FULL;
ALTER TABLE part REPLICA IDENTITY FULL;
INSERT INTO part SELECT i % 20, 'row' FROM generate_series(1, 300) i;
CREATE TABLE large (a int);
INSERT INTO large SELECT generate_series(1, 1001)";

/// A table of more than 1,000 rows is too large; a transaction of more than 2,000 records is cut.
const BATCH: (&str, &str) = ("batch", "target_records = 200\nmax_records = 2000");

/// Changes that are left out, on both sides of a cut.
const CUT: &str = "
BEGIN;
TRUNCATE part;
INSERT INTO bare VALUES (1, 'before', 'x');
INSERT INTO keyed (v) SELECT generate_series(1, 2500);
INSERT INTO part VALUES (1, 'behind');
COMMIT";

/// Killed while the stream has passed changes that only the rows will have, and when these are in.
#[test]
fn a_stream_without_keys_begins_with_the_rows() {
    run(TEST_LIMIT, async {
        let seed = std::env::var("WALBROOK_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("WALBROOK_SEED={seed}");
        let stack = shared();
        let changes = [FORMAT, INITIAL, BATCH];
        let (space, blocker) = blocked(stack, "keyless", DDL, &changes).await;
        let told = command(&flow::config(stack, &space, &changes), &["check"]).stdout;
        for words in
            ["begins with these rows", "public.bare, public.part", "public.large has no key"]
        {
            assert!(told.contains(words), "{words}: {told}");
        }
        let mut flow = Flow::start_on(stack, space, &changes).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for number in 0..2 {
            let client = stack.postgres.client(&flow.space.database).await;
            writers.push(tokio::spawn(write(client, seed + number, Arc::clone(&is_over))));
        }
        for table in ["public.bare", "public.part"] {
            let begins = |line: &Value| {
                said(line, "message").contains("snapshot begins") && said(line, "table") == table
            };
            flow.walbrook.wait_for(LIMIT, "it begins", begins);
        }
        let is_too_large = |line: &Value| {
            said(line, "message").contains("batch.max_records")
                && said(line, "table") == "public.large"
        };
        flow.walbrook.wait_for(LIMIT, "that it is not read", is_too_large);
        flow.execute("INSERT INTO large VALUES (0)").await;
        flow.execute(CUT).await;
        flow.drain().await;
        assert_eq!(flow.records("public.bare").len(), 0, "all of it is in the rows");
        assert_eq!(flow.records("public.large").len(), 1, "it is not held");
        flow.restart_after_kill().await;
        // Written to for a while, in each life.
        tokio::time::sleep(Duration::from_millis(300)).await;
        blocker.batch_execute("COMMIT").await.unwrap();
        for table in ["public.bare", "public.part"] {
            flow.walbrook.wait_for(LIMIT, "that it is complete", |line| is_complete(line, table));
        }
        flow.restart_after_kill().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        is_over.store(true, Ordering::Relaxed);
        for writer in writers {
            println!("{} transactions", writer.await.unwrap());
        }
        flow.drain().await;
        for table in ["bare", "part"] {
            let topic = flow.topic(&format!("public.{table}"));
            check_rows(stack, &flow.client, &topic, table).await;
        }
    });
}

/// A space with a slot, and a transaction in it for which the reading of its tables will wait.
pub(super) async fn blocked(
    stack: &Stack,
    name: &str,
    ddl: &str,
    changes: &[(&str, &str)],
) -> (Space, Client) {
    let space = Space::new(&stack.postgres, name).await;
    stack.postgres.execute(&space.database, ddl).await;
    let made = command(&flow::config(stack, &space, changes), &["slot", "create"]);
    assert!(made.status.success(), "{made:?}");
    let blocker = stack.postgres.client(&space.database).await;
    blocker.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    (space, blocker)
}

/// Holds the rows that records add and do not take away against the table's.
pub(super) async fn check_rows(stack: &Stack, client: &Client, topic: &str, table: &str) {
    let mut records = records::read_committed(&stack.kafka, &[topic]);
    records.sort_by_key(position);
    let mut rows: Vec<Value> = Vec::new();
    let (mut reads, mut changes) = (0, 0);
    for record in &records {
        assert_eq!(record.key, None);
        let value: Value = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
        let op = value["op"].as_str().unwrap();
        reads += usize::from(op == "r");
        changes += usize::from(op != "r");
        assert!(op != "r" || changes == 0, "{topic}: the stream begins with the rows");
        if op == "t" {
            rows.clear();
            continue;
        }
        let (before, mut after) = (&value["before"], value["after"].clone());
        for column in unchanged(record) {
            after[&column] = before[&column].clone();
        }
        if !before.is_null() {
            let place = rows.iter().position(|row| row == before);
            rows.swap_remove(place.unwrap_or_else(|| panic!("{topic}: {before} is not there")));
        }
        rows.extend(Some(after).filter(|after| !after.is_null()));
    }
    println!("{table}: {reads} rows were read, {changes} changes followed");
    assert!(0 < reads, "{topic}: nothing was read");
    is_table(client, topic, table, rows.into_iter()).await;
}

/// Transactions of a few statements, some of which are rolled back.
async fn write(client: Client, seed: u64, is_over: Arc<AtomicBool>) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let statements: String = (0..rng.u8(1..4)).map(|_| statement(&mut rng)).collect();
        let end = if rng.u8(..8) == 0 { "ROLLBACK" } else { "COMMIT" };
        if client.batch_execute(&format!("BEGIN; {statements} {end}")).await.is_err() {
            client.batch_execute("ROLLBACK").await.unwrap();
        }
        count += 1;
        tokio::time::sleep(Duration::from_millis(rng.u64(..20))).await;
    }
    count
}

fn statement(rng: &mut Rng) -> String {
    let (v, at) = (rng.u32(..20), rng.u32(..200));
    let table = if rng.bool() { "bare" } else { "part" };
    let row = "tableoid::text || ctid::text";
    let one = format!("{row} IN (SELECT {row} FROM {table} OFFSET {at} LIMIT 1)");
    match rng.u8(..24) {
        0..=8 => format!("INSERT INTO {table} VALUES ({v}, 'new');"),
        9..=16 => format!("UPDATE {table} SET a = {v} WHERE {one};"),
        17 => "UPDATE bare SET toast = repeat('n', 2500) WHERE a = 3;".to_owned(),
        _ => format!("DELETE FROM {table} WHERE {one};"),
    }
}
