//! Tables that are parked: which they are, how many changes of each wait, and how those come back.
//!
//! They enter between two transactions, as rows of snapshots do, and have positions there; where they
//! were is in a header.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Entry;
use super::{Assembler, Error, Owner, Step};
use crate::batch::{Batch, Record};
use crate::checkpoint::Entered;
use crate::config::OnRefused;
use crate::facts::TableFacts;
use crate::parked::{self, Kept, Parked, Shape};
use crate::plan::{Context, LastDeleted, ParkedPlan};
use crate::position::{Lsn, Position};
use crate::wal::RelationId;

/// Header: where a change was that is brought back, as `walbrook.position` says it.
const PARKED_HEADER: &str = "walbrook.parked";

/// The table of the topic of what is parked, in metrics.
const PARKED_TABLE: &str = "(parked)";

/// All records of parked tables are written anew after so many checkpoints, so that recovery, which
/// reads backwards, finds them.
const REWRITE_AFTER: u32 = 20_000;

/// The tables that are parked.
#[derive(Debug, Default)]
pub(super) struct Parking {
    tables: BTreeMap<String, Parked>,
    /// Those whose records in Kafka are not as they are here.
    news: BTreeSet<String>,
    checkpoints: u32,
    /// The relation of the changes that are brought back.
    pub(super) returning: Option<Returning>,
    pub(super) last_deleted: LastDeleted,
    scratch: Batch,
}

/// A relation as its changes were parked with it.
#[derive(Debug)]
pub(super) struct Returning {
    pub(super) entry: Entry,
    /// Of the change that is brought back now.
    pub(super) epoch: u32,
    facts: TableFacts,
    /// Relation and facts as JSON.
    shape: Vec<u8>,
}

/// How far a table's changes are brought back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// The offset of the last one with a shape.
    pub offset: i64,
    /// How many there are from there on.
    pub passed: u64,
    /// How many more there are than before.
    pub changes: u64,
}

impl Parking {
    /// What a batch that is sealed has to carry.
    pub(super) fn on_sealed(&mut self, batch: &Batch) -> Vec<(String, Option<Parked>)> {
        if self.tables.is_empty() && self.news.is_empty() {
            return Vec::new();
        }
        for (table, changes) in batch.parked_changes() {
            let table = std::str::from_utf8(table).unwrap_or_default();
            if let Some(parked) = self.tables.get_mut(table) {
                parked.changes += changes;
                self.news.insert(table.to_owned());
            }
        }
        self.checkpoints += 1;
        if REWRITE_AFTER <= self.checkpoints {
            self.checkpoints = 0;
            self.news.extend(self.tables.keys().cloned());
        }
        let news = std::mem::take(&mut self.news).into_iter();
        news.map(|table| (table.clone(), self.tables.get(&table).cloned())).collect()
    }

    /// How many tables there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.tables.len()).unwrap_or(u32::MAX)
    }
}

impl Assembler {
    /// The same with tables that are parked.
    #[must_use]
    pub fn with_parked(mut self, tables: Vec<Parked>) -> Self {
        self.parking.tables = tables.into_iter().map(|it| (it.table.clone(), it)).collect();
        self
    }

    /// The tables that are parked, by their names.
    #[must_use]
    pub fn parked(&self) -> &BTreeMap<String, Parked> {
        &self.parking.tables
    }

    /// Whether there is something of them that no batch has carried.
    #[must_use]
    pub fn has_parking_news(&self) -> bool {
        !self.parking.news.is_empty()
    }

    /// `schema.table`; messages are of none.
    #[must_use]
    pub fn table_of(&self, owner: Owner) -> Option<String> {
        let relation = self.relation_of(owner)?;
        Some(format!("{}.{}", relation.namespace, relation.name))
    }

    /// What becomes of a table of which something is refused.
    #[must_use]
    pub fn on_refused(&self, table: &str) -> OnRefused {
        self.settings.tables.refused.action(table)
    }

    /// Whether the changes of a relation are parked: those of its table are.
    #[must_use]
    pub fn is_parked(&self, id: RelationId) -> bool {
        let table = self.table_of(Owner::Relation(id));
        table.is_some_and(|table| self.parking.tables.contains_key(&table))
    }

    /// From now on the changes of a table are parked. Whose they are says [`park`](Self::park).
    pub fn begin_parking(&mut self, parked: Parked) {
        self.drop_plans_of(&parked.table);
        self.parking.news.insert(parked.table.clone());
        self.parking.tables.insert(parked.table.clone(), parked);
    }

    /// The changes of a relation are those of a table that is parked; `facts` are what the catalog says
    /// of it now.
    pub fn park(&mut self, id: RelationId, facts: TableFacts) {
        let Some(entry) = self.relations.get(&id) else { return };
        let relation = entry.relation.clone();
        let table = format!("{}.{}", relation.namespace, relation.name);
        let shape = Shape { relation, facts: self.corrected(Owner::Relation(id), facts) };
        let topics = std::sync::Arc::make_mut(&mut self.topics);
        let topic = topics.intern(&self.settings.parked_topic, PARKED_TABLE);
        let plan = ParkedPlan::new(topic, table, self.base.epoch, &shape);
        if let Some(entry) = self.relations.get_mut(&id) {
            entry.park(plan);
        }
    }

    fn drop_plans_of(&mut self, table: &str) {
        let is_its = |entry: &&mut Entry| {
            let name = &entry.relation;
            table.strip_prefix(&*name.namespace).and_then(|it| it.strip_prefix('.'))
                == Some(&*name.name)
        };
        self.relations.values_mut().filter(is_its).for_each(Entry::forget_plan);
    }

