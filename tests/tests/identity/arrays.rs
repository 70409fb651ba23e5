//! JSON arrays are never envelopes, even if their items match one.

use drumline_tests::{App, Launch, Setup, TestQueue, eventually};
use serde_json::{Value, json};

use crate::envelopes::{TOPIC, event, object_created};
use crate::{forwarding, identity_of, runs};

/// The longest list.
const MOST: usize = 20;

/// Returns a list of this many items. The first ones are the values of an envelope, in the order of its fields.
fn list(length: usize) -> String {
    let fields = [
        json!("email.send"),
        json!({ "deliveryId": "d-1", "templateId": "welcome", "userId": "ada" }),
        json!(1),
        json!("j-1"),
        json!("k-1"),
        json!("c-1"),
        json!("2026-11-28T10:00:00Z"),
        json!("1.0"),
        json!("Notification"),
        json!(TOPIC),
    ];
    let items: Vec<Value> = fields.into_iter().chain(std::iter::repeat(Value::Null)).take(length).collect();
    json!(items).to_string()
}

/// A worker with the sample jobs.
fn typed(queue: &TestQueue) -> Launch {
    let launch = Launch::run(queue);
    let outbox = launch.home().join("outbox").display().to_string();
    launch.env("DRUMLINE_MAIL_OUTBOX", &outbox)
}

/// Returns the reasons for which these messages moved to the DLQ, in order.
async fn reasons(queue: &TestQueue, launch: Launch, bodies: &[String]) -> Vec<String> {
    let ids = queue.send_all(bodies).await;
    let worker = launch.spawn();
    let failed = worker.until_logged("failed for good", bodies.len()).await;
    eventually("all are dead", async || queue.dead_count().await as usize == bodies.len()).await;
    worker.stop().await;
    let reason = |id: &String| {
        let entry = failed.iter().find(|entry| entry["message_id"] == **id).unwrap();
        entry["reason"].as_str().unwrap().to_owned()
    };
    ids.iter().map(reason).collect()
}

#[track_caller]
fn expect_plain_words(reason: &str, body: &str) {
    assert!(!reason.contains("struct") && !reason.contains("element"), "{reason}\nof {body}");
}

#[tokio::test]
async fn a_list_with_a_message_type_reaches_the_application_as_is() {
    let (queue, app) = (TestQueue::create("list", Setup::default()).await, App::always_ok().await);
    let worker = forwarding(&queue, &app, "memory:").spawn();
    let mut ids = Vec::new();
    for length in 0..=MOST {
        ids.push(queue.send_with(&list(length), &[("messageType", "String", "a.list")]).await);
    }
    eventually("all are done", async || app.count() > MOST && queue.is_empty().await).await;
    assert_eq!(runs(&app, &ids), [1; MOST + 1]);
    for call in app.calls() {
        let length = ids.iter().position(|id| *id == call.message_id).unwrap();
        assert_eq!(call.body, list(length));
        assert_eq!(identity_of(&call), [queue.arn(), "a.list".into(), String::new(), call.message_id]);
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_list_without_a_message_type_is_a_dead_letter() {
    let queue = TestQueue::create("list", Setup { max_receive_count: Some(2), ..Setup::default() }).await;
    let bodies: Vec<String> = (0..=MOST).map(list).collect();
    for (reason, body) in reasons(&queue, typed(&queue), &bodies).await.iter().zip(&bodies) {
        assert!(reason.contains("not a JSON object"), "{reason}\nof {body}");
        expect_plain_words(reason, body);
    }
}

#[tokio::test]
async fn a_list_inside_an_envelope_is_a_dead_letter() {
    let queue = TestQueue::create("inside", Setup { max_receive_count: Some(2), ..Setup::default() }).await;
    let payload = json!({ "deliveryId": "d-1", "templateId": "welcome", "userId": "ada" });
    let notification = |attributes: Value, message: &str| {
        json!({
            "Type": "Notification", "MessageId": "n-1", "TopicArn": TOPIC, "Message": message,
            "MessageAttributes": attributes,
        })
    };
    let record = |record: Value| json!({ "Records": [record] });
    let bodies = [
        notification(json!({ "messageType": ["String", "email.send"] }), &payload.to_string()),
        notification(json!([["messageType", { "Type": "String", "Value": "email.send" }]]), "{}"),
        notification(json!({}), &list(2)),
        notification(json!({}), &list(10)),
        json!({ "type": "email.send", "payload": ["d-1", "welcome", "ada"] }),
        json!({ "type": "email.send", "payload": [] }),
        record(json!(["ObjectCreated:Put", [["b"], ["k", 1, null, null]]])),
        record(json!({ "eventName": "ObjectCreated:Put", "s3": [{ "name": "b" }, { "key": "k" }] })),
        record(
            json!({ "eventName": "ObjectCreated:Put", "s3": { "bucket": ["b"], "object": { "key": "k" } } }),
        ),
        record(
            json!({ "eventName": "ObjectCreated:Put", "s3": { "bucket": { "name": "b" }, "object": ["k"] } }),
        ),
    ]
    .map(|body| body.to_string());
    for (reason, body) in reasons(&queue, typed(&queue), &bodies).await.iter().zip(&bodies) {
        assert!(reason.contains("sequence, expected"), "{reason}\nof {body}");
        expect_plain_words(reason, body);
    }
}

/// A list is a normal payload if its envelope is an object.
#[tokio::test]
async fn a_list_as_a_payload_reaches_the_application() {
    let (queue, app) = (TestQueue::create("payload", Setup::default()).await, App::always_ok().await);
    let worker = forwarding(&queue, &app, "memory:").spawn();
    let native = json!({ "type": "a.list", "payload": [1, 2] }).to_string();
    let detail = event("event-1", &serde_json::from_str(&list(2)).unwrap()).to_string();
    let objects = object_created("b", "k").to_string();
    queue.send_all(&[native, detail, objects]).await;
    eventually("all are done", async || app.count() == 3 && queue.is_empty().await).await;
    let mut types: Vec<String> = app.calls().iter().map(|call| identity_of(call)[1].clone()).collect();
    types.sort();
    assert_eq!(types, ["Order Placed", "a.list", "s3.event"]);
    worker.stop().await;
}
