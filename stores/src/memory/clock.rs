//! Times of the monotonic clock, as people read them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// The difference between the clocks up to which the last reading of both stays in use. Two readings of the same moment
/// differ by some microseconds, and a time must not change its millisecond from one look to the next.
const TOLERANCE: Duration = Duration::from_millis(100);

static LAST: Mutex<Option<Now>> = Mutex::new(None);

/// The time by both clocks, read once, so that several times that are converted by it keep their order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    since_epoch: Duration,
}

impl Now {
    /// Returns the time, which is `instant` by the monotonic clock.
    pub(super) fn at(instant: Instant) -> Self {
        let read =
            Self { instant, since_epoch: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() };
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let now = read.or_last(*last);
        *last = Some(now);
        now
    }

    /// Returns this instant by the last reading's difference of the clocks, while that agrees with this reading.
    fn or_last(self, last: Option<Self>) -> Self {
        let since_epoch = last.map(|last| last.since_epoch(self.instant));
        let agrees = |expected: &Duration| expected.abs_diff(self.since_epoch) <= TOLERANCE;
        Self { since_epoch: since_epoch.filter(agrees).unwrap_or(self.since_epoch), ..self }
    }

    /// Converts `at` to milliseconds since the Unix epoch.
    pub(super) fn epoch_ms(self, at: Instant) -> u64 {
        u64::try_from(self.since_epoch(at).as_millis()).unwrap_or(u64::MAX)
    }

    fn since_epoch(self, at: Instant) -> Duration {
        let Self { instant: now, since_epoch } = self;
        if at >= now { since_epoch + (at - now) } else { since_epoch.saturating_sub(now - at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_time_keeps_its_millisecond_until_a_clock_is_set() {
        let (instant, since_epoch) = (Instant::now(), Duration::from_micros(1_000_999));
        let first = Now { instant, since_epoch };
        let later = |micros: u64, read: u64| Now {
            instant: instant + Duration::from_micros(micros),
            since_epoch: since_epoch + Duration::from_micros(read),
        };
        for (now, expected) in [(later(5_000, 5_001), 1_000), (later(5_000, 105_000), 1_000)] {
            let converted = now.or_last(Some(first));
            assert_eq!(converted.epoch_ms(instant), expected);
            assert_eq!(converted.instant, now.instant, "what expires is compared with the present");
        }
        assert_eq!(later(5_000, 1_005_000).or_last(Some(first)).epoch_ms(instant), 2_000);
        assert_eq!(first.or_last(None).epoch_ms(instant), 1_000);
    }
}
