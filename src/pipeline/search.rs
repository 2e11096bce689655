//! One change of the stream, found by its position and told as JSON: what is kept of a change that an
//! operator leaves out. Pure: messages come in, values go out to a file and nowhere else (I7).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::checkpoint::Inside;
use crate::position::{Lsn, Position, Xid};
use crate::wal::{Column, Message, OldTuple, OldTupleKind, Relation, RelationId, Tuple};

/// A change as it stands in the stream.
pub(super) struct Found {
    /// What tells it from any other at its position.
    pub(super) change: Inside,
    /// `insert`, `update`, …
    pub(super) operation: &'static str,
    /// What it was done to, for people.
    pub(super) table: String,
    /// All that the stream says of it.
    pub(super) row: Map<String, Value>,
}

/// How far a search has come.
pub(super) enum Step {
    /// On.
    Continue,
    /// The change is there.
    Found(Found),
    /// It is not, and will not be: what is there instead.
    Missing(String),
}

/// The search for one change. It counts as the assembler does: what a [`Position`] says.
pub(super) struct Search {
    wanted: Position,
    relations: BTreeMap<RelationId, Relation>,
    xact: Option<(Lsn, Xid)>,
    ordinal: u64,
}

impl Search {
    pub(super) fn new(wanted: Position) -> Self {
        Self { wanted, relations: BTreeMap::new(), xact: None, ordinal: 0 }
    }

    /// Takes one message that stood at `lsn`.
    pub(super) fn on_message(&mut self, lsn: Lsn, message: &Message<'_>) -> Step {
        match *message {
            Message::Begin { final_lsn, xid, .. } => {
                self.xact = Some((final_lsn, xid));
                self.ordinal = 0;
                if self.wanted.commit_lsn < final_lsn {
                    return Step::Missing(format!("the next transaction is at {final_lsn}"));
                }
            }
            Message::Commit { commit_lsn, .. } => {
                self.xact = None;
                if self.wanted.commit_lsn == commit_lsn {
                    return Step::Missing(format!("its transaction has {} changes", self.ordinal));
                }
            }
            Message::Relation(ref body) => {
                let relation = body.to_owned();
                self.relations.insert(relation.id, relation);
            }
            Message::Message { transactional: false, .. }
            | Message::Origin { .. }
            | Message::Type { .. } => {}
            Message::Delete { relation, old } => {
                return self.change(lsn, "delete", |it| it.rows(relation, Some(old), None));
            }
            Message::Insert { relation, new } => {
                return self.change(lsn, "insert", |it| it.rows(relation, None, Some(new)));
            }
            Message::Message { prefix, content, .. } => {
                let row = || vec![("prefix", prefix.into()), ("content", value(content))];
                return self.change(lsn, "message", |_| (format!("messages of {prefix:?}"), row()));
            }
            Message::Truncate { relations, .. } => {
                return self.change(lsn, "truncate", |it| {
                    let names: Vec<_> = relations.iter().map(|id| it.name(id)).collect();
                    (names.join(", "), vec![("tables", json!(names))])
                });
            }
            Message::Update { relation, old, new } => {
                return self.change(lsn, "update", |it| it.rows(relation, old, Some(new)));
            }
        }
        Step::Continue
    }

    /// Counts a change, and tells it if it is the one.
    fn change(
        &mut self,
        lsn: Lsn,
        operation: &'static str,
        tell: impl FnOnce(&Self) -> (String, Vec<(&'static str, Value)>),
    ) -> Step {
        self.ordinal += 1;
        let Some((commit_lsn, xid)) = self.xact else { return Step::Continue };
        if self.wanted != (Position { commit_lsn, ordinal: self.ordinal }) {
            return Step::Continue;
        }
        let head = [
            ("position", json!(self.wanted.to_string())),
            ("xid", json!(xid)),
            ("lsn", json!(lsn)),
            ("operation", json!(operation)),
        ];
        let (table, more) = tell(self);
        let row = head.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value));
        Step::Found(Found { change: Inside { xid, lsn }, operation, table, row: row.collect() })
    }

    /// The server has processed its log up to `end`, and sent what commits before.
    pub(super) fn on_keepalive(&self, end: Lsn) -> Step {
        if self.xact.is_none() && self.wanted.commit_lsn < end {
            return Step::Missing(format!("nothing is published up to {end}"));
        }
        Step::Continue
    }

    fn rows(
        &self,
        relation: RelationId,
        old: Option<OldTuple<'_>>,
        new: Option<Tuple<'_>>,
    ) -> (String, Vec<(&'static str, Value)>) {
        let table = self.name(relation);
        let relation = self.relations.get(&relation);
        let old = old.map(|OldTuple { kind, tuple }| {
            ("old", row(relation, tuple, kind == OldTupleKind::Key))
        });
        let new = new.map(|new| ("new", row(relation, new, false)));
        let told = [Some(("table", json!(table))), old, new];
        (table, told.into_iter().flatten().collect())
    }

    fn name(&self, id: RelationId) -> String {
        let relation = self.relations.get(&id);
        relation.map_or_else(|| id.to_string(), |it| format!("{}.{}", it.namespace, it.name))
    }
}

/// The columns that the stream has of a row, by name: of a key only those of the identity, and none
/// that was not sent.
fn row(relation: Option<&Relation>, tuple: Tuple<'_>, is_key: bool) -> Value {
    let columns = relation.map(|relation| relation.columns.as_slice()).unwrap_or_default();
    let sent = columns.iter().zip(tuple.columns()).filter(|(it, _)| it.is_identity || !is_key);
    let told = sent.filter_map(|(it, column)| {
        let value = match column {
            Column::Binary(bytes) => json!({ "binary": hex(bytes) }),
            Column::Null => Value::Null,
            Column::Text(bytes) => value(bytes),
            Column::Unchanged => return None,
        };
        Some((it.name.clone(), value))
    });
    Value::Object(told.collect())
}

/// A text; bytes that are none in hexadecimal.
fn value(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "bytes": hex(bytes) }),
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    out.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
    out
}

#[cfg(test)]
mod tests;
