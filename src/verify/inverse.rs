//! From the plain text of a value back to the value: for a key that only a topic has.
//!
//! Where a [`Rule`](super::rule::Rule) gives several values one text, nobody can tell which of them a
//! text was, and there is no way back. Whether one was right the rule itself says: of the value that
//! was found it must give the same text again.

use super::BinaryText;
use super::form::STAND;
use super::rule::unit;
use super::schema::{Node, Shape};
use crate::types::Kind;

/// PostgreSQL's text of the value whose plain text `x` is, both SQL expressions; `None` where there is
/// no way back.
pub(super) fn inverse(
    x: &str,
    kind: &Kind,
    field: &Node,
    binary: Option<BinaryText>,
) -> Option<String> {
    let node = field.value();
    let text = match (kind, &node.shape) {
        (Kind::Bits { .. } | Kind::Bool, Shape::Boolean)
        | (Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid, Shape::Integer)
        | (Kind::Numeric { declared: Some(_) }, Shape::Bytes | Shape::Record(_))
        | (Kind::Numeric { .. }, Shape::Text) => x.to_owned(),
        (Kind::Bytea, shape) => bytea(x, shape, binary)?,
        (Kind::Hstore | Kind::Money, _) => return None,
        (kind, _) if kind.is_temporal() => time(x, kind, node)?,
        // PostgreSQL's own.
        (_, Shape::Text) => x.to_owned(),
        _ => return None,
    };
    if !field.has_text() {
        return Some(text);
    }
    let behind = STAND.len() + 1;
    Some(format!(
        "CASE WHEN starts_with({x}, '{STAND}') THEN substr({x}, {behind}) ELSE {text} END"
    ))
}

fn bytea(x: &str, shape: &Shape, binary: Option<BinaryText>) -> Option<String> {
    let base64 = |x: &str| format!("E'\\\\x' || encode(decode({x}, 'base64'), 'hex')");
    match (shape, binary) {
        (Shape::Bytes, _) | (Shape::Text, Some(BinaryText::Hex)) => {
            Some(format!("E'\\\\x' || {x}"))
        }
        (Shape::Text, Some(BinaryText::Base64)) => Some(base64(x)),
        (Shape::Text, Some(BinaryText::Base64UrlSafe)) => {
            Some(base64(&format!("translate({x}, '-_', '+/')")))
        }
        _ => None,
    }
}

/// Dates and times, where the field's unit leaves nothing out that the column has.
fn time(x: &str, kind: &Kind, node: &Node) -> Option<String> {
    let unit = match node.shape {
        Shape::Integer => unit(&node.meaning),
        _ => Some(MICROS),
    };
    let or_infinite =
        |sql: String| format!("CASE WHEN {x} IN ('infinity', '-infinity') THEN {x} ELSE {sql} END");
    match (kind, &node.shape, &*node.meaning) {
        (Kind::Date, Shape::Integer, _) => Some(date(x)),
        (Kind::Date, Shape::Text, "io.debezium.time.IsoDate") => Some(or_infinite(date(x))),
        (Kind::Time { precision }, Shape::Integer, _)
        | (Kind::Time { precision }, Shape::Text, "io.debezium.time.IsoTime") => {
            let unit = unit.filter(|unit| keeps(*unit, *precision))?;
            Some(format!("(time '00:00' + {})::text", interval(x, unit)))
        }
        (Kind::Timestamp { precision } | Kind::TimestampTz { precision }, Shape::Integer, _)
        | (
            Kind::Timestamp { precision } | Kind::TimestampTz { precision },
            Shape::Text,
            "io.debezium.time.IsoTimestamp" | "io.debezium.time.ZonedTimestamp",
        ) => {
            let unit = unit.filter(|unit| keeps(*unit, *precision))?;
            let local = format!("(timestamp '1970-01-01' + {})", interval(x, unit));
            let sql = match kind {
                Kind::Timestamp { .. } => format!("{local}::text"),
                _ => format!("({local} AT TIME ZONE 'UTC')::text"),
            };
            Some(or_infinite(sql))
        }
        // PostgreSQL's own.
        (_, Shape::Text, "") => Some(x.to_owned()),
        _ => None,
    }
}

fn date(x: &str) -> String {
    format!("(date '1970-01-01' + {x}::int)::text")
}

/// So many of a unit, of which there are so many in a second.
fn interval(x: &str, unit: u32) -> String {
    let day = u64::from(unit) * 86_400;
    format!(
        "make_interval(days => div({x}::numeric, {day})::int, \
         secs => (mod({x}::numeric, {day}) / {unit})::float8)"
    )
}

/// Whether the unit is no coarser than a column of so many digits of a second's fraction.
fn keeps(unit: u32, precision: Option<u8>) -> bool {
    10_u32.pow(precision.unwrap_or(6).min(6).into()) <= unit
}

/// In a second.
const MICROS: u32 = 1_000_000;
