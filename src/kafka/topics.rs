//! Topics: whether they exist, and making those that are missing. An existing topic is never
//! altered.

use std::collections::HashSet;
use std::time::Duration;

use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::error::{IsError as _, KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;

use super::client::{self, Producer, ask};
use super::error::{Error, Origin};
use super::{Deadline, REQUEST_TIMEOUT, admin};
use crate::config::{Kafka, TopicCreation};

/// How often a new topic is looked for.
const WAIT_STEP: Duration = Duration::from_millis(50);

/// What metadata says of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// How many partitions it has.
    pub(super) partitions: usize,
    /// How many replicas its first partition has.
    pub(super) replicas: usize,
    /// Whether each of them has a leader.
    pub(super) is_led: bool,
}

/// The topics known to exist.
#[derive(Debug, Default)]
pub(super) struct Topics {
    known: HashSet<String>,
}

impl Topics {
    /// Forgets them all: a topic may have been deleted.
    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    /// Makes sure that `topic` exists, creating it by `creation`, or else it must exist.
    pub(super) fn ensure(
        &mut self,
        config: &Kafka,
        producer: &Producer,
        topic: &str,
        creation: Option<&TopicCreation>,
    ) -> Result<(), Error> {
        if self.known.contains(topic) {
            return Ok(());
        }
        let origin = client::origin(config, "looking for a topic").on(topic);
        let found = describe(producer, origin, topic)?;
        if found.is_none() {
            let creation = creation.ok_or_else(|| missing(config, topic, None))?;
            create(config, topic, creation, Creation::Real)?;
            tracing::info!(topic, "created kafka topic");
        }
        if !found.is_some_and(|shape| shape.is_led) {
            wait_until_led(producer, origin, topic)?;
        }
        self.known.insert(topic.to_owned());
        Ok(())
    }
}

/// The shape of `topic`; `None` if it does not exist.
pub(super) fn describe(
    producer: &Producer,
    origin: Origin<'_>,
    topic: &str,
) -> Result<Option<Shape>, Error> {
    let answer = ask(producer, origin, REQUEST_TIMEOUT, |producer, slice| {
        producer.client().fetch_metadata(Some(topic), slice)
    })?;
    let Some(found) = answer.topics().iter().find(|found| found.name() == topic) else {
        return Ok(None);
    };
    let code = found.error().map(RDKafkaErrorCode::from);
    match code {
        None | Some(RDKafkaErrorCode::LeaderNotAvailable) => {}
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            return Ok(None);
        }
        Some(code) => return Err(origin.error(KafkaError::MetadataFetch(code))),
    }
    let partitions = found.partitions();
    Ok(Some(Shape {
        partitions: partitions.len(),
        replicas: partitions.first().map_or(0, |partition| partition.replicas().len()),
        is_led: !partitions.is_empty()
            && partitions
                .iter()
                .all(|p| 0 <= p.leader() && !p.error().is_some_and(|e| e.is_error())),
    }))
}

fn wait_until_led(producer: &Producer, origin: Origin<'_>, topic: &str) -> Result<(), Error> {
    let deadline = Deadline::after(REQUEST_TIMEOUT);
    while !describe(producer, origin, topic)?.is_some_and(|shape| shape.is_led) {
        let Some(step) = deadline.slice(WAIT_STEP) else {
            let doing = "waiting for the leaders of a topic";
            return Err(producer.context().unanswered(doing, deadline.elapsed()));
        };
        // Waits, and serves the client.
        producer.poll(step);
    }
    Ok(())
}

/// Whether a topic is to be made, or only the permission and the settings to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Creation {
    Real,
    Tried,
}

