//! What follows an ending: again, later, as a standby, or not at all. Pure: time is an argument.

use std::time::{Duration, Instant};

use crate::edges::Class;
use crate::position::Lsn;

/// How one attempt to stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing is wrong, such as when the slot was made: go on at once.
    Created,
    /// An error of this class.
    Failed(Class),
    /// The server, or what it sent, failed in a way that may repeat itself at the same place.
    Repeatable(Fault),
    /// Another instance holds the slot.
    SlotBusy,
    /// A column of an unknown type appeared: go on in text mode.
    TextMode,
    /// It was told to stop, and has.
    Stopped,
}

impl Ending {
    /// The class of the error that ended it, if one did.
    #[must_use]
    pub fn class(self) -> Option<Class> {
        match self {
            Self::Failed(class) => Some(class),
            Self::Repeatable(_) => Some(Class::Retry),
            Self::Created | Self::SlotBusy | Self::Stopped | Self::TextMode => None,
        }
    }
}

/// What tells one failure of the stream from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The SQLSTATE.
    pub code: [u8; 5],
    /// The change that the server named, else the end of the last complete transaction before.
    pub place: Lsn,
    /// Whether it named one.
    pub is_named: bool,
}

impl Fault {
    /// How often in a row it is the same thing that fails. Where no change was named something else
    /// may have, and pass: by the time of that many the delays add up to most of a minute.
    fn times_max(self) -> u32 {
        if self.is_named { 2 } else { 10 }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// End the process: the error is permanent.
    Die,
    /// End the process: it was told to.
    Leave,
    /// Wait so long as a standby, then try to take the slot.
    Standby(Duration),
    /// Wait so long, then try again; the number of attempts without progress so far.
    Again(Duration, u32),
}

/// The supervisor's memory.
#[derive(Debug)]
pub struct Supervisor {
    delay_min: Duration,
    delay_max: Duration,
    standby_poll: Duration,
    failures: u32,
    last_progress: Option<Instant>,
    is_text_forced: bool,
    /// How the stream failed the last time, and how often in a row, until there is progress.
    fault: Option<(Fault, u32)>,
}

impl Supervisor {
    /// A supervisor that waits `delay_min`, doubling up to `delay_max`, after errors, and
    /// `standby_poll` between looks at a slot that another instance holds.
    #[must_use]
    pub fn new(delay_min: Duration, delay_max: Duration, standby_poll: Duration) -> Self {
        Self {
            delay_min,
            delay_max,
            standby_poll,
            failures: 0,
            last_progress: None,
            is_text_forced: false,
            fault: None,
        }
    }

    /// An attempt ended; `progress` is when it last committed a batch.
    pub fn on_ending(&mut self, ending: Ending, progress: Option<Instant>) -> Action {
        if self.last_progress < progress {
            self.last_progress = progress;
            self.failures = 0;
            self.fault = None;
        }
        match ending {
            Ending::Created => Action::Again(Duration::ZERO, 0),
            Ending::Failed(Class::Fatal) => Action::Die,
            Ending::Failed(Class::Fenced) | Ending::SlotBusy => Action::Standby(self.standby_poll),
            Ending::Failed(Class::Retry) => self.again(),
            // What the server decodes is the same each time, and so is what comes of it.
            Ending::Repeatable(fault) => {
                let times = match self.fault {
                    Some((last, times)) if last == fault => times + 1,
                    _ => 1,
                };
                self.fault = Some((fault, times));
                if fault.times_max() <= times { Action::Die } else { self.again() }
            }
            Ending::Stopped => Action::Leave,
            // It was in text form already.
            Ending::TextMode if self.is_text_forced => Action::Die,
            Ending::TextMode => {
                self.is_text_forced = true;
                Action::Again(Duration::ZERO, 0)
            }
        }
    }

    fn again(&mut self) -> Action {
        let doublings = self.failures.min(20);
        self.failures = self.failures.saturating_add(1);
        let delay = self.delay_min.saturating_mul(1 << doublings).min(self.delay_max);
        Action::Again(delay, self.failures)
    }

