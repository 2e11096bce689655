//! The topics that all clients read: of a table in both representations and in JSON, and of an
//! outbox, raw and with a schema. Records of transactions that were aborted lie between the others.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::sync::OnceCell;

use crate::support::flow::{Flow, query};
use crate::support::records::{self, Record};
use crate::support::stack::{Space, Stack, shared};
use crate::support::unique;
use crate::support::walbrook::write_file;

/// What is in Kafka, and what PostgreSQL says of it.
pub(super) struct Scene {
    /// The topics.
    topics: Vec<Topic>,
    /// Every committed record.
    records: Vec<Record>,
    /// What SELECT returns.
    pub(super) truth: Truth,
}

/// A topic, how it is written (`avro` or `json`), and what is in it (`debezium`, `avro`, `json` or
/// `outbox`).
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) format: &'static str,
    pub(super) kind: &'static str,
}

/// Rows by their id, and payloads by the events' ids.
pub(super) struct Truth {
    /// As numbers and texts with zones, for the representation `debezium` and JSON.
    pub(super) numbers: Rows,
    /// With what the representation `avro` has instead.
    pub(super) native: Rows,
    pub(super) payloads: BTreeMap<String, serde_json::Value>,
}

pub(super) type Rows = BTreeMap<String, BTreeMap<&'static str, Option<String>>>;

impl Scene {
    /// The topics that hold this, or all.
    pub(super) fn topics(&self, kind: Option<&str>) -> impl Iterator<Item = &Topic> {
        self.topics.iter().filter(move |topic| kind.is_none_or(|kind| topic.kind == kind))
    }

    /// The committed records of a topic.
    pub(super) fn records(&self, topic: &str) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.topic == topic)
    }
}

/// Made once, for all clients.
pub(super) async fn scene() -> &'static Scene {
    static SCENE: OnceCell<Scene> = OnceCell::const_new();
    SCENE.get_or_init(make).await
}

async fn make() -> Scene {
    let stack = shared();
    let space = Space::new(&stack.postgres, "consumers").await;
    let database = space.database.clone();
    stack.postgres.execute(&database, TABLES).await;
    let (mut flows, mut topics) = (Vec::new(), Vec::new());
    for (kind, format, changes) in KINDS {
        let space = Space::on(&database, kind);
        let mut topic = |name: &str, format, kind| {
            topics.push(Topic { name: format!("{}.{name}", space.prefix), format, kind });
        };
        topic("public.payment", format, kind);
        let mut changes = changes.to_vec();
        let outbox = outbox();
        if *kind == "debezium" {
            topic("events.order", "avro", "outbox");
            topic("events.note", "json", "outbox");
            changes.push(("", &outbox));
        } else {
            changes.push(("replication", "publications = [\"rows\"]"));
        }
        flows.push(Flow::start_on(stack, space, &changes).await);
    }
    flows[0].execute(FIRST).await;
    for flow in &mut flows {
        flow.drain().await;
    }
    let names: Vec<_> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let aborted = abort(stack, &names);
    flows[0].execute(THEN).await;
    for mut flow in flows {
        flow.drain().await;
        flow.stop();
    }
    let records = records::read_committed(&stack.kafka, &names);
    // Those that a client must not see are there.
    let all = records::read_uncommitted(&stack.kafka, &names);
    assert_eq!(all.len(), records.len() + aborted);
    Scene { records, topics, truth: truth(stack, &database).await }
}

/// What each pipeline publishes, how, and by which configuration.
type Kind = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const KINDS: &[Kind] = &[
    ("debezium", "avro", &[]),
    ("avro", "avro", &[("values", "representation = \"avro\"")]),
    ("json", "json", &[("tables", "value_format = \"json\"\nkey_format = \"string\"")]),
];

fn outbox() -> String {
    let schema = write_file("order_placed.avsc", SCHEMA);
    format!(
        "[[outbox]]\ntable = \"public.outbox\"\ntopic = \"{{prefix}}.events.{{route}}\"\n\
         [[outbox.schemas]]\nroute = \"order\"\nfile = \"{}\"\n",
        schema.display()
    )
}

