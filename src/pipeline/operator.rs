//! The operator's decisions: adopt a slot, accept another checkpoint. Each holds the slot, fences,
//! reads, and writes the new checkpoint in a transaction of its own, like any start (I4).

use super::attempt::{
    Attempt, commit, expected, first_checkpoint, from_confirmed, history, is_failover, kafka_sink,
    recovered, server, session,
};
use super::reader::{alive, gone};
use super::start::{self, Server, Verdict};
use super::telemetry::Telemetry;
use super::writer::{self, Writer};
use super::{Error, Stop, sink};
use crate::checkpoint::{Accepted, Checkpoint, State};
use crate::config::Config;
use crate::kafka::{self, KafkaSink};
use crate::position::Lsn;
use crate::postgres::{self, Catalog, ReplicationClient, System};

/// What a decision did.
#[derive(Debug)]
pub struct Outcome {
    /// The checkpoint before; `None` if there was none.
    pub before: Option<Checkpoint>,
    /// The checkpoint now.
    pub now: Checkpoint,
}

/// Which decision.
#[derive(Clone, Copy, Debug)]
enum Decision<'a> {
    Accept(&'a str),
    Adopt,
}

/// Writes the first checkpoint at the confirmed LSN of a slot that exists.
///
/// # Errors
///
/// If there is a checkpoint already, no slot, or somebody else holds it.
pub async fn adopt(config: &Config, stop: &mut Stop) -> Result<Outcome, Error> {
    decide(config, Decision::Adopt, stop).await
}

/// Writes a checkpoint at the slot's confirmed LSN in place of the one that is refused, and keeps
/// that one's values in the record. A slot that is missing or lost is made anew.
///
/// # Errors
///
/// If somebody else holds the slot, or a server does not answer.
pub async fn accept(config: &Config, reason: &str, stop: &mut Stop) -> Result<Outcome, Error> {
    decide(config, Decision::Accept(reason), stop).await
}

