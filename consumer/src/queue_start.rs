//! The start of a queue that does not answer or does not exist yet.

use std::time::Duration;

use drumline_runtime::aws::QueueFacts;
use drumline_runtime::{SqsError, SqsErrorKind};
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use crate::start_error::StartError;
use crate::start_wait::StartWait;

/// The time for which a start retries transient errors: of a machine's network and DNS, its role's credentials, or an endpoint
/// that starts concurrently.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// The first and the longest wait between two requests of a start.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The interval at which the worker checks a missing queue while it consumes others.
pub(crate) const MISSING_QUEUE_CHECK: Duration = Duration::from_secs(10);

/// Requests a queue's facts, and repeats that after transient errors for [`START_PATIENCE`].
pub(crate) async fn describe_with_retry<F>(
    start: &StartWait,
    name: &str,
    describe: impl FnMut() -> F,
) -> Result<QueueFacts, SqsError>
where
    F: Future<Output = Result<QueueFacts, SqsError>>,
{
    match with_retry(start, name, "queue", describe).await {
        // Only this action is not permitted; wrong credentials end the start.
        Err(error) if error.is_access_denied() => {
            warn!(
                queue = name,
                error = error.text,
                "the queue's attributes cannot be read: the defaults of SQS are assumed"
            );
            Ok(QueueFacts::unreadable())
        }
        result => result,
    }
}

/// Makes a request of the start about `subject`, and repeats it after transient errors for [`START_PATIENCE`].
pub(crate) async fn with_retry<T, F>(
    start: &StartWait,
    name: &str,
    subject: &str,
    mut request: impl FnMut() -> F,
) -> Result<T, SqsError>
where
    F: Future<Output = Result<T, SqsError>>,
{
    let (end, mut wait) = (Instant::now() + START_PATIENCE, FIRST_WAIT);
    loop {
        match request().await {
            Err(error) if error.kind.passes() && Instant::now() + wait <= end => {
                // At most the start's own wait, even if an endpoint asks for more.
                let this_wait = error.retry_after.map_or(wait, |asked| asked.clamp(wait, LONGEST_WAIT));
                let retry_in_secs = this_wait.as_secs();
                warn!(queue = name, error = error.text, retry_in_secs, "the {subject} does not answer yet");
                start.failed(&error.text);
                sleep(this_wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            result => return result,
        }
    }
}

/// Returns true if the worker can run without the queue for now: a queue that is created late is no reason to stop consuming
/// others. A queue with a missing DLQ exists, and must be corrected.
pub(crate) fn is_missing(error: &StartError) -> bool {
    matches!(error, StartError::Queue { error, .. } if error.kind == SqsErrorKind::NoQueue)
}

/// Starts a missing queue after it was created.
pub(crate) async fn start_once_created<T, F>(name: &str, mut start: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StartError>>,
{
    loop {
        sleep(MISSING_QUEUE_CHECK).await;
        match start().await {
            Ok(started) => {
                info!(queue = name, "missing queue found");
                return started;
            }
            Err(error) if is_missing(&error) => {}
            Err(error) => error!(queue = name, %error, "queue cannot be consumed"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(kind: SqsErrorKind) -> SqsError {
        SqsError::new(kind, "no answer")
    }

    /// Starts with `failures` errors of this kind first. Returns the result, and the time until it.
    async fn start(kind: SqsErrorKind, failures: usize) -> (Result<QueueFacts, SqsErrorKind>, Duration) {
        let (begun, mut left) = (Instant::now(), failures);
        let describe = || {
            let result = if left > 0 { Err(error(kind)) } else { Ok(QueueFacts::unreadable()) };
            left = left.saturating_sub(1);
            async { result }
        };
        let result = describe_with_retry(&StartWait::default(), "jobs", describe).await;
        (result.map_err(|error| error.kind), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn transient_errors_are_waited_out_for_a_minute() {
        for kind in SqsErrorKind::ALL.into_iter().filter(|kind| kind.passes()) {
            let (result, after) = start(kind, 5).await;
            assert!(result.is_ok(), "{kind:?}");
            assert_eq!(after, Duration::from_secs(1 + 2 + 4 + 8 + 10), "{kind:?}");
            let (result, after) = start(kind, usize::MAX).await;
            assert_eq!(result, Err(kind));
            assert!(after <= START_PATIENCE && after + LONGEST_WAIT > START_PATIENCE, "{kind:?}: {after:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_to_be_corrected_ends_the_start_at_once() {
        for kind in SqsErrorKind::ALL.into_iter().filter(|kind| !kind.passes()) {
            assert_eq!(start(kind, usize::MAX).await, (Err(kind), Duration::ZERO));
        }
    }

    #[test]
    fn a_queue_without_its_dlq_is_not_missing() {
        let (queue, error) = ("jobs".to_owned(), error(SqsErrorKind::NoQueue));
        assert!(is_missing(&StartError::Queue { queue: queue.clone(), error: error.clone() }));
        assert!(!is_missing(&StartError::DeadLetterQueue { queue, error }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_queue_is_asked_for_until_it_exists() {
        let (begun, mut asked) = (Instant::now(), 0);
        let start = || {
            asked += 1;
            let kind = if asked == 2 { SqsErrorKind::Denied } else { SqsErrorKind::NoQueue };
            let failed = StartError::Queue { queue: "jobs".to_owned(), error: error(kind) };
            let result = if asked < 4 { Err(failed) } else { Ok(asked) };
            async { result }
        };
        assert_eq!(start_once_created("jobs", start).await, 4);
        assert_eq!(begun.elapsed(), MISSING_QUEUE_CHECK * 4);
    }
}
