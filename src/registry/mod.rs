//! The schema registry: a schema goes in, its id comes out.
//!
//! Any registry with Confluent's HTTP API will do, under any base path (Apicurio's is
//! `/apis/ccompat/v7`). Schemas are registered when a plan is compiled, never per row, and what is
//! registered is remembered. A registry that is down makes the pipeline wait; one that refuses a
//! schema stops it, because what it would write could not be read.
//!
//! Source: <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>

mod by_id;
mod tls;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize};

use crate::config::{self, Secret, SecretError, SecretSource, Token};
use crate::edges::Class;
use crate::plan::SchemaId;

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
        conflict_note(*.status)
    )]
    Refused {
        /// The subject.
        subject: String,
        /// The HTTP status: 409 is an incompatible schema, 422 an invalid one.
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
            | Self::Url { .. } => Class::Fatal,
        }
    }
}

/// What registering a schema would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registration {
    /// It is registered.
    Found,
    /// It does not go with what is registered under its subject, by the rule that holds there.
    Incompatible {
        /// Why, in the registry's words, cut to 500 characters; empty where it gives none.
        message: String,
    },
    /// It is new, and goes with what is registered.
    New,
}

/// A client of one registry, which may have several URLs.
#[derive(Debug)]
pub struct Registry {
    config: config::Registry,
    client: Client,
    urls: Vec<Url>,
    /// The URL that answered last: the first to try.
    preferred: usize,
    /// Whether it has ever answered as it should: then what a gateway in front of it says, or what
    /// it says to credentials, may pass.
    has_answered: bool,
    known: HashMap<(String, String), SchemaId>,
    /// Whether nothing is registered.
    is_rehearsal: bool,
    /// What a command gave, until it is run again: not at each request.
    kept: Option<Token>,
}

fn conflict_note(status: u16) -> &'static str {
    match status {
        409 => {
            ". It does not go with the schemas before it by the rule that holds there: give the subject the rule FORWARD, or NONE \
             (Apicurio takes a subject's NONE for no rule of its own, so there the global rule must be NONE too), and start again"
        }
        _ => "",
    }
}

#[derive(Serialize)]
struct Candidate<'a> {
    schema: &'a str,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

#[derive(Deserialize)]
struct Version {
    id: u32,
    schema: String,
}

#[derive(Deserialize)]
struct Compatibility {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

/// The body of every error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    error_code: u32,
    message: String,
}

impl Registry {
    /// A client; connects to nothing.
    ///
    /// # Errors
    ///
    /// If a URL, a certificate or a key is not usable.
    pub fn new(config: &config::Registry) -> Result<Self, Error> {
        let urls: Vec<_> = (1..).zip(&config.urls).map(base_url).collect::<Result<_, _>>()?;
        Ok(Self {
            config: config.clone(),
            client: client(config, &urls)?,
            urls,
            preferred: 0,
            has_answered: false,
            known: HashMap::new(),
            is_rehearsal: false,
            kept: None,
        })
    }

