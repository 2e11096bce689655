//! Kafka's prerequisites, found out by using them: for `walbrook check`.
//!
//! A permission is tried, not read from ACLs, since only using it shows what the brokers decide.
//! [`transactions`] and [`write()`] initialise a transactional id and so fence whoever uses it: call
//! them only while the slot is free, or with an id of their own.

use std::time::Duration;

use rdkafka::admin::{ConfigResource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _};

use super::client::{self, Producer, ask};
use super::error::{Error, Origin};
use super::sink::{SinkConfig, initialise};
use super::topics::{self, Creation};
use super::{Deadline, REQUEST_TIMEOUT, admin, record_bytes_max, unix_time};
use crate::checkpoint::Checkpoint;
use crate::config::{Kafka, TopicCreation};
use crate::edges::Class;

/// The cluster, as its first answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's id.
    pub id: Option<String>,
    /// The ids of its brokers.
    pub brokers: Vec<i32>,
}

/// Settings of a broker that the guarantees need; `None` is one that it does not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerSettings {
    /// `default.replication.factor`.
    pub replication_factor: Option<u32>,
    /// `min.insync.replicas`.
    pub min_insync_replicas: Option<u32>,
    /// `transaction.max.timeout.ms`.
    pub transaction_timeout_max: Option<Duration>,
    /// `message.max.bytes`.
    pub record_bytes_max: Option<u64>,
    /// `transaction.partition.verification.enable` (3.6 and later).
    pub verifies_partitions: Option<bool>,
    /// `unclean.leader.election.enable`.
    pub elects_unclean: Option<bool>,
    /// `log.retention.ms`, `.minutes` or `.hours`.
    pub retention: Option<Duration>,
    /// `log.message.timestamp.before.max.ms`.
    pub timestamp_behind_max: Option<Duration>,
}

/// A topic's shape and settings; `None` is a setting that the brokers do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicSettings {
    /// How many partitions it has.
    pub partitions: usize,
    /// How many replicas its first partition has.
    pub replicas: usize,
    /// `cleanup.policy`.
    pub cleanup_policy: Option<String>,
    /// `max.message.bytes`.
    pub record_bytes_max: Option<u64>,
    /// `min.insync.replicas`.
    pub min_insync_replicas: Option<u32>,
    /// `retention.ms`; `Duration::MAX` is for ever.
    pub retention: Option<Duration>,
    /// `retention.bytes`; −1 is no limit.
    pub retention_bytes: Option<i64>,
    /// `message.timestamp.after.max.ms`: how far ahead a record's timestamp may be.
    pub timestamp_ahead_max: Option<Duration>,
    /// `message.timestamp.before.max.ms`: how old a record's timestamp may be.
    pub timestamp_behind_max: Option<Duration>,
    /// `message.timestamp.type`.
    pub timestamp_type: Option<String>,
    /// `unclean.leader.election.enable`.
    pub elects_unclean: Option<bool>,
}

/// A topic, and whether it could be written.
pub type Written<'a> = (&'a str, Result<(), Error>);

/// A topic, and its shape and settings; `None` if it does not exist.
pub type Described<'a> = (&'a str, Result<Option<TopicSettings>, Error>);

/// A topic, and whether it can be written: `false` where that cannot be tried.
pub type Tried<'a> = (&'a str, Result<bool, Error>);

/// Whether the brokers can be reached and the credentials are right.
///
/// # Errors
///
/// If not.
pub fn cluster(config: &Kafka) -> Result<Cluster, Error> {
    let producer = client::plain(config)?;
    let origin = client::origin(config, "asking for the cluster");
    // Asked about one topic, the answer does not hold every topic of the cluster.
    let answer = ask(&producer, origin, CLUSTER_TIMEOUT, |producer, slice| {
        producer.client().fetch_metadata(Some(&config.checkpoint_topic), slice)
    })?;
    Ok(Cluster {
        id: producer.client().fetch_cluster_id(Duration::from_secs(1)),
        brokers: answer.brokers().iter().map(rdkafka::metadata::MetadataBroker::id).collect(),
    })
}

