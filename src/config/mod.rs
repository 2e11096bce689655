//! What the configuration means.
//!
//! [`file`] mirrors what the operator wrote; [`Config`] is what the program works with: parsed,
//! defaulted, free of contradictions. Nobody behind this module checks again.

mod environment;
mod file;
mod refused;
pub mod reserved;
mod secret;
mod selection;
mod snapshot;
mod topics;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use encoding_rs::Encoding;

pub use environment::Environment;
pub use file::{Error, load, of_environment};
pub use refused::{OnRefused, Refused};
pub use secret::{Secret, SecretCommand, SecretError, SecretSource, Token, TokenSource};
pub use selection::{Selection, TablePattern};
pub use snapshot::{Hours, Pace, TableSnapshot};
pub use topics::{KeyField, SharedTopic, Template, TopicCreation, Topics};

use crate::encode::{Naming, Values};
use crate::logging::LogFormat;

/// One pipeline: one database to one Kafka cluster.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pipeline's name: in the transactional id and in the checkpoint.
    pub pipeline: String,
    /// The source.
    pub postgres: Postgres,
    /// How the slot is read.
    pub replication: Replication,
    /// The sink.
    pub kafka: Kafka,
    /// The schema registry; where anything is written as Avro there is one.
    pub registry: Option<Registry>,
    /// Topics of tables, and how topics are made.
    pub topics: Topics,
    /// How rows of tables become records.
    pub tables: Tables,
    /// How the values of their columns become fields.
    pub values: Values,
    /// Tables that are outboxes.
    pub outboxes: Vec<Outbox>,
    /// The outbox without a table; `None` is off.
    pub message_outbox: Option<MessageOutbox>,
    /// Record timestamps and headers.
    pub records: Records,
    /// The rows that were there before.
    pub snapshot: Snapshot,
    /// What is done when the slot is lost; `None`: an operator decides.
    pub repair: Option<Repair>,
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// Where `/metrics`, `/healthz` and `/readyz` are served; `None` is off.
    pub http_listen: Option<SocketAddr>,
    /// The Unix socket of commands that change a running process; `None` is off.
    pub control_socket: Option<PathBuf>,
    /// How logs look, unless the command line says otherwise.
    pub log: Log,
}

/// How the rows of tables that were there before are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether they are, where a table has no mode of its own.
    pub mode: SnapshotMode,
    /// Whether the mode would be `Initial`, which it is by default, but for `postgres.text_encoding`.
    pub is_ruled_out: bool,
    /// How many connections read at once.
    pub readers: usize,
    /// The standbys that are read, in the order to try; none is the server of the slot.
    pub hosts: Vec<Host>,
    /// How fast, and when.
    pub pace: Pace,
    /// Tables that are read before others, in this order, each as `schema.table`.
    pub first: Vec<String>,
    /// What is different for some tables.
    pub tables: Vec<TableSnapshot>,
}

/// That a lost slot is made anew and what is missing repaired, by nobody's order.
#[derive(Clone, Copy, Debug)]
pub struct Repair {
    /// How often at most.
    pub times_per_hour: u32,
}

/// Whether the rows of a table are read that were there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotMode {
    /// When the table is seen in the publications for the first time.
    Initial,
    /// They are not.
    Never,
    /// As with `Initial`; the process ends when all are read.
    Only,
}

/// How logs look.
#[derive(Clone, Debug)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// A level with optional targets, such as `info,kafka=debug`; checked.
    pub level: String,
}

