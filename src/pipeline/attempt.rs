//! One attempt: hold the slot, fence, read the checkpoint, judge, stream (I4).
//!
//! Who cannot take the slot touches nothing in Kafka. Only where no slot exists yet does the fence
//! come first, because there is nothing to hold.

mod asked;
mod create;

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{info, warn};

pub(super) use self::asked::{commit, progress, recovered};
use super::access::Source;
use super::alive::{alive, gone, look, watched};
use super::assembler::{self, Assembler};
use super::holder::Holders;
use super::losses::Losses;
use super::pending;
use super::reader::{Parker, Reader, Snapshotting, Surroundings, Timelines};
use super::start::{self, Expected, Server, Slot, Verdict};
use super::supervisor::Ending;
use super::telemetry::Telemetry;
use super::writer::Writer;
use super::{Error, Stop, clock, gap, sink};
use crate::checkpoint::{Checkpoint, FORMAT, Remade, State, Stream};
use crate::config::{Binary, Config, Failover, OnRefused, Postgres, Sasl, SecretSource};
use crate::edges::Class;
use crate::kafka::{self, KafkaSink, SinkConfig};
use crate::order::Orders;
use crate::plan::{self, Settings};
use crate::position::{Lsn, Position};
use crate::postgres::{
    self, Catalog, PendingChunk, PublishedColumn, ReplicationClient, SlotFacts, Start, System,
};
use crate::registry::Registry;
use crate::status::Phase;
use crate::types::Kind;
use crate::wal::{Session, Transcoder};

/// What one attempt works with.
pub(super) struct Attempt<'a> {
    pub(super) config: &'a Config,
    pub(super) is_text_forced: bool,
    pub(super) memory: &'a mut Memory,
    pub(super) writer: &'a mut Writer<kafka::Error>,
    pub(super) telemetry: &'a mut Telemetry,
    pub(super) stop: &'a mut Stop,
}

/// What outlives an attempt.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// A change that Kafka has refused, and how: the stream ends before it.
    pub(super) refused: Option<(Position, Error)>,
    /// Tables that are parked.
    pub(super) parker: Parker,
    /// What operators tell the reader.
    pub(super) orders: Orders,
    /// The registry: that it has answered once counts.
    pub(super) registry: Option<Registry>,
    /// Whether PostgreSQL has ever let us in.
    pub(super) was_in_postgres: bool,
    /// Whether Kafka has.
    pub(super) was_in_kafka: bool,
    holders: Holders,
    /// When the slot was lost.
    pub(super) losses: Losses,
    /// Whether it was said that no pending rows are read.
    is_told_of_pending: bool,
}

impl Memory {
    /// A memory of nothing but the registry that is configured, in which nothing is registered.
    pub(super) fn rehearsing(config: &Config) -> Result<Self, Error> {
        let registry = config.registry.as_ref().map(Registry::rehearsing).transpose()?;
        Ok(Self { registry, parker: Parker::idle(), ..Self::default() })
    }

    /// A memory of nothing but the registry that is configured.
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let registry = config.registry.as_ref().map(Registry::new).transpose()?;
        Ok(Self { registry, ..Self::default() })
    }

    /// Says once that a slot which is there has no rows of outboxes before it.
    fn tell_of_pending(&mut self, config: &Config) {
        let is_told = std::mem::replace(&mut self.is_told_of_pending, true);
        if !is_told && pending::wanted(config).next().is_some() {
            info!(
                "an outbox has pending = true, which is of effect only where walbrook makes the slot, at the first start; it is there already, and no rows are read"
            );
        }
    }

    /// The ending that an error is: a log-in that is refused, where it was not before, may be right again
    /// when what renews its secret has done so. (Whoever changes a password does so here and there, one
    /// after the other.) At the first one it is a mistake.
    pub(super) fn ending(&self, config: &Config, error: &Error) -> Ending {
        let may_pass = match error {
            Error::Postgres(error) if self.was_in_postgres && error.is_of_password() => {
                let Postgres { password, passfile, .. } = &config.postgres;
                password.as_ref().map_or_else(|| passfile.is_some(), SecretSource::is_renewable)
            }
            Error::Sink { error, .. } if self.was_in_kafka => {
                match (&config.kafka.security.sasl, error.downcast_ref()) {
                    (
                        Some(Sasl::Password { password, .. }),
                        Some(kafka::Error::Authentication { .. }),
                    ) => password.is_renewable(),
                    _ => false,
                }
            }
            _ => false,
        };
        if may_pass { Ending::Failed(Class::Retry) } else { error.ending() }
    }
}

