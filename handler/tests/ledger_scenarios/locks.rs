//! A message whose lock is held waits in hand, without a slot, and requests it again when it is its turn.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use drumline::core::{Ending, Ownership, Policy};
use proptest::prelude::*;

use crate::claims::claiming;
use crate::world::{DONE, World, millis, retry, secs, with_slots};

const LOCK: &str = "account:42";

/// A world with two slots: `a` has the lock, and `b` and `c` wait for it in this order.
fn contended() -> World {
    let mut world = World::new(with_slots(2, claiming()));
    world.receives(["a", "b"]);
    world.is_granted_with("a", LOCK);
    world.is_locked("b", LOCK);
    world.wait(millis(25));
    world.receives(["c"]);
    world.is_locked("c", LOCK);
    assert_eq!(
        world.emitted(),
        ["start a", "start b", "b waits for account:42", "start c", "c waits for account:42"]
    );
    world
}

#[test]
fn the_longest_waiting_job_gets_the_lock_of_a_done_one_at_once() {
    let mut world = contended();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["mark a as done"], "the lock is held until the mark");
    world.mark_is(Ok(Ownership::Kept));
    assert!(world.emitted().contains(&"start b".to_owned()));
    world.is_granted_with("b", LOCK);
    world.ends("b", DONE);
    world.mark_is(Ok(Ownership::Kept));
    assert!(world.emitted().contains(&"start c".to_owned()));
}

#[test]
fn a_failed_job_gives_the_lock_up_with_its_claim() {
    let mut world = contended();
    world.ends("a", retry());
    assert!(!world.emitted().contains(&"start b".to_owned()));
    world.claim_is_free();
    assert!(world.emitted().contains(&"start b".to_owned()));
}

#[test]
fn a_lock_released_during_the_request_is_requested_again() {
    let mut world = contended();
    world.wait(millis(125));
    assert_eq!(world.emitted(), ["start b"], "a poll");
    world.ends("a", DONE);
    world.mark_is(Ok(Ownership::Kept));
    world.forget();
    world.is_locked("b", LOCK);
    assert_eq!(world.emitted(), ["start b"]);
}

#[test]
fn those_that_wait_take_no_place() {
    let mut world = contended();
    assert_eq!(world.ledger.demand(), 1);
    world.wait(millis(25));
    world.receives(["d"]);
    assert_eq!(world.emitted(), ["start d"]);
    assert_eq!(world.ledger.running(), 2);
}

#[test]
fn one_job_polls_the_lock_of_another_process_ever_slower() {
    let mut world = World::new(with_slots(2, claiming()));
    world.agrees();
    world.receives(["a", "b"]);
    world.is_locked("a", LOCK);
    world.is_locked("b", LOCK);
    let mut polls = VecDeque::new();
    world.forget();
    while world.elapsed() < secs(20) {
        world.wait(millis(10));
        for line in world.emitted() {
            assert_ne!(line, "start b", "the other one has waited longer");
            if line == "start a" {
                polls.push_back(world.elapsed());
                world.is_locked("a", LOCK);
            }
        }
    }
    assert!((15..30).contains(&polls.len()), "{polls:?}");
    assert!(polls[0] < millis(200) && polls[1] < millis(500), "{polls:?}");
}

#[test]
fn a_minute_of_waiting_costs_one_receive() {
    let mut world = World::new(with_slots(1, claiming()));
    world.agrees();
    world.receives(["a"]);
    world.is_locked("a", LOCK);
    world.forget();
    while world.ledger.in_hand() > 0 {
        world.wait(millis(10));
        if world.emitted().contains(&"start a".to_owned()) {
            world.is_locked("a", LOCK);
        }
        assert!(world.elapsed() < secs(62));
    }
    assert!(world.elapsed() >= secs(60), "{:?}", world.elapsed());
}

#[test]
fn what_waits_is_bounded_and_the_rest_goes_back() {
    let mut world = World::new(with_slots(1, claiming()));
    let waits = |world: &mut World, name: &'static str| {
        world.receives([name]);
        world.is_locked(name, LOCK);
        world.emitted().iter().any(|line| line.ends_with("waits for account:42"))
    };
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        assert!(waits(&mut world, name), "{name}");
    }
    assert!(!waits(&mut world, "i"));
}

#[test]
fn a_drain_gives_back_what_waits() {
    let mut world = contended();
    world.drain(secs(5));
    let emitted = world.emitted().join("; ");
    assert_eq!(emitted, "b is release; c is release");
    world.ends("a", DONE);
    world.mark_is(Ok(Ownership::Kept));
    assert!(!world.emitted().iter().any(|line| line.starts_with("start")));
}

#[test]
fn the_wait_of_a_batch_ends_with_time_to_settle() {
    let mut world = World::new(Policy { polling: None, ..claiming() });
    world.ledger.set_deadline(world.now + secs(10));
    world.agrees();
    world.is_handed(["a"]);
    world.is_locked("a", LOCK);
    world.forget();
    while world.ledger.in_hand() > 0 {
        world.wait(millis(10));
        if world.emitted().contains(&"start a".to_owned()) {
            world.is_locked("a", LOCK);
        }
        assert!(world.elapsed() <= secs(9));
    }
    assert!(world.elapsed() >= secs(8));
}

