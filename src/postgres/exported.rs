//! A snapshot of the database as of a place in the stream, by way of a temporary slot.
//!
//! A slot that is made tells its consistent point and exports the snapshot of it: all that commits
//! before that point is in the snapshot, and nothing else. The slot is of no other use, and ends with
//! its connection.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-CREATE-REPLICATION-SLOT>

use std::time::Duration;

use super::error::{Error, ServerError};
use super::quote::identifier;
use super::replication::{ReplicationClient, only, unreadable};
use crate::edges::Class;
use crate::position::Lsn;

/// A snapshot that other sessions can take, as long as the walsender is told nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The consistent point.
    pub lsn: Lsn,
    /// The snapshot's name, for `SET TRANSACTION SNAPSHOT`.
    pub snapshot: String,
}

/// Why there is no such snapshot.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Transactions that ran already when it was asked for have not ended.
    #[error(
        "a temporary replication slot waits for a transaction that has been open for longer than {} s: see pg_stat_activity, ordered by xact_start, and pg_prepared_xacts",
        .waited.as_secs()
    )]
    Busy {
        /// How long was waited.
        waited: Duration,
    },
    /// There is no room for another slot.
    #[error(
        "a temporary replication slot is needed for a moment, and there is no room for it: raise max_replication_slots, or drop a slot that nobody uses: {server}"
    )]
    Full {
        /// What the server said.
        server: ServerError,
    },
    /// Something else of the server or its connection.
    #[error(transparent)]
    Postgres(#[from] Error),
}

impl ExportError {
    /// What can be done about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Busy { .. } => Class::Retry,
            Self::Full { .. } => Class::Fatal,
            Self::Postgres(error) => error.class(),
        }
    }
}

impl Exported {
    /// The answer to CREATE_REPLICATION_SLOT; without a snapshot its name is empty.
    pub(super) fn read(row: &[Option<String>], is_exported: bool) -> Result<Self, Error> {
        match row {
            [_, Some(lsn), snapshot, ..] if snapshot.is_some() || !is_exported => {
                let lsn = lsn.parse().map_err(|_| unreadable("consistent point"))?;
                Ok(Self { lsn, snapshot: snapshot.clone().unwrap_or_default() })
            }
            _ => Err(unreadable("answer to CREATE_REPLICATION_SLOT")),
        }
    }
}

impl ReplicationClient {
    /// Makes a temporary slot and exports its snapshot, waiting for each transaction that runs now at
    /// most so long.
    ///
    /// # Errors
    ///
    /// If the server refuses, or such a transaction does not end.
    pub async fn export_snapshot(
        &mut self,
        slot: &str,
        wait: Duration,
    ) -> Result<Exported, ExportError> {
        let wait_ms = wait.as_millis().clamp(1, MILLIS_MAX);
        // A walsender waits for them as for a lock.
        self.answer(&format!("SET lock_timeout = {wait_ms}")).await?;
        let option = match self.server_version() {
            ..15 => "EXPORT_SNAPSHOT",
            _ => "(SNAPSHOT 'export')",
        };
        let slot = identifier(slot);
        let command = format!("CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput {option}");
        let rows = self.answer(&command).await.map_err(|error| match error {
            Error::Server(server) if server.code == LOCK_NOT_AVAILABLE => {
                ExportError::Busy { waited: wait }
            }
            Error::Server(server) if server.code == CONFIGURATION_LIMIT_EXCEEDED => {
                ExportError::Full { server }
            }
            error => error.into(),
        })?;
        Ok(Exported::read(&only(rows)?, true)?)
    }
}

/// The server's settings are 32-bit integers.
const MILLIS_MAX: u128 = 2_147_483_647;

const LOCK_NOT_AVAILABLE: &str = "55P03";

const CONFIGURATION_LIMIT_EXCEEDED: &str = "53400";
