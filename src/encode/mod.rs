//! Values to Avro bytes or JSON text, chosen once per column, and the schemas that describe them.
//!
//! ```text
//! Kind ── Values ──▶ layout::Codec ──┬── schema, connect: what is declared
//!        (operator)  (kind, layout)  └── column ─▶ value, time, decimal: what is written,
//!                                         in avro or json (encoding::Encoding)
//! ```
//!
//! By default the representation is Debezium's, so that its consumers read on. Known departures, each
//! because the original loses or invents something:
//!
//! - numeric `NaN` and infinities, infinite dates, timestamps and intervals, and timestamps past the
//!   year 294246 are errors (or null or text, where configured), not a number that stands for
//!   something else; with numerics as text they are PostgreSQL's words, and records of a date's or a
//!   time's parts hold all but infinite intervals;
//! - `numeric(p, -s)` is a `VariableScaleDecimal`; `numeric(p, s)` with s > p declares precision s;
//! - arrays of enums have nullable elements; multi-dimensional arrays are errors, not nulls;
//! - an empty `varbit(1)`, which is a boolean, is an error;
//! - a `sparsevec` of more than 32,767 dimensions is an error;
//! - a field that may be null has no default: readers would put it where NULL was;
//! - arrays of `interval`, `name` and geometric types are published; types that Debezium leaves out
//!   (composites, multiranges, `tsquery`, `pg_lsn` …) are PostgreSQL's text.
//!
//! Pure: no clock, no log, no allocation per value but for numerics of more than 38 digits, parts of
//! compound values that need quotes, `tsquery`, array elements written with escapes, money as text
//! or double, and in JSON bytes that are not there as such.
#![deny(clippy::indexing_slicing)]

pub mod avro;
mod column;
pub mod connect;
mod decimal;
mod default;
mod encoding;
mod iso;
pub mod json;
mod layout;
mod naming;
mod placeholder;
pub mod schema;
mod spatial;
mod structured;
mod time;
mod value;
mod values;
mod vector;

#[cfg(test)]
mod tests;

pub use column::ColumnEncoder;
pub use default::constant as default_of;
pub use encoding::{Encoding, Notation};
pub use layout::{Wide, needs_null};
pub use naming::{Naming, is_topic_character};
pub use values::{
    BinaryMode, DecimalMode, GeometricMode, HstoreMode, IntervalMode, Modes, OnUnchanged,
    OnUnrepresentable, Representation, TimeMode, Values,
};

use crate::types;

/// Why a value has no place in the record. Never carries the value.
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
    /// A NULL where the schema has no null: the catalog said NOT NULL, the row knows better.
    #[error("a null in a column that was compiled as not null")]
    Null,
    /// A value that the stream leaves out because it did not change, of a type that has no
    /// placeholder, in a column that is not nullable.
    #[error("an unchanged value that the stream does not carry, in a column that is not null")]
    Unavailable,
    /// A composite value has an attribute of a type that was not in the catalog when the encoder was
    /// compiled. It may be there now.
    #[error(
        "an attribute of the type with OID {oid}, which the catalog does not name: replication.binary = \"never\" reads it as text"
    )]
    UnknownType {
        /// The attribute's type.
        oid: u32,
    },
    /// A special value that the column's schema cannot express.
    #[error("{what} has no representation in the column's schema")]
    Unrepresentable {
        /// What kind of special value.
        what: &'static str,
    },
}

impl Error {
    /// Whether the value is sound, and only its field cannot hold it.
    fn is_unrepresentable(&self) -> bool {
        matches!(self, Self::MultiDimensional { .. } | Self::Unrepresentable { .. })
    }
}

/// A database without an encoding has such text.
const NOT_UTF8: Error = Error::Unrepresentable { what: "text that is not UTF-8" };

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Malformed { what } => Self::Malformed { what },
            types::Error::MultiDimensional { dimensions } => Self::MultiDimensional { dimensions },
            types::Error::NotUtf8 { .. } => NOT_UTF8,
            types::Error::UnknownType { oid } => Self::UnknownType { oid },
        }
    }
}
