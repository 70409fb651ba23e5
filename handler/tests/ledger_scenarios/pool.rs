//! Queues that share the slots of their process.

use std::num::{NonZeroU32, NonZeroUsize};

use drumline::core::{PauseReason, Policy, SlotPool, SlotRules};

use crate::world::{DONE, World, fifo, millis, secs, standard, with_slots};

fn pool(slots: usize) -> SlotPool {
    SlotPool::new(NonZeroUsize::new(slots).unwrap())
}

fn weight(weight: u32) -> SlotRules {
    SlotRules { weight: NonZeroU32::new(weight).unwrap(), ..SlotRules::default() }
}

fn joins(pool: &SlotPool, rules: SlotRules, policy: Policy) -> World {
    World::in_pool(with_slots(pool.size(), policy), pool.join("queue", rules))
}

/// The slots of each queue.
fn slots(pool: &SlotPool) -> Vec<usize> {
    pool.snapshot().iter().map(|member| member.slots).collect()
}

/// Answers the open receives of a queue with endless messages, until every slot that it gets is used.
fn fills(world: &mut World, name: &str) {
    for round in 0..20 {
        if world.asked_for().is_empty() {
            world.wait(millis(20));
        }
        for receive in 0..world.asked_for().len() {
            let open = world.take_receive();
            let names: Vec<_> = (0..open.max).map(|n| format!("{name}-{round}-{receive}-{n}")).collect();
            world.lands(open, &names.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}

#[test]
fn an_idle_queue_keeps_only_one_slot_for_its_open_receive() {
    let pool = pool(8);
    let mut idle = joins(&pool, weight(1), standard());
    let mut busy = joins(&pool, weight(1), standard());
    assert_eq!((idle.asked_for(), busy.asked_for()), (vec![1], vec![1]));
    fills(&mut busy, "b");
    assert_eq!((busy.ledger.running(), slots(&pool)), (7, vec![1, 7]));
    // Its message starts at once.
    idle.receives(["a"]);
    assert_eq!(idle.emitted(), ["start a"]);
    idle.wait(secs(1));
    assert_eq!((idle.asked_for(), slots(&pool)), (vec![], vec![1, 7]), "there is no slot for a second one");
}

#[test]
fn a_queue_without_messages_gives_its_slots_to_others_at_once() {
    let pool = pool(8);
    let mut first = joins(&pool, weight(1), standard());
    first.receives(["a"]);
    assert_eq!(first.asked_for(), [2], "there may be more");
    let mut second = joins(&pool, weight(1), standard());
    fills(&mut second, "b");
    assert_eq!(slots(&pool), [3, 5]);
    // A receive that does not wait gets no messages.
    first.receives([]);
    assert_eq!(first.asked_for(), [1], "a long poll");
    assert_eq!(slots(&pool), [2, 6], "the other slot is the second queue's");
    assert!(second.ledger.has_new_slots());
}

#[test]
fn a_free_slot_goes_to_the_queue_whose_turn_it_is() {
    let pool = pool(4);
    let mut first = joins(&pool, weight(1), standard());
    fills(&mut first, "a");
    assert_eq!(first.ledger.running(), 4);
    let mut second = joins(&pool, weight(3), standard());
    assert_eq!(second.asked_for(), [0_usize; 0], "it waits for a slot");
    first.agrees();
    first.wait(secs(1));
    second.wait(secs(1));
    let runs: Vec<String> = first.running();
    first.ends(&runs[0], DONE);
    assert!(second.ledger.has_new_slots() && !first.ledger.has_new_slots());
    second.turns();
    assert_eq!((second.asked_for(), first.asked_for()), (vec![1], vec![]));
}

#[test]
fn messages_behind_others_of_their_group_take_no_slots() {
    let pool = pool(8);
    let mut first = joins(&pool, weight(1), fifo());
    first.receives(["g/a"]);
    // It has waited for more slots.
    first.wait(millis(20));
    let receive = first.take_receive();
    assert!(receive.is_short && receive.max >= 4, "{receive:?}");
    first.lands(receive, &["h/b", "h/c", "h/d", "h/e"]);
    assert_eq!((first.ledger.in_hand(), first.ledger.running()), (5, 2));
    first.receives([]);
    assert_eq!(slots(&pool), [3], "two run, and one is for the open receive");
    // The next message of its group takes the slot of the one before it.
    first.agrees();
    first.ends("b", DONE);
    assert_eq!((first.running(), slots(&pool)), (vec!["a".to_owned(), "c".to_owned()], vec![3]));
}

#[test]
fn a_paused_queue_gives_back_the_slots_of_what_it_keeps_in_hand() {
    let pool = pool(4);
    let mut first = joins(&pool, weight(1), standard());
    first.pauses(PauseReason::TargetUnhealthy);
    // The receive was open before.
    first.receives(["a"]);
    assert_eq!((first.ledger.in_hand(), first.ledger.running(), slots(&pool)), (1, 0, vec![0]));
    let mut second = joins(&pool, weight(1), standard());
    fills(&mut second, "b");
    assert_eq!(slots(&pool), [0, 4]);
    // A probe has the next slot.
    first.probes();
    assert_eq!(first.ledger.running(), 0);
    second.agrees();
    let runs = second.running();
    second.ends(&runs[0], DONE);
    assert!(first.ledger.has_new_slots());
    first.turns();
    assert_eq!(first.running(), ["a"]);
}

#[test]
fn slots_are_free_again_once_a_queue_is_drained_and_gone() {
    let pool = pool(4);
    let mut first = joins(&pool, weight(1), standard());
    let second = joins(&pool, weight(1), standard());
    fills(&mut first, "a");
    assert_eq!(slots(&pool), [3, 1]);
    first.agrees();
    first.drain(secs(10));
    for run in first.running() {
        first.ends(&run, DONE);
    }
    assert_eq!(slots(&pool), [0, 1], "a drain asks for no slots");
    drop(first);
    assert_eq!((slots(&pool), second.asked_for()), (vec![1], vec![1]));
}

#[test]
fn a_queue_that_cannot_be_received_from_keeps_no_slots() {
    let pool = pool(4);
    let mut first = joins(&pool, weight(1), standard());
    first.receive_fails();
    assert_eq!((first.asked_for(), slots(&pool)), (vec![], vec![0]));
    let mut second = joins(&pool, weight(1), standard());
    fills(&mut second, "b");
    assert_eq!(slots(&pool), [0, 4]);
    first.wait(secs(10));
    assert_eq!(first.asked_for(), [0_usize; 0], "it waits for a slot");
    second.agrees();
    let runs = second.running();
    second.wait(secs(10));
    second.ends(&runs[0], DONE);
    first.turns();
    assert_eq!(first.asked_for(), [1]);
}

#[test]
fn a_queue_whose_messages_are_too_old_gets_the_next_slots() {
    let pool = pool(4);
    let rules = SlotRules { max_age: Some(secs(60)), ..weight(1) };
    let mut late = joins(&pool, rules, standard());
    let mut heavy = joins(&pool, weight(1_000), standard());
    fills(&mut heavy, "b");
    heavy.agrees();
    let mut old = late.message("a");
    old.sent_at = Some(secs(1_000));
    late.ledger.note_age(secs(1_050), std::slice::from_ref(&old));
    late.receives(["a"]);
    let free = |heavy: &mut World| {
        let runs = heavy.running();
        heavy.wait(secs(1));
        heavy.ends(&runs[0], DONE);
    };
    free(&mut heavy);
    assert!(!late.ledger.has_new_slots(), "fifty seconds are not too old");
    late.ledger.note_age(secs(1_070), std::slice::from_ref(&old));
    late.turns();
    fills(&mut heavy, "c");
    free(&mut heavy);
    assert!(late.ledger.has_new_slots());
    // A message that was received before does not count: as far as is known, its first run was in time.
    old.receive_count = 2;
    late.ledger.note_age(secs(9_000), &[old]);
    late.turns();
    assert!(!pool.snapshot()[0].is_late);
}

#[test]
fn the_share_of_a_paused_queue_is_the_others() {
    let pool = pool(8);
    let mut first = joins(&pool, weight(3), standard());
    let mut second = joins(&pool, weight(1), standard());
    first.receives(["a"]);
    second.receives(["b"]);
    let shares = || pool.snapshot().iter().map(|member| member.share).collect::<Vec<_>>();
    assert_eq!(shares(), [6.0, 2.0]);
    first.agrees();
    first.pauses(PauseReason::Operator);
    first.receives([]);
    first.ends("a", DONE);
    second.turns();
    assert!((shares()[1] - 8.0).abs() < 0.01, "{:?}", shares());
}
