//! The messages of a batch in which some fail.

use std::time::Duration;

use drumline_tests::{
    Answer, App, Call, Counts, Deployment, Ended, Setup, TestQueue, can_deploy, eventually,
};

const BATCH: i32 = 10;

/// Returns a queue that already contains these messages, so that they form one batch.
async fn queue_with(name: &str, bodies: &[&str]) -> (TestQueue, Vec<String>) {
    let queue = TestQueue::create(name, Setup::default()).await;
    let mut ids = Vec::new();
    for body in bodies {
        ids.push(queue.send(body).await);
    }
    (queue, ids)
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// Returns the calls for messages with this body.
fn calls_for(app: &App, body: &str) -> Vec<Call> {
    app.calls().into_iter().filter(|call| call.body == body).collect()
}

#[tokio::test]
async fn a_good_batch_is_done_and_deleted() {
    if !can_deploy() {
        return;
    }
    let bodies: Vec<String> = (0..BATCH).map(|n| format!("{{\"n\": {n}}}")).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let (queue, ids) = queue_with("good", &bodies).await;
    let app = App::always_ok().await;
    let function = Deployment::forwarding_to(&app).create("good").await;
    function.feed_from(&queue, BATCH).await;
    eventually("all are done and deleted", async || app.count() >= ids.len() && queue.is_empty().await).await;

    assert_eq!(sorted(app.ids()), sorted(ids), "each once");
    assert!(app.calls().iter().all(|call| call.receive_count == 1));
    assert_eq!(queue.dead_count().await, 0);
    eventually("the invocation is logged", async || function.invocations().await > 0).await;
    assert_eq!(function.invocations().await, 1, "they were one batch");
}

#[tokio::test]
async fn a_bad_message_goes_to_the_dlq_alone() {
    if !can_deploy() {
        return;
    }
    let (queue, ids) = queue_with("bad", &["one", "two", "bad", "four", "five"]).await;
    let app = App::start(|call| async move {
        if call.body == "bad" { Answer::status(422).body("no such customer") } else { Answer::ok() }
    })
    .await;
    let function = Deployment::forwarding_to(&app).create("bad").await;
    function.feed_from(&queue, BATCH).await;
    eventually("it is in the DLQ and the others are deleted", async || {
        app.count() >= ids.len() && queue.dead_count().await == 1 && queue.is_empty().await
    })
    .await;

    assert_eq!(sorted(app.ids()), sorted(ids.clone()), "all ran once, the bad one too");
    let dead = queue.take_dead().await;
    assert_eq!((dead.len(), dead[0].message_id()), (1, Some(&*ids[2])), "the original itself");
}

#[tokio::test]
async fn a_slow_message_is_listed_in_time_and_others_run_once() {
    const TIMEOUT_SECS: u8 = 6;
    if !can_deploy() {
        return;
    }
    let (queue, ids) = queue_with("slow", &["one", "two", "slow", "four", "five"]).await;
    let app = App::start(|call| async move {
        if call.body == "slow" && call.receive_count == 1 {
            std::future::pending::<()>().await;
        }
        Answer::ok()
    })
    .await;
    let function = Deployment::forwarding_to(&app).timeout_secs(TIMEOUT_SECS.into()).create("slow").await;
    function.feed_from(&queue, BATCH).await;
    eventually("all are done and deleted", async || app.count() > ids.len() && queue.is_empty().await).await;

    let slow = calls_for(&app, "slow");
    let (ended, how) = slow[0].ended.unwrap();
    assert_eq!(how, Ended::Dropped, "the function has cancelled it");
    let timeout = Duration::from_secs(TIMEOUT_SECS.into());
    assert!(ended - slow[0].begun < timeout, "it was cancelled after {:?}", ended - slow[0].begun);
    // If the function had exceeded its time, the whole batch would have stayed hidden for 30 s.
    assert!(slow[1].begun - slow[0].begun < timeout + Duration::from_secs(5), "{slow:?}");
    assert_eq!(app.count(), ids.len() + 1, "the slow one twice, the others once");
    assert_eq!(queue.dead_count().await, 0);
    eventually("both invocations are logged", async || function.invocations().await == 2).await;
    let log = function.log().await.join("\n");
    assert!(!log.contains("timed out after"), "{log}");
}

/// An application that crashes on one job: its connection ends without an answer.
#[tokio::test]
async fn a_crash_at_one_message_leaves_the_others_alone() {
    if !can_deploy() {
        return;
    }
    let (queue, ids) = queue_with("crash", &["one", "crash", "three"]).await;
    let app = App::start(|call| async move {
        assert!(call.body != "crash" || call.receive_count > 1, "it falls over, as the test wants");
        Answer::ok()
    })
    .await;
    let function =
        Deployment::forwarding_to(&app).env("DRUMLINE_RETRY", "schedule(1s)").create("crash").await;
    function.feed_from(&queue, BATCH).await;
    eventually("all are done and deleted", async || app.count() > ids.len() && queue.is_empty().await).await;

    let crashed = calls_for(&app, "crash");
    assert_eq!(crashed[0].ended.unwrap().1, Ended::Dropped);
    assert_eq!(crashed[1].ended.unwrap().1, Ended::Answered(200));
    assert_eq!(app.count(), ids.len() + 1, "the others ran once");
    assert_eq!(queue.dead_count().await, 0);
}

/// Lambda deletes no listed message, however often it is listed.
#[tokio::test]
async fn a_batch_in_which_all_fail_comes_back_as_a_whole() {
    if !can_deploy() {
        return;
    }
    for answer in ["list", "error"] {
        let (queue, ids) = queue_with("all-fail", &["one", "two", "three"]).await;
        let app = App::start(|call| async move {
            if call.receive_count == 1 { Answer::status(425) } else { Answer::ok() }
        })
        .await;
        let function = Deployment::forwarding_to(&app)
            .env("DRUMLINE_RETRY", "schedule(1s)")
            .env("DRUMLINE_ALL_FAILED", answer)
            .create("all-fail")
            .await;
        function.feed_from(&queue, BATCH).await;
        eventually("each has failed", async || app.count() >= ids.len()).await;
        assert_ne!(queue.counts().await, Counts::NONE, "none is deleted");
        eventually("all are done and deleted", async || {
            app.count() >= 2 * ids.len() && queue.is_empty().await
        })
        .await;
        let calls = sorted(app.ids());
        assert_eq!(calls, sorted([ids.clone(), ids].concat()), "each twice with {answer}");
        assert_eq!(queue.dead_count().await, 0);
    }
}
