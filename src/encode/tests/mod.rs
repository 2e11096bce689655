//! Values in, Avro out; apache-avro reads it back.

mod as_json;
mod defaults;
mod docs;
mod everywhere;
mod golden;
mod json;
mod modes;
mod page;
mod placeholders;
mod properties;
mod schemas;
mod unrepresentable;
mod vectors;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

use super::schema::{self, Field};
use super::{ColumnEncoder, Error, Notation, Values};
use crate::types::Kind;
use crate::wal::Column;

/// The schema of a record of one such column.
fn record_of(kind: &Kind, optional: bool) -> Schema {
    let fields = [Field::new("v", kind, optional)];
    Schema::parse(&schema::key("shop.public.orders", &fields, &Values::default())).unwrap()
}

fn encode(kind: &Kind, optional: bool, column: Column<'_>) -> Result<Vec<u8>, Error> {
    let encoder = ColumnEncoder::compile(kind, optional, Notation::Avro, &Values::default());
    let mut out = b"before".to_vec();
    let result = encoder.encode(column, &mut out);
    let written = out.split_off(6);
    assert_eq!(out, b"before");
    if result.is_err() {
        assert!(written.is_empty(), "a refused value leaves nothing behind");
    }
    result.map(|()| written)
}

/// What apache-avro finds in a record of one such column. All bytes must be read.
fn decode(kind: &Kind, optional: bool, bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let schema = record_of(kind, optional);
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let value = reader.read_value(&mut rest).unwrap();
    assert!(rest.is_empty(), "bytes are left over");
    let Value::Record(mut fields) = value else {
        panic!("not a record");
    };
    fields.pop().unwrap().1
}

/// What apache-avro writes for a record of one such column.
fn oracle(kind: &Kind, optional: bool, value: Value) -> Vec<u8> {
    let schema = record_of(kind, optional);
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(Value::Record(vec![("v".into(), value)])).unwrap()
}

/// The unscaled number of two's complement bytes, with a point before the last `scale` digits: as
/// PostgreSQL prints it. Long division, nothing in common with the encoder.
fn decimal_text(bytes: &[u8], scale: usize) -> String {
    let is_negative = bytes[0] >= 0x80;
    let mut magnitude = bytes.to_vec();
    if is_negative {
        let mut carry = 1;
        for byte in magnitude.iter_mut().rev() {
            let sum = u16::from(!*byte) + carry;
            *byte = (sum & 0xff).try_into().unwrap();
            carry = sum >> 8;
        }
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) || digits.len() <= scale {
        let mut remainder = 0_u32;
        for byte in &mut magnitude {
            let left = remainder * 256 + u32::from(*byte);
            *byte = (left / 10).try_into().unwrap();
            remainder = left % 10;
        }
        digits.push(char::from_digit(remainder, 10).unwrap());
    }
    if scale > 0 {
        digits.insert(scale, '.');
    }
    let sign = if is_negative { "-" } else { "" };
    sign.chars().chain(digits.into_iter().rev()).collect()
}

/// The value as the golden file writes it.
fn render(kind: &Kind, value: &Value) -> String {
    match value {
        Value::Array(elements) => elements.iter().map(bits).collect::<Vec<_>>().join(" "),
        Value::Boolean(value) => value.to_string(),
        Value::Bytes(bytes) => hex(bytes),
        Value::Decimal(value) => {
            let scale = match kind {
                Kind::Money => 2,
                Kind::Numeric { declared: Some((_, scale)) } => usize::try_from(*scale).unwrap(),
                _ => panic!("a decimal of another kind"),
            };
            decimal_text(&Vec::<u8>::try_from(value).unwrap(), scale)
        }
        Value::Double(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Long(value) => value.to_string(),
        Value::Record(fields) => match fields.as_slice() {
            [(_, Value::Int(scale)), (_, Value::Bytes(bytes))] => {
                decimal_text(bytes, usize::try_from(*scale).unwrap())
            }
            [(_, Value::Int(dimensions)), (_, Value::Array(entries))] => {
                let entry = |entry: &Value| match entry {
                    Value::Record(entry) => match entry.as_slice() {
                        [(_, Value::Int(key)), (_, value)] => format!(" {key}={}", bits(value)),
                        _ => panic!("another entry"),
                    },
                    _ => panic!("no entry"),
                };
                format!("{dimensions}{}", entries.iter().map(entry).collect::<String>())
            }
            [(_, Value::Bytes(wkb)), (_, Value::Union(_, srid)), ..] => {
                let srid = if **srid == Value::Null { "none".into() } else { render(kind, srid) };
                format!("{srid} {}", hex(wkb))
            }
            _ => panic!("another record"),
        },
        Value::String(text) => text.clone(),
        other => panic!("unexpected {other:?}"),
    }
}

/// The bits of an element, the sign first.
fn bits(value: &Value) -> String {
    match value {
        Value::Double(value) => hex(&value.to_be_bytes()),
        Value::Float(value) => hex(&value.to_be_bytes()),
        other => panic!("unexpected {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn decimal_texts() {
    for (bytes, scale, expect) in [
        (&[0][..], 0, "0"),
        (&[0], 2, "0.00"),
        (&[0x7f], 0, "127"),
        (&[0x80], 2, "-1.28"),
        (&[0x00, 0x80], 1, "12.8"),
        (&[0xff, 0x7f], 0, "-129"),
    ] {
        assert_eq!(decimal_text(bytes, scale), expect);
    }
}
