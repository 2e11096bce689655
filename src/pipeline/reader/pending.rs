//! Rows of outboxes that were there when the slot was made enter before the stream.

use tracing::info;

use super::super::assembler::{Need, Owner, Row, Step};
use super::super::pending::too_many;
use super::super::{Error, clock};
use super::Reader;
use crate::edges::{Sink, Transport};
use crate::plan::Context;
use crate::postgres::PendingChunk;
use crate::wal::Tuples;

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Lets them enter, and hands over what they are with the checkpoint, which is the first that says
    /// that there is a slot. Nothing is sealed before all of them are in.
    pub(super) async fn enter_pending(&mut self, pending: Vec<PendingChunk>) -> Result<(), Error> {
        let entrance = self.assembler.entrance(self.session.keepalive());
        let entrance = entrance.expect("of a stream that has not begun nothing is under way");
        let rows = pending.iter().map(|chunk| u64::from(chunk.count)).sum();
        let is_counted = self.assembler.begin_pending();
        for chunk in &pending {
            self.assembler.begin_chunk(&chunk.relation, entrance);
            self.enter_events(chunk, rows).await?;
        }
        self.assembler.end_pending(is_counted, &self.current);
        info!(rows, "the rows that were pending in outboxes go before the stream");
        self.hand_over().map(drop)
    }

    async fn enter_events(&mut self, chunk: &PendingChunk, rows: u64) -> Result<(), Error> {
        let context = Context { now_us: clock::wall_us() };
        let (relation, taken_us) = (chunk.relation.id, chunk.taken_us);
        for row in Tuples::new(&chunk.rows) {
            let row = Row::Pending(row?);
            loop {
                let Self { assembler, current, .. } = self;
                match assembler.on_read(relation, row, taken_us, &context, current)? {
                    // It is an outbox, of which nothing is held.
                    Step::Need(Need::Plan(Owner::Relation(id))) => {
                        let facts = self.describe(id).await?;
                        self.make(Owner::Relation(id), facts).await?;
                    }
                    Step::Need(need) => self.answer(need).await?,
                    _ => break,
                }
            }
            if !self.assembler.fits(&self.current) {
                return Err(too_many(rows, self.assembler.limits()));
            }
        }
        Ok(())
    }
}