/// A slot that is held, and where it goes on.
struct Held {
    transport: postgres::Stream,
    session: Session,
    catalog: Catalog,
    is_binary: bool,
    timelines: Option<Timelines>,
    /// Where the rows of tables are read.
    source: Option<Source>,
    checkpoint: Checkpoint,
    comes_again: bool,
    /// Where the slot was made just now: what enters before the stream, and with it the checkpoint.
    pending: Option<Vec<PendingChunk>>,
}

impl Attempt<'_> {
    /// Streams until told to stop (`Ok`) or an error.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let mut stop = self.stop.clone();
        // Nothing must be finished before the stream, and a server that is halted answers nothing.
        let held = tokio::select! {
            biased;
            held = self.hold() => held?,
            () = stop.wait() => return Err(Error::Stopped),
        };
        Box::pin(self.stream(held)).await
    }

    /// Streams what waits behind `checkpoint`, and confirms nothing: for a sink that keeps nothing.
    pub(super) async fn rehearse(
        mut self,
        checkpoint: Checkpoint,
        comes_again: bool,
    ) -> Result<(), Error> {
        let mut stop = self.stop.clone();
        let held = tokio::select! {
            biased;
            held = self.hold_only(checkpoint, comes_again) => held?,
            () = stop.wait() => return Err(Error::Stopped),
        };
        Box::pin(self.stream(held)).await
    }

    /// The slot without the fence, since nothing is written.
    async fn hold_only(
        &mut self,
        checkpoint: Checkpoint,
        comes_again: bool,
    ) -> Result<Held, Error> {
        self.writer.recover()?;
        recovered(self.writer).await?;
        let mut catalog = Catalog::connect(&self.config.postgres).await?;
        let (expected, is_binary) = self.prepare(&mut catalog).await?;
        let from = from_confirmed(&self.config.replication.slot, &expected.stream, is_binary);
        // The walsender of a rehearsal in binary form may hold it for a moment more.
        let transport = gap::when_free(gap::FREE_LIMIT, async || {
            let client = replication(self.config, &catalog).await?;
            client.start_replication(from).await
        })
        .await?;
        Ok(Held {
            transport,
            session: session(self.config).holding_back(),
            catalog,
            is_binary,
            // No checkpoint is kept.
            timelines: None,
            source: None,
            checkpoint,
            comes_again,
            pending: None,
        })
    }

    /// All that comes before the stream.
    async fn hold(&mut self) -> Result<Held, Error> {
        // A standby stays one until it has the slot.
        if !self.telemetry.is_standby() {
            self.telemetry.enter(Phase::Starting);
        }
        let slot = &self.config.replication.slot;
        let (mut catalog, mut client) = self.log_in().await?;
        let (expected, is_binary) = self.prepare(&mut catalog).await?;
        let system = client.identify_system().await?;
        let history = history(&mut client, &system).await?;
        match server(&mut catalog, slot, &system, Vec::new()).await?.slot {
            // It may have been the primary, and lead to it again: the slot is there, and whoever holds
            // it must not be fenced from here.
            None if client.is_standby() => {
                let (host, slot) = (client.host().to_owned(), slot.clone());
                return Err(postgres::Error::SlotElsewhere { host, slot }.into());
            }
            None => return self.make(client, catalog, (system, history), is_binary).await,
            Some(found) if start::is_usable(&expected, &found)? => {}
            Some(_) => {
                self.refuse(&mut catalog, &system, history.clone()).await?;
                return self.make(client, catalog, (system, history), is_binary).await;
            }
        }
        let timelines = timelines(self.config, &client, &catalog).await?;
        let source = Source::new(self.config, client.is_standby(), system.clone(), history.clone());
        let started =
            client.start_replication(from_confirmed(slot, &expected.stream, is_binary)).await;
        let mut transport = match started {
            Err(error @ postgres::Error::SlotActive { pid, .. }) => {
                self.end_dead_holder(&mut catalog, pid).await;
                return Err(error.into());
            }
            started => started?,
        };
        info!(%slot, is_binary, transport_kind = ?transport.transport_kind(), "holding the replication slot");
        self.telemetry.enter(Phase::Recovering);
        let mut session = session(self.config);
        self.writer.recover()?;
        let watched = watched(&mut catalog, slot, self.telemetry);
        let answer = recovered(self.writer);
        let recovered = alive(&mut transport, &mut session, self.stop, watched, answer).await??;
        self.memory.was_in_kafka = true;
        let server = server(&mut catalog, slot, &system, history.clone()).await?;
        match start::judge(&expected, &server, recovered.as_ref())? {
            Verdict::Create => {
                drop(transport);
                info!(%slot, "the slot was left half made; making it anew");
                let client = replication(self.config, &catalog).await?;
                self.make(client, catalog, (system, history), is_binary).await
            }
            Verdict::Resume { checkpoint, comes_again } => {
                tell_of_remade(recovered.as_ref(), &expected.stream);
                self.memory.tell_of_pending(self.config);
                Ok(Held {
                    transport,
                    session,
                    catalog,
                    is_binary,
                    source: Some(source),
                    timelines,
                    checkpoint: *checkpoint,
                    comes_again,
                    pending: None,
                })
            }
        }
    }

    /// Both connections to PostgreSQL.
    async fn log_in(&mut self) -> Result<(Catalog, ReplicationClient), Error> {
        let mut catalog = Catalog::connect(&self.config.postgres).await?;
        look(&mut catalog, &self.config.replication.slot, self.telemetry).await?;
        let client = replication(self.config, &catalog).await?;
        self.memory.was_in_postgres = true;
        Ok((catalog, client))
    }

    /// What is expected, and whether the stream can have binary form: what the catalog tells.
    async fn prepare(&mut self, catalog: &mut Catalog) -> Result<(Expected, bool), Error> {
        let mut expected = expected(self.config);
        let Stream { publications, oids, .. } = &mut expected.stream;
        *oids = require_publications(catalog, publications).await?;
        let columns = catalog.published_types(publications).await?;
        self.refuse_shared_fields(&columns)?;
        let name = |it: &PublishedColumn| (it.namespace.clone(), it.table.clone());
        let mut tables: Vec<_> = columns.iter().map(name).collect();
        tables.dedup();
        self.telemetry.on_published(self.config, &tables);
        Ok((expected, self.is_binary(&columns)))
    }

    async fn stream(self, held: Held) -> Result<(), Error> {
        let Held {
            mut transport,
            mut session,
            mut catalog,
            is_binary,
            timelines,
            source,
            mut checkpoint,
            comes_again,
            pending,
        } = held;
        let slot = &self.config.replication.slot;
        info!(%slot, position = %checkpoint.position, confirm = %checkpoint.confirm, "streaming");
        self.telemetry.on_streaming(clock::now(), checkpoint.confirm);
        let (mut snapshots, is_off) = (None, self.config.snapshot.is_off());
        if let Some(source) = source {
            let asked = progress(self.writer, &checkpoint, is_off);
            let lost = gone(&mut catalog);
            let found = alive(&mut transport, &mut session, self.stop, lost, asked).await??;
            snapshots = found
                .map(|found| Snapshotting::new(self.config, is_binary, source, &checkpoint, found));
        }
        if is_off && snapshots.is_none() {
            // Nobody notes any more what a later reading would have to know.
            checkpoint.snapshots = None;
        }
        let asked = asked::parked(self.writer, &checkpoint);
        let lost = gone(&mut catalog);
        let parked = alive(&mut transport, &mut session, self.stop, lost, asked).await??;
        let assembler =
            assembler(self.config, is_binary, checkpoint, comes_again).with_parked(parked);
        let (asked, lost) =
            (asked::told(self.writer, assembler.tells_columns()), gone(&mut catalog));
        let told = alive(&mut transport, &mut session, self.stop, lost, asked).await??;
        let assembler = assembler.with_told(told);
        let around = Surroundings::<KafkaSink> {
            writer: self.writer,
            catalog: &mut catalog,
            registry: self.memory.registry.as_mut(),
            slot,
            publications: &self.config.replication.publications,
            timelines,
            telemetry: self.telemetry,
            stop: self.stop,
            pending,
            refused: &mut self.memory.refused,
            parker: &mut self.memory.parker,
            parked_topic: &self.config.kafka.parked_topic,
            kafka: &self.config.kafka,
            orders: &mut self.memory.orders,
            checkpoint_interval: self.config.replication.checkpoint_interval,
            retry_delays: (
                self.config.replication.retry_delay_min,
                self.config.replication.retry_delay_max,
            ),
        };
        let transcoder = Transcoder::new(self.config.postgres.text_encoding);
        Box::pin(Reader::new(transport, session, transcoder, assembler, snapshots, around).run())
            .await
    }

    /// A lost slot cannot be held by anybody, so it is judged (before it may be made anew) without.
    async fn refuse(
        &mut self,
        catalog: &mut Catalog,
        system: &System,
        history: Vec<(u32, Lsn)>,
    ) -> Result<(), Error> {
        let slot = &self.config.replication.slot;
        self.writer.recover()?;
        let checkpoint = recovered(self.writer).await?;
        let server = server(catalog, slot, system, history).await?;
        // Only a slot that was left half made is not refused.
        start::judge(&expected(self.config), &server, checkpoint.as_ref())?;
        Ok(())
    }

    /// Ends the walsender of a holder that is gone, by the time-out that we set for ourselves (its clock
    /// may differ from the server's). What fails here is tried again at the next look.
    async fn end_dead_holder(&mut self, catalog: &mut Catalog, pid: Option<i32>) {
        let slot = &self.config.replication.slot;
        let Some(pid) = pid else { return };
        let Ok(Some(walsender)) = catalog.walsender(pid).await else { return };
        let Ok(Some(facts)) = catalog.slot(slot).await else { return };
        let confirmed = facts.confirmed_flush.unwrap_or(Lsn::ZERO);
        let holders = &mut self.memory.holders;
        if holders.is_dead((pid, &walsender), confirmed, silence_max(self.config)) {
            let is_ended = catalog.terminate(slot, pid).await.unwrap_or(false);
            holders.on_ended(pid, confirmed);
            warn!(%slot, pid, is_ended, "the holder of the slot has long not replied; its walsender is told to end");
        }
    }

    /// Before a row comes; the plan looks again at what the stream has.
    fn refuse_shared_fields(&self, columns: &[PublishedColumn]) -> Result<(), assembler::Error> {
        let settings = Settings::new(self.config);
        let is_same = |a: &PublishedColumn, b: &PublishedColumn| {
            (&a.namespace, &a.table) == (&b.namespace, &b.table)
        };
        for columns in columns.chunk_by(is_same) {
            let Some(PublishedColumn { namespace, table, .. }) = columns.first() else { continue };
            // Such a table is parked with its first change.
            if settings.tables.refused.action(&format!("{namespace}.{table}")) == OnRefused::Park {
                continue;
            }
            let names = columns.iter().filter(|it| !it.is_generated).map(|it| &*it.name);
            plan::refuse_shared_fields(namespace, table, names, &settings)?;
        }
        Ok(())
    }

    /// Whether the slot can be read in binary form; warns once of each type that forbids it.
    fn is_binary(&mut self, columns: &[PublishedColumn]) -> bool {
        let Config { postgres, replication, .. } = self.config;
        // Of the binary form only a value's type says what in it is text.
        let is_transcoded = postgres.text_encoding.is_some();
        if self.is_text_forced || is_transcoded || replication.binary == Binary::Never {
            return false;
        }
        let mut is_binary = true;
        for column in columns {
            if let Kind::Other { name } = &column.kind {
                is_binary = false;
                let PublishedColumn { namespace, table, name: column, .. } = column;
                self.telemetry.on_unknown_type(namespace, table, column, name);
            }
        }
        is_binary
    }
}

