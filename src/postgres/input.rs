//! The read buffer of a connection: bytes in, whole messages out, nothing copied. Pure.
//!
//! ```text
//!  message:  tag (1 byte) | length (4 bytes, counts itself) | body
//!
//!  buffer:   ......taken......|‹start› messages, the last perhaps cut ‹end›|......free......
//! ```
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::fmt;
use std::ops::Range;

use super::error::Error;

/// The size to which the buffer returns after a larger message.
pub(super) const READ_BUFFER_BYTES: usize = 256 * 1024;

/// The largest message that PostgreSQL can send is one string of less than 1 GiB; some room for
/// the headers around it.
pub(super) const MESSAGE_BYTES_MAX: u64 = (1 << 30) + (1 << 20);

/// A read brings at least this much when the socket holds it.
const FREE_BYTES_MIN: usize = READ_BUFFER_BYTES / 4;

const HEADER_BYTES: usize = 5;

/// Bytes read and not yet taken.
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; READ_BUFFER_BYTES], start: 0, end: 0 }
    }

    /// Takes the next whole message: its tag and where its body is; [`Self::body`] shows it until
    /// the next call of [`Self::space`].
    ///
    /// # Errors
    ///
    /// If the length is impossible or above `limit`.
    pub(super) fn take(&mut self, limit: u64) -> Result<Option<(u8, Range<usize>)>, Error> {
        let Some((tag, total)) = self.header(limit)? else { return Ok(None) };
        if self.end - self.start < total {
            return Ok(None);
        }
        let body = self.start + HEADER_BYTES..self.start + total;
        self.start = body.end;
        Ok(Some((tag, body)))
    }

    /// The bytes of a body that [`Self::take`] found.
    pub(super) fn body(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Room for the next read, at least enough for the message that has begun to grow; empty only
    /// if the buffer is full of messages that were not taken.
    pub(super) fn space(&mut self) -> &mut [u8] {
        // An impossible length is reported by `take`.
        let wanted = self.header(MESSAGE_BYTES_MAX).ok().flatten().map_or(0, |(_, total)| total);
        let held = self.end - self.start;
        if READ_BUFFER_BYTES < self.bytes.len() && wanted.max(held) <= READ_BUFFER_BYTES / 2 {
            self.resize(READ_BUFFER_BYTES);
        } else if held < wanted && self.bytes.len() < wanted {
            // Doubling, not the announced length at once: bytes must arrive before memory grows.
            self.resize(wanted.min(self.bytes.len() * 2).max(held + FREE_BYTES_MIN));
        } else if held == 0 || self.bytes.len() - self.end < FREE_BYTES_MIN {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, held);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Says that `count` bytes were read into [`Self::space`].
    pub(super) fn filled(&mut self, count: usize) {
        self.end = self.bytes.len().min(self.end + count);
    }

    /// Moves what is held to the front of a new buffer of `size` bytes.
    fn resize(&mut self, size: usize) {
        let held = self.bytes.get(self.start..self.end).unwrap_or_default();
        let mut bytes = Vec::with_capacity(size);
        bytes.extend_from_slice(held);
        (self.start, self.end) = (0, held.len());
        bytes.resize(size, 0);
        self.bytes = bytes;
    }

    /// Tag and whole length of the message at the start, once its header is there.
    fn header(&self, limit: u64) -> Result<Option<(u8, usize)>, Error> {
        let held = self.bytes.get(self.start..self.end).unwrap_or_default();
        let Some((&[tag, a, b, c, d], _)) = held.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]);
        if length < 4 {
            let text = format!("a message '{}' of length {length}", tag.escape_ascii());
            return Err(Error::Protocol(text));
        }
        match usize::try_from(length) {
            Ok(length_usize) if u64::from(length) <= limit => Ok(Some((tag, length_usize + 1))),
            _ => Err(Error::FrameTooLarge { bytes: length.into(), limit }),
        }
    }
}

impl fmt::Debug for Input {
    /// Never the bytes (I7).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({} bytes)", self.end - self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[tag], length.to_be_bytes().as_slice(), body].concat()
    }

    /// Feeds `bytes` in pieces of `piece` and collects the bodies.
    fn feed(input: &mut Input, bytes: &[u8], piece: usize) -> Vec<(u8, Vec<u8>)> {
        let mut out = Vec::new();
        for mut chunk in bytes.chunks(piece) {
            while !chunk.is_empty() {
                let space = input.space();
                let count = space.len().min(chunk.len());
                assert_ne!(count, 0, "no room");
                space[..count].copy_from_slice(&chunk[..count]);
                input.filled(count);
                chunk = &chunk[count..];
                while let Some((tag, body)) = input.take(MESSAGE_BYTES_MAX).unwrap() {
                    out.push((tag, input.body(body).to_vec()));
                }
            }
        }
        out
    }

    #[test]
    fn messages_come_out_whole_however_they_arrive() {
        let expect = [(b'd', b"one".to_vec()), (b'N', vec![]), (b'd', vec![7; 5000])];
        let bytes: Vec<u8> = expect.iter().flat_map(|(tag, body)| message(*tag, body)).collect();
        for piece in [1, 2, 3, 7, 4096, bytes.len()] {
            assert_eq!(feed(&mut Input::new(), &bytes, piece), expect, "pieces of {piece}");
        }
    }

    #[test]
    fn the_buffer_grows_for_a_large_message_and_shrinks_again() {
        let mut input = Input::new();
        let large = message(b'd', &vec![1; 3 * READ_BUFFER_BYTES]);
        let bodies = feed(&mut input, &large, 100_000);
        assert_eq!(bodies.first().unwrap().1.len(), 3 * READ_BUFFER_BYTES);
        assert!(READ_BUFFER_BYTES < input.bytes.len());
        assert_eq!(feed(&mut input, &message(b'd', b"x"), 100).len(), 1);
        assert_eq!(input.bytes.len(), READ_BUFFER_BYTES);
    }

    #[test]
    fn memory_grows_with_what_arrives_not_with_what_is_announced() {
        let mut input = Input::new();
        let announced = [b'd', 0x3F, 0xFF, 0xFF, 0xFF];
        assert!(feed(&mut input, &announced, 5).is_empty());
        input.space();
        assert!(input.bytes.len() <= 2 * READ_BUFFER_BYTES);
    }

    #[test]
    fn a_full_buffer_has_no_room_and_loses_nothing() {
        let mut input = Input::new();
        let one = message(b'd', &[3; 1019]);
        loop {
            let space = input.space();
            if space.is_empty() {
                break;
            }
            let count = space.len().min(one.len());
            space[..count].copy_from_slice(&one[..count]);
            input.filled(count);
        }
        let mut count = 0;
        while input.take(MESSAGE_BYTES_MAX).unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, READ_BUFFER_BYTES / one.len());
        assert!(!input.space().is_empty());
    }

    #[test]
    fn impossible_lengths_are_errors() {
        let take = |bytes: &[u8], limit| {
            let mut input = Input::new();
            input.space()[..bytes.len()].copy_from_slice(bytes);
            input.filled(bytes.len());
            input.take(limit)
        };
        assert!(matches!(take(&[b'd', 0, 0, 0, 3], 100), Err(Error::Protocol(_))));
        let huge = take(&[b'd', 0xFF, 0xFF, 0xFF, 0xFF], MESSAGE_BYTES_MAX);
        assert!(matches!(huge, Err(Error::FrameTooLarge { bytes: 0xFFFF_FFFF, .. })));
        assert!(matches!(take(&[b'R', 0, 0, 1, 0], 100), Err(Error::FrameTooLarge { .. })));
    }
}
