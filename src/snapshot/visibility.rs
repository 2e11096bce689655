//! What a snapshot shows of the transactions in the stream.
//!
//! A transaction is in the stream when its commit record is flushed, and it shows later: first
//! PostgreSQL flushes the record, then it waits for synchronous standbys, and only then does the
//! transaction leave the list of those in progress. So the order of commits is not the order in which
//! transactions begin to show; but of two that touch the same key it is, since the second one waits
//! for the row until the first one shows.

use serde::{Deserialize, Serialize};

use crate::position::{Lsn, Xid};

/// What was in the stream, as far as a snapshot is concerned: a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// Its id: that of the top level, as a snapshot lists it too.
    pub xid: Xid,
    /// The LSN of its commit record.
    pub commit_lsn: Lsn,
}

/// Which transactions a snapshot shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// By `pg_current_snapshot()` of a primary.
    ///
    /// Source: <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT>
    Listed {
        /// The first id that the snapshot knows nothing of.
        end: Xid,
        /// Those before it that were in progress.
        running: Vec<Xid>,
    },
    /// By the log of a standby, on which transactions show in the order of their commit records.
    Replayed {
        /// What ends at or before it shows: the LSN replayed before the snapshot was taken.
        from: Lsn,
        /// What commits at or behind it does not: behind the record that was being replayed after the
        /// snapshot was taken, if one was.
        to: Lsn,
    },
}

/// Whether a transaction shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Seen,
    /// That cannot be told.
    Unknown,
    /// It does not.
    Unseen,
}

impl Visibility {
    /// Whether the snapshot shows a transaction that has committed.
    #[must_use]
    pub fn verdict(&self, xact: Streamed) -> Verdict {
        match self {
            Self::Listed { end, running } => {
                let is_seen = is_before(xact.xid, *end) && !running.contains(&xact.xid);
                if is_seen { Verdict::Seen } else { Verdict::Unseen }
            }
            // The end of a record: one that begins before ends there or before.
            Self::Replayed { from, .. } if xact.commit_lsn < *from => Verdict::Seen,
            Self::Replayed { to, .. } if xact.commit_lsn < *to => Verdict::Unknown,
            Self::Replayed { .. } => Verdict::Unseen,
        }
    }
}

/// Of what was in the stream, what a snapshot may not show yet: a stretch of ids, and of commits, in
/// which all those lie, and others may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    /// The first id; whatever is before `last` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Xid>,
    /// The last id.
    pub last: Xid,
    /// The commit record of the last one.
    pub commit_lsn: Lsn,
}

impl Unsettled {
    /// Whatever may have committed before, where nothing is known of it: all ids before `next`, the
    /// next that the server gives away.
    #[must_use]
    pub fn all_before(next: Xid, commit_lsn: Lsn) -> Self {
        Self { first: None, last: Xid(next.0.wrapping_sub(1)), commit_lsn }
    }

    /// The stretch with one more transaction.
    #[must_use]
    pub fn with(before: Option<Self>, Streamed { xid, commit_lsn }: Streamed) -> Self {
        let one = Self { first: Some(xid), last: xid, commit_lsn };
        before.map_or(one, |before| before.and(one))
    }

    /// The stretch that has both.
    #[must_use]
    pub fn joined(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            first: self.first.zip(other.first).map(|(one, other)| earlier(one, other)),
            last: if is_before(self.last, other.last) { other.last } else { self.last },
            commit_lsn: self.commit_lsn.max(other.commit_lsn),
        }
    }

    /// What is left of it when this snapshot, and so every later one, shows what it shows.
    #[must_use]
    pub fn settle(self, visibility: &Visibility) -> Option<Self> {
        let Self { first, last, commit_lsn } = self;
        match visibility {
            Visibility::Listed { end, running } => {
                let is_late = |xid: Xid| is_before(last, xid);
                let is_early = |xid: Xid| first.is_some_and(|first| is_before(xid, first));
                let unseen = running.iter().copied().filter(|xid| !is_early(*xid));
                let unseen = unseen.chain([*end]).filter(|xid| !is_late(*xid)).reduce(earlier)?;
                // The end itself may be before the first.
                let first = if is_early(unseen) { first } else { Some(unseen) };
                Some(Self { first, last, commit_lsn })
            }
            // What a standby shows need not show on the server that lists ids.
            Visibility::Replayed { .. } => Some(self),
        }
    }
}

