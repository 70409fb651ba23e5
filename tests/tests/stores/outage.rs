//! An outage of the store loses no job, and makes no job run twice.

use drumline_tests::{App, Launch, Setup, StoreServer, TestQueue, eventually, status_of};
use serde_json::json;

use crate::{job, sharing, unique};

#[tokio::test]
async fn jobs_wait_for_the_store_and_run_once() {
    let Some(mut server) = StoreServer::start() else { return };
    let queue = TestQueue::create("outage", Setup { max_receive_count: Some(2), ..Setup::default() }).await;
    let app = App::always_ok().await;
    let worker = sharing(&queue, &server.url()).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    worker.until_logged("consuming", 1).await;
    eventually("it is ready", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;

    server.kill();
    for _ in 0..20 {
        queue.send(&job("a.b", &unique("outage"), &json!({}))).await;
    }
    eventually("it is not ready", async || status_of(&worker.endpoint("/readyz")).await == Some(503)).await;
    assert_eq!(status_of(&worker.endpoint("/livez")).await, Some(200), "a restart would not help");
    assert!(worker.metric(r#"drumline_store_requests_total{operation="claim",result="failed"}"#).await > 0);
    assert_eq!(app.count(), 0, "no job runs without a claim");

    server.restart();
    eventually("all are done", async || app.count() >= 20 && queue.is_empty().await).await;
    assert_eq!(app.count(), 20, "each once");
    assert_eq!(queue.dead_count().await, 0, "an outage is no failure of the job");
    eventually("it is ready again", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_done_job_stays_in_hand_until_the_store_has_its_mark() {
    let Some(mut server) = StoreServer::start() else { return };
    let queue = TestQueue::create("unmarked", Setup { visibility_secs: 5, ..Setup::default() }).await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let permits = std::sync::Arc::clone(&gate);
    let app = App::start(move |_| {
        let permits = std::sync::Arc::clone(&permits);
        async move {
            permits.acquire().await.unwrap().forget();
            drumline_tests::Answer::ok()
        }
    })
    .await;
    let worker = sharing(&queue, &server.url()).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let body = job("a.b", &unique("unmarked"), &json!({}));
    queue.send(&body).await;
    eventually("it runs", async || app.count() == 1).await;
    server.kill();
    gate.add_permits(10);
    worker.until_logged("the job is done, and stays in hand until the store remembers that", 1).await;
    assert_eq!(queue.counts().await.in_flight, 1, "not deleted before that is remembered");
    server.restart();
    eventually("it is gone", async || queue.is_empty().await).await;
    // So a duplicate is recognised, and does not run.
    queue.send(&body).await;
    eventually("the duplicate is gone", async || {
        worker.metric("drumline_deduplicated_total").await >= 1 && queue.is_empty().await
    })
    .await;
    assert_eq!(app.count(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn jobs_run_without_claims_where_that_is_asked_for() {
    let Some(mut server) = StoreServer::start() else { return };
    let queue = TestQueue::create("open", Setup::default()).await;
    let app = App::always_ok().await;
    let launch = sharing(&queue, &server.url()).env("DRUMLINE_STORE_OUTAGE", "run");
    let worker = launch.env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    worker.until_logged("consuming", 1).await;
    server.kill();
    queue.send(&job("a.b", &unique("open"), &json!({}))).await;
    eventually("it is done", async || app.count() == 1 && queue.is_empty().await).await;
    worker.until_logged("runs without a claim, since the store does not answer", 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told_at_the_start() {
    let queue = TestQueue::create("nowhere", Setup::default()).await;
    let nowhere = drumline_tests::free_address();
    let url = format!("redis://ann:hunter2@{nowhere}");
    let finished = sharing(&queue, &url).finish().await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
    assert!(finished.errors().contains("DRUMLINE_STORE_URL"), "{}", finished.errors());
    assert!(!finished.errors().contains("hunter2"), "{}", finished.errors());
    for url in ["mysql://db/x", "redis", "dynamodb://"] {
        let finished = Launch::new(&["config", "--queue-url", &queue.url, "--store-url", url]).finish().await;
        assert_eq!(finished.status, Some(64), "{url}: {}", finished.errors());
    }
}
