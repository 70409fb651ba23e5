//! One process for many invocations: it keeps known facts, and carries over nothing else.

use drumline_tests::{FunctionLaunch, LocalQueue, Record, Setup, ids};

use crate::apps::{bodies, obedient, run, scene};

#[tokio::test]
async fn the_process_asks_for_the_next_invocation_after_each() {
    let (_app, _queue, function) = scene(Setup::default()).await;
    function.until_ready().await;
    for count in 1..=3 {
        assert_eq!(function.api().asked().len(), count);
        run(&function, &[Record::hand_made("200 a")]).await.expect_all_done();
        drumline_tests::eventually("it asks for the next", async || function.api().asked().len() > count)
            .await;
    }
}

#[tokio::test]
async fn a_rejected_message_is_not_run_again_and_still_listed() {
    let (app, queue, function) = scene(Setup::default()).await;
    let batch = queue.batch(&["422 a", "200 b"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch[..1]));
    let again = queue.receive(1).await;
    assert_eq!(ids(&again), ids(&batch[..1]));
    let other = [again[0].clone(), Record::hand_made("200 c")];
    run(&function, &other).await.expect_failed(&ids(&again));
    assert!(queue.hidden_for(&again[0].id()).is_zero(), "it moves on to the DLQ");
    assert_eq!(bodies(&app)[2..], ["200 c"], "the rejected one did not run again");
}

#[tokio::test]
async fn a_message_that_is_done_is_not_run_again_and_not_listed() {
    let (app, queue, function) = scene(Setup::default()).await;
    let batch = queue.batch(&["200 a", "200 b"]).await;
    run(&function, &batch).await.expect_all_done();
    // Lambda's deletion may fail, and standard queues deliver twice.
    let batch = [batch[0].clone(), Record::hand_made("503 c")];
    run(&function, &batch).await.expect_failed(&ids(&batch[1..]));
    assert_eq!(app.count(), 3);
}

#[tokio::test]
async fn a_batch_error_redelivers_done_messages_too() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_ALL_FAILED", "error");
    let function = launch.spawn().await;
    let done = Record::hand_made("200 a");
    run(&function, std::slice::from_ref(&done)).await.expect_all_done();
    let batch = [Record::hand_made("503 b"), done];
    run(&function, &batch).await.expect_failed(&ids(&batch[..1]));
    assert_eq!(app.count(), 2);
}

#[tokio::test]
async fn what_is_to_be_tried_again_is_tried_again() {
    let (app, queue, function) = scene(Setup::default()).await;
    let mut batch = queue.batch(&["503 1"]).await;
    for count in 1..=3 {
        run(&function, &batch).await.expect_failed(&ids(&batch));
        assert_eq!(app.count(), count);
        batch = queue.receive(1).await;
    }
}

#[tokio::test]
async fn another_process_knows_nothing_of_it() {
    let (app, queue, function) = scene(Setup::default()).await;
    let batch = queue.batch(&["422 a"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch));
    drop(function);
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    let again = queue.receive(1).await;
    run(&function, &again).await.expect_failed(&ids(&batch));
    assert_eq!(app.count(), 2);
}
