//! Random values: both forms give the bytes that apache-avro writes for the same value; random
//! bytes give no panic.

use proptest::prelude::*;

use super::*;
use crate::types::{Printed, print};

/// Both forms of a value, and the Avro value that it must become.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    kind: Kind,
    text: String,
    binary: Vec<u8>,
    value: Value,
}

pub(super) fn sample(
    kind: Kind,
    text: impl Into<String>,
    binary: impl AsRef<[u8]>,
    value: Value,
) -> Sample {
    Sample { kind, text: text.into(), binary: binary.as_ref().to_vec(), value }
}

pub(super) fn check(sample: &Sample) {
    let Sample { kind, text, binary, value } = sample;
    for (optional, value) in
        [(false, value.clone()), (true, Value::Union(1, Box::new(value.clone())))]
    {
        let expect = oracle(kind, optional, value.clone());
        let from_binary = encode(kind, optional, Column::Binary(binary)).unwrap();
        let from_text = encode(kind, optional, Column::Text(text.as_bytes())).unwrap();
        assert_eq!(from_binary, expect, "binary of {sample:?}");
        assert_eq!(from_text, expect, "text of {sample:?}");
        assert_eq!(decode(kind, optional, &expect), value);
    }
}

fn string(text: impl Into<String>) -> Value {
    Value::String(text.into())
}

fn scalars() -> impl Strategy<Value = Sample> {
    prop_oneof![
        any::<bool>().prop_map(|value| {
            sample(Kind::Bool, if value { "t" } else { "f" }, [value.into()], Value::Boolean(value))
        }),
        any::<i16>().prop_map(|value| {
            let expect = Value::Int(value.into());
            sample(Kind::Int2, value.to_string(), value.to_be_bytes(), expect)
        }),
        any::<i32>().prop_map(|value| {
            sample(Kind::Int4, value.to_string(), value.to_be_bytes(), Value::Int(value))
        }),
        any::<i64>().prop_map(|value| {
            sample(Kind::Int8, value.to_string(), value.to_be_bytes(), Value::Long(value))
        }),
        prop::num::f32::ANY.prop_filter("NaN", |value| !value.is_nan()).prop_map(|value| {
            sample(Kind::Float4, value.to_string(), value.to_be_bytes(), Value::Float(value))
        }),
        prop::num::f64::ANY.prop_filter("NaN", |value| !value.is_nan()).prop_map(|value| {
            sample(Kind::Float8, value.to_string(), value.to_be_bytes(), Value::Double(value))
        }),
        ".{0,80}".prop_map(|text| sample(Kind::Text, &text, &text, string(&text))),
        ".{0,80}".prop_map(|text| {
            sample(Kind::Jsonb, &text, [b"\x01", text.as_bytes()].concat(), string(&text))
        }),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| {
            sample(Kind::Bytea, format!("\\x{}", hex(&bytes)), &bytes, Value::Bytes(bytes.clone()))
        }),
        prop::collection::vec(any::<u8>(), 0..100).prop_map(|bytes| {
            sample(Kind::Bytea, escape_format(&bytes), &bytes, Value::Bytes(bytes.clone()))
        }),
        any::<[u8; 16]>().prop_map(|bytes| {
            let digits = hex(&bytes);
            let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| &digits[range]);
            let text = groups.join("-");
            sample(Kind::Uuid, &text, bytes, string(&text))
        }),
    ]
}

fn escape_format(bytes: &[u8]) -> String {
    let escaped = bytes.iter().map(|byte| match byte {
        b'\\' => "\\\\".into(),
        0x20..0x7f => char::from(*byte).to_string(),
        _ => format!("\\{byte:03o}"),
    });
    escaped.collect()
}

/// Year, month, day by counting, so that nothing is shared with what is tested.
fn civil(days_since_1970: i64) -> (i64, i64, i64) {
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let (mut year, mut left) = (1970, days_since_1970);
    let length = |year| if is_leap(year) { 366 } else { 365 };
    while left < 0 {
        year -= 1;
        left += length(year);
    }
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
        if left < length {
            return (year, month, left + 1);
        }
        left -= length;
    }
    unreachable!("a year ends in December");
}

/// As PostgreSQL prints a date, and whether it is followed by ` BC`.
fn date_text(days_since_1970: i64) -> (String, &'static str) {
    let (year, month, day) = civil(days_since_1970);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    (format!("{year:04}-{month:02}-{day:02}"), era)
}

/// As PostgreSQL prints a time: the fraction without trailing zeros.
fn time_text(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match micros % 1_000_000 {
        0 => text,
        fraction => format!("{text}.{fraction:06}").trim_end_matches('0').to_string(),
    }
}

