//! Debezium's handling modes and Avro's own representation: the schema of a field and its value, which
//! apache-avro reads, from both forms where they are given.

use serde_json::json;

use super::*;
use crate::encode::{
    BinaryMode, DecimalMode, HstoreMode, IntervalMode, Modes, Representation, TimeMode,
};
use crate::types::Printed;

fn modes(modes: Modes) -> Values {
    Values { representation: Representation::Debezium(modes), ..Values::default() }
}

fn native() -> Values {
    Values { representation: Representation::Avro, ..Values::default() }
}

/// The declared type of a column, and what apache-avro reads of its value.
fn written(kind: &Kind, values: &Values, column: Column<'_>) -> (serde_json::Value, Value) {
    let record = schema::key("p", &[Field::new("v", kind, false)], values);
    let declared = record["fields"][0]["type"].clone();
    let encoder = ColumnEncoder::compile(kind, false, Notation::Avro, values);
    let mut bytes = Vec::new();
    encoder.encode(column, &mut bytes).unwrap();
    let avro = Schema::parse(&record).unwrap();
    let reader = GenericDatumReader::builder(&avro).build().unwrap();
    let mut rest = bytes.as_slice();
    let Value::Record(mut fields) = reader.read_value(&mut rest).unwrap() else {
        panic!("no record")
    };
    assert!(rest.is_empty());
    (declared, fields.pop().unwrap().1)
}

