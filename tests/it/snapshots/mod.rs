//! Rows that were there before: each is in Kafka once or superseded, and the last record of every key
//! is what the table has, whatever is written and killed meanwhile.

mod commands;
mod fold;
mod gentle;
mod keyless;
mod killed;
mod repair;
mod standby;
mod unseen;

use std::time::Duration;

use serde_json::Value;

use self::fold::check;
use crate::support::flow::{Flow, LIMIT, config, said};
use crate::support::stack::{NOTHING_FROM_BEFORE, Space, shared};
use crate::support::{records, run, until};

const TEST_LIMIT: Duration = Duration::from_secs(300);

const PUBLICATION: &str =
    "CREATE PUBLICATION walbrook FOR ALL TABLES WITH (publish_via_partition_root = true);";

/// Records that a test reads without a registry.
const FORMAT: (&str, &str) = ("tables", "value_format = \"json\"\nkey_format = \"json\"");

const INITIAL: (&str, &str) = ("snapshot", "mode = \"initial\"");

#[test]
fn rows_that_were_there_are_read_once_and_what_comes_follows() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY, v text);
                   CREATE TABLE \"Odd\" (\"Key\" text, n int, v text, PRIMARY KEY (n, \"Key\"));
                   CREATE TABLE keyless (v text);
                   INSERT INTO t SELECT i, 'before ' || i FROM generate_series(1, 3000) i;
                   INSERT INTO \"Odd\" SELECT 'k' || i, i % 7, 'b' FROM generate_series(1, 500) i;
                   INSERT INTO keyless VALUES ('x')";
        let ddl = format!("{PUBLICATION} {ddl}");
        // It is the default.
        let space = Space::new(&shared().postgres, "snapshot").await;
        shared().postgres.execute(&space.database, &ddl).await;
        let config = config(shared(), &space, &[FORMAT]).replace(NOTHING_FROM_BEFORE, "");
        let mut flow = Flow::run(shared(), space, config).await;
        flow.execute("INSERT INTO t SELECT i, 'after' FROM generate_series(3001, 3010) i").await;
        flow.execute("UPDATE t SET v = 'changed' WHERE id % 100 = 0").await;
        for table in ["public.t", "public.Odd"] {
            flow.walbrook.wait_for(LIMIT, "that it is complete", |line| is_complete(line, table));
        }
        flow.drain().await;
        for (name, table) in [("public.t", "t"), ("public.Odd", "\"Odd\"")] {
            let reads = check(&flow.client, &flow.topic(name), table).await;
            assert!(400 < reads, "{reads}");
        }
        // Nothing is read a second time.
        flow.stop();
        flow.restart().await;
        let before = flow.records("public.t").len();
        flow.execute("INSERT INTO t VALUES (9999, 'last')").await;
        flow.drain().await;
        assert_eq!(flow.records("public.t").len(), before + 1);
    });
}

/// Chunks enter at one place of a stream in which nothing happens, and share Kafka transactions.
#[test]
fn chunks_that_share_a_transaction_have_positions_of_their_own() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY, v text);
                   INSERT INTO t SELECT i, 'v' FROM generate_series(1, 6000) i";
        let space = Space::new(&shared().postgres, "shared").await;
        shared().postgres.execute(&space.database, &format!("{PUBLICATION} {ddl}")).await;
        let topic = format!("{}.public.t", space.prefix);
        shared().kafka.create_topic(&topic, 1, &[]).await;
        let batch = ("batch", "target_records = 100\nmax_records = 1000");
        let mut flow = Flow::start_on(shared(), space, &[FORMAT, INITIAL, batch]).await;
        flow.walbrook.wait_for(LIMIT, "t", |line| is_complete(line, "public.t"));
        flow.drain().await;
        assert_eq!(check(&flow.client, &topic, "t").await, 6000);
        // Behind each transaction is its marker.
        let offsets: Vec<_> = flow.records("public.t").iter().map(|it| it.offset).collect();
        let in_one = offsets.chunk_by(|before, next| before + 1 == *next).map(<[_]>::len);
        let most = in_one.max().unwrap();
        assert!((101..=200).contains(&most), "{most} in one transaction");
        flow.stop();
    });
}

