//! A lease is renewed as long as its message is in hand, and no call is made for a message whose lease is lost.

use std::num::NonZeroUsize;

use drumline::core::Policy;

use crate::world::{DONE, World, failed, fifo, gone, millis, secs, standard, with_slots};

#[test]
fn is_renewed_at_half_its_length_for_its_whole_length() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    assert_eq!(world.emitted(), ["start a"]);
    world.wait(millis(14_999));
    assert!(world.emitted().is_empty());
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["hide a#1=30"]);
    world.confirm();
    world.wait(secs(15));
    assert_eq!(world.emitted(), ["hide a#1=30"]);
}

#[test]
fn is_counted_from_the_asking_not_from_the_answer() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(25));
    world.confirm();
    world.forget();
    // Requested at 15 s, so it ends at 45 s, and the next renewal was due at 30 s.
    world.wait(secs(4));
    assert!(world.emitted().is_empty());
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["hide a#1=30"]);
}

#[test]
fn is_renewed_for_what_waits_too() {
    let mut world = World::new(fifo());
    world.receives(["g/a", "g/b"]);
    world.wait(secs(15));
    assert_eq!(world.emitted(), ["start a", "hide a#1=30 b#1=30"]);
}

#[test]
fn renewals_go_ten_to_a_call() {
    let policy = Policy { polling: None, concurrency: NonZeroUsize::new(12).unwrap(), ..standard() };
    let mut world = World::new(policy);
    world.is_handed(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]);
    world.forget();
    world.wait(secs(15));
    let renewals = world.emitted();
    assert_eq!(renewals[0].matches("=30").count(), 10);
    assert_eq!(renewals[1], "hide k#1=30 l#1=30");
    assert_eq!(renewals.len(), 2);
}

#[test]
fn takes_along_what_would_be_due_soon() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(3));
    world.receives(["b"]);
    world.wait(secs(4));
    world.receives(["c"]);
    world.forget();
    world.wait(secs(8));
    // `b` is due 3 s later, within an eighth of the lease; `c` is not.
    assert_eq!(world.emitted(), ["hide a#1=30 b#1=30"]);
}

#[test]
fn a_refused_renewal_cancels_the_run_and_stops_all_calls() {
    let mut world = World::new(Policy { polling: None, ..standard() });
    world.is_handed(["a"]);
    world.wait(secs(15));
    world.forget();
    world.answer(vec![gone()]);
    assert_eq!(world.emitted(), ["a was not renewed", "a lost its lease", "cancel a LeaseLost"]);
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is lease lost"]);
    world.wait(secs(100));
    assert!(world.emitted().is_empty());
    assert_eq!(world.ledger.in_hand(), 0);
}

#[test]
fn one_refusal_of_a_batch_is_one_lease_lost() {
    let mut world = World::new(standard());
    world.receives(["a", "b"]);
    world.wait(secs(15));
    world.forget();
    world.answer(vec![Ok(()), gone()]);
    assert_eq!(world.emitted(), ["b was not renewed", "b lost its lease", "cancel b LeaseLost"]);
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack"]);
}

#[test]
fn a_transient_failure_of_a_renewal_is_retried_in_the_lease() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(15));
    world.forget();
    world.answer(vec![failed()]);
    assert_eq!(world.emitted(), ["a was not renewed"]);
    world.wait(secs(2));
    assert_eq!(world.emitted(), ["hide a#1=30"]);
    world.confirm();
    world.wait(secs(14));
    assert!(world.emitted().is_empty(), "the lease holds again");
}

#[test]
fn an_unanswered_renewal_is_repeated_beside_it() {
    let mut world = World::new(Policy { lease: secs(15), ..standard() });
    world.receives(["a"]);
    world.wait(millis(7_500));
    let hanging = world.take_call();
    world.forget();
    world.wait(millis(2_499));
    assert!(world.emitted().is_empty());
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["hide a#1=15"], "after a sixth of the lease");
    world.confirm();
    // The second one was requested at 10 s: the lease holds until 25 s, regardless of the first one's result.
    world.wait(secs(6));
    world.forget();
    world.answer_call(&hanging, vec![failed()]);
    world.wait(millis(1_500));
    assert_eq!(world.emitted(), ["a was not renewed", "hide a#1=15"]);
    world.confirm();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete a#1"]);
}

#[test]
fn a_late_answer_to_a_renewal_does_not_change_later_ones() {
    let mut world = World::new(Policy { polling: None, ..standard() });
    world.is_handed(["a"]);
    world.wait(secs(15));
    let first = world.take_call();
    world.wait(secs(5));
    world.confirm();
    world.forget();
    world.wait(secs(5));
    world.answer_call(&first, vec![Ok(())]);
    // Requested at 20 s, so the next one is due at 35 s.
    world.wait(millis(9_999));
    assert!(world.emitted().is_empty());
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["hide a#1=30"]);
}

#[test]
fn a_renewal_that_the_answer_does_not_mention_is_tried_again() {
    let mut world = World::new(standard());
    world.receives(["a", "b"]);
    world.wait(secs(15));
    world.forget();
    world.answer(vec![Ok(())]);
    assert_eq!(world.emitted(), ["b was not renewed"]);
    world.wait(secs(2));
    assert_eq!(world.emitted(), ["hide b#1=30"]);
}

