//! Next jobs in whole hosts, with the stores of one process: they are sent to the intended queues before their own job's
//! message is deleted.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use drumline::core::{FailureClass, LedgerEvent};
use drumline::message::Intake;
use drumline::run::{Event, Observer};
use drumline::{Context, Failure, Job, NextOptions, Router};
use drumline_queue::PeekedMessage;
use drumline_runtime::Settings;
use drumline_runtime::aws::is_fifo;
use drumline_tests::{LocalQueue, ModelQueue, Setup};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::function::TestFunction;
use crate::parity::{VISIBILITY, change, max_receive_count};
use crate::running::{Consumer, in_memory};

#[derive(Serialize, Deserialize)]
struct First {
    order: u64,
}

impl Job for First {
    const TYPE: &'static str = "order.first";
}

#[derive(Serialize, Deserialize)]
struct Second {
    order: u64,
}

impl Job for Second {
    const TYPE: &'static str = "order.second";

    fn idempotency_key(&self) -> Option<String> {
        Some(format!("second:{}", self.order))
    }
}

#[derive(Serialize, Deserialize)]
struct Third {
    order: u64,
}

impl Job for Third {
    const TYPE: &'static str = "order.third";
}

/// The job ids, types and correlation ids of the runs, in order.
type Seen = Arc<Mutex<Vec<[String; 3]>>>;

fn router(seen: &Seen, done: watch::Sender<bool>, other: &'static str) -> Router {
    let see = |seen: &Seen, ctx: &Context| {
        let run = [ctx.job_id(), ctx.job_type(), ctx.correlation_id()].map(str::to_owned);
        seen.lock().unwrap().push(run);
    };
    let (of_first, of_second, of_third) = (Arc::clone(seen), Arc::clone(seen), Arc::clone(seen));
    Router::new()
        .handle(move |ctx: Context, job: First| {
            see(&of_first, &ctx);
            async move { ctx.then(&Second { order: job.order }) }
        })
        .handle(move |ctx: Context, job: Second| {
            see(&of_second, &ctx);
            async move {
                ctx.then(&Third { order: job.order })?;
                ctx.then_with(&Third { order: job.order }, NextOptions::new().queue(other))
            }
        })
        .handle(move |ctx: Context, _: Third| {
            see(&of_third, &ctx);
            done.send_replace(true);
            async { Ok::<(), Failure>(()) }
        })
}

fn settings(queue: &LocalQueue, store: &str) -> Settings {
    let flags = [("queue_url", &*queue.url), ("http_addr", "off"), ("wait_time", "1s"), ("store_url", store)];
    let flags: BTreeMap<String, String> =
        flags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Settings::read(&flags, |_| None, None).unwrap()
}

fn left(queue: &LocalQueue, url: &str) -> Vec<PeekedMessage> {
    queue.endpoint().peek(url).unwrap()
}

