//! Fits and misfits, case by case; and apache-avro as the oracle of our bytes.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn encode(schema: &Value, payload: &str) -> Result<Vec<u8>, Misfit> {
    let encoder = PayloadEncoder::compile(&schema.to_string()).unwrap();
    let mut bytes = Vec::new();
    encoder.encode(payload.as_bytes(), &mut bytes).map(|()| bytes)
}

/// The payload as a reader sees it.
#[track_caller]
fn fits(schema: &Value, payload: &str, expect: &Avro) {
    let bytes = encode(schema, payload).unwrap_or_else(|misfit| panic!("{payload}: {misfit}"));
    let schema = Schema::parse_str(&schema.to_string()).unwrap();
    let mut rest = bytes.as_slice();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    assert_eq!(reader.read_value(&mut rest).unwrap(), *expect, "{payload}");
    assert!(rest.is_empty());
}

#[track_caller]
fn misfits(schema: &Value, payload: &str, expect: &str) {
    assert_eq!(encode(schema, payload).unwrap_err().to_string(), expect, "{payload}");
}

fn logical(primitive: &str, name: &str) -> Value {
    json!({"type": primitive, "logicalType": name})
}

fn record(fields: &Value) -> Value {
    json!({"type": "record", "name": "R", "namespace": "n", "fields": fields})
}

#[test]
fn numbers_are_in_range_and_as_written() {
    fits(&json!("int"), "-2147483648", &Avro::Int(i32::MIN));
    fits(&json!("long"), " 9223372036854775807\n", &Avro::Long(i64::MAX));
    fits(&json!("double"), "1e2", &Avro::Double(100.0));
    fits(&json!("float"), "1.5", &Avro::Float(1.5));
    misfits(&json!("int"), "2147483648", "payload is out of the range of an int");
    misfits(&json!("long"), "9223372036854775808", "payload is out of the range of a long");
    misfits(&json!("long"), "1.0", "payload is not written as an integer");
    misfits(&json!("long"), "1e3", "payload is not written as an integer");
    misfits(&json!("double"), "1e999", "payload is out of the range of double");
    misfits(&json!("float"), "1e39", "payload is out of the range of float");
    misfits(&json!("int"), "\"1\"", "payload is a string, the schema wants an int");
    misfits(&json!("boolean"), "1", "payload is a number, the schema wants a boolean");
    misfits(&json!("null"), "{}", "payload is an object, the schema wants null");
}

