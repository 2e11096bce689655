//! How the rows that were there before are read: of which tables, which of them, how fast, and when.

use super::{Snapshot, SnapshotMode};

/// What is different for one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSnapshot {
    /// `schema.table`.
    pub table: String,
    /// Whether its rows are read; `None` is as those of others.
    pub mode: Option<SnapshotMode>,
    /// What a row must meet to be read, an SQL expression.
    pub condition: Option<String>,
}

impl Snapshot {
    /// Whether no table is read.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let modes = self.tables.iter().filter_map(|table| table.mode);
        modes.chain([self.mode]).all(|mode| mode == SnapshotMode::Never)
    }

    /// Whether the rows of `schema.table` are read.
    #[must_use]
    pub fn reads(&self, table: &str) -> bool {
        let own = self.of(table).and_then(|own| own.mode);
        own.unwrap_or(self.mode) != SnapshotMode::Never
    }

    /// What a row of `schema.table` must meet to be read.
    #[must_use]
    pub fn condition(&self, table: &str) -> Option<&str> {
        self.of(table)?.condition.as_deref()
    }

    /// The place of `schema.table` among those that are read first; all others share the last one.
    #[must_use]
    pub fn place(&self, table: &str) -> usize {
        self.first.iter().position(|first| first == table).unwrap_or(self.first.len())
    }

    /// The tables that are named, each as `schema.table`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let own = self.tables.iter().map(|own| &own.table);
        let mut names: Vec<_> = self.first.iter().chain(own).cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    fn of(&self, table: &str) -> Option<&TableSnapshot> {
        self.tables.iter().find(|own| own.table == table)
    }
}

/// How fast the rows of tables are read, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// All readers together; `None` is as fast as they can.
    pub rows_per_second: Option<u32>,
    /// Nothing more is read while the stream is further behind, in bytes of the server's log; `None`
    /// is however far.
    pub lag_bytes_max: Option<u64>,
    /// Nothing more is read outside of it; `None` is at any time.
    pub hours: Option<Hours>,
}

/// A stretch of each day, perhaps over midnight, in minutes of the day by UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Its first minute.
    from: u16,
    /// The first one behind it.
    to: u16,
}

impl Hours {
    /// Reads `22:00-05:00`, by UTC, or `22:00-05:00 +02:00`, by the clock of who is so far ahead of it.
    /// `None` if it is something else, or has no end.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, offset) = match text.split_once(' ') {
            Some((hours, offset)) => (hours, self::offset(offset)?),
            None => (text, 0),
        };
        let (from, to) = hours.split_once('-')?;
        let utc = |minute: u16| (minute + DAY - offset) % DAY;
        let (from, to) = (minute(from)?, if to == "24:00" { 0 } else { minute(to)? });
        (from != to).then(|| Self { from: utc(from), to: utc(to) })
    }

    /// Whether it is one of its minutes, at this many microseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn contains(&self, wall_us: i64) -> bool {
        let minute = wall_us.div_euclid(MINUTE_US).rem_euclid(i64::from(DAY));
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to { from <= minute && minute < to } else { from <= minute || minute < to }
    }
}

/// The minute of the day that `HH:MM` is.
fn minute(text: &str) -> Option<u16> {
    let two = |text: &str| -> Option<u16> {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { text.parse().ok() } else { None }
    };
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (two(hour)?, two(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// How many minutes a clock is ahead of UTC, as a minute of the day.
fn offset(text: &str) -> Option<u16> {
    match text.split_at_checked(1)? {
        ("+", ahead) => minute(ahead),
        ("-", behind) => minute(behind).map(|minutes| (DAY - minutes) % DAY),
        _ => None,
    }
}

/// In minutes.
const DAY: u16 = 24 * 60;

const MINUTE_US: i64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_a_stretch_of_each_day_by_utc() {
        for (text, from, to) in [
            ("22:00-05:00", 22 * 60, 5 * 60),
            ("00:30-01:00", 30, 60),
            ("18:00-24:00", 18 * 60, 0),
            ("22:00-05:00 +02:00", 20 * 60, 3 * 60),
            ("22:00-05:00 -03:30", 90, 8 * 60 + 30),
            ("00:00-01:00 +05:45", 18 * 60 + 15, 19 * 60 + 15),
        ] {
            assert_eq!(Hours::parse(text), Some(Hours { from, to }), "{text}");
        }
        for text in [
            "",
            "22:00",
            "22-05",
            "22:00-",
            "22:00-22:00",
            "24:00-01:00",
            "22:60-23:00",
            "+2:00-03:00",
            "22:00-05:00+02:00",
            "22:00-05:00 02:00",
            "22:00-05:00 CET",
            "22:00 - 05:00",
            "00:00-24:00",
            "22:00-05:00 +24:00",
        ] {
            assert_eq!(Hours::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_minute_lies_in_them_whatever_day_it_is() {
        let at = |text: &str, days: i64, minute: i64| {
            let wall_us = days * 86_400_000_000 + minute * MINUTE_US;
            Hours::parse(text).unwrap().contains(wall_us)
        };
        for (text, minute, expect) in [
            ("08:00-10:00", 8 * 60, true),
            ("08:00-10:00", 10 * 60 - 1, true),
            ("08:00-10:00", 10 * 60, false),
            ("08:00-10:00", 8 * 60 - 1, false),
            ("22:00-05:00", 22 * 60, true),
            ("22:00-05:00", 0, true),
            ("22:00-05:00", 5 * 60, false),
            ("22:00-05:00", 12 * 60, false),
            ("22:00-05:00 +02:00", 20 * 60, true),
            ("22:00-05:00 +02:00", 4 * 60, false),
        ] {
            for days in [-1, 0, 20_785] {
                assert_eq!(at(text, days, minute), expect, "{text} at minute {minute} of {days}");
            }
        }
    }
}
