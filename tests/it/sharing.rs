//! Topics that tables share: those of tenants on purpose, and those of children by inheritance.

mod children;

use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};

use crate::support::flow::{self, Flow, LIMIT, config, edit, lines_at, plain, said, told};
use crate::support::records::Record;
use crate::support::stack::{NOTHING_FROM_BEFORE, STOPS, Space, Stack, shared};
use crate::support::walbrook::command;
use crate::support::{process, run};

const TEST_LIMIT: Duration = Duration::from_secs(240);

/// A pipeline with these sections behind all others, which parks what is refused and has read these tables,
/// or reads none; the topics keep everything.
async fn start(
    name: &str,
    (ddl, read): (&str, &[&str]),
    topics: &[&str],
    sections: &str,
) -> Flow<'static> {
    let stack: &Stack = shared();
    let space = Space::new(&stack.postgres, name).await;
    for topic in topics {
        let topic = format!("{}.{topic}", space.prefix);
        stack.kafka.create_topic(&topic, 3, &[("retention.ms", "-1")]).await;
    }
    stack.postgres.execute(&space.database, ddl).await;
    let socket = process::folder("control").join("socket");
    let text = config(stack, &space, &[("control", &format!("socket = {socket:?}"))]);
    let mut text = text.replace(STOPS, "");
    if !read.is_empty() {
        text = text.replace(NOTHING_FROM_BEFORE, "");
    }
    let flow = Flow::run(stack, space, edit(&text, "", sections)).await;
    until_read(&flow, read);
    flow
}

#[track_caller]
fn until_read(flow: &Flow<'_>, tables: &[&str]) {
    for table in tables {
        let is_complete = |line: &Value| {
            said(line, "table") == *table && said(line, "message").contains("complete")
        };
        flow.walbrook.wait_for(LIMIT, "the snapshot", is_complete);
    }
}

/// Each with the table that its header names.
fn told_with_tables(flow: &Flow<'_>, topic: &str) -> Vec<String> {
    let tell = |record: &Record| {
        let table = record.header("walbrook.table").unwrap_or("(none)");
        format!("{table}: {}", told(&flow.stack.registry, record))
    };
    flow.records(topic).iter().map(tell).collect()
}

/// The topics of the pipeline's own prefix.
fn topics(flow: &Flow<'_>) -> Vec<String> {
    let mut topics = flow.stack.kafka.topics();
    topics.retain(|topic| topic.starts_with(&format!("{}.", flow.space.prefix)));
    topics.sort();
    topics
}

/// The numbers of the schemas of keys and values.
fn schema_ids(records: &[Record]) -> Vec<(u32, u32)> {
    let id = |bytes: &Option<Vec<u8>>| {
        u32::from_be_bytes(bytes.as_ref().unwrap()[1..5].try_into().unwrap())
    };
    let mut ids: Vec<_> = records
        .iter()
        .filter(|it| it.key.is_some() && it.value.is_some())
        .map(|it| (id(&it.key), id(&it.value)))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Waits until so many changes of the table wait; why they do.
#[track_caller]
fn until_parked(flow: &Flow<'_>, table: &str, waiting: u64) -> String {
    let parked = flow::until_parked(flow, table, waiting);
    parked["reason"].as_str().unwrap().to_owned()
}

const SHARED: &str =
    "[[topics.shared]]\ntables = [\"tenant*.invoice\"]\ntopic = \"{prefix}.invoice\"\n";

/// A PostgreSQL schema for each tenant, with enums of each tenant's own.
const TENANTS: (&str, &[&str]) = (
    "
    CREATE SCHEMA tenant1; CREATE SCHEMA tenant2;
    CREATE TYPE tenant1.state AS ENUM ('new', 'paid'); CREATE TYPE tenant2.state AS ENUM ('new', 'paid');
    CREATE TABLE tenant1.invoice (id int PRIMARY KEY, total int, state tenant1.state);
    CREATE TABLE tenant2.invoice (id int PRIMARY KEY, total int, state tenant2.state);
    CREATE TABLE tenant1.outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb);
    CREATE TABLE tenant2.outbox (LIKE tenant1.outbox INCLUDING ALL);
    INSERT INTO tenant1.invoice VALUES (7, 70, 'new'); INSERT INTO tenant2.invoice VALUES (7, 71, 'paid');
    CREATE PUBLICATION walbrook FOR ALL TABLES;",
    &["tenant1.invoice", "tenant2.invoice"],
);

