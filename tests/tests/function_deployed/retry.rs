//! A failed message is redelivered when its backoff has passed: not at once, and not only after the queue's visibility timeout.

use std::time::Duration;

use drumline_tests::{Answer, App, Deployment, Setup, TestQueue, can_deploy, eventually};

#[tokio::test]
async fn a_retry_waits_for_its_backoff_not_the_visibility_timeout() {
    if !can_deploy() {
        return;
    }
    let queue = TestQueue::create("backoff", Setup { visibility_secs: 120, ..Setup::default() }).await;
    let app = App::start(|call| async move {
        match call.receive_count {
            1 => Answer::status(503),
            // The application's own delay takes precedence over the schedule.
            2 => Answer::status(429).header("retry-after", "3"),
            _ => Answer::ok(),
        }
    })
    .await;
    let function =
        Deployment::forwarding_to(&app).env("DRUMLINE_RETRY", "schedule(2s)").create("backoff").await;
    let id = queue.send("{}").await;
    function.feed_from(&queue, 10).await;
    eventually("it is done and deleted", async || app.count() >= 3 && queue.is_empty().await).await;

    let calls = app.calls();
    assert_eq!(app.ids(), [&*id; 3]);
    for (pair, wait) in calls.windows(2).zip([2, 3]) {
        let gap = pair[1].begun - pair[0].begun;
        assert!(gap >= Duration::from_secs(wait), "{gap:?}");
    }
    let whole = calls[2].begun - calls[0].begun;
    assert!(whole < Duration::from_secs(60), "{whole:?}: something waited for the visibility timeout");
    assert_eq!(queue.dead_count().await, 0);
}
