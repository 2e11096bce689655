//! A relation of the stream, with what is known of it.

use crate::columns::Column;
use crate::facts::FactsDigest;
use crate::plan::{Claim, ParkedPlan, Plan};
use crate::wal::{Relation, RelationId};

/// A relation as it stands in the stream, with its plan once a row needed one.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) relation: Relation,
    pub(super) plan: Option<Plan>,
    /// The plan that it had before it was announced again as it is.
    pub(super) former: Option<Plan>,
    /// What it asks of its topic, by its plan, or by the catalog where that is older than the table.
    pub(super) claim: Option<Claim>,
    /// Its columns, where they are to be told of with its next row.
    pub(super) untold: Option<Vec<Column>>,
    /// The facts that the plan was made from, if nothing else of it may be from another time.
    pub(super) facts: Option<FactsDigest>,
    /// The relation that was announced just before: its root, if no row is of its own.
    pub(super) root: Option<RelationId>,
    /// Columns that the catalog calls NOT NULL and a row did not.
    pub(super) nullable: Vec<String>,
    /// Whether its rows are older than the primary key that the catalog has.
    pub(super) is_keyless: bool,
    /// Whether the stream has had a plan of it, or of what it was before.
    pub(super) was_planned: bool,
    /// Whether the stream has announced it again since: what the catalog says then is told of by the
    /// stream, too. Else it may be from the future, or it is older than the process.
    pub(super) is_news: bool,
    /// OIDs of types that a row had and its plan did not know.
    pub(super) asked: Vec<u32>,
}

impl Entry {
    /// Of a relation that the stream has not announced before.
    pub(super) fn new(relation: Relation) -> Self {
        Self {
            relation,
            plan: None,
            former: None,
            claim: None,
            untold: None,
            facts: None,
            root: None,
            nullable: Vec::new(),
            is_keyless: false,
            was_planned: false,
            is_news: false,
            asked: Vec::new(),
        }
    }

    /// Takes a plan that was made from these facts.
    pub(super) fn install(&mut self, plan: Plan, facts: Option<FactsDigest>, claim: Option<Claim>) {
        self.forget_plan();
        (self.plan, self.facts, self.claim) = (Some(plan), facts, claim);
        (self.was_planned, self.is_news) = (true, false);
    }

    /// Its changes wait from now on. What it has is told with the first one that comes back.
    pub(super) fn park(&mut self, plan: ParkedPlan) {
        self.forget_plan();
        self.plan = Some(Plan::Parked(Box::new(plan)));
    }

    /// The stream has announced it again as it is: its facts may be others by now. Of an outbox they
    /// decide nothing.
    pub(super) fn doubt_plan(&mut self) {
        self.is_news = self.was_planned;
        self.set_plan_aside();
    }

    /// The plan is to be had again with the next row, if it still holds.
    pub(super) fn set_plan_aside(&mut self) {
        if let Some(plan) = self.plan.take_if(|plan| !matches!(plan, Plan::Outbox(_))) {
            self.former = Some(plan);
        }
    }

    /// Takes the former plan again, if it was made from the same facts.
    pub(super) fn revive(&mut self, facts: FactsDigest) -> bool {
        let former = self.former.take_if(|_| self.facts == Some(facts));
        let is_revived = former.is_some();
        if is_revived {
            (self.plan, self.is_news) = (former, false);
        }
        is_revived
    }

    /// What it was made from counts for nothing.
    pub(super) fn forget_plan(&mut self) {
        (self.plan, self.former, self.claim) = (None, None, None);
        (self.untold, self.facts) = (None, None);
    }
}

/// Adds an item that is not there yet; whether it was not.
pub(super) fn remember<T: Clone + PartialEq>(items: &mut Vec<T>, item: &T) -> bool {
    let is_new = !items.contains(item);
    if is_new {
        items.push(item.clone());
    }
    is_new
}