/// How to reach PostgreSQL; libpq's words and defaults.
///
/// Source: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Hosts in the order to try; one that starts with `/` is the directory of a Unix socket.
    pub hosts: Vec<Host>,
    /// `dbname`.
    pub database: String,
    /// `user`.
    pub user: String,
    /// `password`; `None` looks into the password file.
    pub password: Option<SecretSource>,
    /// `passfile`; `None` is none.
    pub passfile: Option<PathBuf>,
    /// `sslmode`.
    pub ssl_mode: SslMode,
    /// `sslrootcert`.
    pub ssl_root_cert: SslRootCert,
    /// `sslcert` and `sslkey`.
    pub ssl_client_cert: Option<(PathBuf, PathBuf)>,
    /// `channel_binding`.
    pub channel_binding: ChannelBinding,
    /// `target_session_attrs`.
    pub target: Target,
    /// In what the text of a database is that has no encoding (SQL_ASCII); `None` is UTF-8. In it every
    /// byte below 0x80 is ASCII.
    pub text_encoding: Option<&'static Encoding>,
    /// `application_name`.
    pub application_name: String,
    /// `connect_timeout`, for each host.
    pub connect_timeout: Duration,
    /// `statement_timeout` of catalog queries.
    pub statement_timeout: Duration,
    /// TCP keep-alive: idle time before the first probe.
    pub keepalive_idle: Duration,
    /// TCP keep-alive: between probes.
    pub keepalive_interval: Duration,
    /// TCP keep-alive: probes without an answer before the connection is dead.
    pub keepalive_count: u32,
    /// `tcp_user_timeout`: how long sent data may stay unacknowledged.
    pub tcp_user_timeout: Duration,
}

/// One host to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name, an address, or the directory of a Unix socket (starts with `/`).
    pub host: String,
    /// The port, also part of a Unix socket's name.
    pub port: u16,
}

/// `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS; TLS only if the server refuses without.
    Allow,
    /// No TLS.
    Disable,
    /// TLS if the server has it.
    Prefer,
    /// TLS, whoever the server is.
    Require,
    /// TLS, with a certificate that a trusted authority signed.
    VerifyCa,
    /// TLS, with such a certificate for the host's name.
    VerifyFull,
}

/// `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SslRootCert {
    /// A PEM file.
    File(PathBuf),
    /// None given: only the modes that verify nothing work. (As in libpq, `require` with a root
    /// certificate file verifies like `verify-ca`.)
    None,
    /// The operating system's authorities.
    System,
}

/// `channel_binding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where TLS and the server allow it.
    Prefer,
    /// Or fail.
    Require,
}

/// `target_session_attrs`: which servers will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Each.
    Any,
    /// No standby.
    Primary,
    /// Nor one on which sessions begin read-only.
    ReadWrite,
    /// Standbys only: those of `snapshot.hosts`.
    Standby,
}

/// How the slot is read.
#[derive(Clone, Debug)]
pub struct Replication {
    /// The slot's name.
    pub slot: String,
    /// The publications, sorted.
    pub publications: Vec<String>,
    /// Binary or text form.
    pub binary: Binary,
    /// Whether to create the slot with FAILOVER (17+).
    pub failover: Failover,
    /// `wal_sender_timeout` of the session.
    pub wal_sender_timeout: Duration,
    /// At most this often an idle slot is advanced.
    pub checkpoint_interval: Duration,
    /// The first delay of a retry; it doubles.
    pub retry_delay_min: Duration,
    /// The longest delay of a retry.
    pub retry_delay_max: Duration,
    /// How often a standby asks for the slot.
    pub standby_poll: Duration,
}

/// `binary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Binary where every published type is known, else text.
    Auto,
    /// Always text.
    Never,
}

/// `failover`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// Where the server can use it (17+, a primary).
    Auto,
    /// Never.
    Never,
}

/// The Kafka cluster.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// `bootstrap.servers`.
    pub bootstrap_servers: String,
    /// TLS and SASL.
    pub security: KafkaSecurity,
    /// The transactional id; by default `walbrook.<pipeline>.<slot>`.
    pub transactional_id: String,
    /// The compacted checkpoint topic; by default `walbrook.<pipeline>.checkpoint`.
    pub checkpoint_topic: String,
    /// The topic of changes that are parked; by default `walbrook.<pipeline>.parked`.
    pub parked_topic: String,
    /// The topic of schema changes; `None` where they are not told.
    pub schema_changes_topic: Option<String>,
    /// `transaction.timeout.ms`.
    pub transaction_timeout: Duration,
    /// How long start-up waits for hanging transactions of the checkpoint partition.
    pub recovery_timeout: Duration,
    /// `compression.type`.
    pub compression: String,
    /// Any other librdkafka option.
    pub properties: Vec<(String, SecretSource)>,
}

/// How to speak to the brokers.
#[derive(Clone, Debug, Default)]
pub struct KafkaSecurity {
    /// TLS to the brokers; `None` is plain text.
    pub tls: Option<KafkaTls>,
    /// SASL; `None` is none.
    pub sasl: Option<Sasl>,
}

