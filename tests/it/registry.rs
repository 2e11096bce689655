//! The registry client against a real registry: one that is down, one that refuses, one that wants
//! credentials.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use walbrook::config;
use walbrook::edges::Class;
use walbrook::registry::{Error, Registry};

use crate::starts::{TABLE, TEST_LIMIT, check_once, secret_file};
use crate::support::flow::{self, Flow};
use crate::support::walbrook::Walbrook;
use crate::support::{registry, run, stack, unique};

pub(crate) fn client(urls: &[String]) -> Registry {
    Registry::new(&config::Registry {
        urls: urls.to_vec(),
        basic_auth: None,
        bearer_token: None,
        ca_file: None,
        client_cert: None,
        timeout: Duration::from_secs(20),
        auto_register: true,
    })
    .unwrap()
}

pub(crate) fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"Value","fields":[{fields}]}}"#)
}

pub(crate) const NUMBER: &str = r#"{"name":"a","type":"int"}"#;
const ADDED: &str = r#"{"name":"b","type":"string"}"#;

/// A door in front of the registry that lets in only requests with this in their head, in lower case;
/// others get this status, and what stands on the line behind it. Its URL.
pub(crate) fn door(registry: &str, wanted: &str, refusal: &str) -> String {
    let (address, path) = registry.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{path}", listener.local_addr().unwrap());
    let (address, wanted) = (address.to_owned(), wanted.to_lowercase());
    let (status, body) = refusal.split_once('\n').unwrap_or((refusal, ""));
    let length = body.len();
    let refusal =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    thread::spawn(move || {
        for mut caller in listener.incoming().map(Result::unwrap) {
            let mut reader = BufReader::new(caller.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && 0 < reader.read_line(&mut head).unwrap() {}
            let length = head.to_lowercase();
            let length = length.split_once("content-length: ").map_or(0, |(_, rest)| {
                rest.split("\r\n").next().unwrap().parse::<usize>().unwrap()
            });
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            if !head.to_lowercase().contains(&wanted) {
                write!(caller, "{refusal}").unwrap();
                continue;
            }
            let mut registry = TcpStream::connect(&address).unwrap();
            let head = head.trim_end();
            write!(registry, "{head}\r\nconnection: close\r\n\r\n").unwrap();
            registry.write_all(&body).unwrap();
            std::io::copy(&mut registry, &mut caller).unwrap();
        }
    });
    url
}

/// A registry that wants a password or a token gets it from walbrook; a wrong one ends the process,
/// and neither is in the log.
#[test]
fn a_registry_that_wants_credentials() {
    run(TEST_LIMIT, async {
        let stack = stack::shared();
        let mut flow = Flow::start(stack, "door", TABLE, &[]).await;
        flow.stop();
        let plain = flow.config.clone();
        let user = |password: &str| {
            format!("user = \"cdc\"\npassword_file = \"{}\"", secret_file(password).display())
        };
        let token = |token: &str| format!("token_file = \"{}\"", secret_file(token).display());
        let (wrong_password, wrong_token) = (user("wr0ng-cAnArY\n"), token("wr0ng-cAnArY\n"));
        // cdc:r1ght-cAnArY
        for (authorization, right, wrongs) in [
            ("Basic Y2RjOnIxZ2h0LWNBbkFyWQ==", user("r1ght-cAnArY\n"), ["", &wrong_password]),
            ("Bearer r1ght-cAnArY", token("r1ght-cAnArY\n"), [&wrong_password, &wrong_token]),
        ] {
            let wanted = format!("authorization: {authorization}\r\n");
            let door = door(&stack.registry.url(), &wanted, "401 Unauthorized");
            let config = plain.replace(&stack.registry.url(), &door);
            flow.execute("INSERT INTO t (v) VALUES ('a'), ('b')").await;
            for wrong in wrongs {
                let mut walbrook = Walbrook::spawn(&flow::edit(&config, "registry", wrong));
                let error = flow::ends_with(&mut walbrook, 4);
                assert!(error.contains("wants credentials"), "{error}");
                assert!(!walbrook.log().concat().contains("cAnArY"));
            }
            flow.config = flow::edit(&config, "registry", &right);
            flow.restart().await;
            flow.drain().await;
            check_once(&flow).await;
            assert!(!flow.walbrook.log().concat().contains("cAnArY"));
            flow.stop();
        }
    });
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
        // The field of the first is gone, and there is one that may be null.
        let other = r#"{"name":"b","type":["null","string"],"default":null}"#;
        assert_ne!(second.register(&subject, &record(other)).await.unwrap(), id);
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

/// What the error of an incompatible schema advises, followed.
#[test]
fn the_rules_that_the_error_names_let_the_schema_through() {
    run(Duration::from_secs(240), async {
        let registry = registry::Registry::start();
        let mut client = client(&[registry.url()]);
        client.register("a", &record(NUMBER)).await.unwrap();
        client.register("b", &record(NUMBER)).await.unwrap();
        let wider = record(&[NUMBER, ADDED].join(","));
        let error = client.register("a", &wider).await.unwrap_err().to_string();
        assert!(
            error.contains("the rule NONE for a while (FORWARD helps only where fields come"),
            "{error}"
        );
        registry.set_rule("a", "FORWARD");
        client.register("a", &wider).await.unwrap();
        registry.set_rule("b", "NONE");
        let answer = client.register("b", &wider).await;
        if registry.version == "2" {
            let error = answer.unwrap_err().to_string();
            assert!(error.contains("the global rule must be NONE too"), "{error}");
            registry.set_rule("", "NONE");
        }
        client.register("b", &wider).await.unwrap();
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
