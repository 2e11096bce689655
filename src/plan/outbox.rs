//! The plan of an outbox table: each INSERT is one event (and each row that was pending), by the rules of Debezium's event router.
//!
//! Key, route, id and headers are the text of their columns, the value is the payload. A DELETE is
//! nothing (an application may delete the row in the transaction that wrote it), an UPDATE is a
//! warning or an error, also one that moves a row to another partition; TRUNCATE is nothing. Unlike Debezium's, a topic is never made of a value
//! that is not a legal name, and the event type is a header by default.
//!
//! Source: <https://debezium.io/documentation/reference/stable/transformations/outbox-event-router.html>

use super::error::{Contradiction, Error, EventFault, EventId};
use super::routing::{Event, Output, Router, RouterDraft};
use super::shape::{Shape, column_at};
use super::text::{self, Text};
use super::{Context, Skip, Step};
use crate::batch::{Batch, TopicTable, push_header};
use crate::change::{Change, Op};
use crate::config::{OnNullRoute, OnOutboxUpdate, Outbox, Timestamp};
use crate::facts::TableFacts;
use crate::position::Lsn;
use crate::types::{Bytea, Datum, Kind};
use crate::wal::{Column, Tuple};

/// The header that names the PostgreSQL schema of an event, where events of several have one topic.
const SCHEMA_HEADER: &str = "walbrook.schema";

/// An outbox table's plan.
#[derive(Debug)]
pub struct OutboxPlan {
    pub(super) router: Router,
    columns: Columns,
    /// Buffers that are reused from event to event.
    scratch: Scratch,
}

/// An outbox table's plan before its dead-letter topic has its number.
#[derive(Debug)]
pub(super) struct OutboxDraft {
    router: RouterDraft,
    columns: Columns,
}

#[derive(Debug)]
struct Columns {
    /// `<schema>.<table>`, for errors.
    table: String,
    /// The outbox's own name, of which the table may be a partition.
    outbox: (String, String),
    /// Whether others like it write to the same topics, so that events say where they are from.
    is_one_of_many: bool,
    /// Whether an UPDATE may move rows to another partition.
    is_partitioned: bool,
    count: usize,
    id: EventColumn,
    key: EventColumn,
    route: EventColumn,
    event_type: Option<EventColumn>,
    /// Column and header name.
    headers: Vec<(EventColumn, String)>,
    payload: EventColumn,
    /// Whether an empty payload is a null value.
    has_tombstones: bool,
    on_update: OnOutboxUpdate,
    on_null_route: OnNullRoute,
}

/// A column that is a part of the event.
#[derive(Debug)]
struct EventColumn {
    name: String,
    index: usize,
    kind: Kind,
}

/// The row of a partitioned outbox that was deleted last. One with its id that is inserted in the
/// same transaction is the same row in another partition: PostgreSQL inserts it directly after, so
/// that the last one is all there is to remember. A batch is not cut between the two, since a DELETE
/// fills none, so this need not outlive the process (but where a trigger writes other rows between).
#[derive(Debug, Default)]
pub struct LastDeleted {
    /// Of its transaction; [`Lsn::ZERO`] is none's.
    commit_lsn: Lsn,
    outbox: (String, String),
    id: Vec<u8>,
}

#[derive(Debug, Default)]
struct Scratch {
    headers: Vec<u8>,
    payload: Vec<u8>,
}

