//! Turning a row into its record allocates nothing once the batch has grown. A binary of its own
//! without a harness, because the counter counts for the whole process.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use walbrook::batch::{Batch, TopicTable};
use walbrook::change::{Change, Op, Xact};
use walbrook::config::{
    Before, Children, Format, KeyField, KeyNames, OnNullRoute, OnOutboxUpdate, OnTruncate, Outbox,
    Records, Refused, Routing, Selection, SharedTopic, TablePattern, Tables, Template, Timestamp,
};
use walbrook::encode::{Naming, Values};
use walbrook::facts::TableFacts;
use walbrook::plan::{Context, LastDeleted, Plan, Registered, SchemaId, Settings, Step, compile};
use walbrook::position::{Lsn, Position, Xid};
use walbrook::wal::{Message, Relation, RelationColumn, RelationId, ReplicaIdentity};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROWS: u64 = 10_000;

fn main() {
    let row: [&[u8]; 5] =
        [&[7; 16], b"order", &[0, 0, 0, 0, 0, 0, 0, 42], b"Created", b"\x01{\"a\": 1}"];
    let insert = [b"I\0\0\0\x01N".as_slice(), &tuple(&row)].concat();
    let update = [b"U\0\0\0\x01O", tuple(&row).as_slice(), b"N", &tuple(&row)].concat();
    let delete = [b"D\0\0\0\x01O".as_slice(), &tuple(&row)].concat();
    for frame in [&insert, &update, &delete] {
        allocates_nothing(&mut plan(&settings(Vec::new())), frame);
    }
    allocates_nothing(&mut plan(&settings(vec![outbox()])), &insert);
    let shared = Settings { shared: vec![shared()], ..settings(Vec::new()) };
    for frame in [&insert, &update, &delete] {
        allocates_nothing(&mut plan(&shared), frame);
    }
}

/// A topic whose keys and headers name the table.
fn shared() -> SharedTopic {
    let template = |text| Template::parse(text).unwrap();
    let value = template("{schema}");
    SharedTopic {
        number: 1,
        tables: vec![TablePattern::parse("*.*").unwrap()],
        topic: template("all"),
        key_field: Some(KeyField { name: "source_table".to_owned(), value }),
    }
}

fn allocates_nothing((plan, topics): &mut (Plan, TopicTable), frame: &[u8]) {
    let mut batch = Batch::default();
    encode(plan, topics, frame, &mut batch);
    batch.clear();
    let region = Region::new(GLOBAL);
    encode(plan, topics, frame, &mut batch);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{ROWS} rows: {change:?}");
    assert!(ROWS <= u64::try_from(batch.records().len()).unwrap());
}

fn encode(plan: &mut Plan, topics: &mut TopicTable, frame: &[u8], batch: &mut Batch) {
    let xact = Xact {
        xid: Xid(7),
        commit_lsn: Lsn(0x100),
        commit_time_us: 1_700_000_000_123_456,
        previous_commit_lsn: Lsn(0x90),
    };
    let context = Context { now_us: 1_700_000_001_000_001 };
    let mut last_deleted = LastDeleted::default();
    for ordinal in 1..=ROWS {
        let op = match Message::parse(frame).unwrap() {
            Message::Delete { relation, old } => Op::Delete { relation, old },
            Message::Insert { relation, new } => Op::Insert { relation, new },
            Message::Update { relation, old, new } => Op::Update { relation, old, new },
            other => panic!("no row: {other:?}"),
        };
        let position = Position { commit_lsn: Lsn(0x100), ordinal };
        let change = Change { position, lsn: Lsn(0x95), xact: &xact, op };
        match plan.encode(&change, &context, &mut last_deleted, batch).unwrap() {
            Step::Done => continue,
            Step::Need(route) => plan.route(&route, topics, &[]),
            other => panic!("{other:?}"),
        }
        assert_eq!(plan.encode(&change, &context, &mut last_deleted, batch).unwrap(), Step::Done);
    }
}

fn tuple(columns: &[&[u8]]) -> Vec<u8> {
    let mut bytes = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for column in columns {
        bytes.push(b'b');
        bytes.extend(u32::try_from(column.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(column);
    }
    bytes
}

fn plan(settings: &Settings) -> (Plan, TopicTable) {
    let columns =
        [("id", 2950), ("aggregatetype", 25), ("aggregateid", 20), ("type", 25), ("payload", 3802)];
    let column = |(name, type_oid): (&str, u32)| RelationColumn {
        name: name.to_owned(),
        is_identity: true,
        type_oid,
        type_modifier: -1,
    };
    let relation = Relation {
        id: RelationId(1),
        namespace: "shop".to_owned(),
        name: "outbox".to_owned(),
        identity: ReplicaIdentity::Full,
        columns: columns.map(column).into(),
    };
    let facts = TableFacts { primary_key: vec!["id".to_owned()], ..TableFacts::default() };
    let draft = compile(&relation, &facts, &Registered::default(), settings).unwrap();
    let ids: Vec<_> = draft.schemas.iter().map(|_| SchemaId(1)).collect();
    let mut topics = TopicTable::default();
    (draft.finish(&mut topics, &ids), topics)
}

fn settings(outboxes: Vec<Outbox>) -> Settings {
    Settings {
        prefix: "srv".to_owned(),
        template: Template::default(),
        shared: Vec::new(),
        parked_topic: "walbrook.shop.parked".to_owned(),
        checkpoint_topic: "walbrook.shop.checkpoint".to_owned(),
        schema_changes_topic: None,
        database: "shopdb".to_owned(),
        tables: Tables {
            selection: Selection::default(),
            before: Before::Separate,
            tombstones: true,
            truncate: OnTruncate::Written,
            key_format: Format::Avro,
            key_names: KeyNames::Topic,
            value_format: Format::Avro,
            refused: Refused::default(),
            name_adjustment: Naming::Avro,
            children: Children::Own,
        },
        values: Values::default(),
        outboxes,
        message_outbox: None,
        records: Records { timestamp: Timestamp::Commit, position_headers: true },
    }
}

fn outbox() -> Outbox {
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
        routing: Routing {
            topic_template: "outbox.event.{route}".to_owned(),
            topic_allow: regex::Regex::new(r"outbox\.event\..*").unwrap(),
            schemas: Vec::new(),
            dead_letter_topic: None,
        },
    }
}
