//! The state that a topic's records make, beside the table's.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use tokio_postgres::Client;

use crate::support::flow::{position, query};
use crate::support::records;
use crate::support::stack::{Stack, shared};

/// Holds the last state of every key against the table, and that every row was read once or
/// superseded; returns how many were read.
pub(super) async fn check(client: &Client, topic: &str, table: &str) -> usize {
    check_on(shared(), client, topic, table).await
}

/// The same on other servers.
pub(super) async fn check_on(stack: &Stack, client: &Client, topic: &str, table: &str) -> usize {
    let mut records = records::read_committed(&stack.kafka, &[topic]);
    records.sort_by_key(position);
    let positions: HashSet<_> = records.iter().map(position).collect();
    assert_eq!(positions.len(), records.len(), "{topic}: positions are unique (I3)");
    let mut state: BTreeMap<String, Value> = BTreeMap::new();
    // Whether the last record of a key was read.
    let mut written: HashMap<String, bool> = HashMap::new();
    let mut moved = None;
    let mut reads_in_all = 0;
    for record in &records {
        let Some(value) = &record.value else { continue };
        let value: Value = serde_json::from_slice(value).unwrap();
        let op = value["op"].as_str().unwrap();
        if op == "t" {
            state.clear();
            written.clear();
            continue;
        }
        let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
        let is_read = written.insert(key.clone(), op == "r");
        let is_mended = record.header("walbrook.gap").is_some();
        let is_again = op == "r" && is_read == Some(true) && !is_mended;
        assert!(!is_again, "{topic}: key {key} is read again");
        let is_streamed = op != "r" && !is_mended;
        let snapshot = if is_streamed { "false" } else { "incremental" };
        assert_eq!(value["source"]["snapshot"], snapshot);
        assert_eq!(record.header("walbrook.xid").is_some(), is_streamed);
        let (lsn, ordinal, _) = position(record);
        if op == "d" {
            moved = state.remove(&key).map(|row| ((lsn, ordinal), row));
            continue;
        }
        // A key that changes is a delete and a create of one position.
        let before = match &moved {
            Some((place, row)) if *place == (lsn, ordinal) => Some(row),
            _ => state.get(&key),
        };
        reads_in_all += usize::from(op == "r");
        let mut after = value["after"].clone();
        for column in unchanged(record) {
            // Null is what nobody has.
            after[&column] = before.map_or(Value::Null, |row| row[&column].clone());
        }
        state.insert(key, after);
    }
    is_table(client, topic, table, state.into_values()).await;
    reads_in_all
}

/// Holds rows against the table's: each is there as often.
pub(super) async fn is_table(
    client: &Client,
    topic: &str,
    table: &str,
    found: impl Iterator<Item = Value>,
) {
    let rows = query(client, &format!("SELECT to_json(t)::text FROM {table} AS t")).await;
    let mut left: BTreeMap<String, i64> = BTreeMap::new();
    for row in rows.concat() {
        *left.entry(canonical(&row)).or_default() += 1;
    }
    for row in found {
        *left.entry(canonical(&row.to_string())).or_default() -= 1;
    }
    let few = |is_wanted: fn(i64) -> bool| {
        let rows = left.iter().filter(|(_, count)| is_wanted(**count));
        let shown = rows.clone().take(3).map(|(row, _)| row.chars().take(120).collect::<String>());
        (rows.count(), shown.collect::<Vec<_>>())
    };
    let (missing, extra) = (few(|count| 0 < count), few(|count| count < 0));
    assert!(missing.0 + extra.0 == 0, "{topic}: missing {missing:?}, extra {extra:?}");
}

/// The columns of which the stream did not have the value.
pub(super) fn unchanged(record: &records::Record) -> Vec<String> {
    let header = record.header("walbrook.unchanged");
    header.map(|list| serde_json::from_str(list).unwrap()).unwrap_or_default()
}

/// A row in a form that does not depend on who writes it: all values as text.
fn canonical(row: &str) -> String {
    let row: BTreeMap<String, Value> = serde_json::from_str(row).unwrap();
    let text = |value: Value| match value {
        Value::String(text) => text,
        value => value.to_string(),
    };
    format!("{:?}", row.into_iter().map(|(name, value)| (name, text(value))).collect::<Vec<_>>())
}
