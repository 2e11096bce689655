//! The golden frames of a real server, what they parse to, and what is done to them.
//!
//! `tests/golden/wal/README.md` says how they were captured. A file has, for each frame, a line
//! `< hex` and a line `> what it parses to`; `GOLDEN=write` writes the second lines anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::position::Lsn;

#[test]
fn golden_frames_parse_to_what_stands_beside_them() {
    for path in golden_files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut rendered = String::new();
        for line in text.lines().filter(|line| !line.starts_with("> ")) {
            writeln!(rendered, "{line}").unwrap();
            if let Some(hex) = line.strip_prefix("< ") {
                writeln!(rendered, "> {}", render_frame(&unhex(hex))).unwrap();
            }
        }
        if std::env::var_os("GOLDEN").is_some_and(|wish| wish == "write") {
            std::fs::write(&path, &rendered).unwrap();
            continue;
        }
        for (found, expected) in rendered.lines().zip(text.lines()) {
            assert_eq!(found, expected, "{}", path.display());
        }
        assert_eq!(rendered.len(), text.len(), "{}", path.display());
    }
}

#[test]
fn golden_frames_cover_every_message_and_column_form() {
    let mut found = String::new();
    for path in golden_files() {
        found += &std::fs::read_to_string(&path).unwrap();
    }
    for form in [
        "> keepalive",
        "| begin",
        "| commit",
        "| delete",
        "| insert",
        "| message transactional=true",
        "| message transactional=false",
        "| origin",
        "| relation",
        "| truncate cascade=true restart_identity=false",
        "| truncate cascade=true restart_identity=true",
        "| truncate cascade=false restart_identity=true",
        "| truncate cascade=false restart_identity=false",
        "| type",
        "identity=Default",
        "identity=Full",
        "identity=Index",
        "identity=Nothing",
        "old=Key",
        "old=Full",
        "(b:",
        ", n",
        ", t:",
        ", u",
        "pg_catalog",
    ] {
        assert!(found.contains(form), "no golden frame shows {form:?}");
    }
}

#[test]
fn a_golden_message_cut_at_any_byte_is_an_error() {
    for body in golden_bodies() {
        for end in 0..body.len() {
            let cut = &body[..end];
            assert!(Message::parse(cut).is_err(), "{cut:02x?} of {} bytes", body.len());
        }
    }
}

#[test]
fn a_golden_message_with_a_byte_too_many_is_an_error() {
    for mut body in golden_bodies() {
        let offset = body.len();
        body.push(0);
        let expected = Error::Trailing { reading: "message", offset, bytes: 1 };
        assert_eq!(Message::parse(&body).unwrap_err(), expected);
    }
}

#[test]
fn a_frame_header_cut_at_any_byte_is_an_error() {
    for frame in golden_frames() {
        let header_bytes = if frame[0] == b'k' { 18 } else { 25 };
        for end in 0..header_bytes {
            assert!(Frame::parse(&frame[..end]).is_err(), "{:02x?}", &frame[..end]);
        }
        assert!(Frame::parse(&frame).is_ok());
    }
}

#[test]
fn malformed_frames_say_what_is_wrong_and_where() {
    let zeros = "00".repeat(16);
    for (hex, expected) in [
        (String::new(), "frame tag at byte 0: 1 bytes wanted, 0 left"),
        ("78".into(), "frame tag at byte 0: unknown byte 0x78 ('x')"),
        ("77000000".into(), "XLogData start LSN at byte 1: 8 bytes wanted, 3 left"),
        (format!("6b{zeros}"), "keep-alive reply flag at byte 17: 1 bytes wanted, 0 left"),
        (format!("6b{zeros}02"), "keep-alive reply flag at byte 17: unknown byte 0x02 ('\\x02')"),
        (format!("6b{zeros}0100"), "keep-alive ends at byte 18, but 1 more bytes follow"),
        (
            "6b00000000000000007fffffffffffffff00".into(),
            "keep-alive send time at byte 9: the time is out of range",
        ),
    ] {
        assert_eq!(Frame::parse(&unhex(&hex)).unwrap_err().to_string(), expected, "{hex}");
    }
}

