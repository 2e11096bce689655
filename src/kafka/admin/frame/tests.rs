//! Answers as brokers give them, and as none does.

use std::collections::VecDeque;

use super::*;

/// A stream on which the answer lies ready, and what was asked is kept.
struct Pipe {
    answer: VecDeque<u8>,
    asked: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.answer.read(buffer)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.asked.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const HEAD: Head<'_> = Head { version: 1, correlation_id: 7, client_id: "walbrook" };

fn exchange<Q: Encodable + Default, A: Decodable>(
    api: &Api<Q, A>,
    answer: &[u8],
) -> Result<A, Broken> {
    let mut pipe = Pipe { answer: answer.iter().copied().collect(), asked: Vec::new() };
    let head = Head { version: api.versions.max, ..HEAD };
    api.exchange(&mut pipe, &head, &Q::default())
}

/// A frame: its length, the correlation id, the body.
fn frame(body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes()[..], &7_i32.to_be_bytes(), body].concat()
}

/// The settings of a topic, with one setting that has one synonym.
fn settings() -> Vec<u8> {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&length[..], text.as_bytes()].concat()
    };
    let one = 1_i32.to_be_bytes();
    let (name, value) = (text("cleanup.policy"), text("compact"));
    let synonym = [&name[..], &value, &[1]].concat();
    let setting = [&name[..], &value, &[0, 1, 0], &one, &synonym].concat();
    let resource = [&[0, 0, 0xFF, 0xFF, 2][..], &text("orders"), &one, &setting].concat();
    [&[0, 0, 0, 0][..], &one, &resource].concat()
}

#[test]
fn a_request_says_what_it_is() {
    let mut pipe = Pipe { answer: VecDeque::new(), asked: Vec::new() };
    let request =
        SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str("OAUTHBEARER"));
    let broken = SASL_HANDSHAKE.exchange(&mut pipe, &HEAD, &request).unwrap_err();
    assert!(matches!(broken, Broken::Closed), "{broken}");
    let expect = b"\0\0\0\x1f\0\x11\0\x01\0\0\0\x07\0\x08walbrook\0\x0bOAUTHBEARER";
    assert_eq!(pipe.asked, expect);
}

#[test]
fn an_answer_is_read() {
    let answer = exchange(&DESCRIBE_CONFIGS, &frame(&settings())).unwrap();
    let [resource] = &answer.results[..] else { panic!("{answer:?}") };
    assert_eq!(&*resource.resource_name, "orders");
    let [setting] = &resource.configs[..] else { panic!("{answer:?}") };
    assert_eq!((&*setting.name, setting.value.as_deref()), ("cleanup.policy", Some("compact")));
    let answer = exchange(&API_VERSIONS, &frame(b"\0\0\0\0\0\x01\0\x12\0\0\0\x04")).unwrap();
    assert_eq!(answer.api_keys[0].max_version, 4);
    let answer = exchange(&SASL_AUTHENTICATE, &frame(b"\0\x3a\0\x02no\0\0\0\0")).unwrap();
    assert_eq!((answer.error_code, answer.error_message.as_deref()), (58, Some("no")));
    let answer = exchange(&SASL_HANDSHAKE, &frame(b"\0\x21\0\0\0\x01\0\x05PLAIN")).unwrap();
    assert_eq!(&*answer.mechanisms[0], "PLAIN");
    let answer =
        exchange(&CREATE_TOPICS, &frame(b"\0\0\0\0\0\0\0\x01\0\x06orders\0\x24\0\x06exists"));
    assert_eq!(answer.unwrap().topics[0].error_code, 36);
    let brokers = b"\0\0\0\x01\0\0\0\x02\0\x01b\0\0\x23\x84\xff\xff";
    let body = [&brokers[..], b"\0\0\0\x02\0\0\0\0"].concat();
    let answer = exchange(&METADATA, &frame(&body)).unwrap();
    assert_eq!((answer.controller_id.0, answer.brokers[0].port), (2, 9092));
}

#[test]
fn what_no_broker_says_is_an_error() {
    let check = |answer: &[u8], expect: &str| {
        let found = exchange(&DESCRIBE_CONFIGS, answer).err().map(|broken| broken.to_string());
        assert_eq!(found.as_deref(), Some(expect), "{answer:?}");
    };
    let whole = frame(&settings());
    for end in 0..whole.len() {
        check(&whole[..end], "it closed the connection");
    }
    let less = "its answer is not Kafka's: less than it announces";
    for end in 0..settings().len() {
        check(&frame(&settings()[..end]), less);
    }
    let longer = [&settings()[..], &[0]].concat();
    check(&frame(&longer), "its answer is not Kafka's: bytes behind its end");
    let with_length = |length: i32| [&length.to_be_bytes()[..], &whole[4..]].concat();
    for length in [i32::MIN, -1, 0, 3, (16 << 20) + 1, i32::MAX] {
        check(
            &with_length(length),
            &format!("its answer is not Kafka's: a frame of {length} bytes"),
        );
    }
    // A web server, and one that wants TLS.
    check(b"HTTP/1.1 400 Bad Request", "its answer is not Kafka's: a frame of 1213486160 bytes");
    check(b"\x15\x03\x01\0\x02\x02\x50\0", "its answer is not Kafka's: a frame of 352518400 bytes");
    let mut other = whole.clone();
    other[7] = 8;
    check(&other, "its answer is to another request");
}

/// A count that made room before it was looked at would end the process.
#[test]
fn no_count_or_length_is_believed() {
    let body = settings();
    for at in 0..body.len() {
        for word in [i32::MAX, i32::MIN, -2, -1, 0x7FFF_0000, 0x0000_FFFF] {
            let mut body = body.clone();
            for (byte, of_word) in body[at..].iter_mut().zip(word.to_be_bytes()) {
                *byte = of_word;
            }
            // Some of these are answers still.
            drop(exchange(&DESCRIBE_CONFIGS, &frame(&body)));
        }
    }
    let count = [&[0, 0, 0, 0][..], &i32::MAX.to_be_bytes(), &[0; 64]].concat();
    assert!(matches!(exchange(&DESCRIBE_CONFIGS, &frame(&count)), Err(Broken::Malformed(_))));
}