    /// A client that registers nothing: [`register`](Self::register) fails where registering would,
    /// as far as can be told, and else gives an id that means nothing.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn rehearsing(config: &config::Registry) -> Result<Self, Error> {
        Ok(Self { is_rehearsal: true, ..Self::new(config)? })
    }

    /// What to do about an error. Once the registry has answered, nothing but its word about a
    /// schema is permanent: a gateway whose backend is restarted says 404 or redirects, one that
    /// renews credentials 401.
    #[must_use]
    pub fn class(&self, error: &Error) -> Class {
        match error {
            // Nobody waits for it.
            _ if self.is_rehearsal => Class::Fatal,
            Error::Answer { .. } | Error::Denied { .. } | Error::Path { .. }
                if self.has_answered =>
            {
                Class::Retry
            }
            error => error.class(),
        }
    }

    /// The id of `schema_json` under `subject`, registering it if it is new.
    ///
    /// # Errors
    ///
    /// If no URL answers, the schema is refused, or a permission is missing.
    pub async fn register(&mut self, subject: &str, schema_json: &str) -> Result<SchemaId, Error> {
        let cached = (subject.to_owned(), schema_json.to_owned());
        if let Some(id) = self.known.get(&cached) {
            return Ok(*id);
        }
        let id = if self.is_rehearsal {
            self.would_register(subject, schema_json).await?
        } else {
            self.register_anew(subject, schema_json).await?
        };
        self.remember(cached, id);
        Ok(id)
    }

    fn remember(&mut self, schema: (String, String), id: SchemaId) {
        if KNOWN_MAX <= self.known.len() {
            self.known.clear();
        }
        self.known.insert(schema, id);
    }

    async fn register_anew(&mut self, subject: &str, schema_json: &str) -> Result<SchemaId, Error> {
        let path = ["subjects", subject, "versions"];
        let body = Candidate { schema: schema_json };
        match self.ask(&Method::POST, &path, subject, Some(&body), registered_id).await {
            // A conflict may also be a race of two first registrations (Apicurio): ask again. An
            // incompatible schema is so the second time too.
            Err(Error::Refused { status: 409, .. }) => {
                self.ask(&Method::POST, &path, subject, Some(&body), registered_id).await
            }
            other => other,
        }
    }

    async fn would_register(
        &mut self,
        subject: &str,
        schema_json: &str,
    ) -> Result<SchemaId, Error> {
        match self.rehearse(subject, schema_json).await? {
            Registration::Found | Registration::New => Ok(SchemaId(0)),
            Registration::Incompatible { message } => {
                let (subject, status) = (subject.to_owned(), 409);
                Err(Error::Refused { subject, status, code: status.into(), message })
            }
        }
    }

    /// The text of the newest schema under `subject`, which need not be registered again; `None` if it has none, or we may not read it.
    ///
    /// # Errors
    ///
    /// If no URL answers, or the credentials are refused.
    pub async fn newest(&mut self, subject: &str) -> Result<Option<String>, Error> {
        let path = ["subjects", subject, "versions", "latest"];
        let parse = |body: &[u8]| serde_json::from_slice::<Version>(body).ok();
        match self.ask(&Method::GET, &path, subject, None, parse).await {
            Ok(Version { id, schema }) => {
                self.remember((subject.to_owned(), schema.clone()), SchemaId(id));
                Ok(Some(schema))
            }
            Err(Error::Absent { .. } | Error::Denied { status: 403, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What registering `schema_json` under `subject` would come to, as far as can be told without
    /// registering it: whether it may be written is not.
    ///
    /// # Errors
    ///
    /// If no URL answers, the schema is invalid, or a permission is missing.
    pub async fn rehearse(
        &mut self,
        subject: &str,
        schema_json: &str,
    ) -> Result<Registration, Error> {
        let body = Candidate { schema: schema_json };
        let post = Method::POST;
        // What is registered is found again, whatever the rule says by now.
        match self.ask(&post, &["subjects", subject], subject, Some(&body), registered_id).await {
            Ok(_) => return Ok(Registration::Found),
            Err(Error::Absent { .. }) => {}
            Err(error) => return Err(error),
        }
        let path = ["compatibility", "subjects", subject, "versions"];
        let parse = |body: &[u8]| serde_json::from_slice::<Compatibility>(body).ok();
        match self.ask(&post, &path, subject, Some(&body), parse).await {
            Ok(Compatibility { is_compatible: false, messages }) => {
                let message = messages.join("; ").chars().take(MESSAGE_CHARS_MAX).collect();
                Ok(Registration::Incompatible { message })
            }
            Ok(_) | Err(Error::Absent { .. }) => Ok(Registration::New),
            Err(error) => Err(error),
        }
    }

    /// Asks for something harmless: whether it is there, and the credentials are right.
    ///
    /// # Errors
    ///
    /// If no URL answers, or the credentials are refused.
    pub async fn ping(&mut self) -> Result<(), Error> {
        let parse = |body: &[u8]| serde_json::from_slice::<Vec<String>>(body).is_ok().then_some(());
        self.ask(&Method::GET, &["schemas", "types"], "", None, parse).await
    }

    /// Asks with the credentials that there are, and once more with others if a command gives them and
    /// these are refused.
    async fn ask<T>(
        &mut self,
        method: &Method,
        path: &[&str],
        subject: &str,
        body: Option<&Candidate<'_>>,
        parse: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        let is_kept = self.kept.is_some();
        let question = Question { method, path, subject, body };
        match self.ask_each(&question, &parse).await {
            Err(Error::Denied { status: 401, .. }) if is_kept => {
                self.kept = None;
                self.ask_each(&question, &parse).await
            }
            answer => answer,
        }
    }

    /// Asks each URL in turn, the one that answered last first, until one answers for good.
    async fn ask_each<T>(
        &mut self,
        question: &Question<'_>,
        parse: &impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        let login = self.login().await?;
        let mut failure = Error::Url { number: 1, problem: "is missing" };
        for turn in 0..self.urls.len() {
            let index = (self.preferred + turn) % self.urls.len();
            let Some(url) = self.urls.get(index) else { break };
            match self.ask_one(url, question, login.as_ref(), parse).await {
                Ok(answer) => {
                    self.preferred = index;
                    self.has_answered = true;
                    return Ok(answer);
                }
                Err(error) if self.class(&error) == Class::Retry => failure = error,
                Err(error) => return Err(error),
            }
        }
        // A certificate that was renewed since may be why; one that is half written is not used.
        if let Ok(client) = client(&self.config, &self.urls) {
            self.client = client;
        }
        Err(failure)
    }

    /// The password or token to log in with: a file's as it is now, a command's until it expires.
    async fn login(&mut self) -> Result<Option<Secret>, Error> {
        let (source, is_token) = match (&self.config.basic_auth, &self.config.bearer_token) {
            (Some((_, password)), _) => (password, false),
            (None, Some(token)) => (token, true),
            (None, None) => return Ok(None),
        };
        let SecretSource::Command(command) = source else { return Ok(Some(source.read().await?)) };
        let now = unix_time();
        if let Some(kept) = self.kept.as_ref().filter(|kept| now < kept.kept_until) {
            return Ok(Some(kept.secret.clone()));
        }
        let secret = source.read().await?;
        let login = if is_token {
            Token::parse(secret.expose(), now).map_err(|problem| command.gave(problem))?
        } else {
            Token::of_password(secret, now)
        };
        Ok(Some(self.kept.insert(login).secret.clone()))
    }

    async fn ask_one<T>(
        &self,
        url: &Url,
        &Question { method, path, subject, body }: &Question<'_>,
        login: Option<&Secret>,
        parse: &impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        let unreachable = |error: reqwest::Error| Error::Unreachable {
            url: url.clone(),
            source: error.without_url(),
        };
        let mut target = url.clone();
        if let Ok(mut segments) = target.path_segments_mut() {
            // Escapes what a subject may hold, the slash included.
            segments.pop_if_empty().extend(path);
        }
        // Else it does not say why.
        if path.first() == Some(&"compatibility") {
            target.set_query(Some("verbose=true"));
        }
        let mut request = self.client.request(method.clone(), target).header(ACCEPT, MEDIA_TYPE);
        if let Some(body) = body {
            request = request.json(body).header(CONTENT_TYPE, MEDIA_TYPE);
        }
        let response = self.authorised(request, login).send().await.map_err(unreachable)?;
        let status = response.status();
        let answer = |what| Error::Answer { url: url.clone(), status: status.as_u16(), what };
        let Some(body) = read_body(response).await.map_err(unreachable)? else {
            return Err(answer("more than it should"));
        };
        if status.is_success() {
            return parse(&body).ok_or_else(|| answer("something else than its API says"));
        }
        Err(refusal(url, subject, status, &body))
    }

    fn authorised(&self, request: RequestBuilder, login: Option<&Secret>) -> RequestBuilder {
        match (login, &self.config.basic_auth) {
            (Some(password), Some((user, _))) => request.basic_auth(user, Some(password.expose())),
            (Some(token), None) => request.bearer_auth(token.expose()),
            (None, _) => request,
        }
    }
}

/// One request, to whichever URL.
struct Question<'a> {
    method: &'a Method,
    path: &'a [&'a str],
    subject: &'a str,
    body: Option<&'a Candidate<'a>>,
}

#[expect(clippy::disallowed_methods, reason = "whether a token has expired only the clock knows")]
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The media type of the API.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// How many schemas are remembered; then all are forgotten.
const KNOWN_MAX: usize = 10_000;

/// The largest body that is read, bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How much of the registry's words about a schema is kept, characters.
const MESSAGE_CHARS_MAX: usize = 500;

fn client(config: &config::Registry, urls: &[Url]) -> Result<Client, Error> {
    let mut builder = Client::builder()
        .no_proxy()
        .timeout(config.timeout)
        .connect_timeout(config.timeout)
        .redirect(redirect::Policy::none());
    if urls.iter().any(|url| url.scheme() == "https") {
        builder = builder.tls_backend_preconfigured(tls::client_config(config)?);
    } else {
        builder = builder.tls_backend_preconfigured(tls::trusting_nobody()?);
    }
    builder.build().map_err(|error| Error::Client(error.without_url()))
}

fn base_url((number, text): (usize, &String)) -> Result<Url, Error> {
    let problem = |problem| Error::Url { number, problem };
    let url = Url::parse(text).map_err(|_| problem("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(problem("begins with neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem(
            "holds credentials, which would get into logs: use registry.user and registry.password",
        ));
    }
    Ok(url)
}

fn registered_id(body: &[u8]) -> Option<SchemaId> {
    serde_json::from_slice::<Registered>(body).ok().map(|registered| SchemaId(registered.id))
}

/// The body; `None` if it is too large.
async fn read_body(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if BODY_BYTES_MAX < body.len() + chunk.len() {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What an answer that is no success means.
fn refusal(url: &Url, subject: &str, status: StatusCode, body: &[u8]) -> Error {
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
        StatusCode::FORBIDDEN => {
            let need = format!("permission to read and write subject {subject} is needed");
            Error::Denied { url, status: number, need }
        }
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
                message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
            }
        }
        _ => Error::Answer { url, status: number, what: "an error that it should not" },
    }
}

#[cfg(test)]
mod tests;
