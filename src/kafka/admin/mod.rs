//! Making topics and reading settings, by whichever client can log in.
//!
//! ```text
//!              ┌─ rdkafka's admin client
//!  one call ───┤
//!              └─ OAUTHBEARER: cluster ──▶ connection (tls) ──▶ frame
//! ```
//!
//! rdkafka's admin client cannot log in with OAUTHBEARER: librdkafka puts its wish for a token on a
//! queue that this client does not look at (<https://github.com/fede1024/rust-rdkafka/issues/757>).
//! So there is a second road, over connections of our own. Which of both was taken shows in nothing
//! but the time it takes.

mod cluster;
mod connection;
mod frame;
mod tls;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use rdkafka::admin::{
    AdminOptions, ConfigResourceResult, NewTopic, ResourceSpecifier, TopicResult,
};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

use self::cluster::Cluster;
use super::error::{Error, Origin};
use super::{REQUEST_TIMEOUT, client};
use crate::config::{Kafka, Sasl, TokenSource};

/// Creates a topic, or tries only whether it could be; what the brokers say of it is in the answer.
pub(super) fn create_topic(
    config: &Kafka,
    origin: Origin<'_>,
    new: &NewTopic<'_>,
    validate_only: bool,
) -> Result<Vec<TopicResult>, Error> {
    if let Some(tokens) = tokens(config) {
        return Cluster::new(config, tokens, origin)?.create_topic(new, validate_only);
    }
    let options = AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT))
        .validate_only(validate_only);
    let created = block_on(client::admin(config)?.create_topics([new], &options));
    created.map_err(|error| origin.error(error))
}

/// The settings of topics, or of one broker; what the brokers say of each is in the answer.
pub(super) fn describe_configs(
    config: &Kafka,
    origin: Origin<'_>,
    resources: &[ResourceSpecifier<'_>],
) -> Result<Vec<ConfigResourceResult>, Error> {
    if let Some(tokens) = tokens(config) {
        return Cluster::new(config, tokens, origin)?.describe_configs(resources);
    }
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let described = block_on(client::admin(config)?.describe_configs(resources, &options));
    described.map_err(|error| origin.error(error))
}

/// The tokens of OAUTHBEARER, with which only our own client can log in.
fn tokens(config: &Kafka) -> Option<&TokenSource> {
    match &config.security.sasl {
        Some(Sasl::OauthBearer { tokens }) => Some(tokens),
        _ => None,
    }
}

/// An option of librdkafka's that the operator has set.
fn property(config: &Kafka, name: &str) -> Result<Option<String>, Error> {
    let found = config.properties.iter().find(|(property, _)| property == name);
    let secret = found.map(|(_, value)| value.read_blocking()).transpose()?;
    Ok(secret.map(|secret| secret.expose().to_owned()))
}

/// librdkafka's word for a code of the protocol; `None` is success.
fn code(code: i16) -> Option<RDKafkaErrorCode> {
    let known = RDKafkaRespErr::try_from(i32::from(code));
    let code = known.map_or(RDKafkaErrorCode::Unknown, Into::into);
    (code != RDKafkaErrorCode::NoError).then_some(code)
}

/// Waits for a future of rdkafka's admin client, which has a thread and a time-out of its own and
/// needs no runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests;
