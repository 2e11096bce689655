//! Publications, and the tables and columns in them.

use crate::types::Kind;
use crate::wal::{RelationId, ReplicaIdentity};

use super::super::error::Error;
use super::relation::replica_identity;
use super::{Catalog, field};

/// A publication's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its name.
    pub name: String,
    /// FOR ALL TABLES.
    pub is_all_tables: bool,
    /// Whether INSERT is published.
    pub has_insert: bool,
    /// Whether UPDATE is published.
    pub has_update: bool,
    /// Whether DELETE is published.
    pub has_delete: bool,
    /// Whether TRUNCATE is published.
    pub has_truncate: bool,
    /// `publish_via_partition_root`.
    pub is_via_root: bool,
}

/// A published table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTable {
    /// Its OID.
    pub relation: RelationId,
    /// Its PostgreSQL schema.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its replica identity.
    pub identity: ReplicaIdentity,
    /// Whether it has a primary key.
    pub has_primary_key: bool,
    /// Whether it is partitioned (and published by its root).
    pub is_partitioned: bool,
    /// Whether it is a partition (and published by itself, not by its root).
    pub is_partition: bool,
    /// Whether PostgreSQL can log what an UPDATE or DELETE changed. If not, it refuses those
    /// statements while the table is published for them. Of a partitioned table every leaf counts.
    pub has_usable_identity: bool,
}

/// A published column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedColumn {
    /// The PostgreSQL schema of its table.
    pub namespace: String,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// What its type means to us.
    pub kind: Kind,
    /// Whether it is generated: whether it is in the stream is the publication's matter (18+).
    pub is_generated: bool,
}

impl Catalog {
    /// Those of the named publications that exist.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn publications(&mut self, names: &[String]) -> Result<Vec<Publication>, Error> {
        let rows = self.rows(PUBLICATIONS_SQL, &[&names]).await?;
        let publication = |row| {
            Ok(Publication {
                name: field(row, 0)?,
                is_all_tables: field(row, 1)?,
                has_insert: field(row, 2)?,
                has_update: field(row, 3)?,
                has_delete: field(row, 4)?,
                has_truncate: field(row, 5)?,
                is_via_root: field(row, 6)?,
            })
        };
        rows.iter().map(publication).collect()
    }

    /// The tables of the named publications, by schema and name.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn published_tables(
        &mut self,
        publications: &[String],
    ) -> Result<Vec<PublishedTable>, Error> {
        let rows = self.rows(TABLES_SQL, &[&publications]).await?;
        let table = |row| {
            Ok(PublishedTable {
                relation: RelationId(field(row, 0)?),
                namespace: field(row, 1)?,
                name: field(row, 2)?,
                identity: replica_identity(row, 3)?,
                has_primary_key: field(row, 4)?,
                is_partitioned: field(row, 5)?,
                is_partition: field(row, 6)?,
                has_usable_identity: field(row, 7)?,
            })
        };
        rows.iter().map(table).collect()
    }

    /// The columns of the named publications and what their types mean to us: one that is not
    /// known ([`Kind::is_known`]) needs the slot to be read in text form.
    ///
    /// # Errors
    ///
    /// If a query fails.
    pub async fn published_types(
        &mut self,
        publications: &[String],
    ) -> Result<Vec<PublishedColumn>, Error> {
        let rows = self.rows(COLUMNS_SQL, &[&publications]).await?;
        let oids = rows.iter().map(|row| field::<u32>(row, 3)).collect::<Result<Vec<_>, _>>()?;
        let types = self.types(&oids).await?;
        let column = |row| {
            Ok(PublishedColumn {
                namespace: field(row, 0)?,
                table: field(row, 1)?,
                name: field(row, 2)?,
                kind: types.resolve(field(row, 3)?, field(row, 4)?),
                is_generated: field(row, 5)?,
            })
        };
        rows.iter().map(column).collect()
    }
}

const PUBLICATIONS_SQL: &str = "\
SELECT pubname::text, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot
FROM pg_publication
WHERE pubname = ANY ($1::text[])
ORDER BY pubname";

const TABLES_SQL: &str = "\
SELECT DISTINCT c.oid, n.nspname::text, c.relname::text, c.relreplident::text,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
       c.relkind = 'p', c.relispartition,
       NOT EXISTS (
           SELECT FROM pg_class leaf
           WHERE (leaf.oid = c.oid AND c.relkind <> 'p'
                  OR leaf.oid IN (SELECT relid FROM pg_partition_tree(c.oid) WHERE isleaf))
             AND NOT CASE leaf.relreplident
                 WHEN 'f' THEN true
                 WHEN 'd' THEN EXISTS (SELECT FROM pg_index i
                                       WHERE i.indrelid = leaf.oid AND i.indisprimary
                                         AND i.indimmediate)
                 WHEN 'i' THEN EXISTS (SELECT FROM pg_index i
                                       WHERE i.indrelid = leaf.oid AND i.indisreplident)
                 ELSE false END)
FROM pg_publication_tables pt
JOIN pg_namespace n ON n.nspname = pt.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = pt.tablename
WHERE pt.pubname = ANY ($1::text[])
ORDER BY 2, 3";

/// `attnames` came with version 15, generated columns in it with 18.
const COLUMNS_SQL: &str = "\
SELECT DISTINCT n.nspname::text, c.relname::text, a.attname::text, a.atttypid, a.atttypmod,
       a.attgenerated <> ''
FROM pg_publication_tables pt
JOIN pg_namespace n ON n.nspname = pt.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = pt.tablename
JOIN pg_attribute a ON a.attrelid = c.oid AND 0 < a.attnum AND NOT a.attisdropped
WHERE pt.pubname = ANY ($1::text[])
  AND (a.attgenerated = '' OR 180000 <= current_setting('server_version_num')::int4)
  AND coalesce((to_jsonb(pt) -> 'attnames') ? a.attname::text, true)
ORDER BY 1, 2, 3";
