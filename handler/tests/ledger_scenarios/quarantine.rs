//! Messages that may have killed a process run in groups, with nothing beside them.

use std::num::NonZeroU32;

use drumline::core::{Claims, CrashEvidence, Ending, Ownership, Policy, ReceiveLimit};

use crate::world::{DONE, World, fifo, gone, retry, secs, standard, with_slots};

/// Eight slots, and a redrive policy with this `maxReceiveCount`.
fn eight(max_receives: u32) -> Policy {
    Policy {
        receives: ReceiveLimit::AtMost(NonZeroU32::new(max_receives).unwrap()),
        ..with_slots(8, standard())
    }
}

/// The same with claims in a store that outlives the process.
fn with_store(policy: Policy) -> Policy {
    Policy { claims: Claims::Required, crash_evidence: CrashEvidence::Store, ..policy }
}

/// The names of the messages that started since the last call, at once or after waiting.
fn begun(world: &mut World) -> Vec<String> {
    let words = ["start ", "begin "];
    let name = |line: String| words.iter().find_map(|word| Some(line.strip_prefix(word)?.to_owned()));
    world.emitted().into_iter().filter_map(name).collect()
}

/// A run succeeds with its claim, and the store remembers it.
fn is_done(world: &mut World, name: &str) {
    world.ends(name, DONE);
    world.mark_is(Ok(Ownership::Kept));
}

#[test]
fn a_quarantined_message_waits_until_it_is_alone() {
    let mut world = World::new(standard());
    world.receives(["a", "s*3", "b"]);
    assert_eq!(world.emitted(), ["s waits to run alone", "start a", "start b"]);
    assert_eq!(world.ledger.demand(), 0);
    world.ends("a", DONE);
    world.forget();
    world.ends("b", DONE);
    assert!(world.emitted().contains(&"start s".to_owned()));
    world.is_handed(["c"]);
    assert!(world.emitted().is_empty());
    world.ends("s", DONE);
    assert!(world.emitted().contains(&"start c".to_owned()));
}

#[test]
fn groups_shrink_with_receives_without_an_ending_and_grow_after() {
    let mut world = World::new(eight(10));
    world.receives(["s*4", "t*4", "u*3", "v*3", "w*3"]);
    world.forget();
    assert_eq!(world.ledger.running(), 2, "two of eight after two receives without an ending");
    world.ends("u", DONE);
    world.ends("v", retry());
    assert_eq!(
        begun(&mut world),
        ["w", "s"],
        "of the next group one may be with three others, one with one other"
    );
    world.ends("w", DONE);
    world.ends("s", DONE);
    assert_eq!(begun(&mut world), ["t"]);
    world.ends("t", DONE);
    world.receives(["x*3", "y*3"]);
    assert_eq!(
        world.emitted().iter().filter(|line| line.contains("waits to run alone")).count(),
        0,
        "trusted by now"
    );
    assert!(world.ledger.demand() > 0);
}

#[test]
fn a_group_whose_payloads_were_not_read_has_survived_nothing() {
    let mut world = World::new(eight(10));
    world.receives(["s*4", "t*4", "u*3", "v*3", "w*3"]);
    world.forget();
    for name in ["u", "v"] {
        world.ends(name, Ending::PayloadUnavailable { reason: "no answer".into() });
    }
    assert_eq!(begun(&mut world), ["w"], "no larger group than before");
}

#[test]
fn on_its_last_receive_a_quarantined_stays_alone() {
    let mut world = World::new(eight(5));
    for round in 0..6 {
        let (one, other) = (format!("s{round}"), format!("t{round}"));
        world.is_handed([format!("{one}*5").as_str(), format!("{other}*5").as_str()]);
        assert_eq!(world.ledger.running(), 1);
        world.ends(&one, DONE);
        assert_eq!(world.ledger.running(), 1);
        world.ends(&other, DONE);
    }
}

#[test]
fn on_its_last_but_one_receive_a_quarantined_begins_alone() {
    let mut world = World::new(eight(4));
    world.receives(["s*3", "t*3", "u*3"]);
    assert_eq!(world.ledger.running(), 1);
    world.ends("s", DONE);
    assert_eq!(world.ledger.running(), 2);
}

