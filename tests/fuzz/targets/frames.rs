//! Whatever a walsender sends: it parses or is an error, and what parsed can be read to the end.
//!
//! ```text
//! cargo install cargo-fuzz
//! tests/fuzz/seeds            # the golden frames as the first corpus
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz frames -- -max_total_time=180
//! ```
#![no_main]
#![allow(dead_code, unused_imports)]

use libfuzzer_sys::fuzz_target;

#[path = "../../../src/position.rs"]
mod position;
#[path = "../../../src/wal/mod.rs"]
mod wal;

use wal::{Column, Frame, Message, Transcoder, Tuple};

fuzz_target!(|bytes: &[u8]| {
    // As a frame, and as the body of one.
    match Frame::parse(bytes) {
        Ok(frame) => {
            drop(format!("{frame:?}"));
            if let Frame::XLogData { body, .. } = frame {
                read(body);
            }
        }
        Err(error) => drop(error.to_string()),
    }
    read(bytes);
});

fn read(body: &[u8]) {
    let message = match Message::parse(body) {
        Ok(message) => message,
        Err(error) => return drop(error.to_string()),
    };
    drop(format!("{message:?}"));
    match message {
        Message::Delete { old, .. } => walk(old.tuple, body),
        Message::Insert { new, .. } => walk(new, body),
        Message::Relation(relation) => {
            let relation = relation.to_owned();
            // 10 bytes of each column are not its name.
            assert!(relation.columns.len() * 10 <= body.len());
        }
        Message::Truncate { relations, .. } => assert_eq!(relations.iter().count(), relations.len()),
        Message::Update { old, new, .. } => {
            if let Some(old) = old {
                walk(old.tuple, body);
            }
            walk(new, body);
        }
        _ => {}
    }
    for encoding in [encoding_rs::EUC_JP, encoding_rs::WINDOWS_1253] {
        transcode(encoding, body);
    }
}

/// What is read is read in any encoding, and never has a character in place of a byte that has none.
fn transcode(encoding: &'static encoding_rs::Encoding, body: &[u8]) {
    let mut transcoder = Transcoder::new(Some(encoding));
    let message = transcoder.parse(body).expect("it was read before");
    let (Message::Insert { new: before, .. }, Message::Insert { new: after, .. }) =
        (Message::parse(body).expect("the same"), message)
    else {
        return;
    };
    assert_eq!(before.len(), after.len());
    for columns in before.columns().zip(after.columns()) {
        if let (Column::Text(before), Column::Text(after)) = columns {
            let expect = encoding.decode_without_bom_handling_and_without_replacement(before);
            assert_eq!(str::from_utf8(after).ok(), expect.as_deref());
        }
    }
}

/// All columns are there, and none is outside of the message.
fn walk(tuple: Tuple<'_>, body: &[u8]) {
    let mut columns = 0;
    for column in tuple.columns() {
        columns += 1;
        if let Column::Binary(value) | Column::Text(value) = column {
            assert!(body.as_ptr_range().start <= value.as_ptr_range().start);
            assert!(value.as_ptr_range().end <= body.as_ptr_range().end);
        }
    }
    assert_eq!(columns, tuple.len());
}
