//! A relation's compiled fate: what becomes of its rows, decided once.
//!
//! pgoutput announces a relation before the first row that uses it. [`compile`] decides everything
//! that configuration, catalog and types can decide; what only the outside knows (numbers of topics
//! and schemas) it asks for in a [`Draft`]. [`Plan::encode`] then turns changes into records. An
//! outbox event of a new kind may still need a topic: that is [`Step::Need`], answered by
//! [`Plan::route`].
//!
//! Pure: no clock, no log, no I/O; time comes in with the [`Context`]. A change enters the batch
//! whole or not at all.

mod child;
mod error;
mod frame;
mod letters;
mod message;
mod outbox;
mod parked;
mod payload;
pub mod readers;
mod registered;
mod routing;
mod shape;
mod source;
mod table;
mod text;
mod topic;

pub use error::{Contradiction, Error, EventFault, EventId};
pub use letters::{LettersPlan, MESSAGES, OUTBOX};
pub use message::MessagePlan;
pub use outbox::{LastDeleted, OutboxPlan};
pub use parked::ParkedPlan;
pub use payload::{Misfit, SchemaError};
pub use registered::{Newest, Registered, is_key, is_laid_out_as_newest, recall};
pub use shape::{key_names, leaf};
pub use table::TablePlan;
pub use topic::{Claim, Difference, Sharing, TABLE_HEADER, TopicFault, Whose};

use self::child::AsParent;
use self::letters::LettersDraft;
use self::message::MessageDraft;
use self::outbox::OutboxDraft;
use self::shape::Shape;
use self::table::TableDraft;
use self::topic::Destination;
use crate::batch::{Batch, TopicId, TopicTable};
use crate::change::Change;
use crate::columns::Column;
use crate::config::{
    Before, Children, Config, Format, MessageOutbox, Outbox, Records, SharedTopic, Tables,
    Template, Timestamp,
};
use crate::encode::{Naming, Values};
use crate::facts::{FactsDigest, TableFacts};
use crate::wal::Relation;

/// The slice of the configuration that plans need.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What templates of topics call the prefix, and Debezium's `source.name`.
    pub prefix: String,
    /// The topic of a table that shares none.
    pub template: Template,
    /// The topics that tables share.
    pub shared: Vec<SharedTopic>,
    /// The database, as `source.db` has it.
    pub database: String,
    /// The topics that are walbrook's own: of checkpoints, and of what is parked.
    pub checkpoint_topic: String,
    /// See there.
    pub parked_topic: String,
    /// That of schema changes; `None` where they are not told.
    pub schema_changes_topic: Option<String>,
    /// How rows of tables become records.
    pub tables: Tables,
    /// How the values of their columns become fields.
    pub values: Values,
    /// Tables that are outboxes.
    pub outboxes: Vec<Outbox>,
    /// The outbox without a table.
    pub message_outbox: Option<MessageOutbox>,
    /// Record timestamps.
    pub records: Records,
}

impl Settings {
    /// Takes the slice of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            prefix: config.topics.prefix.clone(),
            template: config.topics.template.clone(),
            shared: config.topics.shared.clone(),
            database: config.postgres.database.clone(),
            checkpoint_topic: config.kafka.checkpoint_topic.clone(),
            parked_topic: config.kafka.parked_topic.clone(),
            schema_changes_topic: config.kafka.schema_changes_topic.clone(),
            tables: config.tables.clone(),
            values: config.values.clone(),
            outboxes: config.outboxes.clone(),
            message_outbox: config.message_outbox.clone(),
            records: config.records,
        }
    }

    /// What fields of rows are called.
    fn value_naming(&self) -> Naming {
        self.naming(self.tables.value_format)
    }

    /// What fields of keys are called.
    fn key_naming(&self) -> Naming {
        self.naming(self.tables.key_format)
    }

    fn naming(&self, format: Format) -> Naming {
        match format {
            Format::Avro => self.tables.name_adjustment,
            Format::Json | Format::JsonSchemas | Format::String => Naming::AsIs,
        }
    }
}

