//! Sends with lost responses: a batch is sent once more, and letters whose jobs are done since are not sent again, even if they
//! are changed on the way and no longer match.

use drumline_tests::{Answer, App, Fault, Launch, LocalQueue, Proxy, Setup, eventually, status_of};
use serde_json::json;

use super::dlq_replay::{bury, replay, result};

#[tokio::test]
async fn a_changed_letter_whose_job_is_done_since_is_deleted() {
    const LETTERS: usize = 8;
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    for n in 0..LETTERS {
        queue.send(
            &json!({ "jobId": format!("j-{n}"), "type": "mail.test", "payload": { "to": 1 } }).to_string(),
        );
    }
    bury(&queue).await;
    let app = App::start(async |_| Answer::status(200)).await;
    let launch = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &app.url());
    let addr = launch.http_addr().to_string();
    let worker = launch.spawn();
    eventually("it answers", async || status_of(&format!("http://{addr}/readyz")).await == Some(200)).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let url = queue.url.replace(&queue.endpoint_url(), &proxy.url());
        replay(&queue, folder.path(), args)
            .env("DRUMLINE_QUEUE_URL", &url)
            .env("AWS_ENDPOINT_URL", &proxy.url())
            .env("DRUMLINE_HTTP_ADDR", &addr)
    };

    // The letters are sent, and not deleted.
    proxy.fail_always("DeleteMessageBatch", Fault::EntriesFail);
    let args =
        ["--yes", "--no-check", "--match", "/payload/to=1", "--set", "/payload/to=2", "--name", "doubt"];
    let finished = run(&args).finish().await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
    proxy.heal("DeleteMessageBatch");
    eventually("the sent jobs are done", async || app.count() >= 1 && queue.count() == 0).await;
    assert_eq!(queue.dead().len(), LETTERS);

    // The process was killed before it recorded SQS's last response.
    let path = folder.path().join("drumline/dlq/doubt.journal");
    let text = std::fs::read_to_string(&path).unwrap();
    let plans = text.rfind("\"record\":\"sent\"").map(|at| text[..at].rfind('\n').unwrap() + 1).unwrap();
    std::fs::write(&path, &text[..plans]).unwrap();

    let finished = run(&["--resume", "doubt", "--no-check"]).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(finished.errors().contains("may have been sent twice"), "{}", finished.errors());
    assert_eq!(result(&finished)["sent"], LETTERS);
    assert_eq!(queue.dead().len(), 0, "{}", finished.errors());
    assert_eq!((queue.count(), app.count()), (0, LETTERS), "each job runs once");
    worker.stop().await;
}

/// Returns a queue with these dead letters, and the arguments of a replay behind a proxy that loses responses.
pub(super) async fn behind_a_proxy(fifo: bool, letters: usize) -> (LocalQueue, Proxy, tempfile::TempDir) {
    let queue = LocalQueue::create(Setup { fifo, max_receive_count: Some(1), ..Setup::default() }).await;
    for n in 0..letters {
        let body = json!({ "jobId": format!("j-{n}"), "type": "mail.test", "payload": n }).to_string();
        if fifo {
            queue.send_grouped(&body, &format!("g{n}"))
        } else {
            queue.send(&body)
        };
    }
    bury(&queue).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    (queue, proxy, tempfile::tempdir().unwrap())
}

pub(super) async fn run(
    queue: &LocalQueue,
    proxy: &Proxy,
    folder: &tempfile::TempDir,
    args: &[&str],
) -> drumline_tests::Finished {
    let url = queue.url.replace(&queue.endpoint_url(), &proxy.url());
    let launch = replay(queue, folder.path(), args).env("DRUMLINE_QUEUE_URL", &url);
    launch.env("AWS_ENDPOINT_URL", &proxy.url()).finish().await
}

