//! The turn of a ledger: it takes inputs, lets time pass, and returns the next effects.

use std::time::{Duration, Instant};

use super::drain_plan::Drain;
use super::effect::Effect;
use super::state::Ledger;
use crate::core::delivery::Delivery;
use crate::core::ledger_event::LedgerEvent;
use crate::core::policy::SHORTEST_LEASE;
use crate::core::receive_backoff::ReceiveFailure;
use crate::core::receives::{ReceiveId, Receives};
use crate::core::retry::{Jitter, MAX_VISIBILITY};
use crate::message::sqs_message::Message;

/// The number of deliveries up to which debug builds check all of their times at each turn.
const CHECKED_DELIVERIES: usize = 100;

impl Ledger {
    /// A receive was answered at `at`, with these messages.
    pub fn received(&mut self, at: Instant, receive: ReceiveId, messages: Vec<Message>) {
        let paced =
            self.receives.as_mut().is_some_and(|receives| receives.landed(at, receive, messages.len()));
        if paced {
            self.emit(LedgerEvent::EmptyAtOnce);
        }
        if messages.iter().any(|message| self.is_on_its_last_receives(message))
            && let Some(receives) = &mut self.receives
        {
            receives.brought_last_receives(at);
        }
        self.limited_receives.brought(at, messages.len());
        let oldest_sent_at = messages.iter().filter_map(|message| message.sent_at).min();
        self.emit(LedgerEvent::Received { count: messages.len(), oldest_sent_at });
        self.deliver(at, messages);
    }

    /// Messages without a receive, for example those of a Lambda event, arrived at `at`.
    pub fn deliver(&mut self, at: Instant, messages: Vec<Message>) {
        for message in messages {
            self.accept(at, message);
        }
    }

    /// Opens no receive for `wait`, as SQS has requested; at most for 30 seconds.
    pub fn hold_receives(&mut self, now: Instant, wait: Duration) {
        if let Some(receives) = &mut self.receives {
            receives.hold(now, wait);
        }
    }

    /// A receive failed for this kind of reason; the error describes it.
    pub fn receive_failed(
        &mut self,
        now: Instant,
        receive: ReceiveId,
        failure: ReceiveFailure,
        error: String,
        jitter: Jitter,
    ) {
        let Some(receives) = &mut self.receives else { return };
        if let Some(retry_in) = receives.failed(now, receive, failure, jitter) {
            self.emit(LedgerEvent::ReceiveFailed { error, retry_in });
        }
    }

    /// Lets time pass: all that is due becomes an effect. Must be called after every input, and at the timeout.
    pub fn tick(&mut self, now: Instant) {
        self.check_due(now);
        self.tick_drain(now);
        self.tick_pauses(now);
        self.empty_paused(now);
        self.quarantine.tick(now);
        self.ask_for_slots(now);
        self.start_ready(now);
        // A message that has waited here for twelve hours starts with no time left.
        self.check_due(now);
        // A message that left without a run may have been the next to request a lock.
        self.start_ready(now);
        self.release_overdue(now);
        self.flush(now);
        self.ask_for_messages(now);
        self.report_waits(now);
        self.settle_slots(now);
        debug_assert!(self.checks_every_time(), "a time of a delivery is not in the next check");
    }

    /// Returns true if the next check is no later than any time of a delivery. Of many deliveries the answer would take long.
    fn checks_every_time(&self) -> bool {
        let is_in_time = |at: Instant| self.next_check.is_some_and(|check| check <= at);
        let mut times = self.deliveries.values().filter_map(Delivery::next_check);
        self.deliveries.len() > CHECKED_DELIVERIES || times.all(is_in_time)
    }

    /// Returns the next effect for the host.
    pub fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Returns the latest time of the next call to [`tick`](Self::tick); `None` if nothing will happen by itself.
    pub fn timeout(&self) -> Option<Instant> {
        if self.drained().is_some() {
            return None;
        }
        let receives = self.receives.as_ref().and_then(Receives::timeout);
        let drain = self.draining.as_ref().and_then(Drain::timeout);
        let batches = [self.deletes.timeout(), self.visibilities.timeout()];
        let pauses = self.pauses.timeout();
        let limits = [self.held_timeout(), self.limited_receives.timeout(), self.emptied_at()];
        let limits = limits.into_iter().chain([self.overdue_timeout()]);
        let own = [self.next_check, self.quarantine.timeout(), receives, drain, pauses];
        let times = batches.into_iter().chain(own).chain(limits);
        times.flatten().min()
    }

    /// Returns the number of further messages that could start: the free slots.
    pub fn demand(&self) -> usize {
        self.room().min(self.slots_for_messages())
    }

    /// The number of messages that could start besides those in hand, if there are slots.
    pub(super) fn room(&self) -> usize {
        self.room_beside(0)
    }

    /// The same with this number of places besides the slots.
    pub(super) fn room_beside(&self, ahead: usize) -> usize {
        if self.draining.is_some() || self.quarantine.is_active() {
            return 0;
        }
        let most = if self.pauses.any() { usize::from(self.pauses.needs_fresh()) } else { usize::MAX };
        let slots = self.policy.concurrency.get();
        if self.held.on_last_receive() >= slots {
            return 0;
        }
        // Settlements have separate room, so that polling overlaps with them. When it is full, SQS is slow to confirm, and
        // further messages would only lose their leases here.
        let behind_held = self.behind_held();
        let slots = slots + ahead;
        let for_work = (slots + behind_held).saturating_sub(self.waiting + self.running);
        // Messages that wait for a lock or a limit have a separate bound, and keep no other message away.
        let parked = self.lock_waits.parked() + self.held.count() + behind_held;
        let in_all = (2 * slots + parked).saturating_sub(self.deliveries.len());
        for_work.min(in_all).min(most)
    }

    /// Sets the time of a coming drain, if it is known: handlers get it as their deadline.
    pub fn set_deadline(&mut self, at: Instant) {
        self.drain_expected_at = Some(at);
    }

    /// Sets the length of leases, if it was not known when the messages were handed in: their leases run from then on, and are
    /// renewed if they are too short. Kept within 1 s and 12 h.
    pub fn set_lease(&mut self, lease: Duration) {
        let lease = Duration::from_secs(lease.as_secs()).clamp(SHORTEST_LEASE, MAX_VISIBILITY);
        self.policy.lease = lease;
        for delivery in self.deliveries.values_mut() {
            delivery.set_lease(lease);
        }
        self.find_next_check();
    }

    /// Ends pauses of receives, and abandons hanging ones.
    pub(super) fn tick_receives(&mut self, now: Instant) {
        let overdue = self.receives.as_mut().map_or(0, |receives| receives.tick(now));
        for _ in 0..overdue {
            self.emit(LedgerEvent::ReceiveOverdue);
        }
    }

    fn ask_for_messages(&mut self, now: Instant) {
        let ahead = self.look_ahead();
        let room = if self.is_judging() { 0 } else { self.room_beside(ahead) };
        let demand = room.min(self.slots_for_messages());
        let demand = self.demand_under_limits(now, demand);
        let are_few = self.limited_receives.are_few();
        self.tick_receives(now);
        let Some(receives) = &mut self.receives else { return };
        // Small requests were already gathered.
        let places = if are_few { 1 } else { self.policy.concurrency.get() + ahead };
        while let Some(receive) = receives.next(now, demand, places) {
            self.effects.push_back(Effect::Receive(receive));
        }
    }
}
