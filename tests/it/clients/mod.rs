//! Kafka clients as people use them read the topics: each a small program in tests/clients/NAME,
//! pinned by a lock file, that decodes events of tables and of outboxes.
//!
//! [`scene`] makes the topics once, with records of aborted transactions among the others. [`judge`]
//! holds what a client prints against SELECT. What a client decodes each type to, and what goes wrong
//! as it is installed, is recorded in tests/golden/clients, from which [`page`] writes
//! docs/clients.md.

mod consumer;
mod judge;
mod page;
mod pykafka;
mod scene;
mod selected;
mod sink;
mod streams;

use std::time::Duration;

use self::consumer::{Client, Seen, Trouble};
use crate::support::run;

/// The clients of docs/clients.md, in its order.
const CLIENTS: &[&Client] = &[
    &CONFLUENT_KAFKA,
    &KAFKA_PYTHON,
    &AIOKAFKA,
    &FRANZ_GO,
    &CONFLUENT_KAFKA_GO,
    &KAFKAJS,
    &RUST,
    &CHDB,
];

/// What goes wrong with Kafka Streams, as [`streams`] sees.
const KAFKA_STREAMS: &[(&str, &str)] = &[
    (
        "a join by Avro keys finds no pair, without an error: each key schema is named after its topic, so \
         the ids in the keys differ",
        "`tables.key_names = \"columns\"`, or keys that are JSON or `\"string\"`",
    ),
    (
        "topics with different numbers of partitions are joined in part, without an error",
        "equal numbers; with `tables.key_names = \"columns\"` `walbrook check` says where they differ",
    ),
    (
        "a pair stays joined when both of its rows are deleted shortly one after the other, as in one \
         transaction: each deletion finds the other row gone, and writes nothing",
        "`statestore.cache.max.bytes = 0`",
    ),
];

/// What goes wrong with pykafka, as [`pykafka`] sees.
const PYKAFKA: &[(&str, &str)] = &[
    (
        "it is abandoned: on Kafka 3.9 it reads to the end of the first transaction and no further, without an \
         error, knows nothing of `read_committed`, and gets no headers; Kafka 4 no longer speaks its protocol",
        "another client: kafka-python, aiokafka, confluent-kafka",
    ),
    (
        "records that are compressed with lz4 are left out, without an error",
        "`kafka.compression = \"gzip\"`",
    ),
];

/// What goes wrong with Debezium's JDBC sink, as [`sink`] sees.
const JDBC_SINK: &[(&str, &str)] = &[
    (
        "records of aborted transactions are written, as by every sink of Kafka Connect",
        "`consumer.override.isolation.level = read_committed` in the connector, or \
         `consumer.isolation.level` in the worker",
    ),
    (
        "a `numeric` without a scale becomes `double precision`",
        "a scale in the column's type, or `values.decimal = \"string\"`, by which it becomes text",
    ),
    (
        "an `interval` becomes hours, a month counting 30.4375 days",
        "`values.interval = \"string\"`, by which it becomes text",
    ),
    (
        "with `representation = \"avro\"` its task fails at an `interval`: \
         `Failed to resolve column type for schema: STRUCT (walbrook.Interval)`",
        "`representation = \"debezium\"`",
    ),
    ("an enum becomes text, `jsonb` becomes `json`", "to make the tables by hand"),
    (
        "with `truncate.enabled` a TRUNCATE is one record, in one partition: with others in the topic it may delete \
         later rows",
        "one partition (`topics.partitions = 1`), or `tables.truncate = false`",
    ),
    (
        "a new column of which it meets a delete before any row that has it is added without its default: older rows \
         have NULL there",
        "the transformation `ExtractNewRecordState` with `delete.tombstone.handling.mode = tombstone` (a TRUNCATE is \
         lost by it)",
    ),
];

const CONFLUENT_KAFKA: Client = Client { name: "confluent-kafka", troubles: &[YEARS] };

const KAFKA_PYTHON: Client = Client {
    name: "kafka-python",
    troubles: &[
        ABORTED,
        Trouble {
            instead: "`pip install kafka-python[lz4]`, or `kafka.compression = \"gzip\"`",
            ..LZ4
        },
        YEARS,
    ],
};

const AIOKAFKA: Client = Client {
    name: "aiokafka",
    troubles: &[
        ABORTED,
        Trouble {
            instead: "`pip install aiokafka[lz4]`, or `kafka.compression = \"gzip\"`",
            ..LZ4
        },
        YEARS,
    ],
};

