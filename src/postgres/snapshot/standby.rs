//! What a snapshot shows on a standby, and what a standby must be to be read.
//!
//! ```text
//!  replayed ─▶ BEGIN ─▶ LOCK TABLE ─▶ the snapshot ─▶ a receiver? ─▶ received, replayed: the chunk's end
//! ```
//!
//! `pg_current_snapshot()` lists nothing as in progress there; but transactions show in the order in
//! which their commit records are replayed. So what was replayed before the snapshot shows. What shows
//! was received, as a record has to be before it is replayed. That holds of what comes by streaming: if
//! there is a receiver behind the snapshot, nothing else is being replayed any more. (One that was
//! restarted may have received less than was replayed. And what was replayed does not count as such
//! until a moment after it took effect, so that alone would not do.)
//!
//! That moment is one record's: behind the one that begins where the replay is said to be, or behind
//! the header of the page that begins there, nothing shows.

use std::time::Duration;

use super::super::connect::within;
use super::super::error::Error;
use super::super::replication::ReplicationClient;
use super::chunk::LONG_HEADER_BYTES;
use super::{ChunkError, ChunkReader};
use crate::position::Lsn;

/// What of a standby decides how chunks are read there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandbyFacts {
    /// Whether it receives the log from its primary now.
    pub has_receiver: bool,
    /// `hot_standby_feedback`.
    pub has_feedback: bool,
    /// `max_standby_streaming_delay`, how long its recovery waits for queries; `None` is for ever.
    pub delay_max: Option<Duration>,
    /// `recovery_min_apply_delay`.
    pub apply_delay: Duration,
}

impl ChunkReader {
    /// How chunks are read on this standby.
    ///
    /// # Errors
    ///
    /// If the server does not answer; see [`is_usable`](Self::is_usable).
    pub async fn standby_facts(&mut self) -> Result<StandbyFacts, ChunkError> {
        self.begin()?;
        let (host, limit) = (self.peer.host.clone(), self.timeout);
        let asked = self.dialogue.ask_one(FACTS_SQL, &[]);
        let line = within(limit, &host, "the look at the standby's settings", asked).await?;
        self.is_usable = true;
        let delay_ms = line.perhaps(2)?.is_some().then(|| line.parsed(2)).transpose()?;
        Ok(StandbyFacts {
            has_receiver: line.flag(0)?,
            has_feedback: line.flag(1)?,
            delay_max: delay_ms.map(Duration::from_millis),
            apply_delay: Duration::from_millis(line.parsed(3)?),
        })
    }

    /// Whether this is a standby that has replayed so much.
    ///
    /// # Errors
    ///
    /// If it has not, or is none; see [`is_usable`](Self::is_usable).
    pub async fn has_replayed(&mut self, wanted: Lsn) -> Result<(), ChunkError> {
        self.begin()?;
        let (host, limit) = (self.peer.host.clone(), self.timeout);
        let asked = self.dialogue.ask_one(REPLAYED_SQL, &[]);
        let line = within(limit, &host, "the look at what is replayed", asked).await?;
        self.is_usable = true;
        let Some(replayed) = line.perhaps(0)? else {
            return Err(Error::NotStandby { host }.into());
        };
        let replayed = replayed.parse().map_err(|_| Error::Protocol("no LSN".to_owned()))?;
        if replayed < wanted {
            return Err(ChunkError::Behind { host, replayed, wanted });
        }
        Ok(())
    }

    /// Whether a walsender is of the same server.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn is_beside(&self, client: &ReplicationClient) -> Result<(), ChunkError> {
        if self.server_started == client.server_started() {
            return Ok(());
        }
        Err(ChunkError::Apart { host: self.peer.host.clone() })
    }

    /// The first LSN of which a snapshot that was just taken does not show the commit record, and the
    /// end of its chunk.
    pub(super) async fn received(&mut self, has_receiver: bool) -> Result<(Lsn, Lsn), ChunkError> {
        let host = || self.peer.host.clone();
        if !has_receiver {
            return Err(ChunkError::Unconnected { host: host() });
        }
        let line = self.dialogue.ask_one(REPLAYED_SQL, &[]).await?;
        if line.perhaps(0)?.is_none() {
            return Err(Error::NotStandby { host: host() }.into());
        }
        let received = line.perhaps(1)?.is_some().then(|| line.parsed(1)).transpose()?;
        let replayed: Lsn = line.parsed(0)?;
        let Lsn(next) = replayed;
        Ok((Lsn(next + LONG_HEADER_BYTES + 1), replayed.max(received.unwrap_or_default())))
    }
}

const REPLAYED_SQL: &str = "\
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END, pg_last_wal_receive_lsn()";

/// Both durations in milliseconds, the unit of these settings.
const FACTS_SQL: &str = "\
SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver),
       pg_catalog.current_setting('hot_standby_feedback')::bool,
       (SELECT nullif(setting, '-1') FROM pg_catalog.pg_settings
        WHERE name = 'max_standby_streaming_delay'),
       (SELECT setting FROM pg_catalog.pg_settings WHERE name = 'recovery_min_apply_delay')";
