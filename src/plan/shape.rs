//! What is decided of a table's columns: kinds, which may be null, which make the key.
//!
//! The stream's `Relation` is of the time of the change, the catalog's facts may be newer. Where
//! they disagree on the key, the stream is right.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Settings;
use super::error::Error;
use super::registered::{Registered, RegisteredField};
use crate::columns;
use crate::encode::schema::{self, Field};
use crate::encode::{Naming, Values, Wide, default_of, is_topic_character, needs_null};
use crate::facts::{Leaf, TableFacts};
use crate::types::Kind;
use crate::wal::{Column, Relation, ReplicaIdentity, Tuple};

/// The longest name that Kafka allows a topic.
///
/// Source: `org.apache.kafka.common.internals.Topic`
pub(super) const TOPIC_LENGTH_MAX: usize = 249;

/// One published column.
#[derive(Clone, Debug)]
pub(super) struct ColumnShape {
    pub(super) name: String,
    /// What its fields are called in rows and in keys.
    pub(super) field: String,
    pub(super) field_in_key: String,
    pub(super) kind: Kind,
    /// The kind in a key: of an enum a text, since labels come and go.
    pub(super) key_kind: Kind,
    /// PostgreSQL's text of its default, where that is a constant.
    pub(super) constant: Option<String>,
    /// The same, and what older rows have, as a schema has them.
    pub(super) connect_default: Option<Value>,
    pub(super) default: Option<Value>,
    /// As which wider number it stands, in rows and in keys.
    pub(super) wide: Option<Wide>,
    pub(super) wide_in_key: Option<Wide>,
    /// Whether every old row carries it, of whatever partition it is.
    pub(super) is_identity: bool,
    /// Whether its field in a key is declared nullable; no key is null.
    pub(super) is_optional_in_key: bool,
    /// Whether its field may be null: if the column may, where a null stands for a value, or if readers
    /// would not know what else older rows have.
    pub(super) is_optional: bool,
    /// Whether its field in old rows may be null where these are a record of their own.
    pub(super) is_optional_before: bool,
}

/// A table's columns in the order of its tuples, and its key.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// `<schema>.<table>`, for errors.
    pub(super) table: String,
    pub(super) columns: Vec<ColumnShape>,
    /// The key's columns in key order, by their index; empty for a null key.
    pub(super) key: Vec<usize>,
    key_naming: Naming,
    /// Whether old rows come whole: with REPLICA IDENTITY FULL, which each partition has too.
    pub(super) is_whole: bool,
    /// A partition whose old rows lack what those of the table should have.
    pub(super) odd_leaf: Option<(String, String)>,
}

impl Shape {
    /// Reads a relation with what the catalog and the newest schemas say of it.
    pub(super) fn new(
        relation: &Relation,
        facts: &TableFacts,
        registered: &Registered,
        settings: &Settings,
    ) -> Self {
        let (values, naming) = (&settings.values, settings.value_naming());
        let (key_values, key_naming) = (values.of_keys(), settings.key_naming());
        let key = key(relation, facts);
        let has_flags = relation.columns.iter().any(|column| column.is_identity);
        let has_leaves = facts.logging().next().is_some();
        let is_whole = relation.identity == ReplicaIdentity::Full
            && facts.logging().all(|leaf| leaf.identity.is_none());
        let columns = relation.columns.iter().map(|column| {
            let name = &column.name;
            let kind = facts.types.resolve(column.type_oid, column.type_modifier);
            // PostgreSQL takes no nullable column into such an identity.
            let is_logged = column.is_identity
                && matches!(relation.identity, ReplicaIdentity::Default | ReplicaIdentity::Index);
            let is_nullable = !is_logged && !facts.not_null.contains(name);
            let is_identity = (if has_flags { column.is_identity } else { has_leaves })
                && facts.logging().all(|leaf| leaf.carries(name));
            let is_nullable = is_nullable || needs_null(&kind, values);
            let ColumnDefault { constant, connect_default, default, wide } =
                ColumnDefault::new(name, &kind, facts, registered, values);
            let was = |field: Option<&RegisteredField>| field.is_some_and(|it| it.is_nullable);
            let is_optional = is_nullable
                || was(registered.row(name))
                || registered.lacks(name) && default.is_none();
            ColumnShape {
                field: naming.field(name),
                field_in_key: key_naming.field(name),
                name: name.clone(),
                constant,
                connect_default,
                default,
                wide,
                wide_in_key: registered.key(name).and_then(|field| field.wide),
                is_identity,
                is_optional_in_key: needs_null(&kind, &key_values),
                is_optional,
                is_optional_before: is_optional
                    || !is_whole && !is_identity
                    || was(registered.before(name)),
                key_kind: without_labels(&kind),
                kind,
            }
        });
        Self {
            table: format!("{}.{}", relation.namespace, relation.name),
            columns: columns.collect(),
            is_whole,
            odd_leaf: odd_leaf(relation, facts, &key).map(|leaf| leaf.table.clone()),
            key,
            key_naming,
        }
    }

