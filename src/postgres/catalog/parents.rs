//! What the catalog knows of the tables that a table inherits from. Their rows and those of their children
//! may go to one topic, in the shape of the parent's.

use crate::facts::Parent;
use crate::wal::ReplicaIdentity;

use super::super::error::Error;
use super::table::{
    COLUMNS_SQL, IS_IDENTITY, IS_NOT_NULL, IS_PRIMARY, KEYS_SQL, defaults, flagged, missing,
};
use super::{Catalog, field};

/// A table that another one inherits from.
pub(super) struct Ancestor {
    pub(super) oid: u32,
    pub(super) table: (String, String),
    pub(super) distance: u32,
    pub(super) identity: ReplicaIdentity,
}

impl Catalog {
    /// What the rows of these tables are written by.
    pub(super) async fn parents(&mut self, found: Vec<Ancestor>) -> Result<Vec<Parent>, Error> {
        let mut parents = Vec::with_capacity(found.len());
        for Ancestor { oid, table, distance, identity } in found {
            let columns = self.rows(COLUMNS_SQL, &[&oid]).await?;
            let keys = self.rows(KEYS_SQL, &[&oid]).await?;
            let primary_key = flagged(&keys, IS_PRIMARY)?;
            let key = key(identity, primary_key, flagged(&keys, IS_IDENTITY)?);
            let names = columns.iter().map(|row| field(row, 0)).collect::<Result<_, _>>()?;
            parents.push(Parent {
                table,
                distance,
                columns: names,
                not_null: flagged(&columns, IS_NOT_NULL)?,
                defaults: defaults(&columns)?,
                missing: missing(&columns)?,
                key,
            });
        }
        Ok(parents)
    }
}

/// The key of a table as the stream would tell of it now: the primary key, if old rows carry it.
fn key(
    identity: ReplicaIdentity,
    primary_key: Vec<String>,
    identity_index: Vec<String>,
) -> Vec<String> {
    let is_carried = primary_key.iter().all(|name| identity_index.contains(name));
    match identity {
        ReplicaIdentity::Index if primary_key.is_empty() || !is_carried => identity_index,
        _ if primary_key.is_empty() => identity_index,
        _ => primary_key,
    }
}
