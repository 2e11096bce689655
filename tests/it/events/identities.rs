//! Identities and keys that are not what the catalog of the moment says: partitions with one of their
//! own, keys that come later, tables that are gone, a catalog that is behind.

use super::TEST_LIMIT;
use crate::support::flow::{Flow, LIMIT, ends_with, lines_at, query, said, until_value};
use crate::support::stack::{Stack, shared};
use crate::support::walbrook::command;
use crate::support::{run, until_async};

async fn check(flow: &mut Flow<'_>, table: &str, wanted: &[&str]) {
    let told = flow.told(table).await;
    assert_eq!(told, wanted, "{table}: {told:#?}");
}

/// The keys of a table's records by the operation: bytes and partition.
fn keys(flow: &Flow<'_>, table: &str) -> Vec<(Vec<u8>, i32)> {
    let records = flow.records(table).into_iter();
    records.map(|record| (record.key.expect("a key"), record.partition)).collect()
}

#[test]
fn partitions_with_a_replica_identity_of_their_own() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE visit (id bigint NOT NULL, created date NOT NULL, body text)
                PARTITION BY RANGE (created);
            CREATE TABLE visit_2026 PARTITION OF visit
                FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
            ALTER TABLE visit_2026 ADD PRIMARY KEY (id);
            CREATE TABLE fully (id int PRIMARY KEY, n int NOT NULL, t text) PARTITION BY RANGE (id);
            CREATE TABLE fully_1 PARTITION OF fully FOR VALUES FROM (0) TO (10);
            CREATE TABLE fully_2 PARTITION OF fully FOR VALUES FROM (10) TO (20);
            ALTER TABLE fully REPLICA IDENTITY FULL;
            ALTER TABLE fully_1 REPLICA IDENTITY FULL;
            CREATE TABLE parcel (id bigint NOT NULL, created date NOT NULL, body text,
                PRIMARY KEY (id, created)) PARTITION BY RANGE (created);
            CREATE TABLE parcel_2026 PARTITION OF parcel
                FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
            CREATE UNIQUE INDEX parcel_2026_id ON parcel_2026 (id);
            ALTER TABLE parcel_2026 REPLICA IDENTITY USING INDEX parcel_2026_id;
            CREATE PUBLICATION walbrook FOR TABLE visit, fully, parcel
                WITH (publish_via_partition_root = true);";
        let mut flow = Flow::start(shared(), "leaves", ddl, &[]).await;
        let found = command(&flow.config, &["check"]);
        assert_eq!(found.status.code(), Some(3), "{}", found.stdout);
        for leaf in ["fully_2", "parcel_2026"] {
            let statement = format!("ALTER TABLE \"public\".\"{leaf}\" REPLICA IDENTITY FULL;");
            assert!(found.stdout.contains(&statement), "{statement}\n{}", found.stdout);
        }
        flow.execute(
            "INSERT INTO visit VALUES (1, '2026-01-05', 'x');
             UPDATE visit SET id = 2;
             DELETE FROM visit;
             INSERT INTO fully VALUES (1, 1, 'a'), (11, 1, 'b');
             DELETE FROM fully;
             INSERT INTO parcel VALUES (1, '2026-01-05', 'x');",
        )
        .await;
        check(
            &mut flow,
            "public.visit",
            &[
                r#"c {"id":1} null {"id":1,"created":20458,"body":"x"}"#,
                r#"d {"id":1} {"id":1,"created":null,"body":null} null"#,
                r#"- {"id":1}"#,
                r#"c {"id":2} null {"id":2,"created":20458,"body":"x"}"#,
                r#"d {"id":2} {"id":2,"created":null,"body":null} null"#,
                r#"- {"id":2}"#,
            ],
        )
        .await;
        check(
            &mut flow,
            "public.fully",
            &[
                r#"c {"id":1} null {"id":1,"n":1,"t":"a"}"#,
                r#"c {"id":11} null {"id":11,"n":1,"t":"b"}"#,
                r#"d {"id":1} {"id":1,"n":1,"t":"a"} null"#,
                r#"- {"id":1}"#,
                r#"d {"id":11} {"id":11,"n":null,"t":null} null"#,
                r#"- {"id":11}"#,
            ],
        )
        .await;
        let warned = lines_at(&flow.walbrook, "WARN");
        let of = |table: &str| warned.iter().filter(|line| said(line, "table") == table).count();
        assert_eq!(["public.visit", "public.fully", "public.parcel"].map(of), [0, 1, 1]);
        flow.execute("DELETE FROM parcel").await;
        let error = ends_with(&mut flow.walbrook, 4);
        for part in ["public.parcel, column created", "\"parcel_2026\" REPLICA IDENTITY FULL"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    });
}

