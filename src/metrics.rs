//! Every metric of the process, in one struct that is passed as a value.
//!
//! Names are `walbrook_<noun>_<unit>[_total]`. Labels come from closed sets: tables, operations,
//! phases, classes, reasons and results, never from rows (I7). Everything here is called once a
//! batch or less, never per row.

mod parked;
mod snapshots;

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::batch::Operation;
use crate::edges::Class;
use crate::position::Lsn;
use crate::status::{Phase, Snapshots};
use parked::ParkedGauges;
use snapshots::SnapshotGauges;

/// The metrics of one process. Cloning gives another handle to the same numbers.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    batch_bytes: Histogram,
    batch_records: Histogram,
    confirmed_lsn: Gauge,
    end_to_end_latency_seconds: Histogram,
    excluded_changes_total: IntCounter,
    findings: Gauge,
    kafka_commit_seconds: Histogram,
    kafka_txns_total: IntCounterVec,
    lag_bytes: Gauge,
    lag_seconds: Gauge,
    oldest_xact_seconds: GaugeVec,
    outbox_skipped_total: IntCounterVec,
    parked: ParkedGauges,
    phase: IntGaugeVec,
    producer_rebuilds_total: IntCounter,
    received_lsn: Gauge,
    record_bytes_total: IntCounterVec,
    records_total: IntCounterVec,
    retries_total: IntCounterVec,
    schema_registrations_total: IntCounter,
    skipped_changes_total: IntCounter,
    slot_retained_wal_bytes: GaugeVec,
    slot_safe_wal_size_bytes: GaugeVec,
    snapshots: SnapshotGauges,
}

/// How a Kafka transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnResult {
    /// It is committed.
    Committed,
    /// It failed, or its reply was lost: the checkpoint told afterwards whether it was committed.
    Unknown,
}

/// Why a change of an outbox table made no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// The row was deleted.
    Delete,
    /// The row has no route.
    Route,
    /// The table was truncated.
    Truncate,
    /// The row was updated.
    Update,
}

/// The counters of one table, looked up once: when its plan is compiled.
#[derive(Clone, Debug)]
pub struct TableCounters {
    records: [IntCounter; Operation::ALL.len()],
    bytes: [IntCounter; Operation::ALL.len()],
}

impl TableCounters {
    /// Adds the records and bytes (key and value) of one committed batch.
    pub fn add(&self, operation: Operation, records: u64, bytes: u64) {
        let counters = self.records.iter().zip(&self.bytes).zip(Operation::ALL);
        for ((records_total, bytes_total), of) in counters {
            if of == operation {
                records_total.inc_by(records);
                bytes_total.inc_by(bytes);
            }
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    ///
    /// # Panics
    ///
    /// Never: the names are distinct and valid, which a test shows.
    #[must_use]
    pub fn new() -> Self {
        let build = Build { registry: Registry::new() };
        build.register(ProcessCollector::for_self());
        build
            .gauges_int("walbrook_info", &["version"])
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        Self {
            batch_bytes: build.histogram("walbrook_batch_bytes", powers_of(4.0, 256.0, 10)),
            batch_records: build.histogram("walbrook_batch_records", powers_of(4.0, 1.0, 10)),
            confirmed_lsn: build.gauge("walbrook_confirmed_lsn"),
            end_to_end_latency_seconds: build
                .histogram("walbrook_end_to_end_latency_seconds", LATENCY_BUCKETS.to_vec()),
            excluded_changes_total: build.counter("walbrook_excluded_changes_total"),
            findings: build.gauge("walbrook_findings"),
            kafka_commit_seconds: build
                .histogram("walbrook_kafka_commit_seconds", LATENCY_BUCKETS.to_vec()),
            kafka_txns_total: build.counters("walbrook_kafka_transactions_total", &["result"]),
            lag_bytes: build.gauge("walbrook_lag_bytes"),
            lag_seconds: build.gauge("walbrook_lag_seconds"),
            oldest_xact_seconds: build.gauges("walbrook_oldest_transaction_seconds", &["slot"]),
            outbox_skipped_total: build.counters("walbrook_outbox_skipped_total", &["reason"]),
            parked: ParkedGauges::new(&build),
            phase: build.gauges_int("walbrook_phase", &["phase"]),
            producer_rebuilds_total: build.counter("walbrook_producer_rebuilds_total"),
            received_lsn: build.gauge("walbrook_received_lsn"),
            record_bytes_total: build
                .counters("walbrook_record_bytes_total", &["table", "operation"]),
            records_total: build.counters("walbrook_records_total", &["table", "operation"]),
            retries_total: build.counters("walbrook_retries_total", &["class"]),
            schema_registrations_total: build.counter("walbrook_schema_registrations_total"),
            skipped_changes_total: build.counter("walbrook_skipped_changes_total"),
            slot_retained_wal_bytes: build.gauges("walbrook_slot_retained_wal_bytes", &["slot"]),
            slot_safe_wal_size_bytes: build.gauges("walbrook_slot_safe_wal_size_bytes", &["slot"]),
            snapshots: SnapshotGauges::new(&build),
            registry: build.registry,
        }
        .with_closed_sets()
    }

    /// The text that Prometheus reads.
    ///
    /// # Panics
    ///
    /// Never: writing to memory does not fail.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut buffer = Vec::new();
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut buffer)
            .expect("metrics are written to memory");
        String::from_utf8_lossy(&buffer).into_owned()
    }

