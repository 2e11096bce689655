//! The class of an error, and what of the server's words is shown.

use super::*;

#[test]
fn the_class_follows_the_sqlstate() {
    let fatal =
        ["28P01", "28000", "3D000", "42704", "42501", "42883", "55000", "0A000", "57P04", "22023"];
    let retry = [
        "57P01", "57P02", "57P03", "57014", "53300", "08006", "55006", "40001", "58P01", "XX000",
        "22P02", "42710", "",
    ];
    for code in fatal {
        let error = Error::Server(ServerError::new(code, "ERROR", ""));
        assert_eq!(error.class(), Class::Fatal, "{code}");
    }
    for code in retry {
        let error = Error::Server(ServerError::new(code, "ERROR", ""));
        assert_eq!(error.class(), Class::Retry, "{code}");
    }
}

#[test]
fn texts_that_can_hold_values_are_dropped() {
    for code in ["22P02", "22001", "23505", "P0001", "XX000", "38000", ""] {
        let error = ServerError::new(code, "ERROR", "invalid input: \"canary\"");
        assert!(!error.to_string().contains("canary"), "{code}");
    }
    let error = ServerError::new("42704", "ERROR", "publication \"p\" does not exist");
    assert_eq!(error.to_string(), "ERROR 42704: publication \"p\" does not exist");
}

#[test]
fn the_holder_of_a_slot_is_read_from_the_message() {
    let cases = [
        ("replication slot \"slot_7\" is active for PID 4711", Some(4711)),
        ("Replikations-Slot »PID_1« ist aktiv für PID 12", Some(12)),
        ("レプリケーションスロット\"s\"はPID 99で有効です", Some(99)),
        ("replication slot \"s\" is busy", None),
    ];
    for (message, expect) in cases {
        assert_eq!(ServerError::new("55006", "ERROR", message).pid(), expect, "{message}");
    }
}

#[test]
fn a_pooler_is_known_by_its_words() {
    let cases = [
        ("08P01", "unsupported startup parameter: options", true),
        ("08P01", "unsupported startup parameter in options: statement_timeout", true),
        ("0A000", "Feature not supported: RDS Proxy currently doesn't support …", true),
        ("08P01", "invalid startup packet layout: expected terminator as last byte", false),
        ("42704", "unrecognized configuration parameter \"x\"", false),
    ];
    for (code, message, expect) in cases {
        let server = ServerError::new(code, "FATAL", message);
        assert_eq!(server.is_of_pooler(), expect, "{message}");
        assert_eq!(Error::Pooler { host: "db".to_owned(), server }.class(), Class::Fatal);
    }
}

#[test]
fn a_verdict_of_tls_is_fatal_and_a_broken_handshake_is_not() {
    let tls = |error: rustls::Error| Error::Tls {
        host: "db".to_owned(),
        source: io::Error::new(io::ErrorKind::InvalidData, error),
    };
    let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    assert_eq!(tls(unknown).class(), Class::Fatal);
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
    assert_eq!(tls(alert).class(), Class::Fatal);
    assert_eq!(tls(rustls::Error::DecryptError).class(), Class::Retry);
    let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
    assert_eq!(Error::Tls { host: "db".to_owned(), source: eof }.class(), Class::Retry);
}
