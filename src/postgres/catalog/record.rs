//! The table of a change that the server cannot decode: it names only where in its log that stands.
//!
//! The record there says in which file, if the extension pg_walinspect (PostgreSQL 15 and later) is
//! installed and our role may use it.
//!
//! Source: <https://www.postgresql.org/docs/current/pgwalinspect.html>

use super::super::quote::identifier;
use super::{Catalog, Error, field};
use crate::position::Lsn;

impl Catalog {
    /// The table, or partition, whose change stands at `lsn` in the log; `None` where that cannot be
    /// told.
    ///
    /// # Errors
    ///
    /// If a query fails, as for a record that is no longer there.
    pub async fn table_at(&mut self, lsn: Lsn) -> Result<Option<String>, Error> {
        let found = self.rows(NAMESPACE_SQL, &[]).await?;
        let Some(row) = found.first() else { return Ok(None) };
        let namespace: String = field(row, 0)?;
        let sql = TABLE_SQL.replace("{namespace}", &identifier(&namespace));
        let rows = self.rows(&sql, &[&lsn.to_string()]).await?;
        rows.first().map_or(Ok(None), |row| field(row, 0))
    }
}

/// The schema of the extension.
const NAMESPACE_SQL: &str = "
SELECT n.nspname::text
FROM pg_extension e
JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e'
JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE e.extname = 'pg_walinspect' AND p.proname = 'pg_get_wal_record_info'
  AND has_function_privilege(p.oid, 'EXECUTE') AND has_schema_privilege(n.oid, 'USAGE')";

/// `block_ref` begins with `blkref #0: rel 1663/16384/16385`: tablespace, database, file.
const TABLE_SQL: &str = r"
SELECT n.nspname || '.' || c.relname
FROM {namespace}.pg_get_wal_record_info($1::text::pg_lsn) AS record,
     regexp_match(record.block_ref, 'rel (\d+)/(\d+)/(\d+)') AS file,
     pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_filenode_relation(file[1]::oid, file[3]::oid)";
