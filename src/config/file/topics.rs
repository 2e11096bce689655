//! The section `[topics]`, and `[[topics.shared]]` in it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use toml::Spanned;

use super::tables::{Tables, patterns};
use super::value::{
    Fault, Given, Key, choice, contradiction, is_topic_byte, switch, text_or, within,
};
use crate::config::{
    self, KeyField, OnTruncate, Outbox, Selection, SharedTopic, Template, TopicCreation,
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topics {
    prefix: Key<String>,
    template: Key<String>,
    #[serde(default)]
    shared: Vec<Spanned<Shared>>,
    create: Key<bool>,
    partitions: Key<i32>,
    replication_factor: Key<i32>,
    cleanup_policy: Key<String>,
    checkpoint_replication_factor: Key<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shared {
    tables: Key<Vec<Spanned<String>>>,
    topic: Key<String>,
    key_field: Key<Name>,
    key_value: Key<String>,
}

/// −1 stands for the broker's default.
const BROKER_DEFAULT: i32 = -1;
const PARTITIONS_MAX: i32 = 100_000;
const REPLICAS_MAX: i32 = 1000;
const CLEANUP_POLICIES: &[(&str, &str)] =
    &[("delete", "delete"), ("compact", "compact"), ("compact,delete", "compact,delete")];
/// Leaves room for a schema and a table in Kafka's 249 characters of a topic's name.
const PREFIX_BYTES_MAX: usize = 121;

pub(super) fn build(section: &Topics, pipeline: &str) -> Result<config::Topics, Fault> {
    let prefix = text_or(&section.prefix, pipeline);
    let legal = (1..=PREFIX_BYTES_MAX).contains(&prefix.len());
    if !(legal && prefix.bytes().all(is_topic_byte)) {
        let message = format!(
            "`topics.prefix` wants 1 to {PREFIX_BYTES_MAX} letters, digits, dots, underscores and \
             hyphens"
        );
        return Err(Fault { span: section.prefix.as_ref().map(Spanned::span), message });
    }
    Ok(config::Topics {
        prefix,
        template: template(section)?,
        shared: shared(section)?,
        create: creation(section)?,
        checkpoint_replication_factor: number_of(
            "topics.checkpoint_replication_factor",
            &section.checkpoint_replication_factor,
            REPLICAS_MAX,
        )?,
    })
}

fn creation(section: &Topics) -> Result<Option<TopicCreation>, Fault> {
    if !switch(&section.create, true) {
        let create = ("topics.create", &section.create);
        let advice = "with create = false topics must exist, so nothing says how to make them";
        let partitions = ("topics.partitions", &section.partitions);
        contradiction(create, partitions, advice)?;
        let replication = ("topics.replication_factor", &section.replication_factor);
        contradiction(create, replication, advice)?;
        contradiction(create, ("topics.cleanup_policy", &section.cleanup_policy), advice)?;
        return Ok(None);
    }
    let policy = Given::key("topics.cleanup_policy", &section.cleanup_policy);
    Ok(Some(TopicCreation {
        partitions: number_of("topics.partitions", &section.partitions, PARTITIONS_MAX)?,
        replication_factor: number_of(
            "topics.replication_factor",
            &section.replication_factor,
            REPLICAS_MAX,
        )?,
        cleanup_policy: policy
            .map(|given| choice(&given, CLEANUP_POLICIES).map(str::to_owned))
            .transpose()?,
        keeps_all: false,
    }))
}

/// A number from 1 on, or the broker's default.
fn number_of(name: &str, key: &Key<i32>, max: i32) -> Result<i32, Fault> {
    match key {
        Some(key) if *key.get_ref() == 0 => {
            let message = format!("`{name}` is 0, but must be 1 or more, or -1 (broker's default)");
            Err(Fault::at(key, message))
        }
        key => within(name, key, BROKER_DEFAULT, (BROKER_DEFAULT, max)),
    }
}

/// Where TRUNCATE must become a record, topics must take one.
pub(super) fn agree(tables: &Tables, topics: &Topics) -> Result<(), Fault> {
    let compacts = topics.cleanup_policy.as_ref().filter(|it| it.get_ref().contains("compact"));
    let required = tables.truncate.as_ref().filter(|it| it.get_ref().0 == OnTruncate::Required);
    let (Some(truncate), Some(_)) = (required, compacts) else { return Ok(()) };
    let message = "`tables.truncate` is \"required\", and by `topics.cleanup_policy` topics are compacted and take \
                   no record without a key, such as that of a TRUNCATE: set the one to true (it is then left \
                   out, with a warning) or false, or the other to \"delete\"";
    Err(Fault::at(truncate, message))
}

/// The field of keys that names their table, unless it is given another name.
const KEY_FIELD: &str = "source_table";
/// Its value.
const KEY_VALUE: &str = "{schema}.{table}";
/// The topic of a table that shares none.
const TEMPLATE: &str = "{prefix}.{schema}.{table}";

/// A template that names topics.
fn topic_template(given: &Given) -> Result<Template, Fault> {
    let template = Template::parse(&given.text).map_err(|why| given.fault(why))?;
    if given.text.is_empty() || !template.literals().all(|text| text.bytes().all(is_topic_byte)) {
        return Err(given.fault(format_args!(
            "wants a topic in which {{prefix}}, {{schema}} and {{table}} stand for those of the table, such \
             as {TEMPLATE:?}, and all else is letters, digits, dots, underscores and hyphens"
        )));
    }
    Ok(template)
}

fn template(section: &Topics) -> Result<Template, Fault> {
    let Some(given) = Given::key("topics.template", &section.template) else {
        return Ok(Template::default());
    };
    let template = topic_template(&given)?;
    if !template.has_table() {
        return Err(given.fault(
            "lacks {table}, so that all tables would have one topic: add it, or have tables share a topic on \
             purpose by [[topics.shared]]",
        ));
    }
    Ok(template)
}

fn shared(section: &Topics) -> Result<Vec<SharedTopic>, Fault> {
    let numbered = section.shared.iter().zip(1..);
    numbered.map(|(section, number)| shared_topic(section, number)).collect()
}

fn shared_topic(section: &Spanned<Shared>, number: usize) -> Result<SharedTopic, Fault> {
    let Shared { tables, topic, .. } = section.get_ref();
    if tables.is_none() {
        let message = "`topics.shared.tables` is missing: patterns such as [\"tenant_*.invoice\"]";
        return Err(Fault::at(section, message));
    }
    let Some(topic) = Given::key("topics.shared.topic", topic) else {
        let message = "`topics.shared.topic` is missing: such as \"{prefix}.invoice\"";
        return Err(Fault::at(section, message));
    };
    Ok(SharedTopic {
        number,
        tables: patterns("topics.shared.tables", tables)?,
        topic: topic_template(&topic)?,
        key_field: key_field(section.get_ref())?,
    })
}

fn key_field(section: &Shared) -> Result<Option<KeyField>, Fault> {
    let name = match section.key_field.as_ref().map(|key| (key, &key.get_ref().0)) {
        Some((_, None)) => {
            let advice = "without the field there is no value of it; remove the one or the other";
            let key_field = ("topics.shared.key_field", &section.key_field);
            contradiction(key_field, ("topics.shared.key_value", &section.key_value), advice)?;
            return Ok(None);
        }
        Some((key, Some(name))) if !is_field_name(name) => {
            let message = "`topics.shared.key_field` wants a name of letters, digits and underscores that does \
                           not begin with a digit, or false";
            return Err(Fault::at(key, message));
        }
        Some((_, Some(name))) => name.clone(),
        None => KEY_FIELD.to_owned(),
    };
    let value = match Given::key("topics.shared.key_value", &section.key_value) {
        None => Template::parse(KEY_VALUE).map_err(Fault::nowhere)?,
        Some(given) => Template::parse(&given.text).map_err(|why| given.fault(why))?,
    };
    Ok(Some(KeyField { name, value }))
}

/// Source: <https://avro.apache.org/docs/1.12.0/specification/#names>
fn is_field_name(name: &str) -> bool {
    let is_first = |first: char| first.is_ascii_alphabetic() || first == '_';
    name.starts_with(is_first) && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// Refuses a table that has a topic by two sections, as far as names that are no patterns tell. All else
/// is found with the table's plan.
pub(super) fn refuse_overlaps(
    section: &Topics,
    shared: &[SharedTopic],
    selection: &Selection,
    outboxes: &[Outbox],
) -> Result<(), Fault> {
    for (section, topic) in section.shared.iter().zip(shared) {
        let texts = section.get_ref().tables.iter().flat_map(|list| list.get_ref());
        for (text, pattern) in texts.zip(&topic.tables) {
            let Some((namespace, table)) = pattern.exact() else { continue };
            let fault = |message| Err(Fault::at(text, message));
            let other = |it: &&SharedTopic| it.number != topic.number && it.has(namespace, table);
            if let Some(other) = shared.iter().find(other) {
                return fault(format!(
                    "`topics.shared.tables`: {namespace}.{table} is in the {} and the {} [[topics.shared]]: a table \
                     has one topic, so leave it out of one of them",
                    ordinal(topic.number.min(other.number)),
                    ordinal(topic.number.max(other.number)),
                ));
            }
            if Outbox::of(outboxes, namespace, table).is_some() {
                return fault(contradicts_outbox(namespace, table));
            }
            if selection.excludes(namespace, table) {
                return fault(format!(
                    "`topics.shared.tables` and [tables] include and exclude contradict each other: \
                     {namespace}.{table} is left out, so it has no topic"
                ));
            }
        }
        let is_its = |it: &&Outbox| !it.is_pattern() && topic.has(&it.namespace, &it.table);
        if let Some(outbox) = outboxes.iter().find(is_its) {
            return Err(Fault::at(section, contradicts_outbox(&outbox.namespace, &outbox.table)));
        }
    }
    Ok(())
}

fn contradicts_outbox(namespace: &str, table: &str) -> String {
    format!(
        "`topics.shared.tables` and `outbox.table` contradict each other: {namespace}.{table} is an outbox, whose \
         events have topics of their own; write patterns that leave it out"
    )
}

/// `1st`, `2nd` and so on.
fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

/// A name, or `false` for none.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl Visitor<'_> for Wanted {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field, or false")
            }

            fn visit_bool<E: Error>(self, is_wanted: bool) -> Result<Name, E> {
                match is_wanted {
                    false => Ok(Name(None)),
                    true => Err(E::invalid_value(Unexpected::Bool(true), &self)),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
                Ok(Name(Some(text.to_owned())))
            }
        }
        from.deserialize_any(Wanted)
    }
}
