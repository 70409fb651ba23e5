//! The scheduler that fires: leaders, standby schedulers, and consecutive versions of a service.

use std::time::Duration;

use drumline_store::outbox::Outbox as _;
use tokio::time::sleep;

use super::world::{World, at, every, timetable};
use crate::{CatchUp, state_name};

const LEASE: &str = "timetable:default";

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_is_stopped_is_followed_at_once() {
    let world = World::new(1, 0);
    let schedule = every("second", 1, CatchUp::Skip);
    let table = timetable(std::slice::from_ref(&schedule));
    let first = world.start(&table);
    sleep(Duration::from_secs(10)).await;
    let second = world.start(&table);
    sleep(Duration::from_secs(10)).await;
    assert!(first.stop().await.fired >= 19);
    // The second scheduler asks for the lease every three seconds.
    sleep(Duration::from_secs(4)).await;
    let until = world.now().await;
    sleep(Duration::from_millis(500)).await;
    world.assert_each_fired_once(&schedule, until).await;
    assert!(second.stop().await.fired >= 3);
    let lease = world.outbox.inner.lead(LEASE, "another", Duration::from_secs(1)).await.unwrap();
    assert!(lease.is_some(), "the lease was released");
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_dead_leader_only_delays_firings() {
    let world = World::new(2, 0);
    let schedule = every("ten", 10, CatchUp::Skip);
    let table = timetable(std::slice::from_ref(&schedule));
    world.start(&table).stop_after(15).await;
    // As after a clock that was set back, the lease of a dead leader does not end.
    let lease = world.outbox.inner.lead(LEASE, "dead", Duration::from_secs(1_000_000)).await.unwrap();
    assert!(lease.is_some());
    let standby = world.start(&table);
    sleep(Duration::from_secs(200)).await;
    let until = world.now().await - Duration::from_secs(14);
    let fired = world.fired("ten");
    assert!(fired.len() >= 19, "{fired:?}");
    assert!(fired.iter().filter(|instant| at(instant) <= until).count() >= 19, "{fired:?}");
    assert!(standby.stop().await.fired > 15);
}

#[tokio::test(start_paused = true)]
async fn a_new_version_starts_its_schedules_when_it_leads() {
    let world = World::new(3, 0);
    let (kept, gone) = (every("kept", 5, CatchUp::All), every("gone", 5, CatchUp::All));
    let old = world.start(&timetable(&[kept, gone]));
    sleep(Duration::from_secs(20)).await;
    let (changed, added) = (every("kept", 7, CatchUp::All), every("added", 5, CatchUp::All));
    let new = world.start(&timetable(&[changed, added]));
    sleep(Duration::from_secs(21)).await;
    // The old version leads, and its rules are in force.
    assert!(world.state("added").await.is_none());
    assert_eq!(world.state("kept").await.unwrap().rule_text(), "every 5s");
    assert_eq!(world.fired("kept").len(), 8, "{:?}", world.fired("kept"));
    old.stop().await;
    let stopped = world.now().await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(world.state("kept").await.unwrap().rule_text(), "every 7s");
    let later: Vec<String> =
        world.fired("kept").into_iter().filter(|instant| at(instant) > stopped).collect();
    assert!(later.len() >= 3, "{later:?}");
    assert!(later.iter().all(|instant| at(instant).as_second() % 7 == 0), "no flood: {later:?}");
    assert!(world.state("gone").await.unwrap().removed.is_some());
    assert!(world.fired("gone").iter().all(|instant| at(instant) <= stopped));
    assert!(world.fired("added").len() >= 5);
    new.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_state_of_a_removed_schedule_is_deleted_after_a_month() {
    let world = World::new(4, 0);
    let (kept, gone) = (every("kept", 3600, CatchUp::Last), every("gone", 3600, CatchUp::All));
    world.start(&timetable(&[kept.clone(), gone.clone()])).stop_after(5).await;
    let scheduler = world.start(&timetable(std::slice::from_ref(&kept)));
    sleep(Duration::from_secs(5)).await;
    world.outbox.inner.advance(Duration::from_secs(29 * 86_400));
    sleep(Duration::from_secs(5)).await;
    assert!(world.state("gone").await.unwrap().removed.is_some());
    scheduler.stop().await;
    // If it is added again, it starts as a new one, without the instants in between.
    world.start(&timetable(&[kept.clone(), gone])).stop_after(20).await;
    assert_eq!(world.state("gone").await.unwrap().removed, None);
    assert!(world.fired("gone").is_empty());
    let scheduler = world.start(&timetable(&[kept]));
    sleep(Duration::from_secs(5)).await;
    world.outbox.inner.advance(Duration::from_secs(31 * 86_400));
    sleep(Duration::from_secs(5)).await;
    assert!(world.state("gone").await.is_none());
    assert!(world.state("kept").await.is_some());
    scheduler.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_state_of_a_newer_version_stops_only_its_schedule() {
    let world = World::new(5, 0);
    let newer = r#"{"version":2}"#;
    let name = state_name("default", "newer");
    assert!(world.outbox.inner.change(&name, None, Some(newer), &[]).await.unwrap());
    let (own, other) = (every("newer", 5, CatchUp::All), every("other", 5, CatchUp::All));
    let _scheduler = world.start(&timetable(&[own, other]));
    sleep(Duration::from_secs(21)).await;
    assert_eq!(world.fired("newer").len(), 0);
    assert_eq!(world.fired("other").len(), 4);
    let states = world.outbox.inner.states().await.unwrap();
    assert!(states.contains(&(name, newer.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn timetables_of_different_names_lead_side_by_side() {
    let world = World::new(6, 0);
    let schedule = every("ten", 10, CatchUp::All);
    let billing = crate::Timetable::named("billing").unwrap().with(schedule.clone()).unwrap();
    let _schedulers = [world.start(&timetable(&[schedule])), world.start(&billing)];
    sleep(Duration::from_secs(35)).await;
    assert_eq!(world.fired("ten").len(), 3);
    assert_eq!(world.fired("billing/ten").len(), 3);
}
