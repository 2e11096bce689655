//! Values: every common type in binary and in text form, what cannot be represented, and types that
//! nobody knows. How rows change is in [`rows`], how schemas do in [`evolution`], text without an encoding in [`unencoded`].

mod identities;
mod rows;
mod unencoded;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;

use crate::support::flow::{
    Flow, LIMIT, config, drained, edit, ends_with, lines_at, plain, position, query, said, told,
};
use crate::support::stack::{Space, shared};
use crate::support::walbrook::Walbrook;
use crate::support::{records, run};

const TEST_LIMIT: Duration = Duration::from_secs(240);

/// What no type depends on, so that a session that takes these from the database reads texts wrong.
const HOSTILE: &str = "
    ALTER DATABASE CURRENT_DATABASE SET DateStyle = 'SQL, DMY';
    ALTER DATABASE CURRENT_DATABASE SET IntervalStyle = 'sql_standard';
    ALTER DATABASE CURRENT_DATABASE SET TimeZone = 'Asia/Kolkata';
    ALTER DATABASE CURRENT_DATABASE SET bytea_output = 'escape';
    ALTER DATABASE CURRENT_DATABASE SET extra_float_digits = -5;
    ALTER DATABASE CURRENT_DATABASE SET client_encoding = 'LATIN1';
    ALTER DATABASE CURRENT_DATABASE SET search_path = 'nowhere';
    ALTER DATABASE CURRENT_DATABASE SET standard_conforming_strings = off;
";

const TYPES: &str = "
    CREATE EXTENSION citext;
    CREATE TYPE mood AS ENUM ('sad', 'so-so', 'happy ever, \"after\"');
    CREATE DOMAIN cents AS numeric(10, 2) CHECK (VALUE < 1000000);
    CREATE DOMAIN label AS varchar(20);
    CREATE DOMAIN sublabel AS label;
    CREATE DOMAIN day AS date;
    CREATE DOMAIN wholes AS integer[];
";

const AS_IS: &str = "{}";
const BITS_4: &str = "encode(float4send({}), 'hex')";
const BITS_8: &str = "encode(float8send({}), 'hex')";
const HEX: &str = "encode({}, 'hex')";
const TEXT: &str = "{}::text";
const DAYS: &str = "{} - DATE '1970-01-01'";
const MICROS: &str = "(extract(epoch FROM {}) * 1000000)::bigint";
const MILLIS: &str = "(extract(epoch FROM {}) * 1000)::bigint";
const TRIMMED: &str = "trim_scale({})::text";
const ISO: &str = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";

