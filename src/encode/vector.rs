//! Vectors as Debezium publishes them: a vector's elements are the doubles that its text says, a
//! halfvec's are floats, and a sparsevec's go by their indices, of which the first is 1.

use super::{Error, avro};
use crate::types::{SparseVector, Vector};

/// An array of doubles, in one block.
pub(super) fn write_doubles(vector: &Vector<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    if !vector.is_empty() {
        avro::length(vector.len(), out);
    }
    for element in vector.elements() {
        avro::double(element.double()?, out);
    }
    avro::length(0, out);
    Ok(())
}

/// An array of floats, in one block.
pub(super) fn write_floats(vector: &Vector<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    if !vector.is_empty() {
        avro::length(vector.len(), out);
    }
    for element in vector.elements() {
        avro::float(element.single()?, out);
    }
    avro::length(0, out);
    Ok(())
}

/// Debezium's `SparseDoubleVector`: the dimensions, and a map as an array of its entries.
pub(super) fn write_sparse(vector: &SparseVector<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let what = "a sparsevec of more than 32,767 dimensions";
    let narrow = |number| i16::try_from(number).map_err(|_| Error::Unrepresentable { what });
    avro::int(narrow(vector.dimensions())?.into(), out);
    if !vector.is_empty() {
        avro::length(vector.len(), out);
    }
    for element in vector.elements() {
        let (index, value) = element?;
        avro::int(narrow(index)?.into(), out);
        avro::double(value.double()?, out);
    }
    avro::length(0, out);
    Ok(())
}
