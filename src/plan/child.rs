//! Children by inheritance whose rows are those of their parent: with its columns, in its order, and its
//! key. What only the child has is left out; what the parent has the child has, too.

use super::error::Error;
use super::shape::key_names;
use super::topic::TopicFault;
use crate::change::{Change, Op};
use crate::facts::{Parent, TableFacts};
use crate::wal::{OldTuple, Relation, RelationColumn, RelationId, ReplicaIdentity, Tuple, Tuples};

/// A child as its parent would be.
#[derive(Debug)]
pub(super) struct AsParent {
    pub(super) relation: Relation,
    pub(super) facts: TableFacts,
    /// The key's columns in key order, by their index.
    pub(super) key: Vec<usize>,
    /// How its rows become those; `None` if they are.
    pub(super) projection: Option<Projection>,
}

impl AsParent {
    /// # Errors
    ///
    /// If old rows of the child do not carry the parent's key.
    pub(super) fn new(
        relation: &Relation,
        facts: &TableFacts,
        parent: &Parent,
    ) -> Result<Self, Error> {
        let order = order(relation, facts, parent);
        let columns = order.iter().filter_map(|index| relation.columns.get(*index).cloned());
        let columns: Vec<_> = columns.collect();
        let lacks = |name: &&String| {
            let column = columns.iter().find(|column| column.name == **name);
            column.is_none_or(|column| has_old_rows(relation) && !column.is_identity)
        };
        let parent_key = key_of(parent);
        if let Some(column) = parent_key.iter().find(lacks) {
            let fault =
                TopicFault::ChildKey { parent: parent.table.clone(), column: column.clone() };
            return Err(fault.of(relation));
        }
        let index = |name: &String| columns.iter().position(|column| column.name == *name);
        let key = parent_key.iter().filter_map(index).collect();
        let is_same = order.iter().copied().eq(0..relation.columns.len());
        let not_null = parent.not_null.iter().filter(|name| facts.not_null.contains(name));
        let facts = TableFacts {
            not_null: not_null.cloned().collect(),
            defaults: parent.defaults.clone(),
            missing: parent.missing.clone(),
            primary_key: parent_key,
            identity_index: Vec::new(),
            unknown_key: None,
            type_names: order.iter().filter_map(|it| facts.type_names.get(*it).cloned()).collect(),
            ..facts.clone()
        };
        let projection = (!is_same).then(|| Projection::new(order, relation.columns.len()));
        let relation = Relation { columns, ..relation.clone() };
        Ok(Self { relation, facts, key, projection })
    }
}

/// The key of the parent's own rows, as the stream would announce the parent now.
fn key_of(parent: &Parent) -> Vec<String> {
    let logged = parent.identity.as_deref().unwrap_or_default();
    let column = |name: &String| RelationColumn {
        name: name.clone(),
        is_identity: logged.contains(name),
        type_oid: 0,
        type_modifier: -1,
    };
    let relation = Relation {
        id: RelationId(0),
        namespace: parent.table.0.clone(),
        name: parent.table.1.clone(),
        identity: match parent.identity {
            None => ReplicaIdentity::Full,
            // By default it is the primary key's.
            Some(_) => ReplicaIdentity::Index,
        },
        columns: parent.columns.iter().map(column).collect(),
    };
    let facts = TableFacts {
        primary_key: parent.primary_key.clone(),
        identity_index: logged.to_vec(),
        ..TableFacts::default()
    };
    key_names(&relation, &facts)
}

/// The columns that are the parent's, in its order, by their index in the child's rows. The catalog may be
/// newer than those: what neither has any more stays where it stood.
fn order(relation: &Relation, facts: &TableFacts, parent: &Parent) -> Vec<usize> {
    let place = |name: &String| relation.columns.iter().position(|it| it.name == *name);
    let mut order: Vec<usize> = parent.columns.iter().filter_map(place).collect();
    for lost in facts.lost.iter().filter_map(place) {
        let in_order = |index: usize| order.iter().position(|it| *it == index);
        let behind = (0..lost).rev().find_map(in_order).map_or(0, |before| before + 1);
        order.insert(behind, lost);
    }
    order
}

/// Whether the log has old rows of it: of one without an identity PostgreSQL refuses to change rows.
fn has_old_rows(relation: &Relation) -> bool {
    relation.identity == ReplicaIdentity::Full
        || relation.columns.iter().any(|column| column.is_identity)
}

/// How a child's rows become its parent's.
#[derive(Debug)]
pub(super) struct Projection {
    /// The columns that are taken, by their index, in the order in which they are.
    order: Vec<usize>,
    /// How many the child has.
    len: usize,
    new: Vec<u8>,
    old: Vec<u8>,
}

impl Projection {
    fn new(order: Vec<usize>, len: usize) -> Self {
        Self { order, len, new: Vec::new(), old: Vec::new() }
    }

    /// The change as one of the parent's; else how many columns a row should have, and has.
    pub(super) fn of<'a>(&'a mut self, change: &Change<'a>) -> Result<Change<'a>, (usize, usize)> {
        let Self { order, len, new: new_row, old: old_row } = self;
        let of = |row: Tuple<'_>, out: &'a mut Vec<u8>| project(row, order, *len, out);
        let op = match change.op {
            Op::Absent { relation, part, gap, key } => {
                Op::Absent { relation, part, gap, key: of(key, old_row)? }
            }
            Op::Delete { relation, old: OldTuple { kind, tuple } } => {
                Op::Delete { relation, old: OldTuple { kind, tuple: of(tuple, old_row)? } }
            }
            Op::Insert { relation, new } => Op::Insert { relation, new: of(new, new_row)? },
            Op::Read { relation, part, gap, new } => {
                Op::Read { relation, part, gap, new: of(new, new_row)? }
            }
            Op::Update { relation, old, new } => {
                let old = match old {
                    None => None,
                    Some(OldTuple { kind, tuple }) => {
                        Some(OldTuple { kind, tuple: of(tuple, old_row)? })
                    }
                };
                Op::Update { relation, old, new: of(new, new_row)? }
            }
            op @ (Op::Message { .. } | Op::Pending { .. } | Op::Truncate { .. }) => op,
        };
        Ok(Change { op, ..*change })
    }
}

fn project<'a>(
    row: Tuple<'_>,
    order: &[usize],
    len: usize,
    out: &'a mut Vec<u8>,
) -> Result<Tuple<'a>, (usize, usize)> {
    let found = row.len();
    if found != len {
        return Err((len, found));
    }
    out.clear();
    row.select(order, out);
    // What was selected of a row is one.
    Tuples::new(out).next().and_then(Result::ok).ok_or((len, found))
}
