//! A job whose worker was killed is an event; one whose worker was stopped is not.

use std::sync::atomic::{AtomicUsize, Ordering};

use drumline_tests::{Answer, App, Setup, TestQueue, eventually, shared_store};
use serde_json::json;

use crate::{POSTGRES, REDIS, job, sharing, unique};

const STALLED: &str = "stalled job taken over: its worker left it without an ending";

/// Answers every request except the first.
async fn hangs_at_first() -> App {
    let asked = AtomicUsize::new(0);
    App::start(move |_| {
        let is_first = asked.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            Answer::status(200)
        }
    })
    .await
}

#[tokio::test]
async fn a_dead_workers_job_is_reported_and_a_released_one_is_not() {
    for (variable, kills) in [(REDIS, true), (REDIS, false), (POSTGRES, true), (POSTGRES, false)] {
        let Some(store) = shared_store(variable) else { continue };
        let setup = Setup { visibility_secs: 3, max_receive_count: Some(20), ..Setup::default() };
        let queue = TestQueue::create("stalled", setup).await;
        let app = hangs_at_first().await;
        let launch = || {
            sharing(&queue, &store)
                .env("DRUMLINE_FORWARD_TO", &app.url())
                .env("DRUMLINE_SHUTDOWN_GRACE", "1ms")
        };
        let first = launch().spawn();
        queue.send(&job("a.b", &unique("stalled"), &json!({}))).await;
        eventually("it runs", async || app.count() == 1).await;
        if kills {
            first.kill().await;
        } else {
            first.stop().await;
        }
        let second = launch().spawn();
        eventually("it is done", async || app.count() == 2 && queue.is_empty().await).await;
        let stalled = second.logged(STALLED);
        assert_eq!(stalled.len(), usize::from(kills), "{stalled:?}");
        if kills {
            assert_eq!((&stalled[0]["type"], &stalled[0]["unended"]), (&json!("a.b"), &json!(1)));
            assert!(stalled[0]["former_worker"].is_string(), "{stalled:?}");
            assert_eq!(second.metric("drumline_jobs_stalled_total").await, 1);
        }
        second.stop().await;
    }
}
