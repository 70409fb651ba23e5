//! The store's part of the loop: what the ledger asks of it, and the pause while it does not answer.

use std::sync::Arc;
use std::time::Instant;

use drumline::core::{Claim, Claims, DeliveryId, JobResult, NextJobs, Pause, PauseReason, Probe};
use tokio::sync::watch;
use tracing::Instrument as _;

use super::Driver;
use super::branches::now;
use super::input::{Input, send};
use crate::claims::ClaimStoreClient;

impl Driver {
    /// The store's answers, if the queue is to be paused without them.
    pub(super) fn store_to_watch(&self) -> Option<watch::Receiver<bool>> {
        let policy = self.ledger.policy();
        let pauses = policy.polling.is_some() && policy.claims == Claims::Required;
        let mut answers = self.claim_store.as_ref().filter(|_| pauses)?.answers();
        // It may have failed before this loop began.
        answers.mark_changed();
        Some(answers)
    }

    pub(super) fn store_answers(&mut self, answers: bool) {
        if answers {
            self.ledger.resume(now(), PauseReason::StoreDown);
        } else {
            self.ledger.pause(now(), Pause { reason: PauseReason::StoreDown, probe: Probe::Host });
        }
    }

    /// Marks a job as done. A store in memory answers at once, which spares short jobs a task.
    pub(super) fn mark(
        &mut self,
        now: Instant,
        id: DeliveryId,
        claim: Arc<Claim>,
        result: Option<JobResult>,
        next: Option<NextJobs>,
    ) -> bool {
        let Some(claim_store) = &self.claim_store else { return false };
        if let Some(next) = next {
            self.ask_store(async move |claim_store| {
                Input::Marked(id, claim_store.mark_with(&claim, result.as_ref(), &next).await)
            });
            return false;
        }
        if let Some(reply) = claim_store.mark(&claim, result.as_ref()).at_once() {
            self.ledger.marked(now, id, reply);
            return true;
        }
        self.ask_store(async move |claim_store| {
            Input::Marked(id, claim_store.mark(&claim, result.as_ref()).await)
        });
        false
    }

    /// Asks the store in a task of its own, since it may take its time.
    pub(super) fn ask_store<F>(&self, ask: impl FnOnce(ClaimStoreClient) -> F)
    where
        F: Future<Output = Input> + Send + 'static,
    {
        let Some(claim_store) = self.claim_store.clone() else { return };
        let (inputs, answer) = (self.inputs.clone(), ask(claim_store));
        tokio::spawn(async move { send(&inputs, answer.await).await }.in_current_span());
    }
}
