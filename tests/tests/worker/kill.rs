//! A killed process loses no message.

use drumline_tests::{Answer, App, Ended, Launch, Setup, TestQueue, eventually};

const MESSAGES: usize = 12;

#[tokio::test]
async fn what_a_killed_process_had_in_hand_is_done_by_the_next() {
    let setup = Setup { visibility_secs: 2, ..Setup::default() };
    let queue = TestQueue::create("killed", setup).await;
    let stuck = App::start(|_| std::future::pending::<Answer>()).await;
    // Fewer slots than messages: some are in hand, some still in the queue.
    let worker =
        Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &stuck.url()).env("DRUMLINE_CONCURRENCY", "8").spawn();
    let mut ids = Vec::new();
    for n in 0..MESSAGES {
        ids.push(queue.send(&n.to_string()).await);
    }
    eventually("all places are taken", async || stuck.count() == 8).await;
    worker.kill().await;
    eventually("the application has noticed", async || {
        stuck.calls().iter().all(|call| matches!(call.ended, Some((_, Ended::Dropped))))
    })
    .await;

    let app = App::always_ok().await;
    let next = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("all are done and deleted", async || app.count() >= MESSAGES && queue.is_empty().await).await;
    let mut done = app.ids();
    done.sort();
    ids.sort();
    assert_eq!(done, ids, "each once");
    let again = app.calls().iter().filter(|call| call.receive_count == 2).count();
    assert_eq!(again, 8, "messages in hand were redelivered when their lease had ended");
    assert_eq!(queue.dead_count().await, 0);
    next.stop().await;
}
