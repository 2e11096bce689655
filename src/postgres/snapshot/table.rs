//! A table as a chunk is read of it: where it stands, what the stream sends of it, how it is ordered.

use crate::position::Lsn;
use crate::wal::{Relation, RelationColumn, RelationId};

use super::super::catalog::{RELATIONS_SQL, identity_named, over_published};
use super::super::error::Error;
use super::super::quote::identifier;
use super::chunk::{Key, SnapshotTable};
use super::dialogue::{Dialogue, Value, array};
use super::error::ChunkError;
use super::key;

/// Where a table is found, before its lock is asked for.
pub(super) struct Place {
    pub(super) relation: RelationId,
    /// Schema and name, quoted.
    pub(super) name: String,
    /// A partitioned table is read with what is below it, any other without.
    pub(super) is_partitioned: bool,
    /// On a standby, up to where the log was replayed.
    pub(super) replayed: Option<Lsn>,
}

/// What the stream sends of a table, in one snapshot.
pub(super) struct Shape {
    pub(super) place: Place,
    pub(super) relation: Relation,
    /// Whether the type of each column has a binary form.
    has_send: Vec<bool>,
    pub(super) key: Vec<KeyColumn>,
    /// Schemas beside `pg_catalog` that have the operators by which the key is compared.
    namespaces: Vec<String>,
    /// Expressions of which each must be true.
    conditions: Vec<String>,
    /// Whether the database has no encoding.
    is_unencoded: bool,
}

/// A column of the key.
pub(super) struct KeyColumn {
    /// Where it is among the relation's.
    pub(super) index: usize,
    /// Its type; of a domain the one below, whose input knows no CHECK.
    pub(super) type_oid: u32,
    /// As what it is compared.
    pub(super) expression: String,
}

impl Place {
    /// Looks for the table, and whether it may be read: what is wrong with that can be said best
    /// before anything is tried.
    pub(super) async fn find(
        dialogue: &mut Dialogue,
        relation: RelationId,
    ) -> Result<Self, ChunkError> {
        let id = relation.0.to_string();
        let lines = dialogue.ask_again("place", PLACE_SQL, &[Value::text(OID, &id)]).await?;
        let Some(line) = lines.first() else { return Err(ChunkError::Gone { relation }) };
        let (namespace, name) = (identifier(line.text(0)?), identifier(line.text(1)?));
        let table = format!("{namespace}.{name}");
        let user = line.text(6)?;
        let grant = match (line.flag(3)?, line.flag(4)?) {
            (false, _) => {
                Some(format!("GRANT USAGE ON SCHEMA {namespace} TO {}", identifier(user)))
            }
            (_, false) => Some(format!("GRANT SELECT ON {table} TO {}", identifier(user))),
            _ => None,
        };
        if let Some(grant) = grant {
            return Err(ChunkError::Right { table, user: user.to_owned(), grant });
        }
        if line.flag(5)? {
            return Err(ChunkError::RowSecurity { table, user: user.to_owned() });
        }
        let replayed = line.perhaps(7)?.is_some().then(|| line.parsed(7)).transpose()?;
        Ok(Self { relation, name: table, is_partitioned: line.flag(2)?, replayed })
    }

    /// The table in a statement, without the tables that inherit from it.
    pub(super) fn only(&self) -> String {
        let only = if self.is_partitioned { "" } else { "ONLY " };
        format!("{only}{}", self.name)
    }
}

impl Shape {
    /// Reads it in the snapshot of the dialogue's transaction, which has the lock.
    pub(super) async fn read(
        dialogue: &mut Dialogue,
        place: Place,
        table: &SnapshotTable<'_>,
        server: &ServerFacts,
    ) -> Result<Self, ChunkError> {
        let relation = relation(dialogue, &place, table, server).await?;
        let is_there = |name: &String| relation.columns.iter().any(|column| column.name == *name);
        let name = format!("{}.{}", identifier(&relation.namespace), identifier(&relation.name));
        if name != place.name || !table.key.iter().all(is_there) {
            return Err(ChunkError::Changed { table: place.name });
        }
        let Columns { has_send, key, namespaces } = columns(dialogue, &relation, table).await?;
        let mut conditions = Vec::new();
        conditions.extend(filter(dialogue, table, server).await?);
        if place.is_partitioned {
            conditions.extend(unlogged(dialogue, table.relation).await?);
        }
        // A comment at its end ends with the line.
        conditions.extend(table.condition.map(|condition| format!("{condition}\n")));
        let is_unencoded = server.is_unencoded;
        Ok(Self { place, relation, has_send, key, namespaces, conditions, is_unencoded })
    }

