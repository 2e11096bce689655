//! Snapshots beside the stream: which tables are read, and how their chunks get into batches.

mod entering;
mod keyless;
mod only;
mod pacing;
mod unread;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tracing::{info, warn};

use self::entering::Entering;
use super::super::access::Source;
use super::super::alive::alive;
use super::super::chunks::{Answer, Chunks, Division};
use super::super::pace::Pace;
use super::super::{Error, clock};
use super::Reader;
use super::lagging::Lagging;
use super::orders::Ordered;
use super::teller::Teller;
use crate::batch::Batch;
use crate::checkpoint::{self, Checkpoint, Gap};
use crate::config::{self, Config, Outbox, Selection};
use crate::edges::{Sink, Transport};
use crate::plan;
use crate::position::Lsn;
use crate::postgres::{Catalog, ChunkError, Ranges};
use crate::snapshot::{Chunk, ChunkId, Limits, Progress, Range, Snapshots, State, Unsettled};
use crate::wal::{Relation, RelationId};

/// How often a snapshot is asked what it shows, while something waits for that.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// And while nothing does.
const LOOK_SELDOM: Duration = Duration::from_secs(10);

/// How often the catalog is asked for tables that are new in the publications.
const TABLES_EVERY: Duration = Duration::from_secs(10);

/// Of all time, that may take one part in so many.
const TABLES_SHARE: u32 = 100;

/// So many tables are being read at once.
const TABLES_MAX: usize = 8;

/// After a reading that brought nothing, and after one that was refused.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const REFUSED_AFTER: Duration = Duration::from_secs(30);

/// All records of tables are written anew after so many checkpoints, so that recovery, which reads
/// backwards, finds them.
const REWRITE_AFTER: u32 = 20_000;

/// What the keys that the stream touches may take.
const TOUCHED_BYTES: usize = 16 << 20;

/// The snapshots of one stream.
#[derive(Debug)]
pub(in super::super) struct Snapshotting {
    pub(super) machine: Snapshots,
    pub(super) chunks: Chunks,
    pace: Pace,
    pub(super) slot: String,
    /// Which tables are wanted.
    pub(super) wanted: config::Snapshot,
    /// Tables that the configuration names, until it is known whether they are published.
    named: Vec<String>,
    /// All tables that have a record, as it is in Kafka or will be.
    pub(super) known: BTreeMap<RelationId, Progress>,
    /// Those whose records are not in Kafka as they are here.
    unwritten: Vec<Progress>,
    /// Tables that are to be read, and are not begun with.
    pub(super) new: VecDeque<Relation>,
    /// The table that is being divided.
    pub(super) dividing: Option<Relation>,
    /// Tables of outboxes, which are not read.
    outboxes: Vec<Outbox>,
    /// Which others are captured at all.
    selection: Selection,
    /// Whether tables that are there already are taken as read: the pipeline is older than snapshots.
    skips_present: bool,
    /// Tables of which nothing is read before that, since a reading failed.
    pub(super) resting: BTreeMap<RelationId, Instant>,
    lagging: Lagging,
    /// What topics may lack of tables.
    pub(super) gap: Option<Gap>,
    /// Tables that could not be divided.
    undivided: BTreeSet<RelationId>,
    /// Tables that cannot be read, and why.
    refused: BTreeMap<RelationId, ChunkError>,
    /// Whether it is known what is published.
    has_looked: bool,
    entering: Option<Entering>,
    /// Tables that are read when the batch is in Kafka that is being committed.
    pub(super) completing: Vec<Progress>,
    pub(super) teller: Teller,
    pub(super) ordered: Ordered,
    checkpoints: u32,
    pub(super) next_look: Instant,
    next_tables: Instant,
}

