//! The plan of the outbox without a table: a transactional logical message is one event.
//!
//! Its content is one JSON object: `id`, `aggregatetype` and `aggregateid` (strings or numbers),
//! `type` (a string, may be missing), and `payload`, whose JSON text is passed on as it is or
//! written by its schema; null or missing is a null value. Other members are refused. Content that
//! is no event goes to the dead-letter topic, if there is one.

use std::borrow::Cow;

use super::error::{Error, EventFault};
use super::letters::MESSAGES;
use super::payload::json::{self, Json};
use super::routing::{Event, Output, Router, RouterDraft};
use super::{Context, Step};
use crate::batch::{Batch, TopicTable, push_header};
use crate::change::{Change, Op};
use crate::config::{MessageOutbox, Timestamp};

/// The plan of the outbox without a table. Who calls it has checked the message's prefix.
#[derive(Debug)]
pub struct MessagePlan {
    pub(super) router: Router,
    /// Reused from event to event.
    headers: Vec<u8>,
}

/// That plan before its dead-letter topic has its number.
#[derive(Debug)]
pub(super) struct MessageDraft {
    router: RouterDraft,
}

impl MessageDraft {
    pub(super) fn compile(outbox: &MessageOutbox, timestamp: Timestamp) -> Result<Self, Error> {
        let name = MESSAGES.to_owned();
        Ok(Self { router: RouterDraft::compile(name, &outbox.routing, timestamp)? })
    }

    pub(super) fn topics(&self) -> Vec<String> {
        self.router.topics()
    }

    pub(super) fn finish(self, topics: &mut TopicTable) -> MessagePlan {
        MessagePlan { router: self.router.finish(topics), headers: Vec::new() }
    }
}

impl MessagePlan {
    /// Writes the record of an event. On an error the batch may hold a part of it.
    pub(super) fn encode(
        &mut self,
        change: &Change<'_>,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        let Op::Message { content, .. } = change.op else {
            return Err(self.router.foreign(change));
        };
        let mut output = Output { change, context, batch };
        let content_parts = match Content::parse(content) {
            Ok(parts) => parts,
            Err(reason) => {
                let fault = EventFault::Content { reason };
                return self.router.write(&unread(content), Some(fault), &mut output);
            }
        };
        self.headers.clear();
        push_header(&mut self.headers, "id", Some(content_parts.id.as_bytes()));
        let event_type = content_parts.event_type.as_deref().map(str::as_bytes);
        push_header(&mut self.headers, "eventType", event_type);
        let event = Event {
            id: Some(content_parts.id.as_bytes()),
            key: content_parts.key.as_deref().map(str::as_bytes),
            route: Some(&content_parts.route),
            event_type,
            payload: content_parts.payload.map(str::as_bytes),
            headers: &self.headers,
        };
        self.router.write(&event, None, &mut output)
    }
}

/// A message that is no event: its content as it is.
fn unread(content: &[u8]) -> Event<'_> {
    Event {
        id: None,
        key: None,
        route: None,
        event_type: None,
        payload: Some(content),
        headers: &[],
    }
}

/// What a message says.
struct Content<'a> {
    id: Cow<'a, str>,
    route: Cow<'a, str>,
    key: Option<Cow<'a, str>>,
    event_type: Option<Cow<'a, str>>,
    payload: Option<&'a str>,
}

impl<'a> Content<'a> {
    /// Reads a message's content; the error says what is wrong with it.
    fn parse(content: &'a [u8]) -> Result<Self, &'static str> {
        let raw = json::parse(content).map_err(|_| "it is not JSON")?;
        let members = json::members(raw).ok_or("it is not an object")?;
        let (mut id, mut route, mut key, mut event_type, mut payload) =
            (None, None, None, None, None);
        for (name, raw) in members {
            let slot = match &*name {
                "id" => &mut id,
                "aggregatetype" => &mut route,
                "aggregateid" => &mut key,
                "type" => &mut event_type,
                "payload" => &mut payload,
                _ => return Err("it has a member that events do not have"),
            };
            if slot.replace(raw).is_some() {
                return Err("it has a member twice");
            }
        }
        let scalar = |raw, reason| match Json::of(raw) {
            Json::Null => Ok(None),
            Json::Number(text) => Ok(Some(Cow::Borrowed(text))),
            Json::String(text) => Ok(Some(text)),
            _ => Err(reason),
        };
        let text = |raw: Option<_>, reason| raw.map_or(Ok(None), |raw| scalar(raw, reason));
        const ID: &str = "its id is missing or no string or number";
        const ROUTE: &str = "its aggregatetype is missing or no string or number";
        Ok(Self {
            id: text(id, ID)?.ok_or(ID)?,
            route: text(route, ROUTE)?.ok_or(ROUTE)?,
            key: text(key, "its aggregateid is no string or number")?,
            event_type: text(event_type, "its type is no string")?,
            payload: payload.map(serde_json::value::RawValue::get).filter(|text| *text != "null"),
        })
    }
}
