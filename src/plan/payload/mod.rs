//! A JSON payload, checked against an Avro schema and written as Avro.
//!
//! The rules, for those who write payloads:
//! - A record wants an object. A member that is missing gets the field's default, or null if the
//!   field's union has null; a member that the schema does not have, or one that is there twice,
//!   is refused. A map wants an object, an array an array, an enum one of its symbols as a string.
//! - A union takes the first branch that the value fits, in the schema's order. Avro's own JSON
//!   form of unions (`{"string": …}`) is not used.
//! - Numbers must be in range; an `int` or `long` must be written as an integer. A `decimal` is a
//!   number or a string, and is never rounded.
//! - `bytes` and `fixed` are strings in base64. `uuid` is its usual text.
//! - Dates and times are ISO 8601 strings (see [`time`]) or the integer that Avro stores.
//!
//! Pure. Every limit is named below.

mod decimal;
pub(super) mod json;
mod misfit;
mod scalar;
mod time;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use apache_avro::schema::{
    DecimalSchema, InnerDecimalSchema, Name, RecordField, RecordSchema, Schema, UuidSchema,
};
use serde_json::value::RawValue;

pub use misfit::Misfit;

use self::json::Json;
use self::misfit::{Reason, unknown_member};
use self::scalar::wrong;
use crate::encode::avro;

/// How deep a payload may be nested.
const DEPTH_MAX: u32 = 128;
/// How many bytes one payload may cost to read. Each level of nesting is read again, and a union
/// tries its branches, so that nested unions can read a value many times.
const WORK_BYTES_MAX: usize = 128 << 20;

/// Writes payloads against one schema.
#[derive(Debug)]
pub(super) struct PayloadEncoder {
    schema: Schema,
    /// Named types by their full name, for the places that refer to them.
    names: HashMap<Name, Schema>,
}

/// A schema file that payloads cannot be written against.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The default of a field does not fit the field.
    #[error("the default of field {field} does not fit: {misfit}")]
    Default {
        /// The field, with its record.
        field: String,
        /// What is wrong.
        misfit: Misfit,
    },
    /// A name is declared more than once, so what refers to it could be read as either.
    #[error("{name} is declared twice; refer to it by its name the second time")]
    Redeclared {
        /// The full name.
        name: String,
    },
    /// Not a schema.
    #[error("not an Avro schema that can be parsed")]
    Unreadable,
    /// A type that JSON cannot be written as.
    #[error("type {schema} cannot be written from JSON")]
    Unsupported {
        /// The type's name.
        schema: &'static str,
    },
}

impl PayloadEncoder {
    /// Prepares a schema.
    ///
    /// # Errors
    ///
    /// If it is no Avro schema, has a type that JSON cannot be written as (`duration`,
    /// `big-decimal`), a name that is declared twice, or a default that does not fit.
    pub(super) fn compile(schema_json: &str) -> Result<Self, SchemaError> {
        let schema = Schema::parse_str(schema_json).map_err(|_| SchemaError::Unreadable)?;
        let mut names = HashMap::new();
        check(&schema, &mut names)?;
        let encoder = Self { schema, names };
        encoder.check_defaults(&encoder.schema)?;
        Ok(encoder)
    }

    /// Appends `payload` as Avro.
    ///
    /// # Errors
    ///
    /// If it does not fit; `out` may then hold a part of it.
    pub(super) fn encode(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Misfit> {
        let raw =
            json::parse(payload).map_err(|at| Reason::Json { line: at.line, column: at.column })?;
        self.walk(Dialect::Payload).value(&self.schema, raw, 0, out)
    }

    fn walk(&self, dialect: Dialect) -> Walk<'_> {
        Walk { names: &self.names, dialect, work_bytes: 0 }
    }

