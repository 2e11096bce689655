//! What can go wrong on Kafka's side, in the operator's words, and what the supervisor does.
//!
//! librdkafka tells an error's nature by three predicates and a code. The predicates decide inside
//! the sink whether the same call may be made again; the code decides here what the operator is
//! told. Record keys and values never get here (I7): librdkafka's texts name brokers, topics and
//! partitions only, except for its configuration errors, of which the option's name is kept.

use std::ops::Range;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::batch::{Batch, Record};
use crate::checkpoint;
use crate::config::SecretError;
use crate::edges::Class;
use crate::parked;
use crate::position::Position;
use crate::snapshot;

/// What can go wrong on Kafka's side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The brokers refused the credentials.
    #[error("kafka refused the credentials: {reason}")]
    Authentication {
        /// librdkafka's words.
        reason: String,
        /// Whether there are others: a token that is renewed from outside, or a password whose file
        /// has another one by now.
        is_renewed: bool,
    },
    /// The last checkpoint record cannot be used.
    #[error(
        "the checkpoint in {topic}-{partition} at offset {offset} cannot be used: nobody knows then what Kafka has. To go on without it, at the slot's confirmed LSN: `walbrook checkpoint accept --reason …`"
    )]
    Checkpoint {
        /// The checkpoint topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// What is wrong with it.
        source: checkpoint::Error,
    },
    /// A call failed in a way that is expected to pass.
    #[error("kafka: {doing}")]
    Client {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: KafkaError,
    },
    /// An option was refused; its value may be a secret and is not kept.
    #[error("kafka option {property} is unknown to librdkafka, or its value is not valid")]
    Config {
        /// The option.
        property: String,
    },
    /// Another producer of this transactional id has taken over, or the transaction timed out.
    #[error(
        "transactional id {transactional_id} was fenced: another instance has taken over, or a transaction took longer than kafka.transaction_timeout"
    )]
    Fenced {
        /// Our transactional id.
        transactional_id: String,
    },
    /// A transaction of the checkpoint partition has not ended.
    #[error(
        "a transaction in {topic}-{partition} has not ended after {waited:.1?}: offsets from {stable} to {high} are undecided; find it with: kafka-transactions.sh --bootstrap-server … find-hanging --topic {topic} --partition {partition}"
    )]
    HangingTransaction {
        /// The checkpoint topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The last stable offset.
        stable: i64,
        /// The high watermark that was to be reached.
        high: i64,
        /// How long was waited.
        waited: Duration,
    },
    /// A partition had no leader, and the client has not found the next one.
    #[error(
        "kafka: a partition had no leader, and this client has not found the next one in {waited:.1?}; a new client asks anew"
    )]
    Leaderless {
        /// How long was waited.
        waited: Duration,
    },
    /// A topic does not exist.
    #[error("topic {topic} does not exist{}", creation(command))]
    MissingTopic {
        /// The topic.
        topic: String,
        /// The command that creates it; `None` when starting again creates it.
        command: Option<String>,
    },
    /// A permission is missing.
    #[error("kafka does not permit to {operation} {resource}: grant {operation} on it")]
    NotPermitted {
        /// Kafka's name of the operation.
        operation: &'static str,
        /// What it was needed on.
        resource: String,
    },
    /// A call other than `recover` after an error.
    #[error("the sink must recover first")]
    NotRecovered,
    /// A record of a table that is parked is not readable, or one of its changes.
    #[error(
        "the record of what is parked at offset {offset} of {topic}-{partition} cannot be used"
    )]
    Parked {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// Why.
        source: parked::Error,
    },
    /// Of what is parked something was deleted.
    #[error(
        "changes of {table} that are parked were deleted: they begin at offset {offset} of topic {topic}, which begins at {low} now. That topic must keep all (retention.ms and retention.bytes = -1)"
    )]
    ParkedLost {
        /// The table.
        table: String,
        /// The topic.
        topic: String,
        /// Where they begin.
        offset: i64,
        /// Where the topic does.
        low: i64,
    },
    /// A record that says how far a table was read is not readable.
    #[error("the record of a snapshot at offset {offset} of {topic}-{partition} cannot be used")]
    Progress {
        /// The checkpoint topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// Why.
        source: snapshot::Error,
    },
    /// A record can never be written as it is.
    #[error("kafka refused a record of topic {topic}{}: {reason}", named(record))]
    RecordRefused {
        /// The topic.
        topic: String,
        /// The record; where its size is what matters, the largest of that topic that was being
        /// written.
        record: Option<Refused>,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// A secret cannot be had, for now.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The options do not go together, or a file that they name is not usable.
    #[error("librdkafka refuses its options: {reason}")]
    Setup {
        /// librdkafka's words.
        reason: String,
    },
    /// The files of `[kafka.tls]` serve librdkafka, but not connections of our own.
    #[error("topics cannot be made, nor settings read, over TLS: {reason}")]
    Tls {
        /// Which file, and what is wrong with it.
        reason: String,
    },
    /// Fewer brokers are up than a new topic wants replicas, which passes when one was restarted.
    #[error(
        "topic {topic} cannot be created: its replication factor is larger than the number of brokers that are up. Start more, or lower topics.replication_factor (topics.checkpoint_replication_factor for the checkpoint topic)"
    )]
    TooFewBrokers {
        /// The topic.
        topic: String,
    },
    /// Records are written, but not all of a batch in the time of a transaction.
    #[error(
        "kafka: of the {records} records of a batch {written} were written within kafka.transaction_timeout ({timeout:?}), which it must fit into. If Kafka is slow rather than away, lower batch.max_bytes and batch.target_bytes, or raise the time-out"
    )]
    TooSlow {
        /// How many records are with the brokers.
        written: usize,
        /// How many there are.
        records: usize,
        /// The configured time-out.
        timeout: Duration,
    },
    /// A topic cannot be created as configured.
    #[error("topic {topic} cannot be created as [topics.create] says")]
    TopicRefused {
        /// The topic.
        topic: String,
        /// The brokers' answer.
        source: KafkaError,
    },
    /// The transaction time-out is above the brokers' maximum.
    #[error(
        "kafka.transaction_timeout ({timeout:?}) is above the brokers' transaction.max.timeout.ms: lower it, or raise theirs"
    )]
    TransactionTimeout {
        /// The configured time-out.
        timeout: Duration,
    },
    /// Whether records that are undecided are ours cannot be told, nor so what our next mark would
    /// make of them.
    #[error(
        "a transaction in {topic}-{partition} has not ended, and whether it is ours and was aborted cannot be told: {reason}. If the next commit were its mark, its records would be there twice; find it with: kafka-transactions.sh --bootstrap-server … find-hanging --topic {topic} --partition {partition}"
    )]
    Undecided {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Why it cannot be told.
        reason: &'static str,
    },
    /// The brokers cannot do something that is needed.
    #[error("the kafka brokers are too old for transactions, or refuse them: {doing}")]
    Unsupported {
        /// What was being done.
        doing: &'static str,
        /// The brokers' answer.
        source: KafkaError,
    },
    /// No answer in time.
    #[error("kafka: no answer after {waited:.1?}: {doing}{}", because(reason))]
    Unreachable {
        /// What was being done.
        doing: &'static str,
        /// How long was waited.
        waited: Duration,
        /// The last trouble with a broker, in librdkafka's words.
        reason: Option<String>,
    },
}

