//! What schemas say that does not decide how a record is laid out.

use serde_json::Value;

use super::COLUMN;

/// Whether two schemas lay records out in the same way: they differ in defaults, in labels of enums,
/// in what columns are called and in words (`doc`, `aliases`) at most.
#[must_use]
pub fn is_same_layout(one: &str, other: &str) -> bool {
    let bare = |text: &str| {
        let mut schema = serde_json::from_str(text).ok()?;
        take_hints(&mut schema);
        Some(schema)
    };
    let one: Option<Value> = bare(one);
    one.is_some() && one == bare(other)
}

/// Whether two schemas say the same: registries put the attributes into an order of their own.
#[must_use]
pub fn is_same(one: &str, other: &str) -> bool {
    let parsed = |text| serde_json::from_str::<Value>(text).ok();
    one == other || parsed(one).is_some_and(|one| Some(one) == parsed(other))
}

/// A type without what says nothing of how it is laid out: defaults, labels of enums, names of columns
/// beside those of their fields, and words.
#[must_use]
pub fn bare(declared: &Value) -> Value {
    let mut bare = declared.clone();
    take_hints(&mut bare);
    bare
}

fn take_hints(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(take_hints),
        Value::Object(attributes) => {
            for hint in ["default", "connect.default", "doc", "aliases", COLUMN] {
                attributes.remove(hint);
            }
            if attributes.get("connect.name").is_some_and(|name| name == "io.debezium.data.Enum") {
                attributes.remove("connect.parameters");
            }
            // A type without attributes is written as its name.
            for attribute in attributes.values_mut() {
                take_hints(attribute);
            }
            if let (1, Some(name @ Value::String(_))) = (attributes.len(), attributes.get("type")) {
                *schema = name.clone();
            }
        }
        _ => {}
    }
}
