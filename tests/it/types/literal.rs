//! A decoded Avro value as a literal that PostgreSQL reads, and what the server's own value is to be
//! compared as, where the representation keeps less than the type.

use apache_avro::types::Value as Avro;
use serde_json::Value as Json;
use walbrook::types::{Kind, civil_from_days};

/// The name of what a schema means.
pub(super) fn meaning(schema: &Json) -> &str {
    schema["connect.name"].as_str().unwrap_or_default()
}

/// Whether values are PostgreSQL's own text.
pub(super) fn is_text(schema: &Json) -> bool {
    let is_string = schema == "string" || schema["type"] == "string";
    is_string && !matches!(meaning(schema), ZONED_TIME | ZONED_TIMESTAMP)
}

/// Whether the schema keeps less of a value than its type, at any depth.
fn is_lossy(schema: &Json) -> bool {
    let is_leaf =
        matches!(meaning(schema), BITS | MICRO_DURATION | VARIABLE_SCALE_DECIMAL | ZONED_TIME);
    let items = schema["items"].as_array().and_then(|union| union.get(1));
    let fields = schema["fields"].as_array().into_iter().flatten();
    let fields = fields.filter_map(|field| field["type"].as_array()?.get(1));
    is_leaf || items.into_iter().chain(fields).any(is_lossy)
}

/// An expression of what the schema keeps of `value`: the same for what was sent and what came.
pub(super) fn kept(schema: &Json, value: &str) -> String {
    if !is_lossy(schema) {
        // Arrays go without their lower bounds.
        let bounds = if schema["type"] == "array" { r"^(\[[-0-9:]+\])+=" } else { "^(?!)" };
        return format!("regexp_replace(format('%s', {value}), '{bounds}', '')");
    }
    match meaning(schema) {
        // The zeros on the left of a varbit are not kept.
        BITS => format!("ltrim({value}::text, '0')"),
        // A month counts 30.4375 days.
        MICRO_DURATION => {
            let part = |(name, micros): &(&str, &str)| {
                format!("extract({name} FROM {value})::numeric * {micros}")
            };
            let parts: Vec<_> = MICROS.iter().map(part).collect();
            format!("trunc({})::text", parts.join(" + "))
        }
        // The zeros at the end are not kept.
        VARIABLE_SCALE_DECIMAL => format!("trim_scale({value})::text"),
        // The zone is not kept.
        ZONED_TIME => format!(
            "CASE WHEN {value} = '24:00+00' THEN {value} ELSE {value} AT TIME ZONE 'UTC' END::text"
        ),
        _ if schema["type"] == "array" => {
            let element = kept(&schema["items"][1], "u");
            format!("ARRAY(SELECT {element} FROM unnest({value}) AS u)::text")
        }
        _ => {
            let field = |field: &Json| {
                let value = format!("({value}).{}", field["name"].as_str().unwrap());
                format!("quote_nullable({})", kept(&field["type"][1], &value))
            };
            let fields: Vec<_> = schema["fields"].as_array().unwrap().iter().map(field).collect();
            fields.join(" || ")
        }
    }
}

/// The literal of a value that is not NULL.
pub(super) fn literal(schema: &Json, value: &Avro) -> String {
    match (meaning(schema), value) {
        (_, Avro::Union(_, value)) => literal(schema, value),
        (DATE, Avro::Int(days)) => date(i64::from(*days)).concat(),
        (TIMESTAMP, Avro::Long(millis)) => timestamp(i128::from(*millis) * 1000),
        (MICRO_TIMESTAMP, Avro::Long(micros)) => timestamp(i128::from(*micros)),
        (MICRO_DURATION, Avro::Long(micros)) => interval(i128::from(*micros)),
        (TIME, Avro::Int(millis)) => time(i128::from(*millis) * 1000),
        (MICRO_TIME, Avro::Long(micros)) => time(i128::from(*micros)),
        (ZONED_TIMESTAMP, Avro::String(text)) => zoned_timestamp(text),
        (POINT, Avro::Record(fields)) => {
            format!(
                "({}, {})",
                literal(&Json::Null, &fields[0].1),
                literal(&Json::Null, &fields[1].1)
            )
        }
        (DOUBLE_VECTOR | FLOAT_VECTOR, Avro::Array(elements)) => {
            let text = |element| literal(&Json::Null, element);
            format!("[{}]", elements.iter().map(text).collect::<Vec<_>>().join(","))
        }
        (SPARSE_VECTOR, Avro::Record(fields)) => sparse(fields),
        (BITS, Avro::Bytes(bytes)) => {
            let length: usize =
                schema["connect.parameters"]["length"].as_str().unwrap().parse().unwrap();
            bits(bytes, length)
        }
        (_, Avro::Decimal(value)) => {
            let bytes = Vec::<u8>::try_from(value).unwrap();
            decimal(&bytes, usize::try_from(schema["scale"].as_u64().unwrap()).unwrap())
        }
        (_, Avro::Record(fields)) => match &fields[..] {
            [(scale, Avro::Int(digits)), (_, Avro::Bytes(bytes))] if scale == "scale" => {
                decimal(bytes, usize::try_from(*digits).unwrap())
            }
            _ => {
                let text = |(at, (_, value)): (usize, &(String, Avro))| {
                    element(&schema["fields"][at]["type"], value).unwrap_or_default()
                };
                format!("({})", fields.iter().enumerate().map(text).collect::<Vec<_>>().join(","))
            }
        },
        (_, Avro::Array(elements)) => array(schema, elements, ","),
        (_, Avro::Boolean(value)) => value.to_string(),
        (_, Avro::Int(value)) => value.to_string(),
        (_, Avro::Long(value)) => value.to_string(),
        (_, Avro::Float(value)) => value.to_string(),
        (_, Avro::Double(value)) => value.to_string(),
        (_, Avro::String(text)) => text.clone(),
        (_, Avro::Bytes(bytes)) => format!("\\x{}", super::verdict::hex(bytes)),
        (meaning, value) => panic!("no literal for {value:?} of {meaning:?}: {schema}"),
    }
}

