//! Messages that fail permanently move to the DLQ once, complete.

use aws_sdk_sqs::types::MessageAttributeValue;
use drumline_tests::{Answer, App, Counts, Launch, Setup, TestQueue, eventually};

const REASON: &str = "no such customer";

async fn app_that_rejects() -> App {
    App::start(|_| async { Answer::status(422).body(REASON) }).await
}

#[tokio::test]
async fn the_redrive_policy_moves_the_original_after_one_run() {
    let queue = TestQueue::create("poison", Setup::default()).await;
    let app = app_that_rejects().await;
    let worker = Launch::run(&queue).env("DRUMLINE_FORWARD_TO", &app.url()).spawn();
    let id = queue.send("poison").await;
    eventually("it is in the DLQ", async || queue.dead_count().await == 1).await;

    assert_eq!(app.ids(), std::slice::from_ref(&id), "the handler ran once");
    assert!(queue.is_empty().await);
    let dead = queue.take_dead().await;
    assert_eq!(dead[0].message_id(), Some(&*id), "the original itself");
    assert_eq!(dead[0].body(), Some("poison"));
    let entry = worker.until_logged("failed for good", 1).await.remove(0);
    assert_eq!(entry["level"], "ERROR");
    assert_eq!(entry["message_id"], *id);
    assert!(entry["reason"].as_str().unwrap().contains(REASON), "{entry}");
    let finished = worker.stop().await;
    assert_eq!(finished.logged("failed for good").len(), 1, "reported once, for any number of receives");
}

#[tokio::test]
async fn a_copy_in_the_dlq_says_why_and_the_original_is_deleted() {
    let queue = TestQueue::create("copied", Setup::default()).await;
    let app = app_that_rejects().await;
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_PERMANENT_FAILURES", "dead-letter")
        .spawn();
    let id = queue.send("poison").await;
    eventually("the original is deleted", async || queue.dead_count().await == 1 && queue.is_empty().await)
        .await;

    assert_eq!(app.ids(), std::slice::from_ref(&id));
    let dead = queue.take_dead().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].body(), Some("poison"));
    let attribute = |name: &str| {
        let attribute = dead[0].message_attributes().and_then(|attributes| attributes.get(name));
        attribute.and_then(MessageAttributeValue::string_value).unwrap_or_default().to_owned()
    };
    assert_eq!(attribute("DrumlineReason"), format!("422 Unprocessable Entity: {REASON}"));
    assert_eq!(attribute("DrumlineMessageId"), id);
    assert_eq!(attribute("DrumlineSourceQueue"), queue.name);
    worker.stop().await;
}

#[tokio::test]
async fn a_copy_on_a_fifo_queue_keeps_its_group_and_frees_it() {
    let setup = Setup { fifo: true, ..Setup::default() };
    let queue = TestQueue::create("copied", setup).await;
    let app = App::start(|call| async move {
        if call.body == "bad" { Answer::status(422).body(REASON) } else { Answer::ok() }
    })
    .await;
    let worker = Launch::run(&queue)
        .env("DRUMLINE_FORWARD_TO", &app.url())
        .env("DRUMLINE_PERMANENT_FAILURES", "dead-letter")
        .spawn();
    queue.send_grouped(&["first", "bad", "last"].map(|body| (body.to_owned(), "g".to_owned()))).await;
    eventually("all have left the queue", async || {
        app.count() >= 3 && queue.dead_count().await == 1 && queue.is_empty().await
    })
    .await;
    let bodies: Vec<String> = app.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies, ["first", "bad", "last"]);
    let dead = queue.take_dead().await;
    let group = &aws_sdk_sqs::types::MessageSystemAttributeName::MessageGroupId;
    assert_eq!(dead[0].attributes().and_then(|attributes| attributes.get(group)).unwrap(), "g");
    worker.stop().await;
}

#[tokio::test]
async fn without_a_dlq_nothing_is_deleted_and_the_operator_is_told() {
    for way in ["redrive", "dead-letter"] {
        let queue = TestQueue::create("no-dlq", Setup { max_receive_count: None, ..Setup::default() }).await;
        let app = app_that_rejects().await;
        let worker = Launch::run(&queue)
            .env("DRUMLINE_FORWARD_TO", &app.url())
            .env("DRUMLINE_PERMANENT_FAILURES", way)
            .env("DRUMLINE_ALLOW_UNBOUNDED", "true")
            .spawn();
        let id = queue.send("poison").await;
        let begins = "a permanent failure has no DLQ to go to";
        eventually("an error reports it", async || !worker.logged_beginning(begins).is_empty()).await;
        let entry = worker.logged_beginning(begins).remove(0);
        assert_eq!((&entry["level"], &entry["message_id"]), (&"ERROR".into(), &id.clone().into()));
        assert!(
            !worker.logged_beginning("the queue has no DLQ").is_empty(),
            "the start has already reported it"
        );
        worker.stop().await;
        let Counts { visible, in_flight, delayed } = queue.counts().await;
        assert_eq!(visible + in_flight + delayed, 1, "it is still there");
        assert_eq!(app.ids(), [id]);
    }
}
