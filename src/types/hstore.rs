//! `hstore`: texts by text, in the order in which PostgreSQL keeps them.
//!
//! ```text
//! binary: i32 pairs | per pair: i32 length, key | i32 length (−1 is NULL), value
//! text:   "key"=>"value", "other"=>NULL
//! ```
//!
//! Source: `hstore_send` and `hstore_out` in
//! <https://github.com/postgres/postgres/blob/REL_17_STABLE/contrib/hstore/hstore_io.c>

use std::borrow::Cow;

use super::Error;
use super::array::split_quoted;
use super::cursor::Cursor;
use super::datum::{malformed, utf8};

/// An `hstore` whose pairs are read as they are walked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hstore<'a> {
    body: Body<'a>,
}

/// A key and its value, not yet known to be text.
type Pair<'a> = (Cow<'a, [u8]>, Option<Cow<'a, [u8]>>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Body<'a> {
    Binary { pairs: u32, bytes: &'a [u8] },
    Text(&'a [u8]),
}

impl<'a> Hstore<'a> {
    pub(super) fn from_binary(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, BINARY);
        let pairs = cursor.u32()?;
        Ok(Self { body: Body::Binary { pairs, bytes: cursor.rest() } })
    }

    pub(super) fn from_text(text: &'a [u8]) -> Self {
        Self { body: Body::Text(text) }
    }

    /// Gives each pair in order.
    ///
    /// # Errors
    /// [`Error::Malformed`], and those of `each`.
    pub fn for_each<E: From<Error>>(
        &self,
        mut each: impl FnMut(&str, Option<&str>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut give = |(key, value): Pair<'_>| {
            let value = value.as_deref().map(|value| utf8(value, "hstore")).transpose()?;
            each(utf8(&key, "hstore")?, value)
        };
        match self.body {
            Body::Binary { pairs, bytes } => {
                let mut cursor = Cursor::new(bytes, BINARY);
                for _ in 0..pairs {
                    let Some(key) = cursor.value()? else { return Ok(cursor.malformed()?) };
                    give((Cow::Borrowed(key), cursor.value()?.map(Cow::Borrowed)))?;
                }
                Ok(cursor.end()?)
            }
            Body::Text(text) => {
                let mut rest = (!text.is_empty()).then_some(text);
                while let Some(text) = rest {
                    let (pair, after) = split_pair(text)?;
                    give(pair)?;
                    rest = after;
                }
                Ok(())
            }
        }
    }

    /// Appends the text form.
    pub(super) fn print(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut comma: &[u8] = b"";
        self.for_each(|key, value| {
            out.extend_from_slice(comma);
            comma = b", ";
            quoted(key, out);
            out.extend_from_slice(b"=>");
            match value {
                None => out.extend_from_slice(b"NULL"),
                Some(value) => quoted(value, out),
            }
            Ok(())
        })
    }
}

const BINARY: &str = "hstore (binary)";
const TEXT: &str = "hstore (text)";

/// The first pair, and what follows its comma, if there is one.
fn split_pair(text: &[u8]) -> Result<(Pair<'_>, Option<&[u8]>), Error> {
    let (key, rest) = split_quoted(text.strip_prefix(b"\"").unwrap_or_default())?;
    let Some(rest) = rest.strip_prefix(b"=>") else { return malformed(TEXT) };
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(quoted) => split_quoted(quoted).map(|(value, rest)| (Some(value), rest))?,
        None => match rest.strip_prefix(b"NULL") {
            Some(rest) => (None, rest),
            None => return malformed(TEXT),
        },
    };
    match (rest, rest.strip_prefix(b", ")) {
        ([], _) => Ok(((key, value), None)),
        (_, Some(rest)) => Ok(((key, value), Some(rest))),
        _ => malformed(TEXT),
    }
}

fn quoted(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}
