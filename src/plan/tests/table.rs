//! Rows of tables: every identity, operation, kind of `before`, key change and TOAST.

use super::Wire::{Binary, Null, Text, Unchanged};
use super::*;
use crate::encode::Notation;
use crate::encode::avro::Avro;

const INT4: u32 = 23;
const INT8: u32 = 20;
const TEXT: u32 = 25;

/// What the cases differ in.
#[derive(Clone, Copy)]
struct Given {
    identity: ReplicaIdentity,
    before: Before,
    tombstones: bool,
}

const DEFAULT: Given =
    Given { identity: ReplicaIdentity::Default, before: Before::Separate, tombstones: true };
const FULL: Given = Given { identity: ReplicaIdentity::Full, ..DEFAULT };
const NOTHING: Given = Given { identity: ReplicaIdentity::Nothing, ..DEFAULT };
const DEBEZIUM: Given = Given { before: Before::Debezium, ..DEFAULT };
const NO_TOMBSTONES: Given = Given { tombstones: false, ..DEFAULT };

/// `id integer primary key, note text not null, doc text`.
fn bench(given: Given) -> Bench {
    let is_identity = |is_key: bool| match given.identity {
        ReplicaIdentity::Full => true,
        ReplicaIdentity::Nothing => false,
        _ => is_key,
    };
    let columns = [
        ("id", INT4, is_identity(true)),
        ("note", TEXT, is_identity(false)),
        ("doc", TEXT, is_identity(false)),
    ];
    let relation = relation("items", given.identity, &columns);
    let mut settings = settings();
    settings.tables.before = given.before;
    settings.tables.tombstones = given.tombstones;
    Bench::new(compile(&relation, &facts(&["id", "note"], &["id"]), &settings).unwrap())
}

#[track_caller]
fn check(given: Given, wired: &Wired, expect: &[&str]) {
    let mut bench = bench(given);
    assert_eq!(bench.encode(wired).unwrap(), Step::Done);
    let lines: Vec<_> = bench.batch.records().iter().map(|record| bench.line(record)).collect();
    assert_eq!(lines, expect);
}

const ONE: Wire<'_> = Text("1");
const TWO: Wire<'_> = Text("2");

#[test]
fn an_insert_is_a_create() {
    let line = r#"0 {"id":1} c null -> {"id":1,"note":"a","doc":null}"#;
    for given in [DEFAULT, FULL, NOTHING, DEBEZIUM, NO_TOMBSTONES] {
        check(given, &Wired::insert(&[ONE, Text("a"), Null]), &[line]);
        check(given, &Wired::insert(&[Binary(&[0, 0, 0, 1]), Binary(b"a"), Null]), &[line]);
    }
    // A row filter turns updates into inserts.
    let line = r#"0 {"id":1} c null -> {"id":1,"note":"__unavailable","doc":"__unavailable"}"#;
    check(DEFAULT, &Wired::insert(&[ONE, Unchanged, Unchanged]), &[line]);
}

