//! The messages that the queues of a scenario receive, and the durations of their jobs.

use std::num::NonZeroU32;
use std::time::Duration;

use drumline::core::SlotRules;

/// The times when messages are sent to a queue.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arrivals {
    /// There are always more messages.
    Endless,
    /// Repeated bursts of `count` messages, from the time `first` on.
    Bursts { first: Duration, every: Duration, count: usize },
}

impl Arrivals {
    /// Sends messages one after the other.
    pub(super) fn every(time: Duration) -> Self {
        Self::Bursts { first: time, every: time, count: 1 }
    }

    /// Sends `count` messages once.
    pub(super) fn once(first: Duration, count: usize) -> Self {
        Self::Bursts { first, every: Duration::MAX, count }
    }
}

/// A queue of a scenario.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) rules: SlotRules,
    pub(super) arrivals: Arrivals,
    /// The mean length of its jobs.
    pub(super) job: Duration,
    /// The relative spread: the lengths of its jobs are between this much less and this much more than the mean.
    pub(super) spread: f64,
}

impl Load {
    pub(super) fn new(name: &'static str, weight: u32, arrivals: Arrivals, job: Duration) -> Self {
        let weight = NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN);
        Self { name, rules: SlotRules { weight, ..SlotRules::default() }, arrivals, job, spread: 0.5 }
    }

    /// Returns the length of a job.
    pub(super) fn job_time(&self, random: &mut fastrand::Rng) -> Duration {
        self.job.mul_f64(1.0 + self.spread * (2.0 * random.f64() - 1.0))
    }
}

/// A scenario: queues that share one pool of slots.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) slots: usize,
    pub(super) lasts: Duration,
    pub(super) loads: Vec<Load>,
}
