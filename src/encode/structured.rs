//! Debezium's `structured` dates, times and intervals: records of their parts, which hold all that
//! PostgreSQL has, but for infinite intervals and for those of more hours than 32 bits count.
//!
//! Source: `io.debezium.time.Structured…` of Debezium 3.7, as it is recorded in tests/golden/debezium

use super::Error;
use super::encoding::Encoding;
use super::layout::{Layout, Temporal};
use crate::types::{Interval, MICROS_PER_DAY, POSTGRES_EPOCH_DAYS, civil_from_days};

/// A field of such a record; all may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Day,
    Hour,
    Minute,
    Month,
    Nanos,
    OffsetSeconds,
    Precision,
    Second,
    SpecialValue,
    Year,
    ZoneId,
}

/// The fields of a record, in their order.
pub(super) fn parts(temporal: Temporal) -> &'static [Part] {
    use Part::{
        Day, Hour, Minute, Month, Nanos, OffsetSeconds, Precision, Second, SpecialValue, Year,
        ZoneId,
    };
    match temporal {
        Temporal::Date => &[Year, Month, Day, SpecialValue],
        Temporal::Duration => &[Year, Month, Day, Hour, Minute, Second, Nanos, Precision],
        Temporal::Time => &[Hour, Minute, Second, Nanos, Precision],
        Temporal::Timestamp => {
            &[Year, Month, Day, Hour, Minute, Second, Nanos, SpecialValue, Precision]
        }
        Temporal::ZonedTime => &[Hour, Minute, Second, Nanos, OffsetSeconds, Precision],
        Temporal::ZonedTimestamp => &[
            Year,
            Month,
            Day,
            Hour,
            Minute,
            Second,
            Nanos,
            OffsetSeconds,
            ZoneId,
            SpecialValue,
            Precision,
        ],
    }
}

impl Part {
    /// What it is called in a record.
    pub(super) fn name(self, temporal: Temporal) -> &'static str {
        match (self, temporal) {
            (Self::Year, Temporal::Duration) => "years",
            (Self::Month, Temporal::Duration) => "months",
            (Self::Day, Temporal::Duration) => "days",
            (Self::Hour, Temporal::Duration) => "hours",
            (Self::Minute, Temporal::Duration) => "minutes",
            (Self::Second, Temporal::Duration) => "seconds",
            (Self::Year, _) => "year",
            (Self::Month, _) => "month",
            (Self::Day, _) => "day",
            (Self::Hour, _) => "hour",
            (Self::Minute, _) => "minute",
            (Self::Second, _) => "second",
            (Self::Nanos, _) => "nanos",
            (Self::OffsetSeconds, _) => "offsetSeconds",
            (Self::Precision, _) => "precision",
            (Self::SpecialValue, _) => "specialValue",
            (Self::ZoneId, _) => "zoneId",
        }
    }
}

/// A value taken apart. Parts that its record has not are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    offset_seconds: i64,
    zone_id: Option<&'static str>,
    special_value: Option<&'static str>,
}

impl Taken {
    /// A date, in days since 2000-01-01.
    pub(super) fn date(days: i32) -> Self {
        match days {
            i32::MAX => Self::special("POSITIVE_INFINITY"),
            i32::MIN => Self::special("NEGATIVE_INFINITY"),
            _ => Self::default().on(i64::from(days)),
        }
    }

    /// A time of day in microseconds, at so many seconds east of Greenwich.
    pub(super) fn time(micros: i64, offset_seconds: i64) -> Self {
        let (hour, minute, second, nanos) = clock(micros);
        Self { hour, minute, second, nanos, offset_seconds, ..Self::default() }
    }

    /// A timestamp, in microseconds since 2000-01-01 00:00.
    pub(super) fn timestamp(micros: i64) -> Self {
        match micros {
            i64::MAX => Self::special("POSITIVE_INFINITY"),
            i64::MIN => Self::special("NEGATIVE_INFINITY"),
            _ => {
                let time = Self::time(micros.rem_euclid(MICROS_PER_DAY), 0);
                Self { zone_id: Some("Z"), ..time }.on(micros.div_euclid(MICROS_PER_DAY))
            }
        }
    }

    /// An interval that is finite.
    pub(super) fn interval(value: Interval) -> Self {
        let (hour, minute, second, nanos) = clock(value.micros);
        let (year, month) = (i64::from(value.months / 12), i64::from(value.months % 12));
        Self { year, month, day: value.days.into(), hour, minute, second, nanos, ..Self::default() }
    }

    fn special(value: &'static str) -> Self {
        Self { special_value: Some(value), ..Self::default() }
    }

    fn on(self, days: i64) -> Self {
        let (year, month, day) = civil_from_days(days + i64::from(POSTGRES_EPOCH_DAYS));
        Self { year, month, day, ..self }
    }
}

/// Appends the record.
pub(super) fn write<E: Encoding>(
    temporal: Temporal,
    precision: u8,
    value: &Taken,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    E::record(out);
    for part in parts(temporal) {
        E::field(part.name(temporal), out);
        let number = match part {
            Part::Precision => i64::from(precision),
            Part::SpecialValue => {
                write_text::<E>(value.special_value, out);
                continue;
            }
            _ if value.special_value.is_some() => {
                E::null(out);
                continue;
            }
            Part::ZoneId => {
                write_text::<E>(value.zone_id, out);
                continue;
            }
            Part::Day => value.day,
            Part::Hour => value.hour,
            Part::Minute => value.minute,
            Part::Month => value.month,
            Part::Nanos => value.nanos,
            Part::OffsetSeconds => value.offset_seconds,
            Part::Second => value.second,
            Part::Year => value.year,
        };
        E::some(out);
        if (*part, temporal) == (Part::Second, Temporal::Duration) {
            E::long(number, out);
        } else {
            let what = "interval of more than 2,147,483,647 hours";
            E::int(i32::try_from(number).map_err(|_| Error::Unrepresentable { what })?, out);
        }
    }
    E::record_end(out);
    Ok(())
}

/// What Debezium invents: nothing, on 1970-01-01 where there is a day.
pub(super) fn write_zero<E: Encoding>(layout: &Layout, out: &mut Vec<u8>) {
    let Layout::Structured { temporal, precision } = *layout else { return };
    let zero = match temporal {
        Temporal::Duration => Taken::default(),
        _ => Taken { year: 1970, month: 1, day: 1, ..Taken::default() },
    };
    write::<E>(temporal, precision, &zero, out).expect("zeros fit");
}

fn write_text<E: Encoding>(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        None => E::null(out),
        Some(text) => {
            E::some(out);
            E::string(text, out);
        }
    }
}

/// Hours, minutes, seconds and nanoseconds of a number of microseconds, each with its sign.
fn clock(micros: i64) -> (i64, i64, i64, i64) {
    let seconds = micros / 1_000_000;
    (seconds / 3600, seconds / 60 % 60, seconds % 60, micros % 1_000_000 * 1000)
}
