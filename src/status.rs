//! What the pipeline is doing, as a plain value: one writer (the supervisor), any number of readers
//! (HTTP, the control socket), over a watch channel.

mod parked;
mod snapshots;

use std::time::{Duration, Instant};

use crate::position::Lsn;
pub use parked::ParkedTable;
pub use snapshots::{Snapshot, SnapshotState, Snapshots};

/// What the pipeline is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The part of its life that it is in.
    pub phase: Phase,
    /// When it last made progress: the last time that a batch was committed, or that the reader saw
    /// that there is nothing to commit. `None` before the first.
    pub progress_at: Option<Instant>,
    /// Up to where the server's log is received: the highest LSN of a message or keep-alive.
    pub received_lsn: Lsn,
    /// What PostgreSQL was told is done.
    pub confirmed_lsn: Lsn,
    /// WAL between the server's current LSN, as last told, and `confirmed_lsn`.
    pub lag_bytes: u64,
    /// The oldest transaction that is open on the server, as last told; nobody but a DBA can end it.
    pub oldest_xact: Option<String>,
    /// How long PostgreSQL owes us a reply; what waits there is not known then.
    pub silence: Duration,
    /// What is missing from the stream, and what to do about it.
    pub findings: Vec<String>,
    /// How far snapshots are; `None` where no table is read, or none yet.
    pub snapshots: Option<Snapshots>,
    /// Tables whose changes wait.
    pub parked: Vec<ParkedTable>,
    /// The error that the phase is the answer to; without values of rows (I7).
    pub error: Option<String>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            phase: Phase::Starting,
            progress_at: None,
            received_lsn: Lsn::ZERO,
            confirmed_lsn: Lsn::ZERO,
            lag_bytes: 0,
            oldest_xact: None,
            silence: Duration::ZERO,
            findings: Vec::new(),
            snapshots: None,
            parked: Vec::new(),
            error: None,
        }
    }
}

/// The part of its life that a pipeline is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting after an error.
    Backoff {
        /// The number of attempts so far.
        attempt: u32,
        /// When the next one begins.
        until: Instant,
    },
    /// It holds the slot; it fences, and reads the checkpoint.
    Recovering,
    /// Another instance holds the slot.
    Standby,
    /// Connecting.
    Starting,
    /// Ended for good.
    Stopped,
    /// Committing what is complete, then leaving.
    Stopping,
    /// Changes flow.
    Streaming,
}

impl Phase {
    /// The names of all phases.
    pub const NAMES: [&'static str; 7] =
        ["backoff", "recovering", "standby", "starting", "stopped", "stopping", "streaming"];

    /// The name in metrics and in replies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Backoff { .. } => "backoff",
            Self::Recovering => "recovering",
            Self::Standby => "standby",
            Self::Starting => "starting",
            Self::Stopped => "stopped",
            Self::Stopping => "stopping",
            Self::Streaming => "streaming",
        }
    }
}

/// Why a pipeline is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It is not streaming.
    #[error("the phase is {}, not streaming", .0.name())]
    Phase(Phase),
    /// It streams, but PostgreSQL does not answer.
    #[error("PostgreSQL has sent nothing for {} s", .silence.as_secs())]
    Silent {
        /// How long.
        silence: Duration,
    },
    /// It streams, but nothing has been committed for long while there was something to commit.
    #[error("no progress for {} s while {lag_bytes} bytes wait", .silence.as_secs())]
    Stuck {
        /// How long there was no progress.
        silence: Duration,
        /// What waits.
        lag_bytes: u64,
    },
}

/// How long a pipeline with a lag may make no progress, or PostgreSQL send nothing, before it counts
/// as stuck. Longer than the
/// slowest commit that is normal, shorter than an operator's patience.
pub const STUCK_AFTER: Duration = Duration::from_secs(30);

/// Whether changes flow: streaming, a PostgreSQL that answers, and progress within [`STUCK_AFTER`]
/// unless nothing waits.
///
/// # Errors
///
/// Why not.
pub fn is_ready(status: &Status, now: Instant) -> Result<(), NotReady> {
    if status.phase != Phase::Streaming {
        return Err(NotReady::Phase(status.phase));
    }
    if STUCK_AFTER < status.silence {
        return Err(NotReady::Silent { silence: status.silence });
    }
    let lag_bytes = status.lag_bytes;
    let silence = status.progress_at.map(|at| now.saturating_duration_since(at));
    match silence {
        Some(silence) if STUCK_AFTER < silence && 0 < lag_bytes => {
            Err(NotReady::Stuck { silence, lag_bytes })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
mod tests {
    use super::*;

    #[test]
    fn ready_means_streaming_and_making_progress() {
        let now = Instant::now() + Duration::from_secs(3600);
        let ago = |seconds| Some(now - Duration::from_secs(seconds));
        let streaming = Phase::Streaming;
        for (phase, progress_at, lag_bytes, expect) in [
            (streaming, None, 0, Ok(())),
            (streaming, ago(0), 0, Ok(())),
            (streaming, ago(30), 1, Ok(())),
            (streaming, ago(31), 1, Err("no progress for 31 s while 1 bytes wait")),
            (streaming, ago(31), 0, Ok(())),
            (Phase::Starting, ago(0), 0, Err("the phase is starting, not streaming")),
            (Phase::Standby, ago(0), 0, Err("the phase is standby, not streaming")),
            (Phase::Recovering, ago(0), 0, Err("the phase is recovering, not streaming")),
            (Phase::Stopping, ago(0), 0, Err("the phase is stopping, not streaming")),
            (Phase::Stopped, ago(0), 0, Err("the phase is stopped, not streaming")),
            (
                Phase::Backoff { attempt: 3, until: now },
                ago(0),
                0,
                Err("the phase is backoff, not streaming"),
            ),
        ] {
            let status = Status { phase, progress_at, lag_bytes, ..Status::default() };
            let ready = is_ready(&status, now).map_err(|why| why.to_string());
            assert_eq!(ready, expect.map_err(str::to_owned), "{status:?}");
        }
    }

    #[test]
    fn a_silent_server_is_not_ready_whatever_the_lag() {
        for (seconds, expect) in [(30, Ok(())), (31, Err("PostgreSQL has sent nothing for 31 s"))] {
            let silence = Duration::from_secs(seconds);
            let status = Status { phase: Phase::Streaming, silence, ..Status::default() };
            let ready = is_ready(&status, Instant::now()).map_err(|why| why.to_string());
            assert_eq!(ready, expect.map_err(str::to_owned));
        }
    }

    #[test]
    fn every_phase_has_a_name_of_the_list() {
        for phase in [
            Phase::Backoff { attempt: 1, until: Instant::now() },
            Phase::Recovering,
            Phase::Standby,
            Phase::Starting,
            Phase::Stopped,
            Phase::Stopping,
            Phase::Streaming,
        ] {
            assert!(Phase::NAMES.contains(&phase.name()));
        }
    }
}
