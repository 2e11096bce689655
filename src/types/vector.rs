//! pgvector's `vector`, `halfvec` and `sparsevec`, whose elements are read as they are walked.
//!
//! ```text
//! vector     binary: i16 dimensions | i16 unused, 0 | per dimension: a float of four bytes
//!            text:   [1,2.5,-3e-07]
//! halfvec    binary: i16 dimensions | i16 unused, 0 | per dimension: a float of two bytes
//!            text:   as that of vector
//! sparsevec  binary: i32 dimensions | i32 elements | i32 unused, 0 | per element: i32 index, from 0
//!            | per element: a float of four bytes
//!            text:   {1:1.5,3:2}/5           indices from 1
//! ```
//!
//! Source: the `*_send` and `*_out` functions in
//! <https://github.com/pgvector/pgvector/tree/master/src>

use super::Error;
use super::binary::{canonical_f32, canonical_f64};
use super::cursor::Cursor;
use super::datum::malformed;
use super::print::reread;

/// A `vector` or `halfvec` whose frame was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vector<'a> {
    len: usize,
    body: Body<'a>,
}

impl<'a> Vector<'a> {
    /// `vector`.
    pub(super) fn from_binary(bytes: &'a [u8]) -> Result<Self, Error> {
        let singles = dense(bytes, "vector (binary)")?;
        Ok(Self { len: singles.len(), body: Body::Single(singles) })
    }

    /// `halfvec`.
    pub(super) fn from_binary_half(bytes: &'a [u8]) -> Result<Self, Error> {
        let halves = dense(bytes, "halfvec (binary)")?;
        Ok(Self { len: halves.len(), body: Body::Half(halves) })
    }

    /// Both.
    pub(super) fn from_text(text: &'a [u8]) -> Result<Self, Error> {
        match text.strip_prefix(b"[").and_then(|text| text.strip_suffix(b"]")) {
            Some(body) => Ok(Self { len: parts(body), body: Body::Text(body) }),
            None => malformed(TEXT),
        }
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements in order, [`Self::len`] of them.
    pub fn elements(&self) -> impl Iterator<Item = Component<'a>> + use<'a> {
        let mut body = self.body;
        (0..self.len).map_while(move |_| body.next())
    }
}

/// A `sparsevec` whose frame was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparseVector<'a> {
    dimensions: u32,
    len: u32,
    body: SparseBody<'a>,
}

impl<'a> SparseVector<'a> {
    pub(super) fn from_binary(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, "sparsevec (binary)");
        let (dimensions, len, unused) = (cursor.i32()?, cursor.i32()?, cursor.u32()?);
        let (words, trailing) = cursor.rest().as_chunks();
        let (Ok(dimensions), Ok(len), 0, []) =
            (u32::try_from(dimensions), u32::try_from(len), unused, trailing)
        else {
            return cursor.malformed();
        };
        let sparse = Self { dimensions, len, body: SparseBody::Binary(words) };
        // Each element has an index and a value.
        if words.len() == sparse.len() * 2 { Ok(sparse) } else { cursor.malformed() }
    }

    pub(super) fn from_text(text: &'a [u8]) -> Result<Self, Error> {
        let slash = text.iter().rposition(|byte| *byte == b'/').ok_or(SPARSE_ERROR)?;
        let (elements, dimensions) = text.split_at_checked(slash).ok_or(SPARSE_ERROR)?;
        let body = elements.strip_prefix(b"{").and_then(|text| text.strip_suffix(b"}"));
        let body = body.ok_or(SPARSE_ERROR)?;
        let dimensions = number::<i32>(dimensions.strip_prefix(b"/").unwrap_or_default())?;
        let (Ok(dimensions), Ok(len)) = (u32::try_from(dimensions), u32::try_from(parts(body)))
        else {
            return Err(SPARSE_ERROR);
        };
        Ok(Self { dimensions, len, body: SparseBody::Text(body) })
    }

    /// How many dimensions it has.
    #[must_use]
    pub fn dimensions(&self) -> u32 {
        self.dimensions
    }

    /// How many of its elements are not 0.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.len).unwrap_or(usize::MAX)
    }

    /// Whether all elements are 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements that are not 0 with their indices, of which the first one is 1, in order:
    /// [`Self::len`] of them.
    pub fn elements(&self) -> impl Iterator<Item = Result<(u32, Component<'a>), Error>> + use<'a> {
        let (dimensions, len) = (self.dimensions, self.len());
        let mut body = self.body;
        (0..len).map(move |at| {
            let (index, value) = match &mut body {
                SparseBody::Binary(words) => sparse_binary(words.get(at), words.get(len + at))?,
                SparseBody::Text(text) => sparse_text(split_part(text))?,
            };
            if (1..=dimensions).contains(&index) { Ok((index, value)) } else { Err(SPARSE_ERROR) }
        })
    }
}

