//! A table and the records of its topic: which column is in which field, and what of it is judged.

use std::collections::HashMap;
use std::sync::Arc;

use super::BinaryText;
use super::form::Form;
use super::inverse::inverse;
use super::read::{self, Error, Value};
use super::rule::Rule;
use super::schema::{self, Node, Shape};
use crate::types::Kind;

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The name as an SQL expression.
    pub sql: String,
    /// What its type means.
    pub kind: Kind,
}

/// How keys or values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// Avro behind a zero and the number of its schema.
    Avro,
    /// JSON, and the payload where a schema stands beside it.
    Json,
    /// The text of a key of one column.
    Text,
}

/// A record of a table's topic.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The header `walbrook.position`.
    pub position: Option<&'a str>,
    /// The header `walbrook.unchanged`: a JSON list of columns that the record has no value of.
    pub unchanged: Option<&'a str>,
    /// Whether it is of another table in the same topic: then it says no more than that its key is that
    /// one's by now.
    pub is_others: bool,
}

/// Avro schemas by their numbers in the registry.
#[derive(Debug, Default)]
pub struct Schemas(HashMap<u32, Arc<Node>>);

impl Schemas {
    /// Adds a schema.
    ///
    /// # Errors
    ///
    /// If it is none that this version reads.
    pub fn add(&mut self, id: u32, schema_json: &str) -> Result<(), schema::Error> {
        self.0.insert(id, Arc::new(Node::parse(schema_json)?));
        Ok(())
    }
}

/// A table whose rows can be told by their key.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    /// The columns of the key, in its order, by their index.
    key: Vec<usize>,
    /// How many fields of the key stand before those of columns: one that names the table, or none.
    key_from: usize,
    key_side: Side,
    value_side: Side,
    binary: Option<BinaryText>,
    /// The SQL of all that is judged, the key's first.
    expressions: Vec<String>,
    key_forms: HashMap<Option<u32>, Arc<[Form]>>,
    views: Vec<View>,
    view_of: HashMap<(Option<u32>, Option<String>), usize>,
}

/// Keys or values: how they are written, and by which schema if they do not say.
#[derive(Debug)]
struct Side {
    notation: Notation,
    schema: Arc<Node>,
}

/// What is judged of the rows in records of one schema that have no value of the same columns.
#[derive(Debug)]
struct View {
    parts: Vec<Part>,
    /// Whether a column has no value in them, or no field.
    is_partial: bool,
    /// Columns without a rule, and the type of their field.
    unjudged: Vec<(String, String)>,
}

#[derive(Debug)]
struct Part {
    column: usize,
    /// Its place in the record.
    field: usize,
    expression: usize,
    form: Form,
}

/// What a record says of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is no such row.
    Gone,
    /// There is one, of which this is judged.
    Row {
        /// The hash of its texts.
        hash: u128,
        /// What was hashed.
        view: usize,
    },
    /// There are no rows at all.
    Truncated,
}

impl Table {
    /// A table with a key, which may begin with a field that names the table. The schemas are today's: of
    /// the key, and of the value's envelope, whose row has a field for each column, or of a child by
    /// inheritance for each of its parent.
    ///
    /// # Errors
    ///
    /// Why its rows cannot be told by their key.
    pub fn new(
        columns: Vec<Column>,
        (key, has_key_field): (&[String], bool),
        (key_notation, key_schema): (Notation, &str),
        (value_notation, value_schema): (Notation, &str),
        binary: Option<BinaryText>,
    ) -> Result<Self, String> {
        let index = |name: &String| columns.iter().position(|column| column.name == *name);
        let key: Vec<_> = key.iter().filter_map(index).collect();
        let side = |notation, schema_json| -> Result<Side, String> {
            let schema = Node::parse(schema_json).map_err(|error| error.to_string())?;
            Ok(Side { notation, schema: Arc::new(schema) })
        };
        let mut table = Self {
            key_side: side(key_notation, key_schema)?,
            value_side: side(value_notation, value_schema)?,
            columns,
            key,
            key_from: usize::from(has_key_field),
            binary,
            expressions: Vec::new(),
            key_forms: HashMap::new(),
            views: Vec::new(),
            view_of: HashMap::new(),
        };
        let rules = table.key_rules(&Arc::clone(&table.key_side.schema))?;
        table.expressions.extend(rules.into_iter().map(|rule| rule.sql));
        Ok(table)
    }

