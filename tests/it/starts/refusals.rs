//! Starts that are refused, and permanent errors: they end the process, soon, with a sentence.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{TABLE, TEST_LIMIT, check_once, ids};
use crate::support::flow::{self, Flow, LIMIT, ends_with, query, said};
use crate::support::postgres::{self, Postgres};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{Walbrook, command, write_file};
use crate::support::{records, run};

/// Refused with code 5.
fn refused(flow: &mut Flow<'_>, wanted: &[&str]) {
    flow.walbrook = Walbrook::spawn(&flow.config);
    let start = Instant::now();
    let error = ends_with(&mut flow.walbrook, 5);
    println!("{error}");
    assert!(start.elapsed() < Duration::from_secs(30));
    for part in wanted {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn a_slot_and_a_checkpoint_that_do_not_fit_are_refused() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let mut flow = Flow::start(stack, "refuse", TABLE, &[]).await;
        flow.execute("INSERT INTO t (v) VALUES ('a')").await;
        flow.drain().await;
        flow.stop();
        check_once(&flow).await;
        let slot = flow.space.slot.clone();
        let confirmed = format!(
            "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{slot}'"
        );
        let ours = query(&flow.client, &confirmed).await.concat().concat();

        // Somebody else moves the slot: a gap.
        flow.execute("INSERT INTO t (v) VALUES ('lost')").await;
        let advance = format!(
            "SELECT end_lsn FROM pg_replication_slot_advance('{slot}', pg_current_wal_lsn())"
        );
        let moved = query(&flow.client, &advance).await.concat().concat();
        refused(&mut flow, &[&slot, &ours, &moved, "checkpoint accept"]);

        // The slot is made anew by somebody: a gap too.
        let anew = format!(
            "SELECT pg_drop_replication_slot('{slot}');
             SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"
        );
        stack.postgres.slot_active(&slot, false).await;
        flow.execute(&anew).await;
        refused(&mut flow, &[&slot, &ours, "checkpoint accept"]);

        // A slot of another plugin, then none at all.
        stack.postgres.slot_active(&slot, false).await;
        let other = format!(
            "SELECT pg_drop_replication_slot('{slot}');
             SELECT pg_create_physical_replication_slot('{slot}')"
        );
        flow.execute(&other).await;
        flow.walbrook = Walbrook::spawn(&flow.config);
        refused(&mut flow, &[&slot, "plugin", "pgoutput"]);
        flow.execute(&format!("SELECT pg_drop_replication_slot('{slot}')")).await;
        refused(&mut flow, &[&slot, &ours, "does not exist", "checkpoint accept"]);
        let slots = format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}'");
        assert_eq!(query(&flow.client, &slots).await[0][0], "0", "it made none by itself");
        let checkpoints = format!("walbrook.{}.checkpoint", flow.space.pipeline);
        let last = records::read_committed(&stack.kafka, &[&checkpoints]).pop().unwrap();
        let last: serde_json::Value = serde_json::from_slice(&last.value.unwrap()).unwrap();
        assert_eq!(last["confirm"], ours.as_str(), "refusals change nothing: {last}");
    });
}

#[test]
fn a_slot_without_a_checkpoint_is_refused() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let space = Space::new(&stack.postgres, "adopt").await;
        stack.postgres.execute(&space.database, TABLE).await;
        let create =
            format!("SELECT pg_create_logical_replication_slot('{}', 'pgoutput')", space.slot);
        stack.postgres.execute(&space.database, &create).await;
        let mut walbrook = Walbrook::spawn(&flow::config(stack, &space, &[]));
        let error = ends_with(&mut walbrook, 5);
        println!("{error}");
        assert!(error.contains(&space.slot) && error.contains("slot adopt"), "{error}");
    });
}

/// A publication that is dropped while changes flow ends the process soon, and does not loop.
#[test]
fn permanent_errors_end_the_process() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let mut flow = Flow::start(stack, "permanent", TABLE, &[]).await;
        flow.execute("INSERT INTO t (v) VALUES ('a')").await;
        flow.drain().await;
        flow.execute("DROP PUBLICATION walbrook; INSERT INTO t (v) VALUES ('b')").await;
        let error = ends_with(&mut flow.walbrook, 4);
        assert!(
            error.contains("was missing when the WAL at") && error.contains("\"walbrook\""),
            "{error}"
        );

        // Nor does it start without one.
        flow.walbrook = Walbrook::spawn(&flow.config);
        let error = ends_with(&mut flow.walbrook, 5);
        assert!(error.contains("CREATE PUBLICATION"), "{error}");

        // A database that does not exist, and a user.
        for (from, to, wanted) in [
            (
                format!("database = \"{}\"", flow.space.database),
                "database = \"nowhere\"",
                "nowhere",
            ),
            ("user = \"postgres\"".to_owned(), "user = \"nobody_here\"", "nobody_here"),
        ] {
            let config = flow.config.replace(&from, to);
            let mut walbrook = Walbrook::spawn(&config);
            let error = ends_with(&mut walbrook, 4);
            assert!(error.contains(wanted), "{error}");
        }
    });
}

