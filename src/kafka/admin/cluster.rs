//! Topics and settings over connections of our own, for who logs in with OAUTHBEARER.
//!
//! What may be asked of any broker is asked of the first server of the configuration that lets us
//! in; topics are made by the controller, and only a broker itself knows its settings. What comes
//! back has the types of rdkafka's admin client.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult,
};
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DescribeConfigsRequest, MetadataRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use rdkafka::admin::{
    ConfigEntry, ConfigResource, ConfigResourceResult, ConfigSource, NewTopic,
    OwnedResourceSpecifier, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::super::error::{Error, Origin};
use super::super::{Deadline, REQUEST_TIMEOUT, unix_time};
use super::connection::{Access, Connection, Task};
use super::frame::{CREATE_TOPICS, DESCRIBE_CONFIGS, METADATA};
use super::{code, property, tls};
use crate::config::{Kafka, TokenSource};

/// How long the brokers get to agree on a controller before they are asked again.
const CONTROLLER_PAUSE: Duration = Duration::from_millis(250);

/// The brokers, and what is asked of them within one limit of time.
pub(super) struct Cluster<'a> {
    task: Task<'a>,
    servers: &'a str,
    access: Access<'a>,
}

impl<'a> Cluster<'a> {
    pub(super) fn new(
        config: &'a Kafka,
        tokens: &'a TokenSource,
        origin: Origin<'a>,
    ) -> Result<Self, Error> {
        let tls = tls::client_config(config)?.map(Arc::new);
        let client_id = property(config, "client.id")?.unwrap_or_else(|| "walbrook".to_owned());
        let token = tokens.token(unix_time())?;
        Ok(Self {
            // What gives the token has a limit of its own.
            task: Task { origin, deadline: Deadline::after(REQUEST_TIMEOUT) },
            servers: &config.bootstrap_servers,
            access: Access { client_id, tls, token, tokens },
        })
    }

    /// Creates a topic, or tries only whether it could be.
    pub(super) fn create_topic(
        &self,
        new: &NewTopic<'_>,
        validate_only: bool,
    ) -> Result<Vec<TopicResult>, Error> {
        let left = self.task.deadline.slice(REQUEST_TIMEOUT).unwrap_or_default();
        let request = CreateTopicsRequest::default()
            .with_topics(vec![creatable(new)?])
            .with_timeout_ms(i32::try_from(left.as_millis()).unwrap_or(i32::MAX))
            .with_validate_only(validate_only);
        loop {
            let answer = self.controller()?.ask(&CREATE_TOPICS, &request)?;
            let results: Vec<_> = answer
                .topics
                .iter()
                .map(|topic| {
                    let name = topic.name.to_string();
                    match code(topic.error_code) {
                        None => Ok(name),
                        Some(code) => Err((name, code)),
                    }
                })
                .collect();
            // Without ZooKeeper any broker hands the request on.
            let is_elsewhere =
                |result: &_| matches!(result, Err((_, RDKafkaErrorCode::NotController)));
            match self.task.deadline.slice(CONTROLLER_PAUSE) {
                Some(pause) if results.iter().any(is_elsewhere) => std::thread::sleep(pause),
                _ => return Ok(results),
            }
        }
    }

    /// The settings of topics, or of one broker.
    pub(super) fn describe_configs(
        &self,
        resources: &[ResourceSpecifier<'_>],
    ) -> Result<Vec<ConfigResourceResult>, Error> {
        let broker = resources.iter().find_map(|resource| match resource {
            ResourceSpecifier::Broker(id) => Some(*id),
            _ => None,
        });
        let mut connection = match broker {
            Some(id) => self.broker(id)?,
            None => self.any()?,
        };
        let wanted = resources.iter().map(describable).collect();
        let request = DescribeConfigsRequest::default().with_resources(wanted);
        let answer = connection.ask(&DESCRIBE_CONFIGS, &request)?;
        Ok(answer.results.into_iter().map(described).collect())
    }

    /// The first server that lets us in; that a token is refused all of them will say.
    fn any(&self) -> Result<Connection<'a>, Error> {
        let mut last = None;
        for server in self.servers.split(',') {
            match Connection::open(self.task, &self.access, server) {
                Err(error @ Error::Unreachable { .. }) => last = Some(error),
                opened => return opened,
            }
        }
        Err(last.unwrap_or_else(|| self.task.unreachable("kafka.bootstrap_servers", "none")))
    }

