//! Several invocations at once in one process, as on Lambda Managed Instances.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances.html>

use std::time::Duration;

use drumline_tests::{FunctionLaunch, Invocation, LocalQueue, Record, Setup, eventually, ids, sqs_event};

use crate::apps::{HANGS, meeting, obedient};

#[tokio::test]
async fn they_run_beside_each_other() {
    let queue = LocalQueue::create(Setup::default()).await;
    // Neither job is answered before the other has begun.
    let app = meeting(2).await;
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_LAMBDA_MAX_CONCURRENCY", "2");
    let function = launch.spawn().await;
    eventually("two invocations are asked for", async || function.api().asked().len() == 2).await;
    let invoke = || function.invoke(Invocation::new(sqs_event(&[Record::hand_made("x")])));
    let (one, other) = tokio::join!(invoke(), invoke());
    one.expect_all_done();
    other.expect_all_done();
    assert_ne!(one.request_id, other.request_id);
}

#[tokio::test]
async fn each_has_its_own_answer_and_its_own_deadline() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_LAMBDA_MAX_CONCURRENCY", "4");
    let function = launch.spawn().await;
    eventually("all ask", async || function.api().asked().len() == 4).await;
    let slow = queue.batch(&[HANGS, "200 a"]).await;
    let failing = queue.batch(&["503 b", "422 c", "200 d"]).await;
    let timeout = Duration::from_secs(6);
    let pending = function.begin(Invocation::new(sqs_event(&slow)).timeout(timeout));
    let answered = function.invoke(Invocation::new(sqs_event(&failing))).await;
    answered.expect_failed(&ids(&failing[..2]));
    let answered = pending.answered().await;
    answered.expect_failed(&ids(&slow[..1]));
    assert!(answered.after < timeout, "{:?}", answered.after);
    assert_eq!(app.count(), 5);
}

#[tokio::test]
async fn a_message_that_two_of_them_bring_is_answered_in_both() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_LAMBDA_MAX_CONCURRENCY", "2");
    let function = launch.spawn().await;
    let batch = queue.batch(&["422 a"]).await;
    let invoke = || function.invoke(Invocation::new(sqs_event(&batch)));
    let (one, other) = tokio::join!(invoke(), invoke());
    one.expect_failed(&ids(&batch));
    other.expect_failed(&ids(&batch));
    assert!((1..=2).contains(&app.count()));
}
