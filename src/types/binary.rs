//! Binary forms: what each type's send function writes, all numbers big-endian.
//!
//! Source: <https://github.com/postgres/postgres/tree/REL_17_STABLE/src/backend/utils/adt>
//! (the `*_send` functions).

use super::cursor::Cursor;
use super::datum::{malformed, utf8};
use super::time::{is_time_of_day, is_zone};
use super::{
    Array, Bits, Bytea, Datum, Error, Ewkb, Hstore, Interval, Kind, Numeric, SparseVector, Vector,
};

/// Reads a value's binary form.
///
/// # Errors
/// [`Error::Malformed`] if the bytes are not a value of `kind`, or `kind` is one that is only read
/// as text; [`Error::MultiDimensional`] for an array of arrays.
pub fn decode_binary<'a>(kind: &Kind, bytes: &'a [u8]) -> Result<Datum<'a>, Error> {
    match kind {
        Kind::Array(_) => Array::from_binary(bytes).map(Datum::Array),
        Kind::Bits { .. } => Bits::from_binary(bytes).map(Datum::Bits),
        Kind::Bool => match *fixed(bytes, "boolean (binary)")? {
            [0] => Ok(Datum::Bool(false)),
            [1] => Ok(Datum::Bool(true)),
            _ => malformed("boolean (binary)"),
        },
        Kind::Bytea => Ok(Datum::Bytea(Bytea::Raw(bytes))),
        Kind::Date => Ok(Datum::Date(i32::from_be_bytes(*fixed(bytes, "date (binary)")?))),
        Kind::Enum { .. } => utf8(bytes, "enum label").map(Datum::Text),
        Kind::Float4 => {
            Ok(Datum::Float4(canonical_f32(f32::from_be_bytes(*fixed(bytes, "real (binary)")?))))
        }
        Kind::Float8 => Ok(Datum::Float8(canonical_f64(f64::from_be_bytes(*fixed(
            bytes,
            "double precision (binary)",
        )?)))),
        Kind::Geography | Kind::Geometry => Ewkb::from_binary(bytes).map(Datum::Geometry),
        Kind::Halfvec => Vector::from_binary_half(bytes).map(Datum::Vector),
        Kind::Hstore => Hstore::from_binary(bytes).map(Datum::Hstore),
        Kind::Int2 => Ok(Datum::Int2(i16::from_be_bytes(*fixed(bytes, "smallint (binary)")?))),
        Kind::Int4 => Ok(Datum::Int4(i32::from_be_bytes(*fixed(bytes, "integer (binary)")?))),
        Kind::Int8 => Ok(Datum::Int8(i64::from_be_bytes(*fixed(bytes, "bigint (binary)")?))),
        Kind::Interval { .. } => interval(bytes).map(Datum::Interval),
        Kind::Json => utf8(bytes, "json").map(Datum::Text),
        Kind::Jsonb => match bytes.split_first() {
            Some((&JSONB_VERSION, text)) => utf8(text, "jsonb").map(Datum::Text),
            _ => malformed("jsonb (binary): unknown version"),
        },
        Kind::Money => Ok(Datum::Money(i64::from_be_bytes(*fixed(bytes, "money (binary)")?))),
        Kind::Numeric { .. } => Numeric::from_binary(bytes).map(Datum::Numeric),
        Kind::Oid => Ok(Datum::Int8(u32::from_be_bytes(*fixed(bytes, "oid (binary)")?).into())),
        Kind::Other { .. } => malformed("binary value of a type that is read as text"),
        Kind::Point => point(bytes),
        Kind::Printed(_) => Ok(Datum::Printed(bytes)),
        Kind::Sparsevec => SparseVector::from_binary(bytes).map(Datum::SparseVector),
        Kind::Text => utf8(bytes, "text").map(Datum::Text),
        Kind::Time { .. } => time(bytes).map(Datum::Time),
        Kind::TimeTz { .. } => time_tz(bytes),
        Kind::Timestamp { .. } => {
            Ok(Datum::Timestamp(i64::from_be_bytes(*fixed(bytes, "timestamp (binary)")?)))
        }
        Kind::TimestampTz { .. } => {
            Ok(Datum::TimestampTz(i64::from_be_bytes(*fixed(bytes, "timestamptz (binary)")?)))
        }
        Kind::Uuid => Ok(Datum::Uuid(*fixed(bytes, "uuid (binary)")?)),
        Kind::Vector => Vector::from_binary(bytes).map(Datum::Vector),
        // Under UTF-8 no declaration of an encoding is added.
        Kind::Xml => utf8(bytes, "xml").map(Datum::Text),
    }
}

/// The one NaN: PostgreSQL sends the bits it has, and prints them all as `NaN`.
pub(super) fn canonical_f32(value: f32) -> f32 {
    if value.is_nan() { f32::from_bits(0x7fc0_0000) } else { value }
}

/// As [`canonical_f32`].
pub(super) fn canonical_f64(value: f64) -> f64 {
    if value.is_nan() { f64::from_bits(0x7ff8_0000_0000_0000) } else { value }
}

/// `jsonb_send` writes this byte before the text.
const JSONB_VERSION: u8 = 1;

/// Where they are: an array that is moved is copied byte by byte.
fn fixed<'a, const N: usize>(bytes: &'a [u8], what: &'static str) -> Result<&'a [u8; N], Error> {
    <&[u8; N]>::try_from(bytes).map_err(|_| Error::Malformed { what })
}

fn time(bytes: &[u8]) -> Result<i64, Error> {
    let micros = i64::from_be_bytes(*fixed(bytes, "time (binary)")?);
    if is_time_of_day(micros) { Ok(micros) } else { malformed("time (binary)") }
}

fn time_tz(bytes: &[u8]) -> Result<Datum<'_>, Error> {
    let Some((micros, zone)) = bytes.split_first_chunk() else {
        return malformed("timetz (binary)");
    };
    let micros = i64::from_be_bytes(*micros);
    let west_seconds = i32::from_be_bytes(*fixed(zone, "timetz (binary)")?);
    if !is_time_of_day(micros) || !is_zone(west_seconds) {
        return malformed("timetz (binary)");
    }
    Ok(Datum::TimeTz { micros, west_seconds })
}

fn point(bytes: &[u8]) -> Result<Datum<'_>, Error> {
    let mut cursor = Cursor::new(bytes, "point (binary)");
    let (x, y) = (canonical_f64(cursor.f64()?), canonical_f64(cursor.f64()?));
    cursor.end()?;
    Ok(Datum::Point { x, y })
}

fn interval(bytes: &[u8]) -> Result<Interval, Error> {
    let [m0, m1, m2, m3, m4, m5, m6, m7, d0, d1, d2, d3, o0, o1, o2, o3] =
        *fixed(bytes, "interval (binary)")?;
    Ok(Interval {
        months: i32::from_be_bytes([o0, o1, o2, o3]),
        days: i32::from_be_bytes([d0, d1, d2, d3]),
        micros: i64::from_be_bytes([m0, m1, m2, m3, m4, m5, m6, m7]),
    })
}
