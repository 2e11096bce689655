//! Whole tables in a snapshot that a slot has exported: the text of expressions, row by row.
//!
//! The lock of a table is asked for behind the snapshot, so that nobody waits for us while the stream
//! comes to where the snapshot is. TRUNCATE and rewrites are not of one moment for such a snapshot; that
//! there was one shows in the files that the table has, by the snapshot and by now.

use std::time::Duration;

use super::chunk::SnapshotTable;
use super::dialogue::{Ending, Value, line, refused};
use super::error::ChunkError;
use super::table::{OID, Place, Shape};
use super::{ChunkLimits, ChunkReader, late};
use crate::config::Postgres;
use crate::postgres::catalog::Catalog;
use crate::postgres::error::Error;
use crate::postgres::quote::literal;

/// A connection that reads whole tables.
#[derive(Debug)]
pub struct ImportedReader {
    reader: ChunkReader,
    /// For a portion of rows.
    timeout: Duration,
}

impl ImportedReader {
    /// Connects to the first host that takes us.
    ///
    /// # Errors
    ///
    /// If no host does, or it is another server than the catalog's.
    pub async fn connect(postgres: &Postgres, catalog: &Catalog) -> Result<Self, Error> {
        let limits =
            ChunkLimits { lock_timeout: LOCK_TIMEOUT, statement_timeout: STATEMENT_TIMEOUT };
        let reader = ChunkReader::connect(postgres, limits).await?;
        reader.same_server(catalog)?;
        Ok(Self { timeout: STATEMENT_TIMEOUT + postgres.connect_timeout, reader })
    }

    /// Whether a table may be read.
    ///
    /// # Errors
    ///
    /// [`ChunkError::Right`] and [`ChunkError::RowSecurity`], with what helps; or if it is gone.
    pub async fn may_read(&mut self, table: &SnapshotTable<'_>) -> Result<(), ChunkError> {
        Place::find(&mut self.reader.dialogue, table.relation).await.map(drop)
    }

    /// Begins a transaction in a snapshot that was exported.
    ///
    /// # Errors
    ///
    /// If the snapshot is there no more.
    pub async fn import(&mut self, snapshot: &str) -> Result<(), ChunkError> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT {}; \
             SET LOCAL row_security = off; SET LOCAL idle_in_transaction_session_timeout = 0; \
             SET LOCAL lock_timeout = {}",
            literal(snapshot),
            LOCK_TIMEOUT.as_millis()
        );
        Ok(self.reader.dialogue.run(&begin).await?)
    }

    /// Gives the texts of SQL expressions, of which a column is `t."name"`, of each row that the stream
    /// has; `None` is NULL.
    ///
    /// # Errors
    ///
    /// [`ChunkError::Changed`] if the table was emptied, rewritten or altered since the snapshot.
    pub async fn rows(
        &mut self,
        table: &SnapshotTable<'_>,
        expressions: &[String],
        mut take: impl FnMut(&[Option<&str>]),
    ) -> Result<(), ChunkError> {
        let shape = self.lock(table).await?;
        if let Some(path) = shape.search_path() {
            self.reader.dialogue.run(&format!("SET LOCAL search_path = {path}")).await?;
        }
        let (columns, only) = (expressions.join(", "), shape.place.only());
        let question = format!("SELECT {columns} FROM {only} AS t{}", shape.wheres());
        // A portal lives as long as the transaction.
        let portal = format!("rows of {}", table.relation);
        self.reader.dialogue.open(&portal, &question, &[], &[])?;
        // What a regclass is printed as depends on it, and the stream's is the role's.
        self.reader.dialogue.before("SET LOCAL search_path TO DEFAULT")?;
        loop {
            self.reader.dialogue.call(&portal, PORTION)?;
            let each = |row: &[u8]| {
                let line = line(row)?;
                let texts = (0..expressions.len()).map(|index| line.perhaps(index));
                take(&texts.collect::<Result<Vec<_>, _>>()?);
                Ok(())
            };
            let (host, limit) = (self.reader.peer.host.clone(), self.timeout);
            let portion = tokio::time::timeout(limit, self.reader.dialogue.portion(each)).await;
            let ending =
                portion.map_or_else(|_| late(&host, limit), |it| it.map_err(Into::into))?;
            if ending == Ending::Suspended {
                continue;
            }
            if let Some(server) = refused(ending) {
                return Err(self.reader.told(Error::Server(server), table, &shape.place.name));
            }
            self.reader.dialogue.run("SET LOCAL search_path = pg_catalog").await?;
            return Ok(());
        }
    }

    /// Ends the transaction and the connection.
    pub async fn close(self) {
        self.reader.close().await;
    }

    /// The table under its lock, if the snapshot still has all of it.
    async fn lock(&mut self, table: &SnapshotTable<'_>) -> Result<Shape, ChunkError> {
        let reader = &mut self.reader;
        let place = Place::find(&mut reader.dialogue, table.relation).await?;
        let lock = format!("LOCK TABLE {} IN ACCESS SHARE MODE", place.only());
        let locked = reader.dialogue.run(&lock).await;
        locked.map_err(|error| reader.told(error, table, &place.name))?;
        let id = table.relation.0.to_string();
        let line = reader.dialogue.ask_one(UNCHANGED_SQL, &[Value::text(OID, &id)]).await?;
        if !line.flag(0)? {
            return Err(ChunkError::Changed { table: place.name });
        }
        Shape::read(&mut reader.dialogue, place, table, &reader.server).await
    }
}

/// How long a table's lock is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a portion of rows may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(10);

/// So many rows are asked for at a time.
const PORTION: i32 = 2_000;

/// `pg_class` is as the snapshot has it, `pg_relation_filenode` tells of now; partitioned tables have
/// no files.
const UNCHANGED_SQL: &str = "\
WITH RECURSIVE tree (relid) AS (
    SELECT $1
    UNION
    SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.relid)
SELECT bool_and(c.relfilenode = coalesce(pg_relation_filenode(c.oid), 0))
FROM tree
JOIN pg_class c ON c.oid = tree.relid";
