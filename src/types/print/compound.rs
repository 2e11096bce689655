//! Types made of others: arrays, composites, ranges.

use super::{print, put};
use crate::types::cursor::Cursor;
use crate::types::range::{
    EMPTY, LOWER_INCLUSIVE, LOWER_INFINITE, UPPER_INCLUSIVE, UPPER_INFINITE,
};
use crate::types::{Error, Kind, built_in};

/// `{1,2}`, `{{1,2},{3,4}}`, `[0:1]={1,2}`.
///
/// Source: `array_out` in
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/arrayfuncs.c>
pub(super) fn array(element: &Kind, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "array (binary)");
    let sizes = Sizes::read(&mut cursor)?;
    if sizes.count() == 0 {
        out.extend_from_slice(b"{}");
        return cursor.end();
    }
    if sizes.as_slice().iter().any(|(_, lower)| *lower != 1) {
        for (size, lower) in sizes.as_slice() {
            let upper = i64::from(*lower) + i64::from(*size) - 1;
            put(out, format_args!("[{lower}:{upper}]"))?;
        }
        out.push(b'=');
    }
    let delimiter = element.delimiter();
    for at in 0..sizes.count() {
        if at != 0 {
            out.push(delimiter);
        }
        for _ in 0..sizes.borders(at) {
            out.push(b'{');
        }
        match cursor.value()? {
            None => out.extend_from_slice(b"NULL"),
            Some(value) => {
                let start = out.len();
                print(element, value, out)?;
                quote_element(start, delimiter, out);
            }
        }
        for _ in 0..sizes.borders(at + 1) {
            out.push(b'}');
        }
    }
    cursor.end()
}

/// `1 2 3`.
pub(super) fn vector(element: &Kind, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "vector (binary)");
    let sizes = Sizes::read(&mut cursor)?;
    for at in 0..sizes.count() {
        if at != 0 {
            out.push(b' ');
        }
        match cursor.value()? {
            None => return cursor.malformed(),
            Some(value) => print(element, value, out)?,
        }
    }
    cursor.end()
}

/// `(1,"a b",)`: a NULL is nothing.
///
/// ```text
/// i32 attributes | per attribute: u32 type, i32 length (−1 is NULL), bytes
/// ```
///
/// The types are those of the value, whatever the catalog says of the composite type today.
///
/// Source: `record_send` and `record_out` in
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/rowtypes.c>
pub(super) fn composite(
    attributes: &[(u32, Kind)],
    bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "composite (binary)");
    let count = cursor.u32()?;
    out.push(b'(');
    for at in 0..count {
        if at != 0 {
            out.push(b',');
        }
        let (oid, value) = (cursor.u32()?, cursor.value()?);
        let Some(value) = value else { continue };
        let start = out.len();
        match attributes.iter().find(|(known, _)| *known == oid) {
            Some((_, kind)) => print(kind, value, out)?,
            None => match built_in(oid, -1) {
                Some(kind) => print(&kind, value, out)?,
                None => return Err(Error::UnknownType { oid }),
            },
        }
        quote_doubling(start, b"\"\\(),", out);
    }
    out.push(b')');
    cursor.end()
}

/// `[1,5)`, `(,"2024-01-01 00:00:00"]`, `empty`.
///
/// ```text
/// u8 flags | the lower bound: i32 length, bytes | the upper bound (each only if it is finite)
/// ```
///
/// Source: `range_send` and `range_deparse` in
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/rangetypes.c>
pub(super) fn range(element: &Kind, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "range (binary)");
    let flags = cursor.u8()?;
    if flags & EMPTY != 0 {
        out.extend_from_slice(b"empty");
        return cursor.end();
    }
    out.push(if flags & LOWER_INCLUSIVE != 0 { b'[' } else { b'(' });
    if flags & LOWER_INFINITE == 0 {
        bound(element, &mut cursor, out)?;
    }
    out.push(b',');
    if flags & UPPER_INFINITE == 0 {
        bound(element, &mut cursor, out)?;
    }
    out.push(if flags & UPPER_INCLUSIVE != 0 { b']' } else { b')' });
    cursor.end()
}

