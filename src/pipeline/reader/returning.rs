//! How the changes of a table that is parked come back: in chunks, between two transactions, in order, and
//! before any newer one. Those that come meanwhile are parked behind them; the last ones are few, and the
//! stream waits for them for a moment.

use std::time::{Duration, Instant};

use tokio::sync::oneshot::Sender;
use tracing::{debug, info, warn};

use super::super::assembler::{self, Passed, Step};
use super::super::returner::{Ask, Found};
use super::super::{Error, clock};
use super::parking::Refusal;
use super::{Pause, Reader, Surroundings};
use crate::edges::{Class, Sink, Transport};
use crate::kafka::{self, ParkedChanges, ParkedLimits};
use crate::order::Reply;
use crate::parked::Kept;
use crate::plan::Context;

/// A table whose changes come back.
#[derive(Debug)]
pub(super) struct Returning {
    table: String,
    /// The place of what is in batches.
    place: Passed,
    /// So many of the next changes are in batches already.
    skip: u64,
    /// So many of those behind them are left out, as somebody said.
    left_out: u64,
    /// From where on is asked.
    next: i64,
    is_asked: bool,
    found: Option<ParkedChanges>,
    /// Not asked before.
    rests_until: Option<Instant>,
    /// The stream waits since.
    held_since: Option<Instant>,
    not_held_before: Instant,
    refusal: Option<Refusal>,
}

/// So many changes may be left when the stream waits for them.
const HELD_CHANGES_MAX: u64 = 2_000;

/// And for so long at most.
const HELD_LIMIT: Duration = Duration::from_secs(2);

/// Then it goes on for so long.
const HELD_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A Kafka that could not be read is asked again after so long.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// The changes of one question, and their bytes: they enter at once, so no more than others wait for.
pub(super) const CHUNK: ParkedLimits = ParkedLimits { changes: 2_000, bytes: 4 << 20 };

impl Returning {
    pub(super) fn table(&self) -> &str {
        &self.table
    }

