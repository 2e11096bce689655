//! `walbrook slot`: created, adopted, dropped or looked at.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::checkpoint::changed;
use super::drained::drained;
use super::{failed, of_kafka, print};
use crate::checkpoint::Checkpoint;
use crate::cli::{Exit, SlotCommand};
use crate::config::Config;
use crate::kafka;
use crate::metrics::Metrics;
use crate::pipeline::{self, Telemetry, stop_pair};
use crate::postgres::{Catalog, ReplicationClient, SlotFacts, Walsender};
use crate::status::Status;

/// Creates, adopts, drops or shows the slot.
///
/// # Errors
///
/// If standard output cannot be written.
pub async fn slot(config: &Config, command: SlotCommand) -> anyhow::Result<Exit> {
    let answer = match command {
        SlotCommand::Adopt { epoch } => adopt(config, epoch).await,
        SlotCommand::Create => create(config).await,
        SlotCommand::Drained { wait_seconds } => {
            return drained(config, Duration::from_secs(wait_seconds)).await;
        }
        SlotCommand::Drop { yes } => drop_slot(config, yes).await,
        SlotCommand::Status { json } => status(config, json).await,
    };
    match answer {
        Ok(text) => {
            print(&text)?;
            Ok(Exit::Ok)
        }
        Err(error) => Ok(failed(&error)),
    }
}

async fn adopt(config: &Config, epoch: u32) -> Result<String, pipeline::Error> {
    // Held until the end, since a stop that is dropped is a stop.
    let (_stopper, mut stop) = stop_pair();
    let outcome = pipeline::adopt(config, epoch, &mut stop).await?;
    let is_pending = config.outboxes.iter().any(|outbox| outbox.pending.is_some());
    let pending = if is_pending { PENDING_UNREAD } else { "" };
    Ok(format!(
        "adopted slot {:?}: changes before {} are not delivered; records of an earlier run may come again\n{pending}{}",
        config.replication.slot,
        outcome.now.confirm,
        changed(&outcome)
    ))
}

/// What is said where a slot was made by something else.
const PENDING_UNREAD: &str = "rows that are pending in outboxes are not read: that is done only where `walbrook run` makes the slot\n";

async fn create(config: &Config) -> Result<String, pipeline::Error> {
    let (_stopper, mut stop) = stop_pair();
    let mut telemetry = Telemetry::new(config, Metrics::new(), watch::channel(Status::default()).0);
    pipeline::create(config, &mut telemetry, &mut stop).await?;
    let slot = &config.replication.slot;
    let mut catalog = Catalog::connect(&config.postgres).await?;
    let facts = catalog.slot(slot).await?;
    let confirmed = facts.and_then(|facts| facts.confirmed_flush).unwrap_or_default();
    Ok(format!(
        "created slot {slot:?} at {confirmed}: changes that commit from now on are delivered; until walbrook runs, the server keeps their WAL"
    ))
}

async fn drop_slot(config: &Config, is_meant: bool) -> Result<String, pipeline::Error> {
    let name = &config.replication.slot;
    let mut catalog = Catalog::connect(&config.postgres).await?;
    let Some(facts) = pipeline::free_slot(&mut catalog, name).await? else {
        return Ok(format!("there is no slot {name:?}"));
    };
    pipeline::own_slot(config, &facts)?;
    let loss = loss(&facts);
    if !is_meant {
        // What is in Kafka is worth knowing here, but not worth failing for.
        let checkpoint = kafka::read_checkpoint(config).map_err(of_kafka);
        let checkpoint = checkpoint_line(checkpoint.ok().flatten().as_ref());
        return Ok(format!(
            "dropping slot {name:?} would lose {loss}\n{checkpoint}\nnothing was done; to do it: walbrook slot drop --yes"
        ));
    }
    let mut client = ReplicationClient::connect(&config.postgres, &config.replication).await?;
    client.same_server(&catalog)?;
    client.drop_slot(name).await?;
    client.close().await;
    Ok(format!(
        "dropped slot {name:?}, and with it {loss}\nthe checkpoint stays in Kafka: `walbrook run` refuses to start until `walbrook checkpoint accept --reason …` makes the slot anew"
    ))
}

fn checkpoint_line(checkpoint: Option<&Checkpoint>) -> String {
    checkpoint.map_or_else(
        || "kafka holds no checkpoint of it, or does not answer".to_owned(),
        |checkpoint| format!("kafka holds its changes up to {}", checkpoint.position),
    )
}

