//! The sink and the probes against a broker that wants TLS, a client certificate, credentials and
//! permissions.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use walbrook::config::{KafkaSecurity, KafkaTls, Sasl, Secret, TokenSource, TopicCreation};
use walbrook::edges::{Class, Sink as _};
use walbrook::kafka::{Error, SinkConfig, probe};

use crate::kafka::{batch, committed_values, config, sink, topic};
use crate::support::kafka::{Kafka, Options, Secure};
use crate::support::{run, tls, until};

/// A broker with a secure listener, and the files of a client.
struct Secured {
    kafka: Kafka,
    folder: tempfile::TempDir,
}

impl Secured {
    fn start() -> Self {
        let authority = tls::Authority::new("walbrook test authority");
        let broker = authority.sign("broker", &["localhost"]);
        let folder = tempfile::tempdir().unwrap();
        let client = authority.sign("client", &[]);
        for (name, text) in
            [("ca", &authority.certificate), ("client", &client.certificate), ("key", &client.key)]
        {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let secure = Secure {
            certificate: broker.certificate,
            key: broker.key,
            client_authority: Some(authority.certificate),
            users: vec![("cdc".into(), "a-secret".into())],
        };
        // Tokens without a signature, for tests only; Kafka brings this.
        let properties = vec![
            "listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512,OAUTHBEARER".into(),
            "listener.name.secure.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;".into(),
        ];
        let kafka = Kafka::start(&Options { version: None, properties, secure: Some(secure) });
        Self { kafka, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, name: &str, sasl: Sasl) -> SinkConfig {
        let mut config = config(&self.kafka, name);
        config.kafka.bootstrap_servers = self.kafka.bootstrap_secure();
        config.kafka.security = KafkaSecurity {
            tls: Some(KafkaTls {
                ca_file: Some(self.file("ca")),
                client_cert: Some((self.file("client"), self.file("key"))),
                key_password: None,
            }),
            sasl: Some(sasl),
        };
        config
    }

    fn acl(&self, change: &str, arguments: &[&str]) {
        let head = [change, "--force", "--allow-principal", "User:cdc"];
        self.kafka.acl(&[&head, arguments].concat());
    }

    /// What the documentation tells operators to grant.
    fn grant(&self, config: &SinkConfig) {
        let topics = ["--topic", &config.topics.prefix, "--resource-pattern-type", "prefixed"];
        for operation in ["READ", "WRITE", "CREATE"] {
            self.acl("--add", &[&topics[..], &["--operation", operation]].concat());
        }
        let id = ["--transactional-id", &config.kafka.transactional_id, "--operation", "WRITE"];
        self.acl("--add", &id);
    }
}

fn password(text: &str) -> Sasl {
    Sasl::Password {
        mechanism: "SCRAM-SHA-512".into(),
        user: "cdc".into(),
        password: Secret::new(text.into()).into(),
    }
}

fn token(file: &Path) -> Sasl {
    Sasl::OauthBearer { tokens: TokenSource::of_file(file.to_owned()) }
}

/// An unsigned token for `user`.
fn write_token(file: &Path, user: &str, lifetime: Duration) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (now, end) = (now.as_secs(), (now + lifetime).as_secs());
    let claims = format!(r#"{{"sub":"{user}","iat":{now},"exp":{end}}}"#);
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    fs::write(file, format!("{}.{}.\n", part(r#"{"alg":"none"}"#), part(&claims))).unwrap();
}

#[test]
fn the_sink_works_with_exactly_the_documented_grants_and_names_a_missing_one() {
    run(Duration::from_secs(300), async {
        let secured = Secured::start();
        tokio::task::block_in_place(|| grants(&secured));
        tokio::task::block_in_place(|| credentials(&secured));
        tokio::task::block_in_place(|| tokens(&secured));
        tokio::task::block_in_place(|| topics_by_token(&secured));
    });
}

/// The error says that this is not permitted.
#[track_caller]
fn check(error: &Error, operation: &str, resource: &str) {
    println!("{error}");
    assert_eq!(error.class(), Class::Fatal, "{error:?}");
    let Error::NotPermitted { operation: found, resource: on } = error else { panic!("{error:?}") };
    assert_eq!((*found, &**on), (operation, resource));
}

fn grants(secured: &Secured) {
    let config = secured.config("secure_grants", password("a-secret"));
    let mut sink = sink(&config);
    let checkpoints = format!("topic {}", config.kafka.checkpoint_topic);
    check(&sink.recover().unwrap_err(), "DESCRIBE", &checkpoints);
    let settings = probe::topic(&config.kafka, &config.kafka.checkpoint_topic).unwrap_err();
    check(&settings, "DESCRIBE", &checkpoints);

    secured.grant(&config);
    assert_eq!(sink.recover().unwrap(), None);
    sink.ensure_topic(&topic(&config)).unwrap();
    sink.commit(&batch(&config, 1, &["a"])).unwrap();
    probe::transactions(&config).unwrap();
    assert_eq!(probe::read(&config).unwrap(), batch(&config, 1, &["a"]).checkpoint);

    // Another topic that exists and is not ours to write.
    let other = "forbidden";
    let runtime = tokio::runtime::Handle::current();
    runtime.block_on(secured.kafka.create_topic(other, 1, &[]));
    secured.acl("--add", &["--topic", other, "--operation", "DESCRIBE"]);
    let name = topic(&config);
    let answers = probe::write(&config, &[&name, other, &name]).unwrap();
    let [(_, Ok(())), (_, Err(refused)), (_, Ok(()))] = &answers[..] else { panic!("{answers:?}") };
    check(refused, "WRITE", "topic forbidden");
    assert_eq!(committed_values(&secured.kafka, &config), ["a"], "what a probe writes is aborted");

    assert_eq!(sink.recover().unwrap(), batch(&config, 1, &["a"]).checkpoint);
    let topics = ["--topic", &config.topics.prefix, "--resource-pattern-type", "prefixed"];
    secured.acl("--remove", &[&topics[..], &["--operation", "WRITE"]].concat());
    let error = sink.commit(&batch(&config, 2, &["b"])).unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
    assert_eq!(error.class(), Class::Fatal, "{error:?}");

    let id = config.kafka.transactional_id.clone();
    secured.acl("--remove", &["--transactional-id", &id, "--operation", "WRITE"]);
    check(&sink.recover().unwrap_err(), "WRITE", &format!("transactional id {id}"));
}

fn credentials(secured: &Secured) {
    let wrong = secured.config("secure_password", password("wrong"));
    let error = probe::cluster(&wrong.kafka).unwrap_err();
    println!("{error}");
    assert!(matches!(error, Error::Authentication { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Fatal);
    let error = sink(&wrong).recover().unwrap_err();
    assert!(matches!(error, Error::Authentication { .. }), "{error:?}");

    let mut stranger = secured.config("secure_authority", password("a-secret"));
    stranger.kafka.security.tls.as_mut().unwrap().ca_file = None;
    let error = probe::cluster(&stranger.kafka).unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
}

fn tokens(secured: &Secured) {
    let file = secured.file("token");
    let config = secured.config("secure_token", token(&file));
    secured.grant(&config);
    let error = probe::cluster(&config.kafka).unwrap_err();
    println!("{error}");
    assert_eq!(error.class(), Class::Retry, "something else will write it: {error:?}");
    assert!(error.to_string().contains("`kafka.sasl.token_file` cannot be read"), "{error}");

    write_token(&file, "cdc", Duration::from_secs(8));
    let mut sink = sink(&config);
    assert_eq!(sink.recover().unwrap(), None);
    sink.ensure_topic(&topic(&config)).unwrap();
    sink.commit(&batch(&config, 1, &["a"])).unwrap();
    // The token that it has runs out; a fresh one is read.
    write_token(&file, "cdc", Duration::from_secs(600));
    let end = SystemTime::now() + Duration::from_secs(9);
    until(Duration::from_secs(20), "the first token runs out", || {
        (end < SystemTime::now()).then_some(()).ok_or_else(|| "not yet".to_owned())
    });
    sink.commit(&batch(&config, 2, &["b"])).unwrap();
    assert_eq!(sink.recover().unwrap(), batch(&config, 2, &["b"]).checkpoint);
}

/// Topics are made and settings read as with a password, and what is refused is told.
fn topics_by_token(secured: &Secured) {
    let file = secured.file("token");
    let mut config = secured.config("secure_topics", token(&file));
    let (checkpoints, name) = (config.kafka.checkpoint_topic.clone(), topic(&config));
    let creation = config.topics.create.clone().unwrap();
    let may_create = |config: &SinkConfig, creation| {
        probe::may_create(&config.kafka, &name, creation).unwrap_err()
    };
    write_token(&file, "cdc", Duration::from_secs(600));
    check(&may_create(&config, &creation), "CREATE", &format!("topic {name}"));
    let broker = probe::broker_settings(&config.kafka, 1).unwrap_err();
    check(&broker, "DESCRIBE_CONFIGS", "the cluster");

    secured.grant(&config);
    probe::may_create(&config.kafka, &name, &creation).unwrap();
    assert_eq!(probe::topic(&config.kafka, &name).unwrap(), None, "it was only tried");
    let three = TopicCreation { replication_factor: 3, ..creation.clone() };
    let error = may_create(&config, &three);
    println!("{error}");
    assert!(matches!(error, Error::TooFewBrokers { .. }), "{error:?}");
    let odd = TopicCreation { cleanup_policy: Some("odd".into()), ..creation };
    let error = may_create(&config, &odd);
    println!("{error}");
    assert!(matches!(error, Error::TopicRefused { .. }), "{error:?}");

    let mut sink = sink(&config);
    assert_eq!(sink.recover().unwrap(), None);
    sink.ensure_topic(&name).unwrap();
    probe::may_create(&config.kafka, &name, &creation).unwrap();
    let described = probe::topic(&config.kafka, &name).unwrap().unwrap();
    assert_eq!((described.partitions, described.cleanup_policy), (3, None), "not permitted");
    let topics = ["--topic", &config.topics.prefix, "--resource-pattern-type", "prefixed"];
    secured.acl("--add", &[&topics[..], &["--operation", "DescribeConfigs"]].concat());
    secured.acl("--add", &["--cluster", "--operation", "DescribeConfigs"]);
    for (name, policy) in [(&name, "delete"), (&checkpoints, "compact")] {
        let described = probe::topic(&config.kafka, name).unwrap().unwrap();
        assert_eq!(described.cleanup_policy.as_deref(), Some(policy), "{name}");
        assert_eq!(described.record_bytes_max, Some(1_048_588));
    }
    let broker = probe::broker_settings(&config.kafka, 1).unwrap();
    assert_eq!(broker.replication_factor, Some(1));
    assert_eq!(broker.verifies_partitions, Some(true));
    let other = probe::broker_settings(&config.kafka, 7).unwrap_err();
    assert_eq!(other.class(), Class::Retry, "{other:?}");

    for (name, value) in [("ssl.endpoint.identification.algorithm", "none"), ("client.id", "x")] {
        config.kafka.properties.push((name.into(), Secret::new(value.into()).into()));
    }
    config.kafka.bootstrap_servers =
        config.kafka.bootstrap_servers.replace("localhost", "127.0.0.1");
    probe::may_create(&config.kafka, &name, &creation).unwrap();
    config.kafka.properties.clear();
    let error = may_create(&config, &creation);
    println!("{error}");
    assert!(error.to_string().contains("certificate not valid for name \"127.0.0.1\""), "{error}");
    // The first server that lets us in.
    config.kafka.bootstrap_servers =
        format!("{},{}", config.kafka.bootstrap_servers, secured.kafka.bootstrap_secure());
    probe::may_create(&config.kafka, &name, &creation).unwrap();

    config.kafka.security.tls.as_mut().unwrap().client_cert = None;
    let error = may_create(&config, &creation);
    println!("{error}");
    assert_eq!(error.class(), Class::Retry, "{error:?}");
    let config = secured.config("secure_topics", token(&file));
    fs::write(&file, "cAnArY").unwrap();
    let error = may_create(&config, &creation);
    println!("{error}");
    assert!(matches!(error, Error::Authentication { .. }), "{error:?}");
    assert_eq!(error.class(), Class::Retry, "there will be another");
    assert!(!format!("{error:?}").contains("cAnArY"), "{error:?}");
}
