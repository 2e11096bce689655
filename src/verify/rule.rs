//! How a column's values are judged: the SQL by which PostgreSQL writes the plain text of a value, and
//! the form in which a record's value becomes the same text.
//!
//! Which of them go together the column's type and the field's say. The SQL is the judge: it knows
//! nothing of how records are written, only what a type of Avro or a name of Debezium's means.

use super::form::{Form, STAND};
use super::schema::{Node, Shape};
use crate::types::{Kind, Printed};

/// How `bytea` is written as text, which a schema does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryText {
    /// Base64.
    Base64,
    /// Base64 for URLs.
    Base64UrlSafe,
    /// Hexadecimal digits.
    Hex,
}

/// How the values of a column in a field are judged.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    /// An SQL expression: the text of the column's value, or NULL.
    pub(super) sql: String,
    /// How a value of the field becomes a text.
    pub(super) form: Form,
}

/// A rule before it is said what becomes of values that the field cannot hold.
struct Judged {
    /// Whether the field can hold the value, where not all can be.
    holds: Option<String>,
    sql: String,
    form: Form,
}

impl Rule {
    /// The rule for a column (an SQL expression) in a field; `None` where there is none.
    pub(super) fn of(
        column: &str,
        kind: &Kind,
        field: &Node,
        binary: Option<BinaryText>,
    ) -> Option<Self> {
        let Judged { holds, sql, form } = judge(column, kind, field.value(), binary)?;
        let stand = if field.has_text() {
            format!("'{STAND}' || format('%s', {column})")
        } else {
            "NULL".to_owned()
        };
        let otherwise = match holds {
            None => sql,
            Some(holds) => format!("CASE WHEN {holds} THEN {sql} ELSE {stand} END"),
        };
        let sql = format!("CASE WHEN num_nulls({column}) = 0 THEN {otherwise} END");
        Some(Self { sql, form })
    }
}

/// Of an expression that is not NULL.
fn judge(c: &str, kind: &Kind, node: &Node, binary: Option<BinaryText>) -> Option<Judged> {
    match (kind, &node.shape) {
        (Kind::Array(element), Shape::Array(items)) => array(c, element, items, binary),
        (Kind::Bits { .. }, Shape::Boolean) => {
            let holds = format!("length({c}) = 1");
            Some(partly(holds, format!("{c}::text"), Form::Bit))
        }
        (Kind::Bits { .. }, Shape::Bytes) => {
            Some(wholly(format!("ltrim({c}::text, '0')"), Form::Bits))
        }
        (Kind::Bytea, shape) => bytea(c, shape, binary),
        (Kind::Bool, Shape::Boolean)
        | (Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid, Shape::Integer) => {
            Some(wholly(format!("{c}::text"), Form::Plain))
        }
        (Kind::Float4, Shape::Float) => Some(wholly(float(c, "float4send"), Form::Plain)),
        (Kind::Float8, Shape::Double) => Some(wholly(float(c, "float8send"), Form::Plain)),
        (Kind::Hstore, Shape::Map(_)) => Some(wholly(hstore(c), Form::Map)),
        (Kind::Hstore, Shape::Text) if node.meaning == "io.debezium.data.Json" => {
            Some(wholly(hstore(c), Form::Object))
        }
        (Kind::Money | Kind::Numeric { .. }, _) => number(c, kind, node),
        (Kind::Point, Shape::Record(_)) => point(c, node),
        (Kind::Printed(Printed::Range(element)), Shape::Record(_)) => {
            range(c, element, node, binary)
        }
        (Kind::Printed(Printed::Multirange(element)), Shape::Array(items)) => {
            let each = range("e.v", element, items, binary)?;
            Some(items_of(c, each, None))
        }
        (kind, _) if kind.is_temporal() => time(c, kind, node),
        (_, Shape::Text) => Some(wholly(printed(c), Form::Plain)),
        _ => None,
    }
}

/// PostgreSQL's own text, by the type's output function (a cast may cut blanks off, or add to it).
fn printed(c: &str) -> String {
    format!("format('%s', {c})")
}

fn wholly(sql: String, form: Form) -> Judged {
    Judged { holds: None, sql, form }
}

fn partly(holds: String, sql: String, form: Form) -> Judged {
    Judged { holds: Some(holds), sql, form }
}

