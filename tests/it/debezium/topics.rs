//! What is in the topics of one of the two, taken apart by place.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Written, json, layout};
use crate::support::connect::Format;
use crate::support::flow;
use crate::support::records::{self, Record};
use crate::support::stack::Stack;

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

/// A key or a value.
struct Parts {
    schema: Option<Value>,
    values: BTreeMap<String, String>,
}

/// Takes apart what is in the topics of the tables.
pub(super) fn read(stack: &Stack, prefix: &str, format: Format) -> Written {
    let mut written = Written::new();
    for topic in stack.kafka.topics() {
        let Some(table) = topic.strip_prefix(&format!("{prefix}.public.")) else { continue };
        let mut records = records::read_committed(&stack.kafka, &[&topic]);
        records.sort_by_key(|record| {
            record.header("walbrook.position").map(|_| flow::position(record))
        });
        for side in ["key", "value"] {
            let mut versions = Vec::new();
            for (at, record) in records.iter().enumerate() {
                let place = format!("{table} record {} {side}", at + 1);
                let Some(bytes) = bytes(record, side) else {
                    written.insert(place, "null".to_owned());
                    continue;
                };
                let parts = apart(stack, prefix, format, bytes);
                for (path, value) in parts.values {
                    written.insert(format!("{place} {path}"), shown(&path, value));
                }
                versions.extend(parts.schema.filter(|schema| !versions.contains(schema)));
            }
            for (at, schema) in versions.iter().enumerate() {
                let declared = match format {
                    Format::Avro => layout::declared(schema),
                    Format::Json { .. } => json::declared(schema),
                };
                for (path, declared) in declared {
                    let place = format!("{table} schema {side} {} {path}", at + 1);
                    written.insert(place, declared.to_string());
                }
            }
        }
        for (at, record) in records.iter().enumerate() {
            let headers = record.headers.iter().map(|(name, _)| &**name);
            let headers: Vec<_> = headers.filter(|name| !is_own_header(name)).collect();
            written.insert(format!("{table} record {} headers", at + 1), headers.join(" "));
        }
    }
    written
}

fn bytes<'r>(record: &'r Record, side: &str) -> Option<&'r [u8]> {
    if side == "key" { record.key.as_deref() } else { record.value.as_deref() }
}

/// The topic prefix in a schema is `shop`, whatever it was.
fn apart(stack: &Stack, prefix: &str, format: Format, bytes: &[u8]) -> Parts {
    let renamed = |schema: &str| {
        serde_json::from_str::<Value>(&schema.replace(&format!("{prefix}."), "shop.")).unwrap()
    };
    let json = || json::parse(std::str::from_utf8(bytes).unwrap());
    match format {
        Format::Avro => {
            let id = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
            let schema = renamed(&stack.registry.schema_json(id));
            Parts { values: layout::values(&schema, &bytes[5..]), schema: Some(schema) }
        }
        Format::Json { schemas: false } => Parts { values: json::values(&json()), schema: None },
        Format::Json { schemas: true } => {
            let value = json();
            let names: Vec<_> = value.as_object().unwrap().keys().collect();
            assert_eq!(names, ["payload", "schema"]);
            let schema = renamed(&value["schema"].to_string());
            Parts { values: json::values(&value["payload"]), schema: Some(schema) }
        }
    }
}

/// Whether a header says which process wrote the record, or where it was in the stream.
fn is_own_header(name: &str) -> bool {
    name.starts_with("__debezium.context.") || name.starts_with("walbrook.")
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