#[tokio::test]
async fn a_consumer_sends_each_step_to_its_queue() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("file:{}", folder.path().join("store.db").display());
    for (store, fifo) in [("memory:", false), (&*file, false), ("memory:", true)] {
        let queue = LocalQueue::create(Setup { fifo, ..Setup::default() }).await;
        let attributes: &[_] = if fifo { &[("FifoQueue", "true")] } else { &[] };
        let other = if fifo { "other.fifo" } else { "other" };
        let other_url = queue.endpoint().create_queue(other, attributes).unwrap();
        let body =
            r#"{"type":"order.first","jobId":"order-7","correlationId":"request-1","payload":{"order":7}}"#;
        if fifo {
            queue.send_grouped(body, "customer-1")
        } else {
            queue.send(body)
        };
        let (seen, done) = (Seen::default(), watch::Sender::new(false));
        let mut is_done = done.subscribe();
        let consumer = drumline_consumer::Consumer::new(settings(&queue, store), router(&seen, done, other))
            .endpoint(queue.endpoint_url());
        let stop = async move {
            drop(is_done.wait_for(|done| *done).await);
        };
        consumer.run(stop).await.unwrap();
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        let types: Vec<_> = seen.iter().map(|[_, job_type, _]| &**job_type).collect();
        assert_eq!(types, ["order.first", "order.second", "order.third"], "{store} {fifo}");
        assert!(seen.iter().all(|[_, _, correlation]| correlation == "request-1"), "{seen:?}");
        assert!(seen[1][0].starts_with("next-"), "{seen:?}");
        assert!(left(&queue, &queue.url).is_empty());
        let elsewhere = left(&queue, &other_url);
        assert_eq!(elsewhere.len(), 1);
        assert_eq!(elsewhere[0].message_group_id.as_deref(), fifo.then_some("customer-1"));
        assert!(elsewhere[0].body.contains(r#""type":"order.third""#), "{}", elsewhere[0].body);
    }
}

/// A job that sends itself this many times as a next job, each time after a failure.
#[derive(Serialize, Deserialize)]
struct Forks {
    left: u32,
    /// Part of the payloads of next jobs: one with an AWS key is refused.
    note: String,
}

impl Job for Forks {
    const TYPE: &'static str = "forks";
}

fn forks() -> Router {
    Router::new().handle(|ctx: Context, job: Forks| async move {
        for _ in 0..2 {
            if job.left > 0 {
                ctx.then(&Forks { left: job.left - 1, note: job.note.clone() })?;
            }
        }
        if ctx.attempt().get() == 1 { Err(Failure::retry("once")) } else { Ok(()) }
    })
}

/// The ending and the outcome of every run, by its job.
#[derive(Default)]
struct Runs(Mutex<Vec<(String, String, String)>>);

impl Observer for Runs {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Ledger { note: LedgerEvent::Decided { outcome, run: Some(run), .. }, .. } = *event {
            let job_id = run.identity.as_ref().map(|identity| identity.job_id().to_string());
            let ending = run.ending.class().map_or("done", FailureClass::label).to_owned();
            self.0.lock().unwrap().push((job_id.unwrap_or_default(), ending, outcome.label().to_owned()));
        }
    }
}

fn model(name: &str) -> ModelQueue {
    let queue = ModelQueue::new(name, VISIBILITY, max_receive_count(name));
    let group = is_fifo(name).then_some("g");
    for (job_id, note) in [("a", "fine"), ("b", "AKIAIOSFODNN7EXAMPLE")] {
        let job =
            serde_json::json!({ "type": "forks", "jobId": job_id, "payload": { "left": 2, "note": note } });
        queue.send(&job.to_string(), group);
    }
    queue.failing_sends.store(1, Ordering::SeqCst);
    queue
}

fn sorted(runs: &Runs) -> Vec<(String, String, String)> {
    let mut runs = runs.0.lock().unwrap().clone();
    runs.sort();
    runs
}

#[tokio::test(start_paused = true)]
async fn jobs_that_follow_fare_the_same_in_both_hosts() {
    for name in ["jobs", "jobs.fifo"] {
        let (queue, runs) = (model(name), Arc::new(Runs::default()));
        let consumer = Consumer::watched(&queue, forks(), change, runs.clone());
        queue.drained().await;
        consumer.stop().await;
        let by_consumer = sorted(&runs);

        let (queue, runs) = (model(name), Arc::new(Runs::default()));
        let (claim_store, intake) = (in_memory(), Intake::new("arn:test"));
        let observer = runs.clone();
        let function = TestFunction { queue, router: forks(), change, observer, claim_store, intake };
        function.until_drained().await;
        assert_eq!(by_consumer, sorted(&runs), "{name}");

        // One job, then two, then four; the other one was refused.
        let count = |ending: &str| by_consumer.iter().filter(|(_, of_run, _)| of_run == ending).count();
        assert_eq!((count("done"), count("rejected")), (7, 1), "{name}: {by_consumer:?}");
        assert!(count("retry_asked") > 0, "{name}: {by_consumer:?}");
    }
}