impl Error {
    /// The epoch of a checkpoint that cannot be used, as far as it can be read.
    #[must_use]
    pub fn epoch(&self) -> Option<u32> {
        match self {
            Self::Checkpoint { source, .. } => source.epoch(),
            _ => None,
        }
    }

    /// Whether it is about one topic, and the cluster is well.
    #[must_use]
    pub fn is_of_topic(&self) -> bool {
        match self {
            Self::NotPermitted { resource, .. } => resource.starts_with("topic "),
            Self::MissingTopic { .. } | Self::TopicRefused { .. } => true,
            _ => false,
        }
    }

    /// The table whose record was refused.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        match self {
            Self::RecordRefused { record: Some(record), .. } => Some(&record.table),
            _ => None,
        }
    }

    /// What the supervisor does about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Authentication { is_renewed: true, .. } => Class::Retry,
            Self::MissingTopic { command: None, .. }
            | Self::Client { .. }
            | Self::HangingTransaction { .. }
            | Self::Leaderless { .. }
            | Self::NotRecovered
            | Self::Secret(_)
            | Self::TooFewBrokers { .. }
            | Self::TooSlow { .. }
            | Self::Undecided { .. }
            | Self::Unreachable { .. } => Class::Retry,
            Self::Fenced { .. } => Class::Fenced,
            Self::Authentication { .. }
            | Self::Checkpoint { .. }
            | Self::Config { .. }
            | Self::MissingTopic { .. }
            | Self::NotPermitted { .. }
            | Self::Parked { .. }
            | Self::ParkedLost { .. }
            | Self::Progress { .. }
            | Self::RecordRefused { .. }
            | Self::Setup { .. }
            | Self::Tls { .. }
            | Self::TopicRefused { .. }
            | Self::TransactionTimeout { .. }
            | Self::Unsupported { .. } => Class::Fatal,
        }
    }
}

