//! Jobs that kill the process, among healthy ones: which of them end in the DLQ.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use drumline::core::{Claims, CrashEvidence, Ending, Policy, ReceiveLimit};
use proptest::prelude::*;

use crate::host::{Host, Run, WAIT_TIME, some_instant};
use crate::sqs::Place;

/// More processes than any queue here needs.
const PROCESSES: usize = 400;

/// A queue with a few jobs that kill the process as soon as every slot is taken, which is the worst moment.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    healthy: usize,
    killers: Vec<usize>,
    concurrency: usize,
    max_receives: u32,
}

pub(crate) fn scene() -> impl Strategy<Value = Scene> {
    (20..100_usize, prop::collection::vec(any::<prop::sample::Index>(), 1..3), 1..40_usize, 4..12_u32)
        .prop_map(|(healthy, killers, concurrency, max_receives)| {
            let all = healthy + killers.len();
            let killers = killers.iter().map(|index| index.index(all)).collect();
            Scene { healthy, killers, concurrency, max_receives }
        })
}

impl Scene {
    fn policy(&self, crash_evidence: CrashEvidence) -> Policy {
        let mut policy = Policy::new(Duration::from_secs(30));
        policy.concurrency = NonZeroUsize::new(self.concurrency).unwrap();
        policy.claims = match crash_evidence {
            CrashEvidence::Receives => Claims::Off,
            CrashEvidence::Store => Claims::Required,
        };
        policy.crash_evidence = crash_evidence;
        policy.receives = ReceiveLimit::AtMost(NonZeroU32::new(self.max_receives).unwrap());
        policy
    }

    /// Runs the queue until it is empty, and returns the number of healthy messages in the DLQ. All killers are in it.
    pub(crate) fn healthy_dead(&self, crash_evidence: CrashEvidence) -> usize {
        let policy = self.policy(crash_evidence);
        let mut host = Host::with(some_instant(), policy.clone(), self.max_receives);
        for _ in 0..self.healthy + self.killers.len() {
            host.sqs.send(host.now, 0, 0);
        }
        for _ in 0..PROCESSES {
            if !host.runs_until_killed(&self.killers) {
                let dead = |index: &usize| host.sqs.messages[*index].place == Place::DeadLetterQueue;
                let all = 0..host.sqs.messages.len();
                assert!(self.killers.iter().all(dead), "each killer ends in the DLQ");
                return all.filter(dead).filter(|index| !self.killers.contains(index)).count();
            }
            host.restart(&policy);
        }
        panic!("messages are still in the queue after {PROCESSES} processes");
    }
}

impl Host {
    /// Every call succeeds until a killer starts and everything has arrived that can. Returns false if the queue is empty
    /// instead.
    fn runs_until_killed(&mut self, killers: &[usize]) -> bool {
        loop {
            while self.brings_messages() {}
            let kills = |run: &Run| run.has_begun() && killers.contains(&run.message);
            if self.runs.iter().any(kills) {
                return true;
            }
            if let Some(pick) = self.runs.iter().position(Run::has_begun) {
                self.end(pick, Ending::Done, None);
                self.settles();
                continue;
            }
            if self.sqs.messages.iter().all(|message| message.place != Place::Queue) {
                return false;
            }
            self.wait(Duration::from_secs(1));
            // A receive from an empty queue ends when the wait time is over.
            while let Some(pick) = self.open.iter().position(|(_, since)| *since + WAIT_TIME <= self.now) {
                self.land(pick, false);
            }
        }
    }

    /// The open receives return all available messages, and the store answers. Returns true if there were any.
    fn brings_messages(&mut self) -> bool {
        let lands = !self.open.is_empty() && self.sqs.has_message(self.now);
        if lands {
            self.land(0, false);
        }
        let asks = !self.asked.is_empty();
        self.settles();
        lands || asks
    }

    fn settles(&mut self) {
        while !self.asked.is_empty() {
            self.answer_claim(0, 0);
        }
        while !self.in_flight.is_empty() {
            self.answer(0, 0, usize::MAX);
        }
    }
}