    /// The counters of a table (`schema.table`), to be kept with its plan.
    #[must_use]
    pub fn table(&self, table: &str) -> TableCounters {
        let of = |counters: &IntCounterVec| {
            Operation::ALL.map(|operation| counters.with_label_values(&[table, operation.name()]))
        };
        TableCounters { records: of(&self.records_total), bytes: of(&self.record_bytes_total) }
    }

    /// One batch is committed in Kafka.
    pub fn batch_committed(&self, records: usize, bytes: usize, commit_seconds: f64) {
        self.batch_records.observe(number(records));
        self.batch_bytes.observe(number(bytes));
        self.kafka_commit_seconds.observe(commit_seconds);
        self.txn_ended(TxnResult::Committed);
    }

    /// A Kafka transaction ended in another way than [`batch_committed`](Self::batch_committed).
    pub fn txn_ended(&self, result: TxnResult) {
        self.kafka_txns_total.with_label_values(&[txn_result_name(result)]).inc();
    }

    /// The oldest transaction of a batch went through from PostgreSQL's commit to Kafka's.
    pub fn end_to_end_latency(&self, seconds: f64) {
        self.end_to_end_latency_seconds.observe(seconds.max(0.0));
    }

    /// Up to where the server's log is received: the highest LSN of a message or keep-alive.
    pub fn set_received_lsn(&self, lsn: Lsn) {
        self.received_lsn.set(lsn_number(lsn));
    }

    /// The LSN confirmed to PostgreSQL.
    pub fn set_confirmed_lsn(&self, lsn: Lsn) {
        self.confirmed_lsn.set(lsn_number(lsn));
    }

    /// How far Kafka is behind PostgreSQL.
    pub fn set_lag(&self, bytes: u64, seconds: f64) {
        self.lag_bytes.set(lsn_number(Lsn(bytes)));
        self.lag_seconds.set(seconds.max(0.0));
    }

    /// How much is missing from the stream.
    pub fn set_findings(&self, count: usize) {
        self.findings.set(number(count));
    }

    /// What the slot makes PostgreSQL keep, and how much more it may.
    pub fn set_slot_wal(&self, slot: &str, retained_bytes: u64, safe_bytes: Option<i64>) {
        let retained = self.slot_retained_wal_bytes.with_label_values(&[slot]);
        retained.set(lsn_number(Lsn(retained_bytes)));
        match safe_bytes {
            Some(bytes) => {
                let sign = if bytes < 0 { -1.0 } else { 1.0 };
                let size = sign * lsn_number(Lsn(bytes.unsigned_abs()));
                self.slot_safe_wal_size_bytes.with_label_values(&[slot]).set(size);
            }
            // An error here only says that there was no such value.
            None => drop(self.slot_safe_wal_size_bytes.remove_label_values(&[slot])),
        }
    }

    /// The age of the oldest transaction that is open on the server, if it may be seen.
    pub fn set_oldest_xact(&self, slot: &str, age: Option<Duration>) {
        match age {
            Some(age) => {
                self.oldest_xact_seconds.with_label_values(&[slot]).set(age.as_secs_f64());
            }
            // An error here only says that there was no such value.
            None => drop(self.oldest_xact_seconds.remove_label_values(&[slot])),
        }
    }

    /// Forgets the counters of all tables.
    pub fn forget_tables(&self) {
        self.records_total.reset();
        self.record_bytes_total.reset();
    }

    /// The phase that the pipeline is in.
    pub fn set_phase(&self, phase: Phase) {
        for name in Phase::NAMES {
            self.phase.with_label_values(&[name]).set(i64::from(name == phase.name()));
        }
    }

    /// An error made the pipeline start again.
    pub fn retried(&self, class: Class) {
        self.retries_total.with_label_values(&[class_name(class)]).inc();
    }

