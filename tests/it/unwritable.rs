//! Rows that cannot be written: what is complete before them is committed, and there is a way past.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::flow::{Flow, ends_with, lines_at, plain, query, said};
use crate::support::records::Record;
use crate::support::stack::shared;
use crate::support::walbrook::{Walbrook, command};
use crate::support::{process, run};

const TEST_LIMIT: Duration = Duration::from_secs(240);

const OUTBOX: &str = "
    CREATE TABLE outbox (
        id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb);
    CREATE TABLE other (id int PRIMARY KEY, v text);
    CREATE PUBLICATION walbrook FOR TABLE outbox, other;";

/// An INSERT of an event with this route.
fn event(id: u32, route: &str) -> String {
    format!(
        "INSERT INTO outbox VALUES ('00000000-0000-0000-0000-{id:012}', {route}, '7', 'Placed', '{{}}');"
    )
}

/// The ids of a table's records.
fn ids(flow: &Flow<'_>, table: &str) -> Vec<i64> {
    let registry = &flow.stack.registry;
    let id = |record: &Record| plain(record.key(registry).unwrap())["id"].as_i64().unwrap();
    flow.records(table).iter().map(id).collect()
}

#[test]
fn what_is_complete_before_a_row_that_stops_the_pipeline_is_committed() {
    run(TEST_LIMIT, async {
        let outbox = "[[outbox]]\ntable = \"outbox\"\ntopic = \"{prefix}.event.{route}\"";
        let mut flow = Flow::start(shared(), "complete_first", OUTBOX, &[("", outbox)]).await;
        flow.execute("INSERT INTO other VALUES (0, 'first');").await;
        flow.drain().await;
        flow.stop();
        flow.execute("INSERT INTO other VALUES (1, 'before');").await;
        flow.execute("INSERT INTO other VALUES (2, 'before');").await;
        flow.execute(&format!(
            "BEGIN; INSERT INTO other VALUES (3, 'cut'); {} COMMIT;",
            event(4, "'App\\Models\\Order'")
        ))
        .await;
        flow.execute("INSERT INTO other VALUES (6, 'after');").await;
        for _ in 0..2 {
            flow.walbrook = Walbrook::spawn(&flow.config);
            let error = ends_with(&mut flow.walbrook, 4);
            assert!(error.contains("its topic is refused"), "{error}");
            assert_eq!(ids(&flow, "public.other"), [0, 1, 2]);
        }
    });
}

/// Starts it; it ends with an error about a change, whose position the error names.
fn ends_at(flow: &mut Flow<'_>) -> String {
    flow.walbrook = Walbrook::spawn(&flow.config);
    let error = ends_with(&mut flow.walbrook, 4);
    let (_, after) = error.split_once("walbrook checkpoint skip --position ").expect(&error);
    after.split(' ').next().unwrap().to_owned()
}

