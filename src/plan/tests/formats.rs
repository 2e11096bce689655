//! Records as JSON, keys as text, and what is told of values that the stream does not carry.

use super::Wire::{Null, Text, Unchanged};
use super::*;
use crate::encode::{Naming, OnUnchanged, OnUnrepresentable, Representation};

const INT4: u32 = 23;
const TEXT: u32 = 25;
const NUMERIC: u32 = 1700;

/// `"my id" integer, note text not null, doc text, price numeric`, with as many key columns.
fn bench(change: impl FnOnce(&mut Settings), key: &[&str]) -> Bench {
    let columns = [("my id", INT4), ("note", TEXT), ("doc", TEXT), ("price", NUMERIC)];
    let columns = columns.map(|(name, kind)| (name, kind, key.contains(&name)));
    let relation = relation("items", ReplicaIdentity::Default, &columns);
    let mut settings = settings();
    change(&mut settings);
    let facts = facts(&["my id", "note", "price"], key);
    Bench::new(compile(&relation, &facts, &settings).unwrap())
}

fn formats(key: Format, value: Format) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.tables.key_format = key;
        settings.tables.value_format = value;
    }
}

fn text(bench: &Bench, range: Option<&Range<usize>>) -> String {
    String::from_utf8(bench.batch.slice(range.unwrap()).to_vec()).unwrap()
}

