//! The harness: real servers, the built binary, and readers of what it wrote.
//!
//! Most tests take [`stack::shared`] and a [`stack::Space`] of their own in it; a test that hurts a
//! server starts its own. Nothing here sleeps for a fixed time to wait for something: [`until`]
//! polls a condition and has a deadline.
#![allow(dead_code, reason = "each test module uses its part")]

pub(crate) mod connect;
pub(crate) mod flow;
pub(crate) mod http;
pub(crate) mod kafka;
#[path = "../../../src/encode/tests/page.rs"]
pub(crate) mod page;
pub(crate) mod postgis;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod records;
pub(crate) mod registry;
pub(crate) mod stack;
pub(crate) mod tls;
pub(crate) mod walbrook;

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Runs a test and fails it when it takes longer than `limit`. A test that hangs in a blocking
/// call (it can't be interrupted) ends the whole process.
pub(crate) fn run<F: Future<Output = ()>>(limit: Duration, test: F) {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (done, watch) = mpsc::channel::<()>();
    thread::spawn(move || {
        let grace = Duration::from_secs(60);
        if watch.recv_timeout(limit + grace) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name}: hangs since {limit:?} + {grace:?}");
            std::process::exit(101);
        }
    });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = runtime.block_on(async { tokio::time::timeout(limit, test).await });
    runtime.shutdown_timeout(Duration::from_secs(5));
    drop(done);
    assert!(outcome.is_ok(), "the test took longer than {limit:?}");
}

/// Polls until `probe` returns something; panics with `what` and the last complaint when that takes
/// longer than `limit`.
pub(crate) fn until<T>(
    limit: Duration,
    what: &str,
    mut probe: impl FnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let complaint = match probe() {
            Ok(found) => return found,
            Err(complaint) => complaint,
        };
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}: {complaint}");
        thread::sleep(POLL);
    }
}

/// Like [`until`], for a probe that awaits.
pub(crate) async fn until_async<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let complaint = match probe().await {
            Ok(found) => return found,
            Err(complaint) => complaint,
        };
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}: {complaint}");
        tokio::time::sleep(POLL).await;
    }
}

/// A name that no other test has: letters, digits and underscores, so that it is a database, a slot
/// and a topic prefix.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{name}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

const POLL: Duration = Duration::from_millis(20);
