//! What accepting another checkpoint does to the stream: what will be missing from it, and what may
//! come again. Pure.
//!
//! A slot sends the transactions that commit from its confirmed LSN on, whatever Kafka has; so this
//! is the distance between that LSN and the checkpoint that is replaced, in either direction.

use super::{Server, fork, last};
use crate::checkpoint::{Checkpoint, State};
use crate::position::{Lsn, Position};

/// The distance from a checkpoint to the LSN where the slot goes on in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jump {
    /// The checkpoint is of this server.
    Known {
        /// What commits between these is not delivered.
        gap: Option<(Lsn, Lsn)>,
        /// What commits between these may be in Kafka already, and comes again.
        repeat: Option<(Lsn, Lsn)>,
    },
    /// There is no checkpoint whose LSNs can be compared with the server's.
    Unknown {
        /// Where the slot goes on.
        point: Lsn,
    },
}

impl Jump {
    /// The distance from `before` to `point`, where the slot goes on.
    #[must_use]
    pub fn new(server: &Server, before: Option<&Checkpoint>, point: Lsn) -> Self {
        let is_ours = |before: &&Checkpoint| {
            before.state == State::Streaming && before.system_identifier == server.system_identifier
        };
        let Some(before) = before.filter(is_ours) else { return Self::Unknown { point } };
        // Behind a fork, what the checkpoint covers is not what this server has.
        let covered = fork(server, before).map_or(before.confirm, |end| end.min(before.confirm));
        // Inside a transaction the position is ahead of what is confirmed: both may be. What commits
        // right at the point is sent too, a part of which may be in Kafka.
        let Position { commit_lsn, ordinal } = before.position;
        let comes_again = point < before.confirm || 0 < ordinal && point <= commit_lsn;
        Self::Known {
            gap: (covered < point).then_some((covered, point)),
            repeat: comes_again.then(|| (point, last(before))),
        }
    }
}

impl std::fmt::Display for Jump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known { gap: None, repeat: None } => {
                write!(f, "nothing is missing, and nothing comes again")
            }
            Self::Known { gap, repeat } => {
                match gap {
                    Some((from, to)) => {
                        write!(f, "not delivered: changes that committed from {from} to {to}")?;
                    }
                    None => write!(f, "not delivered: nothing")?,
                }
                match repeat {
                    Some((from, to)) => write!(
                        f,
                        "\nmay come again: changes that committed from {from} to {to}; Kafka may hold them, or others at their positions"
                    ),
                    None => write!(f, "\nmay come again: nothing"),
                }
            }
            Self::Unknown { point } => write!(
                f,
                "not delivered: changes that committed before {point}, unless Kafka holds them\n\
                 may come again: changes that commit from {point} on, if Kafka holds them \
                 (there is no checkpoint of this server to compare with)"
            ),
        }
    }
}
