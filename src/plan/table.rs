//! The plan of a table: rows to Debezium's envelope, as Avro.
//!
//! Everything that configuration, catalog and types can decide is decided in [`TableDraft::compile`].
//! A row then costs one walk over its columns: nothing is looked up by name and nothing allocated.

use std::ops::Range;

use super::error::{Contradiction, Error};
use super::shape::{Shape, column_at, filled, refuse_shared_fields, table_topic};
use super::source::{Operation, Source};
use super::{Context, Framing, SchemaId, SchemaRequest, Settings, Skip, Step, timestamp_ms};
use crate::batch::{self, Batch, Record, TopicId};
use crate::change::{Change, Op};
use crate::config::{Before, Timestamp};
use crate::encode::{ColumnEncoder, schema};
use crate::wal::{Column, OldTuple, OldTupleKind, Relation, ReplicaIdentity, Tuple};

/// A table's plan.
#[derive(Debug)]
pub struct TablePlan {
    topic: TopicId,
    /// `None` where records have a null key.
    key: Option<Framing>,
    value: Framing,
    draft: TableDraft,
}

/// A table's plan before its topic and schemas have their numbers.
#[derive(Debug)]
pub(super) struct TableDraft {
    /// `schema.table`, for errors and metrics.
    table: String,
    columns: Vec<ColumnPlan>,
    /// The key's columns in key order; empty for a null key.
    key_columns: Vec<usize>,
    source: Source,
    absent: Absent,
    /// Whether old rows come whole.
    is_full: bool,
    has_tombstones: bool,
    has_truncates: bool,
    timestamp: Timestamp,
}

#[derive(Debug)]
struct ColumnPlan {
    name: String,
    encoder: ColumnEncoder,
    is_identity: bool,
    is_optional: bool,
}

/// What stands in `before` for a column that the stream does not carry.
#[derive(Clone, Copy, Debug)]
enum Absent {
    /// Debezium's invented values.
    Invented,
    /// Null, in the record `Before`.
    Null,
}

impl TableDraft {
    /// `schema.table`.
    pub(super) fn table(&self) -> &str {
        &self.table
    }

    /// Compiles a table: its draft, its topic, and the schemas to register (value first).
    pub(super) fn compile(
        relation: &Relation,
        shape: &Shape,
        settings: &Settings,
    ) -> Result<(Self, String, Vec<SchemaRequest>), Error> {
        let topic = table_topic(&settings.prefix, relation)?;
        refuse_shared_fields(&shape.table, shape.columns.iter().map(|column| &*column.name))?;
        let is_separate = settings.tables.before == Before::Separate
            && relation.identity != ReplicaIdentity::Full;
        let before = is_separate.then(|| shape.before_fields());
        let mut schemas = vec![SchemaRequest {
            subject: format!("{topic}-value"),
            schema_json: schema::envelope(&topic, &shape.fields(), before.as_deref()),
        }];
        if !shape.key.is_empty() {
            schemas.push(SchemaRequest {
                subject: format!("{topic}-key"),
                schema_json: schema::key(&topic, &shape.key_fields()),
            });
        }
        let unavailable = &settings.tables.unavailable_value;
        let columns = shape.columns.iter().map(|column| ColumnPlan {
            name: column.name.clone(),
            encoder: ColumnEncoder::compile(&column.kind, column.is_optional, unavailable),
            is_identity: column.is_identity,
            is_optional: column.is_optional,
        });
        let draft = Self {
            table: shape.table.clone(),
            columns: columns.collect(),
            key_columns: shape.key.clone(),
            source: Source::new(
                &settings.prefix,
                &settings.database,
                &relation.namespace,
                &relation.name,
            ),
            absent: if is_separate { Absent::Null } else { Absent::Invented },
            is_full: relation.identity == ReplicaIdentity::Full,
            has_tombstones: settings.tables.tombstones,
            has_truncates: settings.tables.truncate,
            timestamp: settings.records.timestamp,
        };
        Ok((draft, topic, schemas))
    }

