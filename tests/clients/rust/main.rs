//! A consumer of walbrook's topics in Rust: rdkafka and apache-avro.
//!
//! It reads committed records of the topics that it is given (avro:TOPIC=KIND or json:TOPIC=KIND, where
//! KIND says what is in it) until it has seen so many, and prints each in one line of JSON. It is built
//! with walbrook's own lock file. See docs/clients.md.

#![allow(clippy::indexing_slicing, reason = "what JSON lacks is null there")]

mod cells;

use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde_json::{Value as Json, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The command line.
struct Given {
    bootstrap: String,
    registry: String,
    /// How many records to read; 0 goes on for ever.
    records: usize,
    /// By name, how a topic is written, and what is in it.
    topics: HashMap<String, (String, String)>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let given = parse(std::env::args().skip(1))?;
    // reqwest wants to know who does TLS, also where it does none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &given.bootstrap);
    config.set("group.id", "a-consumer-in-rust");
    config.set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
    // The default of librdkafka; said here since it matters.
    config.set("isolation.level", "read_committed");
    let consumer: BaseConsumer = config.create()?;
    let names: Vec<&str> = given.topics.keys().map(String::as_str).collect();
    consumer.subscribe(&names)?;
    println!("{}", json!({ "client": versions() }));
    let mut registry = Registry { url: given.registry, schemas: HashMap::new() };
    let mut seen = 0;
    while given.records == 0 || seen < given.records {
        let Some(record) = consumer.poll(Duration::from_secs(1)) else { continue };
        let record = record?;
        let (format, kind) = &given.topics[record.topic()];
        println!("{}", line(&mut registry, &record, format == "avro", kind == "outbox").await?);
        seen += 1;
    }
    Ok(())
}

/// What is printed of a record.
async fn line(
    registry: &mut Registry,
    record: &BorrowedMessage<'_>,
    is_avro: bool,
    is_outbox: bool,
) -> Result<Json> {
    let mut line = json!({
        "topic": record.topic(), "partition": record.partition(), "offset": record.offset(),
    });
    let key = record.key().ok_or("a record without a key")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if is_outbox {
        let payload = match record.payload() {
            // A tombstone.
            None => Json::Null,
            Some(payload) if is_avro => registry.decode(payload).await?.try_into()?,
            Some(payload) => serde_json::from_slice::<Json>(payload)?,
        };
        let id = record.headers().into_iter().flat_map(Headers::iter).find(|it| it.key == "id");
        let id = id.and_then(|id| id.value).ok_or("an event without an id")?;
        line["key"] = text(key).into();
        line["event"] = json!({"id": text(id), "payload": payload});
        return Ok(line);
    }
    // With key_format = "string" the key is the column's text.
    line["key"] = match is_avro {
        true => cells::text(field(&registry.decode(key).await?, "id")).into(),
        false => text(key).into(),
    };
    line["op"] = "tombstone".into();
    let Some(value) = record.payload() else { return Ok(line) };
    if is_avro {
        let event = registry.decode(value).await?;
        line["op"] = cells::text(field(&event, "op")).into();
        if let Value::Record(row) = cells::bare(field(&event, "after")) {
            line["row"] = cells::avro(row);
        }
    } else {
        let event: Json = serde_json::from_slice(value)?;
        line["op"] = event["op"].clone();
        if let Json::Object(row) = &event["after"] {
            line["row"] = cells::json(row);
        }
    }
    Ok(line)
}

/// A record's field.
fn field<'a>(record: &'a Value, name: &str) -> &'a Value {
    let Value::Record(fields) = record else { return &Value::Null };
    fields.iter().find(|(it, _)| it == name).map_or(&Value::Null, |(_, value)| value)
}

/// Decodes Avro in Confluent's framing, by the schemas that records name, each asked for once.
struct Registry {
    url: String,
    schemas: HashMap<u32, Schema>,
}

impl Registry {
    async fn decode(&mut self, bytes: &[u8]) -> Result<Value> {
        let Some((&[0, a, b, c, d], mut body)) = bytes.split_first_chunk() else {
            return Err("these bytes do not begin with a schema's id".into());
        };
        let id = u32::from_be_bytes([a, b, c, d]);
        if !self.schemas.contains_key(&id) {
            let url = format!("{}/schemas/ids/{id}", self.url);
            let answer = reqwest::get(url).await?.error_for_status()?.json::<Json>().await?;
            let schema = answer["schema"].as_str().ok_or("an answer without a schema")?;
            self.schemas.insert(id, Schema::parse_str(schema)?);
        }
        let reader = GenericDatumReader::builder(&self.schemas[&id]).build()?;
        Ok(reader.read_value(&mut body)?)
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Given> {
    let mut given = Given {
        bootstrap: "localhost:9092".to_owned(),
        registry: "http://localhost:8081".to_owned(),
        records: 0,
        topics: HashMap::new(),
    };
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--bootstrap" => given.bootstrap = value()?,
            "--registry" => given.registry = value()?,
            "--records" => given.records = value()?.parse()?,
            "--without" => drop(value()?),
            topic => {
                let parts = topic.split_once(':').zip(topic.rsplit_once('='));
                let ((format, rest), (_, kind)) = parts.ok_or("topics are avro:TOPIC=KIND")?;
                let name = rest.trim_end_matches(kind).trim_end_matches('=');
                given.topics.insert(name.to_owned(), (format.to_owned(), kind.to_owned()));
            }
        }
    }
    Ok(given)
}

/// The crates' versions, from the lock file.
fn versions() -> String {
    let lock = include_str!("../../../Cargo.lock");
    let version = |name: &str| {
        let (_, rest) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        rest.split('"').next()
    };
    let named = ["apache-avro", "rdkafka"]
        .map(|name| format!("{name} {}", version(name).unwrap_or("of an unknown version")));
    named.join(", ")
}
