//! Replication slots and the walsenders that serve them.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Row;

use crate::position::Lsn;

use super::super::error::Error;
use super::{Catalog, field, lsn_field};

/// A replication slot as `pg_replication_slots` shows it.
///
/// Source: <https://www.postgresql.org/docs/current/view-pg-replication-slots.html>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotFacts {
    /// The output plugin; `None` for a physical slot.
    pub plugin: Option<String>,
    /// `logical` or `physical`.
    pub slot_type: String,
    /// The database; `None` for a physical slot.
    pub database: Option<String>,
    /// Whether a process streams from it.
    pub is_active: bool,
    /// That process.
    pub active_pid: Option<i32>,
    /// Everything before it was confirmed.
    pub confirmed_flush: Option<Lsn>,
    /// The oldest log that the slot needs.
    pub restart_lsn: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved` or `lost`.
    pub wal_status: Option<String>,
    /// Bytes that can be written before the slot may be lost; `None` where nothing limits it.
    pub safe_wal_size: Option<i64>,
    /// Why it was invalidated (17+).
    pub invalidation_reason: Option<String>,
    /// Whether it conflicted with recovery and was invalidated (16+, on a standby).
    pub is_conflicting: bool,
    /// Whether it decodes prepared transactions.
    pub is_two_phase: bool,
    /// Whether it is synchronised to standbys (17+).
    pub is_failover: bool,
    /// Whether it is dropped with its session.
    pub is_temporary: bool,
    /// Bytes of log between `restart_lsn` and the end of the log.
    pub retained_bytes: Option<i64>,
    /// What may keep `restart_lsn` where it is, whatever is confirmed.
    pub oldest_xact: Option<OldestXact>,
}

/// The transaction of all that are open on the server, in any database, which got its id first: the
/// slot needs the log from its beginning on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldestXact {
    /// The process that has it open; `None` if it is prepared.
    pub pid: Option<i32>,
    /// The name that it was prepared under.
    pub prepared: Option<String>,
    /// What its process does; `None` if our role may not see it (`pg_read_all_stats`).
    pub state: Option<String>,
    /// Since when it is open, or prepared; `None` if our role may not see it.
    pub age: Option<Duration>,
}

impl fmt::Display for OldestXact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.prepared) {
            (_, Some(name)) => write!(f, "prepared as {name:?}")?,
            (Some(pid), None) => write!(f, "process {pid}")?,
            (None, None) => f.write_str("unknown")?,
        }
        if let Some(state) = &self.state {
            write!(f, ", {state}")?;
        }
        match self.age {
            Some(age) => write!(f, ", for {} s", age.as_secs()),
            None => f.write_str(", its age is only for roles with pg_read_all_stats"),
        }
    }
}

impl SlotFacts {
    /// Why the slot is lost for ever; `None` if it is not.
    #[must_use]
    pub fn invalidation(&self) -> Option<&str> {
        match (&self.invalidation_reason, &self.wal_status) {
            (Some(reason), _) => Some(reason),
            (None, Some(status)) if status == "lost" => Some("wal_removed"),
            (None, _) if self.is_conflicting => Some("conflicting"),
            (None, _) => None,
        }
    }

    /// The end of the server's log when it was asked; `None` for a slot that keeps nothing.
    #[must_use]
    pub fn log_end(&self) -> Option<Lsn> {
        let retained = u64::try_from(self.retained_bytes?).ok()?;
        Some(Lsn(self.restart_lsn?.0.saturating_add(retained)))
    }
}

/// A walsender as `pg_stat_replication` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walsender {
    /// `application_name` of its receiver.
    pub application_name: String,
    /// Where its receiver is; `None` for a Unix socket.
    pub client_address: Option<String>,
    /// `startup`, `catchup`, `streaming`, `backup` or `stopping`.
    pub state: Option<String>,
    /// How long ago its receiver's last status message was sent, by the receiver's clock against
    /// the server's; `None` if there was none. (Also `None` if our role may not see it.)
    pub reply_age: Option<Duration>,
    /// Whether it waits for its receiver or for something to send: it is not busy. `false` also if
    /// our role may not see it.
    pub is_waiting: bool,
}

impl Catalog {
    /// A replication slot; `None` if there is none of that name.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn slot(&mut self, name: &str) -> Result<Option<SlotFacts>, Error> {
        let rows = self.rows(SLOT_SQL, &[&name]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(SlotFacts {
            plugin: field(row, 0)?,
            slot_type: field(row, 1)?,
            database: field(row, 2)?,
            is_active: field(row, 3)?,
            active_pid: field(row, 4)?,
            confirmed_flush: lsn_field(row, 5)?,
            restart_lsn: lsn_field(row, 6)?,
            wal_status: field(row, 7)?,
            safe_wal_size: field(row, 8)?,
            invalidation_reason: field(row, 9)?,
            is_conflicting: field(row, 10)?,
            is_two_phase: field(row, 11)?,
            is_failover: field(row, 12)?,
            is_temporary: field(row, 13)?,
            retained_bytes: field(row, 14)?,
            oldest_xact: oldest_xact(row)?,
        }))
    }

    /// The end of all that the server has written to its log, also what is not on its disk yet;
    /// `None` on a standby, which has no more than it was sent.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn written_end(&mut self) -> Result<Option<Lsn>, Error> {
        let row = self.row(WRITTEN_END_SQL, &[]).await?;
        let Some(end) = lsn_field(&row, 0)? else { return Ok(None) };
        // Behind a page's header nothing is written yet, and what was before ends with the page.
        let behind = end.0 % PAGE_BYTES;
        Ok(Some(if behind <= PAGE_HEADER_BYTES_MAX { Lsn(end.0 - behind) } else { end }))
    }

    /// The walsender with this process id; `None` if it has gone.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn walsender(&mut self, pid: i32) -> Result<Option<Walsender>, Error> {
        let rows = self.rows(WALSENDER_SQL, &[&pid]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Walsender {
            application_name: field(row, 0)?,
            client_address: field(row, 1)?,
            state: field(row, 2)?,
            reply_age: age_field(row, 3)?,
            is_waiting: field(row, 4)?,
        }))
    }

    /// Ends the walsender that holds a slot, if it is still the process `pid`. Says whether the
    /// signal was sent.
    ///
    /// # Errors
    ///
    /// If the query fails, as when the role may not signal that process.
    pub async fn terminate(&mut self, slot: &str, pid: i32) -> Result<bool, Error> {
        let rows = self.rows(TERMINATE_SQL, &[&slot, &pid]).await?;
        rows.first().map_or(Ok(false), |row| field(row, 0))
    }
}

fn oldest_xact(row: &Row) -> Result<Option<OldestXact>, Error> {
    let (pid, prepared): (Option<i32>, Option<String>) = (field(row, 15)?, field(row, 16)?);
    if pid.is_none() && prepared.is_none() {
        return Ok(None);
    }
    Ok(Some(OldestXact { pid, prepared, state: field(row, 17)?, age: age_field(row, 18)? }))
}

/// An age in seconds. Where the clocks are those of two machines, what comes from the future is as
/// fresh as can be.
fn age_field(row: &Row, index: usize) -> Result<Option<Duration>, Error> {
    let seconds: Option<f64> = field(row, index)?;
    Ok(seconds.map(|age| Duration::try_from_secs_f64(age.max(0.0)).unwrap_or_default()))
}

/// Columns that came later than version 14 are read from the row as JSON, where they may be absent.
const SLOT_SQL: &str = "\
SELECT s.plugin::text, s.slot_type::text, s.database::text, s.active, s.active_pid,
       s.confirmed_flush_lsn::text, s.restart_lsn::text, s.wal_status::text, s.safe_wal_size,
       to_jsonb(s) ->> 'invalidation_reason',
       coalesce((to_jsonb(s) ->> 'conflicting')::bool, false),
       s.two_phase,
       coalesce((to_jsonb(s) ->> 'failover')::bool, false),
       s.temporary,
       pg_wal_lsn_diff(
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                ELSE pg_current_wal_lsn() END,
           s.restart_lsn)::int8,
       x.pid, x.gid, x.state, extract(epoch FROM clock_timestamp() - x.since)::float8
FROM pg_replication_slots s
LEFT JOIN LATERAL (
    SELECT pid, NULL::text AS gid, state, xact_start AS since, age(backend_xid) AS xids
    FROM pg_stat_activity WHERE backend_xid IS NOT NULL
    UNION ALL
    SELECT NULL, gid, NULL, prepared, age(transaction) FROM pg_prepared_xacts
    ORDER BY xids DESC LIMIT 1) x ON true
WHERE s.slot_name = $1";

const WRITTEN_END_SQL: &str = "
SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_insert_lsn()::text END";

/// Pages of the log, and the longer of their headers.
///
/// Source: <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/include/access/xlog_internal.h>
const PAGE_BYTES: u64 = 8192;
const PAGE_HEADER_BYTES_MAX: u64 = 40;

const WALSENDER_SQL: &str = "\
SELECT coalesce(r.application_name, ''), host(r.client_addr), r.state,
       extract(epoch FROM clock_timestamp() - r.reply_time)::float8,
       coalesce(a.wait_event_type IN ('Activity', 'Client'), false)
FROM pg_stat_replication r JOIN pg_stat_activity a ON a.pid = r.pid
WHERE r.pid = $1";

const TERMINATE_SQL: &str = "\
SELECT pg_terminate_backend(active_pid)
FROM pg_replication_slots
WHERE slot_name = $1 AND active_pid = $2";
