//! JSON text, read one level at a time with its numbers as they were written.
//!
//! A parsed tree would turn every number into 64 bits of floating point or integer; a decimal
//! must keep all its digits. So a value stays text ([`RawValue`], already checked to be JSON) until
//! the schema says what it is to become.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One JSON value; arrays and objects are not opened yet.
#[derive(Debug)]
pub(in crate::plan) enum Json<'a> {
    /// `[…]`
    Array(&'a RawValue),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// A number, as it is written.
    Number(&'a str),
    /// `{…}`
    Object(&'a RawValue),
    /// A string, its escapes resolved.
    String(Cow<'a, str>),
    /// A string whose escapes name no Unicode characters (an unpaired surrogate).
    Unreadable,
}

impl<'a> Json<'a> {
    /// What `raw` is.
    pub(in crate::plan) fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'[') => Self::Array(raw),
            Some(b'{') => Self::Object(raw),
            Some(b'n') | None => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => string(text).map_or(Self::Unreadable, Self::String),
            Some(_) => Self::Number(text),
        }
    }

    /// What it is called in an error.
    pub(in crate::plan) fn noun(&self) -> &'static str {
        match self {
            Self::Array(_) => "an array",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Number(_) => "a number",
            Self::Object(_) => "an object",
            Self::String(_) | Self::Unreadable => "a string",
        }
    }
}

/// Text that is not JSON: the place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) struct NotJson {
    pub(in crate::plan) line: usize,
    pub(in crate::plan) column: usize,
}

/// Checks that `bytes` are one JSON value.
pub(in crate::plan) fn parse(bytes: &[u8]) -> Result<&RawValue, NotJson> {
    serde_json::from_slice(bytes)
        .map_err(|error| NotJson { line: error.line(), column: error.column() })
}

/// The elements of an array; `None` if it is none.
pub(super) fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// The members of an object in the order in which they are written, duplicates included; `None`
/// if it is no object or a name is unreadable.
pub(in crate::plan) fn members(raw: &RawValue) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    serde_json::from_str::<Members<'_>>(raw.get()).ok().map(|members| members.0)
}

fn string(text: &str) -> Option<Cow<'_, str>> {
    match text.strip_prefix('"')?.strip_suffix('"')? {
        plain if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(text).ok().map(Cow::Owned),
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    members.push((name, map.next_value()?));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
