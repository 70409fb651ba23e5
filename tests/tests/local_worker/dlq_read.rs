//! `drumline dlq ls` and `stats` on a DLQ of any size: each letter is seen once, and none stays hidden.

use std::collections::HashSet;

use drumline_queue::MessageState;
use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_tests::{Finished, Launch, LocalQueue, Setup};
use serde_json::{Value, json};

/// `drumline dlq ARGS…` on the DLQ of this queue.
fn dlq(queue: &LocalQueue, args: &[&str]) -> Launch {
    let args: Vec<&str> = ["dlq"].iter().chain(args).copied().collect();
    let launch = Launch::new(&args).env("DRUMLINE_QUEUE_URL", &queue.url);
    launch.env("AWS_ENDPOINT_URL", &queue.endpoint_url())
}

fn lines(finished: &Finished) -> Vec<Value> {
    finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn letter(n: usize) -> SendMessage {
    let body = json!({ "type": "email.send", "jobId": format!("j-{n}"), "payload": {} }).to_string();
    SendMessage { message_body: body, ..SendMessage::default() }
}

async fn dead(letters: usize) -> LocalQueue {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    queue.bury((0..letters).map(letter));
    queue
}

fn expect_all_visible(queue: &LocalQueue, letters: usize) {
    let dead = queue.dead();
    assert_eq!(dead.len(), letters);
    let hidden = dead.iter().filter(|letter| letter.state != MessageState::Visible).count();
    assert_eq!(hidden, 0, "of {letters}");
}

#[tokio::test]
async fn more_letters_than_may_be_in_flight_are_seen_in_rounds() {
    let queue = dead(1_200).await;
    queue.endpoint().call(|sqs, _| sqs.limit_in_flight(500));
    let finished = dlq(&queue, &["ls", "--limit", "100000", "--output", "json"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let jobs: Vec<Value> = lines(&finished).into_iter().map(|mut line| line["jobId"].take()).collect();
    let unique: HashSet<&str> = jobs.iter().filter_map(Value::as_str).collect();
    assert_eq!((jobs.len(), unique.len()), (1_200, 1_200), "{}", finished.errors());
    assert!(finished.errors().contains("looked at 1200 messages"), "{}", finished.errors());
    expect_all_visible(&queue, 1_200);
}

#[tokio::test]
async fn a_limit_is_kept_and_the_rest_is_counted() {
    let queue = dead(20).await;
    let finished = dlq(&queue, &["ls", "--limit", "7", "--output", "json"]).finish().await;
    assert_eq!((finished.status, finished.stdout.len()), (Some(0), 7), "{}", finished.errors());
    assert!(finished.errors().contains("13 more"), "{}", finished.errors());
    expect_all_visible(&queue, 20);
}

/// Returns a letter with its reason, like a worker's copy.
fn rejected(job_type: &str, reason: &str) -> SendMessage {
    let attribute = MessageAttributeValue::string(reason);
    SendMessage {
        message_body: json!({ "type": job_type, "payload": {} }).to_string(),
        message_attributes: [("DrumlineReason".into(), attribute)].into(),
        ..SendMessage::default()
    }
}

/// A DLQ of 30 letters of two types and three reasons.
async fn three_reasons() -> LocalQueue {
    let queue = dead(0).await;
    let users = (0..20).map(|n| rejected("email.send", &format!("no user {n}")));
    let timeouts = (0..7).map(|n| rejected("email.send", &format!("timed out after {n}.25s")));
    let images = (0..3).map(|_| rejected("image.process", "no user 7"));
    queue.bury(users.chain(timeouts).chain(images));
    queue
}

#[tokio::test]
async fn stats_counts_what_died_of_the_same() {
    let queue = three_reasons().await;
    let finished = dlq(&queue, &["stats", "--output", "json"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let rows = lines(&finished);
    let row = |row: &Value| (row["count"].clone(), row["type"].clone(), row["reason"].clone());
    let expected = [
        (json!(20), json!("email.send"), json!("no user <n>")),
        (json!(7), json!("email.send"), json!("timed out after <n>")),
        (json!(3), json!("image.process"), json!("no user <n>")),
    ];
    assert_eq!(rows.iter().map(row).collect::<Vec<_>>(), expected);
    assert_eq!(rows[0]["fingerprint"], rows[2]["fingerprint"]);
    assert_eq!((&rows[0]["origin"], &rows[0]["isSample"]), (&json!(queue.arn), &json!(false)));
    assert_eq!(rows[0]["example"]["reason"], "no user 0");
    assert!(rows[0]["firstSentAt"].as_str().unwrap().ends_with('Z'), "{}", rows[0]);
    expect_all_visible(&queue, 30);

    let fingerprint = rows[1]["fingerprint"].as_str().unwrap();
    let args = ["stats", "--fingerprint", &fingerprint[..6], "--by", "type", "--output", "json"];
    let rows = lines(&dlq(&queue, &args).finish().await);
    assert_eq!((rows.len(), &rows[0]["count"], &rows[0]["reason"]), (1, &json!(7), &Value::Null));
    let listed = dlq(&queue, &["ls", "--fingerprint", fingerprint, "--output", "json"]).finish().await;
    assert_eq!(listed.stdout.len(), 7, "{}", listed.errors());

    let piped = dlq(&queue, &["stats"]).finish().await;
    let cells: Vec<&str> = piped.stdout[0].split('\t').collect();
    assert_eq!((cells.len(), cells[0], cells[1], cells[8]), (9, "20", "jobs", "no user <n>"), "{cells:?}");
    expect_all_visible(&queue, 30);
}

#[tokio::test]
async fn stats_says_that_a_part_is_a_sample() {
    let queue = three_reasons().await;
    let finished = dlq(&queue, &["stats", "--limit", "12", "--output", "json"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let rows = lines(&finished);
    assert_eq!(rows.iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>(), 12);
    assert_eq!(rows[0]["isSample"], true);
    assert!(finished.errors().contains("a sample: 12 of about 30 letters"), "{}", finished.errors());
    expect_all_visible(&queue, 30);
}
