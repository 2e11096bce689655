//! Plans at the waist: bytes of pgoutput messages in, records out, decoded by apache-avro.

mod formats;
mod message;
mod outbox;
mod registered;
mod shape;
mod table;
mod topic;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use serde_json::{Value, json};

use std::ops::Range;

use super::*;
use crate::batch::{Record, headers};
use crate::change::{Op, Xact};
use crate::config::{
    Before, Children, Format, KeyNames, OnNullRoute, OnOutboxUpdate, OnTruncate, Refused, Routing,
    Selection, TablePattern, Template,
};
use crate::facts::Leaf;
use crate::position::{Lsn, Position, Xid};
use crate::types::{TypeFacts, TypeShape};
use crate::wal::{Message, RelationColumn, RelationId, ReplicaIdentity};

/// The plan of a table whose subjects have no schemas.
pub(super) fn compile(
    relation: &Relation,
    facts: &TableFacts,
    settings: &Settings,
) -> Result<Draft, Error> {
    super::compile(relation, facts, &Registered::default(), settings)
}

/// A column as it goes over the wire.
#[derive(Clone, Copy)]
pub(super) enum Wire<'a> {
    Binary(&'a [u8]),
    Null,
    Text(&'a str),
    Unchanged,
}

/// A pgoutput message, borrowed for the encoding of one change.
pub(super) struct Wired(Vec<u8>, Option<u32>);

impl Wired {
    pub(super) fn insert(new: &[Wire<'_>]) -> Self {
        Self([b"I\0\0\0\x01N", tuple(new).as_slice()].concat(), None)
    }

    pub(super) fn update(old: Option<(u8, &[Wire<'_>])>, new: &[Wire<'_>]) -> Self {
        let mut bytes = b"U\0\0\0\x01".to_vec();
        if let Some((kind, old)) = old {
            bytes.push(kind);
            bytes.extend(tuple(old));
        }
        bytes.push(b'N');
        bytes.extend(tuple(new));
        Self(bytes, None)
    }

    pub(super) fn delete(kind: u8, old: &[Wire<'_>]) -> Self {
        Self([b"D\0\0\0\x01", [kind].as_slice(), tuple(old).as_slice()].concat(), None)
    }

    pub(super) fn truncate() -> Self {
        Self(b"T\0\0\0\x01\0\0\0\0\x01".to_vec(), None)
    }

    pub(super) fn message(content: &str) -> Self {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        Self([b"M\x01\0\0\0\0\0\0\0\x01outbox\0", &length[..], content.as_bytes()].concat(), None)
    }

    /// The row of an insert as one that was pending.
    pub(super) fn pending(self, part: u32) -> Self {
        Self(self.0, Some(part))
    }

    fn op(&self) -> Op<'_> {
        match (Message::parse(&self.0).unwrap(), self.1) {
            (Message::Delete { relation, old }, _) => Op::Delete { relation, old },
            (Message::Insert { relation, new }, Some(part)) => Op::Pending { relation, part, new },
            (Message::Insert { relation, new }, None) => Op::Insert { relation, new },
            (Message::Message { prefix, content, .. }, _) => Op::Message { prefix, content },
            (Message::Truncate { relations, .. }, _) => {
                Op::Truncate { relation: relations.iter().next().unwrap(), part: 0 }
            }
            (Message::Update { relation, old, new }, _) => Op::Update { relation, old, new },
            other => panic!("no change: {other:?}"),
        }
    }
}

fn tuple(columns: &[Wire<'_>]) -> Vec<u8> {
    let mut bytes = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for column in columns {
        let (tag, value) = match column {
            Wire::Binary(value) => (b'b', *value),
            Wire::Null => (b'n', [].as_slice()),
            Wire::Text(value) => (b't', value.as_bytes()),
            Wire::Unchanged => (b'u', [].as_slice()),
        };
        bytes.push(tag);
        if matches!(tag, b'b' | b't') {
            bytes.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
            bytes.extend(value);
        }
    }
    bytes
}

/// `shop.<name>` with columns of name, type OID, and whether the identity has them.
pub(super) fn relation(
    name: &str,
    identity: ReplicaIdentity,
    columns: &[(&str, u32, bool)],
) -> Relation {
    let column = |&(name, type_oid, is_identity): &(&str, u32, bool)| RelationColumn {
        name: name.to_owned(),
        is_identity,
        type_oid,
        type_modifier: -1,
    };
    Relation {
        id: RelationId(1),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        identity,
        columns: columns.iter().map(column).collect(),
    }
}

pub(super) fn facts(not_null: &[&str], primary_key: &[&str]) -> TableFacts {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    TableFacts {
        not_null: owned(not_null),
        primary_key: owned(primary_key),
        ..TableFacts::default()
    }
}

pub(super) fn settings() -> Settings {
    Settings {
        prefix: "srv".to_owned(),
        template: Template::default(),
        shared: Vec::new(),
        database: "shopdb".to_owned(),
        checkpoint_topic: "walbrook.shop.checkpoint".to_owned(),
        parked_topic: "walbrook.shop.parked".to_owned(),
        schema_changes_topic: None,
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
        values: Values { unavailable_value: "__unavailable".to_owned(), ..Values::default() },
        outboxes: Vec::new(),
        message_outbox: None,
        records: Records { timestamp: Timestamp::Commit, position_headers: true },
    }
}

pub(super) fn routing() -> Routing {
    Routing {
        topic_template: "outbox.event.{route}".to_owned(),
        topic_allow: regex::Regex::new(r"outbox\.event\.[a-z]+|outbox\.event\.UPPER").unwrap(),
        schemas: Vec::new(),
        dead_letter_topic: None,
    }
}

/// A plan with its batch, and what the outside keeps: topics, and schemas by their id.
pub(super) struct Bench {
    pub(super) plan: Plan,
    pub(super) batch: Batch,
    pub(super) topics: TopicTable,
    pub(super) schemas: Vec<SchemaRequest>,
    /// Whether topics are compacted.
    pub(super) is_compacted: bool,
    pub(super) last_deleted: LastDeleted,
    ordinal: u64,
}

impl Bench {
    pub(super) fn new(draft: Draft) -> Self {
        let mut topics = TopicTable::default();
        let schemas = draft.schemas.clone();
        let ids: Vec<_> = (0..u32::try_from(schemas.len()).unwrap()).map(SchemaId).collect();
        let plan = draft.finish(&mut topics, &ids);
        let last_deleted = LastDeleted::default();
        let (batch, is_compacted) = (Batch::default(), false);
        Self { plan, batch, topics, schemas, is_compacted, last_deleted, ordinal: 0 }
    }

    /// Encodes a change as the pipeline does: answers a need, then encodes again.
    pub(super) fn encode(&mut self, wired: &Wired) -> Result<Step, Error> {
        self.ordinal += 1;
        match self.try_encode(wired)? {
            Step::Need(route) => {
                let first = self.schemas.len();
                self.schemas.extend(route.schemas.iter().cloned());
                let ids: Vec<_> = (first..self.schemas.len())
                    .map(|id| SchemaId(u32::try_from(id).unwrap()))
                    .collect();
                self.plan.route(&route, &mut self.topics, &ids);
                self.try_encode(wired)
            }
            Step::Policy(_) => {
                self.plan.take_policy(self.is_compacted);
                self.try_encode(wired)
            }
            step => Ok(step),
        }
    }

    /// Encodes a change once; checks that the batch is left alone unless it is done.
    pub(super) fn try_encode(&mut self, wired: &Wired) -> Result<Step, Error> {
        let xact = Xact {
            xid: Xid(7),
            commit_lsn: Lsn(0x100),
            commit_time_us: 1_700_000_000_123_456,
            previous_commit_lsn: Lsn(0x90),
        };
        let change = Change {
            position: Position { commit_lsn: Lsn(0x100), ordinal: self.ordinal },
            lsn: Lsn(0x95),
            xact: &xact,
            op: wired.op(),
        };
        let before = (self.batch.byte_len(), self.batch.records().len());
        let context = Context { now_us: 1_700_000_001_000_001 };
        let step = self.plan.encode(&change, &context, &mut self.last_deleted, &mut self.batch);
        if !matches!(step, Ok(Step::Done)) {
            assert_eq!((self.batch.byte_len(), self.batch.records().len()), before);
        }
        step
    }

    /// Framed Avro as JSON.
    pub(super) fn decode(&self, bytes: &[u8]) -> Value {
        let ([0, a, b, c, d], avro) = bytes.split_first_chunk().unwrap() else {
            panic!("no framing: {bytes:?}")
        };
        let id = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap();
        let schema = Schema::parse_str(&self.schemas[id].schema_json).unwrap();
        let mut rest = avro;
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        let value = reader.read_value(&mut rest).unwrap();
        assert!(rest.is_empty(), "{} bytes are left", rest.len());
        value.try_into().unwrap()
    }

    pub(super) fn slice(&self, range: Option<&Range<usize>>) -> Option<&[u8]> {
        range.map(|range| self.batch.slice(range))
    }

    /// A record of a table in one line: `part key op before -> after`.
    pub(super) fn line(&self, record: &Record) -> String {
        let key = self.slice(record.key.as_ref()).map_or(Value::Null, |key| self.decode(key));
        let part = record.part;
        match self.slice(record.value.as_ref()) {
            None => format!("{part} {key} tombstone"),
            Some(value) => {
                let value = self.decode(value);
                let op = value["op"].as_str().unwrap();
                format!("{part} {key} {op} {} -> {}", value["before"], value["after"])
            }
        }
    }

    /// A record of an outbox as JSON: topic, key, value and headers as text.
    pub(super) fn event(&self, record: &Record) -> Value {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers: Vec<_> = headers(self.batch.slice(&record.headers))
            .map(|(name, value)| json!([name, value.map(text)]))
            .collect();
        json!({
            "topic": self.topics.name(record.topic),
            "key": self.slice(record.key.as_ref()).map(text),
            "value": self.slice(record.value.as_ref()).map(text),
            "headers": headers,
        })
    }
}