/// Type, value, and what SELECT must say for the event to be right; `{}` is the column.
const CASES: &[(&str, &str, &str)] = &[
    ("boolean", "true", AS_IS),
    ("boolean", "false", AS_IS),
    ("smallint", "-32768", AS_IS),
    ("smallint", "32767", AS_IS),
    ("integer", "-2147483648", AS_IS),
    ("integer", "2147483647", AS_IS),
    ("integer", "-64", AS_IS),
    ("bigint", "-9223372036854775808", AS_IS),
    ("bigint", "9223372036854775807", AS_IS),
    ("real", "-0", BITS_4),
    ("real", "NaN", BITS_4),
    ("real", "-Infinity", BITS_4),
    ("real", "1e-45", BITS_4),
    ("real", "3.4028235e38", BITS_4),
    ("real", "0.1", BITS_4),
    ("double precision", "-0", BITS_8),
    ("double precision", "NaN", BITS_8),
    ("double precision", "Infinity", BITS_8),
    ("double precision", "5e-324", BITS_8),
    ("double precision", "1.7976931348623157e308", BITS_8),
    ("double precision", "0.1", BITS_8),
    ("numeric(12, 2)", "9999999999.99", "trunc({} * 100)::text"),
    ("numeric(12, 2)", "-0.01", "trunc({} * 100)::text"),
    ("numeric(12, 2)", "0", "trunc({} * 100)::text"),
    ("numeric(12, 2)", "1.28", "trunc({} * 100)::text"),
    ("numeric(5)", "-12345", TEXT),
    ("numeric(38, 38)", "-0.99999999999999999999999999999999999999", "trunc({} * 1e38)::text"),
    ("numeric(39)", "-999999999999999999999999999999999999999", TEXT),
    ("numeric(39)", "170141183460469231731687303715884105728", TEXT),
    ("numeric(39)", "-170141183460469231731687303715884105728", TEXT),
    ("numeric(1000, 500)", "1e-500", "trunc({} * ('1e500'::numeric))::text"),
    ("numeric(2, 5)", "0.00012", "trunc({} * 100000)::text"),
    ("numeric(3, -2)", "12300", TRIMMED),
    ("numeric", "3.14159265358979323846264338327950288", TRIMMED),
    ("numeric", "-3.14000", TRIMMED),
    ("numeric", "0.000", TRIMMED),
    ("numeric", "100", TRIMMED),
    ("numeric", "1e1000", TRIMMED),
    ("numeric", "-1e-1000", TRIMMED),
    ("numeric", "-123456789012345678901234567890123456789012345678901234567890.0123", TRIMMED),
    ("text", "", AS_IS),
    ("text", "crème brûlée 🚲 \u{1}\t\n\\N \\x00 NULL", AS_IS),
    ("varchar(5)", "äöü€🚲", AS_IS),
    ("varchar", "NULL", AS_IS),
    // A cast of char(n) to text cuts the blanks off.
    ("char(8)", "pad", "rpad({}::text, 8)"),
    ("char", "x", TEXT),
    ("name", "a_name", TEXT),
    ("citext", "MiXed", TEXT),
    ("bytea", "\\x00ff5c78", HEX),
    ("bytea", "\\x", HEX),
    ("uuid", "6F1E1B7C-0D1F-4B6E-9A53-3C1F0E3A5D11", TEXT),
    ("uuid", "00000000-0000-0000-0000-000000000000", TEXT),
    ("date", "2024-02-29", DAYS),
    ("date", "1969-12-31", DAYS),
    ("date", "0044-03-15 BC", DAYS),
    ("date", "4714-11-24 BC", DAYS),
    ("date", "5874897-12-31", DAYS),
    ("time", "24:00:00", MICROS),
    ("time", "00:00:00.000001", MICROS),
    ("time", "23:59:59.999999", MICROS),
    ("time(3)", "23:59:59.999", MILLIS),
    ("time(0)", "24:00:00", MILLIS),
    ("time(4)", "12:00:00.1234", MICROS),
    ("timetz", "12:34:56.7+02", "'10:34:56.7Z'::text"),
    ("timetz", "24:00:00+00", "'24:00:00Z'::text"),
    ("timetz", "00:30:00+15:59:59", "'08:30:01Z'::text"),
    ("timetz(0)", "23:00:00-15:30", "'14:30:00Z'::text"),
    ("timestamp", "2024-02-29 12:34:56.123456", MICROS),
    ("timestamp", "1969-12-31 23:59:59.999999", MICROS),
    ("timestamp", "4714-11-24 00:00:00 BC", MICROS),
    ("timestamp", "294246-12-31 23:59:59.999999", MICROS),
    ("timestamp(3)", "1900-01-01 00:00:00.001", MILLIS),
    ("timestamp(0)", "9999-12-31 23:59:59", MILLIS),
    ("timestamptz", "2024-02-29 12:34:56.123456+05:30", ISO),
    ("timestamptz", "0001-01-01 00:00:00+00", ISO),
    ("timestamptz", "294276-12-31 23:59:59.999999+00", "'+294276-12-31T23:59:59.999999Z'::text"),
    ("timestamptz", "4714-11-24 00:00:00+00 BC", "'-4713-11-24T00:00:00.000000Z'::text"),
    ("timestamptz", "0001-12-31 23:00:00+00 BC", "'0000-12-31T23:00:00.000000Z'::text"),
    ("timestamptz", "infinity", TEXT),
    ("timestamptz", "-infinity", TEXT),
    ("timestamptz(0)", "2024-02-29 12:34:56+00", "'2024-02-29T12:34:56Z'::text"),
    ("timestamptz(3)", "2024-02-29 12:34:56.1+00", "'2024-02-29T12:34:56.100Z'::text"),
    ("interval", "3 days 04:05:06.000007", MICROS),
    ("interval", "-1 days -00:00:01", MICROS),
    ("interval", "-1 days +23:00:00", MICROS),
    ("interval", "1 mon", "2629800000000"),
    ("interval", "-2 years 1 mon 3 days", "-60226200000000"),
    ("interval", "0", "0"),
    ("json", "{\"a\" : [1, 2.50, null], \"a\": \"\\u00e9\"}", TEXT),
    ("jsonb", "{\"b\": {\"c\": \"d\"}, \"e\": [], \"n\": 1e2}", TEXT),
    ("jsonb", "null", TEXT),
    ("mood", "so-so", TEXT),
    ("mood", "happy ever, \"after\"", TEXT),
    ("cents", "-12.30", "trunc({} * 100)::text"),
    ("label", "röd", TEXT),
    ("sublabel", "", TEXT),
    ("day", "2024-02-29", DAYS),
    ("wholes", "{1,NULL}", AS_IS),
    ("boolean[]", "{t,NULL,f}", AS_IS),
    ("smallint[]", "{-32768,NULL}", AS_IS),
    ("integer[]", "{1,NULL,-3}", AS_IS),
    ("integer[]", "{}", AS_IS),
    ("integer[]", "[5:6]={7,8}", AS_IS),
    ("bigint[]", "{9223372036854775807}", AS_IS),
    ("real[]", "{-0,NULL}", "'[\"80000000\", null]'::jsonb"),
    ("double precision[]", "{0.5}", "'[\"3fe0000000000000\"]'::jsonb"),
    ("numeric(8, 3)[]", "{1.000,-2.125,NULL}", "'[\"1000\", \"-2125\", null]'::jsonb"),
    ("numeric[]", "{1.50,-1e20,NULL}", "'[\"1.5\", \"-100000000000000000000\", null]'::jsonb"),
    ("text[]", "{\"a\",\"\",NULL,\"NULL\",\"b,\\\"c\",\"back\\\\slash\",\" sp \",\"{}\",ü}", AS_IS),
    ("varchar(3)[]", "{abc,NULL}", AS_IS),
    ("char(3)[]", "{a,bcd}", "'[\"a  \", \"bcd\"]'::jsonb"),
    ("name[]", "{abc,NULL}", AS_IS),
    ("citext[]", "{AbC,\"\"}", AS_IS),
    ("bytea[]", "{\"\\\\x00ff\",NULL,\"\\\\x\"}", "'[\"00ff\", null, \"\"]'::jsonb"),
    ("uuid[]", "{6f1e1b7c-0d1f-4b6e-9a53-3c1f0e3a5d11,NULL}", AS_IS),
    ("date[]", "{1970-01-02,NULL,0001-01-01}", "'[1, null, -719162]'::jsonb"),
    ("time[]", "{00:00:01,24:00}", "'[1000000, 86400000000]'::jsonb"),
    ("timetz[]", "{01:00+01}", "'[\"00:00:00Z\"]'::jsonb"),
    ("timestamp[]", "{\"1970-01-01 00:00:01\",NULL}", "'[1000000, null]'::jsonb"),
    (
        "timestamptz[]",
        "{\"1969-12-31 23:59:59.5+00\",infinity,NULL}",
        "'[\"1969-12-31T23:59:59.500000Z\", \"infinity\", null]'::jsonb",
    ),
    ("interval[]", "{1 day,NULL}", "'[86400000000, null]'::jsonb"),
    ("json[]", "{\"{\\\"a\\\": 1}\",NULL}", "'[\"{\\\"a\\\": 1}\", null]'::jsonb"),
    ("jsonb[]", "{\"[1,2]\"}", "'[\"[1, 2]\"]'::jsonb"),
    ("mood[]", "{sad,NULL,\"happy ever, \\\"after\\\"\"}", AS_IS),
    ("cents[]", "{1.25,NULL}", "'[\"125\", null]'::jsonb"),
    ("label[]", "{a,NULL}", AS_IS),
];

