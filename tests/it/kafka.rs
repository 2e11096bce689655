//! The sink against a real broker: what is committed, who is fenced, what an outage leaves.

mod unmarked;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use walbrook::batch::{Batch, Operation, Record, TopicTable, push_header};
use walbrook::checkpoint::{self, Checkpoint, Inside, State, Stream};
use walbrook::config::{
    BatchLimits, Kafka as KafkaConfig, KafkaSecurity, Template, TopicCreation, Topics,
};
use walbrook::edges::{Class, Sink as _};
use walbrook::kafka::{Error, KafkaSink, SinkConfig, probe};
use walbrook::position::{Lsn, Position, Xid};

use crate::support::kafka::{Kafka, Options};
use crate::support::{records, stack, unique};

/// A sink's configuration with names of its own on `kafka`.
pub(crate) fn config(kafka: &Kafka, name: &str) -> SinkConfig {
    let id = unique(name);
    SinkConfig {
        kafka: KafkaConfig {
            bootstrap_servers: kafka.bootstrap(),
            security: KafkaSecurity::default(),
            transactional_id: format!("{id}.tx"),
            checkpoint_topic: format!("{id}.checkpoint"),
            parked_topic: format!("{id}.parked"),
            schema_changes_topic: None,
            transaction_timeout: Duration::from_secs(20),
            recovery_timeout: Duration::from_secs(10),
            compression: "lz4".into(),
            properties: Vec::new(),
        },
        topics: Topics {
            prefix: id.clone(),
            template: Template::default(),
            shared: Vec::new(),
            create: Some(TopicCreation {
                partitions: 3,
                replication_factor: -1,
                cleanup_policy: None,
                keeps_all: false,
            }),
            checkpoint_replication_factor: -1,
        },
        position_headers: true,
        batch: BatchLimits {
            target_bytes: 1 << 20,
            target_records: 20_000,
            max_bytes: 4 << 20,
            max_records: 40_000,
        },
        pipeline: "test".to_owned(),
        slot: id,
    }
}

pub(crate) fn topic(config: &SinkConfig) -> String {
    format!("{}.orders", config.topics.prefix)
}

fn checkpoint(config: &SinkConfig, commit_lsn: u64, ordinal: u64) -> Checkpoint {
    Checkpoint {
        format: checkpoint::FORMAT,
        pipeline: "test".into(),
        system_identifier: "7123456789012345678".into(),
        timeline: 1,
        slot: config.slot.clone(),
        state: State::Streaming,
        stream: Stream { publications: vec!["p".into()], messages: true, oids: BTreeMap::new() },
        epoch: 0,
        position: Position { commit_lsn: Lsn(commit_lsn), ordinal },
        confirm: Lsn(commit_lsn + 8),
        xid: None,
        inside: None,
        accepted: None,
        snapshots: None,
        parked: 0,
        entered: None,
        letters: BTreeMap::new(),
        omissions: Vec::new(),
    }
}

/// A timestamp that the topic's retention does not delete on arrival, milliseconds.
fn recently() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap() - 1000
}

/// A batch with one record for each of `values`, all in one transaction, keyed by themselves.
pub(crate) fn batch(config: &SinkConfig, commit_lsn: u64, values: &[&str]) -> Batch {
    let mut topics = TopicTable::default();
    let id = topics.intern(&topic(config), "public.t");
    let mut batch = Batch::default();
    for (ordinal, value) in (1..).zip(values) {
        let bytes = batch.buffer();
        let start = bytes.len();
        bytes.extend_from_slice(value.as_bytes());
        let value = start..bytes.len();
        batch.push(Record {
            topic: id,
            operation: Operation::Create,
            key: Some(value.clone()),
            headers: value.end..value.end,
            value: Some(value),
            timestamp_ms: recently(),
            position: Position { commit_lsn: Lsn(commit_lsn), ordinal },
            part: 0,
            xid: Xid(7),
        });
    }
    batch.topics = Arc::new(topics);
    let count = u64::try_from(values.len()).unwrap();
    batch.checkpoint = Some(checkpoint(config, commit_lsn, count));
    batch
}

pub(crate) fn sink(config: &SinkConfig) -> KafkaSink {
    KafkaSink::new(config.clone()).unwrap()
}

