//! The value model: what both forms of a value are read into. Borrows the frame; copies nothing.

use super::{Array, Bits, Bytea, Ewkb, Hstore, Numeric, SparseVector, Vector};

/// One value, not NULL, of a [`Kind`](super::Kind).
///
/// Dates and times keep PostgreSQL's epoch (2000-01-01) and its sentinels for infinity, so that no
/// value that the server can hold is lost before an encoder decides what it can express.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Datum<'a> {
    /// A one-dimensional array; its elements are decoded by whoever walks it.
    Array(Array<'a>),
    /// `bit` and `varbit`.
    Bits(Bits<'a>),
    /// `boolean`.
    Bool(bool),
    /// `bytea`.
    Bytea(Bytea<'a>),
    /// `date`: days since 2000-01-01; `i32::MIN` and `i32::MAX` are −infinity and infinity.
    Date(i32),
    /// `real`; every NaN is the same NaN.
    Float4(f32),
    /// `double precision`; every NaN is the same NaN.
    Float8(f64),
    /// `geometry` and `geography`.
    Geometry(Ewkb<'a>),
    /// `hstore`.
    Hstore(Hstore<'a>),
    /// `smallint`.
    Int2(i16),
    /// `integer`.
    Int4(i32),
    /// `bigint`, and unsigned numbers of 32 bits.
    Int8(i64),
    /// `interval`.
    Interval(Interval),
    /// `money`: hundredths.
    Money(i64),
    /// `numeric`.
    Numeric(Numeric<'a>),
    /// `point`.
    Point {
        /// The first coordinate.
        x: f64,
        /// The second one.
        y: f64,
    },
    /// The binary form of a type that is published as text: [`print`](super::print) gives that.
    Printed(&'a [u8]),
    /// `sparsevec`.
    SparseVector(SparseVector<'a>),
    /// Every type whose value is text: the strings, enums, json, jsonb, and types we do not know.
    Text(&'a str),
    /// `time`: microseconds since midnight, up to and including 24:00:00.
    Time(i64),
    /// `time with time zone`.
    TimeTz {
        /// Microseconds since local midnight, up to and including 24:00:00.
        micros: i64,
        /// Seconds to add to the local time to get UTC (PostgreSQL counts west of Greenwich).
        west_seconds: i32,
    },
    /// `timestamp`: microseconds since 2000-01-01 00:00; `i64::MIN` and `i64::MAX` are −infinity
    /// and infinity.
    Timestamp(i64),
    /// `timestamp with time zone`: the same, in UTC.
    TimestampTz(i64),
    /// `uuid`.
    Uuid([u8; 16]),
    /// `vector` and `halfvec`.
    Vector(Vector<'a>),
}

/// An `interval`. Infinity (PostgreSQL 17+) has all three fields at their largest, −infinity all
/// three at their smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Months, years included.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Microseconds.
    pub micros: i64,
}

impl Interval {
    /// `infinity`.
    pub const INFINITY: Self = Self { months: i32::MAX, days: i32::MAX, micros: i64::MAX };
    /// `-infinity`.
    pub const NEGATIVE_INFINITY: Self = Self { months: i32::MIN, days: i32::MIN, micros: i64::MIN };
}

/// Why a value's bytes are not a value of its kind. Never carries the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not the form that PostgreSQL documents or prints.
    #[error("malformed {what}")]
    Malformed {
        /// Which form of which type.
        what: &'static str,
    },
    /// An array of more than one dimension, which has no place in a schema of one.
    #[error("an array of {dimensions} dimensions where only one is supported")]
    MultiDimensional {
        /// How many dimensions the value has.
        dimensions: u32,
    },
    /// Text in another encoding than UTF-8: the database has none (SQL_ASCII), so the server takes any
    /// bytes and sends them as they are.
    #[error("{what} that is not UTF-8")]
    NotUtf8 {
        /// Text of which type.
        what: &'static str,
    },
    /// A composite value has an attribute of a type that its kind does not know: the composite type
    /// was changed before or after its kind was read from the catalog.
    #[error(
        "an attribute of the type with OID {oid}, which the catalog does not name: replication.binary = \"never\" reads it as text"
    )]
    UnknownType {
        /// The attribute's type.
        oid: u32,
    },
}

/// Shorthand for the many places that find bytes out of form.
pub(super) fn malformed<T>(what: &'static str) -> Result<T, Error> {
    Err(Error::Malformed { what })
}

/// Reads UTF-8 text.
pub(super) fn utf8<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8 { what })
}