/// `walbrook checkpoint skip`, which ends with this code; what it said.
#[track_caller]
fn skip(flow: &Flow<'_>, position: &str, file: &Path, code: i32) -> String {
    let file = file.to_str().unwrap();
    let arguments =
        ["checkpoint", "skip", "--position", position, "--file", file, "--reason", "known"];
    let output = command(&flow.config, &arguments);
    let text = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

fn kept(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[test]
fn one_change_is_left_out_and_kept_and_nothing_else() {
    run(TEST_LIMIT, async {
        let outbox = "[[outbox]]\ntable = \"outbox\"\ntopic = \"{prefix}.event.{route}\"";
        let mut flow = Flow::start(shared(), "skip", OUTBOX, &[("", outbox)]).await;
        let busy = skip(&flow, "0/1#1", Path::new("never.json"), 7);
        assert!(busy.contains("is in use"), "{busy}");
        flow.stop();
        flow.execute("INSERT INTO other VALUES (1, 'before');").await;
        flow.execute(&format!(
            "BEGIN; INSERT INTO other VALUES (2, 'a'); {} INSERT INTO other VALUES (4, 'b'); {} {} COMMIT;",
            event(3, "'or der'"),
            event(5, "'order'"),
            event(6, "NULL"),
        ))
        .await;
        flow.execute("INSERT INTO other VALUES (7, 'after');").await;

        let first = ends_at(&mut flow);
        let folder = process::folder("kept");
        let file = |name: &str| folder.join(name);
        // Only a change that is in the stream and still to come.
        let (commit_lsn, ordinal) = first.split_once('#').unwrap();
        assert_eq!(ordinal, "2");
        let behind = skip(&flow, &format!("{commit_lsn}#9"), &file("no"), 5);
        assert!(behind.contains("its transaction has 5 changes"), "{behind}");
        let shown = command(&flow.config, &["checkpoint", "show", "--json"]).stdout;
        let shown: Value = serde_json::from_str(&shown).unwrap();
        let passed = shown["position"]["commit_lsn"].as_str().unwrap();
        let passed = skip(&flow, &format!("{passed}#2"), &file("no"), 5);
        assert!(passed.contains("does not come any more"), "{passed}");
        let future = skip(&flow, "FF/0#1", &file("no"), 5);
        assert!(future.contains("the server's log ends at"), "{future}");
        assert!(!file("no").exists());

        let told = skip(&flow, &first, &file("first.json"), 0);
        assert!(told.contains(&format!("one insert (public.outbox) at {first}")), "{told}");
        let row = kept(&file("first.json"));
        assert_eq!(row["new"]["aggregatetype"], "or der", "{row}");
        assert_eq!((&row["table"], &row["reason"]), (&"public.outbox".into(), &"known".into()));
        let again = skip(&flow, &first, &file("first.json"), 4);
        assert!(again.contains("so nothing was changed"), "{again}");

        // The next one stops it in the same transaction, of which nothing is in Kafka yet.
        let second = ends_at(&mut flow);
        assert_eq!(second, format!("{commit_lsn}#5"));
        assert_eq!(ids(&flow, "public.other"), [1]);
        skip(&flow, &second, &file("second.json"), 0);
        assert_eq!(kept(&file("second.json"))["new"]["aggregatetype"], Value::Null);
        flow.restart().await;
        flow.restart_after_kill().await;
        flow.execute("INSERT INTO other VALUES (8, 'now');").await;
        flow.drain().await;
        assert_eq!(ids(&flow, "public.other"), [1, 2, 4, 7, 8]);
        assert_eq!(flow.records("event.order").len(), 1);
        flow.stop();
        let shown = command(&flow.config, &["checkpoint", "show"]).stdout;
        assert!(!shown.contains("to leave out"), "{shown}");
    });
}

/// A row filter that fails, and the way past it of docs/operations.md.
#[test]
fn what_postgres_fails_to_decode_is_permanent_and_given_up_with_its_transaction() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE p (id int PRIMARY KEY, x int NOT NULL);
            CREATE TABLE q (id int PRIMARY KEY);
            CREATE PUBLICATION walbrook FOR TABLE p WHERE (10 / x > 1), q WITH (publish = 'insert');";
        let mut flow = Flow::start(shared(), "division", ddl, &[]).await;
        flow.execute("INSERT INTO q VALUES (1);").await;
        flow.drain().await;
        flow.stop();
        flow.execute("INSERT INTO q VALUES (2);").await;
        flow.execute("INSERT INTO p VALUES (1, 0);").await;
        let behind =
            query(&flow.client, "SELECT pg_current_wal_insert_lsn()").await.concat().concat();
        flow.execute("INSERT INTO q VALUES (3);").await;
        flow.walbrook = Walbrook::spawn(&flow.config);
        let error = ends_with(&mut flow.walbrook, 4);
        println!("{error}");
        for words in ["22012 (division_by_zero)", "decoded", "the same each time"] {
            assert!(error.contains(words), "{words}: {error}");
        }
        assert!(!error.contains("public.p"), "{error}");
        // What the server does not say, its log does.
        flow.execute("CREATE EXTENSION pg_walinspect SCHEMA public").await;
        let check = command(&flow.config, &["check"]);
        assert!(check.stdout.contains("in a change of public.p. It is"), "{check:?}");
        flow.walbrook = Walbrook::spawn(&flow.config);
        let error = ends_with(&mut flow.walbrook, 4);
        assert!(error.contains("in a change of public.p. It is"), "{error}");
        assert_eq!(ids(&flow, "public.q"), [1, 2]);
        let slot = &flow.space.slot;
        flow.execute(&format!("SELECT pg_replication_slot_advance('{slot}', '{behind}')")).await;
        let accepted = command(&flow.config, &["checkpoint", "accept", "--reason", "division"]);
        assert!(accepted.stdout.contains("not delivered: changes that committed"), "{accepted:?}");
        flow.restart().await;
        flow.drain().await;
        assert_eq!(ids(&flow, "public.q"), [1, 2, 3]);
        flow.stop();
    });
}

#[test]
fn a_record_that_kafka_does_not_take_is_left_out() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY, v text);
            CREATE PUBLICATION walbrook FOR TABLE t;";
        let mut flow = Flow::start(shared(), "skip_large", ddl, &[]).await;
        let limit = [("max.message.bytes", "50000")];
        flow.stack.kafka.create_topic(&flow.topic("public.t"), 1, &limit).await;
        flow.stop();
        // Not compressible.
        flow.execute("INSERT INTO t VALUES (0, 'before')").await;
        flow.execute(
            "INSERT INTO t VALUES (1, 'beside'); INSERT INTO t
             SELECT 2, string_agg(md5(g::text), '') FROM generate_series(1, 10000) g;
             INSERT INTO t VALUES (3, 'after')",
        )
        .await;
        let position = ends_at(&mut flow);
        assert_eq!(ids(&flow, "public.t"), [0], "what was complete is not lost with the batch");
        let file = process::folder("kept").join("large.json");
        skip(&flow, &position, &file, 0);
        let row = kept(&file);
        assert_eq!(
            (row["new"]["id"].as_str(), row["new"]["v"].as_str().unwrap().len()),
            (Some("2"), 320_000)
        );
        flow.restart().await;
        flow.drain().await;
        assert_eq!(ids(&flow, "public.t"), [0, 1, 3]);
        let warnings = lines_at(&flow.walbrook, "WARN");
        let left_out = warnings.iter().find(|line| said(line, "message").contains("left out"));
        let left_out = left_out.unwrap_or_else(|| panic!("{warnings:?}"));
        assert_eq!((said(left_out, "position"), said(left_out, "table")), (&*position, "public.t"));
        let metrics = format!("http://127.0.0.1:{}/metrics", flow.space.http_port);
        let (_, metrics) = crate::support::http::get(&metrics).unwrap();
        assert!(metrics.contains("walbrook_skipped_changes_total 1"), "{metrics}");
        flow.stop();
    });
}