#[test]
fn a_schema_for_each_tenant_has_one_topic_one_schema_and_one_outbox() {
    run(TEST_LIMIT, async {
        let outbox = "[[outbox]]\ntable = \"tenant*.outbox\"\ntopic = \"PREFIX.event.{route}\"\n";
        let none = "[[topics.shared]]\ntables = [\"none.*\"]\ntopic = \"none\"\n";
        let (stack, space) = (shared(), Space::new(&shared().postgres, "each_tenants").await);
        stack.postgres.execute(&space.database, TENANTS.0).await;
        let sections = format!("{SHARED}{none}{}", outbox.replace("PREFIX", &space.prefix));
        let text = config(stack, &space, &[]).replace(NOTHING_FROM_BEFORE, "");
        let mut flow = Flow::run(stack, space, edit(&text, "", &sections)).await;
        let unmatched = |line: &Value| said(line, "pattern") == "none.*";
        flow.walbrook.wait_for(LIMIT, "a warning of the pattern", unmatched);
        until_read(&flow, TENANTS.1);
        flow.execute(
            "INSERT INTO tenant1.invoice VALUES (1, 10, 'new'); INSERT INTO tenant2.invoice VALUES (1, 20, 'new');
             INSERT INTO tenant1.outbox VALUES (gen_random_uuid(), 'order', '1', 'Placed', '{\"n\":1}');
             INSERT INTO tenant2.outbox VALUES (gen_random_uuid(), 'order', '1', 'Placed', '{\"n\":2}')",
        )
        .await;
        // One that comes later takes no restart.
        flow.execute(
            "CREATE SCHEMA tenant3; CREATE TYPE tenant3.state AS ENUM ('new', 'paid', 'void');
             CREATE TABLE tenant3.outbox (LIKE tenant1.outbox INCLUDING ALL);
             CREATE TABLE tenant3.invoice (id int PRIMARY KEY, total int, state tenant3.state)",
        )
        .await;
        flow.execute(
            "INSERT INTO tenant3.outbox VALUES (gen_random_uuid(), 'order', '1', 'Placed', '{\"n\":3}');
             INSERT INTO tenant3.invoice VALUES (1, 30, 'void'); DELETE FROM tenant1.invoice WHERE id = 1;
             TRUNCATE tenant2.invoice",
        )
        .await;
        flow.drain().await;
        let mut told = told_with_tables(&flow, "invoice");
        // What came later is read, too, some time.
        told.retain(|line| !line.starts_with("tenant3.invoice: r"));
        let expect = [
            r#"tenant1.invoice: r {"source_table":"tenant1.invoice","id":7} null {"id":7,"total":70,"state":"new"}"#,
            r#"tenant2.invoice: r {"source_table":"tenant2.invoice","id":7} null {"id":7,"total":71,"state":"paid"}"#,
            r#"tenant1.invoice: c {"source_table":"tenant1.invoice","id":1} null {"id":1,"total":10,"state":"new"}"#,
            r#"tenant2.invoice: c {"source_table":"tenant2.invoice","id":1} null {"id":1,"total":20,"state":"new"}"#,
            r#"tenant3.invoice: c {"source_table":"tenant3.invoice","id":1} null {"id":1,"total":30,"state":"void"}"#,
            r#"tenant1.invoice: d {"source_table":"tenant1.invoice","id":1} {"id":1,"total":null,"state":null} null"#,
            r#"tenant1.invoice: - {"source_table":"tenant1.invoice","id":1}"#,
            r#"tenant2.invoice: t null null null"#,
        ];
        // Whose snapshot is read first is nobody's matter.
        let [mut told, mut expect] = [told, expect.map(str::to_owned).to_vec()];
        told[..2].sort();
        expect[..2].sort();
        assert_eq!(told, expect);
        let records = flow.records("invoice");
        let keys: std::collections::BTreeSet<_> =
            schema_ids(&records).iter().map(|(key, _)| *key).collect();
        assert_eq!(keys.len(), 1, "one schema of keys");
        let source = plain(records[4].value(&stack.registry).unwrap())["source"].clone();
        assert_eq!((&source["schema"], &source["table"]), (&json!("tenant3"), &json!("invoice")));
        let events = flow.records("event.order");
        let of: Vec<_> = events.iter().map(|it| it.header("walbrook.schema").unwrap()).collect();
        assert_eq!(of, ["tenant1", "tenant2", "tenant3"]);
        assert!(events.iter().all(|it| it.header("walbrook.table").is_none()));
        assert_eq!(topics(&flow), ["event.order", "invoice"].map(|it| flow.topic(it)));
        let mut subjects = stack.registry.subjects();
        subjects.retain(|it| it.starts_with(&flow.space.prefix));
        subjects.sort();
        assert_eq!(subjects, ["invoice-key", "invoice-value"].map(|it| flow.topic(it)));
        let warned = lines_at(&flow.walbrook, "WARN");
        assert!(!warned.iter().any(|it| said(it, "pattern").starts_with("tenant")), "{warned:?}");
        commands_know_it(&flow);
        flow.stop();
    });
}

