//! Every golden value in every representation: both forms give the same, readers can read it, and
//! Avro and JSON say the same.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::golden::{Golden, values};
use super::*;
use crate::encode::{
    BinaryMode, DecimalMode, HstoreMode, IntervalMode, Modes, OnUnrepresentable, Representation,
    TimeMode,
};

/// Each mode of each list is met.
fn representations() -> Vec<Representation> {
    let modes = |binary, decimal, hstore, interval, time| {
        Representation::Debezium(Modes { binary, decimal, hstore, interval, time })
    };
    vec![
        Representation::Avro,
        Representation::Debezium(Modes::default()),
        modes(
            BinaryMode::Base64,
            DecimalMode::Double,
            HstoreMode::Map,
            IntervalMode::String,
            TimeMode::AdaptiveTimeMicroseconds,
        ),
        modes(
            BinaryMode::Base64UrlSafe,
            DecimalMode::String,
            HstoreMode::Json,
            IntervalMode::Numeric,
            TimeMode::Connect,
        ),
        modes(
            BinaryMode::Hex,
            DecimalMode::Precise,
            HstoreMode::Map,
            IntervalMode::String,
            TimeMode::Microseconds,
        ),
        modes(
            BinaryMode::Bytes,
            DecimalMode::Double,
            HstoreMode::Json,
            IntervalMode::Numeric,
            TimeMode::Nanoseconds,
        ),
        modes(
            BinaryMode::Bytes,
            DecimalMode::String,
            HstoreMode::Json,
            IntervalMode::Numeric,
            TimeMode::IsoString,
        ),
    ]
}

#[test]
fn every_value_in_every_representation() {
    let all = values();
    for representation in representations() {
        for on_unrepresentable in [OnUnrepresentable::Fail, OnUnrepresentable::Text] {
            let values = Values { representation, on_unrepresentable, ..Values::default() };
            for golden in &all {
                check(golden, &values);
            }
        }
    }
}

fn check(golden: &Golden, values: &Values) {
    let Golden { kind, declared, text, binary, .. } = golden;
    let what = format!("{declared} {:?} {values:?}", String::from_utf8_lossy(text));
    let encode = |notation, column| {
        let encoder = ColumnEncoder::compile(kind, true, notation, values);
        let mut out = Vec::new();
        encoder.encode(column, &mut out).map(|()| out)
    };
    let avro = encode(Notation::Avro, Column::Binary(binary));
    let json = encode(Notation::Json, Column::Binary(binary));
    // One of bytea's two text forms is not what the binary form is printed as.
    let by_text = encode(Notation::Avro, Column::Text(text));
    assert_eq!(by_text, avro, "{what}");
    assert_eq!(encode(Notation::Json, Column::Text(text)), json, "{what}");
    let (Ok(avro), Ok(json)) = (&avro, &json) else {
        assert_eq!(values.on_unrepresentable, OnUnrepresentable::Fail, "{what}");
        assert_eq!(avro.as_ref().err(), json.as_ref().err(), "{what}");
        return;
    };
    let field = Field { name: "v", kind, optional: true };
    let schema = schema::key("p", &[field], values);
    let record = Schema::parse(&schema).unwrap();
    let reader = GenericDatumReader::builder(&record).build().unwrap();
    let mut rest = avro.as_slice();
    let Value::Record(mut fields) = reader.read_value(&mut rest).unwrap() else { panic!("{what}") };
    assert!(rest.is_empty(), "{what}");
    let from_avro = as_json(&fields.pop().unwrap().1);
    let json: Json = serde_json::from_slice(json).unwrap();
    assert!(is_same(&from_avro, &json), "{what}: Avro has {from_avro}, JSON {json}");
}

/// What Kafka Connect's converter writes for what apache-avro read.
fn as_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => (*value).into(),
        Value::Int(value) | Value::Date(value) | Value::TimeMillis(value) => (*value).into(),
        Value::Long(value)
        | Value::LocalTimestampMicros(value)
        | Value::TimeMicros(value)
        | Value::TimestampMicros(value)
        | Value::TimestampMillis(value) => (*value).into(),
        Value::Float(value) => float(f64::from(*value), &value.to_string()),
        Value::Double(value) => float(*value, &value.to_string()),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Value::Decimal(value) => STANDARD.encode(Vec::<u8>::try_from(value).unwrap()).into(),
        Value::String(text) => text.as_str().into(),
        Value::Uuid(uuid) => uuid.to_string().into(),
        Value::Union(_, value) => as_json(value),
        Value::Array(values) => values.iter().map(as_json).collect(),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), as_json(value))).collect()
        }
        // An entry of a map whose keys are no text.
        Value::Record(fields) if fields[0].0 == "key" => {
            fields.iter().map(|(_, value)| as_json(value)).collect()
        }
        Value::Record(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), as_json(value))).collect()
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn float(value: f64, text: &str) -> Json {
    match value {
        f64::INFINITY => "Infinity".into(),
        f64::NEG_INFINITY => "-Infinity".into(),
        _ if value.is_nan() => "NaN".into(),
        _ => Json::from(text.parse::<f64>().unwrap()),
    }
}

/// Numbers are compared as such (the parser is off by a digit far behind the point), maps without
/// their order.
fn is_same(left: &Json, right: &Json) -> bool {
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => {
            left == right || {
                let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
                (left - right).abs() <= left.abs() * 1e-14
            }
        }
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(left), Json::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, a)| right.get(key).is_some_and(|b| is_same(a, b)))
        }
        _ => left == right,
    }
}
