//! Rows in, rows out: what each encoding makes of a text, and what it must leave alone.

use encoding_rs::{EUC_JP, WINDOWS_1252, WINDOWS_1253};
use proptest::prelude::*;

use super::super::tests::BODIES;
use super::*;

/// A column: `None` is NULL, `"u"` unchanged.
fn tuple(letter: u8, columns: &[Option<&[u8]>]) -> Vec<u8> {
    let count = u16::try_from(columns.len()).unwrap();
    let mut out = [&[letter][..], &count.to_be_bytes()].concat();
    for column in columns {
        match column {
            None => out.push(b'n'),
            Some(b"u") => out.push(b'u'),
            Some(text) => {
                out.push(b't');
                out.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
                out.extend_from_slice(text);
            }
        }
    }
    out
}

/// A message about relation 0x80C3A9FF, whose OID is not ASCII.
fn message(tag: u8, tuples: &[Vec<u8>]) -> Vec<u8> {
    [&[tag, 0x80, 0xC3, 0xA9, 0xFF][..], &tuples.concat()].concat()
}

/// A message that is written anew: its bytes are kept by the transcoder.
fn transcoded(encoding: &'static Encoding, body: &[u8]) -> Result<Vec<u8>, Error> {
    let mut transcoder = Transcoder::new(Some(encoding));
    transcoder.parse(body)?;
    Ok(if transcoder.body.is_empty() { body.to_vec() } else { transcoder.body })
}

/// Checks one text, in an insert.
#[track_caller]
fn check(encoding: &'static Encoding, text: &[u8], expect: &[u8]) {
    let [body, expect] =
        [text, expect].map(|text| message(b'I', &[tuple(b'N', &[Some(b"1"), Some(text)])]));
    assert_eq!(transcoded(encoding, &body), Ok(expect), "{text:02x?}");
}

#[test]
fn texts_become_utf8() {
    check(WINDOWS_1252, b"caf\xe9", "café".as_bytes());
    check(WINDOWS_1252, b"\x80 \x81", "€ \u{81}".as_bytes());
    check(WINDOWS_1252, b"{a,\"\xe9, b\",\xe9}", "{a,\"é, b\",é}".as_bytes());
    // What is UTF-8 already is none in that encoding, and no mark of byte order either.
    check(WINDOWS_1252, "é".as_bytes(), "Ã©".as_bytes());
    check(WINDOWS_1252, b"\xef\xbb\xbfa", "ï»¿a".as_bytes());
    check(EUC_JP, b"a\xc6\xfc\xcb\xdc\x8e\xb1\x8f\xb0\xa1b", "a日本ｱ丂b".as_bytes());
    // What docs/guarantees.md says of it: two codes, one character.
    check(EUC_JP, b"\xa2\xe2\xad\xf0", "≒≒".as_bytes());
}

#[test]
fn bytes_without_a_meaning_are_kept_and_never_become_utf8() {
    // The two bytes are a letter in UTF-8.
    let letter = b"\xd2\x92";
    assert!(str::from_utf8(letter).is_ok());
    check(WINDOWS_1253, letter, b"\xff\xd2\xe2\x80\x99");
    check(WINDOWS_1253, b"\xe1\xaaz\xff", b"\xce\xb1\xff\xaaz\xff\xff");
    check(EUC_JP, "é".as_bytes(), "辿".as_bytes());
    check(EUC_JP, "À".as_bytes(), b"\xff\xc3\x80");
    // Half of a character at the end, and before ASCII, which stays.
    check(EUC_JP, b"\xc6\xfc\xc6", b"\xe6\x97\xa5\xff\xc6");
    check(EUC_JP, b"{\xc6,\xc6\xfc}", b"{\xff\xc6,\xe6\x97\xa5}");
    check(EUC_JP, b"\x8f\xb0", b"\xff\x8f\xb0");
}

#[test]
fn long_texts_are_decoded_in_pieces() {
    for shift in 0..4 {
        let ascii = "x".repeat(PIECE_BYTES - shift);
        let text = format!("{ascii}日本{ascii}日本");
        let (bytes, _, _) = EUC_JP.encode(&text);
        check(EUC_JP, &bytes, text.as_bytes());
        let cut = bytes.get(..bytes.len() - 1).unwrap();
        let whole = text.strip_suffix('本').unwrap().as_bytes();
        check(EUC_JP, cut, &[whole, b"\xff\xcb"].concat());
    }
}

