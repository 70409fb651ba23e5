//! Any content of a message results in an outcome and never in a crash.

use drumline_tests::{App, Counts, Launch, PATIENCE, Proxy, Setup, TestQueue, eventually, localstack};
use serde_json::{Value, json};

/// The longest message that SQS accepts.
const LONGEST: usize = 1_048_576;

/// Returns a worker with the jobs of the binary itself.
fn typed(queue: &TestQueue) -> Launch {
    let launch = Launch::run(queue);
    let (root, outbox) = (launch.home().join("data").display().to_string(), launch.home().join("outbox"));
    launch.env("DRUMLINE_FILE_ROOT", &root).env("DRUMLINE_MAIL_OUTBOX", &outbox.display().to_string())
}

#[tokio::test]
async fn bodies_that_are_no_jobs_go_to_the_dlq_and_the_worker_goes_on() {
    let queue = TestQueue::create("bad", Setup { max_receive_count: Some(2), ..Setup::default() }).await;
    let job = |payload: Value| json!({ "type": "image.process", "payload": payload }).to_string();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let bodies = [
        "{".to_owned(),
        "null".to_owned(),
        "plain text".to_owned(),
        "a\ttab,\r\nlines, and \u{FFFD} \u{10FFFF} \u{85}".to_owned(),
        "{}".to_owned(),
        r#"{"type":"","payload":1}"#.to_owned(),
        r#"{"type":7,"payload":1}"#.to_owned(),
        r#"{"type":"image.process","schemaVersion":-1,"payload":{}}"#.to_owned(),
        r#"{"type":"image.process","payload":"\u0000\u0007\ud800"}"#.to_owned(),
        format!(r#"{{"type":"image.process","payload":{deep}}}"#),
        deep,
        job(json!({ "source": 42 })),
        job(json!({ "source": "file:///etc/passwd", "outputs": [] })),
        "x".repeat(LONGEST),
    ];
    let mut ids = Vec::new();
    for body in &bodies {
        ids.push(queue.send(body).await);
    }
    let worker = typed(&queue).spawn();
    eventually("all are in the DLQ", async || queue.dead_count().await as usize == bodies.len()).await;
    assert!(queue.is_empty().await);
    let failures = worker.logged("failed for good");
    assert_eq!(failures.len(), bodies.len(), "each reported once, with a reason: {failures:?}");
    assert!(failures.iter().all(|entry| !entry["reason"].as_str().unwrap().is_empty()), "{failures:?}");
    assert!(failures.iter().all(|entry| entry.to_string().len() < 4096), "bodies are not logged");

    let mut dead: Vec<(String, String)> = queue
        .take_dead()
        .await
        .into_iter()
        .map(|message| (message.message_id.unwrap(), message.body.unwrap()))
        .collect();
    let mut sent: Vec<_> = ids.into_iter().zip(bodies).collect();
    dead.sort();
    sent.sort();
    assert!(dead == sent, "the originals, unchanged");
    worker.stop().await;
}

#[tokio::test]
async fn the_longest_message_is_forwarded_whole() {
    let queue = TestQueue::create("long", Setup::default()).await;
    let app = App::always_ok().await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let body = format!("{}€", "x".repeat(LONGEST - 3));
    queue.send(&body).await;
    eventually("it is done", async || app.count() == 1 && queue.is_empty().await).await;
    assert!(app.calls()[0].body == body);
    worker.stop().await;
}

#[tokio::test]
async fn an_unknown_type_is_retried_or_rejected_by_the_settings() {
    let unknown = r#"{"type":"some.thing","payload":{}}"#;
    let newer = r#"{"type":"email.send","schemaVersion":99,"payload":{}}"#;
    let queue = TestQueue::create("unknown", Setup { max_receive_count: Some(20), ..Setup::default() }).await;
    queue.send(unknown).await;
    queue.send(newer).await;
    let worker = typed(&queue).env("DRUMLINE_RETRY", "schedule(1s)").spawn();
    let entries = worker.until_logged("failed, trying again later", 4).await;
    let said = |words: &str| entries.iter().any(|entry| entry["reason"].as_str().unwrap().contains(words));
    assert!(said("some.thing") && said("version 99"), "{entries:?}");
    assert!(entries.iter().all(|entry| entry["class"] == "no_handler"), "{entries:?}");
    worker.stop().await;
    let Counts { visible, in_flight, delayed } = queue.counts().await;
    assert_eq!((visible + in_flight + delayed, queue.dead_count().await), (2, 0), "a deploy may know them");

    let worker = typed(&queue).env("DRUMLINE_UNKNOWN_TYPE", "reject").spawn();
    eventually("both are in the DLQ", async || queue.dead_count().await == 2).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_message_received_very_often_is_run_all_the_same() {
    let queue = TestQueue::create("often", Setup { max_receive_count: Some(1000), ..Setup::default() }).await;
    let id = queue.send("{}").await;
    for _ in 0..60 {
        assert_eq!(queue.peek().await.len(), 1);
    }
    let app = App::always_ok().await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("it is done", async || app.count() == 1 && queue.is_empty().await).await;
    assert_eq!(app.calls()[0].receive_count, 61);
    let isolated = worker.logged(
        "suspect: earlier runs have no known ending, so it waits for its turn in case it kills the process",
    );
    assert_eq!(isolated[0]["message_id"], *id);
    worker.stop().await;
}

async fn proxied(queue: &TestQueue, app: &App) -> (Proxy, Launch) {
    let proxy = Proxy::start(&localstack()).await;
    let launch =
        Launch::run(queue).env("AWS_ENDPOINT_URL", &proxy.url()).env("DRUMLINE_FORWARD_TO", &app.url());
    (proxy, launch)
}

#[tokio::test]
async fn a_message_that_one_answer_holds_twice_runs_once() {
    let queue = TestQueue::create("twice", Setup::default()).await;
    let app = App::always_ok().await;
    let (proxy, launch) = proxied(&queue, &app).await;
    proxy.rewrite("ReceiveMessage", |answer| {
        if let Some(messages) = answer["Messages"].as_array_mut() {
            let twice: Vec<Value> =
                messages.iter().flat_map(|message| [message.clone(), message.clone()]).collect();
            *messages = twice;
        }
    });
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(queue.send("{}").await);
    }
    let worker = launch.spawn();
    eventually("all are done", async || app.count() >= 3 && queue.is_empty().await).await;
    let finished = worker.stop().await;
    let mut ran = app.ids();
    ran.sort();
    ids.sort();
    assert_eq!(ran, ids);
    assert!(finished.logged("a call failed, trying again").is_empty(), "{}", finished.errors());
}

#[tokio::test]
async fn a_message_without_any_attribute_is_still_a_job() {
    let queue = TestQueue::create("bare", Setup::default()).await;
    let app = App::always_ok().await;
    let (proxy, launch) = proxied(&queue, &app).await;
    proxy.rewrite("ReceiveMessage", |answer| {
        for message in answer["Messages"].as_array_mut().into_iter().flatten() {
            let fields = message.as_object_mut().unwrap();
            fields.retain(|name, _| ["MessageId", "ReceiptHandle", "Body"].contains(&name.as_str()));
        }
    });
    let id = queue.send("{}").await;
    let worker = launch.spawn();
    eventually("it is done", async || app.count() == 1 && queue.is_empty().await).await;
    assert_eq!(app.ids(), [id]);
    worker.stop().await;
}

#[tokio::test]
async fn responses_without_messages_are_empty_receives() {
    let queue = TestQueue::create("empty", Setup::default()).await;
    let app = App::always_ok().await;
    let (proxy, launch) = proxied(&queue, &app).await;
    proxy.rewrite("ReceiveMessage", |answer| {
        if answer["Messages"].as_array().is_none_or(Vec::is_empty) {
            *answer = json!({ "Messages": [] });
        }
    });
    let worker = launch.spawn();
    let empty = async || worker.metric("drumline_empty_receives_total").await;
    eventually("an empty list is taken for empty", async || empty().await >= 1).await;
    let before = empty().await;
    proxy.rewrite("ReceiveMessage", |answer| {
        if answer["Messages"].as_array().is_none_or(Vec::is_empty) {
            *answer = json!({});
        }
    });
    eventually("no list is taken for empty", async || empty().await >= before + 2).await;
    let id = queue.send("{}").await;
    eventually("a job is done in spite of this", async || app.count() == 1 && queue.is_empty().await).await;
    assert_eq!(app.ids(), [id]);
    let receives = proxy.count("ReceiveMessage");
    assert!(receives < 60, "empty answers are waited for: {receives} receives in less than {PATIENCE:?}");
    worker.stop().await;
}
