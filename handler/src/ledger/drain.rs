//! The end: nothing new, what runs may finish, the rest goes back.

use std::time::{Duration, Instant};

use super::{Ledger, STOP_TIME};
use crate::control::CancelReason;
use crate::delivery::{DeliveryId, Stage, Step};
use crate::outcome::Outcome;
use crate::receives::Receives;

/// What aborted runs and last calls get, after which the process ends whatever is left.
const LAST_CALLS: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Drain {
    cancel_at: Instant,
    end_at: Instant,
    cancelled: bool,
    over: bool,
    counts: DrainSummary,
}

/// How a drain went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DrainSummary {
    /// Runs that ended by themselves during the drain.
    pub drained: usize,
    /// Deliveries given back.
    pub released: usize,
    /// Deliveries left behind, still running or without SQS's confirmation. Their leases run out by themselves.
    pub abandoned: usize,
}

impl Drain {
    pub(super) fn timeout(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        Some(if self.cancelled { self.end_at } else { self.cancel_at })
    }
}

impl Ledger {
    /// Begins the end: no further receive is opened, what has not started is given back, what runs has `grace` to
    /// finish and is then cancelled. Three seconds after the grace everything is over. A second call changes nothing.
    pub fn drain(&mut self, now: Instant, grace: Duration) {
        if self.draining.is_some() {
            return;
        }
        if let Some(receives) = &mut self.receives {
            receives.stop();
        }
        let cancel_at = now + grace;
        let end_at = cancel_at + STOP_TIME + LAST_CALLS;
        self.draining =
            Some(Drain { cancel_at, end_at, cancelled: false, over: false, counts: DrainSummary::default() });
        let waiting = self.deliveries.iter().filter(|(_, d)| matches!(d.stage, Stage::Waiting));
        for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.give_back(now, id);
        }
    }

    /// How it went, once everything is over: nothing in hand, no answer outstanding, or no time left.
    pub fn drained(&self) -> Option<DrainSummary> {
        let drain = self.draining.as_ref()?;
        let nothing_left = self.deliveries.is_empty() && self.calls.is_empty() && !self.receiving();
        (nothing_left || drain.over)
            .then_some(DrainSummary { abandoned: self.deliveries.len(), ..drain.counts })
    }

    pub(super) fn tick_drain(&mut self, now: Instant) {
        let receiving = self.receiving();
        let Some(drain) = &mut self.draining else { return };
        let cancels = !drain.cancelled && drain.cancel_at <= now;
        drain.cancelled |= cancels;
        drain.over |= drain.end_at <= now;
        if cancels {
            let running = self.deliveries.iter().filter(|(_, d)| matches!(d.stage, Stage::Running(_)));
            for id in running.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.cancel(now, id, CancelReason::Shutdown);
            }
        }
        if cancels || !receiving {
            self.let_go(now);
        }
    }

    /// Whether a message that becomes visible now would be fetched right back by a receive of our own, to no avail but
    /// one more receive on its count. Not so where its message group is held by a running neighbour.
    pub(super) fn holds_back(&self, now: Instant, id: DeliveryId) -> bool {
        let Some(drain) = &self.draining else { return false };
        let head = self.deliveries.get(&id).and_then(|d| self.lanes.get(&d.lane)?.front());
        let head_runs =
            head.and_then(|id| self.deliveries.get(id)).is_some_and(|d| matches!(d.stage, Stage::Running(_)));
        now < drain.cancel_at && self.receiving() && !head_runs
    }

    fn let_go(&mut self, now: Instant) {
        let held = |stage: &Stage| matches!(stage, Stage::Settling(settling) if settling.step == Step::Held);
        let ids: Vec<DeliveryId> =
            self.deliveries.iter().filter(|(_, d)| held(&d.stage)).map(|(id, _)| *id).collect();
        for id in ids {
            self.queue_settlement(now, id);
        }
    }

    pub(super) fn count_drained(&mut self, outcome: &Outcome, ran: bool) {
        let Some(drain) = &mut self.draining else { return };
        match outcome {
            Outcome::Release => drain.counts.released += 1,
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
