//! Plain SQL: what the catalog and the statistics views say.
//!
//! A connection of its own beside the walsender's, made in the same way. It has no task: whoever
//! asks drives it until the answer is there.

mod constant;
mod ddl;
mod measure;
mod parents;
mod publication;
mod published;
mod record;
mod relation;
mod slot;
mod snapshot;
mod standby;
mod survey;
mod table;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio_postgres::config::{ChannelBinding as Binding, SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Connection, Row, SimpleQueryMessage, Statement};

use crate::config::{ChannelBinding, Postgres};

use super::auth;
use super::connect::{self, Peer};
use super::error::{Error, PassfileWarning, ServerError};
use super::handover::{Handover, Secured};
use super::quote::startup_option;
use super::session::{self, Settings};
use super::socket::Socket;

pub(super) use published::over_published;
pub(super) use relation::{RELATIONS_SQL, identity_named};

pub use ddl::DdlRefusal;
pub use publication::{Child, Publication, PublishedColumn, PublishedTable, UnloggedColumn};
pub use slot::{OldestXact, SlotFacts, Walsender};
pub use survey::{Survey, SurveyedColumn, SurveyedTable};

/// A connection for catalog queries. All queries are bounded by `statement_timeout`.
pub struct Catalog {
    client: Client,
    /// Questions that the server keeps under a name and plans once.
    prepared: BTreeMap<&'static str, Statement>,
    /// `None` once it has ended.
    connection: Option<Connection<Socket, Secured>>,
    peer: Peer,
    /// The major version, such as 17.
    server_major: u32,
    /// When the server was started, in its words.
    server_started: String,
    /// The server's limit for a query.
    statement_timeout: Duration,
    /// Longer than that: for a server that does not answer at all.
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
    /// `server_encoding`; `SQL_ASCII` is none.
    pub encoding: String,
    /// `synchronous_standby_names`.
    pub synchronous_standby_names: String,
    /// `output_plugin_libraries`, which output plugins may be used; `None` on a server that does not
    /// have it (it came with the minor versions of August 2026), or if our role may not see it
    /// (`pg_read_all_settings`).
    pub output_plugins: Option<String>,
    /// `idle_replication_slot_timeout` (18+): a slot that nobody reads for so long is lost; zero is
    /// off.
    pub idle_slot_timeout: Duration,
    /// The slots of `synchronized_standby_slots` (17+) that no standby reads: a failover slot gives
    /// nothing that these do not have.
    pub absent_standby_slots: Vec<String>,
}

impl Catalog {
    /// Connects to the first host that takes us.
    ///
    /// # Errors
    ///
    /// If no host does.
    pub async fn connect(postgres: &Postgres) -> Result<Self, Error> {
        Self::connect_with(postgres, &settings(postgres)).await
    }

    async fn connect_with(postgres: &Postgres, asked: &Settings) -> Result<Self, Error> {
        let start = |socket, peer| Self::start(postgres, asked.clone(), socket, peer);
        connect::establish(postgres, start).await
    }

    async fn start(
        postgres: &Postgres,
        asked: Settings,
        socket: Socket,
        peer: Peer,
    ) -> Result<Self, Error> {
        let config = client_config(postgres, &peer, &asked);
        let (client, connection) = config
            .connect_raw(socket, Handover)
            .await
            .map_err(|error| connect_error(&error, postgres, &peer))?;
        let server_major = session::suits(postgres, &peer.host, |name| connection.parameter(name))?;
        let statement_timeout = postgres.statement_timeout;
        let mut catalog = Self {
            client,
            prepared: BTreeMap::new(),
            connection: Some(connection),
            peer,
            server_major,
            server_started: String::new(),
            statement_timeout,
            timeout: statement_timeout + postgres.connect_timeout,
        };
        catalog.settle(&asked.on(server_major)).await?;
        Ok(catalog)
    }

    /// Holds the session against what was asked for. In the simple protocol: a pooler that shares
    /// its sessions would first lose the statement.
    async fn settle(&mut self, asked: &Settings) -> Result<(), Error> {
        let question = asked.question();
        let answer = self.client.simple_query(&question);
        let messages = drive(&mut self.connection, &self.peer, self.timeout, answer).await?;
        let row = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let row = row.ok_or_else(|| Error::Protocol("no answer about the settings".to_owned()))?;
        let found = (0..row.len()).map(|index| row.get(index));
        self.server_started = asked.settle(&self.peer.host, found)?;
        Ok(())
    }

