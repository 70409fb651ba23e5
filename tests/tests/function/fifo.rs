//! Message groups: the order within a group is never broken, and a failure does not affect other groups.
//!
//! A message that is missing in the response is deleted, so everything behind a failure must be listed with it.

use std::time::Duration;

use drumline_tests::{
    FunctionLaunch, FunctionProcess, Invocation, LocalQueue, Record, Setup, ids, sqs_event,
};

use crate::apps::{HANGS, bodies, ids_where, meeting, obedient, run, scene, sorted_bodies};

fn fifo() -> Setup {
    Setup { fifo: true, visibility_secs: 600, ..Setup::default() }
}

/// Sends the bodies, each to the group of its last letter, and receives them all.
async fn batch(queue: &LocalQueue, bodies: &[&str]) -> Vec<Record> {
    for body in bodies {
        queue.send_grouped(body, group(body));
    }
    queue.receive(bodies.len()).await
}

/// `200 2b` is the third of the group `b`.
fn group(body: &str) -> &str {
    &body[body.len() - 1..]
}

/// Returns the requests of one group, in the order of their arrival.
fn of_group(app: &drumline_tests::App, name: &str) -> Vec<String> {
    bodies(app).into_iter().filter(|body| group(body) == name).collect()
}

#[tokio::test]
async fn a_group_is_returned_from_its_failure_on_and_others_are_done() {
    let (app, queue, function) = scene(fifo()).await;
    let sent =
        ["200 0a", "200 0b", "200 0c", "200 1a", "503 1b", "200 1c", "200 2a", "200 2b", "422 2c", "200 3c"];
    let records = batch(&queue, &sent).await;
    let answered = run(&function, &records).await;
    let expected = ids_where(&records, |body| ["503 1b", "200 2b", "422 2c", "200 3c"].contains(&body));
    assert_eq!(expected.len(), 4);
    answered.expect_failed(&expected);
    assert_eq!(of_group(&app, "a"), ["200 0a", "200 1a", "200 2a"]);
    assert_eq!(of_group(&app, "b"), ["200 0b", "503 1b"]);
    assert_eq!(of_group(&app, "c"), ["200 0c", "200 1c", "422 2c"]);
    queue.settle(&records, &answered);
    assert_eq!(queue.count(), 4);
}

#[tokio::test]
async fn what_is_behind_a_failure_does_not_come_back_before_it() {
    let (app, queue) = (obedient().await, LocalQueue::create(fifo()).await);
    let launch = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_RETRY", "schedule(40s)");
    let function = launch.spawn().await;
    let records = batch(&queue, &["503 0a", "200 1a", "200 2a"]).await;
    run(&function, &records).await.expect_failed(&ids(&records));
    let hidden: Vec<Duration> = records.iter().map(|record| queue.hidden_for(&record.id())).collect();
    assert!(hidden[0] > Duration::from_secs(35) && hidden[0] <= Duration::from_secs(40), "{hidden:?}");
    assert!(hidden[1] >= hidden[0] && hidden[2] >= hidden[0], "{hidden:?}");
    assert!(
        hidden.iter().all(|hidden| *hidden < Duration::from_secs(300)),
        "sooner than by itself: {hidden:?}"
    );
}

/// Delivers the queue's messages, like the mapping, until it is empty. A message that was received before succeeds if it had a
/// temporary failure.
async fn until_empty(function: &FunctionProcess, queue: &LocalQueue) {
    while queue.count() > 0 {
        let received = queue.receive_some().await;
        let records: Vec<Record> = received
            .into_iter()
            .map(|record| match queue.find(&record.id()).unwrap().receive_count {
                1 => record,
                _ => record.clone().with("body", record.body().replace("503 1", "200")),
            })
            .collect();
        let answered = run(function, &records).await;
        queue.settle(&records, &answered);
    }
}

#[tokio::test]
async fn a_group_is_done_in_order_over_several_batches() {
    let (app, queue, function) = scene(fifo()).await;
    for body in ["200 0a", "503 1 1a", "200 2a", "200 0b", "200 1b", "503 1 2b", "200 3b"] {
        queue.send_grouped(body, group(body));
    }
    until_empty(&function, &queue).await;
    assert_eq!(of_group(&app, "a"), ["200 0a", "503 1 1a", "200 1a", "200 2a"]);
    assert_eq!(of_group(&app, "b"), ["200 0b", "200 1b", "503 1 2b", "200 2b", "200 3b"]);
    assert!(queue.dead().is_empty());
}

#[tokio::test]
async fn a_bad_message_leaves_its_group_and_takes_no_innocent_with_it() {
    let setup = Setup { max_receive_count: Some(3), ..fifo() };
    let (app, queue, function) = scene(setup).await;
    for body in ["200 0a", "422 1a", "200 2a", "200 3a", "200 0b", "200 1b"] {
        queue.send_grouped(body, group(body));
    }
    until_empty(&function, &queue).await;
    assert_eq!(of_group(&app, "a"), ["200 0a", "422 1a", "200 2a", "200 3a"], "the bad one ran once");
    assert_eq!(of_group(&app, "b"), ["200 0b", "200 1b"]);
    let dead: Vec<String> = queue.dead().iter().map(|message| message.body.to_string()).collect();
    assert_eq!(dead, ["422 1a"]);
}

