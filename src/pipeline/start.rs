//! Whether a pipeline may go on from its checkpoint: the refusals, each with its way out. Pure.
//!
//! The slot is held and the transactional id fenced when this is asked, so nothing that it looks
//! at can change any more (I4).

pub mod jump;

use crate::checkpoint::{Checkpoint, OMISSIONS_MAX, State, Stream};
use crate::position::{Lsn, Position};

/// What the server says of itself and of the slot, once the slot is held.
#[derive(Clone, Debug)]
pub struct Server {
    /// `IDENTIFY_SYSTEM`'s `systemid`.
    pub system_identifier: String,
    /// The server's timeline.
    pub timeline: u32,
    /// The end of what the server has flushed.
    pub flush_lsn: Lsn,
    /// The ends of earlier timelines, from `TIMELINE_HISTORY`; empty on the first.
    pub history: Vec<(u32, Lsn)>,
    /// The slot; `None` if there is none.
    pub slot: Option<Slot>,
}

/// What the server says of the slot.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its output plugin; `None` for a physical slot.
    pub plugin: Option<String>,
    /// Its database.
    pub database: Option<String>,
    /// `confirmed_flush_lsn`.
    pub confirmed: Option<Lsn>,
    /// Why it can't be read any more, in the server's words, if so.
    pub lost: Option<String>,
    /// Whether it is dropped with its session.
    pub is_temporary: bool,
    /// Whether it decodes transactions when they are prepared.
    pub is_two_phase: bool,
}

/// What is expected: from the configuration.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The pipeline.
    pub pipeline: String,
    /// The slot's name.
    pub slot: String,
    /// The database.
    pub database: String,
    /// What shapes ordinals.
    pub stream: Stream,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Create the slot (dropping a half-made one): there is no checkpoint, or an unfinished one.
    Create,
    /// Stream from this checkpoint.
    Resume {
        /// It.
        checkpoint: Box<Checkpoint>,
        /// Whether the slot must send the checkpoint's transaction again: it lies at or behind what is
        /// confirmed, and the same publications are read, whose past does not change.
        comes_again: bool,
    },
}

