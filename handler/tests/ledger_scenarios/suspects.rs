//! Messages that may have killed a process run alone, for a while.

use crate::world::{DONE, World, fifo, gone, retry, secs, standard};

#[test]
fn a_suspect_waits_until_it_is_alone_and_nothing_starts_beside_it() {
    let mut world = World::new(standard());
    world.receives(["a", "s*3", "b"]);
    assert_eq!(world.heard(), ["s waits to run alone", "start a", "start b"]);
    assert_eq!(world.ledger.demand(), 0);
    world.ends("a", DONE);
    world.forget();
    world.ends("b", DONE);
    assert!(world.heard().contains(&"start s".to_owned()));
    world.is_handed(["c"]);
    assert!(world.heard().is_empty());
    world.ends("s", DONE);
    assert!(world.heard().contains(&"start c".to_owned()));
}

#[test]
fn suspects_run_one_after_the_other() {
    let mut world = World::new(standard());
    world.receives(["s*3", "t*7"]);
    assert_eq!(world.heard(), ["s waits to run alone", "t waits to run alone", "start s"]);
    world.ends("s", retry());
    assert!(world.heard().contains(&"start t".to_owned()));
    world.ends("t", DONE);
    assert!(world.ledger.demand() > 0);
}

#[test]
fn a_message_whose_ending_is_known_is_no_suspect() {
    let mut world = World::new(standard());
    world.receives(["a*2"]);
    world.ends("a", retry());
    world.confirm();
    world.forget();
    world.receives(["a*3"]);
    assert_eq!(world.heard(), ["start a"]);
}

#[test]
fn a_waiting_suspect_is_trusted_after_a_minute() {
    let mut world = World::new(standard());
    world.agrees();
    world.receives(["a"]);
    world.receives(["s*3"]);
    world.forget();
    world.wait(secs(59));
    assert!(!world.heard().contains(&"start s".to_owned()));
    world.wait(secs(1));
    assert!(world.heard().contains(&"start s".to_owned()));
    world.receives(["t*3"]);
    assert_eq!(world.heard(), ["start t"]);
}

#[test]
fn a_suspect_that_runs_for_long_stops_the_queue_for_a_minute_only() {
    let mut world = World::new(standard());
    world.agrees();
    world.receives(["s*3"]);
    world.is_handed(["a"]);
    world.forget();
    world.wait(secs(59));
    assert!(!world.heard().contains(&"start a".to_owned()));
    world.wait(secs(1));
    assert!(world.heard().contains(&"start a".to_owned()));
    assert!(world.ledger.demand() > 0);
}

#[test]
fn a_suspect_that_lost_its_lease_while_waiting_holds_nobody_up() {
    let mut world = World::new(standard());
    world.receives(["a"]);
    world.receives(["s*3"]);
    world.wait(secs(15));
    world.answer(vec![Ok(()), gone()]);
    assert_eq!(world.ledger.in_hand(), 1);
    assert_eq!(world.ledger.demand(), 31);
}

#[test]
fn a_suspect_that_goes_back_with_its_lane_holds_nobody_up() {
    let mut world = World::new(fifo());
    world.receives(["h/x", "g/a", "g/s*3"]);
    world.ends("a", retry());
    world.wait(secs(1));
    world.forget();
    world.confirm();
    assert_eq!(world.heard(), ["a is settled", "s is settled"]);
    assert_eq!(world.ledger.demand(), 31);
}