/// The bits of a float; NaN has many.
fn float(c: &str, send: &str) -> String {
    format!("CASE WHEN {c} = 'NaN' THEN 'NaN' ELSE encode({send}({c}), 'hex') END")
}

/// A part of what is joined, with its length before it.
fn measured(sql: &str) -> String {
    format!("coalesce(length({sql}) || ':' || {sql}, 'n')")
}

fn hstore(c: &str) -> String {
    let (key, value) = (measured("key"), measured("value"));
    format!(
        "coalesce((SELECT string_agg({key} || {value}, '' ORDER BY key COLLATE \"C\") \
         FROM json_each_text({c}::json)), '')"
    )
}

fn bytea(c: &str, shape: &Shape, binary: Option<BinaryText>) -> Option<Judged> {
    let sql = match (shape, binary) {
        (Shape::Bytes, _) | (Shape::Text, Some(BinaryText::Hex)) => format!("encode({c}, 'hex')"),
        // PostgreSQL breaks the lines.
        (Shape::Text, Some(BinaryText::Base64)) => {
            format!("translate(encode({c}, 'base64'), E'\\n', '')")
        }
        (Shape::Text, Some(BinaryText::Base64UrlSafe)) => {
            format!("translate(encode({c}, 'base64'), E'+/\\n', '-_')")
        }
        _ => return None,
    };
    Some(wholly(sql, Form::Plain))
}

fn number(c: &str, kind: &Kind, node: &Node) -> Option<Judged> {
    let is_money = *kind == Kind::Money;
    // Money is of two digits behind the point where no locale says otherwise.
    let c = if is_money { format!("round({c}::numeric, 2)") } else { format!("{c}::numeric") };
    let finite = format!("{c} NOT IN ('NaN', 'Infinity', '-Infinity')");
    let trimmed = format!("trim_scale({c})::text");
    match &node.shape {
        Shape::Bytes => {
            let holds = format!("{finite} AND scale(trim_scale({c})) <= {}", node.scale);
            Some(partly(holds, trimmed, Form::Decimal(node.scale)))
        }
        Shape::Double => {
            // What a cast refuses: it becomes an infinity, or a zero.
            let large = format!("{c} <> 'NaN' AND abs({c}) >= {DOUBLE_TOO_LARGE}");
            let small = format!("{c} <> 'NaN' AND abs({c}) <= {DOUBLE_TOO_SMALL}");
            let sql = format!(
                "CASE WHEN {large} THEN CASE WHEN 0 < {c} THEN '7ff0' ELSE 'fff0' END || repeat('0', 12) \
                 WHEN {small} THEN CASE WHEN {c} < 0 THEN '80' ELSE '00' END || repeat('0', 14) \
                 ELSE {} END",
                float(&format!("{c}::float8"), "float8send")
            );
            Some(wholly(sql, Form::Plain))
        }
        Shape::Record(_) if is_variable_scale(node) => {
            Some(partly(finite, trimmed, Form::VariableScale))
        }
        Shape::Text => Some(wholly(format!("{c}::text"), Form::Plain)),
        _ => None,
    }
}

fn is_variable_scale(node: &Node) -> bool {
    let [(scale, first), (value, second)] = node.fields() else { return false };
    (scale.as_str(), value.as_str()) == ("scale", "value")
        && first.shape == Shape::Integer
        && second.shape == Shape::Bytes
}

/// 2^1024 − 2^970: from half a step above the largest double on infinity is nearer.
const DOUBLE_TOO_LARGE: &str = "\
    17976931348623158079372897140530341507993413271003782693617377898044496829276475\
    09466490179775872070963302864166928879109465555478519404026306574886715058206819\
    08902000708383676273854845817711531764475730270069855571366959622842914819860834\
    936475292719074168444365510704342711559699508093042880177904174497792";

/// A little more than half of the smallest double: what is below has zero nearest.
const DOUBLE_TOO_SMALL: &str = "2.4703282292062328e-324";

