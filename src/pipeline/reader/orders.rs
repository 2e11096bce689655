//! What operators tell of snapshots: done at once, answered when it is committed in Kafka, so that
//! what was answered outlives a restart.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Instant;

use tokio::sync::oneshot::Sender;
use tracing::info;

use super::super::Error;
use super::Reader;
use super::repairs::{Repair, Repairs};
use super::snapshots::{Snapshotting, table_name};
use crate::edges::{Sink, Transport};
use crate::order::{Asked, Order, Reply};
use crate::snapshot::{Progress, State};
use crate::wal::{Relation, RelationId};

/// What was told, and is not answered.
#[derive(Debug, Default)]
pub(super) struct Ordered {
    /// Tables that are to be read because somebody said so, and are not begun with.
    starts: BTreeMap<RelationId, Start>,
    pub(super) repairs: Repairs,
    /// Answers that the next batch makes true.
    next: Vec<(Sender<Reply>, Reply)>,
    /// And those that the one does which is being committed.
    committing: Vec<(Sender<Reply>, Reply)>,
}

#[derive(Debug)]
struct Start {
    /// Which rows, an SQL expression.
    condition: Option<String>,
    /// `None` if its answer was given, and it begins anew.
    reply: Option<Sender<Reply>>,
}

/// A sentence: what was done, or why nothing was.
type Outcome = Result<String, String>;

impl Ordered {
    pub(super) fn has_news(&self) -> bool {
        !self.next.is_empty()
    }

    /// Whether it is to be read because somebody said so.
    pub(super) fn has(&self, relation: RelationId) -> bool {
        self.starts.contains_key(&relation)
    }

    /// Which rows of a table are read that is begun with.
    pub(super) fn condition(&self, relation: RelationId) -> Option<String> {
        self.starts.get(&relation)?.condition.clone()
    }

    /// The table is begun with; its condition.
    pub(super) fn begun(&mut self, relation: RelationId, estimated: u64) -> Option<String> {
        let Start { condition, reply } = self.starts.remove(&relation)?;
        if let Some(reply) = reply {
            let done = format!("begun: the table has about {estimated} rows to be read");
            self.next.push((reply, Reply::Done(done)));
        }
        condition
    }

    /// The table cannot be begun with; whether that was answered, and nothing is left to do.
    pub(super) fn refuse(&mut self, relation: RelationId, why: &impl Display) -> bool {
        let reply = self.starts.get_mut(&relation).and_then(|start| start.reply.take());
        let Some(reply) = reply else { return false };
        self.starts.remove(&relation);
        answer(reply, Reply::Refused(why.to_string()));
        true
    }

    /// A table that was begun with is to be begun with again.
    pub(super) fn again(&mut self, relation: RelationId, condition: Option<String>) {
        if condition.is_some() {
            self.starts.insert(relation, Start { condition, reply: None });
        }
    }

    /// All that was done is in the batch that is handed over now.
    pub(super) fn on_sealed(&mut self, progress: &[Progress]) {
        self.next.extend(self.repairs.ended(progress));
        self.committing.append(&mut self.next);
    }

