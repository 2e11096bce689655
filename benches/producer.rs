//! A bare transactional producer: what Kafka takes from librdkafka when nothing else is to be done.
//!
//! ```text
//! producer BOOTSTRAP TOPIC SAMPLE RECORDS
//! ```
//!
//! Sends the records of the file SAMPLE, again and again, until RECORDS are committed, in transactions
//! of walbrook's size and with its settings of librdkafka. Prints the seconds from the first record to
//! the last commit.
//!
//! ```text
//! SAMPLE:  per record: key, value, count of headers (u32), per header: name, value
//!          each: length (u32) │ bytes;  numbers are little-endian
//! ```

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// As many records are in a transaction: `batch.target_records`.
const TXN_RECORDS: usize = 20_000;

/// And in a request: one partition has one under way, and librdkafka spins while more wait.
const REQUEST_RECORDS: usize = 2_000;

const LIMIT: Duration = Duration::from_secs(60);

struct Record<'a> {
    key: &'a [u8],
    value: &'a [u8],
    headers: Vec<(&'a str, &'a [u8])>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, sample, records, ..] = arguments.as_slice() else {
        panic!("usage: producer BOOTSTRAP TOPIC SAMPLE RECORDS");
    };
    let sample = std::fs::read(sample).unwrap();
    let sample = parse(&sample);
    let producer = producer(bootstrap, topic);
    producer.init_transactions(LIMIT).unwrap();
    let started = Instant::now();
    let mut endless = sample.iter().cycle();
    let mut left: usize = records.parse().unwrap();
    while 0 < left {
        let count = left.min(TXN_RECORDS);
        producer.begin_transaction().unwrap();
        for number in 1..=count {
            send(&producer, topic, endless.next().unwrap());
            if number.is_multiple_of(REQUEST_RECORDS) {
                drain(&producer);
            }
        }
        drain(&producer);
        producer.commit_transaction(LIMIT).unwrap();
        left -= count;
    }
    println!("{}", started.elapsed().as_secs_f64());
}

/// As walbrook's.
fn producer(bootstrap: &str, topic: &str) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", topic)
        .set("compression.type", "lz4")
        .set("batch.num.messages", REQUEST_RECORDS.to_string())
        .set("queue.buffering.max.messages", "100000")
        .set("delivery.report.only.error", "true")
        .create()
        .unwrap()
}

fn send(producer: &BaseProducer, topic: &str, record: &Record<'_>) {
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    let headers = record
        .headers
        .iter()
        .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(*value) }));
    let outgoing = BaseRecord::to(topic).key(record.key).payload(record.value).headers(headers);
    producer.send(outgoing).map_err(|(error, _)| error).unwrap();
}

fn drain(producer: &BaseProducer) {
    while 0 < producer.in_flight_count() {
        // Not a poll of a millisecond, whose end rdkafka spends spinning.
        producer.poll(Duration::ZERO);
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn parse(mut bytes: &[u8]) -> Vec<Record<'_>> {
    let bytes = &mut bytes;
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (key, value) = (field(bytes), field(bytes));
        let headers = (0..number(bytes)).map(|_| {
            let (name, value) = (field(bytes), field(bytes));
            (std::str::from_utf8(name).unwrap(), value)
        });
        let headers = headers.collect();
        records.push(Record { key, value, headers });
    }
    records
}

fn field<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let length = usize::try_from(number(bytes)).unwrap();
    let (field, rest) = bytes.split_at(length);
    *bytes = rest;
    field
}

fn number(bytes: &mut &[u8]) -> u32 {
    let (number, rest) = bytes.split_first_chunk().unwrap();
    *bytes = rest;
    u32::from_le_bytes(*number)
}
