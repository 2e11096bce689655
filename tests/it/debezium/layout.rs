//! Avro taken apart: what a schema says of each field, and each field's bytes, by the field's path.
//!
//! Written for this comparison and independent of the encoder and of the oracle of other tests: it
//! follows the schema's JSON and cuts the bytes where the specification says that a value ends.
//! Records are entered; everything else is a leaf. A record's second mention, by name, is as good
//! as its definition. The entries of a map, which have no order, are put into one.
//!
//! Source: <https://avro.apache.org/docs/1.12.0/specification/>

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

/// What a schema says, by path: `after.total` is the type of a field, `after.total?default` its
/// default, `after{}` what stands in the record beside its fields.
pub(crate) fn declared(schema: &Value) -> BTreeMap<String, Value> {
    let mut names = HashMap::new();
    define(schema, "", &mut names);
    let mut found = BTreeMap::new();
    declare(schema, "", &names, &mut found);
    found
}

/// The bytes of each field, by path, as hexadecimal digits. A union of null and a record is
/// `after?`, its branch, and then the record's fields.
pub(crate) fn values(schema: &Value, bytes: &[u8]) -> BTreeMap<String, String> {
    let mut names = HashMap::new();
    define(schema, "", &mut names);
    let mut found = BTreeMap::new();
    let rest = cut(schema, "", &names, bytes, &mut found);
    assert!(rest.is_empty(), "{} bytes after the value", rest.len());
    found
}

/// The named types by their full names.
type Names = HashMap<String, Value>;

fn define(schema: &Value, namespace: &str, names: &mut Names) {
    match schema {
        Value::Array(branches) => {
            branches.iter().for_each(|branch| define(branch, namespace, names));
        }
        Value::Object(object) => match object.get("type") {
            Some(Value::String(kind)) if matches!(&**kind, "record" | "enum" | "fixed") => {
                let (full, inner) = full_name(object, namespace);
                names.insert(full, schema.clone());
                for field in fields(object) {
                    define(&field["type"], &inner, names);
                }
            }
            Some(Value::String(kind)) if kind == "array" => {
                define(&object["items"], namespace, names);
            }
            Some(Value::String(kind)) if kind == "map" => {
                define(&object["values"], namespace, names);
            }
            _ => {}
        },
        _ => {}
    }
}

/// A named type's full name, and the namespace inside it.
fn full_name(object: &Map<String, Value>, namespace: &str) -> (String, String) {
    let name = object["name"].as_str().unwrap();
    if let Some((inner, _)) = name.rsplit_once('.') {
        return (name.to_owned(), inner.to_owned());
    }
    let inner = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    (format!("{inner}.{name}"), inner.to_owned())
}

fn fields(object: &Map<String, Value>) -> &[Value] {
    object.get("fields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The definition of what may be a name; names of primitive types stay.
fn resolved<'s>(schema: &'s Value, names: &'s Names) -> &'s Value {
    let Value::String(name) = schema else { return schema };
    let is_named = |full: &&String| {
        full.as_str() == name || full.rsplit_once('.').is_some_and(|(_, last)| last == name)
    };
    names.keys().find(is_named).map_or(schema, |full| &names[full])
}

/// The schema with the definition in the place of each name.
fn expanded(schema: &Value, names: &Names) -> Value {
    match resolved(schema, names) {
        Value::Array(branches) => branches.iter().map(|one| expanded(one, names)).collect(),
        Value::Object(object) => {
            let within = |(key, value): (&String, &Value)| {
                let is_schema = matches!(&**key, "type" | "items" | "values");
                (key.clone(), if is_schema { expanded(value, names) } else { value.clone() })
            };
            Value::Object(object.iter().map(within).collect())
        }
        other => other.clone(),
    }
}

/// The record that this is, or that it is the only branch beside null of.
fn as_record<'s>(schema: &'s Value, names: &'s Names) -> Option<&'s Map<String, Value>> {
    let record = |schema: &'s Value| {
        let object = resolved(schema, names).as_object()?;
        (object.get("type")?.as_str()? == "record").then_some(object)
    };
    match schema {
        Value::Array(branches) => branches.iter().find_map(record),
        _ => record(schema),
    }
}

fn declare(schema: &Value, path: &str, names: &Names, found: &mut BTreeMap<String, Value>) {
    let Some(record) = as_record(schema, names) else {
        found.insert(path.to_owned(), expanded(schema, names));
        return;
    };
    if let Value::Array(branches) = schema {
        let shell = |branch: &Value| json!(if branch == "null" { "null" } else { "record" });
        found.insert(path.to_owned(), branches.iter().map(shell).collect());
    }
    let mut attributes = record.clone();
    attributes.remove("fields");
    found.insert(format!("{path}{{}}"), Value::Object(attributes));
    let order: Value = fields(record).iter().map(|field| field["name"].clone()).collect();
    found.insert(format!("{path}[]"), order);
    for field in fields(record) {
        let path = join(path, field["name"].as_str().unwrap());
        declare(&field["type"], &path, names, found);
        for (attribute, value) in field.as_object().unwrap() {
            if !matches!(&**attribute, "name" | "type") {
                found.insert(format!("{path}?{attribute}"), value.clone());
            }
        }
    }
}

fn cut<'b>(
    schema: &Value,
    path: &str,
    names: &Names,
    bytes: &'b [u8],
    found: &mut BTreeMap<String, String>,
) -> &'b [u8] {
    let Some(record) = as_record(schema, names) else {
        let mut leaf = Vec::new();
        let rest = copy(schema, names, bytes, &mut leaf);
        found.insert(path.to_owned(), hex(&leaf));
        return rest;
    };
    let mut rest = bytes;
    if let Value::Array(branches) = schema {
        let (branch, after) = long(bytes);
        found.insert(format!("{path}?"), branch.to_string());
        if branches[usize::try_from(branch).unwrap()] == "null" {
            return after;
        }
        rest = after;
    }
    for field in fields(record) {
        let path = join(path, field["name"].as_str().unwrap());
        rest = cut(&field["type"], &path, names, rest, found);
    }
    rest
}

