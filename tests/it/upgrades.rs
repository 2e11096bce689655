//! Major upgrades of the server, step by step as docs/upgrades.md has them: nothing is lost, nothing
//! comes twice, and positions only increase.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::starts::check_once;
use crate::support::flow::{self, Flow, position};
use crate::support::postgres::{Options, Postgres};
use crate::support::process::{self, User};
use crate::support::stack::{Space, installed, shared};
use crate::support::walbrook::{Output, Walbrook, command};
use crate::support::{records, run};

const LIMIT: Duration = Duration::from_secs(300);

const DDL: &str = "CREATE TABLE t (id bigserial PRIMARY KEY, v text);
    CREATE PUBLICATION walbrook FOR TABLE t;";

/// A pipeline whose server is upgraded.
struct Upgrade {
    old: Postgres,
    new: Postgres,
    flow: Flow<'static>,
}

impl Upgrade {
    /// Runs on a server of version `from`, beside an empty one of version 18.
    async fn new(name: &str, from: u32) -> Self {
        let start = |version| Postgres::start(&Options { version, ..Options::default() });
        let (old, mut new) = (start(from), start(18));
        new.stop("INT");
        let space = Space::new(&old, name).await;
        old.execute(&space.database, DDL).await;
        let stack = shared();
        let config = flow::moved(&flow::config(stack, &space, &[]), &stack.postgres, &old);
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&old, &mut walbrook).await;
        let client = old.client(&space.database).await;
        let flow = Flow { stack, space, config, walbrook, client };
        flow.execute("INSERT INTO t (v) SELECT 'before' FROM generate_series(1, 500)").await;
        Self { old, new, flow }
    }

    /// A command that ends with this code; what it printed, or else its errors.
    #[track_caller]
    fn command(&self, arguments: &[&str], code: i32) -> String {
        let Output { status, stdout, stderr } = command(&self.flow.config, arguments);
        assert_eq!(status.code(), Some(code), "{arguments:?}\n{stdout}\n{stderr}");
        if stdout.is_empty() { stderr } else { stdout }
    }

    /// pg_upgrade; `from` names the programs of the old version.
    fn pg_upgrade(&self, from: &str) -> Result<String, String> {
        let programs = |name: &str| installed(name).join("bin").display().to_string();
        let (old, new) = (programs(from), programs("programs18"));
        let (old_data, new_data) = (self.old.data(), self.new.data());
        let pg_upgrade = format!("{new}/pg_upgrade");
        let mut upgrade = process::command(
            User::Unprivileged,
            &[
                &pg_upgrade,
                "--old-bindir",
                &old,
                "--new-bindir",
                &new,
                "--old-datadir",
                &old_data.display().to_string(),
                "--new-datadir",
                &new_data.display().to_string(),
                "--username=postgres",
                "--no-sync",
            ],
        );
        // It leaves a script there.
        let folder = process::folder("upgrade");
        let done = upgrade.current_dir(&folder).output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        if done.status.success() { Ok(text) } else { Err(text) }
    }

    /// The new server is configured in place of the old one.
    async fn switch(&mut self) {
        self.flow.config = flow::moved(&self.flow.config, &self.old, &self.new);
        self.flow.client = self.new.client(&self.flow.space.database).await;
    }

    /// The start is refused, since it is another cluster, and goes on once that is accepted; what the
    /// command said.
    fn accept(&self) -> String {
        let mut walbrook = Walbrook::spawn(&self.flow.config);
        let refusal = flow::ends_with(&mut walbrook, 5);
        for words in ["another cluster, or pg_upgrade", "walbrook checkpoint accept"] {
            assert!(refusal.contains(words), "{words}: {refusal}");
        }
        let accepted = self.command(&["checkpoint", "accept", "--reason", "PostgreSQL 18"], 0);
        println!("{accepted}");
        accepted
    }

    /// Runs on the new server until all that is there is in Kafka, once; the epochs of what came.
    async fn finish(mut self) -> Vec<u32> {
        self.flow.execute("INSERT INTO t (v) SELECT 'after' FROM generate_series(1, 500)").await;
        self.flow.walbrook = Walbrook::spawn(&self.flow.config);
        self.flow.space.ready(&self.new, &mut self.flow.walbrook).await;
        flow::drained(&self.new, &self.flow.space, flow::LIMIT).await.unwrap();
        check_once(&self.flow).await;
        // Of each partition they increase, in the order of offsets.
        let topic = self.flow.topic("public.t");
        let records = records::read_committed(&self.flow.stack.kafka, &[&topic]);
        let mut last = BTreeMap::new();
        for record in &records {
            let before = last.insert(record.partition, position(record));
            assert!(before < Some(position(record)), "{record:?}");
        }
        let mut epochs: Vec<_> = records.iter().map(|record| position(record).0.0).collect();
        epochs.sort_unstable();
        epochs.dedup();
        self.flow.stop();
        epochs
    }
}

