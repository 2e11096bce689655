//! Outbox tables: the event router's rules, payload schemas, dead letters.

use super::Wire::{Binary, Null, Text, Unchanged};
use super::*;
use crate::config::PayloadSchema;

const BYTEA: u32 = 17;
const INT8: u32 = 20;
const TEXT: u32 = 25;
const FLOAT8: u32 = 701;
const TIMESTAMPTZ: u32 = 1184;
const UUID: u32 = 2950;
const JSONB: u32 = 3802;
const BOOL: u32 = 16;

pub(super) fn outbox() -> Outbox {
    Outbox {
        namespace: "shop".to_owned(),
        table: "outbox".to_owned(),
        id_column: "id".to_owned(),
        key_column: "aggregateid".to_owned(),
        type_column: Some("type".to_owned()),
        payload_column: "payload".to_owned(),
        route_column: "aggregatetype".to_owned(),
        headers: Vec::new(),
        tombstone_on_empty_payload: false,
        on_update: OnOutboxUpdate::Warn,
        on_null_route: OnNullRoute::DeadLetter,
        pending: None,
        routing: routing(),
    }
}

/// An outbox of id, aggregatetype, aggregateid, type, payload and one column more.
fn draft(outbox: &Outbox, payload: u32, more: (&str, u32)) -> Result<Draft, Error> {
    draft_of(outbox, payload, more, false)
}

fn draft_of(
    outbox: &Outbox,
    payload: u32,
    more: (&str, u32),
    is_partitioned: bool,
) -> Result<Draft, Error> {
    let columns = [
        ("id", UUID, true),
        ("aggregatetype", TEXT, false),
        ("aggregateid", INT8, false),
        ("type", TEXT, false),
        ("payload", payload, false),
        (more.0, more.1, false),
    ];
    let settings = Settings { outboxes: vec![outbox.clone()], ..settings() };
    let relation = relation("outbox", ReplicaIdentity::Default, &columns);
    let facts = TableFacts { is_partitioned, ..facts(&["id"], &["id"]) };
    compile(&relation, &facts, &settings)
}

fn bench(outbox: &Outbox) -> Bench {
    Bench::new(draft(outbox, JSONB, ("more", TIMESTAMPTZ)).unwrap())
}

const ID: &str = "6a2f41a3-c54c-fce8-32d2-0324e1c32e22";
const ID_BYTES: [u8; 16] = [
    0x6a, 0x2f, 0x41, 0xa3, 0xc5, 0x4c, 0xfc, 0xe8, 0x32, 0xd2, 0x03, 0x24, 0xe1, 0xc3, 0x2e, 0x22,
];

fn row<'a>(route: &'a str, event_type: Wire<'a>, payload: Wire<'a>) -> Wired {
    Wired::insert(&[Text(ID), Text(route), Text("42"), event_type, payload, Null])
}

