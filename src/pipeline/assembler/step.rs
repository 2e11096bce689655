//! What becomes of a message, and what the assembler asks for.

#[cfg(doc)]
use super::Assembler;
use crate::change::Op;
use crate::plan::{self, Route};
use crate::wal::RelationId;

/// What became of a message.
#[derive(Debug)]
pub enum Step {
    /// It was taken.
    Continue,
    /// It ended a transaction: the batch may be handed over now.
    Boundary,
    /// The batch has reached its maximum: hand it over, then feed the message again.
    Full,
    /// Answer, then feed the message again.
    Need(Need),
}

/// What the assembler cannot decide by itself.
#[derive(Debug)]
pub enum Need {
    /// Compile a plan: call [`Assembler::draft`], make its topics and schemas, then call
    /// [`Assembler::install`].
    Plan(Owner),
    /// A change of a table cannot be encoded: park the table ([`Assembler::begin_parking`]), or end.
    Judge(Owner, Box<plan::Error>),
    /// Say by [`Assembler::take_policy`] whether the topic is compacted.
    Policy(Owner, String),
    /// Make the topic and the schemas of a route, then call [`Assembler::route`].
    Route(Owner, Route),
}

/// Whose plan it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Dead letters of an outbox, by its number among those of which some were written again.
    Letters(usize),
    /// The message outbox.
    Messages,
    /// A table.
    Relation(RelationId),
    /// The table whose parked changes are brought back, as it was when they were parked.
    Returning,
}

impl Owner {
    pub(super) fn of(op: &Op<'_>) -> Self {
        match *op {
            Op::Message { .. } => Self::Messages,
            Op::Absent { relation, .. }
            | Op::Delete { relation, .. }
            | Op::Insert { relation, .. }
            | Op::Pending { relation, .. }
            | Op::Read { relation, .. }
            | Op::Truncate { relation, .. }
            | Op::Update { relation, .. } => Self::Relation(relation),
        }
    }
}