/// Where an error came from, as far as its code does not tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    /// What was being done.
    pub(super) doing: &'static str,
    /// Our transactional id.
    pub(super) transactional_id: &'a str,
    /// The configured transaction time-out.
    pub(super) transaction_timeout: Duration,
    /// The topic or topics in question; empty when there is none.
    pub(super) topic: &'a str,
    /// The operation that a topic was needed for, in Kafka's words.
    pub(super) operation: &'static str,
}

impl<'a> Origin<'a> {
    /// The same about `topic`.
    pub(super) fn on(self, topic: &'a str) -> Self {
        Self { topic, ..self }
    }

    /// The error that `source` means here.
    pub(super) fn error(self, source: KafkaError) -> Error {
        let source = match source {
            KafkaError::ClientConfig(_, _, property, _) => return Error::Config { property },
            KafkaError::ClientCreation(reason) => return Error::Setup { reason },
            source => source,
        };
        let code = code_of(&source);
        self.known(code).unwrap_or(match code {
            RDKafkaErrorCode::UnsupportedVersion
            | RDKafkaErrorCode::UnsupportedFeature
            | RDKafkaErrorCode::UnsupportedForMessageFormat => {
                Error::Unsupported { doing: self.doing, source }
            }
            _ => Error::Client { doing: self.doing, source },
        })
    }

    /// The error of a code that says all; `None` for the others.
    pub(super) fn known(self, code: RDKafkaErrorCode) -> Option<Error> {
        use RDKafkaErrorCode as Code;
        if is_fenced(code) {
            return Some(Error::Fenced { transactional_id: self.transactional_id.to_owned() });
        }
        if let Some(reason) = refusal(code) {
            return Some(Error::RecordRefused {
                topic: self.topic.to_owned(),
                record: None,
                reason,
            });
        }
        let denied = |operation, resource| Some(Error::NotPermitted { operation, resource });
        match code {
            Code::TopicAuthorizationFailed => {
                denied(self.operation, format!("topic {}", self.topic))
            }
            Code::TransactionalIdAuthorizationFailed => {
                denied("WRITE", format!("transactional id {}", self.transactional_id))
            }
            Code::ClusterAuthorizationFailed => denied("IDEMPOTENT_WRITE", "the cluster".into()),
            Code::InvalidTransactionTimeout => {
                Some(Error::TransactionTimeout { timeout: self.transaction_timeout })
            }
            _ => None,
        }
    }
}