/// Writes a record that looks like another to every partition, and aborts. Returns how many.
pub(super) fn abort(stack: &Stack, topics: &[&str]) -> usize {
    let mut config = stack.kafka.client_config();
    config.set("transactional.id", unique("aborts"));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer.begin_transaction().unwrap();
    let mut sent = 0;
    for name in topics {
        let like = records::read_committed(&stack.kafka, &[name]).swap_remove(0);
        let metadata = producer.client().fetch_metadata(Some(name), LIMIT).unwrap();
        for partition in metadata.topics()[0].partitions() {
            let headers = OwnedHeaders::new().insert(Header { key: "id", value: Some("aborted") });
            let record = BaseRecord::to(name).partition(partition.id()).headers(headers);
            let (key, value) = (like.key.as_deref().unwrap(), like.value.as_deref().unwrap());
            producer.send(record.key(key).payload(value)).map_err(|(error, _)| error).unwrap();
            sent += 1;
        }
    }
    producer.flush(LIMIT).unwrap();
    producer.abort_transaction(LIMIT).unwrap();
    sent
}

async fn truth(stack: &Stack, database: &str) -> Truth {
    let client = stack.postgres.client(database).await;
    let rows = async |more: &[(&'static str, &str)]| {
        let differing: BTreeMap<_, _> = more.iter().copied().collect();
        let expressions = COLUMNS.iter().map(|(name, as_is)| *differing.get(name).unwrap_or(as_is));
        let list = expressions.map(|it| format!("({it})::text")).collect::<Vec<_>>().join(", ");
        let rows = query(&client, &format!("SELECT {list} FROM payment")).await;
        let row = |row: Vec<String>| {
            let some = |value: String| (value != "(null)").then_some(value);
            let id = row[0].clone();
            let names = COLUMNS.iter().map(|(name, _)| *name);
            (id, names.zip(row.into_iter().map(some)).collect())
        };
        rows.into_iter().map(row).collect::<Rows>()
    };
    let numbers = rows(&[]).await;
    let native = rows(NATIVE).await;
    let payloads = query(&client, "SELECT id, payload FROM outbox").await;
    let payload = |row: Vec<String>| (row[0].clone(), serde_json::from_str(&row[1]).unwrap());
    Truth { numbers, native, payloads: payloads.into_iter().map(payload).collect() }
}

const LIMIT: Duration = Duration::from_secs(30);

/// The columns, and what the representation `debezium` makes of each: numbers where it has numbers.
const COLUMNS: &[(&str, &str)] = &[
    ("id", "id"),
    ("flag", "flag"),
    ("whole", "whole"),
    ("big", "big"),
    ("ratio", "ratio"),
    ("amount", "amount"),
    ("free", "free"),
    ("name", "name"),
    ("data", "encode(data, 'hex')"),
    ("number", "number"),
    ("day", "day - '1970-01-01'"),
    ("clock", "(extract(epoch FROM clock) * 1000000)::bigint"),
    ("moment", "(extract(epoch FROM moment) * 1000000)::bigint"),
    ("zoned", ISO),
    ("span", SPAN),
    ("doc", "doc"),
    ("mood", "mood"),
    ("tags", "to_json(tags)"),
    ("wholes", "to_json(wholes)"),
];

const NATIVE: &[(&str, &str)] = &[
    ("zoned", "(extract(epoch FROM zoned) * 1000000)::bigint"),
    (
        "span",
        "CASE WHEN span IS NOT NULL THEN json_build_object(
            'months', extract(year FROM span) * 12 + extract(month FROM span),
            'days', extract(day FROM span),
            'micros', (extract(hour FROM span) * 60 + extract(minute FROM span)) * 60000000
                + extract(microseconds FROM span)) END",
    ),
];

/// In UTC, with a sign where the year does not have four digits.
const ISO: &str = r#"CASE
    WHEN extract(year FROM zoned) < 0
    THEN '-' || lpad((-1 - extract(year FROM zoned))::text, 4, '0')
    WHEN extract(year FROM zoned) > 9999 THEN '+' || extract(year FROM zoned)
    ELSE to_char(zoned, 'YYYY') END || to_char(zoned, '-MM-DD"T"HH24:MI:SS.US"Z"')"#;

/// Microseconds, a month 30.4375 days.
const SPAN: &str =
    "(extract(year FROM span) * 12 + extract(month FROM span)) * 2629800000000::bigint
    + extract(day FROM span) * 86400000000
    + (extract(hour FROM span) * 60 + extract(minute FROM span)) * 60000000
    + extract(microseconds FROM span)";

