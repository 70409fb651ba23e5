//! The state of a queue, for readiness and task protection.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use drumline::core::{Ledger, PauseReason};
use tokio::sync::watch;

/// The health of a queue, its pauses, and its oldest run. It belongs to the queue's loop, which updates it after each turn; it
/// depends on no observer.
#[derive(Debug, Default)]
pub struct QueueStatus {
    healthy: AtomicBool,
    receiving: AtomicBool,
    in_hand: AtomicUsize,
    running: AtomicUsize,
    oldest_run: Mutex<Option<Instant>>,
    pauses: watch::Sender<Vec<PauseReason>>,
    target_problem: watch::Sender<Option<Arc<str>>>,
}

impl QueueStatus {
    /// Returns true if the queue can be reached.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// The number of messages in hand: waiting, running, or not yet settled.
    pub fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Relaxed)
    }

    /// The number of runs that have not ended.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Returns true once an operator's pause is followed and no message of the queue is in hand, or may still come by an open receive.
    pub fn is_drained(&self) -> bool {
        self.pauses.borrow().contains(&PauseReason::Operator)
            && !self.receiving.load(Ordering::Relaxed)
            && self.in_hand() == 0
    }

    /// The reasons for which the queue is not received from now, in order.
    pub fn pauses(&self) -> Vec<PauseReason> {
        self.pauses.borrow().clone()
    }

    /// The reason for which the target is unhealthy, in one line.
    pub fn target_problem(&self) -> Option<Arc<str>> {
        self.target_problem.borrow().clone()
    }

    /// The time at which the oldest of the running handlers began. Messages that wait in hand do not count.
    pub fn oldest_run(&self) -> Option<Instant> {
        *self.oldest_run.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Sets the time at which the oldest of the running handlers began.
    pub fn set_oldest_run(&self, began_at: Option<Instant>) {
        *self.oldest_run.lock().unwrap_or_else(PoisonError::into_inner) = began_at;
    }

    /// Takes over the state of the loop; returns the health if it has changed. Only a queue that is polled has pauses and a health.
    pub(crate) fn update(&self, ledger: &Ledger, oldest_run: Option<Instant>) -> Option<bool> {
        self.set_oldest_run(oldest_run);
        self.receiving.store(ledger.is_receiving(), Ordering::Relaxed);
        self.in_hand.store(ledger.in_hand(), Ordering::Relaxed);
        self.running.store(ledger.running(), Ordering::Relaxed);
        ledger.policy().polling?;
        self.set_pauses(ledger.pause_reasons());
        let healthy = ledger.healthy();
        (self.healthy.swap(healthy, Ordering::Relaxed) != healthy).then_some(healthy)
    }
}