/// The literal of an array.
pub(super) fn array(schema: &Json, elements: &[Avro], delimiter: &str) -> String {
    let text = |value| element(&schema["items"], value).unwrap_or_else(|| "NULL".to_owned());
    format!("{{{}}}", elements.iter().map(text).collect::<Vec<_>>().join(delimiter))
}

/// A part of an array or composite, quoted; an array in an array is a dimension.
fn element(schema: &Json, value: &Avro) -> Option<String> {
    let schema = schema.as_array().map_or(schema, |union| &union[1]);
    match value {
        Avro::Union(_, value) => element(schema, value),
        Avro::Null => None,
        Avro::Array(_) if meaning(schema).is_empty() => Some(literal(schema, value)),
        _ => {
            let text = literal(schema, value).replace('\\', "\\\\").replace('"', "\\\"");
            Some(format!("\"{text}\""))
        }
    }
}

/// Dimensions, and an array of entries.
fn sparse(fields: &[(String, Avro)]) -> String {
    let [(_, dimensions), (_, Avro::Array(entries))] = fields else { panic!("{fields:?}") };
    let entry = |entry: &Avro| {
        let Avro::Record(entry) = entry else { panic!("{entry:?}") };
        let [key, value] = [0, 1].map(|at| literal(&Json::Null, &entry[at].1));
        format!("{key}:{value}")
    };
    let entries: Vec<_> = entries.iter().map(entry).collect();
    format!("{{{}}}/{}", entries.join(","), literal(&Json::Null, dimensions))
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

fn timestamp(micros: i128) -> String {
    let [date, era] = date(i64::try_from(micros.div_euclid(DAY)).unwrap());
    format!("{date} {}{era}", time(micros.rem_euclid(DAY)))
}

fn time(micros: i128) -> String {
    let seconds = micros / 1_000_000;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hour:02}:{minute:02}:{second:02}.{:06}", micros % 1_000_000)
}

fn interval(micros: i128) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.abs();
    format!("{sign}{} days {sign}{}", micros / DAY, time(micros % DAY))
}

/// ISO 8601 knows a year 0 and signs.
fn zoned_timestamp(text: &str) -> String {
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

/// What stands for another type than its schema says, as that type's text: a bit, an hstore's JSON.
pub(super) fn told_as(kind: &Kind, value: Avro) -> Avro {
    match (kind, value) {
        (_, Avro::Array(elements)) => {
            Avro::Array(elements.into_iter().map(|element| told_as(kind, element)).collect())
        }
        (_, Avro::Union(branch, value)) => Avro::Union(branch, Box::new(told_as(kind, *value))),
        (Kind::Bits { .. }, Avro::Boolean(bit)) => Avro::Int(bit.into()),
        (Kind::Hstore, Avro::String(json)) => {
            let pairs: serde_json::Map<String, Json> = serde_json::from_str(&json).unwrap();
            let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let pair = |(key, value): (&String, &Json)| match value.as_str() {
                None => format!("\"{}\"=>NULL", quoted(key)),
                Some(value) => format!("\"{}\"=>\"{}\"", quoted(key), quoted(value)),
            };
            Avro::String(pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        (_, other) => other,
    }
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

const MICROS: &[(&str, &str)] = &[
    ("year", "31557600000000"),
    ("month", "2629800000000"),
    ("day", "86400000000"),
    ("hour", "3600000000"),
    ("minute", "60000000"),
    ("microseconds", "1"),
];

const BITS: &str = "io.debezium.data.Bits";
const DOUBLE_VECTOR: &str = "io.debezium.data.DoubleVector";
const FLOAT_VECTOR: &str = "io.debezium.data.FloatVector";
const SPARSE_VECTOR: &str = "io.debezium.data.SparseDoubleVector";
const DATE: &str = "io.debezium.time.Date";
const MICRO_DURATION: &str = "io.debezium.time.MicroDuration";
const MICRO_TIME: &str = "io.debezium.time.MicroTime";
const MICRO_TIMESTAMP: &str = "io.debezium.time.MicroTimestamp";
const POINT: &str = "io.debezium.data.geometry.Point";
const TIME: &str = "io.debezium.time.Time";
const TIMESTAMP: &str = "io.debezium.time.Timestamp";
const VARIABLE_SCALE_DECIMAL: &str = "io.debezium.data.VariableScaleDecimal";
const ZONED_TIME: &str = "io.debezium.time.ZonedTime";
const ZONED_TIMESTAMP: &str = "io.debezium.time.ZonedTimestamp";
