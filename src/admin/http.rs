//! `/metrics`, `/healthz` and `/readyz` over HTTP: read-only for ever, on loopback by default.
//!
//! Commands that change the process go through [`super::control`] and never come here. What answers
//! here runs on the reader's thread, and whoever reaches the port may ask: connections, their time
//! and the work that they make have limits.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::metrics::Metrics;
use crate::status::{Status, is_ready};

/// The HTTP endpoints cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {address} for /metrics, /healthz and /readyz: free the port, or set \
         `http.listen` to another address or to \"off\""
    )]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// Takes the address; before anything else starts, so that a taken port is told at once.
///
/// # Errors
///
/// If the address is taken or not of this machine.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
}

/// How many connections there are at once; the next one closes the oldest, so that whoever holds
/// them all open holds up nobody.
const CONNECTIONS_MAX: usize = 32;

/// How long a client may take for the head of a request, and at last for its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection lasts; a client opens another one.
const CONNECTION_MAX: Duration = Duration::from_secs(60);

/// How old an answer of `/metrics` may be.
const AGE_MAX: Duration = Duration::from_secs(1);

/// How long connections may take to end after `shutdown`.
const LINGER: Duration = Duration::from_millis(500);

/// Without descriptors accepting fails at once, again and again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is ready. The caller joins it, and it joins its connections.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    status: watch::Receiver<Status>,
    shutdown: impl Future<Output = ()>,
) {
    let shared = Arc::new(Shared { metrics, status, text: Mutex::default() });
    let (stopping, stopped) = watch::channel(());
    let (mut connections, mut by_age) = (JoinSet::new(), VecDeque::new());
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    by_age.retain(|connection: &AbortHandle| !connection.is_finished());
                    if CONNECTIONS_MAX <= by_age.len() && let Some(oldest) = by_age.pop_front() {
                        oldest.abort();
                    }
                    let conversation = converse(stream, Arc::clone(&shared), stopped.clone());
                    by_age.push_back(connections.spawn(conversation));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(stopping);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Whoever holds a connection open does not hold up the end of the process.
    let _ = tokio::time::timeout(LINGER, ended).await;
}

/// Answers on one connection. What goes wrong with it is its client's to see.
async fn converse(stream: TcpStream, shared: Arc<Shared>, mut stopped: watch::Receiver<()>) {
    let service = service_fn(move |request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(shared.answer(&request)))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = tokio::time::sleep(CONNECTION_MAX) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(PATIENCE, connection).await;
}

#[derive(Debug)]
struct Shared {
    metrics: Metrics,
    status: watch::Receiver<Status>,
    /// The last answer of `/metrics`.
    text: Mutex<Option<(Instant, String)>>,
}

impl Shared {
    #[expect(clippy::disallowed_methods, reason = "the edge: a request is answered as of now")]
    fn answer(&self, request: &Request<Incoming>) -> Response<String> {
        let now = Instant::now();
        let answer: fn(&Self, Instant) -> Response<String> = match request.uri().path() {
            "/metrics" => Self::prometheus,
            "/healthz" => |_, _| response(StatusCode::OK, TEXT, "ok\n".to_owned()),
            "/readyz" => Self::ready,
            _ => return response(StatusCode::NOT_FOUND, TEXT, String::new()),
        };
        match *request.method() {
            Method::GET | Method::HEAD => answer(self, now),
            _ => response(StatusCode::METHOD_NOT_ALLOWED, TEXT, String::new()),
        }
    }

    fn prometheus(&self, now: Instant) -> Response<String> {
        let mut last = self.text.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let text = match last.take() {
            Some((at, text)) if now < at + AGE_MAX => last.insert((at, text)),
            _ => last.insert((now, self.metrics.encode())),
        };
        response(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.1.clone())
    }

    /// Whether it is ready, and why not: the error's own words, which name hosts and events, are for
    /// the log and the control socket.
    fn ready(&self, now: Instant) -> Response<String> {
        let status = self.status.borrow();
        let (code, body) = match is_ready(&status, now) {
            Ok(()) if status.parked.is_empty() => {
                (StatusCode::OK, serde_json::json!({ "ready": true }))
            }
            // Changes of all other tables flow.
            Ok(()) => {
                let parked = status.parked.len();
                (StatusCode::OK, serde_json::json!({ "ready": true, "parked": parked }))
            }
            Err(why) => {
                let body = serde_json::json!({ "ready": false, "reason": why.to_string() });
                (StatusCode::SERVICE_UNAVAILABLE, body)
            }
        };
        response(code, "application/json", format!("{body}\n"))
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn response(code: StatusCode, media_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests;
