//! Transactions whose end the brokers do not mark:
//! <https://issues.apache.org/jira/browse/KAFKA-20734>.

use rdkafka::message::{Header, OwnedHeaders};

use super::*;

/// An open transaction with one record in the sink's topic.
fn open(kafka: &Kafka, config: &SinkConfig, id: &str, value: &str, position: &str) -> BaseProducer {
    let timeout = config.kafka.transaction_timeout.as_millis().to_string();
    let mut client = kafka.client_config();
    client.set("transactional.id", id).set("transaction.timeout.ms", timeout);
    // To the partition that the sink takes for this key.
    client.set("partitioner", "murmur2_random");
    let producer: BaseProducer = client.create().unwrap();
    producer.init_transactions(Duration::from_secs(20)).unwrap();
    producer.begin_transaction().unwrap();
    let mut headers = OwnedHeaders::new();
    if !position.is_empty() {
        headers = headers.insert(Header { key: "walbrook.position", value: Some(position) });
    }
    let topic = topic(config);
    let record = BaseRecord::to(&topic).key(value).payload(value).headers(headers);
    producer.send(record).unwrap();
    producer.flush(Duration::from_secs(20)).unwrap();
    producer
}

/// Where an error says that a mark is missing: what Kafka's tool is to be given.
fn places(error: &Error) -> Vec<String> {
    let Error::Unmarked { aborted, .. } = error else { panic!("{error}") };
    let text = error.to_string();
    assert!(text.contains("kafka-transactions.sh --bootstrap-server … abort"), "{text}");
    for place in aborted {
        let place = format!("--partition {} --start-offset {}", place.partition, place.offset);
        assert!(text.contains(&place), "{text}");
    }
    aborted.iter().map(|p| format!("{} {} {}", p.topic, p.partition, p.offset)).collect()
}

#[test]
fn what_was_aborted_and_not_marked_is_not_published_by_the_next_commit() {
    // The broker loses a mark mostly, not always.
    let places = (0..4).find_map(|_| lost_mark()).expect("a mark that is lost");
    assert_eq!(places, 1);
}

/// A broker is killed while a transaction is open, and comes back. How many marks it lost, if any;
/// in the end every record is there once.
fn lost_mark() -> Option<usize> {
    // When it comes back it still is the leader, to which it cannot connect yet; the transaction's
    // time is over, and it is to be marked as aborted. When the broker's own time is over, there is
    // no leader, until it is let in again. It sees that in the mark that it could not send, if it
    // does before it has dealt with all of its partitions.
    let properties = [
        "broker.session.timeout.ms=20000",
        "initial.broker.registration.timeout.ms=90000",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=500",
    ];
    let properties = properties.map(str::to_owned).into();
    let mut kafka = Kafka::start(&Options { properties, ..Options::default() });
    let mut config = config(&kafka, "unmarked");
    (config.kafka.transaction_timeout, config.kafka.recovery_timeout) =
        (Duration::from_secs(4), Duration::from_secs(5));
    config.topics.create.as_mut().unwrap().partitions = 200;
    let mut first = ready(&config);
    first.commit(&batch(&config, 1, &["a"])).unwrap();
    drop(first);
    // As of a process that died in the middle of its batch.
    let id = &config.kafka.transactional_id;
    drop(open(&kafka, &config, id, "b", "0/2#1.0"));
    kafka.kill();
    kafka.launch();

    let lost = ready(&config).commit(&batch(&config, 2, &["b"])).err().map(|error| {
        assert_eq!(error.class(), Class::Retry);
        let places = places(&error);
        for place in &places {
            let [topic, partition, offset] = place.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{place}")
            };
            let arguments = ["--bootstrap-server", &kafka.bootstrap(), "abort", "--topic", topic];
            let place = ["--partition", partition, "--start-offset", offset];
            let arguments = [&arguments[..], &place].concat();
            kafka.tool("org.apache.kafka.tools.TransactionsCommand", &arguments);
        }
        ready(&config).commit(&batch(&config, 2, &["b"])).unwrap();
        places.len()
    });
    assert_eq!(committed_values(&kafka, &config), ["a", "b"]);
    lost
}

#[test]
fn what_is_undecided_for_good_holds_up_only_what_it_could_falsify() {
    let kafka = &stack::shared().kafka;
    let mut config = config(kafka, "undecided");
    config.kafka.recovery_timeout = Duration::from_secs(1);
    let mut first = ready(&config);
    first.commit(&batch(&config, 5, &["a"])).unwrap();
    drop(first);
    // Somebody else's; what the checkpoint says is committed; what is behind it.
    let held_up = ["", "0/5#1.0", "0/6#1.0"].map(|position| {
        let hanging = open(kafka, &config, &unique("undecided"), "x", position);
        let mut sink = ready(&config);
        let outcome = sink.commit(&batch(&config, 5, &["again"]));
        hanging.abort_transaction(Duration::from_secs(20)).unwrap();
        outcome.err().map(|error| places(&error).len())
    });
    assert_eq!(held_up, [None, None, Some(1)]);
    // One that is only slow is waited for.
    config.kafka.recovery_timeout = Duration::from_secs(20);
    let slow = open(kafka, &config, &unique("undecided"), "x", "0/6#1.0");
    let mut sink = ready(&config);
    let waiting = std::thread::spawn(move || {
        let start = Instant::now();
        sink.commit(&batch(&config, 6, &["b"])).unwrap();
        start.elapsed()
    });
    std::thread::sleep(Duration::from_secs(2));
    slow.abort_transaction(Duration::from_secs(20)).unwrap();
    let waited = waiting.join().unwrap();
    assert!(Duration::from_secs(1) < waited && waited < Duration::from_secs(10), "{waited:?}");
}
