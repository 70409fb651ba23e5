//! The waits of a queue's retry policies as text, for logs and `drumline config`.

use std::num::NonZeroU32;
use std::time::Duration;

use drumline::RetryPolicy;
use drumline::core::{ReceiveLimit, RetryLimits};

/// The number of shown waits: the first ones show how they grow, and a queue may have a thousand.
const SHOWN: u32 = 10;

/// The values of `maxReceiveCount` for which the waits of an unknown queue are shown: the assumed value of a function, and the
/// default of the templates under `infra/`.
const EXAMPLES: [u32; 2] = [5, 10];

/// Returns a receive limit. SQS allows no `maxReceiveCount` of 0.
pub(crate) fn receives(max_receive_count: u32) -> ReceiveLimit {
    NonZeroU32::new(max_receive_count).map_or(ReceiveLimit::Unknown, ReceiveLimit::AtMost)
}

/// Returns the waits of a policy that was adapted to its queue, such as `1s, 7s, 42s, 9m 10s`, without jitter.
pub fn waits(retry: &RetryPolicy, limits: &RetryLimits) -> String {
    let Some(attempts) = limits.receives.at_most().into_iter().chain(limits.max_attempts).min() else {
        return format!("{}, \u{2026}", list(retry, SHOWN));
    };
    match attempts.get() - 1 {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{}, \u{2026}", list(retry, SHOWN)),
        count => list(retry, count),
    }
}

/// Returns the waits for possible queues, because `auto` depends on the queue.
pub(crate) fn possible_waits(retry: &RetryPolicy, max_attempts: Option<NonZeroU32>) -> String {
    let on = |max_receive_count: u32| {
        let receives = receives(max_receive_count);
        let limits = RetryLimits { receives, max_attempts, retention: None };
        waits(&retry.clone().fitted(&limits), &limits)
    };
    if !retry.is_auto() {
        return waits(retry, &RetryLimits { max_attempts, ..RetryLimits::default() });
    }
    EXAMPLES.map(|count| format!("{} with maxReceiveCount {count}", on(count))).join("; ")
}

fn list(retry: &RetryPolicy, count: u32) -> String {
    let rounded =
        |wait: &Duration| Duration::from_millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    let text = |wait: &Duration| humantime::format_duration(rounded(wait)).to_string();
    retry.waits(count).iter().map(text).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn limits(receives: ReceiveLimit) -> RetryLimits {
        RetryLimits { receives, ..RetryLimits::default() }
    }

    #[test]
    fn waits_are_those_between_the_receives_of_the_queue() {
        let five = limits(receives(5));
        assert_eq!(waits(&RetryPolicy::auto().fitted(&five), &five), "1s, 7s, 42s, 9m 10s");
        let schedule: RetryPolicy = "schedule(1m,5m)".parse().unwrap();
        assert_eq!(waits(&schedule, &limits(receives(4))), "1m, 5m, 5m");
        assert_eq!(waits(&schedule, &limits(receives(1))), "none");
        let endless = limits(ReceiveLimit::Unlimited);
        let text = waits(&RetryPolicy::auto().fitted(&endless), &endless);
        assert_eq!(text, "1s, 2s, 4s, 8s, 16s, 32s, 1m 4s, 2m 8s, 4m 16s, 8m 32s, \u{2026}");
    }

    #[test]
    fn the_waits_of_auto_are_shown_for_queues_that_may_be_meant() {
        assert_eq!(
            possible_waits(&RetryPolicy::auto(), None),
            "1s, 7s, 42s, 9m 10s with maxReceiveCount 5; \
             1s, 2s, 4s, 9s, 18s, 36s, 1m 13s, 2m 30s, 5m 7s with maxReceiveCount 10"
        );
        assert_eq!(possible_waits(&"schedule(1m,5m)".parse().unwrap(), NonZeroU32::new(3)), "1m, 5m");
    }
}
