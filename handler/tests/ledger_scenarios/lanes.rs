//! FIFO: one delivery of a message group at a time, in order; groups beside each other.

use crate::world::{DONE, World, failed, fifo, gone, millis, retry, secs, standard, with_slots};

#[test]
fn groups_run_beside_each_other_and_each_in_order() {
    let mut world = World::new(fifo());
    world.receives(["g/a", "h/x", "g/b", "h/y"]);
    assert_eq!(world.emitted(), ["start a", "start x"]);
    world.ends("x", DONE);
    assert_eq!(world.emitted(), ["x is ack", "delete x#1"]);
    world.confirm();
    assert_eq!(world.emitted(), ["x is settled", "start y"]);
}

#[test]
fn the_next_one_starts_only_when_the_delete_is_confirmed() {
    let mut world = World::new(fifo());
    world.receives(["g/a", "g/b"]);
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["start a", "a is ack", "delete a#1"]);
    world.answer(vec![failed()]);
    assert_eq!(world.emitted(), ["a's call failed"]);
    world.wait(millis(200));
    assert_eq!(world.emitted(), ["delete a#1"]);
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled", "start b"]);
}

#[test]
fn a_failing_head_gives_the_rest_back_in_order() {
    let mut world = World::new(fifo());
    world.receives(["g/a", "g/b", "h/x", "g/c"]);
    world.forget();
    world.ends("a", retry());
    assert_eq!(
        world.emitted(),
        ["a is retry after 1s", "b is release", "c is release", "hide a#1=1 b#1=3 c#1=3"]
    );
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled", "b is settled", "c is settled"]);
    assert_eq!(world.ledger.running(), 1, "the other group goes on");
}

#[test]
fn a_lost_lease_gives_the_rest_back_too() {
    let mut world = World::new(fifo());
    world.receives(["g/a", "g/b"]);
    world.wait(secs(15));
    world.answer(vec![gone(), Ok(())]);
    world.forget();
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is lease lost", "b is release", "hide b#1=2"]);
}

#[test]
fn what_joins_a_lane_whose_head_goes_back_goes_back_with_it() {
    // `a` was made visible, and is received again with `b` before the answer arrives.
    let mut world = World::new(fifo());
    world.receives(["g/a"]);
    world.ends("a", retry());
    world.receives(["g/a*2", "g/b"]);
    world.forget();
    world.confirm();
    assert_eq!(world.emitted(), ["hide a#2=1"]);
    world.confirm();
    assert_eq!(world.emitted(), ["a is settled", "b is release", "hide b#1=2"], "`b` must not overtake `a`");
}

#[test]
fn a_message_that_joins_a_lane_with_a_failed_backoff_waits() {
    let mut world = World::new(fifo());
    world.receives(["g/a"]);
    world.ends("a", retry());
    world.take_call();
    world.wait(secs(20));
    world.receives(["g/b"]);
    world.forget();
    world.wait(secs(9));
    let emitted = world.emitted();
    let emitted: Vec<_> = emitted.iter().filter(|line| *line != "hide a#1=1").collect();
    assert_eq!(emitted, ["a is unsettled", "b is release", "hide b#1=2"]);
}

#[test]
fn a_settlement_that_its_lane_waits_for_does_not_linger() {
    let mut world = World::new(fifo());
    world.receives(["g/a", "h/x", "i/y", "g/b"]);
    world.forget();
    world.ends("x", DONE);
    assert_eq!(world.emitted(), ["x is ack"], "it waits for company");
    world.ends("a", DONE);
    assert_eq!(world.emitted(), ["a is ack", "delete x#1 a#1"]);
}

#[test]
fn lanes_wait_for_places() {
    let mut world = World::new(with_slots(2, fifo()));
    world.receives(["g/a", "g/b"]);
    assert_eq!(world.emitted(), ["start a"]);
    assert_eq!(world.ledger.demand(), 0, "`b` has its place");
    world.ends("a", DONE);
    world.confirm();
    world.wait(millis(20));
    world.forget();
    world.receives(["h/x"]);
    assert_eq!(world.emitted(), ["start x"]);
}

#[test]
fn a_group_on_a_standard_queue_is_no_lane() {
    let mut world = World::new(standard());
    world.receives(["tenant/a", "tenant/b"]);
    assert_eq!(world.emitted(), ["start a", "start b"]);
    world.ends("a", retry());
    assert_eq!(world.emitted(), ["a is retry after 1s"], "its neighbour goes on");
}

#[test]
fn messages_of_a_fifo_queue_without_a_group_follow_each_other() {
    let mut world = World::new(fifo());
    world.receives(["a", "g/b", "c"]);
    assert_eq!(world.emitted(), ["start a", "start b"]);
}