/// The code in any of rdkafka's errors.
pub(super) fn code_of(error: &KafkaError) -> RDKafkaErrorCode {
    match error {
        KafkaError::AdminOp(code) => *code,
        error => error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
    }
}

/// Whether a code says that our epoch is over.
pub(super) fn is_fenced(code: RDKafkaErrorCode) -> bool {
    // librdkafka reports all of them as `Fenced` from its transaction calls, but a delivery report
    // has the broker's own code.
    matches!(
        code,
        RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            | RDKafkaErrorCode::ProducerFenced
    )
}

/// Whether a code says that the time was over before the answer came.
pub(super) fn is_timeout(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::TimedOutQueue
    )
}

/// Why a broker will never take a record as it is; `None` for other codes.
fn refusal(code: RDKafkaErrorCode) -> Option<&'static str> {
    match code {
        code if is_too_large(code) => Some(TOO_LARGE),
        RDKafkaErrorCode::InvalidTimestamp => Some(
            "its timestamp is outside of what the topic allows (message.timestamp.before.max.ms, message.timestamp.after.max.ms): change those, or set records.timestamp = \"now\"",
        ),
        RDKafkaErrorCode::InvalidRecord => Some(
            "the broker says that it is invalid: a compacted topic (cleanup.policy = compact, or compact,delete) takes no record without a key, which that of a TRUNCATE and a row of a table without a replica identity are: give the topic another cleanup.policy, or the table a replica identity for rows to come, or set tables.truncate = false",
        ),
        RDKafkaErrorCode::InvalidTopic => Some("the topic's name is not valid"),
        RDKafkaErrorCode::PolicyViolation => Some("a policy of the brokers forbids it"),
        RDKafkaErrorCode::UnsupportedCompressionType => {
            Some("the topic does not take kafka.compression")
        }
        _ => None,
    }
}

/// What to do about a record, or a request of several, that a broker refuses for its size.
pub(super) const TOO_LARGE: &str = "it is larger than the topic's max.message.bytes (compressed): raise that, or, where single records are small, set batch.size in [kafka.properties] below it";

/// Whether a code says that a record, or a request of several, is too large.
pub(super) fn is_too_large(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::MessageBatchTooLarge)
}

/// A record that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its table.
    pub table: String,
    /// The change that made it.
    pub position: Position,
    /// Bytes of key and value, before compression.
    pub bytes: usize,
}

/// The topics of a batch, for an error that does not say which.
pub(super) fn topic_names(batch: &Batch) -> String {
    const NAMES_MAX: usize = 10;
    let mut names = Vec::new();
    for record in batch.records() {
        let name = batch.topics.name(record.topic);
        names.extend(name.filter(|name| !names.contains(name) && names.len() < NAMES_MAX));
    }
    names.join(", ")
}

/// A record of `topic` is too large: which, is told by the largest one there is.
pub(super) fn too_large(batch: &Batch, topic: &str, reason: &'static str) -> Error {
    let of_topic = batch.records().iter().filter(|r| batch.topics.name(r.topic) == Some(topic));
    let record = of_topic.max_by_key(|record| length(record));
    let record = record.map(|record| Refused::new(batch, record));
    Error::RecordRefused { topic: topic.to_owned(), record, reason }
}

/// Bytes of key and value.
fn length(record: &Record) -> usize {
    let length = |range: &Option<Range<usize>>| range.as_ref().map_or(0, Range::len);
    length(&record.key) + length(&record.value)
}

impl Refused {
    pub(super) fn new(batch: &Batch, record: &Record) -> Self {
        let table = batch.topics.table(record.topic).unwrap_or_default().to_owned();
        Self { table, position: record.position, bytes: length(record) }
    }
}

fn named(record: &Option<Refused>) -> String {
    record.as_ref().map_or_else(String::new, |Refused { table, position, bytes }| {
        format!(" (the change at {position} of table {table}, {bytes} bytes before compression)")
    })
}