    /// What was refused is refused again, or something else is.
    pub fn on_refused_again(&mut self, table: &str, why: (String, Option<String>, bool)) {
        let Some(parked) = self.parking.tables.get_mut(table) else { return };
        let before = (parked.reason.clone(), parked.subject.clone(), parked.by_broker);
        if before != why {
            (parked.reason, parked.subject, parked.by_broker) = why;
            self.parking.news.insert(table.to_owned());
        }
    }

    /// Changes of a parked table, or dead letters, enter here.
    pub fn begin_return(&mut self, entrance: Lsn) {
        self.confirm = self.confirm.max(entrance);
        let rows = self.entered_rows(entrance);
        match &mut self.base.snapshots {
            Some(snapshots) => (snapshots.lsn, snapshots.rows) = (entrance, rows),
            None => self.base.entered = Some(Entered { lsn: entrance, rows }),
        }
    }

    /// Takes one of them; see [`Step`].
    ///
    /// # Errors
    ///
    /// If it is not readable.
    pub fn on_returned(
        &mut self,
        kept: &Kept<'_>,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        if let Some(shape) = kept.shape {
            self.take_shape(shape)?;
        }
        let Some(change) = kept.change() else { return Err(Error::NotParked) };
        let mut scratch = std::mem::take(&mut self.parking.scratch);
        scratch.clear();
        if let Some(returning) = &mut self.parking.returning {
            returning.epoch = kept.epoch();
        }
        let step = self.encode(Owner::Returning, &change, context, &mut scratch);
        if let Ok(Step::Continue) = step {
            self.adopt(&scratch, batch, PARKED_HEADER, |record| match kept.epoch() {
                0 => format!("{}.{}", record.position, record.part),
                epoch => format!("{epoch}:{}.{}", record.position, record.part),
            });
        }
        self.parking.scratch = scratch;
        step
    }

    /// Passes over one of them, which is not to come (again).
    ///
    /// # Errors
    ///
    /// If it is not readable.
    pub fn pass_over(&mut self, kept: &Kept<'_>) -> Result<(), Error> {
        kept.shape.map_or(Ok(()), |shape| self.take_shape(shape))
    }

    /// After so long a table that is parked is tried again.
    #[must_use]
    pub fn retry_refused_after(&self) -> std::time::Duration {
        self.settings.tables.refused.retry_after
    }

    /// Takes records that were made apart to where they enter.
    pub(super) fn adopt(
        &mut self,
        scratch: &Batch,
        batch: &mut Batch,
        header: &str,
        was: impl Fn(&Record) -> String,
    ) {
        let (lsn, rows) = self.entrance_of_returned();
        let position = Position { commit_lsn: lsn, ordinal: 0 };
        batch.adopt(scratch, (position, *rows), (header, was));
        *rows += u32::try_from(scratch.records().len()).unwrap_or(u32::MAX);
    }

    /// Where they enter, and how many records have.
    fn entrance_of_returned(&mut self) -> (Lsn, &mut u32) {
        match &mut self.base.snapshots {
            Some(snapshots) => (snapshots.lsn, &mut snapshots.rows),
            None => {
                let entered =
                    self.base.entered.get_or_insert(Entered { lsn: self.confirm, rows: 0 });
                (entered.lsn, &mut entered.rows)
            }
        }
    }

    /// The next changes are of this shape; the same again says nothing.
    fn take_shape(&mut self, json: &[u8]) -> Result<(), Error> {
        let before = self.parking.returning.as_ref();
        if before.is_some_and(|before| before.shape == json) {
            return Ok(());
        }
        let Shape { relation, facts } = Shape::from_json(json).map_err(Error::Parked)?;
        let is_other = |before: &Returning| before.entry.relation != relation;
        let is_news = before.is_some_and(is_other);
        let entry = Entry { was_planned: is_news, is_news, ..Entry::new(relation) };
        self.parking.returning = Some(Returning { entry, epoch: 0, facts, shape: json.to_vec() });
        Ok(())
    }

    /// What the catalog said of the relation whose changes are brought back.
    #[must_use]
    pub fn returning_facts(&self) -> TableFacts {
        self.parking.returning.as_ref().map(|it| it.facts.clone()).unwrap_or_default()
    }

    /// So many changes of a table are in the batch, and behind that a transaction may begin.
    pub fn end_return(&mut self, table: &str, passed: Passed, batch: &Batch) {
        if let Some(parked) = self.parking.tables.get_mut(table)
            && 0 < passed.changes
        {
            (parked.offset, parked.passed) = (passed.offset, passed.passed);
            parked.returned += passed.changes;
            self.parking.news.insert(table.to_owned());
        }
        self.end_chunk(batch);
    }

    /// Whether a change of the table waits, also one that is in `batch`.
    #[must_use]
    pub fn has_waiting(&self, table: &str, batch: &Batch) -> bool {
        let waiting = self.parking.tables.get(table).map_or(0, Parked::waiting);
        0 < waiting || batch.parked_changes().contains_key(table.as_bytes())
    }

    /// All changes of the table are brought back: what comes from now on is written again.
    pub fn release(&mut self, table: &str) {
        self.parking.tables.remove(table);
        self.parking.news.insert(table.to_owned());
        self.drop_plans_of(table);
        self.stop_returning();
    }

    /// No more is brought back for now.
    pub fn stop_returning(&mut self) {
        self.parking.returning = None;
        self.parking.last_deleted = LastDeleted::default();
    }
}

impl From<parked::Error> for Error {
    fn from(error: parked::Error) -> Self {
        Self::Parked(error)
    }
}
