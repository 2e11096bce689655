//! The section `[schema_changes]`: whether readers are told of columns that change.

use serde::Deserialize;
use toml::Spanned;

use super::value::{Fault, Key, is_topic, switch, text_or};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SchemaChanges {
    enabled: Key<bool>,
    topic: Key<String>,
}

/// The topic, if they are told.
pub(super) fn topic(section: &SchemaChanges, prefix: &str) -> Result<Option<String>, Fault> {
    let topic = text_or(&section.topic, &format!("{prefix}.schema-changes"));
    if !is_topic(&topic) {
        let message =
            "`schema_changes.topic` wants 1 to 249 letters, digits, dots, underscores and hyphens";
        return Err(fault(section, message));
    }
    let is_enabled = switch(&section.enabled, false);
    if !is_enabled && section.topic.is_some() {
        let message = "`schema_changes.topic` needs `schema_changes.enabled = true` beside it: without that nothing is told there; set it, or remove the topic";
        return Err(fault(section, message));
    }
    Ok(is_enabled.then_some(topic))
}

/// Refuses a topic that is another one of walbrook's own.
pub(super) fn agree(section: &SchemaChanges, kafka: &crate::config::Kafka) -> Result<(), Fault> {
    let own = [&kafka.checkpoint_topic, &kafka.parked_topic];
    match &kafka.schema_changes_topic {
        Some(topic) if own.contains(&topic) => Err(fault(
            section,
            "`schema_changes.topic` is a topic of `[kafka]`, in which something else is kept: set them apart",
        )),
        _ => Ok(()),
    }
}

fn fault(section: &SchemaChanges, message: &str) -> Fault {
    Fault { span: section.topic.as_ref().map(Spanned::span), message: message.to_owned() }
}
