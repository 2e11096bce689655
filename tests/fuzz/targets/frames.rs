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

use wal::{Column, Frame, Message, Tuple};

fuzz_target!(|bytes: &[u8]| {
    // As a frame, and as the body of one.
    match Frame::parse(bytes) {
        Ok(frame) => {
            format!("{frame:?}");
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
    format!("{message:?}");
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
