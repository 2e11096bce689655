//! What a topic's records say of a table, held against what PostgreSQL says: for `walbrook verify`.
//!
//! ```text
//!  records ─▶ decode by their schema ─▶ text of each value ─┐
//!                     │                                     ├─▶ hash of the row ─▶ alike, or not
//!  rows ◀─ SQL that has PostgreSQL write the same text ─────┘
//! ```
//!
//! Nothing of what writes records is used to judge them. A value is read by the schema that it was
//! written with, and becomes a plain text (`Form`): of a timestamp its number of microseconds, of a
//! decimal its shortest digits. That the column has the same value says PostgreSQL, which computes the
//! same text from it (`Rule`). What has no rule is not judged, and that is told.
//!
//! Pure: no clock, no I/O. Of a table no more is kept than a hash of each key and row, and the key's
//! bytes.

mod decimal;
mod fold;
mod form;
mod inverse;
mod iso;
mod read;
mod rule;
mod schema;
mod table;

pub use fold::{Fold, Found, Point, Side};
pub use read::Error as ReadError;
pub use rule::BinaryText;
pub use schema::Error as SchemaError;
pub use table::{Column, Notation, Record, Schemas, Table};

#[cfg(test)]
mod tests;
