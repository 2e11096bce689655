//! What the catalog shows of rows that are not sent, on each version, held against what it showed.

use std::time::{Duration, Instant};

use walbrook::config::{self, Environment, Postgres as Settings};
use walbrook::pipeline::watch::Watch;
use walbrook::postgres::Catalog;

use super::local;
use crate::support::postgres::{Options, Postgres};
use crate::support::run;
use crate::support::walbrook::write_config;

#[test]
fn what_postgres_does_not_tell_is_seen_in_its_catalog() {
    run(LIMIT, async {
        for version in [14, 15, 17, 18] {
            let server = Postgres::start(&Options { version, ..Options::default() });
            server.execute("postgres", &format!("{DDL}{}", since_15(version, DDL_15))).await;
            let mut case = Case::new(&server).await;
            assert_eq!(case.findings().await, [""; 0], "on {version}");
            for (statements, words) in steps(version) {
                server.execute("postgres", statements).await;
                let findings = case.findings().await;
                for words in words {
                    let is_it = |finding: &String| words.iter().all(|word| finding.contains(word));
                    let seen = findings.iter().any(is_it);
                    assert!(seen, "{words:?} on {version}: {findings:#?}");
                }
                assert_eq!(findings.len(), words.len(), "{statements} on {version}: {findings:#?}");
            }
        }
    });
}

/// A survey that takes too long ends at the server, also if nobody waits for it any more: what is
/// asked next gets its answer, and has the limit of before.
#[test]
fn a_survey_that_takes_too_long_holds_up_nothing() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let statement_timeout = Duration::from_secs(3);
        let settings = Settings { statement_timeout, ..local(&server, "postgres") };
        let mut catalog = Catalog::connect(&settings).await.unwrap();
        let locking = server.client("postgres").await;
        locking.batch_execute("BEGIN; LOCK TABLE pg_publication").await.unwrap();
        let (short, publications) = (Duration::from_millis(500), ["main".to_owned()]);
        for patience in [LIMIT, short / 5] {
            let survey = catalog.survey(&publications, &[], &[], short);
            let answer = tokio::time::timeout(patience, survey).await;
            if let Ok(survey) = answer {
                assert_eq!(survey.unwrap_err().sqlstate(), Some("57014"));
            }
            let pong = tokio::time::timeout(short * 4, catalog.ping()).await;
            pong.expect("the server answers").unwrap();
        }
        let since = Instant::now();
        catalog.unlogged_tables(&publications).await.unwrap_err();
        assert!(short * 4 < since.elapsed(), "{:?}", since.elapsed());
        locking.batch_execute("COMMIT").await.unwrap();
        catalog.survey(&publications, &[], &[], short).await.unwrap();
    });
}

#[test]
fn an_outbox_by_its_leaves_and_a_partition_that_leaves_miss_nothing() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        server.execute("postgres", DDL_LEAVES).await;
        let mut case = Case::new(&server).await;
        assert_eq!(case.findings().await, [""; 0]);
        server.execute("postgres", "ALTER PUBLICATION main DROP TABLE outbox_1").await;
        let findings = case.findings().await;
        let names = findings.iter().map(|it| it.split(' ').nth(1).unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["public.outbox", "public.outbox_1"], "{findings:?}");
        server.execute("postgres", "ALTER PUBLICATION main ADD TABLE outbox_1").await;
        assert_eq!(case.findings().await, [""; 0]);
        // A reader of the table keeps it pending.
        let (reading, detaching) =
            (server.client("postgres").await, server.client("postgres").await);
        reading.batch_execute("BEGIN; SELECT FROM parted").await.unwrap();
        detaching.batch_execute("SET statement_timeout = '1s'").await.unwrap();
        let detach = "ALTER TABLE parted DETACH PARTITION parted_1 CONCURRENTLY";
        detaching.batch_execute(detach).await.unwrap_err();
        let pending = "SELECT FROM pg_inherits WHERE inhdetachpending";
        assert_eq!(detaching.query(pending, &[]).await.unwrap().len(), 1);
        assert_eq!(case.findings().await, [""; 0]);
    });
}

