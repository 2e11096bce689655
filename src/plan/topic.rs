//! Which topic a table's rows go to, and who may write to one together.
//!
//! A topic is one table's, unless the configuration says otherwise: tables share one on purpose
//! ([`SharedTopic`]). Those
//! must have keys that tell them apart and fields that one reader can read; what only one of them has is
//! the registry's rule's matter, since tenants migrate one after another.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Settings;
use super::error::{Error, quoted};
use super::shape::{Shape, TOPIC_LENGTH_MAX};
use crate::config::{Outbox, SharedTopic};
use crate::encode::schema::{Field, bare, declared};
use crate::wal::Relation;

/// Header: `schema.table`, of a record in a topic that several tables share.
pub const TABLE_HEADER: &str = "walbrook.table";

/// Where the rows of a table go.
#[derive(Debug)]
pub(super) struct Destination<'a> {
    pub(super) topic: String,
    shared: Option<&'a SharedTopic>,
    /// The first field of the key and its value, if that says whose it is.
    pub(super) key_field: Option<(String, String)>,
}

impl<'a> Destination<'a> {
    /// # Errors
    ///
    /// If two sections say so, or the topic's name is too long.
    pub(super) fn of(relation: &Relation, settings: &'a Settings) -> Result<Self, Error> {
        let (namespace, name) = (&relation.namespace, &relation.name);
        let shared = shared(relation, settings)?;
        let template = shared.map_or(&settings.template, |shared| &shared.topic);
        let fill =
            |template: &crate::config::Template| template.fill(&settings.prefix, namespace, name);
        let topic = settings.tables.name_adjustment.topic(&fill(template));
        if TOPIC_LENGTH_MAX < topic.len() {
            let table = format!("{}.{}", relation.namespace, relation.name);
            return Err(Error::TopicLength { table, length: topic.len() });
        }
        let key_field = shared.and_then(|shared| shared.key_field.as_ref());
        let key_field = key_field.map(|it| (it.name.clone(), fill(&it.value)));
        Ok(Self { topic, shared, key_field })
    }

    /// How records of the table are told from others' in its topic.
    pub(super) fn sharing(&self, relation: &Relation) -> Sharing {
        Sharing {
            table: self.shared.map(|_| format!("{}.{}", relation.namespace, relation.name)),
            has_key_field: self.key_field.is_some(),
            are_keys_apart: self.shared.is_none() || self.key_field.is_some(),
        }
    }

    /// What the table asks of its topic.
    pub(super) fn claim(&self, relation: &Relation, shape: &Shape, settings: &Settings) -> Claim {
        let mut claim = Claim {
            table: (relation.namespace.clone(), relation.name.clone()),
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

/// The section by which it shares a topic.
fn shared<'s>(
    relation: &Relation,
    settings: &'s Settings,
) -> Result<Option<&'s SharedTopic>, Error> {
    let (namespace, table) = (&relation.namespace, &relation.name);
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
    /// Whose a record with this header is.
    #[must_use]
    pub fn whose(&self, header: Option<&str>, has_key: bool) -> Whose {
        if header == self.table.as_deref() {
            Whose::Own
        } else if has_key && self.are_keys_apart {
            Whose::Others
        } else {
            Whose::Unrelated
        }
    }
}

/// What a table asks of its topic, to be held beside what others do.
#[derive(Clone, Debug)]
pub struct Claim {
    table: (String, String),
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
    /// Refuses a table whose topic is that of one of `others`, and not shared on purpose, or of which
    /// readers could not read the records beside those of the others.
    ///
    /// # Errors
    ///
    /// [`Error::SharedTopic`] or [`Error::Topic`].
    pub fn refuse<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Result<(), Error> {
        let is_beside = |other: &&Self| other.topic == self.topic && other.table != self.table;
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
