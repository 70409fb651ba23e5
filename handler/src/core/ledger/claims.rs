//! The life of a claim: granted to a run, renewed with the lease, and ended by the mark that the job is done or by its release,
//! before the message is released.
//!
//! A store that does not answer ends no run and undoes no success: the ledger repeats the request, and only the store's
//! [`Lost`](Ownership::Lost) takes a claim away. See ADR 0011.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::drain_plan::{Drain, SETTLE_TIME};
use super::effect::Effect;
use super::state::Ledger;
use crate::core::claim::{Claim, ClaimStep, Claimed, MarkError, Ownership, ReleaseClaim};
use crate::core::claim_lease::{Asking, RunClaim, Waits, claim_length};
use crate::core::control::{CancelReason, STOP_TIME};
use crate::core::decide::{MarkDecision, decide_mark};
use crate::core::delivery::{Delivery, Releasing, Run, Stage};
use crate::core::earliest::earliest;
use crate::core::ending::Ending;
use crate::core::ids::DeliveryId;
use crate::core::ledger_event::LedgerEvent;
use crate::core::marking::Marking;
use crate::core::policy::Claims;
use crate::core::reason::bounded;
use crate::core::retry::Jitter;
use crate::core::run_report::RunReport;

/// The time for which a message waits for the release of its claim: longer than an answer takes, and shorter than any backoff.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3);

/// The same during a drain, whose last calls have little time.
const RELEASE_PATIENCE_IN_DRAIN: Duration = Duration::from_secs(1);

impl Ledger {
    /// The duration for which a claim is requested now.
    pub(super) fn claim_length(&self, now: Instant) -> Duration {
        let over_in = self.drain_expected_at.map(|at| at.saturating_duration_since(now) + SETTLE_TIME);
        claim_length(self.policy.lease, over_in)
    }

    /// The claim of a run that starts.
    pub(super) fn new_claim(&self, now: Instant, length: Duration) -> RunClaim {
        match self.policy.claims {
            Claims::Off => RunClaim::None,
            Claims::Required | Claims::BestEffort => RunClaim::Asking(Asking::new(now, length)),
        }
    }

