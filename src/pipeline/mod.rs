//! The pipeline: the only module that knows both ends.
//!
//! [`run`] is where its workers are started and joined: the reader is the calling task, the writer
//! a named thread. What follows an ending is decided by the pure [`supervisor`]; whether a start
//! may go on, by the pure [`start`]; what becomes of a message, by the pure [`assembler`]; whether
//! another holder of the slot is gone, by the pure `holder`.

mod access;
mod alive;
pub mod assembler;
mod attempt;
mod chunks;
mod clock;
mod comparison;
mod error;
mod gap;
mod holder;
mod lag;
mod losses;
mod operator;
mod pace;
mod pending;
mod reader;
mod rehearsal;
mod returner;
mod search;
mod skip;
pub mod start;
mod stop;
pub mod supervisor;
mod telemetry;
pub mod watch;
mod writer;

use std::convert::Infallible;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

pub use access::standbys;
pub use comparison::{
    Compared, Comparison, Difference, Error as ComparisonError, Outcome as Verdict, compare,
};
pub use error::Error;
pub use operator::{Outcome, accept, adopt, create, free_slot, own_slot, readable_slot, rehearse};
pub use pending::{Error as PendingError, pending_rows};
pub use rehearsal::{Extremes, Rehearsed, rehearse_stream};
pub use skip::{Skipped, skip};
pub use stop::{Stop, Stopper, stop_pair};
pub use telemetry::Telemetry;
pub use writer::Gone;

use crate::config::Config;
use crate::kafka;
use crate::order::Orders;
use crate::status::Phase;
use attempt::{Attempt, Memory};
use error::{sink, source};
use supervisor::{Action, Ending, Supervisor};

/// How often metrics and status are brought up to date.
const TICK: Duration = Duration::from_secs(1);

/// How long a stop waits for Kafka.
const STOP_LIMIT: Duration = Duration::from_secs(8);

/// Runs the pipeline until it is told to stop or something permanent is wrong. What stands in `orders`
/// is done while it streams.
///
/// # Errors
///
/// The permanent error: a refusal, a bad password, a dropped publication, a lost slot.
pub async fn run(
    config: &Config,
    telemetry: &mut Telemetry,
    orders: Orders,
    stop: &mut Stop,
) -> Result<(), Error> {
    let mut memory = Memory::new(config)?;
    memory.orders = orders;
    let (mut writer, thread) =
        writer::start(attempt::kafka_sink(config)?).map_err(Error::Thread)?;
    let ended = supervise(config, telemetry, &mut memory, stop, &mut writer).await;
    let (ended, limit) = match ended {
        // Kafka has had its time.
        Err(Error::StopTimeout) => {
            warn!(error = %Error::StopTimeout, "stopped while Kafka did not answer");
            (Ok(()), Duration::ZERO)
        }
        ended => (ended, STOP_LIMIT),
    };
    drop(writer);
    join(thread, limit).await;
    if let Some(thread) = memory.parker.end() {
        join(thread, limit).await;
    }
    telemetry.enter(Phase::Stopped);
    ended
}

/// Waits for a thread that speaks with Kafka; while that does not answer, no longer than `limit`: the
/// process ends, and the next start finds out what was committed.
async fn join(thread: JoinHandle<()>, limit: Duration) {
    let end = clock::now() + limit;
    while !thread.is_finished() && clock::now() < end {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if thread.is_finished() && thread.join().is_err() {
        error!("a thread that speaks with Kafka panicked");
    }
}

/// How an attempt ended, unless Kafka has refused the record of a change. Its batch is lost then,
/// with complete transactions in it: once more, without that table, or up to that change, whose error
/// this is.
fn unless_refused(
    ended: Result<(), Error>,
    config: &Config,
    memory: &mut Memory,
) -> Option<Result<(), Error>> {
    let Memory { refused, parker, .. } = memory;
    if ended.as_ref().is_err_and(|error| parker.on_refused(error, &config.tables.refused)) {
        return None;
    }
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

/// How an attempt ended, unless the slot was lost and that is accepted by itself: it is made anew then.
/// Where that fails for a while, so did the attempt.
async fn unless_lost(
    config: &Config,
    ended: Result<(), Error>,
    memory: &mut Memory,
    writer: &mut writer::Writer<kafka::Error>,
    stop: &mut Stop,
) -> Option<Result<(), Error>> {
    let Err(error) = &ended else { return Some(ended) };
    if !memory.losses.may_go_on(config.repair, error, clock::now()) {
        return Some(ended);
    }
    warn!(%error, "the slot is made anew, as repair.mode = \"when_lost\" says; what is missing is repaired");
    let made = async {
        writer.discard().await?;
        accept(config, "repair.mode = \"when_lost\"", None, None, stop).await
    };
    match made.await {
        Err(Error::Refused(refusal))
            if matches!(*refusal, start::Refusal::NothingToAccept { .. }) =>
        {
            info!("another instance has made the slot meanwhile");
        }
        Err(error) => return Some(Err(error)),
        Ok(_) => {}
    }
    memory.losses.note(clock::now());
    None
}

async fn supervise(
    config: &Config,
    telemetry: &mut Telemetry,
    memory: &mut Memory,
    stop: &mut Stop,
    writer: &mut writer::Writer<kafka::Error>,
) -> Result<(), Error> {
    let settings = &config.replication;
    let mut supervisor =
        Supervisor::new(settings.retry_delay_min, settings.retry_delay_max, settings.standby_poll);
    loop {
        let is_text_forced = supervisor.is_text_forced();
        let attempt = Attempt { config, is_text_forced, memory, writer, telemetry, stop };
        let ended = Box::pin(attempt.run()).await;
        let Some(ended) = unless_refused(ended, config, memory) else {
            writer.discard().await?;
            continue;
        };
        let ended = unless_lost(config, ended, memory, writer, stop).await;
        let Some(ended) = ended else { continue };
        let progress: Option<Instant> = telemetry.last_commit();
        let ending = |error| memory.ending(config, error);
        let ending = ended.as_ref().map_or_else(ending, |()| Ending::Stopped);
        if let (Err(error), Ending::TextMode, false) = (&ended, ending, is_text_forced) {
            warn!(%error, "the slot is read in text mode from now on: a bytea takes twice its size there, and PostgreSQL sends no row of more than 1 GiB");
        }
        let delay = match supervisor.on_ending(ending, progress) {
            Action::Die => {
                let Err(error) = ended else { return Ok(()) };
                return Err(error.for_good(config).await);
            }
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