#[test]
fn a_lease_that_cannot_be_renewed_counts_as_lost_before_its_end() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(millis(28_999));
    assert_eq!(world.emitted(), ["start a", "hide a#1=30", "hide a#1=30", "hide a#1=30"], "no answer comes");
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["a lost its lease", "cancel a LeaseLost"]);
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["abort a"]);
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is lease lost"]);
}

#[test]
fn a_lease_is_lost_once_however_it_is_told() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.wait(secs(29));
    world.forget();
    world.answer(vec![gone()]);
    assert_eq!(world.emitted(), ["a was not renewed"]);
}

#[test]
fn a_waiting_delivery_that_lost_its_lease_is_not_started() {
    let mut world = World::new(Policy { polling: None, ..with_slots(1, standard()) });
    world.is_handed(["a", "b"]);
    world.wait(secs(15));
    world.answer(vec![Ok(()), gone()]);
    assert_eq!(
        world.emitted(),
        ["start a", "hide a#1=30 b#1=30", "b was not renewed", "b lost its lease", "b is lease lost"]
    );
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete a#1"]);
}

#[test]
fn a_lane_whose_waiting_head_lost_its_lease_is_given_back() {
    let policy = Policy { polling: None, ..with_slots(1, fifo()) };
    let mut world = World::new(policy);
    world.is_handed(["g/a"]);
    world.is_handed(["h/b", "h/c"]);
    world.wait(secs(15));
    world.forget();
    world.answer(vec![Ok(()), gone(), Ok(())]);
    assert_eq!(world.emitted(), ["b was not renewed", "b lost its lease", "b is lease lost", "c is release"]);
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["hide c#1=2"]);
    world.confirm();
    assert_eq!(world.emitted(), ["c is settled"]);
    assert_eq!(world.ledger.in_hand(), 1);
}

#[test]
fn twelve_hours_are_the_end_of_every_lease() {
    let policy = Policy { handler_timeout: secs(100_000), polling: None, ..standard() };
    let mut world = World::new(policy);
    world.agrees();
    world.is_handed(["a"]);
    world.wait(secs(43_164));
    let renewals = world.emitted();
    assert!(renewals[1..].iter().all(|line| line == "hide a#1=30"), "{renewals:?}");
    // It was asked to stop half a minute before, and does not react.
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["cancel a TimedOut"]);
    world.wait(secs(29));
    assert_eq!(world.emitted(), ["abort a", "hide a#1=25", "a lost its lease"]);
    assert_eq!(world.elapsed(), secs(43_194), "a second before the twelve hours less five");
}

#[test]
fn a_run_that_never_ends_is_no_reason_to_be_busy() {
    let mut world = World::new(Policy { polling: None, ..standard() });
    world.is_handed(["a"]);
    // Far beyond its lease and its twelve hours; `wait` checks that every timeout lies ahead.
    world.wait(secs(200_000));
    assert_eq!(world.ledger.running(), 1);
    assert!(world.ledger.timeout().is_none_or(|at| at > world.now));
}

#[test]
fn a_deadline_cancels_and_then_aborts() {
    let policy = Policy { handler_timeout: secs(10), ..standard() };
    let mut world = World::new(policy);
    world.receives(["a"]);
    world.wait(secs(10));
    assert_eq!(world.emitted(), ["start a", "cancel a TimedOut"]);
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["abort a"]);
    world.ends("a", drumline::core::Ending::Interrupted);
    assert_eq!(world.emitted(), ["a is retry after 1s", "hide a#1=1"]);
}

#[test]
fn a_type_may_have_a_timeout_of_its_own() {
    let by_type = [("quick".to_owned(), secs(3)), ("slow".to_owned(), secs(20))];
    let policy = Policy { handler_timeout: secs(10), handler_timeout_by_type: by_type.into(), ..standard() };
    for (job_type, cancelled_after) in [("quick", 3), ("slow", 20), ("other", 10)] {
        let mut world = World::new(policy.clone());
        world.agrees();
        world.receives(["a"]);
        world.is_of_type("a", job_type);
        world.wait(secs(cancelled_after - 1));
        assert!(!world.emitted().contains(&"cancel a TimedOut".to_owned()), "{job_type}");
        world.wait(secs(1));
        assert!(world.emitted().contains(&"cancel a TimedOut".to_owned()), "{job_type}");
        // Too late to get more time.
        world.is_of_type("a", "slow");
        world.wait(secs(1));
        assert!(world.emitted().contains(&"abort a".to_owned()), "{job_type}");
    }
}

#[test]
fn an_attempts_time_starts_once_its_payload_is_opened() {
    let policy = Policy { handler_timeout: secs(10), ..standard() };
    let mut world = World::new(policy);
    world.agrees();
    world.receives(["a"]);
    world.wait(secs(8));
    world.is_opened("a");
    world.wait(secs(9));
    assert!(!world.emitted().contains(&"cancel a TimedOut".to_owned()));
    world.wait(secs(1));
    assert!(world.emitted().contains(&"cancel a TimedOut".to_owned()));
    // Too late to get more time.
    world.is_opened("a");
    world.wait(secs(1));
    assert!(world.emitted().contains(&"abort a".to_owned()));
}

#[test]
fn what_succeeds_after_its_deadline_has_succeeded() {
    let policy = Policy { handler_timeout: secs(10), ..standard() };
    let mut world = World::new(policy);
    world.receives(["a"]);
    world.wait(secs(10));
    world.forget();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete a#1"]);
}
