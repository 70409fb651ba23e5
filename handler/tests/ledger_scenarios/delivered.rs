//! A batch that is handed in and acknowledged by a response, as on Lambda: it is over when no message is left, or when its time
//! is.

use drumline::core::{
    Acknowledge, DeadLetterPath, DrainSummary, MAX_VISIBILITY, OutcomeCache, Policy, PriorOutcome,
};

use crate::world::{
    DONE, World, failed, fifo, millis, refused, rejected, retry, secs, standard, with_dlq, with_slots,
};

fn batch(policy: Policy) -> World {
    World::new(Policy { polling: None, acknowledge: Acknowledge::ByResponse, ..policy })
}

#[test]
fn it_is_over_when_none_is_left() {
    let mut world = batch(standard());
    world.is_handed(["a", "b"]);
    world.ends("a", DONE);
    assert_eq!(world.ledger.drained(), None);
    world.ends("b", retry());
    assert_eq!(world.ledger.drained(), None, "the backoff is not confirmed yet");
    assert_eq!(world.emitted(), ["start a", "start b", "a is ack", "b is retry after 1s", "hide b#1=1"]);
    world.confirm();
    assert_eq!(world.ledger.drained(), Some(DrainSummary::default()));
    assert_eq!(world.ledger.timeout(), None);
}

#[test]
fn a_batch_of_none_is_over_at_once() {
    let mut world = batch(standard());
    world.is_handed([]);
    assert_eq!(world.ledger.drained(), Some(DrainSummary::default()));
}

#[test]
fn a_message_that_is_in_the_dlq_needs_no_delete() {
    let mut world = batch(with_dlq(DeadLetterPath::Copy, standard()));
    world.is_handed(["a"]);
    world.ends("a", rejected());
    world.confirm();
    assert_eq!(world.emitted(), ["start a", "a is dead letter: why", "copy a: why", "a is moved"]);
    assert!(world.ledger.drained().is_some());
}

#[test]
fn a_missing_permission_delays_nobody() {
    let mut world = batch(standard());
    world.is_handed(["a"]);
    world.ends("a", retry());
    world.forget();
    world.answer(vec![refused()]);
    assert_eq!(world.emitted(), ["a's visibility stays"]);
    assert!(world.ledger.drained().is_some());
}

#[test]
fn a_visibility_is_tried_three_times_and_a_copy_until_the_end() {
    let mut world = batch(standard());
    world.is_handed(["a"]);
    world.ends("a", retry());
    world.forget();
    for _ in 0..2 {
        world.answer(vec![failed()]);
        world.wait(millis(400));
    }
    world.answer(vec![failed()]);
    assert_eq!(
        world.emitted(),
        ["a's call failed", "hide a#1=1", "a's call failed", "hide a#1=1", "a is unsettled"]
    );
    assert!(world.ledger.drained().is_some());

    let mut world = batch(with_dlq(DeadLetterPath::Copy, standard()));
    world.is_handed(["a"]);
    world.ends("a", rejected());
    for _ in 0..4 {
        world.answer(vec![failed()]);
        world.wait(secs(6));
    }
    assert_eq!(world.ledger.drained(), None);
    world.answer(vec![refused()]);
    assert_eq!(world.ledger.drained(), None, "the permission may be given while the lease lasts");
}

#[test]
fn a_response_waits_two_seconds_for_an_unconfirmed_visibility() {
    let mut world = batch(standard());
    world.is_handed(["a", "b"]);
    world.ends("b", DONE);
    world.ends("a", retry());
    world.forget();
    world.wait(millis(1_999));
    assert_eq!(world.emitted(), ["hide a#1=1"], "repeated once");
    assert_eq!(world.ledger.drained(), None);
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["a is unsettled"]);
    assert!(
        world.ledger.drained().is_some(),
        "what SQS still does with the calls is of no use to the response"
    );
}

#[test]
fn a_response_does_not_wait_for_a_queue_known_not_to_answer() {
    let mut world = batch(Policy { confirm_within: millis(500), ..standard() });
    world.is_handed(["a"]);
    world.ends("a", retry());
    world.wait(millis(500));
    assert_eq!(world.emitted(), ["start a", "a is retry after 1s", "hide a#1=1", "a is unsettled"]);
    assert!(world.ledger.drained().is_some());
}