#[test]
fn a_message_group_waits_as_a_whole_and_in_order() {
    let mut world = World::new(Policy { fifo: true, ..claiming() });
    world.receives(["g/a", "g/b"]);
    world.is_locked("a", LOCK);
    assert_eq!(world.emitted(), ["start a", "a waits for account:42"]);
    world.wait(millis(130));
    assert_eq!(world.emitted(), ["start a"]);
    world.is_granted_with("a", LOCK);
    world.ends("a", DONE);
    world.mark_is(Ok(Ownership::Kept));
    world.confirm();
    assert!(world.emitted().contains(&"start b".to_owned()));
}

#[test]
fn a_held_identity_goes_back_as_before() {
    let mut world = World::new(claiming());
    world.receives(["a"]);
    world.ends("a", Ending::Busy { remaining: secs(5), reason: "another worker runs the job".into() });
    assert!(!world.emitted().iter().any(|line| line.ends_with("waits for account:42")));
}

/// The slots of the property.
const PLACES: usize = 4;

/// A job of a script: its lock, if it has one, and its duration.
type Scripted = (Option<u8>, u64);

/// The running jobs of a script, with the locks of this process and of others.
struct Jobs {
    script: Vec<Scripted>,
    /// The time until which another process holds the locks.
    others_until: Duration,
    /// The job that holds a lock.
    holders: HashMap<u8, usize>,
    running: Vec<(usize, Duration)>,
    /// The first request of each job that has waited.
    waited_since: HashMap<usize, Duration>,
    granted: Vec<usize>,
}

impl Jobs {
    fn starts(&mut self, world: &mut World, job: usize) {
        let name = job.to_string();
        let (lock, millis) = self.script[job];
        let now = world.elapsed();
        match lock {
            Some(lock) if now < self.others_until || self.holders.contains_key(&lock) => {
                self.waited_since.entry(job).or_insert(now);
                return world.is_locked(&name, &lock.to_string());
            }
            Some(lock) => {
                self.holders.insert(lock, job);
                world.is_granted_with(&name, &lock.to_string());
            }
            None => world.is_granted(&name),
        }
        self.granted.push(job);
        self.running.push((job, now + Duration::from_millis(millis)));
    }

    fn end_those_that_are_due(&mut self, world: &mut World) {
        let now = world.elapsed();
        let (due, rest): (Vec<_>, Vec<_>) = self.running.drain(..).partition(|(_, end)| *end <= now);
        self.running = rest;
        for (job, _) in due {
            world.ends(&job.to_string(), DONE);
            if let Some(lock) = self.script[job].0 {
                self.holders.remove(&lock);
            }
            world.mark_is(Ok(Ownership::Kept));
        }
    }

    fn follow(&mut self, world: &mut World) {
        let emitted = world.emitted();
        for job in emitted.iter().filter_map(|line| line.strip_prefix("start ")?.parse().ok()) {
            self.starts(world, job);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_job_starves_and_none_keeps_another_from_running(
        script in prop::collection::vec((prop::option::weighted(0.8, 0u8..3), 1u64..400), 1..20),
        others_ms in prop_oneof![Just(0u64), 0u64..20_000],
    ) {
        let mut world = World::new(with_slots(PLACES, claiming()));
        world.agrees();
        let mut jobs = Jobs {
            others_until: Duration::from_millis(others_ms),
            holders: HashMap::new(),
            running: Vec::new(),
            waited_since: HashMap::new(),
            granted: Vec::new(),
            script,
        };
        let total: Duration = jobs.script.iter().map(|(_, ms)| Duration::from_millis(*ms)).sum();
        let mut sent = 0;
        while jobs.granted.len() < jobs.script.len() || !jobs.running.is_empty() {
            if sent < jobs.script.len() && world.ledger.demand() > 0 && !world.asked_for().is_empty() {
                let name: &'static str = Box::leak(sent.to_string().into_boxed_str());
                world.receives([name]);
                sent += 1;
            }
            jobs.follow(&mut world);
            jobs.end_those_that_are_due(&mut world);
            jobs.follow(&mut world);
            prop_assert!(world.ledger.running() <= PLACES);
            prop_assert!(world.ledger.in_hand() <= 2 * PLACES + jobs.script.len());
            world.wait(millis(5));
            // All within the minute in which a wait costs no receive: each poll is late by a second and a quarter at most.
            let latest = jobs.others_until + total * 2 + secs(5);
            prop_assert!(world.elapsed() < latest.max(secs(5)), "{:?} {:?}", jobs.granted, jobs.running);
        }
        let mut once = jobs.granted.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), jobs.script.len(), "each runs once, with one receive");
        // Of the jobs that wait for one lock, the first to request it are the first to get it. A new job may find it free.
        for lock in 0..3 {
            let of_lock = jobs.granted.iter().filter(|job| jobs.script[**job].0 == Some(lock));
            let waited: Vec<Duration> = of_lock.filter_map(|job| jobs.waited_since.get(job)).copied().collect();
            prop_assert!(waited.is_sorted(), "{lock}: {waited:?}");
        }
    }
}
