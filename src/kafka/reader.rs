//! Reading topics from their beginning, without a group and without a trace: what is committed, up to
//! where a partition ends when it is asked.

use std::ops::Range;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Producer, Readers};
use super::error::{Error, Origin};
use super::headers::POSITION;
use super::recovery::{self, is_of_group, is_passing};
use super::{Deadline, REQUEST_TIMEOUT, SLICE, topics};
use crate::config::Kafka;

/// A reader of topics.
pub struct TopicReader {
    config: Kafka,
    metadata: Producer,
    readers: Readers,
    topic: String,
    partition: i32,
    end: i64,
    is_done: bool,
}

/// A record of a topic.
pub struct TopicRecord<'a>(BorrowedMessage<'a>);

impl TopicReader {
    /// A reader that has nothing to read yet.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses its options, or a secret cannot be had.
    pub fn new(config: &Kafka) -> Result<Self, Error> {
        Ok(Self {
            config: config.clone(),
            metadata: client::plain(config)?,
            readers: Readers::new(config)?,
            topic: String::new(),
            partition: 0,
            end: 0,
            is_done: true,
        })
    }

    /// How many partitions a topic has; `None` if there is no such topic.
    ///
    /// # Errors
    ///
    /// If Kafka cannot be reached, or refuses.
    pub fn partitions(&self, topic: &str) -> Result<Option<i32>, Error> {
        let origin = client::origin(&self.config, "looking for a topic").on(topic);
        let shape = topics::describe(&self.metadata, origin, topic)?;
        Ok(shape.map(|shape| i32::try_from(shape.partitions).unwrap_or(i32::MAX)))
    }

    /// The offsets of what is in a partition now, once all of it is decided.
    ///
    /// # Errors
    ///
    /// [`Error::HangingTransaction`] if that takes longer than `kafka.recovery_timeout`; if Kafka
    /// cannot be reached, or refuses.
    pub fn offsets(&self, topic: &str, partition: i32) -> Result<Range<i64>, Error> {
        let origin = client::origin(&self.config, "asking for the offsets of a topic").on(topic);
        let origin = Origin { operation: "READ", ..origin };
        let limit = self.config.recovery_timeout;
        recovery::settle(&self.readers, (topic, partition), limit, origin)
            .map(|(low, high)| low..high)
    }

    /// Reads these offsets from now on.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses.
    pub fn seek(&mut self, topic: &str, partition: i32, offsets: Range<i64>) -> Result<(), Error> {
        topic.clone_into(&mut self.topic);
        (self.partition, self.end) = (partition, offsets.end);
        self.is_done = offsets.is_empty();
        let mut partitions = TopicPartitionList::with_capacity(1);
        let start = Offset::Offset(offsets.start);
        partitions
            .add_partition_offset(topic, partition, start)
            .and_then(|()| self.readers.committed.assign(&partitions))
            .map_err(|error| self.error(error))
    }

    /// The next record; `None` when all were read.
    ///
    /// # Errors
    ///
    /// If Kafka cannot be reached, or refuses.
    pub fn next_record(&mut self) -> Result<Option<TopicRecord<'_>>, Error> {
        let deadline = Deadline::after(REQUEST_TIMEOUT);
        let consumer = &self.readers.committed;
        while !self.is_done {
            let Some(slice) = deadline.slice(SLICE) else {
                return Err(consumer.context().unanswered(READING, deadline.elapsed()));
            };
            match consumer.poll(slice) {
                None => {}
                Some(Ok(record)) if record.offset() < self.end => {
                    self.is_done = record.offset() + 1 == self.end;
                    return Ok(Some(TopicRecord(record)));
                }
                Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => self.is_done = true,
                Some(Err(error)) if is_passing(&error) || is_of_group(&error) => {
                    if let Some(refused) = consumer.context().refused() {
                        return Err(refused);
                    }
                }
                Some(Err(error)) => return Err(self.error(error)),
            }
        }
        Ok(None)
    }

    fn error(&self, source: KafkaError) -> Error {
        let origin = client::origin(&self.config, READING).on(&self.topic);
        Origin { operation: "READ", ..origin }.error(source)
    }
}

impl TopicRecord<'_> {
    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.0.offset()
    }

    /// Its key; `None` is a null key.
    #[must_use]
    pub fn key(&self) -> Option<&[u8]> {
        self.0.key()
    }

    /// Its value; `None` is a tombstone.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        self.0.payload()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, Option<Vec<u8>>)> {
        let headers = self.0.headers().into_iter().flat_map(|headers| headers.iter());
        headers.map(|it| (it.key.to_owned(), it.value.map(<[u8]>::to_vec))).collect()
    }

    /// The header with its position, if it is walbrook's.
    #[must_use]
    pub fn position(&self) -> Option<&str> {
        self.header(POSITION)
    }

    /// The text of the first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.0.headers()?.iter().find(|header| header.key == name)?;
        std::str::from_utf8(header.value?).ok()
    }
}

const READING: &str = "reading a topic";
