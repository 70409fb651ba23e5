//! Messages of transient failures are redelivered after their delay.

use std::time::Duration;

use drumline::RetryPolicy;
use drumline::core::{Ending, JitterMode, Policy, UnknownType};

use crate::world::{World, failed, gone, millis, rejected, retry, retry_after, secs, standard};

/// The effects for a message that is received for the `count`th time and ends so.
fn said_after(policy: Policy, count: u32, ending: Ending) -> Vec<String> {
    let mut world = World::new(policy);
    // It counts as ended before, so it is not quarantined for any receive count.
    world.receives([format!("a*{count}").as_str()]);
    world.forget();
    world.ends("a", ending);
    world.emitted()
}

#[test]
fn the_delay_doubles_with_the_receive_count() {
    for (count, delay) in [(1, 1), (2, 2), (5, 16), (40, 300), (u32::MAX, 300)] {
        let hide = format!("hide a#1={delay}");
        assert_eq!(said_after(standard(), count, retry()).last(), Some(&hide));
    }
}

#[test]
fn a_count_of_zero_is_a_first_attempt() {
    assert_eq!(said_after(standard(), 0, retry()), ["a is retry after 1s", "hide a#1=1"]);
}

#[test]
fn an_explicit_delay_is_taken_and_rounded_up() {
    assert_eq!(said_after(standard(), 1, retry_after(millis(1_001))).last().unwrap(), "hide a#1=2");
    assert_eq!(said_after(standard(), 1, retry_after(secs(600))).last().unwrap(), "hide a#1=600");
    assert_eq!(said_after(standard(), 1, retry_after(Duration::ZERO)).last().unwrap(), "hide a#1=0");
}

#[test]
fn no_delay_goes_beyond_the_twelve_hours() {
    for delay in [secs(43_200), secs(1_000_000), Duration::MAX] {
        assert_eq!(
            said_after(standard(), 1, retry_after(delay)),
            ["a is retry after 43195s", "hide a#1=43195"]
        );
    }
    let mut world = World::new(standard());
    world.agrees();
    world.receives(["a"]);
    world.wait(secs(600));
    world.forget();
    world.ends("a", retry_after(Duration::MAX));
    assert_eq!(world.emitted()[..2], ["a is retry after 42595s", "hide a#1=42595"]);
}

#[test]
fn a_delay_that_is_said_late_is_clamped_again() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", retry_after(Duration::MAX));
    world.answer(vec![failed()]);
    world.forget();
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["hide a#1=43195"]);
    world.wait(secs(2));
    world.answer(vec![failed()]);
    world.forget();
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["hide a#1=43192"]);
}

#[test]
fn job_types_have_their_own_schedule() {
    let mut policy = standard();
    let minutes: RetryPolicy = "schedule(1m,5m)".parse().unwrap();
    policy.retry_by_type.insert("mail".into(), minutes.with_jitter(JitterMode::None));
    let mut world = World::new(policy);
    world.receives(["a*2", "b*2"]);
    world.forget();
    world.ends_as("a", retry(), Some("mail"));
    world.ends_as("b", retry(), Some("other"));
    assert_eq!(world.emitted(), ["a is retry after 300s", "b is retry after 2s", "hide a#1=300 b#1=2"]);
}

#[test]
fn unknown_types_are_retried_unless_the_queue_says_otherwise() {
    let unknown = || Ending::NoHandler { reason: "who?".into() };
    assert_eq!(said_after(standard(), 2, unknown()), ["a is retry after 2s", "hide a#1=2"]);
    let policy = Policy { unknown_type: UnknownType::Reject, ..standard() };
    assert_eq!(said_after(policy, 2, unknown()), ["a is dead letter: who?", "hide a#1=0"]);
}

#[test]
fn a_panic_is_a_failed_attempt() {
    let panic = Ending::Panicked { reason: "boo".into() };
    assert_eq!(said_after(standard(), 3, panic).last().unwrap(), "hide a#1=4");
}

#[test]
fn a_failed_message_is_run_again_when_it_returns() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", retry());
    world.confirm();
    world.forget();
    world.wait(secs(1));
    world.receives(["a*2"]);
    assert_eq!(world.emitted(), ["start a"]);
}

#[test]
fn a_backoff_that_cannot_be_said_is_left_to_the_lease() {
    let mut world = World::new(standard());
    world.receives(["a", "b"]);
    world.ends("a", retry());
    world.ends("b", rejected());
    world.forget();
    world.answer(vec![gone(), failed()]);
    assert_eq!(world.emitted(), ["a is unsettled", "b's call failed"]);
    world.wait(millis(200));
    assert_eq!(world.emitted(), ["hide b#1=0"]);
    world.wait(secs(29));
    assert_eq!(world.emitted().last().unwrap(), "b is unsettled");
    assert_eq!(world.ledger.in_hand(), 0);
}
