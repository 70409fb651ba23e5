//! A model of SQS and of time, with its measurements.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::load::{Arrivals, Scenario};

/// The duration of a request to SQS.
pub(super) const REQUEST: Duration = Duration::from_millis(15);

/// A queue with its measurements.
#[derive(Debug, Default)]
pub(super) struct Queue {
    is_endless: bool,
    /// The times when the waiting messages were sent.
    waiting: VecDeque<Duration>,
    pub(super) measured: Measured,
}

/// The measurements of a queue.
#[derive(Debug, Default, Clone)]
pub(super) struct Measured {
    pub(super) started: usize,
    pub(super) slot_time: Duration,
    pub(super) receives: usize,
    /// The time from the sending of a message to the start of its job; for the first job that has not started, to the end of
    /// the scenario; for an endless queue, from one start to the next.
    pub(super) waits: Vec<Duration>,
    last_start: Duration,
}

/// The queues of a scenario, its time, and the next events.
pub(super) struct World<E> {
    pub(super) now: Duration,
    pub(super) queues: Vec<Queue>,
    scenario: Scenario,
    random: fastrand::Rng,
    events: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    pending: Vec<Option<E>>,
    count: u64,
    /// The slot seconds that runs have used.
    pub(super) used: Duration,
    /// The messages in hand whose job has not started: the current number, and the largest number after any event.
    hidden: usize,
    pub(super) most_hidden: usize,
}

impl<E> World<E> {
    pub(super) fn new(scenario: &Scenario, seed: u64) -> Self {
        let queue = |arrivals: Arrivals| Queue {
            is_endless: matches!(arrivals, Arrivals::Endless),
            ..Queue::default()
        };
        Self {
            now: Duration::ZERO,
            queues: scenario.loads.iter().map(|load| queue(load.arrivals)).collect(),
            scenario: scenario.clone(),
            random: fastrand::Rng::with_seed(seed),
            events: BinaryHeap::new(),
            pending: Vec::new(),
            count: 0,
            used: Duration::ZERO,
            hidden: 0,
            most_hidden: 0,
        }
    }

    /// Schedules an event after `wait`.
    pub(super) fn after(&mut self, wait: Duration, event: E) {
        self.count += 1;
        let index = self.pending.len();
        self.pending.push(Some(event));
        self.events.push(Reverse((self.now.saturating_add(wait), self.count, index)));
    }

    /// Records that all consequences of an event have happened.
    pub(super) fn settles(&mut self) {
        self.most_hidden = self.most_hidden.max(self.hidden);
    }

    /// Returns the measurements without the scheduled events. Messages that wait at the end have waited until then.
    pub(super) fn ended(mut self) -> World<()> {
        let end = self.scenario.lasts;
        for queue in &mut self.queues {
            let since = if queue.is_endless {
                Some(queue.measured.last_start)
            } else {
                queue.waiting.front().copied()
            };
            queue.measured.waits.extend(since.map(|since| end.saturating_sub(since)));
        }
        World {
            now: self.now,
            queues: self.queues,
            scenario: self.scenario,
            random: self.random,
            events: BinaryHeap::new(),
            pending: Vec::new(),
            count: self.count,
            used: self.used,
            hidden: self.hidden,
            most_hidden: self.most_hidden,
        }
    }

    /// Advances to the next event, or to `until` if none happens before. Returns `None` at the end of the scenario.
    #[allow(clippy::option_option, reason = "the end, a time that has come, or an event")]
    pub(super) fn next(&mut self, until: Option<Duration>) -> Option<Option<E>> {
        let event = self.events.peek().map(|Reverse((at, ..))| *at);
        let next = event.into_iter().chain(until).min()?;
        if next > self.scenario.lasts {
            return None;
        }
        self.now = self.now.max(next);
        if event != Some(next) {
            return Some(None);
        }
        let Reverse((_, _, index)) = self.events.pop()?;
        Some(self.pending.get_mut(index).and_then(Option::take))
    }

    /// Returns the times at which a queue receives messages: the first time, the interval, and the number.
    pub(super) fn arrivals(&self, queue: usize) -> Option<(Duration, Duration, usize)> {
        match self.scenario.loads[queue].arrivals {
            Arrivals::Endless => None,
            Arrivals::Bursts { first, every, count } => Some((first, every, count)),
        }
    }

    /// Sends messages to a queue.
    pub(super) fn send(&mut self, queue: usize, count: usize) {
        let now = self.now;
        self.queues[queue].waiting.extend(std::iter::repeat_n(now, count));
    }

    /// Returns true if a receive finds messages.
    pub(super) fn has_message(&self, queue: usize) -> bool {
        self.queues[queue].is_endless || !self.queues[queue].waiting.is_empty()
    }

    /// Takes messages out of a queue, and returns the times when they were sent.
    pub(super) fn take(&mut self, queue: usize, most: usize) -> Vec<Duration> {
        let now = self.now;
        let queue = &mut self.queues[queue];
        queue.measured.receives += 1;
        let count = if queue.is_endless { most } else { most.min(queue.waiting.len()) };
        self.hidden += count;
        if queue.is_endless { vec![now; count] } else { queue.waiting.drain(..count).collect() }
    }

    /// Starts a job, and returns its duration.
    pub(super) fn starts(&mut self, queue: usize, sent_at: Duration) -> Duration {
        let time = self.scenario.loads[queue].job_time(&mut self.random);
        let ends = (self.now + time).min(self.scenario.lasts);
        let queue = &mut self.queues[queue];
        let since = if queue.is_endless { queue.measured.last_start } else { sent_at };
        queue.measured.waits.push(self.now.saturating_sub(since));
        queue.measured.last_start = self.now;
        queue.measured.started += 1;
        let takes = ends.saturating_sub(self.now);
        queue.measured.slot_time += takes;
        self.used += takes;
        self.hidden -= 1;
        time
    }
}