/// A sink that has recovered, whose topic exists.
fn ready(config: &SinkConfig) -> KafkaSink {
    let mut sink = sink(config);
    sink.recover().unwrap();
    sink.ensure_topic(&topic(config)).unwrap();
    sink
}

pub(crate) fn committed_values(kafka: &Kafka, config: &SinkConfig) -> Vec<String> {
    let text = |record: records::Record| String::from_utf8(record.value.unwrap()).unwrap();
    let mut values: Vec<_> =
        records::read_committed(kafka, &[&topic(config)]).into_iter().map(text).collect();
    values.sort();
    values
}

/// A producer that is not ours, in a transaction of its own.
fn stranger(kafka: &Kafka, name: &str) -> BaseProducer {
    let producer: BaseProducer =
        kafka.client_config().set("transactional.id", unique(name)).create().unwrap();
    producer.init_transactions(Duration::from_secs(20)).unwrap();
    producer.begin_transaction().unwrap();
    producer
}

#[test]
fn what_is_committed_is_read_back() {
    let kafka = &stack::shared().kafka;
    let config = config(kafka, "sink_roundtrip");
    let mut first = sink(&config);
    assert!(matches!(first.commit(&batch(&config, 1, &[])), Err(Error::NotRecovered)));
    assert_eq!(first.recover().unwrap(), None);
    first.ensure_topic(&topic(&config)).unwrap();

    let mut two = batch(&config, 0x16_B374_D848, &["a", "b"]);
    let start = two.buffer().len();
    push_header(two.buffer(), "id", Some(b"42"));
    push_header(two.buffer(), "none", None);
    let (end, id) = (two.buffer().len(), two.records()[0].topic);
    two.push(Record {
        topic: id,
        operation: Operation::Create,
        key: None,
        value: None,
        headers: start..end,
        timestamp_ms: recently(),
        position: Position { commit_lsn: Lsn(0x16_B374_D848), ordinal: 2 },
        part: 1,
        xid: Xid(7),
    });
    first.commit(&two).unwrap();
    // Nothing but a checkpoint: an idle slot.
    let mut idle = batch(&config, 0x16_B374_D848, &[]);
    idle.checkpoint = Some(checkpoint(&config, 0x17_0000_0000, 0));
    first.commit(&idle).unwrap();
    drop(first);

    assert_eq!(sink(&config).recover().unwrap(), idle.checkpoint);
    let mut found = records::read_committed(kafka, &[&topic(&config)]);
    found.sort_by_key(|record| record.header("walbrook.position").map(str::to_owned));
    found.sort_by_key(|record| record.value.is_none());
    let headers = |record: &records::Record| {
        ["position", "xid"]
            .map(|name| record.header(&format!("walbrook.{name}")).unwrap().to_owned())
    };
    assert_eq!(headers(&found[0]), ["16/B374D848#1.0", "7"]);
    assert_eq!(headers(&found[1]), ["16/B374D848#2.0", "7"]);
    assert_eq!(headers(&found[2]), ["16/B374D848#2.1", "7"]);
    assert_eq!(found[0].key.as_deref(), Some(&b"a"[..]));
    assert_eq!(found[0].timestamp_ms, two.records()[0].timestamp_ms);
    assert_eq!((&found[2].key, &found[2].value), (&None, &None));
    assert_eq!(found[2].header("id"), Some("42"));
    assert!(found[2].headers.contains(&("none".into(), None)));
    assert!(found.iter().all(|record| record.header("walbrook.cut").is_none()));
}

#[test]
fn the_records_of_a_cut_transaction_say_so() {
    let kafka = &stack::shared().kafka;
    let mut config = config(kafka, "sink_cut");
    config.position_headers = false;
    let mut sink = ready(&config);
    let piece = |lsn, values: &[&str], starts_inside, ends_inside| {
        let mut piece = batch(&config, lsn, values);
        (piece.starts_inside, piece.ends_inside) = (starts_inside, ends_inside);
        let checkpoint = piece.checkpoint.as_mut().unwrap();
        checkpoint.inside = ends_inside.then_some(Inside { xid: Xid(7), lsn: Lsn(lsn) });
        piece
    };
    sink.commit(&piece(1, &["a"], false, true)).unwrap();
    let mut middle = piece(1, &["b"], true, true);
    middle.checkpoint.as_mut().unwrap().position.ordinal = 2;
    sink.commit(&middle).unwrap();
    // Its last changes make no records, or these: what follows is another transaction.
    let mut last = piece(1, &["c"], true, false);
    last.checkpoint = Some(checkpoint(&config, 2, 9));
    sink.commit(&last).unwrap();
    sink.commit(&piece(3, &["d"], false, false)).unwrap();
    sink.commit(&piece(4, &["e"], true, false)).unwrap();

    let mut found = records::read_committed(kafka, &[&topic(&config)]);
    found.sort_by(|a, b| a.value.cmp(&b.value));
    let cuts: Vec<_> = found.iter().map(|record| record.header("walbrook.cut")).collect();
    assert_eq!(cuts, [Some("first"), Some("middle"), Some("last"), None, None]);
}

