//! `walbrook repair`: after a slot that was lost, and harm that was done to a topic, the topic has what
//! the table has, and what was right is not sent again.

use serde_json::{Value, json};

use super::{PUBLICATION, TABLES, TEST_LIMIT, harm, verify};
use crate::support::flow::{Flow, LIMIT, config, told};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{Output, Walbrook, command};
use crate::support::{process, run};

/// A pipeline that reads tables, whose topics keep everything.
async fn start(name: &str, tables: &[&str], ddl: &str) -> Flow<'static> {
    start_with(name, tables, ddl, &[]).await
}

async fn start_with(
    name: &str,
    tables: &[&str],
    ddl: &str,
    more: &[(&str, &str)],
) -> Flow<'static> {
    let stack = shared();
    let space = Space::new(&stack.postgres, name).await;
    for table in tables {
        let topic = format!("{}.public.{table}", space.prefix);
        stack.kafka.create_topic(&topic, 3, &[("retention.ms", "-1")]).await;
    }
    stack.postgres.execute(&space.database, &format!("{PUBLICATION} {ddl}")).await;
    let socket = process::folder("control").join("socket");
    let socket = format!("socket = \"{}\"", socket.display());
    let config = config(stack, &space, &[&[("snapshot", "mode = \"initial\"")], more].concat());
    let config = config.replace("socket = \"off\"", &socket);
    let mut walbrook = Walbrook::spawn(&config);
    space.ready(&stack.postgres, &mut walbrook).await;
    let client = stack.postgres.client(&space.database).await;
    Flow { stack, space, config, walbrook, client }
}

/// Runs it; its exit code must be this.
#[track_caller]
fn repair(flow: &Flow<'_>, arguments: &[&str], code: i32) -> Output {
    let output = command(&flow.config, &[&["repair"], arguments].concat());
    let Output { status, stdout, stderr } = &output;
    assert_eq!(status.code(), Some(code), "{stdout}\n{stderr}\n{}", flow.walbrook.tail());
    output
}

fn counts(of: &Value) -> [u64; 3] {
    ["different", "missing", "extra"].map(|what| of[what].as_u64().unwrap())
}

/// The gap that the running process knows of.
fn open_gap(flow: &Flow<'_>) -> Value {
    let status = command(&flow.config, &["snapshot", "status", "--json"]).stdout;
    serde_json::from_str::<Value>(&status).unwrap()["gap"].clone()
}

/// The records of a table that name the gap, told and sorted; all others must have been there before.
fn repaired(flow: &Flow<'_>, gap: &Value, table: &str, before: usize) -> Vec<String> {
    let records = flow.records(table);
    let (with, without): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.header("walbrook.gap") == gap.as_str());
    assert_eq!(without.len(), before, "{table}: nothing else is sent again");
    let mut told: Vec<_> = with.iter().map(|it| told(&flow.stack.registry, it)).collect();
    told.sort();
    told
}

/// Inserts, updates, deletes, key changes and a TRUNCATE that no slot has seen.
const GAP: &str = "
    INSERT INTO t SELECT i, 'canary', 1 FROM generate_series(10001, 10004) i;
    UPDATE t SET v = 'canary' WHERE id IN (10, 20, 30);
    DELETE FROM t WHERE id IN (11, 21);
    UPDATE t SET id = id + 20000 WHERE id = 12;
    TRUNCATE emptied;
    INSERT INTO emptied VALUES ('canary1', 1, 'new'), ('new', 1, 'new');
    UPDATE parts SET v = 'canary' WHERE id = 1;
    DELETE FROM parts WHERE id = 2";

