//! Random vectors and shapes by both roads, and what they become.

use proptest::prelude::*;

use super::properties::{array_header, check, sample};
use super::*;
use crate::types::Printed;
use crate::types::print;

/// The text that a server prints for a binary form, which golden values hold to be so.
fn printed(kind: &Kind, binary: &[u8]) -> String {
    let mut text = Vec::new();
    print(kind, binary, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn dense<const N: usize>(elements: &[[u8; N]]) -> Vec<u8> {
    let len = u16::try_from(elements.len()).unwrap();
    [&len.to_be_bytes()[..], &[0, 0], &elements.concat()].concat()
}

fn sparse(dimensions: u32, elements: &[(u32, f32)]) -> Vec<u8> {
    let head = [dimensions, u32::try_from(elements.len()).unwrap(), 0];
    let indices = elements.iter().map(|(index, _)| index.to_be_bytes());
    let values = elements.iter().map(|(_, value)| value.to_be_bytes());
    head.into_iter().map(u32::to_be_bytes).chain(indices).chain(values).flatten().collect()
}

/// Sign, exponent and mantissa by their definition.
fn half_value(half: u16) -> f32 {
    let exponent = i32::from(half >> 10 & 0x1f);
    let mantissa = f32::from(half & 0x3ff) / 1024.0;
    let magnitude = match exponent {
        0 => mantissa * 2_f32.powi(-14),
        _ => (1.0 + mantissa) * 2_f32.powi(exponent - 15),
    };
    if half & 0x8000 == 0 { magnitude } else { -magnitude }
}

/// The doubles in a text.
fn doubles(text: &str, marks: &[char]) -> Vec<f64> {
    let numbers = text.split(|char| marks.contains(&char));
    numbers.filter_map(|number| number.parse().ok()).collect()
}

fn floats() -> impl Strategy<Value = f32> {
    prop_oneof![
        prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL | prop::num::f32::ZERO,
        -1.0_f32..1.0,
        (any::<i16>(), 0..12_i32).prop_map(|(whole, power)| f32::from(whole) / 2_f32.powi(power)),
    ]
}

proptest! {
    #[test]
    fn vectors_agree(elements in prop::collection::vec(floats(), 1..40)) {
        let binary = dense(&elements.iter().map(|value| value.to_be_bytes()).collect::<Vec<_>>());
        let text = printed(&Kind::Vector, &binary);
        let doubles = doubles(&text, &['[', ',', ']']);
        prop_assert_eq!(doubles.len(), elements.len());
        for (double, single) in doubles.iter().zip(&elements) {
            // To a float it is what it was.
            let text = format!("{double:e}");
            prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), single.to_bits());
        }
        let value = Value::Array(doubles.into_iter().map(Value::Double).collect());
        check(&sample(Kind::Vector, text, binary, value));
    }

    #[test]
    fn halfvecs_agree(halves in prop::collection::vec(any::<u16>(), 1..40)) {
        let finite: Vec<u16> = halves.into_iter().filter(|half| half & 0x7c00 != 0x7c00).collect();
        let binary = dense(&finite.iter().map(|half| half.to_be_bytes()).collect::<Vec<_>>());
        let value = finite.iter().map(|half| Value::Float(half_value(*half)));
        let value = Value::Array(value.collect());
        check(&sample(Kind::Halfvec, printed(&Kind::Halfvec, &binary), binary, value));
    }

    #[test]
    fn sparsevecs_agree(
        elements in prop::collection::btree_map(0..32_766_u32, floats(), 0..20),
        more in 0..2_u32,
    ) {
        let elements: Vec<_> = elements.into_iter().collect();
        let dimensions = elements.last().map_or(0, |(index, _)| *index) + 1 + more;
        let binary = sparse(dimensions, &elements);
        let text = printed(&Kind::Sparsevec, &binary);
        let numbers = doubles(&text, &['{', ':', ',', '}', '/']);
        let entries = elements.iter().zip(numbers.chunks(2)).map(|((index, _), numbers)| {
            let key = i32::try_from(index + 1).unwrap();
            assert!((numbers[0] - f64::from(key)).abs() < 0.5);
            let value = Value::Double(numbers[1]);
            Value::Record(vec![("key".into(), Value::Int(key)), ("value".into(), value)])
        });
        let value = Value::Record(vec![
            ("dimensions".into(), Value::Int(dimensions.try_into().unwrap())),
            ("vector".into(), Value::Array(entries.collect())),
        ]);
        check(&sample(Kind::Sparsevec, text, binary, value));
    }

    #[test]
    fn shapes_agree(
        is_low_first in any::<bool>(),
        shape in 0..18_u32,
        srid in prop::option::of(any::<i32>()),
        rest in prop::collection::vec(any::<u8>(), 0..60),
        is_geography in any::<bool>(),
    ) {
        let flags = if srid.is_some() { 0x2000_0000 } else { 0 };
        let words = [Some((shape | flags).cast_signed()), srid];
        let word = |word: i32| if is_low_first { word.to_le_bytes() } else { word.to_be_bytes() };
        let words = words.into_iter().flatten().flat_map(word);
        let binary: Vec<u8> = [u8::from(is_low_first)].into_iter().chain(words).chain(rest).collect();
        let srid = match srid {
            None => Value::Union(0, Box::new(Value::Null)),
            Some(srid) => Value::Union(1, Box::new(Value::Int(srid))),
        };
        let mut value = vec![("wkb".into(), Value::Bytes(binary.clone())), ("srid".into(), srid)];
        let kind = if is_geography {
            Kind::Geography
        } else {
            value.push(("extensions".into(), Value::Union(0, Box::new(Value::Null))));
            Kind::Geometry
        };
        let text = hex(&binary).to_uppercase();
        prop_assert_eq!(&printed(&kind, &binary), &text);
        check(&sample(kind, text, binary, Value::Record(value)));
    }

    #[test]
    fn arrays_of_vectors_agree(vectors in prop::collection::vec(floats(), 1..10)) {
        let mut binary = array_header(vectors.len());
        for value in &vectors {
            let vector = dense(&[value.to_be_bytes(), value.to_be_bytes()]);
            binary.extend(u32::try_from(vector.len()).unwrap().to_be_bytes());
            binary.extend(vector);
        }
        let kind = Kind::Array(Box::new(Kind::Vector));
        let text = printed(&kind, &binary);
        let numbers = doubles(&text, &['{', '"', '[', ',', ']', '}']);
        let vector = |pair: &[f64]| Value::Array(pair.iter().copied().map(Value::Double).collect());
        let some = |pair| Value::Union(1, Box::new(vector(pair)));
        let value = Value::Array(numbers.chunks(2).map(some).collect());
        check(&sample(kind, text, binary, value));
    }
}

