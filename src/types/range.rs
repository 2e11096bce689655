//! Ranges and multiranges, taken apart: bounds in the form in which they came.
//!
//! ```text
//! binary: u8 flags | the lower bound: i32 length, bytes | the upper bound (each only if it is finite)
//!         multirange: i32 ranges | per range: i32 length, bytes
//! text:   [1,5)   (,"2024-01-01 00:00:00"]   empty       multirange: {[1,3),[5,7)}
//! ```
//!
//! Source: `range_send`, `range_deparse` and `multirange_out` in
//! <https://github.com/postgres/postgres/tree/REL_17_STABLE/src/backend/utils/adt>

use std::borrow::Cow;

use super::cursor::Cursor;
use super::datum::malformed;
use super::{Element, Error};

/// One range.
#[derive(Clone, Debug, PartialEq)]
pub enum Range<'a> {
    /// The range without any value in it.
    Empty,
    /// From one bound to the other.
    Span {
        /// The lower bound; `None` is unbounded.
        lower: Option<Element<'a>>,
        /// Whether the lower bound is in the range.
        is_lower_inclusive: bool,
        /// The upper bound; `None` is unbounded.
        upper: Option<Element<'a>>,
        /// Whether the upper bound is in the range.
        is_upper_inclusive: bool,
    },
}

impl<'a> Range<'a> {
    /// Reads the binary form.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_binary(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, "range (binary)");
        let flags = cursor.u8()?;
        if flags & EMPTY != 0 {
            cursor.end()?;
            return Ok(Self::Empty);
        }
        let mut bound = |infinite| match flags & infinite {
            0 => match cursor.value()? {
                Some(value) => Ok(Some(Element::Binary(value))),
                None => cursor.malformed(),
            },
            _ => Ok(None),
        };
        let (lower, upper) = (bound(LOWER_INFINITE)?, bound(UPPER_INFINITE)?);
        cursor.end()?;
        Ok(Self::Span {
            lower,
            is_lower_inclusive: flags & LOWER_INCLUSIVE != 0,
            upper,
            is_upper_inclusive: flags & UPPER_INCLUSIVE != 0,
        })
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_text(text: &'a [u8]) -> Result<Self, Error> {
        match Self::split(text)? {
            (range, []) => Ok(range),
            _ => malformed(TEXT),
        }
    }

    /// The first range of a text, and what follows it.
    fn split(text: &'a [u8]) -> Result<(Self, &'a [u8]), Error> {
        if let Some(rest) = text.strip_prefix(b"empty") {
            return Ok((Self::Empty, rest));
        }
        let Some((open @ (b'[' | b'('), rest)) = text.split_first() else {
            return malformed(TEXT);
        };
        let (lower, rest) = split_bound(rest)?;
        let Some(rest) = rest.strip_prefix(b",") else { return malformed(TEXT) };
        let (upper, rest) = split_bound(rest)?;
        let Some((close @ (b']' | b')'), rest)) = rest.split_first() else {
            return malformed(TEXT);
        };
        let range = Self::Span {
            lower,
            is_lower_inclusive: *open == b'[',
            upper,
            is_upper_inclusive: *close == b']',
        };
        Ok((range, rest))
    }
}

/// The ranges of a multirange, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Multirange<'a> {
    len: usize,
    body: Body<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Body<'a> {
    Binary(Cursor<'a>),
    Text(&'a [u8]),
}

impl<'a> Multirange<'a> {
    /// Reads the binary form's count.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_binary(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, "multirange (binary)");
        let len = usize::try_from(cursor.u32()?).unwrap_or(usize::MAX);
        // Each range has a length of four bytes, and flags.
        if cursor.rest().len() / 5 < len {
            cursor.malformed()
        } else {
            Ok(Self { len, body: Body::Binary(cursor) })
        }
    }

    /// Reads the text form's frame, and counts its ranges.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_text(text: &'a [u8]) -> Result<Self, Error> {
        let inner = text.strip_prefix(b"{").and_then(|text| text.strip_suffix(b"}"));
        let Some(inner) = inner else { return malformed("multirange (text)") };
        let mut multirange = Self { len: 0, body: Body::Text(inner) };
        let mut rest = inner;
        while !rest.is_empty() {
            rest = next_text(rest)?.1;
            multirange.len += 1;
        }
        Ok(multirange)
    }

    /// How many ranges there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gives each range in order.
    ///
    /// # Errors
    /// [`Error::Malformed`], and those of `each`.
    pub fn for_each<E: From<Error>>(
        self,
        mut each: impl FnMut(Range<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.body {
            Body::Binary(mut cursor) => {
                for _ in 0..self.len {
                    let Some(range) = cursor.value()? else { return Ok(cursor.malformed()?) };
                    each(Range::from_binary(range)?)?;
                }
                Ok(cursor.end()?)
            }
            Body::Text(mut rest) => {
                while !rest.is_empty() {
                    let (range, after) = next_text(rest)?;
                    each(range)?;
                    rest = after;
                }
                Ok(())
            }
        }
    }
}

/// The first range of a multirange's text, and what follows its comma.
fn next_text(text: &[u8]) -> Result<(Range<'_>, &[u8]), Error> {
    match Range::split(text)? {
        (range, []) => Ok((range, [].as_slice())),
        (range, [b',', rest @ ..]) if !rest.is_empty() => Ok((range, rest)),
        _ => malformed("multirange (text)"),
    }
}

const TEXT: &str = "range (text)";

pub(super) const EMPTY: u8 = 0x01;
pub(super) const LOWER_INCLUSIVE: u8 = 0x02;
pub(super) const UPPER_INCLUSIVE: u8 = 0x04;
pub(super) const LOWER_INFINITE: u8 = 0x08;
pub(super) const UPPER_INFINITE: u8 = 0x10;

/// A bound up to the comma or bracket behind it; nothing at all is no bound. In quotes a quote is
/// doubled and a backslash too.
fn split_bound(text: &[u8]) -> Result<(Option<Element<'_>>, &[u8]), Error> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let is_end = |byte: &u8| matches!(byte, b',' | b']' | b')' | b'(' | b'[' | b'"' | b'\\');
        let end = text.iter().position(is_end).unwrap_or(text.len());
        let (bound, rest) = text.split_at_checked(end).unwrap_or_default();
        let bound = (!bound.is_empty()).then_some(Element::Text(Cow::Borrowed(bound)));
        return Ok((bound, rest));
    };
    let mut unescaped = Vec::new();
    let mut rest = quoted;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        let Some((plain, [mark, after @ ..])) = end.and_then(|end| rest.split_at_checked(end))
        else {
            return malformed(TEXT);
        };
        unescaped.extend_from_slice(plain);
        rest = match (mark, after) {
            (b'"', [b'"', after @ ..]) => {
                unescaped.push(b'"');
                after
            }
            (b'\\', [escaped, after @ ..]) => {
                unescaped.push(*escaped);
                after
            }
            (b'"', after) => return Ok((Some(Element::Text(Cow::Owned(unescaped))), after)),
            _ => return malformed(TEXT),
        };
    }
}