#[test]
fn the_last_receive_keeps_messages_alone_for_two_minutes_only() {
    let mut world = World::new(eight(5));
    world.agrees();
    world.receives(["a*5"]);
    world.ends("a", DONE);
    world.wait(secs(121));
    for name in ["b", "c", "d"] {
        world.is_handed([format!("{name}*5").as_str()]);
        world.ends(name, DONE);
    }
    world.is_handed(["e*5", "f*5"]);
    assert_eq!(world.ledger.running(), 2, "a process that has lived for so long trusts them");
}

#[test]
fn with_a_store_receives_alone_are_no_evidence() {
    let mut world = World::new(with_store(eight(5)));
    world.receives(["a*5", "b*4"]);
    world.is_granted("a");
    world.is_granted("b");
    assert_eq!(world.emitted(), ["start a", "start b"]);
}

#[test]
fn a_job_whose_worker_died_waits_for_its_group_under_its_claim() {
    let mut world = World::new(with_store(eight(10)));
    world.receives(["a", "s*2", "t*2"]);
    world.is_granted("a");
    world.takes_over("s", 1);
    assert!(world.emitted().contains(&"s was left by dead, unended 1".to_owned()));
    world.takes_over("t", 3);
    assert_eq!(begun(&mut world), [""; 0]);
    assert_eq!((world.ledger.running(), world.ledger.demand()), (3, 0));
    world.wait(secs(20));
    assert!(world.emitted().iter().any(|line| line.starts_with("renew the claim of s")));
    is_done(&mut world, "a");
    assert_eq!(begun(&mut world), ["s"], "the less suspicious one, and not both: the other must be alone");
    world.is_handed(["b"]);
    assert_eq!(begun(&mut world), [""; 0]);
}

#[test]
fn the_time_of_an_attempt_begins_with_its_handler() {
    let mut world = World::new(with_store(Policy { handler_timeout: secs(10), ..eight(10) }));
    world.agrees();
    world.receives(["a", "s*2"]);
    world.is_granted("a");
    world.takes_over("s", 1);
    world.wait(secs(9));
    is_done(&mut world, "a");
    world.forget();
    world.wait(secs(9));
    assert!(!world.emitted().iter().any(|line| line.starts_with("cancel s")));
    world.wait(secs(1));
    assert!(world.emitted().contains(&"cancel s TimedOut".to_owned()));
}

#[test]
fn the_time_of_an_attempt_that_waited_is_that_of_its_type() {
    let by_type = [("slow".to_owned(), secs(20))].into();
    let policy = Policy { handler_timeout: secs(10), handler_timeout_by_type: by_type, ..eight(10) };
    let mut world = World::new(with_store(policy));
    world.agrees();
    world.receives(["a", "s*2"]);
    world.is_granted("a");
    world.is_of_type("s", "slow");
    world.takes_over("s", 1);
    world.wait(secs(9));
    is_done(&mut world, "a");
    world.forget();
    world.wait(secs(19));
    assert!(!world.emitted().iter().any(|line| line.starts_with("cancel s")));
    world.wait(secs(1));
    assert!(world.emitted().contains(&"cancel s TimedOut".to_owned()));
}

#[test]
fn what_this_very_process_left_unended_is_no_quarantined() {
    let mut world = World::new(with_store(eight(3)));
    world.receives(["a*2"]);
    world.takes_over_own("a", 1);
    assert_eq!(world.emitted(), ["start a", "begin a"]);
}

#[test]
fn what_is_handed_in_begins_at_once() {
    let mut world = World::new(Policy { polling: None, ..with_store(eight(3)) });
    world.is_handed(["a*2", "b*3"]);
    world.takes_over("a", 1);
    world.takes_over("b", 2);
    assert_eq!(begun(&mut world), ["a", "b", "a", "b"]);
}

#[test]
fn a_drain_releases_what_waits_for_its_group() {
    let mut world = World::new(with_store(eight(10)));
    world.receives(["a", "s*2"]);
    world.is_granted("a");
    world.takes_over("s", 1);
    world.forget();
    world.drain(secs(25));
    assert_eq!(world.emitted(), ["cancel s Shutdown"]);
}

