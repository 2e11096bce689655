//! Replication frames: what a CopyData of the stream holds, and what we answer.
//!
//! ```text
//! XLogData      'w' │ start: u64 │ end: u64 │ sent: i64 │ body …
//! keep-alive    'k' │ end: u64 │ sent: i64 │ reply requested: u8
//! status update 'r' │ received: u64 │ flushed: u64 │ applied: u64 │ sent: i64 │ reply: u8
//! ```
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-replication.html>

use std::fmt;

use super::reader::{Error, Reader};
use crate::position::Lsn;

/// What the server sends in one CopyData. Its `Debug` output never shows the body (I7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// `k`: how far the server is, so that an idle stream is known to be alive.
    Keepalive {
        /// Every commit that ends at or before it was sent earlier. Not monotonic: after a start it
        /// falls back to the neighbourhood of the slot's `restart_lsn`.
        wal_end: Lsn,
        /// When it was sent: microseconds since 1970-01-01 UTC.
        sent_us: i64,
        /// Whether the server wants a status update at once.
        reply_requested: bool,
    },
    /// `w`: one message of the output plugin.
    XLogData {
        /// The LSN of the WAL record behind the message; many changes can share it. Relation and
        /// Type messages have 0/0, and so has a Begin that an Origin follows.
        start: Lsn,
        /// In logical replication the same as `start`, not the end of the WAL.
        end: Lsn,
        /// When it was sent: microseconds since 1970-01-01 UTC.
        sent_us: i64,
        /// The message.
        body: &'a [u8],
    },
}

impl<'a> Frame<'a> {
    /// Reads one frame: the payload of one CopyData.
    ///
    /// # Errors
    ///
    /// If the bytes are not exactly one frame.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let tag = reader.reading("frame tag").u8()?;
        match tag {
            b'k' => {
                let wal_end = lsn(&mut reader, "keep-alive end LSN")?;
                let sent_us = time_us(&mut reader, "keep-alive send time")?;
                let reply_requested = match reader.reading("keep-alive reply flag").u8()? {
                    0 => false,
                    1 => true,
                    other => return Err(reader.unknown_tag(other)),
                };
                reader.reading("keep-alive").finish()?;
                Ok(Frame::Keepalive { wal_end, sent_us, reply_requested })
            }
            b'w' => {
                let start = lsn(&mut reader, "XLogData start LSN")?;
                let end = lsn(&mut reader, "XLogData end LSN")?;
                let sent_us = time_us(&mut reader, "XLogData send time")?;
                Ok(Frame::XLogData { start, end, sent_us, body: reader.rest() })
            }
            _ => Err(reader.unknown_tag(tag)),
        }
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Frame::Keepalive { wal_end, sent_us, reply_requested } => f
                .debug_struct("Keepalive")
                .field("wal_end", wal_end)
                .field("sent_us", sent_us)
                .field("reply_requested", reply_requested)
                .finish(),
            Frame::XLogData { start, end, sent_us, body } => f
                .debug_struct("XLogData")
                .field("start", start)
                .field("end", end)
                .field("sent_us", sent_us)
                .field("body_bytes", &body.len())
                .finish(),
        }
    }
}

/// Writes a standby status update, the payload of one CopyData. `flushed` is what is confirmed.
///
/// `now_us` is microseconds since 1970-01-01 UTC; `reply` asks the server for a keep-alive.
#[must_use]
pub fn status_update(
    received: Lsn,
    flushed: Lsn,
    applied: Lsn,
    now_us: i64,
    reply: bool,
) -> [u8; 34] {
    let mut update = [0; 34];
    let sent = now_us.saturating_sub(POSTGRES_EPOCH_US);
    let fields: [&[u8]; 6] = [
        b"r",
        &received.0.to_be_bytes(),
        &flushed.0.to_be_bytes(),
        &applied.0.to_be_bytes(),
        &sent.to_be_bytes(),
        &[u8::from(reply)],
    ];
    for (to, from) in update.iter_mut().zip(fields.into_iter().flatten()) {
        *to = *from;
    }
    update
}

/// Reads an LSN.
#[inline]
pub(super) fn lsn(reader: &mut Reader<'_>, what: &'static str) -> Result<Lsn, Error> {
    reader.reading(what).u64().map(Lsn)
}

/// Reads a time, which the wire counts from 2000-01-01: microseconds since 1970-01-01 UTC.
#[inline]
pub(super) fn time_us(reader: &mut Reader<'_>, what: &'static str) -> Result<i64, Error> {
    let offset = reader.offset();
    let time = reader.reading(what).i64()?;
    time.checked_add(POSTGRES_EPOCH_US).ok_or(Error::BadTime { reading: what, offset })
}

/// 2000-01-01 UTC, PostgreSQL's epoch, in microseconds since 1970-01-01 UTC.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;
