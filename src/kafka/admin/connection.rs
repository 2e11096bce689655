//! A connection to one broker: TCP, TLS where it is configured, the log-in, then one request after
//! the other. Blocks, but no longer than until its task's deadline (and as long as the system takes
//! to find the address of a name).

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{
    ApiVersionsRequest, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes, VersionRange};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::super::error::{Error, Origin};
use super::super::{Deadline, REQUEST_TIMEOUT};
use super::code;
use super::frame::{API_VERSIONS, Api, Broken, Head, SASL_AUTHENTICATE, SASL_HANDSHAKE};
use crate::config::{Token, TokenSource};

/// A broker may take this part of a task's time to let us in, so that there is time for others: one
/// that is halted still takes connections.
const SERVERS_TRIED: u32 = 3;

/// A broker's words are kept to this length, as librdkafka's are.
const REASON_CHARS_MAX: usize = 300;

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) deadline: Deadline,
}

impl Task<'_> {
    /// The same until a broker has let us in.
    fn opening(self) -> Self {
        let limit = self.deadline.limit / SERVERS_TRIED;
        let limit = self.deadline.slice(limit).unwrap_or_default();
        Self { deadline: Deadline::after(limit), ..self }
    }

    /// This server gave no answer that can be used.
    pub(super) fn unreachable(self, address: &str, why: impl Display) -> Error {
        Error::Unreachable {
            doing: self.origin.doing,
            waited: self.deadline.elapsed(),
            reason: Some(format!("{address}: {why}")),
        }
    }
}

/// What every broker is shown.
#[derive(Debug)]
pub(super) struct Access<'a> {
    pub(super) client_id: String,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) token: Token,
    /// Where the token is from.
    pub(super) tokens: &'a TokenSource,
}

/// A broker that has let us in.
pub(super) struct Connection<'a> {
    task: Task<'a>,
    address: String,
    client_id: String,
    stream: Stream,
    versions: Vec<ApiVersion>,
    requests: i32,
}

enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    fn socket(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_mut(),
        }
    }
}

impl<'a> Connection<'a> {
    /// Connects to `address` (`host:port`) and logs in.
    pub(super) fn open(task: Task<'a>, access: &Access<'_>, address: &str) -> Result<Self, Error> {
        let opening = task.opening();
        let stream = connect(opening, access.tls.as_ref(), address)
            .map_err(|error| opening.unreachable(address, error))?;
        let mut connection = Self {
            task: opening,
            address: address.to_owned(),
            client_id: access.client_id.clone(),
            stream,
            versions: Vec::new(),
            requests: 0,
        };
        connection.learn_versions()?;
        connection.log_in(access)?;
        connection.task = task;
        connection.stream.socket().deadline = task.deadline;
        Ok(connection)
    }

    /// Makes a request in the highest version that both sides know.
    pub(super) fn ask<Q: Encodable, A: Decodable>(
        &mut self,
        api: &Api<Q, A>,
        request: &Q,
    ) -> Result<A, Error> {
        let version = self.version(api)?;
        self.exchange(api, version, request)
    }

    fn version<Q, A>(&self, api: &Api<Q, A>) -> Result<i16, Error> {
        let key = api.key as i16;
        let theirs = self.versions.iter().find(|theirs| theirs.api_key == key);
        theirs
            .map(|it| VersionRange { min: it.min_version, max: it.max_version })
            .map(|theirs| theirs.intersect(&api.versions))
            .filter(|common| !common.is_empty())
            .map(|common| common.max)
            .ok_or_else(|| {
                let code = RDKafkaErrorCode::UnsupportedVersion;
                self.task.origin.error(KafkaError::AdminOp(code))
            })
    }

    fn exchange<Q: Encodable, A: Decodable>(
        &mut self,
        api: &Api<Q, A>,
        version: i16,
        request: &Q,
    ) -> Result<A, Error> {
        self.requests += 1;
        let (correlation_id, client_id) = (self.requests, &*self.client_id);
        let head = Head { version, correlation_id, client_id };
        let answer = match &mut self.stream {
            Stream::Plain(socket) => api.exchange(socket, &head, request),
            Stream::Tls(stream) => api.exchange(&mut **stream, &head, request),
        };
        answer.map_err(|broken| self.task.unreachable(&self.address, broken))
    }

