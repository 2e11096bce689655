//! What a registry refuses, and what else can go wrong with it.

use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::config::SecretError;
use crate::edges::Class;

/// What can go wrong with the registry. No variant holds credentials: a URL never has any.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It has no such subject or schema.
    #[error("schema registry {url} has no schema of subject {subject} (code {code})")]
    Absent {
        /// The base URL.
        url: Url,
        /// The subject.
        subject: String,
        /// The registry's own code.
        code: u32,
    },
    /// It answered something that its API does not have.
    #[error("schema registry {url} answered status {status} with {what}")]
    Answer {
        /// The base URL.
        url: Url,
        /// The HTTP status.
        status: u16,
        /// What was found.
        what: &'static str,
    },
    /// The HTTP client could not be made.
    #[error("the schema registry's HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    /// It wants other credentials, or they lack a permission.
    #[error("schema registry {url} answered {status}: {need}")]
    Denied {
        /// The base URL.
        url: Url,
        /// The HTTP status, 401 or 403.
        status: u16,
        /// What is needed.
        need: String,
    },
    /// The configuration names none, which it is checked for.
    #[error("a schema is to be registered, and the configuration names no schema registry")]
    Missing,
    /// There is no registry at this path.
    #[error(
        "no schema registry at {url} (status 404): the URL needs the base path of its Confluent API, such as /apis/ccompat/v7"
    )]
    Path {
        /// The base URL.
        url: Url,
    },
    /// It refuses the schema.
    #[error(
        "schema registry refuses the schema of subject {subject} (status {status}, code {code}): {message}{}",
        note(*.status)
    )]
    Refused {
        /// The subject.
        subject: String,
        /// The HTTP status: 409 is an incompatible schema, 422 an invalid one, 403 one that we may not write.
        status: u16,
        /// The registry's own code.
        code: u32,
        /// The registry's words about the schema, cut to 500 characters.
        message: String,
    },
    /// Certificates or keys are not usable.
    #[error("TLS to the schema registry: {0}")]
    Tls(String),
    /// It is not able to answer now.
    #[error("schema registry {url} answered status {status}")]
    Unavailable {
        /// The base URL.
        url: Url,
        /// The HTTP status.
        status: u16,
    },
    /// It has no such schema, and none may be registered.
    #[error(
        "schema registry has no version of subject {subject} by which these records could be read, and registry.auto_register = false: register the schema \
         (walbrook schema print shows it); `walbrook unpark` tries again at once"
    )]
    Unregistered {
        /// The subject.
        subject: String,
    },
    /// No answer.
    #[error("schema registry {url} does not answer")]
    Unreachable {
        /// The base URL.
        url: Url,
        /// Why.
        source: reqwest::Error,
    },
    /// The password or token cannot be had, for now.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A configured URL is not usable. Its text may hold a password and is not kept.
    #[error("registry URL number {number} {problem}")]
    Url {
        /// Its place in the configured list, from 1.
        number: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Error {
    /// What the supervisor does about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Secret(_) | Self::Unavailable { .. } | Self::Unreachable { .. } => Class::Retry,
            // A proxy in between answers so while the registry behind it is started.
            Self::Answer { status, .. } if *status < 300 => Class::Retry,
            Self::Absent { .. }
            | Self::Answer { .. }
            | Self::Client(_)
            | Self::Denied { .. }
            | Self::Missing
            | Self::Path { .. }
            | Self::Refused { .. }
            | Self::Tls(_)
            | Self::Unregistered { .. }
            | Self::Url { .. } => Class::Fatal,
        }
    }
}

fn note(status: u16) -> &'static str {
    match status {
        409 => {
            ". It does not go with the schemas before it by the rule that holds there: give the subject the rule NONE for a while (FORWARD helps only where fields come, and takes no type that is another one) \
             (Apicurio 2 takes a subject's NONE for no rule of its own, so there the global rule must be NONE too); `walbrook unpark`, or a start, tries again"
        }
        403 => {
            ". Give walbrook that permission: with registry.auto_register = false to read is enough, and others register; else to write, too"
        }
        _ => "",
    }
}

/// The registry's words, not more than 500 characters of them.
pub(super) fn cut(message: &str) -> String {
    message.chars().take(500).collect()
}

/// The body of every error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error_code: u32,
    message: String,
}

/// What an answer that is no success means.
pub(super) fn refusal(url: &Url, subject: &str, status: StatusCode, body: &[u8]) -> Error {
    let url = url.clone();
    let number = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED => {
            let need = "it wants credentials, or others (registry.user, registry.token)".into();
            Error::Denied { url, status: number, need }
        }
        StatusCode::FORBIDDEN if subject.is_empty() => {
            Error::Denied { url, status: number, need: "permission to read is needed".into() }
        }
        StatusCode::FORBIDDEN => match serde_json::from_slice(body).unwrap_or_default() {
            // Its own word about this subject; a gateway's has no such code.
            Refusal { error_code: code @ (403 | 40_300..=40_399), message } => Error::Refused {
                subject: subject.to_owned(),
                status: number,
                code,
                message: cut(&message),
            },
            _ => {
                let need = format!("permission to read and write subject {subject} is needed");
                Error::Denied { url, status: number, need }
            }
        },
        StatusCode::NOT_FOUND => match serde_json::from_slice(body).unwrap_or_default() {
            Refusal { error_code: code @ 40_401..=40_403, .. } => {
                Error::Absent { url, subject: subject.to_owned(), code }
            }
            _ => Error::Path { url },
        },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            Error::Unavailable { url, status: number }
        }
        status if status.is_server_error() => Error::Unavailable { url, status: number },
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            let Refusal { error_code, message } = serde_json::from_slice(body).unwrap_or_default();
            Error::Refused {
                subject: subject.to_owned(),
                status: number,
                code: error_code,
                message: cut(&message),
            }
        }
        _ => Error::Answer { url, status: number, what: "an error that it should not" },
    }
}
