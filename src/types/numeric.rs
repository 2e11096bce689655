//! `numeric`: both forms as one sequence of decimal digits, to be summed up at a scale.
//!
//! ```text
//! binary: i16 groups | i16 weight | u16 sign | u16 display scale | groups × i16 (0..=9999)
//! value = ± sum of group[i] × 10000^(weight − i)
//! text:   [-]digits[.digits] | NaN | [-]Infinity
//! ```
//!
//! Source: `numeric_send` and `numeric_out` in
//! <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/numeric.c>

use super::Error;
use super::cursor::Cursor;
use super::datum::malformed;

/// A `numeric` value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numeric<'a> {
    /// A number.
    Finite(Decimal<'a>),
    /// `Infinity` (PostgreSQL 14+).
    Infinity,
    /// `NaN`.
    NaN,
    /// `-Infinity` (PostgreSQL 14+).
    NegativeInfinity,
}

impl<'a> Numeric<'a> {
    /// Reads the binary form.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_binary(bytes: &'a [u8]) -> Result<Self, Error> {
        let Some((&[n0, n1, w0, w1, s0, s1, _, _], groups)) = bytes.split_first_chunk() else {
            return malformed("numeric header (binary)");
        };
        let count = usize::from(u16::from_be_bytes([n0, n1]));
        let is_sound =
            groups.len() == 2 * count && groups.chunks_exact(2).all(|g| group(g) < 10_000);
        if !is_sound {
            return malformed("numeric digits (binary)");
        }
        let is_negative = match u16::from_be_bytes([s0, s1]) {
            0x0000 => false,
            0x4000 => true,
            0xC000 => return Ok(Self::NaN),
            0xD000 => return Ok(Self::Infinity),
            0xF000 => return Ok(Self::NegativeInfinity),
            _ => return malformed("numeric sign (binary)"),
        };
        let weight = i32::from(i16::from_be_bytes([w0, w1]));
        Ok(Self::Finite(Decimal { is_negative, digits: Digits::Groups { groups, weight } }))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_text(text: &'a [u8]) -> Result<Self, Error> {
        match text {
            b"NaN" => return Ok(Self::NaN),
            b"Infinity" => return Ok(Self::Infinity),
            b"-Infinity" => return Ok(Self::NegativeInfinity),
            _ => {}
        }
        let unsigned = text.strip_prefix(b"-");
        let is_negative = unsigned.is_some();
        let unsigned = unsigned.unwrap_or(text);
        let point = unsigned.iter().position(|byte| *byte == b'.');
        let (integer, fraction) = match point.and_then(|at| unsigned.split_at_checked(at)) {
            Some((integer, [_, fraction @ ..])) if !fraction.is_empty() => (integer, fraction),
            Some(_) => return malformed("numeric (text)"),
            None => (unsigned, [].as_slice()),
        };
        let is_sound = !integer.is_empty()
            && unsigned.len() <= LONGEST_TEXT
            && integer.iter().chain(fraction).all(u8::is_ascii_digit);
        if !is_sound {
            return malformed("numeric (text)");
        }
        Ok(Self::Finite(Decimal { is_negative, digits: Digits::Text { integer, fraction } }))
    }
}

/// A finite `numeric`: sign and decimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'a> {
    /// Whether the number is below zero (zero itself may claim so).
    pub is_negative: bool,
    digits: Digits<'a>,
}

