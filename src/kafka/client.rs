//! librdkafka clients: their configuration, and the context that hears their logs and errors.

use std::sync::Mutex;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, NoCustomPartitioner, Producer as _, ProducerContext};

use super::error::{Error, Origin, code_of};
use super::sink::{CHUNK_RECORDS, SinkConfig};
use super::{Deadline, record_bytes_max, unix_time};
use crate::config::{Kafka, Sasl, Secret, SecretSource, Token, TokenSource, reserved};
use crate::edges::Class;

pub(super) type Producer = BaseProducer<Context>;
pub(super) type Consumer = BaseConsumer<Context>;
pub(super) type Admin = AdminClient<Context>;

/// librdkafka repeats an EndTxn that got no answer by itself, without saying so, and a delayed one
/// can end the *next* transaction of the same epoch (KIP-890; the brokers' cure needs version 2 of
/// the transaction protocol, which librdkafka does not speak). It waits between 0.8 and 1.2 times
/// this long before it does, so a commit that took less was not repeated. Ordinary slow commits
/// stay well below it.
///
/// Source: <https://cwiki.apache.org/confluence/display/KAFKA/KIP-890%3A+Transactions+Server-Side+Defense>
pub(super) const RETRY_BACKOFF: Duration = Duration::from_millis(1000);

/// From here on a commit may have been repeated: 0.8 × [`RETRY_BACKOFF`].
pub(super) const SUSPICIOUS: Duration = Duration::from_millis(800);

/// Hears what librdkafka says on its own: logs, errors, failed deliveries, a wish for a token.
#[derive(Debug, Default)]
pub(super) struct Context {
    tokens: Option<TokenSource>,
    /// The password that the client was made with, and where it came from.
    password: Option<(Secret, SecretSource)>,
    heard: Mutex<Heard>,
}

/// What a client said, until it is dropped.
#[derive(Clone, Debug, Default)]
struct Heard {
    delivery: Option<FailedDelivery>,
    /// A partition had no leader, at some time.
    is_leaderless: bool,
    trouble: Option<Trouble>,
}

/// The first record that could not be delivered.
#[derive(Clone, Debug)]
pub(super) struct FailedDelivery {
    pub(super) topic: String,
    pub(super) code: RDKafkaErrorCode,
    /// The record's number in its batch.
    pub(super) record: usize,
}

/// The last trouble with a broker.
#[derive(Clone, Debug)]
struct Trouble {
    code: RDKafkaErrorCode,
    reason: String,
}

impl Context {
    /// Reads the password that its client is made with, if there is one.
    fn new(config: &Kafka) -> Result<Self, Error> {
        let (tokens, password) = match &config.security.sasl {
            Some(Sasl::OauthBearer { tokens }) => (Some(tokens.clone()), None),
            Some(Sasl::Password { password, .. }) => {
                (None, Some((password.read_blocking()?, password.clone())))
            }
            None => (None, None),
        };
        Ok(Self { tokens, password, heard: Mutex::default() })
    }

    /// A call was answered: what was heard before it explains no failure of a later one.
    pub(super) fn on_answer(&self) {
        if let Ok(mut heard) = self.heard.lock() {
            heard.trouble = None;
        }
    }

    /// The first record that could not be delivered, if any.
    pub(super) fn failed_delivery(&self) -> Option<FailedDelivery> {
        self.heard.lock().ok()?.delivery.clone()
    }

    /// Forgets it, before a transaction that has nothing to do with it.
    pub(super) fn forget_delivery(&self) {
        if let Ok(mut heard) = self.heard.lock() {
            heard.delivery = None;
        }
    }

    /// The error that refused credentials mean, if they were.
    pub(super) fn refused(&self) -> Option<Error> {
        let trouble = self.heard.lock().ok()?.trouble.clone();
        let reason = trouble.filter(|trouble| is_refusal(trouble.code))?.reason;
        // What is renewed from outside may be right by the next attempt, or is already.
        let is_renewed = self.tokens.is_some() || self.has_new_password();
        Some(Error::Authentication { reason, is_renewed })
    }

    /// Whether there is another password than the client's by now, or may be.
    fn has_new_password(&self) -> bool {
        let Some((password, source)) = &self.password else { return false };
        source.is_renewable() && source.read_blocking().as_ref() != Ok(password)
    }

