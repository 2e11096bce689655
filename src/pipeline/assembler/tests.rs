//! The assembler under a scheduler: random transactions, random limits, crashes at every step. The
//! model of PostgreSQL sends what a slot would, the model of Kafka keeps what was committed.

mod columns;
mod parking;
mod pending;
mod relations;

use std::collections::BTreeSet;

use super::*;
use crate::checkpoint::{FORMAT, Snapshots, State, Stream};
use crate::config::{
    Before, Children, Format, KeyNames, OnTruncate, Records, Refused, Selection, TablePattern,
    Tables, Template, Timestamp,
};
use crate::encode::{Naming, Values};
use crate::facts::TableFacts;
use crate::plan::SchemaId;

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
        epoch: 0,
        position: Position::ZERO,
        xid: None,
        confirm: Lsn::ZERO,
        inside: None,
        accepted: None,
        snapshots: None,
        parked: 0,
        entered: None,
        letters: BTreeMap::new(),
        omissions: Vec::new(),
    }
}

fn settings() -> Settings {
    Settings {
        prefix: "x".to_owned(),
        template: Template::default(),
        shared: Vec::new(),
        database: "d".to_owned(),
        checkpoint_topic: "walbrook.p.checkpoint".to_owned(),
        parked_topic: "walbrook.p.parked".to_owned(),
        schema_changes_topic: None,
        tables: Tables {
            selection: Selection::default(),
            before: Before::Separate,
            tombstones: true,
            truncate: OnTruncate::Written,
            key_format: Format::Avro,
            key_names: KeyNames::Topic,
            value_format: Format::Avro,
            refused: Refused::default(),
            name_adjustment: Naming::Avro,
            children: Children::Own,
        },
        values: Values::default(),
        outboxes: Vec::new(),
        message_outbox: None,
        records: Records { timestamp: Timestamp::Commit, position_headers: true },
    }
}

