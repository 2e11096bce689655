//! How far a table was read, and the wire form of that: a record of its own in the checkpoint topic.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::chunk::Range;
use super::visibility::Unsettled;
use crate::wal::RelationId;

/// The format of a table that is read.
pub const FORMAT: u32 = 1;

/// The format of one that is repaired: a version that does not know that would write no deletes.
pub const FORMAT_WITH_GAP: u32 = 2;

/// How far a table was read. Every format ever written is a golden file that must still be read; a
/// newer one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The format's number.
    pub format: u32,
    /// The replication slot beside which it is read.
    pub slot: String,
    /// `schema.table`, for who looks at it.
    pub table: String,
    /// Its OID: another one is another table.
    #[serde(with = "oid")]
    pub relation: RelationId,
    /// Whether there is something left.
    pub state: State,
    /// The names of the key columns, in the key's order: what bounds are of. None of a table without a
    /// key, of which all is read at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// What is left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// The keys of rows that are to be read again, as the stream carries them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[serde(serialize_with = "encode", deserialize_with = "decode")]
    pub again: BTreeSet<Box<[u8]>>,
    /// What must show before any of it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsettled: Option<Unsettled>,
    /// How many rows have entered.
    pub rows: u64,
    /// About how many the table had when it was divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_estimated: Option<u64>,
    /// Which rows are read, an SQL expression; all of them without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The gap because of which keys are read again: of those that the table does not have it is
    /// written that they are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
    /// Whether no more is read until somebody says so.
    #[serde(default, rename = "paused", skip_serializing_if = "is_false")]
    pub is_paused: bool,
}

/// Whether a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// All rows have entered.
    Done,
    /// There are rows left.
    Reading,
    /// It is not read, and was there before snapshots were.
    Skipped,
}

/// Bytes that are no progress of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record was written by a newer version.
    #[error(
        "it has format {found}, and this version reads up to {FORMAT_WITH_GAP}: it was written by a newer walbrook"
    )]
    NewerFormat {
        /// The format found.
        found: u32,
    },
    /// The record is something else.
    #[error("it is not readable (line {line}, column {column})")]
    Unreadable {
        /// The line in the record's JSON.
        line: usize,
        /// The column in the record's JSON.
        column: usize,
    },
}

impl Progress {
    /// Of a table of which nothing is known yet.
    #[must_use]
    pub fn new(slot: String, table: String, relation: RelationId) -> Self {
        Self {
            format: FORMAT,
            slot,
            table,
            relation,
            state: State::Skipped,
            key: Vec::new(),
            ranges: Vec::new(),
            again: BTreeSet::new(),
            unsettled: None,
            rows: 0,
            rows_estimated: None,
            condition: None,
            gap: None,
            is_paused: false,
        }
    }

    /// The same with keys of which it is to be written what the table has of them.
    #[must_use]
    pub fn repairing(self, gap: String, keys: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        let (before, mut again) = (self.again.len(), self.again);
        again.extend(keys);
        let more = u64::try_from(again.len() - before).unwrap_or(u64::MAX);
        let rows_estimated = Some(self.rows_estimated.unwrap_or_default() + more);
        let (format, state) = (FORMAT_WITH_GAP, State::Reading);
        Self { format, state, again, rows_estimated, gap: Some(gap), ..self }
    }

    /// The same with nothing left to read.
    #[must_use]
    pub fn ended(self, state: State) -> Self {
        let Self { slot, table, relation, rows, .. } = self;
        Self { state, rows, ..Self::new(slot, table, relation) }
    }

    /// The record's value.
    ///
    /// # Panics
    ///
    /// Never: the type holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("progress is plain JSON")
    }

    /// Reads a record's value.
    ///
    /// # Errors
    ///
    /// If it is something else, or of a newer format.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Probe {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| Error::Unreadable {
            line: error.line(),
            column: error.column(),
        };
        let Probe { format } = serde_json::from_slice(bytes).map_err(unreadable)?;
        if FORMAT_WITH_GAP < format {
            return Err(Error::NewerFormat { found: format });
        }
        serde_json::from_slice(bytes).map_err(unreadable)
    }

    /// Whether its stream waits for its rows, since it has no key.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.state == State::Reading && self.key.is_empty()
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ranges.is_empty() && self.again.is_empty()
    }
}

fn is_false(is: &bool) -> bool {
    !is
}

mod oid {
    use super::{Deserialize, Deserializer, RelationId, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &RelationId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(id.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<RelationId, D::Error> {
        u32::deserialize(from).map(RelationId)
    }
}

fn encode<S: Serializer>(keys: &BTreeSet<Box<[u8]>>, to: S) -> Result<S::Ok, S::Error> {
    use base64::Engine as _;
    to.collect_seq(keys.iter().map(|key| base64::engine::general_purpose::STANDARD.encode(key)))
}

fn decode<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<Box<[u8]>>, D::Error> {
    use base64::Engine as _;
    let decode = |key: String| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(key);
        bytes.map(Vec::into_boxed_slice).map_err(serde::de::Error::custom)
    };
    Vec::<String>::deserialize(from)?.into_iter().map(decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &[&str] = &[
        include_str!("../../tests/golden/snapshot/format-1.json"),
        include_str!("../../tests/golden/snapshot/format-1-done.json"),
        include_str!("../../tests/golden/snapshot/format-1-estimated.json"),
        include_str!("../../tests/golden/snapshot/format-1-paused.json"),
        include_str!("../../tests/golden/snapshot/format-1-keyless.json"),
        include_str!("../../tests/golden/snapshot/format-2.json"),
    ];

    #[test]
    fn every_format_ever_written_is_read_and_the_present_one_written() {
        for golden in GOLDEN {
            let progress = Progress::from_json(golden.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(progress.to_json()).unwrap(), golden.trim_end());
        }
    }

    #[test]
    fn what_is_newer_or_something_else_is_refused_without_showing_it() {
        let error = Progress::from_json(br#"{"format":3,"x":"canary"}"#).unwrap_err();
        assert!(error.to_string().contains("format 3"), "{error}");
        for bytes in [&b""[..], b"{}", b"{\"format\":1}", b"\xff", b"{\"format\":\"canary\"}"] {
            let error = Progress::from_json(bytes).unwrap_err();
            assert!(matches!(error, Error::Unreadable { .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
    }
}
