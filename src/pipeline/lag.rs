//! How late we are: what waits, and since when. Pure: time is an argument.
//!
//! Three things can wait: a transaction that was received and is not in Kafka, whatever its commit
//! time says; a batch that the writer has, also one of a checkpoint alone; and log of the server
//! that was not received, by whose fault ever. Log without published changes does not wait once it
//! was received: a checkpoint confirms it at most every `replication.checkpoint_interval`.

use std::time::{Duration, Instant};

use crate::position::Lsn;

/// What waits, and since when.
#[derive(Debug, Default)]
pub(super) struct Lag {
    received: Received,
    /// An end of the server's log that was not reached, and since when it is known.
    unread: Option<(Lsn, Instant)>,
}

/// What was received and may not be in Kafka.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Received {
    /// When the oldest of its transactions committed, microseconds since 1970-01-01 UTC.
    pub(super) oldest_commit_us: Option<i64>,
    /// Since when the writer has had a batch.
    pub(super) committing_since: Option<Instant>,
}

impl Lag {
    /// What was received and may not be in Kafka.
    pub(super) fn on_received(&mut self, received: Received) {
        self.received = received;
    }

    /// The server's log ends at `end`, of which we have what is before `reached`.
    pub(super) fn on_log(&mut self, now: Instant, reached: Lsn, end: Lsn) {
        self.unread = self.unread.filter(|(end, _)| reached < *end);
        if reached < end {
            self.unread.get_or_insert((end, now));
        }
    }

    /// Whether nothing waits for Kafka.
    pub(super) fn is_written(&self) -> bool {
        self.received.oldest_commit_us.is_none() && self.received.committing_since.is_none()
    }

    /// Whether nothing waits on the server.
    pub(super) fn is_read(&self) -> bool {
        self.unread.is_none()
    }

    /// How long the oldest of it waits; a clock that is behind the server's gives zero.
    pub(super) fn age(&self, now: Instant, wall_us: i64) -> Duration {
        let since = |at: Instant| now.saturating_duration_since(at);
        let commit = self.received.oldest_commit_us.map(|commit_us| {
            Duration::from_micros(u64::try_from(wall_us - commit_us).unwrap_or(0))
        });
        let committing = self.received.committing_since.map(since);
        let unread = self.unread.map(|(_, at)| since(at));
        commit.max(committing).max(unread).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "one reading, as the origin of model time")]
    use super::*;

    #[test]
    fn the_oldest_of_what_waits_counts() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let age = |lag: &Lag, seconds: u64| lag.age(at(seconds), 50_000_000).as_secs();
        let mut lag = Lag::default();
        assert_eq!((age(&lag, 5), lag.is_written(), lag.is_read()), (0, true, true));
        // A checkpoint alone that Kafka does not take.
        lag.on_received(Received { oldest_commit_us: None, committing_since: Some(at(1)) });
        assert_eq!((age(&lag, 5), lag.is_written()), (4, false));
        // A transaction behind it that committed before that.
        let oldest_commit_us = Some(40_000_000);
        lag.on_received(Received { oldest_commit_us, committing_since: Some(at(1)) });
        assert_eq!(age(&lag, 5), 10);
        // One whose server's clock is ahead.
        let oldest_commit_us = Some(60_000_000);
        lag.on_received(Received { oldest_commit_us, committing_since: None });
        assert_eq!((age(&lag, 5), lag.is_written()), (0, false));
    }

    #[test]
    fn log_that_is_not_received_waits_from_when_its_end_was_first_seen() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lag = Lag::default();
        for (seconds, reached, end, age) in [
            (0, 100, 100, 0),
            // Errors, one attempt after the other, and the log grows.
            (10, 100, 110, 0),
            (20, 100, 120, 10),
            // The first end is reached, and others are not.
            (30, 115, 130, 0),
            (31, 120, 140, 1),
            // A busy server is always a little ahead of what it has told.
            (32, 135, 150, 0),
            (33, 150, 150, 0),
        ] {
            lag.on_log(at(seconds), Lsn(reached), Lsn(end));
            assert_eq!(lag.age(at(seconds), 0).as_secs(), age, "at {seconds} s");
            assert_eq!(lag.is_read(), reached == end);
        }
    }
}
