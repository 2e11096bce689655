//! `walbrook check`: is everything in place, and if not, what is to be done?
//!
//! Everything is looked at in one run: what fails does not keep the rest from being looked at,
//! unless that needs it. Nothing that lasts is changed, and a running pipeline is not disturbed.

mod kafka;
mod left_out;
mod parked;
mod partitions;
mod pending;
mod postgres;
mod registry;
mod report;
mod routed;
mod snapshots;
mod sql;
mod standbys;
mod tables;
mod unkeyed;
mod waiting;

use std::time::Duration;

use self::kafka::Progress;
use self::postgres::Source;
use self::report::Report;
use self::tables::Needs;
use super::print;
use crate::checkpoint::{Checkpoint, Remade};
use crate::cli::Exit;
use crate::config::Config;
use crate::pipeline::{self, start::Verdict};
use crate::position::Lsn;
use crate::postgres::Catalog;

/// Prints the SQL that puts PostgreSQL right.
///
/// # Errors
///
/// If standard output cannot be written.
pub fn check_sql(config: &Config) -> anyhow::Result<Exit> {
    print(sql::statements(config).trim_end())?;
    Ok(Exit::Ok)
}

/// Looks at every prerequisite, and for so long at the WAL that waits, and prints what it found.
///
/// # Errors
///
/// If standard output cannot be written.
pub async fn check(config: &Config, decode: Duration, is_json: bool) -> anyhow::Result<Exit> {
    let mut report = Report::default();
    let mut source = postgres::inspect(config, &mut report).await;
    let nothing = Needs::default();
    let needs = source.as_ref().map_or(&nothing, |source| &source.needs);
    let progress = kafka::inspect(config, &needs.topics, &mut report);
    registry::inspect(config, &needs.tables, &mut report).await;
    if let Some(source) = &mut source {
        snapshots::inspect(config, source, &progress, &mut report).await;
        pending::inspect(config, source, &progress, &mut report).await;
    }
    if let Some(source) = source {
        start(config, source, &progress, decode, &mut report).await;
    }
    print(&if is_json { report.to_json() } else { report.to_text() })?;
    Ok(if report.has_failed() { Exit::CheckFailed } else { Exit::Ok })
}

/// Whether a start would go on from what slot and checkpoint say together, and how far.
async fn start(
    config: &Config,
    source: Source,
    progress: &Progress,
    decode: Duration,
    report: &mut Report,
) {
    const NAME: &str = "start";
    let Progress::Known(checkpoint) = progress else {
        return report
            .skipped(NAME, "slot and checkpoint were not compared: the checkpoint is not known");
    };
    if source.slot.as_ref().is_some_and(|slot| slot.is_active) {
        return report.ok(NAME, "the slot is held; another instance would wait as a standby");
    }
    let Source { mut catalog, client, slot, .. } = source;
    let Some(mut client) = client else {
        return report.skipped(
            NAME,
            "slot and checkpoint were not compared: it takes a replication connection",
        );
    };
    let verdict =
        pipeline::rehearse(config, &mut catalog, &mut client, checkpoint.as_deref()).await;
    client.close().await;
    match verdict {
        Ok(Verdict::Create) => report.ok(
            NAME,
            "the first start creates the slot; changes that commit from then on are delivered",
        ),
        Ok(Verdict::Resume { checkpoint: resumed, comes_again }) => {
            report.ok(NAME, format!("a start goes on after {}", resumed.position));
            remade(config, &mut catalog, checkpoint.as_deref(), report).await;
            drop(catalog);
            let end = slot.and_then(|slot| slot.log_end()).unwrap_or(Lsn::ZERO);
            waiting::inspect(config, (&resumed, comes_again), end, decode, report).await;
        }
        Err(error) => report.error(NAME, &error, None),
    }
}

/// Whether publications were dropped and made again since the last start.
async fn remade(
    config: &Config,
    catalog: &mut Catalog,
    checkpoint: Option<&Checkpoint>,
    report: &mut Report,
) {
    // That one is missing, or cannot be looked at, was said of the publications.
    let Ok(found) = catalog.publications(&config.replication.publications).await else { return };
    let oids = found.into_iter().map(|it| (it.name, it.oid)).collect();
    for Remade { name, was, is } in checkpoint.iter().flat_map(|it| it.stream.remade(&oids)) {
        report.warning(
            "start",
            format!("publication {name:?} was dropped and made again since the last start (its OID was {was}, and is {is}): if a change in the WAL that waits was written between, the stream ends there"),
            "see that it publishes what it did; if the stream ends, its error says what to do",
        );
    }
}

#[cfg(test)]
mod tests;