fn commands_know_it(flow: &Flow<'_>) {
    let checked = command(&flow.config, &["check"]);
    let out = &checked.stdout;
    assert!(out.contains("topics.shared.tables: \"none.*\" matches no published table"), "{out}");
    assert!(out.contains("tables that can be written: 6"), "{out}");
    let printed = command(&flow.config, &["schema", "print", "--table", "tenant3.invoice"]).stdout;
    let subject = format!("\"subject\": \"{}\"", flow.topic("invoice-key"));
    assert!(printed.contains(&subject) && printed.contains("source_table"), "{printed}");
}

/// Each by itself is read by one schema, and tenants change one after another.
#[test]
fn tenants_migrate_one_after_another() {
    run(TEST_LIMIT, async {
        let mut flow = start("tenant_migration", TENANTS, &["invoice"], SHARED).await;
        let insert = |id| {
            format!(
                "INSERT INTO tenant1.invoice (id, total) VALUES ({id}, 1); INSERT INTO tenant2.invoice (id, total) VALUES ({id}, 2)"
            )
        };
        flow.execute(&insert(1)).await;
        flow.execute("ALTER TABLE tenant1.invoice ADD COLUMN note text").await;
        flow.execute(&insert(2)).await;
        flow.drain().await;
        // What tenant2 has not yet is no reason, also after a restart.
        flow.restart_after_kill().await;
        flow.execute(&insert(3)).await;
        flow.execute("ALTER TABLE tenant2.invoice ADD COLUMN note text; UPDATE tenant2.invoice SET note = 'x' WHERE id = 3").await;
        flow.execute(&insert(4)).await;
        flow.drain().await;
        let after = |record: &Record| {
            plain(record.value(&flow.stack.registry)?)["after"].as_object().cloned()
        };
        let records: Vec<_> = flow
            .records("invoice")
            .into_iter()
            .filter(|it| {
                it.header("walbrook.table").is_some() && after(it).is_some_and(|row| row["id"] != 7)
            })
            .collect();
        let has_note = |record: &Record| after(record).unwrap().contains_key("note");
        let of = |table: &str| -> Vec<bool> {
            records
                .iter()
                .filter(|it| it.header("walbrook.table") == Some(table))
                .map(has_note)
                .collect()
        };
        assert_eq!(of("tenant1.invoice"), [false, true, true, true]);
        assert_eq!(of("tenant2.invoice"), [false, false, false, true, true]);
        let parked = command(&flow.config, &["status"]).stdout;
        let parked: Value = serde_json::from_str(&parked).unwrap();
        assert_eq!(parked["parked"], Value::Null, "{parked}");
        let ids = schema_ids(&records);
        assert_eq!(ids.len(), 2, "two versions of values and one of keys: {ids:?}");
        flow.stop();
    });
}

