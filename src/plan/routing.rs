//! Where outbox events go and how their payload is written.
//!
//! Shared by the two outboxes, with and without a table. A topic comes from the template and the
//! route value, must be a legal name as it is, and must match the allow-pattern whole; it is asked
//! for once and then known by its route value. An event that has no such topic, or cannot be written,
//! goes to the dead-letter topic, where there is one.

use std::collections::HashMap;
use std::ops::Range;

use regex::Regex;

use super::error::{Error, EventFault, EventId};
use super::frame::Framing;
use super::letters;
use super::payload::{Misfit, PayloadEncoder};
use super::shape::is_topic_name;
use super::{Context, Route, SchemaId, SchemaRequest, Step, timestamp_ms};
use crate::batch::{Batch, Operation, Record, TopicId, TopicTable, push_header};
use crate::change::{Change, Op};
use crate::config::{Routing, Timestamp};

/// The most topics that one outbox may have; an event for one more is refused, since route values
/// come from rows.
const TOPICS_MAX: usize = 10_000;

/// One outbox's way to its topics, before the dead-letter topic has its number.
#[derive(Debug)]
pub(super) struct RouterDraft {
    router: Router,
    dead_letter_topic: Option<String>,
}

/// One outbox's way to its topics.
#[derive(Debug)]
pub(super) struct Router {
    /// `schema.table`, or `logical messages`: for errors and metrics.
    outbox: String,
    template: String,
    allow: Regex,
    schemas: HashMap<String, Vec<RouteSchema>>,
    destinations: HashMap<String, Destination>,
    dead_letter: Option<TopicId>,
    timestamp: Timestamp,
}

/// The schema of a route value's payloads.
#[derive(Debug)]
struct RouteSchema {
    /// `None` is every event type that has no schema of its own.
    event_type: Option<String>,
    schema_json: String,
    encoder: PayloadEncoder,
}

#[derive(Debug)]
struct Destination {
    topic: TopicId,
    /// One for each of the route's schemas.
    framings: Vec<Framing>,
}

/// An event as far as a row or a message could be read; without a fault it has its id and route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    pub(super) id: Option<&'a [u8]>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) route: Option<&'a str>,
    pub(super) event_type: Option<&'a [u8]>,
    /// `None` is a null value.
    pub(super) payload: Option<&'a [u8]>,
    /// All headers, as [`push_header`] writes them.
    pub(super) headers: &'a [u8],
}

/// Where the record of a change goes, with what it needs to know.
pub(super) struct Output<'a, 'b> {
    pub(super) change: &'a Change<'b>,
    pub(super) context: &'a Context,
    pub(super) batch: &'a mut Batch,
}

impl RouterDraft {
    /// Compiles the allow-pattern and the payload schemas.
    pub(super) fn compile(
        outbox: String,
        routing: &Routing,
        timestamp: Timestamp,
    ) -> Result<Self, Error> {
        let pattern = routing.topic_allow.as_str();
        let allow = Regex::new(&format!(r"\A(?:{pattern})\z"))
            .map_err(|_| Error::TopicAllow { pattern: pattern.to_owned() })?;
        let mut schemas: HashMap<String, Vec<RouteSchema>> = HashMap::new();
        for schema in &routing.schemas {
            let encoder = PayloadEncoder::compile(&schema.schema_json)
                .map_err(|source| Error::PayloadSchema { route: schema.route.clone(), source })?;
            schemas.entry(schema.route.clone()).or_default().push(RouteSchema {
                event_type: schema.event_type.clone(),
                schema_json: schema.schema_json.clone(),
                encoder,
            });
        }
        let router = Router {
            outbox,
            template: routing.topic_template.clone(),
            allow,
            schemas,
            destinations: HashMap::new(),
            dead_letter: None,
            timestamp,
        };
        Ok(Self { router, dead_letter_topic: routing.dead_letter_topic.clone() })
    }

    /// Topics that must exist before the first event.
    pub(super) fn topics(&self) -> Vec<String> {
        self.dead_letter_topic.iter().cloned().collect()
    }

    pub(super) fn finish(self, topics: &mut TopicTable) -> Router {
        let dead_letter =
            self.dead_letter_topic.map(|topic| topics.intern(&topic, &self.router.outbox));
        Router { dead_letter, ..self.router }
    }
}

impl Router {
    /// Takes the answer to [`Step::Need`].
    pub(super) fn add(&mut self, route: &Route, topics: &mut TopicTable, ids: &[SchemaId]) {
        let framings = ids.iter().copied().map(Framing::new).collect();
        let destination =
            Destination { topic: topics.intern(&route.topic, &self.outbox), framings };
        self.destinations.insert(route.value.clone(), destination);
    }

    /// Writes an event's record; one that has a fault goes to the dead-letter topic, or is an error.
    /// On an error or a need the batch may hold a part of it.
    pub(super) fn write(
        &self,
        event: &Event<'_>,
        fault: Option<EventFault>,
        output: &mut Output<'_, '_>,
    ) -> Result<Step, Error> {
        if let Some(fault) = fault {
            return self.refuse(event, fault, output);
        }
        let route = event.route.unwrap_or_default();
        let Some(destination) = self.destinations.get(route) else {
            return match self.ask(route) {
                Ok(route) => Ok(Step::Need(route)),
                Err(fault) => self.refuse(event, fault, output),
            };
        };
        let value = match self.value(event, route, destination, output.batch) {
            Ok(value) => value,
            Err(misfit) => return self.refuse(event, EventFault::Payload(misfit), output),
        };
        let key = event.key.map(|key| append(output.batch, key));
        let headers = append(output.batch, event.headers);
        self.push(Operation::Outbox, destination.topic, key, value, headers, output);
        Ok(Step::Done)
    }

