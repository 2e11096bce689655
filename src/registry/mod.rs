//! The schema registry: a schema goes in, its id comes out.
//!
//! Any registry with Confluent's HTTP API will do, under any base path (Apicurio's is
//! `/apis/ccompat/v7`). Schemas are registered when a plan is compiled, never per row, and what is
//! registered is remembered. A registry that is down makes the pipeline wait; one that refuses a
//! schema stops it, because what it would write could not be read.
//!
//! Source: <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>

mod by_id;
mod error;
mod registered;
mod tls;

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Method, RequestBuilder, Response, Url, redirect};
use serde::{Deserialize, Serialize};

use crate::config::{self, Secret, SecretSource, Token};
use crate::edges::Class;
use crate::plan::SchemaId;

use error::{cut, refusal};

pub use error::Error;

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

    /// Whether what is missing is registered, or somebody else does that.
    #[must_use]
    pub fn registers(&self) -> bool {
        self.config.auto_register
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

    /// The id of `schema_json` under `subject`, registering it if it is new and
    /// `registry.auto_register` allows that.
    ///
    /// # Errors
    ///
    /// If no URL answers, the schema is refused, or a permission is missing.
    pub async fn register(&mut self, subject: &str, schema_json: &str) -> Result<SchemaId, Error> {
        let cached = (subject.to_owned(), schema_json.to_owned());
        if let Some(id) = self.known.get(&cached) {
            return Ok(*id);
        }
        let id = match (self.config.auto_register, self.is_rehearsal) {
            (false, _) => self.registered(subject, schema_json).await?,
            (true, true) => self.would_register(subject, schema_json).await?,
            (true, false) => self.register_anew(subject, schema_json).await?,
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

    /// The text of the newest schema under `subject`, which need not be registered again; `None` if it
    /// has none, or we may not read it.
    ///
    /// # Errors
    ///
    /// If no URL answers, or the credentials are refused.
    pub async fn newest(&mut self, subject: &str) -> Result<Option<String>, Error> {
        match self.version(subject, "latest").await {
            Ok(Some(Version { id, schema })) => {
                self.remember((subject.to_owned(), schema.clone()), SchemaId(id));
                Ok(Some(schema))
            }
            Ok(None)
            | Err(Error::Denied { status: 403, .. } | Error::Refused { status: 403, .. }) => {
                Ok(None)
            }
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
                Ok(Registration::Incompatible { message: cut(&messages.join("; ")) })
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

#[cfg(test)]
mod tests;