fn loss(facts: &SlotFacts) -> String {
    let confirmed = facts.confirmed_flush.unwrap_or_default();
    let retained = facts.retained_bytes.unwrap_or_default();
    match facts.invalidation() {
        Some(reason) => format!("nothing more: it is lost already ({reason})"),
        None => format!(
            "every change that committed after {confirmed} and is not yet in Kafka ({retained} bytes of WAL are kept for it)"
        ),
    }
}

async fn status(config: &Config, is_json: bool) -> Result<String, pipeline::Error> {
    let name = &config.replication.slot;
    let mut catalog = Catalog::connect(&config.postgres).await?;
    let Some(facts) = catalog.slot(name).await? else {
        return Ok(if is_json {
            format!("{:#}", json!({ "slot": name, "exists": false }))
        } else {
            format!("slot {name:?} does not exist")
        });
    };
    let holder = match facts.active_pid {
        Some(pid) => catalog.walsender(pid).await?,
        None => None,
    };
    Ok(if is_json {
        as_json(name, &facts, holder.as_ref())
    } else {
        as_text(name, &facts, holder.as_ref())
    })
}

fn as_json(name: &str, facts: &SlotFacts, holder: Option<&Walsender>) -> String {
    let lsn = |lsn: Option<crate::position::Lsn>| lsn.map(|lsn| lsn.to_string());
    let holder = holder.map(|holder| {
        json!({
            "application_name": holder.application_name,
            "client_address": holder.client_address,
            "state": holder.state,
            "reply_age_seconds": holder.reply_age.map(|age| age.as_secs_f64()),
        })
    });
    let value = json!({
        "slot": name,
        "exists": true,
        "plugin": facts.plugin,
        "database": facts.database,
        "active": facts.is_active,
        "active_pid": facts.active_pid,
        "walsender": holder,
        "confirmed_flush_lsn": lsn(facts.confirmed_flush),
        "restart_lsn": lsn(facts.restart_lsn),
        "wal_status": facts.wal_status,
        "retained_bytes": facts.retained_bytes,
        "safe_wal_size": facts.safe_wal_size,
        "lost": facts.invalidation(),
        "failover": facts.is_failover,
        "oldest_transaction": facts.oldest_xact.as_ref().map(ToString::to_string),
    });
    format!("{value:#}")
}

fn as_text(name: &str, facts: &SlotFacts, holder: Option<&Walsender>) -> String {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let bytes = |bytes: Option<i64>| bytes.map(|bytes| format!("{bytes} bytes"));
    let holder = holder.map_or_else(String::new, |it| {
        let from = it.client_address.as_deref().unwrap_or("a Unix socket");
        format!(" ({:?} from {from}, {})", it.application_name, or_none(it.state.clone()))
    });
    let state = match (facts.invalidation(), facts.active_pid) {
        (Some(reason), _) => format!("lost ({reason})"),
        (None, Some(pid)) => format!("held by process {pid}{holder}"),
        (None, None) => "free".to_owned(),
    };
    let mut out = format!(
        "slot:       {name}\n\
         state:      {state}\n\
         plugin:     {plugin}, database {database}\n\
         confirmed:  {confirmed}\n\
         restart:    {restart}",
        plugin = or_none(facts.plugin.clone()),
        database = or_none(facts.database.clone()),
        confirmed = or_none(facts.confirmed_flush.map(|lsn| lsn.to_string())),
        restart = or_none(facts.restart_lsn.map(|lsn| lsn.to_string())),
    );
    let safe = bytes(facts.safe_wal_size).map_or_else(
        || "no limit (max_slot_wal_keep_size)".to_owned(),
        |it| it + " until it may be lost",
    );
    // Writing to a String does not fail.
    let _ = write!(
        out,
        "\nWAL kept:   {retained}, {status}\nWAL limit:  {safe}\nfailover:   {failover}\n\
         open:       {oldest} (the oldest transaction: the slot keeps WAL from its beginning on)",
        retained = or_none(bytes(facts.retained_bytes)),
        status = or_none(facts.wal_status.clone()),
        failover = if facts.is_failover { "yes" } else { "no" },
        oldest = or_none(facts.oldest_xact.as_ref().map(ToString::to_string)),
    );
    out
}
