//! Messages in, records out: gives every change its position, skips what Kafka already has, and
//! knows where a batch may end. Pure: what it cannot decide it asks for.
//!
//! A message that is answered with [`Step::Full`] or [`Step::Need`] has changed nothing; it is fed
//! again when the batch was taken or the answer given.

mod columns;
mod entry;
mod error;
mod letters;
mod parking;
mod plans;
mod read;
mod seal;
mod step;

use std::cmp::Ordering;
use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::iter::once;
use std::sync::Arc;

use self::entry::{Entry, remember};
pub use self::error::Error;
use self::letters::Letters;
use self::parking::Parking;
pub use self::parking::Passed;
pub use self::read::Row;
pub use self::step::{Need, Owner, Step};
use crate::batch::{Batch, Mark, TopicTable};
use crate::change::{Change, Op, Xact};
use crate::checkpoint::{Checkpoint, Inside, Omission};
use crate::columns::Column;
use crate::config::BatchLimits;
use crate::encode;
use crate::plan::{self, Context, Contradiction, LastDeleted, Plan, Settings, Skip};
use crate::position::{Lsn, Position, Xid};
use crate::wal::{Message, Relation, RelationId, ReplicaIdentity};

/// Where the batch stood at the last end of a transaction.
#[derive(Clone, Copy, Debug)]
struct Boundary {
    mark: Mark,
    position: Position,
    xid: Option<Xid>,
}

/// How many topics are known before all are forgotten, and all plans with them: both are cheap to
/// make again, and tables come and go.
const TOPICS_MAX: usize = 50_000;

/// How many relations are known before the stream is begun anew: the server announces the shape of
/// each once in a stream, so that none can be forgotten before.
const RELATIONS_MAX: usize = 50_000;

/// The row that reaches a limit goes beyond it; most do by less than this.
const LAST_ROW_BYTES: usize = 1 << 20;
/// A key that changes makes as many records.
const LAST_ROW_RECORDS: usize = 3;

/// The assembler of one stream.
#[derive(Debug)]
pub struct Assembler {
    settings: Settings,
    limits: BatchLimits,
    message_prefix: Option<String>,
    is_binary: bool,
    relations: BTreeMap<RelationId, Entry>,
    relations_max: usize,
    /// The relation that was announced last, until a change comes.
    announced: Option<RelationId>,
    /// The plan of logical messages, once one was an event.
    messages: Option<Plan>,
    topics: Arc<TopicTable>,
    topics_max: usize,
    parking: Parking,
    letters: Letters,
    /// The columns that were told of last, by table.
    told: BTreeMap<String, Vec<Column>>,
    /// Tables whose changes are left out, since their rows, which are to come, have them.
    held: BTreeSet<RelationId>,
    /// What start-up found: position, confirm, and all that stays the same.
    base: Checkpoint,
    /// Changes at or below it are in Kafka already.
    resume: Position,
    /// Whether the slot must send the transaction of that position again.
    comes_again: bool,
    xact: Option<Xact>,
    /// The ordinal of the last change taken from the open transaction.
    ordinal: u64,
    previous_commit_lsn: Lsn,
    position: Position,
    /// The transaction of `position`.
    xid: Option<Xid>,
    inside: Option<Inside>,
    confirm: Lsn,
    boundary: Option<Boundary>,
    starts_inside: bool,
    last_deleted: LastDeleted,
    /// Changes that made no record, since they were last asked for.
    skipped: BTreeMap<(Owner, Skip), u64>,
    /// Changes that were left out as an operator said, since they were last asked for.
    omitted: Vec<(Owner, Omission)>,
}

impl Assembler {
    /// An assembler that goes on from `checkpoint`. `comes_again` says that the slot must send the
    /// transaction of that position again.
    #[must_use]
    pub fn new(
        settings: Settings,
        limits: BatchLimits,
        message_prefix: Option<String>,
        is_binary: bool,
        checkpoint: Checkpoint,
        comes_again: bool,
    ) -> Self {
        let position = checkpoint.position;
        // A checkpoint at the end of a transaction covers all of it, whatever is counted today.
        let resume = match checkpoint.inside {
            None if 0 < position.ordinal => Position { ordinal: u64::MAX, ..position },
            _ => position,
        };
        Self {
            settings,
            limits,
            message_prefix,
            is_binary,
            relations: BTreeMap::new(),
            relations_max: RELATIONS_MAX,
            announced: None,
            messages: None,
            topics: Arc::default(),
            topics_max: TOPICS_MAX,
            parking: Parking::default(),
            letters: Letters::default(),
            told: BTreeMap::new(),
            held: BTreeSet::new(),
            resume,
            comes_again,
            xact: None,
            ordinal: 0,
            previous_commit_lsn: Lsn::ZERO,
            position,
            xid: checkpoint.xid,
            inside: checkpoint.inside,
            confirm: checkpoint.confirm,
            boundary: None,
            last_deleted: LastDeleted::default(),
            skipped: BTreeMap::new(),
            omitted: Vec::new(),
            starts_inside: checkpoint.inside.is_some(),
            base: checkpoint,
        }
    }

