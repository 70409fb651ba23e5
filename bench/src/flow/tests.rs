#![allow(clippy::unwrap_used)]
use super::load::Scenario;
use super::{pooled, scenarios};

/// Returns the queues' shares of the slot time and of the starts.
fn shares(scenario: &Scenario, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let world = pooled::play(scenario, seed).unwrap();
    let started: usize = world.queues.iter().map(|queue| queue.measured.started).sum();
    let measured = || world.queues.iter().map(|queue| &queue.measured);
    #[allow(clippy::cast_precision_loss, reason = "thousands")]
    let starts = measured().map(|queue| queue.started as f64 / started as f64).collect();
    let slot_time =
        measured().map(|queue| queue.slot_time.as_secs_f64() / world.used.as_secs_f64()).collect();
    (starts, slot_time)
}

#[track_caller]
fn assert_near(shares: &[f64], weights: [f64; 3]) {
    let all: f64 = weights.iter().sum();
    for (share, weight) in shares.iter().zip(weights) {
        let expected = weight / all;
        assert!((share / expected - 1.0).abs() < 0.05, "{shares:?}");
    }
}

#[test]
fn saturated_queues_have_their_shares() {
    for seed in 0..10 {
        for scenario in [scenarios::saturated(), scenarios::few_slots()] {
            let (starts, slot_time) = shares(&scenario, seed);
            assert_near(&starts, [5.0, 3.0, 1.0]);
            assert_near(&slot_time, [5.0, 3.0, 1.0]);
        }
    }
}

#[test]
fn long_jobs_take_no_slots_of_others() {
    let (_, slot_time) = shares(&scenarios::long_jobs(), 1);
    assert_near(&slot_time, [5.0, 3.0, 1.0]);
}
