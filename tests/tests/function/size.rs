//! Batches of the maximum size that Lambda sends: 10,000 records, or 6 MB.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>

use std::collections::HashSet;
use std::time::Duration;

use drumline_tests::{
    App, Fault, FunctionLaunch, Invocation, LocalQueue, Proxy, Record, Setup, ids, sqs_event,
};

use crate::apps::{HANGS, bodies, ids_where, obedient, run, scene};

/// The most records of a batch.
const MOST_RECORDS: usize = 10_000;

/// The request that releases messages.
const CHANGE: &str = "ChangeMessageVisibilityBatch";

/// The largest event.
const LARGEST_EVENT: usize = 6 * 1024 * 1024;

/// The longest message.
const LONGEST_BODY: usize = 1024 * 1024;

fn distinct_bodies(app: &App) -> HashSet<String> {
    app.calls().into_iter().map(|call| call.body).collect()
}

#[tokio::test]
async fn ten_thousand_small_records_each_run_once() {
    let (app, queue, function) = scene(Setup { visibility_secs: 600, ..Setup::default() }).await;
    let sent: Vec<String> =
        (0..MOST_RECORDS).map(|n| format!("{} {n}", if n % 100 == 99 { "422 x" } else { "200" })).collect();
    let batch = queue.batch(&sent).await;
    let answered = run(&function, &batch).await;
    let failed = ids_where(&batch, |body| body.starts_with("422"));
    assert_eq!(failed.len(), 100);
    answered.expect_failed(&failed);
    assert_eq!((app.count(), distinct_bodies(&app).len()), (MOST_RECORDS, MOST_RECORDS));
    let hidden = queue.hidden();
    assert!(failed.iter().all(|id| hidden[id].is_zero()), "all of them are back");
}

#[tokio::test]
async fn six_megabytes_are_passed_on_whole() {
    let (app, _queue, function) = scene(Setup::default()).await;
    let whole = |n: usize| Record::hand_made(&format!("200 {n} {}", "x".repeat(LONGEST_BODY - 6)));
    let mut batch: Vec<Record> = (0..5).map(whole).collect();
    let rest = LARGEST_EVENT - sqs_event(&batch).len();
    let overhead = sqs_event(&[Record::hand_made("")]).len();
    batch.push(Record::hand_made(&"y".repeat(rest - overhead)));
    assert!((LARGEST_EVENT - 100..=LARGEST_EVENT).contains(&sqs_event(&batch).len()));
    run(&function, &batch).await.expect_all_done();
    let expected: HashSet<String> = batch.iter().map(Record::body).collect();
    assert!(distinct_bodies(&app) == expected);
    assert_eq!(app.count(), 6);

    // Characters that JSON escapes, and characters of two to four bytes.
    let text = "\"\\/\n\t€ß\u{10FFFF}\u{85}".repeat(20_000);
    run(&function, &[Record::hand_made(&text)]).await.expect_all_done();
    assert!(app.calls()[6].body == text);
}

#[tokio::test]
async fn ten_thousand_failures_are_told_to_the_queue_and_listed() {
    let (app, queue) =
        (obedient().await, LocalQueue::create(Setup { visibility_secs: 600, ..Setup::default() }).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_RETRY", "schedule(2h)");
    let function = launch.spawn().await;
    let batch = queue.batch(&vec!["503"; MOST_RECORDS]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch));
    assert_eq!(app.count(), MOST_RECORDS);
    let hidden = queue.hidden();
    let delayed = hidden.values().filter(|hidden| **hidden > Duration::from_secs(3600)).count();
    assert_eq!((hidden.len(), delayed), (MOST_RECORDS, MOST_RECORDS), "each has its delay");
}

#[tokio::test]
async fn thousands_that_were_not_started_do_not_delay_the_answer() {
    let (app, queue) =
        (obedient().await, LocalQueue::create(Setup { visibility_secs: 600, ..Setup::default() }).await);
    let function = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_CONCURRENCY", "1").spawn().await;
    function.until_ready().await;
    let mut sent = vec!["200"; 3_000];
    sent[0] = HANGS;
    let batch = queue.batch(&sent).await;
    let timeout = Duration::from_secs(8);
    let answered = function.invoke(Invocation::new(sqs_event(&batch)).timeout(timeout)).await;
    answered.expect_failed(&ids(&batch));
    assert!(answered.after < timeout, "{:?}", answered.after);
    assert_eq!(bodies(&app), [HANGS]);
    let given_back = queue.hidden().values().filter(|hidden| hidden.is_zero()).count();
    assert_eq!(given_back, batch.len(), "there was time enough to give all of them back");
}

#[tokio::test]
async fn a_large_batch_does_not_have_its_calls_in_the_air_all_at_once() {
    // More would exceed the 1,024 files that a process on Lambda may open, and the requests that SQS answers in time.
    const MOST_CALLS: usize = 100;
    let (app, queue) =
        (obedient().await, LocalQueue::create(Setup { visibility_secs: 600, ..Setup::default() }).await);
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let launch = FunctionLaunch::forwarding(&app, &queue)
        .env("AWS_ENDPOINT_URL_SQS", &proxy.url())
        .env("DRUMLINE_CONCURRENCY", "1");
    let function = launch.spawn().await;
    proxy.fail_always(CHANGE, Fault::Hangs);
    let mut sent = vec!["200"; MOST_RECORDS];
    sent[0] = HANGS;
    let batch = queue.batch(&sent).await;
    let timeout = Duration::from_secs(8);
    let answered = function.invoke(Invocation::new(sqs_event(&batch)).timeout(timeout)).await;
    answered.expect_failed(&ids(&batch));
    assert!(answered.after < timeout, "{:?}", answered.after);
    let calls = proxy.count(CHANGE);
    assert!((1..=MOST_CALLS).contains(&calls), "{calls} calls without an answer to one");
}
