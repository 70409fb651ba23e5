//! Tests of operators' actions while schedulers run.

use std::time::Duration;

use drumline_store::outbox::Outbox as _;
use tokio::time::sleep;

use super::world::{World, at, every, timetable};
use crate::{CatchUp, OperateError, Timetable};

#[tokio::test(start_paused = true)]
async fn a_schedule_is_paused_and_resumed_under_running_schedulers() {
    let world = World::new(1, 0);
    let schedule = every("second", 1, CatchUp::All);
    let table = timetable(&[schedule]);
    let _schedulers = [world.start(&table), world.start(&table)];
    sleep(Duration::from_secs(10)).await;
    let outbox = &*world.outbox;
    assert!(table.pause(outbox, "second").await.unwrap());
    let paused = world.state("second").await.unwrap().paused.unwrap();
    sleep(Duration::from_secs(30)).await;
    assert!(!table.pause(outbox, "second").await.unwrap(), "it is already paused");
    assert!(world.fired("second").iter().all(|instant| at(instant) <= paused));
    assert!(table.resume(outbox, "second").await.unwrap());
    let resumed = world.now().await;
    sleep(Duration::from_secs(10)).await;
    assert!(!table.resume(outbox, "second").await.unwrap());
    let later = world.fired("second").into_iter().filter(|instant| at(instant) > paused).collect::<Vec<_>>();
    assert!(later.len() >= 8, "{later:?}");
    assert!(at(&later[0]).duration_since(resumed).as_secs().abs() <= 2, "{later:?} from {resumed}");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_no_scheduler_has_seen_can_be_paused() {
    let world = World::new(2, 0);
    let table = timetable(&[every("second", 1, CatchUp::All)]);
    assert!(table.pause(&*world.outbox, "second").await.unwrap());
    let _scheduler = world.start(&table);
    sleep(Duration::from_secs(10)).await;
    assert!(world.fired("second").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_at_once_is_a_job_of_its_own() {
    let world = World::new(3, 0);
    let table = timetable(&[every("hour", 3600, CatchUp::Last)]);
    world.start(&table).stop_after(5).await;
    let before = world.state("hour").await;
    let ids = [
        table.run_now(&*world.outbox, "hour").await.unwrap(),
        table.run_now(&*world.outbox, "hour").await.unwrap(),
    ];
    assert_ne!(ids[0], ids[1]);
    sleep(Duration::from_secs(2)).await;
    let mut fired: Vec<String> = world.fired("hour").into_iter().map(|run| format!("hour@{run}")).collect();
    fired.sort();
    let mut expected = ids.to_vec();
    expected.sort();
    assert_eq!(fired, expected);
    assert_eq!(world.state("hour").await, before, "the next firing does not change");
}

#[tokio::test(start_paused = true)]
async fn all_schedules_are_listed_with_their_next_firing() {
    let world = World::new(4, 0);
    let old = timetable(&[every("gone", 60, CatchUp::All), every("hour", 3600, CatchUp::Skip)]);
    world.start(&old).stop_after(130).await;
    let billing = Timetable::named("billing").unwrap().with(every("ten", 600, CatchUp::All)).unwrap();
    world.start(&billing).stop_after(5).await;
    let table = timetable(&[every("hour", 3600, CatchUp::Skip), every("added", 60, CatchUp::All)]);
    world.start(&timetable(&[every("hour", 3600, CatchUp::Skip)])).stop_after(5).await;
    table.pause(&*world.outbox, "hour").await.unwrap();
    let listed = table.list(&*world.outbox.inner).await.unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|one| {
            let last = one.state.as_ref().and_then(|state| state.last);
            let text = |instant: Option<jiff::Timestamp>| instant.map(|instant| instant.to_string());
            (&*one.name, &*one.rule_text, one.declared.is_some(), text(last), text(one.next))
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown,
        [
            ("added", "every 1m", true, None, some("2026-10-24T22:03:00Z")),
            ("hour", "every 1h", true, None, None),
            ("billing/ten", "every 10m", false, None, some("2026-10-24T22:10:00Z")),
            ("gone", "every 1m", false, some("2026-10-24T22:02:00Z"), None),
        ]
    );
    assert!(table.resume(&*world.outbox, "billing/ten").await.is_ok_and(|resumed| !resumed));
    assert!(table.pause(&*world.outbox, "billing/ten").await.unwrap());
    let error = table.pause(&*world.outbox, "hours").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no schedule \"hours\"; there are added, hour, billing/ten, gone");
    let error = table.run_now(&*world.outbox, "billing/ten").await.unwrap_err();
    assert!(matches!(error, OperateError::Elsewhere(_)), "{error}");
    assert!(world.outbox.inner.lag().await.unwrap().due == 0);
}
