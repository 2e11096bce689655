//! Avro schemas of keys and envelopes, attribute by attribute as the Confluent converter writes
//! Debezium's, so that an existing subject sees no new version.
//!
//! Source: `AvroData.fromConnectSchema` in <https://github.com/confluentinc/schema-registry> and
//! `SchemaFactory` in <https://github.com/debezium/debezium>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::representation::Representation;
use crate::types::Kind;

/// One column of a record.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The column's name; adjusted where Avro does not allow it.
    pub name: &'a str,
    /// What it holds.
    pub kind: &'a Kind,
    /// Whether the field is a union with null.
    pub optional: bool,
}

/// The schema of a key: record `Key` in the namespace `prefix` (`shop.public.orders`).
#[must_use]
pub fn key(prefix: &str, fields: &[Field<'_>]) -> String {
    let prefix = adjust_full_name(prefix);
    let mut names = Names::default();
    let fields = names.fields(fields);
    let name = format!("{prefix}.Key");
    json!({"type": "record", "name": "Key", "namespace": prefix, "fields": fields,
        "connect.name": name})
    .to_string()
}

/// The schema of a change event: Debezium's `Envelope`, version 2, in the namespace `prefix`.
///
/// `value` are the fields of `after`, record `Value`. With `before` none, `before` is of the same
/// record, as Debezium has it; with fields, it is a record `Before` of its own.
#[must_use]
pub fn envelope(prefix: &str, value: &[Field<'_>], before: Option<&[Field<'_>]>) -> String {
    let prefix = adjust_full_name(prefix);
    let mut names = Names::default();
    let mut record = |name: &str, fields: &[Field<'_>]| {
        json!({"type": "record", "name": name, "fields": names.fields(fields),
            "connect.name": format!("{prefix}.{name}")})
    };
    let (before, after) = match before {
        None => (record("Value", value), json!("Value")),
        Some(before) => (record("Before", before), record("Value", value)),
    };
    json!({
        "type": "record", "name": "Envelope", "namespace": prefix,
        "fields": [
            optional("before", &before),
            optional("after", &after),
            {"name": "source", "type": source()},
            optional("transaction", &transaction_block()),
            {"name": "op", "type": "string"},
            optional("ts_ms", &json!("long")),
            optional("ts_us", &json!("long")),
            optional("ts_ns", &json!("long")),
        ],
        "connect.version": 2,
        "connect.name": format!("{prefix}.Envelope"),
    })
    .to_string()
}

/// A name that Avro allows, as Debezium's naming mode `avro` adjusts it: what is not an ASCII
/// letter, digit or underscore becomes `_`, and a leading digit gets one before it.
#[must_use]
pub fn adjust_name(name: &str) -> String {
    let mut adjusted = String::with_capacity(name.len() + 1);
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        adjusted.push('_');
    }
    for char in name.chars() {
        if char.is_ascii_alphanumeric() || char == '_' {
            adjusted.push(char);
        } else {
            // Java replaces each UTF-16 unit.
            adjusted.extend(std::iter::repeat_n('_', char.len_utf16()));
        }
    }
    adjusted
}

/// [`adjust_name`] for each part of a dotted name.
#[must_use]
pub fn adjust_full_name(name: &str) -> String {
    name.split('.').map(adjust_name).collect::<Vec<_>>().join(".")
}

/// What one schema has named so far: a name is defined once and referred to afterwards.
#[derive(Default)]
struct Names {
    defined: BTreeSet<&'static str>,
}

impl Names {
    /// The fields of one record.
    fn fields(&mut self, fields: &[Field<'_>]) -> Vec<Value> {
        let field = |field: &Field<'_>| {
            let name = adjust_name(field.name);
            let schema = self.of(&Representation::of(field.kind));
            if field.optional {
                optional(&name, &schema)
            } else {
                json!({"name": name, "type": schema})
            }
        };
        fields.iter().map(field).collect()
    }

    fn of(&mut self, representation: &Representation) -> Value {
        match representation {
            Representation::Array { element, .. } => {
                json!({"type": "array", "items": ["null", self.of(element)]})
            }
            Representation::Bits { length } => json!({
                "type": "bytes", "connect.version": 1,
                "connect.parameters": {"length": length.to_string()},
                "connect.name": "io.debezium.data.Bits",
            }),
            Representation::Boolean => json!("boolean"),
            Representation::Bytes => json!("bytes"),
            Representation::Date => semantic("int", "io.debezium.time.Date"),
            Representation::Decimal { precision, scale } => json!({
                "type": "bytes", "scale": scale, "precision": precision, "connect.version": 1,
                "connect.parameters": {
                    "scale": scale.to_string(),
                    "connect.decimal.precision": precision.to_string(),
                },
                "connect.name": "org.apache.kafka.connect.data.Decimal",
                "logicalType": "decimal",
            }),
            Representation::Double => json!("double"),
            Representation::DoubleVector => vector("double", "io.debezium.data.DoubleVector"),
            Representation::Duration => semantic("long", "io.debezium.time.MicroDuration"),
            Representation::Enum { allowed } => enumeration(allowed),
            Representation::Float => json!("float"),
            Representation::FloatVector => vector("float", "io.debezium.data.FloatVector"),
            Representation::Geography => {
                self.shape("io.debezium.data.geometry.Geography", "Geography")
            }
            Representation::Geometry => {
                self.shape("io.debezium.data.geometry.Geometry", "Geometry")
            }
            Representation::Int16 => json!({"type": "int", "connect.type": "int16"}),
            Representation::Int32 => json!("int"),
            Representation::Int64 => json!("long"),
            Representation::Hstore | Representation::Json => {
                semantic("string", "io.debezium.data.Json")
            }
            Representation::MicroTime => semantic("long", "io.debezium.time.MicroTime"),
            Representation::MicroTimestamp => semantic("long", "io.debezium.time.MicroTimestamp"),
            Representation::MilliTime => semantic("int", "io.debezium.time.Time"),
            Representation::MilliTimestamp => semantic("long", "io.debezium.time.Timestamp"),
            Representation::Money => json!({
                "type": "bytes", "scale": 2, "precision": 64, "connect.version": 1,
                "connect.parameters": {"scale": "2"},
                "connect.name": "org.apache.kafka.connect.data.Decimal",
                "logicalType": "decimal",
            }),
            Representation::Point => self.point(),
            Representation::Printed { name: Some(name), .. } => semantic("string", name),
            Representation::Printed { name: None, .. } | Representation::String => json!("string"),
            Representation::SparseVector => self.sparse_vector(),
            Representation::Uuid => semantic("string", "io.debezium.data.Uuid"),
            Representation::VariableScaleDecimal => self.variable_scale_decimal(),
            Representation::ZonedTime => semantic("string", "io.debezium.time.ZonedTime"),
            Representation::ZonedTimestamp { .. } => {
                semantic("string", "io.debezium.time.ZonedTimestamp")
            }
            Representation::Xml => semantic("string", "io.debezium.data.Xml"),
        }
    }

