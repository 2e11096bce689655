//! How much of a table is read at once beside a busy stream. Pure: time is an argument.
//!
//! A transaction of the stream waits for the Kafka transaction before its own, and there may be a chunk
//! in either. So a chunk is to be so small that a batch with one takes little longer than one without,
//! which depends on the rows, the servers and the network between, and is measured.

use std::time::{Duration, Instant};

/// A stream is busy that brings so many transactions in a second.
const BUSY_XACTS: u32 = 20;

const WINDOW: Duration = Duration::from_secs(1);

/// As many rows the first chunk has, and each at least.
const ROWS_FIRST: u32 = 1_000;
const ROWS_MIN: u32 = 250;

/// A chunk has more rows than the last one by one part of so many, or fewer.
const STEP: u32 = 8;

/// A mean in which the last figure counts as one of so many.
const MEMORY: u32 = 16;

/// What a busy stream leaves for chunks.
#[derive(Debug)]
pub(super) struct Beside {
    /// When the second began, and what has come in it.
    since: Option<Instant>,
    xacts: u32,
    is_busy: bool,
    /// The chunk that is in a batch which is not in Kafka.
    entered: Option<Entered>,
    /// As many rows a chunk has.
    rows: u32,
    rows_max: u32,
    /// What batches take without rows.
    without: Option<Duration>,
}

/// A chunk on its way to Kafka.
#[derive(Clone, Copy, Debug)]
struct Entered {
    /// Whether it has as many rows as it may have.
    is_full: bool,
}

impl Beside {
    /// Nothing was streamed yet; a chunk never has more than `rows_max` rows.
    pub(super) fn new(rows_max: u32) -> Self {
        Self {
            since: None,
            xacts: 0,
            is_busy: false,
            entered: None,
            rows: ROWS_FIRST.min(rows_max),
            rows_max,
            without: None,
        }
    }

    /// As many rows a chunk may have; `None` while the stream is not busy.
    pub(super) fn rows(&self) -> Option<u32> {
        self.is_busy.then_some(self.rows)
    }

    /// A transaction of the stream came.
    pub(super) fn on_xact(&mut self) {
        self.xacts = self.xacts.saturating_add(1);
        self.is_busy |= BUSY_XACTS <= self.xacts;
    }

    /// Looks at the clock.
    pub(super) fn look(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if since + WINDOW <= now {
            self.is_busy = BUSY_XACTS <= self.xacts;
            (self.since, self.xacts) = (Some(now), 0);
        }
    }

    /// Whether a chunk may enter: one at a time, up to its commit. (The next one is read meanwhile.)
    pub(super) fn may_enter(&self) -> bool {
        !self.is_busy || self.entered.is_none()
    }

    /// A chunk is in the batch, with as many rows as it may have or fewer.
    pub(super) fn on_entered(&mut self, is_full: bool) {
        self.entered = Some(Entered { is_full });
    }

    /// A batch was committed in this time, with rows of tables or without.
    pub(super) fn on_committed(&mut self, has_rows: bool, took: Duration) {
        if !has_rows {
            let without = self.without.unwrap_or(took);
            self.without = Some((without * (MEMORY - 1) + took) / MEMORY);
            return;
        }
        let entered = self.entered.take();
        let Some(without) = self.without.filter(|_| self.is_busy) else { return };
        let step = self.rows / STEP;
        if without * 2 < took {
            self.rows = (self.rows - step).max(ROWS_MIN.min(self.rows_max));
        } else if entered.is_some_and(|entered| entered.is_full) {
            self.rows = (self.rows + step).min(self.rows_max);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "one reading, as the origin of model time")]
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    /// A stream of so many transactions a second for two seconds.
    fn beside(xacts: u32, start: Instant) -> Beside {
        let mut beside = Beside::new(20_000);
        for millis in 0..2000 {
            beside.look(start + millis * MILLI);
            (0..xacts * (millis + 1) / 1000 - xacts * millis / 1000).for_each(|_| beside.on_xact());
        }
        beside
    }

    #[test]
    fn a_stream_is_busy_from_some_transactions_a_second_on_until_a_second_has_fewer() {
        let start = Instant::now();
        for (xacts, rows) in
            [(0, None), (19, None), (20, Some(ROWS_FIRST)), (500, Some(ROWS_FIRST))]
        {
            assert_eq!(beside(xacts, start).rows(), rows, "{xacts} a second");
        }
        let mut beside = beside(500, start);
        for (seconds, is_busy) in [(2, true), (3, false), (10, false)] {
            beside.look(start + Duration::from_secs(seconds));
            assert_eq!(beside.rows().is_some(), is_busy, "after {seconds} s");
        }
    }

    #[test]
    fn beside_a_busy_stream_a_chunk_enters_when_the_last_one_is_in_kafka() {
        let start = Instant::now();
        let mut idle = Beside::new(20_000);
        idle.on_entered(true);
        assert!(idle.may_enter());
        let mut busy = beside(500, start);
        assert!(busy.may_enter());
        busy.on_entered(true);
        assert!(!busy.may_enter());
        // What was being committed when it entered.
        busy.on_committed(false, MILLI);
        assert!(!busy.may_enter());
        busy.on_committed(true, MILLI);
        assert!(busy.may_enter());
    }

    #[test]
    fn a_batch_with_rows_takes_no_more_than_twice_as_long() {
        // What each batch takes, what a row takes, and as many rows it can be in twice that.
        for (each, row, expect) in [
            (10 * MILLI, MILLI / 200, 2_000),
            (10 * MILLI, MILLI / 1000, 10_000),
            (40 * MILLI, MILLI / 200, 8_000),
            // However long it takes, the table is read.
            (MILLI, MILLI, ROWS_MIN),
        ] {
            let mut beside = beside(500, Instant::now());
            for _ in 0..200 {
                let rows = beside.rows().unwrap();
                beside.on_committed(false, each);
                beside.on_entered(true);
                beside.on_committed(true, each + row * rows);
            }
            let rows = beside.rows().unwrap();
            assert!(
                (expect..=expect * 5 / 4).contains(&(rows + expect / 8)),
                "{rows} for {expect}"
            );
        }
        // It may be at the end of a range.
        let mut last = beside(500, Instant::now());
        last.on_committed(false, MILLI);
        last.on_entered(false);
        last.on_committed(true, MILLI);
        assert_eq!(last.rows(), Some(ROWS_FIRST));
        // Nothing is known of batches without.
        let mut unknown = beside(500, Instant::now());
        unknown.on_entered(true);
        unknown.on_committed(true, MILLI);
        assert_eq!(unknown.rows(), Some(ROWS_FIRST));
    }
}
