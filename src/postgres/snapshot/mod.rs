//! Chunks of tables, each as of one moment, beside the stream: one connection reads one at a time.
//!
//! ```text
//!  BEGIN (repeatable read) ─▶ LOCK TABLE ─▶ the snapshot ─▶ the log's end ─▶ shape ─▶ rows ─▶ COMMIT
//! ```
//!
//! The order is what a chunk is worth. TRUNCATE and ALTER TABLE are not of one moment for a snapshot
//! that was taken before them, so the lock comes first. What the snapshot sees has been logged, so the
//! end of the log is read behind it: once the stream is past that, it has told of all that the chunk
//! has seen.
//!
//! Nothing here knows the stream, or what a chunk's rows mean beside it. No lock is taken but ACCESS
//! SHARE, nothing is written, no transaction is longer than a chunk's.

mod chunk;
mod dialogue;
mod error;
mod imported;
mod key;
mod keyed;
mod pending;
mod ranges;
mod rows;
mod standby;
mod table;

use std::time::Duration;

use crate::config::Postgres;
use crate::position::Lsn;
use crate::wal::{Column, Tuple, Tuples};

use super::auth;
use super::catalog::Catalog;
use super::connect::{self, Peer, within};
use super::error::{Error, ServerError};
use super::session::{self, Settings};
use super::socket::Socket;
use super::wire::Wire;
use dialogue::{Dialogue, Ending, Stage, Value, refused};
use rows::Rows;
use table::{OID, Place, ServerFacts, Shape, TEXT};

pub(super) use chunk::log_end;
pub use chunk::{
    Chunk, ChunkRequest, Key, Ranges, Seen, SnapshotTable, Visibility, VisibilityError,
};
pub use error::ChunkError;
pub use imported::{ImportedReader, WayBack};
pub use pending::{OutboxPart, PendingChunk};
pub use standby::StandbyFacts;

/// How long a reader may take.
#[derive(Clone, Copy, Debug)]
pub struct ChunkLimits {
    /// For the lock of a table.
    pub lock_timeout: Duration,
    /// For each statement behind it.
    pub statement_timeout: Duration,
}

/// A connection that reads chunks. A future of it that is dropped half way leaves it of no use.
#[derive(Debug)]
pub struct ChunkReader {
    dialogue: Dialogue,
    peer: Peer,
    server: ServerFacts,
    /// When the server was started, in its words.
    server_started: String,
    limits: ChunkLimits,
    /// Of all that one chunk takes, for a server that does not answer at all.
    timeout: Duration,
    /// About what the rows of the next chunk take: what those of the last one took, and some more.
    bytes_expected: usize,
    /// Whether the last answer was read to its end.
    is_usable: bool,
}

impl ChunkReader {
    /// Connects to the first host that takes us.
    ///
    /// # Errors
    ///
    /// If no host does.
    pub async fn connect(postgres: &Postgres, limits: ChunkLimits) -> Result<Self, Error> {
        connect::establish(postgres, |socket, peer| Self::start(postgres, limits, socket, peer))
            .await
    }

    async fn start(
        postgres: &Postgres,
        limits: ChunkLimits,
        socket: Socket,
        peer: Peer,
    ) -> Result<Self, Error> {
        let asked = settings(limits);
        let mut wire = Wire::new(socket);
        let application_name = format!("{} snapshot", postgres.application_name);
        let own = [
            ("user", postgres.user.as_str()),
            ("database", &postgres.database),
            ("application_name", &application_name),
        ];
        let parameters: Vec<_> = own.into_iter().chain(asked.parameters()).collect();
        let reported = auth::start(&mut wire, postgres, &peer, &parameters).await?;
        let named = |name: &str| reported.get(name).map(String::as_str);
        let major = session::suits(postgres, &peer.host, named)?;
        let encoding = named("server_encoding").unwrap_or_default();
        let is_unencoded = encoding == session::NO_ENCODING;
        if let (false, Some(asked)) = (is_unencoded, postgres.text_encoding) {
            let (host, found) = (peer.host, encoding.to_owned());
            return Err(Error::TextEncoding { host, asked: asked.name(), found });
        }
        let asked = asked.on(major).for_snapshots();
        let asked = if is_unencoded { asked.unconverted() } else { asked };
        let mut dialogue = Dialogue::new(wire);
        let answer = dialogue.ask_one(&asked.question(), &[]).await?;
        let server_started = asked.settle(&peer.host, answer.texts())?;
        Ok(Self {
            dialogue,
            peer,
            server: ServerFacts { major, is_unencoded },
            server_started,
            limits,
            timeout: limits.lock_timeout + limits.statement_timeout + postgres.connect_timeout,
            bytes_expected: 0,
            is_usable: true,
        })
    }

