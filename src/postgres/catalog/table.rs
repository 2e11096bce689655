//! What the catalog knows of a table beyond what the stream says, and the types of its columns.

use std::collections::BTreeMap;

use tokio_postgres::types::ToSql;

use crate::facts::{Leaf, TableFacts};
use crate::types::{TypeCatalog, TypeFacts, TypeShape};
use crate::wal::{Relation, RelationColumn, ReplicaIdentity};

use super::super::error::Error;
use super::constant::{Declared, constant};
use super::parents::Ancestor;
use super::{Catalog, Row, drive, field};

impl Catalog {
    /// The facts of a table. One that has been dropped since has no columns here, only types.
    ///
    /// # Errors
    ///
    /// If a query fails.
    pub async fn describe(&mut self, relation: &Relation) -> Result<TableFacts, Error> {
        let Answers { columns, keys, leaves, kin, types } = self.ask_of(relation).await?;
        let Keys { primary_key, identity_index, unknown_key } = key(relation, &columns, &keys)?;
        let Kin { ancestors, inherited, is_partitioned } = Kin::read(&kin)?;
        let parents = self.parents(inherited).await?;
        // One may be dropped between the questions.
        let ancestors = ancestors.filter(|_| parents.is_some());
        let parents = parents.unwrap_or_default();
        let lost = if parents.is_empty() { Vec::new() } else { lost(relation, &columns)? };
        Ok(TableFacts {
            is_gone: ancestors.is_none(),
            not_null: flagged(&columns, IS_NOT_NULL)?,
            defaults: defaults(&columns)?,
            missing: missing(&columns)?,
            primary_key,
            unknown_key,
            identity_index,
            leaves: leaves.iter().map(leaf).collect::<Result<_, _>>()?,
            ancestors,
            parents,
            lost,
            is_partitioned,
            type_names: Vec::new(),
            types: type_catalog(&types)?,
        })
    }

    /// Asks all at once, since rows wait meanwhile. The server answers in this order: that the table
    /// is there comes last of what is asked of it, since it may be dropped in between.
    async fn ask_of(&mut self, relation: &Relation) -> Result<Answers, Error> {
        let oids: Vec<u32> = relation.columns.iter().map(|column| column.type_oid).collect();
        let itself = [relation.id.0];
        let (table, types): (&[Param<'_>], &[Param<'_>]) = (&[&relation.id.0], &[&oids]);
        let tables: &[Param<'_>] = &[&itself.as_slice()];
        let [of_columns, of_keys, of_leaves, of_kin, of_types] = [
            self.prepared(COLUMNS_SQL).await?,
            self.prepared(KEYS_SQL).await?,
            self.prepared(LEAVES_SQL).await?,
            self.prepared(KIN_SQL).await?,
            self.prepared(TYPES_SQL).await?,
        ];
        let client = &self.client;
        let answers = Box::pin(async {
            let (columns, keys, leaves, kin, types) = tokio::join!(
                biased;
                client.query(&of_columns, tables),
                client.query(&of_keys, tables),
                client.query(&of_leaves, table),
                client.query(&of_kin, table),
                client.query(&of_types, types),
            );
            Ok(Answers {
                columns: columns?,
                keys: keys?,
                leaves: leaves?,
                kin: kin?,
                types: types?,
            })
        });
        drive(&mut self.connection, &self.peer, self.timeout, answers).await
    }

    /// The types of a relation's columns as PostgreSQL writes them; of one that is gone its OID.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn type_names(&mut self, relation: &Relation) -> Result<Vec<String>, Error> {
        let columns = relation.columns.iter();
        let (oids, modifiers): (Vec<u32>, Vec<i32>) =
            columns.map(|column| (column.type_oid, column.type_modifier)).unzip();
        let rows = self.rows(TYPE_NAMES_SQL, &[&oids, &modifiers]).await?;
        rows.iter().map(|row| field(row, 0)).collect()
    }

    /// The facts of types and of all that they are made of.
    pub(super) async fn types(&mut self, oids: &[u32]) -> Result<TypeCatalog, Error> {
        type_catalog(&self.rows(TYPES_SQL, &[&oids]).await?)
    }
}

pub(super) type Param<'a> = &'a (dyn ToSql + Sync);

/// What the catalog said of a table.
struct Answers {
    columns: Vec<Row>,
    keys: Vec<Row>,
    leaves: Vec<Row>,
    kin: Vec<Row>,
    types: Vec<Row>,
}