    /// The plan, once its topic and schemas (value first) have their numbers.
    pub(super) fn finish(self, topic: TopicId, ids: &[SchemaId]) -> TablePlan {
        let mut framings = ids.iter().copied().map(Framing::new);
        let value = framings.next().expect("a table asks for its value's schema first");
        TablePlan { topic, key: framings.next(), value, draft: self }
    }

    fn foreign(&self, change: &Change<'_>) -> Error {
        let plan = format!("table {}", self.table);
        Error::Foreign { plan, position: change.position }
    }
}

impl TablePlan {
    /// Writes the records of a change. On an error the batch may hold a part of them.
    pub(super) fn encode(
        &self,
        change: &Change<'_>,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        let mut writer = Writer { plan: self, change, context, batch, part: 0 };
        match change.op {
            Op::Insert { new, .. } => writer.insert(new)?,
            Op::Update { old, new, .. } => writer.update(old, new)?,
            Op::Delete { old, .. } => writer.delete(old)?,
            Op::Truncate { .. } if !self.draft.has_truncates => {
                return Ok(Step::Skipped(Skip::Truncate));
            }
            Op::Truncate { part, .. } => writer.truncate(part)?,
            Op::Message { .. } => {
                return Err(self.draft.foreign(change));
            }
        }
        Ok(Step::Done)
    }
}

/// A new row, and the old one where unchanged TOAST values are taken from.
#[derive(Clone, Copy)]
struct NewRow<'a> {
    tuple: Tuple<'a>,
    old: Option<Tuple<'a>>,
}

/// The records of one change on their way into the batch.
struct Writer<'a, 'b> {
    plan: &'a TablePlan,
    change: &'a Change<'b>,
    context: &'a Context,
    batch: &'a mut Batch,
    part: u32,
}

impl Writer<'_, '_> {
    fn insert(&mut self, new: Tuple<'_>) -> Result<(), Error> {
        self.check(new)?;
        let new = NewRow { tuple: new, old: None };
        let key = self.key(new)?;
        let value = self.value(Operation::Create, None, Some(new))?;
        self.push(Operation::Create, key, Some(value));
        Ok(())
    }

    fn update(&mut self, old: Option<OldTuple<'_>>, new: Tuple<'_>) -> Result<(), Error> {
        self.check(new)?;
        let row = NewRow { tuple: new, old: old.map(|old| old.tuple) };
        let key = self.key(row)?;
        let Some(old) = old else {
            let value = self.value(Operation::Update, None, Some(row))?;
            self.push(Operation::Update, key, Some(value));
            return Ok(());
        };
        self.check(old.tuple)?;
        let mark = self.batch.mark();
        let old_key = self.key(NewRow { tuple: old.tuple, old: None })?;
        if self.is_same(key.as_ref(), old_key.as_ref()) {
            self.batch.truncate(mark);
            let value = self.value(Operation::Update, Some(old), Some(row))?;
            self.push(Operation::Update, key, Some(value));
            return Ok(());
        }
        self.gone(old_key, old)?;
        let value = self.value(Operation::Create, None, Some(row))?;
        self.push(Operation::Create, key, Some(value));
        Ok(())
    }

    fn delete(&mut self, old: OldTuple<'_>) -> Result<(), Error> {
        self.check(old.tuple)?;
        let key = self.key(NewRow { tuple: old.tuple, old: None })?;
        self.gone(key, old)
    }

    fn truncate(&mut self, part: u32) -> Result<(), Error> {
        self.part = part;
        let value = self.value(Operation::Truncate, None, None)?;
        self.push(Operation::Truncate, None, Some(value));
        Ok(())
    }

    /// A delete and, where there is a key, its tombstone.
    fn gone(&mut self, key: Option<Range<usize>>, old: OldTuple<'_>) -> Result<(), Error> {
        let value = self.value(Operation::Delete, Some(old), None)?;
        let tombstone = key.clone().filter(|_| self.plan.draft.has_tombstones);
        self.push(Operation::Delete, key, Some(value));
        if tombstone.is_some() {
            self.push(batch::Operation::Tombstone, tombstone, None);
        }
        Ok(())
    }

