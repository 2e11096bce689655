//! What is told of tables' columns: a record before the first row that has others than were told of.

use std::sync::Arc;

use super::{Assembler, Owner};
use crate::batch::{Batch, Mark, Operation, Record};
use crate::change::{Change, Op};
use crate::columns::{Column, ColumnsRecord, Kind, Told};

/// The table of the topic of schema changes, in metrics.
const TELLING_TABLE: &str = "(schema changes)";

impl Assembler {
    /// The same that goes on from what was told of tables.
    #[must_use]
    pub fn with_told(mut self, told: Vec<Told>) -> Self {
        self.told = told.into_iter().collect();
        self
    }

    /// Whether anything is told of tables' columns.
    #[must_use]
    pub fn tells_columns(&self) -> bool {
        self.settings.schema_changes_topic.is_some()
    }

    /// A plan of a table is made, and its columns are these; none are of what nothing is told.
    pub(super) fn on_columns(&mut self, owner: Owner, columns: Vec<Column>) {
        let table = self.table_of(owner).unwrap_or_default();
        let told = self.told.get(&table);
        let is_told = told.is_some_and(|told| Column::are_same(told, &columns));
        if let Some(entry) = self.entry_mut(owner) {
            entry.untold = Some(columns).filter(|columns| !columns.is_empty() && !is_told);
        }
    }

    /// Tells of the columns of a row whose records are in the batch behind `mark`, before them, if they
    /// are to be told of.
    #[cold]
    pub(super) fn tell(
        &mut self,
        owner: Owner,
        change: &Change<'_>,
        mark: Mark,
        batch: &mut Batch,
    ) {
        let is_row = matches!(
            change.op,
            Op::Delete { .. } | Op::Insert { .. } | Op::Read { .. } | Op::Update { .. }
        );
        if !is_row {
            return;
        }
        let Some(table) = self.table_of(owner) else { return };
        let Some(new) = self.entry_mut(owner).and_then(|it| it.untold.take()) else { return };
        let Some(topic) = &self.settings.schema_changes_topic else { return };
        let topic = Arc::make_mut(&mut self.topics).intern(topic, TELLING_TABLE);
        let old = self.told.get(&table).map(Vec::as_slice);
        let value = ColumnsRecord {
            table: &table,
            pipeline: &self.base.pipeline,
            slot: &self.base.slot,
            epoch: match (owner, &self.parking.returning) {
                (Owner::Returning, Some(returning)) => returning.epoch,
                _ => self.base.epoch,
            },
            position: &change.position.to_string(),
            xid: change.xact.xid.0,
            commit_time_us: change.xact.commit_time_us,
            kind: if old.is_some() { Kind::Changed } else { Kind::First },
            old,
            new: &new,
        };
        let value = value.to_json();
        let mut append = |bytes: &[u8]| {
            let start = batch.byte_len();
            batch.buffer().extend_from_slice(bytes);
            start..batch.byte_len()
        };
        let (key, value) = (append(table.as_bytes()), append(&value));
        let record = Record {
            topic,
            operation: Operation::SchemaChange,
            key: Some(key),
            headers: value.end..value.end,
            value: Some(value),
            timestamp_ms: change.xact.commit_time_us.div_euclid(1_000),
            position: change.position,
            part: 0,
            xid: change.xact.xid,
        };
        batch.precede(mark, record);
        self.told.insert(table, new);
    }
}