/// One of the partitions that hold the rows of a table.
fn leaf(row: &Row) -> Result<Leaf, Error> {
    let is_full = field::<&str>(row, 2)? == "f";
    let identity = if is_full { None } else { Some(field(row, 3)?) };
    Ok(Leaf { table: (field(row, 0)?, field(row, 1)?), identity })
}

/// What a table is a part of.
#[derive(Default)]
struct Kin {
    /// The nearest first; `None` if the table is not there.
    ancestors: Option<Vec<(String, String)>>,
    /// Those among them that it inherits from.
    inherited: Vec<Ancestor>,
    /// Whether it is partitioned or a partition.
    is_partitioned: bool,
}

impl Kin {
    fn read(rows: &[Row]) -> Result<Self, Error> {
        let name = |row: &Row| Ok((field(row, 0)?, field(row, 1)?));
        let Some((it, above)) = rows.split_first() else { return Ok(Self::default()) };
        let names = above.iter().map(|row| Ok((field(row, 4)?, name(row)?)));
        let names = names.collect::<Result<BTreeMap<u32, _>, Error>>()?;
        let mut inherited = Vec::new();
        for row in above {
            if field(row, 3)? {
                let ancestors: Vec<u32> = field(row, 5)?;
                let ancestors = ancestors.iter().filter_map(|oid| names.get(oid).cloned());
                let ancestors = ancestors.collect();
                inherited.push(Ancestor { oid: field(row, 4)?, table: name(row)?, ancestors });
            }
        }
        let ancestors = above.iter().map(name).collect::<Result<_, _>>()?;
        Ok(Self { ancestors: Some(ancestors), inherited, is_partitioned: field(it, 2)? })
    }
}

/// The columns of the relation that the table has no more.
fn lost(relation: &Relation, columns: &[Row]) -> Result<Vec<String>, Error> {
    let names = columns.iter().map(|row| field(row, 0)).collect::<Result<Vec<&str>, _>>()?;
    let lost = relation.columns.iter().filter(|column| !names.contains(&column.name.as_str()));
    Ok(lost.map(|column| column.name.clone()).collect())
}

fn type_catalog(rows: &[Row]) -> Result<TypeCatalog, Error> {
    let mut types = TypeCatalog::default();
    for row in rows {
        types.insert(type_facts(row)?);
    }
    Ok(types)
}

/// The columns of the rows whose flag is set; a table can have many keys but each flag is on one.
pub(super) fn flagged(rows: &[Row], flag: usize) -> Result<Vec<String>, Error> {
    let mut columns = Vec::new();
    for row in rows {
        if field(row, flag)? {
            columns.push(field(row, 0)?);
        }
    }
    Ok(columns)
}

/// The columns whose default is a constant, and its text.
pub(super) fn defaults(rows: &[Row]) -> Result<BTreeMap<String, String>, Error> {
    let mut defaults = BTreeMap::new();
    for row in rows {
        let Some(expression) = field::<Option<&str>>(row, EXPRESSION)? else { continue };
        let [name, full_name] = [field(row, EXPRESSION + 1)?, field(row, EXPRESSION + 2)?];
        let declared = Declared { name, full_name, modifier: field(row, EXPRESSION + 3)? };
        if let Some(text) = constant(expression, declared) {
            defaults.insert(field(row, 0)?, text);
        }
    }
    Ok(defaults)
}

/// What columns that were added hold in rows from before.
pub(super) fn missing(rows: &[Row]) -> Result<BTreeMap<String, String>, Error> {
    let mut missing = BTreeMap::new();
    for row in rows {
        if let Some(text) = field(row, MISSING)? {
            missing.insert(field(row, 0)?, text);
        }
    }
    Ok(missing)
}

/// Columns under the names that they had when the relation was sent.
struct Keys {
    primary_key: Vec<String>,
    /// The identity's.
    identity_index: Vec<String>,
    /// The column for which the name cannot be told.
    unknown_key: Option<String>,
}