#[test]
fn what_a_lost_slot_has_not_seen_is_written_and_nothing_else() {
    run(TEST_LIMIT, async {
        let tables = ["t", "emptied", "parts"];
        let mut flow = start("repair", &tables, TABLES).await;
        flow.execute(
            "INSERT INTO t SELECT i, 'v' || i, i / 7.0 FROM generate_series(1, 3000) i;
             INSERT INTO emptied SELECT 'canary' || i, i % 5, 'gone' FROM generate_series(1, 9) i;
             INSERT INTO parts SELECT i, repeat(md5(i::text), 300) FROM generate_series(1, 10) i",
        )
        .await;
        flow.drain().await;
        flow.stop();
        let slot = &flow.space.slot;
        flow.execute(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;
        flow.execute(GAP).await;
        let accept = command(&flow.config, &["checkpoint", "accept", "--reason", "dropped"]);
        assert_eq!(accept.status.code(), Some(0), "{}\n{}", accept.stdout, accept.stderr);
        flow.restart().await;
        flow.drain().await;
        let before = tables.map(|table| flow.records(&format!("public.{table}")).len());

        let dry = repair(&flow, &["--dry-run"], 8).stdout;
        assert!(dry.contains("public.t: DIFFERS") && !dry.contains("repaired"), "{dry}");
        let gap = open_gap(&flow);
        assert!(gap.is_string(), "a gap was accepted");
        let Output { stdout, stderr, .. } = repair(&flow, &["--json"], 0);
        let said: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(said["gap"], gap);
        assert_eq!(said["accepted"], json!({ "gap": gap, "repaired": true }));
        assert_eq!(open_gap(&flow), Value::Null, "it is closed");
        assert_eq!(counts(&said["repaired"]), [5, 6, 12], "{said}");
        for line in flow.walbrook.log().iter().chain([&stdout, &stderr]) {
            assert!(!line.contains("canary"), "{line}");
        }
        verify(&flow.config, &[], 0);

        let told = repaired(&flow, &gap, "public.t", before[0]);
        let ops = told.iter().map(|line| line.split('}').next().unwrap());
        let ops: Vec<_> = ops.collect();
        assert_eq!(
            ops,
            [
                "- {\"id\":11",
                "- {\"id\":12",
                "- {\"id\":21",
                "d {\"id\":11",
                "d {\"id\":12",
                "d {\"id\":21",
                "r {\"id\":10001",
                "r {\"id\":10002",
                "r {\"id\":10003",
                "r {\"id\":10004",
                "r {\"id\":10",
                "r {\"id\":20012",
                "r {\"id\":20",
                "r {\"id\":30",
            ]
        );
        // Eight keys of emptied and one of parts are gone, each with its tombstone.
        assert_eq!(repaired(&flow, &gap, "public.emptied", before[1]).len(), 2 + 2 * 8);
        assert_eq!(repaired(&flow, &gap, "public.parts", before[2]).len(), 1 + 2);

        let again = repair(&flow, &[], 0).stdout;
        assert!(again.contains("public.t: alike: 3002 rows"), "{again}");
        let after = tables.map(|table| flow.records(&format!("public.{table}")).len());
        assert_eq!(after, [before[0] + 14, before[1] + 18, before[2] + 3]);
    });
}

const NUMBERS: &str = "
    CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(12, 2));
    CREATE TABLE numbers (n numeric PRIMARY KEY, v text);
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TABLE shrunk (k varchar(10), m mood, PRIMARY KEY (k, m));";

