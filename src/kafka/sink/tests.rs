//! Errors that a real broker gives only rarely, injected into librdkafka's own mock cluster. It has
//! no transactions behind its protocol (what is written is visible at once), so what is committed
//! is the business of the tests against a real broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext as _;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Code};

use super::*;
use crate::batch::Operation;
use crate::batch::Record;
use crate::batch::TopicTable;
use crate::checkpoint::{self, Stream};
use crate::kafka::client::tests::config;
use crate::position::{Lsn, Position, Xid};

type Cluster = MockCluster<'static, DefaultProducerContext>;

const TOPIC: &str = "shop.public.orders";

fn cluster() -> (Cluster, SinkConfig) {
    let cluster = MockCluster::new(1).unwrap();
    let config = config(&cluster.bootstrap_servers());
    cluster.create_topic(&config.kafka.checkpoint_topic, 1, 1).unwrap();
    cluster.create_topic(TOPIC, 3, 1).unwrap();
    (cluster, config)
}

fn recovered(config: &SinkConfig) -> KafkaSink {
    let mut sink = KafkaSink::new(config.clone()).unwrap();
    assert_eq!(sink.recover().unwrap(), None);
    sink
}

fn checkpoint(commit_lsn: u64) -> Checkpoint {
    Checkpoint {
        format: checkpoint::FORMAT,
        pipeline: "test".into(),
        system_identifier: "7".into(),
        timeline: 1,
        slot: "slot".into(),
        state: checkpoint::State::Streaming,
        stream: Stream { publications: vec!["p".into()], messages: true, oids: BTreeMap::new() },
        epoch: 0,
        position: Position { commit_lsn: Lsn(commit_lsn), ordinal: 1 },
        xid: None,
        confirm: Lsn(commit_lsn),
        inside: None,
        accepted: None,
        snapshots: None,
        parked: 0,
        entered: None,
        letters: BTreeMap::new(),
        omissions: Vec::new(),
    }
}

fn batch(commit_lsn: u64) -> Batch {
    let mut topics = TopicTable::default();
    let topic = topics.intern(TOPIC, "public.t");
    let mut batch = Batch::default();
    batch.buffer().extend_from_slice(b"canary");
    batch.push(Record {
        topic,
        operation: Operation::Create,
        key: Some(0..6),
        value: Some(0..6),
        headers: 6..6,
        timestamp_ms: 1_700_000_000_000,
        position: Position { commit_lsn: Lsn(commit_lsn), ordinal: 1 },
        part: 0,
        xid: Xid(1),
    });
    batch.topics = Arc::new(topics);
    batch.checkpoint = Some(checkpoint(commit_lsn));
    batch
}

fn is_suspect(sink: &KafkaSink) -> bool {
    sink.session.as_ref().is_some_and(|session| session.is_suspect)
}

#[test]
fn a_commit_that_librdkafka_repeated_is_found_by_its_time() {
    let (cluster, config) = cluster();
    let mut sink = recovered(&config);
    sink.commit(&batch(1)).unwrap();
    assert!(!is_suspect(&sink));

    cluster.request_errors(Api::EndTxn, &[Code::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS]);
    sink.commit(&batch(2)).unwrap();
    assert!(is_suspect(&sink), "librdkafka sent EndTxn twice and said nothing");

    sink.commit(&batch(3)).unwrap();
    assert!(!is_suspect(&sink), "a new producer");
    assert_eq!(sink.recover().unwrap(), Some(checkpoint(3)));
}

