//! Probes: one message runs although a pause keeps it in hand, because only a run shows that the target is healthy.

use std::time::Instant;

use super::state::Ledger;
use crate::core::delivery::Stage;
use crate::core::ids::DeliveryId;

impl Ledger {
    /// Has one message run although the queue is paused for an unhealthy target, as a probe of the target: one at a time, and
    /// the one with the fewest probes. If all messages in hand have been probes, a further message is received, also one at a
    /// time. A probe that ends in [`TargetUnhealthy`](crate::core::Ending::TargetUnhealthy) stays in hand, without an attempt.
    ///
    /// Has no effect if the queue is not paused for that reason, or if another reason also keeps messages in hand.
    pub fn probe(&mut self) {
        self.pauses.ask_for_probe();
    }

    /// Starts the due probe, once a message is ready for it.
    pub(super) fn start_probe(&mut self, now: Instant) {
        while self.pauses.wants_probe() && self.draining.is_none() {
            let waits = |probe| self.quarantine.waiting_runs().contains(&probe);
            if let Some(probe) = self.pauses.probe() {
                if waits(probe) {
                    self.start_quarantined_in(now, 1);
                }
                return self.pauses.probe_is_done();
            }
            if self.running >= self.run_slots() {
                return;
            }
            let ready = self.next_probe();
            // A held message comes before another one of its class, and is an equal probe.
            if self.start_held_probe(now, ready.map(|(probes, _)| probes)) {
                return;
            }
            let Some((probes, position)) = ready else {
                self.start_quarantined_in(now, 1);
                if self.quarantine.is_running() {
                    return self.pauses.probe_is_done();
                }
                return self.pauses.ask_for_fresh();
            };
            if probes > 0 {
                self.pauses.ask_for_fresh();
            }
            let Some(id) = self.ready.remove(position) else { return };
            if self.begin(now, id) {
                self.is_the_probe(id);
            }
        }
    }

    /// Records that a started delivery is the probe.
    pub(super) fn is_the_probe(&mut self, id: DeliveryId) {
        self.pauses.probe_runs(id);
        if let Some(delivery) = self.deliveries.get_mut(id) {
            delivery.probes = delivery.probes.saturating_add(1);
        }
    }

    /// The number of probes of the delivery with the fewest, and its position among the ready ones.
    fn next_probe(&self) -> Option<(u32, usize)> {
        let may_start = |id: &DeliveryId| {
            let delivery = self.deliveries.get(*id)?;
            let waits = matches!(delivery.stage, Stage::Waiting) && delivery.releasing.is_none();
            waits.then_some(delivery.probes)
        };
        let ready = self.ready.iter().enumerate();
        ready.filter_map(|(position, id)| Some((may_start(id)?, position))).min()
    }
}
