//! The last state of every key, from records in the order of their offsets; and the rows beside it.
//!
//! A key is its hash here: which of them are kept is a stretch of all hashes, which gets narrower when
//! they become too many. What is left out is folded in another pass.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use sha2::{Digest, Sha256};

use super::read::Error;
use super::table::{Record, Schemas, State, Table};
use crate::position::Lsn;

/// The last states of the keys of some tables.
#[derive(Debug)]
pub struct Fold {
    tables: Vec<States>,
    /// The hashes that are kept, both ends included.
    from: u128,
    to: u128,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct States {
    entries: HashMap<u128, Entry>,
    /// Where the table was emptied last.
    truncated: Place,
    /// Keys of which there are records behind the point.
    touched: HashSet<u128>,
    /// The keys that count; `None` is all.
    only: Option<HashSet<u128>>,
    /// The last place in each partition.
    last: HashMap<i32, Place>,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    state: State,
    /// Whether the table has a row of this key.
    is_seen: bool,
    key: Box<[u8]>,
}

/// A record's place among all of a pipeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    epoch: u32,
    lsn: Lsn,
    ordinal: u64,
    part: u64,
}

/// The point of which the state is: all that commits before it, and nothing else.
pub type Point = (u32, Lsn);

/// How table and topic differ in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Both have it, with other values.
    Both,
    /// The table alone.
    Table,
    /// The topic alone.
    Topic,
}

/// What was found of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Both are alike, as far as the record has all columns (`is_partial`: not all).
    Alike {
        /// Whether the record has no value of some column.
        is_partial: bool,
    },
    /// There are newer records: to be looked at again, as of a later point.
    Changing {
        /// The key's hash, for [`Fold::only`].
        hash: u128,
    },
    /// They differ.
    Differs {
        /// In what.
        side: Side,
        /// The key as in the topic, where it has one.
        key: Option<Box<[u8]>>,
    },
    /// It is another pass's.
    Left,
}

impl Fold {
    /// Of so many tables, in about so many bytes of memory; keys with hashes from `from` on.
    #[must_use]
    pub fn new(tables: usize, from: u128, bytes_max: usize) -> Self {
        let tables = (0..tables).map(|_| States::default()).collect();
        Self { tables, from, to: u128::MAX, bytes: 0, bytes_max }
    }

    /// Only these keys of a table count.
    pub fn only(&mut self, table: usize, keys: HashSet<u128>) {
        if let Some(states) = self.tables.get_mut(table) {
            states.only = Some(keys);
        }
    }

    /// Where the next pass begins; `None` if this is the last one.
    #[must_use]
    pub fn next_from(&self) -> Option<u128> {
        self.to.checked_add(1)
    }

    /// Takes the next record of a partition. With a `point`, what does not commit before it is not part
    /// of the state. A record that is not walbrook's, without a position, counts as of its place.
    ///
    /// # Errors
    ///
    /// If it is no record of the table. Its schemas must be known ([`Table::wants`]).
    pub fn take(
        &mut self,
        index: usize,
        (table, schemas): (&mut Table, &Schemas),
        record: &Record<'_>,
        point: Option<Point>,
    ) -> Result<(), Error> {
        let (from, to) = (self.from, self.to);
        let states = self.tables.get_mut(index).ok_or(NO_TABLE)?;
        let place = states.place(record)?;
        let is_before = point.is_none_or(|(epoch, lsn)| (place.epoch, place.lsn) < (epoch, lsn));
        let Some(key) = record.key else {
            let value = record.value.ok_or(NO_KEY)?;
            if table.state(value, None, schemas)? != State::Truncated {
                return Err(NO_KEY);
            }
            if is_before {
                states.truncated = states.truncated.max(place);
            }
            return Ok(());
        };
        let texts = match table.key_texts(key, schemas) {
            Err(_) if record.is_others => return Ok(()),
            texts => texts?,
        };
        let hash = key_hash(texts.iter().map(Option::as_deref));
        let is_wanted = states.only.as_ref().is_none_or(|only| only.contains(&hash));
        if hash < from || to < hash || !is_wanted {
            return Ok(());
        }
        // Of others only that counts which has the very key of a row.
        if record.is_others && states.entries.get(&hash).is_none_or(|entry| *entry.key != *key) {
            return Ok(());
        }
        if !is_before {
            self.bytes += if states.touched.insert(hash) { TOUCHED_BYTES } else { 0 };
            return Ok(());
        }
        let state = match record.value.filter(|_| !record.is_others) {
            None => State::Gone,
            Some(value) => table.state(value, record.unchanged, schemas)?,
        };
        let entry = Entry { place, state, is_seen: false, key: key.into() };
        self.bytes += states.put(hash, entry);
        self.narrow();
        Ok(())
    }

