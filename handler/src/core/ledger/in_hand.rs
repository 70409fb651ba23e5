//! The messages in hand, by what they wait for.

use super::state::Ledger;

/// The messages in hand of one queue, by what they wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InHandCounts {
    /// The runs that have not ended, without those that wait for their turn alone.
    pub running: usize,
    /// The slots for runs: the concurrency, or the share of the slots that queues share.
    pub slots: usize,
    /// The messages that start once there is a slot, and no pause keeps them.
    pub for_slot: usize,
    /// The messages that wait for a lock.
    pub for_lock: usize,
    /// The messages that wait for a limit of their type.
    pub for_limit: usize,
    /// The messages that may have killed a process, and wait for their turn alone.
    pub alone: usize,
    /// The messages that wait for others of their message group.
    pub for_group: usize,
    /// The messages whose outcome is known, and which SQS has not confirmed.
    pub settling: usize,
}

impl InHandCounts {
    /// Returns the number of all messages in hand.
    pub fn all(&self) -> usize {
        let Self { running, slots: _, for_slot, for_lock, for_limit, alone, for_group, settling } = self;
        running + for_slot + for_lock + for_limit + alone + for_group + settling
    }
}

impl Ledger {
    /// Returns the messages in hand, by what they wait for.
    pub fn in_hand_counts(&self) -> InHandCounts {
        let (for_lock, for_limit) = (self.lock_waits.parked(), self.held.count());
        let others = self.waiting.saturating_sub(self.quarantine.waiting_without_run());
        // A message that has left may still be in the list. Without groups, one whose claim is being released starts as well.
        let for_slot = if self.policy.fifo { self.ready.len().min(others) } else { others };
        let settling =
            self.deliveries.len().saturating_sub(self.running + self.waiting + for_lock + for_limit);
        InHandCounts {
            // A run that waits for its turn alone has a slot, and its handler has not started.
            running: self.running.saturating_sub(self.quarantine.waiting_with_run()),
            slots: self.run_slots(),
            for_slot,
            for_lock,
            for_limit,
            alone: self.quarantine.waiting(),
            for_group: others - for_slot,
            settling,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::num::NonZeroUsize;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::core::ending::Ending;
    use crate::core::ids::DeliveryId;
    use crate::core::ledger::Effect;
    use crate::core::policy::Policy;
    use crate::core::retry::Jitter;
    use crate::core::run_report::RunReport;
    use crate::message::sqs_message::Message;

    #[allow(clippy::disallowed_methods, reason = "a test's own clock")]
    fn now() -> Instant {
        Instant::now()
    }

    fn ledger(fifo: bool, concurrency: usize) -> Ledger {
        let policy = Policy { fifo, polling: None, ..Policy::new(Duration::from_secs(30)) };
        let concurrency = NonZeroUsize::new(concurrency).unwrap();
        Ledger::new(Policy { concurrency, ..policy }).unwrap()
    }

    fn message(id: &str, group: Option<&str>, receive_count: u32) -> Message {
        let group = group.map(str::to_owned);
        Message { id: id.into(), receipt: "r".into(), group, receive_count, ..Message::default() }
    }

    /// Returns the deliveries that started in a turn.
    fn started(ledger: &mut Ledger, at: Instant) -> Vec<DeliveryId> {
        ledger.tick(at);
        let effects = std::iter::from_fn(|| ledger.next_effect());
        let starts = effects.filter_map(|effect| match effect {
            Effect::Start(start) => Some(start.delivery),
            _ => None,
        });
        starts.collect()
    }

    #[test]
    fn messages_are_counted_by_what_they_wait_for() {
        let begun = now();
        let mut ledger = ledger(false, 2);
        assert_eq!(ledger.in_hand_counts(), InHandCounts { slots: 2, ..InHandCounts::default() });
        ledger.deliver(begun, ["a", "b", "c", "d"].map(|id| message(id, None, 1)).into());
        let starts = started(&mut ledger, begun);
        let counts = InHandCounts { running: 2, slots: 2, for_slot: 2, ..InHandCounts::default() };
        assert_eq!(ledger.in_hand_counts(), counts);
        let lock = Some("account:42".into());
        let busy = Ending::Busy { remaining: Duration::ZERO, reason: String::new() };
        let report = RunReport { lock, ..RunReport::new(busy, None) };
        ledger.ended(begun, starts[0], report, Jitter::new(0));
        ledger.ended(begun, starts[1], RunReport::new(Ending::Done, None), Jitter::new(0));
        let counts = ledger.in_hand_counts();
        assert_eq!((counts.for_lock, counts.settling, counts.for_slot, counts.running), (1, 1, 2, 0));
        assert_eq!(counts.all(), ledger.in_hand());
        started(&mut ledger, begun);
        assert_eq!(ledger.in_hand_counts().running, 2);
    }

    #[test]
    fn the_rest_of_a_message_group_waits_for_its_first_message() {
        let begun = now();
        let mut ledger = ledger(true, 4);
        ledger.deliver(begun, ["a", "b", "c"].map(|id| message(id, Some("g"), 1)).into());
        started(&mut ledger, begun);
        let counts = InHandCounts { running: 1, slots: 4, for_group: 2, ..InHandCounts::default() };
        assert_eq!(ledger.in_hand_counts(), counts);
    }

    #[test]
    fn a_message_that_may_have_killed_a_process_waits_to_run_alone() {
        let begun = now();
        // Only in a ledger that receives: messages that are handed in never wait for that.
        let concurrency = NonZeroUsize::new(8).unwrap();
        let mut ledger = Ledger::new(Policy { concurrency, ..Policy::new(Duration::from_secs(30)) }).unwrap();
        ledger.deliver(begun, vec![message("a", None, 1), message("killer", None, 6)]);
        assert_eq!(started(&mut ledger, begun).len(), 1);
        let counts = InHandCounts { running: 1, slots: 8, alone: 1, ..InHandCounts::default() };
        assert_eq!(ledger.in_hand_counts(), counts);
    }
}
