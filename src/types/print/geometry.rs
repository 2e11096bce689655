//! Geometric types: all are made of double precision numbers.

use super::TextBuffer;
use super::float::write_f64;
use super::scalar::write_point;
use crate::types::Error;
use crate::types::cursor::Cursor;

/// `(x,y),(x,y)`: the upper right corner first.
pub(super) fn print_box(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    points(Cursor::new(bytes, "box (binary)"), 2, out)
}

/// `[(x,y),(x,y)]`.
pub(super) fn lseg(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.push(b'[');
    points(Cursor::new(bytes, "lseg (binary)"), 2, out)?;
    out.push(b']');
    Ok(())
}

/// `((x,y),…)` closed, `[(x,y),…]` open.
pub(super) fn path(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "path (binary)");
    let (open, close) = if cursor.u8()? == 0 { (b'[', b']') } else { (b'(', b')') };
    let count = cursor.u32()?;
    out.push(open);
    points(cursor, count, out)?;
    out.push(close);
    Ok(())
}

/// `((x,y),…)`.
pub(super) fn polygon(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "polygon (binary)");
    let count = cursor.u32()?;
    out.push(b'(');
    points(cursor, count, out)?;
    out.push(b')');
    Ok(())
}

/// `{A,B,C}`.
pub(super) fn line(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "line (binary)");
    for open in [b'{', b',', b','] {
        out.push(open);
        number(&mut cursor, out)?;
    }
    out.push(b'}');
    cursor.end()
}

/// `<(x,y),r>`.
pub(super) fn circle(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "circle (binary)");
    out.push(b'<');
    point(&mut cursor, out)?;
    out.push(b',');
    number(&mut cursor, out)?;
    out.push(b'>');
    cursor.end()
}

/// So many points, which must be all.
fn points(mut cursor: Cursor<'_>, count: u32, out: &mut Vec<u8>) -> Result<(), Error> {
    for at in 0..count {
        if at != 0 {
            out.push(b',');
        }
        point(&mut cursor, out)?;
    }
    cursor.end()
}

fn point(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let (x, y) = (cursor.f64()?, cursor.f64()?);
    write_point(x, y, &mut TextBuffer(out)).or_else(|_| cursor.malformed())
}

fn number(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    write_f64(cursor.f64()?, &mut TextBuffer(out)).or_else(|_| cursor.malformed())
}
