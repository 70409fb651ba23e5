//! Runs that their service has throttled: their type is closed, and their messages stay in hand until it opens.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::state::Ledger;
use crate::core::claim::ReleaseClaim;
use crate::core::control::CancelReason;
use crate::core::ending::Ending;
use crate::core::ids::DeliveryId;
use crate::core::ledger_event::{LedgerEvent, RunFacts};
use crate::core::limits::{JobClass, LimitReason, LimitWait};
use crate::core::retry::Jitter;
use crate::core::run_report::RunReport;

/// A message whose type is closed for longer is released to the queue, which costs it only one receive in this time.
const HELD_AT_MOST: Duration = Duration::from_secs(600);

/// The number of throttled runs of a message after which it leaves this process, which costs it a receive. Its service may
/// throttle only this message, so the redrive policy finally takes it, and others are probes in the meantime.
const MAX_THROTTLED_RUNS: u8 = 10;

impl Ledger {
    /// Closes the type of a run that was throttled, and sets in the report how long it stays closed. Returns the class for
    /// which its message waits in hand; `None` if the run was not throttled, or if its message leaves.
    pub(super) fn close_type(
        &mut self,
        now: Instant,
        id: DeliveryId,
        stopped: Option<CancelReason>,
        report: &mut RunReport,
        jitter: Jitter,
    ) -> Option<(JobClass, LimitWait)> {
        if !matches!(report.ending, Ending::Throttled { .. }) {
            return None;
        }
        let job_type = report.job_type.clone()?;
        let (permit, limits) = (report.permit.take(), self.limits.as_ref()?);
        match &permit {
            Some(permit) => permit.ended(now, &report.ending, jitter),
            // Its type was not limited when it started.
            None => limits.ended_without_permit(now, &job_type, &report.ending, jitter),
        }
        let until = limits.throttled_until(&job_type)?;
        let wait = until.saturating_duration_since(now);
        if let Ending::Throttled { after, .. } = &mut report.ending {
            *after = Some(wait);
        }
        let class = permit.map_or_else(|| JobClass::of_type(job_type), |permit| permit.class().clone());
        let may_stay = !matches!(stopped, Some(CancelReason::Shutdown | CancelReason::LeaseLost))
            && self.draining.is_none()
            && self.receives.is_some();
        (may_stay && self.holds_throttled(now, id, wait))
            .then_some((class, LimitWait { reason: LimitReason::Throttled, until: Some(until) }))
    }

    /// Returns true if a message whose run was throttled waits in hand, even beyond the number that is held of a class, because
    /// the message would pay a receive for the state of its service. On its last receive, or before one of its message group
    /// that is, it always does, as long as SQS allows.
    fn holds_throttled(&self, now: Instant, id: DeliveryId, wait: Duration) -> bool {
        let Some(delivery) = self.deliveries.get(id) else { return false };
        if now + wait >= delivery.last_moment() {
            return false;
        }
        self.lane_would_die(id)
            || wait <= HELD_AT_MOST
                && delivery.throttled_runs < MAX_THROTTLED_RUNS
                && self.held.count() < self.policy.concurrency.get()
    }

    /// Reports a run that an operator has cancelled, so that its ending is no evidence about its service, unless it was
    /// throttled.
    pub(super) fn report_cancelled(&self, now: Instant, report: &mut RunReport, jitter: Jitter) {
        let permit = report.permit.take();
        match (&permit, &report.job_type, &self.limits) {
            (Some(permit), ..) if matches!(report.ending, Ending::Throttled { .. }) => {
                permit.ended(now, &report.ending, jitter);
            }
            (None, Some(job_type), Some(limits)) => {
                limits.ended_without_permit(now, job_type, &report.ending, jitter);
            }
            _ => {}
        }
    }

    /// Holds the message of a throttled run. Its claim is first released, without counting the attempt.
    pub(super) fn hold_throttled(
        &mut self,
        now: Instant,
        id: DeliveryId,
        (class, wait): (JobClass, LimitWait),
        run: RunFacts,
    ) {
        self.release_claim(now, id, ReleaseClaim { count_attempt: false, failure_reason: None, dead: false });
        // A run without a claim may have requested a lock without success.
        self.ends_lock_wait(now, id);
        // It has ended without killing the process.
        self.quarantine.concluded(now, id, true);
        let Some(delivery) = self.deliveries.get_mut(id) else { return };
        delivery.throttled_runs = delivery.throttled_runs.saturating_add(1);
        let message = Arc::clone(&delivery.message);
        self.hold(now, id, class, wait);
        self.emit(LedgerEvent::KeptInHand { message, run });
    }
}
