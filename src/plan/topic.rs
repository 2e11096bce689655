//! Which topic a table's rows go to, and who may write to one together.
//!
//! A topic is one table's, unless the configuration says otherwise: tables share one on purpose
//! ([`SharedTopic`]), or children by inheritance go where their parent does. Those that share on purpose
//! must have keys that tell them apart and fields that one reader can read; what only one of them has is
//! the registry's rule's matter, since tenants migrate one after another.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{Error, quoted};
use super::shape::{Shape, TOPIC_LENGTH_MAX};
use super::{Settings, is_excluded};
use crate::config::{Children, Outbox, SharedTopic};
use crate::encode::schema::{Field, bare, declared};
use crate::facts::{Parent, TableFacts};
use crate::wal::{Relation, RelationId};

/// Header: `schema.table`, of a record in a topic that several tables share.
pub const TABLE_HEADER: &str = "walbrook.table";

/// Where the rows of a table go.
#[derive(Debug)]
pub(super) struct Destination<'a> {
    pub(super) topic: String,
    /// The table that it inherits from, whose topic it is.
    pub(super) parent: Option<&'a Parent>,
    shared: Option<&'a SharedTopic>,
    /// The first field of the key and its value, if that says whose it is.
    pub(super) key_field: Option<(String, String)>,
    /// Schema and name of the table whose topic it is, or would be.
    of: (String, String),
}

impl<'a> Destination<'a> {
    /// # Errors
    ///
    /// If two sections say so, or the topic's name is too long.
    pub(super) fn of(
        relation: &'a Relation,
        facts: &'a TableFacts,
        settings: &'a Settings,
    ) -> Result<Self, Error> {
        let parent = parent(relation, facts, settings)?;
        let own = || (relation.namespace.clone(), relation.name.clone());
        let of = parent.map_or_else(own, |parent| parent.table.clone());
        let shared = shared(relation, &of, settings)?;
        let template = shared.map_or(&settings.template, |shared| &shared.topic);
        let fill =
            |template: &crate::config::Template| template.fill(&settings.prefix, &of.0, &of.1);
        let topic = settings.tables.name_adjustment.topic(&fill(template));
        if TOPIC_LENGTH_MAX < topic.len() {
            let table = format!("{}.{}", relation.namespace, relation.name);
            return Err(Error::TopicLength { table, length: topic.len() });
        }
        let key_field = shared.and_then(|shared| shared.key_field.as_ref());
        let key_field = key_field.map(|it| (it.name.clone(), fill(&it.value)));
        Ok(Self { topic, parent, shared, key_field, of })
    }

    /// How records of the table are told from others' in its topic.
    pub(super) fn sharing(&self, relation: &Relation) -> Sharing {
        let (namespace, name) = &self.of;
        let is_alone = self.shared.is_none() && self.parent.is_none();
        let parent_header = self.shared.map(|_| format!("{namespace}.{name}"));
        Sharing {
            table: (!is_alone).then(|| format!("{}.{}", relation.namespace, relation.name)),
            parent: self.parent.map(|_| parent_header),
            has_key_field: self.key_field.is_some(),
            are_keys_apart: self.shared.is_none() || self.key_field.is_some(),
        }
    }

    /// What the table asks of its topic.
    pub(super) fn claim(
        &self,
        relation: &Relation,
        facts: &TableFacts,
        shape: &Shape,
        settings: &Settings,
    ) -> Claim {
        let mut claim = Claim {
            table: (relation.namespace.clone(), relation.name.clone()),
            of: self.of.clone(),
            parents: facts.parents.iter().map(|parent| RelationId(parent.oid)).collect(),
            topic: self.topic.clone(),
            shared: self.shared.map(|shared| shared.number),
            key_value: self.key_field.as_ref().map(|(_, value)| value.clone()),
            key: Vec::new(),
            fields: BTreeMap::new(),
        };
        if self.shared.is_some() {
            let key_values = settings.values.of_keys();
            let of = |field: &Field<'_>, values| {
                bare(&declared(&Field { optional: false, ..*field }, values))
            };
            let key = shape.key_fields();
            let key = key.iter().map(|field| (field.name.to_owned(), of(field, &key_values)));
            claim.key = key.collect();
            let fields = shape.fields();
            let fields =
                fields.iter().map(|field| (field.name.to_owned(), of(field, &settings.values)));
            claim.fields = fields.collect();
        }
        claim
    }
}