    /// Refuses two columns whose names become the same field of a row or of a key.
    pub(super) fn refuse_shared_fields(&self) -> Result<(), Error> {
        let rows = self.columns.iter().map(|it| (&*it.name, it.field.clone()));
        refuse_shared(&self.table, rows)?;
        let key = self.key_columns().map(|(_, it)| (&*it.name, it.field_in_key.clone()));
        refuse_shared(&self.table, key)
    }

    /// The columns as fields of a record.
    pub(super) fn fields(&self) -> Vec<Field<'_>> {
        self.columns.iter().map(|column| field(column, column.is_optional)).collect()
    }

    /// The fields of the record `Before`: columns outside the identity are unknown, so optional.
    pub(super) fn before_fields(&self) -> Vec<Field<'_>> {
        self.columns.iter().map(|column| field(column, column.is_optional_before)).collect()
    }

    /// Makes one record of old and new rows: what may be null in either may be so.
    pub(super) fn share(&mut self) {
        for column in &mut self.columns {
            column.is_optional = column.is_optional_before;
        }
    }

    /// The fields of the key in key order. The schema's id is part of a key's bytes, so all this
    /// depends on the columns' types alone: no default, and nothing of what the catalog says today. With
    /// [`Naming::Avro`] it does not tell columns' own names either: there were keys before it could.
    pub(super) fn key_fields(&self) -> Vec<Field<'_>> {
        let columns = self.key_columns();
        let is_told = self.key_naming == Naming::AvroUnicode;
        let fields = columns.map(|(_, column)| Field {
            name: &column.field_in_key,
            column: own_name(column, &column.field_in_key).filter(|_| is_told),
            kind: &column.key_kind,
            wide: column.wide_in_key,
            default: None,
            connect_default: None,
            ..field(column, column.is_optional_in_key)
        });
        fields.collect()
    }

    /// The key's columns in key order, and their indexes.
    pub(super) fn key_columns(&self) -> impl Iterator<Item = (usize, &ColumnShape)> {
        self.key.iter().filter_map(|index| Some((*index, self.columns.get(*index)?)))
    }

    /// Columns of decimals with more digits behind the point than readers have.
    pub(super) fn rescaled(&self) -> Vec<String> {
        let is_rescaled = |column: &&ColumnShape| match (&column.kind, column.wide) {
            (Kind::Numeric { declared: Some((_, now)) }, Some(Wide::Decimal { scale, .. })) => {
                i32::from(scale) < i32::from(*now)
            }
            _ => false,
        };
        self.columns.iter().filter(is_rescaled).map(|column| column.name.clone()).collect()
    }

    /// Its columns, those of the relation, as the topic of schema changes has them with these types.
    pub(super) fn told(&self, relation: &Relation, type_names: &[String]) -> Vec<columns::Column> {
        let mut told = Vec::new();
        let columns = self.columns.iter().zip(&relation.columns).zip(type_names);
        for (index, ((shape, column), type_name)) in columns.enumerate() {
            told.push(columns::Column {
                name: shape.name.clone(),
                type_name: type_name.clone(),
                type_oid: column.type_oid,
                type_modifier: column.type_modifier,
                key: self.key.contains(&index),
                nullable: shape.is_optional,
            });
        }
        told
    }

    /// Columns whose type is published as PostgreSQL's text: column and type.
    pub(super) fn unknown(&self) -> Vec<(String, String)> {
        let unknown = |column: &ColumnShape| {
            let mut kind = &column.kind;
            while let Kind::Array(element) = kind {
                kind = element;
            }
            match kind {
                Kind::Other { name } => Some((column.name.clone(), name.clone())),
                _ => None,
            }
        };
        self.columns.iter().filter_map(unknown).collect()
    }
}

