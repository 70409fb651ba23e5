//! The number of slots changes while the ledger works.

use std::num::NonZeroUsize;

use crate::world::{DONE, World, millis, secs, standard, with_slots};

fn set(world: &mut World, concurrency: usize) {
    world.ledger.set_concurrency(NonZeroUsize::new(concurrency).unwrap());
    world.wait(millis(0));
}

#[test]
fn with_fewer_slots_nothing_starts_until_enough_have_ended() {
    let mut world = World::new(with_slots(3, standard()));
    world.receives(["a", "b", "c"]);
    world.forget();
    set(&mut world, 1);
    assert_eq!((world.ledger.running(), world.ledger.demand()), (3, 0), "none is cancelled");
    for name in ["a", "b"] {
        world.ends(name, DONE);
        world.agrees();
        assert_eq!(world.ledger.demand(), 0, "as many run as may");
    }
    assert_eq!(world.asked_for(), [0; 0]);
    world.ends("c", DONE);
    world.agrees();
    assert_eq!(world.ledger.demand(), 1);
}

#[test]
fn a_message_received_for_a_removed_slot_is_released() {
    let mut world = World::new(with_slots(3, standard()));
    let hanging = world.take_receive();
    world.wait(secs(35));
    world.receives(["a", "b"]);
    set(&mut world, 1);
    world.forget();
    world.lands(hanging, &["c"]);
    assert_eq!(world.emitted(), ["c is release"], "there is no slot for it any more");
    world.ends("a", DONE);
    world.ends("b", DONE);
    assert_eq!(world.ledger.running(), 0);
}

#[test]
fn more_slots_are_asked_for_at_once() {
    let mut world = World::new(with_slots(1, standard()));
    world.receives(["a"]);
    world.wait(secs(1));
    assert_eq!(world.asked_for(), [0; 0]);
    set(&mut world, 30);
    assert_eq!(world.ledger.demand(), 29);
    assert!(!world.asked_for().is_empty());
}
