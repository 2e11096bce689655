//! Kafka Connect's JSON schemas, derived from Debezium's Avro schemas, which carry all that they
//! say: the schema beside the payload in JSON with schemas.
//!
//! Source: `JsonConverter.asJsonSchema` in <https://github.com/apache/kafka>

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::default;

/// The schema that Kafka Connect writes beside a payload of this Avro schema.
#[must_use]
pub fn schema(avro: &Value) -> Value {
    let mut defined = BTreeMap::new();
    Value::Object(of(avro, false, "", &mut defined))
}

/// Every record so far, by its full name.
type Defined = BTreeMap<String, Map<String, Value>>;

fn of(
    avro: &Value,
    is_optional: bool,
    namespace: &str,
    defined: &mut Defined,
) -> Map<String, Value> {
    match avro {
        // A union of null and another: no others are here.
        Value::Array(branches) => {
            let value = branches.iter().find(|branch| **branch != "null").unwrap_or(&Value::Null);
            of(value, true, namespace, defined)
        }
        Value::Object(attributes) => complex(attributes, is_optional, namespace, defined),
        Value::String(name) => match primitive(name) {
            Some(name) => attributes([("type", json!(name)), ("optional", json!(is_optional))]),
            None => {
                let full_name =
                    if name.contains('.') { name.clone() } else { format!("{namespace}.{name}") };
                let mut known = defined.get(&full_name).cloned().unwrap_or_default();
                known.insert("optional".to_owned(), json!(is_optional));
                known
            }
        },
        _ => Map::new(),
    }
}

fn complex(
    avro: &Map<String, Value>,
    is_optional: bool,
    namespace: &str,
    defined: &mut Defined,
) -> Map<String, Value> {
    let text = |name: &str| avro.get(name).and_then(Value::as_str).unwrap_or_default();
    let namespace = avro.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    let mut schema = match text("type") {
        "record" => {
            let fields = avro.get("fields").and_then(Value::as_array).into_iter().flatten();
            let fields: Vec<_> = fields.map(|avro| field(avro, namespace, defined)).collect();
            attributes([("type", json!("struct")), ("fields", json!(fields))])
        }
        "array" if is_map_entry(avro.get("items")) => {
            let fields = avro.get("items").and_then(|entry| entry.get("fields"));
            let part = |at: usize, defined: &mut Defined| {
                let avro = fields.and_then(|fields| fields.get(at)?.get("type"));
                of(avro.unwrap_or(&Value::Null), false, namespace, defined)
            };
            let (keys, values) = (part(0, defined), part(1, defined));
            attributes([("type", json!("map")), ("keys", json!(keys)), ("values", json!(values))])
        }
        "array" => {
            let items = avro.get("items").unwrap_or(&Value::Null);
            let items = of(items, false, namespace, defined);
            attributes([("type", json!("array")), ("items", json!(items))])
        }
        "map" => {
            let values = avro.get("values").unwrap_or(&Value::Null);
            let values = of(values, false, namespace, defined);
            let keys = json!({"type": "string", "optional": false});
            attributes([("type", json!("map")), ("keys", keys), ("values", json!(values))])
        }
        name => {
            let name = match text("connect.type") {
                "" => primitive(name).unwrap_or(name),
                connect => connect,
            };
            attributes([("type", json!(name))])
        }
    };
    schema.insert("optional".to_owned(), json!(is_optional));
    for name in ["name", "version", "doc", "parameters"] {
        if let Some(value) = avro.get(&format!("connect.{name}")) {
            schema.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(value) = avro.get("connect.default") {
        schema.insert("default".to_owned(), default::in_json(text("type"), value));
    }
    if text("type") == "record" {
        defined.insert(format!("{namespace}.{}", text("name")), schema.clone());
    }
    schema
}

/// The converter to Avro writes a map whose keys are no strings as an array of its entries.
fn is_map_entry(items: Option<&Value>) -> bool {
    items.and_then(|items| items.get("name")).is_some_and(|name| name == "MapEntry")
}

fn field(avro: &Value, namespace: &str, defined: &mut Defined) -> Value {
    let mut schema = of(avro.get("type").unwrap_or(&Value::Null), false, namespace, defined);
    schema.insert("field".to_owned(), avro.get("name").cloned().unwrap_or_default());
    Value::Object(schema)
}

fn primitive(name: &str) -> Option<&'static str> {
    Some(match name {
        "boolean" => "boolean",
        "bytes" => "bytes",
        "double" => "double",
        "float" => "float",
        "int" => "int32",
        "long" => "int64",
        "string" => "string",
        _ => return None,
    })
}

fn attributes<const N: usize>(attributes: [(&str, Value); N]) -> Map<String, Value> {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
