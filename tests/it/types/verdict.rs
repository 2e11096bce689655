//! The judgement: both roads against each other, and what they give against the server.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use serde_json::Value as Json;
use tokio_postgres::Client;
use walbrook::encode::schema::{self, Field};
use walbrook::encode::{ColumnEncoder, Error, Notation, Values};
use walbrook::facts::TableFacts;
use walbrook::postgres::Catalog;
use walbrook::types::{Kind, Printed};
use walbrook::wal::{Column, Relation, RelationColumn};

use super::family::{self, Type};
use super::{literal, roads};
use crate::postgres::local;
use crate::support::postgres::Postgres;

/// Fills the tables of a family, reads them by both roads, and says what is wrong.
pub(super) async fn both_roads(
    server: &Postgres,
    database: &str,
    client: &Client,
    types: &[&Type],
) -> Vec<String> {
    let slot = roads::slot(client).await;
    for (at, judged) in types.iter().enumerate() {
        family::fill(client, at, judged.name).await;
    }
    let binary = roads::peek(client, &slot, true).await;
    let text = roads::peek(client, &slot, false).await;
    let (relations, text) = roads::read(&text);
    let (_, binary) = roads::read(&binary);
    assert_eq!(text.len(), binary.len());
    assert_eq!(relations.len(), types.len());
    assert!(family::RANDOM * types.len() < text.len());
    let mut catalog = Catalog::connect(&local(server, database)).await.unwrap();
    let mut findings = Vec::new();
    for relation in &relations {
        let facts = catalog.describe(relation).await.unwrap();
        let judged = types[relation.name[1..].parse::<usize>().unwrap()];
        let mut columns: Vec<_> =
            relation.columns.iter().map(|column| Judged::new(relation, column, &facts)).collect();
        for ((id, text), (_, binary)) in text.iter().zip(&binary) {
            if *id == relation.id {
                let id = number(text.columns().next().unwrap());
                for ((column, text), binary) in
                    columns.iter_mut().zip(text.columns()).zip(binary.columns())
                {
                    if let Err(finding) = column.value(judged, id, text, binary) {
                        findings.push(column.told(judged, &finding));
                    }
                }
            }
        }
        for column in &columns[1..] {
            let wrong = column.compare(client).await;
            findings.extend(wrong.iter().map(|finding| column.told(judged, finding)));
        }
    }
    findings
}

/// One column of a table.
pub(super) struct Judged {
    table: String,
    name: String,
    encoder: ColumnEncoder,
    schema: Json,
    avro: Schema,
    /// What is to be read back with SQL, by the row's id.
    decoded: Vec<(i32, String)>,
}

impl Judged {
    pub(super) fn new(relation: &Relation, column: &RelationColumn, facts: &TableFacts) -> Self {
        let kind = &facts.types.resolve(column.type_oid, column.type_modifier);
        let field = Field { name: "v", kind, optional: true };
        let record: Json = schema::key("test", &[field], &Values::default());
        let union = &record["fields"][0]["type"];
        Self {
            table: relation.name.clone(),
            name: column.name.clone(),
            encoder: ColumnEncoder::compile(kind, true, Notation::Avro, &Values::default()),
            avro: Schema::parse_str(&union.to_string()).unwrap(),
            schema: union[1].clone(),
            decoded: Vec::new(),
        }
    }

    fn value(
        &mut self,
        judged: &Type,
        id: i32,
        text: Column<'_>,
        binary: Column<'_>,
    ) -> Result<(), String> {
        let by_text = self.encode(text);
        if self.encoder.kind().is_known() {
            if matches!((text, binary), (Column::Text(_), Column::Text(_))) {
                return Err(format!("{}: it came as text by both roads", shown(text)));
            }
            let by_binary = self.encode(binary);
            if by_binary != by_text {
                let (text, bytes) = (shown(text), shown(binary));
                let roads = format!("text {}, binary {}", told(&by_text), told(&by_binary));
                return Err(format!("{text} (binary {bytes}): {roads}"));
            }
        }
        let Column::Text(value) = text else { return self.null(by_text) };
        let value = std::str::from_utf8(value).unwrap();
        let refused = self.refusal(judged, value);
        let bytes = match (by_text, refused) {
            (Ok(bytes), None) => bytes,
            (Err(_), Some(_)) => return Ok(()),
            (Err(error), None) => return Err(format!("{}: {error}", shown(text))),
            (Ok(_), Some(_)) if self.name != "v" => return Ok(()),
            (Ok(_), Some(reason)) => {
                return Err(format!("{value} is listed as refused ({reason}), but is not"));
            }
        };
        let decoded = self.arrives(value.as_bytes(), &bytes)?;
        if !self.is_text() {
            let text = match &decoded {
                Avro::Array(elements) if *self.leaf() == Kind::Printed(Printed::Box) => {
                    literal::array(&self.schema, elements, ";")
                }
                decoded => literal::literal(&self.schema, decoded),
            };
            self.decoded.push((id, text));
        }
        Ok(())
    }

