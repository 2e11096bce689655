//! What may stand between us and PostgreSQL, and limits that a role or database sets.

use std::time::Duration;

use walbrook::config::Postgres as Settings;
use walbrook::edges::{Class, Transport};
use walbrook::position::Lsn;
use walbrook::postgres::{Catalog, Error, Start};
use walbrook::wal::{Frame, Message};

use super::{local, settings, walsender};
use crate::support::postgres::{Options, Postgres};
use crate::support::proxy::{KNOWN, KNOWN_SINCE_1_23, Parameters, proxy};
use crate::support::run;

const LIMIT: Duration = Duration::from_secs(120);

fn through(servers: &[&Postgres], parameters: Parameters) -> Settings {
    let ports: Vec<_> = servers.iter().map(|server| server.port()).collect();
    settings("127.0.0.1", proxy(&ports, parameters), "postgres")
}

/// Both connections refuse it, for good: whoever retries waits for ever.
#[test]
fn a_pooler_is_no_server() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let through = through(&[&server], Parameters::Refuse(KNOWN));
        let errors = [
            Catalog::connect(&through).await.map(drop).unwrap_err(),
            walsender(&through).await.map(drop).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::Pooler { .. }), "{error}");
            assert!(error.to_string().contains("replication needs the server's own address"));
            assert_eq!(error.class(), Class::Fatal, "{error}");
        }
    });
}

/// Without `extra_float_digits` a float loses digits in text mode.
#[test]
fn a_setting_that_a_pooler_drops_is_an_error() {
    run(LIMIT, async {
        let conf = vec!["extra_float_digits = 0".to_owned()];
        let server = Postgres::start(&Options { conf, ..Options::default() });
        let through = through(&[&server], Parameters::Keep(KNOWN_SINCE_1_23));
        let errors = [
            (Catalog::connect(&through).await.map(drop).unwrap_err(), "statement_timeout"),
            (walsender(&through).await.map(drop).unwrap_err(), "wal_sender_timeout"),
        ];
        for (error, name) in errors {
            assert!(
                matches!(&error, Error::Setting { name: found, .. } if *found == name),
                "{error}"
            );
            assert_eq!(error.class(), Class::Fatal, "{error}");
        }
        let all_but_floats = Parameters::Keep(&[
            "user",
            "database",
            "replication",
            "wal_sender_timeout",
            "client_min_messages",
            "client_encoding",
            "DateStyle",
            "IntervalStyle",
            "TimeZone",
        ]);
        let through = settings("127.0.0.1", proxy(&[server.port()], all_but_floats), "postgres");
        let error = walsender(&through).await.map(drop).unwrap_err().to_string();
        for part in ["extra_float_digits = \"0\"", "\"3\" was asked for"] {
            assert!(error.contains(part), "{error}");
        }
    });
}

/// A name with several addresses: facts of one server would be taken for rows of the other.
#[test]
fn catalog_and_stream_are_of_one_server() {
    run(LIMIT, async {
        let [one, other] = [Options::default(), Options::default()].map(|it| Postgres::start(&it));
        let through = through(&[&one, &other], Parameters::Pass);
        for _ in 0..2 {
            let catalog = Catalog::connect(&through).await.unwrap();
            let error = walsender(&through).await.unwrap().same_server(&catalog).unwrap_err();
            assert!(matches!(error, Error::ServersDiffer { .. }), "{error}");
            assert_eq!(error.class(), Class::Retry, "{error}");
        }
        for server in [&one, &other] {
            let settings = local(server, "postgres");
            let catalog = Catalog::connect(&settings).await.unwrap();
            walsender(&settings).await.unwrap().same_server(&catalog).unwrap();
        }
    });
}

/// Limits that an operator sets for the role end neither the stream in the middle of a transaction,
/// nor the catalog's connection while nothing is asked, nor the making of a slot that waits, nor the
/// moving of one over much of the log.
#[test]
fn limits_of_the_role_do_not_end_a_session() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let limits = "
            CREATE TABLE t (id bigserial PRIMARY KEY, v text);
            CREATE PUBLICATION walbrook FOR TABLE t;
            ALTER ROLE postgres SET transaction_timeout = '1s';
            ALTER ROLE postgres SET idle_session_timeout = '1s';
            ALTER ROLE postgres SET lock_timeout = '1s';
            ALTER ROLE postgres SET statement_timeout = '1s'";
        server.execute("postgres", limits).await;
        let settings = local(&server, "postgres");
        let mut catalog = Catalog::connect(&settings).await.unwrap();

        // The slot waits for a transaction that is open for longer than the limits.
        let writer = server.client("postgres").await;
        let unlimited = "SET transaction_timeout = 0; SET idle_session_timeout = 0;
            SET statement_timeout = 0; BEGIN; SELECT txid_current()";
        writer.batch_execute(unlimited).await.unwrap();
        let mut client = walsender(&settings).await.unwrap();
        let made = async {
            tokio::time::sleep(2 * PAST).await;
            writer.batch_execute("COMMIT").await.unwrap();
        };
        let (point, ()) = tokio::join!(client.create_slot("limits", false), made);
        let point = point.unwrap();
        catalog.ping().await.unwrap();

        // It lasts as long as its function cannot be looked up.
        let mut mover = walsender(&settings).await.unwrap();
        writer.batch_execute("BEGIN; LOCK TABLE pg_catalog.pg_proc").await.unwrap();
        let held = async {
            tokio::time::sleep(2 * PAST).await;
            writer.batch_execute("COMMIT").await.unwrap();
        };
        let (moved, ()) = tokio::join!(mover.advance_slot("limits", point), held);
        moved.unwrap();
        mover.close().await;

        let rows = "INSERT INTO t (v) SELECT repeat('x', 1000) FROM generate_series(1, 30000)";
        writer.batch_execute(rows).await.unwrap();
        let publications = ["walbrook".to_owned()];
        let start = Start {
            slot: "limits",
            lsn: Lsn(0),
            publications: &publications,
            is_binary: true,
            has_messages: false,
        };
        let mut stream = client.start_replication(start).await.unwrap();
        // Back-pressure: the socket's buffers hold less than these rows.
        tokio::time::sleep(2 * PAST).await;
        let mut inserts = 0;
        loop {
            while let Some(frame) = stream.next_frame().unwrap() {
                if let Frame::XLogData { body, .. } = Frame::parse(frame).unwrap() {
                    match Message::parse(body).unwrap() {
                        Message::Insert { .. } => inserts += 1,
                        Message::Commit { .. } => return assert_eq!(inserts, 30_000),
                        _ => {}
                    }
                }
            }
            stream.fill().await.unwrap();
        }
    });
}

/// Longer than the limits.
const PAST: Duration = Duration::from_millis(1250);