fn because(reason: &Option<String>) -> String {
    reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"))
}

fn creation(command: &Option<String>) -> String {
    command.as_ref().map_or_else(String::new, |command| format!("; create it with: {command}"))
}

#[cfg(test)]
mod tests {
    use rdkafka::error::RDKafkaErrorCode as Code;

    use super::*;

    const ORIGIN: Origin<'_> = Origin {
        doing: "writing records",
        transactional_id: "walbrook.shop.slot",
        transaction_timeout: Duration::from_secs(60),
        topic: "shop.public.orders",
        operation: "WRITE",
    };

    #[test]
    fn codes_become_classes_and_sentences() {
        let check = |code: Code, class: Class, words: &str| {
            let error = ORIGIN.error(KafkaError::MessageProduction(code));
            assert_eq!(error.class(), class, "{code:?}");
            assert!(error.to_string().contains(words), "{code:?}: {error}");
        };
        check(Code::Fenced, Class::Fenced, "another instance");
        check(Code::ProducerFenced, Class::Fenced, "walbrook.shop.slot");
        check(Code::InvalidProducerEpoch, Class::Fenced, "transaction_timeout");
        check(Code::TopicAuthorizationFailed, Class::Fatal, "grant WRITE");
        check(Code::TopicAuthorizationFailed, Class::Fatal, "topic shop.public.orders");
        check(Code::TransactionalIdAuthorizationFailed, Class::Fatal, "walbrook.shop.slot");
        check(Code::ClusterAuthorizationFailed, Class::Fatal, "the cluster");
        check(Code::InvalidTransactionTimeout, Class::Fatal, "transaction.max.timeout.ms");
        check(Code::MessageSizeTooLarge, Class::Fatal, "max.message.bytes");
        check(Code::InvalidTimestamp, Class::Fatal, "message.timestamp.after.max.ms");
        check(Code::InvalidRecord, Class::Fatal, "without a key");
        check(Code::UnsupportedVersion, Class::Fatal, "too old");
        // An expired transactional id means a new epoch, not the end.
        check(Code::InvalidProducerIdMapping, Class::Retry, "writing records");
        check(Code::UnknownProducerId, Class::Retry, "writing records");
        check(Code::InvalidTransactionalState, Class::Retry, "writing records");
        check(Code::NotEnoughReplicas, Class::Retry, "writing records");
        check(Code::MessageTimedOut, Class::Retry, "writing records");
        // What nobody has thought of is tried again.
        check(Code::Unknown, Class::Retry, "writing records");
    }

    #[test]
    fn an_option_is_named_and_its_value_is_not_kept() {
        let refused = rdkafka::ClientConfig::new()
            .set("sasl.password.nonsense", "canary")
            .create_native_config()
            .err()
            .unwrap();
        let error = ORIGIN.error(refused);
        assert_eq!(error.class(), Class::Fatal);
        assert!(error.to_string().contains("sasl.password.nonsense"), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }

    #[test]
    fn a_missing_topic_is_fatal_only_when_nobody_will_create_it() {
        let missing = |command: Option<&str>| Error::MissingTopic {
            topic: "t".into(),
            command: command.map(Into::into),
        };
        assert_eq!(missing(None).class(), Class::Retry);
        assert_eq!(missing(Some("kafka-topics.sh")).class(), Class::Fatal);
        assert_eq!(
            missing(Some("kafka-topics.sh --create")).to_string(),
            "topic t does not exist; create it with: kafka-topics.sh --create"
        );
    }

    #[test]
    fn a_refused_token_is_renewed_and_a_refused_password_is_not() {
        let refused =
            |is_renewed| Error::Authentication { reason: "no".into(), is_renewed }.class();
        assert_eq!(refused(true), Class::Retry);
        assert_eq!(refused(false), Class::Fatal);
    }
}
