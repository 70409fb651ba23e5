//! The refusals of `drumline dlq replay`, and its texts when it cannot work: no letter is lost then.

use std::path::Path;
use std::time::Duration;

use drumline_queue::MessageState;
use drumline_queue::api::SendMessage;
use drumline_tests::{Answer, App, Fault, Finished, Launch, LocalQueue, Proxy, Setup};
use serde_json::json;

use super::dlq_replay::{bury, hold_some, replay, result, with_worker};

async fn buried(letters: usize) -> LocalQueue {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    for n in 0..letters {
        queue.send(&json!({ "jobId": format!("j-{n}"), "type": "mail.test", "payload": n }).to_string());
    }
    bury(&queue).await;
    queue
}

/// Returns the same command behind a proxy.
fn behind(proxy: &Proxy, queue: &LocalQueue, folder: &Path, args: &[&str]) -> Launch {
    let url = queue.url.replace(&queue.endpoint_url(), &proxy.url());
    replay(queue, folder, args).env("DRUMLINE_QUEUE_URL", &url).env("AWS_ENDPOINT_URL", &proxy.url())
}

/// Returns true if all letters can be received.
fn are_visible(queue: &LocalQueue, count: usize) -> bool {
    let dead = queue.dead();
    dead.len() == count && dead.iter().all(|letter| matches!(letter.state, MessageState::Visible))
}

fn assert_ends(finished: &Finished, status: i32, says: &str) {
    assert_eq!(finished.status, Some(status), "{}", finished.errors());
    assert!(finished.errors().contains(says), "{says:?} in {}", finished.errors());
}

#[tokio::test]
async fn each_missing_permission_is_named_before_anything_is_lost() {
    let queue = buried(12).await;
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let actions = [
        "GetQueueAttributes",
        "ListDeadLetterSourceQueues",
        "ReceiveMessage",
        "DeleteMessageBatch",
        "SendMessageBatch",
    ];
    for action in actions {
        proxy.fail_always(action, Fault::Denied);
        let finished = behind(&proxy, &queue, folder.path(), &["--yes"]).finish().await;
        proxy.heal(action);
        assert_ends(&finished, 69, action.trim_end_matches("Batch"));
        assert_eq!(queue.count(), 0, "{action}: nothing is sent");
        assert!(are_visible(&queue, 12), "{action}: {}", finished.errors());
    }
}

