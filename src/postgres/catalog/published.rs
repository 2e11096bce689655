//! Which tables and columns publications publish, without a lock on any table.
//!
//! The view `pg_publication_tables` says it too, but opens each table, as `pg_partition_tree` does:
//! neither answers while one of them is rewritten (ALTER TABLE, VACUUM FULL), which may take hours.
//! The view also speaks of each publication by itself, and lists partitions of which nothing is
//! logged. Publications are understood as of version 19.

/// A query over these tables, which tell of the publications that `$1` names together:
///
/// ```text
/// tree:             publication, top, relid: what is listed, and partitions below that
/// published:        relid: tables by their roots or by their leaves, as the stream names them
/// published_column: columns of pg_attribute
/// ```
///
/// A table is in `published` once for each column list.
///
/// Source: `get_rel_sync_entry` in
/// <https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/replication/pgoutput/pgoutput.c>
/// and `pg_get_publication_tables` in
/// <https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/catalog/pg_publication.c>
pub(in crate::postgres) fn over_published(server_major: u32, query: &str) -> String {
    let schemas = if server_major < SCHEMAS_SINCE { "" } else { IN_SCHEMAS };
    format!("{PUBLICATIONS}{schemas}{TREE}{query}")
}

pub(super) const SCHEMAS_SINCE: u32 = 15;

/// Catalogs, and foreign, temporary and unlogged tables, are never published; from version 19 on a
/// publication of all tables may leave some out (`EXCEPT`), with all their partitions.
const PUBLICATIONS: &str = "\
WITH RECURSIVE publication AS (
    SELECT oid, puballtables, pubviaroot, to_jsonb(p) ->> 'pubgencols' = 's' AS has_generated
    FROM pg_publication p
    WHERE pubname = ANY ($1::text[])),
excepted (publication, relid) AS (
    SELECT prpubid, prrelid
    FROM pg_publication_rel r
    WHERE (to_jsonb(r) ->> 'prexcept')::bool
    UNION
    SELECT excepted.publication, i.inhrelid
    FROM excepted
    JOIN pg_inherits i ON i.inhparent = excepted.relid
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition),
tree (publication, top, relid) AS (
    SELECT p.oid, c.oid, c.oid
    FROM publication p
    CROSS JOIN pg_class c
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND 16384 <= c.oid
      AND (p.oid, c.oid) NOT IN (SELECT publication, relid FROM excepted)
      AND (p.puballtables
           OR EXISTS (SELECT FROM pg_publication_rel r
                      WHERE r.prpubid = p.oid AND r.prrelid = c.oid)";

const IN_SCHEMAS: &str = "
           OR EXISTS (SELECT FROM pg_publication_namespace n
                      WHERE n.pnpubid = p.oid AND n.pnnspid = c.relnamespace)";

/// Rows go out under the highest root that any of the publications lists, if it is one of those that
/// publish by roots. The column list came with version 15, generated columns with 18.
const TREE: &str = ")
    UNION
    SELECT tree.publication, tree.top, i.inhrelid
    FROM tree
    JOIN pg_inherits i ON i.inhparent = tree.relid AND NOT i.inhdetachpending
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'),
published AS (
    SELECT DISTINCT tree.relid, nullif(to_jsonb(r) -> 'prattrs', 'null') AS attnums,
           coalesce(p.has_generated, false) AS has_generated
    FROM tree
    JOIN publication p ON p.oid = tree.publication
    JOIN pg_class c ON c.oid = tree.relid
    LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = tree.relid
    WHERE (p.pubviaroot OR c.relkind <> 'p')
      AND tree.relid NOT IN (
          SELECT below.relid
          FROM tree below
          JOIN publication by_root ON by_root.oid = below.publication AND by_root.pubviaroot
          WHERE below.top <> below.relid)),
published_column AS (
    SELECT DISTINCT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated
    FROM published
    JOIN pg_attribute a ON a.attrelid = published.relid AND 0 < a.attnum AND NOT a.attisdropped
    WHERE coalesce(published.attnums @> to_jsonb(a.attnum),
                   a.attgenerated = '' OR a.attgenerated = 's' AND published.has_generated))
";
