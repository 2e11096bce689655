//! Whether walbrook goes on by itself when the slot is lost. Pure: time is an argument.

use std::time::{Duration, Instant};

use super::Error;
use super::start::Refusal;
use crate::config::Repair;

/// When it was lost, within the last hour.
#[derive(Debug, Default)]
pub(super) struct Losses(Vec<Instant>);

const HOUR: Duration = Duration::from_hours(1);

impl Losses {
    /// Whether this error is such a loss, and would not be one too many.
    pub(super) fn may_go_on(&self, repair: Option<Repair>, error: &Error, now: Instant) -> bool {
        let (Some(Repair { times_per_hour }), Error::Refused(refusal)) = (repair, error) else {
            return false;
        };
        if !matches!(**refusal, Refusal::Lost { .. } | Refusal::NoSlot { .. }) {
            return false;
        }
        let times = self.0.iter().filter(|at| now < **at + HOUR).count();
        u32::try_from(times).is_ok_and(|times| times < times_per_hour)
    }

    /// It was gone on with.
    pub(super) fn note(&mut self, now: Instant) {
        self.0.retain(|at| now < *at + HOUR);
        self.0.push(now);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "one reading, as the origin of model time")]
    use super::*;
    use crate::position::Lsn;

    #[test]
    fn a_slot_may_be_lost_so_often_in_an_hour() {
        let start = Instant::now();
        let minutes = |minutes| start + Duration::from_mins(minutes);
        let lost: Error = Refusal::NoSlot { slot: "s".to_owned(), confirm: Lsn(1) }.into();
        let ahead: Error = Refusal::Ahead { last: Lsn(2), flush: Lsn(1) }.into();
        let repair = Some(Repair { times_per_hour: 2 });
        let mut losses = Losses::default();
        for (error, at, expect) in [
            (&ahead, 0, false),
            (&lost, 0, true),
            (&lost, 30, true),
            (&lost, 59, false),
            (&lost, 60, true),
            (&lost, 61, false),
        ] {
            let may_go_on = losses.may_go_on(repair, error, minutes(at));
            assert_eq!(may_go_on, expect, "{at}");
            // To ask again, since it could not be made, is no other loss.
            assert_eq!(losses.may_go_on(repair, error, minutes(at)), expect, "{at}");
            if may_go_on {
                losses.note(minutes(at));
            }
        }
        assert!(!Losses::default().may_go_on(None, &lost, start));
    }
}
