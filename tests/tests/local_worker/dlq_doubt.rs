//! A replay that was killed between a send and its line in the journal: letters whose jobs are done since are not sent again, although
//! they are changed on the way and no longer match.

use drumline_tests::{Answer, App, Fault, Launch, LocalQueue, Proxy, Setup, eventually, status_of};
use serde_json::json;

use super::dlq_replay::{bury, replay, result};

#[tokio::test]
async fn a_changed_letter_whose_job_is_done_since_is_deleted_and_not_sent_again() {
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
    eventually("it answers", async || status_of(&format!("http://{addr}/livez")).await == Some(200)).await;
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

    // The process was killed before SQS's last answer was written down.
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
