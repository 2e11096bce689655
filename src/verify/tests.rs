//! Values read back, and the fold over records.

use std::collections::HashSet;

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::json;

use super::form::Form;
use super::read::{self, Value};
use super::schema::Node;
use super::*;
use crate::position::Lsn;
use crate::types::Kind;

#[test]
fn decimals_are_written_as_trim_scale_does() {
    for (bytes, scale, expect) in [
        (&[][..], 0, "0"),
        (&[0], 2, "0"),
        (&[0xff], 2, "-0.01"),
        (&[0x04, 0xce], 2, "12.3"),
        (&[0x80], 0, "-128"),
        (&[0xff, 0x80], 0, "-128"),
        (&[0x00, 0x80], 1, "12.8"),
        (&[0x64], 0, "100"),
        (&[0x64], 2, "1"),
        (&[1, 0, 0, 0, 0, 0, 0, 0, 0], 20, "0.18446744073709551616"),
        (&[0xff, 0, 0, 0, 0, 0, 0, 0, 0], 0, "-18446744073709551616"),
    ] {
        assert_eq!(decimal::text(bytes, scale), expect, "{bytes:?} {scale}");
    }
}

#[test]
fn iso_texts_are_read_back() {
    for (text, days) in [
        ("1970-01-01Z", 0),
        ("1969-12-31Z", -1),
        ("2024-02-29Z", 19_782),
        ("2000-03-01Z", 11_017),
        ("0000-12-31Z", -719_163),
        ("-0043-03-15Z", -735_160),
        ("+294276-12-31Z", 106_762_939),
    ] {
        assert_eq!(iso::date(text), Some(days), "{text}");
    }
    assert_eq!(iso::time("24:00:00Z"), Some(86_400_000_000));
    assert_eq!(iso::time("12:34:56.789Z"), Some(45_296_789_000));
    assert_eq!(iso::timestamp("1969-12-31T23:59:59.999999Z"), Some(-1));
    assert_eq!(iso::interval("P-1Y-2M3DT4H-5M-6.5S"), Some((-14, 3, 14_093_500_000)));
    for text in ["", "Z", "2024-02Z", "2024-02-29", "a-b-cZ", "2024-02-29T1Z", "1:2:3.1234567Z"] {
        let read = [iso::date(text), iso::time(text), iso::timestamp(text)];
        assert_eq!(read, [None; 3], "{text}");
    }
}

const NESTED: &str = r#"{"type": "record", "name": "R", "namespace": "a.b", "fields": [
    {"name": "i", "type": {"type": "int", "connect.type": "int16"}},
    {"name": "l", "type": ["null", {"type": "long", "logicalType": "time-micros"}, "string"]},
    {"name": "f", "type": "float"}, {"name": "d", "type": "double"},
    {"name": "b", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}},
    {"name": "t", "type": {"type": "string", "connect.name": "io.debezium.data.Uuid"}},
    {"name": "y", "type": "boolean"},
    {"name": "a", "type": {"type": "array", "items": ["null", "int"]}},
    {"name": "m", "type": {"type": "map", "values": ["null", "string"]}},
    {"name": "p", "type": {"type": "record", "name": "P", "fields": [{"name": "x", "type": "int"}]}},
    {"name": "q", "type": ["null", "P"]}]}"#;

