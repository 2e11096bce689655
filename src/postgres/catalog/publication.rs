//! Publications, and the tables and columns in them.

use crate::types::Kind;
use crate::wal::{RelationId, ReplicaIdentity};

use super::super::error::Error;
use super::published::{SCHEMAS_SINCE, over_published};
use super::relation::replica_identity;
use super::{Catalog, field};

/// A publication's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its name.
    pub name: String,
    /// Its OID.
    pub oid: u32,
    /// FOR ALL TABLES.
    pub is_all_tables: bool,
    /// Whether tables to come are in it by themselves: of all tables, or of PostgreSQL schemas.
    pub is_open: bool,
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

/// A generated column in the replica identity of a published table, which the stream does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnloggedColumn {
    /// The PostgreSQL schema of its table.
    pub namespace: String,
    /// Its table, or the partition.
    pub table: String,
    /// Its name.
    pub name: String,
    /// A publication that does not publish it.
    pub publication: String,
    /// Whether it is stored, so that a publication can publish it (18+).
    pub is_stored: bool,
    /// Whether PostgreSQL refuses to update and delete rows for that (18+).
    pub is_refused: bool,
}

/// A child, by inheritance, of a published table. A partition is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// `schema.table` of the published table, at whatever depth it is below.
    pub parent: String,
    /// Its PostgreSQL schema.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether its rows are in the stream: as those of a table of its own.
    pub is_published: bool,
}