    /// The one request whose version must be taken on trust.
    fn learn_versions(&mut self) -> Result<(), Error> {
        let version = API_VERSIONS.versions.max;
        let answer = self.exchange(&API_VERSIONS, version, &ApiVersionsRequest::default())?;
        if let Some(code) = code(answer.error_code) {
            return Err(self.task.origin.error(KafkaError::AdminOp(code)));
        }
        self.versions = answer.api_keys;
        Ok(())
    }

    /// OAUTHBEARER: a broker that refuses the token says why, wants one byte, and refuses the log-in.
    ///
    /// Source: <https://datatracker.ietf.org/doc/html/rfc7628#section-3.2.3>
    fn log_in(&mut self, access: &Access<'_>) -> Result<(), Error> {
        let refused = |words: &[&str]| {
            access.tokens.forget();
            // What gives tokens gives another one the next time.
            Error::Authentication { reason: reason(words), is_renewed: true }
        };
        let mechanism = StrBytes::from_static_str("OAUTHBEARER");
        let handshake = SaslHandshakeRequest::default().with_mechanism(mechanism);
        let answer = self.ask(&SASL_HANDSHAKE, &handshake)?;
        if let Some(code) = code(answer.error_code) {
            let mechanisms: Vec<&str> = answer.mechanisms.iter().map(|it| &**it).collect();
            let list = mechanisms.join(", ");
            return Err(refused(&[&code.to_string(), "to OAUTHBEARER; it has:", &list]));
        }
        let answer = self.authenticate(initial_response(access.token.secret.expose()))?;
        let said = String::from_utf8_lossy(&answer.auth_bytes);
        if code(answer.error_code).is_some() {
            return Err(refused(&[answer.error_message.as_deref().unwrap_or_default(), &*said]));
        }
        if said.is_empty() {
            return Ok(());
        }
        let last = self.authenticate(Bytes::from_static(b"\x01"));
        let last = last.ok().and_then(|answer| answer.error_message);
        Err(refused(&[last.as_deref().unwrap_or_default(), &*said]))
    }

    fn authenticate(&mut self, bytes: Bytes) -> Result<SaslAuthenticateResponse, Error> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(bytes);
        self.ask(&SASL_AUTHENTICATE, &request)
    }
}

/// Source: <https://datatracker.ietf.org/doc/html/rfc7628#section-3.1>
fn initial_response(token: &str) -> Bytes {
    format!("n,,\x01auth=Bearer {token}\x01\x01").into()
}

/// What a broker said, in one line.
fn reason(words: &[&str]) -> String {
    let words: Vec<&str> = words.iter().copied().filter(|it| !it.is_empty()).collect();
    let words = words.join(" ");
    words.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}

fn connect(
    task: Task<'_>,
    tls: Option<&Arc<ClientConfig>>,
    address: &str,
) -> Result<Stream, Broken> {
    let invalid = |error: &dyn Display| io::Error::other(error.to_string());
    let (host, port) = address.rsplit_once(':').ok_or_else(|| invalid(&"it has no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 = port.parse().map_err(|error| invalid(&error))?;
    let mut last = Broken::from(invalid(&"its name has no address"));
    for found in (host, port).to_socket_addrs()? {
        let limit = task.deadline.slice(REQUEST_TIMEOUT).ok_or(Broken::Silent)?;
        match TcpStream::connect_timeout(&found, limit) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                let socket = Socket { stream, deadline: task.deadline };
                let Some(tls) = tls else { return Ok(Stream::Plain(socket)) };
                let name = ServerName::try_from(host.to_owned()).map_err(|e| invalid(&e))?;
                let session =
                    ClientConnection::new(Arc::clone(tls), name).map_err(|e| invalid(&e))?;
                return Ok(Stream::Tls(Box::new(StreamOwned::new(session, socket))));
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// A socket that waits until a deadline, and no longer, whatever is done with it.
struct Socket {
    stream: TcpStream,
    deadline: Deadline,
}

impl Socket {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.slice(REQUEST_TIMEOUT);
        left.map(Some).ok_or_else(|| io::ErrorKind::TimedOut.into())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