impl Snapshotting {
    /// Goes on with what Kafka knows of tables.
    pub(in super::super) fn new(
        config: &Config,
        is_binary: bool,
        source: Source,
        checkpoint: &Checkpoint,
        progress: Vec<Progress>,
    ) -> Self {
        let readers = config.snapshot.readers;
        let limits = Limits { chunks: readers, touched_bytes: TOUCHED_BYTES };
        let unsettled = checkpoint.snapshots.and_then(|snapshots| snapshots.unsettled);
        let machine = Snapshots::new(limits, unsettled);
        let mut machine = match source {
            Source::Primary => machine,
            Source::Standby | Source::Standbys(_) => machine.on_standbys(streamed(checkpoint)),
        };
        machine.pause_all(checkpoint.snapshots.is_some_and(|snapshots| snapshots.is_paused));
        let rows_max = u32::try_from(config.batch.target_records).unwrap_or(u32::MAX);
        let pace = Pace::new(config.snapshot.pace, rows_max);
        let mut snapshots = Self {
            machine,
            chunks: Chunks::new(config, is_binary, source, pace.chunk_rows()),
            pace,
            named: config.snapshot.names(),
            wanted: config.snapshot.clone(),
            slot: config.replication.slot.clone(),
            known: progress.into_iter().map(|it| (it.relation, it)).collect(),
            unwritten: Vec::new(),
            new: VecDeque::new(),
            dividing: None,
            outboxes: config.outboxes.clone(),
            selection: config.tables.selection.clone(),
            skips_present: checkpoint.snapshots.is_none(),
            resting: BTreeMap::new(),
            lagging: Lagging::default(),
            gap: checkpoint.snapshots.and_then(|snapshots| snapshots.gap),
            undivided: BTreeSet::new(),
            refused: BTreeMap::new(),
            has_looked: false,
            entering: None,
            completing: Vec::new(),
            teller: Teller::default(),
            ordered: Ordered::default(),
            checkpoints: 0,
            next_look: clock::now(),
            next_tables: clock::now(),
        };
        snapshots.go_on(unsettled);
        snapshots
    }

    /// Goes on with tables that were being read.
    fn go_on(&mut self, unsettled: Option<Unsettled>) {
        let tables: Vec<_> = self.known.values().cloned().collect();
        for progress in tables.into_iter().filter(|it| it.state == State::Reading) {
            let (table, rows) = (&progress.table, progress.rows);
            // What was left out of the stream of one without a key is in its rows.
            if self.is_excluded(table) {
                info!(%table, rows, "the table's snapshot is given up: the table is left out now");
                self.settle(progress.relation, progress.table, State::Skipped);
            } else if self.wanted.reads(table) || progress.is_held() || progress.gap.is_some() {
                info!(%table, rows, "going on with the table's snapshot");
                self.machine.begin(progress, unsettled, None);
            } else {
                info!(%table, rows, "the table's snapshot is given up: its mode is \"never\" now");
                self.settle(progress.relation, progress.table, State::Skipped);
            }
        }
    }

    /// Whether `schema.table` is configured as an outbox.
    pub(super) fn is_outbox_itself(&self, table: &str) -> bool {
        let (namespace, name) = table.split_once('.').unwrap_or_default();
        self.outboxes.iter().any(|outbox| outbox.is(namespace, name))
    }

    /// Whether the configuration leaves the table out.
    pub(super) fn is_excluded(&self, table: &str) -> bool {
        let (namespace, name) = table.split_once('.').unwrap_or_default();
        self.selection.excludes(namespace, name)
    }

    pub(super) fn machine(&mut self) -> &mut Snapshots {
        &mut self.machine
    }

    /// A transaction of the stream is complete.
    pub(super) fn on_xact(&mut self) {
        self.pace.on_xact();
    }

    /// When there is something to do, whatever comes.
    pub(super) fn deadline(&self) -> Instant {
        let resting = self.resting.values().copied().chain(self.pace.free_at(clock::now()));
        resting.fold(self.next_look.min(self.next_tables), Instant::min)
    }

    /// Whether chunks are being read.
    pub(super) fn is_reading(&self) -> bool {
        self.chunks.is_reading()
    }

    fn is_known(&self, relation: RelationId) -> bool {
        let mut begun = self.new.iter().chain(&self.dividing);
        self.known.contains_key(&relation) || begun.any(|it| it.id == relation)
    }

