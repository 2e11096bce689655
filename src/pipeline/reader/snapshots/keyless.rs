//! Tables without a key: each is read at once, and the stream of it begins with its rows.

use tracing::{info, warn};

use super::super::super::alive::alive;
use super::super::super::{Error, clock};
use super::super::Reader;
use super::{Snapshotting, table_name};
use crate::edges::{Sink, Transport};
use crate::facts::TableFacts;
use crate::plan;
use crate::position::Lsn;
use crate::snapshot::{Progress, Range, State, Unsettled};
use crate::wal::{Relation, RelationId};

impl Snapshotting {
    /// Whether nothing is known of the table, and it is to be read.
    fn is_unseen(&self, relation: &Relation, facts: &TableFacts) -> bool {
        let table = table_name(relation);
        let is_known = self.skips_present || self.known.contains_key(&relation.id);
        !is_known
            && !self.is_outbox(&table, facts)
            && !self.is_excluded(&table)
            && self.wanted.reads(&table)
    }

    /// Whether the rows of a table are those of an outbox: of one of which it is a part, too.
    pub(super) fn is_outbox(&self, table: &str, facts: &TableFacts) -> bool {
        let mut above = facts.ancestors.iter().flatten();
        let is_outbox = |name: &str| self.is_outbox_itself(name);
        is_outbox(table) || above.any(|(namespace, name)| is_outbox(&format!("{namespace}.{name}")))
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Tells the assembler whose changes are left out.
    pub(in super::super) fn hold_keyless(&mut self) {
        if let Some(snapshots) = &self.snapshots {
            self.assembler.hold(snapshots.machine.held());
        }
    }

    /// Whether a table of which the stream has a change for the first time has no key, so that the
    /// change is left out: the rows, which are read now, will have it.
    pub(in super::super) async fn is_withheld(
        &mut self,
        id: RelationId,
        facts: &TableFacts,
    ) -> Result<bool, Error> {
        let Some(relation) = self.assembler.relation(id).cloned() else { return Ok(false) };
        let is_unseen = self.snapshots.as_ref().is_some_and(|it| it.is_unseen(&relation, facts));
        if !is_unseen || facts.is_gone || !plan::key_names(&relation, facts).is_empty() {
            return Ok(false);
        }
        self.begin_keyless(&relation).await
    }

    /// Begins with a table without a key, unless it is too large; whether its changes are left out
    /// from now on.
    pub(super) async fn begin_keyless(&mut self, relation: &Relation) -> Result<bool, Error> {
        let Some(snapshots) = &mut self.snapshots else { return Ok(false) };
        snapshots.new.retain(|it| it.id != relation.id);
        if snapshots.ordered.refuse(relation.id, &READ_ONCE) {
            return Ok(false);
        }
        let limits = snapshots.chunks.limits();
        let catalog = &mut self.around.catalog;
        let asked = async {
            let fits = catalog.fits(relation.id, &limits).await?;
            Ok::<_, crate::postgres::Error>((fits, catalog.visibility().await?))
        };
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        let (fits, shows) =
            alive(&mut self.transport, &mut self.session, stop, nothing, asked).await??;
        let Some(snapshots) = &mut self.snapshots else { return Ok(false) };
        let table = table_name(relation);
        if fits == Some(false) {
            warn!(%table, max_records = limits.max_records, max_bytes = limits.max_bytes, "the table has no key, so its rows could only be read at once, and they are more than half of batch.max_records or batch.max_bytes, or took too long to count: the rows that it has are not read, and its changes go out as they come. A key (REPLICA IDENTITY USING INDEX) or larger limits, before it is published, help");
            snapshots.settle(relation.id, table, State::Skipped);
            return Ok(false);
        }
        if self.assembler.is_planned(relation.id) {
            warn!(%table, "the table has lost its key, or was seen before the catalog had it: what is in Kafka of it already comes again with its rows");
        }
        info!(%table, "the table's snapshot begins; it has no key, so its changes are in the rows and not in the stream until these have entered");
        let progress = Progress {
            state: State::Reading,
            ranges: vec![Range::default()],
            unsettled: Some(Unsettled::all_before(shows.next, Lsn(u64::MAX))),
            ..Progress::new(snapshots.slot.clone(), table, relation.id)
        };
        snapshots.known.insert(relation.id, progress.clone());
        snapshots.machine.begin(progress, None, self.assembler.relation(relation.id));
        snapshots.next_look = clock::now();
        Ok(true)
    }
}

const READ_ONCE: &str =
    "it has no key: what is in Kafka of it already would come again with its rows";