#[test]
fn a_twin_fences_and_the_fenced_one_must_recover() {
    let kafka = &stack::shared().kafka;
    let config = config(kafka, "sink_twin");
    let mut old = ready(&config);
    old.commit(&batch(&config, 1, &["a"])).unwrap();
    let mut new = sink(&config);
    assert_eq!(new.recover().unwrap(), batch(&config, 1, &["a"]).checkpoint);

    let error = old.commit(&batch(&config, 2, &["old"])).unwrap_err();
    assert_eq!(error.class(), Class::Fenced, "{error}");
    let error = old.commit(&batch(&config, 2, &["old"])).unwrap_err();
    assert!(matches!(error, Error::NotRecovered), "{error}");

    new.commit(&batch(&config, 2, &["new"])).unwrap();
    assert_eq!(old.recover().unwrap(), batch(&config, 2, &["new"]).checkpoint);
    assert_eq!(committed_values(kafka, &config), ["a", "new"]);
}

#[test]
fn the_last_checkpoint_is_found_behind_thousands_of_other_offsets() {
    let kafka = &stack::shared().kafka;
    let config = config(kafka, "sink_backwards");
    let mut first = ready(&config);
    first.commit(&batch(&config, 1, &["a"])).unwrap();
    drop(first);
    let send = |producer: &BaseProducer, key: &str| {
        for _ in 0..3000 {
            let record = BaseRecord::to(&config.kafka.checkpoint_topic).key(key).payload("{}");
            producer.send(record).unwrap();
        }
    };
    for _ in 0..3 {
        let aborted = stranger(kafka, "aborted");
        send(&aborted, &config.slot);
        aborted.flush(Duration::from_secs(20)).unwrap();
        aborted.abort_transaction(Duration::from_secs(20)).unwrap();
        let other = stranger(kafka, "other");
        send(&other, "another slot");
        other.commit_transaction(Duration::from_secs(20)).unwrap();
    }
    let start = Instant::now();
    let found = sink(&config).recover().unwrap();
    println!("18,000 offsets read backwards in {:?}", start.elapsed());
    assert_eq!(found, batch(&config, 1, &["a"]).checkpoint);
}

