//! Schemas that only grow: what is done to tables every day, under the registry's rule BACKWARD. Each
//! event has the columns that its table had then, and a reader of the newest schema reads them all.

mod cases;
mod checked;
mod defaults;
mod rules;
mod told;

use std::time::Duration;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use serde_json::Value;

use self::cases::{CASES, Case};
use crate::support::flow::{Flow, plain, query};
use crate::support::records::Record;
use crate::support::run;
use crate::support::stack::shared;

const TEST_LIMIT: Duration = Duration::from_secs(300);

/// How the stream meets what is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// While it is done.
    Live,
    /// Later: then the catalog has only what became of it.
    Later,
    /// While it is done, and killed after each step.
    Killed,
}

#[test]
fn what_is_done_to_a_table_stops_nothing() {
    evolve(Met::Live);
}

#[test]
fn what_was_done_while_nobody_read_stops_nothing() {
    evolve(Met::Later);
}

#[test]
fn what_is_done_between_kills_stops_nothing() {
    evolve(Met::Killed);
}

/// A row as it was, in a topic.
#[derive(Debug)]
struct Row {
    topic: String,
    id: i32,
    /// With the columns that the table had then, in their order.
    row: Value,
}

fn evolve(met: Met) {
    run(TEST_LIMIT, async {
        let all =
            "CREATE PUBLICATION walbrook FOR ALL TABLES WITH (publish_via_partition_root = true)";
        let mut flow = Flow::start(shared(), "evolution", all, &[]).await;
        for (number, case) in CASES.iter().enumerate() {
            flow.execute(&named(case.made, number)).await;
        }
        let mut rows: Vec<Vec<Row>> = CASES.iter().map(|_| Vec::new()).collect();
        let steps = CASES.iter().map(|case| case.steps.len()).max().unwrap();
        if met == Met::Later {
            flow.stop();
        }
        for step in 0..steps {
            for (number, case) in CASES.iter().enumerate() {
                if let Some(done) = case.steps.get(step) {
                    for statement in statements(&named(done.0, number)) {
                        flow.execute(&statement).await;
                    }
                    let table = named(done.1, number);
                    rows[number].push(row(&flow, &table, done.2).await);
                }
            }
            match met {
                Met::Live => flow.drain().await,
                Met::Killed => flow.restart_after_kill().await,
                Met::Later => {}
            }
        }
        if met == Met::Later {
            flow.restart().await;
        }
        flow.drain().await;
        for (case, rows) in CASES.iter().zip(&rows) {
            check(&flow, case, rows);
        }
        // What a restart meets is no news.
        let topics = rows.iter().map(|rows| &rows.last().unwrap().topic);
        let count = |flow: &Flow<'_>| -> Vec<usize> {
            let subject = |topic: &String| format!("{}-value", flow.topic(topic));
            topics.clone().map(|topic| flow.stack.registry.versions(&subject(topic))).collect()
        };
        let before = count(&flow);
        flow.restart_after_kill().await;
        let tables: Vec<_> = topics.clone().map(String::as_str).collect();
        flow.execute(&format!("TRUNCATE {}", tables.join(", "))).await;
        flow.drain().await;
        assert_eq!(count(&flow), before);
        flow.stop();
    });
}

/// Statements of a case for its table.
fn named(statements: &str, number: usize) -> String {
    let name = format!("t{number}");
    let mut out = String::new();
    let mut rest = statements;
    while let Some(at) = rest.find('T') {
        let (before, behind) = rest.split_at(at);
        let is_word = |c: char| c.is_ascii_alphanumeric();
        let begins = !before.ends_with(is_word);
        let ends = !behind[1..].starts_with(is_word);
        out.push_str(before);
        out.push_str(if begins && ends { &name } else { "T" });
        rest = &behind[1..];
    }
    out + rest
}

/// A new label may not be used in the transaction that adds it, which one message is.
fn statements(all: &str) -> Vec<String> {
    match all.split_once(';') {
        Some((first, rest)) if first.starts_with("ALTER TYPE") => {
            vec![first.to_owned(), rest.to_owned()]
        }
        _ => vec![all.to_owned()],
    }
}

async fn row(flow: &Flow<'_>, table: &str, id: i32) -> Row {
    let select = format!("SELECT to_json(t) FROM {table} AS t WHERE id = {id}");
    let text = query(&flow.client, &select).await.concat().concat();
    let topic = if table.contains('.') { table.to_owned() } else { format!("public.{table}") };
    Row { topic, id, row: serde_json::from_str(&text).unwrap() }
}

