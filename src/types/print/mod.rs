//! Binary forms to the text that SQL shows: the road by which a type that is published as text
//! comes out of a stream in binary mode as it comes out of one in text mode.
//!
//! Source: the `*_send` and `*_out` functions in
//! <https://github.com/postgres/postgres/tree/REL_17_STABLE/src/backend/utils/adt>

mod compound;
mod float;
mod geometry;
mod network;
mod scalar;
mod search;
mod vector;

use std::fmt::{self, Write};

pub(super) use self::float::reread;
pub use self::scalar::write_text;
use super::bytea::Bytea;
use super::cursor::Cursor;
use super::datum::{malformed, utf8};
use super::{Datum, Error, Kind, decode_binary, numeric};

/// A type whose values are published as PostgreSQL's text, in whichever form they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Printed {
    /// `box`.
    Box,
    /// `"char"`: one byte.
    Char,
    /// `circle`.
    Circle,
    /// A composite type, by the types of its attributes; the value says which of them it has.
    Composite {
        /// OID and kind of each attribute's type.
        attributes: Vec<(u32, Kind)>,
    },
    /// `inet` and `cidr`.
    Inet,
    /// `line`.
    Line,
    /// `lseg`.
    Lseg,
    /// `ltree`.
    Ltree,
    /// `macaddr` and `macaddr8`.
    Macaddr,
    /// Values of another kind, which is published as text by configuration.
    Of(Box<Kind>),
    /// A multirange over a kind.
    Multirange(Box<Kind>),
    /// `path`.
    Path,
    /// `pg_lsn`.
    PgLsn,
    /// `pg_snapshot` and `txid_snapshot`.
    PgSnapshot,
    /// `polygon`.
    Polygon,
    /// A range over a kind.
    Range(Box<Kind>),
    /// `tid`.
    Tid,
    /// `tsquery`.
    Tsquery,
    /// `tsvector`.
    Tsvector,
    /// `int2vector` and `oidvector`, by the kind of their elements.
    Vector(Box<Kind>),
    /// `jsonpath`, `lquery` and `ltxtquery`: text behind the version of its form.
    VersionedText,
    /// `xid8`.
    Xid8,
}

impl Printed {
    /// See [`Kind::is_variable`].
    pub(super) fn is_variable(&self) -> bool {
        match self {
            Self::Box
            | Self::Char
            | Self::Circle
            | Self::Line
            | Self::Lseg
            | Self::Macaddr
            | Self::PgLsn
            | Self::Tid
            | Self::Xid8 => false,
            Self::Of(kind) => kind.is_variable(),
            _ => true,
        }
    }

    /// The kind of what it consists of, where that is of another type.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Kind> {
        let (element, attributes) = match self {
            Self::Multirange(kind) | Self::Of(kind) | Self::Range(kind) | Self::Vector(kind) => {
                (Some(&**kind), [].as_slice())
            }
            Self::Composite { attributes } => (None, attributes.as_slice()),
            _ => (None, [].as_slice()),
        };
        element.into_iter().chain(attributes.iter().map(|(_, kind)| kind))
    }
}

/// Appends the text of a value's binary form, as a session prints it that has applied
/// [`SESSION_SETTINGS`](super::SESSION_SETTINGS).
///
/// # Errors
/// [`Error::Malformed`] if the bytes are not a value of `kind`, [`Error::UnknownType`] for an
/// attribute that a composite kind does not know; what was appended then means nothing.
pub fn print(kind: &Kind, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    match kind {
        Kind::Array(element) => return compound::array(element, bytes, out),
        Kind::Numeric { .. } => return numeric::print(bytes, out),
        Kind::Printed(printed) => return print_printed(printed, bytes, out),
        _ => {}
    }
    let datum = decode_binary(kind, bytes)?;
    match datum {
        Datum::Bits(bits) => out.extend(bits.iter().map(|bit| if bit { b'1' } else { b'0' })),
        Datum::Bytea(value) => print_bytea(value, out),
        Datum::Geometry(value) => print_hex(value.bytes(), b'A', out),
        Datum::Hstore(value) => value.print(out)?,
        Datum::SparseVector(value) => vector::sparse(&value, out)?,
        Datum::Text(text) => out.extend_from_slice(text.as_bytes()),
        Datum::Vector(value) => vector::dense(&value, out)?,
        _ => match write_text(&datum, &mut TextBuffer(out)) {
            Some(Ok(())) => {}
            _ => return malformed("binary value of a type that has no text"),
        },
    }
    Ok(())
}

