//! The control socket: commands to a running process, over a Unix socket of mode 0600.
//!
//! One JSON object a line asks, one JSON object a line answers:
//!
//! ```text
//! {"command":"status"}   {"phase":"streaming","received_lsn":"0/1A2B3C8",…}
//! {"command":"stop"}     {"stopping":true}
//! {"command":"snapshot","action":"pause"}   {"done":"no more is read of any table, …"}
//! ```
//!
//! Requests are taken one at a time and must come within [`PATIENCE`]; there are few of them, and a
//! person asks. What is answered when it is committed in Kafka holds up no other.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tracing::warn;

use crate::order::{Order, Orderer, Reply};
use crate::position::Lsn;
use crate::status::{ParkedTable, Phase, Snapshots, Status, is_ready};

/// The socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process answered with something else.
    #[error("the process behind {path} gave no answer that this version understands")]
    Answer {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error(
        "cannot make the control socket {path}: set `control.socket` to a path in a folder that walbrook can write to, or to \"off\""
    )]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nobody listens.
    #[error("no walbrook listens on the control socket {path}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process listens, or the path is something else.
    #[error("the control socket {path} is taken: {by}")]
    Taken {
        /// The socket.
        path: PathBuf,
        /// By what.
        by: &'static str,
    },
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// Write dead letters again.
    Replay {
        /// `schema.table`; those of all outboxes without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outbox: Option<String>,
        /// What routes those that have no route.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<String>,
    },
    /// To read the rows of tables, or not.
    Snapshot(Order),
    /// How the pipeline is.
    Status {},
    /// Stop reading, commit what is complete, confirm, leave.
    Stop {},
    /// Bring back what is parked of a table.
    Unpark {
        /// `schema.table`.
        table: String,
        /// So many of the changes that wait are left out first, for good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leave_out: Option<u64>,
        /// Why, in the operator's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl Request {
    /// What it tells the reader of the stream; itself, if that is nothing.
    fn into_order(self) -> Result<Order, Self> {
        match self {
            Self::Replay { outbox, route } => Ok(Order::Replay { outbox, route }),
            Self::Snapshot(order) => Ok(order),
            Self::Unpark { table, leave_out, reason } => {
                Ok(Order::Unpark { table, leave_out, reason })
            }
            other => Err(other),
        }
    }
}

/// The answer to [`Request::Status`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The phase's name.
    pub phase: String,
    /// Whether changes flow.
    pub ready: bool,
    /// Why not.
    pub reason: Option<String>,
    /// Up to where the server's log is received: the highest LSN of a message or keep-alive.
    pub received_lsn: Lsn,
    /// What PostgreSQL was told is done.
    pub confirmed_lsn: Lsn,
    /// WAL between the server's current LSN, as last told, and `confirmed_lsn`.
    pub lag_bytes: u64,
    /// The oldest transaction that is open on the server: the slot keeps WAL from its beginning on.
    #[serde(rename = "oldest_transaction")]
    pub oldest_xact: Option<String>,
    /// Seconds since the last progress.
    pub progress_seconds_ago: Option<u64>,
    /// What is missing from the stream, and what to do about it.
    pub findings: Vec<String>,
    /// How far snapshots are, where tables are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
    /// Tables that are parked: their changes wait, all others go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parked: Vec<ParkedTable>,
    /// The error that the phase is the answer to.
    pub error: Option<String>,
}

impl Report {
    fn new(status: &Status, now: Instant) -> Self {
        let ready = is_ready(status, now);
        let since = |at| now.saturating_duration_since(at).as_secs();
        Self {
            phase: status.phase.name().to_owned(),
            ready: ready.is_ok(),
            reason: ready.err().map(|why| why.to_string()),
            received_lsn: status.received_lsn,
            confirmed_lsn: status.confirmed_lsn,
            lag_bytes: status.lag_bytes,
            oldest_xact: status.oldest_xact.clone(),
            progress_seconds_ago: status.progress_at.map(since),
            findings: status.findings.clone(),
            snapshots: status.snapshots.clone(),
            parked: status.parked.clone(),
            error: status.error.clone(),
        }
    }
}

/// How long one client may take.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// How long an order is waited for, which needs the readers of chunks, the stream and Kafka.
const ORDER_PATIENCE: Duration = Duration::from_secs(20);
/// The same of a repair, which is not over before all its keys are read.
const REPAIR_PATIENCE: Duration = Duration::from_secs(300);
/// How long answers may take to go out after `shutdown`.
const LINGER: Duration = Duration::from_millis(500);
/// The longest request that is read.
const REQUEST_BYTES_MAX: u64 = 1 << 20;
/// The longest answer that is read: it lists what is missing from the stream.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The socket; its file goes away with it.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Control {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to do.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes the socket. A file that a dead process left is replaced.
///
/// # Errors
///
/// If somebody listens there, the path is something else, or the folder cannot be written to.
pub fn bind(path: &Path) -> Result<Control, Error> {
    let taken = |by| Err(Error::Taken { path: path.to_owned(), by });
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return taken("a file that is no socket is there");
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return taken("another process listens on it");
        }
        Ok(_) | Err(_) => {}
    }
    let failed = |source| Error::Bind { path: path.to_owned(), source };
    let listener = bind_private(path).map_err(failed)?;
    Ok(Control { listener, path: path.to_owned() })
}

/// Binds inside a private folder and moves the socket into place, so that it is never there with
/// other permissions than 0600, whatever the process's umask is.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    // A name that nobody can foresee: a process that was killed here may have left its own (the id
    // in a container is always 1), and others may write to the folder.
    let random = RandomState::new().build_hasher().finish();
    let folder = path.with_file_name(format!(".walbrook.{random:016x}"));
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let inside = folder.join(name);
    let bound = UnixListener::bind(&inside).and_then(|listener| {
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&inside, path)?;
        Ok(listener)
    });
    if bound.is_err() {
        // Only there if it could not be moved.
        let _ = std::fs::remove_file(&inside);
    }
    std::fs::remove_dir(&folder)?;
    bound
}

