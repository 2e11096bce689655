//! Every form that was ever written is still read, and written again the same.

use super::*;

const GOLDEN: &[&str] = &[
    include_str!("../../tests/golden/checkpoint/format-1.json"),
    include_str!("../../tests/golden/checkpoint/format-1-creating.json"),
    include_str!("../../tests/golden/checkpoint/format-2.json"),
    include_str!("../../tests/golden/checkpoint/format-3.json"),
    include_str!("../../tests/golden/checkpoint/format-3-paused.json"),
    include_str!("../../tests/golden/checkpoint/format-3-gap.json"),
    include_str!("../../tests/golden/checkpoint/format-4.json"),
    include_str!("../../tests/golden/checkpoint/format-4-entered.json"),
    include_str!("../../tests/golden/checkpoint/format-1-inside.json"),
    include_str!("../../tests/golden/checkpoint/format-1-oids.json"),
    include_str!("../../tests/golden/checkpoint/format-1-omissions.json"),
    include_str!("../../tests/golden/checkpoint/format-1-xid.json"),
];

#[test]
fn every_format_ever_written_is_read_and_the_present_one_written() {
    for golden in GOLDEN {
        let checkpoint = Checkpoint::from_json(golden.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(checkpoint.to_json()).unwrap(), golden.trim_end());
    }
}

#[test]
fn a_checkpoint_is_small_enough_for_any_tool() {
    for golden in GOLDEN {
        assert!(golden.len() < 1024, "{golden}");
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let newer = r#"{"format":5,"something":"else","epoch":3}"#;
    let error = Checkpoint::from_json(newer.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::NewerFormat { found: 5, epoch: Some(3) }), "{error}");
    assert!(error.to_string().contains("format 5"), "{error}");
}

