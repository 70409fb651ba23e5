//! The messages that are received before there are slots for them. See ADR 0045.

use std::time::{Duration, Instant};

use super::state::Ledger;
use crate::core::delivery::Delivery;
use crate::core::ids::DeliveryId;
use crate::core::receives::Receives;

impl Ledger {
    /// Returns the number of places besides the slots for messages that are received ahead.
    pub(super) fn look_ahead(&mut self) -> usize {
        let slots = self.policy.concurrency.get();
        let used = (self.waiting + self.running + self.reserved_slots()).saturating_sub(slots);
        if self.may_look_ahead() {
            let takes = self.receives.as_ref().and_then(Receives::takes);
            self.lookahead.update(slots, takes, used);
        } else {
            self.lookahead.close(used);
        }
        self.lookahead.places()
    }

    /// Returns true if the next message could start as soon as a job has ended. Not in a FIFO queue, where it waits for its
    /// group; nor while the slots are shared with another queue, messages wait for locks or limits, or receives are small on
    /// purpose.
    fn may_look_ahead(&self) -> bool {
        !self.policy.fifo
            && self.pool.is_none()
            && self.lock_waits.parked() == 0
            && self.parked_for_limits() == 0
            && !self.limited_receives.are_few()
            && !self.pauses.any()
            && self.receives.as_ref().is_some_and(|receives| !receives.is_slow())
    }

    /// Releases messages that were received ahead and have waited too long, because their slots are kept by jobs that have
    /// become slow. A message on its last receive stays, because it would be in the DLQ.
    pub(super) fn release_overdue(&mut self, now: Instant) {
        if self.pauses.keeps_in_hand() {
            return;
        }
        let deliveries = &self.deliveries;
        let waits = |id: DeliveryId| deliveries.get(id).is_some_and(Delivery::waits_for_slot);
        let overdue: Vec<_> = std::iter::from_fn(|| self.lookahead.next_overdue(now, waits)).collect();
        for id in overdue {
            if !self.would_die(id) {
                self.conclude_released(now, id, Duration::ZERO);
            }
        }
    }

    /// The time at which a message that was received ahead is released.
    pub(super) fn overdue_timeout(&self) -> Option<Instant> {
        if self.pauses.keeps_in_hand() { None } else { self.lookahead.timeout() }
    }
}
