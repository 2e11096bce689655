//! Every verdict and every refusal, from one ordinary start that a case changes.

use std::collections::BTreeMap;

use super::jump::Jump;
use super::*;
use crate::checkpoint::{FORMAT, Inside};
use crate::position::{Position, Xid};

fn expected() -> Expected {
    let stream =
        Stream { publications: vec!["p".to_owned()], messages: false, oids: BTreeMap::new() };
    Expected { pipeline: "shop".to_owned(), slot: "s".to_owned(), database: "d".to_owned(), stream }
}

fn server() -> Server {
    let slot = Slot {
        plugin: Some("pgoutput".to_owned()),
        database: Some("d".to_owned()),
        confirmed: Some(Lsn(100)),
        lost: None,
        is_temporary: false,
        is_two_phase: false,
    };
    Server {
        system_identifier: "7".to_owned(),
        timeline: 1,
        flush_lsn: Lsn(1000),
        history: Vec::new(),
        slot: Some(slot),
    }
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        format: FORMAT,
        pipeline: "shop".to_owned(),
        system_identifier: "7".to_owned(),
        timeline: 1,
        slot: "s".to_owned(),
        state: State::Streaming,
        stream: expected().stream,
        epoch: 0,
        position: Position { commit_lsn: Lsn(140), ordinal: 3 },
        xid: Some(Xid(741)),
        confirm: Lsn(150),
        inside: None,
        accepted: None,
        snapshots: None,
        parked: 0,
        entered: None,
        letters: BTreeMap::new(),
        omissions: Vec::new(),
    }
}

/// Judges the ordinary start-up after `change` was made to it.
fn judged(
    change: impl FnOnce(&mut Expected, &mut Server, &mut Option<Checkpoint>),
) -> Result<String, String> {
    let (mut expected, mut server, mut checkpoint) = (expected(), server(), Some(checkpoint()));
    change(&mut expected, &mut server, &mut checkpoint);
    let got = judge(&expected, &server, checkpoint.as_ref());
    got.map(|verdict| format!("{verdict:?}")).map_err(|refusal| format!("{refusal:?}"))
}

/// The verdict has `part` in it.
#[track_caller]
fn check_within(
    change: impl FnOnce(&mut Expected, &mut Server, &mut Option<Checkpoint>),
    part: &str,
) {
    let got = judged(change).unwrap();
    assert!(got.contains(part), "got {got}, want {part}");
}

#[track_caller]
fn check(
    change: impl FnOnce(&mut Expected, &mut Server, &mut Option<Checkpoint>),
    want: Result<&str, &str>,
) {
    let got = judged(change);
    let ((Ok(got), Ok(prefix)) | (Err(got), Err(prefix))) = (&got, want) else {
        panic!("got {got:?}, want {want:?}");
    };
    assert!(got.starts_with(prefix), "got {got}, want {prefix}");
}

#[test]
fn the_ordinary_start_goes_on() {
    check(|_, _, _| (), Ok("Resume"));
    check(|_, server, _| server.slot.as_mut().unwrap().confirmed = Some(Lsn(150)), Ok("Resume"));
}

/// What is confirmed does not come again, nor what other publications do not have.
#[test]
fn the_checkpoint_s_transaction_comes_again_unless_it_is_confirmed_or_another_stream_s() {
    let slot = |server: &mut Server, lsn| server.slot.as_mut().unwrap().confirmed = Some(Lsn(lsn));
    let (again, not) = ("comes_again: true", "comes_again: false");
    check_within(|_, server, _| slot(server, 140), again);
    check_within(|_, server, _| slot(server, 141), not);
    check_within(|expected, _, _| expected.stream.publications.push("q".to_owned()), not);
    // Nor does it the next time, when the checkpoint has their names.
    check_within(|expected, _, _| expected.stream.publications.push("q".to_owned()), "xid: None");
    check_within(|_, _, checkpoint| checkpoint.as_mut().unwrap().xid = None, not);
    // Publications that were made anew had their past; and what was cut must come in any case.
    let remade = |expected: &mut Expected| expected.stream.oids = [("p".to_owned(), 7)].into();
    check_within(|expected, _, _| remade(expected), again);
    check_within(
        |expected, _, checkpoint| {
            remade(expected);
            let checkpoint = checkpoint.as_mut().unwrap();
            (checkpoint.xid, checkpoint.confirm) = (None, Lsn(130));
            checkpoint.inside = Some(Inside { xid: Xid(1), lsn: Lsn(135) });
        },
        again,
    );
    check_within(|_, _, checkpoint| checkpoint.as_mut().unwrap().position.ordinal = 0, not);
}

#[test]
fn the_first_start_creates_and_an_unfinished_one_creates_again() {
    check(
        |_, server, checkpoint| {
            server.slot = None;
            *checkpoint = None;
        },
        Ok("Create"),
    );
    let creating = |checkpoint: &mut Option<Checkpoint>| {
        checkpoint.as_mut().unwrap().state = State::Creating;
    };
    check(|_, _, checkpoint| creating(checkpoint), Ok("Create"));
    check(
        |_, server, checkpoint| {
            server.slot = None;
            creating(checkpoint);
        },
        Ok("Create"),
    );
}