/// Answers until `shutdown` is ready. `stop` is called for [`Request::Stop`], and `orderer` has what
/// [`Request::Snapshot`] tells. The caller joins it, and it joins those that wait for an answer.
pub async fn serve(
    control: Control,
    status: watch::Receiver<Status>,
    stop: impl Fn(),
    orderer: Orderer,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut later = JoinSet::new();
    loop {
        let client = tokio::select! {
            () = &mut shutdown => break,
            client = answer_next(&control, &status, &stop, &orderer) => client,
        };
        while later.try_join_next().is_some() {}
        match client {
            Ok(Some(it)) => drop(later.spawn(answer_later(it))),
            Ok(None) => {}
            Err(error) => {
                warn!(%error, "a client of the control socket was not answered");
                // Without descriptors accepting fails at once, again and again.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let ended = async { while later.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LINGER, ended).await;
}

/// A client that waits for what comes of an order, and for how long.
type Later = (UnixStream, oneshot::Receiver<Reply>, Duration);

async fn answer_later((mut stream, reply, patience): Later) {
    let unanswered = |why: &str| Reply::Unanswered(why.to_owned());
    let reply = match tokio::time::timeout(patience, reply).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => unanswered("the stream ended before it was committed in Kafka: ask again"),
        Err(_) => unanswered(
            "not committed in Kafka yet; `walbrook snapshot status` shows what comes of it",
        ),
    };
    if let Ok(line) = serde_json::to_string(&reply) {
        // A client that does not wait any more asks again.
        let _ = stream.write_all(format!("{line}\n").as_bytes()).await;
    }
}

async fn answer_next(
    control: &Control,
    status: &watch::Receiver<Status>,
    stop: &impl Fn(),
    orderer: &Orderer,
) -> io::Result<Option<Later>> {
    let (stream, _) = control.listener.accept().await?;
    match tokio::time::timeout(PATIENCE, answer(stream, status, stop, orderer)).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn answer(
    mut stream: UnixStream,
    status: &watch::Receiver<Status>,
    stop: &impl Fn(),
    orderer: &Orderer,
) -> io::Result<Option<Later>> {
    let line = read_line(&mut stream, REQUEST_BYTES_MAX).await?;
    if line.is_empty() {
        // Another process looked whether somebody listens.
        return Ok(None);
    }
    let reply = match serde_json::from_str(&line).map(Request::into_order) {
        Ok(Ok(order)) => {
            let patience = patience(&order);
            match hand_over(order, status.borrow().phase, orderer) {
                Ok(reply) => return Ok(Some((stream, reply, patience))),
                Err(why) => serde_json::to_value(Reply::Unanswered(why))?,
            }
        }
        Ok(Err(Request::Stop {})) => {
            stop();
            serde_json::json!({ "stopping": true })
        }
        Ok(Err(_)) => serde_json::to_value(report(status))?,
        Err(_) => {
            serde_json::json!({ "error": "want {\"command\":\"status\"}, {\"command\":\"stop\"} or {\"command\":\"snapshot\",\"action\":…}" })
        }
    };
    stream.write_all(format!("{reply}\n").as_bytes()).await?;
    Ok(None)
}

fn patience(order: &Order) -> Duration {
    if matches!(order, Order::Repair { .. } | Order::Replay { .. }) {
        REPAIR_PATIENCE
    } else {
        ORDER_PATIENCE
    }
}

/// Hands an order to the reader of the stream, which is there while it streams.
fn hand_over(
    order: Order,
    phase: Phase,
    orderer: &Orderer,
) -> Result<oneshot::Receiver<Reply>, String> {
    if phase != Phase::Streaming {
        return Err(format!(
            "the phase is {}, not streaming: ask the instance that holds the replication slot, or later",
            phase.name()
        ));
    }
    orderer.order(order).ok_or_else(|| "too much was told at once: ask again".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "the edge: a request is answered as of now")]
fn report(status: &watch::Receiver<Status>) -> Report {
    Report::new(&status.borrow(), Instant::now())
}

async fn read_line(stream: &mut UnixStream, bytes_max: u64) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream).take(bytes_max).read_line(&mut line).await?;
    Ok(line)
}

/// Asks the process behind `path`; returns its line.
///
/// # Errors
///
/// If nobody listens there or answers in time.
pub async fn ask(path: &Path, request: Request) -> Result<serde_json::Value, Error> {
    let connect = |source| Error::Connect { path: path.to_owned(), source };
    let exchange = async {
        let mut stream = UnixStream::connect(path).await?;
        let line = serde_json::to_string(&request)?;
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        read_line(&mut stream, ANSWER_BYTES_MAX).await
    };
    // Another client may be served before us.
    let order_patience = match &request {
        Request::Snapshot(order) => patience(order),
        Request::Replay { .. } => REPAIR_PATIENCE,
        Request::Unpark { .. } => ORDER_PATIENCE,
        Request::Status {} | Request::Stop {} => Duration::ZERO,
    };
    let line = match tokio::time::timeout(PATIENCE * 2 + order_patience, exchange).await {
        Ok(line) => line.map_err(connect)?,
        Err(_) => return Err(connect(io::ErrorKind::TimedOut.into())),
    };
    serde_json::from_str(&line).map_err(|_| Error::Answer { path: path.to_owned() })
}

#[cfg(test)]
mod tests;