    /// Reads the rows of a range as of now, or as many of them as the request allows.
    ///
    /// # Errors
    ///
    /// If they cannot be read; see [`is_usable`](Self::is_usable).
    pub async fn read(&mut self, request: &ChunkRequest<'_>) -> Result<Chunk, ChunkError> {
        self.begin()?;
        let (host, limit) = (self.peer.host.clone(), self.timeout);
        let outcome = tokio::time::timeout(limit, self.chunk(request)).await;
        let outcome = outcome.unwrap_or_else(|_| late(&host, limit));
        self.end(request.table, outcome).await
    }

    /// Divides a table into about `count` ranges of about as many rows each, by a sample of its pages.
    ///
    /// # Errors
    ///
    /// If it cannot be read; see [`is_usable`](Self::is_usable).
    pub async fn ranges(
        &mut self,
        table: &SnapshotTable<'_>,
        count: u32,
    ) -> Result<Ranges, ChunkError> {
        self.begin()?;
        let (host, limit) = (self.peer.host.clone(), self.timeout);
        let outcome = tokio::time::timeout(limit, self.divide(table, count)).await;
        let outcome = outcome.unwrap_or_else(|_| late(&host, limit));
        self.end(*table, outcome).await
    }

    /// Keys as the stream carries them, each as a row that has no other columns.
    ///
    /// # Errors
    ///
    /// If a text is no value of its column; see [`is_usable`](Self::is_usable).
    pub async fn keys(
        &mut self,
        table: &SnapshotTable<'_>,
        keys: &[Key],
        is_binary: bool,
    ) -> Result<Vec<Box<[u8]>>, ChunkError> {
        self.begin()?;
        let (host, limit) = (self.peer.host.clone(), self.timeout);
        let outcome = tokio::time::timeout(limit, self.keyed(table, keys, is_binary)).await;
        let outcome = outcome.unwrap_or_else(|_| late(&host, limit));
        self.end(*table, outcome).await
    }

    /// Whether the table may be read, and its condition fits: a plan is made, and nothing read.
    ///
    /// # Errors
    ///
    /// If it cannot be read; see [`is_usable`](Self::is_usable).
    pub async fn examine(&mut self, table: &SnapshotTable<'_>) -> Result<(), ChunkError> {
        self.begin()?;
        let (host, limit) = (self.peer.host.clone(), self.timeout);
        let outcome = tokio::time::timeout(limit, self.explain(table)).await;
        let outcome = outcome.unwrap_or_else(|_| late(&host, limit));
        self.end(*table, outcome).await
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.dialogue.close().await;
    }

