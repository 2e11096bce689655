//! What can go wrong between us and PostgreSQL, and whether trying again can help.
//!
//! Of the server's own errors the SQLSTATE and the severity are kept, and the primary message only
//! where its class says that it holds names and states, never values (I7). DETAIL, HINT and CONTEXT
//! are dropped: they quote rows.

use std::io;
use std::path::PathBuf;

use tokio_postgres::error::DbError;

use crate::config::SecretError;
use crate::edges::Class;
use crate::position::Lsn;

use super::decoding::{NAMES, is_too_large_for_memory};
use super::replication::SERVER_VERSION_MIN;

/// An error of a connection to PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server asks for a method that we do not speak.
    #[error(
        "{host} asks for {method} authentication, which is not supported: let pg_hba.conf offer \
         scram-sha-256, or a client certificate, to this user"
    )]
    AuthMethod {
        /// The host.
        host: String,
        /// The method's name.
        method: &'static str,
    },
    /// The server broke or did not finish the authentication.
    #[error("authentication at {host}: {reason}")]
    Authentication {
        /// The host.
        host: String,
        /// What was wrong; never holds a secret.
        reason: String,
    },
    /// `channel_binding = "require"` and the server did not prove itself by it.
    #[error(
        "channel_binding is \"require\", but {host} {reason}: use TLS and scram-sha-256, or set \
         channel_binding to \"prefer\""
    )]
    ChannelBinding {
        /// The host.
        host: String,
        /// What happened instead.
        reason: &'static str,
    },
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// No connection to the host.
    #[error("no connection to {host}: {source}")]
    Connect {
        /// The host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// The server reported an error while it decoded a change.
    #[error("{server}")]
    Decoding {
        /// What it said.
        server: ServerError,
        /// The change's LSN.
        lsn: Lsn,
    },
    /// A frame or message larger than any that PostgreSQL sends.
    #[error("the server announced a message of {bytes} bytes, more than the limit of {limit}")]
    FrameTooLarge {
        /// Its length in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[source] io::Error),
    /// The server wants a password and we have none.
    #[error(
        "{host} asks for a password for user \"{user}\" and none is configured: set the password, \
         or a line for it in the password file{}", passfile_note(.passfile)
    )]
    NoPassword {
        /// The host.
        host: String,
        /// The user.
        user: String,
        /// Why the password file was not used.
        passfile: Option<PassfileWarning>,
    },
    /// Changes are from when a publication was missing, so the stream does not have them. Up to
    /// version 17 the server says so by an error, from then on by a warning.
    #[error(
        "a publication was missing when the WAL at {} was written, and may exist again now: what changed meanwhile is not in the stream, \
         and nothing behind it is delivered ({server}). If another publication has these changes, read with that one until they have passed; \
         else, once every publication of `replication.publications` exists, `walbrook checkpoint accept --reason …` goes on behind that time and \
         says from where to where changes are missing",
        .lsn.map_or_else(|| "some LSN".to_owned(), |lsn| lsn.to_string())
    )]
    MissingPublication {
        /// What it said.
        server: ServerError,
        /// The change that was being decoded.
        lsn: Option<Lsn>,
    },
    /// The configuration names no host.
    #[error("no host of PostgreSQL is configured")]
    NoHost,
    /// A standby, which the configuration does not want.
    #[error(
        "{host} is a standby, and target_session_attrs is \"primary\": name the primary, or say \
         \"any\" to read a slot that is on a standby"
    )]
    NotPrimary {
        /// The host.
        host: String,
    },
    /// A server that is no standby, where rows are read from standbys only.
    #[error(
        "{host} is no standby (any more), and as long as `snapshot.hosts` is set rows are read from \
         standbys only: name one there, or remove the key to read from the server of the slot"
    )]
    NotStandby {
        /// The host.
        host: String,
    },
    /// The password was refused.
    #[error(
        "{host} refused the password of user \"{user}\"{}: {server}",
        if *.from_passfile { " (it came from the password file)" } else { "" }
    )]
    Password {
        /// The host.
        host: String,
        /// The user.
        user: String,
        /// Whether the password came from the password file.
        from_passfile: bool,
        /// The server's refusal.
        server: ServerError,
    },
    /// What answers is a pooler.
    #[error(
        "{host} is a pooler (PgBouncer or the like), not PostgreSQL itself: replication needs the \
         server's own address ({server})"
    )]
    Pooler {
        /// The host.
        host: String,
        /// What it said.
        server: ServerError,
    },
    /// The server sent what the protocol does not allow at that place.
    #[error("protocol violation: {0}")]
    Protocol(String),
    /// The configuration wants a server that accepts writes.
    #[error("{host} is a standby or read-only, and target_session_attrs is \"read-write\"")]
    ReadOnly {
        /// The host.
        host: String,
    },
    /// The server did not let us in.
    #[error("{host} refused the connection: {server}")]
    Refused {
        /// The host.
        host: String,
        /// What it said.
        server: ServerError,
    },
    /// The password cannot be had, for now.
    #[error("{0}")]
    Secret(SecretError),
    /// The server reported an error.
    #[error("{0}")]
    Server(ServerError),
    /// The server is older than we support.
    #[error(
        "{host} runs PostgreSQL {version}; {} is the oldest that is supported",
        SERVER_VERSION_MIN
    )]
    ServerTooOld {
        /// The host.
        host: String,
        /// Its `server_version`.
        version: String,
    },
    /// Catalog and stream would be of different servers.
    #[error(
        "the connection for the catalog, to {catalog}, and the one for the stream, to {host}, reached \
         different servers: the name leads to several, or they are just changing their roles"
    )]
    ServersDiffer {
        /// The host of the replication connection.
        host: String,
        /// The host of the catalog connection.
        catalog: String,
    },
    /// The session has another setting than it was asked for at log-in.
    #[error(
        "{host} gave a session with {name} = \"{found}\", though \"{asked}\" was asked for at log-in: a \
         pooler between (PgBouncer's ignore_startup_parameters) or a login trigger does that; \
         replication needs the server's own address, and its settings"
    )]
    Setting {
        /// The host.
        host: String,
        /// The setting.
        name: &'static str,
        /// What was asked for.
        asked: String,
        /// What it is.
        found: String,
    },
    /// Another walsender streams from the slot: be a standby.
    #[error("replication slot \"{slot}\" is in use{}", pid_note(*.pid))]
    SlotActive {
        /// The slot.
        slot: String,
        /// The process that holds it, where the server named it.
        pid: Option<i32>,
    },
    /// The server is a standby without the slot.
    #[error(
        "{host} is a standby and has no replication slot \"{slot}\": name the primary, or make the \
         slot on this standby with `walbrook slot create`"
    )]
    SlotElsewhere {
        /// The host.
        host: String,
        /// The slot.
        slot: String,
    },
    /// The server is a standby that cannot serve the slot (yet).
    #[error("{host} is a standby and cannot serve the replication slot: {server}")]
    Standby {
        /// The host.
        host: String,
        /// What it said.
        server: ServerError,
    },
    /// The server ended the stream in good order (it shuts down or was promoted).
    #[error("the server ended the stream")]
    StreamEnded,
    /// A catalog query whose answer is not UTF-8, which a database without an encoding (SQL_ASCII)
    /// takes: it is the same each time.
    #[error(
        "the catalog has a name, an enum's label or a column's default that is not UTF-8 ({server}), \
         as a database without an encoding (SQL_ASCII) may: rename or replace it (ALTER …)"
    )]
    CatalogText {
        /// What it said.
        server: ServerError,
    },
    /// The configuration names the encoding of a database that has one.
    #[error(
        "postgres.text_encoding is {asked}, but the database at {host} has an encoding of its own, \
         {found}, from which the server converts by itself: remove postgres.text_encoding"
    )]
    TextEncoding {
        /// The host.
        host: String,
        /// The configuration's.
        asked: &'static str,
        /// The database's.
        found: String,
    },
    /// Something took longer than its limit.
    #[error("{doing} at {host} took longer than {limit_ms} ms")]
    TimedOut {
        /// The host.
        host: String,
        /// What we were doing.
        doing: &'static str,
        /// The limit in milliseconds.
        limit_ms: u128,
    },
    /// The TLS handshake failed.
    #[error("tls to {host}: {source}{}", tls_advice(.source))]
    Tls {
        /// The host.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// A certificate or key file cannot be used.
    #[error("{what} {path}: {reason}")]
    TlsFile {
        /// Which setting names the file.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS settings contradict each other.
    #[error("{0}")]
    TlsSettings(String),
    /// The server has no TLS and `sslmode` demands it.
    #[error(
        "{host} does not offer tls and sslmode demands it: set ssl = on in postgresql.conf, or a \
         weaker sslmode here"
    )]
    TlsUnavailable {
        /// The host.
        host: String,
    },
}