const ROW: [Wire<'_>; 4] = [Text("7"), Text("a\"b"), Null, Text("1.50")];

#[test]
fn json_is_debeziums() {
    let mut bench = bench(formats(Format::Json, Format::Json), &["my id"]);
    assert!(bench.schemas.is_empty(), "nothing to register");
    bench.encode(&Wired::insert(&ROW)).unwrap();
    bench.encode(&Wired::delete(b'K', &[Text("7"), Null, Null, Null])).unwrap();
    let [create, delete, tombstone] = bench.batch.records() else { panic!("three records") };
    assert_eq!(text(&bench, create.key.as_ref()), r#"{"my id":7}"#);
    let value = text(&bench, create.value.as_ref());
    let start = concat!(
        r#"{"before":null,"after":{"my id":7,"note":"a\"b","doc":null,"#,
        r#""price":{"scale":1,"value":"Dw=="}},"source":{"version":""#
    );
    assert!(value.starts_with(start), "{value}");
    let end = concat!(
        r#""xmin":null,"origin":null,"origin_lsn":null},"transaction":null,"op":"c","#,
        r#""ts_ms":1700000001000,"ts_us":1700000001000001,"ts_ns":1700000001000001000}"#
    );
    assert!(value.ends_with(end), "{value}");
    let parsed: Value = serde_json::from_str(&value).unwrap();
    let source = &parsed["source"];
    assert_eq!(source["connector"], "postgresql");
    assert_eq!(source["snapshot"], "false");
    assert_eq!(source["schema"], "shop");
    assert!(source["sequence"].as_str().unwrap().starts_with('['));
    let parsed: Value = serde_json::from_str(&text(&bench, delete.value.as_ref())).unwrap();
    let before = json!({"my id": 7, "note": null, "doc": null, "price": null});
    assert_eq!((&parsed["before"], &parsed["after"]), (&before, &Value::Null));
    assert!(tombstone.value.is_none());
    assert_eq!(text(&bench, tombstone.key.as_ref()), r#"{"my id":7}"#);
}

/// By columns tables have one schema of keys if these have the same columns and types, in one order.
#[test]
fn schemas_of_keys_are_named_by_the_topic_or_by_the_columns() {
    let key = |names, table: &str, columns: &[_], primary_key: &[&str]| {
        let mut settings = settings();
        settings.tables.key_names = names;
        let relation = relation(table, ReplicaIdentity::Default, columns);
        let draft = compile(&relation, &facts(primary_key, primary_key), &settings).unwrap();
        let [_, key] = draft.schemas.try_into().unwrap();
        assert_eq!(key.subject, format!("srv.shop.{table}-key"));
        key.schema_json
    };
    let [a, b] = ["a", "b"];
    let one = [("id", INT4, true), ("name", TEXT, false)];
    assert_ne!(key(KeyNames::Topic, a, &one, &["id"]), key(KeyNames::Topic, b, &one, &["id"]));
    let by_columns =
        |table, columns: &[_], primary_key| key(KeyNames::Columns, table, columns, primary_key);
    let id = by_columns(a, &one, &["id"]);
    assert!(id.contains(r#""namespace":"walbrook.key.id""#), "{id}");
    assert!(id.contains(r#""connect.name":"walbrook.key.id.Key""#), "{id}");
    assert_eq!(id, by_columns(b, &[("note", TEXT, false), ("id", INT4, true)], &["id"]));
    assert_ne!(id, by_columns(b, &[("id", TEXT, true)], &["id"]));
    let two = [("shop", INT4, true), ("id", INT4, true)];
    let both = by_columns(a, &two, &["shop", "id"]);
    assert!(both.contains(r#""namespace":"walbrook.key.shop.id""#), "{both}");
    assert_ne!(both, by_columns(b, &two, &["id", "shop"]));
}

#[test]
fn json_has_names_as_they_are_and_avro_adjusts_them_and_tells_them() {
    let columns = [("价", INT4, true), ("名", TEXT, false), ("order_id", INT4, false)];
    let table = relation("订单", ReplicaIdentity::Default, &columns);
    let facts = facts(&["价", "order_id"], &["价"]);
    let fields = |formats: [Format; 2], naming| {
        let mut settings = settings();
        [settings.tables.key_format, settings.tables.value_format] = formats;
        settings.tables.name_adjustment = naming;
        let draft = compile(&table, &facts, &settings)?;
        let layouts = draft.layouts.iter().map(|it| serde_json::from_str::<Value>(it).unwrap());
        let [value, key] = layouts.collect::<Vec<_>>().try_into().unwrap();
        let row = value["fields"][0]["type"][1]["fields"].clone();
        let told = |fields: &Value| {
            let told = |field: &Value| match field.get("walbrook.column") {
                Some(column) => format!("{}={column}", field["name"]).replace('"', ""),
                None => field["name"].as_str().unwrap().to_owned(),
            };
            fields.as_array().unwrap().iter().map(told).collect::<Vec<_>>().join(" ")
        };
        let names = [&value["namespace"], &key["namespace"]].map(|it| it.as_str().unwrap());
        Ok::<_, Error>([draft.topics.concat(), names.join(" "), told(&row), told(&key["fields"])])
    };
    let (avro, json) = (Format::Avro, Format::Json);
    let (escaped, unicode) = ("srv.shop._u8ba2_u5355", Naming::AvroUnicode);
    let twice = "srv.shop._u005fu8ba2_u005fu5355";
    let own = "_u4ef7=价 _u540d=名 order_u005fid=order_id";
    for (formats, naming, expect) in [
        (
            [json, json],
            Naming::Avro,
            ["srv.shop.__", "srv.shop.__ srv.shop.__", "价 名 order_id", "价"],
        ),
        ([json, json], unicode, [escaped, &format!("{escaped} {escaped}"), "价 名 order_id", "价"]),
        ([avro, avro], unicode, [escaped, &format!("{twice} {twice}"), own, "_u4ef7=价"]),
        (
            [avro, json],
            Naming::Avro,
            ["srv.shop.__", "srv.shop.__ srv.shop.__", "价 名 order_id", "_"],
        ),
        ([json, avro], unicode, [escaped, &format!("{twice} {escaped}"), own, "价"]),
    ] {
        assert_eq!(fields(formats, naming).unwrap(), expect, "{formats:?} {naming:?}");
    }
    let error = fields([json, avro], Naming::Avro).unwrap_err();
    assert!(matches!(error, Error::SharedField { .. }), "{error}");
}

/// Keys whose schema said nothing of their columns' names keep their bytes.
#[test]
fn a_keys_schema_tells_names_only_where_these_were_always_told() {
    let columns = [("order-id", INT4, true), ("unit-price", INT4, false)];
    let table = relation("items", ReplicaIdentity::Default, &columns);
    let draft = compile(&table, &facts(&["order-id"], &["order-id"]), &settings()).unwrap();
    let [value, key] = &draft.schemas[..] else { panic!("two schemas") };
    let told = r#""walbrook.column":"order-id""#;
    assert!(value.schema_json.contains(told), "{}", value.schema_json);
    assert!(key.schema_json.contains(r#""name":"order_id","type":"int"}"#), "{}", key.schema_json);
}

#[test]
fn schemas_stand_beside_payloads() {
    let mut bench = bench(formats(Format::JsonSchemas, Format::JsonSchemas), &["my id"]);
    bench.encode(&Wired::insert(&ROW)).unwrap();
    let [record] = bench.batch.records() else { panic!("one record") };
    let key: Value = serde_json::from_str(&text(&bench, record.key.as_ref())).unwrap();
    let expect = json!({
        "schema": {"type": "struct", "fields": [
            {"type": "int32", "optional": false, "field": "my id"},
        ], "optional": false, "name": "srv.shop.items.Key"},
        "payload": {"my id": 7},
    });
    assert_eq!(key, expect);
    let value: Value = serde_json::from_str(&text(&bench, record.value.as_ref())).unwrap();
    assert_eq!(value["schema"]["name"], "srv.shop.items.Envelope");
    assert_eq!(value["payload"]["after"]["note"], "a\"b");
    let names = |fields: &Value| -> Vec<String> {
        let fields = fields.as_array().unwrap().iter();
        fields.map(|field| field["field"].as_str().unwrap().to_owned()).collect()
    };
    let members: Vec<_> = value["payload"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names(&value["schema"]["fields"]), members);
    let source: Vec<_> = value["payload"]["source"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(names(&value["schema"]["fields"][2]["fields"]), source);
}

#[test]
fn a_key_of_one_column_may_be_its_text() {
    for (key, expect) in [
        (&["my id"][..], "7"),
        (&["note"], "a\"b"),
        (&["my id", "note"], r#"{"my id":7,"note":"a\"b"}"#),
    ] {
        let mut bench = bench(formats(Format::String, Format::Avro), key);
        assert_eq!(bench.schemas.len(), 1, "only the value's");
        bench.encode(&Wired::insert(&ROW)).unwrap();
        let [record] = bench.batch.records() else { panic!("one record") };
        assert_eq!(text(&bench, record.key.as_ref()), expect);
        assert_eq!(bench.batch.slice(record.value.as_ref().unwrap())[..5], [0; 5]);
    }
}

#[test]
fn a_key_of_several_columns_as_a_string_is_json_as_debezium_has_it() {
    let change = |settings: &mut Settings| {
        formats(Format::String, Format::Avro)(settings);
        settings.values.representation = Representation::Avro;
    };
    let mut bench = bench(change, &["my id", "price"]);
    bench.encode(&Wired::insert(&ROW)).unwrap();
    let [record] = bench.batch.records() else { panic!("one record") };
    let expect = r#"{"my id":7,"price":{"scale":1,"value":"Dw=="}}"#;
    assert_eq!(text(&bench, record.key.as_ref()), expect);
}

/// The row is older than the primary key, so that is none of its.
#[test]
fn a_key_is_never_null() {
    for format in [Format::Avro, Format::Json, Format::String] {
        let mut bench = bench(formats(format, Format::Json), &["my id"]);
        let row = [Null, Text("a"), Null, Text("1.50")];
        let error = bench.encode(&Wired::insert(&row)).unwrap_err();
        let Error::Contradiction { contradiction, .. } = &error else { panic!("{error}") };
        assert_eq!(contradiction, &Contradiction::KeyNull { column: "my id".to_owned() });
    }
}

#[test]
fn whether_there_is_a_key_does_not_depend_on_formats() {
    for (key, expect) in [(&["my id"][..], true), (&[], false)] {
        for key_format in [Format::Avro, Format::Json, Format::String] {
            for value_format in [Format::Avro, Format::Json] {
                let columns = [("my id", INT4, !key.is_empty())];
                let relation = relation("items", ReplicaIdentity::Default, &columns);
                let mut settings = settings();
                formats(key_format, value_format)(&mut settings);
                let draft = compile(&relation, &facts(&["my id"], key), &settings).unwrap();
                assert_eq!(draft.has_key(), expect, "{key_format:?} {value_format:?}");
            }
        }
    }
}

#[test]
fn unchanged_columns_are_listed() {
    let unchanged = |record: &Record, bench: &Bench| -> Vec<String> {
        headers(bench.batch.slice(&record.headers))
            .map(|(name, value)| format!("{name}={}", std::str::from_utf8(value.unwrap()).unwrap()))
            .collect()
    };
    let row = [Text("7"), Unchanged, Unchanged, Text("1.50")];
    for (on_unchanged, expect) in
        [(OnUnchanged::Placeholder, json!("__unavailable")), (OnUnchanged::Null, Value::Null)]
    {
        let change = |settings: &mut Settings| {
            formats(Format::Json, Format::Json)(settings);
            settings.values.on_unchanged = on_unchanged;
        };
        let mut bench = bench(change, &["my id"]);
        bench.encode(&Wired::insert(&ROW)).unwrap();
        bench.encode(&Wired::update(None, &row)).unwrap();
        let [create, update] = bench.batch.records() else { panic!("two records") };
        assert_eq!(unchanged(create, &bench), [""; 0]);
        assert_eq!(unchanged(update, &bench), [r#"walbrook.unchanged=["note","doc"]"#]);
        let value: Value = serde_json::from_str(&text(&bench, update.value.as_ref())).unwrap();
        assert_eq!((&value["after"]["note"], &value["after"]["doc"]), (&expect, &expect));
    }
}

#[test]
fn nulls_that_stand_for_values_make_fields_optional_but_not_those_of_keys() {
    let change = |settings: &mut Settings| {
        settings.values.on_unrepresentable = OnUnrepresentable::Null;
    };
    let mut bench = bench(change, &["my id", "price"]);
    let schema =
        |at: usize| -> Value { serde_json::from_str(&bench.schemas[at].schema_json).unwrap() };
    let value = schema(0);
    let fields = &value["fields"][1]["type"][1]["fields"];
    assert!(fields[0]["type"].is_string() && fields[3]["type"].is_array(), "{fields}");
    assert!(schema(1)["fields"][1]["type"].is_object(), "{}", schema(1));
    let row = [Text("7"), Text("a"), Null, Text("NaN")];
    let error = bench.encode(&Wired::insert(&row)).unwrap_err();
    assert!(matches!(error, Error::Encode { column, .. } if column == "price"));
}
