//! Whether a transaction that is in the stream is visible to queries.

use super::super::error::Error;
use super::{Catalog, field};
use crate::position::Xid;

impl Catalog {
    /// Whether a transaction that the stream has shows in what queries see from now on. (On a standby
    /// it always does: it is sent when it was replayed.)
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn shows(&mut self, xid: Xid) -> Result<bool, Error> {
        let row = self.row(SNAPSHOT_SQL, &[]).await?;
        let running: Vec<i64> = field(&row, 1)?;
        Ok(shows(low_half(field(&row, 0)?), running.into_iter().map(low_half), xid))
    }
}

/// Whether a snapshot shows an ended transaction: it began before `end`, the first that the snapshot
/// knows nothing of, and does not count as running. Ids are compared as PostgreSQL does, modulo 2^32.
fn shows(end: Xid, mut running: impl Iterator<Item = Xid>, xid: Xid) -> bool {
    let is_before = xid.0.wrapping_sub(end.0).cast_signed() < 0;
    is_before && running.all(|other| other != xid)
}

/// The stream has 32 bits of the 64.
fn low_half(full: i64) -> Xid {
    Xid(u32::try_from(full & i64::from(u32::MAX)).unwrap_or_default())
}

const SNAPSHOT_SQL: &str = "\
SELECT pg_snapshot_xmax(snapshot)::text::int8,
       ARRAY(SELECT xid::text::int8 FROM pg_snapshot_xip(snapshot) AS xid)
FROM pg_current_snapshot() AS snapshot";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_shows_when_it_is_past_and_not_running() {
        let all: &[(i64, &[i64], u32, bool)] = &[
            (100, &[], 99, true),
            (100, &[], 100, false),
            (100, &[], 101, false),
            (100, &[99, 97], 97, false),
            (100, &[99, 97], 98, true),
            // The counter has gone round.
            ((1 << 32) + 5, &[], u32::MAX, true),
            ((1 << 32) + 5, &[], 4, true),
            ((1 << 32) + 5, &[(1 << 32) + 3], 3, false),
            ((1 << 32) - 2, &[], 4, false),
        ];
        for (end, running, xid, expect) in all {
            let running_xids = running.iter().map(|full| low_half(*full));
            assert_eq!(
                shows(low_half(*end), running_xids, Xid(*xid)),
                *expect,
                "{end} {running:?} {xid}"
            );
        }
    }
}
