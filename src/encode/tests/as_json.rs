//! What Kafka Connect's JSON says for an Avro value: for golden values here, and for values of a
//! server in tests/it/types.

use apache_avro::types::Value;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

/// What Kafka Connect's converter writes for what apache-avro read.
pub(super) fn as_json(value: &Value) -> Json {
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
pub(super) fn is_same(left: &Json, right: &Json) -> bool {
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
