//! Times of the monotonic clock, as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Converts `at` to milliseconds since the Unix epoch, given that it is `now`.
pub(super) fn epoch_ms(at: Instant, now: Instant) -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = if at >= now { since_epoch + (at - now) } else { since_epoch.saturating_sub(now - at) };
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}