/// One that is quiet since its own migration has no word of that in the stream.
#[test]
fn a_tenant_whose_key_is_wider_waits_for_the_migration_of_others_and_not_for_their_rows() {
    run(TEST_LIMIT, async {
        let mut flow = start("tenant_keys", (TENANTS.0, &[]), &[], SHARED).await;
        flow.execute("INSERT INTO tenant1.invoice VALUES (1, 10); INSERT INTO tenant2.invoice VALUES (1, 20)").await;
        flow.drain().await;
        flow.execute("ALTER TABLE tenant1.invoice ALTER id TYPE bigint; INSERT INTO tenant1.invoice VALUES (2, 11)").await;
        let reason = until_parked(&flow, "tenant1.invoice", 1);
        assert!(reason.contains(r#"column "id" is of another type: long, and there int"#));
        flow.execute("ALTER TABLE tenant2.invoice ALTER id TYPE bigint").await;
        let back = command(&flow.config, &["unpark", "tenant1.invoice"]);
        assert!(back.status.success(), "{back:?}\n{}", flow.walbrook.tail());
        // What it is by now is held against those that come later.
        flow.execute(
            "CREATE SCHEMA tenant6; CREATE TABLE tenant6.invoice (id text PRIMARY KEY, total int);
             INSERT INTO tenant6.invoice VALUES ('1', 60)",
        )
        .await;
        let reason = until_parked(&flow, "tenant6.invoice", 1);
        assert!(reason.contains("string, and there long"), "{reason}");
        flow.execute("INSERT INTO tenant2.invoice VALUES (2, 21)").await;
        flow.drain().await;
        let told = told_with_tables(&flow, "invoice");
        let expect =
            [("tenant1", 1, 10), ("tenant2", 1, 20), ("tenant1", 2, 11), ("tenant2", 2, 21)];
        let expect = expect.map(|(of, id, total)| {
            format!(
                r#"{of}.invoice: c {{"source_table":"{of}.invoice","id":{id}}} null {{"id":{id},"total":{total},"state":null}}"#
            )
        });
        assert_eq!(told, expect);
        flow.stop();
    });
}

/// One of another shape waits, by name, and the others go on.
#[test]
fn a_tenant_of_another_shape_waits_and_the_others_go_on() {
    run(TEST_LIMIT, async {
        let mut flow = start("tenant_shape", (TENANTS.0, &[]), &[], SHARED).await;
        flow.execute("INSERT INTO tenant1.invoice VALUES (1, 10)").await;
        flow.execute(
            "CREATE SCHEMA tenant4; CREATE TABLE tenant4.invoice (id int PRIMARY KEY, total text);
             INSERT INTO tenant4.invoice VALUES (1, 'many');
             CREATE SCHEMA tenant5; CREATE TABLE tenant5.invoice (no int PRIMARY KEY, total int);
             INSERT INTO tenant5.invoice VALUES (1, 50)",
        )
        .await;
        flow.execute("INSERT INTO tenant1.invoice VALUES (2, 11); INSERT INTO tenant2.invoice VALUES (2, 12)").await;
        let reason = until_parked(&flow, "tenant4.invoice", 1);
        for part in [
            "table tenant4.invoice",
            &flow.topic("invoice"),
            r#"column "total""#,
            "string, and there int",
        ] {
            assert!(reason.contains(part), "{part}: {reason}");
        }
        let reason = until_parked(&flow, "tenant5.invoice", 1);
        assert!(
            reason.contains("(source_table, no)") || reason.contains("(no), and there (id)"),
            "{reason}"
        );
        flow.drain().await;
        let told = told_with_tables(&flow, "invoice");
        for row in [
            r#"{"id":1,"total":10,"state":null}"#,
            r#"{"id":2,"total":11,"state":null}"#,
            r#"{"id":2,"total":12,"state":null}"#,
        ] {
            assert!(told.iter().any(|line| line.ends_with(row)), "{row}: {told:#?}");
        }
        assert!(
            !told.iter().any(|line| line.starts_with("tenant4") || line.starts_with("tenant5"))
        );
        let checked = command(&flow.config, &["check"]);
        assert_eq!(checked.status.code(), Some(3), "{}", checked.stdout);
        assert!(
            checked.stdout.contains("table tenant4.invoice: it shares the topic"),
            "{}",
            checked.stdout
        );

        // As it should be, it comes back to the same topic; what waits of the other shape is left out.
        flow.execute("DROP TABLE tenant4.invoice; CREATE TABLE tenant4.invoice (LIKE tenant1.invoice INCLUDING ALL); INSERT INTO tenant4.invoice VALUES (2, 40)").await;
        flow.drain().await;
        let left = command(
            &flow.config,
            &["unpark", "tenant4.invoice", "--leave-out", "1", "--reason", "shape"],
        );
        assert!(left.status.success(), "{left:?}\n{}", flow.walbrook.tail());
        let told = told_with_tables(&flow, "invoice");
        let back = r#"tenant4.invoice: c {"source_table":"tenant4.invoice","id":2} null {"id":2,"total":40,"state":null}"#;
        assert!(told.iter().any(|line| line == back), "{told:#?}");
        flow.stop();
    });
}

/// What is planted in one tenant's records is found there, and nothing else anywhere.
#[test]
fn verify_and_repair_take_of_a_shared_topic_what_is_the_tables() {
    run(TEST_LIMIT, async {
        let mut flow = start("tenant_verify", TENANTS, &["invoice"], SHARED).await;
        flow.execute(
            "INSERT INTO tenant1.invoice SELECT i, i FROM generate_series(10, 300) i;
             INSERT INTO tenant2.invoice SELECT i, 2 * i FROM generate_series(10, 500) i;
             DELETE FROM tenant1.invoice WHERE id = 11; TRUNCATE tenant2.invoice;
             INSERT INTO tenant2.invoice SELECT i, 3 * i FROM generate_series(10, 200) i",
        )
        .await;
        flow.drain().await;
        let tables = ["--table", "tenant1.invoice", "--table", "tenant2.invoice"];
        let verify = |code: i32| {
            let said = command(&flow.config, &[&["verify", "--show-keys"], &tables[..]].concat());
            assert_eq!(said.status.code(), Some(code), "{}\n{}", said.stdout, said.stderr);
            said.stdout
        };
        let alike = verify(0);
        assert!(alike.contains("tenant1.invoice: alike: 291 rows"), "{alike}");
        assert!(alike.contains("tenant2.invoice: alike: 191 rows"), "{alike}");
        harm(&flow);
        let differs = verify(8);
        // Under its key another table has written, which is what readers have by now.
        for (table, found) in [
            (
                "tenant1",
                "0 rows are different, 1 are missing in the topic, 0 are in the topic alone",
            ),
            (
                "tenant2",
                "1 rows are different, 0 are missing in the topic, 0 are in the topic alone",
            ),
        ] {
            let line = differs.lines().find(|it| it.starts_with(table)).unwrap();
            assert!(line.contains(found), "{table}: {differs}");
        }
        assert!(
            differs.contains(r#"{"id":"10"}"#) && differs.contains(r#"{"id":"20"}"#),
            "{differs}"
        );
        let repaired = command(&flow.config, &[&["repair"], &tables[..]].concat());
        assert_eq!(repaired.status.code(), Some(0), "{}\n{}", repaired.stdout, repaired.stderr);
        for part in ["1 rows were different", "1 were missing"] {
            assert!(repaired.stdout.contains(part), "{part}: {}", repaired.stdout);
        }
        let last = told_with_tables(&flow, "invoice");
        let row = r#"tenant2.invoice: r {"source_table":"tenant2.invoice","id":20} null {"id":20,"total":60,"state":null}"#;
        assert!(last.iter().any(|line| line == row), "{last:#?}");
        verify(0);
        flow.stop();
    });
}

/// It would have it until the process ends, and whoever comes after it would wait for that.
#[test]
fn a_table_that_was_dropped_or_renamed_leaves_its_topic_to_others() {
    run(TEST_LIMIT, async {
        let ddl =
            "CREATE TABLE \"a b\" (id int PRIMARY KEY); CREATE PUBLICATION walbrook FOR ALL TABLES";
        let mut flow = start("left_topics", (ddl, &[]), &[], "").await;
        flow.execute("INSERT INTO \"a b\" VALUES (1)").await;
        flow.drain().await;
        flow.execute(
            "DROP TABLE \"a b\"; CREATE TABLE a_b (id int PRIMARY KEY); INSERT INTO a_b VALUES (2)",
        )
        .await;
        flow.drain().await;
        flow.execute("ALTER TABLE a_b RENAME TO c; CREATE TABLE \"a#b\" (id int PRIMARY KEY); INSERT INTO \"a#b\" VALUES (3)").await;
        flow.drain().await;
        let ids = |flow: &Flow<'_>| -> Vec<String> {
            let told = told_with_tables(flow, "public.a_b");
            let key = |line: &String| line.split(' ').nth(2).unwrap().to_owned();
            told.iter().map(key).collect()
        };
        assert_eq!(ids(&flow), [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#]);
        // While it is there, it is its own; and then it is found out where the other one is tried again.
        flow.execute("CREATE TABLE \"a?b\" (id int PRIMARY KEY); INSERT INTO \"a?b\" VALUES (4)")
            .await;
        let reason = until_parked(&flow, "public.a?b", 1);
        assert!(reason.contains(r#""public"."a#b""#), "{reason}");
        flow.execute("DROP TABLE \"a#b\"").await;
        let back = command(&flow.config, &["unpark", "public.a?b"]);
        assert!(back.status.success(), "{back:?}\n{}", flow.walbrook.tail());
        flow.drain().await;
        assert_eq!(ids(&flow)[3..], [r#"{"id":4}"#]);
        flow.stop();
    });
}

/// Where keys do not say whose they are, the header alone does.
#[test]
fn a_topic_of_json_is_told_apart_by_the_header_or_by_keys() {
    let by_key = r#"{"source_table":"tenant1.invoice","id":7}"#;
    for (name, line, key) in
        [("tenant_headers", "key_field = false\n", "7"), ("tenant_text_keys", "", by_key)]
    {
        run(TEST_LIMIT, async {
            let formats = "[tables]\nvalue_format = \"json\"\nkey_format = \"string\"\n";
            let sections = format!("{SHARED}{line}{formats}");
            let mut flow = start(name, TENANTS, &["invoice"], &sections).await;
            flow.execute(
                "INSERT INTO tenant1.invoice VALUES (8, 80, 'new'); INSERT INTO tenant2.invoice VALUES (8, 81, 'new');
                 DELETE FROM tenant1.invoice WHERE id = 7",
            )
            .await;
            flow.drain().await;
            let records = flow.records("invoice");
            let last = records.last().unwrap();
            assert_eq!(last.key.as_deref().map(String::from_utf8_lossy).as_deref(), Some(key));
            assert_eq!(
                (last.header("walbrook.table"), &last.value),
                (Some("tenant1.invoice"), &None)
            );
            let said = command(&flow.config, &["verify"]);
            let out = &said.stdout;
            assert!(out.contains("tenant1.invoice: alike: 1 rows"), "{out}\n{}", said.stderr);
            assert!(out.contains("tenant2.invoice: alike: 2 rows"), "{out}");
            flow.stop();
        });
    }
}

/// The row 20 of tenant2 as its 21, and tenant1's 10 as its 12 in the name of another table.
fn harm(flow: &Flow<'_>) {
    let registry = &flow.stack.registry;
    let records = flow.records("invoice");
    let last = |table: &str, id: i64| {
        let is_it = |record: &&Record| {
            let key = record.key(registry).map(plain);
            key == Some(json!({"source_table": table, "id": id})) && record.value.is_some()
        };
        records.iter().rev().find(is_it).unwrap()
    };
    let producer: BaseProducer = flow.stack.kafka.client_config().create().unwrap();
    for (table, key, value, named) in [
        ("tenant2.invoice", 20, 21, "tenant2.invoice"),
        ("tenant1.invoice", 10, 12, "tenant9.invoice"),
    ] {
        let (key, value) = (last(table, key), last(table, value));
        let header = rdkafka::message::Header { key: "walbrook.table", value: Some(named) };
        let record = BaseRecord::to(&key.topic)
            .partition(key.partition)
            .key(key.key.as_ref().unwrap())
            .payload(value.value.as_ref().unwrap())
            .headers(rdkafka::message::OwnedHeaders::new().insert(header));
        producer.send(record).unwrap();
    }
    producer.flush(Duration::from_secs(20)).unwrap();
}
