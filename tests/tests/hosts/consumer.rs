//! The consumer's behaviour over time, on a paused clock.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::{Context, Failure, Job, Router};
use drumline_tests::ModelQueue;
use tokio::time::{Instant, sleep};

use crate::running::Consumer;

const LEASE: Duration = Duration::from_secs(30);

#[derive(serde::Deserialize)]
struct Work {
    name: String,
}

impl Job for Work {
    const TYPE: &'static str = "work";
}

fn job(name: &str) -> String {
    format!(r#"{{"type":"work","payload":{{"name":"{name}"}}}}"#)
}

/// The actions of handlers, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<(String, Instant)>>>);

impl Diary {
    fn write(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push((what.into(), Instant::now()));
    }

    fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|(what, _)| what.clone()).collect()
    }

    fn times(&self) -> Vec<Instant> {
        self.0.lock().unwrap().iter().map(|(_, at)| *at).collect()
    }
}

/// Returns a router whose handler records its job's name and then does `work`.
fn router<F, Fut>(diary: &Diary, work: F) -> Router
where
    F: Fn(Context, String) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let diary = diary.clone();
    Router::new().handle(move |context: Context, job: Work| {
        diary.write(job.name.clone());
        work(context, job.name)
    })
}

#[tokio::test(start_paused = true)]
async fn a_job_that_outlives_its_lease_many_times_over_runs_once() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    model.send(&job("slow"), None);
    let consumer = Consumer::start(
        &model,
        router(&diary, |_, _| async {
            sleep(Duration::from_secs(3000)).await;
            Ok(())
        }),
        |policy| policy.handler_timeout = Duration::from_secs(3600),
    );
    model.drained().await;
    assert_eq!(diary.entries(), ["slow"]);
    assert_eq!(consumer.stop().await.abandoned, 0);
    let renewals = model.requests.visibilities.load(Ordering::SeqCst);
    assert!((199..=201).contains(&renewals), "one each half lease: {renewals}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_queue_is_asked_three_times_a_minute() {
    let model = ModelQueue::new("jobs", LEASE, 5);
    let consumer = Consumer::start(&model, Router::new(), |_| {});
    sleep(Duration::from_secs(600)).await;
    let receives = model.requests.receives.load(Ordering::SeqCst);
    assert!((30..=31).contains(&receives), "{receives}");
    consumer.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_queue_costs_a_fifth_of_a_request_per_message() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    for n in 0..1000 {
        model.send(&job(&n.to_string()), None);
    }
    let consumer = Consumer::start(&model, router(&diary, |_, _| async { Ok(()) }), |_| {});
    model.drained().await;
    consumer.stop().await;
    assert_eq!(diary.entries().len(), 1000);
    assert_eq!(model.requests.deletes.load(Ordering::SeqCst), 100);
    let receives = model.requests.receives.load(Ordering::SeqCst);
    assert!(
        (100..=104).contains(&receives),
        "a hundred full ones, and those that found the queue empty: {receives}"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_come_back_after_growing_delays() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    model.send(&job("flaky"), None);
    let consumer = Consumer::start(
        &model,
        router(&diary, |context, _| async move {
            if context.attempt().get() < 4 { Err(Failure::retry("not yet")) } else { Ok(()) }
        }),
        |_| {},
    );
    model.drained().await;
    consumer.stop().await;
    let times = diary.times();
    let waits: Vec<u64> =
        times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis().try_into().unwrap()).collect();
    assert_eq!(waits.len(), 3);
    for (wait, expected) in waits.iter().zip([1000, 2000, 4000]) {
        assert!((expected..expected + 150).contains(wait), "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_poison_message_runs_once_and_keeps_its_id_into_the_dlq() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    let id = model.send(&job("poison"), None);
    let undecodable = model.send("{", None);
    let begun = Instant::now();
    let consumer =
        Consumer::start(&model, router(&diary, |_, _| async { Err(Failure::reject("never")) }), |_| {});
    model.drained().await;
    assert!(begun.elapsed() < Duration::from_secs(5), "within seconds");
    consumer.stop().await;
    assert_eq!(diary.entries(), ["poison"]);
    let mut dead: Vec<String> = model.dead().iter().map(|message| message.message_id.to_string()).collect();
    dead.sort();
    let mut expected = [id, undecodable];
    expected.sort();
    assert_eq!(dead, expected);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_attempt_and_a_timeout_too() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    model.send(&job("panics"), None);
    model.send(&job("hangs"), None);
    let consumer = Consumer::start(
        &model,
        router(&diary, |context, name| async move {
            match (context.attempt().get(), name.as_str()) {
                (1, "panics") => panic!("on purpose"),
                (1, "hangs") => std::future::pending().await,
                _ => Ok(()),
            }
        }),
        |policy| policy.handler_timeout = Duration::from_secs(10),
    );
    model.drained().await;
    let metrics = consumer.metrics.encode();
    consumer.stop().await;
    let mut entries = diary.entries();
    entries.sort();
    assert_eq!(entries, ["hangs", "hangs", "panics", "panics"]);
    for class in ["panicked", "timed_out"] {
        let line = format!(r#"drumline_failures_total{{queue="jobs",type="work",class="{class}"}} 1"#);
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_loses_nothing_and_runs_nothing_twice() {
    let (model, diary) = (ModelQueue::new("jobs.fifo", LEASE, 5), Diary::default());
    // Thirty groups; the first ten have a second message that waits for the first.
    for n in 0..40 {
        model.send(&job(&n.to_string()), Some(&format!("g{}", n % 30)));
    }
    let mut consumer = Consumer::start(
        &model,
        router(&diary, |_, _| async {
            sleep(Duration::from_secs(10)).await;
            Ok(())
        }),
        |policy| policy.concurrency = 40.try_into().unwrap(),
    );
    while diary.entries().len() < 30 {
        sleep(Duration::from_millis(10)).await;
    }
    consumer.begin_stop();
    let summary = consumer.stop().await;
    assert_eq!((summary.drained, summary.released, summary.abandoned), (30, 10, 0));
    assert_eq!(model.left().len(), 10);
    let next = Consumer::start(&model, router(&diary, |_, _| async { Ok(()) }), |_| {});
    model.drained().await;
    next.stop().await;
    let mut entries = diary.entries();
    entries.sort();
    entries.dedup();
    assert_eq!((entries.len(), diary.entries().len()), (40, 40));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_does_not_finish_in_the_grace_is_given_back() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    model.send(&job("long"), None);
    let consumer = Consumer::start(&model, router(&diary, |_, _| std::future::pending()), |_| {});
    while diary.entries().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    let asked = Instant::now();
    let summary = consumer.stop().await;
    assert_eq!((summary.released, summary.abandoned), (1, 0));
    assert!(asked.elapsed() < Duration::from_secs(28));
    assert!(matches!(model.left()[0].state, drumline_queue::MessageState::Visible));
}

#[tokio::test(start_paused = true)]
async fn a_killed_consumers_messages_are_done_by_the_next() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    for n in 0..20 {
        model.send(&job(&n.to_string()), None);
    }
    let consumer = Consumer::start(&model, router(&diary, |_, _| std::future::pending()), |_| {});
    while diary.entries().len() < 20 {
        sleep(Duration::from_millis(10)).await;
    }
    consumer.kill();
    let next = Consumer::start(&model, router(&Diary::default(), |_, _| async { Ok(()) }), |_| {});
    let begun = Instant::now();
    model.drained().await;
    let took = begun.elapsed();
    next.stop().await;
    assert!(took <= LEASE + Duration::from_secs(1), "{took:?}");
    assert!(model.dead().is_empty());
}

#[tokio::test(start_paused = true)]
async fn groups_keep_their_order_under_failures_and_run_in_parallel() {
    let (model, diary) = (ModelQueue::new("jobs.fifo", LEASE, 10), Diary::default());
    for n in 0..5 {
        for group in ["a", "b", "c"] {
            model.send(&job(&format!("{group}{n}")), Some(group));
        }
    }
    let done = Diary::default();
    let written = done.clone();
    let consumer = Consumer::start(
        &model,
        router(&diary, move |context, name| {
            let done = written.clone();
            async move {
                sleep(Duration::from_secs(1)).await;
                // Every third message fails at its first two attempts.
                if name.ends_with('2') && context.attempt().get() < 3 {
                    return Err(Failure::retry("not yet"));
                }
                done.write(name);
                Ok(())
            }
        }),
        |_| {},
    );
    let begun = Instant::now();
    model.drained().await;
    let took = begun.elapsed();
    consumer.stop().await;
    for group in ["a", "b", "c"] {
        let order: Vec<String> = done.entries().into_iter().filter(|name| name.starts_with(group)).collect();
        assert_eq!(order, (0..5).map(|n| format!("{group}{n}")).collect::<Vec<_>>());
    }
    assert!(took < Duration::from_secs(14), "one after the other it would be more: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn throttled_deletes_are_tried_again_and_nothing_runs_twice() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    model.failing_deletes.store(5, Ordering::SeqCst);
    model.send(&job("once"), None);
    let consumer = Consumer::start(&model, router(&diary, |_, _| async { Ok(()) }), |_| {});
    model.drained().await;
    consumer.stop().await;
    assert_eq!(diary.entries(), ["once"]);
    assert_eq!(model.requests.deletes.load(Ordering::SeqCst), 6);
}

#[tokio::test(start_paused = true)]
async fn deletes_that_fail_for_a_lease_succeed_with_the_next_receipt() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 50), Diary::default());
    model.failing_deletes.store(12, Ordering::SeqCst);
    model.send(&job("once"), None);
    let consumer = Consumer::start(&model, router(&diary, |_, _| async { Ok(()) }), |_| {});
    model.drained().await;
    let metrics = consumer.metrics.encode();
    consumer.stop().await;
    assert_eq!(diary.entries(), ["once"]);
    assert!(metrics.contains("drumline_deduplicated_total"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn failed_renewals_cancel_the_handler_when_the_lease_is_lost() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    model.failing_renewals.store(1000, Ordering::SeqCst);
    model.send(&job("slow"), None);
    let reasons = Diary::default();
    let written = reasons.clone();
    let begun = Instant::now();
    let consumer = Consumer::start(
        &model,
        router(&diary, move |context, _| {
            let reasons = written.clone();
            async move {
                reasons.write(format!("{:?}", context.cancelled().await));
                Err(Failure::retry("cancelled"))
            }
        }),
        |_| {},
    );
    while reasons.entries().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(begun.elapsed() < LEASE, "before another client can receive it");
    assert_eq!(reasons.entries(), ["LeaseLost"]);
    assert!(consumer.metrics.encode().contains(r#"drumline_leases_lost_total{queue="jobs"} 1"#));
    consumer.kill();
}

#[tokio::test(start_paused = true)]
async fn a_failing_queue_is_asked_ever_more_slowly_and_recovers() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    model.failing_receives.store(10, Ordering::SeqCst);
    model.send(&job("late"), None);
    let begun = Instant::now();
    let consumer = Consumer::start(&model, router(&diary, |_, _| async { Ok(()) }), |_| {});
    model.drained().await;
    consumer.stop().await;
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(10) && took < Duration::from_secs(60), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receive_that_hangs_is_replaced() {
    let (model, diary) = (ModelQueue::new("jobs", LEASE, 5), Diary::default());
    model.hanging_receives.store(1, Ordering::SeqCst);
    model.send(&job("late"), None);
    let consumer = Consumer::start(&model, router(&diary, |_, _| async { Ok(()) }), |_| {});
    model.drained().await;
    assert_eq!(diary.entries(), ["late"]);
    consumer.kill();
}
