//! The jobs that follow on others, by whole hosts with the stores of one process: sent to the queues that are meant, before their own
//! job's message is deleted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::{Context, Failure, Job, NextOptions, Router};
use drumline_queue::PeekedMessage;
use drumline_runtime::Settings;
use drumline_tests::{LocalQueue, Setup};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

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
            tokio::time::sleep(Duration::from_millis(200)).await;
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
