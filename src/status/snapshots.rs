//! How far snapshots are, as a plain value: in the status, in metrics, in the log, on the control
//! socket.

use serde::{Deserialize, Serialize};

/// How far the snapshots of all tables are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// Tables whose rows are all in Kafka.
    pub done: usize,
    /// Tables that are not read, or no further.
    pub skipped: usize,
    /// Tables that are to be read and are not begun with.
    pub waiting: usize,
    /// Rows a second, of all tables.
    pub rows_per_second: u64,
    /// How long the tables that are being read still take at that rate.
    pub seconds_left: Option<u64>,
    /// What topics may lack of tables, since an operator has accepted it, and it is not repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// The tables that are begun with and not done, and some of those that cannot be.
    pub tables: Vec<Snapshot>,
}

/// How far the snapshot of one table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `schema.table`.
    pub table: String,
    /// What is done with it.
    pub state: SnapshotState,
    /// How many of its rows have been read.
    pub rows: u64,
    /// About how many there were when it was begun with.
    pub rows_estimated: Option<u64>,
    /// How many ranges of keys are left to be read, of those that it was divided into.
    pub ranges_left: usize,
    /// Rows a second.
    pub rows_per_second: u64,
    /// How long it still takes at that rate.
    pub seconds_left: Option<u64>,
    /// What it waits for, or why its reading was last given up.
    pub waits_for: Option<String>,
}

/// What is done with a table that is not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SnapshotState {
    /// No more of it is read until somebody says so.
    Paused,
    /// It is read, or waits for something while it is.
    #[default]
    Reading,
    /// It is to be read.
    Waiting,
}

impl Snapshots {
    /// Whether all that is to be read was read.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.waiting == 0 && self.tables.is_empty()
    }

    /// The tables in this state.
    pub fn tables_in(&self, state: SnapshotState) -> impl Iterator<Item = &Snapshot> {
        self.tables.iter().filter(move |table| table.state == state)
    }

    /// Sums up the rates of the tables, and how long they take.
    #[must_use]
    pub fn summed(self) -> Self {
        let rows_per_second = self.tables.iter().map(|table| table.rows_per_second).sum();
        let reading = self.tables_in(SnapshotState::Reading);
        let left: Option<u64> = reading.map(Snapshot::rows_left).sum();
        let seconds_left = left.and_then(|rows| rows.checked_div(rows_per_second));
        Self { rows_per_second, seconds_left, ..self }
    }
}

impl Snapshot {
    /// About how many rows are left, if that is known: a table that had more than was thought has
    /// none left, or some.
    #[must_use]
    pub fn rows_left(&self) -> Option<u64> {
        self.rows_estimated.and_then(|rows| rows.checked_sub(self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_of_rows_that_are_known_to_be_left() {
        let table = |rows, rows_estimated, rows_per_second| Snapshot {
            rows,
            rows_estimated,
            rows_per_second,
            ..Snapshot::default()
        };
        for (tables, rate, left) in [
            (vec![], 0, None),
            (vec![table(100, Some(1000), 90)], 90, Some(10)),
            (vec![table(100, Some(1000), 50), table(0, Some(600), 0)], 50, Some(30)),
            (vec![table(100, Some(1000), 0)], 0, None),
            (vec![table(100, None, 90)], 90, None),
            (vec![table(1001, Some(1000), 90)], 90, None),
        ] {
            let sum = Snapshots { tables, ..Snapshots::default() }.summed();
            assert_eq!((sum.rows_per_second, sum.seconds_left), (rate, left), "{sum:?}");
        }
    }
}
