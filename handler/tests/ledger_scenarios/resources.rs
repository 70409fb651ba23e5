//! A run that lacks file descriptors or memory is not an attempt: the queue is paused, and its message runs again in hand.

use drumline::core::{Claims, Ending, PauseReason, Policy};

use crate::world::{DONE, World, fifo, secs, standard, with_slots};

fn lacks() -> Ending {
    Ending::OutOfResources { reason: "too many open files".into() }
}

#[test]
fn pauses_the_queue_and_keeps_the_message_which_runs_again() {
    let mut world = World::new(standard());
    world.receives(["a", "b"]);
    world.agrees();
    world.forget();
    world.ends("a", lacks());
    world.ends("b", lacks());
    assert_eq!(world.emitted(), ["paused: out_of_resources", "a is kept in hand", "b is kept in hand"]);
    assert_eq!((world.ledger.in_hand(), world.ledger.running(), world.ledger.demand()), (2, 0, 0));
    world.wait(secs(20));
    assert_eq!(world.emitted(), ["hide a#1=30 b#1=30"], "their leases are renewed");
    world.resumes(PauseReason::OutOfResources);
    assert_eq!(world.emitted(), ["resumed after 20s: out_of_resources", "start a", "start b"]);
    world.ends("a", DONE);
    assert_eq!(world.emitted()[0], "a is ack");
}

#[test]
fn leaves_after_a_minute_and_after_too_many_runs() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.agrees();
    world.ends("a", lacks());
    world.forget();
    world.wait(secs(60));
    assert!(world.emitted().contains(&"a is release".to_owned()), "another process may have what it needs");

    let mut world = World::new(standard());
    world.receives(["a"]);
    for _ in 0..3 {
        world.ends("a", lacks());
        world.resumes(PauseReason::OutOfResources);
    }
    world.forget();
    world.ends("a", lacks());
    let emitted = world.emitted();
    assert_eq!(
        emitted,
        ["paused: out_of_resources", "a is retry after 60s", "hide a#1=60"],
        "it may be its own doing"
    );
}

#[test]
fn runs_again_after_it_waited_for_a_lock_and_ran_without_claim() {
    let mut world = World::new(Policy { claims: Claims::BestEffort, ..standard() });
    world.receives(["a"]);
    world.is_locked("a", "account:42");
    world.wait(secs(1));
    assert!(world.emitted().contains(&"start a".to_owned()), "it asks again");
    world.claim_is_unanswered("a");
    world.ends("a", lacks());
    world.forget();
    world.resumes(PauseReason::OutOfResources);
    assert!(
        world.emitted().contains(&"start a".to_owned()),
        "the lock is nothing that it waits for: {:?}",
        world.emitted()
    );
}

#[test]
fn runs_again_once_its_claim_is_free() {
    let mut world = World::new(Policy { claims: Claims::Required, ..standard() });
    world.receives(["a"]);
    world.is_granted("a");
    world.forget();
    world.ends("a", lacks());
    let emitted = world.emitted();
    assert_eq!(
        emitted,
        ["paused: out_of_resources", "release the claim of a, uncounted", "a is kept in hand"]
    );
    world.resumes(PauseReason::OutOfResources);
    assert_eq!(world.emitted(), ["resumed after 0ns: out_of_resources"]);
    world.claim_is_free();
    assert_eq!(world.emitted(), ["start a"]);
}

#[test]
fn stays_the_first_of_its_group() {
    let mut world = World::new(with_slots(4, fifo()));
    world.receives(["g/a", "g/b", "h/c"]);
    world.forget();
    world.ends("a", lacks());
    world.resumes(PauseReason::OutOfResources);
    let emitted = world.emitted();
    assert_eq!(emitted[emitted.len() - 2..], ["resumed after 0ns: out_of_resources", "start a"]);
    world.ends("a", DONE);
    assert!(!world.emitted().contains(&"start b".to_owned()), "not before it is deleted");
}

#[test]
fn is_not_kept_where_messages_are_handed_in_nor_during_a_drain() {
    let mut world = World::new(Policy { polling: None, ..standard() });
    world.is_handed(["a"]);
    world.forget();
    world.ends("a", lacks());
    assert_eq!(world.emitted(), ["a is retry after 60s", "hide a#1=60"], "a function has no later");
    assert_eq!(world.ledger.pause_reasons().next(), None);

    let mut world = World::new(standard());
    world.receives(["a"]);
    world.drain(secs(25));
    world.forget();
    world.ends("a", lacks());
    assert!(world.emitted().contains(&"a is retry after 60s".to_owned()));
}