/// A key's bytes depend on the types of its columns alone, also after a restart, and when the table
/// is gone.
#[test]
fn a_row_has_one_key_whatever_the_catalog_says_by_now() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TYPE kt AS ENUM ('a', 'b');
            CREATE TABLE k (k kt PRIMARY KEY, v text);
            CREATE TABLE d (tenant int NOT NULL DEFAULT 1, id int, v text, PRIMARY KEY (id, tenant));
            CREATE TABLE gone (b int, a int, v text NOT NULL DEFAULT 'q', PRIMARY KEY (a, b));
            CREATE TABLE gone_full (LIKE gone INCLUDING ALL);
            ALTER TABLE gone_full REPLICA IDENTITY FULL;
            CREATE PUBLICATION walbrook FOR ALL TABLES;";
        let mut flow = Flow::start(shared(), "keys", ddl, &[]).await;
        flow.execute(
            "INSERT INTO k VALUES ('a', '1');
             INSERT INTO d VALUES (1, 1, '1');
             INSERT INTO gone VALUES (1, 2);
             INSERT INTO gone_full VALUES (1, 2);",
        )
        .await;
        flow.drain().await;
        let before = ["gone", "gone_full"].map(|table| schemas(&flow, table));
        flow.stop();
        flow.execute(
            "ALTER TYPE kt ADD VALUE 'c';
             ALTER TABLE d ALTER tenant SET DEFAULT 2;
             UPDATE k SET v = '3';
             UPDATE d SET v = '3';
             DELETE FROM k;
             UPDATE gone SET v = 'r';
             DELETE FROM gone;
             DELETE FROM gone_full;
             DROP TABLE gone, gone_full;",
        )
        .await;
        flow.restart().await;
        flow.drain().await;
        for (table, count) in [("k", 4), ("d", 2), ("gone", 4), ("gone_full", 3)] {
            let keys = keys(&flow, &format!("public.{table}"));
            assert_eq!(keys.len(), count, "{table}");
            assert!(keys.iter().all(|key| *key == keys[0]), "{table}: {keys:?}");
        }
        assert_eq!(["gone", "gone_full"].map(|table| schemas(&flow, table)), before);
        flow.stop();
    });
}

/// How many schemas the value's subject of a table has.
fn schemas(flow: &Flow<'_>, table: &str) -> usize {
    let subject = format!("{}-value", flow.topic(&format!("public.{table}")));
    flow.stack.registry.versions(&subject)
}

fn set_rule(flow: &Flow<'_>, table: &str, rule: &str) {
    for part in ["key", "value"] {
        let subject = format!("{}-{part}", flow.topic(&format!("public.{table}")));
        flow.stack.registry.set_rule(&subject, rule);
    }
}

/// The rule under which a table is dropped, or comes back, does not matter.
#[test]
fn a_table_that_is_dropped_or_made_again_does_not_end_the_pipeline() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE other (id int PRIMARY KEY);
            CREATE TABLE gone (id int PRIMARY KEY, v text NOT NULL DEFAULT 'q');
            CREATE PUBLICATION walbrook FOR ALL TABLES;";
        let mut flow = Flow::start(shared(), "scratch", ddl, &[]).await;
        flow.execute(
            "INSERT INTO gone VALUES (1);
             BEGIN;
             CREATE TABLE work (id int PRIMARY KEY, v text NOT NULL);
             INSERT INTO work VALUES (1, 'x');
             DROP TABLE work;
             COMMIT;",
        )
        .await;
        flow.drain().await;
        set_rule(&flow, "work", "BACKWARD");
        set_rule(&flow, "gone", "FULL");
        flow.stop();
        flow.execute(
            "DELETE FROM gone;
             DROP TABLE gone;
             CREATE TABLE work (id int PRIMARY KEY, v text NOT NULL);
             INSERT INTO work VALUES (2, 'y');
             INSERT INTO other VALUES (1);",
        )
        .await;
        flow.restart().await;
        check(&mut flow, "public.other", &[r#"c {"id":1} null {"id":1}"#]).await;
        check(
            &mut flow,
            "public.work",
            &[r#"c {"id":1} null {"id":1,"v":"x"}"#, r#"c {"id":2} null {"id":2,"v":"y"}"#],
        )
        .await;
        check(
            &mut flow,
            "public.gone",
            &[
                r#"c {"id":1} null {"id":1,"v":"q"}"#,
                r#"d {"id":1} {"id":1,"v":null} null"#,
                r#"- {"id":1}"#,
            ],
        )
        .await;
        for table in ["work", "gone"] {
            let keys = keys(&flow, &format!("public.{table}"));
            assert!(keys.iter().all(|(key, _)| key[..5] == keys[0].0[..5]), "{table}: {keys:?}");
        }
        flow.stop();
    });
}

