//! SIGTERM under full load: running jobs finish, waiting messages are released, and the next process does the rest.

use std::sync::Arc;

use drumline_tests::{Answer, App, Counts, Launch, Setup, Signal, TestQueue, eventually};
use tokio::sync::Semaphore;

const GROUPS: usize = 30;
const MESSAGES: usize = 40;

/// An application whose answers wait for the semaphore's permits.
async fn gated_app() -> (App, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&gate);
    let app = App::start(move |_| {
        let permits = Arc::clone(&permits);
        async move {
            permits.acquire().await.unwrap().forget();
            Answer::ok()
        }
    })
    .await;
    (app, gate)
}

#[tokio::test]
async fn nothing_is_lost_and_nothing_runs_twice() {
    let queue = TestQueue::create("deploy", Setup { fifo: true, ..Setup::default() }).await;
    let (app, gate) = gated_app().await;
    // Thirty groups; the first ten have a second message that waits for the first.
    let group = |n: usize| format!("g{}", n % GROUPS);
    let messages: Vec<_> = (0..MESSAGES).map(|n| (n.to_string(), group(n))).collect();
    queue.send_grouped(&messages).await;
    let launch =
        || Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).env("DRUMLINE_CONCURRENCY", "40");
    let worker = launch().spawn();
    eventually("thirty run and ten wait", async || {
        app.count() == GROUPS && worker.metric("drumline_deliveries_in_hand").await == 40
    })
    .await;
    assert_eq!(queue.counts().await, Counts { visible: 0, in_flight: 40, delayed: 0 });

    worker.signal(Signal::TERM);
    worker.until_logged("draining", 1).await;
    assert_eq!(drumline_tests::status_of(&worker.endpoint("/readyz")).await, Some(503));
    assert_eq!(drumline_tests::status_of(&worker.endpoint("/livez")).await, Some(200));
    assert_eq!(app.count(), GROUPS, "no new job was started");
    assert!(app.calls().iter().all(|call| call.ended.is_none()), "none of the thirty was interrupted");
    gate.add_permits(MESSAGES);
    let finished = worker.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let stopped = finished.logged("stopped").remove(0);
    let told = ["drained", "released", "abandoned"].map(|name| stopped[name].as_u64().unwrap());
    assert_eq!(told, [30, 10, 0]);
    assert_eq!(queue.counts().await, Counts { visible: 10, in_flight: 0, delayed: 0 });

    let next = launch().spawn();
    eventually("the rest is done", async || app.count() >= MESSAGES && queue.is_empty().await).await;
    next.stop().await;
    let mut ids = app.ids();
    assert_eq!(ids.len(), MESSAGES);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), MESSAGES, "each ran once");
    assert_eq!(queue.dead_count().await, 0);
}

#[tokio::test]
async fn what_does_not_finish_within_the_grace_is_given_back() {
    let queue = TestQueue::create("grace", Setup::default()).await;
    let (app, _gate) = gated_app().await;
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        // Longer than the wait time: the open receive ends before any message is released.
        .env("DRUMLINE_SHUTDOWN_GRACE", "3s")
        .spawn();
    queue.send("{}").await;
    eventually("it runs", async || app.count() == 1).await;
    let finished = worker.stop().await;
    let stopped = finished.logged("stopped").remove(0);
    let told = ["drained", "released", "abandoned"].map(|name| stopped[name].as_u64().unwrap());
    assert_eq!(told, [0, 1, 0]);
    // Its visibility timeout of 30 s has not passed: it was released.
    assert_eq!(queue.counts().await, Counts { visible: 1, in_flight: 0, delayed: 0 });
    assert!(app.calls()[0].ended.is_some(), "the application's connection was closed");
}

/// A message that was received several times without a known ending is received and run alone: a crash costs the others
/// nothing.
#[tokio::test]
async fn messages_not_in_hand_stay_queued_while_a_job_runs() {
    let queue =
        TestQueue::create("waiting", Setup { max_receive_count: Some(100), ..Setup::default() }).await;
    let (app, gate) = gated_app().await;
    for n in 0..3 {
        queue.send(&n.to_string()).await;
    }
    for _ in 0..5 {
        assert_eq!(queue.peek().await.len(), 3);
    }
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("one runs", async || app.count() == 1).await;
    assert_eq!(worker.metric("drumline_deliveries_in_hand").await, 1);
    assert_eq!(queue.counts().await, Counts { visible: 2, in_flight: 1, delayed: 0 });
    worker.signal(Signal::TERM);
    worker.until_logged("draining", 1).await;
    assert!(app.calls()[0].ended.is_none(), "the running one continues");
    assert_eq!(
        queue.client.receive_message().queue_url(&queue.url).send().await.unwrap().messages().len(),
        1
    );
    gate.add_permits(1);
    let finished = worker.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let stopped = finished.logged("stopped").remove(0);
    let told = ["drained", "released", "abandoned"].map(|name| stopped[name].as_u64().unwrap());
    assert_eq!(told, [1, 0, 0]);
    assert_eq!(app.count(), 1);
}
