//! Keys that differ become PostgreSQL's texts: those of rows, and those that the topic alone has, from
//! what its records say.

use std::collections::BTreeMap;
use std::time::Duration;

use walbrook::config::{self, Environment};
use walbrook::pipeline::{self, Compared, Comparison};
use walbrook::verify::Side;

use super::{TEST_LIMIT, start};
use crate::support::flow::query;
use crate::support::run;
use crate::support::walbrook::write_config;

/// A key's column: its type, values that the topic alone has, and values that the table alone has.
struct Case(&'static str, [&'static str; 3], [&'static str; 3]);

const CASES: &[Case] = &[
    Case("boolean", ["t", "f", "t"], ["f", "t", "f"]),
    Case("smallint", ["-32768", "0", "7"], ["32767", "1", "2"]),
    Case("integer", ["-2147483648", "0", "7"], ["2147483647", "1", "2"]),
    Case("bigint", ["-9223372036854775808", "0", "7"], ["9223372036854775807", "1", "2"]),
    Case("oid", ["4294967295", "0", "7"], ["4294967294", "1", "2"]),
    Case("text", ["a'b\"\\ü\n,{}", "", "NULL"], [" x ", "infinity", "text x"]),
    Case("varchar(10)", ["abc ", "", "text x"], ["a", "b", "c"]),
    Case("char(5)", ["ab", "", "abcde"], ["a", "b", "c"]),
    Case("\"char\"", ["a", "b", ""], ["c", "d", "e"]),
    Case("name", ["n", "m", "o p"], ["a", "b", "c"]),
    Case("bytea", ["\\x00ff3e3f", "\\x", "\\x5c27"], ["\\x01", "\\x02", "\\xfbef"]),
    Case(
        "uuid",
        [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ],
        [
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a14",
        ],
    ),
    Case("mood", ["o,k", "sad", "text x"], ["sad", "o,k", "sad"]),
    Case("numeric(12,2)", ["12.30", "-0.01", "9999999999.99"], ["0", "100", "1.5"]),
    Case("price", ["12.30", "-0.01", "99999999.99"], ["0", "100", "1.5"]),
    Case(
        "date",
        ["2024-02-29", "1969-12-31", "0044-03-15 BC"],
        ["1970-01-01", "2000-01-01", "4713-01-01 BC"],
    ),
    Case("time(3)", ["12:34:56.789", "00:00", "23:59:59.999"], ["00:00:00.001", "1:00", "2:00"]),
    Case(
        "timestamp(3)",
        ["2024-02-29 12:34:56.789", "1969-12-31 23:59:59.999", "0044-03-15 00:00 BC"],
        ["2001-01-01", "2002-01-01", "2003-01-01 00:00:00.001"],
    ),
    Case("inet", ["10.1.2.3/8", "::1", "10.1.2.3"], ["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    Case("cidr", ["10.0.0.0/8", "::/0", "10.1.2.3/32"], ["10.0.0.0/9", "11.0.0.0/8", "12.0.0.0/8"]),
    Case("pg_lsn", ["16/B374D848", "0/0", "FFFFFFFF/FFFFFFFF"], ["16/B374D849", "0/1", "0/2"]),
    Case("varbit(1)", ["1", "0", "1"], ["0", "1", "0"]),
    // Not in each representation.
    Case(
        "time",
        ["12:34:56.789012", "00:00", "23:59:59.999999"],
        ["00:00:00.000001", "1:00", "2:00"],
    ),
    Case(
        "timestamp",
        ["2024-02-29 12:34:56.789012", "1969-12-31 23:59:59.999999", "0044-03-15 00:00 BC"],
        ["2001-01-01", "2002-01-01", "2003-01-01 00:00:00.000001"],
    ),
    Case(
        "timestamptz",
        ["2024-02-29 12:34:56.789012+03", "1969-12-31 23:59:59.999999Z", "0044-03-15 00:00Z BC"],
        ["2001-01-01Z", "2002-01-01Z", "2003-01-01 00:00:00.000001Z"],
    ),
    Case("numeric", ["1.50", "1.6", "100"], ["1.7000", "2", "3"]),
    Case("timetz", ["12:34:56.789+02", "00:00Z", "1:00-05"], ["1:00Z", "2:00Z", "3:00Z"]),
    Case("interval", ["1 mon", "29 days", "1 hour"], ["2 mons", "3 days", "-1 hours"]),
    Case(
        "bit(10)",
        ["1000000001", "0000000001", "0000000000"],
        ["0000000010", "1100000000", "1111111111"],
    ),
    Case("double precision", ["0.1", "0", "1e300"], ["0.2", "NaN", "1"]),
    Case("money", ["1.01", "0", "-5"], ["1.02", "2", "3"]),
    Case("int4range", ["[1,5)", "empty", "(,)"], ["[1,6)", "[2,)", "[3,4)"]),
    Case("numrange", ["[1.10,2.0]", "empty", "(,)"], ["[1.1,2.00]", "[2,)", "[3,4)"]),
    Case("int[]", ["{1,2}", "{}", "{NULL}"], ["{1}", "{2}", "{3}"]),
];

/// Values that not every representation holds, with PostgreSQL's text in their place where one may be.
const ENDLESS: &[Case] = &[
    Case("date", ["infinity", "2024-02-29", "-infinity"], ["1970-01-01", "infinity", "2000-01-01"]),
    Case("timestamp", ["-infinity", "2024-02-29", "infinity"], ["infinity", "2001-01-01", "epoch"]),
    Case("numeric(6,1)", ["NaN", "1.0", "-1.5"], ["0", "NaN", "1.5"]),
];

/// Streams keys, takes their rows away and others in behind walbrook's back, and wants what it says of
/// them to be what PostgreSQL says. Columns of some types do not say their values exactly.
fn judge(name: &str, changes: &[(&str, &str)], more: &[Case], untold: &[&str]) {
    run(TEST_LIMIT, async {
        let (untold, told): (Vec<_>, Vec<_>) =
            CASES.iter().chain(more).partition(|case| untold.contains(&case.0));
        let ddl = "CREATE TYPE mood AS ENUM ('sad', 'o,k', 'text x');
                   CREATE DOMAIN price AS numeric(10, 2);";
        let ddl = [ddl, &table("told", &told), &table("untold", &untold)].concat();
        let mut flow = start(name, &["told", "untold"], &ddl, changes).await;
        let rows = |of: fn(&Case) -> [&'static str; 3]| {
            [insert("told", &told, of), insert("untold", &untold, of)].concat()
        };
        flow.execute("SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'").await;
        flow.execute(&rows(|case| case.1)).await;
        flow.drain().await;
        let texts: String = (0..told.len()).map(|at| format!(", format('%s', c{at})")).collect();
        let select = format!("SELECT format('%s', \"i d\"){texts} FROM told ORDER BY 1");
        let of_topic = query(&flow.client, &select).await;
        flow.execute("ALTER PUBLICATION walbrook SET (publish = 'truncate')").await;
        flow.execute(&format!("DELETE FROM told; DELETE FROM untold; {}", rows(|case| case.2)))
            .await;
        let of_table = query(&flow.client, &select).await;

        let config = write_config(&flow.config);
        let config = config::load(&config, &Environment::of_process()).unwrap();
        let wanted = Comparison {
            tables: &[],
            memory_bytes: 1 << 20,
            wait: Duration::from_secs(60),
            rounds: 5,
            keys_max: 0,
            values_bytes: 1 << 20,
        };
        let (compared, point) = Box::pin(pipeline::compare(&config, wanted)).await.unwrap();
        assert!(point.is_some());
        let [told, untold] = &compared[..] else { panic!("{compared:?}") };
        for table in [told, untold] {
            let outcome = table.outcome.as_ref().unwrap_or_else(|why| panic!("{why}"));
            assert_eq!((outcome.different, outcome.missing, outcome.extra), (0, 3, 3));
            assert_eq!(values(table, Side::Table).len(), 3);
        }
        assert_eq!(told.outcome.as_ref().unwrap().untold, BTreeMap::new());
        assert_eq!(values(told, Side::Topic), of_topic);
        assert_eq!(values(told, Side::Table), of_table);
        assert_eq!(values(untold, Side::Topic), [[""; 0]; 0]);
        let why: Vec<_> = untold.outcome.as_ref().unwrap().untold.iter().collect();
        let [(why, 3)] = why[..] else { panic!("{why:?}") };
        assert!(why.starts_with("the key's column \"c0\" as "), "{why}");
    });
}

/// A table whose key has all of these columns.
fn table(name: &str, cases: &[&Case]) -> String {
    let columns = cases.iter().enumerate().map(|(at, case)| format!(", c{at} {}", case.0));
    let columns: String = columns.collect();
    let key: String = (0..cases.len()).map(|at| format!(", c{at}")).collect();
    format!("CREATE TABLE {name} (\"i d\" int{columns}, PRIMARY KEY (\"i d\"{key}));")
}

fn insert(name: &str, cases: &[&Case], values: fn(&Case) -> [&'static str; 3]) -> String {
    let row = |row: usize| {
        let values: String =
            cases.iter().map(|case| format!(", {}", literal(values(case)[row]))).collect();
        format!("INSERT INTO {name} VALUES ({row}{values});")
    };
    (0..3).map(row).collect()
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The values of keys that one of both has.
fn values(table: &Compared, wanted: Side) -> Vec<Vec<String>> {
    let differences = table.outcome.iter().flat_map(|outcome| &outcome.differences);
    let wanted = differences.filter(|difference| difference.side == wanted);
    let mut values: Vec<_> = wanted.filter_map(|difference| difference.values.clone()).collect();
    values.sort();
    values
}

/// In no representation.
const NEVER: &[&str] = &["interval", "bit(10)", "double precision", "money"];

#[test]
fn debeziums_keys() {
    let untold = [NEVER, &["numeric", "timetz", "int[]"]].concat();
    judge("key_debezium", &[], &[], &untold);
}

#[test]
fn avros_own_keys() {
    let values = ("values", "representation = \"avro\"\non_unrepresentable = \"text\"");
    let untold = [NEVER, &["int[]", "int4range", "numrange"]].concat();
    judge("key_avro", &[values], ENDLESS, &untold);
}

#[test]
fn keys_as_texts() {
    let values = (
        "values",
        "time = \"isostring\"\ndecimal = \"string\"\ninterval = \"string\"\n\
         binary = \"base64-url-safe\"",
    );
    let tables = ("tables", "key_format = \"json\"");
    let untold = [NEVER, &["timetz", "int[]"]].concat();
    judge("key_texts", &[values, tables], ENDLESS, &untold);
}

#[test]
fn keys_of_few_digits() {
    let values = ("values", "time = \"connect\"\nbinary = \"base64\"");
    let untold = [NEVER, &["numeric", "timetz", "int[]", "time", "timestamp"]].concat();
    judge("key_connect", &[values], &[], &untold);
}
