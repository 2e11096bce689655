//! `bytea`, left in the form in which it came until it is written.
//!
//! Source: <https://www.postgresql.org/docs/current/datatype-binary.html>

use super::Error;
use super::datum::malformed;

/// A `bytea` value, checked but not yet decoded.
#[derive(Clone, Copy, Debug)]
pub enum Bytea<'a> {
    /// The escape format of text (`bytea_output = escape`): `\\` and `\ooo`.
    Escape(&'a [u8]),
    /// The hex format of text, without its `\x`: an even count of hex digits.
    Hex(&'a [u8]),
    /// The bytes themselves.
    Raw(&'a [u8]),
}

impl<'a> Bytea<'a> {
    /// Reads either text format, and checks it whole.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is in neither.
    pub fn from_text(text: &'a [u8]) -> Result<Self, Error> {
        if let Some(digits) = text.strip_prefix(b"\\x") {
            return Self::from_hex(digits, "bytea (hex format)");
        }
        let mut rest = text;
        while let Some((_, after)) = next_escaped(rest) {
            rest = after;
        }
        if rest.is_empty() { Ok(Self::Escape(text)) } else { malformed("bytea (escape format)") }
    }

    /// Reads hex digits, and checks them all.
    pub(super) fn from_hex(digits: &'a [u8], what: &'static str) -> Result<Self, Error> {
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        if is_hex && digits.len().is_multiple_of(2) {
            Ok(Self::Hex(digits))
        } else {
            malformed(what)
        }
    }

    /// How many bytes the value has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Escape(_) => self.bytes().count(),
            Self::Hex(digits) => digits.len() / 2,
            Self::Raw(bytes) => bytes.len(),
        }
    }

    /// Whether the value is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Escape([]) | Self::Hex([]) | Self::Raw([]))
    }

    /// Appends the value's bytes.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Escape(_) => out.extend(self.bytes()),
            Self::Hex(digits) => out.extend(digits.chunks_exact(2).filter_map(hex_pair)),
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }

    /// The bytes of the escape format.
    fn bytes(&self) -> impl Iterator<Item = u8> + 'a {
        let mut rest = match *self {
            Self::Escape(text) => text,
            Self::Hex(_) | Self::Raw(_) => &[],
        };
        std::iter::from_fn(move || {
            let (byte, after) = next_escaped(rest)?;
            rest = after;
            Some(byte)
        })
    }
}

impl PartialEq for Bytea<'_> {
    fn eq(&self, other: &Self) -> bool {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        self.append_to(&mut left);
        other.append_to(&mut right);
        left == right
    }
}

/// Two hex digits to their byte.
pub(super) fn hex_pair(pair: &[u8]) -> Option<u8> {
    let &[high, low] = pair else {
        return None;
    };
    let value = (char::from(high).to_digit(16)? << 4) | char::from(low).to_digit(16)?;
    u8::try_from(value).ok()
}

/// The first byte of an escaped text, and what follows; none at the end or where it is malformed.
fn next_escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'\\', b'\\', rest @ ..] => Some((b'\\', rest)),
        [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
            Some((((a - b'0') << 6) | ((b - b'0') << 3) | (c - b'0'), rest))
        }
        [b'\\', ..] | [] => None,
        [byte, rest @ ..] => Some((*byte, rest)),
    }
}
