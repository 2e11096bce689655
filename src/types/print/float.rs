//! Floats as PostgreSQL prints them with `extra_float_digits` above 0: the fewest digits that lie
//! nearer to the value than to its neighbours.
//!
//! The standard library's fewest digits may also lie exactly half-way (which rounds to the even
//! neighbour when read); PostgreSQL's may not, and has a digit more there. Of two that are equally
//! near, PostgreSQL takes the even one.
//!
//! Source: `double_to_shortest_decimal_bufn` in
//! <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/common/d2s.c>

use std::fmt::{self, Write};

/// `real`.
pub(super) fn write_f32(value: f32, out: &mut impl Write) -> fmt::Result {
    let parts = Parts::of_f32(value);
    write(value.is_nan(), value.is_infinite(), f64::from(value).is_sign_negative(), out, |out| {
        let shortest = Digits::of(|text| write!(text, "{:e}", value.abs()))?;
        let exact = |digits| Digits::of(|text| write!(text, "{:.digits$e}", value.abs()));
        let is_value = |text: &str| text.parse() == Ok(value.abs());
        lay_out(&settle(parts, shortest, exact, is_value)?, 6, out)
    })
}

/// `double precision`.
pub(super) fn write_f64(value: f64, out: &mut impl Write) -> fmt::Result {
    let bits = value.to_bits();
    let exponent = u32::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
    let parts = Parts::new(bits & 0xf_ffff_ffff_ffff, exponent, 52, 1023);
    write(value.is_nan(), value.is_infinite(), value.is_sign_negative(), out, |out| {
        let shortest = Digits::of(|text| write!(text, "{:e}", value.abs()))?;
        let exact = |digits| Digits::of(|text| write!(text, "{:.digits$e}", value.abs()));
        let is_value = |text: &str| text.parse() == Ok(value.abs());
        lay_out(&settle(parts, shortest, exact, is_value)?, 15, out)
    })
}

/// The double that is read from a real's text: the one next to 0.1 for the real next to 0.1.
pub(in crate::types) fn reread(value: f32) -> f64 {
    let widened = f64::from(value);
    // Whole numbers of seven digits are their own text, and most zeros are of this kind.
    if widened.fract() == 0.0 && widened.abs() < 1e7 {
        return widened;
    }
    let mut buffer = Buffer { bytes: [0; 40], len: 0 };
    // Most of a vector's elements are such, and it has thousands of them.
    let written = if Parts::of_f32(value).is_long() {
        write!(buffer, "{value:e}")
    } else {
        write_f32(value, &mut buffer)
    };
    written.ok().and_then(|()| buffer.as_str().parse().ok()).unwrap_or(widened)
}

fn write<W: Write>(
    is_nan: bool,
    is_infinite: bool,
    is_negative: bool,
    out: &mut W,
    finite: impl FnOnce(&mut W) -> fmt::Result,
) -> fmt::Result {
    if is_nan {
        return out.write_str("NaN");
    }
    if is_negative {
        out.write_char('-')?;
    }
    if is_infinite { out.write_str("Infinity") } else { finite(out) }
}

/// A binary float's magnitude: four times its mantissa, and the power of two that goes with it.
#[derive(Clone, Copy)]
struct Parts {
    quarters: u128,
    exponent: i32,
    /// The next smaller float is half as far away as the next larger one.
    is_lowest: bool,
}

impl Parts {
    fn of_f32(value: f32) -> Self {
        let bits = value.to_bits();
        Self::new(u64::from(bits & 0x7f_ffff), bits >> 23 & 0xff, 23, 127)
    }

    fn new(mantissa: u64, exponent: u32, mantissa_bits: u32, bias: i32) -> Self {
        let hidden = if exponent == 0 { 0 } else { 1 << mantissa_bits };
        let bits = i32::try_from(mantissa_bits).unwrap_or(0);
        Self {
            quarters: u128::from(mantissa | hidden) * 4,
            exponent: i32::try_from(exponent.max(1)).unwrap_or(0) - bias - bits - 2,
            is_lowest: mantissa == 0 && 1 < exponent,
        }
    }

    /// Whether it has 15 bits or more after the point. Then it has more than 10 decimal digits, for
    /// they are a multiple of 5^15, and so has what lies half-way to its neighbours: the shortest
    /// digits, of which a real has 9 at most, are not half-way, and no others are equally near.
    fn is_long(self) -> bool {
        let twos = i32::try_from(self.quarters.trailing_zeros()).unwrap_or(0);
        self.exponent + twos < -14
    }

