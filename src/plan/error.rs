//! What can go wrong when a plan is compiled or a change encoded; never a row's value (I7).

use std::fmt;

use super::payload::{Misfit, SchemaError};
use super::topic::TopicFault;
use crate::encode;
use crate::position::Position;

/// A plan that cannot be made, or a change that cannot be encoded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The row and the catalog disagree: read the catalog again and compile again.
    #[error("table {table}: the row at {position} contradicts the catalog: {contradiction}")]
    Contradiction {
        /// The table.
        table: String,
        /// Where the change is.
        position: Position,
        /// What they disagree on.
        contradiction: Contradiction,
    },
    /// A value that cannot be encoded.
    #[error("table {table}, column {column}: value at {position} cannot be encoded: {source}")]
    Encode {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Where the change is.
        position: Position,
        /// Why.
        source: encode::Error,
    },
    /// An outbox event that cannot be written. The id is named by contract.
    #[error("{outbox}: event {id} at {position}: {fault}")]
    Event {
        /// The outbox.
        outbox: String,
        /// The event's id.
        id: EventId,
        /// Where the change is.
        position: Position,
        /// What is wrong.
        fault: Box<EventFault>,
    },
    /// A change was given to a plan of something else.
    #[error("{plan}: the change at {position} does not belong to this plan")]
    Foreign {
        /// Whose plan it is.
        plan: String,
        /// Where the change is.
        position: Position,
    },
    /// Rows are from before their primary key's columns were renamed, or were others, and the stream
    /// does not say which columns those were.
    #[error(
        "table {table}: which column of the rows that wait is column \"{column}\" of the primary key cannot be told, \
         since columns were renamed and others dropped: rename it back until they are published, or drop the primary key so long \
         (their records then have no key)"
    )]
    KeyUnknown {
        /// The table.
        table: String,
        /// The column of the primary key as it is now.
        column: String,
    },
    /// Of an old row the stream has nothing, so that nobody could tell which row it was.
    #[error(
        "table {table}: the old row at {position} has no value of its replica identity: that lies in generated columns, which are not in the stream; \
         for what comes after, give the table another (`walbrook check` names the statement)"
    )]
    IdentityNotSent {
        /// The table.
        table: String,
        /// Where the change is.
        position: Position,
    },
    /// A part of the key was not sent, so that the record would get a false key.
    #[error(
        "table {table}, column {column}: the key's value is not in the stream at {position}{}",
        whose(leaf.as_ref())
    )]
    KeyNotSent {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Where the change is.
        position: Position,
        /// Schema and name of the partition whose replica identity lacks it.
        leaf: Option<(String, String)>,
    },
    /// The table lacks columns that its outbox configuration names.
    #[error("outbox table {table} has no published column {}", columns.join(", "))]
    OutboxColumns {
        /// The table.
        table: String,
        /// The columns that are missing.
        columns: Vec<String>,
    },
    /// The rows of the table seem to be events, and must not leave as rows of a table.
    #[error(
        "table {table} has the columns of outbox {outbox} and is not configured: its rows would leave as those of a table, payload and all. If they are events, \
         set [[outbox]] table = {table:?} for it (also for rows that wait; \"*.outbox\" is one of each PostgreSQL schema); if not, leave it out, of the publication or by tables.exclude"
    )]
    OutboxLike {
        /// The table.
        table: String,
        /// The outbox that it is like.
        outbox: String,
    },
    /// A column of an outbox has a type that cannot be used there.
    #[error("outbox table {table}: column {column} has a type that cannot be {usage}")]
    OutboxType {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What it is configured for.
        usage: &'static str,
    },
    /// A table's records would lie between checkpoints, and one could be taken for one.
    #[error(
        "table {table}: its topic {topic} is one of walbrook's own. Set topics.prefix, or kafka.checkpoint_topic, kafka.parked_topic and schema_changes.topic, apart"
    )]
    OwnTopic {
        /// The table.
        table: String,
        /// The topic.
        topic: String,
    },
    /// A payload schema that cannot be used.
    #[error("payload schema of route {route:?}: {source}")]
    PayloadSchema {
        /// The route value it is configured for.
        route: String,
        /// Why.
        source: SchemaError,
    },
    /// Two columns would be one field of the record.
    #[error(
        "table {table}: columns {:?} and {:?} would both be the field {field} (what Avro does not allow in a name becomes _): \
         set tables.name_adjustment = \"avro_unicode\", which keeps them apart (and gives other names to what has _ in its name, topics too), or rename one \
         of them, or leave it out of the publication by a column list (PostgreSQL 15 and later)",
        columns[0],
        columns[1]
    )]
    SharedField {
        /// The table.
        table: String,
        /// The columns.
        columns: [String; 2],
        /// The field.
        field: String,
    },
    /// Two tables would be written to one topic.
    #[error(
        "tables {} and {} have the same topic, {topic} (what Kafka does not allow in its name becomes _), so its readers would take rows \
         of the one for the other's: rename one of the tables, or publish only one, or set tables.name_adjustment = \"avro_unicode\", which keeps apart \
         what differs in such characters (and gives other names to what has _ in its name), or have them share it on purpose by [[topics.shared]]",
        quoted(table),
        quoted(other)
    )]
    SharedTopic {
        /// Schema and name of the table.
        table: (String, String),
        /// Those of the table whose topic it is.
        other: (String, String),
        /// The topic.
        topic: String,
    },
    /// The allow-pattern of an outbox cannot be matched whole.
    #[error("topic allow-pattern {pattern:?} cannot be matched against whole topics")]
    TopicAllow {
        /// The pattern.
        pattern: String,
    },
    /// Which topic its rows go to cannot be told, or they may not go there.
    #[error("table {table}: {fault}")]
    Topic {
        /// The table.
        table: String,
        /// Why.
        fault: Box<TopicFault>,
    },
    /// A topic's name is longer than Kafka allows.
    #[error("table {table}: its topic's name has {length} characters, Kafka allows 249")]
    TopicLength {
        /// The table.
        table: String,
        /// The characters it would have.
        length: usize,
    },
}

