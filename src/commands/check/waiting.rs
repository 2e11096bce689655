//! The WAL that waits: whether a start could deliver it.
//!
//! Only decoding it tells. What it holds was written under the publications, identities and topics of
//! its time, of which today's catalog knows nothing.

use std::time::Duration;

use super::super::said;
use super::kafka;
use super::report::Report;
use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::edges::Class;
use crate::pipeline::supervisor::Ending;
use crate::pipeline::{self, Error, Rehearsed};
use crate::position::Lsn;

const NAME: &str = "start.wal";

/// Decodes what waits up to `end`, for at most `limit`, and judges what comes of it.
pub(super) async fn inspect(
    config: &Config,
    from: (&Checkpoint, bool),
    end: Lsn,
    limit: Duration,
    report: &mut Report,
) {
    if limit.is_zero() {
        return report
            .skipped(NAME, format!("the WAL that waits was not decoded: {ENDS_THE_STREAM}"));
    }
    match pipeline::rehearse_stream(config, from, end, limit).await {
        Ok(rehearsed) => {
            judge(from.0.confirm, &rehearsed, end, limit, report);
            judge_parked(&rehearsed, report);
            kafka::judge_waiting(config, &rehearsed.topics, report);
        }
        Err(error) if may_pass(&error) => report.skipped(
            NAME,
            format!("the WAL that waits could not be decoded now: {}", said(&error)),
        ),
        Err(error) => report.error(NAME, &error, None),
    }
}

/// Names the tables whose changes would wait.
pub(super) fn judge_parked(rehearsed: &Rehearsed, report: &mut Report) {
    for (table, reason) in &rehearsed.parked {
        report.failed(
            NAME,
            format!("table {table} would be parked, and all others go on: {reason}"),
            "put right what it says before the start, or then, and `walbrook unpark`",
        );
    }
}

const ENDS_THE_STREAM: &str = "a change in it that cannot be delivered, such as one that was written while a publication was missing, ends the stream there";

fn may_pass(error: &Error) -> bool {
    matches!(
        error.ending(),
        Ending::Failed(Class::Fenced | Class::Retry) | Ending::Repeatable(_) | Ending::SlotBusy
    )
}

pub(super) fn judge(
    confirm: Lsn,
    Rehearsed { up_to, records, .. }: &Rehearsed,
    end: Lsn,
    limit: Duration,
    report: &mut Report,
) {
    let up_to = confirm.max(*up_to);
    if end <= up_to {
        return report.ok(
            NAME,
            format!(
                "the WAL that waits, up to {up_to}, can be decoded and encoded; records: {records}"
            ),
        );
    }
    let bytes = end.0 - up_to.0;
    report.warning(
        NAME,
        format!("the WAL that waits was decoded up to {up_to} in {limit:?} (records: {records}), and {bytes} bytes of it were not: {ENDS_THE_STREAM}"),
        "decode for longer: walbrook check --decode-seconds …",
    );
}
