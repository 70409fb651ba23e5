#![allow(clippy::unwrap_used, clippy::unnecessary_wraps, clippy::unchecked_time_subtraction)]
//! The local rate against a model that is as simple as possible.

use proptest::prelude::*;

use super::*;
use crate::core::limits::rules::Rate;

const MS: Duration = Duration::from_millis(1);

#[allow(clippy::disallowed_methods)]
fn some_instant() -> Instant {
    Instant::now()
}

fn rule(rate: &str, burst: u32) -> RateRule {
    RateRule { rate: rate.parse().unwrap(), burst: burst.try_into().unwrap(), key: None }
}

fn key(index: usize) -> Key {
    Some(Arc::from(format!("key {index}")))
}

/// The bucket of one key: its content in nanoseconds, of which each job takes the interval.
struct Model {
    interval: u128,
    capacity: u128,
    held: u128,
    at: Instant,
}

impl Model {
    fn new(rate: Rate, burst: u32, now: Instant) -> Self {
        let interval = rate.interval().as_nanos();
        let capacity = interval * u128::from(burst);
        Self { interval, capacity, held: capacity, at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        self.held = self.capacity.min(self.held + (now - self.at).as_nanos());
        self.at = now;
        let taken = self.held >= self.interval;
        self.held -= if taken { self.interval } else { 0 };
        taken
    }
}

#[test]
fn a_burst_starts_at_once_and_then_one_each_interval() {
    let (mut rate, now) = (LocalRate::new(&rule("50/s", 5)), some_instant());
    for _ in 0..5 {
        assert_eq!(rate.take(now, &None), Ok(()));
    }
    assert_eq!(rate.take(now, &None), Err(now + 20 * MS));
    assert_eq!(rate.take(now + 19 * MS, &None), Err(now + 20 * MS));
    assert_eq!(rate.take(now + 20 * MS, &None), Ok(()));
    assert_eq!(rate.take(now + 20 * MS, &key(1)), Ok(()), "keys are counted apart");
    assert_eq!(rate.take(now + 20 * MS, &None), Err(now + 40 * MS));
}

#[test]
fn a_time_that_goes_back_gives_no_tokens() {
    let (mut rate, now) = (LocalRate::new(&rule("1/s", 1)), some_instant() + 1_000 * MS);
    assert_eq!(rate.take(now, &None), Ok(()));
    assert!(rate.take(now - 500 * MS, &None).is_err());
    assert!(rate.take(now + 999 * MS, &None).is_err());
    assert_eq!(rate.take(now + 1_000 * MS, &None), Ok(()));
}

#[test]
fn the_lowest_and_the_highest_rates_have_times() {
    for (text, burst) in [("1/h", u32::MAX), ("1000000/s", u32::MAX), ("3600000000/h", 1)] {
        let (mut rate, now) = (LocalRate::new(&rule(text, burst)), some_instant());
        let far = now + Duration::from_secs(400 * 24 * 60 * 60);
        for at in [now, far] {
            assert_eq!(rate.take(at, &None), Ok(()), "{text}");
        }
    }
}

#[test]
fn of_too_many_keys_those_whose_buckets_are_full_go_first() {
    let (mut rate, now) = (LocalRate::new(&rule("1/s", 2)), some_instant());
    for index in 0..MAX_KEYS {
        assert!(rate.has_room_for(now, &key(index)));
        assert_eq!(rate.take(now, &key(index)), Ok(()));
    }
    // This one has used two tokens, and is full a second later than the others.
    assert_eq!(rate.take(now, &key(0)), Ok(()));
    let fresh = key(MAX_KEYS);
    assert!(!rate.has_room_for(now, &fresh));
    assert!(rate.has_room_for(now, &key(1)), "a known key keeps its bucket");
    assert!(!rate.has_room_for(now + 999 * MS, &fresh));
    assert!(rate.has_room_for(now + 1_100 * MS, &fresh));
    assert_eq!(rate.buckets.map().len(), 1);
    assert!(rate.take(now + 999 * MS, &key(0)).is_err(), "its bucket was kept");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_can_be_taken(
        count in 1_u32..2_000,
        burst in 1_u32..20,
        steps in prop::collection::vec((0_u64..4_000, 0_u32..5), 1..30),
    ) {
        let rule = rule(&format!("{count}/m"), burst);
        let (mut rate, mut now) = (LocalRate::new(&rule), some_instant());
        prop_assert_eq!(rate.left(now, &rule), (burst, None));
        let unit = rule.rate.interval() / 1_000;
        for (step, takes) in steps {
            now += unit * u32::try_from(step).unwrap();
            let (left, _) = rate.left(now, &rule);
            for taken in 0..takes {
                let (now_left, next) = rate.left(now, &rule);
                prop_assert_eq!(now_left, left.saturating_sub(taken));
                prop_assert_eq!(rate.take(now, &None).err(), next);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_takes_what_the_model_takes(
        count in 1_u32..2_000,
        per in prop_oneof![Just("s"), Just("m"), Just("h")],
        burst in 1_u32..20,
        steps in prop::collection::vec((0_usize..3, 0_u64..4_000), 1..40),
    ) {
        let text = format!("{count}/{per}");
        let rule = rule(&text, burst);
        let mut now = some_instant();
        let mut rate = LocalRate::new(&rule);
        let mut models: Vec<Model> = (0..3).map(|_| Model::new(rule.rate, burst, now)).collect();
        // Steps of about the interval decide most.
        let unit = rule.rate.interval() / 1_000;
        for (index, step) in steps {
            now += unit * u32::try_from(step).unwrap();
            let taken = rate.take(now, &key(index));
            prop_assert_eq!(taken.is_ok(), models[index].take(now));
            if let Err(at) = taken {
                prop_assert!(at > now);
                prop_assert!(rate.take(at - Duration::from_nanos(1), &key(index)).is_err());
                // A model at that time says so too, and neither has been changed by the refusals.
                let Model { interval, capacity, held, at: seen } = models[index];
                let then = Model { interval, capacity, held, at: seen }.take(at);
                prop_assert!(then);
            }
        }
    }
}
