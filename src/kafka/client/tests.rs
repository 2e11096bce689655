//! Options of clients: what is set, what is refused, what is never shown.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;
use crate::config::{BatchLimits, KafkaSecurity, Secret, Template, Topics};
use crate::edges::Class;

/// A sink's configuration against `bootstrap_servers`.
pub(in crate::kafka) fn config(bootstrap_servers: &str) -> SinkConfig {
    SinkConfig {
        kafka: Kafka {
            bootstrap_servers: bootstrap_servers.into(),
            security: KafkaSecurity::default(),
            transactional_id: "walbrook.test.slot".into(),
            checkpoint_topic: "walbrook.test.checkpoint".into(),
            parked_topic: "walbrook.test.parked".into(),
            schema_changes_topic: None,
            transaction_timeout: Duration::from_secs(10),
            recovery_timeout: Duration::from_secs(5),
            compression: "lz4".into(),
            properties: Vec::new(),
        },
        topics: Topics {
            prefix: "test".into(),
            template: Template::default(),
            shared: Vec::new(),
            create: None,
            checkpoint_replication_factor: 1,
        },
        position_headers: true,
        batch: BatchLimits {
            target_bytes: 1 << 20,
            target_records: 1000,
            max_bytes: 4 << 20,
            max_records: 4000,
        },
        pipeline: "pipeline".into(),
        slot: "slot".into(),
    }
}

#[test]
fn the_operators_options_pass_through_but_not_those_the_guarantees_rest_on() {
    let mut sink = config("b:1");
    sink.kafka.properties = vec![("linger.ms".into(), Secret::new("7".into()).into())];
    let client = producer_config(&sink, &Context::default()).unwrap();
    assert_eq!(client.get("linger.ms"), Some("7"));
    assert_eq!(client.get("acks"), Some("all"));
    assert_eq!(client.get("partitioner"), Some("murmur2_random"));
    assert_eq!(client.get("queue.buffering.max.messages"), Some("4001"));

    sink.kafka.properties = vec![("acks".into(), Secret::new("0".into()).into())];
    let error = producer_config(&sink, &Context::default()).err().unwrap();
    assert!(matches!(error, Error::Config { property } if property == "acks"));
}

#[test]
fn an_option_that_librdkafka_does_not_know_is_named() {
    let mut sink = config("b:1");
    sink.kafka.properties = vec![("no.such.option".into(), Secret::new("canary".into()).into())];
    let error = producer(&sink).err().unwrap();
    assert!(error.to_string().contains("no.such.option"), "{error}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
}

#[test]
fn a_file_that_is_missing_is_named_before_anything_is_tried() {
    let mut sink = config("b:1");
    let ca_file = Some("/nonexistent/ca.pem".into());
    sink.kafka.security.tls = Some(crate::config::KafkaTls { ca_file, ..Default::default() });
    let error = producer(&sink).err().unwrap();
    assert!(
        matches!(&error, Error::Setup { reason } if reason.contains("ssl.ca.location")),
        "{error}"
    );
}

#[test]
fn security_follows_from_the_sections() {
    use crate::config::KafkaTls;
    let password = || Sasl::Password {
        mechanism: "SCRAM-SHA-512".into(),
        user: "cdc".into(),
        password: Secret::new("secret".into()).into(),
    };
    let token = || Sasl::OauthBearer { tokens: TokenSource::of_file("/run/token".into()) };
    let check = |tls: Option<KafkaTls>, sasl: Option<Sasl>, expect: [Option<&str>; 3]| {
        let mut sink = config("b:1");
        sink.kafka.security = KafkaSecurity { tls, sasl };
        let client = base(&sink.kafka, &Context::new(&sink.kafka).unwrap()).unwrap();
        let found =
            ["security.protocol", "sasl.mechanism", "ssl.ca.location"].map(|name| client.get(name));
        assert_eq!(found, expect);
    };
    let private = KafkaTls { ca_file: Some("/ca.pem".into()), ..KafkaTls::default() };
    check(None, None, [Some("plaintext"), None, None]);
    check(Some(KafkaTls::default()), None, [Some("ssl"), None, Some("probe")]);
    check(Some(private), Some(token()), [Some("sasl_ssl"), Some("OAUTHBEARER"), Some("/ca.pem")]);
    check(None, Some(password()), [Some("sasl_plaintext"), Some("SCRAM-SHA-512"), None]);
}

/// The words of librdkafka 2.12.1.
#[test]
fn a_partition_without_a_leader_is_heard_of() {
    let context = Context::default();
    let hear = |words: &str| context.log(RDKafkaLogLevel::Warning, "METADATAUPDATE", words);
    hear("[thrd:main]: Topic id x not found in cache");
    assert!(!context.was_leaderless());
    hear("[thrd:main]: Partition t(WTpfjLqISZC30G5+pt48GA)[1]: new leader-1 not found in cache");
    assert!(context.was_leaderless());
    let (error, waited) = (Error::Leaderless { waited: Duration::from_secs(5) }, "5.0s");
    assert_eq!(error.class(), Class::Retry);
    assert!(error.to_string().contains(waited), "{error}");
}

#[test]
fn the_last_trouble_explains_why_no_answer_came() {
    let context = Context::default();
    let waited = Duration::from_secs(1);
    context.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "refused");
    context.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
    let error = context.unanswered("asking", waited);
    assert_eq!(error.to_string(), "kafka: no answer after 1.0s: asking (refused)");
    context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "invalid credentials");
    assert!(matches!(context.unanswered("asking", waited), Error::Authentication { .. }));
}

