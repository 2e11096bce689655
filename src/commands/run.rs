//! `walbrook run`: the pipeline with its endpoints, until SIGTERM or SIGINT.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::repair::{Running, by_itself};
use super::{exit_of, said};
use crate::admin::{control, http};
use crate::cli::Exit;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::order::{self, Orderer};
use crate::pipeline::{self, Stop, Stopper, Telemetry, stop_pair};
use crate::status::{Phase, Status};

/// Streams until told to stop.
///
/// # Errors
///
/// If an endpoint cannot be bound or signals cannot be caught.
pub async fn run(config: &Config) -> anyhow::Result<Exit> {
    // First, so that a stop is heard from the first line in the log on.
    let (term, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (metrics, (status, watched)) = (Metrics::new(), watch::channel(Status::default()));
    let http = match config.http_listen {
        Some(address) => Some(http::bind(address).await?),
        None => None,
    };
    let control = config.control_socket.as_deref().map(control::bind).transpose()?;
    let (stopper, mut stop) = stop_pair();
    let (ended, is_over) = stop_pair();
    let (orderer, orders) = order::orders();
    let mending = mending(config, orderer.clone(), watched.clone(), over(is_over.clone()));
    let mut telemetry = Telemetry::new(config, metrics.clone(), status);
    let pipeline = async {
        let result = pipeline::run(config, &mut telemetry, orders, &mut stop).await;
        ended.stop();
        result
    };
    let endpoints = async {
        let http = async {
            if let Some(listener) = http {
                http::serve(listener, metrics, watched.clone(), over(is_over.clone())).await;
            }
        };
        let control = async {
            if let Some(socket) = control {
                let stop = || stopper.stop();
                let over = over(is_over.clone());
                control::serve(socket, watched.clone(), stop, orderer, over).await;
            }
        };
        tokio::join!(http, control);
    };
    info!(version = env!("CARGO_PKG_VERSION"), pipeline = %config.pipeline, "walbrook starts");
    if config.snapshot.is_ruled_out {
        warn!(
            "the rows that tables had before are not read, since that does not go with postgres.text_encoding; snapshot.mode = \"never\" says that it is known"
        );
    }
    let signals = on_signals(term, interrupt, &stopper, over(is_over.clone()));
    let (result, (), (), ()) = tokio::join!(pipeline, endpoints, signals, mending);
    match result {
        Ok(()) => {
            info!("walbrook has stopped");
            Ok(Exit::Ok)
        }
        Err(error) => {
            let exit = exit_of(&error);
            error!(error = said(&error), "walbrook ends: {}", outlook(exit));
            Ok(exit)
        }
    }
}

/// What a restart would come to.
fn outlook(exit: Exit) -> &'static str {
    match exit {
        Exit::Permanent => "a restart would fail in the same way",
        Exit::Refused => "an operator must decide before it is started again",
        Exit::Busy | Exit::Unreachable => "a restart may do better",
        Exit::CheckFailed
        | Exit::Differs
        | Exit::NotCompared
        | Exit::Ok
        | Exit::ReadersFirst
        | Exit::Unexpected
        | Exit::Usage => "that should not happen",
    }
}

/// Repairs gaps that are accepted by nobody's order, until the pipeline is over.
async fn mending(
    config: &Config,
    orderer: Orderer,
    status: watch::Receiver<Status>,
    over: impl Future<Output = ()>,
) {
    if config.repair.is_some() {
        tokio::select! {
            () = mend(config, &orderer, status) => {}
            () = over => {}
        }
    }
}

async fn mend(config: &Config, orderer: &Orderer, mut status: watch::Receiver<Status>) {
    let mut pause = MEND_AGAIN;
    loop {
        let Some(gap) = next_gap(&mut status).await else { return };
        info!(gap, "a gap is repaired: tables are compared with their topics");
        let running = Running::This(orderer, &status);
        match Box::pin(by_itself(config, running, gap.clone())).await {
            Ok(true) => {
                info!(gap, "the gap is repaired");
                pause = MEND_AGAIN;
                continue;
            }
            Ok(false) => warn!(gap, again_in = ?pause, "the gap is not repaired yet"),
            Err(error) => {
                let error = format!("{error:#}");
                warn!(gap, error, again_in = ?pause, "the gap is not repaired yet");
            }
        }
        tokio::time::sleep(pause).await;
        pause = MEND_SELDOM.min(pause * 2);
    }
}

/// How soon a gap is looked at again of which something is left, and how seldom.
const MEND_AGAIN: Duration = Duration::from_secs(60);
const MEND_SELDOM: Duration = Duration::from_secs(3600);

/// The gap that is known while changes flow; `None` when there will be none.
async fn next_gap(status: &mut watch::Receiver<Status>) -> Option<String> {
    let gap = |status: &Status| status.snapshots.as_ref().and_then(|it| it.gap.clone());
    let is_open = |status: &Status| status.phase == Phase::Streaming && gap(status).is_some();
    let found = status.wait_for(is_open).await.ok()?;
    gap(&found)
}

async fn over(mut is_over: Stop) {
    is_over.wait().await;
}

/// Stops the pipeline at the first signal, until the pipeline is over.
async fn on_signals(
    mut term: Signal,
    mut interrupt: Signal,
    stopper: &Stopper,
    over: impl Future<Output = ()>,
) {
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
        () = over => return,
    }
    info!("told to stop: committing what is complete");
    stopper.stop();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_permanent_is_said_to_fail_again() {
        for exit in Exit::ALL {
            let fails_again = outlook(exit).contains("in the same way");
            assert_eq!(fails_again, exit == Exit::Permanent, "{exit:?}");
        }
    }
}
