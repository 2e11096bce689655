//! When to tell the walsender what: the timing of standby status updates, and what they say.
//!
//! Status goes out unprompted, also while Kafka is slow: a slow sink must never look like a dead
//! receiver. What it confirms is only ever what a checkpoint in Kafka covers (I1). Time is an
//! argument; the session never reads a clock.

use std::time::{Duration, Instant};

use crate::position::Lsn;

/// What a standby status update says.
///
/// Source: <https://www.postgresql.org/docs/current/protocol-replication.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// "Written": the end of what was received.
    pub received: Lsn,
    /// "Flushed" and "applied": the end of what is in Kafka, or [`Lsn::ZERO`] while unknown.
    pub confirmed: Lsn,
}

/// The state of one replication connection, as far as keeping it alive and confirming go.
#[derive(Debug)]
pub struct Session {
    interval: Duration,
    next_status: Instant,
    received: Lsn,
    confirmed: Lsn,
    keepalive: Lsn,
    /// Since when the server waits for a confirmation that it asked for.
    wanted_since: Option<Instant>,
}

impl Session {
    /// A session that starts `now` and sends a status at least every `interval`.
    #[must_use]
    pub fn new(now: Instant, interval: Duration) -> Self {
        Self {
            interval,
            next_status: now + interval,
            received: Lsn::ZERO,
            confirmed: Lsn::ZERO,
            keepalive: Lsn::ZERO,
            wanted_since: None,
        }
    }

    /// Data up to `lsn` arrived.
    pub fn on_data(&mut self, lsn: Lsn) {
        self.received = self.received.max(lsn);
    }

    /// A keep-alive arrived. Its LSN is not monotonic; the highest so far counts.
    pub fn on_keepalive(&mut self, now: Instant, wal_end: Lsn, reply_requested: bool) {
        self.received = self.received.max(wal_end);
        self.keepalive = self.keepalive.max(wal_end);
        if reply_requested {
            self.next_status = now;
            self.wanted_since.get_or_insert(now);
        }
    }

    /// Everything that ends at or before `lsn` is committed in Kafka, by a checkpoint (I1).
    pub fn confirm(&mut self, now: Instant, lsn: Lsn) {
        self.confirmed = self.confirmed.max(lsn);
        self.received = self.received.max(lsn);
        if self.wanted_since.is_some() {
            self.next_status = now;
            self.wanted_since = self.wanted_since.filter(|_| self.confirmed < self.keepalive);
        }
    }

    /// The status that is due at `now`, if one is; it counts as sent.
    pub fn poll(&mut self, now: Instant) -> Option<Status> {
        (self.next_status <= now).then(|| self.status(now))
    }

    /// The status, whether due or not; it counts as sent.
    pub fn status(&mut self, now: Instant) -> Status {
        self.next_status = now + self.interval;
        Status { received: self.received, confirmed: self.confirmed }
    }

    /// When [`poll`](Self::poll) has something next.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.next_status
    }

    /// The end of what was received.
    #[must_use]
    pub fn received(&self) -> Lsn {
        self.received
    }

    /// The highest LSN of a keep-alive: every commit that ends at or before it was sent earlier.
    #[must_use]
    pub fn keepalive(&self) -> Lsn {
        self.keepalive
    }

    /// Since when the server waits: it asked for a reply, and what it asked about is not confirmed
    /// yet. A walsender that is told to stop waits like that.
    #[must_use]
    pub fn wanted_since(&self) -> Option<Instant> {
        self.wanted_since
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "one reading, as the origin of model time")]
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(3);

    #[test]
    fn status_goes_out_unprompted_and_confirms_nothing_before_the_checkpoint_is_known() {
        let start = Instant::now();
        let mut session = Session::new(start, INTERVAL);
        session.on_data(Lsn(100));
        assert_eq!(session.poll(start), None);
        let status = session.poll(start + INTERVAL);
        assert_eq!(status, Some(Status { received: Lsn(100), confirmed: Lsn::ZERO }));
        assert_eq!(session.poll(start + INTERVAL), None);
    }

    #[test]
    fn a_requested_reply_goes_out_at_once_and_again_when_the_confirmation_is_there() {
        let start = Instant::now();
        let mut session = Session::new(start, INTERVAL);
        session.on_keepalive(start, Lsn(200), true);
        let reply = session.poll(start);
        assert_eq!(reply, Some(Status { received: Lsn(200), confirmed: Lsn::ZERO }));
        session.confirm(start, Lsn(150));
        assert!(session.poll(start).is_some());
        assert_eq!(session.wanted_since(), Some(start));
        session.confirm(start, Lsn(200));
        assert_eq!(session.poll(start), Some(Status { received: Lsn(200), confirmed: Lsn(200) }));
        assert_eq!(session.wanted_since(), None);
        session.confirm(start, Lsn(300));
        assert_eq!(session.poll(start), None);
    }

    #[test]
    fn neither_keepalives_nor_confirmations_go_back() {
        let start = Instant::now();
        let mut session = Session::new(start, INTERVAL);
        session.on_keepalive(start, Lsn(200), false);
        session.on_keepalive(start, Lsn(50), false);
        assert_eq!(session.keepalive(), Lsn(200));
        session.confirm(start, Lsn(180));
        session.confirm(start, Lsn(90));
        assert_eq!(session.status(start).confirmed, Lsn(180));
    }
}
