//! Records without a message ID. Lambda never sends them, but tools and tests of other projects do. They cannot be listed: for
//! an empty or wrong ID Lambda fails the whole batch, and a message with a missing one is deleted.

use std::collections::BTreeSet;

use drumline_tests::{FunctionLaunch, Record, Setup};
use serde_json::Value;

use crate::apps::{bodies, run, scene};

fn without_message_id(body: &str) -> Record {
    Record::hand_made(body).without("messageId")
}

#[tokio::test]
async fn alone_it_is_done() {
    let (app, _queue, function) = scene(Setup::default()).await;
    run(&function, &[without_message_id("200 a")]).await.expect_all_done();
    run(&function, &[without_message_id("200 b"), without_message_id("200 c")]).await.expect_all_done();
    assert_eq!(app.count(), 3, "three messages, not one and its repetitions");
}

#[tokio::test]
async fn no_two_are_one_to_the_application() {
    let (app, queue, function) = scene(Setup::default()).await;
    run(&function, &[without_message_id("200 a"), without_message_id("200 b")]).await.expect_all_done();
    run(&function, &[without_message_id("200 c")]).await.expect_all_done();
    let other_process = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    run(&other_process, &[without_message_id("200 d")]).await.expect_all_done();
    let keys: BTreeSet<String> =
        app.calls().iter().map(|call| call.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 4, "an application that knows a key again skips the message: {keys:?}");
}

#[tokio::test]
async fn a_failure_that_cannot_be_listed_is_an_error() {
    for body in ["503 a", "422 a"] {
        let (app, _queue, function) = scene(Setup::default()).await;
        let answered = run(&function, &[without_message_id(body)]).await;
        let message = answered.expect_error("NoMessageId");
        assert!(message.contains("messageId"), "{message}");
        assert_eq!(app.count(), 1);
        run(&function, &[Record::hand_made("200 b")]).await.expect_all_done();
    }
}

#[tokio::test]
async fn records_without_id_run_first_so_errors_cost_others_nothing() {
    let (app, queue, function) = scene(Setup::default()).await;
    let mut batch = queue.batch(&["200 a", "200 b"]).await;
    batch.insert(1, without_message_id("503 n"));
    let message = run(&function, &batch).await.expect_error("NoMessageId");
    assert!(message.contains("messageId"), "{message}");
    assert_eq!(bodies(&app), ["503 n"], "no message is settled after an error");
}

#[tokio::test]
async fn done_it_leaves_the_others_their_own_answers() {
    let (app, queue, function) = scene(Setup::default()).await;
    let mut batch = queue.batch(&["503 a", "200 b"]).await;
    batch.push(without_message_id("200 n"));
    let answered = run(&function, &batch).await;
    answered.expect_failed(&[batch[0].id()]);
    assert_eq!(bodies(&app)[0], "200 n");
    assert_eq!(app.count(), 3);
}

#[tokio::test]
async fn an_id_that_is_empty_or_no_text_is_none() {
    for id in [Value::from(""), Value::Null, Value::from(7)] {
        let (app, _queue, function) = scene(Setup::default()).await;
        let record = |body: &str| Record::hand_made(body).with("messageId", id.clone());
        run(&function, &[record("200 a"), Record::hand_made("200 b")]).await.expect_all_done();
        run(&function, &[record("503 c")]).await.expect_error("NoMessageId");
        assert_eq!(app.count(), 3, "{id}");
    }
}

#[tokio::test]
async fn on_a_fifo_queue_it_is_refused_before_anything_runs() {
    // The messages behind it cannot be listed either.
    let (app, queue, function) = scene(Setup { fifo: true, ..Setup::default() }).await;
    queue.send_grouped("200 a", "g");
    queue.send_grouped("200 b", "g");
    let mut batch = queue.receive(2).await;
    batch[1] = batch[1].clone().without("messageId");
    let message = run(&function, &batch).await.expect_error("NoMessageId");
    assert!(message.contains("messageId"), "{message}");
    assert_eq!(app.count(), 0);
}
