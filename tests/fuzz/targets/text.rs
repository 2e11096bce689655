//! Whatever comes as the text form of a value: it is encoded, or an error.
//! The first bytes pick the type.
#![no_main]
#![allow(dead_code, unused_imports)]

use libfuzzer_sys::fuzz_target;

#[path = "../../../src/encode/mod.rs"]
mod encode;
#[path = "../kinds.rs"]
mod kinds;
#[path = "../../../src/position.rs"]
mod position;
#[path = "../../../src/types/mod.rs"]
mod types;
#[path = "../../../src/wal/mod.rs"]
mod wal;

use wal::Column;

fuzz_target!(|bytes: &[u8]| {
    if let Some((kind, value)) = kinds::plain(bytes) {
        kinds::encode(&kind, Column::Text(value));
    }
});