#[test]
fn what_is_no_checkpoint_is_refused_without_showing_it() {
    for bytes in [&b""[..], b"{}", b"[1]", b"{\"format\":1}", b"\xff", b"{\"format\":\"canary\"}"] {
        let error = Checkpoint::from_json(bytes).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn the_epoch_of_what_is_no_checkpoint_is_read_where_that_can_be() {
    let epoch = |bytes: &[u8]| Checkpoint::from_json(bytes).unwrap_err().epoch();
    assert_eq!(epoch(br#"{"format":1,"epoch":2}"#), Some(2));
    assert_eq!(epoch(br#"{"format":1}"#), Some(0));
    for bytes in [&b""[..], b"{}", b"\xff", br#"{"format":1,"epoch":-1}"#] {
        assert_eq!(epoch(bytes), None);
    }
}

/// With the epoch positions only ever increase.
#[test]
fn where_positions_begin_again_the_next_epoch_begins() {
    let base = Checkpoint::from_json(GOLDEN[0].as_bytes()).unwrap();
    let at = |commit_lsn: u64, ordinal: u64| Checkpoint {
        position: Position { commit_lsn: Lsn(commit_lsn), ordinal },
        ..base.clone()
    };
    let epoch = |now: Checkpoint, before: &Checkpoint| now.following(before).epoch;
    let before = Checkpoint { epoch: 4, ..at(100, 7) };
    assert_eq!(epoch(at(101, 0), &before), 4);
    assert_eq!(epoch(at(100, 7), &before), 4);
    // What commits right there has positions that Kafka may have.
    assert_eq!(epoch(at(100, 0), &before), 5);
    assert_eq!(epoch(at(9, 0), &before), 5);
    // A slot that is half made: before it the place counts that was accepted.
    let accepted = Accepted {
        reason: "restored".to_owned(),
        previous_position: before.position,
        previous_confirm: Lsn(100),
        previous_system_identifier: "1".to_owned(),
        previous_timeline: 1,
    };
    let creating = Checkpoint { state: State::Creating, epoch: 4, ..at(0, 0) };
    let kept = Checkpoint { accepted: Some(accepted.clone()), ..creating.clone() };
    assert_eq!(epoch(at(9, 0), &kept), 5);
    assert_eq!(epoch(at(101, 0), &kept), 4);
    assert_eq!(epoch(at(9, 0), &creating), 4);
    // One that streams has its own.
    let streams = Checkpoint { accepted: Some(accepted), epoch: 5, ..at(9, 0) };
    assert_eq!(epoch(at(10, 0), &streams), 5);
}

#[test]
fn a_publication_that_was_made_again_is_told() {
    let oids =
        |oids: &[(&str, u32)]| oids.iter().map(|(name, oid)| ((*name).into(), *oid)).collect();
    let was =
        Stream { publications: Vec::new(), messages: false, oids: oids(&[("a", 1), ("b", 2)]) };
    let remade: Vec<_> = was.remade(&oids(&[("a", 1), ("b", 3), ("c", 4)])).collect();
    assert_eq!(remade, [Remade { name: "b".to_owned(), was: 2, is: 3 }]);
    // Nothing is known of those that a record does not have.
    let unknown = Stream { oids: BTreeMap::new(), ..was };
    assert_eq!(unknown.remade(&oids(&[("a", 1)])).count(), 0);
}

#[test]
fn what_is_accepted_is_a_gap_until_it_is_repaired() {
    let base = |golden: &str| Checkpoint::from_json(golden.as_bytes()).unwrap();
    let accepted = |confirm| Accepted {
        reason: "lost".to_owned(),
        previous_position: Position::default(),
        previous_confirm: Lsn(confirm),
        previous_system_identifier: "1".to_owned(),
        previous_timeline: 1,
    };
    let gap = |it: &Checkpoint| it.snapshots.unwrap().gap.map(|gap| (gap.from.0, gap.to.0));
    let known = base(include_str!("../../tests/golden/checkpoint/format-3.json"));
    assert_eq!(gap(&known), None);
    let first = Checkpoint { confirm: Lsn(300), ..known }.accepting(Some(accepted(100)));
    assert_eq!(gap(&first), Some((100, 300)));
    assert_eq!(first.snapshots.unwrap().gap.unwrap().to_string(), "0/64..0/12C");
    assert_eq!(gap(&first.clone().accepting(None)), Some((100, 300)));
    let second = Checkpoint { confirm: Lsn(500), ..first }.accepting(Some(accepted(400)));
    assert_eq!(gap(&second), Some((100, 500)));
    // A pipeline without snapshots has no place for it.
    assert_eq!(base(GOLDEN[0]).accepting(Some(accepted(1))).snapshots, None);
}

/// Or an accepted gap would have all tables read again; and those of a pipeline that has no snapshots
/// stay so.
#[test]
fn what_is_known_of_tables_outlives_what_an_operator_accepts() {
    let base = |golden: &str| Checkpoint::from_json(golden.as_bytes()).unwrap();
    let known = include_str!("../../tests/golden/checkpoint/format-3.json");
    let fresh = Checkpoint { snapshots: Some(Snapshots::default()), ..base(GOLDEN[0]) };
    let next = fresh.clone().following(&base(known)).snapshots.unwrap();
    assert_eq!((next.tables, next.chunks, next.unsettled), (3, 17, None));
    assert_eq!(fresh.clone().following(&base(GOLDEN[0])).snapshots, None);
    // Also where somebody dies while the slot is made anew.
    let creating = Checkpoint { state: State::Creating, snapshots: None, ..fresh.clone() };
    let creating = creating.making(&base(known), None);
    assert_eq!((creating.snapshots, creating.format), (base(known).snapshots, 3));
    assert_eq!(fresh.following(&creating).snapshots.unwrap().chunks, 17);
}

#[test]
fn a_checkpoint_has_a_format_of_its_own_while_tables_are_parked() {
    let plain = Checkpoint::from_json(GOLDEN[0].as_bytes()).unwrap();
    let parked = Checkpoint { parked: 1, ..plain.clone() }.in_format();
    assert_eq!((parked.format, plain.in_format().format), (FORMAT_WITH_PARKED, FORMAT));
    // A lost slot does not bring them back, and what an operator accepts does not forget them.
    let next = Checkpoint { parked: 0, ..parked.clone() };
    assert_eq!(next.clone().following(&parked).parked, 1);
    assert_eq!(next.making(&parked, None).parked, 1);
}

/// Every form that was ever written, and one that has all there is.
#[test]
fn the_schema_for_readers_has_what_is_written_and_nothing_else() {
    let schema = serde_json::from_str(include_str!("../../schemas/checkpoint.schema.json"));
    let validator = jsonschema::validator_for(&schema.unwrap()).unwrap();
    let errors = |checkpoint: &serde_json::Value| -> Vec<String> {
        validator.iter_errors(checkpoint).map(|error| error.to_string()).collect()
    };
    let mut full = serde_json::Value::Null;
    for golden in GOLDEN {
        let mut checkpoint: serde_json::Value = serde_json::from_str(golden).unwrap();
        assert_eq!(errors(&checkpoint), [""; 0], "{golden}");
        checkpoint["other"] = 1.into();
        assert_ne!(errors(&checkpoint), [""; 0]);
        full = checkpoint;
    }
    full.as_object_mut().unwrap().remove("other");
    full["letters"] = serde_json::json!({ "outbox.dead": [0, 12] });
    assert_eq!(errors(&full), [""; 0]);
    let read = Checkpoint::from_json(full.to_string().as_bytes()).unwrap();
    assert_eq!(read.letters["outbox.dead"], [0, 12]);
    full["confirm"] = "16/b374d880".into();
    assert_ne!(errors(&full), [""; 0]);
}
