//! Observers of both hosts: the events that a service's observer receives, and the records in the store without one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline::core::{FailureClass, SqsAction, SqsResult, StoreOperation, StoreResult};
use drumline::message::Intake;
use drumline::run::{Event, NoopObserver, Observer};
use drumline::{Context, Failure, Job, Router};
use drumline_runtime::{ClaimStoreClient, Settings};
use drumline_tests::{LocalQueue, ModelQueue, Setup};
use tokio::sync::watch;

use crate::function::TestFunction;
use crate::running::{Consumer, in_memory};

#[derive(serde::Deserialize)]
struct Work {}

impl Job for Work {
    const TYPE: &'static str = "work";
}

const BODY: &str = r#"{"type":"work","jobId":"j-1","payload":{}}"#;

/// Records the names of the events that it receives.
struct Names {
    seen: Mutex<BTreeSet<String>>,
    drained: watch::Sender<bool>,
}

impl Observer for Names {
    fn observe(&self, event: &Event<'_>) {
        let name = match *event {
            Event::RunStarted { .. } => "run started".to_owned(),
            Event::RunEnded { .. } => "run ended".to_owned(),
            Event::Progress { progress, .. } => format!("progress {}", progress.done),
            Event::Reachability { reachable, .. } => format!("reachable {reachable}"),
            Event::Drained { summary, .. } => format!("drained, {} abandoned", summary.abandoned),
            Event::SqsRequest { action, result } => format!("{} {}", action.label(), result.label()),
            Event::StoreRequest { operation, result } => format!("{} {}", operation.label(), result.label()),
            // The ledger's events, deliveries in hand, the start of a drain.
            _ => return,
        };
        let deleted = matches!(
            event,
            Event::SqsRequest { action: SqsAction::DeleteMessageBatch, result: SqsResult::Ok }
        );
        self.seen.lock().unwrap().insert(name);
        if deleted {
            self.drained.send_replace(true);
        }
    }
}

#[tokio::test]
async fn an_observer_receives_the_events_of_runs_queues_and_requests() {
    let queue = LocalQueue::create(Setup::default()).await;
    queue.send(BODY);
    let names = Arc::new(Names { seen: Mutex::default(), drained: watch::Sender::new(false) });
    let flags = [("queue_url", &*queue.url), ("http_addr", "off"), ("wait_time", "1s")];
    let flags: BTreeMap<String, String> =
        flags.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let settings = Settings::read(&flags, |_| None, None).unwrap();
    let router = Router::new().handle(|ctx: Context, _: Work| async move {
        ctx.progress(1, 1, "steps");
        Ok::<(), Failure>(())
    });
    let mut deleted = names.drained.subscribe();
    let consumer = drumline_consumer::Consumer::new(settings, router)
        .observer(Arc::new(NoopObserver))
        .observer(Arc::clone(&names) as Arc<dyn Observer>);
    let stop = async move { drop(deleted.wait_for(|deleted| *deleted).await) };
    consumer.run(stop).await.unwrap();
    let seen = names.seen.lock().unwrap();
    let request = |action: SqsAction| format!("{} {}", action.label(), SqsResult::Ok.label());
    let asked = |operation: StoreOperation| format!("{} {}", operation.label(), StoreResult::Ok.label());
    for name in [
        "run started".to_owned(),
        "progress 1".to_owned(),
        "run ended".to_owned(),
        "reachable true".to_owned(),
        "drained, 0 abandoned".to_owned(),
        request(SqsAction::GetQueueAttributes),
        request(SqsAction::ReceiveMessage),
        request(SqsAction::DeleteMessageBatch),
        asked(StoreOperation::Claim),
        asked(StoreOperation::Finish),
    ] {
        assert!(seen.contains(&name), "{name} in {seen:?}");
    }
}

/// Returns a job that fails once.
fn fails_once() -> Router {
    Router::new().handle(|ctx: Context, _: Work| async move {
        if ctx.attempt().get() == 1 { Err(Failure::retry("password=hunter2")) } else { Ok(()) }
    })
}

async fn failed_attempts(claim_store: &ClaimStoreClient) -> Vec<(u32, String, String)> {
    claim_store.settle(Duration::from_secs(5)).await;
    let jobs = claim_store.store().jobs("j-1").await.unwrap();
    let attempts = jobs.into_iter().flat_map(|job| job.attempts);
    attempts.map(|attempt| (attempt.attempt, attempt.class, attempt.reason)).collect()
}

fn assert_is_kept(attempts: &[(u32, String, String)]) {
    let [(1, class, reason)] = attempts else { panic!("{attempts:?}") };
    assert_eq!(class, FailureClass::RetryAsked.label());
    assert!(reason.contains("password") && !reason.contains("hunter2"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn failed_attempts_are_kept_by_a_consumer_without_observers() {
    let (queue, claim_store) = (ModelQueue::new("jobs", Duration::from_secs(30), 5), in_memory());
    queue.send(BODY, None);
    let intake = Intake::new("arn:test");
    let observer = Arc::new(NoopObserver);
    let consumer = Consumer::of_service(&queue, fails_once(), |_| {}, observer, claim_store.clone(), intake);
    queue.drained().await;
    consumer.stop().await;
    assert_is_kept(&failed_attempts(&claim_store).await);
}

#[tokio::test(start_paused = true)]
async fn failed_attempts_are_kept_by_a_function_without_observers() {
    let (queue, claim_store) = (ModelQueue::new("jobs", Duration::from_secs(3600), 5), in_memory());
    queue.send(BODY, None);
    let function = TestFunction {
        queue,
        router: fails_once(),
        change: |_| {},
        observer: Arc::new(NoopObserver),
        claim_store: claim_store.clone(),
        intake: Intake::new("arn:test"),
    };
    function.until_drained().await;
    assert_is_kept(&failed_attempts(&claim_store).await);
}
