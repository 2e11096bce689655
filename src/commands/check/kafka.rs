//! Kafka's side: the brokers, the permissions, the topics. Blocks.
//!
//! A running pipeline is not disturbed: transactions are tried with an id of their own below the
//! pipeline's, and what is written to try a permission is aborted or refused.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::said;
use super::parked;
use super::partitions;
use super::report::Report;
use super::routed;
use super::tables::Wanted;
use crate::checkpoint::Checkpoint;
use crate::config::{Config, KeyNames, Sasl, Timestamp, TopicCreation};
use crate::kafka::probe::{self, BrokerSettings, TopicSettings};
use crate::kafka::{Error, SinkConfig};
use crate::pipeline::Extremes;

/// What the checkpoint topic told.
#[derive(Debug)]
pub(super) enum Progress {
    /// The last checkpoint; `None` if there is none.
    Known(Option<Box<Checkpoint>>),
    /// It could not be read.
    Unknown,
}

/// Looks at everything on Kafka's side.
pub(super) fn inspect(config: &Config, wanted: &[Wanted], report: &mut Report) -> Progress {
    let cluster = match probe::cluster(&config.kafka) {
        Ok(cluster) => cluster,
        Err(error) => {
            report.error("kafka.connection", &error, Some(connection_advice(config, &error)));
            report.skipped("kafka", "without a connection neither permissions, settings and topics nor the checkpoint can be looked at");
            return Progress::Unknown;
        }
    };
    report.ok(
        "kafka.connection",
        format!("{} answers; brokers: {}", config.kafka.bootstrap_servers, cluster.brokers.len()),
    );
    if let Some(broker) = cluster.brokers.first() {
        match probe::broker_settings(&config.kafka, *broker) {
            Ok(settings) => judge_broker(config, &settings, report),
            Err(error) => report.warning(
                "kafka.settings",
                said(&error),
                "without it neither transaction.max.timeout.ms nor defaults of new topics are looked at; kafka-acls.sh --add --allow-principal User:… --operation DescribeConfigs --cluster",
            ),
        }
    }
    let sink = trial(config);
    let can_transact = transactional_id(config, &sink, report);
    let progress = checkpoint_topic(config, &sink, can_transact, report);
    parked::topics(config, &sink, can_transact, report);
    if let Progress::Known(Some(checkpoint)) = &progress {
        parked::tables(config, checkpoint, report);
    }
    let data = routed::topics(config, report).and_then(|routed| {
        let mut wanted = [wanted, &*routed].concat();
        wanted.sort_by(|a, b| a.topic.cmp(&b.topic));
        wanted.dedup_by(|a, b| a.topic == b.topic);
        data_topics(config, &sink, can_transact, &wanted, report)
    });
    if let Err(error) = data {
        report.error("kafka.topic", &error, None);
    }
    progress
}

/// The sink's configuration with a transactional id that fences nobody.
fn trial(config: &Config) -> SinkConfig {
    let mut sink = SinkConfig::from(config);
    sink.kafka.transactional_id.push_str(TRIAL_SUFFIX);
    sink
}

/// What is added to the pipeline's transactional id.
const TRIAL_SUFFIX: &str = ".check";

fn connection_advice(config: &Config, error: &Error) -> String {
    match error {
        Error::Authentication { .. } => match &config.kafka.security.sasl {
            Some(Sasl::Password { mechanism, user, .. }) => format!(
                "check [kafka.sasl]: {mechanism}, user {user:?}, its password; for SCRAM: kafka-configs.sh --alter --entity-type users --entity-name {user} --add-config '{mechanism}=[password=…]'"
            ),
            Some(Sasl::OauthBearer { tokens }) => format!("check {tokens}"),
            None => "the brokers want a log-in: set [kafka.sasl]".into(),
        },
        Error::Secret(_) => "what [kafka.sasl] names must give the password".into(),
        _ => "check kafka.bootstrap_servers, that the brokers run, their advertised.listeners, [kafka.tls] and firewalls".into(),
    }
}

