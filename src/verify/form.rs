//! The plain text of a value, which PostgreSQL writes too: see [`Rule`](super::rule::Rule).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::read::{Error, Value};
use super::{decimal, iso};

/// How a value becomes a plain text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// Bytes as a string of bits, without zeros on the left.
    Bits,
    /// A boolean as a bit.
    Bit,
    /// ISO 8601 text as a number, or an infinity.
    Date,
    /// Bytes as a decimal with so many digits behind the point.
    Decimal(u32),
    /// The JSON text of an object, whose members come in any order.
    Object,
    /// ISO 8601 text of an interval as months, days and microseconds.
    Interval,
    /// An array, each element in a form.
    Items(Box<Self>),
    /// A map of texts, whose entries come in any order.
    Map,
    /// The fields of a record, each in a form.
    Parts(Vec<Self>),
    /// As it is: digits, text, bytes as hexadecimal digits, floats as those of their bits.
    Plain,
    /// ISO 8601 text as microseconds of a day.
    Time,
    /// ISO 8601 text as microseconds since 1970, or an infinity.
    Timestamp,
    /// A record of scale and unscaled number.
    VariableScale,
}

/// What stands before PostgreSQL's text in place of a value.
pub(super) const STAND: &str = "text ";

impl Form {
    /// The text of a value; `None` is NULL.
    pub(super) fn text(&self, value: &Value<'_>) -> Result<Option<String>, Error> {
        let text = match (self, value) {
            (_, Value::Null) => return Ok(None),
            (_, Value::Stand(text)) => format!("{STAND}{text}"),
            (Self::Bit, Value::Boolean(value)) => u8::from(*value).to_string(),
            (Self::Bits, Value::Bytes(bytes)) => bits(bytes),
            (Self::Decimal(scale), Value::Bytes(bytes)) => decimal::text(bytes, digits(*scale)?),
            (Self::Items(form), Value::Array(values)) => {
                joined(values.iter().map(|value| form.text(value)))?
            }
            (Self::Map, Value::Map(entries)) => {
                map(entries.iter().map(entry).collect::<Result<_, _>>()?)
            }
            (Self::Parts(forms), Value::Record(fields)) if forms.len() == fields.len() => {
                joined(forms.iter().zip(fields).map(|(form, field)| form.text(field)))?
            }
            (Self::VariableScale, Value::Record(fields)) => match &fields[..] {
                [Value::Integer(scale), Value::Bytes(bytes)] => {
                    decimal::text(bytes, usize::try_from(*scale).map_err(|_| MISFIT)?)
                }
                _ => return Err(MISFIT),
            },
            (Self::Plain, value) => plain(value)?,
            (form, Value::Text(text)) => form.read(text)?,
            _ => return Err(MISFIT),
        };
        Ok(Some(text))
    }

    /// A text as what it stands for.
    fn read(&self, text: &str) -> Result<String, Error> {
        let number = match self {
            Self::Date | Self::Timestamp | Self::Interval
                if matches!(text, "infinity" | "-infinity") =>
            {
                return Ok(text.to_owned());
            }
            Self::Date => iso::date(text),
            Self::Interval => {
                let (months, days, micros) = iso::interval(text).ok_or(MISFIT)?;
                return Ok(format!("{months} {days} {micros}"));
            }
            Self::Object => return object(text),
            Self::Time => iso::time(text),
            Self::Timestamp => iso::timestamp(text),
            _ => None,
        };
        number.map(|number| number.to_string()).ok_or(MISFIT)
    }
}

/// Texts one behind the other, each with its length in characters before it; `n` is NULL.
pub(super) fn joined(
    texts: impl Iterator<Item = Result<Option<String>, Error>>,
) -> Result<String, Error> {
    let mut out = String::new();
    for text in texts {
        push(&mut out, text?.as_deref());
    }
    Ok(out)
}

fn push(out: &mut String, text: Option<&str>) {
    match text {
        None => out.push('n'),
        // Writing to a String does not fail.
        Some(text) => drop(write!(out, "{}:{text}", text.chars().count())),
    }
}

fn plain(value: &Value<'_>) -> Result<String, Error> {
    Ok(match value {
        Value::Boolean(value) => value.to_string(),
        Value::Bytes(bytes) => hex(bytes),
        Value::Double(value) if value.is_nan() => "NaN".to_owned(),
        Value::Double(value) => hex(&value.to_be_bytes()),
        Value::Float(value) if value.is_nan() => "NaN".to_owned(),
        Value::Float(value) => hex(&value.to_be_bytes()),
        Value::Integer(value) => value.to_string(),
        Value::Text(text) => text.clone().into_owned(),
        _ => return Err(MISFIT),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn entry<'a>((key, value): &'a (Cow<'_, str>, Value<'_>)) -> Result<MapEntry<'a>, Error> {
    match value {
        Value::Text(text) => Ok((key, Some(text))),
        Value::Null => Ok((key, None)),
        _ => Err(MISFIT),
    }
}

type MapEntry<'a> = (&'a str, Option<&'a str>);

/// The lowest bit is the first byte's lowest.
fn bits(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().rev().map(|byte| format!("{byte:08b}")).collect();
    bits.trim_start_matches('0').to_owned()
}

fn object(text: &str) -> Result<String, Error> {
    let members: BTreeMap<String, Option<String>> =
        serde_json::from_str(text).map_err(|_| MISFIT)?;
    Ok(map(members.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect()))
}

fn map(mut entries: Vec<MapEntry<'_>>) -> String {
    entries.sort_unstable();
    let mut out = String::new();
    for (key, value) in entries {
        push(&mut out, Some(key));
        push(&mut out, value);
    }
    out
}

fn digits(scale: u32) -> Result<usize, Error> {
    usize::try_from(scale).map_err(|_| MISFIT)
}

const MISFIT: Error = Error("a value that does not fit its column");
