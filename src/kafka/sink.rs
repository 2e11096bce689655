//! The transactional sink.
//!
//! One loop decides everything: whatever leaves a doubt (an error, a lost answer, a commit so slow
//! that librdkafka may have repeated it) leads to a new producer, whose epoch decides the old
//! transaction, and to reading the checkpoint back. That checkpoint, and nothing else, says
//! whether a batch is committed.

mod send;

use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer as _};

use super::client::{self, Producer, Readers, SUSPICIOUS};
use super::error::{
    Error, Origin, Refused, TOO_LARGE, code_of, is_timeout, is_too_large, too_large, topic_names,
};
use super::headers::HeaderWriter;
use super::probe;
use super::recovery;
use super::told;
use super::topics::Topics;
use super::unmarked::{self, Found};
use super::{Deadline, REQUEST_TIMEOUT, SLICE};
use crate::batch::Batch;
use crate::checkpoint::Checkpoint;
use crate::columns::Told;
use crate::config::{self, BatchLimits, Kafka, TopicCreation};
use crate::edges::{Class, Receipt, Sink};
use crate::parked::Parked;
use crate::position::Position;
use crate::snapshot::Progress;

/// How often a batch is tried with a new producer before the error goes up.
const ATTEMPTS: u32 = 3;

/// How often a queue that is drained is looked at. rdkafka's own flush sleeps 100 ms at a time, and
/// its time-outs below a millisecond become none: the rest of each would be spent spinning.
const DRAIN_STEP: Duration = Duration::from_millis(1);

/// Records go to librdkafka in chunks that fit into one request a partition, each drained before the
/// next. An idempotent partition has one request in flight, and while more records wait behind it
/// for longer than the linger, librdkafka's broker thread spins, which costs a core.
pub(super) const CHUNK_RECORDS: usize = 2_000;

/// Bytes of values in a chunk; headers and keys come on top, librdkafka's batch.size is 1 MB.
const CHUNK_BYTES: usize = 800_000;

/// What the sink needs to know.
#[derive(Clone, Debug)]
pub struct SinkConfig {
    /// The cluster.
    pub kafka: Kafka,
    /// How topics are made.
    pub topics: config::Topics,
    /// Whether records carry their position in headers.
    pub position_headers: bool,
    /// How large a batch can be.
    pub batch: BatchLimits,
    /// The pipeline's name.
    pub pipeline: String,
    /// The replication slot: the key of its checkpoint.
    pub slot: String,
}

/// Batches into Kafka, each with its checkpoint in one transaction.
pub struct KafkaSink {
    config: SinkConfig,
    /// `None` after an error: nothing may be done before the slot is held and `recover` is called.
    session: Option<Session>,
    topics: Topics,
    /// The offset of a checkpoint record that is taken for none, because an operator said so.
    overridden: Option<i64>,
}

impl std::fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSink").field("slot", &self.config.slot).finish_non_exhaustive()
    }
}

/// An initialised producer, and what is known to be committed.
struct Session {
    producer: Producer,
    /// The last checkpoint in Kafka.
    last: Option<Checkpoint>,
    /// Whether a request of the last transaction may still be on its way (KIP-890).
    is_suspect: bool,
    /// The epoch and the position of the checkpoint that the session began with.
    recovered: Option<(u32, Position)>,
    /// The topics in which nothing of an earlier session is undecided.
    decided: HashSet<String>,
    /// Those that read the last checkpoint, for a while.
    readers: Option<Readers>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Committed {
    /// So fast that librdkafka cannot have repeated its end.
    AtOnce,
    /// So slow that it may have.
    Slowly,
}

impl KafkaSink {
    /// A sink that has not recovered yet. Connects to nothing.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses an option.
    pub fn new(config: SinkConfig) -> Result<Self, Error> {
        client::check(&config)?;
        Ok(Self { config, session: None, topics: Topics::default(), overridden: None })
    }

    /// A sink that takes the record at this offset of the checkpoint topic for none, if it cannot be
    /// read: for an operator who was told of it, and of no other.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses an option.
    pub fn overriding(config: SinkConfig, offset: i64) -> Result<Self, Error> {
        Ok(Self { overridden: Some(offset), ..Self::new(config)? })
    }

