//! Calls to SQS have ten entries if possible, and never wait for long.

use crate::world::{DONE, World, millis, retry, secs, standard, with_slots};

const TEN: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// `TEN`, and one that keeps running, so that the ledger is not idle.
fn eleven_run() -> World {
    let mut world = World::new(standard());
    world.receives(TEN);
    world.receives(["k"]);
    world.forget();
    world
}

#[test]
fn the_tenth_fills_the_call() {
    let mut world = eleven_run();
    for name in &TEN[..9] {
        world.ends(name, DONE);
    }
    assert!(world.emitted().iter().all(|line| !line.starts_with("delete")));
    world.ends("j", DONE);
    assert_eq!(world.emitted(), ["j is ack", "delete a#1 b#1 c#1 d#1 e#1 f#1 g#1 h#1 i#1 j#1"]);
}

#[test]
fn fewer_go_after_a_tenth_of_a_second_under_load() {
    let mut world = World::new(with_slots(40, standard()));
    world.receives(TEN);
    world.receives(["k", "l", "m", "n"]);
    for name in TEN {
        world.ends(name, DONE);
    }
    world.forget();
    world.ends("k", DONE);
    world.wait(millis(60));
    world.ends("l", DONE);
    world.forget();
    world.wait(millis(39));
    assert!(world.emitted().is_empty());
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["delete k#1 l#1"]);
}

#[test]
fn without_load_only_those_that_end_together_share_a_call() {
    let mut world = eleven_run();
    world.ends("a", DONE);
    world.wait(millis(4));
    world.ends("b", DONE);
    assert_eq!(world.emitted(), ["a is ack", "b is ack"]);
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["delete a#1 b#1"]);
}

#[test]
fn load_that_is_over_is_waited_for_no_more() {
    let mut world = World::new(with_slots(40, standard()));
    world.receives(TEN);
    world.receives(["k", "l"]);
    for name in TEN {
        world.ends(name, DONE);
    }
    world.wait(millis(200));
    world.forget();
    world.ends("k", DONE);
    world.wait(millis(5));
    assert_eq!(world.emitted(), ["k is ack", "delete k#1"]);
}

#[test]
fn nothing_lingers_when_nothing_runs() {
    let mut world = World::new(standard());
    world.receives(["a", "b"]);
    world.forget();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack"]);
    world.ends("b", retry());
    assert_eq!(world.emitted(), ["b is retry after 1s", "delete a#1", "hide b#1=1"]);
}

#[test]
fn more_than_ten_go_in_several_calls() {
    let policy = drumline::core::Policy { polling: None, ..with_slots(1, standard()) };
    let mut world = World::new(policy);
    world.is_handed(TEN);
    world.is_handed(["k", "l", "m", "n"]);
    world.forget();
    world.drain(secs(25));
    world.ends("a", DONE);
    let calls: Vec<_> = world.emitted().into_iter().filter(|line| line.starts_with("hide")).collect();
    assert_eq!(calls.iter().map(|call| call.matches('=').count()).collect::<Vec<_>>(), [10, 3]);
}

#[test]
fn a_short_lease_does_not_end_by_lingering() {
    let policy = drumline::core::Policy { lease: secs(1), ..standard() };
    let mut world = World::new(policy);
    world.receives(["a", "b"]);
    world.ends("a", DONE);
    world.forget();
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["delete a#1"]);
}