    /// Whether the slot must be read in text mode, whatever the catalog says.
    #[must_use]
    pub fn is_text_forced(&self) -> bool {
        self.is_text_forced
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "one reading, as the origin of model time")]
    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum_and_start_anew_after_progress() {
        let s = Duration::from_secs;
        let mut supervisor = Supervisor::new(s(1), s(5), s(2));
        let retry = Ending::Failed(Class::Retry);
        let start = Instant::now();
        assert_eq!(supervisor.on_ending(retry, None), Action::Again(s(1), 1));
        assert_eq!(supervisor.on_ending(retry, None), Action::Again(s(2), 2));
        assert_eq!(supervisor.on_ending(retry, None), Action::Again(s(4), 3));
        assert_eq!(supervisor.on_ending(retry, None), Action::Again(s(5), 4));
        assert_eq!(supervisor.on_ending(retry, Some(start)), Action::Again(s(1), 1));
        assert_eq!(supervisor.on_ending(retry, Some(start)), Action::Again(s(2), 2));
    }

    #[test]
    fn a_fault_that_repeats_itself_at_its_place_is_permanent() {
        let s = Duration::from_secs;
        let at = |code: &[u8; 5], place, is_named| {
            Ending::Repeatable(Fault { code: *code, place: Lsn(place), is_named })
        };
        let fault = |code, place| at(code, place, true);
        let retry = Ending::Failed(Class::Retry);
        let start = Instant::now();
        let later = |seconds| Some(start + s(seconds));
        // Each with when a batch was last committed.
        let check = |endings: &[(Ending, Option<Instant>)], dies: bool| {
            let mut supervisor = Supervisor::new(s(1), s(5), s(2));
            let (last, before) = endings.split_last().unwrap();
            for (ending, progress) in before {
                let action = supervisor.on_ending(*ending, *progress);
                assert!(matches!(action, Action::Again(..)), "{endings:?}: {action:?}");
            }
            let action = supervisor.on_ending(last.0, last.1);
            assert_eq!(action == Action::Die, dies, "{endings:?}: {action:?}");
        };
        let division = fault(b"22012", 100);
        check(&[(division, None), (division, None)], true);
        // What was complete before it was committed on the way out of the first attempt.
        check(&[(division, later(1)), (division, later(1))], true);
        // What passes in between does not make it another one.
        check(&[(division, None), (retry, None), (Ending::TextMode, None), (division, None)], true);
        check(&[(division, None), (division, later(1))], false);
        check(&[(division, None), (division, later(1)), (division, later(1))], true);
        check(&[(division, None), (fault(b"22012", 101), None)], false);
        check(&[(division, None), (fault(b"XX000", 100), None)], false);
        check(&[(retry, None), (retry, None), (retry, None)], false);
        // Where the server named no change it may be another one.
        let somewhere = at(b"XX000", 100, false);
        check(&[(somewhere, None); 9], false);
        check(&[(somewhere, None); 10], true);
    }

    #[test]
    fn each_ending_has_its_action() {
        let s = Duration::from_secs;
        let mut supervisor = Supervisor::new(s(1), s(5), s(2));
        assert_eq!(supervisor.on_ending(Ending::Failed(Class::Fatal), None), Action::Die);
        assert_eq!(
            supervisor.on_ending(Ending::Failed(Class::Fenced), None),
            Action::Standby(s(2))
        );
        assert_eq!(supervisor.on_ending(Ending::SlotBusy, None), Action::Standby(s(2)));
        assert_eq!(supervisor.on_ending(Ending::Stopped, None), Action::Leave);
        assert!(!supervisor.is_text_forced());
        assert_eq!(supervisor.on_ending(Ending::TextMode, None), Action::Again(s(0), 0));
        assert!(supervisor.is_text_forced());
        assert_eq!(supervisor.on_ending(Ending::TextMode, None), Action::Die);
    }
}
