//! Runs whose job is limited: their messages are held in hand, without a slot, until the job may start.

use std::sync::Arc;
use std::time::Instant;

use super::state::Ledger;
use crate::core::control::CancelReason;
use crate::core::delivery::Stage;
use crate::core::ending::{Ending, RunReport};
use crate::core::ids::DeliveryId;
use crate::core::limits::{HELD_PER_CLASS, JobClass, LimitWait};
use crate::core::outcome_cache::PriorOutcome;

impl Ledger {
    /// Returns the class for whose limit a message is held after its run; `None` if it leaves.
    pub(super) fn limit_to_wait_for(
        &self,
        stopped: Option<CancelReason>,
        report: &RunReport,
    ) -> Option<(JobClass, LimitWait)> {
        let (class, wait) =
            report.limited.as_ref().filter(|_| matches!(report.ending, Ending::Limited { .. }))?;
        let holds = stopped.is_none()
            && self.draining.is_none()
            && self.limits.is_some()
            && self.held.of_class(class) < HELD_PER_CLASS;
        holds.then(|| (class.clone(), *wait))
    }

    /// Holds a message, as the head of its lane. Its slot is free.
    pub(super) fn hold(&mut self, now: Instant, id: DeliveryId, class: JobClass, wait: LimitWait) {
        let Some(delivery) = self.deliveries.get_mut(&id) else { return };
        let message = Arc::clone(&delivery.message);
        delivery.stage = Stage::Waiting;
        delivery.held_as = Some(class.clone());
        let next_check = delivery.next_check();
        self.check_by(next_check);
        self.waits.refused(&class, wait);
        self.held.add(class, id, wait.until);
        self.running -= 1;
        self.quarantine.concluded(now, id, false);
        self.learn(&message, PriorOutcome::Returned);
    }

    /// Returns true while messages are held for their limits.
    pub fn waits_for_limits(&self) -> bool {
        self.held.count() > 0
    }

    /// Starts the held messages that may start now, each with its permit.
    pub(super) fn start_held(&mut self, now: Instant) {
        if self.held.count() == 0 {
            return;
        }
        let Some(limits) = self.limits.clone() else { return };
        for class in self.held.classes() {
            while self.running < self.policy.concurrency.get() && !self.quarantine.is_running() {
                let Some(id) = self.held.first(&class) else { break };
                match limits.ask(now, &class) {
                    Ok(permit) => {
                        self.ends_hold(id);
                        self.waiting += 1;
                        self.begin_with(now, id, Some(permit));
                    }
                    Err(wait) => {
                        self.waits.refused(&class, wait);
                        self.held.set_until(&class, wait.until);
                        break;
                    }
                }
            }
        }
    }

    /// The wait of a message for its limit is over. Returns true if it was held.
    pub(super) fn ends_hold(&mut self, id: DeliveryId) -> bool {
        let Some(class) = self.deliveries.get_mut(&id).and_then(|delivery| delivery.held_as.take()) else {
            return false;
        };
        self.held.remove(&class, id)
    }
}
