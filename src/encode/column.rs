//! One column's encoder: compiled once from its kind, executed on every row.

use super::avro::Avro;
use super::encoding::{Encoding, Notation};
use super::json::Json;
use super::layout::{Codec, Wide};
use super::values::{OnUnchanged, OnUnrepresentable, Values};
use super::{Error, NOT_UTF8, default, placeholder, value};
use crate::types::{Kind, Printed, decode_binary, decode_text, print};
use crate::wal::Column;

/// Writes the values of one column as the field that [`schema`](super::schema) declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnEncoder {
    codec: Codec,
    notation: Notation,
    on_unrepresentable: OnUnrepresentable,
    union: Union,
    is_optional: bool,
    /// The field's bytes for a value that did not change and is not in the stream.
    unchanged: Option<Box<[u8]>>,
    /// The field's bytes for a column that the stream leaves out.
    absent: Box<[u8]>,
}

impl ColumnEncoder {
    /// Chooses the encoding.
    #[must_use]
    pub fn compile(kind: &Kind, optional: bool, notation: Notation, values: &Values) -> Self {
        Self::compile_as(None, kind, optional, notation, values)
    }

    /// The same as a wider number.
    #[must_use]
    pub fn compile_as(
        wide: Option<Wide>,
        kind: &Kind,
        optional: bool,
        notation: Notation,
        values: &Values,
    ) -> Self {
        let codec = Codec::of(kind, values.representation).widened(wide);
        let union = match notation {
            Notation::Avro => Union::of(&codec, optional, values.on_unrepresentable),
            Notation::Json => Union::default(),
        };
        let null = || -> Option<Box<[u8]>> {
            let mut out = Vec::new();
            match notation {
                Notation::Avro => Avro::null(&mut out),
                Notation::Json => Json::null(&mut out),
            }
            optional.then(|| out.into())
        };
        let in_union =
            |value: Vec<u8>| -> Box<[u8]> { union.value.into_iter().chain(value).collect() };
        let unchanged = match values.on_unchanged {
            OnUnchanged::Null => null(),
            OnUnchanged::Placeholder => {
                let unavailable = &values.unavailable_value;
                let placeholder = match notation {
                    Notation::Avro => placeholder::unchanged::<Avro>(&codec.layout, unavailable),
                    Notation::Json => placeholder::unchanged::<Json>(&codec.layout, unavailable),
                };
                placeholder.map(in_union).or_else(null)
            }
        };
        let absent = null().unwrap_or_else(|| {
            in_union(match notation {
                Notation::Avro => placeholder::zero::<Avro>(&codec),
                Notation::Json => placeholder::zero::<Json>(&codec),
            })
        });
        Self {
            codec,
            notation,
            on_unrepresentable: values.on_unrepresentable,
            union,
            is_optional: optional,
            unchanged,
            absent,
        }
    }

    /// Takes the column's default, PostgreSQL's text, for what the stream leaves out, as Debezium
    /// does: where the schema has it.
    #[must_use]
    pub fn with_default(mut self, text: Option<&str>) -> Self {
        let in_schema = |text: &&str| !self.is_optional && default::of(&self.codec, text).is_some();
        if let Some(text) = text.filter(in_schema) {
            let mut field = Vec::new();
            if self.encode(Column::Text(text.as_bytes()), &mut field).is_ok() {
                self.absent = field.into();
            }
        }
        self
    }

    /// Appends the column's field: its value, or null where the field is optional.
    ///
    /// # Errors
    /// See [`Error`]; the buffer is then as it was.
    #[inline]
    pub fn encode(&self, column: Column<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match self.notation {
            Notation::Avro => self.encode_as::<Avro>(column, out),
            Notation::Json => self.encode_as::<Json>(column, out),
        }
    }

    fn encode_as<E: Encoding>(&self, column: Column<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let decoded = match column {
            Column::Null if self.is_optional => {
                E::null(out);
                return Ok(());
            }
            Column::Null => return Err(Error::Null),
            Column::Unchanged => {
                out.extend_from_slice(self.unchanged.as_deref().ok_or(Error::Unavailable)?);
                return Ok(());
            }
            Column::Text(text) => decode_text(&self.codec.kind, text),
            Column::Binary(bytes) => decode_binary(&self.codec.kind, bytes),
        };
        // Used where it is: moved, it would be read in pieces of another size than it was just
        // written in, for which the processor waits.
        let error = match &decoded {
            Ok(datum) => {
                let start = out.len();
                if let Some(branch) = self.union.value {
                    out.push(branch);
                }
                match value::write::<E>(&self.codec, datum, out) {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        out.truncate(start);
                        error
                    }
                }
            }
            Err(error) => (*error).into(),
        };
        self.instead::<E>(error, column, out)
    }

    /// What stands for a value that could not be written.
    #[cold]
    fn instead<E: Encoding>(
        &self,
        error: Error,
        column: Column<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match self.on_unrepresentable {
            _ if !error.is_unrepresentable() => Err(error),
            OnUnrepresentable::Null if self.is_optional => {
                E::null(out);
                Ok(())
            }
            OnUnrepresentable::Fail | OnUnrepresentable::Null => Err(error),
            OnUnrepresentable::Text => {
                let start = out.len();
                out.extend(self.union.text);
                let written = E::string_of(out, |out| self.encode_text(column, out));
                written.inspect_err(|_| out.truncate(start))
            }
        }
    }

    /// Appends PostgreSQL's text of a value, as it is.
    ///
    /// # Errors
    /// [`Error::Null`] where there is no value, or those of its form.
    pub fn encode_text(&self, column: Column<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match column {
            Column::Binary(bytes) => Ok(print(&self.codec.kind, bytes, out)?),
            // Before PostgreSQL 16 such a byte comes as it is, which is its binary form.
            Column::Text(text @ [0x80..=0xff])
                if self.codec.kind == Kind::Printed(Printed::Char) =>
            {
                Ok(print(&self.codec.kind, text, out)?)
            }
            Column::Text(text) => {
                let text = std::str::from_utf8(text);
                let text = text.map_err(|_| NOT_UTF8)?;
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            Column::Null | Column::Unchanged => Err(Error::Null),
        }
    }

    /// Appends the field of a column that the stream leaves out: null where the field is optional,
    /// else its default, or the zero that Debezium invents there (0, "", 1970-01-01, no bytes).
    pub fn encode_absent(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.absent);
    }

    /// The kind by which values are read.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.codec.kind
    }
}

/// The branches of a field's union, as zig-zag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Union {
    /// The value's; `None` where the field is no union.
    value: Option<u8>,
    /// That of the text which stands for a value.
    text: Option<u8>,
}

impl Union {
    /// Of `["null", T, "string"]`, as far as there are null and string.
    fn of(codec: &Codec, is_optional: bool, on_unrepresentable: OnUnrepresentable) -> Self {
        let has_text = codec.has_text(on_unrepresentable);
        let value = if is_optional { 2 } else { 0 };
        Self {
            value: (is_optional || has_text).then_some(value),
            text: has_text.then_some(value + 2),
        }
    }
}
