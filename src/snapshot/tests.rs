//! The machine under a scheduler, against a model of MVCC: transactions that are flushed and do not
//! show yet, aborts, key changes, unchanged TOAST, truncates, new columns; chunks that are read at
//! any time and arrive at any time, on the primary or on standbys that lag, and go back when they are
//! restarted; crashes anywhere. In the end the last record of every key is what the table has. Of a table without a key what was added and is not gone is what the table has, and
//! its stream begins with its rows.

mod keyless;
mod server;
mod standbys;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use self::server::{Row, Server, Write, Xact, relation_message, tuple};

use super::*;
use crate::position::Xid;
use crate::wal::{Column, Tuples};

const RELATION: RelationId = RelationId(7);
const KEYS: u32 = 12;
const ROWS_MAX: usize = 1;
/// Ids go round while the model runs.
const FIRST_XID: u32 = u32::MAX - 20;

/// A record, as a consumer sees it.
#[derive(Clone, Copy, Debug)]
enum Record {
    /// By the stream; without a TOAST value the consumer keeps the one that it has.
    Written(u32, u32, Option<u32>),
    Gone(u32),
    /// A row of a table without a key.
    Lost(Row),
    /// By a snapshot.
    Read(u32, Row),
    Truncated,
    /// None, but from here on rows are read again.
    Begun,
}

/// What is in Kafka, and what will be there with the next commit.
#[derive(Debug)]
struct Kafka {
    records: Vec<Record>,
    durable: usize,
    /// How far the stream was taken.
    streamed: (usize, usize),
    /// Where it begins, and how much of it comes again.
    first: usize,
    again: usize,
    progress: Progress,
    unsettled: Option<Unsettled>,
}

impl Kafka {
    fn commit(&mut self, machine: &mut Snapshots) {
        for progress in machine.take_progress() {
            self.progress = progress;
        }
        self.durable = self.records.len();
        self.streamed.1 = self.streamed.0 + self.again;
        self.unsettled = machine.unsettled();
    }

    fn crash(&mut self, again: usize) {
        self.records.truncate(self.durable);
        self.again = again.min(self.streamed.1 - self.first);
        self.streamed.0 = self.streamed.1 - self.again;
    }

    /// The last state of each key; `None` for a TOAST value that nobody has.
    fn state(&self) -> BTreeMap<u32, (u32, Option<u32>)> {
        let mut state = BTreeMap::new();
        for record in &self.records {
            match *record {
                Record::Written(key, plain, toast) => {
                    let kept = state.get(&key).and_then(|(_, toast)| *toast);
                    state.insert(key, (plain, toast.or(kept)));
                }
                Record::Gone(key) => drop(state.remove(&key)),
                Record::Lost(_) => panic!("it has a key"),
                Record::Read(key, row) => drop(state.insert(key, (row.plain, Some(row.toast)))),
                Record::Truncated => state.clear(),
                Record::Begun => {}
            }
        }
        state
    }
}

/// Which server the slot is on, and who is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    /// The primary, and it.
    Primary,
    /// The primary, and two standbys.
    Standbys,
    /// A standby, and it.
    Standby,
}

struct Model {
    reads: Reads,
    rng: Rng,
    server: Server,
    /// How much of the log each standby has replayed.
    replayed: [usize; 2],
    kafka: Kafka,
    machine: Snapshots,
    /// Asked for, and what was read of it so far.
    out: Vec<(Request, Option<Chunk>)>,
    /// The columns that the stream has announced in this life.
    announced: Option<usize>,
    /// The columns of what came last.
    columns: usize,
    /// Transactions that wrote to the table before it was published: the stream does not have that.
    hidden: BTreeSet<u32>,
}

