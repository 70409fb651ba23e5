//! The same message twice: one run at a time, and the newest receipt counts.

use drumline::core::CallError;

use crate::world::{DONE, World, failed, fifo, gone, retry, retry_after, secs, standard};

#[test]
fn twice_in_one_receive_is_one_delivery_by_the_second_receipt() {
    let mut world = World::new(standard());
    world.receives(["a", "a", "b"]);
    assert_eq!(world.emitted(), ["a is here again", "start a", "start b"]);
    assert_eq!(world.ledger.in_hand(), 2);
    world.ends("a", DONE);
    world.ends("b", DONE);
    assert_eq!(world.emitted().last().unwrap(), "delete a#2 b#1");
}

#[test]
fn received_again_while_it_runs_it_goes_on_by_the_new_receipt() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(10));
    world.receives(["a"]);
    assert_eq!(world.emitted(), ["start a", "a is here again"]);
    world.wait(secs(14));
    assert!(world.emitted().is_empty(), "the new lease began 14 s ago");
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["hide a#2=30"]);
    world.confirm();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete a#2"]);
}

#[test]
fn a_refusal_of_the_old_receipt_says_nothing_of_the_new_one() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(15));
    world.receives(["a"]);
    world.forget();
    world.answer(vec![gone()]);
    let emitted = world.emitted();
    assert!(!emitted.contains(&"a lost its lease".to_owned()), "{emitted:?}");
    world.wait(secs(15));
    assert_eq!(world.emitted(), ["hide a#2=30"]);
}

#[test]
fn a_message_received_during_its_delete_is_deleted_again() {
    for answer in [Ok(()), gone()] {
        let mut world = World::new(standard());
        world.receives(["a"]);
        world.ends("a", DONE);
        assert_eq!(world.emitted(), ["start a", "a is ack", "delete a#1"]);
        world.receives(["a"]);
        assert_eq!(world.emitted(), ["a is here again"]);
        world.answer(vec![answer]);
        assert_eq!(world.emitted(), ["delete a#2"]);
        world.confirm();
        assert_eq!(world.emitted(), ["a is settled"]);
    }
}

#[test]
fn a_delete_is_retried_with_the_newest_receipt() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    world.answer(vec![failed()]);
    world.receives(["a"]);
    world.forget();
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["delete a#2"]);
}

#[test]
fn a_failing_delete_in_flight_is_followed_by_the_new_receipts() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    world.receives(["a"]);
    world.answer(vec![failed()]);
    world.forget();
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["delete a#2"]);
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled"], "and not once more");
}

#[test]
fn a_message_received_during_its_backoff_is_hidden_again() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", retry());
    world.receives(["a"]);
    world.forget();
    world.confirm();
    assert_eq!(world.emitted(), ["hide a#2=1"]);
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled"]);
}

#[test]
fn received_before_the_answer_to_its_release_it_runs_again() {
    // With any answer, SQS carried out the release.
    for answer in [Ok(()), gone(), failed()] {
        let mut world = World::new(standard());
        world.receives(["a"]);
        world.ends("a", retry_after(secs(0)));
        assert_eq!(world.emitted(), ["start a", "a is retry after 0ns", "hide a#1=0"]);
        world.receives(["a"]);
        assert_eq!(world.emitted(), ["a is settled", "start a"]);
        world.answer(vec![answer]);
        assert!(world.emitted().is_empty());
        world.ends("a", DONE);
        assert_eq!(world.emitted(), ["a is ack", "delete a#2"]);
        world.confirm();
        assert_eq!(world.ledger.in_hand(), 0);
    }
}

#[test]
fn received_after_its_backoff_it_runs_again_without_an_answer() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", retry());
    world.forget();
    world.wait(secs(1));
    world.receives(["a"]);
    assert_eq!(world.emitted(), ["a is settled", "start a"]);
}

#[test]
fn in_a_group_it_runs_again_in_its_place() {
    let mut world = World::new(fifo());
    world.receives(["g/a", "g/b"]);
    world.ends("a", retry_after(secs(0)));
    world.forget();
    world.receives(["g/a", "g/c"]);
    assert_eq!(world.emitted(), ["a is settled", "start a"]);
    world.confirm();
    assert_eq!(world.emitted(), ["b is settled", "c is release", "hide c#1=2"], "c would overtake b");
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete a#2"]);
}

#[test]
fn received_after_a_lost_lease_it_waits_for_the_first_run() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(15));
    world.answer(vec![gone()]);
    world.forget();
    world.receives(["a"]);
    assert!(world.emitted().is_empty(), "never two at once");
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["abort a"]);
    world.ends("a", retry());
    assert_eq!(world.emitted(), ["a is lease lost", "start a"]);
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete a#2"]);
}

#[test]
fn after_a_lost_lease_it_is_deleted_if_its_first_run_succeeds() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(15));
    world.answer(vec![gone()]);
    world.receives(["a"]);
    world.forget();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is lease lost", "a was done before", "a is ack", "delete a#2"]);
}

#[test]
fn a_third_receipt_joins_the_second_while_the_run_is_lost() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(15));
    world.answer(vec![Err(CallError::Gone("visible again".into()))]);
    world.receives(["a"]);
    world.receives(["a"]);
    assert_eq!(world.ledger.in_hand(), 2);
    world.ends("a", retry());
    world.forget();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete a#3"]);
}

#[test]
fn an_answer_to_one_delivery_does_not_count_for_a_later_one() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    let first = world.take_call();
    world.wait(secs(30));
    world.answers_nothing();
    world.receives(["a"]);
    world.forget();
    world.answer_call(&first, vec![Ok(())]);
    assert!(world.emitted().is_empty());
    assert_eq!(world.ledger.in_hand(), 1, "the new receipt's delete is not yet answered");
    world.confirm();
    assert_eq!(world.ledger.in_hand(), 0);
}
