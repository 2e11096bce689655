//! How the values of a kind are laid out in a record: the one place that encoders and schemas ask.

use super::values::{
    BinaryMode, DecimalMode, GeometricMode, HstoreMode, IntervalMode, Modes, OnUnchanged,
    OnUnrepresentable, Representation, TimeMode, Values,
};
use crate::types::{Kind, Printed};

/// How a value is read, and what it becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Codec {
    /// The kind by which both forms are read.
    pub(super) kind: Kind,
    /// What is written.
    pub(super) layout: Layout,
}

/// What the value of a column becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// An array of nullable elements.
    Array {
        /// What each element is.
        element: Box<Codec>,
    },
    /// Text of bytes: Base64 or hexadecimal digits.
    BinaryText(BinaryMode),
    /// `bytes`: bits, the last one the lowest of the first byte.
    Bits {
        /// The declared length.
        length: u32,
    },
    /// `boolean`.
    Boolean,
    /// `bytes`.
    Bytes,
    /// A record of a point and a radius.
    Circle,
    /// `int`: days since 1970-01-01, as Kafka Connect's own type.
    ConnectDate,
    /// `int`: milliseconds since midnight, as Kafka Connect's own type.
    ConnectTime,
    /// `long`: milliseconds since 1970-01-01 00:00, as Kafka Connect's own type.
    ConnectTimestamp,
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
    /// ISO 8601 text of an interval, with all its parts.
    DurationText,
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
    /// A record of EWKB or WKB, SRID, and what else is to be said.
    Geometry,
    /// JSON text of an object of strings and nulls.
    Hstore,
    /// A map of strings and nulls.
    HstoreMap,
    /// `int`, from a smallint.
    Int16,
    /// `int`.
    Int32,
    /// `long`.
    Int64,
    /// A record of months, days and microseconds.
    IntervalParts,
    /// ISO 8601 text of a date, `2024-05-17Z`.
    IsoDate,
    /// ISO 8601 text of a time, `13:37:00Z`.
    IsoTime,
    /// ISO 8601 text of a timestamp, `2024-05-17T13:37:00Z`.
    IsoTimestamp,
    /// JSON text.
    Json,
    /// A record of three coefficients.
    Line,
    /// `long`: microseconds since midnight.
    MicroTime,
    /// `long`: microseconds since 1970-01-01 00:00, wall clock.
    MicroTimestamp,
    /// `long`: microseconds since midnight, of which 24:00 is not one: no reader's time of day is.
    MicrosOfDay,
    /// `int`: milliseconds since midnight.
    MilliTime,
    /// `long`: milliseconds since 1970-01-01 00:00, wall clock.
    MilliTimestamp,
    /// `bytes` with the logical type `decimal`: hundredths.
    Money,
    /// Text of hundredths, `-1234.56`.
    MoneyText,
    /// `long`: nanoseconds since midnight.
    NanoTime,
    /// `long`: nanoseconds since 1970-01-01 00:00, wall clock.
    NanoTimestamp,
    /// A record of EWKB and SRID.
    PlainGeometry,
    /// A record of two coordinates.
    PlainPoint,
    /// Debezium's: two coordinates, their WKB, and no SRID.
    Point,
    /// Text, from either form.
    Printed {
        /// What it means, for types that Debezium has a name for.
        name: Option<&'static str>,
    },
    /// A record of two bounds.
    Range {
        /// What each bound is.
        element: Box<Codec>,
        /// What the record is called.
        name: &'static str,
    },
    /// An array of such records.
    Ranges {
        /// What each bound is.
        element: Box<Codec>,
        /// What the record is called.
        name: &'static str,
    },
    /// A record of dimensions, and of the indices and the values of elements.
    SparseParts,
    /// Debezium's: a record of the parts of a date, time, timestamp or interval.
    Structured {
        /// Which of them.
        temporal: Temporal,
        /// Digits of the second's fraction, as declared.
        precision: u8,
    },
    /// Debezium's: a record of dimensions and of a map of elements by their indices.
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
    /// `long`: microseconds since 1970-01-01 00:00 UTC.
    UtcMicros,
}

/// A number that readers have as a wider one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wide {
    /// A decimal of at least so many digits, and of so many behind the point, of one that has no more
    /// there.
    Decimal {
        /// Digits in all.
        precision: u16,
        /// Digits behind the point.
        scale: u16,
    },
    /// `double`, of a `float`.
    Double,
    /// `long`, of an `int`: the bytes are the same.
    Long,
}

/// What a structured value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Temporal {
    Date,
    Duration,
    Time,
    Timestamp,
    ZonedTime,
    ZonedTimestamp,
}

