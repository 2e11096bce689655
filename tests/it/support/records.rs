//! What is in Kafka, as a reader with `isolation.level=read_committed` sees it.

use std::time::{Duration, Instant};

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::kafka::Kafka;
use super::registry::Registry;

/// One Kafka record.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Where it is.
    pub(crate) topic: String,
    /// Where it is.
    pub(crate) partition: i32,
    /// Where it is.
    pub(crate) offset: i64,
    /// Its timestamp, milliseconds since 1970-01-01 UTC.
    pub(crate) timestamp_ms: i64,
    /// Its key; `None` is a null key.
    pub(crate) key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub(crate) value: Option<Vec<u8>>,
    /// Its headers, in order.
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// The text of the first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        value.as_deref().map(|bytes| std::str::from_utf8(bytes).unwrap())
    }

    /// The value, decoded; `None` is a tombstone.
    pub(crate) fn value(&self, registry: &Registry) -> Option<Value> {
        self.value.as_deref().map(|bytes| decode(registry, bytes))
    }

    /// The key, decoded.
    pub(crate) fn key(&self, registry: &Registry) -> Option<Value> {
        self.key.as_deref().map(|bytes| decode(registry, bytes))
    }
}

/// Decodes bytes in Confluent's framing: 0, the schema's id, Avro.
pub(crate) fn decode(registry: &Registry, bytes: &[u8]) -> Value {
    let (head, mut body) = bytes.split_at(5);
    assert_eq!(head[0], 0, "the framing's first byte");
    let schema = registry.schema(u32::from_be_bytes(head[1..].try_into().unwrap()));
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let value = reader.read_value(&mut body).unwrap();
    assert!(body.is_empty(), "{} bytes after the value", body.len());
    value
}

/// Everything that is committed in these topics, partition by partition in the order of offsets.
/// A topic that does not exist has no records.
pub(crate) fn read_committed(kafka: &Kafka, topics: &[&str]) -> Vec<Record> {
    read(kafka, topics, "read_committed")
}

/// The same with records of open and aborted transactions.
pub(crate) fn read_uncommitted(kafka: &Kafka, topics: &[&str]) -> Vec<Record> {
    read(kafka, topics, "read_uncommitted")
}

fn read(kafka: &Kafka, topics: &[&str], isolation: &str) -> Vec<Record> {
    let mut config = kafka.client_config();
    config.set("group.id", "walbrook-test").set("isolation.level", isolation);
    config.set("enable.partition.eof", "true").set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "earliest").set("check.crcs", "true");
    // The broker says at once that a partition is empty.
    config.set("fetch.wait.max.ms", "10");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut records = Vec::new();
    for topic in topics {
        for partition in 0..partitions(&consumer, topic) {
            // One at a time: the end-of-partition event does not name the topic.
            read_partition(&consumer, topic, partition, &mut records);
        }
    }
    records
}

fn read_partition(consumer: &BaseConsumer, topic: &str, partition: i32, records: &mut Vec<Record>) {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    let mut deadline = Instant::now() + SILENCE_LIMIT;
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                records.push(record(&message));
                deadline = Instant::now() + SILENCE_LIMIT;
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return,
            Some(Err(error)) => panic!("reading {topic} {partition}: {error}"),
            None => assert!(Instant::now() < deadline, "reading {topic} {partition}: no answer"),
        }
    }
}

/// How many partitions the topic has; 0 if it does not exist.
pub(crate) fn partitions(consumer: &BaseConsumer, topic: &str) -> i32 {
    let metadata = consumer.fetch_metadata(Some(topic), SILENCE_LIMIT).unwrap();
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    found.map_or(0, |found| i32::try_from(found.partitions().len()).unwrap())
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let own = |value: &[u8]| value.to_vec();
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(own))).collect()
    });
    Record {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
    }
}

const SILENCE_LIMIT: Duration = Duration::from_secs(30);