/// Why a pipeline does not start. Every refusal names both values and the way out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The checkpoint lies after what the server has.
    #[error(
        "the checkpoint is at {last}, but the server's log ends at {flush}: this server lacks transactions that are in \
         Kafka (a restore, or a failover to a replica that lagged). Compare, then `walbrook checkpoint accept --reason …`"
    )]
    Ahead {
        /// The last LSN that the checkpoint knows of.
        last: Lsn,
        /// The end of the server's log.
        flush: Lsn,
    },
    /// There is a slot but no checkpoint.
    #[error(
        "replication slot \"{slot}\" exists (confirmed {confirmed}) but Kafka holds no checkpoint of this pipeline. If the slot was made \
         for it, `walbrook slot adopt` starts at {confirmed}; no change before that will be delivered, and records of an earlier run may come again"
    )]
    Adopt {
        /// The slot.
        slot: String,
        /// Its confirmed LSN.
        confirmed: Lsn,
    },
    /// There is a checkpoint already.
    #[error(
        "Kafka already holds a checkpoint of slot \"{slot}\" (confirmed {confirm}): there is nothing to adopt; `walbrook checkpoint show` prints it"
    )]
    AlreadyAdopted {
        /// The slot.
        slot: String,
        /// The checkpoint's confirmed LSN.
        confirm: Lsn,
    },
    /// There are both a slot and a checkpoint already.
    #[error(
        "replication slot \"{slot}\" exists, and Kafka holds its checkpoint (confirmed {confirm}): there is nothing to create; `walbrook run` goes on from it"
    )]
    AlreadyCreated {
        /// The slot.
        slot: String,
        /// The checkpoint's confirmed LSN.
        confirm: Lsn,
    },
    /// The timeline forked off before the checkpoint.
    #[error(
        "the server is on timeline {timeline}, which left the checkpoint's timeline {checkpoint_timeline} at {fork}, before the checkpoint ({position}): Kafka holds \
         transactions that this server never had. Compare, then `walbrook checkpoint accept --reason …`"
    )]
    Forked {
        /// The server's timeline.
        timeline: u32,
        /// The checkpoint's.
        checkpoint_timeline: u32,
        /// Where the histories part.
        fork: Lsn,
        /// What of the checkpoint lies behind that.
        position: Lsn,
    },
    /// The slot belongs to something else.
    #[error(
        "replication slot \"{slot}\" is not ours: {what} is {found}, expected {expected}. Choose another name in `replication.slot`"
    )]
    Foreign {
        /// The slot.
        slot: String,
        /// What differs.
        what: &'static str,
        /// What it is.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The slot was moved past the checkpoint.
    #[error(
        "replication slot \"{slot}\" is confirmed up to {confirmed}, but Kafka holds changes only up to {confirm}: those between are gone. \
         Something else has moved the slot, or it was made anew. To go on with this gap: `walbrook checkpoint accept --reason …`"
    )]
    Gap {
        /// The slot.
        slot: String,
        /// Its confirmed LSN.
        confirmed: Lsn,
        /// The checkpoint's.
        confirm: Lsn,
    },
    /// The slot cannot be read any more.
    #[error(
        "replication slot \"{slot}\" is lost ({reason}); the checkpoint is at {confirm}. Changes after it are gone. {}; \
         `walbrook checkpoint accept --reason …` makes the slot anew and goes on with this gap",
        prevention(reason)
    )]
    Lost {
        /// The slot.
        slot: String,
        /// The server's reason.
        reason: String,
        /// The checkpoint's confirmed LSN; `0/0` without one.
        confirm: Lsn,
    },
    /// A publication is missing.
    #[error(
        "publication \"{name}\" does not exist. As the owner of the tables: CREATE PUBLICATION \"{name}\" FOR TABLE …; walbrook never makes or alters one"
    )]
    NoPublication {
        /// Its name.
        name: String,
    },
    /// A start would not be refused.
    #[error(
        "a start with replication slot \"{slot}\" is not refused, so there is nothing to accept, and nothing was changed: `walbrook run` {}",
        going_on(position)
    )]
    NothingToAccept {
        /// The slot.
        slot: String,
        /// Where it goes on; `None` if it creates the slot.
        position: Option<Position>,
    },
    /// Nobody knows in which epoch positions were.
    #[error(
        "the checkpoint's record cannot be read, nor in which epoch its positions were, and none may be used again: add --epoch N, one more than the last records have in their header walbrook.position before \":\" (1 if they have nothing there)"
    )]
    NoEpoch,
    /// There is no such change in the stream.
    #[error(
        "there is no change at {position}: {found}. `walbrook run` names the position of the change that it cannot write"
    )]
    NoChange {
        /// Where it was to be.
        position: Position,
        /// What is there.
        found: String,
    },
    /// There is a checkpoint but no slot.
    #[error(
        "Kafka holds a checkpoint at {confirm}, but replication slot \"{slot}\" does not exist: changes since then are gone. \
         `walbrook checkpoint accept --reason …` makes the slot anew and goes on with this gap"
    )]
    NoSlot {
        /// The slot.
        slot: String,
        /// The checkpoint's confirmed LSN.
        confirm: Lsn,
    },
    /// A change that is to be left out is in Kafka already.
    #[error(
        "the change at {position} does not come any more, so it cannot be left out: Kafka has all up to {checkpoint}"
    )]
    Passed {
        /// Where it is.
        position: Position,
        /// The checkpoint's position.
        checkpoint: Position,
    },
    /// A slot is to be made without a stream, and rows of an outbox are to enter that.
    #[error(
        "outbox {outbox} has pending = true, and its rows are read only where `walbrook run` makes the slot: leave that to the first run, or set \
         `outbox.pending = false`"
    )]
    PendingRows {
        /// The outbox.
        outbox: String,
    },
    /// The checkpoint is another pipeline's.
    #[error(
        "the checkpoint of slot \"{slot}\" belongs to pipeline \"{found}\", not \"{expected}\": set `kafka.checkpoint_topic`, or the pipeline's name, apart"
    )]
    Pipeline {
        /// The slot.
        slot: String,
        /// The checkpoint's pipeline.
        found: String,
        /// Ours.
        expected: String,
    },
    /// Publications or messages changed while the checkpoint is inside a transaction.
    #[error(
        "the checkpoint is inside a transaction that was read with publications [{was}], now configured: [{is}]. Start once more with the \
         former ones until that transaction has passed, then change them"
    )]
    StreamChanged {
        /// As the checkpoint has it.
        was: String,
        /// As configured.
        is: String,
    },
    /// The checkpoint is of another database cluster.
    #[error(
        "the checkpoint is of system {checkpoint_system}, this server is {system} (another cluster, or pg_upgrade). \
         If it is the right one: `walbrook checkpoint accept --reason …`"
    )]
    System {
        /// The checkpoint's system identifier.
        checkpoint_system: String,
        /// The server's.
        system: String,
    },
    /// No further change can be left out.
    #[error("{max} changes wait to be left out already: let `walbrook run` go past them first")]
    TooManyOmissions {
        /// The limit.
        max: usize,
    },
    /// The slot ends with the session that made it.
    #[error(
        "replication slot \"{slot}\" is temporary: the server drops it when the session that made it ends, and with it what was not read. \
         End that session, or choose another name in `replication.slot`"
    )]
    TemporarySlot {
        /// The slot.
        slot: String,
    },
    /// The slot sends transactions when they are prepared.
    #[error(
        "replication slot \"{slot}\" was made with two_phase, and such slots are not supported: it sends transactions when they are prepared, \
         and those may be rolled back. Create the slot anew without two_phase (`walbrook slot drop` says what is lost with it), or choose \
         another name in `replication.slot`"
    )]
    TwoPhaseSlot {
        /// The slot.
        slot: String,
    },
}