    /// What the server says of itself.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn server(&mut self) -> Result<Server, Error> {
        let row = self.row(SERVER_SQL, &[]).await?;
        let (timeout_ms, idle_seconds): (i64, i64) = (field(&row, 4)?, field(&row, 15)?);
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
            encoding: field(&row, 12)?,
            synchronous_standby_names: field(&row, 13)?,
            output_plugins: field(&row, 14)?,
            idle_slot_timeout: Duration::from_secs(idle_seconds.try_into().unwrap_or_default()),
            absent_standby_slots: field(&row, 16)?,
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

    pub(super) fn server_started(&self) -> &str {
        &self.server_started
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
        let query = self.client.query(sql, values);
        drive(&mut self.connection, &self.peer, self.timeout, query).await
    }

    /// Has the server keep a question that is asked often.
    async fn prepared(&mut self, sql: &'static str) -> Result<Statement, Error> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let prepare = self.client.prepare(sql);
        let statement = drive(&mut self.connection, &self.peer, self.timeout, prepare).await?;
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }

    /// The same for a query that the server is to end after `limit`. All goes out at once: whoever
    /// gives up on the answer, and whatever becomes of the query, the session's own limit is back
    /// behind it.
    async fn rows_within(
        &mut self,
        limit: Duration,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let set = |limit: Duration| format!("SET statement_timeout = {}", limit.as_millis());
        let before = set(limit.min(self.statement_timeout));
        let behind = set(self.statement_timeout);
        self.rows_between(&before, sql, values, &behind).await
    }

    /// The same between two other statements.
    async fn rows_between(
        &mut self,
        before: &str,
        sql: &str,
        values: &[(&(dyn ToSql + Sync), Type)],
        behind: &str,
    ) -> Result<Vec<Row>, Error> {
        let client = &self.client;
        let query = async {
            let (before, rows, behind) = tokio::join!(
                biased;
                client.batch_execute(before),
                client.query_typed(sql, values),
                client.batch_execute(behind),
            );
            before.and(behind)?;
            rows
        };
        drive(&mut self.connection, &self.peer, self.timeout, query).await
    }

    async fn row(&mut self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        let mut rows = self.rows(sql, values).await?;
        match rows.pop() {
            Some(row) if rows.is_empty() => Ok(row),
            _ => Err(Error::Protocol("a catalog query did not return one row".to_owned())),
        }
    }
}

/// Drives the connection until `query` has its answer.
async fn drive<T>(
    kept: &mut Option<Connection<Socket, Secured>>,
    peer: &Peer,
    timeout: Duration,
    query: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, Error> {
    let Some(connection) = kept else { return Err(Error::Closed) };
    let answer = tokio::time::timeout(timeout, async {
        tokio::select! {
            biased;
            answer = query => Answer::Query(answer),
            end = connection => Answer::End(end),
        }
    });
    match answer.await {
        Ok(Answer::Query(answer)) => answer.map_err(|error| query_error(&error)),
        Ok(Answer::End(end)) => {
            *kept = None;
            Err(end.map_or_else(|error| query_error(&error), |()| Error::Closed))
        }
        Err(_) => {
            *kept = None;
            let (host, limit_ms) = (peer.host.clone(), timeout.as_millis());
            Err(Error::TimedOut { host, doing: "a catalog query", limit_ms })
        }
    }
}

enum Answer<T> {
    End(Result<(), tokio_postgres::Error>),
    Query(Result<T, tokio_postgres::Error>),
}

fn settings(postgres: &Postgres) -> Settings {
    Settings::with(&[
        ("statement_timeout", session::shown(postgres.statement_timeout)),
        // Nothing that a user has created may stand before the catalog's own names.
        ("search_path", "pg_catalog".to_owned()),
        ("standard_conforming_strings", "on".to_owned()),
        // Compiling takes longer than what is asked.
        ("jit", "off".to_owned()),
    ])
}

fn client_config(postgres: &Postgres, peer: &Peer, asked: &Settings) -> tokio_postgres::Config {
    let options = asked.parameters().map(|(name, value)| startup_option(name, value));
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
        let server = ServerError::from(refusal);
        let is_text = refusal.code() == &SqlState::CHARACTER_NOT_IN_REPERTOIRE;
        return if is_text { Error::CatalogText { server } } else { Error::Server(server) };
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
                 AND has_function_privilege('public', oid, 'EXECUTE')),
       current_setting('server_encoding'), current_setting('synchronous_standby_names'),
       (SELECT setting FROM pg_settings WHERE name = 'output_plugin_libraries'),
       extract(epoch FROM coalesce(current_setting('idle_replication_slot_timeout', true), '0')::interval)::int8,
       ARRAY(SELECT name
             FROM (SELECT btrim(name, ' \"')
                   FROM string_to_table(current_setting('synchronized_standby_slots', true), ',')
                       AS listed (name)) AS listed (name)
             WHERE NOT EXISTS (SELECT FROM pg_replication_slots
                               WHERE slot_name = name AND active)
             ORDER BY name)";