impl OutboxDraft {
    /// Finds the configured columns and compiles the routing, of the outbox in a PostgreSQL schema.
    pub(super) fn compile(
        shape: &Shape,
        facts: &TableFacts,
        (outbox, namespace): (&Outbox, &str),
        timestamp: Timestamp,
    ) -> Result<Self, Error> {
        check_columns(shape, outbox)?;
        let text = |name: &String, usage| text_column(shape, name, usage);
        let headers = outbox.headers.iter().map(|(column, header)| {
            text(column, "a header").map(|column| (column, header.clone()))
        });
        let columns = Columns {
            table: shape.table.clone(),
            outbox: (namespace.to_owned(), outbox.table.clone()),
            is_one_of_many: outbox.is_pattern(),
            is_partitioned: facts.is_partitioned,
            count: shape.columns.len(),
            id: text(&outbox.id_column, "the event's id")?,
            key: text(&outbox.key_column, "the record's key")?,
            route: text(&outbox.route_column, "the route")?,
            event_type: outbox
                .type_column
                .as_ref()
                .map(|name| text(name, "the event's type"))
                .transpose()?,
            headers: headers.collect::<Result<_, _>>()?,
            payload: payload_column(shape, outbox)?,
            has_tombstones: outbox.tombstone_on_empty_payload,
            on_update: outbox.on_update,
            on_null_route: outbox.on_null_route,
        };
        let router = RouterDraft::compile(shape.table.clone(), &outbox.routing, timestamp)?;
        Ok(Self { router, columns })
    }

    pub(super) fn topics(&self) -> Vec<String> {
        self.router.topics()
    }

    pub(super) fn finish(self, topics: &mut TopicTable) -> OutboxPlan {
        OutboxPlan {
            router: self.router.finish(topics),
            columns: self.columns,
            scratch: Scratch::default(),
        }
    }
}

impl OutboxPlan {
    /// Writes the record of an event. On an error the batch may hold a part of it.
    pub(super) fn encode(
        &mut self,
        change: &Change<'_>,
        context: &Context,
        last_deleted: &mut LastDeleted,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        let row = match change.op {
            Op::Insert { new, .. } | Op::Pending { new, .. } => new,
            Op::Update { new, .. } => return self.updated(new, change),
            Op::Delete { old, .. } => {
                self.columns.note_deleted(old.tuple, change, last_deleted);
                return Ok(Step::Skipped(Skip::OutboxDelete));
            }
            Op::Truncate { .. } => return Ok(Step::Skipped(Skip::OutboxTruncate)),
            Op::Absent { .. } | Op::Message { .. } | Op::Read { .. } => {
                return Err(self.router.foreign(change));
            }
        };
        self.columns.check(row, change)?;
        if self.columns.is_moved(row, change, last_deleted) {
            return self.updated(row, change);
        }
        let Self { router, columns, scratch } = self;
        if columns.on_null_route != OnNullRoute::DeadLetter && columns.has_no_route(row) {
            return columns.unrouted(router, row, change);
        }
        let mut fault = None;
        let values = columns.values(row, scratch, &mut fault);
        router.write(&values.event(scratch), fault, &mut Output { change, context, batch })
    }

    fn updated(&self, row: Tuple<'_>, change: &Change<'_>) -> Result<Step, Error> {
        match self.columns.on_update {
            OnOutboxUpdate::Warn => Ok(Step::Skipped(Skip::OutboxUpdate)),
            OnOutboxUpdate::Fail => {
                let id = self.columns.event_id(row);
                Err(self.router.error(id, change, EventFault::Updated))
            }
        }
    }
}

/// What a row says, as far as it can be read; headers and a decoded payload are in the scratch.
struct Values<'a> {
    id: Option<Text<'a>>,
    key: Option<Text<'a>>,
    route: Option<Text<'a>>,
    event_type: Option<Text<'a>>,
    payload: Payload<'a>,
}

#[derive(Clone, Copy)]
enum Payload<'a> {
    /// As it came.
    Borrowed(&'a [u8]),
    Null,
    /// In [`Scratch::payload`].
    Scratch,
}

impl Values<'_> {
    fn event<'a>(&'a self, scratch: &'a Scratch) -> Event<'a> {
        Event {
            id: self.id.as_ref().map(Text::as_bytes),
            key: self.key.as_ref().map(Text::as_bytes),
            route: self.route.as_ref().map(Text::as_str),
            event_type: self.event_type.as_ref().map(Text::as_bytes),
            payload: match &self.payload {
                Payload::Borrowed(bytes) => Some(bytes),
                Payload::Null => None,
                Payload::Scratch => Some(&scratch.payload),
            },
            headers: &scratch.headers,
        }
    }
}