/// The names of the topics that exist and may be described.
///
/// # Errors
///
/// If the brokers do not answer.
pub fn names(config: &Kafka) -> Result<Vec<String>, Error> {
    let producer = client::plain(config)?;
    let origin = client::origin(config, "asking for the names of topics");
    let answer = ask(&producer, origin, CLUSTER_TIMEOUT, |producer, slice| {
        producer.client().fetch_metadata(None, slice)
    })?;
    Ok(answer.topics().iter().map(|topic| topic.name().to_owned()).collect())
}

/// The settings of one broker; needs DESCRIBE_CONFIGS on the cluster.
///
/// # Errors
///
/// If the brokers do not answer or do not permit it.
pub fn broker_settings(config: &Kafka, broker: i32) -> Result<BrokerSettings, Error> {
    let found = settings(config, &[ResourceSpecifier::Broker(broker)], "the cluster")?;
    let found = found.into_iter().next().transpose()?;
    let settings = found.map_or_else(BrokerSettings::default, |found| BrokerSettings {
        replication_factor: number(&found, "default.replication.factor"),
        min_insync_replicas: number(&found, "min.insync.replicas"),
        transaction_timeout_max: millis(&found, "transaction.max.timeout.ms"),
        record_bytes_max: number(&found, "message.max.bytes"),
        verifies_partitions: number(&found, "transaction.partition.verification.enable"),
        elects_unclean: number(&found, "unclean.leader.election.enable"),
        retention: retention(&found),
        timestamp_behind_max: millis(&found, "log.message.timestamp.before.max.ms"),
    });
    // Without the permission the answer is empty rather than an error.
    if settings == BrokerSettings::default() {
        let resource = "the cluster".to_owned();
        return Err(Error::NotPermitted { operation: "DESCRIBE_CONFIGS", resource });
    }
    Ok(settings)
}

/// A topic's shape and settings; `None` if it does not exist. Needs DESCRIBE on it; what needs
/// DESCRIBE_CONFIGS is left out where that is missing.
///
/// # Errors
///
/// If the brokers do not answer or do not permit it.
pub fn topic(config: &Kafka, topic: &str) -> Result<Option<TopicSettings>, Error> {
    let found = topics(config, &[topic])?.into_iter().next();
    found.map_or(Ok(None), |(_, found)| found)
}

/// Whether a topic is compacted; not, where that cannot be told.
///
/// # Errors
///
/// If the brokers do not answer.
pub fn is_compacted(config: &Kafka, name: &str) -> Result<bool, Error> {
    let policy = topic(config, name)?.and_then(|settings| settings.cleanup_policy);
    Ok(policy.is_some_and(|policy| policy.contains("compact")))
}

/// The same of many topics, in their order, over the same connections.
///
/// # Errors
///
/// If the brokers do not answer; what a topic does not permit is in the answer.
pub fn topics<'a>(config: &Kafka, topics: &[&'a str]) -> Result<Vec<Described<'a>>, Error> {
    let producer = client::plain(config)?;
    let doing = "asking for a topic";
    let mut described = Vec::with_capacity(topics.len());
    for topic in topics {
        let shape = topics::describe(&producer, client::origin(config, doing).on(topic), topic);
        let known = shape.map(|shape| {
            shape.map(|shape| TopicSettings {
                partitions: shape.partitions,
                replicas: shape.replicas,
                ..TopicSettings::default()
            })
        });
        match known {
            Err(error) if error.class() == Class::Retry => return Err(error),
            known => described.push((*topic, known)),
        }
    }
    for chunk in described.chunks_mut(TOPICS_PER_REQUEST) {
        add_settings(config, chunk)?;
    }
    Ok(described)
}

