//! `drumline dlq ls` and `show`: the letters of a DLQ with their reasons. The commands lose or move no letter, and leave none
//! hidden.

use std::collections::HashSet;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use drumline_tests::{
    Answer, App, Finished, Launch, Setup, TestQueue, Worker, eventually, get, localstack, status_of,
};
use serde_json::{Value, json};

const REASON: &str = "no such customer";

/// `drumline dlq ARGS…` beside a worker, if there is one.
fn dlq(args: &[&str], worker: Option<&Worker>) -> Launch {
    let args: Vec<&str> = ["dlq"].iter().chain(args).copied().collect();
    let launch = Launch::new(&args).env("AWS_ENDPOINT_URL", &localstack());
    match worker {
        Some(worker) => {
            let endpoint = worker.endpoint("");
            launch.env("DRUMLINE_HTTP_ADDR", endpoint.trim_start_matches("http://"))
        }
        None => launch,
    }
}

/// The letters of `ls --output json`.
async fn list(queue: &TestQueue, args: &[&str], worker: Option<&Worker>) -> Vec<Value> {
    let args = [&["ls", "--queue-url", &queue.url, "--output", "json"], args].concat();
    let finished = dlq(&args, worker).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    letters(&finished)
}

fn letters(finished: &Finished) -> Vec<Value> {
    finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn job(job_id: &str, job_type: &str) -> String {
    json!({ "jobId": job_id, "type": job_type, "payload": { "customer": 7 } }).to_string()
}

/// Returns a worker whose application rejects everything, and a queue whose jobs are dead letters.
async fn failed(
    name: &str,
    bodies: &[String],
    settings: &[(&str, &str)],
) -> (TestQueue, Worker, Vec<String>) {
    let queue = TestQueue::create(name, Setup::default()).await;
    let app = App::start(|_| async { Answer::status(422).body(REASON) }).await;
    let launch = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let worker = settings.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).spawn();
    let mut ids = Vec::new();
    for body in bodies {
        ids.push(queue.send(body).await);
    }
    eventually("all are in the DLQ", async || queue.dead_count().await as usize == bodies.len()).await;
    (queue, worker, ids)
}

/// Returns true if all of the DLQ's messages can be received.
async fn nothing_is_hidden(queue: &TestQueue, count: usize) {
    let request = queue.client.get_queue_attributes().queue_url(&queue.dead_letter_url);
    let reply = request.attribute_names(Name::All).send().await.unwrap();
    let attributes = reply.attributes.unwrap();
    let number = |name| attributes[&name].parse::<usize>().unwrap();
    let (visible, hidden) =
        (number(Name::ApproximateNumberOfMessages), number(Name::ApproximateNumberOfMessagesNotVisible));
    assert_eq!((visible, hidden), (count, 0));
}

async fn bury(queue: &TestQueue, body: &str) {
    let send = queue.client.send_message().queue_url(&queue.dead_letter_url).message_body(body);
    send.send().await.unwrap();
}

#[tokio::test]
async fn ls_shows_reasons_from_the_workers_memory_without_a_change() {
    let (queue, worker, ids) = failed("why", &[job("j-why", "email.send"), "no job".to_owned()], &[]).await;
    let letters = list(&queue, &[], Some(&worker)).await;
    assert_eq!(letters.len(), 2, "{letters:?}");
    let letter = letters.iter().find(|letter| letter["messageId"] == *ids[0]).unwrap();
    assert_eq!((&letter["jobId"], &letter["type"]), (&json!("j-why"), &json!("email.send")));
    assert_eq!((&letter["why"]["from"], &letter["why"]["class"]), (&json!("history"), &json!("rejected")));
    assert!(letter["why"]["reason"].as_str().unwrap().contains(REASON), "{letter}");
    assert!(letter["sentAt"].as_str().unwrap().ends_with('Z'), "{letter}");
    let raw = letters.iter().find(|letter| letter["messageId"] == *ids[1]).unwrap();
    assert_eq!((&raw["jobId"], &raw["why"]["from"]), (&json!(ids[1]), &json!("history")));
    nothing_is_hidden(&queue, 2).await;

    let again = list(&queue, &["--id", "j-why"], Some(&worker)).await;
    assert_eq!(again.len(), 1);
    let receives = |letter: &Value| letter["receives"].as_u64().unwrap();
    assert_eq!(receives(&again[0]), receives(letter) + 1, "a look is a receive");

    let finished = dlq(&["ls", "--queue-url", &queue.url], Some(&worker)).finish().await;
    let table = finished.stdout.join("\n");
    for words in ["j-why", &ids[0], "email.send", REASON] {
        assert!(table.contains(words), "{words:?} in\n{table}");
    }
    assert!(finished.errors().contains("looked at 2 messages"), "{}", finished.errors());
    assert!(finished.errors().contains("received once more"), "{}", finished.errors());
    worker.stop().await;
}

