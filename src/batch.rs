//! A batch: the unit of atomicity and of memory between reader and writer.
//!
//! Two of them go round: free, filling, ready, committing, free (I6). Keys, values and extra
//! headers of all records lie back to back in one buffer; a record is a set of ranges in it. The
//! batch's checkpoint is written last in the same Kafka transaction (I2).

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::checkpoint::Checkpoint;
use crate::parked::{self, Parked};
use crate::position::{Position, Xid};
use crate::snapshot::Progress;

/// The number of a topic, as one table's, in the [`TopicTable`] of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopicId(pub u32);

/// The names of the topics that records go to, once for each table that writes there; each keeps its id
/// for the whole run.
#[derive(Clone, Debug, Default)]
pub struct TopicTable {
    topics: Vec<Topic>,
}

/// A topic, and the table whose records go there: `schema.table`, as metrics show it.
#[derive(Clone, Debug)]
struct Topic {
    name: Arc<str>,
    table: Arc<str>,
}

impl TopicTable {
    /// The id of the topic `name` of `table`, added if it is new.
    ///
    /// # Panics
    ///
    /// With more than `u32::MAX` topics.
    pub fn intern(&mut self, name: &str, table: &str) -> TopicId {
        let is_it = |known: &Topic| &*known.name == name && &*known.table == table;
        if let Some(index) = self.topics.iter().position(is_it) {
            return TopicId(u32::try_from(index).unwrap_or(u32::MAX));
        }
        let id = u32::try_from(self.topics.len()).expect("fewer topics than u32 counts");
        self.topics.push(Topic { name: name.into(), table: table.into() });
        TopicId(id)
    }

    /// The name of `id`; `None` if it is not of this table.
    #[must_use]
    pub fn name(&self, id: TopicId) -> Option<&str> {
        self.topic(id).map(|topic| &*topic.name)
    }

    /// The table whose records go to `id`; `None` if it is not of this table.
    #[must_use]
    pub fn table(&self, id: TopicId) -> Option<&str> {
        self.topic(id).map(|topic| &*topic.table)
    }

    fn topic(&self, id: TopicId) -> Option<&Topic> {
        self.topics.get(usize::try_from(id.0).ok()?)
    }

    /// How many topics there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }
}

/// What a record says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A row was inserted.
    Create,
    /// An outbox event that does not fit, on its way to the dead-letter topic.
    DeadLetter,
    /// A row was deleted.
    Delete,
    /// What an outbox row or message became.
    Outbox,
    /// A change that cannot be written, on its way to the topic of what is parked.
    Parked,
    /// A row was there when a snapshot was taken.
    Read,
    /// A table has other columns from here on.
    SchemaChange,
    /// The key of a deleted row with a null value.
    Tombstone,
    /// A table was truncated.
    Truncate,
    /// A row was updated.
    Update,
}

impl Operation {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 10] = [
        Self::Create,
        Self::DeadLetter,
        Self::Delete,
        Self::Outbox,
        Self::Parked,
        Self::Read,
        Self::SchemaChange,
        Self::Tombstone,
        Self::Truncate,
        Self::Update,
    ];

    /// The word for it, in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::DeadLetter => "dead_letter",
            Self::Delete => "delete",
            Self::Outbox => "outbox",
            Self::Parked => "parked",
            Self::Read => "read",
            Self::SchemaChange => "schema_change",
            Self::Tombstone => "tombstone",
            Self::Truncate => "truncate",
            Self::Update => "update",
        }
    }
}

/// One Kafka record: ranges of the batch's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic.
    pub topic: TopicId,
    /// What it says happened.
    pub operation: Operation,
    /// The key's bytes; `None` is a null key.
    pub key: Option<Range<usize>>,
    /// The value's bytes; `None` is a null value (a tombstone).
    pub value: Option<Range<usize>>,
    /// Extra headers (`push_header`).
    pub headers: Range<usize>,
    /// The record's timestamp, milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
    /// The position of the change that made it.
    pub position: Position,
    /// Its number among the records of that change.
    pub part: u32,
    /// The transaction of that change; 0, which is none, for a row of a snapshot.
    pub xid: Xid,
}

/// Records, their bytes, and the checkpoint that covers them.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// The topics that the records name; set when the batch is handed to the writer.
    pub topics: Arc<TopicTable>,
    /// What is durable once this batch is; set when the batch is handed to the writer.
    pub checkpoint: Option<Checkpoint>,
    /// How far tables were read, as far as that is news.
    pub progress: Vec<Progress>,
    /// Tables that are parked, as far as that is news; none of one that is not any more.
    pub parked: Vec<(String, Option<Parked>)>,
    /// Whether a transaction was cut before this batch's first record (I9); its records say so.
    pub starts_inside: bool,
    /// Whether a transaction was cut after this batch's last record (I9); its records say so.
    pub ends_inside: bool,
    /// The commit time of the oldest transaction in it, microseconds since 1970-01-01 UTC.
    pub oldest_commit_us: Option<i64>,
}

/// A place in a batch to fall back to, so that a change's records enter it whole or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    records: usize,
}

impl Mark {
    /// Whether no record is before it.
    #[must_use]
    pub fn is_start(self) -> bool {
        self.records == 0
    }
}

impl Batch {
    /// A batch of no records: a checkpoint of its own.
    #[must_use]
    pub fn of(checkpoint: Checkpoint) -> Self {
        Self { checkpoint: Some(checkpoint), ..Self::default() }
    }

