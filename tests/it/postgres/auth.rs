//! Passwords: every method, channel binding, the password file, and the errors.

use std::time::Duration;

use walbrook::config::{self, ChannelBinding, Host, Postgres as Settings, Secret, Target};
use walbrook::edges::Class;
use walbrook::postgres::{Catalog, Error, TransportKind};

use super::{PASSWORD, Secured, connect, local, settings, text, walsender};
use crate::support::postgres::{Options, Postgres};
use crate::support::walbrook::write_config;
use crate::support::{run, until};

const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn every_password_method_works_and_a_wrong_password_is_fatal() {
    run(LIMIT, async {
        let secured = Secured::shared();
        secured.users().await;
        for user in ["scram", "md5", "plain"] {
            for settings in [secured.settings(user), secured.secure(user)] {
                connect(&settings).await.unwrap();
                let wrong = Some(Secret::new("wrong canary".to_owned()).into());
                let error = connect(&Settings { password: wrong, ..settings.clone() }).await;
                let error = error.unwrap_err();
                assert_eq!((error.sqlstate(), error.class()), (Some("28P01"), Class::Fatal));
                assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
                let error = connect(&Settings { password: None, ..settings }).await.unwrap_err();
                assert!(matches!(error, Error::NoPassword { .. }), "{error}");
                assert_eq!(error.class(), Class::Fatal);
            }
        }
    });
}

#[test]
fn channel_binding_is_used_required_or_left_out() {
    use ChannelBinding::{Disable, Prefer, Require};
    run(LIMIT, async {
        let secured = Secured::shared();
        secured.users().await;
        let cases = [
            ("scram", true, Disable, true),
            ("scram", true, Prefer, true),
            ("scram", true, Require, true),
            ("scram", false, Prefer, true),
            ("scram", false, Require, false),
            ("md5", true, Require, false),
            ("plain", true, Require, false),
            ("trusted", true, Require, false),
            ("trusted", true, Prefer, true),
        ];
        for (user, is_tls, channel_binding, is_let_in) in cases {
            let settings = if is_tls { secured.secure(user) } else { secured.settings(user) };
            let settings = Settings { channel_binding, ..settings };
            // The two ways tell the reason in words of their own.
            let outcomes =
                [walsender(&settings).await.map(drop), Catalog::connect(&settings).await.map(drop)];
            for outcome in outcomes {
                assert_eq!(outcome.is_ok(), is_let_in, "{user} {is_tls} {channel_binding:?}");
                if let Err(error) = outcome {
                    assert!(matches!(error, Error::ChannelBinding { .. }), "{error:?}");
                    assert_eq!(error.class(), Class::Fatal);
                }
            }
        }
    });
}

#[test]
fn the_password_file_is_used_and_a_readable_one_is_not() {
    run(LIMIT, async {
        let secured = Secured::shared();
        secured.users().await;
        let escaped = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
        let line = format!("other:*:*:*:no\nlocalhost:*:postgres:scram:{escaped}\n");
        let passfile = |mode| Some(secured.file(&format!("pgpass{mode:o}"), &line, mode));
        let with = |passfile| Settings { password: None, passfile, ..secured.settings("scram") };
        connect(&with(passfile(0o600))).await.unwrap();
        let error = connect(&with(passfile(0o644))).await.unwrap_err();
        assert!(error.to_string().contains("0600"), "{error}");
        let trusted = Settings { user: "trusted".to_owned(), ..with(passfile(0o644)) };
        let catalog = Catalog::connect(&trusted).await.unwrap();
        assert!(catalog.passfile_warning().is_some());
        let wrong = secured.file("wrong", "*:*:*:*:wrong\n", 0o600);
        let error = connect(&with(Some(wrong))).await.unwrap_err();
        assert!(error.to_string().contains("password file"), "{error}");
    });
}

/// The variables of libpq, from the process's environment to a connection.
#[test]
fn the_environment_lets_in_as_libpq_would() {
    run(LIMIT, async {
        let secured = Secured::shared();
        secured.users().await;
        let file = write_config(
            "pipeline = \"shop\"\n[replication]\nslot = \"shop\"\npublications = [\"shop\"]\n\
             [kafka]\nbootstrap_servers = [\"b:9092\"]\n[registry]\nurls = [\"http://r\"]\n",
        );
        let port = secured.server.port().to_string();
        let path = |name: &str| text(&secured.path(name));
        let escaped = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
        let line = format!("localhost:{port}:postgres:scram:{escaped}\n");
        let passfile = text(&secured.file("pgpass.environment", &line, 0o600));
        let by = |variables: &[(&str, &str)]| {
            let server = [
                ("PGHOST", "localhost"),
                ("PGPORT", &port),
                ("PGDATABASE", "postgres"),
                ("PGSSLMODE", "verify-full"),
                ("PGSSLROOTCERT", &path("root.crt")),
            ];
            let variables = server.iter().chain(variables);
            let environment = variables.map(|(name, value)| (name.to_string(), value.to_string()));
            config::load(&file, &environment.collect()).unwrap().postgres
        };
        let (certificate, key) = (path("client.crt"), path("client.key"));
        let shown =
            by(&[("PGUSER", "certificate"), ("PGSSLCERT", &certificate), ("PGSSLKEY", &key)]);
        assert_eq!(connect(&shown).await.unwrap(), TransportKind::Tls);
        let error = connect(&by(&[("PGUSER", "certificate")])).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("28000"), "{error}");
        let listed = by(&[("PGUSER", "scram"), ("PGPASSFILE", &passfile)]);
        assert_eq!(connect(&listed).await.unwrap(), TransportKind::Tls);
        let error = connect(&by(&[("PGUSER", "scram")])).await.unwrap_err();
        assert!(matches!(error, Error::NoPassword { .. }), "{error}");
        let other = by(&[("PGUSER", "trusted"), ("PGSSLROOTCERT", &path("other.crt"))]);
        assert!(matches!(connect(&other).await, Err(Error::Tls { .. })));
    });
}