impl Codec {
    pub(super) fn of(kind: &Kind, representation: Representation) -> Self {
        match representation {
            Representation::Avro => Self::native(kind),
            Representation::Debezium(modes) => Self::debezium(kind, modes),
        }
    }

    /// The same as a wider number, if it is one.
    pub(super) fn widened(self, wide: Option<Wide>) -> Self {
        let layout = match (wide, self.layout) {
            (
                Some(Wide::Decimal { precision: least, scale: wide }),
                Layout::Decimal { precision, scale },
            ) if scale <= wide => {
                Layout::Decimal { precision: least.max(precision + (wide - scale)), scale: wide }
            }
            (Some(Wide::Double), Layout::Float) => Layout::Double,
            (Some(Wide::Long), Layout::Int16 | Layout::Int32) => Layout::Int64,
            (_, layout) => layout,
        };
        Self { layout, ..self }
    }

    /// PostgreSQL's text of a kind.
    fn text(kind: &Kind) -> Self {
        let kind = match kind {
            Kind::Other { .. } | Kind::Printed(_) => kind.clone(),
            kind => Kind::Printed(Printed::Of(Box::new(kind.clone()))),
        };
        Self { kind, layout: Layout::Printed { name: None } }
    }

    fn debezium(kind: &Kind, modes: Modes) -> Self {
        let structured = structured(kind).filter(|_| modes.time == TimeMode::Structured);
        let layout = match kind {
            Kind::Array(element) => {
                Layout::Array { element: Box::new(Self::debezium(element, modes)) }
            }
            Kind::Bytea => match modes.binary {
                BinaryMode::Bytes => Layout::Bytes,
                mode => Layout::BinaryText(mode),
            },
            Kind::Date => date(modes.time),
            Kind::Hstore => match modes.hstore {
                HstoreMode::Json => Layout::Hstore,
                HstoreMode::Map => Layout::HstoreMap,
            },
            Kind::Interval { .. } => match modes.interval {
                IntervalMode::Numeric => Layout::Duration,
                IntervalMode::String => Layout::DurationText,
            },
            Kind::Money => match modes.decimal {
                DecimalMode::Double => Layout::Double,
                DecimalMode::Precise => Layout::Money,
                DecimalMode::String => Layout::MoneyText,
            },
            Kind::Numeric { declared } => match modes.decimal {
                DecimalMode::Double => Layout::Double,
                DecimalMode::Precise => {
                    declared.and_then(decimal).unwrap_or(Layout::VariableScaleDecimal)
                }
                DecimalMode::String => return Self::text(kind),
            },
            Kind::Printed(printed) if modes.geometric == GeometricMode::Record => {
                figure(printed).unwrap_or_else(|| debezium_only(kind))
            }
            Kind::Time { precision } => time(modes.time, precision.unwrap_or(6)),
            Kind::Timestamp { precision } => timestamp(modes.time, precision.unwrap_or(6)),
            _ => debezium_only(kind),
        };
        Self { kind: kind.clone(), layout: structured.unwrap_or(layout) }
    }

    /// Avro's logical types; what has none is a record, or text.
    fn native(kind: &Kind) -> Self {
        let layout = match kind {
            Kind::Array(element) => Layout::Array { element: Box::new(Self::native(element)) },
            Kind::Bits { .. } | Kind::TimeTz { .. } => return Self::text(kind),
            Kind::Enum { .. } | Kind::Json | Kind::Jsonb | Kind::Xml => Layout::String,
            Kind::Geometry => Layout::PlainGeometry,
            Kind::Hstore => Layout::HstoreMap,
            Kind::Int2 => Layout::Int32,
            Kind::Point => Layout::PlainPoint,
            Kind::Interval { .. } => Layout::IntervalParts,
            Kind::Numeric { declared } => match declared.and_then(native_decimal) {
                Some(layout) => layout,
                None => return Self::text(kind),
            },
            Kind::Printed(Printed::Multirange(element)) => match Self::bound(element) {
                Some((element, name)) => Layout::Ranges { element, name },
                None => return Self::text(kind),
            },
            Kind::Printed(Printed::Range(element)) => match Self::bound(element) {
                Some((element, name)) => Layout::Range { element, name },
                None => return Self::text(kind),
            },
            Kind::Printed(_) => return Self::text(kind),
            Kind::Sparsevec => Layout::SparseParts,
            Kind::Time { .. } => Layout::MicrosOfDay,
            Kind::Timestamp { .. } => Layout::MicroTimestamp,
            Kind::TimestampTz { .. } => Layout::UtcMicros,
            Kind::Vector => Layout::FloatVector,
            Kind::Bool
            | Kind::Bytea
            | Kind::Date
            | Kind::Float4
            | Kind::Float8
            | Kind::Geography
            | Kind::Halfvec
            | Kind::Int4
            | Kind::Int8
            | Kind::Money
            | Kind::Oid
            | Kind::Other { .. }
            | Kind::Text
            | Kind::Uuid => return Self::debezium(kind, Modes::default()),
        };
        Self { kind: kind.clone(), layout }
    }

