//! Reading the checkpoint back: wait until everything is decided, then read backwards.
//!
//! The checkpoint topic can hold millions of records between compactions, and the one that counts
//! is the last. Offsets are read in windows that grow from the end; a window ends by position,
//! never by count, because compacted, aborted and marker offsets yield no record.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Consumer, Producer, Readers};
use super::error::{Error, Origin, code_of, is_timeout};
use super::{Deadline, REQUEST_TIMEOUT, SLICE};
use crate::checkpoint::Checkpoint;
use crate::config::{Config, Kafka};
use crate::parked::Parked;
use crate::snapshot::Progress;
use crate::wal::RelationId;

/// The partition of the checkpoint topic.
pub(super) const PARTITION: i32 = 0;

/// How many offsets the first window has: the last checkpoint and its transaction's marker, and
/// some aborted attempts.
const WINDOW_MIN: i64 = 16;

/// How much larger each further window is.
const WINDOW_GROWTH: i64 = 16;

/// How often undecided offsets are looked at again.
const WAIT_STEP: Duration = Duration::from_millis(20);

/// The last checkpoint of the configured slot, without fencing anybody: for commands that show it.
///
/// # Errors
///
/// If Kafka cannot be reached, refuses, or the record is not a checkpoint.
pub fn read_checkpoint(config: &Config) -> Result<Option<Checkpoint>, Error> {
    let topic = &config.kafka.checkpoint_topic;
    let producer = client::plain(&config.kafka)?;
    let doing = "looking for the checkpoint topic";
    let origin = client::origin(&config.kafka, doing).on(topic);
    if super::topics::describe(&producer, origin, topic)?.is_none() {
        return Ok(None);
    }
    last_checkpoint(&config.kafka, &config.replication.slot, &Readers::new(&config.kafka)?)
}

/// How far the tables of a checkpoint were read, without fencing anybody: for commands.
///
/// # Errors
///
/// If Kafka cannot be reached, refuses, or a record is not a table's progress.
pub fn read_progress(config: &Config, checkpoint: &Checkpoint) -> Result<Vec<Progress>, Error> {
    let tables = checkpoint.snapshots.map_or(0, |snapshots| snapshots.tables);
    let tables = usize::try_from(tables).unwrap_or(usize::MAX);
    let readers = Readers::new(&config.kafka)?;
    last_progress(&config.kafka, &config.replication.slot, tables, &readers)
}

/// Waits until nothing in the checkpoint partition is undecided, then reads the slot's last
/// checkpoint.
pub(super) fn last_checkpoint(
    config: &Kafka,
    slot: &str,
    readers: &Readers,
) -> Result<Option<Checkpoint>, Error> {
    let reader = Reader { config, readers };
    let found = reader.last(|found| !found.is_empty(), |key| key == slot.as_bytes())?;
    match found.into_values().next() {
        Some((offset, value)) => parse(&config.checkpoint_topic, offset, value.as_deref()),
        None => Ok(None),
    }
}

/// How far each of so many tables was read: the last record of each.
pub(super) fn last_progress(
    config: &Kafka,
    slot: &str,
    tables: usize,
    readers: &Readers,
) -> Result<Vec<Progress>, Error> {
    let reader = Reader { config, readers };
    let prefix = progress_key(slot, None);
    let found = reader.last(|found| tables <= found.len(), |key| key.starts_with(&prefix))?;
    let parse = |(offset, value): Found| {
        let parsed = Progress::from_json(&value?);
        Some(parsed.map_err(|source| Error::Progress {
            topic: config.checkpoint_topic.clone(),
            partition: PARTITION,
            offset,
            source,
        }))
    };
    found.into_values().filter_map(parse).collect()
}

/// So many tables that are parked, without fencing anybody: for commands.
///
/// # Errors
///
/// If Kafka cannot be reached, refuses, or a record is not a parked table.
pub fn read_parked(config: &Config, checkpoint: &Checkpoint) -> Result<Vec<Parked>, Error> {
    let tables = usize::try_from(checkpoint.parked).unwrap_or(usize::MAX);
    let readers = Readers::new(&config.kafka)?;
    last_parked(&config.kafka, &config.replication.slot, tables, &readers)
}

