//! Keeping the walsender alive while something else is awaited, and not hanging on it.

use std::future::Future;
use std::time::Duration;

use tokio::time::sleep_until;
use tracing::debug;

use super::telemetry::Telemetry;
use super::{Error, Stop, clock, source};
use crate::edges::Transport;
use crate::postgres::{self, Catalog};
use crate::wal::{self, Session, status_update};

/// How long a server that waits for a confirmation is kept waiting.
const MAKE_WAY_AFTER: Duration = Duration::from_secs(5);

/// How often the catalog connection is looked at while something else is awaited.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a status may take to go out: a walsender that takes nothing must not hold us up.
const SEND_LIMIT: Duration = Duration::from_secs(1);

/// A server that is told to stop, or to switch over, never hangs on us: when what it waits for
/// can't be committed, we leave, and come back.
pub(super) fn make_way(session: &Session) -> Result<(), Error> {
    match session.wanted_since() {
        Some(since) if since + MAKE_WAY_AFTER <= clock::now() => Err(Error::MadeWay),
        _ => Ok(()),
    }
}

/// Awaits `future` while the walsender is kept alive; ends early when told to stop, and with the
/// error that `gone` brings.
pub(super) async fn alive<T: Transport, F: Future>(
    transport: &mut T,
    session: &mut Session,
    stop: &mut Stop,
    gone: impl Future<Output = Error>,
    future: F,
) -> Result<F::Output, Error> {
    tokio::pin!(future, gone);
    loop {
        tokio::select! {
            output = &mut future => return Ok(output),
            error = &mut gone => return Err(error),
            () = stop.wait() => return Err(Error::Stopped),
            () = sleep_until(session.deadline().into()) => {
                send_due_status(transport, session).await.map_err(source::<T>)?;
            }
        }
    }
}

/// Brings an error when the server ends the catalog connection. A server that stops ends that at
/// once, but waits for walsenders; and while something else is awaited no frame is taken that would
/// tell.
pub(super) async fn gone(catalog: &mut Catalog) -> Error {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = catalog.ping().await {
            return error.into();
        }
    }
}

/// The same, and keeps the slot's figures up to date: when things are stuck is when they matter.
pub(super) async fn watched(catalog: &mut Catalog, slot: &str, telemetry: &mut Telemetry) -> Error {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = look(catalog, slot, telemetry).await {
            return error.into();
        }
    }
}

/// Asks for the slot's figures while nothing streams, or nothing is taken from the stream.
pub(super) async fn look(
    catalog: &mut Catalog,
    slot: &str,
    telemetry: &mut Telemetry,
) -> Result<(), postgres::Error> {
    if let Some(facts) = catalog.slot(slot).await? {
        telemetry.on_look(slot, &facts, clock::now(), clock::wall_us());
    }
    Ok(())
}

/// Sends the status that is due, if one is.
pub(super) async fn send_due_status<T: Transport>(
    transport: &mut T,
    session: &mut Session,
) -> Result<(), T::Error> {
    match session.poll(clock::now()) {
        Some(status) => send_status(transport, status).await,
        None => Ok(()),
    }
}

/// Tells the server what is received and confirmed.
pub(super) async fn send_status<T: Transport>(
    transport: &mut T,
    status: wal::Status,
) -> Result<(), T::Error> {
    let wal::Status { received, confirmed, reply_requested } = status;
    let frame = status_update(received, confirmed, confirmed, clock::wall_us(), reply_requested);
    // What does not go out now goes out with the next.
    match tokio::time::timeout(SEND_LIMIT, transport.send(&frame)).await {
        Ok(sent) => sent?,
        Err(_) => return Ok(()),
    }
    debug!(%received, %confirmed, "confirmed");
    Ok(())
}