impl Error {
    /// Whether it was not let in for its password, or has none. (For a password of PAM, as managed
    /// services have, the server says 28000.)
    #[must_use]
    pub fn is_of_password(&self) -> bool {
        match self {
            Self::NoPassword { .. } | Self::Password { .. } => true,
            Self::Refused { server, .. } => server.code == INVALID_AUTHORIZATION,
            _ => false,
        }
    }

    /// What the supervisor does about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::AuthMethod { .. }
            | Self::Authentication { .. }
            | Self::CatalogText { .. }
            | Self::ChannelBinding { .. }
            | Self::MissingPublication { .. }
            | Self::NoHost
            | Self::NoPassword { .. }
            | Self::Password { .. }
            | Self::Pooler { .. }
            | Self::ServerTooOld { .. }
            | Self::Setting { .. }
            | Self::TextEncoding { .. }
            | Self::TlsFile { .. }
            | Self::TlsSettings(_)
            | Self::TlsUnavailable { .. } => Class::Fatal,
            Self::Io(source) | Self::Tls { source, .. } => class_of_io(source),
            Self::Decoding { server, .. } | Self::Refused { server, .. } | Self::Server(server) => {
                server.class()
            }
            Self::Closed
            | Self::Connect { .. }
            | Self::FrameTooLarge { .. }
            | Self::NotPrimary { .. }
            | Self::NotStandby { .. }
            | Self::Protocol(_)
            | Self::ReadOnly { .. }
            | Self::Secret(_)
            | Self::ServersDiffer { .. }
            | Self::SlotActive { .. }
            | Self::SlotElsewhere { .. }
            | Self::Standby { .. }
            | Self::StreamEnded
            | Self::TimedOut { .. } => Class::Retry,
        }
    }

    /// The SQLSTATE, where the server gave one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::CatalogText { server }
            | Self::Decoding { server, .. }
            | Self::MissingPublication { server, .. }
            | Self::Password { server, .. }
            | Self::Pooler { server, .. }
            | Self::Refused { server, .. }
            | Self::Server(server)
            | Self::Standby { server, .. } => Some(&server.code),
            Self::SlotActive { .. } => Some(OBJECT_IN_USE),
            _ => None,
        }
    }
}

