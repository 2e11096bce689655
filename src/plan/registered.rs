//! What the newest schemas of a table's subjects say. A plan is compiled from them as from the catalog:
//! readers have those schemas, so of what a column can become, what goes with them is taken.
//!
//! - What may be null stays so.
//! - A column that they do not know and that is never null has as default what rows from before hold in
//!   it; if that cannot be said, it may be null.
//! - That default stays, whatever becomes of the column's; and a number that was wider stays as wide.
//!
//! A row shows when a column is null after all: then its field becomes nullable.

use std::collections::BTreeMap;

use serde_json::Value;

use super::topic::Destination;
use super::{Draft, Settings};
use crate::encode::schema::{bare, is_same, is_same_layout};
use crate::encode::{Naming, Wide};
use crate::facts::TableFacts;
use crate::wal::Relation;

/// A subject and the text of its newest schema.
pub type Newest = (String, String);

/// The newest schemas of a table, by field.
#[derive(Clone, Debug, Default)]
pub struct Registered {
    /// How columns are found in it.
    naming: Naming,
    /// Of the record in `after`; `None` if there is no schema.
    rows: Option<Fields>,
    /// Of the record in `before`, where that is another one.
    before: Option<Fields>,
    /// Of the key, in its order.
    key: Option<Vec<(String, RegisteredField)>>,
}

type Fields = BTreeMap<String, RegisteredField>;

/// A field as readers have it.
#[derive(Clone, Debug)]
pub(super) struct RegisteredField {
    pub(super) is_nullable: bool,
    pub(super) wide: Option<Wide>,
    /// Its type, without what says nothing of how it is laid out.
    bare: Value,
    default: Option<Value>,
}

impl Registered {
    /// Reads the newest schemas; what is none of ours is as good as none.
    #[must_use]
    pub fn parse(newest: &[Newest], settings: &Settings) -> Self {
        let schema = |side: &str| {
            let (_, text) = newest.iter().find(|(subject, _)| subject.ends_with(side))?;
            serde_json::from_str::<Value>(text).ok()
        };
        let value = schema("-value");
        let before = value.as_ref().and_then(|value| branch(value, "before"));
        let after = value.as_ref().and_then(|value| branch(value, "after"));
        let (rows, before) = match (before, after) {
            // One record for both is defined where it comes first.
            (Some(both), Some(Value::String(_))) => (Some(both), None),
            (before, after) => (after, before),
        };
        let by_name = |record: &Value| fields(record).collect();
        Self {
            naming: settings.tables.name_adjustment,
            rows: rows.map(by_name),
            before: before.map(by_name),
            key: schema("-key").as_ref().map(|key| fields(key).collect()),
        }
    }

    /// The field of a column in rows.
    pub(super) fn row(&self, column: &str) -> Option<&RegisteredField> {
        self.rows.as_ref()?.get(&self.naming.field(column))
    }

    /// The field of a column in old rows, where these have a record of their own.
    pub(super) fn before(&self, column: &str) -> Option<&RegisteredField> {
        self.before.as_ref()?.get(&self.naming.field(column))
    }

    /// The field of a column in keys.
    pub(super) fn key(&self, column: &str) -> Option<&RegisteredField> {
        let name = self.naming.field(column);
        self.key.as_ref()?.iter().find(|(other, _)| *other == name).map(|(_, field)| field)
    }

    /// Whether readers have rows without this column.
    pub(super) fn lacks(&self, column: &str) -> bool {
        self.rows.is_some() && self.row(column).is_none()
    }

    /// Whether readers have rows at all.
    pub(super) fn has_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// Whether readers have old rows as the same record as new ones.
    pub(super) fn is_shared(&self) -> bool {
        self.rows.is_some() && self.before.is_none()
    }
}

impl RegisteredField {
    /// The default, for a field of the same type, or of another number's.
    pub(super) fn default(&self, bare: &Value) -> Option<&Value> {
        let is_number = |bare: &Value| {
            bare.as_str().is_some_and(|it| ["int", "long", "float", "double"].contains(&it))
        };
        let is_same = self.bare == *bare || is_number(&self.bare) && is_number(bare);
        self.default.as_ref().filter(|_| is_same)
    }
}

