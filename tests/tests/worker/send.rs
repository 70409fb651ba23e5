//! `drumline send`.

use std::collections::HashSet;

use drumline_tests::{Finished, Launch, Proxy, Setup, TestQueue, localstack};
use serde_json::{Value, json};

fn send(queue_url: &str, args: &[&str]) -> Launch {
    let args: Vec<&str> = ["send", "--queue-url", queue_url].iter().chain(args).copied().collect();
    Launch::new(&args).env("AWS_ENDPOINT_URL", &localstack())
}

/// Returns every message of the queue by its ID, and deletes it.
async fn take_all(queue: &TestQueue) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    loop {
        let receive = queue.client.receive_message().queue_url(&queue.url).max_number_of_messages(10);
        let messages = receive.visibility_timeout(60).send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            return all;
        }
        let parsed = messages.into_iter().map(|message| {
            (message.message_id.unwrap(), serde_json::from_str(&message.body.unwrap()).unwrap())
        });
        all.extend(parsed);
    }
}

/// Expects that the IDs on standard output are those of the jobs in the queue's messages. Returns the messages.
async fn same_ids(queue: &TestQueue, finished: &Finished) -> Vec<Value> {
    let messages = take_all(queue).await;
    let told: HashSet<&str> = finished.stdout.iter().map(String::as_str).collect();
    let job_id = |(id, body): &(String, Value)| body["jobId"].as_str().unwrap_or(id).to_owned();
    let there: HashSet<String> = messages.iter().map(job_id).collect();
    let there: HashSet<&str> = there.iter().map(String::as_str).collect();
    assert_eq!(told, there, "{finished:?}");
    assert_eq!(finished.stdout.len(), messages.len());
    messages.into_iter().map(|(_, body)| body).collect()
}