    /// Looks when it is `due`, and says when the next look is: a client that was refused keeps the
    /// password that it was made with, so if there is another, a new one may do better. (To a token it
    /// is asked for the next.)
    pub(super) fn unless_outdated(&self, due: Deadline) -> Result<Deadline, Error> {
        if due.slice(LOOK).is_some() || self.password.is_none() {
            return Ok(due);
        }
        match self.refused() {
            Some(error) if error.class() == Class::Retry => Err(error),
            _ => Ok(Deadline::after(LOOK)),
        }
    }

    /// Whether a partition had no leader at some time. Its records may wait for ever then: librdkafka
    /// passes over such news, and over the leader that comes next, and only a new client asks anew.
    ///
    /// Source: <https://github.com/confluentinc/librdkafka/issues/5430> (open; seen with 2.12.1 when the
    /// only broker stood still for longer than `broker.session.timeout.ms`)
    pub(super) fn was_leaderless(&self) -> bool {
        self.heard.lock().is_ok_and(|heard| heard.is_leaderless)
    }

    /// Why no answer came: refused credentials, or the last trouble with a broker.
    pub(super) fn unanswered(&self, doing: &'static str, waited: Duration) -> Error {
        self.refused().unwrap_or_else(|| {
            let heard = self.heard.lock().ok();
            let reason = heard.and_then(|heard| Some(heard.trouble.as_ref()?.reason.clone()));
            Error::Unreachable { doing, waited, reason }
        })
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "METADATAUPDATE"
            && message.contains("new leader-1 ")
            && let Ok(mut heard) = self.heard.lock()
        {
            heard.is_leaderless = true;
        }
        match level {
            // An option of the other kind of client, which passes through to both kinds.
            _ if facility == "CONFWARN" => {
                tracing::debug!(target: "kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "kafka", facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "kafka", facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "kafka", facility, "{message}"),
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let code = code_of(&error);
        tracing::debug!(target: "kafka", %error, reason, "client error");
        // That all brokers are down is never the reason: what each of them said before is.
        if code == RDKafkaErrorCode::AllBrokersDown {
            return;
        }
        if let (true, Some(tokens)) = (is_refusal(code), &self.tokens) {
            tokens.forget();
        }
        if let Ok(mut heard) = self.heard.lock() {
            heard.trouble = Some(Trouble { code, reason: reason.chars().take(300).collect() });
        }
    }

    fn generate_oauth_token(
        &self,
        _config: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let tokens = self.tokens.as_ref().ok_or("no token is configured")?;
        let now = unix_time();
        let token = tokens.token(now);
        // librdkafka asks again some seconds later, and the token before may hold until then.
        if let Some(error) = token.as_ref().err().cloned().or_else(|| tokens.failure()) {
            tracing::warn!(%error, "there is no new token for kafka");
        }
        let token = token?;
        Ok(OAuthToken {
            token: token.secret.expose().to_owned(),
            lifetime_ms: i64::try_from(asked_by(&token, now).as_millis())?,
            principal_name: token.principal.unwrap_or_else(|| "walbrook".to_owned()),
        })
    }
}

/// Until when librdkafka is told that a token lives; it asks for the next after four fifths of that.
/// One whose next is being made is given for some seconds, since it is there soon, or is tried again.
fn asked_by(token: &Token, now: Duration) -> Duration {
    if now < token.kept_until { token.expires } else { token.expires.min(now + RENEWAL) }
}

/// As librdkafka asks again where there was no token: after 10 s.
const RENEWAL: Duration = Duration::from_millis(12_500);

fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed)
}

impl ConsumerContext for Context {}

impl ProducerContext<NoCustomPartitioner> for Context {
    /// The record's number in its batch.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let Err((error, record)) = result else { return };
        let code = code_of(error);
        // The records that fall with the one that failed, in its request or behind it.
        if matches!(
            code,
            RDKafkaErrorCode::InvalidDifferentRecord
                | RDKafkaErrorCode::PurgeInflight
                | RDKafkaErrorCode::PurgeQueue
        ) {
            return;
        }
        if let Ok(mut heard) = self.heard.lock() {
            let topic = record.topic().into();
            heard.delivery.get_or_insert(FailedDelivery { topic, code, record: number });
        }
    }
}

/// How often a refused client asks whether there is another password, which may be to run a command.
const LOOK: Duration = Duration::from_secs(2);

