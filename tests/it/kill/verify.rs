//! What Kafka holds at the end, beside the truth.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use apache_avro::types::Value;
use tokio_postgres::Client;

use super::{Case, Scale, told};
use crate::support::flow::{Place, position};
use crate::support::records::{self, Record};
use crate::support::stack::{Stack, shared};

/// One change, as the truth and as Kafka tells it: operation, version, transaction.
type Fact = (String, i32, String);

/// Where a record was that came back.
const PARKED: &str = "walbrook.parked";

/// Every committed change once, in order per key, transactions whole, nothing else, and the last
/// events equal to the tables' rows.
pub(super) async fn verify(case: &Case) {
    let Case { stack, space, scale, .. } = case;
    let client = stack.postgres.client(&space.database).await;
    let truth = truth(&client).await;
    let topic = |name: &str| format!("{}.{name}", space.prefix);
    let names = [
        ("account", topic("public.account")),
        ("line", topic("public.line")),
        ("outbox", topic("event.account")),
    ];
    let mut found: BTreeMap<(String, String), Vec<Fact>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let (mut changes, mut cut, mut fills) = (0, BTreeSet::new(), HashMap::new());
    let mut sizes: HashMap<String, u64> = HashMap::new();
    for (relation, topic) in &names {
        let mut last = HashMap::new();
        let records = records::read_committed(&stack.kafka, &[topic]);
        check_tombstones(&records);
        check_borders(&records);
        note_fills(&records, &mut fills);
        for record in &records {
            let place = position(record);
            assert!(seen.insert(place), "{place:?} comes twice, the second time in {topic}");
            let before = last.insert(record.partition, place);
            assert!(before < Some(place), "positions go back in {topic}: {before:?}, {place:?}");
            let xid = record.header("walbrook.xid").unwrap();
            *sizes.entry(xid.to_owned()).or_default() += 1;
            if record.header("walbrook.cut").is_some() {
                cut.insert(xid.to_owned());
            }
            let Some((key, fact)) = fact(stack, relation, record) else { continue };
            found.entry(((*relation).to_owned(), key)).or_default().push(fact);
            changes += 1;
        }
    }
    println!(
        "kill test: {changes} changes of {} keys, {} transactions cut",
        found.len(),
        cut.len()
    );
    for (key, facts) in &truth {
        assert_eq!(found.get(key), Some(facts), "{key:?}: in Kafka (left), committed (right)");
    }
    let invented: Vec<_> = found.keys().filter(|key| !truth.contains_key(key)).collect();
    assert!(invented.is_empty(), "never committed: {invented:?}");
    // What was parked comes back by itself, whatever its transaction was.
    if scale.parked_min == 0 {
        check_cuts(scale, &sizes, &cut, &fills);
    }
    check_last_state(&client, &found).await;
    if 0 < scale.parked_min {
        told::check(case);
    }
}

async fn truth(client: &Client) -> BTreeMap<(String, String), Vec<Fact>> {
    let statement = "SELECT relation, key, op, version, xid FROM truth ORDER BY seq";
    let mut truth: BTreeMap<_, Vec<Fact>> = BTreeMap::new();
    for row in client.query(statement, &[]).await.unwrap() {
        let fact = (row.get("op"), row.get("version"), row.get("xid"));
        truth.entry((row.get("relation"), row.get("key"))).or_default().push(fact);
    }
    truth
}

/// The marker of a Kafka transaction's end takes an offset. Where one lies between two records of a
/// PostgreSQL transaction, that was cut, whatever walbrook thinks: so the records must say it.
fn check_borders(records: &[Record]) {
    for pair in records.windows(2) {
        let [one, other] = pair else { continue };
        let is_border = one.partition == other.partition && one.offset + 1 < other.offset;
        let is_streamed = pair.iter().all(|record| record.header(PARKED).is_none());
        if is_border && is_streamed && position(one).0 == position(other).0 {
            for record in pair {
                let place = position(record);
                assert!(record.header("walbrook.cut").is_some(), "{place:?}: cut, and silent");
            }
        }
    }
}

/// How many records lie before each transaction's in the same Kafka transaction, at least: those of
/// its partitions that no marker parts from it.
fn note_fills(records: &[Record], fills: &mut HashMap<String, u64>) {
    let mut runs = HashMap::new();
    for record in records {
        let xid = record.header("walbrook.xid").unwrap();
        let before = match runs.get(&record.partition) {
            Some((offset, length, _)) if offset + 1 == record.offset => *length,
            _ => 0,
        };
        if runs.get(&record.partition).is_none_or(|(_, _, last)| *last != xid) {
            *fills.entry(xid.to_owned()).or_default() += before;
        }
        runs.insert(record.partition, (record.offset, before + 1, xid));
    }
}