/// From version 17 on the slot comes along, if it is drained: walbrook runs while the server stops.
#[test]
fn pg_upgrade_keeps_the_slot() {
    run(LIMIT, async {
        let mut upgrade = Upgrade::new("upgrade_kept", 17).await;
        let drained = upgrade.command(&["slot", "drained"], 0);
        assert!(drained.contains("drained up to 0/"), "{drained}");
        upgrade.old.stop("INT");
        upgrade.flow.stop();
        upgrade.pg_upgrade("programs17").unwrap_or_else(|said| panic!("{said}"));
        upgrade.new.launch();
        upgrade.switch().await;
        // Nothing is lost that is written before the operator has decided.
        upgrade.flow.execute("INSERT INTO t (v) VALUES ('between')").await;
        let accepted = upgrade.accept();
        assert!(!accepted.contains("in epoch"), "{accepted}");
        assert_eq!(upgrade.finish().await, [0]);
    });
}

/// What walbrook has not got, pg_upgrade does not lose either: it refuses.
#[test]
fn pg_upgrade_refuses_a_slot_that_is_not_drained() {
    run(LIMIT, async {
        let mut upgrade = Upgrade::new("upgrade_behind", 17).await;
        upgrade.command(&["slot", "drained"], 0);
        upgrade.flow.stop();
        upgrade.flow.execute("INSERT INTO t (v) VALUES ('waits')").await;
        let waits = upgrade.command(&["slot", "drained"], 3);
        assert!(waits.contains("at least 1 records"), "{waits}");
        upgrade.old.stop("INT");
        let refused = upgrade.pg_upgrade("programs17").unwrap_err();
        assert!(refused.contains("logical replication slots that cannot be upgraded"), "{refused}");
    });
}

/// Before version 17 the slot is dropped, once it is drained.
#[test]
fn pg_upgrade_with_the_slot_dropped() {
    run(LIMIT, async {
        let mut upgrade = Upgrade::new("upgrade_dropped", 16).await;
        upgrade.command(&["slot", "drained"], 0);
        upgrade.flow.stop();
        // Still: nobody has written since.
        upgrade.command(&["slot", "drained"], 0);
        upgrade.command(&["slot", "drop", "--yes"], 0);
        upgrade.old.stop("INT");
        upgrade.pg_upgrade("programs16").unwrap_or_else(|said| panic!("{said}"));
        upgrade.new.launch();
        upgrade.switch().await;
        let accepted = upgrade.accept();
        assert!(accepted.contains("not delivered: changes that committed before 0/"), "{accepted}");
        assert_eq!(upgrade.finish().await, [0]);
    });
}

/// The LSNs of a new cluster begin again, and so does the next epoch.
#[test]
fn a_dump_and_restore_begins_the_next_epoch() {
    run(LIMIT, async {
        let mut upgrade = Upgrade::new("upgrade_dump", 17).await;
        for _ in 0..4 {
            upgrade.flow.execute("SELECT pg_switch_wal(); INSERT INTO t (v) VALUES ('far')").await;
        }
        upgrade.command(&["slot", "drained"], 0);
        upgrade.flow.stop();
        upgrade.command(&["slot", "drained"], 0);
        upgrade.command(&["slot", "drop", "--yes"], 0);
        let file = process::folder("dump").join("shop.sql").display().to_string();
        let programs = installed("programs18").join("bin").display().to_string();
        let database = upgrade.flow.space.database.clone();
        let program = |name: &str, server: &Postgres, arguments: &[&str]| {
            let (program, port) = (format!("{programs}/{name}"), server.port().to_string());
            let host = server.socket_folder().display().to_string();
            let common = [&program, "--host", &host, "--port", &port, "--username", "postgres"];
            let arguments = [&common[..], arguments].concat();
            process::run(process::command(User::Unprivileged, &arguments))
        };
        program("pg_dump", &upgrade.old, &["--file", &file, &database]);
        upgrade.old.stop("INT");
        upgrade.new.launch();
        upgrade.new.execute("postgres", &format!("CREATE DATABASE \"{database}\"")).await;
        let restore = ["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", &database];
        program("psql", &upgrade.new, &[&restore[..], &["--file", &file]].concat());
        upgrade.switch().await;
        let accepted = upgrade.accept();
        assert!(accepted.contains("in epoch 1 (the last change in Kafka)"), "{accepted}");
        assert_eq!(upgrade.finish().await, [0, 1]);
    });
}
