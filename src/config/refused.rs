//! What becomes of a table of which something is refused.

use std::collections::BTreeMap;
use std::time::Duration;

/// What becomes of a table of which something cannot be written: a schema that the registry refuses, a
/// record that a broker does, a value that no field holds, a name that is another table's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Of all that are not named.
    pub action: OnRefused,
    /// Of these, each as `schema.table`.
    pub by_table: BTreeMap<String, OnRefused>,
    /// When it is tried again by itself.
    pub retry_after: Duration,
}

impl Default for Refused {
    fn default() -> Self {
        Self {
            action: OnRefused::Park,
            by_table: BTreeMap::new(),
            retry_after: Duration::from_mins(10),
        }
    }
}

impl Refused {
    /// What becomes of `schema.table`.
    #[must_use]
    pub fn action(&self, table: &str) -> OnRefused {
        self.by_table.get(table).copied().unwrap_or(self.action)
    }
}

/// What becomes of a table of which something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRefused {
    /// Its changes wait in a topic of their own; all other tables go on.
    Park,
    /// The pipeline stops.
    Stop,
}
