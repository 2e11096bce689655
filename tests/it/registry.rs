//! The registry client against a real registry: one that is down, one that refuses.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use walbrook::config;
use walbrook::edges::Class;
use walbrook::registry::{Error, Registry};

use crate::support::{registry, run, stack, unique};

fn client(urls: &[String]) -> Registry {
    Registry::new(&config::Registry {
        urls: urls.to_vec(),
        basic_auth: None,
        bearer_token: None,
        ca_file: None,
        client_cert: None,
        timeout: Duration::from_secs(20),
    })
    .unwrap()
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"Value","fields":[{fields}]}}"#)
}

const NUMBER: &str = r#"{"name":"a","type":"int"}"#;
const ADDED: &str = r#"{"name":"b","type":"string"}"#;

/// A PUT of JSON; the status.
fn put(url: &str, body: &str) -> u16 {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "PUT /{path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_schema_has_one_id_that_readers_find() {
    run(Duration::from_secs(180), async {
        let registry = &stack::shared().registry;
        let subject = unique("registry/odd name-value");
        let mut first = client(&[registry.url()]);
        first.ping().await.unwrap();
        let id = first.register(&subject, &record(NUMBER)).await.unwrap();
        assert_eq!(first.register(&subject, &record(NUMBER)).await.unwrap(), id);
        let mut second = client(&["http://127.0.0.1:1".into(), registry.url()]);
        assert_eq!(second.register(&subject, &record(NUMBER)).await.unwrap(), id);
        assert_ne!(second.register(&subject, &record(ADDED)).await.unwrap(), id);
        assert!(registry.subjects().contains(&subject));
        assert_eq!(registry.schema(id.0).name().unwrap().name(), "Value");
    });
}

#[test]
fn an_incompatible_schema_is_refused_with_the_registrys_reason() {
    run(Duration::from_secs(180), async {
        let registry = &stack::shared().registry;
        let subject = unique("registry-compatibility-value");
        let mut client = client(&[registry.url()]);
        client.register(&subject, &record(NUMBER)).await.unwrap();
        let rule = format!("{}/config/{subject}", registry.url());
        assert_eq!(put(&rule, r#"{"compatibility":"BACKWARD"}"#), 200);
        let wider = record(&[NUMBER, ADDED].join(","));
        let error = client.register(&subject, &wider).await.unwrap_err();
        println!("{error}");
        assert_eq!(error.class(), Class::Fatal, "{error}");
        assert!(matches!(&error, Error::Refused { status: 409, .. }), "{error}");
        assert!(error.to_string().contains(&subject), "{error}");

        let error = client.register(&subject, "no schema").await.unwrap_err();
        println!("{error}");
        assert!(matches!(&error, Error::Refused { status: 422, .. }), "{error}");
    });
}

#[test]
fn a_wrong_base_path_says_what_is_missing() {
    run(Duration::from_secs(180), async {
        let url = stack::shared().registry.url().replace("/apis/ccompat/v7", "/wrong");
        let error = client(&[url]).register("s", &record(NUMBER)).await.unwrap_err();
        assert!(matches!(&error, Error::Path { .. }), "{error}");
        assert_eq!(error.class(), Class::Fatal);
    });
}

#[test]
fn a_registry_that_comes_back_goes_on() {
    run(Duration::from_secs(240), async {
        let mut registry = registry::Registry::start();
        let mut client = client(&[registry.url()]);
        client.register("before", &record(NUMBER)).await.unwrap();
        registry.kill();
        let error = client.register("during", &record(NUMBER)).await.unwrap_err();
        assert_eq!(error.class(), Class::Retry, "{error}");
        registry.launch();
        client.register("after", &record(NUMBER)).await.unwrap();
    });
}
