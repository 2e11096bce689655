//! walbrook beside the real Debezium: the same tables, the same changes, each on its own slot.
//!
//! Schemas are compared field by field and values byte by byte. Every difference stands in
//! [`differences`] with its reason, or a test fails. What Debezium wrote is recorded, so that the
//! default run needs no Kafka Connect; `tests/run debezium` runs both live, and sees that the
//! recording is still what Debezium writes.

mod differences;
mod layout;

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::connect::Connect;
use crate::support::flow::{self, Flow};
use crate::support::records;
use crate::support::stack::{Space, Stack, shared};
use crate::support::{run, unique};

const TABLES: &str = include_str!("../../golden/debezium/tables.sql");
const CHANGES: &str = include_str!("../../golden/debezium/changes.sql");
const RECORDING: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/debezium/recording.json");

/// Fields of values that are those of one run: not compared.
const MASKED: [&str; 12] = [
    "source.version",
    "source.name",
    "source.db",
    "source.ts_ms",
    "source.ts_us",
    "source.ts_ns",
    "source.sequence",
    "source.txId",
    "source.lsn",
    "ts_ms",
    "ts_us",
    "ts_ns",
];

/// What one of the two wrote, by place: `orders schema value 1 after.total` says how a field is
/// declared (the number tells versions of a schema apart), `orders record 3 value after.total` has
/// its bytes in the table's third record as hexadecimal digits.
type Written = BTreeMap<String, String>;

#[test]
fn ours_beside_the_recording() {
    run(Duration::from_secs(240), async {
        let recorded = fs::read_to_string(RECORDING).unwrap();
        let theirs: Written = serde_json::from_str(&recorded).unwrap();
        let flow = Flow::start(shared(), "beside", TABLES, &[]).await;
        let ours = changed(flow).await;
        differences::judge(&theirs, &ours);
    });
}

/// Both live. A recording that is no longer what Debezium writes is written anew, for the person
/// who reads the difference.
#[test]
fn live_both_on_their_own_slots() {
    run(Duration::from_secs(420), async {
        let stack = shared();
        let flow = Flow::start(stack, "ours", TABLES, &[]).await;
        let id = unique("theirs");
        let space = Space {
            database: flow.space.database.clone(),
            slot: id.clone(),
            prefix: id.clone(),
            pipeline: id,
            http_port: 0,
        };
        let connect = Connect::start(stack, &space, "").await;
        let ours = changed(flow).await;
        let client = stack.postgres.client(&space.database).await;
        // Debezium confirms a change only when an event follows: that of the marker is the last.
        let passed = format!(
            "SELECT (confirmed_flush_lsn >= lsn)::text FROM pg_replication_slots, changes_end
             WHERE slot_name = '{}'",
            space.slot
        );
        flow::until_value(&client, &passed, "true").await;
        drop(connect);
        let theirs = read(stack, &space.prefix);
        let now = format!("{}\n", serde_json::to_string_pretty(&theirs).unwrap());
        if fs::read_to_string(RECORDING).unwrap_or_default() != now {
            fs::write(RECORDING, now).unwrap();
            panic!("Debezium writes something else than was recorded: see git diff tests/golden");
        }
        differences::judge(&theirs, &ours);
    });
}

/// Makes the changes and waits until walbrook has confirmed them.
async fn changed(mut flow: Flow<'_>) -> Written {
    for statement in CHANGES.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        flow.execute(statement).await;
    }
    flow.execute("CREATE TABLE changes_end AS SELECT pg_current_wal_lsn() AS lsn").await;
    flow.execute("INSERT INTO emptied VALUES (2)").await;
    flow.drain().await;
    let written = read(flow.stack, &flow.space.prefix);
    flow.stop();
    written
}

/// Takes apart what is in the topics of the tables.
fn read(stack: &Stack, prefix: &str) -> Written {
    let mut written = Written::new();
    let mut schemas: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for topic in stack.kafka.topics() {
        let Some(table) = topic.strip_prefix(&format!("{prefix}.public.")) else { continue };
        let mut records = records::read_committed(&stack.kafka, &[&topic]);
        records.sort_by_key(|record| {
            record.header("walbrook.position").map(|_| flow::position(record))
        });
        for (at, record) in records.iter().enumerate() {
            let place = format!("{table} record {}", at + 1);
            let headers = record.headers.iter().map(|(name, _)| &**name);
            let headers: Vec<_> = headers.filter(|name| !is_own_header(name)).collect();
            written.insert(format!("{place} headers"), headers.join(" "));
            for (side, bytes) in [("key", &record.key), ("value", &record.value)] {
                let Some(bytes) = bytes else {
                    written.insert(format!("{place} {side}"), "null".to_owned());
                    continue;
                };
                let schema = schema(stack, prefix, bytes);
                for (path, value) in layout::values(&schema, &bytes[5..]) {
                    written.insert(format!("{place} {side} {path}"), shown(&path, value));
                }
                let known = schemas.entry(format!("{table} schema {side}")).or_default();
                if !known.contains(&schema) {
                    known.push(schema);
                }
            }
        }
    }
    for (place, versions) in &schemas {
        for (at, schema) in versions.iter().enumerate() {
            for (path, declared) in layout::declared(schema) {
                written.insert(format!("{place} {} {path}", at + 1), declared.to_string());
            }
        }
    }
    written
}

/// Whether a header says which process wrote the record, or where it was in the stream.
fn is_own_header(name: &str) -> bool {
    name.starts_with("__debezium.context.") || name.starts_with("walbrook.")
}

/// The schema that the bytes name; the topic prefix in it is `shop`, whatever it was.
fn schema(stack: &Stack, prefix: &str, bytes: &[u8]) -> Value {
    let id = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
    let text = stack.registry.schema_json(id).replace(&format!("{prefix}."), "shop.");
    serde_json::from_str(&text).unwrap()
}

fn shown(path: &str, value: String) -> String {
    const DIGITS_MAX: usize = 200;
    if MASKED.contains(&path) {
        "(of one run)".to_owned()
    } else if DIGITS_MAX < value.len() {
        format!("{} digits, SHA-256 {}", value.len(), layout::hex(&Sha256::digest(&value)))
    } else {
        value
    }
}
