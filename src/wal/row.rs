//! What a message says of a row, and that message written again.

use super::message::{Message, OldTuple, OldTupleKind};
use super::reader::Error;
use super::relation::RelationId;
use super::tuple::Tuple;

/// What a message says of a row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    tag: u8,
    relation: RelationId,
    pub(super) old: Option<OldTuple<'a>>,
    pub(super) new: Option<Tuple<'a>>,
}

impl<'a> Row<'a> {
    /// Of a message; `None` if it is of no row.
    pub(super) fn of(message: &Message<'a>) -> Option<Self> {
        match *message {
            Message::Delete { relation, old } => Some(Self::delete(relation, old)),
            Message::Insert { relation, new } => Some(Self::insert(relation, new)),
            Message::Update { relation, old, new } => Some(Self::update(relation, old, new)),
            _ => None,
        }
    }

    /// A row that was deleted.
    #[must_use]
    pub const fn delete(relation: RelationId, old: OldTuple<'a>) -> Self {
        Self { tag: b'D', relation, old: Some(old), new: None }
    }

    /// A row that was inserted.
    #[must_use]
    pub const fn insert(relation: RelationId, new: Tuple<'a>) -> Self {
        Self { tag: b'I', relation, old: None, new: Some(new) }
    }

    /// A row that was updated.
    #[must_use]
    pub const fn update(relation: RelationId, old: Option<OldTuple<'a>>, new: Tuple<'a>) -> Self {
        Self { tag: b'U', relation, old, new: Some(new) }
    }

    /// Appends the message as the stream carries it.
    ///
    /// # Errors
    ///
    /// Never: its values came in such a message.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.write_with(out, |text, out| out.extend_from_slice(text))
    }

    /// The same with what `rewrite` appends in place of a text.
    pub(super) fn write_with(
        &self,
        out: &mut Vec<u8>,
        mut rewrite: impl FnMut(&[u8], &mut Vec<u8>),
    ) -> Result<(), Error> {
        out.push(self.tag);
        out.extend_from_slice(&self.relation.0.to_be_bytes());
        if let Some(OldTuple { kind, tuple }) = &self.old {
            out.push(match kind {
                OldTupleKind::Full => b'O',
                OldTupleKind::Key => b'K',
            });
            tuple.write(out, &mut rewrite)?;
        }
        if let Some(tuple) = &self.new {
            out.push(b'N');
            tuple.write(out, &mut rewrite)?;
        }
        Ok(())
    }
}
