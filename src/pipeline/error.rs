//! What ends an attempt to stream, and what follows from it: the ending that the supervisor judges,
//! where the stream was, and whether what was complete before may be committed.

use std::path::PathBuf;
use std::time::Duration;

use tracing::debug;

use super::assembler::{self, Assembler};
use super::supervisor::{Ending, Fault};
use super::writer::Gone;
use super::{comparison, pending, start};
use crate::config::Config;
use crate::edges::{Class, Sink, Transport};
use crate::position::{Lsn, Position, Xid};
use crate::postgres::{self, Catalog, ChunkError};
use crate::{kafka, registry, wal};

/// What ends an attempt to stream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A message could not be taken.
    #[error(transparent)]
    Assembler(Box<assembler::Error>),
    /// A change cannot be written.
    #[error(
        "{error} (to leave out this one change and keep it in a file: `walbrook checkpoint skip --position {position} --file … --reason …`)"
    )]
    Change {
        /// Where it is.
        position: Position,
        /// Why; a cause too, so that its own are told.
        #[source]
        error: Box<Self>,
    },
    /// Tables cannot be compared with their topics.
    #[error(transparent)]
    Comparison(Box<comparison::Error>),
    /// The file that is to keep a change cannot be written.
    #[error("the file {path:?} cannot be written, so nothing was changed")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Rows of outboxes that are pending cannot be read, or not be published.
    #[error(transparent)]
    Pending(Box<pending::Error>),
    /// PostgreSQL, outside of the stream.
    #[error(transparent)]
    Postgres(Box<postgres::Error>),
    /// The start is refused.
    #[error(transparent)]
    Refused(Box<start::Refusal>),
    /// The schema registry.
    #[error(transparent)]
    Registry(Box<registry::Error>),
    /// Kafka.
    #[error("{error}")]
    Sink {
        /// What to do about it.
        class: Class,
        /// What it was; a cause too, so that its own are told.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server waits for a confirmation that could not be given in time.
    #[error(
        "the server waits for a confirmation (it may be stopping) that could not be given in time, since Kafka does not answer or is slow; the connection is given up for a while"
    )]
    MadeWay,
    /// The catalog does not show the transaction whose rows are in the stream.
    #[error(
        "transaction {xid} is in the stream but not visible yet, and a table's first row waits for that: a synchronous standby is away (synchronous_standby_names); the connection is given up for a while"
    )]
    NotVisible {
        /// The transaction.
        xid: Xid,
    },
    /// The server does not answer, but its connection lives.
    #[error(
        "the server has sent nothing for {} s, though it was asked to, and answers no query: it is halted or cut off",
        .silence.as_secs()
    )]
    Silent {
        /// How long we have listened.
        silence: Duration,
    },
    /// The stream has announced more tables than are kept in memory.
    #[error("the stream has announced more tables than are kept in memory")]
    Crowded,
    /// The slot was made; streaming starts with the next attempt.
    #[error("the replication slot was created")]
    SlotCreated,
    /// The stream failed twice in the same way at the same place.
    #[error(
        "{error}{}. It is the same each time, so it does not go away by itself{}",
        .table.as_ref().map(|table| format!(", in a change of {table}")).unwrap_or_default(),
        if *.is_too_large { TOO_LARGE } else { FAILS_ALIKE }
    )]
    Repeated {
        /// How; a cause too, so that its own are told.
        #[source]
        error: Box<Self>,
        /// Whose change it is, if that can be told.
        table: Option<String>,
        /// Whether a row is larger than what PostgreSQL can send.
        is_too_large: bool,
    },
    /// The replication stream, in a way that may repeat itself.
    #[error(
        "{error}, at {}, with all that ends at {complete} decoded",
        fault.place
    )]
    Repeatable {
        /// What tells it from others.
        fault: Fault,
        /// The end of the last complete transaction before.
        complete: Lsn,
        /// What it was.
        error: Box<postgres::Error>,
    },
    /// The replication stream.
    #[error("{error}")]
    Source {
        /// What to do about it.
        class: Class,
        /// What it was.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A topic cannot be made or written.
    #[error("{error}")]
    Topic {
        /// What to do about it.
        class: Class,
        /// What it was; a cause too, so that its own are told.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was told to stop.
    #[error("told to stop")]
    Stopped,
    /// The last commit took too long.
    #[error(
        "the last Kafka transaction did not end in time; what it holds comes again, once, after the next start"
    )]
    StopTimeout,
    /// All tables are read but some that cannot be, and to read them was all that was wanted.
    #[error(
        "snapshot.mode is \"only\", and nothing is left to read but what cannot be read: {error}"
    )]
    Unread {
        /// Why one of them cannot be; a cause too.
        #[source]
        error: Box<ChunkError>,
    },
    /// The stream broke the protocol.
    #[error(transparent)]
    Wal(#[from] wal::Error),
    /// The writer thread is gone.
    #[error(transparent)]
    Writer(#[from] Gone),
    /// The operating system gives no thread.
    #[error("the writer thread cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Error {
    /// How an attempt that ended with this error ended.
    #[must_use]
    pub fn ending(&self) -> Ending {
        match self {
            Self::Assembler(error) if error.needs_text() => Ending::TextMode,
            Self::Postgres(error) => match **error {
                postgres::Error::SlotActive { .. } => Ending::SlotBusy,
                ref error => Ending::Failed(error.class()),
            },
            Self::Registry(error) => Ending::Failed(error.class()),
            Self::Comparison(error) => Ending::Failed(error.class()),
            Self::Pending(error) => Ending::Failed(error.class()),
            Self::Source { error, .. } if needs_text(error.as_ref()) => Ending::TextMode,
            Self::Sink { class, .. } | Self::Source { class, .. } | Self::Topic { class, .. } => {
                Ending::Failed(*class)
            }
            Self::Repeatable { fault, .. } => Ending::Repeatable(*fault),
            Self::MadeWay | Self::NotVisible { .. } | Self::Silent { .. } => {
                Ending::Failed(Class::Retry)
            }
            Self::Stopped => Ending::Stopped,
            Self::Crowded | Self::SlotCreated => Ending::Created,
            Self::Assembler(_)
            | Self::Change { .. }
            | Self::File { .. }
            | Self::Refused(_)
            | Self::Repeated { .. }
            | Self::StopTimeout
            | Self::Thread(_)
            | Self::Unread { .. }
            | Self::Wal(_)
            | Self::Writer(_) => Ending::Failed(Class::Fatal),
        }
    }

    /// The same with where the stream was: the change that it is about, or the place where the
    /// server failed.
    pub(super) fn located(self, assembler: &Assembler) -> Self {
        let is_of_change = match &self {
            Self::Assembler(error) => matches!(**error, assembler::Error::Plan(_)),
            _ => false,
        };
        match (self, assembler.pending()) {
            (error, Some(position)) if is_of_change => {
                Self::Change { position, error: Box::new(error) }
            }
            (Self::Source { class, error }, _) => match error.downcast::<postgres::Error>() {
                Ok(error) => Self::of_stream(class, error, assembler),
                Err(error) => Self::Source { class, error },
            },
            (error, _) => error,
        }
    }

    /// The change whose record Kafka has refused, if it is one of the stream: a row that was read is
    /// none at which the stream could end.
    pub(super) fn refused(&self) -> Option<Position> {
        let Self::Sink { error, .. } = self else { return None };
        match error.downcast_ref::<kafka::Error>() {
            Some(kafka::Error::RecordRefused { record: Some(record), .. }) => {
                Some(record.position).filter(|position| 0 < position.ordinal)
            }
            _ => None,
        }
    }

    fn of_stream(class: Class, error: Box<postgres::Error>, assembler: &Assembler) -> Self {
        let Some(code) = error.repeatable() else { return Self::Source { class, error } };
        let complete = assembler.complete_end();
        let change = error.change_lsn();
        let fault = Fault { code, place: change.unwrap_or(complete), is_named: change.is_some() };
        Self::Repeatable { fault, complete, error }
    }

    /// The same, when it has repeated itself: with the table whose change it is, where the server named
    /// the change and its catalog tells of which table that is.
    pub(super) async fn for_good(self, config: &Config) -> Self {
        let Self::Repeatable { fault, error, .. } = &self else { return self };
        let is_too_large = error.is_too_large();
        let table = if fault.is_named { table_at(config, fault.place).await } else { None };
        Self::Repeated { error: Box::new(self), table, is_too_large }
    }

    /// The same where a row is too large for a message, which needs no second look.
    pub(super) fn for_good_if_too_large(self) -> Self {
        if self.is_too_large() {
            return Self::Repeated { error: Box::new(self), table: None, is_too_large: true };
        }
        self
    }

    /// Whether PostgreSQL could not send a row, which is too large for a message.
    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::Source { error, .. } if is_too_large(error.as_ref()))
    }

    /// Whether what was complete before it may be committed: not where Kafka failed, nor where the
    /// stream itself is in doubt.
    pub(super) fn spares_complete(&self) -> bool {
        match self {
            Self::Assembler(error) => error.spares_complete(),
            Self::Change { .. }
            | Self::Crowded
            | Self::NotVisible { .. }
            | Self::Postgres(_)
            | Self::Registry(_)
            | Self::Silent { .. }
            | Self::Source { .. }
            | Self::Unread { .. } => true,
            _ => false,
        }
    }
}

