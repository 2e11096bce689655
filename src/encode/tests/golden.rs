//! Values that a PostgreSQL server made, in both forms, with its own idea of what they are:
//! tests/golden/types.sql says how, and the files beside it.

use super::*;
use crate::types::{Printed, TypeCatalog, TypeFacts, TypeShape, print};

/// Each is of one server, which has OIDs of its own.
const GOLDEN: [&str; 3] = [
    include_str!("../../../tests/golden/types.tsv"),
    include_str!("../../../tests/golden/pgvector.tsv"),
    include_str!("../../../tests/golden/postgis.tsv"),
];

/// Undoes COPY's escapes.
fn unescape(field: &str) -> String {
    let mut text = String::new();
    let mut chars = field.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => match chars.next().unwrap() {
                'n' => '\n',
                't' => '\t',
                other => other,
            },
            other => other,
        });
    }
    text
}

fn shape(declared: &str, name: &str, detail: &str) -> TypeShape {
    match name {
        "array" => TypeShape::Array { element: detail.parse().unwrap() },
        "base" => TypeShape::Base { extension: extension_of(declared).to_owned() },
        "composite" => TypeShape::Composite { attributes: numbers(detail) },
        "domain" => {
            let (base, modifier) = detail.split_once(' ').unwrap();
            TypeShape::Domain { base: base.parse().unwrap(), modifier: modifier.parse().unwrap() }
        }
        "enum" => TypeShape::Enum { labels: detail.split('|').map(String::from).collect() },
        "multirange" => TypeShape::Multirange { subtype: detail.parse().unwrap() },
        "range" => TypeShape::Range { subtype: detail.parse().unwrap() },
        other => panic!("unexpected {other}"),
    }
}

/// Whose types these are.
fn extension_of(declared: &str) -> &str {
    match declared {
        "geography" | "geometry" => "postgis",
        "halfvec" | "sparsevec" | "vector" => "vector",
        "lquery" | "ltree" | "ltxtquery" => "ltree",
        "citext" | "hstore" => declared,
        _ => "",
    }
}

fn numbers(text: &str) -> Vec<u32> {
    text.split(' ').map(|number| number.parse().unwrap()).collect()
}

fn lines(golden: &str, tag: &str) -> impl Iterator<Item = Vec<String>> {
    golden
        .lines()
        .map(|line| line.split('\t').map(unescape).collect::<Vec<_>>())
        .filter(move |fields| fields[0] == tag)
}

fn catalog(golden: &str) -> TypeCatalog {
    let mut catalog = TypeCatalog::default();
    for fields in lines(golden, "type") {
        catalog.insert(TypeFacts {
            oid: fields[1].parse().unwrap(),
            name: fields[2].clone(),
            namespace: fields[3].clone(),
            shape: shape(&fields[2], &fields[4], &fields[5]),
        });
    }
    catalog
}

pub(super) struct Golden {
    pub(super) kind: Kind,
    pub(super) declared: String,
    pub(super) text: Vec<u8>,
    pub(super) binary: Vec<u8>,
    pub(super) expect: String,
}

pub(super) fn values() -> Vec<Golden> {
    let of_server = |golden| {
        let catalog = catalog(golden);
        lines(golden, "value").map(move |fields| {
            let kind = catalog.resolve(fields[2].parse().unwrap(), fields[3].parse().unwrap());
            let [_, declared, _, _, text, binary, expect] =
                <[String; 7]>::try_from(fields).unwrap();
            Golden { kind, declared, text: text.into_bytes(), binary: unhex(&binary), expect }
        })
    };
    GOLDEN.into_iter().flat_map(of_server).collect()
}