#[tokio::test]
async fn a_batch_with_a_lost_response_is_sent_only_once_more() {
    const LETTERS: usize = 30;
    let (queue, proxy, folder) = behind_a_proxy(false, LETTERS).await;
    proxy.fail("SendMessageBatch", Fault::AnswerLost, 1);
    let finished = run(&queue, &proxy, &folder, &["--yes", "--no-check"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(finished.errors().contains("may have been sent twice"), "{}", finished.errors());
    assert_eq!(queue.dead().len(), 0);
    assert!((LETTERS + 1..=LETTERS + 10).contains(&queue.count()), "one batch twice: {}", queue.count());

    // Every response is lost: two sends of one batch, and no delete.
    let (queue, proxy, folder) = behind_a_proxy(false, LETTERS).await;
    proxy.fail_always("SendMessageBatch", Fault::AnswerLost);
    let finished = run(&queue, &proxy, &folder, &["--yes", "--no-check", "--name", "lost"]).await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
    let in_doubt = queue.count();
    assert!((2..=20).contains(&in_doubt), "one batch: {in_doubt}");
    assert_eq!((proxy.count("SendMessageBatch"), queue.dead().len()), (2, LETTERS));
    proxy.heal("SendMessageBatch");
    let finished = run(&queue, &proxy, &folder, &["--resume", "lost", "--no-check"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!((result(&finished)["sent"].as_u64(), queue.dead().len()), (Some(LETTERS as u64), 0));
    assert_eq!(queue.count(), LETTERS + in_doubt, "only the batch in doubt is there more than once");
}

#[tokio::test]
async fn confirmed_letters_are_not_sent_again_with_their_batch() {
    const LETTERS: usize = 10;
    let (queue, proxy, folder) = behind_a_proxy(false, LETTERS).await;
    // The rate allows a whole batch after a pause.
    proxy.fail("ReceiveMessage", Fault::Throttled, 2);
    proxy.fail("SendMessageBatch", Fault::LastEntryFails, 1);
    proxy.fail("SendMessageBatch", Fault::AnswerLost, 1);
    let finished = run(&queue, &proxy, &folder, &["--yes", "--no-check", "--name", "part"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(finished.errors().contains("1 letter may have been sent twice"), "{}", finished.errors());
    assert_eq!((result(&finished)["sent"].as_u64(), queue.dead().len()), (Some(LETTERS as u64), 0));
    assert_eq!(queue.count(), LETTERS + 1, "one letter is there twice");
    let journal = std::fs::read_to_string(folder.path().join("drumline/dlq/part.journal")).unwrap();
    for message in queue.endpoint().peek(&queue.url).unwrap().iter().take(LETTERS - 1) {
        assert!(journal.contains(&*message.message_id), "each new message is known to be of this action");
    }
}

#[tokio::test]
async fn a_batch_that_was_not_sent_is_not_in_doubt() {
    const LETTERS: usize = 10;
    let (queue, proxy, folder) = behind_a_proxy(false, LETTERS).await;
    proxy.fail_always("SendMessageBatch", Fault::Throttled);
    let finished = run(&queue, &proxy, &folder, &["--yes", "--no-check", "--name", "throttled"]).await;
    assert_eq!((finished.status, queue.count()), (Some(69), 0), "{}", finished.errors());
    proxy.heal("SendMessageBatch");
    let finished = run(&queue, &proxy, &folder, &["--resume", "throttled", "--no-check"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(!finished.errors().contains("may have been sent twice"), "{}", finished.errors());
    assert_eq!((queue.count(), queue.dead().len()), (LETTERS, 0));
}

#[tokio::test]
async fn a_batch_with_a_lost_response_stays_in_doubt_after_errors() {
    const LETTERS: usize = 10;
    let (queue, proxy, folder) = behind_a_proxy(true, LETTERS).await;
    proxy.fail("SendMessageBatch", Fault::AnswerLost, 1);
    proxy.fail("SendMessageBatch", Fault::Denied, 1);
    let finished = run(&queue, &proxy, &folder, &["--yes", "--no-check", "--name", "denied"]).await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
    assert!(queue.count() > 0);
    let finished = run(&queue, &proxy, &folder, &["--resume", "denied", "--no-check"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(finished.errors().contains("may have been sent twice"), "{}", finished.errors());
    assert_eq!((queue.count(), queue.dead().len()), (LETTERS, 0), "the queue drops those that it has");
}

#[tokio::test]
async fn a_fifo_queue_drops_repeats_after_a_lost_response() {
    let (queue, proxy, folder) = behind_a_proxy(true, 20).await;
    proxy.fail("SendMessageBatch", Fault::AnswerLost, 3);
    let finished = run(&queue, &proxy, &folder, &["--yes", "--no-check"]).await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!((queue.count(), queue.dead().len()), (20, 0));
}

#[tokio::test]
async fn an_undo_repeats_the_rest_of_a_batch_with_a_lost_response() {
    const LETTERS: usize = 10;
    let (queue, proxy, folder) = behind_a_proxy(false, LETTERS).await;
    let dlq = async |args: &[&str]| {
        let url = queue.url.replace(&queue.endpoint_url(), &proxy.url());
        let launch = Launch::new(&[&["dlq"], args].concat()).env("DRUMLINE_QUEUE_URL", &url);
        let launch = launch.env("AWS_ENDPOINT_URL", &proxy.url());
        launch.env("XDG_STATE_HOME", &folder.path().display().to_string()).finish().await
    };
    let finished = dlq(&["delete", "--yes", "--expect", "10", "--name", "gone"]).await;
    assert_eq!((finished.status, queue.dead().len()), (Some(0), 0), "{}", finished.errors());
    proxy.fail("SendMessageBatch", Fault::LastEntryFails, 1);
    proxy.fail("SendMessageBatch", Fault::AnswerLost, 1);
    let finished = dlq(&["undo", "gone", "--yes"]).await;
    assert_eq!((finished.status, queue.dead().len()), (Some(0), LETTERS + 1), "{}", finished.errors());
    assert!(finished.errors().contains("1 letter may have been put back twice"), "{}", finished.errors());
}
