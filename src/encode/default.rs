//! Defaults of columns, as schemas have them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::json::Json;
use super::layout::{Codec, Layout, Wide};
use super::value;
use super::values::Values;
use crate::types::{Kind, decode_text};

/// The default of a field, from PostgreSQL's text of the value; `None` where the layout cannot hold
/// it, or JSON cannot say it, and for arrays, maps and records, which have none in Debezium's schemas
/// either.
///
/// Source: <https://avro.apache.org/docs/1.12.0/specification/#schema-record>, default
pub(super) fn of(codec: &Codec, text: &str) -> Option<Value> {
    let datum = decode_text(&codec.kind, text.as_bytes()).ok()?;
    let mut json = Vec::new();
    value::write::<Json>(codec, &datum, &mut json).ok()?;
    match (&codec.layout, serde_json::from_slice(&json).ok()?) {
        // Each byte is a character.
        (
            Layout::Bits { .. } | Layout::Bytes | Layout::Decimal { .. } | Layout::Money,
            Value::String(base64),
        ) => {
            let bytes = STANDARD.decode(base64).ok()?;
            Some(bytes.into_iter().map(char::from).collect::<String>().into())
        }
        // A number that is none.
        (Layout::Double | Layout::Float, Value::String(_)) => None,
        (_, value @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => Some(value),
        _ => None,
    }
}

/// The default of a field of this kind, from PostgreSQL's text of a constant.
#[must_use]
pub fn constant(kind: &Kind, wide: Option<Wide>, text: &str, values: &Values) -> Option<Value> {
    of(&Codec::of(kind, values.representation).widened(wide), text)
}

/// A schema with a default that Kafka Connect reads, where its converter writes it.
pub(super) fn connect(schema: Value, default: &Value) -> Value {
    let Value::Object(mut attributes) = schema else {
        return json!({"type": schema, "connect.default": default});
    };
    let is_after =
        |name: &String| ["connect.name", "connect.type", "logicalType"].contains(&&**name);
    let at = attributes.keys().position(is_after).unwrap_or(attributes.len());
    attributes.shift_insert(at, "connect.default".to_owned(), default.clone());
    attributes.into()
}

/// Such a default in Kafka Connect's JSON, which has bytes as Base64.
pub(super) fn in_json(schema_type: &str, default: &Value) -> Value {
    match default {
        Value::String(text) if schema_type == "bytes" => {
            let byte = |c: char| u8::try_from(c).unwrap_or_default();
            STANDARD.encode(text.chars().map(byte).collect::<Vec<u8>>()).into()
        }
        other => other.clone(),
    }
}
