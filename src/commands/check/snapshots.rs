//! Whether the rows that tables had before can be read: rights, row security and conditions.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::said;
use super::kafka::Progress;
use super::postgres::Source;
use super::report::Report;
use super::tables::Captured;
use super::{standbys, unkeyed};
use crate::config::Config;
use crate::edges::Class;
use crate::kafka;
use crate::plan;
use crate::postgres::{ChunkError, ChunkLimits, ChunkReader, SnapshotTable};
use crate::snapshot::State;
use crate::wal::{Relation, RelationId};

const NAME: &str = "snapshot.tables";

/// A condition is planned under the table's lock, for which nobody should have to wait.
pub(super) const LIMITS: ChunkLimits = ChunkLimits {
    lock_timeout: Duration::from_secs(1),
    statement_timeout: Duration::from_secs(10),
};

/// Looks at each table that will be read.
pub(super) async fn inspect(
    config: &Config,
    source: &mut Source,
    progress: &Progress,
    report: &mut Report,
) {
    if config.snapshot.is_ruled_out {
        report.warning(
            NAME,
            "the rows that tables had before are not read, since that does not go with postgres.text_encoding",
            "set snapshot.mode = \"never\", which says that it is known",
        );
    }
    if config.snapshot.is_off() {
        return;
    }
    let Source { catalog, client, needs, .. } = source;
    let tables = &needs.tables;
    for name in config.snapshot.names() {
        if !tables.iter().any(|table| full_name(&table.relation) == name) {
            report.warning(
                NAME,
                format!("[snapshot] names {name}, which is not in the publications"),
                "correct the name (\"schema.table\"), or publish the table",
            );
        }
    }
    let Some(settled) = settled(config, progress, report) else { return };
    let is_outbox = |namespace: &String, name: &String| {
        config.outboxes.iter().any(|outbox| outbox.is(namespace, name))
    };
    let wanted = tables.iter().filter(|Captured { relation, facts, .. }| {
        let mut above = facts.ancestors.iter().flatten();
        config.snapshot.reads(&full_name(relation))
            && !is_outbox(&relation.namespace, &relation.name)
            && !above.any(|(namespace, name)| is_outbox(namespace, name))
            && !settled.contains(&relation.id)
    });
    let wanted: Vec<_> = wanted.collect();
    let standbys = standbys::inspect(config, client.as_mut(), report).await;
    examine(config, &wanted, standbys, report).await;
    unkeyed::inspect(config, catalog, &wanted, report).await;
}

/// Which tables count as read; `None` if all that there are do.
fn settled(
    config: &Config,
    progress: &Progress,
    report: &mut Report,
) -> Option<BTreeSet<RelationId>> {
    let Progress::Known(Some(checkpoint)) = progress else { return Some(BTreeSet::new()) };
    if checkpoint.snapshots.is_none() {
        report.ok(NAME, "no snapshot was ever taken, so the tables that are there count as read");
        return None;
    }
    match kafka::read_progress(config, checkpoint) {
        Ok(progress) => {
            let settled = progress.into_iter().filter(|it| it.state != State::Reading);
            Some(settled.map(|it| it.relation).collect())
        }
        Err(error) => {
            report.error(NAME, &error, None);
            Some(BTreeSet::new())
        }
    }
}

/// Tries the tables on the standbys that are read, else on the slot's server.
async fn examine(
    config: &Config,
    wanted: &[&Captured],
    standbys: Vec<(String, ChunkReader)>,
    report: &mut Report,
) {
    if wanted.is_empty() {
        return report.ok(NAME, "every table that is published now counts as read");
    }
    if standbys.is_empty() {
        return match ChunkReader::connect(&config.postgres, LIMITS).await {
            Ok(reader) => try_tables(config, wanted, reader, "", report).await,
            Err(error) => report.error(NAME, &error, None),
        };
    }
    for (host, reader) in standbys {
        try_tables(config, wanted, reader, &format!("standby {host}: "), report).await;
    }
}

async fn try_tables(
    config: &Config,
    wanted: &[&Captured],
    mut reader: ChunkReader,
    at: &str,
    report: &mut Report,
) {
    let mut readable = 0;
    for Captured { relation, facts, .. } in wanted {
        let (key, name) = (plan::key_names(relation, facts), full_name(relation));
        let table = SnapshotTable {
            relation: relation.id,
            publications: &config.replication.publications,
            key: &key,
            // Without a key it is not read.
            condition: config.snapshot.condition(&name).filter(|_| !key.is_empty()),
        };
        match reader.examine(&table).await {
            Ok(()) => readable += 1,
            Err(error) => judge(&error, at, report),
        }
        if !reader.is_usable() {
            return report.skipped(NAME, format!("{at}the tables behind that were not looked at"));
        }
    }
    if 0 < readable {
        report.ok(NAME, format!("{at}tables whose rows will be read, and can be: {readable}"));
    }
    reader.close().await;
}

fn judge(error: &ChunkError, at: &str, report: &mut Report) {
    match error {
        ChunkError::Right { table, user, grant } => report.failed(
            NAME,
            format!("{at}user {user:?} may not read {table}, which a snapshot does"),
            format!("{grant};"),
        ),
        error if error.class() == Class::Fatal => report.failed(
            NAME,
            format!("{at}{}", said(error)),
            "put that right, or leave the table out: [[snapshot.tables]], mode = \"never\"",
        ),
        error => report.skipped(NAME, format!("{at}{}", said(error))),
    }
}

fn full_name(relation: &Relation) -> String {
    format!("{}.{}", relation.namespace, relation.name)
}
