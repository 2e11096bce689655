//! pgvector's types. As Debezium publishes them a vector's elements are the doubles that its text
//! says, a halfvec's are floats, and a sparsevec's go by their indices, of which the first is 1.

use super::Error;
use super::encoding::Encoding;
use super::layout::Layout;
use crate::types::{SparseVector, Vector};

/// An array of doubles or of floats.
pub(super) fn write<E: Encoding>(
    layout: &Layout,
    vector: &Vector<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    E::array(vector.len(), out);
    for element in vector.elements() {
        E::item(out);
        match layout {
            Layout::FloatVector => E::float(element.single()?, out),
            _ => E::double(element.double()?, out),
        }
    }
    E::array_end(out);
    Ok(())
}

pub(super) fn write_sparse<E: Encoding>(
    layout: &Layout,
    vector: &SparseVector<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match layout {
        Layout::SparseParts => write_parts::<E>(vector, out),
        _ => write_map::<E>(vector, out),
    }
}

/// Debezium's `SparseDoubleVector`: the dimensions, and a map as an array of its entries.
fn write_map<E: Encoding>(vector: &SparseVector<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let what = "a sparsevec of more than 32,767 dimensions";
    let narrow = |number| i16::try_from(number).map_err(|_| Error::Unrepresentable { what });
    E::record(out);
    E::field("dimensions", out);
    E::int(narrow(vector.dimensions())?.into(), out);
    E::field("vector", out);
    E::array(vector.len(), out);
    for element in vector.elements() {
        let (index, value) = element?;
        E::item(out);
        E::pair(out);
        E::item(out);
        E::int(narrow(index)?.into(), out);
        E::item(out);
        E::double(value.double()?, out);
        E::pair_end(out);
    }
    E::array_end(out);
    E::record_end(out);
    Ok(())
}

/// The dimensions, the indices, and the values at them.
fn write_parts<E: Encoding>(vector: &SparseVector<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    // No more than a billion, pgvector's limit.
    let number = |number| i32::try_from(number).unwrap_or(i32::MAX);
    E::record(out);
    E::field("dimensions", out);
    E::int(number(vector.dimensions()), out);
    E::field("indices", out);
    E::array(vector.len(), out);
    for element in vector.elements() {
        E::item(out);
        E::int(number(element?.0), out);
    }
    E::array_end(out);
    E::field("values", out);
    E::array(vector.len(), out);
    for element in vector.elements() {
        E::item(out);
        E::float(element?.1.single()?, out);
    }
    E::array_end(out);
    E::record_end(out);
    Ok(())
}

/// No dimensions, no elements: what Debezium invents.
pub(super) fn write_no_dimensions<E: Encoding>(out: &mut Vec<u8>) {
    E::record(out);
    E::field("dimensions", out);
    E::int(0, out);
    E::field("vector", out);
    E::array(0, out);
    E::array_end(out);
    E::record_end(out);
}
