//! What the live catalog says of a table, beyond what the stream says of it.
//!
//! Pure data between `postgres::catalog`, which reads it, and `plan`, which compiles it. The
//! catalog may be newer than the stream, so everything here is advice: where a row contradicts it,
//! the row is right and the plan is compiled again.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::types::TypeCatalog;

/// The facts of one table.
#[derive(Clone, Debug, Default, Hash)]
pub struct TableFacts {
    /// Whether the catalog has no such table any more: it knows nothing of what follows but types.
    pub is_gone: bool,
    /// Columns that the catalog declares NOT NULL (directly or by a NOT NULL domain).
    pub not_null: Vec<String>,
    /// Defaults of columns that are constants, as PostgreSQL prints the value that a row gets.
    pub defaults: BTreeMap<String, String>,
    /// What columns that were added to a table hold in its rows from before, as PostgreSQL prints it.
    pub missing: BTreeMap<String, String>,
    /// The columns of the primary key in key order; empty if there is none.
    pub primary_key: Vec<String>,
    /// A column of the primary key of which cannot be told which it was when the relation was sent.
    pub unknown_key: Option<String>,
    /// The columns of the replica identity index in key order, where the identity is an index.
    pub identity_index: Vec<String>,
    /// Its partitions that hold rows, one for each replica identity that they have: an old row is
    /// logged by the identity of its partition, and told of by the table's.
    pub leaves: Vec<Leaf>,
    /// The tables that it is a partition or a child of, the nearest first, by PostgreSQL schema and
    /// name; `None` if the catalog does not know the table (any more).
    pub ancestors: Option<Vec<(String, String)>>,
    /// The tables that it inherits from, the nearest first. A partition has none here.
    pub parents: Vec<Parent>,
    /// Where it has those: columns that the stream's rows have and it has no more, dropped or renamed since,
    /// in their order. They may have been a parent's, too.
    pub lost: Vec<String>,
    /// Whether it is partitioned or a partition: an UPDATE may move its rows, which is a DELETE and
    /// an INSERT in the stream.
    pub is_partitioned: bool,
    /// The types of the relation's columns, in their order, as PostgreSQL writes them; empty where nobody
    /// wants to know.
    pub type_names: Vec<String>,
    /// Every type that the relation's columns need, domains, elements and labels included.
    pub types: TypeCatalog,
}

/// Tells facts apart, where those of many tables would take too much room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactsDigest(u64);

impl TableFacts {
    /// The same for the same facts.
    #[must_use]
    pub fn digest(&self) -> FactsDigest {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        FactsDigest(hasher.finish())
    }

    /// The partitions that log old rows: of one without any identity PostgreSQL refuses to change
    /// rows.
    pub fn logging(&self) -> impl Iterator<Item = &Leaf> {
        let is_logging =
            |leaf: &&Leaf| leaf.identity.as_ref().is_none_or(|identity| !identity.is_empty());
        self.leaves.iter().filter(is_logging)
    }
}

/// A table that another one inherits from: what its own rows are written by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Parent {
    /// Its number, by which the stream speaks of it, too.
    pub oid: u32,
    /// Its PostgreSQL schema and its name.
    pub table: (String, String),
    /// The tables that it inherits from itself, however far above it.
    pub ancestors: Vec<(String, String)>,
    /// Its columns in their order.
    pub columns: Vec<String>,
    /// See [`TableFacts`].
    pub not_null: Vec<String>,
    /// See there.
    pub defaults: BTreeMap<String, String>,
    /// See there.
    pub missing: BTreeMap<String, String>,
    /// See there.
    pub primary_key: Vec<String>,
    /// The columns of its replica identity in key order, if it has any; `None` where that is all of the
    /// row, or nothing by choice, which both leave the key to the primary key.
    pub identity: Option<Vec<String>>,
}

/// A partition that holds rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// Its PostgreSQL schema and its name.
    pub table: (String, String),
    /// The columns of its replica identity in key order; `None` where that is the whole row.
    pub identity: Option<Vec<String>>,
}

impl Leaf {
    /// Whether its old rows carry the column.
    #[must_use]
    pub fn carries(&self, column: &str) -> bool {
        self.identity.as_ref().is_none_or(|identity| identity.iter().any(|name| name == column))
    }
}
