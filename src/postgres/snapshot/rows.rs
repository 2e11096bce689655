//! Rows of a portal become tuples of the stream. Pure.
//!
//! ```text
//!  DataRow:    count: i16 │ per column: length: i32 (−1 is NULL) │ value
//!  TupleData:  count: i16 │ per column: tag ─┬─ 'n'
//!                                            └─ 't' or 'b'  length: i32 │ value
//! ```
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use crate::wal::{Column, Error, Reader, Tuples};

/// The rows of a chunk, as long as there is room.
pub(super) struct Rows {
    /// The form of each column.
    is_binary: Vec<bool>,
    /// Where the columns of the key are.
    key: Vec<usize>,
    rows_max: u32,
    bytes_max: usize,
    bytes: Vec<u8>,
    count: u32,
    /// Where the last row begins.
    last: usize,
    is_full: bool,
}

impl Rows {
    /// None yet; about `bytes_expected` are to come.
    pub(super) fn new(
        is_binary: Vec<bool>,
        key: Vec<usize>,
        (rows_max, bytes_max): (u32, usize),
        bytes_expected: usize,
    ) -> Self {
        let bytes = Vec::with_capacity(bytes_expected.min(bytes_max));
        Self { is_binary, key, rows_max, bytes_max, bytes, count: 0, last: 0, is_full: false }
    }

    /// Takes a row, if there is room or if it is the first. Rows that are alike in their key are
    /// never parted: the next chunk begins behind that key.
    pub(super) fn push(&mut self, row: &[u8]) -> Result<(), Error> {
        if self.is_full {
            return Ok(());
        }
        let begin = self.bytes.len();
        append(row, &self.is_binary, &mut self.bytes)?;
        let is_over = self.rows_max <= self.count || self.bytes_max < self.bytes.len();
        if 0 < self.count && is_over && !self.is_alike(begin)? {
            self.bytes.truncate(begin);
            self.is_full = true;
            return Ok(());
        }
        self.last = begin;
        self.count += 1;
        Ok(())
    }

    /// How many rows to ask for next: so many that the server is busy, not so many that there is
    /// much to throw away when there is no more room.
    pub(super) fn portion(&self) -> i32 {
        let Some(row_bytes) = self.bytes.len().checked_div(self.count as usize) else {
            return PORTION_ROWS_FIRST;
        };
        let rows = PORTION_BYTES / row_bytes.max(1);
        i32::try_from(rows).unwrap_or(i32::MAX).clamp(1, PORTION_ROWS_MAX)
    }

    /// Whether a row was left out.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The key's columns in the last row, if there is one.
    pub(super) fn last_key(&self) -> Result<Vec<Option<Column<'_>>>, Error> {
        if self.count == 0 { Ok(Vec::new()) } else { self.key_at(self.last) }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many bytes they are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the row that begins there has the key of the last one.
    fn is_alike(&self, begin: usize) -> Result<bool, Error> {
        Ok(!self.key.is_empty() && self.key_at(begin)? == self.key_at(self.last)?)
    }

    fn key_at(&self, begin: usize) -> Result<Vec<Option<Column<'_>>>, Error> {
        let row = Tuples::new(self.bytes.get(begin..).unwrap_or_default()).next().transpose()?;
        let column = |index: &usize| row.and_then(|row| row.columns().nth(*index));
        Ok(self.key.iter().map(column).collect())
    }
}

/// Appends a row as the stream carries it.
fn append(row: &[u8], is_binary: &[bool], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut reader = Reader::new(row);
    let count = reader.reading("column count of a row").count16()?;
    if usize::from(count) != is_binary.len() {
        return Err(Error::BadCount {
            reading: "column count of a row",
            offset: 0,
            count: i64::from(count),
        });
    }
    // The tags come on top.
    out.reserve(row.len() + is_binary.len());
    out.extend_from_slice(&count.to_be_bytes());
    for is_binary in is_binary {
        let cell = reader.left();
        let offset = reader.offset();
        let length = reader.reading("length of a row's column").i32()?;
        if length == NULL {
            out.push(b'n');
            continue;
        }
        let bytes = usize::try_from(length).map_err(|_| Error::BadCount {
            reading: "length of a row's column",
            offset,
            count: i64::from(length),
        })?;
        reader.reading("value of a row's column").bytes(bytes)?;
        out.push(if *is_binary { b'b' } else { b't' });
        out.extend_from_slice(reader.since(cell));
    }
    reader.reading("row").finish()
}

/// The length of a column that is NULL.
const NULL: i32 = -1;

/// What is asked for at a time. Two portions are under way, so that the server never waits.
const PORTION_BYTES: usize = 256 * 1024;

/// While it is not known how large rows are.
const PORTION_ROWS_FIRST: i32 = 64;

/// Rows may be small first and large then.
const PORTION_ROWS_MAX: i32 = 4096;

#[cfg(test)]
mod tests;