struct Case {
    catalog: Catalog,
    watch: Watch,
}

impl Case {
    async fn new(server: &Postgres) -> Self {
        let config = "pipeline = \"shop\"\n[postgres]\nuser = \"postgres\"\ndatabase = \"postgres\"\n\
            [replication]\nslot = \"shop\"\npublications = [\"main\", \"more\"]\n[kafka]\n\
            bootstrap_servers = [\"b:9092\"]\n[registry]\nurls = [\"http://r\"]\n[[outbox]]\n\
            table = \"public.outbox\"";
        let config = config::load(&write_config(config), &Environment::of_process()).unwrap();
        let catalog = Catalog::connect(&local(server, "postgres")).await.unwrap();
        Self { catalog, watch: Watch::new(&config) }
    }

    async fn findings(&mut self) -> Vec<String> {
        let (relations, names) = self.watch.subjects();
        let publications = ["main", "more"].map(str::to_owned);
        let survey = self.catalog.survey(&publications, &relations, &names, LIMIT).await.unwrap();
        self.watch.look(&survey).iter().map(ToString::to_string).collect()
    }
}

const LIMIT: Duration = Duration::from_secs(240);

const DDL: &str = "
CREATE TABLE orders (id int PRIMARY KEY, total int);
CREATE TABLE measured (id int PRIMARY KEY, v int);
CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text,
    payload jsonb);
CREATE TABLE parted (id int PRIMARY KEY, v int) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE alone (id int PRIMARY KEY);
INSERT INTO measured VALUES (1, 1);
INSERT INTO parted VALUES (1, 1);
CREATE PUBLICATION main FOR TABLE orders, measured, outbox, parted
    WITH (publish_via_partition_root);
CREATE PUBLICATION more FOR TABLE alone;
";

const DDL_LEAVES: &str = "
CREATE SCHEMA parts;
CREATE SCHEMA empty;
CREATE TABLE outbox (id uuid, aggregatetype text, aggregateid text, type text, payload jsonb)
    PARTITION BY LIST (type);
CREATE TABLE outbox_1 PARTITION OF outbox FOR VALUES IN ('a');
CREATE TABLE parts.outbox PARTITION OF outbox FOR VALUES IN ('b');
CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE PUBLICATION main FOR TABLE outbox_1, parts.outbox, parted;
CREATE PUBLICATION more FOR TABLES IN SCHEMA empty;
";

const DDL_15: &str = "
CREATE SCHEMA live;
CREATE SCHEMA archive;
CREATE TABLE live.stock (id int PRIMARY KEY);
ALTER PUBLICATION main ADD TABLES IN SCHEMA live;
";

type Step = (&'static str, &'static [&'static [&'static str]]);

