//! Lines of a repeated problem, of which only some are logged.

use std::time::{Duration, Instant};

/// The least time between two lines of one problem: a collector that is down fails at every export.
const EVERY: Duration = Duration::from_secs(300);

/// Counts a problem, and lets its first line pass and then one in five minutes.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    /// The occurrences that no line has counted.
    uncounted: u64,
    logged_at: Option<Instant>,
}

impl Seldom {
    /// Counts an occurrence. Returns the number of occurrences since the last line if it must be logged now.
    pub(crate) fn count(&mut self, now: Instant) -> Option<u64> {
        self.uncounted += 1;
        if self.logged_at.is_some_and(|at| now.saturating_duration_since(at) < EVERY) {
            return None;
        }
        self.logged_at = Some(now);
        Some(std::mem::take(&mut self.uncounted))
    }

    /// Returns the number of occurrences since the last line, which another line has counted from now on.
    pub(crate) fn take(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_occurrence_is_logged_and_then_one_in_five_minutes_with_the_count() {
        let (mut seldom, start) = (Seldom::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        assert_eq!(seldom.count(at(0)), Some(1));
        for secs in [5, 10, 299] {
            assert_eq!(seldom.count(at(secs)), None);
        }
        assert_eq!(seldom.count(at(300)), Some(4));
        assert_eq!(seldom.count(at(301)), None);
        assert_eq!((seldom.take(), seldom.take()), (1, 0));
        assert_eq!(seldom.count(at(601)), Some(1));
    }
}
