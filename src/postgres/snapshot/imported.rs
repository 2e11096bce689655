//! Whole tables in a snapshot that a slot has exported: the text of expressions, row by row.
//!
//! The lock of a table is asked for behind the snapshot, so that nobody waits for us while the stream
//! comes to where the snapshot is. TRUNCATE and rewrites are not of one moment for such a snapshot; that
//! there was one shows in the files that the table has, by the snapshot and by now.

use std::time::Duration;

use super::chunk::SnapshotTable;
use super::dialogue::{Ending, Line, Value, array, line, refused};
use super::error::ChunkError;
use super::table::{OID, Place, Shape, TEXT_ARRAY};
use super::{ChunkLimits, ChunkReader, late};
use crate::config::Postgres;
use crate::postgres::catalog::Catalog;
use crate::postgres::error::Error;
use crate::postgres::quote::{identifier, literal};

/// How PostgreSQL turns plain texts of keys back into values, by SQL expressions for each of a key's
/// columns.
#[derive(Clone, Debug)]
pub struct WayBack {
    /// The text of a value, from the plain text, which is called by [`text_name`](Self::text_name).
    pub inverses: Vec<String>,
    /// The plain text again, of the column `t."name"`.
    pub rules: Vec<String>,
    /// PostgreSQL's own text of it.
    pub values: Vec<String>,
}

impl WayBack {
    /// What the plain text of the column at that place, from 1, is called.
    #[must_use]
    pub fn text_name(place: usize) -> String {
        format!("x{place}")
    }
}

/// A connection that reads whole tables.
#[derive(Debug)]
pub struct ImportedReader {
    pub(super) reader: ChunkReader,
    /// For a portion of rows.
    pub(super) timeout: Duration,
}

impl ImportedReader {
    /// Connects to the first host that takes us.
    ///
    /// # Errors
    ///
    /// If no host does, or it is another server than the catalog's.
    pub async fn connect(postgres: &Postgres, catalog: &Catalog) -> Result<Self, Error> {
        let limits =
            ChunkLimits { lock_timeout: LOCK_TIMEOUT, statement_timeout: STATEMENT_TIMEOUT };
        let reader = ChunkReader::connect(postgres, limits).await?;
        reader.same_server(catalog)?;
        Ok(Self { timeout: STATEMENT_TIMEOUT + postgres.connect_timeout, reader })
    }

    /// Whether a table may be read.
    ///
    /// # Errors
    ///
    /// [`ChunkError::Right`] and [`ChunkError::RowSecurity`], with what helps; or if it is gone.
    pub async fn may_read(&mut self, table: &SnapshotTable<'_>) -> Result<(), ChunkError> {
        Place::find(&mut self.reader.dialogue, table.relation).await.map(drop)
    }

    /// Begins a transaction in a snapshot that was exported.
    ///
    /// # Errors
    ///
    /// If the snapshot is there no more.
    pub async fn import(&mut self, snapshot: &str) -> Result<(), ChunkError> {
        Ok(self.begin(&format!("SET TRANSACTION SNAPSHOT {}; ", literal(snapshot))).await?)
    }

