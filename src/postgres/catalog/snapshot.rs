//! What queries see of the transactions in the stream.

use super::super::error::Error;
use super::super::snapshot::log_end;
use super::{Catalog, field, lsn_field};
use crate::position::{Lsn, Xid};
use crate::snapshot::{Streamed, Verdict, Visibility};

/// What a snapshot that is taken now shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shows {
    /// Which transactions.
    pub visibility: Visibility,
    /// The next id that the server gives away: all that ran until now have one before it. (A standby
    /// knows of those that have written something that it has replayed.)
    pub next: Xid,
    /// All that shows was logged before.
    pub logged: Lsn,
    /// Whether the server is a standby.
    is_standby: bool,
}

impl Catalog {
    /// What queries see from now on; on a standby less, which lists nothing as running: what is older
    /// than all that run.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn visibility(&mut self) -> Result<Shows, Error> {
        let row = self.row(SNAPSHOT_SQL, &[]).await?;
        let running: Vec<i64> = field(&row, 1)?;
        let running = running.into_iter().map(low_half).collect();
        let age: i32 = field(&row, 2)?;
        let bytes = |index| field::<i64>(&row, index).map(i64::cast_unsigned);
        Ok(Shows {
            visibility: Visibility::Listed { end: low_half(field(&row, 0)?), running },
            next: Xid(age.cast_unsigned().wrapping_add(FIRST_NORMAL_XID)),
            logged: log_end(lsn_field(&row, 3)?.unwrap_or_default(), bytes(4)?, bytes(5)?),
            is_standby: field(&row, 6)?,
        })
    }

    /// Whether a transaction that the stream has shows in what queries see from now on. (On a standby
    /// it always does: it is sent when it was replayed.)
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn shows(&mut self, xid: Xid) -> Result<bool, Error> {
        let Shows { visibility, is_standby, .. } = self.visibility().await?;
        Ok(is_standby
            || visibility.verdict(Streamed { xid, commit_lsn: Lsn::ZERO }) == Verdict::Seen)
    }
}

/// The stream has 32 bits of the 64.
fn low_half(full: i64) -> Xid {
    Xid(u32::try_from(full & i64::from(u32::MAX)).unwrap_or_default())
}

/// Ids begin with it, also when they have gone round.
const FIRST_NORMAL_XID: u32 = 3;

/// The age of an id is counted from the next one, of a session that has none itself; `xid_age` in
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/xid.c>
const SNAPSHOT_SQL: &str = "\
SELECT CASE WHEN is_standby THEN pg_snapshot_xmin(snapshot) ELSE pg_snapshot_xmax(snapshot) END::text::int8,
       ARRAY(SELECT xid::text::int8 FROM pg_snapshot_xip(snapshot) AS xid WHERE NOT is_standby),
       age('3'::xid),
       CASE WHEN is_standby THEN greatest(pg_last_wal_replay_lsn(), pg_last_wal_receive_lsn())
            ELSE pg_current_wal_insert_lsn() END::text,
       current_setting('wal_block_size')::int8,
       pg_size_bytes(current_setting('wal_segment_size')),
       is_standby
FROM pg_current_snapshot() AS snapshot
CROSS JOIN pg_is_in_recovery() AS is_standby";
