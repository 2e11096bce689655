//! What the fields of a schema mean, told as a reader would tell it: from the schema, and from the
//! column's type where the schema alone says too little.

use serde_json::Value as Json;
use walbrook::encode::{BinaryMode, Representation};
use walbrook::types::{Kind, Printed};

/// What the values of a field mean.
#[derive(Debug)]
pub(super) enum Form {
    /// Elements, and what PostgreSQL writes between them.
    Array { element: Box<Self>, delimiter: &'static str },
    /// A boolean for a bit.
    Bit,
    /// Bits in bytes.
    Bits { length: usize },
    /// Bytes as text.
    BytesText(BinaryMode),
    /// Days since 1970-01-01.
    Date,
    /// An unscaled number.
    Decimal { scale: usize },
    /// The nearest double of a number that has more digits.
    Double,
    /// Microseconds of an interval.
    Duration,
    /// A record of a line, a circle, or of WKB and which type it is of.
    Figure,
    /// A record of EWKB and SRID.
    Geometry,
    /// A map, or a JSON object.
    Hstore,
    /// A record of an interval's parts.
    Interval,
    /// A date, or a date with a time, in ISO 8601's years.
    IsoMoment,
    /// An array of ranges.
    Multirange(Box<Self>),
    /// What PostgreSQL reads as it is shown.
    Plain,
    /// A record of coordinates.
    Point,
    /// A record of bounds.
    Range(Box<Self>),
    /// A record of dimensions, and of elements by their indices: in a map, or in two arrays.
    SparseVector { is_narrow: bool },
    /// A record of the parts of a date or time.
    Structured,
    /// A record of the parts of an interval.
    StructuredDuration,
    /// PostgreSQL's own text.
    Text,
    /// Time since midnight.
    Time(Unit),
    /// Microseconds since midnight, of which 24:00 is not one.
    TimeOfDay,
    /// Time since 1970-01-01 00:00.
    Timestamp(Unit),
    /// Microseconds since 1970-01-01 00:00 UTC.
    UtcMicros,
    /// A record of scale and unscaled number.
    VariableScaleDecimal,
    /// An array of numbers that is one value.
    Vector,
    /// A time in UTC, as text.
    ZonedTime,
}

/// What a time counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Micros,
    Millis,
    Nanos,
}

impl Form {
    /// What a schema, without the union with null, means for values of a kind.
    pub(super) fn of(schema: &Json, kind: &Kind, representation: Representation) -> Self {
        let inner = |schema: &Json, kind| Box::new(Self::of(&schema[1], kind, representation));
        match (kind, name(schema).as_str()) {
            (Kind::Array(kind), "array") => Self::Array {
                element: inner(&schema["items"], kind),
                delimiter: match **kind {
                    Kind::Geography | Kind::Geometry => ":",
                    Kind::Printed(Printed::Box) => ";",
                    _ => ",",
                },
            },
            (Kind::Bits { .. }, "boolean") => Self::Bit,
            (Kind::Bytea, "string") => match representation {
                Representation::Debezium(modes) => Self::BytesText(modes.binary),
                Representation::Avro => panic!("bytea as text: {schema}"),
            },
            (Kind::Geography | Kind::Geometry, name) if name.contains(".Geo") => Self::Geometry,
            (Kind::Hstore, "map" | "io.debezium.data.Json") => Self::Hstore,
            (Kind::Money | Kind::Numeric { .. }, "double") => Self::Double,
            (Kind::Money, "string") => Self::Plain,
            (Kind::Printed(_), name) if name.contains(".geometry.") => Self::Figure,
            (Kind::Printed(Printed::Multirange(kind)), "array") => {
                let bound = inner(&schema["items"]["fields"][0]["type"], kind);
                Self::Multirange(Box::new(Self::Range(bound)))
            }
            (Kind::Printed(Printed::Range(kind)), name) if name.ends_with("Range") => {
                Self::Range(inner(&schema["fields"][0]["type"], kind))
            }
            (Kind::Halfvec | Kind::Vector, _) => Self::Vector,
            (Kind::Sparsevec, name) => {
                Self::SparseVector { is_narrow: name == "io.debezium.data.SparseDoubleVector" }
            }
            (_, name) => Self::named(name, schema),
        }
    }

