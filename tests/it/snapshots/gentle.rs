//! The operator's limits of a snapshot.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{FORMAT, INITIAL, PUBLICATION, TEST_LIMIT, check, is_complete};
use crate::support::flow::{Flow, LIMIT, edit, said};
use crate::support::run;
use crate::support::stack::shared;

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