/// Judges a broker's settings.
pub(super) fn judge_broker(config: &Config, settings: &BrokerSettings, report: &mut Report) {
    judge_timeout(config, settings, report);
    if settings.verifies_partitions != Some(true) {
        report.warning(
            "kafka.verification",
            "the brokers do not verify that a record belongs to an open transaction (transaction.partition.verification.enable, Kafka 3.6 and later): a delayed record can leave a transaction hanging",
            "upgrade the brokers, or set transaction.partition.verification.enable=true",
        );
    }
    judge_elections("the brokers", "brokers --entity-default", settings.elects_unclean, report);
    let Some(creation) = &config.topics.create else { return };
    let cleanup_policy = creation.cleanup_policy.as_deref().unwrap_or("delete");
    let limits = Limits {
        what: "a new topic",
        record_bytes_max: settings.record_bytes_max,
        retention: settings.retention.filter(|_| cleanup_policy.contains("delete")),
        timestamp_behind_max: settings.timestamp_behind_max,
        advice: "kafka-configs.sh --alter --entity-type brokers --entity-default --add-config",
        names: ["message.max.bytes", "log.retention.ms", "log.message.timestamp.before.max.ms"],
    };
    limits.judge(config, report);
    let default = settings.replication_factor;
    let replicas = [creation.replication_factor, config.topics.checkpoint_replication_factor]
        .into_iter()
        .filter_map(|configured| match u32::try_from(configured) {
            Ok(configured) => Some(configured),
            // −1 is the broker's default.
            Err(_) => default,
        })
        .min();
    let Some(replicas) = replicas else { return };
    judge_replicas(
        "kafka.new_topics",
        "new topics",
        replicas,
        settings.min_insync_replicas,
        report,
    );
}

fn judge_timeout(config: &Config, settings: &BrokerSettings, report: &mut Report) {
    const NAME: &str = "kafka.transaction_timeout";
    let ours = config.kafka.transaction_timeout;
    match settings.transaction_timeout_max {
        Some(limit) if limit < ours => report.failed(
            NAME,
            format!("kafka.transaction_timeout is {ours:?}, above the brokers' transaction.max.timeout.ms of {limit:?}"),
            format!("kafka-configs.sh --alter --entity-type brokers --entity-default --add-config transaction.max.timeout.ms={}, or lower kafka.transaction_timeout", ours.as_millis()),
        ),
        Some(limit) => report.ok(NAME, format!("{ours:?} is within the brokers' {limit:?}")),
        None => {}
    }
}

/// Judges replication factor and `min.insync.replicas` together.
fn judge_replicas(
    name: &'static str,
    what: &str,
    replicas: u32,
    min_insync: Option<u32>,
    report: &mut Report,
) {
    let min_insync = min_insync.unwrap_or(1);
    if replicas < min_insync {
        report.failed(
            name,
            format!("{what}: min.insync.replicas is {min_insync}, but there are only {replicas} replicas: nothing can be written"),
            "raise the replication factor, or lower min.insync.replicas",
        );
    } else if replicas < 2 {
        report.warning(
            name,
            format!("{what}: replication factor 1: a lost disk loses committed events, which are not sent again"),
            "replication factor 3 with min.insync.replicas=2 (kafka-reassign-partitions.sh for a topic that exists)",
        );
    } else if min_insync < 2 {
        report.warning(
            name,
            format!("{what}: min.insync.replicas is 1: an event can be committed on one broker only, and be lost with it"),
            "kafka-configs.sh --alter … --add-config min.insync.replicas=2",
        );
    } else {
        report.ok(
            name,
            format!("{what}: {replicas} replicas, of which {min_insync} must have each event"),
        );
    }
}

/// Warns of leaders that may lack committed events.
fn judge_elections(what: &str, entity: &str, elects_unclean: Option<bool>, report: &mut Report) {
    if elects_unclean == Some(true) {
        report.warning(
            "kafka.unclean_elections",
            format!("{what}: unclean.leader.election.enable is true: a replica that lacks committed events can become the leader, and they are lost"),
            format!("kafka-configs.sh --alter --entity-type {entity} --add-config unclean.leader.election.enable=false"),
        );
    }
}

/// Tries the transactional id.
fn transactional_id(config: &Config, sink: &SinkConfig, report: &mut Report) -> bool {
    const NAME: &str = "kafka.transactional_id";
    let id = &config.kafka.transactional_id;
    match probe::transactions(sink) {
        Ok(()) => {
            report.ok(NAME, format!("transactions can be begun (tried as {id}{TRIAL_SUFFIX}, which fences nobody)"));
            return true;
        }
        Err(error @ Error::NotPermitted { .. }) => report.failed(
            NAME,
            said(&error),
            format!("kafka-acls.sh --add --allow-principal User:… --operation Write --operation Describe --transactional-id {id} --resource-pattern-type prefixed\n(prefixed, since check tries {id}{TRIAL_SUFFIX} so as not to fence a running pipeline)"),
        ),
        Err(error @ Error::Fenced { .. }) => report.warning(
            NAME,
            said(&error),
            "another walbrook check runs; run it again",
        ),
        Err(error) => report.error(NAME, &error, None),
    }
    false
}

