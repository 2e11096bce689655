//! What is asked for, and what comes: a table, a range of its keys, its rows and what they are as of.

use std::fmt;
use std::str::FromStr;

use crate::position::Lsn;
use crate::wal::{Relation, RelationId};

/// A table, as a snapshot reads it.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotTable<'a> {
    /// Its OID; of a partitioned table that is published by its root, the root's.
    pub relation: RelationId,
    /// The publications of the stream: they say which columns and rows there are.
    pub publications: &'a [String],
    /// The columns of the record's key, in their order. They are NOT NULL, and no two rows are alike
    /// in them (but where only a table's partitions see to that). None: the table is read at once.
    pub key: &'a [String],
    /// What else a row must meet, an SQL expression. Names outside of `pg_catalog` need their schema.
    pub condition: Option<&'a str>,
}

/// Which rows of a table make a chunk, and how large it may be.
#[derive(Clone, Copy, Debug)]
pub struct ChunkRequest<'a> {
    /// The table.
    pub table: SnapshotTable<'a>,
    /// The chunk begins behind this key; `None` at the table's first.
    pub after: Option<&'a Key>,
    /// It ends with this key; `None` with the table's last.
    pub to: Option<&'a Key>,
    /// And has these rows only, each key as a row of the stream that has no other columns; `None` is
    /// no bound.
    pub keys: Option<&'a [Box<[u8]>]>,
    /// It has no more rows (but those that are alike in their key come together).
    pub rows_max: u32,
    /// Nor more bytes, unless its first row has.
    pub bytes_max: usize,
    /// Whether values are in binary form where their type has one, as in a stream of that form.
    pub is_binary: bool,
}

/// The rows of a range of keys as of one moment.
#[derive(Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The table's shape then, as the stream would announce it.
    pub relation: Relation,
    /// Which transactions the rows have seen.
    pub seen: Seen,
    /// Every transaction that they have seen commits before this.
    pub end: Lsn,
    /// The server's clock then, in microseconds since 1970.
    pub taken_us: i64,
    /// The rows in the order of their keys, each as the stream carries it ([`crate::wal::Tuples`]).
    pub rows: Vec<u8>,
    /// How many rows.
    pub count: u32,
    /// The key of the last one.
    pub last: Option<Key>,
    /// Whether the range has no rows behind it.
    pub is_last: bool,
}

/// The values of a row's key columns, each as PostgreSQL's text. In a database without an encoding a
/// byte above 0x7F stands as `\ooo`, and a backslash twice.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(pub Vec<String>);

/// Which transactions a snapshot shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Those of this list, on a primary.
    Listed(Visibility),
    /// On a standby those that end at or before an LSN, and maybe some behind it.
    Replayed {
        /// What was replayed before the snapshot was taken.
        from: Lsn,
        /// No transaction shows whose commit record begins here or behind.
        to: Lsn,
    },
}

/// `pg_current_snapshot()`: transactions by their full ids, without subtransactions.
///
/// Source: <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visibility {
    /// Everything below has ended, and is seen if it committed.
    pub xmin: u64,
    /// Nothing from here on is seen.
    pub xmax: u64,
    /// What was in progress between the two, and is not seen; in rising order.
    pub xip: Vec<u64>,
}

/// A table in ranges of about as many rows each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// The last key of each range but the last; none where the table is small.
    pub splits: Vec<Key>,
    /// About how many rows the table has.
    pub rows: u64,
}

/// The text is not of the form `xmin:xmax:xid,xid`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a snapshot")]
pub struct VisibilityError;

impl FromStr for Visibility {
    type Err = VisibilityError;

    fn from_str(text: &str) -> Result<Self, VisibilityError> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| VisibilityError);
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().ok_or(VisibilityError);
        let (xmin, xmax, xip) = (number(part()?)?, number(part()?)?, part()?);
        let xip = match xip {
            "" => Vec::new(),
            some => some.split(',').map(number).collect::<Result<_, _>>()?,
        };
        Ok(Self { xmin, xmax, xip })
    }
}

impl fmt::Debug for Key {
    /// Never the values (I7).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} columns)", self.0.len())
    }
}

impl fmt::Debug for Chunk {
    /// Never the rows (I7).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("relation", &self.relation.id)
            .field("end", &self.end)
            .field("count", &self.count)
            .field("is_last", &self.is_last)
            .finish_non_exhaustive()
    }
}

/// Where the log ends, of where the next record would begin: at the end of a page that is behind the
/// header of the page that follows, which is not written before the record is. An idle server sends
/// up to the page's end.
///
/// Source: `XLogBytePosToRecPtr` and `XLogBytePosToEndRecPtr` in
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/access/transam/xlog.c>
pub(in super::super) fn log_end(insert: Lsn, block_bytes: u64, segment_bytes: u64) -> Lsn {
    let at = |size| insert.0.checked_rem(size);
    let header_bytes = match (at(segment_bytes), at(block_bytes)) {
        (Some(LONG_HEADER_BYTES), _) => LONG_HEADER_BYTES,
        (_, Some(SHORT_HEADER_BYTES)) => SHORT_HEADER_BYTES,
        _ => 0,
    };
    Lsn(insert.0 - header_bytes)
}

/// `SizeOfXLogShortPHD`.
const SHORT_HEADER_BYTES: u64 = 24;

/// `SizeOfXLogLongPHD`, of the first page of a segment.
pub(super) const LONG_HEADER_BYTES: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_read_from_its_text() {
        let visibility = |xmin, xmax, xip: &[u64]| Ok(Visibility { xmin, xmax, xip: xip.to_vec() });
        for (text, expect) in [
            ("10:20:10,14,15", visibility(10, 20, &[10, 14, 15])),
            ("4294967306:4294967306:", visibility((1 << 32) + 10, (1 << 32) + 10, &[])),
            ("", Err(VisibilityError)),
            ("10:20", Err(VisibilityError)),
            ("10:20:x", Err(VisibilityError)),
            ("10:20:1,", Err(VisibilityError)),
            ("-1:20:", Err(VisibilityError)),
        ] {
            assert_eq!(text.parse::<Visibility>(), expect, "{text}");
        }
    }

    #[test]
    fn the_end_of_the_log_is_before_a_header_that_is_not_written() {
        let (block, segment) = (8192, 16 << 20);
        for (insert, expect) in [
            (segment + 40, segment),
            (segment + 8192 + 24, segment + 8192),
            (segment + 8192 + 40, segment + 8192 + 40),
            (segment + 8192 + 32, segment + 8192 + 32),
            (segment + 48, segment + 48),
            (0, 0),
        ] {
            assert_eq!(log_end(Lsn(insert), block, segment), Lsn(expect), "{insert:x}");
        }
        // A server that says nonsense of itself.
        assert_eq!(log_end(Lsn(100), 0, 0), Lsn(100));
    }

    #[test]
    fn no_value_is_shown() {
        assert_eq!(format!("{:?}", Key(vec!["canary".to_owned()])), "Key(1 columns)");
    }
}
