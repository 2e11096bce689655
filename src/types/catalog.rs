//! What the catalog says of types, and how an OID and a type modifier become a [`Kind`].
//!
//! Built-in types have fixed OIDs and are known without the catalog; enums, domains, arrays of
//! them and citext are found in it. The stream names a domain column by the domain's OID with type
//! modifier −1, so the modifier that counts is the one in the catalog.
//!
//! Source: <https://www.postgresql.org/docs/current/catalog-pg-type.html>

use std::collections::BTreeMap;

use super::Kind;

/// The facts of every type that a set of columns needs and that is not built in.
#[derive(Clone, Debug, Default)]
pub struct TypeCatalog {
    facts: BTreeMap<u32, TypeFacts>,
}

impl TypeCatalog {
    /// Adds or replaces the facts of one type.
    pub fn insert(&mut self, facts: TypeFacts) {
        self.facts.insert(facts.oid, facts);
    }

    /// The OID that must be looked up next so that [`Self::resolve`] can answer for `oid`; none when
    /// everything it needs is here. Look it up, insert it, ask again.
    #[must_use]
    pub fn missing(&self, oid: u32) -> Option<u32> {
        let mut oid = oid;
        for _ in 0..DEPTH_MAX {
            if built_in(oid, -1).is_some() {
                return None;
            }
            match self.facts.get(&oid).map(|facts| &facts.shape) {
                None => return Some(oid),
                Some(TypeShape::Array { element }) => oid = *element,
                Some(TypeShape::Domain { base, .. }) => oid = *base,
                Some(_) => return None,
            }
        }
        None
    }

    /// What a column of this type and modifier (`atttypmod`; −1 for none) means to us. A type that
    /// is neither built in nor in the catalog is [`Kind::Other`].
    #[must_use]
    pub fn resolve(&self, oid: u32, type_modifier: i32) -> Kind {
        self.resolve_within(oid, type_modifier, DEPTH_MAX)
    }

    fn resolve_within(&self, oid: u32, type_modifier: i32, depth: u32) -> Kind {
        if let Some(kind) = built_in(oid, type_modifier) {
            return kind;
        }
        let Some(facts) = self.facts.get(&oid) else {
            return Kind::Other { name: format!("type with OID {oid}") };
        };
        let Some(depth) = depth.checked_sub(1) else {
            return Kind::Other { name: facts.qualified_name() };
        };
        match &facts.shape {
            TypeShape::Array { element } => {
                match self.resolve_within(*element, type_modifier, depth) {
                    // A domain over an array as an element, or an element that we do not know.
                    Kind::Array(_) => Kind::Other { name: facts.qualified_name() },
                    Kind::Other { name } => Kind::Other { name: name + "[]" },
                    element => Kind::Array(Box::new(element)),
                }
            }
            TypeShape::Base if facts.name == "citext" => Kind::Text,
            TypeShape::Domain { base, modifier } => self.resolve_within(*base, *modifier, depth),
            TypeShape::Enum { labels } => Kind::Enum { labels: labels.clone() },
            TypeShape::Base
            | TypeShape::Composite
            | TypeShape::Multirange
            | TypeShape::Pseudo
            | TypeShape::Range => Kind::Other { name: facts.qualified_name() },
        }
    }
}

/// One row of `pg_type`, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeFacts {
    /// The type's OID.
    pub oid: u32,
    /// `typname`.
    pub name: String,
    /// The name of its PostgreSQL schema.
    pub namespace: String,
    /// What it is made of.
    pub shape: TypeShape,
}

impl TypeFacts {
    fn qualified_name(&self) -> String {
        match self.namespace.as_str() {
            "pg_catalog" => self.name.clone(),
            namespace => format!("{namespace}.{}", self.name),
        }
    }
}

/// `typtype`, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeShape {
    /// `typtype = 'b'` with `typoutput = 'array_out'`: a true array type (int2vector and oidvector
    /// are of category `A` too, but are not).
    Array {
        /// `typelem`.
        element: u32,
    },
    /// `typtype = 'b'`, not an array.
    Base,
    /// `typtype = 'c'`.
    Composite,
    /// `typtype = 'd'`.
    Domain {
        /// `typbasetype`, which may be a domain too.
        base: u32,
        /// `typtypmod`: the modifier of the base type.
        modifier: i32,
    },
    /// `typtype = 'e'`.
    Enum {
        /// `pg_enum.enumlabel` in the order of `enumsortorder`.
        labels: Vec<String>,
    },
    /// `typtype = 'm'`.
    Multirange,
    /// `typtype = 'p'`.
    Pseudo,
    /// `typtype = 'r'`.
    Range,
}

/// Domains over domains over arrays of domains … nobody needs more.
const DEPTH_MAX: u32 = 32;

/// Types whose OIDs never change.
///
/// Source: <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/include/catalog/pg_type.dat>
fn built_in(oid: u32, type_modifier: i32) -> Option<Kind> {
    if let Some(kind) = built_in_scalar(oid, type_modifier) {
        return Some(kind);
    }
    let element = match oid {
        199 => 114,
        1000 => 16,
        1001 => 17,
        1003 => 19,
        1005 => 21,
        1007 => 23,
        1009 => 25,
        1014 => 1042,
        1015 => 1043,
        1016 => 20,
        1021 => 700,
        1022 => 701,
        1115 => 1114,
        1182 => 1082,
        1183 => 1083,
        1185 => 1184,
        1187 => 1186,
        1231 => 1700,
        1270 => 1266,
        2951 => 2950,
        3807 => 3802,
        _ => return None,
    };
    built_in_scalar(element, type_modifier).map(|element| Kind::Array(Box::new(element)))
}

fn built_in_scalar(oid: u32, type_modifier: i32) -> Option<Kind> {
    // The modifier of the date and time types is their precision.
    let precision = u8::try_from(type_modifier).ok();
    Some(match oid {
        16 => Kind::Bool,
        17 => Kind::Bytea,
        20 => Kind::Int8,
        21 => Kind::Int2,
        23 => Kind::Int4,
        // name, text, char(n), varchar
        19 | 25 | 1042 | 1043 => Kind::Text,
        114 => Kind::Json,
        700 => Kind::Float4,
        701 => Kind::Float8,
        1082 => Kind::Date,
        1083 => Kind::Time { precision },
        1114 => Kind::Timestamp { precision },
        1184 => Kind::TimestampTz { precision },
        1186 => Kind::Interval,
        1266 => Kind::TimeTz,
        1700 => Kind::Numeric { declared: numeric_modifier(type_modifier) },
        2950 => Kind::Uuid,
        3802 => Kind::Jsonb,
        _ => return None,
    })
}

/// Precision in the upper half, scale as a signed number of 11 bits in the lower one (PostgreSQL
/// 15+; before, scales were never negative), and 4 added to the whole.
///
/// Source: `make_numeric_typmod` in
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/numeric.c>
fn numeric_modifier(type_modifier: i32) -> Option<(u16, i16)> {
    let packed = type_modifier.checked_sub(4).filter(|packed| 0 <= *packed)?;
    let precision = u16::try_from(packed >> 16).ok()?;
    let scale = i16::try_from(((packed & 0x7ff) ^ 0x400) - 0x400).ok()?;
    Some((precision, scale))
}
