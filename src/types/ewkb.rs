//! PostGIS' `geometry` and `geography`: EWKB, left in the form in which it came.
//!
//! ```text
//! binary: u8 byte order (1: the lowest byte first) | u32 type and flags | i32 SRID, if a flag says so
//!         | the shape's own bytes, which nobody reads here
//! text:   the same as hex digits
//! ```
//!
//! Source: `LWGEOM_send` and `LWGEOM_out` in
//! <https://github.com/postgis/postgis/blob/master/postgis/lwgeom_inout.c>

use super::bytea::hex_pair;
use super::cursor::Cursor;
use super::datum::malformed;
use super::{Bytea, Error};

/// A shape whose head was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ewkb<'a> {
    bytes: Bytea<'a>,
    srid: Option<i32>,
}

impl<'a> Ewkb<'a> {
    pub(super) fn from_binary(bytes: &'a [u8]) -> Result<Self, Error> {
        Ok(Self { bytes: Bytea::Raw(bytes), srid: srid(bytes)? })
    }

    pub(super) fn from_text(text: &'a [u8]) -> Result<Self, Error> {
        let bytes = Bytea::from_hex(text, TEXT)?;
        let mut head = [0; HEAD_BYTES_MAX];
        let mut len = 0;
        for (place, pair) in head.iter_mut().zip(text.chunks_exact(2)) {
            *place = hex_pair(pair).ok_or(Error::Malformed { what: TEXT })?;
            len += 1;
        }
        Ok(Self { bytes, srid: srid(head.get(..len).unwrap_or_default())? })
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> Bytea<'a> {
        self.bytes
    }

    /// The spatial reference system; none where PostGIS knows none.
    #[must_use]
    pub fn srid(&self) -> Option<i32> {
        self.srid
    }
}

const TEXT: &str = "geometry or geography (text)";
/// Byte order, type, SRID.
const HEAD_BYTES_MAX: usize = 9;
const HAS_SRID: u32 = 0x2000_0000;

fn srid(bytes: &[u8]) -> Result<Option<i32>, Error> {
    let mut cursor = Cursor::new(bytes, "geometry or geography");
    let is_low_first = match cursor.u8()? {
        0 => false,
        1 => true,
        _ => return malformed("geometry or geography: byte order"),
    };
    let ordered = |number: u32| if is_low_first { number.swap_bytes() } else { number };
    if ordered(cursor.u32()?) & HAS_SRID == 0 {
        return Ok(None);
    }
    Ok(Some(ordered(cursor.u32()?).cast_signed()))
}
