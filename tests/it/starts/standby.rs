//! A second instance on the same slot.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Load, TABLE, TEST_LIMIT, check_once, until_ready};
use crate::support::flow::{self, Flow, LIMIT, said};
use crate::support::postgres::{Options, Postgres};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::Walbrook;
use crate::support::{process, records, run, until};

/// Another instance with this configuration, but for its HTTP port.
fn spawn_second(space: &Space, config: &str) -> Walbrook {
    let own = format!("127.0.0.1:{}", space.http_port);
    Walbrook::spawn(&config.replace(&own, &format!("127.0.0.1:{}", process::free_port())))
}

fn until_standby(walbrook: &Walbrook) {
    walbrook.wait_for(LIMIT, "standby", |line| said(line, "phase") == "standby");
}

/// Either of them may hold the slot; the other must be its standby.
fn until_settled(one: &Walbrook, other: &Walbrook) {
    let phase = |walbrook: &Walbrook| {
        let log = walbrook.log();
        let lines = log.iter().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.map(|line| said(&line, "phase").to_owned()).find(|phase| !phase.is_empty())
    };
    until(LIMIT, "one streams, the other is its standby", || {
        let mut phases = [one, other].map(|walbrook| phase(walbrook).unwrap_or_default());
        phases.sort();
        (phases == ["standby", "streaming"]).then_some(()).ok_or_else(|| format!("{phases:?}"))
    });
}

