//! What becomes of a reading that brought nothing.

use std::time::Duration;

use tracing::warn;

use super::super::super::clock;
use super::super::Reader;
use super::{REFUSED_AFTER, RETRY_AFTER, Snapshotting, table_name};
use crate::edges::{Class, Sink, Transport};
use crate::postgres::ChunkError;
use crate::snapshot::{ChunkId, State};
use crate::wal::RelationId;

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// A chunk, or where there is none a division, was not read: it is tried again, if that can help.
    pub(super) fn on_unread(
        &mut self,
        relation: RelationId,
        id: Option<ChunkId>,
        error: ChunkError,
    ) {
        let Some(snapshots) = &mut self.snapshots else { return };
        if let Some(id) = id {
            snapshots.machine.on_failed(id);
        }
        let divided = snapshots.dividing.take_if(|it| it.id == relation);
        let is_behind = matches!(error, ChunkError::Behind { .. });
        if id.is_none() && !is_behind && snapshots.ordered.refuse(relation, &error) {
            return;
        }
        if divided.is_some() && !is_behind {
            snapshots.undivided.insert(relation);
        }
        let is_brief = error.class() == Class::Retry && !snapshots.chunks.is_away(&error);
        let wait = if is_brief { RETRY_AFTER } else { REFUSED_AFTER };
        let until = clock::now() + wait;
        snapshots.resting.insert(relation, until);
        snapshots.next_tables = snapshots.next_tables.min(until);
        let known = snapshots.known.get(&relation).cloned();
        match (&error, known) {
            (ChunkError::Behind { wanted, .. }, known) => {
                let table = known.map(|it| it.table).or_else(|| divided.as_ref().map(table_name));
                snapshots.teller.on_unread(relation, table, &error);
                snapshots.lagging.tell(&error);
                if let Some(divided) = divided {
                    snapshots.lagging.keep(relation, *wanted);
                    snapshots.new.push_front(divided);
                }
            }
            (
                ChunkError::Changed { .. }
                | ChunkError::Gone { .. }
                | ChunkError::Key { .. }
                | ChunkError::Unpublished { .. },
                Some(known),
            ) if known.gap.is_some() => {
                warn!(table = %known.table, %error, "the table is repaired no further");
                snapshots.ordered.repairs.refuse(relation, &error.to_string());
                snapshots.settle(relation, known.table, State::Done);
            }
            (ChunkError::Gone { .. } | ChunkError::Unpublished { .. }, Some(known)) => {
                warn!(table = %known.table, %error, "the table's snapshot ends with it");
                snapshots.settle(relation, known.table, State::Done);
            }
            (ChunkError::Changed { .. } | ChunkError::Key { .. }, Some(known))
                if !known.key.is_empty() =>
            {
                warn!(table = %known.table, %error, "the table's key is another now; its snapshot begins anew");
                snapshots.machine.end(relation);
                snapshots.known.remove(&relation);
                snapshots.undivided.insert(relation);
                snapshots.ordered.again(relation, known.condition);
            }
            (_, known) => {
                let is_held = known.as_ref().is_some_and(|it| it.key.is_empty());
                let table = known.map(|it| it.table).or_else(|| divided.as_ref().map(table_name));
                snapshots.complain(relation, table, is_held, error, wait);
            }
        }
    }
}

impl Snapshotting {
    /// Says that something could not be read, and is tried again; `is_held` of a table without a key.
    fn complain(
        &mut self,
        relation: RelationId,
        table: Option<String>,
        is_held: bool,
        error: ChunkError,
        wait: Duration,
    ) {
        let is_fatal = error.class() == Class::Fatal;
        self.teller.on_unread(relation, table.clone(), &error);
        if is_held {
            warn!(table, %error, retry_in = ?wait, "a table without a key could not be read, and its changes are left out of the stream until its rows have entered; it is tried again");
        } else if is_fatal {
            warn!(%error, retry_in = ?wait, "a table cannot be read until this is put right; all else goes on");
        } else {
            warn!(%error, retry_in = ?wait, "part of a table could not be read; it is tried again");
        }
        if is_fatal {
            self.refused.insert(relation, error);
        }
    }
}
