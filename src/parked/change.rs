//! The wire form of a parked change: what the stream said, and what a plan needs to make records of it.
//!
//! ```text
//! value   format: u8 = 1 │ more: u8, 1 = the change goes on in the table's next record │ piece …
//! change  kind: u8 │ epoch: u32 │ lsn: u64 │ commit LSN: u64 │ ordinal: u64 │ commit time: i64
//!         │ previous commit LSN: u64 │ xid: u32 │ relation: u32
//!         │ shape: i32, -1 = as before │ JSON │ gap: i32, -1 = none │ text │ message …
//! kind    'm' a pgoutput message of a row    't' truncate (no message)
//!         'r' a row that was read, 'p' one that was pending, 'a' a key of no row: as an Insert
//! ```
//!
//! It always fits: whatever a row has, these are the bytes that PostgreSQL has sent (with text in UTF-8),
//! in pieces that every broker takes.

use crate::change::{Change, Op, Xact};
use crate::position::{Lsn, Position, Xid};
use crate::wal::{self, Message, Reader, RelationId, Row};

/// The largest piece of a change in one record: brokers take 1 MiB unless they are told otherwise.
pub const PIECE_BYTES: usize = 512 << 10;

/// The format that this version writes.
const FORMAT: u8 = 1;

/// What stands in a record before a piece.
const HEAD_BYTES: usize = 2;

/// Bytes that are no parked change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A change ends before its last piece.
    #[error("it lacks its other pieces")]
    Incomplete,
    /// JSON that is not readable.
    #[error("it is not readable (line {line}, column {column})")]
    Json {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// It was written by a newer version.
    #[error(
        "it has format {found}, and this version reads up to {FORMAT}: it was written by a newer walbrook"
    )]
    NewerFormat {
        /// The format found.
        found: u32,
    },
    /// It is not readable.
    #[error(transparent)]
    Unreadable(#[from] wal::Error),
}

/// A parked change, read back.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    kind: Kind,
    epoch: u32,
    lsn: Lsn,
    position: Position,
    xact: Xact,
    relation: RelationId,
    /// The shape that its plan is made from, as JSON; `None` where that is the one before.
    pub shape: Option<&'a [u8]>,
    gap: Option<&'a str>,
    message: Option<Message<'a>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Absent,
    Message,
    Pending,
    Read,
    Truncate,
}

impl Kind {
    const ALL: [(u8, Self); 5] = [
        (b'a', Self::Absent),
        (b'm', Self::Message),
        (b'p', Self::Pending),
        (b'r', Self::Read),
        (b't', Self::Truncate),
    ];

    fn tag(self) -> u8 {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or(0, |(tag, _)| *tag)
    }
}

/// Appends a change of a table, with its shape if that is new. Logical messages are of no table, and
/// append nothing.
pub fn write(change: &Change<'_>, epoch: u32, shape: Option<&[u8]>, out: &mut Vec<u8>) {
    let (kind, relation, gap, row) = match change.op {
        Op::Absent { relation, gap, key, .. } => {
            (Kind::Absent, relation, Some(gap), Some(Row::insert(relation, key)))
        }
        Op::Delete { relation, old } => {
            (Kind::Message, relation, None, Some(Row::delete(relation, old)))
        }
        Op::Insert { relation, new } => {
            (Kind::Message, relation, None, Some(Row::insert(relation, new)))
        }
        Op::Message { .. } => return,
        Op::Pending { relation, new, .. } => {
            (Kind::Pending, relation, None, Some(Row::insert(relation, new)))
        }
        Op::Read { relation, gap, new, .. } => {
            (Kind::Read, relation, gap, Some(Row::insert(relation, new)))
        }
        Op::Truncate { relation, .. } => (Kind::Truncate, relation, None, None),
        Op::Update { relation, old, new } => {
            (Kind::Message, relation, None, Some(Row::update(relation, old, new)))
        }
    };
    let Xact { xid, commit_lsn, commit_time_us, previous_commit_lsn } = *change.xact;
    debug_assert_eq!(commit_lsn, change.position.commit_lsn, "a change is of its transaction");
    out.push(kind.tag());
    out.extend_from_slice(&epoch.to_be_bytes());
    out.extend_from_slice(&change.lsn.0.to_be_bytes());
    out.extend_from_slice(&commit_lsn.0.to_be_bytes());
    out.extend_from_slice(&change.position.ordinal.to_be_bytes());
    out.extend_from_slice(&commit_time_us.to_be_bytes());
    out.extend_from_slice(&previous_commit_lsn.0.to_be_bytes());
    out.extend_from_slice(&xid.0.to_be_bytes());
    out.extend_from_slice(&relation.0.to_be_bytes());
    sized(shape, out);
    sized(gap.map(str::as_bytes), out);
    if let Some(row) = row {
        let written = row.write(out);
        debug_assert!(written.is_ok(), "its values came in such a message");
    }
}

