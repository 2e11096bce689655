//! What a reader sees when a table's schema is another: one that has the older schema, of newer records,
//! and one that has the newer schema, of older records. By Avro's rules of resolution, which a reader that
//! has compiled a schema in goes by; one that takes each record by its writer's schema sees new fields and
//! types as they are.
//!
//! Source: <https://avro.apache.org/docs/1.12.0/specification/#schema-resolution>

use std::collections::BTreeMap;

use serde_json::Value;

use crate::encode::schema::bare;

/// What becomes of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name in the schema.
    pub field: String,
    /// What is done, as in "is gone".
    pub what: String,
    /// What readers of the older schema see of newer records, if that is not what they saw.
    pub older: Option<Sight>,
    /// What readers of the newer schema see of older records, if that is not what they hold.
    pub newer: Option<Sight>,
}

/// What a reader sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Its own default.
    Default(String),
    /// Nothing: it cannot read them.
    Nothing,
    /// A null, where it can read none.
    Null,
    /// A value that means something else.
    Other,
    /// What it is, or nothing: two decimals whose precisions differ do not match by Avro's word, which
    /// Rust's apache-avro keeps, and Java's does not look at.
    Strict,
}

/// The fields of two schemas that differ for readers: of the rows of two envelopes, or of two keys.
#[must_use]
pub fn changes(older: &str, newer: &str) -> Vec<FieldChange> {
    let (Ok(older), Ok(newer)) = (serde_json::from_str(older), serde_json::from_str(newer)) else {
        return Vec::new();
    };
    let (older, newer) = (fields(&older), fields(&newer));
    let mut found = Vec::new();
    for (name, was) in &older {
        match newer.iter().find(|(other, _)| other == name) {
            Some((_, is)) => found.extend(changed(name, was, is)),
            None => found.push(FieldChange {
                field: name.clone(),
                what: "is gone".to_owned(),
                older: Some(absent(was)),
                newer: None,
            }),
        }
    }
    let is_new = |(name, _): &&(String, Value)| older.iter().all(|(other, _)| other != name);
    found.extend(newer.iter().filter(is_new).map(|(name, is)| FieldChange {
        field: name.clone(),
        what: format!("is new ({})", shown(is.get("type"))),
        older: None,
        newer: Some(absent(is)),
    }));
    found
}

/// What stands for a field that a record does not have.
fn absent(field: &Value) -> Sight {
    field.get("default").map_or(Sight::Nothing, |default| Sight::Default(default.to_string()))
}

fn changed(name: &str, was: &Value, is: &Value) -> Option<FieldChange> {
    let (was, is) = (was.get("type"), is.get("type"));
    let (older, newer) = (reads(was, is), reads(is, was));
    let is_same = older.is_none() && newer.is_none();
    (!is_same || shown(was) != shown(is)).then(|| FieldChange {
        field: name.to_owned(),
        what: format!("was {}, and is {}", shown(was), shown(is)),
        older,
        newer,
    })
}

