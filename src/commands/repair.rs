//! `walbrook repair`: what differs between tables and the latest state of their topics is told to the
//! running process, which writes it.

mod orders;
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::ask::answer;
use super::print;
use super::verify::{NO_TABLES, ended, exit, table_json, table_text, wanted};
use crate::admin::control::{Report, Request};
use crate::cli::{Exit, RepairArguments};
use crate::config::Config;
use crate::order::{Order, Reply};
use crate::pipeline::{self, Compared, Comparison, Verdict};
use orders::{Kinds, orders};
pub(super) use running::Running;

/// Compares tables with their topics, has the running process write what differs, and compares again.
///
/// # Errors
///
/// If an answer is not understood, or standard output cannot be written.
pub async fn repair(config: &Config, arguments: &RepairArguments) -> anyhow::Result<Exit> {
    let open = match prepared(config).await? {
        Ok(open) => open,
        Err(exit) => return Ok(exit),
    };
    let mut comparison = wanted(&arguments.comparison);
    comparison.values_bytes = comparison.memory_bytes;
    let (mut compared, point) = match Box::pin(pipeline::compare(config, comparison)).await {
        Ok(compared) => compared,
        Err(error) => return Ok(ended(&error)),
    };
    let gap = arguments.gap.clone().or_else(|| open.clone());
    let gap = gap.unwrap_or_else(|| format!("until {}", point.unwrap_or_default()));
    let mut work = Work::new(config, Running::Other(config), comparison, gap);
    if !arguments.dry_run {
        if let Err(exit) = work.run(&mut compared).await? {
            return Ok(exit);
        }
        if let Some(open) = open.filter(|_| comparison.tables.is_empty()) {
            work.close(open, &compared).await?;
        }
    }
    let is_json = arguments.comparison.json;
    print(&if is_json { work.as_json(&compared) } else { work.text(&compared) })?;
    Ok(exit(&compared))
}

/// Repairs a gap that this process, which streams, has accepted; whether nothing is left of it.
///
/// # Errors
///
/// If nothing could be compared.
pub(super) async fn by_itself(
    config: &Config,
    running: Running<'_>,
    gap: String,
) -> anyhow::Result<bool> {
    let comparison = Comparison {
        tables: &[],
        memory_bytes: OWN_MEMORY_BYTES,
        wait: OWN_WAIT,
        rounds: OWN_ROUNDS,
        keys_max: 0,
        values_bytes: OWN_MEMORY_BYTES,
    };
    let (mut compared, _) = Box::pin(pipeline::compare(config, comparison)).await?;
    let mut work = Work::new(config, running, comparison, gap.clone());
    if work.run(&mut compared).await?.is_err() {
        return Ok(false);
    }
    work.close(gap, &compared).await?;
    for table in &compared {
        info!("{}", table_text(table).trim_end());
    }
    Ok(work.closed.is_some_and(|(_, is_closed)| is_closed))
}

/// What a comparison of a process that streams may take.
const OWN_MEMORY_BYTES: usize = 16 << 20;
const OWN_WAIT: Duration = Duration::from_secs(60);
const OWN_ROUNDS: u32 = 5;

/// The gap that the running process knows of, if there is somebody to be told; that is asked before
/// anything is compared.
async fn prepared(config: &Config) -> anyhow::Result<Result<Option<String>, Exit>> {
    if config.snapshot.is_off() {
        error!("{NOTHING_READ}");
        return Ok(Err(Exit::Usage));
    }
    let Report { phase, snapshots, .. } = match report(config).await? {
        Ok(report) => report,
        Err(exit) => return Ok(Err(exit)),
    };
    if phase != "streaming" {
        error!(
            "the phase of the running walbrook is {phase}, not streaming: repair on the instance that holds the replication slot, or later"
        );
        return Ok(Err(Exit::Unreachable));
    }
    Ok(Ok(snapshots.and_then(|snapshots| snapshots.gap)))
}

async fn report(config: &Config) -> anyhow::Result<Result<Report, Exit>> {
    match answer(config, Request::Status {}).await? {
        Ok(report) => Ok(Ok(serde_json::from_value(report).context(UNKNOWN_ANSWER)?)),
        Err(exit) => Ok(Err(exit)),
    }
}

