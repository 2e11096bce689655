//! The rows of outboxes that are there when the slot is made, and that nobody has sent: events of before
//! the stream.
//!
//! What commits before the slot's consistent point the stream does not have, and the snapshot that the
//! slot exports there has nothing else. They are read in it, and enter before the stream, in one batch
//! with the first checkpoint that says that there is a slot: until that is in Kafka, a start makes the
//! slot anew and reads them again.

use super::Error as PipelineError;
use crate::config::{BatchLimits, Config, Outbox};
use crate::edges::Class;
use crate::postgres::{
    Catalog, ChunkError, ImportedReader, OutboxPart, PendingChunk, SnapshotTable,
};

/// Why they cannot be read, or not sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They do not fit into one batch.
    #[error(
        "outboxes with pending = true have {rows} rows to publish, and all of them have to fit into one batch, which \
         has at most batch.max_records = {records_max} and batch.max_bytes = {bytes_max}: raise these for the first start, let \
         outbox.pending_where choose fewer, or set outbox.pending = false. Nothing was published"
    )]
    TooMany {
        /// How many there are.
        rows: u64,
        /// The most records.
        records_max: usize,
        /// The most bytes.
        bytes_max: usize,
    },
    /// An outbox is not in the stream.
    #[error(
        "outbox {table} has pending = true and is in none of the publications, and rows are read only at the start that makes \
         the slot: as its owner, ALTER PUBLICATION … ADD TABLE {table}, or set outbox.pending = false"
    )]
    Unpublished {
        /// The outbox.
        table: String,
    },
    /// The rows cannot be read.
    #[error("the pending rows of outbox {table} cannot be read: {error}")]
    Unread {
        /// The outbox.
        table: String,
        /// Why; a cause too.
        #[source]
        error: Box<ChunkError>,
    },
}

impl Error {
    /// What can be done about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::TooMany { .. } | Self::Unpublished { .. } => Class::Fatal,
            Self::Unread { error, .. } => error.class(),
        }
    }
}

/// Who reads them.
pub(super) struct Pending<'a> {
    config: &'a Config,
    reader: ImportedReader,
}

/// A part of an outbox, with what its rows meet.
struct Part {
    outbox: String,
    condition: Option<String>,
    part: OutboxPart,
}

/// Looks whether they could be read now, and would fit; how many there are.
///
/// # Errors
///
/// If not, or the server does not answer.
pub async fn pending_rows(config: &Config, catalog: &Catalog) -> Result<u64, PipelineError> {
    let reader = ImportedReader::connect(&config.postgres, catalog).await?;
    let mut pending = Pending { config, reader };
    pending.reader.look().await?;
    let parts = pending.parts().await?;
    let rows = pending.count(&parts).await?;
    pending.reader.close().await;
    match config.batch.max_records < usize::try_from(rows).unwrap_or(usize::MAX) {
        true => Err(too_many(rows, config.batch)),
        false => Ok(rows),
    }
}

impl<'a> Pending<'a> {
    /// Takes the snapshot over from who has exported it: it lives on, whatever becomes of that one. The
    /// connection is made now, since one from before the slot was made may have been idle for hours.
    pub(super) async fn import(
        config: &'a Config,
        catalog: &Catalog,
        snapshot: &str,
    ) -> Result<Self, PipelineError> {
        let mut reader = ImportedReader::connect(&config.postgres, catalog).await?;
        // One that is gone is made again with the slot.
        let gone = |_| crate::postgres::Error::Closed;
        reader.import(snapshot).await.map_err(gone)?;
        Ok(Self { config, reader })
    }

    /// Reads them all, each table in the order of its key.
    pub(super) async fn read(
        mut self,
        is_binary: bool,
    ) -> Result<Vec<PendingChunk>, PipelineError> {
        let (config, limits) = (self.config, self.config.batch);
        let (mut chunks, mut rows, mut bytes) = (Vec::new(), 0_usize, 0);
        let parts = self.parts().await?;
        for part in &parts {
            let left = limits.max_records.saturating_sub(rows);
            let room = (u32::try_from(left).unwrap_or(u32::MAX), limits.max_bytes - bytes);
            let read = self.reader.pending(part.table(config), room, is_binary).await;
            let Some(chunk) = read.map_err(unread(&part.outbox))? else {
                // What was asked for and not read.
                self.reader.forget().await?;
                return Err(too_many(self.count(&parts).await?, limits));
            };
            rows += usize::try_from(chunk.count).unwrap_or(usize::MAX);
            bytes += chunk.rows.len();
            chunks.push(chunk);
        }
        self.reader.close().await;
        Ok(chunks)
    }

    /// The published tables that have them, in the snapshot. An outbox below another one is its own.
    async fn parts(&mut self) -> Result<Vec<Part>, PipelineError> {
        let Config { outboxes, replication, .. } = self.config;
        let mut parts: Vec<Part> = Vec::new();
        for outbox in outboxes {
            let Some(pending) = &outbox.pending else { continue };
            let (name, Outbox { namespace, table, .. }) = (full_name(outbox), outbox);
            let found = self.reader.parts(&replication.publications, namespace, table).await;
            let found = found.map_err(unread(&name))?;
            if found.is_empty() {
                return Err(Error::Unpublished { table: name }.into());
            }
            for mut part in found {
                let own = Outbox::of(outboxes, &part.namespace, &part.table);
                let is_own = own.is_none_or(|own| std::ptr::eq(own, outbox));
                if !is_own || parts.iter().any(|it| it.part.relation == part.relation) {
                    continue;
                }
                if part.key.is_empty() {
                    part.key.push(outbox.id_column.clone());
                }
                let (outbox, condition) = (name.clone(), pending.condition.clone());
                parts.push(Part { outbox, condition, part });
            }
        }
        Ok(parts)
    }

    /// How many there are.
    async fn count(&mut self, parts: &[Part]) -> Result<u64, PipelineError> {
        let mut rows = 0;
        for part in parts {
            let counted = self.reader.count(&part.table(self.config)).await;
            rows += counted.map_err(unread(&part.outbox))?;
        }
        Ok(rows)
    }
}

impl Part {
    fn table<'t>(&'t self, config: &'t Config) -> SnapshotTable<'t> {
        SnapshotTable {
            relation: self.part.relation,
            publications: &config.replication.publications,
            key: &self.part.key,
            condition: self.condition.as_deref(),
        }
    }
}

/// The error where so many rows do not fit.
pub(super) fn too_many(rows: u64, limits: BatchLimits) -> PipelineError {
    let BatchLimits { max_records: records_max, max_bytes: bytes_max, .. } = limits;
    Error::TooMany { rows, records_max, bytes_max }.into()
}

/// The outboxes that want it, each as `schema.table`.
pub(super) fn wanted(config: &Config) -> impl Iterator<Item = String> {
    config.outboxes.iter().filter(|outbox| outbox.pending.is_some()).map(full_name)
}

fn full_name(outbox: &Outbox) -> String {
    format!("{}.{}", outbox.namespace, outbox.table)
}

fn unread(table: &str) -> impl Fn(ChunkError) -> PipelineError {
    let table = table.to_owned();
    move |error| Error::Unread { table: table.clone(), error: Box::new(error) }.into()
}
