//! Where a slot can be read again, behind WAL that was written while a publication was missing.
//!
//! The server tells only at which change it stops. But it streams what commits from any LSN on that
//! it is asked for, without moving the slot, and that reaches a commit or stops again. So the end of
//! that time is searched for, in growing steps and then by halves. Each look makes the server decode
//! its log from the slot's `restart_lsn` to there; that is what this costs.

use std::ops::AsyncFnMut;
use std::time::Duration;

use tokio::time::sleep_until;
use tracing::info;

use super::alive::{make_way, send_due_status};
use super::attempt::{expected, from_confirmed, session};
use super::{Error, clock};
use crate::config::Config;
use crate::edges::Transport;
use crate::position::Lsn;
use crate::postgres::{self, ReplicationClient, Start, Stream};
use crate::wal::{Frame, Message};

/// The first LSN behind `from` such that what commits from there on can be read; `None` if that is
/// so from `from` on. `end` is the end of the server's log. Two such times with little between may
/// count as one.
pub(super) async fn end_of_gap(config: &Config, from: Lsn, end: Lsn) -> Result<Option<Lsn>, Error> {
    search(from, end, async |lsn| {
        let is_readable = is_readable(config, lsn, end).await?;
        info!(%lsn, is_readable, "looking for where the stream goes on");
        Ok(is_readable)
    })
    .await
}

/// The least LSN in (`from`, `end`] that is readable, to a record; all of them are from some LSN on.
async fn search(
    from: Lsn,
    end: Lsn,
    mut is_readable: impl AsyncFnMut(Lsn) -> Result<bool, Error>,
) -> Result<Option<Lsn>, Error> {
    if end <= from || is_readable(from).await? {
        return Ok(None);
    }
    let (mut fails, mut step) = (from, STEP_MIN);
    let mut passes = loop {
        let next = end.min(Lsn(fails.0.saturating_add(step)));
        if next == end || is_readable(next).await? {
            break next;
        }
        (fails, step) = (next, step.saturating_mul(2));
    };
    while RECORD_ALIGN < passes.0 - fails.0 {
        let middle = Lsn(fails.0 + (passes.0 - fails.0) / 2);
        if is_readable(middle).await? {
            passes = middle;
        } else {
            fails = middle;
        }
    }
    Ok(Some(passes))
}

/// The first step, of a few small transactions.
const STEP_MIN: u64 = 1 << 10;

/// Records of the log begin at multiples of this.
const RECORD_ALIGN: u64 = 8;

/// Whether the stream of what commits from `lsn` on reaches a commit, or `end`.
async fn is_readable(config: &Config, lsn: Lsn, end: Lsn) -> Result<bool, Error> {
    let options = expected(config).stream;
    let start = from_confirmed(&config.replication.slot, &options, false);
    let mut stream = when_free(FREE_LIMIT, async || {
        let client = ReplicationClient::connect(&config.postgres, &config.replication).await?;
        client.start_replication(Start { lsn, ..start }).await
    })
    .await?;
    let read = read(config, &mut stream, end).await;
    // So that the slot is free for the next.
    stream.close().await;
    match read {
        Ok(()) => Ok(true),
        Err(Error::Postgres(error))
            if matches!(*error, postgres::Error::MissingPublication { .. }) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Does something with the slot once it is free, for which it waits so long. The walsender that had
/// it last gives it up when it notices that its receiver is gone.
pub(super) async fn when_free<T>(
    limit: Duration,
    mut work: impl AsyncFnMut() -> Result<T, postgres::Error>,
) -> Result<T, postgres::Error> {
    let limit = clock::now() + limit;
    loop {
        match work().await {
            Err(postgres::Error::SlotActive { .. }) if clock::now() < limit => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            worked => return worked,
        }
    }
}

/// How long a walsender of ours may take that still decodes.
pub(super) const FREE_LIMIT: Duration = Duration::from_secs(30);
/// How often it is tried.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Reads up to the end of a transaction that has changes, or to `end`; confirms nothing.
async fn read(config: &Config, stream: &mut Stream, end: Lsn) -> Result<(), Error> {
    let mut session = session(config);
    let mut has_changes = false;
    loop {
        while let Some(frame) = stream.next_frame()? {
            match Frame::parse(frame)? {
                Frame::Keepalive { wal_end, reply_requested, .. } => {
                    session.on_keepalive(clock::now(), wal_end, reply_requested);
                    if end <= wal_end {
                        return Ok(());
                    }
                }
                Frame::XLogData { body, .. } => match Message::parse(body)? {
                    // Before version 15 there are empty ones, for which no publication was asked.
                    Message::Begin { .. } | Message::Origin { .. } => has_changes = false,
                    Message::Commit { .. } if has_changes => return Ok(()),
                    Message::Commit { .. } => {}
                    _ => has_changes = true,
                },
            }
        }
        make_way(&session)?;
        send_due_status(stream, &mut session).await?;
        tokio::select! {
            filled = stream.fill() => drop(filled?),
            () = sleep_until(session.deadline().into()) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_gap_is_found_to_a_record() {
        let check = async |from: u64, end: u64, gap: u64, expect: Option<u64>| {
            let mut looks = 0;
            let found = search(Lsn(from), Lsn(end), async |lsn| {
                looks += 1;
                Ok(gap < lsn.0)
            });
            let found = found.await.unwrap();
            assert!(looks < 80, "{looks}");
            match (found, expect) {
                (Some(found), Some(expect)) => {
                    assert!(expect < found.0 && found.0 <= expect + RECORD_ALIGN, "{found}");
                }
                (found, expect) => assert_eq!(found.is_some(), expect.is_some()),
            }
        };
        // Readable at once; nothing to read.
        check(100, 1 << 40, 99, None).await;
        check(100, 100, 100, None).await;
        for gap in [100, 104, 1_000, 1_124, 1 << 20, (1 << 39) + 8] {
            check(100, 1 << 40, gap, Some(gap)).await;
        }
        // Up to the very end of the log.
        check(100, 10_000, 9_992, Some(9_992)).await;
    }
}