    /// The store answered a run's request for a claim, or did not. With a claim the run continues, without an answer it waits
    /// for [`Effect::Claim`]. Repeated and late answers are ignored.
    pub fn claimed(&mut self, now: Instant, id: DeliveryId, answer: Claimed) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Running(run) = &mut delivery.stage else { return };
        let RunClaim::Asking(asking) = &mut run.claim else { return };
        match answer {
            Claimed::Granted(claim) => {
                run.claim = RunClaim::Kept(asking.granted(claim));
                self.ends_lock_wait(now, id);
            }
            Claimed::TakenOver(claim, takeover) => {
                run.claim = RunClaim::Kept(asking.granted(Arc::clone(&claim)));
                self.ends_lock_wait(now, id);
                self.taken_over(now, id, claim, takeover);
            }
            Claimed::Unanswered(_) if self.policy.claims == Claims::BestEffort => {
                run.claim = RunClaim::None;
                if !self.waits_unclaimed(now, id) {
                    self.go_on(now, id);
                }
            }
            Claimed::Unanswered(_) if run.cancelled.is_some() => asking.stop(),
            Claimed::Unanswered(_) => {
                if !asking.unanswered(now) {
                    asking.stop();
                    self.effects.push_back(Effect::Claim(id, ClaimStep::GiveUp));
                }
            }
        }
        if let Some(Delivery { stage: Stage::Running(run), .. }) = self.deliveries.get(id) {
            let next_check = run.claim.next_check();
            self.check_by(next_check);
        }
    }

    /// A renewal of this claim was answered. With an error the store is not available, and the handler continues. An answer
    /// about the claim of an earlier run is ignored.
    pub fn claim_renewed(
        &mut self,
        now: Instant,
        id: DeliveryId,
        claim: &Claim,
        reply: Result<Ownership, String>,
    ) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let message = Arc::clone(&delivery.message);
        let Stage::Running(run) = &mut delivery.stage else { return };
        let RunClaim::Kept(lease) = &mut run.claim else { return };
        if run.lost || *lease.claim != *claim {
            return;
        }
        match reply {
            Ok(Ownership::Kept) => lease.renewed(),
            // The mark may be written and its answer lost: the claim of a done job cannot be renewed. Only the answer to a mark
            // decides.
            Ok(Ownership::Lost) if run.marking.is_some() => {
                lease.renewed();
                let renewal_due = lease.renewal_due();
                self.check_by(renewal_due);
                return self.ask_mark(now, id);
            }
            Ok(Ownership::Lost) => return self.lose_claim(now, id),
            Err(error) => {
                if lease.renewal_failed(now) {
                    self.emit(LedgerEvent::ClaimRenewalFailed { message, error });
                }
            }
        }
        let next_check = self.deliveries.get(id).and_then(Delivery::next_check);
        self.check_by(next_check);
    }

    /// The claim belongs to another run: its own run is stopped like one whose lease was lost.
    fn lose_claim(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Running(run) = &mut delivery.stage else { return };
        run.lost = true;
        if let RunClaim::Kept(lease) = &mut run.claim {
            lease.lost = true;
        }
        let is_marking = run.marking.is_some();
        let message = Arc::clone(&delivery.message);
        self.emit(LedgerEvent::ClaimLost(message));
        if is_marking {
            self.conclude_marking(now, id);
        } else {
            self.cancel(now, id, CancelReason::LeaseLost);
        }
    }

    /// Starts the mark of a job whose handler has succeeded with its claim. Returns the report of any other run.
    pub(super) fn begin_marking(
        &mut self,
        now: Instant,
        id: DeliveryId,
        report: RunReport,
        jitter: Jitter,
    ) -> Option<RunReport> {
        let last_mark = self.draining.as_ref().map(Drain::last_mark);
        let Some(delivery) = self.deliveries.get_mut(id) else { return Some(report) };
        let last_moment = delivery.last_moment();
        let Stage::Running(run) = &mut delivery.stage else { return Some(report) };
        if run.marking.is_some() {
            // It has already ended.
            return None;
        }
        let RunClaim::Kept(lease) = &run.claim else { return Some(report) };
        if report.ending != Ending::Done || lease.lost {
            return Some(report);
        }
        // The timeout of the attempt ends with its handler. A shutdown and a lost lease leave little time for the mark.
        run.deadline = last_moment;
        if run.cancelled == Some(CancelReason::TimedOut) && !run.lost {
            run.cancelled = None;
        }
        let give_up_at = last_mark.map_or(now + STOP_TIME, |last| last.min(now + STOP_TIME));
        run.abort_at = run.cancelled.map(|_| give_up_at);
        run.marking = Some(Box::new(Marking::new(now, report, jitter)));
        let times = [run.abort_at, Some(run.deadline)];
        self.check_by(earliest(times));
        self.ask_mark(now, id);
        None
    }

    /// Requests the mark of the job as done, and repeats the request later.
    pub(super) fn ask_mark(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Running(Run { marking: Some(marking), claim: RunClaim::Kept(lease), .. }) =
            &mut delivery.stage
        else {
            return;
        };
        marking.ask(now);
        let (result, next) = (marking.report.result.clone(), marking.report.next.clone());
        let (claim, ask_at) = (Arc::clone(&lease.claim), marking.ask_at());
        self.effects.push_back(Effect::Mark { delivery: id, claim, result, next });
        self.check_by(Some(ask_at));
    }

    /// The mark of a done job was answered. Repeated and late answers are ignored.
    pub fn marked(&mut self, now: Instant, id: DeliveryId, reply: Result<Ownership, MarkError>) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let message = Arc::clone(&delivery.message);
        let Stage::Running(Run { marking: Some(marking), claim: RunClaim::Kept(lease), .. }) =
            &mut delivery.stage
        else {
            return;
        };
        let job_id = Arc::clone(lease.claim.identity.job_id());
        let RunReport { result, next, .. } = &marking.report;
        let decision = decide_mark(self.policy.claims, &reply, result.is_some(), next.is_some());
        let error = || reply.err().map(|error| error.to_string()).unwrap_or_default();
        match decision {
            MarkDecision::Marked => {
                // They are added.
                marking.report.next = None;
                self.conclude_marking(now, id);
            }
            MarkDecision::Lost => self.lose_claim(now, id),
            MarkDecision::Again => {
                let is_first = marking.failed(now);
                let next_check = delivery.next_check();
                self.check_by(next_check);
                if is_first {
                    self.emit(LedgerEvent::MarkFailed { message, job_id, error: error() });
                }
            }
            MarkDecision::WithoutResult => {
                marking.report.result = None;
                self.emit(LedgerEvent::ResultRefused { message, error: error() });
                self.ask_mark(now, id);
            }
            MarkDecision::Unmarked => self.conclude_unmarked(now, id, error()),
            MarkDecision::NextRefused => {
                let reason = bounded(format!("the store refuses the next jobs: {}", error()));
                marking.report.ending = Ending::Rejected { reason };
                self.conclude_marking(now, id);
            }
        }
    }

    /// The message of a done job leaves without its mark. Without its deletion a rerun would be certain; with it, only a
    /// duplicate under the same identity is possible. If other jobs follow, the job is retried, because they are added with the
    /// mark.
    pub(super) fn conclude_unmarked(&mut self, now: Instant, id: DeliveryId, error: String) {
        if let Some(delivery) = self.deliveries.get_mut(id)
            && let Stage::Running(Run { marking: Some(marking), .. }) = &mut delivery.stage
            && marking.report.next.is_some()
        {
            let reason = bounded(format!("the next jobs could not be added to the store: {error}"));
            marking.report.ending = Ending::RetryAsked { after: None, reason };
        } else if let Some(delivery) = self.deliveries.get(id)
            && let Stage::Running(Run { claim: RunClaim::Kept(lease), lost: false, .. }) = &delivery.stage
        {
            let (message, job_id) =
                (Arc::clone(&delivery.message), Arc::clone(lease.claim.identity.job_id()));
            self.emit(LedgerEvent::Unmarked { message, job_id, error });
        }
        self.conclude_marking(now, id);
    }

    /// The ledger's time is over: done jobs need no other run.
    pub(super) fn conclude_all_unmarked(&mut self, now: Instant) {
        let is_marking = |stage: &Stage| matches!(stage, Stage::Running(Run { marking: Some(_), .. }));
        for id in self.deliveries.ids(|_, delivery| is_marking(&delivery.stage)) {
            self.conclude_unmarked(now, id, "the time is over".to_owned());
        }
    }

    fn conclude_marking(&mut self, now: Instant, id: DeliveryId) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Running(run) = &mut delivery.stage else { return };
        let Some(marking) = run.marking.take() else { return };
        let Marking { report, ended_at, jitter, .. } = *marking;
        self.conclude_run(now, id, report, ended_at, jitter);
    }

    /// Releases the claim of an ended run. No call about its message is made before that is done: the worker that receives it
    /// next must find the claim free.
    pub(super) fn release_claim(&mut self, now: Instant, id: DeliveryId, how: ReleaseClaim) {
        let draining = self.draining.is_some();
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Stage::Running(Run { claim: RunClaim::Kept(lease), .. }) = &delivery.stage else { return };
        let claim = Arc::clone(&lease.claim);
        let patience = if draining { RELEASE_PATIENCE_IN_DRAIN } else { RELEASE_PATIENCE };
        delivery.releasing = Some(Box::new(Releasing {
            claim: Arc::clone(&claim),
            how: how.clone(),
            again_at: None,
            give_up_at: now + patience,
            waits: Waits::new(),
        }));
        let next_check = delivery.next_check();
        self.check_by(next_check);
        self.effects.push_back(Effect::ReleaseClaim { delivery: id, claim, how });
    }

    /// This claim was released. With an error the store is not available. An answer about the claim of an earlier run is
    /// ignored.
    #[allow(clippy::needless_pass_by_value, reason = "as the other answers of the store")]
    pub fn claim_released(
        &mut self,
        now: Instant,
        id: DeliveryId,
        claim: &Claim,
        reply: Result<Ownership, String>,
    ) {
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        let Some(releasing) = delivery.releasing.as_mut().filter(|releasing| *releasing.claim == *claim)
        else {
            return;
        };
        if reply.is_err() {
            releasing.again_at = Some(now + releasing.waits.next());
            let next_check = delivery.next_check();
            return self.check_by(next_check);
        }
        self.claim_is_free(now, id, claim);
    }

    /// The claim of an ended run no longer delays its message.
    fn claim_is_free(&mut self, now: Instant, id: DeliveryId, claim: &Claim) {
        if let Some(delivery) = self.deliveries.get_mut(id) {
            delivery.releasing = None;
        }
        self.queue_settlement(now, id);
        self.ready_again(now, id);
        self.lock_is_free(now, claim);
    }

    /// Does all that is due for the claim of a delivery, except its renewal.
    pub(super) fn check_claim(&mut self, now: Instant, id: DeliveryId) {
        let length = self.claim_length(now);
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        if let Some(releasing) = &mut delivery.releasing {
            if releasing.give_up_at <= now {
                let claim = Arc::clone(&releasing.claim);
                let message = Arc::clone(&delivery.message);
                self.emit(LedgerEvent::ClaimNotReleased(message));
                return self.claim_is_free(now, id, &claim);
            }
            if releasing.again_at.is_some_and(|at| at <= now) {
                releasing.again_at = None;
                let (claim, how) = (Arc::clone(&releasing.claim), releasing.how.clone());
                self.effects.push_back(Effect::ReleaseClaim { delivery: id, claim, how });
            }
            return;
        }
        let Stage::Running(run) = &mut delivery.stage else { return };
        match &mut run.claim {
            RunClaim::Asking(asking) if asking.is_due(now) => {
                asking.ask(now, length);
                self.effects.push_back(Effect::Claim(id, ClaimStep::Ask(length)));
            }
            RunClaim::Kept(_) if run.marking.as_ref().is_some_and(|marking| marking.ask_at() <= now) => {
                self.ask_mark(now, id);
            }
            RunClaim::None | RunClaim::Asking(_) | RunClaim::Kept(_) => {}
        }
    }

    /// Renews every claim that is due, and those that will be soon, together with the leases.
    pub(super) fn renew_claims(&mut self, now: Instant, with_leases: bool) {
        let soon = if with_leases { now + self.policy.lease / 8 } else { now };
        let length = self.claim_length(now);
        let is_due = |_, delivery: &Delivery| match &delivery.stage {
            Stage::Running(Run { claim: RunClaim::Kept(lease), lost: false, .. }) => lease.is_due(now, soon),
            Stage::Running(_) | Stage::Waiting | Stage::Settling(_) => false,
        };
        for id in self.deliveries.ids(is_due) {
            let Some(delivery) = self.deliveries.get_mut(id) else { continue };
            let Stage::Running(Run { claim: RunClaim::Kept(lease), .. }) = &mut delivery.stage else {
                continue;
            };
            lease.ask(now, length);
            let claim = Arc::clone(&lease.claim);
            self.effects.push_back(Effect::RenewClaim { delivery: id, claim, length });
        }
    }
}