    /// Says once which tables that the configuration names are not in the publications.
    fn tell_of_unpublished(&mut self, relations: &[Relation]) {
        for table in std::mem::take(&mut self.named) {
            if !relations.iter().any(|it| table_name(it) == table) {
                warn!(%table, "[snapshot] names a table that is not in the publications");
            }
        }
    }

    /// A record for a table that is not read (any more).
    pub(super) fn settle(&mut self, relation: RelationId, table: String, state: State) {
        let slot = self.slot.clone();
        let progress = self.machine.end(relation).or_else(|| self.known.get(&relation).cloned());
        let progress = progress.unwrap_or_else(|| Progress::new(slot, table, relation));
        let progress = progress.ended(state);
        self.undivided.remove(&relation);
        self.refused.remove(&relation);
        self.unwritten.push(progress.clone());
        self.known.insert(relation, progress);
    }

    /// What a batch that is sealed now has to carry.
    pub(super) fn take_progress(&mut self) -> Vec<Progress> {
        for progress in self.machine.take_progress() {
            if progress.state == State::Done {
                self.completing.push(progress.clone());
            }
            self.unwritten.push(progress.clone());
            self.known.insert(progress.relation, progress);
        }
        self.ordered.on_sealed(&self.unwritten);
        self.checkpoints += 1;
        if REWRITE_AFTER <= self.checkpoints {
            self.checkpoints = 0;
            self.unwritten = self.known.values().cloned().collect();
        }
        std::mem::take(&mut self.unwritten)
    }

    /// What the checkpoint says of it: nothing before the tables are known that are taken as read, or
    /// a restart would read them.
    pub(super) fn note(&self, checkpoint: &mut Checkpoint) {
        if self.skips_present {
            return;
        }
        let tables = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        let (unsettled, is_paused) = (self.machine.unsettled(), self.machine.is_paused());
        let (before, gap) = (checkpoint.snapshots.unwrap_or_default(), self.gap);
        checkpoint.snapshots =
            Some(checkpoint::Snapshots { tables, unsettled, is_paused, gap, ..before });
        checkpoint.update_format();
    }