/// The second one waits and touches nothing in Kafka; when the first is killed it goes on within
/// 5 s, and nothing is lost or comes twice.
#[test]
fn a_second_instance_is_a_standby_and_takes_over() {
    run(TEST_LIMIT, async {
        let mut flow =
            Flow::start(shared(), "standby", TABLE, &[("log", "level = \"debug\"")]).await;
        let load = Load::start(&flow, 50).await;
        let second = spawn_second(&flow.space, &flow.config);
        until_standby(&second);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(flow.walbrook.ended().is_none());
        let log = second.log().join("\n");
        for touched in ["recovering", "kafka transaction", "created kafka topic"] {
            assert!(!log.contains(&format!("\"message\":\"{touched}")), "{touched}: {log}");
        }
        let lines = log.lines().filter(|line| line.contains("another instance holds")).count();
        assert_eq!(lines, 1, "it says so once: {log}");

        let start = Instant::now();
        flow.walbrook.kill();
        second.wait_for_message(Duration::from_secs(15), "streaming");
        println!("took over in {:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        // And back: the first comes as the standby, the second leaves in good order.
        let mut former = std::mem::replace(&mut flow.walbrook, second);
        former = {
            drop(former);
            Walbrook::spawn(&flow.config)
        };
        until_standby(&former);
        let start = Instant::now();
        flow.stop();
        flow.walbrook = former;
        flow.walbrook.wait_for_message(Duration::from_secs(15), "streaming");
        println!("handed over in {:?}", start.elapsed());
        load.end().await;
        flow.drain().await;
        check_once(&flow).await;
        until_ready(&flow, 200);
    });
}

/// The first is halted longer than its walsender lives, and wakes up when the second has gone on:
/// it must not write, and becomes the standby.
#[test]
fn an_instance_that_was_asleep_is_fenced() {
    run(TEST_LIMIT, async {
        let changes =
            [("log", "level = \"debug\""), ("replication", "wal_sender_timeout = \"2s\"")];
        let mut flow = Flow::start(shared(), "asleep", TABLE, &changes).await;
        let load = Load::start(&flow, 50).await;
        flow.walbrook.wait_for_message(LIMIT, "kafka transaction opened");
        let second = spawn_second(&flow.space, &flow.config);
        until_standby(&second);
        let commits = || {
            let is_commit = |line: &&String| line.contains("kafka transaction committed");
            second.log().iter().filter(is_commit).count()
        };
        for _ in 0..2 {
            let before = commits();
            flow.walbrook.signal("STOP");
            until(Duration::from_secs(30), "a commit of the second", || {
                (before < commits()).then_some(()).ok_or_else(|| second.tail())
            });
            flow.walbrook.signal("CONT");
            until_settled(&flow.walbrook, &second);
        }
        load.end().await;
        flow.drain().await;
        check_once(&flow).await;
        // Between the first's records and those of the second nothing of the first comes again.
        let topic = flow.topic("public.t");
        for partition in 0..3 {
            let records = records::read_committed(&flow.stack.kafka, &[&topic]);
            let positions: Vec<_> = records
                .iter()
                .filter(|record| record.partition == partition)
                .map(flow::position)
                .collect();
            assert!(positions.is_sorted(), "positions go up in every partition (I3)");
        }
        let alive = [flow.walbrook.ended(), {
            let mut second = second;
            second.ended()
        }];
        assert_eq!(alive, [None, None], "both live: {}", flow.walbrook.tail());
    });
}

/// The first is silent, and the server does not notice by itself (here it was told to wait for an
/// hour; in the test above it does notice): the second ends its walsender and goes on. A holder that
/// lives it leaves alone.
#[test]
fn a_dead_holder_is_ended_by_its_standby() {
    run(TEST_LIMIT, async {
        let patient = ("replication", "wal_sender_timeout = \"1h\"");
        let mut flow = Flow::start(shared(), "dead", TABLE, &[patient]).await;
        // A role may end its own walsenders, and sees how long they are silent only with this.
        let role = "CREATE ROLE watcher LOGIN REPLICATION IN ROLE pg_read_all_stats";
        flow.execute(role).await;
        flow.stop();
        flow.config = flow.config.replace("user = \"postgres\"", "user = \"watcher\"");
        flow.restart().await;
        let load = Load::start(&flow, 50).await;
        // Three times this is more than the 5 s after which the first replies at the latest.
        let config = flow.config.replace(patient.1, "wal_sender_timeout = \"2s\"");
        let second = spawn_second(&flow.space, &config);
        until_standby(&second);
        tokio::time::sleep(Duration::from_secs(8)).await;
        let log = second.log().concat();
        assert!(!log.contains("has long not replied"), "{log}");

        flow.walbrook.signal("STOP");
        let ended = second.wait_for(LIMIT, "the holder is ended", |line| {
            said(line, "message").contains("has long not replied")
        });
        assert_eq!(ended["is_ended"], true, "{ended}");
        second.wait_for_message(LIMIT, "streaming");
        flow.walbrook.signal("CONT");
        until_settled(&flow.walbrook, &second);
        load.end().await;
        flow.drain().await;
        check_once(&flow).await;
    });
}

/// Before version 16 a walsender hears nothing while it decodes what it does not send. It is not
/// ended by its standby, which would have to begin the same transaction again.
#[test]
fn a_busy_walsender_is_not_ended_by_a_standby() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let postgres = Postgres::start(&Options { version: 15, ..Options::default() });
        let space = Space::new(&postgres, "busy").await;
        postgres.execute(&space.database, TABLE).await;
        let view = "CREATE MATERIALIZED VIEW v AS SELECT g FROM generate_series(1, 3000000) g";
        postgres.execute(&space.database, view).await;
        let changes = [("replication", "wal_sender_timeout = \"1s\"")];
        let config =
            flow::moved(&flow::config(stack, &space, &changes), &stack.postgres, &postgres);
        let mut first = Walbrook::spawn(&config);
        space.ready(&postgres, &mut first).await;
        let second = spawn_second(&space, &config);
        until_standby(&second);
        postgres.execute(&space.database, "REFRESH MATERIALIZED VIEW v").await;
        postgres.execute(&space.database, "INSERT INTO t (v) VALUES ('behind')").await;
        flow::drained(&postgres, &space, 3 * LIMIT).await.unwrap();
        for instance in [&first, &second] {
            let log = instance.log().concat();
            assert!(!log.contains("has long not replied"), "{log}");
        }
        let topic = format!("{}.public.t", space.prefix);
        assert_eq!(records::read_committed(&stack.kafka, &[&topic]).len(), 1);
    });
}