    /// Takes one message that stood at `lsn`; see [`Step`].
    ///
    /// # Errors
    ///
    /// If the stream contradicts itself or the checkpoint, or a change cannot be encoded.
    pub fn on_message(
        &mut self,
        lsn: Lsn,
        message: &Message<'_>,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        match *message {
            Message::Begin { final_lsn, commit_time_us, xid } => {
                self.begin(final_lsn, commit_time_us, xid)
            }
            Message::Commit { end_lsn, .. } => self.commit(end_lsn, batch),
            Message::Relation(ref body) => {
                self.announce(body.to_owned());
                Ok(Step::Continue)
            }
            Message::Origin { .. } | Message::Type { .. } => Ok(Step::Continue),
            // A non-transactional message is no change of any transaction.
            Message::Message { transactional: false, .. } => Ok(Step::Continue),
            Message::Delete { relation, old } => {
                self.change(lsn, once(Op::Delete { relation, old }), context, batch)
            }
            Message::Insert { relation, new } => {
                self.change(lsn, once(Op::Insert { relation, new }), context, batch)
            }
            Message::Message { prefix, content, .. } => {
                self.change(lsn, once(Op::Message { prefix, content }), context, batch)
            }
            Message::Truncate { relations, .. } => {
                relations.iter().for_each(|relation| self.own(relation));
                let op = |(relation, part)| Op::Truncate { relation, part };
                self.change(lsn, relations.iter().zip(0_u32..).map(op), context, batch)
            }
            Message::Update { relation, old, new } => {
                self.change(lsn, once(Op::Update { relation, old, new }), context, batch)
            }
        }
    }

    /// Takes a relation's shape. The same shape again, which the server sends after any
    /// invalidation, asks the catalog anew what the stream does not tell: only if that is other than
    /// it was, a plan is made anew. What rows have shown of it stays so, or its schemas would change
    /// to and fro.
    ///
    /// The server sends a leaf's shape behind its root's, before the first row of the leaf, which
    /// then names the root.
    fn announce(&mut self, relation: Relation) {
        self.doubt_children(relation.id);
        if !self.relations.contains_key(&relation.id) {
            self.forget_namesakes(&relation);
        }
        let root = self.announced.replace(relation.id).filter(|root| *root != relation.id);
        let was_planned = self.relations.get(&relation.id).is_some_and(|entry| entry.was_planned);
        let entry = self.relations.entry(relation.id);
        match entry {
            Slot::Occupied(mut entry) if entry.get().relation == relation => {
                let entry = entry.get_mut();
                entry.root = root;
                entry.is_keyless = false;
                entry.doubt_plan();
            }
            entry => {
                let is_news = was_planned;
                entry.insert_entry(Entry { root, was_planned, is_news, ..Entry::new(relation) });
            }
        }
    }

    /// Notes that rows are the relation's own, not those of a root.
    fn own(&mut self, relation: RelationId) {
        if let Some(entry) = self.relations.get_mut(&relation) {
            entry.root = None;
        }
    }

    /// A table that is dropped and made again has another id: the plan of the former one, of which no
    /// row comes any more, is not kept.
    fn forget_namesakes(&mut self, relation: &Relation) {
        let is_namesake = |it: &&mut Entry| {
            it.relation.name == relation.name && it.relation.namespace == relation.namespace
        };
        self.relations.values_mut().filter(is_namesake).for_each(Entry::forget_plan);
    }

    /// Forgets what can be made again.
    fn forget_plans(&mut self) {
        self.topics = Arc::default();
        self.messages = None;
        self.relations.values_mut().for_each(Entry::forget_plan);
        self.parking.returning.iter_mut().for_each(|it| it.entry.forget_plan());
        self.forget_letters();
    }

    fn begin(&mut self, commit_lsn: Lsn, commit_time_us: i64, xid: Xid) -> Result<Step, Error> {
        if self.xact.is_some() {
            return Err(Error::Disorder { at: commit_lsn, what: "begin inside a transaction" });
        }
        if commit_lsn <= self.previous_commit_lsn {
            return Err(Error::Disorder { at: commit_lsn, what: "commits go backwards" });
        }
        let is_other = match commit_lsn.cmp(&self.resume.commit_lsn) {
            Ordering::Less => false,
            Ordering::Equal => self.base_xid().is_some_and(|was| was != xid),
            Ordering::Greater => true,
        };
        if is_other && self.is_awaited() {
            return Err(self.resume_error(format!("transaction {xid} at {commit_lsn}")));
        }
        let previous_commit_lsn = self.previous_commit_lsn;
        self.xact = Some(Xact { xid, commit_lsn, commit_time_us, previous_commit_lsn });
        self.ordinal = 0;
        Ok(Step::Continue)
    }

    fn commit(&mut self, end_lsn: Lsn, batch: &Batch) -> Result<Step, Error> {
        let Some(xact) = self.xact.take() else {
            return Err(Error::Disorder { at: end_lsn, what: "commit without a begin" });
        };
        if self.base.inside.is_some()
            && xact.commit_lsn == self.resume.commit_lsn
            && self.ordinal < self.resume.ordinal
        {
            return Err(self.resume_error(format!("{} changes", self.ordinal)));
        }
        self.previous_commit_lsn = xact.commit_lsn;
        self.confirm = self.confirm.max(end_lsn);
        if self.position.commit_lsn <= xact.commit_lsn {
            self.inside = None;
        }
        // The position may lie inside a transaction that comes only later: nothing is new here.
        if self.inside.is_none() {
            let Self { position, xid, .. } = *self;
            self.boundary = Some(Boundary { mark: batch.mark(), position, xid });
        }
        Ok(Step::Boundary)
    }

    /// Gives a change its position and encodes it unless Kafka has it; on a need nothing changed.
    /// A truncate of several tables is one change with several operations.
    fn change<'m>(
        &mut self,
        lsn: Lsn,
        ops: impl Iterator<Item = Op<'m>>,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        let Some(xact) = self.xact else {
            return Err(Error::Disorder { at: lsn, what: "change outside of a transaction" });
        };
        self.announced = None;
        let position = Position { commit_lsn: xact.commit_lsn, ordinal: self.ordinal + 1 };
        if position <= self.resume {
            self.check_resumed(position, lsn, xact.xid)?;
            self.ordinal = position.ordinal;
            return Ok(Step::Continue);
        }
        let inside = Inside { xid: xact.xid, lsn };
        if let Some(omission) = self.omission(position, inside) {
            self.omitted.extend(ops.take(1).map(|op| (Owner::of(&op), omission.clone())));
        } else {
            if self.is_full(batch) {
                return Ok(Step::Full);
            }
            // It waits from now on, also for its plan.
            batch.note_commit_time(xact.commit_time_us);
            let mark = batch.mark();
            let skipped = (ops.size_hint() != (1, Some(1))).then(|| self.skipped.clone());
            for op in ops {
                if matches!(Owner::of(&op), Owner::Relation(id) if self.held.contains(&id)) {
                    continue;
                }
                let change = Change { position, lsn, xact: &xact, op };
                let step = self.encode(Owner::of(&change.op), &change, context, batch)?;
                if let Step::Need(need) = step {
                    batch.truncate(mark);
                    // They are skipped again.
                    self.skipped = skipped.unwrap_or_else(|| std::mem::take(&mut self.skipped));
                    return Ok(Step::Need(need));
                }
            }
        }
        self.ordinal = position.ordinal;
        self.position = position;
        self.xid = Some(xact.xid);
        self.inside = Some(inside);
        Ok(Step::Continue)
    }

    /// Encodes one change by its plan; asks for the plan when there is none.
    fn encode(
        &mut self,
        owner: Owner,
        change: &Change<'_>,
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        if let Op::Message { prefix, .. } = change.op
            && self.message_prefix.as_deref() != Some(prefix)
        {
            return Ok(Step::Continue);
        }
        let mark = batch.mark();
        let (plan, last_deleted, is_untold) = match owner {
            // They are of no change.
            Owner::Letters(_) => return Err(Error::NotParked),
            Owner::Messages => (&mut self.messages, &mut self.last_deleted, false),
            Owner::Relation(relation) => {
                let entry = self.relations.get_mut(&relation);
                let entry = entry.ok_or(Error::UnknownRelation(relation))?;
                (&mut entry.plan, &mut self.last_deleted, entry.untold.is_some())
            }
            Owner::Returning => {
                let Parking { returning, last_deleted, .. } = &mut self.parking;
                let entry = &mut returning.as_mut().ok_or(Error::NotParked)?.entry;
                (&mut entry.plan, last_deleted, entry.untold.is_some())
            }
        };
        let Some(plan) = plan else {
            if let Owner::Relation(relation) = owner {
                self.own(relation);
            }
            return Ok(Step::Need(Need::Plan(owner)));
        };
        match plan.encode(change, context, last_deleted, batch) {
            Ok(plan::Step::Done) => {
                if is_untold {
                    self.tell(owner, change, mark, batch);
                }
                Ok(Step::Continue)
            }
            Ok(plan::Step::Skipped(skip)) => {
                *self.skipped.entry((owner, skip)).or_default() += 1;
                Ok(Step::Continue)
            }
            Ok(plan::Step::Need(route)) => Ok(Step::Need(Need::Route(owner, route))),
            Ok(plan::Step::Policy(topic)) => {
                let topic = self.topics.name(topic).unwrap_or_default().to_owned();
                Ok(Step::Need(Need::Policy(owner, topic)))
            }
            Err(error) => self.relax(owner, error),
        }
    }

    /// Where a row has a NULL that the catalog denies, the row is right: the catalog is newer than
    /// the stream. A NOT NULL value that did not change and was not sent, of a type without a
    /// placeholder, can only be null too. The plan is made anew with that column optional. It is
    /// made anew, once, for a type that a composite has got since (of which the stream does not
    /// tell); any other error of a table is for others to judge.
    fn relax(&mut self, owner: Owner, error: plan::Error) -> Result<Step, Error> {
        use plan::Error::{Contradiction as Contradicted, Encode};
        let Some(entry) = self.entry_mut(owner) else { return Err(error.into()) };
        let is_unkeyed =
            matches!(entry.relation.identity, ReplicaIdentity::Full | ReplicaIdentity::Nothing);
        let is_news = match &error {
            // The stream does not say what the key is, and it is newer than the row.
            Contradicted { contradiction: Contradiction::KeyNull { .. }, .. } if is_unkeyed => {
                !std::mem::replace(&mut entry.is_keyless, true)
            }
            Contradicted { contradiction: Contradiction::Null { column }, .. }
            | Encode { column, source: encode::Error::Unavailable, .. } => {
                remember(&mut entry.nullable, column)
            }
            Encode { source: encode::Error::UnknownType { oid }, .. } => {
                remember(&mut entry.asked, oid)
            }
            _ => false,
        };
        if !is_news {
            return Ok(Step::Need(Need::Judge(owner, Box::new(error))));
        }
        entry.forget_plan();
        Ok(Step::Need(Need::Plan(owner)))
    }

    /// The operator's decision to leave out this very change.
    fn omission(&self, position: Position, change: Inside) -> Option<Omission> {
        let is_it = |it: &&Omission| it.position == position && it.change == change;
        self.base.omissions.iter().find(is_it).cloned()
    }

    fn check_resumed(&self, position: Position, lsn: Lsn, xid: Xid) -> Result<(), Error> {
        match self.base.inside {
            Some(inside) if position == self.resume && inside != (Inside { xid, lsn }) => {
                Err(self.resume_error(format!("transaction {xid}, change at {lsn}")))
            }
            _ => Ok(()),
        }
    }

    /// Takes the LSN of a keep-alive: every transaction that ends at or before it was sent earlier.
    ///
    /// # Errors
    ///
    /// If the checkpoint's transaction should have been, and was not.
    pub fn on_keepalive(&self, wal_end: Lsn) -> Result<(), Error> {
        if self.xact.is_none() && self.resume.commit_lsn < wal_end && self.is_awaited() {
            return Err(self.resume_error(format!("no transaction up to {wal_end}")));
        }
        Ok(())
    }

    /// Whether the checkpoint's transaction must come again and has not yet. A server that was rolled
    /// back to an earlier state has others behind that point, and some could pass for it.
    fn is_awaited(&self) -> bool {
        self.comes_again && self.previous_commit_lsn < self.resume.commit_lsn
    }

    /// The transaction of the checkpoint that start-up found.
    fn base_xid(&self) -> Option<Xid> {
        self.base.inside.map(|inside| inside.xid).or(self.base.xid)
    }

    fn resume_error(&self, found: String) -> Error {
        let xid = self.base_xid();
        let mut was = xid.map_or_else(|| "a change".to_owned(), |xid| format!("transaction {xid}"));
        if let Some(inside) = self.base.inside {
            was = format!("{was}, change at {}", inside.lsn);
        }
        Error::Resume { position: self.base.position, was, found }
    }

    /// The open transaction.
    #[must_use]
    pub fn xid(&self) -> Option<Xid> {
        self.xact.map(|xact| xact.xid)
    }

    /// A relation of the stream.
    #[must_use]
    pub fn relation(&self, id: RelationId) -> Option<&Relation> {
        self.relations.get(&id).map(|entry| &entry.relation)
    }

    /// The relation whose plan it is; messages have none.
    #[must_use]
    pub fn relation_of(&self, owner: Owner) -> Option<&Relation> {
        self.entry(owner).map(|entry| &entry.relation)
    }

    fn entry(&self, owner: Owner) -> Option<&Entry> {
        match owner {
            Owner::Letters(_) | Owner::Messages => None,
            Owner::Relation(id) => self.relations.get(&id),
            Owner::Returning => self.parking.returning.as_ref().map(|it| &it.entry),
        }
    }

    fn entry_mut(&mut self, owner: Owner) -> Option<&mut Entry> {
        match owner {
            Owner::Letters(_) | Owner::Messages => None,
            Owner::Relation(id) => self.relations.get_mut(&id),
            Owner::Returning => self.parking.returning.as_mut().map(|it| &mut it.entry),
        }
    }

    /// An empty batch with room for all that the limits allow, so that none is ever copied because
    /// it grows.
    #[must_use]
    pub fn new_batch(&self) -> Batch {
        Batch::with_capacity(
            self.limits.max_bytes.saturating_add(LAST_ROW_BYTES),
            self.limits.max_records.saturating_add(LAST_ROW_RECORDS),
        )
    }

    /// How many changes made no record since the last call, by owner and reason.
    pub fn take_skipped(&mut self) -> BTreeMap<(Owner, Skip), u64> {
        std::mem::take(&mut self.skipped)
    }

    /// What was left out, as an operator said, since the last call.
    pub fn take_omitted(&mut self) -> Vec<(Owner, Omission)> {
        std::mem::take(&mut self.omitted)
    }

    /// Whether what was taken last of the open transaction is in Kafka already.
    #[must_use]
    pub fn is_resuming(&self) -> bool {
        let Some(Xact { commit_lsn, .. }) = self.xact else { return false };
        Position { commit_lsn, ordinal: self.ordinal } <= self.resume
    }

    /// The position of the change that was not taken yet.
    #[must_use]
    pub fn pending(&self) -> Option<Position> {
        let Xact { commit_lsn, .. } = self.xact?;
        Some(Position { commit_lsn, ordinal: self.ordinal + 1 })
    }

    /// Whether the stream is between two transactions.
    #[must_use]
    pub fn is_at_boundary(&self) -> bool {
        self.xact.is_none()
    }

    /// Whether too many relations are known, and the stream may begin anew here: it has brought
    /// something that a checkpoint can cover, or it would end here again and again.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        let is_ahead = |boundary: Boundary| self.base.position < boundary.position;
        self.is_at_boundary()
            && self.relations_max < self.relations.len()
            && self.boundary.is_some_and(is_ahead)
    }

    /// The end of the last complete transaction that was taken: what the next checkpoint covers.
    #[must_use]
    pub fn complete_end(&self) -> Lsn {
        self.confirm
    }

    /// Whether changes of the table are encoded.
    #[must_use]
    pub fn is_planned(&self, relation: RelationId) -> bool {
        self.relations.get(&relation).is_some_and(|entry| entry.plan.is_some())
    }

    /// From now on the changes of these tables, and of no others, are left out. They are counted.
    pub fn hold(&mut self, relations: impl Iterator<Item = RelationId>) {
        self.held.clear();
        self.held.extend(relations);
    }

    /// The server went on on this timeline, and the stream with it.
    pub fn on_timeline(&mut self, timeline: u32) {
        self.base.timeline = self.base.timeline.max(timeline);
    }
}

#[cfg(test)]
mod tests;
