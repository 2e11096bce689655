//! Where a batch ends: it gets the checkpoint that is durable with it, whole or up to what is
//! complete. Here alone a position is called complete.

use std::sync::Arc;

use super::Assembler;
use crate::batch::Batch;
use crate::checkpoint::{Checkpoint, Inside};
use crate::position::{Lsn, Position, Xid};

impl Assembler {
    /// Whether the batch has reached its target: it is handed over at the next boundary.
    #[must_use]
    pub fn has_target(&self, batch: &Batch) -> bool {
        self.limits.target_bytes <= batch.byte_len()
            || self.limits.target_records <= batch.records().len()
    }

    pub(super) fn is_full(&self, batch: &Batch) -> bool {
        !batch.is_empty()
            && (self.limits.max_bytes <= batch.byte_len()
                || self.limits.max_records <= batch.records().len())
    }

    /// Gives the batch its checkpoint. `keepalive` is the highest keep-alive LSN, which counts only
    /// between transactions, when nothing is in flight.
    pub fn seal(&mut self, batch: &mut Batch, keepalive: Lsn) {
        if self.is_at_boundary() {
            self.confirm = self.confirm.max(keepalive);
        }
        let inside = self.inside;
        batch.starts_inside = self.starts_inside && !batch.is_empty();
        batch.ends_inside = inside.is_some() && !batch.is_empty();
        self.starts_inside = inside.is_some();
        let Self { position, xid, .. } = *self;
        self.finish(batch, position, xid, inside);
        // The next batch is empty, so that no record names a topic.
        if self.topics_max < self.topics.len() {
            self.forget_plans();
        }
    }

    /// Takes back what is of an unfinished transaction and gives the batch its checkpoint: for a
    /// stop. `false` if nothing is left to commit.
    pub fn seal_complete(&mut self, batch: &mut Batch) -> bool {
        let Some(boundary) = self.boundary.take() else { return false };
        batch.truncate(boundary.mark);
        batch.starts_inside = self.starts_inside && !batch.is_empty();
        self.finish(batch, boundary.position, boundary.xid, None);
        true
    }

    /// Moves what is of an unfinished transaction into `rest`, which is empty, and gives the batch its
    /// checkpoint: for a wait. `false`, and nothing is changed, if that would commit no record.
    pub fn seal_apart(&mut self, batch: &mut Batch, rest: &mut Batch) -> bool {
        let Some(boundary) = self.boundary.take_if(|it| !it.mark.is_start()) else { return false };
        batch.split_off(boundary.mark, rest);
        if let Some(xact) = self.xact {
            rest.note_commit_time(xact.commit_time_us);
        }
        batch.starts_inside = self.starts_inside;
        self.starts_inside = false;
        self.finish(batch, boundary.position, boundary.xid, None);
        true
    }

    /// Whether all of the position's transaction is at or before it: it has ended in this stream, or
    /// had in Kafka.
    fn is_complete(&self, position: Position) -> bool {
        position.commit_lsn <= self.previous_commit_lsn
            || self.base.inside.is_none() && position == self.base.position
    }

    fn finish(
        &mut self,
        batch: &mut Batch,
        position: Position,
        xid: Option<Xid>,
        inside: Option<Inside>,
    ) {
        assert!(self.base.position <= position, "checkpoints do not go back (I3)");
        assert!(self.base.confirm <= self.confirm, "confirmation does not go back (I1)");
        assert!(
            inside.is_some() || self.is_complete(position),
            "a position is complete only when its transaction was seen to end (I1)"
        );
        self.base.position = position;
        self.base.confirm = self.confirm;
        self.base.omissions.retain(|it| position < it.position);
        // Nothing enters there any more.
        self.base.entered.take_if(|it| it.lsn < self.confirm);
        batch.parked = self.parking.on_sealed(batch);
        self.base.parked = self.parking.len();
        self.boundary = None;
        batch.topics = Arc::clone(&self.topics);
        let next = Checkpoint { xid, inside, accepted: None, ..self.base.clone() };
        batch.checkpoint = Some(next.in_format());
    }
}
