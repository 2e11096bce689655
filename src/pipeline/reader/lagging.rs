//! The wait for a standby that lags: the operator is told when it is long, and again and again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tracing::warn;

use super::super::clock;
use crate::position::Lsn;
use crate::postgres::ChunkError;
use crate::wal::RelationId;

/// How often.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// What a standby is waited for.
#[derive(Debug, Default)]
pub(super) struct Lagging {
    /// Since when, or since when its operator knows.
    since: Option<Instant>,
    /// Where it has to be before a table can be divided: it would never be where the log ends.
    wanted: BTreeMap<RelationId, Lsn>,
}

impl Lagging {
    /// It is waited for once more.
    pub(super) fn tell(&mut self, error: &ChunkError) {
        let now = clock::now();
        let since = self.since.get_or_insert(now);
        if TELL_EVERY <= now - *since {
            *since = now;
            warn!(%error, "no rows of tables are read meanwhile; the stream goes on");
        }
    }

    /// It is not, any more.
    pub(super) fn end(&mut self) {
        self.since = None;
    }

    /// A table could not be divided, since the standby was not there.
    pub(super) fn keep(&mut self, relation: RelationId, wanted: Lsn) {
        self.wanted.insert(relation, wanted);
    }

    /// Where it has to be for a table to be divided: where it had to be, or where the log ends.
    pub(super) fn wanted(&mut self, relation: RelationId, logged: Lsn) -> Lsn {
        self.wanted.remove(&relation).unwrap_or(logged)
    }
}
