//! A message that is deleted without a run is logged with the run that did its job, and counted by its cause.

use drumline_tests::{
    App, Fault, FunctionLaunch, Invocation, LocalQueue, Proxy, Record, Setup, TestQueue, Worker, eventually,
    get, localstack, sqs_event,
};
use serde_json::{Value, json};

use crate::envelopes::{event, native, notification};
use crate::{UNRUN, forwarding, runs, shared_stores, stores, unique, until_settled};

/// Expects that the log entry of a deletion has this cause, and names the run that did the job.
#[track_caller]
fn expect_original(entry: &Value, cause: &str, original: &str, queue: &str) {
    assert_eq!((&entry["level"], &entry["cause"]), (&json!("INFO"), &json!(cause)), "{entry}");
    assert_eq!(entry["original_message_id"], original, "{entry}");
    assert_eq!(entry["original_queue"], queue, "{entry}");
    assert!(entry["original_worker"].as_str().is_some_and(|worker| !worker.is_empty()), "{entry}");
    let finished = entry["original_finished_at"].as_str().unwrap_or_else(|| panic!("no time in {entry}"));
    let age = jiff::Timestamp::now().duration_since(finished.parse().unwrap());
    assert!((-1..300).contains(&age.as_secs()), "{entry}");
}

async fn counted(worker: &Worker, queue: &TestQueue, cause: &str) -> u64 {
    let text = get(&worker.endpoint("/metrics")).await.unwrap().1;
    let (queue, cause) = (format!("queue={:?}", queue.name), format!("cause={cause:?}"));
    let lines = text.lines().filter(|line| line.starts_with("drumline_deduplicated_total{"));
    let lines = lines.filter(|line| line.contains(&queue) && line.contains(&cause));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Returns a worker whose messages stay in the queue although their jobs are done.
async fn undeleting(queue: &TestQueue, app: &App, store: &str) -> (Proxy, Worker) {
    let proxy = Proxy::start(&localstack()).await;
    proxy.fail_always("DeleteMessageBatch", Fault::Throttled);
    let worker = forwarding(queue, app, store).env("AWS_ENDPOINT_URL", &proxy.url()).spawn();
    (proxy, worker)
}

fn redelivering() -> Setup {
    Setup { visibility_secs: 3, max_receive_count: Some(50), ..Setup::default() }
}

#[tokio::test]
async fn a_redelivered_message_is_deleted_as_redelivered() {
    for store in stores() {
        let (queue, app) = (TestQueue::create("again", redelivering()).await, App::always_ok().await);
        let (proxy, worker) = undeleting(&queue, &app, &store).await;
        let id = queue.send(&native("a.b", "j-1")).await;
        let entry = worker.until_logged(UNRUN, 1).await.remove(0);
        proxy.heal("DeleteMessageBatch");
        eventually("it is deleted", async || queue.is_empty().await).await;
        assert_eq!(entry["message_id"], *id);
        expect_original(&entry, "redelivered", &id, &queue.name);
        assert_eq!(runs(&app, &[id]), [1], "{store}");
        assert!(counted(&worker, &queue, "redelivered").await >= 1);
        assert_eq!(counted(&worker, &queue, "duplicate").await, 0);
        worker.stop().await;
    }
}

#[tokio::test]
async fn another_worker_deletes_what_a_killed_one_had_done() {
    for store in shared_stores() {
        let (queue, app) = (TestQueue::create("taken-over", redelivering()).await, App::always_ok().await);
        let (_proxy, killed) = undeleting(&queue, &app, &store).await;
        let job_id = unique("job");
        let id = queue.send(&native("a.b", &job_id)).await;
        let url = killed.endpoint(&format!("/jobs/{job_id}?queue={}", queue.name));
        let mut known = Value::Null;
        eventually("the store knows that it is done", async || {
            known = get(&url).await.map_or(Value::Null, |(_, text)| serde_json::from_str(&text).unwrap());
            known["state"] == "done"
        })
        .await;
        killed.kill().await;

        let worker = forwarding(&queue, &app, &store).spawn();
        let entry = worker.until_logged(UNRUN, 1).await.remove(0);
        expect_original(&entry, "redelivered", &id, &queue.name);
        assert_eq!(entry["original_worker"], known["claim"]["owner"], "{known}");
        eventually("it is deleted", async || queue.is_empty().await).await;
        assert_eq!(runs(&app, &[id]), [1], "{store}");
        assert_eq!(counted(&worker, &queue, "redelivered").await, 1);
        worker.stop().await;
    }
}

#[tokio::test]
async fn duplicates_and_replays_have_causes_of_their_own() {
    /// A job that SNS delivered raw.
    const RAW: &str = "raw";
    let placed = r#"{"type":"order.placed","payload":{"n":1}}"#;
    let mut replayed_by_sns = notification("sns-1", placed);
    replayed_by_sns["MessageAttributes"] = json!({ "Replayed": { "Type": "String", "Value": "true" } });
    let mut replayed_by_bus = event("event-1", &json!({ "n": 1 }));
    replayed_by_bus["replay-name"] = json!("after-the-outage");
    let table = [
        (native("a.b", "j-1"), native("a.b", "j-1"), "duplicate"),
        (native("a.b", RAW), native("a.b", RAW), "replayed"),
        (notification("sns-1", placed).to_string(), replayed_by_sns.to_string(), "replayed"),
        (event("event-1", &json!({ "n": 1 })).to_string(), replayed_by_bus.to_string(), "replayed"),
    ];
    for store in stores() {
        let (queue, app) = (TestQueue::create("twice", Setup::default()).await, App::always_ok().await);
        let worker = forwarding(&queue, &app, &store).spawn();
        let originals = table.each_ref().map(|(original, ..)| original.clone());
        let originals = queue.send_all(&originals).await;
        until_settled(&[&queue], &[&worker], &app, 4).await;
        let mut again = Vec::new();
        for (_, body, _) in &table {
            // Raw delivery has no envelope, so the mark is an attribute of the message.
            let mark = body.contains(RAW).then_some(("Replayed", "String", "true"));
            again.push(queue.send_with(body, mark.as_slice()).await);
        }
        until_settled(&[&queue], &[&worker], &app, 8).await;
        assert_eq!((runs(&app, &originals), runs(&app, &again)), (vec![1; 4], vec![0; 4]), "{store}");
        let unrun = worker.logged(UNRUN);
        for ((id, original), (.., cause)) in again.iter().zip(&originals).zip(&table) {
            let entry = unrun.iter().find(|entry| entry["message_id"] == **id).unwrap();
            expect_original(entry, cause, original, &queue.name);
        }
        let mut counts = Vec::new();
        for cause in ["redelivered", "duplicate", "replayed"] {
            counts.push(counted(&worker, &queue, cause).await);
        }
        assert_eq!(counts, [0, 1, 3], "{store}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_replay_of_what_was_never_done_runs() {
    let (queue, app) = (TestQueue::create("replayed", Setup::default()).await, App::always_ok().await);
    let worker = forwarding(&queue, &app, "memory:").spawn();
    let mut replayed = event("event-1", &json!({ "n": 1 }));
    replayed["replay-name"] = json!("after-the-outage");
    let id = queue.send(&replayed.to_string()).await;
    until_settled(&[&queue], &[&worker], &app, 1).await;
    assert_eq!(runs(&app, &[id]), [1]);
    worker.stop().await;
}

#[tokio::test]
async fn a_function_logs_and_counts_a_duplicate_too() {
    let (app, queue) = (App::always_ok().await, LocalQueue::create(Setup::default()).await);
    let function = FunctionLaunch::forwarding(&app, &queue).spawn().await;
    let [original, duplicate] = [(); 2].map(|()| Record::hand_made(&native("a.b", "j-1")));
    for record in [&original, &duplicate, &original] {
        function.invoke(Invocation::new(sqs_event([record]))).await.expect_all_done();
    }
    let entries = function.logged(UNRUN);
    assert_eq!(entries.len(), 2, "{entries:?}");
    expect_original(&entries[0], "duplicate", &original.id(), "hand-made");
    expect_original(&entries[1], "redelivered", &original.id(), "hand-made");
    assert_eq!(app.ids(), [original.id()]);
    let is_counted = |cause: &str| {
        let lines = function.stdout();
        let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.any(|line| line["cause"] == cause && !line["drumline_deduplicated_total"].is_null())
    };
    eventually("both are counted", async || is_counted("duplicate") && is_counted("redelivered")).await;
}