#[test]
fn what_a_new_producer_cures_is_cured_without_a_word() {
    let check = |api: Api, code: Code| {
        let (cluster, config) = cluster();
        let mut sink = recovered(&config);
        cluster.request_errors(api, &[code]);
        sink.commit(&batch(1)).unwrap();
        assert_eq!(sink.recover().unwrap(), Some(checkpoint(1)), "{api:?} {code:?}");
    };
    // An expired transactional id.
    check(Api::AddPartitionsToTxn, Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING);
    check(Api::EndTxn, Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING);
    check(Api::EndTxn, Code::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE);
    check(Api::Produce, Code::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

#[test]
fn what_a_new_producer_does_not_cure_goes_up_and_ends_the_session() {
    let check = |api: Api, code: Code, class: Class, words: &str| {
        let (cluster, config) = cluster();
        let mut sink = recovered(&config);
        cluster.request_errors(api, &[code]);
        let error = sink.commit(&batch(1)).unwrap_err();
        assert_eq!(error.class(), class, "{api:?} {code:?}: {error:?}");
        assert!(error.to_string().contains(words), "{api:?} {code:?}: {error}");
        assert!(!chain(&error).contains("canary"), "{error}");
        let error = sink.commit(&batch(1)).unwrap_err();
        assert!(matches!(error, Error::NotRecovered), "{error}");
    };
    check(Api::EndTxn, Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED, Class::Fenced, "fenced");
    check(Api::EndTxn, Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, Class::Fenced, "fenced");
    check(
        Api::AddPartitionsToTxn,
        Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
        Class::Fenced,
        "walbrook.test.slot",
    );
    check(
        Api::AddPartitionsToTxn,
        Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        Class::Fatal,
        TOPIC,
    );
    check(
        Api::AddPartitionsToTxn,
        Code::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        Class::Fatal,
        "transactional id walbrook.test.slot",
    );
    check(
        Api::Produce,
        Code::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        Class::Fatal,
        "max.message.bytes",
    );
    check(Api::Produce, Code::RD_KAFKA_RESP_ERR_INVALID_RECORD, Class::Fatal, "without a key");
}

#[test]
fn fencing_that_is_refused_says_why() {
    let check = |code: Code, words: &str| {
        let (cluster, config) = cluster();
        cluster.request_errors(Api::InitProducerId, &[code]);
        let error = KafkaSink::new(config).unwrap().recover().unwrap_err();
        assert_eq!(error.class(), Class::Fatal, "{code:?}: {error:?}");
        assert!(error.to_string().contains(words), "{code:?}: {error}");
    };
    check(
        Code::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        "transactional id walbrook.test.slot",
    );
    check(Code::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, "IDEMPOTENT_WRITE");
    check(Code::RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, "transaction.max.timeout.ms");
}

#[test]
fn a_checkpoint_of_somebody_else_means_fenced() {
    let (cluster, config) = cluster();
    let mut sink = recovered(&config);
    sink.commit(&batch(1)).unwrap();
    let mut twin = KafkaSink::new(config).unwrap();
    twin.recover().unwrap();
    twin.commit(&batch(2)).unwrap();
    // The old one does not learn of its twin, only of an error that a new producer cures.
    cluster.request_errors(Api::EndTxn, &[Code::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING]);
    sink.session.as_mut().unwrap().is_suspect = true;
    let error = sink.commit(&batch(3)).unwrap_err();
    assert_eq!(error.class(), Class::Fenced, "{error}");
}

#[test]
fn a_checkpoint_that_cannot_be_used_is_fatal_and_named() {
    let check = |value: &[u8], words: &str| {
        let (_cluster, config) = cluster();
        let producer = client::producer(&config).unwrap();
        initialise(&config.kafka, &producer, Duration::from_secs(10)).unwrap();
        producer.begin_transaction().unwrap();
        let topic = &config.kafka.checkpoint_topic;
        producer.send(BaseRecord::with_opaque_to(topic, 0).key("slot").payload(value)).unwrap();
        producer.commit_transaction(Duration::from_secs(10)).unwrap();
        let error = KafkaSink::new(config.clone()).unwrap().recover().unwrap_err();
        assert_eq!(error.class(), Class::Fatal, "{error:?}");
        assert!(error.to_string().contains(&format!("{topic}-0 at offset 0")), "{error}");
        assert!(chain(&error).contains(words), "{}", chain(&error));
        // An operator overrides the record that he was told of, and no other.
        let overriding = |offset| KafkaSink::overriding(config.clone(), offset).unwrap();
        assert!(overriding(1).recover().is_err());
        let mut sink = overriding(0);
        assert_eq!(sink.recover().unwrap(), None);
        sink.commit(&batch(1)).unwrap();
        assert_eq!(overriding(0).recover().unwrap(), batch(1).checkpoint);
    };
    check(br#"{"format":1000}"#, "newer walbrook");
    check(b"canary", "not readable");
}

#[test]
fn no_broker_is_waited_for_with_a_reason() {
    let mut config = config("127.0.0.1:1");
    config.kafka.transaction_timeout = Duration::from_secs(1);
    let producer = client::producer(&config).unwrap();
    let error = initialise(&config.kafka, &producer, Duration::from_secs(1)).unwrap_err();
    assert_eq!(error.class(), Class::Retry, "{error:?}");
    assert!(error.to_string().contains("refused"), "{error}");
}

/// Its records wait for a leader that the client does not look for any more.
#[test]
fn a_client_that_heard_of_no_leader_is_replaced_after_some_seconds() {
    let (cluster, config) = cluster();
    let mut sink = recovered(&config);
    sink.commit(&batch(1)).unwrap();
    let heard = "[thrd:main]: Partition t(x)[0]: new leader-1 not found in cache";
    let producer = &sink.session.as_ref().unwrap().producer;
    producer.context().log(RDKafkaLogLevel::Warning, "METADATAUPDATE", heard);
    cluster.broker_down(1).unwrap();
    let receipt = std::thread::scope(|scope| {
        let commit = scope.spawn(|| sink.commit(&batch(2)));
        // For longer than a client is given.
        std::thread::sleep(Duration::from_secs(7));
        cluster.broker_up(1).unwrap();
        commit.join().unwrap()
    });
    assert_eq!(receipt.unwrap().rebuilds, 1);
    assert_eq!(sink.recover().unwrap(), Some(checkpoint(2)));
}

#[test]
fn a_batch_that_is_too_large_for_its_time_says_what_to_lower() {
    let (cluster, mut config) = cluster();
    config.kafka.transaction_timeout = Duration::from_secs(2);
    let mut sink = recovered(&config);
    let session = sink.session.take().unwrap();
    // Chunks of which each takes a round trip.
    let mut large = batch(1);
    let record = large.records()[0].clone();
    for part in 1..10 * u32::try_from(CHUNK_RECORDS).unwrap() {
        large.push(Record { part, ..record.clone() });
    }
    cluster.broker_round_trip_time(1, Duration::from_millis(400)).unwrap();
    let next = large.checkpoint.clone().unwrap();
    let error = sink.write(&session, &large, &next).unwrap_err();
    assert_eq!(error.class(), Class::Retry);
    assert!(error.to_string().contains("lower batch.max_bytes"), "{error}");
}

/// What is refused parks a table, so it must be the right one.
#[test]
fn a_record_is_of_its_own_table_where_tables_share_a_topic() {
    let mut batch = batch(1);
    let other = Arc::make_mut(&mut batch.topics).intern(TOPIC, "public.u");
    let record =
        Record { topic: other, value: Some(0..6), headers: 6..6, ..batch.records()[0].clone() };
    batch.push(Record { key: None, value: Some(0..3), part: 1, ..record.clone() });
    let table = |error: Error| error.table().map(str::to_owned);
    assert_eq!(table(too_large(&batch, TOPIC, "")).as_deref(), Some("public.t"));
    batch.buffer().extend_from_slice(b"longer");
    batch.push(Record { key: Some(0..12), headers: 12..12, part: 2, ..record });
    assert_eq!(table(too_large(&batch, TOPIC, "")).as_deref(), Some("public.u"));
    assert_eq!(topic_names(&batch), TOPIC);
}