/// The id that the schema registry gave a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SchemaId(pub u32);

/// A schema to be registered before records that use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaRequest {
    /// The subject, by TopicNameStrategy.
    pub subject: String,
    /// The Avro schema.
    pub schema_json: String,
}

/// A plan that waits for its topics and schema ids.
#[derive(Debug)]
pub struct Draft {
    /// Topics that must exist.
    pub topics: Vec<String>,
    /// Schemas to register; [`Draft::finish`] wants their ids in this order.
    pub schemas: Vec<SchemaRequest>,
    /// The schemas of a table's values and, if it has a key, keys: also where they are JSON.
    pub layouts: Vec<String>,
    /// Columns of types that are published as PostgreSQL's text: column and type.
    pub unknown: Vec<(String, String)>,
    /// Columns of decimals with more digits behind the point than readers have.
    pub rescaled: Vec<String>,
    /// The columns of a table's key, in its order.
    pub key: Vec<String>,
    /// The columns of its rows, in their order: of a child those of its parent.
    pub columns: Vec<String>,
    /// A partition (its schema and name) whose old rows lack what those of the table should have.
    pub odd_leaf: Option<(String, String)>,
    /// What it was made from, if all of it is what the catalog says.
    pub facts: Option<FactsDigest>,
    /// How its records are told from those of others in its topic.
    pub sharing: Sharing,
    /// What it asks of its topic; events ask for nothing.
    pub claim: Option<Claim>,
    /// A table's columns as the topic of schema changes has them; none where the facts do not name types.
    pub told: Vec<Column>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Excluded,
    Letters(Box<LettersDraft>),
    Message(Box<MessageDraft>),
    Outbox(Box<OutboxDraft>),
    Table { draft: Box<TableDraft>, topic: String },
}

/// Compiles the plan of a relation: of an outbox if it, or what it is a part of, is configured as one,
/// else of a table, unless the configuration leaves that out.
///
/// # Errors
///
/// If the topic's name is too long, field names collide, an outbox lacks its columns or has types or
/// payload schemas that cannot be used, or the table seems to be an outbox that is not configured.
pub fn compile(
    relation: &Relation,
    facts: &TableFacts,
    registered: &Registered,
    settings: &Settings,
) -> Result<Draft, Error> {
    if let Some((outbox, namespace)) = outbox_above(relation, facts, settings)? {
        topic::refuse_outbox(relation, outbox, settings)?;
        let shape = Shape::new(relation, facts, registered, settings);
        let timestamp = settings.records.timestamp;
        let draft = OutboxDraft::compile(&shape, facts, (outbox, namespace), timestamp)?;
        let topics = draft.topics();
        let body = Body::Outbox(Box::new(draft));
        return Ok(Draft::of_events(topics, body));
    }
    if is_excluded(&relation.namespace, &relation.name, settings) {
        return Ok(Draft::of_events(Vec::new(), Body::Excluded));
    }
    if settings.tables.children == Children::Parent && facts.is_gone && !registered.has_rows() {
        return Err(TopicFault::Gone.of(relation));
    }
    let destination = Destination::of(relation, facts, settings)?;
    if let Some(parent) = destination.parent {
        let child = AsParent::new(relation, facts, parent)?;
        let AsParent { relation, facts, key, projection } = child;
        let mut shape = Shape::new(&relation, &facts, registered, settings);
        shape.key = key;
        let mut draft =
            compile_table(&relation, (shape, &facts, &destination), registered, settings)?;
        if let Body::Table { draft, .. } = &mut draft.body {
            draft.projection = projection.map(Box::new);
        }
        return Ok(draft);
    }
    if let Some(column) = facts.unknown_key.clone() {
        let table = format!("{}.{}", relation.namespace, relation.name);
        return Err(Error::KeyUnknown { table, column });
    }
    let shape = Shape::new(relation, facts, registered, settings);
    compile_table(relation, (shape, facts, &destination), registered, settings)
}

