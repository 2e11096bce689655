//! `walbrook snapshot …`: tables are read again, paused, given up, and it outlives a kill.

use serde_json::Value;

use super::{FORMAT, INITIAL, PUBLICATION, TEST_LIMIT, is_complete};
use crate::support::flow::{Flow, LIMIT, config};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{Output, Walbrook, command};
use crate::support::{process, run, until};

/// Runs `walbrook snapshot …`, which ends with this code; what it printed, or else its errors.
#[track_caller]
fn snapshot(flow: &Flow<'_>, arguments: &str, code: i32) -> String {
    let mut words = vec!["snapshot"];
    let (before, condition) = arguments.split_once(" --where ").unwrap_or((arguments, ""));
    words.extend(before.split(' '));
    if !condition.is_empty() {
        words.extend(["--where", condition]);
    }
    let Output { status, stdout, stderr } = command(&flow.config, &words);
    assert_eq!(
        status.code(),
        Some(code),
        "{arguments}\n{stdout}\n{stderr}\n{}",
        flow.walbrook.tail()
    );
    if stdout.is_empty() { stderr } else { stdout }
}

/// Waits until the status has the only table that is being read as wanted.
pub(super) fn until_table(flow: &Flow<'_>, what: &str, wanted: impl Fn(&Value) -> bool) {
    until(LIMIT, what, || {
        let status: Value = serde_json::from_str(&snapshot(flow, "status --json", 0)).unwrap();
        if wanted(&status["tables"][0]) { Ok(()) } else { Err(status.to_string()) }
    });
}

/// How many records of a table were read, of keys up to `last`.
fn reads(flow: &Flow<'_>, last: u64) -> usize {
    let value = |bytes: &Vec<u8>| serde_json::from_slice::<Value>(bytes).unwrap();
    let values = flow.records("public.t").into_iter().filter_map(|it| it.value.as_ref().map(value));
    values.filter(|it| it["op"] == "r" && it["after"]["id"].as_u64().unwrap() <= last).count()
}

/// A pipeline whose table t has 3000 rows that were read.
pub(super) async fn start(name: &str, ddl: &str, more: &[(&str, &str)]) -> Flow<'static> {
    let ddl = format!(
        "{PUBLICATION} CREATE TABLE t (id int PRIMARY KEY, v text); {ddl};
         INSERT INTO t SELECT i, 'before' FROM generate_series(1, 3000) i"
    );
    let socket = process::folder("control").join("socket");
    let socket = format!("socket = \"{}\"", socket.display());
    let small = ("batch", "target_records = 500");
    let changes = [&[FORMAT, INITIAL, small], more].concat();
    let space = Space::new(&shared().postgres, name).await;
    shared().postgres.execute(&space.database, &ddl).await;
    let config = config(shared(), &space, &changes);
    let config = config.replace("socket = \"off\"", &socket);
    let mut walbrook = Walbrook::spawn(&config);
    space.ready(&shared().postgres, &mut walbrook).await;
    let client = shared().postgres.client(&space.database).await;
    let flow = Flow { stack: shared(), space, config, walbrook, client };
    flow.walbrook.wait_for(LIMIT, "t", |line| is_complete(line, "public.t"));
    flow
}

/// What is in the snapshot's last batch is in no transaction of PostgreSQL: one behind it is waited for.
async fn drain(flow: &mut Flow<'_>) {
    flow.execute("SELECT pg_current_xact_id()").await;
    flow.drain().await;
}

/// A transaction that is open holds up what is begun while it runs.
pub(super) async fn open_xact(flow: &Flow<'_>) -> tokio_postgres::Client {
    let client = shared().postgres.client(&flow.space.database).await;
    client.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.unwrap();
    client
}

#[test]
fn a_table_is_read_again_when_told_and_a_kill_does_not_forget_it() {
    run(TEST_LIMIT, async {
        let mut flow = start("again", "SELECT 1", &[]).await;
        let said = snapshot(&flow, "start --table public.t --where id <= 100 -- the first", 0);
        assert!(said.starts_with("public.t: begun"), "{said}");
        let is_again = |line: &Value| is_complete(line, "public.t") && line["rows"] == 100;
        flow.walbrook.wait_for(LIMIT, "t", is_again);
        drain(&mut flow).await;
        assert_eq!((reads(&flow, 100), reads(&flow, 3000)), (200, 3100));
        // What was answered is in Kafka.
        let open = open_xact(&flow).await;
        snapshot(&flow, "start --table public.t --where v = 'before' AND id > 2000", 0);
        let refused = snapshot(&flow, "start --table public.t", 2);
        assert!(refused.contains("is being read, 0 of about 1000 rows so far"), "{refused}");
        flow.execute("UPDATE t SET v = 'new' WHERE id = 3000").await;
        drain(&mut flow).await;
        flow.restart_after_kill().await;
        until_table(&flow, "what it waits for", |table| table["waits_for"].is_string());
        open.batch_execute("COMMIT").await.unwrap();
        flow.walbrook.wait_for(LIMIT, "t", |line| is_complete(line, "public.t"));
        drain(&mut flow).await;
        assert_eq!((reads(&flow, 2000), reads(&flow, 3000)), (2100, 4099));
        let status = snapshot(&flow, "status --watch", 0);
        assert_eq!(status, "0 tables are being read, 0 wait; 1 were read, 0 not\n");
    });
}

