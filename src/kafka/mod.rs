//! The sink: batches into Kafka, each with its checkpoint in one transaction.
//!
//! The only module that names rdkafka. librdkafka's transaction calls block, so everything here
//! does too: it runs on one named thread that `pipeline` owns.
//!
//! ```text
//!  recover:  fence (init_transactions) ─▶ wait: stable offset = high watermark ─▶ read backwards
//!  commit:   (a topic's first time: nothing in it is undecided, or is marked as aborted)
//!            begin ─▶ records … checkpoint ─▶ drain ─▶ commit ─▶ known
//!                                                │         └─▶ unknown, or suspiciously slow:
//!                                                └─▶ error      drop the producer, recover,
//!                                                               compare checkpoints, never guess
//! ```
//!
//! Three rules of design hold here and nowhere else. The sink aborts no transaction by a call: its
//! producer is dropped, and the next one's `init_transactions` aborts with a new epoch, which a
//! delayed request of the old one cannot pass. Every new epoch is followed by reading the
//! checkpoint, since another instance may have committed in between. A fenced producer is never
//! used again: [`KafkaSink`] refuses until [`recover`](crate::edges::Sink::recover), which may be
//! called only while the slot is held (I4, I8).

mod admin;
mod client;
mod error;
mod headers;
mod letters;
mod parked;
pub mod probe;
mod reader;
mod recovery;
mod sink;
mod told;
mod topics;
mod unmarked;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use error::Error;
pub use headers::{CUT, POSITION, XID};
pub use parked::{ParkedChanges, ParkedLimits, ParkedReader};
pub use reader::{TopicReader, TopicRecord};
pub use recovery::{read_checkpoint, read_parked, read_progress};
pub use sink::{KafkaSink, SinkConfig};

use crate::config::{BatchLimits, Config};

impl From<&Config> for SinkConfig {
    fn from(config: &Config) -> Self {
        Self {
            kafka: config.kafka.clone(),
            topics: config.topics.clone(),
            position_headers: config.records.position_headers,
            batch: config.batch,
            pipeline: config.pipeline.clone(),
            slot: config.replication.slot.clone(),
        }
    }
}

/// The longest wait for one answer of the brokers that is no part of a transaction.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls that may take long are made in slices, so that events (logs, errors, token refreshes),
/// which librdkafka hands out only when polled, are served in between.
const SLICE: Duration = Duration::from_millis(500);

/// A time to be finished by.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    fn after(limit: Duration) -> Self {
        Self { start: monotonic(), limit }
    }

    fn elapsed(self) -> Duration {
        monotonic().saturating_duration_since(self.start)
    }

    /// What is left, in slices of at most `slice`; `None` when the time is over.
    fn slice(self, slice: Duration) -> Option<Duration> {
        let left = self.limit.checked_sub(self.elapsed()).filter(|left| !left.is_zero())?;
        Some(left.clamp(Duration::from_millis(1), slice))
    }
}

#[expect(clippy::disallowed_methods, reason = "a blocking edge: its time-outs need the clock")]
fn monotonic() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a token without an expiry gets one from now on")]
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The largest record that the producer takes: none that is larger than a batch. The brokers'
/// own limit (`max.message.bytes`) is the one that operators meet.
fn record_bytes_max(limits: &BatchLimits) -> usize {
    const FRAMING: usize = 1 << 16;
    // librdkafka's range of `message.max.bytes`.
    limits.max_bytes.saturating_add(FRAMING).clamp(1_000_000, 1_000_000_000)
}