/// Harm beside running writes; and a key that has no exact value is never guessed.
#[test]
fn a_harmed_topic_is_repaired_beside_writes_and_what_cannot_be_told_is_left() {
    run(TEST_LIMIT, async {
        let mut flow = start("repair_harm", &["t", "numbers", "shrunk"], NUMBERS).await;
        flow.execute(
            "INSERT INTO t SELECT i, 'v' || i, i / 7.0 FROM generate_series(1, 6000) i;
             DELETE FROM t WHERE id % 10 = 0;
             INSERT INTO numbers VALUES (1.5, 'a'), (2.50, 'b'), (3, 'c');
             INSERT INTO shrunk VALUES ('abcdefgh', 'sad'), ('abc', 'sad'), ('x', 'glad')",
        )
        .await;
        flow.drain().await;
        harm(&flow);
        for statements in [
            "ALTER PUBLICATION walbrook SET (publish = 'truncate')",
            "DELETE FROM numbers WHERE n < 3; UPDATE numbers SET v = 'd'; DELETE FROM shrunk",
            // Values that no row can have any more: one becomes another, one is an error.
            "ALTER TABLE shrunk ALTER k TYPE varchar(4)",
            "ALTER TYPE mood RENAME VALUE 'glad' TO 'happy'",
            "ALTER PUBLICATION walbrook SET (publish = 'insert, update, delete, truncate')",
        ] {
            flow.execute(statements).await;
        }
        let writer = flow.stack.postgres.client(&flow.space.database).await;
        let writes = tokio::spawn(async move {
            for round in 0.. {
                let statement = format!(
                    "UPDATE t SET v = 'round {round}' WHERE id % 500 = {round} % 500;
                     UPDATE t SET v = 'round {round}' WHERE id IN (5002, 5003)"
                );
                writer.batch_execute(&statement).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        });
        let said = repair(&flow, &["--json"], 8).stdout;
        writes.abort();
        let _ = writes.await;
        let said: Value = serde_json::from_str(&said).unwrap();
        let [numbers, shrunk, t] = &said["tables"].as_array().unwrap()[..] else {
            panic!("{said}")
        };
        assert_eq!(counts(t), [0, 0, 0], "{said}");
        assert_eq!(counts(&numbers["repaired"]), [1, 0, 0], "{said}");
        assert_eq!(counts(numbers), [0, 0, 2], "{said}");
        assert_eq!(numbers["not_repairable"][0]["keys"], 2, "{said}");
        assert_eq!(numbers["keys"], json!([]), "{said}");
        assert_eq!(counts(&shrunk["repaired"]), [0, 0, 1], "{said}");
        assert_eq!(shrunk["not_repairable"][0]["keys"], 2, "{said}");
        assert!(said["gap"].as_str().unwrap().starts_with("until "), "{said}");
        flow.drain().await;
        verify(&flow.config, &["--table", "public.t"], 0);
    });
}

/// Nobody who would write: that is said before anything is compared.
#[test]
fn without_a_process_that_writes_nothing_is_compared() {
    run(TEST_LIMIT, async {
        let mut flow = start("repair_none", &["t"], TABLES).await;
        let never = Flow { config: flow.config.replace("\"initial\"", "\"never\""), ..flow };
        let why = repair(&never, &[], 2).stderr;
        assert!(why.contains("`snapshot.mode`") && why.contains("initial"), "{why}");
        flow = Flow { config: never.config.replace("\"never\"", "\"initial\""), ..never };
        flow.stop();
        let why = repair(&flow, &[], 6).stderr;
        assert!(why.contains("no walbrook listens"), "{why}");
    });
}

/// Drops the slot under a walbrook that streams, and does this before there is another one.
async fn drop_slot(flow: &Flow<'_>, statements: &str) {
    let drop = "DO $$ BEGIN
        PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'SLOT';
        FOR i IN 1..500 LOOP
            BEGIN
                PERFORM pg_drop_replication_slot('SLOT');
                STATEMENTS;
                RETURN;
            EXCEPTION WHEN object_in_use THEN PERFORM pg_sleep(0.01);
            END;
        END LOOP;
        RAISE 'it is in use';
    END $$";
    let drop = drop.replace("SLOT", &flow.space.slot).replace("STATEMENTS", statements);
    flow.execute(&drop).await;
}

#[test]
fn a_lost_slot_is_made_anew_and_repaired_by_nobodys_order_once_an_hour() {
    run(TEST_LIMIT, async {
        let more = ("repair", "mode = \"when_lost\"");
        let mut flow = start_with("when_lost", &["t"], TABLES, &[more]).await;
        flow.execute("INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 300) i").await;
        flow.drain().await;
        drop_slot(&flow, "DELETE FROM t WHERE id <= 20; INSERT INTO t VALUES (301, 'new', 1)")
            .await;
        flow.walbrook.wait_for_message(LIMIT, "the gap is repaired");
        flow.execute("UPDATE t SET v = 'streamed' WHERE id = 100").await;
        flow.drain().await;
        verify(&flow.config, &["--table", "public.t"], 0);
        let written = flow.records("public.t");
        let written = written.iter().filter(|it| it.header("walbrook.gap").is_some()).count();
        assert_eq!(written, 20 * 2 + 1);
        assert_eq!(open_gap(&flow), Value::Null);
        drop_slot(&flow, "DELETE FROM t WHERE id = 21").await;
        let status = flow.walbrook.wait(LIMIT);
        assert_eq!(status.code(), Some(5), "{}", flow.walbrook.tail());
    });
}
