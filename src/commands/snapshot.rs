//! `walbrook snapshot …`: what the running process is told of snapshots, and how far they are.

mod lines;

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use tracing::error;

use super::ask::answer;
use crate::admin::control::{Report, Request};
use crate::cli::{Exit, SnapshotCommand};
use crate::config::Config;
use crate::order::{Order, Reply};
use crate::status::Snapshots;
use lines::lines;

/// How often a terminal is written anew, and how often lines are written elsewhere.
const LIVE_EVERY: Duration = Duration::from_secs(1);
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Tells the running process, or asks it.
///
/// # Errors
///
/// If its answer is not understood, or cannot be printed.
pub async fn snapshot(config: &Config, command: SnapshotCommand) -> anyhow::Result<Exit> {
    let orders = match command {
        SnapshotCommand::Status { watch: true, .. } => return watch(config).await,
        SnapshotCommand::Status { json, .. } => return status(config, json).await,
        SnapshotCommand::Pause { tables } => each(tables, |table| Order::Pause { table }),
        SnapshotCommand::Resume { tables } => each(tables, |table| Order::Resume { table }),
        SnapshotCommand::Stop { tables } => each(tables, |table| Order::Stop { table }),
        SnapshotCommand::Start { tables, condition } => {
            let start = |table| Order::Start { table, condition: condition.clone() };
            tables.into_iter().map(start).collect()
        }
    };
    let mut exit = Exit::Ok;
    for order in orders {
        let ended = tell(config, order).await?;
        if ended != Exit::Ok {
            exit = ended;
        }
    }
    Ok(exit)
}

/// One order for each table, or one for all.
fn each(tables: Vec<String>, order: impl Fn(Option<String>) -> Order) -> Vec<Order> {
    if tables.is_empty() {
        return vec![order(None)];
    }
    tables.into_iter().map(|table| order(Some(table))).collect()
}

async fn tell(config: &Config, order: Order) -> anyhow::Result<Exit> {
    let subject = match &order {
        Order::Repair { table, .. } | Order::Start { table, .. } => format!("{table}: "),
        _ => String::new(),
    };
    tell_request(config, Request::Snapshot(order), &subject).await
}

/// Tells the running process, and prints its answer behind what that is about.
pub(super) async fn tell_request(
    config: &Config,
    request: Request,
    subject: &str,
) -> anyhow::Result<Exit> {
    let said = match answer(config, request).await? {
        Ok(said) => {
            serde_json::from_value(said).context("what this version does not understand")?
        }
        Err(exit) => return Ok(exit),
    };
    match said {
        Reply::Done(done) => {
            super::print(&format!("{subject}{done}"))?;
            Ok(Exit::Ok)
        }
        Reply::Refused(why) => {
            error!("{subject}refused: {why}");
            Ok(Exit::Usage)
        }
        Reply::Unanswered(why) => {
            error!("{subject}{why}");
            Ok(Exit::Unreachable)
        }
    }
}

pub(super) async fn report(config: &Config) -> anyhow::Result<Result<Report, Exit>> {
    let answer = answer(config, Request::Status {}).await?;
    let report = answer.map(serde_json::from_value).map(|report| report.map_err(Into::into));
    report.map_or_else(|exit| Ok(Err(exit)), |report: anyhow::Result<_>| report.map(Ok))
}

async fn status(config: &Config, is_json: bool) -> anyhow::Result<Exit> {
    let report = match report(config).await? {
        Ok(report) => report,
        Err(exit) => return Ok(exit),
    };
    if is_json {
        let snapshots = serde_json::to_value(&report.snapshots)?;
        super::print(&format!("{snapshots:#}"))?;
    } else {
        super::print(&lines(&report.phase, report.snapshots.as_ref()).join("\n"))?;
    }
    Ok(Exit::Ok)
}

/// Prints the status again and again, in a terminal over the last one, until all was read.
async fn watch(config: &Config) -> anyhow::Result<Exit> {
    let is_live = std::io::stdout().is_terminal();
    let mut before = 0;
    loop {
        let report = match report(config).await? {
            Ok(report) => report,
            Err(exit) => return Ok(exit),
        };
        let lines = lines(&report.phase, report.snapshots.as_ref());
        let mut out = std::io::stdout().lock();
        if is_live && 0 < before {
            // Up to the first line of the last time, and clear what is below.
            write!(out, "\x1b[{before}F\x1b[J")?;
        }
        writeln!(out, "{}", lines.join("\n"))?;
        out.flush()?;
        drop(out);
        before = lines.len();
        let is_streaming = report.phase == "streaming";
        if is_streaming && report.snapshots.as_ref().is_none_or(Snapshots::is_over) {
            return Ok(Exit::Ok);
        }
        tokio::time::sleep(if is_live { LIVE_EVERY } else { PLAIN_EVERY }).await;
    }
}
