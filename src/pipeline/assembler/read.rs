//! Rows of snapshots: they enter between two transactions, and have positions there.
//!
//! Up to an LSN everything was streamed, so all positions before it are taken, and what comes has a
//! commit LSN from there on and an ordinal from 1. In between lies the ordinal 0 of that LSN; the rows
//! that enter there are told apart by their part.

use super::{Assembler, Boundary, Error, Owner, Step};
use crate::batch::Batch;
use crate::change::{Change, Op, Xact};
use crate::checkpoint::Snapshots;
use crate::config::BatchLimits;
use crate::plan::Context;
use crate::position::{Lsn, Position, Xid};
use crate::wal::{Relation, RelationId, Tuple};

/// As many parts are free for rows that entered where nothing is counted.
const UNCOUNTED_MAX: u32 = 1 << 31;

/// What the table has.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    /// No row of this key.
    Absent {
        /// The gap that is repaired.
        gap: &'a str,
        /// A row that has the key and no other values.
        key: Tuple<'a>,
    },
    /// This one.
    There {
        /// The gap that is repaired, if one is.
        gap: Option<&'a str>,
        /// The row.
        row: Tuple<'a>,
    },
    /// This one, which is an event of an outbox.
    Pending(Tuple<'a>),
}

impl Assembler {
    /// Up to where everything was streamed, if rows of a snapshot may enter here: nothing that came
    /// before is still to come.
    #[must_use]
    pub fn entrance(&self, keepalive: Lsn) -> Option<Lsn> {
        let is_between = self.xact.is_none() && self.inside.is_none();
        is_between.then(|| self.confirm.max(keepalive))
    }

    /// A chunk of a table enters here.
    pub fn begin_chunk(&mut self, relation: &Relation, entrance: Lsn) {
        let is_known = |known: &Relation| known == relation;
        if !self.relation(relation.id).is_some_and(is_known) {
            self.announce(relation.clone());
            self.announced = None;
        }
        self.confirm = self.confirm.max(entrance);
        let rows = self.entered_rows(entrance);
        let before = self.base.snapshots.unwrap_or_default();
        let chunks = before.chunks + 1;
        self.base.snapshots = Some(Snapshots { lsn: entrance, rows, chunks, ..before });
    }

    /// How many records have entered here.
    pub(super) fn entered_rows(&self, entrance: Lsn) -> u32 {
        match (self.base.snapshots, self.base.entered) {
            (Some(before), _) if before.lsn == entrance => before.rows,
            (_, Some(before)) if before.lsn == entrance => before.rows,
            // Events may have entered here that nobody has counted since.
            (None, _) if self.position == (Position { commit_lsn: entrance, ordinal: 0 }) => {
                UNCOUNTED_MAX
            }
            _ => 0,
        }
    }

    /// Takes one row of it, or a key that there is no row of; see [`Step`].
    ///
    /// # Errors
    ///
    /// If it cannot be encoded.
    pub fn on_read(
        &mut self,
        relation: RelationId,
        row: Row<'_>,
        taken_us: i64,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        let Snapshots { lsn, rows: part, .. } = self.base.snapshots.unwrap_or_default();
        let xact = Xact {
            xid: Xid::default(),
            commit_lsn: lsn,
            commit_time_us: taken_us,
            previous_commit_lsn: self.previous_commit_lsn,
        };
        let position = Position { commit_lsn: lsn, ordinal: 0 };
        let op = match row {
            Row::Absent { gap, key } => Op::Absent { relation, part, gap, key },
            Row::Pending(row) => Op::Pending { relation, part, new: row },
            Row::There { gap, row } => Op::Read { relation, part, gap, new: row },
        };
        let (mark, records) = (batch.mark(), batch.records().len());
        let change = Change { position, lsn, xact: &xact, op };
        if let Step::Need(need) = self.encode(Owner::Relation(relation), &change, context, batch)? {
            batch.truncate(mark);
            return Ok(Step::Need(need));
        }
        if let Some(snapshots) = &mut self.base.snapshots {
            let records = batch.records().len() - records;
            snapshots.rows += u32::try_from(records).unwrap_or(u32::MAX);
        }
        Ok(Step::Continue)
    }

    /// Rows of outboxes enter before the stream; whether what enters is counted beyond that, as it is
    /// where snapshots are taken.
    pub fn begin_pending(&mut self) -> bool {
        let (lsn, is_counted) = (self.confirm, self.base.snapshots.is_some());
        self.base.snapshots.get_or_insert_with(|| Snapshots { lsn, ..Snapshots::default() });
        is_counted
    }

    /// They are in the batch, all of them.
    pub fn end_pending(&mut self, is_counted: bool, batch: &Batch) {
        self.end_chunk(batch);
        if !is_counted {
            self.base.snapshots = None;
        }
    }

    /// Whether so much more still makes no batch of more than twice the target.
    #[must_use]
    pub fn has_room(&self, batch: &Batch, (records, bytes): (u64, usize)) -> bool {
        let BatchLimits { target_records, target_bytes, .. } = self.limits;
        let records = usize::try_from(records).unwrap_or(usize::MAX);
        batch.records().len().saturating_add(records) <= target_records.saturating_mul(2)
            && batch.byte_len().saturating_add(bytes) <= target_bytes.saturating_mul(2)
    }

    /// How large batches may be.
    #[must_use]
    pub fn limits(&self) -> BatchLimits {
        self.limits
    }

    /// Whether a batch is no larger than one may be.
    #[must_use]
    pub fn fits(&self, batch: &Batch) -> bool {
        batch.records().len() <= self.limits.max_records
            && batch.byte_len() <= self.limits.max_bytes
    }

    /// The chunk is in the batch, whole.
    pub fn end_chunk(&mut self, batch: &Batch) {
        let Self { position, xid, .. } = *self;
        self.boundary = Some(Boundary { mark: batch.mark(), position, xid });
    }
}
