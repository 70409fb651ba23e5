//! While a reason holds, no messages are received; those in hand are kept, and released at most once.

use std::num::NonZeroU32;

use drumline::core::{DrainSummary, PauseReason, Policy, ReceiveLimit};

use crate::world::{DONE, World, fifo, retry, secs, standard, with_slots};

const KEPT: u64 = 60;

#[test]
fn a_pause_opens_no_receive_and_starts_what_is_there() {
    for reason in [PauseReason::StoreDown, PauseReason::Operator] {
        let mut world = World::new(standard());
        world.pauses(reason);
        world.receives(["a"]);
        world.wait(secs(10));
        assert_eq!(world.emitted(), [format!("paused: {}", reason.label()), "start a".to_owned()]);
        assert!(world.asked_for().is_empty() && world.ledger.demand() == 0);
        assert_eq!(world.ledger.pause_reasons().collect::<Vec<_>>(), [reason]);
        world.resumes(reason);
        assert_eq!(world.emitted(), [format!("resumed after 10s: {}", reason.label())]);
        assert!(!world.asked_for().is_empty());
        assert_eq!(world.ledger.pause_reasons().next(), None);
    }
}

#[test]
fn every_reason_has_to_end() {
    let mut world = World::new(standard());
    world.take_receive();
    world.wait(secs(40));
    world.take_receive();
    world.forget();
    world.pauses(PauseReason::StoreDown);
    world.pauses(PauseReason::StoreDown);
    world.pauses(PauseReason::Operator);
    world.wait(secs(100));
    world.resumes(PauseReason::StoreDown);
    world.resumes(PauseReason::StoreDown);
    world.resumes(PauseReason::BreakerOpen);
    assert!(world.asked_for().is_empty());
    world.resumes(PauseReason::Operator);
    assert!(!world.asked_for().is_empty());
    let mut emitted = world.emitted();
    emitted.retain(|line| line != "a receive is overdue");
    assert_eq!(
        emitted,
        [
            "paused: store_down",
            "paused: operator",
            "resumed after 100s: store_down",
            "resumed after 100s: operator"
        ]
    );
}

#[test]
fn waiting_messages_are_renewed_and_start_when_the_pause_ends() {
    let mut world = World::new(standard());
    world.pauses(PauseReason::TargetUnhealthy);
    world.receives(["a"]);
    world.agrees();
    world.forget();
    world.wait(secs(KEPT - 1));
    assert_eq!(world.emitted(), ["hide a#1=30", "hide a#1=30", "hide a#1=30"]);
    world.resumes(PauseReason::TargetUnhealthy);
    assert_eq!(world.emitted(), ["resumed after 59s: target_unhealthy", "start a"]);
}

#[test]
fn what_runs_goes_on_and_its_place_stays_empty() {
    let mut world = World::new(with_slots(1, standard()));
    world.receives(["a"]);
    world.pauses(PauseReason::OutOfResources);
    world.forget();
    world.ends("a", retry());
    assert_eq!(world.emitted(), ["a is retry after 1s", "hide a#1=1"]);
    world.confirm();
    assert_eq!((world.ledger.in_hand(), world.ledger.demand()), (0, 0));
}

#[test]
fn after_its_time_each_message_is_released_once_in_an_episode() {
    let mut world = World::new(standard());
    let straggler = world.take_receive();
    world.pauses(PauseReason::BreakerOpen);
    world.is_handed(["a", "b"]);
    world.agrees();
    world.wait(secs(KEPT - 1));
    world.forget();
    world.wait(secs(1));
    let mut emitted = world.emitted();
    emitted.retain(|line| !line.ends_with("settled"));
    let renewed_and_then_released =
        ["hide a#1=30 b#1=30", "a is release", "b is release", "hide a#1=0 b#1=0"];
    assert_eq!(emitted, renewed_and_then_released);
    world.lands(straggler, &["a*2", "c"]);
    world.forget();
    world.wait(secs(600));
    let emitted = world.emitted();
    assert!(emitted.iter().all(|line| line == "hide a#2=30"), "kept from now on: {emitted:?}");
    assert_eq!(world.ledger.in_hand(), 1);
    world.resumes(PauseReason::BreakerOpen);
    assert_eq!(world.emitted()[1..], ["start a"]);
}

#[test]
fn a_message_on_its_last_receive_is_kept_because_release_kills() {
    let three = ReceiveLimit::AtMost(NonZeroU32::new(3).unwrap());
    let mut world = World::new(Policy { receives: three, ..standard() });
    world.agrees();
    world.pauses(PauseReason::TargetUnhealthy);
    world.is_handed(["a*3", "b*2"]);
    world.forget();
    world.wait(secs(KEPT + 600));
    let emitted = world.emitted();
    assert!(emitted.contains(&"b is release".to_owned()) && !emitted.contains(&"a is release".to_owned()));
    assert_eq!(world.ledger.in_hand(), 1);
    world.resumes(PauseReason::TargetUnhealthy);
    assert_eq!(world.emitted().last().map(String::as_str), Some("start a"));
}

#[test]
fn a_new_episode_releases_again() {
    let mut world = World::new(standard());
    world.agrees();
    for _ in 0..2 {
        world.pauses(PauseReason::TargetUnhealthy);
        world.is_handed(["a"]);
        world.forget();
        world.wait(secs(KEPT));
        assert!(world.emitted().contains(&"a is release".to_owned()));
        world.resumes(PauseReason::TargetUnhealthy);
    }
}

#[test]
fn a_lane_is_released_in_order_and_not_past_a_running_neighbour() {
    let mut world = World::new(fifo());
    world.agrees();
    world.receives(["g/a", "g/b", "g/c"]);
    world.pauses(PauseReason::TargetUnhealthy);
    world.is_handed(["h/x", "h/y"]);
    world.wait(secs(KEPT - 1));
    world.forget();
    world.wait(secs(1));
    let released = |world: &mut World| {
        let mut emitted = world.emitted();
        emitted.retain(|line| line.ends_with("release"));
        emitted
    };
    assert_eq!(released(&mut world), ["x is release", "y is release"]);
    world.ends("a", DONE);
    assert_eq!(released(&mut world), ["b is release", "c is release"], "whose turn it would be");
}

#[test]
fn a_drain_ends_the_waiting() {
    let mut world = World::new(standard());
    let straggler = world.take_receive();
    world.lands(straggler, &[]);
    world.pauses(PauseReason::TargetUnhealthy);
    world.is_handed(["a"]);
    world.agrees();
    world.drain(secs(5));
    world.wait(secs(100));
    assert_eq!(world.ledger.drained(), Some(DrainSummary { drained: 0, released: 1, abandoned: 0 }));
}

#[test]
fn one_reason_may_keep_in_hand_what_another_would_start() {
    let mut world = World::new(standard());
    world.pauses(PauseReason::StoreDown);
    world.pauses(PauseReason::TargetUnhealthy);
    world.is_handed(["a"]);
    world.forget();
    world.resumes(PauseReason::TargetUnhealthy);
    assert_eq!(world.emitted()[1..], ["start a"]);
    assert_eq!(world.ledger.demand(), 0);
}