/// What apache-avro writes for [`NESTED`].
fn nested() -> Vec<u8> {
    let schema = Schema::parse_str(NESTED).unwrap();
    let union = |index, value| Avro::Union(index, Box::new(value));
    let point = |x| Avro::Record(vec![("x".into(), Avro::Int(x))]);
    let value = Avro::Record(vec![
        ("i".into(), Avro::Int(-300)),
        ("l".into(), union(2, Avro::String("24:00".into()))),
        ("f".into(), Avro::Float(1.5)),
        ("d".into(), Avro::Double(-0.0)),
        ("b".into(), Avro::Decimal(vec![0x04, 0xce].into())),
        ("t".into(), Avro::String("ü".into())),
        ("y".into(), Avro::Boolean(true)),
        ("a".into(), Avro::Array(vec![union(1, Avro::Int(7)), union(0, Avro::Null)])),
        ("m".into(), Avro::Map([("k".to_owned(), union(1, Avro::String("v".into())))].into())),
        ("p".into(), point(1)),
        ("q".into(), union(1, point(i32::MIN))),
    ]);
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

#[test]
fn what_apache_avro_writes_is_read() {
    let (node, bytes) = (Node::parse(NESTED).unwrap(), nested());
    let mut input = bytes.as_slice();
    let value = read::avro(&node, &mut input).unwrap();
    assert!(input.is_empty());
    let expect = Value::Record(vec![
        Value::Integer(-300),
        Value::Stand("24:00".into()),
        Value::Float(1.5),
        Value::Double(-0.0),
        Value::Bytes(vec![0x04, 0xce].into()),
        Value::Text("ü".into()),
        Value::Boolean(true),
        Value::Array(vec![Value::Integer(7), Value::Null]),
        Value::Map(vec![("k".into(), Value::Text("v".into()))]),
        Value::Record(vec![Value::Integer(1)]),
        Value::Record(vec![Value::Integer(i32::MIN.into())]),
    ]);
    assert_eq!(value, expect);
    assert_eq!(node.fields()[1].1.value().name(), "time-micros");
    assert_eq!(
        Form::Decimal(2).text(&Value::Bytes(vec![0x04, 0xce].into())),
        Ok(Some("12.3".into()))
    );
    // The same as JSON.
    let json = json!({"i": -300, "l": "24:00", "f": 1.5, "d": -0.0, "b": "BM4=", "t": "ü", "y": true,
        "a": [7, null], "m": {"k": "v"}, "p": {"x": 1}, "q": {"x": i32::MIN}});
    assert_eq!(read::json(&node, &json).unwrap(), expect);
}

#[test]
fn what_is_no_value_is_an_error() {
    let (node, bytes) = (Node::parse(NESTED).unwrap(), nested());
    for end in 0..bytes.len() {
        assert!(read::avro(&node, &mut &bytes[..end]).is_err(), "{end}");
    }
    for at in 0..bytes.len() {
        for byte in [0x7f, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            // Whatever it is, it ends.
            let _ = read::avro(&node, &mut bytes.as_slice());
        }
    }
    let array = Node::parse(r#"{"type": "array", "items": "int"}"#).unwrap();
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert!(read::avro(&array, &mut &huge[..]).is_err());
    for schema in ["", "7", "\"none\"", "{}", r#"{"type": "array"}"#, r#"{"type": "record"}"#] {
        assert!(Node::parse(schema).is_err(), "{schema}");
    }
    assert!(read::json(&array, &json!({"a": 1})).is_err());
}

const KEY: &str = r#"{"type": "record", "name": "Key", "fields": [{"name": "id", "type": "int"}]}"#;
const VALUE: &str = r#"{"type": "record", "name": "Envelope", "fields": [
    {"name": "after", "type": ["null", {"type": "record", "name": "Value", "fields": [
        {"name": "id", "type": "int"}, {"name": "v", "type": ["null", "string"]}]}]},
    {"name": "op", "type": "string"}]}"#;

fn table() -> Table {
    let column = |name: &str, kind| Column { name: name.into(), sql: format!("t.{name}"), kind };
    let columns = vec![column("id", Kind::Int4), column("v", Kind::Text)];
    let key = ["id".to_owned()];
    Table::new(columns, (&key, false), (Notation::Json, KEY), (Notation::Json, VALUE), None)
        .unwrap()
}

/// A fold of one table, and the records that it is told of in short.
struct Case {
    table: Table,
    fold: Fold,
}

impl Case {
    fn new(bytes_max: usize) -> Self {
        Self { table: table(), fold: Fold::new(1, 0, bytes_max) }
    }