    /// Begins a transaction in a snapshot of now.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub async fn look(&mut self) -> Result<(), Error> {
        self.begin("").await
    }

    async fn begin(&mut self, snapshot: &str) -> Result<(), Error> {
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY; {snapshot}\
             SET LOCAL row_security = off; SET LOCAL idle_in_transaction_session_timeout = 0; \
             SET LOCAL lock_timeout = {}",
            LOCK_TIMEOUT.as_millis()
        );
        self.reader.dialogue.run(&begin).await
    }

    /// Ends what was asked for and not read.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub async fn forget(&mut self) -> Result<(), Error> {
        self.reader.dialogue.run("CLOSE ALL; SET LOCAL search_path = pg_catalog").await
    }

    /// Gives the texts of SQL expressions, of which a column is `t."name"`, of each row that the stream
    /// has; `None` is NULL.
    ///
    /// # Errors
    ///
    /// [`ChunkError::Changed`] if the table was emptied, rewritten or altered since the snapshot.
    pub async fn rows(
        &mut self,
        table: &SnapshotTable<'_>,
        expressions: &[String],
        mut take: impl FnMut(&[Option<&str>]),
    ) -> Result<(), ChunkError> {
        let shape = self.lock(table).await?;
        if let Some(path) = shape.search_path() {
            self.reader.dialogue.run(&format!("SET LOCAL search_path = {path}")).await?;
        }
        let (columns, only) = (expressions.join(", "), shape.place.only());
        let question = format!("SELECT {columns} FROM {only} AS t{}", shape.wheres());
        // A portal lives as long as the transaction.
        let portal = format!("rows of {}", table.relation);
        self.reader.dialogue.open(&portal, &question, &[], &[])?;
        // What a regclass is printed as depends on it, and the stream's is the role's.
        self.reader.dialogue.before("SET LOCAL search_path TO DEFAULT")?;
        loop {
            self.reader.dialogue.call(&portal, PORTION)?;
            let each = |row: &[u8]| {
                let line = line(row)?;
                let texts = (0..expressions.len()).map(|index| line.perhaps(index));
                take(&texts.collect::<Result<Vec<_>, _>>()?);
                Ok(())
            };
            let (host, limit) = (self.reader.peer.host.clone(), self.timeout);
            let portion = tokio::time::timeout(limit, self.reader.dialogue.portion(each)).await;
            let ending =
                portion.map_or_else(|_| late(&host, limit), |it| it.map_err(Into::into))?;
            if ending == Ending::Suspended {
                continue;
            }
            if let Some(server) = refused(ending) {
                return Err(self.reader.told(Error::Server(server), table, &shape.place.name));
            }
            self.reader.dialogue.run("SET LOCAL search_path = pg_catalog").await?;
            return Ok(());
        }
    }

    /// Ends the transaction, and with it the snapshot.
    ///
    /// # Errors
    ///
    /// If the connection is lost.
    pub async fn leave(&mut self) -> Result<(), ChunkError> {
        Ok(self.reader.dialogue.run("COMMIT").await?)
    }

    /// Turns plain texts of keys back into PostgreSQL's texts of their columns' values; `None` where
    /// the columns' types have no such value, or one of which another text is the plain one. Outside
    /// of a transaction, which a text that is none of a type's would end.
    ///
    /// # Errors
    ///
    /// If the server cannot be asked.
    pub async fn turn_back(
        &mut self,
        table: &SnapshotTable<'_>,
        way: &WayBack,
        keys: &[Vec<String>],
    ) -> Result<Vec<Option<Vec<String>>>, ChunkError> {
        let question = self.way_back(table, way).await?;
        let mut values = vec![None; keys.len()];
        let portion = usize::try_from(PORTION).unwrap_or(1);
        let portions = (0..keys.len()).step_by(portion);
        let mut left: Vec<_> =
            portions.map(|begin| begin..keys.len().min(begin + portion)).collect();
        while let Some(range) = left.pop() {
            let (asked, found) = (keys.get(range.clone()), values.get_mut(range.clone()));
            let (Some(asked), Some(found)) = (asked, found) else { continue };
            let (host, limit) = (self.reader.peer.host.clone(), self.timeout);
            let turned = tokio::time::timeout(limit, self.ask_back(&question, way, asked)).await;
            match turned.map_or_else(|_| late(&host, limit), Ok)? {
                Ok(turned) => turned.into_iter().zip(found).for_each(|(it, place)| *place = it),
                Err(Error::Server(server)) if is_of_a_value(&server.code) => {
                    // One of them is none of its type's.
                    let middle = range.start.midpoint(range.end);
                    if 1 < range.len() {
                        left.extend([range.start..middle, middle..range.end]);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(values)
    }

    /// The question: of each key the rule's texts of the values, and their own.
    async fn way_back(
        &mut self,
        table: &SnapshotTable<'_>,
        way: &WayBack,
    ) -> Result<String, ChunkError> {
        let (id, names) = (table.relation.0.to_string(), array(table.key));
        let values = [Value::text(OID, &id), Value::text(TEXT_ARRAY, &names)];
        let lines = self.reader.dialogue.ask(TYPES_SQL, &values).await?;
        if lines.len() != table.key.len() {
            return Err(ChunkError::Gone { relation: table.relation });
        }
        let mut columns = Vec::with_capacity(lines.len());
        for ((line, name), text) in lines.iter().zip(table.key).zip(&way.inverses) {
            columns.push(format!("CAST({text} AS {}) AS {}", line.text(0)?, identifier(name)));
        }
        let texts = || (1..=columns.len()).map(WayBack::text_name);
        let arrays: Vec<_> = (1..=columns.len()).map(|place| format!("${place}::text[]")).collect();
        Ok(format!(
            "SELECT {}, {} FROM unnest({}) WITH ORDINALITY AS x ({}, place), LATERAL (SELECT {}) AS t \
             ORDER BY x.place",
            way.rules.join(", "),
            way.values.join(", "),
            arrays.join(", "),
            texts().collect::<Vec<_>>().join(", "),
            columns.join(", ")
        ))
    }

    async fn ask_back(
        &mut self,
        question: &str,
        way: &WayBack,
        keys: &[Vec<String>],
    ) -> Result<Vec<Option<Vec<String>>>, Error> {
        let width = way.inverses.len();
        let column = |place: usize| {
            let texts = keys.iter().map(|key| key.get(place).cloned().unwrap_or_default());
            array(&texts.collect::<Vec<_>>())
        };
        let arrays: Vec<_> = (0..width).map(column).collect();
        let values: Vec<_> = arrays.iter().map(|texts| Value::text(TEXT_ARRAY, texts)).collect();
        let lines = self.reader.dialogue.ask(question, &values).await?;
        let turned = |(line, key): (&Line, &Vec<String>)| {
            for (place, text) in key.iter().enumerate() {
                if line.perhaps(place)? != Some(text) {
                    return Ok(None);
                }
            }
            let text = |place| line.text(place).map(str::to_owned);
            (width..2 * width).map(text).collect::<Result<_, _>>().map(Some)
        };
        lines.iter().zip(keys).map(turned).collect()
    }

    /// Ends the transaction and the connection.
    pub async fn close(self) {
        self.reader.close().await;
    }

    /// The table under its lock, if the snapshot still has all of it.
    pub(super) async fn lock(&mut self, table: &SnapshotTable<'_>) -> Result<Shape, ChunkError> {
        let reader = &mut self.reader;
        let place = Place::find(&mut reader.dialogue, table.relation).await?;
        let lock = format!("LOCK TABLE {} IN ACCESS SHARE MODE", place.only());
        let locked = reader.dialogue.run(&lock).await;
        locked.map_err(|error| reader.told(error, table, &place.name))?;
        let id = table.relation.0.to_string();
        let line = reader.dialogue.ask_one(UNCHANGED_SQL, &[Value::text(OID, &id)]).await?;
        if !line.flag(0)? {
            return Err(ChunkError::Changed { table: place.name });
        }
        Shape::read(&mut reader.dialogue, place, table, &reader.server).await
    }
}

/// How long a table's lock is waited for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a portion of rows may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(10);

/// So many rows are asked for at a time.
const PORTION: i32 = 2_000;

/// Whether an error says that a value is none of a type's, or of a domain's.
fn is_of_a_value(code: &str) -> bool {
    ["22", "23", "42", "P0"].iter().any(|class| code.starts_with(class))
}

const TYPES_SQL: &str = "\
SELECT format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a
WHERE a.attrelid = $1 AND a.attname = ANY ($2) AND NOT a.attisdropped
ORDER BY array_position($2, a.attname::text)";

/// `pg_class` is as the snapshot has it, `pg_relation_filenode` tells of now; partitioned tables have
/// no files.
const UNCHANGED_SQL: &str = "\
WITH RECURSIVE tree (relid) AS (
    SELECT $1
    UNION
    SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.relid)
SELECT bool_and(c.relfilenode = coalesce(pg_relation_filenode(c.oid), 0))
FROM tree
JOIN pg_class c ON c.oid = tree.relid";
