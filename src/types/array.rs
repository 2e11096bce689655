//! One-dimensional arrays, walked element by element in the form in which they came.
//!
//! ```text
//! binary: i32 dimensions | i32 has nulls | u32 element type | per dimension: i32 size, i32 lower
//!         bound | per element: i32 length (−1 is NULL), bytes
//! text:   [1:3]={a,"b, \"c\"",NULL}       the bounds only where the lower one is not 1
//! ```
//!
//! Between the elements stands the type's delimiter, a comma but for `box`. Lower bounds are
//! ignored. A multi-dimensional value has no place in the schema of a one-dimensional array: it is
//! an error of its own, never null.
//!
//! Source: `array_send` and `array_out` in
//! <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/arrayfuncs.c>

use std::borrow::Cow;

use super::datum::malformed;
use super::{Datum, Error, Kind, decode_binary, decode_text};

/// An array value whose frame was read; elements are checked as they are walked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    len: usize,
    body: Body<'a>,
}

impl<'a> Array<'a> {
    /// Reads the binary form's header.
    ///
    /// # Errors
    /// [`Error::MultiDimensional`], or [`Error::Malformed`] for a header that can't be.
    pub fn from_binary(bytes: &'a [u8]) -> Result<Self, Error> {
        let Some((&[d0, d1, d2, d3, _, _, _, has_nulls, _, _, _, _], rest)) =
            bytes.split_first_chunk()
        else {
            return malformed("array header (binary)");
        };
        match (u32::from_be_bytes([d0, d1, d2, d3]), has_nulls, rest) {
            (0, 0, []) => Ok(Self { len: 0, body: Body::Binary(rest) }),
            (1, 0 | 1, &[s0, s1, s2, s3, _, _, _, _, ref elements @ ..]) => {
                let len = usize::try_from(i32::from_be_bytes([s0, s1, s2, s3]));
                match len {
                    // Each element has a length of four bytes at least.
                    Ok(len) if len <= elements.len() / 4 => {
                        Ok(Self { len, body: Body::Binary(elements) })
                    }
                    _ => malformed("array size (binary)"),
                }
            }
            (dimensions @ 2..=MAX_DIMENSIONS, ..) => Err(Error::MultiDimensional { dimensions }),
            _ => malformed("array header (binary)"),
        }
    }

    /// Reads the text form's frame, and counts its elements, between which the delimiter stands.
    ///
    /// # Errors
    /// [`Error::MultiDimensional`], or [`Error::Malformed`] for text that is no array.
    pub fn from_text(text: &'a [u8], delimiter: u8) -> Result<Self, Error> {
        let text = skip_bounds(text)?;
        let braces = text.iter().take_while(|byte| **byte == b'{').take(8).count();
        if let Ok(dimensions @ 2..) = u32::try_from(braces) {
            return Err(Error::MultiDimensional { dimensions });
        }
        let Some(inner) = text.strip_prefix(b"{").and_then(|text| text.strip_suffix(b"}")) else {
            return malformed("array (text)");
        };
        let mut len = 0;
        let mut rest = (!inner.is_empty()).then_some(inner);
        while let Some(elements) = rest {
            let (_, after) = split_element(elements, delimiter)?;
            rest = after;
            len += 1;
        }
        Ok(Self { len, body: Body::Text { elements: inner, delimiter } })
    }

    /// How many elements the array has, NULLs included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the array has no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements in order, [`Self::len`] of them unless one is an error; the last may be an
    /// error about what follows them.
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        Elements { left: self.len, body: Some(self.body) }
    }
}

/// An element that is not NULL, in the form of its array.
#[derive(Clone, Debug, PartialEq)]
pub enum Element<'a> {
    /// Its binary form.
    Binary(&'a [u8]),
    /// Its text form; owned where quotes hid escapes.
    Text(Cow<'a, [u8]>),
}

impl Element<'_> {
    /// Reads the element's value.
    ///
    /// # Errors
    /// As [`decode_binary`] and [`decode_text`].
    pub fn datum(&self, kind: &Kind) -> Result<Datum<'_>, Error> {
        match self {
            Self::Binary(bytes) => decode_binary(kind, bytes),
            Self::Text(text) => decode_text(kind, text),
        }
    }
}

