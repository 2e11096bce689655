//! Which topic a table's rows go to, how those of one topic are told apart, and who may not share one.

use super::Wire::{Null, Text};
use super::*;
use crate::config::{KeyField, SharedTopic};
use crate::facts::Parent;

const INT8: u32 = 20;
const INT4: u32 = 23;
const TEXT: u32 = 25;

/// `[[topics.shared]]`: tables, topic, and the value of the field `source_table`.
fn shared(sections: &[(&str, &str, Option<&str>)]) -> Settings {
    let template = |text: &str| Template::parse(text).unwrap();
    let section = |(number, &(tables, topic, value)): (usize, &(&str, &str, Option<&str>))| {
        let tables = tables.split(' ').map(|text| TablePattern::parse(text).unwrap()).collect();
        let name = "source_table".to_owned();
        let key_field = value.map(|value| KeyField { name, value: template(value) });
        SharedTopic { number, tables, topic: template(topic), key_field }
    };
    Settings { shared: (1..).zip(sections).map(section).collect(), ..settings() }
}

/// `tenant.invoice` with a key of its first column.
fn invoice(tenant: &str, columns: &[(&str, u32)]) -> (Relation, TableFacts) {
    let (key, _) = columns[0];
    let columns: Vec<_> = columns.iter().map(|(name, oid)| (*name, *oid, *name == key)).collect();
    let relation = relation("invoice", ReplicaIdentity::Default, &columns);
    (Relation { namespace: tenant.to_owned(), ..relation }, facts(&[key], &[key]))
}

const INVOICE: [(&str, u32); 2] = [("id", INT4), ("total", INT4)];

fn draft(table: &(Relation, TableFacts), settings: &Settings) -> Result<Draft, Error> {
    compile(&table.0, &table.1, settings)
}

fn table_of(bench: &Bench, record: &Record) -> Option<String> {
    let mut headers = headers(bench.batch.slice(&record.headers));
    let (_, value) = headers.find(|(name, _)| *name == TABLE_HEADER)?;
    Some(String::from_utf8(value.unwrap().to_vec()).unwrap())
}

#[test]
fn a_template_names_the_topic_of_each_table() {
    let topic = |template: &str, namespace: &str| {
        let settings = Settings { template: Template::parse(template).unwrap(), ..settings() };
        draft(&invoice(namespace, &INVOICE), &settings).unwrap().topics
    };
    assert_eq!(topic("{prefix}.{schema}.{table}", "a b"), ["srv.a_b.invoice"]);
    assert_eq!(topic("cdc-{table}", "a b"), ["cdc-invoice"]);
    assert_eq!(topic("{schema}.{prefix}.{table}", "é"), ["_.srv.invoice"]);
    let long = "x".repeat(250);
    let error = draft(&invoice(&long, &INVOICE), &settings()).unwrap_err();
    assert!(matches!(error, Error::TopicLength { length: 262, .. }), "{error}");
}

#[test]
fn keys_and_headers_of_a_shared_topic_say_whose_they_are() {
    let settings = shared(&[("tenant*.invoice", "{prefix}.invoice", Some("{schema}"))]);
    let drafts = ["tenant1", "tenant2"].map(|it| draft(&invoice(it, &INVOICE), &settings).unwrap());
    let [one, other] = &drafts;
    assert_eq!((&one.topics, &one.schemas), (&other.topics, &other.schemas));
    let subjects = one.schemas.iter().map(|it| it.subject.as_str()).collect::<Vec<_>>();
    assert_eq!(subjects, ["srv.invoice-value", "srv.invoice-key"]);
    other.claim.as_ref().unwrap().refuse(&one.claim).unwrap();
    let [_, second] = drafts;
    let mut bench = Bench::new(second);
    bench.encode(&Wired::insert(&[Text("1"), Text("20")])).unwrap();
    bench.encode(&Wired::delete(b'K', &[Text("1"), Null])).unwrap();
    bench.encode(&Wired::truncate()).unwrap();
    let records = bench.batch.records();
    let keys: Vec<_> = records.iter().map(|it| bench.slice(it.key.as_ref())).collect();
    let key = json!({"source_table": "tenant2", "id": 1});
    for key_bytes in &keys[..3] {
        let found = bench.decode(key_bytes.unwrap());
        assert_eq!((&found, found.to_string()), (&key, key.to_string()));
    }
    assert_eq!((keys.len(), keys[3]), (4, None), "TRUNCATE has no key");
    for record in records {
        assert_eq!(table_of(&bench, record).as_deref(), Some("tenant2.invoice"));
    }
    let value = bench.decode(bench.slice(records[0].value.as_ref()).unwrap());
    assert_eq!(
        (&value["source"]["schema"], &value["source"]["table"]),
        (&json!("tenant2"), &json!("invoice"))
    );
}

