//! Limited jobs of a batch that is handed in, as on Lambda: they are held as long as the response can wait.

use drumline::core::{Acknowledge, Disposition, Policy};

use crate::limits::{at_once, begun};
use crate::world::{DONE, World, millis, secs, standard};

/// A batch of three mails, of which one is sent at a time, with this much time.
fn batch(time: u64) -> World {
    let mut world = World::new(Policy { polling: None, acknowledge: Acknowledge::ByResponse, ..standard() });
    world.is_limited_by(&at_once(&[("mail", 1)]));
    world.ledger.set_deadline(world.now + secs(time));
    world.agrees();
    world.is_handed(["mail1", "mail2", "mail3"]);
    world
}

#[test]
fn it_is_held_while_the_time_allows_it() {
    let mut world = batch(30);
    assert_eq!(begun(&mut world), ["mail1"]);
    world.wait(secs(1));
    world.ends("mail1", DONE);
    assert_eq!(begun(&mut world), ["mail2"]);
    world.ends("mail2", DONE);
    assert_eq!(begun(&mut world), ["mail3"]);
    world.ends("mail3", DONE);
    assert!(world.ledger.drained().is_some());
    assert!(world.finished().iter().all(|(_, disposition)| *disposition == Disposition::Done));
}

#[test]
fn it_goes_back_at_once_if_its_turn_comes_too_late() {
    let mut world = batch(3);
    world.forget();
    // A second is left beside the time to settle: enough for one more, at the estimate of a second each.
    for name in ["mail1", "mail2", "mail3"] {
        world.asks(name, "mail");
    }
    world.wait(millis(150));
    let emitted = world.emitted();
    assert!(emitted.contains(&"mail3 is retry after 2s".to_owned()), "{emitted:?}");
    assert!(emitted.contains(&"hide mail3#1=2".to_owned()), "{emitted:?}");
    assert!(world.ledger.waits_for_limits());
    assert_eq!(world.finished(), [("mail3".to_owned(), Disposition::Returned)]);
}

#[test]
fn what_is_held_goes_back_with_time_to_settle() {
    let mut world = batch(30);
    assert_eq!(begun(&mut world), ["mail1"]);
    world.wait(secs(27));
    assert!(world.finished().is_empty());
    world.forget();
    world.wait(millis(1100));
    let emitted = world.emitted();
    assert!(emitted.contains(&"hide mail2#1=2 mail3#1=3".to_owned()), "{emitted:?}");
    let returned = |name: &str| (name.to_owned(), Disposition::Returned);
    assert_eq!(world.finished(), [returned("mail2"), returned("mail3")]);
    assert!(!world.ledger.waits_for_limits());
}