    fn controller(&self) -> Result<Connection<'a>, Error> {
        self.of_metadata(None)
    }

    fn broker(&self, id: i32) -> Result<Connection<'a>, Error> {
        self.of_metadata(Some(BrokerId(id)))
    }

    /// A broker, or else the controller, where the brokers say that it is.
    fn of_metadata(&self, id: Option<BrokerId>) -> Result<Connection<'a>, Error> {
        let metadata = self.any()?.ask(&METADATA, &MetadataRequest::default())?;
        let id = id.unwrap_or(metadata.controller_id);
        let broker = metadata.brokers.iter().find(|broker| broker.node_id == id);
        let broker = broker.ok_or_else(|| {
            let code = RDKafkaErrorCode::BrokerNotAvailable;
            self.task.origin.error(KafkaError::AdminOp(code))
        })?;
        let address = format!("{}:{}", &*broker.host, broker.port);
        Connection::open(self.task, &self.access, &address)
    }
}

fn creatable(new: &NewTopic<'_>) -> Result<CreatableTopic, Error> {
    let replicas = match new.replication {
        TopicReplication::Fixed(replicas) => i16::try_from(replicas).ok(),
        TopicReplication::Variable(_) => None,
    };
    let replicas = replicas.ok_or_else(|| Error::TopicRefused {
        topic: new.name.to_owned(),
        source: KafkaError::AdminOp(RDKafkaErrorCode::InvalidReplicationFactor),
    })?;
    let settings = new.config.iter().map(|(name, value)| {
        CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
    });
    Ok(CreatableTopic::default()
        .with_name(TopicName(text(new.name)))
        .with_num_partitions(new.num_partitions)
        .with_replication_factor(replicas)
        .with_configs(settings.collect()))
}

/// Kafka's numbers of the kinds of resources.
///
/// Source: `ConfigResource.java` of Kafka.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;

fn describable(resource: &ResourceSpecifier<'_>) -> DescribeConfigsResource {
    let (kind, name) = match resource {
        ResourceSpecifier::Broker(id) => (BROKER, id.to_string()),
        ResourceSpecifier::Group(name) => (GROUP, (*name).to_owned()),
        ResourceSpecifier::Topic(name) => (TOPIC, (*name).to_owned()),
    };
    DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_string(name))
        // All of them.
        .with_configuration_keys(None)
}

fn described(found: DescribeConfigsResult) -> ConfigResourceResult {
    if let Some(code) = code(found.error_code) {
        return Err(code);
    }
    let name = found.resource_name.to_string();
    let specifier = match (found.resource_type, name.parse()) {
        (BROKER, Ok(id)) => OwnedResourceSpecifier::Broker(id),
        (TOPIC, _) => OwnedResourceSpecifier::Topic(name),
        _ => OwnedResourceSpecifier::Group(name),
    };
    Ok(ConfigResource { specifier, entries: found.configs.into_iter().map(entry).collect() })
}

fn entry(setting: DescribeConfigsResourceResult) -> ConfigEntry {
    let source = match setting.config_source {
        1 => ConfigSource::DynamicTopic,
        2 => ConfigSource::DynamicBroker,
        3 => ConfigSource::DynamicDefaultBroker,
        4 => ConfigSource::StaticBroker,
        5 => ConfigSource::Default,
        _ => ConfigSource::Unknown,
    };
    ConfigEntry {
        name: setting.name.to_string(),
        value: setting.value.map(|value| value.to_string()),
        is_read_only: setting.read_only,
        is_default: source == ConfigSource::Default,
        is_sensitive: setting.is_sensitive,
        source,
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

#[cfg(test)]
mod tests;
