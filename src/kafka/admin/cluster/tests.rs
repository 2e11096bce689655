//! Who is asked for what, and what is made of brokers that do not answer. A real broker is in
//! `tests/it/kafka_security.rs`; these do what it would be hard to bring one to.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use super::*;
use crate::config::Sasl;
use crate::edges::Class;
use crate::kafka::client;
use crate::kafka::client::tests::config;

/// What a broker does with a request.
#[derive(Clone)]
enum Reply {
    Body(Vec<u8>),
    HangUp,
    Never,
}

const API_VERSIONS: i16 = 18;
const CREATE_TOPICS: i16 = 19;
const METADATA: i16 = 3;
const SASL_AUTHENTICATE: i16 = 36;
const SASL_HANDSHAKE: i16 = 17;

/// A broker that has these answers, for each request the next; the last again and again.
struct Broker {
    address: String,
    asked: mpsc::Receiver<i16>,
}

impl Broker {
    fn start(answers: &[(i16, &[Reply])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (told, asked) = mpsc::channel();
        let mut answers: Vec<(i16, VecDeque<Reply>)> =
            answers.iter().map(|(key, all)| (*key, all.iter().cloned().collect())).collect();
        answers.extend([
            (API_VERSIONS, [Reply::Body(versions())].into()),
            (SASL_HANDSHAKE, [Reply::Body(b"\0\0\0\0\0\0".to_vec())].into()),
            (SASL_AUTHENTICATE, [Reply::Body(b"\0\0\xff\xff\0\0\0\0".to_vec())].into()),
        ]);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map(Result::unwrap) {
                while let Some((key, correlation)) = request(&mut stream) {
                    told.send(key).unwrap_or_default();
                    let (_, replies) = answers.iter_mut().find(|(it, _)| *it == key).unwrap();
                    let reply = match replies.len() {
                        1 => replies[0].clone(),
                        _ => replies.pop_front().unwrap(),
                    };
                    match reply {
                        Reply::Body(body) => {
                            let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
                            let frame = [&length[..], &correlation, &body].concat();
                            stream.write_all(&frame).unwrap();
                        }
                        Reply::HangUp => break,
                        Reply::Never => {}
                    }
                }
            }
        });
        Self { address, asked }
    }

    /// How often it was asked for this.
    fn count(&self, key: i16) -> usize {
        self.asked.try_iter().filter(|asked| *asked == key).count()
    }

    fn port(&self) -> i32 {
        self.address.rsplit_once(':').unwrap().1.parse().unwrap()
    }
}

/// The key and the correlation id of the next request.
fn request(stream: &mut TcpStream) -> Option<(i16, [u8; 4])> {
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    let length = i32::from_be_bytes(head[..4].try_into().unwrap());
    let mut rest = vec![0; usize::try_from(length).unwrap() - 8];
    stream.read_exact(&mut rest).ok()?;
    Some((i16::from_be_bytes([head[4], head[5]]), head[8..].try_into().unwrap()))
}

/// Everything that is asked here, in versions 0 to 9.
fn versions() -> Vec<u8> {
    let keys = [API_VERSIONS, CREATE_TOPICS, METADATA, SASL_AUTHENTICATE, SASL_HANDSHAKE];
    let keys: Vec<u8> =
        keys.iter().flat_map(|key| [&key.to_be_bytes()[..], &[0, 0, 0, 9]].concat()).collect();
    [&[0, 0, 0, 0, 0, 5][..], &keys].concat()
}

/// Brokers 1, 2, … of these ports, and which of them is the controller.
fn metadata(ports: &[i32], controller: i32) -> Reply {
    let count = i32::try_from(ports.len()).unwrap();
    let mut body = count.to_be_bytes().to_vec();
    for (id, port) in (1_i32..).zip(ports) {
        body.extend(id.to_be_bytes());
        body.extend(b"\0\x09127.0.0.1");
        body.extend(port.to_be_bytes());
        body.extend(b"\xff\xff");
    }
    body.extend(controller.to_be_bytes());
    body.extend([0; 4]);
    Reply::Body(body)
}

fn created(code: u8) -> Reply {
    Reply::Body([&b"\0\0\0\0\0\0\0\x01\0\x06orders\0"[..], &[code], b"\xff\xff"].concat())
}

/// A configuration with a token.
fn by_token(folder: &tempfile::TempDir, servers: &str) -> Kafka {
    let file = folder.path().join("token");
    std::fs::write(&file, "cAnArY").unwrap();
    let mut config = config(servers).kafka;
    let tokens = TokenSource::of_file(file);
    config.security.sasl = Some(Sasl::OauthBearer { tokens });
    config
}

