//! `walbrook check` decodes the WAL that waits: what would end the next start is told before it does,
//! and the slot stays where it is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Checked, LIMIT};
use crate::support::flow::{Flow, ends_with, query};
use crate::support::run;
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{Walbrook, command};

const DDL: &str = "CREATE TABLE t (id int PRIMARY KEY, v text);
    CREATE TABLE quiet (id int PRIMARY KEY);
    CREATE PUBLICATION walbrook FOR TABLE t, quiet;";

/// A pipeline that has delivered one row and is stopped.
async fn stopped(name: &str, ddl: &str, changes: &[(&str, &str)]) -> Flow<'static> {
    let mut flow = Flow::start(shared(), name, ddl, changes).await;
    flow.execute("INSERT INTO t VALUES (0, 'before')").await;
    flow.drain().await;
    flow.stop();
    flow
}

/// Up to where the slot is confirmed. From where it keeps WAL the server moves on by itself, up to
/// that, whenever it decodes.
async fn confirmed(flow: &Flow<'_>) -> String {
    let sql = format!(
        "SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{}'",
        flow.space.slot
    );
    query(&flow.client, &sql).await.concat().concat()
}

/// Checks, and asserts that this changes nothing.
async fn check(flow: &Flow<'_>) -> Checked {
    let (before, checkpoint) = (confirmed(flow).await, show(flow));
    let topics = flow.stack.kafka.topics();
    let checked = Checked::new(&flow.config);
    flow.stack.postgres.slot_active(&flow.space.slot, false).await;
    assert_eq!((confirmed(flow).await, show(flow)), (before, checkpoint));
    let own = |topics: Vec<String>| -> BTreeSet<_> {
        topics.into_iter().filter(|it| it.starts_with(&flow.space.prefix)).collect()
    };
    assert_eq!(own(flow.stack.kafka.topics()), own(topics));
    checked
}

fn show(flow: &Flow<'_>) -> Value {
    let shown = command(&flow.config, &["checkpoint", "show", "--json"]);
    serde_json::from_str(&shown.stdout).unwrap_or_else(|_| panic!("{shown:?}"))
}

#[test]
fn what_waits_is_decoded_and_stays_where_it_is() {
    run(LIMIT, async {
        let mut flow = stopped("wait_ok", DDL, &[]).await;
        check(&flow).await.says("start.wal", "ok", &["up to 0/", "records: 0"]);
        // In several batches, the last of a table without a topic yet.
        flow.execute("INSERT INTO t SELECT g, repeat('x', 100) FROM generate_series(1, 30000) g")
            .await;
        flow.execute("DELETE FROM t WHERE id = 1; INSERT INTO quiet VALUES (1)").await;
        let checked = check(&flow).await;
        checked.failed(&[]);
        checked.says("start.wal", "ok", &["records: 30003"]);
        let brief = command(&flow.config, &["check", "--decode-seconds", "0"]);
        assert!(brief.stdout.contains("SKIPPED  start.wal"), "{}", brief.stdout);
        // What only text mode can carry, and the catalog does not show any more.
        flow.execute("ALTER TABLE t ADD a aclitem[]").await;
        flow.execute("INSERT INTO t VALUES (-1, 'x', '{}')").await;
        flow.execute("ALTER TABLE t DROP a").await;
        check(&flow).await.says("start.wal", "ok", &["records: 30004"]);
        flow.restart().await;
        flow.drain().await;
        assert_eq!(flow.records("public.t").len(), 30_004);
        assert_eq!(flow.records("public.quiet").len(), 1);
        flow.stop();
    });
}

/// What the catalog of today no longer shows: a publication that was missing, an identity that was
/// changed back, a record without a key.
#[test]
fn what_would_end_the_next_start_is_told() {
    run(LIMIT, async {
        // A publication.
        let mut flow = stopped("wait_publication", DDL, &[]).await;
        flow.execute("DROP PUBLICATION walbrook").await;
        flow.execute("INSERT INTO t VALUES (1, 'unpublished')").await;
        flow.execute("CREATE PUBLICATION walbrook FOR TABLE t, quiet").await;
        let checked = check(&flow).await;
        checked.failed(&["start.wal"]);
        checked.says("start.wal", "failed", &["was missing when the WAL at", "checkpoint accept"]);
        flow.walbrook = Walbrook::spawn(&flow.config);
        ends_with(&mut flow.walbrook, 4);

        // The identity of a leaf.
        let ddl = format!(
            "{DDL} CREATE TABLE parcel (id int NOT NULL, day date NOT NULL, PRIMARY KEY (id, day))
                 PARTITION BY RANGE (day);
             CREATE TABLE leaf PARTITION OF parcel FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
             CREATE UNIQUE INDEX leaf_id ON leaf (id);
             ALTER PUBLICATION walbrook ADD TABLE parcel;
             ALTER PUBLICATION walbrook SET (publish_via_partition_root = true);"
        );
        let mut flow = stopped("wait_identity", &ddl, &[]).await;
        flow.execute("INSERT INTO parcel VALUES (1, '2026-01-05')").await;
        flow.execute("ALTER TABLE leaf REPLICA IDENTITY USING INDEX leaf_id").await;
        flow.execute("DELETE FROM parcel").await;
        flow.execute("ALTER TABLE leaf REPLICA IDENTITY DEFAULT").await;
        let checked = check(&flow).await;
        flow.walbrook = Walbrook::spawn(&flow.config);
        let error = ends_with(&mut flow.walbrook, 4);
        checked.failed(&["start.wal"]);
        checked.says("start.wal", "failed", &["public.parcel", "checkpoint skip --position"]);
        checked.says("start.wal", "failed", &[&error]);
    });
}