impl Error {
    /// The table whose records the topic has, which another one is therefore refused.
    #[must_use]
    pub fn rival(&self) -> Option<&(String, String)> {
        match self {
            Self::SharedTopic { other, .. } => Some(other),
            Self::Topic { fault, .. } => match &**fault {
                TopicFault::Other { other, .. } => Some(other),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the stream is to end here, as the configuration says of just this.
    #[must_use]
    pub fn is_meant(&self) -> bool {
        let Self::Event { fault, .. } = self else { return false };
        matches!(**fault, EventFault::NoRoute { .. } | EventFault::Updated)
    }
}

/// Names that may hold dots, with their borders.
pub(super) fn quoted((namespace, name): &(String, String)) -> String {
    format!("\"{namespace}\".\"{name}\"")
}

/// Why the value of a key column may be missing, and the way out.
fn whose(leaf: Option<&(String, String)>) -> String {
    leaf.map_or_else(String::new, |leaf| {
        let leaf = quoted(leaf);
        format!(
            ", since the replica identity of partition {leaf} lacks it; for what comes after: ALTER TABLE {leaf} REPLICA IDENTITY FULL"
        )
    })
}

/// What a row and the catalog disagree on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// The tuple has another number of columns than the relation.
    #[error("{found} columns where the relation has {want}")]
    ColumnCount {
        /// Columns of the relation.
        want: usize,
        /// Columns of the tuple.
        found: usize,
    },
    /// NULL in a column of the key.
    #[error("NULL in column {column}, which is part of the key")]
    KeyNull {
        /// The column.
        column: String,
    },
    /// NULL in a column that the catalog declares NOT NULL.
    #[error("NULL in column {column}, which is declared NOT NULL")]
    Null {
        /// The column.
        column: String,
    },
}

/// What is wrong with an outbox event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// A logical message whose content is no event.
    #[error("the message's content is not an event: {reason}")]
    Content {
        /// Why.
        reason: &'static str,
    },
    /// A column's value has not the form of its type.
    #[error("column {column} is not readable as its type")]
    Form {
        /// The column.
        column: String,
    },
    /// The row has no route, and the configuration says that this must not happen.
    #[error(
        "column {column}, which routes it, is NULL or empty (outbox.on_null_route is \"stop\")"
    )]
    NoRoute {
        /// The column.
        column: String,
    },
    /// The column must not be NULL.
    #[error("column {column} is NULL")]
    Null {
        /// The column.
        column: String,
    },
    /// The payload does not fit its schema.
    #[error(transparent)]
    Payload(Misfit),
    /// The topic that the route value names may not be written.
    #[error(
        "its topic is refused: not a legal topic name, or not matched by the topic allow-pattern"
    )]
    RefusedTopic,
    /// The outbox has more topics than a run keeps.
    #[error("it needs a new topic, and there are {limit} already")]
    TooManyTopics {
        /// The limit.
        limit: usize,
    },
    /// The column's value is not in the stream (an unchanged value stored outside the row).
    #[error("column {column} was not sent")]
    Unavailable {
        /// The column.
        column: String,
    },
    /// The row was updated, and the configuration says that this must not happen.
    #[error("the outbox row was updated")]
    Updated,
}

/// An outbox event's id, as an error may show it: short and printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventId(String);

impl EventId {
    /// The id that was not readable.
    pub(super) fn unknown() -> Self {
        Self("(unknown)".to_owned())
    }

    pub(super) fn new(id: &[u8]) -> Self {
        const CHARACTERS_MAX: usize = 100;
        let text = String::from_utf8_lossy(id);
        Self(text.chars().take(CHARACTERS_MAX).flat_map(char::escape_debug).collect())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
