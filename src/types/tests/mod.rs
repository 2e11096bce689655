//! The catalog's answers, and bytes that are no values. Values are tested where they are encoded
//! (`encode::tests`), both forms against each other and against a server.

mod extensions;

use super::*;

fn facts(oid: u32, name: &str, shape: TypeShape) -> TypeFacts {
    TypeFacts { oid, name: name.into(), namespace: "shop".into(), shape }
}

fn catalog(facts: impl IntoIterator<Item = TypeFacts>) -> TypeCatalog {
    let mut catalog = TypeCatalog::default();
    facts.into_iter().for_each(|facts| catalog.insert(facts));
    catalog
}

#[test]
fn built_in_types_need_no_catalog() {
    let numeric = |declared| Kind::Numeric { declared };
    for (oid, modifier, expect) in [
        (16, -1, Kind::Bool),
        (17, -1, Kind::Bytea),
        (19, -1, Kind::Text),
        (1042, 9, Kind::Text),
        (1043, 24, Kind::Text),
        (1083, -1, Kind::Time { precision: None }),
        (1083, 0, Kind::Time { precision: Some(0) }),
        (1114, 3, Kind::Timestamp { precision: Some(3) }),
        (1184, 6, Kind::TimestampTz { precision: Some(6) }),
        (1186, 0x7fff_ffff, Kind::Interval { precision: None }),
        (1186, 0x7fff_0003, Kind::Interval { precision: Some(3) }),
        (1186, -1, Kind::Interval { precision: None }),
        (1266, 2, Kind::TimeTz { precision: Some(2) }),
        (1700, -1, numeric(None)),
        (1700, 3, numeric(None)),
        (1700, i32::MIN, numeric(None)),
        (1700, ((10 << 16) | 2) + 4, numeric(Some((10, 2)))),
        (1700, ((1000 << 16) | 1000) + 4, numeric(Some((1000, 1000)))),
        (1700, ((5 << 16) | 0x7fe) + 4, numeric(Some((5, -2)))),
        (1700, ((5 << 16) | 0x418) + 4, numeric(Some((5, -1000)))),
        (1231, ((8 << 16) | 3) + 4, Kind::Array(Box::new(numeric(Some((8, 3)))))),
        (1185, 3, Kind::Array(Box::new(Kind::TimestampTz { precision: Some(3) }))),
        (3807, -1, Kind::Array(Box::new(Kind::Jsonb))),
    ] {
        assert_eq!(TypeCatalog::default().resolve(oid, modifier), expect, "{oid} {modifier}");
    }
}

#[test]
fn a_type_is_known_when_all_that_it_is_made_of_is() {
    let mut catalog = TypeCatalog::default();
    catalog.insert(facts(100_003, "_price", TypeShape::Array { element: 100_002 }));
    catalog.insert(facts(100_002, "net", TypeShape::Domain { base: 100_001, modifier: -1 }));
    assert!(!catalog.resolve(100_003, -1).is_known());
    catalog.insert(facts(100_001, "price", TypeShape::Domain { base: 1700, modifier: 655_366 }));
    let price = Kind::Numeric { declared: Some((10, 2)) };
    assert_eq!(catalog.resolve(100_003, -1), Kind::Array(Box::new(price)));
}

#[test]
fn a_type_that_is_gone_is_other() {
    let expect = Kind::Other { name: "type with OID 100001".into() };
    assert_eq!(TypeCatalog::default().resolve(100_001, -1), expect);
}

#[test]
fn a_circle_of_domains_ends() {
    let catalog = catalog([
        facts(100_001, "a", TypeShape::Domain { base: 100_002, modifier: -1 }),
        facts(100_002, "b", TypeShape::Domain { base: 100_001, modifier: -1 }),
    ]);
    assert!(!catalog.resolve(100_001, -1).is_known());
}

