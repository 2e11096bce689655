//! What is read at once: asked for by the machine, answered by who reads.

use super::key::Bound;
use super::visibility::Visibility;
use crate::position::Lsn;
use crate::wal::{Relation, RelationId};

/// The number of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChunkId(pub u64);

/// What is to be read now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// By which the answer is known.
    pub id: ChunkId,
    /// The table.
    pub relation: RelationId,
    /// The names of its key columns, in the key's order; none: the table is read at once.
    pub key: Vec<String>,
    /// Which of its rows.
    pub part: Part,
    /// And which of those, an SQL expression.
    pub condition: Option<String>,
    /// What a standby must have replayed before it is read there; on a primary nothing.
    pub replayed: Lsn,
}

/// Some rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those of these keys, each as the stream carries it.
    Keys(Vec<Box<[u8]>>),
    /// The first ones of a range, in the order of their keys.
    Range(Range),
}

/// The keys behind `after`, up to and with `to`; without a bound where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Range {
    /// Read already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Bound>,
    /// The last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Bound>,
}

/// What was read: rows as one snapshot shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The table's shape, under a lock that was taken before the snapshot.
    pub relation: Relation,
    /// Which transactions the snapshot shows.
    pub visibility: Visibility,
    /// What the snapshot shows was committed before it: the end of the log, asked for afterwards (of a
    /// standby as far as it had received the log).
    pub end: Lsn,
    /// When it was taken: microseconds since 1970-01-01 UTC.
    pub taken_us: i64,
    /// The rows, one behind the other, each as the stream carries one.
    pub rows: Vec<u8>,
    /// How many they are.
    pub count: u64,
    /// Where it ended; `None` if all that was asked for was read.
    pub last: Option<Bound>,
}

/// What enters the stream at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Without the rows that the stream has overtaken.
    pub chunk: Chunk,
    /// The gap that it repairs, if it does.
    pub gap: Option<String>,
    /// Keys that the table does not have, each as a row of it that has no other values.
    pub absent: Vec<u8>,
}
