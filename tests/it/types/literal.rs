//! A decoded Avro value as a literal that PostgreSQL reads.

use apache_avro::types::Value as Avro;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::Value as Json;
use walbrook::encode::BinaryMode;
use walbrook::types::civil_from_days;

use super::form::Form;
use super::shown::hex;

/// The literal of a value that is not NULL.
pub(super) fn literal(form: &Form, value: &Avro) -> String {
    match (form, value) {
        (_, Avro::Union(_, value)) => literal(form, value),
        (Form::Array { element, delimiter }, Avro::Array(values)) => {
            array(element, values, delimiter)
        }
        (Form::Bit, Avro::Boolean(bit)) => u8::from(*bit).to_string(),
        (Form::Bits { length }, Avro::Bytes(bytes)) => bits(bytes, *length),
        (Form::BytesText(mode), Avro::String(text)) => bytes_of(*mode, text),
        (Form::Date, value) => date(number(value).try_into().unwrap()).concat(),
        (Form::Decimal { scale }, Avro::Decimal(value)) => {
            decimal(&Vec::<u8>::try_from(value).unwrap(), *scale)
        }
        (Form::Double | Form::Plain, value) => plain(value),
        (Form::Duration, value) => duration(number(value)),
        (Form::Figure, Avro::Record(fields)) => figure(fields),
        (Form::Geometry, Avro::Record(fields)) => geometry(fields),
        (Form::Hstore, value) => hstore(value),
        (Form::Interval, Avro::Record(fields)) => interval(fields),
        (Form::IsoMoment, Avro::String(text)) => iso_moment(text),
        (Form::Multirange(range), Avro::Array(values)) => {
            let ranges: Vec<_> = values.iter().map(|value| literal(range, value)).collect();
            format!("{{{}}}", ranges.join(","))
        }
        (Form::Point, Avro::Record(fields)) => {
            format!("({}, {})", plain(&fields[0].1), plain(&fields[1].1))
        }
        (Form::Range(bound), Avro::Record(fields)) => range(bound, fields),
        (Form::SparseVector { .. }, Avro::Record(fields)) => sparse(fields),
        (Form::Structured, Avro::Record(fields)) => structured(fields),
        (Form::StructuredDuration, Avro::Record(fields)) => structured_duration(fields),
        (Form::Text, value) => text(value).unwrap(),
        (Form::Time(unit), value) => time(unit.micros(number(value))),
        (Form::TimeOfDay, value) => time(number(value)),
        (Form::Timestamp(unit), value) => timestamp(unit.micros(number(value))).concat(),
        (Form::UtcMicros, value) => timestamp(number(value)).join("+00"),
        (Form::VariableScaleDecimal, Avro::Record(fields)) => {
            let [(_, Avro::Int(scale)), (_, Avro::Bytes(bytes))] = &fields[..] else {
                panic!("{fields:?}")
            };
            decimal(bytes, usize::try_from(*scale).unwrap())
        }
        (Form::Vector, Avro::Array(numbers)) => {
            format!("[{}]", numbers.iter().map(plain).collect::<Vec<_>>().join(","))
        }
        (Form::ZonedTime, Avro::String(text)) => text.clone(),
        (form, value) => panic!("no literal for {value:?} of {form:?}"),
    }
}

/// A string, or what is written as one.
pub(super) fn text(value: &Avro) -> Option<String> {
    match value {
        Avro::String(text) => Some(text.clone()),
        Avro::Uuid(uuid) => Some(uuid.to_string()),
        _ => None,
    }
}

fn plain(value: &Avro) -> String {
    match value {
        Avro::Boolean(value) => value.to_string(),
        Avro::Int(value) => value.to_string(),
        Avro::Long(value) => value.to_string(),
        Avro::Float(value) => value.to_string(),
        Avro::Double(value) => value.to_string(),
        Avro::String(text) => text.clone(),
        Avro::Bytes(bytes) => format!("\\x{}", hex(bytes)),
        other => panic!("{other:?}"),
    }
}

