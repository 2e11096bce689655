//! What queries see of the transactions in the stream.

use super::super::error::Error;
use super::{Catalog, field};
use crate::position::{Lsn, Xid};
use crate::snapshot::{Streamed, Verdict, Visibility};

/// What a snapshot that is taken now shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shows {
    /// Which transactions.
    pub visibility: Visibility,
    /// The next id that the server gives away: all that ran until now have one before it.
    pub next: Xid,
}

impl Catalog {
    /// What queries see from now on.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn visibility(&mut self) -> Result<Shows, Error> {
        let row = self.row(SNAPSHOT_SQL, &[]).await?;
        let running: Vec<i64> = field(&row, 1)?;
        let running = running.into_iter().map(low_half).collect();
        let age: i32 = field(&row, 2)?;
        Ok(Shows {
            visibility: Visibility::Listed { end: low_half(field(&row, 0)?), running },
            next: Xid(age.cast_unsigned().wrapping_add(FIRST_NORMAL_XID)),
        })
    }

    /// Whether a transaction that the stream has shows in what queries see from now on. (On a standby
    /// it always does: it is sent when it was replayed.)
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn shows(&mut self, xid: Xid) -> Result<bool, Error> {
        let Shows { visibility, .. } = self.visibility().await?;
        Ok(visibility.verdict(Streamed { xid, commit_lsn: Lsn::ZERO }) == Verdict::Seen)
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
SELECT pg_snapshot_xmax(snapshot)::text::int8,
       ARRAY(SELECT xid::text::int8 FROM pg_snapshot_xip(snapshot) AS xid),
       age('3'::xid)
FROM pg_current_snapshot() AS snapshot";
