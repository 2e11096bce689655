//! Avro's binary encoding, appended to a buffer.
//!
//! Source: <https://avro.apache.org/docs/1.12.0/specification/#binary-encoding>

use super::encoding::Encoding;

/// Avro's bytes, in which names are not written and optional values are `["null", T]`.
#[derive(Clone, Copy, Debug)]
pub enum Avro {}

/// Index 0 of `["null", T]`, as zig-zag.
pub const NULL_BRANCH: u8 = 0;
/// Index 1 of `["null", T]`, as zig-zag.
pub const VALUE_BRANCH: u8 = 2;

impl Encoding for Avro {
    #[inline]
    fn null(out: &mut Vec<u8>) {
        out.push(NULL_BRANCH);
    }

    #[inline]
    fn some(out: &mut Vec<u8>) {
        out.push(VALUE_BRANCH);
    }

    #[inline]
    fn boolean(value: bool, out: &mut Vec<u8>) {
        boolean(value, out);
    }

    #[inline]
    fn int(value: i32, out: &mut Vec<u8>) {
        int(value, out);
    }

    #[inline]
    fn long(value: i64, out: &mut Vec<u8>) {
        long(value, out);
    }

    #[inline]
    fn float(value: f32, out: &mut Vec<u8>) {
        float(value, out);
    }

    #[inline]
    fn double(value: f64, out: &mut Vec<u8>) {
        double(value, out);
    }

    #[inline]
    fn string(value: &str, out: &mut Vec<u8>) {
        string(value, out);
    }

    #[inline]
    fn bytes(value: &[u8], out: &mut Vec<u8>) {
        bytes(value, out);
    }

    #[inline]
    fn string_of<E>(
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        length_prefixed(out, write)
    }

    #[inline]
    fn bytes_of<E>(
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        length_prefixed(out, write)
    }

    /// One block of all items.
    #[inline]
    fn array(len: usize, out: &mut Vec<u8>) {
        if len != 0 {
            length(len, out);
        }
    }

    #[inline]
    fn item(_: &mut Vec<u8>) {}

    #[inline]
    fn array_end(out: &mut Vec<u8>) {
        length(0, out);
    }

    #[inline]
    fn pair(_: &mut Vec<u8>) {}

    #[inline]
    fn pair_end(_: &mut Vec<u8>) {}

    /// One block of all entries.
    #[inline]
    fn map(len: usize, out: &mut Vec<u8>) {
        Self::array(len, out);
    }

    #[inline]
    fn map_key(key: &str, out: &mut Vec<u8>) {
        string(key, out);
    }

    #[inline]
    fn map_end(out: &mut Vec<u8>) {
        Self::array_end(out);
    }

    #[inline]
    fn record(_: &mut Vec<u8>) {}

    #[inline]
    fn field(_: &str, _: &mut Vec<u8>) {}

    #[inline]
    fn record_end(_: &mut Vec<u8>) {}
}

/// Appends a boolean: one byte.
#[inline]
pub fn boolean(value: bool, out: &mut Vec<u8>) {
    out.push(u8::from(value));
}

/// Appends an int, which is written as a long.
#[inline]
pub fn int(value: i32, out: &mut Vec<u8>) {
    long(i64::from(value), out);
}

/// Appends a long: zig-zag, then seven bits a byte, the lowest first; every byte but the last has
/// its highest bit set.
#[inline]
pub fn long(value: i64, out: &mut Vec<u8>) {
    let zig_zag = zig_zag(value);
    match zig_zag.to_le_bytes() {
        [byte @ 0..0x80, 0, 0, 0, 0, 0, 0, 0] => out.push(byte),
        _ => long_of_many_bytes(zig_zag, out),
    }
}

/// The highest bit of each of eight bytes.
const CONTINUED: u64 = 0x8080_8080_8080_8080;

/// All bytes at once instead of one after the other: seven longs of a row's `source` come here.
fn long_of_many_bytes(zig_zag: u64, out: &mut Vec<u8>) {
    // The lowest 56 bits, parted into halves, quarters, eighths: seven bits to a byte.
    let mut spread = zig_zag & 0x00ff_ffff_ffff_ffff;
    spread = (spread & 0x0fff_ffff) | ((spread & 0x00ff_ffff_f000_0000) << 4);
    spread = (spread & 0x0000_3fff_0000_3fff) | ((spread & 0x0fff_c000_0fff_c000) << 2);
    spread = (spread & 0x007f_007f_007f_007f) | ((spread & 0x3f80_3f80_3f80_3f80) << 1);
    let bits = u64::BITS - zig_zag.leading_zeros();
    let len = bits.div_ceil(7);
    let continued = CONTINUED & !u64::MAX.unbounded_shl(8 * (len - 1));
    let end = out.len() + usize::try_from(len.min(8)).unwrap_or(8);
    // Eight and some back again: a copy of a length known at compile time is no call.
    out.extend_from_slice(&(spread | continued).to_le_bytes());
    out.truncate(end);
    let [.., highest] = zig_zag.to_le_bytes();
    match len {
        0..=8 => {}
        9 => out.push(highest),
        _ => out.extend_from_slice(&[highest | 0x80, 1]),
    }
}

/// Appends a float: its bits, little-endian.
#[inline]
pub fn float(value: f32, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a double: its bits, little-endian.
#[inline]
pub fn double(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a length, as strings, bytes and array blocks begin.
#[inline]
pub fn length(len: usize, out: &mut Vec<u8>) {
    // No object in memory is longer than isize::MAX bytes.
    long(i64::try_from(len).unwrap_or(i64::MAX), out);
}

/// Appends bytes with their length.
#[inline]
pub fn bytes(value: &[u8], out: &mut Vec<u8>) {
    length(value.len(), out);
    out.extend_from_slice(value);
}

/// Appends a string with its length.
#[inline]
pub fn string(value: &str, out: &mut Vec<u8>) {
    bytes(value.as_bytes(), out);
}

/// Appends the index of a union's branch, from 0.
#[inline]
pub fn union_index(index: u8, out: &mut Vec<u8>) {
    long(i64::from(index), out);
}

/// Appends bytes or a string whose length is known only when `write` has appended it.
///
/// # Errors
/// Those of `write`; the buffer then holds a part of the value.
#[inline]
pub fn length_prefixed<E>(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    out.push(0);
    write(out)?;
    let len = out.len() - start - 1;
    match (u8::try_from(len), out.get_mut(start)) {
        // One byte holds the zig-zag of a length below 64.
        (Ok(len @ 0..64), Some(prefix)) => *prefix = len << 1,
        // Written behind the value, then brought before it, over the byte that was too few.
        _ => {
            let end = out.len();
            length(len, out);
            let prefix_len = out.len() - end;
            if let Some(value) = out.get_mut(start..) {
                value.rotate_right(prefix_len);
            }
            out.remove(start + prefix_len);
        }
    }
    Ok(())
}

fn zig_zag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}
