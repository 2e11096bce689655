//! The edge to PostgreSQL, against real servers (and, in `hostile`, against false ones).

mod auth;
mod between;
mod catalog;
mod hostile;
mod published;
mod snapshot;
mod stream;
mod survey;
mod tls;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use walbrook::config::{
    Binary, ChannelBinding, Failover, Host, Postgres as Settings, Replication, Secret, SslMode,
    SslRootCert, Target,
};
use walbrook::postgres::{Catalog, Error, ReplicationClient, TransportKind};

use crate::support::postgres::{Options, Postgres};
use crate::support::process;
use crate::support::tls::Authority;

/// A server with TLS, and users for each way to let them in; shared by the tests of this module.
pub(crate) struct Secured {
    server: Postgres,
    folder: PathBuf,
}

impl Secured {
    /// Starts it, once.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Secured> = OnceLock::new();
        SHARED.get_or_init(|| {
            let authority = Authority::new("authority");
            let identity = authority.sign("server", &["localhost"]);
            let hba = HBA.map(str::to_owned).to_vec();
            let options = Options {
                hba,
                tls: Some((identity.certificate, identity.key, authority.certificate.clone())),
                ..Options::default()
            };
            let server = Postgres::start(&options);
            let folder = process::folder("tls");
            let shared = Self { server, folder };
            shared.file("root.crt", &authority.certificate, 0o644);
            shared.file("other.crt", &Authority::new("another").certificate, 0o644);
            let client = authority.sign("certificate", &[]);
            shared.file("client.crt", &client.certificate, 0o644);
            shared.file("client.key", &client.key, 0o600);
            let stranger = Authority::new("another").sign("certificate", &[]);
            shared.file("stranger.crt", &stranger.certificate, 0o644);
            shared.file("stranger.key", &stranger.key, 0o600);
            shared
        })
    }

    /// Creates the users; each test of a user calls it, the first one does it.
    async fn users(&self) {
        static DONE: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
        DONE.get_or_init(async || self.server.execute("postgres", USERS).await).await;
    }

    fn file(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::write(&path, content).unwrap();
        process::give_away(&path, mode);
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Settings for a user over TCP, without TLS.
    fn settings(&self, user: &str) -> Settings {
        settings("localhost", self.server.port(), user)
    }

    /// Settings for a user over TLS.
    fn secure(&self, user: &str) -> Settings {
        Settings { ssl_mode: SslMode::Require, ..self.settings(user) }
    }

    fn root(&self) -> SslRootCert {
        SslRootCert::File(self.path("root.crt"))
    }
}

fn settings(host: &str, port: u16, user: &str) -> Settings {
    let limit = Duration::from_secs(30);
    Settings {
        hosts: vec![Host { host: host.to_owned(), port }],
        database: "postgres".to_owned(),
        user: user.to_owned(),
        password: Some(Secret::new(PASSWORD.to_owned()).into()),
        passfile: None,
        ssl_mode: SslMode::Disable,
        ssl_root_cert: SslRootCert::None,
        ssl_client_cert: None,
        channel_binding: ChannelBinding::Prefer,
        target: Target::Any,
        text_encoding: None,
        application_name: "walbrook".to_owned(),
        connect_timeout: limit,
        statement_timeout: limit,
        keepalive_idle: limit,
        keepalive_interval: limit,
        keepalive_count: 3,
        tcp_user_timeout: limit,
    }
}

/// Settings for the superuser over a server's Unix socket.
pub(crate) fn local(server: &Postgres, database: &str) -> Settings {
    over(server.socket_folder(), server.port(), database)
}

/// Settings for the superuser over the Unix socket of a port, in a folder.
pub(crate) fn over(folder: &Path, port: u16, database: &str) -> Settings {
    let folder = folder.to_str().unwrap();
    Settings { database: database.to_owned(), ..settings(folder, port, "postgres") }
}

/// Connects to a walsender.
async fn walsender(settings: &Settings) -> Result<ReplicationClient, Error> {
    let second = Duration::from_secs(1);
    let replication = Replication {
        slot: "unused".to_owned(),
        publications: Vec::new(),
        binary: Binary::Auto,
        failover: Failover::Auto,
        wal_sender_timeout: 10 * second,
        checkpoint_interval: second,
        retry_delay_min: second,
        retry_delay_max: second,
        standby_poll: second,
    };
    ReplicationClient::connect(settings, &replication).await
}

/// Connects in both ways; both must come out the same.
async fn connect(settings: &Settings) -> Result<TransportKind, Error> {
    let catalog = Catalog::connect(settings).await;
    let client = walsender(settings).await;
    match (catalog, client) {
        (Ok(_), Ok(client)) => {
            let kind = client.transport_kind();
            client.close().await;
            Ok(kind)
        }
        (Err(catalog), Err(client)) => {
            assert_eq!(catalog.to_string(), client.to_string());
            assert_eq!(catalog.class(), client.class());
            Err(client)
        }
        (catalog, client) => {
            panic!("the catalog {:?}, replication {:?}", catalog.err(), client.err())
        }
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

const PASSWORD: &str = "canary: p\u{e4}ss'w\\rd";

/// Users and how they are let in; the harness's lines behind these trust everybody.
const HBA: [&str; 8] = [
    "hostssl all only_tls all scram-sha-256",
    "hostnossl all only_tls all reject",
    "hostssl all only_plain all reject",
    "hostnossl all only_plain all scram-sha-256",
    "host all scram all scram-sha-256",
    "host all md5 all md5",
    "host all plain all password",
    "hostssl all certificate all cert",
];

const USERS: &str = r"
SET password_encryption = 'scram-sha-256';
CREATE ROLE only_tls LOGIN REPLICATION PASSWORD E'canary: p\u00e4ss''w\\rd';
CREATE ROLE only_plain LOGIN REPLICATION PASSWORD E'canary: p\u00e4ss''w\\rd';
CREATE ROLE scram LOGIN REPLICATION PASSWORD E'canary: p\u00e4ss''w\\rd';
CREATE ROLE plain LOGIN REPLICATION PASSWORD E'canary: p\u00e4ss''w\\rd';
SET password_encryption = 'md5';
CREATE ROLE md5 LOGIN REPLICATION PASSWORD E'canary: p\u00e4ss''w\\rd';
CREATE ROLE certificate LOGIN REPLICATION;
CREATE ROLE no_replication LOGIN;
CREATE ROLE trusted LOGIN REPLICATION;";
