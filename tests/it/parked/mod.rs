//! One table's trouble is that table's: its changes wait, whole and in order, all others go on, and they
//! come back, each once, before all that is newer.

mod unregistered;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::flow::{
    Flow, config, ends_with, lines_at, parked, plain, position, said, until_parked,
};
use crate::support::records::Record;
use crate::support::stack::{NOTHING_FROM_BEFORE, Space, shared};
use crate::support::walbrook::command;
use crate::support::{http, process, run};

const TEST_LIMIT: Duration = Duration::from_secs(240);
const LIMIT: Duration = Duration::from_secs(60);

/// A pipeline that can be told something; with `on_refused` and the like in `tables`.
async fn start<'a>(name: &str, ddl: &str, tables: &str, more: &[(&str, &str)]) -> Flow<'a> {
    let socket = process::folder("control").join("socket");
    let socket = format!("socket = \"{}\"", socket.display());
    let changes = [&[("control", &*socket), ("tables", tables)], more].concat();
    let space = Space::new(&shared().postgres, name).await;
    shared().postgres.execute(&space.database, ddl).await;
    let config = config(shared(), &space, &changes).replace("on_refused = \"stop\"\n", "");
    Flow::run(shared(), space, config).await
}

/// `walbrook unpark`, which ends with this code; what it said.
#[track_caller]
fn unpark(flow: &Flow<'_>, arguments: &[&str], code: i32) -> String {
    let output = command(&flow.config, &[&["unpark"], arguments].concat());
    let text = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}\n{}", flow.walbrook.tail());
    text
}

/// The rows in `after` of a table's records.
fn rows(flow: &Flow<'_>, table: &str) -> Vec<Value> {
    let registry = &flow.stack.registry;
    let row = |record: &Record| plain(record.value(registry)?)["after"].as_object().cloned();
    flow.records(table).iter().filter_map(row).map(Value::Object).collect()
}

fn metrics(flow: &Flow<'_>) -> String {
    http::get(&format!("http://127.0.0.1:{}/metrics", flow.space.http_port)).unwrap().1
}

/// The positions of a topic's records increase in each partition, also where changes came back.
#[track_caller]
fn assert_in_order(records: &[Record]) {
    for partition in 0..16 {
        let of = records.iter().filter(|record| record.partition == partition);
        let places: Vec<_> = of.map(position).collect();
        assert!(places.is_sorted_by(|left, right| left < right), "{places:?}");
    }
}

const LEDGERS: &str = "
    CREATE TABLE ledger_a (id int PRIMARY KEY, amount text);
    CREATE TABLE ledger_b (id int PRIMARY KEY, amount text);
    CREATE PUBLICATION walbrook FOR TABLE ledger_a, ledger_b WITH (publish_via_partition_root = true);";

