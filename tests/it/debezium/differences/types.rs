//! In all types, as an empty configuration writes them.

use super::Known;
use crate::debezium::settings::{DEFAULT, JSON, JSON_SCHEMAS, NAMES_UNICODE, TYPES};

pub(super) static KNOWN: &[Known] = &[
    Known {
        settings: TYPES.settings,
        places: &[
            "kinds schema value 1 before*",
            "required schema value 1 before*",
            "required record * value before.*",
            "arrays schema value 1 before*",
            "reversed schema value 1 before*",
            "indexed schema value 1 before*",
            "large schema value 1 before*",
            "odd-name schema value 1 before*",
            "emptied schema value 1 before*",
            "rare schema value 1 before*",
            "rare_required schema value 1 before*",
            "rare_required record * value before.*",
            "rare_arrays schema value 1 before*",
            "left_out schema value 1 before*",
            "geometric schema value 1 before*",
            "geometric_required schema value 1 before*",
            "geometric_required record * value before.*",
            "geometric_arrays schema value 1 before*",
            "defaults schema value 1 before*",
            "constants schema value 1 before*",
            "constants_left_out schema value 1 before*",
        ],
        reason: "Without REPLICA IDENTITY FULL an old row carries its key alone. Debezium puts zeros, \
                 empty texts and 1970 in the columns that are NOT NULL; walbrook has a record \
                 `Before` in which what is not known is null.",
    },
    Known {
        settings: &[&DEFAULT, &JSON_SCHEMAS],
        places: &[
            "keyless schema value 1 before{}",
            "large_whole schema value 1 before{}",
            "whole schema value 1 before{}",
        ],
        reason: "With REPLICA IDENTITY FULL it has the same record, so that another identity changes \
                 none.",
    },
    Known {
        settings: TYPES.settings,
        places: &[
            "defaults schema key 1 id*",
            "defaults schema value 1 after.id*",
            "defaults schema value 1 after.timestamptz_1*",
            "constants_left_out schema value 1 after.text_2*",
        ],
        reason: "A default that only the server can compute: Debezium invents one for the schema, 0 \
                 for a sequence, 1970 for now(). walbrook has none.",
    },
    Known {
        settings: TYPES.settings,
        places: &["constants schema key 1 id*"],
        reason: "A default in the schema of a key: Debezium has it there too. The schema's id is part \
                 of the key's bytes, so with another default a row would get another key; walbrook's \
                 keys have no defaults, and no labels of enums (an enum is a string in them).",
    },
    Known {
        settings: TYPES.settings,
        places: &[
            "defaults schema value 1 after.int4_1*",
            "defaults schema value 1 after.text_1*",
            "defaults schema value 1 after.numeric_1*",
            "defaults schema value 1 after.bool_1*",
        ],
        reason: "A default of a column that may be NULL: Kafka Connect puts the default where a null \
                 is, so walbrook leaves it out.",
    },
    Known {
        settings: &[&DEFAULT],
        places: &[
            "defaults record 1 value after.int4_1",
            "defaults record 1 value after.text_1",
            "defaults record 1 value after.numeric_1",
            "defaults record 1 value after.bool_1",
        ],
        reason: "The same: with a default the column's type is the first of the union, not null.",
    },
    Known {
        settings: TYPES.settings,
        places: &["constants schema value 1 after.char_1*"],
        reason: "A default of char(n): Debezium drops the blanks at the end (ab for a char(5)). In \
                 walbrook's schema stands what a row gets.",
    },
    Known {
        settings: &[&DEFAULT, &JSON_SCHEMAS],
        places: &[
            "constants schema value 1 after.domain_1*",
            "constants schema value 1 after.timetz_1*",
            "constants_left_out schema value 1 after.bytea_1*",
            "constants_left_out schema value 1 after.citext_1*",
            "constants_left_out schema value 1 after.hstore_1*",
            "constants_left_out schema value 1 after.inet_1*",
            "constants_left_out schema value 1 after.int4range_1*",
            "constants_left_out schema value 1 after.ltree_1*",
            "constants_left_out schema value 1 after.macaddr_1*",
            "constants_left_out schema value 1 after.name_1*",
            "constants_left_out schema value 1 after.oid_1*",
            "constants_left_out schema value 1 after.tsvector_1*",
        ],
        reason: "Debezium has no defaults for columns of domains and of timetz, bytea, citext, \
                 hstore, inet, ranges, ltree, macaddr, name, oid and tsvector.",
    },
    Known {
        settings: TYPES.settings,
        places: &["constants_left_out schema value 1 after.float8_1*"],
        reason: "A default of NaN: Debezium writes a text as the default of a number, which Avro does \
                 not allow; walbrook has none.",
    },
    Known {
        settings: TYPES.settings,
        places: &["defaults record 2 value after.*"],
        reason: "A NULL in a column with a default: Debezium writes the default, walbrook null.",
    },
    Known {
        settings: TYPES.settings,
        places: &[
            "kinds record * value after.name_1",
            "constants_left_out record 1 value after.name_1",
        ],
        reason: "A column of the type name: Debezium writes null, or an empty text if it is NOT NULL, \
                 walbrook the name.",
    },
    Known {
        settings: TYPES.settings,
        places: &["arrays schema value 1 after.enum_1"],
        reason: "An element of an array may be NULL: Debezium declares the elements of enum arrays \
                 as never null, and fails on one that is; walbrook declares all elements alike.",
    },
    Known {
        settings: &[&DEFAULT],
        places: &["arrays record 1 value after.enum_1"],
        reason: "The same: each element says which of the union it is.",
    },
    Known {
        settings: TYPES.settings,
        places: &[
            "arrays schema value 1 after[]",
            "arrays schema value 1 after.name_1*",
            "arrays schema value 1 after.interval_1*",
            "arrays schema value 1 after.domain_1*",
            "arrays record * value after.name_1",
            "arrays record * value after.interval_1",
            "arrays record * value after.domain_1",
        ],
        reason: "Arrays of name, interval and domains: Debezium leaves the column out without a \
                 word; walbrook publishes it.",
    },
    Known {
        settings: TYPES.settings,
        places: &["left_out schema value 1 after*", "left_out record 1 value after.*"],
        reason: "pg_lsn, pg_snapshot, xid8, xid, tid, tsquery, jsonpath, lquery, refcursor, \
                 composites, multiranges, and arrays of money, xml and point: Debezium leaves the \
                 column out without a word. bit(n)[] is declared as bits and always null, tsvector[] \
                 always null, int2vector an array of numbers. walbrook publishes them all: \
                 PostgreSQL's text, xid and money as numbers, arrays as arrays.",
    },
    Known {
        settings: TYPES.settings,
        places: &["geometric_arrays record 1 value after.*_1"],
        reason: "An array of a geometric type: Debezium writes null, walbrook the elements.",
    },
    Known {
        settings: TYPES.settings,
        places: &["rare_arrays record 1 value after.ltree_1"],
        reason: "An array of ltree: Debezium writes null, walbrook the elements.",
    },
    Known {
        settings: TYPES.settings,
        places: &["indexed schema key 1 *", "indexed record * key id", "indexed record * key b"],
        reason: "REPLICA IDENTITY USING INDEX: an old row carries the columns of that index. Debezium \
                 keeps the primary key as the key and puts 0 there for old rows; walbrook takes the \
                 index's columns as the key, unless the index covers the primary key.",
    },
    Known {
        settings: &[&JSON, &JSON_SCHEMAS],
        places: &["indexed record * value before.id"],
        reason: "The same: null in JSON. (In Avro a zero has the same byte as null in a union.)",
    },
    Known {
        settings: &[&JSON, &JSON_SCHEMAS],
        places: &["kinds record 7 value after.float4_1"],
        reason: "Java writes two digits of a number at least, 1.4E-45; walbrook as few as it takes to \
                 tell it from its neighbours, 1e-45.",
    },
    Known {
        settings: TYPES.settings,
        places: &[
            "kinds*headers",
            "required*headers",
            "reversed*headers",
            "whole*headers",
            "indexed*headers",
            "geometric*headers",
        ],
        reason: "A key that changes: Debezium puts the new key into a header of the deletion, and the \
                 old one into a header of the creation. walbrook's three records \
                 have one position, which ties them together.",
    },
    Known {
        settings: TYPES.settings,
        places: &["keyless record 4 *"],
        reason: "A deleted row of a table without a key: Debezium writes a record without key and \
                 value after it; walbrook writes no tombstone where there is no key to compact by.",
    },
    Known {
        settings: &[&DEFAULT],
        places: &["odd-name schema value 1 *?walbrook.column"],
        reason: "A column whose name Avro does not allow: walbrook has its own name beside that of the \
                 field.",
    },
    Known {
        settings: &[&NAMES_UNICODE],
        places: &[
            "odd schema value 1 *?walbrook.column",
            "order-_u8ba2_u5355_u005fx schema * 1 *?walbrook.column",
        ],
        reason: "The same, in keys too. All else is the same with `avro_unicode`, and with the topic \
                 naming strategy that goes with it.",
    },
];
