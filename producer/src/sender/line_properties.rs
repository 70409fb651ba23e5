//! The decisions of a [`Line`] with callers, responses and time in any order, compared with a model of SQS.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::Jitter;
use proptest::prelude::*;

use super::answer::{Answer, End, EntryAnswer, RequestFailure};
use super::line::{Batch, Line, Number, Step};
use crate::pack::{MAX_BATCH_BYTES, MAX_BATCH_ENTRIES};

/// The time for which SQS remembers a deduplication id.
const REMEMBERED: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
enum Event {
    Accept {
        group: u8,
        bytes: usize,
    },
    Wait(Duration),
    /// Responds to one of the batches in flight. Bits select the entries that SQS has accepted although the response is lost.
    Answer {
        batch: usize,
        answer: Reply,
        taken: u16,
    },
    Hurry,
}

#[derive(Debug, Clone)]
enum Reply {
    Entries(Vec<EntryAnswer>),
    Failed(RequestFailure),
}

/// The model's knowledge of a message.
struct Known {
    accepted_at: Instant,
    bytes: usize,
    group: u8,
    /// True if it has been in a batch, or waits for its next attempt.
    has_left: bool,
    end: Option<End>,
}

struct World {
    line: Line,
    is_fifo: bool,
    linger: Duration,
    max_in_flight: usize,
    begun: Instant,
    sends_again: bool,
    now: Instant,
    known: BTreeMap<Number, Known>,
    in_flight: Vec<(Instant, Batch)>,
    /// The messages in SQS in order, with the time from which it remembers each.
    queue: Vec<(Number, Instant)>,
    jitter: u32,
}

impl World {
    fn new(is_fifo: bool, sends_again: bool, linger: Duration, max_in_flight: usize) -> Self {
        let begun = Instant::now();
        Self {
            line: Line::new(is_fifo, sends_again, linger, max_in_flight),
            is_fifo,
            linger,
            max_in_flight,
            begun,
            sends_again,
            now: begun,
            known: BTreeMap::new(),
            in_flight: Vec::new(),
            queue: Vec::new(),
            jitter: 7,
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Accept { group, bytes } => {
                let number = self.known.len() as Number;
                let name: Arc<str> = format!("group-{group}").into();
                self.line.accept(self.now, number, bytes, Some(&name));
                let known = Known { accepted_at: self.now, bytes, group, has_left: false, end: None };
                self.known.insert(number, known);
            }
            Event::Wait(time) => self.wait_until(self.now + time),
            Event::Answer { batch, answer, taken } if !self.in_flight.is_empty() => {
                let (left_at, batch) = self.in_flight.swap_remove(batch % self.in_flight.len());
                self.answer(left_at, &batch, answer, taken);
            }
            Event::Answer { .. } => {}
            Event::Hurry => {
                self.line.hurry(self.now);
                // From here on they count as if they had waited long enough.
                let linger = self.linger;
                let past = self.now.checked_sub(linger).unwrap();
                self.known.values_mut().for_each(|known| known.accepted_at = known.accepted_at.min(past));
            }
        }
        self.steps();
    }

    /// Wakes only when the line requires it, like the task.
    fn wait_until(&mut self, until: Instant) {
        while let Some(at) = self.line.wake_at().filter(|at| *at <= until) {
            assert!(at >= self.now, "all that can leave has left");
            self.now = at;
            let (queued, ended) = (self.in_flight.len(), self.ended());
            self.steps();
            let woken_by_rest = self.line.wake_at() != Some(at);
            assert!(
                self.in_flight.len() > queued || self.ended() > ended || woken_by_rest,
                "it wakes for a reason"
            );
        }
        self.now = until;
        self.steps();
    }

    fn ended(&self) -> usize {
        self.known.values().filter(|known| known.end.is_some()).count()
    }

    fn steps(&mut self) {
        while let Some(step) = self.line.next_step(self.now) {
            match step {
                Step::Leave(batch) => self.leave(batch),
                Step::GiveUp(number) => self.end(number, End::InDoubt),
            }
        }
        self.check_waiting();
    }

    fn leave(&mut self, batch: Batch) {
        assert!((1..=MAX_BATCH_ENTRIES).contains(&batch.messages.len()));
        let bytes: usize = batch.messages.iter().map(|number| self.known[number].bytes).sum();
        assert!(bytes <= MAX_BATCH_BYTES, "{bytes}");
        for number in &batch.messages {
            let known = self.known.get_mut(number).unwrap();
            assert_eq!(known.end, None, "{number} has ended");
            known.has_left = true;
            let elsewhere = self.in_flight.iter().any(|(_, other)| other.messages.contains(number));
            assert!(!elsewhere, "{number} is in one batch at a time");
        }
        self.in_flight.push((self.now, batch));
        assert!(self.in_flight.len() <= self.max_in_flight);
        if self.is_fifo {
            let mut groups: Vec<u8> = self.flying().map(|number| self.known[&number].group).collect();
            groups.sort_unstable();
            let count = groups.len();
            groups.dedup();
            assert_eq!(groups.len(), count, "a group has one message in flight");
        }
    }

    fn flying(&self) -> impl Iterator<Item = Number> {
        self.in_flight.iter().flat_map(|(_, batch)| batch.messages.iter().copied())
    }

    /// Checks the linger: while a batch may leave, no message waits longer unless an earlier one of its group is in flight.
    fn check_waiting(&self) {
        if self.in_flight.len() == self.max_in_flight {
            return;
        }
        for (number, known) in self.known.iter().filter(|(_, known)| !known.has_left && known.end.is_none()) {
            let mut before = self.known.range(..number).map(|(_, known)| known);
            let is_behind =
                self.is_fifo && before.any(|earlier| earlier.end.is_none() && earlier.group == known.group);
            let waited = self.now - known.accepted_at;
            assert!(is_behind || waited < self.linger, "{number} has waited {waited:?}");
        }
    }

