//! Jobs that are limited: their messages are held in hand, in their order and without a slot, or are released until their turn.

use std::num::{NonZeroU32, NonZeroUsize};

use drumline::core::{
    Claims, CrashEvidence, Ending, JobClass, LimitRules, Limits, Ownership, PauseReason, Policy,
    ReceiveLimit, TypeOrders, TypeRules,
};

use crate::world::{DONE, World, millis, retry, secs, standard, with_slots};

/// The first message that is released waits for ten held ones, of a second each, and for itself.
const FIRST_TURN: u64 = 11;

/// At most this number of jobs of each type at once.
pub(crate) fn at_once(types: &[(&str, usize)]) -> Limits {
    let mut rules = LimitRules::none(NonZeroUsize::MIN);
    for (name, most) in types {
        let of_type = TypeRules { concurrency: NonZeroUsize::new(*most), ..TypeRules::default() };
        rules.types.insert((*name).to_owned(), of_type);
    }
    Limits::new(rules)
}

/// The type of a message's job is the beginning of its name.
pub(crate) fn type_of(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Every started run requests its permit. Returns those that run on.
#[track_caller]
pub(crate) fn begun(world: &mut World) -> Vec<String> {
    let mut begun = Vec::new();
    loop {
        let emitted = world.emitted();
        let started: Vec<&str> = emitted.iter().filter_map(|line| line.strip_prefix("start ")).collect();
        if started.is_empty() {
            return begun;
        }
        begun.extend(started.iter().filter(|name| world.asks(name, type_of(name))).map(ToString::to_string));
    }
}

/// Messages arrive without a receive, and their runs request their permits. Returns those that run on.
pub(crate) fn come(world: &mut World, names: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for name in names {
        world.is_handed([*name]);
        all.extend(begun(world));
    }
    all
}

/// A world in which one mail is sent at a time: `mail1` runs, and ten more are held.
fn full(slots: usize, policy: Policy) -> World {
    let mut world = World::new(with_slots(slots, policy));
    world.is_limited_by(&at_once(&[("mail", 1)]));
    world.agrees();
    assert_eq!(come(&mut world, &["mail1"]), ["mail1"]);
    let names: Vec<String> = (2..=11).map(|n| format!("mail{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert!(come(&mut world, &names).is_empty());
    assert_eq!((world.ledger.running(), world.ledger.in_hand()), (1, 11));
    world
}

/// The fate of a message whose job is limited: `None` if it is held.
fn fate(world: &mut World, name: &'static str) -> Option<String> {
    world.is_handed([name]);
    let emitted = world.emitted();
    let id = name.split('*').next().unwrap();
    assert!(emitted.contains(&format!("start {id}")), "{emitted:?}");
    assert!(!world.asks(id, type_of(id)));
    world.emitted().into_iter().find_map(|line| Some(line.strip_prefix(&format!("{id} is "))?.to_owned()))
}

#[test]
fn what_is_limited_is_held_without_a_slot_and_starts_in_order() {
    let mut world = full(2, standard());
    assert_eq!(world.ledger.demand(), 1);
    assert!(world.ledger.waits_for_limits());
    for n in 1..=11 {
        world.ends(&format!("mail{n}"), DONE);
        let next = format!("mail{}", n + 1);
        assert_eq!(begun(&mut world), if n < 11 { vec![next] } else { Vec::new() });
    }
    assert_eq!(world.ledger.in_hand(), 0);
    assert!(!world.ledger.waits_for_limits());
}

#[test]
fn others_go_on_beside_a_class_at_its_limit() {
    let mut world = full(2, standard());
    for n in 0..50 {
        let name = format!("other{n}");
        world.wait(millis(10));
        assert_eq!(come(&mut world, &[&name]), [name.as_str()]);
        world.ends(&name, DONE);
    }
    world.wait(secs(60));
    assert_eq!(world.ledger.in_hand(), 11);
}

#[test]
fn more_than_ten_go_back_each_until_its_turn() {
    let mut world = full(4, standard());
    assert_eq!(fate(&mut world, "mail12").unwrap(), format!("retry after {FIRST_TURN}s"));
    assert_eq!(fate(&mut world, "mail13").unwrap(), format!("retry after {}s", FIRST_TURN + 1));
    world.wait(secs(5));
    // Runs turn out to take five seconds.
    world.ends("mail1", DONE);
    assert_eq!(begun(&mut world), ["mail2"]);
    assert_eq!(fate(&mut world, "mail14"), None, "there is a place again");
    assert_eq!(fate(&mut world, "mail15").unwrap(), "retry after 55s");
}

#[test]
fn a_second_return_is_for_ten_minutes_at_least() {
    let mut world = full(4, standard());
    assert_eq!(fate(&mut world, "mail12").unwrap(), format!("retry after {FIRST_TURN}s"));
    world.wait(secs(FIRST_TURN));
    assert_eq!(fate(&mut world, "mail12").unwrap(), "retry after 600s");
    let why = "another worker may have returned it";
    assert_eq!(fate(&mut world, "mail13*2").unwrap(), "retry after 600s", "{why}");
    assert_eq!(fate(&mut world, "mail14").unwrap(), format!("retry after {}s", FIRST_TURN + 2));
}

#[test]
fn a_message_on_its_last_receive_is_held_beyond_the_bound() {
    let three = ReceiveLimit::AtMost(NonZeroU32::new(3).unwrap());
    // Receives alone are no evidence against it.
    let policy = Policy { receives: three, crash_evidence: CrashEvidence::Store, ..standard() };
    let mut world = full(2, policy);
    assert_eq!(fate(&mut world, "mail12*3"), None);
    assert_eq!(world.ledger.demand(), 1);
    assert_eq!(fate(&mut world, "mail13*3"), None);
    assert_eq!(world.ledger.demand(), 0, "there is no place for more of them");
    assert_eq!(fate(&mut world, "mail14*2").unwrap(), "retry after 600s");
    world.wait(millis(150));
    assert_eq!(world.ledger.in_hand(), 13);
    for n in 1..=13 {
        world.ends(&format!("mail{n}"), DONE);
        begun(&mut world);
    }
    assert_eq!((world.ledger.in_hand(), world.ledger.demand()), (0, 2));
}

#[test]
fn all_classes_together_are_bounded() {
    let types: Vec<String> = (0..20).map(|n| format!("{}x", char::from(b'a' + n))).collect();
    let types: Vec<(&str, usize)> = types.iter().map(|name| (name.as_str(), 1)).collect();
    let mut world = World::new(with_slots(21, standard()));
    world.is_limited_by(&at_once(&types));
    world.agrees();
    let (mut held, mut returned) = (0, 0);
    for (name, _) in &types {
        assert_eq!(come(&mut world, &[&format!("{name}1")]).len(), 1);
    }
    for n in 2..5 {
        for (name, _) in &types {
            let name: &'static str = Box::leak(format!("{name}{n}").into_boxed_str());
            match fate(&mut world, name) {
                None => held += 1,
                Some(_) => returned += 1,
            }
        }
    }
    assert_eq!((held, returned), (21, 39));
}

#[test]
fn a_newcomer_comes_after_those_that_are_held() {
    let limits = at_once(&[("mail", 1)]);
    let mut world = World::new(with_slots(2, standard()));
    world.is_limited_by(&limits);
    world.agrees();
    // Another queue sends a mail.
    let elsewhere = limits.ask(world.now, &JobClass::of_type("mail")).unwrap();
    assert!(come(&mut world, &["mail1"]).is_empty());
    world.is_handed(["mail2"]);
    world.forget();
    drop(elsewhere);
    assert!(!world.asks("mail2", "mail"), "it asks before mail1 can start");
    assert_eq!(begun(&mut world), ["mail1"]);
    world.ends("mail1", DONE);
    assert_eq!(begun(&mut world), ["mail2"]);
}

#[test]
fn the_limits_of_a_process_are_those_of_all_of_its_queues() {
    let limits = at_once(&[("mail", 1)]);
    let mut worlds = [(); 2].map(|()| World::new(standard()));
    for world in &mut worlds {
        world.is_limited_by(&limits);
        world.agrees();
    }
    let [first, second] = &mut worlds;
    assert_eq!(come(first, &["mail1"]), ["mail1"]);
    assert!(come(second, &["mail2"]).is_empty());
    first.ends("mail1", DONE);
    second.wait(millis(1));
    assert_eq!(begun(second), ["mail2"]);
}

#[test]
fn a_return_is_no_attempt() {
    let mut world = full(4, standard());
    assert!(fate(&mut world, "mail12").is_some());
    world.wait(secs(FIRST_TURN));
    assert!(fate(&mut world, "mail12*2").is_some());
    world.wait(secs(600));
    for n in 1..=11 {
        world.ends(&format!("mail{n}"), DONE);
        begun(&mut world);
    }
    assert_eq!(come(&mut world, &["mail12*3"]), ["mail12"]);
    assert_eq!(world.attempt, 1);
    world.ends("mail12", retry());
    assert_eq!(come(&mut world, &["mail12*4"]), ["mail12"]);
    assert_eq!(world.attempt, 2);
    world.ends("mail12", DONE);
    assert_eq!(come(&mut world, &["mail13*4"]), ["mail13"]);
    assert_eq!(world.attempt, 4, "the receives in other processes count");
}

#[test]
fn leases_are_renewed_for_twelve_hours_and_then_it_goes_back() {
    let mut world = World::new(standard());
    world.is_limited_by(&at_once(&[("mail", 1)]));
    world.agrees();
    let held_elsewhere = at_once(&[("mail", 1)]);
    world.is_limited_by(&held_elsewhere);
    let _permit = held_elsewhere.ask(world.now, &JobClass::of_type("mail")).unwrap();
    assert!(come(&mut world, &["mail1"]).is_empty());
    world.wait(secs(12 * 3600 - 60));
    let mut emitted = world.emitted();
    emitted.retain(|line| line != "a receive is overdue");
    assert!(emitted.len() > 2000 && emitted.iter().all(|line| line == "hide mail1#1=30"), "{emitted:?}");
    world.wait(secs(60));
    let emitted = world.emitted();
    assert!(emitted.contains(&"mail1 is retry after 1s".to_owned()), "{emitted:?}");
    assert_eq!(world.ledger.in_hand(), 0);
}

#[test]
fn a_lost_lease_ends_the_wait() {
    let mut world = World::new(with_slots(4, standard()));
    world.is_limited_by(&at_once(&[("mail", 1)]));
    assert_eq!(come(&mut world, &["mail1"]), ["mail1"]);
    assert!(come(&mut world, &["mail2"]).is_empty());
    world.wait(secs(40));
    assert!(world.emitted().contains(&"mail2 lost its lease".to_owned()));
    assert!(!world.ledger.waits_for_limits());
}

#[test]
fn a_held_message_that_is_received_again_keeps_its_place() {
    let mut world = full(4, standard());
    world.is_handed(["mail2*2"]);
    assert_eq!(world.emitted(), ["mail2 is here again"]);
    world.forget();
    world.wait(secs(15));
    assert!(world.emitted().iter().any(|line| line.contains("mail2#2=30")), "under its new receipt");
    world.ends("mail1", DONE);
    assert_eq!(begun(&mut world), ["mail2"]);
}

#[test]
fn a_drain_gives_back_what_is_held() {
    let mut world = full(4, standard());
    let open = world.take_receive();
    world.drain(secs(5));
    world.lands(open, &[]);
    let released = world.emitted().iter().filter(|line| line.ends_with("is release")).count();
    assert_eq!(released, 10);
    world.ends("mail1", DONE);
    assert!(begun(&mut world).is_empty());
    assert_eq!(world.ledger.in_hand(), 0);
}

#[test]
fn a_queue_that_an_operator_has_paused_becomes_empty() {
    let mut world = full(4, standard());
    world.pauses(PauseReason::Operator);
    world.wait(secs(59));
    assert_eq!(world.ledger.in_hand(), 11, "its limit may open soon");
    world.forget();
    world.wait(secs(1));
    let emitted = world.emitted();
    let returned = emitted.iter().filter(|line| line.contains(" is retry")).count();
    assert_eq!(returned, 10, "{emitted:?}");
    assert!(!world.ledger.waits_for_limits());
    world.ends("mail1", DONE);
    world.wait(secs(30));
    assert_eq!((world.ledger.in_hand(), world.ledger.running()), (0, 0));
}

#[test]
fn a_pause_keeps_held_messages_from_starting() {
    let mut world = full(4, standard());
    world.pauses(PauseReason::TargetUnhealthy);
    world.ends("mail1", DONE);
    world.wait(secs(30));
    assert!(begun(&mut world).is_empty());
    world.resumes(PauseReason::TargetUnhealthy);
    assert_eq!(begun(&mut world), ["mail2"]);
    world.pauses(PauseReason::Operator);
    world.ends("mail2", DONE);
    assert_eq!(begun(&mut world), ["mail3"], "what is in hand runs to its end");
    world.pauses(PauseReason::BreakerOpen);
    world.forget();
    world.wait(secs(60));
    let released = world.emitted().iter().filter(|line| line.ends_with("is release")).count();
    assert_eq!(released, 8);
    assert!(!world.ledger.waits_for_limits());
}

#[test]
fn a_run_that_needs_a_lock_gives_its_permit_back_while_it_waits() {
    const LOCK: &str = "account:42";
    let mut world = World::new(Policy { claims: Claims::Required, ..standard() });
    world.is_limited_by(&at_once(&[("mail", 1)]));
    world.agrees();
    assert_eq!(come(&mut world, &["mail1"]), ["mail1"]);
    world.is_locked("mail1", LOCK);
    assert_eq!(come(&mut world, &["mail2"]), ["mail2"], "the permit is free");
    world.is_granted("mail2");
    world.wait(millis(130));
    assert!(begun(&mut world).is_empty(), "mail1 asks for its lock, and has to wait for its permit");
    world.ends("mail2", DONE);
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(begun(&mut world), ["mail1"]);
    world.is_granted_with("mail1", LOCK);
    world.ends("mail1", DONE);
    world.mark_is(Ok(Ownership::Kept));
    assert_eq!(world.ledger.in_hand(), 0);
}

#[test]
fn a_limited_run_is_no_crash_and_a_held_suspect_runs_alone() {
    let mut world = World::new(with_slots(4, standard()));
    let limits = at_once(&[("mail", 1)]);
    world.is_limited_by(&limits);
    world.agrees();
    let elsewhere = limits.ask(world.now, &JobClass::of_type("mail")).unwrap();
    assert!(come(&mut world, &["mail1*4"]).is_empty());
    assert!(world.ledger.waits_for_limits());
    assert_eq!(come(&mut world, &["other1"]), ["other1"], "nothing waits while it is held");
    drop(elsewhere);
    world.wait(secs(1));
    assert!(begun(&mut world).is_empty(), "it has its permit, and waits for other1");
    assert!(limits.ask(world.now, &JobClass::of_type("mail")).is_err());
    world.ends("other1", DONE);
    assert_eq!(begun(&mut world), ["mail1"]);
    assert!(come(&mut world, &["other2"]).is_empty(), "it runs alone");
    world.ends("mail1", DONE);
    assert_eq!(begun(&mut world), ["other2"]);
}

#[test]
fn queues_take_turns_at_a_shared_limit() {
    let limits = at_once(&[("mail", 1)]);
    let mut worlds = [(); 2].map(|()| World::new(with_slots(4, standard())));
    for world in &mut worlds {
        world.is_limited_by(&limits);
        world.agrees();
    }
    let (mut running, mut counts) = (None, [0, 0]);
    for n in 0..200 {
        for (which, world) in worlds.iter_mut().enumerate() {
            let name = format!("mail{n}");
            if let [name] = &come(world, &[&name])[..] {
                running = Some((which, name.clone()));
            }
        }
        // The loop whose run has ended continues at once, so it makes the first request.
        let Some((which, name)) = running.take() else { panic!("one runs") };
        counts[which] += 1;
        worlds[which].ends(&name, DONE);
        for next in [which, 1 - which, which] {
            if running.is_none() {
                worlds[next].wait(millis(1));
                running = begun(&mut worlds[next]).pop().map(|name| (next, name));
            }
        }
        if running.is_none() {
            worlds[which].wait(millis(5));
            running = begun(&mut worlds[which]).pop().map(|name| (which, name));
        }
        if n % 2 == 0 {
            // Time passes for both.
            let now = worlds[0].now.max(worlds[1].now);
            for world in &mut worlds {
                let behind = now - world.now;
                world.wait(behind);
            }
        }
    }
    assert!(counts.iter().all(|count| (80..=120).contains(count)), "{counts:?}");
}

#[test]
fn a_held_message_is_the_probe_of_an_unhealthy_target() {
    let mut world = full(4, standard());
    world.pauses(PauseReason::TargetUnhealthy);
    world.ends("mail1", DONE);
    world.wait(secs(1));
    assert!(begun(&mut world).is_empty());
    world.probes();
    assert_eq!(begun(&mut world), ["mail2"]);
    world.ends("mail2", Ending::TargetUnhealthy { reason: "refused".to_owned() });
    world.probes();
    assert_eq!(begun(&mut world), ["mail3"], "which has been none");
    world.ends("mail3", DONE);
    world.resumes(PauseReason::TargetUnhealthy);
    assert_eq!(begun(&mut world).len(), 1);
}

#[test]
fn messages_of_a_paused_type_are_hidden_for_ten_minutes() {
    let mut world = full(4, standard());
    let limits = world.limits().clone();
    limits.set_orders("mail", TypeOrders { is_paused: true, ..TypeOrders::default() });
    assert_eq!(fate(&mut world, "mail12"), Some("retry after 611s".to_owned()));
    world.ends("mail1", DONE);
    assert!(begun(&mut world).is_empty());
    limits.set_orders("mail", TypeOrders::default());
    world.wait(millis(1));
    assert_eq!(begun(&mut world), ["mail2"]);
}
