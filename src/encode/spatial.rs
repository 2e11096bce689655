//! PostGIS' types as Debezium publishes them: a record of the bytes, which are EWKB although their
//! field is named `wkb`, and of the SRID, which they hold too.

use super::avro;
use super::column::{NULL_BRANCH, VALUE_BRANCH};
use crate::types::Ewkb;

/// Debezium's `Geometry` and `Geography`.
pub(super) fn write(value: Ewkb<'_>, out: &mut Vec<u8>) {
    let bytes = value.bytes();
    avro::length(bytes.len(), out);
    bytes.append_to(out);
    match value.srid() {
        None => out.push(NULL_BRANCH),
        Some(srid) => {
            out.push(VALUE_BRANCH);
            avro::int(srid, out);
        }
    }
}

/// An empty collection, which Debezium invents.
pub(super) fn write_empty(out: &mut Vec<u8>) {
    avro::bytes(&[1, 7, 0, 0, 0, 0, 0, 0, 0], out);
    out.push(NULL_BRANCH);
}
