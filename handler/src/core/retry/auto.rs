//! The backoff that fits the queue: waits that grow so that the receives of the redrive policy outlast an outage.
//!
//! Invariants, each a property test: for a queue that keeps messages for an hour or longer, the waits between the receives that
//! it allows are together at least [`SPAN`] and shorter than its retention, for any jitter; no wait is shorter than the one
//! before it; none is shorter than a second. On a queue that keeps messages for less, the retention has priority: SQS deletes
//! an expired message, and no DLQ receives it.

use std::num::NonZeroU32;
use std::time::Duration;

/// The minimum time between the first receive that a queue allows and the last: long enough for a failover or a rollback.
pub const SPAN: Duration = Duration::from_secs(600);

/// The longest wait in seconds, without jitter: after a repair, no message waits longer than the span.
const LONGEST: u64 = SPAN.as_secs();

/// The growth from one wait to the next, within these bounds. If it were slower, a queue with many receives would get request
/// after request during an outage; if it were faster, the wait over the end of a short outage would take more than a minute.
const GROWTH: (f64, f64) = (2.0, 6.5);

/// With this many waits or fewer, the growth alone would soon reach minutes. So the last wait takes the rest of the span, and
/// the others stay short: jobs run again within a minute of the end of an outage of up to 45 s.
const FEW_WAITS: u32 = 7;
const LONGEST_OF_FEW: u64 = 45;

/// The receives of a queue whose limit is not yet known: five is the minimum that AWS recommends for a Lambda function, and
/// that this project's rules accept. With fewer waits than there are, the rest is as long as the last.
const ASSUMED_RECEIVES: u32 = 5;

/// The part of the retention that waits may take: the rest is for the time before the first receive, and for the runs.
const RETENTION_PART: (u64, u64) = (3, 4);

/// The number of receives that a queue allows before SQS moves the message to the DLQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiveLimit {
    /// The limit is not yet known.
    #[default]
    Unknown,
    /// The queue has no redrive policy.
    Unlimited,
    /// The redrive policy's `maxReceiveCount`.
    AtMost(NonZeroU32),
}

impl ReceiveLimit {
    /// Returns the number of receives after which SQS moves a message to the DLQ, if it is known and there is one.
    pub fn at_most(self) -> Option<NonZeroU32> {
        match self {
            Self::AtMost(most) => Some(most),
            Self::Unknown | Self::Unlimited => None,
        }
    }
}

/// The limits that [`RetryPolicy::auto`](super::RetryPolicy::auto) fits its waits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetryLimits {
    /// The receives that the queue allows.
    pub receives: ReceiveLimit,
    /// The attempts after which a message fails permanently, if the policy limits them.
    pub max_attempts: Option<NonZeroU32>,
    /// The age at which the queue deletes a message, if it is known.
    pub retention: Option<Duration>,
}

/// The waits that fit one set of limits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AutoBackoff {
    /// The receives after which SQS moves the message, if their number is known.
    last_receive: Option<u32>,
    growth: f64,
    /// The longest wait except the last one, in seconds.
    longest: u64,
    /// The number of the last wait, and its seconds: further waits are as long. `None` if there is no last one.
    last: Option<(u32, u64)>,
}

impl AutoBackoff {
    pub(super) fn new(limits: &RetryLimits) -> Self {
        let receives = match limits.receives {
            ReceiveLimit::Unknown => Some(ASSUMED_RECEIVES),
            ReceiveLimit::Unlimited => None,
            ReceiveLimit::AtMost(receives) => Some(receives.get()),
        };
        let last_receive = match limits.receives {
            ReceiveLimit::AtMost(receives) => Some(receives.get()),
            ReceiveLimit::Unknown | ReceiveLimit::Unlimited => None,
        };
        let attempts = receives.into_iter().chain(limits.max_attempts.map(NonZeroU32::get)).min();
        let Some(waits) = attempts.map(|attempts| attempts - 1).filter(|waits| *waits > 0) else {
            return Self { last_receive, growth: GROWTH.0, longest: LONGEST, last: None };
        };
        let longest = if waits <= FEW_WAITS { LONGEST_OF_FEW } else { LONGEST };
        let backoff = Self { last_receive, growth: growth(waits), longest, last: None };
        let others: u64 = (1..waits).map(|number| backoff.wait(number)).sum();
        let last = LONGEST.saturating_sub(others).max(backoff.wait(waits));
        let backoff = Self { last: Some((waits, last)), ..backoff };
        match limits.retention {
            Some(retention) => {
                backoff.within(waits, retention.as_secs() * RETENTION_PART.0 / RETENTION_PART.1)
            }
            None => backoff,
        }
    }

    /// Limits all waits so that they take at most `budget` seconds together with their jitter. Each keeps at least a second,
    /// even if that is longer.
    fn within(self, waits: u32, budget: u64) -> Self {
        let limited = |longest: u64| {
            let last = self.last.map(|(number, secs)| (number, secs.min(longest)));
            Self { longest: self.longest.min(longest), last, ..self.clone() }
        };
        let fits = |backoff: &Self| {
            let sum: u64 =
                (1..=waits).map(|number| backoff.wait(number)).map(|secs| secs + spread(secs)).sum();
            sum <= budget
        };
        if fits(&self) {
            return self;
        }
        let (mut fitting, mut too_long) = (1, LONGEST);
        while fitting + 1 < too_long {
            let middle = u64::midpoint(fitting, too_long);
            if fits(&limited(middle)) { fitting = middle } else { too_long = middle }
        }
        limited(fitting)
    }

    /// Returns the wait after this receive, without jitter. After the last receive there is none: SQS moves the message at the
    /// next one.
    pub(super) fn after_receive(&self, receive: NonZeroU32) -> Duration {
        let is_last = self.last_receive.is_some_and(|last| receive.get() >= last);
        Duration::from_secs(if is_last { 1 } else { self.wait(receive.get()) })
    }

    /// Returns the longest wait, without jitter.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_secs(self.last.map_or(self.longest, |(_, secs)| secs))
    }

    fn wait(&self, number: u32) -> u64 {
        match self.last {
            Some((last, secs)) if number >= last => secs,
            _ => {
                let exponent = i32::try_from(number - 1).unwrap_or(i32::MAX);
                let secs = self.growth.powi(exponent).round();
                // Capped as a float: powers reach infinity.
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a whole number from 1 to 600"
                )]
                let secs = secs.clamp(1.0, self.longest as f64) as u64;
                secs
            }
        }
    }
}

/// The growth with which this many waits, the first of a second, take the span.
fn growth(waits: u32) -> f64 {
    let takes = |growth: f64| -> f64 {
        (0..waits.min(64)).map(|exponent| growth.powi(i32::try_from(exponent).unwrap_or(i32::MAX))).sum()
    };
    let (mut slow, mut fast) = GROWTH;
    if takes(slow) >= SPAN.as_secs_f64() {
        return slow;
    }
    // Each step halves the interval between the bounds: after 40 of them the rest is too small for a rounded second.
    for _ in 0..40 {
        let middle = f64::midpoint(slow, fast);
        if takes(middle) >= SPAN.as_secs_f64() { fast = middle } else { slow = middle }
    }
    fast
}

/// The seconds that jitter may add to a wait of `secs`: a quarter of it, and at least a second, because SQS counts visibility
/// in whole seconds.
pub(super) fn spread(secs: u64) -> u64 {
    (secs / 4).max(1)
}

#[cfg(test)]
#[path = "auto_tests.rs"]
mod tests;
