//! When more of a table may be read, and how much at once: the operator's limits, and a busy stream's.
//! Pure: time, lag and rows are arguments.
//!
//! A transaction of the stream waits for the Kafka transaction before its own, and there may be a chunk
//! in either: so beside a busy stream chunks are smaller, and the next is read when one has entered.
//!
//! A chunk counts when it is asked for, as if it had as many rows as it may have, and what it has less
//! is given back when it is there: so readers that begin at the same time keep the rate, too.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config;

/// A stream is busy that brings so many transactions in a second.
const BUSY_XACTS: u32 = 20;

const SECOND: Duration = Duration::from_secs(1);

/// Beside a busy stream a chunk has one of so many parts of the rows that it may have. In
/// `benches/snapshot --load` the stream's latency at the 99th percentile was 3.6 to 5.9 times what it is
/// without a snapshot; with a quarter, and the next chunk read when the last one has entered, it was 1.9
/// times that. An eighth was no better than a quarter.
const BUSY_SHARE: u32 = 4;

/// How long the stream has to keep up before reading goes on: a lag that goes up and down makes no
/// noise.
const STEADY: Duration = Duration::from_secs(5);

/// What the limits allow now.
#[derive(Debug)]
pub(super) struct Pace {
    limits: config::Pace,
    /// As many rows a chunk may have, beside a stream that has little to do.
    chunk_rows_max: u32,
    /// As many rows the chunks may have that are being read.
    asked: VecDeque<u32>,
    /// When the second began in which transactions are counted, and how many have come.
    second: Option<Instant>,
    xacts: u32,
    is_busy: bool,
    /// When the rows that were read have had their time.
    free_at: Option<Instant>,
    /// When the stream was last too far behind.
    lagged_at: Option<Instant>,
    /// Why nothing is read, as it was told.
    pause: Option<Pause>,
}

/// Why nothing is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// It is not the time for it.
    Hours,
    /// The stream is behind.
    Lag,
}

/// What is news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing more is read.
    Pauses(Pause),
    /// It goes on.
    GoesOn,
}

impl Pace {
    /// Nothing was read yet; without a rate a chunk has up to `rows_max` rows.
    pub(super) fn new(limits: config::Pace, rows_max: u32) -> Self {
        // A second's worth: a chunk that is larger would be read at once, whatever the rate.
        let chunk_rows_max = limits.rows_per_second.map_or(rows_max, |rate| rate.min(rows_max));
        Self {
            limits,
            chunk_rows_max,
            asked: VecDeque::new(),
            second: None,
            xacts: 0,
            is_busy: false,
            free_at: None,
            lagged_at: None,
            pause: None,
        }
    }

    /// As many rows a chunk may have now.
    pub(super) fn chunk_rows(&self) -> u32 {
        let share = if self.is_busy { BUSY_SHARE } else { 1 };
        self.chunk_rows_max.div_ceil(share)
    }

    /// Whether the stream beside is busy: a chunk is read when the last one has entered then.
    pub(super) fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// A transaction of the stream came.
    pub(super) fn on_xact(&mut self) {
        self.xacts = self.xacts.saturating_add(1);
        self.is_busy |= BUSY_XACTS <= self.xacts;
    }

    /// Looks at the clock, and at how many bytes of the server's log the stream is behind, if that is
    /// known; returns what is to be told.
    pub(super) fn look(&mut self, now: Instant, wall_us: i64, lag: Option<u64>) -> Option<News> {
        if SECOND <= now.duration_since(*self.second.get_or_insert(now)) {
            self.is_busy = BUSY_XACTS <= self.xacts;
            (self.second, self.xacts) = (Some(now), 0);
        }
        if self.limits.lag_bytes_max.is_some_and(|max| lag.is_some_and(|lag| max < lag)) {
            self.lagged_at = Some(now);
        }
        self.lagged_at = self.lagged_at.filter(|at| now < *at + STEADY);
        let is_time = self.limits.hours.is_none_or(|hours| hours.contains(wall_us));
        let pause = match (is_time, self.lagged_at) {
            (false, _) => Some(Pause::Hours),
            (true, Some(_)) => Some(Pause::Lag),
            (true, None) => None,
        };
        let before = std::mem::replace(&mut self.pause, pause);
        (before != pause).then(|| pause.map_or(News::GoesOn, News::Pauses))
    }

    /// Whether something may be asked of the server, while the lag is known or not.
    pub(super) fn may_read(&self, lag: Option<u64>) -> bool {
        self.pause.is_none() && (lag.is_some() || self.limits.lag_bytes_max.is_none())
    }

    /// When the next chunk may be asked for, if that is later than now.
    pub(super) fn free_at(&self, now: Instant) -> Option<Instant> {
        self.free_at.filter(|at| now < *at)
    }

    /// A chunk is asked for; as many rows it may have.
    pub(super) fn on_asked(&mut self, now: Instant) -> u32 {
        let free_at = self.free_at.map_or(now, |at| at.max(now));
        let rows = self.chunk_rows();
        // Which of them comes first makes no difference: what counts is their sum.
        self.asked.push_back(rows);
        self.free_at = Some(free_at + self.time_for(rows));
        rows
    }

    /// It had so many rows, or none came of it.
    pub(super) fn on_read(&mut self, rows: u32) {
        let free_at = self.free_at.map(|at| at + self.time_for(rows));
        let asked = self.asked.pop_front().unwrap_or_default();
        let spared = self.time_for(asked);
        self.free_at = free_at.and_then(|at| at.checked_sub(spared));
    }

