//! Dates, times and intervals, as numbers since an epoch, as ISO 8601 text, or as records.

use std::fmt::Write;

use super::encoding::Encoding;
use super::layout::Layout;
use super::structured::{self, Taken};
use super::value::misplaced;
use super::{Error, iso};
use crate::types::{
    Interval, MICROS_PER_DAY, POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_MICROS, TextBuffer,
};

/// A date, in days since 2000-01-01.
pub(super) fn write_date<E: Encoding>(
    layout: &Layout,
    days: i32,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    if let Layout::Structured { temporal, precision } = *layout {
        return structured::write::<E>(temporal, precision, &Taken::date(days), out);
    }
    if *layout == Layout::IsoDate {
        match days {
            i32::MAX => E::string(INFINITY, out),
            i32::MIN => E::string(NEGATIVE_INFINITY, out),
            _ => {
                return E::string_of(out, |out| {
                    iso::write_date(i64::from(days), out);
                    out.push(b'Z');
                    Ok(())
                });
            }
        }
        return Ok(());
    }
    E::int(unix_days(days)?, out);
    Ok(())
}

/// A time of day, in microseconds.
pub(super) fn write_time<E: Encoding>(
    layout: &Layout,
    micros: i64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match layout {
        Layout::ConnectTime | Layout::MilliTime => {
            // No more than 86,400,000.
            E::int(i32::try_from(micros / 1000).unwrap_or(i32::MAX), out);
        }
        Layout::IsoTime => {
            return E::string_of(out, |out| {
                iso::write_time(micros, None, out);
                Ok(())
            });
        }
        Layout::MicrosOfDay if micros == MICROS_PER_DAY => {
            return Err(Error::Unrepresentable { what: "time 24:00:00" });
        }
        Layout::NanoTime => E::long(micros * 1000, out),
        Layout::Structured { temporal, precision } => {
            return structured::write::<E>(*temporal, *precision, &Taken::time(micros, 0), out);
        }
        _ => E::long(micros, out),
    }
    Ok(())
}

/// A timestamp without time zone, in microseconds since 2000-01-01 00:00.
pub(super) fn write_timestamp<E: Encoding>(
    layout: &Layout,
    micros: i64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    if let Layout::Structured { temporal, precision } = *layout {
        return structured::write::<E>(temporal, precision, &Taken::timestamp(micros), out);
    }
    if *layout == Layout::IsoTimestamp {
        return write_iso::<E>(micros, None, out);
    }
    E::long(unix_time(layout, micros)?, out);
    Ok(())
}

/// A timestamp with time zone, in microseconds since 2000-01-01 00:00 UTC.
pub(super) fn write_zoned_timestamp<E: Encoding>(
    layout: &Layout,
    micros: i64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match layout {
        Layout::Structured { temporal, precision } => {
            structured::write::<E>(*temporal, *precision, &Taken::timestamp(micros), out)
        }
        Layout::ZonedTimestamp { digits } => write_iso::<E>(micros, *digits, out),
        Layout::UtcMicros => {
            E::long(unix_time(layout, micros)?, out);
            Ok(())
        }
        _ => misplaced(),
    }
}

/// A time with time zone, as text in UTC, or with its own zone.
pub(super) fn write_zoned_time<E: Encoding>(
    layout: &Layout,
    micros: i64,
    west_seconds: i32,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    if let Layout::Structured { temporal, precision } = *layout {
        let taken = Taken::time(micros, -i64::from(west_seconds));
        return structured::write::<E>(temporal, precision, &taken, out);
    }
    E::string_of(out, |out| {
        iso::write_time(utc_time(micros, west_seconds), None, out);
        Ok(())
    })
}

pub(super) fn write_interval<E: Encoding>(
    layout: &Layout,
    value: Interval,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let what = match value {
        Interval::INFINITY => "interval infinity",
        Interval::NEGATIVE_INFINITY => "interval -infinity",
        _ => "",
    };
    match layout {
        Layout::DurationText => E::string_of(out, |out| {
            write_duration(value, out);
            Ok(())
        }),
        _ if !what.is_empty() => Err(Error::Unrepresentable { what }),
        Layout::Duration => {
            E::long(duration_micros(value)?, out);
            Ok(())
        }
        Layout::Structured { temporal, precision } => {
            structured::write::<E>(*temporal, *precision, &Taken::interval(value), out)
        }
        Layout::IntervalParts => {
            E::record(out);
            E::field("months", out);
            E::int(value.months, out);
            E::field("days", out);
            E::int(value.days, out);
            E::field("micros", out);
            E::long(value.micros, out);
            E::record_end(out);
            Ok(())
        }
        _ => misplaced(),
    }
}

