//! Job types with limits: messages that wait for them do not move to the DLQ, and do not block other types.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, eventually};
use tokio::sync::Semaphore;

/// A large number of messages, and the maximum of them that a limit may hide at a time: those that run, those that are held,
/// and those that were received before the worker had seen that no others come.
const FLOOD: usize = 5_000;
const MOST_HIDDEN: usize = 150;

fn launch(queue: &LocalQueue, app: &App, limits: &str) -> Launch {
    let launch = Launch::on(queue).env("DRUMLINE_FORWARD_TO", &app.url()).env("DRUMLINE_LOG", "warn");
    let settings = launch.home().join("drumline.toml");
    std::fs::write(&settings, limits).unwrap();
    launch.env("DRUMLINE_CONFIG", &settings.display().to_string())
}

fn hidden(queue: &LocalQueue) -> usize {
    queue.hidden().values().filter(|left| !left.is_zero()).count()
}

fn send(queue: &LocalQueue, job_type: &str) {
    queue.send(&format!(r#"{{"type":"{job_type}","payload":{{}}}}"#));
}

/// Sends the messages, lets a worker with these limits receive nearly all of them, and returns the time that it took. The queue
/// moves messages to the DLQ after five receives.
async fn takes_the_flood(app: &App, limits: &str) -> Duration {
    let queue = LocalQueue::create(Setup { visibility_secs: 5, ..Setup::default() }).await;
    for _ in 0..FLOOD {
        send(&queue, "mail.send");
    }
    let worker = launch(&queue, app, limits).spawn();
    eventually("it begins", async || app.count() > 0).await;
    let (begun, mut most_hidden) = (Instant::now(), 0);
    // One in a hundred may have been received twice without a free place, and waits for ten minutes.
    while queue.count() > FLOOD / 100 {
        most_hidden = most_hidden.max(hidden(&queue));
        assert!(begun.elapsed() < Duration::from_secs(240), "{} are left", queue.count());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = begun.elapsed();
    worker.stop().await;
    assert!(queue.dead().is_empty(), "{} are dead", queue.dead().len());
    let calls = app.calls();
    assert_eq!(calls.len() + queue.count(), FLOOD, "each runs once");
    let most = calls.iter().map(|call| call.receive_count).max().unwrap_or_default();
    let once = calls.iter().filter(|call| call.receive_count == 1).count();
    assert!(most <= 3 && once > FLOOD * 9 / 10, "{most} receives at most, {once} with one");
    assert!(most_hidden <= MOST_HIDDEN, "{most_hidden} are hidden");
    took
}

#[tokio::test]
async fn of_5000_messages_behind_a_concurrency_limit_none_dies() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let app = {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        App::start(move |_| {
            let running = Arc::clone(&running);
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Answer::ok()
            }
        })
        .await
    };
    takes_the_flood(&app, "[limits.\"mail.send\"]\nconcurrency = 8\n").await;
    assert!(most.load(Ordering::SeqCst) <= 8, "{most:?} at once");
}

#[tokio::test]
async fn of_5000_messages_behind_a_rate_none_dies() {
    let app = App::always_ok().await;
    let took = takes_the_flood(&app, "[limits.\"mail.send\"]\nrate = \"500/s\"\nburst = 10\n").await;
    assert!(took >= Duration::from_secs(9), "{took:?}: faster than the rate");
}

#[tokio::test]
async fn a_type_at_its_limit_keeps_no_other_from_running() {
    let gate = Arc::new(Semaphore::new(0));
    let app = {
        let gate = Arc::clone(&gate);
        App::start(move |call| {
            let gate = Arc::clone(&gate);
            async move {
                if call.body.contains("slow") {
                    // Closed at the end.
                    if let Ok(permit) = gate.acquire().await {
                        permit.forget();
                    }
                }
                Answer::ok()
            }
        })
        .await
    };
    let queue = LocalQueue::create(Setup::default()).await;
    for n in 0..600 {
        send(&queue, if n % 3 == 0 { "slow" } else { "fast" });
    }
    let worker = launch(&queue, &app, "[limits.slow]\nconcurrency = 2\n").spawn();
    let count = |of: &str| app.calls().iter().filter(|call| call.body.contains(of)).count();
    eventually("all others run", async || count("fast") == 400).await;
    assert_eq!(count("slow"), 2);
    eventually("all others are done", async || queue.count() == 200).await;
    // Held jobs start, in their order and without another receive.
    gate.add_permits(11);
    eventually("the next ones run", async || count("slow") >= 12).await;
    let first: Vec<u32> = app
        .calls()
        .iter()
        .filter(|call| call.body.contains("slow"))
        .map(|call| call.receive_count)
        .take(12)
        .collect();
    assert_eq!(first, [1; 12]);
    gate.close();
    worker.stop().await;
    assert!(queue.dead().is_empty());
}
