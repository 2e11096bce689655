//! What a representation keeps of a value, as SQL: what was sent and what came are compared as that.

use super::form::{Form, Unit};

/// An expression of what the form keeps of `value`: the same for what was sent and what came.
pub(super) fn kept(form: &Form, value: &str) -> String {
    match form {
        Form::Array { element, .. } if is_lossy(element) => {
            format!("ARRAY(SELECT {} FROM unnest({value}) AS u)::text", kept(element, "u"))
        }
        // Arrays go without their lower bounds.
        Form::Array { .. } => {
            format!(r"regexp_replace(format('%s', {value}), '^(\[[-0-9:]+\])+=', '')")
        }
        // The zeros on the left of a varbit are not kept.
        Form::Bits { .. } => format!("ltrim({value}::text, '0')"),
        Form::Double => nearest_double(&format!("({value})::numeric")),
        Form::Duration => microseconds(value),
        Form::Time(Unit::Millis) | Form::Timestamp(Unit::Millis) => {
            format!("date_trunc('milliseconds', {value})::text")
        }
        // The zeros at the end are not kept.
        Form::VariableScaleDecimal => format!("trim_scale({value})::text"),
        // The zone is not kept.
        Form::ZonedTime => format!(
            "CASE WHEN {value} = '24:00+00' THEN {value} ELSE {value} AT TIME ZONE 'UTC' END::text"
        ),
        _ => format!("format('%s', {value})"),
    }
}

/// The type that what came is read as, where it is not the column's: money has no exponents.
pub(super) fn read_as(form: &Form) -> Option<&'static str> {
    match form {
        Form::Double => Some("numeric"),
        // A geography reads no SRID before digits, and prints as the geometry does.
        Form::Geometry => Some("geometry"),
        Form::Array { element, .. } if matches!(**element, Form::Geometry) => Some("geometry[]"),
        Form::Array { element, .. } if matches!(**element, Form::Double) => Some("numeric[]"),
        _ => None,
    }
}

fn is_lossy(form: &Form) -> bool {
    kept(form, "v") != kept(&Form::Plain, "v")
}

/// PostgreSQL refuses to make a double of a number that is out of its range.
fn nearest_double(number: &str) -> String {
    format!(
        "(CASE WHEN abs({number}) < 1e-300 THEN 0
        WHEN 1e300 < abs({number}) AND abs({number}) < 'Infinity'
        THEN sign({number})::float8 * 'Infinity' ELSE {number}::float8 END)::text"
    )
}

/// A month counts 30.4375 days.
fn microseconds(interval: &str) -> String {
    let part = |(name, micros): &(&str, &str)| {
        format!("extract({name} FROM {interval})::numeric * {micros}")
    };
    let parts: Vec<_> = MICROS.iter().map(part).collect();
    format!("trunc({})::text", parts.join(" + "))
}

const MICROS: &[(&str, &str)] = &[
    ("year", "31557600000000"),
    ("month", "2629800000000"),
    ("day", "86400000000"),
    ("hour", "3600000000"),
    ("minute", "60000000"),
    ("microseconds", "1"),
];
