//! The reader: frames in, sealed batches out, committed batches back, status to the walsender.
//!
//! One task, one loop; the life of a row is `next_frame` → [`Transcoder::parse`] → [`Assembler`] → batch →
//! writer → home → [`Session::confirm`]. Here alone an LSN is confirmed: at the start what the last
//! checkpoint says, then what each committed batch's says.

mod lagging;
mod letters;
mod looks;
mod orders;
mod parking;
mod pending;
mod plans;
mod repairs;
mod returning;
mod snapshots;
mod teller;
mod timeline;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;
use tracing::{debug, info, warn};

use super::alive::{make_way, send_due_status, send_status};
use super::assembler::{Assembler, Need, Step};
use super::lag::Received;
use super::telemetry::{Progress, Telemetry};
use super::writer::{Done, Writer};
use super::{Error, STOP_LIMIT, Stop, TICK, clock, sink, source};
use crate::batch::Batch;
use crate::config;
use crate::edges::{Sink, Transport};
use crate::order::Orders;
use crate::parked::Parked;
use crate::plan::Context;
use crate::position::{Lsn, Position, Xid};
use crate::postgres::{Catalog, PendingChunk};
use crate::registry::Registry;
use crate::status::Phase;
use crate::wal::{Frame, RelationId, Session, Transcoder};

use letters::Replaying;
pub(super) use parking::Parker;
use returning::Returning;
pub(super) use snapshots::Snapshotting;
pub(super) use timeline::Timelines;

/// A read that brought less than this, while the writer is busy, is followed by a
/// [nap](Transport::nap): the walsender makes one send() per row, and a receiver that wakes for each
/// slows it down.
const COALESCE_BYTES: usize = 64 << 10;

/// Every so many ticks the catalog is asked what WAL the slot keeps.
const TICKS_PER_SLOT: u32 = 10;

/// That question must not hold up the stream.
const SLOT_LIMIT: Duration = Duration::from_secs(1);

/// How long a server whose walsender is silent has to answer on the catalog connection.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// What the reader works with besides the stream.
pub(super) struct Surroundings<'a, S: Sink> {
    pub(super) writer: &'a mut Writer<S::Error>,
    pub(super) catalog: &'a mut Catalog,
    pub(super) registry: Option<&'a mut Registry>,
    pub(super) slot: &'a str,
    pub(super) publications: &'a [String],
    /// Where the server was a standby when the stream began.
    pub(super) timelines: Option<Timelines>,
    pub(super) telemetry: &'a mut Telemetry,
    pub(super) stop: &'a mut Stop,
    /// What enters before the stream, where the slot was made just now.
    pub(super) pending: Option<Vec<PendingChunk>>,
    pub(super) refused: &'a mut Option<(Position, Error)>,
    pub(super) parker: &'a mut Parker,
    pub(super) parked_topic: &'a str,
    pub(super) kafka: &'a config::Kafka,
    pub(super) orders: &'a mut Orders,
    pub(super) checkpoint_interval: Duration,
    pub(super) retry_delays: (Duration, Duration),
}

/// The reader of one stream.
pub(super) struct Reader<'a, T, S: Sink> {
    transport: T,
    session: Session,
    transcoder: Transcoder,
    assembler: Assembler,
    around: Surroundings<'a, S>,
    snapshots: Option<Snapshotting>,
    /// The table whose parked changes come back.
    returning: Option<Returning>,
    /// Dead letters that are written again.
    replaying: Option<Replaying>,
    /// The tables that are parked, as Kafka has it.
    in_kafka: BTreeMap<String, Parked>,
    current: Box<Batch>,
    spare: Option<Box<Batch>>,
    /// A frame that is to be fed again.
    pending: Option<Vec<u8>>,
    /// Relations whose plans are of a catalog that did not show this transaction.
    guesses: BTreeMap<RelationId, Xid>,
    /// When the last checkpoint was committed.
    checkpoint_at: Instant,
    last_fill: usize,
    /// What the writer has.
    committing: Received,
    /// The end of the server's log, as far as it has told.
    server_end: Lsn,
    next_tick: Instant,
    ticks: u32,
    next_survey: Instant,
}