    /// A Kafka producer was dropped and made again.
    pub fn producer_rebuilt(&self) {
        self.producer_rebuilds_total.inc();
    }

    /// A schema was registered, or found to be registered.
    pub fn schema_registered(&self) {
        self.schema_registrations_total.inc();
    }

    /// A change was left out because an operator said so.
    pub fn change_skipped(&self) {
        self.skipped_changes_total.inc();
    }

    /// Changes of tables that the configuration leaves out.
    pub fn changes_excluded(&self, count: u64) {
        self.excluded_changes_total.inc_by(count);
    }

    /// Changes of an outbox table made no event.
    pub fn outbox_skipped(&self, reason: SkipReason, count: u64) {
        self.outbox_skipped_total.with_label_values(&[skip_reason_name(reason)]).inc_by(count);
    }

    /// Labels that can occur are there from the start, so that a rate over them is right from the
    /// first event on.
    fn with_closed_sets(self) -> Self {
        for result in [TxnResult::Committed, TxnResult::Unknown] {
            self.kafka_txns_total.with_label_values(&[txn_result_name(result)]);
        }
        for class in [Class::Fatal, Class::Fenced, Class::Retry] {
            self.retries_total.with_label_values(&[class_name(class)]);
        }
        let reasons =
            [SkipReason::Delete, SkipReason::Route, SkipReason::Truncate, SkipReason::Update];
        for reason in reasons {
            self.outbox_skipped_total.with_label_values(&[skip_reason_name(reason)]);
        }
        self.set_phase(Phase::Starting);
        self.set_snapshots(&Snapshots::default());
        self
    }
}

fn txn_result_name(result: TxnResult) -> &'static str {
    match result {
        TxnResult::Committed => "committed",
        TxnResult::Unknown => "unknown",
    }
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::Fatal => "fatal",
        Class::Fenced => "fenced",
        Class::Retry => "retry",
    }
}

fn skip_reason_name(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Delete => "delete",
        SkipReason::Route => "route",
        SkipReason::Truncate => "truncate",
        SkipReason::Update => "update",
    }
}

/// Prometheus knows only doubles, which are exact up to 2^53: 8 PiB of WAL.
#[expect(clippy::cast_precision_loss, reason = "a metric is a double")]
fn lsn_number(Lsn(bytes): Lsn) -> f64 {
    bytes as f64
}

fn number(n: usize) -> f64 {
    lsn_number(Lsn(u64::try_from(n).unwrap_or(u64::MAX)))
}

