//! Defaults of columns: what schemas say, in Avro and in Kafka Connect's JSON.

use serde_json::json;

use super::*;
use crate::encode::{OnUnrepresentable, Representation, connect, default_of};

fn declared(kind: &Kind, optional: bool, default: &str, values: &Values) -> serde_json::Value {
    let default = default_of(kind, None, default, values);
    let default = default.as_ref();
    let field = Field { default, connect_default: default, ..Field::new("v", kind, optional) };
    let mut record = schema::key("p", &[field], values);
    Schema::parse(&record).unwrap();
    record["fields"][0].take()
}

fn check(kind: &Kind, default: &str, expect: &serde_json::Value) {
    let found = declared(kind, false, default, &Values::default());
    assert_eq!(found.get("default").unwrap_or(&json!(null)), expect, "{kind:?} {default}");
}

#[test]
fn a_constant_is_the_default_of_its_field() {
    let price = Kind::Numeric { declared: Some((6, 2)) };
    let mood = Kind::Enum { labels: vec!["sad".into(), "happy".into()] };
    check(&Kind::Bool, "t", &json!(true));
    check(&Kind::Int2, "-5", &json!(-5));
    check(&Kind::Int8, "9223372036854775807", &json!(i64::MAX));
    check(&Kind::Float4, "1.5", &json!(1.5));
    check(&Kind::Text, "it's ü", &json!("it's ü"));
    check(&mood, "sad", &json!("sad"));
    check(&Kind::Date, "2024-02-29", &json!(19782));
    check(&Kind::Time { precision: Some(3) }, "12:34:56", &json!(45_296_000));
    // Bytes are characters: 150 and 255.
    check(&price, "1.5", &json!("\u{0}\u{96}"));
    check(&Kind::Bytea, "\\x00ff", &json!("\u{0}\u{ff}"));
}

#[test]
fn what_a_field_cannot_say_is_no_default() {
    for (kind, default) in [
        (Kind::Float8, "NaN"),
        (Kind::Date, "infinity"),
        (Kind::Int4, "1.7"),
        (Kind::Numeric { declared: Some((6, 2)) }, "1.005"),
        // Records and arrays.
        (Kind::Numeric { declared: None }, "1.5"),
        (Kind::Array(Box::new(Kind::Int4)), "{1}"),
    ] {
        check(&kind, default, &json!(null));
    }
}

#[test]
fn a_field_that_may_be_null_has_null_as_its_default() {
    let found = declared(&Kind::Int4, true, "7", &Values::default());
    assert_eq!(found, json!({"name": "v", "type": ["null", "int"], "default": null}));
}

#[test]
fn kafka_connect_finds_it_in_the_type() {
    let values = Values::default();
    let price = Kind::Numeric { declared: Some((6, 2)) };
    let found = declared(&price, false, "1.5", &values).to_string();
    // In the order of the converter.
    let expect = concat!(
        r#"{"name":"v","type":{"type":"bytes","scale":2,"precision":6,"connect.version":1,"#,
        r#""connect.parameters":{"scale":"2","connect.decimal.precision":"6"},"#,
        r#""connect.default":"\u0000"#,
        "\u{96}",
        r#"","connect.name":"org.apache.kafka.connect.data.Decimal","logicalType":"decimal"},"#,
        r#""default":"\u0000"#,
        "\u{96}",
        r#""}"#,
    );
    assert_eq!(found, expect);
    let found = declared(&Kind::Int2, false, "5", &values).to_string();
    let expect = concat!(
        r#"{"name":"v","type":{"type":"int","connect.default":5,"connect.type":"int16"},"#,
        r#""default":5}"#
    );
    assert_eq!(found, expect);

    let default = default_of(&price, None, "1.5", &values);
    let default = default.as_ref();
    let field = Field { default, connect_default: default, ..Field::new("v", &price, false) };
    let json = connect::schema(&schema::key("p", &[field], &values));
    assert_eq!(json["fields"][0]["default"], "AJY=");
}

#[test]
fn avros_own_representation_has_the_default_alone() {
    let values = Values { representation: Representation::Avro, ..Values::default() };
    let found = declared(&Kind::Int4, false, "7", &values);
    assert_eq!(found, json!({"name": "v", "type": "int", "default": 7}));
}

#[test]
fn a_default_is_of_the_first_branch_of_a_union_with_text() {
    let values = Values { on_unrepresentable: OnUnrepresentable::Text, ..Values::default() };
    let found = declared(&Kind::Date, false, "2024-02-29", &values);
    let date = json!({"type": "int", "connect.version": 1, "connect.default": 19782,
        "connect.name": "io.debezium.time.Date"});
    assert_eq!(found, json!({"name": "v", "type": [date, "string"], "default": 19782}));
    assert_eq!(declared(&Kind::Date, false, "infinity", &values).get("default"), None);
}

#[test]
fn an_absent_column_takes_its_default() {
    let absent = |optional| {
        let values = Values::default();
        let encoder = ColumnEncoder::compile(&Kind::Int4, optional, Notation::Avro, &values);
        let mut out = Vec::new();
        encoder.with_default(Some("7")).encode_absent(&mut out);
        out
    };
    assert_eq!(absent(false), [14]);
    assert_eq!(absent(true), [0], "null where it may be");
}