    fn on_committed(&mut self) {
        for (reply, said) in self.committing.drain(..) {
            answer(reply, said);
        }
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// A batch came home. Who is answered then finds it in the status.
    pub(super) fn on_progress_committed(&mut self, progress: &[Progress], now: Instant) {
        let Some(snapshots) = &self.snapshots else { return };
        let is_over = |progress: &Progress| progress.state != State::Reading;
        if !snapshots.ordered.committing.is_empty() || progress.iter().any(is_over) {
            self.tell_snapshots(now);
        }
        if let Some(snapshots) = &mut self.snapshots {
            for Progress { table, rows, .. } in snapshots.completing.drain(..) {
                info!(%table, rows, "the table's snapshot is complete");
            }
            snapshots.ordered.on_committed();
        }
    }

    /// Does what an operator has told.
    pub(super) async fn on_order(&mut self, Asked { order, reply }: Asked) -> Result<(), Error> {
        let order = match order {
            Order::Unpark { table, leave_out, reason } => {
                self.unpark(&table, (leave_out, reason), reply);
                return Ok(());
            }
            Order::Replay { outbox, route } => {
                self.replay((outbox, route), reply);
                return Ok(());
            }
            order => order,
        };
        if self.snapshots.is_none() {
            answer(reply, Reply::Refused(NOTHING_READ.to_owned()));
            return Ok(());
        }
        let published = self.published().await?;
        let Some(snapshots) = &mut self.snapshots else { return Ok(()) };
        match snapshots.obey(order, reply, &published) {
            Some(repair) => self.ask_keys(repair).await,
            None => Ok(()),
        }
    }
}

impl Snapshotting {
    /// What was told, if that takes more than to note it, is returned.
    fn obey(
        &mut self,
        order: Order,
        reply: Sender<Reply>,
        published: &[Relation],
    ) -> Option<Repair> {
        let outcome = match order {
            Order::Mended { gap } => self.mended(&gap),
            Order::Pause { table: Some(table) } => self.pause(&table),
            Order::Pause { table: None } => self.pause_all(),
            Order::Repair { table, gap, columns, keys } => {
                match self.repairable(&table, published) {
                    Ok(relation) => {
                        return Some(Repair { relation, gap, columns, keys, reply });
                    }
                    Err(why) => Err(why),
                }
            }
            Order::Resume { table: Some(table) } => self.resume(&table),
            Order::Resume { table: None } => self.resume_all(),
            Order::Start { table, condition } => match self.start(&table, published) {
                Ok(relation) => {
                    let start = Start { condition, reply: Some(reply) };
                    self.ordered.starts.insert(relation.id, start);
                    self.resting.remove(&relation.id);
                    self.new.push_front(relation);
                    return None;
                }
                Err(why) => Err(why),
            },
            Order::Stop { table: Some(table) } => self.stop(&table, published),
            Order::Stop { table: None } => self.stop_all(published),
            // Of no snapshot.
            Order::Replay { .. } => Err("there is nothing to replay".to_owned()),
            Order::Unpark { table, .. } => Err(format!("{table} is not parked")),
        };
        match outcome {
            Ok(done) => {
                info!(%done, "snapshots: as an operator has told");
                self.ordered.next.push((reply, Reply::Done(done)));
            }
            Err(why) => answer(reply, Reply::Refused(why)),
        }
        None
    }

    /// The table, if it may be begun with.
    fn start(&self, table: &str, published: &[Relation]) -> Result<Relation, String> {
        self.may_begin(table)?;
        if let Some(progress) = self.reading(table) {
            let so_far = so_far(progress);
            return Err(format!(
                "{table} is being read, {so_far}: `walbrook snapshot stop --table {table}` first"
            ));
        }
        if !self.wanted.reads(table) {
            return Err(format!("{table} is not to be read: its snapshot mode is \"never\""));
        }
        find(published, table).cloned()
    }

    /// Whether anything of a table may be read that is not being read.
    pub(super) fn may_begin(&self, table: &str) -> Result<(), String> {
        if self.machine.is_paused() {
            return Err(ALL_PAUSED.to_owned());
        }
        if self.waiting(table).is_some() {
            return Err(format!("{table} is to be read already; `walbrook snapshot status`"));
        }
        if self.ordered.repairs.asks(table) {
            return Err(format!("keys of {table} are being repaired: ask again"));
        }
        if self.is_outbox_itself(table) {
            return Err(format!("{table} is an outbox: its rows are events that were sent once"));
        }
        if self.is_excluded(table) {
            return Err(format!("{table} is left out, by [tables] include and exclude"));
        }
        Ok(())
    }

    fn pause(&mut self, table: &str) -> Outcome {
        let relation = self.read_id(table)?;
        let progress = self.machine.pause(relation, true).map(so_far).unwrap_or_default();
        Ok(format!(
            "{table} is paused, {progress}; `walbrook snapshot resume --table {table}` goes on"
        ))
    }

    fn pause_all(&mut self) -> Outcome {
        self.machine.pause_all(true);
        Ok("no more is read of any table, also of those to come; `walbrook snapshot resume` goes on"
            .to_owned())
    }

    fn resume(&mut self, table: &str) -> Outcome {
        if self.machine.is_paused() {
            return Err(ALL_PAUSED.to_owned());
        }
        let relation = self.read_id(table)?;
        let progress = self.machine.pause(relation, false).map(so_far).unwrap_or_default();
        Ok(format!("{table} goes on, {progress}"))
    }

    fn resume_all(&mut self) -> Outcome {
        self.machine.pause_all(false);
        Ok(format!("the reading goes on, of {} tables", self.machine.tables()))
    }

