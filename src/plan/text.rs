//! The text of a value, for keys, headers and routes of outbox events.
//!
//! It is the text that SQL shows (in UTC), the same whether the stream came in binary or in text
//! form, written without an allocation. Booleans are `true` and `false`.

use std::fmt::{self, Write};

use crate::types::{
    Datum, Error, Kind, MICROS_PER_DAY, POSTGRES_EPOCH_DAYS, civil_from_days, decode_binary,
    decode_text,
};
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
        | Kind::Text
        | Kind::Timestamp { .. }
        | Kind::TimestampTz { .. }
        | Kind::Uuid => true,
        Kind::Array(_)
        | Kind::Bytea
        | Kind::Float4
        | Kind::Float8
        | Kind::Interval
        | Kind::Numeric { .. }
        | Kind::Other { .. }
        | Kind::Time { .. }
        | Kind::TimeTz => false,
    }
}

/// A value's text; `None` for kinds that [`has_text`] denies.
pub(super) fn text(datum: Datum<'_>) -> Option<Text<'_>> {
    Some(match datum {
        Datum::Bool(false) => Text::Borrowed("false"),
        Datum::Bool(true) => Text::Borrowed("true"),
        Datum::Date(i32::MAX) | Datum::Timestamp(i64::MAX) | Datum::TimestampTz(i64::MAX) => {
            Text::Borrowed("infinity")
        }
        Datum::Date(i32::MIN) | Datum::Timestamp(i64::MIN) | Datum::TimestampTz(i64::MIN) => {
            Text::Borrowed("-infinity")
        }
        Datum::Date(days) => inline(|out| write_date(days.into(), "", out)),
        Datum::Int2(value) => inline(|out| write!(out, "{value}")),
        Datum::Int4(value) => inline(|out| write!(out, "{value}")),
        Datum::Int8(value) => inline(|out| write!(out, "{value}")),
        Datum::Text(value) => Text::Borrowed(value),
        Datum::Timestamp(micros) => inline(|out| write_timestamp(micros, "", out)),
        Datum::TimestampTz(micros) => inline(|out| write_timestamp(micros, "+00", out)),
        Datum::Uuid(value) => inline(|out| write_uuid(value, out)),
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

fn inline(write: impl FnOnce(&mut Inline) -> fmt::Result) -> Text<'static> {
    let mut inline = Inline { bytes: [0; 40], length: 0 };
    write(&mut inline).expect("40 bytes hold the longest form");
    Text::Inline(inline)
}

fn write_uuid(value: [u8; 16], out: &mut Inline) -> fmt::Result {
    for (at, byte) in value.into_iter().enumerate() {
        let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
        write!(out, "{dash}{byte:02x}")?;
    }
    Ok(())
}

/// Days since 2000-01-01, then `time` before the era: `2024-05-17`, `0044-03-15 BC`.
fn write_date(days: i64, time: &str, out: &mut Inline) -> fmt::Result {
    let (year, month, day) = civil_from_days(days + i64::from(POSTGRES_EPOCH_DAYS));
    let (year, era) = if 0 < year { (year, "") } else { (1 - year, " BC") };
    write!(out, "{year:04}-{month:02}-{day:02}{time}{era}")
}

/// Microseconds since 2000-01-01, without trailing zeros: `2024-05-17 13:37:00.5+00`.
fn write_timestamp(micros: i64, zone: &str, out: &mut Inline) -> fmt::Result {
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    let seconds = of_day / 1_000_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let time = inline(|out| {
        write!(out, " {hour:02}:{minute:02}:{second:02}")?;
        let (mut fraction, mut digits) = (of_day % 1_000_000, 6);
        while 0 < digits && fraction % 10 == 0 {
            (fraction, digits) = (fraction / 10, digits - 1);
        }
        if 0 < digits {
            write!(out, ".{fraction:0digits$}")?;
        }
        out.write_str(zone)
    });
    write_date(micros.div_euclid(MICROS_PER_DAY), time.as_str(), out)
}