#[test]
fn a_slot_without_checkpoint_and_a_checkpoint_without_slot_are_refused() {
    check(|_, _, checkpoint| *checkpoint = None, Err("Adopt"));
    check(|_, server, _| server.slot = None, Err("NoSlot"));
}

#[test]
fn gaps_losses_and_strangers_are_refused() {
    fn slot(server: &mut Server) -> &mut Slot {
        server.slot.as_mut().unwrap()
    }
    check(|_, server, _| slot(server).confirmed = Some(Lsn(151)), Err("Gap"));
    check(|_, server, _| slot(server).lost = Some("wal_removed".to_owned()), Err("Lost"));
    check(|_, server, _| slot(server).plugin = Some("wal2json".to_owned()), Err("Foreign"));
    check(|_, server, _| slot(server).plugin = None, Err("Foreign"));
    check(|_, server, _| slot(server).database = Some("e".to_owned()), Err("Foreign"));
    check(|_, server, _| slot(server).is_temporary = true, Err("TemporarySlot"));
    check(|_, server, _| slot(server).is_two_phase = true, Err("TwoPhaseSlot"));
    // Nor is such a slot taken for a half-made one of ours, and dropped; or adopted.
    check(
        |_, server, checkpoint| {
            slot(server).is_two_phase = true;
            checkpoint.as_mut().unwrap().state = State::Creating;
        },
        Err("TwoPhaseSlot"),
    );
    check(
        |_, server, checkpoint| {
            slot(server).is_two_phase = true;
            *checkpoint = None;
        },
        Err("TwoPhaseSlot"),
    );
    check(|_, server, _| server.system_identifier = "8".to_owned(), Err("System"));
    check(|_, server, _| server.flush_lsn = Lsn(149), Err("Ahead"));
    check(|expected, _, _| expected.pipeline = "other".to_owned(), Err("Pipeline"));
}

#[test]
fn a_newer_timeline_goes_on_only_if_it_left_after_the_checkpoint() {
    let on_two = |end: u64| {
        move |_: &mut Expected, server: &mut Server, _: &mut Option<Checkpoint>| {
            server.timeline = 2;
            server.history = vec![(1, Lsn(end))];
        }
    };
    check_within(on_two(150), "timeline: 2");
    check(on_two(149), Err("Forked"));
    // A position past the fork while confirm lies before it: a part of a lost transaction.
    check(
        |_, server, checkpoint| {
            server.timeline = 2;
            server.history = vec![(1, Lsn(155))];
            let checkpoint = checkpoint.as_mut().unwrap();
            checkpoint.position.commit_lsn = Lsn(160);
            checkpoint.inside = Some(Inside { xid: Xid(1), lsn: Lsn(152) });
        },
        Err("Forked"),
    );
    // No ancestor at all, or an older timeline than the checkpoint's.
    check(|_, server, _| server.timeline = 3, Err("Forked"));
    check(|_, _, checkpoint| checkpoint.as_mut().unwrap().timeline = 2, Err("Forked"));
}

#[test]
fn publications_may_change_between_transactions_only() {
    let other = |expected: &mut Expected| expected.stream.publications.push("q".to_owned());
    check(|expected, _, _| other(expected), Ok("Resume"));
    check(
        |expected, _, checkpoint| {
            other(expected);
            checkpoint.as_mut().unwrap().inside = Some(Inside { xid: Xid(1), lsn: Lsn(1) });
        },
        Err("StreamChanged"),
    );
    // Other OIDs are no reason: the stream ends where a publication was missing, and only there.
    check(
        |expected, _, checkpoint| {
            expected.stream.oids.insert("p".to_owned(), 16_402);
            checkpoint.as_mut().unwrap().inside = Some(Inside { xid: Xid(1), lsn: Lsn(1) });
        },
        Ok("Resume"),
    );
}

/// What may be accepted, and the jump to a slot that goes on at `point`, after `change` was made.
#[track_caller]
fn check_accept(
    change: impl FnOnce(&mut Expected, &mut Server, &mut Option<Checkpoint>),
    point: u64,
    want: Result<Jump, &str>,
) {
    let (mut expected, mut server, mut checkpoint) = (expected(), server(), Some(checkpoint()));
    change(&mut expected, &mut server, &mut checkpoint);
    let got = may_accept(&expected, &server, checkpoint.as_ref(), false, None);
    let got = got.map(|()| Jump::new(&server, checkpoint.as_ref(), Lsn(point)));
    match (&got, want) {
        (Ok(got), Ok(want)) => assert_eq!(*got, want, "{got}"),
        (Err(got), Err(want)) => assert!(format!("{got:?}").starts_with(want), "{got:?}"),
        (_, want) => panic!("got {got:?}, want {want:?}"),
    }
}

