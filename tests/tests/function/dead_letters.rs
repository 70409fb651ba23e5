//! Messages that fail permanently.

use std::time::Duration;

use drumline_queue::PeekedMessage;
use drumline_queue::api::MessageAttributeValue;
use drumline_tests::{Fault, FunctionLaunch, Invocation, LocalQueue, Proxy, Record, Setup, ids, sqs_event};

use crate::apps::{bodies, obedient, run, scene, sorted_bodies};

#[tokio::test]
async fn the_redrive_policy_moves_the_original_and_others_are_done() {
    let setup = Setup { visibility_secs: 600, max_receive_count: Some(3), ..Setup::default() };
    let (app, queue, function) = scene(setup).await;
    let batch = queue.batch(&["200 a", "200 b", "422 c", "200 d", "200 e"]).await;
    let bad = batch[2].id();
    let answered = run(&function, &batch).await;
    answered.expect_failed(std::slice::from_ref(&bad));
    assert!(queue.hidden_for(&bad).is_zero(), "to be received at once, so that SQS moves it soon");
    queue.settle(&batch, &answered);
    assert_eq!(queue.count(), 1);

    for _ in 0..2 {
        let batch = queue.receive(1).await;
        let answered = run(&function, &batch).await;
        answered.expect_failed(std::slice::from_ref(&bad));
        queue.settle(&batch, &answered);
    }
    queue.receive_nothing().await;
    assert_eq!(queue.count(), 0);
    let dead = queue.dead();
    assert_eq!((dead.len(), &*dead[0].message_id, &*dead[0].body), (1, &*bad, "422 c"), "the original");
    assert_eq!(app.count(), 5, "the handler ran once, however often the message was received");
    let failed = function.logged("failed for good");
    assert_eq!(failed.len(), 1, "told once: {failed:?}");
    assert_eq!(failed[0]["level"], "ERROR");
    assert_eq!(failed[0]["message_id"], *bad);
    assert_eq!(failed[0]["reason"], "422 Unprocessable Entity: as told");
}

fn text<'a>(message: &'a PeekedMessage, attribute: &str) -> &'a str {
    let value: Option<&MessageAttributeValue> = message.attributes.get(attribute);
    value.and_then(|value| value.string_value.as_deref()).unwrap_or_default()
}

async fn copying(
    queue: &LocalQueue,
    endpoint: &str,
) -> (drumline_tests::App, drumline_tests::FunctionProcess) {
    let app = obedient().await;
    let launch = FunctionLaunch::forwarding(&app, queue).env("DRUMLINE_PERMANENT_FAILURES", "dead-letter");
    let function = launch.env("AWS_ENDPOINT_URL_SQS", endpoint).spawn().await;
    (app, function)
}

#[tokio::test]
async fn a_copy_with_the_reason_is_in_the_dlq_and_the_original_goes() {
    let queue = LocalQueue::create(Setup::default()).await;
    let (app, function) = copying(&queue, &queue.endpoint_url()).await;
    let batch = queue.batch(&["200 a", "422 b", "503 c"]).await;
    let answered = run(&function, &batch).await;
    answered.expect_failed(&[batch[2].id()]);
    queue.settle(&batch, &answered);
    assert_eq!(queue.count(), 1);
    let dead = queue.dead();
    assert_eq!((dead.len(), &*dead[0].body), (1, "422 b"));
    assert_eq!(text(&dead[0], "DrumlineReason"), "422 Unprocessable Entity: as told");
    assert_eq!(text(&dead[0], "DrumlineMessageId"), batch[1].id());
    assert_eq!(text(&dead[0], "DrumlineSourceQueue"), queue.name);

    // Lambda's deletion can be lost. The message is then redelivered, and is not copied again.
    run(&function, &batch[1..2]).await.expect_all_done();
    assert_eq!(queue.dead().len(), 1);
    assert_eq!(sorted_bodies(&app), ["200 a", "422 b", "503 c"]);
}

#[tokio::test]
async fn a_copy_that_is_not_confirmed_keeps_the_original() {
    for fault in [Fault::Denied, Fault::Internal, Fault::Hangs] {
        let queue = LocalQueue::create(Setup::default()).await;
        let proxy = Proxy::start(&queue.endpoint_url()).await;
        let (app, function) = copying(&queue, &proxy.url()).await;
        for action in ["SendMessage", "SendMessageBatch"] {
            proxy.fail_always(action, fault);
        }
        let batch = queue.batch(&["422 a", "200 b"]).await;
        let timeout = Duration::from_secs(8);
        let invocation = Invocation::new(sqs_event(&batch)).timeout(timeout);
        let answered = function.invoke(invocation).await;
        answered.expect_failed(&ids(&batch[..1]));
        assert!(answered.after < timeout, "{fault:?}: {:?}", answered.after);
        assert!(queue.dead().is_empty());
        assert_eq!(app.count(), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn without_a_dlq_it_is_kept_and_the_operator_is_told() {
    for way in ["redrive", "dead-letter"] {
        let queue = LocalQueue::create(Setup { max_receive_count: None, ..Setup::default() }).await;
        let app = obedient().await;
        let launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_PERMANENT_FAILURES", way);
        let function = launch.spawn().await;
        let batch = queue.batch(&["422 a", "200 b"]).await;
        let answered = run(&function, &batch).await;
        answered.expect_failed(&ids(&batch[..1]));
        queue.settle(&batch, &answered);
        assert_eq!(queue.count(), 1, "{way}");
        assert!(function.log().iter().any(|entry| entry.to_string().contains("no DLQ")), "{way}");
        let batch = queue.batch(&["422 c"]).await;
        run(&function, &batch).await.expect_failed(&ids(&batch));
        let log = function.log();
        let warnings = log.iter().filter(|entry| entry.to_string().contains("DRUMLINE_ALLOW_UNBOUNDED"));
        assert_eq!(warnings.count(), 1, "{way}: once in a process");
    }
}

#[tokio::test]
async fn a_group_goes_on_once_its_bad_message_is_copied() {
    let queue = LocalQueue::create(Setup { fifo: true, visibility_secs: 600, ..Setup::default() }).await;
    let (app, function) = copying(&queue, &queue.endpoint_url()).await;
    for body in ["200 a", "422 b", "200 c"] {
        queue.send_grouped(body, "g");
    }
    let batch: Vec<Record> = queue.receive(3).await;
    let answered = run(&function, &batch).await;
    answered.expect_failed(&ids(&batch[2..]));
    assert_eq!(bodies(&app), ["200 a", "422 b"]);
    assert_eq!(queue.dead()[0].message_group_id.as_deref(), Some("g"));
    queue.settle(&batch, &answered);

    let batch = queue.receive(1).await;
    run(&function, &batch).await.expect_all_done();
    assert_eq!(bodies(&app), ["200 a", "422 b", "200 c"]);
}