/// The branch of a field's union that is not null.
fn branch<'v>(record: &'v Value, name: &str) -> Option<&'v Value> {
    let fields = record.get("fields")?.as_array()?;
    let field = fields.iter().find(|field| field.get("name").is_some_and(|it| it == name))?;
    field.get("type")?.as_array()?.iter().find(|branch| *branch != "null")
}

fn fields(record: &Value) -> impl Iterator<Item = (String, RegisteredField)> {
    let fields = record.get("fields").and_then(Value::as_array).into_iter().flatten();
    fields.filter_map(|field| {
        let name = field.get("name")?.as_str()?.to_owned();
        Some((name, registered(field.get("type")?, field.get("default"))))
    })
}

fn registered(declared: &Value, default: Option<&Value>) -> RegisteredField {
    let branches =
        declared.as_array().map_or_else(|| std::slice::from_ref(declared), Vec::as_slice);
    let is_nullable = branches.iter().any(|branch| branch == "null");
    let wide = branches.iter().find(|branch| *branch != "null").and_then(wide);
    RegisteredField { is_nullable, wide, bare: bare(declared), default: default.cloned() }
}

/// As which number readers have a field.
fn wide(branch: &Value) -> Option<Wide> {
    let digits = |name| branch.get(name)?.as_u64()?.try_into().ok();
    match bare(branch).as_str() {
        Some("double") => Some(Wide::Double),
        Some("long") => Some(Wide::Long),
        _ if branch.get("logicalType")? == "decimal" => {
            Some(Wide::Decimal { precision: digits("precision")?, scale: digits("scale")? })
        }
        _ => None,
    }
}

/// Takes from the newest schemas what the catalog does not tell of a table that is gone: which columns
/// are never null, and which are its key, in which order.
pub fn recall(
    relation: &Relation,
    facts: &mut TableFacts,
    registered: &Registered,
    settings: &Settings,
) {
    let columns = || relation.columns.iter().map(|column| column.name.clone());
    let is_never_null =
        |name: &String| registered.row(name).is_some_and(|field| !field.is_nullable);
    facts.not_null = columns().filter(is_never_null).collect();
    let naming = registered.naming;
    let column = |name: &String| columns().find(|column| naming.field(column) == *name);
    // The field that says whose a key is is no column.
    let destination = Destination::of(relation, facts, settings);
    let key_field = destination.ok().and_then(|it| it.key_field).map(|(name, _)| name);
    let fields = registered.key.iter().flatten().map(|(name, _)| name);
    let key = fields.filter(|name| Some(*name) != key_field.as_ref()).map(column);
    facts.primary_key = key.collect::<Option<_>>().unwrap_or_default();
}

/// Whether it is a subject of keys, by TopicNameStrategy.
#[must_use]
pub fn is_key(subject: &str) -> bool {
    subject.ends_with("-key")
}

/// Whether the newest schema of its subject lays records out as this one does.
#[must_use]
pub fn is_laid_out_as_newest((subject, schema_json): &Newest, newest: &[Newest]) -> bool {
    newest_of(subject, newest).is_some_and(|text| is_same_layout(text, schema_json))
}

fn newest_of<'a>(subject: &str, newest: &'a [Newest]) -> Option<&'a String> {
    newest.iter().find(|(other, _)| other == subject).map(|(_, text)| text)
}

impl Draft {
    /// Takes the newest schemas as they are where only defaults or labels are others: what the stream
    /// has not told is no news. A key's only where it says the same: the id is among the key's bytes.
    /// Whether one says something else than the facts.
    pub fn keep(&mut self, newest: &[Newest]) -> bool {
        let mut is_other = false;
        for request in &mut self.schemas {
            let is_kept = if is_key(&request.subject) { is_same } else { is_same_layout };
            if let Some(text) = newest_of(&request.subject, newest)
                && is_kept(text, &request.schema_json)
            {
                is_other |= !is_same(text, &request.schema_json);
                request.schema_json.clone_from(text);
            }
        }
        is_other
    }
}