    fn push(
        &mut self,
        operation: impl Into<batch::Operation>,
        key: Option<Range<usize>>,
        value: Option<Range<usize>>,
    ) {
        let end = self.batch.byte_len();
        self.batch.push(Record {
            topic: self.plan.topic,
            operation: operation.into(),
            key,
            value,
            headers: end..end,
            timestamp_ms: timestamp_ms(self.plan.draft.timestamp, self.change, self.context),
            position: self.change.position,
            part: self.part,
            xid: self.change.xact.xid,
        });
        self.part += 1;
    }

    /// Writes a row's key; `None` where the table has none.
    fn key(&mut self, row: NewRow<'_>) -> Result<Option<Range<usize>>, Error> {
        let Some(framing) = &self.plan.key else { return Ok(None) };
        let draft = &self.plan.draft;
        let start = self.batch.byte_len();
        framing.write(self.batch.buffer());
        for index in &draft.key_columns {
            let column = column_at(row.tuple, row.old, *index);
            let (Some(column), Some(plan)) = (column, draft.columns.get(*index)) else { continue };
            if column == Column::Unchanged {
                return Err(Error::KeyNotSent {
                    table: draft.table.clone(),
                    column: plan.name.clone(),
                    position: self.change.position,
                });
            }
            self.column(plan, column)?;
        }
        Ok(Some(start..self.batch.byte_len()))
    }

    /// Writes an envelope.
    fn value(
        &mut self,
        operation: Operation,
        before: Option<OldTuple<'_>>,
        after: Option<NewRow<'_>>,
    ) -> Result<Range<usize>, Error> {
        let start = self.batch.byte_len();
        self.plan.value.write(self.batch.buffer());
        self.branch(before.is_some());
        if let Some(old) = before {
            self.before(old)?;
        }
        self.branch(after.is_some());
        if let Some(row) = after {
            self.after(row)?;
        }
        let source = &self.plan.draft.source;
        source.write(operation, self.change, self.context.now_us, self.batch.buffer());
        Ok(start..self.batch.byte_len())
    }

    fn after(&mut self, row: NewRow<'_>) -> Result<(), Error> {
        let mut old = row.old.map(|old| old.columns());
        for (plan, column) in self.plan.draft.columns.iter().zip(row.tuple.columns()) {
            let old = old.as_mut().and_then(Iterator::next);
            self.column(plan, filled(column, || old))?;
        }
        Ok(())
    }

    fn before(&mut self, old: OldTuple<'_>) -> Result<(), Error> {
        let draft = &self.plan.draft;
        let is_full = old.kind == OldTupleKind::Full;
        if is_full != draft.is_full {
            return Err(draft.foreign(self.change));
        }
        for (plan, column) in draft.columns.iter().zip(old.tuple.columns()) {
            match draft.absent {
                _ if is_full || plan.is_identity => self.column(plan, column)?,
                Absent::Invented => plan.encoder.encode_absent(self.batch.buffer()),
                Absent::Null => self.branch(false),
            }
        }
        Ok(())
    }

    fn column(&mut self, plan: &ColumnPlan, column: Column<'_>) -> Result<(), Error> {
        if column == Column::Null && !plan.is_optional {
            return Err(self.contradiction(Contradiction::Null { column: plan.name.clone() }));
        }
        plan.encoder.encode(column, self.batch.buffer()).map_err(|source| Error::Encode {
            table: self.plan.draft.table.clone(),
            column: plan.name.clone(),
            position: self.change.position,
            source,
        })
    }

    /// Writes the branch of `["null", T]`.
    fn branch(&mut self, is_some: bool) {
        self.batch.buffer().push(if is_some { 2 } else { 0 });
    }

    fn is_same(&self, left: Option<&Range<usize>>, right: Option<&Range<usize>>) -> bool {
        left.map(|range| self.batch.slice(range)) == right.map(|range| self.batch.slice(range))
    }

    fn check(&self, tuple: Tuple<'_>) -> Result<(), Error> {
        let (want, found) = (self.plan.draft.columns.len(), tuple.len());
        if want == found {
            return Ok(());
        }
        Err(self.contradiction(Contradiction::ColumnCount { want, found }))
    }

    fn contradiction(&self, contradiction: Contradiction) -> Error {
        Error::Contradiction {
            table: self.plan.draft.table.clone(),
            position: self.change.position,
            contradiction,
        }
    }
}