fn create(servers: &str, limit: Duration) -> Result<Vec<TopicResult>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let config = by_token(&folder, servers);
    let origin = client::origin(&config, "creating a topic").on("orders");
    let mut cluster = Cluster::new(&config, super::super::tokens(&config).unwrap(), origin)?;
    cluster.task.deadline = Deadline::after(limit);
    let created =
        cluster.create_topic(&NewTopic::new("orders", 1, TopicReplication::Fixed(1)), false);
    assert!(!format!("{created:?}").contains("cAnArY"), "{created:?}");
    created
}

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_topic_is_made_by_the_controller_even_when_that_changes() {
    let second = Broker::start(&[(CREATE_TOPICS, &[created(41), created(0)])]);
    let first = Broker::start(&[(METADATA, &[metadata(&[1, second.port()], 2)])]);
    // Nobody is at the first address, and who is at the second says nothing.
    let silent = Broker::start(&[(API_VERSIONS, &[Reply::Never])]);
    let servers = format!("127.0.0.1:1,{},{}", silent.address, first.address);
    assert_eq!(create(&servers, Duration::from_secs(6)).unwrap(), [Ok("orders".to_owned())]);
    assert_eq!((first.count(METADATA), first.count(CREATE_TOPICS)), (2, 0));
    assert_eq!(second.count(CREATE_TOPICS), 2);
}

#[test]
fn who_never_is_the_controller_is_told_when_the_time_is_over() {
    let broker = Broker::start(&[(CREATE_TOPICS, &[created(41)])]);
    let first = Broker::start(&[(METADATA, &[metadata(&[broker.port()], 1)])]);
    let results = create(&first.address, Duration::from_secs(1));
    let is_told = match &results {
        Ok(results) => results[0].as_ref().err().map(|(_, code)| *code),
        Err(_) => None,
    };
    let is_late = matches!(results, Err(Error::Unreachable { .. }));
    assert!(is_late || is_told == Some(RDKafkaErrorCode::NotController), "{results:?}");
    let nobody = Broker::start(&[(METADATA, &[metadata(&[broker.port()], -1)])]);
    let error = create(&nobody.address, LIMIT).unwrap_err();
    assert_eq!(error.class(), Class::Retry, "{error:?}");
}

#[test]
fn a_broker_that_gives_no_answer_is_named_and_tried_again() {
    let check = |key, reply: Reply, limit, expect: &str| {
        let broker = Broker::start(&[(key, &[reply])]);
        let error = create(&broker.address, limit).unwrap_err();
        assert_eq!(error.class(), Class::Retry, "{error:?}");
        let text = error.to_string();
        let expect = format!(": creating a topic ({}: {expect})", broker.address);
        assert!(text.starts_with("kafka: no answer after") && text.ends_with(&expect), "{text}");
    };
    check(API_VERSIONS, Reply::HangUp, LIMIT, "it closed the connection");
    check(SASL_AUTHENTICATE, Reply::HangUp, LIMIT, "it closed the connection");
    check(METADATA, Reply::HangUp, LIMIT, "it closed the connection");
    let odd = Reply::Body(vec![1]);
    check(METADATA, odd, LIMIT, "its answer is not Kafka's: less than it announces");
    let short = Duration::from_millis(300);
    check(API_VERSIONS, Reply::Never, short, "it did not answer in time");
    check(METADATA, Reply::Never, short, "it did not answer in time");
    let error = create("127.0.0.1:1", LIMIT).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:1: Connection refused"), "{error}");
}

#[test]
fn brokers_that_are_too_old_are_told() {
    let old = Reply::Body(b"\0\0\0\0\0\x02\0\x11\0\0\0\x01\0\x24\0\0\0\0".to_vec());
    let broker = Broker::start(&[(API_VERSIONS, &[old])]);
    let error = create(&broker.address, LIMIT).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
}

#[test]
fn a_refused_log_in_says_what_the_broker_said() {
    let check = |key, replies: &[&[u8]], expect: &str| {
        let replies: Vec<_> = replies.iter().map(|body| Reply::Body(body.to_vec())).collect();
        let broker = Broker::start(&[(key, &replies)]);
        let error = create(&broker.address, LIMIT).unwrap_err();
        assert_eq!(error.class(), Class::Retry, "there will be another token: {error:?}");
        assert_eq!(error.to_string(), format!("kafka refused the credentials: {expect}"));
    };
    check(
        SASL_HANDSHAKE,
        &[b"\0\x21\0\0\0\x01\0\x05PLAIN"],
        "UnsupportedSASLMechanism (Broker: Unsupported SASL mechanism) to OAUTHBEARER; it has: PLAIN",
    );
    check(SASL_AUTHENTICATE, &[b"\0\x3a\0\x02no\0\0\0\0"], "no");
    let challenge = b"\0\0\xff\xff\0\0\0\x12{\"status\":\"wrong\"}";
    check(SASL_AUTHENTICATE, &[challenge, b"\0\x3a\0\x02no\0\0\0\0"], "no {\"status\":\"wrong\"}");
}
