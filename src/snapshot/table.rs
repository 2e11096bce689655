//! One table that is being read.

use std::collections::BTreeSet;

use super::chunk::{Chunk, ChunkId, Entry, Part, Range};
use super::held::Held;
use super::key::{self, Bound};
use super::larger;
use super::progress::{Progress, State};
use super::source::Source;
use super::touched::{Fate, Touched};
use super::visibility::{Streamed, Unsettled, Verdict, Visibility};
use crate::position::Lsn;
use crate::wal::{Column, OldTuple, Relation, Tuple, Tuples};

/// As many keys are read again at once.
const KEYS_MAX: usize = 500;

/// As many wait until all ranges are read; more come first, since the progress has them all.
const AGAIN_MAX: usize = 2_000;

/// A table of which not all rows have entered yet.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) progress: Progress,
    /// What was asked for and has not entered.
    out: Vec<Out>,
    touched: Touched,
    /// What the stream leaves out, of a table without a key.
    held: Held,
    source: Source,
    /// On a primary, what was streamed before its keys were noted here, and may not show yet; on
    /// standbys, what may not have ended when the table was begun with.
    unsettled: Option<Unsettled>,
    shape: Option<Shape>,
    /// What enters now.
    entering: Option<Entering>,
    /// Whether the progress is another than that in the last batch.
    pub(super) is_news: bool,
    /// Room for a key.
    scratch: Vec<u8>,
}

/// The table's shape, as the stream or a chunk had it last.
#[derive(Debug)]
struct Shape {
    relation: Relation,
    /// Where the key columns are.
    places: Vec<usize>,
    /// Since when.
    since: u64,
    /// A standby has this shape, or a later one, when it has replayed so much.
    replayed: Lsn,
}

/// A chunk on its way in.
#[derive(Debug)]
struct Entering {
    part: Part,
    last: Option<Bound>,
    /// How many rows it has.
    rows: u64,
    /// Which keys are read now.
    read: Vec<Box<[u8]>>,
    /// Which keys are to be read again.
    again: BTreeSet<Box<[u8]>>,
}

/// What is left of a chunk.
#[derive(Debug, Default)]
struct Sifted {
    /// How many rows.
    rows: u64,
    /// Of the keys that were to be read again, those that need not be any more.
    read: Vec<Box<[u8]>>,
    /// Keys that are to be read again.
    again: BTreeSet<Box<[u8]>>,
}

/// What was asked for.
#[derive(Debug)]
struct Out {
    id: ChunkId,
    part: Part,
    /// When it was asked for.
    since: u64,
    answer: Answer,
}

#[derive(Debug)]
enum Answer {
    /// It is being read.
    Awaited,
    /// It will be of no use.
    Void,
    /// It is there, and enters when the stream has come as far.
    Waits(Chunk),
}

/// What comes of a chunk at its turn.
#[derive(Debug)]
pub(super) enum Turn {
    /// Its rows, without those that the stream has overtaken.
    Enters(Box<Entry>),
    /// It is read again.
    Again,
}

impl Table {
    /// `unsettled` may have been streamed before; the stream has announced `relation`, if it has.
    pub(super) fn new(
        progress: Progress,
        source: Source,
        unsettled: Option<Unsettled>,
        relation: Option<&Relation>,
    ) -> Self {
        let unsettled = Unsettled::joined(progress.unsettled, unsettled);
        let mut table = Self {
            progress,
            out: Vec::new(),
            touched: Touched::default(),
            held: Held::default(),
            source,
            unsettled,
            shape: None,
            entering: None,
            is_news: true,
            scratch: Vec::new(),
        };
        if let Some(relation) = relation {
            table.on_relation(relation, 0, Lsn::ZERO);
        }
        table
    }

    /// What is to be read next, if it may be.
    pub(super) fn next(&mut self, id: ChunkId, now: u64) -> Option<Part> {
        if self.is_waiting() || self.progress.is_paused {
            return None;
        }
        // A range may have the row of a key that is to be read again, which then is read once.
        let is_turn = self.progress.ranges.is_empty() || AGAIN_MAX <= self.progress.again.len();
        let keys = is_turn.then(|| self.next_keys()).flatten();
        let part = keys.or_else(|| self.next_range())?;
        self.out.push(Out { id, part: part.clone(), since: now, answer: Answer::Awaited });
        Some(part)
    }

    /// What a standby must have replayed before it is read there.
    pub(super) fn replayed(&self) -> Lsn {
        self.source.replayed()
    }

    fn next_keys(&self) -> Option<Part> {
        let out = self.out.iter().filter_map(|out| match &out.part {
            Part::Keys(keys) => Some(keys),
            Part::Range(_) => None,
        });
        let out: BTreeSet<_> = out.flatten().collect();
        let keys = self.progress.again.iter().filter(|key| !out.contains(key));
        let keys: Vec<_> = keys.take(KEYS_MAX).cloned().collect();
        (!keys.is_empty()).then_some(Part::Keys(keys))
    }

