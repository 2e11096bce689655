//! Changes of a stream that was written by hand, found and not found.

use super::*;

fn message(text: &str) -> Vec<u8> {
    text.bytes().collect()
}

fn begin(commit_lsn: u64) -> Vec<u8> {
    [&b"B"[..], &commit_lsn.to_be_bytes(), &[0; 8], &741_u32.to_be_bytes()].concat()
}

fn commit(commit_lsn: u64) -> Vec<u8> {
    [&b"C\0"[..], &commit_lsn.to_be_bytes(), &(commit_lsn + 8).to_be_bytes(), &[0; 8]].concat()
}

/// A table of a key and a value.
fn relation() -> Vec<u8> {
    let column = |flag: u8, name: &str| {
        [&[flag], name.as_bytes(), b"\0", &25_u32.to_be_bytes(), &(-1_i32).to_be_bytes()].concat()
    };
    let head = [&b"R"[..], &7_u32.to_be_bytes(), b"public\0t\0d\0\x02"].concat();
    [head, column(1, "id"), column(0, "v")].concat()
}

/// A tuple of two columns; `None` is NULL, `u` unchanged.
fn tuple(tag: &str, columns: [Option<&[u8]>; 2]) -> Vec<u8> {
    let mut out = [tag.as_bytes(), &[0, 2]].concat();
    for column in columns {
        match column {
            None => out.push(b'n'),
            Some(b"u") => out.push(b'u'),
            Some(bytes) => {
                out.push(b't');
                out.extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_be_bytes());
                out.extend_from_slice(bytes);
            }
        }
    }
    out
}

fn of_table(tag: &str, tuples: &[Vec<u8>]) -> Vec<u8> {
    [tag.as_bytes(), &7_u32.to_be_bytes(), &tuples.concat()].concat()
}

fn emitted(is_transactional: u8) -> Vec<u8> {
    let head = [&b"M"[..], &[is_transactional], &[0; 8], b"outbox\0"].concat();
    [&head[..], &2_u32.to_be_bytes(), b"{}"].concat()
}

/// Two transactions, at 100 and 200.
fn stream() -> Vec<Vec<u8>> {
    let row = |value: &'static [u8]| [Some(&b"1"[..]), Some(value)];
    vec![
        begin(100),
        relation(),
        of_table("I", &[tuple("N", row(b"a"))]),
        emitted(0),
        emitted(1),
        of_table("U", &[tuple("K", [Some(b"0"), None]), tuple("N", row(b"u"))]),
        of_table("D", &[tuple("O", row(b"\xff"))]),
        [message("T"), vec![0, 0, 0, 1, 0, 0, 0, 0, 7]].concat(),
        commit(100),
        begin(200),
        of_table("I", &[tuple("N", row(b"b"))]),
        commit(200),
    ]
}

/// What a search for the position comes to.
fn search(commit_lsn: u64, ordinal: u64) -> Result<Found, String> {
    let mut search = Search::new(Position { commit_lsn: Lsn(commit_lsn), ordinal });
    for bytes in stream() {
        match search.on_message(Lsn(90), &Message::parse(&bytes).unwrap()) {
            Step::Continue => {}
            Step::Found(found) => return Ok(found),
            Step::Missing(why) => return Err(why),
        }
    }
    match search.on_keepalive(Lsn(300)) {
        Step::Missing(why) => Err(why),
        _ => Err("nothing yet".to_owned()),
    }
}

#[test]
fn a_change_is_told_as_the_stream_has_it() {
    let check = |ordinal, operation: &str, table: &str, row: Value| {
        let found = search(100, ordinal).unwrap_or_else(|why| panic!("{why}"));
        let head = json!({ "position": format!("0/64#{ordinal}"), "xid": 741, "lsn": "0/5A" });
        let mut wanted = head.as_object().unwrap().clone();
        wanted.insert("operation".to_owned(), operation.into());
        wanted.extend(row.as_object().unwrap().clone());
        assert_eq!(Value::Object(found.row), Value::Object(wanted));
        assert_eq!((found.operation, found.table.as_str()), (operation, table));
        assert_eq!(found.change, Inside { xid: Xid(741), lsn: Lsn(90) });
    };
    let row = |more: Value| {
        let mut row = json!({ "table": "public.t" });
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    check(1, "insert", "public.t", row(json!({ "new": { "id": "1", "v": "a" } })));
    // A message outside of any transaction does not count.
    let message = json!({ "prefix": "outbox", "content": "{}" });
    check(2, "message", "messages of \"outbox\"", message);
    // What is not of a key is not NULL, and what was not sent is not there.
    let update = json!({ "old": { "id": "0" }, "new": { "id": "1" } });
    check(3, "update", "public.t", row(update));
    check(4, "delete", "public.t", row(json!({ "old": { "id": "1", "v": { "bytes": "ff" } } })));
    check(5, "truncate", "public.t", json!({ "tables": ["public.t"] }));
}

#[test]
fn what_is_not_there_is_not_waited_for() {
    let missing = |commit_lsn, ordinal| search(commit_lsn, ordinal).err().unwrap();
    assert_eq!(missing(100, 6), "its transaction has 5 changes");
    assert_eq!(missing(100, 0), "its transaction has 5 changes");
    assert_eq!(missing(150, 1), "the next transaction is at 0/C8");
    assert_eq!(missing(250, 1), "nothing is published up to 0/12C");
    assert_eq!(missing(300, 1), "nothing yet");
}
