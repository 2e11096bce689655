//! The pipeline: the only module that knows both ends.
//!
//! [`run`] is where its workers are started and joined: the reader is the calling task, the writer
//! a named thread. What follows an ending is decided by the pure [`supervisor`]; whether a start
//! may go on, by the pure [`start`]; what becomes of a message, by the pure [`assembler`]; whether
//! another holder of the slot is gone, by the pure `holder`.

mod alive;
pub mod assembler;
mod attempt;
mod clock;
mod gap;
mod holder;
mod lag;
mod operator;
mod reader;
mod search;
mod skip;
pub mod start;
mod stop;
pub mod supervisor;
mod telemetry;
pub mod watch;
mod writer;

use std::convert::Infallible;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

pub use operator::{Outcome, accept, adopt, create, own_slot, readable_slot, rehearse};
pub use skip::{Skipped, skip};
pub use stop::{Stop, Stopper, stop_pair};
pub use telemetry::Telemetry;
pub use writer::Gone;

use crate::config::Config;
use crate::edges::{Class, Sink, Transport};
use crate::position::{Lsn, Position, Xid};
use crate::registry::Registry;
use crate::status::Phase;
use crate::{kafka, postgres, registry, wal};
use assembler::Assembler;
use attempt::Attempt;
use holder::Holders;
use supervisor::{Action, Ending, Fault, Supervisor};

/// How often metrics and status are brought up to date.
const TICK: Duration = Duration::from_secs(1);

