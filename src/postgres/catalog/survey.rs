//! What the publications publish now, beside what else has a name or an OID that is asked for.
//!
//! Asked for again and again while changes flow: what PostgreSQL no longer sends, it does not tell
//! of. Without a lock on any table, like all that asks [`over_published`].

use std::time::Duration;

use tokio_postgres::types::{ToSql, Type};

use crate::wal::RelationId;

use super::super::error::Error;
use super::publication::Publication;
use super::published::over_published;
use super::{Catalog, Row, field};

/// What the publications publish, and what has become of tables that are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Those of the named publications that exist.
    pub publications: Vec<Publication>,
    /// Tables of the publications, with those that were asked for, by schema and name.
    pub tables: Vec<SurveyedTable>,
}

/// A table as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedTable {
    /// Its OID.
    pub relation: RelationId,
    /// Its PostgreSQL schema.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it is partitioned, and has no rows itself.
    pub is_partitioned: bool,
    /// Whether it is a partition that is to stay one: not if it is being detached.
    pub is_partition: bool,
    /// Whether it is in the WAL: neither unlogged nor temporary.
    pub is_logged: bool,
    /// Whether the stream names it: it is published, and not by a root above it.
    pub is_named: bool,
    /// The publications that list it or what it is a partition of; none if its rows are not in the
    /// stream.
    pub publications: Vec<String>,
    /// What it is a partition or child of, at any depth, among the tables that were asked for by
    /// name.
    pub above: Vec<RelationId>,
    /// Its file. TRUNCATE, VACUUM FULL and every rewrite give it another.
    pub file: u32,
    /// Its columns.
    pub columns: Vec<SurveyedColumn>,
    /// A digest of its row filters; `None` if all rows are published.
    pub row_filter: Option<String>,
    /// The numbers of the columns that are published; `None` if all are.
    pub column_list: Option<Vec<i16>>,
}

/// A column as the catalog has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyedColumn {
    /// Its number, which no other column of its table ever has.
    pub number: i16,
    /// Its name.
    pub name: String,
    /// Its type and type modifier.
    pub form: (u32, i32),
    /// Whether each row has its own value of a default or of an identity: it was there when the table
    /// was made, or rows were rewritten for it. `false` if the table never was.
    pub is_filled: bool,
}

impl SurveyedTable {
    /// Whether its rows are in the stream, by whatever name.
    #[must_use]
    pub fn is_published(&self) -> bool {
        !self.publications.is_empty()
    }
}

impl Survey {
    /// Whether the rows of a table are in the stream, by whatever name; those of a partitioned one,
    /// which was asked for by name, are those of its leaves.
    #[must_use]
    pub fn is_published(&self, table: &SurveyedTable) -> bool {
        if table.is_published() || !table.is_partitioned {
            return table.is_published();
        }
        let is_leaf =
            |it: &&SurveyedTable| !it.is_partitioned && it.above.contains(&table.relation);
        let mut leaves = self.tables.iter().filter(is_leaf).peekable();
        leaves.peek().is_some() && leaves.all(SurveyedTable::is_published)
    }
}

impl Catalog {
    /// What the named publications publish, and the tables with these OIDs or names (in any
    /// PostgreSQL schema). The server ends the query after `limit`, so that what is asked next does
    /// not wait behind it.
    ///
    /// # Errors
    ///
    /// If a query fails.
    pub async fn survey(
        &mut self,
        publications: &[String],
        relations: &[RelationId],
        names: &[String],
        limit: Duration,
    ) -> Result<Survey, Error> {
        let oids: Vec<u32> = relations.iter().map(|relation| relation.0).collect();
        let sql = over_published(self.server_major, SURVEY_SQL);
        let values: [(&(dyn ToSql + Sync), Type); 3] = [
            (&publications, Type::TEXT_ARRAY),
            (&oids, Type::OID_ARRAY),
            (&names, Type::TEXT_ARRAY),
        ];
        let rows = self.rows_within(limit, &sql, &values).await?;
        let mut tables = rows.iter().map(table).collect::<Result<Vec<_>, _>>()?;
        tables.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        Ok(Survey { publications: self.publications(publications).await?, tables })
    }

    /// Unlogged tables, where one of the named publications is of all tables; these it does not
    /// publish.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn unlogged_tables(&mut self, publications: &[String]) -> Result<Vec<String>, Error> {
        let rows = self.rows(UNLOGGED_SQL, &[&publications]).await?;
        rows.iter().map(|row| field(row, 0)).collect()
    }
}

