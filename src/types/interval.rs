//! `interval` under `IntervalStyle = iso_8601`: `P1Y2M3DT4H5M6.789S`, each number with its sign.
//!
//! Source: `EncodeInterval` in
//! <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/datetime.c>

use super::datum::malformed;
use super::time::Scan;
use super::{Error, Interval};

/// Reads an `interval`.
pub(super) fn interval_from_text(text: &[u8]) -> Result<Interval, Error> {
    match text {
        b"infinity" => Ok(Interval::INFINITY),
        b"-infinity" => Ok(Interval::NEGATIVE_INFINITY),
        _ => parse(text).map_or_else(|| malformed("interval (text)"), Ok),
    }
}

fn parse(text: &[u8]) -> Option<Interval> {
    let mut scan = Scan { rest: text };
    scan.eat(b'P')?;
    let (mut months, mut days, mut micros) = (0_i64, 0_i64, 0_i64);
    let mut is_time = false;
    while scan.end().is_none() {
        if !is_time && scan.eat(b'T').is_some() {
            is_time = true;
            continue;
        }
        let (whole, fraction) = signed_number(&mut scan)?;
        let (unit, rest) = scan.rest.split_first()?;
        scan.rest = rest;
        // Only seconds have a fraction.
        let (sum, factor) = match (is_time, unit) {
            (true, b'S') => {
                micros = micros.checked_add(fraction)?;
                (&mut micros, 1_000_000)
            }
            _ if fraction != 0 => return None,
            (false, b'Y') => (&mut months, 12),
            (false, b'M') => (&mut months, 1),
            (false, b'D') => (&mut days, 1),
            (true, b'H') => (&mut micros, 3_600_000_000),
            (true, b'M') => (&mut micros, 60_000_000),
            _ => return None,
        };
        *sum = sum.checked_add(whole.checked_mul(factor)?)?;
    }
    Some(Interval { months: i32::try_from(months).ok()?, days: i32::try_from(days).ok()?, micros })
}

/// A signed number of at most 12 digits, and the millionths of its fraction with the same sign.
fn signed_number(scan: &mut Scan<'_>) -> Option<(i64, i64)> {
    let sign = if scan.eat(b'-').is_some() { -1 } else { 1 };
    let whole = scan.number(1, 12)?;
    let fraction = if scan.eat(b'.').is_some() { scan.millionths()? } else { 0 };
    Some((sign * whole, sign * fraction))
}