    fn point(&mut self) -> Value {
        self.record("io.debezium.data.geometry.Point", "Geometry (POINT)", || {
            json!([
                {"name": "x", "type": "double"},
                {"name": "y", "type": "double"},
                optional("wkb", &json!("bytes")),
                optional("srid", &json!("int")),
            ])
        })
    }

    /// One of PostGIS' types.
    fn shape(&mut self, name: &'static str, doc: &str) -> Value {
        self.record(
            name,
            doc,
            || json!([{"name": "wkb", "type": "bytes"}, optional("srid", &json!("int"))]),
        )
    }

    /// The converter writes a map whose keys are no strings as an array of its entries.
    fn sparse_vector(&mut self) -> Value {
        self.record("io.debezium.data.SparseDoubleVector", "Sparse double vector", || {
            let int16 = json!({"type": "int", "connect.type": "int16"});
            let entry = json!({
                "type": "record", "name": "MapEntry", "namespace": "io.confluent.connect.avro",
                "fields": [{"name": "key", "type": int16}, {"name": "value", "type": "double"}],
            });
            json!([
                {"name": "dimensions", "type": int16},
                {"name": "vector", "type": {"type": "array", "items": entry}},
            ])
        })
    }

    fn variable_scale_decimal(&mut self) -> Value {
        self.record(
            "io.debezium.data.VariableScaleDecimal",
            "Variable scaled decimal",
            || json!([{"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}]),
        )
    }

    /// A record of version 1. Its namespace is not the enclosing record's, so a reference needs the
    /// full name.
    fn record(&mut self, name: &'static str, doc: &str, fields: impl FnOnce() -> Value) -> Value {
        let Some((namespace, short)) = name.rsplit_once('.').filter(|_| self.defined.insert(name))
        else {
            return json!(name);
        };
        json!({
            "type": "record", "name": short, "namespace": namespace, "fields": fields(),
            "connect.doc": doc, "connect.version": 1, "connect.name": name,
        })
    }
}

fn optional(name: &str, schema: &Value) -> Value {
    json!({"name": name, "type": ["null", schema], "default": null})
}

/// A primitive with the name of what it means, version 1.
fn semantic(primitive: &str, name: &str) -> Value {
    json!({"type": primitive, "connect.version": 1, "connect.name": name})
}

/// An array that is never null inside, with the name of what it means, version 1.
fn vector(items: &str, name: &str) -> Value {
    json!({"type": "array", "items": items, "connect.version": 1, "connect.name": name})
}

fn enumeration(allowed: &str) -> Value {
    json!({
        "type": "string", "connect.version": 1, "connect.parameters": {"allowed": allowed},
        "connect.name": "io.debezium.data.Enum",
    })
}

/// Debezium's `source` block of PostgreSQL, version 1.
fn source() -> Value {
    let snapshot = json!({
        "type": "string", "connect.version": 1,
        "connect.parameters": {
            "allowed": "true,first,first_in_data_collection,last_in_data_collection,last,false,\
                        incremental",
        },
        "connect.default": "false",
        "connect.name": "io.debezium.data.Enum",
    });
    let (string, long) = (json!("string"), json!("long"));
    json!({
        "type": "record", "name": "Source", "namespace": "io.debezium.connector.postgresql",
        "fields": [
            {"name": "version", "type": string},
            {"name": "connector", "type": string},
            {"name": "name", "type": string},
            {"name": "ts_ms", "type": long},
            {"name": "snapshot", "type": [snapshot, "null"], "default": "false"},
            {"name": "db", "type": string},
            optional("sequence", &string),
            optional("ts_us", &long),
            optional("ts_ns", &long),
            {"name": "schema", "type": string},
            {"name": "table", "type": string},
            optional("txId", &long),
            optional("lsn", &long),
            optional("xmin", &long),
            optional("origin", &string),
            optional("origin_lsn", &long),
        ],
        "connect.version": 1,
        "connect.name": "io.debezium.connector.postgresql.Source",
    })
}

/// Debezium's `transaction` block, version 1.
fn transaction_block() -> Value {
    json!({
        "type": "record", "name": "block", "namespace": "event",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "total_order", "type": "long"},
            {"name": "data_collection_order", "type": "long"},
        ],
        "connect.version": 1,
        "connect.name": "event.block",
    })
}