/// Whether the client reads only what is decided.
#[derive(Clone, Copy, Debug)]
pub(super) enum Isolation {
    Committed,
    Uncommitted,
}

/// Whether librdkafka knows the options and takes their values; connects to nothing.
pub(super) fn check(config: &SinkConfig) -> Result<(), Error> {
    // No secret is asked for, since a start must not wait for it.
    let options = producer_config(config, &Context::default())?.create_native_config();
    options.map(drop).map_err(|error| origin(&config.kafka, "checking options").error(error))
}

/// A transactional producer that has not been initialised.
pub(super) fn producer(config: &SinkConfig) -> Result<Producer, Error> {
    let context = Context::new(&config.kafka)?;
    producer_config(config, &context)?
        .create_with_context(context)
        .map_err(|error| origin(&config.kafka, "creating a producer").error(error))
}

/// A consumer that belongs to no group and commits nothing.
fn consumer(config: &Kafka, isolation: Isolation) -> Result<Consumer, Error> {
    let isolation = match isolation {
        Isolation::Committed => "read_committed",
        Isolation::Uncommitted => "read_uncommitted",
    };
    let context = Context::new(config)?;
    let mut client = base(config, &context)?;
    client
        // librdkafka assigns partitions only to a client that names a group; it is never joined.
        .set("group.id", &config.transactional_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        // The end of a partition is known from an empty answer, which waits this long.
        .set("fetch.wait.max.ms", "10")
        .set("isolation.level", isolation);
    client
        .create_with_context(context)
        .map_err(|error| origin(config, "creating a consumer").error(error))
}

/// Two consumers. By its own isolation level a client is told where a partition ends, so one alone
/// cannot compare what is decided with what is there.
pub(super) struct Readers {
    /// Sees what is decided.
    pub(super) committed: Consumer,
    /// Sees everything.
    pub(super) all: Consumer,
    age: Deadline,
}

impl Readers {
    /// How long they are kept: their connections save the first topics of a session some time.
    const KEPT: Duration = Duration::from_mins(1);

    pub(super) fn new(config: &Kafka) -> Result<Self, Error> {
        Ok(Self {
            committed: consumer(config, Isolation::Committed)?,
            all: consumer(config, Isolation::Uncommitted)?,
            age: Deadline::after(Self::KEPT),
        })
    }

    /// Whether they have been kept for long enough.
    pub(super) fn are_old(&self) -> bool {
        Self::KEPT < self.age.elapsed()
    }

    /// They fetch nothing any more, until they are given something to read.
    pub(super) fn rest(&self) -> Result<(), KafkaError> {
        self.committed.unassign()?;
        self.all.unassign()
    }
}

/// A client for topics and settings.
pub(super) fn admin(config: &Kafka) -> Result<Admin, Error> {
    let context = Context::new(config)?;
    base(config, &context)?
        .create_with_context(context)
        .map_err(|error| origin(config, "creating an admin client").error(error))
}

/// A plain producer for metadata, which can be polled.
pub(super) fn plain(config: &Kafka) -> Result<Producer, Error> {
    let context = Context::new(config)?;
    base(config, &context)?
        .create_with_context(context)
        .map_err(|error| origin(config, "creating a client").error(error))
}

/// Serves a new client until it has a token, where it needs one: librdkafka asks for it in an
/// event, and no call that blocks hands out events.
pub(super) fn serve(producer: &Producer) {
    if producer.context().tokens.is_some() {
        producer.poll(Duration::from_millis(10));
    }
}

/// An origin that knows of no topic.
pub(super) fn origin<'a>(config: &'a Kafka, doing: &'static str) -> Origin<'a> {
    Origin {
        doing,
        transactional_id: &config.transactional_id,
        transaction_timeout: config.transaction_timeout,
        topic: "",
        operation: "DESCRIBE",
    }
}

/// Calls `request` in slices until it answers, serving the client in between.
pub(super) fn ask<T>(
    producer: &Producer,
    origin: Origin<'_>,
    limit: Duration,
    request: impl Fn(&Producer, Duration) -> Result<T, KafkaError>,
) -> Result<T, Error> {
    let deadline = Deadline::after(limit);
    loop {
        serve(producer);
        let Some(slice) = deadline.slice(Duration::from_secs(2)) else {
            producer.poll(Duration::from_millis(10));
            return Err(producer.context().unanswered(origin.doing, deadline.elapsed()));
        };
        match request(producer, slice) {
            Ok(answer) => {
                producer.context().on_answer();
                return Ok(answer);
            }
            Err(error) if is_unanswered(&error) => {
                producer.poll(Duration::from_millis(10));
                if let Some(refused) = producer.context().refused() {
                    return Err(refused);
                }
            }
            Err(error) => return Err(origin.error(error)),
        }
    }
}

fn is_unanswered(error: &KafkaError) -> bool {
    matches!(
        code_of(error),
        RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::NotLeaderForPartition
    )
}

/// librdkafka's options are 32-bit integers.
const OPTION_MAX: usize = 2_147_483_647;

fn producer_config(config: &SinkConfig, context: &Context) -> Result<ClientConfig, Error> {
    let record_bytes = record_bytes_max(&config.batch);
    // One batch is in the queue at a time; the checkpoint record comes on top.
    let queue_records = config.batch.max_records.saturating_add(1).min(OPTION_MAX);
    let queue_kbytes = (config.batch.max_bytes / 1024).saturating_add(1024).min(OPTION_MAX);
    let mut client = base(&config.kafka, context)?;
    if client.get("batch.num.messages").is_none() {
        // A whole chunk goes out at once, in one request.
        client.set("batch.num.messages", CHUNK_RECORDS.to_string());
    }
    client
        .set("transactional.id", &config.kafka.transactional_id)
        .set("transaction.timeout.ms", config.kafka.transaction_timeout.as_millis().to_string())
        .set("enable.idempotence", "true")
        .set("acks", "all")
        // What the Java clients do, so that topics of both are co-partitioned.
        .set("partitioner", "murmur2_random")
        .set("delivery.report.only.error", "true")
        .set("compression.type", &config.kafka.compression)
        .set("queue.buffering.max.messages", queue_records.to_string())
        .set("queue.buffering.max.kbytes", queue_kbytes.to_string())
        .set("message.max.bytes", record_bytes.to_string())
        .set("retry.backoff.ms", RETRY_BACKOFF.as_millis().to_string())
        .set("retry.backoff.max.ms", RETRY_BACKOFF.as_millis().to_string());
    Ok(client)
}

/// What every client has.
fn base(config: &Kafka, context: &Context) -> Result<ClientConfig, Error> {
    let mut client = ClientConfig::new();
    client
        // Only better defaults: the operator's options come after them.
        .set("client.id", "walbrook")
        .set("socket.keepalive.enable", "true")
        // A broker that comes back is found within seconds.
        .set("reconnect.backoff.max.ms", "2000");
    let mut level = RDKafkaLogLevel::Info;
    for (name, value) in &config.properties {
        if reserved::reason(name).is_some() {
            return Err(Error::Config { property: name.clone() });
        }
        if name == "debug" {
            level = RDKafkaLogLevel::Debug;
        }
        client.set(name, value.read_blocking()?.expose());
    }
    client
        .set_log_level(level)
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("allow.auto.create.topics", "false");
    apply_security(&mut client, config, context)?;
    Ok(client)
}

fn apply_security(
    client: &mut ClientConfig,
    config: &Kafka,
    context: &Context,
) -> Result<(), Error> {
    let security = &config.security;
    let protocol = match (&security.tls, &security.sasl) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    client.set("security.protocol", protocol);
    if let Some(tls) = &security.tls {
        // A statically linked OpenSSL knows no place of its own: `probe` looks into the usual ones.
        let authorities =
            tls.ca_file.as_ref().map_or_else(|| "probe".into(), |file| file.to_string_lossy());
        client.set("ssl.ca.location", authorities);
        if let Some((certificate, key)) = &tls.client_cert {
            client.set("ssl.certificate.location", certificate.to_string_lossy());
            client.set("ssl.key.location", key.to_string_lossy());
        }
        if let Some(password) = &tls.key_password {
            client.set("ssl.key.password", password.read_blocking()?.expose());
        }
    }
    match &security.sasl {
        None => {}
        Some(Sasl::OauthBearer { .. }) => {
            client.set("sasl.mechanism", "OAUTHBEARER");
        }
        Some(Sasl::Password { mechanism, user, .. }) => {
            let password = context.password.as_ref().map_or("", |(password, _)| password.expose());
            client
                .set("sasl.mechanism", mechanism)
                .set("sasl.username", user)
                .set("sasl.password", password);
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
