//! Retries on a paused clock: the default backoff, an outage of a dependency of all jobs, and the last attempt.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::{LedgerEvent, Policy, ReceiveLimit, RetryLimits};
use drumline::message::Intake;
use drumline::run::{Event, Observer};
use drumline::{Context, Failure, Job, RetryPolicy, Router};
use drumline_runtime::ClaimStoreClient;
use drumline_store::JobState;
use drumline_tests::ModelQueue;
use tokio::time::Instant;

use crate::function::TestFunction;
use crate::running::{Consumer, in_memory};

const LEASE: Duration = Duration::from_secs(30);
const OUTAGE: Duration = Duration::from_secs(45);
const MESSAGES: usize = 40;

#[derive(serde::Deserialize)]
struct Depends {}

impl Job for Depends {
    const TYPE: &'static str = "depends";
}

fn auto(max_receive_count: u32) -> RetryPolicy {
    let receives = ReceiveLimit::AtMost(NonZeroU32::new(max_receive_count).unwrap());
    RetryPolicy::auto().fitted(&RetryLimits { receives, ..RetryLimits::default() })
}

/// Runs `MESSAGES` jobs whose dependency is down for this long from the start. Returns the times at which they are done.
async fn done_after(outage: Duration, max_receive_count: u32, model: &ModelQueue) -> Vec<Duration> {
    for _ in 0..MESSAGES {
        model.send(r#"{"type":"depends","payload":{}}"#, None);
    }
    let begun = Instant::now();
    let done: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let times = Arc::clone(&done);
    let router = Router::new().handle(move |_: Context, _: Depends| {
        let times = Arc::clone(&times);
        async move {
            if begun.elapsed() < outage {
                return Err(Failure::retry("the dependency is down"));
            }
            times.lock().unwrap().push(begun.elapsed());
            Ok(())
        }
    });
    let consumer = Consumer::start(model, router, |policy| policy.retry = auto(max_receive_count));
    model.drained().await;
    consumer.stop().await;
    done.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn jobs_recover_within_a_minute_of_a_short_outage() {
    for max_receive_count in [5, 6, 8, 10, 100] {
        let model = ModelQueue::new("jobs", LEASE, max_receive_count);
        let done = done_after(OUTAGE, max_receive_count, &model).await;
        assert_eq!(done.len(), MESSAGES, "maxReceiveCount {max_receive_count}: no message is dead");
        let last = done.iter().max().unwrap();
        assert!(*last <= OUTAGE + Duration::from_secs(60), "maxReceiveCount {max_receive_count}: {last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_ten_minutes_kills_no_message() {
    for max_receive_count in [2, 3, 5, 10, 100] {
        let model = ModelQueue::new("jobs", LEASE, max_receive_count);
        let done = done_after(Duration::from_secs(600), max_receive_count, &model).await;
        assert_eq!(done.len(), MESSAGES, "maxReceiveCount {max_receive_count}: no message is dead");
    }
}

/// The receives that the queue allows, in the tests of last attempts.
const RECEIVES: u32 = 3;

fn knows_its_limit(policy: &mut Policy) {
    policy.receives = ReceiveLimit::AtMost(NonZeroU32::new(RECEIVES).unwrap());
    policy.retry = "schedule(1s)".parse().unwrap();
}

fn always_fails() -> Router {
    Router::new().handle(|_: Context, _: Depends| async { Err(Failure::retry("the dependency is down")) })
}

/// Each message's attempts that were the last one, as reported to an observer.
#[derive(Default)]
struct LastAttempts(Mutex<Vec<u32>>);

impl Observer for LastAttempts {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Ledger { note: LedgerEvent::Decided { run: Some(run), .. }, .. } = *event
            && run.last_attempt
        {
            self.0.lock().unwrap().push(run.attempt.get());
        }
    }
}

async fn state(claim_store: &ClaimStoreClient) -> JobState {
    let jobs = claim_store.store().jobs("j-1").await.unwrap();
    jobs[0].claim.as_ref().unwrap().state
}

const JOB: &str = r#"{"jobId":"j-1","type":"depends","payload":{}}"#;

#[tokio::test(start_paused = true)]
async fn a_job_is_dead_after_the_last_receive_in_both_hosts() {
    for host in ["consumer", "function"] {
        let (model, claim_store) = (ModelQueue::new("jobs", LEASE, RECEIVES), in_memory());
        let seen = Arc::new(LastAttempts::default());
        let observer = Arc::clone(&seen);
        model.send(JOB, None);
        if host == "consumer" {
            let intake = Intake::new("arn:test");
            let change = knows_its_limit;
            let consumer =
                Consumer::of_service(&model, always_fails(), change, observer, claim_store.clone(), intake);
            model.drained().await;
            consumer.stop().await;
        } else {
            let function = TestFunction {
                queue: model.clone(),
                router: always_fails(),
                change: knows_its_limit,
                observer,
                claim_store: claim_store.clone(),
                intake: Intake::new("arn:test"),
            };
            function.until_drained().await;
        }
        assert_eq!(model.dead().len(), 1, "{host}");
        assert_eq!(*seen.0.lock().unwrap(), [RECEIVES], "{host}");
        assert_eq!(state(&claim_store).await, JobState::Dead, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_job_that_is_sent_again_runs_to_its_end() {
    let (model, claim_store) = (ModelQueue::new("jobs", LEASE, RECEIVES), in_memory());
    for fails in [true, false] {
        model.send(JOB, None);
        let router = Router::new().handle(move |_: Context, _: Depends| async move {
            if fails { Err(Failure::retry("the dependency is down")) } else { Ok(()) }
        });
        let (observer, intake) = (Arc::new(LastAttempts::default()), Intake::new("arn:test"));
        let consumer =
            Consumer::of_service(&model, router, knows_its_limit, observer, claim_store.clone(), intake);
        model.drained().await;
        consumer.stop().await;
        assert_eq!(state(&claim_store).await, if fails { JobState::Dead } else { JobState::Done });
    }
}