/// One element of a vector, in its form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Component<'a> {
    /// A float, or one of two bytes, every one of which is a float too.
    Single(f32),
    /// Its text, not yet known to be a number.
    Text(&'a [u8]),
}

impl Component<'_> {
    /// The element as it is.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a text that is no number.
    pub fn single(&self) -> Result<f32, Error> {
        match self {
            Self::Single(value) => Ok(canonical_f32(*value)),
            Self::Text(text) => number(text).map(canonical_f32),
        }
    }

    /// The double that its text is: 0.1, not 0.10000000149011612, which the float next to 0.1 is.
    ///
    /// # Errors
    /// As [`Self::single`].
    pub fn double(&self) -> Result<f64, Error> {
        match self {
            Self::Single(value) => Ok(canonical_f64(reread(*value))),
            Self::Text(text) => number(text).map(canonical_f64),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Body<'a> {
    Half(&'a [[u8; 2]]),
    Single(&'a [[u8; 4]]),
    /// What is between the brackets.
    Text(&'a [u8]),
}

impl<'a> Body<'a> {
    fn next(&mut self) -> Option<Component<'a>> {
        Some(match self {
            Self::Half(halves) => {
                let (half, rest) = halves.split_first()?;
                *halves = rest;
                Component::Single(single_of_half(u16::from_be_bytes(*half)))
            }
            Self::Single(singles) => {
                let (single, rest) = singles.split_first()?;
                *singles = rest;
                Component::Single(f32::from_be_bytes(*single))
            }
            Self::Text(text) => Component::Text(split_part(text)),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SparseBody<'a> {
    /// The indices, then the values.
    Binary(&'a [[u8; 4]]),
    /// What is between the braces.
    Text(&'a [u8]),
}

const TEXT: &str = "vector (text)";
const SPARSE_ERROR: Error = Error::Malformed { what: "sparsevec" };

/// The elements, which must be as many as the bytes before them say.
fn dense<'a, const N: usize>(bytes: &'a [u8], what: &'static str) -> Result<&'a [[u8; N]], Error> {
    let mut cursor = Cursor::new(bytes, what);
    let (len, unused) = (cursor.u16()?.cast_signed(), cursor.u16()?);
    match cursor.rest().as_chunks() {
        (elements, []) if unused == 0 && usize::try_from(len) == Ok(elements.len()) => Ok(elements),
        _ => cursor.malformed(),
    }
}

/// How many parts there are with commas between them.
fn parts(text: &[u8]) -> usize {
    if text.is_empty() { 0 } else { text.iter().filter(|byte| **byte == b',').count() + 1 }
}

/// Takes the text up to the next comma, and the comma.
fn split_part<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
    let (part, rest) = text.split_at_checked(end).unwrap_or_default();
    *text = rest.get(1..).unwrap_or_default();
    part
}

fn sparse_text(part: &[u8]) -> Result<(u32, Component<'_>), Error> {
    let colon = part.iter().position(|byte| *byte == b':').ok_or(SPARSE_ERROR)?;
    let (index, value) = part.split_at_checked(colon).ok_or(SPARSE_ERROR)?;
    Ok((number(index)?, Component::Text(value.get(1..).unwrap_or_default())))
}

fn sparse_binary<'a>(
    index: Option<&[u8; 4]>,
    value: Option<&[u8; 4]>,
) -> Result<(u32, Component<'a>), Error> {
    let (Some(index), Some(value)) = (index, value) else { return Err(SPARSE_ERROR) };
    let index = u32::from_be_bytes(*index).checked_add(1).ok_or(SPARSE_ERROR)?;
    Ok((index, Component::Single(f32::from_be_bytes(*value))))
}

/// As std reads it, which reads what PostgreSQL prints.
fn number<T: std::str::FromStr>(text: &[u8]) -> Result<T, Error> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or(Error::Malformed { what: TEXT })
}

/// The same number as a float of four bytes, which has more room for both exponent and mantissa.
fn single_of_half(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7fff);
    if 0x7c00 <= magnitude {
        // Infinite, or NaN.
        return f32::from_bits(sign | 0x7f80_0000 | (magnitude & 0x03ff) << 13);
    }
    // At their places the two mean a number that is smaller by the difference of the exponents'
    // biases, 127 − 15; a product with a power of two is exact.
    let smaller = f32::from_bits(sign | magnitude << 13);
    smaller * f32::from_bits((127 + 112) << 23)
}
