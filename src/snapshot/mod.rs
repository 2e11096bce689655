//! Snapshots: rows that were there before, read in chunks beside the stream, each once and never over
//! something newer.
//!
//! ```text
//!             Request                       Chunk                      rows
//! machine ───────────────▶ chunk reader ───────────────▶ machine ───────────────▶ assembler
//!    ▲                     one snapshot,                waits until the stream has all that
//!    └─ every message      no write                     the snapshot shows, then drops what the
//!       of the stream                                   stream has overtaken
//! ```
//!
//! Why each key's last record is right: `docs/snapshots.md`. Pure: who reads, waits and commits is
//! `pipeline`. A reading that is not to be used is asked for anew; nothing is lost but time.

mod chunk;
mod held;
mod key;
mod progress;
mod source;
mod table;
mod touched;
mod visibility;

use std::collections::BTreeMap;

pub use self::chunk::{Chunk, ChunkId, Entry, Part, Range, Request};
pub use self::key::Bound;
pub use self::progress::{Error, FORMAT, FORMAT_WITH_GAP, Progress, State};
use self::source::Source;
use self::table::{Table, Turn, behind};
pub use self::visibility::{Streamed, Unsettled, Verdict, Visibility};
use crate::position::Lsn;
use crate::wal::{Message, OldTuple, Relation, RelationId, Tuple};

/// Bounds of what is kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many chunks are being read, or wait.
    pub chunks: usize,
    /// What the keys that the stream touches take, of all tables.
    pub touched_bytes: usize,
}

/// All tables that are being read.
#[derive(Debug)]
pub struct Snapshots {
    limits: Limits,
    tables: BTreeMap<RelationId, Table>,
    /// Whether nothing is read.
    is_paused: bool,
    /// The open transaction.
    xact: Option<Streamed>,
    /// Of what was streamed, what a snapshot of the stream's server may not show.
    unsettled: Option<Unsettled>,
    /// Where chunks are read on standbys: what shows all that was streamed has replayed so much.
    streamed: Option<Lsn>,
    /// Counts what happens.
    now: u64,
    /// A snapshot, and when it was known: what all that is asked for later shows, too.
    floor: Option<(u64, Visibility)>,
    /// The first LSN at which a chunk may enter.
    next_end: Option<Lsn>,
}

impl Snapshots {
    /// No table is read; of what was streamed before, `unsettled` may not show.
    #[must_use]
    pub fn new(limits: Limits, unsettled: Option<Unsettled>) -> Self {
        Self {
            limits,
            tables: BTreeMap::new(),
            is_paused: false,
            xact: None,
            unsettled,
            streamed: None,
            now: 0,
            floor: None,
            next_end: None,
        }
    }

    /// The same where chunks are read on standbys; all that was streamed before ends at or before
    /// `streamed`.
    #[must_use]
    pub fn on_standbys(self, streamed: Lsn) -> Self {
        Self { streamed: Some(streamed), ..self }
    }

    /// Goes on with a table. Of what was streamed, or should have been, `unsettled` may not show; the
    /// stream has announced `relation`, if it has.
    pub fn begin(
        &mut self,
        progress: Progress,
        unsettled: Option<Unsettled>,
        relation: Option<&Relation>,
    ) {
        let source = self.streamed.map_or(Source::Primary, |_| Source::Standby(None));
        // On standbys it is the log's end that tells of what was streamed.
        let unsettled = unsettled.filter(|_| source == Source::Primary);
        self.tables.insert(progress.relation, Table::new(progress, source, unsettled, relation));
    }

    /// Whether keys of the table are being repaired.
    #[must_use]
    pub fn is_repaired(&self, relation: RelationId) -> bool {
        self.tables.get(&relation).is_some_and(|table| table.progress.gap.is_some())
    }

    /// More keys of a table that is being repaired; how far it is.
    pub fn repair(
        &mut self,
        relation: RelationId,
        gap: String,
        keys: Vec<Box<[u8]>>,
    ) -> Option<&Progress> {
        let table = self.tables.get_mut(&relation)?;
        table.repair(gap, keys);
        Some(&table.progress)
    }

    /// A table is not read any more; how far it was.
    pub fn end(&mut self, relation: RelationId) -> Option<Progress> {
        let ended = self.tables.remove(&relation);
        self.note_next_end();
        ended.map(|table| table.progress)
    }

    /// No more of a table is read, or it is again; of what is being read, what enters does. `None` if
    /// that is none.
    pub fn pause(&mut self, relation: RelationId, is_paused: bool) -> Option<&Progress> {
        let table = self.tables.get_mut(&relation)?;
        table.pause(is_paused);
        Some(&table.progress)
    }

    /// The same for all tables, those to come too; who goes on with all goes on with each.
    pub fn pause_all(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
        if !is_paused {
            self.tables.values_mut().for_each(|table| table.pause(false));
        }
    }