    /// Whether another chunk can be read on this connection: after an error perhaps not.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.is_usable
    }

    /// Whether the catalog is of the same server.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn same_server(&self, catalog: &Catalog) -> Result<(), Error> {
        if self.server_started == catalog.server_started() {
            return Ok(());
        }
        let (host, catalog) = (self.peer.host.clone(), catalog.host().to_owned());
        Err(Error::ServersDiffer { host, catalog })
    }

    /// The host we are connected to, for logs: `name:port`, or the socket's path.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.peer.host
    }

    fn begin(&mut self) -> Result<(), ChunkError> {
        // Until the end of what begins now.
        if std::mem::replace(&mut self.is_usable, false) {
            return Ok(());
        }
        Err(Error::Closed.into())
    }

    /// Ends the transaction of what failed, and says more of why.
    async fn end<T>(
        &mut self,
        table: SnapshotTable<'_>,
        outcome: Result<T, ChunkError>,
    ) -> Result<T, ChunkError> {
        let mut error = match outcome {
            Ok(done) => {
                self.is_usable = true;
                return Ok(done);
            }
            // There is nobody to speak to, or he is in the middle of a word.
            Err(ChunkError::Postgres(error)) if !matches!(*error, Error::Server(_)) => {
                return Err(ChunkError::Postgres(error));
            }
            Err(error) => error,
        };
        let (host, limit) = (self.peer.host.clone(), self.timeout);
        let ended = within(limit, &host, "ROLLBACK", async {
            self.dialogue.run("ROLLBACK").await?;
            if let ChunkError::Locked { holder, .. } = &mut error {
                let id = table.relation.0.to_string();
                let lines = self.dialogue.ask(HOLDER_SQL, &[Value::text(OID, &id)]).await?;
                *holder = lines.first().map(|line| line.parsed(0)).transpose()?;
            }
            Ok(())
        });
        self.is_usable = ended.await.is_ok();
        Err(error)
    }

    async fn chunk(&mut self, request: &ChunkRequest<'_>) -> Result<Chunk, ChunkError> {
        let place = self.lock(&request.table).await?;
        let taken = self.dialogue.ask_one(SNAPSHOT_SQL, &[]).await?;
        let (seen, end) = match place.replayed {
            None => (Seen::Listed(taken.parsed(0)?), self.logged().await?),
            Some(from) => {
                let (to, end) = self.received(taken.flag(2)?).await?;
                (Seen::Replayed { from, to }, end)
            }
        };
        let shape = self.shape(place, &request.table).await?;
        let (rows, is_last) = self.rows(&shape, request).await?;
        if request.table.key.is_empty() && !is_last {
            let (table, rows_max, bytes_max) =
                (shape.place.name, request.rows_max, request.bytes_max);
            return Err(ChunkError::TooLarge { table, rows_max, bytes_max });
        }
        let last = self.finish(&shape, &rows).await?;
        Ok(Chunk {
            seen,
            taken_us: taken.parsed(1)?,
            end,
            count: rows.count(),
            rows: rows.into_bytes(),
            relation: shape.relation,
            last,
            is_last,
        })
    }

    /// The end of a primary's log.
    async fn logged(&mut self) -> Result<Lsn, ChunkError> {
        let end = self.dialogue.ask_one(END_SQL, &[]).await?;
        Ok(log_end(end.parsed(0)?, end.parsed(1)?, end.parsed(2)?))
    }

    /// Begins a transaction that has the table's lock and no snapshot yet.
    async fn lock(&mut self, table: &SnapshotTable<'_>) -> Result<Place, ChunkError> {
        let place = Place::find(&mut self.dialogue, table.relation).await?;
        let lock = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL row_security = off; \
             SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL lock_timeout = {}; \
             LOCK TABLE {} IN ACCESS SHARE MODE",
            self.limits.lock_timeout.as_millis(),
            place.only()
        );
        let locked = self.dialogue.run(&lock).await;
        locked.map_err(|error| self.told(error, table, &place.name))?;
        Ok(place)
    }

    async fn shape(
        &mut self,
        place: Place,
        table: &SnapshotTable<'_>,
    ) -> Result<Shape, ChunkError> {
        let shape = Shape::read(&mut self.dialogue, place, table, &self.server).await?;
        // What follows is planned for the values that it has.
        self.dialogue.run("SET LOCAL plan_cache_mode TO DEFAULT").await?;
        Ok(shape)
    }

    /// The rows, and whether there are none behind them.
    async fn rows(
        &mut self,
        shape: &Shape,
        request: &ChunkRequest<'_>,
    ) -> Result<(Rows, bool), ChunkError> {
        // One more than there is room for, so that it is known whether there are more.
        let wanted = u64::from(request.rows_max) + 1;
        let (after, to) = (request.after, request.to);
        let bounds = (after.is_some(), to.is_some());
        let question = shape.question(bounds, request.keys.map(<[_]>::len), wanted);
        let given = after.into_iter().chain(to).map(|key| shape.values(key));
        let given = given.collect::<Result<Vec<_>, _>>()?.concat();
        let listed = request.keys.unwrap_or_default().iter().flat_map(|key| Tuples::new(key));
        let listed = listed.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
        let listed = listed.iter().flat_map(Tuple::columns).filter_map(|column| match column {
            Column::Binary(bytes) => Some((true, bytes)),
            Column::Text(bytes) => Some((false, bytes)),
            Column::Null | Column::Unchanged => None,
        });
        let types = shape.key.iter().cycle().map(|column| column.type_oid);
        let values = given.iter().map(|bytes| (false, bytes.as_slice())).chain(listed).zip(types);
        let values = values
            .map(|((is_binary, bytes), type_oid)| Value { type_oid, is_binary, bytes })
            .collect::<Vec<_>>();
        let is_binary = shape.forms(request.is_binary);
        if let Some(path) = shape.search_path() {
            self.dialogue.run(&format!("SET LOCAL search_path = {path}")).await?;
        }
        self.dialogue.open(ROWS, &question, &values, &is_binary)?;
        // What a regclass is printed as depends on it, and the stream's is the role's.
        self.dialogue.before("SET LOCAL search_path TO DEFAULT")?;
        let key = shape.key.iter().map(|column| column.index).collect();
        let room = (request.rows_max, request.bytes_max);
        let mut rows = Rows::new(is_binary, key, room, self.bytes_expected);
        let is_complete = match self.fetch(&mut rows).await? {
            Ending::Refused { stage, server } => {
                return Err(self.refusal(stage, server, request, &shape.place.name));
            }
            ending => ending == Ending::Complete,
        };
        self.bytes_expected = rows.bytes() + rows.bytes() / 16;
        // Rows that are alike in their key may have filled it up.
        let is_last = is_complete && !rows.is_full() && u64::from(rows.count()) < wanted;
        Ok((rows, is_last))
    }

    /// Takes portions until there are no more rows, or no more room. The next one is asked for before
    /// the last has come.
    async fn fetch(&mut self, rows: &mut Rows) -> Result<Ending, Error> {
        let mut asked = 0;
        let mut ending = Ending::Suspended;
        loop {
            while asked < PORTIONS_ASKED && ending == Ending::Suspended && !rows.is_full() {
                self.dialogue.call(ROWS, rows.portion())?;
                asked += 1;
            }
            if asked == 0 {
                return Ok(ending);
            }
            let portion = self.dialogue.portion(|row| rows.push(row).map_err(malformed)).await?;
            asked -= 1;
            // What follows an error is that there is no transaction any more.
            if refused(ending.clone()).is_none() && portion != Ending::Suspended {
                ending = portion;
            }
        }
    }

    /// The key of the last row as text, and the end of the transaction.
    async fn finish(&mut self, shape: &Shape, rows: &Rows) -> Result<Option<Key>, ChunkError> {
        let changed = || ChunkError::Changed { table: shape.place.name.clone() };
        let mut values = vec![Value::text(TEXT, &shape.place.name)];
        for (column, value) in shape.key.iter().zip(rows.last_key().map_err(malformed)?) {
            let (bytes, is_binary) = match value {
                Some(Column::Binary(bytes)) => (bytes, true),
                Some(Column::Text(bytes)) => (bytes, false),
                _ => return Err(changed()),
            };
            values.push(Value { type_oid: column.type_oid, is_binary, bytes });
        }
        let texts = (2..=values.len()).map(|place| format!(", format('%s', ${place})"));
        let question = format!("SELECT to_regclass($1)::oid{}", texts.collect::<String>());
        self.dialogue.before("SET LOCAL search_path = pg_catalog")?;
        let line = self.dialogue.ask_one(&question, &values).await?;
        // Who renames a schema needs no lock on its tables.
        if line.perhaps(0)? != Some(shape.place.relation.0.to_string().as_str()) {
            return Err(changed());
        }
        let text = |place| shape.key_text(line.bytes(place)?);
        let texts = (1..values.len()).map(text).collect::<Result<Vec<_>, _>>()?;
        self.dialogue.run("COMMIT").await?;
        Ok((!texts.is_empty()).then_some(Key(texts)))
    }

    /// What an error of the question for rows means.
    fn refusal(
        &self,
        stage: Stage,
        server: ServerError,
        request: &ChunkRequest<'_>,
        name: &str,
    ) -> ChunkError {
        let (has_condition, table) = (request.table.condition.is_some(), name.to_owned());
        let has_key = request.after.is_some() || request.to.is_some();
        let class = server.code.get(..2).unwrap_or_default();
        match (stage, server.code.as_str(), class) {
            (Stage::Bind, code, _) if has_key && INPUT_ERRORS.contains(&code) => {
                ChunkError::Key { table, server: Some(server) }
            }
            (_, _, "0A" | "22" | "42") if has_condition => ChunkError::Condition { table, server },
            _ => self.told(Error::Server(server), &request.table, name),
        }
    }

    /// What an error of the server means.
    fn told(&self, error: Error, table: &SnapshotTable<'_>, name: &str) -> ChunkError {
        let Error::Server(server) = error else { return error.into() };
        let name = || name.to_owned();
        match server.code.as_str() {
            // The second is a deadlock with the recovery: a reader has but one lock.
            "40001" | "40P01" => ChunkError::Conflict { table: name(), server },
            "42P01" => ChunkError::Gone { relation: table.relation },
            "55P03" => {
                let limit_ms = self.limits.lock_timeout.as_millis();
                ChunkError::Locked { table: name(), limit_ms, holder: None }
            }
            "57014" => {
                let limit_ms = self.limits.statement_timeout.as_millis();
                ChunkError::Slow { table: name(), limit_ms, server }
            }
            _ => Error::Server(server).into(),
        }
    }
}