/// Any whole number, whatever its logical type.
fn number(value: &Avro) -> i128 {
    match value {
        Avro::Int(value) | Avro::Date(value) | Avro::TimeMillis(value) => (*value).into(),
        Avro::Long(value)
        | Avro::LocalTimestampMicros(value)
        | Avro::TimeMicros(value)
        | Avro::TimestampMicros(value)
        | Avro::TimestampMillis(value) => (*value).into(),
        other => panic!("{other:?}"),
    }
}

fn array(form: &Form, elements: &[Avro], delimiter: &str) -> String {
    let text = |value| element(form, value).unwrap_or_else(|| "NULL".to_owned());
    format!("{{{}}}", elements.iter().map(text).collect::<Vec<_>>().join(delimiter))
}

/// An element of an array or a bound of a range, quoted.
fn element(form: &Form, value: &Avro) -> Option<String> {
    match value {
        Avro::Union(_, value) => element(form, value),
        Avro::Null => None,
        _ => Some(quoted(&literal(form, value))),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn range(bound: &Form, fields: &[(String, Avro)]) -> String {
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, RANGE_FIELDS);
    let is = |at: usize| fields[at].1 == Avro::Boolean(true);
    if is(4) {
        return "empty".to_owned();
    }
    let (open, close) = (if is(2) { '[' } else { '(' }, if is(3) { ']' } else { ')' });
    let [lower, upper] = [0, 1].map(|at| element(bound, &fields[at].1).unwrap_or_default());
    format!("{open}{lower},{upper}{close}")
}

const RANGE_FIELDS: [&str; 5] =
    ["lower", "upper", "is_lower_inclusive", "is_upper_inclusive", "is_empty"];

/// Dimensions, and an array of entries, or one of indices and one of values.
fn sparse(fields: &[(String, Avro)]) -> String {
    let entries: Vec<_> = match fields {
        [_, (_, Avro::Array(entries))] => {
            let entry = |entry: &Avro| match entry {
                Avro::Record(entry) => [0, 1].map(|at| plain(&entry[at].1)).join(":"),
                other => panic!("{other:?}"),
            };
            entries.iter().map(entry).collect()
        }
        [_, (_, Avro::Array(indices)), (_, Avro::Array(values))] => {
            assert_eq!(indices.len(), values.len());
            let both = indices.iter().zip(values);
            both.map(|(index, value)| [plain(index), plain(value)].join(":")).collect()
        }
        _ => panic!("{fields:?}"),
    };
    format!("{{{}}}/{}", entries.join(","), plain(&fields[0].1))
}

/// The SRID before the digits counts, whatever SRID is in these (`Judged::arrives` sees to them).
fn geometry(fields: &[(String, Avro)]) -> String {
    let [(_, Avro::Bytes(bytes)), (_, Avro::Union(_, srid)), ..] = fields else {
        panic!("{fields:?}")
    };
    let srid = match &**srid {
        Avro::Null => 0,
        srid => number(srid),
    };
    format!("SRID={srid};{}", hex(bytes))
}

/// By the names of its fields, or by what its extensions say that it is.
fn figure(fields: &[(String, Avro)]) -> String {
    let (wkb, extensions) = match fields {
        [(center, Avro::Record(point)), (_, radius)] if center == "center" => {
            return format!("<({},{}),{}>", plain(&point[0].1), plain(&point[1].1), plain(radius));
        }
        [(a, _), (_, Avro::Double(_)), _] if a == "a" => {
            return format!("{{{}}}", [0, 1, 2].map(|at| plain(&fields[at].1)).join(","));
        }
        [(_, Avro::Bytes(wkb)), _, (_, Avro::Union(1, extensions))] => (wkb, &**extensions),
        _ => panic!("{fields:?}"),
    };
    let Avro::Map(extensions) = extensions else { panic!("{extensions:?}") };
    let extension = |name| extensions.get(name).map(plain);
    let kind = extension("type").unwrap();
    let (head, ring) = if matches!(&*kind, "box" | "polygon") {
        (&[1, 3, 0, 0, 0, 1, 0, 0, 0][..], true)
    } else {
        (&[1, 2, 0, 0, 0][..], false)
    };
    let (count, numbers) = wkb.strip_prefix(head).unwrap().split_first_chunk().unwrap();
    let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap());
    let point = |bytes: &[u8]| format!("({},{})", number(&bytes[..8]), number(&bytes[8..]));
    let mut points: Vec<_> = numbers.chunks(16).map(point).collect();
    assert_eq!(points.len(), usize::try_from(u32::from_le_bytes(*count)).unwrap());
    if ring && 1 < points.len() {
        assert_eq!(points.first(), points.last(), "a ring is closed");
        points.pop();
    }
    match (&*kind, extension("closed").as_deref()) {
        ("box", None) => [&*points[0], &points[2]].join(","),
        ("lseg", None) | ("path", Some("false")) => format!("[{}]", points.join(",")),
        ("path", Some("true")) | ("polygon", None) => format!("({})", points.join(",")),
        other => panic!("{other:?}"),
    }
}

