//! Encoding a row of the common types allocates nothing once the buffer has grown. A binary of its
//! own without a harness, because the counter counts for the whole process.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

use std::alloc::System;
use std::time::Instant;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use walbrook::encode::{ColumnEncoder, Notation, Values};
use walbrook::types::{Kind, Printed, TypeCatalog};
use walbrook::wal::Column;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const GOLDEN: &str = include_str!("golden/types.tsv");
const EXTENSIONS: [&str; 2] =
    [include_str!("golden/pgvector.tsv"), include_str!("golden/postgis.tsv")];
const ROWS: u32 = 200_000;

/// The orders table: kind, text form, binary form of each column.
fn orders() -> Vec<(Kind, &'static [u8], Vec<u8>)> {
    let price = Kind::Numeric { declared: Some((12, 2)) };
    let instant = 783_952_496_789_012_i64.to_be_bytes().to_vec();
    vec![
        (Kind::Int8, b"123456789", 123_456_789_i64.to_be_bytes().into()),
        (Kind::Int4, b"424242", 424_242_i32.to_be_bytes().into()),
        (Kind::Text, b"pending shipment", b"pending shipment".into()),
        (price, b"12345.67", vec![0, 3, 0, 1, 0, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x2c]),
        (Kind::TimestampTz { precision: None }, b"2024-11-04 12:34:56.789012+00", instant.clone()),
        (Kind::Timestamp { precision: None }, b"2024-11-04 12:34:56.789012", instant),
        (
            Kind::Text,
            b"a note of some forty characters, or more",
            b"a note of some forty characters, or more".into(),
        ),
        (Kind::Bool, b"t", vec![1]),
        (Kind::Int2, b"7", vec![0, 7]),
        (Kind::Text, b"SKU-0001-ABCD", b"SKU-0001-ABCD".into()),
        (Kind::Uuid, b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", (0..16).collect()),
        (
            Kind::Jsonb,
            br#"{"a": 1, "b": [true, null], "c": "text"}"#,
            b"\x01{\"a\": 1, \"b\": [true, null], \"c\": \"text\"}".into(),
        ),
    ]
}

fn main() {
    the_row_of_orders();
    every_golden_value();
    every_value_of_extensions();
}

fn the_row_of_orders() {
    let columns = orders();
    let values = Values::default();
    let encoders: Vec<ColumnEncoder> = columns
        .iter()
        .enumerate()
        .map(|(at, (kind, ..))| ColumnEncoder::compile(kind, at % 2 == 1, Notation::Avro, &values))
        .collect();
    for is_binary in [false, true] {
        let mut out = Vec::with_capacity(4096);
        let start = Instant::now();
        let region = Region::new(GLOBAL);
        for _ in 0..ROWS {
            out.clear();
            for (encoder, (_, text, binary)) in encoders.iter().zip(&columns) {
                let column = if is_binary { Column::Binary(binary) } else { Column::Text(text) };
                encoder.encode(std::hint::black_box(column), &mut out).unwrap();
            }
            std::hint::black_box(&out);
        }
        let change = region.change();
        let took = start.elapsed() / ROWS;
        println!("binary {is_binary}: {took:?} and {} bytes a row", out.len());
        assert_eq!(change.allocations + change.reallocations, 0, "binary {is_binary}");
    }
}

/// All values of the golden file that PostgreSQL's own OIDs describe, but for numerics beyond 38
/// digits, `tsquery`, and array elements and hstore with escapes, which may allocate.
fn every_golden_value() {
    let catalog = TypeCatalog::default();
    let mut encoded = 0;
    for line in GOLDEN.lines().filter(|line| line.starts_with("value")) {
        let fields: Vec<&str> = line.split('\t').collect();
        let kind = catalog.resolve(fields[2].parse().unwrap(), fields[3].parse().unwrap());
        let is_exempt = match &kind {
            Kind::Array(_) | Kind::Hstore => fields[4].contains(['\\', '.']),
            Kind::Printed(Printed::Tsquery) => true,
            Kind::Numeric { .. } => 32 < fields[4].len(),
            kind => !kind.is_known(),
        };
        if is_exempt {
            continue;
        }
        allocates_nothing(&kind, &fields);
        encoded += 1;
    }
    assert!(300 < encoded, "{encoded} values of the golden file");
}

/// Vectors and shapes by themselves; in a composite their text may need quotes.
fn every_value_of_extensions() {
    let mut encoded = 0;
    for line in EXTENSIONS.iter().flat_map(|golden| golden.lines()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let kind = match fields[1].split('(').next() {
            Some("geography") => Kind::Geography,
            Some("geometry") => Kind::Geometry,
            Some("halfvec") => Kind::Halfvec,
            Some("sparsevec") => Kind::Sparsevec,
            Some("vector") => Kind::Vector,
            _ => continue,
        };
        if !fields[1].ends_with("[]") {
            allocates_nothing(&kind, &fields);
            encoded += 1;
        }
    }
    assert!(50 < encoded, "{encoded} values of the golden files");
}

/// Both forms of a golden line.
fn allocates_nothing(kind: &Kind, fields: &[&str]) {
    let hex = fields[5];
    let binary: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let encoder = ColumnEncoder::compile(kind, true, Notation::Avro, &Values::default());
    let mut out = Vec::with_capacity(4096);
    let region = Region::new(GLOBAL);
    for column in [Column::Binary(&binary), Column::Text(fields[4].as_bytes())] {
        let _ = encoder.encode(column, &mut out);
    }
    let change = region.change();
    assert_eq!(change.allocations + change.reallocations, 0, "{fields:?}");
}