/// So many tables that are parked: the last record of each.
pub(super) fn last_parked(
    config: &Kafka,
    slot: &str,
    tables: usize,
    readers: &Readers,
) -> Result<Vec<Parked>, Error> {
    let reader = Reader { config, readers };
    let prefix = parked_key(slot, "");
    // Of those that are parked no more a tombstone is left, or nothing.
    let is_all =
        |found: &Last| tables <= found.values().filter(|(_, value)| value.is_some()).count();
    let found = reader.last(is_all, |key| key.starts_with(&prefix))?;
    let parse = |(offset, value): Found| {
        let parsed = Parked::from_json(&value?);
        Some(parsed.map_err(|source| Error::Parked {
            topic: config.checkpoint_topic.clone(),
            partition: PARTITION,
            offset,
            source,
        }))
    };
    found.into_values().filter_map(parse).collect()
}

/// Where the topic of what is parked ends.
pub(super) fn end(config: &Kafka, producer: &Producer, topic: &str) -> Result<i64, Error> {
    let origin = client::origin(config, "asking for the end of a topic").on(topic);
    let (_, end) = client::ask(producer, origin, REQUEST_TIMEOUT, |producer, slice| {
        producer.client().fetch_watermarks(topic, PARTITION, slice)
    })?;
    Ok(end)
}

/// The key of a parked table's record; its beginning, which all of a slot share, for the table "".
pub(super) fn parked_key(slot: &str, table: &str) -> Vec<u8> {
    format!("{slot}!{table}").into_bytes()
}

/// The key of a table's record; its beginning, which all of a slot share, without a table.
pub(super) fn progress_key(slot: &str, table: Option<RelationId>) -> Vec<u8> {
    let table = table.map_or_else(String::new, |table| table.to_string());
    format!("{slot}/{table}").into_bytes()
}

/// The checkpoint in a record. A record without a value (a tombstone: nobody here writes one, but
/// an operator may) says that there is no checkpoint, whatever was before it; a start is then
/// judged like any without one. An empty value is no tombstone, but a checkpoint that is broken.
fn parse(topic: &str, offset: i64, value: Option<&[u8]>) -> Result<Option<Checkpoint>, Error> {
    let Some(value) = value else { return Ok(None) };
    Checkpoint::from_json(value).map(Some).map_err(|source| Error::Checkpoint {
        topic: topic.to_owned(),
        partition: PARTITION,
        offset,
        source,
    })
}

/// Waits until all of a partition is decided, which is when the stable offset reaches what the high
/// watermark was; returns the low watermark and that high one.
pub(super) fn settle(
    readers: &Readers,
    (topic, partition): (&str, i32),
    limit: Duration,
    origin: Origin<'_>,
) -> Result<(i64, i64), Error> {
    let place = (topic, partition);
    let (low, high) = watermarks(&readers.all, place, origin)?;
    let deadline = Deadline::after(limit);
    loop {
        let (_, stable) = watermarks(&readers.committed, place, origin)?;
        if high <= stable {
            return Ok((low, high));
        }
        let Some(step) = deadline.slice(WAIT_STEP) else {
            let (topic, waited) = (topic.to_owned(), deadline.elapsed());
            return Err(Error::HangingTransaction { topic, partition, stable, high, waited });
        };
        // Nothing is assigned: this waits, and serves the client.
        let _ = readers.all.poll(step);
    }
}

/// Where a partition begins and ends for this consumer; asked for until a broker answers.
fn watermarks(
    consumer: &Consumer,
    (topic, partition): (&str, i32),
    origin: Origin<'_>,
) -> Result<(i64, i64), Error> {
    let deadline = Deadline::after(REQUEST_TIMEOUT);
    loop {
        // Hands out the client's events: its errors, its wish for a token.
        let _ = consumer.poll(Duration::ZERO);
        let Some(slice) = deadline.slice(SLICE) else {
            return Err(consumer.context().unanswered(origin.doing, deadline.elapsed()));
        };
        match consumer.fetch_watermarks(topic, partition, slice) {
            Ok(watermarks) => return Ok(watermarks),
            Err(error) if is_passing(&error) => {
                let _ = consumer.poll(WAIT_STEP);
                if let Some(refused) = consumer.context().refused() {
                    return Err(refused);
                }
            }
            Err(error) => return Err(origin.error(error)),
        }
    }
}

/// The last record of a key: its offset, and its value; `None` is a tombstone.
type Found = (i64, Option<Vec<u8>>);

/// The last records of some keys.
type Last = BTreeMap<Vec<u8>, Found>;

struct Reader<'a> {
    config: &'a Kafka,
    readers: &'a Readers,
}