fn assembler(limits: BatchLimits, checkpoint: Checkpoint, comes_again: bool) -> Assembler {
    Assembler::new(settings(), limits, None, false, checkpoint, comes_again)
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
    let position = kafka.checkpoint.position;
    let comes_again = 0 < position.ordinal && confirmed <= position.commit_lsn;
    let mut assembler = assembler(limits, kafka.checkpoint.clone(), comes_again);
    let mut batch = Batch::default();
    let context = Context { now_us: 0 };
    let crash_at = draw.below(300);
    let mut step = 0;
    for (lsn, bytes) in stream(xacts, confirmed) {
        let message = Message::parse(&bytes).unwrap();
        loop {
            step += 1;
            if step == crash_at {
                // Killed, or told to stop.
                if draw.below(2) == 0 && assembler.seal_complete(&mut batch) {
                    kafka.commit(&batch);
                }
                return false;
            }
            if draw.below(20) == 0 {
                let mut rest = Batch::default();
                if assembler.seal_apart(&mut batch, &mut rest) {
                    kafka.commit(&batch);
                    batch = rest;
                }
            }
            match assembler.on_message(lsn, &message, &context, &mut batch).unwrap() {
                Step::Continue => break,
                Step::Boundary => {
                    // As the server's, which says up to where it has come.
                    assembler.on_keepalive(Lsn(lsn.0 + 8)).unwrap();
                    if assembler.has_target(&batch) || draw.below(5) == 0 {
                        hand_over(&mut assembler, &mut batch, kafka);
                    }
                    break;
                }
                Step::Full => hand_over(&mut assembler, &mut batch, kafka),
                Step::Need(Need::Plan(owner)) => {
                    let draft =
                        assembler.draft(owner, TableFacts::default(), &[]).unwrap().unwrap();
                    let ids = vec![SchemaId(1); draft.schemas.len()];
                    assembler.install(owner, draft, &ids);
                }
                Step::Need(need) => panic!("a table has a route, and what fits: {need:?}"),
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

#[test]
fn what_is_to_be_left_out_is_and_nothing_else_whatever_crashes() {
    let xact = |commit_lsn, changes| ModelXact { commit_lsn, changes };
    let xacts = [xact(1000, 5), xact(1100, 30), xact(1200, 4)];
    let limits = BatchLimits {
        target_records: 3,
        max_records: 7,
        target_bytes: 1 << 20,
        max_bytes: 1 << 21,
    };
    for seed in 1..=120 {
        let mut draw = Draw(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let ordinal = 1 + draw.below(30);
        let position = Position { commit_lsn: Lsn(1100), ordinal };
        // Now and then another change has the position.
        let is_it = seed % 4 != 0;
        let xid = Xid(if is_it { 1100 } else { 1101 });
        let change = Inside { xid, lsn: Lsn(1050 + (ordinal - 1) / 3) };
        let omission = Omission { position, change, reason: "known".to_owned() };
        let checkpoint = Checkpoint { omissions: vec![omission], ..first_checkpoint() };
        let mut kafka = Kafka { records: Vec::new(), checkpoint, txns: 0 };
        while !live(&mut draw, &xacts, limits, &mut kafka) {}
        let all = xacts.iter().flat_map(|xact| {
            let commit_lsn = Lsn(xact.commit_lsn);
            (1..=xact.changes).map(move |ordinal| Position { commit_lsn, ordinal })
        });
        let want: Vec<_> = all.filter(|it| !is_it || *it != position).collect();
        let found: Vec<_> = kafka.records.iter().map(|(position, _)| *position).collect();
        assert_eq!(found, want, "seed {seed}");
        assert_eq!(kafka.checkpoint.omissions, [], "seed {seed}");
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
fn what_is_held_is_counted_and_needs_no_plan() {
    let xact = |commit_lsn| ModelXact { commit_lsn, changes: 3 };
    let mut assembler = assembler(LIMITS, first_checkpoint(), false);
    let (mut batch, context) = (Batch::default(), Context { now_us: 0 });
    let sealed = |assembler: &mut Assembler, batch: &mut Batch| {
        assembler.seal(batch, Lsn::ZERO);
        let checkpoint = batch.checkpoint.take().unwrap();
        (batch.records().len(), checkpoint.position.ordinal, checkpoint.inside.is_some())
    };
    for (lsn, bytes) in stream(&[xact(1000), xact(1100)], Lsn::ZERO) {
        let message = Message::parse(&bytes).unwrap();
        let is_first = lsn < Lsn(1020);
        assembler.hold([RELATION].into_iter().filter(|_| is_first));
        while let Step::Need(Need::Plan(owner)) =
            assembler.on_message(lsn, &message, &context, &mut batch).unwrap()
        {
            assert!(!is_first);
            let draft = assembler.draft(owner, TableFacts::default(), &[]).unwrap().unwrap();
            let ids = vec![SchemaId(1); draft.schemas.len()];
            assembler.install(owner, draft, &ids);
        }
        // Also where a transaction is cut.
        if is_first && assembler.pending().is_some_and(|it| it.ordinal == 3) {
            assert_eq!(sealed(&mut assembler, &mut batch), (0, 2, true));
        }
        if is_first && assembler.is_at_boundary() && lsn == Lsn(1000) {
            assert_eq!(sealed(&mut assembler, &mut batch), (0, 3, false));
        }
    }
    assert_eq!(sealed(&mut assembler, &mut batch), (3, 3, false));
}

const LIMITS: BatchLimits = BatchLimits {
    target_bytes: 1 << 20,
    max_bytes: 1 << 21,
    target_records: 100,
    max_records: 200,
};

/// Goes on from a checkpoint in a stream of these transactions and then a keep-alive.
fn resume(checkpoint: Checkpoint, comes_again: bool, xacts: &[ModelXact]) -> Result<(), Error> {
    let mut assembler = assembler(LIMITS, checkpoint, comes_again);
    let mut batch = Batch::default();
    for (lsn, bytes) in stream(xacts, Lsn::ZERO) {
        let message = Message::parse(&bytes).unwrap();
        assembler.on_message(lsn, &message, &Context { now_us: 0 }, &mut batch)?;
    }
    assembler.on_keepalive(Lsn(5000))
}

#[track_caller]
fn check_resumed(name: &str, outcome: Result<(), Error>, is_right: bool) {
    match outcome {
        Ok(()) => assert!(is_right, "{name}"),
        Err(Error::Resume { .. }) => assert!(!is_right, "{name}"),
        Err(other) => panic!("{name}: {other}"),
    }
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
        check_resumed(name, resume(checkpoint, true, &[xact]), *is_right);
    }
}

/// A server that was rolled back on its timeline has other transactions where those of the
/// checkpoint were.
#[test]
fn a_transaction_that_must_come_again_is_the_one_that_was_read() {
    let xact = |commit_lsn| ModelXact { commit_lsn, changes: 2 };
    let complete = |xid: u32| Checkpoint {
        epoch: 0,
        position: Position { commit_lsn: Lsn(1000), ordinal: 2 },
        xid: Some(Xid(xid)),
        confirm: Lsn(1008),
        ..first_checkpoint()
    };
    let unknown = Checkpoint { xid: None, ..complete(0) };
    let around = [xact(900), xact(1000), xact(1100)];
    let cases: &[(&str, Checkpoint, bool, &[ModelXact], bool)] = &[
        ("the same", complete(1000), true, &around, true),
        ("an older checkpoint does not tell", unknown.clone(), true, &around, true),
        ("another xid", complete(999), true, &around, false),
        ("others before and behind", complete(1000), true, &[xact(900), xact(1100)], false),
        ("others, and the xid was not kept", unknown, true, &[xact(900), xact(1100)], false),
        ("only others before", complete(1000), true, &[xact(900)], false),
        ("nothing up to a keep-alive behind it", complete(1000), true, &[], false),
        ("confirmed already", complete(1000), false, &[xact(1100)], true),
    ];
    for (name, checkpoint, comes_again, xacts, is_right) in cases {
        check_resumed(name, resume(checkpoint.clone(), *comes_again, xacts), *is_right);
    }
}

/// A stream that has announced too many relations ends where a checkpoint covers something new.
#[test]
fn a_stream_with_too_many_relations_ends_at_a_boundary_that_is_progress() {
    let xacts = [900, 1000].map(|commit_lsn| ModelXact { commit_lsn, changes: 1 });
    let check = |relations_max, start: Checkpoint, expect: &[bool]| {
        let mut assembler = assembler(LIMITS, start, false);
        assembler.relations_max = relations_max;
        let (mut batch, context) = (Batch::default(), Context { now_us: 0 });
        let mut crowded = Vec::new();
        for (lsn, bytes) in stream(&xacts, Lsn::ZERO) {
            let message = Message::parse(&bytes).unwrap();
            let mut step = assembler.on_message(lsn, &message, &context, &mut batch).unwrap();
            if let Step::Need(Need::Plan(owner)) = step {
                let draft = assembler.draft(owner, TableFacts::default(), &[]).unwrap().unwrap();
                let ids = vec![SchemaId(1); draft.schemas.len()];
                assembler.install(owner, draft, &ids);
                step = assembler.on_message(lsn, &message, &context, &mut batch).unwrap();
            }
            if matches!(step, Step::Boundary) {
                crowded.push(assembler.is_crowded());
            } else {
                assert!(!assembler.is_crowded(), "{message:?}");
            }
        }
        assert_eq!(crowded, expect);
    };
    check(1, first_checkpoint(), &[false, false]);
    check(0, first_checkpoint(), &[true, true]);
    // Nothing but what Kafka has: the next attempt would end here again.
    let position = Position { commit_lsn: Lsn(900), ordinal: 1 };
    check(0, Checkpoint { position, ..first_checkpoint() }, &[false, true]);
}

/// Tables that come and go leave nothing behind that grows.
#[test]
fn plans_and_topics_are_forgotten_and_made_again() {
    let limits =
        BatchLimits { target_bytes: 1, target_records: 1, max_bytes: 1 << 20, max_records: 9 };
    let mut assembler = assembler(limits, first_checkpoint(), false);
    assembler.topics_max = 1;
    let mut batch = Batch::default();
    for (id, name, before, after) in
        [(1, "a", 1, 1), (2, "a", 1, 1), (3, "b", 2, 0), (1, "a", 1, 1)]
    {
        let id = RelationId(id);
        let (_, message) = relation_message();
        let Ok(Message::Relation(body)) = Message::parse(&message) else { panic!("no relation") };
        assembler.announce(Relation { id, name: name.to_owned(), ..body.to_owned() });
        let draft =
            assembler.draft(Owner::Relation(id), TableFacts::default(), &[]).unwrap().unwrap();
        let ids = vec![SchemaId(1); draft.schemas.len()];
        assembler.install(Owner::Relation(id), draft, &ids);
        let plans = |it: &Assembler| it.relations.values().filter(|it| it.plan.is_some()).count();
        assert_eq!((plans(&assembler), assembler.topics.len()), (before, before), "{name}");
        assembler.seal(&mut batch, Lsn::ZERO);
        // The batch keeps the names of its own topics.
        assert_eq!(batch.topics.len(), before);
        assert_eq!((plans(&assembler), assembler.topics.len()), (after, after), "{name}");
        batch.clear();
    }
}

/// Whatever the configuration leaves out, the others have the positions that they would have.
#[test]
fn tables_that_are_left_out_shift_nothing() {
    let positions = |exclude: &[&str]| {
        let mut settings = settings();
        let patterns = exclude.iter().map(|text| TablePattern::parse(text).unwrap());
        settings.tables.selection.exclude = patterns.collect();
        let limits =
            BatchLimits { target_bytes: 1, target_records: 1, max_bytes: 1 << 20, max_records: 9 };
        let mut assembler =
            Assembler::new(settings, limits, None, false, first_checkpoint(), false);
        let mut batch = Batch::default();
        let (_, message) = relation_message();
        let Ok(Message::Relation(body)) = Message::parse(&message) else { panic!("no relation") };
        let shape = body.to_owned();
        let other = Relation { id: RelationId(2), name: "left".to_owned(), ..shape.clone() };
        [other, shape].into_iter().for_each(|relation| assembler.announce(relation));
        let mut messages = Vec::new();
        ModelXact { commit_lsn: 2000, changes: 3 }.messages(&mut messages);
        // The second change is one of the other table.
        messages[2].1[1..5].copy_from_slice(&2_u32.to_be_bytes());
        for (lsn, bytes) in messages {
            let message = Message::parse(&bytes).unwrap();
            let context = Context { now_us: 0 };
            while let Step::Need(Need::Plan(owner)) =
                assembler.on_message(lsn, &message, &context, &mut batch).unwrap()
            {
                let draft = assembler.draft(owner, TableFacts::default(), &[]).unwrap().unwrap();
                let ids = vec![SchemaId(1); draft.schemas.len()];
                assembler.install(owner, draft, &ids);
            }
        }
        assembler.seal(&mut batch, Lsn::ZERO);
        let records = batch.records().iter().map(|record| record.position.ordinal);
        let position = batch.checkpoint.as_ref().unwrap().position;
        let skipped = assembler.take_skipped().into_values().sum::<u64>();
        (records.collect::<Vec<_>>(), position.ordinal, skipped)
    };
    assert_eq!(positions(&[]), (vec![1, 2, 3], 3, 0));
    assert_eq!(positions(&["*.left"]), (vec![1, 3], 3, 1));
}