/// The keys of a table as they were. Which columns are the identity the stream
/// says, unless all or none are: there what the place tells is proven, or not believed.
fn key(relation: &Relation, columns: &[Row], rows: &[Row]) -> Result<Keys, Error> {
    let names = columns.iter().map(|row| field(row, 0)).collect::<Result<Vec<_>, _>>()?;
    let mut primary_key = flagged(rows, IS_PRIMARY)?;
    let mut identity_index = flagged(rows, IS_IDENTITY)?;
    let mut unknown_key = None;
    let was = |flag| as_it_was(relation, rows, flag, &names);
    match relation.identity {
        ReplicaIdentity::Full | ReplicaIdentity::Nothing => match was(IS_PRIMARY)? {
            Ok(found) => primary_key = found,
            Err(column) => (primary_key, unknown_key) = (Vec::new(), Some(column)),
        },
        ReplicaIdentity::Default => match was(IS_PRIMARY)? {
            Ok(found) if is_identity(relation, &found) => primary_key = found,
            _ => {}
        },
        ReplicaIdentity::Index => match was(IS_IDENTITY)? {
            Ok(found) if is_identity(relation, &found) => {
                identity_index = found;
                primary_key = was(IS_PRIMARY)?.unwrap_or(primary_key);
            }
            _ => {}
        },
    }
    if is_newer(relation, rows, &primary_key)? {
        primary_key.clear();
    }
    Ok(Keys { primary_key, identity_index, unknown_key })
}

/// Whether these are the columns that the stream says are the identity.
fn is_identity(relation: &Relation, names: &[String]) -> bool {
    let is_named = |column: &RelationColumn| names.contains(&column.name);
    relation.columns.iter().all(|column| column.is_identity == is_named(column))
        && names.len() == relation.columns.iter().filter(|column| column.is_identity).count()
}

/// The columns of a key under the names that they had when the relation was sent, or the one for which
/// that cannot be told: columns may have changed names since. What stays is a column's place. `names`
/// are the columns' names now.
fn as_it_was(
    relation: &Relation,
    rows: &[Row],
    flag: usize,
    names: &[&str],
) -> Result<Result<Vec<String>, String>, Error> {
    let mut key = Vec::new();
    for row in rows {
        let name: &str = field(row, 0)?;
        if !field(row, flag)? {
            continue;
        }
        let place: Option<i64> = field(row, PLACE)?;
        let place = place.and_then(|place| usize::try_from(place).ok()?.checked_sub(1));
        let lost = usize::try_from(field::<i64>(row, LOST)?).unwrap_or(usize::MAX);
        let found = match (place.map(|place| relation.columns.get(place)), lost) {
            // Newer than the rows.
            (Some(None), _) => return Ok(Ok(Vec::new())),
            // A column list, or an expression, that is gone since left out one before it.
            (Some(_), 0) if is_unmoved(relation, names, name) => Some(name),
            (Some(Some(column)), 0) => Some(&*column.name),
            _ => by_name(relation, names, name, place, lost),
        };
        let Some(found) = found else { return Ok(Err(name.to_owned())) };
        key.push(found.to_owned());
    }
    Ok(Ok(key))
}

/// Whether the rows have the name, and all their names stand today in the order in which they stood:
/// then nothing speaks for a column that was renamed.
fn is_unmoved(relation: &Relation, names: &[&str], name: &str) -> bool {
    let places: Option<Vec<_>> = places(relation, names).collect();
    relation.columns.iter().any(|column| column.name == name)
        && places.is_some_and(|places| places.is_sorted())
}

/// Where the names of the rows' columns stand today.
fn places(relation: &Relation, names: &[&str]) -> impl Iterator<Item = Option<usize>> {
    let place = |column: &RelationColumn| names.iter().position(|it| **it == *column.name);
    relation.columns.iter().map(place)
}

/// The column that has the name now, if nothing speaks against it: names that were exchanged come in
/// another order, and a column is not before its place, nor behind it by more columns than were
/// `lost` before it. A name that the rows do not know is of a newer column, or of a hidden one.
fn by_name<'a>(
    relation: &Relation,
    names: &[&str],
    name: &'a str,
    place: Option<usize>,
    lost: usize,
) -> Option<&'a str> {
    let places: Vec<_> = places(relation, names).collect();
    let index = relation.columns.iter().position(|column| column.name == name);
    let is_it = match index {
        None => !places.contains(&None),
        Some(index) => {
            place.is_none_or(|place| index.checked_sub(place).is_some_and(|by| by <= lost))
                && places.iter().flatten().is_sorted()
        }
    };
    is_it.then_some(name)
}

/// Whether the primary key is newer than the relation: it has columns that the relation does not
/// know (they were added since), and no column list hides them.
fn is_newer(relation: &Relation, rows: &[Row], primary_key: &[String]) -> Result<bool, Error> {
    let is_there = |name: &String| relation.columns.iter().any(|column| column.name == *name);
    if primary_key.iter().all(is_there) {
        return Ok(false);
    }
    let hidden = flagged(rows, IS_HIDDEN)?;
    Ok(!primary_key.iter().any(|name| hidden.contains(name) && !is_there(name)))
}

