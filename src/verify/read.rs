//! Values as they are in records: Avro's binary form, or JSON as Kafka Connect's converter writes it,
//! by a schema.
//!
//! ```text
//! Avro:  int, long: zigzag varint | bytes, string: length, bytes | union: index, value
//!        array, map: (count, items)… 0 | record: fields | float, double: little-endian
//! ```
//!
//! Source: <https://avro.apache.org/docs/1.12.0/specification/#binary-encoding>

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::schema::{Node, Shape};

/// Bytes that are no value of the schema.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a value of its schema: {0}")]
pub struct Error(pub(super) &'static str);

/// A value, as its type in the schema has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Array(Vec<Self>),
    Boolean(bool),
    Bytes(Cow<'a, [u8]>),
    Double(f64),
    Float(f32),
    Integer(i64),
    Map(Vec<(Cow<'a, str>, Self)>),
    Null,
    /// The fields in the schema's order.
    Record(Vec<Self>),
    /// PostgreSQL's text in place of a value that its type cannot hold.
    Stand(Cow<'a, str>),
    Text(Cow<'a, str>),
}

/// Reads Avro, and leaves what stands behind it.
pub(super) fn avro<'a>(node: &Node, input: &mut &'a [u8]) -> Result<Value<'a>, Error> {
    Ok(match &node.shape {
        Shape::Array(items) => {
            let mut values = Vec::new();
            blocks(input, |input| {
                values.push(avro(items, input)?);
                Ok(())
            })?;
            Value::Array(values)
        }
        Shape::Boolean => match take(input, 1)? {
            [0] => Value::Boolean(false),
            [1] => Value::Boolean(true),
            _ => return Err(Error("a boolean that is neither 0 nor 1")),
        },
        Shape::Bytes => Value::Bytes(counted(input)?.into()),
        Shape::Double => Value::Double(f64::from_le_bytes(array(input)?)),
        Shape::Float => Value::Float(f32::from_le_bytes(array(input)?)),
        Shape::Integer => Value::Integer(varint(input)?),
        Shape::Map(values) => {
            let mut entries = Vec::new();
            blocks(input, |input| {
                let key = text(input)?;
                entries.push((key.into(), avro(values, input)?));
                Ok(())
            })?;
            Value::Map(entries)
        }
        Shape::Null => Value::Null,
        Shape::Record(record) => {
            let fields = record.fields.iter().map(|(_, field)| avro(field, input));
            Value::Record(fields.collect::<Result<_, _>>()?)
        }
        Shape::Text => Value::Text(text(input)?.into()),
        Shape::Union(branches) => {
            let index = usize::try_from(varint(input)?).ok();
            let branch = index.and_then(|index| branches.get(index));
            let branch = branch.ok_or(Error("a union has fewer types"))?;
            stand(node, branch, avro(branch, input)?)
        }
    })
}

/// Reads JSON; what is not there is null.
pub(super) fn json<'a>(node: &Node, value: &'a serde_json::Value) -> Result<Value<'a>, Error> {
    use serde_json::Value as Json;
    Ok(match (&node.shape, value) {
        (Shape::Union(branches), value) => {
            let is_null = value.is_null();
            let fits = |branch: &&Node| (branch.shape == Shape::Null) == is_null;
            let first = branches.iter().find(fits).ok_or(Error("a union without its type"))?;
            match value {
                Json::String(text) if node.has_text() && !is_value(first, text) => {
                    Value::Stand(text.into())
                }
                value => json(first, value)?,
            }
        }
        (Shape::Array(items), Json::Array(values)) => {
            let values = values.iter().map(|value| json(items, value));
            Value::Array(values.collect::<Result<_, _>>()?)
        }
        (Shape::Boolean, Json::Bool(value)) => Value::Boolean(*value),
        (Shape::Bytes, Json::String(text)) => {
            let bytes = STANDARD.decode(text).map_err(|_| Error("bytes that are no Base64"))?;
            Value::Bytes(bytes.into())
        }
        (Shape::Double, value) => Value::Double(number(value)?),
        (Shape::Float, value) => Value::Float(number(value)?),
        (Shape::Integer, value) => Value::Integer(value.as_i64().ok_or(Error("no integer"))?),
        (Shape::Map(values), Json::Object(entries)) => {
            let entry = |(key, value): (&'a String, _)| Ok((key.into(), json(values, value)?));
            Value::Map(entries.iter().map(entry).collect::<Result<_, _>>()?)
        }
        (Shape::Null, _) => Value::Null,
        (Shape::Record(record), Json::Object(members)) => {
            let field = |(name, field): &(String, Node)| {
                json(field, members.get(name).unwrap_or(&Json::Null))
            };
            Value::Record(record.fields.iter().map(field).collect::<Result<_, _>>()?)
        }
        (Shape::Text, Json::String(text)) => Value::Text(text.into()),
        _ => return Err(Error("another type than its schema has")),
    })
}

/// In JSON only the text itself tells one that stands for a value from one that is Base64.
fn is_value(node: &Node, text: &str) -> bool {
    match node.shape {
        Shape::Text => true,
        Shape::Bytes => !matches!(text, "NaN" | "Infinity" | "-Infinity"),
        _ => false,
    }
}

fn number<T: std::str::FromStr>(value: &serde_json::Value) -> Result<T, Error> {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    text.parse().map_err(|_| Error("no number"))
}

/// A text behind another type of a union stands for a value of that.
fn stand<'a>(union: &Node, branch: &Node, value: Value<'a>) -> Value<'a> {
    match value {
        Value::Text(text) if union.has_text() && branch.shape == Shape::Text => Value::Stand(text),
        value => value,
    }
}

/// Blocks of items: each has a count, and its length too if that is negative.
fn blocks<'a>(
    input: &mut &'a [u8],
    mut item: impl FnMut(&mut &'a [u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        let count = match varint(input)? {
            0 => return Ok(()),
            count if count < 0 => {
                varint(input)?;
                count.unsigned_abs()
            }
            count => count.unsigned_abs(),
        };
        // No item of ours is without bytes.
        if u64::try_from(input.len()).is_ok_and(|left| left < count) {
            return Err(Error("more items than bytes"));
        }
        for _ in 0..count {
            item(input)?;
        }
    }
}

fn varint(input: &mut &[u8]) -> Result<i64, Error> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let [byte] = array(input)?;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(Error("a number of more than 64 bits"))
}

fn text<'a>(input: &mut &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(counted(input)?).map_err(|_| Error("a text that is not UTF-8"))
}

fn counted<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], Error> {
    let count = usize::try_from(varint(input)?).map_err(|_| Error("a negative length"))?;
    take(input, count)
}

fn array<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], Error> {
    take(input, N)?.try_into().map_err(|_| CUT)
}

fn take<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], Error> {
    let (taken, left) = input.split_at_checked(count).ok_or(CUT)?;
    *input = left;
    Ok(taken)
}

const CUT: Error = Error("it ends too early");
