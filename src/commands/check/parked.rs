//! The topics that must keep all, and which tables are parked.

use super::kafka::{durability, may_create, topic_grants, write};
use super::report::Report;
use crate::checkpoint::Checkpoint;
use crate::config::{Config, OnRefused};
use crate::kafka::probe::{self, TopicSettings};
use crate::kafka::{self, SinkConfig};

/// Looks at the topics that must keep all: that of what is parked, if anything is ever to be, and that of
/// schema changes.
pub(super) fn topics(config: &Config, sink: &SinkConfig, can_transact: bool, report: &mut Report) {
    let refused = &config.tables.refused;
    let mut actions = refused.by_table.values().chain([&refused.action]);
    let kept = Kept { config, sink, can_transact };
    if actions.any(|action| *action == OnRefused::Park) {
        let lost = "changes of a table that is parked for long would be lost";
        kept.look("kafka.parked_topic", &config.kafka.parked_topic, lost, report);
    }
    if let Some(topic) = &config.kafka.schema_changes_topic {
        let lost = "a restart would tell of tables again, as if for the first time";
        kept.look("schema_changes.topic", topic, lost, report);
    }
}

/// What topics that must keep all are looked at with.
struct Kept<'a> {
    config: &'a Config,
    sink: &'a SinkConfig,
    can_transact: bool,
}

impl Kept<'_> {
    fn look(&self, name: &'static str, topic: &str, lost: &str, report: &mut Report) {
        let Self { config, sink, can_transact } = *self;
        let settings = match probe::topic(&config.kafka, topic) {
            Ok(Some(settings)) => settings,
            Ok(None) => {
                // The sink makes this one whatever [topics] says.
                may_create(config, name, topic, &config.topics.keeping_all(), report);
                return;
            }
            Err(error) => {
                report.error(name, &error, topic_grants(config, topic, &error));
                return;
            }
        };
        judge((name, topic, lost), &settings, report);
        if can_transact && let Err(error) = write(sink, topic) {
            report.error(name, &error, topic_grants(config, topic, &error));
        }
    }
}

/// Judges whether a topic keeps all.
fn judge(
    (name, topic, lost): (&'static str, &str, &str),
    settings: &TopicSettings,
    report: &mut Report,
) {
    let is_for_ever = settings.retention == Some(std::time::Duration::MAX)
        && settings.retention_bytes.is_some_and(|bytes| bytes < 0);
    let advice = format!(
        "kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config cleanup.policy=delete,retention.ms=-1,retention.bytes=-1"
    );
    match settings.cleanup_policy.as_deref() {
        Some("delete") if is_for_ever => report.ok(name, format!("{topic} keeps all")),
        Some(_) => report.failed(name, format!("{topic} deletes records: {lost}"), advice),
        None => report.warning(
            name,
            format!("settings of {topic} cannot be read; it must keep all: {advice}"),
            format!("kafka-acls.sh --add --allow-principal User:… --operation DescribeConfigs --topic {topic}"),
        ),
    }
    durability(topic, settings, report);
}

/// Says which tables are parked.
pub(super) fn tables(config: &Config, checkpoint: &Checkpoint, report: &mut Report) {
    if checkpoint.parked == 0 {
        return;
    }
    match kafka::read_parked(config, checkpoint) {
        Ok(parked) => {
            for parked in parked {
                report.warning(
                    "tables.parked",
                    format!(
                        "{} is parked, {} changes wait: {}",
                        parked.table,
                        parked.waiting(),
                        parked.reason
                    ),
                    format!(
                        "put that right, then `walbrook unpark {}` (docs/parked.md)",
                        parked.table
                    ),
                );
            }
        }
        Err(error) => report.error("tables.parked", &error, None),
    }
}