/// How long a stop waits for Kafka.
const STOP_LIMIT: Duration = Duration::from_secs(8);

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
    /// The file that is to keep a change cannot be written.
    #[error("the file {path:?} cannot be written, so nothing was changed")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
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
        "{error}. It is the same each time, so it does not go away by itself{}",
        if *.is_too_large { TOO_LARGE } else { FAILS_ALIKE }
    )]
    Repeated {
        /// How; a cause too, so that its own are told.
        #[source]
        error: Box<Self>,
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
    /// It was told to stop.
    #[error("told to stop")]
    Stopped,
    /// The last commit took too long.
    #[error(
        "the last Kafka transaction did not end in time; what it holds comes again, once, after the next start"
    )]
    StopTimeout,
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
            Self::Source { error, .. } if needs_text(error.as_ref()) => Ending::TextMode,
            Self::Sink { class, .. } | Self::Source { class, .. } => Ending::Failed(*class),
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
            | Self::Wal(_)
            | Self::Writer(_) => Ending::Failed(Class::Fatal),
        }
    }

    /// The same with where the stream was: the change that it is about, or the place where the
    /// server failed.
    fn located(self, assembler: &Assembler) -> Self {
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

    /// The change whose record Kafka has refused.
    fn refused(&self) -> Option<Position> {
        let Self::Sink { error, .. } = self else { return None };
        match error.downcast_ref::<kafka::Error>() {
            Some(kafka::Error::RecordRefused { record: Some(record), .. }) => Some(record.position),
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

    /// The same, when it has repeated itself.
    fn for_good(self) -> Self {
        match &self {
            Self::Repeatable { error, .. } => {
                let is_too_large = error.is_too_large();
                Self::Repeated { error: Box::new(self), is_too_large }
            }
            _ => self,
        }
    }

    /// The same where a row is too large for a message, which needs no second look.
    fn for_good_if_too_large(self) -> Self {
        match &self {
            Self::Source { error, .. } if is_too_large(error.as_ref()) => {
                Self::Repeated { error: Box::new(self), is_too_large: true }
            }
            _ => self,
        }
    }

    /// Whether what was complete before it may be committed: not where Kafka failed, nor where the
    /// stream itself is in doubt.
    fn spares_complete(&self) -> bool {
        match self {
            Self::Assembler(error) => error.spares_complete(),
            Self::Change { .. }
            | Self::Crowded
            | Self::NotVisible { .. }
            | Self::Postgres(_)
            | Self::Registry(_)
            | Self::Silent { .. }
            | Self::Source { .. } => true,
            _ => false,
        }
    }
}

impl From<assembler::Error> for Error {
    fn from(error: assembler::Error) -> Self {
        Self::Assembler(Box::new(error))
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
    or choose another replica identity than FULL. README.md says how to go past what fits in neither form";

/// What to do about a server that fails to decode.
const FAILS_ALIKE: &str = ". The server's log says more, and README.md how to go past it (a row filter that divides by zero, say, \
    fails for the rows that are in the log already, whatever becomes of the publication)";

fn source<T: Transport>(error: T::Error) -> Error {
    Error::Source { class: T::class(&error), error: Box::new(error) }
}

fn sink<S: Sink>(error: S::Error) -> Error {
    Error::Sink { class: S::class(&error), error: Box::new(error) }
}

/// Runs the pipeline until it is told to stop or something permanent is wrong.
///
/// # Errors
///
/// The permanent error: a refusal, a bad password, a dropped publication, a lost slot.
pub async fn run(config: &Config, telemetry: &mut Telemetry, stop: &mut Stop) -> Result<(), Error> {
    let (mut writer, thread) =
        writer::start(attempt::kafka_sink(config)?).map_err(Error::Thread)?;
    let (ended, limit) = match supervise(config, telemetry, stop, &mut writer).await {
        // Kafka has had its time.
        Err(Error::StopTimeout) => {
            warn!(error = %Error::StopTimeout, "stopped while Kafka did not answer");
            (Ok(()), Duration::ZERO)
        }
        ended => (ended, STOP_LIMIT),
    };
    drop(writer);
    join(thread, limit).await;
    telemetry.enter(Phase::Stopped);
    ended
}

/// Waits for the writer thread; while Kafka does not answer, no longer than `limit`: the process
/// ends, and the next start finds out what was committed.
async fn join(thread: JoinHandle<()>, limit: Duration) {
    let end = clock::now() + limit;
    while !thread.is_finished() && clock::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if thread.is_finished() && thread.join().is_err() {
        error!("the writer thread panicked");
    }
}

/// How an attempt ended, unless Kafka has refused the record of a change. Its batch is lost then,
/// with complete transactions in it: once more, up to that change, whose error this is.
fn unless_refused(
    ended: Result<(), Error>,
    refused: &mut Option<(Position, Error)>,
) -> Option<Result<(), Error>> {
    match ended.map_err(|error| (error.refused(), error)) {
        Err((Some(position), error)) => {
            info!(%position, "kafka refuses a record; committing what is complete before its change");
            *refused = Some((position, error));
            None
        }
        ended => {
            // One that ends elsewhere never came to that change, which may pass the next time.
            if !matches!(ended, Err((_, Error::Change { .. }))) {
                *refused = None;
            }
            Some(ended.map_err(|(_, error)| error))
        }
    }
}

async fn supervise(
    config: &Config,
    telemetry: &mut Telemetry,
    stop: &mut Stop,
    writer: &mut writer::Writer<kafka::Error>,
) -> Result<(), Error> {
    let settings = &config.replication;
    let mut supervisor =
        Supervisor::new(settings.retry_delay_min, settings.retry_delay_max, settings.standby_poll);
    // One for all attempts: that it has answered once counts.
    let mut registry = config.registry.as_ref().map(Registry::new).transpose()?;
    let mut refused = None;
    let mut holders = Holders::default();
    loop {
        let is_text_forced = supervisor.is_text_forced();
        let (registry, refused, holders) = (registry.as_mut(), &mut refused, &mut holders);
        let attempt =
            Attempt { config, is_text_forced, refused, holders, writer, registry, telemetry, stop };
        let ended = Box::pin(attempt.run()).await;
        let Some(ended) = unless_refused(ended, refused) else {
            writer.discard().await?;
            continue;
        };
        let progress: Option<Instant> = telemetry.last_commit();
        let ending = ended.as_ref().map_or_else(Error::ending, |()| Ending::Stopped);
        if let (Err(error), Ending::TextMode, false) = (&ended, ending, is_text_forced) {
            warn!(%error, "the slot is read in text mode from now on: a bytea takes twice its size there, and PostgreSQL sends no row of more than 1 GiB");
        }
        let delay = match supervisor.on_ending(ending, progress) {
            Action::Die => return ended.map_err(Error::for_good),
            Action::Leave => return Ok(()),
            Action::Again(delay, attempt) => {
                if let Err(error) = &ended
                    && 0 < attempt
                {
                    warn!(%error, attempt, retry_in = ?delay, "the pipeline stopped; it starts again from its checkpoint");
                }
                if let Err(error) = &ended
                    && let Some(class) = ending.class()
                {
                    telemetry.on_retry(class, error);
                    let until = clock::now() + delay;
                    telemetry.enter(Phase::Backoff { attempt, until });
                }
                delay
            }
            Action::Standby(delay) => {
                if let (Err(error), Ending::Failed(class)) = (&ended, ending) {
                    warn!(%error, "fenced: the replication slot is given up");
                    telemetry.on_retry(class, error);
                } else if !telemetry.is_standby() {
                    info!(slot = %settings.slot, "another instance holds the replication slot; waiting as a standby");
                }
                telemetry.enter(Phase::Standby);
                delay
            }
        };
        let pause = async {
            writer.discard().await?;
            tokio::time::sleep(delay).await;
            Ok::<_, Gone>(())
        };
        tokio::select! {
            () = stop.wait() => return Ok(()),
            paused = pause => paused?,
            never = ageing(telemetry) => match never {},
        }
    }
}

/// While nothing streams, what waits grows older all the same.
async fn ageing(telemetry: &Telemetry) -> Infallible {
    loop {
        telemetry.tell_lag(clock::now(), clock::wall_us());
        tokio::time::sleep(TICK).await;
    }
}