/// The plan of a table by its columns and its topic.
fn compile_table(
    relation: &Relation,
    (mut shape, facts, destination): (Shape, &TableFacts, &Destination<'_>),
    registered: &Registered,
    settings: &Settings,
) -> Result<Draft, Error> {
    let is_shared = match settings.tables.before {
        Before::Debezium => true,
        // A record that readers know keeps its name.
        Before::Separate if registered.is_shared() => {
            shape.share();
            true
        }
        Before::Separate => false,
    };
    let (draft, schemas) =
        TableDraft::compile(relation, (&shape, destination), is_shared, settings)?;
    let topic = destination.topic.clone();
    let own = [&settings.checkpoint_topic, &settings.parked_topic];
    if own.into_iter().chain(&settings.schema_changes_topic).any(|own| *own == topic) {
        let table = format!("{}.{}", relation.namespace, relation.name);
        return Err(Error::OwnTopic { table, topic });
    }
    Ok(Draft {
        topics: vec![topic.clone()],
        schemas: schemas.requests,
        layouts: schemas.layouts,
        unknown: shape.unknown(),
        rescaled: shape.rescaled(),
        key: shape.key_columns().map(|(_, column)| column.name.clone()).collect(),
        columns: shape.columns.iter().map(|column| column.name.clone()).collect(),
        sharing: destination.sharing(relation),
        claim: Some(destination.claim(relation, facts, &shape, settings)),
        told: shape.told(relation, &facts.type_names),
        odd_leaf: shape.odd_leaf,
        facts: None,
        body: Body::Table { draft: Box::new(draft), topic },
    })
}

/// The subjects of the schemas that a relation may have; none of an outbox, nor of formats without
/// schemas.
#[must_use]
pub fn subjects(relation: &Relation, facts: &TableFacts, settings: &Settings) -> Vec<String> {
    // What is wrong with it, compiling tells.
    let is_table = matches!(outbox_above(relation, facts, settings), Ok(None))
        && !is_excluded(&relation.namespace, &relation.name, settings);
    let destination = Destination::of(relation, facts, settings).ok().filter(|_| is_table);
    destination.map(|it| table::subjects(&it.topic, settings)).unwrap_or_default()
}

/// Refuses a table of which two columns would be one field, as the catalog has them before a row
/// comes. The fields of outboxes have other names.
///
/// # Errors
///
/// [`Error::SharedField`].
pub fn refuse_shared_fields<'a>(
    namespace: &str,
    table: &str,
    columns: impl IntoIterator<Item = &'a str>,
    settings: &Settings,
) -> Result<(), Error> {
    if outbox_of(namespace, table, settings).is_some() || is_excluded(namespace, table, settings) {
        return Ok(());
    }
    let naming = settings.value_naming();
    shape::refuse_shared_fields(&format!("{namespace}.{table}"), columns, naming)
}

/// The outbox that the table is configured as.
fn outbox_of<'a>(namespace: &str, table: &str, settings: &'a Settings) -> Option<&'a Outbox> {
    Outbox::of(&settings.outboxes, namespace, table)
}

/// Whether the configuration leaves out the table, if it is no outbox.
fn is_excluded(namespace: &str, table: &str, settings: &Settings) -> bool {
    settings.tables.selection.excludes(namespace, table)
}

/// The outbox whose row a row of the relation is, and its PostgreSQL schema. Partitions and children
/// are parts of their outbox also where the publication names them instead of it.
fn outbox_above<'a>(
    relation: &'a Relation,
    facts: &'a TableFacts,
    settings: &'a Settings,
) -> Result<Option<(&'a Outbox, &'a str)>, Error> {
    let own = (&relation.namespace, &relation.name);
    let above = facts.ancestors.iter().flatten().map(|(namespace, name)| (namespace, name));
    let mut found = std::iter::once(own).chain(above).filter_map(|(namespace, name)| {
        Some((outbox_of(namespace, name, settings)?, namespace.as_str()))
    });
    if let Some(found) = found.next() {
        return Ok(Some(found));
    }
    if is_excluded(&relation.namespace, &relation.name, settings) {
        return Ok(None);
    }
    match settings.outboxes.iter().find(|outbox| is_like(relation, facts, outbox)) {
        Some(outbox) => Err(Error::OutboxLike {
            table: format!("{}.{}", relation.namespace, relation.name),
            outbox: format!("{}.{}", outbox.namespace, outbox.table),
        }),
        None => Ok(None),
    }
}