/// A replication connection to the server whose catalog this is.
pub(super) async fn replication(
    config: &Config,
    catalog: &Catalog,
) -> Result<ReplicationClient, postgres::Error> {
    let client = ReplicationClient::connect(&config.postgres, &config.replication).await?;
    client.same_server(catalog)?;
    Ok(client)
}

/// Another one, to a standby, which outlives what the stream does not tell of.
async fn timelines(
    config: &Config,
    client: &ReplicationClient,
    catalog: &Catalog,
) -> Result<Option<Timelines>, Error> {
    if !client.is_standby() {
        return Ok(None);
    }
    Ok(Some(Timelines::new(replication(config, catalog).await?)))
}

/// The OIDs of the publications, all of which must exist: that one is missing would only show at the
/// first change.
pub(super) async fn require_publications(
    catalog: &mut Catalog,
    names: &[String],
) -> Result<BTreeMap<String, u32>, Error> {
    let found = catalog.publications(names).await?;
    let oids: BTreeMap<_, _> = found.into_iter().map(|it| (it.name, it.oid)).collect();
    match names.iter().find(|name| !oids.contains_key(*name)) {
        Some(name) => Err(start::Refusal::NoPublication { name: name.clone() }.into()),
        None => Ok(oids),
    }
}

/// What was written between would end the stream, but what they publish may be another.
fn tell_of_remade(before: Option<&Checkpoint>, now: &Stream) {
    for Remade { name, was, is } in before.iter().flat_map(|it| it.stream.remade(&now.oids)) {
        warn!(
            publication = name,
            was,
            is,
            "a publication was dropped and made again since the last start; see what it publishes now"
        );
    }
}

