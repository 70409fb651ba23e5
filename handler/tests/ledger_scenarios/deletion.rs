//! After its job is done, a message's delete is retried persistently, and its job is not run again.

use crate::world::{DONE, World, failed, fifo, gone, millis, rejected, retry, secs, standard};

#[test]
fn only_success_deletes() {
    let mut world = World::new(standard());
    world.receives(["a", "b", "c", "d"]);
    world.forget();
    world.ends("a", retry());
    world.ends("b", rejected());
    world.ends("c", drumline::core::Ending::Panicked { reason: "boo".into() });
    world.ends("d", DONE);
    let deletes: Vec<_> = world.emitted().into_iter().filter(|line| line.starts_with("delete")).collect();
    assert_eq!(deletes, ["delete d#1"]);
}

#[test]
fn failed_deletes_are_tried_again_one_by_one() {
    let mut world = World::new(standard());
    world.receives(["a", "b", "c"]);
    world.forget();
    for name in ["a", "b", "c"] {
        world.ends(name, DONE);
    }
    assert_eq!(world.emitted(), ["a is ack", "b is ack", "c is ack", "delete a#1 b#1 c#1"]);
    world.answer(vec![Ok(()), failed(), Ok(())]);
    assert_eq!(world.emitted(), ["a is settled", "b's call failed", "c is settled"]);
    world.wait(millis(199));
    assert!(world.emitted().is_empty());
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["delete b#1"]);
}

#[test]
fn the_delay_between_tries_grows_until_the_lease_ends() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    let mut delays = Vec::new();
    loop {
        world.forget();
        world.answer(vec![failed()]);
        let since = world.now;
        while world.emitted().iter().all(|line| !line.starts_with("delete")) && world.ledger.in_hand() > 0 {
            world.wait(millis(100));
        }
        if world.ledger.in_hand() == 0 {
            break;
        }
        delays.push((world.now - since).as_millis());
    }
    assert_eq!(delays, [200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000]);
    assert_eq!(world.elapsed(), secs(29), "given up at the lease's end");
}

#[test]
fn a_failed_delete_succeeds_with_the_next_receipt_without_a_run() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    world.answer(vec![failed()]);
    world.take_receive();
    world.wait(secs(29));
    assert_eq!(world.emitted().last().unwrap(), "a is unsettled");
    world.answers_nothing();
    world.wait(secs(5));
    world.forget();
    world.is_handed(["a"]);
    assert_eq!(world.emitted(), ["a was done before", "a is ack", "delete a#2"]);
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled"]);
}

#[test]
fn a_delete_without_an_answer_holds_its_slot_within_the_lease() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    world.take_call();
    world.wait(secs(28));
    assert_eq!(world.ledger.in_hand(), 1);
    world.wait(secs(1));
    assert_eq!(world.ledger.in_hand(), 0);
}

#[test]
fn an_unanswered_delete_is_repeated_before_its_lease_ends() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    let first = world.take_call();
    world.forget();
    world.wait(millis(4_999));
    assert!(world.emitted().is_empty());
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["delete a#1"], "after a sixth of the lease");
    world.confirm();
    assert_eq!((world.emitted(), world.ledger.in_hand()), (vec!["a is settled".to_owned()], 0));
    world.answer_call(&first, vec![gone()]);
    assert!(world.emitted().is_empty(), "the first one's answer counts no more");
}

#[test]
fn a_delete_is_repeated_near_the_end_of_its_lease_too() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(14));
    world.ends("a", DONE);
    world.wait(secs(13));
    let deletes = world.emitted().into_iter().filter(|line| line == "delete a#1").count();
    assert!((3..=6).contains(&deletes), "{deletes}");
}

#[test]
fn a_repeated_delete_that_fails_leaves_the_other_one_its_chance() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    let first = world.take_call();
    world.wait(secs(5));
    world.answer(vec![failed()]);
    world.forget();
    world.answer_call(&first, vec![Ok(())]);
    assert_eq!((world.emitted(), world.ledger.in_hand()), (vec!["a is settled".to_owned()], 0));
}

#[test]
fn a_refused_delete_is_over_at_once() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    world.forget();
    world.answer(vec![gone()]);
    assert_eq!(world.emitted(), ["a is unsettled"]);
    assert_eq!(world.ledger.in_hand(), 0);
}

#[test]
fn a_redelivered_deleted_message_is_deleted_again() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    world.confirm();
    world.forget();
    world.receives(["a"]);
    assert_eq!(world.emitted(), ["a was done before", "a is ack", "delete a#2"]);
}

#[test]
fn a_done_message_redelivered_in_a_drain_is_deleted() {
    // If it were released, a process that does not remember it would run it again.
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.ends("a", DONE);
    world.answer(vec![gone()]);
    world.drain(secs(25));
    world.forget();
    world.receives(["a"]);
    assert_eq!(world.emitted(), ["a was done before", "a is ack", "delete a#2"]);
}

#[test]
fn a_lane_is_released_if_the_delete_of_its_head_is_unconfirmed() {
    // The head is still in the queue: any message that runs now would overtake it.
    let mut world = World::new(fifo());
    world.receives(["g/a", "g/b", "g/c"]);
    world.ends("a", DONE);
    world.forget();
    world.answer(vec![gone()]);
    assert_eq!(world.emitted(), ["a is unsettled", "b is release", "c is release", "hide b#1=2 c#1=2"]);
}