fn print_printed(printed: &Printed, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    match printed {
        Printed::Box => geometry::print_box(bytes, out),
        Printed::Char => print_char(bytes, out),
        Printed::Circle => geometry::circle(bytes, out),
        Printed::Composite { attributes } => compound::composite(attributes, bytes, out),
        Printed::Inet => network::inet(bytes, out),
        Printed::Line => geometry::line(bytes, out),
        Printed::Lseg => geometry::lseg(bytes, out),
        Printed::Ltree | Printed::VersionedText => versioned_text(bytes, out),
        Printed::Macaddr => network::macaddr(bytes, out),
        Printed::Multirange(element) => compound::multirange(element, bytes, out),
        Printed::Of(kind) => print(kind, bytes, out),
        Printed::Path => geometry::path(bytes, out),
        Printed::PgLsn => {
            let lsn = single_u64(bytes, "pg_lsn (binary)")?;
            put(out, format_args!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff))
        }
        Printed::PgSnapshot => snapshot(bytes, out),
        Printed::Polygon => geometry::polygon(bytes, out),
        Printed::Range(element) => compound::range(element, bytes, out),
        Printed::Tid => {
            let mut cursor = Cursor::new(bytes, "tid (binary)");
            let (block, offset) = (cursor.u32()?, cursor.u16()?);
            cursor.end()?;
            put(out, format_args!("({block},{offset})"))
        }
        Printed::Tsquery => search::tsquery(bytes, out),
        Printed::Tsvector => search::tsvector(bytes, out),
        Printed::Vector(element) => compound::vector(element, bytes, out),
        Printed::Xid8 => put(out, format_args!("{}", single_u64(bytes, "xid8 (binary)")?)),
    }
}

/// Appends a `"char"`: a byte, in octal where it is not ASCII (as PostgreSQL 16+ prints it).
fn print_char(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    match *bytes {
        [0] => {}
        [byte @ 0x80..=0xff] => return put(out, format_args!("\\{byte:03o}")),
        [byte] => out.push(byte),
        _ => return malformed("\"char\" (binary)"),
    }
    Ok(())
}

fn print_bytea(value: Bytea<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\\x");
    print_hex(value, b'a', out);
}

/// Appends two digits for each byte; those above 9 begin with `ten`.
fn print_hex(value: Bytea<'_>, ten: u8, out: &mut Vec<u8>) {
    let digit = |value: u8| if value < 10 { b'0' + value } else { ten + (value - 10) };
    let start = out.len();
    value.append_to(out);
    let len = out.len() - start;
    out.resize(start + 2 * len, 0);
    // In place, from the end: a byte is read before its place is written.
    for at in (0..len).rev() {
        let byte = out.get(start + at).copied().unwrap_or(0);
        if let Some([high, low]) = out.get_mut(start + 2 * at..start + 2 * at + 2) {
            (*high, *low) = (digit(byte >> 4), digit(byte & 0x0f));
        }
    }
}

/// A version of 1, then the text.
fn versioned_text(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let what = "text with a version (binary)";
    match bytes.split_first() {
        Some((1, text)) => {
            out.extend_from_slice(utf8(text, what)?.as_bytes());
            Ok(())
        }
        _ => malformed(what),
    }
}

/// `xmin:xmax:xip,xip`.
fn snapshot(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "pg_snapshot (binary)");
    let count = cursor.u32()?;
    let (xmin, xmax) = (cursor.u64()?, cursor.u64()?);
    put(out, format_args!("{xmin}:{xmax}:"))?;
    for at in 0..count {
        let comma = if at == 0 { "" } else { "," };
        let xip = cursor.u64()?;
        put(out, format_args!("{comma}{xip}"))?;
    }
    cursor.end()
}

fn single_u64(bytes: &[u8], what: &'static str) -> Result<u64, Error> {
    let mut cursor = Cursor::new(bytes, what);
    let value = cursor.u64()?;
    cursor.end()?;
    Ok(value)
}

/// Appends formatted text, which cannot fail.
fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) -> Result<(), Error> {
    TextBuffer(out).write_fmt(text).map_err(|_| Error::Malformed { what: "text" })
}

/// A buffer as a place for text; writing never fails.
#[derive(Debug)]
pub struct TextBuffer<'a>(pub &'a mut Vec<u8>);

impl Write for TextBuffer<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