    fn check_defaults(&self, schema: &Schema) -> Result<(), SchemaError> {
        match schema {
            Schema::Array(array) => self.check_defaults(&array.items),
            Schema::Map(map) => self.check_defaults(&map.types),
            Schema::Union(union) => {
                union.variants().iter().try_for_each(|branch| self.check_defaults(branch))
            }
            Schema::Record(record) => record.fields.iter().try_for_each(|field| {
                self.check_defaults(&field.schema)?;
                let mut walk = self.walk(Dialect::Default);
                match walk.missing(field, 0, &mut Vec::new()) {
                    Err(misfit) if field.default.is_some() => Err(SchemaError::Default {
                        field: format!("{}.{}", record.name.fullname(None), field.name),
                        misfit,
                    }),
                    _ => Ok(()),
                }
            }),
            _ => Ok(()),
        }
    }
}

/// Refuses types that JSON cannot be written as; collects the named ones.
fn check(schema: &Schema, names: &mut HashMap<Name, Schema>) -> Result<(), SchemaError> {
    match schema {
        Schema::Array(array) => check(&array.items, names),
        Schema::BigDecimal => Err(SchemaError::Unsupported { schema: "big-decimal" }),
        Schema::Duration(_) => Err(SchemaError::Unsupported { schema: "duration" }),
        Schema::Map(map) => check(&map.types, names),
        Schema::Record(record) => {
            declare(&record.name, schema, names)?;
            record.fields.iter().try_for_each(|field| check(&field.schema, names))
        }
        Schema::Union(union) => union.variants().iter().try_for_each(|branch| check(branch, names)),
        Schema::Enum(named) => declare(&named.name, schema, names),
        Schema::Fixed(named)
        | Schema::Uuid(UuidSchema::Fixed(named))
        | Schema::Decimal(DecimalSchema { inner: InnerDecimalSchema::Fixed(named), .. }) => {
            declare(&named.name, schema, names)
        }
        _ => Ok(()),
    }
}

/// Notes a name; Avro's specification has each declared once, and apache-avro takes the last.
fn declare(
    name: &Name,
    schema: &Schema,
    names: &mut HashMap<Name, Schema>,
) -> Result<(), SchemaError> {
    match names.insert(name.clone(), schema.clone()) {
        Some(_) => Err(SchemaError::Redeclared { name: name.fullname(None) }),
        None => Ok(()),
    }
}

/// Whose JSON it is: Avro writes the bytes of defaults as characters 0 to 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Default,
    Payload,
}

/// One payload on its way.
struct Walk<'a> {
    names: &'a HashMap<Name, Schema>,
    dialect: Dialect,
    work_bytes: usize,
}

type Fit = Result<(), Misfit>;

