//! Handlers whose whole target is unhealthy: the queue waits, one message at a time is a probe, and no attempt is counted.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::{Context, Failure, Job, Router};
use drumline_tests::ModelQueue;
use tokio::time::sleep;

use crate::running::Consumer;

const LEASE: Duration = Duration::from_secs(30);
const MAX_RECEIVE_COUNT: u32 = 3;

#[derive(serde::Deserialize)]
struct Work {
    /// True if only its run reports an unhealthy target.
    #[serde(default)]
    is_bad: bool,
    /// The time of its run, if the target was healthy at its start.
    #[serde(default)]
    secs: u64,
}

impl Job for Work {
    const TYPE: &'static str = "work";
}

/// A target that can become unhealthy, and the records of its handlers.
#[derive(Clone, Default)]
struct Target {
    is_down: Arc<AtomicBool>,
    runs: Arc<AtomicUsize>,
    receives: Arc<Mutex<Vec<u32>>>,
}

impl Target {
    fn router(&self) -> Router {
        let target = self.clone();
        Router::new().handle(move |context: Context, work: Work| {
            let target = target.clone();
            async move {
                target.runs.fetch_add(1, Ordering::SeqCst);
                if target.is_down.load(Ordering::SeqCst) || work.is_bad {
                    return Err(Failure::target_unhealthy("maintenance"));
                }
                sleep(Duration::from_secs(work.secs)).await;
                target.receives.lock().unwrap().push(context.message().receive_count);
                Ok(())
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_an_hour_costs_one_receive_and_no_attempt() {
    let (queue, target) = (ModelQueue::new("jobs", LEASE, MAX_RECEIVE_COUNT), Target::default());
    target.is_down.store(true, Ordering::SeqCst);
    let consumer = Consumer::start(&queue, target.router(), |_| {});
    for _ in 0..200 {
        queue.send(r#"{"type":"work","payload":{}}"#, None);
    }
    sleep(Duration::from_secs(3600)).await;
    let tries = target.runs.load(Ordering::SeqCst);
    assert!((100..200).contains(&tries), "{tries} in an hour, one every 30 s: {tries}");
    assert!(queue.dead().is_empty());
    target.is_down.store(false, Ordering::SeqCst);
    assert!(queue.drained_within(Duration::from_secs(60)).await);
    assert!(queue.dead().is_empty());
    let receives = target.receives.lock().unwrap().clone();
    assert_eq!((receives.len(), receives.iter().max()), (200, Some(&2)));
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_began_before_an_outage_does_not_end_it() {
    let (queue, target) = (ModelQueue::new("jobs", LEASE, MAX_RECEIVE_COUNT), Target::default());
    let consumer = Consumer::start(&queue, target.router(), |_| {});
    queue.send(r#"{"type":"work","payload":{"secs":20}}"#, None);
    sleep(Duration::from_secs(5)).await;
    target.is_down.store(true, Ordering::SeqCst);
    for _ in 0..50 {
        queue.send(r#"{"type":"work","payload":{}}"#, None);
    }
    sleep(Duration::from_secs(25)).await;
    assert_eq!(target.receives.lock().unwrap().len(), 1, "the earlier run has ended well");
    let runs = target.runs.load(Ordering::SeqCst);
    assert!(runs < 20, "one message at a time is a probe: {runs}");
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_alone_says_so_keeps_no_other_from_its_run() {
    let (queue, target) = (ModelQueue::new("jobs", LEASE, MAX_RECEIVE_COUNT), Target::default());
    let consumer = Consumer::start(&queue, target.router(), |_| {});
    queue.send(r#"{"type":"work","payload":{"is_bad":true}}"#, None);
    for _ in 0..50 {
        queue.send(r#"{"type":"work","payload":{}}"#, None);
        sleep(Duration::from_secs(10)).await;
    }
    sleep(Duration::from_secs(120)).await;
    assert_eq!(target.receives.lock().unwrap().len(), 50);
    consumer.stop().await;
}
