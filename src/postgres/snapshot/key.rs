//! The text of a key's values, also where the database says of no text how it is encoded. Pure.

/// The text of what the server sent; `None` if it is to be UTF-8 and is not.
pub(super) fn text(bytes: &[u8], is_unencoded: bool) -> Option<String> {
    if !is_unencoded {
        return std::str::from_utf8(bytes).ok().map(str::to_owned);
    }
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            ..=0x7F => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    Some(text)
}

/// What is sent for it; `None` if it is no text of a key.
pub(super) fn bytes(text: &str, is_unencoded: bool) -> Option<Vec<u8>> {
    if !is_unencoded {
        return Some(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'\\' {
            bytes.push(*byte);
        } else if let Some((b'\\', behind)) = rest.split_first() {
            bytes.push(b'\\');
            rest = behind;
        } else {
            let (digits, behind) = rest.split_at_checked(3)?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 8).ok()?);
            rest = behind;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bytes_of_no_encoding_are_octal() {
        let cases: [(&[u8], &str); 4] =
            [(b"plain", "plain"), (b"a\\b", r"a\\b"), (b"\xe9t\xe9", r"\351t\351"), (b"", "")];
        for (raw, expect) in cases {
            assert_eq!(text(raw, true).unwrap(), expect);
            assert_eq!(bytes(expect, true).unwrap(), raw);
        }
        for none in ["\\", "\\1", "\\12", "\\xyz", "\\777", "\\é"] {
            assert_eq!(bytes(none, true), None, "{none}");
        }
        assert_eq!(text(b"\xe9", false), None);
        assert_eq!(bytes(r"a\b", false).unwrap(), br"a\b");
    }

    proptest! {
        #[test]
        fn all_bytes_come_back(raw in vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(bytes(&text(&raw, true).unwrap(), true).unwrap(), raw);
        }
    }
}