#[test]
fn an_update_tells_what_the_stream_tells_of_the_old_row() {
    let new = [ONE, Text("b"), Text("d")];
    let after = r#"{"id":1,"note":"b","doc":"d"}"#;
    let plain = format!(r#"0 {{"id":1}} u null -> {after}"#);
    check(DEFAULT, &Wired::update(None, &new), &[&plain]);
    check(DEBEZIUM, &Wired::update(None, &new), &[&plain]);
    check(FULL, &Wired::update(None, &new), &[&plain]);

    // The identity also comes without a change, when it is stored outside the row.
    let key = Wired::update(Some((b'K', &[ONE, Null, Null])), &new);
    let unknown = format!(r#"0 {{"id":1}} u {{"id":1,"note":null,"doc":null}} -> {after}"#);
    check(DEFAULT, &key, &[&unknown]);
    let invented = format!(r#"0 {{"id":1}} u {{"id":1,"note":"","doc":null}} -> {after}"#);
    check(DEBEZIUM, &key, &[&invented]);

    let full = Wired::update(Some((b'O', &[ONE, Text("a"), Null])), &new);
    check(
        FULL,
        &full,
        &[&format!(r#"0 {{"id":1}} u {{"id":1,"note":"a","doc":null}} -> {after}"#)],
    );
}

#[test]
fn an_unchanged_value_is_a_placeholder_or_the_old_rows() {
    let new = [ONE, Unchanged, Unchanged];
    let unavailable = r#"{"id":1,"note":"__unavailable","doc":"__unavailable"}"#;
    check(
        DEFAULT,
        &Wired::update(None, &new),
        &[&format!(r#"0 {{"id":1}} u null -> {unavailable}"#)],
    );
    check(
        DEFAULT,
        &Wired::update(Some((b'K', &[ONE, Null, Null])), &new),
        &[&format!(r#"0 {{"id":1}} u {{"id":1,"note":null,"doc":null}} -> {unavailable}"#)],
    );
    check(
        FULL,
        &Wired::update(Some((b'O', &[ONE, Text("a"), Text("d")])), &new),
        &[r#"0 {"id":1} u {"id":1,"note":"a","doc":"d"} -> {"id":1,"note":"a","doc":"d"}"#],
    );
    check(
        FULL,
        &Wired::update(Some((b'O', &[ONE, Text("a"), Null])), &[ONE, Unchanged, Text("e")]),
        &[r#"0 {"id":1} u {"id":1,"note":"a","doc":null} -> {"id":1,"note":"a","doc":"e"}"#],
    );
}

#[test]
fn a_key_change_is_delete_tombstone_create() {
    let new = [TWO, Unchanged, Text("d")];
    let key = Wired::update(Some((b'K', &[ONE, Null, Null])), &new);
    let create = r#"{"id":2} c null -> {"id":2,"note":"__unavailable","doc":"d"}"#;
    check(
        DEFAULT,
        &key,
        &[
            r#"0 {"id":1} d {"id":1,"note":null,"doc":null} -> null"#,
            r#"1 {"id":1} tombstone"#,
            &format!("2 {create}"),
        ],
    );
    check(
        NO_TOMBSTONES,
        &key,
        &[r#"0 {"id":1} d {"id":1,"note":null,"doc":null} -> null"#, &format!("1 {create}")],
    );
    check(
        DEBEZIUM,
        &key,
        &[
            r#"0 {"id":1} d {"id":1,"note":"","doc":null} -> null"#,
            r#"1 {"id":1} tombstone"#,
            &format!("2 {create}"),
        ],
    );
    check(
        FULL,
        &Wired::update(Some((b'O', &[ONE, Text("a"), Null])), &new),
        &[
            r#"0 {"id":1} d {"id":1,"note":"a","doc":null} -> null"#,
            r#"1 {"id":1} tombstone"#,
            r#"2 {"id":2} c null -> {"id":2,"note":"a","doc":"d"}"#,
        ],
    );
}

#[test]
fn a_delete_is_followed_by_its_tombstone() {
    let key = Wired::delete(b'K', &[ONE, Null, Null]);
    let unknown = r#"0 {"id":1} d {"id":1,"note":null,"doc":null} -> null"#;
    check(DEFAULT, &key, &[unknown, r#"1 {"id":1} tombstone"#]);
    check(NO_TOMBSTONES, &key, &[unknown]);
    check(
        DEBEZIUM,
        &key,
        &[r#"0 {"id":1} d {"id":1,"note":"","doc":null} -> null"#, r#"1 {"id":1} tombstone"#],
    );
    check(
        FULL,
        &Wired::delete(b'O', &[ONE, Text("a"), Null]),
        &[r#"0 {"id":1} d {"id":1,"note":"a","doc":null} -> null"#, r#"1 {"id":1} tombstone"#],
    );
}

#[test]
fn a_truncate_has_no_key() {
    check(DEFAULT, &Wired::truncate(), &["0 null t null -> null"]);
    let mut settings = settings();
    settings.tables.truncate = OnTruncate::LeftOut;
    let relation = relation("items", ReplicaIdentity::Default, &[("id", INT4, true)]);
    let mut bench = Bench::new(compile(&relation, &facts(&[], &["id"]), &settings).unwrap());
    assert_eq!(bench.encode(&Wired::truncate()).unwrap(), Step::Skipped(Skip::Truncate));
    // A compacted topic takes none, so it is written only where that is what is wanted.
    for (wanted, expect) in
        [(OnTruncate::Written, Step::Skipped(Skip::Compacted)), (OnTruncate::Required, Step::Done)]
    {
        settings.tables.truncate = wanted;
        let mut bench = Bench::new(compile(&relation, &facts(&[], &["id"]), &settings).unwrap());
        bench.is_compacted = true;
        assert_eq!(bench.encode(&Wired::truncate()).unwrap(), expect);
    }
}

#[test]
fn a_table_without_a_key_has_null_keys_and_no_tombstones() {
    let columns = [("id", INT4, true), ("note", TEXT, true)];
    let relation = relation("log", ReplicaIdentity::Full, &columns);
    let draft = compile(&relation, &facts(&["id", "note"], &[]), &settings()).unwrap();
    assert_eq!(draft.schemas.len(), 1);
    let mut bench = Bench::new(draft);
    bench.encode(&Wired::insert(&[ONE, Text("a")])).unwrap();
    bench.encode(&Wired::update(Some((b'O', &[ONE, Text("a")])), &[TWO, Text("a")])).unwrap();
    bench.encode(&Wired::delete(b'O', &[TWO, Text("a")])).unwrap();
    let lines: Vec<_> = bench.batch.records().iter().map(|record| bench.line(record)).collect();
    assert_eq!(
        lines,
        [
            r#"0 null c null -> {"id":1,"note":"a"}"#,
            r#"0 null u {"id":1,"note":"a"} -> {"id":2,"note":"a"}"#,
            r#"0 null d {"id":2,"note":"a"} -> null"#,
        ]
    );
}

#[test]
fn the_envelope_says_where_and_when() {
    let mut bench = bench(DEFAULT);
    bench.encode(&Wired::insert(&[ONE, Text("a"), Null])).unwrap();
    let record = &bench.batch.records()[0];
    assert_eq!(bench.topics.name(record.topic), Some("srv.shop.items"));
    assert_eq!(record.timestamp_ms, 1_700_000_000_123);
    assert_eq!(record.position, Position { commit_lsn: Lsn(0x100), ordinal: 1 });
    assert_eq!(record.xid, Xid(7));
    assert!(record.headers.is_empty());
    let value = bench.decode(bench.slice(record.value.as_ref()).unwrap());
    assert_eq!(
        value,
        json!({
            "before": null,
            "after": {"id": 1, "note": "a", "doc": null},
            "source": {
                "version": env!("CARGO_PKG_VERSION"), "connector": "postgresql", "name": "srv",
                "ts_ms": 1_700_000_000_123_i64, "snapshot": "false", "db": "shopdb",
                "sequence": "[\"144\",\"149\"]",
                "ts_us": 1_700_000_000_123_456_i64, "ts_ns": 1_700_000_000_123_456_000_i64,
                "schema": "shop", "table": "items", "txId": 7, "lsn": 149,
                "xmin": null, "origin": null, "origin_lsn": null,
            },
            "transaction": null,
            "op": "c",
            "ts_ms": 1_700_000_001_000_i64,
            "ts_us": 1_700_000_001_000_001_i64,
            "ts_ns": 1_700_000_001_000_001_000_i64,
        })
    );
    let subjects: Vec<_> = bench.schemas.iter().map(|request| &request.subject).collect();
    assert_eq!(subjects, ["srv.shop.items-value", "srv.shop.items-key"]);
}

#[test]
fn the_sequence_has_null_for_an_unknown_commit() {
    let sequence = |previous, lsn| {
        let place = source::Place { prefix: "p", database: "d", namespace: "n", table: "t" };
        let mut source = source::Source::new(place, Notation::Avro);
        let xact = Xact {
            xid: Xid(1),
            commit_lsn: Lsn(9),
            commit_time_us: -1,
            previous_commit_lsn: Lsn(previous),
        };
        let mut bytes = vec![0, 0];
        source.prepare::<Avro>(false, &xact, 0);
        source.write::<Avro>(source::Operation::Truncate, Lsn(lsn), &mut bytes);
        let schema = schema_of_envelope();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        let value: Value = reader.read_value(&mut bytes.as_slice()).unwrap().try_into().unwrap();
        assert_eq!(value["source"]["ts_ms"], -1);
        value["source"]["sequence"].as_str().unwrap().to_owned()
    };
    assert_eq!(sequence(0, 0), r#"[null,"0"]"#);
    assert_eq!(sequence(10, 0), r#"["10","0"]"#);
    let max = "18446744073709551615";
    assert_eq!(sequence(u64::MAX, u64::MAX), format!(r#"["{max}","{max}"]"#));
}

fn schema_of_envelope() -> Schema {
    Schema::parse(&crate::encode::schema::envelope("p.n.t", &[], None, &Values::default())).unwrap()
}

#[test]
fn a_contradiction_names_the_column_and_leaves_the_batch() {
    let null = |column: &str| Contradiction::Null { column: column.to_owned() };
    let count = |found| Contradiction::ColumnCount { want: 3, found };
    let good = [ONE, Text("a"), Null];
    let cases = [
        (
            Wired::insert(&[Null, Text("a"), Null]),
            Contradiction::KeyNull { column: "id".to_owned() },
        ),
        (Wired::insert(&[ONE, Null, Null]), null("note")),
        (Wired::insert(&[ONE, Text("a")]), count(2)),
        (Wired::update(None, &[ONE, Null, Null]), null("note")),
        (Wired::update(Some((b'K', &[ONE])), &good), count(1)),
        // The second record of three fails.
        (Wired::update(Some((b'K', &[TWO, Null, Null])), &[ONE, Null, Null]), null("note")),
        (Wired::delete(b'K', &[]), count(0)),
    ];
    for (wired, expect) in cases {
        let mut bench = bench(DEFAULT);
        bench.encode(&Wired::insert(&good)).unwrap();
        let error = bench.encode(&wired).unwrap_err();
        let Error::Contradiction { table, contradiction, position } = &error else {
            panic!("{error}")
        };
        assert_eq!((table.as_str(), contradiction), ("shop.items", &expect));
        assert_eq!(position.ordinal, 2);
        assert_eq!(bench.encode(&Wired::insert(&good)).unwrap(), Step::Done);
    }
}

#[test]
fn other_errors_name_table_column_and_position_and_no_value() {
    let cases = [
        (
            Wired::insert(&[Text("canary"), Text("a"), Null]),
            "table shop.items, column id: value at 0/100#1 cannot be encoded: malformed integer (text)",
        ),
        (
            Wired::update(None, &[Unchanged, Text("a"), Null]),
            "table shop.items, column id: the key's value is not in the stream at 0/100#1",
        ),
        (
            Wired::delete(b'K', &[Null, Text("a"), Null]),
            "table shop.items, column id: the key's value is not in the stream at 0/100#1",
        ),
        (
            Wired::update(Some((b'K', &[Null, Null, Null])), &[ONE, Text("a"), Null]),
            "table shop.items, column id: the key's value is not in the stream at 0/100#1",
        ),
        (
            Wired::delete(b'O', &[ONE, Text("a"), Null]),
            "table shop.items: the change at 0/100#1 does not belong to this plan",
        ),
        (
            Wired::message("{}"),
            "table shop.items: the change at 0/100#1 does not belong to this plan",
        ),
    ];
    for (wired, expect) in cases {
        let error = bench(DEFAULT).encode(&wired).unwrap_err();
        assert_eq!(error.to_string(), expect);
        assert!(!format!("{error:?}").contains("canary"));
    }
}

/// A partitioned table `a integer not null, b integer not null, c integer`: by its own identity and
/// primary key, and those of its partitions (none is FULL).
fn parted(
    identity: ReplicaIdentity,
    flagged: &str,
    primary_key: &[&str],
    leaves: &[Option<&[&str]>],
    before: Before,
) -> Bench {
    let columns: Vec<_> = ["a", "b", "c"].map(|name| (name, INT4, flagged.contains(name))).into();
    let relation = relation("parted", identity, &columns);
    let mut facts = facts(&["a", "b"], primary_key);
    let leaf = |columns: &Option<&[&str]>| Leaf {
        table: ("shop".to_owned(), "leaf".to_owned()),
        identity: columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
    };
    facts.leaves = leaves.iter().map(leaf).collect();
    let mut settings = settings();
    settings.tables.before = before;
    Bench::new(compile(&relation, &facts, &settings).unwrap())
}

#[test]
fn an_old_row_has_what_its_partition_logs_and_no_null_that_was_not_sent() {
    use ReplicaIdentity::{Default, Full};
    let [one, two] = [ONE, TWO];
    let check = |mut bench: Bench, wired: Wired, expect: &[&str]| {
        bench.encode(&wired).unwrap();
        let lines: Vec<_> = bench.batch.records().iter().map(|record| bench.line(record)).collect();
        assert_eq!(lines, expect);
    };
    let both = [Before::Separate, Before::Debezium];
    for (before, b) in both.into_iter().zip(["null", "0"]) {
        // The table is FULL and a partition is not: the letter promises what the row does not have.
        let bench = || parted(Full, "abc", &["a"], &[None, Some(&["a"])], before);
        let delete = format!(r#"0 {{"a":1}} d {{"a":1,"b":{b},"c":null}} -> null"#);
        let tombstone = r#"1 {"a":1} tombstone"#;
        check(bench(), Wired::delete(b'O', &[one, Null, Null]), &[&delete, tombstone]);
        // What is sent is told.
        let delete = r#"0 {"a":1} d {"a":1,"b":2,"c":1} -> null"#;
        check(bench(), Wired::delete(b'O', &[one, two, one]), &[delete, tombstone]);
        let update = Wired::update(Some((b'O', &[one, two, one])), &[one, Unchanged, two]);
        let line = r#"0 {"a":1} u {"a":1,"b":2,"c":1} -> {"a":1,"b":2,"c":2}"#;
        check(bench(), update, &[line]);
        // The other way round: the letter promises less.
        let bench = parted(Default, "a", &["a"], &[None], before);
        check(bench, Wired::delete(b'K', &[one, two, one]), &[delete, tombstone]);
        // Without a key of its own a table has that of its partitions, in its order.
        let bench = parted(Default, "", &[], &[Some(&["b", "a"])], before);
        let delete = r#"0 {"b":2,"a":1} d {"a":1,"b":2,"c":null} -> null"#;
        let tombstone = r#"1 {"b":2,"a":1} tombstone"#;
        check(bench, Wired::delete(b'K', &[one, two, Null]), &[delete, tombstone]);
        // Or none, if they differ: the old row is told as far as it is known.
        let bench = parted(Default, "", &[], &[Some(&["a"]), Some(&["b"])], before);
        let delete = format!(r#"0 null d {{"a":1,"b":{b},"c":null}} -> null"#);
        check(bench, Wired::delete(b'K', &[one, Null, Null]), &[&delete]);
    }
    let b_before = |bench: &Bench| {
        let schema: Value = serde_json::from_str(&bench.schemas[0].schema_json).unwrap();
        schema.pointer("/fields/0/type/1/fields/1/type").unwrap().clone()
    };
    let whole = parted(Full, "abc", &["a"], &[None], Before::Separate);
    assert_eq!(b_before(&whole), json!("int"));
    let partial = parted(Full, "abc", &["a"], &[Some(&["a"])], Before::Separate);
    assert_eq!(b_before(&partial), json!(["null", "int"]));
}

#[test]
fn an_old_row_without_its_key_is_an_error_that_names_the_partition() {
    use ReplicaIdentity::{Default, Full};
    let cases = [
        (parted(Default, "a", &["a"], &[Some(&["b"])], Before::Separate), b'K'),
        (parted(Default, "ab", &["a", "b"], &[None, Some(&["b"])], Before::Separate), b'K'),
        (parted(Full, "abc", &["a"], &[Some(&["a"]), Some(&["b"])], Before::Separate), b'O'),
    ];
    for (mut bench, kind) in cases {
        let old = [Null, TWO, Null];
        let update = Wired::update(Some((kind, &old)), &[ONE, ONE, Null]);
        for wired in [Wired::delete(kind, &old), update] {
            let error = bench.encode(&wired).unwrap_err();
            let Error::KeyNotSent { column, leaf, .. } = &error else { panic!("{error}") };
            assert_eq!((&**column, leaf.as_ref().map(|leaf| &*leaf.1)), ("a", Some("leaf")));
        }
    }
}

#[test]
fn an_old_row_of_which_nothing_is_sent_is_an_error() {
    // Its identity is a generated column, which the stream does not have.
    let mut bench = parted(ReplicaIdentity::Index, "", &[], &[], Before::Separate);
    let nothing = [Null, Null, Null];
    bench.encode(&Wired::insert(&[ONE, TWO, Null])).unwrap();
    for wired in
        [Wired::delete(b'K', &nothing), Wired::update(Some((b'K', &nothing)), &[ONE, TWO, Null])]
    {
        let error = bench.encode(&wired).unwrap_err();
        assert!(matches!(error, Error::IdentityNotSent { .. }), "{error}");
    }
    // A whole row may be all NULL.
    let columns = [("id", INT4, true)];
    let relation = relation("log", ReplicaIdentity::Full, &columns);
    let mut bench = Bench::new(compile(&relation, &facts(&[], &[]), &settings()).unwrap());
    assert_eq!(bench.encode(&Wired::delete(b'O', &[Null])).unwrap(), Step::Done);
}

/// With a key in plain text, a row whose key is the slot's name would be a checkpoint.
#[test]
fn the_topic_of_a_table_is_never_the_checkpoints() {
    let relation = relation("items", ReplicaIdentity::Default, &[("id", INT4, true)]);
    let facts = facts(&["id"], &["id"]);
    let mut settings = settings();
    let topic = compile(&relation, &facts, &settings).unwrap().topics.remove(0);
    let told = Settings { schema_changes_topic: Some(topic.clone()), ..settings.clone() };
    settings.checkpoint_topic.clone_from(&topic);
    for settings in [settings, told] {
        let error = compile(&relation, &facts, &settings).unwrap_err().to_string();
        assert!(error.contains(&topic) && error.contains("kafka.checkpoint_topic"), "{error}");
    }
}

#[test]
fn columns_are_told_with_their_types_and_only_of_tables() {
    let columns = [("a", INT4, false), ("id", INT4, true)];
    let relation = relation("items", ReplicaIdentity::Default, &columns);
    let told = |facts: &TableFacts, settings: &Settings| {
        let columns = compile(&relation, facts, settings).unwrap().told;
        let column = |it: Column| (it.name, it.type_name, it.key, it.nullable);
        columns.into_iter().map(column).collect::<Vec<_>>()
    };
    let unasked = facts(&["id"], &["id"]);
    assert_eq!(told(&unasked, &settings()), []);
    let type_names = ["integer", "smallint"].map(str::to_owned).to_vec();
    let facts = TableFacts { type_names, ..unasked };
    let column = |name: &str, declared: &str, is_key, is_nullable| {
        (name.to_owned(), declared.to_owned(), is_key, is_nullable)
    };
    let want = [column("a", "integer", false, true), column("id", "smallint", true, false)];
    assert_eq!(told(&facts, &settings()), want);
    let mut settings = settings();
    settings.tables.selection.exclude = vec![TablePattern::parse("shop.items").unwrap()];
    assert_eq!(told(&facts, &settings), []);
}

#[test]
fn rows_of_another_chunk_or_transaction_say_where_and_when_that_was() {
    let place = source::Place { prefix: "p", database: "d", namespace: "n", table: "t" };
    let written = |source: &mut source::Source, of| {
        let (is_read, xid, previous, lsn, taken_us, now_us) = of;
        let xact = Xact {
            xid: Xid(xid),
            commit_lsn: Lsn(lsn),
            commit_time_us: taken_us,
            previous_commit_lsn: Lsn(previous),
        };
        let mut bytes = Vec::new();
        source.prepare::<Avro>(is_read, &xact, now_us);
        source.write::<Avro>(source::Operation::Read, Lsn(lsn), &mut bytes);
        bytes
    };
    let mut kept = source::Source::new(place, Notation::Avro);
    for of in [
        (true, 0, 1, 2, 3, 4),
        (true, 0, 1, 2, 3, 4),
        (true, 0, 9, 2, 3, 4),
        (true, 0, 9, 8, 3, 4),
        (true, 0, 9, 8, 7, 4),
        (true, 0, 9, 8, 7, 6),
        (false, 0, 9, 8, 7, 6),
        (false, 5, 9, 8, 7, 6),
        (false, 5, 9, 10, 7, 6),
    ] {
        let mut new = source::Source::new(place, Notation::Avro);
        assert_eq!(written(&mut kept, of), written(&mut new, of), "{of:?}");
    }
}

/// What stands in schemas/ for reference, of a table `customer (id bigint PRIMARY KEY, name text NOT NULL,
/// email text)`.
#[test]
fn the_schemas_for_reference_are_those_that_are_registered() {
    let columns = [("id", INT8, true), ("name", TEXT, false), ("email", TEXT, false)];
    let relation = Relation {
        namespace: "public".to_owned(),
        ..relation("customer", ReplicaIdentity::Default, &columns)
    };
    let settings = Settings { prefix: "shop".to_owned(), ..settings() };
    let draft = compile(&relation, &facts(&["id", "name"], &["id"]), &settings).unwrap();
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let found: Vec<_> = draft.schemas.iter().map(|it| parsed(&it.schema_json)).collect();
    let kept =
        [include_str!("../../../schemas/envelope.avsc"), include_str!("../../../schemas/key.avsc")];
    for (found, kept) in found.iter().zip(kept) {
        assert_eq!(*found, parsed(kept), "it should be {found:#}");
    }
}
