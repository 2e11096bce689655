//! What the snapshot of a table without a key does to its stream.

use super::report::Report;
use super::sql::alter_table;
use super::tables::{Captured, shortened};
use crate::config::{Config, SnapshotMode};
use crate::plan;
use crate::postgres::{Catalog, Error};

/// Looks at tables that are, or were, read when they are seen in the publications for the first time.
pub(super) async fn inspect(
    config: &Config,
    catalog: &mut Catalog,
    tables: &[Captured],
    report: &mut Report,
) -> Result<(), Error> {
    if config.snapshot.mode == SnapshotMode::Never {
        return Ok(());
    }
    let (mut read, mut large) = (Vec::new(), Vec::new());
    for Captured { relation, facts, .. } in tables {
        let (namespace, name) = (&relation.namespace, &relation.name);
        let is_it = |it: &crate::config::Outbox| it.namespace == *namespace && it.table == *name;
        let is_outbox = config.outboxes.iter().any(is_it);
        if is_outbox || !plan::key_names(relation, facts).is_empty() {
            continue;
        }
        match catalog.fits(relation.id, &config.batch).await? {
            Some(false) => large.push(relation),
            _ => read.push(format!("{namespace}.{name}")),
        }
    }
    judge(config, &read, report);
    for relation in large {
        let change = |change| alter_table(&relation.namespace, &relation.name, change);
        report.warning(
            NAME,
            format!(
                "table {}.{} has no key, so its rows can only be read at once, and they are more than half of batch.max_records ({}) or batch.max_bytes ({}), or take too long to count: they are not read, only its changes go out",
                relation.namespace, relation.name, config.batch.max_records, config.batch.max_bytes
            ),
            format!(
                "before walbrook sees it for the first time, one of:\n{}\n{}\nlarger batch.max_records and batch.max_bytes",
                change("ADD PRIMARY KEY (…)"),
                change("REPLICA IDENTITY USING INDEX …")
            ),
        );
    }
    Ok(())
}

fn judge(config: &Config, read: &[String], report: &mut Report) {
    if read.is_empty() {
        return;
    }
    report.ok(
        NAME,
        format!(
            "tables without a key, of which each is read at once (up to {} rows) when it is seen for the first time; its stream begins with these rows, which have what changed before: {}",
            config.batch.max_records,
            shortened(read)
        ),
    );
}

const NAME: &str = "postgres.snapshot";
