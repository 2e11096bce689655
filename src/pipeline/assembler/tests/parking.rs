//! Tables that are parked and come back, at any time and with crashes anywhere: each change once, in order,
//! and no position twice.

use super::*;
use crate::batch::{Operation, headers};
use crate::parked::{self, Joiner, Kept, PIECE_BYTES, Parked};

const TABLES: [RelationId; 2] = [RelationId(7), RelationId(8)];

/// A transaction: its commit LSN, and whose each change is.
#[derive(Debug)]
struct Mixed {
    commit_lsn: u64,
    changes: Vec<usize>,
}

/// What a topic has: the record's own place, and the one that it had in the stream.
type Written = ((Position, u32), String);

#[derive(Debug, Default)]
struct Topics {
    data: BTreeMap<String, Vec<Written>>,
    parked: Vec<(Vec<u8>, Vec<u8>)>,
    states: BTreeMap<String, Parked>,
    checkpoint: Option<Checkpoint>,
    returned: usize,
}

impl Topics {
    fn commit(&mut self, batch: &Batch) {
        for record in batch.records() {
            let slice = |range: &Option<std::ops::Range<usize>>| {
                range.as_ref().map(|range| batch.slice(range).to_vec()).unwrap_or_default()
            };
            if record.operation == Operation::Parked {
                self.parked.push((slice(&record.key), slice(&record.value)));
                continue;
            }
            let place = (record.position, record.part);
            let was =
                headers(batch.slice(&record.headers)).find(|(name, _)| *name == "walbrook.parked");
            self.returned += usize::from(was.is_some());
            let was = was.and_then(|(_, was)| was).map_or_else(
                || format!("{}.{}", record.position, record.part),
                |was| String::from_utf8_lossy(was).into_owned(),
            );
            let topic = batch.topics.name(record.topic).unwrap().to_owned();
            self.data.entry(topic).or_default().push((place, was));
        }
        for (table, state) in &batch.parked {
            match state {
                Some(state) => drop(self.states.insert(table.clone(), state.clone())),
                None => drop(self.states.remove(table)),
            }
        }
        let checkpoint = batch.checkpoint.clone().unwrap();
        assert_eq!(usize::try_from(checkpoint.parked).unwrap(), self.states.len());
        self.checkpoint = Some(checkpoint);
    }

    /// The changes of a table from an offset on, each with the offset at which it begins.
    fn read(&self, table: &str, from: usize) -> Vec<(i64, Vec<u8>)> {
        let (mut joiner, mut first, mut found) = (Joiner::default(), 0, Vec::new());
        for (offset, (key, value)) in self.parked.iter().enumerate().skip(from) {
            if key != table.as_bytes() {
                continue;
            }
            if !joiner.is_open() {
                first = i64::try_from(offset).unwrap();
            }
            if let Some(change) = joiner.push(value).unwrap() {
                found.push((first, change.to_vec()));
            }
        }
        assert!(!joiner.is_open());
        found
    }
}

fn name(table: usize) -> String {
    format!("public.t{table}")
}

/// What the slot sends; the first of the large values needs two pieces.
fn messages(xacts: &[Mixed], confirmed: Lsn) -> Vec<(Lsn, Vec<u8>)> {
    let mut out = Vec::new();
    for (table, id) in TABLES.iter().enumerate() {
        let name = format!("t{table}");
        let head = [&b"R"[..], &id.0.to_be_bytes(), b"public\0", name.as_bytes()];
        let column = [&b"\0d\0\x01\0n\0"[..], &25_u32.to_be_bytes(), &(-1_i32).to_be_bytes()];
        out.push((Lsn::ZERO, [head.concat(), column.concat()].concat()));
    }
    for Mixed { commit_lsn, changes } in xacts {
        if Lsn(commit_lsn + 8) <= confirmed {
            continue;
        }
        let xid = u32::try_from(*commit_lsn).unwrap().to_be_bytes();
        out.push((
            Lsn(*commit_lsn),
            [&b"B"[..], &commit_lsn.to_be_bytes(), &[0; 8], &xid].concat(),
        ));
        for (at, table) in changes.iter().enumerate() {
            let is_large = at == 0 && commit_lsn % 700 == 0;
            let value = if is_large { "x".repeat(PIECE_BYTES) } else { at.to_string() };
            let length = u32::try_from(value.len()).unwrap().to_be_bytes();
            let insert = [&b"I"[..], &TABLES[*table].0.to_be_bytes(), b"N\0\x01t", &length];
            out.push((Lsn(*commit_lsn - 50), [&insert.concat(), value.as_bytes()].concat()));
        }
        let lsns = [commit_lsn.to_be_bytes(), (commit_lsn + 8).to_be_bytes()].concat();
        out.push((Lsn(*commit_lsn), [&b"C\0"[..], &lsns, &[0; 8]].concat()));
    }
    out
}

