//! The one place of the pipeline that reads a clock.
#![expect(clippy::disallowed_methods, reason = "time enters the pipeline here, as an argument")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock.
pub(super) fn now() -> Instant {
    Instant::now()
}

/// The wall clock, microseconds since 1970-01-01 UTC.
pub(super) fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
