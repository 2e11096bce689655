//! Where a change is: log sequence numbers and positions.
//!
//! PostgreSQL's `Begin` message carries the final LSN of its transaction, so every change has its
//! whole coordinate, [`Position`], when it arrives. An LSN alone is no coordinate: COPY and
//! multi-row INSERT give many rows the same one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte offset in the write-ahead log, printed as PostgreSQL prints it (`16/B374D848`).
///
/// Source: <https://www.postgresql.org/docs/current/datatype-pg-lsn.html>
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// `0/0`, which PostgreSQL uses for "not known".
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// The text is not of the form `16/B374D848`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a log sequence number (want hexadecimal X/X, such as 16/B374D848)")]
pub struct LsnError;

impl FromStr for Lsn {
    type Err = LsnError;

    fn from_str(text: &str) -> Result<Self, LsnError> {
        let (high, low) = text.split_once('/').ok_or(LsnError)?;
        let half = |s: &str| match s.len() {
            1..=8 if s.bytes().all(|b| b.is_ascii_hexdigit()) => {
                u64::from_str_radix(s, 16).map_err(|_| LsnError)
            }
            _ => Err(LsnError),
        };
        Ok(Self(half(high)? << 32 | half(low)?))
    }
}

impl Serialize for Lsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where a change is: the commit LSN of its transaction and its place in it.
///
/// `ordinal` counts the inserts, updates, deletes, truncates and transactional messages of the
/// transaction as they come off the wire, from 1, before any filter of ours. Positions of changes
/// strictly increase in the stream (I3).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// The final LSN of the transaction, from its `Begin`.
    pub commit_lsn: Lsn,
    /// The change's number in its transaction, from 1; 0 stands before the first.
    pub ordinal: u64,
}

impl Position {
    /// Before every change.
    pub const ZERO: Self = Self { commit_lsn: Lsn::ZERO, ordinal: 0 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.commit_lsn, self.ordinal)
    }
}

/// The text is not of the form `16/B374D848#12`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position (want a commit LSN and an ordinal, such as 16/B374D848#12)")]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let (commit_lsn, ordinal) = text.split_once('#').ok_or(PositionError)?;
        if ordinal.is_empty() || !ordinal.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PositionError);
        }
        let commit_lsn = commit_lsn.parse().map_err(|_| PositionError)?;
        Ok(Self { commit_lsn, ordinal: ordinal.parse().map_err(|_| PositionError)? })
    }
}

/// A PostgreSQL transaction id as pgoutput sends it: 32 bits, which wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Xid(pub u32);

impl fmt::Display for Xid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsn_reads_and_prints_as_postgres_does() {
        for text in ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        for text in ["", "/", "1", "1/", "/1", "1/123456789", "g/1", "+1/1", "1/1/1"] {
            assert_eq!(text.parse::<Lsn>(), Err(LsnError), "{text}");
        }
    }

    #[test]
    fn a_position_reads_as_it_prints() {
        for text in ["0/0#0", "16/B374D848#12"] {
            assert_eq!(text.parse::<Position>().unwrap().to_string(), text);
        }
        for text in ["", "1/1", "1/1#", "#1", "1#1", "1/1#-1", "1/1#+1", "1/1#12.0", "1/1#1#1"] {
            assert_eq!(text.parse::<Position>(), Err(PositionError), "{text}");
        }
    }

    #[test]
    fn positions_order_by_commit_then_ordinal() {
        let at = |commit, ordinal| Position { commit_lsn: Lsn(commit), ordinal };
        assert!(at(1, 9) < at(2, 1));
        assert!(at(2, 1) < at(2, 2));
    }
}
