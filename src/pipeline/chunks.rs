//! Who reads chunks: a few connections, each in a task of its own that is owned and joined here.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::config::{BatchLimits, Config, Postgres};
use crate::position::Xid;
use crate::postgres::{
    Catalog, ChunkError, ChunkLimits, ChunkReader, ChunkRequest, Key, Ranges, SnapshotTable,
};
use crate::snapshot::{Chunk, ChunkId, Part, Range, Request, Visibility};
use crate::wal::RelationId;

/// How long a reader waits for a table's lock, and for each statement.
const LIMITS: ChunkLimits = ChunkLimits {
    lock_timeout: Duration::from_secs(5),
    statement_timeout: Duration::from_secs(120),
};

/// About how many ranges a table is divided into.
const RANGES: u32 = 32;

/// The connections.
#[derive(Debug)]
pub(super) struct Chunks {
    postgres: Postgres,
    publications: Vec<String>,
    is_binary: bool,
    rows_max: u32,
    /// Of batches: a table without a key is read at once.
    limits: BatchLimits,
    /// As many connections there are.
    readers: usize,
    idle: Vec<ChunkReader>,
    reading: JoinSet<(Option<ChunkReader>, Answer)>,
}

/// What a reading brought.
#[derive(Debug)]
pub(super) enum Answer {
    /// A chunk.
    Chunk(ChunkId, RelationId, Result<Chunk, ChunkError>),
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
}

impl Chunks {
    /// A chunk has up to `rows_max` rows.
    pub(super) fn new(config: &Config, is_binary: bool, rows_max: u32) -> Self {
        Self {
            postgres: config.postgres.clone(),
            publications: config.replication.publications.clone(),
            is_binary,
            rows_max,
            limits: config.batch,
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

    /// Reads a chunk.
    pub(super) fn read(&mut self, request: Request) {
        let (publications, is_binary) = (self.publications.clone(), self.is_binary);
        let (rows_max, bytes_max) = match request.key.is_empty() {
            true => {
                (u32::try_from(self.limits.max_records).unwrap_or(u32::MAX), self.limits.max_bytes)
            }
            false => (self.rows_max, self.limits.target_bytes),
        };
        self.spawn(move |reader| {
            Box::pin(async move {
                let Request { id, relation, key, part, condition } = request;
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

    /// Divides a table into ranges.
    pub(super) fn divide(&mut self, Division { relation, key, condition }: Division) {
        let publications = self.publications.clone();
        self.spawn(move |reader| {
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

    fn spawn(
        &mut self,
        work: impl for<'a> FnOnce(
            Result<&'a mut ChunkReader, ChunkError>,
        ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>
        + Send
        + 'static,
    ) {
        let (postgres, idle) = (self.postgres.clone(), self.idle.pop());
        self.reading.spawn(async move {
            let reader = match idle {
                Some(reader) => Ok(reader),
                None => ChunkReader::connect(&postgres, LIMITS).await,
            };
            match reader {
                Ok(mut reader) => {
                    let answer = work(Ok(&mut reader)).await;
                    (Some(reader), answer)
                }
                Err(error) => (None, work(Err(error.into())).await),
            }
        });
    }

    /// What was read next; never, while nothing is being read. Cancel-safe.
    pub(super) async fn answer(&mut self, catalog: &Catalog) -> Answer {
        loop {
            let Some(joined) = self.reading.join_next().await else {
                return std::future::pending().await;
            };
            // A task that panicked has said so; its chunk is read again at the next attempt.
            let Ok((reader, answer)) = joined else { continue };
            return self.home(reader, answer, catalog);
        }
    }

    fn home(&mut self, reader: Option<ChunkReader>, answer: Answer, catalog: &Catalog) -> Answer {
        let other = reader.as_ref().and_then(|reader| reader.same_server(catalog).err());
        self.idle.extend(reader.filter(|reader| other.is_none() && reader.is_usable()));
        match (other, answer) {
            (None, answer) => answer,
            (Some(error), Answer::Chunk(id, relation, _)) => {
                Answer::Chunk(id, relation, Err(error.into()))
            }
            (Some(error), Answer::Ranges(relation, key, _)) => {
                Answer::Ranges(relation, key, Err(error.into()))
            }
        }
    }
}

/// What is read, as the machine takes it.
fn chunk(read: crate::postgres::Chunk) -> Chunk {
    let crate::postgres::Chunk { relation, visibility, end, taken_us, rows, count, last, is_last } =
        read;
    Chunk {
        relation,
        visibility: listed(visibility.xmax, &visibility.xip),
        end,
        taken_us,
        rows,
        count: count.into(),
        last: last.filter(|_| !is_last).map(|Key(values)| values),
    }
}

/// A snapshot's ids as the stream has them: 32 bits of the 64.
fn listed(xmax: u64, xip: &[u64]) -> Visibility {
    let low_half = |full: u64| Xid(u32::try_from(full & u64::from(u32::MAX)).unwrap_or_default());
    let running = xip.iter().copied().map(low_half).collect();
    Visibility::Listed { end: low_half(xmax), running }
}