fn table(row: &Row) -> Result<SurveyedTable, Error> {
    let numbers: Vec<i16> = field(row, 9)?;
    let names: Vec<String> = field(row, 10)?;
    let types: Vec<u32> = field(row, 11)?;
    let modifiers: Vec<i32> = field(row, 12)?;
    let filled: Vec<bool> = field(row, 13)?;
    let columns = numbers.into_iter().zip(names).zip(types).zip(modifiers).zip(filled);
    let columns = columns.map(|((((number, name), type_oid), modifier), is_filled)| {
        SurveyedColumn { number, name, form: (type_oid, modifier), is_filled }
    });
    Ok(SurveyedTable {
        relation: RelationId(field(row, 0)?),
        namespace: field(row, 1)?,
        name: field(row, 2)?,
        is_partitioned: field(row, 3)?,
        is_partition: field(row, 4)?,
        is_logged: field(row, 5)?,
        is_named: field(row, 6)?,
        publications: field(row, 7)?,
        file: field(row, 8)?,
        columns: columns.collect(),
        row_filter: field(row, 14)?,
        column_list: field(row, 15)?,
        above: field::<Vec<u32>>(row, 16)?.into_iter().map(RelationId).collect(),
    })
}

/// A row filter is not read as SQL, for which `pg_get_expr` locks the table; where it stood in its
/// statement is no part of it. Filters of several publications are joined by OR, so one without any
/// publishes all rows; column lists (15+) are the same in all of them.
///
/// A default that calls no volatile function is the same for all rows and rewrites none. Of a table
/// that was never rewritten, whose file has its OID, no default is read.
const SURVEY_SQL: &str = "\
, listed AS (
    SELECT tree.relid, array_agg(DISTINCT p.pubname::text) AS publications,
           CASE WHEN bool_and(to_jsonb(r) ->> 'prqual' IS NOT NULL) THEN
               md5(string_agg(DISTINCT regexp_replace(to_jsonb(r) ->> 'prqual',
                                                      ':location -?\\d+', '', 'g'), '|')) END
               AS row_filter,
           CASE WHEN bool_and(to_jsonb(r) ->> 'prattrs' IS NOT NULL) THEN
               translate(min(to_jsonb(r) ->> 'prattrs'), '[]', '{}')::int2[] END AS column_list
    FROM tree
    JOIN pg_publication p ON p.oid = tree.publication
    LEFT JOIN pg_publication_rel r ON r.prpubid = tree.publication AND r.prrelid = tree.relid
    GROUP BY tree.relid),
family (top, relid) AS (
    SELECT c.oid, c.oid FROM pg_class c
    WHERE c.relname::text = ANY ($3::text[]) AND c.relhassubclass AND 16384 <= c.oid
    UNION
    SELECT family.top, i.inhrelid FROM family JOIN pg_inherits i ON i.inhparent = family.relid),
below AS (
    SELECT relid, array_agg(top) AS above FROM family WHERE top <> relid GROUP BY relid)
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind = 'p',
       c.relispartition AND c.oid NOT IN (SELECT inhrelid FROM pg_inherits WHERE inhdetachpending),
       c.relpersistence = 'p', c.oid IN (SELECT relid FROM published),
       coalesce(listed.publications, '{}'), c.relfilenode,
       coalesce(a.numbers, '{}'), coalesce(a.names, '{}'), coalesce(a.types, '{}'),
       coalesce(a.modifiers, '{}'), coalesce(a.filled, '{}'),
       listed.row_filter, listed.column_list, coalesce(below.above, '{}')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN listed ON listed.relid = c.oid
LEFT JOIN below ON below.relid = c.oid
CROSS JOIN LATERAL (
    SELECT array_agg(a.attnum ORDER BY a.attnum) AS numbers,
           array_agg(a.attname::text ORDER BY a.attnum) AS names,
           array_agg(a.atttypid ORDER BY a.attnum) AS types,
           array_agg(a.atttypmod ORDER BY a.attnum) AS modifiers,
           array_agg(c.relfilenode <> c.oid AND NOT a.atthasmissing AND (
               a.attidentity <> '' OR a.atthasdef AND a.attgenerated = '' AND (
                   SELECT bool_or(f.provolatile = 'v')
                   FROM pg_attrdef d
                   CROSS JOIN regexp_matches(d.adbin::text, ':(?:op)?funcid (\\d+)', 'g') AS called
                   JOIN pg_proc f ON f.oid = called[1]::oid
                   WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) IS TRUE)
               ORDER BY a.attnum) AS filled
    FROM pg_attribute a
    WHERE a.attrelid = c.oid AND 0 < a.attnum AND NOT a.attisdropped) AS a
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND 16384 <= c.oid
  AND (listed.relid IS NOT NULL OR below.relid IS NOT NULL OR c.oid = ANY ($2::oid[]) OR c.relname::text = ANY ($3::text[]))";

const UNLOGGED_SQL: &str = "\
SELECT n.nspname::text || '.' || c.relname::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND 16384 <= c.oid
  AND EXISTS (SELECT FROM pg_publication p WHERE p.pubname = ANY ($1::text[]) AND p.puballtables)
ORDER BY 1";