#[test]
fn every_half_is_its_float() {
    let all: Vec<[u8; 2]> = (0..0x7c00).chain(0x8000..0xfc00).map(u16::to_be_bytes).collect();
    for halves in all.chunks(1024) {
        let bytes = encode(&Kind::Halfvec, false, Column::Binary(&dense(halves))).unwrap();
        let Value::Array(elements) = decode(&Kind::Halfvec, false, &bytes) else { panic!() };
        for (half, element) in halves.iter().zip(elements) {
            let Value::Float(single) = element else { panic!() };
            let expect = half_value(u16::from_be_bytes(*half));
            assert_eq!(single.to_bits(), expect.to_bits(), "{half:?}");
        }
    }
}

/// What Debezium 3.6 makes of the text, and its converter of that; of a geometry since 3.7.
#[test]
fn values_are_debeziums_to_the_byte() {
    for (kind, text, expect) in [
        (Kind::Vector, "[0.1,-0.1,1.5]", "069a9999999999b93f9a9999999999b9bf000000000000f83f00"),
        (Kind::Halfvec, "[0.099975586,-0.099975586,1.5]", "0600c0cc3d00c0ccbd0000c03f00"),
        (Kind::Sparsevec, "{1:1.5,3:2}/5", "0a0402000000000000f83f06000000000000004000"),
        (Kind::Sparsevec, "{}/32767", "feff0300"),
        (
            Kind::Geography,
            "0101000020E61000003CDBA337DCC351C06D37C1374D374840",
            "320101000020e61000003cdba337dcc351c06d37c1374d37484002cc43",
        ),
        (
            Kind::Geometry,
            "0101000000000000000000F03F0000000000000040",
            "2a0101000000000000000000f03f00000000000000400000",
        ),
    ] {
        let bytes = encode(&kind, false, Column::Text(text.as_bytes())).unwrap();
        assert_eq!(hex(&bytes), expect, "{kind:?} {text}");
    }
}

