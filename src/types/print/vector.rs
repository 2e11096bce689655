//! Vectors.

use super::float::write_f32;
use super::{TextBuffer, put};
use crate::types::datum::malformed;
use crate::types::{Component, Error, SparseVector, Vector};

/// `[1,2.5]`.
pub(super) fn dense(vector: &Vector<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let mut open = b'[';
    for element in vector.elements() {
        out.push(open);
        component(&element, out)?;
        open = b',';
    }
    out.extend_from_slice(if vector.is_empty() { b"[]" } else { b"]" });
    Ok(())
}

/// `{1:1.5,3:2}/5`.
pub(super) fn sparse(vector: &SparseVector<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let mut comma = "";
    out.push(b'{');
    for element in vector.elements() {
        let (index, element) = element?;
        put(out, format_args!("{comma}{index}:"))?;
        component(&element, out)?;
        comma = ",";
    }
    put(out, format_args!("}}/{}", vector.dimensions()))
}

fn component(element: &Component<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    write_f32(element.single()?, &mut TextBuffer(out)).or_else(|_| malformed("vector"))
}
