//! The beat stops and its last answer is awaited before anything else is said of the message.

use crate::world::{DONE, World, failed, gone, retry, secs, standard};

/// A run with its renewal in the air.
fn amid_a_renewal() -> World {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(15));
    assert_eq!(world.heard(), ["start a", "hide a#1=30"]);
    world
}

#[test]
fn a_delete_waits_for_a_renewal_that_succeeds() {
    let mut world = amid_a_renewal();
    world.ends("a", DONE);
    assert_eq!(world.heard(), ["a is ack"]);
    world.wait(secs(5));
    assert!(world.heard().is_empty());
    world.confirm();
    assert_eq!(world.heard(), ["delete a#1"]);
    world.confirm();
    assert_eq!(world.heard(), ["a is settled"]);
}

#[test]
fn a_backoff_waits_for_a_renewal_that_succeeds() {
    let mut world = amid_a_renewal();
    world.ends("a", retry());
    assert_eq!(world.heard(), ["a is retry after 1s"]);
    world.confirm();
    assert_eq!(world.heard(), ["hide a#1=1"]);
    world.wait(secs(20));
    assert!(world.heard().iter().all(|line| line != "hide a#1=30"), "the beat has stopped");
}

#[test]
fn a_delete_waits_for_a_renewal_that_fails() {
    let mut world = amid_a_renewal();
    world.ends("a", DONE);
    world.forget();
    world.answer(vec![failed()]);
    assert_eq!(world.heard(), ["a was not renewed", "delete a#1"]);
}

#[test]
fn a_done_job_is_deleted_even_if_its_renewal_was_refused() {
    // The answer may be about a lease that was already replaced; SQS knows better than we do.
    let mut world = amid_a_renewal();
    world.ends("a", DONE);
    world.forget();
    world.answer(vec![gone()]);
    assert_eq!(world.heard(), ["a was not renewed", "delete a#1"]);
    world.answer(vec![gone()]);
    assert_eq!(world.heard(), ["a is unsettled"]);
    world.receives(["a"]);
    assert_eq!(world.heard(), ["a was done before", "a is ack", "delete a#2"]);
}

#[test]
fn without_an_answer_to_the_renewal_nothing_is_said_and_the_place_is_free_at_the_leases_end() {
    let mut world = amid_a_renewal();
    world.ends("a", DONE);
    world.forget();
    world.wait(secs(13));
    assert_eq!(world.ledger.in_hand(), 1);
    assert!(world.heard().is_empty());
    world.wait(secs(1));
    assert_eq!(world.heard(), ["a is unsettled"]);
    assert_eq!(world.ledger.in_hand(), 0);
    // The job is done all the same.
    world.receives(["a"]);
    assert_eq!(world.heard(), ["a was done before", "a is ack", "delete a#2"]);
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let mut world = amid_a_renewal();
    let renewal = world.take_call();
    world.ends("a", DONE);
    world.forget();
    world.answer_call(&renewal, vec![Ok(())]);
    assert_eq!(world.heard(), ["delete a#1"]);
    world.answer_call(&renewal, vec![gone()]);
    assert!(world.heard().is_empty());
    let delete = world.take_call();
    world.answer_call(&delete, vec![Ok(())]);
    world.answer_call(&delete, vec![failed()]);
    assert_eq!(world.heard(), ["a is settled"]);
}

#[test]
fn nothing_is_renewed_once_the_job_has_ended() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(14));
    world.ends("a", DONE);
    world.forget();
    world.wait(secs(10));
    assert!(world.heard().is_empty());
}
