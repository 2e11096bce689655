//! Two schemas, and what each reader sees.

use serde_json::json;

use super::*;

fn key(fields: &Value) -> String {
    json!({"type": "record", "name": "Key", "namespace": "n", "fields": fields}).to_string()
}

/// What is told of one field, as `what; older; newer`.
#[track_caller]
fn check(was: &Value, is: &Value, expect: &[&str]) {
    let told = |sight: &Option<Sight>| match sight {
        None => "-".to_owned(),
        Some(Sight::Default(default)) => format!("default {default}"),
        Some(sight) => format!("{sight:?}").to_lowercase(),
    };
    let found = changes(&key(was), &key(is));
    let found: Vec<_> = found
        .iter()
        .map(|it| format!("{} {}; {}; {}", it.field, it.what, told(&it.older), told(&it.newer)))
        .collect();
    assert_eq!(found, expect, "{was} {is}");
}

#[track_caller]
fn of_types(was: &Value, is: &Value, expect: &[&str]) {
    let field = |declared: &Value| json!([{"name": "v", "type": declared}]);
    check(&field(was), &field(is), expect);
}

#[test]
fn fields_come_and_go() {
    let none = json!([]);
    let bare = json!([{"name": "v", "type": "int"}]);
    let with_default = json!([{"name": "v", "type": "int", "default": 7}]);
    let nullable = json!([{"name": "v", "type": ["null", "int"], "default": null}]);
    check(&none, &none, &[]);
    check(&none, &bare, &["v is new (int); -; nothing"]);
    check(&none, &with_default, &["v is new (int); -; default 7"]);
    check(&none, &nullable, &["v is new (int or null); -; default null"]);
    check(&bare, &none, &["v is gone; nothing; -"]);
    check(&nullable, &none, &["v is gone; default null; -"]);
    // A default is no matter of the record.
    check(&bare, &with_default, &[]);
}

#[test]
fn types_are_promoted_one_way() {
    of_types(&json!("int"), &json!("int"), &[]);
    of_types(&json!("int"), &json!("long"), &["v was int, and is long; nothing; -"]);
    of_types(&json!("double"), &json!("float"), &["v was double, and is float; -; nothing"]);
    of_types(&json!("string"), &json!("int"), &["v was string, and is int; nothing; nothing"]);
    of_types(&json!("string"), &json!("bytes"), &["v was string, and is bytes; -; -"]);
    of_types(&json!("int"), &json!(["null", "int"]), &["v was int, and is int or null; null; -"]);
    of_types(
        &json!(["null", "int"]),
        &json!(["null", "long"]),
        &["v was int or null, and is long or null; nothing; -"],
    );
    // One branch that reads it is enough.
    of_types(
        &json!("int"),
        &json!(["int", "string"]),
        &["v was int, and is int or string; nothing; -"],
    );
}

#[test]
fn the_same_bytes_can_mean_something_else() {
    let date = json!({"type": "int", "connect.name": "io.debezium.time.Date"});
    of_types(&json!("int"), &date, &["v was int, and is int (Date); other; other"]);
    let decimal = |precision: u32, scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
    of_types(&decimal(9, 2), &decimal(9, 2), &[]);
    of_types(
        &decimal(9, 2),
        &decimal(9, 4),
        &["v was decimal(9, 2), and is decimal(9, 4); other; other"],
    );
    of_types(
        &decimal(9, 2),
        &decimal(12, 2),
        &["v was decimal(9, 2), and is decimal(12, 2); strict; strict"],
    );
    // Labels of an enum are a note.
    let labels = |allowed: &str| {
        json!({"type": "string", "connect.name": "io.debezium.data.Enum",
               "connect.parameters": {"allowed": allowed}})
    };
    of_types(&labels("a"), &labels("a,b"), &[]);
}

#[test]
fn a_record_that_moves_its_definition_is_the_same() {
    let point = json!({"type": "record", "name": "Point", "namespace": "io", "fields": []});
    let field = |name: &str, declared: &Value| json!({"name": name, "type": declared});
    let both = json!([field("a", &point), field("b", &json!(["null", "io.Point"]))]);
    let second = json!([field("b", &json!(["null", point]))]);
    check(&both, &second, &["a is gone; nothing; -"]);
    of_types(&point, &json!("string"), &["v was Point, and is string; nothing; nothing"]);
    let list = |items: &str| json!({"type": "array", "items": ["null", items]});
    of_types(
        &list("int"),
        &list("long"),
        &["v was array of int or null, and is array of long or null; nothing; -"],
    );
}

#[test]
fn an_envelope_is_compared_by_its_rows() {
    let envelope = |before: Value, after: Value| {
        json!({"type": "record", "name": "Envelope", "fields": [
            {"name": "before", "type": ["null", before]}, {"name": "after", "type": ["null", after]}]})
        .to_string()
    };
    let row = |name: &str, field: &str| json!({"type": "record", "name": name, "fields": [{"name": field, "type": "int"}]});
    let shared = |field| envelope(row("Value", field), json!("Value"));
    let apart = |field| envelope(row("Before", "x"), row("Value", field));
    assert_eq!(changes(&shared("a"), &shared("a")), []);
    assert_eq!(changes(&shared("a"), &shared("b")).len(), 2);
    assert_eq!(changes(&shared("a"), &apart("a")), []);
    assert_eq!(changes(&apart("a"), &apart("b")).len(), 2);
    assert_eq!(changes("no schema", &apart("b")), []);
}
