//! Messages are requested before there are slots for them, as many as will be free on their arrival.

use std::num::NonZeroU32;
use std::time::Duration;

use drumline::core::{PauseReason, Policy, ReceiveLimit};

use crate::world::{DONE, World, fifo, millis, secs, standard, with_slots};

/// The time that a receive takes.
const WAY: Duration = millis(10);

/// The duration of a job that is far shorter than a receive.
const QUICK: Duration = Duration::from_micros(100);

/// Every open receive brings as many messages as it asks for. Returns their names.
fn receives_all(world: &mut World, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for _ in world.asked_for() {
        let receive = world.take_receive();
        let brought: Vec<_> = (0..receive.max).map(|n| format!("{prefix}{}", names.len() + n)).collect();
        world.lands(receive, &brought.iter().map(String::as_str).collect::<Vec<_>>());
        names.extend(brought);
    }
    names
}

/// A worker whose receives are all full and take 10 ms, and whose jobs take `job`. SQS confirms every call at once.
fn worker(policy: Policy, job: Duration) -> World {
    let mut world = World::new(policy);
    world.agrees();
    for round in 0..12 {
        world.wait(WAY);
        let names = receives_all(&mut world, &format!("{round}-"));
        let mut ended = 0;
        while ended < names.len() {
            world.wait(job);
            let running = world.running();
            assert!(running.len() <= world.ledger.policy().concurrency.get());
            for name in &running {
                world.ends(name, DONE);
            }
            ended += running.len();
        }
    }
    world.forget();
    world
}

#[test]
fn short_jobs_are_received_ahead_up_to_the_number_of_slots() {
    for (job, asked_for) in [(QUICK, 60), (millis(1), 60), (secs(1), 30)] {
        let world = worker(with_slots(32, standard()), job);
        assert_eq!(world.asked_for().iter().sum::<usize>(), asked_for, "jobs of {job:?}");
        assert_eq!(world.ledger.demand(), 32, "a message ahead takes no slot");
    }
}

#[test]
fn one_slot_runs_what_it_receives_ahead_one_by_one_in_order() {
    let mut world = worker(with_slots(1, standard()), QUICK);
    assert_eq!(world.asked_for(), [10]);
    world.receives(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        assert_eq!(world.running(), [name]);
        world.wait(QUICK);
        world.ends(name, DONE);
    }
    assert_eq!(world.asked_for(), [10]);
}

#[test]
fn jobs_that_became_slow_keep_no_message_from_other_workers() {
    let mut world = worker(with_slots(2, standard()), QUICK);
    world.receives(["a", "b", "c", "d"]);
    assert_eq!(world.emitted(), ["start a", "start b"]);
    world.wait(millis(999));
    assert_eq!(world.emitted(), [""; 0]);
    world.wait(millis(1));
    assert_eq!(world.emitted()[..2], ["c is release", "d is release"]);
    world.wait(millis(100));
    assert_eq!(world.ledger.in_hand(), 2);
    // Messages in flight are released as well, and no others are requested.
    for receive in world.asked_for() {
        let names: Vec<_> = (0..receive).map(|n| format!("late {n}")).collect();
        let open = world.take_receive();
        world.lands(open, &names.iter().map(String::as_str).collect::<Vec<_>>());
    }
    world.wait(secs(2));
    assert_eq!((world.ledger.in_hand(), world.ledger.running(), world.asked_for()), (2, 2, vec![]));
    world.ends("a", DONE);
    world.wait(millis(20));
    assert_eq!(world.asked_for(), [1], "no more than there are slots");
}

#[test]
fn a_message_on_its_last_receive_waits_and_keeps_its_lease() {
    let receives = ReceiveLimit::AtMost(NonZeroU32::new(3).unwrap());
    let mut world = worker(Policy { receives, ..with_slots(1, standard()) }, QUICK);
    world.receives(["a", "b*3", "c"]);
    world.wait(secs(14));
    assert_eq!(world.emitted(), ["start a", "c is release", "hide c#1=0", "c is settled"]);
    world.wait(secs(1));
    assert_eq!(world.emitted(), ["hide a#1=30 b#1=30"]);
    world.ends("a", DONE);
    assert!(world.emitted().contains(&"start b".to_owned()));
}

#[test]
fn a_drain_releases_what_was_received_ahead_at_once() {
    let mut world = worker(with_slots(1, standard()), QUICK);
    world.receives(["a", "b", "c"]);
    world.forget();
    world.drain(secs(25));
    assert_eq!(world.emitted()[..2], ["b is release", "c is release"]);
}

#[test]
fn a_pause_receives_nothing_ahead_and_keeps_what_was() {
    let mut world = worker(with_slots(1, standard()), QUICK);
    world.receives(["a", "b", "c"]);
    world.pauses(PauseReason::TargetUnhealthy);
    world.forget();
    world.wait(secs(5));
    assert_eq!(world.emitted(), [""; 0], "its time begins with the pause's end at the soonest");
    assert_eq!(world.asked_for(), [8], "it was open before");
    world.resumes(PauseReason::TargetUnhealthy);
    let mut released_after = |wait| {
        world.wait(wait);
        world.emitted().iter().filter(|line| line.ends_with("is release")).count()
    };
    assert_eq!((released_after(millis(999)), released_after(millis(1))), (0, 2));
    let mut world = worker(with_slots(32, standard()), QUICK);
    let before = world.asked_for().len();
    world.pauses(PauseReason::Operator);
    receives_all(&mut world, "m");
    assert_eq!((before, world.asked_for()), (6, vec![]));
}

#[test]
fn groups_are_not_received_ahead() {
    let mut world = World::new(with_slots(32, fifo()));
    world.agrees();
    for round in 0..12 {
        world.wait(WAY);
        let mut names = Vec::new();
        for _ in world.asked_for() {
            let receive = world.take_receive();
            let brought: Vec<_> = (0..receive.max)
                .map(|n| format!("g{}/{round}-{}", n + names.len(), n + names.len()))
                .collect();
            world.lands(receive, &brought.iter().map(String::as_str).collect::<Vec<_>>());
            names.extend(brought);
        }
        assert!(names.len() <= 32);
        for name in world.running() {
            world.ends(&name, DONE);
        }
    }
}

#[test]
fn while_sqs_does_not_confirm_the_messages_in_hand_are_bounded() {
    let mut world = World::new(with_slots(10, standard()));
    for round in 0..20 {
        world.wait(WAY);
        receives_all(&mut world, &format!("{round}-"));
        while !world.running().is_empty() {
            for name in world.running() {
                world.ends(&name, DONE);
            }
        }
    }
    assert_eq!(
        (world.ledger.in_hand(), world.asked_for()),
        (40, vec![]),
        "twice the slots and what is ahead"
    );
}