#[test]
fn malformed_messages_say_what_is_wrong_and_where() {
    for (hex, expected) in [
        // Tags.
        ("", "message tag at byte 0: 1 bytes wanted, 0 left"),
        ("53", "message tag at byte 0: unknown byte 0x53 ('S')"),
        ("49 00000001 4f 0000", "new tuple tag at byte 5: unknown byte 0x4f ('O')"),
        ("55 00000001 49 0000", "tuple tag at byte 5: unknown byte 0x49 ('I')"),
        ("55 00000001 4b 0000 4f 0000", "new tuple tag at byte 8: unknown byte 0x4f ('O')"),
        ("44 00000001 4e 0000", "old tuple tag at byte 5: unknown byte 0x4e ('N')"),
        ("49 00000001 4e 0001 78", "column tag at byte 8: unknown byte 0x78 ('x')"),
        // Counts: negative, huge, one too many, one too few.
        ("49 00000001 4e ffff", "tuple column count at byte 6: -1 is not a possible count"),
        ("49 00000001 4e 7fff 6e", "column tag at byte 9: 1 bytes wanted, 0 left"),
        ("49 00000001 4e 0001 6e 6e", "message ends at byte 9, but 1 more bytes follow"),
        ("49 00000001 4e 0001 74 ffffffff", "column length at byte 9: -1 is not a possible count"),
        (
            "49 00000001 4e 0001 62 80000000",
            "column length at byte 9: -2147483648 is not a possible count",
        ),
        (
            "49 00000001 4e 0001 62 7fffffff 00",
            "column value at byte 13: 2147483647 bytes wanted, 1 left",
        ),
        (
            "52 00000001 00 00 64 ffff",
            "relation column count at byte 8: -1 is not a possible count",
        ),
        (
            "52 00000001 00 00 64 7fff 00 00 00000017",
            "relation column type modifier at byte 16: 4 bytes wanted, 0 left",
        ),
        ("54 ffffffff 00", "truncate relation count at byte 1: -1 is not a possible count"),
        ("54 7fffffff 00", "truncate relations at byte 6: 8589934588 bytes wanted, 0 left"),
        ("54 00000001 00 000000", "truncate relations at byte 6: 4 bytes wanted, 3 left"),
        (
            "4d 00 0000000000000000 00 ffffffff",
            "logical message length at byte 11: -1 is not a possible count",
        ),
        // Flags.
        ("43 01", "commit flags at byte 1: unknown byte 0x01 ('\\x01')"),
        ("4d 02", "logical message flags at byte 1: unknown byte 0x02 ('\\x02')"),
        ("54 00000000 04", "truncate flags at byte 5: unknown byte 0x04 ('\\x04')"),
        ("52 00000001 00 00 78", "replica identity at byte 7: unknown byte 0x78 ('x')"),
        (
            "52 00000001 00 00 64 0001 02",
            "relation column flags at byte 10: unknown byte 0x02 ('\\x02')",
        ),
        // Strings.
        ("59 00000001 61 00 ff 00", "type name at byte 7: not UTF-8"),
        ("59 00000001 61 62 63", "namespace at byte 5: 4 bytes wanted, 3 left"),
        ("4f 0000000000000000 c3 00", "origin name at byte 9: not UTF-8"),
        // Times.
        (
            "42 0000000000000000 7fffffffffffffff 00000001",
            "begin commit time at byte 9: the time is out of range",
        ),
    ] {
        assert_eq!(Message::parse(&unhex(hex)).unwrap_err().to_string(), expected, "{hex}");
    }
}

#[test]
fn a_keepalive_can_ask_for_a_reply() {
    let frame = unhex("6b 0000000000000102 00000000000f4240 01");
    let expected = Frame::Keepalive {
        wal_end: Lsn(0x0102),
        sent_us: 946_684_801_000_000,
        reply_requested: true,
    };
    assert_eq!(Frame::parse(&frame), Ok(expected));
}

#[test]
fn a_status_update_is_what_the_manual_says() {
    let one_second_after_2000 = 946_684_801_000_000;
    let update = status_update(Lsn(0x0102), Lsn(0x03), Lsn(u64::MAX), one_second_after_2000, true);
    let expected = "72 0000000000000102 0000000000000003 ffffffffffffffff 00000000000f4240 01";
    assert_eq!(update.as_slice(), unhex(expected));
    assert_eq!(status_update(Lsn::ZERO, Lsn::ZERO, Lsn::ZERO, i64::MIN, false)[33], 0);
}

