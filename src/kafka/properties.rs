//! librdkafka options that `[kafka.properties]` may not set.
//!
//! Everything else passes through. An option is reserved when the guarantees rest on it, or when
//! the configuration has a key of its own for it. Names no rdkafka item, so that `config` may use
//! it.

/// The reserved options, each with the reason.
///
/// Source: <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>
pub const RESERVED: &[(&str, &str)] = &[
    ("acks", EXACTLY_ONCE),
    ("allow.auto.create.topics", TOPICS),
    ("auto.commit.enable", EXACTLY_ONCE),
    ("auto.offset.reset", EXACTLY_ONCE),
    ("bootstrap.servers", "set kafka.bootstrap_servers instead"),
    ("compression.codec", COMPRESSION),
    ("compression.type", COMPRESSION),
    ("delivery.report.only.error", EXACTLY_ONCE),
    ("delivery.timeout.ms", TRANSACTION_TIMEOUT),
    ("enable.auto.commit", EXACTLY_ONCE),
    ("enable.auto.offset.store", EXACTLY_ONCE),
    ("enable.gapless.guarantee", EXACTLY_ONCE),
    ("enable.idempotence", EXACTLY_ONCE),
    ("enable.partition.eof", EXACTLY_ONCE),
    ("group.id", EXACTLY_ONCE),
    ("isolation.level", EXACTLY_ONCE),
    ("log.queue", "walbrook reads librdkafka's log itself"),
    ("max.in.flight", EXACTLY_ONCE),
    ("max.in.flight.requests.per.connection", EXACTLY_ONCE),
    ("message.max.bytes", MEMORY),
    ("message.send.max.retries", EXACTLY_ONCE),
    ("message.timeout.ms", TRANSACTION_TIMEOUT),
    ("metadata.broker.list", "set kafka.bootstrap_servers instead"),
    ("partitioner", "records are partitioned as the Java clients do it"),
    ("queue.buffering.max.kbytes", MEMORY),
    ("queue.buffering.max.messages", MEMORY),
    ("queuing.strategy", EXACTLY_ONCE),
    ("request.required.acks", EXACTLY_ONCE),
    ("retries", EXACTLY_ONCE),
    ("retry.backoff.max.ms", EXACTLY_ONCE),
    ("retry.backoff.ms", EXACTLY_ONCE),
    ("sasl.mechanism", SASL),
    ("sasl.mechanisms", SASL),
    ("sasl.password", SASL),
    ("sasl.username", SASL),
    ("security.protocol", "it follows from [kafka.tls] and [kafka.sasl]"),
    ("ssl.ca.location", TLS),
    ("ssl.certificate.location", TLS),
    ("ssl.key.location", TLS),
    ("ssl.key.password", TLS),
    ("transaction.timeout.ms", TRANSACTION_TIMEOUT),
    ("transactional.id", "set kafka.transactional_id instead"),
];

const COMPRESSION: &str = "set kafka.compression instead";
const EXACTLY_ONCE: &str = "exactly-once delivery rests on it";
const MEMORY: &str = "it follows from batch.max_bytes and batch.max_records";
const SASL: &str = "set it in [kafka.sasl] instead";
const TLS: &str = "set it in [kafka.tls] instead";
const TOPICS: &str = "set [topics.create] instead";
const TRANSACTION_TIMEOUT: &str = "set kafka.transaction_timeout instead";

/// An option that `[kafka.properties]` may not set.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("kafka property {name} cannot be set: {reason}")]
pub struct ReservedProperty {
    /// The option.
    pub name: &'static str,
    /// Why not.
    pub reason: &'static str,
}

/// Whether `[kafka.properties]` may set the option `name`.
///
/// # Errors
///
/// If the option is reserved.
pub fn check_property(name: &str) -> Result<(), ReservedProperty> {
    // librdkafka knows its options by exact name; a stray space or capital is refused there.
    match RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        Some(&(name, reason)) => Err(ReservedProperty { name, reason }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_guarantees_rest_on_is_refused_by_name() {
        for name in
            ["acks", "enable.idempotence", "transactional.id", "isolation.level", "partitioner"]
        {
            let refused = check_property(name).unwrap_err();
            assert!(refused.to_string().contains(name), "{refused}");
        }
        for name in ["linger.ms", "batch.size", "client.id", "ssl.cipher.suites", "debug"] {
            assert_eq!(check_property(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn the_reserved_options_are_sorted_and_unique() {
        assert!(RESERVED.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
