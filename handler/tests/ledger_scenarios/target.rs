//! A run whose target is unhealthy is not an attempt: the queue is paused, and one message at a time probes the target.

use drumline::core::{Ending, PauseReason, Policy};

use crate::world::{DONE, World, fifo, retry, secs, standard, with_slots};

fn unhealthy() -> Ending {
    Ending::TargetUnhealthy { reason: "connection refused (111)".into() }
}

fn paused_with<const N: usize>(policy: Policy, messages: [&str; N]) -> World {
    let mut world = World::new(policy);
    world.receives(messages);
    world.agrees();
    for name in messages {
        world.ends(name, unhealthy());
    }
    while !world.asked_for().is_empty() {
        world.receives([]);
    }
    world.wait(secs(1));
    world.forget();
    world
}

#[test]
fn pauses_the_queue_and_keeps_the_message_without_an_attempt() {
    let mut world = World::new(standard());
    world.receives(["a", "b"]);
    world.forget();
    world.ends("a", unhealthy());
    assert_eq!(world.emitted(), ["paused: target_unhealthy", "a is kept in hand"]);
    world.ends("b", unhealthy());
    assert_eq!(world.emitted(), ["b is kept in hand"]);
    assert_eq!((world.ledger.in_hand(), world.ledger.demand()), (2, 0));
    world.resumes(PauseReason::TargetUnhealthy);
    assert_eq!(world.emitted()[1..], ["start a", "start b"]);
}

#[test]
fn one_message_at_a_time_is_the_probe_and_each_in_its_turn() {
    let mut world = paused_with(standard(), ["a", "b"]);
    world.probes();
    world.probes();
    assert_eq!(world.emitted(), ["start a"], "one at a time");
    world.ends("a", unhealthy());
    assert_eq!(world.emitted(), ["a is kept in hand"]);
    world.probes();
    assert_eq!(world.emitted(), ["start b"]);
    world.ends("b", unhealthy());
    world.forget();
    assert!(world.asked_for().is_empty());
    world.probes();
    assert_eq!(world.emitted(), ["start a"]);
    assert_eq!(world.asked_for(), [1], "all in hand have been the probe, so a further message comes");
    world.receives(["c"]);
    assert!(world.asked_for().is_empty(), "one, and not the whole queue");
    world.ends("a", unhealthy());
    world.forget();
    world.probes();
    assert_eq!(world.emitted(), ["start c"]);
    world.ends("c", DONE);
    world.resumes(PauseReason::TargetUnhealthy);
    let emitted = world.emitted();
    assert_eq!(emitted[emitted.len() - 2..], ["start b", "start a"]);
}

#[test]
fn a_probe_is_received_if_none_is_in_hand_and_costs_a_receive() {
    let mut world = paused_with(standard(), ["a"]);
    world.wait(secs(60));
    assert!(world.emitted().contains(&"a is release".to_owned()));
    world.probes();
    assert_eq!(world.asked_for(), [1]);
    world.receives(["b"]);
    assert_eq!(world.emitted().last().unwrap(), "start b");
    world.ends("b", unhealthy());
    world.forget();
    world.wait(secs(600));
    assert!(world.emitted().iter().all(|line| line.starts_with("hide b#1=30")), "it stays in hand");
}

#[test]
fn probes_are_no_runs_of_which_too_many_make_a_message_leave() {
    let mut world = paused_with(standard(), ["a"]);
    for _ in 0..20 {
        world.probes();
        world.ends("a", unhealthy());
    }
    assert_eq!(world.ledger.in_hand(), 1);
    for _ in 0..2 {
        world.resumes(PauseReason::TargetUnhealthy);
        world.ends("a", unhealthy());
    }
    assert_eq!(world.ledger.in_hand(), 1);
    world.resumes(PauseReason::TargetUnhealthy);
    world.forget();
    world.ends("a", unhealthy());
    assert_eq!(
        world.emitted()[..2],
        ["paused: target_unhealthy", "a is retry after 30s"],
        "it may be its own doing"
    );
}

#[test]
fn a_probe_that_fails_otherwise_is_an_ordinary_attempt() {
    let mut world = paused_with(standard(), ["a", "b"]);
    world.probes();
    world.ends("a", retry());
    assert!(world.emitted().contains(&"a is retry after 1s".to_owned()));
}

#[test]
fn no_probe_starts_without_a_pause_beside_another_or_in_a_drain() {
    let mut world = World::new(with_slots(1, standard()));
    world.probes();
    world.receives(["a"]);
    world.pauses(PauseReason::OutOfResources);
    world.ends("a", Ending::OutOfResources { reason: "too many open files".into() });
    world.pauses(PauseReason::TargetUnhealthy);
    world.forget();
    world.probes();
    assert!(world.emitted().is_empty());
    world.resumes(PauseReason::OutOfResources);
    world.forget();
    world.probes();
    assert_eq!(world.emitted(), ["start a"]);
    world.ends("a", unhealthy());
    world.drain(secs(5));
    world.forget();
    world.probes();
    assert!(!world.emitted().contains(&"start a".to_owned()));
}

#[test]
fn the_probe_of_a_fifo_queue_is_the_first_of_its_group() {
    let mut world = World::new(fifo());
    world.receives(["g/a", "g/b"]);
    world.agrees();
    world.ends("a", unhealthy());
    world.forget();
    for _ in 0..3 {
        world.probes();
        assert_eq!(world.emitted()[0], "start a");
        world.ends("a", unhealthy());
        world.forget();
    }
}

#[test]
fn a_quarantined_can_be_the_probe() {
    let mut world = World::new(standard());
    world.pauses(PauseReason::TargetUnhealthy);
    world.receives(["a*4", "b*4"]);
    world.agrees();
    world.forget();
    world.probes();
    let emitted = world.emitted();
    assert_eq!(emitted.iter().filter(|line| line.starts_with("start")).count(), 1, "{emitted:?}");
}
