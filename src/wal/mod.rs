//! Replication bytes to values and back: pure, borrowing, bounds-checked.
//!
//! Everything that comes off the wire is read through [`Reader`]; an unknown tag, a count that does
//! not fit and a trailing byte are errors that say what was found where. Nothing here reads a
//! clock, blocks, logs or allocates per row.
#![deny(clippy::indexing_slicing)]

mod frame;
mod message;
mod reader;
mod relation;
mod row;
mod session;
mod transcode;
mod tuple;

pub use frame::{Frame, status_update};
pub use message::{Message, OldTuple, OldTupleKind, RelationBody, RelationIds};
pub use reader::{Error, Reader};
pub use relation::{Relation, RelationColumn, RelationId, ReplicaIdentity};
pub use row::Row;
pub use session::{Session, Status};
pub use transcode::Transcoder;
pub use tuple::{Column, Columns, Tuple, Tuples};

#[cfg(test)]
mod tests;
