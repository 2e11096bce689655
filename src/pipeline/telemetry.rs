//! What the pipeline tells the outside: metrics, status and warnings. Called per batch and per
//! phase, never per row.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use super::lag::{Lag, Received};
use super::watch::{Finding, Watch};
use crate::batch::{Batch, Operation, Record, TopicId};
use crate::checkpoint::Omission;
use crate::config::{Config, Outbox, SharedTopic};
use crate::edges::{Class, Receipt};
use crate::metrics::{Metrics, SkipReason, TableCounters, TxnResult};
use crate::plan::{Draft, Skip};
use crate::position::Lsn;
use crate::postgres::{SlotFacts, Survey};
use crate::status::{ParkedTable, Phase, Snapshots, Status};
use crate::wal::{Relation, RelationId};

/// How many tables, or columns, are remembered before all are forgotten: their counters begin anew,
/// and their warnings come again.
const TABLES_MAX: usize = 10_000;

/// The pipeline's voice.
#[derive(Debug)]
pub struct Telemetry {
    metrics: Metrics,
    status: watch::Sender<Status>,
    counters: HashMap<String, TableCounters>,
    last_commit: Option<Instant>,
    lag: Lag,
    /// Of tables: columns of unknown types, odd partitions, and that they are published.
    told: Told,
    watch: Watch,
    /// What the watch found when it last looked.
    findings: BTreeSet<Finding>,
}

