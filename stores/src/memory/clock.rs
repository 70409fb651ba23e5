//! Times of the monotonic clock, as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The time by both clocks, read once, so that several times that are converted by it keep their order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    since_epoch: Duration,
}

impl Now {
    /// The time, given that it is `instant` by the monotonic clock.
    pub(super) fn at(instant: Instant) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant, since_epoch }
    }

    /// Converts `at` to milliseconds since the Unix epoch.
    pub(super) fn epoch_ms(self, at: Instant) -> u64 {
        let Self { instant: now, since_epoch } = self;
        let at = if at >= now { since_epoch + (at - now) } else { since_epoch.saturating_sub(now - at) };
        u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
    }
}
