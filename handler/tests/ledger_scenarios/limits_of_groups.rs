//! Limited jobs of message groups: a group waits as a whole, and in its order.

use crate::limits::{at_once, begun};
use crate::world::{DONE, World, fifo, with_slots};

fn world(slots: usize) -> World {
    let mut world = World::new(with_slots(slots, fifo()));
    world.is_limited_by(&at_once(&[("mail", 1)]));
    world.agrees();
    world
}

#[test]
fn a_group_waits_behind_its_held_head() {
    let mut world = world(4);
    world.receives(["g/mail1", "h/mail2", "h/other1"]);
    assert_eq!(begun(&mut world), ["mail1"]);
    world.ends("mail1", DONE);
    assert_eq!(begun(&mut world), ["mail2"]);
    world.ends("mail2", DONE);
    assert_eq!(begun(&mut world), ["other1"]);
}

#[test]
fn a_long_group_keeps_no_other_group_from_running() {
    let mut world = world(4);
    world.receives(["g/mail1", "h/mail2", "h/mail3", "h/mail4"]);
    assert_eq!(begun(&mut world), ["mail1"]);
    assert_eq!(world.ledger.demand(), 3, "mail3 and mail4 wait behind mail2, which takes no slot");
    world.is_handed(["i/other1", "j/other2", "k/other3"]);
    assert_eq!(begun(&mut world), ["other1", "other2", "other3"]);
}

#[test]
fn a_group_goes_back_with_its_head_and_after_it() {
    let mut world = world(4);
    world.receives(["g/mail1"]);
    assert_eq!(begun(&mut world), ["mail1"]);
    for n in 1..=10 {
        let name: &'static str = Box::leak(format!("h{n}/mail{}", 100 + n).into_boxed_str());
        world.is_handed([name]);
        assert!(begun(&mut world).is_empty());
    }
    world.is_handed(["i/mail2", "i/other1", "i/other2"]);
    world.forget();
    assert!(!world.asks("mail2", "mail"));
    let emitted = world.emitted();
    let expected = ["mail2 is retry after 11s", "other1 is release", "other2 is release"];
    assert!(expected.iter().all(|line| emitted.contains(&(*line).to_owned())), "{emitted:?}");
    let hidden: Vec<&str> =
        emitted.iter().flat_map(|line| line.split(' ').skip(1)).filter(|entry| entry.contains('=')).collect();
    assert_eq!(hidden, ["mail2#1=11", "other1#1=13", "other2#1=13"]);
}
