//! Avro schemas, as far as records of tables have them, with what Kafka Connect says beside the types.
//!
//! Source: <https://avro.apache.org/docs/1.12.0/specification/>

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

/// A schema that this module does not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an Avro schema that walbrook writes: {0}")]
pub struct Error(pub(super) &'static str);

/// A type, and what its values mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) shape: Shape,
    /// `connect.name`, else `logicalType`; empty where there is none.
    pub(super) meaning: String,
    /// Of a decimal.
    pub(super) scale: u32,
}

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    Array(Box<Node>),
    Boolean,
    Bytes,
    Double,
    Float,
    Integer,
    Map(Box<Node>),
    Null,
    Record(Arc<Fields>),
    Text,
    Union(Vec<Node>),
}

/// A record's fields, in their order.
#[derive(Debug, PartialEq)]
pub(super) struct Fields {
    /// The full name.
    pub(super) name: String,
    pub(super) fields: Vec<(String, Node)>,
}

impl Node {
    /// Reads a schema's JSON.
    pub(super) fn parse(schema_json: &str) -> Result<Self, Error> {
        let json: Value = serde_json::from_str(schema_json).map_err(|_| Error("it is no JSON"))?;
        Self::of(&json, "", &mut HashMap::new())
    }

    /// The type of which there are values: of a union with null, and perhaps with text, the other one.
    pub(super) fn value(&self) -> &Self {
        let Shape::Union(branches) = &self.shape else { return self };
        branches.iter().find(|branch| branch.shape != Shape::Null).unwrap_or(self)
    }

    /// Whether PostgreSQL's text may stand in place of a value.
    pub(super) fn has_text(&self) -> bool {
        let Shape::Union(branches) = &self.shape else { return false };
        let mut values = branches.iter().filter(|branch| branch.shape != Shape::Null).skip(1);
        values.any(|branch| branch.shape == Shape::Text)
    }

    /// The fields, if it is a record.
    pub(super) fn fields(&self) -> &[(String, Self)] {
        match &self.shape {
            Shape::Record(record) => &record.fields,
            _ => &[],
        }
    }

    /// The name, for people.
    pub(super) fn name(&self) -> &str {
        let plain = match &self.shape {
            Shape::Array(_) => "array",
            Shape::Boolean => "boolean",
            Shape::Bytes => "bytes",
            Shape::Double => "double",
            Shape::Float => "float",
            Shape::Integer => "integer",
            Shape::Map(_) => "map",
            Shape::Null => "null",
            Shape::Record(record) => &record.name,
            Shape::Text => "string",
            Shape::Union(_) => "union",
        };
        if self.meaning.is_empty() { plain } else { &self.meaning }
    }

    fn of(json: &Value, namespace: &str, named: &mut Named) -> Result<Self, Error> {
        match json {
            Value::String(name) => match primitive(name) {
                Some(shape) => Ok(Self::plain(shape)),
                None => {
                    let record = named.get(&full_name(name, namespace));
                    record.cloned().ok_or(Error("a type without a definition"))
                }
            },
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| Self::of(branch, namespace, named));
                Ok(Self::plain(Shape::Union(branches.collect::<Result<_, _>>()?)))
            }
            Value::Object(attributes) => Self::complex(attributes, namespace, named),
            _ => Err(Error("a type that is no name, object or list")),
        }
    }

    fn complex(
        attributes: &Map<String, Value>,
        namespace: &str,
        named: &mut Named,
    ) -> Result<Self, Error> {
        let text = |name: &str| attributes.get(name).and_then(Value::as_str);
        let part = |name: &str, named: &mut Named| match attributes.get(name) {
            Some(part) => Self::of(part, namespace, named).map(Box::new),
            None => Err(Error("a type without its parts")),
        };
        let Some(kind) = text("type") else {
            let inner = attributes.get("type").ok_or(Error("an object without a type"))?;
            return Self::of(inner, namespace, named);
        };
        let shape = match kind {
            "array" => Shape::Array(part("items", named)?),
            "map" => Shape::Map(part("values", named)?),
            "record" => return Self::record(attributes, namespace, named),
            kind => match primitive(kind) {
                Some(shape) => shape,
                None => return Self::of(&Value::from(kind), namespace, named),
            },
        };
        let meaning =
            text("connect.name").or_else(|| text("logicalType")).unwrap_or_default().to_owned();
        let scale = attributes.get("scale").and_then(Value::as_u64).unwrap_or_default();
        let scale = u32::try_from(scale).map_err(|_| Error("a decimal with a scale of its own"))?;
        Ok(Self { shape, meaning, scale })
    }

    fn record(
        attributes: &Map<String, Value>,
        namespace: &str,
        named: &mut Named,
    ) -> Result<Self, Error> {
        let text = |name: &str| attributes.get(name).and_then(Value::as_str);
        let namespace = text("namespace").unwrap_or(namespace);
        let name = full_name(text("name").ok_or(Error("a record without a name"))?, namespace);
        let namespace = name.rsplit_once('.').map_or("", |(namespace, _)| namespace);
        let list = attributes.get("fields").and_then(Value::as_array);
        let mut fields = Vec::new();
        for field in list.ok_or(Error("a record without fields"))? {
            let name = field.get("name").and_then(Value::as_str);
            let (Some(name), Some(of)) = (name, field.get("type")) else {
                return Err(Error("a field without a name or a type"));
            };
            fields.push((name.to_owned(), Self::of(of, namespace, named)?));
        }
        let meaning = text("connect.name").unwrap_or_default().to_owned();
        let shape = Shape::Record(Arc::new(Fields { name: name.clone(), fields }));
        let node = Self { shape, meaning, scale: 0 };
        named.insert(name, node.clone());
        Ok(node)
    }

    fn plain(shape: Shape) -> Self {
        Self { shape, meaning: String::new(), scale: 0 }
    }
}

/// Records by their full names.
type Named = HashMap<String, Node>;

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        return name.to_owned();
    }
    format!("{namespace}.{name}")
}

fn primitive(name: &str) -> Option<Shape> {
    Some(match name {
        "boolean" => Shape::Boolean,
        "bytes" => Shape::Bytes,
        "double" => Shape::Double,
        "float" => Shape::Float,
        "int" | "long" => Shape::Integer,
        "null" => Shape::Null,
        "string" => Shape::Text,
        _ => return None,
    })
}
