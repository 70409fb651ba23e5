//! The events of a queue's loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::{DrainSummary, Ledger, LedgerEvent};
use drumline::run::{Event, Observer};

use crate::sqs::SqsError;
use crate::status::QueueStatus;

/// Emits the events of one queue's loop to its observer, and keeps the queue's status.
pub(super) struct Emitter {
    queue: Arc<str>,
    observer: Arc<dyn Observer>,
    status: Arc<QueueStatus>,
}

impl Emitter {
    pub(super) fn new(queue: Arc<str>, observer: Arc<dyn Observer>, status: Arc<QueueStatus>) -> Self {
        Self { queue, observer, status }
    }

    pub(super) fn queue(&self) -> &Arc<str> {
        &self.queue
    }

    /// Emits the state after a turn of the loop, and updates the status.
    pub(super) fn state(&self, ledger: &Ledger, oldest_run: Option<Instant>) {
        let queue = &*self.queue;
        self.observer.observe(&Event::InHand { queue, count: ledger.in_hand() });
        if let Some(reachable) = self.status.update(ledger, oldest_run) {
            self.observer.observe(&Event::Reachability { queue, reachable });
        }
    }

    /// Updates what is wrong with the target.
    pub(super) fn target(&self, problem: Option<&Arc<str>>) {
        self.status.set_target_problem(problem);
    }

    /// Notes in the status that a receive has succeeded.
    pub(super) fn receive_succeeded(&self) {
        self.status.receive_succeeded();
    }

    /// Notes in the status that a receive has failed.
    pub(super) fn receive_failed(&self, now: Instant, error: &SqsError) {
        self.status.receive_failed(now, error);
    }

    pub(super) fn draining(&self, ledger: &Ledger, grace: Duration) {
        let (in_hand, running) = (ledger.in_hand(), ledger.running());
        self.observer.observe(&Event::Draining { queue: &self.queue, in_hand, running, grace });
    }

    pub(super) fn drained(&self, summary: DrainSummary) {
        self.observer.observe(&Event::Drained { queue: &self.queue, summary });
    }

    pub(super) fn dead_job_hook(&self, message_id: &Arc<str>, succeeded: bool) {
        self.observer.observe(&Event::DeadJobHook { queue: &self.queue, message_id, succeeded });
    }

    pub(super) fn note(&self, note: &LedgerEvent) {
        self.observer.observe(&Event::Ledger { queue: &self.queue, note });
    }
}
