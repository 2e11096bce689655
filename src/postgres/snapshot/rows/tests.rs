//! Rows as a portal gives them, whole and malformed, and what is taken of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

type Values = Vec<Option<Vec<u8>>>;

/// A DataRow's body.
fn data_row(values: &Values) -> Vec<u8> {
    let mut row = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        match value {
            None => row.extend(NULL.to_be_bytes()),
            Some(value) => {
                row.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                row.extend(value);
            }
        }
    }
    row
}

fn text(column: Column<'_>) -> String {
    match column {
        Column::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Keys in the first column, and as many bytes in the second.
fn read(keys: &[&str], sizes: &[usize], rows_max: u32, bytes_max: usize) -> (String, bool) {
    let mut rows = Rows::new(vec![false, true], vec![0], (rows_max, bytes_max), 0);
    for (key, size) in keys.iter().zip(sizes) {
        rows.push(&data_row(&vec![Some(key.as_bytes().to_vec()), Some(vec![7; *size])])).unwrap();
    }
    let is_full = rows.is_full();
    let count = rows.count();
    let last = rows.last_key().unwrap().first().map(|key| text(key.unwrap()));
    let bytes = rows.into_bytes();
    let taken = Tuples::new(&bytes).map(|row| row.unwrap().columns().next().unwrap());
    let taken: Vec<_> = taken.map(text).collect();
    assert_eq!(taken.len(), count as usize);
    assert_eq!(taken.last(), last.as_ref());
    (taken.concat(), is_full)
}

#[test]
fn rows_are_taken_while_there_is_room() {
    // A row of these is 2 + 6 + 5 + size bytes.
    let all = ["a", "b", "c", "d"];
    for (sizes, rows_max, bytes_max, expect) in [
        ([1, 1, 1, 1], 9, 1000, ("abcd", false)),
        ([1, 1, 1, 1], 4, 1000, ("abcd", false)),
        ([1, 1, 1, 1], 3, 1000, ("abc", true)),
        ([1, 1, 1, 1], 9, 28, ("ab", true)),
        ([1, 1, 1, 1], 9, 27, ("a", true)),
        // The first is always taken, and nothing behind one that was left out.
        ([500, 1, 1, 1], 9, 100, ("a", true)),
        ([1, 500, 1, 1], 9, 100, ("a", true)),
        ([1, 1, 1, 1], 0, 0, ("a", true)),
    ] {
        let (taken, is_full) = read(&all, &sizes, rows_max, bytes_max);
        assert_eq!((taken.as_str(), is_full), expect, "{sizes:?} {rows_max} {bytes_max}");
    }
}

#[test]
fn rows_that_are_alike_in_their_key_come_together() {
    let (taken, is_full) = read(&["a", "b", "b", "b", "c"], &[1; 5], 2, 1000);
    assert_eq!((taken.as_str(), is_full), ("abbb", true));
    let (taken, is_full) = read(&["b", "b", "b"], &[1; 3], 9, 1);
    assert_eq!((taken.as_str(), is_full), ("bbb", false));
}

#[test]
fn portions_are_of_bytes() {
    let portion = |size, count| {
        let mut rows = Rows::new(vec![true], vec![], (u32::MAX, usize::MAX), 0);
        for _ in 0..count {
            rows.push(&data_row(&vec![Some(vec![0; size])])).unwrap();
        }
        rows.portion()
    };
    assert_eq!(portion(1, 0), PORTION_ROWS_FIRST);
    assert_eq!(portion(1, 3), PORTION_ROWS_MAX);
    assert_eq!(portion(1017, 3), 256);
    assert_eq!(portion(1 << 20, 2), 1);
}

#[test]
fn a_row_that_is_malformed_is_an_error() {
    let whole = data_row(&vec![Some(b"ab".to_vec()), None, Some(vec![])]);
    let is_binary = [true, false, false];
    let mut out = Vec::new();
    append(&whole, &is_binary, &mut out).unwrap();
    assert_eq!(out, b"\0\x03b\0\0\0\x02abnt\0\0\0\0");
    for end in 0..whole.len() {
        assert!(append(&whole[..end], &is_binary, &mut Vec::new()).is_err(), "{end}");
    }
    let patched = |at: usize, byte| {
        let mut row = whole.clone();
        row[at] = byte;
        append(&row, &is_binary, &mut Vec::new())
    };
    // More and less columns than there are, a negative count, a negative and a huge length.
    for (at, byte) in [(1, 4), (1, 2), (0, 0xFF), (2, 0x80), (2, 0x7F)] {
        assert!(patched(at, byte).is_err(), "{at} {byte}");
    }
    let trailing = [whole.as_slice(), &[0]].concat();
    assert!(matches!(
        append(&trailing, &is_binary, &mut Vec::new()),
        Err(Error::Trailing { bytes: 1, .. })
    ));
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        table in (1usize..6).prop_flat_map(|columns| {
            let value = proptest::option::of(vec(any::<u8>(), 0..20));
            (vec(any::<bool>(), columns), vec(vec(value, columns), 0..20))
        })
    ) {
        let (is_binary, values) = table;
        let mut rows = Rows::new(is_binary.clone(), vec![], (u32::MAX, usize::MAX), 0);
        for row in &values {
            rows.push(&data_row(row)).unwrap();
        }
        let bytes = rows.into_bytes();
        let mut read: Vec<Values> = Vec::new();
        for row in Tuples::new(&bytes) {
            let value = |(column, is_binary): (Column<'_>, &bool)| match column {
                Column::Null => None,
                Column::Binary(value) if *is_binary => Some(value.to_vec()),
                Column::Text(value) if !is_binary => Some(value.to_vec()),
                other => panic!("{other:?}"),
            };
            read.push(row.unwrap().columns().zip(&is_binary).map(value).collect());
        }
        prop_assert_eq!(read, values);
    }

    #[test]
    fn any_bytes_are_a_row_or_an_error(
        row in vec(any::<u8>(), 0..200),
        is_binary in vec(any::<bool>(), 0..4),
    ) {
        let mut out = Vec::new();
        if append(&row, &is_binary, &mut out).is_ok() {
            let tuples: Result<Vec<_>, _> = Tuples::new(&out).collect();
            prop_assert_eq!(tuples.unwrap().len(), 1);
        }
    }
}