/// Judges what start-up found.
///
/// # Errors
///
/// If going on would lose, repeat or invent changes.
pub fn judge(
    expected: &Expected,
    server: &Server,
    checkpoint: Option<&Checkpoint>,
) -> Result<Verdict, Refusal> {
    if let Some(checkpoint) = checkpoint {
        same_pipeline(expected, checkpoint)?;
        same_system(server, checkpoint)?;
    }
    let unfinished = checkpoint.is_some_and(|it| it.state == State::Creating);
    let Some(slot) = &server.slot else {
        return match checkpoint {
            Some(checkpoint) if !unfinished => {
                Err(Refusal::NoSlot { slot: expected.slot.clone(), confirm: checkpoint.confirm })
            }
            _ => Ok(Verdict::Create),
        };
    };
    readable_slot(expected, slot)?;
    if unfinished {
        return Ok(Verdict::Create);
    }
    let confirm = checkpoint.map_or(Lsn::ZERO, |it| it.confirm);
    if let Some(reason) = &slot.lost {
        let (slot, reason) = (expected.slot.clone(), reason.clone());
        return Err(Refusal::Lost { slot, reason, confirm });
    }
    let confirmed = slot.confirmed.unwrap_or(Lsn::ZERO);
    let Some(checkpoint) = checkpoint else {
        return Err(Refusal::Adopt { slot: expected.slot.clone(), confirmed });
    };
    // History first: on a fork the LSNs of both sides can't be compared.
    same_history(server, checkpoint)?;
    let last = last(checkpoint);
    if server.flush_lsn < last {
        return Err(Refusal::Ahead { last, flush: server.flush_lsn });
    }
    if confirm < confirmed {
        return Err(Refusal::Gap { slot: expected.slot.clone(), confirmed, confirm });
    }
    same_stream(expected, checkpoint)?;
    let position = checkpoint.position;
    let is_same = is_read_alike(&checkpoint.stream, &expected.stream);
    let comes_again = 0 < position.ordinal
        && confirmed <= position.commit_lsn
        && (checkpoint.inside.is_some() || checkpoint.xid.is_some() && is_same);
    let (timeline, stream) = (server.timeline, expected.stream.clone());
    // Read with other publications the slot need not show that transaction, now or later.
    let xid = checkpoint.xid.filter(|_| is_same);
    let checkpoint = Checkpoint { timeline, stream, xid, accepted: None, ..checkpoint.clone() };
    Ok(Verdict::Resume { checkpoint: Box::new(checkpoint), comes_again })
}

