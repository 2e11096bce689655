//! Topics of outboxes, as far as they can be known before an event comes.

use regex::Regex;

use super::report::Report;
use super::tables::Wanted;
use crate::config::{Config, Routing};
use crate::kafka::{Error, probe};

const ROUTE: &str = "{route}";

/// Topics that outboxes may write: those that the configuration names, by payload schemas or by a
/// template without `{route}`, and those that exist and fit a template. Where rows alone decide and
/// none exists yet, the report says that nothing was tried.
pub(super) fn topics(config: &Config, report: &mut Report) -> Result<Vec<Wanted>, Error> {
    let tables = config.outboxes.iter().map(|outbox| &outbox.routing);
    let messages = config.message_outbox.iter().map(|outbox| &outbox.routing);
    let routings: Vec<_> = tables.chain(messages).collect();
    if routings.is_empty() {
        return Ok(Vec::new());
    }
    let existing = probe::names(&config.kafka)?;
    let mut found = Vec::new();
    for routing in routings {
        let before = found.len();
        found.extend(named(routing));
        let patterns = patterns(routing);
        let fits = |topic: &&String| patterns.iter().all(|pattern| pattern.is_match(topic));
        found.extend(existing.iter().filter(fits).cloned());
        if found.len() == before {
            let template = &routing.topic_template;
            let prefix = template.split(ROUTE).next().unwrap_or_default();
            report.skipped(
                "kafka.topic",
                format!("no topic {template} exists yet, and its name depends on rows: whether it may be created and written was not tried (kafka-acls.sh --add --allow-principal User:… --operation Describe --operation Write --operation Create --resource-pattern-type prefixed --topic {prefix})"),
            );
        }
    }
    Ok(found.into_iter().map(|topic| Wanted { topic, has_key: true, key: None }).collect())
}

/// What the configuration names.
fn named(routing: &Routing) -> Vec<String> {
    let template = &routing.topic_template;
    if template.contains(ROUTE) {
        routing.schemas.iter().map(|schema| template.replace(ROUTE, &schema.route)).collect()
    } else {
        vec![template.clone()]
    }
}

/// What the name of a topic must match: the template, and what is allowed.
fn patterns(routing: &Routing) -> Vec<Regex> {
    let parts: Vec<_> = routing.topic_template.split(ROUTE).map(regex::escape).collect();
    let patterns = [parts.join(".+"), routing.topic_allow.to_string()];
    // Both were legal when the configuration was read.
    patterns.iter().filter_map(|it| Regex::new(&format!(r"\A(?:{it})\z")).ok()).collect()
}
