//! The pace of searching many keys for some that can start.

use std::time::{Duration, Instant};

/// The time between two searches: each checks all keys, and takes a tenth of a millisecond.
const EVERY: Duration = Duration::from_millis(100);

/// The pace of searches.
#[derive(Debug, Default)]
pub(super) struct SearchPace(Option<Instant>);

impl SearchPace {
    /// Returns true if a search is due, which then counts as made.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        if self.0.is_some_and(|last| now.saturating_duration_since(last) < EVERY) {
            return false;
        }
        self.0 = Some(now);
        true
    }
}