    /// Decodes a field of a value that PostgreSQL prints as `text`; a string must be that.
    pub(super) fn arrives(&self, text: &[u8], bytes: &[u8]) -> Result<Avro, String> {
        match self.decode(bytes)? {
            Avro::String(string) if self.is_text() && string.as_bytes() != text => {
                Err(format!("{} arrives as {string:?}", shown(Column::Text(text))))
            }
            decoded => Ok(decoded),
        }
    }

    /// Whether a value is known to have no representation: the reason.
    fn refusal(&self, judged: &Type, value: &str) -> Option<&'static str> {
        if self.schema["type"] == "array" {
            let elements = value.split_once('=').map_or(value, |(bounds, elements)| {
                if bounds.starts_with('[') { elements } else { value }
            });
            if elements.starts_with("{{") {
                return Some("a schema of one dimension");
            }
        }
        let is_it = |refused: &str| match self.name.as_str() {
            "v" | "d" => value == refused,
            _ => value.contains(refused),
        };
        let found = judged.refused.iter().find(|(refused, _)| is_it(refused));
        found.map(|(_, reason)| *reason)
    }

    /// Sees that a field is null.
    pub(super) fn null(&self, bytes: Result<Vec<u8>, Error>) -> Result<(), String> {
        match bytes.as_deref().map(|bytes| self.decode(bytes)) {
            Ok(Ok(Avro::Null)) => Ok(()),
            other => Err(format!("NULL: {other:?}")),
        }
    }

    /// The field by the road that the column came by.
    pub(super) fn encode(&self, column: Column<'_>) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.encoder.encode(column, &mut bytes).map(|()| bytes)
    }

    /// Whether its strings are PostgreSQL's own text.
    fn is_text(&self) -> bool {
        *self.leaf() != Kind::Hstore && literal::is_text(&self.schema)
    }

    /// The kind of the value, or of an array's elements.
    fn leaf(&self) -> &Kind {
        match self.encoder.kind() {
            Kind::Array(element) => element,
            kind => kind,
        }
    }

    fn decode(&self, mut bytes: &[u8]) -> Result<Avro, String> {
        let reader = GenericDatumReader::builder(&self.avro).build().unwrap();
        let told = hex(bytes);
        match reader.read_value(&mut bytes) {
            Ok(Avro::Union(_, value)) if bytes.is_empty() => {
                Ok(literal::told_as(self.leaf(), *value))
            }
            other => Err(format!("{told} reads as {other:?}, {} bytes left", bytes.len())),
        }
    }

    /// Reads the decoded values back with SQL.
    async fn compare(&self, client: &Client) -> Vec<String> {
        let Self { table, name, schema, .. } = self;
        let column = format!(
            "SELECT format_type(atttypid, -1) FROM pg_attribute
            WHERE attrelid = '{table}'::regclass AND attname = '{name}'"
        );
        let kind: String = client.query_one(&column, &[]).await.unwrap().get(0);
        let ours = literal::kept(schema, &format!("(l.text::{kind})"));
        let theirs = literal::kept(schema, &format!("t.{name}"));
        let query = format!(
            "SELECT format('%s', t.{name}), l.text, ours, theirs
            FROM unnest($1::int[], $2::text[]) AS l (id, text) JOIN {table} AS t USING (id),
            LATERAL (SELECT {ours} AS ours, {theirs} AS theirs) AS both_sides
            WHERE t.{name} IS NULL OR ours IS DISTINCT FROM theirs"
        );
        let (ids, texts): (Vec<i32>, Vec<&str>) =
            self.decoded.iter().map(|(id, text)| (*id, text.as_str())).unzip();
        let rows = match client.query(&query, &[&ids, &texts]).await {
            Ok(rows) => rows,
            Err(error) => return vec![format!("read back: {}", family::reason(&error))],
        };
        let told = |at, row: &tokio_postgres::Row| short(row.get(at));
        let told = |row| {
            let [value, literal, ours, theirs] = [0, 1, 2, 3].map(|at| told(at, row));
            format!("{value} arrives as {literal}: {ours}, not {theirs}")
        };
        rows.iter().map(told).collect()
    }

    fn told(&self, judged: &Type, finding: &str) -> String {
        let Self { table, name, encoder, .. } = self;
        format!("{} ({table}.{name}, {:?}): {finding}", judged.name, encoder.kind())
    }
}

fn number(column: Column<'_>) -> i32 {
    let Column::Text(text) = column else { panic!("{column:?}") };
    std::str::from_utf8(text).unwrap().parse().unwrap()
}

fn told(outcome: &Result<Vec<u8>, Error>) -> String {
    match outcome {
        Ok(bytes) => short(&hex(bytes)),
        Err(error) => format!("\"{error}\""),
    }
}

/// A column as it came: its text, or its bytes as digits.
pub(super) fn shown(column: Column<'_>) -> String {
    match column {
        Column::Text(text) => short(&String::from_utf8_lossy(text)),
        Column::Binary(bytes) => short(&hex(bytes)),
        other => format!("{other:?}"),
    }
}

fn short(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const SHOWN_CHARS: usize = 200;
