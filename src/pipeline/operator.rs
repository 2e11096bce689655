//! The operator's decisions: adopt a slot, accept another checkpoint. Each holds the slot, fences,
//! reads, and writes the new checkpoint in a transaction of its own, like any start (I4).

use std::time::Duration;

use super::alive::{alive, gone};
use super::attempt::{
    Attempt, Memory, commit, expected, first_checkpoint, from_confirmed, history, is_failover,
    kafka_sink, recovered, replication, require_publications, server, session,
};
use super::gap;
use super::pending;
use super::start::jump::Jump;
use super::start::{self, Refusal, Server, Verdict};
use super::telemetry::Telemetry;
use super::writer::{self, Writer};
use super::{Error, Stop, sink};
use crate::checkpoint::{Accepted, Checkpoint, State};
use crate::config::Config;
use crate::edges::Transport as _;
use crate::kafka::{self, KafkaSink, SinkConfig};
use crate::position::{Lsn, Position};
use crate::postgres::{self, Catalog, ReplicationClient, SlotFacts, System};
use crate::wal::Session;

/// What a decision did.
#[derive(Debug)]
pub struct Outcome {
    /// The checkpoint before; `None` if there was none.
    pub before: Option<Checkpoint>,
    /// The checkpoint now.
    pub now: Checkpoint,
    /// What the change of one to the other does to the stream.
    pub jump: Jump,
    /// The record that could not be read, and was taken for none.
    pub unreadable: Option<kafka::Error>,
}

/// Which decision.
#[derive(Clone, Copy, Debug)]
enum Decision<'a> {
    Accept {
        reason: &'a str,
        /// Set where the checkpoint's record could not be read: the epoch behind it.
        unreadable: Option<u32>,
        /// The position that a run has named when the stream contradicted it.
        position: Option<Position>,
    },
    Adopt {
        /// The epoch to go on in.
        epoch: u32,
    },
}

impl Decision<'_> {
    /// The epoch, where there is no checkpoint to go on from.
    fn epoch(self) -> u32 {
        match self {
            Self::Accept { unreadable, .. } => unreadable.unwrap_or(0),
            Self::Adopt { epoch } => epoch,
        }
    }
}

/// Writes the first checkpoint at the confirmed LSN of a slot that exists. `epoch` is 0 unless a
/// checkpoint that is gone had one.
///
/// # Errors
///
/// If there is a checkpoint already, no slot, a publication is missing, or somebody else holds it.
pub async fn adopt(config: &Config, epoch: u32, stop: &mut Stop) -> Result<Outcome, Error> {
    decide(config, kafka_sink(config)?, Decision::Adopt { epoch }, stop).await
}

/// Writes a checkpoint at the slot's confirmed LSN in place of the one that is refused, and keeps
/// that one's values in the record, unless it cannot be read: then that is taken for no checkpoint,
/// and its values are not known. A slot that is missing or lost is made anew. Where the slot is
/// past the replaced checkpoint, changes are missing; where it is before, changes come again, in the
/// next epoch (I3): the [`Jump`] says which. Where a start is not refused, but its stream
/// ends with WAL that was written while a publication was missing, goes on behind that.
///
/// # Errors
///
/// If neither is so and `position` is not the checkpoint's, somebody else holds the slot, or a server
/// does not answer; or if the epoch of a record that cannot be read is not known and not given.
pub async fn accept(
    config: &Config,
    reason: &str,
    position: Option<Position>,
    epoch: Option<u32>,
    stop: &mut Stop,
) -> Result<Outcome, Error> {
    // A look that fences nobody: only the very record that is told of below is overridden.
    let (unreadable, kafka_sink) = match kafka::read_checkpoint(config) {
        Err(error @ kafka::Error::Checkpoint { offset, .. }) => {
            let overriding = KafkaSink::overriding(SinkConfig::from(config), offset);
            (Some(error), overriding.map_err(sink::<KafkaSink>)?)
        }
        looked => {
            looked.map_err(sink::<KafkaSink>)?;
            (None, kafka_sink(config)?)
        }
    };
    let next = match &unreadable {
        None => None,
        Some(error) => {
            let next = epoch.or_else(|| error.epoch().map(|epoch| epoch.saturating_add(1)));
            Some(next.ok_or(Refusal::NoEpoch)?)
        }
    };
    let decision = Decision::Accept { reason, unreadable: next, position };
    let outcome = decide(config, kafka_sink, decision, stop).await?;
    let unreadable = unreadable.filter(|_| outcome.before.is_none());
    Ok(Outcome { unreadable, ..outcome })
}

