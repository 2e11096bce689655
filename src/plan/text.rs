//! The text of a value, for keys, headers and routes of outbox events.
//!
//! It is the text that SQL shows (in UTC), the same whether the stream came in binary or in text
//! form, written without an allocation. Booleans are `true` and `false`.

use std::fmt::{self, Write};

use crate::types::{Datum, Error, Kind, decode_binary, decode_text, write_text};
use crate::wal::Column;

/// A value's text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Inline(Inline),
}

/// A short text of our own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inline {
    /// The longest is a timestamp with time zone before Christ.
    bytes: [u8; 40],
    length: usize,
}

/// A column's value; `None` where there is none: NULL, or not sent.
pub(super) fn datum<'a>(kind: &Kind, column: Column<'a>) -> Result<Option<Datum<'a>>, Error> {
    match column {
        Column::Binary(bytes) => decode_binary(kind, bytes).map(Some),
        Column::Null | Column::Unchanged => Ok(None),
        Column::Text(text) => decode_text(kind, text).map(Some),
    }
}

/// Whether values of a kind can be keys, headers and routes: those whose text is short and one.
pub(super) fn has_text(kind: &Kind) -> bool {
    match kind {
        Kind::Bool
        | Kind::Date
        | Kind::Enum { .. }
        | Kind::Int2
        | Kind::Int4
        | Kind::Int8
        | Kind::Json
        | Kind::Jsonb
        | Kind::Oid
        | Kind::Text
        | Kind::Timestamp { .. }
        | Kind::TimestampTz { .. }
        | Kind::Uuid => true,
        Kind::Array(_)
        | Kind::Bits { .. }
        | Kind::Bytea
        | Kind::Float4
        | Kind::Float8
        | Kind::Geography
        | Kind::Geometry
        | Kind::Halfvec
        | Kind::Hstore
        | Kind::Interval { .. }
        | Kind::Money
        | Kind::Numeric { .. }
        | Kind::Other { .. }
        | Kind::Point
        | Kind::Printed(_)
        | Kind::Sparsevec
        | Kind::Time { .. }
        | Kind::TimeTz { .. }
        | Kind::Vector
        | Kind::Xml => false,
    }
}

/// A value's text; `None` for kinds that [`has_text`] denies.
pub(super) fn text(datum: Datum<'_>) -> Option<Text<'_>> {
    Some(match datum {
        Datum::Bool(false) => Text::Borrowed("false"),
        Datum::Bool(true) => Text::Borrowed("true"),
        Datum::Text(value) => Text::Borrowed(value),
        Datum::Date(_)
        | Datum::Int2(_)
        | Datum::Int4(_)
        | Datum::Int8(_)
        | Datum::Timestamp(_)
        | Datum::TimestampTz(_)
        | Datum::Uuid(_) => {
            let mut inline = Inline { bytes: [0; 40], length: 0 };
            write_text(&datum, &mut inline)?.expect("40 bytes hold the longest form");
            Text::Inline(inline)
        }
        _ => return None,
    })
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Inline(inline) => {
                let bytes = inline.bytes.get(..inline.length).unwrap_or_default();
                std::str::from_utf8(bytes).unwrap_or_default()
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl Write for Inline {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let free = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        free.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
