//! Permanent failures: decided once, never run again, and deleted only after a copy is confirmed.

use drumline::core::{
    DeadLetterPath::{Copy, Nowhere, Redrive},
    Ending, Policy,
};

use crate::world::{World, failed, fifo, gone, rejected, secs, standard, with_dlq};

#[test]
fn redrive_makes_it_visible_at_once_until_sqs_takes_it_away() {
    let mut world = World::new(with_dlq(Redrive, standard()));
    world.receives(["a"]);
    world.ends("a", rejected());
    assert_eq!(world.emitted(), ["start a", "a is dead letter: why", "hide a#1=0"]);
    world.confirm();
    world.forget();
    world.receives(["a*2"]);
    assert_eq!(world.emitted(), ["a is dead letter: why", "hide a#2=0"], "it does not run again");
}

#[test]
fn undecodable_messages_are_condemned_too() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.forget();
    world.ends("a", Ending::InvalidPayload { reason: "no JSON".into() });
    assert_eq!(world.emitted(), ["a is dead letter: no JSON", "hide a#1=0"]);
}

#[test]
fn a_copy_comes_first_and_the_delete_after_its_confirmation() {
    let mut world = World::new(with_dlq(Copy, standard()));
    world.receives(["a"]);
    world.ends("a", rejected());
    assert_eq!(world.emitted(), ["start a", "a is dead letter: why", "copy a: why"]);
    world.wait(secs(5));
    assert!(world.emitted().is_empty());
    world.confirm();
    assert_eq!(world.emitted(), ["a is moved", "delete a#1"]);
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled"]);
}

#[test]
fn a_copy_that_fails_is_tried_again_and_nothing_is_deleted() {
    let mut world = World::new(with_dlq(Copy, standard()));
    world.receives(["a"]);
    world.ends("a", rejected());
    world.forget();
    world.answer(vec![failed()]);
    assert_eq!(world.emitted(), ["a's call failed"]);
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["copy a: why"]);
    world.take_call();
    world.wait(secs(28));
    assert_eq!(world.emitted(), ["a is unsettled"]);
    // It still counts as failed permanently, and is copied when it is redelivered, without a run.
    world.receives(["a*2"]);
    assert_eq!(world.emitted(), ["a is dead letter: why", "copy a: why"]);
}

#[test]
fn a_delete_that_fails_after_the_copy_makes_no_second_copy() {
    let mut world = World::new(with_dlq(Copy, standard()));
    world.receives(["a"]);
    world.ends("a", rejected());
    world.confirm();
    world.answer(vec![failed()]);
    world.forget();
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["delete a#1"]);
    world.answer(vec![gone()]);
    world.forget();
    world.receives(["a*2"]);
    assert_eq!(world.emitted(), ["a was done before", "a is ack", "delete a#2"]);
}

#[test]
fn a_copy_that_is_confirmed_after_the_leases_end_is_remembered() {
    let mut world = World::new(with_dlq(Copy, standard()));
    world.receives(["a"]);
    world.ends("a", rejected());
    let copy = world.take_call();
    world.wait(secs(29));
    world.forget();
    world.answer_call(&copy, vec![Ok(())]);
    assert_eq!(world.emitted(), ["a is moved"]);
    world.receives(["a*2"]);
    assert_eq!(world.emitted(), ["a was done before", "a is ack", "delete a#2"]);
}

#[test]
fn received_during_its_copy_it_is_deleted_by_the_new_receipt() {
    let mut world = World::new(with_dlq(Copy, standard()));
    world.receives(["a"]);
    world.ends("a", rejected());
    world.receives(["a*2"]);
    world.forget();
    world.confirm();
    assert_eq!(world.emitted(), ["a is moved", "delete a#2"]);
}

#[test]
fn without_a_dlq_messages_are_hidden_ever_longer_not_deleted() {
    let mut world = World::new(with_dlq(Nowhere, standard()));
    world.receives(["a"]);
    world.ends("a", rejected());
    assert_eq!(world.emitted(), ["start a", "a is dead letter: why", "a has no DLQ", "hide a#1=300"]);
    world.confirm();
    world.forget();
    for (message, hidden) in [("a*2", "hide a#2=600"), ("a*3", "hide a#3=1200"), ("a*30", "hide a#4=43195")] {
        world.receives([message]);
        assert_eq!(world.emitted(), ["a is dead letter: why", "a has no DLQ", hidden], "it runs no more");
        world.confirm();
        world.forget();
    }
}

#[test]
fn a_failed_head_is_received_without_its_lane_until_its_redrive() {
    let mut world = World::new(fifo());
    world.receives(["g/a", "g/b", "g/c"]);
    world.forget();
    world.ends("a", rejected());
    assert_eq!(
        world.emitted(),
        ["a is dead letter: why", "b is release", "c is release", "hide a#1=0 b#1=2 c#1=2"]
    );
}

#[test]
fn a_failed_head_releases_its_lane_and_a_moved_one_resumes_it() {
    let mut world = World::new(with_dlq(Copy, fifo()));
    world.receives(["g/a", "g/b"]);
    world.ends("a", rejected());
    assert_eq!(
        world.emitted(),
        ["start a", "a is dead letter: why", "b is release", "hide b#1=2", "copy a: why"]
    );
    world.agrees();
    world.forget();
    world.receives(["g/b*2"]);
    assert_eq!(world.emitted(), ["start b"]);
}

#[test]
fn on_lambda_a_moved_message_is_left_to_the_response() {
    let policy = Policy {
        acknowledge: drumline::core::Acknowledge::ByResponse,
        polling: None,
        ..with_dlq(Copy, standard())
    };
    let mut world = World::new(policy);
    world.is_handed(["a", "b"]);
    world.forget();
    world.ends("a", crate::world::DONE);
    assert_eq!(world.emitted(), ["a is ack"], "deleted by Lambda");
    world.ends("b", rejected());
    world.forget();
    world.confirm();
    assert_eq!(world.emitted(), ["b is moved"]);
    assert_eq!(world.ledger.in_hand(), 0);
}

#[test]
fn a_copy_is_not_retried_once_an_earlier_one_is_confirmed() {
    let mut world = World::new(with_dlq(Copy, standard()));
    world.receives(["a"]);
    world.ends("a", rejected());
    let first = world.take_call();
    world.wait(secs(29));
    world.receives(["a*2"]);
    world.answer(vec![failed()]);
    world.forget();
    world.answer_call(&first, vec![Ok(())]);
    assert_eq!(world.emitted(), ["a is moved"]);
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["delete a#2"]);
}