/// A slot that the server gave up is refused, with the way out, and stays as it is; the way out
/// makes it anew.
#[test]
fn a_lost_slot_is_refused_until_that_is_accepted() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let conf = ["max_slot_wal_keep_size = 1MB", "min_wal_size = 32MB", "max_wal_size = 32MB"];
        let options = postgres::Options {
            conf: conf.map(str::to_owned).to_vec(),
            ..postgres::Options::default()
        };
        let postgres = Postgres::start(&options);
        let space = Space::new(&postgres, "lost").await;
        postgres.execute(&space.database, TABLE).await;
        let config = flow::moved(&flow::config(stack, &space, &[]), &stack.postgres, &postgres);
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&postgres, &mut walbrook).await;
        postgres.execute(&space.database, "INSERT INTO t (v) VALUES ('a')").await;
        flow::drained(&postgres, &space, LIMIT).await.unwrap();
        assert!(walbrook.stop(LIMIT).success());
        for _ in 0..4 {
            let write = "INSERT INTO t (v) VALUES ('b'); SELECT pg_switch_wal(); CHECKPOINT";
            for statement in write.split(';') {
                postgres.execute(&space.database, statement).await;
            }
        }
        let mut walbrook = Walbrook::spawn(&config);
        let error = ends_with(&mut walbrook, 5);
        println!("{error}");
        for part in [space.slot.as_str(), "lost", "checkpoint accept", "max_slot_wal_keep_size"] {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
        assert!(!error.contains("0/0"), "{error}");

        let accept = ["checkpoint", "accept", "--reason", "the disk was full"];
        let accepted = command(&config, &accept);
        assert_eq!(accepted.status.code(), Some(0), "{accepted:?}");
        let gap = accepted.stdout.contains("not delivered: changes that committed from");
        assert!(gap && accepted.stdout.contains("may come again: nothing"), "{accepted:?}");
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&postgres, &mut walbrook).await;
        postgres.execute(&space.database, "INSERT INTO t (v) VALUES ('c')").await;
        flow::drained(&postgres, &space, LIMIT).await.unwrap();
        assert!(walbrook.stop(LIMIT).success());
        // The first row, and the last: 'a' and 'c'.
        let topic = format!("{}.public.t", space.prefix);
        let found = ids(stack, &records::read_committed(&stack.kafka, &[&topic]));
        assert_eq!(found, [1, 6]);
    });
}

/// A file that only its owner reads.
pub(crate) fn secret_file(secret: &str) -> PathBuf {
    let file = write_file("secret", secret);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// A wrong password ends the process, unless it was right before; it is not in the log. Nor is a right
/// one.
#[test]
fn a_wrong_password_ends_the_process() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let options = postgres::Options {
            hba: vec![
                "local all cdc scram-sha-256".into(),
                "local replication cdc scram-sha-256".into(),
            ],
            ..postgres::Options::default()
        };
        let postgres = Postgres::start(&options);
        let space = Space::new(&postgres, "password").await;
        postgres.execute(&space.database, TABLE).await;
        let role = "CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'r1ght-cAnArY'";
        postgres.execute(&space.database, role).await;
        let config = |password: &str| {
            let file = secret_file(password);
            let config = flow::config(stack, &space, &[("log", "level = \"debug\"")]);
            let config = flow::moved(&config, &stack.postgres, &postgres);
            flow::edit(&config, "postgres", &format!("password_file = \"{}\"", file.display()))
                .replace("user = \"postgres\"", "user = \"cdc\"")
        };
        let mut walbrook = Walbrook::spawn(&config("wr0ng-cAnArY\n"));
        let error = ends_with(&mut walbrook, 4);
        assert!(error.contains("password") && error.contains("cdc"), "{error}");
        assert!(!walbrook.log().concat().contains("cAnArY"));
        let mut walbrook = Walbrook::spawn(&config("r1ght-cAnArY\n"));
        space.ready(&postgres, &mut walbrook).await;
        // The password changes while it streams, and the server ends the connection: that may pass.
        postgres.execute("postgres", "ALTER ROLE cdc PASSWORD 'other'").await;
        let end = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active";
        postgres.execute("postgres", end).await;
        walbrook.wait_for(LIMIT, "two refusals", |line| {
            said(line, "error").contains("refused the password") && line["attempt"] == 3
        });
        assert!(walbrook.ended().is_none());
        assert!(!walbrook.log().concat().contains("cAnArY"));
    });
}

/// A record that the topic, or the producer, does not take ends the process with what to set; once
/// that is set, it arrives, once.
#[test]
fn a_record_that_is_too_large_waits_for_a_larger_limit() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let small = ("batch", "target_bytes = \"64KiB\"\nmax_bytes = \"128KiB\"");
        let mut flow = Flow::start(stack, "large", TABLE, &[small]).await;
        let topic = flow.topic("public.t");
        stack.kafka.create_topic(&topic, 1, &[("max.message.bytes", "50000")]).await;
        // Not compressible.
        flow.execute(
            "INSERT INTO t (v) VALUES ('before'); INSERT INTO t (v)
             SELECT string_agg(md5(g::text), '') FROM generate_series(1, 10000) g; INSERT INTO t (v) VALUES ('after')",
        )
        .await;
        let refused = |error: &str, bytes: &str, setting: &str| {
            println!("{error}");
            for words in [topic.as_str(), "table public.t", bytes, setting] {
                assert!(error.contains(words), "{words}: {error}");
            }
            assert!(error.len() < 700, "no values in errors");
        };
        let error = ends_with(&mut flow.walbrook, 4);
        refused(&error, " 320", "max.message.bytes");
        assert!(error.contains("checkpoint skip --position"), "{error}");
        stack.kafka.alter_topic(&topic, "max.message.bytes", "500000").await;
        flow.restart().await;
        flow.drain().await;
        check_once(&flow).await;

        // Larger than any record that the producer takes, but compressible.
        flow.execute("INSERT INTO t (v) VALUES (repeat('x', 2000000)), ('last')").await;
        let error = ends_with(&mut flow.walbrook, 4);
        refused(&error, " 2000", "batch.max_bytes");
        flow.config = flow.config.replace("128KiB", "4MiB");
        flow.restart().await;
        flow.drain().await;
        check_once(&flow).await;
        flow.stop();
    });
}
