//! ISO 8601 texts, read back into numbers of days and microseconds.

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// `2024-05-17Z`: days since 1970-01-01.
pub(super) fn date(text: &str) -> Option<i64> {
    days(text.strip_suffix('Z')?)
}

/// `13:37:00.5Z`: microseconds since midnight.
pub(super) fn time(text: &str) -> Option<i64> {
    let mut parts = text.strip_suffix('Z')?.splitn(3, ':');
    let (hours, minutes) = (digits(parts.next()?)?, digits(parts.next()?)?);
    Some((hours * 60 + minutes) * 60_000_000 + micros(parts.next()?)?)
}

/// `2024-05-17T13:37:00.5Z`: microseconds since 1970-01-01 00:00.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let (date, of_day) = text.split_once('T')?;
    days(date)?.checked_mul(DAY)?.checked_add(time(of_day)?)
}

/// `P1Y2M3DT4H5M-6.7S`: months, days and microseconds.
pub(super) fn interval(text: &str) -> Option<(i64, i64, i64)> {
    let (date, of_day) = text.strip_prefix('P')?.split_once('T')?;
    let (years, date) = part(date, 'Y')?;
    let (months, date) = part(date, 'M')?;
    let (days, "") = part(date, 'D')? else { return None };
    let (hours, of_day) = part(of_day, 'H')?;
    let (minutes, seconds) = part(of_day, 'M')?;
    let seconds = seconds.strip_suffix('S')?;
    let (sign, seconds) = seconds.strip_prefix('-').map_or((1, seconds), |it| (-1, it));
    let micros = (hours * 60 + minutes) * 60_000_000 + sign * micros(seconds)?;
    Some((years * 12 + months, days, micros))
}

/// A number before a letter, and what stands behind that.
fn part(text: &str, letter: char) -> Option<(i64, &str)> {
    let (number, rest) = text.split_once(letter)?;
    Some((number.parse().ok()?, rest))
}

/// The days of a date; year 0 is 1 BC.
fn days(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = text.splitn(3, '-');
    let year = sign * digits(parts.next()?)?;
    let (month, day) = (digits(parts.next()?)?, digits(parts.next()?)?);
    // Counted from a March, so that the leap day is a year's last.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let leap = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap + (month * 153 + 2) / 5 + day - 1 - DAYS_BEFORE_1970)
}

/// From 0000-03-01 on.
const DAYS_BEFORE_1970: i64 = 719_468;

/// Seconds with up to six digits behind the point, in microseconds.
fn micros(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let missing = u32::try_from(6_usize.checked_sub(fraction.len())?).ok()?;
    Some(digits(whole)? * 1_000_000 + digits(fraction)? * 10_i64.pow(missing))
}

/// A number without a sign, of at most nine digits.
fn digits(text: &str) -> Option<i64> {
    let is_number = (1..=9).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}