const INFINITY: &str = "infinity";
const NEGATIVE_INFINITY: &str = "-infinity";

fn write_iso<E: Encoding>(micros: i64, digits: Option<u8>, out: &mut Vec<u8>) -> Result<(), Error> {
    match micros {
        i64::MAX => E::string(INFINITY, out),
        i64::MIN => E::string(NEGATIVE_INFINITY, out),
        _ => {
            return E::string_of(out, |out| {
                iso::write_timestamp(micros, digits, out);
                Ok(())
            });
        }
    }
    Ok(())
}

/// Days since 1970-01-01.
fn unix_days(days: i32) -> Result<i32, Error> {
    match days {
        i32::MAX => Err(Error::Unrepresentable { what: "date infinity" }),
        i32::MIN => Err(Error::Unrepresentable { what: "date -infinity" }),
        // PostgreSQL's last date, in 5874897, leaves room.
        _ => days.checked_add(POSTGRES_EPOCH_DAYS).ok_or(Error::Malformed { what: "date" }),
    }
}

/// Milliseconds, microseconds or nanoseconds since 1970-01-01 00:00.
fn unix_time(layout: &Layout, micros: i64) -> Result<i64, Error> {
    match (micros, layout) {
        (i64::MAX, _) => Err(Error::Unrepresentable { what: "timestamp infinity" }),
        (i64::MIN, _) => Err(Error::Unrepresentable { what: "timestamp -infinity" }),
        (_, Layout::ConnectTimestamp | Layout::MilliTimestamp) => {
            Ok(micros.div_euclid(1000) + POSTGRES_EPOCH_MICROS / 1000)
        }
        (_, Layout::NanoTimestamp) => micros
            .checked_add(POSTGRES_EPOCH_MICROS)
            .and_then(|micros| micros.checked_mul(1000))
            .ok_or(Error::Unrepresentable { what: "timestamp outside the years 1677 to 2262" }),
        _ => micros
            .checked_add(POSTGRES_EPOCH_MICROS)
            .ok_or(Error::Unrepresentable { what: "timestamp past the year 294246" }),
    }
}

/// Debezium's `MicroDuration`: a month counts 365.25 / 12 = 30.4375 days.
fn duration_micros(value: Interval) -> Result<i64, Error> {
    const MICROS_PER_MONTH: i64 = 2_629_800_000_000;
    // 2^31 months are 5.6 × 10^21 microseconds: more than 64 bits.
    let micros = i128::from(value.months) * i128::from(MICROS_PER_MONTH)
        + i128::from(value.days) * i128::from(MICROS_PER_DAY)
        + i128::from(value.micros);
    let what = "interval of more than 292,271 years";
    i64::try_from(micros).map_err(|_| Error::Unrepresentable { what })
}

/// Debezium's `Interval`: `P1Y2M3DT4H5M6.789S` with all parts, each with its sign; or an infinity.
fn write_duration(value: Interval, out: &mut Vec<u8>) {
    match value {
        Interval::INFINITY => return out.extend_from_slice(INFINITY.as_bytes()),
        Interval::NEGATIVE_INFINITY => {
            return out.extend_from_slice(NEGATIVE_INFINITY.as_bytes());
        }
        _ => {}
    }
    let Interval { months, days, micros } = value;
    let seconds = micros / 1_000_000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let (seconds, fraction) = (seconds % 60, micros % 1_000_000);
    let sign = if micros % 60_000_000 < 0 { "-" } else { "" };
    let _ = write!(
        TextBuffer(out),
        "P{}Y{}M{days}DT{hours}H{minutes}M{sign}{}",
        months / 12,
        months % 12,
        seconds.abs()
    );
    if fraction != 0 {
        iso::write_fraction(fraction.abs(), out);
    }
    out.push(b'S');
}

/// Microseconds since midnight UTC; 24:00:00 stays what it is only where it is UTC already.
fn utc_time(micros: i64, west_seconds: i32) -> i64 {
    let utc = micros + i64::from(west_seconds) * 1_000_000;
    if utc == MICROS_PER_DAY && west_seconds == 0 { utc } else { utc.rem_euclid(MICROS_PER_DAY) }
}
