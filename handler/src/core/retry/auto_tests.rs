#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::super::{Jitter, JitterMode, RetryPolicy};
use super::*;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn number(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

fn fitted(receives: u32, retention_secs: u64) -> RetryPolicy {
    RetryPolicy::auto().fitted(&RetryLimits {
        receives: ReceiveLimit::AtMost(number(receives)),
        max_attempts: None,
        retention: Some(Duration::from_secs(retention_secs)),
    })
}

/// The waits between the receives, without jitter.
fn waits(policy: &RetryPolicy, count: u32) -> Vec<u64> {
    policy.waits(count).iter().map(Duration::as_secs).collect()
}

#[test]
fn waits_fit_the_redrive_policy() {
    let table: [(u32, &[u64]); 7] = [
        (2, &[600]),
        (3, &[1, 599]),
        (4, &[1, 7, 592]),
        (5, &[1, 7, 42, 550]),
        (6, &[1, 5, 22, 45, 527]),
        (8, &[1, 3, 7, 19, 45, 45, 480]),
        (10, &[1, 2, 4, 9, 18, 36, 73, 150, 307]),
    ];
    for (receives, expected) in table {
        assert_eq!(waits(&fitted(receives, 4 * DAY), receives - 1), expected, "maxReceiveCount {receives}");
    }
}

#[test]
fn many_receives_are_bounded_by_the_retention() {
    let policy = fitted(1000, 4 * DAY);
    assert_eq!(waits(&policy, 10), [1, 2, 4, 8, 16, 32, 64, 128, 209, 209]);
    assert!(policy.longest_wait(999) < Duration::from_secs(3 * DAY));
}

#[test]
fn a_queue_without_a_dlq_has_a_capped_exponential() {
    let limits = RetryLimits { receives: ReceiveLimit::Unlimited, ..RetryLimits::default() };
    let policy = RetryPolicy::auto().fitted(&limits);
    assert_eq!(waits(&policy, 12), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
}

#[test]
fn an_unknown_queue_is_treated_as_one_with_five_receives() {
    assert_eq!(waits(&RetryPolicy::auto(), 6), [1, 7, 42, 550, 550, 550]);
}

#[test]
fn a_limit_of_attempts_below_the_receives_counts() {
    let max_attempts = NonZeroU32::new(3);
    let limits = RetryLimits { receives: ReceiveLimit::AtMost(number(10)), max_attempts, retention: None };
    let policy = RetryPolicy::auto().fitted(&limits);
    // Receives that were not attempts are no reason to hurry.
    assert_eq!(waits(&policy, 4), [1, 599, 599, 599]);
}

#[test]
fn nothing_is_waited_for_after_the_last_receive() {
    let policy = fitted(5, 4 * DAY).with_jitter(JitterMode::None);
    for receive in [5, 6, u32::MAX] {
        assert_eq!(policy.delay(number(receive), Jitter::new(0)), Duration::from_secs(1));
    }
    assert_eq!(fitted(1, 4 * DAY).delay(number(1), Jitter::new(0)), Duration::from_secs(1));
}

#[test]
fn jobs_run_again_within_a_minute_of_the_end_of_a_short_outage() {
    for receives in 5..=1000 {
        let policy = fitted(receives, 4 * DAY);
        for draw in [0, u32::MAX / 2, u32::MAX] {
            let delay = |receive: u32| policy.delay(number(receive), Jitter::new(draw)).as_secs();
            let mut failed_at = 0;
            for receive in 1..receives {
                let next = failed_at + delay(receive);
                // The outage may end at any time from this failure on until 45 s after the first.
                if failed_at <= 45 {
                    assert!(
                        next <= failed_at + 60,
                        "{receives} {draw}: fails at {failed_at}, next at {next}"
                    );
                }
                failed_at = next;
            }
        }
    }
}

#[test]
fn explicit_jitter_replaces_what_auto_adds() {
    let policy = fitted(5, 4 * DAY);
    let ends =
        |policy: &RetryPolicy| [0, u32::MAX].map(|draw| policy.delay(number(3), Jitter::new(draw)).as_secs());
    assert_eq!(ends(&policy), [42, 52]);
    assert_eq!(ends(&policy.clone().with_jitter(JitterMode::Full)), [0, 42]);
    assert_eq!(ends(&policy.with_jitter(JitterMode::None)), [42, 42]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_receives_span_ten_minutes_inside_the_retention(
        receives in 2u32..=1000, retention in 60u64..=14 * DAY, draws in prop::collection::vec(any::<u32>(), 1..50),
    ) {
        let policy = fitted(receives, retention);
        let mut draws = draws.into_iter().cycle();
        let mut sum = Duration::ZERO;
        for receive in 1..receives {
            let delay = policy.delay(number(receive), Jitter::new(draws.next().unwrap()));
            prop_assert!(delay >= Duration::from_secs(1));
            prop_assert!(delay <= policy.longest());
            prop_assert_eq!(delay.subsec_nanos(), 0, "SQS counts whole seconds");
            sum += delay;
        }
        prop_assert!(sum <= policy.longest_wait(receives - 1));
        if retention >= HOUR {
            prop_assert!(sum >= SPAN, "{sum:?}");
        }
        // A second and its jitter for each receive may already be too long.
        if u64::from(2 * (receives - 1)) <= retention * 3 / 4 {
            prop_assert!(sum <= Duration::from_secs(retention * 3 / 4), "{sum:?} of {retention}");
        }
    }

    #[test]
    fn waits_never_shrink(
        receives in 2u32..=1000, attempts in prop::option::of(1u32..=1000), retention in prop::option::of(60u64..=14 * DAY),
    ) {
        let limits = RetryLimits {
            receives: ReceiveLimit::AtMost(number(receives)),
            max_attempts: attempts.and_then(NonZeroU32::new),
            retention: retention.map(Duration::from_secs),
        };
        let waits = waits(&RetryPolicy::auto().fitted(&limits), receives - 1);
        prop_assert!(waits.is_sorted(), "{waits:?}");
    }
}