/// TLS to the brokers.
#[derive(Clone, Debug, Default)]
pub struct KafkaTls {
    /// `ssl.ca.location`; `None` is the operating system's authorities.
    pub ca_file: Option<PathBuf>,
    /// `ssl.certificate.location` and `ssl.key.location`, for mutual TLS.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// `ssl.key.password`.
    pub key_password: Option<SecretSource>,
}

/// SASL to the brokers.
#[derive(Clone, Debug)]
pub enum Sasl {
    /// OAUTHBEARER.
    OauthBearer {
        /// Where the tokens come from.
        tokens: TokenSource,
    },
    /// PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    Password {
        /// `sasl.mechanism`.
        mechanism: String,
        /// The user.
        user: String,
        /// The password.
        password: SecretSource,
    },
}

/// The schema registry (Confluent's API).
#[derive(Clone, Debug)]
pub struct Registry {
    /// Base URLs in the order to try.
    pub urls: Vec<String>,
    /// User and password.
    pub basic_auth: Option<(String, SecretSource)>,
    /// A bearer token.
    pub bearer_token: Option<SecretSource>,
    /// A PEM file of authorities; `None` is the operating system's.
    pub ca_file: Option<PathBuf>,
    /// Client certificate and key, PEM.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// The time-out of one request.
    pub timeout: Duration,
    /// Whether schemas that are missing are registered.
    pub auto_register: bool,
}

/// How rows of tables become records.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Which of them are captured.
    pub selection: Selection,
    /// What `before` looks like where the identity is not FULL.
    pub before: Before,
    /// Whether a delete is followed by a tombstone.
    pub tombstones: bool,
    /// Whether TRUNCATE becomes a record.
    pub truncate: OnTruncate,
    /// How keys are written.
    pub key_format: Format,
    /// By what the schemas of keys are named.
    pub key_names: KeyNames,
    /// How values are written; never [`Format::String`].
    pub value_format: Format,
    /// What becomes of a table of which something is refused.
    pub refused: Refused,
    /// How names of columns and tables become names of fields, records and topics: never
    /// [`Naming::AsIs`], which JSON's fields have.
    pub name_adjustment: Naming,
    /// Where the rows of a child by inheritance go.
    pub children: Children,
}

/// Where the rows of a child by inheritance go. A partition is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Children {
    /// To a topic of its own.
    #[default]
    Own,
    /// To the topic of the topmost table that it inherits from, with the columns of that.
    Parent,
}

/// What becomes of TRUNCATE, whose record has no key, so that no compacted topic takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTruncate {
    /// Nothing.
    LeftOut,
    /// A record, also where the topic does not take it: that is refused then.
    Required,
    /// A record where the topic takes it.
    Written,
}

/// By what the schemas of keys are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNames {
    /// By the columns: tables whose keys have the same columns and types have one schema.
    Columns,
    /// By the topic, as Debezium names them.
    Topic,
}

/// How the keys or the values of table records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Avro in Confluent's framing, its schema in the registry.
    Avro,
    /// JSON as Kafka Connect's converter writes it without schemas.
    Json,
    /// The same, the schema beside the payload in each record.
    JsonSchemas,
    /// The text of a key of one column; a key of several is JSON.
    String,
}

/// `before`, where the replica identity is not FULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The record `Value` again, with what Debezium invents in NOT NULL columns: their constant
    /// default, or 0, "", 1970.
    Debezium,
    /// A record of its own, all columns outside the key optional and null.
    Separate,
}

