//! One column in one representation: what its fields are to be.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use serde_json::Value as Json;
use tokio_postgres::Client;
use walbrook::encode::schema::{self, Field};
use walbrook::encode::{
    BinaryMode, ColumnEncoder, DecimalMode, Error, GeometricMode, HstoreMode, IntervalMode, Modes,
    Notation, OnUnrepresentable, Representation, TimeMode, Values,
};
use walbrook::facts::TableFacts;
use walbrook::types::Kind;
use walbrook::wal::{Column, Relation, RelationColumn};

use self::as_json::{as_json, is_same};
use self::representations::representations;
use super::family::{self, Type};
use super::form::Form;
use super::kept::{kept, read_as};
use super::literal::{literal, text};
use super::shown::{hex, short, shown, told};

#[path = "../../../src/encode/tests/as_json.rs"]
mod as_json;
#[path = "../../../src/encode/tests/representations.rs"]
pub(super) mod representations;

/// One column of a table in one representation.
pub(super) struct Judged {
    table: String,
    name: String,
    representation: &'static str,
    form: Form,
    /// Of values that have a place; the others are refused.
    fields: Fields,
    /// The same in JSON.
    json: ColumnEncoder,
    /// With null in place of the others.
    or_null: Fields,
    /// With text in place of the others.
    or_text: Fields,
    /// The same in JSON.
    or_text_json: ColumnEncoder,
    /// What is to be read back with SQL, by the row's id.
    decoded: Vec<(i32, String)>,
}

/// An encoder, and what reads its bytes.
struct Fields {
    encoder: ColumnEncoder,
    schema: Json,
    reads: Schema,
}

impl Judged {
    /// The column in each representation that is not, for it, the same as one before.
    pub(super) fn all(
        relation: &Relation,
        column: &RelationColumn,
        facts: &TableFacts,
    ) -> Vec<Self> {
        let kind = facts.types.resolve(column.type_oid, column.type_modifier);
        let mut all: Vec<Self> = Vec::new();
        for (name, representation) in representations() {
            let it = Self::new((relation, column), &kind, name, representation);
            if all.iter().all(|other| !it.fields.is_same(&other.fields)) {
                all.push(it);
            }
        }
        all
    }

    fn new(
        (relation, column): (&Relation, &RelationColumn),
        kind: &Kind,
        name: &'static str,
        representation: Representation,
    ) -> Self {
        let values =
            |on_unrepresentable| Values { representation, on_unrepresentable, ..Values::default() };
        let [refusing, or_text] = [OnUnrepresentable::Fail, OnUnrepresentable::Text].map(values);
        let fields = Fields::new(kind, &refusing);
        Self {
            table: relation.name.clone(),
            name: column.name.clone(),
            representation: name,
            form: Form::of(&fields.schema[1], kind, representation),
            json: ColumnEncoder::compile(kind, true, Notation::Json, &refusing),
            or_null: Fields::new(kind, &values(OnUnrepresentable::Null)),
            or_text: Fields::new(kind, &or_text),
            or_text_json: ColumnEncoder::compile(kind, true, Notation::Json, &or_text),
            fields,
            decoded: Vec::new(),
        }
    }

    /// Judges a value as it came by both roads.
    pub(super) fn value(
        &mut self,
        judged: &Type,
        id: i32,
        text: Column<'_>,
        binary: Column<'_>,
    ) -> Result<(), String> {
        let outcome = both(&self.fields.encoder, text, binary)?;
        let Column::Text(value) = text else { return self.null(outcome) };
        let value = std::str::from_utf8(value).unwrap();
        match (&outcome, judged.refusal(&self.name, &self.form, value)) {
            (Err(_), Some(_)) => return self.something_instead(value, text, binary),
            (Err(error), None) => return Err(format!("{}: {error}", shown(text))),
            (Ok(_), Some(reason)) if self.name == "v" => {
                return Err(format!("{value} is listed as refused ({reason}), but is not"));
            }
            (Ok(_), _) => {}
        }
        self.nothing_instead(&outcome, text)?;
        let decoded = self.arrives(value.as_bytes(), &outcome.unwrap())?;
        self.json_says(&decoded, text, binary)?;
        if !matches!(self.form, Form::Text) {
            self.decoded.push((id, literal(&self.form, &decoded)));
        }
        Ok(())
    }

    /// Decodes a field of a value that PostgreSQL prints as `text`; a string must be that.
    pub(super) fn arrives(&self, printed: &[u8], bytes: &[u8]) -> Result<Avro, String> {
        let decoded = self.fields.decode(bytes)?;
        match text(&decoded) {
            Some(string) if self.is_text() && string.as_bytes() != printed => {
                Err(format!("{} arrives as {string:?}", shown(Column::Text(printed))))
            }
            None if self.is_text() => Err(format!("{decoded:?} is no text")),
            None if matches!(self.form, Form::Geometry) && !is_ewkb(&decoded, printed) => {
                Err(format!("{} arrives as {decoded:?}", shown(Column::Text(printed))))
            }
            _ => Ok(decoded),
        }
    }

    /// Sees that a field is null.
    pub(super) fn null(&self, bytes: Result<Vec<u8>, Error>) -> Result<(), String> {
        match bytes.as_deref().map(|bytes| self.fields.decode(bytes)) {
            Ok(Ok(Avro::Null)) => Ok(()),
            other => Err(format!("NULL: {other:?}")),
        }
    }

