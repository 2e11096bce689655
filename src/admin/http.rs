//! `/metrics`, `/healthz` and `/readyz` over HTTP: read-only for ever, on loopback by default.
//!
//! Commands that change the process go through [`super::control`] and never come here.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

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
    /// Connections can no longer be taken.
    #[error("the HTTP endpoints ended")]
    Serve(#[from] std::io::Error),
}

/// Takes the address; before anything else starts, so that a taken port is told at once.
///
/// # Errors
///
/// If the address is taken or not of this machine.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
}

/// How long connections may take to end after `shutdown`.
const LINGER: Duration = Duration::from_millis(500);

/// Serves until `shutdown` is ready. The caller joins it.
///
/// # Errors
///
/// If connections can no longer be taken.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    status: watch::Receiver<Status>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let (stopping, mut stopped) = watch::channel(());
    let graceful = async move {
        // An error here means that `stopping` was dropped, which says the same.
        let _ = stopped.changed().await;
    };
    let router = router(metrics, status);
    let server = axum::serve(listener, router).with_graceful_shutdown(graceful);
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = shutdown => drop(stopping),
    }
    // Whoever holds a connection open does not hold up the end of the process.
    tokio::time::timeout(LINGER, server).await.map_or(Ok(()), |ended| Ok(ended?))
}

#[derive(Clone)]
struct Shared {
    metrics: Metrics,
    status: watch::Receiver<Status>,
}

fn router(metrics: Metrics, status: watch::Receiver<Status>) -> Router {
    Router::new()
        .route("/metrics", get(async |State(shared): State<Arc<Shared>>| prometheus(&shared)))
        .route("/healthz", get(async || plain("ok\n")))
        .route("/readyz", get(async |State(shared): State<Arc<Shared>>| ready(&shared)))
        .with_state(Arc::new(Shared { metrics, status }))
}

fn prometheus(shared: &Shared) -> Response {
    let text = shared.metrics.encode();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn plain(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

#[expect(clippy::disallowed_methods, reason = "the edge: a request is answered as of now")]
fn ready(shared: &Shared) -> Response {
    let status = shared.status.borrow().clone();
    let (code, body) = match is_ready(&status, Instant::now()) {
        Ok(()) => (StatusCode::OK, serde_json::json!({ "ready": true })),
        Err(why) => {
            let body = serde_json::json!({
                "ready": false,
                "reason": why.to_string(),
                "error": status.error,
            });
            (StatusCode::SERVICE_UNAVAILABLE, body)
        }
    };
    (code, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

#[cfg(test)]
mod tests;
