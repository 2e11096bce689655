//! JSON values of one piece to Avro: numbers, texts, bytes, dates and times.

use std::str::FromStr;

use apache_avro::schema::{DecimalSchema, InnerDecimalSchema, Schema, UuidSchema};

use super::Dialect;
use super::decimal::unscaled;
use super::json::Json;
use super::misfit::Reason;
use super::time::{self, Unit};
use crate::encode::avro;

/// Appends a value of a type that is not made of others.
pub(super) fn encode(
    schema: &Schema,
    json: &Json<'_>,
    dialect: Dialect,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    match schema {
        Schema::Null => match json {
            Json::Null => Ok(()),
            _ => Err(wrong("null", json)),
        },
        Schema::Boolean => match json {
            Json::Bool(value) => {
                out.push(u8::from(*value));
                Ok(())
            }
            _ => Err(wrong("a boolean", json)),
        },
        Schema::Float => float::<f32>(json, "float", |value| value.is_finite())
            .map(|value| out.extend_from_slice(&value.to_le_bytes())),
        Schema::Double => float::<f64>(json, "double", |value| value.is_finite())
            .map(|value| out.extend_from_slice(&value.to_le_bytes())),
        Schema::String => string(json).map(|text| avro::string(text, out)),
        Schema::Enum(named) => {
            let text = string(json)?;
            let index = named.symbols.iter().position(|symbol| symbol == text);
            let index = index.and_then(|index| i64::try_from(index).ok());
            avro::long(index.ok_or(Reason::Symbol)?, out);
            Ok(())
        }
        Schema::Bytes => bytes(json, dialect).map(|bytes| avro::bytes(&bytes, out)),
        Schema::Fixed(named) => {
            let bytes = bytes(json, dialect)?;
            if bytes.len() != named.size {
                return Err(Reason::Length { want: named.size, found: bytes.len() });
            }
            out.extend_from_slice(&bytes);
            Ok(())
        }
        Schema::Decimal(schema) => decimal(schema, json, dialect, out),
        Schema::Uuid(form) => uuid(form, json, out),
        _ => number(schema, json).map(|value| avro::long(value, out)),
    }
}

fn bytes(json: &Json<'_>, dialect: Dialect) -> Result<Vec<u8>, Reason> {
    let text = string(json)?;
    match dialect {
        Dialect::Default => text
            .chars()
            .map(u8::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| Reason::Form { want: "bytes as characters 0 to 255" }),
        Dialect::Payload => base64(text).ok_or(Reason::Form { want: "base64" }),
    }
}

fn decimal(
    schema: &DecimalSchema,
    json: &Json<'_>,
    dialect: Dialect,
    out: &mut Vec<u8>,
) -> Result<(), Reason> {
    let bytes = match (dialect, json) {
        (Dialect::Default, _) => bytes(json, dialect)?,
        (_, Json::Number(text)) => unscaled(text, schema.precision, schema.scale)?,
        (_, Json::String(text)) => unscaled(text, schema.precision, schema.scale)?,
        _ => return Err(wrong("a decimal number or its text", json)),
    };
    let InnerDecimalSchema::Fixed(fixed) = &schema.inner else {
        avro::bytes(&bytes, out);
        return Ok(());
    };
    let Some(padding) = fixed.size.checked_sub(bytes.len()) else {
        return Err(Reason::Length { want: fixed.size, found: bytes.len() });
    };
    let is_negative = bytes.first().is_some_and(|high| 0x7F < *high);
    out.extend(std::iter::repeat_n(if is_negative { 0xFF } else { 0 }, padding));
    out.extend_from_slice(&bytes);
    Ok(())
}