/// Copies a value; returns what follows it.
fn copy<'b>(schema: &Value, names: &Names, bytes: &'b [u8], to: &mut Vec<u8>) -> &'b [u8] {
    let schema = resolved(schema, names);
    let kind = match schema {
        Value::Array(branches) => {
            let (branch, rest) = copy_long(bytes, to);
            return copy(&branches[usize::try_from(branch).unwrap()], names, rest, to);
        }
        Value::Object(object) => &object["type"],
        other => other,
    };
    match kind.as_str().expect("a type") {
        "null" => bytes,
        "boolean" => copy_bytes(bytes, 1, to),
        "int" | "long" | "enum" => copy_long(bytes, to).1,
        "float" => copy_bytes(bytes, 4, to),
        "double" => copy_bytes(bytes, 8, to),
        "bytes" | "string" => {
            let (length, rest) = copy_long(bytes, to);
            copy_bytes(rest, usize::try_from(length).unwrap(), to)
        }
        "record" => {
            let record = schema.as_object().unwrap();
            fields(record).iter().fold(bytes, |rest, field| copy(&field["type"], names, rest, to))
        }
        "array" => blocks(bytes, to, |rest, to| copy(&schema["items"], names, rest, to)),
        "map" => {
            let mut head = Vec::new();
            let mut entries = Vec::new();
            let rest = blocks(bytes, &mut head, |rest, _| {
                let mut entry = Vec::new();
                let value = copy(&"string".into(), names, rest, &mut entry);
                let rest = copy(&schema["values"], names, value, &mut entry);
                entries.push(entry);
                rest
            });
            entries.sort();
            to.extend(head.into_iter().chain(entries.concat()));
            rest
        }
        other => panic!("type {other}"),
    }
}

fn blocks<'b>(
    bytes: &'b [u8],
    to: &mut Vec<u8>,
    mut item: impl FnMut(&'b [u8], &mut Vec<u8>) -> &'b [u8],
) -> &'b [u8] {
    let mut rest = bytes;
    loop {
        let (count, after) = copy_long(rest, to);
        rest = after;
        if count < 0 {
            rest = copy_long(rest, to).1;
        }
        if count == 0 {
            return rest;
        }
        for _ in 0..count.abs() {
            rest = item(rest, to);
        }
    }
}

fn copy_bytes<'b>(bytes: &'b [u8], count: usize, to: &mut Vec<u8>) -> &'b [u8] {
    let (copied, rest) = bytes.split_at(count);
    to.extend_from_slice(copied);
    rest
}

fn copy_long<'b>(bytes: &'b [u8], to: &mut Vec<u8>) -> (i64, &'b [u8]) {
    let (value, rest) = long(bytes);
    copy_bytes(bytes, bytes.len() - rest.len(), to);
    (value, rest)
}

fn long(bytes: &[u8]) -> (i64, &[u8]) {
    let end = bytes.iter().position(|byte| *byte < 0x80).expect("the end of a number");
    let folded =
        bytes[..=end].iter().rev().fold(0_u64, |sum, byte| (sum << 7) | u64::from(byte & 0x7f));
    ((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed(), &bytes[end + 1..])
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
