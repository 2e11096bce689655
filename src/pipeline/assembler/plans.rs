//! The assembler's plans: drafted, finished and extended with what the reader brings from outside.

use std::sync::Arc;

use super::entry::Entry;
use super::{Assembler, Error, Owner};
use crate::config::Children;
use crate::facts::TableFacts;
use crate::plan::{self, Claim, Draft, Newest, Plan, Registered, Route, SchemaId};
use crate::wal::{Relation, RelationId};

impl Assembler {
    /// The subjects of the schemas that the owner may have.
    #[must_use]
    pub fn subjects(&self, owner: Owner, facts: &TableFacts) -> Vec<String> {
        let entry = self.entry(owner);
        entry.map(|it| plan::subjects(&it.relation, facts, &self.settings)).unwrap_or_default()
    }

    /// Compiles a plan as far as that goes without topics and schema ids; `facts` are those of the
    /// owner's relation, `newest` its subjects' schemas. `None` if the owner has none any more.
    ///
    /// # Errors
    ///
    /// If configuration and table contradict each other, or the slot must be read in text mode.
    pub fn draft(
        &self,
        owner: Owner,
        mut facts: TableFacts,
        newest: &[Newest],
    ) -> Result<Option<Draft>, Error> {
        let entry = match (owner, self.entry(owner)) {
            (_, Some(entry)) => entry,
            (Owner::Letters(number), None) => {
                let plans = &self.letters.plans;
                let outbox = plans.get(number).map(|(outbox, _)| outbox.as_str());
                return Ok(plan::compile_letters(outbox.unwrap_or_default(), &self.settings)?);
            }
            (Owner::Messages, None) => return Ok(plan::compile_message_outbox(&self.settings)?),
            (Owner::Relation(id), None) => return Err(Error::UnknownRelation(id)),
            (Owner::Returning, None) => return Err(Error::NotParked),
        };
        let registered = Registered::parse(newest, &self.settings);
        if facts.is_gone {
            plan::recall(&entry.relation, &mut facts, &registered, &self.settings);
        }
        let facts = self.corrected(owner, facts);
        let mut draft = plan::compile(&entry.relation, &facts, &registered, &self.settings)?;
        let is_kept = (!entry.is_news || facts.is_gone) && draft.keep(newest);
        draft.facts = (!is_kept && !facts.is_gone).then(|| facts.digest());
        if let Some(claim) = &draft.claim {
            // It is not beside itself, whatever it was called.
            let others = self.claims().filter(|(id, _)| *id != entry.relation.id);
            claim.refuse(others.map(|(_, claim)| claim))?;
        }
        match draft.unknown.first() {
            Some((column, type_name)) if self.is_binary && owner != Owner::Returning => {
                Err(Error::TextMode {
                    table: format!("{}.{}", entry.relation.namespace, entry.relation.name),
                    column: column.clone(),
                    type_name: type_name.clone(),
                })
            }
            _ => Ok(Some(draft)),
        }
    }

    /// The facts of a relation without what its rows have shown to be otherwise, and with the partitions
    /// that the stream has announced.
    pub(super) fn corrected(&self, owner: Owner, mut facts: TableFacts) -> TableFacts {
        let Some(entry) = self.entry(owner) else { return facts };
        facts.not_null.retain(|column| !entry.nullable.contains(column));
        if entry.is_keyless {
            facts.primary_key.clear();
            facts.identity_index.clear();
            facts.unknown_key = None;
        }
        if let Owner::Relation(id) = owner {
            let leaves = self.relations.values().filter(|leaf| leaf.root == Some(id));
            facts.leaves.extend(leaves.map(|leaf| plan::leaf(&leaf.relation)));
        }
        facts
    }

    /// The relation whose records the topic has that another one was refused for this.
    #[must_use]
    pub fn rival(&self, error: &Error) -> Option<RelationId> {
        let Error::Plan(error) = error else { return None };
        let rival = error.rival()?;
        self.claims().find(|(_, claim)| claim.is_of(rival)).map(|(id, _)| id)
    }

