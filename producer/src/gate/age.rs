//! The age of the oldest message, requested at most once a minute.

use std::sync::Arc;
use std::time::Duration;

use drumline_runtime::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

/// The time between two requests. CloudWatch has one value per minute, and each request costs money.
const EVERY: Duration = Duration::from_secs(60);

/// The time for which an age is used while CloudWatch does not answer. After that, the gate uses only the depth.
const STALE: Duration = Duration::from_secs(5 * 60);

/// Requests the age of the oldest message; `None` if there is no recent value.
pub(super) type AskAge = Arc<dyn Fn() -> BoxFuture<Result<Option<Duration>, String>> + Send + Sync>;

/// The ages of a queue's oldest message.
pub(super) struct Ages {
    queue: Arc<str>,
    ask: AskAge,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    age: Option<Duration>,
    asked_at: Option<Instant>,
    answered_at: Option<Instant>,
    has_failed: bool,
}

impl Ages {
    pub(super) fn new(queue: &Arc<str>, ask: AskAge) -> Self {
        Self { queue: Arc::clone(queue), ask, known: Mutex::default() }
    }

    /// Returns the last known age. If a minute has passed, asks CloudWatch first.
    pub(super) async fn latest(&self) -> Option<Duration> {
        let mut known = self.known.lock().await;
        let now = Instant::now();
        if known.asked_at.is_none_or(|at| now.duration_since(at) >= EVERY) {
            // Set before the request, because the caller may drop it.
            known.asked_at = Some(now);
            match (self.ask)().await {
                Ok(age) => {
                    *known =
                        Known { age, asked_at: known.asked_at, answered_at: Some(now), has_failed: false };
                }
                Err(error) => {
                    if !std::mem::replace(&mut known.has_failed, true) {
                        warn!(
                            queue = &*self.queue,
                            error, "CloudWatch does not report the queue's age to the gate"
                        );
                    }
                }
            }
        }
        known.age.filter(|_| known.answered_at.is_some_and(|at| at.elapsed() <= STALE))
    }
}