#[test]
fn every_tuple_of_a_change_is_transcoded_and_the_rest_stays() {
    let row = |text: &[u8]| -> [Option<Vec<u8>>; 4] {
        [Some(text.to_vec()), None, Some(b"u".to_vec()), Some(b"1".to_vec())]
    };
    let tuple =
        |letter, text: &[u8]| tuple(letter, &row(text).each_ref().map(|column| column.as_deref()));
    let latin = |letter| tuple(letter, b"\xe9");
    let utf8 = |letter| tuple(letter, "é".as_bytes());
    for (tag, letters) in
        [(b'I', &b"N"[..]), (b'D', b"K"), (b'D', b"O"), (b'U', b"N"), (b'U', b"KN"), (b'U', b"ON")]
    {
        let all = |tuple: &dyn Fn(u8) -> Vec<u8>| {
            message(tag, &letters.iter().map(|letter| tuple(*letter)).collect::<Vec<_>>())
        };
        assert_eq!(transcoded(WINDOWS_1252, &all(&latin)), Ok(all(&utf8)));
    }
    // Only one of the two has such text.
    let mixed = |text: &[u8]| message(b'U', &[tuple(b'O', b"a"), tuple(b'N', text)]);
    assert_eq!(transcoded(WINDOWS_1252, &mixed(b"\xe9")), Ok(mixed("é".as_bytes())));
}

#[test]
fn what_has_no_such_text_is_not_written_anew() {
    let mut binary = message(b'I', &[tuple(b'N', &[Some(b"\xe9")])]);
    binary[8] = b'b';
    let ascii =
        message(b'U', &[tuple(b'K', &[Some(b"k"), None]), tuple(b'N', &[Some(b"v"), None])]);
    let content = [b"M\x01\0\0\0\0\0\0\0\x01p\0\0\0\0\x01".as_slice(), b"\xe9"].concat();
    for body in [binary, ascii, content] {
        let mut transcoder = Transcoder::new(Some(WINDOWS_1252));
        let message = transcoder.parse(&body).unwrap();
        if let Message::Insert { new, .. } = message {
            assert_eq!(new.columns().next(), Some(Column::Binary(b"\xe9")));
        }
        assert_eq!(transcoder.body.capacity(), 0);
    }
    // Without an encoding nothing is.
    let mut transcoder = Transcoder::new(None);
    transcoder.parse(&message(b'I', &[tuple(b'N', &[Some(b"\xe9")])])).unwrap();
    assert_eq!(transcoder.body.capacity(), 0);
}

#[test]
fn one_buffer_serves_all_messages_and_a_large_one_is_given_back() {
    let body = |text: &[u8]| message(b'I', &[tuple(b'N', &[Some(text)])]);
    let mut transcoder = Transcoder::new(Some(WINDOWS_1252));
    transcoder.parse(&body(&vec![0x80; KEPT_BYTES_MAX])).unwrap();
    assert!(3 * KEPT_BYTES_MAX < transcoder.body.capacity());
    transcoder.parse(&body(b"\xe9")).unwrap();
    assert_eq!(transcoder.body, body("é".as_bytes()));
    assert!(transcoder.body.capacity() <= KEPT_BYTES_MAX);
}

/// What a message looks like stands twice: where it is read and where it is written.
#[test]
fn what_is_written_is_what_a_server_sends() {
    let mut rows = 0;
    for body in &*BODIES {
        if let Some(row) = Row::of(&Message::parse(body).unwrap()) {
            let mut written = Vec::new();
            row.write(&mut written).unwrap();
            assert_eq!(&written, body);
            rows += 1;
        }
    }
    assert!(20 < rows, "{rows}");
}

