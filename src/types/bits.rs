//! `bit` and `varbit`.
//!
//! ```text
//! binary: i32 bits | bytes, the first bit the highest of the first byte
//! text:   0101
//! ```
//!
//! Source: `varbit_send` in
//! <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/varbit.c>

use super::Error;
use super::cursor::Cursor;
use super::datum::malformed;

/// A string of bits.
#[derive(Clone, Copy, Debug)]
pub struct Bits<'a> {
    len: usize,
    body: Body<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Body<'a> {
    Packed(&'a [u8]),
    Text(&'a [u8]),
}

impl<'a> Bits<'a> {
    pub(super) fn from_binary(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes, "bit (binary)");
        let Ok(len) = usize::try_from(cursor.i32()?) else { return cursor.malformed() };
        let bytes = cursor.take(len.div_ceil(8))?;
        cursor.end()?;
        Ok(Self { len, body: Body::Packed(bytes) })
    }

    pub(super) fn from_text(text: &'a [u8]) -> Result<Self, Error> {
        if text.iter().all(|digit| matches!(digit, b'0' | b'1')) {
            Ok(Self { len: text.len(), body: Body::Text(text) })
        } else {
            malformed("bit (text)")
        }
    }

    /// How many bits there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bits from the left.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = bool> + ExactSizeIterator + '_ {
        (0..self.len).map(|at| match self.body {
            Body::Packed(bytes) => {
                bytes.get(at / 8).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
            }
            Body::Text(text) => text.get(at) == Some(&b'1'),
        })
    }
}

impl PartialEq for Bits<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}
