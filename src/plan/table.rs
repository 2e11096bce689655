//! The plan of a table: rows to Debezium's envelope, as Avro or as JSON.
//!
//! Everything that configuration, catalog and types can decide is decided in [`TableDraft::compile`].
//! A row then costs one walk over its columns: nothing is looked up by name and nothing allocated.

mod writer;

use self::writer::Writer;
use super::child::Projection;
use super::error::{Contradiction, Error};
use super::frame::{Frame, Framing};
use super::shape::{ColumnShape, Shape};
use super::source::{Place, Source};
use super::topic::{Destination, TABLE_HEADER, TopicFault};
use super::{Context, SchemaId, SchemaRequest, Settings, Step};
use crate::batch::{Batch, TopicId, push_header};
use crate::change::{Change, Op};
use crate::config::{Before, Format, KeyNames, OnTruncate, Timestamp};
use crate::encode::avro::Avro;
use crate::encode::json::Json;
use crate::encode::schema::Field;
use crate::encode::{ColumnEncoder, Modes, Notation, Representation, Values, schema};
use crate::types::Kind;
use crate::wal::{OldTupleKind, Relation, ReplicaIdentity};

/// A table's plan.
#[derive(Debug)]
pub struct TablePlan {
    topic: TopicId,
    /// `None` where records have a null key.
    key: Option<Frame<Framing>>,
    value: Frame<Framing>,
    rows: Rows,
    /// Of a child whose rows are its parent's.
    projection: Option<Box<Projection>>,
}

/// A table's plan before its topic and schemas have their numbers.
#[derive(Debug)]
pub(super) struct TableDraft {
    key: Option<Frame<()>>,
    value: Frame<()>,
    rows: Rows,
    pub(super) projection: Option<Box<Projection>>,
}

/// How the rows of a table are written.
#[derive(Debug)]
struct Rows {
    /// `schema.table`, for errors and metrics.
    table: String,
    columns: Vec<ColumnPlan>,
    /// The key's columns in key order, by their index; empty for a null key.
    key_columns: Vec<(usize, ColumnPlan)>,
    /// The key's first field and its value, which say whose it is where tables share a topic.
    key_field: Option<(String, String)>,
    /// The header that says so, as a batch has it; empty where the topic is the table's alone.
    table_header: Vec<u8>,
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
    truncates: Truncates,
    timestamp: Timestamp,
}

/// Whether TRUNCATE becomes a record, which has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truncates {
    /// The topic is compacted, and takes none without a key.
    LeftOut,
    /// The topic is that of the table that it inherits from, whose rows it would be said to be.
    OfChild,
    /// It is not wanted.
    Off,
    /// Whether the topic takes it is to be asked: with the first one, since they are rare.
    Unknown,
    Written,
}

impl From<OnTruncate> for Truncates {
    fn from(wanted: OnTruncate) -> Self {
        match wanted {
            OnTruncate::LeftOut => Self::Off,
            OnTruncate::Required => Self::Written,
            OnTruncate::Written => Self::Unknown,
        }
    }
}

#[derive(Debug)]
struct ColumnPlan {
    name: String,
    /// What its field is called.
    field: String,
    encoder: ColumnEncoder,
    is_identity: bool,
}

