//! Tables without a key.

use super::super::held::Held;
use super::*;
use crate::wal::OldTupleKind;

impl Model {
    /// Whether the table has not been seen yet.
    pub(super) fn is_unseen(&self) -> bool {
        self.kafka.progress.state == State::Skipped && !self.machine.is_active()
    }

    /// The table is seen for the first time.
    pub(super) fn begin(&mut self) {
        let progress = Progress {
            state: State::Reading,
            ranges: vec![Range::default()],
            unsettled: Some(self.server.unsettled()),
            ..self.kafka.progress.clone()
        };
        let announced = self.announced.map(server::relation);
        self.machine.begin(progress, None, announced.as_ref());
    }

    /// What was added and is not gone is what the table has, each row as often.
    pub(super) fn check_keyless(&self) {
        let mut rows: BTreeMap<Row, usize> = BTreeMap::new();
        for record in &self.kafka.records {
            match *record {
                Record::Written(_, plain, toast) => {
                    *rows.entry(Row { plain, toast: toast.unwrap() }).or_default() += 1;
                }
                Record::Read(_, row) => *rows.entry(row).or_default() += 1,
                Record::Lost(row) => {
                    let count = rows.get_mut(&row).filter(|count| 0 < **count);
                    *count.unwrap_or_else(|| panic!("nobody had it: {:?}", self.kafka.records)) -=
                        1;
                }
                Record::Truncated => rows.clear(),
                Record::Begun | Record::Gone(_) => panic!("it has no key"),
            }
        }
        let found = rows.iter().flat_map(|(row, count)| vec![*row; *count]).collect::<Vec<_>>();
        let mut table: Vec<Row> = self.server.rows.values().copied().collect();
        table.sort_unstable();
        assert_eq!(found, table, "{:#?}", self.kafka.records);
    }
}

#[test]
fn a_stream_without_keys_begins_with_the_rows_and_has_each_once() {
    hold(Reads::Primary, true, 0..3000);
    hold(Reads::Standbys, true, 0..1000);
    hold(Reads::Standby, true, 0..1500);
}

/// A key that somebody gives the table, a transaction of which a standby says nothing, a row that was
/// not there: the table is read again, when that shows.
#[test]
fn what_cannot_be_told_is_not_guessed() {
    let row = tuple(0, Some(Row { plain: 1, toast: 2 }), true, 0);
    let row = || Tuples::new(&row).map_while(Result::ok).next().unwrap();
    let by = Streamed { xid: Xid(9), commit_lsn: Lsn(9) };
    let listed = |end| Visibility::Listed { end: Xid(end), running: Vec::new() };
    let between = Visibility::Replayed { from: Lsn(5), to: Lsn(15) };
    for (kind, visibility, rows, expect) in [
        (OldTupleKind::Full, listed(9), 2, Some(1)),
        (OldTupleKind::Full, listed(9), 0, None),
        (OldTupleKind::Full, between, 2, None),
        (OldTupleKind::Key, listed(9), 2, None),
        (OldTupleKind::Key, listed(10), 2, Some(2)),
    ] {
        let mut held = Held::default();
        held.on_row(None, Some(OldTuple { kind, tuple: row() }), by);
        let mut bytes = tuple(0, Some(Row { plain: 1, toast: 2 }), true, 0).repeat(rows);
        assert_eq!(held.apply(&visibility, &mut bytes), expect, "{kind:?} {visibility:?}");
        assert_eq!(held.unseen(&visibility).is_none(), visibility == listed(10));
    }
}
