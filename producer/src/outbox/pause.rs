//! The pauses of a queue that accepts no jobs. No clock.

use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::Duration;

use drumline::RetryPolicy;
use drumline::core::{Jitter, JitterMode};
use tokio::time::Instant;

/// The first pause: about the duration of SQS's throttling.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause: after an operator has corrected a problem, the wait is short.
const LONGEST: Duration = Duration::from_secs(60);

static BACKOFF: LazyLock<RetryPolicy> = LazyLock::new(|| {
    let policy = RetryPolicy::exponential(FIRST, 2.0, LONGEST).expect("the longest is longer than the first");
    policy.with_jitter(JitterMode::Equal)
});

/// The pauses of a queue. An episode begins with a request that fails as a whole, and ends with one that does not.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failures: u32,
    /// The time at which the last pause began, and its end.
    last: Option<(Instant, Instant)>,
}

impl Pause {
    /// Records the failure of a request that left at `left_at`. Returns true if an episode begins with it.
    ///
    /// Requests that were in flight when the pause began do not extend it.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        left_at: Instant,
        retry_after: Option<Duration>,
        jitter: Jitter,
    ) -> bool {
        if self.last.is_some_and(|(began, _)| left_at < began) {
            return false;
        }
        self.failures += 1;
        let attempt = NonZeroU32::new(self.failures).expect("it is counted");
        let asked = retry_after.unwrap_or_default().min(LONGEST);
        self.last = Some((now, now + BACKOFF.delay(attempt, jitter).max(asked)));
        self.failures == 1
    }

    /// Records the success of a request that left at `left_at`. Returns true if an episode ends with it.
    pub(super) fn succeeded(&mut self, left_at: Instant) -> bool {
        let Some((began, _)) = self.last.filter(|_| self.failures > 0) else { return false };
        if left_at < began {
            return false;
        }
        *self = Self::default();
        true
    }

    /// Returns true during an episode: one request at a time checks if the queue accepts jobs again.
    pub(super) fn is_open(&self) -> bool {
        self.failures > 0
    }

    /// Returns the time until the next request may leave.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.last.map_or(Duration::ZERO, |(_, until)| until.saturating_duration_since(now))
    }
}

/// Returns the delay before a job is sent again if SQS has refused it but accepts others. `failures` includes this failure.
pub(super) fn wait_after(failures: u32, jitter: Jitter) -> Duration {
    static OF_A_JOB: LazyLock<RetryPolicy> =
        LazyLock::new(|| RetryPolicy::default().with_jitter(JitterMode::Equal));
    OF_A_JOB.delay(NonZeroU32::new(failures).unwrap_or(NonZeroU32::MIN), jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Jitter = Jitter::new(u32::MAX);

    #[test]
    fn pauses_grow_with_each_try_and_end_with_the_first_success() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let mut pause = Pause::default();
        assert!(!pause.is_open() && pause.left(begun).is_zero() && !pause.succeeded(begun));
        assert!(pause.failed(at(10), at(0), None, FULL));
        let first = pause.left(at(10));
        assert!(first > FIRST / 2 && first <= FIRST, "{first:?}");
        assert!(!pause.failed(at(20), at(5), None, FULL), "it left before the pause began");
        assert_eq!(pause.left(at(10)), first);
        assert!(!pause.succeeded(at(5)) && pause.is_open(), "so did this one");
        assert!(!pause.failed(at(400), at(300), None, FULL), "the same episode");
        assert!(pause.left(at(400)) > first);
        for n in 0..100 {
            let now = at(1_000_000 * (n + 1));
            pause.failed(now, now, None, FULL);
            assert!(pause.left(now) <= LONGEST);
        }
        let end = at(200_000_000);
        assert!(pause.succeeded(end) && !pause.is_open() && pause.left(end).is_zero());
        assert!(pause.failed(end, end, None, FULL), "a new episode");
    }

    #[test]
    fn a_pause_is_as_long_as_sqs_asks_for_within_bounds() {
        let now = Instant::now();
        for (asked, least, most) in [(5, 5, 5), (3600, 60, 60), (0, 0, 1)] {
            let mut pause = Pause::default();
            pause.failed(now, now, Some(Duration::from_secs(asked)), FULL);
            let left = pause.left(now);
            assert!(left >= Duration::from_secs(least) && left <= Duration::from_secs(most), "{left:?}");
        }
    }

    #[test]
    fn a_job_waits_longer_with_each_failure() {
        let waits: Vec<_> =
            [1, 2, 3, 50].map(|failures| wait_after(failures, FULL).as_secs_f64().round()).into();
        assert_eq!(waits, [1.0, 2.0, 4.0, 300.0]);
    }
}