/// The registry refuses one table's schema.
#[test]
fn a_table_whose_schema_is_refused_waits_and_all_others_go_on() {
    run(TEST_LIMIT, async {
        let mut flow = start("parked_schema", LEDGERS, "", &[]).await;
        flow.execute(
            "INSERT INTO ledger_a VALUES (1, '70'); INSERT INTO ledger_b VALUES (1, '71')",
        )
        .await;
        flow.drain().await;
        flow.execute("ALTER TABLE ledger_a ALTER amount TYPE int USING amount::int").await;
        flow.execute("INSERT INTO ledger_a VALUES (2, 80); INSERT INTO ledger_b VALUES (2, '81')")
            .await;
        flow.execute(
            "UPDATE ledger_a SET amount = 82 WHERE id = 2; DELETE FROM ledger_a WHERE id = 1",
        )
        .await;
        flow.drain().await;
        assert_eq!(rows(&flow, "public.ledger_b").len(), 2);
        assert_eq!(rows(&flow, "public.ledger_a").len(), 1);

        let subject = format!("{}-value", flow.topic("public.ledger_a"));
        let told = until_parked(&flow, "public.ledger_a", 3);
        assert_eq!(told["subject"], *subject, "{told}");
        assert!(told["reason"].as_str().unwrap().contains("409"), "{told}");
        assert!(metrics(&flow).contains("walbrook_parked_changes{table=\"public.ledger_a\"} 3"));
        let (ready, body) =
            http::get(&format!("http://127.0.0.1:{}/readyz", flow.space.http_port)).unwrap();
        assert!(ready == 200 && body.contains("\"parked\":1"), "{ready} {body}");
        let warnings = lines_at(&flow.walbrook, "WARN");
        let warned = |line: &&Value| said(line, "message").contains("is parked");
        assert_eq!(said(warnings.iter().find(warned).unwrap(), "table"), "public.ledger_a");

        let refused = unpark(&flow, &["public.ledger_a"], 4);
        assert!(refused.contains("stays parked, 3 changes wait"), "{refused}");
        let unknown = unpark(&flow, &["public.ledger_b"], 2);
        assert!(unknown.contains("public.ledger_b is not parked"), "{unknown}");

        // What waits outlives a kill, and more comes behind it.
        flow.restart_after_kill().await;
        flow.execute("INSERT INTO ledger_a VALUES (3, 90); INSERT INTO ledger_b VALUES (3, '91')")
            .await;
        flow.drain().await;
        until_parked(&flow, "public.ledger_a", 4);
        flow.stack.registry.free(&subject);
        let back = unpark(&flow, &["public.ledger_a"], 0);
        assert!(back.contains("all of it is back"), "{back}");
        flow.execute("INSERT INTO ledger_a VALUES (4, 100)").await;
        flow.drain().await;

        let told = flow.told("public.ledger_a").await;
        println!("{told:#?}");
        let amounts: Vec<_> =
            rows(&flow, "public.ledger_a").iter().map(|row| row["amount"].clone()).collect();
        assert_eq!(amounts, [Value::from("70"), 80.into(), 82.into(), 90.into(), 100.into()]);
        let records = flow.records("public.ledger_a");
        assert_in_order(&records);
        // 1 direct, 1 + 1 + delete and tombstone + 1 that came back, 1 direct.
        let returned: Vec<_> =
            records.iter().map(|it| it.header("walbrook.parked").is_some()).collect();
        assert_eq!(returned.iter().filter(|it| **it).count(), 5, "{returned:?}");
        assert!(parked(&flow).is_empty());
        assert!(metrics(&flow).contains("walbrook_parked_tables 0"));
        flow.stop();
    });
}

/// A value that no field holds: the table waits from there on, and goes on without that change.
#[test]
fn a_change_that_can_never_be_written_is_left_out_when_somebody_says_so() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE price (id int PRIMARY KEY, amount numeric(10, 2));
            CREATE TABLE other (id int PRIMARY KEY);
            CREATE PUBLICATION walbrook FOR TABLE price, other;";
        let mut flow = start("parked_value", ddl, "", &[]).await;
        flow.execute("INSERT INTO price VALUES (1, 1.5)").await;
        flow.execute("BEGIN; INSERT INTO price VALUES (2, 2.5); INSERT INTO other VALUES (1); INSERT INTO price VALUES (3, 'NaN'); INSERT INTO price VALUES (4, 4.5); INSERT INTO other VALUES (2); COMMIT").await;
        flow.drain().await;
        assert_eq!(rows(&flow, "public.other").len(), 2);
        assert_eq!(rows(&flow, "public.price").len(), 2);
        let told = until_parked(&flow, "public.price", 2);
        assert!(told["reason"].as_str().unwrap().contains("column amount"), "{told}");

        let refused = unpark(&flow, &["public.price"], 4);
        assert!(refused.contains("2 changes wait"), "{refused}");
        let unsaid = unpark(&flow, &["public.price", "--leave-out", "1"], 2);
        assert!(unsaid.contains("--reason"), "{unsaid}");
        unpark(&flow, &["public.price", "--leave-out", "1", "--reason", "known"], 0);
        flow.execute("INSERT INTO price VALUES (5, 5.5)").await;
        flow.drain().await;
        let ids: Vec<_> = rows(&flow, "public.price").iter().map(|row| row["id"].clone()).collect();
        assert_eq!(ids, [1, 2, 4, 5]);
        assert_in_order(&flow.records("public.price"));
        assert!(metrics(&flow).contains("walbrook_skipped_changes_total 1"));
        flow.stop();
    });
}

