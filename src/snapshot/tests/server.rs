//! A PostgreSQL with one table, as far as visibility goes.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::super::*;
use super::{FIRST_XID, KEYS, RELATION, ROWS_MAX};
use crate::position::Xid;
use crate::wal::{ReplicaIdentity, Tuples};

/// Of rows without a key so many are different.
const ALIKE: u32 = 3;

/// A row: a value that is always sent, and one that is sent only when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) plain: u32,
    pub(super) toast: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Write {
    AddColumn,
    Delete(u32, Row),
    Insert(u32, Row),
    /// Its key, the one that it gets, what it was and becomes, and whether its TOAST value changes.
    Update(u32, u32, [Row; 2], bool),
    Truncate,
}

#[derive(Clone, Debug)]
pub(super) struct Xact {
    pub(super) xid: u32,
    pub(super) writes: Vec<Write>,
    /// The LSN of its commit record, once that is flushed.
    pub(super) commit_lsn: Option<u64>,
}

impl Xact {
    pub(super) fn locks(&self, key: u32) -> bool {
        self.writes.iter().any(|write| match write {
            Write::AddColumn | Write::Truncate => true,
            Write::Delete(it, _) | Write::Insert(it, _) => *it == key,
            Write::Update(from, to, ..) => *from == key || *to == key,
        })
    }

    pub(super) fn locks_all(&self) -> bool {
        self.writes.iter().any(|write| matches!(write, Write::AddColumn | Write::Truncate))
    }
}

/// A PostgreSQL with one table, as far as visibility goes.
#[derive(Debug)]
pub(super) struct Server {
    /// Whether keys are only where rows lie, and some rows are alike.
    pub(super) is_keyless: bool,
    /// What shows.
    pub(super) rows: BTreeMap<u32, Row>,
    /// How many columns were added.
    pub(super) columns: usize,
    /// In progress, or flushed and not showing yet.
    pub(super) live: Vec<Xact>,
    /// What is flushed, in the order of commits, with the number of columns that its rows have.
    pub(super) log: Vec<(Xact, usize)>,
    pub(super) next_xid: u32,
    pub(super) lsn: u64,
    pub(super) next_value: u32,
    /// What was there before the log.
    first: BTreeMap<u32, Row>,
}

impl Server {
    pub(super) fn new(rng: &mut Rng, is_keyless: bool) -> Self {
        let rows = (0..KEYS).filter(|_| rng.bool());
        let number = |key| if is_keyless { key % ALIKE } else { key };
        let row = |key| Row { plain: number(key), toast: 1000 + number(key) };
        let rows: BTreeMap<_, _> = rows.map(|key| (key, row(key))).collect();
        let first = rows.clone();
        let (next_xid, lsn, next_value) = (FIRST_XID, FIRST_LSN, 100);
        let (live, log) = (Vec::new(), Vec::new());
        Self { is_keyless, rows, columns: 0, live, log, next_xid, lsn, next_value, first }
    }

    /// The key as it stands in a row.
    pub(super) fn shown(&self, key: u32) -> u32 {
        if self.is_keyless { 0 } else { key }
    }

    /// A transaction begins and makes its writes, as far as locks permit.
    pub(super) fn begin(&mut self, rng: &mut Rng) {
        let xid = self.next_xid;
        self.next_xid = xid.wrapping_add(1);
        // PostgreSQL gives away none that is not normal.
        if self.next_xid == 0 {
            self.next_xid = 3;
        }
        let mut xact = Xact { xid, writes: Vec::new(), commit_lsn: None };
        if rng.u8(..12) == 0 && self.live.is_empty() {
            xact.writes.push(if rng.bool() { Write::Truncate } else { Write::AddColumn });
        }
        for _ in 0..rng.usize(1..4) {
            if let Some(write) = self.write(rng, &xact) {
                xact.writes.push(write);
            }
        }
        self.live.push(xact);
    }

