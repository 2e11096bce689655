//! JSON as Kafka Connect's converter writes it, and its schemas.

use serde_json::json;

use super::*;
use crate::encode::{HstoreMode, Modes, OnUnrepresentable, Representation, connect};
use crate::types::Printed;

fn text(kind: &Kind, values: &Values, column: Column<'_>) -> String {
    let encoder = ColumnEncoder::compile(kind, true, Notation::Json, values);
    let mut out = Vec::new();
    encoder.encode(column, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn values_are_those_of_kafka_connect() {
    let price = Kind::Numeric { declared: Some((12, 2)) };
    let array = |element| Kind::Array(Box::new(element));
    for (kind, value, expect) in [
        (Kind::Bool, "t", "true"),
        (Kind::Int2, "-7", "-7"),
        (Kind::Int8, "9223372036854775807", "9223372036854775807"),
        (Kind::Float4, "0.1", "0.1"),
        (Kind::Float8, "1e+300", "1e300"),
        (Kind::Float8, "-0", "-0.0"),
        (Kind::Float8, "NaN", r#""NaN""#),
        (Kind::Float4, "-Infinity", r#""-Infinity""#),
        (
            Kind::Text,
            "a \"b\" \\ \n\t\u{1}\u{7f} ü 🚲",
            "\"a \\\"b\\\" \\\\ \\n\\t\\u0001\u{7f} ü 🚲\"",
        ),
        (Kind::Bytea, "\\x00ff", r#""AP8=""#),
        (Kind::Bytea, "\\x", r#""""#),
        (price, "1.00", r#""ZA==""#),
        (Kind::Numeric { declared: None }, "0.5", r#"{"scale":1,"value":"BQ=="}"#),
        (Kind::Date, "1970-01-02", "1"),
        (
            Kind::TimestampTz { precision: None },
            "2000-01-01 00:00:00+00",
            r#""2000-01-01T00:00:00.000000Z""#,
        ),
        (Kind::Bits { length: Some(9) }, "100000001", r#""AQE=""#),
        (
            Kind::Point,
            "(1,2.5)",
            r#"{"x":1.0,"y":2.5,"wkb":"AQEAAAAAAAAAAADwPwAAAAAAAARA","srid":null}"#,
        ),
        (Kind::Hstore, r#""a"=>"1", "b"=>NULL"#, r#""{\"a\":\"1\",\"b\":null}""#),
        (array(Kind::Int4), "{1,NULL,3}", "[1,null,3]"),
        (array(Kind::Text), "{}", "[]"),
        (Kind::Printed(Printed::Of(Box::new(Kind::Text))), "\"", r#""\"""#),
    ] {
        assert_eq!(
            text(&kind, &Values::default(), Column::Text(value.as_bytes())),
            expect,
            "{kind:?}"
        );
    }
    let map = Modes { hstore: HstoreMode::Map, ..Modes::default() };
    let map = Values { representation: Representation::Debezium(map), ..Values::default() };
    let hstore = Column::Text(br#""a \"b"=>"1", "b"=>NULL"#);
    assert_eq!(text(&Kind::Hstore, &map, hstore), r#"{"a \"b":"1","b":null}"#);
    assert_eq!(text(&Kind::Int4, &Values::default(), Column::Null), "null");
    let unchanged = text(&Kind::Bytea, &Values::default(), Column::Unchanged);
    assert_eq!(unchanged, r#""X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==""#);
    let as_text = Values { on_unrepresentable: OnUnrepresentable::Text, ..Values::default() };
    assert_eq!(text(&Kind::Date, &as_text, Column::Text(b"infinity")), r#""infinity""#);
}

#[test]
fn every_text_is_the_string_that_a_parser_reads() {
    let all: String = (0..=0x2ff).filter_map(char::from_u32).collect();
    let json = text(&Kind::Text, &Values::default(), Column::Text(all.as_bytes()));
    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), all);
}

/// Source: what Debezium 3.6 and Kafka Connect's converter wrote for such a table.
#[test]
fn schemas_are_those_of_kafka_connect() {
    let price = Kind::Numeric { declared: Some((12, 2)) };
    let ints = Kind::Array(Box::new(Kind::Int2));
    let field = |name, kind, optional| Field::new(name, kind, optional);
    let fields = [
        field("id", &Kind::Int4, false),
        field("total", &price, true),
        field("numbers", &ints, true),
        field("number", &Kind::Numeric { declared: None }, false),
    ];
    let avro = schema::envelope("srv.public.t", &fields, None, &Values::default());
    let found = connect::schema(&avro);
    let row = |field: &str| {
        json!({"type": "struct", "fields": [
            {"type": "int32", "optional": false, "field": "id"},
            {"type": "bytes", "optional": true, "name": "org.apache.kafka.connect.data.Decimal",
                "version": 1, "parameters": {"scale": "2", "connect.decimal.precision": "12"},
                "field": "total"},
            {"type": "array", "items": {"type": "int16", "optional": true}, "optional": true,
                "field": "numbers"},
            {"type": "struct", "fields": [
                {"type": "int32", "optional": false, "field": "scale"},
                {"type": "bytes", "optional": false, "field": "value"},
            ], "optional": false, "name": "io.debezium.data.VariableScaleDecimal", "version": 1,
                "doc": "Variable scaled decimal", "field": "number"},
        ], "optional": true, "name": "srv.public.t.Value", "field": field})
    };
    assert_eq!(found["fields"][0], row("before"));
    assert_eq!(found["fields"][1], row("after"));
    assert_eq!(found["name"], "srv.public.t.Envelope");
    assert_eq!(found["version"], 2);
    assert_eq!(found["optional"], false);
    let source = &found["fields"][2];
    assert_eq!(source["fields"][4]["default"], "false");
    assert_eq!(source["fields"][4]["optional"], true);
    assert_eq!(source["fields"][3], json!({"type": "int64", "optional": false, "field": "ts_ms"}));
    let op = json!({"type": "string", "optional": false, "field": "op"});
    assert_eq!(found["fields"][4], op);
}
