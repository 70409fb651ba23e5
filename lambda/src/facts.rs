//! The attributes of a queue: requested when a batch needs them, and cached for the life of the process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use drumline_runtime::SqsError;
use drumline_runtime::aws::QueueFacts;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// The pause after a transient error or a timed-out wait. Batches in that time use the defaults at no cost.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The response of SQS about a queue. Success and a permanent refusal are cached. A transient error only starts a pause.
#[derive(Default)]
pub(crate) struct CachedFacts {
    /// `None` if SQS refuses to return them.
    answer: OnceCell<Option<QueueFacts>>,
    /// Started by a transient error. No request is sent while it lasts.
    after_error: Pause,
    /// Started by a batch whose wait timed out. No other batch waits while it lasts.
    after_wait: Pause,
}

impl CachedFacts {
    pub(crate) fn get(&self) -> Option<&QueueFacts> {
        self.answer.get()?.as_ref()
    }

    /// Returns true if SQS has responded, even with a refusal.
    pub(crate) fn are_settled(&self) -> bool {
        self.answer.initialized()
    }

    /// Returns true if a batch may wait for the facts now.
    pub(crate) fn are_worth_a_wait(&self) -> bool {
        !self.are_settled() && !self.after_error.lasts() && !self.after_wait.lasts()
    }

    /// Records that a batch's wait for the facts timed out.
    pub(crate) fn waited_in_vain(&self) {
        self.after_wait.begin();
    }

    /// Returns the facts. Calls `ask` if SQS has not responded yet and there was no error recently.
    pub(crate) async fn get_or_ask(
        &self,
        ask: impl AsyncFnOnce() -> Result<QueueFacts, SqsError>,
    ) -> Option<&QueueFacts> {
        let answer = async || {
            // Applies also to callers that waited here while another request failed.
            if self.after_error.lasts() {
                return Err(());
            }
            match ask().await {
                Ok(facts) => Ok(Some(facts)),
                Err(error) if error.kind.passes() => {
                    self.after_error.begin();
                    Err(())
                }
                Err(_) => Ok(None),
            }
        };
        self.answer.get_or_try_init(answer).await.ok()?.as_ref()
    }
}

/// A pause of [`ASK_AGAIN_AFTER`] from the last time that it was started.
#[derive(Default)]
struct Pause(Mutex<Option<Instant>>);

impl Pause {
    fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn lasts(&self) -> bool {
        let begun = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        begun.is_some_and(|begun| begun.elapsed() < ASK_AGAIN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use drumline::core::SqsErrorKind;

    use super::*;

    /// Calls `get_or_ask`, and returns true if it sent a request.
    async fn asks(facts: &CachedFacts, reply: Result<QueueFacts, SqsErrorKind>) -> bool {
        let asked = Cell::new(false);
        let ask = async || {
            asked.set(true);
            reply.map_err(|kind| SqsError::new(kind, ""))
        };
        facts.get_or_ask(ask).await;
        asked.get()
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_after_a_transient_error_the_queue_is_asked_again() {
        for kind in SqsErrorKind::ALL.into_iter().filter(|kind| kind.passes()) {
            let facts = CachedFacts::default();
            assert!(asks(&facts, Err(kind)).await);
            assert!(!facts.are_settled() && !facts.are_worth_a_wait(), "{kind:?}");
            assert!(!asks(&facts, Ok(QueueFacts::unreadable())).await, "{kind:?}: too soon");
            tokio::time::advance(ASK_AGAIN_AFTER).await;
            assert!(facts.are_worth_a_wait(), "{kind:?}");
            assert!(asks(&facts, Ok(QueueFacts::unreadable())).await, "{kind:?}");
            assert!(facts.get().is_some(), "{kind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_final_refusal_is_kept() {
        for kind in SqsErrorKind::ALL.into_iter().filter(|kind| !kind.passes()) {
            let facts = CachedFacts::default();
            assert!(asks(&facts, Err(kind)).await);
            tokio::time::advance(ASK_AGAIN_AFTER * 10).await;
            assert!(facts.are_settled() && !facts.are_worth_a_wait(), "{kind:?}");
            assert!(!asks(&facts, Ok(QueueFacts::unreadable())).await, "{kind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_batch_waits_for_a_minute_after_a_timed_out_wait() {
        let facts = CachedFacts::default();
        facts.waited_in_vain();
        assert!(!facts.are_worth_a_wait());
        tokio::time::advance(ASK_AGAIN_AFTER).await;
        assert!(facts.are_worth_a_wait());
    }
}