#[test]
fn a_key_says_whose_it_is_in_each_format() {
    let sections = &[("*.*", "all", Some("{schema}.{table}"))];
    let field = r#""source_table":"t.invoice","#;
    for (format, expect) in [
        (Format::Json, format!("{{{field}\"id\":1}}")),
        // Of two fields it is no text of one.
        (Format::String, format!("{{{field}\"id\":1}}")),
    ] {
        let mut settings = shared(sections);
        settings.tables.key_format = format;
        let mut bench = Bench::new(draft(&invoice("t", &INVOICE), &settings).unwrap());
        bench.encode(&Wired::insert(&[Text("1"), Null])).unwrap();
        let key = bench.slice(bench.batch.records()[0].key.as_ref()).unwrap();
        assert_eq!(std::str::from_utf8(key).unwrap(), expect);
    }
    let mut settings = shared(sections);
    settings.tables.key_format = Format::JsonSchemas;
    let mut bench = Bench::new(draft(&invoice("t", &INVOICE), &settings).unwrap());
    bench.encode(&Wired::insert(&[Text("1"), Null])).unwrap();
    let key = bench.slice(bench.batch.records()[0].key.as_ref()).unwrap();
    let key: Value = serde_json::from_slice(key).unwrap();
    assert_eq!(key["schema"]["fields"][0]["field"], "source_table");
    assert_eq!(key["payload"], json!({"source_table": "t.invoice", "id": 1}));

    // Without the field a key is as ever, and a table without a key has none.
    let mut settings = shared(&[("*.*", "all", None)]);
    settings.tables.key_format = Format::String;
    let mut bench = Bench::new(draft(&invoice("t", &INVOICE), &settings).unwrap());
    bench.encode(&Wired::insert(&[Text("1"), Null])).unwrap();
    let [record] = bench.batch.records() else { panic!("one record") };
    assert_eq!(bench.slice(record.key.as_ref()), Some(&b"1"[..]));
    assert_eq!(table_of(&bench, record).as_deref(), Some("t.invoice"));
    let keyless = relation("k", ReplicaIdentity::Nothing, &[("v", TEXT, false)]);
    let keyless = draft(&(keyless, facts(&[], &[])), &shared(sections)).unwrap();
    assert!(!keyless.has_key() && keyless.schemas.len() == 1);
    // What is not shared has no such header.
    let mut bench = Bench::new(draft(&invoice("t", &INVOICE), &self::settings()).unwrap());
    bench.encode(&Wired::insert(&[Text("1"), Null])).unwrap();
    assert!(bench.batch.records()[0].headers.is_empty());
}

/// What the second table of a topic is told, or nothing.
fn beside(first: &(Relation, TableFacts), second: &(Relation, TableFacts), value: &str) -> String {
    let settings =
        shared(&[("tenant*.*", "{prefix}.invoice", Some(value)), ("*.x", "other", None)]);
    let [first, second] = [first, second].map(|it| draft(it, &settings).unwrap().claim.unwrap());
    let found = second.refuse([&first]);
    found.map_or_else(|error| error.to_string(), |()| String::new())
}