impl Model {
    fn new(reads: Reads, is_keyless: bool, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut server = Server::new(&mut rng, is_keyless);
        for _ in 0..rng.usize(..20) {
            Self::live(&mut server, &mut rng);
        }
        // The slot begins here. What is flushed and does not show is neither in the stream nor, yet,
        // in the table.
        let first = server.log.len();
        let mut progress = Progress::new("s".into(), "public.t".into(), RELATION);
        if !is_keyless {
            let bound = Some(vec![rng.u32(..KEYS).to_string()]);
            progress.state = State::Reading;
            progress.key = vec!["key".into()];
            let first = Range { after: None, to: bound.clone() };
            progress.ranges = vec![first, Range { after: bound, to: None }];
            progress.unsettled = Some(server.unsettled());
        }
        let mut records = Vec::new();
        if !is_keyless && rng.u8(..3) == 0 {
            // Nothing is known of the topic, but that each key may be wrong.
            progress.ranges.clear();
            progress = progress.repairing("gap".into(), (0..KEYS).map(server::wire_key));
            let keys = (0..KEYS).filter(|_| rng.bool());
            records = keys.map(|key| Record::Written(key, 7, Some(7))).collect();
        }
        let streamed = (first, first);
        let kafka = Kafka {
            durable: records.len(),
            records,
            streamed,
            first,
            again: 0,
            progress,
            unsettled: None,
        };
        let machine = Snapshots::new(LIMITS, None);
        // A slot on a standby begins where that is.
        let replayed = [first, rng.usize(..=first)];
        let open = server.live.iter().filter(|xact| xact.commit_lsn.is_none());
        let hidden = open.map(|xact| xact.xid).filter(|_| rng.bool()).collect();
        let (out, announced, columns) = (Vec::new(), None, 0);
        let mut model =
            Self { reads, rng, server, replayed, kafka, machine, out, announced, columns, hidden };
        model.machine = model.machine();
        model
    }

    fn machine(&self) -> Snapshots {
        let streamed = Lsn(self.server.replayed(self.kafka.streamed.1));
        let machine = Snapshots::new(LIMITS, self.kafka.unsettled);
        let mut machine = match self.reads {
            Reads::Primary => machine,
            Reads::Standbys | Reads::Standby => machine.on_standbys(streamed),
        };
        if self.kafka.progress.state == State::Reading {
            machine.begin(self.kafka.progress.clone(), self.kafka.unsettled, None);
        }
        machine
    }

    /// How much of the log the slot's server has.
    fn available(&self) -> usize {
        match self.reads {
            Reads::Primary | Reads::Standbys => self.server.log.len(),
            Reads::Standby => self.replayed[0],
        }
    }

    /// What a snapshot of the slot's server shows.
    fn look(&mut self) {
        let (visibility, logged) = match self.reads {
            Reads::Primary | Reads::Standbys => (self.server.visibility(), self.server.lsn),
            Reads::Standby => {
                let replayed = self.replayed[0];
                (self.server.ended(replayed), self.server.replayed(replayed))
            }
        };
        self.machine.on_visibility(&visibility, Lsn(logged));
    }

    fn replay(&mut self) {
        let replayed = &mut self.replayed[self.rng.usize(..2)];
        *replayed = (*replayed + self.rng.usize(..3)).min(self.server.log.len());
    }

    /// A standby is restarted, and has replayed less. So does who streams from it.
    fn go_back(&mut self) {
        if self.reads == Reads::Standby {
            self.crash();
            self.replayed[0] -= self.rng.usize(..=self.replayed[0].min(3));
        } else {
            let replayed = &mut self.replayed[self.rng.usize(..2)];
            *replayed -= self.rng.usize(..=3.min(*replayed));
        }
    }

    fn live(server: &mut Server, rng: &mut Rng) {
        match rng.u8(..6) {
            0 | 1 => server.begin(rng),
            2 | 3 => server.flush(rng),
            _ => server.show(rng),
        }
    }

    fn step(&mut self) {
        match self.rng.u8(..if self.reads == Reads::Primary { 26 } else { 30 }) {
            0..=8 => Self::live(&mut self.server, &mut self.rng),
            9..=12 => self.stream(),
            13 => self.ask(),
            14..=16 => self.read(),
            17..=18 => self.arrive(),
            19 => self.enter(),
            20 => self.look(),
            21 => self.fail(),
            22 => self.kafka.commit(&mut self.machine),
            23 => self.told(),
            24 if self.is_unseen() => self.begin(),
            24 | 25 if self.rng.u8(..4) == 0 => self.crash(),
            26 if self.rng.u8(..4) == 0 => self.go_back(),
            27.. => self.replay(),
            _ => {}
        }
    }