/// One process, from the checkpoint on.
struct Life<'a> {
    assembler: Assembler,
    batch: Batch,
    topics: &'a mut Topics,
}

impl Life<'_> {
    fn hand_over(&mut self) {
        self.assembler.seal(&mut self.batch, Lsn::ZERO);
        self.topics.commit(&self.batch);
        self.batch.clear();
    }

    fn plan(&mut self, owner: Owner) {
        if let Owner::Relation(id) = owner
            && self.assembler.is_parked(id)
        {
            self.assembler.park(id, TableFacts::default());
            return;
        }
        let draft = self.assembler.draft(owner, TableFacts::default(), &[]).unwrap().unwrap();
        let ids = vec![SchemaId(1); draft.schemas.len()];
        self.assembler.install(owner, draft, &ids);
    }

    /// Something of a table is refused.
    fn refuse(&mut self, table: String) {
        if self.assembler.parked().contains_key(&table) {
            return;
        }
        self.assembler.begin_parking(Parked {
            format: parked::FORMAT,
            slot: "s".to_owned(),
            table,
            reason: "no".to_owned(),
            subject: None,
            by_broker: false,
            since_us: 0,
            offset: i64::try_from(self.topics.parked.len()).unwrap(),
            passed: 0,
            changes: 0,
            returned: 0,
        });
    }

    /// Brings back so many changes of a table, and releases it if that is all.
    fn bring_back(&mut self, table: &str, changes: usize) {
        let (Some(entrance), Some(state)) =
            (self.assembler.entrance(Lsn::ZERO), self.assembler.parked().get(table).cloned())
        else {
            return;
        };
        let context = Context { now_us: 0 };
        let found = self.topics.read(table, usize::try_from(state.offset).unwrap());
        let mut passed = Passed { offset: state.offset, passed: state.passed, changes: 0 };
        let skip = usize::try_from(state.passed).unwrap();
        self.assembler.begin_return(entrance);
        for (at, (offset, change)) in found.iter().enumerate().take(skip + changes) {
            let kept = Kept::parse(change).unwrap();
            if at < skip {
                self.assembler.pass_over(&kept).unwrap();
                continue;
            }
            while let Step::Need(need) =
                self.assembler.on_returned(&kept, &context, &mut self.batch).unwrap()
            {
                let Need::Plan(owner) = need else { panic!("{need:?}") };
                self.plan(owner);
            }
            if kept.shape.is_some() {
                (passed.offset, passed.passed) = (*offset, 0);
            }
            passed.passed += 1;
            passed.changes += 1;
        }
        self.assembler.end_return(table, passed, &self.batch);
        self.assembler.stop_returning();
        if !self.assembler.has_waiting(table, &self.batch) {
            self.assembler.release(table);
        }
    }

    /// Whether it came to the end.
    fn run(&mut self, draw: &mut Draw, messages: &[(Lsn, Vec<u8>)]) -> bool {
        let (context, crash_at) = (Context { now_us: 0 }, draw.below(250));
        let mut step = 0;
        for (lsn, bytes) in messages {
            let message = Message::parse(bytes).unwrap();
            loop {
                step += 1;
                if step == crash_at {
                    if draw.below(2) == 0 && self.assembler.seal_complete(&mut self.batch) {
                        self.topics.commit(&self.batch);
                    }
                    return false;
                }
                if draw.below(20) == 0 {
                    let mut rest = Batch::default();
                    if self.assembler.seal_apart(&mut self.batch, &mut rest) {
                        self.topics.commit(&self.batch);
                        self.batch = rest;
                    }
                }
                let table = usize::try_from(draw.below(2)).unwrap();
                match draw.below(25) {
                    0 => self.refuse(name(table)),
                    1 | 2 => {
                        let changes = usize::try_from(draw.below(6)).unwrap();
                        self.bring_back(&name(table), changes);
                    }
                    _ => {}
                }
                match self.assembler.on_message(*lsn, &message, &context, &mut self.batch).unwrap()
                {
                    Step::Continue => break,
                    Step::Boundary => {
                        if self.assembler.has_target(&self.batch) || draw.below(5) == 0 {
                            self.hand_over();
                        }
                        break;
                    }
                    Step::Full => self.hand_over(),
                    Step::Need(Need::Plan(owner)) => self.plan(owner),
                    Step::Need(need) => panic!("{need:?}"),
                }
            }
        }
        self.hand_over();
        for table in [name(0), name(1)] {
            while self.assembler.parked().contains_key(&table) {
                self.bring_back(&table, 7);
                self.hand_over();
            }
        }
        true
    }
}

