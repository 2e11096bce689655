//! Schemas beside those that readers have: whatever became of a table, each can read what was written
//! with the one before it.

use apache_avro::schema_compatibility::SchemaCompatibility;

use ReplicaIdentity::{Default as ByKey, Full};

use super::*;
use crate::encode::Naming;

const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
const TEXT: u32 = 25;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;

/// A table's schemas, from one of its forms to the next.
struct History {
    settings: Settings,
    newest: Vec<Newest>,
}

impl History {
    fn new() -> Self {
        Self { settings: settings(), newest: Vec::new() }
    }

    /// The table is so now: `name type-OID !`, where `!` is a column of the identity.
    fn becomes(
        &mut self,
        identity: ReplicaIdentity,
        columns: &[(&str, u32, bool)],
        facts: &TableFacts,
    ) {
        let relation = relation("t", identity, columns);
        let registered = Registered::parse(&self.newest, &self.settings);
        let mut facts = facts.clone();
        if facts.is_gone {
            recall(&relation, &mut facts, &registered, &self.settings);
        }
        let mut draft =
            super::super::compile(&relation, &facts, &registered, &self.settings).unwrap();
        if facts.is_gone {
            draft.keep(&self.newest);
        }
        for SchemaRequest { subject, schema_json } in draft.schemas {
            let old = self.newest.iter_mut().find(|(other, _)| *other == subject);
            match old {
                None => self.newest.push((subject, schema_json)),
                Some((_, old)) => {
                    let [writer, reader] =
                        [&*old, &schema_json].map(|text| Schema::parse_str(text).unwrap());
                    let readable = SchemaCompatibility::can_read(&writer, &reader);
                    assert!(readable.is_ok(), "{readable:?}\n{old}\n{schema_json}");
                    *old = schema_json;
                }
            }
        }
    }

    /// The fields of `after`, or of `before` where that is another record, as `name type=default`.
    fn fields(&self, side: &str) -> Vec<String> {
        let (_, text) =
            self.newest.iter().find(|(subject, _)| subject.ends_with("-value")).unwrap();
        let schema: Value = serde_json::from_str(text).unwrap();
        let at = if side == "before" { 0 } else { 1 };
        let record = &schema["fields"][at]["type"][1];
        let fields = record["fields"].as_array().unwrap().iter();
        let field = |field: &Value| {
            let declared = match &field["type"] {
                Value::Array(branches) => format!("?{}", primitive(&branches[1])),
                declared => primitive(declared),
            };
            let default = field.get("default").filter(|it| !it.is_null());
            let default = default.map(|it| format!("={it}")).unwrap_or_default();
            format!("{} {declared}{default}", field["name"].as_str().unwrap())
        };
        fields.map(field).collect()
    }
}

fn primitive(declared: &Value) -> String {
    declared.get("type").unwrap_or(declared).as_str().unwrap().to_owned()
}

fn with(mut facts: TableFacts, defaults: &[(&str, &str)], missing: &[(&str, &str)]) -> TableFacts {
    let map = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    (facts.defaults, facts.missing) = (map(defaults), map(missing));
    facts
}

const ID: (&str, u32, bool) = ("id", INT4, true);

#[test]
fn what_may_be_null_stays_so_and_what_begins_to_may_be() {
    let mut history = History::new();
    let columns = [ID, ("v", TEXT, false), ("w", TEXT, false)];
    history.becomes(ByKey, &columns, &facts(&["id", "w"], &["id"]));
    assert_eq!(history.fields("after"), ["id int", "v ?string", "w string"]);
    history.becomes(ByKey, &columns, &facts(&["id", "v"], &["id"]));
    assert_eq!(history.fields("after"), ["id int", "v ?string", "w ?string"]);
}

