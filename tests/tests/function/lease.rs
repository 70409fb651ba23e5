//! Slow jobs keep their messages hidden: Lambda never extends a visibility timeout.

use std::sync::Arc;
use std::time::Duration;

use drumline_queue::MessageState;
use drumline_tests::{Answer, App, Fault, FunctionLaunch, Invocation, LocalQueue, Proxy, Setup, eventually};
use drumline_tests::{ids, sqs_event};
use tokio::sync::Semaphore;

use crate::apps::obedient;

const CHANGE: &str = "ChangeMessageVisibilityBatch";

/// Answers at once, except to `slow`, which waits for the semaphore.
async fn gated() -> (App, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let app = App::start({
        let gate = Arc::clone(&gate);
        move |call| {
            let gate = Arc::clone(&gate);
            async move {
                if call.body == "slow" {
                    gate.acquire().await.unwrap().forget();
                }
                Answer::ok()
            }
        }
    })
    .await;
    (app, gate)
}

async fn renewed_until_done(lease_setting: Option<&str>) {
    let (app, gate) = gated().await;
    let queue = LocalQueue::create(Setup { visibility_secs: 4, ..Setup::default() }).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let mut launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_ENDPOINT_URL_SQS", &proxy.url());
    if let Some(lease) = lease_setting {
        launch = launch.env("DRUMLINE_VISIBILITY_TIMEOUT", lease);
    }
    let function = launch.spawn().await;
    function.until_ready().await;
    let batch = queue.batch(&["fast", "slow"]).await;
    let slow = batch[1].id();
    let pending = function.begin(Invocation::new(sqs_event(&batch)).timeout(Duration::from_secs(60)));

    let mut seen_visible = false;
    eventually("its visibility is extended three times", async || {
        seen_visible |= queue.find(&slow).is_some_and(|message| message.state == MessageState::Visible);
        proxy.count(CHANGE) >= 3
    })
    .await;
    assert!(!seen_visible, "no other client could receive it in that time");
    gate.add_permits(1);
    let answered = pending.answered().await;
    answered.expect_all_done();
    assert!(answered.after > Duration::from_secs(4), "longer than the visibility: {:?}", answered.after);
    queue.settle(&batch, &answered);
    assert_eq!((queue.count(), app.count()), (0, 2));
    for (_, request) in proxy.requests(CHANGE) {
        let entries = request["Entries"].as_array().unwrap();
        let handles: Vec<_> = entries.iter().map(|entry| entry["ReceiptHandle"].as_str().unwrap()).collect();
        assert_eq!(handles, [batch[1].receipt_handle()], "a done message is not changed");
        assert_eq!(entries[0]["VisibilityTimeout"], 4);
    }
}

#[tokio::test]
async fn a_slow_job_keeps_its_lease_of_the_setting() {
    renewed_until_done(Some("4s")).await;
}

#[tokio::test]
async fn without_the_setting_the_queue_is_asked_for_its_visibility() {
    renewed_until_done(None).await;
}

#[tokio::test]
async fn a_lease_that_outlasts_the_invocation_costs_no_call() {
    let app = obedient().await;
    let queue = LocalQueue::create(Setup { visibility_secs: 600, ..Setup::default() }).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let launch = FunctionLaunch::forwarding(&app, &queue).env("AWS_ENDPOINT_URL_SQS", &proxy.url());
    let function = launch.spawn().await;
    for _ in 0..3 {
        let batch = queue.batch(&["200 a", "200 b"]).await;
        let invocation = Invocation::new(sqs_event(&batch)).timeout(Duration::from_secs(60));
        function.invoke(invocation).await.expect_all_done();
    }
    for action in
        [CHANGE, "ChangeMessageVisibility", "GetQueueAttributes", "GetQueueUrl", "DeleteMessageBatch"]
    {
        assert_eq!(proxy.count(action), 0, "{action} for a batch that went well");
    }
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_is_lost_and_listed() {
    let (app, _gate) = gated().await;
    let queue = LocalQueue::create(Setup { visibility_secs: 4, ..Setup::default() }).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let launch = FunctionLaunch::forwarding(&app, &queue)
        .env("AWS_ENDPOINT_URL_SQS", &proxy.url())
        .env("DRUMLINE_VISIBILITY_TIMEOUT", "4s");
    let function = launch.spawn().await;
    proxy.fail_always(CHANGE, Fault::EntriesFail);
    let batch = queue.batch(&["slow", "fast"]).await;
    let answered = function.invoke(Invocation::new(sqs_event(&batch)).timeout(Duration::from_secs(60))).await;
    // Another client may have it by now, so even a success of this run could not be reported.
    answered.expect_failed(&ids(&batch[..1]));
    assert!(answered.after < Duration::from_secs(30), "{:?}", answered.after);
    assert_eq!(function.logged("lease lost: the message may be somebody else's by now").len(), 1);
}