impl ColumnPlan {
    fn new(column: &ColumnShape, field: &str, encoder: ColumnEncoder) -> Self {
        Self {
            name: column.name.clone(),
            field: field.to_owned(),
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

    /// Compiles a table: its draft and its schemas (value first).
    pub(super) fn compile(
        relation: &Relation,
        (shape, destination): (&Shape, &Destination<'_>),
        is_shared: bool,
        settings: &Settings,
    ) -> Result<(Self, Schemas), Error> {
        let topic = &destination.topic;
        shape.refuse_shared_fields()?;
        let before = (!is_shared).then(|| shape.before_fields());
        let (values, key_values) = (&settings.values, key_values(settings));
        let mut schemas = Schemas::default();
        let namespace = settings.value_naming().namespace(topic);
        let schema = schema::envelope(&namespace, &shape.fields(), before.as_deref(), values);
        let value = Frame::of_value(settings.tables.value_format, &schema);
        schemas.add(&value, format!("{topic}-value"), &schema);
        let key = key_frame(relation, (shape, destination), settings, &mut schemas)?;
        let encoder = |it: &ColumnShape, is_optional| {
            ColumnEncoder::compile_as(it.wide, &it.kind, is_optional, value.notation(), values)
                .with_default(it.constant.as_deref())
        };
        let columns = shape
            .columns
            .iter()
            .map(|it| ColumnPlan::new(it, &it.field, encoder(it, it.is_optional)));
        let is_optional_before =
            |it: &ColumnShape| if is_shared { it.is_optional } else { it.is_optional_before };
        let before = shape.columns.iter().map(|it| encoder(it, is_optional_before(it)));
        let key_column = |(index, it): (usize, &ColumnShape)| {
            let notation = key.as_ref().map_or(Notation::Avro, Frame::notation);
            let optional = it.is_optional_in_key;
            let wide = it.wide_in_key;
            let encoder =
                ColumnEncoder::compile_as(wide, &it.key_kind, optional, notation, &key_values);
            (index, ColumnPlan::new(it, &it.field_in_key, encoder))
        };
        let rows = Rows {
            table: shape.table.clone(),
            columns: columns.collect(),
            key_columns: shape.key_columns().map(key_column).collect(),
            key_field: destination.key_field.clone(),
            table_header: table_header(relation, destination),
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
            absent: match settings.tables.before {
                Before::Debezium => Absent::Invented,
                Before::Separate => Absent::Null,
            },
            old_kind: old_kind(relation),
            is_whole: shape.is_whole,
            odd_leaf: shape.odd_leaf.clone(),
            has_tombstones: settings.tables.tombstones,
            truncates: match settings.tables.truncate {
                OnTruncate::LeftOut => Truncates::Off,
                _ if destination.parent.is_some() => Truncates::OfChild,
                wanted => wanted.into(),
            },
            timestamp: settings.records.timestamp,
        };
        Ok((Self { key, value, rows, projection: None }, schemas))
    }

    /// The plan, once its topic and schemas (value first) have their numbers.
    pub(super) fn finish(self, topic: TopicId, ids: &[SchemaId]) -> TablePlan {
        let mut ids = ids.iter().copied();
        let value = self.value.finish(&mut ids);
        let key = self.key.map(|key| key.finish(&mut ids));
        TablePlan { topic, key, value, rows: self.rows, projection: self.projection }
    }
}

/// How keys are framed, if there are any.
fn key_frame(
    relation: &Relation,
    (shape, destination): (&Shape, &Destination<'_>),
    settings: &Settings,
    schemas: &mut Schemas,
) -> Result<Option<Frame<()>>, Error> {
    if shape.key.is_empty() {
        return Ok(None);
    }
    let Destination { topic, key_field, .. } = destination;
    let fields = key_fields(relation, shape, key_field.as_ref())?;
    let namespace = key_namespace(topic, &fields, settings);
    let schema = schema::key(&namespace, &fields, &key_values(settings));
    let key = Frame::of_key(settings.tables.key_format, &schema, fields.len());
    schemas.add(&key, format!("{topic}-key"), &schema);
    Ok(Some(key))
}

/// The fields of keys: that which says whose they are comes first.
fn key_fields<'a>(
    relation: &Relation,
    shape: &'a Shape,
    key_field: Option<&'a (String, String)>,
) -> Result<Vec<Field<'a>>, Error> {
    let columns = shape.key_fields();
    let Some((name, _)) = key_field else { return Ok(columns) };
    if columns.iter().any(|field| field.name == name) {
        return Err(TopicFault::KeyField { field: name.clone() }.of(relation));
    }
    Ok(std::iter::once(Field::new(name, &Kind::Text, false)).chain(columns).collect())
}

fn table_header(relation: &Relation, destination: &Destination<'_>) -> Vec<u8> {
    let mut header = Vec::new();
    if let Some(table) = destination.sharing(relation).table {
        push_header(&mut header, TABLE_HEADER, Some(table.as_bytes()));
    }
    header
}

/// The schemas of a table's records, value first.
#[derive(Debug, Default)]
pub(super) struct Schemas {
    /// Those to register.
    pub(super) requests: Vec<SchemaRequest>,
    /// All of them, also of what is written as JSON.
    pub(super) layouts: Vec<String>,
}

impl Schemas {
    fn add(&mut self, frame: &Frame<()>, subject: String, schema: &serde_json::Value) {
        let schema_json = schema.to_string();
        self.layouts.push(schema_json.clone());
        if matches!(frame, Frame::Avro(())) {
            self.requests.push(SchemaRequest { subject, schema_json });
        }
    }
}

/// The letter of a table's old rows.
fn old_kind(relation: &Relation) -> OldTupleKind {
    match relation.identity {
        ReplicaIdentity::Full => OldTupleKind::Full,
        _ => OldTupleKind::Key,
    }
}

/// The subjects of a table's schemas, as far as it has any.
pub(super) fn subjects(topic: &str, settings: &Settings) -> Vec<String> {
    let tables = &settings.tables;
    let sides = [("value", tables.value_format), ("key", tables.key_format)];
    let sides = sides.into_iter().filter(|(_, format)| *format == Format::Avro);
    sides.map(|(side, _)| format!("{topic}-{side}")).collect()
}

/// What the record of a table's keys is under. Its own name is the same by topics and by columns, since a
/// registry's rule compares that.
fn key_namespace(topic: &str, fields: &[Field<'_>], settings: &Settings) -> String {
    match settings.tables.key_names {
        KeyNames::Columns => {
            let names: Vec<_> = fields.iter().map(|field| field.name).collect();
            format!("walbrook.key.{}", names.join("."))
        }
        KeyNames::Topic => settings.key_naming().namespace(topic),
    }
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
        if let Some(mut projection) = self.projection.take() {
            let step = self.encode_of_child(&mut projection, change, context, batch);
            self.projection = Some(projection);
            return step;
        }
        self.prepare_source(change, context.now_us);
        Writer::new(self, change, context, batch).write()
    }

    /// The same of a child's change, as one of its parent's.
    #[cold]
    fn encode_of_child(
        &mut self,
        projection: &mut Projection,
        change: &Change<'_>,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        match projection.of(change) {
            // There is nothing to project any more.
            Ok(change) => self.encode(&change, context, batch),
            Err((want, found)) => Err(Error::Contradiction {
                table: self.rows.table.clone(),
                position: change.position,
                contradiction: Contradiction::ColumnCount { want, found },
            }),
        }
    }

    /// Whether the topic is compacted.
    pub(super) fn take_policy(&mut self, is_compacted: bool) {
        self.rows.truncates = if is_compacted { Truncates::LeftOut } else { Truncates::Written };
    }

    fn prepare_source(&mut self, change: &Change<'_>, now_us: i64) {
        let source = &mut self.rows.source;
        let is_read = matches!(change.op, Op::Absent { .. } | Op::Read { .. });
        match self.value.notation() {
            Notation::Avro => source.prepare::<Avro>(is_read, change.xact, now_us),
            Notation::Json => source.prepare::<Json>(is_read, change.xact, now_us),
        }
    }
}
