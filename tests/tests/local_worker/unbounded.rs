//! Queues without a DLQ, whose retries have no limit.

use std::time::Duration;

use drumline_tests::{Answer, App, Fault, Launch, LocalQueue, Proxy, Setup, eventually};

const USAGE: i32 = 64;

async fn without_dlq() -> LocalQueue {
    LocalQueue::create(Setup { max_receive_count: None, visibility_secs: 30, ..Setup::default() }).await
}

#[tokio::test]
async fn a_queue_without_a_dlq_is_refused_with_what_to_set() {
    let queue = without_dlq().await;
    queue.send("to nobody");
    let finished = Launch::on(&queue).finish().await;
    assert_eq!(finished.status, Some(USAGE), "{}", finished.errors());
    for words in ["has no DLQ", "redrive policy", "DRUMLINE_ALLOW_UNBOUNDED=true", "--allow-unbounded"] {
        assert!(finished.errors().contains(words), "{words:?} in\n{}", finished.errors());
    }
}

#[tokio::test]
async fn with_a_limit_of_attempts_the_handler_runs_no_more_often() {
    let app = App::start(async |_| Answer::status(503)).await;
    let queue = without_dlq().await;
    let id = queue.send("to the application");
    let worker = Launch::on(&queue)
        .arg("--allow-unbounded")
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_RETRY", "schedule(1s)")
        .env("DRUMLINE_MAX_ATTEMPTS", "2")
        .spawn();
    worker.until_logged("failed for good", 1).await;
    eventually("it is hidden for longer than any backoff", async || {
        queue.hidden_for(&id) > Duration::from_secs(100)
    })
    .await;
    assert_eq!((app.calls().len(), queue.count()), (2, 1));
    worker.stop().await;
}

#[tokio::test]
async fn a_redrive_policy_that_cannot_be_read_is_a_warning() {
    let app = App::start(async |_| Answer::status(200)).await;
    let queue = LocalQueue::create(Setup { visibility_secs: 30, ..Setup::default() }).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail_always("GetQueueAttributes", Fault::Denied);
    let worker = Launch::on(&queue)
        .env("AWS_ENDPOINT_URL", &proxy.url())
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .spawn();
    queue.send("to the application");
    eventually("it is done in spite of this", async || queue.count() == 0).await;
    assert!(!worker.logged_beginning("the queue's redrive policy is not known").is_empty());
    worker.stop().await;
}
