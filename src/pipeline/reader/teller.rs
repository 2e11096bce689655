//! How far snapshots are: told each second, and in the log as long as something is read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tracing::info;

use super::Reader;
use super::snapshots::Snapshotting;
use crate::edges::{Sink, Transport};
use crate::postgres::ChunkError;
use crate::snapshot::{Progress, State};
use crate::status::{Snapshot, SnapshotState, Snapshots};
use crate::wal::RelationId;

/// How often the log has a line.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Rates are those of so long a time: a chunk takes a second or so, and the stream comes first.
const RATE_OVER: Duration = Duration::from_secs(30);

/// Of so many tables that could not be read it is known why.
const COMPLAINTS_MAX: usize = 100;

/// What is known of tables beside their progress.
#[derive(Debug, Default)]
pub(super) struct Teller {
    rates: BTreeMap<RelationId, Rate>,
    /// Why tables could not be read when it was last tried, with their names.
    complaints: BTreeMap<RelationId, (String, String)>,
    /// When the log had its last line.
    logged_at: Option<Instant>,
}

impl Teller {
    /// Something was read of a table.
    pub(super) fn on_read(&mut self, relation: RelationId) {
        self.complaints.remove(&relation);
    }

    /// Something could not be read of a table, and will be tried again.
    pub(super) fn on_unread(
        &mut self,
        relation: RelationId,
        table: Option<String>,
        error: &ChunkError,
    ) {
        let has_room = self.complaints.len() < COMPLAINTS_MAX;
        if let Some(table) = table.filter(|_| has_room) {
            self.complaints.insert(relation, (table, error.to_string()));
        }
    }

    fn snapshot(&mut self, now: Instant, progress: &Progress, is_waiting: bool) -> Snapshot {
        let Progress { relation, table, rows, rows_estimated, ranges, is_paused, .. } = progress;
        let rate = self.rates.entry(*relation).or_default();
        rate.note(now, *rows);
        let rows_per_second = rate.rows_per_second();
        let waits_for = is_waiting.then(|| "the end of transactions that ran before".to_owned());
        let complaint = self.complaints.get(relation).map(|(_, why)| why.clone());
        let snapshot = Snapshot {
            table: table.clone(),
            state: if *is_paused { SnapshotState::Paused } else { SnapshotState::Reading },
            rows: *rows,
            rows_estimated: *rows_estimated,
            ranges_left: ranges.len(),
            rows_per_second,
            seconds_left: None,
            waits_for: complaint.or(waits_for),
        };
        let left = snapshot.rows_left().and_then(|rows| rows.checked_div(rows_per_second));
        Snapshot { seconds_left: left, ..snapshot }
    }

    /// Whether the log is due for a line, as long as something is read.
    fn is_line_due(&mut self, now: Instant, is_reading: bool) -> bool {
        if !is_reading {
            self.logged_at = None;
            return false;
        }
        // A table that is done within that time has two lines of its own.
        let since = *self.logged_at.get_or_insert(now);
        let is_due = since + LOG_EVERY <= now;
        if is_due {
            self.logged_at = Some(now);
        }
        is_due
    }
}

/// How fast a number grows.
#[derive(Debug, Default)]
struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    fn note(&mut self, now: Instant, rows: u64) {
        while self.0.get(1).is_some_and(|(at, _)| *at + RATE_OVER <= now) {
            self.0.pop_front();
        }
        self.0.push_back((now, rows));
    }

    fn rows_per_second(&self) -> u64 {
        let Some(((since, before), (now, rows))) = self.0.front().zip(self.0.back()) else {
            return 0;
        };
        let millis = u64::try_from((*now - *since).as_millis()).unwrap_or(u64::MAX);
        let rows = rows.saturating_sub(*before);
        rows.saturating_mul(1000).checked_div(millis).unwrap_or(0)
    }
}

impl Snapshotting {
    /// How far all tables are.
    fn status(&mut self, now: Instant) -> Snapshots {
        let Self { machine, teller, known, .. } = self;
        let is_read = |relation: &RelationId| {
            known.get(relation).is_some_and(|progress| progress.state == State::Reading)
        };
        teller.rates.retain(|relation, _| is_read(relation));
        let waiting = self.new.iter().chain(&self.dividing).map(|relation| relation.id);
        let resting = self.resting.keys().copied().filter(|relation| !known.contains_key(relation));
        let waiting = waiting.chain(resting).collect::<BTreeSet<_>>().len();
        teller.complaints.retain(|relation, _| match known.get(relation) {
            Some(progress) => progress.state == State::Reading,
            None => 0 < waiting,
        });
        let mut tables: Vec<_> = machine
            .progress()
            .map(|(progress, is_waiting)| teller.snapshot(now, progress, is_waiting))
            .collect();
        if machine.is_paused() {
            tables.iter_mut().for_each(|table| table.state = SnapshotState::Paused);
        }
        let complaints = teller.complaints.iter().filter(|(it, _)| !known.contains_key(it));
        tables.extend(complaints.map(|(_, (table, why))| Snapshot {
            table: table.clone(),
            state: SnapshotState::Waiting,
            waits_for: Some(why.clone()),
            ..Snapshot::default()
        }));
        let count = |state| known.values().filter(|progress| progress.state == state).count();
        let (done, skipped) = (count(State::Done), count(State::Skipped));
        let gap = self.gap.map(|gap| gap.to_string());
        Snapshots { done, skipped, waiting, tables, gap, ..Snapshots::default() }.summed()
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Tells how far snapshots are.
    pub(super) fn tell_snapshots(&mut self, now: Instant) {
        let Some(snapshots) = &mut self.snapshots else { return };
        let status = snapshots.status(now);
        let reading: Vec<_> = status.tables_in(SnapshotState::Reading).collect();
        if snapshots.teller.is_line_due(now, !reading.is_empty()) {
            info!(
                tables = reading.len(),
                waiting = status.waiting,
                rows = reading.iter().map(|table| table.rows).sum::<u64>(),
                rows_estimated =
                    reading.iter().map(|table| table.rows_estimated).sum::<Option<u64>>(),
                ranges_left = reading.iter().map(|table| table.ranges_left).sum::<usize>(),
                rows_per_second = status.rows_per_second,
                seconds_left = status.seconds_left,
                "tables are being read"
            );
        }
        self.around.telemetry.on_snapshots(Some(status));
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test needs some instant")]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_last_half_minute() {
        let begin = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.rows_per_second(), 0);
        for (second, rows, expect) in
            [(0, 1000, 0), (1, 1100, 100), (10, 2000, 100), (30, 10_000, 300), (70, 10_000, 0)]
        {
            rate.note(begin + Duration::from_secs(second), rows);
            assert_eq!(rate.rows_per_second(), expect, "{second}");
        }
    }

    #[test]
    fn the_log_has_a_line_every_ten_seconds_of_reading() {
        let begin = Instant::now();
        let mut teller = Teller::default();
        let due: Vec<_> = (0..45)
            .filter(|second| {
                let is_reading = *second != 25;
                teller.is_line_due(begin + Duration::from_secs(*second), is_reading)
            })
            .collect();
        assert_eq!(due, [10, 20, 36]);
    }
}
