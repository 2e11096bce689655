//! Tables that are parked, as a plain value.

use serde::{Deserialize, Serialize};

/// A table whose changes wait, since something of it is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedTable {
    /// `schema.table`.
    pub table: String,
    /// Why, in the words of who has refused it.
    pub reason: String,
    /// The subject of a schema that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Since when: microseconds since 1970-01-01 UTC.
    pub since_us: i64,
    /// How many of its changes wait.
    pub waiting: u64,
    /// How many are brought back.
    pub returned: u64,
    /// Whether they are being brought back.
    pub is_returning: bool,
    /// How often that was tried.
    pub tries: u64,
}