#[test]
fn both_forms_give_the_servers_value() {
    let values = values();
    assert!(values.len() > 650, "the golden file has {} values", values.len());
    for Golden { kind, declared, text, binary, expect } in values {
        let what = format!("{declared} {:?}", String::from_utf8_lossy(&text));
        assert!(kind.is_known(), "{what}: {kind:?}");
        let from_text = encode(&kind, false, Column::Text(&text));
        let from_binary = encode(&kind, false, Column::Binary(&binary));
        assert_eq!(from_text, from_binary, "{what}");
        let Ok(bytes) = from_binary else {
            assert_eq!(expect, "!", "{what}");
            continue;
        };
        let decoded = decode(&kind, false, &bytes);
        match expect.as_str() {
            "!" => panic!("{what} was encoded"),
            "-" => {}
            expect => {
                let rendered = render(&kind, &decoded);
                let is_float = matches!(kind, Kind::Float4 | Kind::Float8);
                if is_float {
                    let value = |text: &str| text.parse::<f64>().unwrap().to_string();
                    assert_eq!(value(&rendered), value(&float_text(&kind, expect)), "{what}");
                } else {
                    assert_eq!(rendered, expect, "{what}");
                }
            }
        }
        let optional = encode(&kind, true, Column::Binary(&binary)).unwrap();
        assert_eq!(optional[0], 2, "{what}");
        assert_eq!(optional[1..], bytes, "{what}");
        let (again, expect) = (decode(&kind, true, &optional), Value::Union(1, Box::new(decoded)));
        // NaN is not equal to itself; its print is.
        assert!(again == expect || format!("{again:?}") == format!("{expect:?}"), "{what}");
        check_truncated(&kind, &binary, &text);
    }
}