#[test]
fn a_column_that_is_never_null_enters_as_what_older_rows_have() {
    let mut history = History::new();
    history.becomes(ByKey, &[ID], &facts(&["id"], &["id"]));
    let more = [ID, ("a", TEXT, false), ("b", INT4, false), ("c", TEXT, false), ("d", INT4, false)];
    let all = facts(&["id", "a", "b", "c"], &["id"]);
    // What rows have, before what a default says by now; what only the server computes, nobody knows.
    let first = with(all.clone(), &[("a", "now"), ("b", "7"), ("d", "1")], &[("a", "")]);
    history.becomes(ByKey, &more, &first);
    let fields = ["id int", "a string=\"\"", "b int=7", "c ?string", "d ?int"];
    assert_eq!(history.fields("after"), fields);
    // A default that is dropped, and rows that were rewritten.
    history.becomes(ByKey, &more, &all);
    assert_eq!(history.fields("after"), fields);
    // Another default is none of older rows; Kafka Connect is told of it.
    history.becomes(ByKey, &more, &with(all.clone(), &[("b", "8")], &[("a", "x")]));
    assert_eq!(history.fields("after"), fields);
    assert!(history.newest[0].1.contains(r#""connect.default":8"#), "{}", history.newest[0].1);
    // Gone, and there again.
    history.becomes(ByKey, &[ID, ("c", TEXT, false)], &all);
    history.becomes(ByKey, &more, &with(all, &[], &[("a", "z")]));
    assert_eq!(history.fields("after")[1..3], ["a string=\"z\"", "b ?int"]);
}

#[test]
fn a_number_that_readers_have_as_a_wider_one_stays_as_wide() {
    let mut history = History::new();
    let columns =
        |integer, float| [("id", integer, true), ("n", integer, false), ("f", float, false)];
    let all = with(facts(&["id", "n", "f"], &["id"]), &[("n", "3")], &[]);
    history.becomes(ByKey, &columns(INT4, FLOAT4), &all);
    assert_eq!(history.fields("after"), ["id int", "n int=3", "f float"]);
    history.becomes(ByKey, &columns(INT8, FLOAT8), &all);
    for integer in [INT4, INT2, INT8] {
        history.becomes(ByKey, &columns(integer, FLOAT4), &all);
        assert_eq!(history.fields("after"), ["id long", "n long=3", "f double"]);
    }
    let key = history.newest.iter().find(|(subject, _)| subject.ends_with("-key")).unwrap();
    assert!(key.1.contains("\"long\""), "{}", key.1);
}

/// Readers of older records would take their digits for others.
#[test]
fn a_decimal_keeps_the_digits_behind_the_point_that_readers_have() {
    let numeric = |precision: i32, scale: i32| precision << 16 | (scale & 0x7ff);
    let relation = |modifier| {
        let mut relation = relation("t", ByKey, &[ID, ("n", 1700, false)]);
        relation.columns[1].type_modifier = modifier + 4;
        relation
    };
    let all = facts(&["id", "n"], &["id"]);
    let mut newest = Vec::new();
    let mut becomes = |modifier| {
        let registered = Registered::parse(&newest, &settings());
        let draft =
            super::super::compile(&relation(modifier), &all, &registered, &settings()).unwrap();
        let schema: Value = serde_json::from_str(&draft.schemas[0].schema_json).unwrap();
        let declared = schema.pointer("/fields/1/type/1/fields/1/type").unwrap().clone();
        newest = draft.schemas.into_iter().map(|it| (it.subject, it.schema_json)).collect();
        (
            declared["precision"].as_u64().unwrap(),
            declared["scale"].as_u64().unwrap(),
            draft.rescaled,
        )
    };
    let none = Vec::<String>::new;
    assert_eq!(becomes(numeric(6, 2)), (6, 2, none()));
    assert_eq!(becomes(numeric(9, 2)), (9, 2, none()));
    assert_eq!(becomes(numeric(4, 1)), (9, 2, none()));
    assert_eq!(becomes(numeric(12, 0)), (14, 2, none()));
    assert_eq!(becomes(numeric(8, 4)), (8, 4, vec!["n".to_owned()]));
    assert_eq!(becomes(numeric(8, 2)), (10, 4, none()));
}

/// Its values are written as its schema says.
#[test]
fn a_wider_number_is_written_as_one() {
    let columns = |integer, float| [("id", integer, true), ("f", float, false)];
    let all = facts(&["id", "f"], &["id"]);
    let mut history = History::new();
    history.becomes(ByKey, &columns(INT8, FLOAT8), &all);
    let relation = relation("t", ByKey, &columns(INT4, FLOAT4));
    let registered = Registered::parse(&history.newest, &history.settings);
    let draft = super::super::compile(&relation, &all, &registered, &settings()).unwrap();
    let mut bench = Bench::new(draft);
    let row = [Wire::Binary(&[0, 0, 1, 0]), Wire::Binary(&1.5_f32.to_be_bytes())];
    assert_eq!(bench.encode(&Wired::insert(&row)).unwrap(), Step::Done);
    let line = bench.line(&bench.batch.records()[0]);
    assert_eq!(line, r#"0 {"id":256} c null -> {"id":256,"f":1.5}"#);
}

#[test]
fn another_identity_changes_no_record() {
    let mut history = History::new();
    let columns = |id, v| [("id", INT4, id), ("v", TEXT, v)];
    let all = facts(&["id", "v"], &["id"]);
    let by_key = columns(true, false);
    history.becomes(ByKey, &by_key, &all);
    for (identity, columns) in [(ByKey, by_key), (Full, columns(true, true)), (ByKey, by_key)] {
        history.becomes(identity, &columns, &all);
        assert_eq!(history.fields("before"), ["id int", "v ?string"], "{identity:?}");
        assert_eq!(history.fields("after"), ["id int", "v string"], "{identity:?}");
    }
    // Of which old rows tell nothing any more; and all again.
    history.becomes(ReplicaIdentity::Nothing, &columns(false, false), &all);
    history.becomes(Full, &columns(true, true), &all);
    assert_eq!(history.fields("before"), ["id ?int", "v ?string"]);
    assert_eq!(history.fields("after"), ["id int", "v string"]);
}

/// As Debezium has it, or walbrook had it with REPLICA IDENTITY FULL.
#[test]
fn one_record_of_old_and_new_rows_stays_one() {
    let mut history = History::new();
    history.settings.tables.before = Before::Debezium;
    let columns = |all| [ID, ("v", TEXT, all)];
    let all = facts(&["id", "v"], &["id"]);
    history.becomes(Full, &columns(true), &all);
    history.settings.tables.before = Before::Separate;
    history.becomes(Full, &columns(true), &all);
    assert_eq!(history.fields("before"), ["id int", "v string"]);
    history.becomes(ByKey, &columns(false), &all);
    assert_eq!(history.fields("before"), ["id int", "v ?string"]);
}

/// Of a table that is gone: all is as it was, the key's order and the default too.
#[test]
fn the_newest_schemas_say_what_the_catalog_does_not() {
    let columns = [("a", INT4, true), ("b", INT4, true), ("c d", INT4, false), ("e", INT4, false)];
    let there = with(facts(&["a", "b", "c d"], &["b", "a"]), &[("c d", "7")], &[]);
    let gone = TableFacts { is_gone: true, ..TableFacts::default() };
    let mut history = History::new();
    history.becomes(ByKey, &columns, &there);
    let newest = history.newest.clone();
    history.becomes(ByKey, &columns, &gone);
    assert_eq!(history.newest, newest);
    // What was never registered is as little known as before.
    let [mut one, mut other] = [History::new(), History::new()];
    one.becomes(ByKey, &columns, &gone);
    other.becomes(ByKey, &columns, &TableFacts::default());
    assert_eq!(one.newest, other.newest);
}

/// What readers have is found by the names of its fields, whatever makes these.
#[test]
fn readers_know_columns_by_the_names_of_their_fields() {
    for naming in [Naming::Avro, Naming::AvroUnicode] {
        let mut history = History::new();
        history.settings.tables.name_adjustment = naming;
        let columns = [("my_id", INT4, true), ("a-b", TEXT, false)];
        let fields = ["my_id", "a-b"].map(|name| naming.field(name));
        let expect = [format!("{} int", fields[0]), format!("{} ?string", fields[1])];
        history.becomes(ByKey, &columns, &facts(&["my_id"], &["my_id"]));
        assert_eq!(history.fields("after"), expect);
        history.becomes(ByKey, &columns, &facts(&["my_id", "a-b"], &["my_id"]));
        assert_eq!(history.fields("after"), expect);
        // The catalog says nothing of a table that is gone.
        history.becomes(ByKey, &columns, &TableFacts { is_gone: true, ..TableFacts::default() });
        assert_eq!(history.fields("after"), expect);
    }
}

/// What others have added to newest schemas stays in values'; a key would get another id by it, and so
/// other bytes.
#[test]
fn words_in_the_newest_schemas_move_no_key() {
    let relation = relation("t", ByKey, &[ID]);
    let all = facts(&["id"], &["id"]);
    let compile = |newest: &[Newest]| {
        let registered = Registered::parse(newest, &settings());
        super::super::compile(&relation, &all, &registered, &settings()).unwrap()
    };
    let own: Vec<Newest> =
        compile(&[]).schemas.into_iter().map(|it| (it.subject, it.schema_json)).collect();
    let with = |words: &str| -> Vec<Newest> {
        let worded = |(subject, text): &Newest| {
            let mut schema: Value = serde_json::from_str(text).unwrap();
            schema["doc"] = words.into();
            (subject.clone(), schema.to_string())
        };
        own.iter().map(worded).collect()
    };
    let kept = |newest: &[Newest]| {
        let mut draft = compile(newest);
        let is_other = draft.keep(newest);
        let text = |side: &str| {
            let found = draft.schemas.iter().find(|it| it.subject.ends_with(side));
            found.unwrap().schema_json.clone()
        };
        (text("-value"), text("-key"), is_other)
    };
    let text = |newest: &[Newest], side: &str| {
        newest.iter().find(|(subject, _)| subject.ends_with(side)).unwrap().1.clone()
    };
    let newest = with("Written by the team.");
    assert_eq!(kept(&newest), (text(&newest, "-value"), text(&own, "-key"), true));
    // The same in another order is the same, and is not registered again.
    let spaced: Vec<Newest> =
        own.iter().map(|(subject, text)| (subject.clone(), format!(" {text} "))).collect();
    assert_eq!(kept(&spaced), (text(&spaced, "-value"), text(&spaced, "-key"), false));
}