    fn named(name: &str, schema: &Json) -> Self {
        match name {
            "array" | "map" | "record" => panic!("{schema}"),
            "boolean" | "bytes" | "double" | "float" | "int" | "long" => Self::Plain,
            "date" | "io.debezium.time.Date" | "org.apache.kafka.connect.data.Date" => Self::Date,
            "decimal" | "org.apache.kafka.connect.data.Decimal" => {
                Self::Decimal { scale: schema["scale"].as_u64().unwrap().try_into().unwrap() }
            }
            "io.debezium.data.Bits" => {
                let length = schema["connect.parameters"]["length"].as_str();
                Self::Bits { length: length.unwrap().parse().unwrap() }
            }
            "io.debezium.data.Enum"
            | "io.debezium.data.Json"
            | "io.debezium.data.Ltree"
            | "io.debezium.data.Tsvector"
            | "io.debezium.data.Uuid"
            | "io.debezium.data.Xml"
            | "string"
            | "uuid" => Self::Text,
            "io.debezium.data.VariableScaleDecimal" => Self::VariableScaleDecimal,
            "io.debezium.data.geometry.Point" | "walbrook.Point" => Self::Point,
            "io.debezium.time.Interval" | "io.debezium.time.IsoTime" => Self::Plain,
            "io.debezium.time.IsoDate"
            | "io.debezium.time.IsoTimestamp"
            | "io.debezium.time.ZonedTimestamp" => Self::IsoMoment,
            "io.debezium.time.MicroDuration" => Self::Duration,
            "io.debezium.time.MicroTime" => Self::Time(Unit::Micros),
            "io.debezium.time.MicroTimestamp" | "local-timestamp-micros" => {
                Self::Timestamp(Unit::Micros)
            }
            "io.debezium.time.NanoTime" => Self::Time(Unit::Nanos),
            "io.debezium.time.NanoTimestamp" => Self::Timestamp(Unit::Nanos),
            "io.debezium.time.StructuredDuration" => Self::StructuredDuration,
            name if name.starts_with("io.debezium.time.Structured") => Self::Structured,
            "io.debezium.time.Time" | "org.apache.kafka.connect.data.Time" => {
                Self::Time(Unit::Millis)
            }
            "io.debezium.time.Timestamp" | "org.apache.kafka.connect.data.Timestamp" => {
                Self::Timestamp(Unit::Millis)
            }
            "io.debezium.time.ZonedTime" => Self::ZonedTime,
            "time-micros" => Self::TimeOfDay,
            "timestamp-micros" => Self::UtcMicros,
            "walbrook.Interval" => Self::Interval,
            name => panic!("what does {name} mean? {schema}"),
        }
    }

    /// That of the values in arrays and ranges, or itself.
    pub(super) fn leaf(&self) -> &Self {
        match self {
            Self::Array { element: inner, .. } | Self::Multirange(inner) | Self::Range(inner) => {
                inner.leaf()
            }
            form => form,
        }
    }
}

impl Unit {
    /// A number of these in microseconds.
    pub(super) fn micros(self, number: i128) -> i128 {
        match self {
            Self::Micros => number,
            Self::Millis => number * 1000,
            Self::Nanos => {
                assert_eq!(number % 1000, 0, "PostgreSQL has no nanoseconds");
                number / 1000
            }
        }
    }
}

/// The name of what a schema means, or of its type.
fn name(schema: &Json) -> String {
    if let (Some(namespace), Some(name)) = (schema["namespace"].as_str(), schema["name"].as_str()) {
        return format!("{namespace}.{name}");
    }
    let names = ["connect.name", "logicalType", "type"].map(|name| &schema[name]);
    names.into_iter().chain([schema]).find_map(Json::as_str).unwrap_or_default().to_owned()
}
