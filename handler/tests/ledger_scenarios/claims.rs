//! A claim is renewed with the lease, and released before its message; only the store takes it away.

use std::num::NonZeroU32;

use drumline::core::{Claims, Ending, Ownership, Policy};

use crate::world::{DONE, World, fifo, millis, rejected, retry, secs, standard};

pub(crate) fn claiming() -> Policy {
    Policy { claims: Claims::Required, ..standard() }
}

/// A run with its claim.
pub(crate) fn running() -> World {
    let mut world = World::new(claiming());
    world.receives(["a"]);
    assert_eq!(world.emitted(), ["start a"]);
    world.is_granted("a");
    world
}

fn no_route() -> Result<Ownership, String> {
    Err("no route".into())
}

#[test]
fn is_renewed_by_the_same_beat_as_the_lease() {
    let mut world = World::new(Policy { polling: None, ..claiming() });
    world.is_handed(["a"]);
    assert_eq!(world.emitted(), ["start a"]);
    world.is_granted("a");
    for _ in 0..3 {
        world.wait(secs(15));
        assert_eq!(world.emitted(), ["hide a#1=30", "renew the claim of a for 27s"]);
        world.confirm();
        world.claim_is(Ok(Ownership::Kept));
        assert!(world.emitted().is_empty());
    }
}

#[test]
fn is_renewed_every_half_minute_whatever_the_lease() {
    let mut world = World::new(Policy { lease: secs(3600), ..claiming() });
    world.receives(["a"]);
    world.is_granted("a");
    world.forget();
    world.wait(secs(30));
    assert_eq!(world.emitted(), ["renew the claim of a for 54s"]);
}

#[test]
fn ends_with_the_invocation_whose_runs_are_to_be_over_by_then() {
    let mut world = World::new(Policy { polling: None, lease: secs(3600), ..claiming() });
    world.ledger.set_deadline(world.now + secs(42));
    world.is_handed(["a"]);
    assert_eq!(world.claim_length, secs(45), "and what a drain takes");
    world.is_granted("a");
    world.forget();
    world.wait(secs(25));
    assert_eq!(world.emitted(), ["renew the claim of a for 20s"]);
}

#[test]
fn no_claims_no_beat() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.agrees();
    world.wait(secs(100));
    assert!(world.emitted().iter().all(|line| !line.contains("claim")));
}

#[test]
fn is_not_renewed_before_it_is_granted() {
    let mut world = World::new(claiming());
    world.receives(["a"]);
    world.agrees();
    world.forget();
    world.wait(secs(40));
    assert!(world.emitted().iter().all(|line| !line.contains("claim")));
    world.is_granted("a");
    assert_eq!(world.emitted(), ["renew the claim of a for 27s"], "it was asked for at the start");
}

#[test]
fn that_is_another_runs_stops_its_own_like_a_lost_lease() {
    let mut world = running();
    world.wait(secs(15));
    world.confirm();
    world.forget();
    world.claim_is(Ok(Ownership::Lost));
    assert_eq!(world.emitted(), ["a lost its claim", "cancel a LeaseLost"]);
    world.ends("a", retry());
    assert_eq!(world.emitted(), ["release the claim of a, uncounted", "a is lease lost"]);
    world.claim_is_free();
    assert!(world.emitted().is_empty(), "no call is made");
}

#[test]
fn that_cannot_be_renewed_cancels_no_handler() {
    let mut world = running();
    world.agrees();
    world.wait(secs(15));
    world.forget();
    world.claim_is(no_route());
    world.wait(secs(2));
    assert_eq!(world.emitted()[0], "a's claim was not renewed", "noted once");
    while world.elapsed() < secs(300) {
        world.claim_is(no_route());
        world.wait(secs(2));
        let emitted = world.emitted();
        assert!(emitted.contains(&"renew the claim of a for 27s".to_owned()), "{emitted:?}");
        assert!(!emitted.iter().any(|line| line.starts_with("cancel")), "{emitted:?}");
    }
    world.claim_is(Ok(Ownership::Kept));
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["mark a as done"]);
}

#[test]
fn whose_renewal_is_not_answered_is_renewed_in_parallel() {
    let mut world = running();
    world.agrees();
    world.wait(secs(15));
    world.forget();
    world.wait(millis(4_499));
    assert!(world.emitted().is_empty());
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["renew the claim of a for 27s"], "after a sixth of its length");
    world.claim_is(Ok(Ownership::Kept));
    world.claim_is(Ok(Ownership::Kept));
    world.wait(millis(10_499));
    assert!(!world.emitted().iter().any(|line| line.contains("claim")), "counted from the first request");
    world.wait(millis(1));
    assert!(world.emitted().contains(&"renew the claim of a for 27s".to_owned()));
}

#[test]
fn that_is_not_answered_is_asked_for_until_the_patience_is_over() {
    let mut world = World::new(claiming());
    world.agrees();
    world.receives(["a"]);
    world.forget();
    let mut asked = Vec::new();
    loop {
        world.claim_is_unanswered("a");
        world.claim_is_unanswered("a");
        if world.emitted().contains(&"end a without a claim".to_owned()) {
            break;
        }
        let before = world.elapsed().as_millis();
        while !world.emitted().contains(&"ask for the claim of a for 27s".to_owned()) {
            world.wait(millis(10));
        }
        asked.push(world.elapsed().as_millis() - before);
    }
    assert_eq!(asked, [100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000, 3_000, 3_000, 3_000]);
    world.wait(secs(60));
    assert!(!world.emitted().iter().any(|line| line.starts_with("ask")));
    world.ends("a", Ending::StoreUnavailable { reason: "no route".into() });
    assert_eq!(world.emitted()[0], "a is retry after 60s");
}

