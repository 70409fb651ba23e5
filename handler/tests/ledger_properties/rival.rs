//! Another queue of the process, which shares its slots.

use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

use drumline::core::{
    Call, DeliveryId, Effect, Ending, Jitter, Ledger, Policy, Receive, ReceiveFailure, RunReport, SlotPool,
    SlotRules,
};
use drumline::message::Message;

pub(crate) struct Rival {
    ledger: Ledger,
    open: VecDeque<Receive>,
    runs: VecDeque<DeliveryId>,
    calls: VecDeque<Call>,
    sent: usize,
}

impl Rival {
    pub(crate) fn new(now: Instant, pool: &SlotPool, concurrency: NonZeroUsize) -> Self {
        let policy = Policy { concurrency, ..Policy::new(Duration::from_secs(43_200)) };
        let mut ledger = Ledger::new(policy).unwrap();
        let weight = NonZeroU32::new(2).unwrap();
        ledger.join_pool(pool.join("rival", SlotRules { weight, ..SlotRules::default() }));
        let (open, runs, calls) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        let mut rival = Self { ledger, open, runs, calls, sent: 0 };
        rival.tick(now);
        rival
    }

    /// Applies an event to it.
    pub(crate) fn acts(&mut self, now: Instant, pick: usize, how: u8) {
        match how % 8 {
            0..4 => {
                let Some(receive) = self.open.pop_front() else { return };
                let messages = if how.is_multiple_of(4) { 0 } else { 1 + pick % receive.max };
                let messages = (0..messages).map(|_| self.message()).collect();
                self.ledger.received(now, receive.id, messages);
            }
            4 => {
                let Some(receive) = self.open.pop_front() else { return };
                let error = "no route".to_owned();
                self.ledger.receive_failed(
                    now,
                    receive.id,
                    ReceiveFailure::Unreachable,
                    error,
                    Jitter::new(0),
                );
            }
            _ => {
                let Some(run) = self.runs.pop_front() else { return };
                self.ledger.ended(now, run, RunReport::new(Ending::Done, None), Jitter::new(0));
            }
        }
        self.tick(now);
    }

    /// Uses the slots that the other queues have left.
    pub(crate) fn follows(&mut self, now: Instant) {
        if self.ledger.has_new_slots() || self.ledger.timeout().is_some_and(|at| at <= now) {
            self.tick(now);
        }
    }

    fn message(&mut self) -> Message {
        self.sent += 1;
        let id = format!("rival-{}", self.sent);
        Message { receipt: id.clone(), id: id.into(), receive_count: 1, ..Message::default() }
    }

    fn tick(&mut self, now: Instant) {
        self.ledger.tick(now);
        while let Some(effect) = self.ledger.next_effect() {
            match effect {
                Effect::Start(start) => self.runs.push_back(start.delivery),
                Effect::Receive(receive) => self.open.push_back(receive),
                Effect::Call(call) => self.calls.push_back(call),
                _ => {}
            }
            while let Some(call) = self.calls.pop_front() {
                let replies = vec![Ok(()); call.action.deliveries().len()];
                self.ledger.called(now, call.id, replies, Jitter::new(0));
                self.ledger.tick(now);
            }
        }
    }
}
