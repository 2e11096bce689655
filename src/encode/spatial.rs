//! PostGIS' types: a record of the bytes, which are EWKB although Debezium names their field `wkb`,
//! and of the SRID, which they hold too.

use super::Error;
use super::encoding::Encoding;
use crate::types::{Bytea, Ewkb};

pub(super) fn write<E: Encoding>(value: Ewkb<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    E::record(out);
    E::field("wkb", out);
    match value.bytes() {
        Bytea::Raw(bytes) => E::bytes(bytes, out),
        bytes => E::bytes_of::<Error>(out, |out| {
            bytes.append_to(out);
            Ok(())
        })?,
    }
    E::field("srid", out);
    match value.srid() {
        None => E::null(out),
        Some(srid) => {
            E::some(out);
            E::int(srid, out);
        }
    }
    E::record_end(out);
    Ok(())
}

/// An empty collection, which Debezium invents.
pub(super) fn write_empty<E: Encoding>(out: &mut Vec<u8>) {
    E::record(out);
    E::field("wkb", out);
    E::bytes(&[1, 7, 0, 0, 0, 0, 0, 0, 0], out);
    E::field("srid", out);
    E::null(out);
    E::record_end(out);
}
