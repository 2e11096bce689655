//! Where a numeric becomes bytes: the unscaled number as a big-endian two's complement of the least
//! length, like Java's `BigInteger.toByteArray`, which Avro's decimal and Debezium's
//! `VariableScaleDecimal` both hold.

use super::Error;
use super::encoding::Encoding;
use super::layout::Layout;
use super::value::misplaced;
use crate::types::Decimal;

/// Appends the value times 10^`scale` as bytes. Digits after `scale` must be none
/// ([`Decimal::fraction_digits`]).
pub(super) fn write_unscaled<E: Encoding>(decimal: &Decimal<'_>, scale: u32, out: &mut Vec<u8>) {
    debug_assert!(decimal.fraction_digits() <= scale, "digits would be lost");
    if decimal.digits_max(scale) <= I128_DIGITS {
        let mut sum = 0_i128;
        decimal.for_each_chunk(scale, |value, count| {
            sum = sum * power_of_ten(count) + i128::from(value);
        });
        if decimal.is_negative {
            sum = -sum;
        }
        write_i128::<E>(sum, out);
    } else {
        write_large::<E>(decimal, scale, out);
    }
}

/// Every number of so many digits fits.
const I128_DIGITS: usize = 38;

fn power_of_ten(count: u32) -> i128 {
    match count {
        1 => 10,
        2 => 100,
        3 => 1000,
        _ => 10_000,
    }
}

/// Appends a record of scale and unscaled value.
pub(super) fn write_variable_scale<E: Encoding>(
    scale: i32,
    out: &mut Vec<u8>,
    value: impl FnOnce(&mut Vec<u8>),
) {
    E::record(out);
    E::field("scale", out);
    E::int(scale, out);
    E::field("value", out);
    value(out);
    E::record_end(out);
}

/// Appends the nearest double.
pub(super) fn write_double<E: Encoding>(
    decimal: &Decimal<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    decimal.print(decimal.fraction_digits(), out)?;
    let text = std::str::from_utf8(out.get(start..).unwrap_or_default());
    let value = text.ok().and_then(|text| text.parse().ok());
    out.truncate(start);
    E::double(value.ok_or(Error::Malformed { what: "numeric" })?, out);
    Ok(())
}

/// Appends money, given in hundredths.
pub(super) fn write_money<E: Encoding>(
    layout: &Layout,
    cents: i64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match layout {
        Layout::Double => {
            let text = money_text(cents);
            E::double(text.parse().or_else(|_| misplaced())?, out);
        }
        Layout::Money => write_i128::<E>(cents.into(), out),
        Layout::MoneyText => E::string(&money_text(cents), out),
        _ => return misplaced(),
    }
    Ok(())
}

/// `-1234.56`.
fn money_text(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let magnitude = cents.unsigned_abs();
    format!("{sign}{}.{:02}", magnitude / 100, magnitude % 100)
}

/// Appends a number as bytes.
pub(super) fn write_i128<E: Encoding>(value: i128, out: &mut Vec<u8>) {
    // Bits that only repeat the sign, less the sign itself.
    let spare_bits = (value ^ (value >> 127)).leading_zeros() - 1;
    let bytes = value.to_be_bytes();
    let kept = bytes.split_at_checked(usize::try_from(spare_bits / 8).unwrap_or(0));
    E::bytes(kept.map_or(bytes.as_slice(), |(_, kept)| kept), out);
}

/// The road of numbers beyond 38 digits: quadratic, which for the longest numeric that PostgreSQL
/// holds (147,455 digits) is some tens of milliseconds.
fn write_large<E: Encoding>(decimal: &Decimal<'_>, scale: u32, out: &mut Vec<u8>) {
    let mut limbs = Vec::new();
    let (mut pending, mut unit) = (0_u64, 1_u64);
    decimal.for_each_chunk(scale, |value, count| {
        let step = 10_u64.pow(count);
        pending = pending * step + u64::from(value);
        unit *= step;
        if unit > BATCH_UNIT {
            multiply_add(&mut limbs, unit, pending);
            (pending, unit) = (0, 1);
        }
    });
    multiply_add(&mut limbs, unit, pending);
    // Room for the sign.
    limbs.push(0);
    if decimal.is_negative {
        negate(&mut limbs);
    }
    let bytes: Vec<u8> = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    let spare = bytes
        .windows(2)
        .take_while(|pair| matches!(pair, [0x00, 0x00..=0x7f] | [0xff, 0x80..=0xff]))
        .count();
    E::bytes(bytes.get(spare..).unwrap_or(&bytes), out);
}

/// Digits are gathered up to here before they are added: four more still fit 64 bits.
const BATCH_UNIT: u64 = 100_000_000_000_000;

/// `limbs = limbs * factor + term`, the lowest limb first.
fn multiply_add(limbs: &mut Vec<u64>, factor: u64, term: u64) {
    let mut carry = term;
    for limb in limbs.iter_mut() {
        (*limb, carry) = limb.carrying_mul(factor, carry);
    }
    if carry != 0 {
        limbs.push(carry);
    }
}

fn negate(limbs: &mut [u64]) {
    let mut carry = true;
    for limb in limbs {
        (*limb, carry) = (!*limb).overflowing_add(u64::from(carry));
    }
}
