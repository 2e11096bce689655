//! Bytes that are no vectors and no shapes.

use super::*;

/// Reads a value to its end.
fn walk(datum: &Datum<'_>) -> Result<(), Error> {
    match datum {
        Datum::SparseVector(vector) => {
            for element in vector.elements() {
                element?.1.double()?;
            }
        }
        Datum::Vector(vector) => {
            for element in vector.elements() {
                element.single()?;
                element.double()?;
            }
        }
        _ => {}
    }
    Ok(())
}

#[track_caller]
fn refused(kind: &Kind, form: &[u8], is_text: bool) {
    let datum = if is_text { decode_text(kind, form) } else { decode_binary(kind, form) };
    let result = datum.and_then(|datum| walk(&datum));
    assert!(matches!(result, Err(Error::Malformed { .. })), "{kind:?} {form:?}: {datum:?}");
    if !is_text {
        assert!(print(kind, form, &mut Vec::new()).is_err(), "{kind:?} {form:?} was printed");
    }
}

#[test]
fn malformed_text_of_extensions_is_refused() {
    let cases: [(Kind, &[&str]); 4] = [
        (
            Kind::Vector,
            &[
                "", "[", "]", "1", "[1", "1]", "[1,]", "[,1]", "[1,,2]", "[a]", "{1}", "[1]x",
                "[[1]]",
            ],
        ),
        (Kind::Halfvec, &["", "[1;2]", "[1 2]", "[0x1]", "[1,2"]),
        (
            Kind::Sparsevec,
            &[
                "",
                "{}",
                "/5",
                "{}/",
                "{}5",
                "{/5",
                "}/5",
                "{1}/5",
                "{1:}/5",
                "{:1}/5",
                "{1:2,}/5",
                "{1:2}/-5",
                "{0:1}/5",
                "{6:1}/5",
                "{-1:1}/5",
                "{1:x}/5",
                "{1:1}/5x",
                "{1:1}/2147483648",
                "{1:1}/0",
                "[1]/5",
                "{1:1}/5/5",
                "{4294967297:1}/5",
            ],
        ),
        (
            Kind::Geometry,
            &[
                "",
                "0",
                "01",
                "0x01",
                "0101000",
                "010100000g",
                "0201000000",
                "01010000",
                "0101000020E61000",
            ],
        ),
    ];
    for (kind, texts) in cases {
        for text in texts {
            refused(&kind, text.as_bytes(), true);
        }
    }
}

#[test]
fn malformed_binary_of_extensions_is_refused() {
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    for (kind, bytes) in [
        // A count that is too high, too low, negative, the highest; the unused bytes; trailing ones.
        (Kind::Vector, words(&[0x0002_0000, 1])),
        (Kind::Vector, words(&[0x0001_0000, 1, 1])),
        (Kind::Vector, words(&[0xffff_0000, 1])),
        (Kind::Vector, words(&[0x7fff_0000, 1])),
        (Kind::Vector, words(&[0x0001_0001, 1])),
        (Kind::Vector, [words(&[0x0001_0000, 1]), vec![0]].concat()),
        (Kind::Halfvec, words(&[0x0001_0000, 1])),
        (Kind::Halfvec, words(&[0xffff_0000, 1])),
        (Kind::Halfvec, words(&[0x0002_0001, 1])),
        (Kind::Halfvec, [words(&[0x0002_0000, 1]), vec![0]].concat()),
        (Kind::Sparsevec, words(&[5, 2, 0, 0, 1])),
        (Kind::Sparsevec, words(&[5, 1, 0, 0, 1, 1])),
        (Kind::Sparsevec, words(&[5, 0xffff_ffff, 0, 0, 1])),
        (Kind::Sparsevec, words(&[5, 0x7fff_ffff, 0, 0, 1])),
        (Kind::Sparsevec, words(&[5, 0x8000_0001, 0, 0, 1])),
        (Kind::Sparsevec, words(&[0xffff_ffff, 1, 0, 0, 1])),
        (Kind::Sparsevec, words(&[5, 1, 1, 0, 1])),
        // An index outside of the dimensions.
        (Kind::Sparsevec, words(&[5, 1, 0, 5, 1])),
        (Kind::Sparsevec, words(&[5, 1, 0, 0xffff_ffff, 1])),
        (Kind::Sparsevec, words(&[0, 1, 0, 0, 1])),
        (Kind::Sparsevec, [words(&[5, 1, 0, 0, 1]), vec![0]].concat()),
        (Kind::Geometry, vec![2, 1, 0, 0, 0]),
        (Kind::Geography, b"01010000".to_vec()),
    ] {
        refused(&kind, &bytes, false);
    }
}

#[test]
fn extensions_values_cut_short_are_refused() {
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    for (kind, binary, text) in [
        (Kind::Vector, words(&[0x0002_0000, 0x3f80_0000, 0]), "[1,0.5]"),
        (Kind::Halfvec, words(&[0x0002_0000, 0x3c00_0000]), "[1,0.5]"),
        (Kind::Sparsevec, words(&[5, 2, 0, 0, 3, 0x3f80_0000, 0x3f80_0000]), "{1:1,4:0.5}/5"),
    ] {
        assert_eq!(decode_binary(&kind, &binary).and_then(|datum| walk(&datum)), Ok(()));
        assert_eq!(decode_text(&kind, text.as_bytes()).and_then(|datum| walk(&datum)), Ok(()));
        for len in 0..binary.len() {
            refused(&kind, &binary[..len], false);
        }
        for len in 0..text.len() {
            refused(&kind, &text.as_bytes()[..len], true);
        }
    }
    // Only the head of a shape is read.
    let shape = [1, 1, 0, 0, 0x20, 0xe6, 0x10, 0, 0];
    let digits = b"0101000020E6100000";
    for kind in [Kind::Geography, Kind::Geometry] {
        assert!(decode_binary(&kind, &shape).is_ok());
        assert!(decode_text(&kind, digits).is_ok());
        for len in 0..shape.len() {
            refused(&kind, &shape[..len], false);
        }
        for len in 0..digits.len() {
            refused(&kind, &digits[..len], true);
        }
    }
}

/// Two dimensions of an array are told apart from the brackets of a vector.
#[test]
fn delimiters_are_those_of_the_catalog() {
    for (kind, text, expect) in [
        (Kind::Vector, "{[1],[2],NULL}", 3),
        (Kind::Vector, "[3:4]={[1],\"[2,3]\"}", 2),
        (Kind::Geometry, "{0101000000:NULL:0101000000}", 3),
        (Kind::Geography, "{0101000000}", 1),
        (Kind::Sparsevec, "{\"{1:1}/5\",\"{}/3\"}", 2),
    ] {
        let kind = Kind::Array(Box::new(kind));
        match decode_text(&kind, text.as_bytes()) {
            Ok(Datum::Array(array)) => assert_eq!(array.len(), expect, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}
