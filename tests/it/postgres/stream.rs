//! Slots and streams: rows in both forms over every transport, status, the end.

use std::time::Duration;

use walbrook::config::{Postgres as Settings, SslMode, Target};
use walbrook::edges::{Class, Transport};
use walbrook::position::Lsn;
use walbrook::postgres::{
    Catalog, Error, ReplicationClient, SERVER_VERSION_MIN, Start, Stream, TransportKind,
};
use walbrook::wal::{Column, Frame, Message, status_update};

use super::{Secured, local, settings, walsender};
use crate::support::postgres::{Options, Postgres};
use crate::support::{process, run, unique, until_async};

const LIMIT: Duration = Duration::from_secs(120);

const SETUP: &str = "
CREATE TABLE item (id bigint PRIMARY KEY, name text, at timestamptz);
CREATE PUBLICATION shop FOR TABLE item;";

async fn client(settings: &Settings) -> ReplicationClient {
    walsender(settings).await.unwrap()
}

async fn start(settings: &Settings, slot: &str, is_binary: bool) -> Result<Stream, Error> {
    let publications = ["shop".to_owned()];
    let start =
        Start { slot, lsn: Lsn::ZERO, publications: &publications, is_binary, has_messages: true };
    client(settings).await.start_replication(start).await
}

/// What a frame says, in words; values as text or as bytes.
fn words(frame: &[u8]) -> String {
    let body = match Frame::parse(frame).unwrap() {
        Frame::Keepalive { reply_requested, .. } => return format!("keepalive {reply_requested}"),
        Frame::XLogData { body, .. } => body,
    };
    match Message::parse(body).unwrap() {
        Message::Begin { .. } => "begin".to_owned(),
        Message::Commit { .. } => "commit".to_owned(),
        Message::Relation(_) => "relation".to_owned(),
        Message::Message { prefix, .. } => format!("message {prefix}"),
        Message::Insert { new, .. } => new
            .columns()
            .map(|column| match column {
                Column::Binary(bytes) => format!("{bytes:02x?} "),
                Column::Text(bytes) => String::from_utf8_lossy(bytes).into_owned() + " ",
                other => format!("{other:?} "),
            })
            .collect(),
        _ => "other".to_owned(),
    }
}

/// Reads until the stream says `last`; keep-alives left out.
async fn read_to(stream: &mut Stream, last: &str) -> Result<Vec<String>, Error> {
    let mut out = Vec::new();
    loop {
        while let Some(frame) = stream.next_frame()? {
            let words = words(frame);
            if !words.starts_with("keepalive") || words == last {
                out.push(words);
            }
            if out.last().is_some_and(|words| words == last) {
                return Ok(out);
            }
        }
        stream.fill().await?;
    }
}

#[test]
fn rows_arrive_in_both_forms_over_every_transport() {
    run(LIMIT, async {
        let secured = Secured::shared();
        secured.users().await;
        let server = &secured.server;
        let database = unique("stream");
        server.execute("postgres", &format!("CREATE DATABASE {database}")).await;
        server.execute(&database, SETUP).await;
        let tcp = Settings {
            database: database.clone(),
            ..settings("localhost", server.port(), "postgres")
        };
        let tls = Settings { ssl_mode: SslMode::Require, ..tcp.clone() };
        let unix = local(server, &database);
        let slot = unique("slot");
        client(&tcp).await.create_slot(&slot, false).await.unwrap();
        server
            .execute(
                &database,
                "SET timezone = 'Asia/Tokyo';
                 INSERT INTO item VALUES (7, 'seven', '2024-02-29 12:00:00.5+00'), (8, NULL, NULL);
                 SELECT pg_logical_emit_message(true, 'note', 'x')",
            )
            .await;
        let text = ["begin", "relation", "7 seven 2024-02-29 12:00:00.5+00 ", "8 Null Null "];
        let binary = [
            "begin",
            "relation",
            "[00, 00, 00, 00, 00, 00, 00, 07] [73, 65, 76, 65, 6e] \
             [00, 02, b5, 82, c4, 7f, b1, 20] ",
            "[00, 00, 00, 00, 00, 00, 00, 08] Null Null ",
        ];
        let ways =
            [(&tcp, TransportKind::Tcp), (&tls, TransportKind::Tls), (&unix, TransportKind::Unix)];
        for (settings, kind) in ways {
            for (is_binary, expect) in [(false, &text), (true, &binary)] {
                // Nothing is confirmed, so each start sends all of it again.
                let mut stream = start(settings, &slot, is_binary).await.unwrap();
                assert_eq!(stream.transport_kind(), kind);
                let got = read_to(&mut stream, "commit").await.unwrap();
                // One statement list is one transaction: the message is in it.
                assert_eq!(got[..4], expect[..], "{kind:?}");
                assert_eq!(got[4..], ["message note", "commit"], "{kind:?}");
                stream.close().await;
            }
        }
        client(&tls).await.drop_slot(&slot).await.unwrap();
    });
}