/// Whether an operator may put another checkpoint in place of this one: only of our own pipeline
/// and slot, and only if a start with it is refused (always, if its record cannot be read: there is
/// none then to judge by), or if `position` is its own: that the stream contradicts it is not seen
/// here, but a run has said so and named it. Otherwise that would repeat changes for nothing.
///
/// # Errors
///
/// If not.
pub fn may_accept(
    expected: &Expected,
    server: &Server,
    checkpoint: Option<&Checkpoint>,
    is_unreadable: bool,
    position: Option<Position>,
) -> Result<(), Refusal> {
    if let Some(checkpoint) = checkpoint {
        same_pipeline(expected, checkpoint)?;
    }
    if let Some(slot) = &server.slot {
        readable_slot(expected, slot)?;
    }
    if checkpoint.is_none() && is_unreadable {
        return Ok(());
    }
    let found = match judge(expected, server, checkpoint) {
        Ok(Verdict::Resume { checkpoint, .. }) => Some(checkpoint.position),
        Ok(Verdict::Create) => None,
        Err(_) => return Ok(()),
    };
    if found.is_some() && found == position {
        return Ok(());
    }
    Err(Refusal::NothingToAccept { slot: expected.slot.clone(), position: found })
}

/// Whether an operator may leave out the change at `position`: only one that is still to come.
///
/// # Errors
///
/// If not.
pub fn may_omit(
    position: Position,
    server: &Server,
    checkpoint: &Checkpoint,
) -> Result<(), Refusal> {
    let last = checkpoint.position;
    // At its end a checkpoint covers all of a transaction.
    let is_whole = checkpoint.inside.is_none() && 0 < last.ordinal;
    if position <= last || is_whole && position.commit_lsn == last.commit_lsn {
        return Err(Refusal::Passed { position, checkpoint: last });
    }
    if server.flush_lsn <= position.commit_lsn {
        let found = format!("the server's log ends at {}", server.flush_lsn);
        return Err(Refusal::NoChange { position, found });
    }
    if OMISSIONS_MAX <= checkpoint.omissions.len() {
        return Err(Refusal::TooManyOmissions { max: OMISSIONS_MAX });
    }
    Ok(())
}

/// The checkpoint must be of the pipeline that is configured.
pub(super) fn same_pipeline(expected: &Expected, checkpoint: &Checkpoint) -> Result<(), Refusal> {
    if checkpoint.pipeline != expected.pipeline {
        return Err(Refusal::Pipeline {
            slot: expected.slot.clone(),
            found: checkpoint.pipeline.clone(),
            expected: expected.pipeline.clone(),
        });
    }
    Ok(())
}

fn same_system(server: &Server, checkpoint: &Checkpoint) -> Result<(), Refusal> {
    if checkpoint.system_identifier != server.system_identifier {
        return Err(Refusal::System {
            checkpoint_system: checkpoint.system_identifier.clone(),
            system: server.system_identifier.clone(),
        });
    }
    Ok(())
}

/// Whether the slot, which is ours, can still be read.
///
/// # Errors
///
/// If it belongs to something else, or is of a kind that is not supported.
pub fn is_usable(expected: &Expected, slot: &Slot) -> Result<bool, Refusal> {
    readable_slot(expected, slot)?;
    Ok(slot.lost.is_none())
}