struct Work<'a> {
    config: &'a Config,
    running: Running<'a>,
    comparison: Comparison<'a>,
    gap: String,
    /// How many keys of each table were repaired.
    repaired: BTreeMap<String, Kinds>,
    /// Tables that are not told of any more: they were refused, or got no better.
    left: BTreeSet<String>,
    /// The gap that an operator has accepted, and whether nothing is left of it.
    closed: Option<(String, bool)>,
}

impl<'a> Work<'a> {
    fn new(
        config: &'a Config,
        running: Running<'a>,
        comparison: Comparison<'a>,
        gap: String,
    ) -> Self {
        let (repaired, left) = (BTreeMap::new(), BTreeSet::new());
        Self { config, running, comparison, gap, repaired, left, closed: None }
    }

    /// Tells what differs and compares again, until nothing differs or nothing gets better. An error is
    /// how the command ends.
    async fn run(&mut self, compared: &mut [Compared]) -> anyhow::Result<Result<(), Exit>> {
        loop {
            let mut told = Vec::new();
            for table in compared.iter_mut() {
                match self.tell_of(table).await? {
                    Ok(true) => told.push(table.table.clone()),
                    Ok(false) => {}
                    Err(exit) => return Ok(Err(exit)),
                }
            }
            if told.is_empty() {
                return Ok(Ok(()));
            }
            info!(tables = told.len(), "repaired tables are compared again");
            let comparison = Comparison { tables: &told, ..self.comparison };
            let again = match Box::pin(pipeline::compare(self.config, comparison)).await {
                Ok((again, _)) => again,
                Err(error) => return Ok(Err(ended(&error))),
            };
            for found in again {
                self.replace(compared, found);
            }
        }
    }

    /// Puts what was found now in place of what was found before.
    fn replace(&mut self, compared: &mut [Compared], found: Compared) {
        let Some(old) = compared.iter_mut().find(|old| old.table == found.table) else { return };
        if differing(old) <= differing(&found) {
            self.left.insert(found.table.clone());
        }
        *old = found;
    }

    /// Tells all that can be told of a table; whether something was repaired.
    async fn tell_of(&mut self, compared: &mut Compared) -> anyhow::Result<Result<bool, Exit>> {
        if self.left.contains(&compared.table) {
            return Ok(Ok(false));
        }
        let table = compared.table.clone();
        let (mut done, mut is_unanswered) = (Kinds::default(), false);
        let mut told_at = Instant::now();
        for (order, kinds) in orders(compared, &self.gap) {
            match self.tell(&table, order).await? {
                Ok(Reply::Done(_)) => done.add(kinds),
                Ok(Reply::Refused(why)) => {
                    error!("{table}: refused: {why}");
                    self.left.insert(table.clone());
                    break;
                }
                Ok(Reply::Unanswered(why)) => {
                    // What came of it the comparison says.
                    warn!("{table}: {why}");
                    is_unanswered = true;
                    break;
                }
                Err(exit) => return Ok(Err(exit)),
            }
            if TELL_EVERY < told_at.elapsed() {
                told_at = Instant::now();
                info!(%table, keys = done.sum(), "repairing");
            }
        }
        if 0 < done.sum() {
            info!(%table, keys = done.sum(), gap = self.gap, "repaired");
        }
        self.repaired.entry(table).or_default().add(done);
        Ok(Ok(0 < done.sum() || is_unanswered))
    }

    /// Gives an order, and says meanwhile what the running process waits for.
    async fn tell(&self, table: &str, order: Order) -> anyhow::Result<Result<Reply, Exit>> {
        let asked = Instant::now();
        let mut answered = std::pin::pin!(self.running.tell(order));
        loop {
            tokio::select! {
                answered = &mut answered => break answered,
                () = tokio::time::sleep(TELL_EVERY) => self.tell_waiting(table, asked).await?,
            }
        }
    }

    /// Says what the running process waits for.
    async fn tell_waiting(&self, table: &str, since: Instant) -> anyhow::Result<()> {
        let tables =
            self.running.snapshots().await?.into_iter().flat_map(|snapshots| snapshots.tables);
        let waits_for = tables.filter(|it| it.table == table).find_map(|it| it.waits_for);
        let seconds = since.elapsed().as_secs();
        info!(%table, seconds, waits_for, "waiting until the keys are in Kafka");
        Ok(())
    }