#[tokio::test]
async fn groups_run_beside_each_other_and_never_two_of_one() {
    let queue = LocalQueue::create(fifo()).await;
    // Three concurrent requests, each of another group, or there is no answer.
    let app = meeting(3).await;
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    let sent = ["0a", "0b", "0c", "1a", "1b", "1c", "2a", "2b", "2c"];
    let records = batch(&queue, &sent).await;
    run(&function, &records).await.expect_all_done();
    for name in ["a", "b", "c"] {
        assert_eq!(of_group(&app, name), [0, 1, 2].map(|n| format!("{n}{name}")));
    }
    expect_no_overlap(&app, |one, other| group(one) == group(other));
}

/// Expects that no two requests overlap for which `never_together` holds.
fn expect_no_overlap(app: &drumline_tests::App, never_together: impl Fn(&str, &str) -> bool) {
    let calls = app.calls();
    for (n, later) in calls.iter().enumerate() {
        for earlier in calls[..n].iter().filter(|earlier| never_together(&earlier.body, &later.body)) {
            let ended = earlier.ended.unwrap().0;
            assert!(ended <= later.begun, "{} runs while {} begins", earlier.body, later.body);
        }
    }
}

async fn stopping(way: &str) -> (drumline_tests::App, LocalQueue, FunctionProcess) {
    let (app, queue) = (obedient().await, LocalQueue::create(fifo()).await);
    let function = FunctionLaunch::forwarding(&app, &queue).env("DRUMLINE_FIFO_STOP", way).spawn().await;
    (app, queue, function)
}

#[tokio::test]
async fn with_the_setting_the_batch_stops_at_the_first_failure() {
    for failure in ["503 1b", "422 1b"] {
        let (app, queue, function) = stopping("batch").await;
        let records = batch(&queue, &["200 0a", "200 0b", "200 1a", failure, "200 0c", "200 2a"]).await;
        let position = records.iter().position(|record| record.body() == failure).unwrap();
        let answered = run(&function, &records).await;
        answered.expect_failed(&ids(&records[position..]));
        let ran: Vec<String> = records[..=position].iter().map(Record::body).collect();
        assert_eq!(bodies(&app), ran, "in the order of the records, without those behind it");
        expect_no_overlap(&app, |_, _| true);
    }
}

#[tokio::test]
async fn a_batch_in_strict_order_runs_to_its_end() {
    let (app, queue, function) = stopping("batch").await;
    let records = batch(&queue, &["200 0a", "200 0b", "200 1a", "200 1b"]).await;
    run(&function, &records).await.expect_all_done();
    assert_eq!(bodies(&app), records.iter().map(Record::body).collect::<Vec<_>>());
    expect_no_overlap(&app, |_, _| true);
}

#[tokio::test]
async fn a_setting_for_groups_says_what_is_done_anyway() {
    let (_app, queue, function) = stopping("group").await;
    let records = batch(&queue, &["503 0a", "200 0b", "200 1a"]).await;
    run(&function, &records).await.expect_failed(&ids_where(&records, |body| group(body) == "a"));
}

#[tokio::test]
async fn a_slow_group_is_returned_from_there_on_at_the_deadline() {
    let (app, queue, function) = scene(fifo()).await;
    let hangs = format!("{HANGS} 1b");
    let records = batch(&queue, &["200 0a", "200 0b", "200 1a", &hangs, "200 2b", "200 2a"]).await;
    let timeout = Duration::from_secs(6);
    let answered = function.invoke(Invocation::new(sqs_event(&records)).timeout(timeout)).await;
    answered.expect_failed(&ids_where(&records, |body| body == hangs || body == "200 2b"));
    assert!(answered.after < timeout, "{:?}", answered.after);
    assert_eq!(of_group(&app, "b"), ["200 0b".to_owned(), hangs]);
    assert_eq!(of_group(&app, "a").len(), 3);
}

#[tokio::test]
async fn a_record_without_a_group_has_its_own_answer() {
    let (app, queue, function) = scene(fifo()).await;
    let mut records = batch(&queue, &["200 0a", "503 0b", "200 0c"]).await;
    let attributes = serde_json::json!({ "ApproximateReceiveCount": "1" });
    for record in &mut records {
        *record = record.clone().with("attributes", attributes.clone());
    }
    let answered = run(&function, &records).await;
    // Their groups are unknown, so no message behind the failure may be deleted.
    answered.expect_failed(&ids(&records[1..]));
    assert_eq!(bodies(&app), ["200 0a", "503 0b"]);
}

#[tokio::test]
async fn groups_of_a_standard_queue_are_tenants_without_order() {
    let (app, queue, function) = scene(Setup::default()).await;
    for body in ["503 a", "200 b", "200 c"] {
        queue.send_grouped(body, "tenant");
    }
    let records = queue.receive(3).await;
    run(&function, &records).await.expect_failed(&ids(&records[..1]));
    assert_eq!(sorted_bodies(&app), ["200 b", "200 c", "503 a"]);
}