/// A table that is an outbox. The column options are those of Debezium's event router.
///
/// Source: <https://debezium.io/documentation/reference/stable/transformations/outbox-event-router.html>
#[derive(Clone, Debug)]
pub struct Outbox {
    /// The PostgreSQL schema of the table; an asterisk in it is any text.
    pub namespace: String,
    /// The table.
    pub table: String,
    /// The column of the event's id (header `id`).
    pub id_column: String,
    /// The column of the record's key.
    pub key_column: String,
    /// The column of the event's type (header `eventType`); `None` where there is none.
    pub type_column: Option<String>,
    /// The column of the payload.
    pub payload_column: String,
    /// The column that routes.
    pub route_column: String,
    /// Columns that become headers: column and header name.
    pub headers: Vec<(String, String)>,
    /// Whether an empty payload becomes a tombstone, as a NULL one always does.
    pub tombstone_on_empty_payload: bool,
    /// What an UPDATE of an outbox row does.
    pub on_update: OnOutboxUpdate,
    /// What a row does whose route is NULL or empty.
    pub on_null_route: OnNullRoute,
    /// Which of the rows that are there when the slot is made are published as events; `None` is none.
    pub pending: Option<PendingRows>,
    /// Where events go and how their payload is written.
    pub routing: Routing,
}

impl Outbox {
    /// Whether it may be several tables, one in each of several PostgreSQL schemas.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.namespace.contains('*')
    }

    /// Whether this is its table, or one of them.
    #[must_use]
    pub fn is(&self, namespace: &str, table: &str) -> bool {
        self.table == table && selection::is_like(namespace, &self.namespace)
    }

    /// The outbox among these that a table is: it itself rather than a pattern.
    #[must_use]
    pub fn of<'o>(outboxes: &'o [Self], namespace: &str, table: &str) -> Option<&'o Self> {
        let all = || outboxes.iter().filter(|it| it.is(namespace, table));
        all().find(|it| !it.is_pattern()).or_else(|| all().next())
    }

    /// The columns that an event is made of, without those of headers of one's own.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        [&self.id_column, &self.key_column, &self.route_column, &self.payload_column]
            .into_iter()
            .chain(&self.type_column)
            .map(String::as_str)
    }
}

/// The rows of an outbox that are there when the slot is made, and are events that nobody has sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingRows {
    /// What such a row meets, an SQL expression; `None` is each.
    pub condition: Option<String>,
}

/// An UPDATE of an outbox row (Debezium's `table.op.invalid.behavior`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOutboxUpdate {
    /// The pipeline stops.
    Fail,
    /// It is dropped and counted, with a warning.
    Warn,
}

/// A row of an outbox whose route is NULL or empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNullRoute {
    /// What becomes of any row that is no event: the dead-letter topic, if there is one.
    DeadLetter,
    /// It is no event, and counted.
    Skip,
    /// The pipeline stops.
    Stop,
}

/// Where outbox events go and how their payload is written.
#[derive(Clone, Debug)]
pub struct Routing {
    /// The topic: a template with `{route}`, such as `outbox.event.{route}`.
    pub topic_template: String,
    /// Topics that may be written, matched whole.
    pub topic_allow: regex::Regex,
    /// Payload schemas by route value; without one the payload passes through as bytes.
    pub schemas: Vec<PayloadSchema>,
    /// Where a payload that does not fit goes; with `None` it parks the outbox, or as a logical
    /// message, which is of no table, ends the stream.
    pub dead_letter_topic: Option<String>,
}

/// The Avro schema of an outbox payload.
#[derive(Clone, Debug)]
pub struct PayloadSchema {
    /// The value of the route column.
    pub route: String,
    /// The event type; `None` is every type.
    pub event_type: Option<String>,
    /// The schema file's text, checked.
    pub schema_json: String,
}

/// The outbox without a table: transactional `pg_logical_emit_message`. The content is a JSON
/// object with the members `id`, `aggregatetype`, `aggregateid`, `type` and `payload`.
#[derive(Clone, Debug)]
pub struct MessageOutbox {
    /// The prefix of the messages that are events.
    pub prefix: String,
    /// Where events go and how their payload is written.
    pub routing: Routing,
}

/// Record timestamps and headers.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    /// What the record's timestamp is.
    pub timestamp: Timestamp,
    /// Whether records carry commit LSN, ordinal, part and xid.
    pub position_headers: bool,
}

/// What a record's timestamp is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timestamp {
    /// The commit time of the source transaction.
    Commit,
    /// The time of encoding.
    Now,
}

/// When a batch is closed.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// At the next Commit from this many bytes on.
    pub target_bytes: usize,
    /// At the next Commit from this many records on.
    pub target_records: usize,
    /// Inside a transaction, at this many bytes.
    pub max_bytes: usize,
    /// Inside a transaction, at this many records.
    pub max_records: usize,
}