/// Every metric and what it says, in the order of the names.
pub const HELP: &[(&str, &str)] = &[
    (
        "walbrook_batch_bytes",
        "Bytes of keys, values and headers in a batch, which is one Kafka transaction.",
    ),
    ("walbrook_batch_records", "Records in a batch, without the checkpoint."),
    (
        "walbrook_confirmed_lsn",
        "LSN confirmed to PostgreSQL: everything before it is committed in Kafka.",
    ),
    (
        "walbrook_end_to_end_latency_seconds",
        "From the commit in PostgreSQL to the commit in Kafka, of the oldest transaction of \
                 each batch (by the clocks of both machines).",
    ),
    (
        "walbrook_excluded_changes_total",
        "Changes of tables that the configuration leaves out ([tables] include and exclude).",
    ),
    (
        "walbrook_findings",
        "Tables, publications and outboxes of which something is missing from the stream; \
                 `walbrook status` lists them.",
    ),
    (
        "walbrook_gaps",
        "1 while topics may lack what committed in a gap that an operator has accepted \
                 (walbrook checkpoint accept) and walbrook repair has not mended.",
    ),
    ("walbrook_info", "Always 1; the label is the version."),
    (
        "walbrook_kafka_commit_seconds",
        "From handing a batch to the writer to its Kafka transaction being committed.",
    ),
    ("walbrook_kafka_transactions_total", "Kafka transactions by how they ended."),
    (
        "walbrook_lag_bytes",
        "WAL between the server's current LSN, as last told, and the confirmed LSN.",
    ),
    (
        "walbrook_lag_seconds",
        "How long the oldest of what is not in Kafka waits: since the commit of the oldest \
                 transaction that was received, since the writer has a batch, or since the \
                 server's log was seen to go beyond what was received (while nothing streams: \
                 confirmed); 0 if nothing waits.",
    ),
    (
        "walbrook_oldest_transaction_seconds",
        "Age of the oldest transaction that is open on the server, or since when it is prepared: \
                 the slot keeps WAL from its beginning on. 0 if there is none; absent where \
                 the role may not see it (pg_read_all_stats).",
    ),
    (
        "walbrook_outbox_skipped_total",
        "Changes of outbox tables that made no event: deletes, truncates, updates, and rows without a \
                 route where on_null_route is skip.",
    ),
    (
        "walbrook_parked_changes",
        "Changes that wait, of tables that are parked since something of them is refused.",
    ),
    (
        "walbrook_parked_tables",
        "Tables that are parked: their changes wait, all others go on. `walbrook status` says why.",
    ),
    ("walbrook_phase", "1 for the phase that the pipeline is in, 0 for the others."),
    (
        "walbrook_producer_rebuilds_total",
        "Kafka producers dropped and made again, after an unknown or suspiciously slow end \
                 of a transaction.",
    ),
    ("walbrook_received_lsn", "End of what was received from PostgreSQL, as an LSN."),
    (
        "walbrook_record_bytes_total",
        "Bytes of keys and values committed in Kafka, by table and operation.",
    ),
    ("walbrook_records_total", "Records committed in Kafka, by table and operation."),
    ("walbrook_retries_total", "Starts after an error, by its class."),
    (
        "walbrook_schema_registrations_total",
        "Schemas registered (or found) in the schema registry.",
    ),
    (
        "walbrook_skipped_changes_total",
        "Changes left out because an operator said so (walbrook checkpoint skip, walbrook unpark --leave-out).",
    ),
    (
        "walbrook_slot_retained_wal_bytes",
        "WAL that PostgreSQL keeps because of the slot (current LSN minus restart_lsn).",
    ),
    (
        "walbrook_slot_safe_wal_size_bytes",
        "WAL that can still be written before the slot is in danger of being lost \
                 (pg_replication_slots.safe_wal_size); absent where nothing limits the slot's WAL.",
    ),
    (
        "walbrook_snapshot_ranges_left",
        "Ranges of keys that are left to be read, of tables whose snapshots are not done.",
    ),
    (
        "walbrook_snapshot_rows",
        "Rows that were read, of tables whose snapshots are not done (all that are in Kafka: \
                 walbrook_records_total, operation read).",
    ),
    (
        "walbrook_snapshot_rows_estimated",
        "About how many rows there were when the snapshot was begun with, of tables whose \
                 snapshots are not done.",
    ),
    (
        "walbrook_snapshot_tables",
        "Tables by what their snapshots are: done, paused, reading, skipped (not read, or no further), \
                 waiting.",
    ),
];

const LATENCY_BUCKETS: [f64; 15] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

fn powers_of(factor: f64, first: f64, count: usize) -> Vec<f64> {
    std::iter::successors(Some(first), |bound| Some(bound * factor)).take(count).collect()
}

/// Makes metrics and registers them.
struct Build {
    registry: Registry,
}

impl Build {
    fn register(&self, collector: impl Collector + 'static) {
        self.registry.register(Box::new(collector)).expect("names of metrics are distinct");
    }

    fn gauge(&self, name: &str) -> Gauge {
        let gauge = Gauge::with_opts(opts(name)).expect(VALID);
        self.register(gauge.clone());
        gauge
    }

    fn gauges(&self, name: &str, labels: &[&str]) -> GaugeVec {
        let gauges = GaugeVec::new(opts(name), labels).expect(VALID);
        self.register(gauges.clone());
        gauges
    }

    fn gauge_int(&self, name: &str) -> IntGauge {
        let gauge = IntGauge::with_opts(opts(name)).expect(VALID);
        self.register(gauge.clone());
        gauge
    }

    fn gauges_int(&self, name: &str, labels: &[&str]) -> IntGaugeVec {
        let gauges = IntGaugeVec::new(opts(name), labels).expect(VALID);
        self.register(gauges.clone());
        gauges
    }

    fn counter(&self, name: &str) -> IntCounter {
        let counter = IntCounter::with_opts(opts(name)).expect(VALID);
        self.register(counter.clone());
        counter
    }

    fn counters(&self, name: &str, labels: &[&str]) -> IntCounterVec {
        let counters = IntCounterVec::new(opts(name), labels).expect(VALID);
        self.register(counters.clone());
        counters
    }

    fn histogram(&self, name: &str, buckets: Vec<f64>) -> Histogram {
        let options = HistogramOpts::from(opts(name)).buckets(buckets);
        let histogram = Histogram::with_opts(options).expect(VALID);
        self.register(histogram.clone());
        histogram
    }
}

const VALID: &str = "names and labels of metrics are valid";

fn opts(name: &str) -> Opts {
    let help = HELP.iter().find(|(known, _)| *known == name).map(|(_, help)| *help);
    Opts::new(name, help.expect("every metric is in HELP"))
}

#[cfg(test)]
mod tests;
