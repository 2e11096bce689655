//! Whether a table is so small that it can be read at once.

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use super::super::error::Error;
use super::super::quote::identifier;
use super::{Catalog, field};
use crate::config::BatchLimits;
use crate::wal::RelationId;

impl Catalog {
    /// Whether the table has at most half of the rows and bytes (as text) that a batch may have, so
    /// that it may grow before it is read. One that takes longer than two seconds to be measured is
    /// larger; `None` if it is locked, not ours to read, or gone.
    ///
    /// # Errors
    ///
    /// If the connection fails.
    pub async fn fits(
        &mut self,
        relation: RelationId,
        limits: &BatchLimits,
    ) -> Result<Option<bool>, Error> {
        let (rows_max, bytes_max) = (limits.max_records / GROWTH, limits.max_bytes / GROWTH);
        let found = self.rows(NAME_SQL, &[&relation.0]).await?;
        let Some(found) = found.first() else { return Ok(None) };
        let (namespace, name) = (identifier(field(found, 0)?), identifier(field(found, 1)?));
        let only = if field(found, 2)? { "" } else { "ONLY " };
        let before = format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
            MEASURE_LIMIT.as_millis(),
            LOCK_LIMIT.as_millis()
        );
        let rows = rows_max.saturating_add(1);
        let sql = format!(
            "SELECT count(*), coalesce(sum(octet_length((t.*)::text)), 0)::int8 \
             FROM (SELECT * FROM {only}{namespace}.{name} LIMIT {rows}) AS t"
        );
        let values: [(&(dyn ToSql + Sync), Type); 0] = [];
        match self.rows_between(&before, &sql, &values, "COMMIT").await {
            Ok(found) => {
                let Some(found) = found.first() else { return Ok(None) };
                let is_within = |index, max: usize| -> Result<bool, Error> {
                    Ok(usize::try_from(field::<i64>(found, index)?).is_ok_and(|it| it <= max))
                };
                Ok(Some(is_within(0, rows_max)? && is_within(1, bytes_max)?))
            }
            Err(Error::Server(server)) if server.code == QUERY_CANCELED => Ok(Some(false)),
            Err(Error::Server(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How long a table may take to be measured: the stream waits.
const MEASURE_LIMIT: Duration = Duration::from_secs(2);

/// And how long for its lock, of that.
const LOCK_LIMIT: Duration = Duration::from_secs(1);

/// So many times larger it may be when it is read.
const GROWTH: usize = 2;

/// `query_canceled`, also by `statement_timeout`.
const QUERY_CANCELED: &str = "57014";

const NAME_SQL: &str = "\
SELECT n.nspname, c.relname, c.relkind = 'p'
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = $1";