    /// What the bounds of a range become, and the name of their record; a schema defines a name
    /// once, so there is none for bounds that are not always the same.
    fn bound(element: &Kind) -> Option<(Box<Self>, &'static str)> {
        let element = Self::native(element);
        let name = match element.layout {
            Layout::Date => "DateRange",
            Layout::Double => "DoubleRange",
            Layout::Float => "FloatRange",
            Layout::Int32 => "IntRange",
            Layout::Int64 => "LongRange",
            Layout::MicrosOfDay => "TimeRange",
            Layout::MicroTimestamp => "LocalTimestampRange",
            Layout::Printed { .. } | Layout::String => "StringRange",
            Layout::UtcMicros => "TimestampRange",
            Layout::Uuid => "UuidRange",
            _ => return None,
        };
        Some((Box::new(element), name))
    }

    /// Whether PostgreSQL's text stands for values that the layout cannot hold.
    pub(super) fn has_text(&self, on_unrepresentable: OnUnrepresentable) -> bool {
        on_unrepresentable == OnUnrepresentable::Text && self.is_partial()
    }

    /// Whether PostgreSQL has values of this kind that the layout cannot hold.
    fn is_partial(&self) -> bool {
        match &self.layout {
            // Of one dimension, while values may have several.
            Layout::Array { .. }
            | Layout::ConnectDate
            | Layout::ConnectTimestamp
            | Layout::Date
            | Layout::Decimal { .. }
            | Layout::Duration
            | Layout::IntervalParts
            | Layout::MicroTimestamp
            | Layout::MicrosOfDay
            | Layout::MilliTimestamp
            | Layout::NanoTimestamp
            | Layout::SparseVector
            | Layout::Structured { temporal: Temporal::Duration, .. }
            | Layout::UtcMicros
            | Layout::VariableScaleDecimal => true,
            // A varbit(1) may be empty.
            Layout::Boolean => matches!(self.kind, Kind::Bits { .. }),
            Layout::Range { element, .. } | Layout::Ranges { element, .. } => element.is_partial(),
            Layout::BinaryText(_)
            | Layout::Bits { .. }
            | Layout::Bytes
            | Layout::Circle
            | Layout::ConnectTime
            | Layout::Double
            | Layout::DoubleVector
            | Layout::DurationText
            | Layout::Enum { .. }
            | Layout::Float
            | Layout::FloatVector
            | Layout::Geography
            | Layout::Geometry
            | Layout::Hstore
            | Layout::HstoreMap
            | Layout::Int16
            | Layout::Int32
            | Layout::Int64
            | Layout::IsoDate
            | Layout::IsoTime
            | Layout::IsoTimestamp
            | Layout::Json
            | Layout::Line
            | Layout::MicroTime
            | Layout::MilliTime
            | Layout::Money
            | Layout::MoneyText
            | Layout::NanoTime
            | Layout::PlainGeometry
            | Layout::PlainPoint
            | Layout::Point
            | Layout::Printed { .. }
            | Layout::SparseParts
            | Layout::String
            | Layout::Structured { .. }
            | Layout::Uuid
            | Layout::Xml
            | Layout::ZonedTime
            | Layout::ZonedTimestamp { .. } => false,
        }
    }
}

/// Whether a column that is not null must have an optional field all the same, since a null may
/// have to stand for one of its values, or since Debezium declares it so.
#[must_use]
pub fn needs_null(kind: &Kind, values: &Values) -> bool {
    let codec = Codec::of(kind, values.representation);
    let unrepresentable =
        values.on_unrepresentable == OnUnrepresentable::Null && codec.is_partial();
    let is_debeziums = matches!(codec.layout, Layout::Circle | Layout::Geometry | Layout::Line);
    unrepresentable
        || is_debeziums
        || (values.on_unchanged == OnUnchanged::Null && kind.is_variable())
}