/// Whether a table that is no outbox by its name has the columns of one, and is its namesake in
/// another PostgreSQL schema (another tenant's), or may have been a partition of it and is gone.
fn is_like(relation: &Relation, facts: &TableFacts, outbox: &Outbox) -> bool {
    let is_near = if outbox.is(&relation.namespace, &outbox.table) {
        facts.ancestors.is_none()
    } else {
        relation.name == outbox.table
    };
    is_near
        && outbox.columns().all(|name| relation.columns.iter().any(|column| column.name == name))
}

/// Compiles the plan of the outbox without a table; `None` if none is configured.
///
/// # Errors
///
/// If its payload schemas or its allow-pattern cannot be used.
pub fn compile_message_outbox(settings: &Settings) -> Result<Option<Draft>, Error> {
    let Some(outbox) = &settings.message_outbox else { return Ok(None) };
    let draft = MessageDraft::compile(outbox, settings.records.timestamp)?;
    let topics = draft.topics();
    let body = Body::Message(Box::new(draft));
    Ok(Some(Draft::of_events(topics, body)))
}

/// Compiles the plan of an outbox's dead letters; `None` if there is no such outbox (any more).
///
/// # Errors
///
/// If its payload schemas or its allow-pattern cannot be used.
pub fn compile_letters(outbox: &str, settings: &Settings) -> Result<Option<Draft>, Error> {
    let Some(draft) = LettersDraft::compile(outbox, settings)? else { return Ok(None) };
    let topics = draft.topics();
    Ok(Some(Draft::of_events(topics, Body::Letters(Box::new(draft)))))
}

impl Draft {
    /// Whether the configuration leaves the table out.
    #[must_use]
    pub fn is_excluded(&self) -> bool {
        matches!(self.body, Body::Excluded)
    }

    /// Whether its records have a key: those of events do.
    #[must_use]
    pub fn has_key(&self) -> bool {
        !matches!(self.body, Body::Table { .. }) || !self.key.is_empty()
    }

    /// Of an outbox, whose schemas are its routes' matter, or of nothing.
    fn of_events(topics: Vec<String>, body: Body) -> Self {
        Self {
            topics,
            schemas: Vec::new(),
            layouts: Vec::new(),
            unknown: Vec::new(),
            rescaled: Vec::new(),
            key: Vec::new(),
            columns: Vec::new(),
            odd_leaf: None,
            facts: None,
            sharing: Sharing::default(),
            claim: None,
            told: Vec::new(),
            body,
        }
    }

    /// The plan, once its topics exist and its schemas are registered.
    ///
    /// # Panics
    ///
    /// If `ids` are not one for each of [`Draft::schemas`].
    pub fn finish(self, topics: &mut TopicTable, ids: &[SchemaId]) -> Plan {
        assert_eq!(self.schemas.len(), ids.len(), "every schema of a plan has its id");
        match self.body {
            Body::Excluded => Plan::Excluded,
            Body::Letters(draft) => Plan::Letters(Box::new(draft.finish(topics))),
            Body::Message(draft) => Plan::Message(Box::new(draft.finish(topics))),
            Body::Outbox(draft) => Plan::Outbox(Box::new(draft.finish(topics))),
            Body::Table { draft, topic } => {
                let topic = topics.intern(&topic, draft.table());
                Plan::Table(Box::new(draft.finish(topic, ids)))
            }
        }
    }
}

/// What becomes of the changes of one relation, or of logical messages.
#[derive(Debug)]
pub enum Plan {
    /// They are left out.
    Excluded,
    /// Dead letters of an outbox are written again.
    Letters(Box<LettersPlan>),
    /// Logical messages are events.
    Message(Box<MessagePlan>),
    /// Rows are events.
    Outbox(Box<OutboxPlan>),
    /// Changes wait.
    Parked(Box<ParkedPlan>),
    /// Rows are changes of a table.
    Table(Box<TablePlan>),
}

