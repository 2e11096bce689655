//! Which tables can be compared, and why others cannot.

use super::{Compared, Error, Outcome, PipelineError, Ready, of_kafka};
use crate::checkpoint::Checkpoint;
use crate::config::{Children, Config, Format};
use crate::encode::{BinaryMode, Representation};
use crate::facts::TableFacts;
use crate::kafka::{self, probe};
use crate::parked::Parked;
use crate::plan::{self, Draft, Registered, Settings, Sharing};
use crate::postgres::{Catalog, ChunkError, ImportedReader, SnapshotTable};
use crate::snapshot::{Progress, State};
use crate::verify::{BinaryText, Column, Notation, Table};
use crate::wal::Relation;

/// The tables that are published, or those that are wanted.
pub(super) struct Tables {
    pub(super) ready: Vec<Ready>,
    pub(super) left: Vec<Compared>,
}

/// Finds them.
pub(super) async fn find(
    config: &Config,
    catalog: &mut Catalog,
    reader: &mut ImportedReader,
    checkpoint: &Checkpoint,
    wanted: &[String],
) -> Result<Tables, PipelineError> {
    let publications = &config.replication.publications;
    let relations = catalog.published_relations(publications).await?;
    let name = |relation: &Relation| format!("{}.{}", relation.namespace, relation.name);
    for table in wanted {
        if !relations.iter().any(|relation| name(relation) == *table) {
            return Err(Error::Unpublished { table: table.clone() }.into());
        }
    }
    let progress = kafka::read_progress(config, checkpoint).map_err(of_kafka)?;
    let parked = kafka::read_parked(config, checkpoint).map_err(of_kafka)?;
    let mut tables = Tables { ready: Vec::new(), left: Vec::new() };
    for relation in relations {
        let name = name(&relation);
        if !wanted.is_empty() && !wanted.contains(&name) {
            continue;
        }
        let facts = catalog.describe(&relation).await?;
        let Described { topic, key, sharing, judged: found } =
            match described(config, &relation, &facts) {
                Ok(described) => described,
                Err(NoTable(why)) => {
                    // Who asks for all does not ask for these.
                    if !wanted.is_empty() {
                        let outcome = Err(why.to_owned());
                        let (table, topic, key, is_passing) =
                            (name, String::new(), Vec::new(), false);
                        tables.left.push(Compared { table, topic, key, outcome, is_passing });
                    }
                    continue;
                }
            };
        let table =
            SnapshotTable { relation: relation.id, publications, key: &key, condition: None };
        let unfinished = unfinished(&progress, &relation).or_else(|| waiting(&parked, &name));
        let outcome = match (found, unfinished, lossy(config, &topic)?) {
            (_, Some(why), _) => Err((why, true)),
            (_, _, Some(why)) | (Err(why), ..) => Err((why, false)),
            (Ok(judged), None, None) => match reader.may_read(&table).await {
                Err(error @ (ChunkError::Right { .. } | ChunkError::RowSecurity { .. })) => {
                    Err((error.to_string(), true))
                }
                may_read => may_read.map_err(Error::Table).map(|()| Ok(judged))?,
            },
        };
        match outcome {
            Err((why, is_passing)) => {
                let outcome = Err(why);
                tables.left.push(Compared { table: name, topic, key, outcome, is_passing });
            }
            Ok(judged) => tables.ready.push(Ready {
                relation: relation.id,
                name,
                topic,
                key,
                judged,
                sharing,
                read: Vec::new(),
                outcome: Outcome::default(),
            }),
        }
    }
    Ok(tables)
}