/// Debezium's has the coordinates again, as WKB.
fn point(c: &str, node: &Node) -> Option<Judged> {
    let (x, y) = (format!("({c})[0]"), format!("({c})[1]"));
    let mut parts = vec![float(&x, "float8send"), float(&y, "float8send")];
    let names: Vec<_> = node.fields().iter().map(|(name, _)| name.as_str()).collect();
    match names[..] {
        ["x", "y"] => {}
        ["x", "y", "wkb", "srid"] => {
            let reversed = |c: &str| {
                let byte = |at: u8| format!("substr(encode(float8send({c}), 'hex'), {at}, 2)");
                [15, 13, 11, 9, 7, 5, 3, 1].map(byte).join(" || ")
            };
            parts.push(format!("'0101000000' || {} || {}", reversed(&x), reversed(&y)));
            parts.push("NULL::text".to_owned());
        }
        _ => return None,
    }
    let forms = parts.iter().map(|_| Form::Plain).collect();
    Some(wholly(joined(&parts), Form::Parts(forms)))
}

fn joined(parts: &[String]) -> String {
    let parts: Vec<_> = parts.iter().map(|part| measured(&format!("({part})"))).collect();
    parts.join(" || ")
}

fn array(c: &str, element: &Kind, items: &Node, binary: Option<BinaryText>) -> Option<Judged> {
    let each = judge("e.v", element, items.value(), binary)?;
    // Of arrays of arrays there is no field.
    Some(items_of(c, each, Some(format!("coalesce(array_ndims({c}), 1) = 1"))))
}

/// The elements, each by itself (`e.v`); where one is not held, the whole is not.
fn items_of(c: &str, each: Judged, holds: Option<String>) -> Judged {
    let Judged { holds: holds_each, sql, form } = each;
    let sql = format!(
        "(SELECT coalesce(string_agg({}, '' ORDER BY i.o), '') FROM (SELECT e.o, \
         CASE WHEN num_nulls(e.v) = 0 THEN {sql} END FROM unnest({c}) WITH ORDINALITY AS e (v, o)) AS i (o, s))",
        measured("i.s")
    );
    let all = holds_each.map(|holds| {
        format!(
            "NOT EXISTS (SELECT FROM unnest({c}) AS e (v) WHERE num_nulls(e.v) = 0 AND NOT ({holds}))"
        )
    });
    let holds: Vec<_> = holds.into_iter().chain(all).collect();
    let holds = (!holds.is_empty()).then(|| holds.join(" AND "));
    Judged { holds, sql, form: Form::Items(Box::new(form)) }
}

/// Bounds that are null where there is none, whether each is in it, and whether nothing is.
fn range(c: &str, element: &Kind, node: &Node, binary: Option<BinaryText>) -> Option<Judged> {
    let [(lower, lower_node), (upper, upper_node), ..] = node.fields() else { return None };
    let names: Vec<_> = node.fields().iter().map(|(name, _)| name.as_str()).collect();
    if names != [lower, upper, "is_lower_inclusive", "is_upper_inclusive", "is_empty"] {
        return None;
    }
    let (mut parts, mut forms, mut holds) = (Vec::new(), Vec::new(), Vec::new());
    for (function, bound) in [("lower", lower_node), ("upper", upper_node)] {
        let bound_of = format!("{function}({c})");
        let each = judge(&bound_of, element, bound.value(), binary)?;
        parts.push(format!("CASE WHEN num_nulls({bound_of}) = 0 THEN {} END", each.sql));
        forms.push(each.form);
        let is_held = |holds| format!("(num_nulls({bound_of}) = 1 OR ({holds}))");
        holds.extend(each.holds.map(is_held));
    }
    for function in ["lower_inc", "upper_inc", "isempty"] {
        parts.push(format!("{function}({c})::text"));
        forms.push(Form::Plain);
    }
    let holds = (!holds.is_empty()).then(|| holds.join(" AND "));
    Some(Judged { holds, sql: joined(&parts), form: Form::Parts(forms) })
}