impl Decimal<'_> {
    /// How many digits after the point the value needs: the trailing zeros do not count.
    #[must_use]
    pub fn fraction_digits(&self) -> u32 {
        match self.digits {
            Digits::Groups { groups, weight } => {
                let zeros = groups.chunks_exact(2).rev().take_while(|g| group(g) == 0).count();
                let Some(last) = groups.chunks_exact(2).rev().nth(zeros).map(group) else {
                    return 0;
                };
                let power = weight - steps(groups.len() / 2 - zeros - 1);
                let trailing = [1000, 100, 10].iter().position(|unit| last % unit == 0);
                let trailing = trailing.map_or(0, |at| 3 - steps(at));
                u32::try_from(-4 * power - trailing).unwrap_or(0)
            }
            Digits::Text { fraction, .. } => {
                let zeros = fraction.iter().rev().take_while(|digit| **digit == b'0').count();
                u32::try_from(fraction.len() - zeros).unwrap_or(u32::MAX)
            }
        }
    }

    /// No more digits than this has the value times 10^`scale`.
    #[must_use]
    pub fn digits_max(&self, scale: u32) -> usize {
        let scale = usize::try_from(scale).unwrap_or(usize::MAX);
        let integer = match self.digits {
            Digits::Groups { weight, .. } => usize::try_from(4 * (weight + 1)).unwrap_or(0),
            Digits::Text { integer, .. } => integer.len(),
        };
        integer.saturating_add(scale)
    }

    /// Gives the digits of the value's magnitude times 10^`scale` from the left, in chunks: each is
    /// `step(value, count)`, a number of `count` (1 to 4) decimal digits. Leading zeros may be left
    /// out; digits after `scale` are not given (see [`Self::fraction_digits`]).
    pub fn for_each_chunk(&self, scale: u32, mut step: impl FnMut(u16, u32)) {
        match self.digits {
            Digits::Groups { groups, weight } => {
                let mut groups = groups.chunks_exact(2).map(group);
                for _ in 0..=weight {
                    step(groups.next().unwrap_or(0), 4);
                }
                // A weight below −1 says that the fraction begins with so many groups of zeros.
                let mut zeros = u32::try_from(-1 - weight).unwrap_or(0);
                let mut left = scale;
                while left > 0 {
                    let value = if zeros > 0 { 0 } else { groups.next().unwrap_or(0) };
                    zeros = zeros.saturating_sub(1);
                    match left {
                        1 => step(value / 1000, 1),
                        2 => step(value / 100, 2),
                        3 => step(value / 10, 3),
                        _ => step(value, 4),
                    }
                    left = left.saturating_sub(4);
                }
            }
            Digits::Text { integer, fraction } => {
                for digit in integer {
                    step(u16::from(digit - b'0'), 1);
                }
                let mut fraction = fraction.iter();
                for _ in 0..scale {
                    step(fraction.next().map_or(0, |digit| u16::from(digit - b'0')), 1);
                }
            }
        }
    }

    /// Appends the number with so many digits after the point, which must be all that it has.
    ///
    /// # Errors
    /// [`Error::Malformed`] for more digits than there can be.
    pub fn print(&self, scale: u32, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.is_negative {
            out.push(b'-');
        }
        let start = out.len();
        self.for_each_chunk(scale, |value, count| {
            let digits = [value / 1000, value / 100 % 10, value / 10 % 10, value % 10];
            let digits = digits.iter().skip(4 - usize::try_from(count).unwrap_or(4));
            out.extend(digits.map(|digit| b'0' + digit.to_le_bytes()[0]));
        });
        // Now they stand there without the point, which goes before the last `scale` of them.
        let scale = usize::try_from(scale).unwrap_or(usize::MAX);
        let Some(point) = out.len().checked_sub(scale).filter(|point| start <= *point) else {
            return malformed("numeric scale (binary)");
        };
        if scale != 0 {
            out.insert(point, b'.');
        }
        let integer = out.get(start..point).unwrap_or_default();
        let zeros = integer.iter().take_while(|digit| **digit == b'0').count();
        // One digit stays.
        if integer.len() == zeros && zeros != 1 {
            out.splice(start..point, *b"0");
        } else if integer.len() != zeros {
            out.drain(start..start + zeros);
        }
        Ok(())
    }
}

impl PartialEq for Decimal<'_> {
    /// Compares values, whatever their form and their trailing zeros.
    fn eq(&self, other: &Self) -> bool {
        let scale = self.fraction_digits();
        if scale != other.fraction_digits() {
            return false;
        }
        let digits = |decimal: &Self| {
            let mut text = Vec::new();
            decimal.for_each_chunk(scale, |value, count| {
                for unit in
                    [1000, 100, 10, 1].iter().rev().take(usize::try_from(count).unwrap_or(4)).rev()
                {
                    text.push(value / unit % 10);
                }
            });
            let zeros = text.iter().take_while(|digit| **digit == 0).count();
            text.split_off(zeros)
        };
        let (left, right) = (digits(self), digits(other));
        left == right && (left.is_empty() || self.is_negative == other.is_negative)
    }
}

#[derive(Clone, Copy, Debug)]
enum Digits<'a> {
    /// Big-endian groups of four digits; the first counts 10000^`weight`.
    Groups { groups: &'a [u8], weight: i32 },
    /// ASCII digits on both sides of the point.
    Text { integer: &'a [u8], fraction: &'a [u8] },
}

/// 131,072 digits before the point and 16,383 after it are the type's limits, and the point.
const LONGEST_TEXT: usize = 131_072 + 1 + 16_383;

fn group(pair: &[u8]) -> u16 {
    match pair {
        &[high, low] => u16::from_be_bytes([high, low]),
        _ => 0,
    }
}

/// A count of groups, which a message's u16 counts.
fn steps(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Appends the text of the binary form, with as many digits after the point as the value displays.
pub(super) fn print(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let text: &[u8] = match Numeric::from_binary(bytes)? {
        Numeric::Finite(decimal) => {
            let mut header = Cursor::new(bytes, "numeric header (binary)");
            let &[_, _, _, _, _, _, s0, s1] = header.array()?;
            return decimal.print(u32::from(u16::from_be_bytes([s0, s1])), out);
        }
        Numeric::Infinity => b"Infinity",
        Numeric::NaN => b"NaN",
        Numeric::NegativeInfinity => b"-Infinity",
    };
    out.extend_from_slice(text);
    Ok(())
}
