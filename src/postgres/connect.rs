//! From the settings to a session: hosts in their order, each address of a name, TLS or not.
//!
//! As in libpq, the next host is tried when one cannot be reached, is starting up or is not what
//! `target_session_attrs` wants; one that refuses our identity or certificate ends the search.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS>

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream, lookup_host};

use crate::config::{Host, Postgres, Secret};
use crate::edges::Class;

use super::error::{Error, PassfileWarning};
use super::passfile::{self, Wanted};
use super::socket::{self, Socket};
use super::sslmode::{self, Attempt};
use super::tls;

/// The host of one attempt, and the password that goes with it.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// For errors: `name:port`, or the socket's path.
    pub(super) host: String,
    /// Whether the password came from the password file.
    pub(super) is_from_passfile: bool,
    /// Why the password file was not used.
    pub(super) warning: Option<PassfileWarning>,
    password: Option<Secret>,
}

impl Peer {
    /// A peer that gets this password, or else the password file's.
    fn new(postgres: &Postgres, host: &Host, password: Option<Secret>) -> Self {
        let label = match socket::unix_path(host) {
            Some(path) => path.display().to_string(),
            None => format!("{}:{}", host.host, host.port),
        };
        let mut peer = Self { host: label, is_from_passfile: false, warning: None, password: None };
        match (password, &postgres.passfile) {
            (Some(password), _) => peer.password = Some(password),
            (None, Some(path)) => {
                let wanted = Wanted {
                    host: &host.host,
                    port: host.port,
                    database: &postgres.database,
                    user: &postgres.user,
                };
                match passfile::find(path, wanted) {
                    Ok(found) => peer.password = found,
                    Err(warning) => peer.warning = Some(warning),
                }
                peer.is_from_passfile = peer.password.is_some();
            }
            (None, None) => {}
        }
        peer
    }

    /// The password, or the error that says that there is none.
    pub(super) fn password(&self, postgres: &Postgres) -> Result<&[u8], Error> {
        self.password.as_ref().map(|password| password.expose().as_bytes()).ok_or_else(|| {
            Error::NoPassword {
                host: self.host.clone(),
                user: postgres.user.clone(),
                passfile: self.warning.clone(),
            }
        })
    }

    pub(super) fn authentication(&self, reason: &str) -> Error {
        Error::Authentication { host: self.host.clone(), reason: reason.to_owned() }
    }

    /// An error of the SCRAM exchange; its texts hold no secret.
    pub(super) fn scram(&self, error: &io::Error) -> Error {
        self.authentication(&error.to_string())
    }
}

/// Starts a session on the first host that takes it. `start` speaks the protocol's start-up over a
/// socket and may be called again, on another host or as `sslmode` demands.
///
/// # Errors
///
/// The error of the host that refused us, or that of the last one; or if there is no password where
/// one is configured.
pub(super) async fn establish<T, F: Future<Output = Result<T, Error>>>(
    postgres: &Postgres,
    start: impl Fn(Socket, Peer) -> F,
) -> Result<T, Error> {
    let password = match &postgres.password {
        Some(source) => Some(source.read().await.map_err(Error::Secret)?),
        None => None,
    };
    let mut last = Error::NoHost;
    for host in &postgres.hosts {
        let peer = Peer::new(postgres, host, password.clone());
        let addresses = match addresses(postgres, host, &peer).await {
            Ok(addresses) => addresses,
            Err(error) => {
                last = error;
                continue;
            }
        };
        for address in addresses {
            let session = Dial { postgres, host, address: &address, peer: &peer }.session(&start);
            match limited(postgres, &peer, "connecting", session).await {
                Err(error) if error.class() == Class::Fatal => return Err(error),
                Err(error) => last = error,
                done => return done,
            }
        }
    }
    Err(last)
}

async fn limited<T>(
    postgres: &Postgres,
    peer: &Peer,
    doing: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let limit = postgres.connect_timeout;
    // 0 is libpq's word for "no limit".
    let limit = if limit.is_zero() { Duration::MAX } else { limit };
    within(limit, &peer.host, doing, work).await
}

/// Awaits `work` for no longer than `limit`.
///
/// # Errors
///
/// Its own, or [`Error::TimedOut`].
pub(super) async fn within<T>(
    limit: Duration,
    host: &str,
    doing: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        Err(Error::TimedOut { host: host.to_owned(), doing, limit_ms: limit.as_millis() })
    })
}

#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

async fn addresses(postgres: &Postgres, host: &Host, peer: &Peer) -> Result<Vec<Address>, Error> {
    if let Some(path) = socket::unix_path(host) {
        return Ok(vec![Address::Unix(path)]);
    }
    let found = limited(postgres, peer, "looking up the name", async {
        lookup_host((host.host.as_str(), host.port)).await.map_err(|source| unreached(peer, source))
    });
    let found: Vec<_> = found.await?.map(Address::Tcp).collect();
    if found.is_empty() {
        let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return Err(unreached(peer, source));
    }
    Ok(found)
}

