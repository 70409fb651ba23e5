//! The time of the next request to a failing queue: by the cause of the failure, and counted in rounds.
//!
//! Receives that were in flight together fail together, for one cause: they are one round. A failed round doubles the wait; a
//! success ends it. While some receives fail and others succeed, the successes pay for failures without a wait. See ADR 0012.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::core::retry::{Jitter, JitterMode, RetryPolicy};

/// The kind of a receive's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReceiveFailure {
    /// SQS could not be reached, did not answer in time, or answered with its own error (5xx). The failure is transient.
    Unreachable,
    /// SQS requests a lower rate, or has too many messages in flight.
    Throttled,
    /// A missing permission or queue, or a request that SQS does not accept. An operator has to fix it.
    Refused,
}

/// The first wait and the longest one while SQS is unreachable. Short, because SQS's own faults last only seconds and no quota
/// suffers from a request.
const UNREACHABLE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The first wait and the longest one while SQS throttles.
const THROTTLED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// The first wait and the longest one while SQS refuses: long, because a person has to act.
const REFUSED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The longest time that a service may request: no answer, however odd, stops a queue for longer than a refusal.
const LONGEST_HOLD: Duration = Duration::from_secs(30);

/// Failures without a wait that each success pays for: receives of which half fail continue nearly without a pause.
const CREDIT_PER_SUCCESS: u32 = 4;

/// Failures that may be paid for in advance: at the beginning of an outage at most this many are followed by a receive at once.
const MOST_CREDIT: u32 = 20;

/// Failed rounds in a row, and the time since the first of them, after which the queue counts as unreachable.
const ROUNDS_UNTIL_UNREADY: u32 = 3;
const UNREADY_AFTER: Duration = Duration::from_secs(1);

/// Failures without a wait are reported once in this time.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The round in which a receive was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Round(u64);

#[derive(Debug)]
pub(crate) struct ReceiveBackoff {
    unreachable: RetryPolicy,
    throttled: RetryPolicy,
    refused: RetryPolicy,
    round: Round,
    /// Failed rounds since the last success.
    failures: u32,
    /// Throttled rounds; a success halves them.
    throttles: u32,
    credit: u32,
    failing_since: Option<Instant>,
    unready: bool,
    not_before: Option<Instant>,
    reported_at: Option<Instant>,
}

impl ReceiveBackoff {
    pub(crate) fn new() -> Self {
        let policy = |(first, longest), jitter| {
            let policy = RetryPolicy::exponential(first, 2.0, longest);
            policy.expect("the constants are in order").with_jitter(jitter)
        };
        Self {
            unreachable: policy(UNREACHABLE, JitterMode::Equal),
            throttled: policy(THROTTLED, JitterMode::Full),
            refused: policy(REFUSED, JitterMode::Equal),
            round: Round(0),
            failures: 0,
            throttles: 0,
            credit: 0,
            failing_since: None,
            unready: false,
            not_before: None,
            reported_at: None,
        }
    }

    /// The round of a receive that is opened now.
    pub(crate) fn round(&self) -> Round {
        self.round
    }

    /// Returns true while every round fails: one receive is enough to probe.
    pub(crate) fn probes(&self) -> bool {
        self.failures > 0
    }

    /// The time until which no receive is opened.
    pub(crate) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Opens no receive for `wait`, if that is longer than the own wait.
    pub(crate) fn hold(&mut self, now: Instant, wait: Duration) {
        self.not_before = self.not_before.max(Some(now + wait.min(LONGEST_HOLD)));
    }

    /// Ends a wait that is over.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.not_before = self.not_before.filter(|at| now < *at);
    }

    /// Returns true unless round after round fails.
    pub(crate) fn healthy(&self) -> bool {
        !self.unready
    }

    /// A receive was answered.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.failing_since = None;
        self.unready = false;
        self.credit = (self.credit + CREDIT_PER_SUCCESS).min(MOST_CREDIT);
        // One successful receive says little about the rate: the wait stays, and the following waits are half as long.
        if self.throttles == 0 {
            self.not_before = None;
        }
        self.throttles /= 2;
    }

    /// A receive of this round failed, quickly or after a timeout. Earlier successes pay for quick failures. Returns the time
    /// until the next receive, if the failure is worth a report.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        opened_in: Round,
        failure: ReceiveFailure,
        is_quick: bool,
        jitter: Jitter,
    ) -> Option<Duration> {
        if failure == ReceiveFailure::Unreachable && is_quick && self.failures == 0 && self.credit > 0 {
            self.credit -= 1;
            let reported = self.reported_at.is_some_and(|at| now < at + REPORT_EVERY);
            return (!reported).then(|| {
                self.reported_at = Some(now);
                Duration::ZERO
            });
        }
        if opened_in < self.round {
            return None;
        }
        self.round.0 += 1;
        self.failures = self.failures.saturating_add(1);
        self.credit = 0;
        let (policy, rounds) = match failure {
            ReceiveFailure::Unreachable => (&self.unreachable, self.failures),
            ReceiveFailure::Refused => (&self.refused, self.failures),
            ReceiveFailure::Throttled => {
                self.throttles = self.throttles.saturating_add(1);
                (&self.throttled, self.throttles)
            }
        };
        let delay = policy.delay(NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN), jitter);
        let since = *self.failing_since.get_or_insert(now);
        self.unready |= self.failures >= ROUNDS_UNTIL_UNREADY && since + UNREADY_AFTER <= now;
        self.not_before = self.not_before.max(Some(now + delay));
        self.reported_at = Some(now);
        Some(delay)
    }
}

#[cfg(test)]
#[path = "receive_backoff_tests.rs"]
mod tests;