#[test]
fn what_one_reader_could_not_read_does_not_share_a_topic() {
    let first = invoice("tenant1", &INVOICE);
    let other =
        |columns: &[(&str, u32)]| beside(&first, &invoice("tenant2", columns), "{schema}.{table}");
    assert_eq!(other(&INVOICE), "");
    // Tenants migrate one after another, and a wider number is read as one.
    assert_eq!(other(&[("id", INT4), ("total", INT4), ("note", TEXT)]), "");
    assert_eq!(other(&[("id", INT4)]), "");
    assert_eq!(other(&[("id", INT4), ("total", INT8)]), "");
    for (columns, parts) in [
        (&[("id", INT4), ("total", TEXT)][..], [r#"column "total""#, "string, and there int"]),
        (&[("id", INT8), ("total", INT4)], [r#"column "id""#, "long, and there int"]),
        (&[("no", INT4), ("total", INT4)], ["(no), and there (id)", "keys have other columns"]),
    ] {
        let said = other(columns);
        for part in
            [&parts[..], &["table tenant2.invoice", "srv.invoice", r#""tenant1"."invoice""#]]
                .concat()
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let same_value = beside(&first, &invoice("tenant2", &INVOICE), "{table}");
    assert!(same_value.contains(r#"the same key_value, "invoice""#), "{same_value}");
    // Of a table that is made anew, or of a topic of its own.
    assert_eq!(beside(&first, &first, "{table}"), "");
}

/// The types of each PostgreSQL schema are others, and the same to readers.
#[test]
fn types_are_compared_as_readers_have_them() {
    let of = |tenant: &str, oid, shape: TypeShape| {
        let mut table = invoice(tenant, &[("id", INT4), ("state", oid)]);
        let (name, namespace) = ("state".to_owned(), tenant.to_owned());
        table.1.types.insert(TypeFacts { oid, name, namespace, shape });
        table
    };
    let labels = |labels: &[&str]| TypeShape::Enum {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
    };
    let one = of("tenant1", 90_001, labels(&["new", "paid"]));
    let other = of("tenant2", 90_002, labels(&["new", "paid", "void"]));
    assert_eq!(beside(&one, &other, "{schema}"), "");
    let domain = of("tenant2", 90_003, TypeShape::Domain { base: INT4, modifier: -1 });
    assert!(beside(&one, &domain, "{schema}").contains(r#"column "state""#));
}

#[test]
fn a_table_has_one_topic_by_one_section() {
    let both = shared(&[("a.*", "x", None), ("*.invoice", "y", None)]);
    let error = draft(&invoice("a", &INVOICE), &both).unwrap_err().to_string();
    assert!(error.contains("[[topics.shared]] numbers 1 and 2"), "{error}");
    draft(&invoice("b", &INVOICE), &both).unwrap();

    let outbox = outbox::outbox();
    let table = relation(&outbox.table, ReplicaIdentity::Default, &[("id", TEXT, true)]);
    let settings = Settings { outboxes: vec![outbox], ..shared(&[("*.*", "x", None)]) };
    let error = draft(&(table, facts(&[], &[])), &settings).unwrap_err().to_string();
    assert!(
        error.contains("[[outbox]]") && error.contains("[[topics.shared]] number 1"),
        "{error}"
    );

    let named = invoice("a", &[("source_table", INT4)]);
    let error = draft(&named, &shared(&[("*.*", "x", Some("{schema}"))])).unwrap_err().to_string();
    assert!(error.contains("topics.shared.key_field"), "{error}");

    // A table of its own keeps others away, and they it.
    let settings = shared(&[("a.invoice", "srv.b.invoice", Some("{schema}"))]);
    let [one, other] = ["a", "b"].map(|it| draft(&invoice(it, &INVOICE), &settings).unwrap().claim);
    let error = one.unwrap().refuse(&other).unwrap_err();
    assert!(matches!(error, Error::SharedTopic { .. }), "{error}");
}

fn parent(name: &str, above: &[&str]) -> Parent {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Parent {
        table: ("shop".to_owned(), name.to_owned()),
        ancestors: above.iter().map(|name| ("shop".to_owned(), (*name).to_owned())).collect(),
        columns: names(&["ts", "dev", "v"]),
        not_null: names(&["ts", "dev"]),
        primary_key: names(&["ts", "dev"]),
        identity: Some(names(&["ts", "dev"])),
        ..Parent::default()
    }
}

/// A chunk whose columns stand in another order, with one of its own, and these parents.
fn chunk(identity: &[&str], parents: Vec<Parent>) -> (Relation, TableFacts) {
    let columns = [("dev", INT4), ("own", TEXT), ("ts", INT8), ("v", INT4)];
    let columns = columns.map(|(name, oid)| (name, oid, identity.contains(&name)));
    let relation = relation("chunk_1", ReplicaIdentity::Default, &columns);
    (relation, TableFacts { parents, ..facts(&["dev", "ts", "v", "own"], &["dev", "ts"]) })
}

fn to_parents() -> Settings {
    let mut settings = settings();
    settings.tables.children = Children::Parent;
    settings
}

#[test]
fn a_childs_rows_are_its_parents() {
    let mut chunk = chunk(&["dev", "ts"], vec![parent("metrics", &[])]);
    chunk.1.type_names = ["integer", "text", "bigint", "integer"].map(str::to_owned).to_vec();
    assert_eq!(draft(&chunk, &settings()).unwrap().topics, ["srv.shop.chunk_1"]);
    let columns = [("ts", INT8, true), ("dev", INT4, true), ("v", INT4, false)];
    let metrics = relation("metrics", ReplicaIdentity::Default, &columns);
    let own = draft(&(metrics, facts(&["ts", "dev"], &["ts", "dev"])), &to_parents()).unwrap();
    let childs = draft(&chunk, &to_parents()).unwrap();
    assert_eq!((&childs.topics, &childs.schemas), (&own.topics, &own.schemas));
    let told = childs.told.iter().map(|it| (&*it.name, &*it.type_name));
    let types = [("ts", "bigint"), ("dev", "integer"), ("v", "integer")];
    assert_eq!(told.collect::<Vec<_>>(), types);
    childs.claim.as_ref().unwrap().refuse(&own.claim).unwrap();
    let mut bench = Bench::new(childs);
    bench.encode(&Wired::insert(&[Text("7"), Text("x"), Text("100"), Null])).unwrap();
    let new = [Text("7"), Text("y"), Text("101"), Text("3")];
    bench
        .encode(&Wired::update(Some((b'K', &[Text("7"), Null, Text("100"), Null])), &new))
        .unwrap();
    assert_eq!(bench.encode(&Wired::truncate()).unwrap(), Step::Skipped(Skip::Child));
    let short = bench.encode(&Wired::insert(&[Text("7")])).unwrap_err();
    assert!(matches!(short, Error::Contradiction { .. }), "{short}");
    let lines: Vec<_> = bench.batch.records().iter().map(|it| bench.line(it)).collect();
    assert_eq!(
        lines,
        [
            r#"0 {"ts":100,"dev":7} c null -> {"ts":100,"dev":7,"v":null}"#,
            r#"0 {"ts":100,"dev":7} d {"ts":100,"dev":7,"v":null} -> null"#,
            r#"1 {"ts":100,"dev":7} tombstone"#,
            r#"2 {"ts":101,"dev":7} c null -> {"ts":101,"dev":7,"v":3}"#,
        ]
    );
    let records = bench.batch.records();
    assert!(records.iter().all(|it| table_of(&bench, it).as_deref() == Some("shop.chunk_1")));
    let value = bench.decode(bench.slice(records[0].value.as_ref()).unwrap());
    assert_eq!(value["source"]["table"], "chunk_1");
}

/// Which is what its own rows have.
#[test]
fn the_key_is_that_of_the_parents_own_rows() {
    let key = |identity: Option<&[&str]>, primary_key: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut parent = parent("metrics", &[]);
        (parent.identity, parent.primary_key) = (identity.map(names), names(primary_key));
        draft(&chunk(&["dev", "ts"], vec![parent]), &to_parents()).unwrap().key
    };
    assert_eq!(key(None, &["ts", "dev"]), ["ts", "dev"]);
    assert_eq!(key(Some(&["dev", "ts"]), &["ts", "dev"]), ["ts", "dev"]);
    assert_eq!(key(Some(&["dev"]), &["ts", "dev"]), ["dev"]);
    assert_eq!(key(Some(&["dev", "ts"]), &[]), ["dev", "ts"]);
    // Such as one whose primary key is deferrable.
    assert!(key(Some(&[]), &["ts", "dev"]).is_empty());
    assert!(key(None, &[]).is_empty());
}

/// The catalog is newer than the rows: what neither has any more may have been renamed.
#[test]
fn a_column_that_was_renamed_or_dropped_since_is_not_left_out() {
    let (relation, mut facts) = chunk(&["dev", "ts"], vec![parent("metrics", &[])]);
    facts.parents[0].columns = ["ts", "dev", "value"].map(str::to_owned).to_vec();
    let columns = |facts: &TableFacts| {
        draft(&(relation.clone(), facts.clone()), &to_parents()).unwrap().columns
    };
    assert_eq!(columns(&facts), ["ts", "dev"], "its own columns are left out");
    facts.lost = vec!["v".to_owned()];
    assert_eq!(columns(&facts), ["ts", "v", "dev"], "behind what it stood behind");
    facts.lost = ["dev", "v"].map(str::to_owned).to_vec();
    facts.parents[0].columns = vec!["ts".to_owned()];
    assert_eq!(columns(&facts), ["dev", "ts", "v"]);
}

#[test]
fn a_child_without_its_parents_key_or_with_two_parents_is_refused() {
    let of = |identity: &[&str], parents| draft(&chunk(identity, parents), &to_parents());
    let error = of(&["dev"], vec![parent("metrics", &[])]).unwrap_err().to_string();
    for part in ["table shop.chunk_1", r#""shop"."metrics""#, "lacks ts", "REPLICA IDENTITY FULL"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // PostgreSQL refuses to change its rows.
    of(&[], vec![parent("metrics", &[])]).unwrap();
    // However far above it each of them is.
    for (above_b, above) in [(&[][..], &[][..]), (&["r"], &[parent("r", &[])])] {
        let parents = [&[parent("a", &[]), parent("b", above_b)], above].concat();
        let several = of(&["dev", "ts"], parents).unwrap_err().to_string();
        let other = above.first().map_or("b", |parent| &parent.table.1);
        let names = format!(r#"from "shop"."a" and from "shop"."{other}", and"#);
        assert!(several.contains(&names) && several.contains("tables.exclude"), "{several}");
    }
    let topic = |parents, exclude: &str| {
        let mut settings = to_parents();
        let pattern = TablePattern::parse(exclude).unwrap();
        settings.tables.selection.exclude = vec![pattern];
        draft(&chunk(&["dev", "ts"], parents), &settings).unwrap().topics.remove(0)
    };
    let family = || vec![parent("week", &["metrics"]), parent("metrics", &[])];
    assert_eq!(topic(family(), "none.*"), "srv.shop.metrics");
    assert_eq!(topic(family(), "shop.metrics"), "srv.shop.week");
    // Where the parent shares a topic, its child does, as the parent.
    let mut settings = shared(&[("shop.metrics", "all", Some("{table}"))]);
    settings.tables.children = Children::Parent;
    let mut bench = Bench::new(draft(&chunk(&["dev", "ts"], family()), &settings).unwrap());
    bench.encode(&Wired::insert(&[Text("7"), Null, Text("1"), Null])).unwrap();
    assert!(
        bench.line(&bench.batch.records()[0]).starts_with(r#"0 {"source_table":"metrics","ts":1,"#)
    );
    // What is gone may have been a child, unless its own topic has schemas.
    let gone = (
        chunk(&["dev", "ts"], Vec::new()).0,
        TableFacts { is_gone: true, ..TableFacts::default() },
    );
    let error = draft(&gone, &to_parents()).unwrap_err().to_string();
    assert!(error.contains("it is gone"), "{error}");
    let known = draft(&chunk(&["dev", "ts"], Vec::new()), &self::settings()).unwrap().schemas;
    let newest: Vec<_> = known.into_iter().map(|it| (it.subject, it.schema_json)).collect();
    let registered = Registered::parse(&newest, &to_parents());
    super::super::compile(&gone.0, &gone.1, &registered, &to_parents()).unwrap();
}

/// The field that names the table is no column of a table that is gone.
#[test]
fn the_key_of_a_table_that_is_gone_is_told_by_its_schemas() {
    let settings = shared(&[("*.invoice", "all", Some("{schema}"))]);
    let (relation, facts) = invoice("tenant1", &INVOICE);
    let first = draft(&(relation.clone(), facts), &settings).unwrap();
    let newest: Vec<_> =
        first.schemas.iter().map(|it| (it.subject.clone(), it.schema_json.clone())).collect();
    let registered = Registered::parse(&newest, &settings);
    let mut gone = TableFacts { is_gone: true, ..TableFacts::default() };
    recall(&relation, &mut gone, &registered, &settings);
    assert_eq!(
        (gone.primary_key.as_slice(), gone.not_null.as_slice()),
        (&["id".to_owned()][..], &["id".to_owned()][..])
    );
    assert_eq!(draft(&(relation, gone), &settings).unwrap().schemas, first.schemas);
}

#[test]
fn a_record_is_one_tables_and_a_truncate_is_its_childrens_too() {
    let sharing = |table: Option<&str>, parent, are_keys_apart| Sharing {
        table: table.map(str::to_owned),
        parent,
        has_key_field: false,
        are_keys_apart,
    };
    let parent = Some(Some("a.p".to_owned()));
    for (sharing, header, has_key, expect) in [
        (sharing(None, None, true), None, true, Whose::Own),
        // Of a child, of which the table need know nothing.
        (sharing(None, None, true), Some("a.c"), true, Whose::Others),
        (sharing(Some("a.t"), None, true), Some("a.t"), false, Whose::Own),
        (sharing(Some("a.t"), None, true), Some("a.u"), true, Whose::Others),
        (sharing(Some("a.t"), None, true), Some("a.u"), false, Whose::Unrelated),
        (sharing(Some("a.t"), None, false), Some("a.u"), true, Whose::Unrelated),
        (sharing(Some("a.t"), None, true), None, false, Whose::Unrelated),
        (sharing(Some("a.t"), Some(None), true), None, true, Whose::Others),
        (sharing(Some("a.t"), Some(None), true), None, false, Whose::Own),
        (sharing(Some("a.t"), parent.clone(), true), Some("a.p"), false, Whose::Own),
        (sharing(Some("a.t"), parent, true), Some("a.p"), true, Whose::Others),
    ] {
        assert_eq!(sharing.whose(header, has_key), expect, "{sharing:?} {header:?} {has_key}");
    }
}
