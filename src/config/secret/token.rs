//! A token of OAuth 2: what it says of itself, and how long it is kept.
//!
//! A token is usually a JSON Web Token, which names its principal (`sub`) and expiry (`exp`). One that
//! is not (Amazon MSK's is a signed URL) can come as token endpoints give it, in a JSON object with
//! `access_token` and `expires_in` (RFC 6749); any other is taken to live for [`OPAQUE_LIFETIME`].
//! Signatures are the business of whoever takes the token.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::command::Running;
use super::{Secret, SecretCommand, SecretError};

/// How long a token that does not say so is taken to live.
const OPAQUE_LIFETIME: Duration = Duration::from_secs(300);

/// A token with less than this left may have expired before a broker sees it.
const REST: Duration = Duration::from_secs(1);

/// A token file is a few kilobytes; what is larger is no token.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// A token that has not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub secret: Secret,
    /// Whose it is, if it says so.
    pub principal: Option<String>,
    /// When it expires, since 1970.
    pub expires: Duration,
    /// Until when it is used, since 1970. Then there is another, before librdkafka asks for one:
    /// it does after four fifths of the lifetime.
    pub kept_until: Duration,
}

impl Token {
    /// What `text` says; `now` is the time since 1970.
    ///
    /// # Errors
    ///
    /// If it is no token, or has expired. The text never holds a part of it.
    pub fn parse(text: &str, now: Duration) -> Result<Self, &'static str> {
        let answer: Option<Answer> = match text.strip_prefix('{') {
            None => None,
            Some(_) => {
                Some(serde_json::from_str(text).map_err(|_| "JSON without a text `access_token`")?)
            }
        };
        let token = answer.as_ref().map_or(text, |answer| &*answer.access_token);
        if token.is_empty() {
            return Err("an empty token");
        }
        if token.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("more than one token");
        }
        let claims = claims(token);
        let expires = match answer.as_ref().and_then(|answer| answer.expires_in.as_ref()) {
            Some(lifetime) => now.checked_add(lifetime.duration().ok_or(IMPOSSIBLE)?),
            None => match claims.as_ref().and_then(|claims| claims.exp) {
                Some(exp) => Duration::try_from_secs_f64(exp).ok(),
                None => now.checked_add(OPAQUE_LIFETIME),
            },
        };
        let expires = expires.ok_or(IMPOSSIBLE)?;
        if expires <= now {
            return Err("a token that has expired already");
        }
        let secret = Secret::new(token.to_owned());
        let principal = claims.and_then(|claims| claims.sub);
        Ok(Self { secret, principal, expires, kept_until: now + (expires - now) * 3 / 4 })
    }

    /// A password, which does not say when it expires.
    #[must_use]
    pub fn of_password(secret: Secret, now: Duration) -> Self {
        let expires = now + OPAQUE_LIFETIME;
        Self { secret, principal: None, expires, kept_until: expires }
    }
}

const IMPOSSIBLE: &str = "a token with an impossible expiry";

/// The answer of a token endpoint, as far as it matters here.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<Seconds>,
}

/// A number, or as Azure's instance metadata has it, its digits in a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

impl Seconds {
    fn duration(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(seconds) => *seconds,
            Self::Text(text) => text.parse().ok()?,
        };
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// The claims of RFC 7519 that matter here.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    sub: Option<String>,
}