impl Columns {
    fn check(&self, row: Tuple<'_>, change: &Change<'_>) -> Result<(), Error> {
        let (want, found) = (self.count, row.len());
        if want == found {
            return Ok(());
        }
        Err(Error::Contradiction {
            table: self.table.clone(),
            position: change.position,
            contradiction: Contradiction::ColumnCount { want, found },
        })
    }

    /// Remembers a deleted row whose id is in the stream.
    fn note_deleted(&self, row: Tuple<'_>, change: &Change<'_>, last_deleted: &mut LastDeleted) {
        last_deleted.commit_lsn = Lsn::ZERO;
        if let (true, Ok(Some(id))) = (self.is_partitioned, self.id.text(row)) {
            last_deleted.commit_lsn = change.position.commit_lsn;
            last_deleted.outbox.clone_from(&self.outbox);
            last_deleted.id.clear();
            last_deleted.id.extend_from_slice(id.as_bytes());
        }
    }

    /// Whether the row was in another partition before.
    fn is_moved(&self, row: Tuple<'_>, change: &Change<'_>, last_deleted: &LastDeleted) -> bool {
        let LastDeleted { commit_lsn, outbox, id } = last_deleted;
        *commit_lsn == change.position.commit_lsn
            && *outbox == self.outbox
            && matches!(self.id.text(row), Ok(Some(text)) if text.as_bytes() == id)
    }

    /// Whether the route is NULL or empty.
    fn has_no_route(&self, row: Tuple<'_>) -> bool {
        matches!(self.route.text(row), Ok(route) if route.as_ref().is_none_or(|it| it.as_str().is_empty()))
    }

    /// What a row without a route comes to.
    fn unrouted(
        &self,
        router: &Router,
        row: Tuple<'_>,
        change: &Change<'_>,
    ) -> Result<Step, Error> {
        if self.on_null_route == OnNullRoute::Skip {
            return Ok(Step::Skipped(Skip::OutboxRoute));
        }
        let fault = EventFault::NoRoute { column: self.route.name.clone() };
        Err(router.error(self.event_id(row), change, fault))
    }

    /// The event's id for an error.
    fn event_id(&self, row: Tuple<'_>) -> EventId {
        match self.id.text(row) {
            Ok(Some(id)) => EventId::new(id.as_bytes()),
            _ => EventId::unknown(),
        }
    }

    /// What can be read of a row, and why it is no event, if so: the first reason.
    fn values<'a>(
        &self,
        row: Tuple<'a>,
        scratch: &mut Scratch,
        fault: &mut Option<EventFault>,
    ) -> Values<'a> {
        let mut read = |text: Result<Option<Text<'a>>, EventFault>| {
            text.unwrap_or_else(|found| {
                fault.get_or_insert(found);
                None
            })
        };
        let id = read(self.id.not_null(row));
        let event_type = self.event_type.as_ref().and_then(|column| read(column.text(row)));
        scratch.headers.clear();
        push_header(&mut scratch.headers, "id", id.as_ref().map(Text::as_bytes));
        if self.event_type.is_some() {
            let value = event_type.as_ref().map(Text::as_bytes);
            push_header(&mut scratch.headers, "eventType", value);
        }
        for (column, header) in &self.headers {
            let value = read(column.text(row));
            push_header(&mut scratch.headers, header, value.as_ref().map(Text::as_bytes));
        }
        if self.is_one_of_many {
            push_header(&mut scratch.headers, SCHEMA_HEADER, Some(self.outbox.0.as_bytes()));
        }
        let key = read(self.key.text(row));
        let route = read(self.route.not_null(row));
        let payload = self.payload(row, &mut scratch.payload).unwrap_or_else(|found| {
            fault.get_or_insert(found);
            self.payload.raw(row)
        });
        Values { id, key, route, event_type, payload }
    }

    fn payload<'a>(
        &self,
        row: Tuple<'a>,
        scratch: &mut Vec<u8>,
    ) -> Result<Payload<'a>, EventFault> {
        let payload = match self.payload.datum(row)? {
            None => return Ok(Payload::Null),
            Some(Datum::Bytea(Bytea::Raw(bytes))) => Payload::Borrowed(bytes),
            Some(Datum::Bytea(bytes)) => {
                scratch.clear();
                bytes.append_to(scratch);
                Payload::Scratch
            }
            Some(Datum::Text(text)) => Payload::Borrowed(text.as_bytes()),
            Some(_) => return Err(EventFault::Form { column: self.payload.name.clone() }),
        };
        let bytes = match payload {
            Payload::Borrowed(bytes) => bytes,
            Payload::Null | Payload::Scratch => scratch,
        };
        let is_empty = bytes.iter().all(u8::is_ascii_whitespace);
        Ok(if is_empty && self.has_tombstones { Payload::Null } else { payload })
    }
}

