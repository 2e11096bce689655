//! The checkpoint: durable progress, and its wire form in the checkpoint topic.
//!
//! One JSON object under 1 KB (more while changes wait to be left out) that a person can read with any Kafka tool, written last in every
//! Kafka transaction (I2). Every format ever written is a golden file that must still be read; a
//! newer one is refused by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::position::{Lsn, Position, Xid};
use crate::snapshot::Unsettled;

/// The format that this version writes, so that versions before it can read it.
pub const FORMAT: u32 = 1;

/// The format of a checkpoint with an epoch: a version that does not know it would lose it.
pub const FORMAT_WITH_EPOCH: u32 = 2;

/// The format of a checkpoint with snapshots: a version that does not know them would forget the
/// tables that are not read yet.
pub const FORMAT_WITH_SNAPSHOTS: u32 = 3;

/// The format of a checkpoint with tables that are parked, or with what was brought back of them: a
/// version that does not know them would write what is newer before it.
pub const FORMAT_WITH_PARKED: u32 = 4;

/// As many changes may wait to be left out.
pub const OMISSIONS_MAX: usize = 100;

/// Durable progress of one pipeline on one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The format's number: [`FORMAT`], [`FORMAT_WITH_EPOCH`], [`FORMAT_WITH_SNAPSHOTS`] or
    /// [`FORMAT_WITH_PARKED`].
    pub format: u32,
    /// The pipeline's name.
    pub pipeline: String,
    /// `IDENTIFY_SYSTEM`'s `systemid`.
    pub system_identifier: String,
    /// The timeline that the position is on.
    pub timeline: u32,
    /// The replication slot.
    pub slot: String,
    /// Whether the slot is still being created.
    pub state: State,
    /// What shapes ordinals: the publications read (sorted) and whether messages are.
    pub stream: Stream,
    /// How often positions have begun again: with it they only ever increase, whatever servers do.
    #[serde(default, skip_serializing_if = "is_first")]
    pub epoch: u32,
    /// The last change that is in Kafka.
    pub position: Position,
    /// The transaction of that change: what the slot must show there, if it sends it again. `None`
    /// where no change was read yet, and in records of versions that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xid: Option<Xid>,
    /// The end of the last complete transaction that is in Kafka: what may be confirmed (I1).
    pub confirm: Lsn,
    /// Set when the position is inside a transaction (I9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Inside>,
    /// Set when tables were looked at for snapshots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
    /// How many tables are parked; each has a record of its own.
    #[serde(default, skip_serializing_if = "is_none")]
    pub parked: u32,
    /// What has entered last between two transactions, where no snapshots are that count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entered: Option<Entered>,
    /// Up to where dead letters were written again, by topic: the next offset of each partition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub letters: BTreeMap<String, Vec<i64>>,
    /// Set when an operator accepted this checkpoint in place of another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// Changes that an operator has decided to leave out and that are still to come, by position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omissions: Vec<Omission>,
}

/// How far the life of the slot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The slot is about to be created; a restart drops and creates it again.
    Creating,
    /// The slot exists and is read.
    Streaming,
}

/// The options of the stream that shape ordinals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The publications, sorted.
    pub publications: Vec<String>,
    /// Whether logical messages are part of the stream.
    pub messages: bool,
    /// The publications' OIDs, as the last start found them; what is dropped and made again has
    /// another. They shape no ordinal. Empty in a record of a version that did not know them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub oids: BTreeMap<String, u32>,
}

/// A publication that was dropped and made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remade {
    /// Its name.
    pub name: String,
    /// Its OID before.
    pub was: u32,
    /// Its OID now.
    pub is: u32,
}

/// A change inside a transaction: what it must show when it comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// The transaction.
    pub xid: Xid,
    /// The LSN of the change at the position, from XLogData.
    pub lsn: Lsn,
}

/// What the snapshots have come to; each table has a record of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// How many tables have one.
    pub tables: u32,
    /// Where in the stream the last chunk has entered.
    pub lsn: Lsn,
    /// How many rows have entered there.
    pub rows: u32,
    /// How many chunks have entered in all.
    pub chunks: u64,
    /// Of what was streamed, what a snapshot may not show yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsettled: Option<Unsettled>,
    /// Whether nothing is read until somebody says so.
    #[serde(default, rename = "paused", skip_serializing_if = "is_false")]
    pub is_paused: bool,
    /// What topics may lack of tables, until it is repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// What has entered between two transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entered {
    /// Up to where everything was streamed there.
    pub lsn: Lsn,
    /// How many records.
    pub rows: u32,
}

/// A stretch of the log that is not in the stream, as an operator has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What was confirmed before it.
    pub from: Lsn,
    /// Where the stream has gone on.
    pub to: Lsn,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

/// The operator's decision to leave out one change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omission {
    /// Where it is.
    pub position: Position,
    /// What it must show: another change that has its position now is not left out.
    pub change: Inside,
    /// Why, in the operator's words.
    pub reason: String,
}

/// The operator's decision to go on from another checkpoint, kept with what it replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Why, in the operator's words.
    pub reason: String,
    /// The position that was replaced.
    pub previous_position: Position,
    /// The confirmed LSN that was replaced.
    pub previous_confirm: Lsn,
    /// The system identifier that was replaced.
    pub previous_system_identifier: String,
    /// The timeline that was replaced.
    pub previous_timeline: u32,
}

