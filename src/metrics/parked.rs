//! The metrics of tables that are parked: what the status says, so that they cannot differ.

use prometheus::{GaugeVec, IntGauge};

use super::{Build, Metrics, lsn_number};
use crate::position::Lsn;
use crate::status::ParkedTable;

/// Tables are named only while they are parked.
#[derive(Clone, Debug)]
pub(super) struct ParkedGauges {
    changes: GaugeVec,
    tables: IntGauge,
}

impl ParkedGauges {
    pub(super) fn new(build: &Build) -> Self {
        Self {
            changes: build.gauges("walbrook_parked_changes", &["table"]),
            tables: build.gauge_int("walbrook_parked_tables"),
        }
    }
}

impl Metrics {
    /// Which tables are parked.
    pub fn set_parked(&self, parked: &[ParkedTable]) {
        let ParkedGauges { changes, tables } = &self.parked;
        tables.set(i64::try_from(parked.len()).unwrap_or(i64::MAX));
        changes.reset();
        for table in parked {
            changes.with_label_values(&[&*table.table]).set(lsn_number(Lsn(table.waiting)));
        }
    }
}
