//! How a kind is represented in Avro: the one place that encoders and schemas both ask.

use crate::types::{Kind, Printed};

/// What the value of a column becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Representation {
    /// An array of nullable elements.
    Array {
        /// The elements' kind, by which they are decoded.
        element_kind: Box<Kind>,
        /// What each element becomes.
        element: Box<Self>,
    },
    /// `bytes`: bits, the last one the lowest of the first byte.
    Bits {
        /// The declared length.
        length: u32,
    },
    /// `boolean`.
    Boolean,
    /// `bytes`.
    Bytes,
    /// `int`: days since 1970-01-01.
    Date,
    /// `bytes` with the logical type `decimal`.
    Decimal {
        /// Digits in all, at least 1 and at least `scale`.
        precision: u16,
        /// Digits after the point.
        scale: u16,
    },
    /// `double`.
    Double,
    /// An array of doubles.
    DoubleVector,
    /// `long`: microseconds, a month counting 30.4375 days.
    Duration,
    /// An enum's label.
    Enum {
        /// All labels, comma-separated.
        allowed: String,
    },
    /// `float`.
    Float,
    /// An array of floats.
    FloatVector,
    /// A record of EWKB and SRID.
    Geography,
    /// A record of EWKB and SRID.
    Geometry,
    /// JSON text of an object of strings and nulls.
    Hstore,
    /// `int`, from a smallint.
    Int16,
    /// `int`.
    Int32,
    /// `long`.
    Int64,
    /// JSON text.
    Json,
    /// `long`: microseconds since midnight.
    MicroTime,
    /// `long`: microseconds since 1970-01-01 00:00, wall clock.
    MicroTimestamp,
    /// `int`: milliseconds since midnight.
    MilliTime,
    /// `long`: milliseconds since 1970-01-01 00:00, wall clock.
    MilliTimestamp,
    /// `bytes` with the logical type `decimal`: hundredths.
    Money,
    /// A record of two coordinates and their WKB.
    Point,
    /// Text, from either form.
    Printed {
        /// By which the binary form is read.
        kind: Kind,
        /// What it means, for types that Debezium has a name for.
        name: Option<&'static str>,
    },
    /// A record of dimensions and of elements by their indices.
    SparseVector,
    /// `string`.
    String,
    /// UUID text.
    Uuid,
    /// XML text.
    Xml,
    /// A record of scale and unscaled value.
    VariableScaleDecimal,
    /// ISO 8601 text of a time in UTC.
    ZonedTime,
    /// ISO 8601 text of a timestamp in UTC.
    ZonedTimestamp {
        /// Exactly so many digits of the second's fraction; none: as many as needed.
        digits: Option<u8>,
    },
}

impl Representation {
    pub(super) fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Array(element) => {
                Self::Array { element: Box::new(Self::of(element)), element_kind: element.clone() }
            }
            Kind::Bits { length: Some(1) } | Kind::Bool => Self::Boolean,
            Kind::Bits { length } => {
                Self::Bits { length: length.unwrap_or(i32::MAX.unsigned_abs()) }
            }
            Kind::Bytea => Self::Bytes,
            Kind::Date => Self::Date,
            Kind::Enum { labels } => Self::Enum { allowed: labels.join(",") },
            Kind::Float4 => Self::Float,
            Kind::Float8 => Self::Double,
            Kind::Geography => Self::Geography,
            Kind::Geometry => Self::Geometry,
            Kind::Halfvec => Self::FloatVector,
            Kind::Hstore => Self::Hstore,
            Kind::Int2 => Self::Int16,
            Kind::Int4 => Self::Int32,
            Kind::Int8 | Kind::Oid => Self::Int64,
            Kind::Interval => Self::Duration,
            Kind::Json | Kind::Jsonb => Self::Json,
            Kind::Money => Self::Money,
            Kind::Numeric { declared } => {
                declared.and_then(decimal).unwrap_or(Self::VariableScaleDecimal)
            }
            Kind::Other { .. } | Kind::Text => Self::String,
            Kind::Point => Self::Point,
            Kind::Printed(printed) => {
                let name = match printed {
                    Printed::Ltree => Some("io.debezium.data.Ltree"),
                    Printed::Tsvector => Some("io.debezium.data.Tsvector"),
                    _ => None,
                };
                Self::Printed { kind: kind.clone(), name }
            }
            Kind::Sparsevec => Self::SparseVector,
            Kind::Time { precision: Some(0..=3) } => Self::MilliTime,
            Kind::Time { .. } => Self::MicroTime,
            Kind::TimeTz => Self::ZonedTime,
            Kind::Timestamp { precision: Some(0..=3) } => Self::MilliTimestamp,
            Kind::Timestamp { .. } => Self::MicroTimestamp,
            // The JDBC driver calls the scale of an undeclared precision 6, and Debezium follows.
            Kind::TimestampTz { precision } => {
                let digits = precision.unwrap_or(6).min(6);
                Self::ZonedTimestamp { digits: (digits != 0).then_some(digits) }
            }
            Kind::Uuid => Self::Uuid,
            Kind::Vector => Self::DoubleVector,
            Kind::Xml => Self::Xml,
        }
    }
}

/// Avro's decimal wants 0 ≤ scale ≤ precision. PostgreSQL 15+ also allows a scale above the
/// precision (0.00012 is a numeric(2, 5)): declaring more precision loses nothing. A negative scale
/// has no such way out.
fn decimal((precision, scale): (u16, i16)) -> Option<Representation> {
    let scale = u16::try_from(scale).ok()?;
    Some(Representation::Decimal { precision: precision.max(scale).max(1), scale })
}