#[test]
fn an_insert_is_an_event_in_both_forms_of_the_stream() {
    let mut outbox = outbox();
    outbox.headers = vec![("more".to_owned(), "createdAt".to_owned())];
    let expect = json!({
        "topic": "outbox.event.order",
        "key": "42",
        "value": r#"{"a": 1}"#,
        "headers": [["id", ID], ["eventType", "Created"], ["createdAt", "2000-01-01 00:00:01.5+00"]],
    });
    let text = [
        Text(ID),
        Text("order"),
        Text("42"),
        Text("Created"),
        Text(r#"{"a": 1}"#),
        Text("2000-01-01 00:00:01.5+00"),
    ];
    let more = 1_500_000_i64.to_be_bytes();
    let binary = [
        Binary(&ID_BYTES),
        Binary(b"order"),
        Binary(&[0, 0, 0, 0, 0, 0, 0, 42]),
        Binary(b"Created"),
        Binary(b"\x01{\"a\": 1}"),
        Binary(&more),
    ];
    for row in [text, binary] {
        let mut bench = bench(&outbox);
        assert_eq!(bench.encode(&Wired::insert(&row)).unwrap(), Step::Done);
        let [record] = bench.batch.records() else { panic!("one record") };
        assert_eq!(bench.event(record), expect);
        assert_eq!(record.timestamp_ms, 1_700_000_000_123);
    }
}

#[test]
fn a_row_that_was_pending_is_the_same_event_and_no_row_of_a_table() {
    let row = || row("order", Text("Created"), Text("{}"));
    let (mut streamed, mut pending) = (bench(&outbox()), bench(&outbox()));
    assert_eq!(streamed.encode(&row()).unwrap(), Step::Done);
    assert_eq!(pending.encode(&row().pending(3)).unwrap(), Step::Done);
    let ([one], [other]) = (streamed.batch.records(), pending.batch.records()) else {
        panic!("a record each")
    };
    assert_eq!(streamed.event(one), pending.event(other));
    assert_eq!((one.part, other.part), (0, 3));
    let columns = [("id", INT8, true)];
    let relation = relation("t", ReplicaIdentity::Default, &columns);
    let mut table = Bench::new(compile(&relation, &facts(&["id"], &["id"]), &settings()).unwrap());
    let error = table.encode(&Wired::insert(&[Text("1")]).pending(0)).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
}

#[test]
fn a_topic_is_asked_for_once() {
    let mut bench = bench(&outbox());
    let order = row("order", Null, Text("{}"));
    let Step::Need(route) = bench.try_encode(&order).unwrap() else { panic!("a need") };
    assert_eq!(route.topic, "outbox.event.order");
    assert_eq!(route.schemas, []);
    assert_eq!(bench.encode(&order).unwrap(), Step::Done);
    assert_eq!(
        bench
            .try_encode(&row("invoice", Null, Text("{}")))
            .ok()
            .map(|step| matches!(step, Step::Need(_))),
        Some(true)
    );
}

#[test]
fn only_allowed_topics_are_written() {
    let refused = ["", "Order", "or der", "../order", "ordér", "order\n", "UPPERorder", "{route}"];
    for route in refused {
        let error = bench(&outbox()).encode(&row(route, Null, Text("{}"))).unwrap_err();
        let expect = format!(
            "shop.outbox: event {ID} at 0/100#1: its topic is refused: not a legal \
             topic name, or not matched by the topic allow-pattern"
        );
        assert_eq!(error.to_string(), expect);
    }
    // Matched whole, also by the second alternative of the pattern.
    assert_eq!(bench(&outbox()).encode(&row("UPPER", Null, Text("{}"))).unwrap(), Step::Done);
    let mut everything = outbox();
    everything.routing.topic_allow = regex::Regex::new("(?s).*").unwrap();
    for route in ["a b", "a/b", "ä", &"x".repeat(240)] {
        let error = bench(&everything).encode(&row(route, Null, Text("{}"))).unwrap_err();
        let Error::Event { fault, .. } = error else { panic!("{error}") };
        assert_eq!(*fault, EventFault::RefusedTopic);
    }
}

#[test]
fn updates_deletes_and_truncates_are_no_events() {
    let row = [Text(ID), Text("order"), Text("42"), Null, Text("{}"), Null];
    let key = [Text(ID), Null, Null, Null, Null, Null];
    let cases = [
        (Wired::update(None, &row), Skip::OutboxUpdate),
        (Wired::delete(b'K', &key), Skip::OutboxDelete),
        (Wired::truncate(), Skip::OutboxTruncate),
    ];
    for (wired, skip) in cases {
        assert_eq!(bench(&outbox()).encode(&wired).unwrap(), Step::Skipped(skip));
    }
    let fail = Outbox { on_update: OnOutboxUpdate::Fail, ..outbox() };
    let error = bench(&fail).encode(&Wired::update(None, &row)).unwrap_err();
    let expect = format!("shop.outbox: event {ID} at 0/100#1: the outbox row was updated");
    assert_eq!(error.to_string(), expect);
}

#[test]
fn a_row_without_a_route_is_what_the_configuration_says() {
    let row = |route| [Text(ID), route, Text("42"), Null, Text("{}"), Null];
    let with = |on_null_route| Outbox { on_null_route, ..outbox() };
    for route in [Null, Text("")] {
        let insert = Wired::insert(&row(route));
        let mut skips = bench(&with(OnNullRoute::Skip));
        assert_eq!(skips.encode(&insert).unwrap(), Step::Skipped(Skip::OutboxRoute));
        let error = bench(&with(OnNullRoute::Stop)).encode(&insert).unwrap_err();
        assert!(error.is_meant() && error.to_string().contains("column aggregatetype"), "{error}");
        let error = bench(&with(OnNullRoute::DeadLetter)).encode(&insert).unwrap_err();
        assert!(!error.is_meant(), "{error}");
    }
}

#[test]
fn payloads_pass_through_as_bytes() {
    let cases: &[(u32, Wire<'_>, bool, Option<&[u8]>)] = &[
        (JSONB, Binary(b"\x01[1]"), false, Some(b"[1]")),
        (JSONB, Text("[1]"), false, Some(b"[1]")),
        (TEXT, Text("plain"), false, Some(b"plain")),
        (TEXT, Text(""), false, Some(b"")),
        (TEXT, Text(" \n"), true, None),
        (TEXT, Null, false, None),
        (TEXT, Null, true, None),
        (BYTEA, Binary(b"\x00\xff"), false, Some(b"\x00\xff")),
        (BYTEA, Text(r"\x00ff"), false, Some(b"\x00\xff")),
        (BYTEA, Text(r"\x"), true, None),
        (BYTEA, Text(r"\x"), false, Some(b"")),
    ];
    for (oid, payload, has_tombstones, expect) in cases {
        let outbox = Outbox { tombstone_on_empty_payload: *has_tombstones, ..outbox() };
        let mut bench = Bench::new(draft(&outbox, *oid, ("more", TEXT)).unwrap());
        assert_eq!(bench.encode(&row("order", Null, *payload)).unwrap(), Step::Done);
        let value = bench.batch.records()[0].value.clone();
        assert_eq!(bench.slice(value.as_ref()), *expect, "{oid} {has_tombstones}");
    }
}

#[test]
fn a_null_key_and_null_headers_stay_null() {
    let mut outbox = outbox();
    outbox.headers = vec![("more".to_owned(), "more".to_owned())];
    let mut bench = bench(&outbox);
    let row = [Text(ID), Text("order"), Null, Null, Text("{}"), Null];
    bench.encode(&Wired::insert(&row)).unwrap();
    let event = bench.event(&bench.batch.records()[0]);
    assert_eq!(event["key"], Value::Null);
    assert_eq!(event["headers"], json!([["id", ID], ["eventType", null], ["more", null]]));
    outbox.type_column = None;
    outbox.headers.clear();
    let mut bench = self::bench(&outbox);
    bench.encode(&Wired::insert(&row)).unwrap();
    assert_eq!(bench.event(&bench.batch.records()[0])["headers"], json!([["id", ID]]));
}

#[test]
fn a_row_that_is_no_event_is_an_error() {
    let good = [Text(ID), Text("order"), Text("42"), Null, Text("{}"), Null];
    let with = |index: usize, column| {
        let mut row = good;
        row[index] = column;
        Wired::insert(&row)
    };
    let column = |name: &str| name.to_owned();
    let cases = [
        (with(0, Null), EventFault::Null { column: column("id") }),
        (with(1, Null), EventFault::Null { column: column("aggregatetype") }),
        (with(1, Unchanged), EventFault::Unavailable { column: column("aggregatetype") }),
        (with(2, Binary(b"1")), EventFault::Form { column: column("aggregateid") }),
        (with(4, Unchanged), EventFault::Unavailable { column: column("payload") }),
        (with(4, Binary(b"\x02{}")), EventFault::Form { column: column("payload") }),
    ];
    for (wired, expect) in cases {
        let error = bench(&outbox()).encode(&wired).unwrap_err();
        let Error::Event { fault, .. } = error else { panic!("{error}") };
        assert_eq!(*fault, expect);
    }
    let error = bench(&outbox()).encode(&Wired::insert(&good[..2])).unwrap_err();
    assert!(matches!(error, Error::Contradiction { .. }), "{error}");
}

/// Whoever may insert into an outbox would else stop the pipeline.
#[test]
fn an_event_that_has_no_topic_or_is_not_readable_is_a_dead_letter() {
    let mut outbox = outbox();
    outbox.routing.dead_letter_topic = Some("outbox.dead".to_owned());
    outbox.routing.topic_allow = regex::Regex::new(".*").unwrap();
    let long = "x".repeat(300);
    let good = [Text(ID), Text("order"), Text("42"), Text("T"), Text("{}"), Null];
    // The column, what is in it, and what the dead letter then says: id, key, value, topic.
    let topic = Some("outbox.event.order");
    let cases: &[(usize, Wire<'_>, &str, [Option<&str>; 4])] = &[
        (0, Null, "column id is NULL", [None, Some("42"), Some("{}"), topic]),
        (1, Null, "column aggregatetype is NULL", [Some(ID), Some("42"), Some("{}"), None]),
        (
            1,
            Text("or der"),
            "its topic is refused",
            [Some(ID), Some("42"), Some("{}"), Some("outbox.event.or der")],
        ),
        (
            1,
            Text(&long),
            "its topic is refused",
            [Some(ID), Some("42"), Some("{}"), Some(&format!("outbox.event.{long}"))],
        ),
        (2, Binary(b"1"), "column aggregateid is not", [Some(ID), None, Some("{}"), topic]),
        (4, Unchanged, "column payload was not sent", [Some(ID), Some("42"), None, topic]),
        (4, Binary(b"?{}"), "column payload is not", [Some(ID), Some("42"), Some("?{}"), topic]),
    ];
    for (index, column, error, [id, key, value, topic]) in cases {
        let mut row = good;
        row[*index] = *column;
        let mut bench = bench(&outbox);
        assert_eq!(bench.encode(&Wired::insert(&row)).unwrap(), Step::Done, "{error}");
        let [record] = bench.batch.records() else { panic!("one record") };
        let event = bench.event(record);
        let mut headers = vec![json!(["id", id]), json!(["eventType", "T"])];
        let told = event["headers"][2][1].as_str().unwrap();
        assert!(told.starts_with(error), "{told}");
        headers.push(json!(["walbrook.error", told]));
        headers.push(json!(["walbrook.outbox", "shop.outbox"]));
        let route = topic.and_then(|topic| topic.strip_prefix("outbox.event."));
        headers.extend(route.map(|route| json!(["walbrook.route", route])));
        headers.extend(topic.map(|topic| json!(["walbrook.topic", topic])));
        let expect =
            json!({ "topic": "outbox.dead", "key": key, "value": value, "headers": headers });
        assert_eq!(event, expect);
        assert_eq!(record.operation.name(), "dead_letter");
    }
}

#[test]
fn an_outbox_that_lacks_columns_or_types_is_refused() {
    let error =
        |outbox: &Outbox, payload, more| draft(outbox, payload, more).unwrap_err().to_string();
    let mut missing = outbox();
    missing.id_column = "event_id".to_owned();
    missing.headers = vec![("trace".to_owned(), "trace".to_owned())];
    assert_eq!(
        error(&missing, JSONB, ("more", TEXT)),
        "outbox table shop.outbox has no published column event_id, trace"
    );
    let mut float = outbox();
    float.headers = vec![("more".to_owned(), "more".to_owned())];
    assert_eq!(
        error(&float, JSONB, ("more", FLOAT8)),
        "outbox table shop.outbox: column more has a type that cannot be a header"
    );
    assert_eq!(
        error(&outbox(), BOOL, ("more", TEXT)),
        "outbox table shop.outbox: column payload has a type that cannot be the payload"
    );
    assert_eq!(
        error(&with_schemas(None), BYTEA, ("more", TEXT)),
        "outbox table shop.outbox: column payload has a type that cannot be a JSON payload, which \
         payload schemas need"
    );
    let mut unreadable = outbox();
    unreadable.routing.schemas = vec![schema("order", None, "{}")];
    assert_eq!(
        error(&unreadable, JSONB, ("more", TEXT)),
        "payload schema of route \"order\": not an Avro schema that can be parsed"
    );
}

fn schema(route: &str, event_type: Option<&str>, schema_json: &str) -> PayloadSchema {
    PayloadSchema {
        route: route.to_owned(),
        event_type: event_type.map(str::to_owned),
        schema_json: schema_json.to_owned(),
    }
}

fn with_schemas(dead_letter_topic: Option<&str>) -> Outbox {
    let record = |name: &str, field: &str| {
        format!(
            r#"{{"type":"record","name":"{name}","fields":[{{"name":"{field}","type":"int"}}]}}"#
        )
    };
    let mut outbox = outbox();
    outbox.routing.schemas = vec![
        schema("order", Some("Created"), &record("Created", "total")),
        schema("order", None, &record("Other", "count")),
    ];
    outbox.routing.dead_letter_topic = dead_letter_topic.map(str::to_owned);
    outbox
}

#[test]
fn a_payload_with_a_schema_is_avro() {
    let mut bench = bench(&with_schemas(None));
    let created = row("order", Text("Created"), Text(r#"{"total": 7}"#));
    let Step::Need(route) = bench.try_encode(&created).unwrap() else { panic!("a need") };
    let subjects: Vec<_> = route.schemas.iter().map(|request| &request.subject).collect();
    assert_eq!(subjects, ["outbox.event.order-value", "outbox.event.order-value"]);
    bench.encode(&created).unwrap();
    bench.encode(&row("order", Text("Changed"), Text(r#"{"count": 8}"#))).unwrap();
    bench.encode(&row("order", Null, Text(r#"{"count": 9}"#))).unwrap();
    bench.encode(&row("order", Null, Null)).unwrap();
    bench.encode(&row("invoice", Null, Text("{}"))).unwrap();
    let values: Vec<_> =
        bench.batch.records().iter().map(|record| bench.slice(record.value.as_ref())).collect();
    assert_eq!(bench.decode(values[0].unwrap()), json!({"total": 7}));
    assert_eq!(bench.decode(values[1].unwrap()), json!({"count": 8}));
    assert_eq!(bench.decode(values[2].unwrap()), json!({"count": 9}));
    assert_eq!(values[3..], [None, Some(b"{}".as_slice())]);
}

#[test]
fn a_payload_that_does_not_fit_stops_or_is_a_dead_letter() {
    let misfit = row("order", Text("Created"), Text(r#"{"total": "canary"}"#));
    let error = bench(&with_schemas(None)).encode(&misfit).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "shop.outbox: event {ID} at 0/100#1: payload.total is a string, the \
             schema wants an int"
        )
    );
    assert!(!format!("{error:?}").contains("canary"));

    let outbox = with_schemas(Some("outbox.dead"));
    assert_eq!(draft(&outbox, JSONB, ("more", TEXT)).unwrap().topics, ["outbox.dead"]);
    let mut bench = bench(&outbox);
    assert_eq!(bench.encode(&misfit).unwrap(), Step::Done);
    assert_eq!(
        bench.event(&bench.batch.records()[0]),
        json!({
            "topic": "outbox.dead",
            "key": "42",
            "value": r#"{"total": "canary"}"#,
            "headers": [
                ["id", ID],
                ["eventType", "Created"],
                ["walbrook.error", "payload.total is a string, the schema wants an int"],
                ["walbrook.outbox", "shop.outbox"],
                ["walbrook.route", "order"],
                ["walbrook.topic", "outbox.event.order"],
            ],
        })
    );
}

#[test]
fn an_outbox_has_a_limit_of_topics() {
    let mut outbox = outbox();
    outbox.routing.topic_allow = regex::Regex::new(".*").unwrap();
    let mut bench = bench(&outbox);
    for number in 0..10_000 {
        bench.encode(&row(&number.to_string(), Null, Null)).unwrap();
    }
    let error = bench.encode(&row("more", Null, Null)).unwrap_err();
    let Error::Event { fault, .. } = error else { panic!("{error}") };
    assert_eq!(*fault, EventFault::TooManyTopics { limit: 10_000 });
    assert_eq!(bench.encode(&row("77", Null, Null)).unwrap(), Step::Done);
}

#[test]
fn text_forms_are_those_of_sql() {
    let timestamps = [
        (0, "2000-01-01 00:00:00+00"),
        (-1, "1999-12-31 23:59:59.999999+00"),
        (123_450_000, "2000-01-01 00:02:03.45+00"),
        (i64::MAX, "infinity"),
        (i64::MIN, "-infinity"),
        (-63_153_648_000_000_000 - 366 * 86_400_000_000, "0003-03-01 00:00:00+00 BC"),
    ];
    let mut outbox = outbox();
    outbox.key_column = "more".to_owned();
    for (micros, expect) in timestamps {
        let mut bench = bench(&outbox);
        let micros = micros.to_be_bytes();
        let row = [Text(ID), Text("order"), Text("1"), Null, Null, Binary(&micros)];
        bench.encode(&Wired::insert(&row)).unwrap();
        let key = bench.event(&bench.batch.records()[0])["key"].clone();
        if !expect.ends_with("BC") {
            assert_eq!(key, expect);
        } else {
            assert!(key.as_str().unwrap().ends_with("+00 BC"), "{key}");
        }
    }
    for (value, expect) in [(Binary(&[1]), "true"), (Text("f"), "false")] {
        let mut bench = Bench::new(draft(&outbox, JSONB, ("more", BOOL)).unwrap());
        let row = [Text(ID), Text("order"), Text("1"), Null, Null, value];
        bench.encode(&Wired::insert(&row)).unwrap();
        assert_eq!(bench.event(&bench.batch.records()[0])["key"], expect);
    }
}

#[test]
fn a_row_that_moves_to_another_partition_is_an_update() {
    let row = |id, sent| {
        Wired::insert(&[Text(id), Text("order"), Text("42"), Null, Text("{}"), Text(sent)])
    };
    let gone = |id| Wired::delete(b'K', &[Text(id), Null, Null, Null, Null, Text("f")]);
    let unknown = || Wired::delete(b'K', &[Null, Null, Null, Null, Null, Text("f")]);
    let other = "00000000-0000-0000-0000-000000000001";
    let (updated, deleted) = (Step::Skipped(Skip::OutboxUpdate), Step::Skipped(Skip::OutboxDelete));
    let bench = |outbox: &Outbox, is_partitioned| {
        Bench::new(draft_of(outbox, JSONB, ("more", BOOL), is_partitioned).unwrap())
    };
    for (is_partitioned, changes) in [
        (true, [(gone(ID), deleted.clone()), (row(ID, "t"), updated)]),
        (true, [(gone(ID), deleted.clone()), (row(other, "t"), Step::Done)]),
        (true, [(unknown(), deleted.clone()), (row(ID, "t"), Step::Done)]),
        // Written and deleted in one transaction, as outboxes often are.
        (true, [(row(ID, "f"), Step::Done), (gone(ID), deleted.clone())]),
        (false, [(gone(ID), deleted), (row(ID, "t"), Step::Done)]),
    ] {
        let mut bench = bench(&outbox(), is_partitioned);
        for (at, (change, expect)) in changes.iter().enumerate() {
            assert_eq!(bench.encode(change).unwrap(), *expect, "{at}, {is_partitioned}");
        }
    }
    let mut bench = bench(&Outbox { on_update: OnOutboxUpdate::Fail, ..outbox() }, true);
    bench.encode(&gone(ID)).unwrap();
    let Error::Event { fault, .. } = bench.encode(&row(ID, "t")).unwrap_err() else { panic!() };
    assert_eq!(*fault, EventFault::Updated);
}

/// What the plan of a table with an outbox's columns is: `Err` names the outbox that it is like.
#[track_caller]
fn check_kin(table: &str, ancestors: Option<&[&str]>, lacks: &str, expect: Result<bool, &str>) {
    let settings = Settings { outboxes: vec![outbox()], ..settings() };
    let columns = ["id", "aggregatetype", "aggregateid", "type", "payload"];
    let columns = columns.into_iter().filter(|name| *name != lacks);
    let columns: Vec<_> = columns.map(|name| (name, TEXT, name == "id")).collect();
    let named = |table: &str| {
        let (namespace, name) = table.split_once('.').unwrap();
        (namespace.to_owned(), name.to_owned())
    };
    let (namespace, name) = named(table);
    let relation = Relation { namespace, ..relation(&name, ReplicaIdentity::Default, &columns) };
    let ancestors = ancestors.map(|names| names.iter().map(|name| named(name)).collect());
    let facts = TableFacts { ancestors, ..facts(&["id"], &["id"]) };
    let found = compile(&relation, &facts, &settings).map(|draft| draft.schemas.is_empty());
    match (found, expect) {
        (Ok(is_outbox), Ok(expect)) => assert_eq!(is_outbox, expect, "{table}"),
        (Err(Error::OutboxLike { outbox, .. }), Err(expect)) => assert_eq!(outbox, expect),
        (found, _) => panic!("{table}: {found:?}, expected {expect:?}"),
    }
}

#[test]
fn rows_of_an_outbox_are_never_rows_of_a_table() {
    let like = Err("shop.outbox");
    check_kin("shop.outbox", None, "", Ok(true));
    check_kin("shop.outbox", Some(&[]), "", Ok(true));
    // Its partitions, at any depth, and children.
    check_kin("shop.outbox_1", Some(&["shop.outbox"]), "", Ok(true));
    check_kin("parts.outbox_1", Some(&["parts.half", "shop.outbox"]), "", Ok(true));
    // One that is gone; those of other outboxes, one of them gone.
    check_kin("shop.outbox_1", None, "", like);
    check_kin("tenant.outbox", Some(&[]), "", like);
    check_kin("tenant.outbox", None, "", like);
    // Tables.
    check_kin("shop.letter", Some(&[]), "", Ok(false));
    check_kin("shop.letter_1", Some(&["shop.letter"]), "", Ok(false));
    check_kin("tenant.outbox", Some(&[]), "aggregatetype", Ok(false));
    check_kin("shop.scratch", None, "aggregatetype", Ok(false));
    check_kin("scratch.letter", None, "", Ok(false));
}

/// Each is an outbox by itself, and its events say which; one that is configured under its own name is
/// that.
#[test]
fn a_pattern_of_schemas_is_an_outbox_in_each() {
    let many = Outbox { namespace: "tenant*".to_owned(), ..outbox() };
    let one = Outbox { namespace: "tenant1".to_owned(), ..outbox() };
    let settings = Settings { outboxes: vec![many, one], ..settings() };
    let columns = ["id", "aggregatetype", "aggregateid", "type", "payload"];
    let columns = columns.map(|name| (name, TEXT, name == "id"));
    let facts = TableFacts { is_partitioned: true, ..facts(&["id"], &["id"]) };
    let bench = |namespace: &str| {
        let namespace = namespace.to_owned();
        let relation =
            Relation { namespace, ..relation("outbox", ReplicaIdentity::Default, &columns) };
        compile(&relation, &facts, &settings).map(Bench::new)
    };
    let row = Wired::insert(&[Text(ID), Text("order"), Text("42"), Null, Text("{}")]);
    let headers = |namespace| {
        let mut bench = bench(namespace).unwrap();
        bench.encode(&row).unwrap();
        bench.event(&bench.batch.records()[0])["headers"].clone()
    };
    let own = json!(["walbrook.schema", "tenant2"]);
    assert_eq!(headers("tenant2"), json!([["id", ID], ["eventType", null], own]));
    assert_eq!(headers("tenant1"), json!([["id", ID], ["eventType", null]]));
    let error = bench("other").map(|_| ()).unwrap_err();
    assert!(
        matches!(&error, Error::OutboxLike { outbox, .. } if outbox == "tenant*.outbox"),
        "{error}"
    );
    // What is deleted of one tenant has not moved to another.
    let mut deleted = LastDeleted::default();
    let mut tenants = ["tenant2", "tenant3"].map(|namespace| bench(namespace).unwrap());
    let gone = Wired::delete(b'K', &[Text(ID), Null, Null, Null, Null]);
    let mut steps = Vec::new();
    for (bench, change) in tenants.iter_mut().zip([&gone, &row]) {
        std::mem::swap(&mut bench.last_deleted, &mut deleted);
        let step = bench.encode(change).unwrap();
        std::mem::swap(&mut bench.last_deleted, &mut deleted);
        steps.push(step);
    }
    assert_eq!(steps, [Step::Skipped(Skip::OutboxDelete), Step::Done]);
}
