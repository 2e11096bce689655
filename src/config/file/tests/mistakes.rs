//! What an operator reads for each mistake.

use super::command_messages::COMMANDS;
use super::messages::{REPLACED, TABLE};
use super::pattern_messages::PATTERNS;
use super::topic_messages::TOPICS;
use super::*;

fn check(text: &str, expect: &str) {
    let message = read(text, Path::new("/etc/walbrook"), &[]).map(|_| "no error".to_owned());
    assert_eq!(message.unwrap_or_else(|message| message), expect, "{text}");
}

#[test]
fn a_mistake_is_named_with_its_place_and_the_way_out() {
    for (section, lines, expect) in TABLE.iter().chain(COMMANDS).chain(PATTERNS).chain(TOPICS) {
        check(&with(section, lines), expect);
    }
    for (from, to, expect) in REPLACED {
        assert!(MINIMAL.contains(from), "{from}");
        check(&MINIMAL.replace(from, to), expect);
    }
    check(
        "pipeline = \"shop\"",
        "the section [replication] is missing: it needs `slot` and `publications`",
    );
}

#[test]
fn no_message_repeats_what_may_be_a_secret() {
    let messages = TABLE
        .iter()
        .chain(COMMANDS)
        .chain(PATTERNS)
        .chain(TOPICS)
        .chain(REPLACED)
        .map(|(_, _, message)| message);
    assert!(messages.clone().count() > 80);
    for message in messages {
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn a_secret_that_everybody_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let text = with("postgres", "password_file = \"secret\"");
    for (content, mode, expect) in [
        (
            "x",
            0o644,
            "is a file that every user of this machine can use (mode 0644): run chmod o-rwx",
        ),
        ("\n", 0o600, "is empty"),
    ] {
        std::fs::write(&path, content).unwrap();
        set_mode(&path, mode);
        let message = read(&text, folder.path(), &[]).err().unwrap();
        assert!(
            message.starts_with(&format!("4:17: `postgres.password_file` {expect}")),
            "{message}"
        );
    }
}

#[test]
fn mistakes_of_the_environment_name_the_variable() {
    for (name, value, expect) in [
        ("PGPORT", "x", "PGPORT is \"x\", but wants port numbers"),
        ("PGPORT", "1,2,3", "PGPORT lists 3 ports for 2 hosts: one each, or one"),
        (
            "PGSERVICE",
            "s",
            "PGSERVICE is set, but walbrook reads no service file: set `postgres.hosts`",
        ),
        (
            "PGSSLCRL",
            "revoked.crl",
            "PGSSLCRL is set, but walbrook does not follow it: unset it for walbrook",
        ),
        ("PGCONNECT_TIMEOUT", "0", "PGCONNECT_TIMEOUT is \"0\", but wants seconds, 1 to 3600"),
        (
            "PGTARGETSESSIONATTRS",
            "standby",
            "`PGTARGETSESSIONATTRS` is \"standby\", but wants \"any\" or \"read-write\" or \"primary\"",
        ),
    ] {
        let message = read(MINIMAL, Path::new(""), &[(name, value)]).err().unwrap();
        assert_eq!(message, expect);
    }
}

#[test]
fn a_schema_file_must_be_avro() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.avsc"), "{\"type\":\"recor\"}").unwrap();
    let lines = "table = \"a\"\nschemas = [{ route = \"x\", file = \"a.avsc\" }]";
    let message = read(&with("[outbox]", lines), folder.path(), &[]).err().unwrap();
    assert!(message.starts_with("14:34: the file ") && message.contains("is no Avro schema"));
}

#[test]
fn reserved_properties_are_sorted_and_cover_prefixes() {
    use crate::config::reserved::{RESERVED, is_secret, reason};
    assert!(RESERVED.is_sorted_by_key(|(name, _)| *name), "by name");
    for name in [
        "acks",
        "enable.gapless.guarantee",
        "enable.idempotence",
        "group.id",
        "isolation.level",
        "max.in.flight",
        "max.in.flight.requests.per.connection",
        "message.max.bytes",
        "message.send.max.retries",
        "message.timeout.ms",
        "partitioner",
        "queue.buffering.max.kbytes",
        "queue.buffering.max.messages",
        "queuing.strategy",
        "request.required.acks",
        "retries",
        "retry.backoff.max.ms",
        "retry.backoff.ms",
        "sasl.password",
        "security.protocol",
        "ssl.key.location",
        "test.mock.num.brokers",
        "transaction.timeout.ms",
        "transactional.id",
    ] {
        assert!(reason(name).is_some(), "{name}");
    }
    for name in ["linger.ms", "ssl.endpoint.identification.algorithm", "client.rack"] {
        assert!(reason(name).is_none(), "{name}");
    }
    assert!(is_secret("ssl.keystore.password") && !is_secret("linger.ms"));
}