    fn stop(&mut self, table: &str, published: &[Relation]) -> Outcome {
        if self.reading(table).is_some_and(Progress::is_held) {
            return Err(format!("{table} {HELD}"));
        }
        let so_far = self.reading(table).map(so_far).unwrap_or_default();
        let relation = match (self.read_id(table), self.waiting(table)) {
            (Ok(relation), _) | (_, Some(relation)) => relation,
            (Err(why), None) => {
                let relation = find(published, table)?.id;
                if self.known.contains_key(&relation) {
                    return Err(why);
                }
                relation
            }
        };
        self.give_up(relation, table);
        let so_far = if so_far.is_empty() { "0 rows so far".to_owned() } else { so_far };
        Ok(format!(
            "{table} is read no further, {so_far}; `walbrook snapshot start --table {table}` begins anew"
        ))
    }

    fn stop_all(&mut self, published: &[Relation]) -> Outcome {
        let read = self.machine.progress().map(|(it, _)| it).filter(|it| !it.is_held());
        let read = read.map(|it| (it.relation, it.table.clone(), it.rows));
        let waiting = self.new.iter().chain(&self.dividing);
        let resting = published.iter().filter(|it| self.resting.contains_key(&it.id));
        let resting = resting.filter(|it| !self.known.contains_key(&it.id));
        let all: BTreeMap<_, _> = waiting
            .chain(resting)
            .map(|relation| (relation.id, table_name(relation), 0))
            .chain(read)
            .map(|(id, table, rows)| (id, (table, rows)))
            .collect();
        let (count, rows) = (all.len(), all.values().map(|(_, rows)| rows).sum::<u64>());
        for (relation, (table, _)) in all {
            self.give_up(relation, &table);
        }
        Ok(format!("{count} tables are read no further, {rows} of their rows were read"))
    }

    /// What is not read of a table will not be. One that was read before stays so.
    fn give_up(&mut self, relation: RelationId, table: &str) {
        self.new.retain(|it| it.id != relation);
        self.dividing.take_if(|it| it.id == relation);
        if let Some(Start { reply: Some(reply), .. }) = self.ordered.starts.remove(&relation) {
            answer(reply, Reply::Refused(format!("{table} was told to stop before it began")));
        }
        self.ordered.repairs.refuse(relation, "it was told to stop");
        let is_read = |progress: &Progress| progress.state != State::Reading;
        if !self.known.get(&relation).is_some_and(is_read) {
            self.settle(relation, table.to_owned(), State::Skipped);
        }
    }

    pub(super) fn reading(&self, table: &str) -> Option<&Progress> {
        let mut read = self.machine.progress().map(|(progress, _)| progress);
        read.find(|progress| progress.table == table)
    }

    fn read_id(&self, table: &str) -> Result<RelationId, String> {
        let progress = self.reading(table).map(|progress| progress.relation);
        progress.ok_or_else(|| format!("{table} is not being read; `walbrook snapshot status`"))
    }

    /// Whether it is to be read, and not begun with.
    fn waiting(&self, table: &str) -> Option<RelationId> {
        let mut waiting = self.new.iter().chain(&self.dividing);
        waiting.find(|relation| table_name(relation) == table).map(|relation| relation.id)
    }
}

pub(super) fn find<'a>(published: &'a [Relation], table: &str) -> Result<&'a Relation, String> {
    published.iter().find(|relation| table_name(relation) == table).ok_or_else(|| {
        format!(
            "{table} is not published under this name: want schema.table, of a table that is in the \
             publications (of partitions that are published by their root, the root)"
        )
    })
}

fn so_far(progress: &Progress) -> String {
    match progress.rows_estimated {
        Some(rows) => format!("{} of about {rows} rows so far", progress.rows),
        None => format!("{} rows so far", progress.rows),
    }
}

/// Nobody may wait for it any more.
pub(super) fn answer(reply: Sender<Reply>, said: Reply) {
    let _ = reply.send(said);
}

const NOTHING_READ: &str = "this process reads no tables: `snapshot.mode` is \"never\". With \
    \"initial\" the tables that are there now count as read, and only what is told or published later \
    is read";

const HELD: &str = "has no key: its changes are left out of the stream until its rows have entered, so \
    it is not given up";

const ALL_PAUSED: &str = "all reading is paused: `walbrook snapshot resume` first";
