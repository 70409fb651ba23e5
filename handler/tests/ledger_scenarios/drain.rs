//! The drain: no message starts, running jobs may finish, the others are released, and it ends in time.

use drumline::core::{Acknowledge, DrainSummary, Ending, Policy};

use crate::world::{DONE, World, failed, fifo, millis, retry, secs, standard, with_slots};

fn summary(drained: usize, released: usize, abandoned: usize) -> DrainSummary {
    DrainSummary { drained, released, abandoned }
}

/// A world without polling, so that no receive is open.
fn handed(policy: Policy) -> World {
    World::new(Policy { polling: None, ..policy })
}

#[test]
fn an_idle_ledger_is_drained_when_its_open_receive_has_landed() {
    let mut world = World::new(standard());
    world.drain(secs(25));
    assert_eq!(world.ledger.drained(), None);
    world.receives([]);
    assert_eq!(world.ledger.drained(), Some(summary(0, 0, 0)));
    assert_eq!((world.ledger.timeout(), world.ledger.demand(), world.asked_for()), (None, 0, vec![]));
}

#[test]
fn a_receive_that_fails_has_landed_too() {
    let mut world = World::new(standard());
    world.drain(secs(25));
    world.receive_fails();
    assert_eq!(world.ledger.drained(), Some(summary(0, 0, 0)));
}

#[test]
fn what_waits_is_given_back_at_once() {
    let mut world = handed(with_slots(1, standard()));
    world.is_handed(["a", "b", "c"]);
    world.forget();
    world.drain(secs(25));
    assert_eq!(world.emitted(), ["b is release", "c is release"]);
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["hide b#1=0 c#1=0"]);
    world.confirm();
    world.ends("a", DONE);
    world.confirm();
    assert_eq!(world.ledger.drained(), Some(summary(1, 2, 0)));
}

#[test]
fn a_waiting_message_is_kept_while_an_open_receive_would_get_it() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    let open = world.take_receive();
    world.is_handed(["s*3"]);
    world.forget();
    world.drain(secs(25));
    assert_eq!(world.emitted(), ["s is release"]);
    world.wait(secs(3));
    assert!(world.emitted().is_empty());
    world.lands(open, &["c"]);
    assert_eq!(world.emitted(), ["c is release"]);
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["hide c#1=0 s#1=0"], "what the receive brought goes back with it");
}

#[test]
fn nothing_is_held_beyond_the_grace() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.is_handed(["s*3"]);
    world.drain(secs(5));
    world.forget();
    world.wait(secs(5));
    assert_eq!(world.emitted(), ["cancel a Shutdown"]);
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["hide s#1=0"]);
}

#[test]
fn tails_of_lanes_are_released_in_order_after_their_head_ended() {
    let mut world = handed(fifo());
    world.is_handed(["g/a", "g/b", "g/c"]);
    world.forget();
    world.drain(secs(25));
    assert!(world.emitted().is_empty());
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete a#1"]);
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled", "b is release", "c is release", "hide b#1=0 c#1=0"]);
}

#[test]
fn what_runs_finishes_within_the_grace_as_ever() {
    let mut world = handed(standard());
    world.is_handed(["a", "b"]);
    world.forget();
    world.drain(secs(25));
    world.wait(secs(10));
    assert!(world.emitted().is_empty());
    world.ends("a", DONE);
    world.ends("b", retry());
    assert_eq!(world.emitted(), ["a is ack", "b is retry after 1s", "delete a#1", "hide b#1=1"]);
    world.confirm();
    world.confirm();
    assert_eq!(world.ledger.drained(), Some(summary(2, 0, 0)));
}

#[test]
fn a_long_grace_renews_what_runs() {
    let mut world = handed(standard());
    world.is_handed(["a"]);
    world.drain(secs(60));
    world.forget();
    world.wait(secs(15));
    assert_eq!(world.emitted(), ["hide a#1=30"]);
}

#[test]
fn after_the_grace_what_runs_is_cancelled_and_given_back() {
    let mut world = handed(standard());
    world.is_handed(["a", "b"]);
    world.forget();
    world.drain(secs(5));
    world.wait(secs(5));
    assert_eq!(world.emitted(), ["cancel a Shutdown", "cancel b Shutdown"]);
    world.ends("a", Ending::Interrupted);
    assert_eq!(world.emitted(), ["a is release"]);
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["hide a#1=0", "abort b"]);
    world.ends("b", Ending::Interrupted);
    assert_eq!(world.emitted(), ["b is release", "hide b#1=0"]);
    world.confirm();
    world.confirm();
    assert_eq!(world.ledger.drained(), Some(summary(0, 2, 0)));
}

#[test]
fn a_cancelled_run_that_retries_was_interrupted_success_counts() {
    let mut world = handed(standard());
    world.is_handed(["a", "b"]);
    world.drain(secs(5));
    world.wait(secs(5));
    world.forget();
    world.ends("a", retry());
    world.ends("b", DONE);
    assert_eq!(world.emitted(), ["a is release", "b is ack", "delete b#1", "hide a#1=0"]);
}

