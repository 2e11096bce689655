//! One value, in either notation, without what says that it is not null. What the decoders give for
//! a kind is what its layout expects.

use uuid::Uuid;

use super::encoding::Encoding;
use super::json::{self, Json};
use super::layout::{Codec, Layout};
use super::values::BinaryMode;
use super::{Error, decimal, spatial, time, vector};
use crate::types::{
    Array, Bits, Bytea, Datum, Decimal, Element, Figure, Hstore, Kind, Multirange, Numeric,
    Printed, Range, print,
};

/// Appends a value.
pub(super) fn write<E: Encoding>(
    codec: &Codec,
    datum: &Datum<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match *datum {
        Datum::Array(array) => return write_array::<E>(&codec.layout, array, out),
        Datum::Bits(bits) => return write_bits::<E>(&codec.layout, bits, out),
        Datum::Bool(value) => E::boolean(value, out),
        Datum::Bytea(value) => return write_bytea::<E>(&codec.layout, value, out),
        Datum::Date(days) => return time::write_date::<E>(&codec.layout, days, out),
        Datum::Float4(value) if codec.layout == Layout::Double => E::double(value.into(), out),
        Datum::Float4(value) => E::float(value, out),
        Datum::Float8(value) => E::double(value, out),
        Datum::Geometry(value) => return spatial::write::<E>(&codec.layout, value, out),
        Datum::Hstore(value) => return write_hstore::<E>(&codec.layout, value, out),
        Datum::Int2(value) => E::int(i32::from(value), out),
        Datum::Int4(value) => E::int(value, out),
        Datum::Int8(value) => E::long(value, out),
        Datum::Interval(value) => return time::write_interval::<E>(&codec.layout, value, out),
        Datum::Money(cents) => return decimal::write_money::<E>(&codec.layout, cents, out),
        Datum::Numeric(value) => return write_numeric::<E>(codec, value, out),
        Datum::Point { x, y } => write_point::<E>(&codec.layout, x, y, out),
        Datum::Printed(bytes) => return write_printed::<E>(codec, bytes, out),
        Datum::SparseVector(value) => return vector::write_sparse::<E>(&codec.layout, &value, out),
        Datum::Text(text) => match &codec.layout {
            Layout::Circle | Layout::Geometry | Layout::Line => {
                let figure = Figure::from_text(printed_of(codec)?, text.as_bytes())?;
                return spatial::write_figure::<E>(&figure, out);
            }
            Layout::Range { element, .. } => {
                return write_range::<E>(element, &Range::from_text(text.as_bytes())?, out);
            }
            Layout::Ranges { element, .. } => {
                return write_ranges::<E>(element, Multirange::from_text(text.as_bytes())?, out);
            }
            _ => E::string(text, out),
        },
        Datum::Time(micros) => return time::write_time::<E>(&codec.layout, micros, out),
        Datum::TimeTz { micros, west_seconds } => {
            return time::write_zoned_time::<E>(&codec.layout, micros, west_seconds, out);
        }
        Datum::Timestamp(micros) => return time::write_timestamp::<E>(&codec.layout, micros, out),
        Datum::TimestampTz(micros) => {
            return time::write_zoned_timestamp::<E>(&codec.layout, micros, out);
        }
        Datum::Uuid(value) => write_uuid::<E>(value, out),
        Datum::Vector(value) => return vector::write::<E>(&codec.layout, &value, out),
    }
    Ok(())
}

/// For layouts that the decoders never give this value for.
pub(super) fn misplaced<T>() -> Result<T, Error> {
    Err(Error::Malformed { what: "value of a column of another kind" })
}

/// Each element may be null.
fn write_array<E: Encoding>(
    layout: &Layout,
    array: Array<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let Layout::Array { element: codec } = layout else { return misplaced() };
    E::array(array.len(), out);
    for element in array.elements() {
        E::item(out);
        match element? {
            None => E::null(out),
            Some(element) => {
                E::some(out);
                write::<E>(codec, &element.datum(&codec.kind)?, out)?;
            }
        }
    }
    E::array_end(out);
    Ok(())
}