    /// `position key op value`; `-` is none, and `other` is another table's.
    fn take(&mut self, records: &[&str], point: Option<u64>) {
        for record in records {
            let parts: Vec<_> = record.split(' ').collect();
            let [position, id, op, v] = parts[..] else { panic!("{record}") };
            let key = (id != "-").then(|| format!(r#"{{"id":{id}}}"#));
            let after = match op {
                "c" | "r" | "u" => json!({"id": id.parse::<i32>().unwrap(), "v": v}),
                _ => json!(null),
            };
            let value = (op != "-").then(|| json!({"op": op, "after": after}).to_string());
            let position = (position != "-").then(|| match position.split_once(':') {
                Some((epoch, lsn)) => format!("{epoch}:0/{lsn}#1.0"),
                None => format!("0/{position}#1.0"),
            });
            let record = Record {
                partition: 0,
                key: key.as_deref().map(str::as_bytes),
                value: value.as_deref().map(str::as_bytes),
                position: position.as_deref(),
                unchanged: None,
                is_others: op == "other",
            };
            let point = point.map(|lsn| (1, Lsn(lsn)));
            let with = (&mut self.table, &Schemas::default());
            self.fold.take(0, with, &record, point).unwrap();
        }
    }

    /// Holds rows beside the fold: what is found of each, and of the rest.
    fn hold(mut self, rows: &[(i32, &str)]) -> (Vec<String>, Vec<String>) {
        let told = |found| match found {
            Found::Alike { .. } => "alike".to_owned(),
            Found::Changing { .. } => "changing".to_owned(),
            Found::Differs { side, .. } => format!("{side:?}"),
            Found::Left => "left".to_owned(),
        };
        let held = rows.iter().map(|(id, v)| {
            let id = id.to_string();
            // The texts of its expressions: the key's, then what the view has.
            let texts = [Some(id.as_str()), Some(*v)];
            told(self.fold.row(0, &self.table, &texts))
        });
        let held = held.collect();
        let mut rest: Vec<_> = self.fold.rest(0).map(told).collect();
        rest.sort();
        (held, rest)
    }
}

fn check(before: &[&str], behind: &[&str], rows: &[(i32, &str)], held: &[&str], rest: &[&str]) {
    let mut case = Case::new(usize::MAX);
    case.take(before, None);
    case.take(behind, Some(0x100));
    let (found, left) = case.hold(rows);
    assert_eq!(found, held, "{before:?} {behind:?}");
    assert_eq!(left, rest, "{before:?} {behind:?}");
}

#[test]
fn the_last_state_before_the_point_counts() {
    let rows = &[(1, "a"), (2, "b")];
    let both = &["10 1 c a", "10 2 c b"];
    check(both, &[], rows, &["alike", "alike"], &[]);
    check(&["10 1 c x", "20 1 u a", "10 2 r b"], &[], rows, &["alike", "alike"], &[]);
    check(&["10 1 c a", "20 2 c c"], &[], rows, &["alike", "Both"], &[]);
    check(&["10 1 c a"], &[], rows, &["alike", "Table"], &[]);
    check(&["10 1 c a", "10 2 c b", "30 2 d -"], &[], rows, &["alike", "Table"], &[]);
    check(&["10 1 c a", "10 2 c b", "30 2 - -"], &[], rows, &["alike", "Table"], &[]);
    check(both, &["30 3 c c"], rows, &["alike", "alike"], &["Topic"]);
    // A row that has the same key as another.
    check(both, &[], &[(1, "a"), (2, "b"), (2, "b")], &["alike", "alike", "Table"], &[]);
}

#[test]
fn truncates_empty_what_is_before_them() {
    let rows = &[(2, "b")];
    check(&["10 1 c a", "20 - t -", "30 2 c b"], &[], rows, &["alike"], &[]);
    // Of another partition, read later.
    check(&["10 1 c a", "30 2 c b", "20 - t -"], &[], rows, &["alike"], &[]);
    // Behind the point.
    check(&["30 2 c b"], &["1:100 - t -"], rows, &["alike"], &[]);
    check(&["20 2 c b", "30 - t -"], &[], rows, &["Table"], &[]);
}

/// What a reader has of a key is what the last record of any table says.
#[test]
fn a_key_that_another_table_has_taken_is_not_the_tables() {
    check(&["10 1 c a", "20 1 other x"], &[], &[], &[], &[]);
    check(&["10 1 c a", "20 1 other x"], &[], &[(1, "a")], &["Table"], &[]);
    check(&["10 1 other x", "20 1 c a"], &[], &[(1, "a")], &["alike"], &[]);
    check(&["10 1 c a", "20 2 other x"], &[], &[(1, "a")], &["alike"], &[]);
    check(&["10 1 c a"], &["1:100 1 other x"], &[], &[], &["changing"]);
    check(&["10 1 c a"], &["1:100 2 other x"], &[(1, "a")], &["alike"], &[]);
}

#[test]
fn what_is_behind_the_point_is_not_seen_and_doubt_is_looked_at_again() {
    let rows = &[(1, "a")];
    check(&["10 1 c a"], &["1:100 1 u x"], rows, &["alike"], &[]);
    // Compacted away: only the newer record is there.
    check(&[], &["1:100 1 u x"], rows, &["changing"], &[]);
    check(&["10 1 c a", "10 2 c b"], &["1:100 2 d -"], rows, &["alike"], &["changing"]);
    // An older epoch has larger LSNs.
    check(&["0:999 1 c a"], &["0:9999 1 u a"], rows, &["alike"], &[]);
}

#[test]
fn a_record_without_a_position_counts_where_it_stands() {
    let rows = &[(1, "a")];
    check(&["10 1 c a", "- 1 c x"], &[], rows, &["Both"], &[]);
    check(&["10 1 c a", "- 1 d -"], &[], rows, &["Table"], &[]);
    check(&["10 1 c a"], &["1:100 2 c b", "- 1 c x"], rows, &["alike"], &[]);
}

#[test]
fn all_passes_together_see_each_key_once() {
    let records: Vec<_> = (0..2_000).map(|id| format!("10 {id} c v{id}")).collect();
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    let (mut from, mut passes, mut alike) = (Some(0), 0, 0);
    while let Some(begin) = from {
        let mut case = Case { table: table(), fold: Fold::new(1, begin, 100_000) };
        case.take(&records, None);
        from = case.fold.next_from();
        let texts: Vec<_> = (0..2_000).map(|id| format!("v{id}")).collect();
        let rows: Vec<_> = (0..).zip(texts.iter().map(String::as_str)).collect();
        let (held, rest) = case.hold(&rows);
        assert!(rest.is_empty());
        assert!(held.iter().all(|found| found == "alike" || found == "left"));
        alike += held.iter().filter(|found| *found == "alike").count();
        passes += 1;
    }
    assert_eq!(alike, 2_000);
    assert!((3..20).contains(&passes), "{passes}");
}

#[test]
fn only_some_keys_are_looked_at_again() {
    let mut case = Case::new(usize::MAX);
    case.take(&[], None);
    case.take(&["1:100 1 u x"], Some(0x100));
    let found = case.fold.row(0, &case.table, &[Some("1"), Some("a")]);
    let Found::Changing { hash } = found else { panic!("{found:?}") };
    let mut case = Case::new(usize::MAX);
    case.fold.only(0, HashSet::from([hash]));
    case.take(&["10 1 c a", "10 2 c b"], None);
    assert_eq!(case.hold(&[(1, "a"), (3, "c")]), (vec!["alike".into(), "left".into()], vec![]));
}

/// Whether a key's column in a field says its value exactly.
fn check_inverse(kind: &Kind, field: &str, binary: Option<BinaryText>, expect: bool) {
    let node = Node::parse(field).unwrap();
    let found = inverse::inverse("x.x1", kind, &node, binary).is_some();
    assert_eq!(found, expect, "{kind:?} {field}");
    let is_judged = rule::Rule::of("t.a", kind, &node, binary).is_some();
    assert!(is_judged || !found, "{kind:?} {field}: nothing says whether it was right");
}

#[test]
fn a_key_is_turned_back_only_where_no_two_values_have_one_text() {
    let numeric = |declared| Kind::Numeric { declared };
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#;
    let variable = r#"{"type": "record", "name": "V", "fields": [
        {"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}]}"#;
    for (kind, field, expect) in [
        (Kind::Array(Box::new(Kind::Int4)), r#"{"type": "array", "items": "int"}"#, false),
        (Kind::Bits { length: Some(1) }, "\"boolean\"", true),
        (Kind::Bits { length: Some(9) }, "\"bytes\"", false),
        (Kind::Bool, "\"boolean\"", true),
        (Kind::Enum { labels: Vec::new() }, "\"string\"", true),
        (Kind::Float8, "\"double\"", false),
        (Kind::Hstore, r#"{"type": "string", "connect.name": "io.debezium.data.Json"}"#, false),
        (Kind::Int2, "\"int\"", true),
        (Kind::Int8, "\"long\"", true),
        (Kind::Money, decimal, false),
        (Kind::Oid, "\"long\"", true),
        (Kind::Text, "\"string\"", true),
        (Kind::Uuid, "\"string\"", true),
        (numeric(None), "\"string\"", true),
        (numeric(None), variable, false),
        (numeric(Some((9, 2))), "\"double\"", false),
        (numeric(Some((9, 2))), decimal, true),
        (numeric(Some((9, 2))), variable, true),
    ] {
        check_inverse(&kind, field, None, expect);
    }
    for (field, binary, expect) in [
        ("\"bytes\"", None, true),
        ("\"string\"", None, false),
        ("\"string\"", Some(BinaryText::Base64), true),
        ("\"string\"", Some(BinaryText::Base64UrlSafe), true),
        ("\"string\"", Some(BinaryText::Hex), true),
    ] {
        check_inverse(&Kind::Bytea, field, binary, expect);
    }
}

/// A unit that is coarser than the column leaves something out.
#[test]
fn a_time_is_turned_back_only_from_a_unit_that_holds_it() {
    let time = |precision| Kind::Time { precision };
    let timestamp = |precision| Kind::Timestamp { precision };
    let tz = |precision| Kind::TimestampTz { precision };
    for (kind, of, name, expect) in [
        (Kind::Date, "int", "Date", true),
        (Kind::Date, "string", "IsoDate", true),
        (Kind::Interval { precision: None }, "long", "MicroDuration", false),
        (Kind::Interval { precision: None }, "string", "Interval", false),
        (Kind::TimeTz { precision: None }, "string", "ZonedTime", false),
        (time(None), "int", "Time", false),
        (time(Some(3)), "int", "Time", true),
        (time(Some(4)), "int", "Time", false),
        (time(None), "long", "MicroTime", true),
        (time(None), "long", "NanoTime", true),
        (time(None), "string", "IsoTime", true),
        (timestamp(None), "long", "Timestamp", false),
        (timestamp(Some(0)), "long", "Timestamp", true),
        (timestamp(Some(3)), "long", "Timestamp", true),
        (timestamp(Some(6)), "long", "Timestamp", false),
        (timestamp(None), "long", "MicroTimestamp", true),
        (timestamp(None), "long", "NanoTimestamp", true),
        (timestamp(None), "string", "IsoTimestamp", true),
        (tz(None), "long", "Timestamp", false),
        (tz(None), "string", "ZonedTimestamp", true),
    ] {
        let field = format!(r#"{{"type": "{of}", "connect.name": "io.debezium.time.{name}"}}"#);
        check_inverse(&kind, &field, None, expect);
    }
}