#[test]
fn an_unanswered_renewal_delays_a_response_by_at_most_3_s() {
    let mut world = batch(standard());
    world.is_handed(["a"]);
    world.wait(secs(16));
    world.ends("a", retry());
    world.wait(millis(2_999));
    assert_eq!(world.ledger.drained(), None);
    world.wait(millis(1));
    assert!(world.ledger.drained().is_some());
}

#[test]
fn a_consumer_leaves_messages_whose_visibility_it_cannot_change() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", retry());
    world.forget();
    world.answer(vec![refused()]);
    assert_eq!((world.emitted(), world.ledger.in_hand()), (vec!["a's visibility stays".to_owned()], 0));
    world.receives(["b"]);
    world.ends("b", DONE);
    world.forget();
    world.answer(vec![refused()]);
    assert_eq!(world.emitted(), ["b's call failed"], "a delete is tried again");
}

#[test]
fn its_end_may_be_nearer_than_a_drain_takes() {
    let mut world = batch(with_slots(2, standard()));
    world.is_handed(["a", "b", "c"]);
    world.forget();
    world.drain_until(millis(500));
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["c is release", "cancel a Shutdown", "cancel b Shutdown", "hide c#1=0"]);
    world.confirm();
    assert_eq!(world.ledger.drained(), None);
    world.wait(millis(400));
    assert_eq!(world.ledger.drained(), Some(DrainSummary { drained: 0, released: 1, abandoned: 2 }));
}

#[test]
fn a_whole_batch_may_be_one_lane() {
    let mut world = batch(Policy { one_lane: true, ..fifo() });
    world.is_handed(["g/a", "h/b", "g/c"]);
    world.ends("a", DONE);
    world.ends("b", retry());
    assert_eq!(
        world.emitted(),
        ["start a", "a is ack", "start b", "b is retry after 1s", "c is release", "hide b#1=1 c#1=3"]
    );
}

#[test]
fn a_turn_alone_saves_nobody_here() {
    let mut world = batch(standard());
    world.is_handed(["a", "s*9"]);
    assert_eq!(world.emitted(), ["start a", "start s"]);
}

#[test]
fn a_lease_that_turns_out_short_is_renewed_from_then_on() {
    let mut world = batch(Policy { lease: MAX_VISIBILITY, ..standard() });
    world.is_handed(["a"]);
    world.forget();
    world.wait(secs(2));
    assert!(world.emitted().is_empty());
    world.learns_lease(secs(20));
    world.wait(secs(8));
    assert_eq!(world.emitted(), ["hide a#1=20"], "ten seconds after it came");
}

#[test]
fn a_lease_that_turns_out_to_be_over_is_lost() {
    let mut world = batch(Policy { lease: MAX_VISIBILITY, ..standard() });
    world.is_handed(["a"]);
    world.forget();
    world.wait(secs(5));
    world.learns_lease(secs(5));
    assert_eq!(world.emitted()[..2], ["a lost its lease", "cancel a LeaseLost"]);
}

#[test]
fn what_one_batch_learned_the_next_one_knows() {
    let policy = || Policy { polling: None, acknowledge: Acknowledge::ByResponse, ..standard() };
    let mut world = World::new(policy());
    world.is_handed(["a", "b", "c"]);
    world.ends("a", DONE);
    world.ends("b", rejected());
    let mut memory = OutcomeCache::default();
    let learned = world.learned();
    assert!(
        matches!(learned[..], [("a", PriorOutcome::Done { .. }), ("b", PriorOutcome::FailedPermanently(_))]),
        "{learned:?}"
    );
    for (id, prior) in learned {
        memory.learn(id, prior);
    }
    let mut world = World::recalling(policy(), memory.about(["a", "b", "c"]));
    world.is_handed(["a*2", "b*2", "c"]);
    world.wait(secs(1));
    assert_eq!(
        world.emitted(),
        ["a was done before", "a is ack", "b is dead letter: why", "start c", "hide b#1=0"]
    );
}
