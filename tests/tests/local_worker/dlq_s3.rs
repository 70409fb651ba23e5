//! `drumline dlq export s3://…`: letters are deleted after S3 has their object, and no object is overwritten.

use std::sync::Arc;
use std::time::Duration;

use drumline_dlq::line::Lines;
use drumline_queue::api::SendMessage;
use drumline_tests::{Answer, App, Finished, Launch, LocalQueue, Setup};

use super::s3_app::{Objects, answer, s3};

async fn dead(letters: usize) -> LocalQueue {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    queue.bury((0..letters).map(letter));
    queue
}

fn letter(n: usize) -> SendMessage {
    let message_body = format!(r#"{{"type":"email.send","payload":{{"n":{n}}}}}"#);
    SendMessage { message_body, ..SendMessage::default() }
}

async fn export(queue: &LocalQueue, s3: &App, args: &[&str]) -> Finished {
    let args = [&["dlq", "export", "s3://archive/dead/jobs", "--name", "INC-42"], args].concat();
    let launch = Launch::new(&args).env("DRUMLINE_QUEUE_URL", &queue.url);
    launch
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
        .env("AWS_ENDPOINT_URL_S3", &s3.root())
        .finish()
        .await
}

#[tokio::test]
async fn letters_are_deleted_once_their_object_is_confirmed() {
    let queue = dead(25).await;
    let objects = Objects::default();
    let s3 = s3(&objects, true).await;
    let finished = export(&queue, &s3, &["--delete", "--output", "json"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(
        finished.stdout[0].contains(r#""file":"s3://archive/dead/jobs/INC-42/""#),
        "{:?}",
        finished.stdout
    );
    assert!(queue.dead().is_empty());
    {
        let objects = objects.lock().unwrap();
        let paths: Vec<&str> = objects.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/archive/dead/jobs/INC-42/000001.jsonl"]);
        let (_, content) = &objects[paths[0]];
        let (header, lines) = Lines::open(content.as_bytes()).unwrap();
        assert_eq!((&*header.name, lines.map(Result::unwrap).count()), ("INC-42", 25));
    }

    let again = dead(3).await;
    let refused = export(&again, &s3, &["--delete"]).await;
    assert_eq!(refused.status, Some(64), "{}", refused.errors());
    assert!(refused.errors().contains("--name"), "{}", refused.errors());
    assert_eq!((again.dead().len(), objects.lock().unwrap().len()), (3, 1));
}

#[tokio::test]
async fn nothing_is_deleted_that_s3_has_refused() {
    let queue = dead(5).await;
    let denied = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
    let s3 = App::start(move |_| async move { Answer::status(403).body(denied) }).await;
    let finished = export(&queue, &s3, &["--delete"]).await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
    assert!(
        finished.errors().contains("s3:PutObject to s3://archive/dead/jobs/INC-42/000001.jsonl"),
        "{}",
        finished.errors()
    );
    assert!(finished.errors().contains("AccessDenied: no"), "{}", finished.errors());
    assert_eq!(queue.dead().len(), 5);

    let resumed = export(&queue, &s3, &["--resume"]).await;
    assert_eq!(resumed.status, Some(69), "{}", resumed.errors());
    assert!(
        resumed
            .errors()
            .contains("s3:ListBucket of s3://archive/dead/jobs/INC-42/: S3 answers 403 AccessDenied"),
        "{}",
        resumed.errors()
    );
}

#[tokio::test]
async fn letters_whose_hold_ends_during_an_upload_are_still_deleted() {
    let queue =
        LocalQueue::create(Setup { fifo: true, max_receive_count: Some(1), ..Setup::default() }).await;
    queue.bury((0..25).map(|n| SendMessage {
        message_group_id: Some(format!("g{n}")),
        message_deduplication_id: Some(n.to_string()),
        ..letter(n)
    }));
    let objects = Objects::default();
    let (stored, clock) = (Arc::clone(&objects), queue.endpoint().clone());
    // A FIFO queue refuses receipts of holds that have ended.
    let s3 = App::start(move |call| {
        clock.advance(Duration::from_mins(11));
        let answer = answer(&stored, &call);
        async move { answer }
    })
    .await;
    let finished = export(&queue, &s3, &["--delete", "--output", "json"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(finished.stdout[0].contains(r#""deleted":25,"left":0"#), "{:?}", finished.stdout);
    assert!(queue.dead().is_empty());
}
