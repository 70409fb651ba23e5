//! A done job is marked as done before its message is deleted, however long the store takes to answer.

use drumline::core::{CallError, Claims, MarkError, Ownership, Policy};

use crate::claims::{claiming, running};
use crate::world::{DONE, World, fifo, millis, retry, secs, standard};

fn no_route() -> Result<Ownership, MarkError> {
    Err(MarkError::Unanswered("no route".into()))
}

fn refused() -> Result<Ownership, MarkError> {
    Err(MarkError::Refused("too large".into()))
}

#[test]
fn the_message_is_deleted_after_the_mark() {
    let mut world = running();
    world.succeeds_with("a", "7");
    assert_eq!(world.emitted(), ["mark a as done with 7"]);
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(world.emitted(), ["a is ack", "delete a#1"]);
}

#[test]
fn the_message_is_kept_and_renewed_while_the_store_is_away() {
    let mut world = running();
    world.agrees();
    world.ends("a", DONE);
    world.forget();
    let mut renewals = 0;
    world.mark_is(no_route());
    assert_eq!(world.emitted(), ["a was not marked"], "noted once");
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["mark a as done"]);
    while world.elapsed() < secs(600) {
        world.mark_is(no_route());
        let mut emitted = world.emitted();
        while !emitted.contains(&"mark a as done".to_owned()) {
            world.wait(millis(10));
            emitted.append(&mut world.emitted());
        }
        renewals += emitted.iter().filter(|line| *line == "hide a#1=30").count();
        let known = ["mark a as done", "hide a#1=30", "renew the claim of a for 27s", "a receive is overdue"];
        assert!(emitted.iter().all(|line| known.contains(&line.as_str())), "{emitted:?}");
    }
    assert!((38..=41).contains(&renewals), "{renewals}");
    assert_eq!(world.ledger.running(), 1, "it keeps its place");
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(world.emitted()[0], "a is ack");
}

#[test]
fn a_mark_that_is_not_answered_is_asked_for_again() {
    let mut world = running();
    world.ends("a", DONE);
    world.forget();
    world.wait(secs(5));
    assert_eq!(world.emitted(), ["mark a as done"]);
    world.mark_is(no_route());
    world.mark_is(no_route());
    assert_eq!(world.emitted(), ["a was not marked"]);
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["mark a as done"], "once for both");
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(world.emitted(), ["a is ack", "delete a#1"]);
}

#[test]
fn a_claim_that_was_taken_leaves_the_message_to_its_lease() {
    let mut world = running();
    world.ends("a", DONE);
    world.forget();
    world.mark_is(Ok(Ownership::Lost));
    assert_eq!(world.emitted(), ["a lost its claim", "a is lease lost"]);
    assert_eq!(world.ledger.in_hand(), 0);
}

/// The store has written the mark, and its answer was lost: the claim of a done job cannot be renewed.
#[test]
fn a_renewal_that_finds_the_job_done_is_no_loss() {
    let mut world = running();
    world.agrees();
    world.ends("a", DONE);
    world.wait(secs(15));
    world.forget();
    world.claim_is(Ok(Ownership::Lost));
    assert_eq!(world.emitted(), ["mark a as done"], "the answer to a mark decides");
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(world.emitted()[0], "a is ack");
}

#[test]
fn a_run_that_ends_twice_is_marked_once() {
    let mut world = running();
    world.ends_twice("a", &DONE);
    assert_eq!(world.emitted(), ["mark a as done"]);
}

#[test]
fn a_result_that_is_refused_is_left_out() {
    let mut world = running();
    world.succeeds_with("a", "7");
    world.forget();
    world.mark_is(refused());
    assert_eq!(world.emitted(), ["the result of a was refused", "mark a as done"]);
    world.mark_is(refused());
    assert_eq!(world.emitted(), ["a is unmarked", "a is ack", "delete a#1"]);
}

#[test]
fn a_drain_whose_grace_is_over_deletes_unmarked() {
    let mut world = running();
    let receive = world.take_receive();
    world.lands(receive, &[]);
    world.ends("a", DONE);
    world.drain(secs(5));
    world.forget();
    world.wait(millis(4_999));
    world.mark_is(no_route());
    world.forget();
    world.wait(millis(1_000));
    assert!(!world.emitted().iter().any(|line| line.starts_with("cancel")), "its handler has ended");
    world.wait(millis(1));
    assert_eq!(world.emitted(), ["a is unmarked", "a is ack", "delete a#1"]);
    world.confirm();
    assert_eq!(world.ledger.drained().map(|summary| (summary.drained, summary.abandoned)), Some((1, 0)));
}

#[test]
fn a_drain_that_ends_before_that_deletes_unmarked_too() {
    let mut world = running();
    world.take_receive();
    world.ends("a", DONE);
    world.drain_until(millis(500));
    world.forget();
    world.wait(millis(500));
    assert_eq!(world.emitted(), ["a is unmarked", "a is ack", "delete a#1"]);
}

#[test]
fn the_end_of_twelve_hours_deletes_unmarked() {
    let mut world = running();
    world.agrees();
    world.ends("a", DONE);
    while world.elapsed() < secs(43_164) {
        world.mark_is(no_route());
        world.wait(secs(3));
    }
    world.forget();
    world.wait(secs(3));
    assert!(world.emitted().contains(&"a is unmarked".to_owned()));
    assert_eq!(world.ledger.in_hand(), 0);
}