/// The slot must be one that can be ours, of a kind that is supported.
pub(super) fn readable_slot(expected: &Expected, slot: &Slot) -> Result<(), Refusal> {
    own_slot(expected, slot)?;
    if slot.is_temporary {
        return Err(Refusal::TemporarySlot { slot: expected.slot.clone() });
    }
    if slot.is_two_phase {
        return Err(Refusal::TwoPhaseSlot { slot: expected.slot.clone() });
    }
    Ok(())
}

/// The slot must not be somebody else's.
pub(super) fn own_slot(expected: &Expected, slot: &Slot) -> Result<(), Refusal> {
    let foreign = |what, found: Option<&String>, wanted: &str| Refusal::Foreign {
        slot: expected.slot.clone(),
        what,
        found: found.map_or_else(|| "none".to_owned(), |found| format!("\"{found}\"")),
        expected: format!("\"{wanted}\""),
    };
    if slot.plugin.as_deref() != Some("pgoutput") {
        return Err(foreign("its plugin", slot.plugin.as_ref(), "pgoutput"));
    }
    if slot.database.as_ref() != Some(&expected.database) {
        return Err(foreign("its database", slot.database.as_ref(), &expected.database));
    }
    Ok(())
}

fn same_history(server: &Server, checkpoint: &Checkpoint) -> Result<(), Refusal> {
    let Some(fork) = fork(server, checkpoint) else { return Ok(()) };
    let last = last(checkpoint);
    if fork < last {
        return Err(Refusal::Forked {
            timeline: server.timeline,
            checkpoint_timeline: checkpoint.timeline,
            fork,
            position: last,
        });
    }
    Ok(())
}

/// Where the server's timeline left the checkpoint's; `None` if it is the same.
fn fork(server: &Server, checkpoint: &Checkpoint) -> Option<Lsn> {
    if server.timeline == checkpoint.timeline {
        return None;
    }
    let fork = server.history.iter().find(|(timeline, _)| *timeline == checkpoint.timeline);
    // A timeline that is no ancestor parted at the very start, as far as we can tell.
    Some(fork.map_or(Lsn::ZERO, |(_, end)| *end))
}

/// The last LSN that the checkpoint knows of: inside a transaction that is ahead of `confirm`.
fn last(checkpoint: &Checkpoint) -> Lsn {
    checkpoint.confirm.max(checkpoint.position.commit_lsn)
}

fn same_stream(expected: &Expected, checkpoint: &Checkpoint) -> Result<(), Refusal> {
    let (was, is) = (&checkpoint.stream, &expected.stream);
    if checkpoint.inside.is_none() || is_read_alike(was, is) {
        return Ok(());
    }
    let show = |stream: &Stream| {
        let messages = if stream.messages { ", with messages" } else { "" };
        format!("{}{messages}", stream.publications.join(", "))
    };
    Err(Refusal::StreamChanged { was: show(was), is: show(is) })
}

/// Whether the same is asked of the slot; what publications of those names had is in its past.
fn is_read_alike(was: &Stream, is: &Stream) -> bool {
    (&was.publications, was.messages) == (&is.publications, is.messages)
}

/// What keeps a slot from being lost for this reason again.
///
/// Source: <https://www.postgresql.org/docs/current/view-pg-replication-slots.html>
#[must_use]
pub fn prevention(reason: &str) -> &'static str {
    match reason {
        "idle_timeout" => "Raise idle_replication_slot_timeout",
        "rows_removed" => {
            "A standby's slot needs hot_standby_feedback = on, and a physical slot between it and its primary"
        }
        "wal_level_insufficient" => "Keep wal_level = logical on the primary",
        "wal_removed" => "Raise max_slot_wal_keep_size",
        _ => "See the server's log for what it means",
    }
}

fn going_on(position: &Option<Position>) -> String {
    let after = |it| {
        format!(
            "goes on after {it} (unless it says that the stream contradicts that: then add `--position {it}`)"
        )
    };
    position.as_ref().map_or_else(|| "creates the slot".to_owned(), after)
}

#[cfg(test)]
mod tests;