    /// Whether nothing is read of any table.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// What is to be read now, if something is, of tables that have a `place`: those of the first one
    /// first.
    pub fn next_request(&mut self, place: impl Fn(RelationId) -> Option<usize>) -> Option<Request> {
        if self.is_paused || self.limits.chunks <= self.out_len() {
            return None;
        }
        self.now += 1;
        let (id, now) = (ChunkId(self.now), self.now);
        let tables = self.tables.iter_mut();
        let mut tables: Vec<_> =
            tables.filter_map(|(id, table)| Some((place(*id)?, *id, table))).collect();
        tables.sort_by_key(|(place, ..)| *place);
        tables.into_iter().find_map(|(_, relation, table)| {
            let part = table.next(id, now)?;
            let Progress { key, condition, .. } = &table.progress;
            let (key, condition) = (key.clone(), condition.clone());
            let replayed = table.replayed();
            Some(Request { id, relation, key, part, condition, replayed })
        })
    }

    /// How many chunks were asked for and have not entered.
    #[must_use]
    pub fn out_len(&self) -> usize {
        self.tables.values().map(Table::out_len).sum()
    }

    /// What a request brought.
    pub fn on_chunk(&mut self, id: ChunkId, chunk: Chunk) {
        match (&chunk.visibility, self.streamed) {
            (Visibility::Listed { .. }, None) => self.on_visibility(&chunk.visibility, Lsn::ZERO),
            (Visibility::Replayed { .. }, Some(_)) => self.note_floor(&chunk.visibility),
            // Of a server in another role, which says nothing here.
            _ => return self.on_failed(id),
        }
        if let Some(table) = self.tables.values_mut().find(|table| table.awaits(id)) {
            table.on_chunk(id, chunk);
        }
        self.note_next_end();
    }

    fn note_next_end(&mut self) {
        self.next_end = self.tables.values().filter_map(Table::next_end).min();
    }

    /// A request brought nothing; it is made again.
    pub fn on_failed(&mut self, id: ChunkId) {
        self.tables.values_mut().for_each(|table| table.on_failed(id));
    }

    /// What a snapshot of the stream's server shows that was taken just now, or a moment ago; all that
    /// it shows was logged before `logged`.
    pub fn on_visibility(&mut self, visibility: &Visibility, logged: Lsn) {
        self.unsettled = self.unsettled.and_then(|it| it.settle(visibility));
        let logged = self.streamed.map_or(logged, |streamed| streamed.max(logged));
        self.tables.values_mut().for_each(|table| table.on_visibility(visibility, logged));
        if self.streamed.is_none() {
            self.note_floor(visibility);
        }
    }

    /// What is asked for from now on shows what this shows.
    fn note_floor(&mut self, visibility: &Visibility) {
        self.now += 1;
        let asked_since = self.tables.values().filter_map(Table::asked_since).min();
        if let Some((known, floor)) = &self.floor
            && asked_since.is_none_or(|since| *known <= since)
        {
            self.tables.values_mut().for_each(|table| table.forget_seen(floor));
            self.floor = None;
        }
        self.floor.get_or_insert_with(|| (self.now, visibility.clone()));
    }

    /// A message of the stream, once, when the assembler has taken it. What is in Kafka already, since
    /// the slot sends it again, is not new; whether it shows was noted with it.
    pub fn on_message(&mut self, message: &Message<'_>, is_new: bool) {
        match message {
            Message::Begin { final_lsn, xid, .. } => {
                let xact = Streamed { xid: *xid, commit_lsn: *final_lsn };
                self.xact = Some(xact);
                self.unsettled = Some(Unsettled::with(self.unsettled, xact));
                self.streamed = self.streamed.map(|streamed| streamed.max(behind(*final_lsn)));
            }
            Message::Commit { .. } => {
                self.xact = None;
                if self.limits.touched_bytes < self.touched_bytes() {
                    let ids: Vec<_> = self.tables.keys().copied().collect();
                    ids.into_iter().for_each(|id| self.forget(id));
                }
            }
            _ if self.tables.is_empty() => {}
            Message::Relation(body) => self.on_relation(&body.to_owned()),
            _ if !is_new => {}
            Message::Delete { relation, old } => self.on_row(*relation, None, Some(*old)),
            Message::Insert { relation, new } => self.on_row(*relation, Some(*new), None),
            Message::Truncate { relations, .. } => {
                relations.iter().for_each(|relation| self.on_truncate(relation));
            }
            Message::Update { relation, old, new } => {
                if old.is_none() {
                    self.on_unclear(*relation);
                }
                self.on_row(*relation, Some(*new), *old);
            }
            Message::Message { .. } | Message::Origin { .. } | Message::Type { .. } => {}
        }
    }

