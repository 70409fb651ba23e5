//! The effects of time on deliveries: leases are renewed or lost, runs are cancelled, failed settlements retried.

use std::time::{Duration, Instant};

use super::effect::Effect;
use super::in_flight::{About, CALL_PATIENCE};
use super::state::Ledger;
use crate::core::call::{Action, MAX_BATCH, VisibilityEntry, visibility_secs};
use crate::core::claim_lease::RunClaim;
use crate::core::control::{CancelReason, STOP_TIME};
use crate::core::delivery::{Delivery, Stage};
use crate::core::ids::DeliveryId;

impl Ledger {
    /// Checks the deliveries, if one is due.
    pub(super) fn check_due(&mut self, now: Instant) {
        if self.next_check.is_some_and(|at| at <= now) {
            self.check_deliveries(now);
        }
    }

    /// Checks every delivery that is due. Rare: a delivery that is settled within half its lease never is.
    fn check_deliveries(&mut self, now: Instant) {
        for id in self.deliveries.ids(|_, delivery| delivery.next_check().is_some_and(|at| at <= now)) {
            self.check(now, id);
        }
        let renews = self.renew(now);
        self.renew_claims(now, renews);
        let unanswered = self.calls.iter().filter(|(_, call)| call.asked_at + CALL_PATIENCE <= now);
        let mut unanswered: Vec<_> = unanswered.map(|(id, _)| *id).collect();
        // In the order of their requests, so that the same script has the same effects.
        unanswered.sort_unstable_by_key(|id| id.0);
        for id in unanswered {
            self.call_forgotten(id);
        }
        self.find_next_check();
    }

    /// Computes the exact time at which the next delivery must be checked, or the copy of one that has left.
    pub(super) fn find_next_check(&mut self) {
        let deliveries = self.deliveries.values().filter_map(Delivery::next_check);
        self.next_check = deliveries.chain(self.next_copy_check()).min();
    }

    fn check(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        if !delivery.is_past_lease() && delivery.lost_at() <= now {
            self.lose_lease(now, id);
        }
        self.check_claim(now, id);
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        match &mut delivery.stage {
            Stage::Waiting => {
                self.check_lock(now, id);
                self.check_hold(now, id);
            }
            Stage::Running(run) => {
                if run.abort_at.is_some_and(|at| at <= now) {
                    run.abort_at = None;
                    if run.marking.is_some() {
                        return self.conclude_unmarked(now, id, "the time is over".to_owned());
                    }
                    self.effects.push_back(Effect::Abort(id));
                } else if run.cancelled.is_none() && run.deadline <= now {
                    self.cancel(now, id, CancelReason::TimedOut);
                }
            }
            Stage::Settling(settling) => {
                if settling.give_up_at.is_some_and(|at| at <= now) {
                    self.give_up(now, id, "SQS did not confirm it in time for the response".to_owned());
                } else if delivery.settlement_due().is_some_and(|at| at <= now) {
                    self.queue_settlement(now, id);
                }
            }
        }
    }

    /// Asks a run to stop, once; it is dropped a little later.
    pub(super) fn cancel(&mut self, now: Instant, id: DeliveryId, reason: CancelReason) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Running(run) = &mut delivery.stage else { return };
        if run.cancelled.is_none() {
            run.cancelled = Some(reason);
            run.abort_at = Some(now + STOP_TIME);
            if let RunClaim::Asking(asking) = &mut run.claim {
                asking.stop();
            }
            let is_marking = run.marking.is_some();
            let next_check = delivery.next_check();
            self.check_by(next_check);
            // The handler of a job that is being marked has ended.
            if !is_marking {
                self.effects.push_back(Effect::Cancel(id, reason));
            }
        }
    }

    /// Renews every lease that is due, and with it those that will be soon, ten in a call. Returns true if there were any.
    fn renew(&mut self, now: Instant) -> bool {
        let is_due = |delivery: &Delivery, by| delivery.renewal_due().is_some_and(|due| due <= by);
        if !self.deliveries.values().any(|delivery| is_due(delivery, now)) {
            return false;
        }
        let soon = now + self.policy.lease / 8;
        let mut entries = Vec::new();
        // A delivery with a request in flight gets another one only when it is due, and not to fill a call.
        let due = |_, delivery: &Delivery| is_due(delivery, if delivery.is_renewing() { now } else { soon });
        for id in self.deliveries.ids(due) {
            let Some(delivery) = self.deliveries.get_mut(id) else { continue };
            // Rounded down to whole seconds, because SQS refuses visibilities beyond its twelve hours.
            let visibility =
                Duration::from_secs(self.policy.lease.min(delivery.longest_visibility(now)).as_secs());
            delivery.renewal_asked(now, visibility);
            let receipt = delivery.receipt().to_owned();
            let visibility_secs = visibility_secs(visibility);
            entries.push((VisibilityEntry { delivery: id, receipt, visibility_secs }, visibility));
        }
        while !entries.is_empty() {
            let rest = entries.split_off(entries.len().min(MAX_BATCH));
            let (batch, visibilities): (Vec<_>, Vec<_>) =
                std::mem::replace(&mut entries, rest).into_iter().unzip();
            let ids = batch.iter().map(|entry: &VisibilityEntry| entry.delivery).collect();
            self.call(now, ids, About::Renewals(visibilities), Action::ChangeVisibility(batch));
        }
        true
    }
}
