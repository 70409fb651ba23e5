//! A run that its service throttles is not an attempt: its type is closed for the time that the service requests, and then one
//! message probes the service.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use drumline::core::{Claims, Ending, JobClass, LimitRules, Limits, Policy, ReceiveLimit, RunReport};

use crate::world::{DONE, World, fifo, millis, retry, secs, standard, with_slots};

fn throttled(after: Option<Duration>) -> Ending {
    Ending::Throttled { after, reason: "429 Too Many Requests".into() }
}

fn asked(secs: u64) -> Ending {
    throttled(Some(Duration::from_secs(secs)))
}

fn with_limits(policy: Policy) -> (World, Limits) {
    let mut world = World::new(policy);
    let limits = Limits::new(LimitRules::none(NonZeroUsize::MIN));
    world.ledger.set_limits(limits.clone());
    world.agrees();
    (world, limits)
}

/// The run of this message requests its permit, as every run does once its type has a state: here it has to wait.
#[track_caller]
fn must_wait(world: &mut World, limits: &Limits, name: &str) {
    let mail = JobClass::of_type("mail");
    let wait = limits.ask(world.now, &mail).expect_err("it waits");
    let ending =
        Ending::Limited { remaining: Duration::ZERO, limit: wait.reason, reason: "throttled".into() };
    let report = RunReport::new(ending, Some("mail".into()));
    world.ends_with(name, RunReport { limited: Some(Box::new((mail, wait))), ..report });
}

fn starts(world: &mut World) -> Vec<String> {
    world.emitted().into_iter().filter(|line| line.starts_with("start")).collect()
}

#[test]
fn closes_the_type_for_the_requested_time_until_a_probe() {
    let (mut world, limits) = with_limits(standard());
    world.receives(["a", "b", "c"]);
    world.forget();
    world.ends_as("a", asked(30), Some("mail"));
    assert_eq!(world.emitted(), ["a is kept in hand"]);
    world.ends_as("b", asked(20), Some("mail"));
    world.receives(["d"]);
    must_wait(&mut world, &limits, "d");
    world.forget();
    world.wait(millis(29_999));
    assert!(world.emitted().iter().all(|line| line.starts_with("hide")), "all are renewed");
    world.wait(millis(1));
    assert_eq!(starts(&mut world), ["start a"], "one alone");
    // It started before the type was closed, so its success is no evidence.
    world.ends_as("c", DONE, Some("mail"));
    world.forget();
    world.ends_as("a", DONE, Some("mail"));
    assert_eq!(starts(&mut world), ["start b", "start d"]);
}

#[test]
fn a_throttled_probe_closes_the_type_again() {
    let (mut world, limits) = with_limits(standard());
    world.receives(["a", "b"]);
    world.ends_as("a", asked(5), Some("mail"));
    must_wait(&mut world, &limits, "b");
    world.forget();
    world.wait(secs(5));
    assert_eq!(world.emitted(), ["start a"]);
    world.ends_as("a", asked(5), Some("mail"));
    world.forget();
    world.wait(secs(5));
    assert_eq!(world.emitted(), ["start b"]);
    world.ends_as("b", retry(), Some("mail"));
    assert_eq!(world.emitted(), ["b is retry after 1s", "start a"], "a failure shows that it is over, too");
}

#[test]
fn without_a_time_pauses_of_throttled_probes_grow_to_a_minute() {
    let (mut world, _) = with_limits(standard());
    world.receives(["a*1"]);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        world.ends_as("a", throttled(None), Some("mail"));
        world.forget();
        let from = world.elapsed();
        while !world.emitted().contains(&"start a".to_owned()) {
            world.wait(millis(250));
        }
        pauses.push(world.elapsed().saturating_sub(from).as_millis());
    }
    // Jitter adds at most a quarter.
    assert_eq!(pauses, [1_250, 2_500, 5_000, 10_000, 20_000, 40_000, 75_000, 75_000, 75_000]);
    world.ends_as("a", DONE, Some("mail"));
    world.receives(["b"]);
    world.ends_as("b", throttled(Some(Duration::ZERO)), Some("mail"));
    world.forget();
    world.wait(millis(1_250));
    assert_eq!(world.emitted(), ["start b"], "it begins anew, and a time of nothing is none");
}