    /// A new epoch, and what the epochs before it have left.
    fn open(&mut self) -> Result<Session, Error> {
        tracing::debug!("recovering");
        let deadline = Deadline::after(Duration::MAX);
        let producer = client::producer(&self.config)?;
        let checkpoints = TopicCreation {
            partitions: 1,
            replication_factor: self.config.topics.checkpoint_replication_factor,
            cleanup_policy: Some("compact".into()),
            keeps_all: false,
        };
        let kafka = &self.config.kafka;
        self.topics.ensure(kafka, &producer, &kafka.checkpoint_topic, Some(&checkpoints))?;
        let limit = kafka.transaction_timeout.max(REQUEST_TIMEOUT);
        initialise(kafka, &producer, limit)?;
        let readers = Readers::new(kafka)?;
        let last = match recovery::last_checkpoint(kafka, &self.config.slot, &readers) {
            Err(Error::Checkpoint { offset, .. }) if self.overridden == Some(offset) => None,
            last => last?,
        };
        let millis = deadline.elapsed().as_millis();
        tracing::debug!(
            millis,
            position = last.as_ref().map(|c| c.position.to_string()),
            "recovered"
        );
        Ok(Session {
            producer,
            recovered: last.as_ref().map(Checkpoint::place),
            last,
            is_suspect: false,
            decided: HashSet::new(),
            readers: Some(readers),
        })
    }

