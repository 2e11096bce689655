//! Publications that were missing while changes were written: what they had is not in the stream,
//! and nothing behind it is confirmed until an operator goes on with the gap.

use tokio_postgres::Client;

use super::refusals::moved;
use super::{TABLE, TEST_LIMIT, ids};
use crate::support::flow::{self, LIMIT, ends_with, query, said};
use crate::support::postgres::{Options, Postgres};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{Output, Walbrook, command};
use crate::support::{records, run};

/// A pipeline on a server of some version.
struct Site {
    postgres: Postgres,
    space: Space,
    config: String,
    client: Client,
}

impl Site {
    async fn new(version: u32, ddl: &str, changes: &[(&str, &str)]) -> Self {
        let stack = shared();
        let postgres = Postgres::start(&Options { version, ..Options::default() });
        let space = Space::new(&postgres, "publication").await;
        let client = postgres.client(&space.database).await;
        let config = moved(&flow::config(stack, &space, changes), &stack.postgres, &postgres);
        let site = Self { postgres, space, config, client };
        site.execute(ddl).await;
        site
    }

    async fn execute(&self, statements: &str) {
        self.client.batch_execute(statements).await.unwrap();
    }

    /// Each in a transaction of its own.
    async fn each(&self, statements: &[&str]) {
        for statement in statements {
            self.execute(statement).await;
        }
    }

    async fn insert(&self, id: i64) {
        self.execute(&format!("INSERT INTO t VALUES ({id})")).await;
    }

    async fn spawn(&self) -> Walbrook {
        let mut walbrook = Walbrook::spawn(&self.config);
        self.space.ready(&self.postgres, &mut walbrook).await;
        walbrook
    }

    async fn drain(&self) {
        flow::drained(&self.postgres, &self.space, LIMIT).await.unwrap();
    }

    /// Up to where the slot is confirmed, and the end of the log.
    async fn lsns(&self) -> (String, String) {
        let sql = "SELECT confirmed_flush_lsn, pg_current_wal_lsn() FROM pg_replication_slots";
        let row = query(&self.client, sql).await.concat();
        (row[0].clone(), row[1].clone())
    }

    /// The keys of the rows in Kafka.
    fn rows(&self) -> Vec<i64> {
        let topic = format!("{}.public.t", self.space.prefix);
        ids(shared(), &records::read_committed(&shared().kafka, &[&topic]))
    }

    /// It ends with a permanent error that says what was missing, and what to do.
    fn ends(&self, walbrook: &mut Walbrook, name: &str) {
        let error = ends_with(walbrook, 4);
        println!("{error}");
        for part in ["was missing when the WAL at 0/", name, "walbrook checkpoint accept"] {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    /// Does as the error says: goes on behind `point`.
    async fn accept(&self, point: &str) {
        let (confirmed, _) = self.lsns().await;
        let slot = &self.space.slot;
        self.postgres.slot_active(slot, false).await;
        self.execute(&format!("SELECT pg_replication_slot_advance('{slot}', '{point}')")).await;
        let accept = ["checkpoint", "accept", "--reason", "a migration"];
        let Output { status, stdout, stderr } = command(&self.config, &accept);
        println!("{stdout}{stderr}");
        assert_eq!(status.code(), Some(0), "{stdout}{stderr}");
        assert!(stdout.contains("not delivered: changes that committed from 0/"), "{stdout}");
        assert!(stdout.contains("may come again: nothing"), "{stdout}");
        assert_ne!(self.lsns().await.0, confirmed);
        // Once is enough.
        let again = command(&self.config, &accept);
        assert_eq!(again.status.code(), Some(5), "{again:?}");
        assert!(again.stderr.contains("nothing to accept"), "{again:?}");
    }
}

const DROP: &str = "DROP PUBLICATION walbrook";
const CREATE: &str = "CREATE PUBLICATION walbrook FOR TABLE t";

/// What is in the WAL of the time without it is not in the stream: it ends there, at every start,
/// and what was confirmed lies before it. The way out that it tells loses just that.
fn missing_for_a_while(version: u32) {
    run(TEST_LIMIT, async {
        let site = Site::new(version, TABLE, &[]).await;
        let mut walbrook = site.spawn().await;
        site.insert(1).await;
        site.drain().await;
        site.execute(DROP).await;
        let (_, before) = site.lsns().await;
        site.insert(2).await;
        site.insert(3).await;
        site.execute(CREATE).await;
        let (_, behind) = site.lsns().await;
        site.insert(4).await;
        site.ends(&mut walbrook, "\"walbrook\"");
        assert!(lsn(&site.lsns().await.0) <= lsn(&before));
        assert_eq!(site.rows(), [1]);
        site.ends(&mut Walbrook::spawn(&site.config), "\"walbrook\"");
        assert!(lsn(&site.lsns().await.0) <= lsn(&before));

        site.accept(&behind).await;
        let mut walbrook = site.spawn().await;
        site.drain().await;
        assert_eq!(site.rows(), [1, 4]);
        site.insert(5).await;
        site.drain().await;
        assert_eq!(site.rows(), [1, 4, 5]);
        assert!(walbrook.stop(LIMIT).success());
    });
}

#[test]
fn a_publication_that_was_missing_on_postgresql_14() {
    missing_for_a_while(14);
}

#[test]
fn a_publication_that_was_missing_on_postgresql_17() {
    missing_for_a_while(17);
}

#[test]
fn a_publication_that_was_missing_on_postgresql_18() {
    missing_for_a_while(18);
}

/// A server that withholds changes says so only by a warning.
#[test]
fn a_warning_of_the_server_is_logged() {
    run(TEST_LIMIT, async {
        let site = Site::new(17, TABLE, &[]).await;
        let walbrook = site.spawn().await;
        let sql = "ALTER SYSTEM SET synchronized_standby_slots = 'nobody_here'";
        site.each(&[sql, "SELECT pg_reload_conf()"]).await;
        flow::until_value(&site.client, "SHOW synchronized_standby_slots", "nobody_here").await;
        site.insert(1).await;
        let line = walbrook.wait_for(LIMIT, "a warning", |line| said(line, "level") == "WARN");
        assert!(said(&line, "notice").contains("\"nobody_here\""), "{line}");
        assert!(site.rows().is_empty());
        site.each(&["ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()"]).await;
        site.drain().await;
        assert_eq!(site.rows(), [1]);
    });
}

fn lsn(text: &str) -> walbrook::position::Lsn {
    text.parse().unwrap()
}
