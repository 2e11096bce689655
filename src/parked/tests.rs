//! What was ever written is read; what is parked comes back as it was; what is something else is refused.

use super::*;
use crate::change::{Change, Op, Xact};
use crate::facts::{Leaf, Parent, TableFacts};
use crate::position::{Lsn, Position, Xid};
use crate::types::{TypeFacts, TypeShape};
use crate::wal::{
    Message, OldTuple, OldTupleKind, Relation, RelationColumn, RelationId, ReplicaIdentity, Tuple,
    Tuples,
};

const GOLDEN: &[&str] = &[
    include_str!("../../tests/golden/parked/format-1.json"),
    include_str!("../../tests/golden/parked/format-1-broker.json"),
];

const TABLE: RelationId = RelationId(16_390);

const XACT: Xact = Xact {
    xid: Xid(741),
    commit_lsn: Lsn(0x16_B374_D848),
    commit_time_us: 1_764_432_000_000_000,
    previous_commit_lsn: Lsn(0x16_B374_D000),
};

#[test]
fn every_format_ever_written_is_read_and_the_present_one_written() {
    for golden in GOLDEN {
        let parked = Parked::from_json(golden.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(parked.to_json()).unwrap(), golden.trim_end());
    }
}

#[test]
fn what_is_newer_or_something_else_is_refused_without_showing_it() {
    let error = Parked::from_json(br#"{"format":2,"x":"canary"}"#).unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
    for bytes in [&b""[..], b"{}", b"{\"format\":1}", b"\xff", b"{\"format\":\"canary\"}"] {
        let error = Parked::from_json(bytes).unwrap_err();
        assert!(matches!(error, Error::Json { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
    }
    let error = Joiner::default().push(b"\x02\x00canary").unwrap_err();
    assert!(error.to_string().contains("format 2"), "{error}");
}

/// A row of an id and a text; `n` is NULL, `u` unchanged.
fn row(text: &str) -> Vec<u8> {
    let mut row = vec![0, 2, b't', 0, 0, 0, 1, b'7'];
    match text {
        "n" | "u" => row.extend_from_slice(text.as_bytes()),
        text => {
            row.push(b't');
            row.extend_from_slice(&i32::try_from(text.len()).unwrap().to_be_bytes());
            row.extend_from_slice(text.as_bytes());
        }
    }
    row
}

fn tuple(row: &[u8]) -> Tuple<'_> {
    Tuples::new(row).next().unwrap().unwrap()
}

/// Every kind of change, each given to `check`.
fn each(mut check: impl FnMut(Change<'_>)) {
    let (new, old) = (row("new"), row("old"));
    let (new, unchanged, tuple_old) = (tuple(&new), row("u"), tuple(&old));
    let unchanged = tuple(&unchanged);
    let old = |kind| OldTuple { kind, tuple: tuple_old };
    let (relation, part) = (TABLE, 0);
    let ops = [
        Op::Absent { relation, part, gap: "0/1..0/2", key: new },
        Op::Delete { relation, old: old(OldTupleKind::Key) },
        Op::Insert { relation, new },
        Op::Pending { relation, part, new },
        Op::Read { relation, part, gap: None, new },
        Op::Read { relation, part, gap: Some("gap"), new },
        Op::Truncate { relation, part },
        Op::Update { relation, old: None, new: unchanged },
        Op::Update { relation, old: Some(old(OldTupleKind::Full)), new },
    ];
    for (op, ordinal) in ops.into_iter().zip(1..) {
        let position = Position { commit_lsn: XACT.commit_lsn, ordinal };
        check(Change { position, lsn: Lsn(0x16_B374_D700), xact: &XACT, op });
    }
}

/// As the stream has it: two changes are alike if they are written alike.
fn written(change: &Change<'_>, shape: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    write(change, 3, shape, &mut out);
    out
}

#[test]
fn a_change_comes_back_as_it_was() {
    each(|change| {
        for shape in [None, Some(&b"{}"[..])] {
            let bytes = written(&change, shape);
            let kept = Kept::parse(&bytes).unwrap();
            assert_eq!((kept.shape, kept.epoch()), (shape, 3));
            let back = kept.change().unwrap();
            assert_eq!((back.position, back.lsn), (change.position, change.lsn));
            assert_eq!(back.xact, change.xact);
            assert_eq!(format!("{:?}", back.op), format!("{:?}", change.op));
            assert_eq!(written(&back, shape), bytes);
        }
    });
}

/// What was written once must be read for ever.
#[test]
fn the_wire_form_stays_what_it_is() {
    let mut lines = String::new();
    each(|change| {
        let bytes = written(&change, None);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push_str(&format!("{hex}\n"));
    });
    assert_eq!(lines, include_str!("../../tests/golden/parked/changes-1.hex"), "\n{lines}");
}

#[test]
fn what_is_cut_off_or_goes_on_is_an_error() {
    each(|change| {
        let mut bytes = written(&change, Some(b"{}"));
        for end in 0..bytes.len() {
            assert!(Kept::parse(&bytes[..end]).is_err(), "{:?} at {end}", change.op);
        }
        bytes.push(0);
        assert!(Kept::parse(&bytes).is_err(), "{:?} and more", change.op);
    });
    assert!(Kept::parse(b"z").is_err());
    // A message that is not of its kind, which nothing that we write has.
    each(|change| {
        let mut bytes = written(&change, None);
        if matches!(change.op, Op::Delete { .. }) {
            bytes[0] = b'r';
            assert!(Kept::parse(&bytes).unwrap().change().is_none());
        }
    });
}

#[test]
fn pieces_are_joined() {
    let change = vec![7; 3 * PIECE_BYTES + 1];
    let mut joiner = Joiner::default();
    for _ in 0..2 {
        let mut pieces = change.chunks(PIECE_BYTES).peekable();
        while let Some(piece) = pieces.next() {
            let (mut value, more) = (Vec::new(), pieces.peek().is_some());
            write_piece(piece, more, &mut value);
            assert_eq!(has_more(&value), more);
            match joiner.push(&value).unwrap() {
                Some(joined) => assert!(!more && joined == change),
                None => assert!(more),
            }
            assert_eq!(joiner.is_open(), more);
        }
    }
    for broken in [&b""[..], b"\x01", b"\x01\x02"] {
        assert!(Joiner::default().push(broken).is_err());
    }
}

#[test]
fn a_shape_comes_back_as_it_was() {
    let column = |name: &str, is_identity| RelationColumn {
        name: name.to_owned(),
        is_identity,
        type_oid: 16_400,
        type_modifier: -1,
    };
    let name = |name: &str| ("public".to_owned(), name.to_owned());
    let mut facts = TableFacts {
        not_null: vec!["id".to_owned()],
        defaults: [("state".to_owned(), "new".to_owned())].into(),
        missing: [("state".to_owned(), "old".to_owned())].into(),
        primary_key: vec!["id".to_owned()],
        leaves: vec![Leaf { table: name("orders_1"), identity: None }],
        ancestors: Some(vec![name("all_orders")]),
        is_partitioned: true,
        ..TableFacts::default()
    };
    let shapes = [
        TypeShape::Array { element: 16_401 },
        TypeShape::Base { extension: "hstore".to_owned() },
        TypeShape::Composite { attributes: vec![23, 25] },
        TypeShape::Domain { base: 1700, modifier: 655_366 },
        TypeShape::Enum { labels: vec!["new".to_owned(), "paid".to_owned()] },
        TypeShape::Multirange { subtype: 23 },
        TypeShape::Pseudo,
        TypeShape::Range { subtype: 23 },
    ];
    for (oid, shape) in (16_400..).zip(shapes) {
        let (name, namespace) = ("t".to_owned(), "public".to_owned());
        facts.types.insert(TypeFacts { oid, name, namespace, shape });
    }
    let relation = Relation {
        id: TABLE,
        namespace: "public".to_owned(),
        name: "orders".to_owned(),
        identity: ReplicaIdentity::Index,
        columns: vec![column("id", true), column("state", false)],
    };
    let golden = include_str!("../../tests/golden/parked/shape-1.json").trim_end();
    let json = String::from_utf8(Shape { relation, facts }.to_json()).unwrap();
    assert_eq!(json, golden, "\n{json}\n");
    let back = Shape::from_json(golden.as_bytes()).unwrap();
    assert_eq!(back.to_json(), golden.as_bytes());
    assert!(matches!(Shape::from_json(b"{}"), Err(Error::Json { .. })));

    // Of a child by inheritance.
    let mut shape = back;
    shape.facts.parents = vec![Parent {
        oid: 16_380,
        table: name("all_orders"),
        ancestors: vec![name("everything")],
        columns: vec!["id".to_owned(), "state".to_owned()],
        not_null: vec!["id".to_owned()],
        defaults: [("state".to_owned(), "new".to_owned())].into(),
        missing: [("state".to_owned(), "old".to_owned())].into(),
        primary_key: vec!["id".to_owned()],
        identity: Some(vec!["id".to_owned()]),
    }];
    shape.facts.lost = vec!["state".to_owned()];
    let golden = include_str!("../../tests/golden/parked/shape-3.json").trim_end();
    let json = String::from_utf8(shape.to_json()).unwrap();
    assert_eq!(json, golden, "\n{json}\n");
    let back = Shape::from_json(golden.as_bytes()).unwrap();
    assert_eq!((&back.facts.parents, &back.facts.lost), (&shape.facts.parents, &shape.facts.lost));
    let before = include_bytes!("../../tests/golden/parked/shape-2.json");
    let parent = &mut shape.facts.parents[0];
    (parent.oid, parent.ancestors, parent.identity) = (0, Vec::new(), None);
    assert_eq!(Shape::from_json(before).unwrap().facts.parents, shape.facts.parents);
}

/// The stream's own messages are read where what is parked is, too.
#[test]
fn a_message_is_the_streams() {
    let row = row("new");
    let op = Op::Insert { relation: TABLE, new: tuple(&row) };
    let position = Position { commit_lsn: XACT.commit_lsn, ordinal: 1 };
    let bytes = written(&Change { position, lsn: Lsn(1), xact: &XACT, op }, None);
    let message = &bytes[bytes.len() - (5 + 1 + row.len())..];
    assert!(matches!(Message::parse(message), Ok(Message::Insert { relation: TABLE, .. })));
}
