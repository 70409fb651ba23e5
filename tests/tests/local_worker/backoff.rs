//! The default backoff, as the process requests it from SQS and as it shows it.

use std::time::Duration;

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, eventually};

#[tokio::test]
async fn the_default_backoff_fits_the_redrive_policy_and_is_logged() {
    let app = App::start(async |_| Answer::status(503)).await;
    let setup = Setup { max_receive_count: Some(3), visibility_secs: 30, ..Setup::default() };
    let queue = LocalQueue::create(setup).await;
    let id = queue.send("to the application");
    let worker = Launch::on(&queue).without("DRUMLINE_RETRY").env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let started = worker.until_logged("consuming", 1).await;
    let started = &started[0];
    assert_eq!((&started["retry"], &started["waits"]), (&"auto".into(), &"1s, 9m 59s".into()), "{started}");
    eventually("the second wait takes what is left of ten minutes", async || {
        queue.hidden_for(&id) > Duration::from_secs(590)
    })
    .await;
    assert!(queue.hidden_for(&id) <= Duration::from_secs(599));
    assert_eq!(app.calls().len(), 2);
    worker.stop().await;
}

#[tokio::test]
async fn config_asks_the_queue_for_the_waits_that_fit_it() {
    let setup = Setup { max_receive_count: Some(3), ..Setup::default() };
    let queue = LocalQueue::create(setup).await;
    let launch = Launch::new(&["config", "--ask", "--queue-url", &queue.url]);
    let finished = launch.env("AWS_ENDPOINT_URL", &queue.endpoint_url()).finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let row = finished.stdout.iter().find(|line| line.trim_start().starts_with("retry_waits")).unwrap();
    assert!(row.contains("1s, 9m 59s ") && !row.contains("maxReceiveCount"), "{row}");
}

#[tokio::test]
async fn config_shows_the_waits_of_queues_that_may_be_meant() {
    let launch =
        Launch::new(&["config"]).env("DRUMLINE_QUEUE_URL", "http://127.0.0.1:9324/000000000000/jobs");
    let finished = launch.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let row =
        |key: &str| finished.stdout.iter().find(|line| line.trim_start().starts_with(key)).unwrap().clone();
    assert!(row("retry ").contains("auto"), "{finished:?}");
    assert!(row("retry_jitter").contains("added"), "{finished:?}");
    assert!(row("retry_waits").contains("1s, 7s, 42s, 9m 10s with maxReceiveCount 5"), "{finished:?}");
}