/// The same of geometric types, in which `1` stands for a double of one, and so on.
#[test]
fn figures_are_debeziums_to_the_byte() {
    let numbers = [0.0, 1.0, 2.0, 3.0, 4.0].map(|number: f64| hex(&number.to_le_bytes()));
    for (printed, text, expect) in [
        (
            Printed::Box,
            "(3,4),(1,2)",
            "ba01 0103000000 01000000 05000000 3 4 3 2 1 2 1 4 3 4 00 02 02 0874797065 06626f78 00",
        ),
        (Printed::Circle, "<(1,2),3>", "1 2 02 2a 0101000000 1 2 00 3"),
        (Printed::Line, "{1,2,0}", "1 2 0"),
        (
            Printed::Lseg,
            "[(1,2),(3,4)]",
            "52 0102000000 02000000 1 2 3 4 00 02 02 0874797065 086c736567 00",
        ),
        (
            Printed::Path,
            "((1,2),(3,4))",
            "52 0102000000 02000000 1 2 3 4 00 02 04 0874797065 0870617468 0c636c6f736564 0874727565 00",
        ),
        (
            Printed::Path,
            "[(1,2)]",
            "32 0102000000 01000000 1 2 00 02 04 0874797065 0870617468 0c636c6f736564 0a66616c7365 00",
        ),
        (
            Printed::Polygon,
            "((1,2),(3,4))",
            "7a 0103000000 01000000 03000000 1 2 3 4 1 2 00 02 02 0874797065 0e706f6c79676f6e 00",
        ),
        // A ring that is closed already.
        (
            Printed::Polygon,
            "((1,2),(3,4),(1,2))",
            "7a 0103000000 01000000 03000000 1 2 3 4 1 2 00 02 02 0874797065 0e706f6c79676f6e 00",
        ),
        (
            Printed::Polygon,
            "((1,2))",
            "3a 0103000000 01000000 01000000 1 2 00 02 02 0874797065 0e706f6c79676f6e 00",
        ),
    ] {
        let number = |word: &str| match word.parse::<usize>() {
            Ok(number) if word.len() == 1 => numbers[number].clone(),
            _ => word.to_owned(),
        };
        let expect: String = expect.split(' ').map(number).collect();
        let kind = Kind::Printed(printed);
        let bytes = encode(&kind, false, Column::Text(text.as_bytes())).unwrap();
        assert_eq!(hex(&bytes), expect, "{kind:?} {text}");
    }
}

/// No server keeps such an element, but both roads would agree.
#[test]
fn elements_that_are_no_numbers_go_through() {
    let halves = [0x7e00_u16, 0xfe01, 0x7c00, 0xfc00].map(u16::to_be_bytes);
    let singles = [0x7fc0_0000_u32, 0xffc0_0001, 0x7f80_0000, 0xff80_0000].map(u32::to_be_bytes);
    let text = b"[NaN,NaN,Infinity,-Infinity]";
    for (kind, binary) in [(Kind::Halfvec, dense(&halves)), (Kind::Vector, dense(&singles))] {
        let by_text = encode(&kind, false, Column::Text(text)).unwrap();
        assert_eq!(encode(&kind, false, Column::Binary(&binary)), Ok(by_text));
        assert_eq!(printed(&kind, &binary).as_bytes(), text);
    }
}

#[test]
fn a_big_endian_servers_shape_keeps_its_order() {
    // SELECT ST_AsEWKB('SRID=4326;POINT(1 2)', 'XDR')
    let wkb = unhex("0020000001000010e63ff00000000000004000000000000000");
    let bytes = encode(&Kind::Geometry, false, Column::Binary(&wkb)).unwrap();
    let expect = format!("4326 {}", hex(&wkb));
    assert_eq!(render(&Kind::Geometry, &decode(&Kind::Geometry, false, &bytes)), expect);
}

#[test]
fn a_sparsevec_has_no_more_dimensions_than_debeziums() {
    let what = "a sparsevec of more than 32,767 dimensions";
    for dimensions in [32_768, 1_000_000_000] {
        let text = format!("{{1:1}}/{dimensions}");
        let binary = sparse(dimensions, &[(0, 1.0)]);
        for column in [Column::Text(text.as_bytes()), Column::Binary(&binary)] {
            let result = encode(&Kind::Sparsevec, false, column);
            assert_eq!(result, Err(Error::Unrepresentable { what }), "{dimensions}");
        }
    }
}
