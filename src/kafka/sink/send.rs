//! How records get into librdkafka's queue and out of it.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, Producer as _};

use super::super::client::Producer;
use super::super::error::{Error, code_of, is_too_large, too_large};
use super::super::recovery::{self, PARTITION};
use super::super::{Deadline, SLICE};
use super::{KafkaSink, pause};
use crate::batch::{Batch, Operation, Record};
use crate::checkpoint::Checkpoint;
use crate::parked::Parked;

impl KafkaSink {
    pub(super) fn send(
        &self,
        producer: &Producer,
        batch: &Batch,
        (number, record): (usize, &Record),
        headers: Option<OwnedHeaders>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let topic = batch.topics.name(record.topic).unwrap_or_default();
        let outgoing = BaseRecord {
            topic,
            // All of it in order, whatever the topic was made with.
            partition: matches!(record.operation, Operation::Parked | Operation::SchemaChange)
                .then_some(PARTITION),
            payload: record.value.as_ref().map(|value| batch.slice(value)),
            key: record.key.as_ref().map(|key| batch.slice(key)),
            timestamp: Some(record.timestamp_ms),
            headers,
            delivery_opaque: number,
        };
        self.enqueue(producer, batch, outgoing, deadline)
    }

    pub(super) fn send_progress(
        &self,
        producer: &Producer,
        batch: &Batch,
        deadline: Deadline,
    ) -> Result<(), Error> {
        for progress in &batch.progress {
            let value = progress.to_json();
            let key = recovery::progress_key(&self.config.slot, Some(progress.relation));
            self.send_aside(producer, batch, (&key, Some(&value)), deadline)?;
        }
        Ok(())
    }

    /// Without a value a table is not parked any more.
    pub(super) fn send_parked(
        &self,
        producer: &Producer,
        batch: &Batch,
        deadline: Deadline,
    ) -> Result<(), Error> {
        for (table, parked) in &batch.parked {
            let value = parked.as_ref().map(Parked::to_json);
            let key = recovery::parked_key(&self.config.slot, table);
            self.send_aside(producer, batch, (&key, value.as_deref()), deadline)?;
        }
        Ok(())
    }

    pub(super) fn send_checkpoint(
        &self,
        producer: &Producer,
        batch: &Batch,
        next: &Checkpoint,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let value = next.to_json();
        self.send_aside(producer, batch, (self.config.slot.as_bytes(), Some(&value)), deadline)
    }

    /// Sends a record to the checkpoint topic.
    pub(super) fn send_aside(
        &self,
        producer: &Producer,
        batch: &Batch,
        (key, value): (&[u8], Option<&[u8]>),
        deadline: Deadline,
    ) -> Result<(), Error> {
        let behind = batch.records().len();
        let outgoing = BaseRecord::with_opaque_to(&self.config.kafka.checkpoint_topic, behind)
            .partition(PARTITION)
            .key(key);
        let outgoing = BaseRecord { payload: value, ..outgoing };
        self.enqueue(producer, batch, outgoing, deadline)
    }

    /// Puts a record into librdkafka's queue, waiting while that is full.
    pub(super) fn enqueue(
        &self,
        producer: &Producer,
        batch: &Batch,
        mut outgoing: BaseRecord<'_, [u8], [u8], usize>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let doing = "sending records";
        loop {
            let (error, back) = match producer.send(outgoing) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            let topic = back.topic;
            outgoing = back;
            if is_too_large(code_of(&error)) {
                return Err(too_large(
                    batch,
                    topic,
                    "it is larger than batch.max_bytes: raise that",
                ));
            }
            if code_of(&error) != RDKafkaErrorCode::QueueFull {
                return Err(self.failed_on(producer, batch, topic, doing, error));
            }
            if deadline.slice(SLICE).is_none() {
                return Err(producer.context().unanswered(doing, deadline.elapsed()));
            }
            pause(producer);
        }
    }

    /// Waits until every record is with the brokers. The transaction is not committed yet.
    pub(super) fn drain(
        &self,
        producer: &Producer,
        batch: &Batch,
        deadline: Deadline,
    ) -> Result<(), Error> {
        let doing = "waiting for records to be written";
        let mut look = Deadline::after(SLICE);
        let leader = Deadline::after(LEADERLESS);
        while 0 < producer.in_flight_count() {
            if let Some(failed) = producer.context().failed_delivery() {
                let error = KafkaError::MessageProduction(failed.code);
                return Err(self.failed(producer, batch, doing, error));
            }
            if deadline.slice(SLICE).is_none() {
                return Err(producer.context().unanswered(doing, deadline.elapsed()));
            }
            if leader.slice(SLICE).is_none() && producer.context().was_leaderless() {
                return Err(Error::Leaderless { waited: leader.elapsed() });
            }
            look = producer.context().unless_outdated(look)?;
            pause(producer);
        }
        Ok(())
    }

    /// No answer for a part of a batch, of which the brokers have another: they are slow.
    pub(super) fn slow(&self, error: Error, written: usize, records: usize) -> Error {
        match error {
            Error::Unreachable { .. } if 0 < written => {
                let timeout = self.config.kafka.transaction_timeout;
                Error::TooSlow { written, records, timeout }
            }
            error => error,
        }
    }
}

/// How long a client may take to find a partition's next leader by itself.
const LEADERLESS: Duration = Duration::from_secs(5);