fn hstore(value: &Avro) -> String {
    let pair = |key: &str, value: Option<&str>| {
        format!("{}=>{}", quoted(key), value.map_or_else(|| "NULL".to_owned(), quoted))
    };
    let pairs: Vec<_> = match value {
        Avro::String(json) => {
            let pairs: serde_json::Map<String, Json> = serde_json::from_str(json).unwrap();
            pairs.iter().map(|(key, value)| pair(key, value.as_str())).collect()
        }
        Avro::Map(pairs) => {
            let value = |value: &Avro| match value {
                Avro::Union(_, value) => text(value),
                other => panic!("{other:?}"),
            };
            pairs.iter().map(|(key, it)| pair(key, value(it).as_deref())).collect()
        }
        other => panic!("{other:?}"),
    };
    pairs.join(", ")
}

fn bytes_of(mode: BinaryMode, text: &str) -> String {
    let bytes = match mode {
        BinaryMode::Base64 => STANDARD.decode(text).unwrap(),
        BinaryMode::Base64UrlSafe => URL_SAFE.decode(text).unwrap(),
        BinaryMode::Bytes => panic!("bytes as text"),
        BinaryMode::Hex => return format!("\\x{text}"),
    };
    format!("\\x{}", hex(&bytes))
}

/// Days since 1970-01-01 as a date and its era.
fn date(days: i64) -> [String; 2] {
    let (year, month, day) = civil_from_days(days);
    era(year, &format!("-{month:02}-{day:02}"))
}

fn era(year: i64, rest: &str) -> [String; 2] {
    let (year, era) = if year < 1 { (1 - year, " BC") } else { (year, "") };
    [format!("{year:04}{rest}"), era.to_owned()]
}

/// And a time, before the era.
fn timestamp(micros: i128) -> [String; 2] {
    let [date, era] = date(i64::try_from(micros.div_euclid(DAY)).unwrap());
    [format!("{date} {}", time(micros.rem_euclid(DAY))), era]
}

fn time(micros: i128) -> String {
    let seconds = micros / 1_000_000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{:06}", micros % 1_000_000)
}

fn duration(micros: i128) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.abs();
    format!("{sign}{} days {sign}{}", micros / DAY, time(micros % DAY))
}

fn interval(fields: &[(String, Avro)]) -> String {
    let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["months", "days", "micros"]);
    let [months, days, micros] = [0, 1, 2].map(|at| number(&fields[at].1));
    let sign = if micros < 0 { '-' } else { '+' };
    format!("{months} months {days} days {sign}{}", time(micros.abs()))
}

