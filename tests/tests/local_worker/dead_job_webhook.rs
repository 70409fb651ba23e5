//! The webhook for dead jobs: called before the message moves, by a worker and by a function, and for letters by the watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};
use std::time::Duration;

use drumline_queue::api::SendMessage;
use drumline_tests::{
    Answer, App, Call, FunctionLaunch, Invocation, Launch, LocalQueue, Setup, eventually, eventually_within,
    get, sqs_event,
};
use serde_json::{Value, json};

async fn queue() -> LocalQueue {
    LocalQueue::create(Setup { max_receive_count: Some(2), ..Setup::default() }).await
}

fn job() -> String {
    json!({ "type": "email.send", "correlationId": "req-77", "payload": { "user": 17 } }).to_string()
}

/// An application that accepts no message.
async fn rejecting() -> App {
    App::start(|_| async { Answer::status(422).body("no user") }).await
}

/// A webhook that answers with a status that the test changes.
async fn webhook(status: u16) -> (App, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(status));
    let answered = Arc::clone(&status);
    let webhook = App::start(move |_| {
        let status = answered.load(SeqCst);
        async move { Answer::status(status) }
    })
    .await;
    (webhook, status)
}

fn document(call: &Call) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

fn of(document: &Value, fields: [&str; 6]) -> Vec<String> {
    fields.iter().map(|field| document[field].as_str().unwrap_or("none").to_owned()).collect()
}

const FIELDS: [&str; 6] = ["key", "queue", "type", "correlationId", "class", "messageId"];

async fn metrics(endpoint: &str) -> String {
    get(endpoint).await.unwrap().1
}

#[tokio::test]
async fn a_worker_in_forward_mode_calls_it_until_it_accepts_the_job() {
    let (queue, app, (webhook, status)) = (queue().await, rejecting().await, webhook(503).await);
    let id = queue.send(&job());
    let worker = Launch::on(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_DEAD_JOB_WEBHOOK", &format!("{}/s3cret", webhook.root()))
        .env("DRUMLINE_DEAD_JOB_WEBHOOK_HEADERS", "Authorization: Bearer s3cret")
        .spawn();
    eventually("the webhook is called", async || webhook.count() == 1).await;
    assert!(queue.dead().is_empty(), "the message waits until the webhook has accepted it");
    status.store(202, SeqCst);
    eventually("the message is in the DLQ", async || queue.dead().len() == 1).await;
    let calls = webhook.calls();
    assert_eq!(calls.len(), 2, "it was called again once");
    let key = format!("dead:{id}");
    for call in &calls {
        assert_eq!(call.line, "POST /s3cret");
        assert_eq!(call.header("idempotency-key"), Some(&*key));
        assert_eq!(call.header("authorization"), Some("Bearer s3cret"));
        let document = document(call);
        assert_eq!(of(&document, FIELDS), [&*key, "jobs", "email.send", "req-77", "rejected", &*id]);
        assert_eq!(document["body"], job());
        assert!(document["reason"].as_str().unwrap().contains("no user"), "{document}");
    }
    let text = metrics(&worker.endpoint("/metrics")).await;
    assert!(text.contains(r#"drumline_dead_job_hooks_total{queue="jobs",result="ok"} 1"#), "{text}");
    let errors = worker.stop().await.errors();
    assert!(errors.contains("503 Service Unavailable") && !errors.contains("s3cret"), "{errors}");
}

#[tokio::test]
async fn the_watch_calls_it_for_a_job_if_it_failed_in_the_worker() {
    let (queue, app, (webhook, status)) = (queue().await, rejecting().await, webhook(503).await);
    let folder = tempfile::tempdir().unwrap();
    let worker = Launch::on(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_DEAD_JOB_WEBHOOK", &webhook.root())
        .env("DRUMLINE_STORE_URL", &format!("file:{}", folder.path().join("store").display()))
        .env("DRUMLINE_DLQ_WATCH", "on")
        .env("DRUMLINE_DLQ_WATCH_EVERY", "1s")
        .spawn();
    worker.until_logged("leading DLQ watch", 1).await;
    // Once the watch knows that the DLQ is empty.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let id = queue.send(&job());
    eventually("the worker has given up", async || queue.dead().len() == 1).await;
    status.store(200, SeqCst);
    let failed = webhook.count();
    eventually_within(Duration::from_secs(60), "the watch calls it", async || webhook.count() > failed).await;
    let of_watch = document(webhook.calls().last().unwrap());
    let key = format!("dead:{id}");
    assert_eq!(of(&of_watch, FIELDS), [&*key, "jobs", "email.send", "req-77", "rejected", &*id]);
    assert_eq!(of_watch["history"][0]["class"], "rejected", "{of_watch}");
    eventually("both calls are counted", async || {
        let text = metrics(&worker.endpoint("/metrics")).await;
        ["failed", "ok"].iter().all(|result| {
            text.contains(&format!(r#"drumline_dead_job_hooks_total{{queue="jobs",result="{result}"}} 1"#))
        })
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn the_command_calls_it_for_each_letter_and_fails_on_refusal() {
    let (queue, (webhook, status)) = (queue().await, webhook(200).await);
    let ids = queue.bury((0..2).map(|_| SendMessage { message_body: job(), ..SendMessage::default() }));
    let launch = || {
        Launch::new(&["dlq", "watch", "--once"])
            .env("DRUMLINE_QUEUE_URL", &queue.url)
            .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
            .env("DRUMLINE_DEAD_JOB_WEBHOOK", &webhook.root())
    };
    let finished = launch().finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let mut called: Vec<(String, String)> = webhook
        .calls()
        .iter()
        .map(|call| (call.header("idempotency-key").unwrap().to_owned(), document(call)["queue"].to_string()))
        .collect();
    called.sort();
    let mut expected: Vec<(String, String)> =
        ids.iter().map(|id| (format!("dead:{id}"), "\"jobs\"".to_owned())).collect();
    expected.sort();
    assert_eq!(called, expected);
    status.store(500, SeqCst);
    let finished = launch().finish().await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
    let errors = finished.errors();
    assert!(errors.contains("dead_job_webhook has not accepted letters: 2"), "{errors}");
}

#[tokio::test]
async fn a_function_calls_it_before_its_response() {
    let (queue, app, (webhook, _)) = (queue().await, rejecting().await, webhook(200).await);
    let batch = queue.batch(&[job()]).await;
    let function = FunctionLaunch::forwarding(&app, &queue)
        .env("DRUMLINE_DEAD_JOB_WEBHOOK", &webhook.root())
        .spawn()
        .await;
    let id = batch[0].id();
    function.invoke(Invocation::new(sqs_event(&batch))).await.expect_failed(&[&id]);
    let calls = webhook.calls();
    assert_eq!(calls.len(), 1);
    let key = format!("dead:{id}");
    assert_eq!(of(&document(&calls[0]), FIELDS), [&*key, "jobs", "email.send", "req-77", "rejected", &*id]);
}
