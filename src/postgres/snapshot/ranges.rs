//! The planning of ranges: where to divide a table so that several readers have about as much to do.
//!
//! A sample of pages tells how the keys lie, whatever their types and however they are spread; no
//! statistics are needed, and no more than some pages are read.

use super::ChunkReader;
use super::chunk::{Key, Ranges, SnapshotTable};
use super::dialogue::{Line, Value};
use super::error::ChunkError;
use super::table::{OID, Place, Shape};
use crate::postgres::error::Error;

impl ChunkReader {
    pub(super) async fn divide(
        &mut self,
        table: &SnapshotTable<'_>,
        count: u32,
    ) -> Result<Ranges, ChunkError> {
        let place = self.lock(table).await?;
        let shape = self.shape(place, table).await?;
        self.judge_condition(table, &shape).await?;
        let id = table.relation.0.to_string();
        let size = self.dialogue.ask_one(SIZE_SQL, &[Value::text(OID, &id)]).await?;
        let (pages, known): (u64, Option<&str>) = (size.parsed(0)?, size.perhaps(1)?);
        let wanted = u64::from(count).saturating_mul(PAGES_PER_RANGE);
        let wanted = wanted.clamp(SAMPLE_PAGES_MIN, SAMPLE_PAGES_MAX);
        let is_whole = pages <= wanted;
        let percent = if is_whole { 100.0 } else { 100.0 * as_float(wanted) / as_float(pages) };
        let count = if pages < PAGES_TO_DIVIDE { 1 } else { count.max(1) };
        let question = question(&shape, percent, count);
        let lines = self.dialogue.ask(&question, &[]).await;
        let lines = lines.map_err(|error| self.explained(error, table, &shape))?;
        let sampled = lines.first().map_or(Ok(0), |line| line.parsed::<u64>(0))?;
        let keys = lines.iter().skip(1).map(|line| key(&shape, line));
        let splits = keys.collect::<Result<_, _>>()?;
        self.dialogue.run("COMMIT").await?;
        let known = known.filter(|_| !is_whole && !shape.has_conditions());
        let known = known.and_then(|known| known.parse().ok());
        Ok(Ranges { splits, rows: known.unwrap_or_else(|| extrapolated(sampled, percent)) })
    }

    pub(super) async fn explain(&mut self, table: &SnapshotTable<'_>) -> Result<(), ChunkError> {
        if table.condition.is_none() {
            return Place::find(&mut self.dialogue, table.relation).await.map(drop);
        }
        let place = self.lock(table).await?;
        let shape = self.shape(place, table).await?;
        let question = format!("EXPLAIN {}", shape.question((false, false), None, 1));
        let plan = self.dialogue.ask(&question, &[]).await;
        plan.map_err(|error| self.explained(error, table, &shape))?;
        Ok(self.dialogue.run("COMMIT").await?)
    }

    /// Whether the condition stands for itself: `a) OR (b` would undo those of the publications.
    pub(super) async fn judge_condition(
        &mut self,
        table: &SnapshotTable<'_>,
        shape: &Shape,
    ) -> Result<(), ChunkError> {
        let Some(condition) = table.condition else { return Ok(()) };
        let only = shape.place.only();
        let question = format!("SELECT ARRAY[{condition}\n] FROM {only} AS t LIMIT 0");
        let judged = self.dialogue.ask(&question, &[]).await;
        judged.map(drop).map_err(|error| self.explained(error, table, shape))
    }

    pub(super) fn explained(
        &self,
        error: Error,
        table: &SnapshotTable<'_>,
        shape: &Shape,
    ) -> ChunkError {
        let name = &shape.place.name;
        match (error, table.condition) {
            (Error::Server(server), Some(_))
                if ["0A", "22", "42"].iter().any(|class| server.code.starts_with(class)) =>
            {
                ChunkError::Condition { table: name.clone(), server }
            }
            (error, _) => self.told(error, table, name),
        }
    }
}

/// How many rows the sample has, and behind that the keys at which it is divided. The sample is of the
/// same rows each time, so that a plan can be made again. Of many rows not all are sorted: neighbours
/// say little beside each other.
fn question(shape: &Shape, percent: f64, count: u32) -> String {
    let (names, values): (Vec<_>, Vec<_>) = (1..)
        .zip(&shape.key)
        .map(|(place, column)| (format!("k{place}"), format!("{} AS k{place}", column.expression)))
        .unzip();
    let texts = names.iter().map(|name| format!(", format('%s', {name})")).collect::<String>();
    let nulls = ", NULL".repeat(names.len());
    let (values, table, wheres) = (values.join(", "), shape.place.only(), shape.wheres());
    let keys = names.join(", ");
    format!(
        "WITH sample AS MATERIALIZED (
             SELECT {values}, row_number() OVER () AS number
             FROM {table} AS t TABLESAMPLE SYSTEM ({percent}) REPEATABLE (0){wheres}),
         size AS (SELECT count(*) FROM sample),
         sorted AS (
             SELECT {keys}, row_number() OVER (ORDER BY {keys}) - 1 AS place,
                    count(*) OVER () AS count
             FROM sample
             WHERE number % greatest((SELECT count FROM size) / {SAMPLE_ROWS_MAX}, 1) = 0)
         (SELECT count{nulls} FROM size)
         UNION ALL
         (SELECT count{texts} FROM sorted
          WHERE 0 < place AND place * {count} / count <> (place - 1) * {count} / count
          ORDER BY place)"
    )
}

fn key(shape: &Shape, line: &Line) -> Result<Key, Error> {
    let text = |place| shape.key_text(line.bytes(place)?);
    (1..=shape.key.len()).map(text).collect::<Result<_, _>>().map(Key)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
fn extrapolated(sampled: u64, percent: f64) -> u64 {
    (as_float(sampled) * 100.0 / percent) as u64
}

/// Pages and rows are far from where this loses anything that matters to an estimate.
fn as_float(count: u64) -> f64 {
    count as f64
}

/// A smaller table is one range.
const PAGES_TO_DIVIDE: u64 = 64;

/// Enough for ranges of which hardly one is twice as large as another.
const PAGES_PER_RANGE: u64 = 32;
const SAMPLE_PAGES_MIN: u64 = 256;

/// A read each, where the table is in no cache.
const SAMPLE_PAGES_MAX: u64 = 2048;

/// Between so many and twice as many are sorted, if there are that many.
const SAMPLE_ROWS_MAX: u64 = 20_000;

/// Pages as they are now; rows by how many there were in a page when it was last analyzed, if it was.
const SIZE_SQL: &str = "\
WITH RECURSIVE tree (relid) AS (
    SELECT $1
    UNION
    SELECT i.inhrelid
    FROM tree
    JOIN pg_inherits i ON i.inhparent = tree.relid
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition)
SELECT coalesce(sum(size.pages), 0)::int8,
       CASE WHEN bool_and(0 <= c.reltuples AND (0 < c.relpages OR size.pages = 0))
       THEN sum(c.reltuples::float8 / greatest(c.relpages, 1) * size.pages)::int8 END
FROM tree
JOIN pg_class c ON c.oid = tree.relid AND c.relkind = 'r'
CROSS JOIN LATERAL (
    SELECT pg_relation_size(c.oid) / current_setting('block_size')::int8) AS size (pages)";
