//! When to tell the walsender what: the timing of standby status updates, and what they say.
//!
//! Status goes out unprompted, also while Kafka is slow: a slow sink must never look like a dead
//! receiver. What it confirms is only ever what a checkpoint in Kafka covers (I1). A server that is
//! silent is asked for a reply, which a walsender gives also where its own time-out is off. Time is
//! an argument; the session never reads a clock.

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
    /// Whether the server shall reply.
    pub reply_requested: bool,
}

/// The state of one replication connection, as far as keeping it alive and confirming go.
#[derive(Debug)]
pub struct Session {
    interval: Duration,
    next_status: Instant,
    received: Lsn,
    confirmed: Lsn,
    keepalive: Lsn,
    /// Since when the server waits for a confirmation that it asked for, and of what.
    wanted: Option<(Instant, Lsn)>,
    /// Whether anything came since the last status.
    is_heard: bool,
    /// How long we have listened in vain for the reply that we asked for.
    silence: Option<Duration>,
    silence_max: Duration,
    /// Whether the server is not told what is confirmed.
    holds_back: bool,
}

impl Session {
    /// A session that starts `now` and sends a status at least every `interval`. A server that is
    /// asked and silent for `silence_max` is given up.
    #[must_use]
    pub fn new(now: Instant, interval: Duration, silence_max: Duration) -> Self {
        Self {
            interval,
            next_status: now + interval,
            received: Lsn::ZERO,
            confirmed: Lsn::ZERO,
            keepalive: Lsn::ZERO,
            wanted: None,
            is_heard: true,
            silence: None,
            silence_max,
            holds_back: false,
        }
    }

    /// The same, but the server is never told that anything is confirmed: for a rehearsal, which
    /// leaves the slot where it is.
    #[must_use]
    pub fn holding_back(self) -> Self {
        Self { holds_back: true, ..self }
    }

    /// Bytes arrived, of whatever.
    pub fn on_heard(&mut self) {
        self.is_heard = true;
        self.silence = None;
    }