/// Where the server's timeline left its ancestors.
pub(super) async fn history(
    client: &mut ReplicationClient,
    system: &System,
) -> Result<Vec<(u32, Lsn)>, postgres::Error> {
    // The first timeline has no ancestors, and no history file.
    if system.timeline <= 1 {
        return Ok(Vec::new());
    }
    let forks = client.timeline_history(system.timeline).await?;
    Ok(forks.into_iter().map(|fork| (fork.timeline, fork.switch_lsn)).collect())
}

/// From the slot's confirmed LSN, which by I1 is never past the checkpoint.
pub(super) fn from_confirmed<'a>(slot: &'a str, stream: &'a Stream, is_binary: bool) -> Start<'a> {
    Start {
        slot,
        lsn: Lsn::ZERO,
        publications: &stream.publications,
        is_binary,
        has_messages: stream.messages,
    }
}

/// Whether the slot is created with FAILOVER.
pub(super) fn is_failover(config: &Config, client: &ReplicationClient) -> bool {
    config.replication.failover == Failover::Auto && client.can_failover()
}

/// The sink of this configuration; connects to nothing yet.
pub(super) fn kafka_sink(config: &Config) -> Result<KafkaSink, Error> {
    KafkaSink::new(SinkConfig::from(config)).map_err(sink::<KafkaSink>)
}

