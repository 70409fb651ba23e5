//! The response is sent before Lambda's timeout, and jobs done by then stay done.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline_tests::{
    Ended, Fault, FunctionLaunch, Invocation, LocalQueue, Proxy, Record, Setup, eventually, ids, sqs_event,
};

use crate::apps::{HANGS, bodies, ids_where, meeting, obedient, run, scene, sorted_bodies};

const TIMEOUT: Duration = Duration::from_secs(6);

fn long_hidden() -> Setup {
    Setup { visibility_secs: 600, ..Setup::default() }
}

#[tokio::test]
async fn a_slow_record_is_listed_in_time_and_others_are_done_once() {
    let (app, queue, function) = scene(long_hidden()).await;
    let batch = queue.batch(&["200 a", "200 b", HANGS, "200 c", "200 d"]).await;
    let slow = &batch[2];
    let answered = function.invoke(Invocation::new(sqs_event(&batch)).timeout(TIMEOUT)).await;
    answered.expect_failed(&[slow.id()]);
    assert!(answered.after + Duration::from_millis(500) < TIMEOUT, "{:?}", answered.after);
    assert!(answered.after > Duration::from_secs(2), "it had its time: {:?}", answered.after);
    assert_eq!(sorted_bodies(&app), ["200 a", "200 b", "200 c", "200 d", HANGS]);
    eventually("the application's request ends", async || {
        app.calls()
            .iter()
            .any(|call| call.body == HANGS && call.ended.is_some_and(|end| end.1 == Ended::Dropped))
    })
    .await;
    assert!(queue.hidden_for(&slow.id()).is_zero(), "a shutdown is not a failure: back at once");

    queue.settle(&batch, &answered);
    let again = queue.receive(1).await;
    assert_eq!(ids(&again), [slow.id()]);
    let again = [again[0].clone().with("body", "200 now")];
    run(&function, &again).await.expect_all_done();
    assert_eq!(app.count(), 6, "the others did not run again");
}

#[tokio::test]
async fn what_was_not_started_is_given_back_unrun() {
    let (app, queue) = (obedient().await, LocalQueue::create(long_hidden()).await);
    let function = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_CONCURRENCY", "1").spawn().await;
    let batch = queue.batch(&["200 a", "503 7", HANGS, "200 c", "200 d"]).await;
    let answered = function.invoke(Invocation::new(sqs_event(&batch)).timeout(TIMEOUT)).await;
    answered.expect_failed(&ids(&batch[1..]));
    assert!(answered.after < TIMEOUT, "{:?}", answered.after);
    assert_eq!(bodies(&app), ["200 a", "503 7", HANGS]);
    for record in &batch[2..] {
        assert!(queue.hidden_for(&record.id()).is_zero(), "{}", record.body());
    }
    let backoff = queue.hidden_for(&batch[1].id());
    assert!(!backoff.is_zero() && backoff < Duration::from_secs(8), "{backoff:?}: a failure keeps its delay");
}

