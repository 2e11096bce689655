//! What becomes of a table of which something is refused: it is parked, or the stream ends.

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::Instant;

use tracing::{info, warn};

use super::super::assembler::{self, Owner};
use super::super::returner::Returner;
use super::super::writer::Done;
use super::super::{Error, clock};
use super::returning::Returning;
use super::{Reader, Surroundings};
use crate::config::OnRefused;
use crate::edges::{Class, Sink, Transport};
use crate::facts::TableFacts;
use crate::parked::{self, Parked};
use crate::status::ParkedTable;
use crate::wal::RelationId;
use crate::{kafka, plan, registry};

/// Why a table cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Refusal {
    reason: String,
    /// Of the schema that was refused.
    subject: Option<String>,
    /// Whether a broker has refused a record, and a batch was lost with it.
    by_broker: bool,
}

/// What outlives an attempt to stream.
#[derive(Debug, Default)]
pub(in super::super) struct Parker {
    pub(super) returner: Returner,
    /// Whether nothing is brought back, and nobody told: it is a rehearsal.
    pub(super) is_idle: bool,
    /// Tables of which a broker has refused a record.
    refused: BTreeMap<String, Refusal>,
    /// Tables that are not tried before.
    pub(super) resting: BTreeMap<String, Instant>,
    /// How often each was tried.
    pub(super) tries: BTreeMap<String, u64>,
}

