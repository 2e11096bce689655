//! What is told of columns while walbrook is killed, tables are parked, and columns come and go: each shape
//! once, just before the first row that has it.

use apache_avro::types::Value as Avro;
use serde_json::Value;

use super::Case;
use super::verify::field;
use crate::support::flow::{Place, position};
use crate::support::records::{self, Record};

/// What a topic has at a place.
enum Found {
    /// The names of a row's columns.
    Row(Vec<String>),
    Told(Value),
}

/// Holds what was told against the rows of each table.
pub(super) fn check(case: &Case) {
    let topic = |name: &str| format!("{}.{name}", case.space.prefix);
    let all = records::read_committed(&case.stack.kafka, &[&topic("schema-changes")]);
    let mut shapes = 0;
    for table in ["public.account", "public.line"] {
        let its = all.iter().filter(|it| it.key.as_deref() == Some(table.as_bytes()));
        let told = its.map(|it| {
            let value = serde_json::from_slice(it.value.as_ref().unwrap()).unwrap();
            (position(it), Found::Told(value))
        });
        let rows = records::read_committed(&case.stack.kafka, &[&topic(table)]);
        let rows = rows.iter().filter_map(|it| Some((position(it), Found::Row(row(case, it)?))));
        let mut found: Vec<_> = told.chain(rows).collect();
        found.sort_by_key(|(place, _)| *place);
        shapes += walk(table, found);
    }
    println!("kill test: {shapes} shapes were told of");
    assert!(4 < shapes);
}

/// How many shapes were told of.
fn walk(table: &str, found: Vec<(Place, Found)>) -> usize {
    let (mut now, mut announced, mut shapes) = (Value::Null, None, 0);
    for ((lsn, ordinal, part), found) in found {
        match found {
            Found::Told(value) => {
                assert_eq!(value["old"], now, "{table} at {lsn:?}#{ordinal}");
                assert_ne!(value["new"], now, "{table} at {lsn:?}#{ordinal}");
                now = value["new"].clone();
                announced = Some((lsn, ordinal, part + 1));
                shapes += 1;
            }
            Found::Row(names) => {
                let told = now.as_array().into_iter().flatten();
                let told: Vec<_> = told.map(|it| it["name"].as_str().unwrap()).collect();
                assert_eq!(names, told, "{table} at {lsn:?}#{ordinal}");
                let first = announced.take();
                assert!(first.is_none_or(|first| first == (lsn, ordinal, part)), "{first:?}");
            }
        }
    }
    assert_eq!(announced, None, "{table}");
    shapes
}

/// The columns of a record's row; `None` of a tombstone.
fn row(case: &Case, record: &Record) -> Option<Vec<String>> {
    let value = record.value(&case.stack.registry)?;
    let sides = ["after", "before"].map(|side| field(&value, side));
    let names = sides.into_iter().find_map(|side| match side {
        Avro::Record(fields) => Some(fields.iter().map(|(name, _)| name.clone()).collect()),
        _ => None,
    });
    Some(names.unwrap())
}
