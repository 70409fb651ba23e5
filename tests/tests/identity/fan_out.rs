//! One event in two queues runs once in each, and each queue has its own duplicates.

use drumline_tests::{
    App, Setup, TestQueue, create_bucket, get, publish, put_event, report_object, rule_before, subscribe,
    topic_before,
};
use serde_json::{Value, json};

use crate::envelopes::{cloud_event, event, native, notification};
use crate::{UNRUN, forwarding, identity_of, runs, shared_stores, until_settled};

async fn two_queues() -> [TestQueue; 2] {
    [TestQueue::create("first", Setup::default()).await, TestQueue::create("second", Setup::default()).await]
}

#[tokio::test]
async fn an_event_in_two_queues_runs_in_both_of_their_workers() {
    for store in shared_stores() {
        let (queues, app) = (two_queues().await, App::always_ok().await);
        let workers = [0, 1].map(|index| forwarding(&queues[index], &app, &store).spawn());
        let bodies = [
            notification("sns-1", r#"{"type":"order.placed","payload":{"n":1}}"#).to_string(),
            notification("sns-2", &cloud_event("/shop", "in-sns")).to_string(),
            event("event-1", &json!({ "n": 1 })).to_string(),
            cloud_event("/shop", "1"),
            native("order.placed", "o-1"),
        ];
        let queues = queues.each_ref();
        let mut ids = Vec::new();
        for round in 1..=2 {
            for body in &bodies {
                for queue in queues {
                    ids.push(queue.send(body).await);
                }
            }
            until_settled(&queues, &workers.each_ref(), &app, round * 2 * bodies.len()).await;
        }
        let (first, again) = ids.split_at(2 * bodies.len());
        assert_eq!(runs(&app, first), vec![1; first.len()], "each once in each queue with {store}");
        assert_eq!(runs(&app, again), vec![0; again.len()], "no job runs again with {store}");
        for queue in queues {
            let url = workers[0].endpoint(&format!("/jobs/event-1?queue={}", queue.name));
            let job: Value = serde_json::from_str(&get(&url).await.unwrap().1).unwrap();
            assert_eq!(job["claim"]["queue"], *queue.name, "{job}");
        }
        for (worker, queue) in workers.into_iter().zip(queues) {
            let unrun = worker.logged(UNRUN);
            assert_eq!(unrun.len(), bodies.len(), "{unrun:?}");
            assert!(unrun.iter().all(|entry| entry["original_queue"] == *queue.name), "{unrun:?}");
            worker.stop().await;
        }
    }
}

/// Real notifications and events, which two queues get from one topic and from one rule.
#[tokio::test]
async fn what_sns_and_eventbridge_fan_out_runs_in_every_queue() {
    let (queues, app) = (two_queues().await, App::always_ok().await);
    let queues = queues.each_ref();
    let topic = topic_before(queues[0]).await;
    subscribe(&topic, queues[1]).await;
    let source = rule_before(&queues).await;
    let both = format!("{},{}", queues[0].url, queues[1].url);
    let worker = forwarding(queues[0], &app, "memory:").env("DRUMLINE_QUEUE_URL", &both).spawn();
    publish(&topic, r#"{"type":"order.placed","payload":{"n":1}}"#).await;
    put_event(&source, "Order Shipped", r#"{"n":2}"#).await;
    until_settled(&queues, &[&worker], &app, 4).await;
    let mut identities: Vec<_> = app.calls().iter().map(identity_of).collect();
    identities.sort();
    let mut scopes = queues.map(TestQueue::arn);
    scopes.sort();
    let expected: Vec<_> = scopes
        .iter()
        .flat_map(|scope| [("Order Shipped", &source), ("order.placed", &topic)].map(|(t, s)| (scope, t, s)))
        .collect();
    let parts: Vec<_> = identities.iter().map(|[scope, kind, origin, _]| (scope, &**kind, origin)).collect();
    assert_eq!(parts, expected);
    assert_eq!(identities[0][3], identities[2][3], "one event has one id");
    assert_eq!(identities[1][3], identities[3][3], "one notification has one id");
    worker.stop().await;
}

/// Real events of S3, which start with a test event for every new notification.
#[tokio::test]
async fn what_s3_reports_reaches_the_handler_of_its_bucket() {
    let (queue, app) = (TestQueue::create("reported", Setup::default()).await, App::always_ok().await);
    let bucket = create_bucket().await;
    let types = format!("[event_types]\n\"{bucket}\" = \"photo.uploaded\"\n");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, types).unwrap();
    let worker = forwarding(&queue, &app, "memory:")
        .env("DRUMLINE_CONFIG", &file.path().display().to_string())
        .spawn();
    report_object(&bucket, &queue.arn(), "photos/a.jpg").await;
    until_settled(&[&queue], &[&worker], &app, 2).await;
    let calls = app.calls();
    let types: Vec<_> = calls.iter().map(|call| identity_of(call)[1].clone()).collect();
    let call = calls.iter().find(|call| identity_of(call)[1] == "photo.uploaded");
    let call = call.unwrap_or_else(|| panic!("the event has the type of its bucket: {types:?}"));
    assert_eq!(identity_of(call)[2], bucket, "its source is the bucket");
    let event: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!(event["Records"][0]["s3"]["object"]["key"], "photos/a.jpg");
    worker.stop().await;
}
