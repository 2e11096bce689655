//! Connect's JSON taken apart as [`layout`](super::layout) takes Avro apart, with the same paths.
//!
//! Objects are entered, and everything else is a leaf. It is compared as what it means, not as how
//! it is written: the order of members does not count, `1.0E2` is `100`.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// Parses JSON, and every number to the double that is nearest to it. (serde_json alone may miss it
/// by one.)
pub(super) fn parse(text: &str) -> Value {
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap();
            members.into_iter().map(|(name, value)| (name, parse(value.get()))).collect()
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap();
            elements.into_iter().map(|element| parse(element.get())).collect()
        }
        Some(b'-' | b'0'..=b'9') if text.contains(['.', 'e', 'E']) => {
            json!(text.parse::<f64>().unwrap())
        }
        _ => serde_json::from_str(text).unwrap(),
    }
}

/// The JSON of each field, by path. An object without members is a leaf.
pub(super) fn values(payload: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    enter(payload, "", &mut found);
    found
}

/// What one of Connect's schemas says, by path: `after.total` is the type of a field,
/// `after.total?default` its default, `after{}` what stands in the struct beside its fields,
/// `after[]` their order.
pub(super) fn declared(schema: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    declare(schema.as_object().expect("a schema"), "", &mut found);
    found
}

fn enter(value: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            members.iter().for_each(|(name, value)| enter(value, &join(path, name), found));
        }
        leaf => {
            found.insert(path.to_owned(), plain(leaf).to_string());
        }
    }
}

fn declare(schema: &Map<String, Value>, path: &str, found: &mut BTreeMap<String, Value>) {
    let mut attributes = schema.clone();
    attributes.remove("field");
    if let Some(default) = attributes.remove("default") {
        found.insert(format!("{path}?default"), plain(&default));
    }
    let Some(Value::Array(fields)) = attributes.remove("fields") else {
        found.insert(path.to_owned(), plain(&Value::Object(attributes)));
        return;
    };
    found.insert(format!("{path}{{}}"), plain(&Value::Object(attributes)));
    let order = fields.iter().map(|field| field["field"].clone()).collect();
    found.insert(format!("{path}[]"), order);
    for field in &fields {
        let name = field["field"].as_str().expect("a field's name");
        declare(field.as_object().expect("a schema"), &join(path, name), found);
    }
}

/// The same with members in the order of their names, and whole numbers without a point.
fn plain(value: &Value) -> Value {
    const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Array(elements) => elements.iter().map(plain).collect(),
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().map(|(k, v)| (k, plain(v))).collect();
            json!(sorted)
        }
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().expect("it is one");
            if float.fract() == 0.0 && float.abs() < EXACT_BELOW && float.to_bits() != 1 << 63 {
                serde_json::from_str(&format!("{float:.0}")).expect("a whole number")
            } else {
                value.clone()
            }
        }
        other => other.clone(),
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