/// Of each row the event with its id has the columns and the values of its time; there is one event
/// for each of them, in their order.
fn check(flow: &Flow<'_>, case: &Case, rows: &[Row]) {
    let mut all: Vec<Record> = Vec::new();
    for row in rows {
        let records = flow.records(&row.topic);
        let has_row = |record: &&Record| {
            let value = record.value(&flow.stack.registry).map(plain);
            value.is_some_and(|value| same(&value["after"], &row.row, case))
        };
        let found: Vec<_> = records.iter().filter(has_row).collect();
        let told = || flow_told(flow, &records);
        assert_eq!(found.len(), 1, "{}: {} of {:?}", case.ddl, row.id, (&row.row, told()));
        all.push(found[0].clone());
    }
    if case.older.is_empty() {
        return;
    }
    let newest = all.last().unwrap();
    let first_in_topic = rows.iter().position(|row| row.topic == rows.last().unwrap().topic);
    for record in &all[first_in_topic.unwrap()..] {
        read_as(flow, record, newest);
    }
    if first_in_topic == Some(0) {
        let older = plain(read_as(flow, &all[0], newest));
        for expected in case.older {
            let (column, value) = expected.split_once(' ').unwrap();
            let today = today().to_string();
            let value = if value == "today" { &today } else { value };
            assert_eq!(older["after"][column].to_string(), value, "{}: {older}", case.ddl);
        }
    }
}

fn today() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs() / 86_400
}

fn flow_told(flow: &Flow<'_>, records: &[Record]) -> Vec<String> {
    let registry = &flow.stack.registry;
    records.iter().map(|record| crate::support::flow::told(registry, record)).collect()
}

/// Whether an event has exactly the columns of a row, in their order, and its values.
fn same(after: &Value, row: &Value, case: &Case) -> bool {
    let (Some(after), Some(row)) = (after.as_object(), row.as_object()) else { return false };
    let is_elsewhere = |name: &String| case.elsewhere.contains(&name.as_str());
    after.keys().eq(row.keys())
        && after.iter().all(|(name, value)| is_elsewhere(name) || row[name] == *value)
}

/// A record's value as a reader sees it that knows the schema of another, newer record.
fn read_as(flow: &Flow<'_>, record: &Record, newer: &Record) -> Avro {
    let registry = &flow.stack.registry;
    let schema = |record: &Record| {
        let id = record.value.as_ref().unwrap()[1..5].try_into().unwrap();
        registry.schema(u32::from_be_bytes(id))
    };
    let (writer, reader) = (schema(record), schema(newer));
    let reader = GenericDatumReader::builder(&writer).reader_schema(&reader).build().unwrap();
    reader.read_value(&mut &record.value.as_ref().unwrap()[5..]).unwrap()
}

#[test]
fn an_identity_that_changes_says_more_or_less_of_old_rows() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE memo (id int PRIMARY KEY, title text, body text);
                   CREATE PUBLICATION walbrook FOR TABLE memo";
        let mut flow = Flow::start(shared(), "memo", ddl, &[]).await;
        flow.execute("INSERT INTO memo VALUES (1, 't', 'text')").await;
        flow.drain().await;
        flow.execute(
            "ALTER TABLE memo REPLICA IDENTITY FULL;
             UPDATE memo SET title = 'u';
             ALTER TABLE memo REPLICA IDENTITY DEFAULT;
             UPDATE memo SET title = 'v'",
        )
        .await;
        let row = |title| format!(r#"{{"id":1,"title":"{title}","body":"text"}}"#);
        let told = [
            format!(r#"c {{"id":1}} null {}"#, row("t")),
            format!(r#"u {{"id":1}} {} {}"#, row("t"), row("u")),
            format!(r#"u {{"id":1}} null {}"#, row("v")),
        ];
        assert_eq!(flow.told("public.memo").await, told);
        flow.stop();
    });
}

/// `docs/evolution.md` has the cases, each once and in their order.
#[test]
fn the_page_has_what_is_done_here() {
    let page = include_str!("../../../docs/evolution.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let rows: Vec<_> = rows.filter(|row| *row != "what is done").collect();
    assert_eq!(rows, CASES.iter().map(|case| case.ddl).collect::<Vec<_>>());
}
