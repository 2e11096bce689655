//! What the model meets too seldom.

use super::server::relation;
use super::*;

/// One range, read on standbys.
fn machine(unsettled: Option<Unsettled>) -> Snapshots {
    machine_of(vec!["key".into()], unsettled)
}

fn machine_of(key: Vec<String>, unsettled: Option<Unsettled>) -> Snapshots {
    let progress = Progress {
        state: State::Reading,
        key,
        ranges: vec![Range::default()],
        unsettled,
        ..Progress::new("s".into(), "public.t".into(), RELATION)
    };
    let mut machine = Snapshots::new(LIMITS, None).on_standbys(Lsn(100));
    machine.begin(progress, None, None);
    machine
}

fn listed(end: u32) -> Visibility {
    Visibility::Listed { end: Xid(end), running: Vec::new() }
}

/// What shows ends at or before this.
fn replayed(lsn: u64) -> Visibility {
    Visibility::Replayed { from: Lsn(lsn), to: Lsn(lsn) }
}

/// A chunk without rows that has not all of its range.
fn chunk(visibility: Visibility, end: u64, columns: usize) -> Chunk {
    Chunk {
        relation: relation(columns),
        visibility,
        end: Lsn(end),
        taken_us: 0,
        rows: Vec::new(),
        count: 0,
        last: Some(vec![columns.to_string()]),
    }
}

/// How many columns the chunk has that enters, if one does.
fn entered(machine: &mut Snapshots, chunk: Chunk) -> Option<usize> {
    let request = machine.next_request(|_| Some(0)).unwrap();
    machine.on_chunk(request.id, chunk);
    let entry = machine.next_entry(Lsn(1000))?;
    machine.on_entered(RELATION);
    Some(entry.chunk.relation.columns.len() - 3)
}

#[test]
fn what_was_open_is_waited_for_until_the_log_that_ended_it_was_streamed() {
    let unsettled = Some(Unsettled::all_before(Xid(8), Lsn(u64::MAX)));
    let mut machine = machine(unsettled);
    machine.on_visibility(&listed(7), Lsn(200));
    assert_eq!(machine.next_request(|_| Some(0)), None);
    machine.on_visibility(&listed(8), Lsn(300));
    // A crash would forget the 300.
    assert_eq!(machine.take_progress()[0].unsettled, unsettled);
    let request = machine.next_request(|_| Some(0)).unwrap();
    assert_eq!(request.replayed, Lsn(300));
    machine.on_failed(request.id);
    assert_eq!(entered(&mut machine, chunk(replayed(299), 400, 0)), None);
    assert_eq!(entered(&mut machine, chunk(replayed(300), 400, 0)), Some(0));
    assert_eq!(machine.take_progress()[0].unsettled, None);
}

#[test]
fn a_shape_that_a_standby_had_is_not_gone_back_to() {
    let mut machine = machine(None);
    machine.on_visibility(&listed(8), Lsn(100));
    assert_eq!(entered(&mut machine, chunk(replayed(150), 200, 1)), Some(1));
    assert_eq!(entered(&mut machine, chunk(replayed(150), 200, 0)), None);
    let request = machine.next_request(|_| Some(0)).unwrap();
    assert_eq!(request.replayed, Lsn(201));
    machine.on_failed(request.id);
    assert_eq!(entered(&mut machine, chunk(replayed(300), 300, 2)), Some(2));
}

#[test]
fn what_a_server_in_another_role_shows_is_read_again() {
    let mut machine = machine(None);
    machine.on_visibility(&listed(8), Lsn(100));
    assert_eq!(entered(&mut machine, chunk(listed(8), 200, 0)), None);
    assert!(machine.next_request(|_| Some(0)).is_some());
}

/// What was replayed while it was read may show; what is behind that does not, and is in its rows.
#[test]
fn a_table_without_a_key_is_read_again_where_it_cannot_be_told_what_shows() {
    let mut machine = machine_of(Vec::new(), None);
    machine.on_visibility(&listed(8), Lsn(100));
    let relation = RELATION.0.to_be_bytes();
    let new = tuple(0, Some(Row { plain: 1, toast: 1 }), true, 0);
    for (commit_lsn, xid) in [(150_u64, 9_u32), (250, 10)] {
        let lsn = commit_lsn.to_be_bytes();
        for message in [
            [&b"B"[..], &lsn, &[0; 8], &xid.to_be_bytes()].concat(),
            relation_message(0),
            [&b"I"[..], &relation, b"N", &new].concat(),
            [&b"C\0"[..], &lsn, &lsn, &[0; 8]].concat(),
        ] {
            machine.on_message(&Message::parse(&message).unwrap(), true);
        }
    }
    for (wanted, from, expect) in [(100, 120, None), (151, 151, Some(1))] {
        let request = machine.next_request(|_| Some(0)).unwrap();
        assert_eq!(request.replayed, Lsn(wanted));
        let visibility = Visibility::Replayed { from: Lsn(from), to: Lsn(200) };
        machine.on_chunk(request.id, chunk(visibility, 300, 0));
        assert_eq!(machine.next_entry(Lsn(1000)).map(|entry| entry.chunk.count), expect);
    }
}
