//! What the catalog says of types, and how an OID and a type modifier become a [`Kind`].
//!
//! Built-in types have fixed OIDs and are known without the catalog; enums, domains, arrays of them
//! and extensions' types are found in it. The stream names a domain column by the domain's OID with
//! type modifier −1, so the modifier that counts is the one in the catalog.
//!
//! Source: <https://www.postgresql.org/docs/current/catalog-pg-type.html>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Kind, Printed};

/// The facts of every type that a set of columns needs and that is not built in.
#[derive(Clone, Debug, Default, Hash)]
pub struct TypeCatalog {
    facts: BTreeMap<u32, TypeFacts>,
}

impl TypeCatalog {
    /// Adds or replaces the facts of one type.
    pub fn insert(&mut self, facts: TypeFacts) {
        self.facts.insert(facts.oid, facts);
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
            TypeShape::Base { extension } => match (extension.as_str(), facts.name.as_str()) {
                ("citext", "citext") => Kind::Text,
                ("hstore", "hstore") => Kind::Hstore,
                ("ltree", "ltree") => Kind::Printed(Printed::Ltree),
                ("ltree", "lquery" | "ltxtquery") => Kind::Printed(Printed::VersionedText),
                ("postgis", "geography") => Kind::Geography,
                ("postgis", "geometry") => Kind::Geometry,
                ("vector", "halfvec") => Kind::Halfvec,
                ("vector", "sparsevec") => Kind::Sparsevec,
                ("vector", "vector") => Kind::Vector,
                _ => Kind::Other { name: facts.qualified_name() },
            },
            TypeShape::Composite { attributes } => {
                let attributes = attributes
                    .iter()
                    .map(|oid| (*oid, self.resolve_within(*oid, -1, depth)))
                    .collect();
                facts.printed(Printed::Composite { attributes })
            }
            TypeShape::Domain { base, modifier } => self.resolve_within(*base, *modifier, depth),
            TypeShape::Enum { labels } => Kind::Enum { labels: labels.clone() },
            TypeShape::Multirange { subtype } => {
                let element = Box::new(self.resolve_within(*subtype, -1, depth));
                facts.printed(Printed::Multirange(element))
            }
            TypeShape::Pseudo => Kind::Other { name: facts.qualified_name() },
            TypeShape::Range { subtype } => {
                let element = Box::new(self.resolve_within(*subtype, -1, depth));
                facts.printed(Printed::Range(element))
            }
        }
    }
}

impl IntoIterator for TypeCatalog {
    type Item = TypeFacts;
    type IntoIter = std::collections::btree_map::IntoValues<u32, TypeFacts>;

    fn into_iter(self) -> Self::IntoIter {
        self.facts.into_values()
    }
}

/// One row of `pg_type`, as far as it matters here. With its names it stands in what is parked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TypeFacts {
    /// The type's OID.
    pub oid: u32,
    /// `typname`.
    pub name: String,
    /// The name of its PostgreSQL schema.
    pub namespace: String,
    /// What it is made of.
    #[serde(flatten)]
    pub shape: TypeShape,
}

impl TypeFacts {
    /// A type made of others, which is known if all of those are.
    fn printed(&self, printed: Printed) -> Kind {
        match Kind::Printed(printed) {
            kind if kind.is_known() => kind,
            _ => Kind::Other { name: self.qualified_name() },
        }
    }

    fn qualified_name(&self) -> String {
        match self.namespace.as_str() {
            "pg_catalog" => self.name.clone(),
            namespace => format!("{namespace}.{}", self.name),
        }
    }
}

/// `typtype`, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub enum TypeShape {
    /// `typtype = 'b'` with `typoutput = 'array_out'`: a true array type (int2vector and oidvector
    /// are of category `A` too, but are not).
    Array {
        /// `typelem`.
        element: u32,
    },
    /// `typtype = 'b'`, not an array.
    Base {
        /// The extension that it belongs to; empty if to none. Another extension's type of the same
        /// name has another binary form.
        extension: String,
    },
    /// `typtype = 'c'`.
    Composite {
        /// `atttypid` of its attributes.
        attributes: Vec<u32>,
    },
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
    Multirange {
        /// `rngsubtype` of its range.
        subtype: u32,
    },
    /// `typtype = 'p'`.
    Pseudo,
    /// `typtype = 'r'`.
    Range {
        /// `rngsubtype`.
        subtype: u32,
    },
}

/// Domains over domains over arrays of domains … nobody needs more.
const DEPTH_MAX: u32 = 32;

