//! Servers that are away for a while: walbrook waits, keeps its walsender alive, and goes on.

use std::time::{Duration, Instant};

use super::{Load, TABLE, TEST_LIMIT, check_once, get, metric, until_ready};
use crate::support::flow::{Flow, LIMIT, query, said, until_value};
use crate::support::stack::Stack;
use crate::support::walbrook::Walbrook;
use crate::support::{http, kafka, process, run, until};

/// The servers' own time-out is 3 s, so that a walsender that is not answered dies in the test.
const QUICK: (&str, &str) = ("replication", "wal_sender_timeout = \"3s\"");

async fn walsender(flow: &Flow<'_>) -> String {
    let statement = format!(
        "SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{}'",
        flow.space.slot
    );
    query(&flow.client, &statement).await.concat().concat()
}

/// The walsender lives on for so long.
async fn stays(flow: &Flow<'_>, duration: Duration) {
    let before = walsender(flow).await;
    assert_ne!(before, "(null)");
    let end = Instant::now() + duration;
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let now = walsender(flow).await;
        assert_eq!(now, before, "{}", flow.walbrook.tail());
    }
}

/// Told to stop, it leaves within seconds.
fn leaves(flow: &mut Flow<'_>, doing: &str) {
    let start = Instant::now();
    flow.stop();
    println!("stopped while {doing} in {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(5), "{doing}: {:?}", start.elapsed());
}

/// A row of this size is written in [`goes_on`].
const WAL: f64 = 100_000.0;

fn retained(flow: &Flow<'_>) -> String {
    format!("walbrook_slot_retained_wal_bytes{{slot=\"{}\"}}", flow.space.slot)
}

/// A figure grows by at least so much while PostgreSQL writes and nothing reaches Kafka.
async fn goes_on(flow: &Flow<'_>, name: &str, step: f64) {
    let value = || {
        let text = get(flow, "metrics").1;
        text.contains(name).then(|| metric(&text, name)).ok_or(text)
    };
    let before = until(LIMIT, name, value);
    flow.execute("SELECT pg_logical_emit_message(true, 'filler', repeat('x', 100000))").await;
    until(LIMIT, name, || match value()? {
        now if before + step <= now => Ok(()),
        now => Err(format!("{before}, then {now}\n{}", flow.walbrook.tail())),
    });
}

/// Whether it has rows that are not in Kafka is as wanted.
fn lags(flow: &Flow<'_>, wanted: bool) -> Result<(), String> {
    let lag = metric(&get(flow, "metrics").1, "walbrook_lag_seconds");
    if (0.0 < lag) == wanted { Ok(()) } else { Err(format!("it lags by {lag} s")) }
}

/// A new table that waits for the registry does not hold up what was complete before it.
#[test]
fn a_table_that_waits_for_the_registry_lets_the_others_go() {
    run(TEST_LIMIT, async {
        let mut stack = Stack::start();
        let two = "
            CREATE TABLE t (id bigserial PRIMARY KEY, v text);
            CREATE TABLE late (id bigserial PRIMARY KEY, v text);
            CREATE PUBLICATION walbrook FOR TABLE t, late;";
        let mut flow = Flow::start(&stack, "late", two, &[QUICK]).await;
        flow.execute("INSERT INTO t (v) VALUES ('known')").await;
        flow.drain().await;
        // Both transactions are there when it goes on, so that one read brings both.
        flow.walbrook.signal("STOP");
        flow.execute("INSERT INTO t (v) VALUES ('complete')").await;
        flow.execute("INSERT INTO late (v) VALUES ('waits')").await;
        let Flow { space, config, walbrook, client, .. } = flow;
        stack.registry.kill();
        let flow = Flow { stack: &stack, space, config, walbrook, client };
        flow.walbrook.signal("CONT");
        until(LIMIT, "what was complete", || match flow.records("public.t").len() {
            2 => Ok(()),
            count => Err(format!("{count} records")),
        });
        assert!(flow.records("public.late").is_empty());
        let Flow { space, config, walbrook, client, .. } = flow;
        stack.registry.launch();
        let mut flow = Flow { stack: &stack, space, config, walbrook, client };
        flow.drain().await;
        check_once(&flow).await;
        assert_eq!(flow.records("public.late").len(), 1);
        flow.stop();
    });
}

#[test]
fn a_registry_that_is_away() {
    run(TEST_LIMIT, async {
        let mut stack = Stack::start();
        stack.registry.kill();
        let mut flow = Flow::start(&stack, "registry", TABLE, &[QUICK]).await;
        flow.execute("INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 1000)").await;
        let body = until_ready(&flow, 503);
        assert!(body.contains("\"ready\":false"), "{body}");
        assert_eq!(get(&flow, "healthz").0, 200);
        stays(&flow, Duration::from_secs(6)).await;
        let rows = flow.records("public.t");
        assert!(rows.is_empty());
        goes_on(&flow, "walbrook_lag_seconds", 1.0).await;
        goes_on(&flow, "walbrook_lag_bytes", WAL).await;
        flow.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'").await;
        flow.execute("SELECT pg_reload_conf()").await;
        goes_on(&flow, &retained(&flow), WAL).await;
        let safe = retained(&flow).replace("retained_wal", "safe_wal_size");
        let safe = until(LIMIT, &safe, || {
            let text = get(&flow, "metrics").1;
            text.contains(&safe).then(|| metric(&text, &safe)).ok_or(text)
        });
        // What a gigabyte of segments leaves.
        assert!((9e8..1.1e9).contains(&safe), "{safe}");
        // It stops at once while it waits, and waits again.
        let start = Instant::now();
        flow.stop();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        flow.walbrook = Walbrook::spawn(&flow.config);
        let why = |body: String| body.contains("backoff").then_some(()).ok_or(body);
        until(LIMIT, "it waits", || why(until_ready(&flow, 503)));
        // Nor does it hold up PostgreSQL.
        let Flow { space, config, walbrook, client, .. } = flow;
        drop(client);
        let start = Instant::now();
        stack.postgres.stop("INT");
        println!("PostgreSQL stopped in {:?} (without a registry)", start.elapsed());
        let held_up = start.elapsed();
        stack.postgres.launch();
        let client = stack.postgres.client(&space.database).await;
        assert!(held_up < Duration::from_secs(20), "{held_up:?}");
        stack.registry.launch();
        let mut flow = Flow { stack: &stack, space, config, walbrook, client };
        flow.drain().await;
        until_ready(&flow, 200);
        check_once(&flow).await;
        flow.stop();
    });
}

#[test]
fn kafka_that_is_away() {
    run(TEST_LIMIT * 2, async {
        // A broker that is halted for longer than this is taken for dead. Its partitions then have no
        // leader for a moment, in which Kafka forgets to mark the end of transactions:
        // https://issues.apache.org/jira/browse/KAFKA-20734. docs/guarantees.md says so; here it is kept away.
        // (A broker that comes back after its death is let in again only when that time is over:
        // until then a transaction must not have ended, nor may its own time be over.)
        let properties =
            ["broker.session.timeout.ms=50000", "initial.broker.registration.timeout.ms=150000"];
        let properties = properties.map(str::to_owned).into();
        let options = kafka::Options { properties, ..kafka::Options::default() };
        let mut stack = Stack::start_with(&options);
        let log = ("log", "level = \"info,walbrook::kafka=debug\"");
        let time = ("kafka", "transaction_timeout = \"120s\"\nrecovery_timeout = \"150s\"");
        let mut flow = Flow::start(&stack, "kafka", TABLE, &[QUICK, log, time]).await;
        let load = Load::start(&flow, 20).await;
        flow.drain().await;
        // Halted, while transactions are open and rows come in.
        stack.kafka.signal("STOP");
        stays(&flow, Duration::from_secs(7)).await;
        stack.kafka.signal("CONT");
        flow.drain().await;
        // A halt that meets the end of a transaction, which may then have been sent twice. It is
        // aimed at it, and tried again where it comes too late.
        let mut halts = 0;
        until(LIMIT, "the producer is made again", || {
            halts += 1;
            flow.walbrook.wait_for_next(LIMIT, "kafka transaction written");
            stack.kafka.signal("STOP");
            std::thread::sleep(Duration::from_secs(1));
            stack.kafka.signal("CONT");
            match metric(&get(&flow, "metrics").1, "walbrook_producer_rebuilds_total") {
                0.0 => Err(format!("it was not, by {halts} halts")),
                _ => Ok(()),
            }
        });
        println!("the producer was made again after {halts} halts");
        flow.drain().await;
        // Dead, and back.
        flow.walbrook.wait_for_next(LIMIT, "kafka transaction opened");
        let Flow { space, config, walbrook, client, .. } = flow;
        stack.kafka.kill();
        let flow = Flow { stack: &stack, space, config, walbrook, client };
        stays(&flow, Duration::from_secs(5)).await;
        let Flow { space, config, walbrook, client, .. } = flow;
        stack.kafka.launch();
        let mut flow = Flow { stack: &stack, space, config, walbrook, client };
        flow.drain().await;
        load.end().await;
        flow.drain().await;
        until_ready(&flow, 200);
        check_once(&flow).await;

        // Whoever asks is told after a while.
        stack.kafka.signal("STOP");
        flow.execute("INSERT INTO t (v) SELECT 'y' FROM generate_series(1, 100)").await;
        let start = Instant::now();
        let body = until_ready(&flow, 503);
        println!("not ready after {:?} without Kafka: {body}", start.elapsed());
        assert!(body.contains("no progress for 3"), "{body}");
        goes_on(&flow, "walbrook_lag_seconds", 1.0).await;
        goes_on(&flow, "walbrook_lag_bytes", WAL).await;
        goes_on(&flow, &retained(&flow), WAL).await;
        stack.kafka.signal("CONT");
        flow.drain().await;
        until_ready(&flow, 200);

        // Told to stop while Kafka is halted: it leaves without it, and repeats nothing afterwards.
        until(LIMIT, "it has no rows", || lags(&flow, false));
        stack.kafka.signal("STOP");
        flow.execute("INSERT INTO t (v) SELECT 'y' FROM generate_series(1, 100)").await;
        until(LIMIT, "it has rows", || lags(&flow, true));
        let start = Instant::now();
        let status = flow.walbrook.stop(Duration::from_secs(45));
        println!("stopped without Kafka in {:?}: {status}", start.elapsed());
        let leaving = start.elapsed();
        stack.kafka.signal("CONT");
        flow.restart().await;
        flow.drain().await;
        check_once(&flow).await;
        assert!(leaving < Duration::from_secs(15), "{leaving:?}");
        flow.stop();

        // A topic that cannot be asked for is no Kafka transaction whose end is unknown.
        flow.restart().await;
        flow.execute(
            "CREATE TABLE late (id int PRIMARY KEY); ALTER PUBLICATION walbrook ADD TABLE late",
        )
        .await;
        flow.drain().await;
        // A checkpoint that is under way then would be what hangs.
        until(LIMIT, "no checkpoint is due", || {
            match metric(&get(&flow, "metrics").1, "walbrook_lag_bytes") {
                0.0 => Ok(()),
                lag => Err(format!("it lags by {lag} bytes")),
            }
        });
        stack.kafka.signal("STOP");
        flow.execute("INSERT INTO late VALUES (1)").await;
        flow.walbrook.wait_for(LIMIT, "a retry", |line| said(line, "phase") == "backoff");
        stack.kafka.signal("CONT");
        flow.drain().await;
        let text = get(&flow, "metrics").1;
        assert_eq!(metric(&text, r#"walbrook_kafka_transactions_total{result="unknown"}"#), 0.0);
        assert_eq!(metric(&text, r#"walbrook_retries_total{class="retry"}"#), 1.0);
        assert_eq!(flow.records("public.late").len(), 1);
        flow.stop();

        // And while it starts, and has found no Kafka.
        stack.kafka.signal("STOP");
        for config in [flow.config.clone(), flow.config.replace(&flow.space.slot, "first_start")] {
            flow.walbrook = Walbrook::spawn(&config);
            // So long it has looked for Kafka in vain.
            tokio::time::sleep(Duration::from_secs(2)).await;
            if config == flow.config {
                goes_on(&flow, "walbrook_lag_bytes", WAL).await;
                goes_on(&flow, &retained(&flow), WAL).await;
            }
            let start = Instant::now();
            flow.walbrook.stop(Duration::from_secs(90));
            println!("stopped before it found Kafka in {:?}", start.elapsed());
            assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        }
        stack.kafka.signal("CONT");
    });
}

/// It hangs while nothing that is published is written: the slot is not advanced, and that shows.
#[test]
fn kafka_that_hangs_while_no_row_comes() {
    run(TEST_LIMIT, async {
        let stack = Stack::start();
        let mut flow = Flow::start(&stack, "hangs", TABLE, &[QUICK]).await;
        flow.drain().await;
        until(LIMIT, "it has nothing", || lags(&flow, false));
        until_ready(&flow, 200);
        stack.kafka.signal("STOP");
        flow.execute("SELECT pg_logical_emit_message(true, 'filler', repeat('x', 100000))").await;
        let start = Instant::now();
        let body = until_ready(&flow, 503);
        println!("not ready after {:?} without Kafka: {body}", start.elapsed());
        assert!(body.contains("no progress for 3"), "{body}");
        assert!(start.elapsed() < Duration::from_secs(45), "{:?}", start.elapsed());
        goes_on(&flow, "walbrook_lag_seconds", 1.0).await;
        goes_on(&flow, "walbrook_lag_bytes", WAL).await;
        let lag = metric(&get(&flow, "metrics").1, "walbrook_lag_seconds");
        assert!(30.0 < lag && lag < start.elapsed().as_secs_f64() + 2.0, "{lag}");
        stack.kafka.signal("CONT");
        flow.drain().await;
        until_ready(&flow, 200);
        until(LIMIT, "it has nothing", || lags(&flow, false));
        flow.stop();
    });
}

#[test]
fn postgres_that_is_away() {
    run(TEST_LIMIT, async {
        let mut stack = Stack::start();
        let mut flow = Flow::start(
            &stack,
            "postgres",
            TABLE,
            &[QUICK, ("batch", "target_records = 100\nmax_records = 200")],
        )
        .await;
        // Its walsender is ended.
        let load = Load::start(&flow, 20).await;
        for _ in 0..3 {
            let before = walsender(&flow).await;
            flow.execute(&format!("SELECT pg_terminate_backend({before})")).await;
            let again = format!(
                "SELECT coalesce(active_pid, {before}) <> {before} FROM pg_replication_slots"
            );
            until_value(&flow.client, &again, "t").await;
        }
        load.end().await;
        flow.drain().await;
        check_once(&flow).await;

        // Stopped in good order: not held up by us, whether Kafka answers or not.
        for is_kafka_there in [true, false] {
            for _ in 0..2 {
                flow.execute("INSERT INTO t (v) SELECT 'z' FROM generate_series(1, 2000)").await;
                if !is_kafka_there {
                    stack.kafka.signal("STOP");
                    flow.execute("INSERT INTO t (v) SELECT 'z' FROM generate_series(1, 2000)")
                        .await;
                }
                let Flow { space, config, walbrook, client, .. } = flow;
                drop(client);
                let start = Instant::now();
                stack.postgres.stop("INT");
                println!("PostgreSQL stopped in {:?} (Kafka: {is_kafka_there})", start.elapsed());
                assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
                if !is_kafka_there {
                    stack.kafka.signal("CONT");
                }
                stack.postgres.launch();
                let client = stack.postgres.client(&space.database).await;
                flow = Flow { stack: &stack, space, config, walbrook, client };
                flow.drain().await;
            }
        }
        check_once(&flow).await;

        // While it recovers, and finds no Kafka.
        flow.stop();
        stack.kafka.signal("STOP");
        flow.walbrook = Walbrook::spawn(&flow.config);
        flow.walbrook.wait_for(LIMIT, "recovering", |line| said(line, "phase") == "recovering");
        let Flow { space, config, walbrook, client, .. } = flow;
        drop(client);
        let start = Instant::now();
        stack.postgres.stop("INT");
        println!("PostgreSQL stopped in {:?} (recovering)", start.elapsed());
        let held_up = start.elapsed();
        stack.kafka.signal("CONT");
        stack.postgres.launch();
        let client = stack.postgres.client(&space.database).await;
        flow = Flow { stack: &stack, space, config, walbrook, client };
        flow.drain().await;
        assert!(held_up < Duration::from_secs(20), "{held_up:?}");

        // Power loss.
        let Flow { space, config, walbrook, client, .. } = flow;
        drop(client);
        stack.postgres.kill();
        tokio::time::sleep(Duration::from_secs(1)).await;
        stack.postgres.launch();
        let client = stack.postgres.client(&space.database).await;
        let mut flow = Flow { stack: &stack, space, config, walbrook, client };
        flow.execute("INSERT INTO t (v) SELECT 'z' FROM generate_series(1, 10)").await;
        flow.drain().await;
        check_once(&flow).await;
        until_ready(&flow, 200);
        flow.stop();
    });
}

/// As when its machine hangs or the network drops all packets: connections live on, and nothing
/// answers.
#[test]
fn postgres_that_is_halted() {
    run(TEST_LIMIT, async {
        let stack = Stack::start();
        let mut flow = Flow::start(&stack, "halted", TABLE, &[QUICK]).await;
        flow.execute("INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 100)").await;
        flow.drain().await;
        // Silence is borne for three times its time-out.
        stack.postgres.halt();
        let start = Instant::now();
        let why = flow.walbrook.wait_for(LIMIT, "silence", |line| {
            said(line, "error").contains("the server has sent nothing for")
        });
        until_ready(&flow, 503);
        println!("not ready after {:?}: {}", start.elapsed(), said(&why, "error"));
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        stack.postgres.resume();
        flow.execute("INSERT INTO t (v) SELECT 'y' FROM generate_series(1, 100)").await;
        flow.drain().await;
        until_ready(&flow, 200);
        check_once(&flow).await;

        // A server that has nothing to say is not a silent one.
        let retries = metric(&get(&flow, "metrics").1, "walbrook_retries_total{class=\"retry\"}");
        stays(&flow, Duration::from_secs(10)).await;
        let after = metric(&get(&flow, "metrics").1, "walbrook_retries_total{class=\"retry\"}");
        assert_eq!(after, retries);

        // A walsender that is silent while its server answers may be decoding: it is not left.
        let walsender = walsender(&flow).await;
        let signal = |name: &str| {
            let mut kill = std::process::Command::new("kill");
            kill.args(["-s", name, &walsender]);
            process::run(kill);
        };
        signal("STOP");
        let body = until_ready(&flow, 503);
        signal("CONT");
        assert!(body.contains("has sent nothing for 3"), "{body}");
        until_ready(&flow, 200);
        let after = metric(&get(&flow, "metrics").1, "walbrook_retries_total{class=\"retry\"}");
        assert_eq!(after, retries);

        // Told to stop: while it streams, while it tries to connect, and at its start.
        stack.postgres.halt();
        leaves(&mut flow, "streaming");
        flow.walbrook = Walbrook::spawn(&flow.config);
        let url = format!("http://127.0.0.1:{}/healthz", flow.space.http_port);
        until(LIMIT, "it runs", || http::get(&url));
        leaves(&mut flow, "starting");
        stack.postgres.resume();
        flow.restart().await;
        flow.drain().await;
        check_once(&flow).await;
        stack.postgres.halt();
        flow.walbrook.wait_for(LIMIT, "a retry", |line| said(line, "phase") == "backoff");
        leaves(&mut flow, "trying again");
        stack.postgres.resume();
        flow.restart().await;
        check_once(&flow).await;
        flow.stop();
    });
}
