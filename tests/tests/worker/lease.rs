//! A job that outlives its visibility timeout.

use std::time::Duration;

use drumline_tests::{Answer, App, Launch, PATIENCE, Setup, TestQueue, eventually};

const VISIBILITY_SECS: u32 = 2;

/// Five times as long as the lease.
const JOB: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_slow_job_is_run_once_because_its_lease_is_renewed() {
    let setup = Setup { visibility_secs: VISIBILITY_SECS, ..Setup::default() };
    let queue = TestQueue::create("slow", setup).await;
    let app = App::start(|_| async {
        tokio::time::sleep(JOB).await;
        Answer::ok()
    })
    .await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let id = queue.send("{}").await;

    eventually("the job has begun", async || app.count() == 1).await;
    // Another client polls during this time, and gets no message.
    let mut taken = Vec::new();
    eventually("the job is done", async || {
        taken.extend(queue.peek().await);
        app.calls()[0].ended.is_some()
    })
    .await;
    eventually("its message is deleted", async || queue.is_empty().await).await;

    assert_eq!(app.ids(), [id]);
    assert!(taken.is_empty(), "{taken:?}");
    // Renewed at half its length: nine or ten times, fewer on a busy machine.
    let renewals = worker.metric("drumline_lease_renewals_total").await;
    assert!((5..=12).contains(&renewals), "{renewals} renewals");
    let labels = format!(r#"{{queue="{}",result="ok"}}"#, queue.name);
    assert_eq!(
        worker.metric(&format!("drumline_lease_renewals_total{labels}")).await,
        renewals,
        "all went well"
    );
    assert_eq!(worker.metric("drumline_leases_lost_total").await, 0);
    assert_eq!(queue.dead_count().await, 0);
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_takes_too_long_is_cancelled_and_tried_again() {
    let queue = TestQueue::create("overtime", Setup::default()).await;
    let app = App::start(|call| async move {
        if call.receive_count == 1 {
            std::future::pending::<()>().await;
        }
        Answer::ok()
    })
    .await;
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_HANDLER_TIMEOUT", "1s")
        .spawn();
    let sent = std::time::Instant::now();
    let id = queue.send("{}").await;
    eventually("its message is deleted", async || app.count() == 2 && queue.is_empty().await).await;
    assert!(sent.elapsed() < PATIENCE);
    assert_eq!(app.ids(), [id.clone(), id]);
    let first = &app.calls()[0];
    let (ended, how) = first.ended.unwrap();
    assert_eq!(how, drumline_tests::Ended::Dropped, "the application's connection is closed");
    // The worker's second started before the request arrived.
    assert!(ended - first.begun >= Duration::from_millis(500), "{:?}", ended - first.begun);
    worker.stop().await;
}