#[test]
fn without_an_answer_is_not_requested_once_the_run_must_stop() {
    let mut world = World::new(claiming());
    world.receives(["a"]);
    world.take_receive();
    world.claim_is_unanswered("a");
    world.drain(secs(0));
    world.forget();
    world.wait(millis(900));
    assert!(!world.emitted().iter().any(|line| line.starts_with("ask")));
    world.claim_is_unanswered("a");
    world.ends("a", Ending::StoreUnavailable { reason: "no route".into() });
    assert_eq!(world.emitted()[0], "a is release");
}

#[test]
fn that_is_not_answered_is_done_without_where_that_is_asked_for() {
    let mut world = World::new(Policy { claims: Claims::BestEffort, ..standard() });
    world.receives(["a"]);
    world.forget();
    world.claim_is_unanswered("a");
    assert_eq!(world.emitted(), ["run a without a claim", "a runs unclaimed"]);
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete a#1"]);
}

#[test]
fn is_free_before_its_message_goes_back() {
    let mut world = running();
    world.ends("a", retry());
    assert_eq!(world.emitted(), ["release the claim of a", "a is retry after 1s"]);
    world.wait(secs(1));
    assert!(world.emitted().is_empty());
    world.claim_is_free();
    assert_eq!(world.emitted(), ["hide a#1=1"]);
}

#[test]
fn is_free_before_a_message_is_released_by_a_shutdown() {
    let mut world = running();
    world.take_receive();
    world.drain(secs(5));
    world.wait(secs(5));
    world.forget();
    world.ends("a", Ending::Interrupted);
    assert_eq!(world.emitted(), ["release the claim of a, uncounted", "a is release"]);
    world.claim_is_free();
    assert_eq!(world.emitted(), ["hide a#1=0"]);
}

#[test]
fn that_is_not_released_is_retried_and_delays_its_message_3_s() {
    let mut world = running();
    world.ends("a", retry());
    world.forget();
    for wait in [100, 200, 400, 800] {
        world.release_is(no_route());
        world.wait(millis(wait - 1));
        assert!(world.emitted().is_empty());
        world.wait(millis(1));
        assert_eq!(world.emitted(), ["release the claim of a"]);
    }
    world.wait(millis(1_499));
    assert!(world.emitted().is_empty());
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["the claim of a was not released", "hide a#1=1"]);
    world.release_is(Ok(Ownership::Kept));
    assert!(world.emitted().is_empty(), "an answer that comes late");
}

#[test]
fn that_is_not_released_holds_its_message_one_second_in_a_drain() {
    let mut world = running();
    world.take_receive();
    world.drain(secs(0));
    world.ends("a", Ending::Interrupted);
    world.forget();
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["the claim of a was not released", "hide a#1=0"]);
}

#[test]
fn carries_the_verdict() {
    let mut world = running();
    world.ends("a", rejected());
    assert_eq!(world.emitted(), ["release the claim of a: why", "a is dead letter: why"]);
}

#[test]
fn the_last_attempt_has_a_verdict_too() {
    let mut world = World::new(Policy { max_attempts: NonZeroU32::new(2), ..claiming() });
    world.receives(["a*2"]);
    world.is_granted("a");
    world.forget();
    world.ends("a", retry());
    let why = "attempt 2 of 2: later";
    assert_eq!(
        world.emitted(),
        [format!("release the claim of a: {why}"), format!("a is dead letter: {why}")]
    );
}

#[test]
fn that_was_never_granted_is_not_released() {
    for (ending, outcome) in [
        (Ending::DoneBefore(Box::default()), "a is ack"),
        (Ending::FailedPermanently { reason: "why".into() }, "a is dead letter: why"),
        (Ending::StoreUnavailable { reason: "why".into() }, "a is retry after 60s"),
        (Ending::Busy { remaining: secs(8), reason: "why".into() }, "a is retry after 10s"),
    ] {
        let mut world = World::new(claiming());
        world.receives(["a"]);
        world.forget();
        world.ends("a", ending);
        assert_eq!(world.emitted()[0], outcome);
    }
}

#[test]
fn what_was_done_before_is_known_from_then_on() {
    let mut world = World::new(claiming());
    world.receives(["a"]);
    world.ends("a", Ending::DoneBefore(Box::default()));
    world.agrees();
    world.forget();
    world.receives(["a*2"]);
    assert!(world.emitted().contains(&"a was done before".to_owned()));
}

#[test]
fn a_lane_waits_for_the_claim_of_its_head() {
    let mut world = World::new(Policy { claims: Claims::Required, ..fifo() });
    world.receives(["g/a", "g/b"]);
    world.is_granted("a");
    world.forget();
    world.ends("a", retry());
    assert_eq!(
        world.emitted(),
        ["release the claim of a", "a is retry after 1s", "b is release", "hide b#1=3"]
    );
    world.claim_is_free();
    assert_eq!(world.emitted(), ["hide a#1=1"]);
}