/// Both connections, as the kernel has them: when it would ask whether the server is there.
#[test]
fn connections_are_kept_alive_as_configured() {
    run(LIMIT, async {
        let server = Postgres::start(&Options::default());
        let keepalive_idle = Duration::from_secs(5000);
        let settings =
            Settings { keepalive_idle, ..settings("127.0.0.1", server.port(), "postgres") };
        let _catalog = Catalog::connect(&settings).await.unwrap();
        let _walsender = walsender(&settings).await.unwrap();
        until(LIMIT, "two connections with a keepalive timer", || {
            let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let timers: Vec<_> =
                sockets.lines().filter_map(|it| timer(it, server.port())).collect();
            let is_ours = |seconds: &u64| (4800..=5000).contains(seconds);
            let is_right = timers.len() == 2 && timers.iter().all(is_ours);
            if is_right { Ok(()) } else { Err(format!("{timers:?}")) }
        });
    });
}

/// The seconds until the keepalive timer of a connection to this port; from a line of
/// /proc/net/tcp (<https://www.kernel.org/doc/Documentation/networking/proc_net_tcp.txt>).
fn timer(line: &str, port: u16) -> Option<u64> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (kind, left) = fields.get(5)?.split_once(':')?;
    let is_ours = fields[2].ends_with(&format!(":{port:04X}")) && kind == "02";
    is_ours.then(|| u64::from_str_radix(left, 16).unwrap() / 100)
}

#[test]
fn what_the_server_refuses_is_fatal() {
    run(LIMIT, async {
        let secured = Secured::shared();
        secured.users().await;
        let trusted = secured.settings("trusted");
        let database = Settings { database: "missing".to_owned(), ..trusted.clone() };
        let error = connect(&database).await.unwrap_err();
        assert_eq!((error.sqlstate(), error.class()), (Some("3D000"), Class::Fatal), "{error}");
        let user = Settings { user: "missing".to_owned(), ..trusted };
        let error = connect(&user).await.unwrap_err();
        assert_eq!((error.sqlstate(), error.class()), (Some("28000"), Class::Fatal), "{error}");
        // Without REPLICATION only the walsender refuses.
        let settings = secured.settings("no_replication");
        let error = walsender(&settings).await.unwrap_err();
        assert_eq!((error.sqlstate(), error.class()), (Some("42501"), Class::Fatal), "{error}");
        let mut catalog = Catalog::connect(&settings).await.unwrap();
        assert!(!catalog.server().await.unwrap().has_replication);
    });
}

#[test]
fn hosts_are_tried_in_order_until_one_takes_writes() {
    run(LIMIT, async {
        let read_only = Postgres::start(&Options {
            conf: vec!["default_transaction_read_only = on".to_owned()],
            ..Options::default()
        });
        let primary = Postgres::start(&Options::default());
        let host = |host: &str, port| Host { host: host.to_owned(), port };
        let dead = host("127.0.0.1", 1);
        let unknown = host("no-such-host.invalid", 5432);
        let standby = host("localhost", read_only.port());
        let writable = local(&primary, "postgres").hosts.remove(0);
        let by = |hosts: &[&Host], target| Settings {
            hosts: hosts.iter().map(|&host| host.clone()).collect(),
            target,
            ..local(&primary, "postgres")
        };
        let all = [&dead, &unknown, &standby, &writable];
        assert_eq!(connect(&by(&all, Target::ReadWrite)).await.unwrap(), TransportKind::Unix);
        assert_eq!(connect(&by(&all, Target::Any)).await.unwrap(), TransportKind::Tcp);
        let error = connect(&by(&[&dead, &standby], Target::ReadWrite)).await.unwrap_err();
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        assert_eq!(error.class(), Class::Retry);
        let error = connect(&by(&[&dead], Target::Any)).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        assert_eq!(error.class(), Class::Retry);
        // Who refuses us ends the search: the next host would be another database's.
        let mut settings = by(&[&standby, &writable], Target::Any);
        settings.database = "missing".to_owned();
        assert_eq!(connect(&settings).await.unwrap_err().sqlstate(), Some("3D000"));
    });
}