/// Both forms of the stream give the same bytes, and these say what SELECT says.
#[test]
fn every_type_in_binary_and_in_text_form() {
    run(TEST_LIMIT, async {
        let columns = |suffix: &str| {
            let column = |(at, (kind, ..)): (usize, &(&str, &str, &str))| {
                let kind = if *kind == "char" { "char(1)" } else { kind };
                format!(", c{at} {kind} {suffix}")
            };
            CASES.iter().enumerate().map(column).collect::<String>()
        };
        let ddl = format!(
            "{TYPES}
            CREATE TABLE optional (id int PRIMARY KEY {});
            CREATE TABLE required (id int PRIMARY KEY {});
            CREATE PUBLICATION walbrook FOR TABLE optional, required;",
            columns(""),
            columns("NOT NULL"),
        );
        let mut binary = Flow::start(shared(), "types", &ddl, &[]).await;
        let settings = HOSTILE.replace("CURRENT_DATABASE", &binary.space.database);
        binary.execute(&settings).await;
        binary.stop();
        binary.restart().await;
        let text = second(&binary, "[replication]\n", "[replication]\nbinary = \"never\"\n").await;

        let values: Vec<_> =
            CASES.iter().map(|(_, value, _)| format!("E'{}'", escape(value))).collect();
        let values = values.join(", ");
        binary
            .execute(&format!(
                "INSERT INTO optional VALUES (1, {values}); INSERT INTO required VALUES (1, {values});
                 INSERT INTO optional (id) VALUES (2);"
            ))
            .await;
        binary.drain().await;
        drained(&binary.stack.postgres, &text.0, LIMIT).await.unwrap();

        for table in ["public.optional", "public.required"] {
            check_same_bytes(&binary, table);
            check_values(&binary, table).await;
        }
        let nulls = binary.records("public.optional");
        let nulls = plain(nulls.last().unwrap().value(&binary.stack.registry).unwrap());
        let mut fields = nulls["after"].as_object().unwrap().clone();
        assert_eq!(fields.remove("id"), Some(Value::from(2)));
        assert_eq!(fields.len(), CASES.len());
        assert!(fields.values().all(Value::is_null), "{nulls}");
        for (walbrook, is_binary) in [(&binary.walbrook, true), (&text.1, false)] {
            let holding =
                walbrook.wait_for(LIMIT, "holding", |line| line["is_binary"].is_boolean());
            assert_eq!(holding["is_binary"], is_binary);
            assert_eq!(lines_at(walbrook, "WARN"), Vec::<Value>::new());
        }
    });
}

