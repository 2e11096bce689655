//! ISO 8601 text to the numbers of Avro's date and time types.
//!
//! Accepted is what JSON writers in use produce: `2024-05-17`, `13:37:00.5`,
//! `2024-05-17T13:37:00.123456+02:00` (also a blank for the `T`, as PostgreSQL prints it outside
//! JSON). Years have four digits. Digits that a type cannot hold are a reason, not a loss.
//!
//! Source: <https://avro.apache.org/docs/1.12.0/specification/#date>

use super::Reason;

/// What one step of a time type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Micros,
    Millis,
    Nanos,
}

impl Unit {
    fn digits(self) -> usize {
        match self {
            Self::Millis => 3,
            Self::Micros => 6,
            Self::Nanos => 9,
        }
    }

    fn per_second(self) -> i64 {
        match self {
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}

/// Days since 1970-01-01.
pub(super) fn date(text: &str) -> Result<i32, Reason> {
    let mut cursor = Cursor(text.as_bytes());
    match cursor.date() {
        Some(days) if cursor.0.is_empty() => Ok(days),
        _ => Err(Reason::Form { want: "a date (YYYY-MM-DD)" }),
    }
}

/// Steps since midnight.
pub(super) fn time(text: &str, unit: Unit) -> Result<i64, Reason> {
    let mut cursor = Cursor(text.as_bytes());
    match cursor.time() {
        Some((seconds, fraction)) if cursor.0.is_empty() => {
            Ok(i64::from(seconds) * unit.per_second() + steps(fraction, unit)?)
        }
        _ => Err(Reason::Form { want: "a time (HH:MM:SS[.ffffff])" }),
    }
}

/// Steps since 1970-01-01T00:00:00, of an instant (with its zone) or of a wall clock (without).
pub(super) fn timestamp(text: &str, unit: Unit, is_local: bool) -> Result<i64, Reason> {
    let form = Reason::Form {
        want: if is_local {
            "a timestamp without a time zone (YYYY-MM-DDTHH:MM:SS[.ffffff])"
        } else {
            "a timestamp with its time zone (YYYY-MM-DDTHH:MM:SS[.ffffff]Z or ±HH:MM)"
        },
    };
    let mut cursor = Cursor(text.as_bytes());
    let Some((days, seconds, fraction, zone)) = cursor.timestamp() else { return Err(form) };
    let zone_seconds = match zone {
        None if is_local => 0,
        Some(zone_seconds) if !is_local => zone_seconds,
        _ => return Err(form),
    };
    let fraction = steps(fraction, unit)?;
    let whole = i64::from(days) * 86_400 + i64::from(seconds) - i64::from(zone_seconds);
    whole
        .checked_mul(unit.per_second())
        .and_then(|whole| whole.checked_add(fraction))
        .ok_or(Reason::Range { want: "timestamp" })
}

/// The digits after the point in steps of `unit`.
fn steps(fraction: &[u8], unit: Unit) -> Result<i64, Reason> {
    let digits = unit.digits();
    let (kept, rest) = fraction.split_at_checked(digits).unwrap_or((fraction, &[]));
    if rest.iter().any(|digit| *digit != b'0') {
        return Err(Reason::Scale { digits });
    }
    let padded = kept.iter().copied().chain(std::iter::repeat(b'0')).take(digits);
    Ok(padded.fold(0, |steps, digit| steps * 10 + i64::from(digit - b'0')))
}

/// What is left of a text.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn timestamp(&mut self) -> Option<(i32, i32, &'a [u8], Option<i32>)> {
        let days = self.date()?;
        match self.byte()? {
            b'T' | b't' | b' ' => {}
            _ => return None,
        }
        let (seconds, fraction) = self.time()?;
        let zone = self.zone()?;
        self.0.is_empty().then_some((days, seconds, fraction, zone))
    }

    fn date(&mut self) -> Option<i32> {
        let year = self.number(4)?;
        self.literal(b'-')?;
        let month = self.number(2)?;
        self.literal(b'-')?;
        let day = self.number(2)?;
        let is_valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
        is_valid.then(|| days_from_civil(year, month, day))
    }

    fn time(&mut self) -> Option<(i32, &'a [u8])> {
        let hour = self.number(2)?;
        self.literal(b':')?;
        let minute = self.number(2)?;
        self.literal(b':')?;
        let second = self.number(2)?;
        let mut fraction: &[u8] = &[];
        if let Some(rest) = self.0.strip_prefix(b".") {
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (fraction, self.0) = rest.split_at_checked(length)?;
            if fraction.is_empty() {
                return None;
            }
        }
        let is_valid = hour < 24 && minute < 60 && second < 60;
        is_valid.then_some((hour * 3_600 + minute * 60 + second, fraction))
    }

    /// Seconds east of UTC; `Some(None)` if no zone is written.
    #[expect(clippy::option_option, reason = "unreadable and absent differ")]
    fn zone(&mut self) -> Option<Option<i32>> {
        let Some(first) = self.byte() else { return Some(None) };
        let sign = match first {
            b'Z' | b'z' => return Some(Some(0)),
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let hours = self.number(2)?;
        if let Some(rest) = self.0.strip_prefix(b":") {
            self.0 = rest;
        }
        let minutes = if self.0.is_empty() { 0 } else { self.number(2)? };
        (hours < 24 && minutes < 60).then_some(Some(sign * (hours * 3_600 + minutes * 60)))
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn literal(&mut self, want: u8) -> Option<()> {
        (self.byte()? == want).then_some(())
    }

    fn number(&mut self, digits: usize) -> Option<i32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        number.iter().try_fold(0, |value, byte| {
            byte.is_ascii_digit().then(|| value * 10 + i32::from(byte - b'0'))
        })
    }
}

fn days_in_month(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
///
/// Source: <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>
fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
