//! Rows of outboxes in the snapshot that the slot has exported when it was made: the stream's own rows,
//! from before the stream.

use super::chunk::{ChunkRequest, SnapshotTable};
use super::dialogue::{Value, array};
use super::error::ChunkError;
use super::imported::ImportedReader;
use super::late;
use super::table::{TEXT, TEXT_ARRAY};
use crate::postgres::catalog::over_published;
use crate::wal::{Relation, RelationId};

/// A published table whose rows are those of an outbox: it itself, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxPart {
    /// Its OID.
    pub relation: RelationId,
    /// The PostgreSQL schema of the table.
    pub namespace: String,
    /// The table.
    pub table: String,
    /// The published columns of its primary key, in the key's order.
    pub key: Vec<String>,
}

/// All rows of a table that were asked for.
pub struct PendingChunk {
    /// The table's shape, as the stream would announce it.
    pub relation: Relation,
    /// The server's clock, in microseconds since 1970.
    pub taken_us: i64,
    /// The rows in the order of their keys, each as the stream carries it ([`crate::wal::Tuples`]).
    pub rows: Vec<u8>,
    /// How many rows.
    pub count: u32,
}

impl std::fmt::Debug for PendingChunk {
    /// Never the rows (I7).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PendingChunk({}, {} rows)", self.relation.id, self.count)
    }
}

impl ImportedReader {
    /// The published tables that have the rows of an outbox, as the stream names them.
    ///
    /// # Errors
    ///
    /// If the server cannot be asked.
    pub async fn parts(
        &mut self,
        publications: &[String],
        namespace: &str,
        table: &str,
    ) -> Result<Vec<OutboxPart>, ChunkError> {
        let question = over_published(self.reader.server.major, PARTS_SQL);
        let publications = array(publications);
        let values = [
            Value::text(TEXT_ARRAY, &publications),
            Value::text(TEXT, namespace),
            Value::text(TEXT, table),
        ];
        let mut parts: Vec<OutboxPart> = Vec::new();
        for line in self.reader.dialogue.ask(&question, &values).await? {
            let relation = RelationId(line.parsed(0)?);
            if parts.last().is_none_or(|part| part.relation != relation) {
                let (namespace, table) = (line.text(1)?.to_owned(), line.text(2)?.to_owned());
                parts.push(OutboxPart { relation, namespace, table, key: Vec::new() });
            }
            if let (Some(part), Some(column)) = (parts.last_mut(), line.perhaps(4)?) {
                part.key.push(column.to_owned());
            }
        }
        Ok(parts)
    }

    /// How many rows of a table the stream would have, and meet the condition.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows); or if the condition does not fit.
    pub async fn count(&mut self, table: &SnapshotTable<'_>) -> Result<u64, ChunkError> {
        let shape = self.lock(table).await?;
        self.reader.judge_condition(table, &shape).await?;
        let (only, wheres) = (shape.place.only(), shape.wheres());
        let question = format!("SELECT count(*) FROM {only} AS t{wheres}");
        let (host, limit) = (self.reader.peer.host.clone(), self.timeout);
        let asked = tokio::time::timeout(limit, self.reader.dialogue.ask_one(&question, &[])).await;
        let Ok(counted) = asked else { return late(&host, limit) };
        let line = counted.map_err(|error| self.reader.explained(error, table, &shape))?;
        Ok(line.parsed(0)?)
    }

    /// All these rows in the order of the key, in the form of the stream; `None` if they are more than
    /// so many rows or bytes.
    ///
    /// # Errors
    ///
    /// As [`rows`](Self::rows).
    pub async fn pending(
        &mut self,
        table: SnapshotTable<'_>,
        (rows_max, bytes_max): (u32, usize),
        is_binary: bool,
    ) -> Result<Option<PendingChunk>, ChunkError> {
        let shape = self.lock(&table).await?;
        let (after, to, keys) = (None, None, None);
        let request = ChunkRequest { table, after, to, keys, rows_max, bytes_max, is_binary };
        let (host, limit) = (self.reader.peer.host.clone(), self.timeout);
        let read = tokio::time::timeout(limit, self.reader.rows(&shape, &request)).await;
        let (rows, is_last) = read.unwrap_or_else(|_| late(&host, limit))?;
        if !is_last || bytes_max < rows.bytes() {
            return Ok(None);
        }
        // The portal would be in the way of the next table's.
        self.forget().await?;
        let name = [Value::text(TEXT, &shape.place.name)];
        let line = self.reader.dialogue.ask_one(NAMED_SQL, &name).await?;
        // Whose name was taken by another before the lock.
        if line.perhaps(0)? != Some(table.relation.0.to_string().as_str()) {
            return Err(ChunkError::Changed { table: shape.place.name });
        }
        let (taken_us, count) = (line.parsed(1)?, rows.count());
        let rows = rows.into_bytes();
        Ok(Some(PendingChunk { relation: shape.relation, taken_us, rows, count }))
    }
}

/// Of what is listed below an outbox the tables that are published, each with its key's columns.
const PARTS_SQL: &str = "\
SELECT DISTINCT c.oid, n.nspname, c.relname, k.place, k.attname
FROM published
JOIN pg_class c ON c.oid = published.relid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN LATERAL (
    SELECT k.place, a.attname
    FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
    JOIN published_column a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts) AS k ON true
WHERE c.oid IN (
    WITH RECURSIVE below (relid) AS (
        SELECT o.oid
        FROM pg_class o
        JOIN pg_namespace s ON s.oid = o.relnamespace
        WHERE s.nspname = $2 AND o.relname = $3
        UNION
        SELECT i.inhrelid
        FROM below
        JOIN pg_inherits i ON i.inhparent = below.relid)
    SELECT relid FROM below)
ORDER BY n.nspname, c.relname, c.oid, k.place";

const NAMED_SQL: &str = "\
SELECT to_regclass($1)::oid, (extract(epoch FROM now()) * 1000000)::int8";
