//! An operator cancels single jobs, and retries others at once.

use drumline::core::{DeadLetterPath, Ending, Whereabouts};

use crate::world::{DONE, World, fifo, retry, retry_after, secs, standard, with_dlq};

const WHY: &str = "cancelled by ada: wrong price";

fn cancel(world: &mut World, name: &str) -> Option<Whereabouts> {
    let place = world.ledger.cancel_job(world.now, name, WHY);
    world.wait(secs(0));
    place
}

fn redriven() -> drumline::core::Policy {
    with_dlq(DeadLetterPath::Redrive, standard())
}

#[test]
fn a_cancelled_run_is_asked_to_stop_and_fails_permanently() {
    let mut world = World::new(redriven());
    world.receives(["a"]);
    world.forget();
    assert_eq!(cancel(&mut world, "a"), Some(Whereabouts::Running));
    assert_eq!(world.emitted(), ["cancel a Operator"]);
    world.ends("a", retry());
    assert_eq!(world.emitted()[0], format!("a is dead letter: {WHY}"));
}

#[test]
fn a_job_that_is_done_all_the_same_is_done() {
    let mut world = World::new(redriven());
    world.receives(["a"]);
    cancel(&mut world, "a");
    world.forget();
    world.ends("a", DONE);
    assert_eq!(world.emitted()[0], "a is ack");
}

#[test]
fn a_hidden_message_does_not_run_the_next_time() {
    let mut world = World::new(redriven());
    world.receives(["a"]);
    world.ends("a", retry_after(secs(600)));
    world.agrees();
    assert_eq!(world.ledger.whereabouts(world.now, "a"), Some(Whereabouts::Hidden));
    assert_eq!(cancel(&mut world, "a"), Some(Whereabouts::Hidden));
    world.wait(secs(600));
    world.forget();
    world.receives(["a"]);
    assert_eq!(world.emitted()[0], format!("a is dead letter: {WHY}"));
    assert_eq!(world.ledger.running(), 0);
}

#[test]
fn one_that_comes_here_later_does_not_run_either() {
    let mut world = World::new(redriven());
    assert_eq!(cancel(&mut world, "a"), None);
    world.receives(["a", "b"]);
    assert_eq!(world.emitted()[0], format!("a is dead letter: {WHY}"));
    assert_eq!(world.ledger.running(), 1, "others run");
}

#[test]
fn a_message_behind_another_of_its_group_leaves_after_it() {
    let mut world = World::new(with_dlq(DeadLetterPath::Redrive, fifo()));
    world.receives(["g/a", "g/b"]);
    world.forget();
    assert_eq!(cancel(&mut world, "b"), Some(Whereabouts::InHand));
    assert_eq!(world.emitted(), [""; 0]);
    world.ends("a", DONE);
    world.agrees();
    assert!(world.emitted().contains(&format!("b is dead letter: {WHY}")));
}

#[test]
fn a_hidden_message_is_known_by_receipt_until_it_is_visible() {
    let mut world = World::new(redriven());
    world.receives(["a", "b", "c"]);
    world.agrees();
    world.ends("a", retry_after(secs(60)));
    world.ends("b", retry_after(secs(60)));
    world.ends("c", Ending::RetryAsked { after: Some(secs(0)), reason: "now".into() });
    world.wait(secs(1));
    assert!(world.ledger.hidden(world.now, "a").is_some_and(|hidden| !hidden.receipt.is_empty()));
    assert_eq!(world.ledger.whereabouts(world.now, "c"), None, "it is visible at once");
    world.ledger.made_visible("a");
    assert_eq!(world.ledger.hidden(world.now, "a"), None);
    world.receives(["b"]);
    assert_eq!(world.ledger.whereabouts(world.now, "b"), Some(Whereabouts::Running));
    assert_eq!(world.ledger.hidden(world.now, "b"), None);
}