    /// A write that waits for nobody.
    pub(super) fn write(&mut self, rng: &mut Rng, own: &Xact) -> Option<Write> {
        let is_locked = |key| {
            own.locks(key) || self.live.iter().any(|live| live.locks(key) || live.locks_all())
        };
        let (key, other) = (rng.u32(..KEYS), rng.u32(..KEYS));
        if is_locked(key) || own.locks_all() {
            return None;
        }
        self.next_value += 1;
        let plain = if self.is_keyless { self.next_value % ALIKE } else { self.next_value };
        let Some(row) = self.rows.get(&key).copied() else {
            return Some(Write::Insert(key, Row { plain, toast: plain }));
        };
        let is_new = rng.bool();
        let new = Row { plain, toast: if is_new { plain } else { row.toast } };
        match rng.u8(..6) {
            0 => Some(Write::Delete(key, row)),
            1 if !is_locked(other) && !self.rows.contains_key(&other) => {
                Some(Write::Update(key, other, [row, new], is_new))
            }
            _ => Some(Write::Update(key, key, [row, new], is_new)),
        }
    }

    /// A commit record is flushed: the walsender may send the transaction from now on.
    pub(super) fn flush(&mut self, rng: &mut Rng) {
        let open: Vec<usize> =
            (0..self.live.len()).filter(|at| self.live[*at].commit_lsn.is_none()).collect();
        let Some(at) = rng.choice(open) else { return };
        if rng.u8(..8) == 0 {
            self.live.remove(at);
            return;
        }
        self.lsn += 8;
        self.live[at].commit_lsn = Some(self.lsn);
        let xact = self.live[at].clone();
        let is_ddl = xact.writes.iter().any(|write| matches!(write, Write::AddColumn));
        self.log.push((xact, self.columns + usize::from(is_ddl)));
        self.lsn += 8;
    }

    /// A transaction that is flushed begins to show, in any order.
    pub(super) fn show(&mut self, rng: &mut Rng) {
        let flushed: Vec<usize> =
            (0..self.live.len()).filter(|at| self.live[*at].commit_lsn.is_some()).collect();
        let Some(at) = rng.choice(flushed) else { return };
        let writes = self.live.remove(at).writes;
        self.columns += apply(&mut self.rows, &writes);
    }

    pub(super) fn visibility(&self) -> Visibility {
        // The first one behind all that have ended.
        let ended = |xid: &u32| !self.live.iter().any(|live| live.xid == *xid);
        let mut end = self.next_xid;
        loop {
            let before = if end == 3 { u32::MAX } else { end.wrapping_sub(1) };
            if end == FIRST_XID || ended(&before) {
                break;
            }
            end = before;
        }
        let running = self.live.iter().map(|live| Xid(live.xid));
        let running = running.filter(|xid| xid.0.wrapping_sub(end).cast_signed() < 0).collect();
        Visibility::Listed { end: Xid(end), running }
    }

    /// What has to show before a table is read for the first time.
    pub(super) fn unsettled(&self) -> Unsettled {
        Unsettled::all_before(Xid(self.next_xid), Lsn(self.lsn))
    }

    pub(super) fn read(&self, part: &Part) -> Chunk {
        self.chunk(&self.rows, self.columns, part, self.visibility(), self.lsn)
    }

    /// Reads on a standby that has replayed so many transactions.
    pub(super) fn read_replayed(&self, applied: usize, part: &Part, rng: &mut Rng) -> Chunk {
        let (mut rows, mut columns) = (self.first.clone(), 0);
        for (xact, _) in &self.log[..applied] {
            columns += apply(&mut rows, &xact.writes);
        }
        let from = Lsn(self.replayed(applied.saturating_sub(rng.usize(..3))));
        let end = rng.u64(self.replayed(applied)..=self.lsn);
        let to = Lsn(rng.u64(self.replayed(applied)..=end));
        self.chunk(&rows, columns, part, Visibility::Replayed { from, to }, end)
    }

    fn chunk(
        &self,
        rows: &BTreeMap<u32, Row>,
        columns: usize,
        part: &Part,
        visibility: Visibility,
        end: u64,
    ) -> Chunk {
        let number = |bound: &Bound| bound[0].parse::<u32>().unwrap();
        let mut rows: Vec<(u32, Row)> = match part {
            Part::Keys(keys) => {
                let is_wanted = |key: &u32| keys.contains(&wire_key(*key));
                rows.iter().map(|(k, r)| (*k, *r)).filter(|(k, _)| is_wanted(k)).collect()
            }
            Part::Range(Range { after, to }) => {
                let from = after.as_ref().map_or(0, |after| number(after) + 1);
                let to = to.as_ref().map_or(KEYS, |to| number(to) + 1);
                rows.range(from..to.max(from)).map(|(k, r)| (*k, *r)).collect()
            }
        };
        let is_all = self.is_keyless || rows.len() <= ROWS_MAX;
        rows.truncate(if is_all { rows.len() } else { ROWS_MAX });
        let count = u64::try_from(rows.len()).unwrap();
        let last = rows.last().filter(|_| !is_all).map(|(key, _)| vec![key.to_string()]);
        let tuple = |(key, row): &_| tuple(self.shown(*key), Some(*row), true, columns);
        let rows = rows.iter().flat_map(tuple).collect();
        let (relation, end) = (relation(columns), Lsn(end));
        Chunk { relation, visibility, end, taken_us: 0, rows, count, last }
    }

