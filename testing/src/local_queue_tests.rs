#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use drumline::core::Outcome;
use drumline::run::{Event, Observer};
use drumline::{Context, Failure, Job, Router};
use drumline_queue::MessageState;
use drumline_store::JobState;
use serde::{Deserialize, Serialize};

use crate::LocalQueue;

/// A job that fails this many times.
#[derive(Serialize, Deserialize)]
struct Flaky {
    failures: u32,
}

impl Job for Flaky {
    const TYPE: &'static str = "flaky";
}

fn router() -> Router {
    Router::new().handle(|ctx: Context, job: Flaky| async move {
        if ctx.attempt().get() > job.failures {
            ctx.set_result(&"fine")
        } else {
            Err(Failure::retry(format!("failure {}", ctx.attempt())))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn attempts_of_minutes_pass_at_once_on_a_paused_clock() {
    let begun = (Instant::now(), tokio::time::Instant::now());
    let local = LocalQueue::start(router()).setting("retry", "schedule(1m,5m)").await;
    let id = local.send(&Flaky { failures: 2 });
    local.until_idle().await;
    let outcomes: Vec<_> = local.runs_of(&id).into_iter().map(|run| run.outcome).collect();
    let after = |minutes: u64| Outcome::RetryAfter(Duration::from_secs(minutes * 60));
    assert_eq!(outcomes, [after(1), after(5), Outcome::Ack]);
    assert!(begun.1.elapsed() >= Duration::from_secs(6 * 60));
    assert!(begun.0.elapsed() < Duration::from_secs(5));
    let record = local.job_record(&id).await.unwrap();
    assert_eq!(record.claim.unwrap().state, JobState::Done);
    assert_eq!(record.attempts.len(), 2);
}

#[tokio::test]
async fn delays_of_messages_are_skipped_on_the_machines_clock() {
    let begun = Instant::now();
    let local = LocalQueue::start(router()).setting("retry", "schedule(1m,5m)").await;
    local.send(&Flaky { failures: 2 });
    local.job(&Flaky { failures: 0 }).delay(Duration::from_secs(900)).send();
    local.until_idle().await;
    assert_eq!(local.runs().len(), 4);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_jobs_are_done_on_several_threads() {
    let local = LocalQueue::start(router()).await;
    for _ in 0..100 {
        local.send(&Flaky { failures: 1 });
    }
    local.until_idle().await;
    let runs = local.runs();
    assert_eq!(runs.len(), 200, "each message is received twice; a skipped delay ends no lease");
    assert!(local.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_has_the_reason_of_its_last_failure() {
    for permanent_failures in ["redrive", "dead-letter"] {
        let setting = ("permanent_failures", permanent_failures);
        let local = LocalQueue::start(router()).setting(setting.0, setting.1).max_receive_count(3).await;
        let exhausted = local.send(&Flaky { failures: 9 });
        let garbage = local.body("{").send();
        local.until_idle().await;
        let dead = local.dead_letters();
        let letter = |id: &str| dead.iter().find(|letter| *letter.message_id == *id).unwrap();
        let reason = |id: &str| letter(id).reason.clone().unwrap();
        assert_eq!(reason(&exhausted), "failure 3", "{permanent_failures}");
        assert!(reason(&garbage).contains("not a JSON object"), "{permanent_failures}: {}", dead[0]);
        let receives = [&exhausted, &garbage].map(|id| letter(id).receive_count);
        let expected = if permanent_failures == "redrive" { [3, 3] } else { [3, 1] };
        assert_eq!(receives, expected, "{permanent_failures}");
        assert_eq!(local.runs_of(&exhausted).len(), 3);
        assert!(local.runs_of(&exhausted)[2].last_attempt);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_of_a_fifo_queue_runs_in_order() {
    let ran = Arc::<AtomicU32>::default();
    let seen = Arc::clone(&ran);
    let router = Router::new().handle(move |ctx: Context, job: Flaky| {
        let seen = Arc::clone(&seen);
        async move {
            if ctx.attempt().get() == 1 && job.failures == 1 {
                return Err(Failure::retry("not yet"));
            }
            let before = seen.fetch_add(1, Ordering::SeqCst) + 1;
            if before == job.failures { Ok(()) } else { Err(Failure::reject("out of order")) }
        }
    });
    let local = LocalQueue::start(router).fifo().await;
    for failures in 1..=3 {
        local.job(&Flaky { failures }).group("one").send();
    }
    local.until_idle().await;
    assert_eq!(ran.load(Ordering::SeqCst), 3);
    assert!(local.dead_letters().is_empty());
}

#[tokio::test]
async fn delays_of_a_group_are_skipped_on_the_machines_clock() {
    let local = LocalQueue::start(router()).fifo().setting("retry", "schedule(5m)").await;
    local.job(&Flaky { failures: 1 }).group("one").send();
    while local.runs().is_empty() {
        tokio::task::yield_now().await;
    }
    // The first message waits for its retry. The second is visible behind it.
    local.job(&Flaky { failures: 1 }).group("one").send();
    local.until_idle().await;
    let done = local.runs().into_iter().filter(|run| run.outcome == Outcome::Ack);
    assert_eq!(done.count(), 2);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "in hand\n- message")]
async fn a_timed_out_wait_lists_the_messages_that_are_left() {
    let router = Router::new().handle(|_: Context, _: Flaky| std::future::pending::<Result<(), Failure>>());
    let local = LocalQueue::start(router).setting("handler_timeout", "3h").await;
    local.send(&Flaky { failures: 0 });
    local.until_idle_within(Duration::from_secs(3600)).await;
}

/// A job of ten steps. Each takes a second and is saved.
#[derive(Serialize, Deserialize)]
struct Crawl;

impl Job for Crawl {
    const TYPE: &'static str = "crawl";
}

fn crawler(steps: &Arc<AtomicU32>) -> Router {
    let steps = Arc::clone(steps);
    Router::new().handle(move |ctx: Context, _: Crawl| {
        let steps = Arc::clone(&steps);
        async move {
            for step in ctx.resume().unwrap_or(0)..10 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                steps.fetch_add(1, Ordering::SeqCst);
                ctx.checkpoint(&(step + 1))?;
            }
            Ok(())
        }
    })
}

#[tokio::test(start_paused = true)]
async fn another_worker_resumes_the_job_of_a_killed_one() {
    let steps = Arc::<AtomicU32>::default();
    let mut local = LocalQueue::start(crawler(&steps)).await;
    let id = local.send(&Crawl);
    tokio::time::sleep(Duration::from_millis(5500)).await;
    local.kill().await;
    assert_eq!(steps.load(Ordering::SeqCst), 5);
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(steps.load(Ordering::SeqCst), 5, "no handler of a killed worker runs on");
    local.restart();
    local.until_idle().await;
    assert_eq!(steps.load(Ordering::SeqCst), 10);
    let runs = local.runs_of(&id);
    assert!(runs.last().is_some_and(|run| run.outcome == Outcome::Ack && run.attempt == 2), "{runs:?}");
}

#[tokio::test(start_paused = true)]
async fn another_worker_resumes_a_job_released_by_a_stopped_one() {
    let steps = Arc::<AtomicU32>::default();
    let mut local = LocalQueue::start(crawler(&steps)).setting("shutdown_grace", "3s").await;
    let id = local.send(&Crawl);
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let summary = local.stop().await;
    // The receive that is still open returns the message once more, and that one is released too.
    assert!(summary.released >= 1 && summary.abandoned == 0, "{summary:?}");
    assert!(steps.load(Ordering::SeqCst) < 10);
    local.restart();
    local.until_idle().await;
    assert_eq!(steps.load(Ordering::SeqCst), 10);
    let runs = local.runs_of(&id);
    assert_eq!(runs[0].outcome, Outcome::Requeue);
    assert_eq!(runs.last().unwrap().outcome, Outcome::Ack);
}

/// Counts the runs that started.
#[derive(Default)]
struct Starts(AtomicU32);

impl Observer for Starts {
    fn observe(&self, event: &Event<'_>) {
        if matches!(event, Event::RunStarted { .. }) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn observers_get_the_runs_and_the_store_has_jobs_by_id() {
    let starts = Arc::<Starts>::default();
    let local = LocalQueue::start(router()).observer(Arc::clone(&starts) as _).await;
    local.payload("flaky", &serde_json::json!({ "failures": 1 })).job_id("j-1").idempotency_key("k-1").send();
    local.until_idle().await;
    assert_eq!(starts.0.load(Ordering::SeqCst), 2);
    let record = local.job_record("j-1").await.unwrap();
    assert_eq!(record.claim.unwrap().result, Some("fine".into()));
    assert_eq!(record.attempts[0].reason, "failure 1");
    assert!(local.job_record("j-2").await.is_none());
}

#[tokio::test]
#[should_panic(expected = "there is no setting \"max_atempts\"")]
async fn a_misspelt_setting_is_refused() {
    LocalQueue::start(router()).setting("max_atempts", "3").await;
}

#[tokio::test]
async fn until_idle_waits_for_a_message_on_its_way_to_the_worker() {
    for _ in 0..50 {
        let local = LocalQueue::start(router()).await;
        while local.endpoint().waiting_receives() == 0 {
            tokio::task::yield_now().await;
        }
        let id = local.send(&Flaky { failures: 0 });
        // The worker has not been polled since.
        assert!(matches!(local.left()[0].state, MessageState::InFlight { .. }));
        let sent_at = local.endpoint().now();
        local.until_idle().await;
        assert_eq!(local.runs_of(&id).len(), 1);
        assert!(local.endpoint().now().since(sent_at) < Duration::from_secs(10), "its lease was not skipped");
    }
}

/// A job that sends itself this many times as a next job. Each fails once before it has declared the next job, and once after.
#[derive(Serialize, Deserialize)]
struct Chain {
    left: u32,
    /// Different in each attempt, as data fetched by a step may be.
    fetched: u64,
}

impl Job for Chain {
    const TYPE: &'static str = "chain";
}

async fn chain(ctx: Context, job: Chain) -> Result<(), Failure> {
    if ctx.attempt().get() == 1 {
        return Err(Failure::retry("before"));
    }
    if job.left > 0 {
        ctx.then(&Chain { left: job.left - 1, fetched: fastrand::u64(..) })?;
    }
    if ctx.attempt().get() == 2 { Err(Failure::retry("after")) } else { Ok(()) }
}

#[tokio::test(start_paused = true)]
async fn a_chain_runs_to_its_end_each_step_once() {
    for fifo in [false, true] {
        let start = LocalQueue::start(Router::new().handle(chain));
        let local = if fifo { start.fifo() } else { start }.await;
        local.job(&Chain { left: 2, fetched: 0 }).job_id("order-7").send();
        local.until_idle().await;
        let done = local.runs().into_iter().filter(|run| run.outcome == Outcome::Ack).count();
        assert_eq!((done, local.runs().len()), (3, 9), "fifo: {fifo}");
        assert!(local.dead_letters().is_empty());
    }
}

/// The worker dies after it has sent the next job and before it has marked its own job as done.
#[tokio::test(start_paused = true)]
async fn a_step_that_is_sent_twice_runs_once() {
    let store = Arc::new(crate::FailingStore::in_memory());
    let router = Router::new().handle(|ctx: Context, job: Chain| async move {
        if job.left > 0 {
            ctx.then(&Chain { left: job.left - 1, fetched: fastrand::u64(..) })
        } else {
            Ok(())
        }
    });
    let mut local = LocalQueue::start(router).store(Arc::clone(&store) as _).await;
    store.delay_next(crate::Call::Finish, 1, Duration::from_secs(600));
    local.job(&Chain { left: 1, fetched: 0 }).job_id("order-7").send();
    tokio::time::sleep(Duration::from_secs(1)).await;
    local.kill().await;
    local.restart();
    local.until_idle().await;
    let runs = local.runs();
    let ran =
        |job_id: &str| runs.iter().filter(|run| run.ran() && run.job_id.as_deref() == Some(job_id)).count();
    let next: Vec<_> =
        runs.iter().filter_map(|run| run.job_id.as_deref().filter(|id| id.starts_with("next-"))).collect();
    assert!(!next.is_empty() && next.iter().all(|id| *id == next[0]), "{next:?}");
    assert_eq!(ran(next[0]), 1, "{runs:?}");
    assert!(local.dead_letters().is_empty());
}
