//! The text of single values, as SQL shows it under
//! [`SESSION_SETTINGS`](crate::types::SESSION_SETTINGS).
//!
//! Source: the `*_out` functions in
//! <https://github.com/postgres/postgres/tree/REL_17_STABLE/src/backend/utils/adt>

use std::fmt::{self, Write};

use super::float::{write_f32, write_f64};
use crate::types::time::{MICROS_PER_DAY, POSTGRES_EPOCH_DAYS, civil_from_days};
use crate::types::{Datum, Interval};

/// Writes the text of a value of a fixed width; `None` for the others, of which nothing is written.
///
/// # Errors
/// Those of `out`.
pub fn write_text(datum: &Datum<'_>, out: &mut impl Write) -> Option<fmt::Result> {
    Some(match *datum {
        Datum::Bool(value) => out.write_char(if value { 't' } else { 'f' }),
        Datum::Date(i32::MAX)
        | Datum::Interval(Interval::INFINITY)
        | Datum::Timestamp(i64::MAX)
        | Datum::TimestampTz(i64::MAX) => out.write_str("infinity"),
        Datum::Date(i32::MIN)
        | Datum::Interval(Interval::NEGATIVE_INFINITY)
        | Datum::Timestamp(i64::MIN)
        | Datum::TimestampTz(i64::MIN) => out.write_str("-infinity"),
        Datum::Date(days) => write_date(days.into(), out).and_then(|era| out.write_str(era)),
        Datum::Float4(value) => write_f32(value, out),
        Datum::Float8(value) => write_f64(value, out),
        Datum::Int2(value) => write!(out, "{value}"),
        Datum::Int4(value) => write!(out, "{value}"),
        Datum::Int8(value) => write!(out, "{value}"),
        Datum::Interval(value) => write_interval(value, out),
        Datum::Money(cents) => write_money(cents, out),
        Datum::Point { x, y } => write_point(x, y, out),
        Datum::Time(micros) => write_time(micros, out),
        Datum::TimeTz { micros, west_seconds } => {
            write_time(micros, out).and_then(|()| write_zone(west_seconds, out))
        }
        Datum::Timestamp(micros) => write_timestamp(micros, "", out),
        Datum::TimestampTz(micros) => write_timestamp(micros, "+00", out),
        Datum::Uuid(value) => write_uuid(value, out),
        Datum::Array(_)
        | Datum::Bits(_)
        | Datum::Bytea(_)
        | Datum::Geometry(_)
        | Datum::Hstore(_)
        | Datum::Numeric(_)
        | Datum::Printed(_)
        | Datum::SparseVector(_)
        | Datum::Text(_)
        | Datum::Vector(_) => return None,
    })
}

/// `(x,y)`.
pub(super) fn write_point(x: f64, y: f64, out: &mut impl Write) -> fmt::Result {
    out.write_char('(')?;
    write_f64(x, out)?;
    out.write_char(',')?;
    write_f64(y, out)?;
    out.write_char(')')
}

/// Days since 2000-01-01: `2024-05-17`, and the era, ` BC` or nothing.
fn write_date(days: i64, out: &mut impl Write) -> Result<&'static str, fmt::Error> {
    let (year, month, day) = civil_from_days(days + i64::from(POSTGRES_EPOCH_DAYS));
    let (year, era) = if 0 < year { (year, "") } else { (1 - year, " BC") };
    write!(out, "{year:04}-{month:02}-{day:02}")?;
    Ok(era)
}

/// Microseconds since 2000-01-01, without trailing zeros: `2024-05-17 13:37:00.5+00`.
fn write_timestamp(micros: i64, zone: &str, out: &mut impl Write) -> fmt::Result {
    let era = write_date(micros.div_euclid(MICROS_PER_DAY), out)?;
    out.write_char(' ')?;
    write_time(micros.rem_euclid(MICROS_PER_DAY), out)?;
    write!(out, "{zone}{era}")
}

/// Microseconds since midnight: `13:37:00.5`.
fn write_time(micros: i64, out: &mut impl Write) -> fmt::Result {
    let seconds = micros / 1_000_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    write!(out, "{hour:02}:{minute:02}:{second:02}")?;
    write_fraction(micros % 1_000_000, out)
}

/// Millionths that are not negative, without trailing zeros.
fn write_fraction(millionths: i64, out: &mut impl Write) -> fmt::Result {
    let (mut fraction, mut digits) = (millionths, 6);
    if fraction == 0 {
        return Ok(());
    }
    while fraction % 10 == 0 {
        (fraction, digits) = (fraction / 10, digits - 1);
    }
    write!(out, ".{fraction:0digits$}")
}

/// `+05:30`: east of Greenwich, minutes and seconds where there are any.
fn write_zone(west_seconds: i32, out: &mut impl Write) -> fmt::Result {
    let east = -west_seconds;
    let (sign, seconds) = (if east < 0 { '-' } else { '+' }, east.unsigned_abs());
    write!(out, "{sign}{:02}", seconds / 3_600)?;
    let (minute, second) = (seconds / 60 % 60, seconds % 60);
    match (minute, second) {
        (0, 0) => Ok(()),
        (_, 0) => write!(out, ":{minute:02}"),
        _ => write!(out, ":{minute:02}:{second:02}"),
    }
}

/// `P1Y2M3DT4H5M6.789S`, each number with its sign.
fn write_interval(value: Interval, out: &mut impl Write) -> fmt::Result {
    let Interval { months, days, micros } = value;
    if (months, days, micros) == (0, 0, 0) {
        return out.write_str("PT0S");
    }
    out.write_char('P')?;
    let (months, days) = (i64::from(months), i64::from(days));
    write_parts(&[(months / 12, 'Y'), (months % 12, 'M'), (days, 'D')], out)?;
    if micros == 0 {
        return Ok(());
    }
    out.write_char('T')?;
    let seconds = micros / 1_000_000;
    write_parts(&[(seconds / 3_600, 'H'), (seconds / 60 % 60, 'M')], out)?;
    let (seconds, fraction) = (seconds % 60, micros % 1_000_000);
    if (seconds, fraction) == (0, 0) {
        return Ok(());
    }
    let sign = if seconds < 0 || fraction < 0 { "-" } else { "" };
    write!(out, "{sign}{}", seconds.abs())?;
    write_fraction(fraction.abs(), out)?;
    out.write_char('S')
}

/// The numbers that are not 0, each with its unit.
fn write_parts(parts: &[(i64, char)], out: &mut impl Write) -> fmt::Result {
    for (value, unit) in parts.iter().filter(|(value, _)| *value != 0) {
        write!(out, "{value}{unit}")?;
    }
    Ok(())
}

/// `-$1,234.56`: hundredths, as `lc_monetary = C` prints them.
fn write_money(cents: i64, out: &mut impl Write) -> fmt::Result {
    let magnitude = cents.unsigned_abs();
    out.write_str(if cents < 0 { "-$" } else { "$" })?;
    let whole = magnitude / 100;
    let mut unit = 1;
    while unit <= whole / 1000 {
        unit *= 1000;
    }
    write!(out, "{}", whole / unit)?;
    while 1 < unit {
        unit /= 1000;
        write!(out, ",{:03}", whole / unit % 1000)?;
    }
    write!(out, ".{:02}", magnitude % 100)
}

/// `8-4-4-4-12` hex digits.
fn write_uuid(value: [u8; 16], out: &mut impl Write) -> fmt::Result {
    for (at, byte) in value.into_iter().enumerate() {
        let dash = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
        write!(out, "{dash}{byte:02x}")?;
    }
    Ok(())
}
