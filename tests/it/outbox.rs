//! Outboxes, with and without a table: what is written where, and what is refused.

mod letters;
mod pending;
mod tenants;

use std::time::Duration;

use serde_json::Value;

use crate::support::flow::{
    Flow, LIMIT, config, drained, ends_with, lines_at, plain, position, said,
};
use crate::support::records::{self, Record};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{Walbrook, write_file};
use crate::support::{process, run};

const TEST_LIMIT: Duration = Duration::from_secs(240);

const SCHEMA: &str = r#"{
    "type": "record", "name": "OrderPlaced", "namespace": "shop", "fields": [
        {"name": "order", "type": "long"},
        {"name": "lines", "type": {"type": "array", "items": "string"}},
        {"name": "address", "type": ["null", {"type": "record", "name": "Address", "fields": [
            {"name": "city", "type": "string"}]}], "default": null}
    ]
}"#;

/// The events of a topic, in the order of their positions.
fn events(flow: &Flow<'_>, topic: &str) -> Vec<Record> {
    let topic = format!("{}.{topic}", flow.space.prefix);
    let mut records = records::read_committed(&flow.stack.kafka, &[&topic]);
    records.sort_by_key(position);
    records
}

/// Key, value and the headers that are not walbrook's, as texts.
fn told(record: &Record) -> (String, String, String) {
    let text = |bytes: &Option<Vec<u8>>| {
        bytes
            .as_ref()
            .map_or_else(|| "(null)".to_owned(), |bytes| String::from_utf8_lossy(bytes).into())
    };
    let headers = record.headers.iter().filter(|(name, _)| !name.starts_with("walbrook."));
    let headers: Vec<_> = headers.map(|(name, value)| format!("{name}={}", text(value))).collect();
    (text(&record.key), text(&record.value), headers.join(" "))
}

fn check(flow: &Flow<'_>, topic: &str, wanted: &[(&str, &str, &str)]) {
    let found: Vec<_> = events(flow, topic).iter().map(told).collect();
    let wanted: Vec<_> = wanted
        .iter()
        .map(|(key, value, headers)| (key.to_string(), value.to_string(), headers.to_string()))
        .collect();
    assert_eq!(found, wanted, "{topic}");
}

