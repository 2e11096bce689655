//! Published tables in the shape in which the stream will announce them.
//!
//! For commands that compile plans without a stream. The stream itself stays right: it speaks of
//! the time of the change, the catalog of now.

use crate::wal::{Relation, RelationColumn, RelationId, ReplicaIdentity};

use super::super::error::Error;
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
        let rows = self.rows(RELATIONS_SQL, &[&publications]).await?;
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
    Ok(match field::<&str>(row, index)? {
        "f" => ReplicaIdentity::Full,
        "i" => ReplicaIdentity::Index,
        "n" => ReplicaIdentity::Nothing,
        _ => ReplicaIdentity::Default,
    })
}

/// `attnames` came with version 15, generated columns in it with 18. A deferrable primary key is no
/// replica identity, and columns behind INCLUDE are not part of one.
const RELATIONS_SQL: &str = "\
SELECT DISTINCT c.oid, n.nspname::text, c.relname::text, c.relreplident::text,
       a.attname::text, a.atttypid, a.atttypmod,
       c.relreplident = 'f' OR EXISTS (
           SELECT FROM pg_index i
           WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
             AND (c.relreplident = 'd' AND i.indisprimary
                  OR c.relreplident = 'i' AND i.indisreplident)
             AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])),
       a.attnum
FROM pg_publication_tables pt
JOIN pg_namespace n ON n.nspname = pt.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = pt.tablename
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND 0 < a.attnum AND NOT a.attisdropped
  AND (a.attgenerated = '' OR 180000 <= current_setting('server_version_num')::int4)
  AND coalesce((to_jsonb(pt) -> 'attnames') ? a.attname::text, true)
WHERE pt.pubname = ANY ($1::text[])
ORDER BY 2, 3, a.attnum";