/// A delete is followed by its tombstone, and nothing else is.
fn check_tombstones(records: &[Record]) {
    let mut open: HashMap<&[u8], Place> = HashMap::new();
    for record in records {
        let key = record.key.as_deref().unwrap();
        let (lsn, ordinal, part) = position(record);
        match open.remove(key) {
            Some(before) => {
                assert!(record.value.is_none(), "a delete at {before:?} without its tombstone");
                assert_eq!((lsn, ordinal, part), (before.0, before.1, before.2 + 1));
            }
            None if record.value.is_none() => {
                panic!("a tombstone at {:?} for no delete", (lsn, ordinal))
            }
            None => {}
        }
        // The operation is the envelope's: read it where it is decoded anyway.
        // What is told of columns comes before it.
        let is_first = match record.header(PARKED) {
            Some(was) => was.ends_with(".0") || was.ends_with(".1"),
            None => part <= 1,
        };
        if is_first && is_delete(record) {
            open.insert(key, (lsn, ordinal, part));
        }
    }
    assert!(open.is_empty(), "{} deletes without a tombstone", open.len());
}

fn is_delete(record: &Record) -> bool {
    let Some(value) = &record.value else { return false };
    !value.starts_with(b"{") && {
        let decoded = record.value(&shared().registry).unwrap();
        string(field(&decoded, "op")) == "d"
    }
}

/// The key and the fact of one record; `None` for a tombstone.
fn fact(stack: &Stack, relation: &str, record: &Record) -> Option<(String, Fact)> {
    let xid = record.header("walbrook.xid").unwrap().to_owned();
    let value = record.value.as_ref()?;
    if relation == "outbox" {
        let key = String::from_utf8(record.key.clone().unwrap()).unwrap();
        let payload: serde_json::Value = serde_json::from_slice(value).unwrap();
        let version = i32::try_from(payload["version"].as_i64().unwrap()).unwrap();
        return Some((key, ("c".to_owned(), version, xid)));
    }
    let value = record.value(&stack.registry).unwrap();
    let op = string(field(&value, "op"));
    let row = if op == "d" { field(&value, "before") } else { field(&value, "after") };
    let key = record.key(&stack.registry).unwrap();
    let key = match relation {
        "line" => format!("{}/{}", number(field(&key, "id")), number(field(&key, "number"))),
        _ => number(field(&key, "id")).to_string(),
    };
    let version = match field(row, "version") {
        // `before` of a table whose identity is its key.
        Value::Null => 0,
        version => i32::try_from(number(version)).unwrap(),
    };
    Some((key, (op, version, xid)))
}

/// Only what is larger than `max − target` may be cut, and what is larger than `max` was; one that
/// is just not larger began in a batch that was nearly full, as batches go (its target).
fn check_cuts(
    &Scale { target, max, .. }: &Scale,
    sizes: &HashMap<String, u64>,
    cut: &BTreeSet<String>,
    fills: &HashMap<String, u64>,
) {
    let whole = sizes.iter().filter(|(_, size)| **size == max - target);
    let fill = whole.filter_map(|(xid, _)| fills.get(xid)).max();
    println!("kill test: a transaction of {} records began after {fill:?} others", max - target);
    assert!(Some(&(target * 2 / 3)) <= fill, "no large transaction began in a nearly full batch");
    for (xid, size) in sizes {
        assert!(max - target < *size || !cut.contains(xid), "transaction {xid} ({size}) was cut");
        // The row that reaches the maximum may go beyond it, by the records of a key change.
        assert!(*size <= max + 2 || cut.contains(xid), "transaction {xid} ({size}) was not cut");
    }
    println!("kill test: {} of {} transactions are cut", cut.len(), sizes.len());
    assert!(!cut.is_empty(), "no transaction was large enough to be cut");
}

/// The last fact of each key equals the table.
async fn check_last_state(client: &Client, found: &BTreeMap<(String, String), Vec<Fact>>) {
    let statement = "SELECT 'account', id::text, version FROM account UNION ALL \
                     SELECT 'line', id || '/' || number, version FROM line";
    let mut table = BTreeMap::new();
    for row in client.query(statement, &[]).await.unwrap() {
        table.insert((row.get::<_, String>(0), row.get::<_, String>(1)), row.get::<_, i32>(2));
    }
    // Rows from before the slot have no event yet.
    table.retain(|key, _| found.contains_key(key));
    let mut folded = BTreeMap::new();
    for (key, facts) in found.iter().filter(|((relation, _), _)| relation != "outbox") {
        let (op, version, _) = facts.last().unwrap();
        if op != "d" {
            folded.insert(key.clone(), *version);
        }
    }
    assert!(folded == table, "the last events are not the tables' rows");
}

pub(super) fn field<'v>(value: &'v Value, name: &str) -> &'v Value {
    match value {
        Value::Union(_, inner) => field(inner, name),
        Value::Record(fields) => {
            let found = fields.iter().find(|(key, _)| key == name);
            let (_, value) = found.unwrap_or_else(|| panic!("no field {name}"));
            if let Value::Union(_, inner) = value { inner } else { value }
        }
        other => panic!("no record: {other:?}"),
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(number) => i64::from(*number),
        Value::Long(number) => *number,
        other => panic!("no number: {other:?}"),
    }
}

fn string(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => panic!("no string: {other:?}"),
    }
}