/// What a plan may need to know at the time of encoding.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The time: microseconds since 1970-01-01 UTC.
    pub now_us: i64,
}

/// What encoding a change came to. Only after [`Step::Done`] does the batch hold its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its records are in the batch.
    Done,
    /// Answer with [`Plan::route`], then encode the same change again.
    Need(Route),
    /// Say by [`Plan::take_policy`] whether this topic is compacted, then encode the same change again.
    Policy(TopicId),
    /// It makes no record.
    Skipped(Skip),
}

/// Why a change makes no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// TRUNCATE of a child whose rows go to its parent's topic, of which a reader would take it to be: worth
    /// a warning.
    Child,
    /// TRUNCATE of a table whose topic is compacted and takes no record without a key: worth a warning.
    Compacted,
    /// The configuration leaves the table out.
    Excluded,
    /// Outbox rows may be deleted: the event was their insert.
    OutboxDelete,
    /// Outbox rows without a route, which are no events: worth a warning.
    OutboxRoute,
    /// TRUNCATE of an outbox.
    OutboxTruncate,
    /// Outbox rows must not be updated (nor moved to another partition): worth a warning.
    OutboxUpdate,
    /// TRUNCATE is not configured to become a record.
    Truncate,
}

/// A topic that outbox events need for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The topic, which must exist.
    pub topic: String,
    /// Schemas to register; [`Plan::route`] wants their ids in this order.
    pub schemas: Vec<SchemaRequest>,
    /// The value of the route column.
    value: String,
}

impl Plan {
    /// Writes the records of a change into the batch. Unless it is [`Step::Done`], the batch is as
    /// it was. `last_deleted` is the stream's, of all plans.
    ///
    /// # Errors
    ///
    /// [`Error::Contradiction`] asks for a new plan; every other error is final.
    pub fn encode(
        &mut self,
        change: &Change<'_>,
        context: &Context,
        last_deleted: &mut LastDeleted,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        let mark = batch.mark();
        let step = match self {
            Self::Excluded => Ok(Step::Skipped(Skip::Excluded)),
            // They are of no change.
            Self::Letters(plan) => Err(plan.router.foreign(change)),
            Self::Message(plan) => plan.encode(change, context, batch),
            Self::Outbox(plan) => plan.encode(change, context, last_deleted, batch),
            Self::Parked(plan) => Ok(plan.encode(change, context, batch)),
            Self::Table(plan) => plan.encode(change, context, batch),
        };
        match step {
            Ok(Step::Done) => Ok(Step::Done),
            other => {
                batch.truncate(mark);
                other
            }
        }
    }

    /// The answer to [`Step::Policy`].
    pub fn take_policy(&mut self, is_compacted: bool) {
        if let Self::Table(plan) = self {
            plan.take_policy(is_compacted);
        }
    }

    /// The answer to [`Step::Need`]: the topic exists and the schemas are registered.
    ///
    /// # Panics
    ///
    /// If `ids` are not one for each of [`Route::schemas`].
    pub fn route(&mut self, route: &Route, topics: &mut TopicTable, ids: &[SchemaId]) {
        assert_eq!(route.schemas.len(), ids.len(), "every schema of a route has its id");
        match self {
            Self::Letters(plan) => plan.router.add(route, topics, ids),
            Self::Message(plan) => plan.router.add(route, topics, ids),
            Self::Outbox(plan) => plan.router.add(route, topics, ids),
            // A table knows its topic from the start and never asks.
            Self::Excluded | Self::Parked(_) | Self::Table(_) => {}
        }
    }
}

/// A record's timestamp in milliseconds.
fn timestamp_ms(timestamp: Timestamp, change: &Change<'_>, context: &Context) -> i64 {
    let us = match timestamp {
        Timestamp::Commit => change.xact.commit_time_us,
        Timestamp::Now => context.now_us,
    };
    us.div_euclid(1_000)
}

#[cfg(test)]
mod tests;