    /// The SQL expressions whose texts [`Fold::row`](super::Fold::row) wants of a row, in this order.
    #[must_use]
    pub fn expressions(&self) -> &[String] {
        &self.expressions
    }

    /// The SQL expressions of PostgreSQL's own texts of the key's columns, in its order.
    #[must_use]
    pub fn key_values(&self) -> Vec<String> {
        let columns = self.key.iter().filter_map(|index| self.columns.get(*index));
        let value = |Column { sql, .. }: &Column| {
            format!("CASE WHEN num_nulls({sql}) = 0 THEN format('%s', {sql}) END")
        };
        columns.map(value).collect()
    }

    /// For each of the key's columns the SQL of PostgreSQL's text of its value, from an expression of
    /// what [`key_texts`](Self::key_texts) has. Of the value that it is, the first of the
    /// [`expressions`](Self::expressions) must give the same text again.
    ///
    /// # Errors
    ///
    /// For which column there is no way back, since several values have one text.
    pub fn key_inverses(&self, texts: &[String]) -> Result<Vec<String>, String> {
        let columns = self.key.iter().filter_map(|index| self.columns.get(*index));
        let inverse = |((column, (_, field)), text): ((&Column, &(String, Node)), &String)| {
            inverse(text, &column.kind, field, self.binary).ok_or_else(|| {
                let (name, of) = (&column.name, field.value().name());
                format!("the key's column {name:?} as {of} does not say its value exactly")
            })
        };
        let fields = self.key_side.schema.fields().iter().skip(self.key_from);
        columns.zip(fields).zip(texts).map(inverse).collect()
    }

    /// A schema that must be known before the record can be read.
    #[must_use]
    pub fn wants(&self, record: &Record<'_>, schemas: &Schemas) -> Option<u32> {
        let sides = [(&self.key_side, record.key), (&self.value_side, record.value)];
        let ids = sides.into_iter().filter_map(|(side, bytes)| side.id(bytes?));
        ids.into_iter().find(|id| !schemas.0.contains_key(id))
    }

    /// Columns that are not judged, and the type of their field; sorted.
    #[must_use]
    pub fn unjudged(&self) -> Vec<(String, String)> {
        let mut unjudged: Vec<_> =
            self.views.iter().flat_map(|view| view.unjudged.iter().cloned()).collect();
        unjudged.sort_unstable();
        unjudged.dedup();
        unjudged
    }

    /// A key as a JSON object, for who asked to see it; its texts come first among these.
    #[must_use]
    pub fn key_shown(&self, texts: &[Option<&str>]) -> String {
        let names = self.key.iter().filter_map(|index| self.columns.get(*index));
        let texts = texts.iter().copied();
        let members = names.zip(texts).map(|(column, text)| (column.name.clone(), text.into()));
        serde_json::Value::Object(members.collect()).to_string()
    }

    /// How many of the texts are the key's.
    #[must_use]
    pub fn key_len(&self) -> usize {
        self.key.len()
    }

    pub(super) fn is_partial(&self, view: usize) -> bool {
        self.views.get(view).is_some_and(|view| view.is_partial)
    }

    /// The hash of what a view has of a row's texts.
    pub(super) fn row_hash(&self, view: usize, texts: &[Option<&str>]) -> u128 {
        let parts = self.views.get(view).map(|view| view.parts.as_slice()).unwrap_or_default();
        let text = |part: &Part| texts.get(part.expression).copied().flatten();
        super::fold::hash(parts.iter().map(|part| (part.column, text(part))))
    }

