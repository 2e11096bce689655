//! Whether the standbys of `snapshot.hosts` can be read, and what their settings mean for chunks.

use std::time::Duration;

use super::super::said;
use super::report::Report;
use super::snapshots::LIMITS;
use crate::config::Config;
use crate::pipeline;
use crate::postgres::{ChunkError, ChunkReader, ReplicationClient, StandbyFacts};

const NAME: &str = "snapshot.hosts";

/// PostgreSQL's default. A chunk takes less, mostly by far.
const DELAY_MIN: Duration = Duration::from_secs(30);

/// Looks at each standby; returns those that can be read. `client` is connected to the slot's server.
pub(super) async fn inspect(
    config: &Config,
    client: Option<&mut ReplicationClient>,
    report: &mut Report,
) -> Vec<(String, ChunkReader)> {
    if config.snapshot.hosts.is_empty() {
        return Vec::new();
    }
    let Some(client) = client else {
        report.skipped(NAME, "the standbys were not looked at: it takes a replication connection");
        return Vec::new();
    };
    let found = match pipeline::standbys(config, client, LIMITS).await {
        Ok(found) => found,
        Err(error) => {
            report.error(NAME, &error, None);
            return Vec::new();
        }
    };
    let (mut readable, mut errors) = (Vec::new(), Vec::new());
    for (host, reader) in found {
        match look(reader).await {
            Ok((reader, facts)) => {
                judge(&host, &facts, report);
                readable.push((host, reader));
            }
            Err(error) => errors.push((host, error)),
        }
    }
    for (host, error) in errors {
        let text = format!("standby {host} cannot be read: {}", said(&error));
        if readable.is_empty() {
            report.failed(NAME, text, ADVICE);
        } else {
            report.warning(NAME, text, format!("{ADVICE}\nuntil then another one is read"));
        }
    }
    readable
}

async fn look(
    reader: Result<ChunkReader, ChunkError>,
) -> Result<(ChunkReader, StandbyFacts), ChunkError> {
    let mut reader = reader?;
    let facts = reader.standby_facts().await?;
    if !facts.has_receiver {
        return Err(ChunkError::Unconnected { host: reader.host().to_owned() });
    }
    Ok((reader, facts))
}

/// Judges what its settings mean for chunks.
fn judge(host: &str, facts: &StandbyFacts, report: &mut Report) {
    let StandbyFacts { has_feedback, delay_max, apply_delay, .. } = *facts;
    match (has_feedback, delay_max) {
        (true, _) => report.ok(NAME, format!(
            "standby {host} can be read; with hot_standby_feedback = on the primary keeps rows that die for as long as a chunk is read, and no chunk is cancelled for them"
        )),
        (false, None) => report.ok(NAME, format!(
            "standby {host} can be read; with hot_standby_feedback = off and max_standby_streaming_delay = -1 its recovery waits for chunks that are in its way, for as long as they take"
        )),
        (false, Some(delay)) => {
            let seconds = delay.as_secs_f64();
            let text = format!(
                "standby {host} can be read; with hot_standby_feedback = off a chunk is cancelled when its recovery has waited for {seconds}s (max_standby_streaming_delay) to remove rows that the chunk may still see; it is read again, half as large each time"
            );
            if delay < DELAY_MIN {
                report.warning(NAME, text, "on that standby: ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf();\nor a longer max_standby_streaming_delay");
            } else {
                report.ok(NAME, text);
            }
        }
    }
    if !apply_delay.is_zero() {
        report.warning(
            NAME,
            format!("standby {host} replays what it receives {apply_delay:?} later (recovery_min_apply_delay): before a table is read, that is waited for"),
            "name a standby in snapshot.hosts that replays at once",
        );
    }
}

const ADVICE: &str = "see that it runs, follows the slot's server and lets walbrook in (pg_hba.conf, max_wal_senders), or correct snapshot.hosts";

#[cfg(test)]
mod tests {
    use super::super::report::State;
    use super::*;

    #[test]
    fn a_standby_is_warned_of_that_cancels_chunks_soon() {
        let on = StandbyFacts {
            has_receiver: true,
            has_feedback: true,
            delay_max: Some(Duration::ZERO),
            apply_delay: Duration::ZERO,
        };
        let off = StandbyFacts { has_feedback: false, ..on };
        let late = StandbyFacts { apply_delay: Duration::from_secs(60), ..on };
        for (facts, expect, part) in [
            (on, &[State::Ok][..], "keeps rows that die"),
            (off, &[State::Warning], "has waited for 0s"),
            (StandbyFacts { delay_max: Some(DELAY_MIN), ..off }, &[State::Ok], "waited for 30s"),
            (StandbyFacts { delay_max: None, ..off }, &[State::Ok], "for as long as they take"),
            (late, &[State::Ok, State::Warning], "60s later"),
        ] {
            let mut report = Report::default();
            judge("replica:5432", &facts, &mut report);
            let states: Vec<_> = report.items.iter().map(|item| item.state).collect();
            assert_eq!(states, expect, "{facts:?}");
            assert!(report.items.iter().any(|item| item.text.contains(part)), "{part}");
        }
    }
}