    /// The stream brings its next transaction.
    fn stream(&mut self) {
        if self.available() <= self.kafka.streamed.0 {
            return;
        }
        let Some((xact, columns)) = self.server.log.get(self.kafka.streamed.0).cloned() else {
            return;
        };
        self.kafka.streamed.0 += 1;
        let commit_lsn = xact.commit_lsn.unwrap();
        let begin = [&b"B"[..], &commit_lsn.to_be_bytes(), &[0; 8], &xact.xid.to_be_bytes()];
        let mut messages = vec![begin.concat()];
        let (is_active, is_keyless) = (self.machine.is_active(), self.server.is_keyless);
        let relation = RELATION.0.to_be_bytes();
        // The slot may send again what is in Kafka.
        let is_new = self.kafka.again == 0;
        self.kafka.again = self.kafka.again.saturating_sub(1);
        let mut records = Vec::new();
        // All of a transaction is left out, or nothing: rows enter between two.
        let mut is_held = self.machine.held().any(|it| it == RELATION);
        let writes = if self.hidden.contains(&xact.xid) { &[][..] } else { &xact.writes };
        for write in writes {
            let is_row = !matches!(write, Write::AddColumn);
            if is_row && is_new && self.is_unseen() {
                messages.drain(..).for_each(|message| self.tell(&message, is_new));
                self.begin();
                is_held = true;
            }
            if is_row && self.announced != Some(columns) {
                self.announced = Some(columns);
                self.columns = columns;
                messages.push(relation_message(columns));
            }
            match write {
                Write::AddColumn => {}
                Write::Delete(_, row) if is_keyless => {
                    records.push(Record::Lost(*row));
                    let old = tuple(0, Some(*row), true, columns);
                    messages.push([&b"D"[..], &relation, b"O", &old].concat());
                }
                Write::Delete(key, _) => {
                    records.push(Record::Gone(*key));
                    let old = tuple(*key, None, false, columns);
                    messages.push([&b"D"[..], &relation, b"K", &old].concat());
                }
                Write::Insert(key, row) => {
                    records.push(Record::Written(*key, row.plain, Some(row.toast)));
                    let new = tuple(self.server.shown(*key), Some(*row), true, columns);
                    messages.push([&b"I"[..], &relation, b"N", &new].concat());
                }
                Write::Update(_, _, [old, new], is_new) if is_keyless => {
                    records.extend([
                        Record::Lost(*old),
                        Record::Written(0, new.plain, Some(new.toast)),
                    ]);
                    let old = tuple(0, Some(*old), true, columns);
                    let new = tuple(0, Some(*new), *is_new, columns);
                    messages.push([&b"U"[..], &relation, b"O", &old, b"N", &new].concat());
                }
                Write::Update(from, to, [_, row], is_new) => {
                    let mut toast = is_new.then_some(row.toast);
                    let mut update = [&b"U"[..], &relation].concat();
                    if from != to {
                        records.push(Record::Gone(*from));
                        // Behind a snapshot this is a limit of the stream, and said elsewhere.
                        toast = if is_active { toast } else { Some(row.toast) };
                        update.push(b'K');
                        update.extend(tuple(*from, None, false, columns));
                    }
                    records.push(Record::Written(*to, row.plain, toast));
                    update.push(b'N');
                    update.extend(tuple(*to, Some(*row), *is_new, columns));
                    messages.push(update);
                }
                Write::Truncate => {
                    records.push(Record::Truncated);
                    messages.push([&b"T\0\0\0\x01\0"[..], &relation].concat());
                }
            }
        }
        let lsns = [commit_lsn.to_be_bytes(), (commit_lsn + 8).to_be_bytes()].concat();
        messages.push([&b"C\0"[..], &lsns, &[0; 8]].concat());
        messages.iter().for_each(|message| self.tell(message, is_new));
        if is_new && !is_held {
            self.kafka.records.extend(records);
        }
    }

    fn tell(&mut self, message: &[u8], is_new: bool) {
        self.machine.on_message(&Message::parse(message).unwrap(), is_new);
    }

    fn ask(&mut self) {
        self.out.extend(self.machine.next_request(|_| Some(0)).map(|request| (request, None)));
    }

    /// A reader takes its snapshot.
    fn read(&mut self) {
        let open = self.out.iter_mut().filter(|(_, chunk)| chunk.is_none());
        let Some((request, chunk)) = self.rng.choice(open.collect::<Vec<_>>()) else { return };
        if self.reads != Reads::Primary {
            let which = if self.reads == Reads::Standby { 0 } else { self.rng.usize(..2) };
            let replayed = self.replayed[which];
            if request.replayed <= Lsn(self.server.replayed(replayed)) {
                *chunk = Some(self.server.read_replayed(replayed, &request.part, &mut self.rng));
            }
        // Who rewrites the table holds the lock until it shows.
        } else if !self.server.live.iter().any(Xact::locks_all) {
            *chunk = Some(self.server.read(&request.part));
        }
    }

