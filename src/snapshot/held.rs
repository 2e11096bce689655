//! What the stream leaves out of a table without a key, until its rows enter.
//!
//! The rows of a snapshot have what it shows. What it does not show, and was streamed before the rows
//! enter, is done to them then: so they are the table's at that place of the stream, whatever order
//! transactions begin to show in, and a table that is written to all the time is read like any other.

use std::collections::BTreeMap;
use std::mem::size_of;

use super::key;
use super::visibility::{Streamed, Unsettled, Verdict, Visibility};
use crate::wal::{Column, OldTuple, OldTupleKind, Tuple, Tuples};

/// The changes of one table, in the order of the stream.
#[derive(Debug, Default)]
pub(super) struct Held {
    changes: Vec<(Streamed, Change)>,
    /// Of the rows.
    bytes: usize,
}

/// Rows are as the stream carries them.
#[derive(Debug)]
enum Change {
    Deleted(Box<[u8]>),
    Inserted(Box<[u8]>),
    Truncated,
    /// Which row it was is not said: somebody gave the table a key.
    Unclear,
}

impl Held {
    /// A row was written, as `new` if there is one, in place of `old` if there is one.
    pub(super) fn on_row(
        &mut self,
        new: Option<Tuple<'_>>,
        old: Option<OldTuple<'_>>,
        by: Streamed,
    ) {
        if let Some(old) = old {
            let row = (old.kind == OldTupleKind::Full).then(|| whole(old.tuple, None)).flatten();
            self.push(by, row.map_or(Change::Unclear, Change::Deleted));
        }
        if let Some(new) = new {
            let row = whole(new, old.map(|old| old.tuple));
            self.push(by, row.map_or(Change::Unclear, Change::Inserted));
        }
    }

    /// All rows are gone.
    pub(super) fn on_truncate(&mut self, by: Streamed) {
        self.push(by, Change::Truncated);
    }

    /// A row was updated, and which one is not said.
    pub(super) fn on_unclear(&mut self, by: Streamed) {
        self.push(by, Change::Unclear);
    }

    fn push(&mut self, by: Streamed, change: Change) {
        self.bytes += change.byte_len();
        self.changes.push((by, change));
    }

    /// Does to a snapshot's rows what it does not show; how many there are then. `None` if that cannot
    /// be told.
    pub(super) fn apply(&self, visibility: &Visibility, rows: &mut Vec<u8>) -> Option<u64> {
        // Of each row how many more there are. In what order they came and went does not matter.
        let mut more: BTreeMap<&[u8], i64> = BTreeMap::new();
        for (by, change) in &self.changes {
            match (visibility.verdict(*by), change) {
                (Verdict::Seen, _) => {}
                (Verdict::Unknown, _) | (_, Change::Unclear) => return None,
                (Verdict::Unseen, Change::Deleted(row)) => *more.entry(row).or_default() -= 1,
                (Verdict::Unseen, Change::Inserted(row)) => *more.entry(row).or_default() += 1,
                (Verdict::Unseen, Change::Truncated) => {
                    rows.clear();
                    more.clear();
                }
            }
        }
        if more.values().any(|more| *more < 0) {
            Tuple::retain(rows, |row| {
                let row = whole(row, None).unwrap_or_default();
                let fewer = more.get_mut(&*row).filter(|more| **more < 0);
                fewer.is_none_or(|fewer| {
                    *fewer += 1;
                    false
                })
            });
        }
        for (row, more) in more {
            let more = usize::try_from(more).ok()?;
            (0..more).for_each(|_| rows.extend_from_slice(row));
        }
        u64::try_from(Tuples::new(rows).count()).ok()
    }

    /// The transactions that a snapshot does not show; if of some it cannot be told, or not what they
    /// did, those.
    pub(super) fn unseen(&self, visibility: &Visibility) -> Option<Unsettled> {
        let (mut unseen, mut unclear) = (None, None);
        for (by, change) in &self.changes {
            let verdict = visibility.verdict(*by);
            if verdict == Verdict::Seen {
                continue;
            }
            unseen = Some(Unsettled::with(unseen, *by));
            if verdict == Verdict::Unknown || matches!(change, Change::Unclear) {
                unclear = Some(Unsettled::with(unclear, *by));
            }
        }
        unclear.or(unseen)
    }

    /// Forgets what this snapshot shows, and so all that are taken later.
    pub(super) fn forget_seen(&mut self, visibility: &Visibility) {
        self.changes.retain(|(by, _)| visibility.verdict(*by) != Verdict::Seen);
        self.bytes = self.changes.iter().map(|(_, change)| change.byte_len()).sum();
    }

    pub(super) fn byte_len(&self) -> usize {
        self.bytes
    }
}

impl Change {
    fn byte_len(&self) -> usize {
        let row = match self {
            Self::Deleted(row) | Self::Inserted(row) => row.len(),
            Self::Truncated | Self::Unclear => 0,
        };
        row + size_of::<(Streamed, Self)>()
    }
}

/// The whole row; a column that was not sent is that of `old`. `None` if one is not there.
fn whole(new: Tuple<'_>, old: Option<Tuple<'_>>) -> Option<Box<[u8]>> {
    let mut out = Vec::with_capacity(new.byte_len());
    out.extend_from_slice(&u16::try_from(new.len()).ok()?.to_be_bytes());
    let mut before = old.into_iter().flat_map(|old| old.columns());
    for column in new.columns() {
        let before = before.next();
        let column = if column == Column::Unchanged { before? } else { column };
        key::push(column, &mut out).then_some(())?;
    }
    Some(out.into())
}
