//! The plan of a table whose changes wait: each is kept as the stream said it, with what its own plan
//! will be made from.

use super::{Context, Step, timestamp_ms};
use crate::batch::{Batch, Operation, Record, TopicId};
use crate::change::{Change, Op};
use crate::config::Timestamp;
use crate::parked::{self, PIECE_BYTES, Shape};
use crate::position::Position;

/// The plan of a table that is parked.
#[derive(Debug)]
pub struct ParkedPlan {
    topic: TopicId,
    /// `schema.table`: the records' key.
    table: String,
    epoch: u32,
    /// What a plan is made from, as JSON.
    shape: Vec<u8>,
    /// The change that has said so. It may be encoded again, if not all of it could be.
    told: Option<Position>,
    scratch: Vec<u8>,
}

impl ParkedPlan {
    /// Keeps the changes of a relation in `topic`.
    #[must_use]
    pub fn new(topic: TopicId, table: String, epoch: u32, shape: &Shape) -> Self {
        let shape = shape.to_json();
        Self { topic, table, epoch, shape, told: None, scratch: Vec::new() }
    }

    /// Writes the records of a change: its pieces.
    pub(super) fn encode(
        &mut self,
        change: &Change<'_>,
        context: &Context,
        batch: &mut Batch,
    ) -> Step {
        let is_told = |told: Position| told.ordinal == 0 || told != change.position;
        let shape = (!self.told.is_some_and(is_told)).then_some(self.shape.as_slice());
        self.told.get_or_insert(change.position);
        self.scratch.clear();
        parked::write(change, self.epoch, shape, &mut self.scratch);
        let part = match change.op {
            Op::Absent { part, .. }
            | Op::Pending { part, .. }
            | Op::Read { part, .. }
            | Op::Truncate { part, .. } => part,
            Op::Delete { .. } | Op::Insert { .. } | Op::Message { .. } | Op::Update { .. } => 0,
        };
        let mut pieces = self.scratch.chunks(PIECE_BYTES).peekable();
        while let Some(piece) = pieces.next() {
            let start = batch.byte_len();
            batch.buffer().extend_from_slice(self.table.as_bytes());
            let key = start..batch.byte_len();
            parked::write_piece(piece, pieces.peek().is_some(), batch.buffer());
            let value = key.end..batch.byte_len();
            batch.push(Record {
                topic: self.topic,
                operation: Operation::Parked,
                key: Some(key),
                headers: value.end..value.end,
                value: Some(value),
                timestamp_ms: timestamp_ms(Timestamp::Commit, change, context),
                position: change.position,
                part,
                xid: change.xact.xid,
            });
        }
        self.scratch.shrink_to(PIECE_BYTES);
        Step::Done
    }
}
