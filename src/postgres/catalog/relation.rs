//! Published tables in the shape in which the stream will announce them.
//!
//! For commands that compile plans without a stream. The stream itself stays right: it speaks of
//! the time of the change, the catalog of now.

use crate::wal::{Relation, RelationColumn, RelationId, ReplicaIdentity};

use super::super::error::Error;
use super::published::over_published;
use super::{Catalog, Row, field};

impl Catalog {
    /// The tables of the named publications as pgoutput describes them, by schema and name.
    ///
    /// Source: `logicalrep_write_attrs` in
    /// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/replication/logical/proto.c>
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn published_relations(
        &mut self,
        publications: &[String],
    ) -> Result<Vec<Relation>, Error> {
        let sql = over_published(self.server_major, &format!("{RELATIONS_SQL}{BY_NAME}"));
        let rows = self.rows(&sql, &[&publications]).await?;
        let mut relations: Vec<Relation> = Vec::new();
        for row in &rows {
            let id = RelationId(field(row, 0)?);
            if relations.last().is_none_or(|relation| relation.id != id) {
                relations.push(Relation {
                    id,
                    namespace: field(row, 1)?,
                    name: field(row, 2)?,
                    identity: replica_identity(row, 3)?,
                    columns: Vec::new(),
                });
            }
            if let (Some(relation), Some(name)) = (relations.last_mut(), field(row, 4)?) {
                relation.columns.push(RelationColumn {
                    name,
                    type_oid: field(row, 5)?,
                    type_modifier: field(row, 6)?,
                    is_identity: field(row, 7)?,
                });
            }
        }
        Ok(relations)
    }
}

/// A column that holds `relreplident`.
pub(super) fn replica_identity(row: &Row, index: usize) -> Result<ReplicaIdentity, Error> {
    Ok(identity_named(field(row, index)?))
}

/// What a letter of `relreplident` means.
pub(in crate::postgres) fn identity_named(letter: &str) -> ReplicaIdentity {
    match letter {
        "f" => ReplicaIdentity::Full,
        "i" => ReplicaIdentity::Index,
        "n" => ReplicaIdentity::Nothing,
        _ => ReplicaIdentity::Default,
    }
}

/// A row for each column, or one without a column; over [`over_published`]. A deferrable primary key is no
/// replica identity, and columns behind INCLUDE are not part of one.
pub(in crate::postgres) const RELATIONS_SQL: &str = "\
SELECT DISTINCT c.oid, n.nspname::text, c.relname::text, c.relreplident::text,
       a.attname::text, a.atttypid, a.atttypmod,
       c.relreplident = 'f' OR EXISTS (
           SELECT FROM pg_index i
           WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
             AND (c.relreplident = 'd' AND i.indisprimary
                  OR c.relreplident = 'i' AND i.indisreplident)
             AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])),
       a.attnum
FROM published
JOIN pg_class c ON c.oid = published.relid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN published_column a ON a.attrelid = c.oid";

const BY_NAME: &str = "
ORDER BY 2, 3, a.attnum";
