//! The plan of a table: rows to Debezium's envelope, as Avro or as JSON.
//!
//! Everything that configuration, catalog and types can decide is decided in [`TableDraft::compile`].
//! A row then costs one walk over its columns: nothing is looked up by name and nothing allocated.

use std::ops::Range;

use super::error::{Contradiction, Error};
use super::frame::{Frame, Framing};
use super::shape::{ColumnShape, Shape, column_at, filled, refuse_shared_fields, table_topic};
use super::source::{Operation, Place, Source};
use super::{Context, SchemaId, SchemaRequest, Settings, Skip, Step, timestamp_ms};
use crate::batch::{self, Batch, Record, TopicId, push_header};
use crate::change::{Change, Op};
use crate::config::{Before, Format, Timestamp};
use crate::encode::avro::Avro;
use crate::encode::json::Json;
use crate::encode::{
    self, ColumnEncoder, Encoding, Modes, Notation, Representation, Values, schema,
};
use crate::wal::{Column, OldTuple, OldTupleKind, Relation, ReplicaIdentity, Tuple};

/// A table's plan.
#[derive(Debug)]
pub struct TablePlan {
    topic: TopicId,
    /// `None` where records have a null key.
    key: Option<Frame<Framing>>,
    value: Frame<Framing>,
    rows: Rows,
}

/// A table's plan before its topic and schemas have their numbers.
#[derive(Debug)]
pub(super) struct TableDraft {
    key: Option<Frame<()>>,
    value: Frame<()>,
    rows: Rows,
}

/// How the rows of a table are written.
#[derive(Debug)]
struct Rows {
    /// `schema.table`, for errors and metrics.
    table: String,
    columns: Vec<ColumnPlan>,
    /// The key's columns in key order, by their index; empty for a null key.
    key_columns: Vec<(usize, ColumnPlan)>,
    source: Source,
    /// The columns in `before`.
    before: Vec<ColumnEncoder>,
    absent: Absent,
    /// The kind of old rows that the stream has; what they carry is their partition's matter.
    old_kind: OldTupleKind,
    /// Whether old rows are whole, so that a NULL in them is one.
    is_whole: bool,
    /// A partition whose old rows lack what those of the table should have.
    odd_leaf: Option<(String, String)>,
    has_tombstones: bool,
    has_truncates: bool,
    timestamp: Timestamp,
}

#[derive(Debug)]
struct ColumnPlan {
    name: String,
    /// The name that Avro allows.
    field: String,
    encoder: ColumnEncoder,
    is_identity: bool,
}

impl ColumnPlan {
    fn new(column: &ColumnShape, encoder: ColumnEncoder) -> Self {
        Self {
            name: column.name.clone(),
            field: schema::adjust_name(&column.name),
            encoder,
            is_identity: column.is_identity,
        }
    }
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
        &self.rows.table
    }

    /// Compiles a table: its draft, its topic, and the schemas to register (value first).
    pub(super) fn compile(
        relation: &Relation,
        shape: &Shape,
        settings: &Settings,
    ) -> Result<(Self, String, Vec<SchemaRequest>), Error> {
        let topic = table_topic(&settings.prefix, relation)?;
        refuse_shared_fields(&shape.table, shape.columns.iter().map(|column| &*column.name))?;
        let is_separate = settings.tables.before == Before::Separate && !shape.is_whole;
        let before = is_separate.then(|| shape.before_fields());
        let (values, key_values) = (&settings.values, key_values(settings));
        let mut schemas = Vec::new();
        let mut request = |frame: &Frame<()>, side, schema: &serde_json::Value| {
            if matches!(frame, Frame::Avro(())) {
                let subject = format!("{topic}-{side}");
                schemas.push(SchemaRequest { subject, schema_json: schema.to_string() });
            }
        };
        let schema = schema::envelope(&topic, &shape.fields(), before.as_deref(), values);
        let value = Frame::of_value(settings.tables.value_format, &schema);
        request(&value, "value", &schema);
        let key = (!shape.key.is_empty()).then(|| {
            let schema = schema::key(&topic, &shape.key_fields(), &key_values);
            let key = Frame::of_key(settings.tables.key_format, &schema, shape.key.len());
            request(&key, "key", &schema);
            key
        });
        let encoder = |it: &ColumnShape, is_optional| {
            ColumnEncoder::compile(&it.kind, is_optional, value.notation(), values)
                .with_default(it.default.as_deref())
        };
        let columns =
            shape.columns.iter().map(|it| ColumnPlan::new(it, encoder(it, it.is_optional)));
        let before = shape
            .columns
            .iter()
            .map(|it| encoder(it, it.is_optional || is_separate && !it.is_identity));
        let key_column = |(index, it): (usize, &ColumnShape)| {
            let notation = key.as_ref().map_or(Notation::Avro, Frame::notation);
            let optional = it.is_optional_in_key;
            let encoder = ColumnEncoder::compile(&it.key_kind, optional, notation, &key_values);
            (index, ColumnPlan::new(it, encoder))
        };
        let rows = Rows {
            table: shape.table.clone(),
            columns: columns.collect(),
            key_columns: shape.key_columns().map(key_column).collect(),
            source: Source::new(
                Place {
                    prefix: &settings.prefix,
                    database: &settings.database,
                    namespace: &relation.namespace,
                    table: &relation.name,
                },
                value.notation(),
            ),
            before: before.collect(),
            absent: if is_separate { Absent::Null } else { Absent::Invented },
            old_kind: match relation.identity {
                ReplicaIdentity::Full => OldTupleKind::Full,
                _ => OldTupleKind::Key,
            },
            is_whole: shape.is_whole,
            odd_leaf: shape.odd_leaf.clone(),
            has_tombstones: settings.tables.tombstones,
            has_truncates: settings.tables.truncate,
            timestamp: settings.records.timestamp,
        };
        Ok((Self { key, value, rows }, topic, schemas))
    }

    /// The plan, once its topic and schemas (value first) have their numbers.
    pub(super) fn finish(self, topic: TopicId, ids: &[SchemaId]) -> TablePlan {
        let mut ids = ids.iter().copied();
        let value = self.value.finish(&mut ids);
        let key = self.key.map(|key| key.finish(&mut ids));
        TablePlan { topic, key, value, rows: self.rows }
    }
}

