//! The drain: no message starts, running jobs may finish, the others are released. Unconfirmed settlements are retried until
//! the end, deletes even past their leases.

use std::time::{Duration, Instant};

use super::drain_plan::{Drain, DrainSummary, LAST_CALLS, SETTLE_TIME};
use super::state::Ledger;
use crate::core::control::CancelReason;
use crate::core::delivery::{Delivery, Stage, Step};
use crate::core::ids::DeliveryId;
use crate::core::outcome::Outcome;
use crate::core::receives::Receives;

impl Ledger {
    /// Starts the drain: no further receive is opened, messages that have not started are released, and running jobs have
    /// `grace` to finish and are then cancelled. [`SETTLE_TIME`] after the grace the drain is over. A second call changes
    /// nothing.
    pub fn drain(&mut self, now: Instant, grace: Duration) {
        self.drain_until(now, grace, now + grace + SETTLE_TIME);
    }

    /// Like [`drain`](Self::drain), with a given end: a Lambda function's time ends even with messages in hand.
    pub fn drain_until(&mut self, now: Instant, grace: Duration, end_at: Instant) {
        if self.draining.is_some() {
            return;
        }
        if let Some(receives) = &mut self.receives {
            receives.stop();
        }
        self.draining = Some(Drain::new(now + grace, end_at));
        // Messages behind a running neighbour are kept until it has ended: no other worker can receive them before, and a queue
        // that delivered one to another process would break the order of its group.
        let free =
            |id: DeliveryId, d: &Delivery| matches!(d.stage, Stage::Waiting) && self.is_released_at_once(id);
        for id in self.deliveries.ids(free) {
            self.conclude_released(now, id, Duration::ZERO);
        }
        self.release_quarantined(now);
        self.settle_what_failed(now);
    }

    /// Retries failed settlements at once, because there is little time left.
    fn settle_what_failed(&mut self, now: Instant) {
        let failed = |stage: &Stage| matches!(stage, Stage::Settling(settling) if matches!(settling.step, Step::Backoff(_)));
        for id in self.deliveries.ids(|_, d| failed(&d.stage)) {
            self.queue_settlement(now, id);
        }
    }

    /// Returns the summary once the drain is over: nothing in hand, no relevant answer outstanding, or no time left. For
    /// batches that are handed in, it is over without a drain when no message is left.
    pub fn drained(&self) -> Option<DrainSummary> {
        let (counts, over) = match &self.draining {
            Some(drain) => (drain.counts, drain.over),
            None if self.receives.is_none() => (DrainSummary::default(), false),
            None => return None,
        };
        let nothing_left = self.deliveries.is_empty() && self.copying.is_empty() && !self.receiving();
        (nothing_left || over).then_some(DrainSummary { abandoned: self.deliveries.len(), ..counts })
    }

    pub(super) fn tick_drain(&mut self, now: Instant) {
        let receiving = self.receiving();
        let Some(drain) = &mut self.draining else { return };
        let cancels = !drain.cancelled && drain.cancel_at <= now;
        drain.cancelled |= cancels;
        let empties = !drain.emptied && drain.empty_at() <= now;
        drain.emptied |= empties;
        drain.over |= drain.end_at <= now;
        if cancels {
            for id in self.deliveries.ids(|_, d| matches!(d.stage, Stage::Running(_))) {
                self.cancel(now, id, CancelReason::Shutdown);
            }
        }
        if empties {
            // They stay hidden until this process and the run that does not stop are gone.
            for id in self.deliveries.ids(|_, d| matches!(d.stage, Stage::Waiting)) {
                self.conclude_released(now, id, LAST_CALLS);
            }
        }
        if cancels || !receiving {
            self.let_go(now);
        }
        if self.draining.as_ref().is_some_and(|drain| drain.over) {
            self.conclude_all_unmarked(now);
            self.no_more_copies();
        }
    }

    /// Returns true if an own receive would immediately fetch a message that becomes visible now, which would only cost one
    /// receive of its count.
    pub(super) fn holds_back(&self, now: Instant) -> bool {
        self.draining.as_ref().is_some_and(|drain| now < drain.cancel_at && self.receiving())
    }

    /// Returns true if a message that has not started is released now: during a drain, unless it waits for a neighbour that may
    /// still stop.
    pub(super) fn is_released_at_once(&self, id: DeliveryId) -> bool {
        self.draining.as_ref().is_some_and(|drain| drain.emptied || !self.is_behind_a_run(id))
    }

    /// Returns true if the head of its lane runs.
    pub(super) fn is_behind_a_run(&self, id: DeliveryId) -> bool {
        let head = self.deliveries.get(id).and_then(|d| self.lanes.get(&d.lane)?.first());
        let head = head.filter(|head| **head != id).and_then(|head| self.deliveries.get(*head));
        head.is_some_and(|d| matches!(d.stage, Stage::Running(_)))
    }

    fn let_go(&mut self, now: Instant) {
        let held =
            |stage: &Stage| matches!(stage, Stage::Settling(settling) if settling.step == Step::Deferred);
        for id in self.deliveries.ids(|_, d| held(&d.stage)) {
            self.queue_settlement(now, id);
        }
    }

    pub(super) fn count_drained(&mut self, outcome: &Outcome, ran: bool) {
        let Some(drain) = &mut self.draining else { return };
        match outcome {
            Outcome::Requeue => drain.counts.released += 1,
            Outcome::Ack | Outcome::RetryAfter(_) | Outcome::DeadLetter(_) => {
                drain.counts.drained += usize::from(ran);
            }
            Outcome::LeaseLost => {}
        }
    }

    fn receiving(&self) -> bool {
        self.receives.as_ref().is_some_and(Receives::any_open)
    }
}