/// Dates, times and intervals.
fn time(c: &str, kind: &Kind, node: &Node) -> Option<Judged> {
    let unit = unit(&node.meaning);
    let finite = format!("isfinite({c})");
    let epoch = format!("extract(epoch FROM {c})");
    let or_infinite = |sql: String, form| {
        wholly(format!("CASE WHEN {finite} THEN {sql} ELSE {c}::text END"), form)
    };
    match (kind, &node.shape, &*node.meaning) {
        (Kind::Date, Shape::Integer, _) => Some(partly(finite, days(c), Form::Plain)),
        (Kind::Date, Shape::Text, "io.debezium.time.IsoDate") => {
            Some(or_infinite(days(c), Form::Date))
        }
        (Kind::Time { .. }, Shape::Integer, meaning) => {
            let sql = format!("trunc({epoch} * {})::bigint::text", unit?);
            // No time of day of Avro's, and none of Kafka Connect's.
            let is_strict = meaning == "time-micros";
            let holds = is_strict.then(|| format!("{epoch} < 86400"));
            Some(Judged { holds, sql, form: Form::Plain })
        }
        (Kind::Time { .. }, Shape::Text, "io.debezium.time.IsoTime") => {
            Some(wholly(format!("trunc({epoch} * 1000000)::bigint::text"), Form::Time))
        }
        (Kind::TimeTz { .. }, Shape::Text, "io.debezium.time.ZonedTime") => {
            Some(wholly(zoned_time(c, &epoch), Form::Time))
        }
        (Kind::Timestamp { .. } | Kind::TimestampTz { .. }, Shape::Integer, _) => {
            let number = format!("floor({epoch} * {})", unit?);
            let holds = format!("{finite} AND {number} BETWEEN {LONG}");
            Some(partly(holds, format!("{number}::bigint::text"), Form::Plain))
        }
        (
            Kind::Timestamp { .. } | Kind::TimestampTz { .. },
            Shape::Text,
            "io.debezium.time.IsoTimestamp" | "io.debezium.time.ZonedTimestamp",
        ) => Some(or_infinite(format!("floor({epoch} * 1000000)::text"), Form::Timestamp)),
        (Kind::Interval { .. }, Shape::Integer, "io.debezium.time.MicroDuration") => {
            let [months, days, micros] = interval(c);
            let number = format!("({months} * 2629800000000 + {days} * 86400000000 + {micros})");
            let holds = format!("{finite} AND {number} BETWEEN {LONG}");
            Some(partly(holds, format!("{number}::bigint::text"), Form::Plain))
        }
        (Kind::Interval { .. }, Shape::Text, "io.debezium.time.Interval") => {
            let parts = interval(c).map(|part| format!("{part}::bigint"));
            Some(or_infinite(parts.join(" || ' ' || "), Form::Interval))
        }
        (Kind::Interval { .. }, Shape::Record(record), _) if record.name == "walbrook.Interval" => {
            let parts = interval(c).map(|part| format!("{part}::bigint::text"));
            let forms = vec![Form::Plain, Form::Plain, Form::Plain];
            Some(partly(finite, joined(&parts), Form::Parts(forms)))
        }
        (_, Shape::Text, "") => Some(wholly(printed(c), Form::Plain)),
        _ => None,
    }
}

/// What a `long` holds.
const LONG: &str = "-9223372036854775808 AND 9223372036854775807";

/// How many of a number are a second.
pub(super) fn unit(meaning: &str) -> Option<u32> {
    Some(match meaning {
        "io.debezium.time.Time"
        | "io.debezium.time.Timestamp"
        | "org.apache.kafka.connect.data.Time"
        | "org.apache.kafka.connect.data.Timestamp" => 1_000,
        "io.debezium.time.MicroTime"
        | "io.debezium.time.MicroTimestamp"
        | "local-timestamp-micros"
        | "time-micros"
        | "timestamp-micros" => 1_000_000,
        "io.debezium.time.NanoTime" | "io.debezium.time.NanoTimestamp" => 1_000_000_000,
        _ => return None,
    })
}

fn days(c: &str) -> String {
    format!("({c} - date '1970-01-01')::text")
}

/// Midnight at a day's end is one only where its zone is UTC.
fn zoned_time(c: &str, epoch: &str) -> String {
    let micros = format!("trunc({epoch} * 1000000)::bigint");
    format!(
        "CASE WHEN extract(timezone FROM {c}) = 0 AND extract(hour FROM {c}) = 24 THEN '86400000000' \
         ELSE mod({micros} + 172800000000, 86400000000)::text END"
    )
}

/// Months, days and microseconds.
fn interval(c: &str) -> [String; 3] {
    let part = |name: &str| format!("extract({name} FROM {c})");
    let (year, month, day) = (part("year"), part("month"), part("day"));
    let (hour, minute, second) = (part("hour"), part("minute"), part("second"));
    [
        format!("({year} * 12 + {month})"),
        day,
        format!("((({hour} * 60 + {minute}) * 60 + {second}) * 1000000)"),
    ]
}
