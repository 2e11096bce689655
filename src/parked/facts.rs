//! The wire form of what a plan is made from: the relation as the stream announced it, and what the
//! catalog said of it then. It may say something else when the table's changes are brought back, or
//! nothing.

use serde::{Deserialize, Serialize};

use super::{Error, json};
use crate::facts::{Leaf, Parent, TableFacts};
use crate::types::{TypeCatalog, TypeFacts};
use crate::wal::{Relation, RelationColumn, RelationId, ReplicaIdentity};

/// A relation, and what its plan needs to know.
#[derive(Clone, Debug)]
pub struct Shape {
    /// As the stream announced it.
    pub relation: Relation,
    /// As the catalog knew it.
    pub facts: TableFacts,
}

impl Shape {
    /// As JSON.
    ///
    /// # Panics
    ///
    /// Never: it holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&Wire::from(self)).expect("a shape is plain JSON")
    }

    /// Reads it back.
    ///
    /// # Errors
    ///
    /// If it is something else.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| json(&error))?;
        Ok(wire.into())
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    relation: WireRelation,
    facts: WireFacts,
}

#[derive(Serialize, Deserialize)]
struct WireRelation {
    id: u32,
    schema: String,
    name: String,
    identity: Identity,
    columns: Vec<Column>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ReplicaIdentity", rename_all = "lowercase")]
enum IdentityDef {
    Default,
    Full,
    Index,
    Nothing,
}

#[derive(Serialize, Deserialize)]
struct Identity(#[serde(with = "IdentityDef")] ReplicaIdentity);

#[derive(Serialize, Deserialize)]
struct Column {
    name: String,
    #[serde(default, skip_serializing_if = "super::is_false")]
    identity: bool,
    #[serde(rename = "type")]
    type_oid: u32,
    modifier: i32,
}

/// Source of the names: the fields of [`TableFacts`].
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WireFacts {
    #[serde(skip_serializing_if = "super::is_false")]
    is_gone: bool,
    not_null: Vec<String>,
    defaults: std::collections::BTreeMap<String, String>,
    missing: std::collections::BTreeMap<String, String>,
    primary_key: Vec<String>,
    unknown_key: Option<String>,
    identity_index: Vec<String>,
    leaves: Vec<WireLeaf>,
    ancestors: Option<Vec<(String, String)>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parents: Vec<WireParent>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lost: Vec<String>,
    is_partitioned: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    type_names: Vec<String>,
    types: Vec<TypeFacts>,
}

impl Default for WireFacts {
    fn default() -> Self {
        TableFacts::default().into()
    }
}

#[derive(Serialize, Deserialize)]
struct WireLeaf {
    table: (String, String),
    identity: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Parent")]
struct ParentDef {
    #[serde(default)]
    oid: u32,
    table: (String, String),
    /// Earlier states wrote none: then a child of several is refused, of which one may be the other's.
    #[serde(default)]
    ancestors: Vec<(String, String)>,
    columns: Vec<String>,
    not_null: Vec<String>,
    defaults: std::collections::BTreeMap<String, String>,
    missing: std::collections::BTreeMap<String, String>,
    /// Earlier states wrote what the key is.
    #[serde(alias = "key")]
    primary_key: Vec<String>,
    #[serde(default)]
    identity: Option<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
struct WireParent(#[serde(with = "ParentDef")] Parent);

impl From<&Shape> for Wire {
    fn from(Shape { relation, facts }: &Shape) -> Self {
        let Relation { id, namespace, name, identity, columns } = relation.clone();
        let column = |it: RelationColumn| Column {
            name: it.name,
            identity: it.is_identity,
            type_oid: it.type_oid,
            modifier: it.type_modifier,
        };
        let relation = WireRelation {
            id: id.0,
            schema: namespace,
            name,
            identity: Identity(identity),
            columns: columns.into_iter().map(column).collect(),
        };
        Self { relation, facts: facts.clone().into() }
    }
}

impl From<Wire> for Shape {
    fn from(Wire { relation, facts }: Wire) -> Self {
        let column = |it: Column| RelationColumn {
            name: it.name,
            is_identity: it.identity,
            type_oid: it.type_oid,
            type_modifier: it.modifier,
        };
        let relation = Relation {
            id: RelationId(relation.id),
            namespace: relation.schema,
            name: relation.name,
            identity: relation.identity.0,
            columns: relation.columns.into_iter().map(column).collect(),
        };
        Self { relation, facts: facts.into() }
    }
}

impl From<TableFacts> for WireFacts {
    fn from(facts: TableFacts) -> Self {
        let TableFacts {
            is_gone,
            not_null,
            defaults,
            missing,
            primary_key,
            unknown_key,
            identity_index,
            leaves,
            ancestors,
            parents,
            lost,
            is_partitioned,
            type_names,
            types,
        } = facts;
        let leaf = |Leaf { table, identity }| WireLeaf { table, identity };
        Self {
            is_gone,
            not_null,
            defaults,
            missing,
            primary_key,
            unknown_key,
            identity_index,
            leaves: leaves.into_iter().map(leaf).collect(),
            ancestors,
            parents: parents.into_iter().map(WireParent).collect(),
            lost,
            is_partitioned,
            type_names,
            types: types.into_iter().collect(),
        }
    }
}

impl From<WireFacts> for TableFacts {
    fn from(wire: WireFacts) -> Self {
        let leaf = |WireLeaf { table, identity }| Leaf { table, identity };
        let mut types = TypeCatalog::default();
        wire.types.into_iter().for_each(|facts| types.insert(facts));
        Self {
            is_gone: wire.is_gone,
            not_null: wire.not_null,
            defaults: wire.defaults,
            missing: wire.missing,
            primary_key: wire.primary_key,
            unknown_key: wire.unknown_key,
            identity_index: wire.identity_index,
            leaves: wire.leaves.into_iter().map(leaf).collect(),
            ancestors: wire.ancestors,
            parents: wire.parents.into_iter().map(|it| it.0).collect(),
            lost: wire.lost,
            is_partitioned: wire.is_partitioned,
            type_names: wire.type_names,
            types,
        }
    }
}