#[test]
fn malformed_text_is_refused() {
    let array = |kind| Kind::Array(Box::new(kind));
    let cases: [(Kind, &[&str]); 15] = [
        (Kind::Bool, &["", "true", "T"]),
        (Kind::Bytea, &["\\x0", "\\xzz", "\\", "\\1", "\\400", "a\\b"]),
        (Kind::Date, &["", "2024-13-01", "2024-02-30", "0000-01-01", "2024-1-1", "2024-01-01 AD"]),
        (Kind::Float8, &["", "1,5", "x"]),
        (Kind::Int2, &["", "32768", "1.0", " 1"]),
        (Kind::Int8, &["9223372036854775808"]),
        (
            Kind::Interval { precision: None },
            &["", "1 day", "P1", "PT1D", "P1H", "P1.5D", "P99999999999Y", "PT1.1234567S"],
        ),
        (
            Kind::Numeric { declared: None },
            &["", "-", ".", "1.", ".5", "1e5", "+1", "1.2.3", "nan"],
        ),
        (Kind::Time { precision: None }, &["", "25:00:00", "24:00:00.000001", "12:60:00", "12:00"]),
        (Kind::TimeTz { precision: None }, &["12:00:00", "12:00:00+16:00:01", "12:00:00 00"]),
        (Kind::Timestamp { precision: None }, &["2024-01-01", "2024-01-01T00:00:00", "now"]),
        (Kind::TimestampTz { precision: None }, &["2024-01-01 00:00:00", "2024-01-01 00:00:00Z"]),
        (
            Kind::Uuid,
            &["", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g"],
        ),
        (
            array(Kind::Int4),
            &["", "{", "}", "{1", "{1,}", "{,1}", "{1}}", "[1:1]{1}", "[1:1]", "{1 }x"],
        ),
        (array(Kind::Text), &["{\"a}", "{\"a\"b}", "{a\"b\"}", "{\"a\\\"}", "{a{b}}"]),
    ];
    for (kind, texts) in cases {
        for text in texts {
            let datum = decode_text(&kind, text.as_bytes());
            let result = match &datum {
                Ok(Datum::Array(array)) => array.elements().try_for_each(|e| e.map(|_| ())),
                Ok(_) => Ok(()),
                Err(error) => Err(*error),
            };
            assert!(matches!(result, Err(Error::Malformed { .. })), "{kind:?} {text:?}: {datum:?}");
        }
    }
}

#[test]
fn malformed_binary_is_refused() {
    let array = |kind| Kind::Array(Box::new(kind));
    let words =
        |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    for (kind, bytes) in [
        (Kind::Bool, vec![2]),
        (Kind::Bool, vec![]),
        (Kind::Int4, vec![0; 5]),
        (Kind::Jsonb, vec![]),
        (Kind::Jsonb, b"\x02{}".to_vec()),
        (Kind::Time { precision: None }, (-1_i64).to_be_bytes().to_vec()),
        (Kind::Time { precision: None }, 86_400_000_001_i64.to_be_bytes().to_vec()),
        (Kind::TimeTz { precision: None }, words(&[0, 0, 57_601])),
        (Kind::Interval { precision: None }, vec![0; 15]),
        (Kind::Uuid, vec![0; 17]),
        (Kind::Numeric { declared: None }, vec![0; 7]),
        // A count that does not fit, a group above 9999, an unknown sign.
        (Kind::Numeric { declared: None }, words(&[0x0003_0000, 0, 0])),
        (Kind::Numeric { declared: None }, [&words(&[0x0001_0000, 0]), &[0x27, 0x10][..]].concat()),
        (Kind::Numeric { declared: None }, words(&[0, 0x1000_0000])),
        (array(Kind::Int4), words(&[1, 0, 23, 1])),
        (array(Kind::Int4), words(&[1, 0, 23, u32::MAX, 1])),
        (array(Kind::Int4), words(&[1, 0, 23, 0x7fff_ffff, 1])),
        (array(Kind::Int4), words(&[1, 0, 23, 1, 1, 5, 0])),
        (array(Kind::Int4), words(&[1, 0, 23, 1, 1, 0xffff_fffe])),
        (array(Kind::Int4), words(&[1, 0, 23, 1, 1, 4, 7, 7])),
        (array(Kind::Int4), words(&[1, 2, 23, 0, 1])),
        (array(Kind::Int4), words(&[7, 0, 23])),
        (array(Kind::Int4), words(&[0, 0, 23, 0])),
    ] {
        let datum = decode_binary(&kind, &bytes);
        let result = match &datum {
            Ok(Datum::Array(array)) => array.elements().try_for_each(|e| e.map(|_| ())),
            Ok(_) => Ok(()),
            Err(error) => Err(*error),
        };
        assert!(matches!(result, Err(Error::Malformed { .. })), "{kind:?} {bytes:?}: {datum:?}");
    }
    // A database without an encoding has such text.
    let text = decode_binary(&Kind::Text, &[0xff]);
    assert_eq!(text, Err(Error::NotUtf8 { what: "text" }));
}

#[test]
fn malformed_figures_are_refused() {
    let points = [1.5, 2.0, 3.0, 4.0].map(f64::to_be_bytes).concat();
    let three = &points[..24];
    for (printed, text, binary) in [
        (Printed::Box, "(3,4),(1.5,2)", points.clone()),
        (Printed::Circle, "<(1.5,2),3>", three.to_vec()),
        (Printed::Line, "{1.5,2,3}", three.to_vec()),
        (Printed::Lseg, "[(1.5,2),(3,4)]", points.clone()),
        (Printed::Path, "((1.5,2),(3,4))", [&[1, 0, 0, 0, 2][..], &points].concat()),
        (Printed::Path, "[(1.5,2)]", [&[0, 0, 0, 0, 1][..], &points[..16]].concat()),
        (Printed::Polygon, "((1.5,2),(3,4))", [&[0, 0, 0, 2][..], &points].concat()),
    ] {
        let from_text = |text: &str| Figure::from_text(&printed, text.as_bytes()).is_err();
        assert!(!from_text(text), "{text}");
        assert!((0..text.len()).all(|end| from_text(&text[..end])), "{text}");
        for other in [
            text.to_owned() + ",",
            format!("({text}"),
            text.replace("1.5", "x"),
            text.replace(",", ",,"),
            text.replace("2)", "2),"),
            text.replace("2", "2,5"),
            text.replace("1.5", "\u{ff}"),
        ] {
            assert!(other == text || from_text(&other), "{other}");
        }
        let from_binary = |bytes: &[u8]| Figure::from_binary(&printed, bytes).is_err();
        assert!(!from_binary(&binary), "{text}");
        assert!((0..binary.len()).all(|end| from_binary(&binary[..end])), "{text}");
        assert!(from_binary(&[&*binary, &[0]].concat()), "{text}");
    }
    for count in [0, 0x0fff_ffff_u32, u32::MAX] {
        let bytes = [&count.to_be_bytes()[..], &points].concat();
        assert!(Figure::from_binary(&Printed::Polygon, &bytes).is_err(), "{count}");
    }
    assert!(Figure::from_text(&Printed::Inet, b"(1,2),(3,4)").is_err());
}

#[test]
fn every_form_of_nan_is_one() {
    for bits in [0x7fc0_0000_u32, 0xffc0_0000, 0x7f80_0001] {
        let bytes = bits.to_be_bytes();
        let datum = decode_binary(&Kind::Float4, &bytes);
        assert!(matches!(datum, Ok(Datum::Float4(nan)) if nan.to_bits() == 0x7fc0_0000));
    }
    let datum = decode_text(&Kind::Float8, b"NaN");
    assert!(matches!(datum, Ok(Datum::Float8(nan)) if nan.to_bits() == 0x7ff8_0000_0000_0000));
}

#[test]
fn zones_are_applied() {
    for (text, expect) in [
        ("2000-01-01 00:00:00+00", 0),
        ("2000-01-01 02:00:00+02", 0),
        ("1999-12-31 18:30:00-05:30", 0),
        ("2000-01-01 00:00:00.000001+00:00:01", -999_999),
        ("0001-01-01 00:00:00+00 BC", -63_113_904_000_000_000),
    ] {
        let datum = decode_text(&Kind::TimestampTz { precision: None }, text.as_bytes());
        assert_eq!(datum, Ok(Datum::TimestampTz(expect)), "{text}");
    }
}
