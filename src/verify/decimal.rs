//! Decimals, from the bytes of their unscaled number to their shortest digits.

/// The digits of a big-endian two's complement with the point before the last `scale` of them, without
/// zeros behind the point: what PostgreSQL's `trim_scale` gives.
pub(super) fn text(bytes: &[u8], scale: usize) -> String {
    let is_negative = bytes.first().is_some_and(|byte| 0x80 <= *byte);
    let mut digits = digits(magnitude(bytes, is_negative));
    while digits.len() <= scale {
        digits.push(b'0');
    }
    let zeros = digits.iter().take(scale).take_while(|digit| **digit == b'0').count();
    digits.drain(..zeros);
    let scale = scale - zeros;
    if 0 < scale {
        digits.insert(scale, b'.');
    }
    if is_negative {
        digits.push(b'-');
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

fn magnitude(bytes: &[u8], is_negative: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if is_negative {
        let mut carries = true;
        for byte in bytes.iter_mut().rev() {
            (*byte, carries) = (!*byte).overflowing_add(u8::from(carries));
        }
    }
    bytes
}

/// The decimal digits of a big-endian number, the lowest first; at least one.
fn digits(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut begin = 0;
    loop {
        let mut rest = 0_u32;
        for byte in bytes.iter_mut().skip(begin) {
            let left = rest << 8 | u32::from(*byte);
            // A rest is below 1,000,000,000, so that a quotient fits a byte.
            *byte = u8::try_from(left / 10).unwrap_or(u8::MAX);
            rest = left % 10;
        }
        digits.push(b'0' + u8::try_from(rest).unwrap_or_default());
        begin += bytes.iter().skip(begin).take_while(|byte| **byte == 0).count();
        if bytes.len() <= begin {
            return digits;
        }
    }
}
