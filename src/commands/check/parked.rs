//! The topic of what is parked, and which tables are.

use super::kafka::{durability, may_create, topic_grants, write};
use super::report::Report;
use crate::checkpoint::Checkpoint;
use crate::config::{Config, OnRefused, TopicCreation};
use crate::kafka::probe::{self, TopicSettings};
use crate::kafka::{self, SinkConfig};

const TOPIC: &str = "kafka.parked_topic";

/// Looks at the topic, if anything is ever to be parked.
pub(super) fn topic(config: &Config, sink: &SinkConfig, can_transact: bool, report: &mut Report) {
    let refused = &config.tables.refused;
    let mut actions = refused.by_table.values().chain([&refused.action]);
    if !actions.any(|action| *action == OnRefused::Park) {
        return;
    }
    let topic = &config.kafka.parked_topic;
    let settings = match probe::topic(&config.kafka, topic) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            // The sink makes this one whatever [topics] says.
            let creation = TopicCreation {
                partitions: 1,
                replication_factor: config.topics.checkpoint_replication_factor,
                cleanup_policy: Some("delete".into()),
                keeps_all: true,
            };
            may_create(config, TOPIC, topic, &creation, report);
            return;
        }
        Err(error) => {
            report.error(TOPIC, &error, topic_grants(config, topic, &error));
            return;
        }
    };
    judge(topic, &settings, report);
    if can_transact && let Err(error) = write(sink, topic) {
        report.error(TOPIC, &error, topic_grants(config, topic, &error));
    }
}

/// Judges whether it keeps what waits.
pub(super) fn judge(topic: &str, settings: &TopicSettings, report: &mut Report) {
    let is_for_ever = settings.retention == Some(std::time::Duration::MAX)
        && settings.retention_bytes.is_some_and(|bytes| bytes < 0);
    let advice = format!(
        "kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config cleanup.policy=delete,retention.ms=-1,retention.bytes=-1"
    );
    match settings.cleanup_policy.as_deref() {
        Some("delete") if is_for_ever => report.ok(TOPIC, format!("{topic} keeps all")),
        Some(_) => report.failed(
            TOPIC,
            format!("{topic} deletes records: changes of a table that is parked for long would be lost"),
            advice,
        ),
        None => report.warning(
            TOPIC,
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