fn lines(bodies: impl IntoIterator<Item = Value>) -> String {
    bodies.into_iter().map(|body| body.to_string()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn one_job_from_the_command_line() {
    let queue = TestQueue::create("send", Setup::default()).await;
    let args = ["--type", "crm.note", "--payload", r#"{"userId":7}"#, "--correlation-id", "order-1"];
    let finished = send(&queue.url, &args).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let bodies = same_ids(&queue, &finished).await;
    assert_eq!(bodies.len(), 1);
    let body = &bodies[0];
    assert_eq!((&body["type"], &body["payload"]), (&json!("crm.note"), &json!({ "userId": 7 })));
    assert_eq!((&body["schemaVersion"], &body["correlationId"]), (&json!(1), &json!("order-1")));
    assert!(body["jobId"].as_str().is_some_and(|id| id.len() == 26), "{body}");
    assert!(body["createdAt"].as_str().is_some_and(|time| time.ends_with('Z')), "{body}");
}

#[tokio::test]
async fn many_jobs_go_in_batches_of_ten() {
    let queue = TestQueue::create("many", Setup::default()).await;
    let proxy = Proxy::start(&localstack()).await;
    let jobs = (0..25).map(|n| json!({ "type": "a.b", "payload": n }));
    let finished =
        send(&queue.url, &[]).env("AWS_ENDPOINT_URL", &proxy.url()).input(lines(jobs)).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let batches = proxy.requests("SendMessageBatch");
    let sizes: Vec<usize> =
        batches.iter().map(|(_, batch)| batch["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [10, 10, 5]);
    let mut payloads: Vec<u64> =
        same_ids(&queue, &finished).await.iter().map(|b| b["payload"].as_u64().unwrap()).collect();
    payloads.sort_unstable();
    assert_eq!(payloads, (0..25).collect::<Vec<_>>());
    assert!(finished.errors().contains("25 sent, 0 not taken by SQS, 0 refused"), "{}", finished.errors());
}

#[tokio::test]
async fn a_refused_line_is_told_and_the_others_are_sent() {
    let queue = TestQueue::create("refused", Setup::default()).await;
    let input = "{\"type\":\"a.b\",\"payload\":1}\nnot JSON\n\n{\"type\":\"a.b\"}\n\
                 {\"type\":\"a.b\",\"payload\":{\"db\":\"redis://:hunter2@cache\"}}\n{\"type\":\"a.b\",\"payload\":2}";
    let finished = send(&queue.url, &[]).input(input).finish().await;
    assert_eq!(finished.status, Some(64), "{}", finished.errors());
    for words in ["line 2 is not sent", "line 4 is not sent", "line 5 is not sent", "payload.db"] {
        assert!(finished.errors().contains(words), "{words:?} in\n{}", finished.errors());
    }
    assert!(!finished.errors().contains("hunter2"), "a secret is not repeated");
    let payloads: HashSet<u64> =
        same_ids(&queue, &finished).await.iter().map(|body| body["payload"].as_u64().unwrap()).collect();
    assert_eq!(payloads, HashSet::from([1, 2]));
}

#[tokio::test]
async fn batches_are_packed_by_bytes_too() {
    let queue = TestQueue::create("large", Setup::default()).await;
    let proxy = Proxy::start(&localstack()).await;
    // Five of 300 KB: three fit into SQS's 1 MiB.
    let large = (0..5).map(|n| json!({ "type": "a.b", "payload": { "n": n, "text": "x".repeat(300_000) } }));
    let finished =
        send(&queue.url, &[]).env("AWS_ENDPOINT_URL", &proxy.url()).input(lines(large)).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let batches = proxy.requests("SendMessageBatch");
    let sizes: Vec<usize> =
        batches.iter().map(|(_, batch)| batch["Entries"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [3, 2]);
    assert_eq!(same_ids(&queue, &finished).await.len(), 5);
}

#[tokio::test]
async fn jobs_of_a_group_keep_their_order_on_a_fifo_queue() {
    let queue = TestQueue::create("send", Setup { fifo: true, ..Setup::default() }).await;
    let payloads = lines((0..12).map(Value::from));
    let finished = send(&queue.url, &["--type", "a.b", "--group", "g"]).input(payloads).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(finished.stdout.len(), 12);
    let receive = queue.client.receive_message().queue_url(&queue.url).max_number_of_messages(10);
    let first = receive.send().await.unwrap().messages.unwrap_or_default();
    let order: Vec<Value> = first
        .iter()
        .map(|message| serde_json::from_str::<Value>(message.body().unwrap()).unwrap()["payload"].clone())
        .collect();
    assert_eq!(order, (0..10).map(Value::from).collect::<Vec<_>>());

    let finished = send(&queue.url, &["--type", "a.b", "--payload", "1"]).finish().await;
    assert_eq!(finished.status, Some(64));
    assert!(finished.errors().contains("--group"), "{}", finished.errors());
}

#[tokio::test]
async fn a_missing_queue_and_a_missing_service_are_unavailable() {
    let args = ["--type", "a.b", "--payload", "1"];
    let url = format!("{}/000000000000/no-such-queue", localstack());
    let finished = send(&url, &args).finish().await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
    assert!(finished.errors().contains("does not exist"), "{}", finished.errors());
    assert!(finished.stdout.is_empty());
}

#[tokio::test]
async fn entries_that_sqs_does_not_take_at_first_are_sent_once() {
    use drumline_tests::Fault;
    let queue = TestQueue::create("again", Setup::default()).await;
    let proxy = Proxy::start(&localstack()).await;
    proxy.fail("SendMessageBatch", Fault::EntriesFail, 1);
    proxy.fail("SendMessageBatch", Fault::Throttled, 1);
    let jobs = (0..3).map(|n| json!({ "type": "a.b", "payload": n }));
    let finished =
        send(&queue.url, &[]).env("AWS_ENDPOINT_URL", &proxy.url()).input(lines(jobs)).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(proxy.count("SendMessageBatch"), 3);
    assert_eq!(same_ids(&queue, &finished).await.len(), 3);
}

#[tokio::test]
async fn a_csv_file_is_sent_with_groups_and_resumed() {
    let queue = TestQueue::create("csv", Setup { fifo: true, ..Setup::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.csv");
    let rows = (0..25).map(|n| format!("t{},{n}\r\n", n % 3)).collect::<Vec<_>>().concat();
    std::fs::write(&file, format!("tenant,order.id\r\n{rows}")).unwrap();
    let path = file.display().to_string();
    let args = [&*path, "--type", "no.handler", "--column", "group=tenant"];
    let state = folder.path().display().to_string();
    let finished = send(&queue.url, &args).env("XDG_STATE_HOME", &state).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(finished.errors().contains("25 sent, 0 not taken by SQS, 0 refused"), "{}", finished.errors());
    assert_eq!(finished.stdout.iter().collect::<HashSet<_>>().len(), 25);
    // The journal of a process that was killed after its first batch: SQS drops the others, which it already has.
    let journals = std::fs::read_dir(folder.path().join("drumline/send")).unwrap();
    let journal = journals.map(|entry| entry.unwrap().path()).next().unwrap();
    let text = std::fs::read_to_string(&journal).unwrap();
    let kept: Vec<&str> = text.lines().take(2).collect();
    std::fs::write(&journal, format!("{}\n", kept.join("\n"))).unwrap();
    let resumed =
        send(&queue.url, &[&args[..], &["--resume"]].concat()).env("XDG_STATE_HOME", &state).finish().await;
    assert_eq!(resumed.status, Some(0), "{}", resumed.errors());
    assert!(resumed.errors().contains("15 sent") && resumed.errors().contains("10 sent before"));
    assert_eq!(queue.counts().await.visible, 25, "{}", resumed.errors());
}