/// Why the reader stopped taking frames.
#[derive(Debug)]
enum Pause {
    /// The frame in `pending` needs an answer.
    Answer(Need),
    /// No frame is in memory.
    Data,
    /// Both batches are in use.
    Room,
    /// A chunk of a table enters here.
    Chunk,
    /// Dead letters enter here.
    Letters,
    /// Changes of a table that is parked enter here.
    Returned,
    /// A batch is due, and the timeline of what it holds is not known.
    Timeline,
}

impl<'a, T: Transport, S: Sink> Reader<'a, T, S> {
    pub(super) fn new(
        transport: T,
        session: Session,
        transcoder: Transcoder,
        assembler: Assembler,
        snapshots: Option<Snapshotting>,
        around: Surroundings<'a, S>,
    ) -> Self {
        let (current, spare) = (assembler.new_batch(), assembler.new_batch());
        let in_kafka = assembler.parked().clone();
        Self {
            transport,
            session,
            transcoder,
            assembler,
            around,
            snapshots,
            returning: None,
            replaying: None,
            in_kafka,
            current: Box::new(current),
            spare: Some(Box::new(spare)),
            pending: None,
            guesses: BTreeMap::new(),
            checkpoint_at: clock::now(),
            last_fill: 0,
            committing: Received::default(),
            server_end: Lsn::ZERO,
            next_tick: clock::now(),
            ticks: 0,
            next_survey: clock::now(),
        }
    }