    /// The end of the last of so many transactions.
    pub(super) fn replayed(&self, applied: usize) -> u64 {
        let last = applied.checked_sub(1).and_then(|last| self.log[last].0.commit_lsn);
        last.map_or(FIRST_LSN, |begin| begin + 8)
    }

    /// What a standby that has replayed so many lists: everything before the first that has not ended.
    pub(super) fn ended(&self, applied: usize) -> Visibility {
        let waiting = self.log[applied..].iter().map(|(xact, _)| xact);
        let open = self.live.iter().filter(|xact| xact.commit_lsn.is_none());
        let age = |xid: u32| self.next_xid.wrapping_sub(xid);
        let first = waiting.chain(open).map(|xact| xact.xid).max_by_key(|xid| age(*xid));
        Visibility::Listed { end: Xid(first.unwrap_or(self.next_xid)), running: Vec::new() }
    }
}

/// Makes writes; how many columns they add.
fn apply(rows: &mut BTreeMap<u32, Row>, writes: &[Write]) -> usize {
    for write in writes {
        match *write {
            Write::AddColumn => {}
            Write::Delete(key, _) => drop(rows.remove(&key)),
            Write::Insert(key, row) => drop(rows.insert(key, row)),
            Write::Update(from, to, [_, row], _) => {
                rows.remove(&from);
                rows.insert(to, row);
            }
            Write::Truncate => rows.clear(),
        }
    }
    writes.iter().filter(|write| matches!(write, Write::AddColumn)).count()
}

const FIRST_LSN: u64 = 1000;

pub(super) fn relation(columns: usize) -> Relation {
    let names = ["key", "plain", "toast"].map(str::to_owned).into_iter();
    let more = (0..columns).map(|number| format!("more{number}"));
    let column = |name: String| crate::wal::RelationColumn {
        is_identity: name == "key",
        name,
        type_oid: 25,
        type_modifier: -1,
    };
    Relation {
        id: RELATION,
        namespace: "public".into(),
        name: "t".into(),
        identity: ReplicaIdentity::Default,
        columns: names.chain(more).map(column).collect(),
    }
}

pub(super) fn relation_message(columns: usize) -> Vec<u8> {
    let relation = relation(columns);
    let count = u16::try_from(relation.columns.len()).unwrap().to_be_bytes();
    let mut out = [&b"R"[..], &RELATION.0.to_be_bytes(), b"public\0t\0d", &count].concat();
    for column in relation.columns {
        out.push(u8::from(column.is_identity));
        out.extend_from_slice(column.name.as_bytes());
        out.push(0);
        out.extend_from_slice(&25_u32.to_be_bytes());
        out.extend_from_slice(&(-1_i32).to_be_bytes());
    }
    out
}

/// A row as the stream carries it; without values, its key.
pub(super) fn tuple(key: u32, row: Option<Row>, has_toast: bool, columns: usize) -> Vec<u8> {
    let mut out = u16::try_from(3 + columns).unwrap().to_be_bytes().to_vec();
    let mut text = |value: Option<u32>, absent: u8| match value {
        Some(value) => {
            let value = value.to_string();
            out.push(b't');
            out.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
            out.extend_from_slice(value.as_bytes());
        }
        None => out.push(absent),
    };
    text(Some(key), b'n');
    text(row.map(|row| row.plain), b'n');
    text(row.filter(|_| has_toast).map(|row| row.toast), if row.is_some() { b'u' } else { b'n' });
    (0..columns).for_each(|_| text(None, b'n'));
    out
}

pub(super) fn wire_key(key: u32) -> Box<[u8]> {
    let row = tuple(key, None, false, 0);
    let mut out = Vec::new();
    assert!(key::project(
        Tuples::new(&row).map_while(Result::ok).next().unwrap(),
        None,
        &[0],
        &mut out
    ));
    out.into()
}
