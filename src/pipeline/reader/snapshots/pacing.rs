//! When tables are not read, and that it is said.

use tracing::info;

use super::super::super::chunks::Answer;
use super::super::super::clock;
use super::super::super::pace::{News, Pause};
use super::super::Reader;
use crate::edges::{Sink, Transport};
use crate::position::Lsn;
use crate::wal::Tuples;

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Whether more of tables may be read now.
    pub(super) fn may_read(&mut self) -> bool {
        // The end of the server's log is known from the first look at the slot on.
        let lag = (self.server_end != Lsn::ZERO).then(|| {
            let end = self.server_end.max(self.session.received());
            end.0.saturating_sub(self.session.confirmed().0)
        });
        let Some(snapshots) = &mut self.snapshots else { return false };
        let has_work = snapshots.machine.is_active() || !snapshots.new.is_empty();
        if !has_work || snapshots.machine.is_paused() {
            snapshots.chunks.rest();
        }
        if !has_work {
            return true;
        }
        match snapshots.pace.look(clock::now(), clock::wall_us(), lag) {
            Some(News::GoesOn) => info!("the reading of tables goes on"),
            Some(News::Pauses(Pause::Hours)) => {
                info!("the reading of tables pauses: it is not the time of snapshot.only_between");
            }
            Some(News::Pauses(Pause::Lag)) => info!(
                lag_bytes = lag,
                "the reading of tables pauses: the stream is behind by more than snapshot.pause_when_lag_over"
            ),
            None => {}
        }
        let may_read = snapshots.pace.may_read(lag);
        if !may_read {
            snapshots.chunks.rest();
        }
        may_read
    }

    /// Counts what a reader brought.
    pub(super) fn count(&mut self, answer: &Answer) {
        let Some(snapshots) = &mut self.snapshots else { return };
        let Answer::Chunk(_, _, read) = answer else { return };
        let rows = match read {
            Ok(chunk) if snapshots.pace.has_rate() => Tuples::new(&chunk.rows).count(),
            _ => 0,
        };
        snapshots.pace.on_read(u32::try_from(rows).unwrap_or(u32::MAX));
    }
}
