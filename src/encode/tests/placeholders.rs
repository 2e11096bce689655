//! What stands for a value that is not there, and the errors where nothing may.

use super::*;
use crate::types::Printed;

const PLACEHOLDER: &str = "__debezium_unavailable_value";

fn array(element: Kind) -> Kind {
    Kind::Array(Box::new(element))
}

fn some(value: Value) -> Value {
    Value::Union(1, Box::new(value))
}

fn price() -> Kind {
    Kind::Numeric { declared: Some((10, 2)) }
}

#[test]
fn a_null_is_a_null_or_an_error() {
    assert_eq!(encode(&Kind::Int4, true, Column::Null), Ok(vec![0]));
    assert_eq!(encode(&Kind::Int4, false, Column::Null), Err(Error::Null));
}

#[test]
fn unchanged_values_have_debeziums_placeholder() {
    let text = || Value::String(PLACEHOLDER.into());
    let bytes = || Value::Bytes(PLACEHOLDER.into());
    let each_byte = |number: fn(u8) -> Value| {
        Value::Array(PLACEHOLDER.bytes().map(|byte| some(number(byte))).collect())
    };
    // java: UUID.nameUUIDFromBytes("__debezium_unavailable_value".getBytes())
    let uuid = Value::String("b68a35a7-17ad-35b3-af2a-ae46edb4545a".into());
    for (kind, expect) in [
        (Kind::Text, text()),
        (Kind::Json, text()),
        (Kind::Jsonb, text()),
        (Kind::Other { name: "aclitem".into() }, text()),
        (Kind::Xml, text()),
        (Kind::Printed(Printed::Tsvector), text()),
        (Kind::Hstore, Value::String(format!("{{\"{PLACEHOLDER}\":\"{PLACEHOLDER}\"}}"))),
        (Kind::Bytea, bytes()),
        (array(Kind::Text), Value::Array(vec![some(text())])),
        (array(Kind::Jsonb), Value::Array(vec![some(text())])),
        (array(Kind::Bytea), Value::Array(vec![some(bytes())])),
        (array(Kind::Int2), each_byte(|byte| Value::Int(i32::from(byte)))),
        (array(Kind::Int4), each_byte(|byte| Value::Int(i32::from(byte)))),
        (array(Kind::Date), each_byte(|byte| Value::Int(i32::from(byte)))),
        (array(Kind::Int8), each_byte(|byte| Value::Long(i64::from(byte)))),
        (array(Kind::Uuid), Value::Array(vec![some(uuid)])),
    ] {
        let bytes = encode(&kind, false, Column::Unchanged).unwrap();
        assert_eq!(decode(&kind, false, &bytes), expect, "{kind:?}");
        let optional = encode(&kind, true, Column::Unchanged).unwrap();
        assert_eq!(decode(&kind, true, &optional), some(expect), "{kind:?}");
    }
}

#[test]
fn unchanged_values_without_a_placeholder_are_null_or_an_error() {
    for kind in [
        price(),
        Kind::Numeric { declared: None },
        array(price()),
        array(Kind::Float8),
        Kind::Geography,
        Kind::Geometry,
        Kind::Halfvec,
        Kind::Printed(Printed::Path),
        Kind::Sparsevec,
        Kind::Vector,
        array(Kind::Vector),
        array(Kind::Geometry),
        array(Kind::Printed(Printed::Polygon)),
    ] {
        assert_eq!(encode(&kind, true, Column::Unchanged), Ok(vec![0]), "{kind:?}");
        assert_eq!(encode(&kind, false, Column::Unchanged), Err(Error::Unavailable), "{kind:?}");
    }
}

#[test]
fn the_placeholder_can_be_bytes() {
    for (placeholder, expect) in [
        ("hex:00ff", &[0x00, 0xff][..]),
        ("hex:00f", b"hex:00f"),
        ("hex:zz", b"hex:zz"),
        ("hex:", b""),
        ("é", "é".as_bytes()),
    ] {
        let values = Values { unavailable_value: placeholder.to_owned(), ..Values::default() };
        let encoder = ColumnEncoder::compile(&Kind::Bytea, false, Notation::Avro, &values);
        let mut out = Vec::new();
        encoder.encode(Column::Unchanged, &mut out).unwrap();
        assert_eq!(decode(&Kind::Bytea, false, &out), Value::Bytes(expect.to_vec()));
    }
}