/// A second pipeline with a slot of its own, into the same topics.
async fn second(flow: &Flow<'_>, from: &str, to: &str) -> (Space, Walbrook) {
    let first = &flow.space;
    let name = format!("{}_text", first.slot);
    let space = Space {
        database: first.database.clone(),
        slot: name.clone(),
        prefix: first.prefix.clone(),
        pipeline: name,
        http_port: crate::support::process::free_port(),
    };
    let config = config(flow.stack, &space, &[]).replace(from, to);
    let mut walbrook = Walbrook::spawn(&config);
    space.ready(&flow.stack.postgres, &mut walbrook).await;
    (space, walbrook)
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\'', "\\'")
}

/// Every change has two records, alike but for the time when they were written.
fn check_same_bytes(flow: &Flow<'_>, table: &str) {
    let mut twins: HashMap<_, Vec<records::Record>> = HashMap::new();
    for record in flow.records(table) {
        twins.entry(position(&record)).or_default().push(record);
    }
    for (position, twins) in twins {
        let [one, other] = &twins[..] else { panic!("{position:?}: {} records", twins.len()) };
        let registry = &flow.stack.registry;
        assert_eq!(told(registry, one), told(registry, other));
        let [one_bytes, other_bytes] = [one, other].map(|record| {
            let value = record.value.as_deref().unwrap();
            // ts_ms, ts_us and ts_ns: 6, 8 and 9 bytes until 2039, each after its union's branch.
            value[..value.len() - 26].to_vec()
        });
        assert_eq!(one_bytes, other_bytes, "{table} {position:?}");
        assert_eq!((&one.key, &one.headers), (&other.key, &other.headers));
    }
}

