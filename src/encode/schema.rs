//! Avro schemas of keys and envelopes. Debezium's are written attribute by attribute as the Confluent
//! converter writes them, so that an existing subject sees no new version; Avro's own have the same
//! records and fields, logical types, and nothing of Kafka Connect.
//!
//! Source: `AvroData.fromConnectSchema` in <https://github.com/confluentinc/schema-registry> and
//! `SchemaFactory` in <https://github.com/debezium/debezium>.

mod hints;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::default;
use super::layout::{Codec, Layout, Temporal, Wide};
use super::structured::{self, Part};
use super::values::{OnUnrepresentable, Representation, Values};
use crate::types::Kind;

pub use hints::{bare, is_same, is_same_layout};

/// The property of a field that has the column's own name, where that is another.
pub(super) const COLUMN: &str = "walbrook.column";

/// One column of a record.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its name.
    pub name: &'a str,
    /// The column's own name, where that is another.
    pub column: Option<&'a str>,
    /// What it holds.
    pub kind: &'a Kind,
    /// As which wider number it stands.
    pub wide: Option<Wide>,
    /// Whether the field is a union with null.
    pub optional: bool,
    /// What readers put where an older record has no such field, as a schema has it. A field that may be
    /// null takes none: they would put it where NULL was.
    pub default: Option<&'a Value>,
    /// The column's default, of which Kafka Connect is told.
    pub connect_default: Option<&'a Value>,
}

impl<'a> Field<'a> {
    /// A field without a default.
    #[must_use]
    pub fn new(name: &'a str, kind: &'a Kind, optional: bool) -> Self {
        Self {
            name,
            column: None,
            kind,
            wide: None,
            optional,
            default: None,
            connect_default: None,
        }
    }
}

