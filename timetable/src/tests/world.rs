//! An outbox, schedulers that start and stop, and a relay that counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline_store::outbox::{Conclusion, MemoryOutbox, Outbox, OutboxJob};
use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::faulty::Faulty;
use crate::states::read_states;
use crate::{CatchUp, RunSummary, Schedule, State, Timetable};

/// The beginning of time in these tests.
pub(super) const START: &str = "2026-10-24T22:00:00Z";

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(super) fn schedule(name: &str, rule: crate::Rule, catch_up: CatchUp) -> Schedule {
    Schedule::of(name, rule, OutboxJob::new("", "t", "{}")).unwrap().catch_up_by(catch_up)
}

pub(super) fn every(name: &str, seconds: u64, catch_up: CatchUp) -> Schedule {
    schedule(name, crate::Rule::every(name, Duration::from_secs(seconds)).unwrap(), catch_up)
}

pub(super) fn timetable(schedules: &[Schedule]) -> Timetable {
    schedules.iter().fold(Timetable::new(), |timetable, schedule| timetable.with(schedule.clone()).unwrap())
}

/// Returns the instants of a schedule after `after` up to and including `until`.
pub(super) fn texts(schedule: &Schedule, after: Timestamp, until: Timestamp) -> Vec<String> {
    schedule.rule().between(after, until).map(|instant| instant.to_string()).collect()
}

/// Returns a text about the entries that one list has more often than the other.
pub(super) fn difference(fired: &[String], expected: &[String]) -> String {
    let missing: Vec<_> = expected.iter().filter(|instant| !fired.contains(instant)).collect();
    let surplus: Vec<_> = fired
        .iter()
        .enumerate()
        .filter(|(index, instant)| !expected.contains(instant) || fired[..*index].contains(instant))
        .map(|(_, instant)| instant)
        .collect();
    format!("missing {missing:?}, too many {surplus:?}")
}

pub(super) struct World {
    pub(super) outbox: Arc<Faulty>,
    /// The number of times that the relay took each job.
    taken: Arc<Mutex<BTreeMap<String, u32>>>,
    relay: JoinHandle<()>,
}

pub(super) struct Scheduler {
    stop: oneshot::Sender<()>,
    task: JoinHandle<RunSummary>,
}

impl World {
    pub(super) fn new(seed: u64, failing_per_mille: u32) -> Self {
        let clock = MemoryOutbox::with_clock(Duration::ZERO, at(START).as_millisecond());
        let outbox = Arc::new(Faulty::new(Arc::new(clock), seed, failing_per_mille));
        let taken: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
        let relay = tokio::spawn(relay(Arc::clone(&outbox.inner), Arc::clone(&taken)));
        Self { outbox, taken, relay }
    }

    pub(super) fn start(&self, timetable: &Timetable) -> Scheduler {
        let (stop, stopped) = oneshot::channel();
        let outbox: Arc<dyn Outbox> = self.outbox.clone();
        let task = tokio::spawn(timetable.clone().run(outbox, async move {
            // A scheduler whose handle was dropped keeps running.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        Scheduler { stop, task }
    }

    pub(super) async fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.outbox.inner.now_ms().await.unwrap()).unwrap()
    }

    pub(super) async fn state(&self, schedule: &str) -> Option<State> {
        let mut states = read_states(&*self.outbox.inner).await.unwrap();
        states.remove(&("default".to_owned(), schedule.to_owned())).map(|kept| kept.state.unwrap())
    }

    /// Returns the instants for which jobs of a schedule were taken, one entry for each time.
    pub(super) fn fired(&self, schedule: &str) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let of = |id: &str| id.strip_prefix(schedule)?.strip_prefix('@').map(str::to_owned);
        let times = taken.iter().filter_map(|(id, count)| Some((of(id)?, *count)));
        times.flat_map(|(instant, count)| (0..count).map(move |_| instant.clone())).collect()
    }

    /// Asserts that each firing of a schedule up to `until` was exactly one job.
    pub(super) async fn assert_each_fired_once(&self, schedule: &Schedule, until: Timestamp) {
        let created = self.state(schedule.name()).await.expect("it was started").created;
        let expected = texts(schedule, created, until);
        let (name, fired) = (schedule.name(), self.fired(schedule.name()));
        assert!(fired == expected, "{name} since {created}: {}", difference(&fired, &expected));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

impl Scheduler {
    pub(super) async fn stop(self) -> RunSummary {
        self.stop.send(()).unwrap();
        self.task.await.unwrap()
    }

    /// Ends it at its current await point.
    pub(super) fn kill(&self) {
        self.task.abort();
    }
}

/// Takes due jobs and forgets them, so that a job that is added twice is taken twice.
async fn relay(outbox: Arc<MemoryOutbox>, taken: Arc<Mutex<BTreeMap<String, u32>>>) {
    loop {
        let jobs = outbox.take("relay", 10_000, Duration::from_secs(30)).await.unwrap();
        let sent = |job: drumline_store::outbox::TakenJob| {
            *taken.lock().unwrap().entry(job.job.id.clone()).or_default() += 1;
            (job, Conclusion::Sent { message_id: "m".to_owned() })
        };
        let sent: Vec<_> = jobs.into_iter().map(sent).collect();
        assert_eq!(outbox.conclude(&sent).await.unwrap(), 0);
        outbox.wait(Duration::from_secs(1)).await;
    }
}

impl Scheduler {
    /// Runs it for this many seconds, then stops it.
    pub(super) async fn stop_after(self, seconds: u64) -> RunSummary {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.stop().await
    }
}
