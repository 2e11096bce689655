//! From Kafka into the store.

use std::collections::HashMap;
use std::convert::Infallible;
use std::thread::sleep;
use std::time::Duration;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode::BrokerTransportFailure;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde::Deserialize;

use crate::{Given, Result, Store};

const TOPIC: &str = "shop.event.order";
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One of the outbox: who it is is in its record's headers, what it says in the value.
pub struct Event {
    pub partition: i32,
    pub offset: i64,
    pub id: String,
    pub sign: i64,
    pub lines: Vec<Line>,
}

/// What we count of a type of events: others are 0, and may have other schemas, or no value at all.
fn sign(kind: &str) -> i64 {
    match kind {
        "OrderPlaced" => 1,
        "OrderCancelled" => -1,
        _ => 0,
    }
}

/// Of the schema we declare what we want.
#[derive(Deserialize)]
pub struct Order {
    pub lines: Vec<Line>,
}

#[derive(Deserialize)]
pub struct Line {
    pub product: i64,
    pub quantity: i64,
}

/// Something that passes: the same is tried again.
#[derive(Debug)]
struct Trouble(String);

impl std::error::Error for Trouble {}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Counts events for ever; after any trouble it begins again where its store says.
pub fn follow(given: &Given, mut store: Store) -> Result<Infallible> {
    let mut registry = Registry::new(given);
    let mut is_calm = true;
    loop {
        let Err(error) = consume(given, &mut store, &mut registry, &mut is_calm);
        let trouble = error.downcast::<Trouble>()?;
        if is_calm {
            eprintln!("inventory-rust: {trouble}; trying again");
        }
        is_calm = false;
        sleep(Duration::from_secs(1));
    }
}

fn consume(
    given: &Given,
    store: &mut Store,
    registry: &mut Registry,
    is_calm: &mut bool,
) -> Result<Infallible> {
    let gone = |_| Trouble(format!("Kafka does not answer at {}", given.bootstrap));
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &given.bootstrap)
        // It must have a name, but joins no group: partitions are assigned below, and nothing is
        // committed.
        .set("group.id", "inventory-rust")
        .set("enable.auto.commit", "false")
        // librdkafka's default; said here since it matters. (Most other clients must be told.)
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .create()?;
    let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(gone)?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == TOPIC);
    let topic = topic.ok_or_else(|| Trouble(format!("Kafka has no topic {TOPIC} yet")))?;
    let mut places = TopicPartitionList::new();
    for partition in topic.partitions() {
        let next = store.position(partition.id())?.map_or(Offset::Beginning, Offset::Offset);
        places.add_partition_offset(TOPIC, partition.id(), next)?;
    }
    consumer.assign(&places)?;
    loop {
        let mut events = Vec::new();
        // It waits for the first one alone.
        let mut wait = Duration::from_secs(1);
        while events.len() < 500
            && let Some(record) = consumer.poll(wait)
        {
            wait = Duration::ZERO;
            match record {
                Ok(record) => events.push(registry.event(&record)?),
                // One server of several may be gone: librdkafka goes on with the others by itself.
                Err(error) if error.rdkafka_error_code() == Some(BrokerTransportFailure) => {}
                Err(error) => return Err(gone(error).into()),
            }
        }
        if events.is_empty() {
            // Nothing new, or no Kafka? librdkafka does not tell; this fails if nobody answers.
            consumer.fetch_metadata(Some(TOPIC), PATIENCE).map_err(gone)?;
        }
        store.take(&events)?;
        *is_calm = true;
    }
}

/// Decodes Avro by the schemas that records name, each of which it asks for once.
struct Registry {
    url: String,
    agent: ureq::Agent,
    schemas: HashMap<u32, Schema>,
}

impl Registry {
    fn new(given: &Given) -> Self {
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build();
        Self { url: given.registry.clone(), agent: agent.into(), schemas: HashMap::new() }
    }

    fn event(&mut self, record: &BorrowedMessage<'_>) -> Result<Event> {
        let header = |name| {
            let mut headers = record.headers().into_iter().flat_map(Headers::iter);
            let value = headers.find(|header| header.key == name).and_then(|header| header.value);
            String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
        };
        let sign = sign(&header("eventType"));
        let lines = match record.payload() {
            Some(value) if sign != 0 => self.decode(value)?.lines,
            _ => Vec::new(),
        };
        let (partition, offset) = (record.partition(), record.offset());
        Ok(Event { partition, offset, id: header("id"), sign, lines })
    }

    /// In Confluent's framing: a zero, the id of the schema in four bytes, the value.
    fn decode(&mut self, bytes: &[u8]) -> Result<Order> {
        let Some((&[0, a, b, c, d], mut body)) = bytes.split_first_chunk() else {
            return Err("these bytes do not begin with a schema's id".into());
        };
        let id = u32::from_be_bytes([a, b, c, d]);
        if !self.schemas.contains_key(&id) {
            self.schemas.insert(id, self.schema(id)?);
        }
        let value =
            GenericDatumReader::builder(&self.schemas[&id]).build()?.read_value(&mut body)?;
        Ok(apache_avro::from_value(&value)?)
    }

    fn schema(&self, id: u32) -> Result<Schema> {
        #[derive(Deserialize)]
        struct Answer {
            schema: String,
        }
        let answer = self.agent.get(format!("{}/schemas/ids/{id}", self.url)).call();
        let answer = answer.and_then(|mut answer| answer.body_mut().read_json::<Answer>());
        let answer =
            answer.map_err(|_| Trouble(format!("the registry does not answer at {}", self.url)))?;
        Ok(Schema::parse_str(&answer.schema)?)
    }
}
