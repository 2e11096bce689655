//! PostgreSQL: the replication connection, the catalog, and chunks of tables.
//!
//! ```text
//!  connect ──▶ socket (tcp │ tls │ unix) ──▶ auth ──▶ replication ──▶ stream   frames, for wal
//!     │                                       └────▶ snapshot                   rows that are there
//!     └──────▶ tokio-postgres ──▶ catalog: tables, types, slots                facts, for plan
//! ```
//!
//! One way to connect serves all: libpq's words (`sslmode`, `channel_binding`, several hosts, the
//! password file) with libpq's meaning. Nothing here knows what a frame means or what becomes of a
//! row, and Kafka is not known at all.

mod auth;
mod binding;
mod catalog;
mod connect;
mod decoding;
mod error;
mod exported;
mod handover;
mod input;
mod passfile;
mod quote;
mod replication;
mod report;
mod session;
mod snapshot;
mod socket;
mod sslmode;
mod stream;
mod tls;
mod wire;

pub use catalog::{
    Catalog, Child, DdlRefusal, OldestXact, Publication, PublishedColumn, PublishedTable, Server,
    SlotFacts, Survey, SurveyedColumn, SurveyedTable, UnloggedColumn, Walsender,
};
pub use error::{Error, PassfileWarning, ServerError};
pub use exported::{ExportError, Exported};
pub use replication::{Fork, ReplicationClient, SERVER_VERSION_MIN, Start, System};
pub use snapshot::{
    Chunk, ChunkError, ChunkLimits, ChunkReader, ChunkRequest, ImportedReader, Key, OutboxPart,
    PendingChunk, Ranges, Seen, SnapshotTable, StandbyFacts, Visibility, VisibilityError, WayBack,
};
pub use socket::TransportKind;
pub use stream::Stream;
