//! A clock that reads the system's time once and then follows a monotonic clock, so that it never goes backwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::Timestamp;

/// Milliseconds since the epoch, which only grow. Follows tokio's clock, so it stands still when a test pauses that clock.
#[derive(Debug)]
pub(super) struct Clock {
    epoch: Timestamp,
    started: Instant,
    /// The total time by which the clock was moved forward, in milliseconds.
    moved: AtomicU64,
}

impl Clock {
    pub(super) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            epoch: Timestamp::default().plus(since_epoch),
            started: Instant::now(),
            moved: AtomicU64::new(0),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.epoch.plus(self.started.elapsed()).plus(self.moved())
    }

    /// Moves the clock forward, by whole milliseconds.
    pub(super) fn advance(&self, by: Duration) {
        self.moved.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Returns the instant at which [`Clock::now`] reaches `at`, unless the clock is moved before.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        self.started + at.since(self.epoch).saturating_sub(self.moved()).min(FAR)
    }

    fn moved(&self) -> Duration {
        Duration::from_millis(self.moved.load(Ordering::SeqCst))
    }
}

/// A century: later than any timer, and small enough that adding it to an instant cannot overflow.
const FAR: Duration = Duration::from_hours(100 * 365 * 24);