/// Looks at the checkpoint topic: whether it exists or can be made, its settings, writing, reading.
fn checkpoint_topic(
    config: &Config,
    sink: &SinkConfig,
    can_transact: bool,
    report: &mut Report,
) -> Progress {
    const NAME: &str = "kafka.checkpoint_topic";
    let topic = &config.kafka.checkpoint_topic;
    let settings = match probe::topic(&config.kafka, topic) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            // The sink makes this one whatever [topics] says.
            let creation = TopicCreation {
                partitions: 1,
                replication_factor: config.topics.checkpoint_replication_factor,
                cleanup_policy: Some("compact".into()),
                keeps_all: false,
            };
            may_create(config, NAME, topic, &creation, report);
            return Progress::Known(None);
        }
        Err(error) => {
            report.error(NAME, &error, topic_grants(config, topic, &error));
            return Progress::Unknown;
        }
    };
    judge_checkpoint_topic(topic, &settings, report);
    if can_transact {
        match write(sink, topic) {
            Ok(()) => report.ok(NAME, format!("{topic} can be written")),
            Err(error) => {
                report.error(NAME, &error, topic_grants(config, topic, &error));
            }
        }
    } else {
        report.skipped(NAME, format!("writing {topic} was not tried: it takes a transaction"));
    }
    match probe::read(&SinkConfig::from(config)) {
        Ok(checkpoint) => {
            let found = checkpoint.as_ref().map_or_else(
                || "it holds no checkpoint yet".to_owned(),
                |checkpoint| format!("the checkpoint is at {}", checkpoint.position),
            );
            report.ok(NAME, format!("{topic} can be read; {found}"));
            Progress::Known(checkpoint.map(Box::new))
        }
        Err(error) => {
            report.error(NAME, &error, topic_grants(config, topic, &error));
            Progress::Unknown
        }
    }
}

/// Writes to a topic of walbrook's own, which nobody else reads, and aborts.
pub(super) fn write(sink: &SinkConfig, topic: &str) -> Result<(), Error> {
    probe::write(sink, &[topic])?.into_iter().try_for_each(|(_, written)| written)
}

pub(super) fn judge_checkpoint_topic(topic: &str, settings: &TopicSettings, report: &mut Report) {
    const NAME: &str = "kafka.checkpoint_topic";
    match settings.cleanup_policy.as_deref() {
        Some("compact") => report.ok(NAME, format!("{topic} is compacted")),
        Some(policy) => report.failed(
            NAME,
            format!("{topic} has cleanup.policy={policy}: the checkpoint would be deleted after the retention"),
            format!("kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config cleanup.policy=compact"),
        ),
        None => report.warning(
            NAME,
            format!("settings of {topic} cannot be read; its cleanup.policy must be compact"),
            format!("kafka-acls.sh --add --allow-principal User:… --operation DescribeConfigs --topic {topic}"),
        ),
    }
    durability(topic, settings, report);
}

pub(super) fn durability(topic: &str, settings: &TopicSettings, report: &mut Report) {
    if let Ok(replicas) = u32::try_from(settings.replicas) {
        judge_replicas("kafka.replication", topic, replicas, settings.min_insync_replicas, report);
    }
    let entity = format!("topics --entity-name {topic}");
    judge_elections(topic, &entity, settings.elects_unclean, report);
}