#[test]
fn a_message_whose_ending_is_known_is_no_quarantined() {
    let mut world = World::new(standard());
    world.receives(["a*2"]);
    world.ends("a", retry());
    world.confirm();
    world.forget();
    world.receives(["a*3"]);
    assert_eq!(world.emitted(), ["start a"]);
}

#[test]
fn a_quarantined_message_waits_for_at_most_a_minute() {
    let mut world = World::new(standard());
    world.agrees();
    world.receives(["a"]);
    world.is_handed(["s*3"]);
    world.forget();
    world.wait(secs(59));
    assert_eq!(begun(&mut world), [""; 0]);
    world.wait(secs(1));
    assert_eq!(begun(&mut world), ["s"]);
    assert_eq!(world.ledger.demand(), 0);
}

#[test]
fn a_long_quarantined_run_stops_the_queue_for_a_minute_only() {
    let mut world = World::new(standard());
    world.agrees();
    world.receives(["s*3"]);
    world.is_handed(["a"]);
    world.forget();
    world.wait(secs(59));
    assert!(!world.emitted().contains(&"start a".to_owned()));
    world.wait(secs(1));
    assert!(world.emitted().contains(&"start a".to_owned()));
    assert!(world.ledger.demand() > 0);
}

#[test]
fn a_quarantined_message_without_a_lease_delays_no_other() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.is_handed(["s*3"]);
    world.wait(secs(15));
    world.answer(vec![Ok(()), gone()]);
    assert_eq!(world.ledger.in_hand(), 1);
    assert_eq!(world.ledger.demand(), 31);
}

#[test]
fn a_quarantined_that_goes_back_with_its_lane_holds_nothing_up() {
    let mut world = World::new(fifo());
    world.receives(["h/x", "g/a", "g/s*3"]);
    world.ends("a", retry());
    world.wait(secs(1));
    world.forget();
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled", "s is settled"]);
    assert_eq!(world.ledger.demand(), 31);
}

#[test]
fn a_new_process_receives_few_messages_until_it_trusts_them() {
    let mut world = World::fresh(with_store(eight(5)));
    assert_eq!(world.asked_for(), [1]);
    world.receives(["a"]);
    assert_eq!(world.asked_for(), [0; 0], "the store has not said yet who had it");
    world.is_granted("a");
    assert_eq!(world.asked_for(), [2]);
    world.receives(["b", "c"]);
    world.is_granted("b");
    world.is_granted("c");
    assert_eq!(world.asked_for(), [4]);
}

#[test]
fn on_its_last_receives_a_quarantined_message_stops_receiving() {
    let mut world = World::fresh(with_store(eight(3)));
    for round in 0..4 {
        let name = format!("s{round}");
        let receive = world.take_receive();
        assert_eq!(receive.max, 1);
        world.lands(receive, &[&format!("{name}*3")]);
        world.takes_over(&name, 2);
        assert_eq!((world.asked_for(), world.ledger.demand()), (vec![], 0));
        is_done(&mut world, &name);
    }
}

#[test]
fn those_of_a_run_without_a_claim_are_judged_by_their_receives() {
    let mut world = World::new(Policy { claims: Claims::BestEffort, ..with_store(eight(10)) });
    world.receives(["a", "s*4"]);
    world.claim_is_unanswered("a");
    world.claim_is_unanswered("s");
    assert!(!world.emitted().contains(&"run s without a claim".to_owned()));
    world.ends("a", DONE);
    assert!(world.emitted().contains(&"run s without a claim".to_owned()));
}

#[test]
fn waiting_quarantined_messages_start_with_every_slot_taken() {
    let mut world = World::new(with_store(eight(20)));
    world.receives(["a", "b", "c", "d", "e", "f", "g", "h"]);
    for (name, unended) in [("a", 1), ("b", 2), ("c", 2), ("d", 2), ("e", 2), ("f", 2), ("g", 2), ("h", 2)] {
        world.takes_over(name, unended);
    }
    assert_eq!((world.ledger.running(), begun(&mut world).len()), (8, 8 + 2));
    is_done(&mut world, "a");
    is_done(&mut world, "b");
    assert_eq!(begun(&mut world), ["c", "d", "e", "f"], "two of eight, doubled");
}
