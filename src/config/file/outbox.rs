//! The sections `[[outbox]]` and `[outbox_messages]`.
//!
//! Topics of events come only from the template and the allow-pattern, and never are the
//! checkpoint topic: whoever can insert into an outbox must not be able to write anywhere else.

use std::collections::BTreeSet;

use regex::Regex;
use serde::Deserialize;
use toml::Spanned;

use super::Surroundings;
use super::value::{Fault, Key, choice_or, contradiction, is_topic, switch, text_or};
use crate::config::{self, OnNullRoute, OnOutboxUpdate, PayloadSchema, PendingRows, Routing};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outbox {
    table: Key<String>,
    id_column: Key<String>,
    key_column: Key<String>,
    type_column: Key<String>,
    payload_column: Key<String>,
    route_column: Key<String>,
    #[serde(default)]
    headers: Vec<Spanned<Header>>,
    tombstone_on_empty_payload: Key<bool>,
    on_update: Key<String>,
    on_null_route: Key<String>,
    pending: Key<bool>,
    pending_where: Key<String>,
    topic: Key<String>,
    topic_allow: Key<String>,
    #[serde(default)]
    schemas: Vec<Spanned<Schema>>,
    dead_letter_topic: Key<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Messages {
    prefix: Key<String>,
    topic: Key<String>,
    topic_allow: Key<String>,
    #[serde(default)]
    schemas: Vec<Spanned<Schema>>,
    dead_letter_topic: Key<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table { column = \"…\", header = \"…\" }")]
struct Header {
    column: String,
    header: Option<String>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table { route = \"…\", type = \"…\", file = \"….avsc\" }"
)]
struct Schema {
    route: String,
    r#type: Option<String>,
    file: Spanned<String>,
}

/// Debezium's `route.topic.replacement`.
const TOPIC_TEMPLATE: &str = "outbox.event.{route}";
/// What the template's variable stands for.
const ROUTE: &str = "{route}";
/// What it may be, where the operator sets no pattern.
const ROUTE_PATTERN: &str = "[A-Za-z0-9._-]+";

pub(super) fn tables(
    sections: Vec<Spanned<Outbox>>,
    reserved: &[&str],
    is_unencoded: bool,
    around: &Surroundings<'_>,
) -> Result<Vec<config::Outbox>, Fault> {
    let mut seen = BTreeSet::new();
    let mut outboxes = Vec::with_capacity(sections.len());
    for section in &sections {
        let outbox = table(section, reserved, is_unencoded, around)?;
        if !seen.insert((outbox.namespace.clone(), outbox.table.clone())) {
            let message = "`outbox.table` names a table that another [[outbox]] has: keep one";
            return Err(Fault::at(section, message));
        }
        outboxes.push(outbox);
    }
    Ok(outboxes)
}

fn table(
    section: &Spanned<Outbox>,
    reserved: &[&str],
    is_unencoded: bool,
    around: &Surroundings<'_>,
) -> Result<config::Outbox, Fault> {
    let outbox = section.get_ref();
    let Some(table) = &outbox.table else {
        return Err(Fault::at(section, "`outbox.table` is missing: such as \"public.outbox\""));
    };
    let (namespace, name) = table.get_ref().split_once('.').unwrap_or(("public", table.get_ref()));
    if namespace.is_empty() || name.is_empty() {
        return Err(Fault::at(table, "`outbox.table` wants \"schema.table\""));
    }
    if name.contains('*') {
        let message = "`outbox.table` may have * in its schema, as in \"tenant_*.outbox\", and not in \
                       the table's own name";
        return Err(Fault::at(table, message));
    }
    if namespace.contains('*') && switch(&outbox.pending, false) {
        let advice = "rows that are pending are read of a table that is named; give it an [[outbox]] of its own";
        contradiction(
            ("outbox.table", &outbox.table),
            ("outbox.pending", &outbox.pending),
            advice,
        )?;
    }
    let updates = [("warn", OnOutboxUpdate::Warn), ("fail", OnOutboxUpdate::Fail)];
    let type_column = text_or(&outbox.type_column, "type");
    let routing = RoutingKeys {
        section: "outbox",
        topic: &outbox.topic,
        topic_allow: &outbox.topic_allow,
        schemas: &outbox.schemas,
        dead_letter_topic: &outbox.dead_letter_topic,
    };
    Ok(config::Outbox {
        namespace: namespace.to_owned(),
        table: name.to_owned(),
        id_column: column("outbox.id_column", &outbox.id_column, "id")?,
        key_column: column("outbox.key_column", &outbox.key_column, "aggregateid")?,
        type_column: Some(type_column).filter(|column| !column.is_empty()),
        payload_column: column("outbox.payload_column", &outbox.payload_column, "payload")?,
        route_column: column("outbox.route_column", &outbox.route_column, "aggregatetype")?,
        headers: headers(&outbox.headers)?,
        tombstone_on_empty_payload: switch(&outbox.tombstone_on_empty_payload, false),
        on_update: choice_or(
            "outbox.on_update",
            &outbox.on_update,
            OnOutboxUpdate::Warn,
            &updates,
        )?,
        on_null_route: null_route(outbox)?,
        pending: pending(outbox, is_unencoded)?,
        routing: routing.build(reserved, around)?,
    })
}

/// What becomes of a row without a route.
fn null_route(outbox: &Outbox) -> Result<OnNullRoute, Fault> {
    let actions = [
        ("dead_letter", OnNullRoute::DeadLetter),
        ("skip", OnNullRoute::Skip),
        ("stop", OnNullRoute::Stop),
    ];
    choice_or("outbox.on_null_route", &outbox.on_null_route, OnNullRoute::DeadLetter, &actions)
}

/// The rows that are there when the slot is made. With `postgres.text_encoding` they would have another
/// form than those of the stream.
fn pending(outbox: &Outbox, is_unencoded: bool) -> Result<Option<PendingRows>, Fault> {
    let is_wanted = switch(&outbox.pending, false);
    if let Some(condition) = &outbox.pending_where {
        if !is_wanted {
            let message = "`outbox.pending_where` says which rows are pending, and without \
                           `outbox.pending = true` none is: set that, or remove the condition";
            return Err(Fault::at(condition, message));
        }
        if condition.get_ref().trim().is_empty() {
            let message = "`outbox.pending_where` is empty, but wants an SQL condition such as \
                           \"sent_at IS NULL\"; for all rows, remove it";
            return Err(Fault::at(condition, message));
        }
    }
    if let (true, true, Some(key)) = (is_wanted, is_unencoded, &outbox.pending) {
        let message = "`outbox.pending` and `postgres.text_encoding` do not go together: rows are read \
                       as the text of a database without an encoding is; set `outbox.pending = false`";
        return Err(Fault::at(key, message));
    }
    let condition = outbox.pending_where.as_ref().map(|condition| condition.get_ref().clone());
    Ok(is_wanted.then_some(PendingRows { condition }))
}

pub(super) fn messages(
    section: Option<Spanned<Messages>>,
    reserved: &[&str],
    around: &Surroundings<'_>,
) -> Result<Option<config::MessageOutbox>, Fault> {
    let Some(section) = section else { return Ok(None) };
    let messages = section.get_ref();
    let prefix = match &messages.prefix {
        Some(prefix) if !prefix.get_ref().is_empty() => prefix.get_ref().clone(),
        _ => {
            let message = "`outbox_messages.prefix` is missing: the prefix of the logical messages \
                           that are events, such as \"outbox\"";
            return Err(Fault::at(&section, message));
        }
    };
    let routing = RoutingKeys {
        section: "outbox_messages",
        topic: &messages.topic,
        topic_allow: &messages.topic_allow,
        schemas: &messages.schemas,
        dead_letter_topic: &messages.dead_letter_topic,
    };
    Ok(Some(config::MessageOutbox { prefix, routing: routing.build(reserved, around)? }))
}

fn column(name: &str, key: &Key<String>, default: &str) -> Result<String, Fault> {
    match key {
        Some(key) if key.get_ref().is_empty() => {
            Err(Fault::at(key, format!("`{name}` is empty: name a column of the table")))
        }
        key => Ok(text_or(key, default)),
    }
}

/// Headers that every event has anyway.
const HEADERS_OF_OURS: [&str; 3] = ["id", "eventType", "walbrook.schema"];

fn headers(list: &[Spanned<Header>]) -> Result<Vec<(String, String)>, Fault> {
    let mut seen: BTreeSet<&str> = HEADERS_OF_OURS.into();
    let mut headers = Vec::with_capacity(list.len());
    for entry in list {
        let Header { column, header } = entry.get_ref();
        let header = header.as_ref().unwrap_or(column);
        if column.is_empty() || header.is_empty() {
            return Err(Fault::at(entry, "`outbox.headers` has an empty name"));
        }
        if !seen.insert(header) {
            let message = format!("`outbox.headers` sets the header {header:?} a second time");
            return Err(Fault::at(entry, message));
        }
        headers.push((column.clone(), header.clone()));
    }
    Ok(headers)
}

/// The keys that both kinds of outbox have.
struct RoutingKeys<'a> {
    section: &'static str,
    topic: &'a Key<String>,
    topic_allow: &'a Key<String>,
    schemas: &'a [Spanned<Schema>],
    dead_letter_topic: &'a Key<String>,
}