    /// We listened so long, and no bytes arrived. The time in which we do other things does not
    /// count: what the server sends then waits for us.
    pub fn on_listened(&mut self, duration: Duration) {
        self.silence = self.silence.map(|silence| silence.saturating_add(duration));
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
            // A server that only wants a sign of life has what it asks about.
            if self.confirmed < self.keepalive {
                self.wanted.get_or_insert((now, self.keepalive));
            }
        }
    }

    /// Everything that ends at or before `lsn` is committed in Kafka, by a checkpoint (I1).
    pub fn confirm(&mut self, now: Instant, lsn: Lsn) {
        self.confirmed = self.confirmed.max(lsn);
        self.received = self.received.max(lsn);
        if let Some((_, lsn)) = self.wanted {
            self.next_status = now;
            self.wanted = self.wanted.filter(|_| self.confirmed < lsn);
        }
    }

    /// Up to where everything is committed in Kafka.
    #[must_use]
    pub fn confirmed(&self) -> Lsn {
        self.confirmed
    }

    /// The status that is due at `now`, if one is; it counts as sent.
    pub fn poll(&mut self, now: Instant) -> Option<Status> {
        (self.next_status <= now).then(|| self.status(now))
    }

    /// The status, whether due or not; it counts as sent.
    pub fn status(&mut self, now: Instant) -> Status {
        self.next_status = now + self.interval;
        let reply_requested = !std::mem::take(&mut self.is_heard);
        if reply_requested {
            self.silence.get_or_insert_default();
        }
        let confirmed = if self.holds_back { Lsn::ZERO } else { self.confirmed };
        Status { received: self.received, confirmed, reply_requested }
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
        self.wanted.map(|(since, _)| since)
    }

    /// How long the server owes us a reply.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.silence.unwrap_or_default()
    }

    /// Whether that is too long: it is gone or halted, and its connection lives on.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.silence_max <= self.silence()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "one reading, as the origin of model time")]
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(3);
    const SILENCE_MAX: Duration = Duration::from_secs(30);

    /// A status to a server that talks.
    fn said(received: Lsn, confirmed: Lsn) -> Status {
        Status { received, confirmed, reply_requested: false }
    }

    #[test]
    fn status_goes_out_unprompted_and_confirms_nothing_before_the_checkpoint_is_known() {
        let start = Instant::now();
        let mut session = Session::new(start, INTERVAL, SILENCE_MAX);
        session.on_data(Lsn(100));
        assert_eq!(session.poll(start), None);
        let status = session.poll(start + INTERVAL);
        assert_eq!(status, Some(said(Lsn(100), Lsn::ZERO)));
        assert_eq!(session.poll(start + INTERVAL), None);
    }

    #[test]
    fn a_requested_reply_goes_out_at_once_and_again_when_the_confirmation_is_there() {
        let start = Instant::now();
        let mut session = Session::new(start, INTERVAL, SILENCE_MAX);
        session.on_keepalive(start, Lsn(200), true);
        let reply = session.poll(start);
        assert_eq!(reply, Some(said(Lsn(200), Lsn::ZERO)));
        session.on_heard();
        session.confirm(start, Lsn(150));
        assert!(session.poll(start).is_some());
        assert_eq!(session.wanted_since(), Some(start));
        session.on_heard();
        session.confirm(start, Lsn(200));
        assert_eq!(session.poll(start), Some(said(Lsn(200), Lsn(200))));
        assert_eq!(session.wanted_since(), None);
        session.confirm(start, Lsn(300));
        assert_eq!(session.poll(start), None);
    }

    #[test]
    fn a_ping_about_what_is_confirmed_is_answered_and_waits_for_nothing() {
        let start = Instant::now();
        let mut session = Session::new(start, INTERVAL, SILENCE_MAX);
        session.confirm(start, Lsn(100));
        for wal_end in [Lsn(100), Lsn(50)] {
            session.on_keepalive(start, wal_end, true);
            assert_eq!(session.wanted_since(), None);
            assert_eq!(session.poll(start), Some(said(Lsn(100), Lsn(100))));
            session.on_heard();
        }
        // About more than that, it waits until it has it.
        session.on_keepalive(start, Lsn(101), true);
        assert_eq!(session.wanted_since(), Some(start));
        // Other log that follows it is not what it asked about.
        session.on_keepalive(start, Lsn(900), false);
        session.confirm(start, Lsn(101));
        assert_eq!(session.wanted_since(), None);
    }

    #[test]
    fn neither_keepalives_nor_confirmations_go_back() {
        let start = Instant::now();
        let mut session = Session::new(start, INTERVAL, SILENCE_MAX);
        session.on_keepalive(start, Lsn(200), false);
        session.on_keepalive(start, Lsn(50), false);
        assert_eq!(session.keepalive(), Lsn(200));
        session.confirm(start, Lsn(180));
        session.confirm(start, Lsn(90));
        assert_eq!(session.status(start).confirmed, Lsn(180));
    }

    #[test]
    fn a_rehearsal_confirms_nothing_to_the_server() {
        let start = Instant::now();
        let mut session = Session::new(start, INTERVAL, SILENCE_MAX).holding_back();
        session.on_keepalive(start, Lsn(200), true);
        session.confirm(start, Lsn(200));
        assert_eq!((session.confirmed(), session.wanted_since()), (Lsn(200), None));
        assert_eq!(session.poll(start), Some(said(Lsn(200), Lsn::ZERO)));
    }

    #[test]
    fn a_silent_server_is_asked_and_lost_when_it_does_not_answer_while_we_listen() {
        let start = Instant::now();
        let mut session = Session::new(start, INTERVAL, SILENCE_MAX);
        // It said something since the last status, so it is not asked; silence is not owed yet.
        assert!(!session.status(start).reply_requested);
        session.on_listened(SILENCE_MAX);
        assert!(!session.is_lost());
        // Asked once, and again; what counts is how long we have listened since the first time.
        assert!(session.status(start).reply_requested);
        session.on_listened(SILENCE_MAX - INTERVAL);
        assert!(session.status(start + SILENCE_MAX).reply_requested);
        assert!(!session.is_lost());
        assert_eq!(session.silence(), SILENCE_MAX - INTERVAL);
        session.on_listened(INTERVAL);
        assert!(session.is_lost());
        // An answer ends it.
        session.on_heard();
        assert_eq!((session.is_lost(), session.silence()), (false, Duration::ZERO));
        assert!(!session.status(start).reply_requested);
    }
}