#[tokio::test]
async fn a_wider_margin_is_kept() {
    let (app, queue) = (obedient().await, LocalQueue::create(long_hidden()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_DEADLINE_MARGIN", "4s");
    let function = launch.spawn().await;
    let batch = queue.batch(&["200 a", HANGS]).await;
    let timeout = Duration::from_secs(9);
    let answered = function.invoke(Invocation::new(sqs_event(&batch)).timeout(timeout)).await;
    answered.expect_failed(&ids(&batch[1..]));
    assert!(answered.after < Duration::from_secs(6), "{:?}", answered.after);
    assert!(answered.after > Duration::from_secs(1), "{:?}", answered.after);
}

#[tokio::test]
async fn a_timeout_of_a_second_is_enough_for_short_jobs() {
    let (app, queue, function) = scene(long_hidden()).await;
    // Lambda does not count the start of the process, so this test does not either.
    function.until_ready().await;
    run(&function, &queue.batch(&["200 first"]).await).await.expect_all_done();
    let batch = queue.batch(&["200 a", HANGS, "200 b"]).await;
    let timeout = Duration::from_secs(1);
    let answered = function.invoke(Invocation::new(sqs_event(&batch)).timeout(timeout)).await;
    answered.expect_failed(&ids(&batch[1..2]));
    assert!(answered.after < timeout, "{:?}", answered.after);
    assert_eq!(app.count(), 4);
}

#[tokio::test]
async fn deadlines_that_are_no_time_of_day_break_nothing() {
    let (app, queue, function) = scene(long_hidden()).await;
    for (count, text) in ["600000", "3000", "18446744073709551615"].into_iter().enumerate() {
        let batch = queue.batch(&["200 a"]).await;
        let invocation = Invocation::new(sqs_event(&batch)).deadline_header(text);
        let answered = function.invoke(invocation).await;
        answered.expect_all_done();
        assert_eq!(app.count(), count + 1, "{text}");
    }
}

#[tokio::test]
async fn after_a_passed_deadline_undone_messages_return_at_once() {
    let (app, queue, function) = scene(long_hidden()).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for ago in [60, 0] {
        let deadline = now.saturating_sub(Duration::from_secs(ago));
        let batch = queue.batch(&[HANGS, "200 b"]).await;
        let invocation =
            Invocation::new(sqs_event(&batch)).deadline_header(&deadline.as_millis().to_string());
        let answered = function.invoke(invocation).await;
        // A short job may have been done in spite of this, or may have been cut off.
        let done = app.calls().iter().any(|call| call.message_id == batch[1].id());
        if done && !answered.text().contains(&batch[1].id()) {
            answered.expect_failed(&ids(&batch[..1]));
        } else {
            answered.expect_failed(&ids(&batch));
        }
        assert!(answered.after < Duration::from_secs(3), "{:?}", answered.after);
    }
    run(&function, &queue.batch(&["200 c"]).await).await.expect_all_done();
}

#[tokio::test]
async fn a_handler_over_its_own_time_is_a_failure_with_a_delay() {
    let (app, queue) = (obedient().await, LocalQueue::create(long_hidden()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue)
        .env("DRUMLINE_HANDLER_TIMEOUT", "1s")
        .env("DRUMLINE_RETRY", "schedule(70s)");
    let function = launch.spawn().await;
    let batch = queue.batch(&["200 a", HANGS, "200 b"]).await;
    let answered = run(&function, &batch).await;
    answered.expect_failed(&ids_where(&batch, |body| body == HANGS));
    let allowed = Duration::from_secs(1)..Duration::from_secs(10);
    assert!(allowed.contains(&answered.after), "{:?}", answered.after);
    let hidden = queue.hidden_for(&batch[1].id());
    assert!(hidden > Duration::from_secs(60) && hidden <= Duration::from_secs(70), "{hidden:?}");
    let failure = function.logged("failed, trying again later");
    assert_eq!(failure.len(), 1);
    assert_eq!(failure[0]["class"], "timed_out");
    assert_eq!(app.count(), 3);
}

#[tokio::test]
async fn records_run_beside_each_other() {
    let queue = LocalQueue::create(long_hidden()).await;
    let app = meeting(10).await;
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    let batch = queue.batch(&["x"; 10]).await;
    run(&function, &batch).await.expect_all_done();
}

#[tokio::test]
async fn the_applications_deadline_leaves_time_for_the_response() {
    let (app, queue, function) = scene(long_hidden()).await;
    let batch = queue.batch(&["200 a"]).await;
    let answered = function.invoke(Invocation::new(sqs_event(&batch)).timeout(Duration::from_secs(60))).await;
    answered.expect_all_done();
    let told = app.calls()[0].header("x-drumline-deadline").unwrap().to_owned();
    let deadline = SystemTime::from(told.parse::<jiff::Timestamp>().unwrap());
    let left = deadline.duration_since(SystemTime::now()).unwrap();
    assert!(left < Duration::from_secs(60), "{left:?}");
    assert!(left > Duration::from_secs(30), "{left:?}");
}

/// For messages received before, the function requests the queue's redrive policy before they run.
#[tokio::test]
async fn an_unanswered_request_costs_jobs_no_time_and_is_not_repeated() {
    const DESCRIBE: &str = "GetQueueAttributes";
    let (app, queue) = (obedient().await, LocalQueue::create(long_hidden()).await);
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail_always(DESCRIBE, Fault::Hangs);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_ENDPOINT_URL_SQS", &proxy.url());
    // With this setting, a slow batch does not request the length of leases.
    let function = launch.env("DRUMLINE_VISIBILITY_TIMEOUT", "600s").spawn().await;
    function.until_ready().await;
    for runs in 1..=2 {
        let batch = queue.batch(&["200 a"]).await;
        let again = [batch[0].clone().attribute("ApproximateReceiveCount", "2")];
        let invocation = Invocation::new(sqs_event(&again)).timeout(Duration::from_secs(12));
        function.invoke(invocation).await.expect_all_done();
        assert_eq!((app.count(), proxy.count(DESCRIBE)), (runs, 1));
    }
}

#[tokio::test]
async fn no_batch_waits_for_a_queue_that_does_not_answer() {
    const CHANGE: &str = "ChangeMessageVisibilityBatch";
    const DESCRIBE: &str = "GetQueueAttributes";
    let (app, queue) = (obedient().await, LocalQueue::create(long_hidden()).await);
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    proxy.fail_always(CHANGE, Fault::Internal);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_ENDPOINT_URL_SQS", &proxy.url());
    // With this setting, a slow batch does not request the length of leases.
    let function = launch.env("DRUMLINE_VISIBILITY_TIMEOUT", "600s").spawn().await;
    let batch = queue.batch(&["503 a"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch));
    let again = |record: &Record| [record.clone().attribute("ApproximateReceiveCount", "2")];
    let batch = queue.batch(&["200 b"]).await;
    run(&function, &again(&batch[0])).await.expect_all_done();
    assert_eq!(proxy.count(DESCRIBE), 0);
    // The next call shows that the queue responds again.
    proxy.heal(CHANGE);
    let batch = queue.batch(&["503 c"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch));
    let batch = queue.batch(&["200 d"]).await;
    run(&function, &again(&batch[0])).await.expect_all_done();
    assert_eq!(proxy.count(DESCRIBE), 1);
}
