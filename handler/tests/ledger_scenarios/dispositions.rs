//! Each message has one final disposition: with its outcome, or with the answer about its copy.

use drumline::core::{Acknowledge, DeadLetterPath, Disposition, Policy};

use crate::world::{DONE, LEASE, World, failed, gone, rejected, retry, secs, standard, with_dlq, with_slots};

fn batch(policy: Policy) -> World {
    World::new(Policy { polling: None, acknowledge: Acknowledge::ByResponse, ..policy })
}

fn of(name: &str, disposition: Disposition) -> (String, Disposition) {
    (name.to_owned(), disposition)
}

#[test]
fn an_outcome_is_final_whatever_sqs_answers() {
    for mut world in [batch(standard()), World::new(standard())] {
        if world.asked_for().is_empty() {
            world.is_handed(["a", "b", "c"]);
        } else {
            world.receives(["a", "b", "c"]);
        }
        assert_eq!(world.finished(), []);
        world.ends("a", DONE);
        world.ends("b", retry());
        world.ends("c", rejected());
        let all = [
            of("a", Disposition::Done),
            of("b", Disposition::Returned),
            of("c", Disposition::FailedPermanently),
        ];
        assert_eq!(world.finished(), all);
        world.agrees();
        world.wait(2 * LEASE);
        assert_eq!(world.finished(), []);
    }
}

#[test]
fn what_never_ran_is_returned_by_a_drain() {
    let mut world = batch(with_slots(1, standard()));
    world.is_handed(["a", "b"]);
    world.drain(secs(5));
    assert_eq!(world.finished(), [of("b", Disposition::Returned)]);
    world.wait(secs(100));
    assert_eq!(world.finished(), [], "a run that does not stop is abandoned without a disposition");
    assert_eq!(world.ledger.drained().map(|summary| summary.abandoned), Some(1));
}

fn copying() -> World {
    let mut world = batch(with_dlq(DeadLetterPath::Copy, standard()));
    world.is_handed(["a"]);
    world.ends("a", rejected());
    assert_eq!(world.finished(), [], "the copy decides");
    world
}

#[test]
fn a_message_may_be_deleted_once_its_copy_is_confirmed() {
    let mut world = copying();
    world.confirm();
    assert_eq!(world.finished(), [of("a", Disposition::DeadLettered)]);
}

#[test]
fn a_copy_that_fails_for_good_leaves_its_message_in_the_queue() {
    let mut world = copying();
    world.answer(vec![failed()]);
    assert_eq!(world.finished(), [], "it is tried again");
    world.wait(secs(1));
    world.answer(vec![gone()]);
    assert_eq!(world.finished(), [of("a", Disposition::FailedPermanently)]);
}

#[test]
fn a_copy_that_is_confirmed_after_the_lease_counts() {
    let mut world = copying();
    world.wait(LEASE);
    assert_eq!((world.ledger.in_hand(), world.finished()), (0, vec![]));
    world.confirm();
    assert_eq!(world.finished(), [of("a", Disposition::DeadLettered)]);
    assert!(world.ledger.drained().is_some());
}

#[test]
fn a_copy_that_fails_after_the_lease_returns_its_message() {
    let mut world = copying();
    world.wait(LEASE);
    world.answer(vec![failed()]);
    assert_eq!(world.finished(), [of("a", Disposition::FailedPermanently)]);
}

#[test]
fn a_copy_without_an_answer_ends_with_the_call_or_the_drain() {
    let mut world = copying();
    world.wait(secs(119));
    assert_eq!(world.finished(), []);
    world.wait(secs(1));
    assert_eq!(world.finished(), [of("a", Disposition::FailedPermanently)]);
    world.confirm();
    assert_eq!(world.finished(), [], "too late");

    let mut world = copying();
    world.drain_until(secs(2));
    world.wait(secs(2));
    assert_eq!(world.finished(), [of("a", Disposition::FailedPermanently)]);
}
