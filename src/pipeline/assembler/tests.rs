//! The assembler under a scheduler: random transactions, random limits, crashes at every step. The
//! model of PostgreSQL sends what a slot would, the model of Kafka keeps what was committed.

use std::collections::BTreeSet;

use super::*;
use crate::checkpoint::{FORMAT, State, Stream};
use crate::config::{Before, Format, Records, Tables, Timestamp};
use crate::encode::Values;

const RELATION: RelationId = RelationId(7);

/// A transaction of the model: its commit LSN and how many changes it has.
#[derive(Clone, Copy, Debug)]
struct ModelXact {
    commit_lsn: u64,
    changes: u64,
}

impl ModelXact {
    fn end_lsn(self) -> Lsn {
        Lsn(self.commit_lsn + 8)
    }

    /// Its messages, each with the LSN at which it stands. Neighbours share an LSN, as COPY's do.
    fn messages(self, out: &mut Vec<(Lsn, Vec<u8>)>) {
        let begin = [&b"B"[..], &self.commit_lsn.to_be_bytes(), &[0; 8], &xid(self).to_be_bytes()];
        out.push((Lsn(self.commit_lsn), begin.concat()));
        for change in 0..self.changes {
            let lsn = Lsn(self.commit_lsn - 50 + change / 3);
            let value = change.to_string();
            let length = u32::try_from(value.len()).unwrap().to_be_bytes();
            let insert = [&b"I"[..], &RELATION.0.to_be_bytes(), b"N", &[0, 1], b"t", &length];
            out.push((lsn, [insert.concat().as_slice(), value.as_bytes()].concat()));
        }
        let lsns = [self.commit_lsn.to_be_bytes(), self.end_lsn().0.to_be_bytes()].concat();
        out.push((Lsn(self.commit_lsn), [&b"C\0"[..], &lsns, &[0; 8]].concat()));
    }
}

fn xid(xact: ModelXact) -> u32 {
    u32::try_from(xact.commit_lsn).unwrap()
}

fn relation_message() -> (Lsn, Vec<u8>) {
    let head = [&b"R"[..], &RELATION.0.to_be_bytes(), b"public\0t\0d", &[0, 1]];
    let column = [&b"\0n\0"[..], &20_u32.to_be_bytes(), &(-1_i32).to_be_bytes()];
    (Lsn::ZERO, [head.concat(), column.concat()].concat())
}

/// What is committed in the model of Kafka.
#[derive(Debug)]
struct Kafka {
    /// Each with the number of its Kafka transaction.
    records: Vec<(Position, u64)>,
    checkpoint: Checkpoint,
    txns: u64,
}

impl Kafka {
    fn commit(&mut self, batch: &Batch) {
        for record in batch.records() {
            self.records.push((record.position, self.txns));
        }
        self.checkpoint = batch.checkpoint.clone().unwrap();
        self.txns += 1;
    }
}

fn first_checkpoint() -> Checkpoint {
    Checkpoint {
        format: FORMAT,
        pipeline: "p".to_owned(),
        system_identifier: "1".to_owned(),
        timeline: 1,
        slot: "s".to_owned(),
        state: State::Streaming,
        stream: Stream {
            publications: vec!["p".to_owned()],
            messages: false,
            oids: BTreeMap::new(),
        },
        position: Position::ZERO,
        confirm: Lsn::ZERO,
        inside: None,
        accepted: None,
    }
}

fn settings() -> Settings {
    Settings {
        prefix: "x".to_owned(),
        database: "d".to_owned(),
        tables: Tables {
            before: Before::Separate,
            tombstones: true,
            truncate: true,
            key_format: Format::Avro,
            value_format: Format::Avro,
        },
        values: Values::default(),
        outboxes: Vec::new(),
        message_outbox: None,
        records: Records { timestamp: Timestamp::Commit, position_headers: true },
    }
}

fn assembler(limits: BatchLimits, checkpoint: Checkpoint) -> Assembler {
    Assembler::new(settings(), limits, None, false, checkpoint)
}

/// A generator of numbers that needs no crate: xorshift.
#[derive(Debug)]
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Everything that a slot confirmed at `confirmed` sends.
fn stream(xacts: &[ModelXact], confirmed: Lsn) -> Vec<(Lsn, Vec<u8>)> {
    let mut messages = vec![relation_message()];
    for xact in xacts.iter().filter(|xact| confirmed < xact.end_lsn()) {
        xact.messages(&mut messages);
    }
    messages
}

