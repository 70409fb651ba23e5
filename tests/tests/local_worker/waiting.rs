//! The reasons for which jobs wait are visible: in `/readyz`, in metrics and in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, Worker, eventually, get};
use tokio::sync::Semaphore;

fn send(queue: &LocalQueue, job_type: &str, count: usize) {
    for _ in 0..count {
        queue.send(&format!(r#"{{"type":"{job_type}","payload":{{}}}}"#));
    }
}

async fn readiness(worker: &Worker) -> String {
    get(&worker.endpoint("/readyz")).await.map_or_else(String::new, |(_, text)| text)
}

#[tokio::test]
async fn jobs_that_wait_for_a_slot_are_named_counted_and_logged_once() {
    let gate = Arc::new(Semaphore::new(0));
    let app = {
        let gate = Arc::clone(&gate);
        App::start(move |_| {
            let gate = Arc::clone(&gate);
            async move {
                // Closed at the end.
                if let Ok(permit) = gate.acquire().await {
                    permit.forget();
                }
                Answer::ok()
            }
        })
        .await
    };
    let queue = LocalQueue::create(Setup::default()).await;
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let file = launch.home().join("drumline.toml");
    std::fs::write(&file, "[limits.slow]\nconcurrency = 2\n").unwrap();
    let worker = launch.env("DRUMLINE_CONFIG", &file.display().to_string()).spawn();
    eventually("it is ready", async || readiness(&worker).await == "ready\n").await;
    send(&queue, "slow", 7);
    let waits = "ready; 5 jobs of slow wait for a slot (2 of 2 run)\n";
    eventually("what they wait for is named", async || readiness(&worker).await == waits).await;
    let waiting = r#"drumline_limit_waiting{queue="jobs",type="slow",reason="concurrency"}"#;
    assert_eq!(worker.metric(waiting).await, 5);
    assert_eq!(worker.metric(r#"drumline_limit_running{type="slow"}"#).await, 2);
    assert_eq!(worker.metric(r#"drumline_limit_slots{type="slow"}"#).await, 2);
    gate.close();
    eventually("all are done", async || queue.count() == 0).await;
    eventually("nothing waits", async || readiness(&worker).await == "ready\n").await;
    assert_eq!(worker.metric(waiting).await, 0);
    assert_eq!(worker.logged("waiting for limit").len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn closing_and_opening_of_a_throttled_type_are_logged() {
    let throttles = Arc::new(AtomicBool::new(true));
    let app = {
        let throttles = Arc::clone(&throttles);
        App::start(move |_| {
            let is_closed = throttles.load(Ordering::SeqCst);
            async move {
                if is_closed { Answer::status(429).header("Retry-After", "3") } else { Answer::ok() }
            }
        })
        .await
    };
    let queue = LocalQueue::create(Setup::default()).await;
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    send(&queue, "mail", 5);
    eventually("it is closed", async || readiness(&worker).await.contains("mail is throttled for ")).await;
    assert_eq!(worker.metric(r#"drumline_limit_closed{type="mail",reason="throttled"}"#).await, 1);
    throttles.store(false, Ordering::SeqCst);
    eventually("all are done", async || queue.count() == 0).await;
    worker.until_logged("limit open again", 1).await;
    assert_eq!(worker.metric(r#"drumline_limit_closed{type="mail",reason="throttled"}"#).await, 0);
    assert_eq!(worker.logged("limit closed").len(), 1);
    worker.stop().await;
}