fn earlier(one: Xid, other: Xid) -> Xid {
    if is_before(other, one) { other } else { one }
}

/// Ids are compared as PostgreSQL does, modulo 2^32: of two that are both in use neither is more than
/// half of the circle ahead.
fn is_before(xid: Xid, other: Xid) -> bool {
    xid.0.wrapping_sub(other.0).cast_signed() < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(end: u32, running: &[u32]) -> Visibility {
        Visibility::Listed { end: Xid(end), running: running.iter().copied().map(Xid).collect() }
    }

    #[test]
    fn a_primary_shows_what_is_past_and_not_running() {
        let all: &[(u32, &[u32], u32, bool)] = &[
            (100, &[], 99, true),
            (100, &[], 100, false),
            (100, &[], 101, false),
            (100, &[99, 97], 97, false),
            (100, &[99, 97], 98, true),
            // The counter has gone round.
            (5, &[], u32::MAX, true),
            (5, &[], 4, true),
            (5, &[3], 3, false),
            (u32::MAX - 1, &[], 4, false),
        ];
        for &(end, running, xid, is_seen) in all {
            let xact = Streamed { xid: Xid(xid), commit_lsn: Lsn::ZERO };
            let expect = if is_seen { Verdict::Seen } else { Verdict::Unseen };
            assert_eq!(listed(end, running).verdict(xact), expect, "{end} {running:?} {xid}");
        }
    }

    #[test]
    fn a_standby_shows_what_was_replayed_before_and_not_what_is_replayed_after() {
        let standby = Visibility::Replayed { from: Lsn(100), to: Lsn(200) };
        for (commit, expect) in [
            (99, Verdict::Seen),
            (100, Verdict::Unknown),
            (199, Verdict::Unknown),
            (200, Verdict::Unseen),
        ] {
            let xact = Streamed { xid: Xid(7), commit_lsn: Lsn(commit) };
            assert_eq!(standby.verdict(xact), expect, "{commit}");
        }
    }

    #[test]
    fn what_is_unsettled_shrinks_as_snapshots_show_it() {
        let add = |before, xid| {
            Some(Unsettled::with(before, Streamed { xid: Xid(xid), commit_lsn: Lsn(1) }))
        };
        let stretch = [u32::MAX - 2, 7, 3].into_iter().fold(None, add).unwrap();
        let ids = |it: Unsettled| (it.first.map(|xid| xid.0), it.last.0);
        assert_eq!(ids(stretch), (Some(u32::MAX - 2), 7));
        let left = |stretch: Unsettled, end, running: &[u32]| {
            stretch.settle(&listed(end, running)).map(ids)
        };
        assert_eq!(left(stretch, 8, &[]), None);
        assert_eq!(left(stretch, 8, &[9, u32::MAX - 9]), None);
        assert_eq!(left(stretch, 8, &[5, 2]), Some((Some(2), 7)));
        assert_eq!(left(stretch, 7, &[]), Some((Some(7), 7)));
        assert_eq!(left(stretch, 1, &[u32::MAX]), Some((Some(u32::MAX), 7)));
        assert_eq!(left(stretch, u32::MAX - 9, &[]), Some((Some(u32::MAX - 2), 7)));
        let all = Unsettled::all_before(Xid(8), Lsn(1));
        assert_eq!(left(all, 8, &[u32::MAX / 2 + 20]), Some((Some(u32::MAX / 2 + 20), 7)));
        assert_eq!(left(all, 9, &[8]), None);
        let more = Unsettled::joined(Some(all), Some(stretch)).and_then(|it| add(Some(it), 20));
        assert_eq!(more.map(ids), Some((None, 20)));
        let standby = Visibility::Replayed { from: Lsn(8), to: Lsn(9) };
        assert_eq!(stretch.settle(&standby), Some(stretch));
    }
}
