//! The operator's limits of a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio_postgres::Client;

use super::{FORMAT, INITIAL, PUBLICATION, TEST_LIMIT, check, is_complete};
use crate::support::flow::{Flow, LIMIT, config, edit, ends_with, position, said, until_value};
use crate::support::run;
use crate::support::stack::{Space, shared};
use crate::support::walbrook::Walbrook;

const PAUSES: &str = "the reading of tables pauses";

/// Hours that begin so many minutes from now, one hour of them.
fn hours_in(minutes: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60;
    let at = |minute: u64| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    format!("only_between = \"{}-{}\"", at(now + minutes), at(now + minutes + 60))
}

#[test]
fn a_snapshot_keeps_its_hours_waits_for_the_stream_and_keeps_its_rate() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY, v text);
                   INSERT INTO t SELECT i, 'before' FROM generate_series(1, 3000) i;
                   CREATE TABLE ballast (id int PRIMARY KEY, v text)";
        let ddl = format!("{PUBLICATION} {ddl}");
        let later = hours_in(120);
        let changes = [FORMAT, INITIAL, ("snapshot", later.as_str())];
        let mut flow = Flow::start(shared(), "gentle", &ddl, &changes).await;
        let pauses = |why: &'static str| {
            move |line: &Value| {
                said(line, "message").starts_with(PAUSES) && said(line, "message").contains(why)
            }
        };
        flow.walbrook.wait_for(LIMIT, "its hours", pauses("only_between"));
        flow.execute("INSERT INTO t VALUES (3001, 'after')").await;
        flow.drain().await;
        assert_eq!(flow.records("public.t").len(), 1);
        let told = |line: &&String| line.contains(PAUSES);
        assert_eq!(flow.walbrook.log().iter().filter(told).count(), 1, "said once");

        flow.stop();
        let limits = "rows_per_second = 1000\npause_when_lag_over = \"1MiB\"";
        flow.config = edit(&flow.config.replace(&later, ""), "snapshot", limits);
        let wal = "INSERT INTO ballast SELECT i, repeat(md5(i::text), 30)
                   FROM generate_series(1, 5000) i";
        flow.execute(wal).await;
        flow.restart().await;
        flow.walbrook.wait_for(LIMIT, "a lag", pauses("pause_when_lag_over"));
        let goes_on = "the reading of tables goes on";
        flow.walbrook.wait_for(LIMIT, goes_on, |line| said(line, "message") == goes_on);
        let since = Instant::now();
        flow.walbrook.wait_for(LIMIT, "t", |line| is_complete(line, "public.t"));
        assert!(Duration::from_secs(2) <= since.elapsed(), "{:?}", since.elapsed());
        flow.drain().await;
        check(&flow.client, &flow.topic("public.t"), "t").await;
    });
}

/// Else a transaction that comes meanwhile would have to wait for all rows of it.
#[test]
fn beside_a_busy_stream_a_table_is_read_in_small_chunks() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE t (id int PRIMARY KEY);
                   INSERT INTO t SELECT generate_series(1, 12000);
                   CREATE TABLE ticks (id bigserial PRIMARY KEY)";
        let ddl = format!("{PUBLICATION} {ddl}");
        let later = hours_in(120);
        let batch = ("batch", "target_records = 4000\nmax_records = 8000");
        let changes = [FORMAT, INITIAL, batch, ("snapshot", later.as_str())];
        let mut flow = Flow::start(shared(), "busy", &ddl, &changes).await;
        flow.stop();
        let client = flow.stack.postgres.client(&flow.space.database).await;
        let is_over = Arc::new(AtomicBool::new(false));
        let ticks = tokio::spawn(tick(client, Arc::clone(&is_over)));
        // It is busy from the start.
        until_value(&flow.client, "SELECT 50 < count(*) FROM ticks", "t").await;
        flow.config = flow.config.replace(&later, "");
        flow.restart().await;
        flow.walbrook.wait_for(LIMIT, "t", |line| is_complete(line, "public.t"));
        is_over.store(true, Ordering::Relaxed);
        ticks.await.unwrap();
        flow.drain().await;
        assert_eq!(check(&flow.client, &flow.topic("public.t"), "t").await, 12_000);
        let mut chunks = BTreeMap::new();
        for record in flow.records("public.t") {
            *chunks.entry(position(&record).0).or_insert(0) += 1;
        }
        // A quarter of what it may have, and perhaps two that enter at one place.
        assert!(chunks.values().all(|rows| *rows <= 2_000), "{:?}", chunks.values());
    });
}

async fn tick(client: Client, is_over: Arc<AtomicBool>) {
    while !is_over.load(Ordering::Relaxed) {
        client.batch_execute("INSERT INTO ticks DEFAULT VALUES").await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The way of an operator who reads first, and streams later.
#[test]
fn only_some_rows_of_some_tables_are_read_and_then_it_ends() {
    run(TEST_LIMIT, async {
        let ddl =
            "CREATE TABLE part (id int PRIMARY KEY); CREATE TABLE unread (id int PRIMARY KEY);
                   CREATE TABLE whole (id int PRIMARY KEY);
                   INSERT INTO part SELECT generate_series(1, 100);
                   INSERT INTO unread SELECT generate_series(1, 100);
                   INSERT INTO whole SELECT generate_series(1, 100)";
        let stack = shared();
        let space = Space::new(&stack.postgres, "only").await;
        stack.postgres.execute(&space.database, &format!("{PUBLICATION} {ddl}")).await;
        let only = r#"mode = "only"
first = ["whole"]
tables = [{ table = "part", where = "idd <= 10" }, { table = "unread", mode = "never" }]"#;
        let broken = config(stack, &space, &[FORMAT, ("snapshot", only)]);
        let mut walbrook = Walbrook::spawn(&broken);
        let error = ends_with(&mut walbrook, 4);
        assert!(
            error.contains("only") && error.contains("part") && error.contains("idd"),
            "{error}"
        );
        let begun = |line: &Value| said(line, "message") == "the table's snapshot begins";
        let first = walbrook.wait_for(LIMIT, "a beginning", begun);
        assert_eq!(said(&first, "table"), "public.whole");

        let mut walbrook = Walbrook::spawn(&broken.replace("idd", "id"));
        assert_eq!(walbrook.wait(LIMIT).code(), Some(0), "{}", walbrook.tail());
        let initial = broken.replace("idd", "id").replace("\"only\"", "\"initial\"");
        stack.postgres.execute(&space.database, "INSERT INTO part VALUES (999)").await;
        let walbrook = Walbrook::spawn(&initial);
        let client = stack.postgres.client(&space.database).await;
        let mut flow = Flow { stack, space, config: initial, walbrook, client };
        flow.drain().await;
        assert_eq!(check(&flow.client, &flow.topic("public.whole"), "whole").await, 100);
        let part = "(SELECT * FROM part WHERE id <= 10 OR id = 999)";
        assert_eq!(check(&flow.client, &flow.topic("public.part"), part).await, 10);
        flow.execute("INSERT INTO unread VALUES (999)").await;
        flow.drain().await;
        assert_eq!(flow.records("public.unread").len(), 1);
    });
}
