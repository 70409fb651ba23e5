//! Quarantined messages: which messages may kill the process, and when they start. See [`quarantine`](crate::quarantine) and
//! ADR 0004.

use std::sync::Arc;
use std::time::Instant;

use super::effect::Effect;
use super::state::Ledger;
use crate::core::claim::{Claim, ClaimStep, Takeover};
use crate::core::claim_lease::RunClaim;
use crate::core::control::CancelReason;
use crate::core::delivery::{Run, Stage};
use crate::core::ids::DeliveryId;
use crate::core::ledger_event::LedgerEvent;
use crate::core::policy::CrashEvidence;
use crate::core::quarantine::{Evidence, QUARANTINE_RECEIVES};
use crate::core::receives::Receives;
use crate::message::sqs_message::Message;

impl Ledger {
    /// Has a message that was received several times without a known ending wait for its group. Returns true if it waits.
    pub(super) fn waits_by_receives(&mut self, now: Instant, id: DeliveryId, has_run: bool) -> bool {
        let Some(delivery) = self.deliveries.get(id) else { return false };
        let receives = delivery.message.receive_count;
        if receives < QUARANTINE_RECEIVES || self.outcome_cache.of(&delivery.message.id).is_some() {
            return false;
        }
        self.isolate_by_receives(now, id, has_run)
    }

    /// Has a message wait for its group again if it was held for a limit before its first run. Returns true if it waits.
    pub(super) fn waits_again(&mut self, now: Instant, id: DeliveryId) -> bool {
        self.isolate_by_receives(now, id, false)
    }

    fn isolate_by_receives(&mut self, now: Instant, id: DeliveryId, has_run: bool) -> bool {
        let Some(delivery) = self.deliveries.get(id) else { return false };
        let receives = delivery.message.receive_count;
        let crashes = receives.saturating_sub(1);
        let evidence = Evidence::new(crashes, receives, self.policy.receives.at_most(), false);
        self.isolate(now, id, evidence, has_run)
    }

    /// Has a run that starts without a claim wait for its group: the store does not answer, so there is no evidence about its
    /// message either.
    pub(super) fn waits_unclaimed(&mut self, now: Instant, id: DeliveryId) -> bool {
        self.policy.crash_evidence == CrashEvidence::Store && self.waits_by_receives(now, id, true)
    }

    /// A run has taken over the claim of one that never ended. It starts now, or with its group.
    pub(super) fn taken_over(&mut self, now: Instant, id: DeliveryId, claim: Arc<Claim>, takeover: Takeover) {
        let Some(delivery) = self.deliveries.get(id) else { return };
        let message = Arc::clone(&delivery.message);
        // A claim that this process itself could not release is no evidence: the process is alive.
        let is_own = takeover.former_owner.as_ref() == Some(&claim.owner);
        let unended = takeover.unended;
        if !is_own {
            self.emit(LedgerEvent::Stalled { message: Arc::clone(&message), claim, takeover });
        }
        let receives = message.receive_count;
        let evidence = Evidence::new(unended, receives, self.policy.receives.at_most(), true);
        let is_quarantined = unended > 0 && !is_own && self.policy.crash_evidence == CrashEvidence::Store;
        if !is_quarantined || !self.isolate(now, id, evidence, true) {
            return self.go_on(now, id);
        }
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let last_moment = delivery.last_moment();
        if let Stage::Running(run) = &mut delivery.stage {
            // The time of its attempt starts with its handler.
            run.deadline = last_moment;
        }
        if self.draining.is_some() {
            self.cancel(now, id, CancelReason::Shutdown);
        }
    }

    /// Returns true if the delivery waits for its group. Messages that are handed in never do: a process that is killed
    /// acknowledges none of its batch.
    fn isolate(&mut self, now: Instant, id: DeliveryId, evidence: Evidence, has_run: bool) -> bool {
        let Some(receives) = &mut self.receives else { return false };
        let Some(size) = self.quarantine.takes(now, id, evidence, has_run) else { return false };
        receives.slow_to(now, size);
        if let Some(delivery) = self.deliveries.get(id) {
            let message = Arc::clone(&delivery.message);
            self.emit(LedgerEvent::Isolated(message));
        }
        true
    }

    /// Starts the next group, if nothing else runs.
    pub(super) fn start_quarantined(&mut self, now: Instant) {
        self.start_quarantined_in(now, self.run_slots().saturating_sub(self.running));
    }

    /// The same with this number of slots.
    pub(super) fn start_quarantined_in(&mut self, now: Instant, slots: usize) {
        let others_run = self.others_run();
        loop {
            let mut group = self.quarantine.next_group(now, others_run, slots);
            if group.is_empty() {
                return;
            }
            group.retain(|id| self.begin_quarantined(now, *id));
            // A message that needs no run makes room for the next.
            if !group.is_empty() {
                return self.quarantine.runs(now, group);
            }
        }
    }

    /// Returns true if there are runs beside those that wait for their group.
    pub(super) fn others_run(&self) -> bool {
        self.running > self.quarantine.waiting_with_run()
    }

    /// Starts a run, or continues a waiting one. Returns false if it needs none.
    fn begin_quarantined(&mut self, now: Instant, id: DeliveryId) -> bool {
        match self.deliveries.get(id).map(|delivery| &delivery.stage) {
            Some(Stage::Running(run)) if run.cancelled.is_none() => {
                self.go_on(now, id);
                true
            }
            // It ends by itself, without its handler.
            Some(Stage::Running(_)) => true,
            Some(Stage::Waiting) => self.begin(now, id),
            Some(Stage::Settling(_)) | None => false,
        }
    }

    /// Continues a run that waits before its handler, unless it must stop.
    pub(super) fn go_on(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Running(run) = &delivery.stage else { return };
        let deadline = delivery.deadline(now, run.timeout);
        let message = Arc::clone(&delivery.message);
        let Stage::Running(run) = &mut delivery.stage else { return };
        if matches!(run.claim, RunClaim::None) {
            self.effects.push_back(Effect::Claim(id, ClaimStep::RunUnclaimed));
            return self.emit(LedgerEvent::RunsUnclaimed(message));
        }
        if run.cancelled.is_some() {
            return;
        }
        (run.started_at, run.deadline) = (now, deadline);
        let next_check = delivery.next_check();
        self.check_by(next_check);
        let deadline = self.drain_expected_at.map_or(deadline, |drain| deadline.min(drain));
        self.effects.push_back(Effect::Claim(id, ClaimStep::Begin(deadline)));
    }

    /// Stops the runs that wait for their group: during a drain none starts.
    pub(super) fn release_quarantined(&mut self, now: Instant) {
        for id in self.quarantine.waiting_runs() {
            self.cancel(now, id, CancelReason::Shutdown);
        }
    }

    /// Returns true if the redrive policy takes the message after this receive, or after the next.
    pub(super) fn is_on_its_last_receives(&self, message: &Message) -> bool {
        self.policy.receives.at_most().is_some_and(|max| message.receive_count + 1 >= max.get())
    }

    /// Returns true while receives are small and received messages may still turn out to be quarantined, which must be known
    /// before the next messages arrive.
    pub(super) fn is_judging(&self) -> bool {
        let asks = |stage: &Stage| matches!(stage, Stage::Running(Run { claim: RunClaim::Asking(_), .. }));
        self.policy.crash_evidence == CrashEvidence::Store
            && self.receives.as_ref().is_some_and(Receives::is_slow)
            && self.deliveries.values().any(|delivery| asks(&delivery.stage))
    }
}
