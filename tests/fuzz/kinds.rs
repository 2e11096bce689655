//! The kind of value that the first bytes of a fuzzer's input pick, and what is done with the rest.

use crate::encode::{
    BinaryMode, ColumnEncoder, DecimalMode, GeometricMode, HstoreMode, IntervalMode, Modes,
    Notation, OnUnrepresentable, Representation, TimeMode, Values,
};
use crate::types::{Kind, Printed, print};
use crate::wal::Column;

/// Encodes a value by a road in every representation, and prints it where it came in binary form: no
/// panic, nothing left behind by an error, and JSON that a parser reads.
pub fn encode(kind: &Kind, column: Column<'_>) {
    let first = Modes {
        binary: BinaryMode::Hex,
        decimal: DecimalMode::Double,
        geometric: GeometricMode::Text,
        hstore: HstoreMode::Map,
        interval: IntervalMode::String,
        time: TimeMode::Structured,
    };
    let second = Modes {
        binary: BinaryMode::Base64,
        decimal: DecimalMode::String,
        time: TimeMode::Nanoseconds,
        ..Modes::default()
    };
    for (representation, on_unrepresentable) in [
        (Representation::Debezium(Modes::default()), OnUnrepresentable::Fail),
        (Representation::Debezium(first), OnUnrepresentable::Null),
        (Representation::Debezium(second), OnUnrepresentable::Text),
        (Representation::Avro, OnUnrepresentable::Text),
    ] {
        let values = Values { representation, on_unrepresentable, ..Values::default() };
        for notation in [Notation::Avro, Notation::Json] {
            encode_as(&ColumnEncoder::compile(kind, true, notation, &values), notation, column);
        }
    }
    if let Column::Binary(bytes) = column {
        let _ = print(kind, bytes, &mut Vec::new());
    }
}

fn encode_as(encoder: &ColumnEncoder, notation: Notation, column: Column<'_>) {
    const BEFORE: &[u8] = b"before";
    let mut out = BEFORE.to_vec();
    match (encoder.encode(column, &mut out), notation) {
        (Ok(()), Notation::Avro) => assert!(BEFORE.len() < out.len()),
        (Ok(()), Notation::Json) => {
            let written = &out[BEFORE.len()..];
            serde_json::from_slice::<serde::de::IgnoredAny>(written).expect("it is JSON");
        }
        (Err(error), _) => {
            assert_eq!(out, BEFORE);
            drop(error.to_string());
        }
    }
}

/// A kind without parts, and the rest of the input.
pub fn plain(bytes: &[u8]) -> Option<(Kind, &[u8])> {
    let (&pick, rest) = bytes.split_first()?;
    let printed = Kind::Printed;
    let kind = match pick % 48 {
        0 => Kind::Bits { length: Some(1) },
        1 => Kind::Bits { length: None },
        2 => Kind::Bool,
        3 => Kind::Bytea,
        4 => Kind::Date,
        5 => Kind::Enum { labels: Vec::new() },
        6 => Kind::Float4,
        7 => Kind::Float8,
        8 => Kind::Hstore,
        9 => Kind::Int2,
        10 => Kind::Int4,
        11 => Kind::Int8,
        12 => Kind::Interval { precision: None },
        13 => Kind::Json,
        14 => Kind::Jsonb,
        15 => Kind::Money,
        16 => Kind::Numeric { declared: None },
        17 => Kind::Numeric { declared: Some((10, 2)) },
        18 => Kind::Oid,
        19 => Kind::Other { name: String::new() },
        20 => Kind::Point,
        21 => Kind::Text,
        22 => Kind::Time { precision: None },
        23 => Kind::TimeTz { precision: None },
        24 => Kind::Timestamp { precision: None },
        25 => Kind::Timestamp { precision: Some(3) },
        26 => Kind::TimestampTz { precision: None },
        27 => Kind::Uuid,
        28 => Kind::Xml,
        29 => printed(Printed::Box),
        30 => printed(Printed::Char),
        31 => printed(Printed::Circle),
        32 => printed(Printed::Inet),
        33 => printed(Printed::Line),
        34 => printed(Printed::Ltree),
        35 => printed(Printed::Macaddr),
        36 => printed(Printed::Path),
        37 => printed(Printed::PgLsn),
        38 => printed(Printed::PgSnapshot),
        39 => printed(Printed::Polygon),
        40 => printed(Printed::Tid),
        41 => printed(Printed::Tsquery),
        42 => printed(Printed::Tsvector),
        43 => Kind::Geography,
        44 => Kind::Geometry,
        45 => Kind::Halfvec,
        46 => Kind::Sparsevec,
        _ => Kind::Vector,
    };
    Some((kind, rest))
}

/// A kind of up to so many levels, and the rest of the input.
pub fn nested(bytes: &[u8], levels: u32) -> Option<(Kind, &[u8])> {
    let (&pick, rest) = bytes.split_first()?;
    let Some(levels) = levels.checked_sub(1).filter(|_| pick % 6 != 0) else { return plain(rest) };
    let (first, rest) = nested(rest, levels)?;
    let part = Box::new(first.clone());
    Some(match pick % 6 {
        1 => (Kind::Array(part), rest),
        2 => (Kind::Printed(Printed::Range(part)), rest),
        3 => (Kind::Printed(Printed::Multirange(part)), rest),
        4 => (Kind::Printed(Printed::Vector(part)), rest),
        _ => {
            let (second, rest) = nested(rest, levels)?;
            let attributes = vec![(0, first), (1, second)];
            (Kind::Printed(Printed::Composite { attributes }), rest)
        }
    })
}
