//! A table's shape in the stream, owned: what a `Relation` message announced.

use std::fmt;

/// The OID by which the stream names a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationId(pub u32);

impl fmt::Display for RelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `relreplident`: what of the old row PostgreSQL writes to the log.
///
/// Source: <https://www.postgresql.org/docs/current/catalog-pg-class.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaIdentity {
    /// `d`: the columns of the primary key, if any.
    Default,
    /// `f`: the whole row.
    Full,
    /// `i`: the columns of the chosen index.
    Index,
    /// `n`: nothing.
    Nothing,
}

/// A table's shape in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The OID of the table (of the partition root when published through it).
    pub id: RelationId,
    /// The PostgreSQL schema; the stream sends an empty name for `pg_catalog`, read as that.
    pub namespace: String,
    /// The table's name.
    pub name: String,
    /// The replica identity.
    pub identity: ReplicaIdentity,
    /// The published columns in the order in which tuples carry them.
    pub columns: Vec<RelationColumn>,
}

/// One column of a [`Relation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    /// The column's name.
    pub name: String,
    /// Whether the column is part of the replica identity (under FULL: every column).
    pub is_identity: bool,
    /// `pg_type.oid`; the domain's own OID for a domain column.
    pub type_oid: u32,
    /// `atttypmod`; −1 where there is none, and for domains.
    pub type_modifier: i32,
}