impl Telemetry {
    /// Speaks of the pipeline of `config` through `metrics` and `status`.
    #[must_use]
    pub fn new(config: &Config, metrics: Metrics, status: watch::Sender<Status>) -> Self {
        metrics.set_phase(Phase::Starting);
        Self {
            metrics,
            status,
            counters: HashMap::new(),
            last_commit: None,
            lag: Lag::default(),
            told: Told::default(),
            watch: Watch::new(config),
            findings: BTreeSet::new(),
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        let is_new = self.status.borrow().phase.name() != phase.name();
        if is_new {
            info!(phase = phase.name(), "phase");
        }
        if phase == Phase::Standby {
            // What waits is the other instance's to deliver.
            self.lag = Lag::default();
            self.tell(BTreeSet::new());
            self.on_snapshots(None);
            self.on_parked(Vec::new());
        }
        self.metrics.set_phase(phase);
        self.status.send_modify(|status| status.phase = phase);
    }

    pub(super) fn is_standby(&self) -> bool {
        self.status.borrow().phase == Phase::Standby
    }

    /// An attempt ended with an error; another one follows.
    pub(super) fn on_retry(&mut self, class: Class, error: &dyn std::error::Error) {
        self.metrics.retried(class);
        self.status.send_modify(|status| status.error = Some(error.to_string()));
    }

    /// When a batch was last committed.
    pub(super) fn last_commit(&self) -> Option<Instant> {
        self.last_commit
    }

    pub(super) fn on_streaming(&mut self, now: Instant, confirm: Lsn) {
        self.enter(Phase::Streaming);
        self.metrics.set_confirmed_lsn(confirm);
        self.status.send_modify(|status| {
            status.progress_at = Some(now);
            status.confirmed_lsn = confirm;
            status.silence = Duration::ZERO;
            status.error = None;
        });
    }

    /// A batch came home, at `now` and `wall_us` (microseconds since 1970-01-01 UTC).
    pub(super) fn on_committed(
        &mut self,
        batch: &Batch,
        took: Duration,
        now: Instant,
        wall_us: i64,
    ) {
        self.last_commit = Some(now);
        self.metrics.batch_committed(batch.records().len(), batch.byte_len(), took.as_secs_f64());
        if let Some(commit_us) = batch.oldest_commit_us {
            self.metrics.end_to_end_latency(seconds(wall_us - commit_us));
        }
        self.count(batch);
        self.status.send_modify(|status| status.progress_at = Some(now));
    }

    /// A transaction failed; recovery tells whether it was committed all the same.
    pub(super) fn on_txn_failed(&self) {
        self.metrics.txn_ended(TxnResult::Unknown);
    }

    /// How the transaction of a committed batch went.
    pub(super) fn on_receipt(&self, receipt: Receipt) {
        (0..receipt.rebuilds).for_each(|_| self.metrics.producer_rebuilt());
        if receipt.was_unknown {
            self.metrics.txn_ended(TxnResult::Unknown);
        }
    }

    /// Adds the batch's records to the counters of their tables.
    fn count(&mut self, batch: &Batch) {
        let mut counts: HashMap<(TopicId, Operation), (usize, usize)> = HashMap::new();
        let counter = |record: &Record| (record.topic, record.operation);
        let length = |range: &Option<Range<usize>>| range.as_ref().map_or(0, Range::len);
        let bytes = |record: &Record| length(&record.key) + length(&record.value);
        // Looked up once for records that follow each other.
        for alike in batch.records().chunk_by(|left, right| counter(left) == counter(right)) {
            let Some(first) = alike.first() else { continue };
            let count = counts.entry(counter(first)).or_default();
            count.0 += alike.len();
            count.1 += alike.iter().map(bytes).sum::<usize>();
        }
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for ((topic, operation), (records, bytes)) in counts {
            let table = batch.topics.table(topic).unwrap_or_default();
            if !self.counters.contains_key(table) {
                if TABLES_MAX <= self.counters.len() {
                    self.counters.clear();
                    self.metrics.forget_tables();
                }
                self.counters.insert(table.to_owned(), self.metrics.table(table));
            }
            if let Some(counters) = self.counters.get(table) {
                counters.add(operation, number(records), number(bytes));
            }
        }
    }

    /// Changes of a relation that made no record.
    pub(super) fn on_skipped(&self, relation: Option<&Relation>, skip: Skip, count: u64) {
        let reason = match skip {
            Skip::Child => {
                if let Some(Relation { namespace, name, .. }) = relation {
                    let table = format_args!("{namespace}.{name}");
                    warn!(%table, count, "a TRUNCATE makes no record: the table's rows are in the topic of the one that it inherits from, all of whose rows readers would take to be gone. If that one was not truncated with it, walbrook repair writes the deletes");
                }
                return;
            }
            Skip::Compacted => {
                if let Some(Relation { namespace, name, .. }) = relation {
                    let table = format_args!("{namespace}.{name}");
                    warn!(%table, count, "a TRUNCATE is left out: the table's topic is compacted and takes no record without a key, so its readers keep the rows that are gone (tables.truncate = false says that this is known)");
                }
                return;
            }
            Skip::OutboxDelete => SkipReason::Delete,
            Skip::OutboxRoute => SkipReason::Route,
            Skip::OutboxTruncate => SkipReason::Truncate,
            Skip::OutboxUpdate => SkipReason::Update,
            Skip::Excluded => return self.metrics.changes_excluded(count),
            Skip::Truncate => return,
        };
        if let (SkipReason::Route, Some(Relation { namespace, name, .. })) = (reason, relation) {
            let table = format_args!("{namespace}.{name}");
            warn!(%table, count, "outbox rows have no route and are left out, as outbox.on_null_route says");
        }
        if let (SkipReason::Update, Some(Relation { namespace, name, .. })) = (reason, relation) {
            let table = format_args!("{namespace}.{name}");
            warn!(%table, count, "outbox rows were updated: an event is its INSERT, updates make none");
        }
        self.metrics.outbox_skipped(reason, count);
    }

    /// A change was left out because an operator said so.
    pub(super) fn on_omitted(&self, relation: Option<&Relation>, omission: &Omission) {
        let Omission { position, reason, .. } = omission;
        let table = relation.map_or_else(
            || "logical messages".to_owned(),
            |Relation { namespace, name, .. }| format!("{namespace}.{name}"),
        );
        warn!(%position, table, reason, "a change is left out, as `walbrook checkpoint skip` was told");
        self.metrics.change_skipped();
    }

    /// How far things are: called once a second or so. It is progress too where nothing waits for
    /// Kafka, and log was received or there is none.
    pub(super) fn on_progress(&mut self, progress: &Progress) {
        let Progress { received, confirmed, server_end, waiting, silence, now, wall_us } =
            *progress;
        let lag_bytes = server_end.0.saturating_sub(confirmed.0);
        self.on_waiting(waiting);
        self.lag.on_log(now, received, server_end);
        self.metrics.set_received_lsn(received);
        self.metrics.set_confirmed_lsn(confirmed);
        let is_written = self.lag.is_written();
        let is_read = self.lag.is_read();
        self.status.send_modify(|status| {
            if is_written && (is_read || status.received_lsn < received) {
                status.progress_at = Some(now);
            }
            status.received_lsn = received;
            status.confirmed_lsn = confirmed;
            status.lag_bytes = lag_bytes;
            status.silence = silence;
        });
        self.tell_lag(now, wall_us);
    }

    /// Time goes by, and what waits grows older.
    pub(super) fn tell_lag(&self, now: Instant, wall_us: i64) {
        let seconds = self.lag.age(now, wall_us).as_secs_f64();
        self.metrics.set_lag(self.status.borrow().lag_bytes, seconds);
    }

    /// What the slot makes the server keep.
    pub(super) fn on_slot(&self, slot: &str, facts: &SlotFacts) {
        let retained = facts.retained_bytes.and_then(|bytes| u64::try_from(bytes).ok());
        self.metrics.set_slot_wal(slot, retained.unwrap_or(0), facts.safe_wal_size);
        let oldest = facts.oldest_xact.as_ref();
        self.metrics.set_oldest_xact(slot, oldest.map_or(Some(Duration::ZERO), |xact| xact.age));
        let told = oldest.map(ToString::to_string);
        self.status.send_modify(|status| status.oldest_xact = told);
    }

    /// The tables to survey beside those that are published: by OID, and by name.
    pub(super) fn subjects(&self) -> (Vec<RelationId>, Vec<String>) {
        self.watch.subjects()
    }

    /// What the publications publish now.
    pub(super) fn on_survey(&mut self, survey: &Survey) {
        let findings = self.watch.look(survey);
        for finding in findings.difference(&self.findings) {
            warn!(%finding, "something is missing from the stream");
        }
        for finding in self.findings.difference(&findings) {
            info!(%finding, "put right: this is not missing from the stream any more");
        }
        self.tell(findings);
    }

    fn tell(&mut self, findings: BTreeSet<Finding>) {
        if findings != self.findings {
            self.metrics.set_findings(findings.len());
            let texts = findings.iter().map(ToString::to_string).collect();
            self.status.send_modify(|status| status.findings = texts);
            self.findings = findings;
        }
    }

    /// The tables that are parked.
    pub(super) fn on_parked(&self, tables: Vec<ParkedTable>) {
        if tables != self.status.borrow().parked {
            self.metrics.set_parked(&tables);
            self.status.send_modify(|status| status.parked = tables);
        }
    }

    /// A change that was parked is left out, as somebody said.
    pub(super) fn on_left_out(&self) {
        self.metrics.change_skipped();
    }

    /// How far snapshots are, where there are any.
    pub(super) fn on_snapshots(&self, snapshots: Option<Snapshots>) {
        let none = Snapshots::default();
        self.metrics.set_snapshots(snapshots.as_ref().unwrap_or(&none));
        self.status.send_modify(|status| status.snapshots = snapshots);
    }

    /// What waits, and since when: told before something is awaited for long.
    pub(super) fn on_waiting(&mut self, waiting: Received) {
        self.lag.on_received(waiting);
    }

    /// The slot as it is while nothing streams, or nothing is taken from the stream.
    pub(super) fn on_look(&mut self, slot: &str, facts: &SlotFacts, now: Instant, wall_us: i64) {
        self.on_slot(slot, facts);
        let Some((end, confirmed)) = facts.log_end().zip(facts.confirmed_flush) else { return };
        // PostgreSQL is told a little after Kafka has it.
        let confirmed = confirmed.max(self.status.borrow().confirmed_lsn);
        let lag_bytes = end.0.saturating_sub(confirmed.0);
        if !self.is_standby() {
            self.lag.on_log(now, confirmed, end);
        }
        self.status.send_modify(|status| status.lag_bytes = lag_bytes);
        self.tell_lag(now, wall_us);
    }

    pub(super) fn on_schema(&mut self) {
        self.metrics.schema_registered();
    }

    /// Tells once that a table is published, and what is odd about it.
    pub(super) fn on_plan(&mut self, relation: &Relation, draft: &Draft) {
        let Relation { namespace, name, .. } = relation;
        let table = format!("{namespace}.{name}");
        let is_new = self.told.is_new(&table, "");
        if draft.is_excluded() {
            if is_new {
                info!(%table, "the table is left out, as [tables] include and exclude say");
            }
            return;
        }
        if is_new {
            info!(%table, "publishing a table");
        }
        let partition = draft.odd_leaf.as_ref().map(|(schema, leaf)| format!("{schema}.{leaf}"));
        if let Some(partition) = partition
            && self.told.is_new(&table, &partition)
        {
            warn!(
                %table,
                %partition,
                "the replica identity of a partition is not its table's: old rows of it lack what was not logged; see `walbrook check`"
            );
        }
        for column in &draft.rescaled {
            if self.told.is_new(&table, column) {
                warn!(
                    %table,
                    %column,
                    "a decimal has more digits behind the point than readers have: who reads older events by the newer schema may read them by another scale (Java's Avro does), though the registry takes the schema"
                );
            }
        }
        self.watch.know(relation.id, namespace, name);
        for (column, type_name) in &draft.unknown {
            self.on_unknown_type(namespace, name, column, type_name);
        }
    }

    /// Warns once of each pattern that is none of a published table.
    pub(super) fn on_published(&mut self, config: &Config, tables: &[(String, String)]) {
        let selected = config.tables.selection.unmatched(tables);
        let selected = selected.map(|(key, pattern)| (key, pattern.text.clone()));
        let is_unmatched = |outbox: &&Outbox| {
            outbox.is_pattern() && !tables.iter().any(|(schema, table)| outbox.is(schema, table))
        };
        let outboxes = config.outboxes.iter().filter(is_unmatched);
        let outboxes =
            outboxes.map(|it| ("outbox.table", format!("{}.{}", it.namespace, it.table)));
        let shared = SharedTopic::unmatched(&config.topics.shared, tables);
        let shared = shared.map(|pattern| ("topics.shared.tables", pattern.text.clone()));
        for (key, pattern) in selected.chain(shared).chain(outboxes) {
            if self.told.is_new(key, &pattern) {
                warn!(%key, %pattern, "a pattern matches no published table; one may still come");
            }
        }
    }

    /// Warns once of each column whose type is not known.
    pub(super) fn on_unknown_type(
        &mut self,
        namespace: &str,
        table: &str,
        column: &str,
        type_name: &str,
    ) {
        let table = format!("{namespace}.{table}");
        if self.told.is_new(&table, column) {
            warn!(
                %table,
                column,
                type_name,
                "a type that is not known: the slot is read in text mode, and PostgreSQL's text is published"
            );
        }
    }
}

/// What was told of tables, each once.
#[derive(Debug, Default)]
struct Told(BTreeSet<(String, String)>);

impl Told {
    /// Whether it was not told; from now on it was.
    fn is_new(&mut self, table: &str, what: &str) -> bool {
        if TABLES_MAX <= self.0.len() {
            self.0.clear();
        }
        self.0.insert((table.to_owned(), what.to_owned()))
    }
}

/// How far things are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// The end of what was received.
    pub(super) received: Lsn,
    /// The end of what is committed in Kafka.
    pub(super) confirmed: Lsn,
    /// The end of the server's log, as far as it has told.
    pub(super) server_end: Lsn,
    /// What was received and is not in Kafka.
    pub(super) waiting: Received,
    /// How long the server owes us a reply.
    pub(super) silence: Duration,
    /// The monotonic clock.
    pub(super) now: Instant,
    /// The wall clock, microseconds since 1970-01-01 UTC.
    pub(super) wall_us: i64,
}

/// Microseconds as seconds; a clock that is behind the server's gives zero.
fn seconds(us: i64) -> f64 {
    Duration::from_micros(u64::try_from(us).unwrap_or(0)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_forgotten_when_it_is_too_much() {
        let mut told = Told::default();
        assert!(told.is_new("public.a", ""));
        assert!(!told.is_new("public.a", ""));
        for table in 0..TABLES_MAX {
            assert!(told.is_new(&table.to_string(), ""));
        }
        assert!(told.0.len() < TABLES_MAX);
        assert!(told.is_new("public.a", ""));
    }
}
