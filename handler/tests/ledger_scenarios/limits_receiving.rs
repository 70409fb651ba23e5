//! Receiving from a queue while its jobs are limited.

use drumline::core::{JobClass, Receive};

use crate::limits::{at_once, begun, come};
use crate::world::{DONE, World, millis, secs, standard, with_slots};

/// A queue of many mails, of which one is sent at a time.
struct Flood {
    world: World,
    open: Vec<Receive>,
    next: usize,
    /// Messages that were received.
    received: usize,
    running: Vec<String>,
}

impl Flood {
    fn new(slots: usize) -> Self {
        let mut world = World::new(with_slots(slots, standard()));
        world.is_limited_by(&at_once(&[("mail", 1)]));
        world.agrees();
        Self { world, open: Vec::new(), next: 1, received: 0, running: Vec::new() }
    }

    /// The queue answers every open receive in full, until none is open.
    fn answers(&mut self) {
        for _ in 0..100 {
            while !self.world.asked_for().is_empty() {
                self.open.push(self.world.take_receive());
            }
            if self.open.is_empty() {
                return;
            }
            for receive in std::mem::take(&mut self.open) {
                let names: Vec<String> = (0..receive.max).map(|n| format!("mail{}", self.next + n)).collect();
                (self.next, self.received) = (self.next + receive.max, self.received + receive.max);
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                self.world.lands(receive, &names);
                self.running.extend(begun(&mut self.world));
            }
        }
        panic!("the queue is drained into hidden messages");
    }

    /// The running job is done.
    fn ends(&mut self) {
        let name = self.running.remove(0);
        self.world.ends(&name, DONE);
        self.running.extend(begun(&mut self.world));
    }
}

#[test]
fn a_queue_of_limited_messages_is_not_drained() {
    let mut flood = Flood::new(32);
    flood.answers();
    flood.world.wait(millis(200));
    assert_eq!((flood.running.len(), flood.world.ledger.in_hand()), (1, 11));
    assert!(flood.received <= 11 + 20 + 32, "{}", flood.received);
    let mut looks = Vec::new();
    let before = flood.received;
    for _ in 0..12_000 {
        flood.world.wait(millis(10));
        let received = flood.received;
        flood.answers();
        if flood.received > received {
            assert_eq!(flood.received, received + 1, "one at a time");
            looks.push(flood.world.elapsed().as_secs());
        }
    }
    let looked = flood.received - before;
    assert!((12..=20).contains(&looked), "{looked} looks in two minutes: {looks:?}");
    assert!(looks[1] - looks[0] <= 3 && looks[10] - looks[9] == 10, "ever slower: {looks:?}");
}

#[test]
fn each_start_makes_room_for_one() {
    let mut flood = Flood::new(32);
    flood.answers();
    flood.world.wait(millis(500));
    let before = flood.received;
    for _ in 0..100 {
        flood.ends();
        flood.world.wait(millis(120));
        flood.answers();
        assert_eq!(flood.world.ledger.in_hand(), 11, "the places are full again");
    }
    assert_eq!(flood.received, before + 100, "nothing is received that has no place");
}

#[test]
fn a_fast_class_costs_few_receives() {
    let mut flood = Flood::new(32);
    flood.answers();
    flood.world.wait(millis(500));
    let (before, mut receives) = (flood.received, 0);
    for _ in 0..500 {
        flood.ends();
        flood.world.wait(millis(5));
        receives += flood.world.asked_for().len();
        flood.answers();
        assert_eq!(flood.running.len(), 1, "it never waits for a message");
    }
    assert!((490..=520).contains(&(flood.received - before)), "{}", flood.received - before);
    assert!(receives <= 110, "{receives}");
}

#[test]
fn other_messages_are_received_at_full_speed_once_one_is_found() {
    let mut flood = Flood::new(32);
    flood.answers();
    flood.world.wait(secs(1));
    assert_eq!(flood.world.asked_for(), [1]);
    let receive = flood.world.take_receive();
    flood.world.lands(receive, &["other1"]);
    assert_eq!(begun(&mut flood.world), ["other1"]);
    flood.world.wait(millis(20));
    assert!(flood.world.asked_for().iter().sum::<usize>() >= 10, "{:?}", flood.world.asked_for());
}

#[test]
fn a_class_whose_limit_is_gone_is_received_at_full_speed() {
    let mut world = World::new(with_slots(32, standard()));
    let limits = at_once(&[("mail", 20)]);
    world.is_limited_by(&limits);
    world.agrees();
    let permits: Vec<_> = (0..20).map(|_| limits.ask(world.now, &JobClass::of_type("mail"))).collect();
    for n in 0..40 {
        assert!(come(&mut world, &[&format!("mail{n}")]).is_empty());
    }
    drop(permits);
    world.wait(millis(1));
    assert_eq!(begun(&mut world).len(), 10);
    for n in 0..32 {
        let name = format!("mail{}", 100 + n);
        assert_eq!(come(&mut world, &[&name]), [name.as_str()]);
        world.ends(&name, DONE);
    }
    while !world.asked_for().is_empty() {
        let receive = world.take_receive();
        world.lands(receive, &[]);
        world.wait(millis(200));
        if world.asked_for().iter().sum::<usize>() >= 10 {
            return;
        }
    }
    panic!("few are asked for");
}

#[test]
fn messages_that_come_beside_started_ones_find_a_place() {
    let mut world = World::new(with_slots(2, standard()));
    world.is_limited_by(&at_once(&[("mail", 1)]));
    world.agrees();
    assert_eq!(come(&mut world, &["mail1"]), ["mail1"]);
    assert!(come(&mut world, &["mail2"]).is_empty());
    world.ends("mail1", DONE);
    assert_eq!(begun(&mut world), ["mail2"]);
    // A receive for both slots was always open.
    assert_eq!(come(&mut world, &["other1", "other2"]), ["other1"]);
    assert!(!world.emitted().contains(&"other2 is release".to_owned()));
    world.ends("other1", DONE);
    assert_eq!(begun(&mut world), ["other2"]);
}
