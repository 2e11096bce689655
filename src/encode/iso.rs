//! ISO 8601 texts in UTC, as Java prints them, digit by digit: these are per-row roads.

use crate::types::{MICROS_PER_DAY, POSTGRES_EPOCH_DAYS, civil_from_days};

/// Appends a timestamp, given in microseconds since 2000-01-01 UTC: `2018-06-20T13:37:03.123Z`.
/// `digits`: exactly so many of the fraction (1 to 6); none: as many as needed.
///
/// A year has at least four digits, a sign if below 0 or above 9999, and 0 is 1 BC.
pub(super) fn write_timestamp(micros: i64, digits: Option<u8>, out: &mut Vec<u8>) {
    write_date(micros.div_euclid(MICROS_PER_DAY), out);
    out.push(b'T');
    write_time(micros.rem_euclid(MICROS_PER_DAY), digits, out);
}

/// Appends a date, given in days since 2000-01-01: `2018-06-20`.
#[inline]
pub(super) fn write_date(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days + i64::from(POSTGRES_EPOCH_DAYS));
    match year {
        0..10_000 => out.extend_from_slice(&four(year)),
        -9999..0 => {
            out.push(b'-');
            out.extend_from_slice(&four(-year));
        }
        _ => {
            out.push(if year < 0 { b'-' } else { b'+' });
            let year = year.abs();
            out.extend((4..=6).rev().filter_map(|power| {
                let left = year / 10_i64.pow(power);
                (left != 0).then(|| digit(left))
            }));
            out.extend_from_slice(&four(year));
        }
    }
    let ([m0, m1], [d0, d1]) = (two(month), two(day));
    out.extend_from_slice(&[b'-', m0, m1, b'-', d0, d1]);
}

/// Appends a time of day in UTC, given in microseconds: `13:37:03.123Z`. `digits` as above.
pub(super) fn write_time(micros: i64, digits: Option<u8>, out: &mut Vec<u8>) {
    let seconds = micros / 1_000_000;
    let ([h0, h1], [m0, m1], [s0, s1]) =
        (two(seconds / 3600), two(seconds / 60 % 60), two(seconds % 60));
    out.extend_from_slice(&[h0, h1, b':', m0, m1, b':', s0, s1]);
    write_digits(micros % 1_000_000, digits, out);
    out.push(b'Z');
}

/// Appends the fraction of a second, given in millionths that are not 0, without trailing zeros.
pub(super) fn write_fraction(millionths: i64, out: &mut Vec<u8>) {
    write_digits(millionths, None, out);
}

#[inline]
fn write_digits(fraction: i64, digits: Option<u8>, out: &mut Vec<u8>) {
    let digits = digits.unwrap_or_else(|| digits_needed(fraction));
    if digits != 0 {
        let ([f0, f1], [f2, f3, f4, f5]) = (two(fraction / 10_000), four(fraction % 10_000));
        let text = [b'.', f0, f1, f2, f3, f4, f5];
        out.extend_from_slice(text.get(..=usize::from(digits)).unwrap_or(&text));
    }
}

/// How many digits the fraction needs, given in millionths.
fn digits_needed(fraction: i64) -> u8 {
    let mut left = fraction;
    let mut digits = if left == 0 { 0 } else { 6 };
    while digits != 0 && left % 10 == 0 {
        left /= 10;
        digits -= 1;
    }
    digits
}

fn four(value: i64) -> [u8; 4] {
    let ([a, b], [c, d]) = (two(value / 100), two(value));
    [a, b, c, d]
}

fn two(value: i64) -> [u8; 2] {
    [digit(value / 10), digit(value)]
}

/// The last decimal digit of a number that is not negative.
fn digit(value: i64) -> u8 {
    let [low, ..] = (value % 10).to_le_bytes();
    b'0' + low
}