    pub(super) fn is_asked(&self) -> bool {
        self.is_asked
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Whether changes come back here.
    pub(super) fn is_return_due(&self) -> bool {
        self.returning.as_ref().is_some_and(|returning| returning.found.is_some())
            && self.assembler.entrance(self.session.keepalive()).is_some()
    }

    /// Whether no frame is taken, since what is left of a table's parked changes comes first.
    pub(super) fn is_held(&mut self) -> bool {
        let Some(returning) = &mut self.returning else { return false };
        let Some(since) = returning.held_since else { return false };
        let now = clock::now();
        if since + HELD_LIMIT < now {
            returning.held_since = None;
            returning.not_held_before = now + HELD_AGAIN_AFTER;
            return false;
        }
        true
    }

    /// Begins with a table whose time has come, and asks for what comes next of the one that is under way.
    pub(super) fn tend_returns(&mut self) -> Result<(), Error> {
        let now = clock::now();
        if self.around.parker.is_idle {
            return Ok(());
        }
        if self.returning.is_none() {
            let resting = &self.around.parker.resting;
            let is_due = |table: &&String| resting.get(*table).is_none_or(|until| *until <= now);
            let tables = self.assembler.parked();
            let due = tables.iter().filter(|(table, parked)| {
                is_due(table) && !(parked.by_broker && resting.contains_key(*table))
            });
            let Some(table) = due.map(|(table, _)| table.clone()).next() else { return Ok(()) };
            self.begin_return_of(&table, 0);
        }
        let is_quiet = self.around.writer.is_idle() && self.current.is_empty();
        let Some(returning) = &mut self.returning else { return Ok(()) };
        let is_resting = returning.rests_until.is_some_and(|until| now < until);
        let is_under_way = returning.is_asked || returning.found.is_some() || is_resting;
        if is_under_way || returning.held_since.is_some() && !is_quiet {
            return Ok(());
        }
        let Surroundings { parker, kafka, .. } = &mut self.around;
        let ask = Ask::Parked(returning.table.clone(), returning.next);
        returning.is_asked = parker.returner.ask(kafka, ask, CHUNK)?;
        Ok(())
    }

    /// Begins to bring back what is parked of a table, without so many of the first changes.
    fn begin_return_of(&mut self, table: &str, left_out: u64) {
        let Some(parked) = self.assembler.parked().get(table) else { return };
        debug!(%table, offset = parked.offset, passed = parked.passed, "trying a parked table again");
        self.returning = Some(Returning {
            table: table.to_owned(),
            place: Passed { offset: parked.offset, passed: parked.passed, changes: 0 },
            skip: parked.passed,
            left_out,
            next: parked.offset,
            is_asked: false,
            found: None,
            rests_until: None,
            held_since: None,
            not_held_before: clock::now(),
            refusal: None,
        });
        *self.around.parker.tries.entry(table.to_owned()).or_default() += 1;
        self.tell_parked();
    }

    /// Does what an operator has told.
    pub(super) fn unpark(
        &mut self,
        table: &str,
        (left_out, why): (Option<u64>, Option<String>),
        reply: Sender<Reply>,
    ) {
        let said = match self.assembler.parked().get(table) {
            None => Reply::Refused(format!("{table} is not parked")),
            Some(parked) => {
                let waiting = parked.waiting();
                match left_out {
                    Some(left_out) => {
                        warn!(%table, waiting, left_out, why, "the first changes that wait are left out, as an operator has told");
                    }
                    None => {
                        info!(%table, waiting, "a parked table is tried again, as an operator has told");
                    }
                }
                self.stop_returning();
                self.begin_return_of(table, left_out.unwrap_or_default());
                Reply::Done(format!("{waiting} changes are being brought back"))
            }
        };
        // Nobody waits any more.
        let _ = reply.send(said);
    }

    /// Takes what was read.
    pub(super) fn on_parked_read(&mut self, answer: Result<Found, kafka::Error>) {
        let Some(returning) = &mut self.returning else { return };
        returning.is_asked = false;
        match answer {
            Ok(Found::Parked(found)) => {
                returning.next = found.next;
                returning.found = Some(found);
            }
            Ok(_) => {}
            Err(error) if error.class() == Class::Fatal => {
                self.refuse_returning(Refusal::of_reading(&error));
                self.end_refused();
            }
            Err(error) => {
                let table = &returning.table;
                warn!(%table, %error, "what is parked could not be read; it is asked for again");
                returning.rests_until = Some(clock::now() + ASK_AGAIN_AFTER);
            }
        }
    }

    /// What comes back cannot be written either.
    pub(super) fn refuse_returning(&mut self, refusal: Refusal) {
        if let Some(returning) = &mut self.returning {
            returning.refusal = Some(refusal);
        }
    }

    /// Lets what was read enter; what that has to wait for, if it does.
    pub(super) async fn enter_returned(&mut self) -> Result<Option<Pause>, Error> {
        if self.assembler.has_target(&self.current)
            && let Some(pause) = self.hand_over()?
        {
            return Ok(Some(pause));
        }
        let Some(entrance) = self.assembler.entrance(self.session.keepalive()) else {
            return Ok(None);
        };
        let found = self.returning.as_mut().and_then(|returning| returning.found.take());
        let Some(found) = found else { return Ok(None) };
        self.assembler.begin_return(entrance);
        for (offset, change) in &found.changes {
            match self.enter_change(change, *offset).await {
                Ok(true) => {}
                Ok(false) => break,
                // What cannot be read is this table's trouble, too.
                Err(Error::Assembler(error)) if error.is_of_parked() => {
                    self.refuse_returning(Refusal::of_reading(&error));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.end_entering(found.is_end);
        Ok(None)
    }

    /// Lets one change enter; whether it is in, and the next may follow.
    async fn enter_change(&mut self, change: &[u8], offset: i64) -> Result<bool, Error> {
        let context = Context { now_us: clock::wall_us() };
        let kept = &Kept::parse(change).map_err(assembler::Error::from)?;
        let Some(returning) = &mut self.returning else { return Ok(false) };
        if 0 < returning.skip {
            returning.skip -= 1;
            self.assembler.pass_over(kept)?;
            return Ok(true);
        }
        if 0 < returning.left_out {
            returning.left_out -= 1;
            self.assembler.pass_over(kept)?;
            self.around.telemetry.on_left_out();
        } else {
            while let Step::Need(need) =
                self.assembler.on_returned(kept, &context, &mut self.current)?
            {
                self.answer(need).await?;
                if self.returning.as_ref().is_none_or(|it| it.refusal.is_some()) {
                    return Ok(false);
                }
            }
        }
        if let Some(Returning { place, .. }) = &mut self.returning {
            if kept.shape.is_some() {
                (place.offset, place.passed) = (offset, 0);
            }
            place.passed += 1;
            place.changes += 1;
        }
        Ok(true)
    }

    fn end_entering(&mut self, is_end: bool) {
        let Some(returning) = &mut self.returning else { return };
        let table = returning.table.clone();
        self.assembler.end_return(&table, returning.place, &self.current);
        returning.place.changes = 0;
        if returning.refusal.is_some() {
            self.end_refused();
        } else if !self.assembler.has_waiting(&table, &self.current) {
            let changes = self.assembler.parked().get(&table).map(|parked| parked.changes);
            info!(%table, changes, "all that was parked of the table is back; it goes on as before");
            self.assembler.release(&table);
            self.around.parker.resting.remove(&table);
            self.returning = None;
        } else if is_end {
            let waiting = self.assembler.parked().get(&table).map_or(0, |parked| parked.waiting());
            let now = clock::now();
            if waiting <= HELD_CHANGES_MAX && returning.not_held_before <= now {
                returning.held_since.get_or_insert(now);
            }
        }
    }

    fn end_refused(&mut self) {
        let refusal = self.returning.as_mut().and_then(|it| it.refusal.take());
        if let (Some(refusal), Some(returning)) = (refusal, &self.returning) {
            let (table, parts) = (returning.table.clone(), refusal.into_parts());
            info!(%table, reason = parts.0, "the table stays parked");
            self.assembler.on_refused_again(&table, parts);
            self.rest(&table);
        }
        self.stop_returning();
        self.tell_parked();
    }

    fn stop_returning(&mut self) {
        self.returning = None;
        self.assembler.stop_returning();
    }
}