#[test]
fn a_hanging_transaction_is_waited_for_and_named() {
    let kafka = &stack::shared().kafka;
    let mut config = config(kafka, "sink_hanging");
    config.kafka.recovery_timeout = Duration::from_millis(300);
    let mut sink = ready(&config);
    sink.commit(&batch(&config, 1, &["a"])).unwrap();
    let hanging = stranger(kafka, "hanging");
    let undecided = checkpoint(&config, 2, 1).to_json();
    let record = BaseRecord::to(&config.kafka.checkpoint_topic).key(&config.slot);
    hanging.send(record.payload(&undecided)).unwrap();
    hanging.flush(Duration::from_secs(20)).unwrap();

    let error = sink.recover().unwrap_err();
    assert_eq!(error.class(), Class::Retry);
    for words in [&*config.kafka.checkpoint_topic, "find-hanging", "--partition 0"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    hanging.abort_transaction(Duration::from_secs(20)).unwrap();
    assert_eq!(sink.recover().unwrap(), batch(&config, 1, &["a"]).checkpoint);
}

#[test]
fn topics_are_created_as_configured_or_must_exist() {
    let kafka = &stack::shared().kafka;
    let mut creating = config(kafka, "sink_topics");
    creating.topics.create.as_mut().unwrap().cleanup_policy = Some("compact".into());
    let mut sink = ready(&creating);
    sink.ensure_topic(&topic(&creating)).unwrap();
    let bootstrap = ["--bootstrap-server", &kafka.bootstrap(), "--describe", "--topic"];
    let describe = |topic: &str| {
        kafka.tool("org.apache.kafka.tools.TopicCommand", &[&bootstrap[..], &[topic]].concat())
    };
    let described = describe(&topic(&creating));
    assert!(described.contains("PartitionCount: 3"), "{described}");
    assert!(described.contains("cleanup.policy=compact"), "{described}");
    let described = describe(&creating.kafka.checkpoint_topic);
    assert!(described.contains("PartitionCount: 1"), "{described}");
    assert!(described.contains("cleanup.policy=compact"), "{described}");

    creating.topics.create.as_mut().unwrap().replication_factor = 5;
    let mut sink = ready(&creating);
    let error = sink.ensure_topic("too.many.replicas").unwrap_err();
    assert!(matches!(error, Error::TooFewBrokers { .. }), "{error}");

    creating.topics.create = None;
    let mut sink = ready(&creating);
    let missing = format!("{}.missing", creating.topics.prefix);
    let error = sink.ensure_topic(&missing).unwrap_err();
    assert_eq!(error.class(), Class::Fatal, "{error}");
    assert!(error.to_string().contains(&format!("--create --topic {missing}")), "{error}");
}

#[test]
fn a_record_that_the_broker_refuses_stops_with_its_topic_and_leaves_nothing() {
    let kafka = &stack::shared().kafka;
    let config = config(kafka, "sink_refused");
    let mut sink = ready(&config);
    sink.commit(&batch(&config, 1, &["a"])).unwrap();
    // Not compressible, above the broker's default of 1 MiB.
    let mut seed = 1_u64;
    let large: String = (0..1_500_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + u8::try_from((seed >> 33) % 90).unwrap())
        })
        .collect();
    let error = sink.commit(&batch(&config, 2, &["b", &large])).unwrap_err();
    assert_eq!(error.class(), Class::Fatal, "{error:?}");
    for words in [&*topic(&config), "max.message.bytes", "3000000 bytes", "table public.t"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(error.to_string().len() < 500, "no record values in errors");
    assert_eq!(sink.recover().unwrap(), batch(&config, 1, &["a"]).checkpoint);
    sink.commit(&batch(&config, 2, &["b"])).unwrap();
    assert_eq!(committed_values(kafka, &config), ["a", "b"]);
}

#[test]
fn records_are_partitioned_as_the_java_clients_do_it() {
    let kafka = &stack::shared().kafka;
    let mut config = config(kafka, "sink_murmur2");
    config.topics.create.as_mut().unwrap().partitions = 7;
    let mut sink = ready(&config);
    // Keys and hashes of the Java client's own test, UtilsTest.testMurmur2.
    let cases: [(&str, i32); 6] = [
        ("21", -973_932_308),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ];
    sink.commit(&batch(&config, 1, &cases.map(|(key, _)| key))).unwrap();
    let found = records::read_committed(kafka, &[&topic(&config)]);
    assert_eq!(found.len(), cases.len());
    for (key, hash) in cases {
        let record = found.iter().find(|r| r.key.as_deref() == Some(key.as_bytes())).unwrap();
        assert_eq!(record.partition, (hash & i32::MAX) % 7, "{key}");
    }
}

#[test]
fn a_topic_that_is_deleted_under_way_is_named() {
    let kafka = &stack::shared().kafka;
    let mut config = config(kafka, "sink_deleted");
    config.kafka.properties = vec![(
        "topic.metadata.propagation.max.ms".into(),
        walbrook::config::Secret::new("1000".into()).into(),
    )];
    let mut sink = ready(&config);
    sink.commit(&batch(&config, 1, &["a"])).unwrap();
    let arguments = ["--bootstrap-server", &kafka.bootstrap(), "--delete", "--topic"];
    let name = topic(&config);
    kafka.tool("org.apache.kafka.tools.TopicCommand", &[&arguments[..], &[&name]].concat());
    let error = sink.commit(&batch(&config, 2, &["b"])).unwrap_err();
    assert!(error.to_string().contains(&name), "{error:?}");
    sink.recover().unwrap();
    sink.ensure_topic(&name).unwrap();
    sink.commit(&batch(&config, 2, &["b"])).unwrap();
    assert_eq!(committed_values(kafka, &config), ["b"]);
}

