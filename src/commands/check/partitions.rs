//! Whether topics that are joined by their keys have as many partitions: a key is then in the same one
//! of each. Kafka Streams joins others, too, and finds a part of the pairs, without an error.

use std::collections::BTreeMap;

use super::report::Report;
use super::tables::Wanted;
use crate::config::Config;
use crate::kafka::probe::TopicSettings;

/// How many partitions a topic has, or will have; `None` where the brokers decide.
pub(super) fn of(config: &Config, found: Option<&TopicSettings>) -> Option<usize> {
    match (found, &config.topics.create) {
        (Some(settings), _) => Some(settings.partitions),
        (None, Some(creation)) => usize::try_from(creation.partitions).ok(),
        (None, None) => None,
    }
}

/// Judges the topics of tables whose keys have the same schema.
pub(super) fn judge<'a>(
    topics: impl Iterator<Item = (&'a Wanted, Option<usize>)>,
    report: &mut Report,
) {
    let mut by_key = BTreeMap::<&str, BTreeMap<usize, Vec<&str>>>::new();
    for (wanted, count) in topics {
        if let (Some(key), Some(count)) = (&wanted.key, count) {
            by_key.entry(key).or_default().entry(count).or_default().push(&wanted.topic);
        }
    }
    for counts in by_key.values().filter(|counts| 1 < counts.len()) {
        let counts = counts.iter().map(|(count, topics)| format!("{count}: {}", topics.join(", ")));
        report.warning(
            "kafka.partitions",
            format!(
                "topics whose keys have one schema, so that they can be joined, have different numbers of partitions, with which Kafka Streams finds a part of the pairs alone, without an error: {}",
                counts.collect::<Vec<_>>().join("; ")
            ),
            "make them anew with equal numbers, or repartition() one of them in the topology; partitions that are added later hold no older keys",
        );
    }
}