/// Adds the settings, where they may be read, of the topics that exist.
fn add_settings(config: &Kafka, described: &mut [Described<'_>]) -> Result<(), Error> {
    let existing: Vec<_> = described
        .iter()
        .filter(|(_, found)| matches!(found, Ok(Some(_))))
        .map(|(topic, _)| ResourceSpecifier::Topic(topic))
        .collect();
    let all = match settings(config, &existing, "a topic") {
        // A key that only librdkafka can open: all else can be looked at.
        Err(Error::Tls { .. }) => return Ok(()),
        all => all?,
    };
    for found in all.into_iter().flatten() {
        let OwnedResourceSpecifier::Topic(name) = &found.specifier else { continue };
        let of = described.iter_mut().find(|(topic, _)| topic == name);
        let Some((_, Ok(Some(known)))) = of else { continue };
        known.cleanup_policy = text(&found, "cleanup.policy").map(str::to_owned);
        known.record_bytes_max = number(&found, "max.message.bytes");
        known.min_insync_replicas = number(&found, "min.insync.replicas");
        known.retention = millis(&found, "retention.ms");
        known.retention_bytes = number(&found, "retention.bytes");
        known.timestamp_ahead_max = millis(&found, "message.timestamp.after.max.ms");
        known.timestamp_behind_max = millis(&found, "message.timestamp.before.max.ms");
        known.timestamp_type = text(&found, "message.timestamp.type").map(str::to_owned);
        known.elects_unclean = number(&found, "unclean.leader.election.enable");
    }
    Ok(())
}

/// Whether `topic` could be created as configured; creates nothing.
///
/// # Errors
///
/// If not: a permission, a limit or a policy of the brokers.
pub fn may_create(config: &Kafka, topic: &str, creation: &TopicCreation) -> Result<(), Error> {
    topics::create(config, topic, creation, Creation::Tried)
}

/// Whether the transactional id can be used. **Fences** whoever uses it.
///
/// # Errors
///
/// If not: a permission, or the transaction time-out.
pub fn transactions(config: &SinkConfig) -> Result<(), Error> {
    initialised(config).map(drop)
}

/// Whether each of the topics, which exist, can be written: a record is written to it in a
/// transaction that is then aborted, so that no `read_committed` reader sees it. **Fences** whoever
/// uses the transactional id.
///
/// # Errors
///
/// If the transactional id cannot be used; the topics' own errors are in the answer.
pub fn write<'a>(config: &SinkConfig, topics: &[&'a str]) -> Result<Vec<Written<'a>>, Error> {
    let mut answers = Vec::with_capacity(topics.len());
    for &topic in topics {
        // A producer each: one that failed is not used again.
        let producer = initialised(config)?;
        answers.push((topic, write_record(config, &producer, topic, &Trial::default())));
    }
    Ok(answers)
}

/// Whether topics that others read can be written: the brokers are given records that they must
/// refuse for their timestamp or size, after they have looked at the permission. So even a reader
/// that does not wait for commits sees nothing. **Fences** whoever uses the transactional id.
///
/// # Errors
///
/// If the transactional id cannot be used; the topics' own errors are in the answer.
pub fn may_write<'a>(
    config: &SinkConfig,
    topics: &[(&'a str, &TopicSettings)],
) -> Result<Vec<Tried<'a>>, Error> {
    let mut config = config.clone();
    // A record that is refused for its size must not become small.
    config.kafka.compression = "none".to_owned();
    let bytes_max = record_bytes_max(&config.batch);
    let mut producer = initialised(&config)?;
    let mut answers = Vec::with_capacity(topics.len());
    for (topic, settings) in topics {
        let Some(trial) = refusable(settings, bytes_max) else {
            answers.push((*topic, Ok(false)));
            continue;
        };
        producer.context().forget_delivery();
        match write_record(&config, &producer, topic, &trial) {
            Ok(()) | Err(Error::RecordRefused { .. }) => answers.push((*topic, Ok(true))),
            Err(error) => {
                answers.push((*topic, Err(error)));
                // One that failed otherwise is not used again.
                producer = initialised(&config)?;
            }
        }
    }
    Ok(answers)
}