    /// The field by the road that the column came by.
    pub(super) fn encode(&self, column: Column<'_>) -> Result<Vec<u8>, Error> {
        encode(&self.fields.encoder, column)
    }

    fn is_text(&self) -> bool {
        matches!(self.form, Form::Text)
    }

    /// Sees that null and PostgreSQL's text stand for a value that is refused otherwise.
    fn something_instead(
        &self,
        value: &str,
        text: Column<'_>,
        binary: Column<'_>,
    ) -> Result<(), String> {
        let null = both(&self.or_null.encoder, text, binary)?;
        let told_null = told(&null);
        self.null(null).map_err(|_| format!("{value}: {told_null} in place of null"))?;
        let bytes = both(&self.or_text.encoder, text, binary)?;
        match bytes.as_deref().map(|bytes| self.or_text.decode(bytes)) {
            Ok(Ok(Avro::String(text))) if text == value => {}
            other => return Err(format!("{value}: {other:?} in place of its text")),
        }
        let json = both(&self.or_text_json, text, binary)?;
        match json.as_deref().map(serde_json::from_slice::<String>) {
            Ok(Ok(text)) if text == value => Ok(()),
            _ => Err(format!("{value}: {} in place of its text in JSON", told(&json))),
        }
    }

    /// Sees that a value that has a place takes it whatever stands for others.
    fn nothing_instead(
        &self,
        outcome: &Result<Vec<u8>, Error>,
        text: Column<'_>,
    ) -> Result<(), String> {
        for encoder in [&self.or_null.encoder, &self.or_text.encoder] {
            let other = encode(encoder, text);
            if other != *outcome {
                let (one, other) = (told(outcome), told(&other));
                return Err(format!("{} is {one}, but if others may be: {other}", shown(text)));
            }
        }
        Ok(())
    }

    /// Sees that JSON says the same, by both roads.
    fn json_says(
        &self,
        decoded: &Avro,
        text: Column<'_>,
        binary: Column<'_>,
    ) -> Result<(), String> {
        let json = both(&self.json, text, binary)?.map_err(|error| error.to_string())?;
        let avro = as_json(decoded);
        match serde_json::from_slice(&json) {
            Ok(json) if is_same(&avro, &json) => Ok(()),
            _ => {
                let json = short(&String::from_utf8_lossy(&json));
                Err(format!("Avro has {}, JSON {json}", short(&avro.to_string())))
            }
        }
    }

    /// Reads the decoded values back with SQL.
    pub(super) async fn compare(&self, client: &Client) -> Vec<String> {
        let Self { table, name, form, .. } = self;
        let column = format!(
            "SELECT format_type(atttypid, -1) FROM pg_attribute
            WHERE attrelid = '{table}'::regclass AND attname = '{name}'"
        );
        let kind: String = client.query_one(&column, &[]).await.unwrap().get(0);
        let ours = kept(form, &format!("(l.text::{})", read_as(form).unwrap_or(&kind)));
        let theirs = kept(form, &format!("t.{name}"));
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

    /// A finding, and where it was.
    pub(super) fn told(&self, type_name: &str, finding: &str) -> String {
        let Self { table, name, representation, form, .. } = self;
        format!("{type_name} as {representation} ({table}.{name}, {form:?}): {finding}")
    }
}

impl Fields {
    fn new(kind: &Kind, values: &Values) -> Self {
        let field = Field::new("v", kind, true);
        let record: Json = schema::key("test", &[field], values);
        let schema = record["fields"][0]["type"].clone();
        Self {
            encoder: ColumnEncoder::compile(kind, true, Notation::Avro, values),
            reads: Schema::parse_str(&schema.to_string()).unwrap(),
            schema,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.encoder == other.encoder && self.schema == other.schema
    }

    fn decode(&self, mut bytes: &[u8]) -> Result<Avro, String> {
        let reader = GenericDatumReader::builder(&self.reads).build().unwrap();
        let whole = bytes;
        match reader.read_value(&mut bytes) {
            Ok(Avro::Union(_, value)) if bytes.is_empty() => Ok(*value),
            other => Err(format!(
                "{} reads as {other:?}, {} bytes left",
                shown(Column::Binary(whole)),
                bytes.len()
            )),
        }
    }
}

/// Whether a record has the bytes that PostGIS prints as digits.
fn is_ewkb(record: &Avro, printed: &[u8]) -> bool {
    let Avro::Record(fields) = record else { return false };
    let Avro::Bytes(bytes) = &fields[0].1 else { return false };
    hex(bytes).as_bytes().eq_ignore_ascii_case(printed)
}

fn encode(encoder: &ColumnEncoder, column: Column<'_>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    encoder.encode(column, &mut bytes).map(|()| bytes)
}

/// What both roads give, if it is the same.
fn both(
    encoder: &ColumnEncoder,
    text: Column<'_>,
    binary: Column<'_>,
) -> Result<Result<Vec<u8>, Error>, String> {
    let by_text = encode(encoder, text);
    if encoder.kind().is_known() {
        if matches!((text, binary), (Column::Text(_), Column::Text(_))) {
            return Err(format!("{}: it came as text by both roads", shown(text)));
        }
        let by_binary = encode(encoder, binary);
        if by_binary != by_text {
            let (text, bytes) = (shown(text), shown(binary));
            let roads = format!("text {}, binary {}", told(&by_text), told(&by_binary));
            return Err(format!("{text} (binary {bytes}): {roads}"));
        }
    }
    Ok(by_text)
}
