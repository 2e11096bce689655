//! Whether walbrook goes on by itself when the slot is lost. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Error;
use super::start::Refusal;
use crate::config::Repair;

/// When it was lost, within the last hour.
#[derive(Debug, Default)]
pub(super) struct Losses(VecDeque<Instant>);

const HOUR: Duration = Duration::from_hours(1);

impl Losses {
    /// Whether this error is such a loss, and not one too many.
    pub(super) fn may_go_on(
        &mut self,
        repair: Option<Repair>,
        error: &Error,
        now: Instant,
    ) -> bool {
        let (Some(Repair { times_per_hour }), Error::Refused(refusal)) = (repair, error) else {
            return false;
        };
        if !matches!(**refusal, Refusal::Lost { .. } | Refusal::NoSlot { .. }) {
            return false;
        }
        self.0.retain(|at| now < *at + HOUR);
        let times = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0.push_back(now);
        times < times_per_hour
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
            (&lost, 61, false),
            (&lost, 121, true),
        ] {
            assert_eq!(losses.may_go_on(repair, error, minutes(at)), expect, "{at}");
        }
        assert!(!Losses::default().may_go_on(None, &lost, start));
    }
}
