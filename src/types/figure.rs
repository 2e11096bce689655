//! PostgreSQL's geometric types but `point`, as numbers: what is published as text is printed from
//! its bytes without these ([`print`](super::print)).
//!
//! ```text
//! binary: f64 …             box (x y x y, the upper right corner first), lseg (the same),
//!                           line (A B C), circle (x y radius)
//!         u8 is_closed | u32 count | f64 …    path
//!         u32 count | f64 …                   polygon
//! text:   (x,y),(x,y)   [(x,y),(x,y)]   {A,B,C}   <(x,y),radius>
//!         ((x,y),…) closed, [(x,y),…] open    path
//!         ((x,y),…)                           polygon
//! ```
//!
//! Source: <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/geo_ops.c>

use super::binary::canonical_f64;
use super::cursor::Cursor;
use super::datum::malformed;
use super::text::{float, point};
use super::{Error, Printed};

/// A geometric value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure<'a> {
    /// `box`: the upper right and the lower left corner.
    Box([Point; 2]),
    /// `circle`.
    Circle {
        /// Its center.
        center: Point,
        /// Its radius.
        radius: f64,
    },
    /// `line`: Ax + By + C = 0.
    Line([f64; 3]),
    /// `lseg`: both ends.
    Lseg([Point; 2]),
    /// `path`.
    Path {
        /// Its points, each once.
        points: Points<'a>,
        /// Whether the last point is joined with the first.
        is_closed: bool,
    },
    /// `polygon`.
    Polygon(Points<'a>),
}

/// Two coordinates.
type Point = (f64, f64);

impl<'a> Figure<'a> {
    /// Reads the binary form of such a type.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the bytes are not a value of it.
    pub fn from_binary(printed: &Printed, bytes: &'a [u8]) -> Result<Self, Error> {
        let what = "geometric type (binary)";
        let mut cursor = Cursor::new(bytes, what);
        let figure = match printed {
            Printed::Box => Self::Box([next(&mut cursor)?, next(&mut cursor)?]),
            Printed::Circle => {
                Self::Circle { center: next(&mut cursor)?, radius: number(&mut cursor)? }
            }
            Printed::Line => {
                Self::Line([number(&mut cursor)?, number(&mut cursor)?, number(&mut cursor)?])
            }
            Printed::Lseg => Self::Lseg([next(&mut cursor)?, next(&mut cursor)?]),
            Printed::Path => {
                let is_closed = cursor.u8()? != 0;
                Self::Path { points: Points::from_binary(&mut cursor)?, is_closed }
            }
            Printed::Polygon => Self::Polygon(Points::from_binary(&mut cursor)?),
            _ => return malformed(what),
        };
        cursor.end()?;
        Ok(figure)
    }

    /// Reads the text form of such a type.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the text is not a value of it.
    pub fn from_text(printed: &Printed, text: &'a [u8]) -> Result<Self, Error> {
        Self::parse(printed, text).ok_or(Error::Malformed { what: "geometric type (text)" })
    }

    fn parse(printed: &Printed, text: &'a [u8]) -> Option<Self> {
        Some(match printed {
            Printed::Box => Self::Box(pair(text)?),
            Printed::Circle => {
                let inner = within(text, b'<', b'>')?;
                let comma = inner.iter().rposition(|byte| *byte == b',')?;
                let (center, radius) = (inner.get(..comma)?, inner.get(comma + 1..)?);
                Self::Circle { center: point(center)?, radius: float(radius)? }
            }
            Printed::Line => {
                let mut numbers = within(text, b'{', b'}')?.split(|byte| *byte == b',').map(float);
                let line = [numbers.next()??, numbers.next()??, numbers.next()??];
                return numbers.next().is_none().then_some(Self::Line(line));
            }
            Printed::Lseg => Self::Lseg(pair(within(text, b'[', b']')?)?),
            Printed::Path => {
                let (inner, is_closed) = match within(text, b'(', b')') {
                    Some(inner) => (inner, true),
                    None => (within(text, b'[', b']')?, false),
                };
                Self::Path { points: Points::from_text(inner)?, is_closed }
            }
            Printed::Polygon => Self::Polygon(Points::from_text(within(text, b'(', b')')?)?),
            _ => return None,
        })
    }
}

/// Points, at least one; as binary numbers, or as text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Points<'a> {
    /// Two numbers each, and nothing else.
    Binary(&'a [u8]),
    /// `(x,y),…`, each of which can be read.
    Text(&'a [u8]),
}

impl<'a> Points<'a> {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Binary(bytes) => bytes.len() / POINT_BYTES,
            Self::Text(text) => text.iter().filter(|byte| **byte == b'(').count(),
        }
    }

    /// Whether there are none, which PostgreSQL does not allow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each in turn.
    pub fn iter(self) -> impl Iterator<Item = Point> {
        let mut rest = self;
        std::iter::from_fn(move || rest.take_first())
    }

    fn from_binary(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        let len = usize::try_from(cursor.u32()?).ok().and_then(|len| len.checked_mul(POINT_BYTES));
        match len {
            Some(len) if 0 < len => cursor.take(len).map(Self::Binary),
            _ => cursor.malformed(),
        }
    }

    fn from_text(text: &'a [u8]) -> Option<Self> {
        let points = Self::Text(text);
        (!points.is_empty() && points.iter().count() == points.len()).then_some(points)
    }

    fn take_first(&mut self) -> Option<Point> {
        match self {
            Self::Binary(bytes) => {
                let mut cursor = Cursor::new(bytes, "point (binary)");
                let first = next(&mut cursor).ok()?;
                *bytes = cursor.rest();
                Some(first)
            }
            Self::Text(text) => {
                let end = text.iter().position(|byte| *byte == b')')? + 1;
                let (first, rest) = text.split_at_checked(end)?;
                *text = match rest {
                    [] => rest,
                    [b',', rest @ ..] if rest.starts_with(b"(") => rest,
                    _ => return None,
                };
                point(first)
            }
        }
    }
}

const POINT_BYTES: usize = 16;

fn next(cursor: &mut Cursor<'_>) -> Result<Point, Error> {
    Ok((number(cursor)?, number(cursor)?))
}

fn number(cursor: &mut Cursor<'_>) -> Result<f64, Error> {
    cursor.f64().map(canonical_f64)
}

fn pair(text: &[u8]) -> Option<[Point; 2]> {
    let mut points = Points::from_text(text).filter(|points| points.len() == 2)?.iter();
    Some([points.next()?, points.next()?])
}

fn within(text: &[u8], open: u8, close: u8) -> Option<&[u8]> {
    match text {
        [first, inner @ .., last] if (*first, *last) == (open, close) => Some(inner),
        _ => None,
    }
}
