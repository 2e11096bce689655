//! PostgreSQL's data types: OID and type modifier to [`Kind`], binary and text form to [`Datum`].
//!
//! One description per type serves the stream in binary mode, the stream in text mode, and
//! snapshot rows, so that the same value gives the same bytes by all roads. Pure: no clock, no log,
//! no allocation per value (but for text in quotes or with escapes, and `tsquery`).
//!
//! The text form depends on session settings: a session whose text is read here must apply
//! [`SESSION_SETTINGS`] first.
#![deny(clippy::indexing_slicing)]

mod array;
mod binary;
mod bits;
mod bytea;
mod catalog;
mod cursor;
mod datum;
mod ewkb;
mod figure;
mod hstore;
mod interval;
mod numeric;
mod print;
mod range;
mod text;
mod time;
mod vector;

#[cfg(test)]
mod tests;

pub use array::{Array, Element, Elements};
pub use binary::decode_binary;
pub use bits::Bits;
pub use bytea::Bytea;
use catalog::built_in;
pub use catalog::{TypeCatalog, TypeFacts, TypeShape};
pub use datum::{Datum, Error, Interval};
pub use ewkb::Ewkb;
pub use figure::{Figure, Points};
pub use hstore::Hstore;
pub use numeric::{Decimal, Numeric};
pub use print::{Printed, TextBuffer, print, write_text};
pub use range::{Multirange, Range};
pub use text::decode_text;
pub use time::{MICROS_PER_DAY, POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_MICROS, civil_from_days};
pub use vector::{Component, SparseVector, Vector};

/// The settings on which the text form depends, as parameter and value: what [`decode_text`] reads
/// is what a session prints that has them. They are start-up parameters or `SET` statements.
///
/// Source: <https://www.postgresql.org/docs/current/runtime-config-client.html>
pub const SESSION_SETTINGS: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "iso_8601"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
];

/// What a column's type means to us, resolved once per relation.
///
/// Source: <https://www.postgresql.org/docs/current/datatype.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A one-dimensional array of a kind (not of arrays).
    Array(Box<Self>),
    /// `bit(n)` and `varbit(n)`.
    Bits {
        /// The declared length, at least 1; `None` for a `varbit` without one.
        length: Option<u32>,
    },
    /// `boolean`.
    Bool,
    /// `bytea`.
    Bytea,
    /// `date`.
    Date,
    /// An enum type with its labels in sort order.
    Enum {
        /// The labels as the catalog has them now.
        labels: Vec<String>,
    },
    /// `real`.
    Float4,
    /// `double precision`.
    Float8,
    /// PostGIS' `geography`.
    Geography,
    /// PostGIS' `geometry`.
    Geometry,
    /// pgvector's `halfvec`.
    Halfvec,
    /// `hstore`.
    Hstore,
    /// `smallint`.
    Int2,
    /// `integer`.
    Int4,
    /// `bigint`.
    Int8,
    /// `interval`, with its declared precision.
    Interval {
        /// Digits of the second's fraction, 0 to 6; `None` is 6.
        precision: Option<u8>,
    },
    /// `json`.
    Json,
    /// `jsonb`.
    Jsonb,
    /// `money`.
    Money,
    /// `numeric`, with precision and scale where the column declares them.
    Numeric {
        /// `numeric(p, s)`: digits in all, and digits after the point (may be negative).
        declared: Option<(u16, i16)>,
    },
    /// `oid`, `xid` and `cid`: unsigned numbers of 32 bits.
    Oid,
    /// Any other type: PostgreSQL's text, which needs the slot to be read in text mode.
    Other {
        /// The type's name, for the warning.
        name: String,
    },
    /// `point`.
    Point,
    /// A type that is published as PostgreSQL's text, and whose binary form we can print.
    Printed(Printed),
    /// pgvector's `sparsevec`.
    Sparsevec,
    /// `text`, `varchar`, `char(n)`, `name`, `citext`, `refcursor`.
    Text,
    /// `time`, with its declared precision.
    Time {
        /// Digits of the second's fraction, 0 to 6; `None` is 6.
        precision: Option<u8>,
    },
    /// `time with time zone`, with its declared precision.
    TimeTz {
        /// Digits of the second's fraction, 0 to 6; `None` is 6.
        precision: Option<u8>,
    },
    /// `timestamp`, with its declared precision.
    Timestamp {
        /// Digits of the second's fraction, 0 to 6; `None` is 6.
        precision: Option<u8>,
    },
    /// `timestamp with time zone`, with its declared precision.
    TimestampTz {
        /// Digits of the second's fraction, 0 to 6; `None` where none is declared.
        precision: Option<u8>,
    },
    /// `uuid`.
    Uuid,
    /// pgvector's `vector`.
    Vector,
    /// `xml`.
    Xml,
}

impl Kind {
    /// Whether its values are dates, times or spans of time.
    #[must_use]
    pub fn is_temporal(&self) -> bool {
        matches!(
            self,
            Self::Date
                | Self::Interval { .. }
                | Self::Time { .. }
                | Self::TimeTz { .. }
                | Self::Timestamp { .. }
                | Self::TimestampTz { .. }
        )
    }

    /// Whether values of this kind can be read in their binary form.
    #[must_use]
    pub fn is_known(&self) -> bool {
        match self {
            Self::Array(element) => element.is_known(),
            Self::Other { .. } => false,
            Self::Printed(printed) => printed.parts().all(Self::is_known),
            _ => true,
        }
    }

    /// Whether values may be so long that PostgreSQL keeps them outside the row (TOAST), so that an
    /// update does not send them when they did not change.
    ///
    /// Source: <https://www.postgresql.org/docs/current/storage-toast.html>
    #[must_use]
    pub fn is_variable(&self) -> bool {
        match self {
            Self::Array(_)
            | Self::Bits { .. }
            | Self::Bytea
            | Self::Geography
            | Self::Geometry
            | Self::Halfvec
            | Self::Hstore
            | Self::Json
            | Self::Jsonb
            | Self::Numeric { .. }
            | Self::Other { .. }
            | Self::Sparsevec
            | Self::Text
            | Self::Vector
            | Self::Xml => true,
            Self::Bool
            | Self::Date
            | Self::Enum { .. }
            | Self::Float4
            | Self::Float8
            | Self::Int2
            | Self::Int4
            | Self::Int8
            | Self::Interval { .. }
            | Self::Money
            | Self::Oid
            | Self::Point
            | Self::Time { .. }
            | Self::TimeTz { .. }
            | Self::Timestamp { .. }
            | Self::TimestampTz { .. }
            | Self::Uuid => false,
            Self::Printed(printed) => printed.is_variable(),
        }
    }

    /// What stands between the elements of an array of this kind.
    ///
    /// Source: `typdelim` in <https://www.postgresql.org/docs/current/catalog-pg-type.html>
    fn delimiter(&self) -> u8 {
        match self {
            Self::Geography | Self::Geometry => b':',
            Self::Printed(Printed::Box) => b';',
            _ => b',',
        }
    }
}
