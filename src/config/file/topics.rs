//! The section `[topics]`.

use serde::Deserialize;
use toml::Spanned;

use super::tables::Tables;
use super::value::{
    Fault, Given, Key, choice, contradiction, is_topic_byte, switch, text_or, within,
};
use crate::config::{self, OnTruncate, TopicCreation};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topics {
    prefix: Key<String>,
    create: Key<bool>,
    partitions: Key<i32>,
    replication_factor: Key<i32>,
    cleanup_policy: Key<String>,
    checkpoint_replication_factor: Key<i32>,
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
