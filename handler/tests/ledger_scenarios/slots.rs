//! No message is requested without a slot for it.

use crate::world::{DONE, World, fifo, millis, secs, standard, with_slots};

#[test]
fn at_most_as_many_are_asked_for_as_can_start() {
    let mut world = World::fresh(with_slots(3, standard()));
    world.receives(["a"]);
    assert_eq!(world.asked_for(), [2]);
    world.receives(["b"]);
    assert_eq!((world.ledger.demand(), world.asked_for()), (1, vec![1]));
    world.receives(["c"]);
    assert_eq!((world.ledger.demand(), world.asked_for()), (0, vec![]));
    world.ends("b", DONE);
    world.wait(millis(20));
    assert_eq!(world.asked_for(), [1], "polling overlaps with the delete");
}

#[test]
fn unconfirmed_settlements_have_room_for_as_many_as_run() {
    let mut world = World::new(with_slots(2, standard()));
    world.receives(["a", "b"]);
    world.ends("a", DONE);
    world.ends("b", DONE);
    world.receives(["c", "d"]);
    assert_eq!(world.ledger.in_hand(), 4);
    world.ends("c", DONE);
    world.ends("d", DONE);
    assert_eq!(world.ledger.demand(), 0, "SQS is slow to confirm");
    assert_eq!(world.asked_for(), [0; 0]);
    world.confirm();
    assert_eq!(world.ledger.demand(), 2);
    assert_eq!(world.ledger.in_hand(), 2);
}

#[test]
fn an_overdue_receive_is_replaced_and_its_messages_released() {
    let mut world = World::new(with_slots(2, standard()));
    let hanging = world.take_receive();
    world.wait(secs(35));
    assert_eq!(world.emitted(), ["a receive is overdue"]);
    assert!(!world.ledger.healthy());
    assert_eq!(world.asked_for(), [2]);
    world.receives(["a", "b"]);
    world.forget();
    world.lands(hanging, &["c", "d"]);
    assert_eq!(world.emitted(), ["c is release", "d is release"]);
    world.wait(millis(100));
    assert_eq!(world.emitted(), ["hide c#1=0 d#1=0"]);
    assert!(world.ledger.healthy());
    assert_eq!(world.ledger.running(), 2);
}

#[test]
fn a_failed_receive_is_followed_by_a_growing_pause() {
    let mut world = World::fresh(standard());
    for (pause, healthy) in
        [(100, true), (200, true), (400, true), (800, true), (1_600, false), (3_200, false)]
    {
        world.forget();
        world.receive_fails();
        assert_eq!(world.emitted(), [format!("receive failed, again in {:?}", millis(pause))]);
        assert_eq!(world.ledger.healthy(), healthy);
        world.wait(millis(pause - 1));
        assert_eq!(world.asked_for(), [0; 0]);
        world.wait(millis(1));
        assert_eq!(world.asked_for(), [1]);
    }
    world.wait(secs(20));
    world.receives([]);
    assert!(world.ledger.healthy());
    assert_eq!(world.asked_for(), [1], "at once");
}

#[test]
fn receives_that_fail_together_count_as_one_failure() {
    let mut world = World::new(with_slots(40, standard()));
    let ids: Vec<String> = (0..20).map(|n| format!("m{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for chunk in ids.chunks(10) {
        let receive = world.take_receive();
        world.lands(receive, chunk);
    }
    for id in &ids {
        world.ends(id, DONE);
    }
    assert_eq!(world.asked_for(), [10, 10, 10]);
    world.forget();
    // Two successes have paid for eight failures, so it takes three rounds of three until none is left.
    while world.asked_for() != [0; 0] {
        world.receive_fails();
    }
    let reports: Vec<_> = world.emitted().into_iter().filter(|line| line.starts_with("receive")).collect();
    assert_eq!(reports, ["receive failed, again in 0ns", "receive failed, again in 100ms"]);
    world.wait(millis(100));
    assert_eq!(world.asked_for(), [10], "one probes");
    world.receives(["x"]);
    assert_eq!(world.asked_for(), [10, 10, 10], "and all of them follow");
}

#[test]
fn immediate_empty_answers_are_followed_after_100_ms() {
    let mut world = World::new(standard());
    for _ in 0..3 {
        world.receives([]);
        world.wait(millis(99));
        assert_eq!(world.asked_for(), [0; 0]);
        world.wait(millis(1));
        assert_eq!(world.asked_for(), [10]);
    }
    assert_eq!(world.emitted(), ["empty receives do not wait"], "said once");
    world.receives(["a"]);
    assert_eq!(world.asked_for(), [10], "messages are not slowed");
}

#[test]
fn a_pause_that_ends_without_a_free_slot_causes_no_busy_loop() {
    let mut world = World::new(with_slots(1, standard()));
    let first = world.take_receive();
    world.wait(secs(35));
    world.receive_fails();
    world.lands(first, &["a"]);
    // The pause ends without a free slot; `wait` checks that every timeout lies ahead.
    world.wait(secs(5));
    assert_eq!(world.ledger.running(), 1);
    let mut world = World::new(with_slots(1, standard()));
    world.receive_fails();
    world.is_handed(["a"]);
    world.wait(secs(5));
    assert_eq!(world.ledger.running(), 1);
}

#[test]
fn a_repeated_answer_delivers_its_messages_at_most_once_more() {
    let mut world = World::new(with_slots(2, standard()));
    let receive = world.take_receive();
    world.lands(receive, &["a", "b"]);
    world.lands(receive, &["a", "b"]);
    assert_eq!(world.ledger.in_hand(), 2);
    assert_eq!(world.ledger.demand(), 0);
}

#[test]
fn a_lanes_tail_takes_places_too() {
    let mut world = World::fresh(with_slots(4, fifo()));
    assert_eq!(world.asked_for(), [4]);
    world.receives(["g/a", "g/b", "g/c"]);
    assert_eq!(world.asked_for(), [1]);
    assert_eq!(world.ledger.running(), 1);
}

#[test]
fn open_receives_never_request_more_than_the_free_slots() {
    let mut world = World::new(with_slots(25, standard()));
    assert_eq!(world.asked_for(), [10]);
    world.receives(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    assert_eq!(world.asked_for(), [10], "five places are left over, which go into the next one");
    assert_eq!(world.ledger.demand(), 15);
    world.wait(secs(1));
    assert_eq!(world.asked_for(), [10]);
}