    /// Streams until an error, or until it is told to stop and has. An error takes nothing with it
    /// that was complete before: else one row that cannot be written would hold up, at each start
    /// anew, all that came with it.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        if self.around.pending.is_none() {
            // Nothing was taken yet: this is the checkpoint's, which is in Kafka.
            self.session.confirm(clock::now(), self.assembler.complete_end());
        }
        self.park_refused().await?;
        self.tell_parked();
        while !self.around.stop.is_set() {
            match self.turn().await {
                Ok(()) => {}
                Err(Error::Stopped) => break,
                Err(error) => {
                    if error.spares_complete()
                        && let Err(error) = self.commit_complete().await
                    {
                        warn!(%error, "what was complete could not be committed on the way out; it comes again");
                    }
                    return Err(error.located(&self.assembler));
                }
            }
        }
        self.finish().await
    }

    /// One turn: take what came home, take frames, hand over, say so, wait.
    async fn turn(&mut self) -> Result<(), Error> {
        if let Some(pending) = self.around.pending.take() {
            return self.enter_pending(pending).await;
        }
        while let Some(done) = self.around.writer.try_done()? {
            self.on_done(done)?;
        }
        let pause = match self.is_held() {
            true if self.is_return_due() => Pause::Returned,
            true => Pause::Room,
            false => self.take_frames()?,
        };
        let pause = match pause {
            Pause::Letters => return self.enter_letters().await,
            Pause::Returned => match self.enter_returned().await? {
                None => return Ok(()),
                Some(Pause::Timeline) => return self.follow_timeline().await,
                Some(pause) => pause,
            },
            Pause::Answer(need) => return self.answer(need).await,
            Pause::Timeline => return self.follow_timeline().await,
            Pause::Chunk if self.enter().await? => return Ok(()),
            Pause::Chunk => Pause::Room,
            pause => pause,
        };
        let has_news = self.has_news() || self.assembler.has_parking_news();
        let is_due = !self.current.is_empty() || self.is_idle_due() || has_news;
        if self.assembler.is_at_boundary() && is_due {
            self.follow_timeline().await?;
            self.hand_over()?;
        }
        self.send_due_status().await?;
        self.tend_snapshots().await?;
        self.tend_returns()?;
        self.tend_letters()?;
        self.tick(&pause).await?;
        self.wait(&pause).await
    }

    /// Takes the frames that are in memory, as far as there is room.
    fn take_frames(&mut self) -> Result<Pause, Error> {
        let context = Context { now_us: clock::wall_us() };
        self.hold_keyless();
        loop {
            let waits = self.assembler.is_at_boundary() && self.assembler.has_target(&self.current);
            if waits && let Some(pause) = self.hand_over()? {
                return Ok(if self.may_join() { Pause::Chunk } else { pause });
            }
            if self.is_chunk_due() {
                return Ok(Pause::Chunk);
            }
            if self.is_return_due() {
                return Ok(Pause::Returned);
            }
            if self.is_letter_due() {
                return Ok(Pause::Letters);
            }
            let Self { transport, pending, session, assembler, snapshots, current, around, .. } =
                self;
            let transcoder = &mut self.transcoder;
            let is_next = |(it, _): &mut (Position, _)| assembler.pending() == Some(*it);
            if let Some((position, error)) = around.refused.take_if(is_next) {
                return Err(Error::Change { position, error: Box::new(error) });
            }
            let frame = match pending {
                Some(frame) => frame.as_slice(),
                None => match transport.next_frame().map_err(source::<T>)? {
                    Some(frame) => frame,
                    None => return Ok(Pause::Data),
                },
            };
            let step =
                take(frame, transcoder, session, assembler, snapshots.as_mut(), &context, current)?;
            self.pending = matches!(step, Step::Full | Step::Need(_)).then(|| frame.to_vec());
            match step {
                Step::Boundary if assembler.is_crowded() => {
                    info!("the stream has announced more tables than are kept; it begins anew");
                    return Err(Error::Crowded);
                }
                Step::Boundary => {
                    self.snapshots.iter_mut().for_each(Snapshotting::on_xact);
                }
                Step::Continue => {}
                Step::Full => {
                    if let Some(pause) = self.hand_over()? {
                        return Ok(pause);
                    }
                }
                Step::Need(need) => return Ok(Pause::Answer(need)),
            }
        }
    }

    /// Seals the batch and hands it to the writer, or says what that has to wait for.
    fn hand_over(&mut self) -> Result<Option<Pause>, Error> {
        if !self.around.writer.is_idle() {
            return Ok(Some(Pause::Room));
        }
        if !self.is_timeline_known() {
            return Ok(Some(Pause::Timeline));
        }
        let Some(spare) = self.spare.take() else { return Ok(Some(Pause::Room)) };
        self.assembler.seal(&mut self.current, self.session.keepalive());
        self.commit_current(spare)?;
        Ok(None)
    }

    /// Hands over what is complete, where the open transaction may have to wait for long.
    fn hand_over_complete(&mut self) -> Result<(), Error> {
        while let Some(done) = self.around.writer.try_done()? {
            self.on_done(done)?;
        }
        if !self.around.writer.is_idle() {
            return Ok(());
        }
        let Some(mut spare) = self.spare.take() else { return Ok(()) };
        if self.assembler.seal_apart(&mut self.current, &mut spare) {
            return self.commit_current(spare);
        }
        self.spare = Some(spare);
        Ok(())
    }

    /// Gives the writer the current batch, which is sealed; the other one takes its place.
    fn commit_current(&mut self, next: Box<Batch>) -> Result<(), Error> {
        let mut batch = std::mem::replace(&mut self.current, next);
        self.carry_progress(&mut batch);
        self.committing = Received {
            oldest_commit_us: batch.oldest_commit_us,
            committing_since: Some(clock::now()),
        };
        self.tell_skipped();
        Ok(self.around.writer.commit(batch)?)
    }

    /// Says what made no record.
    fn tell_skipped(&mut self) {
        for ((owner, skip), count) in self.assembler.take_skipped() {
            let relation = self.assembler.relation_of(owner);
            self.around.telemetry.on_skipped(relation, skip, count);
        }
        for (owner, omission) in self.assembler.take_omitted() {
            let relation = self.assembler.relation_of(owner);
            self.around.telemetry.on_omitted(relation, &omission);
        }
    }

    /// Whether an idle slot should be advanced by a checkpoint-only transaction: at most one per
    /// interval, but at once when the server waits for it (I1).
    fn is_idle_due(&self) -> bool {
        self.is_ahead()
            && (self.session.wanted_since().is_some()
                || self.checkpoint_at + self.around.checkpoint_interval <= clock::now())
    }

    /// Whether there is something to confirm that no checkpoint covers yet.
    fn is_ahead(&self) -> bool {
        self.session.confirmed() < self.assembler.complete_end().max(self.session.keepalive())
            && self.assembler.is_at_boundary()
            && self.around.writer.is_idle()
    }

    fn on_done(&mut self, done: Done<S::Error>) -> Result<(), Error> {
        match done {
            Done::Committed(mut batch, took, receipt) => {
                let now = clock::now();
                if let Some(checkpoint) = &batch.checkpoint {
                    self.session.confirm(now, checkpoint.confirm);
                }
                self.checkpoint_at = now;
                self.committing = Received::default();
                self.forget_refused();
                self.on_parked_committed(&mut batch.parked);
                self.on_progress_committed(&batch.progress, now);
                self.around.telemetry.on_committed(&batch, took, now, clock::wall_us());
                self.around.telemetry.on_receipt(receipt);
                batch.clear();
                self.spare = Some(batch);
                Ok(())
            }
            Done::Failed { error, is_txn } => {
                if is_txn {
                    self.around.telemetry.on_txn_failed();
                }
                Err(sink::<S>(error))
            }
            _ => Ok(()),
        }
    }

    async fn send_due_status(&mut self) -> Result<(), Error> {
        send_due_status(&mut self.transport, &mut self.session).await.map_err(source::<T>)
    }

    /// Brings metrics and status up to date, once a second.
    async fn tick(&mut self, pause: &Pause) -> Result<(), Error> {
        let now = clock::now();
        if now < self.next_tick {
            return Ok(());
        }
        self.next_tick = now + TICK;
        // In a transaction nothing can be confirmed, and a server that stops would not wait for it.
        if self.assembler.is_at_boundary() {
            make_way(&self.session)?;
        }
        let silence = self.session.silence();
        // A silent walsender may be decoding a large transaction of which it sends nothing, and would
        // have to begin again.
        if self.session.is_lost() && !self.ping(ANSWER_LIMIT).await? {
            return Err(Error::Silent { silence });
        }
        if self.ticks.is_multiple_of(TICKS_PER_SLOT) {
            self.observe_slot().await?;
        } else if matches!(pause, Pause::Room) {
            // No frame is taken that would tell of a server that stops, and it would wait for us.
            self.ping(SLOT_LIMIT).await?;
        }
        self.ticks = self.ticks.wrapping_add(1);
        if self.next_survey <= now {
            self.survey().await?;
        }
        self.amend().await?;
        self.tell_snapshots(now);
        self.server_end = self.server_end.max(self.session.received());
        self.around.telemetry.on_progress(&Progress {
            received: self.session.received(),
            confirmed: self.session.confirmed(),
            server_end: self.server_end,
            waiting: self.waiting(),
            silence,
            now,
            wall_us: clock::wall_us(),
        });
        Ok(())
    }

    /// What was received and is not in Kafka.
    fn waiting(&self) -> Received {
        let Received { oldest_commit_us, committing_since } = self.committing;
        let oldest_commit_us = oldest_commit_us.or(self.current.oldest_commit_us);
        Received { oldest_commit_us, committing_since }
    }

    fn note_waiting(&mut self) {
        let waiting = self.waiting();
        self.around.telemetry.on_waiting(waiting);
    }

    /// Waits for data (if there is room), a batch, the next status or checkpoint, or the stop.
    async fn wait(&mut self, pause: &Pause) -> Result<(), Error> {
        let mut deadline = self.session.deadline().min(self.next_tick);
        if let Some(snapshots) = &self.snapshots {
            deadline = deadline.min(snapshots.deadline());
        }
        if self.is_ahead() {
            deadline = deadline.min(self.checkpoint_at + self.around.checkpoint_interval);
        }
        let is_busy = !self.around.writer.is_idle();
        let reads = matches!(pause, Pause::Data);
        let is_reading = self.snapshots.as_ref().is_some_and(Snapshotting::is_reading);
        if reads && is_busy && !is_reading && self.last_fill < COALESCE_BYTES {
            // A timer would come later, by up to a millisecond; what else this thread serves can wait,
            // but for chunks that come.
            std::thread::sleep(self.transport.nap());
        }
        let since = clock::now();
        let is_asking = self.returning.as_ref().is_some_and(Returning::is_asked)
            || self.replaying.as_ref().is_some_and(Replaying::is_asked);
        tokio::select! {
            biased;
            done = self.around.writer.done(), if is_busy => self.on_done(done?)?,
            asked = self.around.orders.next() => self.on_order(asked).await?,
            answer = self.around.parker.returner.answer(), if is_asking => match answer {
                (true, answer) => self.on_letters_read(answer),
                (false, answer) => self.on_parked_read(answer),
            },
            filled = self.transport.fill(), if reads => {
                self.last_fill = filled.map_err(source::<T>)?;
                self.session.on_heard();
                return Ok(());
            }
            answer = snapshots::answer(&mut self.snapshots, self.around.catalog) => self.on_answer(answer).await?,
            () = self.around.stop.wait() => {}
            () = sleep_until(deadline.into()) => {}
        }
        if reads {
            self.session.on_listened(clock::now().saturating_duration_since(since));
        }
        Ok(())
    }

    /// Commits what is complete, confirms it and closes: the way out of a stop.
    async fn finish(mut self) -> Result<(), Error> {
        self.around.telemetry.enter(Phase::Stopping);
        self.commit_complete().await?;
        self.transport.close().await;
        Ok(())
    }

    /// Commits what is complete and confirms it, if Kafka answers in time.
    async fn commit_complete(&mut self) -> Result<(), Error> {
        let limit = tokio::time::Instant::now() + STOP_LIMIT;
        self.settle(limit).await?;
        // What a checkpoint covers already came again, and is no progress.
        let is_ahead = self.session.confirmed() < self.assembler.complete_end();
        if is_ahead {
            self.follow_timeline().await?;
        }
        if is_ahead && self.assembler.seal_complete(&mut self.current) {
            let mut batch = std::mem::take(&mut self.current);
            self.carry_progress(&mut batch);
            self.tell_skipped();
            self.around.writer.commit(batch)?;
            self.settle(limit).await?;
        }
        let status = self.session.status(clock::now());
        // A server that has failed has hung up; the next start tells it what is in Kafka.
        if let Err(error) = send_status(&mut self.transport, status).await {
            debug!(%error, "the last status did not go out");
        }
        Ok(())
    }

    /// Waits until the writer is idle, or until `limit`.
    async fn settle(&mut self, limit: tokio::time::Instant) -> Result<(), Error> {
        while !self.around.writer.is_idle() {
            tokio::select! {
                done = self.around.writer.done() => match done? {
                    // A topic that could not be made, for what is not committed now.
                    Done::Failed { is_txn: false, .. } => {}
                    done => self.on_done(done)?,
                },
                () = sleep_until(limit) => return Err(Error::StopTimeout),
            }
        }
        Ok(())
    }
}

/// Takes one frame: a keep-alive for the session, or a message for the assembler.
fn take(
    frame: &[u8],
    transcoder: &mut Transcoder,
    session: &mut Session,
    assembler: &mut Assembler,
    snapshots: Option<&mut Snapshotting>,
    context: &Context,
    batch: &mut Batch,
) -> Result<Step, Error> {
    match Frame::parse(frame)? {
        Frame::XLogData { start, body, .. } => {
            session.on_data(start);
            let message = transcoder.parse(body)?;
            let step = assembler.on_message(start, &message, context, batch)?;
            if let (Step::Boundary | Step::Continue, Some(snapshots)) = (&step, snapshots) {
                snapshots.machine().on_message(&message, !assembler.is_resuming());
            }
            Ok(step)
        }
        Frame::Keepalive { wal_end, reply_requested, .. } => {
            assembler.on_keepalive(wal_end)?;
            session.on_keepalive(clock::now(), wal_end, reply_requested);
            Ok(Step::Continue)
        }
    }
}
