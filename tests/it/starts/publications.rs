//! Publications that were missing while changes were written: what they had is not in the stream,
//! and nothing behind it is confirmed until an operator goes on with the gap.

use serde_json::Value;
use tokio_postgres::Client;

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
    async fn new(version: u32, ddl: &str) -> Self {
        let stack = shared();
        let postgres = Postgres::start(&Options { version, ..Options::default() });
        let space = Space::new(&postgres, "publication").await;
        let client = postgres.client(&space.database).await;
        let config = flow::moved(&flow::config(stack, &space, &[]), &stack.postgres, &postgres);
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

    /// Does as the error says.
    async fn accept(&self) {
        let (confirmed, _) = self.lsns().await;
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
        let site = Site::new(version, TABLE).await;
        let mut walbrook = site.spawn().await;
        site.insert(1).await;
        site.drain().await;
        site.execute(DROP).await;
        let (_, before) = site.lsns().await;
        site.insert(2).await;
        site.insert(3).await;
        site.execute(CREATE).await;
        site.insert(4).await;
        site.ends(&mut walbrook, "\"walbrook\"");
        assert!(lsn(&site.lsns().await.0) <= lsn(&before));
        assert_eq!(site.rows(), [1]);
        site.ends(&mut Walbrook::spawn(&site.config), "\"walbrook\"");
        assert!(lsn(&site.lsns().await.0) <= lsn(&before));

        site.accept().await;
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

/// However it went missing, and whether walbrook ran meanwhile: each time ends the stream once.
#[test]
fn every_way_to_be_missing_is_noticed() {
    run(TEST_LIMIT, async {
        let ddl = format!("{TABLE} CREATE TABLE o (id int); CREATE PUBLICATION other FOR TABLE o");
        let mut site = Site::new(18, &ddl).await;
        site.config = site.config.replace("[\"walbrook\"]", "[\"walbrook\", \"other\"]");
        let missing = [
            [DROP, CREATE],
            ["ALTER PUBLICATION walbrook RENAME TO w", "ALTER PUBLICATION w RENAME TO walbrook"],
            // Rows of the other one are held up, too.
            ["DROP PUBLICATION other", "CREATE PUBLICATION other FOR TABLE o"],
        ];
        let mut wanted = Vec::new();
        for (at, [remove, restore]) in (0_i64..).zip(missing) {
            let mut walbrook = site.spawn().await;
            site.insert(10 * at + 1).await;
            site.drain().await;
            assert!(walbrook.stop(LIMIT).success());
            site.execute(remove).await;
            site.insert(10 * at + 2).await;
            site.execute(restore).await;
            site.insert(10 * at + 3).await;
            let name = if remove.contains("other") { "\"other\"" } else { "\"walbrook\"" };
            site.ends(&mut Walbrook::spawn(&site.config), name);
            site.accept().await;
            let mut walbrook = site.spawn().await;
            site.drain().await;
            wanted.extend([10 * at + 1, 10 * at + 3]);
            assert_eq!(site.rows(), wanted);
            // In one transaction nothing is lost, whatever happens in it before and after.
            site.execute(&format!("BEGIN; {remove}; {restore}; COMMIT")).await;
            site.insert(10 * at + 4).await;
            site.drain().await;
            wanted.push(10 * at + 4);
            assert_eq!(site.rows(), wanted);
            assert!(walbrook.stop(LIMIT).success());
        }
    });
}

/// A slot that is older than its publication; another publication has what waits.
#[test]
fn another_publication_that_has_the_changes_is_read_first() {
    run(TEST_LIMIT, async {
        let mut site = Site::new(17, TABLE).await;
        let mut walbrook = site.spawn().await;
        site.insert(1).await;
        site.drain().await;
        assert!(walbrook.stop(LIMIT).success());
        site.insert(2).await;
        site.execute("CREATE PUBLICATION newer FOR TABLE t").await;
        let older = site.config.clone();
        site.config = older.replace("[\"walbrook\"]", "[\"newer\"]");
        site.ends(&mut Walbrook::spawn(&site.config), "\"newer\"");
        // Until they have passed.
        let newer = std::mem::replace(&mut site.config, older);
        let mut walbrook = site.spawn().await;
        site.drain().await;
        assert!(walbrook.stop(LIMIT).success());
        site.config = newer;
        let mut walbrook = site.spawn().await;
        site.insert(3).await;
        site.drain().await;
        assert_eq!(site.rows(), [1, 2, 3]);
        assert!(walbrook.stop(LIMIT).success());
    });
}

/// One that was made again while walbrook was away is told, once; nothing was written between.
#[test]
fn a_publication_that_was_made_again_is_told() {
    run(TEST_LIMIT, async {
        let site = Site::new(17, TABLE).await;
        let mut walbrook = site.spawn().await;
        site.insert(1).await;
        site.drain().await;
        assert!(walbrook.stop(LIMIT).success());
        assert_eq!(flow::lines_at(&walbrook, "WARN"), [Value::Null; 0]);
        site.each(&[DROP, CREATE]).await;
        let checked = command(&site.config, &["check"]);
        assert!(checked.stdout.contains("was dropped and made again"), "{checked:?}");
        assert!(checked.stdout.contains("OK       start.wal: the WAL that waits"), "{checked:?}");
        for is_told in [true, false] {
            let mut walbrook = site.spawn().await;
            site.insert(if is_told { 2 } else { 3 }).await;
            site.drain().await;
            assert!(walbrook.stop(LIMIT).success());
            let warnings = flow::lines_at(&walbrook, "WARN");
            assert_eq!(warnings.len(), usize::from(is_told), "{warnings:?}");
            let oids = warnings.iter().filter(|line| line["was"].as_u64() < line["is"].as_u64());
            assert_eq!(oids.count(), warnings.len(), "{warnings:?}");
        }
        assert_eq!(site.rows(), [1, 2, 3]);
        let checked = command(&site.config, &["check"]);
        assert!(!checked.stdout.contains("was dropped and made again"), "{checked:?}");
    });
}

/// A server that withholds changes says so only by a warning.
#[test]
fn a_warning_of_the_server_is_logged() {
    run(TEST_LIMIT, async {
        let site = Site::new(17, TABLE).await;
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
