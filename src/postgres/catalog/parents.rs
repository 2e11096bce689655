//! What the catalog knows of the tables that a table inherits from. Their rows and those of their children
//! may go to one topic, in the shape of the parent's.

use crate::facts::Parent;
use crate::wal::ReplicaIdentity;

use super::super::error::Error;
use super::relation::replica_identity;
use super::table::{
    COLUMN_OF, COLUMNS_SQL, IS_IDENTITY, IS_LOGGED, IS_NOT_NULL, IS_PRIMARY, KEY_OF, KEYS_SQL,
    Param, defaults, flagged, missing,
};
use super::{Catalog, Row, drive, field};

/// A table that another one inherits from.
pub(super) struct Ancestor {
    pub(super) oid: u32,
    pub(super) table: (String, String),
    pub(super) ancestors: Vec<(String, String)>,
}

/// What the catalog said of some tables, each in the order of their OIDs.
struct Answers {
    columns: Vec<Row>,
    keys: Vec<Row>,
    tables: Vec<Row>,
}

impl Catalog {
    /// What the rows of these tables are written by; `None` if one of them is gone.
    pub(super) async fn parents(
        &mut self,
        found: Vec<Ancestor>,
    ) -> Result<Option<Vec<Parent>>, Error> {
        if found.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let oids: Vec<u32> = found.iter().map(|ancestor| ancestor.oid).collect();
        let answers = self.ask_of_parents(&oids).await?;
        found.into_iter().map(|ancestor| answers.parent(ancestor)).collect()
    }

    /// Asks all at once. That the tables are there comes last of what is asked of them, since they may be
    /// dropped in between.
    async fn ask_of_parents(&mut self, oids: &[u32]) -> Result<Answers, Error> {
        let [of_columns, of_keys, of_tables] = [
            self.prepared(COLUMNS_SQL).await?,
            self.prepared(KEYS_SQL).await?,
            self.prepared(TABLES_SQL).await?,
        ];
        let (client, of_them): (_, &[Param<'_>]) = (&self.client, &[&oids]);
        let answers = Box::pin(async {
            let (columns, keys, tables) = tokio::join!(
                biased;
                client.query(&of_columns, of_them),
                client.query(&of_keys, of_them),
                client.query(&of_tables, of_them),
            );
            Ok(Answers { columns: columns?, keys: keys?, tables: tables? })
        });
        drive(&mut self.connection, &self.peer, self.timeout, answers).await
    }
}

impl Answers {
    fn parent(&self, ancestor: Ancestor) -> Result<Option<Parent>, Error> {
        let Ancestor { oid, table, ancestors } = ancestor;
        let Some(it) = of(&self.tables, 0, oid).first() else { return Ok(None) };
        let (columns, keys) = (of(&self.columns, COLUMN_OF, oid), of(&self.keys, KEY_OF, oid));
        let names = columns.iter().map(|row| field(row, 0)).collect::<Result<_, _>>()?;
        Ok(Some(Parent {
            oid,
            table,
            ancestors,
            columns: names,
            not_null: flagged(columns, IS_NOT_NULL)?,
            defaults: defaults(columns)?,
            missing: missing(columns)?,
            primary_key: flagged(keys, IS_PRIMARY)?,
            identity: match replica_identity(it, 1)? {
                ReplicaIdentity::Default => Some(flagged(keys, IS_LOGGED)?),
                ReplicaIdentity::Full | ReplicaIdentity::Nothing => None,
                ReplicaIdentity::Index => Some(flagged(keys, IS_IDENTITY)?),
            },
        }))
    }
}

/// The rows of one table, whose OID is in this column.
fn of(rows: &[Row], column: usize, oid: u32) -> &[Row] {
    let oid_of = |row: &Row| field::<u32>(row, column).ok();
    let mut tables = rows.chunk_by(|one, next| oid_of(one) == oid_of(next));
    tables.find(|rows| rows.first().and_then(oid_of) == Some(oid)).unwrap_or_default()
}

const TABLES_SQL: &str = "\
SELECT c.oid, c.relreplident::text
FROM pg_class c
WHERE c.oid = ANY ($1::oid[])";
