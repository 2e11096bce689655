//! The slot is made: a checkpoint `creating`, the slot, a checkpoint at its consistent point.
//!
//! Where rows of outboxes are pending, that last one is committed with them, by the stream: the slot is
//! held, and streaming begins at once.

use tracing::info;

use super::super::alive::{alive, watched};
use super::super::pending::{self, Pending};
use super::super::{Error, start};
use super::{
    Attempt, Held, Source, Verdict, commit, expected, first_checkpoint, from_confirmed,
    is_failover, recovered, server, session,
};
use crate::checkpoint::{Checkpoint, State};
use crate::config::Config;
use crate::position::Lsn;
use crate::postgres::{self, Catalog, Exported, PendingChunk, ReplicationClient, System};
use crate::status::Phase;
use crate::wal::Session;

/// A slot that was made and is held, with what enters before its stream.
pub(in super::super) struct Begun {
    transport: postgres::Stream,
    session: Session,
    checkpoint: Checkpoint,
    pending: Vec<PendingChunk>,
}

impl Attempt<'_> {
    /// Makes the slot. Streaming starts with the next attempt, or at once if something enters before.
    pub(super) async fn make(
        &mut self,
        client: ReplicationClient,
        mut catalog: Catalog,
        (system, history): (System, Vec<(u32, Lsn)>),
        is_binary: bool,
    ) -> Result<Held, Error> {
        let source = Source::new(self.config, client.is_standby(), system.clone(), history);
        let made = Box::pin(self.create(client, &mut catalog, &system, is_binary)).await?;
        let Begun { transport, session, checkpoint, pending } = made.ok_or(Error::SlotCreated)?;
        Ok(Held {
            transport,
            session,
            catalog,
            is_binary,
            // Slots that export a snapshot are made on primaries.
            timelines: None,
            source: Some(source),
            checkpoint,
            comes_again: false,
            pending: Some(pending),
        })
    }

    /// Makes the slot: a checkpoint `creating`, the slot, a checkpoint at its consistent point (which
    /// what has begun carries).
    pub(in super::super) async fn create(
        &mut self,
        mut client: ReplicationClient,
        catalog: &mut Catalog,
        system: &System,
        is_binary: bool,
    ) -> Result<Option<Begun>, Error> {
        self.telemetry.enter(Phase::Recovering);
        // Before the fence: to count them may take long, and until there is a slot another instance would
        // fence us in turn.
        let pending = Box::pin(look_at_pending(self.config, catalog)).await;
        self.writer.recover()?;
        let checkpoint = recovered(self.writer).await?;
        self.memory.was_in_kafka = true;
        let slot = &self.config.replication.slot;
        // Another instance may have made it between our look and the fence.
        let server = server(catalog, slot, system, Vec::new()).await?;
        if start::judge(&expected(self.config), &server, checkpoint.as_ref())? != Verdict::Create {
            return Err(Error::SlotCreated);
        }
        // A slot that is made in the place of one that was lost has none before it: that has sent them.
        let is_first = checkpoint.as_ref().is_none_or(|it| it.accepted.is_none() && it.epoch == 0);
        let is_pending = is_first && pending?;
        let mut creating = first_checkpoint(self.config, system, State::Creating, Lsn::ZERO);
        if let Some(before) = checkpoint {
            creating = creating.making(&before, before.accepted.clone());
        }
        commit(self.writer, creating.clone()).await?;
        if server.slot.is_some() {
            client.drop_slot(slot).await?;
        }
        info!(%slot, "creating the replication slot; this waits for transactions that are running now");
        let Exported { lsn: point, snapshot } =
            self.create_slot(&mut client, catalog, is_pending).await?;
        let streaming = first_checkpoint(self.config, system, State::Streaming, point);
        let streaming = streaming.following(&creating).accepting(creating.accepted);
        let begun = if is_pending {
            let from = (client, snapshot.as_str());
            Some(Box::pin(self.begin(from, catalog, streaming, is_binary)).await?)
        } else {
            commit(self.writer, streaming).await?;
            None
        };
        info!(%slot, consistent_point = %point, "the replication slot was created; changes that commit from now on are delivered");
        Ok(begun)
    }

    /// The slot itself. It has no limit, so the catalog tells of a server that is gone or halted.
    async fn create_slot(
        &mut self,
        client: &mut ReplicationClient,
        catalog: &mut Catalog,
        is_exported: bool,
    ) -> Result<Exported, Error> {
        let slot = &self.config.replication.slot;
        let is_failover = is_failover(self.config, client);
        let made = async {
            if is_exported {
                return client.create_slot_exporting(slot, is_failover).await;
            }
            let lsn = client.create_slot(slot, is_failover).await?;
            Ok(Exported { lsn, snapshot: String::new() })
        };
        tokio::select! {
            made = made => Ok(made?),
            error = watched(catalog, slot, self.telemetry) => Err(error),
        }
    }

    /// Takes the slot, and reads what is pending in its snapshot. Who has taken a snapshot keeps it, so
    /// the slot is free for a moment only.
    async fn begin(
        &mut self,
        (client, snapshot): (ReplicationClient, &str),
        catalog: &mut Catalog,
        checkpoint: Checkpoint,
        is_binary: bool,
    ) -> Result<Begun, Error> {
        let pending = Pending::import(self.config, catalog, snapshot).await?;
        let slot = &self.config.replication.slot;
        let from = from_confirmed(slot, &checkpoint.stream, is_binary);
        let mut transport = client.start_replication(from).await?;
        info!(%slot, is_binary, transport_kind = ?transport.transport_kind(), "holding the replication slot");
        let mut session = session(self.config);
        let (watched, read) = (watched(catalog, slot, self.telemetry), pending.read(is_binary));
        let pending = alive(&mut transport, &mut session, self.stop, watched, read).await??;
        Ok(Begun { transport, session, checkpoint, pending })
    }
}

/// Whether rows of outboxes are to enter before the stream, if they can be read.
async fn look_at_pending(config: &Config, catalog: &Catalog) -> Result<bool, Error> {
    let is_wanted = pending::wanted(config).next().is_some();
    if is_wanted {
        let rows = pending::pending_rows(config, catalog).await?;
        info!(rows, "rows are pending in outboxes; they are published before what comes");
    }
    Ok(is_wanted)
}