#[test]
fn columns_are_counted_without_being_read() {
    let body = unhex("49 00000001 4e 0003 6e 75 74 00000001 61");
    let Ok(Message::Insert { new, .. }) = Message::parse(&body) else { panic!("an insert") };
    let mut columns = new.columns();
    assert_eq!((new.len(), new.is_empty(), columns.len()), (3, false, 3));
    assert_eq!(columns.next(), Some(Column::Null));
    assert_eq!(columns.len(), 2);
    assert_eq!(columns.by_ref().last(), Some(Column::Text(b"a")));
    assert_eq!((columns.next(), columns.len()), (None, 0));
}

/// I7.
#[test]
fn debug_output_and_errors_show_no_values() {
    let canary = "canary";
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    let row = format!("0002 74 00000006 {hex} 62 00000006 {hex}");
    for body in [
        format!("49 00000001 4e {row}"),
        format!("55 00000001 4f {row} 4e {row}"),
        format!("44 00000001 4b {row}"),
        format!("4d 01 0000000000000001 {hex} 00 00000006 {hex}"),
    ] {
        let body = unhex(&body);
        let frame = [&unhex(&format!("77{}", "00".repeat(24)))[..], &body].concat();
        let shown = [
            format!("{:?}", Message::parse(&body).unwrap()),
            format!("{:?}", Frame::parse(&frame).unwrap()),
            format!("{:?}", Reader::new(&body)),
            format!("{:?}", Message::parse(&body[..body.len() - 1]).unwrap_err()),
        ];
        for shown in shown {
            let bytes = format!("{:?}", canary.as_bytes());
            assert!(!shown.contains(canary), "{shown}");
            assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        walk(&bytes);
        let _ = Frame::parse(&bytes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_tag_never_panic(
        tag in prop::sample::select(b"BCDIMORTUYkw".as_slice()),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [&[tag][..], &bytes].concat();
        walk(&bytes);
        let _ = Frame::parse(&bytes);
    }

    #[test]
    fn a_changed_golden_message_never_panics(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = which.get(&BODIES).clone();
        for (place, byte) in changes {
            let place = place.index(body.len().min(120));
            body[place] = byte;
        }
        walk(&body);
    }

    #[test]
    fn a_reader_gives_back_what_was_written(
        a in any::<i8>(), b in any::<u16>(), c in any::<i32>(), d in any::<u64>(), text in "[^\0]*",
    ) {
        let mut bytes = Vec::new();
        bytes.extend(a.to_be_bytes());
        bytes.extend(b.to_be_bytes());
        bytes.extend(c.to_be_bytes());
        bytes.extend(d.to_be_bytes());
        bytes.extend(text.as_bytes());
        bytes.push(0);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.i8(), Ok(a));
        prop_assert_eq!(reader.u16(), Ok(b));
        prop_assert_eq!(reader.i32(), Ok(c));
        prop_assert_eq!(reader.u64(), Ok(d));
        prop_assert_eq!(reader.cstr(), Ok(text.as_str()));
        prop_assert_eq!((reader.finish(), reader.offset()), (Ok(()), bytes.len()));
    }
}

/// Read once for all cases.
pub(super) static BODIES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(golden_bodies);

/// Parses and, where that succeeds, reads everything that is in the message.
fn walk(body: &[u8]) {
    if let Ok(message) = Message::parse(body) {
        assert!(!render_message(&message).is_empty());
        assert!(!format!("{message:?}").is_empty());
    }
}

fn golden_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wal");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension() == Some("hex".as_ref())).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn golden_frames() -> Vec<Vec<u8>> {
    let text = |path| std::fs::read_to_string(path).unwrap();
    let texts: Vec<String> = golden_files().into_iter().map(text).collect();
    texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|l| l.strip_prefix("< "))
        .map(unhex)
        .collect()
}