    fn arrive(&mut self) {
        let read: Vec<usize> = (0..self.out.len()).filter(|at| self.out[*at].1.is_some()).collect();
        let Some(at) = self.rng.choice(read) else { return };
        let (request, chunk) = self.out.remove(at);
        self.machine.on_chunk(request.id, chunk.unwrap());
    }

    fn fail(&mut self) {
        if !self.out.is_empty() {
            let at = self.rng.usize(..self.out.len());
            let (request, _) = self.out.remove(at);
            self.machine.on_failed(request.id);
        }
    }

    /// An operator lets it pause, or go on, or be read again.
    fn told(&mut self) {
        match self.rng.u8(..8) {
            0..4 if !self.server.is_keyless && !self.machine.is_active() => self.harm(),
            0 if !self.server.is_keyless && self.kafka.progress.gap.is_none() => {
                self.machine.end(RELATION);
                let progress = Progress {
                    state: State::Reading,
                    key: vec!["key".into()],
                    ranges: vec![Range::default()],
                    unsettled: Some(self.server.unsettled()),
                    ..Progress::new("s".into(), "public.t".into(), RELATION)
                };
                let announced = self.announced.map(server::relation);
                self.kafka.records.push(Record::Begun);
                self.machine.begin(progress, None, announced.as_ref());
            }
            1 | 2 => {
                let _ = self.machine.pause(RELATION, true);
                assert!(self.machine.next_request(|_| Some(0)).is_none(), "it is paused");
            }
            _ => {
                let _ = self.machine.pause(RELATION, false);
            }
        }
    }

    /// Somebody harms the topic: keys are gone, or come from nowhere. It is told which.
    fn harm(&mut self) {
        self.kafka.commit(&mut self.machine);
        let keys: Vec<u32> = (0..KEYS).filter(|_| self.rng.bool()).collect();
        for key in &keys {
            match self.rng.u8(..3) {
                0 => self.kafka.records.push(Record::Gone(*key)),
                1 => self.kafka.records.push(Record::Written(*key, 7, Some(7))),
                _ => {}
            }
        }
        self.kafka.records.push(Record::Begun);
        let keys = keys.into_iter().map(server::wire_key);
        let progress = Progress {
            key: vec!["key".into()],
            unsettled: Some(self.server.unsettled()),
            ..Progress::new("s".into(), "public.t".into(), RELATION)
        };
        let announced = self.announced.map(server::relation);
        self.machine.begin(progress.repairing("gap".into(), keys), None, announced.as_ref());
        self.kafka.commit(&mut self.machine);
    }

    /// Between two transactions.
    fn enter(&mut self) {
        let streamed = match self.server.log.get(self.kafka.streamed.0) {
            Some((next, _)) if self.kafka.streamed.0 < self.available() => next.commit_lsn.unwrap(),
            // A keep-alive.
            _ => self.server.replayed(self.kafka.streamed.0),
        };
        let is_due = self.machine.is_due(Lsn(streamed));
        let size = self.machine.next_size(Lsn(streamed));
        assert_eq!(is_due, size.is_some());
        let Some(Entry { chunk, gap, absent }) = self.machine.next_entry(Lsn(streamed)) else {
            return;
        };
        assert!(is_due);
        let is_first = self.kafka.records.is_empty();
        assert!(is_first || !self.server.is_keyless, "the stream begins with the rows");
        // Or the stream would go back behind it.
        for (xact, _) in &self.server.log[self.kafka.streamed.0..] {
            let commit_lsn = Lsn(xact.commit_lsn.unwrap());
            let by = Streamed { xid: Xid(xact.xid), commit_lsn };
            assert_ne!(chunk.visibility.verdict(by), Verdict::Seen, "it was streamed: {by:?}");
        }
        let columns = chunk.relation.columns.len() - 3;
        assert!(self.columns <= columns, "a shape is not gone back to");
        self.columns = columns;
        let rows: Vec<_> = Tuples::new(&chunk.rows).map_while(Result::ok).collect();
        assert_eq!(u64::try_from(rows.len()).unwrap(), chunk.count);
        assert!(size.is_some_and(|(rows, bytes)| chunk.count <= rows && chunk.rows.len() <= bytes));
        let number = |column| match column {
            Column::Text(text) => std::str::from_utf8(text).unwrap().parse().unwrap(),
            _ => panic!("a snapshot has every value"),
        };
        assert!(gap.is_some() || absent.is_empty(), "of a key that was not read nothing is said");
        for row in Tuples::new(&absent).map_while(Result::ok) {
            assert_eq!(row.len(), chunk.relation.columns.len());
            let key = row.columns().next().unwrap();
            assert!(!rows.iter().any(|row| row.columns().next() == Some(key)), "it is there");
            self.kafka.records.push(Record::Gone(number(key)));
        }
        for row in rows {
            let [key, plain, toast]: [u32; 3] =
                row.columns().take(3).map(number).collect::<Vec<_>>().try_into().unwrap();
            self.kafka.records.push(Record::Read(key, Row { plain, toast }));
        }
        // Or it is told to stop.
        if self.rng.u8(..8) == 0 {
            self.crash();
        } else {
            self.machine.on_entered(RELATION);
        }
    }