/// The table whose topic a child's is: the topmost that the configuration does not leave out, whether or
/// not it is published, so that no topic depends on that.
fn parent<'f>(
    relation: &Relation,
    facts: &'f TableFacts,
    settings: &Settings,
) -> Result<Option<&'f Parent>, Error> {
    if settings.tables.children == Children::Own {
        return Ok(None);
    }
    let is_captured =
        |(namespace, name): &(String, String)| !is_excluded(namespace, name, settings);
    let is_topmost =
        |parent: &&Parent| is_captured(&parent.table) && !parent.ancestors.iter().any(is_captured);
    let mut topmost = facts.parents.iter().filter(is_topmost);
    match (topmost.next(), topmost.next()) {
        (Some(one), Some(other)) => {
            let parents = [one.table.clone(), other.table.clone()];
            Err(TopicFault::SeveralParents { parents }.of(relation))
        }
        (parent, _) => Ok(parent),
    }
}

/// The section by which it shares a topic.
fn shared<'s>(
    relation: &Relation,
    (namespace, table): &(String, String),
    settings: &'s Settings,
) -> Result<Option<&'s SharedTopic>, Error> {
    let mut found = settings.shared.iter().filter(|it| it.has(namespace, table));
    match (found.next(), found.next()) {
        (Some(one), Some(other)) => {
            Err(TopicFault::SeveralSections { numbers: [one.number, other.number] }.of(relation))
        }
        (shared, _) => Ok(shared),
    }
}

/// Refuses an outbox that is to share the topic of tables.
pub(super) fn refuse_outbox(
    relation: &Relation,
    outbox: &Outbox,
    settings: &Settings,
) -> Result<(), Error> {
    let (namespace, table) = (&relation.namespace, &relation.name);
    match settings.shared.iter().find(|it| it.has(namespace, table)) {
        Some(shared) => {
            let outbox = format!("{}.{}", outbox.namespace, outbox.table);
            Err(TopicFault::Outbox { number: shared.number, outbox }.of(relation))
        }
        None => Ok(()),
    }
}

/// How a table's records are told from those of others in its topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharing {
    /// What they have in the header [`TABLE_HEADER`]; nothing where the topic is the table's.
    pub table: Option<String>,
    /// Of a child by inheritance: what the records of its parent, whose topic it is, have there.
    pub parent: Option<Option<String>>,
    /// Whether the first field of their keys is no column.
    pub has_key_field: bool,
    /// Whether a key is one row's, whatever its table: not where tables share a topic, and no field of
    /// keys says whose they are.
    pub are_keys_apart: bool,
}

/// Whose a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It says something of the table.
    Own,
    /// It is another table's, whose key is that table's from then on.
    Others,
    /// It is another table's, and says nothing of this one.
    Unrelated,
}

impl Sharing {
    /// Whose a record with this header is. With the rows of the parent those of its children are
    /// truncated.
    #[must_use]
    pub fn whose(&self, header: Option<&str>, has_key: bool) -> Whose {
        let is_parents = self.parent.as_ref().is_some_and(|parent| parent.as_deref() == header);
        if header == self.table.as_deref() || (is_parents && !has_key) {
            Whose::Own
        } else if has_key && self.are_keys_apart {
            Whose::Others
        } else {
            Whose::Unrelated
        }
    }
}

/// What a table asks of its topic, to be held beside what others do.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    table: (String, String),
    /// The table whose topic it is.
    of: (String, String),
    /// The tables that it inherits from.
    parents: Vec<RelationId>,
    topic: String,
    /// The section by which it is shared.
    shared: Option<usize>,
    key_value: Option<String>,
    /// The fields of the key and their types; none where no section says that the topic is shared.
    key: Vec<(String, Value)>,
    /// Those of rows.
    fields: BTreeMap<String, Value>,
}

impl Claim {
    /// Whether this table asks it.
    #[must_use]
    pub fn is_of(&self, table: &(String, String)) -> bool {
        self.table == *table
    }

    /// Whether the topic depends on what this relation is, from which the table inherits.
    #[must_use]
    pub fn is_under(&self, relation: RelationId) -> bool {
        self.parents.contains(&relation)
    }

    /// Refuses a table whose topic is that of one of `others`, and not shared on purpose, or of which
    /// readers could not read the records beside those of the others.
    ///
    /// # Errors
    ///
    /// [`Error::SharedTopic`] or [`Error::Topic`].
    pub fn refuse<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Result<(), Error> {
        let is_beside = |other: &&Self| {
            other.topic == self.topic && other.table != self.table && other.of != self.of
        };
        others.into_iter().filter(is_beside).try_for_each(|other| self.beside(other))
    }

