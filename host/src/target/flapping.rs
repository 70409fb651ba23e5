//! Problems that return soon after their end: a health check may succeed while every job fails.

use std::time::Duration;

use tokio::time::Instant;

use super::pace::next_wait;

/// Failing answers within this time after the end of a problem belong to the same problem.
const SOON: Duration = Duration::from_secs(60);

/// The wait before the first probe by message, and the longest: each is work for the target.
const MESSAGE_WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The end of the last problem, and the wait that its probes by message had reached.
#[derive(Debug, Default)]
pub(super) struct Flapping {
    ended_at: Option<Instant>,
    wait: Option<Duration>,
}

impl Flapping {
    /// Records the end of a problem.
    pub(super) fn ended(&mut self, now: Instant) {
        self.ended_at = Some(now);
    }

    /// Returns true if a problem that begins now is a return of the last one.
    pub(super) fn returns(&self, now: Instant) -> bool {
        self.ended_at.is_some_and(|at| now < at + SOON)
    }

    /// Resets the wait to the shortest one.
    pub(super) fn start_over(&mut self) {
        self.wait = None;
    }

    /// Returns the wait before the next probe by message.
    pub(super) fn next_wait(&self) -> Duration {
        next_wait(self.wait, MESSAGE_WAITS)
    }

    /// Records a probe by message after this wait.
    pub(super) fn probed(&mut self, wait: Duration) {
        self.wait = Some(wait);
    }
}