    /// Holds a row of the table beside the state of its key; its texts are those of
    /// [`Table::expressions`].
    pub fn row(&mut self, index: usize, table: &Table, texts: &[Option<&str>]) -> Found {
        let hash = key_hash(texts.iter().copied().take(table.key_len()));
        let Some(states) = self.tables.get_mut(index) else { return Found::Left };
        let is_wanted = states.only.as_ref().is_none_or(|only| only.contains(&hash));
        if hash < self.from || self.to < hash || !is_wanted {
            return Found::Left;
        }
        let truncated = states.truncated;
        let entry = states.entries.get_mut(&hash);
        let found = match entry.filter(|entry| truncated <= entry.place && !entry.is_seen) {
            Some(entry) => {
                entry.is_seen = true;
                match entry.state {
                    State::Row { hash, view } if hash == table.row_hash(view, texts) => {
                        return Found::Alike { is_partial: table.is_partial(view) };
                    }
                    State::Row { .. } => {
                        Found::Differs { side: Side::Both, key: Some(entry.key.clone()) }
                    }
                    _ => Found::Differs { side: Side::Table, key: Some(entry.key.clone()) },
                }
            }
            None => Found::Differs { side: Side::Table, key: None },
        };
        if states.touched.contains(&hash) { Found::Changing { hash } } else { found }
    }

    /// What the topic alone has, when all rows of the table were held beside it.
    pub fn rest(&mut self, index: usize) -> impl Iterator<Item = Found> {
        let states = self.tables.get_mut(index).map(std::mem::take).unwrap_or_default();
        let States { entries, truncated, touched, .. } = states;
        let is_left = move |entry: &Entry| {
            truncated <= entry.place && !entry.is_seen && matches!(entry.state, State::Row { .. })
        };
        entries.into_iter().filter(move |(_, entry)| is_left(entry)).map(move |(hash, entry)| {
            if touched.contains(&hash) {
                return Found::Changing { hash };
            }
            Found::Differs { side: Side::Topic, key: Some(entry.key) }
        })
    }

    /// Leaves the upper half of the hashes to another pass until what is kept has room.
    fn narrow(&mut self) {
        while self.bytes_max < self.bytes && self.from < self.to {
            self.to = self.from + (self.to - self.from) / 2;
            self.bytes = 0;
            for states in &mut self.tables {
                let to = self.to;
                states.entries.retain(|hash, _| *hash <= to);
                states.touched.retain(|hash| *hash <= to);
                states.entries.shrink_to_fit();
                self.bytes += states.entries.values().map(Entry::bytes).sum::<usize>();
                self.bytes += states.touched.len() * TOUCHED_BYTES;
            }
        }
    }
}

impl States {
    /// The place of a record; one without a position stands where the last one of its partition does.
    fn place(&mut self, record: &Record<'_>) -> Result<Place, Error> {
        let last = self.last.entry(record.partition).or_default();
        if let Some(position) = record.position {
            *last = position.parse()?;
        }
        Ok(*last)
    }

    /// Puts a state in place of what is not newer; returns how many bytes it has added.
    fn put(&mut self, hash: u128, entry: Entry) -> usize {
        match self.entries.get_mut(&hash) {
            Some(old) if entry.place < old.place => 0,
            Some(old) => {
                // Its key may have other bytes, of about the same length.
                *old = entry;
                0
            }
            None => {
                let bytes = entry.bytes();
                self.entries.insert(hash, entry);
                bytes
            }
        }
    }
}

impl Entry {
    /// What it takes in memory, about: the map has room for more than it holds.
    fn bytes(&self) -> usize {
        2 * (size_of::<Self>() + size_of::<u128>()) + self.key.len().next_multiple_of(16)
    }
}

/// What a hash in a set takes, about.
const TOUCHED_BYTES: usize = 2 * size_of::<u128>();

impl FromStr for Place {
    type Err = Error;

    /// `1:16/B374D848#12.0`; without an epoch it is 0.
    fn from_str(text: &str) -> Result<Self, Error> {
        let place = || {
            let (epoch, text) = text.split_once(':').unwrap_or(("0", text));
            let (lsn, text) = text.split_once('#')?;
            let (ordinal, part) = text.split_once('.')?;
            Some(Self {
                epoch: epoch.parse().ok()?,
                lsn: lsn.parse().ok()?,
                ordinal: ordinal.parse().ok()?,
                part: part.parse().ok()?,
            })
        };
        place().ok_or(Error("its header walbrook.position is no position"))
    }
}

fn key_hash<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> u128 {
    hash(texts.enumerate())
}

/// The first half of SHA-256 over numbered texts.
pub(super) fn hash<'a>(texts: impl Iterator<Item = (usize, Option<&'a str>)>) -> u128 {
    let mut sha = Sha256::new();
    for (number, text) in texts {
        sha.update(number.to_be_bytes());
        match text {
            None => sha.update([0]),
            Some(text) => {
                sha.update([1]);
                sha.update(text.len().to_be_bytes());
                sha.update(text);
            }
        }
    }
    let whole = sha.finalize();
    whole.iter().take(16).fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

const NO_KEY: Error = Error("it has no key, and the table has one");
const NO_TABLE: Error = Error("no such table");
