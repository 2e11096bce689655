//! Network addresses.

use super::put;
use crate::types::Error;
use crate::types::cursor::Cursor;
use crate::types::datum::malformed;

/// `inet` and `cidr`: the address, and its prefix length where that is not all of it or the type is
/// `cidr`.
///
/// ```text
/// u8 family (2 or 3) | u8 prefix length | u8 is cidr | u8 address length (4 or 16) | address
/// ```
///
/// Source: `network_send` and `pg_inet_net_ntop` in
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/port/inet_net_ntop.c>
pub(super) fn inet(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let what = "inet (binary)";
    let mut cursor = Cursor::new(bytes, what);
    let &[family, prefix, is_cidr, length] = cursor.array()?;
    let all = match (family, length) {
        (2, 4) => {
            let [a, b, c, d] = cursor.array()?;
            put(out, format_args!("{a}.{b}.{c}.{d}"))?;
            32
        }
        (3, 16) => {
            inet6(cursor.array()?, out)?;
            128
        }
        _ => return malformed(what),
    };
    cursor.end()?;
    match (prefix, is_cidr) {
        (prefix, 0 | 1) if all < prefix => malformed(what),
        (prefix, 0) if prefix == all => Ok(()),
        (prefix, 0 | 1) => put(out, format_args!("/{prefix}")),
        _ => malformed(what),
    }
}

/// Hexadecimal words, the first of the longest runs of zeros as `::`, and the last two words as in
/// IPv4 where the address is one of those.
fn inet6(address: &[u8; 16], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut words = [0_u16; 8];
    for (word, pair) in words.iter_mut().zip(address.chunks_exact(2)) {
        *word = u16::from_be_bytes(pair.try_into().unwrap_or_default());
    }
    let (base, len) = longest_zeros(&words);
    let [.., w5, _, w7] = words;
    let is_ipv4 = base == 0 && (len == 6 || (len == 7 && w7 != 1) || (len == 5 && w5 == 0xffff));
    for (at, word) in words.into_iter().enumerate() {
        if len != 0 && (base..base + len).contains(&at) {
            if at == base {
                out.push(b':');
            }
            continue;
        }
        if at != 0 {
            out.push(b':');
        }
        if at == 6 && is_ipv4 {
            let [.., a, b, c, d] = address;
            return put(out, format_args!("{a}.{b}.{c}.{d}"));
        }
        put(out, format_args!("{word:x}"))?;
    }
    if len != 0 && base + len == words.len() {
        out.push(b':');
    }
    Ok(())
}

/// Where the first of the longest runs of two or more zeros begins, and its length; 0 for none.
fn longest_zeros(words: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut run) = ((0, 0), (0, 0));
    for (at, word) in words.iter().enumerate() {
        run = if *word == 0 { (run.0, run.1 + 1) } else { (at + 1, 0) };
        if best.1 < run.1 {
            best = run;
        }
    }
    if best.1 < 2 { (0, 0) } else { best }
}

/// `macaddr` and `macaddr8`: 6 or 8 bytes.
pub(super) fn macaddr(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    if !matches!(bytes.len(), 6 | 8) {
        return malformed("macaddr (binary)");
    }
    for (at, byte) in bytes.iter().enumerate() {
        let colon = if at == 0 { "" } else { ":" };
        put(out, format_args!("{colon}{byte:02x}"))?;
    }
    Ok(())
}
