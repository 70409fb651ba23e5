//! The SQS client of a worker: the lean one, the SDK's, or the SDK's after a request that only the lean one fails to make.

use std::time::Duration;

use drumline_tests::{Answer, App, Call, Fault, Launch, LocalQueue, Proxy, Setup, eventually};

/// Beyond ASCII, and with all that JSON escapes.
const TEXT: &str = r#"{"type":"note","payload":"é \" \\ \n \u0001 😀"}"#;

/// Longer than the lease: the job is done only if its lease is renewed.
const SLOW: Duration = Duration::from_secs(4);

async fn queue() -> LocalQueue {
    LocalQueue::create(Setup { max_receive_count: Some(3), visibility_secs: 2, ..Setup::default() }).await
}

/// An application that does notes at once, is slow with one job, retries one, and refuses one.
async fn application() -> App {
    App::start(async |call: Call| {
        if call.body.contains("slow") {
            tokio::time::sleep(SLOW).await;
        }
        if call.body.contains("refused") {
            Answer::status(422)
        } else if call.body.contains("later") && call.header("x-drumline-attempt") == Some("1") {
            Answer::status(425)
        } else {
            Answer::ok()
        }
    })
    .await
}

#[tokio::test]
async fn each_client_receives_renews_retries_and_deletes() {
    for client in ["lean", "sdk"] {
        let (app, queue) = (application().await, queue().await);
        for _ in 0..25 {
            queue.send(TEXT);
        }
        for job_type in ["slow", "later", "refused"] {
            queue.send(&format!(r#"{{"type":"{job_type}","payload":{{}}}}"#));
        }
        let worker = Launch::on(&queue)
            .env("DRUMLINE_FORWARD_TO", &app.url())
            .env("DRUMLINE_SQS_CLIENT", client)
            .spawn();
        eventually("all are settled", async || queue.count() == 0).await;
        let calls = app.calls();
        let count = |part: &str| calls.iter().filter(|call| call.body.contains(part)).count();
        assert_eq!(
            (count("note"), count("slow"), count("later"), count("refused")),
            (25, 1, 2, 1),
            "{client}"
        );
        assert!(
            calls.iter().filter(|call| call.body.contains("note")).all(|call| call.body == TEXT),
            "{client}"
        );
        assert_eq!(queue.dead().len(), 1, "{client}");
        assert!(
            worker.metric(r#"drumline_lease_renewals_total{queue="jobs",result="ok"}"#).await > 0,
            "{client}"
        );
        assert_eq!(worker.metric("drumline_sqs_client_replaced_total").await, 0, "{client}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_takeover_for_a_job_that_follows_on_another_is_counted() {
    let queue = queue().await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail_always("SendMessageBatch", Fault::PageToLeanClient);
    let worker =
        Launch::on(&queue).env("AWS_ENDPOINT_URL", &proxy.url()).env("DRUMLINE_SQS_CLIENT", "auto").spawn();
    queue.send(r#"{"type":"lead.received","payload":{"lead":{"leadId":"l-1","email":"ada@example.com"}}}"#);
    eventually("the next job is sent", async || !proxy.answers("SendMessageBatch").is_empty()).await;
    let (sent, _) = &proxy.answers("SendMessageBatch")[0];
    assert!(sent["Entries"][0]["MessageBody"].as_str().unwrap().contains("lead.enrich"), "{sent}");
    assert_eq!(worker.metric("drumline_sqs_client_replaced_total").await, 1);
    worker.stop().await;
}

#[tokio::test]
async fn the_sdk_takes_over_from_a_lean_client_that_alone_fails() {
    let (app, queue) = (application().await, queue().await);
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    queue.send(TEXT);
    let worker = Launch::on(&queue)
        .env("AWS_ENDPOINT_URL", &proxy.url())
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_SQS_CLIENT", "auto")
        .spawn();
    eventually("the first is done", async || queue.count() == 0).await;
    assert_eq!(worker.metric("drumline_sqs_client_replaced_total").await, 0);
    for action in ["ReceiveMessage", "DeleteMessageBatch"] {
        proxy.fail_always(action, Fault::PageToLeanClient);
    }
    for _ in 0..50 {
        queue.send(TEXT);
    }
    eventually("all are done", async || queue.count() == 0).await;
    assert_eq!(app.calls().len(), 51, "each once");
    assert_eq!(worker.metric("drumline_sqs_client_replaced_total").await, 1);
    assert_eq!(worker.logged_beginning("the SDK's SQS client takes over").len(), 1);
    worker.stop().await;
}
