//! What the catalog knows of a table beyond what the stream says, and the types of its columns.

use crate::facts::TableFacts;
use crate::types::{TypeCatalog, TypeFacts, TypeShape};
use crate::wal::Relation;

use super::super::error::Error;
use super::{Catalog, Row, field};

impl Catalog {
    /// The facts of a table. One that has been dropped since has no columns here, only types.
    ///
    /// # Errors
    ///
    /// If a query fails.
    pub async fn describe(&mut self, relation: &Relation) -> Result<TableFacts, Error> {
        let not_null = self.rows(NOT_NULL_SQL, &[&relation.id.0]).await?;
        let not_null = not_null.iter().map(|row| field(row, 0)).collect::<Result<_, _>>()?;
        let keys = self.rows(KEYS_SQL, &[&relation.id.0]).await?;
        let mut primary_key = key_columns(&keys, IS_PRIMARY)?;
        if is_newer(relation, &keys, &primary_key)? {
            primary_key.clear();
        }
        let oids: Vec<u32> = relation.columns.iter().map(|column| column.type_oid).collect();
        Ok(TableFacts {
            not_null,
            primary_key,
            identity_index: key_columns(&keys, IS_IDENTITY)?,
            types: self.types(&oids).await?,
        })
    }

    /// The facts of types and of all that they are made of.
    pub(super) async fn types(&mut self, oids: &[u32]) -> Result<TypeCatalog, Error> {
        let mut types = TypeCatalog::default();
        for row in self.rows(TYPES_SQL, &[&oids]).await? {
            types.insert(type_facts(&row)?);
        }
        Ok(types)
    }
}

/// The columns of the rows whose flag is set; a table can have many keys but each flag is on one.
fn key_columns(rows: &[Row], flag: usize) -> Result<Vec<String>, Error> {
    let mut columns = Vec::new();
    for row in rows {
        if field(row, flag)? {
            columns.push(field(row, 0)?);
        }
    }
    Ok(columns)
}

/// Whether the primary key is newer than the relation: it has columns that the relation does not
/// know (they were renamed or added since), and no column list hides them.
fn is_newer(relation: &Relation, rows: &[Row], primary_key: &[String]) -> Result<bool, Error> {
    let is_there = |name: &String| relation.columns.iter().any(|column| column.name == *name);
    if primary_key.iter().all(is_there) {
        return Ok(false);
    }
    let hidden = key_columns(rows, IS_HIDDEN)?;
    Ok(!primary_key.iter().any(|name| hidden.contains(name) && !is_there(name)))
}

fn type_facts(row: &Row) -> Result<TypeFacts, Error> {
    let element: Option<u32> = field(row, 4)?;
    let shape = match (field::<&str>(row, 3)?, element) {
        ("b", Some(element)) => TypeShape::Array { element },
        ("c", _) => TypeShape::Composite,
        ("d", _) => TypeShape::Domain { base: field(row, 5)?, modifier: field(row, 6)? },
        ("e", _) => TypeShape::Enum { labels: field(row, 7)? },
        ("m", _) => TypeShape::Multirange,
        ("p", _) => TypeShape::Pseudo,
        ("r", _) => TypeShape::Range,
        _ => TypeShape::Base,
    };
    Ok(TypeFacts { oid: field(row, 0)?, name: field(row, 1)?, namespace: field(row, 2)?, shape })
}

const IS_PRIMARY: usize = 1;
const IS_IDENTITY: usize = 2;
const IS_HIDDEN: usize = 3;

/// A NOT NULL that was added as NOT VALID (18+) does not hold for old rows.
const NOT_NULL_SQL: &str = "\
SELECT a.attname::text
FROM pg_attribute a
WHERE a.attrelid = $1 AND 0 < a.attnum AND NOT a.attisdropped
  AND (a.attnotnull
           AND NOT EXISTS (
               SELECT FROM pg_constraint k
               WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
                 AND a.attnum = ANY (k.conkey))
       OR EXISTS (
           WITH RECURSIVE domain AS (
               SELECT t.typbasetype, t.typnotnull
               FROM pg_type t
               WHERE t.oid = a.atttypid AND t.typtype = 'd'
               UNION ALL
               SELECT t.typbasetype, t.typnotnull
               FROM domain d
               JOIN pg_type t ON t.oid = d.typbasetype AND t.typtype = 'd')
           SELECT FROM domain WHERE typnotnull))
ORDER BY a.attnum";

/// Columns behind INCLUDE are not part of a key. A column list of a publication (15+) can hide
/// columns of the key if only INSERT is published.
const KEYS_SQL: &str = "\
SELECT a.attname::text, i.indisprimary, i.indisreplident,
       i.indisprimary AND EXISTS (
           SELECT FROM pg_publication_rel r
           WHERE r.prrelid = i.indrelid
             AND NOT a.attnum::text = ANY (string_to_array(to_jsonb(r) ->> 'prattrs', ' ')))
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = $1 AND (i.indisprimary OR i.indisreplident) AND k.place <= i.indnkeyatts
ORDER BY i.indexrelid, k.place";

/// A true array is the one that its element names as its array type; `name`, `point` and others
/// have an element too.
const TYPES_SQL: &str = "\
WITH RECURSIVE needed (oid) AS (
    SELECT unnest($1::oid[])
    UNION
    SELECT part.oid
    FROM needed
    JOIN pg_type t ON t.oid = needed.oid
    CROSS JOIN LATERAL (VALUES (t.typelem), (t.typbasetype)) AS part (oid)
    WHERE part.oid <> 0)
SELECT t.oid, t.typname::text, n.nspname::text, t.typtype::text, element.oid, t.typbasetype,
       t.typtypmod,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e
             WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
FROM needed
JOIN pg_type t ON t.oid = needed.oid
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type element ON element.oid = t.typelem AND element.typarray = t.oid";
