//! Dates and times: the calendar, and the text forms under `DateStyle = ISO`.
//!
//! Source: `EncodeDateOnly`, `EncodeTimeOnly` and `EncodeDateTime` in
//! <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/datetime.c>

use super::datum::malformed;
use super::{Datum, Error};

/// Microseconds in a day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
pub const POSTGRES_EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to 2000-01-01.
pub const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Year (0 is 1 BC), month and day of a count of days since 1970-01-01, in the proleptic Gregorian
/// calendar. Good for every day of an `i64` of microseconds.
///
/// Source: `civil_from_days` in <https://howardhinnant.github.io/date_algorithms.html>
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + DAYS_TO_MARCH_0000;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A `time` lies between midnight and 24:00:00, both included.
pub(super) fn is_time_of_day(micros: i64) -> bool {
    (0..=MICROS_PER_DAY).contains(&micros)
}

/// A zone is less than 16 hours from Greenwich (`TZDISP_LIMIT`).
pub(super) fn is_zone(seconds: i32) -> bool {
    (-57_600..=57_600).contains(&seconds)
}

/// Reads a `date`.
pub(super) fn date_from_text(text: &[u8]) -> Result<Datum<'static>, Error> {
    match text {
        b"infinity" => return Ok(Datum::Date(i32::MAX)),
        b"-infinity" => return Ok(Datum::Date(i32::MIN)),
        _ => {}
    }
    let mut scan = Scan { rest: text };
    let days = (|| {
        let civil = scan.civil()?;
        let is_bc = scan.is_bc();
        scan.end()?;
        i32::try_from(civil.days_since_2000(is_bc)?).ok()
    })();
    days.map_or_else(|| malformed("date (text)"), |days| Ok(Datum::Date(days)))
}

/// Reads a `time`.
pub(super) fn time_from_text(text: &[u8]) -> Result<Datum<'static>, Error> {
    let mut scan = Scan { rest: text };
    match (scan.time_of_day(), scan.end()) {
        (Some(micros), Some(())) => Ok(Datum::Time(micros)),
        _ => malformed("time (text)"),
    }
}

/// Reads a `time with time zone`.
pub(super) fn time_tz_from_text(text: &[u8]) -> Result<Datum<'static>, Error> {
    let mut scan = Scan { rest: text };
    match (scan.time_of_day(), scan.zone(), scan.end()) {
        (Some(micros), Some(west_seconds), Some(())) => Ok(Datum::TimeTz { micros, west_seconds }),
        _ => malformed("timetz (text)"),
    }
}

/// Reads a `timestamp`, as microseconds since 2000-01-01.
pub(super) fn timestamp_from_text(text: &[u8]) -> Result<i64, Error> {
    timestamp(text, false).map_or_else(|| malformed("timestamp (text)"), Ok)
}

/// Reads a `timestamp with time zone`, as microseconds since 2000-01-01 UTC.
pub(super) fn timestamp_tz_from_text(text: &[u8]) -> Result<i64, Error> {
    timestamp(text, true).map_or_else(|| malformed("timestamptz (text)"), Ok)
}

fn timestamp(text: &[u8], has_zone: bool) -> Option<i64> {
    match text {
        b"infinity" => return Some(i64::MAX),
        b"-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let mut scan = Scan { rest: text };
    let civil = scan.civil()?;
    scan.eat(b' ')?;
    let micros = scan.time_of_day()?;
    let west_seconds = if has_zone { scan.zone()? } else { 0 };
    let is_bc = scan.is_bc();
    scan.end()?;
    let local = civil.days_since_2000(is_bc)?.checked_mul(MICROS_PER_DAY)?.checked_add(micros)?;
    local.checked_add(i64::from(west_seconds) * MICROS_PER_SECOND)
}

const MICROS_PER_SECOND: i64 = 1_000_000;
/// From 0000-03-01 to 1970-01-01.
const DAYS_TO_MARCH_0000: i64 = 719_468;
/// Days in 400 years.
const DAYS_PER_ERA: i64 = 146_097;

/// Year as printed (never 0), month and day, in range for some year.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
}

