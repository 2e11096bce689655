//! Text forms: what each type's output function prints under
//! [`SESSION_SETTINGS`](super::SESSION_SETTINGS).

use std::str::FromStr;

use super::binary::{canonical_f32, canonical_f64};
use super::bytea::hex_pair;
use super::datum::{malformed, utf8};
use super::interval::interval_from_text;
use super::time::{
    date_from_text, time_from_text, time_tz_from_text, timestamp_from_text, timestamp_tz_from_text,
};
use super::{
    Array, Bits, Bytea, Datum, Error, Ewkb, Hstore, Kind, Numeric, Printed, SparseVector, Vector,
};

/// Reads a value's text form.
///
/// # Errors
/// [`Error::Malformed`] if the text is not a value of `kind`; [`Error::MultiDimensional`] for an
/// array of arrays.
pub fn decode_text<'a>(kind: &Kind, text: &'a [u8]) -> Result<Datum<'a>, Error> {
    match kind {
        Kind::Array(element) => Array::from_text(text, element.delimiter()).map(Datum::Array),
        Kind::Bits { .. } => Bits::from_text(text).map(Datum::Bits),
        Kind::Bool => match text {
            b"t" => Ok(Datum::Bool(true)),
            b"f" => Ok(Datum::Bool(false)),
            _ => malformed("boolean (text)"),
        },
        Kind::Bytea => Bytea::from_text(text).map(Datum::Bytea),
        Kind::Date => date_from_text(text),
        Kind::Enum { .. } => utf8(text, "enum label").map(Datum::Text),
        Kind::Float4 => Ok(Datum::Float4(canonical_f32(number(text, "real (text)")?))),
        Kind::Float8 => Ok(Datum::Float8(canonical_f64(number(text, "double precision (text)")?))),
        Kind::Geography | Kind::Geometry => Ewkb::from_text(text).map(Datum::Geometry),
        Kind::Halfvec | Kind::Vector => Vector::from_text(text).map(Datum::Vector),
        Kind::Hstore => Ok(Datum::Hstore(Hstore::from_text(text))),
        Kind::Int2 => number(text, "smallint (text)").map(Datum::Int2),
        Kind::Int4 => number(text, "integer (text)").map(Datum::Int4),
        Kind::Int8 => number(text, "bigint (text)").map(Datum::Int8),
        Kind::Interval { .. } => interval_from_text(text).map(Datum::Interval),
        Kind::Json => utf8(text, "json").map(Datum::Text),
        Kind::Jsonb => utf8(text, "jsonb").map(Datum::Text),
        Kind::Money => {
            money(text).map_or_else(|| malformed("money (text)"), |m| Ok(Datum::Money(m)))
        }
        Kind::Numeric { .. } => Numeric::from_text(text).map(Datum::Numeric),
        Kind::Oid => number::<u32>(text, "oid (text)").map(|oid| Datum::Int8(oid.into())),
        // Before PostgreSQL 16 such a byte comes as it is, which is its binary form.
        Kind::Printed(Printed::Char) if matches!(text, [0x80..=0xff]) => Ok(Datum::Printed(text)),
        Kind::Other { .. } | Kind::Printed(_) | Kind::Text => utf8(text, "text").map(Datum::Text),
        Kind::Point => point(text)
            .map_or_else(|| malformed("point (text)"), |(x, y)| Ok(Datum::Point { x, y })),
        Kind::Sparsevec => SparseVector::from_text(text).map(Datum::SparseVector),
        Kind::Time { .. } => time_from_text(text),
        Kind::TimeTz { .. } => time_tz_from_text(text),
        Kind::Timestamp { .. } => timestamp_from_text(text).map(Datum::Timestamp),
        Kind::TimestampTz { .. } => timestamp_tz_from_text(text).map(Datum::TimestampTz),
        Kind::Uuid => uuid(text).map_or_else(|| malformed("uuid (text)"), |u| Ok(Datum::Uuid(u))),
        Kind::Xml => utf8(text, "xml").map(Datum::Text),
    }
}

/// Integers and floats: std reads what PostgreSQL prints, `NaN` and `Infinity` included.
fn number<T: FromStr>(text: &[u8], what: &'static str) -> Result<T, Error> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.ok_or(Error::Malformed { what })
}

/// `-$1,234.56`, as hundredths.
fn money(text: &[u8]) -> Option<i64> {
    let unsigned = text.strip_prefix(b"-");
    let number = unsigned.unwrap_or(text).strip_prefix(b"$")?;
    let mut cents = 0_i64;
    for digit in number.iter().filter(|byte| !matches!(byte, b',' | b'.')) {
        let digit = i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        // Counted below zero, where there is one more.
        cents = cents.checked_mul(10)?.checked_sub(digit)?;
    }
    if unsigned.is_some() { Some(cents) } else { cents.checked_neg() }
}

/// `(x,y)`.
pub(super) fn point(text: &[u8]) -> Option<(f64, f64)> {
    let inner = text.strip_prefix(b"(")?.strip_suffix(b")")?;
    let comma = inner.iter().position(|byte| *byte == b',')?;
    Some((float(inner.get(..comma)?)?, float(inner.get(comma + 1..)?)?))
}

/// A double precision number.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    number(text, "double precision (text)").ok().map(canonical_f64)
}

/// `8-4-4-4-12` hex digits.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut slots = bytes.iter_mut();
    for (group, digits) in [8, 4, 4, 4, 12].into_iter().zip(text.split(|byte| *byte == b'-')) {
        if digits.len() != group {
            return None;
        }
        for pair in digits.chunks_exact(2) {
            *slots.next()? = hex_pair(pair)?;
        }
    }
    (text.len() == 36 && slots.next().is_none()).then_some(bytes)
}
