//! Why a chunk could not be read, and whether trying again can help. No value of a row is in it (I7).

use crate::edges::Class;
use crate::position::Lsn;
use crate::wal::RelationId;

use super::super::error::{Error, ServerError};

/// An error of the reading of a chunk, or of the planning of ranges.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// Two connections to one host reached two servers.
    #[error(
        "two connections to {host} reached different servers: its name leads to several; list them \
         one by one in `snapshot.hosts`"
    )]
    Apart {
        /// The host.
        host: String,
    },
    /// A standby has not replayed enough of the log.
    #[error(
        "the standby {host} has replayed up to {replayed} and must have replayed up to {wanted}: it \
         lags, or its replay is paused"
    )]
    Behind {
        /// The host.
        host: String,
        /// How far it is.
        replayed: Lsn,
        /// How far it must be.
        wanted: Lsn,
    },
    /// The table was renamed, or the columns of the key are not there, or not NOT NULL.
    #[error("{table} changed while its reading began")]
    Changed {
        /// The table.
        table: String,
    },
    /// The condition does not parse, or does not fit the table.
    #[error("the condition of {table}'s snapshot: {server}")]
    Condition {
        /// The table.
        table: String,
        /// What the server said.
        server: ServerError,
    },
    /// The reading was in the way of a standby's recovery.
    #[error(
        "the server cancelled the reading of {table}, which was in the way of its recovery: {server}"
    )]
    Conflict {
        /// The table.
        table: String,
        /// What the server said.
        server: ServerError,
    },
    /// A standby of another cluster, or with another history.
    #[error(
        "{host} is no standby of the slot's server: {difference}; name one in `snapshot.hosts` that \
         follows it"
    )]
    Foreign {
        /// The host.
        host: String,
        /// What differs.
        difference: String,
    },
    /// There is no such table, or no longer.
    #[error("there is no table with OID {relation}: it was dropped, or never was")]
    Gone {
        /// Its OID.
        relation: RelationId,
    },
    /// A key from elsewhere: of another number of columns, or not of their types.
    #[error("a key that is none of {table}'s{}", server_note(.server))]
    Key {
        /// The table.
        table: String,
        /// What the server said, if it was asked.
        server: Option<ServerError>,
    },
    /// Somebody else holds a lock on the table for too long.
    #[error(
        "{table} is locked (ACCESS EXCLUSIVE){}: its reading waited {limit_ms} ms for it to be released",
        holder_note(*.holder)
    )]
    Locked {
        /// The table.
        table: String,
        /// The limit in milliseconds.
        limit_ms: u128,
        /// The server process that holds the lock, if it still did afterwards.
        holder: Option<i32>,
    },
    /// The connection, or something else of the server.
    #[error(transparent)]
    Postgres(Box<Error>),
    /// The user may not read the table.
    #[error("user \"{user}\" may not read {table}: {grant}")]
    Right {
        /// The table.
        table: String,
        /// The user.
        user: String,
        /// The statement that helps.
        grant: String,
    },
    /// Row security would leave out rows.
    #[error(
        "row security hides rows of {table} from user \"{user}\", and they would be missing: \
         ALTER ROLE … BYPASSRLS, or a policy for all rows and ALTER TABLE … NO FORCE ROW LEVEL \
         SECURITY for the owner"
    )]
    RowSecurity {
        /// The table.
        table: String,
        /// The user.
        user: String,
    },
    /// A statement took longer than the limit.
    #[error("the server ended the reading of {table} after {limit_ms} ms: {server}")]
    Slow {
        /// The table.
        table: String,
        /// The limit in milliseconds.
        limit_ms: u128,
        /// What the server said.
        server: ServerError,
    },
    /// A standby that receives no WAL at present.
    #[error(
        "the standby {host} does not stream from its primary at present (pg_stat_wal_receiver is \
         empty), so how far into the log it shows cannot be told: check its primary_conninfo and log"
    )]
    Unconnected {
        /// The host.
        host: String,
    },
    /// A table without a key, which is read at once.
    #[error(
        "{table} has no key, so it is read at once, and it has more than batch.max_records \
         ({rows_max}) rows or batch.max_bytes ({bytes_max}): raise them"
    )]
    TooLarge {
        /// The table.
        table: String,
        /// As many rows may be read.
        rows_max: u32,
        /// And as many bytes.
        bytes_max: usize,
    },
    /// The table is not in the publications, or its rows go out under its root.
    #[error("{table} is not published under its own name")]
    Unpublished {
        /// The table.
        table: String,
    },
}

impl ChunkError {
    /// What can be done about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Postgres(error) => error.class(),
            Self::Apart { .. }
            | Self::Behind { .. }
            | Self::Changed { .. }
            | Self::Conflict { .. }
            | Self::Gone { .. }
            | Self::Locked { .. }
            | Self::Slow { .. }
            | Self::Unconnected { .. }
            | Self::Unpublished { .. } => Class::Retry,
            Self::Condition { .. }
            | Self::Foreign { .. }
            | Self::Key { .. }
            | Self::Right { .. }
            | Self::RowSecurity { .. }
            | Self::TooLarge { .. } => Class::Fatal,
        }
    }

    /// Whether a smaller chunk may come through: the reading was in the way of a standby's recovery.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self.sqlstate(), Some("40001" | "40P01"))
    }

    /// The SQLSTATE, where the server gave one.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Condition { server, .. }
            | Self::Conflict { server, .. }
            | Self::Key { server: Some(server), .. }
            | Self::Slow { server, .. } => Some(&server.code),
            Self::Postgres(error) => error.sqlstate(),
            _ => None,
        }
    }
}

impl From<Error> for ChunkError {
    fn from(error: Error) -> Self {
        Self::Postgres(Box::new(error))
    }
}

fn server_note(server: &Option<ServerError>) -> String {
    server.as_ref().map(|server| format!(": {server}")).unwrap_or_default()
}

fn holder_note(holder: Option<i32>) -> String {
    holder.map(|pid| format!(" by the server process {pid}")).unwrap_or_default()
}
