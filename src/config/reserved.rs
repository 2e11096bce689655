//! The librdkafka options that `[kafka.properties]` may not set, each with the reason.
//!
//! Source: <https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md>

/// Why `property` may not be set by hand; `None` if it may.
#[must_use]
pub fn reason(property: &str) -> Option<&'static str> {
    let matches = |pattern: &str| {
        pattern.strip_suffix('*').map_or(property == pattern, |prefix| property.starts_with(prefix))
    };
    RESERVED.iter().find(|(pattern, _)| matches(pattern)).map(|(_, reason)| *reason)
}

/// Whether `property` holds a secret, which may not stand in the file.
#[must_use]
pub fn is_secret(property: &str) -> bool {
    ["password", "secret", "token", "jaas"].iter().any(|word| property.contains(word))
        || property.ends_with(".pem")
}

const IDEMPOTENCE: &str = "exactly-once delivery rests on the idempotent producer's own value";
const ORDER: &str = "the order of records per key rests on it";
const OWN_TLS: &str = "it is set by the section [kafka.tls]";
const MEMORY: &str = "it bounds memory and is derived from the section [batch]";
const CONSUMER: &str =
    "walbrook reads its checkpoint by offset, without a consumer group, and keeps no other offsets";
const INTERNAL: &str = "it is internal to the program";

/// Option (or prefix, with `*`) and the reason, in the order of the names.
pub const RESERVED: &[(&str, &str)] = &[
    ("acks", IDEMPOTENCE),
    ("allow.auto.create.topics", "topics are created as the section [topics] says"),
    ("auto.commit.*", CONSUMER),
    ("auto.offset.reset", CONSUMER),
    ("background_event_cb", INTERNAL),
    ("bootstrap.servers", "it is set by `kafka.bootstrap_servers`"),
    ("closesocket_cb", INTERNAL),
    ("compression.codec", "it is set by `kafka.compression`"),
    ("compression.type", "it is set by `kafka.compression`"),
    ("connect_cb", INTERNAL),
    ("consume.callback.*", INTERNAL),
    ("consume_cb", INTERNAL),
    ("default_topic_conf", INTERNAL),
    ("delivery.report.only.error", INTERNAL),
    (
        "delivery.timeout.ms",
        "a record is given up only with its Kafka transaction: see `kafka.transaction_timeout`",
    ),
    ("dr_cb", INTERNAL),
    ("dr_msg_cb", INTERNAL),
    ("enable.auto.commit", CONSUMER),
    ("enable.auto.offset.store", CONSUMER),
    ("enable.gapless.guarantee", IDEMPOTENCE),
    ("enable.idempotence", "exactly-once delivery rests on it; it is always on"),
    ("enable.partition.eof", "the end of the checkpoint partition is found with it"),
    ("error_cb", INTERNAL),
    ("group.*", CONSUMER),
    ("interceptors", INTERNAL),
    ("isolation.level", "the checkpoint is read with both levels to find hanging transactions"),
    ("log.queue", INTERNAL),
    ("log_cb", INTERNAL),
    ("max.in.flight", ORDER),
    ("max.in.flight.requests.per.connection", ORDER),
    ("message.max.bytes", MEMORY),
    ("message.send.max.retries", IDEMPOTENCE),
    (
        "message.timeout.ms",
        "a record is given up only with its Kafka transaction: see `kafka.transaction_timeout`",
    ),
    ("metadata.broker.list", "it is set by `kafka.bootstrap_servers`"),
    ("msg_order_cmp", ORDER),
    ("oauth_cb", INTERNAL),
    ("oauthbearer_token_refresh_cb", INTERNAL),
    ("offset.store.*", CONSUMER),
    ("offset_commit_cb", INTERNAL),
    ("opaque", INTERNAL),
    ("open_cb", INTERNAL),
    ("partition.assignment.strategy", CONSUMER),
    (
        "partitioner",
        "records of one key go where the Java clients would put them (murmur2), so that topics stay co-partitioned",
    ),
    (
        "partitioner_cb",
        "records of one key go where the Java clients would put them (murmur2), so that topics stay co-partitioned",
    ),
    ("plugin.library.paths", "no foreign code is loaded into this process"),
    ("queue.buffering.max.kbytes", MEMORY),
    ("queue.buffering.max.messages", MEMORY),
    ("queuing.strategy", ORDER),
    ("rebalance_cb", INTERNAL),
    ("request.required.acks", IDEMPOTENCE),
    ("resolve_cb", INTERNAL),
    ("retries", IDEMPOTENCE),
    ("retry.backoff.*", "a delayed end of a transaction is detected by it (KIP-890)"),
    ("sasl.*", "it is set by the section [kafka.sasl]"),
    ("security.protocol", "it follows from the sections [kafka.tls] and [kafka.sasl]"),
    ("socket_cb", INTERNAL),
    ("ssl.ca.*", OWN_TLS),
    ("ssl.certificate.*", OWN_TLS),
    ("ssl.key.*", OWN_TLS),
    ("ssl_ca", OWN_TLS),
    ("ssl_certificate", OWN_TLS),
    ("ssl_key", OWN_TLS),
    ("stats_cb", INTERNAL),
    ("test.*", "it replaces the cluster by a simulation: nothing would be delivered"),
    ("throttle_cb", INTERNAL),
    ("transaction.timeout.ms", "it is set by `kafka.transaction_timeout`"),
    ("transactional.id", "it is set by `kafka.transactional_id`"),
];
