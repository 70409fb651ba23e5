//! The ledger's share of the slots of its process, if its queues have weights: requested before anything starts or is received.

use std::time::{Duration, Instant};

use event_listener::EventListener;

use super::pool_share::PoolShare;
use super::state::Ledger;
use crate::core::ending::Ending;
use crate::core::limits::Limits;
use crate::core::receives::Receives;
use crate::core::slots::{EndedJobs, SlotMember, SlotUse};
use crate::message::sqs_message::Message;

impl Ledger {
    /// Shares the slots of its process with other queues. Its own concurrency is the maximum that it takes of them.
    pub fn join_pool(&mut self, member: SlotMember) {
        if let Some(receives) = &mut self.receives {
            receives.share_slots(self.policy.concurrency.get());
        }
        let pool = PoolShare {
            member,
            granted: 0,
            gathered: 0,
            holds_for_slot: false,
            is_late: false,
            ended: EndedJobs::default(),
        };
        self.pool = Some(pool);
    }

    /// Waits for more slots; `None` if the slots are not shared. [`tick`](Self::tick) uses them.
    pub fn slots_changed(&self) -> Option<EventListener> {
        self.pool.as_ref().map(|pool| pool.member.changed())
    }

    /// Returns true if there are more slots since the last [`tick`](Self::tick).
    pub fn has_new_slots(&self) -> bool {
        self.pool.as_ref().is_some_and(|pool| pool.member.granted() > pool.granted)
    }

    /// Learns from a receive's messages, before they are [`received`](Self::received), if the queue is late by its
    /// [`max_age`](crate::core::SlotRules::max_age): it is if a message that was never received before is. `now` is the time
    /// since the Unix epoch, as in [`Message::sent_at`].
    pub fn note_age(&mut self, now: Duration, messages: &[Message]) {
        let Some(pool) = &mut self.pool else { return };
        let Some(max_age) = pool.member.rules().max_age else { return };
        let fresh = messages.iter().filter(|message| message.receive_count <= 1);
        let oldest = fresh.filter_map(|message| message.sent_at).min();
        pool.is_late = oldest.is_some_and(|sent_at| now.saturating_sub(sent_at) > max_age);
    }

    /// The maximum number of runs at once.
    pub(super) fn run_slots(&self) -> usize {
        let most = self.policy.concurrency.get();
        let Some(pool) = &self.pool else { return most };
        most.min(pool.granted.saturating_sub(self.reserved_slots()))
    }

    /// The number of slots for received messages, including those of open receives.
    pub(super) fn slots_for_messages(&self) -> usize {
        let Some(pool) = &self.pool else { return usize::MAX };
        pool.granted.saturating_sub(self.running + self.ready.len())
    }

    /// Returns true if a held message can start once its limit allows it.
    pub(super) fn may_start_held(&self) -> bool {
        let lacks_slot = self.pool.as_ref().is_some_and(|pool| pool.holds_for_slot);
        self.running < self.policy.concurrency.get() && !lacks_slot
    }

    pub(super) fn learn_job_time(&mut self, took: Duration, ending: &Ending) {
        if let Some(pool) = &mut self.pool
            && ending.ran()
        {
            pool.ended.add(took);
        }
    }

    /// Requests the slots that can be used now.
    pub(super) fn ask_for_slots(&mut self, now: Instant) {
        if self.pool.is_none() {
            return;
        }
        // The slots of hanging receives are free from now on.
        self.tick_receives(now);
        let to_start = self.slots_to_start(usize::from(self.is_held_due(now)));
        let usage = self.slot_use(now, to_start);
        let Some(pool) = &mut self.pool else { return };
        let new = pool.member.granted().saturating_sub(pool.granted);
        let keeps = (usage.taken + to_start + pool.gathered + new).min(usage.wants);
        let usage = SlotUse { keeps, ..usage };
        let (granted, share) = pool.member.ask(now, usage);
        pool.granted = granted;
        if let Some(receives) = &mut self.receives {
            receives.set_share(share);
        }
    }

    /// Returns the unused slots.
    pub(super) fn settle_slots(&mut self, now: Instant) {
        if self.pool.is_none() {
            return;
        }
        // With a slot, the held messages have requested their permits.
        let holds_for_slot = self.is_held_due(now)
            && self.running >= self.run_slots()
            && self.running < self.policy.concurrency.get();
        let usage = self.slot_use(now, self.slots_to_start(usize::from(holds_for_slot)));
        let usage = SlotUse { keeps: usage.wants, ..usage };
        let Some(pool) = &mut self.pool else { return };
        pool.holds_for_slot = holds_for_slot;
        pool.granted = pool.granted.min(usage.wants).max(usage.taken);
        pool.gathered = pool.granted - usage.taken;
        pool.member.settle(now, usage);
    }

    /// Returns true if a held message may now request its permit, for which it needs a slot.
    fn is_held_due(&self, now: Instant) -> bool {
        let changes = |limits: &Limits| self.held.is_any_due(now, limits.changes());
        self.draining.is_none() && self.limits.as_ref().is_some_and(changes)
    }

    /// The slots for the messages in hand that may start, and for this number of held messages.
    fn slots_to_start(&self, held: usize) -> usize {
        if self.pauses.keeps_in_hand() {
            usize::from(self.pauses.wants_probe() && self.pauses.probe().is_none())
        } else if self.quarantine.is_running() {
            0
        } else {
            self.ready.len() + held + self.quarantine.wanted_slots(self.others_run())
        }
    }

    fn slot_use(&mut self, now: Instant, to_start: usize) -> SlotUse {
        let reserved = self.reserved_slots();
        let room = if self.is_judging() { 0 } else { self.room() };
        let room = self.demand_under_limits(now, room);
        let to_receive = self.receives.as_ref().map_or(0, |receives| receives.wanted_slots(now));
        let to_receive = to_receive.min(room.saturating_sub(reserved));
        // During its pause its share belongs to the others.
        let has_backlog =
            !self.pauses.any() && self.receives.as_ref().is_some_and(|receives| receives.has_backlog(now));
        let Some(pool) = &mut self.pool else { return SlotUse::default() };
        let taken = self.running + reserved;
        SlotUse {
            running: self.running,
            taken,
            keeps: taken,
            wants: (taken + to_start + to_receive).min(self.policy.concurrency.get()).max(taken),
            has_backlog,
            is_hungry: has_backlog && room > reserved,
            is_late: pool.is_late,
            ended: std::mem::take(&mut pool.ended),
        }
    }

    pub(super) fn reserved_slots(&self) -> usize {
        self.receives.as_ref().map_or(0, Receives::reserved)
    }
}
