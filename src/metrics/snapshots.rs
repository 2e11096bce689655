//! The metrics of snapshots: each second what the status says, so that they cannot differ.

use prometheus::{GaugeVec, IntGauge, IntGaugeVec};

use super::{Build, Metrics, lsn_number, number};
use crate::position::Lsn;
use crate::status::{SnapshotState, Snapshots};

/// Tables are named only while they are being read, which are a few at a time.
#[derive(Clone, Debug)]
pub(super) struct SnapshotGauges {
    gaps: IntGauge,
    ranges_left: GaugeVec,
    rows: GaugeVec,
    rows_estimated: GaugeVec,
    tables: IntGaugeVec,
}

impl SnapshotGauges {
    pub(super) fn new(build: &Build) -> Self {
        Self {
            gaps: build.gauge_int("walbrook_gaps"),
            ranges_left: build.gauges("walbrook_snapshot_ranges_left", &["table"]),
            rows: build.gauges("walbrook_snapshot_rows", &["table"]),
            rows_estimated: build.gauges("walbrook_snapshot_rows_estimated", &["table"]),
            tables: build.gauges_int("walbrook_snapshot_tables", &["state"]),
        }
    }
}

impl Metrics {
    /// How far snapshots are.
    pub fn set_snapshots(&self, snapshots: &Snapshots) {
        let SnapshotGauges { gaps, ranges_left, rows, rows_estimated, tables } = &self.snapshots;
        let Snapshots { done, skipped, waiting, .. } = snapshots;
        gaps.set(i64::from(snapshots.gap.is_some()));
        let count = |state| snapshots.tables_in(state).count();
        for (state, count) in [
            ("done", *done),
            ("paused", count(SnapshotState::Paused)),
            ("reading", count(SnapshotState::Reading)),
            ("skipped", *skipped),
            ("waiting", *waiting),
        ] {
            tables.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for gauges in [ranges_left, rows, rows_estimated] {
            gauges.reset();
        }
        for table in snapshots.tables.iter().filter(|it| it.state != SnapshotState::Waiting) {
            let label = &[table.table.as_str()];
            ranges_left.with_label_values(label).set(number(table.ranges_left));
            rows.with_label_values(label).set(lsn_number(Lsn(table.rows)));
            if let Some(estimated) = table.rows_estimated {
                rows_estimated.with_label_values(label).set(lsn_number(Lsn(estimated)));
            }
        }
    }
}
