//! The real clock, read once and then advanced by a monotonic one, so that it never goes backwards.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::time::Timestamp;

/// Milliseconds since the epoch that only grow. It follows tokio's clock, so it stands still when a test pauses that.
#[derive(Debug)]
pub(super) struct Clock {
    epoch: Timestamp,
    started: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch: Timestamp::default().plus(since_epoch), started: Instant::now() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.epoch.plus(self.started.elapsed())
    }

    /// The instant at which [`Clock::now`] first says `at` or later.
    pub(super) fn instant(&self, at: Timestamp) -> Instant {
        self.started + at.since(self.epoch).min(FAR)
    }
}

/// A century: later than any timer and small enough that adding it to an instant cannot overflow.
const FAR: Duration = Duration::from_hours(100 * 365 * 24);
