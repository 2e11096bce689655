//! The schema registry's side: that it answers, and what it would say to the schemas.

use super::super::said;
use super::super::schema::{beside_newest, payload_schemas};
use super::report::Report;
use super::tables::Captured;
use crate::config::Config;
use crate::edges::Class;
use crate::plan::{SchemaRequest, Settings};
use crate::registry::{Error, Registration, Registry};

/// Looks at the schema registry.
pub(super) async fn inspect(config: &Config, tables: &[Captured], report: &mut Report) {
    const NAME: &str = "registry.connection";
    let Some(configured) = &config.registry else { return };
    let mut registry = match Registry::new(configured) {
        Ok(registry) => registry,
        Err(error) => return report.error(NAME, &error, None),
    };
    match registry.ping().await {
        Ok(()) => report.ok(NAME, format!("{} answers", configured.urls.join(", "))),
        Err(error) => {
            return report.failed(
                NAME,
                said(&error),
                "check registry.urls (with the base path of its Confluent API), that the registry runs, the log-in in [registry], and firewalls",
            );
        }
    }
    let outboxes = config.outboxes.iter().map(|outbox| &outbox.routing);
    let routings = outboxes.chain(config.message_outbox.iter().map(|outbox| &outbox.routing));
    let payloads: Vec<_> = routings.flat_map(payload_schemas).collect();
    if let Err(error) = schemas(config, &mut registry, tables, &payloads, report).await {
        report.error(SCHEMA, &error, None);
    }
}

const SCHEMA: &str = "registry.schema";

/// Looks at what would be registered. Whether it may be registered only registering would tell.
async fn schemas(
    config: &Config,
    registry: &mut Registry,
    tables: &[Captured],
    payloads: &[SchemaRequest],
    report: &mut Report,
) -> Result<(), Error> {
    let settings = Settings::new(config);
    let mut fit = rehearse(registry, payloads, report).await?;
    for table in tables {
        let Captured { relation, facts, draft } = table;
        let again = beside_newest(registry, &settings, relation, facts).await?;
        let schemas = again.map_or_else(|_| draft.schemas.clone(), |again| again.schemas);
        let found = rehearse(registry, &schemas, report).await?;
        fit.registered += found.registered;
        fit.new += found.new;
        fit.misfits.extend(found.misfits);
    }
    for (subject, message) in &fit.misfits {
        report.failed(
            SCHEMA,
            format!("the schema of subject {subject} is not compatible with what is registered: {message}"),
            advice(subject),
        );
    }
    if 0 < fit.registered + fit.new {
        let new = if registry.registers() {
            format!(
                "; that are new and compatible: {} (whether they may be registered was not tried)",
                fit.new
            )
        } else {
            String::new()
        };
        report.ok(SCHEMA, format!("schemas that are registered: {}{new}", fit.registered));
    }
    Ok(())
}

/// What registering would come to.
#[derive(Default)]
struct Fit {
    registered: usize,
    new: usize,
    /// Subjects whose schema does not go with those before it, and why.
    misfits: Vec<(String, String)>,
}

/// Looks for what would be registered, or found if nothing may be. Ends where the registry does not
/// answer any more.
async fn rehearse(
    registry: &mut Registry,
    wanted: &[SchemaRequest],
    report: &mut Report,
) -> Result<Fit, Error> {
    let mut fit = Fit::default();
    for SchemaRequest { subject, schema_json } in wanted {
        let found = if registry.registers() {
            registry.rehearse(subject, schema_json).await
        } else {
            registry.registered(subject, schema_json).await.map(|_| Registration::Found)
        };
        match found {
            Ok(Registration::Found) => fit.registered += 1,
            Ok(Registration::New) => fit.new += 1,
            Ok(Registration::Incompatible { message }) => {
                fit.misfits.push((subject.clone(), message));
            }
            Err(error) if error.class() == Class::Fatal => report.error(SCHEMA, &error, None),
            Err(error) => return Err(error),
        }
    }
    Ok(fit)
}

fn advice(subject: &str) -> String {
    format!(
        "take the registry's rule of that subject away for a while: PUT /config/{subject} {{\"compatibility\": \"NONE\"}}; FORWARD helps only where fields come, and takes no type that is another one \
         (Apicurio 2 takes a subject's NONE for no rule of its own, so there the global rule must be NONE too)"
    )
}
