//! A row change: the narrow waist between what reads PostgreSQL and what writes Kafka.
//!
//! A change borrows the frame that it came in; it lives until it is encoded.

use std::fmt;

use crate::position::{Lsn, Position, Xid};
use crate::wal::{OldTuple, RelationId, Tuple};

/// What is known of a PostgreSQL transaction when its first change arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xact {
    /// The transaction id.
    pub xid: Xid,
    /// The LSN of its commit record.
    pub commit_lsn: Lsn,
    /// When it committed: microseconds since 1970-01-01 UTC.
    pub commit_time_us: i64,
    /// The commit LSN of the transaction before it in this stream; [`Lsn::ZERO`] when unknown
    /// (after a start). Debezium's `source.sequence` carries it.
    pub previous_commit_lsn: Lsn,
}

/// One change of a transaction, with its coordinate.
#[derive(Clone, Copy, Debug)]
pub struct Change<'a> {
    /// Where the change is.
    pub position: Position,
    /// The change's own LSN (XLogData's start); many changes can share it.
    pub lsn: Lsn,
    /// The transaction that it belongs to.
    pub xact: &'a Xact,
    /// What happened.
    pub op: Op<'a>,
}

/// What happened to a row, to tables, or in a logical message. Its `Debug` output shows no values
/// (I7).
#[derive(Clone, Copy)]
pub enum Op<'a> {
    /// A table was found not to have a row, where it is being repaired.
    Absent {
        /// The table.
        relation: RelationId,
        /// The first record's place among those of snapshots that enter here.
        part: u32,
        /// The gap that is repaired.
        gap: &'a str,
        /// A row that has the key and no other values.
        key: Tuple<'a>,
    },
    /// A row was deleted.
    Delete {
        /// Its table.
        relation: RelationId,
        /// What the replica identity kept of it.
        old: OldTuple<'a>,
    },
    /// A row was inserted.
    Insert {
        /// Its table.
        relation: RelationId,
        /// The row. `Unchanged` columns are legal here: a row filter turns updates into inserts.
        new: Tuple<'a>,
    },
    /// A transactional logical message (`pg_logical_emit_message(true, …)`).
    Message {
        /// The message's prefix.
        prefix: &'a str,
        /// The message's content.
        content: &'a [u8],
    },
    /// A row of an outbox was there when the slot was made, and is an event.
    Pending {
        /// Its table.
        relation: RelationId,
        /// The record's place among those that enter here.
        part: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// A row was there when a snapshot was taken.
    Read {
        /// Its table.
        relation: RelationId,
        /// The record's place among those of snapshots that enter here.
        part: u32,
        /// The gap that is repaired, if one is.
        gap: Option<&'a str>,
        /// The row.
        new: Tuple<'a>,
    },
    /// The table was truncated (one call per table; `part` tells several apart).
    Truncate {
        /// The table.
        relation: RelationId,
        /// The record's place among those of this change.
        part: u32,
    },
    /// A row was updated.
    Update {
        /// Its table.
        relation: RelationId,
        /// The old row or its identity, where the stream carries one.
        old: Option<OldTuple<'a>>,
        /// The new row.
        new: Tuple<'a>,
    },
}

impl fmt::Debug for Op<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { relation, .. } => write!(f, "Absent({relation})"),
            Self::Delete { relation, .. } => write!(f, "Delete({relation})"),
            Self::Insert { relation, .. } => write!(f, "Insert({relation})"),
            Self::Message { content, .. } => write!(f, "Message({} bytes)", content.len()),
            Self::Pending { relation, .. } => write!(f, "Pending({relation})"),
            Self::Read { relation, .. } => write!(f, "Read({relation})"),
            Self::Truncate { relation, part } => write!(f, "Truncate({relation}, {part})"),
            Self::Update { relation, .. } => write!(f, "Update({relation})"),
        }
    }
}
