//! The redelivery of a failed message: the function sets its delay at the queue before it responds.

use std::time::Duration;

use drumline_tests::{End, Fault, FunctionLaunch, FunctionProcess, Invocation, LocalQueue, Proxy};
use drumline_tests::{Record, Setup, ids, sqs_event};

use crate::apps::{ids_where, obedient, run, scene};

/// The request that changes the visibility.
const CHANGE: &str = "ChangeMessageVisibilityBatch";

/// The time allowed between a change of visibility and the check of it.
const SLACK: Duration = Duration::from_secs(4);

/// The visibility timeout of the queues: far from every delay, so that a delay cannot be confused with it.
const VISIBILITY_SECS: u32 = 600;

fn hidden() -> Setup {
    Setup { visibility_secs: VISIBILITY_SECS, ..Setup::default() }
}

/// Expects that a message is redelivered after this delay, counted from about now.
#[track_caller]
fn expect_back_in(queue: &LocalQueue, record: &Record, secs: u64) {
    let delay = Duration::from_secs(secs);
    let hidden = queue.hidden_for(&record.id());
    assert!(hidden <= delay && hidden + SLACK >= delay, "{}: hidden for {hidden:?}", record.body());
}

#[tokio::test]
async fn the_application_says_when_to_come_back() {
    let (_app, queue, function) = scene(hidden()).await;
    let batch = queue.batch(&["200 a", "503 7", "425 70", "200 b", "503 0"]).await;
    run(&function, &batch).await.expect_failed(&ids_where(&batch, |body| !body.starts_with("200")));
    expect_back_in(&queue, &batch[1], 7);
    expect_back_in(&queue, &batch[2], 70);
    assert!(queue.hidden_for(&batch[4].id()).is_zero());
    expect_back_in(&queue, &batch[0], u64::from(VISIBILITY_SECS));
}

#[tokio::test]
async fn a_delay_beyond_what_sqs_allows_is_the_longest_that_it_does() {
    let (_app, queue, function) = scene(hidden()).await;
    let batch = queue.batch(&["503 9999999", "503 43200"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch));
    for record in &batch {
        // Twelve hours in total, counted from the receive.
        let hidden = queue.hidden_for(&record.id()).as_secs();
        assert!((42_900..=43_200).contains(&hidden), "{}: {hidden} s", record.body());
    }
}

#[tokio::test]
async fn a_429_closes_the_type_for_the_function_and_not_for_one_batch() {
    let (app, queue, function) = scene(hidden()).await;
    // For longer than the next invocation could wait.
    let batch = queue.batch(&["429 4000"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch));
    let hidden = queue.hidden_for(&batch[0].id());
    // With a jitter of a quarter.
    let longest = Duration::from_secs(5000);
    assert!(hidden <= longest && hidden + SLACK >= Duration::from_secs(4000), "hidden for {hidden:?}");

    let later = queue.batch(&["200 a", "200 b"]).await;
    run(&function, &later).await.expect_failed(&ids(&later));
    assert_eq!(app.count(), 1, "the application gets no request");
    for record in &later {
        let hidden = queue.hidden_for(&record.id());
        assert!(hidden > Duration::from_secs(66), "{}: hidden for {hidden:?}", record.body());
    }
    assert_eq!(function.logged("failed, trying again later").len(), 0, "no failure of the job");
}

#[tokio::test]
async fn an_application_that_is_not_there_has_everything_tried_again() {
    let queue = LocalQueue::create(hidden()).await;
    let app = obedient().await;
    let launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_RETRY", "schedule(90s)");
    drop(app);
    let function = launch.spawn().await;
    let batch = queue.batch(&["200 a", "200 b"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch));
    for record in &batch {
        expect_back_in(&queue, record, 90);
    }
    assert_eq!(function.logged("target unhealthy").len(), 1, "once, and not for each message");
    assert!(function.logged("failed, trying again later").is_empty());
}

#[tokio::test]
async fn messages_of_a_failing_application_wait_for_half_a_minute() {
    let (_app, queue, function) = scene(hidden()).await;
    let batch = queue.batch(&["503 a", "401 b", "500 c", "404 d"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch));
    for record in &batch {
        expect_back_in(&queue, record, 30);
    }
    assert_eq!(function.logged("target unhealthy").len(), 1);
    let batch = queue.batch(&["200 e", "422 f"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch[1..]));
    assert_eq!(function.logged("target healthy again").len(), 1);
}