/// Like Java's `BitSet.toByteArray`: the last bit is the lowest of the first byte, and the bytes end
/// with the highest bit that is set.
fn write_bits<E: Encoding>(
    layout: &Layout,
    bits: Bits<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    if *layout == Layout::Boolean {
        let what = "an empty string of bits";
        E::boolean(bits.iter().next().ok_or(Error::Unrepresentable { what })?, out);
        return Ok(());
    }
    E::bytes_of(out, |out| {
        let zeros = bits.iter().take_while(|bit| !bit).count();
        let mut low_first = bits.iter().rev().take(bits.len() - zeros);
        while 0 < low_first.len() {
            let byte = low_first.by_ref().take(8).enumerate();
            out.push(byte.fold(0, |byte, (at, bit)| byte | u8::from(bit) << at));
        }
        Ok(())
    })
}

fn write_bytea<E: Encoding>(
    layout: &Layout,
    value: Bytea<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match (layout, value) {
        (Layout::BinaryText(mode), Bytea::Raw(bytes)) => E::string_of(out, |out| {
            write_binary_text(*mode, bytes, out);
            Ok(())
        }),
        (Layout::BinaryText(mode), _) => E::string_of(out, |out| {
            let start = out.len();
            value.append_to(out);
            let bytes = out.split_off(start);
            write_binary_text(*mode, &bytes, out);
            Ok(())
        }),
        (_, Bytea::Raw(bytes)) => {
            E::bytes(bytes, out);
            Ok(())
        }
        _ => E::bytes_of(out, |out| {
            value.append_to(out);
            Ok(())
        }),
    }
}

/// Bytes as text, in the mode that says how.
pub(super) fn write_binary_text(mode: BinaryMode, bytes: &[u8], out: &mut Vec<u8>) {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    match mode {
        BinaryMode::Base64 => json::base64(STANDARD, bytes, out),
        BinaryMode::Base64UrlSafe => json::base64(URL_SAFE, bytes, out),
        BinaryMode::Bytes => out.extend_from_slice(bytes),
        BinaryMode::Hex => {
            let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
            out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        }
    }
}

/// A map, or the JSON text of an object.
fn write_hstore<E: Encoding>(
    layout: &Layout,
    value: Hstore<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    if *layout == Layout::HstoreMap {
        return write_hstore_map::<E>(value, out);
    }
    E::string_of(out, |out| {
        out.push(b'{');
        let start = out.len();
        value.for_each(|key, value| {
            if start != out.len() {
                out.push(b',');
            }
            Json::string(key, out);
            out.push(b':');
            match value {
                None => Json::null(out),
                Some(value) => Json::string(value, out),
            }
            Ok::<_, Error>(())
        })?;
        out.push(b'}');
        Ok(())
    })
}

fn write_hstore_map<E: Encoding>(value: Hstore<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let mut len = 0;
    value.for_each(|_, _| {
        len += 1;
        Ok::<_, Error>(())
    })?;
    E::map(len, out);
    value.for_each(|key, value| {
        E::map_key(key, out);
        match value {
            None => E::null(out),
            Some(value) => {
                E::some(out);
                E::string(value, out);
            }
        }
        Ok::<_, Error>(())
    })?;
    E::map_end(out);
    Ok(())
}

/// The coordinates; in Debezium's `Point` again as WKB (little-endian, type 1), no SRID.
pub(super) fn write_point<E: Encoding>(layout: &Layout, x: f64, y: f64, out: &mut Vec<u8>) {
    E::record(out);
    E::field("x", out);
    E::double(x, out);
    E::field("y", out);
    E::double(y, out);
    if *layout == Layout::Point {
        let [x0, x1, x2, x3, x4, x5, x6, x7] = x.to_le_bytes();
        let [y0, y1, y2, y3, y4, y5, y6, y7] = y.to_le_bytes();
        let wkb = [1, 1, 0, 0, 0, x0, x1, x2, x3, x4, x5, x6, x7, y0, y1, y2, y3, y4, y5, y6, y7];
        E::field("wkb", out);
        E::some(out);
        E::bytes(&wkb, out);
        E::field("srid", out);
        E::null(out);
    }
    E::record_end(out);
}