fn type_facts(row: &Row) -> Result<TypeFacts, Error> {
    let element: Option<u32> = field(row, 4)?;
    let shape = match (field::<&str>(row, 3)?, element) {
        ("b", Some(element)) => TypeShape::Array { element },
        ("c", _) => TypeShape::Composite { attributes: field(row, 9)? },
        ("d", _) => TypeShape::Domain { base: field(row, 5)?, modifier: field(row, 6)? },
        ("e", _) => TypeShape::Enum { labels: field(row, 7)? },
        ("m", _) => TypeShape::Multirange { subtype: field(row, 8)? },
        ("p", _) => TypeShape::Pseudo,
        ("r", _) => TypeShape::Range { subtype: field(row, 8)? },
        _ => TypeShape::Base { extension: field(row, 10)? },
    };
    Ok(TypeFacts { oid: field(row, 0)?, name: field(row, 1)?, namespace: field(row, 2)?, shape })
}

pub(super) const IS_NOT_NULL: usize = 1;
const EXPRESSION: usize = 2;
const MISSING: usize = 6;
pub(super) const COLUMN_OF: usize = 7;

/// A NOT NULL that was added as NOT VALID (18+) does not hold for old rows. The expression of a
/// generated column is no default. `pg_get_expr` is not told of the table, which it would lock: a
/// default names no columns. A literal's label is the type that a domain is over in the end. The value
/// of rows from before a column is kept as an array of one; whose elements are parted by something
/// else than a comma is left out.
pub(super) const COLUMNS_SQL: &str = "\
SELECT a.attname::text,
       a.attnotnull
           AND NOT EXISTS (
               SELECT FROM pg_constraint k
               WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
                 AND a.attnum = ANY (k.conkey))
       OR base.is_not_null,
       CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, 0) END,
       format_type(base.type, -1), format_type(base.type, base.modifier), base.modifier,
       CASE WHEN base.delimiter = ',' THEN (a.attmissingval::text::text[])[1] END,
       a.attrelid
FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
CROSS JOIN LATERAL (
    WITH RECURSIVE base (type, modifier, is_not_null) AS (
        SELECT a.atttypid, a.atttypmod, false
        UNION ALL
        SELECT t.typbasetype, t.typtypmod, base.is_not_null OR t.typnotnull
        FROM base
        JOIN pg_type t ON t.oid = base.type AND t.typtype = 'd')
    SELECT base.*, t.typdelim AS delimiter
    FROM base JOIN pg_type t ON t.oid = base.type AND t.typtype <> 'd') AS base
WHERE a.attrelid = ANY ($1::oid[]) AND 0 < a.attnum AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

pub(super) const IS_PRIMARY: usize = 1;
pub(super) const IS_IDENTITY: usize = 2;
const IS_HIDDEN: usize = 3;
const PLACE: usize = 4;
const LOST: usize = 5;
pub(super) const KEY_OF: usize = 6;
pub(super) const IS_LOGGED: usize = 7;

/// Columns behind INCLUDE are not part of a key, and a deferrable key is no identity. A column list of a
/// publication (15+) can hide columns of the key if only INSERT is published.
///
/// The place is the column's among the columns of a `Relation` of the table as it is now, from 1. It
/// is known where no column list and no generated column can leave out one before it. Where columns
/// before it were lost, that is dropped, an older `Relation` may have had them.
pub(super) const KEYS_SQL: &str = "\
SELECT a.attname::text, i.indisprimary, i.indisreplident,
       i.indisprimary AND EXISTS (
           SELECT FROM pg_publication_rel r
           WHERE r.prrelid = i.indrelid
             AND NOT nullif(to_jsonb(r) -> 'prattrs', 'null') @> to_jsonb(a.attnum)),
       CASE WHEN NOT EXISTS (
           SELECT FROM pg_publication_rel r
           WHERE r.prrelid = i.indrelid AND to_jsonb(r) ->> 'prattrs' IS NOT NULL)
       THEN before.place END,
       before.lost, i.indrelid, i.indisprimary AND i.indimmediate
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
CROSS JOIN LATERAL (
    SELECT CASE WHEN bool_and(b.attgenerated = '' OR b.attisdropped)
           THEN count(*) FILTER (WHERE NOT b.attisdropped) END AS place,
           count(*) FILTER (WHERE b.attisdropped) AS lost
    FROM pg_attribute b
    WHERE b.attrelid = a.attrelid AND 0 < b.attnum AND b.attnum <= a.attnum) AS before
