//! `drumline dlq replay --from`: exported and deleted letters return to their queues to the byte.

use std::collections::BTreeMap;

use drumline_queue::PeekedMessage;
use drumline_queue::api::{MessageAttributeValue, SendMessage};
use drumline_tests::{Launch, LocalQueue, Setup, eventually};
use serde_json::json;

use super::dlq_replay::{bury, replay, result};

/// Returns a message with attributes of each kind, and a body whose bytes JSON would write differently.
fn message(n: usize) -> SendMessage {
    let attributes = [
        (
            "count",
            MessageAttributeValue {
                data_type: "Number.custom".into(),
                ..MessageAttributeValue::number("7.0")
            },
        ),
        ("sum", MessageAttributeValue::binary([0, 1, 255, u8::try_from(n % 256).unwrap()])),
        ("tenant", MessageAttributeValue::string("acme")),
    ];
    SendMessage {
        message_attributes: attributes.map(|(name, value)| (name.to_owned(), value)).into(),
        message_body: format!(
            "{{ \"type\":\"mail.test\", \"payload\": {{\"n\":{n},\"x\":1.0,\"ü\":\"\\u00e4\"}} }}\n"
        ),
        ..SendMessage::default()
    }
}

async fn buried(letters: usize) -> (LocalQueue, BTreeMap<String, PeekedMessage>) {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    for n in 0..letters {
        let request = message(n);
        queue.send_with(&request.message_body.clone(), request);
    }
    let before = queue.endpoint().peek(&queue.url).unwrap();
    bury(&queue).await;
    (queue, before.into_iter().map(|message| (message.body.to_string(), message)).collect())
}

fn dlq(queue: &LocalQueue, folder: &std::path::Path, args: &[&str]) -> Launch {
    Launch::new(&[&["dlq"], args].concat())
        .env("DRUMLINE_QUEUE_URL", &queue.url)
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
        .env("XDG_STATE_HOME", &folder.display().to_string())
}

#[tokio::test]
async fn exported_and_deleted_letters_go_back_to_the_byte() {
    let (queue, before) = buried(25).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.jsonl").display().to_string();
    let exported = dlq(&queue, folder.path(), &["export", &file, "--delete"]).finish().await;
    assert_eq!(exported.status, Some(0), "{}", exported.errors());
    assert_eq!((queue.count(), queue.dead().len()), (0, 0));

    let args = ["--from", &file, "--expect", "25", "--name", "back"];
    let finished = replay(&queue, folder.path(), &args).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(result(&finished)["perQueue"], json!({ "jobs": 25 }));
    let after = queue.endpoint().peek(&queue.url).unwrap();
    assert_eq!(after.len(), 25);
    for message in after {
        let sent = &before[&*message.body];
        let mut attributes = (*message.attributes).clone();
        let job = attributes.remove("DrumlineJobId").and_then(|value| value.string_value);
        assert_eq!(job.as_deref(), Some(&*sent.message_id), "the job keeps its id");
        assert_eq!(attributes, *sent.attributes);
    }
}

#[tokio::test]
async fn a_replay_of_a_file_is_resumed_where_it_was_killed() {
    let (queue, _) = buried(200).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.jsonl").display().to_string();
    let exported = dlq(&queue, folder.path(), &["export", &file]).finish().await;
    assert_eq!(exported.status, Some(0), "{}", exported.errors());
    let process = replay(&queue, folder.path(), &["--from", &file, "--yes", "--name", "file"]).spawn();
    eventually("some are sent", async || queue.count() >= 30).await;
    process.kill().await;
    let finished = replay(&queue, folder.path(), &["--resume", "file"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!((200..=210).contains(&queue.count()), "one batch twice at most: {}", queue.count());
    assert_eq!(result(&finished)["sent"], 200);
    assert_eq!(queue.dead().len(), 200, "nothing is deleted");

    let again = replay(&queue, folder.path(), &["--from", &file, "--yes", "--name", "other", "--limit", "1"])
        .finish();
    assert_eq!(again.await.status, Some(0));
    std::fs::write(&file, "{}\n").unwrap();
    let stop_after = ["--from", &*file, "--yes", "--stop-after", "10"];
    for args in [&["--from", &*file, "--yes"][..], &["--resume", "other"], &stop_after] {
        let refused = replay(&queue, folder.path(), args).finish().await;
        assert_eq!(refused.status, Some(64), "{args:?}: {}", refused.errors());
        let says_why = refused.errors().contains("does not look into the DLQ");
        assert_eq!(says_why, args.contains(&"--stop-after"), "{args:?}: {}", refused.errors());
    }
}
