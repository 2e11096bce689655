//! Topics, keys and warnings of tables.

use super::*;

const INT4: u32 = 23;

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
            let found = refuse_shared_topic(one, [other], &settings);
            assert_eq!(found.is_ok(), is_fine, "{one:?} {other:?} {found:?}");
        }
    }
    let error = refuse_shared_topic(&table("shop", "é"), [&table("shop", "è")], &settings);
    let error = error.unwrap_err().to_string();
    for part in ["\"shop\".\"é\"", "\"shop\".\"è\"", "srv.shop._", "rename"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn two_columns_of_one_field_are_refused() {
    let refuse =
        |names: &[&str]| refuse_shared_fields("shop", "items", names.iter().copied(), &settings());
    assert!(refuse(&["id", "a", "A", "größe", "a_2"]).is_ok());
    let error = refuse(&["id", "a-b", "c", "a b"]).unwrap_err().to_string();
    for part in ["table shop.items", "\"a-b\" and \"a b\"", "the field a_b", "rename"] {
        assert!(error.contains(part), "{part}: {error}");
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
fn a_nullable_column_of_the_index_is_optional_in_key_and_before() {
    // The catalog can be newer: a column that was NOT NULL may not be any more.
    let columns = [("a", INT4, true), ("b", INT4, false)];
    let relation = relation("t", ReplicaIdentity::Index, &columns);
    let mut bench = Bench::new(compile(&relation, &facts(&["b"], &[]), &settings()).unwrap());
    bench.encode(&Wired::insert(&[Wire::Text("5"), Wire::Text("6")])).unwrap();
    bench.encode(&Wired::delete(b'K', &[Wire::Text("5"), Wire::Null])).unwrap();
    let lines: Vec<_> = bench.batch.records().iter().map(|record| bench.line(record)).collect();
    assert_eq!(
        lines,
        [
            r#"0 {"a":5} c null -> {"a":5,"b":6}"#,
            r#"0 {"a":5} d {"a":5,"b":null} -> null"#,
            r#"1 {"a":5} tombstone"#,
        ]
    );
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