#[test]
fn broken_messages_give_the_error_that_they_gave() {
    let whole = message(
        b'U',
        &[tuple(b'O', &[Some(b"\xe9"), None]), tuple(b'N', &[Some(b"\xe9"), Some(b"u")])],
    );
    let name = b"R\0\0\0\x07public\0caf\xe9\0d\0\0".to_vec();
    let cut = (0..whole.len()).map(|end| whole[..end].to_vec());
    for body in cut.chain([name, [&whole[..], b"\xe9"].concat()]) {
        let expect = Message::parse(&body).unwrap_err();
        assert_eq!(transcoded(WINDOWS_1252, &body), Err(expect));
    }
}

/// Two keys of a table must not become one.
#[test]
fn in_encodings_of_single_bytes_each_byte_is_a_character_of_its_own() {
    let labels = (1..=16).map(|n| format!("iso-8859-{n}"));
    let labels = labels.chain((1250..=1258).map(|n| format!("windows-{n}"))).chain(
        ["windows-874", "ibm866", "koi8-r", "koi8-u", "macintosh", "x-mac-cyrillic"]
            .map(str::to_owned),
    );
    for label in labels.filter(|label| label != "iso-8859-12") {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for byte in 0..=u8::MAX {
            let mut text = Vec::new();
            decode(encoding, &[byte], &mut text);
            assert!(byte.is_ascii() == text.is_ascii() && !seen.contains(&text), "{label} {byte}");
            seen.push(text);
        }
    }
}

/// Texts of characters that the encoding has, each by one code.
fn texts(characters: &'static str) -> impl Strategy<Value = Vec<Option<String>>> {
    prop::collection::vec(prop::option::of(characters), 0..5)
}

/// An update from one row to the other.
fn update(rows: [&[Option<Vec<u8>>]; 2]) -> Vec<u8> {
    let [old, new] = rows.map(|row| row.iter().map(|column| column.as_deref()).collect::<Vec<_>>());
    message(b'U', &[tuple(b'O', &old), tuple(b'N', &new)])
}

fn round_trips(encoding: &'static Encoding, rows: [&[Option<String>]; 2]) {
    let map = |rows: [&[Option<String>]; 2], with: &dyn Fn(&str) -> Vec<u8>| {
        let [old, new] =
            rows.map(|row| row.iter().map(|text| text.as_deref().map(with)).collect::<Vec<_>>());
        update([&old, &new])
    };
    let encode = |text: &str| {
        let (bytes, _, has_errors) = encoding.encode(text);
        assert!(!has_errors, "{text}");
        bytes.into_owned()
    };
    let expect = map(rows, &|text| text.as_bytes().to_vec());
    assert_eq!(transcoded(encoding, &map(rows, &encode)), Ok(expect));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_row_that_was_encoded_comes_back(
        old in texts("[ -~€é-ÿ™]{0,40}"), new in texts("[ -~€é-ÿ™]{0,40}"),
    ) {
        round_trips(WINDOWS_1252, [&old, &new]);
    }

    #[test]
    fn a_row_in_euc_jp_comes_back(
        old in texts("[ -}ぁ-んァ-ヶｦ-ﾝ日本語、。]{0,40}"), new in texts("[ -}ぁ-んァ-ヶ日本語]{0,900}"),
    ) {
        round_trips(EUC_JP, [&old, &new]);
    }

    #[test]
    fn whatever_the_bytes_are_the_row_stays_whole(
        texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
    ) {
        for encoding in [EUC_JP, WINDOWS_1252, WINDOWS_1253] {
            let columns: Vec<_> = texts.iter().map(|text| Some(text.as_slice())).collect();
            let body = message(b'I', &[tuple(b'N', &columns)]);
            let mut transcoder = Transcoder::new(Some(encoding));
            let message = transcoder.parse(&body).unwrap();
            let Message::Insert { new, .. } = message else { panic!("{message:?}") };
            for (found, text) in new.columns().zip(&texts) {
                let is_defined =
                    encoding.decode_without_bom_handling_and_without_replacement(text);
                match (found, is_defined) {
                    (Column::Text(found), Some(expect)) => prop_assert_eq!(found, expect.as_bytes()),
                    (Column::Text(found), None) => prop_assert!(str::from_utf8(found).is_err()),
                    (Column::Unchanged, _) => prop_assert_eq!(text, b"u"),
                    (found, _) => panic!("{found:?}"),
                }
            }
        }
    }
}