/// Refuses two columns whose names become the same field.
pub(super) fn refuse_shared_fields<'a>(
    table: &str,
    columns: impl IntoIterator<Item = &'a str>,
    naming: Naming,
) -> Result<(), Error> {
    refuse_shared(table, columns.into_iter().map(|column| (column, naming.field(column))))
}

fn refuse_shared<'a>(
    table: &str,
    columns: impl IntoIterator<Item = (&'a str, String)>,
) -> Result<(), Error> {
    let mut fields = BTreeMap::new();
    for (column, field) in columns {
        if let Some(first) = fields.insert(field.clone(), column) {
            let columns = [first.to_owned(), column.to_owned()];
            return Err(Error::SharedField { table: table.to_owned(), columns, field });
        }
    }
    Ok(())
}

/// Whether Kafka allows a topic of this name.
pub(super) fn is_topic_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= TOPIC_LENGTH_MAX
        && name.chars().all(is_topic_character)
}

/// The column of this index, where an unchanged TOAST value is taken from the old row, if that
/// has it. (NULL is never stored outside the row, so an old NULL says nothing here.)
pub(super) fn column_at<'a>(
    tuple: Tuple<'a>,
    fill: Option<Tuple<'a>>,
    index: usize,
) -> Option<Column<'a>> {
    let column = tuple.columns().nth(index)?;
    Some(filled(column, || fill.and_then(|old| old.columns().nth(index))))
}

/// The column, or the old row's value where it is unchanged and the old row has one.
pub(super) fn filled<'a>(
    column: Column<'a>,
    old: impl FnOnce() -> Option<Column<'a>>,
) -> Column<'a> {
    match column {
        Column::Unchanged => match old() {
            Some(old @ (Column::Binary(_) | Column::Text(_))) => old,
            _ => Column::Unchanged,
        },
        _ => column,
    }
}

fn without_labels(kind: &Kind) -> Kind {
    match kind {
        Kind::Array(element) => Kind::Array(Box::new(without_labels(element))),
        Kind::Enum { .. } => Kind::Text,
        kind => kind.clone(),
    }
}

/// A column's own name, where its field has another.
fn own_name<'a>(column: &'a ColumnShape, field: &str) -> Option<&'a str> {
    Some(column.name.as_str()).filter(|name| *name != field)
}

fn field(column: &ColumnShape, is_optional: bool) -> Field<'_> {
    Field {
        name: &column.field,
        column: own_name(column, &column.field),
        kind: &column.kind,
        wide: column.wide,
        optional: is_optional,
        default: column.default.as_ref(),
        connect_default: column.connect_default.as_ref(),
    }
}

/// What a field has where a record has none.
struct ColumnDefault {
    /// PostgreSQL's text of the column's constant default.
    constant: Option<String>,
    /// The same as a schema has it.
    connect_default: Option<Value>,
    /// What readers put into older records, which only a column that is new to them decides.
    default: Option<Value>,
    wide: Option<Wide>,
}

impl ColumnDefault {
    fn new(
        name: &str,
        kind: &Kind,
        facts: &TableFacts,
        registered: &Registered,
        values: &Values,
    ) -> Self {
        let known = registered.row(name);
        let wide = known.and_then(|field| field.wide);
        let constant = facts.defaults.get(name).cloned();
        let of = |text: &String| default_of(kind, wide, text, values);
        let connect_default = constant.as_ref().and_then(of);
        let missing = facts.missing.get(name).filter(|_| registered.lacks(name));
        let field = Field { wide, ..Field::new(name, kind, false) };
        let stays = || known?.default(&schema::bare(&schema::declared(&field, values))).cloned();
        let default = match missing {
            Some(text) => of(text),
            None => stays().or_else(|| connect_default.clone()),
        };
        Self { constant, connect_default, default, wide }
    }
}

