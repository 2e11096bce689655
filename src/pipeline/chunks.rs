//! Who reads chunks: a few connections, each in a task of its own that is owned and joined here.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinSet;

use super::access::{Access, Connection, Source, visibility};
use crate::config::{BatchLimits, Config};
use crate::position::Lsn;
use crate::postgres::{
    Catalog, ChunkError, ChunkLimits, ChunkReader, ChunkRequest, Key, Ranges, SnapshotTable,
};
use crate::snapshot::{Chunk, ChunkId, Part, Range, Request};
use crate::wal::RelationId;

/// How long a reader waits for a table's lock, and for each statement.
const LIMITS: ChunkLimits = ChunkLimits {
    lock_timeout: Duration::from_secs(5),
    statement_timeout: Duration::from_secs(120),
};

/// About how many ranges a table is divided into.
const RANGES: u32 = 32;

/// A chunk that is in the way of a standby's recovery is halved so often.
const HALVED_MAX: u32 = 6;

/// The connections.
#[derive(Debug)]
pub(super) struct Chunks {
    access: Access,
    publications: Vec<String>,
    is_binary: bool,
    /// As many rows a chunk has at most.
    rows_max: u32,
    /// Of batches: a table without a key is read at once.
    limits: BatchLimits,
    /// How often chunks are halved.
    halved: u32,
    /// As many connections there are.
    readers: usize,
    idle: Vec<Connection>,
    reading: JoinSet<(Option<Connection>, Answer)>,
}

/// What a reading brought.
#[derive(Debug)]
pub(super) enum Answer {
    /// A chunk.
    Chunk(ChunkId, RelationId, Result<Chunk, ChunkError>),
    /// Keys as the stream has them.
    Keys(RelationId, Result<Vec<Box<[u8]>>, ChunkError>),
    /// How a table is divided.
    Ranges(RelationId, Vec<String>, Result<Ranges, ChunkError>),
}

/// A table that is to be divided.
#[derive(Clone, Debug)]
pub(super) struct Division {
    pub(super) relation: RelationId,
    pub(super) key: Vec<String>,
    /// Which rows are read.
    pub(super) condition: Option<String>,
    /// What a standby must have replayed before.
    pub(super) replayed: Lsn,
}

impl Chunks {
    /// A chunk has up to `rows_max` rows.
    pub(super) fn new(config: &Config, is_binary: bool, source: Source, rows_max: u32) -> Self {
        Self {
            access: Access::new(config, source),
            publications: config.replication.publications.clone(),
            is_binary,
            rows_max,
            limits: config.batch,
            halved: 0,
            readers: config.snapshot.readers,
            idle: Vec::new(),
            reading: JoinSet::new(),
        }
    }

    /// Whether one more may be read.
    pub(super) fn has_room(&self) -> bool {
        self.reading.len() < self.readers
    }

    /// Ends the connections that have nothing to do.
    pub(super) fn rest(&mut self) {
        self.idle.clear();
    }

    /// Whether something is being read.
    pub(super) fn is_reading(&self) -> bool {
        !self.reading.is_empty()
    }

    /// What a table without a key has to fit in.
    pub(super) fn limits(&self) -> BatchLimits {
        self.limits
    }

    /// Reads a chunk of up to `rows` rows, and of no larger a part of the bytes that a batch may have.
    pub(super) fn read(&mut self, request: Request, rows: u32) {
        let (publications, is_binary) = (self.publications.clone(), self.is_binary);
        let (rows_max, bytes_max) = match request.key.is_empty() {
            true => {
                (u32::try_from(self.limits.max_records).unwrap_or(u32::MAX), self.limits.max_bytes)
            }
            false => {
                let (halved, bytes) = (self.halved, self.bytes_for(rows));
                ((rows >> halved).max(1), (bytes >> halved).max(1))
            }
        };
        self.spawn(request.replayed, move |reader| {
            Box::pin(async move {
                let Request { id, relation, key, part, condition, .. } = request;
                let (keys, range) = match part {
                    Part::Keys(keys) => (Some(keys), Range::default()),
                    Part::Range(range) => (None, range),
                };
                let (after, to, keys) = (range.after.map(Key), range.to.map(Key), keys.as_deref());
                let table = SnapshotTable {
                    relation,
                    publications: &publications,
                    key: &key,
                    condition: condition.as_deref(),
                };
                let (after, to) = (after.as_ref(), to.as_ref());
                let request =
                    ChunkRequest { table, after, to, keys, rows_max, bytes_max, is_binary };
                let read = match reader {
                    Ok(reader) => reader.read(&request).await,
                    Err(error) => Err(error),
                };
                Answer::Chunk(id, relation, read.map(chunk))
            })
        });
    }

    /// As many bytes a chunk of up to `rows` rows may have: all that a batch has, if it has all rows.
    fn bytes_for(&self, rows: u32) -> usize {
        let bytes = u64::try_from(self.limits.target_bytes).unwrap_or(u64::MAX);
        let share = bytes / u64::from(self.rows_max.max(1)) * u64::from(rows);
        usize::try_from(share).unwrap_or(usize::MAX)
    }