#[test]
fn what_is_paused_or_given_up_stays_so_over_a_restart() {
    run(TEST_LIMIT, async {
        let mut flow = start("paused", "SELECT 1", &[]).await;
        let open = open_xact(&flow).await;
        snapshot(&flow, "start --table public.t", 0);
        let said = snapshot(&flow, "pause --table public.t", 0);
        assert!(said.starts_with("public.t is paused, 0 of about 3000 rows so far"), "{said}");
        open.batch_execute("COMMIT").await.unwrap();
        flow.restart_after_kill().await;
        until_table(&flow, "that it is paused", |table| table["state"] == "paused");
        // Time enough to be read in.
        drain(&mut flow).await;
        assert_eq!(reads(&flow, 3000), 3000);
        snapshot(&flow, "pause", 0);
        flow.restart_after_kill().await;
        for arguments in ["start --table public.t", "resume --table public.t"] {
            let refused = snapshot(&flow, arguments, 2);
            assert!(refused.contains("all reading is paused"), "{refused}");
        }
        snapshot(&flow, "resume", 0);
        flow.walbrook.wait_for(LIMIT, "t", |line| is_complete(line, "public.t"));
        drain(&mut flow).await;
        assert_eq!(reads(&flow, 3000), 6000);

        let open = open_xact(&flow).await;
        snapshot(&flow, "start --table public.t", 0);
        let said = snapshot(&flow, "stop --table public.t", 0);
        assert!(said.starts_with("public.t is read no further, 0 of about 3000 rows"), "{said}");
        open.batch_execute("COMMIT").await.unwrap();
        flow.restart_after_kill().await;
        let refused = snapshot(&flow, "stop --table public.t", 2);
        assert!(refused.contains("is not being read"), "{refused}");
        let status = snapshot(&flow, "status", 0);
        assert!(status.ends_with("0 wait; 0 were read, 1 not\n"), "{status}");
        drain(&mut flow).await;
        assert_eq!(reads(&flow, 3000), 6000);
    });
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE keyless (v text);
                   CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text,
                                        type text, payload text)";
        let outbox = ("", "[[outbox]]\ntable = \"public.outbox\"");
        let mut flow = start("refused", ddl, &[outbox]).await;
        for (arguments, expect) in [
            ("start --table public.nope", "public.nope is not published under this name"),
            ("start --table t", "want schema.table"),
            ("start --table public.keyless", "has no key"),
            ("start --table public.outbox", "public.outbox is an outbox"),
            ("start --table public.t --where nope < 3", "column \\\"nope\\\" does not exist"),
            ("start --table public.t --where id <", "the condition of"),
            ("start --table public.t --where false) OR (true", "the condition of"),
            ("pause --table public.t", "public.t is not being read"),
        ] {
            let refused = snapshot(&flow, arguments, 2);
            assert!(refused.contains(expect), "{arguments}: {refused}");
        }
        // It is what it was.
        drain(&mut flow).await;
        // It is told once a second.
        until(LIMIT, "what it was", || {
            let status = snapshot(&flow, "status", 0);
            if status.ends_with("0 wait; 2 were read, 1 not\n") { Ok(()) } else { Err(status) }
        });
        flow.stop();
        flow.config = flow.config.replace("mode = \"initial\"", "mode = \"never\"");
        flow.restart().await;
        let refused = snapshot(&flow, "start --table public.t", 2);
        assert!(refused.contains("this process reads no tables"), "{refused}");
    });
}

/// What was left out of the stream of a table without a key is in its rows, and nowhere else.
#[test]
fn a_table_without_a_key_is_not_given_up() {
    run(TEST_LIMIT, async {
        let mut flow = start("kept", "SELECT 1", &[]).await;
        let open = open_xact(&flow).await;
        flow.execute("CREATE TABLE bare (v text); INSERT INTO bare VALUES ('held')").await;
        until_table(&flow, "bare", |table| table["table"] == "public.bare");
        let refused = snapshot(&flow, "stop --table public.bare", 2);
        assert!(refused.contains("public.bare has no key"), "{refused}");
        let done = snapshot(&flow, "stop", 0);
        assert!(done.contains("0 tables are read no further"), "{done}");
        // Also where the process that has begun with it is gone, and tables are not wanted any more.
        flow.stop();
        flow.config = flow.config.replace("mode = \"initial\"", "mode = \"never\"");
        flow.restart().await;
        assert_eq!(flow.records("public.bare").len(), 0, "it is left out of the stream");
        open.batch_execute("COMMIT").await.unwrap();
        flow.walbrook.wait_for(LIMIT, "bare", |line| is_complete(line, "public.bare"));
        flow.execute("INSERT INTO bare VALUES ('behind')").await;
        drain(&mut flow).await;
        let records = flow.records("public.bare");
        let values = records.iter().filter_map(|record| record.value.as_ref());
        let values: Vec<Value> = values.map(|it| serde_json::from_slice(it).unwrap()).collect();
        let said = values.iter().map(|it| (it["op"].as_str().unwrap(), &it["after"]["v"]));
        let said: Vec<_> = said.map(|(op, v)| format!("{op} {v}")).collect();
        assert_eq!(said, ["r \"held\"", "c \"behind\""]);
    });
}
