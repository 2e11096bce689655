//! JSON, appended to a buffer, as Kafka Connect's converter writes it: bytes and decimals are
//! Base64, and so are floats that are no numbers texts.
//!
//! Source: `JsonConverter` in <https://github.com/apache/kafka>

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::encoding::Encoding;
use crate::types::TextBuffer;

/// JSON's text.
#[derive(Clone, Copy, Debug)]
pub enum Json {}

impl Encoding for Json {
    fn null(out: &mut Vec<u8>) {
        out.extend_from_slice(b"null");
    }

    fn some(_: &mut Vec<u8>) {}

    fn boolean(value: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn int(value: i32, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn long(value: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn float(value: f32, out: &mut Vec<u8>) {
        number(value.is_finite(), format_args!("{value:?}"), out, f64::from(value));
    }

    fn double(value: f64, out: &mut Vec<u8>) {
        number(value.is_finite(), format_args!("{value:?}"), out, value);
    }

    fn string(value: &str, out: &mut Vec<u8>) {
        out.push(b'"');
        let start = out.len();
        out.extend_from_slice(value.as_bytes());
        escape(start, out);
        out.push(b'"');
    }

    fn bytes(value: &[u8], out: &mut Vec<u8>) {
        out.push(b'"');
        base64(STANDARD, value, out);
        out.push(b'"');
    }

    fn string_of<E>(
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        out.push(b'"');
        let start = out.len();
        write(out)?;
        escape(start, out);
        out.push(b'"');
        Ok(())
    }

    fn bytes_of<E>(
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = out.len();
        write(out)?;
        let bytes = out.split_off(start);
        Self::bytes(&bytes, out);
        Ok(())
    }

    fn array(_: usize, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn item(out: &mut Vec<u8>) {
        comma(b'[', out);
    }

    fn array_end(out: &mut Vec<u8>) {
        out.push(b']');
    }

    fn pair(out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn pair_end(out: &mut Vec<u8>) {
        out.push(b']');
    }

    fn map(_: usize, out: &mut Vec<u8>) {
        out.push(b'{');
    }

    fn map_key(key: &str, out: &mut Vec<u8>) {
        Self::field(key, out);
    }

    fn map_end(out: &mut Vec<u8>) {
        out.push(b'}');
    }

    fn record(out: &mut Vec<u8>) {
        out.push(b'{');
    }

    fn field(name: &str, out: &mut Vec<u8>) {
        comma(b'{', out);
        Self::string(name, out);
        out.push(b':');
    }

    fn record_end(out: &mut Vec<u8>) {
        out.push(b'}');
    }
}

/// Appends the Base64 text of bytes, without quotes.
pub(super) fn base64(engine: impl Engine, bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let room = base64::encoded_len(bytes.len(), true).unwrap_or_default();
    out.resize(start + room, 0);
    let written = out.get_mut(start..).map(|place| engine.encode_slice(bytes, place));
    // There is room: it was counted with padding.
    if let Some(Ok(written)) = written {
        out.truncate(start + written);
    }
}

/// A comma, unless this is the first after the opening bracket. No value ends with one.
fn comma(open: u8, out: &mut Vec<u8>) {
    if out.last() != Some(&open) {
        out.push(b',');
    }
}

/// The fewest digits that read back as the same number.
fn number(is_finite: bool, text: std::fmt::Arguments<'_>, out: &mut Vec<u8>, value: f64) {
    if is_finite {
        let _ = TextBuffer(out).write_fmt(text);
        return;
    }
    let name: &[u8] = match value {
        f64::INFINITY => b"\"Infinity\"",
        f64::NEG_INFINITY => b"\"-Infinity\"",
        _ => b"\"NaN\"",
    };
    out.extend_from_slice(name);
}

/// Escapes what was appended since `start`, which is mostly nothing to do; in place, from the end.
fn escape(start: usize, out: &mut Vec<u8>) {
    let text = out.get(start..).unwrap_or_default();
    let more: usize = text.iter().map(|byte| escaped(*byte).1 - 1).sum();
    if more == 0 {
        return;
    }
    let mut from = out.len();
    let mut to = from + more;
    out.resize(to, 0);
    while start < from {
        from -= 1;
        let (text, len) = escaped(out.get(from).copied().unwrap_or_default());
        to -= len;
        if let (Some(place), Some(text)) = (out.get_mut(to..to + len), text.get(..len)) {
            place.copy_from_slice(text);
        }
    }
}

/// What stands for a byte in a string, and how many bytes of it count.
fn escaped(byte: u8) -> ([u8; 6], usize) {
    let short = |letter| ([b'\\', letter, 0, 0, 0, 0], 2);
    match byte {
        b'"' | b'\\' => short(byte),
        b'\n' => short(b'n'),
        b'\r' => short(b'r'),
        b'\t' => short(b't'),
        0x08 => short(b'b'),
        0x0c => short(b'f'),
        0..0x20 => {
            let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' - 10 + nibble };
            ([b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)], 6)
        }
        _ => ([byte, 0, 0, 0, 0, 0], 1),
    }
}