impl Civil {
    /// None for a day that the calendar does not have.
    fn days_since_2000(&self, is_bc: bool) -> Option<i64> {
        let year = if is_bc { 1 - self.year } else { self.year };
        let march_year = year - i64::from(self.month <= 2);
        let era = march_year.div_euclid(400);
        let year_of_era = march_year.rem_euclid(400);
        let march_month = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let day_of_year = (153 * march_month + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * DAYS_PER_ERA + day_of_era - DAYS_TO_MARCH_0000;
        let is_real = civil_from_days(days) == (year, self.month, self.day);
        is_real.then(|| days - i64::from(POSTGRES_EPOCH_DAYS))
    }
}

/// A cursor over ASCII text: each step is `None` where the text is not what is asked for.
pub(super) struct Scan<'a> {
    pub(super) rest: &'a [u8],
}

impl Scan<'_> {
    pub(super) fn eat(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?;
        Some(())
    }

    pub(super) fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    /// A number of `at_least` to `at_most` digits (18 at most).
    pub(super) fn number(&mut self, at_least: usize, at_most: usize) -> Option<i64> {
        let (value, digits) = self.leading_digits(at_most);
        (at_least <= digits).then_some(value)
    }

    /// The digits of a fraction of 1 to 6 digits, as millionths.
    pub(super) fn millionths(&mut self) -> Option<i64> {
        let (mut value, digits) = self.leading_digits(6);
        if digits == 0 {
            return None;
        }
        for _ in digits..6 {
            value *= 10;
        }
        Some(value)
    }

    fn leading_digits(&mut self, at_most: usize) -> (i64, usize) {
        let (mut value, mut digits) = (0, 0);
        while digits < at_most
            && let Some((byte @ b'0'..=b'9', rest)) = self.rest.split_first()
        {
            value = value * 10 + i64::from(byte - b'0');
            digits += 1;
            self.rest = rest;
        }
        (value, digits)
    }

    /// `YYYY-MM-DD`, with up to seven digits of year.
    fn civil(&mut self) -> Option<Civil> {
        let year = self.number(4, 7)?;
        self.eat(b'-')?;
        let month = self.number(2, 2)?;
        self.eat(b'-')?;
        let day = self.number(2, 2)?;
        let is_in_range = 1 <= year && (1..=12).contains(&month) && (1..=31).contains(&day);
        is_in_range.then_some(Civil { year, month, day })
    }

    fn is_bc(&mut self) -> bool {
        self.rest.strip_prefix(b" BC").is_some_and(|rest| {
            self.rest = rest;
            true
        })
    }

    /// `HH:MM:SS[.ffffff]`, as microseconds.
    fn time_of_day(&mut self) -> Option<i64> {
        let hours = self.number(2, 2)?;
        self.eat(b':')?;
        let minutes = self.number(2, 2)?;
        self.eat(b':')?;
        let seconds = self.number(2, 2)?;
        let fraction = if self.eat(b'.').is_some() { self.millionths()? } else { 0 };
        let micros = ((hours * 60 + minutes) * 60 + seconds) * MICROS_PER_SECOND + fraction;
        (minutes < 60 && seconds < 60 && is_time_of_day(micros)).then_some(micros)
    }

    /// `±HH[:MM[:SS]]` east of Greenwich, as seconds west of it.
    fn zone(&mut self) -> Option<i32> {
        let is_west = match self.rest.split_first()? {
            (b'-', rest) => {
                self.rest = rest;
                true
            }
            (b'+', rest) => {
                self.rest = rest;
                false
            }
            _ => return None,
        };
        let mut seconds = self.number(2, 2)? * 3600;
        for unit in [60, 1] {
            if self.eat(b':').is_some() {
                seconds += self.number(2, 2)? * unit;
            }
        }
        let seconds = i32::try_from(seconds).ok().filter(|seconds| is_zone(*seconds))?;
        Some(if is_west { seconds } else { -seconds })
    }
}