#[test]
fn a_refusal_is_forgotten_when_a_call_is_answered() {
    let context = Context::default();
    context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "invalid credentials");
    context.on_answer();
    assert!(context.refused().is_none());
    let error = context.unanswered("asking", Duration::from_secs(1));
    assert_eq!(error.to_string(), "kafka: no answer after 1.0s: asking");
}

/// Of what is given for 12.5 s the next is asked for after 10.
#[test]
fn the_next_token_is_asked_for_soon_while_it_is_being_made() {
    let at = Duration::from_secs;
    let token = Token {
        secret: Secret::new("token".into()),
        principal: None,
        expires: at(1000),
        kept_until: at(750),
    };
    for (now, expect) in [(0, 1_000_000), (749, 1_000_000), (800, 812_500), (995, 1_000_000)] {
        assert_eq!(asked_by(&token, at(now)).as_millis(), expect, "{now}");
    }
}

#[test]
fn a_password_that_was_renewed_since_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let write = |text: &str| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("old");
    let mut sink = config("b:1");
    let key = "kafka.sasl.password_file".into();
    let password = SecretSource::File { key, path: file.clone() };
    let (mechanism, user) = ("PLAIN".into(), "cdc".into());
    sink.kafka.security.sasl = Some(Sasl::Password { mechanism, user, password });
    let context = Context::new(&sink.kafka).unwrap();
    context.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "invalid credentials");
    let due = Deadline::after(Duration::ZERO);
    assert_eq!(context.refused().unwrap().class(), Class::Fatal);
    assert!(context.unless_outdated(due).is_ok(), "another client would have the same");
    write("new");
    assert_eq!(context.refused().unwrap().class(), Class::Retry);
    assert!(context.unless_outdated(due).is_err());
    assert!(context.unless_outdated(Deadline::after(Duration::from_secs(60))).is_ok());
    let newer = Context::new(&sink.kafka).unwrap();
    assert_eq!(base(&sink.kafka, &newer).unwrap().get("sasl.password"), Some("new"));
    // Whether there is another one cannot be told; it may pass.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(context.refused().unwrap().class(), Class::Retry);
    assert_eq!(Context::new(&sink.kafka).unwrap_err().class(), Class::Retry);
}
