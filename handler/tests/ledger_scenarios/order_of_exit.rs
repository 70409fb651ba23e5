//! Renewals stop, and the last answer is awaited, before any other call for the message.

use crate::world::{DONE, World, failed, gone, millis, retry, secs, standard};

/// A run with its renewal in flight.
fn amid_a_renewal() -> World {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(15));
    assert_eq!(world.emitted(), ["start a", "hide a#1=30"]);
    world
}

#[test]
fn a_delete_waits_for_a_renewal_that_succeeds() {
    let mut world = amid_a_renewal();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack"]);
    world.wait(millis(999));
    assert!(world.emitted().is_empty());
    world.confirm();
    assert_eq!(world.emitted(), ["delete a#1"]);
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled"]);
}

#[test]
fn a_backoff_waits_for_a_renewal_that_succeeds() {
    let mut world = amid_a_renewal();
    world.ends("a", retry());
    assert_eq!(world.emitted(), ["a is retry after 1s"]);
    world.confirm();
    assert_eq!(world.emitted(), ["hide a#1=1"]);
    world.wait(secs(20));
    assert!(world.emitted().iter().all(|line| line != "hide a#1=30"), "the beat has stopped");
}

#[test]
fn a_delete_waits_for_a_renewal_that_fails() {
    let mut world = amid_a_renewal();
    world.ends("a", DONE);
    world.forget();
    world.answer(vec![failed()]);
    assert_eq!(world.emitted(), ["a was not renewed", "delete a#1"]);
}

#[test]
fn a_done_job_is_deleted_even_if_its_renewal_was_refused() {
    // The answer may be about a lease that was already replaced; only SQS knows.
    let mut world = amid_a_renewal();
    world.ends("a", DONE);
    world.forget();
    world.answer(vec![gone()]);
    assert_eq!(world.emitted(), ["a was not renewed", "delete a#1"]);
    world.answer(vec![gone()]);
    assert_eq!(world.emitted(), ["a is unsettled"]);
    world.receives(["a"]);
    assert_eq!(world.emitted(), ["a was done before", "a is ack", "delete a#2"]);
}

#[test]
fn without_an_answer_to_the_renewal_it_settles_after_a_second() {
    for (ending, settlement) in [(DONE, "delete a#1"), (retry(), "hide a#1=1")] {
        let mut world = amid_a_renewal();
        let renewal = world.take_call();
        world.ends("a", ending);
        world.forget();
        world.wait(millis(999));
        assert!(world.emitted().is_empty());
        world.wait(millis(1));
        assert_eq!(world.emitted(), [settlement]);
        world.confirm();
        assert_eq!((world.emitted(), world.ledger.in_hand()), (vec!["a is settled".to_owned()], 0));
        world.answer_call(&renewal, vec![Ok(())]);
        assert!(world.emitted().is_empty());
    }
}

#[test]
fn a_renewals_answer_after_the_settlement_changes_nothing() {
    for reply in [Ok(()), failed(), gone()] {
        let mut world = amid_a_renewal();
        let renewal = world.take_call();
        world.ends("a", retry());
        world.wait(secs(1));
        world.forget();
        world.answer_call(&renewal, vec![reply]);
        assert!(world.emitted().iter().all(|line| line == "a was not renewed"));
        world.confirm();
        assert_eq!(world.emitted().last().unwrap(), "a is settled");
    }
}

#[test]
fn what_failed_to_settle_waits_for_the_renewal_no_second_time() {
    let mut world = amid_a_renewal();
    world.take_call();
    world.ends("a", DONE);
    world.wait(secs(1));
    world.answer(vec![failed()]);
    world.forget();
    world.wait(millis(200));
    assert_eq!(world.emitted(), ["delete a#1"]);
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let mut world = amid_a_renewal();
    let renewal = world.take_call();
    world.ends("a", DONE);
    world.forget();
    world.answer_call(&renewal, vec![Ok(())]);
    assert_eq!(world.emitted(), ["delete a#1"]);
    world.answer_call(&renewal, vec![gone()]);
    assert!(world.emitted().is_empty());
    let delete = world.take_call();
    world.answer_call(&delete, vec![Ok(())]);
    world.answer_call(&delete, vec![failed()]);
    assert_eq!(world.emitted(), ["a is settled"]);
}

#[test]
fn nothing_is_renewed_once_the_job_has_ended() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(14));
    world.ends("a", DONE);
    world.wait(secs(10));
    assert!(world.emitted().iter().all(|line| !line.starts_with("hide")));
}