    /// The form of each column in a stream that is in binary form, or not.
    pub(super) fn forms(&self, is_binary: bool) -> Vec<bool> {
        self.has_send.iter().map(|has_send| is_binary && *has_send).collect()
    }

    /// The question for the rows of a range; `$1` and so on are the values of `after`, then of `to`,
    /// then of so many keys.
    pub(super) fn question(
        &self,
        (has_after, has_to): (bool, bool),
        listed: Option<usize>,
        rows: u64,
    ) -> String {
        let columns: Vec<_> =
            self.relation.columns.iter().map(|column| identifier(&column.name)).collect();
        let (columns, table, keys) = (columns.join(", "), self.place.only(), self.keys());
        let mut wheres = self.conditions.clone();
        let mut given = 0;
        for (is_given, operator) in [(has_after, ">"), (has_to, "<=")] {
            if is_given {
                let values: Vec<_> =
                    (1..=self.key.len()).map(|place| format!("${}", given + place)).collect();
                wheres.push(format!("({keys}) {operator} ({})", values.join(", ")));
                given += self.key.len();
            }
        }
        if let Some(listed) = listed {
            let width = self.key.len();
            let one = |number| {
                let from = given + number * width;
                let values: Vec<_> =
                    (1..=width).map(|place| format!("${}", from + place)).collect();
                format!("({})", values.join(", "))
            };
            let list: Vec<_> = (0..listed).map(one).collect();
            wheres.push(format!("({keys}) IN ({})", list.join(", ")));
        }
        let wheres = all(&wheres);
        let first = match keys.is_empty() {
            true => format!("FETCH FIRST {rows} ROWS ONLY"),
            false => format!("ORDER BY {keys} FETCH FIRST {rows} ROWS WITH TIES"),
        };
        format!("SELECT {columns} FROM {table} AS t{wheres} {first}")
    }

    /// The search path for the question, if it is another than the session's: `(a, b) > (1, 2)` takes
    /// operators by their name, and would take those of another type to which the key's can be cast.
    pub(super) fn search_path(&self) -> Option<String> {
        if self.namespaces.is_empty() {
            return None;
        }
        let names: Vec<_> = self.namespaces.iter().map(|name| identifier(name)).collect();
        Some(format!("pg_catalog, {}", names.join(", ")))
    }

    /// What a key is compared by, with commas between.
    pub(super) fn keys(&self) -> String {
        let keys: Vec<_> = self.key.iter().map(|column| column.expression.as_str()).collect();
        keys.join(", ")
    }

    /// The clause for rows that the stream has and that meet the condition.
    pub(super) fn wheres(&self) -> String {
        all(&self.conditions)
    }