fn sized(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    let length = bytes.map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX));
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes.unwrap_or_default());
}

/// Appends the value of a record that holds a piece.
pub fn write_piece(piece: &[u8], has_more: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&[FORMAT, u8::from(has_more)]);
    out.extend_from_slice(piece);
}

/// Whether the change of a record's value goes on in the table's next one.
#[must_use]
pub fn has_more(value: &[u8]) -> bool {
    value.get(1) == Some(&1)
}

impl<'a> Kept<'a> {
    /// Reads a change whose pieces are joined.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let tag = reader.reading("parked change's kind").u8()?;
        let kind = Kind::ALL.iter().find(|(known, _)| *known == tag);
        let (_, kind) = *kind.ok_or_else(|| reader.unknown_tag(tag))?;
        let epoch = reader.reading("epoch").u32()?;
        let lsn = Lsn(reader.reading("LSN").u64()?);
        let commit_lsn = Lsn(reader.reading("commit LSN").u64()?);
        let ordinal = reader.reading("ordinal").u64()?;
        let commit_time_us = reader.reading("commit time").i64()?;
        let previous_commit_lsn = Lsn(reader.reading("previous commit LSN").u64()?);
        let xid = Xid(reader.reading("xid").u32()?);
        let relation = RelationId(reader.reading("relation").u32()?);
        let shape = optional(reader.reading("shape"))?;
        let gap = match optional(reader.reading("gap"))? {
            None => None,
            Some(gap) => Some(
                std::str::from_utf8(gap)
                    .map_err(|_| wal::Error::BadUtf8 { reading: "gap", offset: reader.offset() })?,
            ),
        };
        let message = match kind {
            Kind::Truncate => {
                reader.reading("parked truncate").finish()?;
                None
            }
            _ => Some(Message::parse(reader.rest())?),
        };
        let xact = Xact { xid, commit_lsn, commit_time_us, previous_commit_lsn };
        let position = Position { commit_lsn, ordinal };
        Ok(Self { kind, epoch, lsn, position, xact, relation, shape, gap, message })
    }

    /// The change, as it was; `None` if its message is not of its kind.
    #[must_use]
    pub fn change(&self) -> Option<Change<'_>> {
        let Self { kind, lsn, position, ref xact, relation, gap, .. } = *self;
        let (part, row) = (0, self.message);
        let op = match (kind, row) {
            (Kind::Truncate, None) => Op::Truncate { relation, part },
            (Kind::Absent, Some(Message::Insert { new: key, .. })) => {
                Op::Absent { relation, part, gap: gap.unwrap_or_default(), key }
            }
            (Kind::Pending, Some(Message::Insert { new, .. })) => {
                Op::Pending { relation, part, new }
            }
            (Kind::Read, Some(Message::Insert { new, .. })) => {
                Op::Read { relation, part, gap, new }
            }
            (Kind::Message, Some(Message::Delete { old, .. })) => Op::Delete { relation, old },
            (Kind::Message, Some(Message::Insert { new, .. })) => Op::Insert { relation, new },
            (Kind::Message, Some(Message::Update { old, new, .. })) => {
                Op::Update { relation, old, new }
            }
            _ => return None,
        };
        Some(Change { position, lsn, xact, op })
    }

    /// The epoch in which it was in the stream.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
}

fn optional<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, wal::Error> {
    match reader.i32()? {
        -1 => Ok(None),
        length => {
            let (offset, count) = (reader.offset(), i64::from(length));
            let bad = wal::Error::BadCount { reading: "length", offset, count };
            let length = usize::try_from(length).map_err(|_| bad)?;
            reader.bytes(length).map(Some)
        }
    }
}

/// Joins the pieces of a table's changes.
#[derive(Clone, Debug, Default)]
pub struct Joiner {
    bytes: Vec<u8>,
    is_open: bool,
}

impl Joiner {
    /// Takes the value of the table's next record; a change if that is its last piece.
    ///
    /// # Errors
    ///
    /// If it is something else, or of a newer format.
    pub fn push(&mut self, value: &[u8]) -> Result<Option<&[u8]>, Error> {
        if !std::mem::replace(&mut self.is_open, true) {
            self.bytes.clear();
        }
        let mut reader = Reader::new(value);
        let format = reader.reading("parked format").u8()?;
        if FORMAT < format {
            return Err(Error::NewerFormat { found: format.into() });
        }
        let more = reader.reading("parked flags").u8()?;
        if 1 < more {
            return Err(reader.unknown_tag(more).into());
        }
        self.bytes.extend_from_slice(value.get(HEAD_BYTES..).unwrap_or_default());
        self.is_open = more == 1;
        Ok((!self.is_open).then_some(self.bytes.as_slice()))
    }

    /// Whether a change waits for its other pieces.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }
}
