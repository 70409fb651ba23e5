//! A claim is renewed with the lease, lost like it, and free before its message is.

use std::num::NonZeroU32;

use drumline::{Ending, Held, Policy};

use crate::world::{DONE, World, fifo, millis, rejected, retry, secs, standard};

fn claiming() -> Policy {
    Policy { claims: true, ..standard() }
}

fn running() -> World {
    let mut world = World::new(claiming());
    world.receives(["a"]);
    assert_eq!(world.heard(), ["start a"]);
    world
}

#[test]
fn is_renewed_by_the_same_beat_as_the_lease() {
    let mut world = World::new(Policy { polling: None, ..claiming() });
    world.is_handed(["a"]);
    assert_eq!(world.heard(), ["start a"]);
    for _ in 0..3 {
        world.wait(secs(15));
        assert_eq!(world.heard(), ["hide a#1=30", "renew the claim of a for 27s"]);
        world.confirm();
        world.claim_is(Ok(Held::Ours));
        assert!(world.heard().is_empty());
    }
}

#[test]
fn is_renewed_every_half_minute_whatever_the_lease() {
    let mut world = World::new(Policy { lease: secs(3600), ..claiming() });
    world.receives(["a"]);
    world.forget();
    world.wait(secs(30));
    assert_eq!(world.heard(), ["renew the claim of a for 54s"]);
}

#[test]
fn ends_with_the_invocation_whose_runs_are_to_be_over_by_then() {
    let mut world = World::new(Policy { polling: None, lease: secs(3600), ..claiming() });
    world.ledger.expect_drain(world.now + secs(42));
    world.is_handed(["a"]);
    assert_eq!(world.claim_length, secs(45), "and what a drain takes");
    world.forget();
    world.wait(secs(25));
    assert_eq!(world.heard(), ["renew the claim of a for 20s"]);
}

#[test]
fn no_claims_no_beat() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.agrees();
    world.wait(secs(100));
    assert!(world.heard().iter().all(|line| !line.contains("claim")));
}

#[test]
fn that_is_somebody_elses_stops_its_run_like_a_lost_lease() {
    let mut world = running();
    world.wait(secs(15));
    world.confirm();
    world.forget();
    world.claim_is(Ok(Held::Lost));
    assert_eq!(world.heard(), ["a lost its claim", "cancel a LeaseLost"]);
    world.ends_claimed("a", DONE);
    assert_eq!(world.heard(), ["give up the claim of a, spared", "a is lease lost"]);
    world.claim_is_free();
    assert!(world.heard().is_empty(), "nothing is said to SQS");
}

#[test]
fn that_cannot_be_renewed_is_lost_at_its_end_and_not_before() {
    let mut world = running();
    world.agrees();
    world.wait(secs(15));
    world.forget();
    let mut failures = 0;
    while world.elapsed() < millis(26_900) {
        world.claim_is(Err("no route".into()));
        failures += 1;
        world.wait(secs(2));
        let heard = world.heard();
        assert_eq!(heard.first().map(String::as_str), Some("a's claim was not renewed"));
        if world.elapsed() < secs(27) {
            assert_eq!(heard.last().map(String::as_str), Some("renew the claim of a for 27s"), "{heard:?}");
        } else {
            assert!(heard.contains(&"a lost its claim".to_owned()), "{heard:?}");
        }
    }
    assert_eq!(failures, 6, "every two seconds");
}

#[test]
fn is_free_before_its_message_goes_back() {
    let mut world = running();
    world.ends_claimed("a", retry());
    assert_eq!(world.heard(), ["give up the claim of a", "a is retry after 1s"]);
    world.wait(secs(1));
    assert!(world.heard().is_empty());
    world.claim_is_free();
    assert_eq!(world.heard(), ["hide a#1=1"]);
}

#[test]
fn is_free_before_a_message_is_given_back_by_a_shutdown() {
    let mut world = running();
    world.take_receive();
    world.drain(secs(5));
    world.wait(secs(5));
    world.forget();
    world.ends_claimed("a", Ending::Interrupted);
    assert_eq!(world.heard(), ["give up the claim of a, spared", "a is release"]);
    world.claim_is_free();
    assert_eq!(world.heard(), ["hide a#1=0"]);
}

#[test]
fn that_is_never_given_up_holds_its_message_no_longer_than_the_lease() {
    let mut world = running();
    world.ends_claimed("a", retry());
    world.forget();
    world.wait(secs(30));
    assert_eq!(world.heard(), ["a is unsettled"]);
    assert_eq!(world.ledger.in_hand(), 0);
}

#[test]
fn carries_the_verdict() {
    let mut world = running();
    world.ends_claimed("a", rejected());
    assert_eq!(world.heard(), ["give up the claim of a: why", "a is dead letter: why"]);
}

#[test]
fn the_last_attempt_has_a_verdict_too() {
    let mut world = World::new(Policy { max_attempts: NonZeroU32::new(2), ..claiming() });
    world.receives(["a*2"]);
    world.forget();
    world.ends_claimed("a", retry());
    let why = "failed in all of 2 attempts, at last: later";
    assert_eq!(world.heard(), [format!("give up the claim of a: {why}"), format!("a is dead letter: {why}")]);
}

#[test]
fn that_was_never_granted_is_not_given_up() {
    for (ending, outcome) in [
        (Ending::DoneBefore(Box::default()), "a is ack"),
        (Ending::Condemned { reason: "why".into() }, "a is dead letter: why"),
        (Ending::StoreUnavailable { reason: "why".into() }, "a is retry after 60s"),
        (Ending::Held { remaining: secs(8), reason: "why".into() }, "a is retry after 10s"),
    ] {
        let mut world = running();
        world.ends("a", ending);
        assert_eq!(world.heard()[0], outcome);
    }
}

#[test]
fn what_was_done_before_is_known_from_then_on() {
    let mut world = running();
    world.ends("a", Ending::DoneBefore(Box::default()));
    world.agrees();
    world.forget();
    world.receives(["a*2"]);
    assert!(world.heard().contains(&"a was done before".to_owned()));
}

#[test]
fn a_lane_waits_for_the_claim_of_its_head() {
    let mut world = World::new(Policy { claims: true, ..fifo() });
    world.receives(["g/a", "g/b"]);
    world.forget();
    world.ends_claimed("a", retry());
    assert_eq!(
        world.heard(),
        ["give up the claim of a", "a is retry after 1s", "b is release", "hide b#1=3"]
    );
    world.claim_is_free();
    assert_eq!(world.heard(), ["hide a#1=1"]);
}
