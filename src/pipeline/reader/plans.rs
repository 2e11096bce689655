//! How the reader answers the wish for a plan: it asks the catalog, and the registry where the catalog
//! is of no help.

use std::time::Duration;

use tracing::warn;

use super::super::alive::{alive, look, watched};
use super::super::assembler::{self, Need, Owner};
use super::super::writer::Done;
use super::super::{Error, clock};
use super::{Reader, Surroundings};
use crate::edges::{Class, Sink, Transport};
use crate::facts::TableFacts;
use crate::plan::{Draft, Newest, Route, SchemaId, SchemaRequest};
use crate::position::Xid;
use crate::postgres;
use crate::registry;
use crate::status::Phase;
use crate::wal::{Relation, RelationId};

/// How often a catalog that does not show a transaction yet is asked again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// After so long an operator is told; and a transaction that may wait for our own confirmation is not
/// waited for any longer.
const TELL_AFTER: Duration = Duration::from_secs(1);

/// And after so long the connection is given up for a while.
const VISIBLE_LIMIT: Duration = Duration::from_secs(60);

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    pub(super) async fn plan(&mut self, owner: Owner) -> Result<(), Error> {
        let facts = match owner {
            Owner::Letters(_) | Owner::Messages => TableFacts::default(),
            Owner::Relation(id) => {
                self.await_visible(id).await?;
                let facts = self.describe(id).await?;
                if self.is_withheld(id, &facts).await? {
                    return Ok(());
                }
                facts
            }
            Owner::Returning => self.assembler.returning_facts(),
        };
        self.make(owner, facts).await
    }

    /// Makes the plans anew that were guesses, once the catalog shows what they were guesses of.
    pub(super) async fn amend(&mut self) -> Result<(), Error> {
        for (id, xid) in self.guesses.clone() {
            if self.assembler.is_at_boundary() && self.shows(xid).await? {
                self.guesses.remove(&id);
                let facts = self.describe(id).await?;
                self.make(Owner::Relation(id), facts).await?;
            }
        }
        Ok(())
    }

    /// Makes a plan, or parks the table.
    pub(super) async fn make(&mut self, owner: Owner, facts: TableFacts) -> Result<(), Error> {
        if let Owner::Relation(id) = owner
            && self.assembler.is_parked(id)
        {
            self.assembler.park(id, facts);
            return Ok(());
        }
        if let Owner::Relation(id) = owner
            && self.assembler.revive(id, &facts)
        {
            return Ok(());
        }
        match self.compile(owner, facts.clone()).await {
            Ok(()) => Ok(()),
            Err(error) => self.judge(owner, Some(facts), error).await,
        }
    }

    async fn compile(&mut self, owner: Owner, facts: TableFacts) -> Result<(), Error> {
        let mut newest = Vec::new();
        for subject in self.assembler.subjects(owner, &facts) {
            newest.extend(self.newest(&subject).await?.map(|text| (subject, text)));
        }
        let Some(draft) = self.draft(owner, &facts, &newest).await? else { return Ok(()) };
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

    /// Compiles a plan. What a table asks of its topic may be older than its last ALTER, or DROP, of which
    /// the stream tells with its next row, and there may be none: so what another one is refused for is
    /// made anew from what the catalog says by now.
    async fn draft(
        &mut self,
        owner: Owner,
        facts: &TableFacts,
        newest: &[Newest],
    ) -> Result<Option<Draft>, Error> {
        let mut published = None;
        loop {
            let drafted = self.assembler.draft(owner, facts.clone(), newest);
            let rival = drafted.as_ref().err().and_then(|error| self.assembler.rival(error));
            let Some(rival) = rival else { return Ok(drafted?) };
            let tables = match published.take() {
                Some(tables) => tables,
                None => self.published().await?,
            };
            if !self.renew_claim(rival, &tables, newest).await? {
                return Ok(drafted?);
            }
            published = Some(tables);
        }
    }

    /// Has a relation ask of its topic what its table would by now; whether that is something else.
    async fn renew_claim(
        &mut self,
        id: RelationId,
        published: &[Relation],
        newest: &[Newest],
    ) -> Result<bool, Error> {
        let Some(relation) = published.iter().find(|it| it.id == id) else {
            return Ok(self.assembler.renew_claim(id, None, newest));
        };
        let describe = self.around.catalog.describe(relation);
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        let facts =
            alive(&mut self.transport, &mut self.session, stop, nothing, describe).await??;
        Ok(self.assembler.renew_claim(id, Some((relation, &facts)), newest))
    }

    /// The tables of the publications as the catalog has them by now.
    pub(super) async fn published(&mut self) -> Result<Vec<Relation>, Error> {
        let relations = self.around.catalog.published_relations(self.around.publications);
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        Ok(alive(&mut self.transport, &mut self.session, stop, nothing, relations).await??)
    }

    /// The newest schema of a subject, as patiently as one is registered.
    async fn newest(&mut self, subject: &str) -> Result<Option<String>, Error> {
        let mut attempt = 0;
        loop {
            self.note_waiting();
            let Surroundings { registry, catalog, stop, slot, telemetry, .. } = &mut self.around;
            let registry = registry.as_mut().ok_or(registry::Error::Missing)?;
            let (ask, watch) = (registry.newest(subject), watched(catalog, slot, telemetry));
            match alive(&mut self.transport, &mut self.session, stop, watch, ask).await? {
                Ok(text) => {
                    self.around.telemetry.enter(Phase::Streaming);
                    return Ok(text);
                }
                Err(error) => self.await_registry(subject, error, &mut attempt).await?,
            }
        }
    }

    pub(super) async fn describe(&mut self, id: RelationId) -> Result<TableFacts, Error> {
        let Some(relation) = self.assembler.relation(id) else { return Ok(TableFacts::default()) };
        let (catalog, tells_columns) = (&mut *self.around.catalog, self.assembler.tells_columns());
        let describe = async {
            let mut facts = catalog.describe(relation).await?;
            if tells_columns {
                facts.type_names = catalog.type_names(relation).await?;
            }
            Ok::<_, postgres::Error>(facts)
        };
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        Ok(alive(&mut self.transport, &mut self.session, stop, nothing, describe).await??)
    }

    /// Waits until the catalog shows what the row's transaction did to tables. PostgreSQL sends a
    /// transaction once it is flushed, and shows it a moment later, or when a synchronous standby has
    /// it; who asks before that may be told that a new table has no key. If that standby may be us,
    /// the transaction waits for us in turn: then the plan is a guess, until it shows.
    ///
    /// Source: `RecordTransactionCommit` and `CommitTransaction` in
    /// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/access/transam/xact.c>
    async fn await_visible(&mut self, id: RelationId) -> Result<(), Error> {
        self.guesses.remove(&id);
        let Some(xid) = self.assembler.xid() else { return Ok(()) };
        let since = clock::now();
        let mut is_told = false;
        loop {
            self.note_waiting();
            if self.shows(xid).await? {
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
                let asked = self.around.catalog.waits_for_us();
                let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
                if alive(&mut self.transport, &mut self.session, stop, nothing, asked).await?? {
                    warn!(%table, %xid, "a committed transaction is not visible yet, and may wait for walbrook itself (synchronous_standby_names holds for its application_name): the table is taken as the catalog shows it by now, and anew later, so a table that is made or changed in this transaction may have records without its key");
                    self.guesses.insert(id, xid);
                    return Ok(());
                }
                warn!(%table, %xid, "a committed transaction is not visible yet, and a table's first row waits for that: is a synchronous standby away (synchronous_standby_names)?");
                is_told = true;
            }
            let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
            let nap = tokio::time::sleep(LOOK_EVERY);
            alive(&mut self.transport, &mut self.session, stop, nothing, nap).await?;
        }
    }

    async fn shows(&mut self, xid: Xid) -> Result<bool, Error> {
        let shows = self.around.catalog.shows(xid);
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        Ok(alive(&mut self.transport, &mut self.session, stop, nothing, shows).await??)
    }

    pub(super) async fn answer(&mut self, need: Need) -> Result<(), Error> {
        match need {
            Need::Judge(owner, error) => {
                let error = Error::from(assembler::Error::Plan(*error));
                self.judge(owner, None, error).await
            }
            Need::Plan(owner) => self.plan(owner).await,
            Need::Policy(owner, topic) => self.policy(owner, topic).await,
            Need::Route(owner, route) => match self.route(owner, &route).await {
                Ok(()) => Ok(()),
                Err(error) => self.judge(owner, None, error).await,
            },
        }
    }

    async fn route(&mut self, owner: Owner, route: &Route) -> Result<(), Error> {
        self.ensure_topic(&route.topic).await?;
        let ids = self.register(&route.schemas).await?;
        self.assembler.route(owner, route, &ids);
        Ok(())
    }

    /// Asks the writer whether a topic is compacted.
    async fn policy(&mut self, owner: Owner, topic: String) -> Result<(), Error> {
        self.around.writer.is_compacted(topic)?;
        if let Done::Compacted(is_compacted) = self.next_answer().await? {
            self.assembler.take_policy(owner, is_compacted);
        }
        Ok(())
    }

    /// Asks the writer for a topic.
    async fn ensure_topic(&mut self, topic: &str) -> Result<(), Error> {
        self.around.writer.ensure_topic(topic.to_owned())?;
        self.next_answer().await.map(drop)
    }

    /// The writer's answer to what it was asked about topics; batches may come home meanwhile.
    pub(super) async fn next_answer(&mut self) -> Result<Done<S::Error>, Error> {
        loop {
            self.note_waiting();
            let Surroundings { writer, catalog, stop, slot, telemetry, .. } = &mut self.around;
            let (watched, done) = (watched(catalog, slot, telemetry), writer.done());
            let done = alive(&mut self.transport, &mut self.session, stop, watched, done).await??;
            match done {
                done @ (Done::Compacted(_) | Done::ParkedEnd(_) | Done::TopicReady) => {
                    return Ok(done);
                }
                Done::Failed { error, is_txn: false } => {
                    return Err(Error::Topic { class: S::class(&error), error: Box::new(error) });
                }
                done => self.on_done(done)?,
            }
        }
    }

    /// Registers schemas; a registry that is down makes us wait, not lose.
    async fn register(&mut self, schemas: &[SchemaRequest]) -> Result<Vec<SchemaId>, Error> {
        let mut ids = Vec::with_capacity(schemas.len());
        let mut attempt = 0;
        while let Some(schema) = schemas.get(ids.len()) {
            self.note_waiting();
            let Surroundings { registry, catalog, stop, slot, telemetry, .. } = &mut self.around;
            let registry = registry.as_mut().ok_or(registry::Error::Missing)?;
            let register = registry.register(&schema.subject, &schema.schema_json);
            let watch = watched(catalog, slot, telemetry);
            let id = alive(&mut self.transport, &mut self.session, stop, watch, register).await?;
            match id {
                Ok(id) => {
                    self.around.telemetry.on_schema();
                    self.around.telemetry.enter(Phase::Streaming);
                    ids.push(id);
                }
                Err(error) => self.await_registry(&schema.subject, error, &mut attempt).await?,
            }
        }
        Ok(ids)
    }

    /// Waits until the registry is to be asked again, if what it said may pass.
    async fn await_registry(
        &mut self,
        subject: &str,
        error: registry::Error,
        attempt: &mut u32,
    ) -> Result<(), Error> {
        let (delay, delay_max) = self.around.retry_delays;
        let Surroundings { registry, telemetry, .. } = &mut self.around;
        if registry.as_ref().is_none_or(|registry| registry.class(&error) != Class::Retry) {
            return Err(error.into());
        }
        let delay = delay.saturating_mul(2_u32.saturating_pow(*attempt)).min(delay_max);
        *attempt += 1;
        warn!(%subject, %error, retry_in = ?delay, "the schema registry does not answer as it should; waiting for it");
        telemetry.enter(Phase::Backoff { attempt: *attempt, until: clock::now() + delay });
        self.follow_timeline().await?;
        self.hand_over_complete()?;
        let Surroundings { catalog, stop, slot, telemetry, .. } = &mut self.around;
        let (nothing, look) = (std::future::pending(), look(catalog, slot, telemetry));
        alive(&mut self.transport, &mut self.session, stop, nothing, look).await??;
        let (nap, watch) = (tokio::time::sleep(delay), watched(catalog, slot, telemetry));
        alive(&mut self.transport, &mut self.session, stop, watch, nap).await
    }
}