fn golden_bodies() -> Vec<Vec<u8>> {
    let body = |frame: Vec<u8>| match Frame::parse(&frame) {
        Ok(Frame::XLogData { body, .. }) => Some(body.to_vec()),
        _ => None,
    };
    golden_frames().into_iter().filter_map(body).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn render_frame(frame: &[u8]) -> String {
    match Frame::parse(frame).unwrap() {
        Frame::Keepalive { wal_end, sent_us, reply_requested } => {
            format!("keepalive {wal_end} sent={sent_us} reply={reply_requested}")
        }
        Frame::XLogData { start, end, sent_us, body } => {
            let message = render_message(&Message::parse(body).unwrap());
            format!("xlog {start} {end} sent={sent_us} | {message}")
        }
    }
}

fn render_message(message: &Message<'_>) -> String {
    match message {
        Message::Begin { final_lsn, commit_time_us, xid } => {
            format!("begin final={final_lsn} time={commit_time_us} xid={xid}")
        }
        Message::Commit { commit_lsn, end_lsn, commit_time_us } => {
            format!("commit lsn={commit_lsn} end={end_lsn} time={commit_time_us}")
        }
        Message::Delete { relation, old } => format!("delete {relation} {}", render_old(old)),
        Message::Insert { relation, new } => format!("insert {relation} new={}", render_tuple(new)),
        Message::Message { transactional, lsn, prefix, content } => {
            let content = render_value(content);
            format!("message transactional={transactional} lsn={lsn} prefix={prefix:?} {content}")
        }
        Message::Origin { lsn, name } => format!("origin lsn={lsn} name={name:?}"),
        Message::Relation(relation) => render_relation(&relation.to_owned()),
        Message::Truncate { cascade, restart_identity, relations } => {
            let flags = format!("cascade={cascade} restart_identity={restart_identity}");
            format!("truncate {flags} {relations:?}")
        }
        Message::Type { oid, namespace, name } => format!("type {oid} {namespace:?} {name:?}"),
        Message::Update { relation, old, new } => {
            let old = old.as_ref().map_or_else(|| "no old".to_owned(), render_old);
            format!("update {relation} {old} new={}", render_tuple(new))
        }
    }
}

fn render_relation(relation: &Relation) -> String {
    let Relation { id, namespace, name, identity, columns } = relation;
    let column = |c: &RelationColumn| {
        let star = if c.is_identity { "*" } else { "" };
        format!("{:?}{star} {}/{}", c.name, c.type_oid, c.type_modifier)
    };
    let columns = columns.iter().map(column).collect::<Vec<_>>().join(", ");
    format!("relation {id} {namespace:?} {name:?} identity={identity:?} ({columns})")
}

fn render_old(old: &OldTuple<'_>) -> String {
    format!("old={:?}{}", old.kind, render_tuple(&old.tuple))
}

fn render_tuple(tuple: &Tuple<'_>) -> String {
    let column = |column| match column {
        Column::Binary(value) => format!("b:{}", render_value(value)),
        Column::Null => "n".to_owned(),
        Column::Text(value) => format!("t:{}", render_value(value)),
        Column::Unchanged => "u".to_owned(),
    };
    format!("({})", tuple.columns().map(column).collect::<Vec<_>>().join(", "))
}

fn render_value(value: &[u8]) -> String {
    match value.get(..16) {
        Some(start) if value.len() > 60 => {
            format!("{}… {} bytes", start.escape_ascii(), value.len())
        }
        _ => format!("'{}'", value.escape_ascii()),
    }
}

/// Two rows back to back, cut at every byte.
#[test]
fn tuples_back_to_back_are_whole_or_an_error() {
    let (first, second) = (b"\0\x02nt\0\0\0\x02ab", b"\0\x01b\0\0\0\x01\xff");
    let rows = [first.as_slice(), second].concat();
    let render = |tuple: Result<Tuple<'_>, Error>| tuple.map(|tuple| format!("{tuple:?}"));
    let whole: Result<Vec<_>, _> = Tuples::new(&rows).map(render).collect();
    assert_eq!(whole.unwrap(), ["[Null, Text(2 bytes)]", "[Binary(1 bytes)]"]);
    for end in 0..rows.len() {
        let mut tuples = Tuples::new(&rows[..end]);
        let outcomes: Vec<_> = tuples.by_ref().map(|tuple| tuple.is_ok()).collect();
        let expect: &[bool] = match end {
            0 => &[],
            _ if end < first.len() => &[false],
            _ if end == first.len() => &[true],
            _ => &[true, false],
        };
        assert_eq!(outcomes, expect, "{end}");
        assert!(tuples.next().is_none());
    }
}