    fn beside(&self, other: &Self) -> Result<(), Error> {
        let topic = || self.topic.clone();
        if self.shared.is_none() || self.shared != other.shared {
            let (table, other) = (self.table.clone(), other.table.clone());
            return Err(Error::SharedTopic { table, other, topic: topic() });
        }
        let refuse = |difference| {
            let (other, topic) = (other.table.clone(), topic());
            Err(TopicFault::Other { other, topic, difference }.named(&self.table))
        };
        if let Some(value) =
            self.key_value.clone().filter(|it| Some(it) == other.key_value.as_ref())
        {
            return refuse(Difference::KeyValue { value });
        }
        let names = |claim: &Self| claim.key.iter().map(|(name, _)| name.clone()).collect();
        let keys: [Vec<String>; 2] = [names(self), names(other)];
        if keys[0] != keys[1] {
            return refuse(Difference::Key { keys });
        }
        // A key that is wider has another schema, so other bytes.
        let mut key = self.key.iter().zip(&other.key);
        let key = key.find(|((_, one), (_, other))| one != other);
        let key = key.map(|((name, one), (_, other))| (name, [one, other]));
        let fields = || {
            let both = self.fields.iter().map(|(name, one)| (name, one, other.fields.get(name)));
            let both = both.filter_map(|(name, one, other)| Some((name, [one, other?])));
            both.into_iter().find(|(_, [one, other])| !is_alike(one, other))
        };
        let Some((column, types)) = key.or_else(fields) else { return Ok(()) };
        refuse(Difference::Type { column: column.clone(), types: types.map(shown) })
    }
}

/// Whether a reader of the one reads the other: Avro reads a narrower number as a wider one, and JSON has
/// only one kind.
fn is_alike(one: &Value, other: &Value) -> bool {
    let is_of =
        |pair: [&str; 2]| [one, other].iter().all(|it| pair.iter().any(|name| **it == **name));
    one == other || is_of(["int", "long"]) || is_of(["float", "double"])
}

fn shown(bare: &Value) -> String {
    bare.as_str().map_or_else(|| bare.to_string(), str::to_owned)
}

/// Why a table has no topic, or not this one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicFault {
    /// A child's old rows do not say which row of its parent's topic they are.
    #[error(
        "its rows go to the topic of {}, from which it inherits (tables.children), and its replica identity lacks {column}, a column of that \
         table's key: give it a primary key of the same columns, or REPLICA IDENTITY FULL",
        quoted(parent)
    )]
    ChildKey {
        /// The parent.
        parent: (String, String),
        /// The column.
        column: String,
    },
    /// A table that is gone may have been a child.
    #[error(
        "it is gone, so whether it inherited from another table, whose topic would be its own (tables.children = \"parent\"), cannot be told: \
         if they may be left out, `walbrook unpark` with --leave-out does that"
    )]
    Gone,
    /// The field that says whose a key is has the name of one of its columns.
    #[error(
        "the field {field:?} of its key is a column, and that which names the table: set topics.shared.key_field to another name"
    )]
    KeyField {
        /// The field.
        field: String,
    },
    /// It cannot stand beside another one.
    #[error(
        "it shares the topic {topic} with table {} ([[topics.shared]]), and {difference}",
        quoted(other)
    )]
    Other {
        /// The table that was there before.
        other: (String, String),
        /// The topic.
        topic: String,
        /// How they differ.
        difference: Difference,
    },
    /// It is an outbox.
    #[error(
        "it is of [[outbox]] table = {outbox:?} and of [[topics.shared]] number {number}: an outbox's events have topics of their own, so write patterns that leave it out"
    )]
    Outbox {
        /// The section, counted from 1.
        number: usize,
        /// The outbox as it is configured.
        outbox: String,
    },
    /// It inherits from two tables that do not inherit from each other.
    #[error(
        "it inherits from {} and from {}, and with tables.children = \"parent\" it goes to the topic of one: leave one out by tables.exclude",
        quoted(&parents[0]),
        quoted(&parents[1])
    )]
    SeveralParents {
        /// The two.
        parents: [(String, String); 2],
    },
    /// Two sections name its topic.
    #[error("[[topics.shared]] numbers {} and {} both have it: a table has one topic, so leave it out of one of them", numbers[0], numbers[1])]
    SeveralSections {
        /// The sections, counted from 1.
        numbers: [usize; 2],
    },
}

impl TopicFault {
    pub(super) fn of(self, relation: &Relation) -> Error {
        let table = format!("{}.{}", relation.namespace, relation.name);
        Error::Topic { table, fault: Box::new(self) }
    }

    fn named(self, (namespace, name): &(String, String)) -> Error {
        Error::Topic { table: format!("{namespace}.{name}"), fault: Box::new(self) }
    }
}

/// How two tables of one topic differ.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// In the columns of their keys.
    #[error("their keys have other columns: ({}), and there ({})", keys[0].join(", "), keys[1].join(", "))]
    Key {
        /// Its key, and that of the other table.
        keys: [Vec<String>; 2],
    },
    /// Not in what says whose a key is.
    #[error(
        "their keys have the same key_value, {value:?}: have topics.shared.key_value name what tells them apart"
    )]
    KeyValue {
        /// The value.
        value: String,
    },
    /// In the type of a column.
    #[error("column {column:?} is of another type: {}, and there {}", types[0], types[1])]
    Type {
        /// The column.
        column: String,
        /// Its type as a field, and that in the other table.
        types: [String; 2],
    },
}