/// The text of a binary form, or the record of a range or of a geometric value.
fn write_printed<E: Encoding>(codec: &Codec, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    match &codec.layout {
        Layout::Circle | Layout::Geometry | Layout::Line => {
            spatial::write_figure::<E>(&Figure::from_binary(printed_of(codec)?, bytes)?, out)
        }
        Layout::Printed { .. } => E::string_of(out, |out| Ok(print(&codec.kind, bytes, out)?)),
        Layout::Range { element, .. } => {
            write_range::<E>(element, &Range::from_binary(bytes)?, out)
        }
        Layout::Ranges { element, .. } => {
            write_ranges::<E>(element, Multirange::from_binary(bytes)?, out)
        }
        _ => misplaced(),
    }
}

/// Which of the types it is that are published as text, or could be.
fn printed_of(codec: &Codec) -> Result<&Printed, Error> {
    match &codec.kind {
        Kind::Printed(printed) => Ok(printed),
        _ => misplaced(),
    }
}

fn write_ranges<E: Encoding>(
    element: &Codec,
    ranges: Multirange<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    E::array(ranges.len(), out);
    ranges.for_each(|range| {
        E::item(out);
        write_range::<E>(element, &range, out)
    })?;
    E::array_end(out);
    Ok(())
}

/// The bounds, null where there is none, and whether they are in the range. That of no values is
/// told by `is_empty`.
fn write_range<E: Encoding>(
    element: &Codec,
    range: &Range<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let (lower, is_lower_inclusive, upper, is_upper_inclusive) = match range {
        Range::Empty => (&None, false, &None, false),
        Range::Span { lower, is_lower_inclusive, upper, is_upper_inclusive } => {
            (lower, *is_lower_inclusive, upper, *is_upper_inclusive)
        }
    };
    E::record(out);
    E::field("lower", out);
    write_bound::<E>(element, lower.as_ref(), out)?;
    E::field("upper", out);
    write_bound::<E>(element, upper.as_ref(), out)?;
    E::field("is_lower_inclusive", out);
    E::boolean(is_lower_inclusive, out);
    E::field("is_upper_inclusive", out);
    E::boolean(is_upper_inclusive, out);
    E::field("is_empty", out);
    E::boolean(*range == Range::Empty, out);
    E::record_end(out);
    Ok(())
}

fn write_bound<E: Encoding>(
    codec: &Codec,
    bound: Option<&Element<'_>>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match bound {
        None => E::null(out),
        Some(bound) => {
            E::some(out);
            write::<E>(codec, &bound.datum(&codec.kind)?, out)?;
        }
    }
    Ok(())
}

fn write_numeric<E: Encoding>(
    codec: &Codec,
    value: Numeric<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let (what, number) = match value {
        Numeric::Finite(value) => return write_decimal::<E>(&codec.layout, &value, out),
        Numeric::Infinity => ("numeric Infinity", f64::INFINITY),
        Numeric::NaN => ("numeric NaN", f64::NAN),
        Numeric::NegativeInfinity => ("numeric -Infinity", f64::NEG_INFINITY),
    };
    if codec.layout == Layout::Double {
        E::double(number, out);
        return Ok(());
    }
    Err(Error::Unrepresentable { what })
}

fn write_decimal<E: Encoding>(
    layout: &Layout,
    value: &Decimal<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let needed = value.fraction_digits();
    match layout {
        Layout::Decimal { scale, .. } if needed <= u32::from(*scale) => {
            decimal::write_unscaled::<E>(value, u32::from(*scale), out);
            Ok(())
        }
        Layout::Decimal { .. } => {
            let what = "numeric with more digits after the point than its column declares";
            Err(Error::Unrepresentable { what })
        }
        Layout::Double => decimal::write_double::<E>(value, out),
        Layout::VariableScaleDecimal => {
            // The scale has 14 bits at most.
            decimal::write_variable_scale::<E>(
                i32::try_from(needed).unwrap_or(i32::MAX),
                out,
                |out| {
                    decimal::write_unscaled::<E>(value, needed, out);
                },
            );
            Ok(())
        }
        _ => misplaced(),
    }
}

/// 32 digits, in groups of 8-4-4-4-12.
fn write_uuid<E: Encoding>(value: [u8; 16], out: &mut Vec<u8>) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    E::string(Uuid::from_bytes(value).hyphenated().encode_lower(&mut text), out);
}