#[test]
fn absent_values_are_null_or_debeziums_zero() {
    let text = |text: &str| Value::String(text.into());
    let zero_price = Value::Decimal(vec![0].into());
    let zero_number = Value::Record(vec![
        ("scale".into(), Value::Int(0)),
        ("value".into(), Value::Bytes(vec![0])),
    ]);
    let field = |name: &str, value| (name.to_owned(), value);
    let none = Value::Union(0, Box::new(Value::Null));
    let empty = Value::Bytes(vec![1, 7, 0, 0, 0, 0, 0, 0, 0]);
    let geography = vec![field("wkb", empty), field("srid", none.clone())];
    let geometry = [&*geography, &[field("extensions", none)]].concat();
    let no_dimensions =
        vec![field("dimensions", Value::Int(0)), field("vector", Value::Array(vec![]))];
    for (kind, expect) in [
        (Kind::Geography, Value::Record(geography)),
        (Kind::Geometry, Value::Record(geometry)),
        (Kind::Halfvec, Value::Array(vec![])),
        (Kind::Sparsevec, Value::Record(no_dimensions)),
        (Kind::Vector, Value::Array(vec![])),
        (Kind::Bool, Value::Boolean(false)),
        (Kind::Bytea, Value::Bytes(vec![])),
        (Kind::Date, Value::Int(0)),
        (Kind::Enum { labels: vec!["a".into()] }, text("")),
        (Kind::Float4, Value::Float(0.0)),
        (Kind::Float8, Value::Double(0.0)),
        (Kind::Int2, Value::Int(0)),
        (Kind::Int4, Value::Int(0)),
        (Kind::Int8, Value::Long(0)),
        (Kind::Interval { precision: None }, Value::Long(0)),
        (Kind::Json, text("")),
        (price(), zero_price),
        (Kind::Numeric { declared: None }, zero_number),
        (Kind::Text, text("")),
        (Kind::Time { precision: Some(3) }, Value::Int(0)),
        (Kind::Time { precision: None }, Value::Long(0)),
        (Kind::TimeTz { precision: None }, text("00:00:00Z")),
        (Kind::Timestamp { precision: Some(0) }, Value::Long(0)),
        (Kind::TimestampTz { precision: None }, text("1970-01-01T00:00:00Z")),
        (Kind::Uuid, text("")),
        (Kind::Bits { length: Some(1) }, Value::Boolean(false)),
        (Kind::Bits { length: Some(9) }, Value::Bytes(vec![])),
        (Kind::Hstore, text("{}")),
        (Kind::Money, Value::Decimal(vec![0].into())),
        (Kind::Oid, Value::Long(0)),
        (Kind::Printed(Printed::Inet), text("")),
        (array(Kind::Text), Value::Array(vec![])),
    ] {
        let absent = |optional| {
            let mut out = Vec::new();
            ColumnEncoder::compile(&kind, optional, Notation::Avro, &Values::default())
                .encode_absent(&mut out);
            decode(&kind, optional, &out)
        };
        assert_eq!(absent(false), expect, "{kind:?}");
        assert_eq!(absent(true), Value::Union(0, Box::new(Value::Null)), "{kind:?}");
    }
}

#[test]
fn what_has_no_representation_is_named() {
    let date = "date infinity";
    for (kind, text, what) in [
        (Kind::Date, "infinity", date),
        (Kind::Date, "-infinity", "date -infinity"),
        (Kind::Timestamp { precision: None }, "infinity", "timestamp infinity"),
        (Kind::Timestamp { precision: Some(3) }, "-infinity", "timestamp -infinity"),
        (Kind::Interval { precision: None }, "infinity", "interval infinity"),
        (Kind::Interval { precision: None }, "-infinity", "interval -infinity"),
        (price(), "NaN", "numeric NaN"),
        (Kind::Numeric { declared: None }, "Infinity", "numeric Infinity"),
        (Kind::Numeric { declared: None }, "-Infinity", "numeric -Infinity"),
        (price(), "1.001", "numeric with more digits after the point than its column declares"),
        (array(Kind::Date), "{NULL,infinity}", date),
    ] {
        let result = encode(&kind, true, Column::Text(text.as_bytes()));
        assert_eq!(result, Err(Error::Unrepresentable { what }), "{kind:?} {text}");
    }
    let result = encode(&array(Kind::Int4), false, Column::Text(b"{{1},{2}}"));
    assert_eq!(result, Err(Error::MultiDimensional { dimensions: 2 }));
    let twice = "an array of 2 dimensions where only one is supported";
    assert_eq!(result.unwrap_err().to_string(), twice);
}

#[test]
fn binary_values_of_unknown_types_are_refused() {
    let kind = Kind::Other { name: "aclitem".into() };
    assert!(matches!(encode(&kind, true, Column::Binary(b"x")), Err(Error::Malformed { .. })));
    assert_eq!(encode(&kind, false, Column::Text(b"<a/>")).unwrap(), b"\x08<a/>");
}