/// Types that Avro stores as `int` or `long`.
fn number(schema: &Schema, json: &Json<'_>) -> Result<i64, Reason> {
    let (want, unit, is_int) = match schema {
        Schema::Int => ("an int", None, true),
        Schema::Long => ("a long", None, false),
        Schema::Date => ("a date", None, true),
        Schema::TimeMillis => ("a time", Some(Unit::Millis), true),
        Schema::TimeMicros => ("a time", Some(Unit::Micros), false),
        Schema::TimestampMillis | Schema::LocalTimestampMillis => {
            ("a timestamp", Some(Unit::Millis), false)
        }
        Schema::TimestampMicros | Schema::LocalTimestampMicros => {
            ("a timestamp", Some(Unit::Micros), false)
        }
        Schema::TimestampNanos | Schema::LocalTimestampNanos => {
            ("a timestamp", Some(Unit::Nanos), false)
        }
        _ => return Err(Reason::Unsupported { schema: "of this kind" }),
    };
    match (json, schema, unit) {
        (Json::Number(text), ..) => integer(text, want, is_int),
        (Json::String(text), Schema::Date, _) => time::date(text).map(i64::from),
        (Json::String(text), Schema::TimeMillis | Schema::TimeMicros, Some(unit)) => {
            time::time(text, unit)
        }
        (Json::String(text), _, Some(unit)) => {
            let is_local = matches!(
                schema,
                Schema::LocalTimestampMillis
                    | Schema::LocalTimestampMicros
                    | Schema::LocalTimestampNanos
            );
            time::timestamp(text, unit, is_local)
        }
        _ => Err(wrong(want, json)),
    }
}

fn integer(text: &str, want: &'static str, is_int: bool) -> Result<i64, Reason> {
    if !text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) {
        return Err(Reason::Form { want: "written as an integer" });
    }
    let value: i64 = text.parse().map_err(|_| Reason::Range { want })?;
    if is_int && i32::try_from(value).is_err() {
        return Err(Reason::Range { want });
    }
    Ok(value)
}

fn float<T: FromStr>(
    json: &Json<'_>,
    want: &'static str,
    is_finite: fn(&T) -> bool,
) -> Result<T, Reason> {
    let Json::Number(text) = json else { return Err(wrong("a number", json)) };
    text.parse().ok().filter(is_finite).ok_or(Reason::Range { want })
}

fn string<'a>(json: &'a Json<'_>) -> Result<&'a str, Reason> {
    match json {
        Json::String(text) => Ok(text),
        Json::Unreadable => Err(Reason::Form { want: "a string of Unicode characters" }),
        _ => Err(wrong("a string", json)),
    }
}

fn uuid(form: &UuidSchema, json: &Json<'_>, out: &mut Vec<u8>) -> Result<(), Reason> {
    let text = string(json)?;
    let bytes = uuid_bytes(text).ok_or(Reason::Form { want: "a uuid" })?;
    match form {
        UuidSchema::Bytes => avro::bytes(&bytes, out),
        UuidSchema::Fixed(_) => out.extend_from_slice(&bytes),
        UuidSchema::String => avro::string(text, out),
    }
    Ok(())
}

/// The 16 bytes of `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let has_dashes = text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| matches!(at, 8 | 13 | 18 | 23) == (byte == b'-'));
    let digits: Vec<u8> =
        text.bytes().filter(|byte| *byte != b'-').map(hex).collect::<Option<_>>()?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |value, digit| value << 4 | digit);
    }
    has_dashes.then_some(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Standard base64, padded or not.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc4648#section-4>
fn base64(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    if body.len() % 4 == 1 || (0 < padding && (!text.len().is_multiple_of(4) || 2 < padding)) {
        return None;
    }
    let mut bytes = Vec::with_capacity(body.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in body.bytes() {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(sextet)) & 0xFFFF;
        held += 6;
        if 8 <= held {
            held -= 8;
            let [.., byte] = (bits >> held).to_be_bytes();
            bytes.push(byte);
        }
    }
    // Bits that no byte uses must be zero, so that a value has one text.
    (bits & ((1 << held) - 1) == 0).then_some(bytes)
}

/// A value of another type than the schema's.
pub(super) fn wrong(want: &'static str, json: &Json<'_>) -> Reason {
    Reason::Type { want, found: json.noun() }
}