/// What the server reported, without anything that could be a row's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{severity} {code}{}", text_note(code, message))]
pub struct ServerError {
    /// The SQLSTATE, five characters.
    pub code: String,
    /// `ERROR`, `FATAL` or `PANIC`; of a notice `WARNING`, `NOTICE` or less.
    pub severity: String,
    /// The primary message, where it is safe to show.
    pub message: Option<String>,
}

impl ServerError {
    /// Keeps what may be shown.
    pub(super) fn new(code: &str, severity: &str, message: &str) -> Self {
        let is_safe = SAFE_CLASSES.iter().any(|class| code.starts_with(class))
            || is_too_large_for_memory(code, message);
        Self {
            code: code.to_owned(),
            severity: severity.to_owned(),
            message: is_safe.then(|| message.to_owned()),
        }
    }

    /// The process id that "replication slot … is active for PID n" names.
    pub(super) fn pid(&self) -> Option<i32> {
        let (_, after) = self.message.as_deref()?.rsplit_once("PID")?;
        let digits: String = after
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    }

    /// Whether this refusal is of a pooler: PgBouncer refuses parameters of the log-in that it does
    /// not know, which PostgreSQL never does in these words; Amazon's says its name.
    ///
    /// Source: <https://www.pgbouncer.org/config.html#ignore_startup_parameters>
    pub(super) fn is_of_pooler(&self) -> bool {
        let message = self.message.as_deref().unwrap_or_default();
        (self.code == PROTOCOL_VIOLATION && message.contains("unsupported startup parameter"))
            || message.contains("RDS Proxy")
    }