#[track_caller]
fn check(kind: &Kind, values: &Values, text: &str, schema: serde_json::Value, value: Value) {
    let found = written(kind, values, Column::Text(text.as_bytes()));
    assert_eq!(found, (schema, value), "{kind:?} {text}");
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

fn semantic(primitive: &str, name: &str) -> serde_json::Value {
    json!({"type": primitive, "connect.version": 1, "connect.name": name})
}

const PRICE: Kind = Kind::Numeric { declared: Some((12, 2)) };
const NUMBER: Kind = Kind::Numeric { declared: None };

#[test]
fn decimals() {
    let double = modes(Modes { decimal: DecimalMode::Double, ..Modes::default() });
    for (kind, text, value) in [
        (&PRICE, "-1234.50", -1234.5),
        (&NUMBER, "0.1", 0.1),
        (&NUMBER, "1e309", f64::INFINITY),
        (&NUMBER, "-Infinity", f64::NEG_INFINITY),
        (&Kind::Money, "-$1,234.56", -1234.56),
    ] {
        let text = if text == "1e309" { format!("1{}", "0".repeat(309)) } else { text.to_owned() };
        check(kind, &double, &text, json!("double"), Value::Double(value));
    }
    let (_, value) = written(&NUMBER, &double, Column::Text(b"NaN"));
    assert!(matches!(value, Value::Double(nan) if nan.is_nan()));
    let text = modes(Modes { decimal: DecimalMode::String, ..Modes::default() });
    for (kind, value) in [
        (&PRICE, "-1234.50"),
        (&NUMBER, "100.00"),
        (&NUMBER, "NaN"),
        (&Kind::Numeric { declared: Some((5, -2)) }, "12300"),
    ] {
        check(kind, &text, value, json!("string"), string(value));
    }
    check(&Kind::Money, &text, "-$1,234,567.89", json!("string"), string("-1234567.89"));
    // 1.50 in binary form, which says how many digits are shown.
    let binary = Column::Binary(&[0, 2, 0, 0, 0, 0, 0, 2, 0, 1, 0x13, 0x88]);
    assert_eq!(written(&NUMBER, &text, binary).1, string("1.50"));
}

#[test]
fn times() {
    let time = |time| modes(Modes { time, ..Modes::default() });
    let (stamp, short) =
        (Kind::Timestamp { precision: None }, Kind::Timestamp { precision: Some(3) });
    let (noon, shorter) = (Kind::Time { precision: None }, Kind::Time { precision: Some(0) });
    let instant = "2001-02-03 04:05:06.789012";
    let adaptive = time(TimeMode::AdaptiveTimeMicroseconds);
    let micro = semantic("long", "io.debezium.time.MicroTime");
    check(&shorter, &adaptive, "12:00:00", micro, Value::Long(43_200_000_000));
    let millis = semantic("long", "io.debezium.time.Timestamp");
    check(&short, &adaptive, instant, millis, Value::Long(981_173_106_789));
    let micros = semantic("long", "io.debezium.time.MicroTimestamp");
    check(&short, &time(TimeMode::Microseconds), instant, micros, Value::Long(981_173_106_789_012));
    let nanos = time(TimeMode::Nanoseconds);
    let stamps = semantic("long", "io.debezium.time.NanoTimestamp");
    check(&stamp, &nanos, instant, stamps, Value::Long(981_173_106_789_012_000));
    let clock = semantic("long", "io.debezium.time.NanoTime");
    check(&noon, &nanos, "24:00:00", clock, Value::Long(86_400_000_000_000));
    let connect = time(TimeMode::Connect);
    let own = |primitive: &str, name: &str, logical: &str| {
        let name = format!("org.apache.kafka.connect.data.{name}");
        json!({"type": primitive, "connect.version": 1, "connect.name": name, "logicalType": logical})
    };
    check(&Kind::Date, &connect, "1969-12-31", own("int", "Date", "date"), Value::Date(-1));
    check(
        &noon,
        &connect,
        "12:00:00.9999",
        own("int", "Time", "time-millis"),
        Value::TimeMillis(43_200_999),
    );
    let floor = Value::TimestampMillis(-1);
    let stamp_schema = own("long", "Timestamp", "timestamp-millis");
    check(&stamp, &connect, "1969-12-31 23:59:59.999999", stamp_schema, floor);
    let iso = time(TimeMode::IsoString);
    for (kind, text, name, expect) in [
        (&Kind::Date, "2024-02-29", "IsoDate", "2024-02-29Z"),
        (&Kind::Date, "0044-03-15 BC", "IsoDate", "-0043-03-15Z"),
        (&Kind::Date, "5874897-12-31", "IsoDate", "+5874897-12-31Z"),
        (&Kind::Date, "infinity", "IsoDate", "infinity"),
        (&noon, "12:34:00.1", "IsoTime", "12:34:00.1Z"),
        (&stamp, "0001-12-31 23:59:59.999999 BC", "IsoTimestamp", "0000-12-31T23:59:59.999999Z"),
        (&stamp, "294276-12-31 00:00:00", "IsoTimestamp", "+294276-12-31T00:00:00Z"),
        (&stamp, "-infinity", "IsoTimestamp", "-infinity"),
    ] {
        check(
            kind,
            &iso,
            text,
            semantic("string", &format!("io.debezium.time.{name}")),
            string(expect),
        );
    }
    let nano = ColumnEncoder::compile(&stamp, true, Notation::Avro, &nanos);
    for (text, is_in) in [
        ("2262-04-11 23:47:16.854775", true),
        ("2262-04-11 23:47:16.854776", false),
        ("1677-09-21 00:12:43.145225", true),
        ("1677-09-21 00:12:43.145224", false),
    ] {
        let encoded = nano.encode(Column::Text(text.as_bytes()), &mut Vec::new());
        assert_eq!(encoded.is_ok(), is_in, "{text}");
    }
}

#[test]
fn intervals() {
    let text = modes(Modes { interval: IntervalMode::String, ..Modes::default() });
    let schema = || semantic("string", "io.debezium.time.Interval");
    for (value, expect) in [
        ("P1Y2M3DT4H5M6.000007S", "P1Y2M3DT4H5M6.000007S"),
        ("P-1Y-2M-3DT-4H-5M-6.000007S", "P-1Y-2M-3DT-4H-5M-6.000007S"),
        ("PT0S", "P0Y0M0DT0H0M0S"),
        ("PT-0.000001S", "P0Y0M0DT0H0M-0.000001S"),
        ("P1DT-1S", "P0Y0M1DT0H0M-1S"),
        ("PT-25H-1M-1.5S", "P0Y0M0DT-25H-1M-1.5S"),
        ("infinity", "infinity"),
    ] {
        check(&Kind::Interval { precision: None }, &text, value, schema(), string(expect));
    }
}

#[test]
fn structured_times() {
    let values = modes(Modes { time: TimeMode::Structured, ..Modes::default() });
    let written = |kind: &Kind, text: &str| {
        let mut out = Vec::new();
        ColumnEncoder::compile(kind, false, Notation::Json, &values)
            .encode(Column::Text(text.as_bytes()), &mut out)
            .map(|()| String::from_utf8(out).unwrap().replace('"', ""))
    };
    let precision = Some(3);
    for (kind, text, expect) in [
        (Kind::Date, "2024-02-29", "{year:2024,month:2,day:29,specialValue:null}"),
        (Kind::Date, "0001-12-31 BC", "{year:0,month:12,day:31,specialValue:null}"),
        (Kind::Date, "-infinity", "{year:null,month:null,day:null,specialValue:NEGATIVE_INFINITY}"),
        (Kind::Time { precision }, "24:00:00", "{hour:24,minute:0,second:0,nanos:0,precision:3}"),
        (
            Kind::Timestamp { precision: None },
            "1969-12-31 23:59:59.999999",
            "{year:1969,month:12,day:31,hour:23,minute:59,second:59,nanos:999999000,\
             specialValue:null,precision:6}",
        ),
        (
            Kind::TimestampTz { precision },
            "infinity",
            "{year:null,month:null,day:null,hour:null,minute:null,second:null,nanos:null,\
             offsetSeconds:null,zoneId:null,specialValue:POSITIVE_INFINITY,precision:3}",
        ),
        (
            Kind::TimestampTz { precision },
            "2024-02-29 12:34:56.1+00",
            "{year:2024,month:2,day:29,hour:12,minute:34,second:56,nanos:100000000,\
             offsetSeconds:0,zoneId:Z,specialValue:null,precision:3}",
        ),
        (
            Kind::TimeTz { precision },
            "23:30:00-08",
            "{hour:23,minute:30,second:0,nanos:0,offsetSeconds:-28800,precision:3}",
        ),
        (
            Kind::Interval { precision },
            "P-1Y-2M3DT-4H-5M-6.007S",
            "{years:-1,months:-2,days:3,hours:-4,minutes:-5,seconds:-6,nanos:-7000000,precision:3}",
        ),
    ] {
        assert_eq!(written(&kind, text), Ok(expect.to_owned()), "{kind:?} {text}");
    }
    let interval = Kind::Interval { precision };
    for (text, what) in [
        ("infinity", "interval infinity"),
        ("PT2147483648H", "interval of more than 2,147,483,647 hours"),
    ] {
        assert_eq!(written(&interval, text), Err(Error::Unrepresentable { what }), "{text}");
    }
}

#[test]
fn hstore_and_bytea() {
    let map = modes(Modes { hstore: HstoreMode::Map, ..Modes::default() });
    let entries = [
        ("a", Value::Union(1, Box::new(string("x")))),
        ("b", Value::Union(0, Box::new(Value::Null))),
    ];
    let value = Value::Map(entries.map(|(key, value)| (key.to_owned(), value)).into());
    let schema = || json!({"type": "map", "values": ["null", "string"]});
    check(&Kind::Hstore, &map, r#""a"=>"x", "b"=>NULL"#, schema(), value);
    check(&Kind::Hstore, &map, "", schema(), Value::Map([].into()));
    for (mode, expect) in [
        (BinaryMode::Base64, "+/8="),
        (BinaryMode::Base64UrlSafe, "-_8="),
        (BinaryMode::Hex, "fbff"),
    ] {
        let values = modes(Modes { binary: mode, ..Modes::default() });
        check(&Kind::Bytea, &values, "\\xfbff", json!("string"), string(expect));
        let (_, value) = written(&Kind::Bytea, &values, Column::Binary(&[0xfb, 0xff]));
        assert_eq!(value, string(expect));
    }
}

#[test]
fn avros_own_types() {
    let logical = |primitive: &str, name: &str| json!({"type": primitive, "logicalType": name});
    let price = json!({"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2});
    let cases = [
        (PRICE, "-1.00", price, Value::Decimal(vec![0x9c].into())),
        (NUMBER, "NaN", json!("string"), string("NaN")),
        (Kind::Int2, "-7", json!("int"), Value::Int(-7)),
        (Kind::Date, "1970-01-02", logical("int", "date"), Value::Date(1)),
        (
            Kind::Time { precision: Some(0) },
            "00:00:01",
            logical("long", "time-micros"),
            Value::TimeMicros(1_000_000),
        ),
        (
            Kind::Timestamp { precision: Some(0) },
            "1970-01-01 00:00:01",
            logical("long", "local-timestamp-micros"),
            Value::LocalTimestampMicros(1_000_000),
        ),
        (
            Kind::TimestampTz { precision: None },
            "1970-01-01 00:00:01+00",
            logical("long", "timestamp-micros"),
            Value::TimestampMicros(1_000_000),
        ),
        (
            Kind::TimeTz { precision: None },
            "12:00:00+05:30",
            json!("string"),
            string("12:00:00+05:30"),
        ),
        (Kind::Bits { length: Some(4) }, "0101", json!("string"), string("0101")),
        (Kind::Enum { labels: vec!["a".into()] }, "a", json!("string"), string("a")),
        (Kind::Jsonb, "{}", json!("string"), string("{}")),
    ];
    for (kind, text, schema, value) in cases {
        check(&kind, &native(), text, schema, value);
    }
    let interval =
        written(&Kind::Interval { precision: None }, &native(), Column::Text(b"P1M2DT-3S")).1;
    let field = |name: &str, value| (name.to_owned(), value);
    let expect = Value::Record(vec![
        field("months", Value::Int(1)),
        field("days", Value::Int(2)),
        field("micros", Value::Long(-3_000_000)),
    ]);
    assert_eq!(interval, expect);
}

#[test]
fn ranges_as_records() {
    let some = |value| Value::Union(1, Box::new(value));
    let none = || Value::Union(0, Box::new(Value::Null));
    let record = |lower, upper, flags: [bool; 3]| {
        let [is_lower, is_upper, is_empty] = flags.map(Value::Boolean);
        Value::Record(vec![
            ("lower".to_owned(), lower),
            ("upper".to_owned(), upper),
            ("is_lower_inclusive".to_owned(), is_lower),
            ("is_upper_inclusive".to_owned(), is_upper),
            ("is_empty".to_owned(), is_empty),
        ])
    };
    let ints = Kind::Printed(Printed::Range(Box::new(Kind::Int4)));
    let texts = Kind::Printed(Printed::Range(Box::new(Kind::Text)));
    let number = |number| some(Value::Int(number));
    for (kind, text, binary, expect) in [
        (
            &ints,
            "[1,5)",
            &b"\x02\0\0\0\x04\0\0\0\x01\0\0\0\x04\0\0\0\x05"[..],
            record(number(1), number(5), [true, false, false]),
        ),
        (&ints, "(,)", b"\x18", record(none(), none(), [false, false, false])),
        (&ints, "empty", b"\x01", record(none(), none(), [false, false, true])),
        (
            &texts,
            r#"["a ""b\\",")"]"#,
            b"\x06\0\0\0\x05a \"b\\\0\0\0\x01)",
            record(some(string("a \"b\\")), some(string(")")), [true, true, false]),
        ),
        (
            &texts,
            r#"["",)"#,
            b"\x12\0\0\0\0",
            record(some(string("")), none(), [true, false, false]),
        ),
    ] {
        for column in [Column::Text(text.as_bytes()), Column::Binary(binary)] {
            assert_eq!(written(kind, &native(), column).1, expect, "{text}");
        }
    }
    let many = Kind::Printed(Printed::Multirange(Box::new(Kind::Int4)));
    let two = |a, b| record(number(a), number(b), [true, false, false]);
    let expect = Value::Array(vec![two(1, 3), two(5, 7)]);
    assert_eq!(written(&many, &native(), Column::Text(b"{[1,3),[5,7)}")).1, expect);
    assert_eq!(written(&many, &native(), Column::Text(b"{}")).1, Value::Array(vec![]));
    for malformed in ["", "[1", "[1,2", "1,2)", "[1,2)x", "[\"1,2)", "[1,2)]", "{}"] {
        let encoder = ColumnEncoder::compile(&ints, true, Notation::Avro, &native());
        let mut out = Vec::new();
        let result = encoder.encode(Column::Text(malformed.as_bytes()), &mut out);
        assert!(matches!(result, Err(Error::Malformed { .. })), "{malformed}: {result:?}");
        assert!(out.is_empty());
    }
    for malformed in ["{[1,2),}", "{[1,2)", "{,}", "[1,2)"] {
        let encoder = ColumnEncoder::compile(&many, true, Notation::Avro, &native());
        let result = encoder.encode(Column::Text(malformed.as_bytes()), &mut Vec::new());
        assert!(matches!(result, Err(Error::Malformed { .. })), "{malformed}: {result:?}");
    }
}

/// Of a schema a name is defined once; a second column with it must still be readable.
#[test]
fn two_columns_of_a_named_type() {
    let range = Kind::Printed(Printed::Range(Box::new(Kind::Date)));
    let kinds = [range.clone(), Kind::Printed(Printed::Multirange(Box::new(Kind::Date))), range];
    let field = |(name, kind)| Field::new(name, kind, true);
    let fields: Vec<_> = ["a", "b", "c"].into_iter().zip(&kinds).map(field).collect();
    for values in [native(), Values::default()] {
        Schema::parse(&schema::key("p", &fields, &values)).unwrap();
        let envelope = schema::envelope("p", &fields, Some(&fields), &values);
        Schema::parse(&envelope).unwrap();
        let is_native = values.representation == Representation::Avro;
        assert_eq!(envelope.to_string().contains("connect."), !is_native);
    }
}