    fn claims(&self) -> impl Iterator<Item = (RelationId, &Claim)> {
        self.relations.iter().filter_map(|(id, entry)| Some((*id, entry.claim.as_ref()?)))
    }

    /// Has a relation ask of its topic what its table would by now, as the catalog has it if it is still
    /// published; whether that is something else. `newest` are the schemas of the topic that is asked for.
    pub fn renew_claim(
        &mut self,
        id: RelationId,
        now: Option<(&Relation, &TableFacts)>,
        newest: &[Newest],
    ) -> bool {
        let Some(entry) = self.relations.get_mut(&id) else { return false };
        let registered = Registered::parse(newest, &self.settings);
        let now = now.filter(|(_, facts)| !facts.is_gone);
        // One that could not be written asks for nothing.
        let claim = now.and_then(|(relation, facts)| {
            plan::compile(relation, facts, &registered, &self.settings).ok()?.claim
        });
        let is_other = entry.claim != claim;
        if is_other {
            entry.forget_plan();
            entry.claim = claim;
        }
        is_other
    }

    /// What is announced may have another name or another key than it had, of which the stream tells
    /// nothing by those whose rows may go where its own do. For the first time it tells what may be older
    /// than their plans, so that what these keep of older schemas they keep.
    pub(super) fn doubt_children(&mut self, parent: RelationId) {
        if self.settings.tables.children == Children::Own {
            return;
        }
        let is_known = self.relations.contains_key(&parent);
        let is_child =
            |entry: &&mut Entry| entry.claim.as_ref().is_some_and(|claim| claim.is_under(parent));
        let doubt = if is_known { Entry::doubt_plan } else { Entry::set_plan_aside };
        self.relations.values_mut().filter(is_child).for_each(doubt);
    }

    /// Finishes a plan with one schema id per schema that its draft asked for.
    pub fn install(&mut self, owner: Owner, mut draft: Draft, ids: &[SchemaId]) {
        let (columns, claim) = (std::mem::take(&mut draft.told), draft.claim.take());
        let facts = draft.facts;
        let plan = draft.finish(Arc::make_mut(&mut self.topics), ids);
        match (owner, self.entry_mut(owner)) {
            (_, Some(entry)) => entry.install(plan, facts, claim),
            (owner, None) => {
                if let Some(slot) = self.plan_mut(owner) {
                    *slot = Some(plan);
                }
            }
        }
        self.on_columns(owner, columns);
    }

    /// Takes the plan again that a relation had before it was announced again as it is, if the catalog
    /// says what it said when that was made. `false` where one is to be made.
    pub fn revive(&mut self, id: RelationId, facts: &TableFacts) -> bool {
        let owner = Owner::Relation(id);
        let digest = self.corrected(owner, facts.clone()).digest();
        self.entry_mut(owner).is_some_and(|entry| entry.revive(digest))
    }

    /// Answers a [`Need::Route`](super::Need::Route).
    pub fn route(&mut self, owner: Owner, route: &Route, ids: &[SchemaId]) {
        let mut topics = Arc::clone(&self.topics);
        if let Some(Some(plan)) = self.plan_mut(owner) {
            plan.route(route, Arc::make_mut(&mut topics), ids);
        }
        self.topics = topics;
    }

    /// Answers a [`Need::Policy`](super::Need::Policy).
    pub fn take_policy(&mut self, owner: Owner, is_compacted: bool) {
        if let Some(Some(plan)) = self.plan_mut(owner) {
            plan.take_policy(is_compacted);
        }
    }

    fn plan_mut(&mut self, owner: Owner) -> Option<&mut Option<Plan>> {
        match owner {
            Owner::Letters(number) => self.letters.plan(number),
            Owner::Messages => Some(&mut self.messages),
            owner => self.entry_mut(owner).map(|entry| &mut entry.plan),
        }
    }
}