/// The claims of a JSON Web Token; `None` if it is another kind of token.
fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (Some(_header), Some(payload), Some(_signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// Where the tokens of Kafka come from.
#[derive(Clone)]
pub struct TokenSource {
    origin: Origin,
    /// For all clients of the process: each would else run the command. Clients live in threads of
    /// librdkafka's choice, but none asks for a token per record.
    kept: Arc<Mutex<Kept>>,
}

/// What the command has given, and will give.
#[derive(Default)]
struct Kept {
    newest: Option<Token>,
    /// The command, while it runs for the next one, and when it was started.
    renewal: Option<(Running, Duration)>,
    /// Why the last renewal gave none.
    failure: Option<SecretError>,
}

#[derive(Clone)]
enum Origin {
    Command(SecretCommand),
    File(PathBuf),
}

impl TokenSource {
    /// Tokens from a command.
    #[must_use]
    pub fn of_command(command: SecretCommand) -> Self {
        Self { origin: Origin::Command(command), kept: Arc::default() }
    }

    /// Tokens from a file that something else keeps fresh.
    #[must_use]
    pub fn of_file(path: PathBuf) -> Self {
        Self { origin: Origin::File(path), kept: Arc::default() }
    }

    /// A token that has not expired; `now` is the time since 1970. Blocks while there is none. One
    /// that is not kept any more, but has not expired, is given while the command runs for the next.
    ///
    /// # Errors
    ///
    /// If there is none. The text goes into logs: it never holds a part of a token.
    pub fn token(&self, now: Duration) -> Result<Token, SecretError> {
        let command = match &self.origin {
            Origin::File(path) => return read_file(path, now),
            Origin::Command(command) => command,
        };
        // Held where the command is waited for: whoever else wants a token waits for the same.
        let mut kept = self.kept();
        match kept.newest.clone().filter(|token| now + REST < token.expires) {
            Some(token) if now < token.kept_until => Ok(token),
            Some(token) => Ok(kept.renewed(command, now).unwrap_or(token)),
            None => kept.first(command, now),
        }
    }

    /// Why there is no newer token than the one that was given: told once.
    #[must_use]
    pub fn failure(&self) -> Option<SecretError> {
        self.kept().failure.take()
    }

    /// It was refused: the next one comes anew.
    pub fn forget(&self) {
        self.kept().newest = None;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl Kept {
    /// Waits for a token.
    fn first(&mut self, command: &SecretCommand, now: Duration) -> Result<Token, SecretError> {
        if let Some(token) = self.next(command, now) {
            return Ok(token);
        }
        let (running, started) = match self.renewal.take() {
            Some(renewal) => renewal,
            None => (command.start()?, now),
        };
        let token = parse(command, &running.finish()?, started)?;
        self.failure = None;
        Ok(self.newest.insert(token).clone())
    }

    /// The next token, if there is one by now; else sees to it that there will be.
    fn renewed(&mut self, command: &SecretCommand, now: Duration) -> Option<Token> {
        let next = self.next(command, now);
        if next.is_none() && self.renewal.is_none() {
            match command.start() {
                Ok(running) => self.renewal = Some((running, now)),
                Err(error) => self.failure = Some(error),
            }
        }
        next
    }

    /// What a renewal gave that is over.
    fn next(&mut self, command: &SecretCommand, now: Duration) -> Option<Token> {
        let (running, started) = self.renewal.take_if(|(running, _)| running.has_finished())?;
        match running.finish().and_then(|text| parse(command, &text, started)) {
            Ok(token) if now < token.expires => Some(self.newest.insert(token).clone()),
            // Nobody has asked for long.
            Ok(_) => None,
            Err(error) => {
                self.failure = Some(error);
                None
            }
        }
    }
}

/// A token's life began when it was asked for, at the earliest.
fn parse(command: &SecretCommand, text: &Secret, asked: Duration) -> Result<Token, SecretError> {
    Token::parse(text.expose(), asked).map_err(|problem| command.gave(problem))
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Command(command) => command.fmt(f),
            Origin::File(path) => path.fmt(f),
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Command(command) => write!(f, "what {command} gives"),
            Origin::File(path) => write!(f, "the token in {}", path.display()),
        }
    }
}

fn read_file(path: &Path, now: Duration) -> Result<Token, SecretError> {
    let failed =
        |problem: String| SecretError::File { key: "kafka.sasl.token_file".to_owned(), problem };
    let unreadable = |error| failed(format!("cannot be read from {}: {error}", path.display()));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if TOKEN_BYTES_MAX < size {
        return Err(failed(format!("has {size} bytes, so it is no token: {}", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let token = Token::parse(text.trim(), now);
    token.map_err(|problem| failed(format!("holds {problem}: {}", path.display())))
}
