#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn depth(depth: u64) -> GateReading {
    GateReading { depth: Some(depth), oldest: None }
}

fn age(secs: u64) -> GateReading {
    GateReading { depth: None, oldest: Some(Duration::from_secs(secs)) }
}

#[test]
fn a_state_begins_at_its_threshold_and_ends_below_80_percent() {
    let mut decider = Decider::new(GateLimits::default().depth(1_000, 10_000).unwrap());
    let table = [
        (0, "open"),
        (999, "open"),
        (1_000, "slow"),
        (800, "slow"),
        (799, "open"),
        (999, "open"),
        (9_999, "slow"),
        (10_000, "shed"),
        (8_000, "shed"),
        (7_999, "slow"),
        (9_999, "slow"),
        (10_000, "shed"),
        (900, "slow"),
        (10_000, "shed"),
        (799, "open"),
        (u64::MAX, "shed"),
        (0, "open"),
    ];
    for (step, (messages, expected)) in table.into_iter().enumerate() {
        assert_eq!(decider.step(&depth(messages)).label(), expected, "step {step}: {messages}");
    }
}

#[test]
fn the_stricter_of_depth_and_age_counts_and_says_why() {
    let limits = GateLimits::default().depth(10, 100).unwrap();
    let limits = limits.age(Duration::from_secs(60), Duration::from_secs(600)).unwrap();
    let mut decider = Decider::new(limits);
    let both = |messages, secs| GateReading { oldest: age(secs).oldest, ..depth(messages) };
    assert_eq!(decider.step(&both(9, 59)), GateState::Open);
    assert!(matches!(decider.step(&both(9, 60)), GateState::Slow(_)));
    let shed = |text: &str| GateState::Shed(text.into());
    assert_eq!(
        decider.step(&both(10, 660)),
        shed("the oldest message is 11m old: refused from 10m on, until it is younger than 8m")
    );
    assert_eq!(
        decider.step(&both(100, 0)),
        shed("100 messages are waiting: refused from 100 on, until there are fewer than 80")
    );
    assert_eq!(
        decider.step(&GateReading::default()),
        GateState::Open,
        "what is not known counts for nothing"
    );
    assert_eq!(Decider::new(GateLimits::default()).step(&both(u64::MAX, 9_999_999)), GateState::Open);
}

#[test]
fn the_delay_grows_from_slow_to_shed() {
    let limits = GateLimits::default().depth(1_000, 11_000).unwrap();
    let mut decider = Decider::new(limits).longest_delay(Duration::from_millis(1_100));
    let table = [(1_000, 100), (900, 100), (6_000, 600), (10_999, 1_099)];
    for (messages, millis) in table {
        assert_eq!(
            decider.step(&depth(messages)),
            GateState::Slow(Duration::from_millis(millis)),
            "{messages}"
        );
    }
    let mut short = Decider::new(limits).longest_delay(Duration::from_millis(20));
    assert_eq!(short.step(&depth(1_000)), GateState::Slow(Duration::from_millis(20)));
}

#[test]
fn limits_are_read_from_texts() {
    let read = |text: &str| GateLimits::default().with_depth_text(text);
    assert_eq!(read("10, 100"), GateLimits::default().depth(10, 100));
    assert!(read("off").unwrap().is_off());
    let aged = GateLimits::default().with_age_text("90s,10m").unwrap();
    assert_eq!(Ok(aged), GateLimits::default().age(Duration::from_secs(90), Duration::from_secs(600)));
    assert_eq!(aged.with_age_text("off"), Ok(GateLimits::default()), "a queue can lift what all queues have");
    for text in ["10", "0,10", "10,10", "10,5", "a,b", "10,100,1000", "", "-1,5"] {
        assert!(read(text).is_err(), "{text}");
    }
    for text in ["1m", "0s,1m", "1m,1m", "1,10", "1m,15d"] {
        assert!(GateLimits::default().with_age_text(text).is_err(), "{text}");
    }
}

fn limits() -> impl Strategy<Value = GateLimits> {
    let two = |most: u64| (1..most, 1..most).prop_map(|(slow, more)| (slow, slow + more));
    (prop::option::of(two(200_000)), prop::option::of(two(20_000))).prop_map(|(depth, age)| {
        let limits = GateLimits::default();
        let limits = depth.map_or(limits, |(slow, shed)| limits.depth(slow, shed).unwrap());
        let secs = Duration::from_secs;
        age.map_or(limits, |(slow, shed)| limits.age(secs(slow), secs(shed)).unwrap())
    })
}

fn reading() -> impl Strategy<Value = GateReading> {
    (prop::option::of(0u64..500_000), prop::option::of(0u64..50_000))
        .prop_map(|(depth, secs)| GateReading { depth, oldest: secs.map(Duration::from_secs) })
}

proptest! {
    #[test]
    fn a_reading_that_stays_the_same_never_changes_the_state_again(
        limits in limits(), before in prop::collection::vec(reading(), 0..8), last in reading(),
    ) {
        let mut decider = Decider::new(limits);
        for reading in before {
            decider.step(&reading);
        }
        let state = decider.step(&last);
        for _ in 0..3 {
            prop_assert_eq!(&decider.step(&last), &state);
        }
    }

    #[test]
    fn noise_of_a_tenth_around_a_value_changes_a_state_once(
        slow in 100u64..10_000, more in 100u64..100_000, noise in prop::collection::vec(0u64..=10, 2..40), at in 1u64..200_000,
    ) {
        let mut decider = Decider::new(GateLimits::default().depth(slow, slow + more).unwrap());
        let labels: Vec<_> =
            noise.iter().map(|part| decider.step(&depth(at + at * part / 100)).label()).collect();
        let changes = labels.windows(2).filter(|pair| pair[0] != pair[1]).count();
        // Both thresholds may lie within the noise; each is crossed once.
        prop_assert!(changes <= 2, "{:?}", labels);
    }

    #[test]
    fn the_delay_is_limited_and_never_falls_with_the_depth(
        slow in 1u64..10_000, more in 1u64..100_000, a in 0u64..200_000, b in 0u64..200_000,
    ) {
        let limits = GateLimits::default().depth(slow, slow + more).unwrap();
        let state = |messages| Decider::new(limits).step(&depth(messages));
        let (few, many) = (state(a.min(b)), state(a.max(b)));
        if let GateState::Slow(delay) = many {
            prop_assert!((SHORTEST_DELAY..=LONGEST_DELAY).contains(&delay));
        }
        prop_assert_eq!(few.or_stricter(many.clone()).label(), many.label());
    }
}
