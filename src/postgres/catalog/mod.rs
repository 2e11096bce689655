//! Plain SQL: what the catalog and the statistics views say.
//!
//! A connection of its own beside the walsender's, made in the same way. It has no task: whoever
//! asks drives it until the answer is there.

mod constant;
mod publication;
mod published;
mod relation;
mod slot;
mod snapshot;
mod table;

use std::io;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding as Binding, SslMode, SslNegotiation};
use tokio_postgres::types::{FromSql, ToSql};
use tokio_postgres::{Client, Connection, Row};

use crate::config::{ChannelBinding, Postgres};
use crate::types::SESSION_SETTINGS;

use super::auth;
use super::connect::{self, Peer};
use super::error::{Error, PassfileWarning, ServerError};
use super::handover::{Handover, Secured};
use super::quote::startup_option;
use super::replication::SERVER_VERSION_MIN;
use super::socket::Socket;

pub use publication::{Publication, PublishedColumn, PublishedTable, UnloggedColumn};
pub use slot::{SlotFacts, Walsender};

/// A connection for catalog queries. All queries are bounded by `statement_timeout`.
pub struct Catalog {
    client: Client,
    /// `None` once it has ended.
    connection: Option<Connection<Socket, Secured>>,
    peer: Peer,
    /// The major version, such as 17.
    server_major: u32,
    /// Longer than the server's own limit: for a server that does not answer at all.
    timeout: Duration,
}

/// What the server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// `server_version_num`, such as 170007.
    pub version_num: i32,
    /// `wal_level`; logical decoding needs `logical`.
    pub wal_level: String,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// `max_slot_wal_keep_size` in MiB; −1 limits nothing.
    pub max_slot_wal_keep_size_mb: i64,
    /// `wal_sender_timeout` as this role gets it; zero is off.
    pub wal_sender_timeout: Duration,
    /// `max_replication_slots`.
    pub replication_slots_max: i32,
    /// How many slots there are.
    pub replication_slots: i64,
    /// `max_wal_senders`.
    pub wal_senders_max: i32,
    /// How many walsenders run.
    pub wal_senders: i64,
    /// Whether the role has REPLICATION or is a superuser; managed services grant it by other
    /// roles, so only connecting proves that it has not.
    pub has_replication: bool,
    /// A role that only a managed service has, which says how REPLICATION is given there:
    /// `rds_replication`, `azure_pg_admin` or `cloudsqlsuperuser`.
    pub managed_role: Option<String>,
    /// Whether any user may call `pg_logical_emit_message`, the initial state.
    pub is_emit_message_public: bool,
}

impl Catalog {
    /// Connects to the first host that takes us.
    ///
    /// # Errors
    ///
    /// If no host does.
    pub async fn connect(postgres: &Postgres) -> Result<Self, Error> {
        connect::establish(postgres, |socket, peer| Self::start(postgres, socket, peer)).await
    }

    async fn start(postgres: &Postgres, socket: Socket, peer: Peer) -> Result<Self, Error> {
        let config = client_config(postgres, &peer);
        let (client, connection) = config
            .connect_raw(socket, Handover)
            .await
            .map_err(|error| connect_error(&error, postgres, &peer))?;
        let setting = |name| connection.parameter(name).unwrap_or_default();
        let version = setting("server_version");
        let major = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        let server_major = major.parse().unwrap_or_default();
        if server_major < SERVER_VERSION_MIN {
            return Err(Error::ServerTooOld { host: peer.host, version: version.to_owned() });
        }
        let is_read_only = ["in_hot_standby", "default_transaction_read_only"]
            .iter()
            .any(|name| setting(name) == "on");
        if postgres.read_write_only && is_read_only {
            return Err(Error::ReadOnly { host: peer.host });
        }
        let timeout = postgres.statement_timeout + postgres.connect_timeout;
        Ok(Self { client, connection: Some(connection), peer, server_major, timeout })
    }

    /// What the server says of itself.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn server(&mut self) -> Result<Server, Error> {
        let row = self.row(SERVER_SQL, &[]).await?;
        let timeout_ms: i64 = field(&row, 4)?;
        Ok(Server {
            version_num: field(&row, 0)?,
            wal_level: field(&row, 1)?,
            in_recovery: field(&row, 2)?,
            max_slot_wal_keep_size_mb: field(&row, 3)?,
            wal_sender_timeout: Duration::from_millis(timeout_ms.try_into().unwrap_or_default()),
            replication_slots_max: field(&row, 5)?,
            replication_slots: field(&row, 6)?,
            wal_senders_max: field(&row, 7)?,
            has_replication: field(&row, 8)?,
            wal_senders: field(&row, 9)?,
            managed_role: field(&row, 10)?,
            is_emit_message_public: field(&row, 11)?,
        })
    }

    /// Asks for nothing: whether the server still answers on this connection.
    ///
    /// # Errors
    ///
    /// If it does not.
    pub async fn ping(&mut self) -> Result<(), Error> {
        self.rows("SELECT", &[]).await.map(drop)
    }

    /// The host we are connected to, for logs: `name:port`, or the socket's path.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.peer.host
    }

    /// Why the password file was ignored, if it was.
    #[must_use]
    pub fn passfile_warning(&self) -> Option<&PassfileWarning> {
        self.peer.warning.as_ref()
    }

    /// Sends a query and drives the connection until its rows are there.
    async fn rows(&mut self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let Some(connection) = &mut self.connection else { return Err(Error::Closed) };
        let query = self.client.query(sql, values);
        let answer = tokio::time::timeout(self.timeout, async {
            tokio::select! {
                biased;
                rows = query => Answer::Rows(rows),
                end = connection => Answer::End(end),
            }
        });
        match answer.await {
            Ok(Answer::Rows(rows)) => rows.map_err(|error| query_error(&error)),
            Ok(Answer::End(end)) => {
                self.connection = None;
                Err(end.map_or_else(|error| query_error(&error), |()| Error::Closed))
            }
            Err(_) => {
                self.connection = None;
                let limit_ms = self.timeout.as_millis();
                let host = self.peer.host.clone();
                Err(Error::TimedOut { host, doing: "a catalog query", limit_ms })
            }
        }
    }

    async fn row(&mut self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        let mut rows = self.rows(sql, values).await?;
        match rows.pop() {
            Some(row) if rows.is_empty() => Ok(row),
            _ => Err(Error::Protocol("a catalog query did not return one row".to_owned())),
        }
    }
}