/// Arrays of built-in types, and their elements.
const ARRAYS: &[(u32, u32)] = &[
    (143, 142),
    (199, 114),
    (271, 5069),
    (629, 628),
    (651, 650),
    (719, 718),
    (775, 774),
    (791, 790),
    (1000, 16),
    (1001, 17),
    (1002, 18),
    (1003, 19),
    (1005, 21),
    (1006, 22),
    (1007, 23),
    (1009, 25),
    (1010, 27),
    (1011, 28),
    (1012, 29),
    (1013, 30),
    (1014, 1042),
    (1015, 1043),
    (1016, 20),
    (1017, 600),
    (1018, 601),
    (1019, 602),
    (1020, 603),
    (1021, 700),
    (1022, 701),
    (1027, 604),
    (1028, 26),
    (1040, 829),
    (1041, 869),
    (1115, 1114),
    (1182, 1082),
    (1183, 1083),
    (1185, 1184),
    (1187, 1186),
    (1231, 1700),
    (1270, 1266),
    (1561, 1560),
    (1563, 1562),
    (2201, 1790),
    (2949, 2970),
    (2951, 2950),
    (3221, 3220),
    (3643, 3614),
    (3645, 3615),
    (3807, 3802),
    (3905, 3904),
    (3907, 3906),
    (3909, 3908),
    (3911, 3910),
    (3913, 3912),
    (3927, 3926),
    (4073, 4072),
    (5039, 5038),
    (6150, 4451),
    (6151, 4532),
    (6152, 4533),
    (6153, 4534),
    (6155, 4535),
    (6157, 4536),
];

/// Types whose OIDs never change.
///
/// Source: <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/include/catalog/pg_type.dat>
pub(super) fn built_in(oid: u32, type_modifier: i32) -> Option<Kind> {
    if let Some(kind) = built_in_scalar(oid, type_modifier) {
        return Some(kind);
    }
    let (_, element) = ARRAYS.iter().find(|(array, _)| *array == oid)?;
    built_in_scalar(*element, type_modifier).map(|element| Kind::Array(Box::new(element)))
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
        // oid, xid, cid
        26 | 28 | 29 => Kind::Oid,
        // name, text, char(n), varchar, refcursor
        19 | 25 | 1042 | 1043 | 1790 => Kind::Text,
        114 => Kind::Json,
        142 => Kind::Xml,
        600 => Kind::Point,
        700 => Kind::Float4,
        701 => Kind::Float8,
        790 => Kind::Money,
        1082 => Kind::Date,
        1083 => Kind::Time { precision },
        1114 => Kind::Timestamp { precision },
        1184 => Kind::TimestampTz { precision },
        // Above it an interval's has the fields that it is limited to.
        1186 => Kind::Interval { precision: u8::try_from(type_modifier & 0xffff).ok() },
        1266 => Kind::TimeTz { precision },
        // bit, varbit: the modifier is the length
        1560 => Kind::Bits { length: Some(u32::try_from(type_modifier).unwrap_or(1)) },
        1562 => Kind::Bits { length: u32::try_from(type_modifier).ok() },
        1700 => Kind::Numeric { declared: numeric_modifier(type_modifier) },
        2950 => Kind::Uuid,
        3802 => Kind::Jsonb,
        _ => return built_in_printed(oid).map(Kind::Printed),
    })
}

fn built_in_printed(oid: u32) -> Option<Printed> {
    let element = |kind| Box::new(kind);
    let timestamp = || element(Kind::Timestamp { precision: None });
    let timestamp_tz = || element(Kind::TimestampTz { precision: None });
    let numeric = || element(Kind::Numeric { declared: None });
    Some(match oid {
        // int2vector, oidvector
        22 => Printed::Vector(element(Kind::Int2)),
        30 => Printed::Vector(element(Kind::Oid)),
        18 => Printed::Char,
        27 => Printed::Tid,
        601 => Printed::Lseg,
        602 => Printed::Path,
        603 => Printed::Box,
        604 => Printed::Polygon,
        628 => Printed::Line,
        // cidr, inet
        650 | 869 => Printed::Inet,
        718 => Printed::Circle,
        // macaddr8, macaddr
        774 | 829 => Printed::Macaddr,
        // txid_snapshot, pg_snapshot
        2970 | 5038 => Printed::PgSnapshot,
        3220 => Printed::PgLsn,
        3614 => Printed::Tsvector,
        3615 => Printed::Tsquery,
        3904 => Printed::Range(element(Kind::Int4)),
        3906 => Printed::Range(numeric()),
        3908 => Printed::Range(timestamp()),
        3910 => Printed::Range(timestamp_tz()),
        3912 => Printed::Range(element(Kind::Date)),
        3926 => Printed::Range(element(Kind::Int8)),
        // jsonpath
        4072 => Printed::VersionedText,
        4451 => Printed::Multirange(element(Kind::Int4)),
        4532 => Printed::Multirange(numeric()),
        4533 => Printed::Multirange(timestamp()),
        4534 => Printed::Multirange(timestamp_tz()),
        4535 => Printed::Multirange(element(Kind::Date)),
        4536 => Printed::Multirange(element(Kind::Int8)),
        5069 => Printed::Xid8,
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