#[tokio::test]
async fn the_schedule_goes_by_how_often_a_message_was_received() {
    let (app, queue) = (obedient().await, LocalQueue::create(hidden()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_RETRY", "schedule(30s,90s,200s)");
    let function = launch.spawn().await;
    let received = ["1", "2", "3", "9"];
    let batch = queue.batch(&["503 x"; 4]).await.into_iter().zip(received);
    let batch: Vec<Record> =
        batch.map(|(record, count)| record.attribute("ApproximateReceiveCount", count)).collect();
    run(&function, &batch).await.expect_failed(&ids(&batch));
    for (record, secs) in batch.iter().zip([30, 90, 200, 200]) {
        expect_back_in(&queue, record, secs);
    }
}

#[tokio::test]
async fn a_message_comes_back_and_is_done_then() {
    let (app, queue, function) = scene(hidden()).await;
    let batch = queue.batch(&["503 1", "200 a"]).await;
    let answered = run(&function, &batch).await;
    answered.expect_failed(&[batch[0].id()]);
    queue.settle(&batch, &answered);
    // Waits for it, because it is the only one left.
    let again = queue.receive(1).await.remove(0);
    assert_eq!(again.id(), batch[0].id());
    let answered = run(&function, &[again.with("body", "200 now")]).await;
    answered.expect_all_done();
    assert_eq!(app.calls().last().unwrap().receive_count, 2);
}

#[tokio::test]
async fn of_two_deliveries_the_newer_receipt_counts() {
    let (app, queue, function) = scene(hidden()).await;
    let newer = queue.batch(&["503 40"]).await.remove(0).attribute("ApproximateReceiveCount", "2");
    let older = newer.clone().with("receiptHandle", "an older one").attribute("ApproximateReceiveCount", "1");
    run(&function, &[older, newer.clone()]).await.expect_failed(&[newer.id()]);
    expect_back_in(&queue, &newer, 40);
    assert_eq!(app.count(), 1);
}

/// Returns a function whose requests go through a proxy.
async fn proxied(setting: &str, value: &str) -> (LocalQueue, Proxy, FunctionProcess, drumline_tests::App) {
    let (app, queue) = (obedient().await, LocalQueue::create(hidden()).await);
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_ENDPOINT_URL_SQS", &proxy.url());
    let function = launch.env(setting, value).spawn().await;
    (queue, proxy, function, app)
}

#[tokio::test]
async fn many_failures_are_told_ten_to_a_call() {
    let (queue, proxy, function, _app) = proxied("DRUMLINE_RETRY", "schedule(90s)").await;
    let batch = queue.batch(&["503"; 40]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch));
    for record in &batch {
        expect_back_in(&queue, record, 90);
    }
    let calls = proxy.count(CHANGE);
    assert!((4..=12).contains(&calls), "{calls} calls");
    assert_eq!(proxy.count("ChangeMessageVisibility"), 0);
}

#[tokio::test]
async fn a_missing_permission_is_logged_once_with_the_same_response() {
    let (queue, proxy, function, _app) = proxied("DRUMLINE_RETRY", "schedule(90s)").await;
    proxy.fail_always(CHANGE, Fault::Denied);
    for _ in 0..2 {
        let batch = queue.batch(&["503 a", "200 b", "422 c", "503 7"]).await;
        let answered = run(&function, &batch).await;
        answered.expect_failed(&ids_where(&batch, |body| body != "200 b"));
        assert!(answered.after < Duration::from_secs(10), "trying again is no use: {:?}", answered.after);
        expect_back_in(&queue, &batch[0], u64::from(VISIBILITY_SECS));
    }
    let mut said = function.log();
    said.retain(|entry| entry.to_string().contains("sqs:ChangeMessageVisibility"));
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0]["level"], "ERROR");
    assert_eq!(said[0]["queue"], *queue.name);
    assert!(said[0].to_string().contains("AccessDenied"), "SQS's own words are there too: {}", said[0]);
    // With it, there is no error.
    proxy.heal(CHANGE);
    let batch = queue.batch(&["503 x", "200 b"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch[..1]));
    expect_back_in(&queue, &batch[0], 90);
}