/// A broker refuses a record: the batch that it was in is lost, and written again without the table.
#[test]
fn a_record_that_a_broker_refuses_waits_until_it_takes_it() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE page (id int PRIMARY KEY, v text);
            CREATE TABLE other (id int PRIMARY KEY);
            CREATE PUBLICATION walbrook FOR TABLE page, other;";
        let mut flow = start("parked_large", ddl, "", &[]).await;
        let (topic, limit) = (flow.topic("public.page"), [("max.message.bytes", "50000")]);
        flow.stack.kafka.create_topic(&topic, 1, &limit).await;
        // Not compressible; the second is kept in several pieces.
        let large = |id: u32, lines: u32| {
            format!(
                "INSERT INTO page SELECT {id}, string_agg(md5(g::text), '') FROM generate_series(1, {lines}) g;"
            )
        };
        flow.execute(&format!(
            "INSERT INTO page VALUES (1, 'small'); {}{} INSERT INTO other VALUES (1);",
            large(2, 5_000),
            large(3, 60_000)
        ))
        .await;
        flow.drain().await;
        flow.execute("INSERT INTO page VALUES (4, 'small'); INSERT INTO other VALUES (2);").await;
        flow.drain().await;
        assert_eq!(rows(&flow, "public.other").len(), 2);
        let told = until_parked(&flow, "public.page", 4);
        assert!(told["reason"].as_str().unwrap().contains("max.message.bytes"), "{told}");
        // All that waited before the one that was refused waits with it.
        assert_eq!(rows(&flow, "public.page").len(), 0);

        let refused = unpark(&flow, &["public.page"], 4);
        assert!(refused.contains("stays parked"), "{refused}");
        flow.stack.kafka.alter_topic(&topic, "max.message.bytes", "5000000").await;
        unpark(&flow, &["public.page"], 0);
        flow.execute("INSERT INTO page VALUES (5, 'small')").await;
        flow.drain().await;
        let size = |row: &Value| (row["id"].as_u64().unwrap(), row["v"].as_str().unwrap().len());
        let sizes: Vec<_> = rows(&flow, "public.page").iter().map(size).collect();
        assert_eq!(sizes, [(1, 5), (2, 160_000), (3, 1_920_000), (4, 5), (5, 5)]);
        assert_in_order(&flow.records("public.page"));
        flow.stop();
    });
}

/// With "stop" it is as it was.
#[test]
fn a_table_that_must_not_wait_stops_the_pipeline() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE price (id int PRIMARY KEY, amount numeric(10, 2));
            CREATE TABLE waits (id int PRIMARY KEY, amount numeric(10, 2));
            CREATE PUBLICATION walbrook FOR TABLE price, waits;";
        let tables = "on_refused_by_table = { \"public.price\" = \"stop\" }";
        let mut flow = start("parked_stop", ddl, tables, &[]).await;
        flow.execute("INSERT INTO waits VALUES (1, 'NaN')").await;
        flow.drain().await;
        until_parked(&flow, "public.waits", 1);
        flow.execute("INSERT INTO price VALUES (1, 'NaN')").await;
        let error = ends_with(&mut flow.walbrook, 4);
        assert!(error.contains("table public.price, column amount"), "{error}");
    });
}

/// A TRUNCATE's record has no key, and a compacted topic takes none without.
#[test]
fn a_truncate_is_left_out_where_the_topic_is_compacted() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE staging (id int PRIMARY KEY, v text);
            CREATE TABLE bystander (id int PRIMARY KEY);
            CREATE TABLE keyless (v text);
            CREATE PUBLICATION walbrook FOR TABLE staging, bystander, keyless WITH (publish = 'insert, truncate');";
        for policy in ["compact", "compact,delete"] {
            let compacted = ("topics", &*format!("cleanup_policy = \"{policy}\""));
            let mut flow = start("parked_truncate", ddl, "", &[compacted]).await;
            flow.execute("INSERT INTO staging VALUES (1, 'a')").await;
            flow.execute("TRUNCATE staging, bystander").await;
            flow.execute("INSERT INTO staging VALUES (2, 'b'); INSERT INTO bystander VALUES (1)")
                .await;
            flow.drain().await;
            assert_eq!(
                (rows(&flow, "public.staging").len(), rows(&flow, "public.bystander").len()),
                (2, 1)
            );
            let warnings = lines_at(&flow.walbrook, "WARN");
            let left_out = |line: &&Value| said(line, "message").contains("a TRUNCATE is left out");
            assert_eq!(warnings.iter().filter(left_out).count(), 2, "{warnings:?}");
            // A row without a key is the table's own trouble.
            flow.execute("INSERT INTO keyless VALUES ('x'); INSERT INTO bystander VALUES (2)")
                .await;
            flow.drain().await;
            assert_eq!(rows(&flow, "public.bystander").len(), 2);
            let told = until_parked(&flow, "public.keyless", 1);
            assert!(told["reason"].as_str().unwrap().contains("compacted"), "{told}");
            flow.stop();
        }
    });
}