/// The first row's event says what SELECT says.
async fn check_values(flow: &Flow<'_>, table: &str) {
    flow.client
        .batch_execute("RESET ALL; SET TimeZone = 'UTC'; SET client_encoding = 'UTF8'")
        .await
        .unwrap();
    let expressions = CASES.iter().enumerate().map(|(at, (_, _, expression))| {
        format!("to_jsonb({})", expression.replace("{}", &format!("c{at}")))
    });
    let expressions: Vec<_> = expressions.collect();
    let select = format!("SELECT {} FROM {table} WHERE id = 1", expressions.join(", "));
    let rows = query(&flow.client, &select).await;
    let event = flow.records(table)[0].value(&flow.stack.registry).unwrap();
    let event = plain(event);
    for (at, (case, wanted)) in CASES.iter().zip(&rows[0]).enumerate() {
        let wanted: Value = serde_json::from_str(wanted).unwrap();
        assert_eq!(event["after"][format!("c{at}")], wanted, "{table}: {case:?}");
    }
}

/// The pipeline stops; the error names table, column and position, and no value.
#[test]
fn values_that_have_no_representation_stop_the_pipeline() {
    const SECRET: &str = "cAnArY-8731";
    let cases = [
        ("a numeric", "'NaN'", "numeric NaN"),
        ("b numeric(5, 2)", "'NaN'", "numeric NaN"),
        ("c numeric", "'Infinity'", "numeric Infinity"),
        ("d date", "'infinity'", "date infinity"),
        ("e timestamp", "'-infinity'", "timestamp -infinity"),
        ("f interval", "'infinity'", "interval infinity"),
        ("g interval", "'178000000 years'", "interval"),
        ("h timestamp", "'294276-12-31 23:59:59.999999'", "timestamp"),
        ("i integer[]", "'{{87123001,87123002},{87123003,87123004}}'", "dimension"),
        ("j text[]", "'{{cAnArY-8731},{x}}'", "dimension"),
        ("k date[]", "'{1970-01-01,infinity}'", "date infinity"),
    ];
    run(TEST_LIMIT, async {
        let stack = shared();
        let space = Space::new(&stack.postgres, "refused").await;
        let mut walbrooks = Vec::new();
        for (at, (column, ..)) in cases.iter().enumerate() {
            let ddl = format!(
                "CREATE TABLE t{at} (id text PRIMARY KEY, before text, {column}, after text);
                 CREATE PUBLICATION walbrook{at} FOR TABLE t{at};"
            );
            stack.postgres.execute(&space.database, &ddl).await;
            let own = Space {
                database: space.database.clone(),
                slot: format!("{}_{at}", space.slot),
                prefix: space.prefix.clone(),
                pipeline: format!("{}_{at}", space.slot),
                http_port: crate::support::process::free_port(),
            };
            let config = config(stack, &own, &[("log", "level = \"debug\"")])
                .replace("\"walbrook\"", &format!("\"walbrook{at}\""));
            let config = if at % 2 == 0 {
                config
            } else {
                edit(&config, "replication", "binary = \"never\"")
            };
            let mut walbrook = Walbrook::spawn(&config);
            own.ready(&stack.postgres, &mut walbrook).await;
            walbrooks.push(walbrook);
        }
        for (at, (_, value, _)) in cases.iter().enumerate() {
            let insert =
                format!("INSERT INTO t{at} VALUES ('{SECRET}', '{SECRET}', {value}, '{SECRET}')");
            stack.postgres.execute(&space.database, &insert).await;
        }
        for (at, ((column, _, what), walbrook)) in cases.iter().zip(&mut walbrooks).enumerate() {
            let error = ends_with(walbrook, 4);
            println!("{error}");
            let name = column.split(' ').next().unwrap();
            let text = walbrook.log().join("\n");
            for part in [&format!("public.t{at}"), &format!("column {name}"), "/", what] {
                assert!(error.contains(part), "{part:?} is not in: {error}");
            }
            for value in [SECRET, "8712300"] {
                assert!(!text.contains(value), "{value} is in the log of {column}");
            }
        }
    });
}