    /// The plain texts of a record's key; `None` is NULL.
    ///
    /// # Errors
    ///
    /// If it is no key of the table.
    pub fn key_texts(
        &mut self,
        key: &[u8],
        schemas: &Schemas,
    ) -> Result<Vec<Option<String>>, Error> {
        let (id, schema, body) = self.key_side.open(key, schemas)?;
        let forms = self.key_forms(id, &schema)?;
        if self.key_side.notation == Notation::Text {
            let (Some(form), Some((_, field))) = (forms.first(), schema.fields().first()) else {
                return Err(NO_KEY);
            };
            let text = std::str::from_utf8(body).map_err(|_| NO_KEY)?;
            let quoted = serde_json::Value::from(text);
            // The text of a string is itself, of all else it is JSON.
            let value = match field.value().shape {
                Shape::Text | Shape::Bytes => quoted,
                _ => serde_json::from_str(text).unwrap_or(quoted),
            };
            return Ok(vec![form.text(&read::json(field, &value)?)?]);
        }
        let json;
        let value = match self.key_side.notation {
            Notation::Avro => whole(&schema, body)?,
            _ => {
                json = payload(body)?;
                read::json(&schema, &json)?
            }
        };
        let Value::Record(fields) = value else { return Err(NO_KEY) };
        let fields = fields.iter().skip(self.key_from);
        forms.iter().zip(fields).map(|(form, field)| form.text(field)).collect()
    }

    /// What a record with a value says.
    pub(super) fn state(
        &mut self,
        value: &[u8],
        unchanged: Option<&str>,
        schemas: &Schemas,
    ) -> Result<State, Error> {
        let (id, schema, body) = self.value_side.open(value, schemas)?;
        let place = |name: &str| schema.fields().iter().position(|(field, _)| field == name);
        let (Some(op), Some(after)) = (place("op"), place("after")) else { return Err(NO_CHANGE) };
        let json;
        let value = match self.value_side.notation {
            Notation::Avro => whole(&schema, body)?,
            _ => {
                json = payload(body)?;
                read::json(&schema, &json)?
            }
        };
        let Value::Record(mut fields) = value else { return Err(NO_CHANGE) };
        match fields.get(op) {
            Some(Value::Text(op)) if op == "t" => return Ok(State::Truncated),
            Some(Value::Text(op)) if op == "d" => return Ok(State::Gone),
            _ => {}
        }
        let Some(Value::Record(row)) = fields.get_mut(after) else { return Err(NO_CHANGE) };
        let Some((_, row_schema)) = schema.fields().get(after) else { return Err(NO_CHANGE) };
        let number = self.view(id, row_schema.value(), unchanged)?;
        let Some(view) = self.views.get(number) else { return Err(NO_CHANGE) };
        let text = |part: &Part| -> Result<_, Error> {
            let value = row.get(part.field).ok_or(NO_CHANGE)?;
            Ok((part.column, part.form.text(value)?))
        };
        let texts = view.parts.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let texts = texts.iter().map(|(column, text)| (*column, text.as_deref()));
        Ok(State::Row { hash: super::fold::hash(texts), view: number })
    }

    /// The forms of a key's fields, which must have the rules that the rows are asked by.
    fn key_forms(&mut self, id: Option<u32>, schema: &Node) -> Result<Arc<[Form]>, Error> {
        if let Some(forms) = self.key_forms.get(&id) {
            return Ok(Arc::clone(forms));
        }
        let rules = self.key_rules(schema).map_err(|_| OTHER_KEY)?;
        let is_same =
            rules.iter().map(|rule| &rule.sql).eq(self.expressions.iter().take(rules.len()));
        if !is_same {
            return Err(OTHER_KEY);
        }
        let forms: Arc<[Form]> = rules.into_iter().map(|rule| rule.form).collect();
        self.key_forms.insert(id, Arc::clone(&forms));
        Ok(forms)
    }

    fn key_rules(&self, schema: &Node) -> Result<Vec<Rule>, String> {
        let fields = schema.fields().get(self.key_from..).unwrap_or_default();
        let columns = self.key.iter().filter_map(|index| self.columns.get(*index));
        if self.key.is_empty() || fields.len() != self.key.len() {
            return Err("it has no key".to_owned());
        }
        let rule = |(column, (_, field)): (&Column, &(String, Node))| {
            Rule::of(&column.sql, &column.kind, field, self.binary).ok_or_else(|| {
                let (name, of) = (&column.name, field.value().name());
                format!("its key has the column {name:?} as {of}, which is not judged yet")
            })
        };
        columns.zip(fields).map(rule).collect()
    }

