//! The last attempt that a queue allows, as logged by the process and as shown by `drumline jobs`.

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup};

#[tokio::test]
async fn the_last_attempt_is_logged_and_ends_a_watch_with_status_1() {
    let app = App::start(async |_| Answer::status(503).body("not today")).await;
    let setup = Setup { max_receive_count: Some(2), visibility_secs: 30, ..Setup::default() };
    let queue = LocalQueue::create(setup).await;
    queue.send(r#"{"jobId":"j-last","type":"a.b","payload":{}}"#);
    let worker = Launch::on(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_RETRY", "schedule(1s)")
        .spawn();
    let logged = worker.until_logged("last attempt failed: SQS moves the message to the DLQ", 1).await;
    let line = &logged[0];
    assert_eq!((&line["last_attempt"], &line["attempt"]), (&true.into(), &2.into()), "{line}");
    assert_eq!(worker.until_logged("failed, trying again later", 1).await.len(), 1);

    let addr = worker.endpoint("");
    let watch = Launch::new(&["jobs", "watch", "j-last"])
        .env("DRUMLINE_HTTP_ADDR", addr.trim_start_matches("http://"))
        .finish()
        .await;
    assert_eq!(watch.status, Some(1), "{}", watch.errors());
    let last = watch.stdout.last().unwrap();
    assert!(last.contains(" dead, ") && last.contains("not today (last attempt)"), "{watch:?}");
    worker.stop().await;
}
