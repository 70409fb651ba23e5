//! The signals that stop a worker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, Signal, Worker, eventually};
use tokio::sync::Semaphore;

const JOB: &str = r#"{"type":"a.b","payload":{}}"#;

/// A worker whose application has a job, and answers once the semaphore has a permit.
async fn with_a_job(queue: &LocalQueue) -> (Worker, App, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let shared = Arc::clone(&gate);
    let app = App::start(move |_| {
        let gate = Arc::clone(&shared);
        async move {
            gate.acquire().await.unwrap().forget();
            Answer::ok()
        }
    })
    .await;
    let worker = Launch::on(queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    queue.send(JOB);
    eventually("it has the job", async || app.calls().len() == 1).await;
    (worker, app, gate)
}

#[tokio::test]
async fn a_signal_that_comes_twice_at_once_drains() {
    let queue = LocalQueue::create(Setup::default()).await;
    let (worker, _app, gate) = with_a_job(&queue).await;
    // Of two pending signals of one kind the kernel delivers one.
    worker.signal(Signal::TERM);
    worker.signal(Signal::INT);
    worker.until_logged("draining", 1).await;
    gate.add_permits(1);
    let finished = worker.finish().await;
    assert_eq!((finished.status, queue.count()), (Some(0), 0), "{}", finished.errors());
}

#[tokio::test]
async fn a_second_signal_later_ends_the_worker_at_once() {
    for (first, second) in
        [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM), (Signal::INT, Signal::INT)]
    {
        let queue = LocalQueue::create(Setup::default()).await;
        let (worker, _app, _gate) = with_a_job(&queue).await;
        worker.signal(first);
        worker.until_logged("stopping; once more to stop at once", 1).await;
        // Longer than the time within which signals are one request.
        tokio::time::sleep(Duration::from_millis(600)).await;
        let asked = Instant::now();
        worker.signal(second);
        let finished = worker.finish().await;
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        assert_eq!((finished.status, queue.count()), (Some(1), 1), "{}", finished.errors());
        assert_eq!(queue.hidden().len(), 1, "it is redelivered when its lease ends");
    }
}