const LZ4: Trouble = Trouble {
    without: "lz4",
    kind: "debezium",
    seen: Seen::Fails("UnsupportedCodecError: Libraries for lz4 compression codec not found"),
    what: "no record is read: `Libraries for lz4 compression codec not found`",
    instead: "`kafka.compression = \"gzip\"`",
};

const YEARS: Trouble = Trouble {
    without: "years",
    kind: "avro",
    // An OverflowError, or a ValueError of a date: by the record that comes first.
    seen: Seen::Fails("_logical_readers"),
    what: "fastavro fails for the whole record where a date or timestamp is outside of the years 1 to 9999, which \
           Python has no dates for",
    instead: "`allow_any_year` of `tests/clients/python/events.py`, or `representation = \"debezium\"`",
};

const FRANZ_GO: Client = Client { name: "franz-go", troubles: &[ABORTED, ZONE, POINTER] };

const CONFLUENT_KAFKA_GO: Client =
    Client { name: "confluent-kafka-go", troubles: &[ZONE, POINTER] };

const ZONE: Trouble = Trouble {
    without: "utc",
    kind: "avro",
    seen: Seen::Wrong(&["moment"]),
    what: "hamba/avro reads a `timestamp` (`local-timestamp-micros`) in the machine's zone: near a \
           change of its clocks the value is an hour off, without an error",
    instead: "`time.Local = time.UTC` (or `TZ=UTC`), or `representation = \"debezium\"`",
};

const POINTER: Trouble = Trouble {
    without: "pointer",
    kind: "debezium",
    seen: Seen::Wrong(&["amount"]),
    what: "hamba/avro puts 0 into a field `*big.Rat` of a decimal that may be null, without an error",
    instead: "a field `**big.Rat`",
};

const RUST: Client = Client { name: "rust", troubles: &[] };

/// ClickHouse, in a process of Python.
const CHDB: Client = Client {
    name: "chdb",
    troubles: &[
        Trouble {
            without: "paths",
            kind: "debezium",
            seen: Seen::Fails("The number of leaves in record doesn't match"),
            what: "a column `after Tuple(…)` needs every field of the record, so nothing is read once the table has another \
                   column: `The number of leaves in record doesn't match the number of elements in tuple`",
            instead: "a column for each field, named by its path: `after.Value.id`",
        },
        Trouble {
            without: "nulls",
            kind: "debezium",
            seen: Seen::Wrong(&["tags", "wholes"]),
            what: "an array that is NULL becomes an empty one, without an error",
            instead: "a default that stands for NULL: `Array(Nullable(String)) DEFAULT [char(0)]` (not with the \
                      table engine Kafka, which knows no defaults)",
        },
        Trouble {
            without: "nulls",
            kind: "json",
            seen: Seen::Wrong(&["tags", "wholes"]),
            what: "so it does in JSON",
            instead: "`Variant(Array(Nullable(String)))`",
        },
        Trouble {
            without: "wide",
            kind: "debezium",
            seen: Seen::Wrong(&["big"]),
            what: "an `Int32` takes the lower half of a `bigint`, without an error: also that of a column that was an \
                   `integer` and is a `bigint` now",
            instead: "`Int64`",
        },
        Trouble {
            without: "micros",
            kind: "avro",
            seen: Seen::Wrong(&["moment", "zoned"]),
            what: "a `DateTime64(3)` takes microseconds for milliseconds, without an error: it shows the end of the year \
                   9999, or the beginning of the year 0",
            instead: "`DateTime64(6, 'UTC')`",
        },
        Trouble {
            without: "text",
            kind: "avro",
            seen: Seen::Wrong(&["moment", "zoned"]),
            what: "a `DateTime64(6)` outside of the years 0 to 9999 is shown as the end of the last, or the beginning of \
                   the first, without an error; what it holds is right",
            instead: "`toUnixTimestamp64Micro`, or `Int64`",
        },
        Trouble {
            without: "days",
            kind: "avro",
            seen: Seen::Fails("exceeds the range of type Date32"),
            what: "nothing is read where a `date`, which is a `Date32` unless columns are declared, is outside of the years \
                   0 to 9999: `exceeds the range of type Date32`",
            instead: "`Int32`; with `date_time_overflow_behavior = 'saturate'` it becomes the first or the last day",
        },
        Trouble {
            without: "precision",
            kind: "debezium",
            seen: Seen::Fails("Cannot insert Avro decimal"),
            what: "a `numeric(12,2)` is read into no `Decimal(14, 2)`, so nothing is read once the column's precision is another: \
                   `Cannot insert Avro decimal`",
            instead: "`values.decimal = \"string\"`",
        },
    ],
};