#[test]
fn an_outage_leaves_every_batch_exactly_once() {
    let kafka = Kafka::start(&Options::default());
    let mut config = config(&kafka, "sink_outage");
    config.kafka.transaction_timeout = Duration::from_secs(3);
    let mut sink = ready(&config);
    let total = 2_000;
    let stops = [Duration::from_millis(4500), Duration::from_millis(1500), Duration::from_secs(5)];
    let mut slow = 0;
    std::thread::scope(|scope| {
        let stopper = scope.spawn(|| {
            for (number, stop) in (1..).zip(stops) {
                std::thread::sleep(Duration::from_millis(700 + 37 * number));
                kafka.signal("STOP");
                std::thread::sleep(stop);
                kafka.signal("CONT");
            }
        });
        let mut next = 1;
        while next <= total && !(stopper.is_finished() && 300 < next) {
            let (start, text) = (Instant::now(), format!("{next:05}"));
            let outcome = sink.commit(&batch(&config, next, &[&text, &format!("{text}b")]));
            slow += u32::from(Duration::from_secs(1) < start.elapsed());
            let Err(error) = outcome else {
                next += 1;
                continue;
            };
            // What the supervisor does: start again from what Kafka has.
            println!("batch {next}: {error}");
            let last = loop {
                match sink.recover() {
                    Ok(last) => break last,
                    Err(error) => println!("recovering: {error}"),
                }
            };
            next = last.map_or(0, |last| last.position.commit_lsn.0) + 1;
        }
        let expect: Vec<_> =
            (1..next).flat_map(|n| [format!("{n:05}"), format!("{n:05}b")]).collect();
        stopper.join().unwrap();
        assert_eq!(committed_values(&kafka, &config), expect);
        println!("{} batches, {slow} of them slow", next - 1);
    });
    assert!(2 <= slow, "the outages hit no transaction");
}

#[test]
fn probes_read_what_check_compares() {
    let kafka = &stack::shared().kafka;
    let mut config = config(kafka, "sink_probes");
    config.topics.create.as_mut().unwrap().cleanup_policy = Some("compact,delete".into());
    drop(ready(&config));
    let cluster = probe::cluster(&config.kafka).unwrap();
    assert_eq!(cluster.brokers, [1]);
    assert!(cluster.id.is_some());

    let broker = probe::broker_settings(&config.kafka, 1).unwrap();
    assert_eq!(broker.replication_factor, Some(1));
    assert_eq!(broker.min_insync_replicas, Some(1));
    assert_eq!(broker.transaction_timeout_max, Some(Duration::from_mins(15)));
    assert_eq!(broker.record_bytes_max, Some(1_048_588));
    assert_eq!(broker.verifies_partitions, Some(true));
    assert_eq!(broker.elects_unclean, Some(false));
    assert_eq!(broker.retention, Some(Duration::from_hours(7 * 24)));

    let found = probe::topic(&config.kafka, &topic(&config)).unwrap().unwrap();
    assert_eq!((found.partitions, found.replicas), (3, 1));
    assert_eq!(found.cleanup_policy.as_deref(), Some("compact,delete"));
    assert_eq!(found.record_bytes_max, Some(1_048_588));
    assert_eq!(found.retention, Some(Duration::from_hours(7 * 24)));
    assert_eq!(found.timestamp_ahead_max, Some(Duration::from_hours(1)));
    assert_eq!(found.elects_unclean, Some(false));
    assert_eq!(probe::topic(&config.kafka, "missing").unwrap(), None);

    let mut creation = config.topics.create.clone().unwrap();
    probe::may_create(&config.kafka, "missing", &creation).unwrap();
    assert_eq!(probe::topic(&config.kafka, "missing").unwrap(), None, "only tried");
    creation.replication_factor = 2;
    let error = probe::may_create(&config.kafka, "missing", &creation).unwrap_err();
    assert!(matches!(error, Error::TooFewBrokers { .. }), "{error:?}");

    config.kafka.transaction_timeout = Duration::from_mins(16);
    let error = probe::transactions(&config).unwrap_err();
    assert!(matches!(error, Error::TransactionTimeout { .. }), "{error:?}");
    assert!(error.to_string().contains("transaction.max.timeout.ms"), "{error}");
}