/// The schema of a key: record `Key` in a namespace (`shop.public.orders`).
#[must_use]
pub fn key(namespace: &str, fields: &[Field<'_>], values: &Values) -> Value {
    let mut names = Names::new(values);
    let fields = names.fields(fields);
    let name = format!("{namespace}.Key");
    names.finish(json!({"type": "record", "name": "Key", "namespace": namespace, "fields": fields,
        "connect.name": name}))
}

/// The schema of a change event: Debezium's `Envelope`, version 2, in a namespace.
///
/// `value` are the fields of `after`, record `Value`. With `before` none, `before` is of the same
/// record, as Debezium has it; with fields, it is a record `Before` of its own.
#[must_use]
pub fn envelope(
    namespace: &str,
    value: &[Field<'_>],
    before: Option<&[Field<'_>]>,
    values: &Values,
) -> Value {
    let mut names = Names::new(values);
    let mut record = |name: &str, fields: &[Field<'_>]| {
        json!({"type": "record", "name": name, "fields": names.fields(fields),
            "connect.name": format!("{namespace}.{name}")})
    };
    let (before, after) = match before {
        None => (record("Value", value), json!("Value")),
        Some(before) => (record("Before", before), record("Value", value)),
    };
    let envelope = json!({
        "type": "record", "name": "Envelope", "namespace": namespace,
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
        "connect.name": format!("{namespace}.Envelope"),
    });
    names.finish(envelope)
}

/// The type of a field, as [`key`] and [`envelope`] declare it.
#[must_use]
pub fn declared(field: &Field<'_>, values: &Values) -> Value {
    let mut names = Names::new(values);
    let declared = names.field(field);
    names.finish(declared).get("type").cloned().unwrap_or_default()
}

/// What one schema has named so far: a name is defined once and referred to afterwards.
struct Names {
    defined: BTreeSet<&'static str>,
    representation: Representation,
    on_unrepresentable: OnUnrepresentable,
}

impl Names {
    fn new(values: &Values) -> Self {
        Self {
            defined: BTreeSet::new(),
            representation: values.representation,
            on_unrepresentable: values.on_unrepresentable,
        }
    }

    /// The fields of one record.
    fn fields(&mut self, fields: &[Field<'_>]) -> Vec<Value> {
        fields.iter().map(|field| self.field(field)).collect()
    }

    fn field(&mut self, field: &Field<'_>) -> Value {
        let codec = Codec::of(field.kind, self.representation).widened(field.wide);
        let mut schema = self.of(&codec.layout);
        let default = field.default.filter(|_| !field.optional);
        let connect_default = field.connect_default.filter(|_| !field.optional);
        if let (Some(default), Representation::Debezium(_)) = (connect_default, self.representation)
        {
            schema = default::connect(schema, default);
        }
        let branches = match (field.optional, codec.has_text(self.on_unrepresentable)) {
            (false, false) => schema,
            (false, true) => json!([schema, "string"]),
            (true, false) => json!(["null", schema]),
            (true, true) => json!(["null", schema, "string"]),
        };
        let default = default.or(field.optional.then_some(&Value::Null));
        let default = default.map(|default| ("default", default.clone()));
        let column = field.column.map(|column| (COLUMN, column.into()));
        let always = [("name", field.name.into()), ("type", branches)];
        let attributes = always.into_iter().chain(default).chain(column);
        attributes.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Takes out of Avro's own representation what only Kafka Connect reads.
    fn finish(&self, mut schema: Value) -> Value {
        if self.representation == Representation::Avro {
            strip(&mut schema);
        }
        schema
    }

    fn of(&mut self, layout: &Layout) -> Value {
        match self.representation {
            Representation::Avro => self.native(layout),
            Representation::Debezium(_) => self.debezium(layout),
        }
    }

    fn debezium(&mut self, layout: &Layout) -> Value {
        match layout {
            Layout::Array { element } => {
                json!({"type": "array", "items": ["null", self.of(&element.layout)]})
            }
            Layout::Bits { length } => json!({
                "type": "bytes", "connect.version": 1,
                "connect.parameters": {"length": length.to_string()},
                "connect.name": "io.debezium.data.Bits",
            }),
            Layout::Circle => self.circle(),
            Layout::ConnectDate => connect("int", "Date", "date"),
            Layout::ConnectTime => connect("int", "Time", "time-millis"),
            Layout::ConnectTimestamp => connect("long", "Timestamp", "timestamp-millis"),
            Layout::Decimal { precision, scale } => json!({
                "type": "bytes", "scale": scale, "precision": precision, "connect.version": 1,
                "connect.parameters": {
                    "scale": scale.to_string(),
                    "connect.decimal.precision": precision.to_string(),
                },
                "connect.name": "org.apache.kafka.connect.data.Decimal",
                "logicalType": "decimal",
            }),
            Layout::DoubleVector => vector("double", "io.debezium.data.DoubleVector"),
            Layout::Enum { allowed } => enumeration(allowed),
            Layout::FloatVector => vector("float", "io.debezium.data.FloatVector"),
            Layout::Geography => self.geography(),
            Layout::Geometry => self.geometry(),
            Layout::HstoreMap => json!({"type": "map", "values": ["null", "string"]}),
            Layout::Int16 => json!({"type": "int", "connect.type": "int16"}),
            Layout::Money => json!({
                "type": "bytes", "scale": 2, "precision": 64, "connect.version": 1,
                "connect.parameters": {"scale": "2"},
                "connect.name": "org.apache.kafka.connect.data.Decimal",
                "logicalType": "decimal",
            }),
            Layout::Line => self.line(),
            Layout::Point => self.point(),
            Layout::Printed { name: Some(name) } => semantic("string", name),
            Layout::SparseVector => self.sparse_vector(),
            Layout::Structured { temporal, .. } => self.structured(*temporal),
            Layout::VariableScaleDecimal => self.variable_scale_decimal(),
            // Layouts of Avro's own representation.
            Layout::IntervalParts
            | Layout::MicrosOfDay
            | Layout::PlainGeometry
            | Layout::PlainPoint
            | Layout::Range { .. }
            | Layout::Ranges { .. }
            | Layout::SparseParts
            | Layout::UtcMicros => self.native(layout),
            _ => match meaning(layout) {
                Some((primitive, name)) => semantic(primitive, name),
                None => json!(primitive(layout)),
            },
        }
    }

    fn native(&mut self, layout: &Layout) -> Value {
        let logical = |primitive, name| json!({"type": primitive, "logicalType": name});
        match layout {
            Layout::Date => logical("int", "date"),
            Layout::Decimal { precision, scale } => json!({
                "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale,
            }),
            Layout::Geography => self.plain_shape("walbrook.Geography"),
            Layout::IntervalParts => self.record("walbrook.Interval", || {
                json!([
                    {"name": "months", "type": "int"},
                    {"name": "days", "type": "int"},
                    {"name": "micros", "type": "long"},
                ])
            }),
            Layout::MicrosOfDay => logical("long", "time-micros"),
            Layout::MicroTimestamp => logical("long", "local-timestamp-micros"),
            // 64 bits have 19 digits.
            Layout::Money => json!({
                "type": "bytes", "logicalType": "decimal", "precision": 19, "scale": 2,
            }),
            Layout::PlainGeometry => self.plain_shape("walbrook.Geometry"),
            Layout::PlainPoint => self.record(
                "walbrook.Point",
                || json!([{"name": "x", "type": "double"}, {"name": "y", "type": "double"}]),
            ),
            Layout::Range { element, name } => self.range(element, name),
            Layout::Ranges { element, name } => {
                json!({"type": "array", "items": self.range(element, name)})
            }
            Layout::SparseParts => self.record("walbrook.SparseVector", || {
                json!([
                    {"name": "dimensions", "type": "int"},
                    {"name": "indices", "type": {"type": "array", "items": "int"}},
                    {"name": "values", "type": {"type": "array", "items": "float"}},
                ])
            }),
            Layout::UtcMicros => logical("long", "timestamp-micros"),
            Layout::Uuid => logical("string", "uuid"),
            _ => self.debezium(layout),
        }
    }

    fn range(&mut self, element: &Codec, name: &'static str) -> Value {
        if !self.defined.insert(name) {
            return json!(format!("walbrook.{name}"));
        }
        let bound = self.native(&element.layout);
        let flag = |name| json!({"name": name, "type": "boolean"});
        json!({"type": "record", "name": name, "namespace": "walbrook", "fields": [
            optional("lower", &bound),
            optional("upper", &bound),
            flag("is_lower_inclusive"),
            flag("is_upper_inclusive"),
            flag("is_empty"),
        ]})
    }

    fn point(&mut self) -> Value {
        let fields = || {
            json!([
                {"name": "x", "type": "double"},
                {"name": "y", "type": "double"},
                optional("wkb", &json!("bytes")),
                optional("srid", &json!("int")),
            ])
        };
        self.connect_record("io.debezium.data.geometry.Point", "Geometry (POINT)", 1, fields)
    }

    /// Its point is of the same namespace, so that it is named without.
    fn circle(&mut self) -> Value {
        let name = "io.debezium.data.geometry.Circle";
        let mut center = json!("Point");
        if !self.defined.contains(name)
            && let Value::Object(mut definition) = self.point()
        {
            definition.shift_remove("namespace");
            center = definition.into();
        }
        self.connect_record(
            name,
            "Geometry (CIRCLE)",
            1,
            || json!([{"name": "center", "type": center}, {"name": "radius", "type": "double"}]),
        )
    }

    fn line(&mut self) -> Value {
        let fields = || json!(["a", "b", "c"].map(|name| json!({"name": name, "type": "double"})));
        self.connect_record("io.debezium.data.geometry.Line", "Geometry (LINE)", 1, fields)
    }

    fn geography(&mut self) -> Value {
        let name = "io.debezium.data.geometry.Geography";
        self.connect_record(name, "Geography", 1, || json!(shape_fields()))
    }

    fn geometry(&mut self) -> Value {
        self.connect_record("io.debezium.data.geometry.Geometry", "Geometry", 2, || {
            let [wkb, srid] = shape_fields();
            json!([wkb, srid, optional("extensions", &json!({"type": "map", "values": "string"}))])
        })
    }

    fn plain_shape(&mut self, name: &'static str) -> Value {
        self.record(name, || json!(shape_fields()))
    }

    /// The converter writes a map whose keys are no strings as an array of its entries.
    fn sparse_vector(&mut self) -> Value {
        let name = "io.debezium.data.SparseDoubleVector";
        self.connect_record(name, "Sparse double vector", 1, || {
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

    fn structured(&mut self, temporal: Temporal) -> Value {
        let name = match temporal {
            Temporal::Date => "io.debezium.time.StructuredDate",
            Temporal::Duration => "io.debezium.time.StructuredDuration",
            Temporal::Time => "io.debezium.time.StructuredTime",
            Temporal::Timestamp => "io.debezium.time.StructuredTimestamp",
            Temporal::ZonedTime => "io.debezium.time.StructuredZonedTime",
            Temporal::ZonedTimestamp => "io.debezium.time.StructuredZonedTimestamp",
        };
        let small = json!({"type": "int", "connect.type": "int8"});
        let schema = |part: &Part| match part {
            Part::SpecialValue | Part::ZoneId => json!("string"),
            Part::Second if temporal == Temporal::Duration => json!("long"),
            Part::Nanos | Part::OffsetSeconds | Part::Precision | Part::Year => json!("int"),
            _ if temporal == Temporal::Duration => json!("int"),
            _ => small.clone(),
        };
        let field = |part: &Part| optional(part.name(temporal), &schema(part));
        let fields = || structured::parts(temporal).iter().map(field).collect();
        self.connect_record(name, "", 1, fields)
    }

    fn variable_scale_decimal(&mut self) -> Value {
        self.connect_record(
            "io.debezium.data.VariableScaleDecimal",
            "Variable scaled decimal",
            1,
            || json!([{"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}]),
        )
    }

    /// A record, with what Kafka Connect knows of it.
    fn connect_record(
        &mut self,
        name: &'static str,
        doc: &str,
        version: u8,
        fields: impl FnOnce() -> Value,
    ) -> Value {
        let mut record = self.record(name, fields);
        if let Some(record) = record.as_object_mut() {
            if !doc.is_empty() {
                record.insert("connect.doc".to_owned(), json!(doc));
            }
            record.insert("connect.version".to_owned(), json!(version));
            record.insert("connect.name".to_owned(), json!(name));
        }
        record
    }

    /// A record's definition, or its name. Its namespace is not the enclosing record's, so a
    /// reference needs the full name.
    fn record(&mut self, name: &'static str, fields: impl FnOnce() -> Value) -> Value {
        let Some((namespace, short)) = name.rsplit_once('.').filter(|_| self.defined.insert(name))
        else {
            return json!(name);
        };
        json!({"type": "record", "name": short, "namespace": namespace, "fields": fields()})
    }
}

/// Removes Kafka Connect's attributes.
fn strip(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(strip),
        Value::Object(attributes) => {
            attributes.retain(|name, _| !name.starts_with("connect."));
            attributes.values_mut().for_each(strip);
        }
        _ => {}
    }
}

/// Debezium's names of what a primitive means.
fn meaning(layout: &Layout) -> Option<(&'static str, &'static str)> {
    Some(match layout {
        Layout::Date => ("int", "io.debezium.time.Date"),
        Layout::Duration => ("long", "io.debezium.time.MicroDuration"),
        Layout::DurationText => ("string", "io.debezium.time.Interval"),
        Layout::Hstore | Layout::Json => ("string", "io.debezium.data.Json"),
        Layout::IsoDate => ("string", "io.debezium.time.IsoDate"),
        Layout::IsoTime => ("string", "io.debezium.time.IsoTime"),
        Layout::IsoTimestamp => ("string", "io.debezium.time.IsoTimestamp"),
        Layout::MicroTime => ("long", "io.debezium.time.MicroTime"),
        Layout::MicroTimestamp => ("long", "io.debezium.time.MicroTimestamp"),
        Layout::MilliTime => ("int", "io.debezium.time.Time"),
        Layout::MilliTimestamp => ("long", "io.debezium.time.Timestamp"),
        Layout::NanoTime => ("long", "io.debezium.time.NanoTime"),
        Layout::NanoTimestamp => ("long", "io.debezium.time.NanoTimestamp"),
        Layout::Uuid => ("string", "io.debezium.data.Uuid"),
        Layout::Xml => ("string", "io.debezium.data.Xml"),
        Layout::ZonedTime => ("string", "io.debezium.time.ZonedTime"),
        Layout::ZonedTimestamp { .. } => ("string", "io.debezium.time.ZonedTimestamp"),
        _ => return None,
    })
}

/// Layouts that are what they are.
fn primitive(layout: &Layout) -> &'static str {
    match layout {
        Layout::Boolean => "boolean",
        Layout::Bytes => "bytes",
        Layout::Double => "double",
        Layout::Float => "float",
        Layout::Int32 => "int",
        Layout::Int64 => "long",
        // Text of something, and what the others do not name.
        _ => "string",
    }
}

fn optional(name: &str, schema: &Value) -> Value {
    json!({"name": name, "type": ["null", schema], "default": null})
}

/// A primitive with the name of what it means, version 1.
fn semantic(primitive: &str, name: &str) -> Value {
    json!({"type": primitive, "connect.version": 1, "connect.name": name})
}

fn shape_fields() -> [Value; 2] {
    [json!({"name": "wkb", "type": "bytes"}), optional("srid", &json!("int"))]
}

/// An array that is never null inside, with the name of what it means, version 1.
fn vector(items: &str, name: &str) -> Value {
    json!({"type": "array", "items": items, "connect.version": 1, "connect.name": name})
}

/// One of Kafka Connect's own types, which Avro has a logical type for.
fn connect(primitive: &str, name: &str, logical: &str) -> Value {
    json!({
        "type": primitive, "connect.version": 1,
        "connect.name": format!("org.apache.kafka.connect.data.{name}"),
        "logicalType": logical,
    })
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