/// Creates the slot and its first checkpoint, as the first start does, without streaming. Somebody
/// else's work is not touched: nothing in Kafka changes while there is a slot.
///
/// # Errors
///
/// If there is a slot or a checkpoint already, a publication is missing, rows of an outbox are pending,
/// or a server does not answer.
pub async fn create(
    config: &Config,
    telemetry: &mut Telemetry,
    stop: &mut Stop,
) -> Result<(), Error> {
    let mut catalog = Catalog::connect(&config.postgres).await?;
    // Changes from before it exists would end the stream.
    require_publications(&mut catalog, &config.replication.publications).await?;
    let mut client = replication(config, &catalog).await?;
    let system = client.identify_system().await?;
    let slot = &config.replication.slot;
    free_slot(&mut catalog, slot).await?;
    // A look that fences nobody: another instance may be about to take the slot.
    let checkpoint = kafka::read_checkpoint(config).map_err(sink::<KafkaSink>)?;
    if let Verdict::Resume { checkpoint, .. } =
        rehearse(config, &mut catalog, &mut client, checkpoint.as_ref()).await?
    {
        let (slot, confirm) = (slot.clone(), checkpoint.confirm);
        return Err(Refusal::AlreadyCreated { slot, confirm }.into());
    }
    // They enter a stream, and there is none.
    if let Some(outbox) = pending::wanted(config).next() {
        return Err(Refusal::PendingRows { outbox }.into());
    }
    let (mut writer, thread) = writer::start(kafka_sink(config)?).map_err(Error::Thread)?;
    let mut attempt = Attempt {
        config,
        is_text_forced: false,
        memory: &mut Memory::default(),
        writer: &mut writer,
        telemetry,
        stop,
    };
    let created = attempt.create(client, &mut catalog, &system, false).await;
    drop(writer);
    thread.join().map_err(|_| Error::Writer(writer::Gone))?;
    match created {
        Ok(_) | Err(Error::SlotCreated) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The slot, if there is one and nobody holds it. What has just ended may hold it for a moment more,
/// as a run does whose refusal an operator answers at once.
///
/// # Errors
///
/// [`postgres::Error::SlotActive`] if it is in use for longer than a moment; or if the query fails.
pub async fn free_slot(
    catalog: &mut Catalog,
    slot: &str,
) -> Result<Option<SlotFacts>, postgres::Error> {
    gap::when_free(MOMENT, async || match catalog.slot(slot).await? {
        Some(SlotFacts { is_active: true, active_pid: pid, .. }) => {
            Err(postgres::Error::SlotActive { slot: slot.to_owned(), pid })
        }
        found => Ok(found),
    })
    .await
}

/// That moment: a walsender without a receiver ends when it next writes or reads.
const MOMENT: Duration = Duration::from_secs(3);

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

/// Whether the slot can be ours; a lost one still is, and one that cannot be read.
///
/// # Errors
///
/// If something else made it.
pub fn own_slot(config: &Config, facts: &SlotFacts) -> Result<(), Refusal> {
    start::own_slot(&expected(config), &facts.clone().into())
}

/// Whether the slot can be ours and is of a kind that is supported.
///
/// # Errors
///
/// If something else made it, or if it is temporary or made with two_phase.
pub fn readable_slot(config: &Config, facts: &SlotFacts) -> Result<(), Refusal> {
    start::readable_slot(&expected(config), &facts.clone().into())
}

async fn decide(
    config: &Config,
    sink: KafkaSink,
    decision: Decision<'_>,
    stop: &mut Stop,
) -> Result<Outcome, Error> {
    let work =
        async |writer: &mut _| Box::pin(hold_and_decide(config, decision, writer, stop)).await;
    with_writer(sink, work).await
}

/// Does something with a writer of its own.
pub(super) async fn with_writer<T>(
    sink: KafkaSink,
    work: impl AsyncFnOnce(&mut Writer<kafka::Error>) -> Result<T, Error>,
) -> Result<T, Error> {
    let (mut writer, thread) = writer::start(sink).map_err(Error::Thread)?;
    let outcome = Box::pin(work(&mut writer)).await;
    drop(writer);
    thread.join().map_err(|_| Error::Writer(writer::Gone))?;
    outcome
}

/// The server before its slot is held.
pub(super) struct Look {
    catalog: Catalog,
    client: ReplicationClient,
    system: System,
    history: Vec<(u32, Lsn)>,
    pub(super) found: Server,
    /// Whether there is a slot of ours that can be read.
    pub(super) is_readable: bool,
}

/// The slot, held, and what server and Kafka say then (I4).
pub(super) struct Held {
    pub(super) transport: postgres::Stream,
    pub(super) session: Session,
    pub(super) server: Server,
    pub(super) checkpoint: Option<Checkpoint>,
}

impl Look {
    pub(super) async fn new(config: &Config) -> Result<Self, Error> {
        let mut catalog = Catalog::connect(&config.postgres).await?;
        let mut client = replication(config, &catalog).await?;
        let system = client.identify_system().await?;
        let history = history(&mut client, &system).await?;
        let slot = &config.replication.slot;
        let found = server(&mut catalog, slot, &system, history.clone()).await?;
        // A slot that cannot be ours is neither held nor dropped.
        let is_readable = match &found.slot {
            Some(slot) => start::is_usable(&expected(config), slot)?,
            None => false,
        };
        Ok(Self { catalog, client, system, history, found, is_readable })
    }

    /// Holds the slot, fences, reads.
    pub(super) async fn hold(
        self,
        config: &Config,
        is_binary: bool,
        writer: &mut Writer<kafka::Error>,
        stop: &mut Stop,
    ) -> Result<Held, Error> {
        let Self { mut catalog, client, system, history, .. } = self;
        let (slot, stream) = (&config.replication.slot, expected(config).stream);
        let from = from_confirmed(slot, &stream, is_binary);
        free_slot(&mut catalog, slot).await?;
        let mut transport = client.start_replication(from).await?;
        let mut session = session(config);
        writer.recover()?;
        let (gone, recovered) = (gone(&mut catalog), recovered(writer));
        let checkpoint = alive(&mut transport, &mut session, stop, gone, recovered).await??;
        let server = server(&mut catalog, slot, &system, history).await?;
        Ok(Held { transport, session, server, checkpoint })
    }
}

async fn hold_and_decide(
    config: &Config,
    decision: Decision<'_>,
    writer: &mut Writer<kafka::Error>,
    stop: &mut Stop,
) -> Result<Outcome, Error> {
    let mut look = Look::new(config).await?;
    if let Decision::Adopt { .. } = decision {
        require_publications(&mut look.catalog, &config.replication.publications).await?;
    }
    let (slot, system) = (&config.replication.slot, look.system.clone());
    let made = |state, point| first_checkpoint(config, &system, state, point);
    if look.is_readable {
        // The slot is held as long as the transport lives.
        let Held { transport, server, checkpoint: before, .. } =
            look.hold(config, false, writer, stop).await?;
        let confirmed = server.slot.as_ref().and_then(|slot| slot.confirmed).unwrap_or(Lsn::ZERO);
        let point = match (may_decide(config, decision, &server, before.as_ref()), &before) {
            (Err(nothing @ Refusal::NothingToAccept { .. }), Some(before)) => {
                transport.close().await;
                pass_gap(config, confirmed, before, server.flush_lsn).await?.ok_or(nothing)?
            }
            (judged, _) => judged.map(|()| confirmed)?,
        };
        let outcome =
            replace(decision, writer, &server, before, made(State::Streaming, point)).await?;
        move_slot(config, confirmed, point).await?;
        Ok(outcome)
    } else {
        let Look { mut client, found, .. } = look;
        let Decision::Accept { reason, .. } = decision else {
            return Err(nothing_to_adopt(config, &found));
        };
        writer.recover()?;
        let before = recovered(writer).await?;
        may_decide(config, decision, &found, before.as_ref())?;
        let creating = made(State::Creating, Lsn::ZERO);
        let creating = match &before {
            Some(before) => creating.making(before, Some(accepted(reason, before))),
            None => creating.in_epoch(decision.epoch()),
        };
        commit(writer, creating).await?;
        if found.slot.is_some() {
            client.drop_slot(slot).await?;
        }
        let point = client.create_slot(slot, is_failover(config, &client)).await?;
        replace(decision, writer, &found, before, made(State::Streaming, point)).await
    }
}

/// Where the stream goes on behind WAL that was written while a publication was missing, if that is
/// where it ends. Nobody holds the slot meanwhile; who takes it fences us.
async fn pass_gap(
    config: &Config,
    confirmed: Lsn,
    before: &Checkpoint,
    end: Lsn,
) -> Result<Option<Lsn>, Error> {
    let mut catalog = Catalog::connect(&config.postgres).await?;
    require_publications(&mut catalog, &config.replication.publications).await?;
    // Where a stream ends early, the server has not heard of the last checkpoint.
    move_slot(config, confirmed, before.confirm).await?;
    gap::end_of_gap(config, before.confirm, end).await
}

/// Moves a slot that nobody holds on to what a checkpoint in Kafka covers (I1).
async fn move_slot(config: &Config, confirmed: Lsn, to: Lsn) -> Result<(), Error> {
    if confirmed < to {
        gap::when_free(gap::FREE_LIMIT, async || {
            let mut client =
                ReplicationClient::connect(&config.postgres, &config.replication).await?;
            client.advance_slot(&config.replication.slot, to).await?;
            client.close().await;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

pub(super) fn nothing_to_adopt(config: &Config, found: &Server) -> Error {
    match start::judge(&expected(config), found, None) {
        Err(refusal) => refusal.into(),
        Ok(_) => {
            Refusal::NoSlot { slot: config.replication.slot.clone(), confirm: Lsn::ZERO }.into()
        }
    }
}

/// Refuses a decision that there is no need for.
fn may_decide(
    config: &Config,
    decision: Decision<'_>,
    server: &Server,
    before: Option<&Checkpoint>,
) -> Result<(), Refusal> {
    let expected = expected(config);
    match (decision, before) {
        (Decision::Accept { unreadable, position, .. }, before) => {
            start::may_accept(&expected, server, before, unreadable.is_some(), position)
        }
        (Decision::Adopt { .. }, Some(before)) => {
            start::same_pipeline(&expected, before)?;
            Err(Refusal::AlreadyAdopted { slot: expected.slot, confirm: before.confirm })
        }
        (Decision::Adopt { .. }, None) => Ok(()),
    }
}

/// Puts `now` in place of `before`.
async fn replace(
    decision: Decision<'_>,
    writer: &mut Writer<kafka::Error>,
    server: &Server,
    before: Option<Checkpoint>,
    mut now: Checkpoint,
) -> Result<Outcome, Error> {
    now = match &before {
        Some(before) => now.following(before),
        None => now.in_epoch(decision.epoch()),
    };
    if let (Decision::Accept { reason, .. }, Some(before)) = (decision, &before) {
        now = now.accepting(Some(accepted(reason, before)));
    }
    let jump = Jump::new(server, before.as_ref(), now.confirm);
    commit(writer, now.clone()).await?;
    Ok(Outcome { before, now, jump, unreadable: None })
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
