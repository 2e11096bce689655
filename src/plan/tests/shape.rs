//! Topics, keys and warnings of tables.

use super::*;
use crate::encode::Naming;

const INT4: u32 = 23;
const TEXT: u32 = 25;

/// The names of the key's columns for an identity, flagged columns, primary key and identity index,
/// of a table with the columns `a`, `b` and `c`.
fn key(identity: ReplicaIdentity, flagged: &str, primary_key: &[&str], index: &[&str]) -> String {
    let columns: Vec<_> = ["a", "b", "c"].map(|name| (name, INT4, flagged.contains(name))).into();
    let relation = relation("t", identity, &columns);
    let mut facts = facts(&["a", "b", "c"], primary_key);
    facts.identity_index = index.iter().map(|name| (*name).to_owned()).collect();
    let draft = compile(&relation, &facts, &settings()).unwrap();
    let Some(request) = draft.schemas.get(1) else { return "null".to_owned() };
    let schema: Value = serde_json::from_str(&request.schema_json).unwrap();
    let fields = schema["fields"].as_array().unwrap();
    fields.iter().map(|field| field["name"].as_str().unwrap()).collect()
}

#[test]
fn the_key_is_what_deletes_carry() {
    use ReplicaIdentity::{Default, Full, Index, Nothing};
    let cases: &[(_, &str, &[&str], &[&str], &str)] = &[
        (Default, "ab", &["b", "a"], &[], "ba"),
        (Default, "", &[], &[], "null"),
        // The catalog is newer than the stream: the stream is right.
        (Default, "ab", &["c"], &[], "ab"),
        (Default, "ab", &[], &[], "ab"),
        // A part of the primary key is not published: no key.
        (Default, "a", &["a", "x"], &[], "null"),
        (Full, "abc", &["c", "a"], &[], "ca"),
        (Full, "abc", &[], &["b"], "b"),
        (Full, "abc", &[], &[], "null"),
        (Nothing, "", &["a"], &[], "a"),
        (Nothing, "", &[], &[], "null"),
        // Deletes carry the index's columns only.
        (Index, "bc", &["a"], &["c", "b"], "cb"),
        (Index, "ab", &["a"], &["a", "b"], "a"),
        (Index, "b", &[], &["c"], "b"),
    ];
    for (identity, flagged, primary_key, index, expect) in cases {
        let found = key(*identity, flagged, primary_key, index);
        assert_eq!(found, *expect, "{identity:?} {flagged} {primary_key:?} {index:?}");
    }
}

#[test]
fn two_tables_do_not_share_a_topic() {
    let table = |namespace: &str, name: &str| Relation {
        namespace: namespace.to_owned(),
        ..relation(name, ReplicaIdentity::Nothing, &[])
    };
    let outbox = Outbox { table: "out box".to_owned(), ..outbox::outbox() };
    let settings = Settings { outboxes: vec![outbox], ..settings() };
    let claim = |relation: &Relation, settings: &Settings| {
        compile(relation, &facts(&[], &[]), settings).ok().and_then(|draft| draft.claim)
    };
    let refuse = |one: &Relation, other: &Relation, settings: &Settings| {
        let [Some(one), Some(other)] = [one, other].map(|it| claim(it, settings)) else {
            return Ok(());
        };
        one.refuse([&other])
    };
    let cases = [
        (table("shop", "a b"), table("shop", "a_b"), false),
        (table("a", "b.c"), table("a.b", "c"), false),
        (table("shop", "a"), table("shop", "b"), true),
        // A partition's root that is announced once more, or a table that was made anew.
        (table("shop", "a b"), table("shop", "a b"), true),
        // An outbox has no topic of a table's.
        (table("shop", "out box"), table("shop", "out?box"), true),
    ];
    for (one, other, is_fine) in cases {
        for (one, other) in [(&one, &other), (&other, &one)] {
            let found = refuse(one, other, &settings);
            assert_eq!(found.is_ok(), is_fine, "{one:?} {other:?} {found:?}");
        }
    }
    let error = refuse(&table("shop", "é"), &table("shop", "è"), &settings);
    let error = error.unwrap_err().to_string();
    for part in ["\"shop\".\"é\"", "\"shop\".\"è\"", "srv.shop._", "rename", UNICODE] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let mut settings = settings;
    settings.tables.name_adjustment = Naming::AvroUnicode;
    refuse(&table("shop", "é"), &table("shop", "è"), &settings).unwrap();
}

