//! Dead letters that are written again: they enter between two transactions, as what was parked does, and
//! are told where they were.

use std::collections::BTreeMap;

use super::{Assembler, Error, Need, Owner, Step};
use crate::batch::Batch;
use crate::change::{Change, Op, Xact};
use crate::parked::Letter;
use crate::plan::{self, Context, Plan};
use crate::position::{Lsn, Position, Xid};

/// Header: where a dead letter was that is an event now, as `walbrook.position` said it.
const LETTER_HEADER: &str = "walbrook.letter";

/// The outboxes whose dead letters are written again.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// Each with its plan, once it is made.
    pub(super) plans: Vec<(String, Option<Plan>)>,
    scratch: Batch,
}

impl Letters {
    pub(super) fn plan(&mut self, number: usize) -> Option<&mut Option<Plan>> {
        self.plans.get_mut(number).map(|(_, plan)| plan)
    }
}

impl Assembler {
    /// The dead-letter topics of the configuration, each with the outboxes that write to it.
    #[must_use]
    pub fn letter_topics(&self) -> BTreeMap<String, Vec<String>> {
        let mut topics: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let tables = self.settings.outboxes.iter();
        let tables = tables.map(|it| (format!("{}.{}", it.namespace, it.table), &it.routing));
        let messages = self.settings.message_outbox.iter();
        let messages = messages.map(|it| (plan::MESSAGES.to_owned(), &it.routing));
        for (outbox, routing) in tables.chain(messages) {
            if let Some(topic) = &routing.dead_letter_topic {
                topics.entry(topic.clone()).or_default().push(outbox);
            }
        }
        topics
    }

    /// Up to where letters of a topic were written again: the next offset of each partition.
    #[must_use]
    pub fn letters_done(&self, topic: &str) -> &[i64] {
        self.base.letters.get(topic).map(Vec::as_slice).unwrap_or_default()
    }

    /// Takes a dead letter of an outbox; see [`Step`].
    ///
    /// # Errors
    ///
    /// If there is no such outbox any more.
    pub fn on_letter(
        &mut self,
        (outbox, letter, route): (&str, &Letter, Option<&str>),
        context: &Context,
        batch: &mut Batch,
    ) -> Result<Step, Error> {
        let Letters { plans, scratch } = &mut self.letters;
        let number = plans.iter().position(|(known, _)| known == outbox).unwrap_or_else(|| {
            plans.push((outbox.to_owned(), None));
            plans.len() - 1
        });
        let owner = Owner::Letters(number);
        let Some((_, Some(Plan::Letters(plan)))) = plans.get_mut(number) else {
            return Ok(Step::Need(Need::Plan(owner)));
        };
        let was = letter.header("walbrook.position").unwrap_or_default();
        let xact = Xact {
            xid: Xid(letter.header("walbrook.xid").and_then(|xid| xid.parse().ok()).unwrap_or(0)),
            commit_lsn: Lsn::ZERO,
            commit_time_us: context.now_us,
            previous_commit_lsn: Lsn::ZERO,
        };
        let op = Op::Message { prefix: outbox, content: &[] };
        let change = Change { position: Position::ZERO, lsn: Lsn::ZERO, xact: &xact, op };
        scratch.clear();
        match plan.encode(letter, route, (&change, context), scratch)? {
            plan::Step::Need(route) => return Ok(Step::Need(Need::Route(owner, route))),
            plan::Step::Done | plan::Step::Policy(_) | plan::Step::Skipped(_) => {}
        }
        let scratch = std::mem::take(&mut self.letters.scratch);
        self.adopt(&scratch, batch, LETTER_HEADER, |_| was.to_owned());
        self.letters.scratch = scratch;
        Ok(Step::Continue)
    }

    /// Whether there is an outbox of that name, whose letters can be written again.
    #[must_use]
    pub fn has_letters_of(&self, outbox: &str) -> bool {
        self.letters.plans.iter().any(|(known, plan)| known == outbox && plan.is_some())
    }

    /// Letters of a partition up to an offset are in the batch, and behind that a transaction may begin.
    pub fn end_letters(&mut self, topic: &str, partition: usize, next: i64, batch: &Batch) {
        let done = self.base.letters.entry(topic.to_owned()).or_default();
        if done.len() <= partition {
            done.resize(partition + 1, 0);
        }
        if let Some(offset) = done.get_mut(partition) {
            *offset = next;
        }
        self.end_chunk(batch);
    }

    /// What the plans were made of may be another the next time.
    pub fn forget_letters(&mut self) {
        self.letters = Letters::default();
    }
}