impl Walk<'_> {
    fn value(&mut self, schema: &Schema, raw: &RawValue, depth: u32, out: &mut Vec<u8>) -> Fit {
        self.work_bytes = self.work_bytes.saturating_add(raw.get().len()).saturating_add(1);
        if WORK_BYTES_MAX < self.work_bytes {
            return Err(Reason::Work { limit: WORK_BYTES_MAX }.into());
        }
        if DEPTH_MAX < depth {
            return Err(Reason::Depth { limit: DEPTH_MAX }.into());
        }
        let json = Json::of(raw);
        match schema {
            Schema::Array(array) => self.array(&array.items, &json, depth, out),
            Schema::Map(map) => self.map(&map.types, &json, depth, out),
            Schema::Record(record) => self.record(record, &json, depth, out),
            Schema::Ref { name } => match self.names.get(name) {
                Some(named) => self.value(named, raw, depth, out),
                None => Err(Reason::Unsupported { schema: "unknown name" }.into()),
            },
            Schema::Union(union) => self.union(union.variants(), raw, depth, out),
            _ => scalar::encode(schema, &json, self.dialect, out).map_err(Misfit::from),
        }
    }

    fn array(&mut self, items: &Schema, json: &Json<'_>, depth: u32, out: &mut Vec<u8>) -> Fit {
        let Json::Array(raw) = json else { return Err(wrong("an array", json).into()) };
        let elements = json::elements(raw).ok_or_else(|| wrong("an array", json))?;
        block_start(elements.len(), out);
        for (index, element) in elements.into_iter().enumerate() {
            self.value(items, element, depth + 1, out)
                .map_err(|misfit| misfit.in_element(index))?;
        }
        block_end(out);
        Ok(())
    }

    fn map(&mut self, values: &Schema, json: &Json<'_>, depth: u32, out: &mut Vec<u8>) -> Fit {
        let members = members(json)?;
        block_start(members.len(), out);
        let mut names = HashSet::new();
        for (name, raw) in &members {
            if !names.insert(name) {
                return Err(Reason::Duplicate.into());
            }
            avro::string(name, out);
            self.value(values, raw, depth + 1, out).map_err(Misfit::in_entry)?;
        }
        block_end(out);
        Ok(())
    }

    fn record(
        &mut self,
        record: &RecordSchema,
        json: &Json<'_>,
        depth: u32,
        out: &mut Vec<u8>,
    ) -> Fit {
        let members = members(json)?;
        let mut found: Vec<Option<&RawValue>> = vec![None; record.fields.len()];
        for (name, raw) in &members {
            let index = record.fields.iter().position(|field| field.name == **name);
            let Some(slot) = index.and_then(|index| found.get_mut(index)) else {
                return Err(unknown_member(name).into());
            };
            if slot.replace(raw).is_some() {
                return Err(Reason::Duplicate.into());
            }
        }
        for (field, raw) in record.fields.iter().zip(found) {
            match raw {
                Some(raw) => self.value(&field.schema, raw, depth + 1, out),
                None => self.missing(field, depth + 1, out),
            }
            .map_err(|misfit| misfit.in_field(&field.name))?;
        }
        Ok(())
    }

    /// What stands for a member that is not there.
    fn missing(&mut self, field: &RecordField, depth: u32, out: &mut Vec<u8>) -> Fit {
        let null = serde_json::Value::Null;
        let is_nullable = matches!(&field.schema, Schema::Union(union)
            if union.variants().iter().any(|branch| matches!(branch, Schema::Null)));
        let default = match &field.default {
            Some(default) => default,
            None if is_nullable => &null,
            None => return Err(Reason::Missing.into()),
        };
        let raw = serde_json::value::to_raw_value(default).map_err(|_| Reason::Missing)?;
        let mut walk =
            Walk { names: self.names, dialect: Dialect::Default, work_bytes: self.work_bytes };
        let fit = walk.value(&field.schema, &raw, depth, out);
        self.work_bytes = walk.work_bytes;
        fit
    }

    fn union(&mut self, branches: &[Schema], raw: &RawValue, depth: u32, out: &mut Vec<u8>) -> Fit {
        let start = out.len();
        let mut first = None;
        let mut others = 0;
        for (index, branch) in branches.iter().enumerate() {
            if matches!(branch, Schema::Null) && !matches!(Json::of(raw), Json::Null) {
                continue;
            }
            avro::long(i64::try_from(index).unwrap_or(i64::MAX), out);
            match self.value(branch, raw, depth + 1, out) {
                Err(misfit) if !misfit.is_limit() => {
                    out.truncate(start);
                    others += usize::from(first.is_some());
                    first.get_or_insert(misfit);
                }
                fit => return fit,
            }
        }
        // With one candidate its own reason says more than "no branch".
        match first {
            Some(misfit) if others == 0 => Err(misfit),
            _ => Err(Reason::NoBranch.into()),
        }
    }
}

fn members<'a>(json: &Json<'a>) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Reason> {
    let Json::Object(raw) = json else { return Err(wrong("an object", json)) };
    json::members(raw).ok_or(Reason::Form { want: "an object with readable names" })
}

/// Arrays and maps are written as one block, if they are not empty.
fn block_start(count: usize, out: &mut Vec<u8>) {
    if 0 < count {
        avro::long(i64::try_from(count).unwrap_or(i64::MAX), out);
    }
}

fn block_end(out: &mut Vec<u8>) {
    out.push(0);
}

#[cfg(test)]
mod tests;