/// Whose change stands at `lsn`.
async fn table_at(config: &Config, lsn: Lsn) -> Option<String> {
    let asked = async { Catalog::connect(&config.postgres).await?.table_at(lsn).await };
    let told = |error: &postgres::Error| debug!(%error, %lsn, "the table was not found");
    asked.await.inspect_err(told).ok().flatten()
}

impl From<assembler::Error> for Error {
    fn from(error: assembler::Error) -> Self {
        Self::Assembler(Box::new(error))
    }
}

impl From<comparison::Error> for Error {
    fn from(error: comparison::Error) -> Self {
        Self::Comparison(Box::new(error))
    }
}

impl From<pending::Error> for Error {
    fn from(error: pending::Error) -> Self {
        Self::Pending(Box::new(error))
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        Self::Postgres(Box::new(error))
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl From<start::Refusal> for Error {
    fn from(refusal: start::Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// Whether the walsender met a value without a binary form: an array or composite of a type that
/// has no send function. It fails so before we see the relation's types, and again at every start
/// in binary form.
fn needs_text(error: &(dyn std::error::Error + 'static)) -> bool {
    const UNDEFINED_FUNCTION: &str = "42883";
    let error = error.downcast_ref::<postgres::Error>();
    error.and_then(postgres::Error::sqlstate) == Some(UNDEFINED_FUNCTION)
}

fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<postgres::Error>().is_some_and(postgres::Error::is_too_large)
}

/// What to do about a row that does not fit into one message of PostgreSQL.
const TOO_LARGE: &str = ": a row, old and new values together, must fit into one message of 1 GiB, and as text a bytea takes twice its size. \
    In binary form it may fit (see replication.binary, and types that need text mode); for rows to come, leave the column out by a column list, \
    or choose another replica identity than FULL. docs/operations.md says how to go past what fits in neither form";

/// What to do about a server that fails to decode.
const FAILS_ALIKE: &str = ". The server's log says more, and docs/operations.md how to go past it (a row filter that divides by zero, say, \
    fails for the rows that are in the log already, whatever becomes of the publication)";

/// An error of the stream's connection.
pub(super) fn source<T: Transport>(error: T::Error) -> Error {
    Error::Source { class: T::class(&error), error: Box::new(error) }
}

/// An error of Kafka's end.
pub(super) fn sink<S: Sink>(error: S::Error) -> Error {
    Error::Sink { class: S::class(&error), error: Box::new(error) }
}