/// Two columns become one field, while the stream runs.
#[test]
fn columns_that_become_one_field_park_their_table() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE c (id int PRIMARY KEY, \"价\" int);
            CREATE TABLE part (id int PRIMARY KEY, \"price$\" int, \"price#\" int);
            CREATE TABLE other (id int PRIMARY KEY, v text);
            CREATE PUBLICATION walbrook FOR TABLE c, part, other;";
        let mut flow = start("parked_fields", ddl, "", &[]).await;
        flow.execute("INSERT INTO c VALUES (1, 1); INSERT INTO part VALUES (1, 1, 1)").await;
        flow.execute("ALTER TABLE c ADD COLUMN \"名\" text").await;
        flow.execute("INSERT INTO c VALUES (2, 2, 'n'); INSERT INTO other VALUES (1, 'x')").await;
        flow.drain().await;
        assert_eq!((rows(&flow, "public.c").len(), rows(&flow, "public.other").len()), (1, 1));
        for table in ["public.c", "public.part"] {
            let told = until_parked(&flow, table, 1);
            assert!(told["reason"].as_str().unwrap().contains("would both be the field"), "{told}");
        }
        // What has other names by now goes on, when what waits is given up.
        flow.execute("ALTER TABLE c RENAME \"名\" TO name; INSERT INTO c VALUES (3, 3, 'm')").await;
        flow.drain().await;
        until_parked(&flow, "public.c", 2);
        unpark(&flow, &["public.c", "--leave-out", "1", "--reason", "names"], 0);
        let ids: Vec<_> = rows(&flow, "public.c").iter().map(|row| row["id"].clone()).collect();
        assert_eq!(ids, [1, 3]);
        flow.stop();
    });
}

/// Rows of a snapshot, and all kinds of changes, wait and come back as what they are.
#[test]
fn rows_of_a_snapshot_wait_with_the_rest() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TABLE t (id int PRIMARY KEY, amount numeric(10, 2), v text);
            CREATE TABLE other (id int PRIMARY KEY);
            INSERT INTO t SELECT n, n, 'before' FROM generate_series(1, 3000) n;
            INSERT INTO t VALUES (0, 'NaN', 'before');
            CREATE PUBLICATION walbrook FOR TABLE t, other;";
        let space = Space::new(&shared().postgres, "parked_snapshot").await;
        shared().postgres.execute(&space.database, ddl).await;
        let socket = process::folder("control").join("socket");
        let socket = ("control", &*format!("socket = \"{}\"", socket.display()));
        let config = config(shared(), &space, &[socket]);
        let config = config.replace("on_refused = \"stop\"\n", "").replace(NOTHING_FROM_BEFORE, "");
        let mut flow = Flow::run(shared(), space, config).await;
        let start = Instant::now();
        while parked(&flow).first().is_none_or(|it| it["waiting"].as_u64() < Some(1)) {
            assert!(start.elapsed() < LIMIT, "{}", flow.walbrook.tail());
            std::thread::sleep(Duration::from_millis(50));
        }
        flow.execute("UPDATE t SET v = 'now' WHERE id = 7; UPDATE t SET id = -8 WHERE id = 8; DELETE FROM t WHERE id = 9; INSERT INTO other VALUES (1); TRUNCATE other").await;
        flow.drain().await;
        // The row that no field holds comes first, or later in its chunk.
        let left =
            command(&flow.config, &["unpark", "public.t", "--leave-out", "1", "--reason", "NaN"]);
        assert!(left.status.success(), "{left:?}\n{}", flow.walbrook.tail());
        let records = flow.records("public.t");
        assert_in_order(&records);
        let mut last = std::collections::BTreeMap::new();
        for row in flow.told("public.t").await {
            let (op, rest) = row.split_once(' ').unwrap();
            let key = rest.split(' ').next().unwrap().to_owned();
            last.insert(key, op.to_owned());
        }
        let gone = |op: &&String| *op == "d" || *op == "-";
        assert_eq!(
            last.values().filter(gone).count(),
            2,
            "{:?}",
            last.iter().take(5).collect::<Vec<_>>()
        );
        assert_eq!(last.len(), 3001, "3000 rows, and the key that one changed to");
        assert_eq!(last[r#"{"id":7}"#], "u");
        flow.stop();
    });
}