#[tokio::test]
async fn without_the_worker_ls_tells_what_it_can_and_why_no_more() {
    let (queue, worker, _) = failed("silent", &[job("j-silent", "a.b")], &[]).await;
    worker.stop().await;
    let finished = dlq(&["ls", "--queue-url", &queue.url, "--output", "json"], None)
        .env("DRUMLINE_HTTP_ADDR", &drumline_tests::free_address().to_string())
        .finish()
        .await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let letters = letters(&finished);
    assert_eq!(letters[0]["why"]["from"], "nothing");
    assert!(letters[0]["why"]["reason"].as_str().unwrap().starts_with("no history: received"), "{letters:?}");
    assert!(finished.errors().contains("no worker answers"), "{}", finished.errors());
}

#[tokio::test]
async fn a_copy_tells_its_reason_by_itself() {
    let settings = [("DRUMLINE_PERMANENT_FAILURES", "dead-letter")];
    let (queue, worker, ids) = failed("copies", &["no job".to_owned()], &settings).await;
    worker.stop().await;
    let letters = list(&queue, &[], None).await;
    assert_eq!(letters[0]["why"]["from"], "attribute");
    assert!(letters[0]["why"]["reason"].as_str().unwrap().contains(REASON), "{letters:?}");
    assert_eq!(letters[0]["jobId"], *ids[0], "its history goes under the original's id");
    assert_ne!(letters[0]["messageId"], *ids[0]);
}

