//! What stands for a value that the stream does not carry, computed once per column.
//!
//! Source: `UnchangedToastedPlaceholder` and the fallbacks of `JdbcValueConverters` in
//! <https://github.com/debezium/debezium>

use md5::{Digest, Md5};

use super::encoding::Encoding;
use super::layout::{Codec, Layout};
use super::value::{write_binary_text, write_point};
use super::values::BinaryMode;
use super::{decimal, spatial, structured, vector};
use crate::types::{Kind, Printed};

/// The value (without a union's index) that stands for one that did not change, for the types that
/// have a placeholder.
pub(super) fn unchanged<E: Encoding>(layout: &Layout, unavailable: &str) -> Option<Vec<u8>> {
    let bytes = placeholder_bytes(unavailable);
    let text = String::from_utf8_lossy(&bytes);
    let mut out = Vec::new();
    match layout {
        Layout::Array { element } => unchanged_array::<E>(&element.layout, &bytes, &mut out)?,
        // As digits it would be one of many; Debezium puts the text itself here.
        Layout::BinaryText(BinaryMode::Hex) => E::string(&text, &mut out),
        Layout::BinaryText(mode) => {
            let mut text = Vec::new();
            write_binary_text(*mode, &bytes, &mut text);
            E::string(&String::from_utf8_lossy(&text), &mut out);
        }
        Layout::Bytes => E::bytes(&bytes, &mut out),
        Layout::Hstore => {
            let text = serde_json::Value::from(text);
            E::string(&format!("{{{text}:{text}}}"), &mut out);
        }
        Layout::HstoreMap => {
            E::map(1, &mut out);
            E::map_key(&text, &mut out);
            E::some(&mut out);
            E::string(&text, &mut out);
            E::map_end(&mut out);
        }
        Layout::Json | Layout::Printed { .. } | Layout::String | Layout::Xml => {
            E::string(&text, &mut out);
        }
        _ => return None,
    }
    Some(out)
}

/// The value that Debezium invents where a column is NOT NULL and the stream leaves it out.
pub(super) fn zero<E: Encoding>(codec: &Codec) -> Vec<u8> {
    let mut out = Vec::new();
    let buffer = &mut out;
    match &codec.layout {
        Layout::Array { .. }
        | Layout::DoubleVector
        | Layout::FloatVector
        | Layout::Ranges { .. } => {
            E::array(0, buffer);
            E::array_end(buffer);
        }
        Layout::Bits { .. } | Layout::Bytes => E::bytes(&[], buffer),
        Layout::Boolean => E::boolean(false, buffer),
        Layout::ConnectDate
        | Layout::ConnectTime
        | Layout::Date
        | Layout::Int16
        | Layout::Int32
        | Layout::MilliTime => E::int(0, buffer),
        Layout::ConnectTimestamp
        | Layout::Duration
        | Layout::Int64
        | Layout::MicroTime
        | Layout::MicroTimestamp
        | Layout::MicrosOfDay
        | Layout::MilliTimestamp
        | Layout::NanoTime
        | Layout::NanoTimestamp
        | Layout::UtcMicros => E::long(0, buffer),
        Layout::Decimal { .. } | Layout::Money => E::bytes(&[0], buffer),
        Layout::Double => E::double(0.0, buffer),
        Layout::Float => E::float(0.0, buffer),
        Layout::Geography | Layout::Geometry => spatial::write_empty::<E>(&codec.layout, buffer),
        Layout::Hstore => E::string("{}", buffer),
        Layout::HstoreMap => {
            E::map(0, buffer);
            E::map_end(buffer);
        }
        // Fields that are always optional, and Avro's own representation, in which nothing is
        // invented: it goes without `before` of Debezium's.
        Layout::Circle
        | Layout::IntervalParts
        | Layout::Line
        | Layout::PlainGeometry
        | Layout::PlainPoint
        | Layout::Range { .. }
        | Layout::SparseParts => {}
        Layout::Point => write_point::<E>(&Layout::Point, 0.0, 0.0, buffer),
        Layout::SparseVector => vector::write_no_dimensions::<E>(buffer),
        layout @ Layout::Structured { .. } => structured::write_zero::<E>(layout, buffer),
        Layout::VariableScaleDecimal => {
            decimal::write_variable_scale::<E>(0, buffer, |out| E::bytes(&[0], out));
        }
        Layout::BinaryText(_)
        | Layout::Enum { .. }
        | Layout::Json
        | Layout::String
        | Layout::Uuid
        | Layout::Xml => E::string("", buffer),
        Layout::DurationText => E::string("P0Y0M0DT0H0M0S", buffer),
        Layout::IsoDate => E::string("1970-01-01Z", buffer),
        Layout::IsoTime | Layout::ZonedTime => E::string("00:00:00Z", buffer),
        Layout::IsoTimestamp | Layout::ZonedTimestamp { .. } => {
            E::string("1970-01-01T00:00:00Z", buffer);
        }
        Layout::MoneyText => E::string("0.00", buffer),
        Layout::Printed { .. } => E::string(&zero_text(&codec.kind), buffer),
    }
    out
}

/// Of a numeric a zero with its scale, else nothing.
fn zero_text(kind: &Kind) -> String {
    let Kind::Printed(Printed::Of(kind)) = kind else { return String::new() };
    match **kind {
        Kind::Numeric { declared: Some((_, scale)) } if 0 < scale => {
            format!("0.{}", "0".repeat(usize::from(scale.unsigned_abs())))
        }
        Kind::Numeric { .. } => "0".to_owned(),
        _ => String::new(),
    }
}

/// Arrays of numbers hold the placeholder's bytes as (signed) numbers, others hold it as their one
/// element; an array of uuid holds the UUID of its MD5 (version 3, without a name space).
fn unchanged_array<E: Encoding>(element: &Layout, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match element {
        Layout::Bytes => one_element::<E>(out, |out| E::bytes(bytes, out)),
        Layout::Json | Layout::String => {
            one_element::<E>(out, |out| E::string(&String::from_utf8_lossy(bytes), out));
        }
        Layout::Uuid => one_element::<E>(out, |out| E::string(&uuid_of(bytes), out)),
        Layout::Date | Layout::Int16 | Layout::Int32 | Layout::Int64 => {
            E::array(bytes.len(), out);
            for byte in bytes {
                E::item(out);
                E::some(out);
                E::int(i32::from(byte.cast_signed()), out);
            }
            E::array_end(out);
        }
        _ => return None,
    }
    Some(())
}

fn one_element<E: Encoding>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    E::array(1, out);
    E::item(out);
    E::some(out);
    write(out);
    E::array_end(out);
}

/// `hex:…` stands for bytes, all else for its own UTF-8.
fn placeholder_bytes(unavailable: &str) -> Vec<u8> {
    let decoded = unavailable.strip_prefix("hex:").and_then(|digits| {
        let pairs = digits.as_bytes().chunks(2);
        pairs
            .map(|pair| {
                let digits = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
                u8::from_str_radix(digits, 16).ok()
            })
            .collect()
    });
    decoded.unwrap_or_else(|| unavailable.as_bytes().to_vec())
}

/// Java's `UUID.nameUUIDFromBytes`.
fn uuid_of(name: &[u8]) -> String {
    uuid::Builder::from_md5_bytes(Md5::digest(name).into()).into_uuid().to_string()
}
