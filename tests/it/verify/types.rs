//! Each type in each representation: alike where it is, different where it is not.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{TEST_LIMIT, start, told};
use crate::support::run;

/// A column: its type, a value, another one that each representation tells from it, and values that
/// some cannot hold.
struct Case(&'static str, &'static str, &'static str, &'static [&'static str]);

const CASES: &[Case] = &[
    Case("boolean", "t", "f", &[]),
    Case("smallint", "-32768", "7", &[]),
    Case("integer", "2147483647", "0", &[]),
    Case("bigint", "-9223372036854775808", "9223372036854775807", &[]),
    Case("oid", "4294967295", "1", &[]),
    Case("real", "0.1", "0.25", &["NaN", "-0", "Infinity", "1e-45"]),
    Case("double precision", "0.1", "0.10000000000000002", &["NaN", "-0", "-Infinity", "5e-324"]),
    Case("numeric(12,2)", "12.30", "12.31", &["-0.01", "0", "9999999999.99", "NaN"]),
    Case("numeric", "1.500", "1.6", &["1e30", "-0.000001", "12345678901234567890123.45", "NaN"]),
    Case("money", "-1.01", "1.01", &["92233720368547758.07"]),
    Case("text", "a'b\"\\ü\n", "", &[" x "]),
    Case("varchar(10)", "abc", "abd", &[]),
    Case("char(5)", "ab", "abc", &[]),
    Case("\"char\"", "a", "b", &[]),
    Case("name", "n", "m", &[]),
    Case("bytea", "\\x00ff3e3f", "\\x00fe3e3f", &["\\x"]),
    Case(
        "uuid",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
        &[],
    ),
    Case("json", "{\"a\" :  1}", "{\"a\" : 1}", &[]),
    Case("jsonb", "{\"a\": [1, null]}", "{\"a\": [2, null]}", &[]),
    Case("mood", "o,k", "sad", &[]),
    Case("date", "2024-02-29", "2024-03-01", &["1969-12-31", "0044-03-15 BC", "infinity"]),
    Case("time(3)", "12:34:56.789", "12:34:56.788", &["00:00", "24:00"]),
    Case("time", "12:34:56.789012", "12:34:56.780012", &["24:00"]),
    Case("timetz", "12:34:56.789+02", "12:34:56.788+02", &["24:00+00", "24:00-05", "00:30+14"]),
    Case("timestamp(3)", "2024-02-29 12:34:56.789", "2024-02-29 12:34:56.788", &["-infinity"]),
    Case(
        "timestamp",
        "2024-02-29 12:34:56.789012",
        "2024-02-29 12:34:56.788012",
        &["1969-12-31 23:59:59.999999", "0044-03-15 00:00 BC", "20000-01-01", "infinity"],
    ),
    Case(
        "timestamptz",
        "2024-02-29 12:34:56.789012+03",
        "2024-02-29 12:34:56.788012+03",
        &["1969-12-31 23:59:59.999999Z", "0044-03-15 00:00Z BC", "20000-01-01Z", "infinity"],
    ),
    Case(
        "interval",
        "1 year 2 mons 3 days 04:05:06.789",
        "1 year 2 mons 3 days 04:05:06.788",
        &["-13 mons 1 day -00:00:00.5", "0", "-1 hours +59 mins"],
    ),
    Case("bit", "1", "0", &[]),
    Case("bit(10)", "1000000001", "0000000001", &[]),
    Case("varbit", "1011", "1010", &["0"]),
    Case("varbit(1)", "1", "0", &[""]),
    Case("inet", "10.1.2.3/8", "10.1.2.3", &["::1"]),
    Case("cidr", "10.0.0.0/8", "10.0.0.0/9", &[]),
    Case("macaddr", "08:00:2b:01:02:03", "08:00:2b:01:02:04", &[]),
    Case("point", "(1.5,-2.25)", "(1.5,-2.5)", &["(NaN,Infinity)"]),
    Case("int4range", "[1,5)", "[1,6)", &["empty", "(,)", "[7,)"]),
    Case("numrange", "[1.10,2.0]", "[1.1,2.0]", &["empty"]),
    Case(
        "tsrange",
        "[2024-02-29 12:34,2024-03-01)",
        "(2024-02-29 12:34,2024-03-01)",
        &["[2024-01-01,infinity)"],
    ),
    Case("int4multirange", "{[1,3),[5,7)}", "{[1,3),[5,8)}", &["{}"]),
    Case("hstore", "a=>1, b=>NULL, \"c d\"=>\"x\\\"y\"", "a=>1, b=>2", &[""]),
    Case("int[]", "{1,-2,NULL}", "{1,-2}", &["{}", "{{1,2},{3,4}}"]),
    Case("text[]", "{a,NULL,\"b,c\"}", "{a,NULL,b,c}", &["{\"\",\"NULL\"}"]),
    Case("numeric(6,2)[]", "{1.50,NULL,-1234.56}", "{1.51,NULL,-1234.56}", &[]),
    Case("timestamp[]", "{2024-02-29 12:34:56.789}", "{2024-02-29 12:34:56.788}", &["{infinity}"]),
    Case("pair", "(-5,\"a b\")", "(-5,ab)", &["(,)"]),
    Case("price", "12.30", "12.31", &[]),
    Case("tsvector", "'a':1 'b'", "'a':2 'b'", &[]),
    Case("tsquery", "'a' & !'b'", "'a' & 'b'", &[]),
    Case("pg_lsn", "16/B374D848", "16/B374D849", &[]),
    Case("macaddr8", "08:00:2b:01:02:03:04:05", "08:00:2b:01:02:03:04:06", &[]),
    Case("jsonpath", "$.\"a\"[*]", "$.\"b\"[*]", &[]),
    Case("circle", "<(1,2),3.5>", "<(1,2),3>", &[]),
];

/// Where the column of a geometric type is a record, it is not compared.
const CIRCLE: usize = CASES.len() - 1;

/// Streams the cases, has rows change behind walbrook's back, and wants just those to differ.
fn judge(name: &str, changes: &[(&str, &str)], unjudged: &[usize]) {
    run(TEST_LIMIT, async {
        let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let columns = CASES.iter().enumerate();
        let columns: String = columns.map(|(at, Case(of, ..))| format!(", c{at} {of}")).collect();
        let ddl = format!(
            "CREATE EXTENSION hstore;
             CREATE TYPE mood AS ENUM ('sad', 'o,k');
             CREATE TYPE pair AS (a int, b text);
             CREATE DOMAIN price AS numeric(10, 2);
             CREATE TABLE t (id int PRIMARY KEY{columns})"
        );
        let mut flow = start(name, &["t"], &ddl, changes).await;
        let ordinary: String =
            CASES.iter().map(|Case(_, value, ..)| format!(", {}", literal(value))).collect();
        let count = CASES.len();
        let mut statements = format!(
            "INSERT INTO t SELECT i{ordinary} FROM generate_series(0, {}) i; \
             INSERT INTO t VALUES (1000);",
            count - 1
        );
        for (at, Case(.., others)) in CASES.iter().enumerate() {
            for (number, value) in others.iter().enumerate() {
                let (id, value) = (2000 + at * 10 + number, literal(value));
                let _ = write!(statements, "INSERT INTO t (id, c{at}) VALUES ({id}, {value});");
            }
        }
        flow.execute(&statements).await;
        flow.drain().await;
        // What is changed now the stream does not say.
        flow.execute("ALTER PUBLICATION walbrook SET (publish = 'insert')").await;
        let mut statements = String::new();
        for (at, Case(_, _, other, _)) in CASES.iter().enumerate() {
            let _ = write!(statements, "UPDATE t SET c{at} = {} WHERE id = {at};", literal(other));
        }
        flow.execute(&statements).await;
        let tables = told(&flow.config, &[], 8);
        let table = &tables[0];
        let left = table["columns_not_compared"].as_array().unwrap();
        let left: Vec<_> = left.iter().map(|column| column["column"].clone()).collect();
        let wanted: Vec<Value> = unjudged.iter().map(|at| json!(format!("c{at}"))).collect();
        assert_eq!(left, wanted, "{table}");
        let keys = table["keys"].as_array().unwrap().iter();
        let key = |key: &Value| key["key"]["id"].as_str().unwrap().parse().unwrap();
        let mut found: Vec<usize> = keys.map(key).collect();
        found.sort_unstable();
        let wanted: Vec<_> = (0..count).filter(|at| !unjudged.contains(at)).collect();
        assert_eq!(found, wanted, "{table}");
        // All others are alike: the values that some cannot hold, and a row of NULLs.
        let others: usize = CASES.iter().map(|Case(.., others)| others.len()).sum();
        assert_eq!(table["alike"], 1 + others + unjudged.len(), "{table}");
    });
}

#[test]
fn debeziums_types() {
    let values = ("values", "on_unrepresentable = \"null\"");
    judge("debezium", &[values], &[CIRCLE]);
}

#[test]
fn avros_own_types() {
    let values = ("values", "representation = \"avro\"\non_unrepresentable = \"text\"");
    judge("avro", &[values], &[]);
}

#[test]
fn texts() {
    let values = (
        "values",
        "time = \"isostring\"\ndecimal = \"string\"\ninterval = \"string\"\nbinary = \"base64\"\n\
         hstore = \"map\"\ngeometric = \"text\"\non_unrepresentable = \"null\"",
    );
    judge("texts", &[values], &[]);
}

#[test]
fn json_of_few_digits() {
    let values = (
        "values",
        "time = \"connect\"\ndecimal = \"double\"\nbinary = \"hex\"\ngeometric = \"text\"\n\
         on_unrepresentable = \"text\"",
    );
    let tables = ("tables", "value_format = \"json\"\nkey_format = \"string\"");
    judge("json", &[values, tables], &[]);
}

#[test]
fn json_with_schemas_in_nanoseconds() {
    let values = (
        "values",
        "time = \"nanoseconds\"\nbinary = \"base64-url-safe\"\ngeometric = \"text\"\n\
         on_unrepresentable = \"null\"",
    );
    let tables = ("tables", "value_format = \"json_schemas\"\nkey_format = \"json_schemas\"");
    judge("nanoseconds", &[values, tables], &[]);
}