    /// An empty batch with room for so much, which it takes from the system as it is filled.
    #[must_use]
    pub fn with_capacity(bytes: usize, records: usize) -> Self {
        let (bytes, records) = (Vec::with_capacity(bytes), Vec::with_capacity(records));
        Self { bytes, records, ..Self::default() }
    }

    /// The buffer to append keys, values and headers to before [`push`](Self::push).
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Adds a record whose bytes are in the buffer.
    pub fn push(&mut self, record: Record) {
        debug_assert!(
            self.records.last().is_none_or(|last| {
                let (last_place, place) =
                    ((last.position, last.part), (record.position, record.part));
                // The pieces of a parked change are one record to who reads them.
                last_place < place || last_place == place && record.operation == Operation::Parked
            }),
            "positions of records increase (I3)"
        );
        self.records.push(record);
    }

    /// Puts a record, whose bytes are in the buffer, before those of its change, which begin at `mark`: it
    /// takes the part of the first, and each of them the next.
    pub fn precede(&mut self, mark: Mark, mut record: Record) {
        let behind = self.records.get_mut(mark.records..).unwrap_or_default();
        if let Some(first) = behind.first() {
            record.part = first.part;
        }
        behind.iter_mut().for_each(|record| record.part += 1);
        self.records.insert(mark.records, record);
    }

    /// A change of a transaction that committed at `commit_time_us` is in the batch.
    pub fn note_commit_time(&mut self, commit_time_us: i64) {
        let oldest = self.oldest_commit_us.unwrap_or(commit_time_us);
        self.oldest_commit_us = Some(oldest.min(commit_time_us));
    }

    /// Where the batch ends now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), records: self.records.len() }
    }

    /// Takes back everything after `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        self.records.truncate(mark.records);
    }

    /// Moves everything after `mark` into `rest`, which is empty.
    pub fn split_off(&mut self, mark: Mark, rest: &mut Self) {
        debug_assert!(rest.is_empty(), "what is moved comes first");
        let own = |range: Range<usize>| range.start - mark.bytes..range.end - mark.bytes;
        rest.bytes.extend_from_slice(self.bytes.get(mark.bytes..).unwrap_or_default());
        rest.records.extend(self.records.drain(mark.records..).map(|record| Record {
            key: record.key.map(own),
            value: record.value.map(own),
            headers: own(record.headers),
            ..record
        }));
        self.bytes.truncate(mark.bytes);
    }

    /// Takes the records of `other`, which were made apart, to `position`, as its parts from `part` on.
    /// Each says in a header of that name where it was.
    pub fn adopt(
        &mut self,
        other: &Self,
        (position, part): (Position, u32),
        (header, was): (&str, impl Fn(&Record) -> String),
    ) {
        for (record, part) in other.records.iter().zip(part..) {
            let mut copy = |range: &Range<usize>| {
                let start = self.bytes.len();
                self.bytes.extend_from_slice(other.slice(range));
                start..self.bytes.len()
            };
            let (key, value) =
                (record.key.as_ref().map(&mut copy), record.value.as_ref().map(&mut copy));
            let headers = copy(&record.headers);
            push_header(&mut self.bytes, header, Some(was(record).as_bytes()));
            let headers = headers.start..self.bytes.len();
            self.push(Record { key, value, headers, position, part, ..record.clone() });
        }
    }

    /// How many changes of each table that is parked are in it.
    #[must_use]
    pub fn parked_changes(&self) -> BTreeMap<&[u8], u64> {
        let mut changes = BTreeMap::new();
        for record in self.records.iter().filter(|it| it.operation == Operation::Parked) {
            let [key, value] =
                [&record.key, &record.value].map(|range| self.part_of(range.as_ref()));
            if !parked::has_more(value) {
                *changes.entry(key).or_default() += 1;
            }
        }
        changes
    }

    fn part_of(&self, range: Option<&Range<usize>>) -> &[u8] {
        range.map(|range| self.slice(range)).unwrap_or_default()
    }

    /// Empties the batch, keeping its memory.
    pub fn clear(&mut self) {
        let Self { bytes, records, .. } = std::mem::take(self);
        (self.bytes, self.records) = (bytes, records);
        self.bytes.clear();
        self.records.clear();
    }

    /// The records in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The bytes of one range of one of its records.
    #[must_use]
    pub fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    /// Bytes of keys, values and headers.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it holds no record (it may still carry a checkpoint).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

/// Appends one extra header to `buffer`: name length (u32), name, value length (u32, all ones for
/// null), value. Read back by [`headers`].
pub fn push_header(buffer: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    let length = |buffer: &mut Vec<u8>, n: usize| {
        buffer.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX - 1).to_le_bytes());
    };
    length(buffer, name.len());
    buffer.extend_from_slice(name.as_bytes());
    match value {
        None => buffer.extend_from_slice(&u32::MAX.to_le_bytes()),
        Some(value) => {
            length(buffer, value.len());
            buffer.extend_from_slice(value);
        }
    }
}

/// The headers that [`push_header`] wrote, in order.
pub fn headers(mut bytes: &[u8]) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
    std::iter::from_fn(move || {
        let name_length = take_length(&mut bytes)?;
        let (name, rest) = bytes.split_at_checked(usize::try_from(name_length).ok()?)?;
        bytes = rest;
        let value = match take_length(&mut bytes)? {
            u32::MAX => None,
            length => {
                let (value, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
                bytes = rest;
                Some(value)
            }
        };
        Some((std::str::from_utf8(name).ok()?, value))
    })
}

fn take_length(bytes: &mut &[u8]) -> Option<u32> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    Some(u32::from_le_bytes(*length))
}