const KAFKAJS: Client = Client {
    name: "kafkajs",
    troubles: &[
        Trouble {
            without: "lz4",
            kind: "debezium",
            seen: Seen::Fails("LZ4 compression not implemented"),
            what: "no record is read, the consumer crashes: `LZ4 compression not implemented`",
            instead: "a codec (`CompressionCodecs[CompressionTypes.LZ4]`), or `kafka.compression = \"gzip\"`",
        },
        Trouble {
            without: "bigint",
            kind: "debezium",
            seen: Seen::Fails("potential precision loss"),
            what: "avsc reads no record of a table: `potential precision loss`, since `source.ts_ns` is beyond 2^53; \
                   so it is for a `bigint` that is",
            instead: "a `typeHook` that reads every long as a BigInt",
        },
        Trouble {
            without: "lossless",
            kind: "json",
            seen: Seen::Wrong(&["big", "moment"]),
            what: "`JSON.parse` makes another number of a `bigint` beyond 2^53 (or a `timestamp` beyond the year 2255), \
                   without an error",
            instead: "a parser that has BigInts, such as `lossless-json`",
        },
    ],
};

const ABORTED: Trouble = Trouble {
    without: "committed",
    kind: "json",
    seen: Seen::Aborted,
    what: "records of aborted transactions are read, and a record may be seen twice",
    instead: "the isolation level `read_committed`",
};

#[test]
fn franz_go_reads_what_select_returns() {
    run(LIMIT, FRANZ_GO.reads());
}

#[test]
fn kafkajs_reads_what_select_returns() {
    run(LIMIT, KAFKAJS.reads());
}

#[test]
fn kafka_python_reads_what_select_returns() {
    run(LIMIT, KAFKA_PYTHON.reads());
}

#[test]
fn a_jdbc_sink_makes_a_second_database_equal() {
    run(LIMIT, sink::follows(&sink::AVRO));
}

/// What the default run leaves out.
mod others {
    use super::*;

    #[test]
    fn confluent_kafka_reads_what_select_returns() {
        run(LIMIT, CONFLUENT_KAFKA.reads());
    }

    #[test]
    fn kafka_streams_joins_avro_keys_that_are_named_by_columns() {
        run(LIMIT, streams::joins("avro", streams::COLUMNS));
    }

    #[test]
    fn kafka_streams_joins_keys_that_are_text() {
        run(LIMIT, streams::joins("json", streams::STRINGS));
    }

    #[test]
    fn kafka_streams_joins_a_part_where_numbers_of_partitions_differ() {
        run(LIMIT, streams::joins_a_part_with_other_partitions());
    }

    #[test]
    fn kafka_streams_keeps_pairs_that_are_deleted_with_a_cache() {
        run(LIMIT, streams::keeps_pairs_with_a_cache());
    }

    #[test]
    fn kafka_streams_joins_nothing_by_avro_keys_that_are_named_after_topics() {
        run(LIMIT, streams::joins_nothing_by_topics_names());
    }

    #[test]
    fn a_jdbc_sink_fails_at_avros_own_intervals() {
        run(LIMIT, sink::fails_at_avros_own_intervals());
    }

    #[test]
    fn a_jdbc_sink_adds_a_column_without_its_default_by_a_delete() {
        run(LIMIT, sink::adds_a_column_by_a_delete());
    }

    #[test]
    fn a_jdbc_sink_reads_json_with_schemas() {
        run(LIMIT, sink::follows(&sink::JSON));
    }

    #[test]
    fn pykafka_reads_too_little() {
        run(LIMIT, pykafka::reads_too_little());
    }

    #[test]
    fn confluent_kafka_go_reads_what_select_returns() {
        run(LIMIT, CONFLUENT_KAFKA_GO.reads());
    }

    #[test]
    fn chdb_reads_what_select_returns() {
        run(LIMIT, CHDB.reads());
    }

    #[test]
    fn rust_reads_what_select_returns() {
        run(LIMIT, RUST.reads());
    }

    #[test]
    fn aiokafka_reads_what_select_returns() {
        run(LIMIT, AIOKAFKA.reads());
    }
}

/// A client may have to be installed first.
const LIMIT: Duration = Duration::from_secs(400);