    /// The view of records of a schema (of their row) that have no value of the columns listed.
    fn view(
        &mut self,
        id: Option<u32>,
        row: &Node,
        unchanged: Option<&str>,
    ) -> Result<usize, Error> {
        let key = (id, unchanged.map(str::to_owned));
        if let Some(view) = self.view_of.get(&key) {
            return Ok(*view);
        }
        let unchanged: Vec<String> = match unchanged {
            Some(list) => serde_json::from_str(list).map_err(|_| NO_CHANGE)?,
            None => Vec::new(),
        };
        let mut view = View { parts: Vec::new(), is_partial: false, unjudged: Vec::new() };
        let today = self.today();
        for (column, of) in self.columns.iter().enumerate() {
            let name = today.get(column).unwrap_or(&of.name);
            let field = row.fields().iter().position(|(field, _)| field == name);
            let Some((field, (_, node))) = field.and_then(|at| Some((at, row.fields().get(at)?)))
            else {
                view.is_partial = true;
                continue;
            };
            if unchanged.contains(&of.name) {
                view.is_partial = true;
                continue;
            }
            let Some(Rule { sql, form }) = Rule::of(&of.sql, &of.kind, node, self.binary) else {
                view.unjudged.push((of.name.clone(), node.value().name().to_owned()));
                continue;
            };
            let known = self.expressions.iter().position(|it| *it == sql);
            let expression = known.unwrap_or_else(|| {
                self.expressions.push(sql);
                self.expressions.len() - 1
            });
            view.parts.push(Part { column, field, expression, form });
        }
        self.views.push(view);
        self.view_of.insert(key, self.views.len() - 1);
        Ok(self.views.len() - 1)
    }

    /// The names of the columns' fields.
    fn today(&self) -> Vec<String> {
        let envelope = self.value_side.schema.fields();
        let after = envelope.iter().find(|(name, _)| name == "after");
        let fields = after.map(|(_, row)| row.value().fields()).unwrap_or_default();
        fields.iter().map(|(name, _)| name.clone()).collect()
    }
}

impl Side {
    /// The number of the schema, if it is in the bytes.
    fn id(&self, bytes: &[u8]) -> Option<u32> {
        let (head, _) = bytes.split_first_chunk::<5>()?;
        let [0, a, b, c, d] = *head else { return None };
        (self.notation == Notation::Avro).then_some(u32::from_be_bytes([a, b, c, d]))
    }

    /// What is behind the framing, and the schema that it was written with.
    fn open<'a>(&self, bytes: &'a [u8], schemas: &Schemas) -> Result<Opened<'a>, Error> {
        if self.notation != Notation::Avro {
            return Ok((None, Arc::clone(&self.schema), bytes));
        }
        let id = self.id(bytes).ok_or(Error("no Avro behind the number of a schema"))?;
        let schema = schemas.0.get(&id).ok_or(Error("its schema is not known"))?;
        Ok((Some(id), Arc::clone(schema), bytes.get(5..).unwrap_or_default()))
    }
}

/// The number of a schema, the schema, and what was written with it.
type Opened<'a> = (Option<u32>, Arc<Node>, &'a [u8]);

/// A value with nothing behind it.
fn whole<'a>(schema: &Node, mut body: &'a [u8]) -> Result<Value<'a>, Error> {
    let value = read::avro(schema, &mut body)?;
    if body.is_empty() { Ok(value) } else { Err(Error("there are bytes behind it")) }
}

/// JSON, without the schema beside it.
fn payload(bytes: &[u8]) -> Result<serde_json::Value, Error> {
    let mut json: serde_json::Value =
        serde_json::from_slice(bytes).map_err(|_| Error("it is no JSON"))?;
    match json.as_object_mut() {
        Some(members) if members.len() == 2 && members.contains_key("schema") => {
            Ok(members.remove("payload").unwrap_or(json))
        }
        _ => Ok(json),
    }
}

const NO_KEY: Error = Error("no key of the table");
const NO_CHANGE: Error = Error("no change of the table");
const OTHER_KEY: Error = Error("a key whose fields have other types than today");
