//! What stops the stream while its messages become records.

use crate::position::{Lsn, Position};
use crate::wal::RelationId;
use crate::{parked, plan};

/// What stops the stream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two transactions came in the wrong order, or a message outside or inside of one.
    #[error("the stream is out of order at {at}: {what}")]
    Disorder {
        /// The commit LSN where it was seen.
        at: Lsn,
        /// What was wrong.
        what: &'static str,
    },
    /// A record that is brought back is no parked change, or none of its table's.
    #[error("a record of what is parked is none of its table's changes")]
    NotParked,
    /// A parked change cannot be read.
    #[error("a record of what is parked cannot be used: {0}")]
    Parked(#[source] parked::Error),
    /// A plan could not be made or a change not encoded.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// What the slot sends again at the checkpoint's position is not what was there.
    #[error(
        "the checkpoint is at {position}, where {was} was read, but the slot now shows {found} there: publication, slot or server \
         are not the same (a server that was rolled back to an earlier state is not); compare, then `walbrook checkpoint accept --position {position} --reason …`"
    )]
    Resume {
        /// The checkpoint's position.
        position: Position,
        /// What was there.
        was: String,
        /// What is there now.
        found: String,
    },
    /// A column has a type that only text mode can carry.
    #[error("column {column} of {table} has type {type_name}, which needs the slot in text mode")]
    TextMode {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        type_name: String,
    },
    /// A row names a relation that was never announced.
    #[error("relation {0} was not announced in this stream")]
    UnknownRelation(RelationId),
}

impl Error {
    /// Whether reading the slot in text mode is the way out.
    #[must_use]
    pub fn needs_text(&self) -> bool {
        matches!(self, Self::TextMode { .. })
    }

    /// Whether it is about what a row or its table is, so that the stream before it is in no doubt.
    #[must_use]
    pub fn spares_complete(&self) -> bool {
        matches!(self, Self::Plan(_) | Self::TextMode { .. })
    }

    /// Whether it is about what was brought back.
    #[must_use]
    pub fn is_of_parked(&self) -> bool {
        matches!(self, Self::NotParked | Self::Parked(_))
    }

    /// Whether the checkpoint does not fit the stream.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Resume { .. })
    }
}