/// The same rows, which come in binary form, and in text form where another column needs that.
async fn rare_types(
    name: &str,
    (last_column, last_value): (&str, &str),
    told_value: &str,
) -> (bool, Vec<Value>) {
    let ddl = format!(
        "CREATE TYPE pair AS (a int, b text);
         CREATE DOMAIN host AS inet;
         CREATE TABLE t (
             id int PRIMARY KEY, a inet, b box, c pair, d cidr[], e int4range, g xml, h money,
             i pair[], j host, k tsvector, l bit(3), n numeric(5, 1) NOT NULL, v int2vector,
             z {last_column});
         CREATE PUBLICATION walbrook FOR TABLE t;"
    );
    let mut flow = Flow::start(shared(), name, &ddl, &[]).await;
    flow.execute(&format!(
        "INSERT INTO t VALUES (1, '10.0.0.1/8', '(1,2),(0,0)', '(1,\"x y\")',
            '{{10.0.0.0/8,NULL}}', '[1,5)', '<a/>', '$12.50', '{{\"(1,a)\"}}', '::1', 'a b',
            B'101', 1.5, '1 2', {last_value});
         INSERT INTO t (id, n) VALUES (2, 0);
         UPDATE t SET a = '10.0.0.2' WHERE id = 1;"
    ))
    .await;
    let told = flow.told("public.t").await;
    let row = |a: &str, z: &str| {
        format!(
            r#"{{"id":1,"a":"{a}","b":{BOX},"c":"(1,\"x y\")","d":["10.0.0.0/8",null],"e":"[1,5)","g":"<a/>","h":"1250","i":["(1,a)"],"j":"::1","k":"'a' 'b'","l":"05","n":"15","v":"1 2","z":{z}}}"#
        )
    };
    let wanted = [
        format!(r#"c {{"id":1}} null {}"#, row("10.0.0.1/8", told_value)),
        r#"c {"id":2} null {"id":2,"a":null,"b":null,"c":null,"d":null,"e":null,"g":null,"h":null,"i":null,"j":null,"k":null,"l":null,"n":"0","v":null,"z":null}"#.to_owned(),
        format!(r#"u {{"id":1}} null {}"#, row("10.0.0.2", told_value)),
    ];
    assert_eq!(told, wanted, "{told:#?}");
    let holding = flow.walbrook.wait_for(LIMIT, "holding", |line| line["is_binary"].is_boolean());
    let warnings = lines_at(&flow.walbrook, "WARN");
    flow.stop();
    (holding["is_binary"].as_bool().unwrap(), warnings)
}

/// `(1,2),(0,0)` as WKB: a polygon of one ring of five points, from the upper right on.
const BOX: &str = "{\"wkb\":\"01030000000100000005000000\
    000000000000f03f0000000000000040000000000000f03f0000000000000000\
    0000000000000000000000000000000000000000000000000000000000000040\
    000000000000f03f0000000000000040\",\"srid\":null,\"extensions\":{\"type\":\"box\"}}";

/// `<(1,2),3>`, its point also as WKB.
const CIRCLE: &str = "{\"center\":{\"x\":\"3ff0000000000000\",\"y\":\"4000000000000000\",\
    \"wkb\":\"0101000000000000000000f03f0000000000000040\",\"srid\":null},\
    \"radius\":\"4008000000000000\"}";

#[test]
fn rare_types_are_read_in_binary_form() {
    run(TEST_LIMIT, async {
        let (is_binary, warnings) = rare_types("rare", ("circle", "'<(1,2),3>'"), CIRCLE).await;
        assert!(is_binary);
        assert!(warnings.is_empty(), "{warnings:#?}");
    });
}

/// A type that nobody knows: text mode from the start, one warning for each column, and PostgreSQL's
/// text as the value.
#[test]
fn unknown_types_are_published_as_text() {
    run(TEST_LIMIT, async {
        let acl = ("aclitem[]", "'{postgres=r/postgres}'");
        let (is_binary, warnings) = rare_types("unknown", acl, "\"{postgres=r/postgres}\"").await;
        assert!(!is_binary);
        let [warning] = warnings.as_slice() else { panic!("{warnings:#?}") };
        assert_eq!(said(warning, "table"), "public.t");
        assert_eq!(said(warning, "column"), "z");
        assert_eq!(said(warning, "type_name"), "aclitem[]");
    });
}

/// The stream does not tell of a composite type that changes: its values do.
#[test]
fn a_composite_type_that_gets_an_attribute_in_mid_stream() {
    run(TEST_LIMIT, async {
        let mut flow = Flow::start(
            shared(),
            "attribute",
            "CREATE TYPE mood AS ENUM ('glad');
             CREATE TYPE pair AS (a int, b text);
             CREATE TABLE t (id int PRIMARY KEY, p pair);
             CREATE PUBLICATION walbrook FOR TABLE t;",
            &[],
        )
        .await;
        flow.execute("INSERT INTO t VALUES (1, '(1,x)')").await;
        flow.drain().await;
        flow.execute(
            "ALTER TYPE pair ADD ATTRIBUTE c mood; INSERT INTO t VALUES (2, '(2,y,glad)')",
        )
        .await;
        flow.execute("ALTER TYPE pair ADD ATTRIBUTE d regclass").await;
        flow.execute("INSERT INTO t VALUES (3, '(3,z,glad,t)')").await;
        let wanted = [
            r#"c {"id":1} null {"id":1,"p":"(1,x)"}"#,
            r#"c {"id":2} null {"id":2,"p":"(2,y,glad)"}"#,
            r#"c {"id":3} null {"id":3,"p":"(3,z,glad,t)"}"#,
        ];
        assert_eq!(flow.told("public.t").await, wanted);
        flow.stop();
    });
}

/// An unknown column appears while rows flow: text mode from the checkpoint, nothing lost or twice.
#[test]
fn an_unknown_column_in_mid_stream() {
    run(TEST_LIMIT, async {
        let mut flow = Flow::start(
            shared(),
            "midstream",
            "CREATE TABLE t (id serial PRIMARY KEY, n numeric(5, 1));
             CREATE TABLE other (id serial PRIMARY KEY, b double precision);
             CREATE PUBLICATION walbrook FOR TABLE t, other;",
            &[("batch", "target_records = 10\nmax_records = 20")],
        )
        .await;
        flow.execute("INSERT INTO t (n) SELECT g FROM generate_series(1, 100) g").await;
        flow.execute(
            "BEGIN; INSERT INTO t (n) SELECT g FROM generate_series(1, 100) g;
             ALTER TABLE t ADD COLUMN a aclitem[];
             INSERT INTO other (b) VALUES (0.1);
             INSERT INTO t (n, a) SELECT g, '{postgres=r/postgres}' FROM generate_series(1, 50) g;
             COMMIT;",
        )
        .await;
        flow.execute("ALTER TABLE t ADD COLUMN i regclass DEFAULT 'other'").await;
        flow.execute("INSERT INTO t (n) SELECT g FROM generate_series(1, 25) g").await;
        let told = flow.told("public.t").await;
        let ids: Vec<_> = flow
            .records("public.t")
            .iter()
            .map(|record| plain(record.key(&flow.stack.registry).unwrap())["id"].as_i64().unwrap())
            .collect();
        assert_eq!(ids, (1..=275).collect::<Vec<_>>());
        assert_eq!(told[0], r#"c {"id":1} null {"id":1,"n":"10"}"#);
        assert!(told[200].contains("postgres=r/postgres"), "{}", told[200]);
        assert_eq!(told[274], r#"c {"id":275} null {"id":275,"n":"250","a":null,"i":"other"}"#);
        let holding: Vec<_> = flow
            .walbrook
            .log()
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["is_binary"].as_bool())
            .collect();
        assert_eq!((holding.first(), holding.last()), (Some(&true), Some(&false)), "{holding:?}");
        let columns: Vec<_> = lines_at(&flow.walbrook, "WARN")
            .iter()
            .map(|line| said(line, "column").to_owned())
            .filter(|column| !column.is_empty())
            .collect();
        assert_eq!(columns, ["a", "i"]);
        flow.stop();
    });
}