/// Looks at the topics of events.
fn data_topics(
    config: &Config,
    sink: &SinkConfig,
    can_transact: bool,
    wanted: &[Wanted],
    report: &mut Report,
) -> Result<(), Error> {
    const NAME: &str = "kafka.topic";
    let names: Vec<&str> = wanted.iter().map(|wanted| wanted.topic.as_str()).collect();
    let described = probe::topics(&config.kafka, &names)?;
    let mut existing = Vec::new();
    if config.tables.key_names == KeyNames::Columns {
        let found = described.iter().map(|(_, found)| found.as_ref().ok());
        let counts = found.map(|found| partitions::of(config, found?.as_ref()));
        partitions::judge(wanted.iter().zip(counts), report);
    }
    for (wanted, (topic, found)) in wanted.iter().zip(&described) {
        match (found, &config.topics.create) {
            (Ok(Some(settings)), _) => {
                judge_topic(config, wanted, settings, report);
                existing.push((*topic, settings));
            }
            (Ok(None), Some(creation)) => may_create(config, NAME, topic, creation, report),
            (Ok(None), None) => {
                report.error(NAME, &probe::missing(&config.kafka, topic), None);
            }
            (Err(error), _) => report.error(NAME, error, topic_grants(config, topic, error)),
        }
    }
    if !can_transact {
        let count = existing.len();
        report.skipped(
            NAME,
            format!("writing was not tried, since it takes a transaction; topics: {count}"),
        );
        return Ok(());
    }
    if existing.is_empty() {
        return Ok(());
    }
    for (topic, tried) in probe::may_write(sink, &existing)? {
        match tried {
            Ok(true) => report.ok(NAME, format!("{topic} exists and can be written")),
            Ok(false) => report.warning(
                NAME,
                format!("{topic} exists; writing was not tried, since its settings leave no record that would be refused, and any other would be seen by readers of uncommitted records"),
                format!("make sure that WRITE on {topic} is granted"),
            ),
            Err(error) => report.error(NAME, &error, topic_grants(config, topic, &error)),
        }
    }
    Ok(())
}

/// Judges whether the brokers take the records that wait.
pub(super) fn judge_waiting(
    config: &Config,
    waiting: &BTreeMap<String, Extremes>,
    report: &mut Report,
) {
    const NAME: &str = "kafka.topic";
    let names: Vec<_> = waiting.keys().map(String::as_str).collect();
    let described = match probe::topics(&config.kafka, &names) {
        Ok(described) => described,
        Err(error) => return report.error(NAME, &error, None),
    };
    for (extremes, (topic, found)) in waiting.values().zip(described) {
        match (found, &config.topics.create) {
            (Ok(Some(settings)), _) => judge_extremes(topic, extremes, &settings, report),
            (Ok(None), Some(creation)) => {
                let cleanup_policy = creation.cleanup_policy.clone();
                let settings = TopicSettings { cleanup_policy, ..TopicSettings::default() };
                judge_extremes(topic, extremes, &settings, report);
            }
            (Ok(None), None) => report.error(NAME, &probe::missing(&config.kafka, topic), None),
            (Err(error), _) => report.error(NAME, &error, topic_grants(config, topic, &error)),
        }
    }
}

pub(super) fn judge_extremes(
    topic: &str,
    Extremes { keyless, largest }: &Extremes,
    settings: &TopicSettings,
    report: &mut Report,
) {
    let set =
        format!("kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config");
    let skip = |position| {
        format!("or: walbrook checkpoint skip --position {position} --file … --reason …")
    };
    if let Some(position) = keyless
        && is_compacted(settings)
    {
        report.failed(
            "kafka.cleanup_policy",
            format!("the change at {position} waits to be written and makes a record without a key, which {topic} refuses since it is compacted: that parks its table"),
            format!("for the TRUNCATE of a table: tables.truncate = false; {set} cleanup.policy=delete; {}", skip(*position)),
        );
    }
    if let (Some((position, bytes)), Some(limit)) = (*largest, settings.record_bytes_max)
        && limit < u64::try_from(bytes).unwrap_or(u64::MAX)
    {
        report.warning(
            "kafka.max_message_bytes",
            format!("the change at {position} waits to be written and makes a record of {bytes} bytes, and {topic} takes at most {limit}, compressed (max.message.bytes): unless it compresses that well, that parks its table"),
            format!("{set} max.message.bytes=…; {}", skip(position)),
        );
    }
}

/// Judges the settings of a topic of events.
pub(super) fn judge_topic(
    config: &Config,
    wanted: &Wanted,
    settings: &TopicSettings,
    report: &mut Report,
) {
    let topic = &wanted.topic;
    let advice =
        format!("kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config");
    durability(topic, settings, report);
    if !wanted.has_key && is_compacted(settings) {
        report.failed(
            "kafka.cleanup_policy",
            format!(
                "{topic} is compacted and refuses records without a key, but its table has none"
            ),
            format!("give the table a primary key, or: {advice} cleanup.policy=delete"),
        );
    }
    let is_deleted =
        settings.cleanup_policy.as_deref().is_some_and(|policy| policy.contains("delete"));
    let limits = Limits {
        what: topic,
        record_bytes_max: settings.record_bytes_max,
        retention: settings.retention.filter(|_| is_deleted),
        timestamp_behind_max: settings.timestamp_behind_max,
        advice: &advice,
        names: ["max.message.bytes", "retention.ms", "message.timestamp.before.max.ms"],
    };
    limits.judge(config, report);
}