impl Refusal {
    /// What of an error is the trouble of one table, and of no other.
    pub(super) fn of(error: &Error) -> Option<Self> {
        fn of(reason: &(dyn std::error::Error + 'static)) -> Refusal {
            Refusal { reason: chain(reason), subject: None, by_broker: false }
        }
        match error {
            Error::Assembler(error) => match &**error {
                assembler::Error::Plan(plan::Error::Foreign { .. }) => None,
                assembler::Error::Plan(error) if error.is_meant() => None,
                assembler::Error::Plan(error) => Some(of(error)),
                _ => None,
            },
            Error::Registry(error) => match &**error {
                registry::Error::Refused { subject, .. }
                | registry::Error::Unregistered { subject } => {
                    Some(Self { subject: Some(subject.clone()), ..of(&**error) })
                }
                _ => None,
            },
            Error::Topic { class: Class::Fatal, error } => {
                let is_of_topic = error.downcast_ref().is_some_and(kafka::Error::is_of_topic);
                is_of_topic.then(|| of(&**error))
            }
            _ => None,
        }
    }

    /// The same of a record that a broker has refused, and its table.
    fn by_broker(error: &Error) -> Option<(String, Self)> {
        let Error::Sink { error, .. } = error else { return None };
        let error: &kafka::Error = error.downcast_ref()?;
        let refusal = Self { reason: chain(error), subject: None, by_broker: true };
        Some((error.table()?.to_owned(), refusal))
    }

    /// What is parked cannot be read.
    pub(super) fn of_reading(error: &(dyn std::error::Error + 'static)) -> Self {
        Self { reason: chain(error), subject: None, by_broker: false }
    }

    pub(super) fn into_parts(self) -> (String, Option<String>, bool) {
        (self.reason, self.subject, self.by_broker)
    }
}

impl Parker {
    /// One that brings nothing back.
    pub(in super::super) fn idle() -> Self {
        Self { is_idle: true, ..Self::default() }
    }

    /// Takes note of a table of which a broker has refused a record, which has ended an attempt; whether
    /// it is parked with the next one.
    pub(in super::super) fn on_refused(
        &mut self,
        error: &Error,
        refused: &crate::config::Refused,
    ) -> bool {
        let Some((table, refusal)) = Refusal::by_broker(error) else { return false };
        // Of no table: logical messages, and what is parked itself.
        if !table.contains('.') {
            return false;
        }
        // The second time in a row it is not the table that is refused.
        if refused.action(&table) == OnRefused::Stop || self.refused.contains_key(&table) {
            return false;
        }
        info!(%table, "kafka refuses a record; the stream begins anew without its table");
        self.refused.insert(table, refusal);
        true
    }

    /// Ends what runs beside the stream.
    pub(in super::super) fn end(self) -> Option<JoinHandle<()>> {
        self.returner.end()
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Parks the tables of which a broker has refused a record.
    pub(super) async fn park_refused(&mut self) -> Result<(), Error> {
        for (table, refusal) in self.around.parker.refused.clone() {
            if self.assembler.parked().contains_key(&table) {
                self.rest(&table);
                self.assembler.on_refused_again(&table, refusal.into_parts());
            } else {
                self.begin_parking(table, refusal).await?;
            }
        }
        Ok(())
    }

    /// Kafka has taken what it had refused before.
    pub(super) fn forget_refused(&mut self) {
        self.around.parker.refused.clear();
    }

    /// A relation cannot be written: it is parked, if that is wanted, or this is the end.
    pub(super) async fn judge(
        &mut self,
        owner: Owner,
        facts: Option<TableFacts>,
        error: Error,
    ) -> Result<(), Error> {
        let Some(refusal) = Refusal::of(&error) else { return Err(error) };
        match owner {
            Owner::Letters(_) => {
                self.refuse_letters(refusal.into_parts().0);
                Ok(())
            }
            Owner::Returning => {
                self.refuse_returning(refusal);
                Ok(())
            }
            Owner::Relation(id) => match self.assembler.table_of(owner) {
                Some(table) if self.assembler.on_refused(&table) == OnRefused::Park => {
                    self.begin_parking(table, refusal).await?;
                    self.park(id, facts).await
                }
                _ => Err(error),
            },
            Owner::Messages => Err(error),
        }
    }

    /// The changes of a relation are those of a table that is parked.
    async fn park(&mut self, id: RelationId, facts: Option<TableFacts>) -> Result<(), Error> {
        let facts = match facts {
            Some(facts) => facts,
            None => self.describe(id).await?,
        };
        self.assembler.park(id, facts);
        Ok(())
    }

    async fn begin_parking(&mut self, table: String, refusal: Refusal) -> Result<(), Error> {
        let offset = self.open_parked().await?;
        let (reason, subject, by_broker) = refusal.into_parts();
        if !self.around.parker.is_idle {
            warn!(%table, reason, "the table is parked: its changes wait, in order, in {}; all others go on. `walbrook status` shows it, `walbrook unpark` tries again", self.around.parked_topic);
        }
        self.rest(&table);
        self.assembler.begin_parking(Parked {
            format: parked::FORMAT,
            slot: self.around.slot.to_owned(),
            table,
            reason,
            subject,
            by_broker,
            since_us: clock::wall_us(),
            offset,
            passed: 0,
            changes: 0,
            returned: 0,
        });
        self.tell_parked();
        Ok(())
    }

    /// The table is not tried again before its time.
    pub(super) fn rest(&mut self, table: &str) {
        let until = clock::now() + self.assembler.retry_refused_after();
        self.around.parker.resting.insert(table.to_owned(), until);
    }

    /// The end of the topic of what is parked, which is made if it is missing.
    async fn open_parked(&mut self) -> Result<i64, Error> {
        self.around.writer.open_parked()?;
        match self.next_answer().await {
            Ok(Done::ParkedEnd(end)) => Ok(end),
            Ok(_) => Ok(0),
            // It is no table's.
            Err(Error::Topic { class, error }) => Err(Error::Sink { class, error }),
            Err(error) => Err(error),
        }
    }

    /// A batch came home, and with it what has become of tables.
    pub(super) fn on_parked_committed(&mut self, tables: &mut Vec<(String, Option<Parked>)>) {
        if tables.is_empty() {
            return;
        }
        for (table, parked) in tables.drain(..) {
            match parked {
                Some(parked) => drop(self.in_kafka.insert(table, parked)),
                None => drop(self.in_kafka.remove(&table)),
            }
        }
        self.tell_parked();
    }

    /// Says which tables are parked, as Kafka has it.
    pub(super) fn tell_parked(&mut self) {
        let returning = self.returning.as_ref().map(Returning::table);
        // All of it is in a batch that is not in Kafka yet.
        let is_back = |table: &str| !self.assembler.parked().contains_key(table);
        let Surroundings { telemetry, parker, .. } = &mut self.around;
        let tables = self.in_kafka.values().map(|parked| ParkedTable {
            table: parked.table.clone(),
            reason: parked.reason.clone(),
            subject: parked.subject.clone(),
            since_us: parked.since_us,
            waiting: parked.waiting(),
            returned: parked.returned,
            is_returning: returning == Some(&*parked.table) || is_back(&parked.table),
            tries: parker.tries.get(&parked.table).copied().unwrap_or_default(),
        });
        telemetry.on_parked(tables.collect());
    }
}

/// An error and its causes on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
