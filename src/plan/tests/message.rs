//! The outbox without a table.

use super::*;
use crate::config::PayloadSchema;

fn bench(dead_letter_topic: Option<&str>) -> Bench {
    let schema = PayloadSchema {
        route: "typed".to_owned(),
        event_type: None,
        schema_json: r#"{"type":"record","name":"T","fields":[{"name":"n","type":"long"}]}"#
            .to_owned(),
    };
    let routing = Routing {
        schemas: vec![schema],
        dead_letter_topic: dead_letter_topic.map(str::to_owned),
        ..routing()
    };
    let outbox = MessageOutbox { prefix: "outbox".to_owned(), routing };
    let settings = Settings { message_outbox: Some(outbox), ..settings() };
    Bench::new(compile_message_outbox(&settings).unwrap().unwrap())
}

#[test]
fn without_configuration_there_is_no_plan() {
    assert!(compile_message_outbox(&settings()).unwrap().is_none());
}

#[test]
fn a_message_is_an_event() {
    let mut bench = bench(None);
    let content = r#"{"id": "e1", "aggregatetype": "order", "aggregateid": 42,
        "type": "Created", "payload": {"b": 1.10, "a": "\u00e9"}}"#;
    assert_eq!(bench.encode(&Wired::message(content)).unwrap(), Step::Done);
    let bare = r#"{"aggregatetype": "order", "id": 5, "payload": null}"#;
    assert_eq!(bench.encode(&Wired::message(bare)).unwrap(), Step::Done);
    let events: Vec<_> = bench.batch.records().iter().map(|record| bench.event(record)).collect();
    assert_eq!(
        events,
        [
            json!({
                "topic": "outbox.event.order",
                "key": "42",
                "value": r#"{"b": 1.10, "a": "\u00e9"}"#,
                "headers": [["id", "e1"], ["eventType", "Created"]],
            }),
            json!({
                "topic": "outbox.event.order",
                "key": null,
                "value": null,
                "headers": [["id", "5"], ["eventType", null]],
            }),
        ]
    );
}

#[test]
fn a_message_with_a_schema_is_avro() {
    let mut bench = bench(None);
    let content = r#"{"id": "e1", "aggregatetype": "typed", "payload": {"n": 9007199254740993}}"#;
    bench.encode(&Wired::message(content)).unwrap();
    let value = bench.batch.records()[0].value.clone();
    let value = bench.decode(bench.slice(value.as_ref()).unwrap());
    assert_eq!(value, json!({"n": 9_007_199_254_740_993_i64}));
}

#[test]
fn content_that_is_no_event_stops_or_is_a_dead_letter() {
    let cases = [
        ("canary", "it is not JSON"),
        ("[]", "it is not an object"),
        (r#"{"id": 1}"#, "its aggregatetype is missing or no string or number"),
        (r#"{"id": [], "aggregatetype": "a"}"#, "its id is missing or no string or number"),
        (r#"{"id": 1, "aggregatetype": "a", "type": {}}"#, "its type is no string"),
        (r#"{"id": 1, "id": 2, "aggregatetype": "a"}"#, "it has a member twice"),
        (r#"{"id": 1, "aggregatetype": "a", "x": 1}"#, "it has a member that events do not have"),
    ];
    for (content, reason) in cases {
        let error = bench(None).encode(&Wired::message(content)).unwrap_err();
        let expect = format!(
            "logical messages: event (unknown) at 0/100#1: the message's content is not an event: \
             {reason}"
        );
        assert_eq!(error.to_string(), expect);
        let mut bench = bench(Some("dead"));
        assert_eq!(bench.encode(&Wired::message(content)).unwrap(), Step::Done);
        let event = bench.event(&bench.batch.records()[0]);
        assert_eq!((&event["topic"], &event["value"]), (&json!("dead"), &json!(content)));
        assert_eq!(event["headers"][0][0], "walbrook.error");
    }
}

#[test]
fn rows_do_not_belong_here() {
    let error = bench(None).encode(&Wired::insert(&[])).unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");
}
