//! Decides from the newest call with a result if a queue responds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A call that is dropped within this time does not count: its batch ended first, for example during the lease renewal of a job
/// that was about to succeed.
const SILENT_AFTER: Duration = Duration::from_millis(500);

/// The calls to a queue, as far as their results show if it responds.
#[derive(Default)]
pub(crate) struct Silence(Mutex<State>);

#[derive(Default)]
struct State {
    /// The number of the newest call.
    asked: u64,
    /// The number of the call that decided.
    decided: u64,
    silent: bool,
}

impl Silence {
    /// Returns true if the newest call with a result failed, or got no response for as long as a batch waited.
    pub(crate) fn lasts(&self) -> bool {
        self.state().silent
    }

    /// Starts the record of a call.
    pub(crate) fn question(self: &Arc<Self>) -> Question {
        let mut state = self.state();
        state.asked += 1;
        Question { silence: Arc::clone(self), number: state.asked, begun: Instant::now(), is_over: false }
    }

    fn decide(&self, number: u64, silent: bool) {
        let mut state = self.state();
        if number >= state.decided {
            state.decided = number;
            state.silent = silent;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call to the queue. If it is dropped after [`SILENT_AFTER`], it got no response.
pub(crate) struct Question {
    silence: Arc<Silence>,
    number: u64,
    begun: Instant,
    is_over: bool,
}

impl Question {
    /// Ends the call, with a response of SQS or without.
    pub(crate) fn ended(mut self, answered: bool) {
        self.is_over = true;
        self.silence.decide(self.number, !answered);
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        if !self.is_over && self.begun.elapsed() >= SILENT_AFTER {
            self.silence.decide(self.number, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_unanswered_call_marks_the_queue_silent_until_a_response() {
        let silence = Arc::new(Silence::default());
        assert!(!silence.lasts());
        let question = silence.question();
        advance(SILENT_AFTER).await;
        drop(question);
        assert!(silence.lasts());
        silence.question().ended(true);
        assert!(!silence.lasts());
        silence.question().ended(false);
        assert!(silence.lasts(), "a failed call counts at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_in_flight_at_the_end_of_its_batch_does_not_count() {
        let silence = Arc::new(Silence::default());
        drop(silence.question());
        assert!(!silence.lasts(), "it had no time to get a response");

        let renewal = silence.question();
        silence.question().ended(true);
        advance(SILENT_AFTER).await;
        drop(renewal);
        assert!(!silence.lasts(), "a newer call got a response");

        let old = silence.question();
        silence.question().ended(false);
        old.ended(true);
        assert!(silence.lasts(), "a newer call failed");
    }
}
