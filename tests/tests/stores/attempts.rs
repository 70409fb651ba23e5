//! Attempts are counted separately from receives, and every worker knows failure reasons.

use drumline_tests::{Answer, App, Counts, Ended, Setup, TestQueue, eventually, get, shared_store};
use serde_json::{Value, json};

use crate::{DYNAMODB, POSTGRES, REDIS, job, sharing, unique};

async fn failing() -> App {
    App::start(|_| async { Answer::status(503).body("closed, password=hunter2") }).await
}

#[tokio::test]
async fn a_shutdown_costs_no_attempt() {
    let Some(store) = shared_store(REDIS) else { return };
    let setup = Setup { max_receive_count: Some(20), ..Setup::default() };
    let queue = TestQueue::create("attempts", setup).await;
    // The first three requests never get an answer; then all fail.
    let app = App::start({
        let asked = std::sync::atomic::AtomicUsize::new(0);
        move |_| {
            let before = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async move {
                if before < 3 {
                    std::future::pending::<()>().await;
                }
                Answer::status(500).body("broken")
            }
        }
    })
    .await;
    let launch = || {
        sharing(&queue, &store)
            .env("DRUMLINE_FORWARD_TO", &app.url())
            .env("DRUMLINE_SHUTDOWN_GRACE", "1ms")
            .env("DRUMLINE_MAX_ATTEMPTS", "2")
            .env("DRUMLINE_RETRY", "schedule(1s)")
    };
    let key = unique("attempts");
    queue.send(&job("a.b", &key, &json!({}))).await;
    for stopped in 1..=3 {
        let worker = launch().spawn();
        eventually("it runs", async || app.count() == stopped).await;
        worker.stop().await;
        eventually("it is released", async || queue.counts().await.visible == 1).await;
    }
    let worker = launch().spawn();
    eventually("it is dead", async || queue.dead_count().await == 1).await;
    let runs = app.calls();
    let failed = runs.iter().filter(|call| matches!(call.ended, Some((_, Ended::Answered(500))))).count();
    assert_eq!((runs.len(), failed), (5, 2), "two attempts, for any number of receives");
    // An open receive while a worker stops may return the message once more, without a run.
    assert!(runs.last().unwrap().receive_count >= 5);
    let reason = &worker.until_logged("failed for good", 1).await[0]["reason"];
    assert!(reason.as_str().unwrap().starts_with("attempt 2 of 2: "), "{reason}");
    worker.stop().await;
}

#[tokio::test]
async fn a_verdict_is_known_to_all_workers() {
    for variable in [REDIS, POSTGRES] {
        let Some(store) = shared_store(variable) else { continue };
        let setup = Setup { max_receive_count: Some(6), ..Setup::default() };
        let queue = TestQueue::create("verdict", setup).await;
        let app = App::start(|_| async { Answer::status(422).body("no such customer") }).await;
        let launch = || sharing(&queue, &store).env("DRUMLINE_FORWARD_TO", &app.url());
        let workers = [launch().spawn(), launch().spawn(), launch().spawn()];
        queue.send(&job("a.b", &unique("verdict"), &json!({}))).await;
        eventually("it is dead", async || queue.dead_count().await == 1).await;
        assert_eq!(app.count(), 1, "run once, in any worker");
        assert_eq!(queue.counts().await, Counts::NONE);
        for worker in workers {
            worker.stop().await;
        }
    }
}

#[tokio::test]
async fn failed_attempts_are_remembered_with_their_reasons() {
    for variable in [REDIS, POSTGRES] {
        let Some(store) = shared_store(variable) else { continue };
        let queue =
            TestQueue::create("history", Setup { max_receive_count: Some(3), ..Setup::default() }).await;
        let app = failing().await;
        let launch = || {
            sharing(&queue, &store)
                .env("DRUMLINE_FORWARD_TO", &app.url())
                .env("DRUMLINE_RETRY", "schedule(1s)")
        };
        let (id, worker) = (unique("job"), launch().spawn());
        let body = json!({ "type": "a.b", "jobId": id, "idempotencyKey": unique("key"), "payload": {} });
        queue.send(&body.to_string()).await;
        eventually("it is dead", async || queue.dead_count().await == 1).await;
        worker.stop().await;

        // Another process reports it, from the store.
        let other = launch().spawn();
        other.until_logged("consuming", 1).await;
        let (status, text) = get(&other.endpoint(&format!("/jobs/{id}"))).await.unwrap();
        assert_eq!(status, 200, "{text}");
        let record: Value = serde_json::from_str(&text).unwrap();
        let attempts = record["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 3, "{text}");
        for (index, attempt) in attempts.iter().enumerate() {
            assert_eq!(attempt["attempt"], index + 1);
            assert_eq!(attempt["class"], "retry_asked");
            assert_eq!(attempt["reason"], "503 Service Unavailable: closed, password=***");
            assert_eq!(attempt["outcome"], "retry");
        }
        assert_eq!(get(&other.endpoint("/jobs/nobody")).await.unwrap().0, 404);
        other.stop().await;
    }
}

#[tokio::test]
async fn a_table_of_dynamodb_will_do() {
    let Some(endpoint) = shared_store(DYNAMODB) else { return };
    let table = unique("drumline");
    drumline_tests::create_table(&endpoint, &table).await;
    // A duplicate of a running job is redelivered when the claim could have ended.
    let queue = TestQueue::create("table", Setup { visibility_secs: 3, ..Setup::default() }).await;
    let app = App::always_ok().await;
    let launch = || {
        sharing(&queue, &format!("dynamodb://{table}"))
            .env("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)
            .env("DRUMLINE_FORWARD_TO", &app.url())
    };
    let workers = [launch().spawn(), launch().spawn()];
    let key = unique("table");
    for _ in 0..20 {
        queue.send(&job("a.b", &key, &json!({ "n": 1 }))).await;
    }
    eventually("all copies are gone", async || app.count() >= 1 && queue.is_empty().await).await;
    assert_eq!(app.count(), 1);
    for worker in workers {
        worker.stop().await;
    }
}