#[tokio::test]
async fn a_replay_stops_if_its_filters_histories_are_lost() {
    let queue = buried(60).await;
    let folder = tempfile::tempdir().unwrap();
    let asked = std::sync::atomic::AtomicUsize::new(0);
    // A worker that knows none of the jobs, and fails later.
    let worker = App::start(move |_| {
        let is_over = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 20;
        async move {
            if is_over { Answer::status(500) } else { Answer::status(404).body(r#"{"error":"unknown"}"#) }
        }
    })
    .await;
    let addr = worker.root().replace("http://", "");
    let args = ["--yes", "--no-check", "--reason", "no history", "--name", "silent"];
    let finished = replay(&queue, folder.path(), &args).env("DRUMLINE_HTTP_ADDR", &addr).finish().await;
    assert_ends(&finished, 69, "the histories that the filter needs cannot be read any more");
    let rest = queue.dead().len();
    assert!(rest > 0 && queue.count() + rest == 60 && are_visible(&queue, rest), "{}", finished.errors());
    // A type that each letter names needs no history.
    let args = ["--yes", "--no-check", "--type", "mail.test", "--name", "named"];
    let finished = replay(&queue, folder.path(), &args).env("DRUMLINE_HTTP_ADDR", &addr).finish().await;
    assert_eq!((finished.status, queue.count()), (Some(0), 60), "{}", finished.errors());
}

#[tokio::test]
async fn a_lost_answer_leaves_the_letter_to_the_resumed_replay() {
    let queue = buried(5).await;
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail("SendMessageBatch", Fault::EntriesFail, 5);
    let finished = behind(&proxy, &queue, folder.path(), &["--yes", "--name", "lost"]).finish().await;
    assert_ends(&finished, 1, "SQS did not take it");
    assert_eq!(result(&finished)["left"], json!({ "send_failed": 5 - queue.count() }));
    assert_eq!(queue.count() + queue.dead().len(), 5);
    let finished = behind(&proxy, &queue, folder.path(), &["--resume", "lost"]).finish().await;
    assert_eq!((finished.status, queue.count()), (Some(0), 5), "{}", finished.errors());
    assert_eq!(queue.dead().len(), 0);
}

#[tokio::test]
async fn a_resume_at_its_limit_deletes_letters_already_sent() {
    let queue = buried(8).await;
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail_always("DeleteMessageBatch", Fault::EntriesFail);
    let args = ["--yes", "--name", "limit", "--limit", "2"];
    let finished = behind(&proxy, &queue, folder.path(), &args).finish().await;
    assert_eq!((finished.status, queue.count()), (Some(69), 2), "{}", finished.errors());
    proxy.heal("DeleteMessageBatch");
    // As long after it: the receipts are no longer valid.
    let path = folder.path().join("drumline/dlq/limit.journal");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut parts = text.split("\"until\":");
    let mut ended = parts.next().unwrap().to_owned();
    for part in parts {
        ended += "\"until\":1";
        ended += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    std::fs::write(&path, ended).unwrap();

    hold_some(&queue, queue.dead_letter_url()).await;
    let resume = ["--resume", "limit"];
    let finished = behind(&proxy, &queue, folder.path(), &resume).finish().await;
    assert_ends(&finished, 1, "may be hidden");
    assert_eq!(queue.dead().len(), 8);
    queue.endpoint().advance(Duration::from_secs(60));
    let finished = behind(&proxy, &queue, folder.path(), &resume).finish().await;
    assert_eq!((finished.status, queue.count()), (Some(0), 2), "{}", finished.errors());
    assert!(are_visible(&queue, 6), "{}", finished.errors());
}

#[tokio::test]
async fn refused_letters_leave_their_canary_places_to_others() {
    let (queue, worker, addr) = with_worker(30, 200).await;
    let folder = tempfile::tempdir().unwrap();
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail("SendMessageBatch", Fault::EntriesFail, 5);
    let args = ["--yes", "--no-check", "--canary", "5"];
    let finished =
        behind(&proxy, &queue, folder.path(), &args).env("DRUMLINE_HTTP_ADDR", &addr).finish().await;
    assert_ends(&finished, 1, "of the first 5 letters 5 are done");
    let left = queue.dead().len();
    assert!((1..=5).contains(&left), "{}", finished.errors());
    assert_eq!(result(&finished)["left"], json!({ "send_failed": left }));
    worker.stop().await;
}

#[tokio::test]
async fn letters_are_sent_only_to_sources_of_their_dlq_or_by_name() {
    let queue = buried(1).await;
    let dlq = queue.url.replace("/jobs", "/jobs-dlq");
    let other = queue.endpoint().create_queue("other", &[]).unwrap();
    let attributes = [(
        "DrumlineSourceQueue".to_owned(),
        drumline_queue::api::MessageAttributeValue {
            data_type: "String".into(),
            string_value: Some("other".into()),
            ..Default::default()
        },
    )];
    let request = SendMessage {
        queue_url: dlq.clone(),
        message_body: r#"{"type":"mail.test","payload":"claims"}"#.to_owned(),
        message_attributes: attributes.into_iter().collect(),
        ..SendMessage::default()
    };
    queue.endpoint().call(|sqs, now| sqs.send_message(now, request)).unwrap();
    queue.endpoint().send(&dlq, r#"{"type":"mail.test","payload":"by hand"}"#).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let finished = replay(&queue, folder.path(), &["--yes"]).finish().await;
    assert_ends(&finished, 1, "other is no source of this DLQ");
    assert!(finished.errors().contains("name a queue by --to"), "{}", finished.errors());
    assert_eq!(result(&finished)["left"], json!({ "origin": 2 }));
    assert_eq!((queue.count(), queue.dead().len()), (1, 2));

    let finished = replay(&queue, folder.path(), &["--expect", "2", "--name", "none"]).finish().await;
    assert_ends(&finished, 64, "--to names one");

    for (to, says) in [(&*dlq, "the DLQ itself"), ("other.fifo", "FIFO")] {
        queue.endpoint().create_queue("other.fifo", &[("FifoQueue", "true")]).unwrap();
        let finished = replay(&queue, folder.path(), &["--yes", "--to", to]).finish().await;
        assert_ends(&finished, 64, says);
    }
    let finished = replay(&queue, folder.path(), &["--yes", "--to", &other, "--name", "to"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!((queue.dead().len(), queue.endpoint().peek(&other).unwrap().len()), (0, 2));
}

#[tokio::test]
async fn a_queue_without_a_dlq_and_a_dlq_with_its_own_are_refused() {
    let queue = LocalQueue::create(Setup { max_receive_count: None, ..Setup::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let finished = replay(&queue, folder.path(), &["--yes"]).finish().await;
    assert_ends(&finished, 64, "has no DLQ");

    let queue = buried(2).await;
    let last = queue.endpoint().create_queue("last-dlq", &[]).unwrap();
    let arn = queue.arn.replace(":jobs", ":last-dlq");
    let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":100}}"#);
    let chained = queue.endpoint().create_queue("chained-dlq", &[("RedrivePolicy", &policy)]).unwrap();
    let finished = replay(&queue, folder.path(), &["--yes", "--dlq-url", &chained]).finish().await;
    assert_ends(&finished, 64, "--force");
    assert!(queue.endpoint().peek(&last).unwrap().is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn a_full_disk_stops_it_before_the_send() {
    let queue = buried(60).await;
    let folder = tempfile::tempdir().unwrap();
    let script = r#"trap '' XFSZ; ulimit -f 4; exec "$0" "$@""#;
    let finished = replay(&queue, folder.path(), &["--yes", "--name", "full"]).shell(script).finish().await;
    assert_ends(&finished, 1, "File too large");
    assert_eq!(queue.count() + queue.dead().len(), 60, "each letter is in one queue: {}", finished.errors());
    assert!(!queue.dead().is_empty());
    let rest = queue.dead().len();
    assert!(are_visible(&queue, rest), "{}", finished.errors());
    let finished = replay(&queue, folder.path(), &["--resume", "full"]).finish().await;
    assert_eq!((finished.status, queue.count()), (Some(0), 60), "{}", finished.errors());
}

#[tokio::test]
async fn operators_without_a_shared_store_share_letters_not_journals() {
    let queue = buried(200).await;
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = replay(&queue, folder.path(), &["--yes", "--name", "one", "--rate", "400/s"]).spawn();
    drumline_tests::eventually("it sends", async || queue.count() > 0).await;
    let same = replay(&queue, folder.path(), &["--resume", "one"]).finish().await;
    assert_ends(&same, 64, "another process runs this action");
    let two = replay(&queue, folder.path(), &["--yes", "--name", "two"]).finish().await;
    assert_ends(&two, 1, "the replay one of");
    let two = replay(&queue, other.path(), &["--yes", "--name", "two"]).finish().await;
    let one = one.finish().await;
    assert_eq!((one.status, two.status), (Some(0), Some(0)), "{}\n{}", one.errors(), two.errors());
    assert_eq!((queue.count(), queue.dead().len()), (200, 0), "each letter is sent once");
}

#[tokio::test]
async fn a_journal_that_is_none_or_of_another_name_is_refused() {
    let queue = buried(1).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.journal");
    std::fs::write(&path, "{}\n").unwrap();
    let path = path.display().to_string();
    let table: [(&[&str], &str); 4] = [
        (&["--resume", &path], "is no journal"),
        (&["--resume", "never"], "no such action was begun here"),
        (&["--resume", "never", "--type", "a.b"], "from its journal"),
        (&["--yes", "--name", "../x"], "letters, digits"),
    ];
    for (args, says) in table {
        assert_ends(&replay(&queue, folder.path(), args).finish().await, 64, says);
    }
    assert_eq!(queue.dead().len(), 1);
}
