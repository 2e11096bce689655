//! Tables that the configuration leaves out: nothing of them is anywhere, and the others do not feel it.

use std::time::Duration;

use crate::support::flow::{Flow, LIMIT, config, edit, lines_at, query, said};
use crate::support::process::folder;
use crate::support::stack::{NOTHING_FROM_BEFORE, Space, shared};
use crate::support::walbrook::{Walbrook, command};
use crate::support::{http, run};

const TEST_LIMIT: Duration = Duration::from_secs(240);

/// Scratch tables as maintenance tools make them, one with a type that nobody knows and no key.
const DDL: &str = r#"
    CREATE SCHEMA repack;
    CREATE TABLE t (id int PRIMARY KEY, v text);
    CREATE TABLE repack.log_1 (id int PRIMARY KEY, "a-b" int, "a b" int);
    CREATE TABLE pgbench_history (v text);
    CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb);
    CREATE TABLE repack.outbox (LIKE outbox INCLUDING ALL);
    INSERT INTO t VALUES (0, 'before'); INSERT INTO repack.log_1 VALUES (0, 0, 0);
    INSERT INTO pgbench_history VALUES ('before');
    CREATE PUBLICATION walbrook FOR ALL TABLES;"#;

const TABLES: &str = r#"include = ["public.*", "/repack\\..*/", "none.*"]
exclude = ["repack.*", "*.pgbench_*"]"#;

#[test]
fn what_is_left_out_is_nowhere_and_shifts_nothing() {
    run(TEST_LIMIT, async {
        let (stack, space) = (shared(), Space::new(&shared().postgres, "selection").await);
        stack.postgres.execute(&space.database, DDL).await;
        let outbox = "[[outbox]]\ntable = \"public.outbox\"\ntopic = \"{prefix}.{route}\"";
        let outbox = outbox.replace("{prefix}", &space.prefix);
        let socket = folder("control").join("socket");
        let control = format!("socket = {socket:?}");
        let changes = [("tables", TABLES), ("control", &*control)];
        let text = config(stack, &space, &changes).replace(NOTHING_FROM_BEFORE, "");
        let mut flow = Flow::run(stack, space, edit(&text, "", &outbox)).await;
        let no_table = |line: &serde_json::Value| said(line, "pattern") == "none.*";
        flow.walbrook.wait_for(LIMIT, "a warning of the pattern", no_table);
        let row = "gen_random_uuid(), 'order', '1', 'Placed', '{}'";
        flow.execute(&format!(
            "BEGIN; INSERT INTO repack.log_1 VALUES (1, 1, 1); INSERT INTO t VALUES (1, 'a');
             INSERT INTO pgbench_history VALUES ('x'); INSERT INTO repack.outbox VALUES ({row});
             INSERT INTO t VALUES (2, 'b'); COMMIT;
             CREATE TABLE pgbench_new (v text); INSERT INTO pgbench_new VALUES ('y');
             TRUNCATE pgbench_history, t; INSERT INTO outbox VALUES ({row}); INSERT INTO t VALUES (3, 'c')"
        ))
        .await;
        flow.drain().await;
        let records = flow.records("public.t");
        let ordinal = |record: &crate::support::records::Record| {
            let (_, ordinal) =
                record.header("walbrook.position").unwrap().rsplit_once('#').unwrap();
            ordinal.to_owned()
        };
        let ordinals = records.iter().map(ordinal);
        // Of a transaction of five changes, and one of four, of which the second is the TRUNCATE; a row
        // of a snapshot has none.
        let ordinals: Vec<_> = ordinals.filter(|it| !it.starts_with("0.")).collect();
        assert_eq!(ordinals, ["2.0", "5.0", "2.1", "4.0"]);
        let mut topics = stack.kafka.topics();
        topics.retain(|topic| topic.starts_with(&flow.space.prefix));
        topics.sort();
        assert_eq!(topics, ["order", "public.t"].map(|it| flow.topic(it)));
        let left = |subject: &String| {
            subject.contains(&flow.space.prefix) && !subject.contains("public.t")
        };
        assert!(!stack.registry.subjects().iter().any(left));
        let metrics = format!("http://127.0.0.1:{}/metrics", flow.space.http_port);
        let (_, text) = http::get(&metrics).unwrap();
        assert!(text.contains("\nwalbrook_excluded_changes_total 5\n"), "{text}");
        let warned = lines_at(&flow.walbrook, "WARN");
        let of_left = |line: &&serde_json::Value| {
            let table = said(line, "table");
            table.starts_with("repack.") || table.contains("pgbench")
        };
        assert!(!warned.iter().any(|line| of_left(&line)), "{warned:?}");
        commands_know_it(&flow);
        flow.stop();

        // What is not left out any more is new: its rows are read.
        flow.config = edit(&flow.config, "tables", "exclude = [\"repack.*\"]");
        flow.walbrook = Walbrook::spawn(&flow.config);
        let complete = |line: &serde_json::Value| {
            said(line, "table") == "public.pgbench_new"
                && said(line, "message").contains("complete")
        };
        flow.walbrook.wait_for(LIMIT, "the table's snapshot", complete);
        assert_eq!(flow.told("public.pgbench_new").await, [r#"r null null {"v":"y"}"#]);
        let rows = query(&flow.client, "SELECT count(*) FROM pgbench_new").await;
        assert_eq!(rows, [["1"]]);
    });
}

fn commands_know_it(flow: &Flow<'_>) {
    let checked = command(&flow.config, &["check"]).stdout;
    let shown = "public.pgbench_history, public.pgbench_new, repack.log_1, repack.outbox";
    for part in [
        &format!("left out, by [tables]: 4: {shown}"),
        "tables that can be written: 2",
        "tables.include: \"none.*\" matches no published table",
    ] {
        assert!(checked.contains(part), "{part}: {checked}");
    }
    assert!(!checked.contains("has the columns of outbox"), "{checked}");
    let sql = command(&flow.config, &["check", "--sql"]).stdout;
    assert!(sql.contains("schemaname ~ '^(?:repack)$'"), "{sql}");
    let table = ["--table", "repack.log_1"];
    let left = "left out, by [tables] include and exclude";
    for (arguments, code) in [(&["verify"][..], 9), (&["schema", "print"], 4), (&["repair"], 9)] {
        let said = command(&flow.config, &[arguments, &table].concat());
        let (out, log) = (&said.stdout, &said.stderr);
        assert_eq!(said.status.code(), Some(code), "{arguments:?}\n{out}\n{log}");
        assert!(out.contains(left) || log.contains(left), "{arguments:?}\n{out}\n{log}");
    }
    let verified = command(&flow.config, &["verify"]);
    assert!(!verified.stdout.contains("repack"), "{}", verified.stdout);
}
