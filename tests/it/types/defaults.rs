//! Defaults: a reader puts into a record from before a column was there what PostgreSQL puts into a
//! row from before.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use apache_avro::{AvroResult, Decimal, Schema};
use serde_json::{Value as Json, json};
use tokio_postgres::Client;
use walbrook::encode::schema::{self, Field};
use walbrook::encode::{ColumnEncoder, Notation, Representation, Values, default_of};
use walbrook::facts::TableFacts;
use walbrook::wal::{Column, RelationColumn};

use super::family::{Type, reason};
use super::judged::representations::representations;
use super::shown::short;
use super::{Place, roads};

/// Gives each hard value to a column as its default, lets a row take it, and says which schema has
/// another.
pub(super) async fn judge(place: &Place, types: &[&Type]) -> Vec<String> {
    let client = &place.client;
    let road = place.road().await;
    // PostgreSQL refuses to depend on a role.
    let can_have = |(_, judged): &(usize, &&Type)| judged.name != "regrole";
    let judgeable: Vec<_> = types.iter().enumerate().filter(can_have).collect();
    for (at, judged) in &judgeable {
        make(client, *at, judged).await;
    }
    let tables: Vec<_> = judgeable.iter().map(|(at, _)| format!("f{at}")).collect();
    let frames = road.frames(client, &tables, false).await;
    let (relations, rows) = roads::read(&frames);
    assert_eq!(relations.len(), judgeable.len());
    let mut catalog = place.catalog().await;
    let mut findings = Vec::new();
    for relation in &relations {
        let facts = catalog.describe(relation).await.unwrap();
        let judged = types[relation.name[1..].parse::<usize>().unwrap()];
        let (_, row) = rows.iter().find(|(id, _)| *id == relation.id).unwrap();
        for (column, stored) in relation.columns.iter().zip(row.columns()).skip(1) {
            let Column::Text(stored) = stored else { panic!("{stored:?}") };
            let written = judged.values().nth(column.name[1..].parse().unwrap()).unwrap();
            for (name, representation) in representations() {
                let found = column_of(column, &facts, representation, written, stored);
                let told = |finding: String| {
                    let [written, finding] = [written, &finding].map(short);
                    format!("{} as {name}, '{written}': {finding}", judged.name)
                };
                findings.extend(found.err().map(told));
            }
        }
    }
    findings
}

/// A table whose columns have the hard values as defaults: of the type and of the domain over it.
async fn make(client: &Client, at: usize, judged: &Type) {
    let default = |(column, value): (usize, &str)| {
        let literal = value.replace('\'', "''");
        let declared =
            |kind: &str, prefix| format!(", {prefix}{column} {kind} NOT NULL DEFAULT '{literal}'");
        declared(judged.name, 'v') + &declared(&format!("d{at}"), 'd')
    };
    let columns: String = judged.values().enumerate().map(default).collect();
    let made = client
        .batch_execute(&format!(
            "CREATE TABLE f{at} (id int PRIMARY KEY{columns});
            ALTER PUBLICATION walbrook ADD TABLE f{at};
            INSERT INTO f{at} (id) VALUES (1)"
        ))
        .await;
    made.unwrap_or_else(|error| panic!("{}: {}", judged.name, reason(&error)));
}

/// Compares the default of a field with the value of a row that took it.
fn column_of(
    column: &RelationColumn,
    facts: &TableFacts,
    representation: Representation,
    written: &str,
    stored: &[u8],
) -> Result<(), String> {
    let values = Values { representation, ..Values::default() };
    let kind = facts.types.resolve(column.type_oid, column.type_modifier);
    let text = facts.defaults.get(&column.name);
    let default = text.and_then(|text| default_of(&kind, None, text, &values));
    let default = default.as_ref();
    let field = Field { default, connect_default: default, ..Field::new("v", &kind, false) };
    let schema = schema::key("test", &[field], &values);
    let reads = Schema::parse(&schema).map_err(|error| error.to_string())?;
    let declared = &schema["fields"][0];
    let encoder = ColumnEncoder::compile(&kind, false, Notation::Avro, &values);
    let mut bytes = Vec::new();
    let encoded = encoder.encode(Column::Text(stored), &mut bytes);
    let read = GenericDatumReader::builder(&reads).build().unwrap();
    let row = encoded.map(|()| read.read_value(&mut bytes.as_slice()).unwrap());
    match (row, declared.get("default")) {
        (Err(_), None) => Ok(()),
        (Err(error), Some(default)) => Err(format!("{error}, but the default is {default}")),
        (Ok(row), None) if may_have_none(&row, written, stored) => Ok(()),
        (Ok(row), None) => Err(format!("no default, the row has {row:?}; {text:?}")),
        (Ok(row), Some(default)) => match of_reader(&reads, &row, default) {
            Ok(before) if before == row => Ok(()),
            other => Err(format!("a reader finds {other:?}, the row has {row:?}")),
        },
    }
}

/// What a reader of this schema finds in a record that has no such field.
fn of_reader(reads: &Schema, row: &Avro, default: &Json) -> AvroResult<Avro> {
    // apache-avro takes the characters' UTF-8 instead.
    let bytes = |text: &str| text.chars().map(|c| u8::try_from(c).unwrap()).collect::<Vec<u8>>();
    let value = match (field(row), default) {
        (Avro::Bytes(_), Json::String(text)) => Avro::Bytes(bytes(text)),
        (Avro::Decimal(_), Json::String(text)) => Avro::Decimal(Decimal::from(bytes(text))),
        _ => {
            let older = json!({"type": "record", "name": "Key", "namespace": "test", "fields": []});
            let older = Schema::parse(&older)?;
            let read = GenericDatumReader::builder(&older).reader_schema(reads).build()?;
            return read.read_value(&mut [].as_slice());
        }
    };
    Ok(Avro::Record(vec![("v".to_owned(), value)]))
}

fn field(row: &Avro) -> &Avro {
    let Avro::Record(fields) = row else { panic!("{row:?}") };
    &fields[0].1
}

/// Only primitives have defaults, and only values that are stored as they were written; JSON has no
/// number that is none.
fn may_have_none(row: &Avro, written: &str, stored: &[u8]) -> bool {
    match field(row) {
        Avro::Array(_) | Avro::Map(_) | Avro::Record(_) => true,
        Avro::Double(value) => !value.is_finite(),
        Avro::Float(value) => !value.is_finite(),
        _ => written.as_bytes() != stored,
    }
}