/// Runs one life from the checkpoint on; ends at a random step, or when all is committed.
fn live(draw: &mut Draw, xacts: &[ModelXact], limits: BatchLimits, kafka: &mut Kafka) -> bool {
    // The slot is confirmed at or before the checkpoint (I1), at the end of some transaction.
    let ends =
        xacts.iter().map(|xact| xact.end_lsn()).filter(|end| *end <= kafka.checkpoint.confirm);
    let confirmed = ends.filter(|_| draw.below(3) != 0).last().unwrap_or(Lsn::ZERO);
    let mut assembler = assembler(limits, kafka.checkpoint.clone());
    let mut batch = Batch::default();
    let context = Context { now_us: 0 };
    let crash_at = draw.below(300);
    let mut step = 0;
    for (lsn, bytes) in stream(xacts, confirmed) {
        let message = Message::parse(&bytes).unwrap();
        loop {
            step += 1;
            if step == crash_at {
                return false;
            }
            match assembler.on_message(lsn, &message, &context, &mut batch).unwrap() {
                Step::Continue => break,
                Step::Boundary => {
                    if assembler.has_target(&batch) || draw.below(5) == 0 {
                        hand_over(&mut assembler, &mut batch, kafka);
                    }
                    break;
                }
                Step::Full => hand_over(&mut assembler, &mut batch, kafka),
                Step::Need(Need::Plan(owner)) => {
                    let draft = assembler.draft(owner, TableFacts::default()).unwrap().unwrap();
                    let ids = vec![SchemaId(1); draft.schemas.len()];
                    assembler.install(owner, draft, &ids);
                }
                Step::Need(Need::Route(..)) => panic!("a table needs no route"),
            }
        }
    }
    if draw.below(2) == 0 {
        hand_over(&mut assembler, &mut batch, kafka);
    } else if assembler.seal_complete(&mut batch) {
        kafka.commit(&batch);
    }
    true
}

fn hand_over(assembler: &mut Assembler, batch: &mut Batch, kafka: &mut Kafka) {
    assembler.seal(batch, Lsn::ZERO);
    assert!(kafka.checkpoint.position <= batch.checkpoint.as_ref().unwrap().position);
    kafka.commit(batch);
    batch.clear();
}

#[test]
fn every_change_is_committed_once_in_order_whatever_crashes() {
    for seed in 1..=300 {
        let mut draw = Draw(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut lsn = 1000;
        let xacts: Vec<ModelXact> = (0..draw.below(30))
            .map(|_| {
                lsn += 100;
                let changes = if draw.below(8) == 0 { 40 + draw.below(60) } else { draw.below(9) };
                ModelXact { commit_lsn: lsn, changes }
            })
            .collect();
        let target_records = usize::try_from(1 + draw.below(10)).unwrap();
        let max_records = target_records * 2 + usize::try_from(draw.below(20)).unwrap();
        let limits =
            BatchLimits { target_records, max_records, target_bytes: 1 << 20, max_bytes: 1 << 21 };
        let mut kafka = Kafka { records: Vec::new(), checkpoint: first_checkpoint(), txns: 0 };
        while !live(&mut draw, &xacts, limits, &mut kafka) {}
        check(seed, &xacts, limits, &kafka);
    }
}

fn check(seed: u64, xacts: &[ModelXact], limits: BatchLimits, kafka: &Kafka) {
    let position =
        |xact: &ModelXact, ordinal| Position { commit_lsn: Lsn(xact.commit_lsn), ordinal };
    let want: Vec<Position> =
        xacts.iter().flat_map(|xact| (1..=xact.changes).map(|n| position(xact, n))).collect();
    let found: Vec<Position> = kafka.records.iter().map(|(position, _)| *position).collect();
    assert_eq!(found, want, "seed {seed}");
    // I9: what is not larger than max - target is never cut.
    let whole = u64::try_from(limits.max_records - limits.target_records).unwrap();
    for xact in xacts.iter().filter(|xact| xact.changes <= whole) {
        let own = |(position, _): &&(Position, u64)| position.commit_lsn.0 == xact.commit_lsn;
        let txns: BTreeSet<u64> = kafka.records.iter().filter(own).map(|(_, txn)| *txn).collect();
        assert!(txns.len() <= 1, "seed {seed}: {xact:?} is in Kafka transactions {txns:?}");
    }
    let end = xacts.last().map_or(Lsn::ZERO, |xact| xact.end_lsn());
    assert_eq!((kafka.checkpoint.confirm, kafka.checkpoint.inside), (end, None), "seed {seed}");
}

#[test]
fn a_resumed_transaction_must_be_the_one_that_was_left() {
    let xact = ModelXact { commit_lsn: 1000, changes: 9 };
    let inside = Inside { xid: Xid(1000), lsn: Lsn(950) };
    let position = Position { commit_lsn: Lsn(1000), ordinal: 3 };
    let cases: &[(&str, Inside, Position, bool)] = &[
        ("the same", inside, position, true),
        ("another xid", Inside { xid: Xid(1001), ..inside }, position, false),
        ("another LSN", Inside { lsn: Lsn(951), ..inside }, position, false),
        ("gone", inside, Position { commit_lsn: Lsn(999), ordinal: 3 }, false),
        ("shorter", inside, Position { ordinal: 10, ..position }, false),
    ];
    for (name, inside, position, is_right) in cases {
        let checkpoint =
            Checkpoint { inside: Some(*inside), position: *position, ..first_checkpoint() };
        let limits = BatchLimits {
            target_bytes: 1 << 20,
            max_bytes: 1 << 21,
            target_records: 100,
            max_records: 200,
        };
        let mut assembler = assembler(limits, checkpoint);
        let mut batch = Batch::default();
        let mut messages = vec![relation_message()];
        xact.messages(&mut messages);
        let outcome = messages.iter().try_for_each(|(lsn, bytes)| {
            let message = Message::parse(bytes).unwrap();
            assembler.on_message(*lsn, &message, &Context { now_us: 0 }, &mut batch).map(drop)
        });
        match outcome {
            Ok(()) => assert!(is_right, "{name}"),
            Err(Error::Resume { .. }) => assert!(!is_right, "{name}"),
            Err(other) => panic!("{name}: {other}"),
        }
    }
}