    fn on_relation(&mut self, relation: &Relation) {
        self.now += 1;
        let committed = self.xact.map_or(Lsn::ZERO, |xact| behind(xact.commit_lsn));
        if let Some(table) = self.tables.get_mut(&relation.id) {
            table.on_relation(relation, self.now, committed);
        }
    }

    fn on_row(&mut self, relation: RelationId, new: Option<Tuple<'_>>, old: Option<OldTuple<'_>>) {
        let (Some(by), Some(table)) = (self.xact, self.tables.get_mut(&relation)) else { return };
        if table.on_row(new, old, by).is_none() {
            self.forget(relation);
        }
    }

    /// What was updated only the row's key says.
    fn on_unclear(&mut self, relation: RelationId) {
        if let (Some(by), Some(table)) = (self.xact, self.tables.get_mut(&relation)) {
            table.on_unclear(by);
        }
    }

    fn on_truncate(&mut self, relation: RelationId) {
        if let (Some(by), Some(table)) = (self.xact, self.tables.get_mut(&relation)) {
            table.on_truncate(by);
        }
    }

    /// What was noted of a table is of no use any more.
    fn forget(&mut self, relation: RelationId) {
        let (unsettled, streamed) = (self.unsettled, self.streamed.unwrap_or_default());
        if let Some(table) = self.tables.get_mut(&relation) {
            table.forget(unsettled, streamed);
        }
        self.note_next_end();
    }

    /// Whether a chunk enters where everything that commits at or before `streamed` was streamed.
    #[must_use]
    pub fn is_due(&self, streamed: Lsn) -> bool {
        self.next_end.is_some_and(|end| end <= streamed)
    }

    /// The first LSN up to which the stream has to come.
    #[must_use]
    pub fn next_end(&self) -> Option<Lsn> {
        self.next_end
    }

    /// How many rows, and how many bytes, the chunk that enters next has at most.
    #[must_use]
    pub fn next_size(&self, streamed: Lsn) -> Option<(u64, usize)> {
        self.tables.values().filter_map(|table| table.next_size(streamed)).reduce(larger)
    }

    /// A chunk that enters now, between two transactions, without the rows that the stream has
    /// overtaken. [`on_entered`](Self::on_entered) says that it has, before anything else is said.
    pub fn next_entry(&mut self, streamed: Lsn) -> Option<Entry> {
        debug_assert!(self.xact.is_none(), "a chunk enters between transactions");
        let mut entry = None;
        for table in self.tables.values_mut() {
            while entry.is_none()
                && let Some(turn) = table.turn(streamed)
            {
                if let Turn::Enters(due) = turn {
                    entry = Some(*due);
                }
            }
        }
        self.note_next_end();
        entry
    }

    /// The rows of the chunk are in the batch, whole.
    pub fn on_entered(&mut self, relation: RelationId) {
        if let Some(table) = self.tables.get_mut(&relation) {
            table.on_entered();
        }
    }

    /// Whether there is progress that is to be committed.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.tables.values().any(|table| table.is_news)
    }

    /// The progress that is news since the last call: it is committed with what has entered, and with
    /// what the stream brought.
    pub fn take_progress(&mut self) -> Vec<Progress> {
        let news = self.tables.values_mut().filter(|table| table.is_news);
        let taken = news.map(Table::take_progress).collect();
        self.tables.retain(|_, table| !table.is_done());
        taken
    }

    /// What a checkpoint must know: of what was streamed, what a snapshot may not show.
    #[must_use]
    pub fn unsettled(&self) -> Option<Unsettled> {
        self.unsettled
    }

    /// How far the tables are that are being read, and whether transactions must show, or end, before
    /// more of each is.
    pub fn progress(&self) -> impl Iterator<Item = (&Progress, bool)> {
        self.tables.values().map(|table| (&table.progress, table.is_waiting()))
    }

    /// How many tables are being read whose keys are kept; those that are paused hold up no others.
    #[must_use]
    pub fn tables(&self) -> usize {
        let is_one = |table: &&Table| !table.progress.is_paused && !table.is_keyless();
        self.tables.values().filter(is_one).count()
    }

    /// The tables whose changes the stream leaves out: they have no key, and their rows, which have not
    /// entered yet, have them.
    pub fn held(&self) -> impl Iterator<Item = RelationId> {
        self.tables.iter().filter(|(_, table)| table.is_held()).map(|(relation, _)| *relation)
    }

    /// Whether something is being read.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.tables.is_empty()
    }

    /// Whether transactions must show, or end, before more is read.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.tables.values().any(Table::is_waiting)
    }

    fn touched_bytes(&self) -> usize {
        self.tables.values().map(Table::touched_bytes).sum()
    }
}

fn larger((rows, bytes): (u64, usize), other: (u64, usize)) -> (u64, usize) {
    (rows.max(other.0), bytes.max(other.1))
}

#[cfg(test)]
mod tests;