/// The indexes of the key's columns.
///
/// The primary key, if deletes carry all of it: with another index as identity they do not, and
/// then that index is the key, since a delete without its key deletes nothing downstream.
fn key(relation: &Relation, facts: &TableFacts) -> Vec<usize> {
    let key = own_key(relation, facts);
    if key.is_empty() { leaves_key(relation, facts).unwrap_or_default() } else { key }
}

/// What the partitions identify their rows by, if all do so by the same columns.
fn leaves_key(relation: &Relation, facts: &TableFacts) -> Option<Vec<usize>> {
    let mut identities = facts.logging().map(|leaf| indexes(relation, leaf.identity.as_deref()?));
    let first = identities.next()??;
    identities.all(|it| it.is_some_and(|it| is_same_set(&it, &first))).then_some(first)
}

/// A partition as the stream announced it.
pub fn leaf(relation: &Relation) -> Leaf {
    let names = relation.columns.iter().filter(|column| column.is_identity);
    Leaf {
        table: (relation.namespace.clone(), relation.name.clone()),
        identity: (relation.identity != ReplicaIdentity::Full)
            .then(|| names.map(|column| column.name.clone()).collect()),
    }
}

/// A partition whose old rows lack a column of the key, or anything where the table's are said to
/// be whole, or that has another identity than the others where the table has none.
fn odd_leaf<'f>(relation: &Relation, facts: &'f TableFacts, key: &[usize]) -> Option<&'f Leaf> {
    let lacks_key = |leaf: &&Leaf| {
        let columns = key.iter().filter_map(|index| relation.columns.get(*index));
        columns.into_iter().any(|column| !leaf.carries(&column.name))
    };
    let is_other = |leaf: &&Leaf| match relation.identity {
        ReplicaIdentity::Full => leaf.identity.is_some(),
        _ => key.is_empty() && facts.logging().any(|first| first.identity != leaf.identity),
    };
    facts.logging().find(lacks_key).or_else(|| facts.logging().find(is_other))
}

/// The names of the columns of a table's key, in its order; none where it has no key.
#[must_use]
pub fn key_names(relation: &Relation, facts: &TableFacts) -> Vec<String> {
    let column = |index: usize| relation.columns.get(index).map(|column| column.name.clone());
    key(relation, facts).into_iter().filter_map(column).collect()
}

/// The key by what stream and catalog say of the table itself.
fn own_key(relation: &Relation, facts: &TableFacts) -> Vec<usize> {
    let flagged: Vec<usize> = relation
        .columns
        .iter()
        .enumerate()
        .filter_map(|(index, column)| column.is_identity.then_some(index))
        .collect();
    let primary_key = indexes(relation, &facts.primary_key);
    let identity_index = indexes(relation, &facts.identity_index);
    match relation.identity {
        // FULL flags every column, and nothing is flagged where there is no identity.
        ReplicaIdentity::Full | ReplicaIdentity::Nothing => {
            primary_key.or(identity_index).unwrap_or_default()
        }
        // An insert-only publication may publish a part of the primary key.
        ReplicaIdentity::Default if primary_key.is_none() && !facts.primary_key.is_empty() => {
            Vec::new()
        }
        ReplicaIdentity::Default => {
            primary_key.filter(|key| is_same_set(key, &flagged)).unwrap_or(flagged)
        }
        ReplicaIdentity::Index => primary_key
            .filter(|key| key.iter().all(|index| flagged.contains(index)))
            .or_else(|| identity_index.filter(|key| is_same_set(key, &flagged)))
            .unwrap_or(flagged),
    }
}

/// The indexes of the named columns, if there are any and all are published.
fn indexes(relation: &Relation, names: &[String]) -> Option<Vec<usize>> {
    if names.is_empty() {
        return None;
    }
    let index = |name: &String| relation.columns.iter().position(|column| column.name == *name);
    names.iter().map(index).collect()
}

fn is_same_set(left: &[usize], right: &[usize]) -> bool {
    left.len() == right.len() && left.iter().all(|index| right.contains(index))
}