    /// Whether there is progress that no batch has carried.
    pub(super) fn has_news(&self) -> bool {
        let is_news = self.machine.has_news() || !self.unwritten.is_empty();
        self.entering.is_none() && (is_news || self.ordered.has_news())
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Whether a batch is due for the progress of tables alone.
    pub(super) fn has_news(&self) -> bool {
        self.around.writer.is_idle() && self.snapshots.as_ref().is_some_and(Snapshotting::has_news)
    }

    /// What is committed with a batch that is sealed.
    pub(super) fn carry_progress(&mut self, batch: &mut Batch) {
        let Some(snapshots) = &mut self.snapshots else { return };
        batch.progress = snapshots.take_progress();
        if let Some(checkpoint) = &mut batch.checkpoint {
            snapshots.note(checkpoint);
        }
    }

    /// What is to be done beside the stream, as soon as that has a moment.
    pub(super) async fn tend_snapshots(&mut self) -> Result<(), Error> {
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let now = clock::now();
        snapshots.resting.retain(|_, until| now < *until);
        if snapshots.next_tables <= now {
            self.look_for_tables().await?;
        }
        self.look_what_shows().await?;
        self.end_if_read()?;
        if !self.may_read() {
            return Ok(());
        }
        self.divide_next().await?;
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let now = clock::now();
        let Snapshotting { machine, chunks, resting, pace, known, wanted, .. } = snapshots;
        let table = |relation| known.get(&relation).map_or("", |known| known.table.as_str());
        let place =
            |relation| (!resting.contains_key(&relation)).then(|| wanted.place(table(relation)));
        while chunks.has_room()
            && !(pace.is_busy() && 0 < machine.out_len())
            && pace.free_at(now).is_none()
            && let Some(mut request) = machine.next_request(place)
        {
            let rows = pace.on_asked(now);
            if known.get(&request.relation).is_none_or(|known| known.gap.is_none()) {
                let own = wanted.condition(table(request.relation)).map(str::to_owned);
                request.condition = request.condition.or(own);
            }
            chunks.read(request, rows);
        }
        Ok(())
    }

    /// Begins with one more table, if not too many are being read: each has keys that are kept.
    async fn divide_next(&mut self) -> Result<(), Error> {
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let next = snapshots.new.iter().position(|it| !snapshots.resting.contains_key(&it.id));
        let is_ordered = next.and_then(|at| snapshots.new.get(at));
        let is_ordered = is_ordered.is_some_and(|it| snapshots.ordered.has(it.id));
        let is_turn = snapshots.dividing.is_none()
            && !snapshots.machine.is_paused()
            && (is_ordered || snapshots.machine.tables() < TABLES_MAX)
            && snapshots.chunks.has_room();
        let next = next.filter(|_| is_turn).and_then(|at| snapshots.new.remove(at));
        let Some(relation) = next else { return Ok(()) };
        let catalog = &mut *self.around.catalog;
        let describe = async {
            let facts = catalog.describe(&relation).await?;
            // A standby must have the table, too.
            Ok::<_, Error>((facts, catalog.visibility().await?))
        };
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        let (facts, shows) =
            alive(&mut self.transport, &mut self.session, stop, nothing, describe).await??;
        let key = plan::key_names(&relation, &facts);
        let table = table_name(&relation);
        if let Some(snapshots) = &mut self.snapshots
            && snapshots.is_outbox(&table, &facts)
        {
            snapshots.ordered.refuse(relation.id, &"its rows are events of an outbox");
            snapshots.settle(relation.id, table, State::Skipped);
            return Ok(());
        }
        if key.is_empty() {
            return self.begin_keyless(&relation).await.map(drop);
        }
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let ordered = snapshots.ordered.condition(relation.id);
        let condition = ordered.or_else(|| snapshots.wanted.condition(&table).map(str::to_owned));
        let (id, replayed) = (relation.id, snapshots.lagging.wanted(relation.id, shows.logged));
        snapshots.chunks.divide(Division { relation: id, key, condition, replayed });
        snapshots.dividing = Some(relation);
        Ok(())
    }

    /// Takes what a reader brought.
    pub(super) async fn on_answer(&mut self, answer: Answer) -> Result<(), Error> {
        self.count(&answer);
        match answer {
            Answer::Chunk(_, _, Err(error))
            | Answer::Keys(_, Err(error))
            | Answer::Ranges(_, _, Err(error))
                if self.snapshots.as_ref().is_some_and(|it| it.chunks.is_promotion(&error)) =>
            {
                info!(%error, "the standby that has the slot was promoted; the stream begins anew");
                Err(Error::Crowded)
            }
            Answer::Chunk(id, relation, Ok(chunk)) => {
                self.on_chunk(id, relation, chunk);
                Ok(())
            }
            Answer::Chunk(id, relation, Err(error)) => {
                self.on_unread(relation, Some(id), error);
                Ok(())
            }
            Answer::Keys(relation, keys) => self.on_keys(relation, keys).await,
            Answer::Ranges(relation, key, Ok(ranges)) => self.begin(relation, key, ranges).await,
            Answer::Ranges(relation, _, Err(error)) => {
                self.on_unread(relation, None, error);
                Ok(())
            }
        }
    }

    fn on_chunk(&mut self, id: ChunkId, relation: RelationId, chunk: Chunk) {
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.lagging.end();
            snapshots.teller.on_read(relation);
            snapshots.refused.remove(&relation);
            snapshots.machine.on_chunk(id, chunk);
        }
    }