#[test]
fn the_binary_form_is_printed_as_the_server_prints_it() {
    let mut wrong = Vec::new();
    for Golden { kind, declared, text, binary, .. } in values() {
        // One of bytea's two text forms is not that of our sessions.
        if kind == Kind::Bytea && !text.starts_with(b"\\x") {
            continue;
        }
        let mut printed = Vec::new();
        print(&kind, &binary, &mut printed).unwrap();
        if printed != text {
            let (printed, text) =
                (String::from_utf8_lossy(&printed), String::from_utf8_lossy(&text));
            wrong.push(format!("{declared}: {printed} instead of {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Rust prints a real's shortest digits, which need not be PostgreSQL's.
fn float_text(kind: &Kind, text: &str) -> String {
    match kind {
        Kind::Float4 => text.parse::<f32>().unwrap().to_string(),
        _ => text.to_string(),
    }
}

/// A value cut short is an error or another value, and never a panic.
fn check_truncated(kind: &Kind, binary: &[u8], text: &[u8]) {
    for len in 0..binary.len().min(100) {
        let _ = encode(kind, false, Column::Binary(&binary[..len]));
    }
    for len in 0..text.len().min(100) {
        let _ = encode(kind, false, Column::Text(&text[..len]));
    }
}

#[test]
fn arrays_hold_their_elements() {
    let null = || Value::Union(0, Box::new(Value::Null));
    let some = |value| Value::Union(1, Box::new(value));
    let text = |text: &str| some(Value::String(text.into()));
    for (declared, form, expect) in [
        ("boolean[]", "{}", vec![]),
        (
            "boolean[]",
            "{t,f,NULL}",
            vec![some(Value::Boolean(true)), some(Value::Boolean(false)), null()],
        ),
        (
            "boolean[]",
            "[-5:-4]={t,f}",
            vec![some(Value::Boolean(true)), some(Value::Boolean(false))],
        ),
        (
            "text[]",
            r#"{"",NULL,"NULL",NULL,"null"}"#,
            vec![text(""), null(), text("NULL"), null(), text("null")],
        ),
        (
            "text[]",
            r#"{"a b","c,d","{e}","f\"g","h\\i"," j ","k\\\\"}"#,
            vec![
                text("a b"),
                text("c,d"),
                text("{e}"),
                text("f\"g"),
                text("h\\i"),
                text(" j "),
                text("k\\\\"),
            ],
        ),
        ("text[]", r#"[3:4]={a,=}"#, vec![text("a"), text("=")]),
        (
            "mood[]",
            r#"{sad,"o,k",NULL,"it's \"fine\"",Ümläut}"#,
            vec![text("sad"), text("o,k"), null(), text("it's \"fine\""), text("Ümläut")],
        ),
        ("moods", "{sad,NULL}", vec![text("sad"), null()]),
        (
            "timestamptz[]",
            r#"{"2024-02-29 10:34:56.789+00",NULL,infinity}"#,
            vec![text("2024-02-29T10:34:56.789000Z"), null(), text("infinity")],
        ),
        (
            "bytea[]",
            r#"{"\\x00ff","\\x",NULL}"#,
            vec![some(Value::Bytes(vec![0, 255])), some(Value::Bytes(vec![])), null()],
        ),
        (
            "date[]",
            r#"{2024-02-29,NULL,"0044-03-15 BC"}"#,
            vec![some(Value::Int(19782)), null(), some(Value::Int(-735_160))],
        ),
    ] {
        let mut values = values().into_iter();
        let found = values.find(|v| v.declared == declared && v.text == form.as_bytes());
        let Golden { kind, text, .. } = found.expect(form);
        let bytes = encode(&kind, false, Column::Text(&text)).unwrap();
        assert_eq!(decode(&kind, false, &bytes), Value::Array(expect), "{declared} {form}");
    }
}

#[test]
fn points_hold_their_coordinates_twice() {
    let point = values().into_iter().find(|value| value.text == b"(1.5,-2.25)").unwrap();
    let bytes = encode(&point.kind, false, Column::Binary(&point.binary)).unwrap();
    let wkb = unhex("0101000000000000000000f83f00000000000002c0");
    let expect = [
        ("x", Value::Double(1.5)),
        ("y", Value::Double(-2.25)),
        ("wkb", Value::Union(1, Box::new(Value::Bytes(wkb)))),
        ("srid", Value::Union(0, Box::new(Value::Null))),
    ];
    let expect = expect.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(decode(&point.kind, false, &bytes), Value::Record(expect.into()));
}

#[test]
fn the_catalog_resolves_what_the_server_has() {
    let kind_of = |name: &str, modifier| {
        let named = |golden: &&str| lines(golden, "type").find(|fields| fields[2] == name);
        let (golden, line) = GOLDEN.iter().find_map(|it| Some((it, named(it)?))).unwrap();
        catalog(golden).resolve(line[1].parse().unwrap(), modifier)
    };
    // Another extension's type of that name has another binary form.
    let shape = TypeShape::Base { extension: "vectors".into() };
    let (name, namespace) = ("vector".into(), "vectors".into());
    let mut foreign = TypeCatalog::default();
    foreign.insert(TypeFacts { oid: 1, name, namespace, shape });
    assert_eq!(foreign.resolve(1, -1), Kind::Other { name: "vectors.vector".into() });
    let price = Kind::Numeric { declared: Some((10, 2)) };
    let attributes = vec![(23, Kind::Int4), (25, Kind::Text)];
    let pair = Kind::Printed(Printed::Composite { attributes });
    let other = |name: &str| Kind::Other { name: name.into() };
    for (name, expect) in [
        ("price", price.clone()),
        ("net_price", price.clone()),
        ("_price", Kind::Array(Box::new(price))),
        ("prices", Kind::Array(Box::new(Kind::Numeric { declared: Some((8, 3)) }))),
        ("short_time", Kind::Time { precision: Some(2) }),
        ("slug", Kind::Text),
        ("citext", Kind::Text),
        ("_citext", Kind::Array(Box::new(Kind::Text))),
        ("words", Kind::Printed(Printed::Range(Box::new(Kind::Text)))),
        ("spans", Kind::Printed(Printed::Range(Box::new(Kind::Int4)))),
        ("pair", pair.clone()),
        ("_pair", Kind::Array(Box::new(pair))),
        ("_moods", other("golden._moods")),
        ("seen", other("golden.seen")),
        ("regclass", other("regclass")),
        ("embedding", Kind::Vector),
        ("_halfvec", Kind::Array(Box::new(Kind::Halfvec))),
        ("sparsevec", Kind::Sparsevec),
        ("place", Kind::Geometry),
        ("_geography", Kind::Array(Box::new(Kind::Geography))),
    ] {
        assert_eq!(kind_of(name, -1), expect, "{name}");
    }
}

#[test]
fn longs_of_every_length_are_as_apache_avro_writes_them() {
    for bit in 0..u64::BITS {
        let power = (1_u64 << bit).cast_signed();
        for value in [power.wrapping_sub(1), power, power.wrapping_neg(), !power] {
            let binary = value.to_be_bytes();
            let ours = encode(&Kind::Int8, false, Column::Binary(&binary)).unwrap();
            assert_eq!(ours, oracle(&Kind::Int8, false, Value::Long(value)), "{value}");
        }
    }
}