    fn next_range(&self) -> Option<Part> {
        let is_out = |range: &&Range| {
            self.out.iter().any(|out| matches!(&out.part, Part::Range(part) if part == *range))
        };
        let range = self.progress.ranges.iter().find(|range| !is_out(range))?;
        Some(Part::Range(range.clone()))
    }

    /// Whether this was asked for here.
    pub(super) fn awaits(&self, id: ChunkId) -> bool {
        self.out.iter().any(|out| out.id == id)
    }

    /// Takes what was read.
    pub(super) fn on_chunk(&mut self, id: ChunkId, chunk: Chunk) {
        self.out.retain(|out| out.id != id || !matches!(out.answer, Answer::Void));
        if let Some(out) = self.out.iter_mut().find(|out| out.id == id) {
            out.answer = Answer::Waits(chunk);
        }
    }

    /// What was asked for is not read.
    pub(super) fn on_failed(&mut self, id: ChunkId) {
        self.out.retain(|out| out.id != id);
    }

    /// The chunk whose turn it is when the stream has come to `streamed`.
    pub(super) fn turn(&mut self, streamed: Lsn) -> Option<Turn> {
        let is_due = |out: &Out| matches!(&out.answer, Answer::Waits(it) if it.end <= streamed);
        let place = self.out.iter().position(is_due)?;
        let Out { part, since, answer, .. } = self.out.remove(place);
        let Answer::Waits(chunk) = answer else { return None };
        let entry = self.enter(part, since, chunk).map(Box::new);
        Some(entry.map_or(Turn::Again, Turn::Enters))
    }

    /// Takes the chunk's rows, unless it has to be read again.
    fn enter(&mut self, part: Part, since: u64, mut chunk: Chunk) -> Option<Entry> {
        if !self.source.admits(&chunk.visibility) {
            return None;
        }
        self.settle_shape(&chunk, since)?;
        if self.is_keyless() {
            return self.enter_whole(part, chunk);
        }
        match self.touched.truncated(&chunk.visibility) {
            Verdict::Seen => {}
            Verdict::Unknown | Verdict::Unseen => {
                chunk.rows.clear();
                chunk.count = 0;
            }
        }
        let (mut read, mut absent) = (Vec::new(), Vec::new());
        if let (Part::Keys(keys), None) = (&part, &chunk.last) {
            // All were read: those of which there is no row, too.
            let fate = |key: &[u8]| self.touched.fate(key, &chunk.visibility);
            read.extend(keys.iter().filter(|key| fate(key) != Fate::Again).cloned());
            if self.progress.gap.is_some() {
                let entering = keys.iter().filter(|key| fate(key) == Fate::Enters);
                absent = self.absent(entering, &chunk.rows);
            }
        }
        let Sifted { rows, read: entered, again } = self.sift(&mut chunk);
        read.extend(entered);
        self.entering = Some(Entering { part, last: chunk.last.clone(), rows, read, again });
        Some(Entry { chunk, absent, gap: self.progress.gap.clone() })
    }