/// The error of a topic that must exist and does not, with the command that creates it.
#[must_use]
pub fn missing(config: &Kafka, topic: &str) -> Error {
    topics::missing(config, topic, None)
}

/// Whether the checkpoint topic, which exists, can be read.
///
/// # Errors
///
/// If not, or what is in it cannot be used.
pub fn read(config: &SinkConfig) -> Result<Option<Checkpoint>, Error> {
    let readers = client::Readers::new(&config.kafka)?;
    super::recovery::last_checkpoint(&config.kafka, &config.slot, &readers)
}

fn initialised(config: &SinkConfig) -> Result<Producer, Error> {
    let producer = client::producer(config)?;
    initialise(&config.kafka, &producer, REQUEST_TIMEOUT)?;
    Ok(producer)
}

/// A record to try with.
#[derive(Debug, Default, PartialEq, Eq)]
struct Trial {
    /// Milliseconds since 1970-01-01 UTC; `None` is now.
    timestamp_ms: Option<i64>,
    bytes: usize,
}

/// A record that a topic with these settings must refuse, if there is one of reasonable size.
fn refusable(settings: &TopicSettings, producer_bytes_max: usize) -> Option<Trial> {
    let is_by_creation = settings.timestamp_type.as_deref() == Some("CreateTime");
    if let Some(ahead) = settings.timestamp_ahead_max.filter(|ahead| *ahead < AHEAD_MAX)
        && is_by_creation
    {
        let at = unix_time().saturating_add(ahead).saturating_add(AHEAD_MARGIN);
        return Some(Trial { timestamp_ms: i64::try_from(at.as_millis()).ok(), bytes: 0 });
    }
    let bytes = usize::try_from(settings.record_bytes_max?).ok()?.checked_add(1)?;
    let is_reasonable = bytes <= TRIAL_BYTES_MAX && bytes <= producer_bytes_max;
    is_reasonable.then_some(Trial { timestamp_ms: None, bytes })
}

/// Writes a record in a transaction and aborts it.
fn write_record(
    config: &SinkConfig,
    producer: &Producer,
    topic: &str,
    trial: &Trial,
) -> Result<(), Error> {
    let doing = "trying to write a topic";
    let origin = Origin { operation: "WRITE", ..client::origin(&config.kafka, doing).on(topic) };
    producer.begin_transaction().map_err(|error| origin.error(error))?;
    // A key, since a compacted topic takes no record without.
    let payload = vec![0; trial.bytes];
    let mut record = BaseRecord::with_opaque_to(topic, 0).key("walbrook check").payload(&payload);
    record.timestamp = trial.timestamp_ms;
    producer.send(record).map_err(|(error, _)| origin.error(error))?;
    let deadline = Deadline::after(REQUEST_TIMEOUT);
    while producer.flush(FLUSH_STEP).is_err() && producer.context().refused().is_none() {
        if deadline.slice(REQUEST_TIMEOUT).is_none() {
            return Err(producer.context().unanswered(doing, deadline.elapsed()));
        }
    }
    let outcome = outcome(producer).map_err(|error| origin.error(error));
    let aborted = producer.abort_transaction(REQUEST_TIMEOUT);
    outcome.and_then(|()| aborted.map_err(|error| origin.error(error)))
}

/// Why the open transaction has failed, if it has: a record that could not be delivered, or what
/// librdkafka says when it is asked to begin another.
fn outcome(producer: &Producer) -> Result<(), KafkaError> {
    if let Some(failed) = producer.context().failed_delivery() {
        return Err(KafkaError::MessageProduction(failed.code));
    }
    match producer.begin_transaction() {
        Err(KafkaError::Transaction(error)) if error.txn_requires_abort() || error.is_fatal() => {
            Err(KafkaError::Transaction(error))
        }
        _ => Ok(()),
    }
}

/// How many topics one request asks for.
const TOPICS_PER_REQUEST: usize = 100;

/// How long the first contact may take.
const CLUSTER_TIMEOUT: Duration = Duration::from_secs(10);