#[test]
fn a_slot_is_held_by_one_and_free_after_close() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        server.execute("postgres", SETUP).await;
        let settings = local(&server, "postgres");
        client(&settings).await.create_slot("held", false).await.unwrap();
        let stream = start(&settings, "held", true).await.unwrap();
        let mut catalog = Catalog::connect(&settings).await.unwrap();
        let facts = catalog.slot("held").await.unwrap().unwrap();
        assert!(facts.is_active);
        let refusals = [
            start(&settings, "held", true).await.map(drop).unwrap_err(),
            client(&settings).await.drop_slot("held").await.unwrap_err(),
        ];
        for error in refusals {
            assert_eq!(error.class(), Class::Retry);
            match error {
                Error::SlotActive { slot, pid } => {
                    assert_eq!((slot.as_str(), pid), ("held", facts.active_pid));
                }
                other => panic!("{other}"),
            }
        }
        // Closed means free: the next start must not be refused.
        stream.close().await;
        for _ in 0..20 {
            start(&settings, "held", true).await.unwrap().close().await;
        }
        let mut stream = start(&settings, "held", true).await.unwrap();
        let pid = catalog.slot("held").await.unwrap().unwrap().active_pid.unwrap();
        assert!(!catalog.terminate("other", pid).await.unwrap());
        assert!(catalog.terminate("held", pid).await.unwrap());
        let error = read_to(&mut stream, "never").await.unwrap_err();
        assert_eq!((error.sqlstate(), error.class()), (Some("57P01"), Class::Retry), "{error}");
        let error = start(&settings, "missing", true).await.map(drop).unwrap_err();
        assert_eq!((error.sqlstate(), error.class()), (Some("42704"), Class::Fatal), "{error}");
    });
}

#[test]
fn status_is_answered_and_seen() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        server.execute("postgres", SETUP).await;
        let settings = local(&server, "postgres");
        let mut other = client(&settings).await;
        other.create_slot("status", false).await.unwrap();
        let mut stream = start(&settings, "status", true).await.unwrap();
        server.execute("postgres", "INSERT INTO item VALUES (1)").await;
        read_to(&mut stream, "commit").await.unwrap();
        let end = other.identify_system().await.unwrap().flush_lsn;
        stream.send(&status_update(end, end, end, 0, true)).await.unwrap();
        read_to(&mut stream, "keepalive false").await.unwrap();
        let mut catalog = Catalog::connect(&settings).await.unwrap();
        let facts = catalog.slot("status").await.unwrap().unwrap();
        assert_eq!(facts.confirmed_flush, Some(end));
        let walsender = catalog.walsender(facts.active_pid.unwrap()).await.unwrap().unwrap();
        assert_eq!(walsender.application_name, "walbrook");
        assert_eq!(walsender.state.as_deref(), Some("streaming"));
        // We said that it was the year 1970.
        assert!(Duration::from_secs(86_400) < walsender.reply_age.unwrap());
        assert_eq!(catalog.walsender(1).await.unwrap(), None);
        stream.shutdown().await;
        server.slot_active("status", false).await;
    });
}

#[test]
fn large_rows_pass_and_a_reader_may_be_slow() {
    run(LIMIT, async {
        let secured = Secured::shared();
        let server = &secured.server;
        let database = unique("large");
        server.execute("postgres", &format!("CREATE DATABASE {database}")).await;
        server.execute(&database, SETUP).await;
        let tls = Settings {
            database: database.clone(),
            ssl_mode: SslMode::Require,
            ..settings("localhost", server.port(), "postgres")
        };
        let slot = unique("slot");
        client(&tls).await.create_slot(&slot, false).await.unwrap();
        let rows = "INSERT INTO item SELECT n, repeat('x', CASE WHEN n % 1000 = 0 THEN 5000000
                    ELSE 200 END) FROM generate_series(1, 5000) n";
        server.execute(&database, rows).await;
        for settings in [&tls, &local(server, &database)] {
            let mut stream = start(settings, &slot, true).await.unwrap();
            let mut lengths = Vec::new();
            'transaction: loop {
                stream.fill().await.unwrap();
                while let Some(frame) = stream.next_frame().unwrap() {
                    let Frame::XLogData { body, .. } = Frame::parse(frame).unwrap() else {
                        continue;
                    };
                    match Message::parse(body).unwrap() {
                        Message::Insert { .. } => lengths.push(body.len()),
                        Message::Commit { .. } => break 'transaction,
                        _ => {}
                    }
                }
            }
            assert_eq!(lengths.len(), 5000);
            assert_eq!(lengths.iter().filter(|length| 5_000_000 < **length).count(), 5);
            stream.close().await;
        }
        client(&tls).await.drop_slot(&slot).await.unwrap();
    });
}

