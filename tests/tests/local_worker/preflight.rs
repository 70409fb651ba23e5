//! `drumline config --check`: a verdict on each requirement of a worker, without touching a message.

use std::collections::BTreeMap;

use drumline_tests::{App, Fault, Finished, Launch, LocalQueue, Proxy, Setup, free_address};
use serde_json::Value;

const UNAVAILABLE: i32 = 69;

async fn queue(max_receive_count: Option<u32>) -> LocalQueue {
    LocalQueue::create(Setup { max_receive_count, visibility_secs: 30, ..Setup::default() }).await
}

fn check(queue: &LocalQueue, endpoint: &str) -> Launch {
    Launch::new(&["config", "--check", "--output", "json"])
        .env("DRUMLINE_QUEUE_URL", &queue.url)
        .env("AWS_ENDPOINT_URL", endpoint)
}

/// The verdicts by check, and the details.
fn verdicts(finished: &Finished) -> BTreeMap<String, (String, String)> {
    let row = |line: &String| {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        (text("check"), (text("verdict"), text("detail")))
    };
    finished.stdout.iter().map(row).collect()
}

#[tokio::test]
async fn a_sound_configuration_passes_and_touches_no_message() {
    let (queue, app) = (queue(Some(5)).await, App::always_ok().await);
    let id = queue.send("waits");
    let launch = check(&queue, &queue.endpoint_url()).env("DRUMLINE_FORWARD_TO", &app.url());
    let finished = launch.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let verdicts = verdicts(&finished);
    for (name, verdict) in [
        ("store", "ok"),
        ("forward_to", "ok"),
        ("endpoint", "ok"),
        ("region", "ok"),
        ("credentials", "ok"),
        ("queue", "ok"),
        ("dead_letter_queue", "ok"),
        ("sqs:DeleteMessage", "ok"),
        ("sqs:ChangeMessageVisibility", "ok"),
        ("sqs:ReceiveMessage", "not_checked"),
    ] {
        assert_eq!(verdicts[name].0, verdict, "{name}: {}", verdicts[name].1);
    }
    assert!(queue.hidden_for(&id).is_zero() && app.calls().is_empty(), "its message was not touched");
}

#[tokio::test]
async fn each_thing_that_is_missing_is_named() {
    let table = [
        ("DeleteMessage", Fault::Denied, "sqs:DeleteMessage", "failed", Some(UNAVAILABLE)),
        (
            "ChangeMessageVisibility",
            Fault::Denied,
            "sqs:ChangeMessageVisibility",
            "failed",
            Some(UNAVAILABLE),
        ),
        ("GetQueueAttributes", Fault::Denied, "sqs:GetQueueAttributes", "warning", Some(0)),
        ("GetQueueUrl", Fault::Denied, "dead_letter_queue", "warning", Some(0)),
    ];
    let queue = queue(Some(5)).await;
    for (action, fault, name, verdict, status) in table {
        let proxy = Proxy::start(&queue.endpoint_url()).await;
        proxy.fail_always(action, fault);
        let finished = check(&queue, &proxy.url()).finish().await;
        let verdicts = verdicts(&finished);
        let found = verdicts.get(name).unwrap_or_else(|| panic!("{name} in {verdicts:?}"));
        assert!(found.0 == verdict && found.1.contains("AccessDenied"), "{name}: {found:?}");
        assert_eq!(finished.status, status, "{name}: {}", finished.errors());
    }
}

#[tokio::test]
async fn a_program_without_anything_to_run_fails() {
    let queue = queue(Some(5)).await;
    let finished = check(&queue, &queue.endpoint_url()).without("DRUMLINE_SAMPLE_JOBS").finish().await;
    let verdicts = verdicts(&finished);
    let (verdict, detail) = &verdicts["handlers"];
    assert!(verdict == "failed" && detail.contains("DRUMLINE_FORWARD_TO"), "{detail}");
    assert_eq!(finished.status, Some(UNAVAILABLE));
}

#[tokio::test]
async fn a_queue_that_is_missing_or_out_of_reach_fails() {
    let queue = queue(Some(5)).await;
    let missing = check(&queue, &queue.endpoint_url())
        .env("DRUMLINE_QUEUE_URL", &queue.url.replace("/jobs", "/others"))
        .finish()
        .await;
    let unreachable = check(&queue, &format!("http://{}", free_address())).finish().await;
    for (finished, words) in [(missing, "NonExistentQueue"), (unreachable, "refused")] {
        let verdicts = verdicts(&finished);
        assert!(verdicts["queue"].0 == "failed" && verdicts["queue"].1.contains(words), "{verdicts:?}");
        assert_eq!(finished.status, Some(UNAVAILABLE), "{}", finished.errors());
    }
}

#[tokio::test]
async fn a_missing_application_and_a_queue_without_a_dlq_are_named() {
    let queue = queue(None).await;
    let launch = check(&queue, &queue.endpoint_url())
        .env("DRUMLINE_FORWARD_TO", &format!("http://user:s3cret@{}/", free_address()));
    let finished = launch.finish().await;
    let verdicts = verdicts(&finished);
    let (verdict, detail) = &verdicts["forward_to"];
    assert!(verdict == "warning" && detail.contains("refused") && !detail.contains("s3cret"), "{detail}");
    assert_eq!(verdicts["dead_letter_queue"].0, "failed");
    assert_eq!(finished.status, Some(UNAVAILABLE));
}
