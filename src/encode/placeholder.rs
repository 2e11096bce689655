//! What stands for a value that the stream does not carry, computed once per column.
//!
//! Source: `UnchangedToastedPlaceholder` and the fallbacks of `JdbcValueConverters` in
//! <https://github.com/debezium/debezium>

use md5::{Digest, Md5};

use super::avro;
use super::column::VALUE_BRANCH;
use super::representation::Representation;

/// The value (without a union's index) that stands for one that did not change, for the types that
/// have a placeholder.
pub(super) fn unchanged(representation: &Representation, unavailable: &str) -> Option<Vec<u8>> {
    let bytes = placeholder_bytes(unavailable);
    let mut out = Vec::new();
    match representation {
        Representation::Array { element, .. } => unchanged_array(element, &bytes, &mut out)?,
        Representation::Bytes => avro::bytes(&bytes, &mut out),
        Representation::Hstore => {
            let text = serde_json::Value::from(String::from_utf8_lossy(&bytes));
            avro::string(&format!("{{{text}:{text}}}"), &mut out);
        }
        Representation::Json
        | Representation::Printed { .. }
        | Representation::String
        | Representation::Xml => {
            avro::string(&String::from_utf8_lossy(&bytes), &mut out);
        }
        _ => return None,
    }
    Some(out)
}

/// The value that Debezium invents where a column is NOT NULL and the stream leaves it out.
pub(super) fn zero(representation: &Representation) -> Vec<u8> {
    let mut out = Vec::new();
    match representation {
        Representation::Array { .. }
        | Representation::Bits { .. }
        | Representation::Boolean
        | Representation::Bytes
        | Representation::Date
        | Representation::DoubleVector
        | Representation::Duration
        | Representation::Enum { .. }
        | Representation::FloatVector
        | Representation::Int16
        | Representation::Int32
        | Representation::Int64
        | Representation::Json
        | Representation::MicroTime
        | Representation::MicroTimestamp
        | Representation::MilliTime
        | Representation::MilliTimestamp
        | Representation::Printed { .. }
        | Representation::String
        | Representation::Uuid
        | Representation::Xml => out.push(0),
        Representation::Decimal { .. } | Representation::Money => avro::bytes(&[0], &mut out),
        Representation::Double => avro::double(0.0, &mut out),
        Representation::Float => avro::float(0.0, &mut out),
        Representation::Geography | Representation::Geometry => {
            super::spatial::write_empty(&mut out);
        }
        Representation::Hstore => avro::string("{}", &mut out),
        Representation::Point => super::column::write_point(0.0, 0.0, &mut out),
        // No dimensions, no elements.
        Representation::SparseVector => out.extend_from_slice(&[0, 0]),
        Representation::VariableScaleDecimal => {
            avro::int(0, &mut out);
            avro::bytes(&[0], &mut out);
        }
        Representation::ZonedTime => avro::string("00:00:00Z", &mut out),
        Representation::ZonedTimestamp { .. } => avro::string("1970-01-01T00:00:00Z", &mut out),
    }
    out
}

/// Arrays of numbers hold the placeholder's bytes as (signed) numbers, others hold it as their one
/// element; an array of uuid holds the UUID of its MD5 (version 3, without a name space).
fn unchanged_array(element: &Representation, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match element {
        Representation::Bytes => one_element(out, |out| avro::bytes(bytes, out)),
        Representation::Json | Representation::String => {
            one_element(out, |out| avro::string(&String::from_utf8_lossy(bytes), out));
        }
        Representation::Uuid => one_element(out, |out| avro::string(&uuid_of(bytes), out)),
        Representation::Date
        | Representation::Int16
        | Representation::Int32
        | Representation::Int64 => {
            if !bytes.is_empty() {
                avro::length(bytes.len(), out);
            }
            for byte in bytes {
                out.push(VALUE_BRANCH);
                avro::int(i32::from(byte.cast_signed()), out);
            }
            avro::length(0, out);
        }
        _ => return None,
    }
    Some(())
}

fn one_element(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    avro::length(1, out);
    out.push(VALUE_BRANCH);
    write(out);
    avro::length(0, out);
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
    let mut hash: [u8; 16] = Md5::digest(name).into();
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut hash;
    *version = (*version & 0x0f) | 0x30;
    *variant = (*variant & 0x3f) | 0x80;
    let mut text: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}
