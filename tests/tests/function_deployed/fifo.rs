//! Message groups keep their order through all failures.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use drumline_tests::{Answer, App, Deployment, Setup, TestQueue, can_deploy, eventually};

const GROUPS: [&str; 3] = ["a", "b", "c"];
const PER_GROUP: usize = 3;
/// The maximum that Lambda allows for a FIFO queue. All messages of a test fit: if only some messages of a group are in flight,
/// `LocalStack` delivers those behind them.
const BATCH: i32 = 10;

/// Returns the messages of all groups, mixed: a0 b0 c0 a1 …
fn messages() -> Vec<(String, String)> {
    let all = (0..PER_GROUP).flat_map(|n| GROUPS.map(|group| (format!("{group}{n}"), group.to_owned())));
    all.collect()
}

/// Returns the bodies of a group, in the order in which they ran.
fn order(app: &App, group: &str) -> Vec<String> {
    let bodies = app.calls().into_iter().map(|call| call.body);
    bodies.filter(|body| body.starts_with(group)).collect()
}

fn fifo() -> Setup {
    Setup { fifo: true, max_receive_count: Some(10), ..Setup::default() }
}

#[tokio::test]
async fn groups_keep_their_order_under_failures() {
    if !can_deploy() {
        return;
    }
    let queue = TestQueue::create("ordered", fifo()).await;
    // The first two of a group fail once. Not twice: if a head fails again, `LocalStack` lets the rest of its group overtake it
    // as soon as the rest is visible, although the head is in flight.
    let failed = Arc::new(Mutex::new(HashSet::new()));
    let app = App::start(move |call| {
        let failed = Arc::clone(&failed);
        async move {
            let is_to_fail = ["0", "1"].iter().any(|n| call.body.ends_with(n));
            let fails = is_to_fail && failed.lock().unwrap().insert(call.body.clone());
            if fails { Answer::status(425) } else { Answer::ok() }
        }
    })
    .await;
    queue.send_grouped(&messages()).await;
    let function =
        Deployment::forwarding_to(&app).env("DRUMLINE_RETRY", "schedule(1s)").create("ordered").await;
    function.feed_from(&queue, BATCH).await;
    eventually("all are done and deleted", async || app.count() >= 15 && queue.is_empty().await).await;

    for group in GROUPS {
        let expected = [0, 0, 1, 1, 2].map(|n| format!("{group}{n}"));
        assert_eq!(order(&app, group), expected, "no message overtakes, including after failures");
    }
    assert_eq!(queue.dead_count().await, 0);
}

#[tokio::test]
async fn a_poisoned_message_leaves_its_group_free_to_go_on() {
    if !can_deploy() {
        return;
    }
    let queue = TestQueue::create("poisoned", fifo()).await;
    let app = App::start(|call| async move {
        if call.body == "b1" { Answer::status(400).body("never") } else { Answer::ok() }
    })
    .await;
    queue.send_grouped(&messages()).await;
    let function = Deployment::forwarding_to(&app).create("poisoned").await;
    function.feed_from(&queue, BATCH).await;
    eventually("it is in the DLQ and the rest is done", async || {
        let all_ran = app.count() >= GROUPS.len() * PER_GROUP;
        all_ran && queue.dead_count().await == 1 && queue.is_empty().await
    })
    .await;

    for group in GROUPS {
        let expected: Vec<_> = (0..PER_GROUP).map(|n| format!("{group}{n}")).collect();
        assert_eq!(order(&app, group), expected, "each once");
    }
    assert_eq!(queue.take_dead().await[0].body(), Some("b1"));
}
