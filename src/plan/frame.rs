//! What goes around a key or a value: the number of its Avro schema, or a JSON schema beside it.

use serde_json::Value;

use super::SchemaId;
use crate::config::Format;
use crate::encode::{Notation, connect};

/// The five bytes before Avro: a zero, and the schema's id.
///
/// Source: <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing([u8; 5]);

impl Framing {
    pub(super) fn new(SchemaId(id): SchemaId) -> Self {
        let [a, b, c, d] = id.to_be_bytes();
        Self([0, a, b, c, d])
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

/// What goes around the keys or the values of a table. `F` is the number of an Avro schema: nothing
/// before it is registered, then [`Framing`].
#[derive(Debug)]
pub(super) enum Frame<F> {
    /// Avro behind the number of its schema.
    Avro(F),
    /// JSON between what goes before and after it.
    Json {
        /// All of the schema, and the name of the payload; nothing without schemas.
        head: String,
        tail: &'static str,
    },
    /// The text of a key of one column.
    Text,
}

impl Frame<()> {
    /// For keys of so many columns; as a string only a key of one column is its text.
    pub(super) fn of_key(format: Format, schema: &Value, columns: usize) -> Self {
        match format {
            Format::String if columns == 1 => Self::Text,
            format => Self::of_value(format, schema),
        }
    }

    pub(super) fn of_value(format: Format, schema: &Value) -> Self {
        match format {
            Format::Avro => Self::Avro(()),
            Format::Json | Format::String => Self::Json { head: String::new(), tail: "" },
            Format::JsonSchemas => {
                let head = format!(r#"{{"schema":{},"payload":"#, connect::schema(schema));
                Self::Json { head, tail: "}" }
            }
        }
    }

    /// Takes the number of its schema, if it has one to register.
    pub(super) fn finish(self, ids: &mut impl Iterator<Item = SchemaId>) -> Frame<Framing> {
        match self {
            Self::Avro(()) => {
                Frame::Avro(Framing::new(ids.next().expect("every schema of a plan has its id")))
            }
            Self::Json { head, tail } => Frame::Json { head, tail },
            Self::Text => Frame::Text,
        }
    }
}

impl<F> Frame<F> {
    pub(super) fn notation(&self) -> Notation {
        match self {
            Self::Avro(_) => Notation::Avro,
            Self::Json { .. } | Self::Text => Notation::Json,
        }
    }
}

impl Frame<Framing> {
    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        match self {
            Self::Avro(framing) => framing.write(out),
            Self::Json { head, .. } => out.extend_from_slice(head.as_bytes()),
            Self::Text => {}
        }
    }

    pub(super) fn end(&self, out: &mut Vec<u8>) {
        if let Self::Json { tail, .. } = self {
            out.extend_from_slice(tail.as_bytes());
        }
    }
}
