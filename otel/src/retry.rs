//! The waits between the tries of one export, as the SDK's exporters have them.

use std::time::Duration;

use crate::export_error::ExportError;

/// The most tries after the first.
const MAX_RETRIES: u32 = 3;

/// The wait before the first retry. Each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The greatest addition to a wait, at random, so that workers do not retry together.
const MAX_JITTER_MILLIS: u64 = 100;

/// The longest wait that a collector can ask for.
const MAX_ASKED: Duration = Duration::from_secs(30);

/// The retries of an export.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    count: u32,
}

impl Retries {
    /// Returns the wait before the next try. `None` if there is none.
    pub(crate) fn next(&mut self, error: &ExportError, jitter: &mut fastrand::Rng) -> Option<Duration> {
        if !error.is_transient() || self.count == MAX_RETRIES {
            return None;
        }
        let own = FIRST_WAIT * 2_u32.pow(self.count);
        self.count += 1;
        let asked = error.retry_after().unwrap_or_default().min(MAX_ASKED);
        Some(own.max(asked) + Duration::from_millis(jitter.u64(0..=MAX_JITTER_MILLIS)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::StatusCode;

    use super::*;

    fn count(error: &ExportError) -> usize {
        let (mut retries, mut jitter) = (Retries::default(), fastrand::Rng::with_seed(7));
        std::iter::from_fn(|| retries.next(error, &mut jitter)).count()
    }

    fn refused(status: u16, after: Option<u64>) -> ExportError {
        ExportError::Refused(StatusCode::from_u16(status).unwrap(), after.map(Duration::from_secs))
    }

    #[test]
    fn transient_errors_are_retried_three_times_and_others_never() {
        for status in [429, 502, 503, 504] {
            assert_eq!(count(&refused(status, None)), 3, "{status}");
        }
        for status in [400, 401, 404, 413, 500, 501] {
            assert_eq!(count(&refused(status, Some(1))), 0, "{status}");
        }
        assert_eq!(count(&ExportError::NotConnected("refused".to_owned())), 3);
        assert_eq!(count(&ExportError::Rejected(1, "too old".to_owned())), 0);
    }

    #[test]
    fn waits_double_and_are_at_least_what_the_collector_asks_for() {
        let between = |error: &ExportError, expected: [u64; 3]| {
            let (mut retries, mut jitter) = (Retries::default(), fastrand::Rng::with_seed(7));
            for millis in expected {
                let wait = retries.next(error, &mut jitter).unwrap();
                let least = Duration::from_millis(millis);
                assert!((least..=least + Duration::from_millis(100)).contains(&wait), "{wait:?} {millis}");
            }
        };
        between(&refused(503, None), [100, 200, 400]);
        between(&refused(503, Some(2)), [2_000; 3]);
        between(&refused(429, Some(0)), [100, 200, 400]);
        between(&refused(429, Some(3_600)), [30_000; 3]);
    }
}
