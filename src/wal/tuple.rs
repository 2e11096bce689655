//! The columns of one row as the stream carries them: `TupleData`.
//!
//! ```text
//! count: i16 │ per column: tag ─┬─ 'n'  NULL
//!                              ├─ 'u'  unchanged TOAST value, not sent
//!                              ├─ 't'  length: i32 │ text form
//!                              └─ 'b'  length: i32 │ binary form
//! ```
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>
//!
//! A tuple is walked twice: once when parsed, which proves that all its columns are there, and once
//! by who uses them, who then need not handle errors. Both walks are the same function.

use std::fmt;

use super::reader::{Error, Reader};

/// One column of a tuple. Its `Debug` output shows kind and length, never the value (I7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Column<'a> {
    /// `b`: the type's binary form (`typsend`).
    Binary(&'a [u8]),
    /// `n`: NULL. In an old tuple of kind `Key` also every column outside the identity.
    Null,
    /// `t`: the type's text form (`typoutput`), in the client encoding.
    Text(&'a [u8]),
    /// `u`: an unchanged TOAST value, which is not sent.
    Unchanged,
}

/// The columns of one row, borrowed and checked.
#[derive(Clone, Copy)]
pub struct Tuple<'a> {
    /// Exactly the columns: `len` of them, checked by `read`.
    columns: &'a [u8],
    len: u16,
}

/// Its count of columns.
const COUNT_BYTES: usize = 2;

/// The columns of a [`Tuple`] in order.
#[derive(Clone)]
pub struct Columns<'a> {
    reader: Reader<'a>,
    left: u16,
}

/// Tuples back to back, as a chunk of a table has them.
#[derive(Clone, Debug)]
pub struct Tuples<'a> {
    reader: Reader<'a>,
}

impl<'a> Tuple<'a> {
    /// Reads a tuple and checks all of its columns.
    #[inline]
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let len = reader.reading("tuple column count").count16()?;
        let columns = reader.left();
        for _ in 0..len {
            Column::read(reader)?;
        }
        Ok(Self { columns: reader.since(columns), len })
    }

    /// Appends it as the stream carries it, with what `rewrite` appends in place of a text.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        mut rewrite: impl FnMut(&[u8], &mut Vec<u8>),
    ) -> Result<(), Error> {
        out.extend_from_slice(&self.len.to_be_bytes());
        for column in self.columns() {
            match column {
                Column::Binary(value) => sized(b'b', out, |out| out.extend_from_slice(value))?,
                Column::Null => out.push(b'n'),
                Column::Text(value) => sized(b't', out, |out| rewrite(value, out))?,
                Column::Unchanged => out.push(b'u'),
            }
        }
        Ok(())
    }

    /// Appends a row of these of its columns, by their index, in this order, as the stream would carry
    /// it. One that is not there is NULL.
    pub fn select(&self, order: &[usize], out: &mut Vec<u8>) {
        out.extend_from_slice(&u16::try_from(order.len()).unwrap_or(u16::MAX).to_be_bytes());
        // Mostly the order rises, and then the row is walked through once.
        let (mut columns, mut next) = (self.columns(), 0);
        for index in order.iter().take(usize::from(u16::MAX)) {
            if *index < next {
                (columns, next) = (self.columns(), 0);
            }
            let column = columns.nth(*index - next);
            next = *index + 1;
            let (tag, value) = match column {
                Some(Column::Binary(value)) => (b'b', value),
                Some(Column::Text(value)) => (b't', value),
                Some(Column::Unchanged) => (b'u', [].as_slice()),
                Some(Column::Null) | None => (b'n', [].as_slice()),
            };
            out.push(tag);
            if matches!(tag, b'b' | b't') {
                // It came with a length of four bytes.
                let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(value);
            }
        }
    }

    /// Takes the rows out of `rows` that `keeps` does not keep.
    pub fn retain(rows: &mut Vec<u8>, mut keeps: impl FnMut(Tuple<'_>) -> bool) {
        let (mut start, mut kept) = (0, Vec::new());
        for row in Tuples::new(rows).map_while(Result::ok) {
            let end = start + row.byte_len();
            if keeps(row) {
                kept.push(start..end);
            }
            start = end;
        }
        let mut len = 0;
        for row in kept {
            let (from, bytes) = (row.start, row.len());
            rows.copy_within(row, len);
            debug_assert!(len <= from, "rows only move to the front");
            len += bytes;
        }
        rows.truncate(len);
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn byte_len(&self) -> usize {
        COUNT_BYTES + self.columns.len()
    }

    /// How many columns there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there are no columns: a table may have none.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The columns in the order of the relation's.
    #[inline]
    #[must_use]
    pub const fn columns(&self) -> Columns<'a> {
        Columns { reader: Reader::new(self.columns), left: self.len }
    }
}

impl fmt::Debug for Tuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.columns()).finish()
    }
}

impl<'a> Column<'a> {
    #[inline]
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let tag = reader.reading("column tag").u8()?;
        match tag {
            b'b' => Self::value(reader).map(Column::Binary),
            b'n' => Ok(Column::Null),
            b't' => Self::value(reader).map(Column::Text),
            b'u' => Ok(Column::Unchanged),
            _ => Err(reader.unknown_tag(tag)),
        }
    }

    #[inline]
    fn value(reader: &mut Reader<'a>) -> Result<&'a [u8], Error> {
        let bytes = reader.reading("column length").count32()?;
        reader.reading("column value").bytes(bytes)
    }
}

impl fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Column::Binary(value) => write!(f, "Binary({} bytes)", value.len()),
            Column::Null => f.write_str("Null"),
            Column::Text(value) => write!(f, "Text({} bytes)", value.len()),
            Column::Unchanged => f.write_str("Unchanged"),
        }
    }
}

impl<'a> Iterator for Columns<'a> {
    type Item = Column<'a>;

    #[inline]
    fn next(&mut self) -> Option<Column<'a>> {
        self.left = self.left.checked_sub(1)?;
        // Never an error: `Tuple::read` read the same bytes.
        Column::read(&mut self.reader).ok()
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.left);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Columns<'_> {}

impl<'a> Tuples<'a> {
    /// The tuples in these bytes.
    #[inline]
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { reader: Reader::new(bytes) }
    }

    /// The byte at which the next one begins.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.reader.offset()
    }
}

impl<'a> Iterator for Tuples<'a> {
    type Item = Result<Tuple<'a>, Error>;

    /// Nothing comes behind an error.
    #[inline]
    fn next(&mut self) -> Option<Result<Tuple<'a>, Error>> {
        if self.reader.is_empty() {
            return None;
        }
        let tuple = Tuple::read(&mut self.reader);
        if tuple.is_err() {
            self.reader.rest();
        }
        Some(tuple)
    }
}

/// Appends a value behind its tag and its length, which is known when it is there.
fn sized(tag: u8, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
    const LENGTH: [u8; 4] = [0; 4];
    out.push(tag);
    let offset = out.len();
    out.extend_from_slice(&LENGTH);
    value(out);
    let bytes = out.len().saturating_sub(offset + LENGTH.len());
    let length = i32::try_from(bytes).map_err(|_| {
        let count = i64::try_from(bytes).unwrap_or(i64::MAX);
        Error::BadCount { reading: "column length as UTF-8", offset, count }
    })?;
    if let Some(place) = out.get_mut(offset..).and_then(|rest| rest.first_chunk_mut()) {
        *place = length.to_be_bytes();
    }
    Ok(())
}