    /// Whether the digits lie exactly between this float and one of its neighbours.
    fn is_half_way(self, digits: &Digits) -> bool {
        let below = self.quarters.saturating_sub(if self.is_lowest { 1 } else { 2 });
        [self.quarters + 2, below].into_iter().any(|half| digits.equals(half, self.exponent))
    }
}

/// Decimal digits, the first before the point.
#[derive(Clone, Copy)]
struct Digits {
    /// A double needs 17 at most.
    text: [u8; 20],
    len: usize,
    exponent: i32,
}

impl Digits {
    /// Reads what the standard library writes: `1.25e-7`.
    fn of(write: impl FnOnce(&mut Buffer) -> fmt::Result) -> Result<Self, fmt::Error> {
        let mut buffer = Buffer { bytes: [0; 40], len: 0 };
        write(&mut buffer)?;
        let (mantissa, exponent) = buffer.as_str().split_once('e').ok_or(fmt::Error)?;
        let mut digits =
            Self { text: [0; 20], len: 0, exponent: exponent.parse().map_err(|_| fmt::Error)? };
        for digit in mantissa.bytes().filter(u8::is_ascii_digit) {
            *digits.text.get_mut(digits.len).ok_or(fmt::Error)? = digit;
            digits.len += 1;
        }
        Ok(digits)
    }

    fn as_str(&self) -> &str {
        self.text.get(..self.len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("0")
    }

    /// The digits without a point.
    fn plain(&self) -> Result<Buffer, fmt::Error> {
        let mut buffer = Buffer { bytes: [0; 40], len: 0 };
        write!(buffer, "{}e{}", self.as_str(), self.power())?;
        Ok(buffer)
    }

    /// The power of ten that the last digit counts.
    fn power(&self) -> i32 {
        self.exponent + 1 - i32::try_from(self.len).unwrap_or(0)
    }

    /// Whether they are `value` times 2^`exponent`, exactly.
    fn equals(&self, value: u128, exponent: i32) -> bool {
        let Ok(digits) = self.as_str().parse::<u128>() else { return false };
        let power = self.power();
        // More fives than this divide no number of so few bits.
        let Some(fives) = 5_u128.checked_pow(power.unsigned_abs()).filter(|fives| *fives < 1 << 63)
        else {
            return false;
        };
        let (left, right) =
            if power < 0 { (digits, value * fives) } else { (digits * fives, value) };
        let odd = |number: u128, power: i32| {
            let twos = if number == 0 { 0 } else { number.trailing_zeros() };
            (number >> twos, power + i32::try_from(twos).unwrap_or(0))
        };
        odd(left, power) == odd(right, exponent)
    }
}

/// As few digits as the shortest are, the nearest to the value (of two the even ones) if they too are
/// read as the value: below a power of two there is less room than above. Or one more where those
/// are half-way.
fn settle(
    parts: Parts,
    shortest: Digits,
    exact: impl Fn(usize) -> Result<Digits, fmt::Error>,
    is_value: impl Fn(&str) -> bool,
) -> Result<Digits, fmt::Error> {
    // So many after the point.
    let nearest = exact(shortest.len - 1)?;
    let mut digits = if is_value(nearest.plain()?.as_str()) { nearest } else { shortest };
    while digits.len < 17 && parts.is_half_way(&digits) {
        digits = exact(digits.len)?;
    }
    Ok(digits)
}

/// As PostgreSQL lays digits out: with an exponent below 10^−4 and from 10^`limit` on.
fn lay_out(digits: &Digits, limit: i32, out: &mut impl Write) -> fmt::Result {
    let text = digits.as_str();
    let exponent = digits.exponent;
    if !(-4..limit).contains(&exponent) {
        let (first, others) = text.split_at_checked(1).ok_or(fmt::Error)?;
        let point = if others.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(out, "{first}{point}{others}e{sign}{:02}", exponent.unsigned_abs());
    }
    let Ok(before) = usize::try_from(exponent + 1) else {
        let zeros = usize::try_from(-1 - exponent).unwrap_or(0);
        return write!(out, "0.{:0<zeros$}{text}", "");
    };
    match text.split_at_checked(before) {
        None => write!(out, "{text:0<before$}"),
        Some((all, "")) => out.write_str(all),
        Some(("", fraction)) => write!(out, "0.{fraction}"),
        Some((integer, fraction)) => write!(out, "{integer}.{fraction}"),
    }
}

/// A buffer for the longest float: 17 digits, point, exponent.
struct Buffer {
    bytes: [u8; 40],
    len: usize,
}

impl Buffer {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("")
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
