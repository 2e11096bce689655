//! The harness itself: the servers start, answer, can be hurt, and come back.

use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::support::kafka::{self, Kafka};
use crate::support::postgres::{self, Postgres};
use crate::support::stack::{Space, shared};
use crate::support::{records, run, tls, unique};

#[test]
fn shared_servers_answer() {
    run(Duration::from_secs(180), async {
        let stack = shared();
        let space = Space::new(&stack.postgres, "harness").await;
        let client = stack.postgres.client(&space.database).await;
        let row = client.query_one("SHOW wal_level", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "logical");
        assert!(stack.registry.subjects().len() < 100_000);
    });
}

#[test]
fn only_committed_records_are_read() {
    run(Duration::from_secs(180), async {
        let stack = shared();
        let topic = unique("committed");
        stack.kafka.create_topic(&topic, 2, &[]).await;
        let mut config = stack.kafka.client_config();
        config.set("transactional.id", &topic);
        let producer: BaseProducer = config.create().unwrap();
        let limit = Duration::from_secs(30);
        producer.init_transactions(limit).unwrap();
        for (value, commit) in [("a", true), ("b", false), ("c", true)] {
            producer.begin_transaction().unwrap();
            for partition in 0..2 {
                let record = BaseRecord::to(&topic).key("k").payload(value).partition(partition);
                producer.send(record).unwrap();
            }
            producer.flush(limit).unwrap();
            if commit {
                producer.commit_transaction(limit).unwrap();
            } else {
                producer.abort_transaction(limit).unwrap();
            }
        }
        let values = |records: Vec<records::Record>| -> Vec<String> {
            let text = |value| String::from_utf8(value).unwrap();
            records.into_iter().filter_map(|record| record.value.map(text)).collect()
        };
        assert_eq!(values(records::read_committed(&stack.kafka, &[&topic])), ["a", "c", "a", "c"]);
        let all = values(records::read_uncommitted(&stack.kafka, &[&topic]));
        assert_eq!(all, ["a", "b", "c", "a", "b", "c"]);
    });
}

#[test]
fn postgres_comes_back_after_a_kill_and_a_stop() {
    run(Duration::from_secs(180), async {
        for version in [17, 14] {
            let options = postgres::Options { version, ..postgres::Options::default() };
            let mut postgres = Postgres::start(&options);
            let server = format!("CREATE TABLE kept AS SELECT {version} AS version");
            postgres.execute("postgres", &server).await;
            postgres.kill();
            postgres.launch();
            postgres.stop("INT");
            postgres.launch();
            let client = postgres.client("postgres").await;
            let row = client.query_one("SELECT version::text FROM kept", &[]).await.unwrap();
            assert_eq!(row.get::<_, &str>(0), version.to_string());
        }
    });
}

#[test]
fn kafka_has_a_secure_listener_and_comes_back() {
    run(Duration::from_secs(240), async {
        let authority = tls::Authority::new("walbrook test authority");
        let identity = authority.sign("broker", &["localhost"]);
        let secure = kafka::Secure {
            certificate: identity.certificate,
            key: identity.key,
            client_authority: None,
            users: vec![("alice".to_owned(), "a-secret".to_owned())],
        };
        let options = kafka::Options { secure: Some(secure), ..kafka::Options::default() };
        let mut kafka = Kafka::start(&options);
        let topic = unique("secure");
        kafka.create_topic(&topic, 1, &[]).await;
        kafka.acl(&["--add", "--allow-principal", "User:alice", "--producer", "--topic", &topic]);
        kafka.kill();
        kafka.launch();
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] {
            let mut config = kafka.client_config();
            config.set("bootstrap.servers", kafka.bootstrap_secure());
            config.set("security.protocol", "SASL_SSL").set("sasl.mechanism", mechanism);
            config.set("sasl.username", "alice").set("sasl.password", "a-secret");
            config.set("ssl.ca.pem", &authority.certificate);
            let producer: BaseProducer = config.create().unwrap();
            producer.send(BaseRecord::<(), str>::to(&topic).payload(mechanism)).unwrap();
            producer.flush(Duration::from_secs(30)).unwrap();
        }
        let records = records::read_committed(&kafka, &[&topic]);
        assert_eq!(records.len(), 3);
    });
}
