//! Whether another instance holds the slot no more, and the server has not noticed. Pure.

use std::time::Duration;

use crate::position::Lsn;
use crate::postgres::Walsender;

/// What a standby remembers of the holders whose walsenders it ended.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// The last one's walsender, and up to where the slot was confirmed when it was told to end.
    ended: Option<(i32, Lsn)>,
}

impl Holders {
    /// Whether this walsender's receiver is gone: it has long not replied, and the walsender waits for
    /// it. One that is busy hears no reply: before version 16 it reads none as long as it decodes
    /// changes of which it sends nothing (a REFRESH MATERIALIZED VIEW), and whoever takes the slot
    /// next would have to decode the same. So never two at the same place; but one may have to be told
    /// twice, since it first waits to tell its receiver.
    pub(super) fn is_dead(
        &self,
        (pid, walsender): (i32, &Walsender),
        confirmed: Lsn,
        silence_max: Duration,
    ) -> bool {
        let is_silent = walsender.reply_age.is_some_and(|age| silence_max < age);
        let may_end = self.ended.is_none_or(|(ended, at)| ended == pid || at < confirmed);
        is_silent && walsender.is_waiting && may_end
    }

    /// It was told to end.
    pub(super) fn on_ended(&mut self, pid: i32, confirmed: Lsn) {
        self.ended = Some((pid, confirmed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_dead_if_it_is_silent_and_waited_for() {
        let s = Duration::from_secs;
        let holder = |reply_age: Option<u64>, is_waiting| Walsender {
            application_name: "walbrook".to_owned(),
            client_address: None,
            state: Some("streaming".to_owned()),
            reply_age: reply_age.map(s),
            is_waiting,
        };
        let cases = [
            (Some(31), true, true),
            (Some(30), true, false),
            // It decodes, or waits for a disk.
            (Some(600), false, false),
            // The role may not see it.
            (None, true, false),
        ];
        for (age, is_waiting, expect) in cases {
            let holder = holder(age, is_waiting);
            let found = Holders::default().is_dead((1, &holder), Lsn(7), s(30));
            assert_eq!(found, expect, "{age:?} {is_waiting}");
        }
        let mut holders = Holders::default();
        holders.on_ended(1, Lsn(7));
        let holder = holder(Some(31), true);
        let is_dead = |pid, confirmed| holders.is_dead((pid, &holder), Lsn(confirmed), s(30));
        assert!(is_dead(1, 7), "it did not hear it");
        assert!(!is_dead(2, 7), "another one at the same place");
        assert!(is_dead(2, 8));
    }
}