    /// Those of the keys that no row has, each as a row of the table that has no other values.
    fn absent<'a>(&self, keys: impl Iterator<Item = &'a Box<[u8]>>, rows: &[u8]) -> Vec<u8> {
        let Some(Shape { relation, places, .. }) = &self.shape else { return Vec::new() };
        let (mut present, mut key) = (BTreeSet::new(), Vec::new());
        for row in Tuples::new(rows).map_while(Result::ok) {
            if key::project(row, None, places, &mut key) {
                present.insert(key.clone());
            }
        }
        let mut absent = Vec::new();
        for key in keys.filter(|key| !present.contains(&***key)) {
            let begin = absent.len();
            if !key::spread(key, places, relation.columns.len(), &mut absent) {
                absent.truncate(begin);
            }
        }
        absent
    }

    /// Takes all rows of a table without a key, as the stream has them by now. What cannot be told has
    /// to show before they are read again.
    fn enter_whole(&mut self, part: Part, mut chunk: Chunk) -> Option<Entry> {
        let Some(rows) = self.held.apply(&chunk.visibility, &mut chunk.rows) else {
            let unseen = self.held.unseen(&chunk.visibility);
            match (self.source, unseen) {
                (Source::Standby(_), Some(last)) => self.source.raise(behind(last.commit_lsn)),
                _ => self.unsettled = Unsettled::joined(self.unsettled, unseen),
            }
            return None;
        };
        chunk.count = rows;
        let (last, read, again) = (None, Vec::new(), BTreeSet::new());
        self.entering = Some(Entering { part, last, rows, read, again });
        Some(Entry { chunk, absent: Vec::new(), gap: None })
    }

    /// The chunk whose turn it was is in the batch.
    pub(super) fn on_entered(&mut self) {
        let Some(Entering { part, last, rows, read, again }) = self.entering.take() else { return };
        self.is_news = true;
        if self.source != Source::Primary {
            // The chunk's end, to which the stream has come, is behind all that this waited for.
            self.unsettled = None;
        }
        self.progress.rows += rows;
        self.progress.again.retain(|key| !read.contains(key));
        self.progress.again.extend(again);
        if let Part::Range(range) = part {
            self.advance(&range, last);
        }
    }

    /// The shape under the chunk's lock is the stream's, or newer. If the stream had another one since
    /// the chunk was asked for, or a standby had not replayed all of it, that may be the newer one.
    fn settle_shape(&mut self, chunk: &Chunk, since: u64) -> Option<()> {
        let Chunk { relation, visibility, end, .. } = chunk;
        let replayed = match visibility {
            Visibility::Listed { .. } => Lsn(u64::MAX),
            Visibility::Replayed { from, .. } => *from,
        };
        match &self.shape {
            Some(shape) if shape.relation == *relation => Some(()),
            Some(shape) if since < shape.since || replayed < shape.replayed => {
                self.source.raise(shape.replayed);
                None
            }
            _ => self.on_relation(relation, since, behind(*end)).then_some(()),
        }
    }

    /// Takes out the rows that the stream has overtaken.
    fn sift(&mut self, chunk: &mut Chunk) -> Sifted {
        let Self { progress, shape, touched, scratch, .. } = self;
        let places = shape.as_ref().map_or(&[][..], |shape| &shape.places);
        if touched.is_empty() && progress.again.is_empty() {
            return Sifted { rows: chunk.count, ..Sifted::default() };
        }
        let mut sifted = Sifted::default();
        let visibility = &chunk.visibility;
        Tuple::retain(&mut chunk.rows, |row| {
            let is_keyed = key::project(row, None, places, scratch);
            let fate = if is_keyed { touched.fate(scratch, visibility) } else { Fate::Enters };
            match fate {
                Fate::Again => {
                    sifted.again.insert(scratch.as_slice().into());
                }
                Fate::Dropped => {}
                Fate::Enters => {
                    sifted.rows += 1;
                    if let Some(key) = progress.again.get(scratch.as_slice()) {
                        sifted.read.push(key.clone());
                    }
                }
            }
            fate == Fate::Enters
        });
        chunk.count = sifted.rows;
        sifted
    }

    fn advance(&mut self, range: &Range, last: Option<Bound>) {
        let ranges = &mut self.progress.ranges;
        let Some(place) = ranges.iter().position(|it| it == range) else { return };
        match (last, ranges.get_mut(place)) {
            (Some(last), Some(range)) => range.after = Some(last),
            _ => drop(ranges.remove(place)),
        }
    }

    /// Whether all rows have entered.
    pub(super) fn is_done(&self) -> bool {
        self.progress.is_done()
    }

    /// The first LSN at which a chunk may enter.
    pub(super) fn next_end(&self) -> Option<Lsn> {
        let ends = self.out.iter().filter_map(|out| match &out.answer {
            Answer::Waits(chunk) => Some(chunk.end),
            Answer::Awaited | Answer::Void => None,
        });
        ends.min()
    }

    /// How many rows, and how many bytes, the chunk that enters next has at most. Those of a table
    /// without a key become more on their way.
    pub(super) fn next_size(&self, streamed: Lsn) -> Option<(u64, usize)> {
        let sizes = self.out.iter().filter_map(|out| match &out.answer {
            Answer::Waits(chunk) if chunk.end <= streamed => Some(match self.is_keyless() {
                true => (u64::MAX, usize::MAX),
                false => (chunk.count, chunk.rows.len()),
            }),
            _ => None,
        });
        sizes.reduce(larger)
    }

    /// More keys of a table that is being repaired.
    pub(super) fn repair(&mut self, gap: String, keys: Vec<Box<[u8]>>) {
        self.is_news = true;
        self.progress = self.progress.clone().repairing(gap, keys);
    }

    /// No more of it is read, or it is again.
    pub(super) fn pause(&mut self, is_paused: bool) {
        self.is_news |= self.progress.is_paused != is_paused;
        self.progress.is_paused = is_paused;
    }

    /// How much was asked for and has not entered.
    pub(super) fn out_len(&self) -> usize {
        self.out.len()
    }

    /// The stream, or a chunk, has this shape now, and a standby that has replayed so much; `false` if
    /// it lacks key columns.
    pub(super) fn on_relation(&mut self, relation: &Relation, now: u64, replayed: Lsn) -> bool {
        let is_same = |shape: &Shape| shape.relation == *relation;
        if self.shape.as_ref().is_some_and(is_same) {
            return true;
        }
        let places = key::places(relation, &self.progress.key);
        let is_keyed = places.is_some();
        let places = places.unwrap_or_default();
        self.shape = Some(Shape { relation: relation.clone(), places, since: now, replayed });
        is_keyed
    }

    /// A row was written, as `new` if there is one, in place of what `old` says. `None` if its key
    /// cannot be told: what is noted has a hole then.
    pub(super) fn on_row(
        &mut self,
        new: Option<Tuple<'_>>,
        old: Option<OldTuple<'_>>,
        by: Streamed,
    ) -> Option<()> {
        if self.is_keyless() {
            self.held.on_row(new, old, by);
            return Some(());
        }
        let old = old.map(|old| old.tuple);
        let Self { shape, touched, scratch, .. } = self;
        let places = &shape.as_ref().filter(|shape| !shape.places.is_empty())?.places;
        let mut before = None;
        if let Some(old) = old {
            if !key::project(old, None, places, scratch) {
                return None;
            }
            touched.touch(scratch, by, false);
            before = Some(scratch.clone());
        }
        let Some(new) = new else { return Some(()) };
        if !key::project(new, old, places, scratch) {
            return None;
        }
        let is_partial = new.columns().any(|column| column == Column::Unchanged);
        touched.touch(scratch, by, is_partial);
        // What was not sent nobody has under this key, whether the row was read under the other or not.
        if is_partial && before.is_some_and(|before| before != *scratch) {
            self.is_news |= self.progress.again.insert(scratch.as_slice().into());
        }
        Some(())
    }

    /// A row was updated of which only the key says which it was.
    pub(super) fn on_unclear(&mut self, by: Streamed) {
        if self.is_keyless() {
            self.held.on_unclear(by);
        }
    }

    /// All rows are gone.
    pub(super) fn on_truncate(&mut self, by: Streamed) {
        self.touched.truncate(by);
        if self.is_keyless() {
            self.held.on_truncate(by);
        }
    }

    /// What was noted has a hole, or is too much: nothing that is being read can be judged, and what
    /// is read next must show all that was streamed.
    pub(super) fn forget(&mut self, unsettled: Option<Unsettled>, streamed: Lsn) {
        self.touched = Touched::default();
        self.held = Held::default();
        match self.source {
            Source::Primary => self.unsettled = Unsettled::joined(self.unsettled, unsettled),
            Source::Standby(_) => self.source.raise(streamed),
        }
        self.out.retain_mut(|out| match out.answer {
            Answer::Waits(_) => false,
            Answer::Awaited | Answer::Void => {
                out.answer = Answer::Void;
                true
            }
        });
    }

    /// A snapshot of the stream's server shows this, and so do all that are taken there later; what it
    /// shows was logged before `logged`.
    pub(super) fn on_visibility(&mut self, visibility: &Visibility, logged: Lsn) {
        let left = self.unsettled.and_then(|it| it.settle(visibility));
        match &mut self.source {
            Source::Primary => self.unsettled = left,
            // It is kept until something was read, or a crash would forget where in the log it ended.
            Source::Standby(replayed @ None) if left.is_none() => *replayed = Some(logged),
            Source::Standby(_) => {}
        }
    }

    /// Whether it waits for transactions to show, or to end.
    pub(super) fn is_waiting(&self) -> bool {
        match self.source {
            Source::Primary => self.unsettled.is_some(),
            Source::Standby(replayed) => replayed.is_none(),
        }
    }

    /// Forgets keys whose last transaction everything that is out shows.
    pub(super) fn forget_seen(&mut self, visibility: &Visibility) {
        self.touched.forget_seen(visibility);
        self.held.forget_seen(visibility);
        if let Visibility::Replayed { from, .. } = visibility {
            self.source.raise(*from);
        }
    }

    /// When the first of what is out was asked for.
    pub(super) fn asked_since(&self) -> Option<u64> {
        self.out.iter().map(|out| out.since).min()
    }

    pub(super) fn touched_bytes(&self) -> usize {
        self.touched.byte_len() + self.held.byte_len()
    }

    /// Whether the rows have no key: they enter all at once.
    pub(super) fn is_keyless(&self) -> bool {
        self.progress.key.is_empty()
    }

    /// Whether the stream leaves its changes out: the rows, which are to come, have them.
    pub(super) fn is_held(&self) -> bool {
        self.is_keyless() && !self.is_done()
    }

    /// The progress, and that it is no news any more.
    pub(super) fn take_progress(&mut self) -> Progress {
        self.is_news = false;
        let state = if self.is_done() { State::Done } else { State::Reading };
        Progress { state, unsettled: self.unsettled, ..self.progress.clone() }
    }
}

/// The least LSN that is behind a record that begins here.
pub(super) fn behind(begin: Lsn) -> Lsn {
    Lsn(begin.0.saturating_add(1))
}
