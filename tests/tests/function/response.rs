//! The messages in the response, and its form.

use drumline_tests::{
    End, FunctionLaunch, HAND_MADE_QUEUE, Invocation, LocalQueue, Record, Setup, ids, sqs_event,
};

use crate::apps::{bodies, ids_where, obedient, run, scene, sorted_bodies};

fn failed(body: &str) -> bool {
    !body.starts_with("200")
}

#[tokio::test]
async fn a_batch_that_went_well_is_an_empty_list() {
    let (app, queue, function) = scene(Setup::default()).await;
    let sent = ["200 a", "200 b", "200 c"];
    let batch = queue.batch(&sent).await;
    let answered = run(&function, &batch).await;
    assert_eq!((answered.end, answered.text()), (End::Response, r#"{"batchItemFailures":[]}"#));
    assert_eq!(sorted_bodies(&app), sent);
    queue.settle(&batch, &answered);
    assert_eq!(queue.count(), 0);
}

#[tokio::test]
async fn failed_messages_are_listed_in_the_order_of_the_records() {
    let (app, queue, function) = scene(Setup::default()).await;
    let batch = queue.batch(&["200 a", "503 b", "200 c", "422 d", "200 e", "404 f"]).await;
    let answered = run(&function, &batch).await;
    let [b, d, f] = [1, 3, 5].map(|index: usize| batch[index].id());
    let expected = format!(
        r#"{{"batchItemFailures":[{{"itemIdentifier":"{b}"}},{{"itemIdentifier":"{d}"}},{{"itemIdentifier":"{f}"}}]}}"#
    );
    assert_eq!((answered.end, answered.text()), (End::Response, &*expected));
    assert_eq!(app.count(), 6, "each ran once");
    queue.settle(&batch, &answered);
    assert_eq!(queue.count(), 3, "what went well is deleted, what failed is kept");
}

#[tokio::test]
async fn an_event_without_records_is_an_empty_list() {
    let (app, _queue, function) = scene(Setup::default()).await;
    run(&function, &[]).await.expect_all_done();
    assert_eq!(app.count(), 0);
}

#[tokio::test]
async fn a_message_that_is_there_twice_runs_once_and_is_listed_once() {
    for (body, is_listed) in [("503 a", true), ("422 a", true), ("200 a", false)] {
        // After one second SQS considers the first delivery lost.
        let setup = Setup { visibility_secs: 1, ..Setup::default() };
        let (app, queue, function) = scene(setup).await;
        let mut batch = queue.batch(&[body]).await;
        batch.extend(queue.receive(1).await);
        assert_eq!(batch[0].id(), batch[1].id());
        assert_ne!(batch[0].receipt_handle(), batch[1].receipt_handle());
        batch.insert(1, Record::hand_made("200 between"));

        let answered = run(&function, &batch).await;
        let listed = if is_listed { &batch[..1] } else { &[] };
        answered.expect_failed(&ids(listed));
        let mut ran = ["200 between", body];
        ran.sort_unstable();
        assert_eq!(sorted_bodies(&app), ran);
    }
}

#[tokio::test]
async fn any_mixture_lists_exactly_what_failed() {
    const STATUSES: [&str; 6] = ["200", "204", "400", "422", "425", "500"];
    let (app, queue, function) = scene(Setup::default()).await;
    let mut count = 0;
    for round in 0..20 {
        let size = fastrand::usize(1..=10);
        let sent: Vec<String> =
            (0..size).map(|n| format!("{} r{round}-{n}", STATUSES[fastrand::usize(..6)])).collect();
        let batch = queue.batch(&sent).await;
        let answered = run(&function, &batch).await;
        answered.expect_failed(&ids_where(&batch, |body| !body.starts_with("20")));
        count += size;
        assert_eq!(app.count(), count, "{sent:?}");
        // Failed messages may be redelivered during the test. Their next round is not tested here.
        for record in &batch {
            queue.delete(record);
        }
    }
}

#[tokio::test]
async fn ids_are_copied_whatever_is_in_them() {
    let (_app, _queue, function) = scene(Setup::default()).await;
    for id in ["quote\" and \\ and /", "Größe €", " ", "MessageID_1", "\u{1}\n\u{7f}\u{2028}"] {
        let batch = [Record::hand_made("503 a").with("messageId", id), Record::hand_made("200 b")];
        run(&function, &batch).await.expect_failed(&[id]);
    }
}

#[tokio::test]
async fn where_all_failed_a_setting_makes_it_an_error() {
    let sent = ["503 a", "422 b", "500 c"];
    for (setting, end) in [(None, End::Response), (Some("list"), End::Response), (Some("error"), End::Error)]
    {
        let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
        let mut launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_RETRY", "schedule(40s)");
        if let Some(setting) = setting {
            launch = launch.env("DRUMLINE_ALL_FAILED", setting);
        }
        let function = launch.spawn().await;
        let batch = queue.batch(&sent).await;
        let answered = run(&function, &batch).await;
        assert_eq!(answered.end, end, "{setting:?}: {}", answered.text());
        if end == End::Error {
            let message = answered.expect_error("AllFailed");
            assert!(message.contains('3'), "it has the number: {message}");
        } else {
            answered.expect_failed(&ids(&batch));
        }
        // In both cases the messages are redelivered by their own outcomes.
        assert!(queue.hidden_for(&batch[0].id()).as_secs() >= 35);
        assert!(queue.hidden_for(&batch[1].id()).is_zero());
        assert_eq!(app.count(), 3);
    }
}

#[tokio::test]
async fn one_success_is_enough_for_a_list() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let function = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_ALL_FAILED", "error").spawn().await;
    let batch = queue.batch(&["503 a", "503 b", "503 c", "200 d"]).await;
    run(&function, &batch).await.expect_failed(&ids_where(&batch, failed));
    run(&function, &[]).await.expect_all_done();
}

#[tokio::test]
async fn a_copy_in_the_dlq_is_settled_and_so_forbids_an_error() {
    let (app, queue) = (obedient().await, LocalQueue::create(Setup::default()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_ALL_FAILED", "error");
    let function = launch.env("DRUMLINE_PERMANENT_FAILURES", "dead-letter").spawn().await;
    let batch = queue.batch(&["503 a", "422 b"]).await;
    run(&function, &batch).await.expect_failed(&ids(&batch[..1]));
    assert_eq!(queue.dead().len(), 1);
}

#[tokio::test]
async fn a_message_received_often_before_is_run_all_the_same() {
    let (app, queue, function) = scene(Setup::default()).await;
    let often = |record: Record| record.attribute("ApproximateReceiveCount", "12");
    let batch: Vec<Record> = queue.batch(&["200 a", "503 b", "200 c"]).await.into_iter().map(often).collect();
    run(&function, &batch).await.expect_failed(&ids_where(&batch, failed));
    assert_eq!(app.count(), 3, "a throttled function costs receives too, so a count is no verdict");
}

#[tokio::test]
async fn records_of_several_queues_are_each_their_queues() {
    let (app, queue, function) = scene(Setup::default()).await;
    let mut batch = queue.batch(&["200 a", "503 7 b"]).await;
    batch.push(Record::hand_made("200 c"));
    let answered = function.invoke(Invocation::new(sqs_event(&batch))).await;
    answered.expect_failed(&ids(&batch[1..2]));
    let mut asked: Vec<_> = app
        .calls()
        .iter()
        .map(|call| (call.body.clone(), call.header("x-aws-sqsd-queue").unwrap().to_owned()))
        .collect();
    asked.sort();
    let other = HAND_MADE_QUEUE.rsplit(':').next().unwrap();
    let expected = [("200 a", &*queue.name), ("200 c", other), ("503 7 b", &*queue.name)];
    assert_eq!(asked, expected.map(|(body, queue)| (body.to_owned(), queue.to_owned())));
    assert_eq!(bodies(&app).len(), 3);
    assert!(queue.hidden_for(&batch[1].id()).as_secs() <= 7);
}
