//! The clock of an outbox in memory, which a test can set.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::{millis, now_ms};

/// A clock that continues with tokio's clock from the time to which it was set.
#[derive(Debug)]
pub(super) struct Clock {
    set_at: Instant,
    set_to_ms: i64,
}

impl Clock {
    pub(super) fn of_this_machine() -> Self {
        Self::set_to(i64::try_from(now_ms()).unwrap_or(i64::MAX))
    }

    pub(super) fn set_to(now_ms: i64) -> Self {
        Self { set_at: Instant::now(), set_to_ms: now_ms }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.set_to_ms.saturating_add(millis(self.set_at.elapsed()))
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.set_to_ms = self.set_to_ms.saturating_add(millis(by));
    }
}