fn settings(limits: ChunkLimits) -> Settings {
    Settings::with(&[
        ("statement_timeout", session::shown(limits.statement_timeout)),
        ("standard_conforming_strings", "on".to_owned()),
        ("client_min_messages", "error".to_owned()),
        ("jit", "off".to_owned()),
        // One process of the server for each reader, and no more.
        ("max_parallel_workers_per_gather", "0".to_owned()),
    ])
}

fn late<T>(host: &str, limit: Duration) -> Result<T, ChunkError> {
    let (host, limit_ms) = (host.to_owned(), limit.as_millis());
    Err(Error::TimedOut { host, doing: "the reading of a chunk", limit_ms }.into())
}

fn malformed(error: crate::wal::Error) -> Error {
    Error::Protocol(error.to_string())
}

/// The portal of a chunk's rows.
const ROWS: &str = "rows";

/// How many portions are asked for before they come.
const PORTIONS_ASKED: u32 = 2;

/// Errors of a text that is no value of its type: out of range, of a date, of an encoding, of a label.
const INPUT_ERRORS: &[&str] = &["22003", "22007", "22008", "22021", "22P02", "22P03"];

/// The first statement that takes the snapshot.
const SNAPSHOT_SQL: &str = "\
SELECT pg_current_snapshot(), (extract(epoch FROM clock_timestamp()) * 1000000)::int8,
       EXISTS (SELECT FROM pg_stat_wal_receiver)";

/// A statement of its own, behind the snapshot.
const END_SQL: &str = "\
SELECT pg_current_wal_insert_lsn(), current_setting('wal_block_size'),
       pg_size_bytes(current_setting('wal_segment_size'))";

/// Who holds the lock for which a reader waited: of the table, or of a partition.
const HOLDER_SQL: &str = "\
WITH RECURSIVE tree (relid) AS (
    SELECT $1
    UNION
    SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.relid)
SELECT l.pid
FROM pg_locks l
JOIN tree ON tree.relid = l.relation
JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.pid IS NOT NULL
LIMIT 1";
