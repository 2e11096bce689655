//! Whatever the topic of what is parked has: it is a change or an error, and a change is written again as it
//! was.
//!
//! ```text
//! cargo +nightly fuzz run --fuzz-dir tests/fuzz parked -- -max_total_time=180
//! ```
#![no_main]
#![allow(dead_code, unused_imports)]

use libfuzzer_sys::fuzz_target;

#[path = "../../../src/change.rs"]
mod change;
#[path = "../../../src/facts.rs"]
mod facts;
#[path = "../../../src/parked/mod.rs"]
mod parked;
#[path = "../../../src/position.rs"]
mod position;
#[path = "../../../src/types/mod.rs"]
mod types;
#[path = "../../../src/wal/mod.rs"]
mod wal;

use parked::{Joiner, Kept, Parked, Shape};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(parked) = Parked::from_json(bytes) {
        assert_eq!(Parked::from_json(&parked.to_json()).expect("what was written"), parked);
    }
    if let Ok(shape) = Shape::from_json(bytes) {
        let written = shape.to_json();
        let again = Shape::from_json(&written).expect("what was written");
        assert_eq!(again.to_json(), written);
    }
    let mut joiner = Joiner::default();
    match joiner.push(bytes) {
        Ok(Some(joined)) => read(joined),
        Ok(None) => {}
        Err(error) => drop(error.to_string()),
    }
    read(bytes);
});

fn read(bytes: &[u8]) {
    let kept = match Kept::parse(bytes) {
        Ok(kept) => kept,
        Err(error) => return drop(error.to_string()),
    };
    drop(format!("{kept:?}"));
    let Some(change) = kept.change() else { return };
    drop(format!("{change:?}"));
    let mut written = Vec::new();
    parked::write(&change, kept.epoch(), kept.shape, &mut written);
    let again = Kept::parse(&written).expect("what was written");
    let again = again.change().expect("what was written");
    assert_eq!(format!("{:?}", again.op), format!("{:?}", change.op));
    assert_eq!(again.position, change.position);
}
