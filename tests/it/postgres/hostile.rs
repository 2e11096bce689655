//! Servers that are not PostgreSQL, or mean harm: each ends in an error, none in a hang.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use walbrook::config::{ChannelBinding, Postgres as Settings, SslMode};
use walbrook::edges::Class;
use walbrook::position::Lsn;
use walbrook::postgres::{Error, Start};
use walbrook::types::SESSION_SETTINGS;

use super::{settings, walsender};
use crate::support::run;

const LIMIT: Duration = Duration::from_secs(60);

/// Serves one connection after another with `serve` and returns what a client makes of the first.
async fn against(
    adapt: impl FnOnce(Settings) -> Settings,
    serve: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static,
) -> Error {
    walsender(&adapt(served(serve))).await.map(drop).unwrap_err()
}

/// Serves one connection after another with `serve`; returns the settings of a client.
fn served(serve: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + 'static) -> Settings {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // The client hangs up at will.
            let _ = serve(&mut stream);
        }
    });
    Settings { connect_timeout: Duration::from_secs(5), ..settings("127.0.0.1", port, "postgres") }
}

/// Reads what the client sends, at least one byte.
fn listen(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read(&mut [0; 4096]).map(drop)
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

#[test]
fn a_server_that_asks_for_ever_is_left() {
    run(LIMIT, async {
        let error = against(std::convert::identity, |stream| {
            loop {
                listen(stream)?;
                stream.write_all(&message(b'R', &[0, 0, 0, 3]))?;
            }
        });
        let error = error.await;
        assert!(error.to_string().contains("again and again"), "{error}");
    });
}

#[test]
fn a_huge_message_before_the_session_is_refused() {
    run(LIMIT, async {
        let error = against(std::convert::identity, |stream| {
            listen(stream)?;
            stream.write_all(&[b'R', 0x00, 0x10, 0x00, 0x00])?;
            listen(stream)
        });
        assert!(matches!(error.await, Error::FrameTooLarge { bytes: 0x10_0000, .. }));
    });
}

#[test]
fn plain_bytes_behind_the_answer_to_the_tls_request_are_refused() {
    run(LIMIT, async {
        let secure = |settings| Settings { ssl_mode: SslMode::Require, ..settings };
        let error = against(secure, |stream| {
            listen(stream)?;
            stream.write_all(&[&b"S"[..], &message(b'R', &[0, 0, 0, 0])].concat())?;
            listen(stream)
        });
        let error = error.await;
        assert!(error.to_string().contains("plain bytes"), "{error}");
    });
}

#[test]
fn scram_without_the_servers_proof_is_refused() {
    run(LIMIT, async {
        let error = against(std::convert::identity, |stream| {
            listen(stream)?;
            stream.write_all(&message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"))?;
            listen(stream)?;
            stream.write_all(&message(b'R', &[0, 0, 0, 0]))?;
            listen(stream)
        });
        let error = error.await;
        assert!(error.to_string().contains("did not prove"), "{error}");
        // A server that lets everybody in cannot have proved itself.
        let require = |settings| Settings { channel_binding: ChannelBinding::Require, ..settings };
        let error = against(require, |stream| {
            listen(stream)?;
            stream.write_all(&message(b'R', &[0, 0, 0, 0]))?;
            listen(stream)
        });
        assert!(matches!(error.await, Error::ChannelBinding { .. }));
    });
}

#[test]
fn what_is_not_postgres_is_an_error_with_or_without_an_answer() {
    run(LIMIT, async {
        let http = |stream: &mut TcpStream| {
            listen(stream)?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        };
        let error = against(std::convert::identity, http).await;
        assert!(matches!(error, Error::FrameTooLarge { .. } | Error::Protocol(_)), "{error:?}");
        let secure = |settings| Settings { ssl_mode: SslMode::Require, ..settings };
        assert!(matches!(against(secure, http).await, Error::Protocol(_)));
        let silent =
            |settings| Settings { connect_timeout: Duration::from_millis(200), ..settings };
        let error = against(silent, |stream| {
            listen(stream)?;
            listen(stream)
        });
        let error = error.await;
        assert!(matches!(error, Error::TimedOut { limit_ms: 200, .. }), "{error:?}");
        let error = against(std::convert::identity, |_| Ok(())).await;
        assert!(matches!(error, Error::Closed | Error::Io(_)), "{error:?}");
    });
}

/// The row that says that the session's settings are as they were asked for.
fn as_asked() -> Vec<u8> {
    let shared = SESSION_SETTINGS.iter().map(|(_, value)| *value);
    let row: Vec<_> =
        ["10s", "warning", "0"].into_iter().chain(shared).chain(["0", "0", "2026-11-28"]).collect();
    let mut body = u16::try_from(row.len()).unwrap().to_be_bytes().to_vec();
    for value in row {
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value.bytes());
    }
    body
}

/// A halted server: its kernel keeps the connection and takes the command.
#[test]
fn a_walsender_that_does_not_answer_a_command_is_left() {
    run(LIMIT, async {
        let settings = Settings {
            connect_timeout: Duration::from_secs(1),
            statement_timeout: Duration::from_millis(200),
            ..served(|stream| {
                listen(stream)?;
                stream.write_all(&message(b'R', &[0, 0, 0, 0]))?;
                stream.write_all(&message(b'S', b"server_version\x0016.0\0"))?;
                stream.write_all(&message(b'Z', b"I"))?;
                listen(stream)?;
                stream.write_all(&message(b'D', &as_asked()))?;
                stream.write_all(&message(b'Z', b"I"))?;
                // The command, and that the client hangs up.
                listen(stream)?;
                listen(stream)
            })
        };
        let told = |error: Error| {
            assert!(matches!(error, Error::TimedOut { limit_ms: 1200, .. }), "{error:?}");
            assert_eq!(error.class(), Class::Retry);
            let text = error.to_string();
            assert!(text.contains("127.0.0.1:"), "{text}");
            text.split(' ').next().unwrap().to_owned()
        };
        let client = async || walsender(&settings).await.unwrap();
        let error = client().await.identify_system().await.unwrap_err();
        assert_eq!(told(error), "IDENTIFY_SYSTEM");
        let error = client().await.timeline_history(2).await.unwrap_err();
        assert_eq!(told(error), "TIMELINE_HISTORY");
        let error = client().await.drop_slot("s").await.unwrap_err();
        assert_eq!(told(error), "DROP_REPLICATION_SLOT");
        let start = Start {
            slot: "s",
            lsn: Lsn(0),
            publications: &[],
            is_binary: false,
            has_messages: false,
        };
        let error = client().await.start_replication(start).await.unwrap_err();
        assert_eq!(told(error), "START_REPLICATION");
    });
}
