//! Failures of SQS, made by a proxy between SQS and the worker.

use std::time::Duration;

use drumline_tests::{
    Answer, App, Ended, Fault, Launch, Proxy, Setup, TestQueue, eventually, localstack, status_of,
};

async fn proxy() -> Proxy {
    Proxy::start(&localstack()).await
}

fn launch(queue: &TestQueue, proxy: &Proxy, app: &App) -> Launch {
    Launch::run(queue).env("AWS_ENDPOINT_URL", &proxy.url()).env("DRUMLINE_FORWARD_TO", &app.url())
}

#[tokio::test]
async fn failed_deletes_are_tried_again_and_nothing_runs_twice() {
    let faults = [Fault::Throttled, Fault::Internal, Fault::Dropped, Fault::AnswerLost, Fault::EntriesFail];
    for fault in faults {
        let (queue, proxy) = (TestQueue::create("delete", Setup::default()).await, proxy().await);
        let app = App::always_ok().await;
        proxy.fail("DeleteMessageBatch", fault, 3);
        let worker = launch(&queue, &proxy, &app).env("DRUMLINE_SQS_CLIENT", "lean").spawn();
        let id = queue.send("{}").await;
        eventually(&format!("it is deleted in spite of {fault:?}"), async || {
            proxy.count("DeleteMessageBatch") >= 4 && queue.is_empty().await
        })
        .await;
        worker.until_logged("settled", 1).await;
        assert_eq!(app.ids(), [id], "{fault:?}");
        assert_eq!(proxy.count("DeleteMessageBatch"), 4, "{fault:?}");
        let finished = worker.stop().await;
        // The client itself repeats a delete once if its connection has ended.
        let failed_calls = if matches!(fault, Fault::Dropped | Fault::AnswerLost) { 1 } else { 3 };
        assert_eq!(finished.logged("a call failed, trying again").len(), failed_calls, "{fault:?}");
    }
}