    fn crash(&mut self) {
        self.kafka.crash(self.rng.usize(..3));
        self.out.clear();
        self.announced = None;
        self.columns = 0;
        self.machine = self.machine();
    }

    /// Everything comes to an end.
    fn finish(&mut self) {
        let mut turns = 0;
        let is_unseen = |it: &Self| it.server.is_keyless && it.is_unseen();
        while is_unseen(self)
            || self.machine.is_active()
            || !self.server.live.is_empty()
            || self.is_behind()
        {
            let _ = self.machine.pause(RELATION, false);
            if is_unseen(self) {
                self.begin();
            }
            self.server.flush(&mut self.rng);
            self.server.show(&mut self.rng);
            self.replay();
            self.stream();
            self.look();
            self.ask();
            self.read();
            self.arrive();
            self.enter();
            self.kafka.commit(&mut self.machine);
            turns += 1;
            assert!(turns < 10_000, "it comes to an end: {:?}", self.machine);
        }
    }

    fn is_behind(&self) -> bool {
        self.kafka.streamed.0 < self.server.log.len()
    }

    /// The last record of every key is what the table has, and nothing was read without need.
    fn check(&self) {
        let table = self.server.rows.iter();
        let table: BTreeMap<_, _> =
            table.map(|(key, row)| (*key, (row.plain, Some(row.toast)))).collect();
        assert_eq!(self.kafka.state(), table, "{:#?}", self.kafka.records);
        let anew = self.kafka.records.iter().rev().take_while(|it| !matches!(it, Record::Begun));
        let reads = anew.filter(|it| matches!(it, Record::Read(..)));
        assert_eq!(u64::try_from(reads.count()).unwrap(), self.kafka.progress.rows);
        for key in 0..KEYS {
            let mut is_read = false;
            for record in &self.kafka.records {
                match *record {
                    Record::Read(it, _) if it == key => {
                        assert!(!is_read, "key {key} is read again: {:#?}", self.kafka.records);
                        is_read = true;
                    }
                    Record::Gone(it) | Record::Written(it, ..) if it == key => is_read = false,
                    Record::Begun | Record::Truncated => is_read = false,
                    _ => {}
                }
            }
        }
    }
}

/// The keys that are touched are too many now and then.
const LIMITS: Limits = Limits { chunks: 3, touched_bytes: 600 };

/// Who has no place is not asked for.
#[test]
fn the_table_of_the_first_place_is_read_first() {
    let mut machine = Snapshots::new(Limits { chunks: 3, touched_bytes: 1 << 20 }, None);
    for id in 1..=3 {
        let progress = Progress::new("s".into(), "public.t".into(), RelationId(id));
        let (key, ranges) = (vec!["key".into()], vec![Range::default()]);
        machine.begin(Progress { key, ranges, ..progress }, None, None);
    }
    let place = |RelationId(id)| [None, Some(1), None, Some(0)][id as usize];
    let asked: Vec<_> =
        (0..3).map(|_| machine.next_request(place).map(|it| it.relation.0)).collect();
    assert_eq!(asked, [Some(3), Some(1), None]);
}

#[test]
fn the_last_record_of_every_key_is_what_the_table_has() {
    hold(Reads::Primary, false, 0..3000);
}

#[test]
fn so_it_is_where_standbys_are_read() {
    hold(Reads::Standbys, false, 0..1000);
    hold(Reads::Standby, false, 0..1500);
}

fn hold(reads: Reads, is_keyless: bool, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        println!("{reads:?}, seed {seed}");
        let mut model = Model::new(reads, is_keyless, seed);
        for _ in 0..300 {
            model.step();
        }
        model.finish();
        if is_keyless { model.check_keyless() } else { model.check() }
    }
}