/// The subjects of a table's schemas, as far as it has any.
pub(super) fn subjects(topic: &str, settings: &Settings) -> Vec<String> {
    let tables = &settings.tables;
    let sides = [("value", tables.value_format), ("key", tables.key_format)];
    let sides = sides.into_iter().filter(|(_, format)| *format == Format::Avro);
    sides.map(|(side, _)| format!("{topic}-{side}")).collect()
}

/// How the values of keys become fields. A key of several columns as a string is JSON, which has
/// Debezium's representation.
fn key_values(settings: &Settings) -> Values {
    let values = settings.values.of_keys();
    match (settings.tables.key_format, values.representation) {
        (Format::String, Representation::Avro) => {
            Values { representation: Representation::Debezium(Modes::default()), ..values }
        }
        _ => values,
    }
}

impl Rows {
    fn foreign(&self, change: &Change<'_>) -> Error {
        let plan = format!("table {}", self.table);
        Error::Foreign { plan, position: change.position }
    }
}

impl TablePlan {
    /// Writes the records of a change. On an error the batch may hold a part of them.
    pub(super) fn encode(
        &mut self,
        change: &Change<'_>,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        if let Op::Read { .. } = change.op {
            self.prepare_read(change, context.now_us);
        }
        let mut writer =
            Writer { plan: self, change, context, batch, part: 0, has_unchanged: false };
        match change.op {
            Op::Insert { new, .. } => writer.insert(new)?,
            Op::Update { old, new, .. } => writer.update(old, new)?,
            Op::Delete { old, .. } => writer.delete(old)?,
            Op::Read { part, new, .. } => writer.read(part, new)?,
            Op::Truncate { .. } if !self.rows.has_truncates => {
                return Ok(Step::Skipped(Skip::Truncate));
            }
            Op::Truncate { part, .. } => writer.truncate(part)?,
            Op::Message { .. } => {
                return Err(self.rows.foreign(change));
            }
        }
        Ok(Step::Done)
    }

    fn prepare_read(&mut self, change: &Change<'_>, now_us: i64) {
        let source = &mut self.rows.source;
        match self.value.notation() {
            Notation::Avro => source.prepare_read::<Avro>(change, now_us),
            Notation::Json => source.prepare_read::<Json>(change, now_us),
        }
    }
}

/// The header that lists the columns whose unchanged values the stream does not carry.
const UNCHANGED_HEADER: &str = "walbrook.unchanged";

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
struct Writer<'a, 'b> {
    plan: &'a TablePlan,
    change: &'a Change<'b>,
    context: &'a Context,
    batch: &'a mut Batch,
    part: u32,
    /// Whether the new row written last lacks values that did not change.
    has_unchanged: bool,
}

impl Writer<'_, '_> {
    fn insert(&mut self, new: Tuple<'_>) -> Result<(), Error> {
        self.row(Operation::Create, new)
    }

    fn read(&mut self, part: u32, new: Tuple<'_>) -> Result<(), Error> {
        self.part = part;
        self.row(Operation::Read, new)
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
        self.gone(old_key, old)?;
        let value = self.value(Operation::Create, None, Some(row))?;
        self.push_row(Operation::Create, key, value, row);
        Ok(())
    }

    fn delete(&mut self, old: OldTuple<'_>) -> Result<(), Error> {
        self.check(old.tuple)?;
        let key = self.key(Keyed::Old(old.tuple))?;
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
        let end = self.batch.byte_len();
        self.push_with(operation, key, value, end..end);
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
        if self.has_unchanged {
            self.unchanged_header(row);
        }
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
        source.write::<E>(operation, self.change, self.context.now_us, self.batch.buffer());
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

    fn column(
        &mut self,
        plan: &ColumnPlan,
        encoder: &ColumnEncoder,
        column: Column<'_>,
    ) -> Result<(), Error> {
        if column == Column::Null && !encoder.is_optional() {
            return Err(self.contradiction(Contradiction::Null { column: plan.name.clone() }));
        }
        let written = encoder.encode(column, self.batch.buffer());
        written.map_err(|source| self.encode_error(plan, source))
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