/// Whether it takes no record without a key: also one with "compact,delete" does not.
fn is_compacted(settings: &TopicSettings) -> bool {
    settings.cleanup_policy.as_deref().is_some_and(|policy| policy.contains("compact"))
}

/// What a topic takes and keeps.
struct Limits<'a> {
    what: &'a str,
    record_bytes_max: Option<u64>,
    /// How long it keeps records from their timestamp; `None` if it does not delete by age.
    retention: Option<Duration>,
    timestamp_behind_max: Option<Duration>,
    /// The command that changes settings, without the setting.
    advice: &'a str,
    /// What the three settings are called.
    names: [&'static str; 3],
}

impl Limits<'_> {
    /// Judges whether what is delivered is taken and kept, also when it was committed long ago.
    fn judge(&self, config: &Config, report: &mut Report) {
        let Self { what, advice, names: [record_bytes, retention, timestamp], .. } = self;
        if let Some(bytes) = self.record_bytes_max.filter(|bytes| *bytes < batch_size(config)) {
            report.warning(
                "kafka.max_message_bytes",
                format!("{what} takes at most {bytes} bytes at once ({record_bytes}), less than the producer's batch.size of {}: a full batch that compresses badly, or a large row, parks its table", batch_size(config)),
                format!("{advice} {record_bytes}=10485760"),
            );
        }
        if config.records.timestamp != Timestamp::Commit {
            return;
        }
        if let Some(kept) = self.retention.filter(|kept| *kept < AGE_MIN) {
            report.warning(
                "kafka.retention",
                format!("{what} keeps records for {kept:?} from their timestamp, which is the commit time: what walbrook delivers later than that, after an outage, may be deleted on arrival"),
                format!("{advice} {retention}=604800000, or records.timestamp = \"now\""),
            );
        }
        if let Some(limit) = self.timestamp_behind_max.filter(|limit| *limit < AGE_MIN) {
            report.warning(
                "kafka.timestamps",
                format!("{what} refuses records whose timestamp is more than {limit:?} ago ({timestamp}), and the timestamp is the commit time: after a longer outage tables are parked"),
                format!("{advice} {timestamp}=604800000, or records.timestamp = \"now\""),
            );
        }
    }
}

/// An outage that events should survive.
const AGE_MIN: Duration = Duration::from_secs(86_400);

/// librdkafka's `batch.size` in bytes, which the operator may have set.
fn batch_size(config: &Config) -> u64 {
    const DEFAULT: u64 = 1_000_000;
    let set = config.kafka.properties.iter().find(|(name, _)| name == "batch.size");
    set.and_then(|(_, value)| value.read_blocking().ok()?.expose().parse().ok()).unwrap_or(DEFAULT)
}

pub(super) fn may_create(
    config: &Config,
    name: &'static str,
    topic: &str,
    creation: &TopicCreation,
    report: &mut Report,
) {
    match probe::may_create(&config.kafka, topic, creation) {
        Ok(()) => report.ok(name, format!("{topic} does not exist yet and will be created")),
        Err(error) => report.error(name, &error, topic_grants(config, topic, &error)),
    }
}

/// The grants on a topic, where one is missing.
pub(super) fn topic_grants(config: &Config, topic: &str, error: &Error) -> Option<String> {
    if !matches!(error, Error::NotPermitted { .. }) {
        return None;
    }
    let mut grants =
        "--operation Describe --operation DescribeConfigs --operation Write".to_owned();
    let kafka = &config.kafka;
    let mut own = [&kafka.checkpoint_topic, &kafka.parked_topic]
        .into_iter()
        .chain(&kafka.schema_changes_topic);
    let is_own = own.any(|own| own == topic);
    if is_own {
        grants.push_str(" --operation Read");
    }
    if config.topics.create.is_some() || is_own {
        grants.push_str(" --operation Create");
    }
    Some(format!("kafka-acls.sh --add --allow-principal User:… {grants} --topic {topic}"))
}
