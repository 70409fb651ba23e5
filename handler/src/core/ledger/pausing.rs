//! Pauses: while a reason holds, no receive is opened; messages in hand are kept, and released at most once.

use std::time::{Duration, Instant};

use super::state::Ledger;
use crate::core::delivery::Stage;
use crate::core::ids::DeliveryId;
use crate::core::ledger_event::LedgerEvent;
use crate::core::pause::{Pause, PauseReason};

impl Ledger {
    /// Opens no further receive until [`resume`](Self::resume) ends every reason. Runs continue. Messages that have not started
    /// still start, unless the reason [keeps them in hand](PauseReason::keeps_in_hand): their leases are renewed for that time,
    /// and then each is released to the queue, once in an episode. A second pause with the same reason changes nothing.
    pub fn pause(&mut self, now: Instant, pause: Pause) {
        if self.pauses.begin(now, pause) {
            self.emit(LedgerEvent::Paused(pause));
        }
    }

    /// Ends the pause of this reason.
    pub fn resume(&mut self, now: Instant, reason: PauseReason) {
        let kept = self.pauses.keeps_in_hand();
        if let Some((pause, lasted)) = self.pauses.end(now, reason) {
            if kept && !self.pauses.keeps_in_hand() {
                self.lookahead.pause_ended(now);
            }
            self.emit(LedgerEvent::Resumed { pause, lasted });
        }
    }

    /// The reasons for which no messages are received now, in order.
    pub fn pause_reasons(&self) -> impl Iterator<Item = PauseReason> + Clone + '_ {
        self.pauses.reasons()
    }

    /// Releases the messages that were kept for the full time.
    pub(super) fn tick_pauses(&mut self, now: Instant) {
        if !self.pauses.tick(now) || self.draining.is_some() {
            return;
        }
        for id in self.deliveries.ids(|_, d| matches!(d.stage, Stage::Waiting)) {
            // It was released with its lane, or waits for a running neighbour that it must not overtake.
            if !self.waits(id) || self.is_behind_a_run(id) {
                continue;
            }
            self.release_lane(now, id);
        }
    }

    /// Releases a message and all that wait behind it, in order, unless one of them was released before: an open receive
    /// returned it, and it is kept from then on. A message on its last receive, which would be in the DLQ, is kept too.
    fn release_lane(&mut self, now: Instant, head: DeliveryId) {
        let Some(lane) = self.deliveries.get(head).and_then(|head| self.lanes.get(&head.lane)) else {
            return;
        };
        let ids: Vec<DeliveryId> = lane.iter().copied().filter(|id| self.waits(*id)).collect();
        let messages = ids.iter().filter_map(|id| Some(&self.deliveries.get(*id)?.message.id)).cloned();
        let messages: Vec<_> = messages.collect();
        if messages.iter().any(|id| self.pauses.has_released(id)) || ids.iter().any(|id| self.would_die(*id))
        {
            return;
        }
        for message in &messages {
            self.pauses.releases(message);
        }
        for id in ids {
            self.conclude_released(now, id, Duration::ZERO);
        }
    }

    /// Returns true if the message would be in the DLQ after its release.
    pub(super) fn would_die(&self, id: DeliveryId) -> bool {
        let receives = self.deliveries.get(id).map_or(0, |delivery| delivery.receives);
        self.policy.receives.at_most().is_some_and(|max| receives >= max.get())
    }

    pub(super) fn waits(&self, id: DeliveryId) -> bool {
        self.deliveries.get(id).is_some_and(|delivery| matches!(delivery.stage, Stage::Waiting))
    }
}