/// The walk over an [`Array`]; NULL elements are `None`.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    left: usize,
    /// None once an error was given or the end was checked.
    body: Option<Body<'a>>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Option<Element<'a>>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let body = self.body.take()?;
        if self.left == 0 {
            let is_clean = matches!(body, Body::Binary([]) | Body::Text { .. });
            return (!is_clean).then(|| malformed("array (binary): trailing bytes"));
        }
        self.left -= 1;
        let step = match body {
            Body::Binary(bytes) => split_binary(bytes)
                .map(|(element, rest)| (element.map(Element::Binary), Some(Body::Binary(rest)))),
            Body::Text { elements, delimiter } => {
                split_element(elements, delimiter).map(|(element, rest)| {
                    let rest = rest.map(|elements| Body::Text { elements, delimiter });
                    (element.map(Element::Text), rest)
                })
            }
        };
        match step {
            Ok((element, rest)) => {
                self.body = rest;
                Some(Ok(element))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Body<'a> {
    /// The elements.
    Binary(&'a [u8]),
    /// What is between the braces.
    Text { elements: &'a [u8], delimiter: u8 },
}

/// PostgreSQL's `MAXDIM`.
const MAX_DIMENSIONS: u32 = 6;

fn split_binary(bytes: &[u8]) -> Result<(Option<&[u8]>, &[u8]), Error> {
    let Some((&len, rest)) = bytes.split_first_chunk() else {
        return malformed("array element (binary)");
    };
    match i32::from_be_bytes(len) {
        -1 => Ok((None, rest)),
        len => usize::try_from(len)
            .ok()
            .and_then(|len| rest.split_at_checked(len))
            .map_or_else(|| malformed("array element (binary)"), |(e, rest)| Ok((Some(e), rest))),
    }
}

/// Skips `[1:2]=`; more than one pair of brackets is more than one dimension.
fn skip_bounds(text: &[u8]) -> Result<&[u8], Error> {
    if !text.starts_with(b"[") {
        return Ok(text);
    }
    let Some(equals) = text.iter().position(|byte| *byte == b'=') else {
        return malformed("array bounds (text)");
    };
    let Some((bounds, [_, rest @ ..])) = text.split_at_checked(equals) else {
        return malformed("array bounds (text)");
    };
    match u32::try_from(bounds.iter().filter(|byte| **byte == b'[').count()) {
        Ok(1) => Ok(rest),
        Ok(dimensions @ 2..=MAX_DIMENSIONS) => Err(Error::MultiDimensional { dimensions }),
        _ => malformed("array bounds (text)"),
    }
}

/// The first element's text (`None` for NULL), and what follows its delimiter, if there is one.
#[expect(clippy::type_complexity, reason = "a pair of a pair, named in the line above")]
fn split_element(
    text: &[u8],
    delimiter: u8,
) -> Result<(Option<Cow<'_, [u8]>>, Option<&[u8]>), Error> {
    let (element, rest) = match text.split_first() {
        Some((b'"', quoted)) => {
            let (element, rest) = split_quoted(quoted)?;
            (Some(element), rest)
        }
        _ => {
            let end = text
                .iter()
                .position(|byte| *byte == delimiter || matches!(byte, b'"' | b'{' | b'}' | b'\\'));
            let (element, rest) =
                text.split_at_checked(end.unwrap_or(text.len())).unwrap_or_default();
            match element {
                [] => return malformed("array element (text)"),
                b"NULL" => (None, rest),
                _ => (Some(Cow::Borrowed(element)), rest),
            }
        }
    };
    match rest.split_first() {
        None => Ok((element, None)),
        Some((byte, rest)) if *byte == delimiter => Ok((element, Some(rest))),
        Some(_) => malformed("array element (text)"),
    }
}

/// Reads up to the closing quote; copies only if there are backslashes.
pub(super) fn split_quoted(text: &[u8]) -> Result<(Cow<'_, [u8]>, &[u8]), Error> {
    let mut unescaped = None::<Vec<u8>>;
    let mut rest = text;
    loop {
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
        let Some((chunk, [mark, after @ ..])) = plain.and_then(|at| rest.split_at_checked(at))
        else {
            return malformed("text without its closing quote");
        };
        if *mark == b'"' {
            return Ok(match unescaped {
                None => (Cow::Borrowed(chunk), after),
                Some(mut bytes) => {
                    bytes.extend_from_slice(chunk);
                    (Cow::Owned(bytes), after)
                }
            });
        }
        let Some((escaped, after)) = after.split_first() else {
            return malformed("text without its closing quote");
        };
        let bytes = unescaped.get_or_insert_default();
        bytes.extend_from_slice(chunk);
        bytes.push(*escaped);
        rest = after;
    }
}