impl Reader<'_> {
    fn settle(&self) -> Result<(i64, i64), Error> {
        let origin = self.origin("asking for the offsets of the checkpoint topic");
        let place = (&*self.config.checkpoint_topic, PARTITION);
        settle(self.readers, place, self.config.recovery_timeout, origin)
    }

    /// Waits until nothing is undecided, and reads the last record of each key that is wanted, until
    /// they are enough.
    fn last(
        &self,
        are_enough: impl Fn(&Last) -> bool,
        is_wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Last, Error> {
        let (low, high) = self.settle()?;
        let mut found = Last::new();
        let mut end = high;
        let mut size = WINDOW_MIN;
        while low < end && !are_enough(&found) {
            let start = end.saturating_sub(size).max(low);
            for (key, record) in self.read_window(start, end, &is_wanted)? {
                found.entry(key).or_insert(record);
            }
            end = start;
            size = size.saturating_mul(WINDOW_GROWTH);
        }
        let rested = self.readers.rest();
        rested.map_err(|error| self.error("leaving the checkpoint topic", error))?;
        Ok(found)
    }

    /// The last record of each key that is wanted in `start..end`.
    fn read_window(
        &self,
        start: i64,
        end: i64,
        is_wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Last, Error> {
        let doing = "reading the checkpoint topic";
        self.assign(start).map_err(|error| self.error(doing, error))?;
        let mut found = Last::new();
        // Renewed by every record: a window may be large, but it must go on.
        let mut deadline = Deadline::after(REQUEST_TIMEOUT);
        loop {
            let Some(slice) = deadline.slice(SLICE) else {
                return Err(self.readers.committed.context().unanswered(doing, deadline.elapsed()));
            };
            match self.readers.committed.poll(slice) {
                None => {}
                Some(Ok(record)) if record.offset() < end => {
                    if let Some(key) = record.key().filter(|key| is_wanted(key)) {
                        let value = record.payload().map(<[u8]>::to_vec);
                        found.insert(key.to_vec(), (record.offset(), value));
                    }
                    if record.offset() + 1 == end {
                        return Ok(found);
                    }
                    deadline = Deadline::after(REQUEST_TIMEOUT);
                }
                Some(Ok(_) | Err(KafkaError::PartitionEOF(PARTITION))) => return Ok(found),
                Some(Err(error)) if is_passing(&error) || is_of_group(&error) => {
                    if let Some(refused) = self.readers.committed.context().refused() {
                        return Err(refused);
                    }
                }
                Some(Err(error)) => return Err(self.error(doing, error)),
            }
        }
    }

    fn assign(&self, start: i64) -> Result<(), KafkaError> {
        let mut partitions = TopicPartitionList::with_capacity(1);
        let topic = &self.config.checkpoint_topic;
        partitions.add_partition_offset(topic, PARTITION, Offset::Offset(start))?;
        // What is left of an earlier assignment is dropped by librdkafka, not handed out.
        self.readers.committed.assign(&partitions)
    }

    fn error(&self, doing: &'static str, source: KafkaError) -> Error {
        self.origin(doing).error(source)
    }

    fn origin(&self, doing: &'static str) -> Origin<'_> {
        let topic = &self.config.checkpoint_topic;
        Origin { operation: "READ", ..client::origin(self.config, doing).on(topic) }
    }
}

/// Errors that librdkafka gets over by itself, or that asking again does.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    let code = code_of(error);
    is_timeout(code)
        || matches!(
            code,
            RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::Authentication
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::LeaderNotAvailable
                | RDKafkaErrorCode::NotLeaderForPartition
                | RDKafkaErrorCode::OffsetNotAvailable
                | RDKafkaErrorCode::Resolve
                | RDKafkaErrorCode::SSL
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
}

/// librdkafka looks for the coordinator of the group that it must name, though it is never joined;
/// no permission on that group is needed.
pub(super) fn is_of_group(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::CoordinatorLoadInProgress
            | RDKafkaErrorCode::NotCoordinator
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tombstone_is_no_checkpoint_and_what_cannot_be_read_names_the_way_out() {
        assert!(parse("t", 7, None).unwrap().is_none());
        let golden = include_bytes!("../../tests/golden/checkpoint/format-1.json");
        assert!(parse("t", 7, Some(golden)).unwrap().is_some());
        for broken in [&b""[..], b"null", b"{", br#"{"format":2}"#] {
            let error = parse("t", 7, Some(broken)).unwrap_err();
            for words in ["t-0 at offset 7", "walbrook checkpoint accept --reason"] {
                assert!(error.to_string().contains(words), "{error}");
            }
        }
    }
}