    /// Whether trying again can help, by SQLSTATE.
    ///
    /// Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
    pub(super) fn class(&self) -> Class {
        match self.code.as_str() {
            // database_dropped, invalid_parameter_value (an option or setting of ours)
            "57P04" | "22023" => Class::Fatal,
            // duplicate_object: of two that make the slot, the other one was first
            "42710" => Class::Retry,
            code if FATAL_CLASSES.iter().any(|class| code.starts_with(class)) => Class::Fatal,
            _ => Class::Retry,
        }
    }
}

impl From<&DbError> for ServerError {
    fn from(error: &DbError) -> Self {
        Self::new(error.code().code(), error.severity(), error.message())
    }
}

/// Why the password file was ignored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassfileWarning {
    /// Others may read it.
    #[error(
        "password file {0} has group or world access; permissions should be u=rw (0600) or less"
    )]
    Access(PathBuf),
    /// It is not a plain file.
    #[error("password file {0} is not a plain file")]
    NotPlain(PathBuf),
    /// It could not be read.
    #[error("password file {path} could not be read: {kind}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        kind: io::ErrorKind,
    },
}

/// `object_in_use`: the slot is active for another process.
pub(super) const OBJECT_IN_USE: &str = "55006";
/// `protocol_violation`.
const PROTOCOL_VIOLATION: &str = "08P01";
/// `feature_not_supported`: before version 16, decoding on a standby.
pub(super) const FEATURE_NOT_SUPPORTED: &str = "0A000";
/// `object_not_in_prerequisite_state`: an invalidated slot, `wal_level`, a standby.
pub(super) const NOT_IN_PREREQUISITE_STATE: &str = "55000";
/// `invalid_password`.
pub(super) const INVALID_PASSWORD: &str = "28P01";
/// `invalid_authorization_specification`: no line of pg_hba.conf lets us in.
pub(super) const INVALID_AUTHORIZATION: &str = "28000";

/// Classes that do not go away by themselves: not supported, authorisation, unknown database,
/// access rule or missing object, and a slot or server in the wrong state.
const FATAL_CLASSES: &[&str] = &["0A", "28", "3D", "3F", "42", "55000"];

fn text_note(code: &str, message: &Option<String>) -> String {
    if let Some(message) = message {
        return format!(": {message}");
    }
    let name = NAMES.iter().find(|(start, _)| code.starts_with(start));
    let name = name.map(|(_, name)| format!(" ({name})")).unwrap_or_default();
    format!("{name}: (text withheld: it can hold values; see the server's log)")
}

/// Classes whose primary message holds names and states only.
const SAFE_CLASSES: &[&str] =
    &["08", "0A", "22023", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "F0"];

/// A handshake that ended in a verdict (of ours on the server's certificate, or of the server on
/// ours) ends the same way the next time; one that broke does not.
fn class_of_io(error: &io::Error) -> Class {
    let verdict = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match verdict {
        Some(
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::PeerIncompatible(_),
        ) => Class::Fatal,
        Some(rustls::Error::AlertReceived(alert)) if is_verdict(*alert) => Class::Fatal,
        _ => Class::Retry,
    }
}

fn is_verdict(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        alert,
        Alert::AccessDenied
            | Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::DecryptError
            | Alert::HandshakeFailure
            | Alert::InsufficientSecurity
            | Alert::ProtocolVersion
            | Alert::UnknownCA
            | Alert::UnsupportedCertificate
    )
}

fn tls_advice(error: &io::Error) -> &'static str {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(
            rustls::CertificateError::NotValidForName
            | rustls::CertificateError::NotValidForNameContext { .. },
        )) => {
            " (give the server a certificate for this host name, use the name that is in it, or \
             sslmode verify-ca)"
        }
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
            " (sslrootcert must hold the certificate of the authority that signed the server's)"
        }
        Some(rustls::Error::AlertReceived(alert)) if is_verdict(*alert) => {
            " (the server refused the connection or our certificate: check sslcert, sslkey and \
             the server's log)"
        }
        _ => "",
    }
}

fn pid_note(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" by the server process {pid}")).unwrap_or_default()
}

fn passfile_note(warning: &Option<PassfileWarning>) -> String {
    warning.as_ref().map(|warning| format!(" ({warning})")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
