//! `walbrook slot drained`: whether all that has committed is in Kafka, so that a slot can be dropped.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::{failed, of_kafka, print};
use crate::cli::Exit;
use crate::config::Config;
use crate::kafka;
use crate::pipeline::start::Verdict;
use crate::pipeline::{self, Rehearsed};
use crate::position::Lsn;
use crate::postgres::{Catalog, OldestXact, ReplicationClient};

/// Says it, waiting for so long.
///
/// # Errors
///
/// If standard output cannot be written.
pub(super) async fn drained(config: &Config, wait: Duration) -> anyhow::Result<Exit> {
    let (text, exit) = match look(config, wait).await {
        Ok(Ok(text)) => (text, Exit::Ok),
        Ok(Err(text)) => (text, Exit::CheckFailed),
        Err(error) => return Ok(failed(&error)),
    };
    print(&text)?;
    Ok(exit)
}

/// What is drained, or why nothing is.
type Answer = Result<String, String>;

async fn look(config: &Config, wait: Duration) -> Result<Answer, pipeline::Error> {
    let slot = &config.replication.slot;
    let until = Instant::now() + wait;
    let mut catalog = Catalog::connect(&config.postgres).await?;
    let Some(facts) = catalog.slot(slot).await? else {
        return Ok(Err(format!("slot {slot:?} does not exist")));
    };
    pipeline::own_slot(config, &facts)?;
    // Also of what committed and is not on the server's disk yet (synchronous_commit = off).
    let Some(end) = catalog.written_end().await? else {
        return Ok(Err(
            "not known: this server is a standby, which does not say what the primary has committed or has open; ask with the primary's address"
                .to_owned(),
        ));
    };
    let answer = if facts.is_active {
        delivered(config, end, until).await?
    } else {
        waiting(config, &mut catalog, end, until).await?
    };
    Ok(answer.and_then(|text| unless_open(text, facts.oldest_xact.as_ref())))
}

/// While walbrook runs, its checkpoint goes on, also where nothing was published.
async fn delivered(config: &Config, end: Lsn, until: Instant) -> Result<Answer, pipeline::Error> {
    loop {
        let checkpoint = kafka::read_checkpoint(config).map_err(of_kafka)?;
        let confirm = checkpoint.map(|checkpoint| checkpoint.confirm).unwrap_or_default();
        if end <= confirm {
            return Ok(Ok(is_drained(end)));
        }
        if timeout_at(until, sleep(LOOK_EVERY)).await.is_err() {
            return Ok(Err(format!(
                "not drained: Kafka has what committed before {confirm}, and the server's log goes up to {end}; is walbrook behind (walbrook_lag_bytes)? A longer --wait-seconds waits for it"
            )));
        }
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// While nobody reads the slot, what waits behind the checkpoint is decoded.
async fn waiting(
    config: &Config,
    catalog: &mut Catalog,
    end: Lsn,
    until: Instant,
) -> Result<Answer, pipeline::Error> {
    let mut client = ReplicationClient::connect(&config.postgres, &config.replication).await?;
    client.same_server(catalog)?;
    let checkpoint = kafka::read_checkpoint(config).map_err(of_kafka)?;
    let verdict = pipeline::rehearse(config, catalog, &mut client, checkpoint.as_ref()).await;
    client.close().await;
    let Verdict::Resume { checkpoint, comes_again } = verdict? else {
        return Ok(Err("not drained: the slot is only half made".to_owned()));
    };
    let limit = until.saturating_duration_since(Instant::now());
    let from = (&*checkpoint, comes_again);
    let Rehearsed { up_to, records, .. } =
        pipeline::rehearse_stream(config, from, end, limit).await?;
    let up_to = checkpoint.confirm.max(up_to);
    Ok(match records {
        0 if end <= up_to => Ok(is_drained(end)),
        0 => Err(format!(
            "not known: the WAL that waits was decoded up to {up_to} of {end}; a longer --wait-seconds decodes more"
        )),
        _ => Err(format!(
            "not drained: changes wait that make at least {records} records; start `walbrook run`, and ask again while it runs"
        )),
    })
}

fn is_drained(end: Lsn) -> String {
    format!("drained up to {end}: every published change that committed before is in Kafka")
}

/// What is open may commit later, and is not in Kafka then.
fn unless_open(text: String, open: Option<&OldestXact>) -> Answer {
    match open {
        None => Ok(text),
        Some(open) => Err(format!(
            "{text}\nbut a transaction is open that may still commit changes: {open}; end it, and ask again"
        )),
    }
}
