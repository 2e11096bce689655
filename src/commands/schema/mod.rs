//! `walbrook schema`: the Avro schemas as they would be registered, from the live catalog and beside the
//! newest ones of the registry; and what a migration would do to them.

mod check;
mod report;
mod split;
mod trial;
mod verdict;

use serde_json::{Value, json};

use super::{failed, print, said};
use crate::cli::{Exit, SchemaCommand};
use crate::config::{Config, Outbox, Routing};
use crate::facts::TableFacts;
use crate::pipeline;
use crate::plan::{self, Draft, Newest, Registered, SchemaRequest, Settings};
use crate::postgres::Catalog;
use crate::registry::{self, Registry};
use crate::wal::Relation;

/// Prints schemas, or what a migration does to them.
///
/// # Errors
///
/// If standard output cannot be written.
pub async fn schema(config: &Config, command: SchemaCommand) -> anyhow::Result<Exit> {
    match command {
        SchemaCommand::Check(arguments) => check::check(config, &arguments).await,
        SchemaCommand::Print { table } => print_schemas(config, table.as_deref()).await,
    }
}

/// One JSON object each, with the subject.
async fn print_schemas(config: &Config, table: Option<&str>) -> anyhow::Result<Exit> {
    match schemas(config, table).await {
        Ok(Found { schemas, errors, is_known }) => {
            for request in &schemas {
                print(&shown(request))?;
            }
            for error in &errors {
                tracing::error!(error, "a table has no schema");
            }
            if !is_known {
                tracing::error!(table, "no publication has this table");
            }
            if schemas.is_empty() && is_known && errors.is_empty() {
                tracing::warn!("nothing is registered: no table is written as Avro");
            }
            Ok(match (is_known, errors.is_empty()) {
                (false, _) => Exit::Usage,
                (true, false) => Exit::Permanent,
                (true, true) => Exit::Ok,
            })
        }
        Err(error) => Ok(failed(&error)),
    }
}

struct Found {
    schemas: Vec<SchemaRequest>,
    errors: Vec<String>,
    /// Whether the wanted table is published.
    is_known: bool,
}

async fn schemas(config: &Config, table: Option<&str>) -> Result<Found, pipeline::Error> {
    let settings = Settings::new(config);
    let mut catalog = Catalog::connect(&config.postgres).await?;
    let relations = catalog.published_relations(&config.replication.publications).await?;
    let mut registry = config.registry.as_ref().and_then(|it| answered(Registry::new(it)));
    let mut found = Found { schemas: Vec::new(), errors: Vec::new(), is_known: table.is_none() };
    for relation in relations {
        let name = format!("{}.{}", relation.namespace, relation.name);
        if table.is_some_and(|table| table != name) {
            continue;
        }
        found.is_known = true;
        let facts = catalog.describe(&relation).await?;
        let beside = match &mut registry {
            Some(it) => answered(beside_newest(it, &settings, &relation, &facts).await),
            None => None,
        };
        if beside.is_none() {
            registry = None;
        }
        let alone = || plan::compile(&relation, &facts, &Registered::default(), &settings);
        match beside.unwrap_or_else(alone) {
            Ok(draft) if draft.is_excluded() && table.is_some() => {
                let why = "is left out, by [tables] include and exclude";
                found.errors.push(format!("table {name} {why}"));
            }
            Ok(draft) => found.schemas.extend(draft.schemas),
            Err(error) => found.errors.push(said(&error)),
        }
        found.schemas.extend(outbox_schemas(config, &relation));
    }
    if table.is_none()
        && let Some(outbox) = &config.message_outbox
    {
        found.schemas.extend(payload_schemas(&outbox.routing));
    }
    Ok(found)
}

/// What a registry said, or a warning that it says nothing.
fn answered<T>(answer: Result<T, registry::Error>) -> Option<T> {
    answer
        .inspect_err(|error| {
            let error = said(error);
            tracing::warn!(error, "these are the schemas of subjects that have none yet");
        })
        .ok()
}

/// A table's plan beside the newest schemas of its subjects, as `run` makes it.
///
/// # Errors
///
/// If no registry answers, or the credentials are refused.
pub(super) async fn beside_newest(
    registry: &mut Registry,
    settings: &Settings,
    relation: &Relation,
    facts: &TableFacts,
) -> Result<Result<Draft, plan::Error>, registry::Error> {
    let newest = newest(registry, plan::subjects(relation, facts, settings)).await?;
    let registered = Registered::parse(&newest, settings);
    let mut draft = plan::compile(relation, facts, &registered, settings);
    if let Ok(draft) = &mut draft {
        draft.keep(&newest);
    }
    Ok(draft)
}

/// The newest schemas of those subjects that have any.
async fn newest(
    registry: &mut Registry,
    subjects: Vec<String>,
) -> Result<Vec<Newest>, registry::Error> {
    let mut found = Vec::new();
    for subject in subjects {
        found.extend(registry.newest(&subject).await?.map(|text| (subject, text)));
    }
    Ok(found)
}

/// The payload schemas of an outbox table.
fn outbox_schemas(config: &Config, relation: &Relation) -> Vec<SchemaRequest> {
    let outbox = Outbox::of(&config.outboxes, &relation.namespace, &relation.name);
    outbox.map(|outbox| payload_schemas(&outbox.routing)).unwrap_or_default()
}

/// Payload schemas are registered when their topic is first needed.
pub(super) fn payload_schemas(routing: &Routing) -> Vec<SchemaRequest> {
    let request = |schema: &crate::config::PayloadSchema| SchemaRequest {
        subject: format!("{}-value", routing.topic_template.replace("{route}", &schema.route)),
        schema_json: schema.schema_json.clone(),
    };
    routing.schemas.iter().map(request).collect()
}

fn shown(request: &SchemaRequest) -> String {
    let schema: Value = serde_json::from_str(&request.schema_json)
        .unwrap_or_else(|_| Value::from(request.schema_json.as_str()));
    format!("{:#}", json!({ "subject": request.subject, "schema": schema }))
}
