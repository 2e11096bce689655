//! Shows a row: for each field the type that it was decoded to, and its value as a text.

use apache_avro::Decimal;
use apache_avro::types::Value;
use serde_json::{Map, Value as Json, json};

/// The fields of an Avro record.
pub(crate) fn avro(row: &[(String, Value)]) -> Json {
    let cell = |(name, value): &(String, Value)| {
        let value = bare(value);
        let shown = match value {
            Value::Null => json!(["", null]),
            value => json!([kind(value), text(value)]),
        };
        (name.clone(), shown)
    };
    row.iter().map(cell).collect::<Map<_, _>>().into()
}

/// The fields of a JSON object. Bytes are Base64, and decimals bytes.
pub(crate) fn json(row: &Map<String, Json>) -> Json {
    let cell = |(name, value): (&String, &Json)| {
        let (kind, text) = match value {
            Json::Null => return (name.clone(), json!(["", null])),
            Json::Bool(it) => ("Bool", it.to_string()),
            Json::Number(it) => ("Number", it.to_string()),
            Json::String(it) if name == "amount" => ("String", unscaled(2, &base64(it))),
            Json::String(it) if name == "data" => ("String", hex(&base64(it))),
            Json::String(it) => ("String", it.clone()),
            Json::Array(_) => ("Array", value.to_string()),
            Json::Object(it) => ("Object", variable(it)),
        };
        (name.clone(), json!([kind, text]))
    };
    row.iter().map(cell).collect::<Map<_, _>>().into()
}

/// The value without its union.
pub(crate) fn bare(value: &Value) -> &Value {
    match value {
        Value::Union(_, value) => value,
        value => value,
    }
}

/// Times are microseconds, dates are days.
pub(crate) fn text(value: &Value) -> String {
    match bare(value) {
        Value::Boolean(it) => it.to_string(),
        Value::Int(it) | Value::Date(it) => it.to_string(),
        Value::Long(it)
        | Value::TimeMicros(it)
        | Value::TimestampMicros(it)
        | Value::LocalTimestampMicros(it) => it.to_string(),
        Value::Double(it) => it.to_string(),
        Value::String(it) | Value::Enum(_, it) => it.clone(),
        Value::Bytes(it) => hex(it),
        Value::Uuid(it) => it.to_string(),
        Value::Decimal(it) => unscaled(2, &digits(it)),
        Value::Record(fields) => match fields.as_slice() {
            [(_, Value::Int(scale)), (_, Value::Bytes(value))] => unscaled(*scale, value),
            _ => plain(value),
        },
        value => plain(value),
    }
}

fn plain(value: &Value) -> String {
    Json::try_from(value.clone()).map_or_else(|error| error.to_string(), |it| it.to_string())
}

/// The variant of apache-avro's value.
fn kind(value: &Value) -> String {
    let shown = format!("{value:?}");
    shown.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

fn digits(decimal: &Decimal) -> Vec<u8> {
    Vec::try_from(decimal).unwrap_or_default()
}

/// Debezium's number of a column that declares no scale.
fn variable(number: &Map<String, Json>) -> String {
    let scale = number["scale"].as_i64().and_then(|it| i32::try_from(it).ok()).unwrap_or_default();
    unscaled(scale, &base64(number["value"].as_str().unwrap_or_default()))
}

/// A number of so many digits behind the point from its two's complement; one of these has up to 128 bits.
fn unscaled(scale: i32, bytes: &[u8]) -> String {
    let is_negative = bytes.first().is_some_and(|byte| 0x80 <= *byte);
    let start = if is_negative { -1 } else { 0 };
    let number = bytes.iter().fold(start, |number: i128, byte| number << 8 | i128::from(*byte));
    let scale = usize::try_from(scale).unwrap_or_default();
    let digits = format!("{:0width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if number < 0 { "-" } else { "" };
    let point = if scale == 0 { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for value in text.chars().filter_map(|it| ALPHABET.find(it)) {
        bits = (bits << 6 | u32::try_from(value).unwrap_or_default()) & 0xffff;
        count += 6;
        if 8 <= count {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap_or_default());
        }
    }
    bytes
}