    fn answer(&mut self, left_at: Instant, batch: &Batch, reply: Reply, taken: u16) {
        let answer = match reply {
            Reply::Entries(mut entries) => {
                entries.truncate(batch.messages.len());
                for (place, (number, entry)) in batch.messages.iter().zip(&entries).enumerate() {
                    let may_be_taken = *entry == EntryAnswer::InDoubt && taken >> place & 1 == 1;
                    if *entry == EntryAnswer::Sent || may_be_taken {
                        self.take(*number, left_at);
                    }
                }
                Answer::Entries(entries)
            }
            Reply::Failed(failure) => {
                if matches!(failure, RequestFailure::InDoubt | RequestFailure::Broken) {
                    for (place, number) in batch.messages.iter().enumerate() {
                        if taken >> place & 1 == 1 {
                            self.take(*number, left_at);
                        }
                    }
                }
                Answer::Failed(failure)
            }
        };
        self.jitter = self.jitter.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        for (number, place, end) in self.line.answered(self.now, batch.id, &answer, Jitter::new(self.jitter))
        {
            assert_eq!(batch.messages[place], number);
            self.end(number, end);
        }
    }

    /// Lets SQS accept a message; a FIFO queue drops it if it remembers its id.
    fn take(&mut self, number: Number, at: Instant) {
        let is_known = |(taken, since): &(Number, Instant)| *taken == number && at < *since + REMEMBERED;
        if !(self.is_fifo && self.queue.iter().any(is_known)) {
            self.queue.push((number, at));
        }
    }

    fn end(&mut self, number: Number, end: End) {
        let copies = self.queue.iter().filter(|(taken, _)| *taken == number).count();
        match end {
            End::Sent => assert!(copies > 0, "{number} is confirmed and not there"),
            End::Refused | End::NotSent => assert_eq!(copies, 0, "{number} is there and said not to be"),
            End::InDoubt => {}
        }
        let known = self.known.get_mut(&number).unwrap();
        assert_eq!(known.end.replace(end), None, "{number} is answered once");
    }

    /// Responds to everything until nothing is left, then checks the whole.
    fn finish(mut self) {
        for _ in 0..100_000 {
            while let Some((left_at, batch)) = self.in_flight.pop() {
                let all = vec![EntryAnswer::Sent; batch.messages.len()];
                self.answer(left_at, &batch, Reply::Entries(all), 0);
                self.steps();
            }
            let Some(at) = self.line.wake_at() else { break };
            self.now = self.now.max(at);
            self.steps();
        }
        assert!(self.line.is_empty(), "nothing is held any more");
        assert!(self.known.values().all(|known| known.end.is_some()), "every message is answered");
        if !self.sends_again {
            let mut numbers: Vec<Number> = self.queue.iter().map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            assert!(numbers.is_sorted_by(|a, b| a < b), "each once at most: {numbers:?}");
        }
        if self.is_fifo {
            let mut last: HashMap<u8, Number> = HashMap::new();
            for (number, _) in &self.queue {
                let before = last.insert(self.known[number].group, *number);
                assert!(
                    before.is_none_or(|before| before < *number),
                    "in order, each once: {:?}",
                    self.queue
                );
            }
        }
    }
}

fn entry() -> impl Strategy<Value = EntryAnswer> {
    prop_oneof![
        4 => Just(EntryAnswer::Sent),
        1 => Just(EntryAnswer::Refused),
        3 => Just(EntryAnswer::Failed),
        1 => Just(EntryAnswer::InDoubt),
    ]
}

fn failure() -> impl Strategy<Value = RequestFailure> {
    prop_oneof![
        4 => Just(RequestFailure::Passing),
        4 => Just(RequestFailure::InDoubt),
        2 => Just(RequestFailure::Refused),
        1 => Just(RequestFailure::Hopeless),
        1 => Just(RequestFailure::Broken),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let bytes = prop_oneof![8 => 1usize..2_000, 2 => 100_000usize..=MAX_BATCH_BYTES];
    let wait = prop_oneof![8 => 0u64..30, 4 => 500u64..10_000, 1 => 100_000u64..400_000];
    let reply = prop_oneof![
        2 => prop::collection::vec(entry(), MAX_BATCH_ENTRIES).prop_map(Reply::Entries),
        1 => failure().prop_map(Reply::Failed),
    ];
    prop_oneof![
        8 => (0u8..4, bytes).prop_map(|(group, bytes)| Event::Accept { group, bytes }),
        3 => wait.prop_map(|millis| Event::Wait(Duration::from_millis(millis))),
        5 => (0usize..8, reply, any::<u16>())
            .prop_map(|(batch, answer, taken)| Event::Answer { batch, answer, taken }),
        1 => Just(Event::Hurry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Each message is in one batch at a time, groups keep their order, limits and linger are respected, and every accepted
    /// message gets exactly one correct result.
    #[test]
    fn a_line_keeps_its_promises(
        is_fifo in any::<bool>(),
        sends_again in any::<bool>(),
        linger in prop_oneof![Just(0u64), 1u64..50],
        max_in_flight in 1usize..4,
        events in prop::collection::vec(event(), 0..250),
    ) {
        let mut world = World::new(is_fifo, is_fifo || sends_again, Duration::from_millis(linger), max_in_flight);
        for event in events {
            world.happens(event);
        }
        assert!(world.now >= world.begun);
        world.finish();
    }
}