/// Bytes that are no checkpoint of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record was written by a newer version.
    #[error(
        "checkpoint has format {found}, this version reads up to {FORMAT_WITH_PARKED}: it was written by a newer walbrook, which can go on from it"
    )]
    NewerFormat {
        /// The format found.
        found: u32,
        /// Its epoch, if that can be read.
        epoch: Option<u32>,
    },
    /// The record is not a checkpoint.
    #[error("checkpoint record is not readable (line {line}, column {column})")]
    Unreadable {
        /// The line in the record's JSON.
        line: usize,
        /// The column in the record's JSON.
        column: usize,
        /// Its epoch, if that can be read.
        epoch: Option<u32>,
    },
}

impl Error {
    /// The epoch of the record, if that can be read.
    #[must_use]
    pub fn epoch(&self) -> Option<u32> {
        match self {
            Self::NewerFormat { epoch, .. } | Self::Unreadable { epoch, .. } => *epoch,
        }
    }
}

fn is_false(is: &bool) -> bool {
    !is
}

fn is_none(tables: &u32) -> bool {
    *tables == 0
}

fn is_first(epoch: &u32) -> bool {
    *epoch == 0
}

impl Stream {
    /// The publications of both that have other OIDs in `oids`.
    pub fn remade(&self, oids: &BTreeMap<String, u32>) -> impl Iterator<Item = Remade> {
        self.oids.iter().filter_map(|(name, was)| {
            let is = oids.get(name).filter(|is| *is != was)?;
            Some(Remade { name: name.clone(), was: *was, is: *is })
        })
    }
}

impl Checkpoint {
    /// The record's value.
    ///
    /// # Panics
    ///
    /// Never: the type holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a checkpoint is plain JSON")
    }

    /// The same in the place of `before`: if positions begin again, in the next epoch. What is known of
    /// tables stays known, or they would be read again; ids may be those of another server.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        // What is half made stands in the place of what was accepted.
        let kept = before.accepted.as_ref().filter(|_| before.state == State::Creating);
        let last = kept.map_or(before.position, |accepted| accepted.previous_position);
        let epoch = before.epoch.saturating_add(u32::from(self.position < last));
        let snapshots = before.snapshots.map(|it| Snapshots { unsettled: None, ..it });
        let letters = before.letters.clone();
        Self { snapshots, parked: before.parked, letters, ..self }.in_epoch(epoch)
    }

    /// The same with what an operator has accepted, and so a gap: the first one, where several were not
    /// repaired.
    #[must_use]
    pub fn accepting(self, accepted: Option<Accepted>) -> Self {
        let gap = |known: Option<Gap>, accepted: &Accepted| Gap {
            from: known.map_or(accepted.previous_confirm, |gap| gap.from),
            to: self.confirm,
        };
        let snapshots = self.snapshots.map(|it| {
            let gap = accepted.as_ref().map(|accepted| gap(it.gap, accepted));
            Snapshots { gap: gap.or(it.gap), ..it }
        });
        Self { accepted, snapshots, ..self }
    }

    /// The same while a slot is made in the place of `before`: what an operator has accepted, and what is
    /// known of tables, outlive a crash meanwhile.
    #[must_use]
    pub fn making(self, before: &Self, accepted: Option<Accepted>) -> Self {
        let (snapshots, parked) = (before.snapshots, before.parked);
        let letters = before.letters.clone();
        Self { accepted, snapshots, parked, letters, ..self }.in_epoch(before.epoch)
    }

    /// The same in an epoch.
    #[must_use]
    pub fn in_epoch(self, epoch: u32) -> Self {
        Self { epoch, ..self }.in_format()
    }

    /// The same in the first format that has a place for all of it.
    #[must_use]
    pub fn in_format(mut self) -> Self {
        self.update_format();
        self
    }

    /// Takes the first format that has a place for all of it.
    pub fn update_format(&mut self) {
        self.format = match (self.snapshots, self.epoch) {
            _ if 0 < self.parked || self.entered.is_some() || !self.letters.is_empty() => {
                FORMAT_WITH_PARKED
            }
            (Some(_), _) => FORMAT_WITH_SNAPSHOTS,
            (None, 0) => FORMAT,
            (None, _) => FORMAT_WITH_EPOCH,
        };
    }

    /// Where the last change is among all that the pipeline has ever written.
    #[must_use]
    pub fn place(&self) -> (u32, Position) {
        (self.epoch, self.position)
    }

    /// Reads a record's value.
    ///
    /// # Errors
    ///
    /// If it is not a checkpoint, or one of a newer format.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Probe {
            format: u32,
        }
        #[derive(Deserialize)]
        struct Epoch {
            #[serde(rename = "format")]
            _format: u32,
            #[serde(default)]
            epoch: u32,
        }
        let epoch = serde_json::from_slice(bytes).ok().map(|Epoch { epoch, .. }| epoch);
        let unreadable = |error: &serde_json::Error| Error::Unreadable {
            line: error.line(),
            column: error.column(),
            epoch,
        };
        let Probe { format } = serde_json::from_slice(bytes).map_err(|error| unreadable(&error))?;
        if FORMAT_WITH_PARKED < format {
            return Err(Error::NewerFormat { found: format, epoch });
        }
        serde_json::from_slice(bytes).map_err(|error| unreadable(&error))
    }
}

#[cfg(test)]
mod tests;