impl RoutingKeys<'_> {
    fn build(&self, reserved: &[&str], around: &Surroundings<'_>) -> Result<Routing, Fault> {
        let template = text_or(self.topic, TOPIC_TEMPLATE);
        if 1 < template.matches(ROUTE).count() || !is_topic(&template.replace(ROUTE, "x")) {
            let message = format!(
                "`{}.topic` wants a topic in which \"{ROUTE}\" stands for the value of the route \
                 column, once, such as \"{TOPIC_TEMPLATE}\"",
                self.section
            );
            return Err(Fault { span: self.topic.as_ref().map(Spanned::span), message });
        }
        let topic_allow = self.allow(&template)?;
        let is_reached = |topic: &&&str| reaches(&template, topic) && topic_allow.is_match(topic);
        if let Some(own) = reserved.iter().find(is_reached) {
            let span = self.topic_allow.as_ref().or(self.topic.as_ref()).map(Spanned::span);
            let message = format!(
                "`{0}.topic` and `{0}.topic_allow` let an event into walbrook's own topic \
                 {own:?}: narrow the pattern",
                self.section
            );
            return Err(Fault { span, message });
        }
        Ok(Routing {
            topic_template: template,
            topic_allow,
            schemas: self.schemas(around)?,
            dead_letter_topic: self.dead_letter_topic(reserved)?,
        })
    }

    /// Anchored at both ends: a pattern matches the whole name or not at all.
    fn allow(&self, template: &str) -> Result<Regex, Fault> {
        let (pattern, span) = match self.topic_allow {
            Some(pattern) => (pattern.get_ref().clone(), Some(pattern.span())),
            None => (regex::escape(template).replace(&regex::escape(ROUTE), ROUTE_PATTERN), None),
        };
        // Alone first: what is no pattern by itself could slip out of the anchors.
        let anchored = format!(r"\A(?:{pattern})\z");
        Regex::new(&pattern).and_then(|_| Regex::new(&anchored)).map_err(|_| {
            let message = format!(
                "`{}.topic_allow` is not a regular expression (syntax of Rust's regex: no \
                 look-around, no back-references)",
                self.section
            );
            Fault { span, message }
        })
    }

    fn dead_letter_topic(&self, reserved: &[&str]) -> Result<Option<String>, Fault> {
        let Some(topic) = self.dead_letter_topic else { return Ok(None) };
        if !is_topic(topic.get_ref()) || reserved.contains(&topic.get_ref().as_str()) {
            let message = format!(
                "`{}.dead_letter_topic` wants a topic: 1 to 249 letters, digits, dots, underscores \
                 and hyphens, and none of walbrook's own",
                self.section
            );
            return Err(Fault::at(topic, message));
        }
        Ok(Some(topic.get_ref().clone()))
    }

    fn schemas(&self, around: &Surroundings<'_>) -> Result<Vec<PayloadSchema>, Fault> {
        let mut seen = BTreeSet::new();
        let mut schemas = Vec::with_capacity(self.schemas.len());
        for entry in self.schemas {
            let Schema { route, r#type: event_type, file } = entry.get_ref();
            if !seen.insert((route, event_type)) {
                let message = format!(
                    "`{}.schemas` has two schemas for the same `route` and `type`: keep one",
                    self.section
                );
                return Err(Fault::at(entry, message));
            }
            schemas.push(PayloadSchema {
                route: route.clone(),
                event_type: event_type.clone(),
                schema_json: schema_file(file, around)?,
            });
        }
        Ok(schemas)
    }
}

/// Whether some value of the route makes `topic` out of the template.
fn reaches(template: &str, topic: &str) -> bool {
    match template.split_once(ROUTE) {
        None => template == topic,
        Some((prefix, suffix)) => topic
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix))
            .is_some_and(|route| !route.is_empty()),
    }
}

fn schema_file(file: &Spanned<String>, around: &Surroundings<'_>) -> Result<String, Fault> {
    let path = around.path(file.get_ref());
    let shown = path.display();
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Fault::at(file, format!("the schema {shown} cannot be read: {error}")))?;
    match apache_avro::Schema::parse_str(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            // A schema file holds no rows and no secrets, so the cause may be shown.
            let message = format!("the file {shown} is no Avro schema: {error}");
            Err(Fault::at(file, message))
        }
    }
}
