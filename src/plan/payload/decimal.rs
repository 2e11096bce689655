//! A decimal number's text to the unscaled two's-complement integer of Avro's `decimal`, exactly.
//!
//! Source: <https://avro.apache.org/docs/1.12.0/specification/#decimal>

use super::Reason;

/// The big-endian two's complement of `text` × 10^`scale`, in as few bytes as it needs.
///
/// Never rounds: digits that do not fit are a reason, not a loss.
pub(super) fn unscaled(text: &str, precision: usize, scale: usize) -> Result<Vec<u8>, Reason> {
    let number = Number::parse(text).ok_or(Reason::Form { want: "a decimal number" })?;
    let Some(zeros) = number.zeros_at(scale) else {
        return Err(Reason::Scale { digits: scale });
    };
    if precision < number.digits.len().saturating_add(zeros) {
        return Err(Reason::Precision { digits: precision });
    }
    let mut bytes = magnitude(number.digits.iter().copied().chain(std::iter::repeat_n(0, zeros)));
    if number.is_negative {
        negate(&mut bytes);
    }
    Ok(bytes)
}

/// `±digits × 10^exponent`, without leading or trailing zeros; zero has no digits.
struct Number {
    is_negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, i64::from(exponent.parse::<i32>().ok()?)),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut digits = Vec::with_capacity(mantissa.len());
        for byte in whole.bytes().chain(fraction.bytes()) {
            match byte {
                b'0' if digits.is_empty() => {}
                b'0'..=b'9' => digits.push(byte - b'0'),
                _ => return None,
            }
        }
        let mut exponent = exponent - i64::try_from(fraction.len()).ok()?;
        while digits.last() == Some(&0) {
            digits.pop();
            exponent += 1;
        }
        Some(Self { is_negative: is_negative && !digits.is_empty(), digits, exponent })
    }

    /// How many zeros follow the digits at `scale`; `None` if digits would be lost.
    fn zeros_at(&self, scale: usize) -> Option<usize> {
        if self.digits.is_empty() {
            return Some(0);
        }
        usize::try_from(self.exponent + i64::try_from(scale).ok()?).ok()
    }
}

/// A positive number of decimal digits in base 256, with a clear sign bit.
fn magnitude(digits: impl Iterator<Item = u8>) -> Vec<u8> {
    // Little-endian while it grows.
    let mut bytes: Vec<u8> = Vec::new();
    for digit in digits {
        let mut carry = u16::from(digit);
        for byte in &mut bytes {
            let [high, low] = (u16::from(*byte) * 10 + carry).to_be_bytes();
            *byte = low;
            carry = u16::from(high);
        }
        if let Ok(carry @ 1..) = u8::try_from(carry) {
            bytes.push(carry);
        }
    }
    if bytes.last().is_none_or(|high| 0x7F < *high) {
        bytes.push(0);
    }
    bytes.reverse();
    bytes
}

/// Two's complement of a positive number other than zero, in as few bytes as it needs.
fn negate(bytes: &mut Vec<u8>) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
    if let [0xFF, 0x80..=0xFF, ..] = bytes.as_slice() {
        bytes.remove(0);
    }
}
