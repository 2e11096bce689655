//! Rows of outboxes before the stream: nothing else ever has their places.

use super::*;
use crate::batch::Record;

fn outbox() -> Relation {
    let column = |name: &str| crate::wal::RelationColumn {
        name: name.to_owned(),
        is_identity: name == "id",
        type_oid: 25,
        type_modifier: -1,
    };
    Relation {
        id: RELATION,
        namespace: "public".to_owned(),
        name: "t".to_owned(),
        identity: ReplicaIdentity::Default,
        columns: vec![column("id")],
    }
}

/// The part that the next row of a snapshot would have there.
fn next_part(assembler: &mut Assembler) -> u32 {
    assembler.begin_chunk(&outbox(), Lsn(100));
    assembler.base.snapshots.unwrap().rows
}

#[test]
fn what_enters_later_at_the_same_place_has_other_parts() {
    let limits = BatchLimits { target_bytes: 8, max_bytes: 16, target_records: 1, max_records: 2 };
    let position = Position { commit_lsn: Lsn(100), ordinal: 0 };
    for is_counted in [false, true] {
        let snapshots = is_counted.then(Default::default);
        let first = Checkpoint { position, confirm: Lsn(100), snapshots, ..first_checkpoint() };
        let mut made = assembler(limits, first, false);
        let mut batch = made.new_batch();
        assert_eq!(made.entrance(Lsn::ZERO), Some(Lsn(100)));
        assert_eq!(made.begin_pending(), is_counted);
        assert_eq!(next_part(&mut made), 0);
        made.base.snapshots.as_mut().unwrap().rows += 2;
        assert_eq!(next_part(&mut made), 2, "of the next table");
        assert!(!made.seal_complete(&mut batch), "nothing is sealed before all are in");
        made.end_pending(is_counted, &batch);
        made.seal(&mut batch, Lsn::ZERO);
        let checkpoint = batch.checkpoint.unwrap();
        assert_eq!((checkpoint.position, checkpoint.confirm), (position, Lsn(100)));
        assert_eq!(checkpoint.snapshots.map(|it| it.rows), is_counted.then_some(2));
        let mut next = assembler(limits, checkpoint, false);
        assert_eq!(next_part(&mut next), if is_counted { 2 } else { 1 << 31 });
    }
}

#[test]
fn a_batch_fits_up_to_its_limits() {
    let limits = BatchLimits { target_bytes: 8, max_bytes: 16, target_records: 1, max_records: 2 };
    let assembler = assembler(limits, first_checkpoint(), false);
    let batch = |records: u32, bytes: usize| {
        let mut batch = assembler.new_batch();
        batch.buffer().resize(bytes, 0);
        for part in 0..records {
            batch.push(Record {
                topic: crate::batch::TopicId(0),
                operation: crate::batch::Operation::Outbox,
                key: None,
                value: None,
                headers: 0..0,
                timestamp_ms: 0,
                position: Position::ZERO,
                part,
                xid: Xid::default(),
            });
        }
        batch
    };
    let fits = |records, bytes| assembler.fits(&batch(records, bytes));
    assert!(fits(2, 16) && !fits(3, 0) && !fits(0, 17));
    // Twice its target, whatever else it may be.
    let has_room = |chunk| assembler.has_room(&batch(1, 8), chunk);
    assert!(has_room((1, 8)) && !has_room((2, 0)) && !has_room((0, 9)));
}
