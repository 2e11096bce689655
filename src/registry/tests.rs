//! The client against a small registry of its own on a free port.

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::config::SecretCommand;

fn config(urls: Vec<String>) -> config::Registry {
    config::Registry {
        urls,
        basic_auth: None,
        bearer_token: None,
        ca_file: None,
        client_cert: None,
        timeout: Duration::from_secs(5),
        auto_register: true,
    }
}

/// Answers one connection per entry; returns its URL and what it was asked.
fn server(answers: Vec<(u16, String)>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/apis/ccompat/v7", listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        answers
            .into_iter()
            .map(|(status, body)| {
                let (mut stream, _) = listener.accept().unwrap();
                let asked = read_request(&mut BufReader::new(&stream));
                write!(
                    stream,
                    "HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                )
                .unwrap();
                asked
            })
            .collect()
    });
    (url, thread)
}

fn read_request(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn a_schema_is_registered_once_under_its_escaped_subject() {
    let (url, asked) = server(vec![(200, r#"{"id":7}"#.into())]);
    let mut config = config(vec![url]);
    config.basic_auth = Some(("cdc".into(), Secret::new("secret".into()).into()));
    let mut registry = Registry::new(&config).unwrap();
    for _ in 0..2 {
        let id = registry.register("shop/a b-value", r#""string""#).await.unwrap();
        assert_eq!(id, SchemaId(7));
    }
    let asked = asked.join().unwrap().remove(0);
    assert!(
        asked.starts_with("POST /apis/ccompat/v7/subjects/shop%2Fa%20b-value/versions "),
        "{asked}"
    );
    assert!(asked.contains("authorization: Basic Y2RjOnNlY3JldA=="), "{asked}");
    assert!(asked.contains("content-type: application/vnd.schemaregistry.v1+json"), "{asked}");
    assert!(asked.ends_with(r#"{"schema":"\"string\""}"#), "{asked}");
}

/// A command that counts how often it is run, and what it prints.
fn counting(folder: &std::path::Path, key: &str, output: &str) -> SecretSource {
    let script = format!("echo x >> $0; n=$(wc -l < $0); printf '%s\\n' \"{output}\"");
    let runs = folder.join("runs").to_str().unwrap().to_owned();
    let words = ["/bin/sh".to_owned(), "-c".to_owned(), script, runs];
    SecretSource::Command(SecretCommand::new(key.to_owned(), &words, folder, None).unwrap())
}

/// Not for each request, and once more where what it gave before is refused.
#[tokio::test]
async fn a_command_is_run_when_its_token_is_over_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let id = |id| (200, format!(r#"{{"id":{id}}}"#));
    let refused = || (401, String::new());
    let (url, asked) = server(vec![id(1), id(2), refused(), id(3), refused(), refused()]);
    let mut config = config(vec![url]);
    let output = r#"{\"access_token\":\"t$n\",\"expires_in\":600}"#;
    config.bearer_token = Some(counting(folder.path(), "registry.token_command", output));
    let mut registry = Registry::new(&config).unwrap();
    for (subject, id) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(registry.register(subject, "\"int\"").await.unwrap(), SchemaId(id));
    }
    let error = registry.register("d", "\"int\"").await.unwrap_err();
    assert!(matches!(error, Error::Denied { status: 401, .. }), "{error}");
    let token = |asked: &String| {
        let (_, token) = asked.split_once("authorization: Bearer ").unwrap();
        token.lines().next().unwrap().to_owned()
    };
    let tokens: Vec<_> = asked.join().unwrap().iter().map(token).collect();
    assert_eq!(tokens, ["t1", "t1", "t1", "t2", "t2", "t3"]);
}

#[tokio::test]
async fn a_password_of_a_command_is_kept_and_a_command_without_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let id = |id| (200, format!(r#"{{"id":{id}}}"#));
    let (url, asked) = server(vec![id(1), id(2)]);
    let mut config = config(vec![url]);
    let password = counting(folder.path(), "registry.password_command", "secret");
    config.basic_auth = Some(("cdc".into(), password));
    let mut registry = Registry::new(&config).unwrap();
    for subject in ["a", "b"] {
        registry.register(subject, "\"int\"").await.unwrap();
    }
    let has = |asked: &String| asked.contains("authorization: Basic Y2RjOnNlY3JldA==");
    assert!(asked.join().unwrap().iter().all(has));
    assert_eq!(std::fs::read_to_string(folder.path().join("runs")).unwrap(), "x\n");

    config.basic_auth = None;
    config.bearer_token = Some(counting(folder.path(), "registry.token_command", "{canary"));
    let error = Registry::new(&config).unwrap().ping().await.unwrap_err();
    assert_eq!(error.class(), Class::Retry);
    assert!(error.to_string().starts_with("`registry.token_command`: /bin/sh gave JSON without"));
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

#[tokio::test]
async fn an_answer_has_a_class_and_says_what_to_do() {
    let check = async |status: u16, body: &str, class: Class, words: &str| {
        // A conflict is asked about twice.
        let answers = if status == 409 { 2 } else { 1 };
        let (url, asked) = server(vec![(status, body.into()); answers]);
        let mut registry = Registry::new(&config(vec![url])).unwrap();
        let error = registry.register("orders-value", "\"int\"").await.unwrap_err();
        asked.join().unwrap();
        assert_eq!(error.class(), class, "{status}: {error}");
        assert!(error.to_string().contains(words), "{status}: {error}");
    };
    let conflict = r#"{"error_code":40901,"message":"incompatible: READER_FIELD_MISSING"}"#;
    check(409, conflict, Class::Fatal, "orders-value (status 409, code 40901): incompatible").await;
    check(422, "no json", Class::Fatal, "status 422, code 0").await;
    check(401, "", Class::Fatal, "wants credentials").await;
    check(403, "", Class::Fatal, "write subject orders-value").await;
    let denied = r#"{"error_code":40301,"message":"User is denied operation Write"}"#;
    check(403, denied, Class::Fatal, "orders-value (status 403, code 40301): User is denied").await;
    check(404, "", Class::Fatal, "base path").await;
    check(400, "", Class::Fatal, "status 400").await;
    check(301, "", Class::Fatal, "status 301").await;
    check(408, "", Class::Retry, "status 408").await;
    check(429, "", Class::Retry, "status 429").await;
    check(500, "", Class::Retry, "status 500").await;
    check(503, "", Class::Retry, "status 503").await;
    check(200, "<html>", Class::Retry, "something else").await;
    check(200, r#"{"id":-1}"#, Class::Retry, "something else").await;
    check(200, &"x".repeat(BODY_BYTES_MAX + 1), Class::Retry, "more than it should").await;
}

/// A gateway whose backend is restarted, or a token that is renewed: it passes, and the next URL is
/// asked.
#[tokio::test]
async fn after_an_answer_only_its_word_about_a_schema_is_permanent() {
    let id = |id| (200, format!(r#"{{"id":{id}}}"#));
    for status in [400, 401, 403, 404, 405, 302] {
        let (url, asked) = server(vec![id(1), (status, String::new()), id(2)]);
        let mut registry = Registry::new(&config(vec![url])).unwrap();
        assert_eq!(registry.register("a", "\"int\"").await.unwrap(), SchemaId(1));
        let error = registry.register("b", "\"int\"").await.unwrap_err();
        assert_eq!(registry.class(&error), Class::Retry, "{error}");
        assert_eq!(registry.register("b", "\"int\"").await.unwrap(), SchemaId(2));
        asked.join().unwrap();
    }
    for (status, body) in [(422, ""), (403, r#"{"error_code":40301}"#)] {
        let (url, asked) = server(vec![id(1), (status, body.to_owned())]);
        let mut registry = Registry::new(&config(vec![url])).unwrap();
        registry.register("a", "\"int\"").await.unwrap();
        let error = registry.register("b", "\"int\"").await.unwrap_err();
        assert_eq!(registry.class(&error), Class::Fatal, "{error}");
        asked.join().unwrap();
    }
}

#[tokio::test]
async fn a_race_of_two_registrations_is_no_refusal() {
    let lost = r#"{"error_code":409,"message":"An artifact with this ID already exists."}"#;
    let (url, asked) = server(vec![(409, lost.into()), (200, r#"{"id":7}"#.into())]);
    let mut registry = Registry::new(&config(vec![url])).unwrap();
    assert_eq!(registry.register("s", "\"int\"").await.unwrap(), SchemaId(7));
    assert_eq!(asked.join().unwrap().len(), 2);
}

#[tokio::test]
async fn the_next_url_is_asked_when_one_fails_and_is_kept() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (second, asked_second) = server(vec![(503, String::new())]);
    let (third, asked_third) =
        server(vec![(200, r#"{"id":1}"#.into()), (200, r#"["AVRO"]"#.into())]);
    let urls = vec![format!("http://{closed}"), second, third];
    let mut registry = Registry::new(&config(urls)).unwrap();
    assert_eq!(registry.register("s", "\"int\"").await.unwrap(), SchemaId(1));
    registry.ping().await.unwrap();
    assert_eq!(asked_second.join().unwrap().len(), 1);
    assert!(asked_third.join().unwrap()[1].starts_with("GET /apis/ccompat/v7/schemas/types "));
}

#[tokio::test]
async fn a_registry_that_is_down_is_waited_for() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut registry = Registry::new(&config(vec![format!("http://{closed}")])).unwrap();
    let error = registry.ping().await.unwrap_err();
    assert_eq!(error.class(), Class::Retry, "{error}");
}

#[test]
fn a_url_with_credentials_is_refused_without_showing_them() {
    let check = |url: &str, words: &str| {
        let error = Registry::new(&config(vec!["http://ok".into(), url.into()])).unwrap_err();
        assert_eq!(error.class(), Class::Fatal);
        assert!(error.to_string().starts_with("registry URL number 2"), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    };
    check("http://user:canary@host", "holds credentials");
    check("canary", "not a URL");
    check("ftp://canary", "neither http");
}

#[test]
fn certificates_are_checked_at_the_start() {
    let mut tls = config(vec!["https://localhost".into()]);
    tls.ca_file = Some("/nonexistent/ca.pem".into());
    let error = Registry::new(&tls).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
}

#[tokio::test]
async fn tls_works_with_a_private_authority_and_client_certificate() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let folder = tempfile::tempdir().unwrap();
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &issuer);
    let files = ["ca.pem", "leaf.pem", "key.pem"].map(|name| folder.path().join(name));
    let texts = [authority_pem, leaf.unwrap().pem(), key.serialize_pem()];
    for (file, text) in files.iter().zip(texts) {
        std::fs::write(file, text).unwrap();
    }
    let [ca, certificate, key] = files;

    let mut roots = rustls::RootCertStore::empty();
    for found in tls::tests::certificates_of(&ca) {
        roots.add(found).unwrap();
    }
    let (port, asked) = tls::tests::server(roots, &certificate, &key);
    let mut config = config(vec![format!("https://localhost:{port}")]);
    config.ca_file = Some(ca);
    config.client_cert = Some((certificate, key));
    Registry::new(&config).unwrap().ping().await.unwrap();
    assert!(asked.join().unwrap().starts_with("GET /schemas/types "));
}

/// Who may write a subject and not read it goes on as if it had no schema; a gateway's 404 is no word
/// of the registry.
#[tokio::test]
async fn a_newest_schema_that_may_not_be_read_is_none() {
    let denied = (403, r#"{"error_code":40301}"#);
    for (status, body) in [(403, ""), denied, (404, r#"{"error_code":40401}"#)] {
        let (url, asked) = server(vec![(status, body.into())]);
        let mut registry = Registry::new(&config(vec![url])).unwrap();
        assert_eq!(registry.newest("t-value").await.unwrap(), None, "{status}");
        asked.join().unwrap();
    }
    let answers = vec![(200, r#"{"id":7,"schema":"s"}"#.into()), (404, String::new())];
    let (url, asked) = server(answers);
    let mut registry = Registry::new(&config(vec![url])).unwrap();
    assert_eq!(registry.newest("t-value").await.unwrap().as_deref(), Some("s"));
    // It need not be registered.
    assert_eq!(registry.register("t-value", "s").await.unwrap(), SchemaId(7));
    let error = registry.newest("t-value").await.unwrap_err();
    assert_eq!(registry.class(&error), Class::Retry, "{error}");
    asked.join().unwrap();
}

/// The newest version by which the records can be read, by reading alone.
#[tokio::test]
async fn where_nothing_is_registered_a_version_with_the_same_layout_is_found() {
    let record = |attributes: &str| {
        let fields = format!(r#"[{{"name":"a","type":"int"{attributes}}}]"#);
        format!(r#"{{"type":"record","name":"R","fields":{fields}}}"#)
    };
    let version = |id: u32, schema: &str| {
        (200, serde_json::json!({ "id": id, "schema": schema }).to_string())
    };
    let newer = r#"{"type":"record","name":"R","fields":[]}"#;
    let (url, asked) = server(vec![
        (200, "[1,3,2,4]".to_owned()),
        (404, r#"{"error_code":40402}"#.to_owned()),
        version(13, newer),
        version(12, &record(r#","doc":"Words","default":7"#)),
        (404, r#"{"error_code":40401}"#.to_owned()),
    ]);
    let config = config::Registry { auto_register: false, ..config(vec![url]) };
    let mut registry = Registry::new(&config).unwrap();
    for _ in 0..2 {
        let id = registry.register("t-value", &record("")).await.unwrap();
        assert_eq!(id, SchemaId(12));
    }
    let error = registry.register("u-value", &record("")).await.unwrap_err();
    assert!(matches!(&error, Error::Unregistered { subject } if subject == "u-value"), "{error}");
    assert_eq!(registry.class(&error), Class::Fatal);
    let asked = asked.join().unwrap();
    assert!(asked.iter().all(|it| it.starts_with("GET ")), "{asked:?}");
    assert!(asked[3].contains("/subjects/t-value/versions/2 "), "{asked:?}");
}

/// The id is among a key's bytes, so what somebody registers later moves no key, were it just what
/// walbrook would register.
#[tokio::test]
async fn a_key_goes_by_the_oldest_schema_that_reads_it() {
    let key = |words: &str| {
        format!(r#"{{"type":"record","name":"K","fields":[{{"name":"id","type":"int"}}]{words}}}"#)
    };
    let version = |id: u32, schema: &str| {
        (200, serde_json::json!({ "id": id, "schema": schema }).to_string())
    };
    let other = r#"{"type":"record","name":"K","fields":[]}"#;
    let (first, last) = (key(r#","doc":"First""#), key(r#","doc":"Last""#));
    // As registries write it, in an order of their own.
    let own = r#"{"name":"K","type":"record","fields":[{"type":"int","name":"id"}]}"#;
    for (versions, expect) in [
        (vec![version(10, other), version(11, &first), version(12, &last)], Some(11)),
        (vec![version(10, &first), version(11, own), version(12, &last)], Some(10)),
        (vec![version(10, other)], None),
    ] {
        let numbers: Vec<_> = (1..=versions.len()).collect();
        let list = (200, serde_json::json!(numbers).to_string());
        let (url, _) = server([vec![list], versions].concat());
        let config = config::Registry { auto_register: false, ..config(vec![url]) };
        let mut registry = Registry::new(&config).unwrap();
        let found = registry.register("t-key", &key("")).await.ok();
        assert_eq!(found, expect.map(SchemaId));
    }
}