/// One address of one host.
#[derive(Clone, Copy)]
struct Dial<'a> {
    postgres: &'a Postgres,
    host: &'a Host,
    address: &'a Address,
    peer: &'a Peer,
}

impl Dial<'_> {
    /// The first attempt, and the second if the mode has one.
    async fn session<T, F: Future<Output = Result<T, Error>>>(
        self,
        start: &impl Fn(Socket, Peer) -> F,
    ) -> Result<T, Error> {
        let mode = self.postgres.ssl_mode;
        let is_unix_socket = matches!(self.address, Address::Unix(_));
        let (is_tls, first) = match self.attempt(sslmode::first(mode, is_unix_socket), start).await
        {
            (_, Ok(session)) => return Ok(session),
            (is_tls, Err(error)) => (is_tls, error),
        };
        let Some(attempt) = sslmode::second(mode, is_unix_socket, is_tls, &first) else {
            return Err(first);
        };
        let (_, outcome) = self.attempt(attempt, start).await;
        outcome.map_err(|second| sslmode::telling(first, second))
    }

    /// One attempt, and whether it got as far as TLS.
    async fn attempt<T, F: Future<Output = Result<T, Error>>>(
        self,
        attempt: Attempt,
        start: &impl Fn(Socket, Peer) -> F,
    ) -> (bool, Result<T, Error>) {
        let socket = match self.socket(attempt).await {
            Ok(socket) => socket,
            Err(error) => return (matches!(error, Error::Tls { .. }), Err(error)),
        };
        let is_tls = matches!(socket, Socket::Tls(_));
        let outcome = start(socket, self.peer.clone()).await.map_err(|error| match error {
            // With TLS 1.3 the server's verdict on our certificate arrives after the handshake.
            Error::Io(source) if is_tls && is_of_tls(&source) => {
                Error::Tls { host: self.peer.host.clone(), source }
            }
            error => error,
        });
        (is_tls, outcome)
    }

    async fn socket(self, attempt: Attempt) -> Result<Socket, Error> {
        let address = match self.address {
            Address::Tcp(address) => address,
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                return stream.map(Socket::Unix).map_err(|source| unreached(self.peer, source));
            }
        };
        // Before the connection: a wrong file is an error of ours, not of the host.
        let connector = match attempt {
            Attempt::Plain => None,
            Attempt::Tls | Attempt::TlsOrPlain => Some(tls::connector(self.postgres)?),
        };
        let stream = self.tcp(*address).await.map_err(|source| unreached(self.peer, source))?;
        let Some(connector) = connector else { return Ok(Socket::Tcp(stream)) };
        let stream = match request_tls(stream).await? {
            Answer::Tls(stream) => stream,
            Answer::Plain(stream) if attempt == Attempt::TlsOrPlain => {
                return Ok(Socket::Tcp(stream));
            }
            Answer::Plain(_) => {
                return Err(Error::TlsUnavailable { host: self.peer.host.clone() });
            }
        };
        let stream = tls::handshake(&connector, &self.host.host, stream)
            .await
            .map_err(|source| Error::Tls { host: self.peer.host.clone(), source })?;
        Ok(Socket::Tls(Box::new(stream)))
    }

    async fn tcp(self, address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        socket::tune(&stream, self.postgres)?;
        Ok(stream)
    }
}

enum Answer {
    Plain(TcpStream),
    Tls(TcpStream),
}

/// Sends SSLRequest and reads the answer, one byte.
async fn request_tls(mut stream: TcpStream) -> Result<Answer, Error> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(Error::Io)?;
    // Room for one byte too many: who can put bytes behind the answer could have them taken for
    // the server's first words inside TLS (CVE-2021-23222).
    let mut answer = [0; 2];
    let count = stream.read(&mut answer).await.map_err(Error::Io)?;
    match (count, answer) {
        (0, _) => Err(Error::Closed),
        (1, [b'S', _]) => Ok(Answer::Tls(stream)),
        (1, [b'N', _]) => Ok(Answer::Plain(stream)),
        (_, [b'E', _]) => {
            Err(Error::Protocol("the server answered the request for TLS with an error".to_owned()))
        }
        (1, [other, _]) => Err(Error::Protocol(format!(
            "'{}' in answer to the request for TLS: is this PostgreSQL?",
            other.escape_ascii()
        ))),
        _ => {
            Err(Error::Protocol("plain bytes behind the answer to the request for TLS".to_owned()))
        }
    }
}

fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

fn unreached(peer: &Peer, source: io::Error) -> Error {
    Error::Connect { host: peer.host.clone(), source }
}
