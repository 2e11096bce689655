//! Representations in which each mode of each list is met: for every golden value here, and for
//! every type on a server in tests/it/types.

use super::{
    BinaryMode, DecimalMode, GeometricMode, HstoreMode, IntervalMode, Modes, Representation,
    TimeMode,
};

/// Names and representations.
pub(crate) fn representations() -> Vec<(&'static str, Representation)> {
    let modes = |binary, decimal, hstore, interval, time| {
        let geometric = match hstore {
            HstoreMode::Json => GeometricMode::Record,
            HstoreMode::Map => GeometricMode::Text,
        };
        Representation::Debezium(Modes { binary, decimal, geometric, hstore, interval, time })
    };
    vec![
        ("debezium", Representation::Debezium(Modes::default())),
        ("avro", Representation::Avro),
        (
            "adaptive microseconds",
            modes(
                BinaryMode::Base64,
                DecimalMode::Double,
                HstoreMode::Map,
                IntervalMode::String,
                TimeMode::AdaptiveTimeMicroseconds,
            ),
        ),
        (
            "connect",
            modes(
                BinaryMode::Base64UrlSafe,
                DecimalMode::String,
                HstoreMode::Json,
                IntervalMode::Numeric,
                TimeMode::Connect,
            ),
        ),
        (
            "microseconds",
            modes(
                BinaryMode::Hex,
                DecimalMode::Precise,
                HstoreMode::Map,
                IntervalMode::String,
                TimeMode::Microseconds,
            ),
        ),
        (
            "nanoseconds",
            modes(
                BinaryMode::Bytes,
                DecimalMode::Double,
                HstoreMode::Json,
                IntervalMode::Numeric,
                TimeMode::Nanoseconds,
            ),
        ),
        (
            "ISO 8601",
            modes(
                BinaryMode::Bytes,
                DecimalMode::String,
                HstoreMode::Json,
                IntervalMode::Numeric,
                TimeMode::IsoString,
            ),
        ),
        (
            "structured",
            modes(
                BinaryMode::Bytes,
                DecimalMode::Precise,
                HstoreMode::Json,
                IntervalMode::String,
                TimeMode::Structured,
            ),
        ),
    ]
}