/// What the configuration expects of server and checkpoint.
pub(super) fn expected(config: &Config) -> Expected {
    Expected {
        pipeline: config.pipeline.clone(),
        slot: config.replication.slot.clone(),
        database: config.postgres.database.clone(),
        stream: Stream {
            publications: config.replication.publications.clone(),
            messages: config.message_outbox.is_some(),
            oids: BTreeMap::new(),
        },
    }
}

/// A checkpoint at the beginning of the slot.
pub(super) fn first_checkpoint(
    config: &Config,
    system: &System,
    state: State,
    point: Lsn,
) -> Checkpoint {
    let Expected { pipeline, slot, stream, .. } = expected(config);
    Checkpoint {
        format: FORMAT,
        pipeline,
        system_identifier: system.system_identifier.clone(),
        timeline: system.timeline,
        slot,
        state,
        stream,
        epoch: 0,
        position: Position { commit_lsn: point, ordinal: 0 },
        xid: None,
        confirm: point,
        inside: None,
        accepted: None,
        // Else nothing is known of tables, and they are taken as read.
        snapshots: (!config.snapshot.is_off()).then(Default::default),
        parked: 0,
        entered: None,
        letters: BTreeMap::new(),
        omissions: Vec::new(),
    }
}

fn assembler(
    config: &Config,
    is_binary: bool,
    checkpoint: Checkpoint,
    comes_again: bool,
) -> Assembler {
    let prefix = config.message_outbox.as_ref().map(|outbox| outbox.prefix.clone());
    let settings = Settings::new(config);
    Assembler::new(settings, config.batch, prefix, is_binary, checkpoint, comes_again)
}

/// What the server says now, the slot being held.
pub(super) async fn server(
    catalog: &mut Catalog,
    slot: &str,
    system: &System,
    history: Vec<(u32, Lsn)>,
) -> Result<Server, postgres::Error> {
    let facts = catalog.slot(slot).await?;
    // The log goes on after IDENTIFY_SYSTEM, and another instance may have confirmed more since.
    let end = facts.as_ref().and_then(SlotFacts::log_end).unwrap_or(Lsn::ZERO);
    let slot = facts.map(Slot::from);
    Ok(Server {
        system_identifier: system.system_identifier.clone(),
        timeline: system.timeline,
        flush_lsn: system.flush_lsn.max(end),
        history,
        slot,
    })
}

impl From<SlotFacts> for Slot {
    fn from(facts: SlotFacts) -> Self {
        Self {
            lost: facts.invalidation().map(str::to_owned),
            plugin: facts.plugin,
            database: facts.database,
            confirmed: facts.confirmed_flush,
            is_temporary: facts.is_temporary,
            is_two_phase: facts.is_two_phase,
        }
    }
}

/// The session of a stream. A status goes out well within the server's time-out.
pub(super) fn session(config: &Config) -> Session {
    let interval = (config.replication.wal_sender_timeout / 3).min(Duration::from_secs(5));
    Session::new(clock::now(), interval, silence_max(config))
}

/// How long the other end may be silent, walsender or holder of the slot.
fn silence_max(config: &Config) -> Duration {
    config.replication.wal_sender_timeout * 3
}
