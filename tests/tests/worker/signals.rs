//! The signals that stop a worker.

use std::time::{Duration, Instant};

use drumline_tests::{Answer, App, Fault, Launch, Proxy, Setup, Signal, TestQueue, eventually, localstack};

/// The time for which a receive may still be open, with a margin.
const IDLE_STOP: Duration = Duration::from_secs(3);

#[tokio::test]
async fn an_idle_worker_stops_within_its_wait_time() {
    let queue = TestQueue::create("idle", Setup::default()).await;
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let worker = Launch::run(&queue).spawn();
        worker.until_logged("consuming", 1).await;
        let asked = Instant::now();
        worker.signal(signal);
        let finished = worker.finish().await;
        assert!(asked.elapsed() < IDLE_STOP, "{name}: {:?}", asked.elapsed());
        assert_eq!(finished.status, Some(0), "{name}: {}", finished.errors());
        assert_eq!(finished.logged("stopping; once more to stop at once")[0]["signal"], name);
    }
}

#[tokio::test]
async fn sigint_lets_running_jobs_finish_too() {
    let queue = TestQueue::create("interrupted", Setup::default()).await;
    let app = App::start(|_| async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        Answer::ok()
    })
    .await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    queue.send("{}").await;
    eventually("it runs", async || app.count() == 1).await;
    worker.signal(Signal::INT);
    let finished = worker.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert_eq!(finished.logged("stopped")[0]["drained"], 1);
    assert!(queue.is_empty().await);
}

/// A worker whose queue does not respond at the start can still be stopped.
#[tokio::test]
async fn a_signal_during_the_start_ends_it() {
    let queue = TestQueue::create("start", Setup::default()).await;
    let proxy = Proxy::start(&localstack()).await;
    proxy.fail_always("GetQueueAttributes", Fault::Hangs);
    let worker = Launch::run(&queue).env("AWS_ENDPOINT_URL", &proxy.url()).spawn();
    eventually("it asks about its queue", async || proxy.count("GetQueueAttributes") > 0).await;
    let asked = Instant::now();
    worker.signal(Signal::TERM);
    let finished = worker.finish().await;
    assert!(asked.elapsed() < IDLE_STOP, "{:?}\n{}", asked.elapsed(), finished.errors());
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
}