#[test]
fn a_handler_that_ends_after_its_time_is_marked_all_the_same() {
    let mut world = World::new(Policy { handler_timeout: secs(10), ..claiming() });
    world.receives(["a"]);
    world.is_granted("a");
    world.agrees();
    world.wait(secs(10));
    world.ends("a", DONE);
    world.forget();
    world.wait(secs(600));
    assert!(!world.emitted().iter().any(|line| line.starts_with("a is")), "no time-out ends the mark");
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(world.emitted(), ["a is ack", "delete a#1", "a is settled"]);
}

#[test]
fn a_lost_lease_leaves_a_moment_for_the_mark() {
    let mut world = running();
    world.ends("a", DONE);
    world.forget();
    world.wait(secs(29));
    assert!(world.emitted().contains(&"a lost its lease".to_owned()));
    world.wait(secs(1));
    assert!(world.emitted().contains(&"a is lease lost".to_owned()));
    world.receives(["a*2"]);
    assert!(world.emitted().contains(&"a was done before".to_owned()), "here it is known to be done");
}

#[test]
fn a_lease_lost_before_does_not_prevent_the_mark() {
    let mut world = running();
    world.wait(secs(15));
    world.answer(vec![Err(CallError::Gone("expired".into()))]);
    world.forget();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["mark a as done"]);
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(world.emitted(), ["a is lease lost"]);
}

#[test]
fn without_need_of_a_mark_a_message_is_deleted_at_once() {
    let mut world = World::new(Policy { claims: Claims::BestEffort, ..standard() });
    world.receives(["a"]);
    world.is_granted("a");
    world.ends("a", DONE);
    world.forget();
    world.mark_is(no_route());
    assert_eq!(world.emitted(), ["a is unmarked", "a is ack", "delete a#1"]);
}

#[test]
fn a_lane_waits_for_the_mark_of_its_head() {
    let mut world = World::new(Policy { claims: Claims::Required, ..fifo() });
    world.receives(["g/a", "g/b"]);
    world.is_granted("a");
    world.ends("a", DONE);
    world.forget();
    world.wait(secs(10));
    assert!(!world.emitted().contains(&"start b".to_owned()));
    world.mark_is(Ok(Ownership::Kept));
    world.confirm();
    assert!(world.emitted().contains(&"start b".to_owned()));
}

#[test]
fn a_failure_is_not_marked() {
    let mut world = running();
    world.ends("a", retry());
    assert!(!world.emitted().iter().any(|line| line.starts_with("mark")));
}

#[test]
fn the_jobs_that_follow_are_added_with_the_mark() {
    let mut world = running();
    world.succeeds_with_next("a", Some("7"));
    assert_eq!(world.emitted(), ["mark a as done with 7, 1 follow"]);
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(world.emitted(), ["a is ack", "delete a#1"]);
}

/// Without its mark the next jobs would be lost with the message.
#[test]
fn a_job_that_others_follow_is_not_deleted_unmarked() {
    let mut world = World::new(Policy { claims: Claims::BestEffort, ..standard() });
    world.receives(["a"]);
    world.is_granted("a");
    world.succeeds_with_next("a", None);
    world.forget();
    world.mark_is(no_route());
    assert_eq!(world.emitted(), ["a was not marked"]);
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["mark a as done, 1 follow"]);
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(world.emitted(), ["a is ack", "delete a#1"]);
}

#[test]
fn a_drain_that_ends_before_the_mark_returns_a_job_with_next() {
    let mut world = running();
    world.take_receive();
    world.succeeds_with_next("a", None);
    world.drain_until(millis(500));
    world.forget();
    world.wait(millis(500));
    let emitted = world.emitted();
    assert!(emitted.iter().all(|line| !line.starts_with("delete") && line != "a is ack"), "{emitted:?}");
}

#[test]
fn jobs_that_follow_and_are_refused_end_in_the_dlq() {
    let mut world = running();
    world.succeeds_with_next("a", Some("7"));
    world.forget();
    world.mark_is(refused());
    assert_eq!(world.emitted(), ["the result of a was refused", "mark a as done, 1 follow"]);
    world.mark_is(refused());
    let emitted = world.emitted();
    assert!(
        emitted.iter().any(|line| line.contains("the store refuses the next jobs: too large")),
        "{emitted:?}"
    );
    assert!(emitted.iter().all(|line| !line.starts_with("delete") && line != "a is ack"), "{emitted:?}");
}

/// The job is done in this process, but not in the store: the worker that took the claim adds the next jobs, if it succeeds.
#[test]
fn a_job_that_others_follow_runs_again_after_its_claim_was_lost() {
    let mut world = running();
    world.succeeds_with_next("a", None);
    world.forget();
    world.mark_is(Ok(Ownership::Lost));
    assert_eq!(world.emitted(), ["a lost its claim", "release the claim of a, uncounted", "a is lease lost"]);
    world.receives(["a*2"]);
    let emitted = world.emitted();
    assert!(emitted.contains(&"start a".to_owned()), "{emitted:?}");
}