fn check(seed: u64, xacts: &[Mixed], topics: &Topics) {
    let mut all = BTreeSet::new();
    for table in 0..2 {
        let want: Vec<_> = xacts
            .iter()
            .flat_map(|xact| {
                let own = xact.changes.iter().zip(1..).filter(move |(of, _)| **of == table);
                own.map(|(_, ordinal)| {
                    format!("{}.0", Position { commit_lsn: Lsn(xact.commit_lsn), ordinal })
                })
            })
            .collect();
        let written = topics.data.get(&format!("x.{}", name(table))).cloned().unwrap_or_default();
        let was: Vec<_> = written.iter().map(|(_, was)| was.clone()).collect();
        assert_eq!(was, want, "seed {seed}: table {table}");
        assert!(written.is_sorted_by(|(a, _), (b, _)| a < b), "seed {seed}: {written:?}");
        for (place, _) in written {
            assert!(all.insert(place), "seed {seed}: {place:?} comes twice");
        }
    }
    assert!(topics.states.is_empty(), "seed {seed}: {:?}", topics.states);
}

#[test]
fn what_is_parked_comes_back_once_and_in_order_whatever_crashes() {
    let mut returned = 0;
    for seed in 1..=300 {
        let mut draw = Draw(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let xacts: Vec<_> = (0..draw.below(30))
            .map(|at| {
                let changes = if draw.below(8) == 0 { 20 + draw.below(30) } else { draw.below(9) };
                let table = |_| usize::try_from(draw.below(2)).unwrap();
                Mixed { commit_lsn: 1000 + 100 * at, changes: (0..changes).map(table).collect() }
            })
            .collect();
        let target_records = usize::try_from(1 + draw.below(10)).unwrap();
        let max_records = target_records * 2 + usize::try_from(draw.below(20)).unwrap();
        let limits =
            BatchLimits { target_records, max_records, target_bytes: 1 << 20, max_bytes: 1 << 21 };
        let mut topics = Topics::default();
        loop {
            let checkpoint = topics.checkpoint.clone().unwrap_or_else(first_checkpoint);
            // Now and then snapshots count what enters.
            let snapshots = (seed % 2 == 0).then(Snapshots::default);
            let snapshots = checkpoint.snapshots.or(snapshots);
            let checkpoint = Checkpoint { snapshots, ..checkpoint };
            let confirmed = if draw.below(3) == 0 { Lsn::ZERO } else { checkpoint.confirm };
            let position = checkpoint.position;
            let comes_again = 0 < position.ordinal && confirmed <= position.commit_lsn;
            let states = topics.states.values().cloned().collect();
            let assembler = assembler(limits, checkpoint, comes_again).with_parked(states);
            let messages = messages(&xacts, confirmed);
            let mut life = Life { assembler, batch: Batch::default(), topics: &mut topics };
            if life.run(&mut draw, &messages) {
                break;
            }
        }
        check(seed, &xacts, &topics);
        returned += topics.returned;
    }
    assert!(1000 < returned, "{returned} records came back");
}
