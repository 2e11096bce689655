//! The records of a change by its table's plan.

use std::ops::Range;

use super::super::error::{Contradiction, Error};
use super::super::frame::Frame;
use super::super::shape::{column_at, filled};
use super::super::source::Operation;
use super::super::{Context, Skip, Step, timestamp_ms};
use super::{Absent, ColumnPlan, TablePlan, Truncates};
use crate::batch::{self, Batch, Record, push_header};
use crate::change::{Change, Op};
use crate::encode::avro::Avro;
use crate::encode::json::Json;
use crate::encode::{self, ColumnEncoder, Encoding, Notation};
use crate::wal::{Column, OldTuple, Tuple};

/// The header that lists the columns whose unchanged values the stream does not carry.
const UNCHANGED_HEADER: &str = "walbrook.unchanged";

/// The header that names the gap that a record repairs.
const GAP_HEADER: &str = "walbrook.gap";

/// A new row, and the old one where unchanged TOAST values are taken from.
#[derive(Clone, Copy)]
struct NewRow<'a> {
    tuple: Tuple<'a>,
    old: Option<Tuple<'a>>,
}

/// A row whose key is wanted.
#[derive(Clone, Copy)]
enum Keyed<'a> {
    New(NewRow<'a>),
    /// Of which the replica identity may lack columns.
    Old(Tuple<'a>),
}

/// The records of one change on their way into the batch.
pub(super) struct Writer<'a, 'b> {
    plan: &'a TablePlan,
    change: &'a Change<'b>,
    context: &'a Context,
    batch: &'a mut Batch,
    part: u32,
    /// Whether the new row written last lacks values that did not change.
    has_unchanged: bool,
    /// What is repaired.
    gap: Option<&'b str>,
}

impl<'a, 'b> Writer<'a, 'b> {
    pub(super) fn new(
        plan: &'a TablePlan,
        change: &'a Change<'b>,
        context: &'a Context,
        batch: &'a mut Batch,
    ) -> Self {
        Self { plan, change, context, batch, part: 0, has_unchanged: false, gap: None }
    }

    /// Writes them all.
    pub(super) fn write(mut self) -> Result<Step, Error> {
        match self.change.op {
            Op::Absent { part, gap, key, .. } => self.absent(part, gap, key)?,
            Op::Insert { new, .. } => self.insert(new)?,
            Op::Update { old, new, .. } => self.update(old, new)?,
            Op::Delete { old, .. } => self.delete(old)?,
            Op::Read { part, gap, new, .. } => self.read(part, gap, new)?,
            Op::Truncate { part, .. } => match self.plan.rows.truncates {
                Truncates::LeftOut => return Ok(Step::Skipped(Skip::Compacted)),
                Truncates::OfChild => return Ok(Step::Skipped(Skip::Child)),
                Truncates::Off => return Ok(Step::Skipped(Skip::Truncate)),
                Truncates::Unknown => return Ok(Step::Policy(self.plan.topic)),
                Truncates::Written => self.truncate(part)?,
            },
            Op::Message { .. } | Op::Pending { .. } => {
                return Err(self.plan.rows.foreign(self.change));
            }
        }
        Ok(Step::Done)
    }

    fn insert(&mut self, new: Tuple<'_>) -> Result<(), Error> {
        self.row(Operation::Create, new)
    }

    fn read(&mut self, part: u32, gap: Option<&'b str>, new: Tuple<'_>) -> Result<(), Error> {
        (self.part, self.gap) = (part, gap);
        self.row(Operation::Read, new)
    }

    /// Of a row that is not there the key is known, and what it was is not.
    fn absent(&mut self, part: u32, gap: &'b str, row: Tuple<'_>) -> Result<(), Error> {
        (self.part, self.gap) = (part, Some(gap));
        self.check(row)?;
        let key = self.key(Keyed::Old(row))?;
        let columns = || self.plan.rows.columns.iter().zip(row.columns());
        let mut identity = columns().filter(|(plan, _)| plan.is_identity).peekable();
        let has_identity = identity.peek().is_some() && identity.all(|(_, it)| it != Column::Null);
        let old = OldTuple { kind: self.plan.rows.old_kind, tuple: row };
        self.gone(key, Some(old).filter(|_| has_identity))
    }

    /// A row that is all that there is to say.
    fn row(&mut self, operation: Operation, new: Tuple<'_>) -> Result<(), Error> {
        self.check(new)?;
        let new = NewRow { tuple: new, old: None };
        let key = self.key(Keyed::New(new))?;
        let value = self.value(operation, None, Some(new))?;
        self.push_row(operation, key, value, new);
        Ok(())
    }

    fn update(&mut self, old: Option<OldTuple<'_>>, new: Tuple<'_>) -> Result<(), Error> {
        self.check(new)?;
        let row = NewRow { tuple: new, old: old.map(|old| old.tuple) };
        let key = self.key(Keyed::New(row))?;
        let Some(old) = old else {
            let value = self.value(Operation::Update, None, Some(row))?;
            self.push_row(Operation::Update, key, value, row);
            return Ok(());
        };
        self.check(old.tuple)?;
        let mark = self.batch.mark();
        let old_key = self.key(Keyed::Old(old.tuple))?;
        if self.is_same(key.as_ref(), old_key.as_ref()) {
            self.batch.truncate(mark);
            let value = self.value(Operation::Update, Some(old), Some(row))?;
            self.push_row(Operation::Update, key, value, row);
            return Ok(());
        }
        self.gone(old_key, Some(old))?;
        let value = self.value(Operation::Create, None, Some(row))?;
        self.push_row(Operation::Create, key, value, row);
        Ok(())
    }

    fn delete(&mut self, old: OldTuple<'_>) -> Result<(), Error> {
        self.check(old.tuple)?;
        let key = self.key(Keyed::Old(old.tuple))?;
        self.gone(key, Some(old))
    }

    fn truncate(&mut self, part: u32) -> Result<(), Error> {
        self.part = part;
        let value = self.value(Operation::Truncate, None, None)?;
        self.push(Operation::Truncate, None, Some(value));
        Ok(())
    }

    /// A delete and, where there is a key, its tombstone.
    fn gone(&mut self, key: Option<Range<usize>>, old: Option<OldTuple<'_>>) -> Result<(), Error> {
        let value = self.value(Operation::Delete, old, None)?;
        let tombstone = key.clone().filter(|_| self.plan.rows.has_tombstones);
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
        let headers = self.batch.byte_len();
        self.table_header();
        self.gap_header();
        let headers = headers..self.batch.byte_len();
        self.push_with(operation, key, value, headers);
    }

    fn table_header(&mut self) {
        let header = &self.plan.rows.table_header;
        // Mostly none.
        if !header.is_empty() {
            self.batch.buffer().extend_from_slice(header);
        }
    }

    fn gap_header(&mut self) {
        if let Some(gap) = self.gap {
            push_header(self.batch.buffer(), GAP_HEADER, Some(gap.as_bytes()));
        }
    }

    /// The record of a new row, with a header that lists the columns whose values it does not have.
    fn push_row(
        &mut self,
        operation: Operation,
        key: Option<Range<usize>>,
        value: Range<usize>,
        row: NewRow<'_>,
    ) {
        let headers = self.batch.byte_len();
        self.table_header();
        if self.has_unchanged {
            self.unchanged_header(row);
        }
        self.gap_header();
        let headers = headers..self.batch.byte_len();
        self.push_with(operation, key, Some(value), headers);
    }

    /// `["body","notes"]`, under the columns' own names.
    #[cold]
    fn unchanged_header(&mut self, row: NewRow<'_>) {
        let mut old = row.old.map(|old| old.columns());
        let columns = self.plan.rows.columns.iter().zip(row.tuple.columns());
        let names = columns.filter_map(|(plan, column)| {
            let old = old.as_mut().and_then(Iterator::next);
            (filled(column, || old) == Column::Unchanged).then_some(&plan.name)
        });
        let mut list = Vec::new();
        Json::array(0, &mut list);
        for name in names {
            Json::item(&mut list);
            Json::string(name, &mut list);
        }
        Json::array_end(&mut list);
        push_header(self.batch.buffer(), UNCHANGED_HEADER, Some(&list));
    }

    fn push_with(
        &mut self,
        operation: impl Into<batch::Operation>,
        key: Option<Range<usize>>,
        value: Option<Range<usize>>,
        headers: Range<usize>,
    ) {
        self.batch.push(Record {
            topic: self.plan.topic,
            operation: operation.into(),
            key,
            value,
            headers,
            timestamp_ms: timestamp_ms(self.plan.rows.timestamp, self.change, self.context),
            position: self.change.position,
            part: self.part,
            xid: self.change.xact.xid,
        });
        self.part += 1;
    }

    /// Writes a row's key; `None` where the table has none.
    fn key(&mut self, row: Keyed<'_>) -> Result<Option<Range<usize>>, Error> {
        let Some(frame) = &self.plan.key else { return Ok(None) };
        let start = self.batch.byte_len();
        frame.begin(self.batch.buffer());
        match frame {
            Frame::Avro(_) => self.key_columns::<Avro>(row)?,
            Frame::Json { .. } => self.key_columns::<Json>(row)?,
            Frame::Text => self.key_text(row)?,
        }
        frame.end(self.batch.buffer());
        Ok(Some(start..self.batch.byte_len()))
    }

    fn key_columns<E: Encoding>(&mut self, row: Keyed<'_>) -> Result<(), Error> {
        E::record(self.batch.buffer());
        if let Some((name, value)) = &self.plan.rows.key_field {
            E::field(name, self.batch.buffer());
            E::string(value, self.batch.buffer());
        }
        for (index, plan) in &self.plan.rows.key_columns {
            let column = self.key_column(*index, plan, row)?;
            E::field(&plan.field, self.batch.buffer());
            self.column(plan, &plan.encoder, column)?;
        }
        E::record_end(self.batch.buffer());
        Ok(())
    }

    /// PostgreSQL's text of the only column.
    fn key_text(&mut self, row: Keyed<'_>) -> Result<(), Error> {
        for (index, plan) in &self.plan.rows.key_columns {
            let column = self.key_column(*index, plan, row)?;
            let written = plan.encoder.encode_text(column, self.batch.buffer());
            written.map_err(|source| self.encode_error(plan, source))?;
        }
        Ok(())
    }

    /// The column's value, which is never NULL: that would be the key of no row, or of many.
    fn key_column<'t>(
        &self,
        index: usize,
        plan: &ColumnPlan,
        row: Keyed<'t>,
    ) -> Result<Column<'t>, Error> {
        let rows = &self.plan.rows;
        let found = match row {
            Keyed::New(row) => column_at(row.tuple, row.old, index),
            Keyed::Old(tuple) => column_at(tuple, None, index),
        };
        match found {
            Some(column @ (Column::Binary(_) | Column::Text(_))) => Ok(column),
            Some(Column::Null) | None if matches!(row, Keyed::New(_)) || rows.is_whole => {
                Err(self.contradiction(Contradiction::KeyNull { column: plan.name.clone() }))
            }
            _ => Err(Error::KeyNotSent {
                table: rows.table.clone(),
                column: plan.name.clone(),
                position: self.change.position,
                leaf: rows.odd_leaf.clone(),
            }),
        }
    }

    /// Writes an envelope.
    fn value(
        &mut self,
        operation: Operation,
        before: Option<OldTuple<'_>>,
        after: Option<NewRow<'_>>,
    ) -> Result<Range<usize>, Error> {
        match self.plan.value.notation() {
            Notation::Avro => self.envelope::<Avro>(operation, before, after),
            Notation::Json => self.envelope::<Json>(operation, before, after),
        }
    }

    fn envelope<E: Encoding>(
        &mut self,
        operation: Operation,
        before: Option<OldTuple<'_>>,
        after: Option<NewRow<'_>>,
    ) -> Result<Range<usize>, Error> {
        let start = self.batch.byte_len();
        self.plan.value.begin(self.batch.buffer());
        E::record(self.batch.buffer());
        E::field("before", self.batch.buffer());
        match before {
            None => E::null(self.batch.buffer()),
            Some(old) => self.before::<E>(old)?,
        }
        E::field("after", self.batch.buffer());
        match after {
            None => E::null(self.batch.buffer()),
            Some(row) => self.after::<E>(row)?,
        }
        let source = &self.plan.rows.source;
        source.write::<E>(operation, self.change.lsn, self.batch.buffer());
        E::record_end(self.batch.buffer());
        self.plan.value.end(self.batch.buffer());
        Ok(start..self.batch.byte_len())
    }

    fn after<E: Encoding>(&mut self, row: NewRow<'_>) -> Result<(), Error> {
        E::some(self.batch.buffer());
        E::record(self.batch.buffer());
        let mut old = row.old.map(|old| old.columns());
        for (plan, column) in self.plan.rows.columns.iter().zip(row.tuple.columns()) {
            let old = old.as_mut().and_then(Iterator::next);
            let column = filled(column, || old);
            self.has_unchanged |= matches!(column, Column::Unchanged);
            E::field(&plan.field, self.batch.buffer());
            self.column(plan, &plan.encoder, column)?;
        }
        E::record_end(self.batch.buffer());
        Ok(())
    }

    /// What the stream has of an old row. Where that is not whole, a NULL is no value: it was not
    /// sent.
    fn before<E: Encoding>(&mut self, old: OldTuple<'_>) -> Result<(), Error> {
        let rows = &self.plan.rows;
        if old.kind != rows.old_kind {
            return Err(rows.foreign(self.change));
        }
        let mut has_values = rows.is_whole;
        E::some(self.batch.buffer());
        E::record(self.batch.buffer());
        let columns = rows.columns.iter().zip(&rows.before).zip(old.tuple.columns());
        for ((plan, encoder), column) in columns {
            E::field(&plan.field, self.batch.buffer());
            has_values |= column != Column::Null;
            match (rows.absent, column) {
                (Absent::Invented, Column::Null) if !rows.is_whole && !plan.is_identity => {
                    encoder.encode_absent(self.batch.buffer());
                }
                _ => self.column(plan, encoder, column)?,
            }
        }
        E::record_end(self.batch.buffer());
        if has_values {
            return Ok(());
        }
        Err(Error::IdentityNotSent { table: rows.table.clone(), position: self.change.position })
    }

    #[inline]
    fn column(
        &mut self,
        plan: &ColumnPlan,
        encoder: &ColumnEncoder,
        column: Column<'_>,
    ) -> Result<(), Error> {
        let written = encoder.encode(column, self.batch.buffer());
        written.map_err(|source| self.column_error(plan, source))
    }

    #[cold]
    fn column_error(&self, plan: &ColumnPlan, source: encode::Error) -> Error {
        match source {
            encode::Error::Null => {
                self.contradiction(Contradiction::Null { column: plan.name.clone() })
            }
            source => self.encode_error(plan, source),
        }
    }

    fn encode_error(&self, plan: &ColumnPlan, source: encode::Error) -> Error {
        Error::Encode {
            table: self.plan.rows.table.clone(),
            column: plan.name.clone(),
            position: self.change.position,
            source,
        }
    }

    fn is_same(&self, left: Option<&Range<usize>>, right: Option<&Range<usize>>) -> bool {
        left.map(|range| self.batch.slice(range)) == right.map(|range| self.batch.slice(range))
    }

    fn check(&self, tuple: Tuple<'_>) -> Result<(), Error> {
        let (want, found) = (self.plan.rows.columns.len(), tuple.len());
        if want == found {
            return Ok(());
        }
        Err(self.contradiction(Contradiction::ColumnCount { want, found }))
    }

    fn contradiction(&self, contradiction: Contradiction) -> Error {
        Error::Contradiction {
            table: self.plan.rows.table.clone(),
            position: self.change.position,
            contradiction,
        }
    }
}
