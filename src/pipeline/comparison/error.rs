//! Why a comparison ends. No value of a row is in it (I7).

use std::time::Duration;

use crate::edges::Class;
use crate::position::Lsn;
use crate::postgres::{ChunkError, ExportError};
use crate::verify::{ReadError, SchemaError};

/// An error of a comparison, beside those of servers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the snapshot has is not in Kafka yet.
    #[error(
        "the snapshot has what commits before {lsn}, and after {} s the pipeline's checkpoint covers {covered}: is walbrook running, and is it behind (walbrook_lag_bytes)? A longer --timeout waits for it",
        .waited.as_secs()
    )]
    Behind {
        /// What Kafka has.
        covered: Lsn,
        /// The snapshot's point.
        lsn: Lsn,
        /// How long was waited.
        waited: Duration,
    },
    /// There is nothing to compare with.
    #[error("the pipeline has no checkpoint yet: start `walbrook run` first")]
    NoCheckpoint,
    /// Records say that their schema is in a registry.
    #[error("the topic's records are Avro, and the configuration names no schema registry")]
    NoRegistry,
    /// The positions of records are of another server's log.
    #[error(
        "this server has the system identifier {found}, and the pipeline's checkpoint is of {checkpoint}: see `walbrook check`"
    )]
    OtherServer {
        /// The checkpoint's.
        checkpoint: String,
        /// The server's.
        found: String,
    },
    /// A record is none of the table's.
    #[error("the record in {topic}-{partition} at offset {offset} cannot be read")]
    Record {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// Why.
        source: ReadError,
    },
    /// A schema of the registry is none that walbrook writes.
    #[error("the schema of id {id} cannot be used")]
    Schema {
        /// Its number in the registry.
        id: u32,
        /// Why.
        source: SchemaError,
    },
    /// There is no snapshot.
    #[error(transparent)]
    Snapshot(#[from] ExportError),
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] ChunkError),
    /// No publication has the table.
    #[error("no publication of the pipeline has a table {table}")]
    Unpublished {
        /// The table.
        table: String,
    },
}

impl Error {
    /// What can be done about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Behind { .. } => Class::Retry,
            Self::Snapshot(error) => error.class(),
            Self::Table(error) => error.class(),
            Self::NoCheckpoint
            | Self::NoRegistry
            | Self::OtherServer { .. }
            | Self::Record { .. }
            | Self::Schema { .. }
            | Self::Unpublished { .. } => Class::Fatal,
        }
    }

    /// Whether a table is not what it was in the snapshot.
    pub(super) fn is_changed(&self) -> bool {
        matches!(self, Self::Table(ChunkError::Changed { .. }))
    }
}
