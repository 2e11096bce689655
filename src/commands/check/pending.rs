//! Whether the rows that are pending in outboxes can be read, and fit, at the start that makes the slot.

use super::kafka::Progress;
use super::postgres::Source;
use super::report::Report;
use crate::checkpoint::State;
use crate::config::Config;
use crate::pipeline::{self, PendingError};
use crate::postgres::ChunkError;

const NAME: &str = "outbox.pending";

/// Looks at each outbox with `pending = true`.
pub(super) async fn inspect(
    config: &Config,
    source: &Source,
    progress: &Progress,
    report: &mut Report,
) {
    if config.outboxes.iter().all(|outbox| outbox.pending.is_none()) {
        return;
    }
    let is_half_made = matches!(progress, Progress::Known(Some(it)) if it.state == State::Creating);
    if source.slot.is_some() && !is_half_made {
        let text = "the slot is there already, so no rows from before are read: pending = true is of the start that makes it";
        return report.ok(NAME, text);
    }
    match pipeline::pending_rows(config, &source.catalog).await {
        Ok(rows) => report.ok(
            NAME,
            format!("{rows} rows are pending; the first start publishes them, in one batch (batch.max_records = {})", config.batch.max_records),
        ),
        Err(error) => {
            let fix = grant(&error).map(|grant| format!("{grant};"));
            report.error(NAME, &error, fix);
        }
    }
}

/// The statement that lets the role read an outbox, where that is what is missing.
fn grant(error: &pipeline::Error) -> Option<&str> {
    let pipeline::Error::Pending(error) = error else { return None };
    let PendingError::Unread { error, .. } = &**error else { return None };
    match &**error {
        ChunkError::Right { grant, .. } => Some(grant),
        _ => None,
    }
}