/// A table that is published while walbrook runs is read without a command.
#[test]
fn a_table_that_is_published_later_is_read_then() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)";
        let ddl = format!("{PUBLICATION} {ddl}");
        let mut flow = Flow::start(shared(), "later", &ddl, &[FORMAT, INITIAL]).await;
        flow.walbrook.wait_for(LIMIT, "t", |line| is_complete(line, "public.t"));
        flow.execute(
            "BEGIN;
             CREATE TABLE later (id int PRIMARY KEY);
             INSERT INTO later SELECT generate_series(1, 100);
             COMMIT",
        )
        .await;
        flow.walbrook.wait_for(LIMIT, "later", |line| is_complete(line, "public.later"));
        flow.drain().await;
        check(&flow.client, &flow.topic("public.later"), "later").await;
    });
}

/// Its rows are events that were sent once; the stream of it goes on.
#[test]
fn the_rows_of_an_outbox_are_not_read() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text,
                                        type text, payload text);
                   INSERT INTO outbox VALUES (md5('a')::uuid, 'order', '1', 'Old', '{}');
                   CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)";
        let ddl = format!("{PUBLICATION} {ddl}");
        let outbox = ("", "[[outbox]]\ntable = \"public.outbox\"");
        let mut flow = Flow::start(shared(), "outboxed", &ddl, &[FORMAT, INITIAL, outbox]).await;
        flow.walbrook.wait_for(LIMIT, "t", |line| is_complete(line, "public.t"));
        flow.execute("INSERT INTO outbox VALUES (md5('b')::uuid, 'order', '1', 'New', '{}')").await;
        flow.drain().await;
        let begun = |line: &String| line.contains("snapshot begins") && line.contains("outbox");
        assert!(!flow.walbrook.log().iter().any(begun), "{}", flow.walbrook.tail());
    });
}

/// An existing pipeline is not read unasked, where its configuration says nothing of snapshots.
#[test]
fn tables_of_a_pipeline_that_is_older_than_snapshots_are_taken_as_read() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1);
                   CREATE TABLE keyless (v text); INSERT INTO keyless VALUES ('before')";
        let ddl = format!("{PUBLICATION} {ddl}");
        let mut flow = Flow::start(shared(), "older", &ddl, &[FORMAT]).await;
        flow.execute("INSERT INTO t VALUES (2)").await;
        flow.drain().await;
        flow.stop();
        let last = last_checkpoint(&flow);
        let is_older = last["format"] == 1 && last.get("snapshots").is_none();
        assert!(is_older, "as a version without snapshots wrote it: {last}");
        flow.execute("INSERT INTO t VALUES (3); INSERT INTO keyless VALUES ('after')").await;
        flow.config = flow.config.replace(NOTHING_FROM_BEFORE, "");
        flow.restart().await;
        flow.walbrook.wait_for(LIMIT, "a look at the tables", |line| {
            said(line, "message").ends_with("they count as read")
        });
        flow.restart_after_kill().await;
        until(LIMIT, "that the tables are known", || {
            let last = last_checkpoint(&flow);
            if last["snapshots"]["tables"] == 2 { Ok(()) } else { Err(last.to_string()) }
        });
        flow.execute("CREATE TABLE n (id int PRIMARY KEY); INSERT INTO n VALUES (7)").await;
        flow.walbrook.wait_for(LIMIT, "n", |line| is_complete(line, "public.n"));
        flow.drain().await;
        assert_eq!(["public.t", "public.keyless"].map(|it| flow.records(it).len()), [2, 1]);
        check(&flow.client, &flow.topic("public.n"), "n").await;
    });
}

fn last_checkpoint(flow: &Flow<'_>) -> Value {
    let topic = format!("walbrook.{}.checkpoint", flow.space.pipeline);
    let records = records::read_committed(&flow.stack.kafka, &[&topic]);
    let is_position =
        |record: &&records::Record| record.key.as_deref() == Some(flow.space.slot.as_bytes());
    let last = records.iter().rfind(is_position).expect("a checkpoint");
    serde_json::from_slice(last.value.as_deref().unwrap()).unwrap()
}

fn is_complete(line: &Value, table: &str) -> bool {
    said(line, "message") == "the table's snapshot is complete" && said(line, "table") == table
}