    /// Whether rows count.
    pub(super) fn has_rate(&self) -> bool {
        self.limits.rows_per_second.is_some()
    }

    fn time_for(&self, rows: u32) -> Duration {
        let rate = self.limits.rows_per_second;
        rate.map_or(Duration::ZERO, |rate| SECOND * rows / rate.max(1))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "one reading, as the origin of model time")]
    use super::*;
    use crate::config::Hours;

    /// 1970-01-01 at this hour, by UTC.
    fn at_hour(hour: i64) -> i64 {
        hour * 3_600_000_000
    }

    #[test]
    fn a_rate_holds_for_all_readers_together() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let limits = config::Pace { rows_per_second: Some(100), ..config::Pace::default() };
        // Chunks of as many rows as they may have, of fewer, and of more, since some are alike.
        for (readers, rows) in [(1, 100), (4, 100), (1, 7), (4, 7), (4, 150)] {
            let mut pace = Pace::new(limits, 20_000);
            assert_eq!(pace.chunk_rows(), 100);
            let (mut out, mut read) = (0, 0);
            for now in (0..10_000).map(at) {
                if out < readers && pace.free_at(now).is_none() {
                    assert_eq!(pace.on_asked(now), 100);
                    out += 1;
                } else if 0 < out {
                    pace.on_read(rows);
                    (out, read) = (out - 1, read + rows);
                }
            }
            assert!((1000 - rows..=1000 + rows).contains(&read), "{readers} of {rows}: {read}");
        }
        // Nothing came of it.
        let mut pace = Pace::new(limits, 20_000);
        pace.on_asked(start);
        assert_eq!(pace.free_at(start), Some(at(1000)));
        pace.on_read(0);
        assert_eq!(pace.free_at(start), None);
        let mut unlimited = Pace::new(config::Pace::default(), 20_000);
        unlimited.on_asked(start);
        unlimited.on_read(20_000);
        assert_eq!((unlimited.chunk_rows(), unlimited.free_at(start)), (20_000, None));
    }

    #[test]
    fn beside_a_busy_stream_chunks_are_small_and_the_rate_holds() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let limits = config::Pace { rows_per_second: Some(5_000), ..config::Pace::default() };
        let mut pace = Pace::new(limits, 20_000);
        let mut come = |millis, xacts| {
            pace.look(at(millis), 0, None);
            (0..xacts).for_each(|_| pace.on_xact());
            pace.chunk_rows()
        };
        for (millis, xacts, rows) in [
            (0, 19, 5_000),
            (500, 1, 1_250),
            (900, 0, 1_250),
            // The second before was busy, this one is not.
            (1_000, 19, 1_250),
            (2_000, 0, 5_000),
            (2_100, 100, 1_250),
            // Nobody looked for long.
            (60_000, 0, 1_250),
            (61_000, 0, 5_000),
        ] {
            assert_eq!(come(millis, xacts), rows, "{xacts} at {millis}");
        }
        assert_eq!(pace.on_asked(start), 5_000);
        (0..BUSY_XACTS).for_each(|_| pace.on_xact());
        assert_eq!(pace.on_asked(start), 1_250);
        assert_eq!(pace.free_at(start), Some(at(1_250)));
        // That of the second one comes first.
        pace.on_read(600);
        pace.on_read(4_000);
        assert_eq!(pace.free_at(start), Some(at(920)));
        assert_eq!(Pace::new(config::Pace::default(), 1).chunk_rows(), 1);
    }

    #[test]
    fn a_lag_pauses_once_and_until_it_is_steadily_small() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let limits = config::Pace { lag_bytes_max: Some(100), ..config::Pace::default() };
        let mut pace = Pace::new(limits, 1);
        for (seconds, lag, news, may_read) in [
            // Nothing is read before it is known.
            (0, None, None, false),
            (1, Some(100), None, true),
            (2, Some(101), Some(News::Pauses(Pause::Lag)), false),
            (3, Some(5), None, false),
            (4, Some(500), None, false),
            (8, Some(5), None, false),
            (9, Some(5), Some(News::GoesOn), true),
            (10, Some(5), None, true),
        ] {
            assert_eq!(pace.look(at(seconds), 0, lag), news, "at {seconds} s");
            assert_eq!(pace.may_read(lag), may_read, "at {seconds} s");
        }
    }

    #[test]
    fn outside_of_its_hours_nothing_is_read() {
        let start = Instant::now();
        let hours = Hours::parse("22:00-05:00");
        let limits = config::Pace { hours, lag_bytes_max: Some(100), ..config::Pace::default() };
        let mut pace = Pace::new(limits, 1);
        for (hour, lag, news, may_read) in [
            (12, 0, Some(News::Pauses(Pause::Hours)), false),
            (13, 0, None, false),
            (22, 0, Some(News::GoesOn), true),
            (23, 101, Some(News::Pauses(Pause::Lag)), false),
            (29, 0, Some(News::Pauses(Pause::Hours)), false),
            (46, 0, Some(News::GoesOn), true),
        ] {
            let now = start + Duration::from_secs(hour * 3600);
            let wall_us = at_hour(i64::try_from(hour).unwrap());
            assert_eq!(pace.look(now, wall_us, Some(lag)), news, "at {hour}");
            assert_eq!(pace.may_read(Some(lag)), may_read, "at {hour}");
        }
    }
}