#[test]
fn rows_of_outbox_tables_become_events() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TYPE mood AS ENUM ('fine');
            CREATE TABLE outbox (
                id uuid PRIMARY KEY DEFAULT gen_random_uuid(), aggregatetype varchar(255) NOT NULL,
                aggregateid varchar(255), type varchar(255), payload jsonb, tenant int, trace text,
                flag bool, at timestamptz, mood mood);
            CREATE SCHEMA sales;
            CREATE TABLE sales.\"Out box\" (
                number bigint PRIMARY KEY, kind text NOT NULL, who int, body text);
            CREATE TABLE raw (
                id text PRIMARY KEY, aggregatetype text NOT NULL, aggregateid uuid, type text,
                payload bytea);
            CREATE TABLE orders (id int PRIMARY KEY);
            CREATE PUBLICATION walbrook FOR TABLE outbox, sales.\"Out box\", raw, orders;";
        let schema = write_file("order.avsc", SCHEMA);
        let outboxes = format!(
            "[[outbox]]
             table = \"public.outbox\"
             topic = \"{{prefix}}.event.{{route}}\"
             headers = [{{ column = \"tenant\" }}, {{ column = \"trace\", header = \"traceparent\" }},
                 {{ column = \"flag\" }}, {{ column = \"at\" }}, {{ column = \"mood\" }}]
             schemas = [{{ route = \"order\", type = \"OrderPlaced\", file = \"{}\" }}]
             [[outbox]]
             table = \"sales.Out box\"
             id_column = \"number\"
             key_column = \"who\"
             type_column = \"\"
             payload_column = \"body\"
             route_column = \"kind\"
             topic = \"{{prefix}}.sales-{{route}}\"
             tombstone_on_empty_payload = true
             [[outbox]]
             table = \"public.raw\"
             topic = \"{{prefix}}.raw.{{route}}\"",
            schema.display()
        );
        let mut flow = Flow::start(shared(), "outbox", ddl, &[("", &outboxes)]).await;
        let id = |n: u32| format!("00000000-0000-0000-0000-00000000000{n}");
        flow.execute(&format!(
            "BEGIN;
             INSERT INTO orders VALUES (1);
             INSERT INTO outbox VALUES ('{}', 'order', 'é7', 'OrderPlaced',
                 '{{\"lines\": [\"tea\", \"\"], \"order\": 17, \"address\": {{\"city\": \"Köln\"}}}}', 5,
                 '00-ab', true, '2024-02-29 12:00+01', 'fine');
             INSERT INTO outbox VALUES ('{}', 'order', '7', 'Other', '{{\"b\": 1.50, \"a\": null}}');
             SAVEPOINT s;
             INSERT INTO outbox VALUES ('{}', 'order', '7', 'Rolled', '{{}}');
             ROLLBACK TO s;
             INSERT INTO outbox VALUES ('{}', 'order', NULL, NULL, NULL);
             DELETE FROM outbox;
             INSERT INTO sales.\"Out box\" VALUES (9223372036854775807, 'a.b', -7, ' {{x: 1}} '),
                 (2, 'a.b', NULL, ''), (3, 'a.b', 0, NULL);
             INSERT INTO raw VALUES ('x y', 'R_1', '{}', 'T', '\\x00ff'), ('', 'R_1', NULL, NULL, '');
             COMMIT;
             UPDATE raw SET payload = '1';
             TRUNCATE raw;
             DELETE FROM sales.\"Out box\";
             INSERT INTO orders VALUES (2);",
            id(1),
            id(2),
            id(3),
            id(4),
            id(5)
        ))
        .await;
        assert_eq!(flow.told("public.orders").await.len(), 2);

        let order = events(&flow, "event.order");
        let value = plain(order[0].value(&flow.stack.registry).unwrap());
        let wanted = r#"{"order":17,"lines":["tea",""],"address":{"city":"Köln"}}"#;
        assert_eq!(value.to_string(), wanted);
        let (key, _, headers) = told(&order[0]);
        assert_eq!(key, "é7");
        let first = format!(
            "id={} eventType=OrderPlaced tenant=5 traceparent=00-ab flag=true \
             at=2024-02-29 11:00:00+00 mood=fine",
            id(1)
        );
        assert_eq!(headers, first);
        let nulls = "tenant=(null) traceparent=(null) flag=(null) at=(null) mood=(null)";
        let rest: Vec<_> = order[1..].iter().map(told).collect();
        let wanted = [
            ("7", r#"{"a": null, "b": 1.50}"#, format!("id={} eventType=Other {nulls}", id(2))),
            ("(null)", "(null)", format!("id={} eventType=(null) {nulls}", id(4))),
        ];
        let wanted =
            wanted.map(|(key, value, headers)| (key.to_owned(), value.to_owned(), headers));
        assert_eq!(rest, wanted);
        check(
            &flow,
            "sales-a.b",
            &[
                ("-7", " {x: 1} ", "id=9223372036854775807"),
                ("(null)", "(null)", "id=2"),
                ("0", "(null)", "id=3"),
            ],
        );
        let raw = events(&flow, "raw.R_1");
        assert_eq!(raw.len(), 2);
        assert_eq!(raw[0].value.as_deref(), Some(&[0, 0xff][..]));
        assert_eq!(raw[1].value.as_deref(), Some(&[][..]), "empty, not a tombstone");
        assert_eq!(told(&raw[0]).2, "id=x y eventType=T");
        assert_eq!(told(&raw[1]).2, "id= eventType=(null)");
        assert_eq!(raw[0].key, Some(id(5).into_bytes()));

        let source = flow.records("public.orders")[0].clone();
        assert_eq!(order[0].timestamp_ms, source.timestamp_ms, "the time of the commit");
        assert_eq!(position(&order[0]), (position(&source).0, 2, 0));
        assert_eq!(order[0].header("walbrook.xid"), source.header("walbrook.xid"));
        for table in ["public.outbox", "public.raw", "sales.Out_box"] {
            assert!(flow.records(table).is_empty(), "{table} is published as rows");
        }
        let warning = flow.walbrook.wait_for(LIMIT, "the update", |line| {
            said(line, "level") == "WARN" && said(line, "table") == "public.raw"
        });
        assert!(said(&warning, "message").contains("update"), "{warning}");
        assert_eq!(lines_at(&flow.walbrook, "WARN").len(), 1);
        let subjects = flow.stack.registry.subjects();
        let own: Vec<_> =
            subjects.iter().filter(|subject| subject.starts_with(&flow.space.prefix)).collect();
        assert_eq!(own.len(), 3, "key and value of orders, value of the order events: {own:?}");
        flow.stop();
    });
}

/// What does not fit its schema, or has no topic, goes to the dead-letter topic as it came, and the
/// rest goes on.
#[test]
fn misfits_and_what_has_no_topic_go_to_the_dead_letter_topic() {
    run(TEST_LIMIT, async {
        let schema = write_file("order.avsc", SCHEMA);
        let outbox = format!(
            "[[outbox]]
             table = \"outbox\"
             topic = \"{{prefix}}.event.{{route}}\"
             schemas = [{{ route = \"order\", file = \"{}\" }}]
             dead_letter_topic = \"{{prefix}}.dead\"
             [outbox_messages]
             prefix = \"event\"
             topic = \"{{prefix}}.event.{{route}}\"
             dead_letter_topic = \"{{prefix}}.dead\"",
            schema.display()
        );
        let ddl = "
            CREATE TABLE outbox (
                id int PRIMARY KEY, aggregatetype text, aggregateid text, type text,
                payload text);
            CREATE PUBLICATION walbrook FOR TABLE outbox;";
        let mut flow = Flow::start(shared(), "dead", ddl, &[("", &outbox)]).await;
        let good = r#"{"order": 1, "lines": []}"#;
        flow.execute(&format!(
            "INSERT INTO outbox VALUES (1, 'order', 'k', 'T', '{good}'),
                 (2, 'order', 'k', 'T', '{{\"order\": \"cAnArY\", \"lines\": []}}'),
                 (3, 'order', NULL, NULL, 'cAnArY'),
                 (4, 'order', 'k', 'T', '{good}'),
                 (5, NULL, 'k', 'T', 'cAnArY'),
                 (6, 'App\\Models\\Order', 'k', 'T', 'cAnArY');
             SELECT pg_logical_emit_message(true, 'event', 'cAnArY');
             SELECT pg_logical_emit_message(true, 'event',
                 '{{\"id\": \"7\", \"aggregatetype\": \"Größe\", \"payload\": 1}}');"
        ))
        .await;
        flow.drain().await;
        assert_eq!(events(&flow, "event.order").len(), 2);
        let dead = events(&flow, "dead");
        check(
            &flow,
            "dead",
            &[
                ("k", r#"{"order": "cAnArY", "lines": []}"#, "id=2 eventType=T"),
                ("(null)", "cAnArY", "id=3 eventType=(null)"),
                ("k", "cAnArY", "id=5 eventType=T"),
                ("k", "cAnArY", "id=6 eventType=T"),
                ("(null)", "cAnArY", ""),
                ("(null)", "1", "id=7 eventType=(null)"),
            ],
        );
        let error = dead[0].header("walbrook.error").unwrap();
        assert!(error.contains("order") && error.contains("long"), "{error}");
        let topic = format!("{}.event.order", flow.space.prefix);
        assert_eq!(dead[0].header("walbrook.topic"), Some(topic.as_str()));
        assert!(dead[1].header("walbrook.error").unwrap().contains("JSON"));
        let meant = |at: usize| dead[at].header("walbrook.topic").map(str::to_owned);
        assert_eq!(meant(2), None, "a route of NULL makes no topic");
        assert_eq!(meant(3), Some(format!("{}.event.App\\Models\\Order", flow.space.prefix)));
        assert_eq!((meant(4), meant(5).is_some()), (None, true));
        assert!(
            dead.iter().all(|record| !record.header("walbrook.error").unwrap().contains("cAn"))
        );
        assert!(!flow.walbrook.log().concat().contains("cAnArY"));
        flow.stop();
    });
}

/// Outboxes whose events stop the pipeline: configuration, row, and what the error must name.
const REFUSALS: &[(&str, &str, &[&str])] = &[
    (
        "schemas = [{ route = \"order\", file = \"{schema}\" }]",
        "(71, 'order', 'cAnArY', 'T', '{\"order\": 1, \"lines\": [\"cAnArY\", 7654321]}')",
        &["event 71", "lines", "string", "outbox0"],
    ),
    (
        "schemas = [{ route = \"order\", file = \"{schema}\" }]",
        "(72, 'order', 'cAnArY', 'T', '{\"order\": 1, \"lines\": [], \"cAnArY +1\": \"cAnArY\"}')",
        &["event 72", "does not have"],
    ),
    (
        "topic_allow = \"{prefix}.event.(order|customer)\"",
        "(73, 'cAnArY', 'cAnArY', 'T', '\"cAnArY\"')",
        &["event 73", "topic is refused"],
    ),
    ("", "(74, 'cAnArY/../x', 'cAnArY', 'T', '\"cAnArY\"')", &["event 74", "topic is refused"]),
    (
        "topic_allow = \"{prefix}.event.order\"",
        "(75, 'orders', 'cAnArY', 'T', '\"cAnArY\"')",
        &["event 75", "topic is refused"],
    ),
    (
        "on_update = \"fail\"",
        "(76, 'order', 'cAnArY', 'T', '\"cAnArY\"') ON CONFLICT (id) DO UPDATE SET type = 'x'",
        &["event 76", "updated"],
    ),
    (
        "key_column = \"nowhere\"",
        "(77, 'order', 'cAnArY', 'T', '\"cAnArY\"')",
        &["public.outbox6", "nowhere"],
    ),
    (
        "payload_column = \"id\"",
        "(78, 'order', 'cAnArY', 'T', '\"cAnArY\"')",
        &["public.outbox7", "column id", "payload"],
    ),
    ("", "(79, '', 'cAnArY', 'T', '\"cAnArY\"')", &["event 79", "topic is refused"]),
];

#[test]
fn what_is_refused_stops_the_pipeline_and_names_the_event() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let first = Space::new(&stack.postgres, "refusal").await;
        let schema = write_file("order.avsc", SCHEMA);
        let mut walbrooks = Vec::new();
        for (at, (lines, ..)) in REFUSALS.iter().enumerate() {
            let ddl = format!(
                "CREATE TABLE outbox{at} (
                     id int PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text, type text,
                     payload jsonb);
                 CREATE PUBLICATION walbrook{at} FOR TABLE outbox{at};"
            );
            stack.postgres.execute(&first.database, &ddl).await;
            let name = format!("{}_{at}", first.slot);
            let space = Space {
                database: first.database.clone(),
                slot: name.clone(),
                prefix: name.clone(),
                pipeline: name,
                http_port: process::free_port(),
            };
            let outbox = format!(
                "[[outbox]]\ntable = \"outbox{at}\"\ntopic = \"{{prefix}}.event.{{route}}\"\n{lines}"
            );
            let outbox = outbox.replace("{schema}", schema.to_str().unwrap());
            let config = config(stack, &space, &[("log", "level = \"debug\""), ("", &outbox)])
                .replace("\"walbrook\"", &format!("\"walbrook{at}\""));
            let mut walbrook = Walbrook::spawn(&config);
            space.ready(&stack.postgres, &mut walbrook).await;
            walbrooks.push((walbrook, space));
        }
        for (at, (_, row, _)) in REFUSALS.iter().enumerate() {
            let insert = format!("INSERT INTO outbox{at} VALUES {row};");
            // The second time it is an update, where the row says so.
            let insert = insert.repeat(if row.contains("CONFLICT") { 2 } else { 1 });
            stack.postgres.execute(&first.database, &insert).await;
        }
        for ((_, row, wanted), (walbrook, space)) in REFUSALS.iter().zip(&mut walbrooks) {
            let error = ends_with(walbrook, 4);
            println!("{error}");
            for part in *wanted {
                assert!(error.contains(part), "{part:?} is not in: {error} ({row})");
            }
            let log = walbrook.log().concat();
            assert!(!log.contains("cAnArY") && !log.contains("7654321"), "{log}");
            let topics = [format!("{}.event.order", space.prefix)];
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            let written = records::read_committed(&stack.kafka, &topics);
            assert_eq!(written.len(), usize::from(row.contains("CONFLICT")) * written.len());
        }
    });
}

#[test]
fn logical_messages_become_events_only_if_configured_and_transactional() {
    run(TEST_LIMIT, async {
        let stack = shared();
        let schema = write_file("order.avsc", SCHEMA);
        let messages = format!(
            "[outbox_messages]
             prefix = \"shop.events\"
             topic = \"{{prefix}}.event.{{route}}\"
             schemas = [{{ route = \"order\", type = \"OrderPlaced\", file = \"{}\" }}]",
            schema.display()
        );
        let ddl = "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION walbrook FOR TABLE t;";
        let mut flow = Flow::start(stack, "messages", ddl, &[("", &messages)]).await;
        // A second pipeline of the same database, without messages.
        let name = format!("{}_off", flow.space.slot);
        let off = Space {
            database: flow.space.database.clone(),
            slot: name.clone(),
            prefix: name.clone(),
            pipeline: name,
            http_port: process::free_port(),
        };
        let mut without = Walbrook::spawn(&config(stack, &off, &[]));
        off.ready(&stack.postgres, &mut without).await;
        let emit = |is_transactional: bool, prefix: &str, id: &str, more: &str| {
            format!(
                "SELECT pg_logical_emit_message({is_transactional}, '{prefix}',
                     '{{\"id\": {id}, \"aggregatetype\": \"order\"{more}}}');"
            )
        };
        let placed =
            r#", "aggregateid": "k", "type": "OrderPlaced", "payload": {"order": 5, "lines": []}"#;
        flow.execute(&format!(
            "BEGIN; INSERT INTO t VALUES (1); {} {} {} {} INSERT INTO t VALUES (2); COMMIT;
             BEGIN; {} INSERT INTO t VALUES (3); ROLLBACK;
             BEGIN; SAVEPOINT s; {} ROLLBACK TO s; {} COMMIT;
             {} {}",
            emit(true, "shop.events", "\"a\"", placed),
            emit(true, "shop.events", "\"b\"", r#", "aggregateid": 7, "payload": [1.50, "ü"]"#),
            emit(true, "other", "\"x\"", ""),
            emit(false, "shop.events", "\"x\"", ""),
            emit(true, "shop.events", "\"x\"", ""),
            emit(true, "shop.events", "\"x\"", ""),
            emit(true, "shop.events", "\"c\"", r#", "type": "Gone", "payload": null"#),
            emit(false, "shop.events", "\"x\"", ""),
            emit(true, "shop.event", "\"x\"", ""),
        ))
        .await;
        assert_eq!(flow.told("public.t").await.len(), 2);
        drained(&stack.postgres, &off, LIMIT).await.unwrap();
        let found = events(&flow, "event.order");
        let value = plain(found[0].value(&stack.registry).unwrap());
        assert_eq!(value.to_string(), r#"{"order":5,"lines":[],"address":null}"#);
        assert_eq!(told(&found[0]).2, "id=a eventType=OrderPlaced");
        let rest: Vec<_> = found[1..].iter().map(told).collect();
        let wanted = [
            ("7", r#"[1.50, "ü"]"#, "id=b eventType=(null)"),
            ("(null)", "(null)", "id=c eventType=Gone"),
        ];
        let wanted = wanted.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(rest, wanted);
        let ordinals: Vec<_> = found.iter().map(|record| position(record).1).collect();
        assert_eq!(ordinals[..2], [2, 3], "messages are counted with the rows");
        let rows: Vec<_> = flow.records("public.t").iter().map(|r| position(r).1).collect();
        assert_eq!(rows, [1, 5], "one of another prefix counts too");
        assert_eq!(lines_at(&flow.walbrook, "WARN"), Vec::<Value>::new());
        let none = format!("{}.event.order", off.prefix);
        assert!(records::read_committed(&stack.kafka, &[&none]).is_empty());
        assert!(without.stop(Duration::from_secs(20)).success());

        // Content that is no event stops the pipeline; its words are not in the log.
        flow.execute("SELECT pg_logical_emit_message(true, 'shop.events', '{\"id\": \"cAnArY\"')")
            .await;
        let error = ends_with(&mut flow.walbrook, 4);
        assert!(error.contains("logical messages") && error.contains("JSON"), "{error}");
        assert!(!flow.walbrook.log().concat().contains("cAnArY"));
    });
}

/// An outbox that is partitioned by its status, and what is made of its rows where the publication
/// names the partitions.
const LETTERS: &str = "
    CREATE TABLE letters (
        id uuid NOT NULL, aggregatetype text NOT NULL, aggregateid text, type text, payload jsonb,
        sent boolean NOT NULL DEFAULT false, PRIMARY KEY (id, sent)) PARTITION BY LIST (sent);
    CREATE TABLE letters_open PARTITION OF letters FOR VALUES IN (false);
    CREATE TABLE letters_sent PARTITION OF letters FOR VALUES IN (true);";

const LETTERS_CONFIG: &str =
    "[[outbox]]\ntable = \"public.letters\"\ntopic = \"{prefix}.event.{route}\"";

/// An INSERT into an outbox: the id's last digit, and the payload.
fn insert(table: &str, digit: u32, payload: &str) -> String {
    format!(
        "INSERT INTO {table} VALUES ('00000000-0000-0000-0000-00000000000{digit}', 'order', '7', \
         'Placed', '{payload}');"
    )
}

#[test]
fn rows_of_an_outbox_whose_partitions_are_published_are_events() {
    run(TEST_LIMIT, async {
        let ddl = format!(
            "{LETTERS} CREATE TABLE letters_old () INHERITS (outbox);
             CREATE PUBLICATION walbrook FOR TABLE letters, outbox, letters_old, orders;"
        );
        let before = "CREATE TABLE orders (id int PRIMARY KEY);
            CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text,
                type text, payload jsonb);";
        let outbox = LETTERS_CONFIG.replace("letters", "outbox");
        let config = [("", LETTERS_CONFIG), ("", outbox.as_str())];
        let mut flow = Flow::start(shared(), "leaves", &(before.to_owned() + &ddl), &config).await;
        flow.execute(&insert("letters", 1, "{}")).await;
        flow.execute(&insert("outbox", 2, "{}")).await;
        flow.execute(&insert("letters_old", 3, "{}")).await;
        flow.execute("INSERT INTO orders VALUES (1)").await;
        assert_eq!(flow.told("public.orders").await.len(), 1);
        let id = |n| format!("id=00000000-0000-0000-0000-00000000000{n} eventType=Placed");
        let wanted = [("7", "{}", &*id(1)), ("7", "{}", &id(2)), ("7", "{}", &id(3))];
        check(&flow, "event.order", &wanted);
        let leaked: Vec<_> = flow.stack.kafka.topics();
        let leaked: Vec<_> = leaked.iter().filter(|it| it.contains("letters")).collect();
        assert!(leaked.is_empty(), "{leaked:?}");
        flow.stop();
    });
}

/// A relay marks rows as sent, which moves them to another partition: DELETE and INSERT in the stream.
#[test]
fn a_row_that_moves_to_another_partition_is_one_event() {
    run(TEST_LIMIT, async {
        for (name, option) in [("moves_root", "true"), ("moves_leaves", "false")] {
            let ddl = format!(
                "{LETTERS} CREATE TABLE orders (id int PRIMARY KEY);
                 CREATE PUBLICATION walbrook FOR TABLE letters, orders
                    WITH (publish_via_partition_root = {option});"
            );
            // Each change fills a batch: where a transaction is cut, a move is not.
            let batch = ("batch", "target_records = 1\nmax_records = 2");
            let config = [("", LETTERS_CONFIG), batch];
            let mut flow = Flow::start(shared(), name, &ddl, &config).await;
            let rows: String = (1..=5).map(|digit| insert("letters", digit, "{}")).collect();
            flow.execute(&format!("BEGIN; {rows} COMMIT; UPDATE letters SET sent = true")).await;
            let again = insert("letters", 6, "{}");
            flow.execute(&format!("BEGIN; {again} DELETE FROM letters; COMMIT;")).await;
            flow.execute("INSERT INTO orders VALUES (1)").await;
            assert_eq!(flow.told("public.orders").await.len(), 1);
            let ids: Vec<_> = events(&flow, "event.order")
                .iter()
                .map(|event| event.header("id").unwrap().chars().last().unwrap())
                .collect();
            assert_eq!(ids, ['1', '2', '3', '4', '5', '6'], "{name}");
            let warning =
                |line: &Value| said(line, "message").starts_with("outbox rows were updated");
            flow.walbrook.wait_for(LIMIT, "a warning", warning);
            flow.stop();
        }
    });
}

#[test]
fn the_outbox_of_another_tenant_is_refused_until_it_is_configured() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE SCHEMA tenant1;
            CREATE SCHEMA tenant2;
            CREATE TABLE tenant1.outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text,
                type text, payload jsonb);
            CREATE TABLE tenant2.outbox (LIKE tenant1.outbox INCLUDING ALL);
            CREATE PUBLICATION walbrook FOR TABLE tenant1.outbox, tenant2.outbox;";
        let one = LETTERS_CONFIG.replace("public.letters", "tenant1.outbox");
        let mut flow = Flow::start(shared(), "tenants", ddl, &[("", &one)]).await;
        flow.execute(&insert("tenant1.outbox", 1, "{}")).await;
        flow.execute(&insert("tenant2.outbox", 2, "{}")).await;
        let error = ends_with(&mut flow.walbrook, 4);
        for words in ["table tenant2.outbox has the columns of outbox tenant1.outbox", "[[outbox]]"]
        {
            assert!(error.contains(words), "{error}");
        }
        // As the error says.
        let two = one.replace("tenant1", "tenant2");
        flow.config = config(flow.stack, &flow.space, &[("", &one), ("", &two)]);
        flow.restart().await;
        flow.drain().await;
        assert_eq!(events(&flow, "event.order").len(), 2);
        flow.stop();
    });
}