const FLUSH_STEP: Duration = Duration::from_millis(10);

/// The largest record that is sent to be refused, bytes: twice the brokers' usual limit.
const TRIAL_BYTES_MAX: usize = 2 << 20;

/// A topic that takes timestamps further ahead takes all.
const AHEAD_MAX: Duration = Duration::from_secs(3650 * 86_400);

/// How much later than allowed the timestamp is: more than clocks differ.
const AHEAD_MARGIN: Duration = Duration::from_secs(30 * 86_400);

/// The settings of brokers or topics, each with its own error.
fn settings(
    config: &Kafka,
    resources: &[ResourceSpecifier<'_>],
    name: &str,
) -> Result<Vec<Result<ConfigResource, Error>>, Error> {
    let doing = "asking for settings";
    let origin = Origin { operation: "DESCRIBE_CONFIGS", ..client::origin(config, doing).on(name) };
    if resources.is_empty() {
        return Ok(Vec::new());
    }
    let refused = |code| match code {
        RDKafkaErrorCode::ClusterAuthorizationFailed => {
            let resource = "the cluster".into();
            Error::NotPermitted { operation: "DESCRIBE_CONFIGS", resource }
        }
        code => origin.error(KafkaError::AdminOp(code)),
    };
    let found = admin::describe_configs(config, origin, resources)?;
    Ok(found.into_iter().map(|found| found.map_err(refused)).collect())
}

fn text<'a>(settings: &'a ConfigResource, name: &str) -> Option<&'a str> {
    settings.get(name)?.value.as_deref()
}

fn number<T: std::str::FromStr>(settings: &ConfigResource, name: &str) -> Option<T> {
    text(settings, name)?.parse().ok()
}

/// How long brokers keep what new topics hold: the finest unit that is set counts.
fn retention(settings: &ConfigResource) -> Option<Duration> {
    let units = [("log.retention.minutes", 60), ("log.retention.hours", 3600)];
    let coarse = units.into_iter().find_map(|(name, seconds)| {
        let count: i64 = number(settings, name)?;
        let count = u64::try_from(count).ok();
        Some(
            count.map_or(Duration::MAX, |count| Duration::from_secs(count.saturating_mul(seconds))),
        )
    });
    millis(settings, "log.retention.ms").or(coarse)
}

/// A time in milliseconds; −1 and the largest number are for ever.
fn millis(settings: &ConfigResource, name: &str) -> Option<Duration> {
    let found: i64 = number(settings, name)?;
    Some(match u64::try_from(found) {
        Err(_) | Ok(0x7FFF_FFFF_FFFF_FFFF) => Duration::MAX,
        Ok(millis) => Duration::from_millis(millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_that_the_topic_must_refuse() {
        let settings = |ahead: Duration, by: &str, bytes| TopicSettings {
            timestamp_ahead_max: Some(ahead),
            timestamp_type: Some(by.into()),
            record_bytes_max: Some(bytes),
            ..TopicSettings::default()
        };
        let hour = Duration::from_secs(3600);
        let by_time = refusable(&settings(hour, "CreateTime", 1_048_588), 1 << 25).unwrap();
        assert_eq!(by_time.bytes, 0);
        let at = Duration::from_millis(by_time.timestamp_ms.unwrap().try_into().unwrap());
        assert!(unix_time() + hour < at);
        let by_size = Some(Trial { timestamp_ms: None, bytes: 1_048_589 });
        assert_eq!(refusable(&settings(Duration::MAX, "CreateTime", 1_048_588), 1 << 25), by_size);
        assert_eq!(refusable(&settings(hour, "LogAppendTime", 1_048_588), 1 << 25), by_size);
        assert_eq!(refusable(&settings(Duration::MAX, "CreateTime", 1_048_588), 1 << 20), None);
        assert_eq!(refusable(&settings(Duration::MAX, "CreateTime", 1 << 30), 1 << 25), None);
        assert_eq!(refusable(&TopicSettings::default(), 1 << 25), None);
    }
}
