//! Keys: as bounds of ranges, and as the stream carries them.

use crate::wal::{Column, Relation, Tuple, Tuples};

/// The key columns of a row as PostgreSQL's text: a bound that a query understands.
pub type Bound = Vec<String>;

/// The places of the key columns among a relation's; `None` if it has not all of them.
pub(super) fn places(relation: &Relation, key: &[String]) -> Option<Vec<usize>> {
    let place = |name: &String| relation.columns.iter().position(|it| it.name == *name);
    key.iter().map(place).collect()
}

/// Writes the key columns of a row as a row of the stream that has no others; a column that was
/// not sent is that of `old`. `false`, and `out` holds nothing of use, if a column is not there.
pub(super) fn project(
    new: Tuple<'_>,
    old: Option<Tuple<'_>>,
    places: &[usize],
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    let Ok(count) = u16::try_from(places.len()) else { return false };
    out.extend_from_slice(&count.to_be_bytes());
    places.iter().all(|place| {
        let found = match new.columns().nth(*place) {
            Some(Column::Unchanged) => old.and_then(|old| old.columns().nth(*place)),
            found => found,
        };
        found.is_some_and(|found| found != Column::Null && push(found, out))
    })
}

/// Writes a key, as [`project`] does, as a row of so many columns of which the others are null; `false`
/// if it has not so many columns.
pub(super) fn spread(key: &[u8], places: &[usize], width: usize, out: &mut Vec<u8>) -> bool {
    let Some(Ok(key)) = Tuples::new(key).next() else { return false };
    let Ok(count) = u16::try_from(width) else { return false };
    out.extend_from_slice(&count.to_be_bytes());
    (0..width).all(|column| {
        let place = places.iter().position(|place| *place == column);
        let value = place.map_or(Some(Column::Null), |place| key.columns().nth(place));
        value.is_some_and(|value| push(value, out))
    })
}

/// Appends a column as the stream carries it; `false` if there is none.
pub(super) fn push(column: Column<'_>, out: &mut Vec<u8>) -> bool {
    let (tag, value) = match column {
        Column::Binary(value) => (b'b', value),
        Column::Text(value) => (b't', value),
        Column::Null => {
            out.push(b'n');
            return true;
        }
        Column::Unchanged => return false,
    };
    let Ok(length) = i32::try_from(value.len()) else { return false };
    out.push(tag);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    true
}
