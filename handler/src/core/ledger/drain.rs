//! The end: nothing new, what runs may finish, the rest goes back. What SQS has not confirmed is tried until the end, a delete
//! even past its lease.

use std::time::{Duration, Instant};

use super::drain_plan::{Drain, DrainSummary, LAST_CALLS, SETTLE_TIME};
use super::state::Ledger;
use crate::core::control::CancelReason;
use crate::core::delivery::{Delivery, Stage, Step};
use crate::core::ids::DeliveryId;
use crate::core::outcome::Outcome;
use crate::core::receives::Receives;

impl Ledger {
    /// Begins the end: no further receive is opened, what has not started is given back, what runs has `grace` to
    /// finish and is then cancelled. [`SETTLE_TIME`] after the grace everything is over. A second call changes nothing.
    pub fn drain(&mut self, now: Instant, grace: Duration) {
        self.drain_until(now, grace, now + grace + SETTLE_TIME);
    }

    /// As [`drain`](Self::drain), with an end of one's own: a Lambda function's time ends whatever is still in hand.
    pub fn drain_until(&mut self, now: Instant, grace: Duration, end_at: Instant) {
        if self.draining.is_some() {
            return;
        }
        if let Some(receives) = &mut self.receives {
            receives.stop();
        }
        self.draining = Some(Drain::new(now + grace, end_at));
        // What waits behind a running neighbour is kept until that has ended: nobody can have it before anyway, and a
        // queue that gave it to another process all the same would break the order of its group.
        let free = |id: &DeliveryId, d: &Delivery| {
            matches!(d.stage, Stage::Waiting) && self.is_released_at_once(*id)
        };
        let waiting = self.deliveries.iter().filter(|(id, d)| free(id, d));
        for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.conclude_released(now, id, Duration::ZERO);
        }
        self.release_quarantined(now);
        self.settle_what_failed(now);
    }

    /// Tries at once what waits for its next try: there is little time left for it.
    fn settle_what_failed(&mut self, now: Instant) {
        let failed = |stage: &Stage| matches!(stage, Stage::Settling(settling) if matches!(settling.step, Step::Backoff(_)));
        let ids = self.deliveries.iter().filter(|(_, d)| failed(&d.stage)).map(|(id, _)| *id);
        for id in ids.collect::<Vec<_>>() {
            self.queue_settlement(now, id);
        }
    }

    /// How it went, once everything is over: nothing in hand, no answer outstanding that something depends on, or no time left.
    /// Where messages are handed in, none of them being left is the end without any drain.
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
            let running = self.deliveries.iter().filter(|(_, d)| matches!(d.stage, Stage::Running(_)));
            for id in running.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.cancel(now, id, CancelReason::Shutdown);
            }
        }
        if empties {
            // Hidden until this process and the run that does not stop are gone.
            let waiting = self.deliveries.iter().filter(|(_, d)| matches!(d.stage, Stage::Waiting));
            for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
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

    /// Whether a message that becomes visible now would be fetched right back by a receive of our own, to no avail but
    /// one more receive on its count.
    pub(super) fn holds_back(&self, now: Instant) -> bool {
        self.draining.as_ref().is_some_and(|drain| now < drain.cancel_at && self.receiving())
    }

    /// Whether what has not started goes back now: during a drain, unless it waits for a neighbour that may yet stop.
    pub(super) fn is_released_at_once(&self, id: DeliveryId) -> bool {
        self.draining.as_ref().is_some_and(|drain| drain.emptied || !self.is_behind_a_run(id))
    }

    /// Whether the head of its lane runs.
    pub(super) fn is_behind_a_run(&self, id: DeliveryId) -> bool {
        let head = self.deliveries.get(&id).and_then(|d| self.lanes.get(&d.lane)?.first());
        let head = head.filter(|head| **head != id).and_then(|head| self.deliveries.get(head));
        head.is_some_and(|d| matches!(d.stage, Stage::Running(_)))
    }

    fn let_go(&mut self, now: Instant) {
        let held =
            |stage: &Stage| matches!(stage, Stage::Settling(settling) if settling.step == Step::Deferred);
        let ids: Vec<DeliveryId> =
            self.deliveries.iter().filter(|(_, d)| held(&d.stage)).map(|(id, _)| *id).collect();
        for id in ids {
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