/// `{[1,3),[5,7)}`.
///
/// ```text
/// i32 ranges | per range: i32 length, bytes
/// ```
pub(super) fn multirange(element: &Kind, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "multirange (binary)");
    let count = cursor.u32()?;
    out.push(b'{');
    for at in 0..count {
        if at != 0 {
            out.push(b',');
        }
        match cursor.value()? {
            None => return cursor.malformed(),
            Some(value) => range(element, value, out)?,
        }
    }
    out.push(b'}');
    cursor.end()
}

fn bound(element: &Kind, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let Some(value) = cursor.value()? else { return cursor.malformed() };
    let start = out.len();
    print(element, value, out)?;
    quote_doubling(start, b"\"\\()[],", out);
    Ok(())
}

/// An array's dimensions: the size and the lower bound of each.
struct Sizes {
    sizes: [(u32, i32); 6],
    dimensions: usize,
}

impl Sizes {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let (dimensions, _has_nulls, _element) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        let dimensions = usize::try_from(dimensions).unwrap_or(usize::MAX);
        let mut sizes = Self { sizes: [(0, 0); 6], dimensions };
        let Some(places) = sizes.sizes.get_mut(..dimensions) else { return cursor.malformed() };
        for place in places {
            *place = (cursor.u32()?, cursor.i32()?);
        }
        // Each element has a length of four bytes at least.
        let room = cursor.rest().len() / 4;
        if room < sizes.count() { cursor.malformed() } else { Ok(sizes) }
    }

    fn as_slice(&self) -> &[(u32, i32)] {
        self.sizes.get(..self.dimensions).unwrap_or_default()
    }

    /// How many elements there are in all.
    fn count(&self) -> usize {
        let size = |(size, _): &(u32, i32)| usize::try_from(*size).unwrap_or(usize::MAX);
        match self.as_slice() {
            [] => 0,
            sizes => sizes.iter().map(size).fold(1, usize::saturating_mul),
        }
    }

    /// How many dimensions begin before the element of this index, and end there.
    fn borders(&self, index: usize) -> usize {
        let mut block = 1_usize;
        let mut borders = 0;
        for (size, _) in self.as_slice().iter().rev() {
            block = block.saturating_mul(usize::try_from(*size).unwrap_or(usize::MAX));
            if index.is_multiple_of(block) {
                borders += 1;
            }
        }
        borders
    }
}

/// Quotes an array's element, appended since `start`, where its text needs it.
fn quote_element(start: usize, delimiter: u8, out: &mut Vec<u8>) {
    let text = out.get(start..).unwrap_or_default();
    let is_null = text.eq_ignore_ascii_case(b"NULL");
    quote(start, is_null, &[b'"', b'\\', b'{', b'}', delimiter], |_| b'\\', out);
}

/// Quotes an attribute or a bound, appended since `start`, if it has one of `marks` in it.
fn quote_doubling(start: usize, marks: &[u8], out: &mut Vec<u8>) {
    quote(start, false, marks, |byte| byte, out);
}

/// Puts quotes around what was appended since `start` if it must be, or is empty, or has one of
/// `marks` or a space in it; before a quote or a backslash then goes what `escape` says.
fn quote(start: usize, must: bool, marks: &[u8], escape: impl Fn(u8) -> u8, out: &mut Vec<u8>) {
    let text = out.get(start..).unwrap_or_default();
    let is_marked = |byte: &u8| marks.contains(byte) || is_space(*byte);
    if !must && !text.is_empty() && !text.iter().any(is_marked) {
        return;
    }
    let is_escaped = |byte: u8| matches!(byte, b'"' | b'\\');
    let escapes = text.iter().filter(|byte| is_escaped(**byte)).count();
    // In place, from the end: a bound of a timestamp range is always quoted.
    let mut from = out.len();
    let mut to = from + escapes + 2;
    out.resize(to, b'"');
    let mut put = |out: &mut Vec<u8>, byte| {
        to -= 1;
        if let Some(place) = out.get_mut(to) {
            *place = byte;
        }
    };
    put(out, b'"');
    while start < from {
        from -= 1;
        let Some(byte) = out.get(from).copied() else { break };
        put(out, byte);
        if is_escaped(byte) {
            put(out, escape(byte));
        }
    }
    put(out, b'"');
}

/// C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r')
}
