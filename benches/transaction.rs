//! Bare Kafka transactions at a pace: the least that a small one takes with librdkafka.
//!
//! ```text
//! transaction BOOTSTRAP TOPIC SECONDS A_SECOND
//! ```
//!
//! Each transaction has a record for partition 0 of the topic, whose timestamp is when it began, and
//! one for partition 1, as a checkpoint would be. What is to be sent goes out at once, and whether it was
//! answered is looked at every 100 us (rdkafka's own flush looks every 100 ms). Prints how many
//! milliseconds each took from begin to committed, as JSON.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

const LIMIT: Duration = Duration::from_secs(60);

const STEP: Duration = Duration::from_micros(100);

/// As large as a small order.
const VALUE: [u8; 64] = [b'.'; 64];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, topic, seconds, a_second, ..] = arguments.as_slice() else {
        panic!("usage: transaction BOOTSTRAP TOPIC SECONDS A_SECOND");
    };
    let producer = producer(bootstrap, topic);
    producer.init_transactions(LIMIT).unwrap();
    let pause = Duration::from_secs(1) / a_second.parse().unwrap();
    let start = Instant::now();
    let end = start + Duration::from_secs(seconds.parse().unwrap());
    let mut next = start;
    let mut took = Vec::new();
    while next < end {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let began = Instant::now();
        transact(&producer, topic);
        took.push(began.elapsed());
        // One that is late does not make the next ones hurry.
        next = (next + pause).max(Instant::now());
    }
    let ms: Vec<_> = took.iter().map(|it| format!("{:.2}", it.as_secs_f64() * 1e3)).collect();
    println!("[{}]", ms.join(", "));
}

fn transact(producer: &BaseProducer, topic: &str) {
    producer.begin_transaction().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    for partition in 0..2 {
        let record = BaseRecord::<(), _>::to(topic)
            .partition(partition)
            .payload(&VALUE)
            .timestamp(now.try_into().unwrap());
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    while 0 < producer.in_flight_count() {
        std::thread::sleep(STEP);
    }
    producer.commit_transaction(LIMIT).unwrap();
}

fn producer(bootstrap: &str, topic: &str) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("transactional.id", topic)
        .set("linger.ms", "0")
        // Else each record's report would have to be taken.
        .set("delivery.report.only.error", "true")
        .create()
        .unwrap()
}
