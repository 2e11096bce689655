//! docs/types.md: its table of types is written from the golden values, by the encoders themselves.

use std::fmt::Write;

use serde_json::Value as Json;

use super::golden::{self, Golden};
use super::page::{self, code};
use super::*;
use crate::encode::{Modes, Representation};

/// A type as the page calls it, the golden file's name of it, and the value that is shown.
const SHOWN: &[(&str, &str, &str)] = &[
    ("boolean", "boolean", "t"),
    ("smallint", "smallint", "-32768"),
    ("integer", "integer", "2147483647"),
    ("bigint", "bigint", "9223372036854775807"),
    ("oid, xid, cid", "oid", "4294967295"),
    ("real", "real", "1.5"),
    ("double precision", "double precision", "1.5"),
    ("numeric(p,s)", "numeric(12,2)", "-0.01"),
    ("numeric", "numeric", "0.00"),
    ("numeric(p,-s)", "numeric(5,-2)", "12300"),
    ("money", "money", "-$0.01"),
    ("text, citext, name, refcursor", "text", "hello world"),
    ("varchar(n)", "varchar(20)", "abc"),
    ("char(n)", "char(5)", "ab   "),
    ("\"char\"", "\"char\"", "a"),
    ("bytea", "bytea", "\\x00"),
    ("uuid", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("json", "json", "{\"b\" : 1,  \"a\":[true,null,\"x\\u0000\"], \"b\":2}"),
    ("jsonb", "jsonb", "{\"a\": [true, null, \"x\"], \"b\": 2}"),
    ("xml", "xml", "<a/>"),
    ("enum", "mood", "sad"),
    ("date", "date", "1969-12-31"),
    ("time, time(4..6)", "time", "12:34:56"),
    ("time(0..3)", "time(3)", "12:34:56.789"),
    ("time with time zone", "timetz", "12:34:56.789+02"),
    ("timestamp, timestamp(4..6)", "timestamp", "1999-12-31 23:59:59.999999"),
    ("timestamp(0..3)", "timestamp(3)", "2024-02-29 12:34:56.789"),
    ("timestamp with time zone", "timestamptz", "2024-02-29 12:34:56.789012+00"),
    ("timestamptz(n)", "timestamptz(3)", "2024-02-29 12:34:56.789+00"),
    ("interval", "interval day to second(2)", "P1DT2H3M4.57S"),
    ("bit, bit(1), varbit(1)", "bit", "1"),
    ("bit(n), varbit(n)", "bit(3)", "110"),
    ("inet", "inet", "10.1.2.3/8"),
    ("cidr", "cidr", "10.0.0.0/8"),
    ("macaddr, macaddr8", "macaddr", "08:00:2b:01:02:03"),
    ("point", "point", "(1.5,-2.25)"),
    ("line", "line", "{1,-1,0}"),
    ("lseg", "lseg", "[(1,2),(3,4.5)]"),
    ("box", "box", "(3,4),(1,2)"),
    ("path", "path", "[(1,2),(3,4)]"),
    ("polygon", "polygon", "((1,2),(3,4),(5,6))"),
    ("circle", "circle", "<(1,2),3.5>"),
    ("int4range", "int4range", "[1,5)"),
    ("numrange", "numrange", "[1.10,2.0]"),
    ("daterange", "daterange", "(,)"),
    ("int8range", "int8range", "[1,9223372036854775807)"),
    ("tstzrange", "tstzrange", "[\"2024-02-29 10:34:56.789+00\",\"2024-03-01 00:00:00+00\"]"),
    ("tsrange", "tsrange", "[\"2024-02-29 12:34:56.789\",\"2024-03-01 00:00:00\")"),
    ("multiranges", "int4multirange", "{[1,3),[5,7)}"),
    ("tsvector", "tsvector", "'a'"),
    ("tsquery", "tsquery", "'a' & 'b' | !'c'"),
    ("pg_lsn", "pg_lsn", "16/B374D848"),
    ("pg_snapshot, txid_snapshot", "pg_snapshot", "10:20:10,14,15"),
    ("xid8", "xid8", "18446744073709551615"),
    ("tid", "tid", "(0,1)"),
    ("int2vector, oidvector", "int2vector", "1 -2 3"),
    ("jsonpath", "jsonpath", "strict $.\"a\"[*]?(@ > 1)"),
    ("composite types", "pair", "(-5,\"a b\")"),
    ("domain over numeric(10,2)", "price", "12.30"),
    ("integer[]", "integer[]", "{1,-2,NULL,2147483647}"),
    ("text[]", "text[]", "{a,b}"),
    ("numeric(p,s)[]", "numeric(6,2)[]", "{1.50,NULL,-1234.56,0.00}"),
    ("hstore", "hstore", "\"e\"=>NULL, \"a b\"=>\"c\\\"d\""),
    ("pgvector's vector", "vector", "[1,2,3]"),
    ("pgvector's halfvec", "halfvec", "[1,2,3]"),
    ("pgvector's sparsevec", "sparsevec", "{1:1.5,3:2}/5"),
    ("PostGIS' geometry", "geometry", "0101000000000000000000F03F0000000000000040"),
    ("PostGIS' geography", "geography", "0101000020E61000003CDBA337DCC351C06D37C1374D374840"),
    ("ltree", "ltree", "Top.Science"),
    ("lquery, ltxtquery", "lquery", "Top.*.a@|b%"),
];

#[test]
fn the_table_of_types_is_what_the_encoders_write() {
    page::keep("types.md", "types", &table());
}

fn table() -> String {
    let values = golden::values();
    let mut table = "| PostgreSQL | value | `debezium`: Avro type | in Avro | in JSON | `avro`: Avro type | in Avro |\n\
        |---|---|---|---|---|---|---|\n"
        .to_owned();
    for (name, declared, text) in SHOWN {
        let is_it = |it: &&Golden| it.declared == *declared && it.text == text.as_bytes();
        let golden = values.iter().find(is_it).expect(declared);
        let debezium = Representation::Debezium(Modes::default());
        let [debezium, native] = [debezium, Representation::Avro]
            .map(|representation| Values { representation, ..Values::default() });
        let (json, ours) = (json(golden, &debezium), avro(golden, &debezium));
        let (their_type, our_type) = (declared_as(golden, &debezium), declared_as(golden, &native));
        let cells =
            [name, *text, their_type.as_str(), &ours, &json, &our_type, &avro(golden, &native)];
        let cells = cells.map(|cell| format!(" {} |", code(cell)));
        writeln!(table, "|{}", cells.concat()).unwrap();
    }
    table
}

fn json(golden: &Golden, values: &Values) -> String {
    let encoder = ColumnEncoder::compile(&golden.kind, false, Notation::Json, values);
    let mut out = Vec::new();
    encoder.encode(Column::Binary(&golden.binary), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The value as a reader of Avro has it.
fn avro(golden: &Golden, values: &Values) -> String {
    let encoder = ColumnEncoder::compile(&golden.kind, false, Notation::Avro, values);
    let mut out = Vec::new();
    encoder.encode(Column::Binary(&golden.binary), &mut out).unwrap();
    let schema = schema_of(golden, values);
    let record = Schema::parse(&schema).unwrap();
    let reader = GenericDatumReader::builder(&record).build().unwrap();
    let Value::Record(mut fields) = reader.read_value(&mut out.as_slice()).unwrap() else {
        panic!("no record")
    };
    told(&fields.pop().unwrap().1)
}

fn told(value: &Value) -> String {
    let list = |values: Vec<String>| values.join(", ");
    match value {
        Value::Array(values) => format!("[{}]", list(values.iter().map(told).collect())),
        Value::Boolean(value) => value.to_string(),
        Value::Bytes(bytes) => format!("0x{}", hex(bytes)),
        Value::Date(days) => format!("{days} days"),
        Value::Decimal(value) => format!("0x{}", hex(&Vec::<u8>::try_from(value).unwrap())),
        Value::Double(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::LocalTimestampMicros(micros)
        | Value::TimeMicros(micros)
        | Value::TimestampMicros(micros) => format!("{micros} µs"),
        Value::Long(value) => value.to_string(),
        Value::Map(entries) => {
            let mut entries: Vec<_> =
                entries.iter().map(|(key, value)| format!("\"{key}\": {}", told(value))).collect();
            entries.sort();
            format!("{{{}}}", list(entries))
        }
        Value::Null => "null".to_owned(),
        Value::Record(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}: {}", told(value)));
            format!("{{{}}}", list(fields.collect()))
        }
        Value::String(text) => format!("\"{text}\""),
        Value::Union(_, value) => told(value),
        Value::Uuid(uuid) => format!("\"{uuid}\""),
        other => panic!("unexpected {other:?}"),
    }
}

fn schema_of(golden: &Golden, values: &Values) -> Json {
    schema::key("p", &[Field::new("v", &golden.kind, false)], values)
}

fn declared_as(golden: &Golden, values: &Values) -> String {
    short(&schema_of(golden, values)["fields"][0]["type"])
}

/// A schema in one line: the primitive, then what it means.
fn short(schema: &Json) -> String {
    match schema {
        Json::Array(branches) => branches.iter().map(short).collect::<Vec<_>>().join(" or "),
        Json::Object(attributes) => {
            let text = |name: &str| attributes.get(name).and_then(Json::as_str).unwrap_or_default();
            match text("type") {
                "array" => format!("array of ({})", short(&attributes["items"])),
                "map" => format!("map of ({})", short(&attributes["values"])),
                "record" => {
                    let fields = attributes["fields"].as_array().unwrap().iter();
                    let fields = fields.map(|field| {
                        format!("{}: {}", field["name"].as_str().unwrap(), short(&field["type"]))
                    });
                    let fields = fields.collect::<Vec<_>>().join(", ");
                    let name = format!("{}.{}", text("namespace"), text("name"));
                    format!("record {} {{{fields}}}", name.trim_start_matches('.'))
                }
                primitive => {
                    let meanings =
                        [text("connect.name"), text("connect.type"), text("logicalType")];
                    let meaning = meanings.into_iter().find(|meaning| !meaning.is_empty());
                    let digits = match (attributes.get("precision"), attributes.get("scale")) {
                        (Some(precision), Some(scale)) => format!("({precision}, {scale})"),
                        _ => String::new(),
                    };
                    format!("{primitive} {}{digits}", meaning.unwrap_or_default())
                }
            }
        }
        Json::String(name) => name.clone(),
        other => panic!("unexpected {other}"),
    }
}