/// What a reader of one type sees of values that were written as another, if not what they are.
fn reads(reader: Option<&Value>, writer: Option<&Value>) -> Option<Sight> {
    let (reader, writer) = (branches(reader), branches(writer));
    let has_null = |of: &[&Value]| of.iter().any(|branch| *branch == "null");
    let values = writer.iter().filter(|branch| **branch != "null");
    let sights = values.map(|writer| {
        // The best of what the branches make of it.
        let sights = reader.iter().filter(|it| **it != "null").map(|it| read(it, writer));
        sights.min().unwrap_or(Match::Unreadable)
    });
    match sights.max().unwrap_or(Match::Same) {
        Match::Unreadable => Some(Sight::Nothing),
        _ if has_null(&writer) && !has_null(&reader) => Some(Sight::Null),
        Match::Other => Some(Sight::Other),
        Match::Strict => Some(Sight::Strict),
        Match::Same => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    Same,
    Strict,
    Other,
    Unreadable,
}

fn read(reader: &Value, writer: &Value) -> Match {
    let (reader, writer) = (bare(reader), bare(writer));
    if reader == writer || named(&reader).is_some_and(|name| Some(name) == named(&writer)) {
        return Match::Same;
    }
    if let (Some(reader), Some(writer)) = (reader.get("items"), writer.get("items")) {
        return match reads(Some(reader), Some(writer)) {
            None => Match::Same,
            Some(Sight::Other) => Match::Other,
            Some(Sight::Strict) => Match::Strict,
            Some(_) => Match::Unreadable,
        };
    }
    let (to, from) = (base(&reader), base(&writer));
    let is_readable = from == to && !matches!(to, "record" | "map" | "enum" | "fixed")
        || matches!(
            (from, to),
            ("int", "long" | "float" | "double")
                | ("long", "float" | "double")
                | ("float", "double")
                | ("string", "bytes")
                | ("bytes", "string")
        );
    if !is_readable {
        return Match::Unreadable;
    }
    let (mut to, mut from) = (meaning(&reader), meaning(&writer));
    let is_same = to == from;
    to.remove(PRECISION);
    from.remove(PRECISION);
    match (is_same, to == from) {
        (true, _) => Match::Same,
        (false, true) => Match::Strict,
        (false, false) => Match::Other,
    }
}

/// The branches of a union, or the one type.
fn branches(declared: Option<&Value>) -> Vec<&Value> {
    match declared {
        Some(Value::Array(branches)) => branches.iter().collect(),
        declared => declared.into_iter().collect(),
    }
}

/// What Avro calls the type.
fn base(declared: &Value) -> &str {
    let name = declared.get("type").unwrap_or(declared);
    name.as_str().unwrap_or("union")
}

/// The name of a record, without its namespace: it is defined once, and named where it comes again.
fn named(declared: &Value) -> Option<&str> {
    const PRIMITIVE: &[&str] =
        &["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
    let name = match declared {
        Value::String(name) if !PRIMITIVE.contains(&name.as_str()) => name,
        declared if base(declared) == "record" => declared.get("name")?.as_str()?,
        _ => return None,
    };
    name.rsplit('.').next()
}

/// What says what a value means: the same bytes can be a number, a date or a time.
fn meaning(declared: &Value) -> BTreeMap<&str, &Value> {
    const NAMES: &[&str] = &["connect.name", "logicalType", PRECISION, "scale"];
    NAMES.iter().filter_map(|name| Some((*name, declared.get(name)?))).collect()
}

const PRECISION: &str = "precision";

/// A type in a few words.
fn shown(declared: Option<&Value>) -> String {
    let branches = branches(declared);
    let names = branches.iter().filter(|branch| **branch != "null").map(|branch| {
        let digits = |name| branch.get(name).map(ToString::to_string).unwrap_or_default();
        let text = |name: &str| branch.get(name).and_then(Value::as_str);
        let connect = text("connect.name").and_then(|name| name.rsplit('.').next());
        match (text("logicalType"), connect, named(branch)) {
            (Some("decimal"), ..) => {
                format!("decimal({}, {})", digits(PRECISION), digits("scale"))
            }
            (Some(name), ..) | (None, Some(name), _) => format!("{} ({name})", base(branch)),
            (None, None, Some(name)) => name.to_owned(),
            (None, None, None) => match branch.get("items") {
                Some(items) => format!("array of {}", shown(Some(items))),
                None => base(branch).to_owned(),
            },
        }
    });
    let names = names.collect::<Vec<_>>().join(" or ");
    match branches.iter().any(|branch| *branch == "null") {
        true => format!("{names} or null"),
        false => names,
    }
}

/// The fields of a key, or of an envelope's rows.
fn fields(schema: &Value) -> Vec<(String, Value)> {
    let of = |record: &Value| {
        let fields = record.get("fields").and_then(Value::as_array).into_iter().flatten();
        let name = |field: &Value| Some((field.get("name")?.as_str()?.to_owned(), field.clone()));
        fields.filter_map(name).collect::<Vec<_>>()
    };
    let own = of(schema);
    if schema.get("name").is_none_or(|name| name != "Envelope") {
        return own;
    }
    let branch = |side: &str| {
        let (_, field) = own.iter().find(|(name, _)| name == side)?;
        field.get("type")?.as_array()?.iter().find(|branch| branch.is_object())
    };
    // One record for both is defined where it comes first.
    branch("after").or_else(|| branch("before")).map(of).unwrap_or_default()
}

#[cfg(test)]
mod tests;
