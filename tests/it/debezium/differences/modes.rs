//! In the handling modes.

use super::Known;
use crate::debezium::settings::{
    EXTREMES, EXTREMES_ADAPTIVE, EXTREMES_ADAPTIVE_TIME, EXTREMES_CONNECT, EXTREMES_ISOSTRING,
    EXTREMES_JSON, EXTREMES_MICROSECONDS, EXTREMES_NANOSECONDS, EXTREMES_STRUCTURED, MODES,
    MODES_ADAPTIVE, MODES_ADAPTIVE_TIME, MODES_CONNECT, MODES_ISOSTRING, MODES_NANOSECONDS,
    MODES_STRUCTURED,
};

pub(super) static KNOWN: &[Known] = &[
    Known {
        settings: MODES.settings,
        places: &["keys*headers", "required*headers", "geometric*headers"],
        reason: "A key that changes: Debezium puts the new key into a header of the deletion, and the \
                 old one into a header of the creation. walbrook's three records \
                 have one position, which ties them together.",
    },
    Known {
        settings: MODES.settings,
        places: &[
            "constants schema value 1 after.domain_1*",
            "constants schema value 1 before.domain_1*",
            "constants record 2 value before.domain_1",
        ],
        reason: "Debezium has no defaults for columns of domains, so that with its own `before` it \
                 invents a zero there.",
    },
    Known {
        settings: MODES.settings,
        places: &[
            "geometric record * value before.line_1*",
            "geometric record * value before.lseg_1*",
            "geometric record * value before.path_1*",
            "geometric record * value before.polygon_1*",
            "geometric record * value before.box_1*",
            "geometric record * value before.circle_1*",
        ],
        reason: "A geometric type has an optional field also where the column is NOT NULL. Debezium's \
                 `before` has the sides of a unit square there, walbrook null.",
    },
    Known {
        settings: &[&MODES_ADAPTIVE, &MODES_CONNECT, &MODES_NANOSECONDS, &MODES_STRUCTURED],
        places: &["hstores record 4 value after.*", "hstores record 5 value after.*"],
        reason: "The JSON of an hstore: Debezium has its pairs in the order of a HashMap, walbrook in \
                 PostgreSQL's.",
    },
    Known {
        settings: &[&MODES_ADAPTIVE_TIME, &MODES_CONNECT, &MODES_ISOSTRING],
        places: &["large record 2 value after.bytea_1"],
        reason: "A bytea as base64 that an UPDATE left unchanged: Debezium fails to decode the \
                 placeholder and writes null, or ends where that is not allowed; walbrook writes the \
                 placeholder as base64.",
    },
    Known {
        settings: &[&EXTREMES_ADAPTIVE, &EXTREMES_MICROSECONDS, &EXTREMES_STRUCTURED],
        places: &[
            "decimals schema value 1 before.numeric_5*",
            "decimals schema value 1 after.numeric_5*",
            "decimals record * value after.numeric_5*",
        ],
        reason: "numeric(5, -2): Debezium takes the scale for 2046 and adds as many zeros; walbrook \
                 publishes it as a numeric without a scale.",
    },
    Known {
        settings: &[&EXTREMES_CONNECT, &EXTREMES_ISOSTRING],
        places: &["decimals record * value after.numeric_5"],
        reason: "The same as text: 12300 with 2046 zeros after the point.",
    },
    Known {
        settings: &[&EXTREMES_CONNECT, &EXTREMES_ISOSTRING],
        places: &[
            "decimals record 14 value after.numeric_1",
            "decimals record 14 value after.numeric_2",
            "decimals record 15 value after.numeric_1",
            "decimals record 16 value after.numeric_1",
        ],
        reason: "A numeric that is no number, as text: Debezium writes NAN, POSITIVE_INFINITY and \
                 NEGATIVE_INFINITY, walbrook PostgreSQL's NaN, Infinity and -Infinity.",
    },
    Known {
        settings: &[
            &EXTREMES_ADAPTIVE_TIME,
            &EXTREMES_CONNECT,
            &EXTREMES_NANOSECONDS,
            &EXTREMES_ISOSTRING,
            &EXTREMES_JSON,
        ],
        places: &[
            "decimals record 17 value after.array_*",
            "decimals record 18 value after.array_1",
        ],
        reason: "An array with such a numeric, as text or double: Debezium writes null for the array, \
                 walbrook the elements.",
    },
    Known {
        settings: &[&EXTREMES_ADAPTIVE, &EXTREMES_CONNECT, &EXTREMES_NANOSECONDS],
        places: &["intervals record 13 value after.interval_1"],
        reason: "An interval in microseconds: Debezium reckons in double, and is one off here.",
    },
    Known {
        settings: &[&EXTREMES_ADAPTIVE, &EXTREMES_CONNECT, &EXTREMES_NANOSECONDS],
        places: &[
            "intervals record 18 value after.interval_1",
            "intervals record 21 value after.interval_1",
            "intervals record 22 value after.interval_1",
            "intervals record 23 value after.interval_1",
            "intervals record 24 value after.interval_1",
        ],
        reason: "An interval of more microseconds than a long holds: Debezium writes the largest or \
                 smallest long, and 0 for an infinite one; to walbrook they are unrepresentable.",
    },
    Known {
        settings: &[
            &EXTREMES_ADAPTIVE_TIME,
            &EXTREMES_MICROSECONDS,
            &EXTREMES_ISOSTRING,
            &EXTREMES_JSON,
        ],
        places: &[
            "intervals record 23 value after.interval_1",
            "intervals record 24 value after.interval_1",
        ],
        reason: "An infinite interval as text: Debezium writes P0Y0M0DT0H0M0S, walbrook infinity.",
    },
    Known {
        settings: &[
            &EXTREMES_ADAPTIVE,
            &EXTREMES_ADAPTIVE_TIME,
            &EXTREMES_MICROSECONDS,
            &EXTREMES_NANOSECONDS,
            &EXTREMES_ISOSTRING,
            &EXTREMES_STRUCTURED,
        ],
        places: &["times record 1 value after.array_2"],
        reason: "An array of time: Debezium cuts its elements to milliseconds.",
    },
    Known {
        settings: EXTREMES.settings,
        places: &["times record 25 value after.array_2"],
        reason: "24:00 in an array: Debezium writes 00:00.",
    },
    Known {
        settings: &[&EXTREMES_ISOSTRING],
        places: &["times record 21 value after.time_*"],
        reason: "24:00 as text: Debezium writes 00:00:00Z, which is another time; walbrook 24:00:00Z.",
    },
    Known {
        settings: EXTREMES.settings,
        places: &[
            "times record 23 value after.array_1",
            "times record 26 value after.array_5",
            "times record 26 value after.array_6",
            "times record 28 value after.array_7",
        ],
        reason: "Years BC in an array: Debezium takes a date and a timestamptz for one AD, is two days \
                 off with a timestamp, and writes 292269055 for -infinity. (Nanoseconds do not reach \
                 there: Debezium has null elements, to walbrook the array is unrepresentable.)",
    },
    Known {
        settings: &[&EXTREMES_STRUCTURED],
        places: &["times record 21 value after.time_*"],
        reason: "24:00 as a record: Debezium writes null, except for a timetz; walbrook the hour 24.",
    },
    Known {
        settings: &[&EXTREMES_STRUCTURED],
        places: &["intervals record * value after.interval_3.precision"],
        reason: "The precision of an interval that declares its fields and none: Debezium writes \
                 65535, walbrook 6.",
    },
    Known {
        settings: &[&EXTREMES_STRUCTURED],
        places: &[
            "intervals record 23 value after.interval_1*",
            "intervals record 24 value after.interval_1*",
        ],
        reason: "An infinite interval as a record: Debezium writes zeros; to walbrook it is \
                 unrepresentable.",
    },
    Known {
        settings: &[
            &EXTREMES_ADAPTIVE,
            &EXTREMES_ADAPTIVE_TIME,
            &EXTREMES_CONNECT,
            &EXTREMES_MICROSECONDS,
            &EXTREMES_NANOSECONDS,
            &EXTREMES_ISOSTRING,
            &EXTREMES_JSON,
        ],
        places: &[
            "times record 17 value after.timestamp_*",
            "times record 18 value after.timestamp_*",
            "times record 19 value after.date_1",
            "times record 20 value after.date_1",
            "times record 24 value after.array_1",
            "times record 27 value after.array_5",
            "times record 27 value after.array_6",
        ],
        reason: "An infinite date or timestamp: Debezium writes a day in a far year, as a number or \
                 text, or the largest or smallest long. To walbrook it is unrepresentable as a \
                 number, and infinity as text.",
    },
    Known {
        settings: &[&EXTREMES_ADAPTIVE, &EXTREMES_ADAPTIVE_TIME, &EXTREMES_MICROSECONDS],
        places: &["times record 15 value after.timestamp_1"],
        reason: "A year whose microseconds a long does not hold: Debezium overflows into a time BC; to \
                 walbrook it is unrepresentable.",
    },
    Known {
        settings: &[&EXTREMES_MICROSECONDS],
        places: &[
            "times record 15 value after.timestamp_2",
            "times record 15 value after.timestamp_3",
        ],
        reason: "The same where timestamps of few digits have microseconds, too.",
    },
    Known {
        settings: &[&EXTREMES_NANOSECONDS],
        places: &["times record 13 value after.timestamp_*"],
        reason: "The first second that nanoseconds reach: Debezium writes null for all of it, walbrook \
                 what a long holds.",
    },
];