    /// Whether all rows that the table has count.
    pub(super) fn has_conditions(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// The values of a key, as they are sent.
    pub(super) fn values(&self, key: &Key) -> Result<Vec<Vec<u8>>, ChunkError> {
        let none = || ChunkError::Key { table: self.place.name.clone(), server: None };
        if key.0.len() != self.key.len() {
            return Err(none());
        }
        let bytes = |text: &String| key::bytes(text, self.is_unencoded).ok_or_else(none);
        key.0.iter().map(bytes).collect()
    }

    /// A key's column from its text as the server sent it.
    pub(super) fn key_text(&self, bytes: &[u8]) -> Result<String, Error> {
        key::text(bytes, self.is_unencoded)
            .ok_or_else(|| Error::Protocol("a key that is not UTF-8".to_owned()))
    }
}

/// What matters of the server.
#[derive(Debug)]
pub(super) struct ServerFacts {
    /// The major version, such as 17.
    pub(super) major: u32,
    /// Whether the database has no encoding: text comes as its bytes are.
    pub(super) is_unencoded: bool,
}

async fn relation(
    dialogue: &mut Dialogue,
    place: &Place,
    table: &SnapshotTable<'_>,
    server: &ServerFacts,
) -> Result<Relation, ChunkError> {
    let question = over_published(server.major, &format!("{RELATIONS_SQL}{OF_ONE}"));
    let (publications, id) = (array(table.publications), place.relation.0.to_string());
    let values = [Value::text(TEXT_ARRAY, &publications), Value::text(OID, &id)];
    let lines = dialogue.ask_again("relation", &question, &values).await?;
    let Some(first) = lines.first() else {
        return Err(ChunkError::Unpublished { table: place.name.clone() });
    };
    let mut relation = Relation {
        id: place.relation,
        namespace: first.text(1)?.to_owned(),
        name: first.text(2)?.to_owned(),
        identity: identity_named(first.text(3)?),
        columns: Vec::new(),
    };
    for line in &lines {
        if let Some(name) = line.perhaps(4)? {
            relation.columns.push(RelationColumn {
                name: name.to_owned(),
                type_oid: line.parsed(5)?,
                type_modifier: line.parsed(6)?,
                is_identity: line.flag(7)?,
            });
        }
    }
    Ok(relation)
}

struct Columns {
    has_send: Vec<bool>,
    key: Vec<KeyColumn>,
    namespaces: Vec<String>,
}

/// Which columns have a binary form, and those of the key.
async fn columns(
    dialogue: &mut Dialogue,
    relation: &Relation,
    table: &SnapshotTable<'_>,
) -> Result<Columns, ChunkError> {
    let (id, key) = (relation.id.0.to_string(), array(table.key));
    let values = [Value::text(OID, &id), Value::text(TEXT_ARRAY, &key)];
    let lines = dialogue.ask_again("columns", COLUMNS_SQL, &values).await?;
    let (mut has_send, mut found, mut namespaces) = (Vec::new(), Vec::new(), Vec::new());
    for (index, column) in relation.columns.iter().enumerate() {
        let line = lines.iter().find(|line| line.text(0).is_ok_and(|name| name == column.name));
        let line = line.ok_or_else(|| Error::Protocol("a column without a type".to_owned()))?;
        has_send.push(line.flag(1)?);
        let Some(place) = table.key.iter().position(|name| *name == column.name) else { continue };
        let mut expression = identifier(&column.name);
        if let Some(collation) = line.perhaps(3)? {
            expression = format!("{expression} COLLATE {collation}");
        }
        found.push((place, KeyColumn { index, type_oid: line.parsed(2)?, expression }));
        namespaces.extend(line.perhaps(4)?.map(str::to_owned));
    }
    found.sort_by_key(|(place, _)| *place);
    let key = found.into_iter().map(|(_, column)| column).collect();
    Ok(Columns { has_send, key, namespaces })
}

/// What rows must meet by the filters of the publications: one of them, if none is without.
///
/// Source: `pgoutput_row_filter_init` in
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/replication/pgoutput/pgoutput.c>
/// and `fetch_remote_table_info` in `tablesync.c`
async fn filter(
    dialogue: &mut Dialogue,
    table: &SnapshotTable<'_>,
    server: &ServerFacts,
) -> Result<Option<String>, Error> {
    if server.major < FILTERS_SINCE {
        return Ok(None);
    }
    let (publications, id) = (array(table.publications), table.relation.0.to_string());
    let values = [Value::text(TEXT_ARRAY, &publications), Value::text(OID, &id)];
    let question = over_published(server.major, FILTERS_SQL);
    let lines = dialogue.ask_again("filters", &question, &values).await?;
    let filters: Option<Vec<_>> =
        lines.iter().map(|line| line.perhaps(0)).collect::<Result<_, _>>()?;
    Ok(filters.filter(|filters| !filters.is_empty()).map(|filters| filters.join(" OR ")))
}

/// What keeps out rows of partitions that are never in the log.
async fn unlogged(
    dialogue: &mut Dialogue,
    relation: RelationId,
) -> Result<Option<String>, ChunkError> {
    let id = relation.0.to_string();
    let lines = dialogue.ask_again("unlogged", UNLOGGED_SQL, &[Value::text(OID, &id)]).await?;
    let oids = lines.iter().map(|line| line.parsed::<u32>(0).map(|oid| oid.to_string()));
    let oids = oids.collect::<Result<Vec<_>, _>>()?;
    Ok((!oids.is_empty()).then(|| format!("t.tableoid NOT IN ({})", oids.join(", "))))
}

fn all(conditions: &[String]) -> String {
    let enclosed: Vec<_> = conditions.iter().map(|condition| format!("({condition})")).collect();
    match enclosed.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", enclosed.join(" AND ")),
    }
}

