//! How the reader answers the wish for a plan: it asks the catalog, when that shows what the row's
//! transaction did.

use std::time::Duration;

use tracing::warn;

use super::super::alive::alive;
use super::super::assembler::Owner;
use super::super::{Error, clock};
use super::Reader;
use crate::edges::{Sink, Transport};
use crate::facts::TableFacts;
use crate::wal::RelationId;

/// How often a catalog that does not show a transaction yet is asked again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// After so long an operator is told.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// And after so long the connection is given up for a while.
const VISIBLE_LIMIT: Duration = Duration::from_secs(60);

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    pub(super) async fn plan(&mut self, owner: Owner) -> Result<(), Error> {
        let facts = match owner {
            Owner::Messages => TableFacts::default(),
            Owner::Relation(id) => self.describe(id).await?,
        };
        let Some(draft) = self.assembler.draft(owner, facts)? else { return Ok(()) };
        if let Owner::Relation(id) = owner
            && let Some(relation) = self.assembler.relation(id)
        {
            self.around.telemetry.on_plan(relation, &draft);
        }
        for topic in &draft.topics {
            self.ensure_topic(topic).await?;
        }
        let ids = self.register(&draft.schemas).await?;
        self.assembler.install(owner, draft, &ids);
        Ok(())
    }

    async fn describe(&mut self, id: RelationId) -> Result<TableFacts, Error> {
        self.await_visible(id).await?;
        let Some(relation) = self.assembler.relation(id) else { return Ok(TableFacts::default()) };
        let describe = self.around.catalog.describe(relation);
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        Ok(alive(&mut self.transport, &mut self.session, stop, nothing, describe).await??)
    }

    /// Waits until the catalog shows what the row's transaction did to tables. PostgreSQL sends a
    /// transaction once it is flushed, and shows it a moment later, or when a synchronous standby has
    /// it; who asks before that may be told that a new table has no key.
    ///
    /// Source: `RecordTransactionCommit` and `CommitTransaction` in
    /// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/access/transam/xact.c>
    async fn await_visible(&mut self, id: RelationId) -> Result<(), Error> {
        let Some(xid) = self.assembler.xid() else { return Ok(()) };
        let since = clock::now();
        let mut is_told = false;
        loop {
            self.note_waiting();
            let shows = self.around.catalog.shows(xid);
            let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
            if alive(&mut self.transport, &mut self.session, stop, nothing, shows).await?? {
                return Ok(());
            }
            let waited = clock::now().saturating_duration_since(since);
            if VISIBLE_LIMIT < waited {
                return Err(Error::NotVisible { xid });
            }
            if TELL_AFTER < waited
                && !is_told
                && let Some(relation) = self.assembler.relation(id)
            {
                let table = format!("{}.{}", relation.namespace, relation.name);
                warn!(%table, %xid, "a committed transaction is not visible yet, and a table's first row waits for that: is a synchronous standby away (synchronous_standby_names)?");
                is_told = true;
            }
            let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
            let nap = tokio::time::sleep(LOOK_EVERY);
            alive(&mut self.transport, &mut self.session, stop, nothing, nap).await?;
        }
    }
}