/// A table that is left out has no topic, schema or record, and no error of a table's; outboxes stay.
#[test]
fn what_the_configuration_leaves_out_is_nothing() {
    let mut settings = Settings { outboxes: vec![outbox::outbox()], ..settings() };
    let name = &settings.outboxes[0].table;
    let patterns = ["*.left_*", &format!("shop.{name}")].map(|it| TablePattern::parse(it).unwrap());
    settings.tables.selection.exclude = patterns.into();
    let columns = [("a-b", INT4, false), ("a b", INT4, false)];
    let relation = relation("left_1", ReplicaIdentity::Nothing, &columns);
    let facts = facts(&[], &[]);
    let draft = compile(&relation, &facts, &settings).unwrap();
    assert!(draft.is_excluded() && draft.topics.is_empty() && draft.schemas.is_empty());
    assert!(subjects(&relation, &facts, &settings).is_empty());
    assert!(refuse_shared_fields("shop", "left_1", ["a-b", "a b"], &settings).is_ok());
    let mut bench = Bench::new(draft);
    let row = [Wire::Text("1"), Wire::Text("2")];
    let step = bench.encode(&Wired::insert(&row)).unwrap();
    assert_eq!(step, Step::Skipped(Skip::Excluded));
    assert_eq!(bench.encode(&Wired::truncate()).unwrap(), Step::Skipped(Skip::Excluded));
    // It is an outbox, or a part of one.
    let above = vec![("shop".to_owned(), name.clone())];
    let part = TableFacts { ancestors: Some(above), ..facts.clone() };
    let outbox = Relation { name: name.clone(), ..relation.clone() };
    for (relation, facts) in [(&outbox, &facts), (&relation, &part)] {
        let error = compile(relation, facts, &settings).unwrap_err();
        assert!(matches!(error, Error::OutboxColumns { .. }), "{error}");
    }
}

/// The way out.
const UNICODE: &str = "tables.name_adjustment = \"avro_unicode\"";

#[test]
fn two_columns_of_one_field_are_refused() {
    let refuse =
        |names: &[&str]| refuse_shared_fields("shop", "items", names.iter().copied(), &settings());
    assert!(refuse(&["id", "a", "A", "größe", "a_2"]).is_ok());
    let error = refuse(&["id", "a-b", "c", "a b"]).unwrap_err().to_string();
    for part in ["table shop.items", "\"a-b\" and \"a b\"", "the field a_b", "rename", UNICODE] {
        assert!(error.contains(part), "{part}: {error}");
    }
    for change in [
        |tables: &mut Tables| tables.name_adjustment = Naming::AvroUnicode,
        |tables: &mut Tables| tables.value_format = Format::Json,
    ] {
        let mut settings = settings();
        change(&mut settings.tables);
        assert!(refuse_shared_fields("shop", "items", ["a-b", "a b"], &settings).is_ok());
    }
    // Columns of an outbox are no fields of a record of ours.
    let outbox = Outbox { table: "out box".to_owned(), ..outbox::outbox() };
    let settings = Settings { outboxes: vec![outbox], ..settings() };
    assert!(refuse_shared_fields("shop", "out box", ["a-b", "a b"], &settings).is_ok());
}

#[test]
fn a_topic_has_only_characters_that_kafka_allows() {
    let topics = |name: &str| {
        let relation = relation(name, ReplicaIdentity::Nothing, &[("a", INT4, false)]);
        compile(&relation, &facts(&[], &[]), &settings()).map(|draft| draft.topics)
    };
    for (name, expect) in [
        ("orders", "srv.shop.orders"),
        ("Order Items", "srv.shop.Order_Items"),
        ("größe", "srv.shop.gr__e"),
        ("a.b-c_d", "srv.shop.a.b-c_d"),
    ] {
        assert_eq!(topics(name).unwrap(), [expect]);
    }
    assert_eq!(topics(&"x".repeat(240)).unwrap()[0].len(), 249);
    let error = topics(&"x".repeat(241)).unwrap_err();
    assert!(matches!(error, Error::TopicLength { length: 250, .. }), "{error}");
}

#[test]
fn columns_of_unknown_types_are_reported() {
    let columns = [("a", INT4, false), ("b", 99_999, false)];
    let relation = relation("t", ReplicaIdentity::Nothing, &columns);
    let draft = compile(&relation, &facts(&[], &[]), &settings()).unwrap();
    assert_eq!(draft.unknown, [("b".to_owned(), "type with OID 99999".to_owned())]);
}

#[test]
fn a_column_of_the_identity_is_never_null_whatever_the_catalog_says_by_now() {
    // The table is gone, or the column was NOT NULL when the row was written.
    for identity in [ReplicaIdentity::Default, ReplicaIdentity::Index] {
        let relation = relation("t", identity, &[("a", INT4, true), ("b", INT4, false)]);
        let draft = compile(&relation, &TableFacts::default(), &settings()).unwrap();
        let field = |at: usize, path: &str| -> Value {
            let schema: Value = serde_json::from_str(&draft.schemas[at].schema_json).unwrap();
            schema.pointer(path).unwrap().clone()
        };
        assert_eq!(field(1, "/fields/0"), json!({"name": "a", "type": "int"}));
        assert_eq!(field(0, "/fields/0/type/1/fields/0"), json!({"name": "a", "type": "int"}));
        assert_eq!(field(0, "/fields/0/type/1/fields/1/type"), json!(["null", "int"]));
    }
}