    /// Tells that a gap is repaired, if nothing is left of it that can be found.
    async fn close(&mut self, gap: String, compared: &[Compared]) -> anyhow::Result<()> {
        let mut is_closed = compared.iter().all(is_settled);
        if is_closed {
            let order = Order::Mended { gap: gap.clone() };
            let said = self.tell("all tables", order).await?;
            is_closed = matches!(said, Ok(Reply::Done(_)));
            if let Ok(Reply::Refused(why) | Reply::Unanswered(why)) = said {
                warn!("the gap {gap}: {why}");
            }
        }
        self.closed = Some((gap, is_closed));
        Ok(())
    }

    /// For people: what verify says, and what was done.
    fn text(&self, compared: &[Compared]) -> String {
        let mut out = String::new();
        for table in compared {
            out.push_str(&table_text(table));
            if let Some(kinds) = self.repaired.get(&table.table).filter(|it| 0 < it.sum()) {
                let Kinds { different, missing, extra } = kinds;
                // Writing to a String does not fail.
                let _ = writeln!(
                    out,
                    "  repaired: {different} rows were different, {missing} were missing in the topic, {extra} were in the topic alone"
                );
            }
            for (why, keys) in untold(table) {
                let _ = writeln!(out, "  {keys} keys cannot be repaired: {why}");
            }
        }
        if compared.is_empty() {
            out.push_str(NO_TABLES);
        } else if 0 < self.sum().sum() {
            let _ = writeln!(
                out,
                "{} keys are repaired: walbrook.gap is {:?}",
                self.sum().sum(),
                self.gap
            );
        }
        if let Some((gap, is_closed)) = &self.closed {
            let is = if *is_closed { "is" } else { "is not yet" };
            let _ = writeln!(out, "the gap {gap} that was accepted {is} repaired");
        }
        out.trim_end().to_owned()
    }

    /// For programs: verify's object, and what was done.
    fn as_json(&self, compared: &[Compared]) -> String {
        let tables = compared.iter().map(|table| {
            let kinds = self.repaired.get(&table.table).copied().unwrap_or_default();
            let untold = untold(table).map(|(why, keys)| json!({ "why": why, "keys": keys }));
            let mut object = table_json(table);
            if let Some(members) = object.as_object_mut() {
                members.insert("repaired".to_owned(), kinds.as_json());
                members.insert("not_repairable".to_owned(), untold.collect());
            }
            object
        });
        let tables: Vec<Value> = tables.collect();
        let repaired = self.sum().as_json();
        let closed = self
            .closed
            .as_ref()
            .map(|(gap, is_closed)| json!({ "gap": gap, "repaired": is_closed }));
        let of_all = json!({
            "gap": self.gap, "accepted": closed, "repaired": repaired, "tables": tables
        });
        format!("{of_all:#}")
    }

    fn sum(&self) -> Kinds {
        let mut sum = Kinds::default();
        self.repaired.values().for_each(|kinds| sum.add(*kinds));
        sum
    }
}

fn untold(table: &Compared) -> impl Iterator<Item = (&String, &u64)> {
    table.outcome.iter().flat_map(|outcome| &outcome.untold)
}

/// Whether nothing is left to be repaired of a table, now or when it can be compared.
fn is_settled(table: &Compared) -> bool {
    match &table.outcome {
        Ok(outcome) => !outcome.differs() && outcome.changing == 0,
        Err(_) => !table.is_passing,
    }
}

/// How many keys differ.
fn differing(table: &Compared) -> u64 {
    let count = |it: &Verdict| it.different + it.missing + it.extra;
    table.outcome.as_ref().map_or(0, count)
}

/// How often it is told how far a repair is.
const TELL_EVERY: Duration = Duration::from_secs(10);

const UNKNOWN_ANSWER: &str = "what this version does not understand";

const NOTHING_READ: &str = "the running walbrook writes what it reads of tables, and `snapshot.mode` is \
    \"never\": set it to \"initial\" and start it again. The tables that are there now count as read \
    then, and only what is repaired, told or published later is read";