#[tokio::test]
async fn a_refused_request_is_tried_again_in_time() {
    for fault in [Fault::Throttled, Fault::Internal, Fault::Dropped, Fault::AnswerLost, Fault::EntriesFail] {
        let (queue, proxy, function, app) = proxied("DRUMLINE_RETRY", "schedule(90s)").await;
        proxy.fail(CHANGE, fault, 1);
        let batch = queue.batch(&["503 x", "200 b"]).await;
        run(&function, &batch).await.expect_failed(&ids(&batch[..1]));
        expect_back_in(&queue, &batch[0], 90);
        assert!(proxy.count(CHANGE) >= 2, "{fault:?}");
        assert_eq!(app.count(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn a_queue_that_does_not_answer_does_not_hold_up_the_answer() {
    for fault in [Fault::Hangs, Fault::Internal, Fault::Dropped] {
        let (queue, proxy, function, app) = proxied("DRUMLINE_DEADLINE_MARGIN", "1s").await;
        for action in [CHANGE, "GetQueueAttributes", "GetQueueUrl"] {
            proxy.fail_always(action, fault);
        }
        let batch = queue.batch(&["503 a", "200 b", "422 c"]).await;
        let timeout = Duration::from_secs(6);
        let invocation = Invocation::new(sqs_event(&batch)).timeout(timeout);
        let answered = function.invoke(invocation).await;
        answered.expect_failed(&ids_where(&batch, |body| body != "200 b"));
        assert!(answered.after < timeout, "{fault:?}: {:?}", answered.after);
        assert_eq!(app.count(), 3, "{fault:?}");
        // The next invocation is not affected.
        let answered = run(&function, &[Record::hand_made("200 d")]).await;
        assert_eq!((answered.end, app.count()), (End::Response, 4), "{fault:?}");
    }
}

#[tokio::test]
async fn the_default_backoff_fits_the_redrive_policy_of_the_queue() {
    let table: [(u32, &[(&str, u64)]); 3] = [
        (5, &[("1", 1), ("2", 7), ("3", 42), ("4", 550), ("5", 1)]),
        (10, &[("1", 1), ("4", 9), ("9", 307)]),
        (3, &[("2", 599)]),
    ];
    for (max_receive_count, expected) in table {
        let setup = Setup { max_receive_count: Some(max_receive_count), ..hidden() };
        let (app, queue) = (obedient().await, LocalQueue::create(setup).await);
        let function = FunctionLaunch::forwarding(&app, &queue).without("DRUMLINE_RETRY").spawn().await;
        let batch = queue.batch(&vec!["425 x"; expected.len()]).await.into_iter().zip(expected);
        let batch: Vec<Record> =
            batch.map(|(record, (count, _))| record.attribute("ApproximateReceiveCount", count)).collect();
        run(&function, &batch).await.expect_failed(&ids(&batch));
        for (record, (_, secs)) in batch.iter().zip(expected) {
            expect_back_in(&queue, record, *secs);
        }
    }
}

/// The response has the messages in any case, so a longer wait for their backoff would gain nothing.
#[tokio::test]
async fn an_unreachable_queue_delays_the_first_batch_most() {
    for fault in [Fault::Hangs, Fault::Internal, Fault::Dropped] {
        let (queue, proxy, function, _app) = proxied("DRUMLINE_RETRY", "schedule(90s)").await;
        for action in [CHANGE, "GetQueueAttributes", "GetQueueUrl"] {
            proxy.fail_always(action, fault);
        }
        for longest in [12_000, 10_000, 10_000] {
            let batch = queue.batch(&["503 a", "200 b", "422 c"]).await;
            let answered = run(&function, &batch).await;
            answered.expect_failed(&ids_where(&batch, |body| body != "200 b"));
            assert!(answered.after < Duration::from_millis(longest), "{fault:?}: {:?}", answered.after);
        }
        // The next failure shows if the queue is reachable again.
        for action in [CHANGE, "GetQueueAttributes", "GetQueueUrl"] {
            proxy.heal(action);
        }
        let batch = queue.batch(&["503"]).await;
        run(&function, &batch).await.expect_failed(&ids(&batch));
        expect_back_in(&queue, &batch[0], 90);
    }
}