#[test]
fn payloads_are_json() {
    misfits(&json!("int"), "", "payload is not JSON (line 1, column 0)");
    misfits(&json!("int"), "1 2", "payload is not JSON (line 1, column 3)");
    misfits(&json!("int"), "NaN", "payload is not JSON (line 1, column 1)");
    misfits(&json!("string"), r#""\ud800""#, "payload is not a string of Unicode characters");
    fits(&json!("string"), r#""a\u0000\n\ud83d\ude00""#, &Avro::String("a\0\n😀".to_owned()));
    let encoder = PayloadEncoder::compile("\"string\"").unwrap();
    let misfit = encoder.encode(b"\"\xff\"", &mut Vec::new()).unwrap_err();
    assert!(misfit.to_string().starts_with("payload is not JSON"), "{misfit}");
}

#[test]
fn decimals_are_exact() {
    let schema = json!({"type": "bytes", "logicalType": "decimal", "precision": 6, "scale": 2});
    let fixed = json!({"type": "fixed", "name": "F", "size": 4, "logicalType": "decimal",
        "precision": 6, "scale": 2});
    for (text, unscaled) in [
        ("0", 0_i32),
        ("-0.00", 0),
        ("1.28", 128),
        ("-1.28", -128),
        ("-1.29", -129),
        ("9999.99", 999_999),
        ("-9999.99", -999_999),
        ("1.2300", 123),
        ("1e3", 100_000),
        ("123e-2", 123),
        ("0.5E1", 500),
        ("2.56", 256),
        ("-2.56", -256),
    ] {
        let mut bytes = unscaled.to_be_bytes().to_vec();
        while let [0, 0..=0x7F, ..] | [0xFF, 0x80..=0xFF, ..] = bytes.as_slice() {
            bytes.remove(0);
        }
        for payload in [text.to_owned(), format!("\"{text}\"")] {
            let mut expect = Vec::new();
            avro::bytes(&bytes, &mut expect);
            assert_eq!(encode(&schema, &payload).unwrap(), expect, "{payload}");
            assert_eq!(encode(&fixed, &payload).unwrap(), unscaled.to_be_bytes(), "{payload}");
        }
    }
    misfits(&schema, "1.234", "payload has more than 2 digits after the point");
    misfits(&schema, "10000", "payload has more than 6 digits");
    misfits(&schema, "1e2000000000", "payload has more than 6 digits");
    misfits(&schema, "1e-2000000000", "payload has more than 2 digits after the point");
    misfits(&schema, "1e99999999999", "payload is not a decimal number");
    for text in ["", ".", "NaN", "1,5", "--1", "1.2.3", "0x1"] {
        misfits(&schema, &format!("\"{text}\""), "payload is not a decimal number");
    }
    let digits = "12345678901234567890.123456789012345678";
    let wide = json!({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 18});
    let mut expect = Vec::new();
    let unscaled: i128 = digits.replace('.', "").parse().unwrap();
    let unscaled = unscaled.to_be_bytes();
    let first = unscaled.iter().position(|byte| *byte != 0).unwrap();
    avro::bytes(&unscaled[first..], &mut expect);
    assert_eq!(encode(&wide, digits).unwrap(), expect);
}

#[test]
fn dates_and_times_are_iso_texts_or_integers() {
    let date = logical("int", "date");
    fits(&date, "\"1970-01-01\"", &Avro::Date(0));
    fits(&date, "\"2024-02-29\"", &Avro::Date(19_782));
    fits(&date, "\"0001-01-01\"", &Avro::Date(-719_162));
    fits(&date, "-1", &Avro::Date(-1));
    for text in ["2023-02-29", "2024-13-01", "2024-00-01", "24-01-01", "2024-1-1", "2024-01-01T"] {
        misfits(&date, &format!("\"{text}\""), "payload is not a date (YYYY-MM-DD)");
    }
    let time = logical("long", "time-micros");
    fits(&time, "\"23:59:59.999999\"", &Avro::TimeMicros(86_399_999_999));
    fits(&logical("int", "time-millis"), "\"00:00:01.5\"", &Avro::TimeMillis(1_500));
    misfits(&time, "\"24:00:00\"", "payload is not a time (HH:MM:SS[.ffffff])");
    misfits(&time, "\"10:00:00.\"", "payload is not a time (HH:MM:SS[.ffffff])");
    misfits(&time, "\"10:00:00.0000001\"", "payload has more than 6 digits after the point");

    let instant = logical("long", "timestamp-micros");
    for (text, micros) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001+00:00", 1),
        ("1970-01-01 01:30:00+01:30", 0),
        ("1969-12-31T22:00:00-0200", 0),
        ("1969-12-31T23:59:59.5-00", -500_000),
        ("2023-11-14T22:13:20.123456000Z", 1_700_000_000_123_456),
    ] {
        fits(&instant, &format!("\"{text}\""), &Avro::TimestampMicros(micros));
    }
    let wants = "payload is not a timestamp with its time zone (YYYY-MM-DDTHH:MM:SS[.ffffff]Z or \
                 ±HH:MM)";
    for text in ["1970-01-01T00:00:00", "1970-01-01", "1970-01-01T00:00:60Z", "infinity", "é"] {
        misfits(&instant, &format!("\"{text}\""), wants);
    }
    let local = logical("long", "local-timestamp-millis");
    fits(&local, "\"1970-01-01T00:00:00.25\"", &Avro::LocalTimestampMillis(250));
    misfits(
        &local,
        "\"1970-01-01T00:00:00Z\"",
        "payload is not a timestamp without a time zone (YYYY-MM-DDTHH:MM:SS[.ffffff])",
    );
    let nanos = logical("long", "timestamp-nanos");
    fits(&nanos, "\"1970-01-01T00:00:00.000000001Z\"", &Avro::TimestampNanos(1));
    misfits(&nanos, "\"2300-01-01T00:00:00Z\"", "payload is out of the range of timestamp");
    fits(&nanos, "17", &Avro::TimestampNanos(17));
}

#[test]
fn bytes_are_base64_and_uuids_their_text() {
    let fixed = json!({"type": "fixed", "name": "F", "size": 2});
    for (text, expect) in [("", ""), ("YQ==", "a"), ("YQ", "a"), ("YWI=", "ab"), ("YWJj", "abc")] {
        let expect = Avro::Bytes(expect.as_bytes().to_vec());
        fits(&json!("bytes"), &format!("\"{text}\""), &expect);
    }
    for text in ["Y", "YQ=", "YQ===", "YR==", "Y-Q=", "YWJj====", "=", "Y Q="] {
        misfits(&json!("bytes"), &format!("\"{text}\""), "payload is not base64");
    }
    fits(&fixed, "\"AP8=\"", &Avro::Fixed(2, vec![0, 255]));
    misfits(&fixed, "\"AA==\"", "payload has 1 bytes, the schema wants 2");
    let uuid = "6a2f41a3-c54c-fce8-32d2-0324e1c32e22";
    let expect = Avro::Uuid(apache_avro::Uuid::parse_str(uuid).unwrap());
    let fixed = json!({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"});
    for schema in [logical("string", "uuid"), fixed] {
        fits(&schema, &format!("\"{uuid}\""), &expect);
        for text in ["", "6a2f41a3c54cfce832d20324e1c32e22", "6a2f41a3-c54c-fce8-32d2-0324e1c32e2g"]
        {
            misfits(&schema, &format!("\"{text}\""), "payload is not a uuid");
        }
    }
}

#[test]
fn records_take_defaults_and_refuse_what_they_do_not_know() {
    let schema = record(&json!([
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["A", "B"]}, "default": "B"},
        {"name": "raw", "type": "bytes", "default": "\u{ff}"},
        {"name": "tags", "type": {"type": "array", "items": "string"}, "default": ["x"]},
        {"name": "inner", "type": {"type": "record", "name": "I", "fields": [
            {"name": "n", "type": "int", "default": 4}]}, "default": {}},
    ]));
    let value = |note: Avro| {
        Avro::Record(vec![
            ("id".to_owned(), Avro::Long(1)),
            ("note".to_owned(), note),
            ("kind".to_owned(), Avro::Enum(1, "B".to_owned())),
            ("raw".to_owned(), Avro::Bytes(vec![255])),
            ("tags".to_owned(), Avro::Array(vec![Avro::String("x".to_owned())])),
            ("inner".to_owned(), Avro::Record(vec![("n".to_owned(), Avro::Int(4))])),
        ])
    };
    fits(&schema, r#"{"id": 1}"#, &value(Avro::Union(0, Box::new(Avro::Null))));
    let note = Avro::Union(1, Box::new(Avro::String("z".to_owned())));
    fits(&schema, r#"{"note": "z", "i\u0064": 1}"#, &value(note));
    for (payload, expect) in [
        ("{}", "payload.id is missing and has no default"),
        (r#"{"id": null}"#, "payload.id is null, the schema wants a long"),
        (r#"{"id": 1, "a b": 2}"#, "payload has a member that the schema does not have"),
        (r#"{"id": 1, "id": 1}"#, "payload has a member twice"),
        (r#"{"id": 1, "kind": "C"}"#, "payload.kind is none of the enum's symbols"),
        (r#"{"id": 1, "note": 5}"#, "payload.note is a number, the schema wants a string"),
        (
            r#"{"id": 1, "tags": ["a", 1]}"#,
            "payload.tags[1] is a number, the schema wants a string",
        ),
        (
            r#"{"id": 1, "inner": {"n": "x"}}"#,
            "payload.inner.n is a string, the schema wants an int",
        ),
        (r#"{"id": 1, "inner": []}"#, "payload.inner is an array, the schema wants an object"),
    ] {
        misfits(&schema, payload, expect);
    }
}

#[test]
fn maps_and_unions() {
    let map = json!({"type": "map", "values": "int"});
    fits(&map, r#"{"k": 1}"#, &Avro::Map([("k".to_owned(), Avro::Int(1))].into()));
    fits(&map, "{}", &Avro::Map([].into()));
    misfits(&map, r#"{"canary": "x"}"#, "payload{} is a string, the schema wants an int");
    misfits(&map, r#"{"a": 1, "a": 2}"#, "payload has a member twice");
    let union = json!(["int", "null", "double", {"type": "array", "items": "string"}]);
    let branch = |index, value| Avro::Union(index, Box::new(value));
    fits(&union, "1", &branch(0, Avro::Int(1)));
    fits(&union, "null", &branch(1, Avro::Null));
    fits(&union, "1.5", &branch(2, Avro::Double(1.5)));
    fits(&union, "3000000000", &branch(2, Avro::Double(3e9)));
    fits(&union, "[]", &branch(3, Avro::Array(vec![])));
    misfits(&union, "[1]", "payload fits no branch of the union");
}

#[test]
fn recursion_is_limited_in_depth_and_work() {
    let list = json!({"type": "record", "name": "L", "fields": [
        {"name": "next", "type": ["null", "L"], "default": null}]});
    let nested = |depth| format!("{}null{}", r#"{"next":"#.repeat(depth), "}".repeat(depth));
    assert!(encode(&list, &nested(60)).is_ok());
    let misfit = encode(&list, &nested(10_000)).unwrap_err().to_string();
    assert!(misfit.ends_with(".next is nested deeper than 128 levels"), "{misfit}");
    // Every level has two branches that fail at the innermost value only.
    let tree = json!({"type": "record", "name": "A", "fields": [{"name": "x", "type": ["int", "A",
        {"type": "record", "name": "B", "fields": [{"name": "x", "type": ["int", "A", "B"]}]}]}]});
    let innermost = format!("{:?}", "long".repeat(1_000));
    let nested = format!("{}{innermost}{}", r#"{"x":"#.repeat(50), "}".repeat(50));
    let misfit = encode(&tree, &nested).unwrap_err().to_string();
    assert!(misfit.contains("costs more than 134217728 bytes to read"), "{misfit}");
}

#[test]
fn schemas_that_cannot_be_written_are_refused() {
    let unsupported = |schema| Err(SchemaError::Unsupported { schema });
    let duration = json!({"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"});
    let compile = |schema: &Value| PayloadEncoder::compile(&schema.to_string()).map(|_| ());
    assert_eq!(compile(&duration), unsupported("duration"));
    assert_eq!(compile(&json!({"type": "array", "items": duration})), unsupported("duration"));
    assert_eq!(compile(&logical("bytes", "big-decimal")), unsupported("big-decimal"));
    assert_eq!(compile(&json!({"type": "what"})), Err(SchemaError::Unreadable));
    let twice = |second: Value| {
        compile(&json!({"type": "record", "name": "R", "namespace": "n", "fields": [
            {"name": "one", "type": {"type": "fixed", "name": "F", "size": 1}},
            {"name": "other", "type": second}]}))
    };
    let redeclared = Err(SchemaError::Redeclared { name: "n.F".to_owned() });
    assert_eq!(twice(json!({"type": "fixed", "name": "F", "size": 2})), redeclared);
    assert_eq!(twice(json!({"type": "enum", "name": "F", "symbols": ["A"]})), redeclared);
    assert_eq!(twice(json!("F")), Ok(()));
    let endless = json!({"type": "record", "name": "E", "fields": [
        {"name": "e", "type": "E", "default": {}}]});
    assert!(compile(&endless).is_err());
}

/// A type that the property test draws.
#[derive(Clone, Debug)]
enum Drawn {
    Array(Box<Self>),
    Enum,
    Fixed,
    Map(Box<Self>),
    Nullable(Box<Self>),
    Primitive(&'static str),
    Record(Vec<Self>),
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let primitives = vec!["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
    let leaf = prop_oneof![
        8 => proptest::sample::select(primitives).prop_map(Drawn::Primitive),
        1 => Just(Drawn::Enum),
        1 => Just(Drawn::Fixed),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let nullable =
            |drawn: &Drawn| !matches!(drawn, Drawn::Nullable(_) | Drawn::Primitive("null"));
        prop_oneof![
            inner.clone().prop_map(|items| Drawn::Array(Box::new(items))),
            inner.clone().prop_map(|values| Drawn::Map(Box::new(values))),
            inner
                .clone()
                .prop_filter("null twice", nullable)
                .prop_map(|of| Drawn::Nullable(Box::new(of))),
            vec(inner, 0..4).prop_map(Drawn::Record),
        ]
    })
}

impl Drawn {
    /// The schema; named types are numbered by `count`.
    fn schema(&self, count: &mut u32) -> Value {
        *count += 1;
        let name = format!("N{count}");
        match self {
            Self::Array(items) => json!({"type": "array", "items": items.schema(count)}),
            Self::Enum => json!({"type": "enum", "name": name, "symbols": ["A", "B", "C"]}),
            Self::Fixed => json!({"type": "fixed", "name": name, "size": 3}),
            Self::Map(values) => json!({"type": "map", "values": values.schema(count)}),
            Self::Nullable(of) => json!(["null", of.schema(count)]),
            Self::Primitive(name) => json!(name),
            Self::Record(fields) => {
                let field = |(index, field): (usize, &Self)| json!({"name": format!("f{index}"), "type": field.schema(count)});
                let fields: Vec<_> = fields.iter().enumerate().map(field).collect();
                json!({"type": "record", "name": name, "fields": fields})
            }
        }
    }

    /// A value as JSON and as Avro.
    fn value(&self) -> BoxedStrategy<(Value, Avro)> {
        match self {
            Self::Array(items) => vec(items.value(), 0..4)
                .prop_map(|items| {
                    let (json, avro): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                    (Value::Array(json), Avro::Array(avro))
                })
                .boxed(),
            Self::Enum => (0..3_u32)
                .prop_map(|index| {
                    let symbol = ["A", "B", "C"][usize::try_from(index).unwrap()].to_owned();
                    (json!(symbol), Avro::Enum(index, symbol))
                })
                .boxed(),
            Self::Fixed => any::<[u8; 3]>()
                .prop_map(|bytes| (json!(base64_text(&bytes)), Avro::Fixed(3, bytes.to_vec())))
                .boxed(),
            // One entry at most: the oracle writes entries in an order of its own.
            Self::Map(values) => proptest::option::of((any::<String>(), values.value()))
                .prop_map(|entry| {
                    let Some((key, (json, avro))) = entry else {
                        return (json!({}), Avro::Map([].into()));
                    };
                    (json!({ &key: json }), Avro::Map([(key, avro)].into()))
                })
                .boxed(),
            Self::Nullable(of) => proptest::option::of(of.value())
                .prop_map(|value| match value {
                    None => (Value::Null, Avro::Union(0, Box::new(Avro::Null))),
                    Some((json, avro)) => (json, Avro::Union(1, Box::new(avro))),
                })
                .boxed(),
            Self::Primitive(name) => primitive(name),
            Self::Record(fields) => fields
                .iter()
                .map(Self::value)
                .collect::<Vec<_>>()
                .prop_map(|values| {
                    let (mut json, mut avro) = (serde_json::Map::new(), Vec::new());
                    for (index, (field_json, field_avro)) in values.into_iter().enumerate() {
                        json.insert(format!("f{index}"), field_json);
                        avro.push((format!("f{index}"), field_avro));
                    }
                    (Value::Object(json), Avro::Record(avro))
                })
                .boxed(),
        }
    }
}

fn primitive(name: &str) -> BoxedStrategy<(Value, Avro)> {
    match name {
        "boolean" => any::<bool>().prop_map(|v| (json!(v), Avro::Boolean(v))).boxed(),
        "bytes" => {
            vec(any::<u8>(), 0..9).prop_map(|v| (json!(base64_text(&v)), Avro::Bytes(v))).boxed()
        }
        "double" => proptest::num::f64::NORMAL.prop_map(|v| (json!(v), Avro::Double(v))).boxed(),
        "float" => proptest::num::f32::NORMAL.prop_map(|v| (json!(v), Avro::Float(v))).boxed(),
        "int" => any::<i32>().prop_map(|v| (json!(v), Avro::Int(v))).boxed(),
        "long" => any::<i64>().prop_map(|v| (json!(v), Avro::Long(v))).boxed(),
        "string" => any::<String>().prop_map(|v| (json!(v), Avro::String(v))).boxed(),
        _ => Just((Value::Null, Avro::Null)).boxed(),
    }
}

fn base64_text(bytes: &[u8]) -> String {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let sextet = |bits: &[u8]| {
        let value = (0..6).fold(0, |value, at| value << 1 | bits.get(at).copied().unwrap_or(0));
        char::from(alphabet.as_bytes()[usize::from(value)])
    };
    let mut text: String = bits.chunks(6).map(sextet).collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn typed() -> impl Strategy<Value = (Value, Value, Avro)> {
    drawn().prop_flat_map(|drawn| {
        let schema = drawn.schema(&mut 0);
        drawn.value().prop_map(move |(json, avro)| (schema.clone(), json, avro))
    })
}

proptest! {
    #[test]
    fn our_bytes_are_those_of_apache_avro((schema, payload, value) in typed()) {
        let bytes = encode(&schema, &payload.to_string()).unwrap();
        let schema = Schema::parse_str(&schema.to_string()).unwrap();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        prop_assert_eq!(bytes, writer.write_value_to_vec(value).unwrap());
    }

    #[test]
    fn any_bytes_fit_or_do_not((schema, ..) in typed(), payload in vec(any::<u8>(), 0..40)) {
        let encoder = PayloadEncoder::compile(&schema.to_string()).unwrap();
        let _ = encoder.encode(&payload, &mut Vec::new());
    }

    #[test]
    fn decimals_are_those_of_integers(unscaled in any::<i128>(), scale in 0_usize..38) {
        let digits = format!("{:0>39}", unscaled.unsigned_abs());
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        let sign = if unscaled < 0 { "-" } else { "" };
        let text = format!("{sign}{whole}.{fraction}0");
        let mut want = unscaled.to_be_bytes().to_vec();
        while let [0, 0..=0x7F, ..] | [0xFF, 0x80..=0xFF, ..] = want.as_slice() {
            want.remove(0);
        }
        prop_assert_eq!(decimal::unscaled(&text, 39, scale), Ok(want));
    }
}

/// In a map by user name it is data: for the dead letter, and for no log.
#[test]
fn an_unknown_member_is_named_in_the_alternate_form_only() {
    let schema = record(&json!([{"name": "id", "type": "long"}]));
    let named = encode(&schema, r#"{"id": 1, "nope": 2}"#).unwrap_err();
    assert_eq!(named.to_string(), "payload has a member that the schema does not have");
    let full = "payload has a member \"nope\" that the schema does not have";
    assert_eq!(format!("{named:#}"), full);
    assert_eq!(format!("{:#}", super::super::EventFault::Payload(named)), full);
    let unnamed = encode(&schema, r#"{"id": 1, "a b": 2}"#).unwrap_err();
    assert_eq!(format!("{unnamed:#}"), unnamed.to_string());
}