/// What no mode changes.
fn debezium_only(kind: &Kind) -> Layout {
    match kind {
        Kind::Bits { length: Some(1) } | Kind::Bool => Layout::Boolean,
        Kind::Bits { length } => Layout::Bits { length: length.unwrap_or(i32::MAX.unsigned_abs()) },
        Kind::Enum { labels } => Layout::Enum { allowed: labels.join(",") },
        Kind::Float4 => Layout::Float,
        Kind::Float8 => Layout::Double,
        Kind::Geography => Layout::Geography,
        Kind::Geometry => Layout::Geometry,
        Kind::Halfvec => Layout::FloatVector,
        Kind::Int2 => Layout::Int16,
        Kind::Int4 => Layout::Int32,
        Kind::Int8 | Kind::Oid => Layout::Int64,
        Kind::Json | Kind::Jsonb => Layout::Json,
        Kind::Point => Layout::Point,
        Kind::Printed(printed) => {
            let name = match printed {
                Printed::Ltree => Some("io.debezium.data.Ltree"),
                Printed::Tsvector => Some("io.debezium.data.Tsvector"),
                _ => None,
            };
            Layout::Printed { name }
        }
        Kind::Sparsevec => Layout::SparseVector,
        Kind::TimeTz { .. } => Layout::ZonedTime,
        // The JDBC driver calls the scale of an undeclared precision 6, and Debezium follows.
        Kind::TimestampTz { precision } => {
            let digits = precision.unwrap_or(6).min(6);
            Layout::ZonedTimestamp { digits: (digits != 0).then_some(digits) }
        }
        Kind::Uuid => Layout::Uuid,
        Kind::Vector => Layout::DoubleVector,
        Kind::Xml => Layout::Xml,
        // And the others, which have modes and do not come here.
        _ => Layout::String,
    }
}

/// A record for a geometric type; a point, which is one anyway, is not among them.
fn figure(printed: &Printed) -> Option<Layout> {
    Some(match printed {
        Printed::Box | Printed::Lseg | Printed::Path | Printed::Polygon => Layout::Geometry,
        Printed::Circle => Layout::Circle,
        Printed::Line => Layout::Line,
        _ => return None,
    })
}

/// The record of a date, time, timestamp or interval.
fn structured(kind: &Kind) -> Option<Layout> {
    let (temporal, precision) = match kind {
        Kind::Date => (Temporal::Date, None),
        Kind::Interval { precision } => (Temporal::Duration, *precision),
        Kind::Time { precision } => (Temporal::Time, *precision),
        Kind::TimeTz { precision } => (Temporal::ZonedTime, *precision),
        Kind::Timestamp { precision } => (Temporal::Timestamp, *precision),
        Kind::TimestampTz { precision } => (Temporal::ZonedTimestamp, *precision),
        _ => return None,
    };
    Some(Layout::Structured { temporal, precision: precision.unwrap_or(6) })
}

fn date(mode: TimeMode) -> Layout {
    match mode {
        TimeMode::Connect => Layout::ConnectDate,
        TimeMode::IsoString => Layout::IsoDate,
        TimeMode::Adaptive
        | TimeMode::AdaptiveTimeMicroseconds
        | TimeMode::Microseconds
        | TimeMode::Nanoseconds
        | TimeMode::Structured => Layout::Date,
    }
}

fn time(mode: TimeMode, precision: u8) -> Layout {
    match mode {
        TimeMode::Adaptive if precision <= 3 => Layout::MilliTime,
        TimeMode::Adaptive
        | TimeMode::AdaptiveTimeMicroseconds
        | TimeMode::Microseconds
        | TimeMode::Structured => Layout::MicroTime,
        TimeMode::Connect => Layout::ConnectTime,
        TimeMode::IsoString => Layout::IsoTime,
        TimeMode::Nanoseconds => Layout::NanoTime,
    }
}

fn timestamp(mode: TimeMode, precision: u8) -> Layout {
    match mode {
        TimeMode::Adaptive | TimeMode::AdaptiveTimeMicroseconds if precision <= 3 => {
            Layout::MilliTimestamp
        }
        TimeMode::Adaptive
        | TimeMode::AdaptiveTimeMicroseconds
        | TimeMode::Microseconds
        | TimeMode::Structured => Layout::MicroTimestamp,
        TimeMode::Connect => Layout::ConnectTimestamp,
        TimeMode::IsoString => Layout::IsoTimestamp,
        TimeMode::Nanoseconds => Layout::NanoTimestamp,
    }
}

/// Avro's decimal wants 0 ≤ scale ≤ precision. PostgreSQL 15+ also allows a scale above the
/// precision (0.00012 is a numeric(2, 5)): declaring more precision loses nothing. A negative scale
/// has no such way out in Debezium's schemas.
fn decimal((precision, scale): (u16, i16)) -> Option<Layout> {
    let scale = u16::try_from(scale).ok()?;
    Some(Layout::Decimal { precision: precision.max(scale).max(1), scale })
}

/// The same, where a negative scale counts as digits before the point.
fn native_decimal((precision, scale): (u16, i16)) -> Option<Layout> {
    decimal((precision, scale)).or_else(|| {
        let precision = precision.saturating_add(scale.unsigned_abs());
        Some(Layout::Decimal { precision, scale: 0 })
    })
}
