//! Why a value has no place in a field, and in which fields.

use super::form::{Form, Unit};

/// A reason.
#[derive(Clone, Copy)]
pub(super) struct Reason {
    pub(super) why: &'static str,
    /// Whether fields of a form have no place for such a value.
    applies: fn(&Form) -> bool,
}

impl Reason {
    /// Whether it holds for a field of this form, or for what is in one.
    pub(super) fn applies(&self, form: &Form) -> bool {
        (self.applies)(form.leaf())
    }
}

/// Whether an array has more than the one dimension that its schema has.
pub(super) fn is_multi_dimensional(form: &Form, value: &str) -> bool {
    let elements = value
        .split_once('=')
        .map_or(value, |(bounds, elements)| if bounds.starts_with('[') { elements } else { value });
    matches!(form, Form::Array { .. }) && elements.starts_with("{{")
}

/// NaN and infinities of a numeric.
pub(super) const SPECIAL: Reason = Reason {
    why: "a decimal has no special values",
    applies: |form| matches!(form, Form::Decimal { .. } | Form::VariableScaleDecimal),
};

/// Infinities of time.
pub(super) const INFINITE: Reason = Reason {
    why: "a number has no infinity",
    applies: |form| {
        matches!(
            form,
            Form::Date
                | Form::Duration
                | Form::Interval
                | Form::StructuredDuration
                | Form::Timestamp(_)
                | Form::UtcMicros
        )
    },
};

/// The last timestamps.
pub(super) const PAST_MICROS: Reason = Reason {
    why: "past 2^63 microseconds since 1970",
    applies: |form| matches!(form, Form::Timestamp(Unit::Micros | Unit::Nanos) | Form::UtcMicros),
};

/// Timestamps outside the years 1677 to 2262.
pub(super) const PAST_NANOS: Reason = Reason {
    why: "past 2^63 nanoseconds from 1970",
    applies: |form| matches!(form, Form::Timestamp(Unit::Nanos)),
};

/// 24:00.
pub(super) const END_OF_DAY: Reason =
    Reason { why: "no time of day", applies: |form| matches!(form, Form::TimeOfDay) };

/// Intervals of many years.
pub(super) const LONG: Reason =
    Reason { why: "past 2^63 microseconds", applies: |form| matches!(form, Form::Duration) };

/// Sparse vectors in Debezium's record, whose indices have 16 bits; in records of Avro's own they
/// have a place.
pub(super) const WIDE: Reason = Reason {
    why: "the dimensions are an int16",
    applies: |form| matches!(form, Form::SparseVector { is_narrow: true }),
};

/// No bit.
pub(super) const EMPTY: Reason =
    Reason { why: "a boolean is a bit", applies: |form| matches!(form, Form::Bit) };
