#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn attempt(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap()
}

#[test]
fn an_exponential_doubles_up_to_its_cap() {
    let policy = RetryPolicy::default().with_jitter(JitterMode::None);
    let delays: Vec<u64> = (1..=11).map(|n| policy.delay(attempt(n), Jitter::new(0)).as_secs()).collect();
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
}

#[test]
fn a_schedule_stays_at_its_last_step() {
    let policy: RetryPolicy = "1m, 5m ,30m".parse().unwrap();
    let policy = policy.with_jitter(JitterMode::None);
    let delays: Vec<u64> =
        [1, 2, 3, 4, u32::MAX].map(|n| policy.delay(attempt(n), Jitter::new(0)).as_secs()).into();
    assert_eq!(delays, [60, 300, 1800, 1800, 1800]);
}

#[test]
fn a_schedule_is_never_ahead_of_its_times() {
    let policy: RetryPolicy = "schedule(1m,5m,30m)".parse().unwrap();
    let ends = |n| [0, u32::MAX].map(|draw| policy.delay(attempt(n), Jitter::new(draw)).as_secs());
    assert_eq!([1, 2, 3].map(ends), [[60, 75], [300, 375], [1800, 2250]]);
    let short: RetryPolicy = "schedule(200ms)".parse().unwrap();
    assert_eq!(short.delay(attempt(1), Jitter::new(u32::MAX)), Duration::from_millis(250));
    let at_once: RetryPolicy = "schedule(0s)".parse().unwrap();
    assert_eq!(at_once.delay(attempt(1), Jitter::new(u32::MAX)), Duration::ZERO);
}

#[test]
fn jitter_spreads_over_its_whole_range() {
    let policy: RetryPolicy = "schedule(100s)".parse().unwrap();
    let ends = |mode| {
        [0, u32::MAX]
            .map(|draw| policy.clone().with_jitter(mode).delay(attempt(1), Jitter::new(draw)).as_secs())
    };
    assert_eq!(ends(JitterMode::Full), [0, 100]);
    assert_eq!(ends(JitterMode::Equal), [50, 100]);
    assert_eq!(ends(JitterMode::None), [100, 100]);
    assert_eq!(ends(JitterMode::Added), [100, 125]);
}

#[test]
fn nonsense_is_refused_with_words() {
    let table = [
        ("exponential(1s,2)", "write exponential"),
        ("exponential(1s,x,5m)", "not a number"),
        ("exponential(1s,0.5,5m)", "from 1"),
        ("exponential(1s,NaN,5m)", "from 1"),
        ("exponential(1s,inf,5m)", "from 1"),
        ("exponential(10m,2,5m)", "not be longer"),
        ("exponential(1s,2,13h)", "12h"),
        ("schedule()", "not a duration"),
        ("schedule(13h)", "12h"),
        ("linear(1s)", "write auto, exponential"),
        ("5", "not a duration"),
        ("", "write auto, exponential"),
        ("foo", "write auto, exponential"),
    ];
    for (text, says) in table {
        let error = text.parse::<RetryPolicy>().unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

prop_compose! {
    fn any_policy()(
        first in 0u64..10_000, more in 0u64..43_190_000, factor in 1.0f64..1e9, steps in prop::collection::vec(0u64..43_200_000, 1..20),
        exponential: bool, mode in prop::sample::select(vec![JitterMode::Full, JitterMode::Equal, JitterMode::None, JitterMode::Added]),
    ) -> RetryPolicy {
        let ms = Duration::from_millis;
        let policy = if exponential {
            RetryPolicy::exponential(ms(first), factor, ms(first + more))
        } else {
            RetryPolicy::schedule(steps.into_iter().map(ms).collect())
        };
        policy.unwrap().with_jitter(mode)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_delay_is_within_its_bounds(policy in any_policy(), n in 1u32.., draw: u32) {
        let delay = policy.delay(attempt(n), Jitter::new(draw));
        prop_assert!(delay <= policy.longest());
        let whole = policy.clone().with_jitter(JitterMode::None).delay(attempt(n), Jitter::new(draw));
        if policy.jitter() == JitterMode::Added {
            prop_assert!(delay >= whole);
        } else {
            prop_assert!(delay <= whole);
        }
        if policy.jitter() == JitterMode::Equal {
            prop_assert!(delay + Duration::from_nanos(1) >= whole / 2);
        }
    }

    #[test]
    fn an_exponential_never_shrinks(first in 0u64..10_000, factor in 1.0f64..1e9, n in 1u32..u32::MAX) {
        let policy = RetryPolicy::exponential(Duration::from_millis(first), factor, MAX_VISIBILITY).unwrap();
        let policy = policy.with_jitter(JitterMode::None);
        prop_assert!(policy.delay(attempt(n), Jitter::new(0)) <= policy.delay(attempt(n + 1), Jitter::new(0)));
    }

    #[test]
    fn text_and_policy_are_the_same(policy in any_policy()) {
        let again: RetryPolicy = policy.to_string().parse().unwrap();
        prop_assert_eq!(again.with_jitter(policy.jitter()), policy);
    }
}