#[test]
fn a_primary_key_that_is_added_under_full_is_the_key_from_then_on() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE t (id int, v text);
            ALTER TABLE t REPLICA IDENTITY FULL;
            CREATE PUBLICATION walbrook FOR TABLE t;";
        let mut flow = Flow::start(shared(), "added", ddl, &[]).await;
        flow.execute("INSERT INTO t VALUES (NULL, 'a')").await;
        flow.drain().await;
        flow.execute(
            "UPDATE t SET id = 1;
             ALTER TABLE t ADD PRIMARY KEY (id);
             UPDATE t SET v = 'b';",
        )
        .await;
        check(
            &mut flow,
            "public.t",
            &[
                r#"c null null {"id":null,"v":"a"}"#,
                r#"u null {"id":null,"v":"a"} {"id":1,"v":"a"}"#,
                r#"u {"id":1} {"id":1,"v":"a"} {"id":1,"v":"b"}"#,
            ],
        )
        .await;
        flow.stop();
    });
}

/// PostgreSQL sends what is flushed, and shows it only when its synchronous standby has it.
#[test]
fn a_catalog_that_is_behind_the_stream_is_waited_for() {
    run(TEST_LIMIT, async {
        let stack = Stack::start();
        let ddl = "CREATE PUBLICATION walbrook FOR ALL TABLES";
        let mut flow = Flow::start(&stack, "behind", ddl, &[]).await;
        flow.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
        flow.execute("SELECT pg_reload_conf()").await;
        until_value(&flow.client, "SHOW synchronous_standby_names", "nobody").await;
        let waiting = stack.postgres.client(&flow.space.database).await;
        let made = "BEGIN; CREATE TABLE t (b int, a int, PRIMARY KEY (a, b));
            ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, 2); COMMIT";
        let (done, ()) = tokio::join!(waiting.batch_execute(made), async {
            let waits = |line: &serde_json::Value| {
                said(line, "level") == "WARN" && said(line, "table") == "public.t"
            };
            flow.walbrook.wait_for(LIMIT, "it waits for the catalog", waits);
            let cancel =
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
            query(&flow.client, cancel).await;
        });
        done.unwrap();
        check(&mut flow, "public.t", &[r#"c {"a":2,"b":1} null {"b":1,"a":2}"#]).await;
        flow.stop();
    });
}

/// The checkpointer says whether commits wait, and may have the setting later than a session.
async fn until_commits_wait(flow: &Flow<'_>) {
    let other = flow.stack.postgres.client(&flow.space.database).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    flow.walbrook.signal("STOP");
    until_async(LIMIT, "a commit that waits", async || {
        tokio::select! {
            done = other.batch_execute("SELECT pg_logical_emit_message(true, 'any', '')") => {
                Err(format!("{done:?}"))
            }
            () = until_value(&flow.client, waiting, "1") => Ok(()),
        }
    })
    .await;
    flow.walbrook.signal("CONT");
}

/// A transaction that waits for walbrook's own confirmation cannot be waited for in turn.
#[test]
fn a_synchronous_standby_does_not_wait_for_itself() {
    run(TEST_LIMIT, async {
        let stack = Stack::start();
        let ddl = "CREATE PUBLICATION walbrook FOR ALL TABLES";
        let mut flow = Flow::start(&stack, "itself", ddl, &[]).await;
        flow.execute("ALTER SYSTEM SET synchronous_standby_names = '*'").await;
        flow.execute("SELECT pg_reload_conf()").await;
        until_value(&flow.client, "SHOW synchronous_standby_names", "*").await;
        until_commits_wait(&flow).await;
        flow.execute(
            "BEGIN; CREATE TABLE t (b int, a int, PRIMARY KEY (a, b));
             ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, 2); COMMIT",
        )
        .await;
        let warned = lines_at(&flow.walbrook, "WARN");
        assert!(warned.iter().any(|line| said(line, "table") == "public.t"), "{warned:?}");
        // Each waits until the one before is confirmed and shows: the guess does not stay.
        for a in 3..6 {
            flow.execute(&format!("INSERT INTO t VALUES (1, {a})")).await;
        }
        let told = flow.told("public.t").await;
        assert_eq!(told[0], r#"c null null {"b":1,"a":2}"#);
        assert_eq!(told[3], r#"c {"a":5,"b":1} null {"b":1,"a":5}"#);
        flow.stop();
    });
}