#[test]
fn a_message_is_hidden_after_ten_throttled_runs() {
    let (mut world, _) = with_limits(standard());
    world.receives(["a"]);
    for _ in 0..10 {
        world.ends_as("a", asked(3), Some("mail"));
        world.wait(secs(3));
    }
    world.forget();
    world.ends_as("a", asked(3), Some("mail"));
    assert_eq!(world.emitted(), ["a is retry after 4s", "hide a#1=4", "a is settled"]);
}

#[test]
fn a_message_on_its_last_receive_stays_as_long_as_sqs_lets_it() {
    let receives = ReceiveLimit::AtMost(NonZeroU32::new(3).unwrap());
    let (mut world, _) = with_limits(Policy { receives, ..standard() });
    world.receives(["a*3"]);
    for _ in 0..50 {
        world.ends_as("a", asked(700), Some("mail"));
        world.wait(secs(700));
    }
    world.forget();
    world.ends_as("a", DONE, Some("mail"));
    assert!(world.emitted().contains(&"a is ack".to_owned()));
}

#[test]
fn messages_beyond_the_slots_are_hidden_until_the_type_opens() {
    let (mut world, _) = with_limits(with_slots(2, standard()));
    world.receives(["a", "b"]);
    world.ends_as("a", asked(60), Some("mail"));
    world.ends_as("b", asked(60), Some("mail"));
    world.receives(["c", "d"]);
    world.forget();
    world.ends_as("c", asked(60), Some("mail"));
    assert_eq!(world.emitted()[0], "c is retry after 75s");
    world.forget();
    world.ends_as("d", asked(601), Some("other"));
    assert_eq!(world.emitted()[0], "d is retry after 751.25s");
}

#[test]
fn the_claim_is_given_up_uncounted_before_the_message_waits() {
    let (mut world, _) = with_limits(Policy { claims: Claims::Required, ..standard() });
    world.receives(["a"]);
    world.is_granted("a");
    world.forget();
    world.ends_as("a", asked(5), Some("mail"));
    assert_eq!(world.emitted(), ["release the claim of a, uncounted", "a is kept in hand"]);
    world.claim_is_free();
    world.forget();
    world.wait(secs(5));
    assert_eq!(world.emitted()[0], "start a");
}

#[test]
fn a_throttled_head_keeps_its_lane_in_order() {
    let (mut world, _) = with_limits(fifo());
    world.receives(["g/a", "g/b"]);
    world.forget();
    world.ends_as("a", asked(5), Some("mail"));
    world.wait(secs(5));
    assert_eq!(world.emitted(), ["a is kept in hand", "start a"]);
    world.ends_as("a", DONE, Some("mail"));
    assert!(world.emitted().contains(&"start b".to_owned()));
}

#[test]
fn a_throttled_run_that_was_stopped_still_closes_its_type() {
    let (mut world, limits) = with_limits(standard());
    world.receives(["a", "b"]);
    world.drain(secs(1));
    world.wait(secs(1));
    world.forget();
    world.ends_as("a", asked(30), Some("mail"));
    assert_eq!(world.emitted()[0], "a is retry after 37.5s", "not at once, to another worker");
    assert!(limits.ask(world.now, &JobClass::of_type("mail")).is_err());
    assert!(limits.ask(world.now, &JobClass::of_type("other")).is_ok());
}

#[test]
fn a_throttled_head_stays_before_a_last_receive_neighbour() {
    let receives = ReceiveLimit::AtMost(NonZeroU32::new(3).unwrap());
    let (mut world, _) = with_limits(Policy { receives, ..fifo() });
    world.receives(["g/a", "g/b*3"]);
    world.forget();
    world.ends_as("a", asked(700), Some("mail"));
    world.wait(secs(700));
    assert_eq!(starts(&mut world), ["start a"], "it was not returned, and its neighbour with it");
}