#[test]
fn a_record_that_the_topic_refuses_is_told() {
    run(LIMIT, async {
        for policy in ["compact", "compact,delete"] {
            let ddl = format!("{DDL} ALTER TABLE quiet ADD v text;");
            let stack = shared();
            let space = Space::new(&stack.postgres, "wait_compact").await;
            stack.postgres.execute(&space.database, &ddl).await;
            for (table, setting) in
                [("t", ("cleanup.policy", policy)), ("quiet", ("max.message.bytes", "50000"))]
            {
                let topic = format!("{}.public.{table}", space.prefix);
                stack.kafka.create_topic(&topic, 1, &[setting]).await;
            }
            let mut flow =
                Flow::start_on(stack, space, &[("kafka", "compression = \"lz4\"")]).await;
            flow.stop();
            // The one is left out; the other has no key, whatever the table has by now.
            flow.execute("INSERT INTO quiet VALUES (1, repeat('x', 320000)); TRUNCATE t").await;
            flow.execute("ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (7)").await;
            flow.execute("ALTER TABLE t ADD PRIMARY KEY (id)").await;
            let checked = check(&flow).await;
            checked.failed(&["kafka.cleanup_policy"]);
            let words = ["makes a record without a key", "tables.truncate = false"];
            checked.says("kafka.cleanup_policy", "failed", &words);
            let words = ["makes a record of 32", "at most 50000", "checkpoint skip --position"];
            checked.says("kafka.max_message_bytes", "warning", &words);
            // And so it is; what is large compresses well.
            flow.walbrook = Walbrook::spawn(&flow.config);
            let error = ends_with(&mut flow.walbrook, 4);
            assert!(error.contains("takes no record without a key"), "{policy}: {error}");
            let topic = flow.topic("public.t");
            flow.stack.kafka.alter_topic(&topic, "cleanup.policy", "delete").await;
            check(&flow).await.failed(&[]);
            flow.restart().await;
            flow.drain().await;
            assert_eq!(flow.records("public.quiet").len(), 1);
            flow.stop();
        }
    });
}

/// Of a table that is not what it was when it was written, only the WAL tells the schema.
#[test]
fn a_schema_of_the_waiting_rows_that_the_registry_refuses_is_told_and_not_registered() {
    run(LIMIT, async {
        let mut flow = stopped("wait_schema", DDL, &[]).await;
        let subject = format!("{}-value", flow.topic("public.t"));
        flow.execute("ALTER TABLE t ALTER v TYPE int USING 1").await;
        flow.execute("INSERT INTO t VALUES (1, 2)").await;
        flow.execute("ALTER TABLE t ALTER v TYPE text").await;
        let checked = check(&flow).await;
        assert_eq!(flow.stack.registry.versions(&subject), 1);
        flow.walbrook = Walbrook::spawn(&flow.config);
        let error = ends_with(&mut flow.walbrook, 4);
        println!("{error}");
        checked.failed(&["start.wal"]);
        checked.says("start.wal", "failed", &["refuses the schema", &subject]);
    });
}

/// All that would be parked is told, not only the first of it.
#[test]
fn each_table_that_would_be_parked_is_told() {
    run(LIMIT, async {
        let ddl = format!(
            "{DDL} CREATE TABLE n (id int PRIMARY KEY, v numeric); ALTER PUBLICATION walbrook ADD TABLE n;"
        );
        let mut flow = stopped("wait_parked", &ddl, &[]).await;
        let subject = format!("{}-value", flow.topic("public.t"));
        flow.config = flow.config.replace("on_refused = \"stop\"\n", "");
        flow.execute("ALTER TABLE t ALTER v TYPE int USING 1; INSERT INTO t VALUES (1, 2)").await;
        flow.execute("INSERT INTO n VALUES (1, 'NaN'); INSERT INTO quiet VALUES (1), (2)").await;
        let checked = check(&flow).await;
        checked.says("start.wal", "failed", &["public.t would be parked", &subject]);
        checked.says("start.wal", "failed", &["public.n would be parked", "NaN"]);
        checked.says("start.wal", "ok", &["records: 4"]);
        let plain = command(&flow.config, &["check"]);
        assert!(!plain.stderr.contains("its changes wait"), "{}", plain.stderr);
        flow.restart().await;
        flow.drain().await;
        assert_eq!(flow.records("public.quiet").len(), 2);
        flow.stop();
    });
}
