//! Dates, times and intervals.

use super::family::{Family, Type};
use super::refusal::{END_OF_DAY, INFINITE, LONG, PAST_MICROS, PAST_NANOS};

pub(super) fn date() -> Family {
    let values = &[
        "2000-01-01",
        "1999-12-31",
        "1970-01-01",
        "2024-02-29",
        "0001-01-01",
        "0001-12-31 BC",
        "0044-03-15 BC",
        "4713-11-24 BC",
        "4714-11-24 BC",
        "10000-01-01",
        "5874897-12-31",
        "infinity",
        "-infinity",
    ];
    Family::of(vec![
        Type::new("date", values, "date '2000-01-01' + ((random() - 0.5) * 10 ^ (i % 7))::int")
            .refusing(&["infinity", "-infinity"], INFINITE),
    ])
}

pub(super) fn time() -> Family {
    let values = &["00:00:00", "24:00:00", "23:59:59.999999", "00:00:00.000001", "12:34:56.7"];
    let zoned = &[
        "00:00:00+00",
        "24:00:00+00",
        "24:00:00+02",
        "24:00:00-15:59:59",
        "00:00:00+15:59:59",
        "23:59:59.999999-01",
        "23:00-01",
        "12:34:56.7+05:30",
    ];
    let random = "(random() * interval '24 hours')::time";
    let random_zoned =
        "((random() * interval '24 hours')::time::text || to_char(i % 15 - 7, 'SG00'))::timetz";
    // A fraction may be rounded up to it.
    let of_day = |of: Type| of.refusing(&["24:00:00"], END_OF_DAY);
    Family::of(vec![
        of_day(Type::new("time", values, random)),
        of_day(Type::new("time(0)", values, random)),
        of_day(Type::new("time(3)", values, random)),
        of_day(Type::new("time(6)", values, random)),
        Type::new("timetz", zoned, random_zoned),
        Type::new("timetz(2)", zoned, random_zoned),
    ])
}

pub(super) fn timestamp() -> Family {
    let random = "timestamp '2000-01-01' + (random() - 0.5) * 10 ^ (i % 11) * interval '1 second'";
    let zoned = "timestamptz '2000-01-01' + (random() - 0.5) * 10 ^ (i % 11) * interval '1 second'";
    let last_micros = &["'294247-01-10 04:00:54.775807'"];
    let infinite = |of: Type| of.refusing(&["infinity", "-infinity"], INFINITE);
    let local = |name, values| {
        infinite(Type::new(name, values, random))
            .refusing(PAST, PAST_MICROS)
            .refusing(OUTSIDE, PAST_NANOS)
    };
    let utc =
        |name, values| infinite(Type::new(name, values, zoned)).refusing(PAST_UTC, PAST_MICROS);
    Family::of(vec![
        local("timestamp", TIMESTAMPS).made(last_micros),
        local("timestamp(0)", TIMESTAMPS_SHORT),
        local("timestamp(3)", TIMESTAMPS_SHORT),
        local("timestamp(6)", TIMESTAMPS),
        utc("timestamptz", TIMESTAMPS).made(last_micros),
        utc("timestamptz(0)", TIMESTAMPS_SHORT),
        utc("timestamptz(1)", TIMESTAMPS_SHORT),
        utc("timestamptz(3)", TIMESTAMPS_SHORT),
    ])
}

pub(super) fn interval() -> Family {
    let values = &[
        "0",
        "1 year -1 month 3 days -4 hours 5.000001 seconds",
        "-0.000001 second",
        "-1 month 1 microsecond",
        "11 months 29 days 23:59:59.999999",
        "-11 months",
        "-1 year -11 months",
        "2147483647 days",
        "-2147483648 days",
        "596523 hours 14 minutes 7.999999 seconds",
        "-596523 hours",
        "3507265 months",
        "P178956970Y7M",
        "-178956970 years -8 months",
    ];
    let random = "make_interval(months => ((random() - 0.5) * 10000)::int, days =>
        ((random() - 0.5) * 1000)::int, secs => (random() - 0.5) * 1e7)";
    Family::of(vec![
        Type::new("interval", values, random)
            .refusing(&["P178956970Y7M", "P-178956970Y-8M", "P292272Y1M"], LONG)
            .refusing(&["P2147483647D", "P-2147483648D"], LONG),
        Type::new("interval(2)", &["-1 month 0.015 seconds", "-1 year 0.005 seconds"], random),
        Type::new("interval", &["infinity", "-infinity"], "interval '1 day' * i")
            .since(17)
            .refusing(&["infinity", "-infinity"], INFINITE),
    ])
}

const TIMESTAMPS: &[&str] = &[
    "2000-01-01 00:00:00",
    "1999-12-31 23:59:59.999999",
    "1970-01-01 00:00:00",
    "1969-12-31 23:59:59.999999",
    "2024-02-29 12:34:56.7",
    "0001-01-01 00:00:00",
    "0001-12-31 23:59:59.999999 BC",
    "0044-03-15 12:00:00.5 BC",
    "4714-11-24 00:00:00 BC",
    "9999-12-31 23:59:59.999999",
    "10000-01-01 00:00:00",
    "294247-01-10 04:00:54.775808",
    "294276-12-31 23:59:59.999999",
    "infinity",
    "-infinity",
];

const TIMESTAMPS_SHORT: &[&str] = &[
    "2000-01-01 00:00:00",
    "1969-12-31 23:59:59.9",
    "1969-12-31 23:59:59.999499",
    "0044-03-15 12:00:00.5 BC",
    "4714-11-24 00:00:00 BC",
    "294276-12-31 23:59:59",
    "infinity",
    "-infinity",
];

/// Those past 2^63 microseconds since 1970.
const PAST: &[&str] =
    &["294247-01-10 04:00:54.775808", "294276-12-31 23:59:59.999999", "294276-12-31 23:59:59"];

/// The same as timestamptz.
const PAST_UTC: &[&str] = &[
    "294247-01-10 04:00:54.775808+00",
    "294276-12-31 23:59:59.999999+00",
    "294276-12-31 23:59:59+00",
];

/// And those that a number of nanoseconds does not reach either.
const OUTSIDE: &[&str] = &[
    "0001-01-01 00:00:00",
    "0001-12-31 23:59:59.999999 BC",
    "0044-03-15 12:00:00 BC",
    "0044-03-15 12:00:00.5 BC",
    "4714-11-24 00:00:00 BC",
    "9999-12-31 23:59:59.999999",
    "10000-01-01 00:00:00",
    "294247-01-10 04:00:54.775807",
];