fn since_15(version: u32, statements: &'static str) -> &'static str {
    if version < 15 { "" } else { statements }
}

/// Statements, and what is found after them. What cannot be undone comes last.
fn steps(version: u32) -> Vec<Step> {
    const ALL: &[Step] = &[
        ("VACUUM FULL measured", &[]),
        ("ALTER TABLE measured ADD COLUMN w int DEFAULT 7, ADD COLUMN x text", &[]),
        ("VACUUM FULL measured", &[]),
        ("ALTER TABLE measured ADD COLUMN y int, ADD COLUMN z varchar(5)", &[]),
        (
            "ALTER TABLE measured ALTER COLUMN z TYPE varchar(9); TRUNCATE measured;
             INSERT INTO measured VALUES (1, 1)",
            &[],
        ),
        (
            "ALTER TABLE measured ADD COLUMN at timestamptz;
             ALTER TABLE measured ALTER COLUMN at SET DEFAULT now(); TRUNCATE measured;
             INSERT INTO measured VALUES (1, 1)",
            &[],
        ),
        ("TRUNCATE orders; ANALYZE orders; CREATE INDEX ON orders (total)", &[]),
        ("ALTER PUBLICATION main DROP TABLE orders", &[&["public.orders", "taken out"]]),
        ("ALTER PUBLICATION main ADD TABLE orders", &[]),
        ("DROP TABLE orders; CREATE TABLE orders (id int)", &[&["public.orders", "made again"]]),
        ("ALTER PUBLICATION main ADD TABLE orders", &[]),
        (
            "CREATE TABLE fresh (id int); ALTER TABLE orders RENAME TO orders_old;
             ALTER TABLE fresh RENAME TO orders",
            &[&["public.orders", "another table was given its name"]],
        ),
        ("DROP TABLE orders; ALTER TABLE orders_old RENAME TO orders", &[]),
        ("ALTER PUBLICATION main SET (publish = 'insert')", &[&["delete, truncate, update"]]),
        ("ALTER PUBLICATION main SET (publish = 'insert, update, delete, truncate')", &[]),
        (
            "ALTER PUBLICATION main SET (publish_via_partition_root = false)",
            &[&["publication main has lost publish_via_partition_root"]],
        ),
        ("ALTER PUBLICATION main SET (publish_via_partition_root = true)", &[]),
        (
            "ALTER TABLE parted DETACH PARTITION parted_1; CREATE TABLE parted_2 PARTITION OF parted
             FOR VALUES IN (2); ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES IN (1)",
            &[],
        ),
        ("DROP TABLE alone", &[&["publication more holds no table"]]),
        ("DROP PUBLICATION more", &[&["publication more does not exist"]]),
        ("CREATE PUBLICATION more FOR TABLE orders", &[]),
        (
            "CREATE SCHEMA other; ALTER TABLE outbox SET SCHEMA other",
            &[&["outbox table public.outbox does not exist", "other.outbox"], &["other.outbox has"]],
        ),
        ("ALTER TABLE other.outbox SET SCHEMA public", &[]),
    ];
    const ALL_15: &[Step] = &[
        ("ALTER TABLE live.stock SET SCHEMA archive", &[&["live.stock", "archive.stock now"]]),
        ("ALTER TABLE archive.stock SET SCHEMA live", &[]),
        ("ALTER TABLE live.stock SET UNLOGGED", &[&["live.stock was made UNLOGGED"]]),
        ("ALTER TABLE live.stock SET LOGGED", &[&["live.stock was UNLOGGED for a while"]]),
        (
            "ALTER PUBLICATION main SET TABLE orders (id), measured WHERE (id > 0), outbox, parted;
             DROP PUBLICATION more; CREATE PUBLICATION more FOR TABLE measured WHERE (id > 0)",
            &[
                &["live.stock was UNLOGGED"],
                &["live.stock is in none"],
                &["public.orders", "column list"],
                &["public.measured", "row filter"],
            ],
        ),
        (
            "ALTER PUBLICATION main SET TABLE orders, measured, outbox, parted, live.stock",
            &[&["live.stock was UNLOGGED"]],
        ),
        (
            "ALTER TABLE measured ALTER COLUMN v TYPE bigint",
            &[&["live.stock was UNLOGGED"], &["public.measured was rewritten"]],
        ),
    ];
    const LAST: &[Step] = &[
        ("ALTER TABLE measured ALTER COLUMN v TYPE bigint", &[&["public.measured was rewritten"]]),
        (
            "ALTER TABLE parted ADD COLUMN at float DEFAULT random()",
            &[
                &["public.measured was rewritten"],
                &["public.parted_1 was rewritten"],
                &["public.parted_2 was rewritten"],
            ],
        ),
    ];
    if version < 15 { [ALL, LAST].concat() } else { [ALL, ALL_15].concat() }
}