/// The version from which on publications have row filters.
const FILTERS_SINCE: u32 = 15;

/// OIDs of `oid`, `text` and `text[]`.
pub(super) const OID: u32 = 26;
pub(super) const TEXT: u32 = 25;
pub(super) const TEXT_ARRAY: u32 = 1009;

const PLACE_SQL: &str = "\
SELECT n.nspname, c.relname, c.relkind = 'p', has_schema_privilege(n.oid, 'USAGE'),
       coalesce(has_table_privilege(c.oid, 'SELECT'), true), row_security_active(c.oid),
       current_user, CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = $1 AND c.relkind IN ('r', 'p')";

const OF_ONE: &str = "
WHERE c.oid = $2
ORDER BY a.attnum";

/// Of columns of the key, since this is asked for each chunk: the index of the key may have another
/// collation than the column, by which other values are alike. Rows are ordered by the default operator class of a type, whose operators (here the one of strategy
/// 5, `>`) are where its extension is.
const COLUMNS_SQL: &str = "\
SELECT a.attname, t.typsend <> 0, base.oid, CASE WHEN a.attname = ANY ($2) THEN (
    SELECT format('%I.%I', n.nspname, l.collname)
    FROM pg_index i
    CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[]) AS k (attnum, collated)
    JOIN pg_collation l ON l.oid = k.collated
    JOIN pg_namespace n ON n.oid = l.collnamespace
    WHERE i.indrelid = a.attrelid AND (i.indisprimary OR i.indisreplident)
      AND k.attnum = a.attnum AND k.collated <> a.attcollation
      AND ARRAY(SELECT b.attname::text FROM pg_attribute b
                WHERE b.attrelid = i.indrelid
                  AND b.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                ORDER BY 1)
        = ARRAY(SELECT unnest($2::text[]) ORDER BY 1)
    LIMIT 1) END, CASE WHEN a.attname = ANY ($2) THEN (
    SELECT n.nspname
    FROM pg_opclass c
    JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
    JOIN pg_amop s ON s.amopfamily = c.opcfamily AND s.amopstrategy = 5
        AND s.amoplefttype = c.opcintype AND s.amoprighttype = c.opcintype
    JOIN pg_operator o ON o.oid = s.amopopr
    JOIN pg_namespace n ON n.oid = o.oprnamespace AND n.nspname <> 'pg_catalog'
    WHERE c.opcintype = base.oid AND c.opcdefault) END
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
CROSS JOIN LATERAL (
    WITH RECURSIVE below (oid, typtype) AS (
        SELECT t.oid, t.typtype
        UNION ALL
        SELECT d.typbasetype, b.typtype
        FROM below
        JOIN pg_type d ON d.oid = below.oid AND d.typtype = 'd'
        JOIN pg_type b ON b.oid = d.typbasetype)
    SELECT oid FROM below WHERE typtype <> 'd') AS base
WHERE a.attrelid = $1 AND 0 < a.attnum AND NOT a.attisdropped";

/// What is published of a PostgreSQL schema or of all tables has no filter, listed or not.
const FILTERS_SQL: &str = "\
SELECT DISTINCT CASE WHEN NOT p.puballtables AND NOT EXISTS (
           SELECT FROM pg_publication_namespace n
           WHERE n.pnpubid = p.oid AND n.pnnspid = c.relnamespace)
       THEN pg_get_expr(r.prqual, r.prrelid) END
FROM tree
JOIN publication p ON p.oid = tree.publication
JOIN pg_class c ON c.oid = tree.relid
LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = tree.relid
WHERE tree.relid = $2 AND (p.pubviaroot OR c.relkind <> 'p')";

const UNLOGGED_SQL: &str = "\
WITH RECURSIVE below (relid) AS (
    SELECT $1
    UNION
    SELECT i.inhrelid
    FROM below
    JOIN pg_inherits i ON i.inhparent = below.relid)
SELECT c.oid
FROM below
JOIN pg_class c ON c.oid = below.relid
WHERE c.relkind = 'f' OR c.relpersistence <> 'p'";
