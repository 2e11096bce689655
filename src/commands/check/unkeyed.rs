//! What the snapshot of a table without a key does to its stream.

use super::report::Report;
use super::sql::alter_table;
use super::tables::{Captured, shortened};
use crate::config::Config;
use crate::plan;
use crate::postgres::Catalog;

/// Looks at those of the tables that will be read that have no key.
pub(super) async fn inspect(
    config: &Config,
    catalog: &mut Catalog,
    wanted: &[&Captured],
    report: &mut Report,
) {
    let (mut read, mut large) = (Vec::new(), Vec::new());
    for Captured { relation, facts, .. } in wanted {
        if !plan::key_names(relation, facts).is_empty() {
            continue;
        }
        match catalog.fits(relation.id, &config.batch).await {
            Ok(Some(false)) => large.push(relation),
            Ok(_) => read.push(format!("{}.{}", relation.namespace, relation.name)),
            Err(error) => return report.error(NAME, &error, None),
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