#[tokio::test]
async fn filters_pick_and_tell_how_much_was_looked_at() {
    let bodies = [job("j-1", "email.send"), job("j-2", "image.process"), job("j-3", "email.send")];
    let (queue, worker, _) = failed("filters", &bodies, &[]).await;
    let ids = |letters: Vec<Value>| {
        letters.iter().map(|letter| letter["jobId"].as_str().unwrap().to_owned()).collect::<HashSet<_>>()
    };
    let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<HashSet<_>>();
    assert_eq!(ids(list(&queue, &["--type", "email.send"], Some(&worker)).await), set(&["j-1", "j-3"]));
    assert_eq!(ids(list(&queue, &["--reason", "NO SUCH"], Some(&worker)).await), set(&["j-1", "j-2", "j-3"]));
    assert!(list(&queue, &["--reason", "timeout"], Some(&worker)).await.is_empty());
    assert!(list(&queue, &["--older-than", "1h"], Some(&worker)).await.is_empty());
    let finished = dlq(&["ls", "--queue-url", &queue.url, "--id", "j-2"], Some(&worker)).finish().await;
    assert!(finished.errors().contains("looked at 3 messages") && finished.errors().contains("1 of them"));
    nothing_is_hidden(&queue, 3).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_long_list_shows_each_message_once_within_its_limit() {
    let queue = TestQueue::create("long", Setup::default()).await;
    for n in 0..25 {
        bury(&queue, &job(&format!("j-{n}"), "a.b")).await;
    }
    let letters = list(&queue, &[], None).await;
    let ids: HashSet<&str> = letters.iter().map(|letter| letter["jobId"].as_str().unwrap()).collect();
    assert_eq!((letters.len(), ids.len()), (25, 25));
    nothing_is_hidden(&queue, 25).await;

    let args = ["ls", "--dlq-url", &queue.dead_letter_url, "--limit", "12", "--output", "json"];
    let finished = dlq(&args, None).finish().await;
    assert_eq!((finished.status, finished.stdout.len()), (Some(0), 12), "{}", finished.errors());
    assert!(finished.errors().contains("13 more"), "{}", finished.errors());
    nothing_is_hidden(&queue, 25).await;
}

#[tokio::test]
async fn a_fifo_queue_is_looked_into_and_keeps_its_order() {
    let queue = TestQueue::create("ordered", Setup { fifo: true, ..Setup::default() }).await;
    for n in 0..3 {
        let send = queue.client.send_message().queue_url(&queue.dead_letter_url).message_group_id("g");
        send.message_body(job(&n.to_string(), "a.b"))
            .message_deduplication_id(n.to_string())
            .send()
            .await
            .unwrap();
    }
    for _ in 0..2 {
        let letters = list(&queue, &[], None).await;
        let ids: Vec<&Value> = letters.iter().map(|letter| &letter["jobId"]).collect();
        assert_eq!(ids, ["0", "1", "2"]);
        assert_eq!(letters[0]["group"], "g");
    }
    nothing_is_hidden(&queue, 3).await;
}

#[tokio::test]
async fn show_tells_everything_of_one_message() {
    let (queue, worker, ids) = failed("show", &[job("j-show", "email.send")], &[]).await;
    for id in ["j-show", &ids[0]] {
        let finished = dlq(&["show", id, "--queue-url", &queue.url], Some(&worker)).finish().await;
        assert_eq!(finished.status, Some(0), "{}", finished.errors());
        let text = finished.stdout.join("\n");
        for words in ["    \"customer\": 7", "FAILED ATTEMPTS", "rejected", REASON, "STATE     failed"] {
            assert!(text.contains(words), "{words:?} in\n{text}");
        }
    }
    let args = ["show", "j-show", "--queue-url", &queue.url, "--output", "json"];
    let finished = dlq(&args, Some(&worker)).finish().await;
    let letter = letters(&finished).remove(0);
    assert_eq!(letter["body"], job("j-show", "email.send"));
    assert_eq!(letter["history"]["attempts"][0]["class"], "rejected");
    nothing_is_hidden(&queue, 1).await;

    let finished = dlq(&["show", "j-other", "--queue-url", &queue.url], Some(&worker)).finish().await;
    assert_eq!(finished.status, Some(1), "{}", finished.errors());
    assert!(finished.errors().contains("among the 1 message"), "{}", finished.errors());
    worker.stop().await;
}

#[tokio::test]
async fn a_dlq_with_a_dlq_of_its_own_is_looked_into_by_force_only() {
    let queue = TestQueue::create("chain", Setup::default()).await;
    bury(&queue, &job("j-1", "a.b")).await;
    let ask = queue.client.get_queue_attributes().queue_url(&queue.url).attribute_names(Name::QueueArn);
    let arn = ask.send().await.unwrap().attributes.unwrap().remove(&Name::QueueArn).unwrap();
    let policy = json!({ "deadLetterTargetArn": arn, "maxReceiveCount": 100 });
    let set = queue.client.set_queue_attributes().queue_url(&queue.dead_letter_url);
    set.attributes(Name::RedrivePolicy, policy.to_string()).send().await.unwrap();
    let finished = dlq(&["ls", "--queue-url", &queue.url], None).finish().await;
    assert_eq!(finished.status, Some(64), "{}", finished.errors());
    assert!(finished.errors().contains("--force"), "{}", finished.errors());
    assert_eq!(list(&queue, &["--force"], None).await.len(), 1);
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let finished = dlq(&["ls"], None).finish().await;
    assert_eq!(finished.status, Some(64), "{}", finished.errors());
    assert!(finished.errors().contains("--dlq-url"), "{}", finished.errors());

    let bare = TestQueue::create("bare", Setup { max_receive_count: None, ..Setup::default() }).await;
    let finished = dlq(&["ls", "--queue-url", &bare.url], None).finish().await;
    assert_eq!(finished.status, Some(64), "{}", finished.errors());
    assert!(finished.errors().contains("no redrive policy"), "{}", finished.errors());

    let missing = format!("{}/000000000000/no-such-queue", localstack());
    let finished = dlq(&["ls", "--dlq-url", &missing], None).finish().await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());

    let queue = TestQueue::create("empty", Setup::default()).await;
    let finished = dlq(&["ls", "--queue-url", &queue.url], None).finish().await;
    assert_eq!((finished.status, finished.stdout.len()), (Some(0), 0), "{}", finished.errors());
    assert!(finished.errors().contains("is empty"), "{}", finished.errors());
}

#[tokio::test]
async fn the_endpoint_tells_a_jobs_history() {
    let (_queue, worker, _) = failed("endpoint", &[job("a/b c", "email.send")], &[]).await;
    let url = worker.endpoint("/jobs/a%2Fb%20c");
    eventually("its verdict is there", async || {
        get(&url).await.is_some_and(|(_, body)| body.contains("\"state\":\"failed\""))
    })
    .await;
    assert_eq!(status_of(&worker.endpoint("/jobs/nobody")).await, Some(404));
    // A job that has ended has one event.
    let (status, events) = get(&worker.endpoint("/jobs/a%2Fb%20c/events")).await.unwrap();
    assert_eq!((status, events.matches("event: job").count()), (200, 1), "{events}");
    worker.stop().await;
}