/// Creates the slot and its first checkpoint, as the first start does, without streaming. Somebody
/// else's work is not touched: nothing in Kafka changes while there is a slot.
///
/// # Errors
///
/// If there is a slot or a checkpoint already, or a server does not answer.
pub async fn create(
    config: &Config,
    telemetry: &mut Telemetry,
    stop: &mut Stop,
) -> Result<(), Error> {
    let mut catalog = Catalog::connect(&config.postgres).await?;
    let mut client = ReplicationClient::connect(&config.postgres, &config.replication).await?;
    let system = client.identify_system().await?;
    let slot = &config.replication.slot;
    if let Some(facts) = catalog.slot(slot).await?
        && facts.is_active
    {
        let (slot, pid) = (slot.clone(), facts.active_pid);
        return Err(postgres::Error::SlotActive { slot, pid }.into());
    }
    // A look that fences nobody: another instance may be about to take the slot.
    let checkpoint = kafka::read_checkpoint(config).map_err(sink::<KafkaSink>)?;
    if let Verdict::Resume(checkpoint) =
        rehearse(config, &mut catalog, &mut client, checkpoint.as_ref()).await?
    {
        let (slot, confirm) = (slot.clone(), checkpoint.confirm);
        return Err(start::Refusal::AlreadyCreated { slot, confirm }.into());
    }
    let (mut writer, thread) = writer::start(kafka_sink(config)?).map_err(Error::Thread)?;
    let mut attempt =
        Attempt { config, is_text_forced: false, writer: &mut writer, telemetry, stop };
    let created = attempt.create(client, &mut catalog, &system).await;
    drop(writer);
    thread.join().map_err(|_| Error::Writer(writer::Gone))?;
    match created {
        Ok(()) | Err(Error::SlotCreated) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a start would say, without holding the slot: advice, which may be out of date at once.
///
/// # Errors
///
/// The refusal; or if the server does not answer.
pub async fn rehearse(
    config: &Config,
    catalog: &mut Catalog,
    client: &mut ReplicationClient,
    checkpoint: Option<&Checkpoint>,
) -> Result<Verdict, Error> {
    let system = client.identify_system().await?;
    let history = history(client, &system).await?;
    let server = server(catalog, &config.replication.slot, &system, history).await?;
    Ok(start::judge(&expected(config), &server, checkpoint)?)
}

async fn decide(
    config: &Config,
    decision: Decision<'_>,
    stop: &mut Stop,
) -> Result<Outcome, Error> {
    let (mut writer, thread) = writer::start(kafka_sink(config)?).map_err(Error::Thread)?;
    let outcome = hold_and_decide(config, decision, &mut writer, stop).await;
    drop(writer);
    thread.join().map_err(|_| Error::Writer(writer::Gone))?;
    outcome
}

async fn hold_and_decide(
    config: &Config,
    decision: Decision<'_>,
    writer: &mut Writer<kafka::Error>,
    stop: &mut Stop,
) -> Result<Outcome, Error> {
    let mut catalog = Catalog::connect(&config.postgres).await?;
    let mut client = ReplicationClient::connect(&config.postgres, &config.replication).await?;
    let system = client.identify_system().await?;
    let slot = &config.replication.slot;
    let found = server(&mut catalog, slot, &system, Vec::new()).await?;
    let is_readable = found.slot.as_ref().is_some_and(|slot| slot.lost.is_none());
    if is_readable {
        let stream = expected(config).stream;
        let mut transport = client.start_replication(from_confirmed(slot, &stream, false)).await?;
        let mut session = session(config);
        writer.recover()?;
        let (gone, recovered) = (gone(&mut catalog), recovered(writer));
        let before = alive(&mut transport, &mut session, stop, gone, recovered).await??;
        let held = server(&mut catalog, slot, &system, Vec::new()).await?;
        let point = held.slot.and_then(|slot| slot.confirmed).unwrap_or(Lsn::ZERO);
        replace(config, decision, writer, &system, before, point).await
    } else {
        let Decision::Accept(reason) = decision else {
            return Err(nothing_to_adopt(config, &found));
        };
        // A lost slot of somebody else is not ours to drop.
        if let Some(slot) = &found.slot {
            start::own_slot(&expected(config), slot)?;
        }
        writer.recover()?;
        let before = recovered(writer).await?;
        let creating = first_checkpoint(config, &system, State::Creating, Lsn::ZERO);
        let accepted = before.as_ref().map(|before| accepted(reason, before));
        commit(writer, Checkpoint { accepted, ..creating }).await?;
        if found.slot.is_some() {
            client.drop_slot(slot).await?;
        }
        let point = client.create_slot(slot, is_failover(config, &client)).await?;
        replace(config, decision, writer, &system, before, point).await
    }
}

fn nothing_to_adopt(config: &Config, found: &Server) -> Error {
    match start::judge(&expected(config), found, None) {
        Err(refusal) => refusal.into(),
        Ok(_) => {
            start::Refusal::NoSlot { slot: config.replication.slot.clone(), confirm: Lsn::ZERO }
                .into()
        }
    }
}

async fn replace(
    config: &Config,
    decision: Decision<'_>,
    writer: &mut Writer<kafka::Error>,
    system: &System,
    before: Option<Checkpoint>,
    point: Lsn,
) -> Result<Outcome, Error> {
    let mut now = first_checkpoint(config, system, State::Streaming, point);
    if let Some(before) = &before {
        start::same_pipeline(&expected(config), before)?;
        let Decision::Accept(reason) = decision else {
            let slot = config.replication.slot.clone();
            return Err(start::Refusal::AlreadyAdopted { slot, confirm: before.confirm }.into());
        };
        now.accepted = Some(accepted(reason, before));
    }
    commit(writer, now.clone()).await?;
    Ok(Outcome { before, now })
}

/// What is kept of the checkpoint that was replaced; of one half made, what that kept.
fn accepted(reason: &str, before: &Checkpoint) -> Accepted {
    let kept = before.accepted.clone().filter(|_| before.state == State::Creating);
    kept.unwrap_or_else(|| Accepted {
        reason: reason.to_owned(),
        previous_position: before.position,
        previous_confirm: before.confirm,
        previous_system_identifier: before.system_identifier.clone(),
        previous_timeline: before.timeline,
    })
}