WHERE i.indrelid = ANY ($1::oid[]) AND (i.indisprimary OR i.indisreplident) AND k.place <= i.indnkeyatts
ORDER BY i.indrelid, i.indexrelid, k.place";

/// Partitions that are published by themselves have none. A partition's identity is its own: it is
/// not inherited, and ALTER TABLE … REPLICA IDENTITY of the root changes no partition's.
const LEAVES_SQL: &str = "\
WITH RECURSIVE tree (relid) AS (
    SELECT $1::oid
    UNION
    SELECT i.inhrelid
    FROM tree
    JOIN pg_inherits i ON i.inhparent = tree.relid AND NOT i.inhdetachpending
    JOIN pg_class c ON c.oid = i.inhrelid AND c.relispartition
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p'),
leaf AS (
    SELECT n.nspname::text AS namespace, c.relname::text AS name, c.relreplident::text AS identity,
           ARRAY(
               SELECT a.attname::text
               FROM pg_index i
               CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
               JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
               WHERE i.indrelid = c.oid AND i.indimmediate AND k.place <= i.indnkeyatts
                 AND (c.relreplident = 'd' AND i.indisprimary
                      OR c.relreplident = 'i' AND i.indisreplident)
               ORDER BY k.place) AS columns
    FROM tree
    JOIN pg_class c ON c.oid = tree.relid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND tree.relid <> $1)
SELECT DISTINCT ON (identity, columns) namespace, name, identity, columns
FROM leaf
ORDER BY identity, columns, namespace, name";

const TYPE_NAMES_SQL: &str = "\
SELECT coalesce(nullif(format_type(t.oid, t.modifier), '???'), 'oid ' || t.oid)
FROM unnest($1::oid[], $2::int[]) WITH ORDINALITY AS t (oid, modifier, number)
ORDER BY t.number";

/// The table itself comes first. Inherited is what no partition is on the way to. The order is the same
/// each time, since it tells facts apart.
const KIN_SQL: &str = "\
WITH RECURSIVE ancestor (relid, distance, is_inherited) AS (
    SELECT $1::oid, 0, true
    UNION
    SELECT i.inhparent, ancestor.distance + 1, ancestor.is_inherited AND NOT c.relispartition
    FROM ancestor
    JOIN pg_class c ON c.oid = ancestor.relid
    JOIN pg_inherits i ON i.inhrelid = ancestor.relid)
SELECT n.nspname::text, c.relname::text, c.relkind = 'p' OR c.relispartition,
       nearest.is_inherited, c.oid,
       ARRAY(
           WITH RECURSIVE above (relid) AS (
               SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid
               UNION
               SELECT i.inhparent FROM above JOIN pg_inherits i ON i.inhrelid = above.relid)
           SELECT relid FROM above ORDER BY relid)
FROM (
    SELECT relid, min(distance) AS distance, bool_and(is_inherited) AS is_inherited
    FROM ancestor
    GROUP BY relid) AS nearest
JOIN pg_class c ON c.oid = nearest.relid
JOIN pg_namespace n ON n.oid = c.relnamespace
ORDER BY nearest.distance, c.oid";

/// A true array is the one that its element names as its array type; `name`, `point` and others
/// have an element too.
const TYPES_SQL: &str = "\
WITH RECURSIVE needed (oid) AS (
    SELECT unnest($1::oid[])
    UNION
    SELECT part.oid
    FROM needed
    JOIN pg_type t ON t.oid = needed.oid
    CROSS JOIN LATERAL (
        VALUES (t.typelem), (t.typbasetype)
        UNION ALL
        SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)
        UNION ALL
        SELECT a.atttypid FROM pg_attribute a
        WHERE a.attrelid = t.typrelid AND 0 < a.attnum AND NOT a.attisdropped) AS part (oid)
    WHERE part.oid <> 0)
SELECT t.oid, t.typname::text, n.nspname::text, t.typtype::text, element.oid, t.typbasetype,
       t.typtypmod,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e
             WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
       (SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)),
       ARRAY(SELECT a.atttypid FROM pg_attribute a
             WHERE a.attrelid = t.typrelid AND 0 < a.attnum AND NOT a.attisdropped
             ORDER BY a.attnum),
       coalesce((SELECT x.extname::text FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
                 WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
                 AND d.refclassid = 'pg_extension'::regclass), '')
FROM needed
JOIN pg_type t ON t.oid = needed.oid
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type element ON element.oid = t.typelem AND element.typarray = t.oid";