    /// Divides a table into ranges.
    pub(super) fn divide(&mut self, Division { relation, key, condition, replayed }: Division) {
        let publications = self.publications.clone();
        self.spawn(replayed, move |reader| {
            Box::pin(async move {
                let table = SnapshotTable {
                    relation,
                    publications: &publications,
                    key: &key,
                    condition: condition.as_deref(),
                };
                let ranges = match reader {
                    Ok(reader) => reader.ranges(&table, RANGES).await,
                    Err(error) => Err(error),
                };
                Answer::Ranges(relation, key, ranges)
            })
        });
    }

    /// Asks how the stream has keys, of which texts are known.
    pub(super) fn ask_keys(
        &mut self,
        relation: RelationId,
        key: Vec<String>,
        keys: Vec<Vec<String>>,
    ) {
        let (publications, is_binary) = (self.publications.clone(), self.is_binary);
        self.spawn(Lsn::ZERO, move |reader| {
            Box::pin(async move {
                let table = SnapshotTable {
                    relation,
                    publications: &publications,
                    key: &key,
                    condition: None,
                };
                let keys: Vec<_> = keys.into_iter().map(Key).collect();
                let keys = match reader {
                    Ok(reader) => reader.keys(&table, &keys, is_binary).await,
                    Err(error) => Err(error),
                };
                Answer::Keys(relation, keys)
            })
        });
    }

    /// Does work on a connection; on a standby it must have replayed so much.
    fn spawn(
        &mut self,
        replayed: Lsn,
        work: impl for<'a> FnOnce(
            Result<&'a mut ChunkReader, ChunkError>,
        ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>
        + Send
        + 'static,
    ) {
        let (access, idle) = (self.access.clone(), self.idle.pop());
        self.reading.spawn(async move {
            let connection = match idle {
                Some(connection) => Ok(connection),
                None => access.connect(LIMITS).await,
            };
            let mut connection = match connection {
                Ok(connection) => connection,
                Err(error) => return (None, work(Err(error)).await),
            };
            if let Err(error) = access.admit(&mut connection, replayed).await {
                let is_kept = matches!(error, ChunkError::Behind { .. });
                return (Some(connection).filter(|_| is_kept), work(Err(error)).await);
            }
            let answer = work(Ok(&mut connection.reader)).await;
            match access.vouch(&mut connection).await {
                Ok(()) => (Some(connection), answer),
                Err(error) => (None, answer.failed(error)),
            }
        });
    }

    /// Whether this says that the standby that has the slot is none any more.
    pub(super) fn is_promotion(&self, error: &ChunkError) -> bool {
        let ChunkError::Postgres(error) = error else { return false };
        let is_own = matches!(self.access.source, Source::Standby);
        is_own && matches!(**error, crate::postgres::Error::NotStandby { .. })
    }

    /// Whether this is an error of a standby that may last, while the stream goes on.
    pub(super) fn is_away(&self, error: &ChunkError) -> bool {
        let is_beside = matches!(self.access.source, Source::Standbys(_));
        match error {
            ChunkError::Apart { .. } | ChunkError::Unconnected { .. } => true,
            ChunkError::Postgres(_) => is_beside && !error.is_conflict(),
            _ => false,
        }
    }

    /// What was read next; never, while nothing is being read. Cancel-safe.
    pub(super) async fn answer(&mut self, catalog: &Catalog) -> Answer {
        loop {
            let Some(joined) = self.reading.join_next().await else {
                return std::future::pending().await;
            };
            // A task that panicked has said so; its chunk is read again at the next attempt.
            let Ok((connection, answer)) = joined else { continue };
            return self.home(connection, answer, catalog);
        }
    }

    fn home(
        &mut self,
        connection: Option<Connection>,
        answer: Answer,
        catalog: &Catalog,
    ) -> Answer {
        let Some(connection) = connection else { return answer };
        if let Err(error) = self.access.same_server(&connection, catalog) {
            return answer.failed(error);
        }
        self.idle.extend(Some(connection).filter(|it| it.reader.is_usable()));
        match &answer {
            Answer::Chunk(_, _, Ok(_)) => self.halved = self.halved.saturating_sub(1),
            Answer::Chunk(_, _, Err(error)) if error.is_conflict() => {
                self.halved = HALVED_MAX.min(self.halved + 1);
            }
            _ => {}
        }
        answer
    }
}

impl Answer {
    /// The same without what was brought.
    fn failed(self, error: ChunkError) -> Self {
        match self {
            Self::Chunk(id, relation, _) => Self::Chunk(id, relation, Err(error)),
            Self::Keys(relation, _) => Self::Keys(relation, Err(error)),
            Self::Ranges(relation, key, _) => Self::Ranges(relation, key, Err(error)),
        }
    }
}

/// What is read, as the machine takes it.
fn chunk(read: crate::postgres::Chunk) -> Chunk {
    let crate::postgres::Chunk { relation, seen, end, taken_us, rows, count, last, is_last } = read;
    Chunk {
        relation,
        visibility: visibility(seen),
        end,
        taken_us,
        rows,
        count: count.into(),
        last: last.filter(|_| !is_last).map(|Key(values)| values),
    }
}
