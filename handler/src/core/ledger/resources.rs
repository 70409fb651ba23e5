//! Runs that failed because the process lacks resources, or because their target is unhealthy: the queue is paused, and the
//! messages stay in hand to run again.

use std::sync::Arc;
use std::time::Instant;

use super::state::Ledger;
use crate::core::claim::ReleaseClaim;
use crate::core::control::CancelReason;
use crate::core::delivery::Stage;
use crate::core::ending::Ending;
use crate::core::ids::DeliveryId;
use crate::core::ledger_event::{LedgerEvent, RunFacts};
use crate::core::outcome_cache::PriorOutcome;
use crate::core::pause::{Pause, PauseReason, Probe};

/// The number of runs that a message may end so before it leaves this process, which costs it a receive. The message itself may
/// exhaust the resources or harm the target, so the redrive policy finally takes it. Probes do not count.
const MAX_KEPT_RUNS: u8 = 3;

impl Ledger {
    /// Pauses the queue if a run lacked resources or a healthy target. Returns true if its message also has to stay in hand,
    /// which costs no receive: not if it was kept often enough, if the process ends, or if messages are handed in, which cannot
    /// run later.
    pub(super) fn keeps_unattempted(
        &mut self,
        now: Instant,
        id: DeliveryId,
        stopped: Option<CancelReason>,
        ending: &Ending,
        was_probe: bool,
    ) -> bool {
        let reason = match ending {
            Ending::OutOfResources { .. } => PauseReason::OutOfResources,
            Ending::TargetUnhealthy { .. } => PauseReason::TargetUnhealthy,
            _ => return false,
        };
        if matches!(stopped, Some(CancelReason::Shutdown | CancelReason::LeaseLost))
            || self.receives.is_none()
        {
            return false;
        }
        self.pause(now, Pause { reason, probe: Probe::Host });
        let Some(delivery) = self.deliveries.get(id) else { return false };
        self.draining.is_none() && (was_probe || delivery.kept_runs < MAX_KEPT_RUNS)
    }

    /// Has a delivery wait again as the head of its lane. Its claim is first released, without counting the attempt.
    pub(super) fn keep(&mut self, now: Instant, id: DeliveryId, run: RunFacts, was_probe: bool) {
        self.release_claim(now, id, ReleaseClaim { count_attempt: false, failure_reason: None, dead: false });
        // A run without a claim may have requested a lock without success. It starts again by itself, not by the lock.
        self.ends_lock_wait(now, id);
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        delivery.stage = Stage::Waiting;
        delivery.kept_runs += u8::from(!was_probe);
        let message = Arc::clone(&delivery.message);
        let next_check = delivery.next_check();
        self.check_by(next_check);
        self.running -= 1;
        self.waiting += 1;
        self.quarantine.concluded(now, id, true);
        self.learn(&message, PriorOutcome::Returned);
        self.emit(LedgerEvent::KeptInHand { message, run });
        self.ready_again(now, id);
    }

    /// A delivery that was kept may run again, once its claim is free.
    pub(super) fn ready_again(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get(id) else { return };
        if matches!(delivery.stage, Stage::Waiting) && delivery.releasing.is_none() {
            // Its lease was not renewed during that time.
            let next_check = delivery.next_check();
            self.check_by(next_check);
            self.make_ready(now, id);
        }
    }
}
