//! The state of a queue, for readiness and task protection.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use drumline::core::{InHandCounts, Ledger, PauseReason, SqsErrorKind};
use tokio::sync::watch;

use crate::sqs::SqsError;

/// A failure of the receives from a queue, since which none has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveProblem {
    /// What kind of failure the last one was.
    pub kind: SqsErrorKind,
    /// What failed, and what to do about it, in words. It may quote an answer of AWS.
    pub text: Arc<str>,
    /// The time of the first failure.
    pub since: Instant,
}

/// The health of a queue, its pauses, its oldest run, and what its messages wait for. It belongs to the queue's loop, which updates it after each turn; it
/// depends on no observer.
#[derive(Debug, Default)]
pub struct QueueStatus {
    healthy: AtomicBool,
    receiving: AtomicBool,
    in_hand: AtomicUsize,
    running: AtomicUsize,
    missing: AtomicBool,
    turn: Mutex<Turn>,
    /// A receive has failed, and none has succeeded since.
    failing: AtomicBool,
    receive_problem: Mutex<Option<ReceiveProblem>>,
    pauses: watch::Sender<Vec<PauseReason>>,
    target_problem: watch::Sender<Option<Arc<str>>>,
}

/// The state after the last turn of the loop.
#[derive(Debug, Default)]
struct Turn {
    oldest_run: Option<Instant>,
    /// `None` before the first turn.
    counts: Option<InHandCounts>,
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
        self.turn().oldest_run
    }

    /// The messages in hand by what they wait for; `None` before the loop's first turn.
    pub fn counts(&self) -> Option<InHandCounts> {
        self.turn().counts
    }

    /// Returns true while a receive is open that may still bring messages.
    pub fn is_receiving(&self) -> bool {
        self.receiving.load(Ordering::Relaxed)
    }

    /// Returns true if the queue did not exist when it was last looked for.
    pub fn is_missing(&self) -> bool {
        self.missing.load(Ordering::Relaxed)
    }

    /// The failure of the receives, if the last one has failed.
    pub fn receive_problem(&self) -> Option<ReceiveProblem> {
        self.receive_problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the queue does not exist, or that it does.
    pub fn set_missing(&self, is_missing: bool) {
        self.missing.store(is_missing, Ordering::Relaxed);
    }

    /// Notes that a receive has failed.
    pub fn receive_failed(&self, now: Instant, error: &SqsError) {
        let mut known = self.receive_problem.lock().unwrap_or_else(PoisonError::into_inner);
        let since = known.as_ref().map_or(now, |known| known.since);
        *known = Some(ReceiveProblem { kind: error.kind, text: error.text.as_str().into(), since });
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Notes that a receive has succeeded.
    pub fn receive_succeeded(&self) {
        if self.failing.load(Ordering::Relaxed) {
            *self.receive_problem.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.failing.store(false, Ordering::Relaxed);
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.turn().oldest_run = began_at;
    }

    /// Takes over the state of the loop; returns the health if it has changed. Only a queue that is polled has pauses and a health.
    pub(crate) fn update(&self, ledger: &Ledger, oldest_run: Option<Instant>) -> Option<bool> {
        *self.turn() = Turn { oldest_run, counts: Some(ledger.in_hand_counts()) };
        self.receiving.store(ledger.is_receiving(), Ordering::Relaxed);
        self.in_hand.store(ledger.in_hand(), Ordering::Relaxed);
        self.running.store(ledger.running(), Ordering::Relaxed);
        ledger.policy().polling?;
        self.set_pauses(ledger.pause_reasons());
        let healthy = ledger.healthy();
        (self.healthy.swap(healthy, Ordering::Relaxed) != healthy).then_some(healthy)
    }
}
