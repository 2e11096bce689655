//! docs/clients.md: what clients decode values to, and what goes wrong, from what they were seen to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::consumer::Client;
use super::judge::Verdict;
use super::{CLIENTS, JDBC_SINK, KAFKA_STREAMS, PYKAFKA};
use crate::support::page::{code, keep};

/// What was seen of a client, as a file of tests/golden/clients.
#[derive(Deserialize, PartialEq, Serialize)]
struct Recording {
    client: String,
    types: BTreeMap<String, BTreeMap<String, String>>,
}

/// Sees that the client did what is recorded of it. A recording of something else is written anew,
/// for the person who reads the difference.
pub(super) fn record(name: &str, verdict: &Verdict) {
    let all = |types: &BTreeSet<String>| {
        types.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
    };
    let types = verdict.types.iter().map(|(kind, columns)| {
        let columns = columns.iter().map(|(column, types)| (column.clone(), all(types)));
        (kind.clone(), columns.collect())
    });
    keep_recording(name, Recording { client: verdict.client.clone(), types: types.collect() });
}

fn keep_recording(name: &str, now: Recording) {
    if read(name).is_none_or(|recorded| recorded != now) {
        fs::create_dir_all(file(name).parent().unwrap()).unwrap();
        fs::write(file(name), serde_json::to_string_pretty(&now).unwrap() + "\n").unwrap();
        panic!("{name} does something else than is recorded: see git diff tests/golden/clients");
    }
}

/// The same of a program of which no types are known.
pub(super) fn record_version(name: &str, client: String) {
    keep_recording(name, Recording { client, types: BTreeMap::new() });
}

#[test]
fn the_page_says_what_is_recorded() {
    let mut part = overview();
    for (kind, setting) in KINDS {
        part += &format!("\n### What values become with {setting}\n\n{}", types(kind));
    }
    keep("clients.md", "clients", &part);
}

/// What a table's events are decoded to, by the topic's kind.
const KINDS: &[(&str, &str)] = &[
    ("debezium", "`representation = \"debezium\"`"),
    ("avro", "`representation = \"avro\"`"),
    ("json", "`value_format = \"json\"`"),
];

fn overview() -> String {
    let mut table = "| client | versions | what goes wrong as it is installed | what avoids it |\n|---|---|---|---|\n".to_owned();
    for client in CLIENTS {
        let troubles = client.troubles.iter().map(|trouble| (trouble.what, trouble.instead));
        rows(&mut table, client.name, troubles);
    }
    let programs =
        [("kafka-streams", KAFKA_STREAMS), ("jdbc-sink", JDBC_SINK), ("pykafka", PYKAFKA)];
    for (name, troubles) in programs {
        rows(&mut table, name, troubles.iter().copied());
    }
    table
}

/// A row for each thing that goes wrong with a client, and what avoids it.
fn rows<'a>(table: &mut String, name: &str, troubles: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut cells = [name.to_owned(), recorded(name).client];
    let mut troubles = troubles.peekable();
    if troubles.peek().is_none() {
        writeln!(table, "| {} | nothing that was seen | |", cells.join(" | ")).unwrap();
    }
    for (what, instead) in troubles {
        let [name, versions] = std::mem::take(&mut cells);
        writeln!(table, "| {name} | {versions} | {what} | {instead} |").unwrap();
    }
}

fn types(kind: &str) -> String {
    let of: Vec<_> = CLIENTS
        .iter()
        .filter_map(|client: &&Client| {
            let mut types = recorded(client.name).types;
            types.remove(kind).map(|types| (client.name, types))
        })
        .collect();
    let heads: String = of.iter().map(|(name, _)| format!(" {name} |")).collect();
    let mut table = format!("| PostgreSQL |{heads}\n|---|{}\n", "---|".repeat(of.len()));
    for (column, declared) in DECLARED {
        let cell = |types: &BTreeMap<String, String>| {
            types.get(*column).map_or_else(|| " |".to_owned(), |it| format!(" {} |", code(it)))
        };
        let cells: String = of.iter().map(|(_, types)| cell(types)).collect();
        writeln!(table, "| {} |{cells}", code(declared)).unwrap();
    }
    table
}

fn recorded(name: &str) -> Recording {
    read(name).unwrap_or_else(|| panic!("nothing is recorded of {name}"))
}

fn read(name: &str) -> Option<Recording> {
    serde_json::from_str(&fs::read_to_string(file(name)).ok()?).ok()
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(format!("{}/tests/golden/clients/{name}.json", env!("CARGO_MANIFEST_DIR")))
}

/// The types of the scene's columns.
const DECLARED: &[(&str, &str)] = &[
    ("flag", "boolean"),
    ("whole", "integer"),
    ("big", "bigint"),
    ("ratio", "double precision"),
    ("amount", "numeric(12,2)"),
    ("free", "numeric"),
    ("name", "text"),
    ("data", "bytea"),
    ("number", "uuid"),
    ("day", "date"),
    ("clock", "time"),
    ("moment", "timestamp"),
    ("zoned", "timestamptz"),
    ("span", "interval"),
    ("doc", "jsonb"),
    ("mood", "enum"),
    ("tags", "text[]"),
    ("wholes", "integer[]"),
];
