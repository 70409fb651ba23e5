//! The state of a queue, for readiness and task protection.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use drumline::core::{InHandCounts, Ledger, PauseReason, SqsErrorKind, Suspects};
use tokio::sync::watch;

use crate::sqs::SqsError;

/// A failure of the receives from a queue, after which none has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiveProblem {
    /// The kind of the last failure.
    pub kind: SqsErrorKind,
    /// A text about the failure and its fix. It may quote a response of AWS.
    pub text: Arc<str>,
    /// The time of the first failure.
    pub since: Instant,
}

/// The health of a queue, its pauses, its oldest run, and the causes for which its messages wait. It belongs to the queue's
/// loop, which updates it after each turn; it depends on no observer.
#[derive(Debug, Default)]
pub struct QueueStatus {
    healthy: AtomicBool,
    receiving: AtomicBool,
    in_hand: AtomicUsize,
    running: AtomicUsize,
    missing: AtomicBool,
    turn: Mutex<Turn>,
    /// A receive has failed, and none has succeeded since then.
    failing: AtomicBool,
    receive_problem: Mutex<Option<ReceiveProblem>>,
    pauses: watch::Sender<Vec<PauseReason>>,
    target_problem: watch::Sender<Option<Arc<str>>>,
}

/// The state after the last turn of the loop.
#[derive(Debug, Default)]
struct Turn {
    oldest_run: Option<Instant>,
    /// The counts; `None` before the first turn.
    counts: Option<InHandCounts>,
    suspects: Option<Suspects>,
}

impl QueueStatus {
    /// Returns true if the queue can be reached.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Returns the number of messages in hand: waiting, running, or not yet settled.
    pub fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Relaxed)
    }

    /// Returns the number of runs that have not ended.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Returns true after an operator's pause is followed, no message of the queue is in hand, and no open receive may return
    /// one.
    pub fn is_drained(&self) -> bool {
        self.pauses.borrow().contains(&PauseReason::Operator)
            && !self.receiving.load(Ordering::Relaxed)
            && self.in_hand() == 0
    }

    /// Returns the current reasons why the queue is not received from, in order.
    pub fn pauses(&self) -> Vec<PauseReason> {
        self.pauses.borrow().clone()
    }

    /// Returns the reason why the target is unhealthy, in one line.
    pub fn target_problem(&self) -> Option<Arc<str>> {
        self.target_problem.borrow().clone()
    }

    /// Returns the time at which the oldest running handler began. Messages that wait in hand do not count.
    pub fn oldest_run(&self) -> Option<Instant> {
        self.turn().oldest_run
    }

    /// Returns the messages in hand by the cause of their wait; `None` before the loop's first turn.
    pub fn counts(&self) -> Option<InHandCounts> {
        self.turn().counts
    }

    /// Returns the messages that may have killed a process; `None` if there are none.
    pub fn suspects(&self) -> Option<Suspects> {
        self.turn().suspects.clone()
    }

    /// Returns true while a receive is open that may still return messages.
    pub fn is_receiving(&self) -> bool {
        self.receiving.load(Ordering::Relaxed)
    }

    /// Returns true if the queue did not exist at the last check.
    pub fn is_missing(&self) -> bool {
        self.missing.load(Ordering::Relaxed)
    }

    /// Returns the failure of the receives, if the last one has failed.
    pub fn receive_problem(&self) -> Option<ReceiveProblem> {
        self.receive_problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records whether the queue exists.
    pub fn set_missing(&self, is_missing: bool) {
        self.missing.store(is_missing, Ordering::Relaxed);
    }

    /// Records that a receive has failed.
    pub fn receive_failed(&self, now: Instant, error: &SqsError) {
        let mut known = self.receive_problem.lock().unwrap_or_else(PoisonError::into_inner);
        let since = known.as_ref().map_or(now, |known| known.since);
        *known = Some(ReceiveProblem { kind: error.kind, text: error.text.as_str().into(), since });
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Records that a receive has succeeded.
    pub fn receive_succeeded(&self) {
        if self.failing.load(Ordering::Relaxed) {
            *self.receive_problem.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.failing.store(false, Ordering::Relaxed);
        }
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the reasons why the queue is not received from.
    pub fn set_pauses(&self, reasons: impl Iterator<Item = PauseReason> + Clone) {
        self.pauses.send_if_modified(|known| {
            let changes = !reasons.clone().eq(known.iter().copied());
            if changes {
                *known = reasons.collect();
            }
            changes
        });
    }

    /// Sets the reason why the target is unhealthy.
    pub fn set_target_problem(&self, problem: Option<&Arc<str>>) {
        self.target_problem.send_if_modified(|known| {
            let changes = known.as_ref() != problem;
            if changes {
                *known = problem.cloned();
            }
            changes
        });
    }

    /// Sets the time at which the oldest running handler began.
    pub fn set_oldest_run(&self, began_at: Option<Instant>) {
        self.turn().oldest_run = began_at;
    }

    /// Takes over the state of the loop; returns the health if it has changed. Only a polled queue has pauses and a health.
    pub(crate) fn update(&self, ledger: &Ledger, oldest_run: Option<Instant>) -> Option<bool> {
        let suspects = ledger.suspects();
        *self.turn() = Turn { oldest_run, counts: Some(ledger.in_hand_counts()), suspects };
        self.receiving.store(ledger.is_receiving(), Ordering::Relaxed);
        self.in_hand.store(ledger.in_hand(), Ordering::Relaxed);
        self.running.store(ledger.running(), Ordering::Relaxed);
        ledger.policy().polling?;
        self.set_pauses(ledger.pause_reasons());
        let healthy = ledger.healthy();
        (self.healthy.swap(healthy, Ordering::Relaxed) != healthy).then_some(healthy)
    }
}
