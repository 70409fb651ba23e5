//! The local event source mapping between an embedded queue and the function's real process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline_lambda_local::{Function, MappedQueue, Mapping, MappingEvent, MappingObserver, Verdict};
use drumline_tests::{App, LocalQueue, Setup, binary, eventually};
use tokio::sync::oneshot;

use crate::apps::{bodies, meeting, obedient, sorted_bodies};

/// The verdicts of a mapping, in order, each with the number of its messages.
type Verdicts = Arc<Mutex<Vec<(usize, Verdict)>>>;

fn forwarding(app: &App, queue: &LocalQueue) -> Function {
    Function::new(binary("drumline-lambda", "drumline-lambda"))
        .timeout(Duration::from_secs(30))
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_RETRY", "schedule(1s)")
        .env("DRUMLINE_RETRY_JITTER", "none")
        .env("AWS_ENDPOINT_URL_SQS", &queue.endpoint_url())
}

fn recording() -> (Verdicts, MappingObserver) {
    let verdicts = Verdicts::default();
    let seen = Arc::clone(&verdicts);
    let observer: MappingObserver = Arc::new(move |event: MappingEvent<'_>| {
        if let MappingEvent::Invoked { messages, verdict, .. } = event {
            seen.lock().unwrap().push((messages.len(), verdict.clone()));
        }
    });
    (verdicts, observer)
}

/// Runs a mapping until the condition holds, and returns its verdicts.
async fn run_until(
    mapping: Mapping,
    queue: &LocalQueue,
    function: Function,
    condition: impl AsyncFnMut() -> bool,
) -> Vec<(usize, Verdict)> {
    let (verdicts, observer) = recording();
    let mapped = MappedQueue::new(mapping, queue.endpoint(), &queue.name, Arc::new(function), observer);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(mapped.run(async { drop(stopped.await) }));
    eventually("the mapping gets there", condition).await;
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    verdicts.lock().unwrap().clone()
}

fn mapping(batch_size: usize, fifo: bool) -> Mapping {
    Mapping::new(batch_size, Duration::ZERO, fifo).unwrap()
}

#[tokio::test]
async fn what_is_done_is_deleted_and_what_failed_goes_to_the_dlq() {
    let setup = Setup { visibility_secs: 180, max_receive_count: Some(2), ..Setup::default() };
    let (app, queue) = (obedient().await, LocalQueue::create(setup).await);
    for body in ["200 a", "422 b", "200 c"] {
        queue.send(body);
    }
    let verdicts = run_until(mapping(10, false), &queue, forwarding(&app, &queue), async || {
        queue.count() == 0 && queue.dead().len() == 1
    });
    let verdicts = verdicts.await;
    assert_eq!(sorted_bodies(&app), ["200 a", "200 c", "422 b"], "a permanent failure runs once");
    assert_eq!(&*queue.dead()[0].body, "422 b");
    assert!(matches!(&verdicts[0], (3, Verdict::Partial(ids)) if ids.len() == 1), "{verdicts:?}");
}

#[tokio::test]
async fn without_the_feature_what_failed_is_deleted_too() {
    let setup = Setup { visibility_secs: 180, ..Setup::default() };
    let (app, queue) = (obedient().await, LocalQueue::create(setup).await);
    queue.send("500 a");
    let mapping = mapping(10, false).report_batch_item_failures(false);
    let verdicts = run_until(mapping, &queue, forwarding(&app, &queue), async || queue.count() == 0).await;
    assert_eq!(bodies(&app), ["500 a"]);
    assert!(matches!(&verdicts[..], [(1, Verdict::Ignored(ids))] if ids.len() == 1), "{verdicts:?}");
}

#[tokio::test]
async fn an_error_returns_the_batch_after_the_visibility_timeout() {
    let setup = Setup { visibility_secs: 1, ..Setup::default() };
    let (app, queue) = (obedient().await, LocalQueue::create(setup).await);
    queue.send("200 a");
    // Its settings are invalid, so it never starts.
    let function = forwarding(&app, &queue).env("DRUMLINE_CONCURRENCY", "none");
    let id = queue.endpoint().peek(&queue.name).unwrap()[0].message_id.clone();
    let verdicts = run_until(mapping(10, false), &queue, function, async || {
        queue.find(&id).is_some_and(|message| message.receive_count >= 2)
    });
    let verdicts = verdicts.await;
    assert_eq!((app.count(), queue.count()), (0, 1));
    let Verdict::Failure(reason) = &verdicts[0].1 else { panic!("{verdicts:?}") };
    assert!(reason.contains("DRUMLINE_CONCURRENCY"), "{reason}");
}

#[tokio::test]
async fn a_fifo_group_keeps_its_order_over_a_failure() {
    let setup = Setup { fifo: true, visibility_secs: 180, ..Setup::default() };
    let queue = LocalQueue::create(setup).await;
    let app = App::start(|call| async move {
        let first = call.body == "a 1" && call.receive_count == 1;
        if first { drumline_tests::Answer::status(503) } else { drumline_tests::Answer::ok() }
    });
    let app = app.await;
    for (body, group) in [("a 1", "a"), ("b 1", "b"), ("a 2", "a"), ("a 3", "a")] {
        queue.send_grouped(body, group);
    }
    let mapping = mapping(2, true).concurrency(2).unwrap();
    run_until(mapping, &queue, forwarding(&app, &queue), async || queue.count() == 0).await;
    let of_a: Vec<String> = bodies(&app).into_iter().filter(|body| body.starts_with('a')).collect();
    assert_eq!(of_a, ["a 1", "a 1", "a 2", "a 3"]);
}

#[tokio::test]
async fn each_place_of_the_concurrency_has_a_process() {
    let setup = Setup { visibility_secs: 180, ..Setup::default() };
    let (app, queue) = (meeting(2).await, LocalQueue::create(setup).await);
    queue.send("a");
    queue.send("b");
    let mapping = mapping(1, false).concurrency(2).unwrap();
    let verdicts = run_until(mapping, &queue, forwarding(&app, &queue), async || queue.count() == 0).await;
    assert_eq!(verdicts, [(1, Verdict::Success), (1, Verdict::Success)]);
}

#[tokio::test]
async fn a_batch_may_be_larger_than_a_receive() {
    let setup = Setup { visibility_secs: 180, ..Setup::default() };
    let (app, queue) = (obedient().await, LocalQueue::create(setup).await);
    for number in 0..25 {
        queue.send(&format!("200 {number}"));
    }
    let mapping = Mapping::new(25, Duration::from_secs(60), false).unwrap();
    let verdicts = run_until(mapping, &queue, forwarding(&app, &queue), async || queue.count() == 0).await;
    assert_eq!(verdicts, [(25, Verdict::Success)]);
}
