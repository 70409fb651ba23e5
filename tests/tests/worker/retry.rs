//! Failed messages are redelivered later, after growing delays.

use std::time::Duration;

use drumline_tests::{Answer, App, Call, Launch, Setup, TestQueue, eventually};

/// Returns the times between the requests for one message.
fn gaps(calls: &[Call]) -> Vec<Duration> {
    calls.windows(2).map(|pair| pair[1].begun - pair[0].begun).collect()
}

async fn until_done(queue: &TestQueue, app: &App, calls: usize) {
    eventually("the job is done and its message deleted", async || {
        app.count() >= calls && queue.is_empty().await
    })
    .await;
    assert_eq!(app.count(), calls);
}

#[tokio::test]
async fn a_job_that_fails_twice_is_tried_again_after_growing_delays() {
    let queue = TestQueue::create("flaky", Setup::default()).await;
    let app = App::start(|call| async move {
        if call.receive_count < 3 { Answer::status(503).body("try later") } else { Answer::ok() }
    })
    .await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let id = queue.send(r#"{"any":"body"}"#).await;
    until_done(&queue, &app, 3).await;

    let calls = app.calls();
    assert_eq!(calls.iter().map(|call| call.receive_count).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(calls.iter().all(|call| call.message_id == id && call.body == r#"{"any":"body"}"#), "{calls:?}");
    let gaps = gaps(&calls);
    assert!(gaps[0] >= Duration::from_secs(1) && gaps[1] >= Duration::from_secs(2), "{gaps:?}");
    assert_eq!(queue.dead_count().await, 0);

    let entries = worker.until_logged("failed, trying again later", 2).await;
    for (entry, delay) in entries.iter().zip([1.0, 2.0]) {
        assert_eq!(entry["reason"], "503 Service Unavailable: try later");
        assert_eq!(entry["message_id"], *id);
        assert_eq!(entry["retry_in_secs"], delay);
    }
    let labels = format!(r#"{{queue="{}","#, queue.name);
    let outcomes = async |outcome: &str| {
        worker.metric(&format!(r#"drumline_jobs_total{labels}type="raw",outcome="{outcome}"}}"#)).await
    };
    assert_eq!((outcomes("retry").await, outcomes("ack").await), (2, 1));
    worker.stop().await;
}

#[tokio::test]
async fn the_application_says_itself_when_to_come_back() {
    let queue = TestQueue::create("retry-after", Setup::default()).await;
    let app = App::start(|call| async move {
        let busy = || Answer::status(425);
        let in_three_secs = std::time::SystemTime::now() + Duration::from_secs(3);
        match call.receive_count {
            1 => busy().header("retry-after", "2"),
            2 => busy().header("retry-after", &httpdate::fmt_http_date(in_three_secs)),
            _ => Answer::ok(),
        }
    })
    .await;
    // By the policy it would wait for one minute.
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_RETRY", "schedule(1m)")
        .spawn();
    queue.send("{}").await;
    until_done(&queue, &app, 3).await;
    let gaps = gaps(&app.calls());
    // Dates are truncated to whole seconds, and SQS's visibility is in whole seconds too.
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_secs(2)), "{gaps:?}");
    worker.stop().await;
}

#[tokio::test]
async fn an_application_that_is_not_there_yet_gets_the_job_once_it_is() {
    let queue = TestQueue::create("late-app", Setup::default()).await;
    let address = drumline_tests::free_address();
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &format!("http://{address}/jobs")).spawn();
    worker.until_logged("receiving paused", 1).await;
    let id = queue.send("{}").await;
    let app = App::start_on(address, |_| async { Answer::ok() }).await;
    until_done(&queue, &app, 1).await;
    assert_eq!(app.ids(), [id]);
    assert_eq!(app.calls()[0].receive_count, 1, "it was not received before");
    worker.stop().await;
}

#[tokio::test]
async fn the_application_is_told_all_about_the_message() {
    use aws_sdk_sqs::types::MessageAttributeValue;
    let queue = TestQueue::create("headers", Setup::default()).await;
    let app = App::always_ok().await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let tenant = MessageAttributeValue::builder().data_type("String").string_value("ada").build().unwrap();
    let body = "not JSON at all: Grüße\n";
    let send = queue.client.send_message().queue_url(&queue.url).message_body(body);
    let id = send.message_attributes("Tenant", tenant).send().await.unwrap().message_id.unwrap();
    until_done(&queue, &app, 1).await;

    let call = app.calls().remove(0);
    assert_eq!(call.body, body);
    assert_eq!(call.header("x-aws-sqsd-msgid"), Some(&*id));
    assert_eq!(call.header("x-aws-sqsd-queue"), Some(&*queue.name));
    assert_eq!(call.header("x-aws-sqsd-receive-count"), Some("1"));
    assert_eq!(call.header("x-aws-sqsd-attr-tenant"), Some("ada"));
    assert_eq!(call.header("idempotency-key"), Some(&*id));
    for name in ["x-aws-sqsd-first-received-at", "x-drumline-deadline"] {
        let text = call.header(name).unwrap_or_default();
        assert!(text.starts_with("20") && text.ends_with('Z'), "{name}: {text:?}");
    }
    assert_eq!(call.header("traceparent").unwrap_or_default().len(), 55);
    worker.stop().await;
}