#[test]
fn there_is_nothing_to_accept_where_a_start_is_not_refused() {
    check_accept(|_, _, _| (), 100, Err("NothingToAccept { slot: \"s\", position: Some("));
    let nothing = |_: &mut Expected, server: &mut Server, checkpoint: &mut Option<Checkpoint>| {
        server.slot = None;
        *checkpoint = None;
    };
    check_accept(nothing, 0, Err("NothingToAccept { slot: \"s\", position: None }"));
    // Unless there is a record that nobody can read; one that was mended meanwhile counts.
    let without = Server { slot: None, ..server() };
    assert_eq!(may_accept(&expected(), &without, None, true, None), Ok(()));
    assert!(may_accept(&expected(), &server(), Some(&checkpoint()), true, None).is_err());
    // What the stream contradicts is named by its position, and no other is.
    let named = |position| may_accept(&expected(), &server(), Some(&checkpoint()), false, position);
    let position = checkpoint().position;
    assert_eq!(named(Some(position)), Ok(()));
    let other = Position { ordinal: position.ordinal + 1, ..position };
    assert!(matches!(named(Some(other)), Err(Refusal::NothingToAccept { .. })));
    // What is not ours stays as it is, also behind a refusal that is asked earlier.
    check_accept(|expected, _, _| expected.pipeline = "other".to_owned(), 0, Err("Pipeline"));
    let foreign = |_: &mut Expected, server: &mut Server, _: &mut Option<Checkpoint>| {
        server.system_identifier = "8".to_owned();
        server.slot.as_mut().unwrap().plugin = None;
    };
    check_accept(foreign, 0, Err("Foreign"));
}

#[test]
fn what_is_accepted_says_what_is_missing_and_what_comes_again() {
    let known = |gap: Option<(u64, u64)>, repeat: Option<(u64, u64)>| {
        let lsns = |(from, to)| (Lsn(from), Lsn(to));
        Ok(Jump::Known { gap: gap.map(lsns), repeat: repeat.map(lsns) })
    };
    let moved = |_: &mut Expected, server: &mut Server, _: &mut Option<Checkpoint>| {
        server.slot.as_mut().unwrap().confirmed = Some(Lsn(200));
    };
    check_accept(moved, 200, known(Some((150, 200)), None));
    check_accept(|_, server, _| server.slot = None, 300, known(Some((150, 300)), None));
    // A server that was restored: the slot is before the checkpoint.
    check_accept(|_, server, _| server.flush_lsn = Lsn(149), 100, known(None, Some((100, 150))));
    // Inside a transaction, the position is ahead of what is confirmed.
    let inside = |_: &mut Expected, server: &mut Server, checkpoint: &mut Option<Checkpoint>| {
        server.slot.as_mut().unwrap().confirmed = Some(Lsn(155));
        let checkpoint = checkpoint.as_mut().unwrap();
        checkpoint.position.commit_lsn = Lsn(160);
        checkpoint.inside = Some(Inside { xid: Xid(1), lsn: Lsn(152) });
    };
    check_accept(inside, 155, known(Some((150, 155)), Some((155, 160))));
    check_accept(inside, 160, known(Some((150, 160)), Some((160, 160))));
    check_accept(inside, 161, known(Some((150, 161)), None));
    // Behind a fork, the checkpoint covers what another server had.
    let forked = |_: &mut Expected, server: &mut Server, _: &mut Option<Checkpoint>| {
        server.timeline = 2;
        server.history = vec![(1, Lsn(120))];
    };
    check_accept(forked, 130, known(Some((120, 130)), Some((130, 150))));
    let unknown = Ok(Jump::Unknown { point: Lsn(100) });
    check_accept(|_, server, _| server.system_identifier = "8".to_owned(), 100, unknown);
    check_accept(|_, _, checkpoint| *checkpoint = None, 100, unknown);
}

#[test]
fn a_jump_is_said_in_words() {
    let check = |gap, repeat, words: &[&str]| {
        let text = Jump::Known { gap, repeat }.to_string();
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
    };
    let lsns = Some((Lsn(16), Lsn(32)));
    check(
        lsns,
        None,
        &["not delivered: changes that committed from 0/10 to 0/20", "again: nothing"],
    );
    check(None, lsns, &["not delivered: nothing", "may come again: changes", "from 0/10 to 0/20"]);
    check(None, None, &["nothing is missing"]);
    let text = Jump::Unknown { point: Lsn(16) }.to_string();
    assert!(text.contains("committed before 0/10") && text.contains("from 0/10 on"), "{text}");
}

#[test]
fn a_lost_slot_comes_with_what_keeps_the_next_one() {
    for (reason, advice) in [
        ("wal_removed", "max_slot_wal_keep_size"),
        ("idle_timeout", "idle_replication_slot_timeout"),
        ("rows_removed", "hot_standby_feedback"),
        ("wal_level_insufficient", "wal_level = logical"),
        ("conflicting", "the server's log"),
    ] {
        let (slot, reason) = ("s".to_owned(), reason.to_owned());
        let refusal = Refusal::Lost { slot, reason, confirm: Lsn(1) }.to_string();
        assert!(refusal.contains(advice) && refusal.contains("checkpoint accept"), "{refusal}");
    }
}