    /// An error about an event.
    pub(super) fn error(&self, id: EventId, change: &Change<'_>, fault: EventFault) -> Error {
        Error::Event {
            outbox: self.outbox.clone(),
            id,
            position: change.position,
            fault: Box::new(fault),
        }
    }

    /// The change belongs to another plan.
    pub(super) fn foreign(&self, change: &Change<'_>) -> Error {
        Error::Foreign { plan: self.outbox.clone(), position: change.position }
    }

    /// An event that cannot be written goes to the dead-letter topic as it is, or is an error.
    fn refuse(
        &self,
        event: &Event<'_>,
        fault: EventFault,
        output: &mut Output<'_, '_>,
    ) -> Result<Step, Error> {
        let Some(topic) = self.dead_letter else {
            let id = event.id.map_or_else(EventId::unknown, EventId::new);
            return Err(self.error(id, output.change, fault));
        };
        let value = event.payload.map(|payload| append(output.batch, payload));
        let key = event.key.map(|key| append(output.batch, key));
        let headers = append(output.batch, event.headers);
        let meant = event.route.map(|route| self.topic(route));
        let meant = event.route.zip(meant.as_deref());
        let headers = self.push_reason(headers, &fault, meant, output.batch);
        self.push(Operation::DeadLetter, topic, key, value, headers, output);
        Ok(Step::Done)
    }

    /// Extends headers that are last in the batch's buffer by those of a dead letter.
    fn push_reason(
        &self,
        headers: Range<usize>,
        fault: &EventFault,
        meant: Option<(&str, &str)>,
        batch: &mut Batch,
    ) -> Range<usize> {
        let buffer = batch.buffer();
        push_header(buffer, letters::ERROR, Some(format!("{fault:#}").as_bytes()));
        push_header(buffer, letters::OUTBOX, Some(self.outbox.as_bytes()));
        if let Some((route, topic)) = meant {
            push_header(buffer, letters::ROUTE, Some(route.as_bytes()));
            push_header(buffer, letters::TOPIC, Some(topic.as_bytes()));
        }
        headers.start..batch.byte_len()
    }

    /// The record's value; `None` for null.
    fn value(
        &self,
        event: &Event<'_>,
        route: &str,
        destination: &Destination,
        batch: &mut Batch,
    ) -> Result<Option<Range<usize>>, Misfit> {
        let Some(payload) = event.payload else { return Ok(None) };
        let Some((framing, schema)) = self.schema(event, route, destination) else {
            return Ok(Some(append(batch, payload)));
        };
        let mark = batch.mark();
        let start = batch.byte_len();
        framing.write(batch.buffer());
        match schema.encoder.encode(payload, batch.buffer()) {
            Ok(()) => Ok(Some(start..batch.byte_len())),
            Err(misfit) => {
                batch.truncate(mark);
                Err(misfit)
            }
        }
    }

    /// The schema of the event's type, else that of every type.
    fn schema<'a>(
        &'a self,
        event: &Event<'_>,
        route: &str,
        destination: &Destination,
    ) -> Option<(Framing, &'a RouteSchema)> {
        let schemas = self.schemas.get(route)?;
        let of_type = |event_type: Option<&[u8]>| {
            let is_it = |schema: &RouteSchema| {
                schema.event_type.as_deref().map(str::as_bytes) == event_type
            };
            schemas.iter().position(is_it)
        };
        let index = event
            .event_type
            .and_then(|event_type| of_type(Some(event_type)))
            .or_else(|| of_type(None))?;
        Some((*destination.framings.get(index)?, schemas.get(index)?))
    }

    fn ask(&self, value: &str) -> Result<Route, EventFault> {
        if TOPICS_MAX <= self.destinations.len() {
            return Err(EventFault::TooManyTopics { limit: TOPICS_MAX });
        }
        let topic = self.topic(value);
        if !is_topic_name(&topic) || !self.allow.is_match(&topic) {
            return Err(EventFault::RefusedTopic);
        }
        let schemas = self.schemas.get(value).map(Vec::as_slice).unwrap_or_default();
        let request = |schema: &RouteSchema| SchemaRequest {
            subject: format!("{topic}-value"),
            schema_json: schema.schema_json.clone(),
        };
        let schemas = schemas.iter().map(request).collect();
        Ok(Route { topic, schemas, value: value.to_owned() })
    }

    fn topic(&self, value: &str) -> String {
        self.template.replace("{route}", value)
    }

    fn push(
        &self,
        operation: Operation,
        topic: TopicId,
        key: Option<Range<usize>>,
        value: Option<Range<usize>>,
        headers: Range<usize>,
        output: &mut Output<'_, '_>,
    ) {
        let Output { change, context, batch } = output;
        let part = if let Op::Pending { part, .. } = change.op { part } else { 0 };
        batch.push(Record {
            topic,
            operation,
            key,
            value,
            headers,
            timestamp_ms: timestamp_ms(self.timestamp, change, context),
            position: change.position,
            part,
            xid: change.xact.xid,
        });
    }
}

/// Appends bytes to the batch's buffer.
fn append(batch: &mut Batch, bytes: &[u8]) -> Range<usize> {
    let start = batch.byte_len();
    batch.buffer().extend_from_slice(bytes);
    start..batch.byte_len()
}