    /// Commits the batch or says why not; the session that it returns is fit for the next one.
    fn settle(
        &mut self,
        mut session: Session,
        batch: &Batch,
        receipt: &mut Receipt,
    ) -> Result<Session, Error> {
        let next = batch.checkpoint.as_ref().expect("a batch that is ready has its checkpoint");
        let (mut attempt, mut has_marked) = (0, false);
        loop {
            if session.is_suspect {
                let last = session.last.take();
                // What was only slow to commit leaves nothing undecided.
                let decided = if attempt == 0 { session.decided } else { HashSet::new() };
                // Dropped before the next one is initialised, so that nothing of it comes later.
                drop(session.producer);
                session = self.open()?;
                session.decided = decided;
                receipt.rebuilds += 1;
                if session.last.as_ref() == Some(next) {
                    tracing::info!("a transaction with an unknown result was committed");
                    receipt.was_unknown = true;
                    return Ok(session);
                }
                if session.last != last {
                    return Err(self.fenced());
                }
            }
            let undecided = self.undecided(&mut session, batch, has_marked)?;
            if !undecided.is_empty() {
                self.mark(&session.producer, batch, &undecided)?;
                (session.is_suspect, has_marked) = (true, true);
                continue;
            }
            attempt += 1;
            match self.write(&session, batch, next) {
                Ok(committed) => {
                    session.last = Some(next.clone());
                    session.is_suspect = committed == Committed::Slowly;
                    return Ok(session);
                }
                Err(error) if error.class() == Class::Retry && attempt < ATTEMPTS => {
                    tracing::warn!(attempt, error = %chain(&error), "a transaction was not committed");
                    session.is_suspect = true;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Looks at the topics that this session has not written to yet: the records that are to be
    /// marked. What is undecided after that is not ours.
    fn undecided(
        &self,
        session: &mut Session,
        batch: &Batch,
        has_marked: bool,
    ) -> Result<Vec<OwnedMessage>, Error> {
        let readers = session.readers.take().filter(|readers| !readers.are_old());
        let fresh = unmarked::fresh(batch, &session.decided);
        if fresh.is_empty() {
            session.readers = readers;
            return Ok(Vec::new());
        }
        let readers = match readers {
            Some(readers) => readers,
            None => Readers::new(&self.config.kafka)?,
        };
        let mut undecided = Vec::new();
        for topic in fresh {
            match unmarked::look(&self.config, &readers, topic, session.recovered)? {
                Found::Undecided(records) if !has_marked => undecided.extend(records),
                Found::Decided | Found::Undecided(_) => {
                    session.decided.insert(topic.to_owned());
                }
                // To write to it says so.
                Found::Missing => {}
            }
        }
        session.readers = Some(readers);
        Ok(undecided)
    }

    /// Writes these records once more, in a transaction that the next epoch aborts: its mark decides
    /// theirs, if they are ours. (If they are somebody else's, it decides nothing.)
    fn mark(
        &self,
        producer: &Producer,
        batch: &Batch,
        undecided: &[OwnedMessage],
    ) -> Result<(), Error> {
        let deadline = Deadline::after(self.config.kafka.transaction_timeout);
        let fail = |doing, error| self.failed(producer, batch, doing, error);
        producer.begin_transaction().map_err(|error| fail("beginning a transaction", error))?;
        for record in undecided {
            tracing::warn!(
                topic = record.topic(),
                partition = record.partition(),
                offset = record.offset(),
                "a transaction that was aborted is not marked as that; it is marked now"
            );
            let outgoing = BaseRecord {
                topic: record.topic(),
                partition: Some(record.partition()),
                payload: record.payload(),
                key: record.key(),
                timestamp: record.timestamp().to_millis(),
                headers: record.headers().cloned(),
                // None of the batch's.
                delivery_opaque: usize::MAX,
            };
            self.enqueue(producer, batch, outgoing, deadline)?;
        }
        self.drain(producer, batch, deadline)
    }

    /// One transaction: the batch's records, its checkpoint last (I2).
    fn write(
        &self,
        session: &Session,
        batch: &Batch,
        next: &Checkpoint,
    ) -> Result<Committed, Error> {
        let Session { producer, last, .. } = session;
        let deadline = Deadline::after(self.config.kafka.transaction_timeout);
        let fail = |doing, error| self.failed(producer, batch, doing, error);
        producer.begin_transaction().map_err(|error| fail("beginning a transaction", error))?;
        let records = batch.records().len();
        tracing::debug!(records, "kafka transaction opened");
        let with_position = self.config.position_headers;
        let mut headers = HeaderWriter::new(with_position, batch, last.as_ref(), next);
        let (mut chunk_records, mut chunk_bytes) = (0, 0);
        let mut written = 0;
        for (number, record) in batch.records().iter().enumerate() {
            let headers = headers.headers(record, batch.slice(&record.headers));
            self.send(producer, batch, (number, record), headers, deadline)?;
            chunk_records += 1;
            chunk_bytes += record.value.as_ref().map_or(0, Range::len);
            if CHUNK_RECORDS <= chunk_records || CHUNK_BYTES <= chunk_bytes {
                let drained = self.drain(producer, batch, deadline);
                drained.map_err(|error| self.slow(error, written, records))?;
                written = number + 1;
                (chunk_records, chunk_bytes) = (0, 0);
            }
        }
        self.send_progress(producer, batch, deadline)?;
        self.send_parked(producer, batch, deadline)?;
        self.send_checkpoint(producer, batch, next, deadline)?;
        let drained = self.drain(producer, batch, deadline);
        drained.map_err(|error| self.slow(error, written, records))?;
        tracing::debug!(records, "kafka transaction written");
        let ending = Deadline::after(SUSPICIOUS);
        self.end(producer, batch, deadline)?;
        tracing::debug!(
            records,
            ends_inside = batch.ends_inside,
            millis = deadline.elapsed().as_millis(),
            "kafka transaction committed"
        );
        Ok(if ending.elapsed() < SUSPICIOUS { Committed::AtOnce } else { Committed::Slowly })
    }

    /// Commits the transaction.
    fn end(&self, producer: &Producer, batch: &Batch, deadline: Deadline) -> Result<(), Error> {
        let doing = "committing a transaction";
        let mut look = Deadline::after(SLICE);
        while let Some(slice) = deadline.slice(SLICE) {
            match producer.commit_transaction(slice) {
                Ok(()) => {
                    producer.context().on_answer();
                    return Ok(());
                }
                // The call is over, the commit goes on: the next call takes it up again.
                Err(error) if is_timeout(code_of(&error)) && is_retriable(&error) => {
                    producer.poll(Duration::ZERO);
                    look = producer.context().unless_outdated(look)?;
                }
                Err(error) => return Err(self.failed(producer, batch, doing, error)),
            }
        }
        Err(producer.context().unanswered(doing, deadline.elapsed()))
    }

    /// What the failure of a transaction means: a failed delivery tells more than the call.
    fn failed(
        &self,
        producer: &Producer,
        batch: &Batch,
        doing: &'static str,
        error: KafkaError,
    ) -> Error {
        let topics = topic_names(batch);
        self.failed_on(producer, batch, &topics, doing, error)
    }

    fn failed_on(
        &self,
        producer: &Producer,
        batch: &Batch,
        topic: &str,
        doing: &'static str,
        error: KafkaError,
    ) -> Error {
        use RDKafkaErrorCode as Code;
        let origin = Origin { operation: "WRITE", ..self.origin(doing).on(topic) };
        let Some(failed) = producer.context().failed_delivery() else {
            return origin.error(error);
        };
        let origin = origin.on(&failed.topic);
        match failed.code {
            Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition => {
                self.missing(&failed.topic)
            }
            code if is_too_large(code) => too_large(batch, &failed.topic, TOO_LARGE),
            code => match origin.known(code) {
                Some(Error::RecordRefused { topic, reason, .. }) => {
                    let record = batch.records().get(failed.record);
                    let record = record.map(|record| Refused::new(batch, record));
                    Error::RecordRefused { topic, record, reason }
                }
                Some(known) => known,
                // A call that says more than that a record failed (that we are fenced) goes first.
                None => origin.known(code_of(&error)).unwrap_or_else(|| {
                    tracing::debug!(%error, records = batch.records().len(), "transaction failed");
                    origin.error(KafkaError::MessageProduction(code))
                }),
            },
        }
    }

    /// A topic that was there is gone: starting again creates it, if that is configured.
    fn missing(&self, topic: &str) -> Error {
        if self.config.topics.create.is_some() {
            return Error::MissingTopic { topic: topic.to_owned(), command: None };
        }
        super::topics::missing(&self.config.kafka, topic, None)
    }

    /// Makes sure that a topic of our own exists, of which nothing is deleted.
    fn ensure_own(&mut self, topic: &str) -> Result<(), Error> {
        let Some(session) = &self.session else { return Err(Error::NotRecovered) };
        let creation = self.config.topics.keeping_all();
        self.topics.ensure(&self.config.kafka, &session.producer, topic, Some(&creation))
    }

    fn fenced(&self) -> Error {
        Error::Fenced { transactional_id: self.config.kafka.transactional_id.clone() }
    }

    fn origin(&self, doing: &'static str) -> Origin<'_> {
        client::origin(&self.config.kafka, doing)
    }
}

impl Sink for KafkaSink {
    type Error = Error;

    fn recover(&mut self) -> Result<Option<Checkpoint>, Error> {
        // An old producer is dropped first: it is never used again (I8).
        self.session = None;
        self.topics.clear();
        let session = self.open()?;
        let last = session.last.clone();
        self.session = Some(session);
        Ok(last)
    }

    fn progress(&mut self, tables: usize) -> Result<Vec<Progress>, Error> {
        let Some(session) = &self.session else { return Err(Error::NotRecovered) };
        let (kafka, slot) = (&self.config.kafka, &self.config.slot);
        match &session.readers {
            Some(readers) => recovery::last_progress(kafka, slot, tables, readers),
            None => recovery::last_progress(kafka, slot, tables, &Readers::new(kafka)?),
        }
    }

    fn parked(&mut self, tables: usize) -> Result<Vec<Parked>, Error> {
        let Some(session) = &self.session else { return Err(Error::NotRecovered) };
        let (kafka, slot) = (&self.config.kafka, &self.config.slot);
        match &session.readers {
            Some(readers) => recovery::last_parked(kafka, slot, tables, readers),
            None => recovery::last_parked(kafka, slot, tables, &Readers::new(kafka)?),
        }
    }

    fn open_parked(&mut self) -> Result<i64, Error> {
        let topic = self.config.kafka.parked_topic.clone();
        self.ensure_own(&topic)?;
        let Some(session) = &self.session else { return Err(Error::NotRecovered) };
        recovery::end(&self.config.kafka, &session.producer, &topic)
    }

    fn told(&mut self) -> Result<Vec<Told>, Error> {
        let Some(topic) = self.config.kafka.schema_changes_topic.clone() else {
            return Ok(Vec::new());
        };
        self.ensure_own(&topic)?;
        told::read(&self.config.kafka, &topic, (&self.config.pipeline, &self.config.slot))
    }

    fn ensure_topic(&mut self, topic: &str) -> Result<(), Error> {
        let Some(session) = &self.session else { return Err(Error::NotRecovered) };
        let creation = self.config.topics.create.as_ref();
        self.topics.ensure(&self.config.kafka, &session.producer, topic, creation)
    }

    fn is_compacted(&mut self, topic: &str) -> Result<bool, Error> {
        probe::is_compacted(&self.config.kafka, topic)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Receipt, Error> {
        let session = self.session.take().ok_or(Error::NotRecovered)?;
        let mut receipt = Receipt::default();
        self.session = Some(self.settle(session, batch, &mut receipt)?);
        Ok(receipt)
    }

    fn class(error: &Error) -> Class {
        error.class()
    }
}

/// Fences every other producer of the transactional id; their transactions are decided then.
pub(super) fn initialise(
    config: &Kafka,
    producer: &Producer,
    limit: Duration,
) -> Result<(), Error> {
    let origin = client::origin(config, "initialising transactions");
    let deadline = Deadline::after(limit);
    client::serve(producer);
    while let Some(slice) = deadline.slice(SLICE) {
        let Err(error) = producer.init_transactions(slice) else {
            producer.context().on_answer();
            return Ok(());
        };
        if let Some(known) = origin.known(code_of(&error)) {
            return Err(known);
        }
        if !is_retriable(&error) {
            return Err(origin.error(error));
        }
        // Hands out the client's events: its errors, its wish for a token.
        producer.poll(Duration::from_millis(10));
        if let Some(refused) = producer.context().refused() {
            return Err(refused);
        }
    }
    Err(producer.context().unanswered(origin.doing, deadline.elapsed()))
}

/// Hands out the client's events, then waits for librdkafka's threads to do something.
fn pause(producer: &Producer) {
    producer.poll(Duration::ZERO);
    std::thread::sleep(DRAIN_STEP);
}

/// Whether the same call may be made again.
fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => {
            error.is_retriable() && !error.is_fatal() && !error.txn_requires_abort()
        }
        error => is_timeout(code_of(error)),
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