/// Its rows are not in a topic as a table's are, for this reason.
struct NoTable(&'static str);

/// A table's topic, and how its records are told and judged.
struct Described {
    topic: String,
    /// The columns of its key.
    key: Vec<String>,
    sharing: Sharing,
    /// Or why they cannot be.
    judged: Result<Table, String>,
}

fn described(
    config: &Config,
    relation: &Relation,
    facts: &TableFacts,
) -> Result<Described, NoTable> {
    let settings = Settings::new(config);
    let draft = match plan::compile(relation, facts, &Registered::default(), &settings) {
        Ok(draft) => draft,
        Err(error) => return Ok(Described::left(String::new(), error.to_string())),
    };
    if draft.is_excluded() {
        return Err(NoTable("it is left out, by [tables] include and exclude"));
    }
    let Some(topic) = draft.topics.first().cloned().filter(|_| !draft.layouts.is_empty()) else {
        return Err(NoTable("it is an outbox: its rows are events"));
    };
    if let Some(why) = untold(config, relation, facts, &draft) {
        return Ok(Described::left(topic, why.to_owned()));
    }
    let [value_schema, key_schema] = draft.layouts.as_slice() else {
        let why = "it has no key by which its rows could be told";
        return Ok(Described::left(topic, why.to_owned()));
    };
    let columns = relation.columns.iter().map(|column| Column {
        name: column.name.clone(),
        sql: format!("t.\"{}\"", column.name.replace('"', "\"\"")),
        kind: facts.types.resolve(column.type_oid, column.type_modifier),
    });
    let columns = columns.filter(|column| draft.columns.contains(&column.name));
    let Draft { key, sharing, .. } = draft;
    let has_key_field = sharing.has_key_field;
    let key_notation = match config.tables.key_format {
        Format::Avro => Notation::Avro,
        Format::String if key.len() == 1 && !has_key_field => Notation::Text,
        Format::Json | Format::JsonSchemas | Format::String => Notation::Json,
    };
    let value_notation = match config.tables.value_format {
        Format::Avro => Notation::Avro,
        _ => Notation::Json,
    };
    let judged = Table::new(
        columns.collect(),
        (&key, has_key_field),
        (key_notation, key_schema),
        (value_notation, value_schema),
        binary_text(config.values.representation),
    );
    Ok(Described { topic, key, sharing, judged })
}

impl Described {
    /// Of a table that is not compared.
    fn left(topic: String, why: String) -> Self {
        Self { topic, key: Vec::new(), sharing: Sharing::default(), judged: Err(why) }
    }
}

/// Why the records of a table do not tell what is to be compared.
fn untold(
    config: &Config,
    relation: &Relation,
    facts: &TableFacts,
    draft: &Draft,
) -> Option<&'static str> {
    let is_child = draft.sharing.parent.is_some();
    let own_key = plan::key_names(relation, facts);
    let has_own_key =
        own_key.len() == draft.key.len() && own_key.iter().all(|name| draft.key.contains(name));
    if !draft.has_key() {
        Some("it has no key by which its rows could be told")
    } else if !config.records.position_headers {
        Some(
            "its records have no position (records.position_headers = false), so that what is before the snapshot cannot be told",
        )
    } else if config.postgres.text_encoding.is_some() {
        Some(
            "the database has no encoding (postgres.text_encoding), and texts are compared as UTF-8",
        )
    } else if is_child && !has_own_key {
        Some(
            "its records have the key of the table that it inherits from, which is not its own, so that several of its rows may have one",
        )
    } else if !draft.sharing.are_keys_apart && config.tables.children == Children::Parent {
        Some(
            "keys of its topic do not say of which table they are (topics.shared.key_field = false), and a row of a child by inheritance may have one of its keys (tables.children)",
        )
    } else {
        None
    }
}

fn binary_text(representation: Representation) -> Option<BinaryText> {
    let Representation::Debezium(modes) = representation else { return None };
    match modes.binary {
        BinaryMode::Base64 => Some(BinaryText::Base64),
        BinaryMode::Base64UrlSafe => Some(BinaryText::Base64UrlSafe),
        BinaryMode::Bytes => None,
        BinaryMode::Hex => Some(BinaryText::Hex),
    }
}

/// Rows that are not read yet are missing, and nothing is wrong.
fn unfinished(progress: &[Progress], relation: &Relation) -> Option<String> {
    let found = progress.iter().find(|progress| progress.relation == relation.id)?;
    match (found.state, &found.gap) {
        (State::Reading, None) => {
            Some(format!("its snapshot is not finished: {} rows are in the topic", found.rows))
        }
        (State::Reading, Some(_)) => {
            Some("it is being repaired: compare it when that is over".to_owned())
        }
        _ => None,
    }
}

/// What is parked is not in the topic yet.
fn waiting(parked: &[Parked], table: &str) -> Option<String> {
    let parked = parked.iter().find(|parked| parked.table == table)?;
    let waiting = parked.waiting();
    Some(format!(
        "it is parked, {waiting} changes wait (`walbrook unpark {table}`): {}",
        parked.reason
    ))
}

/// Why a topic may have lost the last record of a key.
fn lossy(config: &Config, topic: &str) -> Result<Option<String>, PipelineError> {
    let Some(settings) = probe::topic(&config.kafka, topic).map_err(of_kafka)? else {
        return Ok(None);
    };
    let Some(policy) = settings.cleanup_policy else {
        let why = format!(
            "whether its topic {topic} loses records cannot be told: grant DescribeConfigs on it"
        );
        return Ok(Some(why));
    };
    let time = settings.retention.filter(|time| *time != std::time::Duration::MAX);
    let bytes = settings.retention_bytes.filter(|bytes| 0 <= *bytes);
    let limit = match (time, bytes) {
        _ if !policy.contains("delete") => return Ok(None),
        (Some(time), _) => format!("retention.ms = {}", time.as_millis()),
        (None, Some(bytes)) => format!("retention.bytes = {bytes}"),
        (None, None) => return Ok(None),
    };
    Ok(Some(format!(
        "its topic {topic} deletes records ({limit}, cleanup.policy = {policy}), so that rows may be missing by design; a topic that holds a table's state has cleanup.policy = compact, or retention.ms and retention.bytes = -1"
    )))
}
