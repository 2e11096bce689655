//! Tables that wait: what of them cannot be written is kept in a topic of its own, whole and in order,
//! and brought back when it can be.
//!
//! ```text
//! a change ──▶ its table's plan ─┬─▶ records of the table's topic
//!                                └─ refused ─▶ parked: the change itself, and what its plan needs
//!                                                │ later, in order, before any newer one
//!                                                ▼
//!                                              the plan, made anew
//! ```
//!
//! A parked change is in the same Kafka transaction as all that came with it, and so is how many of its
//! table have been brought back: a [`Parked`] of each table stands in the checkpoint topic.
//!
//! Tables are told apart by their names and not by their OIDs, since what must stay in order is a topic's
//! records: a table that is dropped and made again waits behind itself.

mod change;
mod facts;
mod letter;

pub use change::{Error, Joiner, Kept, PIECE_BYTES, has_more, write, write_piece};
pub use facts::Shape;
pub use letter::Letter;

use serde::{Deserialize, Serialize};

/// The format that this version writes.
pub const FORMAT: u32 = 1;

/// A table whose changes are parked. Every format ever written is a golden file that must still be read;
/// a newer one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The format's number: [`FORMAT`].
    pub format: u32,
    /// The replication slot.
    pub slot: String,
    /// `schema.table`.
    pub table: String,
    /// Why, in the words of who has refused it.
    pub reason: String,
    /// The subject of a schema that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whether a broker has refused one of its records. To try that again ends the Kafka transaction of
    /// all tables, so it is done at a start and when somebody says so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_broker: bool,
    /// Since when: microseconds since 1970-01-01 UTC.
    pub since_us: i64,
    /// The offset in the topic of what is parked from which on its changes lie. The first of them has its
    /// shape.
    pub offset: i64,
    /// How many of its changes from there on are brought back.
    pub passed: u64,
    /// How many were parked in all.
    pub changes: u64,
    /// How many of these are brought back, or left out as somebody said.
    pub returned: u64,
}

impl Parked {
    /// How many changes wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.changes.saturating_sub(self.returned)
    }

    /// The record's value.
    ///
    /// # Panics
    ///
    /// Never: the type holds nothing that JSON cannot.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a parked table is plain JSON")
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
        let Probe { format } = serde_json::from_slice(bytes).map_err(|error| json(&error))?;
        if FORMAT < format {
            return Err(Error::NewerFormat { found: format });
        }
        serde_json::from_slice(bytes).map_err(|error| json(&error))
    }
}

fn json(error: &serde_json::Error) -> Error {
    Error::Json { line: error.line(), column: error.column() }
}

fn is_false(is: &bool) -> bool {
    !is
}

#[cfg(test)]
mod tests;