const DAY: i64 = 86_400_000_000;
const EPOCH_DAYS: i64 = 10_957;

fn times() -> impl Strategy<Value = Sample> {
    let days = -2_440_000..3_000_000_i64;
    let instant = (days.clone(), 0..DAY);
    prop_oneof![
        days.prop_map(|days| {
            let (text, era) = date_text(days);
            let binary = i32::try_from(days - EPOCH_DAYS).unwrap().to_be_bytes();
            sample(Kind::Date, text + era, binary, Value::Int(days.try_into().unwrap()))
        }),
        (0..=DAY).prop_map(|micros| {
            let kind = Kind::Time { precision: None };
            sample(kind, time_text(micros), micros.to_be_bytes(), Value::Long(micros))
        }),
        (0..=DAY / 1000).prop_map(|millis| {
            let kind = Kind::Time { precision: Some(3) };
            let micros = millis * 1000;
            let expect = Value::Int(millis.try_into().unwrap());
            sample(kind, time_text(micros), micros.to_be_bytes(), expect)
        }),
        (0..DAY, -57_599..57_600_i32).prop_map(|(micros, west)| time_tz(micros, west)),
        (instant.clone(), 0..=6_u8).prop_map(|((days, micros), precision)| {
            let unit = 10_i64.pow((6 - precision).into());
            let micros = micros / unit * unit;
            let kind = Kind::Timestamp { precision: Some(precision) };
            let (date, era) = date_text(days);
            let text = format!("{date} {}{era}", time_text(micros));
            let binary = ((days - EPOCH_DAYS) * DAY + micros).to_be_bytes();
            let unix = days * DAY + micros;
            let value = if precision <= 3 { unix.div_euclid(1000) } else { unix };
            sample(kind, text, binary, Value::Long(value))
        }),
        (instant, prop::option::of(0..=6_u8)).prop_map(|((days, micros), precision)| {
            let digits = precision.unwrap_or(6);
            let unit = 10_i64.pow((6 - digits).into());
            timestamp_tz(days, micros / unit * unit, precision)
        }),
        (any::<i32>(), any::<i32>(), -(1_i64 << 62)..(1_i64 << 62)).prop_filter_map(
            "too long",
            |(months, days, micros)| interval(months / 2000, days / 2000, micros / 2)
        ),
    ]
}

fn time_tz(micros: i64, west: i32) -> Sample {
    let east = west.abs();
    let zone = format!("{:02}:{:02}:{:02}", east / 3600, east / 60 % 60, east % 60);
    let sign = if west > 0 { '-' } else { '+' };
    let utc = (micros + i64::from(west) * 1_000_000).rem_euclid(DAY);
    let binary = [&micros.to_be_bytes()[..], &west.to_be_bytes()].concat();
    let text = format!("{}{sign}{zone}", time_text(micros));
    sample(Kind::TimeTz { precision: None }, text, binary, string(time_text(utc) + "Z"))
}

fn timestamp_tz(days: i64, micros: i64, precision: Option<u8>) -> Sample {
    let (date, era) = date_text(days);
    let text = format!("{date} {}+00{era}", time_text(micros));
    let binary = ((days - EPOCH_DAYS) * DAY + micros).to_be_bytes();
    let (year, month, day) = civil(days);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        10_000.. => format!("+{year}"),
        _ => format!("-{:04}", -year),
    };
    let fraction = match precision.unwrap_or(6) {
        0 => String::new(),
        digits => format!(".{:06}", micros % 1_000_000)[..=usize::from(digits)].to_string(),
    };
    let whole = time_text(micros / 1_000_000 * 1_000_000);
    let expect = format!("{year}-{month:02}-{day:02}T{whole}{fraction}Z");
    sample(Kind::TimestampTz { precision }, text, binary, string(expect))
}

