//! How the values of columns become fields: what the operator chooses.

/// How the values of columns become fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Values {
    /// Debezium's schemas, or Avro's own.
    pub representation: Representation,
    /// What becomes of a value that its field cannot hold.
    pub on_unrepresentable: OnUnrepresentable,
    /// What stands for an unchanged TOAST value, which the stream does not carry.
    pub on_unchanged: OnUnchanged,
    /// The placeholder of [`OnUnchanged::Placeholder`]: a text, or bytes as `hex:…`.
    pub unavailable_value: String,
}

impl Values {
    /// What Debezium puts where a value did not change.
    pub const UNAVAILABLE_VALUE: &str = "__debezium_unavailable_value";

    /// The same for the fields of a key, where a null in place of a value would make two rows one.
    #[must_use]
    pub fn of_keys(&self) -> Self {
        let on_unrepresentable = match self.on_unrepresentable {
            OnUnrepresentable::Null => OnUnrepresentable::Fail,
            other => other,
        };
        Self { on_unrepresentable, on_unchanged: OnUnchanged::Placeholder, ..self.clone() }
    }
}

impl Default for Values {
    fn default() -> Self {
        Self {
            representation: Representation::Debezium(Modes::default()),
            on_unrepresentable: OnUnrepresentable::Fail,
            on_unchanged: OnUnchanged::Placeholder,
            unavailable_value: Self::UNAVAILABLE_VALUE.to_owned(),
        }
    }
}

/// Whose schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Representation {
    /// Avro's logical types, and records where Avro has none.
    Avro,
    /// Debezium's, by its handling modes.
    Debezium(Modes),
}

/// Debezium's handling modes.
///
/// Source: <https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-data-types>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// `binary.handling.mode`.
    pub binary: BinaryMode,
    /// `decimal.handling.mode`.
    pub decimal: DecimalMode,
    /// How geometric types are written, for which Debezium has no mode.
    pub geometric: GeometricMode,
    /// `hstore.handling.mode`.
    pub hstore: HstoreMode,
    /// `interval.handling.mode`.
    pub interval: IntervalMode,
    /// `time.precision.mode`.
    pub time: TimeMode,
}

/// How `bytea` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BinaryMode {
    /// As Base64 text.
    Base64,
    /// As Base64 text for URLs.
    Base64UrlSafe,
    /// As bytes.
    #[default]
    Bytes,
    /// As hexadecimal digits.
    Hex,
}

/// How `numeric` and `money` are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalMode {
    /// As the nearest `double`.
    Double,
    /// As a decimal, exact.
    #[default]
    Precise,
    /// As text.
    String,
}

/// How `box`, `circle`, `line`, `lseg`, `path` and `polygon` are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GeometricMode {
    /// As records, as Debezium has them from version 3.7 on.
    #[default]
    Record,
    /// As PostgreSQL's text.
    Text,
}

/// How `hstore` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HstoreMode {
    /// As JSON text.
    #[default]
    Json,
    /// As a map.
    Map,
}

/// How `interval` is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalMode {
    /// As microseconds, a month counting 30.4375 days.
    #[default]
    Numeric,
    /// As ISO 8601 text.
    String,
}

/// How `date`, `time` and `timestamp` are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeMode {
    /// In milliseconds or microseconds, as the column's precision needs.
    #[default]
    Adaptive,
    /// The same, but `time` always in microseconds.
    AdaptiveTimeMicroseconds,
    /// As Kafka Connect's own types, in milliseconds.
    Connect,
    /// As ISO 8601 text.
    IsoString,
    /// In microseconds.
    Microseconds,
    /// In nanoseconds.
    Nanoseconds,
    /// As records of their parts, and so `timestamptz`, `timetz` and `interval`, too.
    Structured,
}

/// What becomes of a value that its field cannot hold: NaN, infinities, arrays of arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnrepresentable {
    /// It is refused, which parks its table.
    Fail,
    /// It becomes null.
    Null,
    /// It becomes PostgreSQL's text: the field is a union with `string`.
    Text,
}

/// What stands for an unchanged TOAST value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnchanged {
    /// Null.
    Null,
    /// The placeholder, for the types that have one; else null.
    Placeholder,
}