const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('sad', 'happy ever after');
    CREATE TABLE payment (
        id bigint PRIMARY KEY, flag boolean, whole integer, big bigint, ratio double precision,
        amount numeric(12, 2), free numeric, name text, data bytea, number uuid, day date, clock time,
        moment timestamp, zoned timestamptz, span interval, doc jsonb, mood mood, tags text[],
        wholes integer[]
    );
    CREATE TABLE outbox (
        id uuid PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text NOT NULL,
        type text NOT NULL, payload jsonb NOT NULL
    );
    CREATE PUBLICATION walbrook FOR TABLE payment, outbox;
    CREATE PUBLICATION rows FOR TABLE payment;
";

const FIRST: &str = r#"
    INSERT INTO payment VALUES
        (1, true, 42, 1234567890123, 1.5, 12.30, 3.14159265358979323846264338327950288,
         'crème brûlée 🚲', '\x00ff10', '6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11', '2024-02-29',
         '12:34:56.789012', '2024-02-29 12:34:56.123456', '2024-02-29 12:34:56.5+05:30',
         '3 days 04:05:06.000007', '{"b": {"c": "d"}, "e": [1, null]}', 'happy ever after',
         '{"a","","b,\"c"}', '{1,-3}'),
        (2, false, -1, -9007199254740993, -0.1, -0.01, -1, '', '', '00000000-0000-0000-0000-000000000000',
         '1969-12-31', '00:00', '1811-07-23 01:02:03.000004', '1811-07-23 01:02:03+00',
         '-1 days -00:00:01', '[]', 'sad', '{}', '{}'),
        (3, false, -2147483648, -9223372036854775808, 5e-324, -9999999999.99,
         -123456789012345678901234567890.000000001, 'lowest', '\x80',
         'ffffffff-ffff-ffff-ffff-ffffffffffff', '0001-01-01', '00:00:00.000001',
         '0001-01-01 00:00', '0001-01-01 00:00+00', '-10 mons', 'null', 'sad', '{""}', '{-2147483648}'),
        (4, true, 2147483647, 9223372036854775807, 1.7976931348623157e308, 9999999999.99, 1e20,
         'highest', '\x7f', '6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11', '10000-01-01', '23:59:59.999999',
         '10000-01-01 00:00:00.000001', '10000-01-01 00:00:00.000001+00', '100 years', '1', 'sad',
         '{"a"}', '{2147483647}'),
        (5, NULL, 0, 9007199254740993, 0, 0, 0, 'before Christ', '\x00', NULL, '0044-03-15 BC', NULL,
         '0044-03-15 BC 12:00', '0044-03-15 BC 12:00+00', '0', '{}', 'sad', NULL, NULL);
    INSERT INTO payment (id) VALUES (6);
    INSERT INTO payment (id, moment, zoned)
        SELECT 100 + n, '2024-03-10 00:00'::timestamp + n * interval '30 minutes',
            '2024-11-03 00:00+00'::timestamptz + n * interval '30 minutes'
        FROM generate_series(1, 20) AS n;
    INSERT INTO payment (id) SELECT 200 + n FROM generate_series(1, 20) AS n;
    INSERT INTO outbox VALUES
        ('11111111-1111-1111-1111-111111111111', 'order', '17', 'OrderPlaced',
         '{"order": 17, "customer": "Ada", "total": 12.5, "lines": ["tea", "ink"]}'),
        ('22222222-2222-2222-2222-222222222222', 'note', '17', 'Noted', '{"text": "a \"gift\" 🚲"}');
"#;

const THEN: &str = r#"
    UPDATE payment SET amount = 1.10, name = 'changed' WHERE id IN (1, 105);
    UPDATE payment SET flag = true WHERE id BETWEEN 201 AND 220;
    DELETE FROM payment WHERE id IN (202, 204, 206);
    INSERT INTO outbox VALUES
        ('33333333-3333-3333-3333-333333333333', 'order', '18', 'OrderPlaced',
         '{"order": 9007199254740993, "customer": "Ken", "total": 2.5, "lines": [], "note": "a gift"}'),
        ('44444444-4444-4444-4444-444444444444', 'note', '18', 'Noted', '{"text": ""}');
"#;

pub(super) const SCHEMA: &str = r#"{
    "type": "record", "name": "OrderPlaced", "namespace": "shop", "fields": [
        {"name": "order", "type": "long"},
        {"name": "customer", "type": "string"},
        {"name": "total", "type": "double"},
        {"name": "lines", "type": {"type": "array", "items": "string"}},
        {"name": "note", "type": ["null", "string"], "default": null}
    ]
}"#;
