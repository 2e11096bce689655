//! The plan of an outbox's dead letters, when they are written again: by the routing that holds by now.
//!
//! A dead letter is the event as it was, with why it was none, of which outbox it is, and its route. What is
//! still no event is a dead letter again.

use super::error::{Error, EventFault};
use super::routing::{Event, Output, Router, RouterDraft};
use super::{Context, Settings, Step};
use crate::batch::{Batch, TopicTable, push_header};
use crate::change::Change;
use crate::config::Outbox;
use crate::parked::Letter;

/// Header of a dead letter: why it is one.
pub(super) const ERROR: &str = "walbrook.error";
/// Header of a dead letter: the outbox, `schema.table`.
pub const OUTBOX: &str = "walbrook.outbox";
/// Header of a dead letter: the value that routes it, where it has one.
pub(super) const ROUTE: &str = "walbrook.route";
/// Header of a dead letter: the topic that was meant, where it has a route.
pub(super) const TOPIC: &str = "walbrook.topic";

/// The outbox without a table, where an outbox is named.
pub const MESSAGES: &str = "logical messages";

/// The plan of an outbox's dead letters.
#[derive(Debug)]
pub struct LettersPlan {
    pub(super) router: Router,
    /// Reused from letter to letter.
    headers: Vec<u8>,
}

/// That plan before its dead-letter topic has its number.
#[derive(Debug)]
pub(super) struct LettersDraft {
    router: RouterDraft,
}

impl LettersDraft {
    /// `None` if there is no such outbox (any more).
    pub(super) fn compile(outbox: &str, settings: &Settings) -> Result<Option<Self>, Error> {
        let of_table = || {
            let (namespace, table) = outbox.split_once('.')?;
            Outbox::of(&settings.outboxes, namespace, table).map(|outbox| &outbox.routing)
        };
        let routing = match &settings.message_outbox {
            Some(messages) if outbox == MESSAGES => Some(&messages.routing),
            _ => of_table(),
        };
        let Some(routing) = routing else { return Ok(None) };
        let timestamp = settings.records.timestamp;
        let router = RouterDraft::compile(outbox.to_owned(), routing, timestamp)?;
        Ok(Some(Self { router }))
    }

    pub(super) fn topics(&self) -> Vec<String> {
        self.router.topics()
    }

    pub(super) fn finish(self, topics: &mut TopicTable) -> LettersPlan {
        LettersPlan { router: self.router.finish(topics), headers: Vec::new() }
    }
}

impl LettersPlan {
    /// Writes the record of a letter, which goes by `route` if it has none of its own.
    ///
    /// # Errors
    ///
    /// If it is still no event, and the outbox has no dead-letter topic any more.
    pub fn encode(
        &mut self,
        letter: &Letter,
        route: Option<&str>,
        (change, context): (&Change<'_>, &Context),
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        self.headers.clear();
        let own = letter.headers.iter().filter(|(name, _)| !name.starts_with("walbrook."));
        for (name, value) in own.clone() {
            push_header(&mut self.headers, name, value.as_deref());
        }
        // The PostgreSQL schema of a tenant's event is its own.
        if let Some(schema) = letter.header("walbrook.schema") {
            push_header(&mut self.headers, "walbrook.schema", Some(schema.as_bytes()));
        }
        let text = |name: &str| letter.header(name).map(str::as_bytes);
        let route = letter.header(ROUTE).filter(|own| !own.is_empty()).or(route);
        let fault = match (letter.header("id"), route) {
            (None, _) => Some(EventFault::Null { column: "id".to_owned() }),
            (_, None) => Some(EventFault::Null { column: "route".to_owned() }),
            _ => None,
        };
        let event = Event {
            id: text("id"),
            key: letter.key.as_deref(),
            route,
            event_type: text("eventType"),
            payload: letter.value.as_deref(),
            headers: &self.headers,
        };
        self.router.write(&event, fault, &mut Output { change, context, batch })
    }
}
