//! Jobs that wait for a lock, in both hosts on a paused clock.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::Policy;
use drumline::message::Intake;
use drumline::run::NoopObserver;
use drumline::{Context, Job, Router};
use drumline_tests::ModelQueue;
use tokio::time::{Instant, sleep};

use crate::function::TestFunction;
use crate::running::{Consumer, in_memory};

const LEASE: Duration = Duration::from_secs(30);

#[derive(serde::Deserialize)]
struct Locked {
    lock: Option<String>,
    ms: u64,
}

impl Job for Locked {
    const TYPE: &'static str = "locked";

    fn lock(&self) -> Option<String> {
        self.lock.clone()
    }
}

fn job(number: usize, lock: &str, ms: u64) -> String {
    format!(r#"{{"jobId":"j-{number}","type":"locked","payload":{{"lock":"{lock}","ms":{ms}}}}}"#)
}

/// The handlers' peak concurrency, and the time at which the last one ended.
#[derive(Default)]
struct Seen {
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    receives: Mutex<Vec<u32>>,
}

fn router(seen: &Arc<Seen>) -> Router {
    let seen = Arc::clone(seen);
    Router::new().handle(move |context: Context, job: Locked| {
        let seen = Arc::clone(&seen);
        async move {
            let now = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most_at_once.fetch_max(now, Ordering::SeqCst);
            seen.receives.lock().unwrap().push(context.message().receive_count);
            sleep(Duration::from_millis(job.ms)).await;
            seen.at_once.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    })
}

fn unchanged(_: &mut Policy) {}

#[tokio::test(start_paused = true)]
async fn two_hundred_jobs_of_one_lock_run_without_further_receives() {
    let (model, seen) = (ModelQueue::new("jobs", LEASE, 5), Arc::<Seen>::default());
    for number in 0..200 {
        model.send(&job(number, "account:42", 1), None);
    }
    let begun = Instant::now();
    let consumer = Consumer::start(&model, router(&seen), unchanged);
    model.drained().await;
    let took = begun.elapsed();
    consumer.stop().await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(seen.most_at_once.load(Ordering::SeqCst), 1);
    assert_eq!(*seen.receives.lock().unwrap(), [1; 200]);
}

#[tokio::test(start_paused = true)]
async fn a_lock_held_for_minutes_costs_a_receive_a_minute_and_no_slot() {
    let (model, seen) = (ModelQueue::new("jobs", LEASE, 100), Arc::<Seen>::default());
    for number in 0..4 {
        model.send(&job(number, "account:42", 240_000), None);
    }
    let consumer = Consumer::start(&model, router(&seen), |policy| {
        policy.concurrency = std::num::NonZeroUsize::new(2).unwrap();
    });
    sleep(Duration::from_secs(1)).await;
    for number in 10..20 {
        model.send(&job(number, &format!("other:{number}"), 100), None);
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!(seen.receives.lock().unwrap().len(), 1 + 10, "the others ran beside the one that is running");
    model.drained().await;
    consumer.stop().await;
    // The last one has waited for three times four minutes.
    let most = *seen.receives.lock().unwrap().iter().max().unwrap();
    assert!((2..=13).contains(&most), "{most}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_one_lock_is_done_within_its_invocation() {
    let (model, seen) = (ModelQueue::new("jobs", LEASE * 200, 5), Arc::<Seen>::default());
    for number in 0..10 {
        model.send(&job(number, "account:42", 500), None);
    }
    let function = TestFunction {
        queue: model.clone(),
        router: router(&seen),
        change: unchanged,
        observer: Arc::new(NoopObserver),
        claim_store: in_memory(),
        intake: Intake::new("arn:test"),
    };
    let responses = function.until_drained().await;
    assert_eq!((responses.len(), responses[0].deleted.len()), (1, 10));
    assert_eq!(seen.most_at_once.load(Ordering::SeqCst), 1);
    assert!(responses[0].ended < responses[0].begun + Duration::from_secs(6), "{responses:?}");
}