/// The lease ends before a delete succeeds: the message is redelivered and deleted by its new receipt.
#[tokio::test]
async fn a_redelivered_message_of_a_done_job_does_not_run_again() {
    let setup = Setup { visibility_secs: 2, max_receive_count: Some(50), ..Setup::default() };
    let (queue, proxy) = (TestQueue::create("late-delete", setup).await, proxy().await);
    let app = App::always_ok().await;
    proxy.fail_always("DeleteMessageBatch", Fault::Throttled);
    let worker = launch(&queue, &proxy, &app).spawn();
    let id = queue.send("{}").await;
    worker.until_logged("already done: deleted without a run", 1).await;
    proxy.heal("DeleteMessageBatch");
    eventually("it is deleted", async || queue.is_empty().await).await;
    assert_eq!(app.ids(), [id]);
    assert!(worker.metric("drumline_deduplicated_total").await >= 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_queue_out_of_reach_turns_readiness_false_until_it_is_back() {
    let (queue, proxy) = (TestQueue::create("outage", Setup::default()).await, proxy().await);
    let app = App::always_ok().await;
    let worker = launch(&queue, &proxy, &app).spawn();
    let ready = worker.endpoint("/readyz");
    eventually("it is ready", async || status_of(&ready).await == Some(200)).await;

    proxy.fail_always("ReceiveMessage", Fault::Internal);
    eventually("it is not ready any more", async || status_of(&ready).await == Some(503)).await;
    assert_eq!(status_of(&worker.endpoint("/livez")).await, Some(200), "a restart would not help");
    let failed = worker.until_logged("receiving failed", 4).await;
    let mut waits: Vec<f64> = failed.iter().map(|entry| entry["retry_in_secs"].as_f64().unwrap()).collect();
    // The successes before have paid for the first ones.
    waits.retain(|wait| *wait > 0.0);
    for (wait, least) in waits.iter().zip([0.05, 0.1, 0.2]) {
        assert!((least..=2.0 * least).contains(wait), "ever longer: {waits:?}");
    }
    let labels = r#"{action="ReceiveMessage",result="unreachable"}"#;
    assert!(worker.metric(&format!("drumline_sqs_requests_total{labels}")).await >= 3);

    let id = queue.send("{}").await;
    proxy.heal("ReceiveMessage");
    eventually("it is ready again", async || status_of(&ready).await == Some(200)).await;
    eventually("the job is done", async || app.count() >= 1 && queue.is_empty().await).await;
    assert_eq!(app.ids(), [id]);
    worker.stop().await;
}

#[tokio::test]
async fn receives_that_fail_in_passing_are_tried_again() {
    for fault in [Fault::Throttled, Fault::Dropped] {
        let (queue, proxy) = (TestQueue::create("receive", Setup::default()).await, proxy().await);
        let app = App::always_ok().await;
        proxy.fail("ReceiveMessage", fault, 2);
        let id = queue.send("{}").await;
        let worker = launch(&queue, &proxy, &app).spawn();
        eventually(&format!("the job is done in spite of {fault:?}"), async || {
            app.count() > 0 && queue.is_empty().await
        })
        .await;
        assert_eq!(app.ids(), [id]);
        let times: Vec<_> = proxy.requests("ReceiveMessage").into_iter().map(|(at, _)| at).collect();
        // After throttling, it waits up to one second; otherwise at least 50 ms.
        let least = if fault == Fault::Dropped { Duration::from_millis(45) } else { Duration::ZERO };
        assert!(times[1] - times[0] >= least, "{fault:?}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn an_unrenewable_lease_ends_the_handler_before_redelivery() {
    let setup = Setup { visibility_secs: 3, ..Setup::default() };
    let (queue, proxy) = (TestQueue::create("lease", setup).await, proxy().await);
    let app = App::start(|call| async move {
        if call.receive_count == 1 {
            std::future::pending::<()>().await;
        }
        Answer::ok()
    })
    .await;
    proxy.fail_always("ChangeMessageVisibilityBatch", Fault::Internal);
    let worker = launch(&queue, &proxy, &app).spawn();
    let id = queue.send("{}").await;
    eventually("the first run is cancelled", async || {
        app.calls().first().is_some_and(|call| call.ended.is_some())
    })
    .await;
    let first = app.calls().remove(0);
    let (ended, how) = first.ended.unwrap();
    assert_eq!(how, Ended::Dropped);
    assert!(ended - first.begun < Duration::from_secs(3), "{:?}", ended - first.begun);
    let entry =
        worker.until_logged("lease lost: the message may be somebody else's by now", 1).await.remove(0);
    assert_eq!(entry["message_id"], *id);
    proxy.heal("ChangeMessageVisibilityBatch");
    eventually("the second run is done", async || app.count() >= 2 && queue.is_empty().await).await;

    assert_eq!(app.ids(), [id.clone(), id]);
    let labels = format!(r#"{{queue="{}"}}"#, queue.name);
    let lost = worker.metric(&format!("drumline_leases_lost_total{labels}")).await;
    assert_eq!(lost, 1);
    assert!(worker.metric(r"drumline_lease_renewals_total{queue=").await >= 1);
    worker.stop().await;
}

/// AWS's variable for one service has the same effect as the one for all.
#[tokio::test]
async fn the_endpoint_for_sqs_alone_is_honoured() {
    let (queue, proxy) = (TestQueue::create("endpoint", Setup::default()).await, proxy().await);
    let app = App::always_ok().await;
    let worker = Launch::run(&queue)
        .without("AWS_ENDPOINT_URL")
        .env("AWS_ENDPOINT_URL_SQS", &proxy.url())
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .spawn();
    queue.send("{}").await;
    eventually("the job is done", async || app.count() == 1 && queue.is_empty().await).await;
    assert!(proxy.count("DeleteMessageBatch") > 0, "its requests went elsewhere");
    worker.stop().await;
}