impl Catalog {
    /// Those of the named publications that exist.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn publications(&mut self, names: &[String]) -> Result<Vec<Publication>, Error> {
        let schemas = if self.server_major < SCHEMAS_SINCE { "" } else { OR_SCHEMAS };
        let sql = format!("{PUBLICATIONS_SQL}{schemas}{BY_NAME}");
        let rows = self.rows(&sql, &[&names]).await?;
        let publication = |row| {
            Ok(Publication {
                name: field(row, 0)?,
                is_all_tables: field(row, 1)?,
                has_insert: field(row, 2)?,
                has_update: field(row, 3)?,
                has_delete: field(row, 4)?,
                has_truncate: field(row, 5)?,
                is_via_root: field(row, 6)?,
                oid: field(row, 7)?,
                is_open: field(row, 8)?,
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
        let sql = over_published(self.server_major, TABLES_SQL);
        let rows = self.rows(&sql, &[&publications]).await?;
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

    /// Generated columns that replica identities have and the stream has not. From version 18 on it
    /// matters what any publication of a table publishes, not just the named ones.
    ///
    /// Source: `pub_contains_invalid_column` in
    /// <https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/commands/publicationcmds.c>
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn unlogged_columns(
        &mut self,
        publications: &[String],
    ) -> Result<Vec<UnloggedColumn>, Error> {
        let is_refused = GENERATED_SINCE <= self.server_major;
        let sql = over_published(self.server_major, UNLOGGED_SQL);
        let rows = self.rows(&sql, &[&publications, &is_refused]).await?;
        let column = |row| {
            Ok(UnloggedColumn {
                namespace: field(row, 0)?,
                table: field(row, 1)?,
                name: field(row, 2)?,
                publication: field(row, 3)?,
                is_stored: field(row, 4)?,
                is_refused,
            })
        };
        rows.iter().map(column).collect()
    }

    /// The children of published tables, each once for each of these. Publications do not follow
    /// inheritance: FOR TABLE lists the children that there are when it is said.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn children(&mut self, publications: &[String]) -> Result<Vec<Child>, Error> {
        let sql = over_published(self.server_major, CHILDREN_SQL);
        let rows = self.rows(&sql, &[&publications]).await?;
        let child = |row| {
            Ok(Child {
                parent: field(row, 0)?,
                namespace: field(row, 1)?,
                name: field(row, 2)?,
                is_published: field(row, 3)?,
            })
        };
        rows.iter().map(child).collect()
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
        let sql = over_published(self.server_major, COLUMNS_SQL);
        let rows = self.rows(&sql, &[&publications]).await?;
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

/// The version from which on generated columns can be published, and must be.
const GENERATED_SINCE: u32 = 18;

/// `$2` is whether other publications matter, and the whole row as identity. Of the others those
/// count that list the table, or a root of it, or all tables (not those of schemas).
const UNLOGGED_SQL: &str = "\
, lineage (relid, listed) AS (
    SELECT relid, relid FROM tree
    UNION
    SELECT lineage.relid, i.inhparent
    FROM lineage
    JOIN pg_inherits i ON i.inhrelid = lineage.listed
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition)
SELECT DISTINCT ON (n.nspname, c.relname, a.attnum)
       n.nspname::text, c.relname::text, a.attname::text, p.pubname::text, a.attgenerated = 's'
FROM tree
JOIN pg_class c ON c.oid = tree.relid AND c.relkind = 'r'
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attgenerated <> '' AND NOT a.attisdropped
JOIN pg_publication p ON (p.pubupdate OR p.pubdelete) AND ($2 OR p.pubname = ANY ($1::text[]))
    AND (p.puballtables OR p.oid = tree.publication
         OR EXISTS (SELECT FROM lineage
                    JOIN pg_publication_rel r ON r.prrelid = lineage.listed
                    WHERE lineage.relid = c.oid AND r.prpubid = p.oid))
WHERE (c.relreplident = 'f' AND $2
       OR EXISTS (SELECT FROM pg_index i
                  WHERE i.indrelid = c.oid
                    AND (c.relreplident = 'd' AND i.indisprimary
                         OR c.relreplident = 'i' AND i.indisreplident)
                    AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))
  AND NOT coalesce(
      (SELECT bool_or(nullif(to_jsonb(r) -> 'prattrs', 'null') @> to_jsonb(b.attnum))
       FROM lineage
       JOIN pg_publication_rel r ON r.prrelid = lineage.listed AND r.prpubid = p.oid
       JOIN pg_attribute b ON b.attrelid = r.prrelid AND b.attname = a.attname
       WHERE lineage.relid = c.oid),
      a.attgenerated = 's' AND to_jsonb(p) ->> 'pubgencols' = 's', false)
ORDER BY n.nspname, c.relname, a.attnum, p.pubname";

/// What is below the highest published table counts for that one alone.
const CHILDREN_SQL: &str = "\
, inherited (parent, child) AS (
    SELECT i.inhparent, i.inhrelid
    FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid AND NOT c.relispartition),
below (top, relid) AS (
    SELECT published.relid, child
    FROM published
    JOIN inherited ON parent = published.relid
    WHERE published.relid NOT IN (SELECT child FROM inherited
                                  WHERE parent IN (SELECT relid FROM published))
    UNION
    SELECT below.top, child
    FROM below
    JOIN inherited ON parent = below.relid)
SELECT format('%s.%s', tn.nspname, t.relname), n.nspname::text, c.relname::text,
       c.oid IN (SELECT relid FROM tree)
FROM below
JOIN pg_class t ON t.oid = below.top
JOIN pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_class c ON c.oid = below.relid AND c.relkind = 'r'
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY 1, 2, 3";

const PUBLICATIONS_SQL: &str = "\
SELECT pubname::text, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot,
       oid, puballtables";

const OR_SCHEMAS: &str = " OR EXISTS (SELECT FROM pg_publication_namespace WHERE pnpubid = p.oid)";

const BY_NAME: &str = "
FROM pg_publication p
WHERE pubname = ANY ($1::text[])
ORDER BY pubname";

const TABLES_SQL: &str = "\
SELECT DISTINCT c.oid, n.nspname::text, c.relname::text, c.relreplident::text,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
       c.relkind = 'p', c.relispartition,
       c.oid NOT IN (
           SELECT leaf.root
           FROM (SELECT relid, relid FROM published UNION SELECT top, relid FROM tree)
               AS leaf (root, relid)
           JOIN pg_class l ON l.oid = leaf.relid
           WHERE l.relkind <> 'p'
             AND NOT CASE l.relreplident
                 WHEN 'f' THEN true
                 WHEN 'd' THEN EXISTS (SELECT FROM pg_index i
                                       WHERE i.indrelid = l.oid AND i.indisprimary
                                         AND i.indimmediate)
                 WHEN 'i' THEN EXISTS (SELECT FROM pg_index i
                                       WHERE i.indrelid = l.oid AND i.indisreplident)
                 ELSE false END)
FROM published
JOIN pg_class c ON c.oid = published.relid
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY 2, 3";

const COLUMNS_SQL: &str = "\
SELECT n.nspname::text, c.relname::text, a.attname::text, a.atttypid, a.atttypmod,
       a.attgenerated <> ''
FROM published_column a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY 1, 2, 3";
