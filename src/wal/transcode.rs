//! Text of a database without an encoding (SQL_ASCII), made UTF-8 before anybody looks at it.
//!
//! ```text
//! body of a frame ──▶ Message ──▶ a text that is not ASCII? ─┬─ no ──▶ as it is
//!                                                            └─ yes ─▶ written anew ──▶ Message
//! ```
//!
//! Only values of rows: names must be UTF-8, as the catalog cannot say them otherwise, and the
//! content of a logical message is bytes. In the encodings that we read every byte below 0x80 is
//! ASCII, so PostgreSQL's quotes and commas in arrays and composites stay what they are.
//!
//! Nothing is replaced or left out. Bytes that the encoding does not define stand in the value behind
//! a byte that no UTF-8 has, since by chance they may be UTF-8 themselves; so the value is judged like
//! any that is not UTF-8.

use encoding_rs::{DecoderResult, Encoding};

use super::message::Message;
use super::reader::Error;
use super::row::Row;
use super::tuple::{Column, Tuple};

/// Reads messages whose text may be in another encoding than UTF-8.
pub struct Transcoder {
    encoding: Option<&'static Encoding>,
    /// The last message that was written anew; kept for the next.
    body: Vec<u8>,
}

impl Transcoder {
    /// For text in `encoding`, in which every byte below 0x80 must be ASCII and stand for itself.
    /// `None` leaves messages as they are.
    #[must_use]
    pub const fn new(encoding: Option<&'static Encoding>) -> Self {
        Self { encoding, body: Vec::new() }
    }

    /// Reads one message, with its text in UTF-8.
    ///
    /// # Errors
    ///
    /// As [`Message::parse`]; and if a value as UTF-8 is too large for a message.
    #[inline]
    pub fn parse<'a>(&'a mut self, body: &'a [u8]) -> Result<Message<'a>, Error> {
        let message = Message::parse(body)?;
        let Some(encoding) = self.encoding else { return Ok(message) };
        let Some(row) = Row::of(&message).filter(|row| !row.is_ascii()) else {
            return Ok(message);
        };
        self.body.clear();
        self.body.shrink_to(KEPT_BYTES_MAX);
        row.write_with(&mut self.body, |text, out| decode(encoding, text, out))?;
        Message::parse(&self.body)
    }
}

/// A large row comes rarely, and its memory is given back.
const KEPT_BYTES_MAX: usize = 1 << 20;

impl Row<'_> {
    fn is_ascii(&self) -> bool {
        let tuples = self.old.iter().map(|old| &old.tuple).chain(&self.new);
        tuples.flat_map(Tuple::columns).all(|column| match column {
            Column::Text(text) => text.is_ascii(),
            Column::Binary(_) | Column::Null | Column::Unchanged => true,
        })
    }
}

/// Appends a text as UTF-8; it is UTF-8 if and only if the encoding defines all of it.
fn decode(encoding: &'static Encoding, text: &[u8], out: &mut Vec<u8>) {
    if text.is_ascii() {
        out.extend_from_slice(text);
        return;
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut piece = [0; PIECE_BYTES];
    let mut read = 0;
    loop {
        let left = text.get(read..).unwrap_or_default();
        let (result, taken, written) =
            decoder.decode_to_utf8_without_replacement(left, &mut piece, true);
        read += taken;
        out.extend_from_slice(piece.get(..written).unwrap_or_default());
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(undefined, behind) => {
                // They may have been taken in the turn before.
                let bytes = usize::from(undefined) + usize::from(behind);
                out.push(NEVER_UTF8);
                out.extend_from_slice(
                    text.get(read.saturating_sub(bytes)..read).unwrap_or_default(),
                );
            }
        }
    }
}

/// Decoded in pieces of this size, so that no value takes more memory than it needs.
const PIECE_BYTES: usize = 1 << 10;

/// No character's UTF-8 has this byte.
const NEVER_UTF8: u8 = 0xFF;

#[cfg(test)]
mod tests;
