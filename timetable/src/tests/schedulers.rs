//! Each firing is one job, through failures of schedulers, the outbox and its clock.

use std::time::Duration;

use tokio::time::sleep;

use super::world::{World, at, difference, every, schedule, texts, timetable};
use crate::{CatchUp, Rule};

#[tokio::test(start_paused = true)]
async fn one_scheduler_fires_on_time() {
    let world = World::new(1, 0);
    let schedules = [
        every("second", 1, CatchUp::Skip),
        every("minute", 60, CatchUp::Last),
        schedule("night", Rule::cron("night", "30 2,3 * * *", "Europe/Zurich").unwrap(), CatchUp::Last),
    ];
    let running = world.start(&timetable(&schedules));
    sleep(Duration::from_secs(3 * 3600)).await;
    let until = world.now().await;
    sleep(Duration::from_millis(500)).await;
    for schedule in &schedules {
        world.assert_each_fired_once(schedule, until).await;
    }
    // 02:30 occurs twice.
    assert_eq!(world.fired("night"), ["2026-10-25T00:30:00Z"]);
    assert_eq!(running.stop().await.fired, 3 * 3600 + 3 * 60 + 1);
}

/// Kills and starts three schedulers at random for ten minutes, over an outbox that fails.
async fn with_kills(seed: u64) {
    let world = World::new(seed, 100);
    let mut random = fastrand::Rng::with_seed(seed);
    let schedules = [
        every("second", 1, CatchUp::All),
        every("seven", 7, CatchUp::Last),
        schedule("minute", Rule::cron("minute", "* * * * *", "Europe/Zurich").unwrap(), CatchUp::Skip),
    ];
    let timetable = timetable(&schedules);
    let mut running: Vec<_> = (0..3).map(|_| world.start(&timetable)).collect();
    for _ in 0..80 {
        sleep(Duration::from_millis(random.u64(0..10_000))).await;
        let killed = random.usize(0..3);
        running[killed].kill();
        // For a while there may be one scheduler less.
        sleep(Duration::from_millis(random.u64(0..2000))).await;
        running[killed] = world.start(&timetable);
    }
    let until = world.now().await;
    sleep(Duration::from_secs(40)).await;
    for schedule in &schedules {
        let fired = world.fired(schedule.name()).into_iter();
        let fired: Vec<String> = fired.filter(|instant| at(instant) <= until).collect();
        let created = world.state(schedule.name()).await.unwrap().created;
        let expected = texts(schedule, created, until);
        let name = schedule.name();
        assert!(fired == expected, "{name} of seed {seed}: {}", difference(&fired, &expected));
    }
}

#[tokio::test(start_paused = true)]
async fn three_schedulers_with_kills_fire_each_instant_once() {
    for seed in 0..6 {
        with_kills(seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_and_forward_fires_no_instant_twice() {
    for seed in 0..8 {
        let world = World::new(seed, 50);
        let mut random = fastrand::Rng::with_seed(seed);
        let schedule = every("ten", 10, CatchUp::All);
        let timetable = timetable(std::slice::from_ref(&schedule));
        let schedulers: Vec<_> = (0..3).map(|_| world.start(&timetable)).collect();
        sleep(Duration::from_secs(30)).await;
        let mut furthest = world.now().await;
        for _ in 0..20 {
            sleep(Duration::from_secs(random.u64(0..120))).await;
            let now = world.now().await;
            furthest = furthest.max(now);
            let jump = random.i64(-600..600);
            world.outbox.inner.set_clock(now.as_millisecond() + jump * 1000);
        }
        // Later than any earlier time, so that all catch-up ends.
        world.outbox.inner.set_clock(furthest.as_millisecond() + 600_000);
        sleep(Duration::from_secs(60)).await;
        let until = world.now().await;
        schedulers.iter().for_each(super::world::Scheduler::kill);
        sleep(Duration::from_secs(1)).await;
        let last = world.state("ten").await.unwrap().last.unwrap();
        assert!(until.duration_since(last).as_secs() < 60, "{last} at {until}");
        world.assert_each_fired_once(&schedule, last).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_waits() {
    let world = World::new(3, 0);
    let schedule = every("minute", 60, CatchUp::Last);
    let _scheduler = world.start(&timetable(&[schedule]));
    sleep(Duration::from_secs(150)).await;
    let before = ["2026-10-24T22:01:00Z", "2026-10-24T22:02:00Z"];
    assert_eq!(world.fired("minute"), before);
    world.outbox.inner.set_clock(at("2026-10-24T21:00:00Z").as_millisecond());
    sleep(Duration::from_secs(62 * 60)).await;
    assert_eq!(world.fired("minute"), before, "it is 22:02 for the second time");
    sleep(Duration::from_secs(70)).await;
    assert_eq!(world.fired("minute").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn missed_firings_follow_the_rule_after_an_outbox_outage() {
    let world = World::new(4, 0);
    let schedules = [("skip", CatchUp::Skip), ("last", CatchUp::Last), ("all", CatchUp::All)]
        .map(|(name, catch_up)| schedule(name, Rule::cron(name, "*/10 * * * *", "UTC").unwrap(), catch_up));
    let _schedulers = [world.start(&timetable(&schedules)), world.start(&timetable(&schedules))];
    sleep(Duration::from_secs(60)).await;
    world.outbox.set_down(true);
    // At 22:35, the firings of 22:10, 22:20 and 22:30 are missed.
    sleep(Duration::from_secs(34 * 60)).await;
    world.outbox.set_down(false);
    sleep(Duration::from_secs(6 * 60)).await;
    let time = |minute: u32| format!("2026-10-24T22:{minute}:00Z");
    assert_eq!(world.fired("skip"), [time(40)]);
    assert_eq!(world.fired("last"), [time(30), time(40)]);
    assert_eq!(world.fired("all"), [time(10), time(20), time(30), time(40)]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_under_a_minute_loses_no_firing_by_any_rule() {
    let world = World::new(5, 0);
    let schedules =
        [("skip", CatchUp::Skip), ("last", CatchUp::Last)].map(|(name, catch_up)| every(name, 5, catch_up));
    let _scheduler = world.start(&timetable(&schedules));
    sleep(Duration::from_secs(60)).await;
    world.outbox.set_down(true);
    sleep(Duration::from_secs(45)).await;
    world.outbox.set_down(false);
    sleep(Duration::from_secs(62)).await;
    let until = world.now().await;
    sleep(Duration::from_secs(1)).await;
    for schedule in &schedules {
        world.assert_each_fired_once(schedule, until).await;
    }
}