/// The parts of a date, a time, or both, as far as there are any.
fn structured(fields: &[(String, Avro)]) -> String {
    match part(fields, "specialValue").map(plain).as_deref() {
        Some("POSITIVE_INFINITY") => return "infinity".to_owned(),
        Some("NEGATIVE_INFINITY") => return "-infinity".to_owned(),
        Some(other) => panic!("{other}"),
        None => {}
    }
    let whole = |name| part(fields, name).map(number);
    let number = |name| whole(name).unwrap();
    let [mut text, mut end] = [String::new(), String::new()];
    if let Some(year) = whole("year") {
        let rest = format!("-{:02}-{:02} ", number("month"), number("day"));
        [text, end] = era(year.try_into().unwrap(), &rest);
    }
    if let Some(hour) = whole("hour") {
        let seconds = (hour * 60 + number("minute")) * 60 + number("second");
        text += &time(seconds * 1_000_000 + micros_of(number("nanos")));
    }
    if let Some(offset) = whole("offsetSeconds") {
        text.push(if offset < 0 { '-' } else { '+' });
        text += &time(offset.abs() * 1_000_000)[..8];
    }
    text + &end
}

fn structured_duration(fields: &[(String, Avro)]) -> String {
    let number = |name| part(fields, name).map(number).unwrap();
    let units = ["years", "months", "days", "hours", "minutes"];
    let micros = number("seconds") * 1_000_000 + micros_of(number("nanos"));
    let units = units.map(|unit| format!("{} {unit} ", number(unit)));
    format!("{}{micros} microseconds", units.concat())
}

/// A field that is there and not null.
fn part<'f>(fields: &'f [(String, Avro)], name: &str) -> Option<&'f Avro> {
    let (_, value) = fields.iter().find(|(other, _)| other == name)?;
    match value {
        Avro::Union(_, value) if **value != Avro::Null => Some(value),
        _ => None,
    }
}

fn micros_of(nanos: i128) -> i128 {
    assert_eq!(nanos % 1000, 0, "PostgreSQL has no nanoseconds");
    nanos / 1000
}

/// ISO 8601 knows a year 0 and signs.
fn iso_moment(text: &str) -> String {
    let digits = text.trim_start_matches(['+', '-']);
    let Some((year, rest)) = digits.split_once('-') else { return text.to_owned() };
    let Ok(year) = year.parse::<i64>() else { return text.to_owned() };
    let year = if text.starts_with('-') { -year } else { year };
    era(year, &format!("-{rest}")).concat()
}

/// The last bit of a bit string is the lowest of the first byte.
fn bits(bytes: &[u8], length: usize) -> String {
    let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
    // A varbit without a length says that it may have very many.
    let length = length.min(bytes.len().max(10) * 8);
    (0..length).rev().map(|at| if bit(at) { '1' } else { '0' }).collect()
}

/// A big-endian two's complement, with a point before the last `scale` digits.
fn decimal(bytes: &[u8], scale: usize) -> String {
    let is_negative = bytes.first().is_some_and(|byte| 0x80 <= *byte);
    let sign = if is_negative { 0xff } else { 0 };
    let mut limbs: Vec<u32> = bytes
        .rchunks(4)
        .map(|chunk| {
            let mut limb = [sign; 4];
            limb[4 - chunk.len()..].copy_from_slice(chunk);
            u32::from_be_bytes(limb) ^ u32::from_be_bytes([sign; 4])
        })
        .collect();
    // Two's complement is one more than the digits turned around.
    let mut digits = Vec::new();
    let mut carry = u64::from(is_negative);
    while limbs.iter().any(|limb| *limb != 0) || carry != 0 || digits.len() <= scale {
        let mut rest = 0;
        for limb in &mut limbs.iter_mut().rev() {
            let left = rest << 32 | u64::from(*limb);
            *limb = u32::try_from(left / 1_000_000_000).unwrap();
            rest = left % 1_000_000_000;
        }
        while limbs.last() == Some(&0) {
            limbs.pop();
        }
        rest += carry;
        carry = rest / 1_000_000_000;
        rest %= 1_000_000_000;
        for _ in 0..9 {
            digits.push(char::from_digit(u32::try_from(rest % 10).unwrap(), 10).unwrap());
            rest /= 10;
        }
    }
    if 0 < scale {
        digits.insert(scale, '.');
    }
    if is_negative {
        digits.push('-');
    }
    digits.into_iter().rev().collect()
}

const DAY: i128 = 86_400_000_000;