#[test]
fn a_blocking_run_is_left_behind_and_not_given_back() {
    let mut world = handed(standard());
    world.is_handed(["a"]);
    world.forget();
    world.drain(secs(5));
    world.wait(secs(7));
    assert_eq!(world.emitted(), ["cancel a Shutdown", "abort a"]);
    assert_eq!(world.ledger.drained(), None);
    world.wait(secs(1));
    assert_eq!(world.ledger.drained(), Some(summary(0, 0, 1)));
    assert_eq!(world.ledger.timeout(), None);
    assert!(world.emitted().is_empty());
}

#[test]
fn deletes_are_flushed_and_tried_again() {
    let mut world = handed(standard());
    world.is_handed(["a", "b"]);
    world.ends("a", DONE);
    world.drain(secs(5));
    world.wait(millis(100));
    world.forget();
    world.answer(vec![failed()]);
    assert_eq!(world.emitted(), ["a's call failed"]);
    world.wait(millis(300));
    assert_eq!(world.emitted(), ["delete a#1"]);
    world.confirm();
    world.ends("b", DONE);
    world.confirm();
    assert_eq!(world.ledger.drained(), Some(summary(1, 0, 0)), "`a` had ended before");
}

#[test]
fn a_delete_is_tried_until_the_end_even_past_its_lease() {
    let mut world = handed(standard());
    world.is_handed(["a"]);
    world.ends("a", DONE);
    for delay in [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000] {
        world.answer(vec![failed()]);
        world.wait(millis(delay));
    }
    world.answer(vec![failed()]);
    world.wait(millis(1_800));
    // Its lease ends a second after the drain's start.
    world.drain(secs(20));
    world.forget();
    for _ in 0..15 {
        world.answer(vec![failed()]);
        world.wait(secs(1));
        assert_eq!(world.emitted(), ["a's call failed", "delete a#1"]);
        assert_eq!(world.ledger.drained(), None);
    }
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled"]);
    assert_eq!(world.ledger.drained(), Some(summary(0, 0, 0)));
}

#[test]
fn an_unconfirmed_delete_is_abandoned_only_at_the_end() {
    let mut world = handed(Policy { lease: secs(2), ..standard() });
    world.is_handed(["a"]);
    world.ends("a", DONE);
    world.drain(secs(5));
    while world.ledger.drained().is_none() {
        world.answer(vec![failed()]);
        world.wait(secs(1));
    }
    assert_eq!(world.elapsed(), secs(8));
    assert_eq!(world.ledger.drained(), Some(summary(0, 0, 1)));
}

#[test]
fn what_waits_for_its_next_try_is_tried_when_the_drain_begins() {
    let mut world = handed(standard());
    world.is_handed(["a"]);
    world.ends("a", DONE);
    for _ in 0..6 {
        world.answer(vec![failed()]);
        world.wait(secs(4));
    }
    world.forget();
    world.drain(secs(5));
    assert_eq!(world.emitted(), ["delete a#1"], "its next try was a second away");
}

#[test]
fn a_missing_answer_does_not_hold_the_end_up() {
    let mut world = handed(standard());
    world.is_handed(["a"]);
    world.drain(secs(5));
    world.ends("a", DONE);
    world.wait(millis(7_999));
    assert_eq!(world.ledger.drained(), None);
    world.wait(millis(1));
    assert_eq!(world.ledger.drained(), Some(summary(1, 0, 1)));
}

#[test]
fn a_second_drain_changes_nothing() {
    let mut world = handed(standard());
    world.is_handed(["a"]);
    world.drain(secs(5));
    world.wait(secs(4));
    world.drain(secs(60));
    world.forget();
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["cancel a Shutdown"]);
}

#[test]
fn what_is_handed_in_during_a_drain_goes_back() {
    let mut world = handed(standard());
    world.is_handed(["a"]);
    world.drain(secs(25));
    world.forget();
    world.is_handed(["b"]);
    assert_eq!(world.emitted(), ["b is release"]);
}

#[test]
fn a_renewal_in_the_air_is_awaited_before_anything_goes_back() {
    let mut world = handed(with_slots(1, standard()));
    world.is_handed(["a", "b"]);
    world.wait(secs(15));
    world.drain(secs(25));
    world.forget();
    world.wait(secs(1));
    assert!(world.emitted().is_empty());
    world.answer(vec![Ok(()), Ok(())]);
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["hide b#1=0"]);
}

#[test]
fn a_lambda_batch_deletes_nothing_and_releases_the_rest_in_time() {
    let policy = Policy { acknowledge: Acknowledge::ByResponse, ..with_slots(2, standard()) };
    let mut world = handed(policy);
    world.is_handed(["a", "b", "c"]);
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["start a", "start b", "a is ack", "start c"]);
    world.ends("b", retry());
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["b is retry after 1s", "hide b#1=1"]);
    world.confirm();
    world.forget();
    world.drain(secs(0));
    assert_eq!(world.emitted(), ["cancel c Shutdown"]);
    world.ends("c", Ending::Interrupted);
    assert_eq!(world.emitted(), ["c is release", "hide c#1=0"]);
    world.confirm();
    assert_eq!(world.ledger.drained(), Some(summary(0, 1, 0)));
}
