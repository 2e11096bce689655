//! `walbrook unpark`: what is parked of tables is brought back, by the running process.

use std::time::Duration;

use tracing::error;

use super::snapshot::{report, tell_request};
use crate::admin::control::Request;
use crate::cli::{Exit, UnparkArguments};
use crate::config::Config;
use crate::status::ParkedTable;

/// How often the process is asked how far it is, and how often that is said.
const ASK_EVERY: Duration = Duration::from_millis(200);
const SAY_EVERY: u32 = 25;

/// Tells the running process, and waits until all is back, or is refused again.
///
/// # Errors
///
/// If its answer is not understood, or cannot be printed.
pub async fn unpark(config: &Config, arguments: &UnparkArguments) -> anyhow::Result<Exit> {
    let tables = if arguments.all {
        match report(config).await? {
            Ok(report) => report.parked.into_iter().map(|parked| parked.table).collect(),
            Err(exit) => return Ok(exit),
        }
    } else {
        arguments.tables.clone()
    };
    if tables.is_empty() {
        super::print("no table is parked")?;
    }
    let mut exit = Exit::Ok;
    for table in tables {
        let reason = arguments.reason.clone();
        let request =
            Request::Unpark { table: table.clone(), leave_out: arguments.leave_out, reason };
        let ended = match tell_request(config, request, &format!("{table}: ")).await? {
            Exit::Ok => wait(config, &table).await?,
            refused => refused,
        };
        if ended != Exit::Ok {
            exit = ended;
        }
    }
    Ok(exit)
}

/// One table at a time is brought back, so that it may wait for another.
async fn wait(config: &Config, table: &str) -> anyhow::Result<Exit> {
    let mut asked = 0_u32;
    loop {
        let report = match report(config).await? {
            Ok(report) => report,
            Err(exit) => return Ok(exit),
        };
        let Some(parked) = report.parked.into_iter().find(|parked| parked.table == table) else {
            super::print(&format!("{table}: all of it is back, and it goes on"))?;
            return Ok(Exit::Ok);
        };
        let ParkedTable { reason, waiting, returned, is_returning, .. } = parked;
        if !is_returning {
            error!("{table}: stays parked, {waiting} changes wait: {reason}");
            return Ok(Exit::Permanent);
        }
        asked += 1;
        if asked.is_multiple_of(SAY_EVERY) {
            super::print(&format!("{table}: {returned} changes are back, {waiting} wait"))?;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