    /// A table is divided and may be read, once what ran before is over: what that wrote before the
    /// table was published, or the slot was there, is not in the stream.
    async fn begin(
        &mut self,
        relation: RelationId,
        key: Vec<String>,
        ranges: Ranges,
    ) -> Result<(), Error> {
        let shows = self.around.catalog.visibility();
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        let shows = alive(&mut self.transport, &mut self.session, stop, nothing, shows).await??;
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let Some(shape) = snapshots.dividing.take_if(|it| it.id == relation) else {
            return Ok(());
        };
        snapshots.undivided.remove(&relation);
        snapshots.refused.remove(&relation);
        let table = table_name(&shape);
        info!(%table, rows = ranges.rows, ranges = ranges.splits.len() + 1, "the table's snapshot begins");
        let unsettled = Some(Unsettled::all_before(shows.next, Lsn(u64::MAX)));
        let estimated = ranges.rows;
        let bounds: Vec<_> = ranges.splits.into_iter().map(|key| key.0).collect();
        let after = std::iter::once(None).chain(bounds.iter().cloned().map(Some));
        let to = bounds.iter().cloned().map(Some).chain([None]);
        let ranges = after.zip(to).map(|(after, to)| Range { after, to }).collect();
        let progress = Progress {
            key,
            ranges,
            unsettled,
            state: State::Reading,
            rows_estimated: Some(estimated),
            condition: snapshots.ordered.begun(relation, estimated),
            ..Progress::new(snapshots.slot.clone(), table, relation)
        };
        snapshots.known.insert(relation, progress.clone());
        snapshots.machine.begin(progress, None, self.assembler.relation(relation));
        snapshots.next_look = clock::now();
        Ok(())
    }

    /// Notes tables that are new in the publications.
    async fn look_for_tables(&mut self) -> Result<(), Error> {
        let since = clock::now();
        let relations = self.published().await?;
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let now = clock::now();
        let next = now + TABLES_EVERY.max((now - since) * TABLES_SHARE);
        snapshots.next_tables = snapshots.resting.values().copied().fold(next, Instant::min);
        snapshots.has_looked = true;
        snapshots.undivided.retain(|id| relations.iter().any(|it| it.id == *id));
        snapshots.tell_of_unpublished(&relations);
        for relation in relations {
            if snapshots.is_known(relation.id) || snapshots.resting.contains_key(&relation.id) {
                continue;
            }
            let table = table_name(&relation);
            let is_outbox = snapshots.is_outbox_itself(&table);
            // It has no record, so when it is no longer left out it is new.
            if !is_outbox && snapshots.is_excluded(&table) {
                continue;
            }
            let is_left_out = is_outbox || !snapshots.wanted.reads(&table);
            if snapshots.skips_present || is_left_out {
                snapshots.settle(relation.id, table, State::Skipped);
            } else {
                snapshots.new.push_back(relation);
            }
        }
        let Snapshotting { wanted, ordered, new, .. } = &mut *snapshots;
        let place = |it: &Relation| (!ordered.has(it.id), wanted.place(&table_name(it)));
        new.make_contiguous().sort_by_key(place);
        if std::mem::take(&mut snapshots.skips_present) {
            info!(
                tables = snapshots.known.len(),
                "no snapshot was ever taken of the tables that are there; they count as read"
            );
        }
        Ok(())
    }

    /// Asks what a snapshot shows, of what was streamed.
    async fn look_what_shows(&mut self) -> Result<(), Error> {
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let now = clock::now();
        if now < snapshots.next_look {
            return Ok(());
        }
        let is_awaited = snapshots.machine.is_waiting();
        snapshots.next_look = now + if is_awaited { LOOK_EVERY } else { LOOK_SELDOM };
        if snapshots.machine.unsettled().is_none() && !is_awaited {
            return Ok(());
        }
        let shows = self.around.catalog.visibility();
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        let shows = alive(&mut self.transport, &mut self.session, stop, nothing, shows).await??;
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.machine.on_visibility(&shows.visibility, shows.logged);
        }
        Ok(())
    }
}

/// `schema.table`.
pub(super) fn table_name(relation: &Relation) -> String {
    format!("{}.{}", relation.namespace, relation.name)
}

/// What shows all that the checkpoint covers has replayed so much.
fn streamed(checkpoint: &Checkpoint) -> Lsn {
    let Lsn(last) = checkpoint.position.commit_lsn;
    checkpoint.confirm.max(Lsn(last.saturating_add(1)))
}

/// What the readers of chunks bring; nothing where there are none.
pub(super) async fn answer(snapshots: &mut Option<Snapshotting>, catalog: &Catalog) -> Answer {
    match snapshots {
        Some(snapshots) => snapshots.chunks.answer(catalog).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
