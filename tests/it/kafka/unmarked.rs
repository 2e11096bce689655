//! Transactions whose end the brokers do not mark:
//! <https://issues.apache.org/jira/browse/KAFKA-20734>.

use rdkafka::message::{Header, OwnedHeaders};

use super::*;

/// An open transaction with one record in the sink's topic, where the sink puts that key.
fn open(kafka: &Kafka, config: &SinkConfig, id: &str, value: &str, position: &str) -> BaseProducer {
    let timeout = config.kafka.transaction_timeout.as_millis().to_string();
    let mut client = kafka.client_config();
    client.set("transactional.id", id).set("transaction.timeout.ms", timeout);
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

#[test]
fn what_was_aborted_and_not_marked_is_not_published_by_the_next_commit() {
    // The broker loses a mark mostly, not always.
    assert!((0..4).any(|_| loses_a_mark()), "no mark was lost");
}

/// A broker is killed while a transaction is open, and comes back. Whether it lost the mark of that;
/// in any case every record is there once.
fn loses_a_mark() -> bool {
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
        (Duration::from_secs(4), Duration::from_secs(60));
    config.topics.create.as_mut().unwrap().partitions = 200;
    let mut first = ready(&config);
    first.commit(&batch(&config, 1, &["a"])).unwrap();
    drop(first);
    // As of a process that died in the middle of its batch.
    drop(open(&kafka, &config, &config.kafka.transactional_id, "b", "0/2#1.0"));
    kafka.kill();
    kafka.launch();
    config.kafka.transaction_timeout = Duration::from_secs(20);
    let receipt = ready(&config).commit(&batch(&config, 2, &["b"])).unwrap();
    assert_eq!(committed_values(&kafka, &config), ["a", "b"]);
    // To mark it takes another epoch.
    receipt.rebuilds == 1
}

#[test]
fn a_transaction_that_does_not_end_holds_up_only_what_it_could_falsify() {
    let kafka = &stack::shared().kafka;
    let mut config = config(kafka, "undecided");
    let mut first = ready(&config);
    first.commit(&batch(&config, 5, &["a"])).unwrap();
    drop(first);
    let mut lsn = 5;
    let mut outcome = |config: &SinkConfig, position: &str| {
        lsn += 1;
        let hanging = open(kafka, config, &unique("undecided"), "x", position);
        let outcome = ready(config).commit(&batch(config, lsn, &[&format!("b{lsn}")]));
        hanging.abort_transaction(Duration::from_secs(20)).unwrap();
        outcome.map(|receipt| receipt.rebuilds)
    };
    // Somebody else's; what the checkpoint says is committed; what may be ours and aborted, until it
    // is marked and still has not ended.
    for (position, rebuilds) in [("", 0), ("0/6#1.0", 0), ("0/8#1.0", 1)] {
        assert_eq!(outcome(&config, position).unwrap(), rebuilds, "{position}");
    }
    // Where records say nothing, it cannot be told.
    config.position_headers = false;
    config.kafka.recovery_timeout = Duration::from_secs(1);
    let error = outcome(&config, "").unwrap_err();
    assert_eq!(error.class(), Class::Retry);
    for words in ["find-hanging --topic", "position_headers"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(committed_values(kafka, &config), ["a", "b6", "b7", "b8"]);
}

#[test]
fn a_transaction_that_is_slow_is_waited_for() {
    let kafka = &stack::shared().kafka;
    let config = config(kafka, "slow");
    drop(ready(&config));
    let slow = open(kafka, &config, &unique("slow"), "x", "0/6#1.0");
    let mut sink = ready(&config);
    let waiting =
        std::thread::spawn(move || sink.commit(&batch(&config, 6, &["b"])).unwrap().rebuilds);
    // As long as it is not to go on.
    std::thread::sleep(Duration::from_secs(1));
    assert!(!waiting.is_finished());
    slow.abort_transaction(Duration::from_secs(20)).unwrap();
    // What is waited for in vain is marked, which takes another epoch.
    assert_eq!(waiting.join().unwrap(), 0);
}
