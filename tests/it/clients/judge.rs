//! What a client printed, against what was committed and what SELECT returns.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::scene::{Rows, Scene};

/// What a client made of the records.
pub(super) struct Verdict {
    /// The libraries and their versions.
    pub(super) client: String,
    /// By the topic's kind and the column, the types that values were decoded to.
    pub(super) types: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// What is not as PostgreSQL has it.
    pub(super) faults: Vec<Fault>,
    /// The events that were seen, by their ids: topics have some of them each.
    events: BTreeSet<String>,
}

/// One difference.
pub(super) struct Fault {
    /// The column, or what else.
    pub(super) column: &'static str,
    words: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.column, self.words)
    }
}

/// A line of a client's output.
#[derive(Deserialize)]
struct Line {
    topic: String,
    partition: i32,
    offset: i64,
    key: String,
    op: Option<String>,
    row: Option<BTreeMap<String, Cell>>,
    event: Option<Event>,
}

/// A type, and a value's text.
type Cell = (String, Option<String>);

#[derive(Deserialize)]
struct Event {
    id: String,
    payload: Value,
}

/// Holds the lines that a client has printed against the topics that it was given.
pub(super) fn judge(scene: &Scene, kind: Option<&str>, out: &str) -> Verdict {
    let mut lines = out.lines();
    let first: BTreeMap<String, String> =
        serde_json::from_str(lines.next().expect("a first line")).unwrap();
    let client = first["client"].clone();
    let lines: Vec<Line> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let mut verdict =
        Verdict { client, types: BTreeMap::new(), faults: Vec::new(), events: BTreeSet::new() };
    for topic in scene.topics(kind) {
        let mut of_topic: Vec<_> = lines.iter().filter(|line| line.topic == topic.name).collect();
        of_topic.sort_by_key(|line| (line.partition, line.offset));
        verdict.same_places(scene, &topic.name, &of_topic);
        match topic.kind {
            "outbox" => verdict.same_events(scene, &of_topic),
            "avro" => verdict.same_rows(topic.kind, &scene.truth.native, &of_topic),
            kind => verdict.same_rows(kind, &scene.truth.numbers, &of_topic),
        }
    }
    if scene.topics(kind).any(|topic| topic.kind == "outbox")
        && !verdict.events.iter().eq(scene.truth.payloads.keys())
    {
        let words = format!("only these were seen: {:?}", verdict.events);
        verdict.fault("events", words);
    }
    verdict
}

impl Verdict {
    fn fault(&mut self, column: &'static str, words: String) {
        self.faults.push(Fault { column, words });
    }

    /// Exactly the committed records were seen, none twice.
    fn same_places(&mut self, scene: &Scene, topic: &str, lines: &[&Line]) {
        let mut committed: Vec<_> =
            scene.records(topic).map(|it| (it.partition, it.offset)).collect();
        committed.sort_unstable();
        let seen: Vec<_> = lines.iter().map(|line| (line.partition, line.offset)).collect();
        if seen != committed {
            let words = format!("{topic}: committed are {committed:?}, seen were {seen:?}");
            self.fault(RECORDS, words);
        }
    }

    fn same_events(&mut self, scene: &Scene, lines: &[&Line]) {
        for line in lines {
            let Some(event) = &line.event else {
                self.fault("events", format!("a record without an event: {}", line.key));
                continue;
            };
            self.events.insert(event.id.clone());
            let given = without_nulls(&event.payload);
            match scene.truth.payloads.get(&event.id) {
                Some(payload) if *payload == given => {}
                Some(payload) => self.fault("events", format!("{given}, payload {payload}")),
                None => self.fault("events", format!("no event has the id {}", event.id)),
            }
        }
    }

    /// What the last event of each key left behind is the table.
    fn same_rows(&mut self, kind: &str, rows: &Rows, lines: &[&Line]) {
        let mut state = BTreeMap::new();
        for line in lines {
            match (line.op.as_deref(), &line.row) {
                (Some("tombstone"), None) if !state.contains_key(&line.key) => {}
                (Some("d"), None) => drop(state.remove(&line.key)),
                (Some("c" | "u"), Some(row)) => drop(state.insert(line.key.clone(), row)),
                (op, _) => self.fault("op", format!("{op:?} of {}", line.key)),
            }
        }
        if !state.keys().eq(rows.keys()) {
            self.fault("id", format!("rows {:?}, table {:?}", state.keys(), rows.keys()));
        }
        for (key, row) in &state {
            for (column, selected) in rows.get(key).into_iter().flatten() {
                let Some((kind_of, value)) = row.get(*column) else {
                    self.fault(column, format!("of {key} is not there"));
                    continue;
                };
                if value.is_some() {
                    let types = self.types.entry(kind.to_owned()).or_default();
                    types.entry((*column).to_owned()).or_default().insert(kind_of.clone());
                }
                if !is_same(column, value.as_deref(), selected.as_deref()) {
                    let words = format!("{kind}, row {key}: event {value:?}, SELECT {selected:?}");
                    self.fault(column, words);
                }
            }
        }
    }
}

/// Fault of what was seen, in place of a column.
pub(super) const RECORDS: &str = "records";

fn is_same(column: &str, value: Option<&str>, selected: Option<&str>) -> bool {
    let (Some(value), Some(selected)) = (value, selected) else { return value == selected };
    let float = |text: &str| text.parse::<f64>().ok();
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    match column {
        "ratio" => float(value) == float(selected),
        "amount" | "free" => shortest(value) == shortest(selected),
        "doc" | "tags" | "wholes" => json(value).is_some() && json(value) == json(selected),
        "span" if selected.starts_with('{') => json(value) == json(selected),
        _ => value == selected,
    }
}

/// A number without zeros at the end of its fraction.
fn shortest(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

fn without_nulls(payload: &Value) -> Value {
    match payload {
        Value::Object(fields) => {
            let some = fields.iter().filter(|(_, value)| !value.is_null());
            some.map(|(name, value)| (name.clone(), value.clone())).collect()
        }
        other => other.clone(),
    }
}