fn interval(months: i32, days: i32, micros: i64) -> Option<Sample> {
    let total = i128::from(months) * 2_629_800_000_000
        + i128::from(days) * i128::from(DAY)
        + i128::from(micros);
    let total = i64::try_from(total).ok()?;
    let sign = if micros < 0 { "-" } else { "" };
    let (seconds, fraction) = (micros.abs() / 1_000_000, micros.abs() % 1_000_000);
    let text = format!(
        "P{}Y{}M{days}DT{sign}{}H{sign}{}M{sign}{}.{fraction:06}S",
        months / 12,
        months % 12,
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
    let binary = [&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat();
    Some(sample(Kind::Interval { precision: None }, text, binary, Value::Long(total)))
}

/// Sign, digits before and after the point.
fn digits() -> impl Strategy<Value = (bool, String, String)> {
    (any::<bool>(), "0|[1-9][0-9]{0,60}", "[0-9]{0,30}")
}

/// The binary form of a number, as PostgreSQL normalises it: no groups of zeros at either end.
fn numeric_binary(is_negative: bool, integer: &str, fraction: &str) -> Vec<u8> {
    let integer = "0".repeat((4 - integer.len() % 4) % 4) + integer;
    let padded = fraction.to_string() + &"0".repeat((4 - fraction.len() % 4) % 4);
    let digits = integer.clone() + &padded;
    let mut groups: Vec<u16> = digits
        .as_bytes()
        .chunks(4)
        .map(|chunk| std::str::from_utf8(chunk).unwrap().parse().unwrap())
        .collect();
    let mut weight = i16::try_from(integer.len() / 4).unwrap() - 1;
    while groups.first() == Some(&0) {
        groups.remove(0);
        weight -= 1;
    }
    while groups.last() == Some(&0) {
        groups.pop();
    }
    if groups.is_empty() {
        weight = 0;
    }
    let sign: u16 = if is_negative { 0x4000 } else { 0 };
    let header = [
        u16::try_from(groups.len()).unwrap().to_be_bytes(),
        weight.to_be_bytes(),
        sign.to_be_bytes(),
        u16::try_from(fraction.len()).unwrap().to_be_bytes(),
    ];
    header.into_iter().chain(groups.iter().map(|group| group.to_be_bytes())).flatten().collect()
}

fn numeric_text(is_negative: bool, integer: &str, fraction: &str) -> String {
    let sign = if is_negative { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{integer}{point}{fraction}")
}

fn is_zero(integer: &str, fraction: &str) -> bool {
    integer.chars().chain(fraction.chars()).all(|digit| digit == '0')
}

proptest! {
    #[test]
    fn scalars_agree(sample in scalars()) {
        check(&sample);
    }

    #[test]
    fn dates_and_times_agree(sample in times()) {
        check(&sample);
    }

    #[test]
    fn numerics_agree((is_negative, integer, fraction) in digits(), more in 0..8_u8) {
        let is_negative = is_negative && !is_zero(&integer, &fraction);
        let text = numeric_text(is_negative, &integer, &fraction);
        let binary = numeric_binary(is_negative, &integer, &fraction);
        let scale = u16::try_from(fraction.len()).unwrap() + u16::from(more);
        let fixed = Kind::Numeric { declared: Some((1000, scale.try_into().unwrap())) };
        for kind in [Kind::Numeric { declared: None }, fixed] {
            let from_binary = encode(&kind, false, Column::Binary(&binary)).unwrap();
            let from_text = encode(&kind, false, Column::Text(text.as_bytes())).unwrap();
            prop_assert_eq!(&from_binary, &from_text);
            let value = decode(&kind, false, &from_binary);
            prop_assert_eq!(oracle(&kind, false, value.clone()), from_binary);
            let is_fixed = kind != Kind::Numeric { declared: None };
            let kept = if is_fixed { fraction.as_str() } else { fraction.trim_end_matches('0') };
            let zeros = "0".repeat(if is_fixed { more.into() } else { 0 });
            let expect = numeric_text(is_negative, &integer, &format!("{kept}{zeros}"));
            prop_assert_eq!(render(&kind, &value), expect);
            if let Value::Record(fields) = &value {
                let Value::Bytes(bytes) = &fields[1].1 else { panic!("no bytes") };
                check_minimal(bytes);
            }
        }
    }

    #[test]
    fn arrays_agree(samples in prop::collection::vec(prop::option::of(any::<i64>()), 0..20)) {
        let text: Vec<String> =
            samples.iter().map(|s| s.map_or("NULL".into(), |s| s.to_string())).collect();
        let mut binary = if samples.is_empty() { vec![0; 12] } else { array_header(samples.len()) };
        for sample in &samples {
            match sample {
                None => binary.extend((-1_i32).to_be_bytes()),
                Some(value) => {
                    binary.extend(8_i32.to_be_bytes());
                    binary.extend(value.to_be_bytes());
                }
            }
        }
        let value = Value::Array(samples.iter().map(|sample| match sample {
            None => Value::Union(0, Box::new(Value::Null)),
            Some(value) => Value::Union(1, Box::new(Value::Long(*value))),
        }).collect());
        let kind = Kind::Array(Box::new(Kind::Int8));
        check(&sample(kind, format!("{{{}}}", text.join(",")), binary, value));
    }

    #[test]
    fn arrays_of_text_agree(samples in prop::collection::vec(".{0,20}", 1..10)) {
        let quoted: Vec<String> = samples
            .iter()
            .map(|s| format!("\"{}\"", s.replace('\\', "\\\\").replace('"', "\\\"")))
            .collect();
        let mut binary = array_header(samples.len());
        for sample in &samples {
            binary.extend(u32::try_from(sample.len()).unwrap().to_be_bytes());
            binary.extend(sample.as_bytes());
        }
        let some = |text: &String| Value::Union(1, Box::new(string(text)));
        let value = Value::Array(samples.iter().map(some).collect());
        let kind = Kind::Array(Box::new(Kind::Text));
        check(&sample(kind, format!("[7:99]={{{}}}", quoted.join(",")), binary, value));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        no_panic(&bytes);
    }

    #[test]
    fn arbitrary_text_never_panics(text in r#"[-+0-9a-fTPYMDHS:. {}\[\]",\\xBCN=infty/]{0,40}"#) {
        no_panic(text.as_bytes());
    }

    #[test]
    fn damaged_values_never_panic(
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let values = golden::values();
        let golden::Golden { kind, text, binary, .. } = index.get(&values);
        for (form, is_text) in [(text, true), (binary, false)] {
            let mut damaged = form.clone();
            if damaged.is_empty() {
                continue;
            }
            let at = at.index(damaged.len());
            damaged[at] = byte;
            let column = if is_text { Column::Text(&damaged) } else { Column::Binary(&damaged) };
            if let Ok(bytes) = encode(kind, true, column) {
                decode(kind, true, &bytes);
            }
        }
    }
}

pub(super) fn array_header(len: usize) -> Vec<u8> {
    let len = u32::try_from(len).unwrap();
    [1, 1, 20, len, 1].into_iter().flat_map(u32::to_be_bytes).collect()
}

/// No first byte that only repeats the sign of the second.
fn check_minimal(bytes: &[u8]) {
    if let [first, second, ..] = bytes {
        assert!(!matches!((first, second), (0x00, 0x00..=0x7f) | (0xff, 0x80..=0xff)));
    }
}

/// Every kind, in both forms; what is accepted must be readable.
fn no_panic(bytes: &[u8]) {
    let mut kinds = vec![
        Kind::Bool,
        Kind::Bytea,
        Kind::Date,
        Kind::Enum { labels: vec![] },
        Kind::Float4,
        Kind::Float8,
        Kind::Int2,
        Kind::Int4,
        Kind::Int8,
        Kind::Interval { precision: None },
        Kind::Json,
        Kind::Jsonb,
        Kind::Numeric { declared: None },
        Kind::Numeric { declared: Some((10, 2)) },
        Kind::Other { name: "aclitem".into() },
        Kind::Text,
        Kind::Time { precision: Some(0) },
        Kind::Time { precision: None },
        Kind::TimeTz { precision: None },
        Kind::Timestamp { precision: Some(3) },
        Kind::Timestamp { precision: None },
        Kind::TimestampTz { precision: Some(3) },
        Kind::TimestampTz { precision: None },
        Kind::Uuid,
        Kind::Bits { length: Some(1) },
        Kind::Bits { length: None },
        Kind::Hstore,
        Kind::Money,
        Kind::Oid,
        Kind::Point,
        Kind::Xml,
        Kind::Geography,
        Kind::Geometry,
        Kind::Halfvec,
        Kind::Sparsevec,
        Kind::Vector,
    ];
    kinds.extend(printed_kinds().map(Kind::Printed));
    kinds.extend(kinds.clone().into_iter().map(|kind| Kind::Array(Box::new(kind))));
    for kind in &kinds {
        for column in [Column::Binary(bytes), Column::Text(bytes)] {
            if let Ok(bytes) = encode(kind, true, column) {
                decode(kind, true, &bytes);
            }
        }
        let _ = print(kind, bytes, &mut Vec::new());
    }
}

fn printed_kinds() -> impl Iterator<Item = Printed> {
    let element = || Box::new(Kind::Array(Box::new(Kind::Numeric { declared: None })));
    [
        Printed::Box,
        Printed::Char,
        Printed::Circle,
        Printed::Composite {
            attributes: vec![(0, Kind::Jsonb), (1, Kind::Interval { precision: None })],
        },
        Printed::Inet,
        Printed::Line,
        Printed::Lseg,
        Printed::Ltree,
        Printed::Macaddr,
        Printed::Multirange(element()),
        Printed::Path,
        Printed::PgLsn,
        Printed::PgSnapshot,
        Printed::Polygon,
        Printed::Range(element()),
        Printed::Tid,
        Printed::Tsquery,
        Printed::Tsvector,
        Printed::Vector(element()),
        Printed::VersionedText,
        Printed::Xid8,
    ]
    .into_iter()
}
