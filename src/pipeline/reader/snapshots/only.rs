//! Where reading tables is all that is wanted: when that is over.

use tracing::info;

use super::super::Reader;
use super::Snapshotting;
use crate::config::SnapshotMode;
use crate::edges::{Sink, Transport};
use crate::pipeline::Error;
use crate::snapshot::State;
use crate::wal::RelationId;

impl Snapshotting {
    /// Tables that are not read; `None` while more may be about to be known.
    fn left(&self) -> Option<Vec<RelationId>> {
        let is_known = self.has_looked && self.new.is_empty() && self.dividing.is_none();
        let reading = self.known.values().filter(|it| it.state == State::Reading);
        let reading = reading.map(|it| it.relation);
        is_known.then(|| reading.chain(self.undivided.iter().copied()).collect())
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Ends the stream where the mode is "only" and everything is read and in Kafka, or all but what
    /// cannot be read.
    pub(super) fn end_if_read(&mut self) -> Result<(), Error> {
        let is_written = self.around.writer.is_idle() && !self.has_news();
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let is_at_rest = is_written && snapshots.entering.is_none();
        if snapshots.wanted.mode != SnapshotMode::Only || !is_at_rest {
            return Ok(());
        }
        let Some(left) = snapshots.left() else { return Ok(()) };
        let Some(first) = left.first() else {
            info!("all tables are read, which is all that snapshot.mode = \"only\" wants");
            return Err(Error::Stopped);
        };
        if !left.iter().all(|relation| snapshots.refused.contains_key(relation)) {
            return Ok(());
        }
        let refused = snapshots.refused.remove(first);
        refused.map_or(Ok(()), |error| Err(Error::Unread { error: Box::new(error) }))
    }
}