impl EventColumn {
    /// The column's value; `None` is NULL.
    fn datum<'a>(&self, row: Tuple<'a>) -> Result<Option<Datum<'a>>, EventFault> {
        let column = column_at(row, None, self.index).unwrap_or(Column::Null);
        if column == Column::Unchanged {
            return Err(EventFault::Unavailable { column: self.name.clone() });
        }
        text::datum(&self.kind, column).map_err(|_| EventFault::Form { column: self.name.clone() })
    }

    fn text<'a>(&self, row: Tuple<'a>) -> Result<Option<Text<'a>>, EventFault> {
        Ok(self.datum(row)?.and_then(text::text))
    }

    /// The column's text, which is there.
    fn not_null<'a>(&self, row: Tuple<'a>) -> Result<Option<Text<'a>>, EventFault> {
        match self.text(row)? {
            None => Err(EventFault::Null { column: self.name.clone() }),
            text => Ok(text),
        }
    }

    /// What the stream has of a payload that is not readable.
    fn raw<'a>(&self, row: Tuple<'a>) -> Payload<'a> {
        match column_at(row, None, self.index) {
            Some(Column::Binary(bytes) | Column::Text(bytes)) => Payload::Borrowed(bytes),
            _ => Payload::Null,
        }
    }
}

fn check_columns(shape: &Shape, outbox: &Outbox) -> Result<(), Error> {
    let headers = outbox.headers.iter().map(|(column, _)| column.as_str());
    let columns: Vec<String> = outbox
        .columns()
        .chain(headers)
        .filter(|name| shape.columns.iter().all(|column| column.name != *name))
        .map(str::to_owned)
        .collect();
    if columns.is_empty() {
        return Ok(());
    }
    Err(Error::OutboxColumns { table: shape.table.clone(), columns })
}

fn text_column(shape: &Shape, name: &str, usage: &'static str) -> Result<EventColumn, Error> {
    let column = event_column(shape, name)?;
    if text::has_text(&column.kind) { Ok(column) } else { Err(outbox_type(shape, name, usage)) }
}

fn payload_column(shape: &Shape, outbox: &Outbox) -> Result<EventColumn, Error> {
    let column = event_column(shape, &outbox.payload_column)?;
    let has_schemas = !outbox.routing.schemas.is_empty();
    let usage = match &column.kind {
        Kind::Bytea if has_schemas => "a JSON payload, which payload schemas need",
        Kind::Bytea | Kind::Json | Kind::Jsonb | Kind::Text => return Ok(column),
        _ => "the payload",
    };
    Err(outbox_type(shape, &column.name, usage))
}

fn event_column(shape: &Shape, name: &str) -> Result<EventColumn, Error> {
    let mut columns = shape.columns.iter().enumerate();
    let found = columns.find(|(_, column)| column.name == name).map(|(index, column)| {
        EventColumn { name: name.to_owned(), index, kind: column.kind.clone() }
    });
    found.ok_or_else(|| Error::OutboxColumns {
        table: shape.table.clone(),
        columns: vec![name.to_owned()],
    })
}

fn outbox_type(shape: &Shape, column: &str, usage: &'static str) -> Error {
    Error::OutboxType { table: shape.table.clone(), column: column.to_owned(), usage }
}