#[test]
fn a_missing_publication_is_fatal() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        server.execute("postgres", "CREATE TABLE item (id int)").await;
        let settings = local(&server, "postgres");
        client(&settings).await.create_slot("missing", false).await.unwrap();
        server.execute("postgres", "INSERT INTO item VALUES (1)").await;
        let mut stream = start(&settings, "missing", true).await.unwrap();
        let error = read_to(&mut stream, "never").await.unwrap_err();
        assert_eq!(error.class(), Class::Fatal);
        assert!(matches!(error, Error::MissingPublication { .. }), "{error:?}");
        assert!(error.to_string().contains("publication \"shop\""), "{error}");
    });
}

/// Creating a slot in old and new syntax, FAILOVER where there is such a thing.
#[test]
fn the_oldest_and_a_new_server_are_served() {
    run(LIMIT, async {
        for version in [SERVER_VERSION_MIN, 17] {
            let server = Postgres::start(&Options { version, ..Options::default() });
            server.execute("postgres", SETUP).await;
            let settings = local(&server, "postgres");
            let mut client = client(&settings).await;
            assert_eq!(client.server_version(), version);
            assert_eq!(client.can_failover(), version == 17);
            let point = client.create_slot("with", true).await.unwrap();
            client.create_slot("without", false).await.unwrap();
            let error = client.create_slot("with", true).await.unwrap_err();
            assert_eq!(error.sqlstate(), Some("42710"));
            let system = client.identify_system().await.unwrap();
            assert_eq!((system.timeline, system.database.as_str()), (1, "postgres"));
            assert!(point <= system.flush_lsn);
            assert_eq!(client.timeline_history(1).await.unwrap(), []);
            let error = client.timeline_history(9).await.unwrap_err();
            assert_eq!(error.sqlstate(), Some("58P01"), "{error}");
            let mut catalog = Catalog::connect(&settings).await.unwrap();
            for (slot, is_failover) in [("with", version == 17), ("without", false)] {
                let facts = catalog.slot(slot).await.unwrap().unwrap();
                assert_eq!(facts.is_failover, is_failover, "{version} {slot}");
                assert_eq!(facts.plugin.as_deref(), Some("pgoutput"));
            }
            server.execute("postgres", "INSERT INTO item VALUES (3)").await;
            let mut stream = start(&settings, "with", true).await.unwrap();
            let got = read_to(&mut stream, "commit").await.unwrap();
            assert_eq!(got[2], "[00, 00, 00, 00, 00, 00, 00, 03] Null Null ");
            stream.close().await;
        }
    });
}

#[test]
fn a_new_timeline_knows_its_ancestor() {
    run(LIMIT, async {
        let conf = vec!["restore_command = 'false'".to_owned()];
        let mut server = Postgres::start(&Options { conf, ..Options::default() });
        let settings = local(&server, "postgres");
        let before = client(&settings).await.identify_system().await.unwrap();
        server.stop("INT");
        let signal = server.data().join("recovery.signal");
        std::fs::write(&signal, "").unwrap();
        process::give_away(&signal, 0o600);
        server.launch();
        // It takes connections before it has left recovery.
        let primary = Settings { target: Target::Primary, ..settings };
        let mut client = until_async(LIMIT, "the promotion", async || {
            let client = walsender(&primary).await;
            client.map_err(|error| match error {
                Error::NotPrimary { .. } => error.to_string(),
                other => panic!("{other}"),
            })
        })
        .await;
        let after = client.identify_system().await.unwrap();
        assert_eq!(after.system_identifier, before.system_identifier);
        assert_eq!(after.timeline, 2);
        let history = client.timeline_history(2).await.unwrap();
        let ancestors: Vec<_> = history.iter().map(|fork| fork.timeline).collect();
        assert_eq!(ancestors, [1]);
        assert!(before.flush_lsn <= history[0].switch_lsn);
    });
}

/// A server that stops ends the stream with something that is worth another try.
#[test]
fn a_server_that_stops_ends_the_stream() {
    run(LIMIT, async {
        let mut server = Postgres::start(&Options::default());
        server.execute("postgres", SETUP).await;
        let settings = local(&server, "postgres");
        client(&settings).await.create_slot("end", false).await.unwrap();
        let mut stream = start(&settings, "end", true).await.unwrap();
        server.signal("INT");
        // It waits until all that it sent is confirmed.
        let mut end = Lsn::ZERO;
        let error = loop {
            let sent = stream.send(&status_update(end, end, end, 0, false)).await;
            let read = async {
                while let Some(frame) = stream.next_frame()? {
                    if let Frame::Keepalive { wal_end, .. } = Frame::parse(frame).unwrap() {
                        end = wal_end;
                    }
                }
                stream.fill().await
            };
            match (sent, read.await) {
                (Ok(()), Ok(_)) => {}
                (Err(error), _) | (_, Err(error)) => break error,
            }
        };
        assert_eq!(error.class(), Class::Retry, "{error}");
        server.stop("INT");
        let error = Catalog::connect(&settings).await.map(drop).unwrap_err();
        assert_eq!(error.class(), Class::Retry, "{error}");
    });
}
