//! Runs whose lock is held elsewhere: their deliveries stay in hand, without a slot, and request it again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::Ledger;
use crate::core::claim::Claim;
use crate::core::claim_lease::RunClaim;
use crate::core::control::CancelReason;
use crate::core::delivery::{Run, Stage};
use crate::core::ending::Ending;
use crate::core::ids::DeliveryId;
use crate::core::ledger_event::LedgerEvent;
use crate::core::lock_waits::{LOCK_PATIENCE, LOCK_PATIENCE_OF_BATCH, LockWait, WAITERS_PER_SLOT};
use crate::core::outcome_cache::PriorOutcome;
use crate::core::retry::Jitter;
use crate::core::run_report::RunReport;

/// The part of a batch's time that is reserved for the last request and the change of the visibility that follows.
pub(super) const TIME_TO_SETTLE: Duration = Duration::from_secs(2);

impl Ledger {
    /// Returns the lock for which a delivery can wait in hand after its run; `None` if it leaves.
    pub(super) fn lock_to_wait_for(
        &self,
        now: Instant,
        id: DeliveryId,
        stopped: Option<CancelReason>,
        report: &RunReport,
    ) -> Option<Arc<str>> {
        let lock = report.lock.as_ref().filter(|_| matches!(report.ending, Ending::Busy { .. }))?;
        if stopped.is_some() || self.draining.is_some() {
            return None;
        }
        let has_time = if let Some(wait) = &self.deliveries.get(id)?.lock_wait {
            now < wait.until
        } else {
            let waiting = self.lock_waits.parked() + self.lock_waits.asking();
            now < self.waits_until(now) && waiting < WAITERS_PER_SLOT * self.policy.concurrency.get()
        };
        has_time.then(|| Arc::clone(lock))
    }

    /// The time of the last request of a delivery that starts to wait for a lock now.
    fn waits_until(&self, now: Instant) -> Instant {
        let patience = if self.receives.is_some() { LOCK_PATIENCE } else { LOCK_PATIENCE_OF_BATCH };
        let drain = self.drain_expected_at.and_then(|at| at.checked_sub(TIME_TO_SETTLE));
        drain.map_or(now + patience, |drain| drain.min(now + patience))
    }

    /// Has a delivery wait for a lock, as the head of its lane. Its slot is free.
    pub(super) fn park(&mut self, now: Instant, id: DeliveryId, lock: &Arc<str>, jitter: Jitter) {
        let until = self.waits_until(now);
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let message = Arc::clone(&delivery.message);
        delivery.stage = Stage::Waiting;
        let is_first = delivery.lock_wait.is_none();
        let wait = delivery.lock_wait.get_or_insert_with(|| {
            let lock = Arc::clone(lock);
            Box::new(LockWait { lock, since: now, until, ask_at: None, is_parked: false })
        });
        if !is_first {
            self.lock_waits.has_asked(&wait.lock);
        }
        wait.lock = Arc::clone(lock);
        (wait.is_parked, wait.ask_at) = (true, None);
        self.lock_waits.park(wait, id);
        let next_check = delivery.next_check();
        self.check_by(next_check);
        self.running -= 1;
        self.quarantine.concluded(now, id, false);
        self.learn(&message, PriorOutcome::Returned);
        if is_first {
            self.emit(LedgerEvent::WaitsForLock { message, lock: Arc::clone(lock) });
        }
        self.appoint(now, lock, jitter);
    }

    /// Has the next delivery that waits for a lock request it in time.
    fn appoint(&mut self, now: Instant, lock: &str, jitter: Jitter) {
        let Some((next, at)) = self.lock_waits.next(now, lock, jitter) else { return };
        let Some(wait) = self.deliveries.get_mut(next).and_then(|d| d.lock_wait.as_mut()) else { return };
        wait.ask_at = Some(wait.ask_at.map_or(at, |known| known.min(at)));
        let next_check = wait.next_check();
        self.check_by(next_check);
    }

    /// Starts the run of a delivery that has to request its lock.
    pub(super) fn check_lock(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Some(wait) = delivery.lock_wait.as_mut() else { return };
        if !matches!(delivery.stage, Stage::Waiting) || wait.next_check().is_none_or(|at| at > now) {
            return;
        }
        self.lock_waits.unpark(wait, id);
        self.lock_waits.asks(&wait.lock);
        (wait.is_parked, wait.ask_at) = (false, None);
        self.waiting += 1;
        // Its turn was before that of all later ones.
        self.ready.push_front(id);
    }

    /// Ends the wait of a delivery for a lock: it has the lock, or leaves. Returns true if it waited without a run.
    pub(super) fn ends_lock_wait(&mut self, now: Instant, id: DeliveryId) -> bool {
        let Some(wait) = self.deliveries.get_mut(id).and_then(|delivery| delivery.lock_wait.take()) else {
            return false;
        };
        if wait.is_parked {
            self.lock_waits.unpark(&wait, id);
        } else {
            self.lock_waits.has_asked(&wait.lock);
        }
        self.appoint(now, &wait.lock, Jitter::new(0));
        wait.is_parked
    }

    /// The job of a run is done, which released its lock.
    pub(super) fn free_lock_of(&mut self, now: Instant, id: DeliveryId) {
        let claim = self.deliveries.get(id).and_then(|delivery| match &delivery.stage {
            Stage::Running(Run { claim: RunClaim::Kept(lease), .. }) => Some(Arc::clone(&lease.claim)),
            Stage::Running(_) | Stage::Waiting | Stage::Settling(_) => None,
        });
        if let Some(claim) = claim {
            self.lock_is_free(now, &claim);
        }
    }

    /// The claim of an ended run is released, and with it its lock: the next delivery that waits for it requests it at once.
    pub(super) fn lock_is_free(&mut self, now: Instant, claim: &Claim) {
        if let Some((lock, _)) = &claim.lock {
            self.lock_waits.freed(lock);
            self.appoint(now, lock, Jitter::new(0));
        }
    }
}
