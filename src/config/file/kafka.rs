//! The section `[kafka]` with `[kafka.tls]`, `[kafka.sasl]` and `[kafka.properties]`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Unexpected, Visitor};
use toml::Spanned;

use super::Surroundings;
use super::value::{
    Fault, Given, Key, SecretKeys, Time, certificate, choice, command, contradiction, is_topic,
    text_or, within,
};
use crate::config::{
    self, KafkaSecurity, KafkaTls, Sasl, Secret, SecretSource, TokenSource, reserved,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kafka {
    bootstrap_servers: Key<Vec<String>>,
    transactional_id: Key<String>,
    checkpoint_topic: Key<String>,
    parked_topic: Key<String>,
    transaction_timeout: Key<Time>,
    recovery_timeout: Key<Time>,
    compression: Key<String>,
    tls: Option<Tls>,
    sasl: Option<Spanned<SaslSection>>,
    #[serde(default)]
    properties: BTreeMap<Spanned<String>, Spanned<Property>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    ca_file: Key<String>,
    cert_file: Key<String>,
    key_file: Key<String>,
    key_password: Key<IgnoredAny>,
    key_password_file: Key<String>,
    key_password_env: Key<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaslSection {
    mechanism: Key<String>,
    user: Key<String>,
    password: Key<IgnoredAny>,
    password_file: Key<String>,
    password_env: Key<String>,
    password_command: Key<Vec<String>>,
    token: Key<IgnoredAny>,
    token_file: Key<String>,
    token_command: Key<Vec<String>>,
}

/// A value of `[kafka.properties]`: plain, or a secret from elsewhere.
enum Property {
    Env(String),
    File(String),
    Plain(String),
}

/// Set by `kafka.compression`; librdkafka's names.
const COMPRESSIONS: &[(&str, &str)] =
    &[("none", "none"), ("gzip", "gzip"), ("snappy", "snappy"), ("lz4", "lz4"), ("zstd", "zstd")];
const COMPRESSION_DEFAULT: &str = "lz4";

#[derive(Clone, Copy, PartialEq)]
enum Mechanism {
    OauthBearer,
    Password(&'static str),
}

const MECHANISMS: &[(&str, Mechanism)] = &[
    ("PLAIN", Mechanism::Password("PLAIN")),
    ("SCRAM-SHA-256", Mechanism::Password("SCRAM-SHA-256")),
    ("SCRAM-SHA-512", Mechanism::Password("SCRAM-SHA-512")),
    ("OAUTHBEARER", Mechanism::OauthBearer),
];

pub(super) fn build(
    section: Option<Spanned<Kafka>>,
    pipeline: &str,
    slot: &str,
    schema_changes_topic: Option<String>,
    around: &Surroundings<'_>,
) -> Result<config::Kafka, Fault> {
    let section = section.ok_or_else(|| {
        Fault::nowhere("the section [kafka] is missing: it needs `bootstrap_servers`")
    })?;
    let span = section.span();
    let section = section.into_inner();
    let Some(servers) = &section.bootstrap_servers else {
        let message = "`kafka.bootstrap_servers` is missing: such as \
                       bootstrap_servers = [\"kafka1:9092\", \"kafka2:9092\"]";
        return Err(Fault { span: Some(span), message: message.to_owned() });
    };
    let compression = match Given::key("kafka.compression", &section.compression) {
        None => COMPRESSION_DEFAULT,
        Some(given) => choice(&given, COMPRESSIONS)?,
    };
    let (checkpoint_topic, parked_topic) = own_topics(&section, pipeline)?;
    let limit = |name, key, default| {
        let bounds = (Time::seconds(1), Time::seconds(24 * 3600));
        within(name, key, default, bounds).map(|Time(duration)| duration)
    };
    let timeout = &section.transaction_timeout;
    let recovery = &section.recovery_timeout;
    let transactional_id = format!("walbrook.{pipeline}.{slot}");
    let transaction_timeout = limit("kafka.transaction_timeout", timeout, Time::seconds(60))?;
    let recovery_timeout = limit("kafka.recovery_timeout", recovery, Time::seconds(90))?;
    if recovery_timeout <= transaction_timeout {
        // One of them is in the file, or the defaults would stand.
        let span = recovery.as_ref().or(timeout.as_ref()).map(Spanned::span);
        let message = "`kafka.recovery_timeout` must be longer than `kafka.transaction_timeout`, so that \
                       transactions that hang end by themselves: raise the one or lower the other";
        return Err(Fault { span, message: message.to_owned() });
    }
    Ok(config::Kafka {
        bootstrap_servers: bootstrap_servers(servers)?,
        security: KafkaSecurity {
            tls: section.tls.as_ref().map(|tls| self::tls(tls, around)).transpose()?,
            sasl: section.sasl.map(|sasl| self::sasl(&sasl, around)).transpose()?,
        },
        transactional_id: text_or(&section.transactional_id, &transactional_id),
        checkpoint_topic,
        parked_topic,
        schema_changes_topic,
        transaction_timeout,
        recovery_timeout,
        compression: compression.to_owned(),
        properties: properties(&section.properties, around)?,
    })
}

fn bootstrap_servers(servers: &Spanned<Vec<String>>) -> Result<String, Fault> {
    let legal = |server: &String| {
        let port = server.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        matches!(port, Some((host, Ok(_))) if !host.is_empty()) && !server.contains([',', '/', ' '])
    };
    if servers.get_ref().is_empty() || !servers.get_ref().iter().all(legal) {
        let message = "`kafka.bootstrap_servers` wants one or more of \"host:port\"";
        return Err(Fault::at(servers, message));
    }
    Ok(servers.get_ref().join(","))
}

/// A topic of walbrook's own.
fn own_topic(
    (name, key): (&str, &Key<String>),
    pipeline: &str,
    what: &str,
) -> Result<String, Fault> {
    let topic = text_or(key, &format!("walbrook.{pipeline}.{what}"));
    if is_topic(&topic) {
        return Ok(topic);
    }
    let message = format!("`{name}` wants 1 to 249 letters, digits, dots, underscores and hyphens");
    Err(Fault { span: key.as_ref().map(Spanned::span), message })
}

/// The topic of checkpoints, and that of what is parked.
fn own_topics(section: &Kafka, pipeline: &str) -> Result<(String, String), Fault> {
    let checkpoint = ("kafka.checkpoint_topic", &section.checkpoint_topic);
    let checkpoint = own_topic(checkpoint, pipeline, "checkpoint")?;
    let parked = own_topic(("kafka.parked_topic", &section.parked_topic), pipeline, "parked")?;
    if parked == checkpoint {
        let span = section.parked_topic.as_ref().or(section.checkpoint_topic.as_ref());
        let message = "`kafka.parked_topic` and `kafka.checkpoint_topic` are one topic: the one is compacted, and \
                       of the other nothing may be lost; set them apart";
        return Err(Fault { span: span.map(Spanned::span), message: message.to_owned() });
    }
    Ok((checkpoint, parked))
}

fn tls(section: &Tls, around: &Surroundings<'_>) -> Result<KafkaTls, Fault> {
    let key = ("kafka.tls.key_file", &section.key_file);
    let password = SecretKeys {
        name: "kafka.tls.key_password",
        inline: &section.key_password,
        file: &section.key_password_file,
        env: &section.key_password_env,
        command: &None,
    };
    let client_cert = certificate(("kafka.tls.cert_file", &section.cert_file), key, around)?;
    let key_password = password.read(around)?;
    if key_password.is_some() && client_cert.is_none() {
        let message = "`kafka.tls.key_password_…` needs `kafka.tls.key_file` beside it: there is no \
                       key to open";
        return Err(Fault { span: password.span(), message: message.to_owned() });
    }
    Ok(KafkaTls {
        ca_file: section.ca_file.as_ref().map(|file| around.path(file.get_ref())),
        client_cert,
        key_password,
    })
}

fn sasl(section: &Spanned<SaslSection>, around: &Surroundings<'_>) -> Result<Sasl, Fault> {
    let lacks = |message: &str| Err(Fault::at(section, message));
    let section = section.get_ref();
    let Some(mechanism) = Given::key("kafka.sasl.mechanism", &section.mechanism) else {
        return lacks(
            "`kafka.sasl.mechanism` is missing: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
        );
    };
    if let Some(token) = &section.token {
        let message = "`kafka.sasl.token` may not stand in this file: use `kafka.sasl.token_file`, \
                       a file that something keeps fresh, or `kafka.sasl.token_command`";
        return Err(Fault::at(token, message));
    }
    let password = SecretKeys {
        name: "kafka.sasl.password",
        inline: &section.password,
        file: &section.password_file,
        env: &section.password_env,
        command: &section.password_command,
    };
    let mechanism_key = ("kafka.sasl.mechanism", &section.mechanism);
    let secret = password.read(around)?;
    match choice(&mechanism, MECHANISMS)? {
        Mechanism::OauthBearer => {
            let advice = "OAUTHBEARER takes `token_file` or `token_command` and nothing else; remove the \
                          key, or choose PLAIN or SCRAM";
            for (name, key) in [
                ("kafka.sasl.user", &section.user),
                ("kafka.sasl.password_file", &section.password_file),
                ("kafka.sasl.password_env", &section.password_env),
            ] {
                contradiction(mechanism_key, (name, key), advice)?;
            }
            let command = ("kafka.sasl.password_command", &section.password_command);
            contradiction(mechanism_key, command, advice)?;
            let tokens = tokens(section, around)?;
            let Some(tokens) = tokens else {
                return lacks(
                    "OAUTHBEARER needs `kafka.sasl.token_file` or `kafka.sasl.token_command`",
                );
            };
            Ok(Sasl::OauthBearer { tokens })
        }
        Mechanism::Password(name) => {
            let advice = "tokens are for OAUTHBEARER; this mechanism takes `user` and a password";
            contradiction(mechanism_key, ("kafka.sasl.token_file", &section.token_file), advice)?;
            let command = ("kafka.sasl.token_command", &section.token_command);
            contradiction(mechanism_key, command, advice)?;
            let (Some(user), Some(password)) = (&section.user, secret) else {
                return lacks(
                    "this SASL mechanism needs `kafka.sasl.user` and `kafka.sasl.password_file` (or \
                     `password_env`, or `password_command`)",
                );
            };
            let user = user.get_ref().clone();
            Ok(Sasl::Password { mechanism: name.to_owned(), user, password })
        }
    }
}

fn tokens(section: &SaslSection, around: &Surroundings<'_>) -> Result<Option<TokenSource>, Fault> {
    let command = ("kafka.sasl.token_command", &section.token_command);
    contradiction(("kafka.sasl.token_file", &section.token_file), command, "keep one of them")?;
    if let (name, Some(words)) = command {
        return self::command(name, words, around).map(TokenSource::of_command).map(Some);
    }
    // It is not read yet: what writes it may be started later.
    let file = section.token_file.as_ref().map(|file| around.path(file.get_ref()));
    Ok(file.map(TokenSource::of_file))
}

fn properties(
    properties: &BTreeMap<Spanned<String>, Spanned<Property>>,
    around: &Surroundings<'_>,
) -> Result<Vec<(String, SecretSource)>, Fault> {
    let property = |(name, value): (&Spanned<String>, &Spanned<Property>)| {
        let key = name.get_ref();
        if let Some(reason) = reserved::reason(key) {
            let message = format!("`{key}` may not be set in [kafka.properties]: {reason}");
            return Err(Fault::at(name, message));
        }
        let fault = |why: String| Fault::at(value, format!("`{key}` {why}"));
        let source = match value.get_ref() {
            Property::Plain(_) if reserved::is_secret(key) => {
                return Err(fault(
                    "may not stand in this file: write { file = \"…\" } or { env = \"NAME\" }"
                        .into(),
                ));
            }
            Property::Plain(text) => Secret::new(text.clone()).into(),
            Property::File(path) => {
                let source = SecretSource::File { key: key.clone(), path: around.path(path) };
                source.read_blocking().map_err(|why| Fault::at(value, why.to_string()))?;
                source
            }
            Property::Env(variable) => {
                let text = around.environment.get(variable).ok_or_else(|| {
                    fault(format!("names the environment variable {variable:?}, which is not set"))
                })?;
                Secret::new(text.to_owned()).into()
            }
        };
        Ok((key.clone(), source))
    };
    properties.iter().map(property).collect()
}

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Want;
        impl<'de> Visitor<'de> for Want {
            type Value = Property;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a text, number or boolean, or { file = \"…\" } or { env = \"NAME\" } \
                     (quote names with dots: \"linger.ms\" = 5)",
                )
            }

            fn visit_bool<E>(self, value: bool) -> Result<Property, E> {
                Ok(Property::Plain(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Property, E> {
                Ok(Property::Plain(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Property, E> {
                Ok(Property::Plain(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Property, E> {
                Ok(Property::Plain(value.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Property, A::Error> {
                let entry = map.next_entry::<String, toml::Value>()?;
                let is_last = map.next_key::<String>()?.is_none();
                match entry {
                    Some((key, toml::Value::String(file))) if is_last && key == "file" => {
                        Ok(Property::File(file))
                    }
                    Some((key, toml::Value::String(variable))) if is_last && key == "env" => {
                        Ok(Property::Env(variable))
                    }
                    _ => Err(A::Error::invalid_type(Unexpected::Map, &self)),
                }
            }
        }
        deserializer.deserialize_any(Want)
    }
}
