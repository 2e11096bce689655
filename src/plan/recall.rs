//! What the newest schemas of a table's subjects say, where the catalog says nothing any more (the
//! table is gone) or something that readers of those schemas could not follow.
//!
//! A row shows when such a column is null after all: then its field becomes nullable.

use serde_json::Value;

use super::Draft;
use crate::encode::schema::{adjust_name, is_same_layout};
use crate::facts::TableFacts;
use crate::wal::Relation;

/// A subject and the text of its newest schema.
pub type Newest = (String, String);

/// Takes from the newest schemas which columns are never null, and of a table that is gone which are
/// its key, in which order.
pub fn recall(relation: &Relation, facts: &mut TableFacts, newest: &[Newest]) {
    let schema = |side: &str| {
        let (_, text) = newest.iter().find(|(subject, _)| subject.ends_with(side))?;
        serde_json::from_str::<Value>(text).ok()
    };
    for field in schema("-value").iter().flat_map(row_fields) {
        let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
        let Some(column) = relation.columns.iter().find(|it| adjust_name(&it.name) == name) else {
            continue;
        };
        facts.not_null.retain(|other| *other != column.name);
        let branches = field.get("type").and_then(Value::as_array);
        if !branches.is_some_and(|branches| branches.iter().any(|branch| branch == "null")) {
            facts.not_null.push(column.name.clone());
        }
    }
    if let (true, Some(key)) = (facts.is_gone, schema("-key")) {
        let fields = key.get("fields").and_then(Value::as_array).into_iter().flatten();
        let names = fields.filter_map(|field| field.get("name")?.as_str());
        let column = |name| relation.columns.iter().find(|it| adjust_name(&it.name) == name);
        let columns: Option<Vec<_>> = names.map(|name| Some(column(name)?.name.clone())).collect();
        facts.primary_key = columns.unwrap_or_default();
    }
}

/// The fields of the record `Value`, which is that of `before` if it has no other.
fn row_fields(envelope: &Value) -> Vec<Value> {
    let records = ["before", "after"].into_iter().filter_map(|name| {
        let fields = envelope.get("fields")?.as_array()?;
        let field = fields.iter().find(|field| field.get("name").is_some_and(|it| it == name))?;
        field.get("type")?.as_array()?.iter().find(|branch| branch.is_object())
    });
    let mut values = records.filter(|record| record.get("name").is_some_and(|it| it == "Value"));
    let fields = values.next().and_then(|record| record.get("fields")?.as_array().cloned());
    fields.unwrap_or_default()
}

impl Draft {
    /// Takes the newest schemas as they are where only defaults or labels are others: what the
    /// catalog does not tell any more is no news.
    pub fn keep(&mut self, newest: &[Newest]) {
        for request in &mut self.schemas {
            let same = newest.iter().find(|(subject, text)| {
                *subject == request.subject && is_same_layout(text, &request.schema_json)
            });
            if let Some((_, text)) = same {
                request.schema_json.clone_from(text);
            }
        }
    }
}