enum Answer {
    End(Result<(), tokio_postgres::Error>),
    Rows(Result<Vec<Row>, tokio_postgres::Error>),
}

fn client_config(postgres: &Postgres, peer: &Peer) -> tokio_postgres::Config {
    let statement_timeout = format!("{}ms", postgres.statement_timeout.as_millis());
    let own = [
        ("statement_timeout", statement_timeout.as_str()),
        // Nothing that a user has created may stand before the catalog's own names.
        ("search_path", "pg_catalog"),
        ("standard_conforming_strings", "on"),
    ];
    // Values that stand in the catalog are printed as the stream prints them.
    let options =
        own.iter().chain(SESSION_SETTINGS).map(|(name, value)| startup_option(name, value));
    let options: Vec<String> = options.collect();
    let mut config = tokio_postgres::Config::new();
    config
        .user(&postgres.user)
        .dbname(&postgres.database)
        .application_name(&postgres.application_name)
        .options(options.join(" "))
        .ssl_mode(SslMode::Require)
        .ssl_negotiation(SslNegotiation::Direct)
        .channel_binding(match postgres.channel_binding {
            ChannelBinding::Disable => Binding::Disable,
            ChannelBinding::Prefer => Binding::Prefer,
            ChannelBinding::Require => Binding::Require,
        });
    if let Ok(password) = peer.password(postgres) {
        config.password(password);
    }
    config
}

/// tokio-postgres keeps the kinds of its errors to itself; its texts are constants.
fn connect_error(error: &tokio_postgres::Error, postgres: &Postgres, peer: &Peer) -> Error {
    if let Some(refusal) = error.as_db_error() {
        return auth::refusal(refusal.into(), postgres, peer);
    }
    if error.is_closed() {
        return Error::Closed;
    }
    let source = std::error::Error::source(error);
    if let Some(broken) = source.and_then(|source| source.downcast_ref::<io::Error>()) {
        return Error::Io(same(broken));
    }
    let reason = source.map_or_else(|| error.to_string(), ToString::to_string);
    match peer.password(postgres) {
        Err(missing) if reason == "password missing" => missing,
        _ if postgres.channel_binding == ChannelBinding::Require => {
            let reason = "did not use channel binding";
            Error::ChannelBinding { host: peer.host.clone(), reason }
        }
        _ => peer.authentication(&reason),
    }
}

fn query_error(error: &tokio_postgres::Error) -> Error {
    if let Some(refusal) = error.as_db_error() {
        return Error::Server(ServerError::from(refusal));
    }
    let source = std::error::Error::source(error);
    match source.and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(broken) => Error::Io(same(broken)),
        None if error.is_closed() => Error::Closed,
        None => Error::Protocol(error.to_string()),
    }
}

/// An owned copy of a borrowed error, as far as it can be had: a verdict of TLS stays one.
fn same(error: &io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(verdict) => io::Error::new(error.kind(), verdict.clone()),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn field<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Error> {
    row.try_get(index).map_err(|error| Error::Protocol(format!("a catalog query: {error}")))
}

/// A text column that holds an LSN.
fn lsn_field(row: &Row, index: usize) -> Result<Option<crate::position::Lsn>, Error> {
    let text: Option<&str> = field(row, index)?;
    let lsn = text.map(str::parse).transpose();
    lsn.map_err(|error| Error::Protocol(format!("a catalog query: {error}")))
}

const SERVER_SQL: &str = "\
SELECT current_setting('server_version_num')::int4, current_setting('wal_level'),
       pg_is_in_recovery(),
       (SELECT setting::int8 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
       (SELECT setting::int8 FROM pg_settings WHERE name = 'wal_sender_timeout'),
       current_setting('max_replication_slots')::int4,
       (SELECT count(*) FROM pg_replication_slots),
       current_setting('max_wal_senders')::int4,
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user),
       (SELECT count(*) FROM pg_stat_replication),
       (SELECT min(rolname)::text FROM pg_roles
        WHERE rolname IN ('rds_replication', 'azure_pg_admin', 'cloudsqlsuperuser')),
       EXISTS (SELECT FROM pg_proc
               WHERE proname = 'pg_logical_emit_message'
                 AND has_function_privilege('public', oid, 'EXECUTE'))";
