//! How a chunk gets into the batch: whole, between two transactions.

use super::super::super::assembler::{Assembler, Need, Row, Step};
use super::super::super::{Error, clock};
use super::super::{Pause, Reader};
use crate::batch::Batch;
use crate::edges::{Sink, Transport};
use crate::plan::Context;
use crate::snapshot::Entry;
use crate::wal::Tuples;

/// A chunk on its way into the batch.
#[derive(Debug)]
pub(super) struct Entering {
    entry: Entry,
    /// The bytes of the keys and of the rows that are in.
    entered: [usize; 2],
}

impl Entering {
    /// Lets keys without a row, then rows, into the batch; `Some` if something is needed for the next.
    fn go_on(
        &mut self,
        assembler: &mut Assembler,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Option<Need>, Error> {
        let Self { entry: Entry { chunk, gap, absent }, entered: [keys, rows] } = self;
        let (relation, taken_us, gap) = (chunk.relation.id, chunk.taken_us, gap.as_deref());
        let absent = absent.get(*keys..).unwrap_or_default();
        for key in Tuples::new(absent).map_while(Result::ok) {
            let row = Row::Absent { gap: gap.unwrap_or_default(), key };
            match assembler.on_read(relation, row, taken_us, context, batch)? {
                Step::Need(need) => return Ok(Some(need)),
                _ => *keys += key.byte_len(),
            }
        }
        for row in Tuples::new(chunk.rows.get(*rows..).unwrap_or_default()).map_while(Result::ok) {
            let step =
                assembler.on_read(relation, Row::There { gap, row }, taken_us, context, batch)?;
            match step {
                Step::Need(need) => return Ok(Some(need)),
                _ => *rows += row.byte_len(),
            }
        }
        Ok(None)
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Whether a chunk enters here.
    pub(in super::super) fn is_chunk_due(&self) -> bool {
        let Some(snapshots) = &self.snapshots else { return false };
        let entrance = self.assembler.entrance(self.session.keepalive());
        snapshots.entering.is_some()
            || entrance.is_some_and(|entrance| snapshots.machine.is_due(entrance))
    }

    /// Whether the chunk that is due enters a batch that has to wait for the one before it: a Kafka
    /// transaction has a price of its own. Beside a busy stream it does not: what waits there would
    /// take longer.
    pub(in super::super) fn may_join(&self) -> bool {
        let Some(snapshots) = &self.snapshots else { return false };
        let entrance = self.assembler.entrance(self.session.keepalive());
        let size = entrance.and_then(|entrance| snapshots.machine.next_size(entrance));
        !snapshots.pace.is_busy()
            && size.is_some_and(|size| self.assembler.has_room(&self.current, size))
    }

    /// Lets the chunk that is due enter, as far as it can; whether it is in.
    pub(in super::super) async fn enter(&mut self) -> Result<bool, Error> {
        if self.snapshots.as_ref().is_none_or(|snapshots| snapshots.entering.is_none()) {
            // It lies whole in one batch.
            if !self.current.is_empty() {
                match self.hand_over()? {
                    None => return Ok(true),
                    Some(Pause::Timeline) => return self.follow_timeline().await.map(|()| false),
                    Some(_) if self.may_join() => {}
                    Some(_) => return Ok(false),
                }
            }
            let Some(entrance) = self.assembler.entrance(self.session.keepalive()) else {
                return Ok(true);
            };
            let Some(snapshots) = &mut self.snapshots else { return Ok(true) };
            let Some(entry) = snapshots.machine.next_entry(entrance) else { return Ok(true) };
            self.assembler.begin_chunk(&entry.chunk.relation, entrance);
            snapshots.entering = Some(Entering { entry, entered: [0, 0] });
        }
        self.enter_rows().await.map(|()| true)
    }

    async fn enter_rows(&mut self) -> Result<(), Error> {
        let context = Context { now_us: clock::wall_us() };
        loop {
            let Self { snapshots, assembler, current, .. } = self;
            let Some(entering) =
                snapshots.as_mut().and_then(|snapshots| snapshots.entering.as_mut())
            else {
                return Ok(());
            };
            let Some(need) = entering.go_on(assembler, &context, current)? else { break };
            self.answer(need).await?;
        }
        self.assembler.end_chunk(&self.current);
        if let Some(snapshots) = &mut self.snapshots
            && let Some(Entering { entry, .. }) = snapshots.entering.take()
        {
            snapshots.machine.on_entered(entry.chunk.relation.id);
        }
        Ok(())
    }
}