#[test]
fn a_keys_schema_depends_on_its_columns_types_alone() {
    let enumeration = |labels: &[&str]| TypeFacts {
        oid: 90_001,
        name: "mood".to_owned(),
        namespace: "shop".to_owned(),
        shape: TypeShape::Enum { labels: labels.iter().map(|it| (*it).to_owned()).collect() },
    };
    let array = || TypeFacts {
        oid: 90_002,
        name: "_mood".to_owned(),
        namespace: "shop".to_owned(),
        shape: TypeShape::Array { element: 90_001 },
    };
    let columns = [("a", 90_001, true), ("b", 90_002, true), ("c", INT4, true)];
    let relation = relation("t", ReplicaIdentity::Default, &columns);
    let schemas = |not_null: &[&str], default: &str, labels: &[&str]| {
        let mut facts = facts(not_null, &["a", "b", "c"]);
        facts.defaults.insert("c".to_owned(), default.to_owned());
        facts.types.insert(enumeration(labels));
        facts.types.insert(array());
        let draft = compile(&relation, &facts, &settings()).unwrap();
        draft.schemas.into_iter().map(|request| request.schema_json).collect::<Vec<_>>()
    };
    let one = schemas(&["a", "b", "c"], "1", &["x", "y"]);
    let other = schemas(&[], "2", &["x", "y", "z"]);
    assert_ne!(one[0], other[0]);
    assert_eq!(one[1], other[1]);
    let key: Value = serde_json::from_str(&one[1]).unwrap();
    let fields = json!([
        {"name": "a", "type": "string"},
        {"name": "b", "type": {"type": "array", "items": ["null", "string"]}},
        {"name": "c", "type": "int"},
    ]);
    assert_eq!(key["fields"], fields);
}

/// Of a table that is gone nobody knows a key: where keys may have a schema is the formats' matter.
#[test]
fn the_subjects_of_a_table_are_those_of_its_formats() {
    let relation = relation("t", ReplicaIdentity::Full, &[("a", INT4, true)]);
    let [value, key] = ["srv.shop.t-value", "srv.shop.t-key"];
    for (key_format, value_format, expect) in [
        (Format::Avro, Format::Avro, &[value, key][..]),
        (Format::Avro, Format::Json, &[key]),
        (Format::String, Format::Avro, &[value]),
        (Format::String, Format::Json, &[]),
    ] {
        let mut settings = settings();
        (settings.tables.key_format, settings.tables.value_format) = (key_format, value_format);
        let gone = TableFacts { is_gone: true, ..TableFacts::default() };
        assert_eq!(subjects(&relation, &gone, &settings), expect);
    }
}

#[test]
fn a_key_that_cannot_be_told_ends_a_table_and_no_outbox() {
    let mut facts = facts(&[], &[]);
    facts.unknown_key = Some("k".to_owned());
    let table = relation("t", ReplicaIdentity::Full, &[("a", INT4, true)]);
    let error = compile(&table, &facts, &settings()).unwrap_err().to_string();
    assert!(error.starts_with("table shop.t: ") && error.contains("\"k\""), "{error}");
    let columns = [("id", TEXT, true), ("aggregatetype", TEXT, true), ("aggregateid", TEXT, true)];
    let columns = [&columns[..], &[("type", TEXT, true), ("payload", TEXT, true)]].concat();
    let relation = relation("outbox", ReplicaIdentity::Full, &columns);
    let settings = Settings { outboxes: vec![outbox::outbox()], ..settings() };
    compile(&relation, &facts, &settings).unwrap();
}

#[test]
fn a_geometry_is_nullable_whatever_its_column_is() {
    let columns = [("a", 90_001, true), ("b", 90_002, true), ("c", 90_003, false)];
    let relation = relation("t", ReplicaIdentity::Default, &columns);
    let mut facts = facts(&["a", "b", "c"], &["a", "b"]);
    for (oid, name) in [(90_001, "geometry"), (90_002, "geography"), (90_003, "geometry")] {
        let (name, namespace) = (name.to_owned(), "public".to_owned());
        let shape = TypeShape::Base { extension: "postgis".to_owned() };
        facts.types.insert(TypeFacts { oid, name, namespace, shape });
    }
    let draft = compile(&relation, &facts, &settings()).unwrap();
    let is_nullable = |field: &Value| field["type"][0] == "null";
    let nullable = |at: usize, path: &str| -> Vec<bool> {
        let schema: Value = serde_json::from_str(&draft.schemas[at].schema_json).unwrap();
        schema.pointer(path).unwrap().as_array().unwrap().iter().map(is_nullable).collect()
    };
    assert_eq!(nullable(1, "/fields"), [true, false]);
    assert_eq!(nullable(0, "/fields/1/type/1/fields"), [true, false, true]);
}
