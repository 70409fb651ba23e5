//! Message groups: messages of a group run one after the other, and groups run concurrently.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use drumline_tests::{Answer, App, Ended, Launch, Setup, Signal, TestQueue, eventually};
use tokio::sync::{Barrier, Semaphore};

const GROUPS: [&str; 3] = ["a", "b", "c"];
const PER_GROUP: usize = 4;

/// Returns the messages of all groups, mixed: a0 b0 c0 a1 …
fn messages() -> Vec<(String, String)> {
    let all = (0..PER_GROUP).flat_map(|n| GROUPS.map(|group| (format!("{group}{n}"), group.to_owned())));
    all.collect()
}

fn fifo() -> Setup {
    Setup { fifo: true, max_receive_count: Some(10), ..Setup::default() }
}

#[tokio::test]
async fn groups_keep_their_order_under_failures() {
    let queue = TestQueue::create("ordered", fifo()).await;
    let failures = Arc::new(Mutex::new(HashMap::<String, u32>::new()));
    let app = App::start(move |call| {
        let failures = Arc::clone(&failures);
        async move {
            let mut failures = failures.lock().unwrap();
            let times = failures.entry(call.body.clone()).or_default();
            // The first of a group fails once, the third twice.
            let fails = match call.body.as_bytes()[1] {
                b'0' => *times < 1,
                b'2' => *times < 2,
                _ => false,
            };
            *times += 1;
            if fails { Answer::status(425) } else { Answer::ok() }
        }
    })
    .await;
    queue.send_grouped(&messages()).await;
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_RETRY", "schedule(1s)")
        .spawn();
    eventually("all are done", async || app.count() >= 21 && queue.is_empty().await).await;

    let calls = app.calls();
    for group in GROUPS {
        let order: Vec<&str> =
            calls.iter().map(|call| &*call.body).filter(|body| body.starts_with(group)).collect();
        let expected = [0, 0, 1, 2, 2, 2, 3].map(|n| format!("{group}{n}"));
        assert_eq!(order, expected, "no message overtakes, including after failures");
    }
    assert_eq!(queue.dead_count().await, 0);
    worker.stop().await;
}

#[tokio::test]
async fn groups_run_side_by_side_and_never_two_of_one() {
    let queue = TestQueue::create("parallel", fifo()).await;
    // Each round continues only when a job of every group runs: one group after the other would never finish.
    let barrier = Arc::new(Barrier::new(GROUPS.len()));
    let app = App::start(move |_| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.wait().await;
            Answer::ok()
        }
    })
    .await;
    queue.send_grouped(&messages()).await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let jobs = GROUPS.len() * PER_GROUP;
    eventually("all are done", async || app.count() >= jobs && queue.is_empty().await).await;

    let calls = app.calls();
    assert_eq!(calls.len(), jobs);
    for group in GROUPS {
        let of_group: Vec<_> = calls.iter().filter(|call| call.body.starts_with(group)).collect();
        for (n, pair) in of_group.windows(2).enumerate() {
            let (ended, how) = pair[0].ended.unwrap();
            assert_eq!(how, Ended::Answered(200));
            assert!(ended <= pair[1].begun, "{group}{n} runs while {} begins", pair[1].body);
        }
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_poisoned_message_leaves_its_group_free_to_go_on() {
    let queue = TestQueue::create("poisoned", fifo()).await;
    let app = App::start(|call| async move {
        if call.body == "b1" { Answer::status(400).body("never") } else { Answer::ok() }
    })
    .await;
    queue.send_grouped(&messages()).await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("it is in the DLQ and the rest is done", async || {
        let all_ran = app.count() >= GROUPS.len() * PER_GROUP;
        all_ran && queue.dead_count().await == 1 && queue.is_empty().await
    })
    .await;
    let bodies: Vec<String> = app.calls().into_iter().map(|call| call.body).collect();
    for group in GROUPS {
        let order: Vec<_> = bodies.iter().filter(|body| body.starts_with(group)).collect();
        assert_eq!(
            order,
            (0..PER_GROUP).map(|n| format!("{group}{n}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }
    assert_eq!(queue.take_dead().await[0].body(), Some("b1"));
    worker.stop().await;
}

/// A group's messages wait in the worker for longer than their lease, which is renewed for them too.
#[tokio::test]
async fn what_waits_for_its_turn_keeps_its_lease() {
    let setup = Setup { visibility_secs: 2, ..fifo() };
    let queue = TestQueue::create("waiting", setup).await;
    let app = App::start(|_| async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        Answer::ok()
    })
    .await;
    let one_group: Vec<_> = (0..4).map(|n| (n.to_string(), "g".to_owned())).collect();
    queue.send_grouped(&one_group).await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    eventually("all are done", async || app.count() >= 4 && queue.is_empty().await).await;
    let calls = app.calls();
    assert_eq!(calls.iter().map(|call| &*call.body).collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    assert!(calls.iter().all(|call| call.receive_count == 1), "{calls:?}");
    worker.stop().await;
}

/// A failing head is redelivered several times. If the messages behind it were redelivered each time too, their receives would
/// be used up without a run, and SQS would move them to the DLQ with the head.
#[tokio::test]
async fn a_head_that_fails_to_the_end_goes_to_the_dlq_alone() {
    let queue =
        TestQueue::create("head", Setup { fifo: true, max_receive_count: Some(3), ..Setup::default() }).await;
    let app =
        App::start(
            |call| async move { if call.body == "head" { Answer::status(425) } else { Answer::ok() } },
        )
        .await;
    queue.send_grouped(&["head", "second", "third"].map(|body| (body.to_owned(), "g".to_owned()))).await;
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_RETRY", "schedule(1s)")
        .spawn();
    eventually("all have left the queue", async || app.count() >= 5 && queue.is_empty().await).await;
    let dead: Vec<String> = queue.take_dead().await.into_iter().filter_map(|message| message.body).collect();
    assert_eq!(dead, ["head"]);
    let bodies: Vec<String> = app.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies, ["head", "head", "head", "second", "third"]);
    worker.stop().await;
}

/// A deploy: the old process still runs the first of a group while the new one has already started.
#[tokio::test]
async fn nothing_given_back_at_a_shutdown_overtakes_what_still_runs() {
    let queue = TestQueue::create("deploy", fifo()).await;
    let gate = Arc::new(Semaphore::new(0));
    let permits = Arc::clone(&gate);
    let old_app = App::start(move |_| {
        let permits = Arc::clone(&permits);
        async move {
            permits.acquire().await.unwrap().forget();
            Answer::ok()
        }
    })
    .await;
    let new_app = App::always_ok().await;
    queue.send_grouped(&["first", "second"].map(|body| (body.to_owned(), "g".to_owned()))).await;
    let old = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &old_app.url()).spawn();
    eventually("the first runs and the second waits", async || {
        old_app.count() == 1 && old.metric("drumline_deliveries_in_hand").await == 2
    })
    .await;
    old.signal(Signal::TERM);
    old.until_logged("draining", 1).await;
    let new = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &new_app.url()).spawn();
    eventually("the new process has looked for messages twice", async || {
        new_app.count() > 0 || new.metric("drumline_empty_receives_total").await >= 2
    })
    .await;
    assert_eq!(new_app.count(), 0, "the second is run while the first still is");
    gate.add_permits(1);
    assert_eq!(old.finish().await.status, Some(0));
    eventually("the second is done", async || new_app.count() >= 1 && queue.is_empty().await).await;
    assert_eq!(new_app.count(), 1);
    new.stop().await;
}
