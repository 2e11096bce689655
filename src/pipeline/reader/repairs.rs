//! Keys of which an operator has told that topic and table differ: each is read, and what the table has
//! of it enters as a chunk does. Answered when all of that is committed in Kafka.

use std::collections::BTreeMap;

use tokio::sync::oneshot::Sender;
use tracing::info;

use super::super::Error;
use super::super::alive::alive;
use super::super::clock;
use super::Reader;
use super::orders::answer;
use super::snapshots::{Snapshotting, table_name};
use crate::edges::{Class, Sink, Transport};
use crate::order::Reply;
use crate::plan;
use crate::position::Lsn;
use crate::postgres::ChunkError;
use crate::snapshot::{Progress, State, Unsettled};
use crate::wal::{Relation, RelationId};

/// What was told, and is not answered.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// Whose keys the server is asked for as the stream has them.
    asked: BTreeMap<RelationId, Repair>,
    /// Who waits for a table, and for how many of its keys.
    read: BTreeMap<RelationId, Vec<(Sender<Reply>, usize)>>,
}

/// Keys of a table.
pub(super) struct Repair {
    pub(super) relation: Relation,
    pub(super) gap: String,
    /// The key's columns.
    pub(super) columns: Vec<String>,
    /// Of each key the columns' values as text.
    pub(super) keys: Vec<Vec<String>>,
    pub(super) reply: Sender<Reply>,
}

impl std::fmt::Debug for Repair {
    /// Never a key (I7).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Repair({}, {} keys)", self.relation.id, self.keys.len())
    }
}

impl Repairs {
    /// Whether keys of the table are about to be read.
    pub(super) fn asks(&self, table: &str) -> bool {
        self.asked.values().any(|repair| table_name(&repair.relation) == table)
    }

    /// The answers that this progress makes true.
    pub(super) fn ended(&mut self, progress: &[Progress]) -> Vec<(Sender<Reply>, Reply)> {
        let over = progress.iter().filter(|it| it.state != State::Reading);
        let ended = over.filter_map(|it| self.read.remove(&it.relation)).flatten();
        let done =
            |keys| Reply::Done(format!("{keys} keys are in the topic as the table has them"));
        ended.map(|(reply, keys)| (reply, done(keys))).collect()
    }

    /// A table is not read any further.
    pub(super) fn refuse(&mut self, relation: RelationId, why: &str) {
        for (reply, _) in self.read.remove(&relation).unwrap_or_default() {
            answer(reply, Reply::Refused(why.to_owned()));
        }
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Asks the server for keys as the stream has them.
    pub(super) async fn ask_keys(&mut self, mut repair: Repair) -> Result<(), Error> {
        let describe = self.around.catalog.describe(&repair.relation);
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        let facts =
            alive(&mut self.transport, &mut self.session, stop, nothing, describe).await??;
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let (id, table) = (repair.relation.id, table_name(&repair.relation));
        let key = plan::key_names(&repair.relation, &facts);
        let Some(keys) = in_order(&key, &repair.columns, std::mem::take(&mut repair.keys)) else {
            let why = match key.is_empty() {
                true => format!("{table} has no key"),
                false => format!("the key of {table} is of the columns {}", key.join(", ")),
            };
            answer(repair.reply, Reply::Refused(why));
            return Ok(());
        };
        repair.columns.clone_from(&key);
        snapshots.chunks.ask_keys(id, key, keys);
        snapshots.ordered.repairs.asked.insert(id, repair);
        Ok(())
    }

    /// The keys are known as the stream has them: they are read, once what ran before is over.
    pub(super) async fn on_keys(
        &mut self,
        relation: RelationId,
        keys: Result<Vec<Box<[u8]>>, ChunkError>,
    ) -> Result<(), Error> {
        let shows = self.around.catalog.visibility();
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        let shows = alive(&mut self.transport, &mut self.session, stop, nothing, shows).await??;
        let shape = self.assembler.relation(relation);
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        let Some(repair) = snapshots.ordered.repairs.asked.remove(&relation) else { return Ok(()) };
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) if error.class() == Class::Retry => {
                answer(repair.reply, Reply::Unanswered(error.to_string()));
                return Ok(());
            }
            Err(error) => {
                answer(repair.reply, Reply::Refused(error.to_string()));
                return Ok(());
            }
        };
        let (count, table) = (keys.len(), table_name(&repair.relation));
        info!(%table, keys = count, gap = repair.gap, "the table is repaired");
        let gap = repair.gap;
        if snapshots.machine.is_repaired(relation) {
            let progress = snapshots.machine.repair(relation, gap, keys).cloned();
            snapshots.known.extend(progress.map(|progress| (relation, progress)));
        } else {
            let progress = Progress {
                key: repair.columns,
                unsettled: Some(Unsettled::all_before(shows.next, Lsn(u64::MAX))),
                ..Progress::new(snapshots.slot.clone(), table, relation)
            };
            let progress = progress.repairing(gap, keys);
            snapshots.known.insert(relation, progress.clone());
            snapshots.machine.begin(progress, None, shape);
        }
        snapshots.ordered.repairs.read.entry(relation).or_default().push((repair.reply, count));
        snapshots.next_look = clock::now();
        Ok(())
    }
}

impl Snapshotting {
    /// A gap is forgotten.
    pub(super) fn mended(&mut self, gap: &str) -> Result<String, String> {
        match self.gap {
            Some(open) if open.to_string() == gap => {
                self.gap = None;
                Ok(format!("the gap {gap} is repaired"))
            }
            Some(open) => Err(format!("the gap that is not repaired is {open}, not {gap}")),
            None => Err("no gap is known".to_owned()),
        }
    }

    /// The table, if its keys may be read.
    pub(super) fn repairable(
        &self,
        table: &str,
        published: &[Relation],
    ) -> Result<Relation, String> {
        self.may_begin(table)?;
        match self.reading(table) {
            Some(progress) if progress.gap.is_none() => {
                Err(format!("the snapshot of {table} is not finished: its rows are still to come"))
            }
            _ => super::orders::find(published, table).cloned(),
        }
    }
}

/// The values of keys in the order of a table's own key, if they are of its columns: a child by
/// inheritance may have its parent's in another order.
fn in_order(
    key: &[String],
    columns: &[String],
    keys: Vec<Vec<String>>,
) -> Option<Vec<Vec<String>>> {
    if key.is_empty() || key.len() != columns.len() {
        return None;
    }
    if key == columns {
        return Some(keys);
    }
    let place = |name: &String| columns.iter().position(|column| column == name);
    let places: Vec<usize> = key.iter().map(place).collect::<Option<_>>()?;
    let in_order = |values: Vec<String>| -> Option<Vec<String>> {
        places.iter().map(|place| values.get(*place).cloned()).collect()
    };
    keys.into_iter().map(in_order).collect()
}
