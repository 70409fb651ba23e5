//! What readiness and scale-in protection need to know of a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use drumline::core::{Ledger, PauseReason};
use tokio::sync::watch;

/// The health of a queue, its pauses, and if messages are in hand. It belongs to the queue's loop, which updates it after each
/// turn; it depends on no observer.
#[derive(Debug, Default)]
pub struct QueueStatus {
    healthy: AtomicBool,
    busy: watch::Sender<bool>,
    pauses: watch::Sender<Vec<PauseReason>>,
    target_problem: watch::Sender<Option<Arc<str>>>,
}

impl QueueStatus {
    /// Returns true if the queue can be reached.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// The reasons for which the queue is not received from now, in order.
    pub fn pauses(&self) -> Vec<PauseReason> {
        self.pauses.borrow().clone()
    }

    /// The reason for which the target is unhealthy, in one line.
    pub fn target_problem(&self) -> Option<Arc<str>> {
        self.target_problem.borrow().clone()
    }

    /// Watches if messages are in hand. Ends with the status.
    pub fn busy(&self) -> watch::Receiver<bool> {
        self.busy.subscribe()
    }

    /// Sets the reasons for which the queue is not received from.
    pub fn set_pauses(&self, reasons: impl Iterator<Item = PauseReason> + Clone) {
        self.pauses.send_if_modified(|known| {
            let changes = !reasons.clone().eq(known.iter().copied());
            if changes {
                *known = reasons.collect();
            }
            changes
        });
    }

    /// Sets the reason for which the target is unhealthy.
    pub fn set_target_problem(&self, problem: Option<&Arc<str>>) {
        self.target_problem.send_if_modified(|known| {
            let changes = known.as_ref() != problem;
            if changes {
                *known = problem.cloned();
            }
            changes
        });
    }

    /// Sets how many messages are in hand.
    pub fn in_hand(&self, count: usize) {
        let busy = count > 0;
        self.busy.send_if_modified(|was| std::mem::replace(was, busy) != busy);
    }

    /// Takes over the state of the ledger; returns the health if it has changed. Only a queue that is polled has pauses and a
    /// health.
    pub(crate) fn update(&self, ledger: &Ledger) -> Option<bool> {
        self.in_hand(ledger.in_hand());
        ledger.policy().polling?;
        self.set_pauses(ledger.pause_reasons());
        let healthy = ledger.healthy();
        (self.healthy.swap(healthy, Ordering::Relaxed) != healthy).then_some(healthy)
    }
}