/// Creates `topic`; that somebody else just did is fine.
pub(super) fn create(
    config: &Kafka,
    topic: &str,
    creation: &TopicCreation,
    kind: Creation,
) -> Result<(), Error> {
    let replication = TopicReplication::Fixed(creation.replication_factor);
    let mut new = NewTopic::new(topic, creation.partitions, replication);
    if let Some(policy) = &creation.cleanup_policy {
        new = new.set("cleanup.policy", policy);
    }
    if creation.keeps_all {
        new = new.set("retention.ms", "-1").set("retention.bytes", "-1");
    }
    let origin =
        Origin { operation: "CREATE", ..client::origin(config, "creating a topic").on(topic) };
    for result in admin::create_topic(config, origin, &new, kind == Creation::Tried)? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((_, RDKafkaErrorCode::ClusterAuthorizationFailed)) => {
                let resource = format!("topic {topic}");
                return Err(Error::NotPermitted { operation: "CREATE", resource });
            }
            Err((_, code)) => return Err(refused(origin, code)),
        }
    }
    Ok(())
}

/// A topic that is not made because its settings are refused is no passing matter, except for what
/// a broker that is restarted makes of them.
fn refused(origin: Origin<'_>, code: RDKafkaErrorCode) -> Error {
    match code {
        RDKafkaErrorCode::InvalidReplicationFactor => {
            Error::TooFewBrokers { topic: origin.topic.to_owned() }
        }
        RDKafkaErrorCode::InvalidPartitions
        | RDKafkaErrorCode::InvalidConfig
        | RDKafkaErrorCode::InvalidTopic
        | RDKafkaErrorCode::PolicyViolation => Error::TopicRefused {
            topic: origin.topic.to_owned(),
            source: KafkaError::AdminOp(code),
        },
        code => origin.error(KafkaError::AdminOp(code)),
    }
}

/// The error of a topic that we may not or cannot create, with the command that does.
pub(super) fn missing(config: &Kafka, topic: &str, creation: Option<&TopicCreation>) -> Error {
    let mut command = format!(
        "kafka-topics.sh --bootstrap-server {} --create --topic {topic}",
        config.bootstrap_servers
    );
    if let Some(creation) = creation {
        for (option, number) in [
            ("partitions", creation.partitions),
            ("replication-factor", creation.replication_factor),
        ] {
            if 0 < number {
                command.push_str(&format!(" --{option} {number}"));
            }
        }
        if let Some(policy) = &creation.cleanup_policy {
            command.push_str(&format!(" --config cleanup.policy={policy}"));
        }
    }
    Error::MissingTopic { topic: topic.to_owned(), command: Some(command) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::Class;
    use crate::kafka::client::tests::config;

    #[test]
    fn a_missing_topic_comes_with_the_command_that_creates_it() {
        let check = |creation: Option<TopicCreation>, expect: &str| {
            let error = missing(&config("b1:9092,b2:9092").kafka, "shop.orders", creation.as_ref());
            assert_eq!(error.to_string(), expect);
        };
        let head = "topic shop.orders does not exist; create it with: kafka-topics.sh --bootstrap-server b1:9092,b2:9092 --create --topic shop.orders";
        check(None, head);
        let creation = TopicCreation {
            partitions: 6,
            replication_factor: -1,
            cleanup_policy: None,
            keeps_all: false,
        };
        check(Some(creation.clone()), &format!("{head} --partitions 6"));
        let creation = TopicCreation {
            replication_factor: 3,
            cleanup_policy: Some("compact".into()),
            ..creation
        };
        check(
            Some(creation),
            &format!(
                "{head} --partitions 6 --replication-factor 3 --config cleanup.policy=compact"
            ),
        );
    }

    #[test]
    fn brokers_that_are_down_pass_and_settings_that_are_refused_do_not() {
        use RDKafkaErrorCode as Code;
        let config = config("b:9092").kafka;
        let origin = client::origin(&config, "creating a topic").on("shop.orders");
        for (code, class) in [
            (Code::InvalidReplicationFactor, Class::Retry),
            (Code::InvalidPartitions, Class::Fatal),
            (Code::PolicyViolation, Class::Fatal),
            (Code::RequestTimedOut, Class::Retry),
        ] {
            assert_eq!(refused(origin, code).class(), class, "{code:?}");
        }
        let error = refused(origin, Code::InvalidReplicationFactor).to_string();
        assert!(error.starts_with("topic shop.orders") && error.contains("replication_factor"));
    }
}
